package org

import (
	"context"
	"slices"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// LogInForm is what a person sends to log in.
type LogInForm struct {
	Login, Secret string
	Addr          string // caller's address, without port
	Agent         string // User-Agent
	Lang          string
}

// LogIn opens a session and returns its token for the cookie. Failures under a
// known login are audited; those under unknown ones, and those refused by the
// back-off, are counted only. Errors are those of identity.Service.Verify.
func (s *Service) LogIn(ctx context.Context, in LogInForm) (token string, actor identity.Actor, err error) {
	account, verdict := s.identity.Verify(ctx, in.Login, in.Secret, in.Addr)
	if account.ID == "" || errs.Is(verdict, errs.TooMany) {
		s.door.CountVisitor("identity.own.log_in")
		return "", identity.Actor{}, verdict
	}
	actor, err = s.actorOf(ctx, account, identity.Session{Addr: in.Addr}, in.Lang)
	if err != nil {
		return "", identity.Actor{}, err
	}
	factor := identity.FactorNone
	if verdict == nil {
		if factor, err = s.factorState(ctx, actor); err != nil {
			return "", identity.Actor{}, err
		}
	}
	must := actor.MustChange
	actor.MustChange = false // logging in is what leads to the change
	target := operation.Target{Kind: "account", ID: account.ID, Name: account.Login, Body: actor.Body, District: actor.District}
	if account.Kind == identity.Public {
		target.Name = ""
	}
	err = s.door.Do(ctx, actor, "identity.own.log_in", target, func(ctx context.Context, tx *db.Tx) error {
		if verdict != nil {
			return verdict
		}
		holding := ""
		if len(actor.Held) > 0 {
			i := slices.IndexFunc(actor.Held, func(h identity.Holding) bool { return h.Post == actor.Post && h.Body == actor.Body })
			holding = actor.Held[max(i, 0)].ID
		}
		var session identity.Session
		token, session, err = s.identity.StartSessionTx(ctx, tx, account.ID, holding, factor, in.Addr, in.Agent)
		actor.SessionID = session.ID
		operation.Note(ctx, "session", session.ID)
		return err
	})
	if err != nil {
		return "", identity.Actor{}, err
	}
	actor.MustChange, actor.MustProve, actor.MustEnrol = must, factor == identity.FactorWanted, factor == identity.FactorMissing
	return token, actor, nil
}

// Session resumes the actor behind a cookie's token. errs.Unauthenticated says
// why there is none (idle, longest time, ended, disabled).
func (s *Service) Session(ctx context.Context, token, addr, lang string) (identity.Actor, error) {
	session, account, err := s.identity.Resume(ctx, token)
	if err != nil {
		return identity.Actor{}, err
	}
	session.Addr = addr
	return s.actorOf(ctx, account, session, lang)
}

// actorOf composes the actor of an account: the posts it holds today, and the one
// it acts under.
func (s *Service) actorOf(ctx context.Context, account identity.Account, session identity.Session, lang string) (identity.Actor, error) {
	a := identity.Actor{Kind: identity.Person, ID: account.ID, Name: account.Name, Login: account.Login, SessionID: session.ID,
		Addr: session.Addr, Lang: lang, MustChange: account.MustChange,
		MustProve: session.Factor == identity.FactorWanted, MustEnrol: session.Factor == identity.FactorMissing}
	if account.Kind == identity.Public {
		a.Post, a.Posts = identity.Member, []identity.Post{identity.Member}
	}
	holdings, err := selectHoldings(ctx, s.db.Read(), `h.person = $1 AND h.state = 'held' AND h.since <= $2 AND b.state = 'active'`, account.ID, db.Ms(s.now()))
	if err != nil {
		return a, err
	}
	order := identity.AllPosts()
	slices.SortStableFunc(holdings, func(x, y Holding) int { return slices.Index(order, x.Post) - slices.Index(order, y.Post) })
	acting := -1
	for i, h := range holdings {
		a.Held = append(a.Held, identity.Holding{ID: h.ID, Post: h.Post, Body: h.Body, BodyName: h.BodyName})
		if h.ID == session.Holding {
			acting = i
		}
	}
	body := ""
	if len(holdings) > 0 {
		acting = max(acting, 0)
		a.Post, body = holdings[acting].Post, holdings[acting].Body
		for _, h := range holdings {
			if h.Body == body {
				a.Posts = append(a.Posts, h.Post)
			}
		}
	} else if p, err := personByID(ctx, s.db.Read(), account.ID); err == nil {
		body = p.Body
	} else if !errs.Is(err, errs.NotFound) {
		return a, err
	}
	if body != "" {
		b, err := s.Body(ctx, body)
		if err != nil {
			return a, err
		}
		a.Body, a.BodyName, a.District, a.Level = b.ID, b.Name, b.District, b.Level
	}
	return a, nil
}

func ownAccount(a identity.Actor) operation.Target {
	return operation.Target{Kind: "account", ID: a.ID, Body: a.Body, District: a.District}
}

// LogOut ends the actor's own session.
func (s *Service) LogOut(ctx context.Context, actor identity.Actor) error {
	return s.EndSession(ctx, actor, actor.SessionID)
}

// EndSession ends one of the actor's own sessions.
func (s *Service) EndSession(ctx context.Context, actor identity.Actor, session string) error {
	return s.door.Do(ctx, actor, "identity.own.session_end", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		why := "ended"
		if session == actor.SessionID {
			why = "logout"
		}
		operation.Note(ctx, "session", session)
		return s.identity.EndSessionTx(ctx, tx, actor.ID, session, why)
	})
}

