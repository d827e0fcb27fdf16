// Package warehousetest holds the one suite that every database the warehouse
// runs on must pass, and sources of rows for tests.
package warehousetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// Each runs body on a fresh warehouse on SQLite and on PostgreSQL.
func Each(t *testing.T, body func(t *testing.T, s *warehouse.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { body(t, Open(t, dbtest.PostgresURL(t))) })
}

// SQLite opens a fresh warehouse in the test's own folder.
func SQLite(t testing.TB) *warehouse.Store {
	t.Helper()
	return Open(t, "sqlite:"+filepath.Join(t.TempDir(), "warehouse.db"))
}

// Open opens the warehouse at an address until the test ends.
func Open(t testing.TB, url string) *warehouse.Store {
	t.Helper()
	s, err := warehouse.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Rows is a source of rows given as cells; rows are numbered from 1.
func Rows(rows ...[]string) warehouse.Source { return &source{rows: rows} }

type source struct {
	rows  [][]string
	at    int
	block *tabular.Block
	fail  error // after the rows
}

func (s *source) Next(ctx context.Context) (*tabular.Block, error) {
	if s.at == len(s.rows) {
		if s.fail != nil {
			return nil, s.fail
		}
		return nil, io.EOF
	}
	if s.block == nil {
		s.block = tabular.NewBlock()
	}
	s.block.Reset()
	for n := 0; n < 3 && s.at < len(s.rows); n++ { // small blocks, so that tests cross them
		for _, cell := range s.rows[s.at] {
			s.block.AddString(cell)
		}
		s.at++
		s.block.EndRow(int64(s.at))
	}
	return s.block, nil
}

// Generated is a source of n rows that make fills, in blocks of 1,024.
func Generated(n int, fill func(b *tabular.Block, row int)) warehouse.Source {
	return &generated{n: n, fill: fill, block: tabular.NewBlock()}
}

type generated struct {
	n, at int
	fill  func(b *tabular.Block, row int)
	block *tabular.Block
}

func (g *generated) Next(ctx context.Context) (*tabular.Block, error) {
	if g.at == g.n {
		return nil, io.EOF
	}
	g.block.Reset()
	for i := 0; i < 1024 && g.at < g.n; i++ {
		g.fill(g.block, g.at)
		g.at++
		g.block.EndRow(int64(g.at))
	}
	return g.block, nil
}

// At is the time of the suite's batches.
var At = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

// People is a table with every type, keyed by c1.
func People(resource string) warehouse.Table {
	return warehouse.Table{Resource: resource, Key: []string{"c1"}, Columns: []warehouse.Column{
		{Name: "c1", Type: warehouse.Text},
		{Name: "c2", Type: warehouse.Text},
		{Name: "c3", Type: warehouse.Integer},
		{Name: "c4", Type: warehouse.Decimal, Scale: 2},
		{Name: "c5", Type: warehouse.Float},
		{Name: "c6", Type: warehouse.Date},
		{Name: "c7", Type: warehouse.Time},
		{Name: "c8", Type: warehouse.Bool},
	}}
}

var people = [][]string{
	{"a1", "林小满", "41", "1050.50", "119.296", "1985-02-28", "2026-03-01T08:00:00+08:00", "1"},
	{"a2", "陈\"引号\"，逗号", "-7", "-0.05", "0.1", "1900-03-01", "2026-03-01T08:00:00.250+08:00", "0"},
	{"a3", "", "", "", "", "", "", ""},
	{"a4", "𠮷野\n第二行", "9223372036854775807", "9999999999999999.99", "-123456789.125", "2024-02-29", "1969-12-31T23:59:59+08:00", "1"},
}

// Run is the suite.
func Run(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(t *testing.T, s *warehouse.Store)
	}{
		{"values come back as they were", values},
		{"a batch is applied once", once},
		{"a failed batch leaves nothing", atomic},
		{"modes", modes},
		{"a key several times in a batch", repeats},
		{"changes since a token", changes},
		{"a row filter hides deletions it cannot tell", filteredChanges},
		{"point reads", points},
		{"point reads of many at once", manyPoints},
		{"filters", filters},
		{"statistics", statistics},
		{"existence", existence},
		{"migration", migration},
		{"rebuild", rebuild},
		{"erasure", erasure},
		{"sample", sample},
		{"drop", drop},
		{"refusals", refusals},
		{"a stream keeps its snapshot", snapshot},
		{"a stream can be left", left},
		{"two nodes", nodes},
	} {
		t.Run(c.name, func(t *testing.T) { Each(t, c.body) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *warehouse.Store, resource, batch string, mode warehouse.Mode, rows ...[]string) warehouse.Marker {
	t.Helper()
	m, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: resource, Batch: batch, Mode: mode, At: At, Source: Rows(rows...)})
	must(t, err)
	return m
}

// Dump reads the whole table as canonical text, in the order of stamps, each row
// preceded by "batch:row" when stamped.
func Dump(t testing.TB, s *warehouse.Store, resource string, stamped bool) [][]string {
	t.Helper()
	out, _ := since(t, s, warehouse.ScanSpec{Resource: resource}, stamped)
	return out
}

func since(t testing.TB, s *warehouse.Store, spec warehouse.ScanSpec, stamped bool) ([][]string, warehouse.Token) {
	t.Helper()
	var out [][]string
	var info warehouse.ScanInfo
	token, err := s.Scan(context.Background(), spec, func(i warehouse.ScanInfo) error { info = i; return nil }, func(c warehouse.Change) error {
		var row []string
		columns := info.Columns
		switch c.Kind {
		case warehouse.Reset:
			out = append(out, []string{"reset"})
			return nil
		case warehouse.Deleted:
			row = append(row, "deleted")
			columns = info.Key
		}
		if stamped {
			row = append(row, fmt.Sprintf("%d:%d", c.Batch, c.Number))
		}
		for i, v := range c.Row {
			row = append(row, strings.Clone(columns[i].Format(v)))
		}
		out = append(out, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, token
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func isKind(t *testing.T, err error, kind errs.Kind) {
	t.Helper()
	if errs.KindOf(err) != kind {
		t.Errorf("got error %v, want kind %s", err, kind)
	}
}

func values(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	must(t, s.EnsureTable(t.Context(), People("r1"))) // again changes nothing
	m := load(t, s, "r1", "b1", warehouse.Append, people...)
	equal(t, "marker", m, warehouse.Marker{Resource: "r1", Batch: "b1", No: 1, Mode: warehouse.Append, At: At, Given: 4, Inserted: 4})
	equal(t, "rows", Dump(t, s, "r1", false), people)
	n, err := s.Count(t.Context(), "r1")
	must(t, err)
	equal(t, "count", n, int64(4))
	d, err := s.Digest(t.Context(), "r1")
	must(t, err)
	// The same on every database, whatever the order of rows.
	equal(t, "digest", d, warehouse.RowDigest{Rows: 4, Sum: digestOf(people)})
	must(t, s.EnsureTable(t.Context(), People("r2")))
	load(t, s, "r2", "b1", warehouse.Append, people[3], people[1])
	load(t, s, "r2", "b2", warehouse.Append, people[0], people[2])
	d2, err := s.Digest(t.Context(), "r2")
	must(t, err)
	equal(t, "digest in another order", d2, d)
	load(t, s, "r2", "b3", warehouse.Append, []string{"a5"})
	d3, err := s.Digest(t.Context(), "r2")
	must(t, err)
	if d3.Sum == d.Sum {
		t.Error("another row does not change the digest")
	}
}

// digestOf computes a digest the slow, obvious way.
func digestOf(rows [][]string) string {
	sum := new(big.Int)
	for _, row := range rows {
		var text []byte
		for _, cell := range row {
			if cell == "" {
				text = append(text, 0)
				continue
			}
			text = append(text, 1)
			text = binary.BigEndian.AppendUint32(text, uint32(len(cell)))
			text = append(text, cell...)
		}
		h := sha256.Sum256(text)
		sum.Add(sum, new(big.Int).SetBytes(h[:]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
	return fmt.Sprintf("%064x", sum)
}

func once(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	first := load(t, s, "r1", "b1", warehouse.Append, people...)
	again := load(t, s, "r1", "b1", warehouse.Append, people...)
	if !again.Repeated {
		t.Error("a repeated batch is not told so")
	}
	again.Repeated = false
	equal(t, "repeated marker", again, first)
	equal(t, "rows", len(Dump(t, s, "r1", false)), 4)
	m, found, err := s.Marker(t.Context(), "r1", "b1")
	must(t, err)
	equal(t, "marker by id", m, first)
	if !found {
		t.Error("marker not found")
	}
	if _, found, err := s.Marker(t.Context(), "r1", "b2"); found || err != nil {
		t.Errorf("a batch that never came: found %v, %v", found, err)
	}
}

func atomic(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	broken := errors.New("the file ended early")
	for _, mode := range []warehouse.Mode{warehouse.Append, warehouse.Upsert, warehouse.Replace, warehouse.Delete} {
		_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b2", Mode: mode, At: At,
			Source: &source{rows: [][]string{{"z1"}, {"a1", "other"}}, fail: broken}})
		if mode == warehouse.Append {
			if err == nil {
				t.Error("append of an existing key did not fail")
			}
			continue
		}
		if !errors.Is(err, broken) {
			t.Errorf("%s: got %v, want the source's own error", mode, err)
		}
	}
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b3", Mode: warehouse.Append, At: At, Source: Rows([]string{"n1"}, []string{"a2"})})
	isKind(t, err, errs.Conflict)
	_, err = s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b4", Mode: warehouse.Replace, At: At, Source: Rows([]string{"n1"}, []string{"n1"})})
	isKind(t, err, errs.Conflict)
	equal(t, "rows", Dump(t, s, "r1", false), people)
	if _, found, _ := s.Marker(t.Context(), "r1", "b2"); found {
		t.Error("a failed batch has a marker")
	}
	n, err := s.Count(t.Context(), "r1")
	must(t, err)
	equal(t, "count", n, int64(4))
}

func modes(t *testing.T, s *warehouse.Store) {
	table := warehouse.Table{Resource: "r1", Key: []string{"c2", "c1"}, Columns: []warehouse.Column{
		{Name: "c1", Type: warehouse.Integer}, {Name: "c2", Type: warehouse.Text}, {Name: "c3", Type: warehouse.Text}}}
	must(t, s.EnsureTable(t.Context(), table))
	load(t, s, "r1", "b1", warehouse.Append, []string{"1", "x", "one"}, []string{"2", "x", "two"}, []string{"1", "y", "three"})

	m := load(t, s, "r1", "b2", warehouse.Upsert,
		[]string{"1", "x", "one"},  // the same: untouched
		[]string{"2", "x", "deux"}, // changed twice in the batch: one row updated, and the last counts
		[]string{"2", "x", "zwei"},
		[]string{"3", "x", "new"},   // new
		[]string{"4", "x", "first"}, // twice in the batch: the last counts
		[]string{"4", "x", "last"})
	equal(t, "upsert", []int64{m.Given, m.Inserted, m.Updated}, []int64{6, 2, 1})
	equal(t, "after upsert", Dump(t, s, "r1", true), [][]string{
		{"1:1", "1", "x", "one"}, {"1:3", "1", "y", "three"}, {"2:3", "2", "x", "zwei"}, {"2:4", "3", "x", "new"}, {"2:6", "4", "x", "last"}})

	m, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b3", Mode: warehouse.Delete, At: At,
		Columns: []string{"c2", "c1"}, Source: Rows([]string{"x", "1"}, []string{"q", "1"}, []string{"x", "4"})})
	must(t, err)
	equal(t, "delete", []int64{m.Given, m.Deleted, m.Missed}, []int64{3, 2, 1})
	n, err := s.Count(t.Context(), "r1")
	must(t, err)
	equal(t, "count", n, int64(3))

	// A batch that gives only some columns leaves the others of existing rows alone.
	_, err = s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b4", Mode: warehouse.Upsert, At: At,
		Columns: []string{"c1", "c2"}, Source: Rows([]string{"2", "x"}, []string{"9", "x"})})
	must(t, err)
	equal(t, "after partial upsert", Dump(t, s, "r1", false), [][]string{{"1", "y", "three"}, {"2", "x", "zwei"}, {"3", "x", "new"}, {"9", "x", ""}})

	m = load(t, s, "r1", "b5", warehouse.Replace, []string{"7", "z", "only"})
	equal(t, "replace", []int64{m.Inserted, m.Deleted}, []int64{1, 4})
	equal(t, "after replace", Dump(t, s, "r1", true), [][]string{{"5:1", "7", "z", "only"}})
	load(t, s, "r1", "b6", warehouse.Replace)
	equal(t, "replaced by nothing", len(Dump(t, s, "r1", true)), 0)
	must(t, s.Sweep(t.Context(), time.Now()))
	load(t, s, "r1", "b7", warehouse.Append, []string{"7", "z", "back"})
	all, err := s.Markers(t.Context(), "r1")
	must(t, err)
	equal(t, "batches", len(all), 7)

	_, err = s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b8", Mode: "merge", At: At, Source: Rows()})
	isKind(t, err, errs.Invalid)

	bare := warehouse.Table{Resource: "r2", Columns: []warehouse.Column{{Name: "c1", Type: warehouse.Text}}}
	must(t, s.EnsureTable(t.Context(), bare))
	load(t, s, "r2", "b1", warehouse.Append, []string{"same"}, []string{"same"})
	for _, mode := range []warehouse.Mode{warehouse.Upsert, warehouse.Delete} {
		_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r2", Batch: "b2", Mode: mode, At: At, Source: Rows([]string{"same"})})
		isKind(t, err, errs.Invalid)
	}
	load(t, s, "r2", "b3", warehouse.Replace, []string{"other"})
	equal(t, "keyless", Dump(t, s, "r2", false), [][]string{{"other"}})
}

// repeats holds upserts, in which keys come several times, against the meaning that
// [warehouse.Marker] gives, kept here line by line.
func repeats(t *testing.T, s *warehouse.Store) {
	table := warehouse.Table{Resource: "r1", Key: []string{"c1"}, Columns: []warehouse.Column{
		{Name: "c1", Type: warehouse.Text}, {Name: "c2", Type: warehouse.Text}, {Name: "c3", Type: warehouse.Integer}}}
	must(t, s.EnsureTable(t.Context(), table))
	type line struct{ stamp, key, text, number string }
	held := map[string]line{}
	upsert := func(no int, rows [][]string) {
		t.Helper()
		before := maps.Clone(held)
		written := map[string]bool{}
		for i, r := range rows {
			l := line{fmt.Sprintf("%d:%d", no, i+1), r[0], r[1], r[2]}
			old, found := before[l.key]
			if written[l.key] = written[l.key] || !found || old.text != l.text || old.number != l.number; written[l.key] {
				held[l.key] = l
			}
		}
		var want [2]int64
		for key, w := range written {
			if _, found := before[key]; !w {
			} else if found {
				want[1]++
			} else {
				want[0]++
			}
		}
		m := load(t, s, "r1", fmt.Sprint("b", no), warehouse.Upsert, rows...)
		if got := [2]int64{m.Inserted, m.Updated}; got != want {
			t.Errorf("batch %d: inserted and updated %v, want %v", no, got, want)
		}
		lines := slices.Collect(maps.Values(held))
		var all [][]string
		for _, l := range lines {
			all = append(all, []string{l.stamp, l.key, l.text, l.number})
		}
		got := Dump(t, s, "r1", true)
		slices.SortFunc(all, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
		slices.SortFunc(got, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
		equal(t, fmt.Sprint("after batch ", no), got, all)
	}
	upsert(1, [][]string{{"a", "x", "1"}, {"b", "x", ""}, {"c", "", "3"}})
	upsert(2, [][]string{
		{"a", "y", "1"}, {"a", "x", "1"}, // changed and changed back: written, so updated
		{"b", "x", ""}, {"b", "z", ""}, // the same, then changed
		{"c", "q", "3"}, {"c", "q", "3"}, // changed, then the same once more
		{"d", "n", ""}, {"d", "n", ""}}) // new, twice
	upsert(3, [][]string{{"a", "x", "1"}, {"a", "x", "1"}}) // never changed: not written
	random := rand.New(rand.NewPCG(1, 2))
	for no := 4; no < 24; no++ {
		var rows [][]string
		for range random.IntN(12) {
			rows = append(rows, []string{string(rune('a' + random.IntN(6))), []string{"", "x", "y"}[random.IntN(3)], []string{"", "1"}[random.IntN(2)]})
		}
		upsert(no, rows)
	}
}

func changes(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	scan := func(token warehouse.Token, limit int64) ([][]string, warehouse.Token) {
		t.Helper()
		back, err := warehouse.ParseToken(token.String())
		must(t, err)
		equal(t, "token", back, token)
		return since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token, Columns: []string{"c1", "c3"}, Limit: limit}, false)
	}
	part, token := scan(warehouse.Token{}, 3)
	equal(t, "first three", part, [][]string{{"a1", "41"}, {"a2", "-7"}, {"a3", ""}})
	rest, token := scan(token, 0)
	equal(t, "resumed", rest, [][]string{{"a4", "9223372036854775807"}})
	none, same := scan(token, 0)
	equal(t, "nothing new", none, [][]string(nil))
	equal(t, "token stays", same, token)

	load(t, s, "r1", "b2", warehouse.Upsert, []string{"a1", "林小满", "42"}, []string{"a5", "", "5"})
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b3", Mode: warehouse.Delete, At: At, Columns: []string{"c1"}, Source: Rows([]string{"a2"}, []string{"a4"})})
	must(t, err)
	load(t, s, "r1", "b4", warehouse.Append, []string{"a2", "", "22"})
	got, next := scan(token, 0)
	equal(t, "changes", got, [][]string{{"a1", "42"}, {"a5", "5"}, {"deleted", "a2"}, {"deleted", "a4"}, {"a2", "22"}})
	got, _ = scan(next, 0)
	equal(t, "seen all", got, [][]string(nil))

	// A consumer that follows by tokens holds what a full read gives.
	load(t, s, "r1", "b5", warehouse.Replace, []string{"n1", "", "1"}, []string{"n2", "", "2"})
	got, next = scan(next, 0)
	equal(t, "after replace", got, [][]string{{"reset"}, {"n1", "1"}, {"n2", "2"}})
	load(t, s, "r1", "b6", warehouse.Append, []string{"n3", "", "3"})
	got, _ = scan(next, 0)
	equal(t, "after the reset", got, [][]string{{"n3", "3"}})

	_, err = s.Scan(t.Context(), warehouse.ScanSpec{Resource: "r1", Since: warehouse.Token{Seq: 99 << 32}}, nil, func(warehouse.Change) error { return nil })
	isKind(t, err, errs.Invalid)
	for _, bad := range []string{"-1", "x y", "99999999999999999999"} {
		_, err := warehouse.ParseToken(bad)
		isKind(t, err, errs.Invalid)
	}
}

func filteredChanges(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, []string{"a1", "east"}, []string{"a2", "west"}, []string{"a3", "east"})
	east := warehouse.Filter{{Column: "c2", Op: warehouse.Eq, Values: []warehouse.Value{warehouse.StringValue("east")}}}
	spec := warehouse.ScanSpec{Resource: "r1", Columns: []string{"c1"}, Filter: east}
	got, token := since(t, s, spec, false)
	equal(t, "east", got, [][]string{{"a1"}, {"a3"}})
	spec.Since = token
	load(t, s, "r1", "b2", warehouse.Append, []string{"a4", "east"}, []string{"a5", "west"})
	got, token = since(t, s, spec, false)
	equal(t, "appended", got, [][]string{{"a4"}})
	spec.Since = token
	// a1 moves west and a2, never granted, goes: a stream by this filter can tell
	// neither, and must not name a2.
	load(t, s, "r1", "b3", warehouse.Upsert, []string{"a1", "west"})
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b4", Mode: warehouse.Delete, At: At, Columns: []string{"c1"}, Source: Rows([]string{"a2"})})
	must(t, err)
	got, _ = since(t, s, spec, false)
	equal(t, "starts over", got, [][]string{{"reset"}, {"a3"}, {"a4"}})
	// A filter on the key can tell.
	spec.Filter = warehouse.Filter{{Column: "c1", Op: warehouse.Prefix, Values: []warehouse.Value{warehouse.StringValue("a2")}}}
	got, _ = since(t, s, spec, false)
	equal(t, "by key", got, [][]string{{"deleted", "a2"}})
}

func points(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	p, err := s.Point(t.Context(), warehouse.PointSpec{Resource: "r1", Key: []string{"c1"}, Columns: []string{"c2", "c4", "c6"}, Limit: 5})
	must(t, err)
	var rows warehouse.Rows
	read := func(p *warehouse.Point, key ...warehouse.Value) [][]string {
		t.Helper()
		must(t, p.Read(t.Context(), &rows, key))
		var out [][]string
		for i := range rows.Len() {
			var row []string
			for j, v := range rows.Row(i) {
				row = append(row, rows.Columns[j].Format(v))
			}
			out = append(out, row)
		}
		return out
	}
	key := warehouse.StringValue
	equal(t, "a2", read(p, key("a2")), [][]string{{"陈\"引号\"，逗号", "-0.05", "1900-03-01"}})
	equal(t, "a3", read(p, key("a3")), [][]string{{"", "", ""}})
	equal(t, "absent", read(p, key("a9")), [][]string(nil))
	equal(t, "null", read(p, warehouse.Value{}), [][]string(nil))
	equal(t, "injection", read(p, key("' OR '1'='1")), [][]string(nil))
	isKind(t, p.Read(t.Context(), &rows, []warehouse.Value{warehouse.NumberValue(1)}), errs.Invalid)
	isKind(t, p.Read(t.Context(), &rows, nil), errs.Invalid)

	// A row filter of a grant holds beside the key.
	f, err := s.Point(t.Context(), warehouse.PointSpec{Resource: "r1", Key: []string{"c1"}, Columns: []string{"c3"}, Limit: 1,
		Filter: warehouse.Filter{{Column: "c3", Op: warehouse.Gt, Values: []warehouse.Value{warehouse.NumberValue(0)}}}})
	must(t, err)
	equal(t, "allowed", read(f, key("a1")), [][]string{{"41"}})
	equal(t, "filtered", read(f, key("a2")), [][]string(nil))

	// Not the key: an index by the way.
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c8", "c6"}))
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c6", "c8"}))
	g, err := s.Point(t.Context(), warehouse.PointSpec{Resource: "r1", Key: []string{"c6", "c8"}, Columns: []string{"c1"}, Limit: 1})
	must(t, err)
	day, err := warehouse.Column{Type: warehouse.Date}.Parse("1985-02-28")
	must(t, err)
	equal(t, "by date and flag", read(g, day, warehouse.NumberValue(1)), [][]string{{"a1"}})

	// The compiled read follows the table through a replace and a migration.
	load(t, s, "r1", "b2", warehouse.Replace, []string{"a2", "new", "1", "3.10"})
	must(t, s.Sweep(t.Context(), time.Now()))
	equal(t, "after replace", read(p, key("a2")), [][]string{{"new", "3.10", ""}})
	equal(t, "gone with replace", read(p, key("a1")), [][]string(nil))
	wider := People("r1")
	wider.Columns[3].Scale = 4
	must(t, s.Migrate(t.Context(), wider))
	equal(t, "after migration", read(p, key("a2")), [][]string{{"new", "3.1000", ""}})

	for _, bad := range []warehouse.PointSpec{
		{Resource: "r1", Key: []string{"c1"}, Limit: 0},
		{Resource: "r1", Key: nil, Limit: 1},
		{Resource: "r1", Key: []string{"c99"}, Limit: 1},
		{Resource: "r1", Key: []string{"c1"}, Columns: []string{"c1; DROP TABLE x"}, Limit: 1},
		{Resource: "r1", Key: []string{"c1"}, Filter: warehouse.Filter{{Column: "c3", Op: warehouse.Eq, Values: []warehouse.Value{key("1")}}}, Limit: 1},
	} {
		_, err := s.Point(t.Context(), bad)
		isKind(t, err, errs.Invalid)
	}
	_, err = s.Point(t.Context(), warehouse.PointSpec{Resource: "none", Key: []string{"c1"}, Limit: 1})
	isKind(t, err, errs.NotFound)
}

// manyPoints: reads that share a round trip each get their own rows, also when one
// among them is refused because another process has replaced its table.
func manyPoints(t *testing.T, s *warehouse.Store) {
	const rows, callers, reads = 200, 48, 40
	other, err := s.Again(t.Context())
	must(t, err)
	defer other.Close()
	var compiled []*warehouse.Point
	fill := func(resource, batch string) {
		t.Helper()
		source := Generated(rows, func(b *tabular.Block, row int) {
			b.AddString(strconv.Itoa(row + 1))
			b.AddString(resource + " " + strconv.Itoa(row+1))
			for range 6 {
				b.Add(nil)
			}
		})
		_, err := other.Load(t.Context(), warehouse.LoadSpec{Resource: resource, Batch: batch, Mode: warehouse.Replace, At: At, Source: source})
		must(t, err)
	}
	resources := []string{"r1", "r2"}
	for _, r := range resources {
		must(t, s.EnsureTable(t.Context(), People(r)))
		fill(r, "first")
		p, err := s.Point(t.Context(), warehouse.PointSpec{Resource: r, Key: []string{"c1"}, Columns: []string{"c2"}, Limit: 1})
		must(t, err)
		compiled = append(compiled, p)
	}
	var group sync.WaitGroup
	faults := make(chan error, callers)
	for c := range callers {
		group.Go(func() {
			var got warehouse.Rows
			for i := range reads {
				which, row := (c+i)%2, strconv.Itoa((c*reads+i)%rows+1)
				if err := compiled[which].Read(t.Context(), &got, []warehouse.Value{warehouse.StringValue(row)}); err != nil {
					faults <- err
					return
				}
				if want := resources[which] + " " + row; got.Len() != 1 || got.Row(0)[0].S != want {
					faults <- fmt.Errorf("asked for %q, got %d rows", want, got.Len())
					return
				}
			}
		})
	}
	fill("r2", "again")
	must(t, other.Sweep(t.Context(), time.Now()))
	group.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
}

func filters(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append,
		[]string{"a1", "鼓楼区", "1", "1.00", "0.5", "2026-01-01"},
		[]string{"a2", "台江区", "2", "2.50", "1.5", "2026-01-02"},
		[]string{"a3", "鼓山镇", "3", "-3.00", "2.5", "2026-01-03"},
		[]string{"a4", "", "", "", "", ""},
		[]string{"a5", "100%_\\'区", "5", "5.00", "4.5", "2026-01-05"})
	text, n := warehouse.StringValue, warehouse.NumberValue
	cond := func(column string, op warehouse.Op, values []warehouse.Value) warehouse.Cond {
		return warehouse.Cond{Column: column, Op: op, Values: values}
	}
	type vs = []warehouse.Value
	for _, c := range []struct {
		filter warehouse.Filter
		want   string
	}{
		{nil, "a1 a2 a3 a4 a5"},
		{warehouse.Filter{cond("c2", warehouse.Eq, vs{text("台江区")})}, "a2"},
		{warehouse.Filter{cond("c2", warehouse.Ne, vs{text("台江区")})}, "a1 a3 a5"},
		{warehouse.Filter{cond("c3", warehouse.Lt, vs{n(2)})}, "a1"},
		{warehouse.Filter{cond("c3", warehouse.Le, vs{n(2)})}, "a1 a2"},
		{warehouse.Filter{cond("c4", warehouse.Ge, vs{n(250)})}, "a2 a5"},
		{warehouse.Filter{cond("c4", warehouse.Gt, vs{n(-400)}), cond("c3", warehouse.Gt, vs{n(1)})}, "a2 a3 a5"},
		{warehouse.Filter{cond("c5", warehouse.Gt, vs{warehouse.FloatValue(1.5)})}, "a3 a5"},
		{warehouse.Filter{cond("c3", warehouse.In, vs{n(1), n(5), n(77)})}, "a1 a5"},
		{warehouse.Filter{cond("c3", warehouse.NotIn, vs{n(1), n(5)})}, "a2 a3"},
		{warehouse.Filter{cond("c3", warehouse.Between, vs{n(2), n(3)})}, "a2 a3"},
		{warehouse.Filter{cond("c2", warehouse.IsNull, nil)}, "a4"},
		{warehouse.Filter{cond("c2", warehouse.NotNull, nil)}, "a1 a2 a3 a5"},
		{warehouse.Filter{cond("c2", warehouse.Prefix, vs{text("鼓")})}, "a1 a3"},
		{warehouse.Filter{cond("c2", warehouse.Prefix, vs{text("100%_")})}, "a5"},
		{warehouse.Filter{cond("c2", warehouse.Prefix, vs{text("\U0010FFFF")})}, ""},
		{warehouse.Filter{cond("c2", warehouse.Contains, vs{text("区")})}, "a1 a2 a5"},
		{warehouse.Filter{cond("c2", warehouse.Contains, vs{text("%")})}, "a5"},
		{warehouse.Filter{cond("c2", warehouse.Eq, vs{text("x' OR 1=1 --")})}, ""},
	} {
		rows, _ := since(t, s, warehouse.ScanSpec{Resource: "r1", Columns: []string{"c1"}, Filter: c.filter}, false)
		var got []string
		for _, r := range rows {
			got = append(got, r[0])
		}
		equal(t, fmt.Sprintf("%v", c.filter), strings.Join(got, " "), c.want)
	}
	for _, bad := range []warehouse.Cond{
		cond("c9", warehouse.Eq, vs{text("x")}),
		cond("c2", "like", vs{text("x")}),
		cond("c2", warehouse.Eq, nil),
		cond("c2", warehouse.Eq, vs{text("x"), text("y")}),
		cond("c2", warehouse.Eq, vs{n(1)}),
		cond("c3", warehouse.Prefix, vs{n(1)}),
		cond("c3", warehouse.In, slices.Repeat(vs{n(1)}, 1001)),
	} {
		_, err := s.Scan(t.Context(), warehouse.ScanSpec{Resource: "r1", Filter: warehouse.Filter{bad}}, nil, func(warehouse.Change) error { return nil })
		isKind(t, err, errs.Invalid)
	}
}

