package org_test

import (
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/org"
)

func TestFounding(t *testing.T) {
	clause.Covers(t, "FS-40", "FZM-6")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		if w.founded.Authority.Name != "福州市大数据发展管理委员会" || len(w.founded.Admins) != 3 {
			t.Errorf("founded %+v", w.founded)
		}
		_, err := w.org.Found(t.Context(), []org.FirstAdmin{{Post: identity.SystemAdmin, Login: "again", Name: "再来"}})
		wantKind(t, err, errs.Conflict)
		if w.system.Post != identity.SystemAdmin || w.system.Level != org.City || w.system.District != "350100" || w.system.MustChange {
			t.Errorf("system administrator %+v", w.system)
		}
	})
}

func TestBodies(t *testing.T) {
	clause.Covers(t, "FS-22", "FS-4", "FZM-11", "LY-7", "FZM-3", "LY-3", "FZM-22")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		for name, c := range map[string]struct {
			body   org.Body
			field  string
			clause string
		}{
			"bad uscc":          {org.Body{Name: "市民政局", USCC: "11350100000000018N", Kind: "organ", Level: org.City, District: "350100"}, "uscc", "FS-22"},
			"no kind":           {org.Body{Name: "市民政局", Level: org.City, District: "350100"}, "kind", "FZM-3"},
			"county, no space":  {org.Body{Name: "鼓楼区民政局", Kind: "organ", Level: org.County, District: "350102"}, "district", "FZM-11"},
			"level unknown":     {org.Body{Name: "市民政局", Kind: "organ", Level: org.District, District: "350102"}, "level", "FS-4"},
			"applicant no code": {org.Body{Name: "某某科技公司", Kind: "enterprise", Role: org.Applicant, Level: org.City, District: "350100"}, "uscc", "FS-22"},
			"organ applicant":   {org.Body{Name: "市民政局", USCC: "11350100000000019N", Kind: "organ", Role: org.Applicant, Level: org.City, District: "350100"}, "kind", "FZM-22"},
		} {
			_, err := w.org.CreateBody(ctx, w.system, c.body)
			e, ok := errs.As(err)
			if !ok || e.Kind != errs.Invalid {
				t.Errorf("%s: %v", name, err)
				continue
			}
			found := false
			for _, p := range e.Problems {
				found = found || p.Field == c.field && p.Clause == c.clause
			}
			if !found {
				t.Errorf("%s: %v names no problem of %s by %s", name, err, c.field, c.clause)
			}
		}
		_, err := w.org.CreateBody(ctx, w.system, org.Body{Name: "他市民政局", Kind: "organ", Level: org.City, District: "350500"})
		wantKind(t, err, errs.Forbidden, "FZM-6")
		if _, err := w.org.OpenSpace(ctx, w.system, "350102", "鼓楼区空间"); err != nil {
			t.Fatal(err)
		}
		_, err = w.org.OpenSpace(ctx, w.system, "350102", "鼓楼区空间")
		wantKind(t, err, errs.Conflict, "FZM-11")
		_, err = w.org.OpenSpace(ctx, w.system, "350100", "市本级")
		wantKind(t, err, errs.Invalid)
		county, err := w.org.CreateBody(ctx, w.system, org.Body{Name: "鼓楼区大数据局", USCC: " 11350100000000019n", Kind: "organ", Role: org.Authority, Level: org.County, District: "350102"})
		if err != nil {
			t.Fatal(err)
		}
		if county.USCC != "11350100000000019N" {
			t.Errorf("code was not folded: %q", county.USCC)
		}
		_, err = w.org.CreateBody(ctx, w.system, org.Body{Name: "另一局", USCC: "11350100000000019N", Kind: "organ", Level: org.City, District: "350100"})
		wantKind(t, err, errs.Conflict, "FS-22")
		_, err = w.org.CreateBody(ctx, w.system, org.Body{Name: "鼓楼区大数据局", Kind: "organ", Level: org.City, District: "350100"})
		wantKind(t, err, errs.Conflict)
		// LY-12: the county's own authority decides for the county, the city's for the rest.
		for district, want := range map[string]string{"350102": county.ID, "350103": w.founded.Authority.ID, "350100": w.founded.Authority.ID} {
			if got, err := w.org.AuthorityFor(ctx, district); err != nil || got.ID != want {
				t.Errorf("authority for %s: %v %v", district, got.Name, err)
			}
		}
		found, err := w.org.Bodies(ctx, org.BodyFilter{Text: "鼓楼"})
		if err != nil || len(found) != 1 {
			t.Errorf("search found %v %v", found, err)
		}
		if found, _ := w.org.Bodies(ctx, org.BodyFilter{Text: "%"}); len(found) != 0 {
			t.Errorf("a wildcard is not text: %v", found)
		}
	})
}

