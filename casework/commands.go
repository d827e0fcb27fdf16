package casework

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// Opening is what a case is begun with.
type Opening struct {
	Procedure            Procedure
	Title                string
	SubjectKind, Subject string
	Resource, District   string
	Parties              []Party // every relation that the procedure's steps name
	Profile              string  // version of the profile
	Parent               string
	Facts                map[string]any // for the timeline
	Makers               []string       // who drafted what the case is about, besides who opens it
	// Since is the day of the event from which clocks that start with receipt count,
	// where that lies before the day of receipt; zero for the day of receipt.
	Since workday.Date
	// Begun, when set, runs once the case has its number and before its first
	// step is entered: there the area keeps its own record.
	Begun func(ctx context.Context, tx *db.Tx, c Case) error
}

// OpenTx begins a case in the caller's operation: number, clocks that start with
// receipt, the tasks of the first step, the timeline. The day of receipt is the
// civil date in China now. It fails with errs.Invalid when a step names a relation
// for which no body is given.
func (s *Service) OpenTx(ctx context.Context, tx *db.Tx, actor identity.Actor, o Opening) (Case, error) {
	if len(o.Procedure.Steps) == 0 {
		return Case{}, errs.New(errs.Internal, errs.T("该类办件没有环节", "this kind of case has no steps"))
	}
	now := s.now()
	number, err := nextNumber(ctx, tx, o.Procedure.Prefix, workday.DateOf(now).Year())
	if err != nil {
		return Case{}, err
	}
	c := Case{
		ID: db.NewID(), Number: number, Kind: o.Procedure.Kind, Title: o.Title, State: StateOpen,
		Step: o.Procedure.Steps[0].Key, SubjectKind: o.SubjectKind, Subject: o.Subject, Resource: o.Resource, District: o.District,
		Maker: actor.ID, MakerName: actor.Name, Makers: alsoMakers([]string{actor.ID}, o.Makers...), ReceivedOn: workday.DateOf(now), OpenedAt: now, Procedure: o.Procedure,
		Profile: o.Profile, Parent: o.Parent, Parties: o.Parties,
	}
	for _, step := range c.Procedure.Steps {
		for _, rel := range step.Bodies {
			if _, ok := c.Party(rel); !ok {
				return Case{}, errs.Newf(errs.Invalid, "环节“%[1]s”需要%[3]s办理，但未确定由哪个单位承担",
					"the step %[2]q needs a body as %[4]s, and none is known", step.Name.ZH, step.Name.EN, profile.PartyTerm(rel).ZH, profile.PartyTerm(rel).EN)
			}
		}
	}
	if err := insertCase(ctx, tx, c); err != nil {
		return Case{}, err
	}
	if err := addEvent(ctx, tx, c.ID, s.event(actor, "opened", c.Step, now, o.Facts)); err != nil {
		return Case{}, err
	}
	if o.Begun != nil {
		if err := o.Begun(ctx, tx, c); err != nil {
			return Case{}, err
		}
	}
	for _, rule := range c.Procedure.Clocks {
		if rule.Days > 0 && rule.Start == "receipt" {
			if err := s.startClock(ctx, tx, actor, c, rule, o.Since); err != nil {
				return Case{}, err
			}
		}
	}
	if err := s.enter(ctx, tx, actor, &c, 0); err != nil {
		return Case{}, err
	}
	return c, nil
}

func (s *Service) event(actor identity.Actor, kind, step string, at time.Time, facts map[string]any) Event {
	return Event{At: at, Kind: kind, Step: step, Actor: actor.ID, ActorName: actor.Name, Body: actor.Body, BodyName: actor.BodyName, Post: string(actor.Post), Facts: facts}
}

