package casework

import (
	"context"
	"slices"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// Filter narrows a list of cases. Empty fields do not narrow.
type Filter struct {
	Body       string // a party to the case
	Relation   string // in which relation Body is a party
	KindPrefix string // "sharing."
	State      string // open, returned, closed, or "late" for not closed past the due day
	Outcome    string
	Resource   string
	District   string // division code
	Text       string // in title, number or applicant's name
	Sort       string // "opened", "number", "title", or "due": open deadlines first; newest first when empty
	Desc       bool
	Offset     int
	Limit      int // 1 to 200; 50 when 0
}

// Todo is a task with the case it belongs to.
type Todo struct {
	Task
	Number, Title, CaseKind, Resource string
	StepName                          profile.Words
	Rule                              ClockRule // what sets the due day; Days 0 when nothing does
	DaysLeft                          int       // working days to the due day, negative when late
	HasDue                            bool
}

// Tasks gives what the actor's posts at the acting body are to do, nearest
// deadline first. Limit 1 to 500, 100 when 0. With acting only the acting post
// counts.
func (s *Service) Tasks(ctx context.Context, actor identity.Actor, acting bool, limit int) ([]Todo, error) {
	if limit <= 0 || limit > 500 {
		limit = 100
	}
	cal, err := workday.Load(ctx, s.db.Read())
	if err != nil {
		return nil, err
	}
	list, err := todo(ctx, s.db.Read(), actor.Body, postsOf(actor, acting), limit)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].DaysLeft, list[i].HasDue = DaysLeft(cal, list[i].DueOn, s.now())
	}
	return list, nil
}

// CountTasks gives how many tasks await the actor's posts and how many are late.
func (s *Service) CountTasks(ctx context.Context, actor identity.Actor) (open, late int, err error) {
	return countTodo(ctx, s.db.Read(), actor.Body, postsOf(actor, false), s.now())
}

func postsOf(actor identity.Actor, acting bool) []string {
	if acting {
		if actor.Post == "" {
			return nil
		}
		return []string{string(actor.Post)}
	}
	var out []string
	for _, p := range actor.Posts {
		out = append(out, string(p))
	}
	return out
}

// readTarget says whether the actor's body is a party, for the policies.
func readTarget(actor identity.Actor, c Case) operation.Target {
	t := caseTarget(c)
	t.Attrs["party"] = len(c.Relation(actor.Body)) > 0 || actor.ID != "" && slices.Contains(c.Makers, actor.ID)
	return t
}

// Case gives a case by id or number to somebody who may see it: its parties, the
// authority within its reach, the auditor.
func (s *Service) Case(ctx context.Context, actor identity.Actor, id string) (Case, error) {
	c, err := getCase(ctx, s.db.Read(), id)
	if err != nil {
		return c, err
	}
	return c, s.door.May(actor, "casework.case.read", readTarget(actor, c))
}

// File is all there is on a case.
type File struct {
	Case        Case
	Tasks       []Task
	Clocks      []Clock
	Timeline    []Event
	Attachments []Attachment
	// DaysLeft is that of the running clock; HasDue is false where none runs.
	DaysLeft int
	HasDue   bool
	// Moves is what the actor may do to the running clock; MayAttach whether to add documents.
	Moves     Moves
	MayAttach bool
}

// Moves are the changes of the clock of the step under way that the city's rules know
// and the actor may make now. The zero value offers none.
type Moves struct {
	Task                           string // whose clock it is
	Pause, Resume                  bool
	Extend                         int // working days at most; 0 not at all
	PauseClauses, ExtensionClauses []string
}

func (s *Service) moves(actor identity.Actor, f File) Moves {
	p := f.Case.Procedure
	m := Moves{PauseClauses: p.PauseClauses, ExtensionClauses: p.ExtensionClauses}
	for _, t := range f.Tasks {
		if t.State != "open" || f.Case.State != StateOpen || t.Clock == "" || t.Relation == p.ApplicantRelation() {
			continue
		}
		i := slices.IndexFunc(f.Clocks, func(k Clock) bool { return k.Name == t.Clock && k.State != "stopped" })
		if i < 0 {
			continue
		}
		k := f.Clocks[i]
		may := func(action operation.Action) bool { return s.door.May(actor, action, taskTarget(f.Case, t)) == nil }
		m.Pause = p.MayPause && k.State == "running" && may("casework.clock.pause")
		m.Resume = k.State == "paused" && may("casework.clock.resume")
		if p.ExtensionDays > 0 && !extended(k) && may("casework.clock.extend") {
			m.Extend = p.ExtensionDays
		}
		if m.Pause || m.Resume || m.Extend > 0 {
			m.Task = t.ID
			return m
		}
	}
	return Moves{}
}

