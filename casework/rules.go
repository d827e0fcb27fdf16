package casework

import (
	"slices"
	"strings"
	"time"

	"gongshu/internal/errs"
	"gongshu/profile"
	"gongshu/workday"
)

// checkDecision holds what every decision must have: an outcome that the step
// knows, and reasons where the outcome asks for them (FZM-24, LY-19: 不同意的说明理由;
// the nation's rules ask the same of sharing).
func checkDecision(t Task, d Decision) error {
	if !slices.Contains(Outcomes(t.Kind), d.Outcome) {
		return errs.Newf(errs.Invalid, "该环节不能作出“%[1]s”的处理，可作出：%[2]s", "this step cannot end with %[1]q; it ends with %[2]s", d.Outcome, strings.Join(Outcomes(t.Kind), ", ")).In("outcome")
	}
	if NeedsReason(d.Outcome) && d.Reason == "" {
		return errs.New(errs.Invalid, errs.T("请写明理由", "state the reasons")).In("reason").By(t.Clauses...)
	}
	if len(d.Reason) > 20000 {
		return errs.New(errs.TooLarge, errs.T("理由不超过 20000 字节", "reasons take at most 20,000 bytes")).In("reason")
	}
	return nil
}

// alsoMakers adds people to the makers of a case, each once.
func alsoMakers(makers []string, more ...string) []string {
	for _, id := range more {
		if id != "" && !slices.Contains(makers, id) {
			makers = append(makers, id)
		}
	}
	return makers
}

// ownDay refuses the side that waits for an answer to move its day.
func ownDay() error {
	return errs.New(errs.Forbidden, errs.T("提出单位不能改变自己所提事项的期限", "the side that put the case up cannot move its deadline"))
}

// extended reports whether a clock has had its one extension.
func extended(k Clock) bool {
	return slices.ContainsFunc(k.Entries, func(e ClockEntry) bool { return e.Kind == "extend" })
}

// DecidingDistrict is the division whose authority decides on data of a district: the
// county's own where the city says so (LY-12), the city's elsewhere.
func DecidingDistrict(p *profile.Profile, at time.Time, district string) string {
	if profile.CountyApproval.At(p, at).V && district != "" {
		return district
	}
	return profile.Division.At(p, at).V
}

// ledger is the arithmetic of one clock, without any store.
type ledger struct {
	budget  int
	used    int // working days counted before the last start or resumption
	since   workday.Date
	running bool
}

func startLedger(on workday.Date, days int) ledger {
	return ledger{budget: days, since: on, running: true}
}

// due is the last day of the deadline while the clock runs.
func (l ledger) due(c *workday.Calendar) workday.Due {
	return c.Add(l.since, max(l.budget-l.used, 0))
}

// pause counts what has been used by the end of the day on.
func (l ledger) pause(c *workday.Calendar, on workday.Date) ledger {
	if l.running {
		l.used += max(c.Between(l.since, on), 0)
		l.running = false
	}
	return l
}

// resume goes on with what is left; the day on does not count, as the day of
// receipt does not.
func (l ledger) resume(on workday.Date) ledger {
	l.since, l.running = on, true
	return l
}

// replay folds a clock's entries into the ledger's present state.
func replay(c *workday.Calendar, entries []ClockEntry) ledger {
	var l ledger
	for _, e := range entries {
		switch e.Kind {
		case "start":
			l = startLedger(e.On, e.Days)
		case "pause", "stop":
			l = l.pause(c, e.On)
		case "resume":
			l = l.resume(e.On)
		case "extend":
			l.budget += e.Days
		}
	}
	return l
}

// Reminder kinds.
const (
	DueSoon    = "due_soon"
	Overdue    = "overdue"
	Escalation = "escalation"
)

// remindersDue tells which reminders a running deadline has earned by now: due
// soon from DueSoonDays working days before the due day, overdue from the day
// after it, escalation EscalateDays working days after it.
func remindersDue(c *workday.Calendar, p Procedure, due workday.Date, now time.Time) []string {
	today := workday.DateOf(now)
	var out []string
	if today <= due {
		if p.DueSoonDays > 0 && c.Between(today, due) <= p.DueSoonDays {
			out = append(out, DueSoon)
		}
		return out
	}
	out = append(out, Overdue)
	if p.EscalateDays > 0 && c.Between(due, today) >= p.EscalateDays {
		out = append(out, Escalation)
	}
	return out
}

// DaysLeft counts the working days from today to the due day: 0 on the due day,
// negative when it has passed.
func DaysLeft(c *workday.Calendar, due string, now time.Time) (int, bool) {
	d, err := workday.ParseDate(due)
	if err != nil {
		return 0, false
	}
	today := workday.DateOf(now)
	if today <= d {
		return c.Between(today, d), true
	}
	if n := c.Between(d, today); n > 0 {
		return -n, true
	}
	return -1, true // late, though no working day has passed since
}