// enter opens the tasks of a step and tells the area.
func (s *Service) enter(ctx context.Context, tx *db.Tx, actor identity.Actor, c *Case, no int) error {
	step := c.Procedure.Steps[no]
	c.Step = step.Key
	now := s.now()
	if rule, ok := c.Procedure.Clock(step.Clock); ok {
		clocks, err := clocksOf(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(clocks, func(k Clock) bool { return k.Name == rule.Name }) && (rule.Start != "acceptance" || no > 0) {
			if err := s.startClock(ctx, tx, actor, *c, rule, 0); err != nil {
				return err
			}
		}
	}
	clock, err := s.clockOf(ctx, tx, c.ID, step.Clock)
	if err != nil {
		return err
	}
	c.DueOn, c.DueAt = clock.DueOn, clock.DueAt
	for _, rel := range step.Bodies {
		party, _ := c.Party(rel)
		t := Task{ID: db.NewID(), CaseID: c.ID, Step: step.Key, StepNo: no, Kind: step.Kind, Post: step.Post, Relation: rel, Body: party.Body,
			Clock: step.Clock, Clauses: step.Clauses, State: "open", OpenedAt: now, DueOn: clock.DueOn, DueAt: clock.DueAt}
		if err := insertTask(ctx, tx, t); err != nil {
			return err
		}
	}
	if err := updateCase(ctx, tx, *c); err != nil {
		return err
	}
	e := s.event(actor, "step", step.Key, now, nil)
	e.Clauses = step.Clauses
	if err := addEvent(ctx, tx, c.ID, e); err != nil {
		return err
	}
	if step.Kind == profile.StepSign {
		if err := s.tellSigners(ctx, tx, actor, *c, step); err != nil {
			return err
		}
	}
	if h := s.handler(c.Kind); h.Entered != nil {
		return h.Entered(ctx, tx, actor, *c, step)
	}
	return nil
}

func (s *Service) clockOf(ctx context.Context, q db.Querier, caseID, name string) (Clock, error) {
	clocks, err := clocksOf(ctx, q, caseID)
	if err != nil {
		return Clock{}, err
	}
	for _, k := range clocks {
		if k.Name == name && k.State == "running" {
			return k, nil
		}
	}
	return Clock{}, nil
}

// startClock starts a clock on the day since, or today when that is zero.
func (s *Service) startClock(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case, rule ClockRule, since workday.Date) error {
	cal, err := workday.Load(ctx, tx)
	if err != nil {
		return err
	}
	now := s.now()
	on := workday.DateOf(now)
	if since != 0 {
		on = since
	}
	due := startLedger(on, rule.Days).due(cal)
	k := Clock{Name: rule.Name, State: "running", Budget: rule.Days, StartedOn: on, DueOn: due.Date.String(), DueAt: due.Date.End(), Provisional: due.Provisional, Calendar: due.Version}
	if err := saveClock(ctx, tx, c.ID, k); err != nil {
		return err
	}
	return addClockEntry(ctx, tx, c.ID, rule.Name, ClockEntry{Kind: "start", On: on, Days: rule.Days, DueOn: k.DueOn, Clauses: rule.Clauses, Calendar: due.Version, Actor: actor.ID, At: now, Reason: rule.Source})
}

func (s *Service) stopClock(ctx context.Context, tx *db.Tx, actor identity.Actor, caseID, name string) error {
	clocks, err := clocksOf(ctx, tx, caseID)
	if err != nil {
		return err
	}
	for _, k := range clocks {
		if k.Name != name || k.State == "stopped" {
			continue
		}
		cal, err := workday.Load(ctx, tx)
		if err != nil {
			return err
		}
		now := s.now()
		on := workday.DateOf(now)
		used := replay(cal, k.Entries).pause(cal, on).used
		k.State, k.StoppedOn = "stopped", on.String()
		if err := saveClock(ctx, tx, caseID, k); err != nil {
			return err
		}
		return addClockEntry(ctx, tx, caseID, name, ClockEntry{Kind: "stop", On: on, Days: used, DueOn: k.DueOn, Calendar: cal.Version(), Actor: actor.ID, At: now})
	}
	return nil
}

// taskTarget is a task as policies and log see it. The makers of a case cannot
// decide on it; signing for the own side is no decision on it.
func taskTarget(c Case, t Task) operation.Target {
	attrs := map[string]any{"post": t.Post, "kind": c.Kind, "step": t.Step}
	if t.Kind != profile.StepSign {
		attrs["makers"] = c.Makers
	}
	return operation.Target{Kind: "case", ID: c.ID, Name: c.Title, Body: t.Body, District: c.District, Resource: c.Resource, Case: c.Number, Attrs: attrs}
}

// May tells whether the actor may decide the task now: nil or the refusal.
func (s *Service) May(actor identity.Actor, c Case, t Task) error {
	return s.door.May(actor, "casework.task.decide", taskTarget(c, t))
}

// Decide ends a task through the door and moves the case on. Errors: Invalid for
// an outcome or missing reasons, Conflict when somebody else was first, Forbidden
// by policy, and whatever the area's handler refuses.
func (s *Service) Decide(ctx context.Context, actor identity.Actor, taskID string, d Decision) (Case, error) {
	t, err := getTask(ctx, s.db.Read(), taskID)
	if err != nil {
		return Case{}, err
	}
	c, err := getCase(ctx, s.db.Read(), t.CaseID)
	if err != nil {
		return Case{}, err
	}
	d.Reason = strings.TrimSpace(d.Reason)
	if err := checkDecision(t, d); err != nil {
		return Case{}, err
	}
	err = s.door.Do(ctx, actor, "casework.task.decide", taskTarget(c, t), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "step", t.Step)
		operation.Note(ctx, "outcome", d.Outcome)
		c, err = s.decideTx(ctx, tx, actor, taskID, d)
		return err
	})
	return c, err
}

