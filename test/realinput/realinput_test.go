// Package realinput sends real public files through intake as a department
// would: registered in the catalog, uploaded, checked, stored, with an expected
// result each. The files are not part of the repository; where they are absent
// the tests say so. Replicas of their quirks, under testdata, run always.
package realinput

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// dataDir is the folder of real files: GONGSHU_REALDATA, or shared/data beside
// the repository.
func dataDir(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("GONGSHU_REALDATA"), filepath.Join("..", "..", "..", "shared", "data"), filepath.Join("..", "..", "..", "..", "shared", "data")} {
		if dir == "" {
			continue
		}
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
	}
	t.Skip("the folder of real files is not here: set GONGSHU_REALDATA to it, or put it at ../shared/data beside the repository")
	return ""
}

// expect is what must come of a file.
type expect struct {
	accepted, rejected int64
	// reasons counts the faults by rule.
	reasons map[string]int64
	// refused is a part of the English sentence with which the file is refused.
	refused string
	kind    errs.Kind
}

// input is a file and the resource it is for.
type input struct {
	file string
	// items corrects what Propose made of the columns, by column name.
	items map[string]func(it *catalog.Item)
	// noKey: the table has no key.
	noKey bool
	// foreign: no table by any reading; it is sent to a table of divisions.
	foreign bool
	change  func(up *intake.Upload)
	expect  expect
	// spot are rows of which the stored table must hold each, cells joined by "|".
	spot []string
}

// register makes the resource for a file from what the file looks like, as the
// catalog's wizard does, with the department's corrections.
func register(t *testing.T, w *intaketest.World, name string, f tabular.File, over intake.Upload, in input) (*catalog.Resource, error) {
	t.Helper()
	var p *tabular.Preview
	var err error
	if over.HeaderRow > 0 || over.Layout.Records != "" || over.Layout.Sheet != "" {
		base, err := tabular.InspectFormat(context.Background(), f, tabular.Limits{})
		if err != nil {
			return nil, err
		}
		l := base.Layout
		l.Records, l.Sheet = over.Layout.Records, over.Layout.Sheet
		if over.HeaderRow > 0 {
			l.HeaderFrom, l.HeaderTo, l.DataFrom = over.HeaderRow, over.HeaderRow, over.HeaderRow+1
		}
		if p, err = tabular.Reinspect(f, l, tabular.Limits{}, nil); err != nil {
			return nil, err
		}
	} else if p, err = tabular.Inspect(context.Background(), f, tabular.Limits{}, nil); err != nil {
		return nil, err
	}
	var items []catalog.Item
	for i, c := range tabular.Propose(p.Layout.Columns, p.Sample, nil) {
		it := catalog.Item{Name: c.Name, Code: fmt.Sprintf("f%d", i+1), Type: catalog.ItemType(c.Type), Required: c.Key, Key: c.Key && !in.noKey}
		switch c.Type {
		case 'N':
			it.Scale = max(c.Scale, 2)
		case 'C': // the sample does not hold the longest
			it.Length = max(4*c.Length, 200)
			if c.Key {
				it.Length = c.Length
			}
		}
		if change := in.items[c.Name]; change != nil {
			change(&it)
		}
		items = append(items, it)
	}
	return w.Table(name, items...), nil
}

func send(t *testing.T, w *intaketest.World, r *catalog.Resource, f tabular.File, change func(up *intake.Upload)) (*intake.Batch, error) {
	t.Helper()
	up := intaketest.Upload(r, path.Base(f.Name))
	if change != nil {
		change(&up)
	}
	body, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	return w.Send(up, body)
}

