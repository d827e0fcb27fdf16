package org

import (
	"context"
	"slices"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// factorState is what a log-in of the account begins with: its factor to be given,
// or one to be set up where a post that it holds demands it.
func (s *Service) factorState(ctx context.Context, a identity.Actor) (identity.FactorState, error) {
	if _, err := s.identity.Factor(ctx, a.ID); err == nil {
		return identity.FactorWanted, nil
	} else if !errs.Is(err, errs.NotFound) {
		return "", err
	}
	if s.FactorDemanded(a) {
		return identity.FactorMissing, nil
	}
	return identity.FactorNone, nil
}

// FactorDemanded reports whether a post that the person holds demands a second factor.
func (s *Service) FactorDemanded(a identity.Actor) bool {
	return slices.ContainsFunc(a.Held, func(h identity.Holding) bool { return slices.Contains(s.demands, h.Post) })
}

// ProveFactor takes the second step of a log-in: a code of the authenticator app or
// a recovery code. token is the session's new one, for the cookie.
// errs.Unauthenticated: the code does not fit; errs.TooMany: too many did not.
func (s *Service) ProveFactor(ctx context.Context, actor identity.Actor, code string) (token string, err error) {
	if err := s.identity.CountProof(ctx, actor.Login); err != nil {
		s.door.CountVisitor("identity.own.factor_prove")
		return "", err
	}
	err = s.door.Do(ctx, actor, "identity.own.factor_prove", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		var how string
		token, how, err = s.identity.ProveTx(ctx, tx, actor.ID, actor.SessionID, code)
		operation.Note(ctx, "factor", how)
		return err
	})
	return token, err
}

// Factor gives the actor's own second factor; errs.NotFound when none is set up.
func (s *Service) Factor(ctx context.Context, actor identity.Actor) (identity.Factor, error) {
	if actor.Kind != identity.Person {
		return identity.Factor{}, errs.New(errs.Unauthenticated, errs.T("请先登录", "Log in first"))
	}
	return s.identity.Factor(ctx, actor.ID)
}

// BeginFactor starts to set up the actor's second factor, after comparing the
// present secret: who finds a screen unattended cannot put an own app there.
func (s *Service) BeginFactor(ctx context.Context, actor identity.Actor, secret string) error {
	return s.changeFactor(ctx, actor, secret, "identity.own.factor_add", func(ctx context.Context, tx *db.Tx) error {
		return s.identity.BeginFactorTx(ctx, tx, actor.ID)
	})
}

// BegunFactor gives what the app reads of the factor that the actor is setting up.
func (s *Service) BegunFactor(ctx context.Context, actor identity.Actor, issuer string) (identity.NewFactor, error) {
	account, err := s.Account(ctx, actor)
	if err != nil {
		return identity.NewFactor{}, err
	}
	return s.identity.Begun(ctx, account, issuer)
}

// ConfirmFactor puts the factor in force with its first code and gives the recovery
// codes, for the only time.
func (s *Service) ConfirmFactor(ctx context.Context, actor identity.Actor, code string) (codes []string, err error) {
	err = s.door.Do(ctx, actor, "identity.own.factor_add", ownAccount(actor), func(ctx context.Context, tx *db.Tx) error {
		codes, err = s.identity.ConfirmFactorTx(ctx, tx, actor.ID, actor.SessionID, code)
		operation.Note(ctx, "factor", "totp")
		return err
	})
	return codes, err
}

// NewRecovery replaces the actor's recovery codes, for the only time that they are seen.
func (s *Service) NewRecovery(ctx context.Context, actor identity.Actor, secret string) (codes []string, err error) {
	err = s.changeFactor(ctx, actor, secret, "identity.own.factor_add", func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.identity.Factor(ctx, actor.ID); err != nil {
			return err
		}
		operation.Note(ctx, "factor", "recovery")
		codes, err = s.identity.NewRecoveryTx(ctx, tx, actor.ID)
		return err
	})
	return codes, err
}

// RemoveFactor takes the actor's second factor away. Where a post demands one, the
// next log-in sets up another.
func (s *Service) RemoveFactor(ctx context.Context, actor identity.Actor, secret string) error {
	return s.changeFactor(ctx, actor, secret, "identity.own.factor_remove", func(ctx context.Context, tx *db.Tx) error {
		dropped, err := s.identity.DropFactorTx(ctx, tx, actor.ID)
		if err == nil && !dropped {
			err = errs.New(errs.NotFound, errs.T("没有设置两步验证", "No second factor is set up"))
		}
		return err
	})
}

func (s *Service) changeFactor(ctx context.Context, actor identity.Actor, secret string, action operation.Action, fn func(ctx context.Context, tx *db.Tx) error) error {
	if err := s.door.May(actor, action, ownAccount(actor)); err != nil {
		return err
	}
	if _, err := s.identity.CheckOwnSecret(ctx, actor.ID, secret, actor.Addr); err != nil {
		return err
	}
	return s.door.Do(ctx, actor, action, ownAccount(actor), fn)
}

// ResetFactor takes another person's second factor away, for one who lost it, and
// ends the person's sessions. The secret stays, so that nobody takes another's part
// by it (FS-40).
func (s *Service) ResetFactor(ctx context.Context, actor identity.Actor, id string) error {
	p, err := s.personWithPosts(ctx, id)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "identity.account.factor_reset", s.personTarget(p), func(ctx context.Context, tx *db.Tx) error {
		dropped, err := s.identity.DropFactorTx(ctx, tx, id)
		if err != nil {
			return err
		}
		if !dropped {
			return errs.New(errs.NotFound, errs.T("此人没有设置两步验证", "This person has set up no second factor"))
		}
		if _, err = s.identity.EndSessionsTx(ctx, tx, id, "", "factor"); err != nil {
			return err
		}
		return s.alarm(ctx, tx, Alarm{Kind: FactorReset, Person: id, By: actor})
	})
}

// HasFactor reports whether a person has a second factor, for who may reset it.
func (s *Service) HasFactor(ctx context.Context, id string) (bool, error) {
	_, err := s.identity.Factor(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}