func (s *Service) decideTx(ctx context.Context, tx *db.Tx, actor identity.Actor, taskID string, d Decision) (Case, error) {
	t, err := getTask(ctx, tx, taskID)
	if err != nil {
		return Case{}, err
	}
	c, err := lockCase(ctx, tx, t.CaseID)
	if err != nil {
		return Case{}, err
	}
	if c.State != StateOpen || t.State != "open" {
		return Case{}, errs.New(errs.Conflict, errs.T("该事项已办结或已由他人办理，请刷新", "this has been dealt with already; reload"))
	}
	now := s.now()
	if t, err = getTask(ctx, tx, taskID); err != nil { // as it is under the lock
		return Case{}, err
	}
	t.State, t.DecidedAt, t.Actor, t.ActorName, t.Outcome, t.Reason = "done", now, actor.ID, actor.Name, d.Outcome, d.Reason
	t.Late = !t.DueAt.IsZero() && now.After(t.DueAt)
	if err := finishTask(ctx, tx, t); err != nil {
		return Case{}, err
	}
	e := s.event(actor, "decided", t.Step, now, d.Facts)
	e.Outcome, e.Reason, e.Clauses = d.Outcome, d.Reason, t.Clauses
	if err := addEvent(ctx, tx, c.ID, e); err != nil {
		return Case{}, err
	}
	if h := s.handler(c.Kind); h.Decided != nil {
		if err := h.Decided(ctx, tx, actor, c, t, d); err != nil {
			return Case{}, err
		}
	}
	return c, s.move(ctx, tx, actor, &c, t, d)
}

