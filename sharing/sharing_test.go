package sharing_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gongshu/agreement"
	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/sharing/sharingtest"
	"gongshu/workday"
)

type world struct{ *sharingtest.World }

func open(t *testing.T, d *db.DB, city string) *world {
	t.Helper()
	return &world{sharingtest.Open(t, d, city)}
}

func who(b catalog.Body, p identity.Post) identity.Actor { return catalogtest.Actor(b, p) }

var (
	marketSteward = who(catalogtest.Market, identity.Steward)
	marketLeader  = who(catalogtest.Market, identity.Leader)
	policeSteward = who(catalogtest.Police, identity.Steward)
	policeLeader  = who(catalogtest.Police, identity.Leader)
	reviewer      = who(catalogtest.Authority, identity.AuthorityReviewer)
	operator      = who(sharingtest.Centre, identity.Operator)
)

// form is the market office's request to check residents' names.
func (w *world) form() sharing.Form {
	return sharing.Form{Resource: w.Residents.PathCode(), Mode: "verify", Purposes: []string{"check"}, Business: "企业开办身份核验", Users: []string{"登记注册科"},
		Items: []string{"公民身份号码", "name", "i4"}, EndDate: "2027-03-31"}
}

func (w *world) apply(t *testing.T, f sharing.Form) sharing.Request {
	t.Helper()
	r, err := w.Sharing.Apply(t.Context(), marketSteward, f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// decide ends the task that is the actor's, and gives the request as it is then.
func (w *world) decide(t *testing.T, actor identity.Actor, number, outcome, reason string, terms *sharing.Terms) (sharing.Request, error) {
	t.Helper()
	task, err := w.Sharing.OpenTask(t.Context(), actor, number)
	if err != nil {
		return sharing.Request{}, err
	}
	if _, err := w.Sharing.Decide(t.Context(), actor, task.ID, outcome, reason, terms); err != nil {
		return sharing.Request{}, err
	}
	r, err := w.Sharing.Request(t.Context(), marketSteward, number)
	if errs.Is(err, errs.Forbidden) {
		return w.Sharing.Request(t.Context(), reviewer, number)
	}
	return r, err
}

func (w *world) must(t *testing.T, actor identity.Actor, number, outcome, reason string, terms *sharing.Terms) sharing.Request {
	t.Helper()
	r, err := w.decide(t, actor, number, outcome, reason, terms)
	if err != nil {
		t.Fatalf("%s by %s: %v", outcome, actor.ID, err)
	}
	return r
}

func hasClause(err error, id string) bool {
	e, ok := errs.As(err)
	if !ok {
		return false
	}
	if strings.Contains(strings.Join(e.Clauses, " "), id) {
		return true
	}
	for _, p := range e.Problems {
		if p.Clause == id {
			return true
		}
	}
	return false
}

func TestConditionalFuzhou(t *testing.T) {
	clause.Covers(t, "FZM-17", "FZM-29")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := open(t, d, "fuzhou")
		r := w.apply(t, w.form())
		f, err := w.Sharing.File(t.Context(), policeSteward, r.Number)
		if err != nil {
			t.Fatal(err)
		}
		if r.State != sharing.Pending || r.Kind != sharing.Conditional || f.Case.Case.DueOn != "2026-10-22" || f.Task == nil {
			t.Fatalf("%+v due %s", r, f.Case.Case.DueOn)
		}
		if _, err := w.Sharing.Apply(t.Context(), marketSteward, w.form()); !errs.Is(err, errs.Conflict) {
			t.Errorf("the same need twice: %v", err)
		}
		w.must(t, policeSteward, r.Number, casework.Agree, "", nil)
		r = w.must(t, reviewer, r.Number, casework.Approve, "", nil)
		if r.GrantID != "" {
			t.Fatal("a grant before the agreement")
		}
		f, err = w.Sharing.File(t.Context(), marketLeader, r.Number)
		if err != nil || f.Agreement == nil || f.Agreement.State != agreement.Signing {
			t.Fatalf("agreement %+v (%v)", f.Agreement, err)
		}
		for _, want := range []string{"市公安局", "市市场监督管理局", "企业开办身份核验", "核验（比对）", "2027-03-31", "《福州市政务数据资源管理办法》第十七条", "登记注册科", "数据校核", "姓名"} {
			if !strings.Contains(f.Agreement.Text, want) {
				t.Errorf("the agreement does not say %s", want)
			}
		}
		w.must(t, policeLeader, r.Number, casework.Accept, "", nil)
		r = w.must(t, marketLeader, r.Number, casework.Accept, "", nil)
		if r.State != sharing.Granted || r.GrantID == "" || r.Approver != reviewer.Name {
			t.Fatalf("after both signatures: %+v", r)
		}
		g, err := w.Gateway.Grant(t.Context(), d.Read(), r.GrantID)
		if err != nil {
			t.Fatal(err)
		}
		if g.Mode != gateway.Verify || g.Client != catalogtest.Market.ID || g.CaseNo != r.Number || g.Approver != reviewer.Name || len(g.Items) != 3 ||
			g.Expires.In(workday.Zone).Format("2006-01-02 15:04") != "2027-04-01 00:00" || g.Purposes[0] != "数据校核" {
			t.Errorf("grant %+v", g)
		}
		a, err := w.Agreements.Current(t.Context(), d.Read(), r.CaseID)
		if err != nil || a.State != agreement.Effective {
			t.Errorf("agreement %s (%v)", a.State, err)
		}
		if n, err := w.Agreements.Check(a); err != nil || n != 4 {
			t.Errorf("signatures %d %v", n, err)
		}
		page, err := w.Log.Search(t.Context(), audit.Filter{Grant: r.GrantID}, 0, 10)
		if err != nil || len(page.Records) != 1 {
			t.Errorf("%d entries name the grant (%v)", len(page.Records), err)
		}
		gf, err := w.Sharing.Grant(t.Context(), marketSteward, r.GrantID)
		if err != nil || !gf.MayRelease || !gf.MayRenew || gf.MayRevoke {
			t.Errorf("the consumer may %+v (%v)", gf, err)
		}
		if _, err := w.Sharing.Revoke(t.Context(), policeSteward, r.GrantID, "x"); !errs.Is(err, errs.Forbidden) {
			t.Errorf("a steward revokes: %v", err)
		}
		if _, err := w.Sharing.Revoke(t.Context(), policeLeader, r.GrantID, " "); !errs.Is(err, errs.Invalid) {
			t.Errorf("without reasons: %v", err)
		}
		if g, err = w.Sharing.Revoke(t.Context(), policeLeader, r.GrantID, "超范围使用"); err != nil || g.State(*w.Clock) != gateway.Revoked {
			t.Fatal(err)
		}
		if a, _ = w.Agreements.Current(t.Context(), d.Read(), r.CaseID); a.State != agreement.Ended {
			t.Errorf("the agreement is %s after the revocation", a.State)
		}
		if _, err := w.Sharing.Renew(t.Context(), marketSteward, r.GrantID, "2027-08-31", ""); !errs.Is(err, errs.Conflict) {
			t.Errorf("renewing a revoked grant: %v", err)
		}
	})
}

