package catalog_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

var update = flag.Bool("update", false, "write golden files anew")

func bodyByName(name string) (catalog.Body, error) {
	for _, b := range []catalog.Body{catalogtest.Police, catalogtest.Market} {
		if b.Name == name {
			return b, nil
		}
	}
	return catalog.Body{}, errs.New(errs.NotFound, errs.T("没有", "none"))
}

// cellsOf prints a workbook's sheets as text, a line a row, so that a golden file can be read.
func cellsOf(t *testing.T, content []byte) string {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	for _, sheet := range f.GetSheetList() {
		b.WriteString("== " + sheet + "\n")
		rows, err := f.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			b.WriteString(strings.Join(row, " | ") + "\n")
		}
		if v, err := f.GetDataValidations(sheet); err == nil {
			for _, d := range v {
				b.WriteString("-- " + d.Sqref + " " + d.Formula1 + "\n")
			}
		}
	}
	return b.String()
}

func book(t *testing.T, w *catalogtest.World, resources ...*catalog.Resource) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := w.Catalog.WriteWorkbook(t.Context(), &b, resources); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWorkbookGolden(t *testing.T) {
	clause.Covers(t, "FZM-12")
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	got := cellsOf(t, book(t, w, whole(catalogtest.Licences(), catalogtest.Market), whole(catalogtest.Residents(), catalogtest.Police)))
	golden := filepath.Join("testdata", "workbook.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the workbook changed (run with -update when it should):\n%s", diff)
	}
}

func TestWorkbookRoundTrip(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		known := false
		w := catalogtest.Open(t, d, "fuzhou", func(deps *catalog.Deps) {
			deps.BodyByName = func(_ context.Context, name string) (catalog.Body, error) {
				if !known {
					return catalog.Body{}, errs.New(errs.NotFound, errs.T("没有这个单位", "there is no such body"))
				}
				return bodyByName(name)
			}
		})
		steward := catalogtest.Actor(catalogtest.Police, identity.Steward)
		sent := book(t, w, whole(catalogtest.Residents(), catalogtest.Police))
		im, err := w.Catalog.PreviewWorkbook(ctx, steward, "catalog.xlsx", sent)
		if err != nil {
			t.Fatal(err)
		}
		// The market office stands in the condition, and this catalog knows no body by name but the sender's.
		if len(im.Problems) != 1 || !strings.HasPrefix(im.Problems[0].Field, "信息资源!") {
			t.Fatalf("problems %+v", im.Problems)
		}
		if _, err := w.Catalog.ImportWorkbook(ctx, steward, im.ID); !errs.Is(err, errs.Conflict) {
			t.Errorf("a workbook with faults was registered: %v", err)
		}

		known = true
		im, err = w.Catalog.PreviewWorkbook(ctx, steward, "catalog.xlsx", sent)
		if err != nil || len(im.Problems) != 0 || len(im.Resources) != 1 || len(im.Resources[0].Warnings) != 0 {
			t.Fatalf("%v %+v", err, im)
		}
		other := catalogtest.Actor(catalogtest.Market, identity.Steward)
		if _, err := w.Catalog.ImportWorkbook(ctx, other, im.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("somebody else registered the workbook: %v", err)
		}
		codes, err := w.Catalog.ImportWorkbook(ctx, steward, im.ID)
		if err != nil || len(codes) != 1 {
			t.Fatalf("%v %v", codes, err)
		}
		if _, err := w.Catalog.ImportWorkbook(ctx, steward, im.ID); !errs.Is(err, errs.Conflict) {
			t.Errorf("registered twice: %v", err)
		}
		r := w.Through(t, codes[0])
		want := whole(catalogtest.Residents(), catalogtest.Police)
		if len(r.Items) != 8 || r.Items[0].Mask != "pseudonym" || !r.Items[0].Key || r.Conditions[0].Bodies[0] != catalogtest.Market.ID || r.Summary != want.Summary {
			t.Errorf("came back as %+v", r)
		}
		if len(r.Conditions) != 1 {
			t.Errorf("a row holds one condition, came back with %d", len(r.Conditions))
		}

		// Sent back with its code and an item more, it becomes the next version with the columns kept.
		next := *r
		next.Items = append(slices.Clone(r.Items), catalog.Item{Name: "迁入日期", Code: "moved_in", Type: catalog.Date})
		next.Items[1], next.Items[2] = next.Items[2], next.Items[1]
		im, err = w.Catalog.PreviewWorkbook(ctx, steward, "catalog.xlsx", book(t, w, &next))
		if err != nil || len(im.Problems) != 0 {
			t.Fatalf("%v %+v", err, im.Problems)
		}
		if _, err := w.Catalog.ImportWorkbook(ctx, steward, im.ID); err != nil {
			t.Fatal(err)
		}
		v2, err := w.Catalog.Get(ctx, r.Code, -1)
		if err != nil || v2.Version != 2 || v2.State != catalog.Draft || v2.Item("sex").Column != 3 || v2.Item("moved_in").Column != 9 {
			t.Errorf("%v %+v", err, v2)
		}
	})
}

