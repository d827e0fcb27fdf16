package sharing_test

import (
	"strings"
	"testing"
	"time"

	"gongshu/casework"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/jobs"
	"gongshu/notice"
	"gongshu/profile"
	"gongshu/workday"
)

// inbox writes the kinds of a person's messages, newest first, and what one of
// their values says.
func (w *world) inbox(t *testing.T, who identity.Actor, value string) string {
	t.Helper()
	found, _, err := w.Inbox.List(t.Context(), who, notice.Filter{State: "unread"})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range found {
		line := string(m.Kind)
		if v := m.Values[value].ZH; v != "" {
			line += "(" + v + ")"
		}
		out = append(out, line)
	}
	return strings.Join(out, " ")
}

// Whoever gives data learns who uses it and for how long; whoever uses it learns
// of the end in time for a renewal, once, and not of an end that was moved.
func TestWhatGrantsTell(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-29")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := open(t, d, "foshan")
		for _, who := range []identity.Actor{marketSteward, policeSteward} { // the publication of their resources
			if n, err := w.Inbox.ReadAll(t.Context(), who); err != nil || n != 1 {
				t.Fatal(n, err)
			}
		}
		queue := jobs.New(d)
		queue.Now = func() time.Time { return *w.Clock }
		w.Sharing.Register(queue)
		work := func() {
			t.Helper()
			if _, err := queue.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		r := w.apply(t, w.form()) // until 31 March 2027
		r = w.must(t, policeLeader, r.Number, casework.Approve, "", nil)
		if got := w.inbox(t, policeSteward, "Until"); got != "grant_made(2027-03-31)" {
			t.Errorf("the provider's steward: %s", got)
		}
		if got := w.inbox(t, marketSteward, "Number"); got != "case_approved("+r.Number+")" {
			t.Errorf("the applicant: %s", got)
		}
		work()
		if got := w.inbox(t, marketSteward, "Number"); strings.Contains(got, "expiring") {
			t.Errorf("reminded half a year early: %s", got)
		}
		waiting, err := queue.List(t.Context(), jobs.Waiting, "sharing.expiring", 10)
		if err != nil || len(waiting) != 1 {
			t.Fatalf("%d reminders wait (%v)", len(waiting), err)
		}
		// As many working days as a renewal may take lie between the reminder and the end.
		cal, err := workday.Load(t.Context(), d.Read())
		if err != nil {
			t.Fatal(err)
		}
		last, _ := workday.ParseDate("2027-03-31")
		remind := workday.DateOf(waiting[0].Due)
		days := profile.ConditionalDays.At(w.Profile, *w.Clock).V + profile.ShareDays.At(w.Profile, *w.Clock).V + profile.DueSoonDays.At(w.Profile, *w.Clock).V
		if n := cal.Between(remind, last); n != days {
			t.Errorf("reminded on %s, %d working days before the end; a renewal may take %d", remind, n, days)
		}

		*w.Clock = remind.Start().Add(10 * time.Hour)
		n, err := w.Sharing.Renew(t.Context(), marketSteward, r.GrantID, "2027-09-30", "业务继续")
		if err != nil {
			t.Fatal(err)
		}
		w.must(t, policeLeader, n.Number, casework.Approve, "", nil)
		work()
		if got := w.inbox(t, marketSteward, "Until"); strings.Contains(got, "expiring") {
			t.Errorf("reminded of an end that was moved: %s", got)
		}
		if got := w.inbox(t, policeSteward, "Until"); got != "grant_renewed(2027-09-30) grant_made(2027-03-31)" {
			t.Errorf("the provider's steward: %s", got)
		}
		w.On(t, "2027-09-15")
		work()
		work()
		if got := w.inbox(t, marketSteward, "Until"); !strings.HasPrefix(got, "grant_expiring(2027-09-30) case_approved") {
			t.Errorf("the end: %s", got)
		}
		if _, err := w.Sharing.Revoke(t.Context(), policeLeader, r.GrantID, "超范围使用"); err != nil {
			t.Fatal(err)
		}
		for _, who := range []identity.Actor{marketSteward, policeSteward} {
			if got := w.inbox(t, who, "Reason"); !strings.HasPrefix(got, "grant_revoked(超范围使用)") {
				t.Errorf("%s: %s", who.ID, got)
			}
		}
	})
}
