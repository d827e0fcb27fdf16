package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
	"gongshu/workday"
)

// each runs body over SQLite for both stores and PostgreSQL for both.
func each(t *testing.T, body func(t *testing.T, w *intaketest.World)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		d, err := db.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		house := ""
		if strings.HasPrefix(url, "postgres") {
			house = dbtest.PostgresURL(t)
		}
		body(t, intaketest.Open(t, d, house, ""))
	})
}

func shops(w *intaketest.World) *catalog.Resource {
	return w.Table("店铺登记信息",
		catalog.Item{Name: "编号", Code: "no", Type: "C", Length: 6, Key: true},
		catalog.Item{Name: "名称", Code: "name", Type: "C", Length: 20, Required: true},
		catalog.Item{Name: "开业日期", Code: "opened", Type: "D", NotFuture: true},
		catalog.Item{Name: "面积", Code: "area", Type: "N", Scale: 2, Min: "0"},
	)
}

func TestBatchFromFileToReceipt(t *testing.T) {
	clause.Covers(t, "FZM-13", "QZ-3.1.7", "QZ-3.1.3", "FS-7", "LY-10")
	each(t, func(t *testing.T, w *intaketest.World) {
		r := shops(w)
		file := "店铺一览\r\n编号,名称,开业日期,面积,备注\r\n0001,甲,2024-01-02,\"1,200.5\",x\r\n0002,,2024-01-03,5,\r\n0003,丙,2027-01-01,-1,\r\n0001,丁,,,\r\nNA,戊,2024/1/5,,\r\n"
		b := w.Must(intaketest.Upload(r, "shops.csv"), file)
		if b.Total != 5 || b.Accepted != 2 || b.Rejected != 3 || b.Inserted != 2 || b.Open() != 3 {
			t.Fatalf("counts: %+v", b.Receipt())
		}
		if b.AuditSeq < 0 {
			t.Error("the receipt has no audit index")
		}
		if rec, err := w.Log.Get(t.Context(), b.AuditSeq); err != nil || rec.Entry.Target != b.ID || rec.Entry.Action != "intake.batch.receipt" {
			t.Errorf("audit index %d: %+v %v", b.AuditSeq, rec.Entry, err)
		}
		if diff := cmp.Diff([]string{"备注"}, b.Ignored); diff != "" {
			t.Error("columns without an item:", diff)
		}
		if diff := cmp.Diff([]string{"0001|甲|2024-01-02|1200.50", "NA|戊|2024-01-05|"}, w.Rows(r)); diff != "" {
			t.Error(diff)
		}
		problems, total, err := w.Intake.Problems(t.Context(), intaketest.Steward(), b.ID, quality.Which{}, "", 0, 50)
		if err != nil || total != 3 {
			t.Fatal(total, err)
		}
		var got []string
		for _, p := range problems {
			var codes []string
			for _, f := range p.Faults {
				codes = append(codes, f.Item+":"+f.Code)
			}
			got = append(got, fmt.Sprint(p.Row, p.Cells, codes))
		}
		want := []string{"4[0002  2024-01-03 5 ][i2:required]", "5[0003 丙 2027-01-01 -1 ][i3:future i4:range]", "6[0001 丁   ][:key]"}
		for i := range want {
			want[i] = strings.Replace(want[i], "[", " [", 1)
			want[i] = strings.Replace(want[i], "][", "] [", 1)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		// They are found by rule, and turn round.
		for which, want := range map[quality.Which]string{
			{Code: quality.Future}: "5", {Code: quality.Range, Item: "i4"}: "5", {Code: quality.Range, Item: "i3"}: "", {Code: quality.Key}: "6", {Open: true}: "6 5 4",
		} {
			found, total, err := w.Intake.Problems(t.Context(), intaketest.Steward(), b.ID, which, "-row", 0, 50)
			var got []string
			for _, p := range found {
				got = append(got, fmt.Sprint(p.Row))
			}
			if err != nil || strings.Join(got, " ") != want || int(total) != len(got) {
				t.Errorf("%+v gives rows %v of %d, want %s: %v", which, got, total, want, err)
			}
		}

		// The department mends the file it downloaded and sends it against the batch.
		mended := string(w.ProblemFile(b.ID, tabular.CSV, true))
		mended = strings.Replace(mended, "0002,,", "0002,乙,", 1)
		mended = strings.Replace(mended, "2027-01-01,-1", "2023-01-01,-1", 1)
		mended += "99,0009,己,,,,\r\n"
		up := intaketest.Upload(r, "mended.csv")
		up.Corrects = b.ID
		fix := w.Must(up, mended)
		if fix.Total != 4 || fix.Accepted != 1 || fix.Rejected != 3 {
			t.Errorf("correction: %+v", fix.Receipt())
		}
		if b, err = w.Intake.Get(t.Context(), b.ID); err != nil || b.Corrected != 1 || b.Open() != 2 || b.Accepted+b.Rejected != b.Total {
			t.Errorf("after the correction: %+v %v", b.Receipt(), err)
		}
		if n, _ := w.Warehouse.Count(t.Context(), r.ID); n != 3 {
			t.Errorf("%d rows stored", n)
		}
		open := string(w.ProblemFile(b.ID, tabular.CSV, true))
		if strings.Contains(open, "0002") || !strings.Contains(open, "0003") {
			t.Errorf("open problem rows: %s", open)
		}
		if found, total, err := w.Intake.Problems(t.Context(), intaketest.Steward(), b.ID, quality.Which{}, "-state", 0, 2); err != nil || total != 3 || len(found) != 2 || found[0].Row != 4 || found[0].Open || !found[1].Open {
			t.Errorf("mended rows first: %+v of %d, %v", found, total, err)
		}
		// Sending the same correction again mends nothing twice.
		up.FileName = "again.csv"
		again := w.Must(up, mended)
		if again.Accepted != 0 {
			t.Errorf("a mended row was accepted again: %+v", again.Receipt())
		}
		if n, _ := w.Warehouse.Count(t.Context(), r.ID); n != 3 {
			t.Errorf("%d rows stored after a repeated correction", n)
		}
		// What stands can be rebuilt from the raw bytes alone.
		before, err := w.Warehouse.Digest(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.Intake.Rebuild(t.Context(), identity.System("test"), r.Code); err != nil || n != 3 {
			t.Fatalf("rebuild: %d %v", n, err)
		}
		if after, err := w.Warehouse.Digest(t.Context(), r.ID); err != nil || after != before {
			t.Errorf("rebuilt to other rows: %v %v %v", before, after, err)
		}
	})
}

// TestFormulasComeBack: a problem file is safe to open in a spreadsheet, and what it
// guards comes back as it was.
func TestFormulasComeBack(t *testing.T) {
	each(t, func(t *testing.T, w *intaketest.World) {
		r := shops(w)
		b := w.Must(intaketest.Upload(r, "shops.csv"), "编号,名称,开业日期,面积\r\n0001,=1+1,2027-01-01,5\r\n0002,'=2,2027-01-01,5\r\n")
		file := string(w.ProblemFile(b.ID, tabular.CSV, true))
		if !strings.Contains(file, `,"'=1+1",`) || !strings.Contains(file, `,"''=2",`) {
			t.Fatalf("formulas stand bare in the problem file: %s", file)
		}
		up := intaketest.Upload(r, "mended.csv")
		up.Corrects = b.ID
		if fix := w.Must(up, strings.ReplaceAll(file, "2027-01-01", "2024-01-01")); fix.Accepted != 2 {
			t.Fatalf("correction: %+v", fix.Receipt())
		}
		want := []string{"0001|=1+1|2024-01-01|5.00", "0002|'=2|2024-01-01|5.00"}
		if diff := cmp.Diff(want, w.Rows(r)); diff != "" {
			t.Error(diff)
		}
		if _, err := w.Intake.Rebuild(t.Context(), identity.System("test"), r.Code); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.Rows(r)); diff != "" {
			t.Error("rebuilt:", diff)
		}
	})
}

func TestRefusals(t *testing.T) {
	clause.Covers(t, "FZM-2", "FZM-31", "FZM-29.3", "FZM-12")
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	r := shops(w)
	const sound = "编号,名称\n1,甲\n"
	for _, c := range []struct {
		name   string
		change func(u *intake.Upload)
		body   string
		kind   errs.Kind
		cites  string
		field  string
	}{
		{"no declaration", func(u *intake.Upload) { u.Secrecy.Declared = false }, sound, errs.Invalid, "FZM-31", "secrecy"},
		{"marked secret", func(u *intake.Upload) { u.Secrecy.Marked = true }, sound, errs.Forbidden, "FZM-31", "secrecy"},
		{"mark in the title row", func(*intake.Upload) {}, "机密★10年\n" + sound, errs.Forbidden, "FZM-31", "file"},
		{"mark in the file name", func(u *intake.Upload) { u.FileName = "名单（秘密）.csv" }, sound, errs.Forbidden, "FZM-31", "file"},
		{"upsert without channel", func(u *intake.Upload) { u.Mode = warehouse.Upsert }, sound, errs.Forbidden, "FZM-29.3", "mode"},
		{"replace without channel", func(u *intake.Upload) { u.Mode = warehouse.Replace }, sound, errs.Forbidden, "FZM-29.3", "mode"},
		{"delete without channel", func(u *intake.Upload) { u.Mode = warehouse.Delete }, sound, errs.Forbidden, "FZM-29.3", "mode"},
		{"unknown mode", func(u *intake.Upload) { u.Mode = "merge" }, sound, errs.Invalid, "", "mode"},
		{"unknown resource", func(u *intake.Upload) { u.Resource = "999999/0001" }, sound, errs.NotFound, "", "code"},
		{"columns of another table", func(*intake.Upload) {}, "x,y\n1,2\n", errs.Invalid, "FZM-12", "columns"},
		{"required column missing", func(*intake.Upload) {}, "编号,面积\n1,2\n", errs.Invalid, "FZM-12", "columns"},
		{"empty", func(*intake.Upload) {}, "", errs.Invalid, "", "file"},
		{"header only", func(*intake.Upload) {}, "编号,名称\n", "", "", ""},
		{"picture", func(*intake.Upload) {}, "\x89PNG\r\n\x1a\n0000", errs.Unsupported, "", "file"},
		{"broken json", func(u *intake.Upload) { u.FileName = "a.json" }, "[{\"编号\":\"1\",\n\"名称\":}]", errs.Invalid, "", "line 2"},
		{"correction of nothing", func(u *intake.Upload) { u.Corrects = "no-such" }, sound, errs.NotFound, "", ""},
		{"unknown item mapped", func(u *intake.Upload) { u.Mapping = map[string]string{"没有": "编号"} }, sound, errs.Invalid, "", "mapping"},
		{"unknown column mapped", func(u *intake.Upload) { u.Mapping = map[string]string{"名称": "没有"} }, sound, errs.Invalid, "", "mapping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := intaketest.Upload(r, "f.csv")
			c.change(&up)
			b, err := w.Send(up, strings.NewReader(c.body))
			if c.kind == "" {
				if err != nil || b.State != intake.Done || b.Total != 0 {
					t.Fatalf("%+v %v", b, err)
				}
				return
			}
			e, ok := errs.As(err)
			if !ok || e.Kind != c.kind || e.Field != c.field {
				t.Fatalf("got %v, want %s in %q", err, c.kind, c.field)
			}
			if c.cites != "" && !strings.Contains(strings.Join(e.Clauses, " "), c.cites) {
				t.Errorf("cites %v, not %s", e.Clauses, c.cites)
			}
			if e.Text.ZH == "" || e.Text.EN == "" {
				t.Error("no words in one language")
			}
		})
	}
	for who, a := range map[string]identity.Actor{"another department": catalogtest.Actor(catalogtest.Police, identity.Steward), "a leader": catalogtest.Actor(catalogtest.Market, identity.Leader), "a visitor": identity.Visitor("1.2.3.4", "zh")} {
		if _, err := w.Intake.Receive(t.Context(), a, intaketest.Upload(r, "f.csv"), strings.NewReader(sound)); !errs.Is(err, errs.Forbidden) && !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s may send: %v", who, err)
		}
	}
	if all, n, err := w.Intake.List(t.Context(), intake.Filter{}); err != nil || n != 1 {
		t.Errorf("refused files left batches: %d %v %v", n, all, err)
	}
}

