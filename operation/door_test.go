package operation_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/operation"
)

const act operation.Action = "identity.own.password"

func steward() identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: "p1", Name: "林晓", Body: "b1", District: "350100", Level: "city",
		Post: identity.Steward, Posts: []identity.Post{identity.Steward}, Addr: "10.0.0.9"}
}

func open(t *testing.T, d *db.DB) (*operation.Door, *audit.Log) {
	t.Helper()
	log := audittest.Open(t, d)
	door, err := operation.New(operation.Deps{DB: d, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return door, log
}

func entries(t *testing.T, log *audit.Log) []string { return entriesOf(t, log, act) }

func entriesOf(t *testing.T, log *audit.Log, action operation.Action) []string {
	t.Helper()
	size, err := log.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for seq := range size {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if r.Entry.Action == string(action) {
			out = append(out, string(r.Content))
		}
	}
	return out
}

func TestDo(t *testing.T) {
	clause.Covers(t, "FZM-29", "QZ-3.1.8", "LY-24")
	own := operation.Target{Kind: "account", ID: "p1"}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		door, log := open(t, d)
		fact := func() string {
			v, err := db.Fact(t.Context(), d.Read(), "thing")
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		write := func(fail error) func(context.Context, *db.Tx) error {
			return func(ctx context.Context, tx *db.Tx) error {
				operation.Note(ctx, "rows", 12)
				operation.Retarget(ctx, func(t *operation.Target) { t.Name = "made" })
				if err := db.SetFact(ctx, tx, "thing", "set"); err != nil {
					return err
				}
				return fail
			}
		}
		cause := errs.New(errs.Conflict, errs.T("冲突", "conflict")).By("FZM-12")
		if err := door.Do(t.Context(), steward(), act, own, write(cause)); !errors.Is(err, cause) {
			t.Fatalf("failed attempt gave %v", err)
		}
		if fact() != "" {
			t.Error("what a failed attempt wrote is still there")
		}
		other := operation.Target{Kind: "account", ID: "p2"}
		if err := door.Do(t.Context(), steward(), act, other, write(nil)); !errs.Is(err, errs.Forbidden) {
			t.Errorf("another's account: %v", err)
		}
		if err := door.Do(t.Context(), identity.Visitor("10.0.0.1", "zh"), act, own, write(nil)); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("visitor: %v", err)
		}
		if err := door.Do(t.Context(), steward(), act, own, write(nil)); err != nil {
			t.Fatal(err)
		}
		if fact() != "set" {
			t.Error("the write did not happen")
		}
		got := entries(t, log)
		if len(got) != 3 {
			t.Fatalf("want entries for the failure, the refusal and the success, got %d: %s", len(got), got)
		}
		for i, want := range []string{`"conflict FZM-12"`, `"refused"`, `"made"`} {
			if !strings.Contains(got[i], want) {
				t.Errorf("entry %d lacks %s: %s", i, want, got[i])
			}
		}
		if !strings.Contains(got[2], `"rows"`) || !strings.Contains(got[2], `"steward"`) {
			t.Errorf("the entry lacks note or post: %s", got[2])
		}
		if counts := door.RefusedVisitors(); counts[act] != 1 {
			t.Errorf("refused visitors: %v", counts)
		}
		if counts := door.RefusedVisitors(); len(counts) != 0 {
			t.Errorf("counts were not reset: %v", counts)
		}
	})
}

// A flood of strangers is one entry a period, and nothing of it is lost or counted
// twice, also when the node ends before the period does.
func TestRefusedVisitorsAreWrittenByCount(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		door, log := open(t, d)
		for range 1000 {
			if err := door.Do(t.Context(), identity.Visitor("192.0.2.7", "zh"), act, operation.Target{}, func(context.Context, *db.Tx) error { return nil }); !errs.Is(err, errs.Unauthenticated) {
				t.Fatal(err)
			}
		}
		door.CountVisitor("identity.own.log_in")
		ended, end := context.WithCancel(t.Context())
		end()
		if err := door.Run(ended); err != nil {
			t.Fatal(err)
		}
		if err := door.LogVisitors(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := entriesOf(t, log, "operation.visitors.refused")
		if len(got) != 1 {
			t.Fatalf("a flood made %d entries: %s", len(got), got)
		}
		for _, want := range []string{"operation.visitors.refused", string(act), "1000", "identity.own.log_in"} {
			if !strings.Contains(got[0], want) {
				t.Errorf("the entry lacks %q: %s", want, got[0])
			}
		}
		if strings.Contains(got[0], "192.0.2.7") {
			t.Errorf("the entry names an address: %s", got[0])
		}
		// While the log is closed the counts are kept.
		door.CountVisitor(act)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if err := door.LogVisitors(t.Context()); err == nil {
			t.Error("a closed log took the entry")
		}
		if counts := door.RefusedVisitors(); counts[act] != 1 {
			t.Errorf("kept %v", counts)
		}
	})
}

