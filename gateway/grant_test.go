package gateway

import (
	"context"
	"testing"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/privacy"
)

// people is a resource of personal data as the catalog would publish it.
var people = Source{ID: "r1", Code: "310010100/000001", Name: "户籍人口信息", Provider: "police", ProviderName: "市公安局",
	Sharing: "conditional", Version: 1, Items: []SourceItem{
		{Name: "公民身份号码", Column: 1, Type: "C", Key: true, Personal: privacy.KindResidentID},
		{Name: "姓名", Column: 2, Type: "C", Personal: privacy.KindName},
		{Name: "手机号码", Column: 3, Type: "C", Personal: privacy.KindPhone, Mask: "keep_ends:3,2"},
		{Name: "区划代码", Column: 4, Type: "C"},
		{Name: "年收入", Column: 5, Type: "N"},
		{Name: "登记日期", Column: 6, Type: "D"},
	}}

type fixture struct {
	*Service
	now   time.Time
	rules Rules
	src   map[string]Source
	d     *db.DB
}

// grantsOn makes a service that knows the resource people, at a set time.
func grantsOn(t testing.TB, d *db.DB) *fixture {
	t.Helper()
	f := &fixture{now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), d: d, src: map[string]Source{people.Code: people},
		rules: Rules{MinCell: 5, Location: time.UTC}}
	f.Service = f.node(t)
	return f
}

// node is one more server on the same store.
func (f *fixture) node(t testing.TB) *Service {
	t.Helper()
	keys, err := privacy.NewSoftKeys([]byte("a master secret of the tests"), false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Deps{DB: f.d, Keys: keys, Now: func() time.Time { return f.now }, Rules: func() Rules { return f.rules },
		Resolve: func(_ context.Context, _ db.Querier, code string) (Source, error) {
			if src, ok := f.src[code]; ok {
				return src, nil
			}
			return Source{}, errs.New(errs.NotFound, errs.T("没有该资源", "no such resource"))
		}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fixture) spec(mode Mode) GrantSpec {
	return GrantSpec{Resource: people.Code, Client: "welfare", Mode: mode, Purposes: []string{"低保资格核验"}, Approver: "陈主任",
		Items: []GrantItem{{Name: "姓名"}, {Name: "手机号码"}, {Name: "区划代码"}}, Expires: f.now.AddDate(0, 6, 0), CaseNo: "榕数享〔2026〕1号"}
}

func (f *fixture) grant(t testing.TB, spec GrantSpec) Grant {
	t.Helper()
	var g Grant
	err := f.d.InTx(t.Context(), func(tx *db.Tx) (err error) {
		g, err = f.CreateGrantTx(t.Context(), tx, spec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (f *fixture) revoke(t testing.TB, id string) {
	t.Helper()
	err := f.d.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := f.RevokeTx(t.Context(), tx, id, "陈主任", "用途终止")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGrantLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := grantsOn(t, d)
		other := f.node(t)
		g := f.grant(t, f.spec(Query))
		if f.plans.Load().byID[g.ID] == nil {
			t.Fatal("the plan is not in force after the commit")
		}
		if err := other.Sync(t.Context()); err != nil || other.plans.Load().byID[g.ID] == nil {
			t.Fatalf("the other node does not know the grant: %v", err)
		}
		there := other.plans.Load().byID[g.ID]
		if err := other.Sync(t.Context()); err != nil || other.plans.Load().byID[g.ID] != there {
			t.Error("a second look replaced an unchanged plan")
		}
		f.revoke(t, g.ID)
		if f.plans.Load().byID[g.ID] != nil {
			t.Error("the plan outlives its revocation here")
		}
		if err := other.Sync(t.Context()); err != nil || other.plans.Load().byID[g.ID] != nil {
			t.Errorf("the plan outlives its revocation on the other node: %v", err)
		}
		select {
		case <-there.Over():
		default:
			t.Error("streams of the revoked plan are not cut")
		}
		err := d.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := f.RenewTx(t.Context(), tx, g.ID, f.now.AddDate(1, 0, 0), "", "陈主任")
			return err
		})
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("renewal of a revoked grant: %v", err)
		}
		// A node that starts later sees the same.
		if late := f.node(t); len(late.plans.Load().byID) != 0 {
			t.Error("a new node loads a revoked grant")
		}
		list, err := f.Grants(t.Context(), d.Read(), Filter{Either: "police", State: Revoked})
		if err != nil || len(list) != 1 || list[0].Reason != "用途终止" {
			t.Errorf("list %+v, %v", list, err)
		}
	})
}

func TestRolledBackGrantIsNone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := grantsOn(t, d)
		g := f.grant(t, f.spec(Query))
		stop := errs.New(errs.Conflict, errs.T("停", "stop"))
		_ = d.InTx(t.Context(), func(tx *db.Tx) error {
			if _, err := f.RevokeTx(t.Context(), tx, g.ID, "x", "y"); err != nil {
				t.Fatal(err)
			}
			if _, err := f.CreateGrantTx(t.Context(), tx, f.spec(Verify)); err != nil {
				t.Fatal(err)
			}
			return stop
		})
		if got := f.plans.Load(); len(got.byID) != 1 || got.byID[g.ID] == nil {
			t.Errorf("%d plans after a rollback", len(got.byID))
		}
	})
}

