package catalog_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/profile"
	"gongshu/workday"
)

func TestLifeOfAResource(t *testing.T) {
	clause.Covers(t, "FZM-7", "FZM-9", "FZM-12", "FZM-31", "FZO-11", "FS-17")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := catalogtest.Open(t, d, "fuzhou", nil)
		svc := w.Catalog
		steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
		leader := catalogtest.Actor(catalogtest.Market, identity.Leader)
		secrecy := catalogtest.Actor(catalogtest.Market, identity.SecrecyReviewer)
		reviewer := catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)

		draft := catalogtest.Licences()
		draft.Summary = ""
		r, err := svc.Create(ctx, steward, draft)
		if err != nil {
			t.Fatal(err)
		}
		if r.Code != "102002/0001" || r.State != catalog.Draft || r.Version != 1 || r.USCC != catalogtest.Market.USCC {
			t.Fatalf("created %+v", r)
		}
		if r.Items[0].ID != "i1" || r.Items[7].Physical() != "c8" || r.NextColumn != 9 {
			t.Errorf("items are not numbered: %+v", r.Items)
		}
		at := catalog.AddressOf{Code: r.PathCode()}
		want := func(err error, kind errs.Kind, what string) {
			t.Helper()
			if errs.KindOf(err) != kind {
				t.Errorf("%s: got %v, want %q", what, err, kind)
			}
		}
		_, err = svc.Submit(ctx, steward, at)
		want(err, errs.Invalid, "submit without summary")
		if e, ok := errs.As(err); !ok || e.Field != "summary" {
			t.Errorf("the fault does not name its field: %v", err)
		}
		_, err = svc.Save(ctx, catalogtest.Actor(catalogtest.Police, identity.Steward), at, *r)
		want(err, errs.Forbidden, "another body edits (FZM-7)")

		edited := *r
		edited.Summary = catalogtest.Licences().Summary
		saved, err := svc.Save(ctx, steward, catalog.AddressOf{Code: r.Code, Revision: r.Revision}, edited)
		if err != nil {
			t.Fatal(err)
		}
		_, err = svc.Save(ctx, steward, catalog.AddressOf{Code: r.Code, Revision: r.Revision}, edited)
		want(err, errs.Conflict, "save over somebody's change")
		back, err := svc.Get(ctx, r.Code, -1)
		if err != nil || !catalog.Same(back, saved) || back.Summary != edited.Summary {
			t.Fatalf("read back: %v %+v", err, back)
		}

		todo := func(who identity.Actor) []casework.Todo {
			t.Helper()
			tasks, err := w.Cases.Tasks(ctx, who, true, 10)
			if err != nil {
				t.Fatal(err)
			}
			return tasks
		}
		decide := func(who identity.Actor, task casework.Todo, outcome, reason string) error {
			_, err := w.Cases.Decide(ctx, who, task.ID, casework.Decision{Outcome: outcome, Reason: reason})
			return err
		}
		sent, err := svc.Submit(ctx, steward, at)
		if err != nil || sent.State != catalog.Signing || sent.Case == "" {
			t.Fatalf("sent: %v %+v", err, sent)
		}
		_, err = svc.Submit(ctx, steward, at)
		want(err, errs.Conflict, "submit twice")
		tasks := todo(leader)
		if len(tasks) != 1 || tasks[0].Step != "department_signoff" || tasks[0].Resource != r.Code || tasks[0].HasDue || !slices.Contains(tasks[0].Clauses, "FZM-34") {
			t.Fatalf("leader's tasks: %+v", tasks)
		}
		want(decide(leader, tasks[0], casework.Return, " "), errs.Invalid, "send back without a reason")
		want(decide(reviewer, tasks[0], casework.Pass, ""), errs.Forbidden, "the authority signs for the department")
		if err := decide(leader, tasks[0], casework.Return, "缺少登记状态的代码"); err != nil {
			t.Fatal(err)
		}
		if tasks = todo(leader); len(tasks) != 0 {
			t.Errorf("leader still has tasks: %v", tasks)
		}
		if tasks = todo(steward); len(tasks) != 1 || tasks[0].Kind != casework.Mend {
			t.Fatalf("the return does not wait for the steward: %+v", tasks)
		}
		want(decide(steward, tasks[0], casework.Pass, ""), errs.Invalid, "a mending is decided")
		if _, err = svc.Submit(ctx, steward, at); err != nil {
			t.Fatal(err)
		}
		if tasks = todo(steward); len(tasks) != 0 {
			t.Errorf("what was sent again still waits: %+v", tasks)
		}
		if err := decide(leader, todo(leader)[0], casework.Pass, ""); err != nil {
			t.Fatal(err)
		}
		if got := todo(reviewer); len(got) != 0 {
			t.Errorf("it reached the authority without the secrecy review (FZM-31): %+v", got)
		}
		tasks = todo(secrecy)
		if len(tasks) != 1 || !slices.Contains(tasks[0].Clauses, "FZM-31") {
			t.Fatalf("secrecy reviewer's tasks: %+v", tasks)
		}
		if err := decide(secrecy, tasks[0], casework.Pass, "保审〔2026〕7号"); err != nil {
			t.Fatal(err)
		}
		submitted, err := svc.Get(ctx, r.Code, -1)
		if err != nil || submitted.State != catalog.Submitted || submitted.Case != sent.Case || submitted.SecrecyCheck == nil || submitted.SecrecyCheck.Reason != "保审〔2026〕7号" {
			t.Fatalf("with the authority: %v %+v", err, submitted)
		}
		_, err = svc.Save(ctx, steward, at, edited)
		want(err, errs.Conflict, "edit what is submitted")
		tasks = todo(reviewer)
		if len(tasks) != 1 || !slices.Contains(tasks[0].Clauses, "FZM-9") {
			t.Fatalf("reviewer's tasks: %+v", tasks)
		}
		want(decide(leader, tasks[0], casework.Pass, ""), errs.Forbidden, "a provider reviews")
		if err := decide(reviewer, tasks[0], casework.Return, "请补充更新频率说明"); err != nil {
			t.Fatal(err)
		}
		if _, err = svc.Published(ctx, r.Code); !errs.Is(err, errs.NotFound) {
			t.Errorf("a returned resource is in force: %v", err)
		}
		returned, _ := svc.Get(ctx, r.Code, -1)
		if returned.State != catalog.Returned || returned.SecrecyCheck != nil {
			t.Errorf("returned: %+v", returned)
		}
		edited.Summary += "每日更新。"
		if _, err = svc.Save(ctx, steward, at, edited); err != nil {
			t.Fatal(err)
		}
		// What changed is signed and cleared again; taken back, it begins a new case.
		if again, err := svc.Submit(ctx, steward, at); err != nil || again.State != catalog.Signing || again.Case != sent.Case {
			t.Fatalf("sent again: %v %+v", err, again)
		}
		_, err = svc.Recall(ctx, leader, at)
		want(err, errs.Forbidden, "the leader recalls")
		if back, err := svc.Recall(ctx, steward, at); err != nil || back.State != catalog.Draft {
			t.Fatalf("recalled: %v %+v", err, back)
		}
		if tasks = todo(leader); len(tasks) != 0 {
			t.Errorf("what was taken back still waits: %+v", tasks)
		}
		published := w.Through(t, r.Code)
		if published.State != catalog.Published || !published.Current || published.PublishedOn != "2026-03-02" {
			t.Fatalf("published %+v", published)
		}
		inForce, err := svc.Published(ctx, r.PathCode())
		if err != nil || inForce.Version != 1 || !inForce.Current {
			t.Fatalf("in force: %v %+v", err, inForce)
		}

		// A new version: an item goes, one comes, one is renamed.
		v2, err := svc.Revise(ctx, steward, r.Code)
		if err != nil || v2.Version != 2 || v2.Secrecy.Declared {
			t.Fatalf("revise: %v %+v", err, v2)
		}
		_, err = svc.Revise(ctx, steward, r.Code)
		want(err, errs.Conflict, "revise while a version is under way")
		next := *v2
		next.Secrecy.Declared = true
		next.Items = slices.Delete(slices.Clone(v2.Items), 5, 6)
		next.Items[1].Name = "企业（机构）名称"
		next.Items = append(next.Items, catalog.Item{ID: "i6", Name: "经营范围", Code: "scope", Type: catalog.Memo, Grade: 1})
		next.Items = append(next.Items, catalog.Item{ID: "i99", Name: "法定代表人人数", Code: "leaders", Type: catalog.Integer, Grade: 1})
		saved, err = svc.Save(ctx, steward, at, next)
		if err != nil {
			t.Fatal(err)
		}
		if it := saved.Item("leaders"); it.Column != 9 || it.ID != "i9" {
			t.Errorf("a made-up id was believed: %+v", it)
		}
		w.Through(t, r.Code)
		inForce, err = svc.Published(ctx, r.Code)
		if err != nil || inForce.Version != 2 {
			t.Fatalf("version 2 is not in force: %v %+v", err, inForce)
		}
		old, err := svc.Get(ctx, r.Code, 1)
		if err != nil || old.Current || old.ItemByName("住所") == nil {
			t.Errorf("version 1 is not readable: %v", err)
		}
		diff := catalog.Diff(old, inForce)
		if len(diff) == 0 {
			t.Error("no difference between versions")
		}

		_, err = svc.Withdraw(ctx, leader, at, "")
		want(err, errs.Invalid, "withdraw without a reason")
		if _, err = svc.Withdraw(ctx, leader, at, "职能划转"); err != nil {
			t.Fatal(err)
		}
		_, err = svc.Published(ctx, r.Code)
		want(err, errs.Gone, "a withdrawn resource")

		events, err := svc.Events(ctx, r.ID)
		if err != nil || len(events) < 15 || events[0].Action != "withdraw" || events[len(events)-1].Action != "create" {
			t.Errorf("history: %v %v", err, events)
		}
		seq := int64(0)
		all, err := svc.Changes(ctx, 0, 1000)
		if err != nil || len(all) < 15 {
			t.Fatalf("change sequence: %v %v", err, all)
		}
		for _, c := range all {
			if c.Seq != seq+1 {
				t.Fatalf("sequence jumps from %d to %d", seq, c.Seq)
			}
			seq = c.Seq
		}
	})
}

