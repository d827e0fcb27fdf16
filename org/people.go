package org

import (
	"context"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// NewPerson is what CreatePerson needs.
type NewPerson struct {
	Person
	Posts []identity.Post // proposed at the home body, each to be confirmed (FS-40)
}

// CreatedPerson is a person at the one moment when the one-time secret can be seen.
type CreatedPerson struct {
	Person
	InitialSecret string
}

// CreatePerson makes an official with an account and proposes posts; the secret
// must be changed at first log-in, and no post is held before a security
// administrator confirms it.
func (s *Service) CreatePerson(ctx context.Context, actor identity.Actor, in NewPerson) (CreatedPerson, error) {
	out := CreatedPerson{Person: in.Person}
	b, err := s.Body(ctx, in.Body)
	if in.Body != "" && err != nil {
		return out, errs.New(errs.Invalid, errs.T("所选单位不存在", "There is no such body")).In("body").Because(err)
	}
	target := operation.Target{Kind: "person", Name: in.Name, Body: b.ID, District: b.District}
	err = s.door.Do(ctx, actor, "org.person.create", target, func(ctx context.Context, tx *db.Tx) error {
		out, err = s.createPersonTx(ctx, tx, actor, b, in)
		if err != nil {
			return err
		}
		operation.Retarget(ctx, func(t *operation.Target) { t.ID, t.Name = out.ID, out.Name })
		operation.Note(ctx, "posts_proposed", len(in.Posts))
		return nil
	})
	return out, err
}

func (s *Service) createPersonTx(ctx context.Context, tx *db.Tx, actor identity.Actor, b Body, in NewPerson) (CreatedPerson, error) {
	p := in.Person
	if err := checkPerson(&p); err != nil {
		return CreatedPerson{}, err
	}
	if b.State != Active {
		return CreatedPerson{}, errs.New(errs.Invalid, errs.T("所选单位已撤销", "The body has been closed")).In("body")
	}
	plain, secret := identity.NewInitialSecret()
	account, err := s.identity.CreateAccountTx(ctx, tx, identity.NewAccount{Login: p.Login, Name: p.Name, Kind: identity.Official, Secret: secret, By: actor.ID})
	if err != nil {
		return CreatedPerson{}, err
	}
	p.ID, p.Login, p.BodyName, p.District, p.State, p.CreatedAt, p.CreatedBy = account.ID, account.Login, b.Name, b.District, Active, s.now(), actor.ID
	if err := insertPerson(ctx, tx, p); err != nil {
		return CreatedPerson{}, err
	}
	for _, post := range in.Posts {
		h, err := s.proposeTx(ctx, tx, actor, Proposal{Body: b.ID, Post: post, Person: p.ID}, b)
		if err != nil {
			return CreatedPerson{}, err
		}
		p.Holdings = append(p.Holdings, h)
	}
	return CreatedPerson{Person: p, InitialSecret: plain}, nil
}

// ChangePerson changes a person's facts: name, home body, title, number, contact.
// Posts held at the old body stay until they are handed over.
func (s *Service) ChangePerson(ctx context.Context, actor identity.Actor, p Person) error {
	old, err := s.personWithPosts(ctx, p.ID)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "org.person.change", s.personTarget(old), func(ctx context.Context, tx *db.Tx) error {
		if err := checkPerson(&p); err != nil {
			return err
		}
		b, err := bodyBy(ctx, tx, "id", p.Body)
		if err != nil || b.State != Active {
			return errs.New(errs.Invalid, errs.T("所选单位不存在或已撤销", "There is no such body, or it has been closed")).In("body")
		}
		p.State, p.Login = old.State, old.Login
		if err := updatePerson(ctx, tx, p); err != nil {
			return err
		}
		return s.identity.RenameTx(ctx, tx, p.ID, p.Name)
	})
}

func (s *Service) personWithPosts(ctx context.Context, id string) (Person, error) {
	p, err := personByID(ctx, s.db.Read(), id)
	if err != nil {
		return p, err
	}
	p.Holdings, err = selectHoldings(ctx, s.db.Read(), `h.person = $1 AND h.state IN ('held','proposed')`, id)
	return p, err
}

// SetPersonState disables or enables an account; disabling ends its sessions at
// once. Accounts of the three administrators are stopped on the server only.
func (s *Service) SetPersonState(ctx context.Context, actor identity.Actor, id, state string) error {
	p, err := s.personWithPosts(ctx, id)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "identity.account.state", s.personTarget(p), func(ctx context.Context, tx *db.Tx) error {
		if err := s.identity.SetStateTx(ctx, tx, id, state); err != nil {
			return err
		}
		operation.Note(ctx, "state", state)
		p.State = state
		return updatePerson(ctx, tx, p)
	})
}

// ResetSecret gives a person a new one-time secret, shown once, and ends the
// sessions. Not for the three administrators: who resets their secret could take
// their part (FS-40).
func (s *Service) ResetSecret(ctx context.Context, actor identity.Actor, id string) (plain string, err error) {
	p, err := s.personWithPosts(ctx, id)
	if err != nil {
		return "", err
	}
	plain, secret := identity.NewInitialSecret()
	err = s.door.Do(ctx, actor, "identity.account.reset", s.personTarget(p), func(ctx context.Context, tx *db.Tx) error {
		if err := s.identity.UnlockTx(ctx, tx, id); err != nil {
			return err
		}
		if _, err := s.identity.SetSecretTx(ctx, tx, id, secret, ""); err != nil {
			return err
		}
		return s.alarm(ctx, tx, Alarm{Kind: AccountReset, Person: id, By: actor})
	})
	if err != nil {
		return "", err
	}
	return plain, nil
}

// Unlock lets a locked account try to log in again.
func (s *Service) Unlock(ctx context.Context, actor identity.Actor, id string) error {
	p, err := s.personWithPosts(ctx, id)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "identity.account.unlock", s.personTarget(p), func(ctx context.Context, tx *db.Tx) error {
		return s.identity.UnlockTx(ctx, tx, id)
	})
}
