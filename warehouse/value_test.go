package warehouse

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gongshu/workday"
)

func TestParseAndFormat(t *testing.T) {
	for _, c := range []struct {
		column Column
		text   string
		want   string // "" when refused
	}{
		{Column{Type: Text}, "0164A", "0164A"},
		{Column{Type: Text}, "NA", "NA"},
		{Column{Type: Integer}, "-0", "0"},
		{Column{Type: Integer}, "007", "7"},
		{Column{Type: Integer}, "-9223372036854775808", "-9223372036854775808"},
		{Column{Type: Integer}, "9223372036854775808", ""},
		{Column{Type: Integer}, "18446744073709551617", ""},
		{Column{Type: Integer}, "1.0", ""},
		{Column{Type: Integer}, "-", ""},
		{Column{Type: Decimal, Scale: 2}, "3", "3.00"},
		{Column{Type: Decimal, Scale: 2}, "-.5", "-0.50"},
		{Column{Type: Decimal, Scale: 2}, "1.500", "1.50"},
		{Column{Type: Decimal, Scale: 2}, "1.501", ""},
		{Column{Type: Decimal, Scale: 2}, "1.5.0", ""},
		{Column{Type: Decimal, Scale: 2}, ".", ""},
		{Column{Type: Decimal, Scale: 2}, "9999999999999999.99", "9999999999999999.99"},
		{Column{Type: Decimal, Scale: 2}, "10000000000000000", ""},
		{Column{Type: Decimal, Scale: 12}, "0.000000000001", "0.000000000001"},
		{Column{Type: Float}, "119.29654321234", "119.29654321234"},
		{Column{Type: Float}, "-0.05", "-0.05"},
		{Column{Type: Float}, "1e3", "1000"},
		{Column{Type: Float}, "12.", "12"},
		{Column{Type: Float}, "0.1234567890123456", "0.1234567890123456"},
		{Column{Type: Float}, "0.12345678901234567", ""},
		{Column{Type: Float}, "350102198502281234", ""},
		{Column{Type: Float}, "9007199254740993", ""},
		{Column{Type: Float}, "9007199254740992", "9007199254740992"},
		{Column{Type: Float}, "0x10", ""},
		{Column{Type: Float}, "Inf", ""},
		{Column{Type: Float}, "1_000", ""},
		{Column{Type: Float}, "-", ""},
		{Column{Type: Float}, ".", ""},
		{Column{Type: Float}, "0", "0"},
		{Column{Type: Date}, "2024-02-29", "2024-02-29"},
		{Column{Type: Date}, "1900-02-29", ""},
		{Column{Type: Date}, "2026-11-31", ""},
		{Column{Type: Date}, "2026-1-1", ""},
		{Column{Type: Date}, "0001-01-01", "0001-01-01"},
		{Column{Type: Date}, "9999-12-31", "9999-12-31"},
		{Column{Type: Time}, "2026-11-21T08:00:00+08:00", "2026-11-21T08:00:00+08:00"},
		{Column{Type: Time}, "2026-11-21T00:00:00Z", "2026-11-21T08:00:00+08:00"},
		{Column{Type: Time}, "2026-11-21T08:00:00.5+08:00", "2026-11-21T08:00:00.500+08:00"},
		{Column{Type: Time}, "2026-11-21T08:00:00", ""},
		{Column{Type: Time}, "2026-11-21T24:00:00+08:00", ""},
		{Column{Type: Time}, "2026-11-21T08:00:00.1234+08:00", ""},
		{Column{Type: Bool}, "1", "1"},
		{Column{Type: Bool}, "true", ""},
	} {
		v, err := c.column.Parse(c.text)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s %q: taken as %q", c.column.Type, c.text, c.column.Format(v))
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", c.column.Type, c.text, err)
		} else if got := c.column.Format(v); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.column.Type, c.text, got, c.want)
		}
	}
}