func TestPostsNeedTwoPeople(t *testing.T) {
	clause.Covers(t, "FS-40", "FZM-34", "LY-5")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		b, who := w.department("市民政局", identity.Leader, identity.Steward)
		leader, steward := who[identity.Leader], who[identity.Steward]
		if steward.Post != identity.Steward || steward.Body != b.ID {
			t.Fatalf("steward %+v", steward)
		}
		heir, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "李接任", Login: "heir01", Body: b.ID, Phone: "0591-83212345"}})
		if err != nil {
			t.Fatal(err)
		}
		fresh := w.first("heir01", heir.InitialSecret)
		if fresh.Post != "" || fresh.Body != b.ID {
			t.Errorf("a person without posts acts as %+v", fresh)
		}
		holding := steward.Held[0].ID
		// The leader hands the stewardship over; neither leader nor system administrator confirms.
		_, err = w.org.HandOver(ctx, leader, holding, heir.ID, time.Time{}, "")
		wantKind(t, err, errs.Invalid, "FZM-34")
		h, err := w.org.HandOver(ctx, leader, holding, heir.ID, time.Time{}, "轮岗")
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.org.Confirm(ctx, leader, h.ID), errs.Forbidden, "FS-40")
		wantKind(t, w.org.Confirm(ctx, w.system, h.ID), errs.Forbidden, "FS-40")
		wantKind(t, w.org.Confirm(ctx, w.auditor, h.ID), errs.Forbidden)
		if err := w.org.Confirm(ctx, w.security, h.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.org.Confirm(ctx, w.security, h.ID), errs.Conflict)
		now, err := w.org.Holders(ctx, b.ID, identity.Steward)
		if err != nil || len(now) != 1 || now[0].Person != heir.ID {
			t.Errorf("stewards now %v %v", now, err)
		}
		all, _ := w.org.BodyHoldings(ctx, b.ID)
		ended := 0
		for _, x := range all {
			if x.State == org.Ended && x.Person == steward.ID && !x.Until.IsZero() {
				ended++
			}
		}
		if ended != 1 {
			t.Errorf("the old stewardship has not ended: %+v", all)
		}
		// A leader proposes department posts of the own body only.
		_, err = w.org.Propose(ctx, leader, org.Proposal{Body: b.ID, Post: identity.Operator, Person: heir.ID})
		wantKind(t, err, errs.Forbidden)
		_, err = w.org.Propose(ctx, leader, org.Proposal{Body: w.founded.Authority.ID, Post: identity.Steward, Person: heir.ID})
		wantKind(t, err, errs.Forbidden)
		// Posts stand where they belong.
		_, err = w.org.Propose(ctx, w.system, org.Proposal{Body: b.ID, Post: identity.AuthorityReviewer, Person: heir.ID})
		wantKind(t, err, errs.Invalid, "FZM-6")
		// A security administrator cannot confirm the own post, nor what he proposed.
		_, err = w.org.Propose(ctx, w.security, org.Proposal{Body: b.ID, Post: identity.Steward, Person: heir.ID})
		wantKind(t, err, errs.Forbidden)
	})
}