// Nobody signs, clears or reviews what they made themselves, whatever posts they hold: not who sent any
// round of it, nor who only drafted.
func TestNobodyDecidesOnOwnMaking(t *testing.T) {
	clause.Covers(t, "FS-40")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := t.Context(), catalogtest.Open(t, d, "foshan", nil)
		hand := func(id string, post identity.Post) identity.Actor {
			a := catalogtest.Actor(catalogtest.Market, identity.Steward)
			a.ID, a.Post, a.Posts = id, post, []identity.Post{identity.Steward, identity.Leader}
			return a
		}
		r, err := w.Catalog.Create(ctx, hand("drafter", identity.Steward), catalogtest.Licences())
		if err != nil {
			t.Fatal(err)
		}
		at := catalog.AddressOf{Code: r.Code}
		sent, err := w.Catalog.Submit(ctx, hand("sender", identity.Steward), at)
		if err != nil {
			t.Fatal(err)
		}
		barred := func(round string, ids ...string) {
			t.Helper()
			for _, id := range ids {
				leader := hand(id, identity.Leader)
				tasks, err := w.Cases.Tasks(ctx, leader, true, 10)
				if err != nil || len(tasks) != 1 {
					t.Fatalf("%v %v", tasks, err)
				}
				if _, err = w.Cases.Decide(ctx, leader, tasks[0].ID, casework.Decision{Outcome: casework.Pass}); !errs.Is(err, errs.Forbidden) {
					t.Errorf("%s: the %s signed: %v", round, id, err)
				}
			}
		}
		barred("first round", "drafter", "sender")
		w.Decide(t, catalogtest.Actor(catalogtest.Market, identity.Leader), sent.Case, casework.Return, "请补充")
		edited, err := w.Catalog.Get(ctx, r.Code, -1)
		if err != nil {
			t.Fatal(err)
		}
		edited.Summary += "每日更新。"
		if _, err := w.Catalog.Save(ctx, hand("mender", identity.Steward), at, *edited); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Catalog.Submit(ctx, hand("third", identity.Steward), at); err != nil {
			t.Fatal(err)
		}
		barred("second round", "drafter", "sender", "mender", "third")
		w.Decide(t, catalogtest.Actor(catalogtest.Market, identity.Leader), sent.Case, casework.Pass, "")
	})
}