func statistics(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append,
		[]string{"p1", "east", "10", "1.10", "0.5", "2026-01-01"},
		[]string{"p2", "east", "20", "2.20", "1.5", "2026-01-02"},
		[]string{"p3", "west", "9223372036854775807", "3.30", "2.5", "2026-01-03"},
		[]string{"p4", "west", "9223372036854775807", "", "", "2026-01-03"},
		[]string{"p5", "", "-5", "-0.10", "8", ""})
	text := func(rows *warehouse.Rows) [][]string {
		var out [][]string
		for i := range rows.Len() {
			var row []string
			for j, v := range rows.Row(i) {
				row = append(row, rows.Columns[j].Format(v))
			}
			out = append(out, row)
		}
		slices.SortFunc(out, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
		return out
	}
	m := func(f warehouse.Function, c string) warehouse.Measure {
		return warehouse.Measure{Function: f, Column: c}
	}
	rows, err := s.Stats(t.Context(), warehouse.StatsSpec{Resource: "r1", By: []string{"c2"}, Limit: 10, Persons: "c1",
		Measures: []warehouse.Measure{m(warehouse.CountOf, ""), m(warehouse.CountOf, "c4"), m(warehouse.SumOf, "c4"), m(warehouse.AvgOf, "c4"), m(warehouse.MinOf, "c6"), m(warehouse.MaxOf, "c5"), m(warehouse.DistinctOf, "c6")}})
	must(t, err)
	equal(t, "groups", text(rows), [][]string{
		{"", "1", "1", "1", "-0.10", "-0.1", "", "8", "0", "1"},
		{"east", "2", "2", "2", "3.30", "1.65", "2026-01-01", "1.5", "2", "2"},
		{"west", "2", "2", "1", "3.30", "3.3", "2026-01-03", "2.5", "1", "2"}})

	rows, err = s.Stats(t.Context(), warehouse.StatsSpec{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m(warehouse.SumOf, "c3"), m(warehouse.SumOf, "c5")},
		Filter: warehouse.Filter{{Column: "c3", Op: warehouse.Lt, Values: []warehouse.Value{warehouse.NumberValue(100)}}}})
	must(t, err)
	equal(t, "one group", text(rows), [][]string{{"3", "25", "10"}})
	rows, err = s.Stats(t.Context(), warehouse.StatsSpec{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m(warehouse.SumOf, "c3")}})
	must(t, err)
	equal(t, "beyond 64 bits", text(rows), [][]string{{"5", "18446744073709552000"}})
	rows, err = s.Stats(t.Context(), warehouse.StatsSpec{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m(warehouse.SumOf, "c4"), m(warehouse.MaxOf, "c2")},
		Filter: warehouse.Filter{{Column: "c1", Op: warehouse.Eq, Values: []warehouse.Value{warehouse.StringValue("none")}}}})
	must(t, err)
	equal(t, "no rows", text(rows), [][]string{{"0", "", ""}})

	_, err = s.Stats(t.Context(), warehouse.StatsSpec{Resource: "r1", By: []string{"c1"}, Limit: 4})
	isKind(t, err, errs.TooLarge)
	for _, bad := range []warehouse.StatsSpec{
		{Resource: "r1", By: []string{"c2 --"}, Limit: 1},
		{Resource: "r1", Limit: 1, Persons: "x"},
		{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m(warehouse.SumOf, "c2")}},
		{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m("median", "c3")}},
		{Resource: "r1", Limit: 1, Measures: []warehouse.Measure{m(warehouse.SumOf, "")}},
		{Resource: "r1", Limit: 0},
	} {
		_, err := s.Stats(t.Context(), bad)
		isKind(t, err, errs.Invalid)
	}
}

