package casework

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/notice"
	"gongshu/profile"
)

// told gathers what a case sends, as lines of kind, readers and clauses.
func (h *house) told() func() []string {
	var lines []string
	h.send = func(_ context.Context, _ *db.Tx, m notice.Outgoing) error {
		var to []string
		for _, t := range m.To {
			to = append(to, strings.TrimSpace(t.Person+" "+t.Body+" "+string(t.Post)))
		}
		slices.Sort(to)
		lines = append(lines, fmt.Sprintf("%s → %s, not %s (%s) %s", m.Kind, strings.Join(slices.Compact(to), "; "), m.Not, strings.Join(m.Clauses, " "), m.Values["Reason"].ZH))
		return nil
	}
	return func() []string { out := lines; lines = nil; return out }
}

func expect(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s told\n  %s\nwant\n  %s", when, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// A case tells its maker what came of it, the signers that it waits for them, and
// everybody concerned of a deadline, each once.
func TestWhatACaseTells(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-42")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		told := h.told()
		h.clock.on("2026-09-18")
		c := h.open(t, "fuzhou") // due on 22 October
		expect(t, "opening", told())
		for _, day := range []struct {
			on    string
			tells []string
		}{
			{"2026-10-12", nil},
			{"2026-10-20", []string{"case_due → civil steward, not  (FZM-17)"}},
			{"2026-10-22", nil},
			{"2026-10-23", []string{"case_overdue → civil steward, not  (FZM-17)"}},
			{"2026-10-30", []string{"case_escalate → bigdata authority_reviewer; civil leader; civil steward, not  (FZM-17)"}},
		} {
			h.clock.on(day.on)
			for range 2 { // the second round has nothing left to tell
				if _, err := h.Remind(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, day.on, told(), day.tells...)
		}
		h.decide(t, provider, c, profile.RelProvider, Agree, "")
		expect(t, "an opinion", told())
		h.decide(t, reviewer, c, profile.RelAuthority, Return, "请补充使用依据")
		expect(t, "a return", told(), "case_returned → tax steward; wang, not sun (FZM-17) 请补充使用依据")
		if err := h.db.InTx(t.Context(), func(tx *db.Tx) error { _, err := h.ResubmitTx(t.Context(), tx, consumer, c.ID); return err }); err != nil {
			t.Fatal(err)
		}
		expect(t, "sending it again", told())
		h.decide(t, reviewer, c, profile.RelAuthority, Approve, "")
		expect(t, "approval", told(), "case_sign → civil leader; tax leader, not sun (FZM-17)")
		h.decide(t, director, c, profile.RelProvider, Accept, "")
		expect(t, "the first signature", told())
		h.decide(t, chief, c, profile.RelConsumer, Accept, "")
		expect(t, "the second signature", told(), "case_approved → tax steward; wang, not chen (FZM-17)")

		c = h.open(t, "fuzhou")
		h.decide(t, provider, c, profile.RelProvider, Agree, "")
		h.decide(t, reviewer, c, profile.RelAuthority, Refuse, "超出履职需要")
		expect(t, "refusal", told(), "case_refused → tax steward; wang, not sun (FZM-17) 超出履职需要")
		c = h.open(t, "fuzhou")
		if _, err := h.Withdraw(t.Context(), consumer, c.ID, ""); err != nil {
			t.Fatal(err)
		}
		expect(t, "withdrawal by the maker", told())
	})
}

// The days go on while a case lies with its applicant, who is reminded; once it is sent
// again, the step that then waits is.
func TestAReturnedCaseIsReminded(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-42")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		told := h.told()
		remind := func(on string, tells ...string) {
			t.Helper()
			h.clock.on(on)
			for range 2 {
				if _, err := h.Remind(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			expect(t, on, told(), tells...)
		}
		h.clock.on("2026-09-18")
		c := h.open(t, "fuzhou") // due on 22 October
		h.decide(t, provider, c, profile.RelProvider, Agree, "")
		h.decide(t, reviewer, c, profile.RelAuthority, Return, "请补充使用依据")
		told()
		remind("2026-10-12")
		remind("2026-10-20", "case_due → tax steward, not  (FZM-17) 请补充使用依据")
		remind("2026-10-23", "case_overdue → tax steward, not  (FZM-17) 请补充使用依据")
		late, total, err := h.Cases(t.Context(), consumer, Filter{State: "late"})
		if err != nil || total != 1 || late[0].ID != c.ID {
			t.Errorf("late: %v (%v)", late, err)
		}
		if f := h.file(t, c); !f.HasDue || f.DaysLeft >= 0 || f.Moves.Task != "" {
			t.Errorf("%d days left (%t), moves %+v", f.DaysLeft, f.HasDue, f.Moves)
		}
		if err := h.db.InTx(t.Context(), func(tx *db.Tx) error { _, err := h.ResubmitTx(t.Context(), tx, consumer, c.ID); return err }); err != nil {
			t.Fatal(err)
		}
		remind("2026-10-26", "case_overdue → bigdata authority_reviewer, not  (FZM-17)")
	})
}
