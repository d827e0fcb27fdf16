package quality_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/quality"
	"gongshu/tabular"
)

// run checks rows (cells separated by "|") and returns what failed as
// "row item code" and the good rows as text.
func run(t testing.TB, r *catalog.Resource, opt quality.Options, rows ...string) (faults, good []string) {
	t.Helper()
	e, err := quality.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	if opt.Mapping == nil {
		for i := range r.Items {
			opt.Mapping = append(opt.Mapping, i)
		}
	}
	if opt.Today == "" {
		opt.Today = "2026-11-21"
	}
	q, err := e.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	in, out := tabular.NewBlock(), tabular.NewBlock()
	for i, row := range rows {
		for _, c := range strings.Split(row, "|") {
			in.AddString(c)
		}
		in.EndRow(int64(i + 2))
	}
	err = q.Check(context.Background(), in, out, func(in *tabular.Block, r int, fs []quality.Fault) error {
		for _, f := range fs {
			if f.Text.ZH == "" || f.Text.EN == "" {
				t.Errorf("fault %s of %s has no words in one language", f.Code, f.Item)
			}
			faults = append(faults, strings.TrimSpace(fmt.Sprintf("%d %s %s", in.Number(r), f.Item, f.Code)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for r := range out.Len() {
		var cells []string
		for c := range out.Width(r) {
			cells = append(cells, string(out.Cell(r, c)))
		}
		good = append(good, strings.Join(cells, "|"))
	}
	accepted, rejected := q.Counts()
	if int(accepted) != out.Len() || int(accepted+rejected) != len(rows) {
		t.Errorf("counts %d+%d do not add up to %d rows (%d good)", accepted, rejected, len(rows), out.Len())
	}
	return faults, good
}

func resource(items ...catalog.Item) *catalog.Resource {
	for i := range items {
		items[i].ID = fmt.Sprintf("i%d", i+1)
		items[i].Column = i + 1
		if items[i].Name == "" {
			items[i].Name = fmt.Sprintf("项%d", i+1)
		}
		if items[i].Type == "" {
			items[i].Type = catalog.Char
		}
	}
	return &catalog.Resource{ID: "r1", Code: "3010010/0001", Items: items}
}

func TestEveryRule(t *testing.T) {
	for _, c := range []struct {
		name string
		item catalog.Item
		good []string // input=stored
		bad  map[string]string
	}{
		{"required", catalog.Item{Required: true}, []string{"x=x", " x　=x"}, map[string]string{"": "required", "　 ": "required"}},
		{"text stays text", catalog.Item{}, []string{"0591=0591", "NA=NA", "001.0=001.0", "1,234=1,234", "=", "null=null"}, nil},
		{"integer", catalog.Item{Type: "I"}, []string{"12=12", "-3=-3", "007=7", "1,234,567=1234567", "2014.0=2014", "+5=5", "9223372036854775807=9223372036854775807"},
			map[string]string{"1.5": "type", "x": "type", "12,34": "type", "9223372036854775808": "type", "1e3": "type", "－1": "type", "-": "type"}},
		{"decimal of two", catalog.Item{Type: "N", Scale: 2}, []string{"1.5=1.5", "1,234.50=1234.50", ".5=0.5", "-0.00=0.00", "12.500=12.50"}, map[string]string{"1.555": "type", "1.": "type", "0x1": "type", "1,23": "type"}},
		{"money", catalog.Item{Type: "Y", Scale: 2}, []string{"¥1,200.00=1200.00", "￥5=5"}, map[string]string{"$5": "type"}},
		{"float", catalog.Item{Type: "F"}, []string{"1e3=1000", "0.1=0.1"}, map[string]string{"NaN": "type", "Inf": "type", "0x1p-2": "type"}},
		{"date", catalog.Item{Type: "D"}, []string{"2024-02-29=2024-02-29", "2024/2/9=2024-02-09", "20240209=2024-02-09", "2024年2月9日=2024-02-09", "2024-02-09 00:00:00=2024-02-09"},
			map[string]string{"2023-02-29": "type", "2024-13-01": "type", "01-01-13": "type", "2024-02-09 08:00": "type", "2024": "type"}},
		{"time", catalog.Item{Type: "T"}, []string{"2024-02-09 08:01=2024-02-09T08:01:00+08:00", "2024-02-09T00:00:00Z=2024-02-09T08:00:00+08:00", "2024-02-09=2024-02-09T00:00:00+08:00", "20240209080102=2024-02-09T08:01:02+08:00", "2024-02-09T08:01:02.5+08:00=2024-02-09T08:01:02.500+08:00"},
			map[string]string{"2024-02-09 24:00": "type", "08:00": "type", "2024-02-09 8:1": "type"}},
		{"logical", catalog.Item{Type: "L"}, []string{"是=1", "false=0", "Y=1"}, map[string]string{"2": "type", "maybe": "type"}},
		{"length", catalog.Item{Length: 3}, []string{"福州市=福州市", "abc=abc"}, map[string]string{"福州市鼓": "length", "abcd": "length"}},
		{"digits", catalog.Item{Type: "I", Length: 3}, []string{"-999=-999"}, map[string]string{"1000": "length"}},
		{"range", catalog.Item{Type: "N", Scale: 1, Min: "-10", Max: "99.5"}, []string{"99.5=99.5", "-10.0=-10.0", "9=9"}, map[string]string{"99.6": "range", "-10.1": "range", "100": "range"}},
		{"date range", catalog.Item{Type: "D", Min: "2000-01-01"}, []string{"2000/1/1=2000-01-01"}, map[string]string{"1999-12-31": "range"}},
		{"fixed pattern", catalog.Item{Pattern: `\d{6}`}, []string{"350102=350102"}, map[string]string{"35010": "pattern", "35010x": "pattern", "3501022": "pattern"}},
		{"free pattern", catalog.Item{Pattern: `A|B+`}, []string{"A=A", "BBB=BBB"}, map[string]string{"AB": "pattern", "C": "pattern"}},
		{"enum", catalog.Item{Enum: []catalog.Code{{Value: "甲"}, {Value: "乙"}}}, []string{"甲=甲"}, map[string]string{"丙": "code_list"}},
		{"code list", catalog.Item{CodeList: "GB/T 2261.1"}, []string{"1=1"}, map[string]string{"3": "code_list"}},
		{"not in the future", catalog.Item{Type: "D", NotFuture: true}, []string{"2026-11-21=2026-11-21"}, map[string]string{"2026-11-22": "future"}},
		{"resident id", catalog.Item{Personal: "resident_id"}, []string{"11010519491231002X=11010519491231002X"}, map[string]string{"110105194912310021": "identifier", "110105194902310021": "identifier", "abc": "identifier"}},
		{"uscc", catalog.Item{Personal: "uscc"}, []string{"91350100M000100Y43=91350100M000100Y43"}, map[string]string{"91350100M000100Y44": "identifier"}},
		{"phone", catalog.Item{Personal: "phone"}, []string{"13800000000=13800000000"}, map[string]string{"12800000000": "identifier", "1380000000": "identifier"}},
		{"bank card", catalog.Item{Personal: "bank_card"}, []string{"6222020000000000000=6222020000000000000"}, map[string]string{"6222020000000000001": "identifier"}},
		{"plate", catalog.Item{Personal: "plate"}, []string{"闽A12345=闽A12345"}, map[string]string{"闽I12345": "identifier"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, g := range c.good {
				in, want, _ := strings.Cut(g, "=")
				faults, good := run(t, resource(c.item), quality.Options{}, in)
				if len(faults) != 0 || len(good) != 1 || good[0] != want {
					t.Errorf("%q: stored %q with faults %v, want %q", in, good, faults, want)
				}
			}
			for in, code := range c.bad {
				faults, _ := run(t, resource(c.item), quality.Options{}, in)
				if diff := cmp.Diff([]string{"2 i1 " + code}, faults); diff != "" {
					t.Errorf("%q: %s", in, diff)
				}
			}
		})
	}
}

func TestRowsAreJudgedWhole(t *testing.T) {
	r := resource(
		catalog.Item{Code: "code", Key: true},
		catalog.Item{Code: "from", Type: "D"},
		catalog.Item{Code: "until", Type: "D"},
		catalog.Item{Code: "mail", Unique: true},
	)
	r.Checks = []catalog.Check{{Name: "order", Expr: "from <= until", ZH: "起始晚于终止", EN: "begins after its end"}}
	faults, good := run(t, r, quality.Options{},
		"a|2024-01-01|2024-01-02|m1",
		"b|2024-01-03|2024-01-02|m2", // order
		"a|2024-01-01||m3",           // repeated key
		"c||2024-01-01|m1",           // repeated unique value; rule not judged
		"d|x|y|",                     // two faults in one row
		"b|2024-01-01|2024-01-02|m4", // the bad b did not take the key
	)
	want := []string{"3  expression", "4  key", "5 i4 unique", "6 i2 type", "6 i3 type"}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a|2024-01-01|2024-01-02|m1", "b|2024-01-01|2024-01-02|m4"}, good); diff != "" {
		t.Error(diff)
	}
}

type known map[string]bool

func (k known) Exists(_ context.Context, resource, item string, b *tabular.Block, c int, out []bool) error {
	for r := range b.Len() {
		out[r] = k[resource+"."+item+"="+string(b.Cell(r, c))]
	}
	return nil
}

func TestReferencesAndStoredKeys(t *testing.T) {
	r := resource(catalog.Item{Key: true, Type: "I"}, catalog.Item{Reference: &catalog.Reference{Resource: "2/1", Item: "i9"}})
	opt := quality.Options{References: known{"2/1.i9=35": true},
		Stored: func(_ context.Context, b *tabular.Block, out []bool) error {
			for i := range out {
				out[i] = string(b.Cell(i, 0)) == "7"
			}
			return nil
		}}
	faults, good := run(t, r, opt, "007|35", "8|36", "9|35", "10|")
	if diff := cmp.Diff([]string{"2  duplicate", "3 i2 reference"}, faults); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"9|35", "10|"}, good); diff != "" {
		t.Error(diff)
	}
}

func TestWrongRulesAreNamed(t *testing.T) {
	for name, r := range map[string]*catalog.Resource{
		"pattern":    resource(catalog.Item{Pattern: "("}),
		"bound":      resource(catalog.Item{Type: "I", Min: "x"}),
		"code list":  resource(catalog.Item{CodeList: "none"}),
		"no items":   resource(),
		"expression": {Items: []catalog.Item{{ID: "i1", Code: "a", Type: "I"}}, Checks: []catalog.Check{{Name: "n", Expr: "a +"}}},
		"not a test": {Items: []catalog.Item{{ID: "i1", Code: "a", Type: "I"}}, Checks: []catalog.Check{{Name: "n", Expr: "a + 1"}}},
		"unknown":    {Items: []catalog.Item{{ID: "i1", Code: "a", Type: "I"}}, Checks: []catalog.Check{{Name: "n", Expr: "b > 1"}}},
	} {
		if _, err := quality.Compile(r); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A table larger than its memory finds every repeat and invents none.
func TestRepeatsBeyondMemory(t *testing.T) {
	r := resource(catalog.Item{Key: true})
	e, err := quality.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	q, err := e.Start(quality.Options{Mapping: []int{0}, Memory: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	in, out := tabular.NewBlock(), tabular.NewBlock()
	const n = 60_000
	for i := range 2 * n {
		in.AddString(fmt.Sprint("key-", i%n))
		in.EndRow(int64(i + 1))
		if in.Len() == 1000 {
			out.Reset()
			if err := q.Check(context.Background(), in, out, func(*tabular.Block, int, []quality.Fault) error { return nil }); err != nil {
				t.Fatal(err)
			}
			in.Reset()
		}
	}
	if a, b := q.Counts(); a != n || b != n {
		t.Errorf("accepted %d, rejected %d, want %d of each", a, b, n)
	}
}

func TestSoundRowsAllocateNothing(t *testing.T) {
	r := resource(catalog.Item{Key: true, Pattern: `\d{12}`}, catalog.Item{Type: "D"}, catalog.Item{Type: "N", Scale: 2, Min: "0"}, catalog.Item{Personal: "phone"}, catalog.Item{Enum: []catalog.Code{{Value: "甲"}}})
	e, err := quality.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	q, err := e.Start(quality.Options{Mapping: []int{0, 1, 2, 3, 4}, RepeatedKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	in, out := tabular.NewBlock(), tabular.NewBlock()
	for i := range 100 {
		for _, c := range []string{"350102001001", "2024/1/2", "12.50", "13800000000", "甲"} {
			in.AddString(c)
		}
		in.EndRow(int64(i))
	}
	sink := func(*tabular.Block, int, []quality.Fault) error { t.Error("a sound row was rejected"); return nil }
	check := func() {
		out.Reset()
		if err := q.Check(context.Background(), in, out, sink); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if n := testing.AllocsPerRun(20, check); n > 0 {
		t.Errorf("%v allocations for 100 sound rows", n)
	}
}

// Whatever the cells hold, every row is either accepted or kept with a reason.
func TestNothingIsLost(t *testing.T) {
	r := resource(catalog.Item{Type: "I", Required: true}, catalog.Item{Type: "T"}, catalog.Item{Personal: "resident_id"}, catalog.Item{Type: "F", Max: "5"}, catalog.Item{Type: "L"})
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.StringMatching(`[0-9年月日:Z+ .|xX-]{0,30}|\PC{0,12}`), 1, 20).Draw(rt, "rows")
		faults, good := run(t, r, quality.Options{}, rows...)
		failed := map[string]bool{}
		for _, f := range faults {
			n, _, _ := strings.Cut(f, " ")
			failed[n] = true
		}
		if len(failed)+len(good) != len(rows) {
			rt.Fatalf("%d rows, %d failed, %d good", len(rows), len(failed), len(good))
		}
	})
}

// Ten built-in rules a row, as PERFORMANCE.md measures validation.
func BenchmarkTenRules(b *testing.B) {
	r := resource(
		catalog.Item{Key: true, Required: true, Pattern: `\d{12}`, Length: 12},
		catalog.Item{Required: true, Length: 50},
		catalog.Item{Personal: "resident_id"},
		catalog.Item{Personal: "phone"},
		catalog.Item{Type: "D", NotFuture: true},
		catalog.Item{CodeList: "GB/T 2261.1"},
		catalog.Item{Type: "N", Scale: 2, Min: "0", Max: "1000000"},
	)
	e, err := quality.Compile(r)
	if err != nil {
		b.Fatal(err)
	}
	in, out := tabular.NewBlock(), tabular.NewBlock()
	n := 0
	fill := func() {
		in.Reset()
		for range 1000 {
			n++
			in.AddString(fmt.Sprintf("%012d", n))
			for _, c := range []string{"鼓楼区东街街道居民委员会", "11010519491231002X", "13800000000", "1980-05-06", "1", "1234.50"} {
				in.AddString(c)
			}
			in.EndRow(int64(n))
		}
	}
	q, err := e.Start(quality.Options{Mapping: []int{0, 1, 2, 3, 4, 5, 6}, Today: "2026-11-21"})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		b.StopTimer()
		fill()
		b.StartTimer()
		out.Reset()
		q.Check(context.Background(), in, out, func(*tabular.Block, int, []quality.Fault) error { b.Fatal("rejected"); return nil })
		rows += 1000
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// TestUnclearDates: a date that could be read as two days is refused with the form
// to use, and one whose month is named is taken.
func TestUnclearDates(t *testing.T) {
	e, err := quality.Compile(resource(catalog.Item{Name: "登记日期", Type: catalog.Date}))
	if err != nil {
		t.Fatal(err)
	}
	q, err := e.Start(quality.Options{Mapping: []int{0}, Today: "2026-11-21"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	in, out := tabular.NewBlock(), tabular.NewBlock()
	for i, v := range []string{"20-Nov-2026", "03/04/2026", "soon"} {
		in.AddString(v)
		in.EndRow(int64(i + 2))
	}
	said := map[int64]errs.Text{}
	if err := q.Check(context.Background(), in, out, func(in *tabular.Block, r int, fs []quality.Fault) error {
		said[in.Number(r)] = fs[0].Text
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 1 || string(out.Cell(0, 0)) != "2026-11-20" || len(said) != 2 {
		t.Fatalf("%d good rows, faults %v", out.Len(), said)
	}
	if why := said[3]; !strings.Contains(why.ZH, "不作猜测") || !strings.Contains(why.ZH, "2026-11-21") || !strings.Contains(why.EN, "is not guessed; write 2026-11-21") {
		t.Errorf("the refusal of 03/04/2026 does not say what to write: %v", why)
	}
	if why := said[4]; strings.Contains(why.ZH, "不作猜测") {
		t.Errorf("what is no date at all is called unclear: %v", why)
	}
}