// What a column takes it gives back as the same value: dates and times against
// the time package, decimals against exact arithmetic, floats against strconv.
func TestValuesRoundTrip(t *testing.T) {
	t.Run("date and time", rapid.MakeCheck(func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(-62135596800000, 253402271999000).Draw(t, "ms")).In(workday.Zone)
		text := at.Format("2006-01-02T15:04:05.000-07:00")
		v, err := Column{Type: Time}.Parse(text)
		if err != nil || v.N != at.UnixMilli() {
			t.Fatalf("%s: %v, %v", text, v, err)
		}
		day := at.Format(time.DateOnly)
		d, err := Column{Type: Date}.Parse(day)
		if err != nil || (Column{Type: Date}).Format(d) != day {
			t.Fatalf("%s: %v, %v", day, d, err)
		}
		midnight, _ := time.Parse(time.DateOnly, day)
		if d.N != midnight.Unix()/86400 {
			t.Fatalf("%s is day %d, got %d", day, midnight.Unix()/86400, d.N)
		}
	}))
	t.Run("decimal", rapid.MakeCheck(func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{1,19}(\.[0-9]{1,14})?`).Draw(t, "text")
		c := Column{Type: Decimal, Scale: rapid.IntRange(0, 12).Draw(t, "scale")}
		v, err := c.Parse(text)
		if err != nil {
			return
		}
		want, _ := new(big.Rat).SetString(text)
		got, _ := new(big.Rat).SetString(c.Format(v))
		if want.Cmp(got) != 0 {
			t.Fatalf("%s became %s", text, c.Format(v))
		}
	}))
	t.Run("float", rapid.MakeCheck(func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{1,17}(\.[0-9]{0,17})?(e-?[0-9]{1,2})?`).Draw(t, "text")
		c := Column{Type: Float}
		v, err := c.Parse(text)
		if err != nil {
			return
		}
		exact, perr := strconv.ParseFloat(text, 64)
		if perr != nil || math.Float64bits(exact) != math.Float64bits(v.Float()) {
			t.Fatalf("%s: got %v, strconv says %v (%v)", text, v.Float(), exact, perr)
		}
		want, _ := new(big.Rat).SetString(strings.TrimSuffix(text, "."))
		got, _ := new(big.Rat).SetString(c.Format(v))
		if want != nil && (got == nil || want.Cmp(got) != 0) {
			t.Fatalf("%s became %s", text, c.Format(v))
		}
	}))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "1", "-1.5", "2026-11-21", "2026-11-21T08:00:00+08:00", "1e309", "\x00", "９", "2026-11-21T08:00:00."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range []Column{{Type: Text}, {Type: Integer}, {Type: Decimal, Scale: 3}, {Type: Float}, {Type: Date}, {Type: Time}, {Type: Bool}} {
			v, err := c.Parse(text)
			if err != nil {
				if c.Fits([]byte(text)) == nil {
					t.Fatalf("%s %q: Parse refuses, Fits takes", c.Type, text)
				}
				continue
			}
			again, err := c.Parse(c.Format(v))
			if err != nil || again != v {
				t.Fatalf("%s %q: %v, then %v (%v)", c.Type, text, v, again, err)
			}
		}
	})
}

func TestValuesSurviveJSON(t *testing.T) {
	f := Filter{{Column: "c1", Op: In, Values: []Value{StringValue("鼓楼"), NumberValue(math.MaxInt64), FloatValue(0.1), {}}}}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back Filter
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(back) != fmt.Sprint(f) {
		t.Errorf("%v became %v by %s", f, back, text)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		column Column
		text   string
	}{
		{Column{Type: Integer}, "123456"}, {Column{Type: Decimal, Scale: 2}, "12345.67"}, {Column{Type: Float}, "119.29654"},
		{Column{Type: Date}, "2026-11-21"}, {Column{Type: Time}, "2026-11-21T08:00:00+08:00"},
	} {
		b.Run(string(c.column.Type), func(b *testing.B) {
			text := []byte(c.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.column.parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