// move takes the case on from a decided task.
func (s *Service) move(ctx context.Context, tx *db.Tx, actor identity.Actor, c *Case, t Task, d Decision) error {
	switch d.Outcome {
	case Return:
		if err := cancelTasks(ctx, tx, c.ID, s.now()); err != nil {
			return err
		}
		c.State, c.Reason = StateReturned, d.Reason
		if err := updateCase(ctx, tx, *c); err != nil {
			return err
		}
		rel := c.Procedure.ApplicantRelation()
		if party, ok := c.Party(rel); ok {
			// The clock has not stopped: the mending runs under the same day.
			mend := Task{ID: db.NewID(), CaseID: c.ID, Step: t.Step, StepNo: t.StepNo, Kind: Mend, Post: string(identity.Steward), Relation: rel, Body: party.Body,
				Clock: t.Clock, Clauses: t.Clauses, State: "open", OpenedAt: s.now(), DueOn: c.DueOn, DueAt: c.DueAt}
			if err := insertTask(ctx, tx, mend); err != nil {
				return err
			}
		}
		if err := addEvent(ctx, tx, c.ID, s.event(actor, "returned", t.Step, s.now(), nil)); err != nil {
			return err
		}
		return s.tellApplicant(ctx, tx, actor, *c, notice.CaseReturned)
	case Refuse, Decline:
		if !slices.Contains(c.Procedure.RefuseGoesOn, t.Step) || t.StepNo+1 >= len(c.Procedure.Steps) {
			c.Reason = d.Reason
			return s.close(ctx, tx, actor, c, Refused)
		}
	case Approve, Cut:
		c.Reason = d.Reason
		if slices.Contains(c.Procedure.RefuseGoesOn, t.Step) { // settled: what follows was for failure only
			return s.close(ctx, tx, actor, c, Approved)
		}
	}
	open, err := countOpen(ctx, tx, c.ID, t.Step)
	if err != nil {
		return err
	}
	if open > 0 {
		return nil
	}
	next := t.StepNo + 1
	if next < len(c.Procedure.Steps) && c.Procedure.Steps[next].Clock == t.Clock {
		return s.enter(ctx, tx, actor, c, next)
	}
	if err := s.stopClock(ctx, tx, actor, c.ID, t.Clock); err != nil {
		return err
	}
	if next < len(c.Procedure.Steps) {
		return s.enter(ctx, tx, actor, c, next)
	}
	return s.close(ctx, tx, actor, c, Approved)
}

