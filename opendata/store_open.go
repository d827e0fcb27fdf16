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

// prepareSchema makes the schema that the address names, on PostgreSQL.
func prepareSchema(ctx context.Context, d *db.DB) error {
	if d.Dialect != db.Postgres {
		return nil
	}
	_, err := d.SQL().ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS open`)
	return err
}

func putDataset(ctx context.Context, tx *db.Tx, d *Dataset) error {
	content, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var seq int64
	err = tx.QueryRow(ctx, `INSERT INTO open_counter (name, value) VALUES ('change', 1)
		ON CONFLICT (name) DO UPDATE SET value = open_counter.value + 1 RETURNING value`).Scan(&seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO open_dataset (id, slug, state, seq, version, content) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, seq = excluded.seq, version = excluded.version, content = excluded.content`,
		d.ID, d.Slug, string(d.State), seq, d.Version, string(content))
	return err
}

func datasetSeq(ctx context.Context, q db.Querier, by, value string) (id string, seq int64, err error) {
	text := `SELECT id, seq FROM open_dataset WHERE id = $1`
	if by == "slug" {
		text = `SELECT id, seq FROM open_dataset WHERE slug = $1`
	}
	err = q.QueryRow(ctx, text, value).Scan(&id, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = errs.New(errs.NotFound, errs.T("没有这个数据集", "there is no such dataset"))
	}
	return id, seq, err
}

func getDataset(ctx context.Context, q db.Querier, id string) (*Dataset, int64, error) {
	var content string
	var seq int64
	if err := q.QueryRow(ctx, `SELECT content, seq FROM open_dataset WHERE id = $1`, id).Scan(&content, &seq); err != nil {
		return nil, 0, err
	}
	d := &Dataset{}
	if err := json.Unmarshal([]byte(content), d); err != nil {
		return nil, 0, fmt.Errorf("open dataset %s: %w", id, err)
	}
	return d, seq, nil
}

// datasetsAfter reads documents changed after a number of the sequence.
func datasetsAfter(ctx context.Context, q db.Querier, seq int64, limit int) (out []*Dataset, last int64, err error) {
	last = seq
	rows, err := q.Query(ctx, `SELECT content, seq FROM open_dataset WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
	if err != nil {
		return nil, seq, err
	}
	defer rows.Close()
	for rows.Next() {
		var content string
		if err := rows.Scan(&content, &last); err != nil {
			return nil, seq, err
		}
		d := &Dataset{}
		if err := json.Unmarshal([]byte(content), d); err != nil {
			return nil, seq, err
		}
		out = append(out, d)
	}
	return out, last, rows.Err()
}

func addCount(ctx context.Context, tx *db.Tx, k countKey, c count) error {
	_, err := tx.Exec(ctx, `INSERT INTO open_download (dataset, version, form, day, n, bytes) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (dataset, version, form, day) DO UPDATE SET n = open_download.n + excluded.n, bytes = open_download.bytes + excluded.bytes`,
		k.dataset, k.version, k.form, k.day, c.n, c.bytes)
	return err
}

func countsByDataset(ctx context.Context, q db.Querier) (map[string]int64, error) {
	return db.Pairs[string, int64](ctx, q, `SELECT dataset, sum(n) FROM open_download WHERE form <> 'api' GROUP BY dataset`)
}

// DayCount is one line of a dataset's use.
type DayCount struct {
	Day   string // 2006-01-02, Beijing
	Form  string // csv, xlsx, json, parquet, api
	N     int64
	Bytes int64
}

func countsOf(ctx context.Context, q db.Querier, dataset, since string) ([]DayCount, error) {
	return db.List(ctx, q, func(row db.Row) (DayCount, error) {
		var c DayCount
		err := row.Scan(&c.Day, &c.Form, &c.N, &c.Bytes)
		return c, err
	}, `SELECT day, form, sum(n), sum(bytes) FROM open_download WHERE dataset = $1 AND day >= $2 GROUP BY day, form ORDER BY day, form`, dataset, since)
}

// unaudited lists counters that run ahead of the log.
func unaudited(ctx context.Context, q db.Querier, limit int) (out []countLine, err error) {
	return db.List(ctx, q, func(row db.Row) (countLine, error) {
		var l countLine
		err := row.Scan(&l.dataset, &l.version, &l.form, &l.day, &l.n, &l.audited)
		return l, err
	}, `SELECT dataset, version, form, day, n, audited FROM open_download WHERE n > audited ORDER BY dataset, version, form, day LIMIT $1`, limit)
}

func setAudited(ctx context.Context, tx *db.Tx, l countLine) error {
	_, err := tx.Exec(ctx, `UPDATE open_download SET audited = $5 WHERE dataset = $1 AND version = $2 AND form = $3 AND day = $4`, l.dataset, l.version, l.form, l.day, l.n)
	return err
}

func lastChange(ctx context.Context, q db.Querier) (int64, error) {
	var seq int64
	err := q.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM open_dataset`).Scan(&seq)
	return seq, err
}

// useSince counts downloads and calls of each dataset from a day on.
func useSince(ctx context.Context, q db.Querier, day string) (map[string]int64, error) {
	return db.Pairs[string, int64](ctx, q, `SELECT dataset, sum(n) FROM open_download WHERE day >= $1 GROUP BY dataset`, day)
}
