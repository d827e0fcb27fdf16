package opendata_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/sha256"
	"encoding/hex"

	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/opendata"
	"gongshu/opendata/opendatatest"
	"gongshu/warehouse"
)

var (
	steward  = catalogtest.Actor(catalogtest.Market, identity.Steward)
	leader   = catalogtest.Actor(catalogtest.Market, identity.Leader)
	reviewer = catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kind(t *testing.T, err error, want errs.Kind, clauses ...string) {
	t.Helper()
	e, ok := errs.As(err)
	if !ok || e.Kind != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	for _, c := range clauses {
		if !slices.Contains(e.Clauses, c) {
			t.Errorf("refusal %v does not cite %s", e, c)
		}
	}
}

// published takes a resource of firms onto the portal.
func published(t *testing.T, w *opendatatest.World, in catalog.Resource, rows [][]string) (*catalog.Resource, *opendata.Dataset) {
	t.Helper()
	r := w.Publish(t, in)
	w.Table(t, r)
	w.Load(t, r, "b1", warehouse.Append, rows...)
	_, err := w.Service.Assess(t.Context(), steward, r.Code, opendatatest.Assessment(r))
	must(t, err)
	e, err := w.Service.Publish(t.Context(), reviewer, r.Code)
	must(t, err)
	must(t, w.Service.Build(t.Context(), r.ID))
	d, err := w.Open.BySlug(t.Context(), e.Slug)
	must(t, err)
	return r, d
}

func TestLifeOfADataset(t *testing.T) {
	clause.Covers(t, "FZM-20", "FZM-21", "FZO-2", "FZO-7", "FZO-11", "FZO-17", "FZO-24", "FZO-25", "FZO-30", "FZM-26", "FZO-15", "FZO-16")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := opendatatest.Open(t, d)
		r, ds := published(t, w, catalogtest.Licences(), opendatatest.Firms(240))
		if ds.Slug != "qi-ye-deng-ji-zhu-ce-xin-xi" || ds.Version != 1 || ds.Rows != 240 || ds.State != opendata.Published || ds.Provider != catalogtest.Market.Name {
			t.Errorf("dataset %+v", ds)
		}
		if len(ds.Items) != 8 || ds.Omitted != 0 || len(ds.Preview) != 20 || len(ds.Files) != 4 {
			t.Errorf("%d items, %d left out, %d preview rows, %d files", len(ds.Items), ds.Omitted, len(ds.Preview), len(ds.Files))
		}
		if p := ds.Items[6].Profile; p.Present != 240 || p.Distinct != 3 || len(p.Top) != 3 || p.Top[0].Label == "" {
			t.Errorf("profile of the district: %+v", p)
		}
		if ds.Chart == nil || ds.Chart.Kind != "line" || ds.Chart.Item != "成立日期" || len(ds.Chart.Points) != 30 {
			t.Errorf("chart %+v", ds.Chart)
		}
		// The terms say that results name source and date (FZM-26, FZO-15) and that misuse
		// closes access (FZO-16); the dataset gives the words to cite it by.
		for _, want := range [][2]string{{"注明数据来源和取得日期", "state the source and the date"}, {"限制或关闭访问", "access is limited or closed"}} {
			if !strings.Contains(ds.Licence.Terms.ZH, want[0]) || !strings.Contains(ds.Licence.Terms.EN, want[1]) {
				t.Errorf("the terms lack %q", want)
			}
		}
		for _, id := range []string{"FZM-26", "FZO-15", "FZO-16"} {
			if !slices.Contains(ds.Licence.Clauses, id) {
				t.Errorf("the terms do not cite %s", id)
			}
		}
		cite := ds.Cite("福州市公共数据开放平台", "https://data.example/datasets/"+ds.Slug, time.Date(2026, 5, 6, 20, 0, 0, 0, time.UTC)).ZH
		for _, want := range []string{ds.Provider, ds.Title, "第 1 版", "https://data.example/datasets/" + ds.Slug, "2026-05-07 取得"} {
			if !strings.Contains(cite, want) {
				t.Errorf("the citation %q lacks %q", cite, want)
			}
		}
		// Files are whole: digest, size, and each format gives the same table.
		for _, f := range ds.Files {
			file, meta, err := w.Open.OpenFile(ctx, ds, 0, f.Format)
			must(t, err)
			b, err := io.ReadAll(file)
			must(t, err)
			file.Close()
			sum := sha256.Sum256(b)
			if meta.Size != int64(len(b)) || meta.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: size or digest is wrong", f.Format)
			}
			if n, first := rowsOf(t, f.Format, b); n != 240 || first != "福州甲科技有限公司，分部0" {
				t.Errorf("%s holds %d rows, first %q", f.Format, n, first)
			}
		}

		// A new batch makes a new version; the old one's files stay for a while.
		*w.Clock = w.Clock.Add(24 * time.Hour)
		w.Load(t, r, "b2", warehouse.Append, []string{"91350100MA9999999X", "新公司", "1100", "1.00", "2026-01-15", "五四路", "350102", "存续"})
		must(t, w.Service.FollowBatches(ctx))
		must(t, w.Service.FollowBatches(ctx)) // nothing new: nothing happens
		ds2, err := w.Open.BySlug(ctx, ds.Slug)
		must(t, err)
		if ds2.Version != 2 || ds2.Rows != 241 || len(ds2.Versions) != 2 || !ds2.DataAt.Equal(w.Clock.Truncate(time.Millisecond)) || !ds2.FirstAt.Equal(ds.FirstAt) {
			t.Errorf("second version %+v", ds2)
		}
		if f, _, err := w.Open.OpenFile(ctx, ds2, 1, "csv"); err != nil {
			t.Errorf("file of the first version: %v", err)
		} else {
			f.Close()
		}
		// Late when nothing came for longer than the cycle (daily) and its grace.
		if due, late := ds2.Punctuality(w.Clock.Add(47 * time.Hour)); late || due.IsZero() {
			t.Errorf("late after 47 hours, due %v", due)
		}
		if _, late := ds2.Punctuality(w.Clock.Add(49 * time.Hour)); !late {
			t.Error("not late after 49 hours")
		}

		// Withdrawal: at once, with a public reason, and not by just anybody.
		_, err = w.Service.Withdraw(ctx, steward, r.Code, "发现数据有误，先行撤回")
		kind(t, err, errs.Forbidden)
		_, err = w.Service.Withdraw(ctx, leader, r.Code, " ")
		kind(t, err, errs.Invalid, "FZO-17")
		_, err = w.Service.Withdraw(ctx, leader, r.Code, "发现数据有误，先行撤回")
		must(t, err)
		ds3, err := w.Open.BySlug(ctx, ds.Slug)
		must(t, err)
		if ds3.State != opendata.Withdrawn || ds3.WithdrawnWhy != "发现数据有误，先行撤回" || ds3.Preview != nil || ds3.Files != nil || ds3.Items[6].Profile.Top != nil {
			t.Errorf("after withdrawal %+v", ds3)
		}
		_, _, err = w.Open.OpenFile(ctx, ds2, 0, "csv")
		kind(t, err, errs.NotFound) // a reader with the old page in hand
		_, _, err = w.Open.OpenFile(ctx, ds3, 0, "csv")
		kind(t, err, errs.Gone, "FZO-17")
		_, err = w.Open.Rows(ctx, ds3, opendata.RowsQuery{Limit: 1})
		kind(t, err, errs.Gone, "FZO-17")
		if _, err := os.Stat(filepath.Join(w.Dir, r.ID)); !os.IsNotExist(err) {
			t.Errorf("the files are still there: %v", err)
		}
		// Building again does not bring it back; re-opening asks for a new assessment.
		must(t, w.Service.Build(ctx, r.ID))
		must(t, w.Service.FollowBatches(ctx))
		_, err = w.Service.Publish(ctx, reviewer, r.Code)
		kind(t, err, errs.Conflict, "FZO-17")
		*w.Clock = w.Clock.Add(time.Hour)
		_, err = w.Service.Assess(ctx, steward, r.Code, opendatatest.Assessment(r))
		must(t, err)
		e, err := w.Service.Publish(ctx, reviewer, r.Code)
		must(t, err)
		must(t, w.Service.Build(ctx, r.ID))
		ds4, err := w.Open.BySlug(ctx, ds.Slug)
		must(t, err)
		if e.Slug != ds.Slug || ds4.State != opendata.Published || ds4.Version != 3 || len(ds4.Files) != 4 {
			t.Errorf("re-opened %+v", ds4)
		}
	})
}