func (s *Service) close(ctx context.Context, tx *db.Tx, actor identity.Actor, c *Case, outcome string) error {
	now := s.now()
	if err := cancelTasks(ctx, tx, c.ID, now); err != nil {
		return err
	}
	clocks, err := clocksOf(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, k := range clocks {
		if err := s.stopClock(ctx, tx, actor, c.ID, k.Name); err != nil {
			return err
		}
	}
	c.State, c.Outcome, c.ClosedAt = StateClosed, outcome, now
	if err := updateCase(ctx, tx, *c); err != nil {
		return err
	}
	e := s.event(actor, "closed", c.Step, now, nil)
	e.Outcome, e.Reason = outcome, c.Reason
	if err := addEvent(ctx, tx, c.ID, e); err != nil {
		return err
	}
	if kind, ok := map[string]notice.Kind{Approved: notice.CaseApproved, Refused: notice.CaseRefused}[outcome]; ok {
		if err := s.tellApplicant(ctx, tx, actor, *c, kind); err != nil {
			return err
		}
	}
	if h := s.handler(c.Kind); h.Closed != nil {
		return h.Closed(ctx, tx, actor, *c)
	}
	return nil
}

// caseTarget is a case as the applicant's policies see it.
func caseTarget(c Case) operation.Target {
	t := operation.Target{Kind: "case", ID: c.ID, Name: c.Title, District: c.District, Resource: c.Resource, Case: c.Number, Attrs: map[string]any{"kind": c.Kind}}
	if p, ok := c.Party(c.Procedure.ApplicantRelation()); ok {
		t.Body = p.Body
	}
	return t
}

// Withdraw ends an open or returned case on the applicant's wish.
func (s *Service) Withdraw(ctx context.Context, actor identity.Actor, id, reason string) (Case, error) {
	c, err := getCase(ctx, s.db.Read(), id)
	if err != nil {
		return c, err
	}
	err = s.door.Do(ctx, actor, "casework.case.withdraw", caseTarget(c), func(ctx context.Context, tx *db.Tx) error {
		c, err = s.WithdrawTx(ctx, tx, actor, c.ID, reason)
		return err
	})
	return c, err
}

// WithdrawTx is Withdraw in the caller's operation, which says who may.
func (s *Service) WithdrawTx(ctx context.Context, tx *db.Tx, actor identity.Actor, id, reason string) (Case, error) {
	c, err := lockCase(ctx, tx, id)
	if err != nil {
		return c, err
	}
	if c.State == StateClosed {
		return c, errs.New(errs.Conflict, errs.T("该办件已办结，不能撤回", "the case is closed and cannot be withdrawn"))
	}
	c.Reason = strings.TrimSpace(reason)
	return c, s.close(ctx, tx, actor, &c, Withdrawn)
}

// ResubmitTx sends a returned case back to the step that returned it, or to its
// first step where the procedure says so, in the caller's operation. Who sends it is
// told from now on; drafters, besides, worked on this round. The clock has gone on meanwhile unless the city's rules let
// it pause.
func (s *Service) ResubmitTx(ctx context.Context, tx *db.Tx, actor identity.Actor, id string, drafters ...string) (Case, error) {
	c, err := lockCase(ctx, tx, id)
	if err != nil {
		return c, err
	}
	if c.State != StateReturned {
		return c, errs.New(errs.Conflict, errs.T("该办件未被退回，不能重新提交", "the case has not been returned, so it cannot be sent again"))
	}
	_, no, ok := c.Procedure.Step(c.Step)
	if !ok {
		return c, fmt.Errorf("case %s: unknown step %q", c.Number, c.Step)
	}
	if c.Procedure.FromStart {
		no = 0
	}
	if err := finishMending(ctx, tx, actor, c.ID, s.now()); err != nil {
		return c, err
	}
	c.State, c.Reason, c.Maker, c.MakerName = StateOpen, "", actor.ID, actor.Name
	c.Makers = alsoMakers(c.Makers, append([]string{actor.ID}, drafters...)...)
	if err := addEvent(ctx, tx, c.ID, s.event(actor, "resubmitted", c.Step, s.now(), nil)); err != nil {
		return c, err
	}
	return c, s.enter(ctx, tx, actor, &c, no)
}

// CaseTarget is a case as the log sees it, for areas that act on their own cases.
func (s *Service) CaseTarget(c Case) operation.Target { return caseTarget(c) }

// Note adds a line to a case's timeline in the caller's operation.
func (s *Service) NoteTx(ctx context.Context, tx *db.Tx, actor identity.Actor, caseID, outcome string, clauses []string, facts map[string]any) error {
	e := s.event(actor, "note", "", s.now(), facts)
	e.Outcome, e.Clauses = outcome, clauses
	return addEvent(ctx, tx, caseID, e)
}

// clockChange is a pause, resumption or extension of the clock of the step under
// way, by whoever may decide that step.
func (s *Service) clockChange(ctx context.Context, actor identity.Actor, taskID string, action operation.Action, change func(c Case, k *Clock, l ledger, cal *workday.Calendar, on workday.Date) (ClockEntry, error)) error {
	t, err := getTask(ctx, s.db.Read(), taskID)
	if err != nil {
		return err
	}
	c, err := getCase(ctx, s.db.Read(), t.CaseID)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, action, taskTarget(c, t), func(ctx context.Context, tx *db.Tx) error {
		if c, err = lockCase(ctx, tx, c.ID); err != nil {
			return err
		}
		if t, err = getTask(ctx, tx, taskID); err != nil {
			return err
		}
		if c.State != StateOpen || t.State != "open" {
			return errs.New(errs.Conflict, errs.T("该事项已办结，请刷新", "this has been dealt with already; reload"))
		}
		if t.Relation == c.Procedure.ApplicantRelation() {
			return ownDay()
		}
		clocks, err := clocksOf(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(clocks, func(k Clock) bool { return k.Name == t.Clock })
		if i < 0 {
			return errs.New(errs.Invalid, errs.T("该环节没有期限", "this step has no deadline"))
		}
		cal, err := workday.Load(ctx, tx)
		if err != nil {
			return err
		}
		k, now := clocks[i], s.now()
		e, err := change(c, &k, replay(cal, k.Entries), cal, workday.DateOf(now))
		if err != nil {
			return err
		}
		e.On, e.Actor, e.At, e.Calendar, e.DueOn = workday.DateOf(now), actor.ID, now, cal.Version(), k.DueOn
		k.Calendar = cal.Version()
		if err := saveClock(ctx, tx, c.ID, k); err != nil {
			return err
		}
		if err := addClockEntry(ctx, tx, c.ID, k.Name, e); err != nil {
			return err
		}
		if err := moveTasks(ctx, tx, c.ID, k.Name, k.DueOn, k.DueAt); err != nil {
			return err
		}
		c.DueOn, c.DueAt = k.DueOn, k.DueAt
		if err := updateCase(ctx, tx, c); err != nil {
			return err
		}
		ev := s.event(actor, "clock", t.Step, now, map[string]any{"clock": k.Name, "days": e.Days, "due": k.DueOn})
		ev.Outcome, ev.Reason, ev.Clauses = e.Kind, e.Reason, e.Clauses
		return addEvent(ctx, tx, c.ID, ev)
	})
}

func (k *Clock) dueBy(d workday.Due) {
	k.DueOn, k.DueAt, k.Provisional = d.Date.String(), d.Date.End(), d.Provisional
}

// Pause stops the clock of a task's step for a stated reason, where the city's
// rules allow a pause; elsewhere it is refused.
func (s *Service) Pause(ctx context.Context, actor identity.Actor, taskID, reason string) error {
	return s.clockChange(ctx, actor, taskID, "casework.clock.pause", func(c Case, k *Clock, l ledger, cal *workday.Calendar, on workday.Date) (ClockEntry, error) {
		switch {
		case !c.Procedure.MayPause:
			return ClockEntry{}, errs.New(errs.Forbidden, errs.T("本市规定没有期限中止，期限不停", "the city's rules know no pause; the clock goes on"))
		case strings.TrimSpace(reason) == "":
			return ClockEntry{}, errs.New(errs.Invalid, errs.T("请写明中止理由", "state the reason for the pause")).In("reason")
		case k.State != "running":
			return ClockEntry{}, errs.New(errs.Conflict, errs.T("期限未在计算", "the clock is not running"))
		}
		l = l.pause(cal, on)
		k.State, k.DueOn, k.DueAt = "paused", "", time.Time{}
		return ClockEntry{Kind: "pause", Days: l.used, Reason: reason, Clauses: c.Procedure.PauseClauses}, nil
	})
}

// Resume lets a paused clock go on with the days that were left.
func (s *Service) Resume(ctx context.Context, actor identity.Actor, taskID string) error {
	return s.clockChange(ctx, actor, taskID, "casework.clock.resume", func(c Case, k *Clock, l ledger, cal *workday.Calendar, on workday.Date) (ClockEntry, error) {
		if k.State != "paused" {
			return ClockEntry{}, errs.New(errs.Conflict, errs.T("期限未中止", "the clock is not paused"))
		}
		k.State = "running"
		k.dueBy(l.resume(on).due(cal))
		return ClockEntry{Kind: "resume", Days: l.used, Clauses: c.Procedure.PauseClauses}, nil
	})
}

// Extend adds working days once, at most as many as the city's rules allow.
func (s *Service) Extend(ctx context.Context, actor identity.Actor, taskID string, days int, reason string) error {
	return s.clockChange(ctx, actor, taskID, "casework.clock.extend", func(c Case, k *Clock, l ledger, cal *workday.Calendar, on workday.Date) (ClockEntry, error) {
		switch {
		case c.Procedure.ExtensionDays == 0:
			return ClockEntry{}, errs.New(errs.Forbidden, errs.T("本市规定没有期限延长", "the city's rules know no extension"))
		case extended(*k):
			return ClockEntry{}, errs.New(errs.Forbidden, errs.T("期限只能延长一次", "a deadline is extended once only")).By(c.Procedure.ExtensionClauses...)
		case days < 1 || days > c.Procedure.ExtensionDays:
			return ClockEntry{}, errs.Newf(errs.Invalid, "延长 1 至 %[1]d 个工作日", "extend by 1 to %[1]d working days", c.Procedure.ExtensionDays).In("days").By(c.Procedure.ExtensionClauses...)
		case strings.TrimSpace(reason) == "":
			return ClockEntry{}, errs.New(errs.Invalid, errs.T("请写明延长理由", "state the reason for the extension")).In("reason")
		case k.State == "stopped":
			return ClockEntry{}, errs.New(errs.Conflict, errs.T("期限已结束", "the clock has stopped"))
		}
		l.budget += days
		k.Budget += days
		if k.State == "running" {
			k.dueBy(l.due(cal))
		}
		return ClockEntry{Kind: "extend", Days: days, Reason: reason, Clauses: c.Procedure.ExtensionClauses}, nil
	})
}

// Remind raises the reminders that running deadlines have earned by now, each
// once a case, step and kind, and gives their number. It may run as often as one
// likes and on several nodes.
func (s *Service) Remind(ctx context.Context) (int, error) {
	cal, err := workday.Load(ctx, s.db.Read())
	if err != nil {
		return 0, err
	}
	now, raised, after := s.now(), 0, ""
	// No reminder comes more than 20 working days before its day; a due day
	// beyond two months cannot have earned one.
	for {
		batch, err := dueCandidates(ctx, s.db.Read(), now.AddDate(0, 2, 0), after, 200)
		if err != nil || len(batch) == 0 {
			return raised, err
		}
		after = batch[len(batch)-1].ID
		for _, c := range batch {
			n, err := s.remindCase(ctx, cal, c, now)
			if err != nil {
				return raised, err
			}
			raised += n
		}
	}
}

func (s *Service) remindCase(ctx context.Context, cal *workday.Calendar, c Case, now time.Time) (int, error) {
	due, err := workday.ParseDate(c.DueOn)
	if err != nil {
		return 0, err
	}
	have, err := remindersOf(ctx, s.db.Read(), c.ID)
	if err != nil {
		return 0, err
	}
	step := c.Step
	if c.State == StateReturned { // what waits is the mending, not the step that returned it
		step = Mend
	}
	var want []string
	for _, kind := range remindersDue(cal, c.Procedure, due, now) {
		if !have[step+" "+kind] {
			want = append(want, kind)
		}
	}
	if len(want) == 0 {
		return 0, nil
	}
	raised := 0
	actor := identity.System("clock")
	err = s.door.Do(ctx, actor, "casework.case.remind", caseTarget(c), func(ctx context.Context, tx *db.Tx) error {
		raised = 0
		if c.Parties, err = partiesOf(ctx, tx, c.ID); err != nil {
			return err
		}
		worst := ""
		for _, kind := range want {
			fresh, err := addReminder(ctx, tx, c.ID, step, kind, c.DueOn, now)
			if err != nil {
				return err
			}
			if !fresh {
				continue
			}
			raised++
			e := s.event(actor, "reminder", c.Step, now, map[string]any{"due": c.DueOn})
			e.Outcome = kind
			if err := addEvent(ctx, tx, c.ID, e); err != nil {
				return err
			}
			worst = kind
		}
		if worst != "" { // who hears of the escalation need not hear of the lateness besides
			if err := s.tellReminder(ctx, tx, c, worst); err != nil {
				return err
			}
		}
		operation.Note(ctx, "reminders", raised)
		return nil
	})
	return raised, err
}

const maxDraft = 256 << 10

// SaveDraft keeps what a person has filled into a form; subject tells forms of a
// kind apart. At most 256 KiB.
func (s *Service) SaveDraft(ctx context.Context, actor identity.Actor, kind, subject, body string) error {
	if len(body) > maxDraft {
		return errs.New(errs.TooLarge, errs.T("草稿超过 256 KiB", "the draft is over 256 KiB"))
	}
	return s.door.Do(ctx, actor, "casework.draft.save", operation.Target{Kind: "draft", ID: actor.ID, Name: kind, Body: actor.Body}, func(ctx context.Context, tx *db.Tx) error {
		return putDraft(ctx, tx, actor.ID, kind, subject, body, s.now())
	})
}

// DropDraftTx removes a draft that has become a case.
func (s *Service) DropDraftTx(ctx context.Context, tx *db.Tx, actor identity.Actor, kind, subject string) error {
	return deleteDraft(ctx, tx, actor.ID, kind, subject)
}

// ImportCalendar reads the State Council's notice (CSV or JSON, see workday.Parse),
// keeps it, and counts every running clock anew; each changed clock gets an entry
// that names the new calendar. It gives the years imported and how many deadlines
// moved.
func (s *Service) ImportCalendar(ctx context.Context, actor identity.Actor, r io.Reader) (years []int, moved int, err error) {
	notices, err := workday.Parse(r)
	if err != nil {
		return nil, 0, errs.Newf(errs.Invalid, "读不懂放假安排：%v", "cannot read the notice: %v", err).In("file")
	}
	for _, n := range notices {
		years = append(years, n.Year)
	}
	err = s.door.Do(ctx, actor, "casework.calendar.import", operation.Target{Kind: "calendar", Name: fmt.Sprint(years), Body: actor.Body, District: actor.District}, func(ctx context.Context, tx *db.Tx) error {
		moved = 0
		for _, n := range notices {
			if err := workday.SaveNotice(ctx, tx, n, actor.ID, s.now()); err != nil {
				return err
			}
		}
		cal, err := workday.Load(ctx, tx)
		if err != nil {
			return err
		}
		operation.Note(ctx, "calendar", cal.Version())
		running, err := runningClocks(ctx, tx)
		if err != nil {
			return err
		}
		for id, names := range running {
			n, err := s.recount(ctx, tx, actor, cal, id, names)
			if err != nil {
				return err
			}
			moved += n
		}
		operation.Note(ctx, "moved", moved)
		return nil
	})
	return years, moved, err
}

func (s *Service) recount(ctx context.Context, tx *db.Tx, actor identity.Actor, cal *workday.Calendar, id string, names []string) (int, error) {
	c, err := lockCase(ctx, tx, id)
	if err != nil {
		return 0, err
	}
	clocks, err := clocksOf(ctx, tx, id)
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, k := range clocks {
		if !slices.Contains(names, k.Name) || k.State != "running" {
			continue
		}
		due := replay(cal, k.Entries).due(cal)
		if due.Date.String() == k.DueOn && due.Provisional == k.Provisional {
			continue
		}
		before := k.DueOn
		k.dueBy(due)
		k.Calendar = cal.Version()
		if err := saveClock(ctx, tx, id, k); err != nil {
			return 0, err
		}
		now := s.now()
		if err := addClockEntry(ctx, tx, id, k.Name, ClockEntry{Kind: "recount", On: workday.DateOf(now), DueOn: k.DueOn, Calendar: cal.Version(), Actor: actor.ID, At: now}); err != nil {
			return 0, err
		}
		if before == k.DueOn {
			continue
		}
		moved++
		if err := moveTasks(ctx, tx, id, k.Name, k.DueOn, k.DueAt); err != nil {
			return 0, err
		}
		if step, _, ok := c.Procedure.Step(c.Step); ok && step.Clock == k.Name {
			c.DueOn, c.DueAt = k.DueOn, k.DueAt
			if err := updateCase(ctx, tx, c); err != nil {
				return 0, err
			}
		}
		e := s.event(actor, "clock", c.Step, now, map[string]any{"clock": k.Name, "before": before, "due": k.DueOn})
		e.Outcome = "recount"
		if err := addEvent(ctx, tx, id, e); err != nil {
			return 0, err
		}
	}
	return moved, nil
}

// NumberTx takes the next number of a prefix for the present year, for things that
// stand beside cases ("ZJ-2026-000001").
func (s *Service) NumberTx(ctx context.Context, tx *db.Tx, prefix string) (string, error) {
	return nextNumber(ctx, tx, prefix, workday.DateOf(s.now()).Year())
}