// EndOtherSessions ends every session of the actor but the present one and returns how many.
func (s *Service) EndOtherSessions(ctx context.Context, actor identity.Actor) (n int64, err error) {
	err = s.door.Do(ctx, actor, "identity.own.session_end", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		n, err = s.identity.EndSessionsTx(ctx, tx, actor.ID, actor.SessionID, "ended")
		operation.Note(ctx, "sessions", n)
		return err
	})
	return n, err
}

// Sessions returns the actor's own live sessions.
func (s *Service) Sessions(ctx context.Context, actor identity.Actor) ([]identity.Session, error) {
	if actor.Kind != identity.Person {
		return nil, errs.New(errs.Unauthenticated, errs.T("请先登录", "Log in first"))
	}
	return s.identity.Sessions(ctx, actor.ID)
}

// ActAs sets the holding under which the session acts from now on; it must be one
// of the actor's own.
func (s *Service) ActAs(ctx context.Context, actor identity.Actor, holding string) error {
	return s.door.Do(ctx, actor, "identity.own.post", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		i := slices.IndexFunc(actor.Held, func(h identity.Holding) bool { return h.ID == holding })
		if i < 0 {
			return errs.New(errs.NotFound, errs.T("您不任该岗位", "You do not hold that post"))
		}
		operation.Note(ctx, "post", string(actor.Held[i].Post))
		return s.identity.ActAsTx(ctx, tx, actor.SessionID, holding)
	})
}

// ChangeSecret replaces the actor's own secret after comparing the present one.
// Other sessions end; the present one goes on under the new token, which the
// caller puts into the cookie. errs.Invalid names every rule the new one breaks.
func (s *Service) ChangeSecret(ctx context.Context, actor identity.Actor, old, fresh string) (token string, err error) {
	account, err := s.identity.CheckOwnSecret(ctx, actor.ID, old, actor.Addr)
	if err != nil {
		return "", err
	}
	post := actor.Post
	for _, h := range actor.Held {
		if h.Post.Admin() {
			post = h.Post
		}
	}
	secret, err := s.identity.PrepareSecret(ctx, account.Login, account.Name, fresh, post)
	if err != nil {
		return "", err
	}
	if err := s.identity.CheckHistory(ctx, account, fresh); err != nil {
		return "", err
	}
	err = s.door.Do(ctx, actor, "identity.own.password", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		token, err = s.identity.SetSecretTx(ctx, tx, actor.ID, secret, actor.SessionID)
		return err
	})
	return token, err
}

// Account returns the actor's own account.
func (s *Service) Account(ctx context.Context, actor identity.Actor) (identity.Account, error) {
	if actor.Kind != identity.Person {
		return identity.Account{}, errs.New(errs.Unauthenticated, errs.T("请先登录", "Log in first"))
	}
	return s.identity.Account(ctx, actor.ID)
}