// rowsOf counts a file's rows and gives the second cell of the first one.
func rowsOf(t *testing.T, format string, b []byte) (int, string) {
	t.Helper()
	switch format {
	case "csv":
		if !bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
			t.Error("the CSV has no byte-order mark: Excel would show Chinese wrongly")
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\r\n")
		return len(lines) - 1, strings.Split(lines[1], ",")[1]
	case "json":
		var rows []map[string]any
		must(t, json.Unmarshal(b, &rows))
		return len(rows), rows[0]["企业名称"].(string)
	case "xlsx":
		x, err := excelize.OpenReader(bytes.NewReader(b))
		must(t, err)
		rows, err := x.GetRows(x.GetSheetName(0))
		must(t, err)
		return len(rows) - 1, rows[1][1]
	}
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	reader := parquet.NewReader(f)
	defer reader.Close()
	row := map[string]any{}
	must(t, reader.Read(&row))
	switch name := row["企业名称"].(type) {
	case string:
		return int(f.NumRows()), name
	case []byte:
		return int(f.NumRows()), string(name)
	}
	return int(f.NumRows()), ""
}

func TestTheGate(t *testing.T) {
	clause.Covers(t, "FZM-20", "FZM-22", "FZM-31", "FZO-5", "FZO-6", "FZO-24", "FZO-30")
	d := dbtest.SQLite(t)
	ctx := t.Context()
	w := opendatatest.Open(t, d)

	// Closed data never: there is nothing to assess it for.
	closed := w.Publish(t, catalogtest.Residents())
	w.Table(t, closed)
	_, err := w.Service.Publish(ctx, reviewer, closed.Code)
	kind(t, err, errs.Conflict, "FZO-5", "FZO-30")

	r := w.Publish(t, catalogtest.Licences())
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	kind(t, err, errs.Conflict, "FZO-30", "FZO-2")
	w.Table(t, r)
	w.Load(t, r, "b1", warehouse.Append, opendatatest.Firms(60)...)

	// Incomplete assessments, each for its reason.
	for field, spoil := range map[string]func(a *opendata.Assessment){
		"secrecy":  func(a *opendata.Assessment) { a.Secrecy = false },
		"risk":     func(a *opendata.Assessment) { a.Risk = "" },
		"risks":    func(a *opendata.Assessment) { a.Risks = " " },
		"measures": func(a *opendata.Assessment) { a.Risk = opendata.Medium },
		"item.i3":  func(a *opendata.Assessment) { a.Treatments = slices.Delete(a.Treatments, 2, 3) },
		"item.i4":  func(a *opendata.Assessment) { a.Treatments[3] = opendata.Treatment{Item: "i4", Do: opendata.Mask} },
		"quasi":    func(a *opendata.Assessment) { a.Quasi = []string{"i99"} },
	} {
		a := opendatatest.Assessment(r)
		spoil(&a)
		_, err := w.Service.Assess(ctx, steward, r.Code, a)
		e, ok := errs.As(err)
		if !ok || e.Kind != errs.Invalid || !slices.ContainsFunc(e.Problems, func(p errs.Problem) bool { return p.Field == field }) {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err = w.Service.Assess(ctx, catalogtest.Actor(catalogtest.Police, identity.Steward), r.Code, opendatatest.Assessment(r))
	kind(t, err, errs.Forbidden)

	// High risk stops; so does the assessor's own publication.
	high := opendatatest.Assessment(r)
	high.Risk, high.Measures = opendata.High, "不开放"
	_, err = w.Service.Assess(ctx, steward, r.Code, high)
	must(t, err)
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	kind(t, err, errs.Conflict, "FZO-30")
	*w.Clock = w.Clock.Add(time.Second)
	_, err = w.Service.Assess(ctx, reviewer, r.Code, opendatatest.Assessment(r))
	must(t, err)
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	kind(t, err, errs.Forbidden)
	_, err = w.Service.Publish(ctx, steward, r.Code)
	kind(t, err, errs.Forbidden)

	// k-anonymity: district and year single out a firm.
	*w.Clock = w.Clock.Add(time.Second)
	a := opendatatest.Assessment(r)
	a.Quasi = []string{"i5", "i7"}
	found, err := w.Service.Assess(ctx, steward, r.Code, a)
	must(t, err)
	if found.Findings.GroupsBelow == 0 || found.Findings.Rows != 60 {
		t.Errorf("findings %+v", found.Findings)
	}
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	kind(t, err, errs.Conflict, "FZO-30")
	*w.Clock = w.Clock.Add(time.Second)
	a.Quasi = []string{"i7"}
	_, err = w.Service.Assess(ctx, steward, r.Code, a)
	must(t, err)
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	must(t, err)
}

// Personal data that the catalog does not know of is found in the values, at the
// assessment and in later batches, and never reaches the portal.
func TestPlantedPersonalData(t *testing.T) {
	clause.Covers(t, "FZM-20", "FZO-24")
	d := dbtest.SQLite(t)
	ctx := t.Context()
	w := opendatatest.Open(t, d)
	r := w.Publish(t, catalogtest.Licences())
	w.Table(t, r)
	rows := opendatatest.Firms(100)
	for i := range rows {
		rows[i][5] = "1380591" + string([]byte{'1' + byte(i%9), '0' + byte(i%10), '3', '4'}) // phones where addresses should be
	}
	w.Load(t, r, "b1", warehouse.Append, rows...)
	a := opendatatest.Assessment(r)
	found, err := w.Service.Assess(ctx, steward, r.Code, a)
	must(t, err)
	if len(found.Findings.Personal) != 1 || found.Findings.Personal[0].Item != "i6" {
		t.Fatalf("findings %+v", found.Findings.Personal)
	}
	_, err = w.Service.Publish(ctx, reviewer, r.Code)
	kind(t, err, errs.Conflict, "FZM-20")

	// Masked, it may go; and the file holds no number.
	*w.Clock = w.Clock.Add(time.Second)
	a.Treatments[5] = opendata.Treatment{Item: "i6", Do: opendata.Mask, Mask: "keep_ends:3,0"}
	_, err = w.Service.Assess(ctx, steward, r.Code, a)
	must(t, err)
	e, err := w.Service.Publish(ctx, reviewer, r.Code)
	must(t, err)
	must(t, w.Service.Build(ctx, r.ID))
	ds, err := w.Open.BySlug(ctx, e.Slug)
	must(t, err)
	if ds.Items[5].Mask != "keep_ends:3,0" || ds.Preview[0][5] != "138********" {
		t.Errorf("masked item %+v, %q", ds.Items[5], ds.Preview[0][5])
	}
	nothingOf(t, w.Dir, "1380591")

	// A later batch slips an identity number (the example of GB 11643) into a name: the portal keeps the older version.
	w.Load(t, r, "b2", warehouse.Append, []string{"91350100MA9999999X", "经营者11010519491231002X", "1100", "1.00", "2026-01-15", "", "350102", "存续"})
	must(t, w.Service.FollowBatches(ctx))
	entry, err := w.Service.Entry(ctx, r.ID)
	must(t, err)
	if entry.State != opendata.Held || len(entry.Held) != 1 || entry.Version != 1 {
		t.Errorf("entry %+v", entry)
	}
	now, err := w.Open.BySlug(ctx, e.Slug)
	must(t, err)
	if now.Version != 1 || now.Rows != 100 {
		t.Errorf("the portal shows version %d with %d rows", now.Version, now.Rows)
	}
	nothingOf(t, w.Dir, "11010519491231002X")
}

func nothingOf(t *testing.T, dir, secret string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds %s", path, secret)
		}
		return err
	})
	must(t, err)
	if seen == 0 {
		t.Error("no files were looked at")
	}
}