func TestUnconditionalAtOnce(t *testing.T) {
	clause.Covers(t, "FZM-17", "LY-12")
	for _, city := range []string{"fuzhou", "longyan", "quanzhou"} {
		t.Run(city, func(t *testing.T) {
			w := open(t, dbtest.SQLite(t), city)
			f := sharing.Form{Resource: w.Licences.Code, Mode: "query", Purposes: []string{"basis"}, Business: "户政核对", Users: []string{"户政科"}}
			r, err := w.Sharing.Apply(t.Context(), policeSteward, f)
			if err != nil || r.State != sharing.Granted || r.GrantID == "" || r.CaseID != "" || r.Number != "ZJ-2026-000001" {
				t.Fatalf("%+v (%v)", r, err)
			}
			g, err := w.Gateway.Grant(t.Context(), w.DB.Read(), r.GrantID)
			if err != nil || len(g.Items) != 8 || !g.Expires.IsZero() {
				t.Errorf("grant %+v (%v)", g, err)
			}
			if _, err := w.Sharing.Apply(t.Context(), policeLeader, f); !errs.Is(err, errs.Forbidden) {
				t.Errorf("a leader applies: %v", err)
			}
			if _, err := w.Sharing.Apply(t.Context(), marketSteward, f); !errs.Is(err, errs.Invalid) {
				t.Errorf("applying for own data: %v", err)
			}
			if g, err := w.Sharing.Release(t.Context(), policeSteward, r.GrantID, "系统停用"); err != nil || g.State(*w.Clock) != gateway.Revoked {
				t.Errorf("release: %v", err)
			}
		})
	}
}

