package privacy

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// FF1 is format-preserving encryption of NIST SP 800-38G over any cipher of
// 16-byte blocks. It encrypts strings of numerals whose halves fit 64 bits: up to
// 38 decimal digits, 24 of base 36. The tweak is fixed, and with it all but the
// last block of each round's PRF, which is kept: a round costs one block.
//
// An FF1 has scratch space and serves one goroutine at a time; Clone makes
// another over the same cipher.
type FF1 struct {
	block   cipher.Block
	radix   uint64
	tweak   []byte
	longest int
	shapes  []*ff1Shape // by length of the string
	buf     [16]byte
}

// ff1Shape is what depends on the length of the string alone.
type ff1Shape struct {
	u, v   int
	b, d   int
	mod    [2]uint64 // radix^u, radix^v: modulus of even and of odd rounds
	hi, lo uint64    // last block of Q, round and number still zero, over the CBC-MAC of all before it
}

// NewFF1 makes an FF1 of a radix from 2 to 256 with a tweak of at most 64 KiB.
func NewFF1(block cipher.Block, radix int, tweak []byte) (*FF1, error) {
	if radix > 256 {
		return nil, fmt.Errorf("privacy: FF1 of radix %d, want 2 to 256", radix)
	}
	return newFF1(block, radix, tweak)
}

// newFF1 takes every radix of the standard; numerals above 255 fit no byte, so
// strings of such a radix are given as the numbers of their halves.
func newFF1(block cipher.Block, radix int, tweak []byte) (*FF1, error) {
	switch {
	case block.BlockSize() != 16:
		return nil, fmt.Errorf("privacy: FF1 over blocks of %d bytes, want 16", block.BlockSize())
	case radix < 2 || radix > 1<<16:
		return nil, fmt.Errorf("privacy: FF1 of radix %d, want 2 to 65536", radix)
	case len(tweak) > 1<<16:
		return nil, fmt.Errorf("privacy: FF1 tweak of %d bytes", len(tweak))
	}
	f := &FF1{block: block, radix: uint64(radix), tweak: slices.Clone(tweak)}
	v := 0
	for p := uint64(1); p <= math.MaxUint64/f.radix; p *= f.radix {
		v++
	}
	f.longest = 2 * v
	f.shapes = make([]*ff1Shape, f.longest+1)
	return f, nil
}

// Clone makes another FF1 of the same key, radix and tweak.
func (f *FF1) Clone() *FF1 {
	c := *f
	c.shapes = slices.Clone(f.shapes)
	return &c
}

// Fits says whether a string of n numerals can be encrypted: not longer than the
// halves allow, and of a domain of at least a million (SP 800-38G rev. 1).
func (f *FF1) Fits(n int) bool {
	return n >= 2 && n <= f.longest && float64(n)*math.Log2(float64(f.radix)) >= math.Log2(1e6)
}

func (f *FF1) shape(n int) *ff1Shape {
	if s := f.shapes[n]; s != nil {
		return s
	}
	s := &ff1Shape{u: n / 2, v: n - n/2, mod: [2]uint64{1, 1}}
	for range s.u {
		s.mod[0] *= f.radix
	}
	for range s.v {
		s.mod[1] *= f.radix
	}
	s.b = (bits.Len64(s.mod[1]-1) + 7) / 8
	s.d = 4*((s.b+3)/4) + 4
	t := len(f.tweak)
	q := make([]byte, t, t+32)
	copy(q, f.tweak)
	for len(q)%16 != 16-s.b-1 {
		q = append(q, 0)
	}
	q = append(q, make([]byte, s.b+1)...)
	p := [16]byte{1, 2, 1, byte(f.radix >> 16), byte(f.radix >> 8), byte(f.radix), 10, byte(s.u)}
	binary.BigEndian.PutUint32(p[8:], uint32(n))
	binary.BigEndian.PutUint32(p[12:], uint32(t))
	mac := make([]byte, 16)
	f.block.Encrypt(mac, p[:])
	for ; len(q) > 16; q = q[16:] {
		subtle.XORBytes(mac, mac, q)
		f.block.Encrypt(mac, mac)
	}
	subtle.XORBytes(mac, mac, q)
	s.hi, s.lo = binary.BigEndian.Uint64(mac), binary.BigEndian.Uint64(mac[8:])
	f.shapes[n] = s
	return s
}

// question writes the block that a round enciphers; number is the half that the
// round leaves alone.
func (s *ff1Shape) question(block []byte, round int, number uint64) {
	hi, lo := s.hi, s.lo^number
	if s.b == 8 {
		hi ^= uint64(round)
	} else {
		lo ^= uint64(round) << (8 * s.b)
	}
	binary.BigEndian.PutUint64(block, hi)
	binary.BigEndian.PutUint64(block[8:], lo)
}

