package casework

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// on sets the clock to nine in the morning of a China date.
func (c *clock) on(date string) {
	d, err := workday.ParseDate(date)
	if err != nil {
		panic(err)
	}
	c.t = d.Start().Add(9 * time.Hour)
}

type house struct {
	*Service
	clock *clock
	log   *audit.Log
	db    *db.DB
}

func newHouse(t *testing.T, d *db.DB) house {
	t.Helper()
	h := house{clock: &clock{}, log: audittest.Open(t, d), db: d}
	h.clock.on("2026-02-13")
	door, err := operation.New(operation.Deps{DB: d, Log: h.log, Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	h.Service = New(Deps{DB: d, Door: door, Now: h.clock.now})
	return h
}

func person(id, body string, post identity.Post) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: id, Name: id, Body: body, BodyName: body, District: "350100", Level: "city", Post: post, Posts: []identity.Post{post}}
}

var (
	consumer  = person("wang", "tax", identity.Steward)
	chief     = person("chen", "tax", identity.Leader)
	provider  = person("li", "civil", identity.Steward)
	director  = person("zhao", "civil", identity.Leader)
	reviewer  = person("sun", "bigdata", identity.AuthorityReviewer)
	centre    = person("zhou", "centre", identity.Operator)
	stranger  = person("wu", "school", identity.Steward)
	fourSides = []Party{{profile.RelConsumer, "tax", "税务局"}, {profile.RelProvider, "civil", "民政局"}, {profile.RelAuthority, "bigdata", "市大数据委"}, {profile.RelOperator, "centre", "大数据中心"}}
)

// conditional is the city's procedure for conditional sharing as its profile has it.
func conditional(t testing.TB, city string, at time.Time) (Procedure, *profile.Profile) {
	t.Helper()
	p, err := profile.Load(city)
	if err != nil {
		t.Fatal(err)
	}
	return Procedure{Kind: "sharing.conditional", Prefix: "GX", Steps: profile.ConditionalSteps.At(p, at).V,
		Clocks: []ClockRule{
			RuleOf(ClockAnswer, profile.ConditionalStart.At(p, at).V, profile.ConditionalDays.At(p, at)),
			RuleOf(ClockShare, "", profile.ShareDays.At(p, at)),
		},
		DueSoonDays: profile.DueSoonDays.At(p, at).V, EscalateDays: profile.EscalateAfter.At(p, at).V}, p
}

func (h house) open(t *testing.T, city string) Case {
	t.Helper()
	proc, p := conditional(t, city, h.clock.t)
	return h.openWith(t, proc, p.Version())
}