func TestFoshan(t *testing.T) {
	clause.Covers(t, "FS-26", "FS-29", "FS-13", "FS-8", "FS-5.4")
	w := open(t, dbtest.SQLite(t), "foshan")
	// unconditional: applied for at the authority, which opens access without the provider
	f := sharing.Form{Resource: w.Licences.Code, Mode: "query", Purposes: []string{"basis"}, Business: "户政核对", Users: []string{"户政科"}, EndDate: "2027-01-31"}
	r, err := w.Sharing.Apply(t.Context(), policeSteward, f)
	if err != nil || r.Kind != sharing.Application || r.State != sharing.Pending {
		t.Fatalf("%+v (%v)", r, err)
	}
	file, err := w.Sharing.File(t.Context(), reviewer, r.Number)
	if err != nil || file.Case.Case.DueOn != "2026-09-20" { // one working day by the nation's rules; Sunday the 20th is worked
		t.Errorf("due %s (%v)", file.Case.Case.DueOn, err)
	}
	if r = w.must(t, reviewer, r.Number, casework.Approve, "", nil); r.State != sharing.Granted {
		t.Errorf("%+v", r)
	}
	// conditional: the provider decides within ten working days; no agreement is asked for
	r = w.apply(t, w.form())
	if file, _ = w.Sharing.File(t.Context(), policeLeader, r.Number); file.Case.Case.DueOn != "2026-10-09" || file.Task == nil {
		t.Errorf("due %s", file.Case.Case.DueOn)
	}
	keep := sharing.Terms{Items: []gateway.GrantItem{{Name: "公民身份号码"}, {Name: "姓名", Mask: "keep_ends:1,1"}}, EndDate: "2026-12-31", RequestsPerDay: 1000}
	for name, bad := range map[string]struct {
		outcome, reason string
		terms           sharing.Terms
	}{
		"an item more":        {casework.Cut, "核减", sharing.Terms{Items: append(keep.Items[:2:2], gateway.GrantItem{Name: "户籍地址"}), EndDate: "2026-12-31"}},
		"a later end":         {casework.Cut, "核减", sharing.Terms{Items: keep.Items, EndDate: "2028-01-01"}},
		"nothing left":        {casework.Cut, "核减", sharing.Terms{EndDate: "2026-12-31"}},
		"unmasked":            {casework.Cut, "核减", sharing.Terms{Items: []gateway.GrantItem{{Name: "姓名", Unmasked: true}}, EndDate: "2026-12-31"}},
		"approved with cuts":  {casework.Approve, "", keep},
		"a cut of nothing":    {casework.Cut, "核减", r.Terms},
		"a cut without words": {casework.Cut, "", keep},
	} {
		if _, err := w.decide(t, policeLeader, r.Number, bad.outcome, bad.reason, &bad.terms); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		} else if name != "a cut without words" && !hasClause(err, "FS-29") {
			t.Errorf("%s cites no article: %v", name, err)
		}
	}
	r = w.must(t, policeLeader, r.Number, casework.Cut, "最小够用，核减户籍地址", &keep)
	if r.State != sharing.Granted || !r.Cut {
		t.Fatalf("%+v", r)
	}
	g, err := w.Gateway.Grant(t.Context(), w.DB.Read(), r.GrantID)
	if err != nil || len(g.Items) != 2 || g.Items[1].Mask != "keep_ends:1,1" || g.RequestsPerDay != 1000 || g.Expires.In(workday.Zone).Format(time.DateOnly) != "2027-01-01" {
		t.Errorf("grant %+v (%v)", g, err)
	}
	if file, _ = w.Sharing.File(t.Context(), marketSteward, r.Number); file.Agreement != nil {
		t.Error("an agreement that the city does not ask for")
	}
}