func TestReadIsAuditedBeforeItReturns(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		door, log := open(t, d)
		own := operation.Target{Kind: "account", ID: "p1"}
		err := door.Read(t.Context(), steward(), act, own, func(ctx context.Context) error {
			if n := len(entries(t, log)); n != 0 {
				t.Errorf("%d entries before the read ended", n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(entries(t, log)); n != 1 {
			t.Errorf("%d entries after the read returned, want 1", n)
		}
		log.Close()
		if err := door.Read(t.Context(), steward(), act, own, func(context.Context) error { return nil }); err == nil {
			t.Error("a read was released though its entry could not be kept")
		}
	})
}

// TestReadsNoticeThatTheLogIsBack: while the log is down nothing is released, and
// reads alone find out when it takes entries again.
func TestReadsNoticeThatTheLogIsBack(t *testing.T) {
	clause.Covers(t, "FZM-29")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		door, log := open(t, d)
		own := operation.Target{Kind: "account", ID: "p1"}
		read := func() error {
			return door.Read(t.Context(), steward(), act, own, func(context.Context) error { return nil })
		}
		rename := func(from, to string) {
			if _, err := d.SQL().ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Fatal(err)
			}
		}
		rename("audit_entry", "audit_gone")
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if err := read(); !errs.Is(err, errs.Unavailable) {
				t.Fatalf("a read while the log is down: %v", err)
			}
		}
		if log.State().OK {
			t.Error("nobody noticed that the log is down")
		}
		rename("audit_gone", "audit_entry")
		mended := time.Now()
		for read() != nil {
			if time.Since(mended) > 5*time.Second {
				t.Fatal("reads have not noticed that the log is back")
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := read(); err != nil || !log.State().OK || len(entries(t, log)) != 2 {
			t.Errorf("after it is back: %v, %d entries", err, len(entries(t, log)))
		}
	})
}

func TestNoDoorInsideTheDoor(t *testing.T) {
	d := dbtest.SQLite(t)
	door, _ := open(t, d)
	own := operation.Target{Kind: "account", ID: "p1"}
	nothing := func(context.Context, *db.Tx) error { return nil }
	err := door.Do(t.Context(), steward(), act, own, func(ctx context.Context, tx *db.Tx) error {
		return door.Do(ctx, steward(), act, own, nothing)
	})
	if !errs.Is(err, errs.Internal) {
		t.Errorf("got %v", err)
	}
}

func TestDuties(t *testing.T) {
	clause.Covers(t, "FS-40")
	set, err := operation.Load()
	if err != nil {
		t.Fatal(err)
	}
	own := operation.Target{ID: "p1"}
	with := func(change func(a *identity.Actor)) identity.Actor {
		a := steward()
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		actor  identity.Actor
		action operation.Action
		target operation.Target
		policy string
	}{
		"two administrators": {with(func(a *identity.Actor) {
			a.Posts = []identity.Post{identity.Auditor, identity.SystemAdmin}
		}), act, own, "duties.three_admins"},
		"own making":   {steward(), act, operation.Target{ID: "p1", Attrs: map[string]any{"makers": []string{"p0", "p1"}}}, "duties.own_making"},
		"first secret": {with(func(a *identity.Actor) { a.MustChange = true }), "identity.own.post", own, "duties.first_secret"},
	} {
		d, err := set.Decide(c.actor, c.action, c.target)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed || d.Default || len(d.Policies) != 1 || d.Policies[0].ID != c.policy {
			t.Errorf("%s: %+v, want a refusal by %s", name, d, c.policy)
		}
	}
	if d, _ := set.Decide(with(func(a *identity.Actor) { a.MustChange = true }), act, own); !d.Allowed {
		t.Error("who must change the secret may not change it")
	}
}

func TestPoliciesNameRealClauses(t *testing.T) {
	set, err := operation.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.All() {
		for _, id := range p.Clauses {
			if _, ok := clause.Get(id); !ok {
				t.Errorf("%s:%d: policy %s names clause %s, which the register lacks", p.File, p.Line, p.ID, id)
			}
		}
	}
}

