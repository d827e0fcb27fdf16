package org

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const bodyColumns = `b.id, b.name, b.short, COALESCE(b.uscc, ''), b.kind, b.role, b.level, b.district, b.parent, b.state, b.phone, b.created_at, b.created_by, b.closed_at`

func scanBody(row db.Row) (Body, error) {
	var b Body
	var created, closed int64
	err := row.Scan(&b.ID, &b.Name, &b.Short, &b.USCC, &b.Kind, &b.Role, &b.Level, &b.District, &b.Parent, &b.State, &b.Phone, &created, &b.CreatedBy, &closed)
	b.CreatedAt, b.ClosedAt = db.Time(created), db.Time(closed)
	return b, err
}

func noBody() error {
	return errs.New(errs.NotFound, errs.T("没有这个单位", "There is no such body"))
}

func bodyBy(ctx context.Context, q db.Querier, column, value string) (Body, error) {
	b, err := scanBody(q.QueryRow(ctx, `SELECT `+bodyColumns+` FROM org_body b WHERE b.`+column+` = $1`, value))
	if errors.Is(err, sql.ErrNoRows) {
		return b, noBody()
	}
	return b, err
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func taken(err error, b Body) error {
	if !db.IsUnique(err) {
		return err
	}
	if strings.Contains(strings.ToLower(err.Error()), "uscc") {
		return errs.Newf(errs.Conflict, "统一社会信用代码 %s 已登记于另一单位", "The unified social credit code %s belongs to another body", b.USCC).In("uscc").By("FS-22")
	}
	return errs.Newf(errs.Conflict, "已有名为“%s”的单位", "There is a body named %s already", b.Name).In("name")
}

func insertBody(ctx context.Context, q db.Querier, b Body) error {
	_, err := q.Exec(ctx, `INSERT INTO org_body (id, name, short, uscc, kind, role, level, district, parent, state, phone, created_at, created_by, closed_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,0)`,
		b.ID, b.Name, b.Short, nullable(b.USCC), b.Kind, string(b.Role), b.Level, b.District, b.Parent, b.State, b.Phone, db.Ms(b.CreatedAt), b.CreatedBy)
	return taken(err, b)
}

func updateBody(ctx context.Context, q db.Querier, b Body) error {
	_, err := q.Exec(ctx, `UPDATE org_body SET name=$2, short=$3, uscc=$4, kind=$5, role=$6, level=$7, district=$8, parent=$9, state=$10, phone=$11, closed_at=$12 WHERE id=$1`,
		b.ID, b.Name, b.Short, nullable(b.USCC), b.Kind, string(b.Role), b.Level, b.District, b.Parent, b.State, b.Phone, db.Ms(b.ClosedAt))
	return taken(err, b)
}

func selectBodies(ctx context.Context, q db.Querier, f BodyFilter) ([]Body, error) {
	var w db.Where
	w.Contains(f.Text, "b.name", "b.short", "b.uscc")
	for column, value := range map[string]string{"level": f.Level, "district": f.District, "role": string(f.Role), "kind": f.Kind, "state": f.State, "parent": f.Parent} {
		if value != "" {
			w.Add(`b.`+column+` = ?`, value)
		}
	}
	return db.List(ctx, q, scanBody, `SELECT `+bodyColumns+` FROM org_body b`+w.String()+` ORDER BY CASE b.level WHEN 'province' THEN 0 WHEN 'city' THEN 1 ELSE 2 END, b.district, CASE b.role WHEN 'authority' THEN 0 WHEN 'operator' THEN 1 WHEN 'department' THEN 2 ELSE 3 END, b.name`, w.Args...)
}

func insertSpace(ctx context.Context, q db.Querier, s Space) error {
	_, err := q.Exec(ctx, `INSERT INTO org_space (district, name, opened_at, opened_by) VALUES ($1,$2,$3,$4)`, s.District, s.Name, db.Ms(s.OpenedAt), s.OpenedBy)
	if db.IsUnique(err) {
		return errs.Newf(errs.Conflict, "区县 %s 已开设空间", "The county %s has a space already", s.District).In("district").By("FZM-11")
	}
	return err
}

func selectSpaces(ctx context.Context, q db.Querier) ([]Space, error) {
	return db.List(ctx, q, func(row db.Row) (Space, error) {
		var s Space
		var opened int64
		if err := row.Scan(&s.District, &s.Name, &opened, &s.OpenedBy); err != nil {
			return s, err
		}
		s.OpenedAt = db.Time(opened)
		return s, nil
	}, `SELECT district, name, opened_at, opened_by FROM org_space ORDER BY district`)
}

const personColumns = `p.id, p.login, p.name, p.body, b.name, b.district, p.title, p.staff_no, p.phone, p.email, p.state, p.created_at, p.created_by`

func scanPerson(row db.Row) (Person, error) {
	var p Person
	var created int64
	err := row.Scan(&p.ID, &p.Login, &p.Name, &p.Body, &p.BodyName, &p.District, &p.Title, &p.StaffNo, &p.Phone, &p.Email, &p.State, &created, &p.CreatedBy)
	p.CreatedAt = db.Time(created)
	return p, err
}

func noPerson() error {
	return errs.New(errs.NotFound, errs.T("没有这个人员", "There is no such person"))
}

func personByID(ctx context.Context, q db.Querier, id string) (Person, error) {
	p, err := scanPerson(q.QueryRow(ctx, `SELECT `+personColumns+` FROM org_person p JOIN org_body b ON b.id = p.body WHERE p.id=$1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return p, noPerson()
	}
	return p, err
}

func insertPerson(ctx context.Context, q db.Querier, p Person) error {
	_, err := q.Exec(ctx, `INSERT INTO org_person (id, login, name, body, title, staff_no, phone, email, state, created_at, created_by) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
		p.ID, p.Login, p.Name, p.Body, p.Title, p.StaffNo, p.Phone, p.Email, p.State, db.Ms(p.CreatedAt), p.CreatedBy)
	return err
}

func updatePerson(ctx context.Context, q db.Querier, p Person) error {
	_, err := q.Exec(ctx, `UPDATE org_person SET name=$2, body=$3, title=$4, staff_no=$5, phone=$6, email=$7, state=$8 WHERE id=$1`,
		p.ID, p.Name, p.Body, p.Title, p.StaffNo, p.Phone, p.Email, p.State)
	return err
}

var personSorts = map[string]string{"name": "p.name", "body": "b.name", "login": "p.login", "title": "p.title", "created": "p.created_at"}

func selectPeople(ctx context.Context, q db.Querier, f PersonFilter) ([]Person, int, error) {
	var w db.Where
	w.Contains(f.Text, "p.name", "p.login", "p.staff_no")
	if f.Body != "" {
		w.Add(`(p.body = ? OR p.id IN (SELECT person FROM org_holding WHERE body = ? AND state IN ('held','proposed')))`, f.Body, f.Body)
	}
	if f.District != "" {
		w.Add(`b.district = ?`, f.District)
	}
	w.Starts(f.Prefix, "b.district")
	if f.State != "" {
		w.Add(`p.state = ?`, f.State)
	}
	if f.Post != "" {
		w.Add(`p.id IN (SELECT person FROM org_holding WHERE post = ? AND state = 'held')`, string(f.Post))
	}
	if f.Pending {
		w.Add(`p.id IN (SELECT person FROM org_holding WHERE state = 'proposed')`)
	}
	var total int
	if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM org_person p JOIN org_body b ON b.id = p.body`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := personSorts[f.Sort]
	if order == "" {
		order = "b.name"
	}
	if f.Desc {
		order += " DESC"
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	out, err := db.List(ctx, q, scanPerson, fmt.Sprintf(`SELECT `+personColumns+` FROM org_person p JOIN org_body b ON b.id = p.body%s ORDER BY %s, p.name, p.id LIMIT %d OFFSET %d`, w.String(), order, limit, max(0, f.Offset)), w.Args...)
	return out, total, err
}

const holdingColumns = `h.id, h.body, b.name, b.district, h.post, h.person, p.name, h.state, h.since, h.until, h.takes_over, h.reason, h.proposed_by, h.proposed_at, h.decided_by, h.decided_at, h.answer`

func scanHolding(row db.Row) (Holding, error) {
	var h Holding
	var since, until, proposed, decided int64
	err := row.Scan(&h.ID, &h.Body, &h.BodyName, &h.District, &h.Post, &h.Person, &h.PersonName, &h.State, &since, &until, &h.TakesOver, &h.Reason, &h.ProposedBy, &proposed, &h.DecidedBy, &decided, &h.Answer)
	h.Since, h.Until, h.ProposedAt, h.DecidedAt = db.Time(since), db.Time(until), db.Time(proposed), db.Time(decided)
	return h, err
}

func selectHoldings(ctx context.Context, q db.Querier, condition string, args ...any) ([]Holding, error) {
	return db.List(ctx, q, scanHolding, `SELECT `+holdingColumns+` FROM org_holding h JOIN org_body b ON b.id = h.body JOIN org_person p ON p.id = h.person WHERE `+condition+` ORDER BY h.since DESC, h.id`, args...)
}

func holdingByID(ctx context.Context, q db.Querier, id string) (Holding, error) {
	list, err := selectHoldings(ctx, q, `h.id = $1`, id)
	if err != nil {
		return Holding{}, err
	}
	if len(list) == 0 {
		return Holding{}, errs.New(errs.NotFound, errs.T("没有这项任职", "There is no such holding of a post"))
	}
	return list[0], nil
}

func insertHolding(ctx context.Context, q db.Querier, h Holding) error {
	_, err := q.Exec(ctx, `INSERT INTO org_holding (id, body, post, person, state, since, until, takes_over, reason, proposed_by, proposed_at, decided_by, decided_at, answer)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
		h.ID, h.Body, string(h.Post), h.Person, h.State, db.Ms(h.Since), db.Ms(h.Until), h.TakesOver, h.Reason, h.ProposedBy, db.Ms(h.ProposedAt), h.DecidedBy, db.Ms(h.DecidedAt), h.Answer)
	return err
}

// moveHolding changes a holding that is still in the state it was read in.
func moveHolding(ctx context.Context, q db.Querier, h Holding, from string) error {
	r, err := q.Exec(ctx, `UPDATE org_holding SET state=$2, since=$3, until=$4, decided_by=$5, decided_at=$6, answer=$7 WHERE id=$1 AND state=$8`,
		h.ID, h.State, db.Ms(h.Since), db.Ms(h.Until), h.DecidedBy, db.Ms(h.DecidedAt), h.Answer, from)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return errs.New(errs.Conflict, errs.T("该任职已由他人办理，请刷新", "Somebody else has dealt with this holding; reload"))
	}
	return err
}

