package org

import (
	"context"
	"strings"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// CreateBody registers a body. errs.Invalid names every rule broken, errs.Conflict
// a name or code that is taken.
func (s *Service) CreateBody(ctx context.Context, actor identity.Actor, b Body) (Body, error) {
	if b.Role == "" {
		b.Role = Department
	}
	target := operation.Target{Kind: "body", Name: b.Name, District: b.District}
	err := s.door.Do(ctx, actor, "org.body.create", target, func(ctx context.Context, tx *db.Tx) error {
		if err := s.checkBodyTx(ctx, tx, &b); err != nil {
			return err
		}
		b.ID, b.State, b.CreatedAt, b.CreatedBy = db.NewID(), Active, s.now(), actor.ID
		operation.Retarget(ctx, func(t *operation.Target) { t.ID, t.Body, t.Name = b.ID, b.ID, b.Name })
		return insertBody(ctx, tx, b)
	})
	return b, err
}

func (s *Service) checkBodyTx(ctx context.Context, tx *db.Tx, b *Body) error {
	spaces, err := selectSpaces(ctx, tx)
	if err != nil {
		return err
	}
	var open []string
	for _, sp := range spaces {
		open = append(open, sp.District)
	}
	var parent *Body
	if b.Parent != "" {
		p, err := bodyBy(ctx, tx, "id", b.Parent)
		if err != nil {
			return errs.New(errs.Invalid, errs.T("上级单位不存在", "There is no such body above")).In("parent").Because(err)
		}
		parent = &p
	}
	return checkBody(s.profile, b, parent, open)
}

// ChangeBody changes a body's facts; id, state and history stay. API clients of
// the body follow.
func (s *Service) ChangeBody(ctx context.Context, actor identity.Actor, b Body) error {
	old, err := s.Body(ctx, b.ID)
	if err != nil {
		return err
	}
	target := operation.Target{Kind: "body", ID: old.ID, Name: old.Name, Body: old.ID, District: old.District}
	return s.door.Do(ctx, actor, "org.body.change", target, func(ctx context.Context, tx *db.Tx) error {
		if old, err = bodyBy(ctx, tx, "id", b.ID); err != nil {
			return err
		}
		b.State, b.ClosedAt = old.State, old.ClosedAt
		if err := s.checkBodyTx(ctx, tx, &b); err != nil {
			return err
		}
		if old.Role != b.Role {
			held, err := selectHoldings(ctx, tx, `h.body = $1 AND h.state IN ('held','proposed')`, b.ID)
			if err != nil {
				return err
			}
			for _, h := range held {
				if err := checkPostAt(b, h.Post); err != nil {
					return errs.New(errs.Conflict, errs.T("单位尚有与新角色不符的任职，请先交接", "The body has posts that do not fit the new part; hand them over first")).In("role").Because(err)
				}
			}
		}
		if err := updateBody(ctx, tx, b); err != nil {
			return err
		}
		return s.identity.BodyChangedTx(ctx, tx, b.ID, b.Name, b.District, b.Level)
	})
}

// CloseBody closes a body: its posts end and its clients stop. A body that others
// stand under is closed after them.
func (s *Service) CloseBody(ctx context.Context, actor identity.Actor, id, reason string) error {
	b, err := s.Body(ctx, id)
	if err != nil {
		return err
	}
	if reason = tidy(reason); reason == "" {
		return errs.New(errs.Invalid, errs.T("请写明撤销依据", "Give the reason for closing")).In("reason")
	}
	target := operation.Target{Kind: "body", ID: b.ID, Name: b.Name, Body: b.ID, District: b.District}
	return s.door.Do(ctx, actor, "org.body.close", target, func(ctx context.Context, tx *db.Tx) error {
		children, err := selectBodies(ctx, tx, BodyFilter{Parent: id, State: Active})
		if err != nil {
			return err
		}
		if len(children) > 0 {
			return errs.Newf(errs.Conflict, "尚有 %d 个下级单位，请先处理", "%d bodies stand under it; deal with them first", len(children))
		}
		if b, err = bodyBy(ctx, tx, "id", id); err != nil {
			return err
		}
		if b.State != Active {
			return errs.New(errs.Conflict, errs.T("单位已撤销", "The body is closed already"))
		}
		now := s.now()
		holdings, err := selectHoldings(ctx, tx, `h.body = $1 AND h.state IN ('held','proposed')`, id)
		if err != nil {
			return err
		}
		for _, h := range holdings {
			if h.Post.Admin() && h.State == Held {
				return errs.New(errs.Conflict, errs.T("单位内尚有三员任职，请先交接", "Administrators hold posts at this body; hand them over first")).By("FS-40")
			}
			if err := s.endTx(ctx, tx, h, actor.ID, reason); err != nil {
				return err
			}
		}
		disabled := identity.Disabled
		clients, err := s.identity.ClientsTx(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, c := range clients {
			if err := s.identity.UpdateClientTx(ctx, tx, c.ID, identity.ClientChange{State: &disabled}); err != nil {
				return err
			}
		}
		operation.Note(ctx, "posts_ended", len(holdings))
		operation.Note(ctx, "clients_disabled", len(clients))
		operation.Note(ctx, "reason", reason)
		b.State, b.ClosedAt = Closed, now
		return updateBody(ctx, tx, b)
	})
}

// OpenSpace gives a district or county its space on the one platform (FZM-11,
// LY-7); only then can bodies of that division be registered.
func (s *Service) OpenSpace(ctx context.Context, actor identity.Actor, district, name string) (Space, error) {
	sp := Space{District: strings.TrimSpace(district), Name: tidy(name), OpenedAt: s.now(), OpenedBy: actor.ID}
	target := operation.Target{Kind: "space", ID: sp.District, Name: sp.Name, District: sp.District}
	err := s.door.Do(ctx, actor, "org.space.open", target, func(ctx context.Context, tx *db.Tx) error {
		if err := checkSpace(s.profile, sp); err != nil {
			return err
		}
		return insertSpace(ctx, tx, sp)
	})
	return sp, err
}

// File puts on file who leads and who is reached, and the body's own rules
// (FZM-34, LY-26, FS-6). Each filing is a version; a change is a new one.
func (s *Service) File(ctx context.Context, actor identity.Actor, f Filing) (Filing, error) {
	b, err := s.Body(ctx, f.Body)
	if err != nil {
		return Filing{}, err
	}
	target := operation.Target{Kind: "filing", Name: b.Name, Body: b.ID, District: b.District}
	err = s.door.Do(ctx, actor, "org.filing.submit", target, func(ctx context.Context, tx *db.Tx) error {
		if err := checkFiling(&f); err != nil {
			return err
		}
		old, err := selectFilings(ctx, tx, `f.body = $1`, b.ID)
		if err != nil {
			return err
		}
		f.ID, f.Version, f.FiledAt, f.FiledBy, f.FiledName = db.NewID(), 1, s.now(), actor.ID, actor.Name
		if len(old) > 0 {
			f.Version = old[0].Version + 1
		}
		operation.Retarget(ctx, func(t *operation.Target) { t.ID = f.ID })
		operation.Note(ctx, "version", f.Version)
		return insertFiling(ctx, tx, f)
	})
	return f, err
}

// ReceiveFiling records that the authority took note of a filing.
func (s *Service) ReceiveFiling(ctx context.Context, actor identity.Actor, id string) error {
	list, err := selectFilings(ctx, s.db.Read(), `f.id = $1`, id)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errs.New(errs.NotFound, errs.T("没有这份备案", "There is no such filing"))
	}
	f := list[0]
	target := operation.Target{Kind: "filing", ID: id, Name: f.BodyName, Body: f.Body, District: f.District, Attrs: map[string]any{"makers": []string{f.FiledBy}}}
	return s.door.Do(ctx, actor, "org.filing.receive", target, func(ctx context.Context, tx *db.Tx) error {
		return receiveFiling(ctx, tx, id, actor.ID, s.now())
	})
}