func existence(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	b := tabular.NewBlock()
	for i, row := range [][]string{{"x", "a1", "41"}, {"x", "a1", "42"}, {"x", "", "41"}, {"x", "a2", "-7"}, {"x", "a2", "seven"}, {"x", "b", "1"}} {
		for _, cell := range row {
			b.AddString(cell)
		}
		b.EndRow(int64(i + 1))
	}
	out := make([]bool, b.Len())
	must(t, s.Exists(t.Context(), "r1", []string{"c1"}, b, []int{1}, out))
	equal(t, "by key", out, []bool{true, true, false, true, true, false})
	must(t, s.Exists(t.Context(), "r1", []string{"c3", "c1"}, b, []int{2, 1}, out))
	equal(t, "by two columns", out, []bool{true, false, false, true, false, false})
	isKind(t, s.Exists(t.Context(), "r1", []string{"q"}, b, []int{1}, out), errs.Invalid)
}

func migration(t *testing.T, s *warehouse.Store) {
	base := warehouse.Table{Resource: "r1", Key: []string{"c1"}, Columns: []warehouse.Column{
		{Name: "c1", Type: warehouse.Text}, {Name: "c2", Type: warehouse.Text, Length: 5}, {Name: "c3", Type: warehouse.Text}}}
	must(t, s.EnsureTable(t.Context(), base))
	load(t, s, "r1", "b1", warehouse.Append, []string{"k1", "甲乙丙丁戊", "12"}, []string{"k2", "短", "7.5"}, []string{"k3", "", ""})
	_, token := since(t, s, warehouse.ScanSpec{Resource: "r1"}, false)
	before := Dump(t, s, "r1", true)

	with := func(columns ...warehouse.Column) warehouse.Table {
		return warehouse.Table{Resource: "r1", Key: base.Key, Columns: columns}
	}
	isKind(t, s.EnsureTable(t.Context(), with(base.Columns[0])), errs.Conflict)

	// Refused with the exact reason and place, and nothing changed.
	for _, c := range []struct {
		to    warehouse.Table
		field string
		words []string
	}{
		{with(base.Columns[0], warehouse.Column{Name: "c2", Type: warehouse.Text, Length: 4}, base.Columns[2]), "c2", []string{"1 ", "4", "1:1"}},
		{with(base.Columns[0], base.Columns[1], warehouse.Column{Name: "c3", Type: warehouse.Integer}), "c3", []string{"1 ", "integer", "1:2"}},
		{with(base.Columns[0], base.Columns[1], warehouse.Column{Name: "c3", Type: warehouse.Date}), "c3", []string{"2 ", "date", "1:1, 1:2"}},
		{warehouse.Table{Resource: "r1", Key: []string{"c2"}, Columns: base.Columns}, "c2", []string{"1 "}},
		{warehouse.Table{Resource: "r1", Key: []string{"c9"}, Columns: append(slices.Clone(base.Columns), warehouse.Column{Name: "c9", Type: warehouse.Text})}, "c9", []string{"3 "}},
	} {
		for _, err := range []error{s.CheckMigration(t.Context(), c.to), s.Migrate(t.Context(), c.to)} {
			isKind(t, err, errs.Conflict)
			e, ok := errs.As(err)
			if !ok || len(e.Problems) != 1 || e.Problems[0].Field != c.field {
				t.Fatalf("%v: got %v", c.to, err)
			}
			for _, w := range c.words {
				if !strings.Contains(e.Problems[0].Text.EN, w) || !strings.Contains(e.Problems[0].Text.ZH, w) {
					t.Errorf("%v: %q is not in %v", c.to, w, e.Problems[0].Text)
				}
			}
		}
	}
	equal(t, "unchanged", Dump(t, s, "r1", true), before)

	// Widen, add: metadata only, tokens go on.
	wide := with(base.Columns[0], warehouse.Column{Name: "c2", Type: warehouse.Text, Length: 50}, base.Columns[2], warehouse.Column{Name: "c4", Type: warehouse.Integer})
	must(t, s.CheckMigration(t.Context(), wide))
	must(t, s.Migrate(t.Context(), wide))
	must(t, s.Migrate(t.Context(), wide))
	load(t, s, "r1", "b2", warehouse.Append, []string{"k4", "later", "1", "4"})
	got, _ := since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token}, false)
	equal(t, "goes on", got, [][]string{{"k4", "later", "1", "4"}})

	// Another type that all rows fit: rewritten, stamps kept, tokens start over.
	number := with(wide.Columns[0], wide.Columns[1], warehouse.Column{Name: "c3", Type: warehouse.Decimal, Scale: 2}, wide.Columns[3])
	must(t, s.Migrate(t.Context(), number))
	equal(t, "rewritten", Dump(t, s, "r1", true), [][]string{
		{"1:1", "k1", "甲乙丙丁戊", "12.00", ""}, {"1:2", "k2", "短", "7.50", ""}, {"1:3", "k3", "", "", ""}, {"2:1", "k4", "later", "1.00", "4"}})
	got, _ = since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token}, false)
	equal(t, "starts over", got[0], []string{"reset"})

	// Drop a column, give up the key, take another.
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c4"}))
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c2"}))
	must(t, s.Migrate(t.Context(), with(number.Columns[0], number.Columns[1], number.Columns[2])))
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c3"}))
	equal(t, "dropped", Dump(t, s, "r1", false)[3], []string{"k4", "later", "1.00"})
	must(t, s.Migrate(t.Context(), warehouse.Table{Resource: "r1", Columns: number.Columns[:3]}))
	load(t, s, "r1", "b3", warehouse.Append, []string{"k4", "again", "9.00"})
	isKind(t, s.Migrate(t.Context(), warehouse.Table{Resource: "r1", Key: []string{"c1"}, Columns: number.Columns[:3]}), errs.Conflict)
	load(t, s, "r1", "b4", warehouse.Replace, []string{"k4", "later", "1.00"}, []string{"k4", "again", "9.00"})
	must(t, s.Migrate(t.Context(), warehouse.Table{Resource: "r1", Key: []string{"c1", "c3"}, Columns: number.Columns[:3]}))
	load(t, s, "r1", "b5", warehouse.Upsert, []string{"k4", "third", "9.00"})
	equal(t, "by the new key", Dump(t, s, "r1", false), [][]string{{"k4", "later", "1.00"}, {"k4", "third", "9.00"}})
}

