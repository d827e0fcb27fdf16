package workday

import (
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func date(t testing.TB, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 11 {
		t.Fatalf("only %d vectors", len(rows)-1)
	}
	c := Builtin()
	for _, r := range rows[1:] {
		n, err := strconv.Atoi(r[1])
		if err != nil {
			t.Fatal(err)
		}
		due := c.Add(date(t, r[0]), n)
		if due.Date.String() != r[2] || due.Provisional {
			t.Errorf("%s + %d = %s (provisional %t), want %s", r[0], n, due.Date, due.Provisional, r[2])
		}
		if got := c.Between(date(t, r[0]), due.Date); got != n {
			t.Errorf("between %s and %s = %d, want %d", r[0], due.Date, got, n)
		}
	}
}

func TestUnannouncedYearIsProvisional(t *testing.T) {
	c := Builtin()
	due := c.Add(date(t, "2026-12-30"), 2)
	// 31 December 2026 is a Thursday; 1 January 2027 is a statutory holiday.
	if due.Date.String() != "2027-01-04" || !due.Provisional {
		t.Errorf("due %s provisional %t, want 2027-01-04 provisional", due.Date, due.Provisional)
	}
	for s, want := range map[string]bool{"2027-05-03": true, "2027-10-01": false, "2027-05-01": false, "2023-05-02": true, "2027-06-05": false} {
		if got := c.IsWorkday(date(t, s)); got != want {
			t.Errorf("%s working day %t, want %t", s, got, want)
		}
	}
	if !c.Provisional(date(t, "2026-12-31"), date(t, "2027-01-01")) || c.Provisional(date(t, "2026-12-30"), date(t, "2026-12-31")) {
		t.Error("Provisional is wrong at the year's end")
	}
}

func TestImportOfANewYear(t *testing.T) {
	old := Builtin()
	notices, err := Parse(strings.NewReader(`{"year":2027,"papers":["国办发明电〔2026〕9号"],"days":[
		{"name":"元旦","date":"2027-01-01","isOffDay":true},{"name":"元旦","date":"2027-01-02","isOffDay":true},
		{"name":"元旦","date":"2027-01-03","isOffDay":true},{"name":"元旦","date":"2027-01-04","isOffDay":true},{"name":"春节","date":"2027-01-09","isOffDay":false}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := old.With(notices[0])
	if err != nil {
		t.Fatal(err)
	}
	due := c.Add(date(t, "2026-12-30"), 2)
	if due.Date.String() != "2027-01-05" || due.Provisional {
		t.Errorf("due %s provisional %t", due.Date, due.Provisional)
	}
	if c.Version() == old.Version() || due.Version != c.Version() || old.Announced(2027) {
		t.Errorf("versions %s and %s", c.Version(), old.Version())
	}
}

func TestRefusedNotices(t *testing.T) {
	for name, in := range map[string]struct{ body, want string }{
		"empty":           {"", "empty"},
		"no days":         {`{"year":2027,"papers":[],"days":[]}`, "announces no day"},
		"wrong weekday":   {"date,weekday,name,kind\n2027-01-01,一,元旦,off\n", "星期五"},
		"bad date":        {"date,weekday,name,kind\n2027-02-30,,元旦,off\n", "line 2"},
		"bad kind":        {"date,weekday,name,kind\n2027-01-01,,元旦,holiday\n", "neither off nor work"},
		"missing column":  {"date,name\n2027-01-01,元旦\n", `"kind" is missing`},
		"twice":           {"date,name,kind\n2027-01-01,元旦,off\n2027-01-01,元旦,off\n", "twice"},
		"weekday make-up": {"date,name,kind\n2027-01-01,元旦,off\n2027-01-05,元旦,work\n", "anyhow"},
		"no off flag":     {`{"year":2027,"days":[{"name":"元旦","date":"2027-01-01"}]}`, "isOffDay"},
		"other year":      {`{"year":2027,"days":[{"name":"元旦","date":"2029-01-01","isOffDay":true}]}`, "does not belong"},
	} {
		if _, err := Parse(strings.NewReader(in.body)); err == nil || !strings.Contains(err.Error(), in.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, in.want)
		}
	}
}

func TestDates(t *testing.T) {
	// 23:30 UTC is already the next day in China.
	d := DateOf(time.Date(2026, 2, 13, 23, 30, 0, 0, time.UTC))
	if d.String() != "2026-02-14" || d.Start().UTC().Format(time.RFC3339) != "2026-02-13T16:00:00Z" {
		t.Errorf("%s starts %s", d, d.Start().UTC())
	}
	if DateOf(d.End()) != d || DateOf(d.End().Add(time.Millisecond)) != d+1 {
		t.Error("End is not the last instant")
	}
}

func TestProperties(t *testing.T) {
	c := Builtin()
	lo, hi := int(On(2024, 1, 1)), int(On(2028, 12, 31))
	rapid.Check(t, func(rt *rapid.T) {
		d := Date(rapid.IntRange(lo, hi).Draw(rt, "date"))
		n := rapid.IntRange(1, 120).Draw(rt, "n")
		m := rapid.IntRange(1, 60).Draw(rt, "m")
		due := c.Add(d, n)
		if !c.IsWorkday(due.Date) || due.Date <= d {
			rt.Fatalf("%s + %d = %s is no later working day", d, n, due.Date)
		}
		if c.Between(d, due.Date) != n || c.Between(due.Date, d) != -n {
			rt.Fatalf("between is not the inverse of add at %s + %d", d, n)
		}
		if c.Add(due.Date, m).Date != c.Add(d, n+m).Date {
			rt.Fatalf("adding %d then %d differs from %d at once", n, m, n+m)
		}
		if c.Add(d, n+1).Date <= due.Date {
			rt.Fatalf("one day more is not later")
		}
		if got := c.Provisional(d, due.Date); got != due.Provisional {
			rt.Fatalf("provisional %t and %t disagree", got, due.Provisional)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(builtinCSV[:600]))
	f.Add([]byte(`{"year":2027,"papers":["x"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`))
	f.Add([]byte("date,name,kind\n\"2027"))
	f.Fuzz(func(t *testing.T, b []byte) {
		notices, err := Parse(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		c := Builtin()
		for _, n := range notices {
			if c, err = c.With(n); err != nil {
				t.Fatalf("Parse accepted what With refuses: %v", err)
			}
			for _, d := range n.Days {
				if c.IsWorkday(d.Date) == d.Off {
					t.Fatalf("%s: the notice does not hold", d.Date)
				}
			}
		}
	})
}