func (h house) openWith(t *testing.T, proc Procedure, version string) Case {
	t.Helper()
	var c Case
	err := h.db.InTx(t.Context(), func(tx *db.Tx) error {
		var err error
		c, err = h.OpenTx(t.Context(), tx, consumer, Opening{Procedure: proc, Title: "申请户籍信息", SubjectKind: "request", Subject: "r1", Resource: "1010101/0001", District: "350100", Parties: fourSides, Profile: version})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h house) file(t *testing.T, c Case) File {
	t.Helper()
	f, err := h.File(t.Context(), consumer, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// task gives the open task of a relation.
func (h house) task(t *testing.T, c Case, relation string) Task {
	t.Helper()
	for _, k := range h.file(t, c).Tasks {
		if k.State == "open" && k.Relation == relation {
			return k
		}
	}
	t.Fatalf("no open task for %s", relation)
	return Task{}
}

func (h house) decide(t *testing.T, who identity.Actor, c Case, relation, outcome, reason string) Case {
	t.Helper()
	got, err := h.Decide(t.Context(), who, h.task(t, c, relation).ID, Decision{Outcome: outcome, Reason: reason})
	if err != nil {
		t.Fatalf("%s by %s: %v", outcome, who.ID, err)
	}
	return got
}

func TestFuzhouConditionalProcedure(t *testing.T) {
	clause.Covers(t, "FZM-17")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		var entered []string
		closed := ""
		h.Handle("sharing.conditional", Handler{
			Entered: func(_ context.Context, _ *db.Tx, _ identity.Actor, _ Case, s profile.Step) error {
				entered = append(entered, s.Key)
				return nil
			},
			Closed: func(_ context.Context, _ *db.Tx, _ identity.Actor, c Case) error { closed = c.Outcome; return nil },
		})
		h.clock.on("2026-09-18")
		c := h.open(t, "fuzhou")
		if c.Number != "GX-2026-000001" || c.DueOn != "2026-10-22" {
			t.Fatalf("number %s due %s, want GX-2026-000001 and twenty working days: 2026-10-22", c.Number, c.DueOn)
		}
		todo, err := h.Tasks(t.Context(), provider, true, 0)
		if err != nil || len(todo) != 1 {
			t.Fatalf("provider's workbench: %v %v", todo, err)
		}
		if k := todo[0]; k.DaysLeft != 20 || !k.HasDue || k.Rule.Clauses[0] != "FZM-17" || k.StepName.ZH != "提供部门会签意见" {
			t.Errorf("todo %+v", k)
		}
		if other, _ := h.Tasks(t.Context(), stranger, true, 0); len(other) != 0 {
			t.Errorf("a stranger has tasks: %v", other)
		}
		h.clock.on("2026-09-21")
		c = h.decide(t, provider, c, profile.RelProvider, Agree, "")
		if c.Step != "authority_decision" || c.DueOn != "2026-10-22" {
			t.Errorf("after the opinion: %s due %s: one clock over both steps", c.Step, c.DueOn)
		}
		h.clock.on("2026-10-09")
		c = h.decide(t, reviewer, c, profile.RelAuthority, Approve, "")
		f := h.file(t, c)
		if c.Step != "agreement" || len(f.Clocks) != 2 || f.Clocks[0].State != "stopped" || f.Clocks[0].StoppedOn != "2026-10-09" || f.Clocks[1].Name != ClockShare {
			t.Errorf("after approval: step %s clocks %+v", c.Step, f.Clocks)
		}
		// the city does not state how soon data is shared; the nation does
		if r, _ := c.Procedure.Clock(ClockShare); r.Days != 20 || r.Kind != profile.Inherited {
			t.Errorf("share rule %+v", r)
		}
		c = h.decide(t, director, c, profile.RelProvider, Accept, "")
		if c.State != StateOpen {
			t.Fatal("one signature is not both")
		}
		c = h.decide(t, chief, c, profile.RelConsumer, Accept, "")
		if c.State != StateClosed || c.Outcome != Approved || closed != Approved {
			t.Errorf("state %s outcome %s handler %s", c.State, c.Outcome, closed)
		}
		if got := strings.Join(entered, " "); got != "provider_opinion authority_decision agreement" {
			t.Errorf("steps entered: %s", got)
		}
		var kinds []string
		for _, e := range h.file(t, c).Timeline {
			kinds = append(kinds, e.Kind)
		}
		if got := strings.Join(kinds, " "); got != "opened step decided step decided step decided decided closed" {
			t.Errorf("timeline: %s", got)
		}
	})
}

func TestClocksOfTheFourCities(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-26", "LY-12")
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	for city, want := range map[string]struct{ due, clause string }{
		"fuzhou": {"2026-10-22", "FZM-17"}, "foshan": {"2026-10-09", "FS-26"}, "longyan": {"2026-09-24", "LY-12"}, "quanzhou": {"2026-10-09", ""},
	} {
		h.clock.on("2026-09-18")
		c := h.open(t, city)
		rule, ok := c.Procedure.Clock(ClockAnswer)
		if c.DueOn != want.due || !ok || want.clause != "" && rule.Clauses[0] != want.clause || want.clause == "" && rule.Source == "" {
			t.Errorf("%s: due %s by %v %s, want %s by %s", city, c.DueOn, rule.Clauses, rule.Source, want.due, want.clause)
		}
	}
}

func TestRefusals(t *testing.T) {
	clause.Covers(t, "FS-26", "FS-8")
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	c := h.open(t, "foshan")
	task := h.task(t, c, profile.RelProvider).ID
	for name, try := range map[string]struct {
		who  identity.Actor
		d    Decision
		kind errs.Kind
	}{
		"no reasons":       {director, Decision{Outcome: Refuse}, errs.Invalid},
		"blank reasons":    {director, Decision{Outcome: Refuse, Reason: "  \n"}, errs.Invalid},
		"unknown outcome":  {director, Decision{Outcome: Accept}, errs.Invalid},
		"the wrong post":   {provider, Decision{Outcome: Approve}, errs.Forbidden},
		"the wrong body":   {chief, Decision{Outcome: Approve}, errs.Forbidden},
		"the authority":    {reviewer, Decision{Outcome: Approve}, errs.Forbidden},
		"no such task":     {director, Decision{Outcome: Approve}, errs.NotFound},
		"the case's maker": {person(consumer.ID, "civil", identity.Leader), Decision{Outcome: Approve}, errs.Forbidden},
	} {
		id := task
		if try.kind == errs.NotFound {
			id = "nothing"
		}
		if _, err := h.Decide(t.Context(), try.who, id, try.d); !errs.Is(err, try.kind) {
			t.Errorf("%s: %v, want %s", name, err, try.kind)
		}
	}
	if got := h.file(t, c); got.Case.State != StateOpen || got.Tasks[0].State != "open" {
		t.Fatal("a refused decision changed the case")
	}
	c = h.decide(t, director, c, profile.RelProvider, Refuse, "申请用途与职责无关")
	if c.State != StateClosed || c.Outcome != Refused || c.Reason != "申请用途与职责无关" {
		t.Errorf("%s %s %q", c.State, c.Outcome, c.Reason)
	}
	if _, err := h.Decide(t.Context(), director, task, Decision{Outcome: Approve}); !errs.Is(err, errs.Conflict) {
		t.Errorf("deciding twice: %v", err)
	}
	page, err := h.log.Search(t.Context(), audit.Filter{Outcome: audit.Refused, Case: c.Number}, 0, 50)
	if err != nil || len(page.Records) != 4 {
		t.Errorf("%d refusals in the log (%v), want 4", len(page.Records), err)
	}
}

func TestReturnAndResubmit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		c := h.open(t, "foshan")
		due := c.DueOn
		c = h.decide(t, director, c, profile.RelProvider, Return, "请补充使用对象")
		if c.State != StateReturned {
			t.Fatal(c.State)
		}
		h.clock.on("2026-02-24")
		if err := d.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := h.ResubmitTx(t.Context(), tx, consumer, c.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		f := h.file(t, c)
		// the text knows no pause, so the deadline has not moved
		if f.Case.State != StateOpen || f.Case.DueOn != due || f.Case.Step != "provider_decision" {
			t.Errorf("%s %s %s", f.Case.State, f.Case.DueOn, f.Case.Step)
		}
		if _, err := h.Withdraw(t.Context(), stranger, c.ID, ""); !errs.Is(err, errs.Forbidden) {
			t.Errorf("a stranger withdraws: %v", err)
		}
		if c, err := h.Withdraw(t.Context(), consumer, c.ID, "不再需要"); err != nil || c.Outcome != Withdrawn {
			t.Errorf("withdraw: %v %s", err, c.Outcome)
		}
		if _, err := h.Withdraw(t.Context(), consumer, c.ID, ""); !errs.Is(err, errs.Conflict) {
			t.Errorf("withdrawing twice: %v", err)
		}
	})
}