func TestChannelsOpenTheOtherModes(t *testing.T) {
	clause.Covers(t, "FZM-29.3")
	each(t, func(t *testing.T, w *intaketest.World) {
		ctx := t.Context()
		r := shops(w)
		w.Must(intaketest.Upload(r, "a.csv"), "编号,名称\n1,甲\n2,乙\n3,丙\n")
		until := w.Clock.AddDate(0, 1, 0)
		all := []warehouse.Mode{warehouse.Upsert, warehouse.Replace, warehouse.Delete}
		if _, err := w.Intake.RequestChannel(ctx, intaketest.Steward(), r.Code, all, "", until); !errs.Is(err, errs.Invalid) {
			t.Error("a channel without a reason:", err)
		}
		c, err := w.Intake.RequestChannel(ctx, intaketest.Steward(), r.Code, all, "源系统每日推送变更", until)
		if err != nil {
			t.Fatal(err)
		}
		up := intaketest.Upload(r, "b.csv")
		up.Mode = warehouse.Upsert
		if _, err := w.Send(up, strings.NewReader("编号,名称\n2,贰\n")); !errs.Is(err, errs.Forbidden) {
			t.Error("a requested channel is open:", err)
		}
		if _, err := w.Intake.DecideChannel(ctx, intaketest.Steward(), c.ID, true, "可"); !errs.Is(err, errs.Forbidden) {
			t.Error("the department approves its own channel:", err)
		}
		own := intaketest.Reviewer()
		own.ID = c.RequestedBy
		if _, err := w.Intake.DecideChannel(ctx, own, c.ID, true, "可"); !errs.Is(err, errs.Forbidden) {
			t.Error("who asked decides:", err)
		}
		if _, err := w.Intake.DecideChannel(ctx, intaketest.Reviewer(), c.ID, true, "同意，限一个月"); err != nil {
			t.Fatal(err)
		}
		if b := w.Must(up, "编号,名称,面积\n2,贰,5\n4,丁,\n2,再,6\n"); b.Inserted != 1 || b.Updated != 1 || b.Accepted != 3 {
			t.Errorf("upsert: %+v", b.Receipt())
		}
		up.Mode = warehouse.Delete
		if b := w.Must(up, "编号\n1\n9\n"); b.Deleted != 1 || b.Missed != 1 {
			t.Errorf("delete: %+v", b.Receipt())
		}
		if diff := cmp.Diff([]string{"3|丙||", "4|丁||", "2|再||6.00"}, w.Rows(r), cmp.Transformer("set", func(in []string) map[string]bool {
			m := map[string]bool{}
			for _, s := range in {
				m[s] = true
			}
			return m
		})); diff != "" {
			t.Error(diff)
		}
		up.Mode = warehouse.Replace
		if b := w.Must(up, "编号,名称\n,缺编号\n"); b.Rejected != 1 || b.Deleted != 0 {
			t.Errorf("a replace without one sound row: %+v", b.Receipt())
		}
		if n, _ := w.Warehouse.Count(ctx, r.ID); n != 3 {
			t.Errorf("%d rows after a replace by nothing", n)
		}
		if b := w.Must(up, "编号,名称\n7,庚\n,缺编号\n"); b.Inserted != 1 || b.Rejected != 1 {
			t.Errorf("replace: %+v", b.Receipt())
		}
		if diff := cmp.Diff([]string{"7|庚||"}, w.Rows(r)); diff != "" {
			t.Error(diff)
		}
		if err := w.Intake.RevokeChannel(ctx, intaketest.Reviewer(), c.ID, "整改"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Send(up, strings.NewReader("编号,名称\n8,辛\n")); !errs.Is(err, errs.Forbidden) {
			t.Error("a revoked channel is open:", err)
		}
		before, _ := w.Warehouse.Digest(ctx, r.ID)
		if _, err := w.Intake.Rebuild(ctx, identity.System("test"), r.Code); err != nil {
			t.Fatal(err)
		}
		if after, _ := w.Warehouse.Digest(ctx, r.ID); after != before {
			t.Error("a rebuild over all modes gives other rows")
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	r := shops(w)
	up := intaketest.Upload(r, "a.csv")
	up.RequestKey = "2026-03-02/1"
	first := w.Must(up, "编号,名称\n1,甲\n")
	if again := w.Must(up, "编号,名称\n1,甲\n"); again.ID != first.ID || again.Accepted != 1 {
		t.Errorf("the same key gave another batch: %+v", again)
	}
	if _, err := w.Send(up, strings.NewReader("编号,名称\n2,乙\n")); !errs.Is(err, errs.Conflict) {
		t.Error("another file under the same key:", err)
	}
	if n, _ := w.Warehouse.Count(t.Context(), r.ID); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestStoredKeysAreNotAppendedTwice(t *testing.T) {
	clause.Covers(t, "FZM-29.3")
	each(t, func(t *testing.T, w *intaketest.World) {
		r := shops(w)
		w.Must(intaketest.Upload(r, "a.csv"), "编号,名称\n1,甲\n2,乙\n")
		b := w.Must(intaketest.Upload(r, "b.csv"), "编号,名称\n2,变\n3,丙\n")
		if b.Accepted != 1 || b.Rejected != 1 {
			t.Fatalf("%+v", b.Receipt())
		}
		problems, _, err := w.Intake.Problems(t.Context(), intaketest.Steward(), b.ID, quality.Which{Open: true}, "", 0, 10)
		if err != nil || len(problems) != 1 || problems[0].Faults[0].Code != "duplicate" || problems[0].Faults[0].Clause != "FZM-29.3" {
			t.Errorf("%+v %v", problems, err)
		}
		if diff := cmp.Diff([]string{"1|甲||", "2|乙||", "3|丙||"}, w.Rows(r)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReferencesAcrossResources(t *testing.T) {
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	streets := w.Table("街道", catalog.Item{Name: "街道代码", Code: "street", Type: "C", Length: 9, Key: true}, catalog.Item{Name: "名称", Code: "name", Type: "C", Length: 20, Required: true})
	w.Must(intaketest.Upload(streets, "s.csv"), "街道代码,名称\n350102001,鼓东街道\n350102002,鼓西街道\n")
	villages := w.Table("社区", catalog.Item{Name: "社区代码", Code: "village", Type: "C", Length: 12, Key: true},
		catalog.Item{Name: "街道代码", Code: "street", Type: "C", Length: 9, Required: true, Reference: &catalog.Reference{Resource: streets.Code, Item: "street"}})
	b := w.Must(intaketest.Upload(villages, "v.csv"), "社区代码,街道代码\n350102001001,350102001\n350102003001,350102003\n")
	if b.Accepted != 1 || b.Rejected != 1 {
		t.Fatalf("%+v", b.Receipt())
	}
}

func TestHeldUntilConfirmed(t *testing.T) {
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	ctx := t.Context()
	r := shops(w)
	up := intaketest.Upload(r, "x.csv")
	up.Hold, up.Source = true, intake.Console
	b, err := w.Intake.Receive(ctx, intaketest.Steward(), up, strings.NewReader("店铺;开业\n代号;店名\n1;甲\n2;乙\n"))
	if err != nil || b.State != intake.Held {
		t.Fatal(b, err)
	}
	p, err := w.Intake.Preview(ctx, intaketest.Steward(), b.ID, intake.Override{})
	if err != nil || p.Refusal == nil {
		t.Fatalf("a file whose columns do not match needs a person: %+v %v", p, err)
	}
	over := intake.Override{HeaderRow: 2, Mapping: map[string]string{"编号": "代号", "名称": "店名"}}
	if p, err = w.Intake.Preview(ctx, intaketest.Steward(), b.ID, over); err != nil || p.Refusal != nil || p.Rows.Len() != 2 || p.Layout.Columns[1] != "店名" {
		t.Fatalf("%+v %v", p, err)
	}
	if n, _ := w.Warehouse.Count(ctx, r.ID); n != 0 {
		t.Error("a held batch was loaded")
	}
	if _, err := w.Intake.Confirm(ctx, intaketest.Steward(), b.ID, over); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Jobs.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if b, _ = w.Intake.Get(ctx, b.ID); b.State != intake.Done || b.Accepted != 2 {
		t.Errorf("%+v", b)
	}
	if _, err := w.Intake.Confirm(ctx, intaketest.Steward(), b.ID, over); !errs.Is(err, errs.Conflict) {
		t.Error("confirmed twice:", err)
	}
	gone, err := w.Intake.Receive(ctx, intaketest.Steward(), up, strings.NewReader("编号,名称\n1,甲\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Intake.Discard(ctx, intaketest.Steward(), gone.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Blobs.Open(ctx, gone.Object); !errs.Is(err, errs.NotFound) {
		t.Error("the bytes of a discarded batch are still there:", err)
	}
}

func TestLatenessFollowsTheCycle(t *testing.T) {
	clause.Covers(t, "FZM-13", "FS-42")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := intaketest.Open(t, d, "", "")
		r := shops(w) // daily
		if b := w.Must(intaketest.Upload(r, "1.csv"), "编号,名称\n1,甲\n"); !b.Due.IsZero() || b.Late() != 0 {
			t.Errorf("the first batch is late: %+v", b)
		}
		*w.Clock = w.Clock.Add(23 * time.Hour)
		if b := w.Must(intaketest.Upload(r, "2.csv"), "编号,名称\n2,甲\n"); b.Late() != 0 {
			t.Errorf("in time, but late by %v", b.Late())
		}
		// All of the day after is in time.
		tomorrow := workday.DateOf(*w.Clock) + 1
		*w.Clock = tomorrow.End()
		if over, err := w.Intake.Overdue(t.Context(), r.Body, map[string]intake.Expected{r.Code: {Cycle: r.Cycle}}); err != nil || len(over) != 0 {
			t.Errorf("overdue on the day itself: %v %v", over, err)
		}
		*w.Clock = w.Clock.Add(25 * time.Hour)
		// What never came is missed as well, from a cycle after its entry came into force.
		over, err := w.Intake.Overdue(t.Context(), r.Body, map[string]intake.Expected{
			r.Code: {Cycle: r.Cycle}, "never": {Cycle: catalog.Weekly, Since: w.Clock.AddDate(0, 0, -10)}, "soon": {Cycle: catalog.Weekly, Since: w.Clock.AddDate(0, 0, -6)}, "any": {}})
		if err != nil || len(over) != 2 || over[0].Code != "never" || !over[0].Last.IsZero() || over[1].Code != r.Code || !over[1].Due.Equal(tomorrow.End()) {
			t.Errorf("overdue: %v %v", over, err)
		}
		late := func() (n int) {
			t.Helper()
			if _, err := w.Intake.RemindLate(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, _, err := w.Inbox.List(t.Context(), intaketest.Steward(), notice.Filter{Topic: "data"})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				if m.Kind == notice.DataLate && m.About.ID == r.Code && slices.Contains(m.Clauses, "FZM-13") {
					n++
				}
			}
			return n
		}
		for range 3 { // once per lateness, however often it is looked for
			if n := late(); n != 1 {
				t.Fatalf("the steward was told %d times", n)
			}
		}
		if b := w.Must(intaketest.Upload(r, "3.csv"), "编号,名称\n3,甲\n"); b.Late() != 25*time.Hour {
			t.Errorf("late by %v", b.Late())
		}
		if n := late(); n != 1 {
			t.Errorf("told %d times, the last while nothing was missing", n)
		}
		*w.Clock = w.Clock.Add(49 * time.Hour)
		if n := late(); n != 2 {
			t.Errorf("a second lateness makes %d messages", n)
		}
	})
}

// A row without fault never suffers from its neighbours, in whatever format.
func TestFormatsAgree(t *testing.T) {
	want := []string{"1|甲|2024-01-02|1.50", "3|丙||"}
	for name, body := range map[string]string{
		"a.csv":    "编号,名称,开业日期,面积\n1,甲,2024-01-02,1.5\n2,\n3,丙,,\n",
		"a.tsv":    "编号\t名称\t开业日期\t面积\n1\t甲\t2024-01-02\t1.5\n2\t\t\t\n3\t丙\t\t\n",
		"a.json":   `[{"编号":"1","名称":"甲","开业日期":"2024-01-02","面积":1.5},{"编号":"2","名称":null},{"编号":"3","名称":"丙"}]`,
		"b.json":   `{"rows":[{"no":"1","name":"甲","opened":"2024-01-02","area":1.50},{"no":"2"},{"no":"3","name":"丙"}]}`,
		"c.json":   `[["编号","名称","开业日期","面积"],["1","甲","2024-01-02",1.5],["2",null,null,null],["3","丙",null,null]]`,
		"a.ndjson": "{\"编号\":\"1\",\"名称\":\"甲\",\"开业日期\":\"2024-01-02\",\"面积\":1.5}\n{\"编号\":2,\n{\"编号\":3,\"名称\":\"丙\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := intaketest.Open(t, dbtest.SQLite(t), "", "")
			r := shops(w)
			b := w.Must(intaketest.Upload(r, name), body)
			if b.Accepted != 2 || b.Rejected != 1 {
				t.Errorf("%+v", b.Receipt())
			}
			if diff := cmp.Diff(want, w.Rows(r)); diff != "" {
				t.Error(diff)
			}
			for _, f := range []tabular.Format{tabular.CSV, tabular.NDJSON, tabular.XLSX, tabular.JSON} {
				if out := w.ProblemFile(b.ID, f, false); len(out) == 0 {
					t.Errorf("no %s of problem rows", f)
				}
			}
		})
	}
}
