package catalog

import (
	"context"
	"fmt"
	"time"

	"gongshu/casework"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// Kinds of case: a version is put in force by a case, the first one and every change of it alike.
// Taking a resource out is nobody's decision but that of who answers for it, and works at once: see
// Withdraw.
const (
	CasePublication = "catalog.publication"
	CaseChange      = "catalog.change"
)

// SubjectResource is the kind of subject of these cases; the subject is the resource's id.
const SubjectResource = "resource"

// Submit sends a draft on its way, or a returned version once more: everything must be in order. It
// opens the case whose steps the profile names (sign-off by the department's leader, secrecy review,
// review by the authority: FZM-12, FZM-31, FS-17, FS-40.2, LY-8, LY-23); its last step puts the version in
// force. Who drafted or submitted the version cannot
// decide on any of them (FS-40). Errors: errs.Invalid naming all that is
// missing, errs.Conflict when the version is past it or the rows forbid the change.
func (s *Service) Submit(ctx context.Context, a identity.Actor, addr AddressOf) (*Resource, error) {
	return s.change(ctx, a, addr, ActSubmit, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if r.State != Draft && r.State != Returned {
			return s.past(r, "送签", "sent for sign-off")
		}
		if err := s.inOrder(ctx, tx, r); err != nil {
			return err
		}
		makers, err := drafters(ctx, tx, r.ID, r.Version)
		if err != nil {
			return err
		}
		if r.State == Returned {
			if _, err := s.deps.Cases.ResubmitTx(ctx, tx, a, r.Case, makers...); err != nil {
				return err
			}
		} else if err := s.open(ctx, tx, a, r, makers); err != nil {
			return err
		}
		now, err := getVersionByID(ctx, tx, r.ID, -1)
		if err != nil {
			return err
		}
		*r = *now
		operation.Retarget(ctx, func(t *operation.Target) { t.Case = r.Case })
		return nil
	})
}

func (s *Service) open(ctx context.Context, tx *db.Tx, a identity.Actor, r *Resource, makers []string) error {
	policy := s.Policy()
	provider, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return err
	}
	authority, err := s.deps.AuthorityFor(ctx, policy.Decides(provider.District))
	if err != nil {
		return err
	}
	o := casework.Opening{Procedure: policy.Publication, SubjectKind: SubjectResource, Subject: r.ID, Resource: r.Code, District: provider.District,
		Title: fmt.Sprintf("%s：%s（第 %d 版）", provider.Name, r.Name, r.Version), Profile: policy.Profile,
		Parties: []casework.Party{
			{Relation: profile.RelProvider, Body: provider.ID, BodyName: provider.Name},
			{Relation: profile.RelAuthority, Body: authority.ID, BodyName: authority.Name},
		},
		Facts: map[string]any{"version": r.Version}, Makers: makers,
		Begun: func(ctx context.Context, tx *db.Tx, c casework.Case) error {
			r.Case, r.State = c.Number, Signing
			return s.keep(ctx, tx, a, r, "submit", c.Number)
		},
	}
	if r.Version > 1 {
		// The days of a change count from the day on which the department took it up.
		o.Procedure, o.Since = policy.Change, workday.DateOf(r.CreatedAt)
	}
	_, err = s.deps.Cases.OpenTx(ctx, tx, a, o)
	return err
}

// inOrder is errs.Invalid with everything that keeps a version from its publication, and errs.Conflict
// where the rows forbid its items.
func (s *Service) inOrder(ctx context.Context, tx *db.Tx, r *Resource) error {
	faults, _, err := s.check(ctx, tx, r)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return invalid(faults)
	}
	if r.Kind == Table && s.deps.Tables != nil && r.Version > 1 {
		old, err := getVersionByID(ctx, tx, r.ID, 0)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		return s.deps.Tables.Plan(ctx, old, r)
	}
	return nil
}

// Recall takes back what is on its way and not yet in force; it becomes a draft and its case ends.
func (s *Service) Recall(ctx context.Context, a identity.Actor, addr AddressOf) (*Resource, error) {
	return s.change(ctx, a, addr, ActRecall, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if r.State != Signing && r.State != Submitted && r.State != Returned {
			return s.past(r, "收回", "taken back")
		}
		operation.Retarget(ctx, func(t *operation.Target) { t.Case = r.Case })
		if _, err := s.deps.Cases.WithdrawTx(ctx, tx, a, r.Case, ""); err != nil {
			return err
		}
		now, err := getVersionByID(ctx, tx, r.ID, -1)
		if err != nil {
			return err
		}
		*r = *now
		return nil
	})
}