// A clock runs only where a rule in force sets days; a returned version goes through every step anew.
func TestClocksOfTheReview(t *testing.T) {
	clause.Covers(t, "FS-17", "LY-8", "QZ-3.1.1")
	ctx := t.Context()
	for _, city := range []string{"fuzhou", "quanzhou", "foshan", "longyan"} {
		w := catalogtest.Open(t, dbtest.SQLite(t), city, nil)
		r, err := w.Catalog.Create(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), catalogtest.Licences())
		if err != nil {
			t.Fatal(err)
		}
		sent, err := w.Catalog.Submit(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), catalog.AddressOf{Code: r.Code})
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.Cases.File(ctx, catalogtest.Actor(catalogtest.Market, identity.Leader), sent.Case)
		if err != nil || len(f.Clocks) != 0 || f.HasDue || len(f.Case.Procedure.Steps) < 3 {
			t.Errorf("%s: no text sets days, yet: %v %+v", city, err, f.Clocks)
		}
	}
	// A city whose rules set days: five for the authority, ten for a department's change.
	text, err := os.ReadFile("../profile/cities/longyan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse("longyan.yaml", append(text, "\n  catalog.review_days: {value: 5, practice: 测试}\n  catalog.update_days: {value: 10, practice: 测试}\n"...))
	if err != nil {
		t.Fatal(err)
	}
	w := catalogtest.Open(t, dbtest.SQLite(t), "longyan", nil)
	w.Policy = catalog.PolicyFrom(p, *w.Clock)
	r := w.Publish(t, catalogtest.Licences())
	steward, leader := catalogtest.Actor(catalogtest.Market, identity.Steward), catalogtest.Actor(catalogtest.Market, identity.Leader)
	file := func(number string) casework.File {
		t.Helper()
		f, err := w.Cases.File(ctx, leader, number)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := file(r.Case); len(f.Clocks) != 1 || f.Clocks[0].Name != casework.ClockReview || f.Clocks[0].Budget != 5 || f.Clocks[0].State != "stopped" {
		t.Errorf("clocks of a first version: %+v", f.Clocks)
	}
	// The change is taken up on Thursday 30 April 2026 and sent on 6 May: Labour Day's holiday (1 to 5 May)
	// does not count, the make-up Saturday of 9 May does.
	on := func(date string) {
		d, err := workday.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		*w.Clock = d.Start().Add(9 * time.Hour)
	}
	on("2026-04-30")
	v2, err := w.Catalog.Revise(ctx, steward, r.Code)
	if err != nil {
		t.Fatal(err)
	}
	v2.Secrecy.Declared = true
	if _, err := w.Catalog.Save(ctx, steward, catalog.AddressOf{Code: r.Code}, *v2); err != nil {
		t.Fatal(err)
	}
	on("2026-05-06")
	sent, err := w.Catalog.Submit(ctx, steward, catalog.AddressOf{Code: r.Code})
	if err != nil {
		t.Fatal(err)
	}
	f := file(sent.Case)
	if f.Case.Kind != catalog.CaseChange || !f.HasDue || f.Case.DueOn != "2026-05-18" || f.Clocks[0].StartedOn.String() != "2026-04-30" {
		t.Errorf("the change is due on %s, clocks %+v", f.Case.DueOn, f.Clocks)
	}
	w.Decide(t, leader, sent.Case, casework.Pass, "")
	w.Decide(t, catalogtest.Actor(catalogtest.Market, identity.SecrecyReviewer), sent.Case, casework.Pass, "保审2号")
	if f = file(sent.Case); f.Case.DueOn != "2026-05-12" {
		t.Errorf("the review is due on %s", f.Case.DueOn)
	}
	for _, k := range f.Clocks {
		if k.Name == casework.ClockUpdate && k.State != "stopped" {
			t.Errorf("the department has put the change up and its clock runs on: %+v", k)
		}
	}
}

// What was in order when it was sent and is no longer so does not reach the authority.
func TestWhatReachesTheAuthorityIsInOrder(t *testing.T) {
	ctx := t.Context()
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	base := w.Publish(t, catalogtest.Licences())
	in := catalogtest.Residents()
	in.Items = append(in.Items, catalog.Item{Name: "所在企业", Code: "employer", Type: catalog.Char, Length: 18, Reference: &catalog.Reference{Resource: base.Code, Item: "uscc"}})
	r, err := w.Catalog.Create(ctx, catalogtest.Actor(catalogtest.Police, identity.Steward), in)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := w.Catalog.Submit(ctx, catalogtest.Actor(catalogtest.Police, identity.Steward), catalog.AddressOf{Code: r.Code})
	if err != nil {
		t.Fatal(err)
	}
	w.Decide(t, catalogtest.Actor(catalogtest.Police, identity.Leader), sent.Case, casework.Pass, "")
	if _, err := w.Catalog.Withdraw(ctx, catalogtest.Actor(catalogtest.Market, identity.Leader), catalog.AddressOf{Code: base.Code}, "停用"); err != nil {
		t.Fatal(err)
	}
	secrecy := catalogtest.Actor(catalogtest.Police, identity.SecrecyReviewer)
	task, err := w.Cases.TaskFor(ctx, secrecy, sent.Case)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Cases.Decide(ctx, secrecy, task.ID, casework.Decision{Outcome: casework.Pass, Reason: "1"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a reference to a withdrawn resource went to the authority: %v", err)
	}
	if now, err := w.Catalog.Get(ctx, r.Code, -1); err != nil || now.State != catalog.Signing || now.SecrecyCheck != nil {
		t.Errorf("a failed step left traces: %v %+v", err, now)
	}
}

func TestCodesAreNeverUsedTwice(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := catalogtest.Open(t, d, "fuzhou", nil)
		steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
		dept := catalogtest.Licences()
		dept.Class = catalog.Class{}
		first, err := w.Catalog.Create(ctx, steward, dept)
		if err != nil || first.Code != "307001/0001" {
			t.Fatalf("%v %v", first, err)
		}
		if err := w.Catalog.Discard(ctx, steward, catalog.AddressOf{Code: first.Code}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Catalog.Get(ctx, first.Code, -1); !errs.Is(err, errs.NotFound) {
			t.Errorf("a discarded draft is there: %v", err)
		}
		second, err := w.Catalog.Create(ctx, steward, dept)
		if err != nil || second.Code != "307001/0002" {
			t.Fatalf("%v %v", second, err)
		}
		other, err := w.Catalog.Create(ctx, catalogtest.Actor(catalogtest.Police, identity.Steward), dept2(dept))
		if err != nil || other.Code != "307002/0001" {
			t.Fatalf("another body shares the head: %v %v", other, err)
		}
		moved := *second
		moved.Class = catalog.Class{Class: "1", Item: "02", Head: "001"}
		if _, err := w.Catalog.Save(ctx, steward, catalog.AddressOf{Code: second.Code}, moved); !errs.Is(err, errs.Conflict) {
			t.Errorf("the class changed under the code: %v", err)
		}
		unknown := catalogtest.Licences()
		unknown.Class.Head = "777"
		if _, err := w.Catalog.Create(ctx, steward, unknown); !errs.Is(err, errs.Invalid) {
			t.Errorf("an unknown third level passed: %v", err)
		}
		reviewer := catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
		if err := w.Catalog.AddHead(ctx, reviewer, "1", "02", "777", "连锁经营"); err != nil {
			t.Fatal(err)
		}
		if err := w.Catalog.AddHead(ctx, reviewer, "1", "02", "777", "连锁经营"); !errs.Is(err, errs.Conflict) {
			t.Errorf("a third level was added twice: %v", err)
		}
		if _, err := w.Catalog.Create(ctx, steward, unknown); err != nil {
			t.Errorf("the added third level is unknown: %v", err)
		}
	})
}

func dept2(r catalog.Resource) catalog.Resource {
	r.Body, r.Name = catalogtest.Police.ID, "出入境证件信息"
	return r
}

// Data that several bodies collect together names the one that leads; a change of it is a change of
// the catalog, and on record as one.
func TestCoCollectionNamesItsLead(t *testing.T) {
	clause.Covers(t, "FS-23")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := catalogtest.Open(t, d, "foshan", nil)
		in := catalogtest.Licences()
		in.Source.Lead = "市市场监督管理局"
		r := w.Publish(t, in)
		if r.Source.Lead != "市市场监督管理局" {
			t.Fatalf("published with the lead %q", r.Source.Lead)
		}
		market := catalogtest.Actor(catalogtest.Market, identity.Steward)
		draft, err := w.Catalog.Revise(ctx, market, r.Code)
		if err != nil {
			t.Fatal(err)
		}
		draft.Source.Lead = "市政务服务数据管理局"
		changed, err := w.Catalog.Save(ctx, market, catalog.AddressOf{Code: r.Code}, *draft)
		if err != nil {
			t.Fatal(err)
		}
		if changed, err = w.Catalog.Get(ctx, r.Code, changed.Version); err != nil || changed.Source.Lead != "市政务服务数据管理局" {
			t.Fatalf("%v, lead %q", err, changed.Source.Lead)
		}
		if got := catalog.Diff(r, changed); len(got) != 1 || got[0].Field != "source.lead" || got[0].Old.ZH != r.Source.Lead || got[0].New.ZH != changed.Source.Lead {
			t.Errorf("the difference: %+v", got)
		}
	})
}