// holdingsOf reads held and proposed holdings of many people at once.
func holdingsOf(ctx context.Context, q db.Querier, people []Person) (map[string][]Holding, error) {
	out := map[string][]Holding{}
	for start := 0; start < len(people); start += 200 {
		part := people[start:min(start+200, len(people))]
		args := make([]any, len(part))
		marks := make([]string, len(part))
		for i, p := range part {
			args[i], marks[i] = p.ID, fmt.Sprintf("$%d", i+1)
		}
		list, err := selectHoldings(ctx, q, `h.state IN ('held','proposed') AND h.person IN (`+strings.Join(marks, ",")+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			out[h.Person] = append(out[h.Person], h)
		}
	}
	return out, nil
}

// heldPosts reads the posts that a person holds, locked against a second holding
// confirmed at the same time by the row of the person.
func heldPosts(ctx context.Context, tx *db.Tx, person string) ([]identity.Post, error) {
	if _, err := tx.Exec(ctx, `UPDATE org_person SET state = state WHERE id=$1`, person); err != nil {
		return nil, err
	}
	return db.Values[identity.Post](ctx, tx, `SELECT post FROM org_holding WHERE person=$1 AND state='held'`, person)
}

const filingColumns = `f.id, f.body, b.name, b.district, f.version, f.office, f.leader, f.leader_title, f.leader_phone, f.contact, f.contact_title, f.contact_phone, f.procedures, f.rules, f.accountability, f.filed_at, f.filed_by, f.filed_name, f.received_at, f.received_by`