func rebuild(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	raw := map[string][][]string{
		"b1": people,
		"b2": {{"a1", "改", "1"}, {"a9", "", "9"}},
		"b3": {{"a2"}},
		"b4": {{"late"}},
	}
	at := map[string]time.Time{"b1": At, "b2": At.Add(time.Hour), "b3": At.Add(2 * time.Hour), "b4": At.Add(3 * time.Hour)}
	put := func(batch string, mode warehouse.Mode) {
		t.Helper()
		spec := warehouse.LoadSpec{Resource: "r1", Batch: batch, Mode: mode, At: at[batch], Source: Rows(raw[batch]...)}
		_, err := s.Load(t.Context(), spec)
		must(t, err)
	}
	put("b1", warehouse.Append)
	put("b2", warehouse.Upsert)
	put("b3", warehouse.Delete)
	must(t, s.EnsureIndex(t.Context(), "r1", []string{"c2"}))
	_, token := since(t, s, warehouse.ScanSpec{Resource: "r1", Limit: 1}, false)
	rowsBefore := Dump(t, s, "r1", true)
	digestBefore, err := s.Digest(t.Context(), "r1")
	must(t, err)
	sinceBefore, _ := since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token}, true)

	replay := func(r *warehouse.Rebuild) {
		t.Helper()
		pending, err := r.Pending(t.Context())
		must(t, err)
		for _, m := range pending {
			done, err := r.Load(t.Context(), m, nil, Rows(raw[m.Batch]...))
			must(t, err)
			equal(t, "replayed "+m.Batch, done, m)
		}
	}
	r, err := s.BeginRebuild(t.Context(), "r1")
	must(t, err)
	replay(r)
	equal(t, "readers see the old rows", Dump(t, s, "r1", true), rowsBefore)
	put("b4", warehouse.Append) // arrives meanwhile
	isKind(t, r.Swap(t.Context()), errs.Conflict)
	replay(r)
	must(t, r.Swap(t.Context()))
	must(t, s.Sweep(t.Context(), time.Now()))
	equal(t, "rows", Dump(t, s, "r1", true), append(slices.Clone(rowsBefore), []string{"4:1", "late", "", "", "", "", "", "", ""}))
	sinceAfter, _ := since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token}, true)
	equal(t, "changes", sinceAfter[:len(sinceBefore)], sinceBefore)

	_, err = s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b5", Mode: warehouse.Delete, At: At, Source: Rows([]string{"late"})})
	must(t, err)
	raw["b5"] = [][]string{{"late"}}
	d, err := s.Digest(t.Context(), "r1")
	must(t, err)
	equal(t, "digest", d, digestBefore)

	// From a replace on; and a rebuild that is given up changes nothing.
	raw["b6"] = [][]string{{"only"}}
	at["b6"] = At
	put("b6", warehouse.Replace)
	r, err = s.BeginRebuild(t.Context(), "r1")
	must(t, err)
	pending, err := r.Pending(t.Context())
	must(t, err)
	equal(t, "batches since the replace", len(pending), 1)
	must(t, r.Abort(t.Context()))
	r, err = s.BeginRebuild(t.Context(), "r1")
	must(t, err)
	replay(r)
	must(t, r.Swap(t.Context()))
	equal(t, "after replace", Dump(t, s, "r1", true), [][]string{{"6:1", "only", "", "", "", "", "", "", ""}})
	n, err := s.Count(t.Context(), "r1")
	must(t, err)
	equal(t, "count", n, int64(1))
	load(t, s, "r1", "b7", warehouse.Append, []string{"more"})
}