func TestWorkbookFaultsNameTheirCells(t *testing.T) {
	w := catalogtest.Open(t, dbtest.SQLite(t), "foshan", nil)
	good := book(t, w, whole(catalogtest.Licences(), catalogtest.Market))
	for _, c := range []struct {
		name  string
		edit  map[string]string // sheet!title@row → value
		cell  string
		part  string
		whole errs.Kind // the file as a whole is refused
	}{
		{"unknown type", map[string]string{"信息项!数据类型@4": "文本"}, "信息项!D4", "没有“文本”这个取值", ""},
		{"letter in a length", map[string]string{"信息项!数据长度@3": "二十"}, "信息项!E3", "请填数字", ""},
		{"neither yes nor no", map[string]string{"信息项!主键@2": "可能"}, "信息项!G2", "是", ""},
		{"item without a resource", map[string]string{"信息项!资源序号@5": "9"}, "信息项!A5", "序号 9", ""},
		{"no name", map[string]string{"信息资源!信息资源名称@2": ""}, "信息资源!C2", "名称", ""},
		{"unknown class item", map[string]string{"信息资源!项@2": "99"}, "信息资源!F2", "没有“99”", ""},
		{"unknown provider", map[string]string{"信息资源!信息资源提供方@2": "市没有局"}, "信息资源!J2", "市没有局", ""},
		{"figures in words", map[string]string{"信息资源!结构化记录数@2": "很多"}, "信息资源!AV2", "请填数字", ""},
		{"a heading of one's own", map[string]string{"信息项!说明@1": "备注说明"}, "信息项!W1", "没有“备注说明”", ""},
		{"a needed heading gone", map[string]string{"信息项!英文名@1": "field"}, "", "", errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := edit(t, good, c.edit)
			im, err := catalog.ReadWorkbook(content, w.Policy, catalogtest.Market, bodyByName)
			if c.whole != "" {
				if errs.KindOf(err) != c.whole {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(im.Problems, func(p errs.Problem) bool { return p.Field == c.cell && strings.Contains(p.Text.ZH, c.part) })
			if i < 0 {
				t.Errorf("expected %s %s, got %+v", c.cell, c.part, im.Problems)
			}
		})
	}
	// What only keeps it from being signed off is a warning, at its cell.
	im, err := catalog.ReadWorkbook(edit(t, good, map[string]string{"信息资源!更新周期@2": "", "信息项!英文名@3": "na-me"}), w.Policy, catalogtest.Market, bodyByName)
	if err != nil || len(im.Problems) != 0 {
		t.Fatalf("%v %+v", err, im.Problems)
	}
	var cells []string
	for _, p := range im.Resources[0].Warnings {
		cells = append(cells, p.Field)
	}
	slices.Sort(cells)
	if want := []string{"信息资源!AJ2", "信息项!C3"}; !slices.Equal(cells, want) {
		t.Errorf("warnings at %v, want %v", cells, want)
	}
}

func edit(t *testing.T, content []byte, cells map[string]string) []byte {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, value := range cells {
		sheet, rest, _ := strings.Cut(at, "!")
		title, row, _ := strings.Cut(rest, "@")
		head, err := f.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.Index(head[0], title)
		if i < 0 {
			t.Fatalf("no column %s", title)
		}
		name, _ := excelize.ColumnNumberToName(i + 1)
		if err := f.SetCellStr(sheet, name+row, value); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// One bad row, and nothing of the workbook is registered.
func TestImportIsAllOrNothing(t *testing.T) {
	ctx := t.Context()
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
	first := whole(catalogtest.Licences(), catalogtest.Market)
	second := whole(catalogtest.Licences(), catalogtest.Market)
	second.Name, second.Class.Head = "个体工商户登记信息", "777" // a third level that nobody added
	im, err := w.Catalog.PreviewWorkbook(ctx, steward, "catalog.xlsx", book(t, w, first, second))
	if err != nil || len(im.Problems) != 0 {
		t.Fatalf("%v %+v", err, im)
	}
	_, err = w.Catalog.ImportWorkbook(ctx, steward, im.ID)
	if e, ok := errs.As(err); !ok || e.Kind != errs.Invalid || e.Field != "信息资源!A3" {
		t.Fatalf("got %v", err)
	}
	if _, total, err := w.Catalog.List(ctx, catalog.ListFilter{Newest: true}); err != nil || total != 0 {
		t.Errorf("%d resources were registered, %v", total, err)
	}
	reviewer := catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
	if err := w.Catalog.AddHead(ctx, reviewer, "1", "02", "777", "个体工商户"); err != nil {
		t.Fatal(err)
	}
	codes, err := w.Catalog.ImportWorkbook(ctx, steward, im.ID)
	if err != nil || len(codes) != 2 {
		t.Errorf("after the head was added: %v %v", codes, err)
	}
	if _, err := w.Catalog.PreviewWorkbook(ctx, catalogtest.Actor(catalogtest.Market, identity.Leader), "x.xlsx", book(t, w, first)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a leader uploaded a workbook: %v", err)
	}
}

func FuzzWorkbook(f *testing.F) {
	d := excelize.NewFile()
	var b bytes.Buffer
	if _, err := d.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{})
	f.Add(b.Bytes())
	w := catalogtest.Open(f, dbtest.SQLite(f), "foshan", nil)
	var whole bytes.Buffer
	r := catalogtest.Licences()
	if err := w.Catalog.WriteWorkbook(f.Context(), &whole, []*catalog.Resource{&r}); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		im, err := catalog.ReadWorkbook(content, w.Policy, catalogtest.Market, bodyByName)
		if err != nil {
			if _, ok := errs.As(err); !ok {
				t.Fatalf("an error without words: %v", err)
			}
			return
		}
		for _, p := range im.Problems {
			if p.Field == "" || p.Text.ZH == "" {
				t.Fatalf("a fault without a place: %+v", p)
			}
		}
	})
}