func TestAuthorisedIsListedWithoutData(t *testing.T) {
	clause.Covers(t, "FZO-8", "FZO-11", "FZO-12", "FZM-22", "FZM-23")
	d := dbtest.SQLite(t)
	ctx := t.Context()
	w := opendatatest.Open(t, d)
	in := catalogtest.Licences()
	in.Opening, in.OpeningNote, in.OpeningNeeds = catalog.Authorised, "面向金融机构风险评估，签订利用协议", []string{"security"}
	if len(catalog.AuthorisedNeeds) > 0 {
		in.OpeningNeeds = []string{catalog.AuthorisedNeeds[0].Key}
	}
	r := w.Publish(t, in)
	w.Table(t, r)
	w.Load(t, r, "b1", warehouse.Append, opendatatest.Firms(10)...)
	_, err := w.Service.Assess(ctx, steward, r.Code, opendata.Assessment{Secrecy: true, Risk: opendata.Medium, Risks: "商业秘密", Measures: "协议约束"})
	must(t, err)
	e, err := w.Service.Publish(ctx, reviewer, r.Code)
	must(t, err)
	must(t, w.Service.Build(ctx, r.ID))
	ds, err := w.Open.BySlug(ctx, e.Slug)
	must(t, err)
	if ds.Licence.Clauses[0] != "FZO-8" || strings.Contains(ds.Licence.Terms.ZH, "免费") || !strings.Contains(ds.Licence.Terms.ZH, "协议") {
		t.Errorf("what is open on application carries the licence of general data: %+v", ds.Licence)
	}
	if ds.Kind != opendata.Listing || ds.Files != nil || ds.Preview != nil || len(ds.Items) != 8 || ds.Conditions != in.OpeningNote || ds.Items[0].Profile.Present != 0 {
		t.Errorf("listing %+v", ds)
	}
	// Its terms are an agreement's, not those of general data: no free commercial use.
	if !slices.Contains(ds.Licence.Clauses, "FZM-23") || !strings.Contains(ds.Licence.Terms.ZH, "签订协议后方可取得") || strings.Contains(ds.Licence.Terms.ZH, "商业利用") {
		t.Errorf("terms of a listing: %+v", ds.Licence)
	}
	_, _, err = w.Open.OpenFile(ctx, ds, 0, "csv")
	kind(t, err, errs.Forbidden, "FZO-8")
	kind(t, err, errs.Forbidden, "FZO-12")
	_, err = w.Open.Rows(ctx, ds, opendata.RowsQuery{Limit: 1})
	kind(t, err, errs.Forbidden, "FZO-8")
	kind(t, err, errs.Forbidden, "FZO-12")
}