// answer reads y of the enciphered block, modulo the round's modulus.
func (s *ff1Shape) answer(block []byte, m uint64) uint64 {
	if s.d == 8 {
		return binary.BigEndian.Uint64(block) % m
	}
	return bits.Rem64(uint64(binary.BigEndian.Uint32(block)), binary.BigEndian.Uint64(block[4:]), m)
}

// round gives y of one round, and its modulus.
func (f *FF1) round(s *ff1Shape, i int, number uint64) (y, m uint64) {
	m = s.mod[i&1]
	s.question(f.buf[:], i, number)
	f.block.Encrypt(f.buf[:], f.buf[:])
	return s.answer(f.buf[:], m), m
}

func (f *FF1) number(x []byte) uint64 {
	var n uint64
	for _, d := range x {
		n = n*f.radix + uint64(d)
	}
	return n
}

func (f *FF1) write(x []byte, n uint64) {
	for i := len(x) - 1; i >= 0; i-- {
		x[i] = byte(n % f.radix)
		n /= f.radix
	}
}

func (f *FF1) check(x []byte) error {
	if len(x) < 2 || len(x) > f.longest {
		return fmt.Errorf("privacy: FF1 of %d numerals, want 2 to %d", len(x), f.longest)
	}
	for _, d := range x {
		if uint64(d) >= f.radix {
			return fmt.Errorf("privacy: numeral %d in radix %d", d, f.radix)
		}
	}
	return nil
}

func addMod(a, b, m uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry == 1 || sum >= m {
		sum -= m
	}
	return sum
}

// Encrypt replaces the numerals of x (each 0 to radix-1) in place. Use Fits to
// keep away from domains so small that they can be tried out.
func (f *FF1) Encrypt(x []byte) error {
	if err := f.check(x); err != nil {
		return err
	}
	s := f.shape(len(x))
	a, b := f.encrypt(s, f.number(x[:s.u]), f.number(x[s.u:]))
	f.write(x[:s.u], a)
	f.write(x[s.u:], b)
	return nil
}

// encrypt is Encrypt of the numbers that the two halves of a string write.
func (f *FF1) encrypt(s *ff1Shape, a, b uint64) (uint64, uint64) {
	for i := range 10 {
		y, m := f.round(s, i, b)
		a, b = b, addMod(a, y, m)
	}
	return a, b
}

// Decrypt undoes Encrypt.
func (f *FF1) Decrypt(x []byte) error {
	if err := f.check(x); err != nil {
		return err
	}
	s := f.shape(len(x))
	a, b := f.number(x[:s.u]), f.number(x[s.u:])
	for i := 9; i >= 0; i-- {
		y, m := f.round(s, i, a)
		a, b = addMod(b, m-y, m), a
	}
	f.write(x[:s.u], a)
	f.write(x[s.u:], b)
	return nil
}

// manyBlocks is what a cipher offers that is faster at several blocks at once:
// SM4 by vector instructions enciphers eight in the time of two.
type manyBlocks interface {
	Concurrency() int              // blocks at once
	EncryptBlocks(dst, src []byte) // exactly so many
}

// ff1Lane is one string under encryption: its shape and the numbers of its halves.
type ff1Lane struct {
	s    *ff1Shape
	a, b uint64
}

// ff1Lanes encrypts strings of any shape over one cipher side by side, round by
// round, so that the cipher sees as many blocks at once as it likes. It has
// scratch space and serves one goroutine at a time.
type ff1Lanes struct {
	one  cipher.Block
	many manyBlocks // nil where the cipher takes one block at a time
	buf  []byte
}

func newFF1Lanes(block cipher.Block) *ff1Lanes {
	l := &ff1Lanes{one: block, buf: make([]byte, 16)}
	if many, ok := block.(manyBlocks); ok && many.Concurrency() > 1 {
		l.many, l.buf = many, make([]byte, 16*many.Concurrency())
	}
	return l
}

// run encrypts every lane.
func (l *ff1Lanes) run(lanes []ff1Lane) {
	for wide := len(l.buf) / 16; len(lanes) > 0; {
		group := lanes[:min(wide, len(lanes))]
		lanes = lanes[len(group):]
		together := l.many != nil && 4*len(group) > wide // fewer are done sooner one by one
		for i := range 10 {
			for j := range group {
				block := l.buf[16*j:][:16]
				group[j].s.question(block, i, group[j].b)
				if !together {
					l.one.Encrypt(block, block)
				}
			}
			if together {
				l.many.EncryptBlocks(l.buf, l.buf)
			}
			for j := range group {
				g := &group[j]
				m := g.s.mod[i&1]
				g.a, g.b = g.b, addMod(g.a, g.s.answer(l.buf[16*j:][:16], m), m)
			}
		}
	}
}
