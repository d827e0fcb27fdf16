package sharing

import (
	"context"
	"time"

	"gongshu/agreement"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

// Filter narrows a list of requests. Empty fields do not narrow.
type Filter struct {
	State, Kind, Mode  string
	Resource           string // code with "/"
	Consumer, Provider string // body ids
	Party              string // body id on either side
	District           string
	Text               string
	Sort               string // "created", "decided", "name", "number"; newest first when empty
	Desc               bool
	Offset             int
	Limit              int // 1 to 200; 50 when 0
}

// Requests lists requests, newest first, and how many there are. People of a
// department see those to which their body is a party.
func (s *Service) Requests(ctx context.Context, actor identity.Actor, f Filter) ([]Request, int, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	f.Offset = max(f.Offset, 0)
	if err := s.deps.Door.May(actor, "sharing.request.list", operation.Target{Kind: "request", Body: actor.Body, District: actor.District}); err != nil {
		return nil, 0, err
	}
	if s.deps.Door.May(actor, "sharing.request.list_all", operation.Target{Kind: "request", District: actor.District}) != nil {
		if actor.Body == "" {
			return nil, 0, errs.New(errs.Forbidden, errs.T("请先取得单位岗位", "you hold no post at a body"))
		}
		f.Party = actor.Body
	} else if actor.Level == "county" {
		f.District = actor.District // LY-12: a county's authority sees to its own level
	}
	return listRequests(ctx, s.deps.DB.Read(), f)
}

// known refuses visitors before anything is looked up.
func known(actor identity.Actor) error {
	if actor.IsAnonymous() {
		return errs.New(errs.Unauthenticated, errs.T("请先登录", "log in first"))
	}
	return nil
}

func readTarget(actor identity.Actor, r Request) operation.Target {
	return operation.Target{Kind: "request", ID: r.ID, Name: r.ResourceName, Body: r.Consumer, District: r.District, Resource: r.Resource, Case: r.Number,
		Attrs: map[string]any{"party": actor.Body != "" && (actor.Body == r.Consumer || actor.Body == r.Provider)}}
}

// Request gives a request by number to somebody who may see it.
func (s *Service) Request(ctx context.Context, actor identity.Actor, number string) (Request, error) {
	if err := known(actor); err != nil {
		return Request{}, err
	}
	r, err := getRequest(ctx, s.deps.DB.Read(), number)
	if err != nil {
		return r, err
	}
	return r, s.deps.Door.May(actor, "sharing.request.read", readTarget(actor, r))
}

// File is all there is on a request.
type File struct {
	Request   Request
	Case      casework.File        // zero where access was had at once
	Agreement *agreement.Agreement // nil while there is none
	Grant     *gateway.Grant       // nil while there is none
	Resource  *catalog.Resource    // nil once withdrawn from the catalog
	// Task is what the actor can decide now, nil when nothing.
	Task *casework.Task
}

// File gives a request with its case, agreement and grant.
func (s *Service) File(ctx context.Context, actor identity.Actor, number string) (File, error) {
	r, err := s.Request(ctx, actor, number)
	if err != nil {
		return File{}, err
	}
	f := File{Request: r}
	q := s.deps.DB.Read()
	if r.CaseID != "" {
		if f.Case, err = s.deps.Cases.File(ctx, actor, r.CaseID); err != nil {
			return f, err
		}
		f.Task = s.deps.Cases.Decidable(actor, f.Case.Case, f.Case.Tasks)
		a, err := s.deps.Agreement.Current(ctx, q, r.CaseID)
		switch {
		case err == nil:
			f.Agreement = &a
		case !errs.Is(err, errs.NotFound):
			return f, err
		}
	}
	if r.GrantID != "" {
		g, err := s.deps.Gateway.Grant(ctx, q, r.GrantID)
		if err != nil {
			return f, err
		}
		f.Grant = &g
	}
	res, err := s.deps.Catalog.Published(ctx, r.Resource)
	switch {
	case err == nil:
		f.Resource = res
	case !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Gone):
		return f, err
	}
	return f, nil
}

// OpenTask gives the task of a request that the actor may decide now;
// errs.Forbidden when there is none for this actor.
func (s *Service) OpenTask(ctx context.Context, actor identity.Actor, number string) (casework.Task, error) {
	f, err := s.File(ctx, actor, number)
	if err != nil {
		return casework.Task{}, err
	}
	if f.Task == nil {
		for _, t := range f.Case.Tasks {
			if t.State == "open" && t.Kind != casework.Mend {
				return casework.Task{}, s.deps.Cases.May(actor, f.Case.Case, t)
			}
		}
		return casework.Task{}, errs.New(errs.Conflict, errs.T("该申请没有待办事项", "nothing is to be decided on this request"))
	}
	return *f.Task, nil
}