func TestLongyanFiveDaysAndTheDataCentre(t *testing.T) {
	clause.Covers(t, "LY-12")
	w := open(t, dbtest.SQLite(t), "longyan")
	r := w.apply(t, w.form())
	file, err := w.Sharing.File(t.Context(), policeSteward, r.Number)
	if err != nil || file.Case.Case.DueOn != "2026-09-24" {
		t.Errorf("due %s (%v)", file.Case.Case.DueOn, err)
	}
	w.must(t, policeSteward, r.Number, casework.Object, "建议核减户籍地址", nil)
	w.must(t, reviewer, r.Number, casework.Approve, "", nil)
	w.must(t, policeLeader, r.Number, casework.Accept, "", nil)
	if r = w.must(t, marketLeader, r.Number, casework.Accept, "", nil); r.State != sharing.Pending {
		t.Fatal("granted before the data centre opened it")
	}
	if r = w.must(t, operator, r.Number, casework.Done, "", nil); r.State != sharing.Granted {
		t.Errorf("%+v", r)
	}
}

// A county's data is decided by the county's own authority where the city says
// so; elsewhere by the city's. The test city's provider stands in 350100.
func TestWhoseAuthorityDecides(t *testing.T) {
	clause.Covers(t, "LY-12", "FZM-17")
	for city, want := range map[string]string{"longyan": "350100", "foshan": "440600", "quanzhou": "350500"} {
		w := open(t, dbtest.SQLite(t), city)
		w.apply(t, w.form())
		if w.AskedFor != want {
			t.Errorf("%s asks for the authority of %s, want %s", city, w.AskedFor, want)
		}
	}
}

func TestQuanzhouByTheNationsDays(t *testing.T) {
	clause.Covers(t, "QZ-3.1.5")
	w := open(t, dbtest.SQLite(t), "quanzhou")
	r := w.apply(t, w.form())
	file, err := w.Sharing.File(t.Context(), operator, r.Number)
	if err != nil || file.Case.Case.DueOn != "2026-10-09" || file.Task == nil {
		t.Fatalf("due %s (%v)", file.Case.Case.DueOn, err)
	}
	if rule, _ := file.Case.Case.Procedure.Clock(casework.ClockAnswer); rule.Kind != profile.Inherited || rule.Source == "" || len(rule.Clauses) != 0 {
		t.Errorf("the rule is the nation's, without an article number: %+v", rule)
	}
	w.must(t, operator, r.Number, casework.Agree, "", nil)
	w.must(t, policeSteward, r.Number, casework.Agree, "", nil)
	w.must(t, reviewer, r.Number, casework.Approve, "", nil)
	w.must(t, policeLeader, r.Number, casework.Accept, "", nil)
	w.must(t, marketLeader, r.Number, casework.Accept, "", nil)
	if r = w.must(t, operator, r.Number, casework.Done, "", nil); r.State != sharing.Granted {
		t.Errorf("%+v", r)
	}
}

func TestRefusalByTheAuthority(t *testing.T) {
	clause.Covers(t, "FZM-17", "LY-12")
	w := open(t, dbtest.SQLite(t), "fuzhou")
	r := w.apply(t, w.form())
	w.must(t, policeSteward, r.Number, casework.Object, "与职责无关", nil)
	if _, err := w.decide(t, reviewer, r.Number, casework.Refuse, "", nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("a refusal without reasons: %v", err)
	}
	r = w.must(t, reviewer, r.Number, casework.Refuse, "申请用途与履职无关", nil)
	if r.State != sharing.Refused || r.Reason != "申请用途与履职无关" || r.GrantID != "" {
		t.Errorf("%+v", r)
	}
	// refused once is no bar to asking again
	again := w.apply(t, w.form())
	w.must(t, policeSteward, again.Number, casework.Agree, "", nil)
	w.must(t, reviewer, again.Number, casework.Approve, "", nil)
	if again = w.must(t, policeLeader, again.Number, casework.Decline, "条款不妥", nil); again.State != sharing.Refused {
		t.Errorf("declined agreement: %+v", again)
	}
	if a, err := w.Agreements.Current(t.Context(), w.DB.Read(), again.CaseID); err != nil || a.State != agreement.Declined {
		t.Errorf("agreement %s (%v)", a.State, err)
	}
}