// Whoever drafted or sent any round of a case is barred from deciding on it, not only
// the last sender.
func TestNobodyDecidesOnOwnMaking(t *testing.T) {
	clause.Covers(t, "FS-40")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		proc, p := conditional(t, "foshan", h.clock.t)
		colleague, drafter := person("qian", "tax", identity.Steward), person("feng", "tax", identity.Steward)
		var c Case
		if err := d.InTx(t.Context(), func(tx *db.Tx) (err error) {
			c, err = h.OpenTx(t.Context(), tx, consumer, Opening{Procedure: proc, Title: "申请户籍信息", SubjectKind: "request", Subject: "r1", District: "350100", Parties: fourSides, Profile: p.Version(), Makers: []string{drafter.ID}})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		h.decide(t, director, c, profile.RelProvider, Return, "请补充使用对象")
		if err := d.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := h.ResubmitTx(t.Context(), tx, colleague, c.ID, drafter.ID, "he")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if c = h.file(t, c).Case; c.Maker != colleague.ID || strings.Join(c.Makers, " ") != "wang feng qian he" {
			t.Errorf("made by %s, of %v", c.Maker, c.Makers)
		}
		task := h.task(t, c, profile.RelProvider).ID
		for _, id := range c.Makers { // each has become the provider's leader meanwhile
			_, err := h.Decide(t.Context(), person(id, "civil", identity.Leader), task, Decision{Outcome: Approve})
			if refused, ok := errors.AsType[*errs.Error](err); !ok || refused.Kind != errs.Forbidden || !slices.Contains(refused.Clauses, "FS-40") {
				t.Errorf("%s, who made the case, decides: %v", id, err)
			}
			if _, err := h.Case(t.Context(), person(id, "elsewhere", identity.Steward), c.ID); err != nil {
				t.Errorf("%s cannot read the own case: %v", id, err)
			}
		}
		h.decide(t, director, c, profile.RelProvider, Approve, "")
	})
}

func TestTwoDecidersAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		c := h.open(t, "longyan")
		h.decide(t, provider, c, profile.RelProvider, Object, "字段过多")
		h.decide(t, reviewer, c, profile.RelAuthority, Approve, "")
		a, b := h.task(t, c, profile.RelProvider).ID, h.task(t, c, profile.RelConsumer).ID
		var wg sync.WaitGroup
		fail := make(chan error, 12)
		for range 3 {
			for _, try := range []struct {
				who identity.Actor
				id  string
			}{{director, a}, {chief, b}} {
				wg.Go(func() {
					if _, err := h.Decide(t.Context(), try.who, try.id, Decision{Outcome: Accept}); err != nil {
						fail <- err
					}
				})
			}
		}
		wg.Wait()
		close(fail)
		n := 0
		for err := range fail {
			n++
			if !errs.Is(err, errs.Conflict) {
				t.Errorf("unexpected %v", err)
			}
		}
		f := h.file(t, c)
		if n != 4 || f.Case.Step != "grant" {
			t.Errorf("%d conflicts, step %s; want 4 and grant", n, f.Case.Step)
		}
		open := 0
		for _, k := range f.Tasks {
			if k.State == "open" {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%d open tasks, want the data centre's alone", open)
		}
		if c := h.decide(t, centre, c, profile.RelOperator, Done, ""); c.Outcome != Approved {
			t.Error(c.Outcome)
		}
	})
}

func TestAHandlersErrorUndoesTheDecision(t *testing.T) {
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	h.Handle("sharing.conditional", Handler{Closed: func(context.Context, *db.Tx, identity.Actor, Case) error {
		return errs.New(errs.Conflict, errs.T("资源已撤销", "the resource is gone"))
	}})
	c := h.open(t, "foshan")
	if _, err := h.Decide(t.Context(), director, h.task(t, c, profile.RelProvider).ID, Decision{Outcome: Approve}); !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
	if f := h.file(t, c); f.Case.State != StateOpen || f.Tasks[0].State != "open" {
		t.Error("the decision was kept although its effect failed")
	}
}

