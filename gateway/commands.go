package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// CreateGrantTx puts a grant in force once tx commits: here at the commit, on
// other nodes within a second. It runs inside the transaction of the decision
// (FZM-17: approval grants access at once).
func (s *Service) CreateGrantTx(ctx context.Context, tx *db.Tx, spec GrantSpec) (Grant, error) {
	src, err := s.deps.Resolve(ctx, tx, spec.Resource)
	if err != nil {
		return Grant{}, err
	}
	now := s.deps.Now().UTC().Truncate(time.Millisecond)
	spec, err = check(spec, src, s.deps.Rules(), now)
	if err != nil {
		return Grant{}, err
	}
	spec.Resource = src.Code
	if spec.Starts.IsZero() {
		spec.Starts = now
	}
	g := &Grant{ID: db.NewID(), GrantSpec: spec, ResourceName: src.Name,
		Provider: src.Provider, ProviderName: src.ProviderName, Created: now}
	// A grant that cannot be compiled must not be made.
	if _, err := s.compile(g, src); err != nil {
		return Grant{}, err
	}
	if err := s.putTx(ctx, tx, g); err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// RevokeTx ends a grant for good, with a reason, once tx commits: requests are
// refused and streams under way are cut, here at the commit, on other nodes
// within a second. by is the name of who revokes.
func (s *Service) RevokeTx(ctx context.Context, tx *db.Tx, id, by, reason string) (Grant, error) {
	g, err := getGrant(ctx, tx, id)
	if err != nil {
		return Grant{}, err
	}
	if strings.TrimSpace(reason) == "" {
		return Grant{}, errs.New(errs.Invalid, errs.T("收回授权须说明理由", "a revocation gives its reason")).In("reason")
	}
	if !g.RevokedAt.IsZero() {
		return Grant{}, errs.New(errs.Conflict, errs.T("该授权已被收回", "the grant has been revoked already")).In("grant")
	}
	g.RevokedAt = s.deps.Now().UTC().Truncate(time.Millisecond)
	g.RevokedBy, g.Reason = by, reason
	if err := s.putTx(ctx, tx, g); err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// RenewTx moves a grant's end to until (after now and after the old end) on the
// decision of a case. A revoked grant is not renewed: it is applied for anew.
func (s *Service) RenewTx(ctx context.Context, tx *db.Tx, id string, until time.Time, caseNo, approver string) (Grant, error) {
	g, err := getGrant(ctx, tx, id)
	if err != nil {
		return Grant{}, err
	}
	now := s.deps.Now().UTC().Truncate(time.Millisecond)
	switch {
	case !g.RevokedAt.IsZero():
		return Grant{}, errs.New(errs.Conflict, errs.T("已收回的授权不能续期，须重新申请", "a revoked grant cannot be renewed; apply anew")).In("grant")
	case g.Expires.IsZero():
		return Grant{}, errs.New(errs.Conflict, errs.T("该授权没有截止日期，无须续期", "the grant has no end and needs no renewal")).In("grant")
	case !until.After(now) || !until.After(g.Expires):
		return Grant{}, errs.New(errs.Invalid, errs.T("新的截止时间应晚于现在和原截止时间", "the new end lies after now and after the old one")).In("until").By("FS-29")
	case strings.TrimSpace(approver) == "":
		return Grant{}, errs.New(errs.Invalid, errs.T("须写明批准人员", "name who approved")).In("approver").By("FZM-29")
	}
	// The same rules as for a new grant: the resource may have been withheld since.
	src, err := s.deps.Resolve(ctx, tx, g.Resource)
	if err != nil {
		return Grant{}, err
	}
	g.Renewals = append(slices.Clip(g.Renewals), Renewal{At: now, From: g.Expires, To: until.UTC(), CaseNo: caseNo, Approver: approver})
	g.Expires = until.UTC().Truncate(time.Millisecond)
	if g.GrantSpec, err = check(g.GrantSpec, src, s.deps.Rules(), now); err != nil {
		return Grant{}, err
	}
	if err := s.putTx(ctx, tx, g); err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// putTx stores a changed grant and lets memory learn of it at commit.
func (s *Service) putTx(ctx context.Context, tx *db.Tx, g *Grant) error {
	seq, err := putGrant(ctx, tx, g)
	if err != nil {
		return db.Classify(err)
	}
	kept := *g
	tx.AfterCommit(func() { s.install(context.WithoutCancel(ctx), &kept, seq) })
	return nil
}

// Grant gives one grant, NotFound when there is none.
func (s *Service) Grant(ctx context.Context, q db.Querier, id string) (Grant, error) {
	g, err := getGrant(ctx, q, id)
	if err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// Grants lists grants, newest first; page on with Filter.After = the last id.
func (s *Service) Grants(ctx context.Context, q db.Querier, f Filter) ([]Grant, error) {
	now := s.deps.Now()
	list, err := listGrants(ctx, q, f, db.Ms(now))
	if err != nil {
		return nil, err
	}
	out := make([]Grant, 0, len(list))
	for _, g := range list {
		out = append(out, *g)
	}
	return out, nil
}

// CountGrants says how many grants a filter leaves, whatever page it names.
func (s *Service) CountGrants(ctx context.Context, q db.Querier, f Filter) (int, error) {
	return countGrants(ctx, q, f, db.Ms(s.deps.Now()))
}
