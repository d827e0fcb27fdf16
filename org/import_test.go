package org_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/org"
	"gongshu/tabular"
)

func TestImport(t *testing.T) {
	clause.Covers(t, "FS-40", "LY-5")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		for _, name := range []string{"市民政局", "市教育局"} {
			if _, err := w.org.CreateBody(ctx, w.system, org.Body{Name: name, Kind: "organ", Level: org.City, District: "350100"}); err != nil {
				t.Fatal(err)
			}
		}
		bad := "人员名单\n姓名,登录名,单位,职务,联系电话,岗位\n" +
			"林晓,linxiao,市民政局,科长,0591-83212345,数据专管员\n" +
			"王5,LINXIAO,市民镇局,,123,数据专管员、审计管理员\n" +
			"赵六一,sysadmin,市教育局,,13800138000,主管部门审核员\n" +
			"\n" +
			"钱七七,qianqq,市教育局,,13800138000,数据专员\n"
		plan, err := w.org.PlanImport(ctx, w.system, "people.csv", []byte(bad))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, row := range plan.Rows {
			for _, p := range row.Problems {
				got[p.Field] = true
			}
		}
		if plan.OK() || plan.Faults != 3 || len(plan.Rows) != 4 {
			t.Errorf("plan: %d rows, %d faults", len(plan.Rows), plan.Faults)
		}
		for _, cell := range []string{"A4", "B4", "C4", "E4", "F4", "B5", "F5", "F7"} {
			if !got[cell] {
				t.Errorf("no problem at %s; got %v", cell, got)
			}
		}
		_, err = w.org.Import(ctx, w.system, "people.csv", []byte(bad))
		wantKind(t, err, errs.Invalid)
		if _, total, _ := w.org.People(ctx, w.system, org.PersonFilter{}); total != 3 {
			t.Errorf("a faulty import left %d people", total)
		}
		_, err = w.org.PlanImport(ctx, w.system, "people.csv", []byte("姓名,电话\n林晓,13800138000\n"))
		wantKind(t, err, errs.Invalid)
		_, err = w.org.PlanImport(ctx, w.security, "people.csv", []byte(bad))
		wantKind(t, err, errs.Forbidden)

		var good strings.Builder
		good.WriteString("姓名,登录名,单位,联系电话,岗位\n")
		for i := range 120 {
			fmt.Fprintf(&good, "林%s,person%03d,市民政局,13800138000,数据专管员\n", strings.Repeat("晓", 1+i%2), i)
		}
		plan, err = w.org.PlanImport(ctx, w.system, "people.csv", []byte(good.String()))
		if err != nil || !plan.OK() {
			t.Fatalf("%v %+v", err, plan.Rows[0])
		}
		text, err := org.PlanText(plan)
		if err != nil {
			t.Fatal(err)
		}
		created, err := w.org.Import(ctx, w.system, "people.csv", []byte(text))
		if err != nil || len(created) != 120 {
			t.Fatalf("%d %v", len(created), err)
		}
		// Posts wait for the security administrator.
		actor := w.first("person000", created[0].InitialSecret)
		if actor.Post != "" {
			t.Errorf("an imported person acts as %s before confirmation", actor.Post)
		}
		pending, err := w.org.PendingHoldings(ctx)
		if err != nil || len(pending) != 120 {
			t.Fatalf("%d pending %v", len(pending), err)
		}
		if n, err := w.org.ConfirmAll(ctx, w.security, ids(pending)); err != nil || n != 120 {
			t.Errorf("confirmed %d: %v", n, err)
		}
		_, err = w.org.ConfirmAll(ctx, w.system, ids(pending))
		wantKind(t, err, errs.Forbidden)
	})
}

func ids(hs []org.Holding) []string {
	var out []string
	for _, h := range hs {
		out = append(out, h.ID)
	}
	return out
}

func TestTemplateIsReadBack(t *testing.T) {
	d := dbtest.SQLite(t)
	w := newWorld(t, d)
	if _, err := w.org.CreateBody(t.Context(), w.system, org.Body{Name: "市民政局", Kind: "organ", Level: org.City, District: "350100"}); err != nil {
		t.Fatal(err)
	}
	for _, format := range []tabular.Format{tabular.CSV, tabular.XLSX} {
		var buf bytes.Buffer
		if err := org.ImportTemplate(&buf, format); err != nil {
			t.Fatal(err)
		}
		plan, err := w.org.PlanImport(t.Context(), w.system, "template."+string(format), buf.Bytes())
		if err != nil || len(plan.Rows) != 1 || !plan.OK() {
			t.Errorf("%s: %+v %v", format, plan, err)
			continue
		}
		if p := plan.Rows[0].Person; p.Name != "林晓" || len(p.Posts) != 1 || p.Posts[0] != identity.Steward {
			t.Errorf("%s: %+v", format, p)
		}
	}
}

func FuzzPlanImport(f *testing.F) {
	f.Add([]byte("姓名,登录名,单位,联系电话,岗位\n林晓,linxiao,市民政局,13800138000,数据专管员\n"))
	f.Add([]byte("name\tlogin\tbody\tphone\nA B\ta\tb\t1"))
	f.Add([]byte{0xff, 0xfe, 'a', 0})
	w := newWorld(f, dbtest.SQLite(f))
	f.Fuzz(func(t *testing.T, content []byte) {
		plan, err := w.org.PlanImport(t.Context(), w.system, "x.csv", content)
		if err != nil {
			if _, ok := errs.As(err); !ok {
				t.Fatalf("%q: %v", content, err)
			}
			return
		}
		for _, row := range plan.Rows {
			if row.Row < 1 {
				t.Fatalf("row %d", row.Row)
			}
		}
	})
}