// File gives a case with tasks, clocks, timeline and documents.
func (s *Service) File(ctx context.Context, actor identity.Actor, id string) (File, error) {
	c, err := s.Case(ctx, actor, id)
	if err != nil {
		return File{}, err
	}
	f := File{Case: c}
	q := s.db.Read()
	if f.Tasks, err = tasksOf(ctx, q, c.ID); err != nil {
		return f, err
	}
	if f.Clocks, err = clocksOf(ctx, q, c.ID); err != nil {
		return f, err
	}
	if f.Timeline, err = eventsOf(ctx, q, c.ID); err != nil {
		return f, err
	}
	if f.Attachments, err = attachmentsOf(ctx, q, c.ID); err != nil {
		return f, err
	}
	if c.State != StateClosed {
		cal, err := workday.Load(ctx, q)
		if err != nil {
			return f, err
		}
		f.DaysLeft, f.HasDue = DaysLeft(cal, c.DueOn, s.now())
		f.Moves = s.moves(actor, f)
	}
	f.MayAttach = s.blobs != nil && c.State != StateClosed && s.mayAttach(actor, c) == nil
	return f, nil
}

// TaskFor gives the open task of a case, by id or number, that the actor may decide
// now; errs.NotFound when none is the actor's.
func (s *Service) TaskFor(ctx context.Context, actor identity.Actor, id string) (Task, error) {
	c, err := getCase(ctx, s.db.Read(), id)
	if err != nil {
		return Task{}, err
	}
	tasks, err := tasksOf(ctx, s.db.Read(), c.ID)
	if err != nil {
		return Task{}, err
	}
	if t := s.Decidable(actor, c, tasks); t != nil {
		return *t, nil
	}
	return Task{}, errs.New(errs.NotFound, errs.T("该办件没有由您办理的环节", "no step of the case is yours to decide"))
}

// Decidable picks the first task that the actor may decide now; nil when there is none.
func (s *Service) Decidable(actor identity.Actor, c Case, tasks []Task) *Task {
	for i := range tasks {
		if t := &tasks[i]; t.State == "open" && t.Kind != Mend && s.May(actor, c, *t) == nil {
			return t
		}
	}
	return nil
}

// GetTx reads a case inside the caller's operation, without asking who may see it.
func (s *Service) GetTx(ctx context.Context, q db.Querier, id string) (Case, error) {
	return getCase(ctx, q, id)
}

// Cases lists cases, and how many there are in all. The caller narrows by what
// the actor may see: somebody other than the authority's reviewer, the operator
// and the auditor sees only cases to which the own body is a party.
func (s *Service) Cases(ctx context.Context, actor identity.Actor, f Filter) ([]Case, int, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	f.Offset = max(f.Offset, 0)
	if err := s.door.May(actor, "casework.case.list", operation.Target{Kind: "case", Body: actor.Body, District: actor.District}); err != nil {
		return nil, 0, err
	}
	if s.door.May(actor, "casework.case.list_all", operation.Target{Kind: "case", District: actor.District}) != nil {
		if actor.Body == "" {
			return nil, 0, errs.New(errs.Forbidden, errs.T("请先取得单位岗位", "you hold no post at a body"))
		}
		if f.Body != "" && f.Body != actor.Body {
			return nil, 0, nil
		}
		f.Body = actor.Body
	} else if actor.Level == "county" && f.Body == "" {
		f.District = actor.District // LY-12: a county's authority sees to its own level
	}
	return listCases(ctx, s.db.Read(), f, s.now())
}

// Calendar gives the calendar in use.
func (s *Service) Calendar(ctx context.Context) (*workday.Calendar, error) {
	return workday.Load(ctx, s.db.Read())
}

// Draft gives the actor's draft; errs.NotFound when there is none.
func (s *Service) Draft(ctx context.Context, actor identity.Actor, kind, subject string) (string, time.Time, error) {
	return getDraft(ctx, s.db.Read(), actor.ID, kind, subject)
}

// Now is the service's clock.
func (s *Service) Now() time.Time { return s.now() }