// check holds what came of a batch against what was expected.
func check(t *testing.T, w *intaketest.World, r *catalog.Resource, b *intake.Batch, err error, e expect) {
	t.Helper()
	if e.refused != "" {
		if err == nil && b != nil && b.State == intake.Failed {
			err = errs.New(errs.Invalid, *b.Failure)
		}
		got, ok := errs.As(err)
		if !ok || !strings.Contains(got.Text.EN, e.refused) || e.kind != "" && got.Kind != e.kind {
			t.Errorf("got %v, want a refusal that says %q", err, e.refused)
		}
		if ok && got.Text.ZH == "" {
			t.Error("the refusal has no Chinese words")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if b.State != intake.Done {
		t.Fatalf("%s: %v", b.State, b.Failure)
	}
	if b.Accepted != e.accepted || b.Rejected != e.rejected || b.Total != b.Accepted+b.Rejected {
		t.Errorf("accepted %d, rejected %d of %d; want %d and %d", b.Accepted, b.Rejected, b.Total, e.accepted, e.rejected)
	}
	tallies, err := w.Intake.Tallies(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, x := range tallies {
		got[x.Code] += x.Count
	}
	for _, code := range slices.Sorted(keys(got, e.reasons)) {
		if got[code] != e.reasons[code] {
			t.Errorf("reason %s: %d times, want %d", code, got[code], e.reasons[code])
		}
	}
	n, err := w.Warehouse.Count(t.Context(), r.ID)
	if err != nil || n < b.Inserted {
		t.Errorf("%d rows stored, %v", n, err)
	}
}

func keys(maps ...map[string]int64) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for k := range m {
				if !seen[k] {
					seen[k] = true
					if !yield(k) {
						return
					}
				}
			}
		}
	}
}

// world opens a city on SQLite; test data is not kept.
func world(t *testing.T) *intaketest.World {
	t.Helper()
	return intaketest.Open(t, dbtest.SQLite(t), "", "")
}

// members lists the files of a tar.gz in order.
func members(t *testing.T, file string) []tabular.File {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []tabular.File
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, tabular.Bytes(h.Name, content))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// notes are the lines of the table in docs/real-input.md, written to the file
// that GONGSHU_REALINPUT_TABLE names.
var notes []string

func note(in input, b *intake.Batch) {
	if b == nil {
		notes = append(notes, fmt.Sprintf("| %s | refused: …%s… | | | |", in.file, in.expect.refused))
		return
	}
	l := b.Layout
	how := string(l.Format)
	switch {
	case l.Format == tabular.CSV:
		how = fmt.Sprintf("csv, %s, `%s`, %s", l.Encoding, strings.ReplaceAll(l.Delimiter, "\t", "tab"), l.LineEnd)
	case l.Sheet != "":
		how += ", sheet " + l.Sheet
	case l.Records != "":
		how += ", records in " + l.Records
	}
	header := "none"
	if l.HeaderFrom > 0 {
		header = fmt.Sprint("row ", l.HeaderFrom)
		if l.HeaderTo > l.HeaderFrom {
			header = fmt.Sprintf("rows %d–%d", l.HeaderFrom, l.HeaderTo)
		}
	} else if l.Format == tabular.JSON {
		header = "keys"
	}
	var why []string
	for _, code := range slices.Sorted(keys(in.expect.reasons)) {
		why = append(why, fmt.Sprintf("%s %d", code, in.expect.reasons[code]))
	}
	notes = append(notes, fmt.Sprintf("| %s | %s; header %s | %d | %d | %s |", in.file, how, header, b.Accepted, b.Rejected, strings.Join(why, ", ")))
}