func TestPauseAndExtension(t *testing.T) {
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	h.clock.on("2026-09-14")
	c := h.open(t, "foshan")
	task := h.task(t, c, profile.RelProvider).ID
	if err := h.Pause(t.Context(), director, task, "等材料"); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a pause that the city does not know: %v", err)
	}
	if err := h.Extend(t.Context(), director, task, 5, "情况复杂"); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an extension that the city does not know: %v", err)
	}
	proc, p := conditional(t, "foshan", h.clock.t)
	proc.MayPause, proc.ExtensionDays = true, 10
	c = h.openWith(t, proc, p.Version()) // ten working days from Monday the 14th: until Monday the 28th
	task = h.task(t, c, profile.RelProvider).ID
	if c.DueOn != "2026-09-28" {
		t.Fatal(c.DueOn)
	}
	h.clock.on("2026-09-16") // two days used
	if err := h.Pause(t.Context(), director, task, "等材料"); err != nil {
		t.Fatal(err)
	}
	if f := h.file(t, c); f.Clocks[0].State != "paused" || f.Case.DueOn != "" {
		t.Errorf("paused: %+v due %s", f.Clocks[0], f.Case.DueOn)
	}
	h.clock.on("2026-09-21")
	if err := h.Resume(t.Context(), director, task); err != nil {
		t.Fatal(err)
	}
	// eight days are left: 22, 23, 24 September, 28, 29, 30, 8, 9 October (20 September worked, 25 Mid-Autumn off)
	cal := workday.Builtin()
	on, _ := workday.ParseDate("2026-09-21")
	if want := cal.Add(on, 8).Date.String(); h.file(t, c).Case.DueOn != want {
		t.Errorf("resumed: due %s, want %s", h.file(t, c).Case.DueOn, want)
	}
	if err := h.Extend(t.Context(), director, task, 11, "情况复杂"); !errs.Is(err, errs.Invalid) {
		t.Errorf("too long: %v", err)
	}
	if err := h.Extend(t.Context(), director, task, 5, "情况复杂"); err != nil {
		t.Fatal(err)
	}
	if want := cal.Add(on, 13).Date.String(); h.file(t, c).Case.DueOn != want {
		t.Errorf("extended: due %s, want %s", h.file(t, c).Case.DueOn, want)
	}
	if err := h.Extend(t.Context(), director, task, 5, "再延"); !errs.Is(err, errs.Forbidden) {
		t.Errorf("extended twice: %v", err)
	}
	for _, e := range h.file(t, c).Clocks[0].Entries {
		if e.Calendar == "" {
			t.Errorf("entry %s names no calendar", e.Kind)
		}
	}
}

func TestRemindersActOnce(t *testing.T) {
	clause.Covers(t, "FS-42")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.clock.on("2026-09-14")
		c := h.open(t, "foshan") // due 2026-09-28
		count := func(date string, want int) {
			t.Helper()
			h.clock.on(date)
			for i, w := range []int{want, 0} {
				if n, err := h.Remind(t.Context()); err != nil || n != w {
					t.Errorf("%s run %d: %d reminders (%v), want %d", date, i, n, err, w)
				}
			}
		}
		count("2026-09-15", 0)
		count("2026-09-23", 1) // three working days before
		count("2026-09-24", 0)
		count("2026-09-28", 0)
		count("2026-09-29", 1) // overdue
		count("2026-10-08", 1) // escalation, three working days after: 29, 30 September, 8 October
		if late, _, err := h.Cases(t.Context(), reviewer, Filter{State: "late"}); err != nil || len(late) != 1 {
			t.Errorf("late cases: %v %v", late, err)
		}
		if todo, _ := h.Tasks(t.Context(), director, true, 0); todo[0].DaysLeft != -3 {
			t.Errorf("days left %d, want -3", todo[0].DaysLeft)
		}
		h.decide(t, director, c, profile.RelProvider, Approve, "")
		if f := h.file(t, c); !f.Tasks[0].Late {
			t.Error("a decision after the due day is late")
		}
		count("2026-11-01", 0)
	})
}

func TestCalendarImportMovesDeadlines(t *testing.T) {
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	h.clock.on("2026-12-28")
	c := h.open(t, "longyan")
	if f := h.file(t, c); f.Case.DueOn != "2027-01-05" || !f.Clocks[0].Provisional {
		t.Fatalf("due %s provisional %t", f.Case.DueOn, f.Clocks[0].Provisional)
	}
	notice := `{"year":2027,"papers":["x"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true},{"name":"元旦","date":"2027-01-02","isOffDay":true},{"name":"元旦","date":"2027-01-03","isOffDay":true},{"name":"元旦","date":"2027-01-04","isOffDay":true}]}`
	if _, _, err := h.ImportCalendar(t.Context(), consumer, strings.NewReader(notice)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a steward imports a calendar: %v", err)
	}
	if _, _, err := h.ImportCalendar(t.Context(), reviewer, strings.NewReader("nonsense")); !errs.Is(err, errs.Invalid) {
		t.Errorf("nonsense: %v", err)
	}
	years, moved, err := h.ImportCalendar(t.Context(), reviewer, strings.NewReader(notice))
	if err != nil || len(years) != 1 || moved != 1 {
		t.Fatal(years, moved, err)
	}
	f := h.file(t, c)
	entries := f.Clocks[0].Entries
	if f.Case.DueOn != "2027-01-06" || f.Clocks[0].Provisional || f.Tasks[0].DueOn != "2027-01-06" || entries[len(entries)-1].Kind != "recount" || entries[0].Calendar == entries[1].Calendar {
		t.Errorf("due %s provisional %t task %s entries %+v", f.Case.DueOn, f.Clocks[0].Provisional, f.Tasks[0].DueOn, entries)
	}
}

