package agreement

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

func insert(ctx context.Context, tx *db.Tx, a Agreement) error {
	terms, err := json.Marshal(a.Terms)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO agreement_agreement (id, number, version, kind, case_id, case_no, resource, state, template, template_sum, terms, body, digest, created_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
		a.ID, a.Number, a.Version, a.Kind, a.CaseID, a.CaseNo, a.Resource, a.State, a.Template, a.TemplateSum, string(terms), a.Text, a.Digest, db.Ms(a.CreatedAt)); err != nil {
		return err
	}
	for _, p := range a.Parties {
		if _, err := tx.Exec(ctx, `INSERT INTO agreement_party (agreement, relation, body, body_name, signs) VALUES ($1,$2,$3,$4,$5)`,
			a.ID, p.Relation, p.Body, p.BodyName, p.Signs); err != nil {
			return err
		}
	}
	return nil
}

func setState(ctx context.Context, tx *db.Tx, id, state string, effective, ended time.Time, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE agreement_agreement SET state=$2, effective_at=$3, ended_at=$4, reason=$5 WHERE id=$1`, id, state, db.Ms(effective), db.Ms(ended), reason)
	return err
}

func addSignature(ctx context.Context, tx *db.Tx, id string, s Signature) error {
	_, err := tx.Exec(ctx, `INSERT INTO agreement_signature (agreement, relation, signer, signer_name, post, at, note) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		id, s.Relation, s.Signer, s.SignerName, s.Post, db.Ms(s.At), s.Note)
	if db.IsUnique(err) {
		return errs.New(errs.Conflict, errs.T("本方已签署", "your side has signed already"))
	}
	return err
}

const columns = `a.id, a.number, a.version, a.kind, a.case_id, a.case_no, a.resource, a.state, a.template, a.template_sum, a.terms, a.body, a.digest,
	a.created_at, a.effective_at, a.ended_at, a.reason`

func scan(row db.Row) (Agreement, error) {
	var a Agreement
	var terms string
	var created, effective, ended int64
	if err := row.Scan(&a.ID, &a.Number, &a.Version, &a.Kind, &a.CaseID, &a.CaseNo, &a.Resource, &a.State, &a.Template, &a.TemplateSum, &terms, &a.Text, &a.Digest,
		&created, &effective, &ended, &a.Reason); err != nil {
		return a, err
	}
	a.CreatedAt, a.EffectiveAt, a.EndedAt = db.Time(created), db.Time(effective), db.Time(ended)
	return a, json.Unmarshal([]byte(terms), &a.Terms)
}

func fill(ctx context.Context, q db.Querier, a *Agreement) error {
	var err error
	a.Parties, err = db.List(ctx, q, func(row db.Row) (p Party, err error) {
		err = row.Scan(&p.Relation, &p.Body, &p.BodyName, &p.Signs)
		return p, err
	}, `SELECT relation, body, body_name, signs FROM agreement_party WHERE agreement=$1 ORDER BY relation`, a.ID)
	if err != nil {
		return err
	}
	a.Signatures, err = db.List(ctx, q, func(row db.Row) (s Signature, err error) {
		var at int64
		err = row.Scan(&s.Relation, &s.Signer, &s.SignerName, &s.Post, &at, &s.Note)
		s.At = db.Time(at)
		return s, err
	}, `SELECT relation, signer, signer_name, post, at, note FROM agreement_signature WHERE agreement=$1 ORDER BY at`, a.ID)
	return err
}

func one(ctx context.Context, q db.Querier, query string, args ...any) (Agreement, error) {
	a, err := scan(q.QueryRow(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return a, errs.New(errs.NotFound, errs.T("没有这份协议", "there is no such agreement"))
	}
	if err != nil {
		return a, err
	}
	return a, fill(ctx, q, &a)
}

func get(ctx context.Context, q db.Querier, id string) (Agreement, error) {
	return one(ctx, q, `SELECT `+columns+` FROM agreement_agreement a WHERE a.id=$1 OR a.number=$1`, id)
}

func current(ctx context.Context, q db.Querier, caseID string) (Agreement, error) {
	return one(ctx, q, `SELECT `+columns+` FROM agreement_agreement a WHERE a.case_id=$1 ORDER BY a.version DESC LIMIT 1`, caseID)
}

func many(ctx context.Context, q db.Querier, query string, args ...any) ([]Agreement, error) {
	out, err := db.List(ctx, q, scan, query, args...)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := fill(ctx, q, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func byCase(ctx context.Context, q db.Querier, caseID string) ([]Agreement, error) {
	return many(ctx, q, `SELECT `+columns+` FROM agreement_agreement a WHERE a.case_id=$1 ORDER BY a.version`, caseID)
}

var agreementOrder = map[string]string{"created": "a.created_at", "number": "a.number"}

func list(ctx context.Context, q db.Querier, f Filter) ([]Agreement, int, error) {
	var w db.Where
	if f.Body != "" {
		w.Add(`EXISTS (SELECT 1 FROM agreement_party p WHERE p.agreement = a.id AND p.body = ?)`, f.Body)
	}
	if f.State != "" {
		w.Add(`a.state = ?`, f.State)
	}
	w.Contains(f.Text, "a.number", "a.terms")
	var total int
	if err := q.QueryRow(ctx, `SELECT count(*) FROM agreement_agreement a`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	limit, offset := w.Arg(f.Limit), w.Arg(f.Offset)
	out, err := many(ctx, q, `SELECT `+columns+` FROM agreement_agreement a`+w.String()+db.OrderBy(agreementOrder, f.Sort, f.Desc, "a.created_at DESC, a.id DESC")+` LIMIT `+limit+` OFFSET `+offset, w.Args...)
	return out, total, err
}