func writeNotes(t *testing.T) {
	if file := os.Getenv("GONGSHU_REALINPUT_TABLE"); file != "" {
		table := "| file | read as | accepted | rejected | reasons (times) |\n|---|---|--:|--:|---|\n" + strings.Join(notes, "\n") + "\n"
		if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// again registers a second table like one that exists, with the word on why.
func again(t *testing.T, w *intaketest.World, name string, items ...catalog.Item) *catalog.Resource {
	t.Helper()
	r := catalogtest.Licences()
	r.Name, r.Items = name, items
	r.Source.Overlap = "比对两种格式的同一天数据"
	for i := range r.Items {
		r.Items[i].Grade = 1
	}
	return w.Publish(t, r)
}

func stored(t *testing.T, w *intaketest.World, r *catalog.Resource, spot []string) {
	t.Helper()
	if len(spot) == 0 {
		return
	}
	want := map[string]bool{}
	for _, s := range spot {
		want[s] = true
	}
	for _, row := range w.Rows(r) {
		delete(want, row)
	}
	for s := range want {
		t.Errorf("not stored: %s", s)
	}
}

// TestRealFiles sends every CSV, XLSX and JSON file.
func TestRealFiles(t *testing.T) {
	dir := dataDir(t)
	done := map[string]bool{}
	defer writeNotes(t)
	for _, in := range inputs {
		done[in.file] = true
		t.Run(strings.ReplaceAll(in.file, "/", "_"), func(t *testing.T) {
			w := world(t)
			f := tabular.Path(filepath.Join(dir, filepath.FromSlash(in.file)))
			probe := intake.Upload{}
			if in.change != nil {
				in.change(&probe)
			}
			if in.foreign {
				r := w.Table("行政区划", catalog.Item{Name: "代码", Code: "code", Type: "C", Length: 12, Key: true}, catalog.Item{Name: "名称", Code: "name", Type: "C", Length: 100})
				b, err := send(t, w, r, f, in.change)
				check(t, w, r, b, err, in.expect)
				note(in, nil)
				return
			}
			r, err := register(t, w, "实样数据", f, probe, in)
			if err != nil {
				check(t, w, nil, nil, err, in.expect)
				note(in, nil)
				// The same file sent to a registered table is refused too, and leaves nothing.
				other := w.Table("别的数据", catalog.Item{Name: "代码", Code: "code", Type: "C", Length: 12, Key: true})
				if _, err := send(t, w, other, f, in.change); err == nil {
					t.Error("a file that is no table was taken in")
				}
				if _, n, _ := w.Intake.List(t.Context(), intake.Filter{}); n != 0 {
					t.Error("a refused file left a batch")
				}
				return
			}
			b, err := send(t, w, r, f, in.change)
			check(t, w, r, b, err, in.expect)
			note(in, b)
			stored(t, w, r, in.spot)
		})
	}
	// Nothing in the folder is passed over in silence.
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		rel = filepath.ToSlash(rel)
		if !done[rel] && rel != "PROVENANCE.md" && !elsewhere[rel] {
			t.Errorf("%s has no expected result", rel)
		}
		return nil
	})
}

// elsewhere are files with a test of their own.
var elsewhere = map[string]bool{
	"public_health/canghailan_daily_2020-02.tar.gz": true,
	"catalogs/FirstData_china_sources.tar.gz":       true,
}