// A base database has one lead: a second one of the same kind is refused, reason or not, by each
// city's own article.
func TestABaseDatabaseHasOneLead(t *testing.T) {
	clause.Covers(t, "FZM-19", "LY-15", "QZ-3.1.4", "FS-11")
	for city, article := range map[string]string{"fuzhou": "FZM-19", "longyan": "LY-15", "quanzhou": "QZ-3.1.4", "foshan": "FS-11"} {
		t.Run(city, func(t *testing.T) {
			w := catalogtest.Open(t, dbtest.SQLite(t), city, nil)
			w.Publish(t, catalogtest.Licences())
			base := catalogtest.Licences()
			base.Body, base.Source.Overlap = catalogtest.Police.ID, "确有需要"
			police := catalogtest.Actor(catalogtest.Police, identity.Steward)
			b, err := w.Catalog.Create(t.Context(), police, base)
			if err != nil {
				t.Fatal(err)
			}
			faults, _, err := w.Catalog.Check(t.Context(), b)
			if err != nil || !slices.ContainsFunc(faults, func(p errs.Problem) bool { return p.Code == "base" && p.Clause == article }) {
				t.Errorf("%v %+v", err, faults)
			}
			if _, err := w.Catalog.Submit(t.Context(), police, catalog.AddressOf{Code: b.Code}); !errs.Is(err, errs.Invalid) {
				t.Errorf("a second base database went through: %v", err)
			}
		})
	}
}