func TestReturnedAndAmended(t *testing.T) {
	w := open(t, dbtest.SQLite(t), "foshan")
	r := w.apply(t, w.form())
	if r = w.must(t, policeLeader, r.Number, casework.Return, "请写明具体科室", nil); r.State != sharing.Returned {
		t.Fatalf("%+v", r)
	}
	f := w.form()
	f.Users = []string{"企业登记一科"}
	f.Mode = "query"
	if _, err := w.Sharing.Amend(t.Context(), marketSteward, r.Number, f); !errs.Is(err, errs.Invalid) {
		t.Errorf("another mode: %v", err)
	}
	f.Mode = "verify"
	if _, err := w.Sharing.Amend(t.Context(), policeSteward, r.Number, f); err == nil {
		t.Error("the provider amends the consumer's request")
	}
	if r, err := w.Sharing.Amend(t.Context(), marketSteward, r.Number, f); err != nil || r.State != sharing.Pending || r.Form.Users[0] != "企业登记一科" {
		t.Fatalf("%+v (%v)", r, err)
	}
	if r = w.must(t, policeLeader, r.Number, casework.Approve, "", nil); r.State != sharing.Granted {
		t.Errorf("%+v", r)
	}
}

func TestWithheldIsRefusedWithTheArticle(t *testing.T) {
	clause.Covers(t, "FS-12", "FS-26", "FZM-16", "LY-11")
	for city, id := range map[string]string{"foshan": "FS-12", "fuzhou": "FZM-16", "longyan": "LY-11"} {
		t.Run(city, func(t *testing.T) {
			w := open(t, dbtest.SQLite(t), city)
			in := catalogtest.Residents()
			in.Name, in.Sharing, in.Conditions = "在侦案件人员信息", catalog.Withheld, nil
			in.SharingWays, in.Source.Overlap = nil, "在侦案件人员与户籍登记是两项不同的职责"
			secret := w.Publish(t, in)
			f := w.form()
			f.Resource, f.Items = secret.Code, nil
			_, err := w.Sharing.Apply(t.Context(), marketSteward, f)
			if !errs.Is(err, errs.Forbidden) || !hasClause(err, id) {
				t.Fatalf("%v, want a refusal by %s", err, id)
			}
			f.Note = "协助追逃，履职确需"
			r, err := w.Sharing.Negotiate(t.Context(), marketSteward, f)
			if city != "foshan" {
				if !errs.Is(err, errs.Forbidden) {
					t.Errorf("a negotiation that the city does not know: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// the sides do not agree; the authority brings it to the committee, which does
			w.must(t, policeLeader, r.Number, casework.Refuse, "涉及侦查秘密", nil)
			w.must(t, reviewer, r.Number, casework.Agree, "", nil)
			r, err = w.decide(t, reviewer, r.Number, casework.Approve, "委员会会议纪要〔2026〕3号", nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.State != sharing.Settled || r.GrantID != "" {
				t.Errorf("withheld data is granted only after the catalog changes: %+v", r)
			}
		})
	}
}

func TestExecutableConditionsBind(t *testing.T) {
	clause.Covers(t, "FS-13", "FS-26")
	w := open(t, dbtest.SQLite(t), "foshan")
	base := w.form()
	for name, c := range map[string]struct {
		change func(*sharing.Form)
		says   string
	}{
		"another purpose": {func(f *sharing.Form) { f.Purposes = []string{"enforcement"} }, "用途限于"},
		"bulk":            {func(f *sharing.Form) { f.Mode = "obtain" }, "仅供"},
		"statistics on the name": {func(f *sharing.Form) {
			f.Mode, f.Purposes, f.Items = "statistics", []string{"research"}, []string{"性别", "姓名"}
		}, "不含信息项姓名"},
	} {
		f := base
		c.change(&f)
		_, err := w.Sharing.Apply(t.Context(), marketSteward, f)
		if e, _ := errs.As(err); !errs.Is(err, errs.Forbidden) || !hasClause(err, "FS-13") || !strings.Contains(e.Text.ZH, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := base
	// The words that the refusal shows will do as well as the key.
	f.Mode, f.Purposes, f.Items = "statistics", []string{catalog.NameOf("purpose", "research").ZH}, []string{"性别", "区划代码"}
	if r, err := w.Sharing.Apply(t.Context(), marketSteward, f); err != nil || r.State != sharing.Pending || !slices.Equal(r.Form.Purposes, []string{"research"}) {
		t.Errorf("statistics within the condition: %v, purposes %v", err, r.Form.Purposes)
	}
	// unmet conditions leave negotiation, which may end in a grant
	f = base
	f.Mode = "obtain"
	r, err := w.Sharing.Negotiate(t.Context(), marketSteward, f)
	if err != nil {
		t.Fatal(err)
	}
	if r = w.must(t, policeLeader, r.Number, casework.Approve, "", nil); r.State != sharing.Granted {
		t.Errorf("%+v", r)
	}
	if _, err := w.Sharing.Negotiate(t.Context(), marketSteward, base); !errs.Is(err, errs.Conflict) {
		t.Errorf("negotiating what can be applied for: %v", err)
	}
}

func TestBulkAndFreeQueryByException(t *testing.T) {
	clause.Covers(t, "LY-13")
	w := open(t, dbtest.SQLite(t), "longyan")
	f := sharing.Form{Resource: w.Licences.Code, Mode: "obtain", Purposes: []string{"basis"}, Business: "普查比对", Users: []string{"户政科"}, EndDate: "2026-12-31"}
	if _, err := w.Sharing.Apply(t.Context(), policeSteward, f); !errs.Is(err, errs.Invalid) || !hasClause(err, "LY-13") {
		t.Fatalf("bulk without a reason: %v", err)
	}
	f.ExceptionReason = "全市经济普查需要全量比对"
	r, err := w.Sharing.Apply(t.Context(), policeSteward, f)
	if err != nil || r.Kind != sharing.Conditional || !r.NeedsException {
		t.Fatalf("%+v (%v)", r, err)
	}
	step := func(actor identity.Actor, outcome, reason string) error {
		_, err := w.decide(t, actor, r.Number, outcome, reason, nil)
		return err
	}
	if err := step(marketSteward, casework.Agree, ""); err != nil {
		t.Fatal(err)
	}
	if err := step(reviewer, casework.Approve, ""); !errs.Is(err, errs.Invalid) || !hasClause(err, "LY-13") {
		t.Errorf("an exception without reasons: %v", err)
	}
	if err := step(reviewer, casework.Approve, "局务会〔2026〕12号同意普查期间批量提供"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		actor   identity.Actor
		outcome string
	}{{marketLeader, casework.Accept}, {policeLeader, casework.Accept}, {operator, casework.Done}} {
		if err := step(s.actor, s.outcome, ""); err != nil {
			t.Fatal(err)
		}
	}
	r, err = w.Sharing.Request(t.Context(), policeSteward, r.Number)
	if err != nil || r.State != sharing.Granted {
		t.Fatalf("%+v (%v)", r, err)
	}
	g, err := w.Gateway.Grant(t.Context(), w.DB.Read(), r.GrantID)
	if err != nil || !strings.Contains(g.Exception, r.Number) || !strings.Contains(g.Exception, "局务会") {
		t.Errorf("the grant names no recorded decision: %q (%v)", g.Exception, err)
	}
}

func TestIncompleteFormsNameEveryField(t *testing.T) {
	clause.Covers(t, "FS-29")
	w := open(t, dbtest.SQLite(t), "foshan")
	_, err := w.Sharing.Apply(t.Context(), marketSteward, sharing.Form{Resource: w.Residents.Code, Mode: "take", Items: []string{"血型"}, EndDate: "tomorrow"})
	e, ok := errs.As(err)
	if !ok || e.Kind != errs.Invalid {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, p := range e.Problems {
		got[p.Field] = true
		if p.Clause != "FS-29" {
			t.Errorf("%s cites %q", p.Field, p.Clause)
		}
	}
	for _, field := range []string{"mode", "purposes", "business", "users", "items", "end_date"} {
		if !got[field] {
			t.Errorf("%s is not named", field)
		}
	}
	f := w.form()
	f.EndDate = "2028-12-31"
	if _, err := w.Sharing.Apply(t.Context(), marketSteward, f); !errs.Is(err, errs.Invalid) {
		t.Errorf("two years: %v", err)
	}
	f = w.form()
	f.Clients = []string{catalogtest.Market.ID + "-system", catalogtest.Police.ID + "-system"}
	_, err = w.Sharing.Apply(t.Context(), marketSteward, f)
	if e, ok := errs.As(err); !ok || e.Kind != errs.Invalid || e.Field != "clients" {
		t.Errorf("another body's client: %v", err)
	}
	f = w.form()
	f.Resource = "109999/9999"
	if _, err := w.Sharing.Apply(t.Context(), marketSteward, f); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such resource: %v", err)
	}
}

func TestRenewal(t *testing.T) {
	clause.Covers(t, "FS-26", "FS-29")
	w := open(t, dbtest.SQLite(t), "foshan")
	r := w.apply(t, w.form())
	r = w.must(t, policeLeader, r.Number, casework.Approve, "", nil)
	w.On(t, "2027-03-01")
	if _, err := w.Sharing.Renew(t.Context(), marketSteward, r.GrantID, "", ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("no end: %v", err)
	}
	if _, err := w.Sharing.Renew(t.Context(), policeSteward, r.GrantID, "2027-09-30", ""); !errs.Is(err, errs.Forbidden) {
		t.Errorf("the provider renews: %v", err)
	}
	n, err := w.Sharing.Renew(t.Context(), marketSteward, r.GrantID, "2027-09-30", "业务继续")
	if err != nil || n.Kind != sharing.Renewal || n.State != sharing.Pending || !strings.HasPrefix(n.Number, "XQ-2027-") {
		t.Fatalf("%+v (%v)", n, err)
	}
	n = w.must(t, policeLeader, n.Number, casework.Approve, "", nil)
	g, err := w.Gateway.Grant(t.Context(), w.DB.Read(), r.GrantID)
	if err != nil || n.State != sharing.Granted || n.GrantID != r.GrantID || len(g.Renewals) != 1 || g.Expires.In(workday.Zone).Format(time.DateOnly) != "2027-10-01" {
		t.Errorf("grant %+v request %+v (%v)", g, n, err)
	}
}

func TestWhoSeesRequestsAndGrants(t *testing.T) {
	clause.Covers(t, "FZM-9")
	w := open(t, dbtest.SQLite(t), "foshan")
	r := w.apply(t, w.form())
	r = w.must(t, policeLeader, r.Number, casework.Approve, "", nil)
	stranger := who(catalog.Body{ID: "body-school", Name: "市教育局", District: "350100"}, identity.Steward)
	if _, err := w.Sharing.Request(t.Context(), stranger, r.Number); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a stranger reads a request: %v", err)
	}
	if _, err := w.Sharing.Grant(t.Context(), stranger, r.GrantID); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a stranger reads a grant: %v", err)
	}
	if _, n, err := w.Sharing.Requests(t.Context(), stranger, sharing.Filter{}); err != nil || n != 0 {
		t.Errorf("a stranger lists %d requests (%v)", n, err)
	}
	if list, err := w.Sharing.Grants(t.Context(), stranger, gateway.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("a stranger lists %d grants (%v)", len(list), err)
	}
	for _, a := range []identity.Actor{marketSteward, policeLeader, reviewer, who(catalogtest.Authority, identity.Auditor)} {
		if _, n, err := w.Sharing.Requests(t.Context(), a, sharing.Filter{State: sharing.Granted, Text: "户籍"}); err != nil || n != 1 {
			t.Errorf("%s lists %d (%v)", a.ID, n, err)
		}
		if list, err := w.Sharing.Grants(t.Context(), a, gateway.Filter{}); err != nil || len(list) != 1 {
			t.Errorf("%s lists %d grants (%v)", a.ID, len(list), err)
		}
	}
}
