package privacy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gongshu/tabular"
)

func testKeys(t testing.TB, aes bool) Keys {
	t.Helper()
	k, err := NewSoftKeys([]byte("0123456789abcdef0123456789abcdef"), aes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func masker(t testing.TB, spec string, kind Kind, tweak string) *Masker {
	t.Helper()
	s, err := ParseMask(spec)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMasker(s, kind, testKeys(t, false), tweak)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPlainMasks(t *testing.T) {
	for _, c := range []struct{ spec, in, want string }{
		{"", "王小明", "王小明"},
		{"keep_ends:1,0", "王小明", "王**"},
		{"keep_ends:1,0", "王", "*"},
		{"keep_ends:3,4", "13800138000", "138****8000"},
		{"keep_ends:3,4", "1234567", "*******"},
		{"keep_ends:3,4", "", ""},
		{"replace", "anything", "***"},
		{"replace:已脱敏", "anything", "已脱敏"},
		{"date:month", "1990-01-31", "1990-01"},
		{"date:quarter", "19901231", "1990Q4"},
		{"date", "1990/1/31", "1990"},
		{"date:decade", "1990年1月31日", "1990-1999"},
		{"date:year", "1990-02-30", "**********"},
		{"date:year", "unknown", "*******"},
		{"date:year", "2026-11-21T08:00:00+08:00", "2026"},
		{"region:province", "350102", "350000"},
		{"region", "350102003001", "350100000000"},
		{"region:county", "350102003001", "350102000000"},
		{"region:city", "福建省福州市鼓楼区东街1号", "福建省福州市"},
		{"region:county", "福建省福州市鼓楼区东街1号", "福建省福州市鼓楼区"},
		{"region:province", "北京市朝阳区建国路1号", "北京市"},
		{"region:city", "东街1号", "****"},
		{"round:100", "12345.6", "12300"},
		{"round:0.5", "1.3", "1.5"},
		{"round:10", "-3", "0"},
		{"round:10", "many", "****"},
		{"fpe", "省市区", "***"},
		{"fpe", "12345", "*****"}, // too few digits to encrypt
		{"pseudonym", "not an ID", "*********"},
		{"pseudonym", "350102199001010010", "******************"}, // wrong check digit
	} {
		if got := masker(t, c.spec, KindNone, "t").String(c.in); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.spec, c.in, got, c.want)
		}
	}
}

func TestMaskSpecs(t *testing.T) {
	for _, s := range []string{"blur", "keep_ends:1", "keep_ends:-1,2", "keep_ends:a,b", "keep_ends:1,99", "date:second", "region:street",
		"round:0", "round:-1", "round:x", "digest:1", ":1", "round:NaN"} {
		if _, err := ParseMask(s); err == nil {
			t.Errorf("%q is taken for a mask", s)
		}
		if zh, en := ParseMaskProblem(s); zh == "" || en == "" {
			t.Errorf("%q is refused without words", s)
		}
	}
	for _, k := range Kinds() {
		if _, err := ParseMask(DefaultMask(k)); err != nil || (DefaultMask(k) == "") != !k.Personal() {
			t.Errorf("default mask of %s: %q, %v", k, DefaultMask(k), err)
		}
	}
	if _, err := NewSoftKeys([]byte("short"), false); err == nil {
		t.Error("a short master secret is taken")
	}
}

// drawID draws a sound resident ID.
func drawID(t *rapid.T) string {
	region := rapid.SampledFrom([]string{"350102", "110105", "440604", "810000", "935156", "350881"}).Draw(t, "region")
	y := rapid.IntRange(idFirstYear, idLastYear).Draw(t, "y")
	m := rapid.IntRange(1, 12).Draw(t, "m")
	d := rapid.IntRange(1, daysIn(y, m)).Draw(t, "d")
	s := fmt.Sprintf("%s%04d%02d%02d%03d", region, y, m, d, rapid.IntRange(0, 999).Draw(t, "seq"))
	return s + string(idCheckDigit(s))
}

func drawUSCC(t *rapid.T) string {
	org := rapid.StringOfN(rapid.SampledFrom([]rune(usccAlphabet)), 8, 8, -1).Draw(t, "org")
	s := rapid.SampledFrom([]string{"91350100", "12350500", "51440600"}).Draw(t, "head") + org
	s += string(orgCheckDigit(s, 8))
	return s + string(usccCheckDigit(s))
}

func TestPseudonymsAreSoundAndStable(t *testing.T) {
	id, other := masker(t, "pseudonym", KindResidentID, "welfare"), masker(t, "pseudonym", KindResidentID, "tax")
	org := masker(t, "pseudonym", KindUSCC, "welfare")
	differ := 0
	rapid.Check(t, func(t *rapid.T) {
		in := drawID(t)
		if v := ResidentID(in); !v.OK() {
			t.Fatalf("drew the unsound %s: %s", in, v.Flaw.EN())
		}
		out := id.String(in)
		if v := ResidentID(out); !v.OK() {
			t.Fatalf("%s became the unsound %s: %s", in, out, v.Flaw.EN())
		}
		if out[:4] != in[:4] || out != id.String(in) {
			t.Fatalf("%s became %s, then %s", in, out, id.String(in))
		}
		if other.String(in) != out {
			differ++
		}
		code := drawUSCC(t)
		masked := org.String(code)
		if v := USCC(masked); v != (Verdict{}) || masked[:8] != code[:8] {
			t.Fatalf("%s became %s: %s %s", code, masked, v.Flaw.EN(), v.Warning.EN())
		}
	})
	if differ == 0 {
		t.Error("two recipients get the same pseudonyms")
	}
}

// TestPseudonymsDoNotCollide: one to one, so that joins on them stay right.
func TestPseudonymsDoNotCollide(t *testing.T) {
	m := masker(t, "pseudonym", KindResidentID, "x")
	seen := map[string]string{}
	for seq := range 1000 {
		for _, day := range []string{"19900101", "20000229"} {
			s := fmt.Sprintf("350102%s%03d", day, seq)
			in := s + string(idCheckDigit(s))
			out := m.String(in)
			if was, dup := seen[out]; dup {
				t.Fatalf("%s and %s both became %s", was, in, out)
			}
			seen[out] = in
		}
	}
	// The 15-digit form of a number is the same person.
	long, _ := UpgradeResidentID("110105491231002")
	if m.String("110105491231002") != m.String(long) {
		t.Error("the old form of a number gets another pseudonym")
	}
}

func TestDayNumbers(t *testing.T) {
	n := 0
	for y := idFirstYear; y <= idLastYear; y++ {
		for m := 1; m <= 12; m++ {
			for d := 1; d <= daysIn(y, m); d++ {
				if gy, gm, gd := dayDate(n); gy != y || gm != m || gd != d {
					t.Fatalf("day %d is %d-%d-%d, want %d-%d-%d", n, gy, gm, gd, y, m, d)
				}
				n++
			}
		}
	}
	if n != idDays {
		t.Errorf("%d days, want %d", n, idDays)
	}
}

func TestFPEKeepsTheForm(t *testing.T) {
	m := masker(t, "fpe", KindPhone, "t")
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[0-9]{3}-[0-9]{4}-[0-9]{4}( [A-Z]{3}[a-z]{3})?`).Draw(t, "in")
		out := m.String(in)
		if len(out) != len(in) || out == in && len(in) > 14 {
			t.Fatalf("%q became %q", in, out)
		}
		for i := range in {
			if digit(in[i]) != digit(out[i]) || in[i] == '-' != (out[i] == '-') || letter(in[i]) != letter(out[i]) || letter(in[i]) && in[i]&0x20 != out[i]&0x20 {
				t.Fatalf("%q became %q: another form at %d", in, out, i)
			}
		}
	})
}

// TestDigestIsKeyed: 32 hexadecimal digits that depend on the recipient.
func TestDigestIsKeyed(t *testing.T) {
	a, b := masker(t, "digest", KindNone, "a").String("350102199001010016"), masker(t, "digest", KindNone, "b").String("350102199001010016")
	if len(a) != 32 || a == b || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("digests %s and %s", a, b)
	}
	aes, err := NewMasker(MaskSpec{Name: MaskFPE}, KindNone, testKeys(t, true), "a")
	if err != nil || aes.String("13800138000") == masker(t, "fpe", KindNone, "a").String("13800138000") {
		t.Errorf("AES and SM4 give the same: %v", err)
	}
}

// hidden lists masks with values of which none may come through.
var hidden = []string{"keep_ends:1,1", "replace", "digest", "fpe", "date:decade", "region:province", "round:1000000", "pseudonym"}

// FuzzMask: no mask panics, writes invalid UTF-8 for valid input, or touches what
// stands before in dst.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "350102199001010016", "王小明", "2026-11-21", "1e309", "福建省福州市", "\xff\xfe", "粤E12345F", "-0"} {
		f.Add([]byte(s))
	}
	var ms []*Masker
	for _, spec := range hidden {
		for _, k := range []Kind{KindNone, KindResidentID, KindUSCC} {
			ms = append(ms, masker(f, spec, k, "t"))
		}
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		for _, m := range ms {
			out := m.Append([]byte("before"), bytes.Clone(v))
			if !bytes.HasPrefix(out, []byte("before")) {
				t.Fatalf("%s wrote over what stood before", m.spec.Name)
			}
			if utf8.Valid(v) && !utf8.Valid(out) {
				t.Fatalf("%s made %q of %q", m.spec.Name, out, v)
			}
		}
	})
}

func FuzzValidators(f *testing.F) {
	for _, c := range validatorCases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range Kinds() {
			v := Validate(k, s)
			if v != Validate(k, []byte(s)) {
				t.Fatalf("%s %q: text and bytes differ", k, s)
			}
			if !v.OK() && (v.Flaw.ZH() == "" || v.Flaw.EN() == "") {
				t.Fatalf("%s %q: flaw without words", k, s)
			}
		}
	})
}

// TestEachIsAppend: many values at once come out as they do one by one, whatever
// they are, whichever cipher, and after whatever stands in dst.
func TestEachIsAppend(t *testing.T) {
	for _, aes := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			spec, err := ParseMask(rapid.SampledFrom(append(slices.Clone(hidden), "")).Draw(t, "mask"))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := NewSoftKeys([]byte("0123456789abcdef0123456789abcdef"), aes)
			if err != nil {
				t.Fatal(err)
			}
			m, err := NewMasker(spec, rapid.SampledFrom([]Kind{KindNone, KindResidentID, KindUSCC, KindPhone}).Draw(t, "kind"), keys, "t")
			if err != nil {
				t.Fatal(err)
			}
			values := rapid.SliceOfN(rapid.OneOf(rapid.Custom(drawID), rapid.Custom(drawUSCC), rapid.StringMatching(`1[3-9][0-9]{9}`),
				rapid.StringMatching(`闽[A-Z][A-Za-z0-9]{5,40}`), rapid.String()), 0, 150).Draw(t, "values")
			dst, ends := m.AppendEach([]byte("before"), []int{6}, len(values), func(i int) []byte { return []byte(values[i]) })
			if string(dst[:6]) != "before" || len(ends) != len(values)+1 || ends[len(values)] != len(dst) {
				t.Fatalf("%d values: %q, ends %v", len(values), dst, ends)
			}
			for i, v := range values {
				if got, want := string(dst[ends[i]:ends[i+1]]), m.String(v); got != want {
					t.Fatalf("value %d, %q: %q, alone %q", i, v, got, want)
				}
			}
		})
	}
}

// TestBlocks: a block is masked column by column into what each cell's mask makes of it.
func TestBlocks(t *testing.T) {
	src, dst := tabular.NewBlock(), tabular.NewBlock()
	masks := []*Masker{masker(t, "pseudonym", KindResidentID, "t"), nil, masker(t, "fpe", KindPhone, "t"), masker(t, "keep_ends:1,0", KindName, "t")}
	rows := [][4]string{{"350102199001010016", "甲", "13800138000", "王小明"}, {"", "", "", ""}, {"x", "乙", "1380013800x", "李"}}
	for i, r := range rows {
		for _, c := range r {
			src.AddString(c)
		}
		src.EndRow(int64(7 + i))
	}
	b := NewBlockMasker(masks)
	if NewBlockMasker(make([]*Masker, 4)).Mask(dst, src) != src {
		t.Error("a block without masks is copied")
	}
	for range 2 { // again, over what the first left in the scratch space
		b.Mask(dst, src)
		if dst.Len() != len(rows) {
			t.Fatalf("%d rows", dst.Len())
		}
		for i, r := range rows {
			for c, v := range r {
				want := v
				if masks[c] != nil {
					want = masks[c].String(v)
				}
				if got := string(dst.Cell(i, c)); got != want || dst.Number(i) != int64(7+i) {
					t.Errorf("row %d, column %d, number %d: %q, want %q", i, c, dst.Number(i), got, want)
				}
			}
		}
	}
}

// TestFPEIsFF1: the mask is FF1 of the standard, digits and letters apart.
func TestFPEIsFF1(t *testing.T) {
	keys := testKeys(t, false)
	block, err := keys.Block("mask/fpe")
	if err != nil {
		t.Fatal(err)
	}
	digits, _ := NewFF1(block, 10, []byte("t"))
	letters, _ := NewFF1(block, 26, []byte("t"))
	m := masker(t, "fpe", KindNone, "t")
	rapid.Check(t, func(t *rapid.T) {
		d, l := []byte(rapid.StringMatching(`[0-9]{6,38}`).Draw(t, "digits")), []byte(rapid.StringMatching(`[A-Z]{5,26}`).Draw(t, "letters"))
		got := m.String(string(d) + "-" + string(l))
		for i := range d {
			d[i] -= '0'
		}
		for i := range l {
			l[i] -= 'A'
		}
		if err := errors.Join(digits.Encrypt(d), letters.Encrypt(l)); err != nil {
			t.Fatal(err)
		}
		for i := range d {
			d[i] += '0'
		}
		for i := range l {
			l[i] += 'A'
		}
		if want := string(d) + "-" + string(l); got != want {
			t.Fatalf("masked %s, encrypted %s", got, want)
		}
	})
}

func BenchmarkMasks(b *testing.B) {
	for _, c := range []struct {
		spec string
		kind Kind
		in   string
	}{
		{"keep_ends:3,4", KindPhone, "13800138000"},
		{"digest", KindResidentID, "350102199001010016"},
		{"fpe", KindPhone, "13800138000"},
		{"fpe", KindBankCard, "6217000000000000004"},
		{"pseudonym", KindResidentID, "350102199001010016"},
		{"pseudonym", KindUSCC, "91350100M000100Y43"},
		{"date:month", KindBirthDate, "1990-01-01"},
		{"region:city", KindNone, "350102003001"},
		{"round:100", KindNone, "12345.67"},
	} {
		for _, aes := range []bool{false, true} {
			name := "SM4"
			if aes {
				if c.spec != "fpe" && c.spec != "pseudonym" {
					continue
				}
				name = "AES"
			}
			b.Run(c.spec+"/"+string(c.kind)+"/"+name, func(b *testing.B) {
				s, _ := ParseMask(c.spec)
				m, err := NewMasker(s, c.kind, testKeys(b, aes), "t")
				if err != nil {
					b.Fatal(err)
				}
				in, dst := []byte(c.in), make([]byte, 0, 64)
				b.ReportAllocs()
				for b.Loop() {
					dst = m.Append(dst[:0], in)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
			})
			b.Run(c.spec+"/"+string(c.kind)+"/"+name+"/each", func(b *testing.B) {
				s, _ := ParseMask(c.spec)
				m, err := NewMasker(s, c.kind, testKeys(b, aes), "t")
				if err != nil {
					b.Fatal(err)
				}
				in, dst, ends := []byte(c.in), make([]byte, 0, 2048), make([]int, 0, 64)
				b.ReportAllocs()
				for i := 0; i < b.N; i += 64 {
					dst, ends = m.AppendEach(dst[:0], ends[:0], 64, func(int) []byte { return in })
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
			})
		}
	}
}

func BenchmarkValidators(b *testing.B) {
	for _, c := range []struct {
		kind Kind
		in   string
	}{{KindResidentID, "350102199001010016"}, {KindUSCC, "91350100M000100Y43"}, {KindPhone, "13800138000"}, {KindBankCard, "6217000000000000004"}, {KindPlate, "闽A12345"}} {
		b.Run(string(c.kind), func(b *testing.B) {
			in := []byte(c.in)
			b.ReportAllocs()
			for b.Loop() {
				Validate(c.kind, in)
			}
		})
	}
}
