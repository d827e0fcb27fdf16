package opendata

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const entryColumns = `resource, code, name, body, body_name, district, slug, kind, state, assessment, catalog_version, version, source_no, data_at, rows,
	held, published_by, published_name, published_at, withdrawn_at, withdrawn_why`

func scanEntry(scan func(...any) error) (*Entry, error) {
	var e Entry
	var dataAt, publishedAt, withdrawnAt int64
	var held string
	err := scan(&e.Resource, &e.Code, &e.Name, &e.Body, &e.BodyName, &e.District, &e.Slug, &e.Kind, &e.State, &e.Assessment, &e.CatalogVersion,
		&e.Version, &e.SourceNo, &dataAt, &e.Rows, &held, &e.PublishedBy, &e.PublishedName, &publishedAt, &withdrawnAt, &e.WithdrawnWhy)
	if err != nil {
		return nil, err
	}
	e.DataAt, e.PublishedAt, e.WithdrawnAt = db.Time(dataAt), db.Time(publishedAt), db.Time(withdrawnAt)
	if held != "" {
		if err := json.Unmarshal([]byte(held), &e.Held); err != nil {
			return nil, fmt.Errorf("opendata_dataset %s: %w", e.Resource, err)
		}
	}
	return &e, nil
}

// getEntry reads a resource's dataset; errs.NotFound when it has none.
func getEntry(ctx context.Context, q db.Querier, resource string) (*Entry, error) {
	e, err := scanEntry(q.QueryRow(ctx, `SELECT `+entryColumns+` FROM opendata_dataset WHERE resource = $1`, resource).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, errs.T("该资源没有发布到开放平台", "the resource is not on the open portal"))
	}
	return e, err
}

func listEntries(ctx context.Context, q db.Querier) ([]*Entry, error) {
	rows, err := q.Query(ctx, `SELECT `+entryColumns+` FROM opendata_dataset ORDER BY code`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Entry
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func putEntry(ctx context.Context, tx *db.Tx, e *Entry) error {
	held := ""
	if len(e.Held) > 0 {
		b, err := json.Marshal(e.Held)
		if err != nil {
			return err
		}
		held = string(b)
	}
	_, err := tx.Exec(ctx, `INSERT INTO opendata_dataset (`+entryColumns+`, withdrawn_by) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,'')
		ON CONFLICT (resource) DO UPDATE SET code = excluded.code, name = excluded.name, body = excluded.body, body_name = excluded.body_name,
		district = excluded.district, kind = excluded.kind, state = excluded.state, assessment = excluded.assessment, catalog_version = excluded.catalog_version,
		version = excluded.version, source_no = excluded.source_no, data_at = excluded.data_at, rows = excluded.rows, held = excluded.held,
		published_by = excluded.published_by, published_name = excluded.published_name, published_at = excluded.published_at,
		withdrawn_at = excluded.withdrawn_at, withdrawn_why = excluded.withdrawn_why`,
		e.Resource, e.Code, e.Name, e.Body, e.BodyName, e.District, e.Slug, string(e.Kind), string(e.State), e.Assessment, e.CatalogVersion,
		e.Version, e.SourceNo, db.Ms(e.DataAt), e.Rows, held, e.PublishedBy, e.PublishedName, db.Ms(e.PublishedAt), db.Ms(e.WithdrawnAt), e.WithdrawnWhy)
	return err
}

func setWithdrawnBy(ctx context.Context, tx *db.Tx, resource, by string) error {
	_, err := tx.Exec(ctx, `UPDATE opendata_dataset SET withdrawn_by = $2 WHERE resource = $1`, resource, by)
	return err
}

// takeSlug gives a resource the slug, or says that another has it.
func takeSlug(ctx context.Context, tx *db.Tx, slug, resource string) (bool, error) {
	var owner string
	err := tx.QueryRow(ctx, `INSERT INTO opendata_slug (slug, resource) VALUES ($1, $2)
		ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug RETURNING resource`, slug, resource).Scan(&owner)
	return owner == resource, err
}

// assessmentBody is what of an assessment stands in one JSON column.
type assessmentBody struct {
	Secrecy       bool        `json:"secrecy"`
	SecrecyRecord string      `json:"secrecy_record,omitempty"`
	Treatments    []Treatment `json:"treatments"`
	Quasi         []string    `json:"quasi,omitempty"`
	Risk          Risk        `json:"risk"`
	Risks         string      `json:"risks"`
	Measures      string      `json:"measures"`
}

func putAssessment(ctx context.Context, tx *db.Tx, a *Assessment) error {
	content, err1 := json.Marshal(assessmentBody{a.Secrecy, a.SecrecyRecord, a.Treatments, a.Quasi, a.Risk, a.Risks, a.Measures})
	findings, err2 := json.Marshal(a.Findings)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO opendata_assessment (id, resource, catalog_version, made_by, made_name, made_at, content, findings) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		a.ID, a.Resource, a.CatalogVersion, a.MadeBy, a.MadeName, db.Ms(a.MadeAt), string(content), string(findings))
	return err
}

const assessmentColumns = `id, resource, catalog_version, made_by, made_name, made_at, content, findings`

func scanAssessment(row *sql.Row) (*Assessment, error) {
	var a Assessment
	var at int64
	var content, findings string
	err := row.Scan(&a.ID, &a.Resource, &a.CatalogVersion, &a.MadeBy, &a.MadeName, &at, &content, &findings)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, errs.T("还没有开放前评估", "there is no assessment before opening yet")).By("FZO-30")
	}
	if err != nil {
		return nil, err
	}
	var b assessmentBody
	if err := errors.Join(json.Unmarshal([]byte(content), &b), json.Unmarshal([]byte(findings), &a.Findings)); err != nil {
		return nil, fmt.Errorf("opendata_assessment %s: %w", a.ID, err)
	}
	a.MadeAt = db.Time(at)
	a.Secrecy, a.SecrecyRecord, a.Treatments, a.Quasi, a.Risk, a.Risks, a.Measures = b.Secrecy, b.SecrecyRecord, b.Treatments, b.Quasi, b.Risk, b.Risks, b.Measures
	return &a, nil
}

func latestAssessment(ctx context.Context, q db.Querier, resource string) (*Assessment, error) {
	return scanAssessment(q.QueryRow(ctx, `SELECT `+assessmentColumns+` FROM opendata_assessment WHERE resource = $1 ORDER BY made_at DESC, id DESC LIMIT 1`, resource))
}

func getAssessment(ctx context.Context, q db.Querier, id string) (*Assessment, error) {
	return scanAssessment(q.QueryRow(ctx, `SELECT `+assessmentColumns+` FROM opendata_assessment WHERE id = $1`, id))
}

func putVersion(ctx context.Context, tx *db.Tx, e *Entry, files []File) error {
	digests := map[string]string{}
	bytes := int64(0)
	for _, f := range files {
		digests[f.Format] = f.SHA256
		bytes += f.Size
	}
	text, err := json.Marshal(digests)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO opendata_version (resource, version, at, catalog_version, source_no, rows, bytes, digests) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
		ON CONFLICT (resource, version) DO UPDATE SET at = excluded.at, source_no = excluded.source_no, rows = excluded.rows, bytes = excluded.bytes, digests = excluded.digests`,
		e.Resource, e.Version, db.Ms(e.PublishedAt), e.CatalogVersion, e.SourceNo, e.Rows, bytes, string(text))
	return err
}