func TestAdministratorsStaySeparate(t *testing.T) {
	clause.Covers(t, "FS-40")
	for _, c := range []struct {
		held   []identity.Post
		wanted identity.Post
		ok     bool
	}{
		{nil, identity.Auditor, true},
		{[]identity.Post{identity.Steward}, identity.Leader, true},
		{[]identity.Post{identity.SystemAdmin}, identity.SecurityAdmin, false},
		{[]identity.Post{identity.Auditor}, identity.SystemAdmin, false},
		{[]identity.Post{identity.SecurityAdmin}, identity.Auditor, false},
		{[]identity.Post{identity.Operator}, identity.Auditor, false},
		{[]identity.Post{identity.SystemAdmin}, identity.Steward, false},
		{[]identity.Post{identity.SystemAdmin}, identity.SystemAdmin, true},
	} {
		if err := org.CheckSeparation(c.held, c.wanted); (err == nil) != c.ok {
			t.Errorf("%v and %s: %v", c.held, c.wanted, err)
		}
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		_, err := w.org.Propose(ctx, w.system, org.Proposal{Body: w.founded.Authority.ID, Post: identity.SystemAdmin, Person: w.auditor.ID})
		wantKind(t, err, errs.Forbidden, "FS-40")
		// None removes, stops or resets another.
		wantKind(t, w.org.End(ctx, w.security, w.auditor.Held[0].ID, "不再需要"), errs.Forbidden, "FS-40")
		wantKind(t, w.org.SetPersonState(ctx, w.system, w.auditor.ID, org.Disabled), errs.Forbidden, "FS-40")
		_, err = w.org.ResetSecret(ctx, w.security, w.system.ID)
		wantKind(t, err, errs.Forbidden, "FS-40")
		// None does another's work.
		_, err = w.org.CreatePerson(ctx, w.security, org.NewPerson{Person: org.Person{Name: "王新人", Login: "wang", Body: w.founded.Authority.ID, Phone: "13800138000"}})
		wantKind(t, err, errs.Forbidden)
		_, err = w.org.CreatePerson(ctx, w.auditor, org.NewPerson{Person: org.Person{Name: "王新人", Login: "wang", Body: w.founded.Authority.ID, Phone: "13800138000"}})
		wantKind(t, err, errs.Forbidden)
		// The auditor's post changes hands by proposal and confirmation.
		p, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "赵接审", Login: "audit2", Body: w.founded.Authority.ID, Phone: "13800138000"}})
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.org.HandOver(ctx, w.system, w.auditor.Held[0].ID, p.ID, time.Time{}, "退休")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.org.Confirm(ctx, w.security, h.ID); err != nil {
			t.Fatal(err)
		}
		if a := w.first("audit2", p.InitialSecret); a.Post != identity.Auditor {
			t.Errorf("successor acts as %s", a.Post)
		}
		// At the server an administrator who is locked out gets in again.
		_, plain, err := w.org.ResetAdmin(ctx, "secadmin", "root")
		if err != nil {
			t.Fatal(err)
		}
		_, a, err := w.org.LogIn(ctx, org.LogInForm{Login: "secadmin", Secret: plain, Addr: "10.0.0.1"})
		if err != nil || a.Post != identity.SecurityAdmin || !a.MustChange {
			t.Errorf("after reset: %+v %v", a, err)
		}
		// With a one-time secret nothing is done before it is changed.
		_, err = w.org.CreateBody(ctx, a, org.Body{Name: "市某局", Kind: "organ", Level: org.City, District: "350100"})
		wantKind(t, err, errs.Forbidden)
	})
}