func erasure(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	load(t, s, "r1", "b2", warehouse.Append, []string{"leaked", "秘密"}, []string{"leaked2"})
	_, token := since(t, s, warehouse.ScanSpec{Resource: "r1"}, false)
	n, err := s.EraseBatch(t.Context(), "r1", "b2")
	must(t, err)
	equal(t, "erased", n, int64(2))
	equal(t, "rows", Dump(t, s, "r1", false), people)
	count, err := s.Count(t.Context(), "r1")
	must(t, err)
	equal(t, "count", count, int64(4))
	m, _, err := s.Marker(t.Context(), "r1", "b2")
	must(t, err)
	if !m.Erased {
		t.Error("the marker does not tell")
	}
	got, _ := since(t, s, warehouse.ScanSpec{Resource: "r1", Since: token}, false)
	equal(t, "consumers start over", got[0], []string{"reset"})
	r, err := s.BeginRebuild(t.Context(), "r1")
	must(t, err)
	pending, err := r.Pending(t.Context())
	must(t, err)
	equal(t, "a rebuild skips it", len(pending), 1)
	must(t, r.Abort(t.Context()))
	_, err = s.EraseBatch(t.Context(), "r1", "none")
	isKind(t, err, errs.NotFound)
}

func sample(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	for b := range 4 {
		_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: fmt.Sprint("b", b), Mode: warehouse.Append, At: At, Columns: []string{"c1", "c3"},
			Source: Generated(100, func(bl *tabular.Block, row int) {
				bl.AddString(fmt.Sprintf("k%d-%d", b, row))
				bl.AddString(fmt.Sprint(b))
			})})
		must(t, err)
	}
	rows, err := s.Sample(t.Context(), "r1", []string{"c3"}, 8)
	must(t, err)
	var got []int64
	for i := range rows.Len() {
		got = append(got, rows.Row(i)[0].N)
	}
	equal(t, "two of each batch", got, []int64{0, 0, 1, 1, 2, 2, 3, 3})
	rows, err = s.Sample(t.Context(), "r1", nil, 1000)
	must(t, err)
	equal(t, "all", rows.Len(), 400)

	// Pages: of the whole table, whose batches leave gaps in the stamps, of one
	// batch without gaps, and of filtered rows.
	page := func(filter warehouse.Filter, offset int64, limit int) string {
		t.Helper()
		rows, err := s.Page(t.Context(), "r1", []string{"c1"}, filter, offset, limit)
		must(t, err)
		var keys []string
		for i := range rows.Len() {
			keys = append(keys, strings.Clone(rows.Row(i)[0].S))
		}
		return strings.Join(keys, " ")
	}
	of := func(batch int64) warehouse.Filter {
		return warehouse.Filter{{Column: "c3", Op: warehouse.Eq, Values: []warehouse.Value{warehouse.NumberValue(batch)}}}
	}
	equal(t, "first page", page(nil, 0, 2), "k0-0 k0-1")
	equal(t, "over a gap", page(nil, 99, 2), "k0-99 k1-0")
	equal(t, "filtered", page(of(2), 98, 5), "k2-98 k2-99")
	equal(t, "beyond", page(of(2), 100, 5), "")
	n, err := s.CountUpTo(t.Context(), "r1", of(2), 1000)
	must(t, err)
	equal(t, "counted", n, int64(100))
	n, err = s.CountUpTo(t.Context(), "r1", of(2), 30)
	must(t, err)
	equal(t, "counted so far", n, int64(30))
	_, err = s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "whole", Mode: warehouse.Replace, At: At, Columns: []string{"c1"},
		Source: Generated(50, func(bl *tabular.Block, row int) { bl.AddString(fmt.Sprint("w", row)) })})
	must(t, err)
	equal(t, "without gaps", page(nil, 48, 5), "w48 w49")
}

