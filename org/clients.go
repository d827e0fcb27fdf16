package org

import (
	"context"
	"net/netip"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// NewClient is what CreateClient needs.
type NewClient struct {
	Name, System string
	Body         string
	Signed       bool
	Addresses    []netip.Prefix
}

func clientTarget(c identity.APIClient) operation.Target {
	return operation.Target{Kind: "client", ID: c.ID, Name: c.Name, Body: c.Body, District: c.District}
}

// CreateClient registers a business system of a body as an API client, without keys.
func (s *Service) CreateClient(ctx context.Context, actor identity.Actor, in NewClient) (identity.APIClient, error) {
	var c identity.APIClient
	b, err := s.Body(ctx, in.Body)
	if err != nil {
		return c, errs.New(errs.Invalid, errs.T("请选择所属单位", "Choose the body")).In("body").Because(err)
	}
	target := operation.Target{Kind: "client", Name: in.Name, Body: b.ID, District: b.District}
	err = s.door.Do(ctx, actor, "identity.client.create", target, func(ctx context.Context, tx *db.Tx) error {
		if b.State != Active {
			return errs.New(errs.Invalid, errs.T("所属单位已撤销", "The body has been closed")).In("body")
		}
		c, err = s.identity.CreateClientTx(ctx, tx, identity.NewClient{Name: tidy(in.Name), System: tidy(in.System), Body: b.ID, BodyName: b.Name,
			District: b.District, Level: b.Level, Signed: in.Signed, Addresses: in.Addresses, By: actor.ID})
		operation.Retarget(ctx, func(t *operation.Target) { t.ID = c.ID })
		return err
	})
	return c, err
}

// ChangeClient changes name, system, state, signatures or address list; nil fields stay.
func (s *Service) ChangeClient(ctx context.Context, actor identity.Actor, id string, change identity.ClientChange) error {
	c, err := s.identity.Client(ctx, id)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "identity.client.change", clientTarget(c), func(ctx context.Context, tx *db.Tx) error {
		if change.State != nil {
			operation.Note(ctx, "state", *change.State)
		}
		if change.Signed != nil {
			operation.Note(ctx, "signed", *change.Signed)
		}
		if change.Addresses != nil {
			operation.Note(ctx, "addresses", len(*change.Addresses))
		}
		return s.identity.UpdateClientTx(ctx, tx, id, change)
	})
}

// IssueKey makes a key, which the result shows for the only time.
func (s *Service) IssueKey(ctx context.Context, actor identity.Actor, client string, expires time.Time) (identity.IssuedKey, error) {
	var k identity.IssuedKey
	c, err := s.identity.Client(ctx, client)
	if err != nil {
		return k, err
	}
	err = s.door.Do(ctx, actor, "identity.client.key_issue", clientTarget(c), func(ctx context.Context, tx *db.Tx) error {
		if k, err = s.identity.IssueKeyTx(ctx, tx, client, actor.ID, expires); err != nil {
			return err
		}
		operation.Note(ctx, "key", k.ID)
		return s.alarm(ctx, tx, Alarm{Kind: KeyIssued, Client: c, Key: k.ID, By: actor})
	})
	return k, err
}

// RevokeKey ends a key at once here, within a second on other nodes.
func (s *Service) RevokeKey(ctx context.Context, actor identity.Actor, client, key string) error {
	c, err := s.identity.Client(ctx, client)
	if err != nil {
		return err
	}
	return s.door.Do(ctx, actor, "identity.client.key_revoke", clientTarget(c), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "key", key)
		if err := s.identity.RevokeKeyTx(ctx, tx, client, key); err != nil {
			return err
		}
		return s.alarm(ctx, tx, Alarm{Kind: KeyRevoked, Client: c, Key: key, By: actor})
	})
}

// Clients returns the clients that the actor may see: of the own body, or of all
// bodies within reach.
func (s *Service) Clients(ctx context.Context, actor identity.Actor) ([]identity.APIClient, error) {
	all, err := s.identity.Clients(ctx, "")
	if err != nil {
		return nil, err
	}
	seen := all[:0]
	for _, c := range all {
		if s.door.May(actor, "identity.client.read", clientTarget(c)) == nil {
			seen = append(seen, c)
		}
	}
	return seen, nil
}

// Client returns a client and its keys for an actor who may see it.
func (s *Service) Client(ctx context.Context, actor identity.Actor, id string) (identity.APIClient, []identity.ClientKey, error) {
	c, err := s.identity.Client(ctx, id)
	if err != nil {
		return c, nil, err
	}
	if err := s.door.May(actor, "identity.client.read", clientTarget(c)); err != nil {
		return identity.APIClient{}, nil, err
	}
	keys, err := s.identity.Keys(ctx, id)
	return c, keys, err
}