// TestDailyReports appends the 29 daily files one after the other, as the
// department sent them, and compares the last with the same day in JSON.
func TestDailyReports(t *testing.T) {
	dir := dataDir(t)
	w := world(t)
	key := func(it *catalog.Item) { it.Key, it.Required, it.Type = false, false, catalog.Char }
	in := input{noKey: true, items: map[string]func(*catalog.Item){"countryCode": key, "provinceCode": key, "cityCode": key}}
	files := members(t, filepath.Join(dir, "public_health", "canghailan_daily_2020-02.tar.gz"))
	if len(files) != 29 {
		t.Fatalf("%d daily files", len(files))
	}
	r, err := register(t, w, "每日疫情报告", files[0], intake.Upload{}, in)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, f := range files {
		*w.Clock = w.Clock.AddDate(0, 0, 1)
		b, err := send(t, w, r, f, nil)
		if err != nil || b.State != intake.Done || b.Rejected != 0 || b.Total == 0 {
			t.Fatalf("%s: %+v %v", f.Name, b, err)
		}
		if b.Late() != 0 {
			t.Errorf("%s is late by %v", f.Name, b.Late())
		}
		total += b.Accepted
	}
	if n, _ := w.Warehouse.Count(t.Context(), r.ID); n != total || n != dailyRows {
		t.Errorf("%d rows stored, %d accepted, want %d", n, total, dailyRows)
	}
	// The last day came as JSON too: the same rows.
	r2 := again(t, w, "疫情日报接口推送", func() []catalog.Item {
		items := slices.Clone(r.Items)
		for i := range items {
			items[i].ID, items[i].Column = "", 0
		}
		return items
	}()...)
	r3 := again(t, w, "疫情日报单日文件", func() []catalog.Item {
		items := slices.Clone(r.Items)
		for i := range items {
			items[i].ID, items[i].Column = "", 0
		}
		return items
	}()...)
	if b, err := send(t, w, r2, tabular.Path(filepath.Join(dir, "public_health", "canghailan_2020-02-29.json")), nil); err != nil || b.Accepted != 570 {
		t.Fatalf("JSON: %+v %v", b, err)
	}
	if b, err := send(t, w, r3, files[28], nil); err != nil || b.Accepted != 570 {
		t.Fatalf("CSV: %+v %v", b, err)
	}
	a, b := w.Rows(r2), w.Rows(r3)
	sort.Strings(a)
	sort.Strings(b)
	if !slices.Equal(a, b) {
		t.Error("the same day in CSV and in JSON gives different rows")
	}
}

// TestCatalogEntriesAreRefused: 412 nested JSON objects, each a clear refusal.
func TestCatalogEntriesAreRefused(t *testing.T) {
	dir := dataDir(t)
	files := members(t, filepath.Join(dir, "catalogs", "FirstData_china_sources.tar.gz"))
	if len(files) != 412 {
		t.Errorf("%d files", len(files))
	}
	for _, f := range files {
		_, err := tabular.Inspect(t.Context(), f, tabular.Limits{}, nil)
		if e, ok := errs.As(err); !ok || e.Kind != errs.Invalid && e.Kind != errs.Unsupported || e.Text.ZH == "" {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

// TestVillagesStandStill sends all villages, finds known ones, and rebuilds them
// from the raw batch to identical rows.
func TestVillagesStandStill(t *testing.T) {
	dir := dataDir(t)
	w := world(t)
	f := tabular.Path(filepath.Join(dir, "admin_divisions", "china-division_villages.csv.gz"))
	r, err := register(t, w, "村级区划", f, intake.Upload{}, input{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Items[0].Key || r.Items[0].Type != catalog.Char {
		t.Fatalf("the code is not a text key: %+v", r.Items[0])
	}
	b, err := send(t, w, r, f, nil)
	check(t, w, r, b, err, expect{accepted: 620573})
	n, err := w.Warehouse.Count(t.Context(), r.ID)
	if err != nil || n != 620573 {
		t.Errorf("%d rows, %v", n, err)
	}
	for prefix, want := range map[string]int64{"35": 17498, "44": 26842} {
		var got int64
		_, err := w.Warehouse.Scan(t.Context(), warehouse.ScanSpec{Resource: r.ID, Columns: []string{"c1"}}, nil, func(c warehouse.Change) error {
			if c.Kind == warehouse.Written && strings.HasPrefix(c.Row[0].S, prefix) {
				got++
			}
			return nil
		})
		if err != nil || got != want {
			t.Errorf("province %s: %d villages, want %d (%v)", prefix, got, want, err)
		}
	}
	// Sent again, every row is kept off: the keys are stored already.
	again, err := send(t, w, r, f, nil)
	check(t, w, r, again, err, expect{rejected: 620573, reasons: map[string]int64{"duplicate": 620573}})
	page, total, err := w.Intake.Problems(t.Context(), intaketest.Steward(), again.ID, quality.Which{}, "", 620570, 10)
	if err != nil || total != 620573 || len(page) != 3 || page[2].Row != 620574 {
		t.Errorf("the last problem rows: %d of %d, %v", len(page), total, err)
	}
}