func TestRowsOfTheAPI(t *testing.T) {
	clause.Covers(t, "FZO-2")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := opendatatest.Open(t, d)
		_, ds := published(t, w, catalogtest.Licences(), opendatatest.Firms(120))
		get := func(q opendata.RowsQuery) *opendata.RowsPage {
			t.Helper()
			p, err := w.Open.Rows(ctx, ds, q)
			must(t, err)
			return p
		}
		p := get(opendata.RowsQuery{Offset: 118, Limit: 10})
		if len(p.Rows) != 2 || p.Total != 120 || !p.Exact || !strings.HasSuffix(p.Columns[1].Format(p.Rows[1][1]), "，分部119") {
			t.Errorf("last page: %d rows of %d", len(p.Rows), p.Total)
		}
		p = get(opendata.RowsQuery{Limit: 5, Fields: []string{"企业名称", "division"}, Filters: []string{"行政区划:eq:350103", "capital:ge:150.50", "name:contains:，分部"}})
		if len(p.Rows) != 5 || len(p.Items) != 2 || p.Columns[1].Format(p.Rows[0][1]) != "350103" || p.Total != 23 {
			t.Errorf("filtered: %d rows of %d", len(p.Rows), p.Total)
		}
		p = get(opendata.RowsQuery{Limit: 1000, Filters: []string{"登记状态:in:注销|吊销"}})
		if p.Total != 30 {
			t.Errorf("in: %d", p.Total)
		}
		for field, q := range map[string]opendata.RowsQuery{
			"limit":  {Limit: 0},
			"offset": {Limit: 1, Offset: -1},
			"fields": {Limit: 1, Fields: []string{"密码"}},
			"filter": {Limit: 1, Filters: []string{"c1; DROP TABLE x:eq:1"}},
		} {
			_, err := w.Open.Rows(ctx, ds, q)
			e, ok := errs.As(err)
			if !ok || e.Kind != errs.Invalid || e.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		for _, f := range []string{"name", "name:like:x", "capital:ge:abc", "founded:eq:2026-13-01", "name:eq:", "capital:prefix:1"} {
			if _, err := w.Open.Rows(ctx, ds, opendata.RowsQuery{Limit: 1, Filters: []string{f}}); errs.KindOf(err) != errs.Invalid {
				t.Errorf("%s: %v", f, err)
			}
		}
	})
}

