package privacy

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm4"
	"pgregory.net/rapid"
)

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

func numerals(s string) []byte {
	out := make([]byte, len(s))
	for i := range s {
		out[i] = byte(strings.IndexByte(base36, s[i]))
	}
	return out
}

// TestFF1Vectors: the nine samples that NIST published with SP 800-38G.
func TestFF1Vectors(t *testing.T) {
	const key = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
	for _, c := range []struct {
		bytes      int
		radix      int
		tweak      string
		plain, enc string
	}{
		{16, 10, "", "0123456789", "2433477484"},
		{16, 10, "39383736353433323130", "0123456789", "6124200773"},
		{16, 36, "3737373770717273373737", "0123456789abcdefghi", "a9tv40mll9kdu509eum"},
		{24, 10, "", "0123456789", "2830668132"},
		{24, 10, "39383736353433323130", "0123456789", "2496655549"},
		{24, 36, "3737373770717273373737", "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"},
		{32, 10, "", "0123456789", "6657667009"},
		{32, 10, "39383736353433323130", "0123456789", "1001623463"},
		{32, 36, "3737373770717273373737", "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"},
	} {
		k, _ := hex.DecodeString(key[:2*c.bytes])
		block, err := aes.NewCipher(k)
		if err != nil {
			t.Fatal(err)
		}
		tweak, _ := hex.DecodeString(c.tweak)
		f, err := NewFF1(block, c.radix, tweak)
		if err != nil {
			t.Fatal(err)
		}
		x := numerals(c.plain)
		if err := f.Encrypt(x); err != nil || !bytes.Equal(x, numerals(c.enc)) {
			t.Errorf("AES-%d radix %d tweak %q: %v, %v; want %s", 8*c.bytes, c.radix, c.tweak, x, err, c.enc)
		}
		if err := f.Decrypt(x); err != nil || !bytes.Equal(x, numerals(c.plain)) {
			t.Errorf("AES-%d radix %d: decrypted to %v, %v", 8*c.bytes, c.radix, x, err)
		}
	}
}

func TestFF1RoundTrip(t *testing.T) {
	block, err := sm4.NewCipher([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		radix := rapid.SampledFrom([]int{2, 10, 26, 31, 36, 256}).Draw(t, "radix")
		tweak := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "tweak")
		f, err := NewFF1(block, radix, tweak)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(2, f.longest).Draw(t, "n")
		x := rapid.SliceOfN(rapid.ByteRange(0, byte(radix-1)), n, n).Draw(t, "x")
		y := bytes.Clone(x)
		if err := f.Encrypt(y); err != nil {
			t.Fatal(err)
		}
		for _, d := range y {
			if int(d) >= radix {
				t.Fatalf("numeral %d outside radix %d", d, radix)
			}
		}
		if err := f.Clone().Decrypt(y); err != nil || !bytes.Equal(x, y) {
			t.Fatalf("came back as %v, %v", y, err)
		}
	})
}

// TestFF1IsAPermutation: on a whole small domain nothing collides.
func TestFF1IsAPermutation(t *testing.T) {
	block, _ := aes.NewCipher([]byte("0123456789abcdef"))
	f, _ := NewFF1(block, 10, []byte("t"))
	seen := map[uint64]bool{}
	x := make([]byte, 4)
	for i := range uint64(10000) {
		f.write(x, i)
		if err := f.Encrypt(x); err != nil {
			t.Fatal(err)
		}
		seen[f.number(x)] = true
	}
	if len(seen) != 10000 {
		t.Errorf("%d different values of 10000", len(seen))
	}
	if f.Fits(5) || !f.Fits(6) || f.Fits(39) {
		t.Error("bounds of Fits")
	}
	if f.Encrypt([]byte{1}) == nil || f.Encrypt([]byte{1, 10}) == nil {
		t.Error("bad input is not refused")
	}
}