func TestSampleProposal(t *testing.T) {
	ctx := t.Context()
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	steward := catalogtest.Actor(catalogtest.Police, identity.Steward)
	csv := "身份证号,姓名,性别,登记日期,金额,Phone Number\n350102199001010016,王小明,1,2024-01-02,12.50,13800138000\n350500198512311245,李芳,2,2024-03-05,7.00,13900139000\n440604200002290037,陈大文,1,2024-05-06,100.25,13700137000\n"
	p, err := w.Catalog.ProposeFromSample(ctx, steward, "低保登记.csv", []byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.Catalog.SampleProposal(ctx, steward, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := kept.Resource
	if r.Name != "低保登记" || len(r.Items) != 6 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []struct {
		code     string
		typ      catalog.ItemType
		personal string
	}{{"sfzh", catalog.Char, "resident_id"}, {"xm", catalog.Char, "name"}, {"xb", "", ""}, {"djrq", catalog.Date, ""}, {"je", catalog.Numeric, ""}, {"Phone_Number", catalog.Char, "phone"}} {
		it := r.Items[i]
		if it.Code != want.code || want.typ != "" && it.Type != want.typ || it.Personal != want.personal || (want.personal != "") != (it.Mask != "") {
			t.Errorf("item %d: %+v, want %+v", i, it, want)
		}
	}
	for _, c := range kept.Columns {
		if c.Item.Personal != "" && len(c.Examples) > 0 {
			t.Errorf("examples of personal data were kept: %v", c.Examples)
		}
	}
	made, err := w.Catalog.Create(ctx, steward, r)
	if err != nil || len(made.Items) != 6 {
		t.Errorf("%v %+v", err, made)
	}
	if _, err := w.Catalog.ProposeFromSample(ctx, steward, "x.csv", nil); err == nil {
		t.Error("an empty file gave a proposal")
	}
	if _, err := w.Catalog.SampleProposal(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), p.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("somebody else sees the proposal: %v", err)
	}
}

func TestSearchShowsWhatMayBeSeen(t *testing.T) {
	clause.Covers(t, "FS-12", "FS-14")
	ctx := t.Context()
	w := catalogtest.Open(t, dbtest.SQLite(t), "foshan", nil)
	w.Publish(t, catalogtest.Licences())
	hidden := catalogtest.Residents()
	hidden.Sharing, hidden.Conditions, hidden.SharingWays = catalog.Withheld, nil, nil
	w.Publish(t, hidden)
	draft := catalogtest.Licences()
	draft.Name, draft.Class = "食品经营许可信息", catalog.Class{}
	if _, err := w.Catalog.Create(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), draft); err != nil {
		t.Fatal(err)
	}
	if err := w.Catalog.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	police, market := catalogtest.Actor(catalogtest.Police, identity.Steward), catalogtest.Actor(catalogtest.Market, identity.Steward)
	authority := catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
	for _, c := range []struct {
		name       string
		actor      identity.Actor
		view       catalog.View
		text       string
		want       int
		existsOnly bool
	}{
		{"others find the name of a withheld resource", market, catalog.ViewShare, "户籍", 1, true},
		{"others do not find it by its items", market, catalog.ViewShare, "民族", 0, false},
		{"the provider finds it by its items", police, catalog.ViewShare, "民族", 1, false},
		{"the provider finds it once", police, catalog.ViewShare, "户籍", 1, false},
		{"the authority finds it by its summary", authority, catalog.ViewShare, "婚姻", 1, false},
		{"everybody finds what is shared", police, catalog.ViewShare, "企业", 1, false},
		{"by item name", police, catalog.ViewShare, "注册资本", 1, false},
		{"a draft is not in the share catalog", market, catalog.ViewShare, "食品", 0, false},
		{"a draft is in the work list of its body", market, catalog.ViewWork, "食品", 1, false},
		{"and not in another's", police, catalog.ViewWork, "食品", 0, false},
		{"a closed resource is not in the open catalog", authority, catalog.ViewOpen, "户籍", 0, false},
		{"an open one is", identity.Visitor("127.0.0.1", "zh"), catalog.ViewOpen, "企业", 1, false},
	} {
		r, err := w.Catalog.Search(ctx, c.actor, catalog.SearchQuery{View: c.view, Text: c.text})
		if err != nil {
			t.Fatal(err)
		}
		if r.Total != c.want {
			t.Errorf("%s: %d hits, want %d", c.name, r.Total, c.want)
			continue
		}
		if c.want == 1 {
			row := r.Hits[0].Data.(catalog.Row)
			if row.ExistsOnly != c.existsOnly || c.existsOnly && (row.Summary != "" || len(r.Hits[0].Summary) > 0) {
				t.Errorf("%s: %+v", c.name, row)
			}
		}
	}
}
