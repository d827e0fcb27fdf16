package org

import (
	"context"
	"slices"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

// FirstAdmin is one of the three administrators of a new platform.
type FirstAdmin struct {
	Post  identity.Post
	Login string
	Name  string
}

// Founded is what Found made: the two bodies of the city's profile and the three
// administrators with their one-time secrets, seen only here.
type Founded struct {
	Authority, Operator Body
	Admins              []CreatedPerson
}

// Found sets up a store without accounts from the server's command line: the
// authority and the operator that the city's profile names, and one system
// administrator, security administrator and auditor, three different people
// (FS-40). errs.Conflict when there are accounts already.
func (s *Service) Found(ctx context.Context, admins []FirstAdmin) (Founded, error) {
	var out Founded
	empty, err := s.identity.Empty(ctx)
	if err != nil {
		return out, err
	}
	if !empty {
		return out, errs.New(errs.Conflict, errs.T("本平台已有账号；请由系统管理员登记人员，忘记口令的管理员用 gongshu admin reset", "This platform has accounts; the system administrator registers people, and an administrator who forgot the password uses gongshu admin reset"))
	}
	var posts []identity.Post
	for _, a := range admins {
		if !a.Post.Admin() || slices.Contains(posts, a.Post) {
			return out, errs.New(errs.Invalid, errs.T("初始账号须为系统管理员、安全管理员、审计管理员各一名", "The first accounts are one system administrator, one security administrator and one auditor")).By("FS-40")
		}
		posts = append(posts, a.Post)
	}
	if len(posts) != len(identity.AdminPosts()) {
		return out, errs.New(errs.Invalid, errs.T("初始账号须为系统管理员、安全管理员、审计管理员各一名", "The first accounts are one system administrator, one security administrator and one auditor")).By("FS-40")
	}
	name := profile.AuthorityFull.Of(s.profile).V
	if name.ZH == "" {
		name = profile.Authority.Of(s.profile).V
	}
	division := profile.Division.Of(s.profile).V
	actor := identity.System("setup")
	target := operation.Target{Kind: "platform", Name: profile.CityName.Of(s.profile).V.ZH, District: division, Attrs: map[string]any{"empty": empty}}
	err = s.door.Do(ctx, actor, "org.setup", target, func(ctx context.Context, tx *db.Tx) error {
		now := s.now()
		out.Authority = Body{ID: db.NewID(), Name: name.ZH, Short: profile.Authority.Of(s.profile).V.ZH, Kind: "organ", Role: Authority, Level: City,
			District: division, State: Active, CreatedAt: now, CreatedBy: actor.ID}
		if err := insertBody(ctx, tx, out.Authority); err != nil {
			return err
		}
		out.Operator = Body{ID: db.NewID(), Name: profile.Operator.Of(s.profile).V.ZH, Kind: "institution", Role: Operator, Level: City,
			District: division, Parent: out.Authority.ID, State: Active, CreatedAt: now, CreatedBy: actor.ID}
		if err := insertBody(ctx, tx, out.Operator); err != nil {
			return err
		}
		for _, a := range admins {
			home := out.Operator
			if a.Post != identity.SystemAdmin {
				home = out.Authority
			}
			plain, secret := identity.NewInitialSecret()
			account, err := s.identity.CreateAccountTx(ctx, tx, identity.NewAccount{Login: a.Login, Name: a.Name, Kind: identity.Official, Secret: secret, By: actor.ID})
			if err != nil {
				return err
			}
			p := Person{ID: account.ID, Login: account.Login, Name: account.Name, Body: home.ID, BodyName: home.Name, District: division,
				Title: a.Post.Text().ZH, State: Active, CreatedAt: now, CreatedBy: actor.ID}
			if err := insertPerson(ctx, tx, p); err != nil {
				return err
			}
			h := Holding{ID: db.NewID(), Body: home.ID, BodyName: home.Name, District: division, Post: a.Post, Person: p.ID, PersonName: p.Name, State: Held,
				Since: now, ProposedBy: actor.ID, ProposedAt: now, DecidedBy: actor.ID, DecidedAt: now}
			if err := insertHolding(ctx, tx, h); err != nil {
				return err
			}
			p.Holdings = []Holding{h}
			out.Admins = append(out.Admins, CreatedPerson{Person: p, InitialSecret: plain})
		}
		operation.Note(ctx, "admins", len(out.Admins))
		return nil
	})
	return out, err
}

// ResetAdmin gives any official a new one-time secret from the server's command
// line, where the three administrators cannot do it for each other (FS-40). by
// names who stood at the server. It enables a disabled account and takes a lost
// second factor away.
func (s *Service) ResetAdmin(ctx context.Context, login, by string) (p Person, plain string, err error) {
	account, err := s.identity.AccountByLogin(ctx, login)
	if err != nil {
		return p, "", err
	}
	if p, err = s.personWithPosts(ctx, account.ID); err != nil {
		return p, "", err
	}
	plain, secret := identity.NewInitialSecret()
	err = s.door.Do(ctx, identity.System("server"), "org.admin.reset", s.personTarget(p), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "by", by)
		if err := s.identity.SetStateTx(ctx, tx, p.ID, identity.Active); err != nil {
			return err
		}
		if err := s.identity.UnlockTx(ctx, tx, p.ID); err != nil {
			return err
		}
		p.State = Active
		if err := updatePerson(ctx, tx, p); err != nil {
			return err
		}
		if _, err := s.identity.DropFactorTx(ctx, tx, p.ID); err != nil {
			return err
		}
		if _, err := s.identity.SetSecretTx(ctx, tx, p.ID, secret, ""); err != nil {
			return err
		}
		return s.alarm(ctx, tx, Alarm{Kind: AccountReset, Person: p.ID, By: identity.System("server")})
	})
	return p, plain, err
}