func TestDuplicatesAreFoundAtRegistration(t *testing.T) {
	clause.Covers(t, "FS-5.2", "FS-11", "LY-9", "QZ-4.1")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := catalogtest.Open(t, d, "foshan", nil)
		w.Publish(t, catalogtest.Licences())
		again := catalogtest.Licences()
		again.Body, again.Name, again.Class = catalogtest.Police.ID, "企业登记注册信息表", catalog.Class{}
		police := catalogtest.Actor(catalogtest.Police, identity.Steward)
		r, err := w.Catalog.Create(ctx, police, again)
		if err != nil {
			t.Fatal(err)
		}
		faults, same, err := w.Catalog.Check(ctx, r)
		if err != nil || len(same) != 1 || same[0].ItemScore != 1 {
			t.Fatalf("duplicates: %+v %v", same, err)
		}
		i := slices.IndexFunc(faults, func(p errs.Problem) bool { return p.Code == "duplicate" })
		if i < 0 || faults[i].Clause != "FS-5.2" {
			t.Fatalf("no fault cites FS-5.2: %+v", faults)
		}
		at := catalog.AddressOf{Code: r.Code}
		if _, err := w.Catalog.Submit(ctx, police, at); !errs.Is(err, errs.Invalid) {
			t.Errorf("a duplicate went through: %v", err)
		}
		r.Source.Overlap = "本表为涉外企业，登记机关不掌握"
		if _, err := w.Catalog.Save(ctx, police, at, *r); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Catalog.Submit(ctx, police, at); err != nil {
			t.Errorf("a reason was given, and yet: %v", err)
		}
		// FS-11: a second base database of the same kind is refused, reason or not.
		base := catalogtest.Licences()
		base.Body, base.Source.Overlap = catalogtest.Police.ID, "确有需要"
		b, err := w.Catalog.Create(ctx, police, base)
		if err != nil {
			t.Fatal(err)
		}
		faults, _, err = w.Catalog.Check(ctx, b)
		if err != nil || !slices.ContainsFunc(faults, func(p errs.Problem) bool { return p.Code == "base" && p.Clause == "FS-11" }) {
			t.Errorf("a second base database passed: %+v %v", faults, err)
		}
	})
}