// Outlook tells, before anything is asked, how the use of a resource is obtained
// in this city: for forms and resource pages.
type Outlook struct {
	Sharing   string // of the resource
	Kind      string // Immediate, Application, Conditional; "" for withheld
	Refusal   error  // set for withheld: the refusal with its article
	Days      profile.Value[int]
	Agreement profile.Value[bool]
	Steps     []profile.Step
	Exception profile.Value[string] // of bulk export: V "by_exception" or "allowed"
	FreeQuery profile.Value[string]
	Fields    profile.Value[[]string]
	MaxDays   profile.Value[int]
	Negotiate bool // the city knows negotiation (FS-26)
}

// Outlook gives the way of a resource for a mode.
func (s *Service) Outlook(r *catalog.Resource, mode string) Outlook {
	now := s.deps.Now()
	p := s.deps.Profile
	o := Outlook{Sharing: string(r.Sharing), Exception: profile.BulkExport.At(p, now), FreeQuery: profile.FreeQuery.At(p, now), Fields: profile.RequestFields.At(p, now),
		MaxDays: profile.GrantMaxDays.At(p, now), Negotiate: len(profile.WithheldEscalation.At(p, now).V) > 0}
	if r.Sharing == catalog.Withheld {
		o.Refusal = withheld(p, now, r.Name)
		return o
	}
	o.Kind = wayOf(p, now, r.Sharing, Form{Mode: mode}).kind
	proc := procedureOf(p, now, o.Kind, o.Kind)
	switch o.Kind {
	case Conditional:
		o.Days, o.Agreement, o.Steps = profile.ConditionalDays.At(p, now), profile.AgreementRequired.At(p, now), proc.Steps
	case Application:
		o.Days, o.Steps = profile.UnconditionalDays.At(p, now), proc.Steps
	}
	return o
}

// Grants lists grants that the actor may see: of the own body on either side, or
// all of them for the authority, the operator and the auditor. f.Either is
// narrowed accordingly.
func (s *Service) Grants(ctx context.Context, actor identity.Actor, f gateway.Filter) ([]gateway.Grant, error) {
	f, err := s.seenBy(actor, f)
	if err != nil {
		return nil, err
	}
	return s.deps.Gateway.Grants(ctx, s.deps.DB.Read(), f)
}

// CountGrants says how many grants Grants would list without a page's bounds.
func (s *Service) CountGrants(ctx context.Context, actor identity.Actor, f gateway.Filter) (int, error) {
	f, err := s.seenBy(actor, f)
	if err != nil {
		return 0, err
	}
	return s.deps.Gateway.CountGrants(ctx, s.deps.DB.Read(), f)
}

// seenBy narrows a filter to the grants that an actor may see.
func (s *Service) seenBy(actor identity.Actor, f gateway.Filter) (gateway.Filter, error) {
	if err := s.deps.Door.May(actor, "sharing.grant.list", operation.Target{Kind: "grant", Body: actor.Body, District: actor.District}); err != nil {
		return f, err
	}
	if s.deps.Door.May(actor, "sharing.grant.list_all", operation.Target{Kind: "grant", District: actor.District}) != nil {
		if actor.Body == "" {
			return f, errs.New(errs.Forbidden, errs.T("请先取得单位岗位", "you hold no post at a body"))
		}
		f.Either = actor.Body
	}
	return f, nil
}

// GrantFile is a grant with what the actor may do with it.
type GrantFile struct {
	Grant                           gateway.Grant
	Request                         Request // by which it came about; zero for grants made otherwise
	MayRevoke, MayRelease, MayRenew bool
}

// Grant gives a grant to its two sides, the authority, the operator and the auditor.
func (s *Service) Grant(ctx context.Context, actor identity.Actor, id string) (GrantFile, error) {
	if err := known(actor); err != nil {
		return GrantFile{}, err
	}
	g, err := s.deps.Gateway.Grant(ctx, s.deps.DB.Read(), id)
	if err != nil {
		return GrantFile{}, err
	}
	t := s.grantTarget(ctx, g, g.Client)
	t.Attrs = map[string]any{"party": actor.Body != "" && (actor.Body == g.Client || actor.Body == g.Provider)}
	f := GrantFile{Grant: g}
	if err := s.deps.Door.May(actor, "sharing.grant.read", t); err != nil {
		return f, err
	}
	if f.Request, err = requestOfGrant(ctx, s.deps.DB.Read(), id); err != nil && !errs.Is(err, errs.NotFound) {
		return f, err
	}
	if g.State(s.deps.Now()) != gateway.Revoked {
		f.MayRevoke = s.deps.Door.May(actor, "sharing.grant.revoke", s.grantTarget(ctx, g, g.Provider)) == nil
		f.MayRelease = s.deps.Door.May(actor, "sharing.grant.release", s.grantTarget(ctx, g, g.Client)) == nil
		f.MayRenew = !g.Expires.IsZero() && s.deps.Door.May(actor, "sharing.grant.renew", s.grantTarget(ctx, g, g.Client)) == nil
	}
	return f, nil
}

// Cases gives the case service, for pages that show cases.
func (s *Service) Cases() *casework.Service { return s.deps.Cases }

// Profile gives the city's rules.
func (s *Service) Profile() *profile.Profile { return s.deps.Profile }

// Now is the service's clock.
func (s *Service) Now() time.Time { return s.deps.Now() }