// Slugs never collide, never change, and stay taken after withdrawal.
func TestSlugs(t *testing.T) {
	d := dbtest.SQLite(t)
	w := opendatatest.Open(t, d)
	_, one := published(t, w, catalogtest.Licences(), opendatatest.Firms(12))
	again := catalogtest.Licences()
	again.Name = "企业登记注册信息（2）" // another title of the same sound
	again.Source.Overlap = "按年归档的历史数据"
	again.Class.Head = "002"
	r := w.Publish(t, again)
	w.Table(t, r)
	w.Load(t, r, "b1", warehouse.Append, opendatatest.Firms(12)...)
	_, err := w.Service.Assess(t.Context(), steward, r.Code, opendatatest.Assessment(r))
	must(t, err)
	e, err := w.Service.Publish(t.Context(), reviewer, r.Code)
	must(t, err)
	if one.Slug == e.Slug || !strings.HasPrefix(e.Slug, one.Slug) {
		t.Errorf("slugs %q and %q", one.Slug, e.Slug)
	}
}

func TestDownloadsAreCountedAndAudited(t *testing.T) {
	clause.Covers(t, "FZO-3")
	d := dbtest.SQLite(t)
	ctx := t.Context()
	w := opendatatest.Open(t, d)
	_, ds := published(t, w, catalogtest.Licences(), opendatatest.Firms(12))
	before := entries(t, d)
	for range 500 {
		w.Open.Count(ds, 0, "csv", 1000, *w.Clock)
	}
	w.Open.Count(ds, 0, "api", 10, *w.Clock)
	must(t, w.Service.AuditDownloads(ctx))
	must(t, w.Service.AuditDownloads(ctx))
	n, err := w.Open.Downloads(ctx)
	must(t, err)
	if n[ds.ID] != 500 {
		t.Errorf("%d downloads", n[ds.ID])
	}
	if got := entries(t, d) - before; got != 2 {
		t.Errorf("%d entries for 501 uses, want one a form", got)
	}
	w.Open.Count(ds, 0, "csv", 1000, *w.Clock)
	must(t, w.Service.AuditDownloads(ctx))
	if got := entries(t, d) - before; got != 3 {
		t.Errorf("%d entries after one more", got)
	}
	use, err := w.Open.Use(ctx, ds.ID, 30, *w.Clock)
	must(t, err)
	if len(use) != 2 || use[1].Form != "csv" || use[1].N != 501 || use[1].Bytes != 501000 {
		t.Errorf("use %+v", use)
	}
}

func entries(t *testing.T, d *db.DB) int {
	t.Helper()
	var n int
	must(t, d.Read().QueryRow(t.Context(), `SELECT count(*) FROM audit_entry WHERE content LIKE '%opendata.dataset.download%'`).Scan(&n))
	return n
}

// The portal's node knows the open store's address and nothing else.
func TestThePortalNeedsNothingElse(t *testing.T) {
	dir := t.TempDir()
	o, err := opendata.OpenAt(t.Context(), "sqlite:"+filepath.Join(dir, "open.db"), filepath.Join(dir, "open"))
	must(t, err)
	defer o.Close()
	_, err = o.BySlug(t.Context(), "nothing-here")
	kind(t, err, errs.NotFound)
}
