package quality

import (
	"encoding/binary"
	"hash/maphash"
	"os"
	"slices"

	"gongshu/internal/errs"
)

// seen remembers which values have occurred, by two independent 64-bit hashes:
// at a billion values the chance of one false repeat is below 10⁻²⁰. It keeps a
// bounded table in memory; when that is full it goes, sorted, to a temporary
// file behind a Bloom filter, so that files of any size are checked in constant
// memory.
type seen struct {
	seed1, seed2 maphash.Seed
	slots        []pair // open addressing; the zero pair is free
	used, most   int
	runs         []*sortedRun
}

type pair struct{ a, b uint64 }

const pairBytes = 16

func newSeen(memory int) *seen {
	most := max(memory/pairBytes/2, 1<<10)
	return &seen{seed1: maphash.MakeSeed(), seed2: maphash.MakeSeed(), slots: make([]pair, 1<<12), most: most}
}

// add reports whether v is new, and remembers it.
func (s *seen) add(v []byte) (bool, error) {
	p := pair{maphash.Bytes(s.seed1, v), maphash.Bytes(s.seed2, v) | 1}
	i := int(p.a) & (len(s.slots) - 1)
	for s.slots[i] != (pair{}) {
		if s.slots[i] == p {
			return false, nil
		}
		i = (i + 1) & (len(s.slots) - 1)
	}
	for _, r := range s.runs {
		found, err := r.has(p)
		if err != nil {
			return false, err
		}
		if found {
			return false, nil
		}
	}
	s.slots[i] = p
	s.used++
	if s.used*2 > len(s.slots) {
		if s.used >= s.most {
			return true, s.spill()
		}
		s.grow()
	}
	return true, nil
}

func (s *seen) grow() {
	old := s.slots
	s.slots = make([]pair, 2*len(old))
	for _, p := range old {
		if p == (pair{}) {
			continue
		}
		i := int(p.a) & (len(s.slots) - 1)
		for s.slots[i] != (pair{}) {
			i = (i + 1) & (len(s.slots) - 1)
		}
		s.slots[i] = p
	}
}

func (s *seen) close() {
	for _, r := range s.runs {
		r.file.Close()
	}
	s.runs, s.slots = nil, nil
}

// sortedRun is a file of pairs in order, read a page at a time.
type sortedRun struct {
	file  *os.File
	n     int
	first []uint64 // a of the first pair of each page
	bloom []uint64
	page  []byte
}

const pagePairs = 256

func (s *seen) spill() error {
	pairs := make([]pair, 0, s.used)
	for _, p := range s.slots {
		if p != (pair{}) {
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		switch {
		case x.a < y.a:
			return -1
		case x.a > y.a:
			return 1
		case x.b < y.b:
			return -1
		case x.b > y.b:
			return 1
		}
		return 0
	})
	file, err := os.CreateTemp("", "gongshu-seen-")
	if err != nil {
		return storage(err)
	}
	os.Remove(file.Name())
	r := &sortedRun{file: file, n: len(pairs), bloom: make([]uint64, (len(pairs)*12+63)/64), page: make([]byte, pagePairs*pairBytes)}
	buf := make([]byte, 0, 1<<20)
	for i, p := range pairs {
		if i%pagePairs == 0 {
			r.first = append(r.first, p.a)
		}
		r.mark(p)
		buf = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(buf, p.a), p.b)
		if len(buf) >= 1<<20-pairBytes || i == len(pairs)-1 {
			if _, err := file.Write(buf); err != nil {
				file.Close()
				return storage(err)
			}
			buf = buf[:0]
		}
	}
	s.runs = append(s.runs, r)
	clear(s.slots)
	s.used = 0
	return nil
}

func storage(err error) error {
	return errs.New(errs.Unavailable, errs.T("临时存储已满或不可用", "temporary storage is full or down")).Because(err)
}

func (r *sortedRun) bits(p pair, i uint64) (int, uint64) {
	h := (p.a + i*p.b) % uint64(len(r.bloom)*64)
	return int(h / 64), 1 << (h % 64)
}

func (r *sortedRun) mark(p pair) {
	for i := range uint64(7) {
		w, b := r.bits(p, i)
		r.bloom[w] |= b
	}
}

func (r *sortedRun) has(p pair) (bool, error) {
	for i := range uint64(7) {
		if w, b := r.bits(p, i); r.bloom[w]&b == 0 {
			return false, nil
		}
	}
	page, exact := slices.BinarySearch(r.first, p.a)
	if !exact {
		page--
	} else if page > 0 {
		page-- // equal hashes may begin on the page before
	}
	for ; page >= 0 && page < len(r.first) && r.first[page] <= p.a; page++ {
		n := min(pagePairs, r.n-page*pagePairs)
		if _, err := r.file.ReadAt(r.page[:n*pairBytes], int64(page*pagePairs*pairBytes)); err != nil {
			return false, storage(err)
		}
		for i := range n {
			q := pair{binary.LittleEndian.Uint64(r.page[i*pairBytes:]), binary.LittleEndian.Uint64(r.page[i*pairBytes+8:])}
			if q == p {
				return true, nil
			}
			if q.a > p.a {
				return false, nil
			}
		}
	}
	return false, nil
}