func TestPeople(t *testing.T) {
	clause.Covers(t, "FZM-34", "LY-26")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		b, who := w.department("市卫生健康委", identity.Steward)
		_, other := w.department("市医保局", identity.Steward)
		_, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "王5", Login: "w", Phone: "12345", Email: "no"}})
		wantKind(t, err, errs.Invalid)
		p, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "周小雨", Login: "Zhou.XY", Body: b.ID, Title: "科长", Phone: "13900139000", Email: "zhou@example.cn"}})
		if err != nil {
			t.Fatal(err)
		}
		if p.Login != "zhou.xy" {
			t.Errorf("login %q", p.Login)
		}
		_, err = w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "周小雨", Login: "zhou.xy", Body: b.ID, Phone: "13900139000"}})
		wantKind(t, err, errs.Conflict)
		list, total, err := w.org.People(ctx, w.system, org.PersonFilter{Text: "小雨"})
		if err != nil || total != 1 || list[0].ID != p.ID {
			t.Fatalf("found %v %d %v", list, total, err)
		}
		// A steward sees the own department only, whatever the filter asks.
		list, total, err = w.org.People(ctx, who[identity.Steward], org.PersonFilter{Body: other[identity.Steward].Body})
		if err != nil || total != 2 {
			t.Errorf("own people: %d %v %v", total, list, err)
		}
		for _, x := range list {
			if x.Body != b.ID {
				t.Errorf("a steward saw %s of %s", x.Name, x.BodyName)
			}
		}
		_, err = w.org.Person(ctx, other[identity.Steward], p.ID)
		wantKind(t, err, errs.Forbidden)
		if got, err := w.org.Person(ctx, who[identity.Steward], p.ID); err != nil || got.Phone != "13900139000" {
			t.Errorf("own colleague: %+v %v", got, err)
		}
		p.Title = "副处长"
		if err := w.org.ChangePerson(ctx, w.system, p.Person); err != nil {
			t.Fatal(err)
		}
		// Disabling ends sessions at once.
		actor := w.first("zhou.xy", p.InitialSecret)
		token, _, err := w.org.LogIn(ctx, org.LogInForm{Login: "zhou.xy", Secret: goodSecret, Addr: "10.0.0.2"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.org.SetPersonState(ctx, w.system, actor.ID, org.Disabled); err != nil {
			t.Fatal(err)
		}
		_, err = w.org.Session(ctx, token, "10.0.0.2", "zh")
		wantKind(t, err, errs.Unauthenticated)
		_, _, err = w.org.LogIn(ctx, org.LogInForm{Login: "zhou.xy", Secret: goodSecret, Addr: "10.0.0.2"})
		wantKind(t, err, errs.Unauthenticated)
		if _, err := w.org.ResetSecret(ctx, w.security, actor.ID); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFilings(t *testing.T) {
	clause.Covers(t, "FZM-34", "LY-26", "LY-5", "FS-6")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		b, who := w.department("市交通运输局", identity.Leader, identity.Steward)
		reviewer, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "郑审核", Login: "reviewer", Body: w.founded.Authority.ID, Phone: "13800138000"}, Posts: []identity.Post{identity.AuthorityReviewer}})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.org.Confirm(ctx, w.security, reviewer.Holdings[0].ID); err != nil {
			t.Fatal(err)
		}
		authority := w.first("reviewer", reviewer.InitialSecret)
		_, err = w.org.File(ctx, who[identity.Steward], org.Filing{Body: b.ID})
		wantKind(t, err, errs.Invalid, "FZM-34", "LY-5")
		if e, _ := errs.As(err); len(e.Problems) != 10 {
			t.Errorf("an empty filing has ten gaps, got %d", len(e.Problems))
		}
		f := org.Filing{Body: b.ID, Office: "信息科", Leader: org.Contact{Name: "张三丰", Title: "副局长", Phone: "0591-83212345"},
			Daily: org.Contact{Name: "张三丰", Title: "科员", Phone: "13800138000"}, Procedures: "榕交〔2026〕1号", Rules: "榕交〔2026〕2号", Accountability: "榕交〔2026〕3号"}
		filed, err := w.org.File(ctx, who[identity.Steward], f)
		if err != nil || filed.Version != 1 {
			t.Fatalf("%+v %v", filed, err)
		}
		state, err := w.org.FilingState(ctx, b.ID)
		if err != nil || len(state.Stale) != 0 {
			t.Errorf("a matching filing is stale: %v %v", state.Stale, err)
		}
		wantKind(t, w.org.ReceiveFiling(ctx, who[identity.Leader], filed.ID), errs.Forbidden)
		if err := w.org.ReceiveFiling(ctx, authority, filed.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.org.ReceiveFiling(ctx, authority, filed.ID), errs.Conflict)
		// FZM-34: when the steward changes, the filing shows as stale until it is renewed.
		heir, err := w.org.CreatePerson(ctx, w.system, org.NewPerson{Person: org.Person{Name: "林新任", Login: "newone", Body: b.ID, Phone: "13800138000"}})
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.org.HandOver(ctx, who[identity.Leader], who[identity.Steward].Held[0].ID, heir.ID, time.Time{}, "调离")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.org.Confirm(ctx, w.security, h.ID); err != nil {
			t.Fatal(err)
		}
		state, err = w.org.FilingState(ctx, b.ID)
		if err != nil || len(state.Stale) != 1 || !strings.Contains(state.Stale[0].ZH, "林新任") {
			t.Errorf("stale: %v %v", state.Stale, err)
		}
		f.Daily.Name = "林新任"
		again, err := w.org.File(ctx, who[identity.Leader], f)
		if err != nil || again.Version != 2 {
			t.Errorf("%+v %v", again, err)
		}
		states, err := w.org.FilingStates(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Body.ID == b.ID && (s.Latest == nil || s.Latest.Version != 2 || len(s.Stale) != 0) {
				t.Errorf("state %+v", s)
			}
		}
	})
}