func TestFilingOfTheBasis(t *testing.T) {
	clause.Covers(t, "LY-11", "FS-5.3")
	for city, cites := range map[string]string{"longyan": "LY-11", "foshan": "FS-5.3", "fuzhou": ""} {
		w := catalogtest.Open(t, dbtest.SQLite(t), city, nil)
		r := w.Publish(t, catalogtest.Residents())
		if cites == "" && r.Filing != nil || cites != "" && (r.Filing == nil || r.Filing.Clause != cites) {
			t.Errorf("%s: filing %+v, want %q", city, r.Filing, cites)
		}
	}
}

func TestWithheldAndClosedAreHidden(t *testing.T) {
	clause.Covers(t, "FS-12", "FS-14")
	ctx := t.Context()
	w := catalogtest.Open(t, dbtest.SQLite(t), "foshan", nil)
	in := catalogtest.Residents()
	in.Sharing, in.Conditions, in.SharingWays = catalog.Withheld, nil, nil
	r := w.Publish(t, in)
	v, existsOnly, err := w.Catalog.ShareCatalog(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), r.Code)
	if err != nil || !existsOnly || len(v.Items) != 0 || v.Name != r.Name {
		t.Errorf("%v %v %+v", err, existsOnly, v)
	}
	if _, err := w.Catalog.OpenCatalog(ctx, r.Code); !errs.Is(err, errs.NotFound) {
		t.Errorf("a closed resource answers in the open catalog: %v", err)
	}
	if _, err := w.Catalog.Copy(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), r.Code); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a withheld resource was copied: %v", err)
	}
}