func drop(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	must(t, s.Drop(t.Context(), "r1"))
	_, err := s.Count(t.Context(), "r1")
	isKind(t, err, errs.NotFound)
	isKind(t, s.Drop(t.Context(), "r1"), errs.NotFound)
	must(t, s.EnsureTable(t.Context(), People("r1")))
	equal(t, "anew", load(t, s, "r1", "b1", warehouse.Append, people...).No, int64(1))
}

func refusals(t *testing.T, s *warehouse.Store) {
	column := func(name string, typ warehouse.Type) []warehouse.Column {
		return []warehouse.Column{{Name: name, Type: typ}}
	}
	for name, bad := range map[string]warehouse.Table{
		"resource":   {Resource: "r'; DROP", Columns: column("c1", warehouse.Text)},
		"no columns": {Resource: "r1"},
		"name":       {Resource: "r1", Columns: column("名称", warehouse.Text)},
		"name 2":     {Resource: "r1", Columns: column("c1 TEXT); --", warehouse.Text)},
		"type":       {Resource: "r1", Columns: column("c1", "geometry")},
		"twice":      {Resource: "r1", Columns: append(column("c1", warehouse.Text), column("c1", warehouse.Text)...)},
		"key":        {Resource: "r1", Columns: column("c1", warehouse.Text), Key: []string{"c2"}},
		"scale":      {Resource: "r1", Columns: []warehouse.Column{{Name: "c1", Type: warehouse.Decimal, Scale: 13}}},
	} {
		err := s.EnsureTable(t.Context(), bad)
		if errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, s.EnsureTable(t.Context(), People("r1")))
	for name, c := range map[string]struct {
		columns []string
		row     []string
		field   string
	}{
		"integer":        {[]string{"c1", "c3"}, []string{"k", "4x"}, "c3"},
		"decimal digits": {[]string{"c1", "c4"}, []string{"k", "1.005"}, "c4"},
		"decimal size":   {[]string{"c1", "c4"}, []string{"k", "12345678901234567"}, "c4"},
		"float digits":   {[]string{"c1", "c5"}, []string{"k", "350102198502281234"}, "c5"},
		"float words":    {[]string{"c1", "c5"}, []string{"k", "NaN"}, "c5"},
		"date":           {[]string{"c1", "c6"}, []string{"k", "2025-02-29"}, "c6"},
		"time":           {[]string{"c1", "c7"}, []string{"k", "2025-02-28 10:00"}, "c7"},
		"bool":           {[]string{"c1", "c8"}, []string{"k", "yes"}, "c8"},
		"nul":            {[]string{"c1", "c2"}, []string{"k", "a\x00b"}, "c2"},
		"empty key":      {[]string{"c1", "c2"}, []string{"", "x"}, "c1"},
		"unknown":        {[]string{"c1", "c77"}, []string{"k", "x"}, "c77"},
		"twice":          {[]string{"c1", "c1"}, []string{"k", "x"}, "c1"},
		"no key":         {[]string{"c2"}, []string{"x"}, "c1"},
	} {
		for _, mode := range []warehouse.Mode{warehouse.Append, warehouse.Upsert} {
			_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "bad", Mode: mode, At: At, Columns: c.columns,
				Source: Rows(c.row)})
			e, ok := errs.As(err)
			if !ok || e.Kind != errs.Invalid || e.Field != c.field {
				t.Errorf("%s, %s: %v", name, mode, err)
			}
		}
	}
	equal(t, "nothing stored", len(Dump(t, s, "r1", false)), 0)
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "none", Batch: "b", Mode: warehouse.Append, At: At, Source: Rows()})
	isKind(t, err, errs.NotFound)
}

