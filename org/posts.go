package org

import (
	"context"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// Proposal asks for a post to be held.
type Proposal struct {
	Body      string
	Post      identity.Post
	Person    string
	Since     time.Time // first day; today when zero, not in the past by more than a year
	TakesOver string    // holding that ends on that day: a hand-over (FZM-34)
	Reason    string
}

// Propose asks for a post; a security administrator who did not propose it
// confirms it. A leader in charge may propose for the own body: stewards, secrecy
// reviewers and the successor (FZM-34, LY-5); the system administrator for all.
func (s *Service) Propose(ctx context.Context, actor identity.Actor, in Proposal) (Holding, error) {
	var h Holding
	b, err := s.Body(ctx, in.Body)
	if err != nil {
		return h, errs.New(errs.Invalid, errs.T("所选单位不存在", "There is no such body")).In("body").Because(err)
	}
	target := operation.Target{Kind: "holding", Name: b.Name, Body: b.ID, District: b.District,
		Attrs: map[string]any{"post": string(in.Post), "posts": []string{string(in.Post)}, "subject": in.Person}}
	err = s.door.Do(ctx, actor, "org.post.propose", target, func(ctx context.Context, tx *db.Tx) error {
		h, err = s.proposeTx(ctx, tx, actor, in, b)
		if err != nil {
			return err
		}
		operation.Retarget(ctx, func(t *operation.Target) { t.ID = h.ID })
		operation.Note(ctx, "post", string(in.Post))
		operation.Note(ctx, "person", in.Person)
		return nil
	})
	return h, err
}

func (s *Service) proposeTx(ctx context.Context, tx *db.Tx, actor identity.Actor, in Proposal, b Body) (Holding, error) {
	if !in.Post.Valid() {
		return Holding{}, errs.New(errs.Invalid, errs.T("请选择岗位", "Choose a post")).In("post")
	}
	if err := checkPostAt(b, in.Post); err != nil {
		return Holding{}, err
	}
	p, err := personByID(ctx, tx, in.Person)
	if err != nil {
		return Holding{}, errs.New(errs.Invalid, errs.T("请选择人员", "Choose a person")).In("person").Because(err)
	}
	if p.State != Active {
		return Holding{}, errs.New(errs.Conflict, errs.T("该人员账号已停用", "The person's account is disabled")).In("person")
	}
	now := s.now()
	if in.Since.IsZero() {
		in.Since = now
	}
	if in.Since.Before(now.AddDate(-1, 0, 0)) || in.Since.After(now.AddDate(1, 0, 0)) {
		return Holding{}, errs.New(errs.Invalid, errs.T("任职起始日须在前后一年之内", "The first day lies within a year from today")).In("since")
	}
	open, err := selectHoldings(ctx, tx, `h.person = $1 AND h.state IN ('held','proposed')`, in.Person)
	if err != nil {
		return Holding{}, err
	}
	var posts []identity.Post
	for _, h := range open {
		if h.Body == in.Body && h.Post == in.Post {
			return Holding{}, errs.New(errs.Conflict, errs.T("该人员已任或已被提名该岗位", "The person holds this post already, or is proposed for it")).In("person")
		}
		if h.ID != in.TakesOver {
			posts = append(posts, h.Post)
		}
	}
	if err := CheckSeparation(posts, in.Post); err != nil {
		return Holding{}, err
	}
	if in.TakesOver != "" {
		old, err := holdingByID(ctx, tx, in.TakesOver)
		if err != nil {
			return Holding{}, err
		}
		if old.State != Held || old.Body != in.Body || old.Post != in.Post {
			return Holding{}, errs.New(errs.Conflict, errs.T("交接的任职已结束或与岗位不符", "The holding to take over has ended or is of another post")).In("takes_over")
		}
	}
	h := Holding{ID: db.NewID(), Body: b.ID, BodyName: b.Name, District: b.District, Post: in.Post, Person: p.ID, PersonName: p.Name,
		State: Proposed, Since: in.Since, TakesOver: in.TakesOver, Reason: tidy(in.Reason), ProposedBy: actor.ID, ProposedAt: now}
	return h, insertHolding(ctx, tx, h)
}

// HandOver proposes a successor in the place of a holding, from a day on.
func (s *Service) HandOver(ctx context.Context, actor identity.Actor, holding, successor string, since time.Time, reason string) (Holding, error) {
	old, err := s.Holding(ctx, holding)
	if err != nil {
		return Holding{}, err
	}
	if tidy(reason) == "" {
		return Holding{}, errs.New(errs.Invalid, errs.T("请写明交接原因", "Give the reason for the hand-over")).In("reason").By("FZM-34")
	}
	return s.Propose(ctx, actor, Proposal{Body: old.Body, Post: old.Post, Person: successor, Since: since, TakesOver: old.ID, Reason: reason})
}

func holdingTarget(h Holding) operation.Target {
	return operation.Target{Kind: "holding", ID: h.ID, Name: h.BodyName + " " + h.Post.Text().ZH, Body: h.Body, District: h.District,
		Attrs: map[string]any{"post": string(h.Post), "posts": []string{string(h.Post)}, "subject": h.Person}}
}

// Confirm lets a proposed holding begin; what it takes over ends with it. The
// proposer and the person itself cannot confirm (FS-40). The change of people is
// to be reported to the authority in time (FZM-34): the body's filing shows as
// stale until it is.
func (s *Service) Confirm(ctx context.Context, actor identity.Actor, id string) error {
	h, err := s.Holding(ctx, id)
	if err != nil {
		return err
	}
	target := holdingTarget(h)
	target.Attrs["makers"] = []string{h.ProposedBy}
	return s.door.Do(ctx, actor, "org.post.confirm", target, func(ctx context.Context, tx *db.Tx) error {
		return s.confirmTx(ctx, tx, actor.ID, h)
	})
}

func (s *Service) confirmTx(ctx context.Context, tx *db.Tx, by string, h Holding) error {
	b, err := bodyBy(ctx, tx, "id", h.Body)
	if err != nil {
		return err
	}
	if err := checkPostAt(b, h.Post); err != nil {
		return err
	}
	now := s.now()
	if h.TakesOver != "" {
		old, err := holdingByID(ctx, tx, h.TakesOver)
		if err != nil {
			return err
		}
		if old.State == Held {
			if err := s.endTx(ctx, tx, old, by, h.Reason); err != nil {
				return err
			}
		}
	}
	posts, err := heldPosts(ctx, tx, h.Person)
	if err != nil {
		return err
	}
	if err := CheckSeparation(posts, h.Post); err != nil {
		return err
	}
	h.State, h.DecidedBy, h.DecidedAt = Held, by, now
	operation.Note(ctx, "post", string(h.Post))
	operation.Note(ctx, "person", h.Person)
	if err := moveHolding(ctx, tx, h, Proposed); err != nil {
		return err
	}
	return s.changed(ctx, tx, h)
}

// Decline refuses a proposed holding, with a reason.
func (s *Service) Decline(ctx context.Context, actor identity.Actor, id, reason string) error {
	h, err := s.Holding(ctx, id)
	if err != nil {
		return err
	}
	if reason = tidy(reason); reason == "" {
		return errs.New(errs.Invalid, errs.T("请写明不予确认的理由", "Give the reason for the refusal")).In("reason")
	}
	target := holdingTarget(h)
	target.Attrs["makers"] = []string{h.ProposedBy}
	return s.door.Do(ctx, actor, "org.post.decline", target, func(ctx context.Context, tx *db.Tx) error {
		h.State, h.DecidedBy, h.DecidedAt, h.Answer = Declined, actor.ID, s.now(), reason
		return moveHolding(ctx, tx, h, Proposed)
	})
}

// End takes a post from a person at once, without a successor. The posts of the
// three administrators end only by hand-over, so that none of them can push out
// another (FS-40).
func (s *Service) End(ctx context.Context, actor identity.Actor, id, reason string) error {
	h, err := s.Holding(ctx, id)
	if err != nil {
		return err
	}
	if reason = tidy(reason); reason == "" {
		return errs.New(errs.Invalid, errs.T("请写明免去岗位的理由", "Give the reason for ending the post")).In("reason")
	}
	return s.door.Do(ctx, actor, "org.post.end", holdingTarget(h), func(ctx context.Context, tx *db.Tx) error {
		if h.State != Held && h.State != Proposed {
			return errs.New(errs.Conflict, errs.T("该任职已结束", "The holding has ended already"))
		}
		return s.endTx(ctx, tx, h, actor.ID, reason)
	})
}

func (s *Service) endTx(ctx context.Context, tx *db.Tx, h Holding, by, reason string) error {
	from := h.State
	h.State, h.Until, h.DecidedBy, h.DecidedAt, h.Answer = Ended, s.now(), by, s.now(), reason
	if err := moveHolding(ctx, tx, h, from); err != nil {
		return err
	}
	if from != Held {
		return nil
	}
	return s.changed(ctx, tx, h)
}

// ConfirmAll confirms several proposed holdings, one entry each, and returns how
// many before the first that fails.
func (s *Service) ConfirmAll(ctx context.Context, actor identity.Actor, ids []string) (int, error) {
	for i, id := range ids {
		if err := s.Confirm(ctx, actor, id); err != nil {
			return i, err
		}
	}
	return len(ids), nil
}