// TestLateNews: commits reach memory in any order; an older change never undoes a newer.
func TestLateNews(t *testing.T) {
	f := grantsOn(t, dbtest.SQLite(t))
	g := f.grant(t, f.spec(Query))
	before := g
	f.revoke(t, g.ID)
	f.install(t.Context(), &before, 1)
	if f.plans.Load().byID[g.ID] != nil {
		t.Error("an older change brought a revoked grant back")
	}
}

func TestGrantRefusals(t *testing.T) {
	f := grantsOn(t, dbtest.SQLite(t))
	noKey, withheld := people, people
	noKey.Code, withheld.Code, withheld.Sharing = "k", "w", "withheld"
	noKey.Items = people.Items[1:]
	f.src["k"], f.src["w"] = noKey, withheld
	for name, c := range map[string]struct {
		change func(*GrantSpec)
		rules  Rules
		kind   errs.Kind
		clause string
	}{
		"no purpose":       {func(s *GrantSpec) { s.Purposes = []string{" "} }, Rules{}, errs.Invalid, "FZM-29"},
		"no approver":      {func(s *GrantSpec) { s.Approver = "" }, Rules{}, errs.Invalid, "FZM-29"},
		"no end":           {func(s *GrantSpec) { s.Expires = time.Time{} }, Rules{}, errs.Invalid, "FS-29"},
		"end in the past":  {func(s *GrantSpec) { s.Expires = f.now }, Rules{}, errs.Invalid, "FS-29"},
		"unknown item":     {func(s *GrantSpec) { s.Items = append(s.Items, GrantItem{Name: "血型"}) }, Rules{}, errs.Invalid, "FS-29"},
		"no item":          {func(s *GrantSpec) { s.Items = nil }, Rules{}, errs.Invalid, "FS-29"},
		"bad mask":         {func(s *GrantSpec) { s.Items[0].Mask = "blur" }, Rules{}, errs.Invalid, ""},
		"mask and none":    {func(s *GrantSpec) { s.Items[0].Mask, s.Items[0].Unmasked = "digest", true }, Rules{}, errs.Invalid, ""},
		"bad mode":         {func(s *GrantSpec) { s.Mode = "browse" }, Rules{}, errs.Invalid, "FS-13"},
		"bad condition":    {func(s *GrantSpec) { s.Where = []Condition{{Item: "姓名", Op: Between, Values: []string{"1"}}} }, Rules{}, errs.Invalid, ""},
		"foreign filter":   {func(s *GrantSpec) { s.Where = []Condition{{Item: "c1; DROP", Op: Eq, Values: []string{"1"}}} }, Rules{}, errs.Invalid, ""},
		"no declared key":  {func(s *GrantSpec) { s.Resource = "k" }, Rules{}, errs.Invalid, "FS-13"},
		"withheld":         {func(s *GrantSpec) { s.Resource = "w" }, Rules{}, errs.Forbidden, "FS-12"},
		"unknown resource": {func(s *GrantSpec) { s.Resource = "?" }, Rules{}, errs.NotFound, ""},
		"bulk":             {func(s *GrantSpec) { s.Mode = Obtain }, Rules{NoBulk: true, NoBulkClause: "LY-13"}, errs.Forbidden, "LY-13"},
		"free query":       {func(s *GrantSpec) { s.FreeQuery = true }, Rules{NoBulk: true, NoBulkClause: "LY-13"}, errs.Forbidden, "LY-13"},
	} {
		t.Run(name, func(t *testing.T) {
			f.rules = c.rules
			spec := f.spec(Query)
			c.change(&spec)
			err := f.d.InTx(t.Context(), func(tx *db.Tx) error {
				_, err := f.CreateGrantTx(t.Context(), tx, spec)
				return err
			})
			e, ok := errs.As(err)
			if !ok || e.Kind != c.kind {
				t.Fatalf("got %v, want %s", err, c.kind)
			}
			clauses := append([]string(nil), e.Clauses...)
			for _, p := range e.Problems {
				clauses = append(clauses, p.Clause)
				if p.Text.ZH == "" || p.Text.EN == "" {
					t.Errorf("problem without words: %+v", p)
				}
			}
			found := c.clause == ""
			for _, id := range clauses {
				found = found || id == c.clause
			}
			if !found {
				t.Errorf("%v does not name %s", err, c.clause)
			}
		})
	}
	if n := len(f.plans.Load().byID); n != 0 {
		t.Errorf("%d plans from refused grants", n)
	}
	f.rules = Rules{NoBulk: true, NoBulkClause: "LY-13"}
	spec := f.spec(Obtain)
	spec.Exception = "龙数决〔2026〕3号"
	f.grant(t, spec)
}

