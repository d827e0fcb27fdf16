package privacy

import (
	"crypto/cipher"
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
	buf, r  [16]byte
}

// ff1Shape is what depends on the length of the string alone.
type ff1Shape struct {
	u, v       int
	b, d       int
	modU, modV uint64   // radix^u, radix^v
	prefix     [16]byte // CBC-MAC of P and all but the last block of Q
	last       [16]byte // the last block of Q with round and number still zero
}

// NewFF1 makes an FF1 of a radix from 2 to 256 with a tweak of at most 64 KiB.
func NewFF1(block cipher.Block, radix int, tweak []byte) (*FF1, error) {
	switch {
	case block.BlockSize() != 16:
		return nil, fmt.Errorf("privacy: FF1 over blocks of %d bytes, want 16", block.BlockSize())
	case radix < 2 || radix > 256:
		return nil, fmt.Errorf("privacy: FF1 of radix %d, want 2 to 256", radix)
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
	s := &ff1Shape{u: n / 2, v: n - n/2, modU: 1, modV: 1}
	for range s.u {
		s.modU *= f.radix
	}
	for range s.v {
		s.modV *= f.radix
	}
	s.b = (bits.Len64(s.modV-1) + 7) / 8
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
		for i := range mac {
			mac[i] ^= q[i]
		}
		f.block.Encrypt(mac, mac)
	}
	copy(s.prefix[:], mac)
	copy(s.last[:], q)
	f.shapes[n] = s
	return s
}

// round gives y of a round modulo m.
func (f *FF1) round(s *ff1Shape, i int, num, m uint64) uint64 {
	f.buf = s.last
	f.buf[15-s.b] = byte(i)
	for j := 0; j < s.b; j++ {
		f.buf[15-j] = byte(num >> (8 * j))
	}
	for j := range f.buf {
		f.buf[j] ^= s.prefix[j]
	}
	f.block.Encrypt(f.r[:], f.buf[:])
	if s.d == 8 {
		return binary.BigEndian.Uint64(f.r[:]) % m
	}
	return bits.Rem64(uint64(binary.BigEndian.Uint32(f.r[:])), binary.BigEndian.Uint64(f.r[4:]), m)
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
	a, b := f.number(x[:s.u]), f.number(x[s.u:])
	for i := range 10 {
		m := s.modU
		if i%2 == 1 {
			m = s.modV
		}
		a, b = b, addMod(a, f.round(s, i, b, m), m)
	}
	f.write(x[:s.u], a)
	f.write(x[s.u:], b)
	return nil
}

// Decrypt undoes Encrypt.
func (f *FF1) Decrypt(x []byte) error {
	if err := f.check(x); err != nil {
		return err
	}
	s := f.shape(len(x))
	a, b := f.number(x[:s.u]), f.number(x[s.u:])
	for i := 9; i >= 0; i-- {
		m := s.modU
		if i%2 == 1 {
			m = s.modV
		}
		y := f.round(s, i, a, m)
		a, b = addMod(b, m-y, m), a
	}
	f.write(x[:s.u], a)
	f.write(x[s.u:], b)
	return nil
}