func selectFilings(ctx context.Context, q db.Querier, condition string, args ...any) ([]Filing, error) {
	return db.List(ctx, q, func(row db.Row) (Filing, error) {
		var f Filing
		var filed, received int64
		if err := row.Scan(&f.ID, &f.Body, &f.BodyName, &f.District, &f.Version, &f.Office, &f.Leader.Name, &f.Leader.Title, &f.Leader.Phone, &f.Daily.Name, &f.Daily.Title, &f.Daily.Phone,
			&f.Procedures, &f.Rules, &f.Accountability, &filed, &f.FiledBy, &f.FiledName, &received, &f.ReceivedBy); err != nil {
			return f, err
		}
		f.FiledAt, f.ReceivedAt = db.Time(filed), db.Time(received)
		return f, nil
	}, `SELECT `+filingColumns+` FROM org_filing f JOIN org_body b ON b.id = f.body WHERE `+condition+` ORDER BY f.body, f.version DESC`, args...)
}

func insertFiling(ctx context.Context, q db.Querier, f Filing) error {
	_, err := q.Exec(ctx, `INSERT INTO org_filing (id, body, version, office, leader, leader_title, leader_phone, contact, contact_title, contact_phone, procedures, rules, accountability, filed_at, filed_by, filed_name, received_at, received_by)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,0,'')`,
		f.ID, f.Body, f.Version, f.Office, f.Leader.Name, f.Leader.Title, f.Leader.Phone, f.Daily.Name, f.Daily.Title, f.Daily.Phone, f.Procedures, f.Rules, f.Accountability, db.Ms(f.FiledAt), f.FiledBy, f.FiledName)
	if db.IsUnique(err) {
		return errs.New(errs.Conflict, errs.T("本单位的备案刚被他人更新，请刷新后再报", "Somebody has just filed for this body; reload and file again"))
	}
	return err
}

func receiveFiling(ctx context.Context, q db.Querier, id, by string, at time.Time) error {
	r, err := q.Exec(ctx, `UPDATE org_filing SET received_at=$2, received_by=$3 WHERE id=$1 AND received_at=0`, id, db.Ms(at), by)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return errs.New(errs.Conflict, errs.T("该备案已签收", "This filing has been received already"))
	}
	return err
}