func TestWhoSeesACase(t *testing.T) {
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	c := h.open(t, "fuzhou")
	county := person("yu", "county", identity.AuthorityReviewer)
	county.District, county.Level = "350102", "county"
	for name, who := range map[string]struct {
		actor identity.Actor
		sees  bool
	}{"maker": {consumer, true}, "provider": {provider, true}, "reviewer": {reviewer, true}, "auditor": {person("a", "x", identity.Auditor), true},
		"stranger": {stranger, false}, "another county's reviewer": {county, false}, "system administrator": {person("b", "x", identity.SystemAdmin), false}} {
		_, err := h.Case(t.Context(), who.actor, c.Number)
		if (err == nil) != who.sees {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, n, err := h.Cases(t.Context(), stranger, Filter{}); err != nil || n != 0 || len(list) != 0 {
		t.Errorf("a stranger lists %d (%v)", n, err)
	}
	if list, n, err := h.Cases(t.Context(), consumer, Filter{Text: "户籍", KindPrefix: "sharing.", State: StateOpen}); err != nil || n != 1 || len(list) != 1 || len(list[0].Parties) != 4 {
		t.Errorf("the consumer lists %d (%v)", n, err)
	}
	if _, n, _ := h.Cases(t.Context(), consumer, Filter{Text: "100%"}); n != 0 {
		t.Error("a percent sign matches everything")
	}
}

func TestDrafts(t *testing.T) {
	d := dbtest.SQLite(t)
	h := newHouse(t, d)
	for _, body := range []string{"one", "two"} {
		if err := h.SaveDraft(t.Context(), consumer, "sharing.request", "res-1", body); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := h.Draft(t.Context(), consumer, "sharing.request", "res-1"); err != nil || got != "two" {
		t.Errorf("%q %v", got, err)
	}
	if _, _, err := h.Draft(t.Context(), provider, "sharing.request", "res-1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("another's draft: %v", err)
	}
	if err := h.SaveDraft(t.Context(), consumer, "x", "y", strings.Repeat("x", maxDraft+1)); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a huge draft: %v", err)
	}
}

func TestLedgerProperties(t *testing.T) {
	cal := workday.Builtin()
	rapid.Check(t, func(rt *rapid.T) {
		start := workday.On(2026, 1, rapid.IntRange(1, 28).Draw(rt, "day"))
		budget := rapid.IntRange(1, 40).Draw(rt, "budget")
		l := startLedger(start, budget)
		plain := l.due(cal).Date
		// a pause of any length moves the due day by the working days it lasted
		pauseAt := start + workday.Date(rapid.IntRange(0, max(int(plain-start)-1, 0)).Draw(rt, "pause"))
		resumeAt := pauseAt + workday.Date(rapid.IntRange(0, 60).Draw(rt, "resume"))
		got := l.pause(cal, pauseAt).resume(resumeAt).due(cal).Date
		want := cal.Add(start, budget+cal.Between(pauseAt, resumeAt)).Date
		if got != want {
			rt.Fatalf("start %s budget %d pause %s resume %s: due %s, want %s", start, budget, pauseAt, resumeAt, got, want)
		}
		// replaying the entries gives the same
		entries := []ClockEntry{{Kind: "start", On: start, Days: budget}, {Kind: "pause", On: pauseAt}, {Kind: "resume", On: resumeAt}, {Kind: "extend", Days: 3}}
		if r := replay(cal, entries).due(cal).Date; r != cal.Add(want, 3).Date {
			rt.Fatalf("replayed %s", r)
		}
	})
}