func TestPolicyFilesAreChecked(t *testing.T) {
	good := `@id("a.b") @basis_zh("x") @basis("x") @zh("中") @en("e") permit (principal, action == Action::"a.b", resource);`
	for name, c := range map[string]struct{ text, want string }{
		"no id":        {strings.Replace(good, `@id("a.b")`, "", 1), "without @id"},
		"no basis":     {strings.Replace(good, `@basis_zh("x") @basis("x")`, "", 1), "neither @clause nor @basis"},
		"basis in one": {strings.Replace(good, `@basis_zh("x")`, "", 1), "without @basis_zh"},
		"one language": {strings.Replace(good, `@en("e")`, "", 1), "lacks its sentence"},
		"every action": {strings.Replace(good, `action == Action::"a.b"`, "action", 1), "permits every action"},
		"same id":      {good + good, "is taken by"},
		"no area":      {strings.Replace(good, `Action::"a.b"`, `Action::"b"`, 1), "lacks its area"},
		"broken":       {"permit (", "a.cedar"},
	} {
		_, err := operation.LoadFrom(fstest.MapFS{"policies/a.cedar": {Data: []byte(c.text)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A forbid that reads an attribute which the caller forgot must refuse.
func TestForbidThatCannotBeDecidedRefuses(t *testing.T) {
	set, err := operation.LoadFrom(fstest.MapFS{"policies/a.cedar": {Data: []byte(`
		@id("a.may") @basis_zh("x") @basis("x") @zh("中") @en("e") permit (principal, action == Action::"a.b", resource);
		@id("a.not") @basis_zh("x") @basis("x") @zh("中") @en("e") forbid (principal, action == Action::"a.b", resource) when { context.secret };`)}})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := set.Decide(steward(), "a.b", operation.Target{}); err != nil || d.Allowed || d.Policies[0].ID != "a.not" {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := set.Decide(steward(), "a.b", operation.Target{Attrs: map[string]any{"secret": false}}); err != nil || !d.Allowed {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := set.Decide(steward(), "a.c", operation.Target{}); !errs.Is(err, errs.Internal) {
		t.Errorf("an action without policy: %v", err)
	}
}

func TestRefusalSaysWhatWouldAllow(t *testing.T) {
	set, err := operation.LoadFrom(fstest.MapFS{"policies/a.cedar": {Data: []byte(`
		@id("a.may") @clause("FZM-7") @zh("分管领导签发本部门目录") @en("The leader signs off") permit (principal, action == Action::"a.b", resource)
		when { principal.post == "leader" && context.own };`)}})
	if err != nil {
		t.Fatal(err)
	}
	a := steward()
	a.Posts = append(a.Posts, identity.Leader)
	e, ok := errs.As(set.Refusal(a, "a.b", operation.Target{Body: "b1"}))
	if !ok || e.Kind != errs.Forbidden || e.Clauses[0] != "FZM-7" {
		t.Fatalf("%v", e)
	}
	for _, want := range []string{"数据专管员", "分管领导签发本部门目录", "切换到该岗位"} {
		if !strings.Contains(e.Text.ZH, want) {
			t.Errorf("%q lacks %q", e.Text.ZH, want)
		}
	}
	for _, want := range []string{"data steward", "The leader signs off", "switch to it"} {
		if !strings.Contains(e.Text.EN, want) {
			t.Errorf("%q lacks %q", e.Text.EN, want)
		}
	}
}

func TestReaches(t *testing.T) {
	clause.Covers(t, "FS-4", "LY-5", "LY-12")
	for _, c := range []struct {
		level, district, target string
		want                    bool
	}{
		{"city", "350100", "350100", true}, {"city", "350100", "350102", true}, {"city", "350100", "", true},
		{"city", "350100", "350500", false}, {"county", "350102", "350102", true}, {"county", "350102", "350103", false},
		{"county", "350102", "350100", false}, {"county", "350102", "", false}, {"province", "350000", "350102", true},
		{"", "", "", false},
	} {
		if got := operation.Reaches(identity.Actor{Level: c.level, District: c.district}, c.target); got != c.want {
			t.Errorf("%s %s reaches %q: %v", c.level, c.district, c.target, got)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		door, log := open(t, d)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					err := door.Do(t.Context(), steward(), act, operation.Target{ID: "p1"}, func(ctx context.Context, tx *db.Tx) error { return nil })
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := len(entries(t, log)); n != 40 {
			t.Errorf("%d entries, want 40", n)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	set, err := operation.Load()
	if err != nil {
		b.Fatal(err)
	}
	a, own := steward(), operation.Target{Kind: "account", ID: "p1"}
	b.ReportAllocs()
	for b.Loop() {
		if d, err := set.Decide(a, act, own); err != nil || !d.Allowed {
			b.Fatal("not allowed")
		}
	}
}