// handler is what the steps and outcomes of a case do to the version it is about.
func (s *Service) handler() casework.Handler {
	return casework.Handler{Entered: s.entered, Decided: s.decided, Closed: s.closed}
}

// entered moves the version along: with the department, or with the authority. What reaches the
// authority is still in order, and where the city wants the basis of a restricted type filed with the
// authority, this files it (LY-11).
func (s *Service) entered(ctx context.Context, tx *db.Tx, a identity.Actor, c casework.Case, step profile.Step) error {
	r, err := getVersionByID(ctx, tx, c.Subject, -1)
	if err != nil {
		return err
	}
	before := r.State
	r.State = Signing
	for _, relation := range step.Bodies {
		if relation == profile.RelAuthority {
			r.State = Submitted
		}
	}
	if r.State == before {
		return nil
	}
	action := "resubmit"
	if r.State == Submitted {
		action = "to_authority"
		if err := s.inOrder(ctx, tx, r); err != nil {
			return err
		}
		policy := s.Policy()
		if rule := policy.Sharing[r.Sharing]; rule.Filing && len(r.SharingBasis) > 0 {
			r.Filing = &Filing{At: s.now(), By: c.Maker, Clause: policy.Cite(TopicBasis)}
			operation.Note(ctx, "filing", r.Filing.Clause)
		}
	}
	return s.keep(ctx, tx, a, r, action, c.Number)
}

func (s *Service) decided(ctx context.Context, tx *db.Tx, a identity.Actor, c casework.Case, task casework.Task, d casework.Decision) error {
	clear := task.Post == string(identity.SecrecyReviewer) && d.Outcome == casework.Pass
	if d.Outcome != casework.Return && !clear {
		return nil
	}
	r, err := getVersionByID(ctx, tx, c.Subject, -1)
	if err != nil {
		return err
	}
	if clear {
		// The opening of data rests on it too (FZM-31), so it stands with the version.
		r.SecrecyCheck = s.decision(a, "cleared", d.Reason)
		return s.keep(ctx, tx, a, r, "secrecy", d.Reason)
	}
	r.State, r.SecrecyCheck, r.Filing = Returned, nil, nil
	return s.keep(ctx, tx, a, r, "return", d.Reason)
}

func (s *Service) closed(ctx context.Context, tx *db.Tx, a identity.Actor, c casework.Case) error {
	r, err := getVersionByID(ctx, tx, c.Subject, -1)
	if err != nil {
		return err
	}
	if c.Outcome == casework.Approved {
		return s.publishTx(ctx, tx, a, r)
	}
	r.State, r.SecrecyCheck, r.Filing = Draft, nil, nil
	action := "recall"
	if c.Outcome == casework.Refused {
		action = "refuse"
	}
	return s.keep(ctx, tx, a, r, action, c.Reason)
}

// publishTx puts a version in force. The version before it stays readable.
func (s *Service) publishTx(ctx context.Context, tx *db.Tx, a identity.Actor, r *Resource) error {
	old, err := getVersionByID(ctx, tx, r.ID, 0)
	if errs.Is(err, errs.NotFound) {
		old, err = nil, nil
	}
	if err != nil {
		return err
	}
	now := s.now()
	r.State, r.Current = Published, true
	r.PublishedAt = now
	r.PublishedOn = now.In(workday.Zone).Format(time.DateOnly)
	if err := setPublished(ctx, tx, r.ID, r.Version, false); err != nil {
		return err
	}
	if err := s.keep(ctx, tx, a, r, "publish", r.Case); err != nil {
		return err
	}
	for _, fn := range s.deps.OnPublish {
		if err := fn(ctx, tx, r); err != nil {
			return err
		}
	}
	// The warehouse is another store. Its change comes last: when it fails nothing is published, and
	// doing it again after a lost commit does no harm.
	if r.Kind == Table && s.deps.Tables != nil {
		if err := s.deps.Tables.Plan(ctx, old, r); err != nil {
			return err
		}
		return s.deps.Tables.Migrate(ctx, old, r)
	}
	return nil
}
