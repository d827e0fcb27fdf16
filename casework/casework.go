// Package casework carries what people decide: cases with steps, tasks,
// outcomes, clocks in working days, reminders and a timeline. It knows nothing
// of what a case is about; areas open cases by a [Procedure] built from the city
// profile and register a [Handler] that runs, in the deciding transaction, what
// an outcome does.
//
// A clock is a budget of working days and a ledger of starts, pauses, resumptions,
// extensions and stops; each entry names the version of the calendar it was
// computed with. A procedure is kept with its case, so that a later change of
// profile leaves open cases as they were begun.
package casework

import (
	"context"
	"sync"
	"time"

	"gongshu/identity"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// States of a case.
const (
	StateOpen     = "open"
	StateReturned = "returned" // with the applicant, to be mended and sent again
	StateClosed   = "closed"
)

// Outcomes of a case.
const (
	Approved  = "approved"
	Refused   = "refused"
	Withdrawn = "withdrawn"
)

// Outcomes of a task. Which a task takes depends on the kind of its step; see
// [Outcomes].
const (
	Agree   = "agree"   // opinion: no objection
	Object  = "object"  // opinion: objection, with reasons; the case goes on
	Approve = "approve" // decision
	Cut     = "cut"     // decision: approved with cuts
	Refuse  = "refuse"  // decision: with reasons
	Return  = "return"  // decision, review: back to the applicant, with reasons
	Pass    = "pass"    // review
	Accept  = "accept"  // sign
	Decline = "decline" // sign: with reasons; the case is refused
	Done    = "done"    // execute
)

// Mend is the kind of the task that a return leaves with the applicant's steward. It
// is not decided: it ends when the case is sent again or taken back.
const Mend = "mend"

// Outcomes gives what a task of a step's kind may end with, in the order in which
// forms offer them.
func Outcomes(stepKind string) []string {
	switch stepKind {
	case profile.StepOpinion:
		return []string{Agree, Object}
	case profile.StepDecision:
		return []string{Approve, Cut, Refuse, Return}
	case profile.StepReview:
		return []string{Pass, Return}
	case profile.StepSign:
		return []string{Accept, Decline}
	case profile.StepExecute:
		return []string{Done}
	}
	return nil
}

// NeedsReason reports whether an outcome must be reasoned.
func NeedsReason(outcome string) bool {
	switch outcome {
	case Object, Refuse, Return, Decline, Cut:
		return true
	}
	return false
}

// Clock names of the procedures built from profiles.
const (
	ClockAnswer = "answer" // until the answer is given
	ClockShare  = "share"  // from approval until the data is shared
	ClockUpdate = "update" // from the event that changes a catalog entry until the department has put the change up
	ClockReview = "review" // from the day on which the authority has an entry until it is reviewed
)

// ClockRule is a deadline of a procedure with what it rests on. Days is the budget
// in working days; a rule with Days 0 sets no deadline and is left out.
type ClockRule struct {
	Name    string       `json:"name"`
	Days    int          `json:"days"`
	Start   string       `json:"start"` // "receipt" or "acceptance"; a later clock starts with its first step
	Kind    profile.Kind `json:"kind"`
	Clauses []string     `json:"clauses,omitempty"`
	Source  string       `json:"source,omitempty"` // instrument of a layer above, for an inherited rule
	Reason  string       `json:"reason,omitempty"` // for practice
}

// RuleOf makes a clock rule from a profile value.
func RuleOf(name, start string, v profile.Value[int]) ClockRule {
	return ClockRule{Name: name, Days: v.V, Start: start, Kind: v.Kind, Clauses: v.Clauses, Source: v.Source, Reason: v.Reason}
}

// Procedure is how a case of a kind goes.
type Procedure struct {
	Kind   string         `json:"kind"`   // "sharing.conditional"
	Prefix string         `json:"prefix"` // of the case number: "GX"
	Steps  []profile.Step `json:"steps"`
	Clocks []ClockRule    `json:"clocks"`
	// Applicant is the relation of the body that puts the case up, mends it when it is
	// returned and may take it back: profile.RelConsumer when empty.
	Applicant string `json:"applicant,omitempty"`
	// FromStart: a returned case begins again with its first step, because what the
	// steps before passed has changed. Otherwise it goes on with the step that returned it.
	FromStart bool `json:"from_start,omitempty"`
	// RefuseGoesOn names steps in which a refusal leads to the next step and not
	// to the end (negotiation before the committee, FS-26).
	RefuseGoesOn []string `json:"refuse_goes_on,omitempty"`
	// MayPause and ExtensionDays are what the city's rules allow; most state neither.
	MayPause         bool     `json:"may_pause,omitempty"`
	PauseClauses     []string `json:"pause_clauses,omitempty"`
	ExtensionDays    int      `json:"extension_days,omitempty"`
	ExtensionClauses []string `json:"extension_clauses,omitempty"`
	// DueSoonDays before the due day a reminder is raised, EscalateDays after it
	// the lateness is escalated; 0 for never.
	DueSoonDays  int `json:"due_soon_days,omitempty"`
	EscalateDays int `json:"escalate_days,omitempty"`
}

// ApplicantRelation is the relation of the body that puts the case up.
func (p Procedure) ApplicantRelation() string {
	if p.Applicant == "" {
		return profile.RelConsumer
	}
	return p.Applicant
}

// Step gives a step and its place by key; ok is false for an unknown key.
func (p Procedure) Step(key string) (s profile.Step, no int, ok bool) {
	for i, s := range p.Steps {
		if s.Key == key {
			return s, i, true
		}
	}
	return profile.Step{}, 0, false
}

// Clock gives the rule of a name; ok is false where the procedure sets none.
func (p Procedure) Clock(name string) (r ClockRule, ok bool) {
	for _, r := range p.Clocks {
		if r.Name == name && r.Days > 0 {
			return r, true
		}
	}
	return ClockRule{}, false
}

// Party is a body with its relation to a case.
type Party struct {
	Relation string // profile.RelProvider …
	Body     string
	BodyName string
}

// Case is one case.
type Case struct {
	ID, Number, Kind, Title string
	State, Outcome, Step    string
	SubjectKind, Subject    string // what the case is about: the area's record
	Resource                string // resource code, "" when none
	District                string
	Maker, MakerName        string   // who sent it last, and is told what comes of it
	Makers                  []string // everybody who drafted or sent any round: none of them decides on it (FS-40)
	ReceivedOn              workday.Date
	OpenedAt, ClosedAt      time.Time
	DueOn                   string // day of the running clock, "" when none
	DueAt                   time.Time
	Reason                  string // of the decision
	Procedure               Procedure
	Profile                 string // version of the profile
	Parent                  string // id of the case that this one follows
	Parties                 []Party
}

// Party gives the body of a relation; ok is false when the case has none.
func (c Case) Party(relation string) (Party, bool) {
	for _, p := range c.Parties {
		if p.Relation == relation {
			return p, true
		}
	}
	return Party{}, false
}

// Relation gives the relations of a body to the case.
func (c Case) Relation(body string) []string {
	var out []string
	for _, p := range c.Parties {
		if p.Body == body && body != "" {
			out = append(out, p.Relation)
		}
	}
	return out
}

// Task is what somebody is to do.
type Task struct {
	ID, CaseID       string
	Step             string
	StepNo           int
	Kind             string // kind of the step
	Post             string
	Relation, Body   string
	Clock            string
	Clauses          []string
	State            string // open, done, cancelled
	OpenedAt         time.Time
	DueOn            string
	DueAt            time.Time
	DecidedAt        time.Time
	Actor, ActorName string
	Outcome, Reason  string
	Late             bool
}

// Clock is a running, paused or stopped clock of a case.
type Clock struct {
	Name        string
	State       string // running, paused, stopped
	Budget      int    // working days, extensions included
	StartedOn   workday.Date
	DueOn       string // "" while paused
	DueAt       time.Time
	Provisional bool // the due day depends on a year whose calendar is not announced
	Calendar    string
	StoppedOn   string
	Entries     []ClockEntry
}

// ClockEntry is a line of a clock's ledger.
type ClockEntry struct {
	ID       string
	Kind     string // start, pause, resume, extend, recount, stop
	On       workday.Date
	Days     int // budget at start, used at pause and stop, added at extension
	DueOn    string
	Reason   string
	Clauses  []string
	Calendar string
	Actor    string
	At       time.Time
}

// Event is a line of the timeline. Kind is opened, step, decided, returned,
// resubmitted, withdrawn, closed, attached, clock, reminder or note; Outcome and
// Reason are those of a decision.
type Event struct {
	ID               string
	At               time.Time
	Kind, Step       string
	Actor, ActorName string
	Body, BodyName   string
	Post             string
	Outcome, Reason  string
	Clauses          []string
	Facts            map[string]any
}

// Attachment is a document of a case.
type Attachment struct {
	ID, Name, Media            string
	Size                       int64  // bytes
	Digest                     string // SHA-256, 64 hexadecimal digits
	Object                     string // id of the object that holds the bytes
	Actor, ActorName, BodyName string // who attached it
	At                         time.Time
}

// Decision is what an actor decides on a task. Facts travel to the handler (the
// cuts of a decision) and stand in the timeline.
type Decision struct {
	Outcome string
	Reason  string
	Facts   map[string]any
}

// Handler is what an area does in the deciding transaction. Any of its functions
// may be nil; an error rolls the whole decision back. They run inside the door
// and must not pass it again.
type Handler struct {
	// Entered runs when a step's tasks have been opened.
	Entered func(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case, step profile.Step) error
	// Decided runs when a task has been decided, before the case moves on.
	Decided func(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case, task Task, d Decision) error
	// Closed runs when the case is closed; c.Outcome says how.
	Closed func(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case) error
}

// Deps is what the service needs.
type Deps struct {
	DB   *db.DB
	Door *operation.Door
	Send notice.Send // notice.Nobody when nil
	// Blobs keeps the documents of cases; nil in programs that take none.
	Blobs *blob.Store
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Service is the area's commands and queries. Its methods may be called by many
// goroutines.
type Service struct {
	db    *db.DB
	door  *operation.Door
	blobs *blob.Store
	send  notice.Send
	now   func() time.Time

	mu       sync.RWMutex
	handlers map[string]Handler
}

// New makes the service.
func New(deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Send == nil {
		deps.Send = notice.Nobody
	}
	return &Service{db: deps.DB, door: deps.Door, blobs: deps.Blobs, send: deps.Send, now: deps.Now, handlers: map[string]Handler{}}
}

// Handle registers what outcomes of a kind of case do. Registering a kind twice
// replaces the handler.
func (s *Service) Handle(kind string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[kind] = h
}

func (s *Service) handler(kind string) Handler {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.handlers[kind]
}
