package org

import (
	"context"
	"slices"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

// BodyFilter selects bodies; empty fields select all.
type BodyFilter struct {
	Text, Level, District, Kind, State, Parent string
	Role                                       Role
}

// Bodies returns the bodies that match, city before counties, authority first.
func (s *Service) Bodies(ctx context.Context, f BodyFilter) ([]Body, error) {
	return selectBodies(ctx, s.db.Read(), f)
}

// Body returns a body; errs.NotFound when there is none.
func (s *Service) Body(ctx context.Context, id string) (Body, error) {
	return bodyBy(ctx, s.db.Read(), "id", id)
}

// BodyTx is Body within a transaction.
func (s *Service) BodyTx(ctx context.Context, tx *db.Tx, id string) (Body, error) {
	return bodyBy(ctx, tx, "id", id)
}

// BodyByUSCC returns the body with a unified social credit code.
func (s *Service) BodyByUSCC(ctx context.Context, uscc string) (Body, error) {
	return bodyBy(ctx, s.db.Read(), "uscc", uscc)
}

// BodyByName returns the body with a full name.
func (s *Service) BodyByName(ctx context.Context, name string) (Body, error) {
	b, err := bodyBy(ctx, s.db.Read(), "name", name)
	if errs.Is(err, errs.NotFound) {
		return b, errs.Newf(errs.NotFound, "没有名为“%s”的单位", "There is no body named %q", name).In("body")
	}
	return b, err
}

// AuthorityFor returns the authority that decides for a division: the county's
// own where it has one (LY-12), else the city's (FZM-6); errs.NotFound when the
// platform has none yet.
func (s *Service) AuthorityFor(ctx context.Context, district string) (Body, error) {
	city := profile.Division.Of(s.profile).V
	for _, d := range []string{district, city} {
		list, err := s.Bodies(ctx, BodyFilter{Role: Authority, District: d, State: Active})
		if err != nil {
			return Body{}, err
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
	return Body{}, errs.New(errs.NotFound, errs.T("本平台尚未登记主管部门", "No authority is registered on this platform yet"))
}

// OperatorBody returns the body that runs the platform; errs.NotFound when none is registered.
func (s *Service) OperatorBody(ctx context.Context) (Body, error) {
	list, err := s.Bodies(ctx, BodyFilter{Role: Operator, State: Active})
	if err != nil {
		return Body{}, err
	}
	if len(list) == 0 {
		return Body{}, errs.New(errs.NotFound, errs.T("本平台尚未登记运行单位", "No operator is registered on this platform yet"))
	}
	return list[0], nil
}

// Spaces returns the spaces of districts and counties (FZM-11, LY-7).
func (s *Service) Spaces(ctx context.Context) ([]Space, error) {
	return selectSpaces(ctx, s.db.Read())
}

// PersonFilter selects people; empty fields select all.
type PersonFilter struct {
	Text, Body, District, State string
	Prefix                      string // start of the division code
	Post                        identity.Post
	Pending                     bool // only with posts that wait for confirmation
	Sort                        string
	Desc                        bool
	Limit, Offset               int
}

// People lists officials for an actor who may see them, with their posts; the
// list is bounded to what the actor reaches. It is a read of personal facts and
// audited. total counts all that match.
func (s *Service) People(ctx context.Context, actor identity.Actor, f PersonFilter) (people []Person, total int, err error) {
	target := operation.Target{Kind: "people", Body: f.Body, District: f.District}
	switch actor.Post {
	case identity.Steward, identity.Leader, identity.SecrecyReviewer:
		f.Body = actor.Body
	case identity.Auditor:
	default:
		switch {
		case actor.Level != City && actor.Level != Province:
			f.District = actor.District
		case f.Prefix == "" && len(actor.District) == 6:
			f.Prefix = actor.District[:4]
		}
	}
	target.Body, target.District = f.Body, f.District
	if target.District == "" && target.Body == "" {
		target.District = actor.District
	}
	if f.Body != "" {
		b, err := s.Body(ctx, f.Body)
		if err != nil {
			return nil, 0, err
		}
		target.District, target.Name = b.District, b.Name
	}
	err = s.door.Read(ctx, actor, "org.person.read", target, func(ctx context.Context) error {
		if people, total, err = selectPeople(ctx, s.db.Read(), f); err != nil {
			return err
		}
		operation.Note(ctx, "rows", len(people))
		return s.fillHoldings(ctx, people)
	})
	if err != nil {
		return nil, 0, err
	}
	return people, total, nil
}

func (s *Service) fillHoldings(ctx context.Context, people []Person) error {
	held, err := holdingsOf(ctx, s.db.Read(), people)
	if err != nil {
		return err
	}
	for i := range people {
		people[i].Holdings = held[people[i].ID]
	}
	return nil
}

// Person returns an official with every holding, ended ones included, for an
// actor who may see it; audited.
func (s *Service) Person(ctx context.Context, actor identity.Actor, id string) (Person, error) {
	p, err := personByID(ctx, s.db.Read(), id)
	if err != nil {
		return Person{}, err
	}
	err = s.door.Read(ctx, actor, "org.person.read", s.personTarget(p), func(ctx context.Context) error {
		p.Holdings, err = selectHoldings(ctx, s.db.Read(), `h.person = $1`, id)
		return err
	})
	if err != nil {
		return Person{}, err
	}
	return p, nil
}

// PersonTx returns an official's record for areas that need a name; it is no
// answer to a person's question and therefore not audited.
func (s *Service) PersonTx(ctx context.Context, q db.Querier, id string) (Person, error) {
	return personByID(ctx, q, id)
}

// PersonName returns the display name of an account, "" when there is none.
func (s *Service) PersonName(ctx context.Context, id string) string {
	if p, err := personByID(ctx, s.db.Read(), id); err == nil {
		return p.Name
	}
	return ""
}

func (s *Service) personTarget(p Person) operation.Target {
	posts := make([]string, 0, len(p.Holdings))
	for _, h := range p.Holdings {
		if h.State == Held || h.State == Proposed {
			posts = append(posts, string(h.Post))
		}
	}
	return operation.Target{Kind: "person", ID: p.ID, Name: p.Name, Body: p.Body, District: p.District, Attrs: map[string]any{"posts": posts}}
}

// Holders returns who holds a post at a body now; all posts when post is "".
func (s *Service) Holders(ctx context.Context, body string, post identity.Post) ([]Holding, error) {
	return s.HoldersTx(ctx, s.db.Read(), body, post)
}

// HoldersTx is Holders within a transaction.
func (s *Service) HoldersTx(ctx context.Context, q db.Querier, body string, post identity.Post) ([]Holding, error) {
	if post == "" {
		return selectHoldings(ctx, q, `h.body = $1 AND h.state = 'held'`, body)
	}
	return selectHoldings(ctx, q, `h.body = $1 AND h.post = $2 AND h.state = 'held'`, body, string(post))
}

// BodyHoldings returns every holding at a body, ended ones included.
func (s *Service) BodyHoldings(ctx context.Context, body string) ([]Holding, error) {
	return selectHoldings(ctx, s.db.Read(), `h.body = $1`, body)
}

// PendingHoldings returns the holdings that wait for a security administrator.
func (s *Service) PendingHoldings(ctx context.Context) ([]Holding, error) {
	return selectHoldings(ctx, s.db.Read(), `h.state = 'proposed'`)
}

// Holding returns one holding.
func (s *Service) Holding(ctx context.Context, id string) (Holding, error) {
	return holdingByID(ctx, s.db.Read(), id)
}

// Filings returns a body's filings, newest first.
func (s *Service) Filings(ctx context.Context, body string) ([]Filing, error) {
	return selectFilings(ctx, s.db.Read(), `f.body = $1`, body)
}

// FilingState is whether a body has filed what FZM-34 and LY-26 ask for.
type FilingState struct {
	Body   Body
	Latest *Filing     // nil: never filed
	Stale  []errs.Text // why the latest no longer matches the posts
}

// FilingStates tells for every active department and authority whether its filing
// stands.
func (s *Service) FilingStates(ctx context.Context) ([]FilingState, error) {
	bodies, err := s.Bodies(ctx, BodyFilter{State: Active})
	if err != nil {
		return nil, err
	}
	latest, err := selectFilings(ctx, s.db.Read(), `f.version = (SELECT MAX(version) FROM org_filing g WHERE g.body = f.body)`)
	if err != nil {
		return nil, err
	}
	holders, err := selectHoldings(ctx, s.db.Read(), `h.state = 'held' AND h.post IN ('leader','steward')`)
	if err != nil {
		return nil, err
	}
	var out []FilingState
	for _, b := range bodies {
		if b.Role == Applicant {
			continue
		}
		state := FilingState{Body: b}
		if i := slices.IndexFunc(latest, func(f Filing) bool { return f.Body == b.ID }); i >= 0 {
			state.Latest = &latest[i]
			state.Stale = staleOf(latest[i], holders)
		}
		out = append(out, state)
	}
	return out, nil
}

func staleOf(f Filing, holders []Holding) []errs.Text {
	var leaders, stewards []Holding
	for _, h := range holders {
		switch {
		case h.Body != f.Body || h.State != Held:
		case h.Post == identity.Leader:
			leaders = append(leaders, h)
		case h.Post == identity.Steward:
			stewards = append(stewards, h)
		}
	}
	return StaleReasons(f, leaders, stewards)
}

// FilingState tells whether one body's filing stands.
func (s *Service) FilingState(ctx context.Context, body string) (FilingState, error) {
	b, err := s.Body(ctx, body)
	if err != nil {
		return FilingState{}, err
	}
	filings, err := s.Filings(ctx, body)
	if err != nil {
		return FilingState{}, err
	}
	state := FilingState{Body: b}
	if len(filings) > 0 {
		holders, err := s.Holders(ctx, body, "")
		if err != nil {
			return FilingState{}, err
		}
		state.Latest, state.Stale = &filings[0], staleOf(filings[0], holders)
	}
	return state, nil
}

// PersonTarget is a person as the door sees it; pages ask May with it.
func (s *Service) PersonTarget(p Person) operation.Target { return s.personTarget(p) }

// HoldingTarget is a holding as the door sees it; pages ask May with it.
func HoldingTarget(h Holding) operation.Target { return holdingTarget(h) }

// Lock tells how many log-ins under a name failed in a row and until when it is refused.
func (s *Service) Lock(ctx context.Context, login string) (failed int, until time.Time, err error) {
	return s.identity.Lock(ctx, login)
}

// Levels are the levels of bodies that the city's rules know (FS-4).
func (s *Service) Levels() []string { return slices.Clone(profile.Levels.Of(s.profile).V) }