// TestMaskChoice: a personal item leaves unmasked only where the grant says so.
func TestMaskChoice(t *testing.T) {
	f := grantsOn(t, dbtest.SQLite(t))
	spec := f.spec(Query)
	spec.Items = []GrantItem{{Name: "公民身份号码", Unmasked: true}, {Name: "姓名"}, {Name: "手机号码"}, {Name: "区划代码"}, {Name: "年收入", Mask: "round:1000"}}
	g := f.grant(t, spec)
	p := f.plans.Load().byID[g.ID]
	for name, want := range map[string]string{"公民身份号码": "", "姓名": "keep_ends:1,0", "手机号码": "keep_ends:3,2", "区划代码": "", "年收入": "round:1000"} {
		if c, ok := p.Column(name); !ok || c.Mask != want {
			t.Errorf("%s: %+v, want mask %q", name, c, want)
		}
	}
	if _, ok := p.Column("登记日期"); ok {
		t.Error("an item that was not granted is in the plan")
	}
}

// TestCatalogChange: a plan follows the catalog, and never grows wider by it.
func TestCatalogChange(t *testing.T) {
	f := grantsOn(t, dbtest.SQLite(t))
	spec := f.spec(Query)
	spec.Where = []Condition{{Item: "区划代码", Op: Prefix, Values: []string{"3501"}}}
	g := f.grant(t, spec)
	changed := people
	changed.Items = append([]SourceItem(nil), people.Items...)
	changed.Items[1].Personal, changed.Items[1].Mask = "", "replace"
	f.src[people.Code] = changed
	if err := f.Refresh(t.Context(), people.Code); err != nil {
		t.Fatal(err)
	}
	if c, _ := f.plans.Load().byID[g.ID].Column("姓名"); c.Mask != "replace" {
		t.Errorf("the new mask of the catalog is not applied: %+v", c)
	}
	changed.Items = append([]SourceItem(nil), people.Items[:3]...)
	f.src[people.Code] = changed
	if err := f.Refresh(t.Context(), people.Code); err != nil {
		t.Fatal(err)
	}
	if f.plans.Load().byID[g.ID] != nil {
		t.Error("a plan lives on although its row condition cannot be kept")
	}
	f.src[people.Code] = people
	if err := f.Refresh(t.Context(), people.Code); err != nil || f.plans.Load().byID[g.ID] == nil {
		t.Errorf("the plan does not come back with its item: %v", err)
	}
}