func TestCopyTakesNoDecisions(t *testing.T) {
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	from := w.Publish(t, catalogtest.Licences())
	steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
	c, err := w.Catalog.Copy(t.Context(), steward, from.Code)
	if err != nil {
		t.Fatal(err)
	}
	if c.Code == from.Code || c.State != catalog.Draft || c.Case != "" || c.SecrecyCheck != nil || c.Secrecy.Declared || c.Source.Confirmed ||
		len(c.Items) != len(from.Items) || !slices.Contains(c.Related, from.Code) || c.PublishedOn != "" {
		t.Errorf("copied %+v", c)
	}
}

// tables stands in for the warehouse where only its word matters.
type tables struct {
	plan     error
	migrated [][2]int
}

func (f *tables) Plan(ctx context.Context, old, next *catalog.Resource) error { return f.plan }
func (f *tables) Migrate(ctx context.Context, old, next *catalog.Resource) error {
	from := 0
	if old != nil {
		from = old.Version
	}
	f.migrated = append(f.migrated, [2]int{from, next.Version})
	return nil
}

func TestPublishingMigratesOrSaysWhyNot(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		fake := &tables{}
		hooks := []string{}
		w := catalogtest.Open(t, d, "fuzhou", func(deps *catalog.Deps) {
			deps.Tables = fake
			deps.OnPublish = append(deps.OnPublish, func(_ context.Context, _ *db.Tx, r *catalog.Resource) error {
				hooks = append(hooks, "publish "+r.Code)
				return nil
			})
			deps.OnWithdraw = append(deps.OnWithdraw, func(_ context.Context, _ *db.Tx, r *catalog.Resource) error {
				return errors.New("grants are not revoked")
			})
		})
		r := w.Publish(t, catalogtest.Licences())
		steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
		at := catalog.AddressOf{Code: r.Code}
		v2, err := w.Catalog.Revise(ctx, steward, r.Code)
		if err != nil {
			t.Fatal(err)
		}
		v2.Secrecy.Declared = true
		v2.Items[3].Type, v2.Items[3].Scale, v2.Items[3].Min = catalog.Date, 0, ""
		if _, err := w.Catalog.Save(ctx, steward, at, *v2); err != nil {
			t.Fatal(err)
		}
		fake.plan = errs.New(errs.Conflict, errs.T("有 3 行的“注册资本”不是日期", "3 rows of capital are no date"))
		if _, err := w.Catalog.Submit(ctx, steward, at); !errs.Is(err, errs.Conflict) {
			t.Errorf("a change that the rows forbid was let through: %v", err)
		}
		fake.plan = nil
		w.Through(t, r.Code)
		if want := [][2]int{{0, 1}, {1, 2}}; !slices.Equal(fake.migrated, want) || len(hooks) != 2 {
			t.Errorf("migrated %v, hooks %v", fake.migrated, hooks)
		}
		if _, err := w.Catalog.Withdraw(ctx, catalogtest.Actor(catalogtest.Market, identity.Leader), at, "停用"); err == nil {
			t.Error("withdrawn although what hangs on it failed")
		}
		if _, err := w.Catalog.Published(ctx, r.Code); err != nil {
			t.Errorf("a failed withdrawal took it out of force: %v", err)
		}
	})
}

func TestMarkedSecretCannotEvenBeADraft(t *testing.T) {
	clause.Covers(t, "FZM-2", "FZM-31")
	w := catalogtest.Open(t, dbtest.SQLite(t), "fuzhou", nil)
	in := catalogtest.Licences()
	in.Secrecy.Marked = true
	_, err := w.Catalog.Create(t.Context(), catalogtest.Actor(catalogtest.Market, identity.Steward), in)
	if e, ok := errs.As(err); !ok || e.Kind != errs.Invalid || !slices.Contains(e.Clauses, "FZM-31") {
		t.Errorf("got %v", err)
	}
}