func TestClosingABody(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		b, who := w.department("市粮食局", identity.Steward)
		c, err := w.org.CreateClient(ctx, who[identity.Steward], org.NewClient{Name: "粮情系统", Body: b.ID})
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, w.org.CloseBody(ctx, w.system, b.ID, ""), errs.Invalid)
		wantKind(t, w.org.CloseBody(ctx, w.system, w.founded.Authority.ID, "合并"), errs.Conflict)
		if err := w.org.CloseBody(ctx, w.system, b.ID, "机构改革"); err != nil {
			t.Fatal(err)
		}
		if got, _ := w.identity.Client(ctx, c.ID); got.State != identity.Disabled {
			t.Errorf("client of a closed body is %s", got.State)
		}
		if held, _ := w.org.Holders(ctx, b.ID, ""); len(held) != 0 {
			t.Errorf("posts still held: %v", held)
		}
		_, err = w.org.Propose(ctx, w.system, org.Proposal{Body: b.ID, Post: identity.Steward, Person: who[identity.Steward].ID})
		wantKind(t, err, errs.Conflict)
	})
}

func TestRefusalsAreAudited(t *testing.T) {
	clause.Covers(t, "FZM-29", "QZ-3.1.8")
	d := dbtest.SQLite(t)
	w := newWorld(t, d)
	ctx := t.Context()
	before, _ := w.log.Size(ctx)
	_, _, err := w.org.LogIn(ctx, org.LogInForm{Login: "auditor", Secret: "wrong", Addr: "10.9.9.9"})
	wantKind(t, err, errs.Unauthenticated)
	_, _, err2 := w.org.LogIn(ctx, org.LogInForm{Login: "nobody-here", Secret: "wrong", Addr: "10.9.9.9"})
	wantKind(t, err2, errs.Unauthenticated)
	e1, _ := errs.As(err)
	e2, _ := errs.As(err2)
	if e1.Text != e2.Text {
		t.Error("the answer tells whether the login exists")
	}
	after, _ := w.log.Size(ctx)
	if after != before+1 {
		t.Errorf("%d entries; want one for the known login and none for the unknown", after-before)
	}
	r, err := w.log.Get(ctx, after-1)
	if err != nil || r.Entry.Outcome != "failed" || r.Entry.Actor != w.auditor.ID || strings.Contains(string(r.Content), "wrong") {
		t.Errorf("entry %s %v", r.Content, err)
	}
	if counts := w.door.RefusedVisitors(); counts["identity.own.log_in"] != 1 {
		t.Errorf("counts %v", counts)
	}
}