func snapshot(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	many := func(n int, value string) warehouse.Source {
		return Generated(n, func(b *tabular.Block, row int) { b.AddString(fmt.Sprint("k", row)); b.AddString(value) })
	}
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b1", Mode: warehouse.Append, At: At, Columns: []string{"c1", "c2"}, Source: many(5000, "old")})
	must(t, err)
	seen := 0
	_, err = s.Scan(t.Context(), warehouse.ScanSpec{Resource: "r1", Columns: []string{"c2"}}, nil, func(c warehouse.Change) error {
		if seen++; seen == 10 {
			// A replace and a load come while the stream is under way; neither
			// waits for it, and it sees neither.
			_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b2", Mode: warehouse.Replace, At: At, Columns: []string{"c1", "c2"}, Source: many(20, "new")})
			if err != nil {
				return err
			}
		}
		if c.Row[0].S != "old" {
			return fmt.Errorf("row %d is %q", seen, c.Row[0].S)
		}
		return nil
	})
	must(t, err)
	equal(t, "rows of the stream", seen, 5000)
	equal(t, "rows now", len(Dump(t, s, "r1", false)), 20)
}

func left(t *testing.T, s *warehouse.Store) {
	must(t, s.EnsureTable(t.Context(), People("r1")))
	_, err := s.Load(t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: "b1", Mode: warehouse.Append, At: At, Columns: []string{"c1"},
		Source: Generated(20000, func(b *tabular.Block, row int) { b.AddString(fmt.Sprint("k", row)) })})
	must(t, err)
	enough := errors.New("enough")
	for range 60 { // more often than there are connections
		n := 0
		token, err := s.Scan(t.Context(), warehouse.ScanSpec{Resource: "r1"}, nil, func(c warehouse.Change) error {
			if n++; n == 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatalf("got %v, want the visitor's error", err)
		}
		equal(t, "token", token.Seq, int64(1<<32+2))
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err = s.Scan(ctx, warehouse.ScanSpec{Resource: "r1"}, nil, func(c warehouse.Change) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n > 3+256 {
		t.Errorf("after cancel: %v, %d rows", err, n)
	}
}

// nodes: a second process on the same database follows within its cache's age.
func nodes(t *testing.T, s *warehouse.Store) {
	other, err := s.Again(t.Context())
	must(t, err)
	defer other.Close()
	must(t, s.EnsureTable(t.Context(), People("r1")))
	load(t, s, "r1", "b1", warehouse.Append, people...)
	p, err := other.Point(t.Context(), warehouse.PointSpec{Resource: "r1", Key: []string{"c1"}, Columns: []string{"c2"}, Limit: 1})
	must(t, err)
	var rows warehouse.Rows
	must(t, p.Read(t.Context(), &rows, []warehouse.Value{warehouse.StringValue("a1")}))
	equal(t, "seen", rows.Len(), 1)
	load(t, s, "r1", "b2", warehouse.Replace, []string{"a1", "new"})
	must(t, s.Sweep(t.Context(), time.Now()))
	must(t, p.Read(t.Context(), &rows, []warehouse.Value{warehouse.StringValue("a1")}))
	equal(t, "seen after replace", rows.Row(0)[0].S, "new")
}
