package quality

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func insertBatch(ctx context.Context, q db.Querier, l Ledger, kept Kept, tallies []Tally, at int64) error {
	columns, err := json.Marshal(l.Columns)
	if err != nil {
		return err
	}
	code := kept.Rows.code
	if code == nil {
		code = []byte{}
	}
	if _, err := q.Exec(ctx, `INSERT INTO quality_ledger (batch, resource, body, rejected, open, rows, open_rows, columns, noted)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, l.Batch, l.Resource, l.Body, l.Rejected, l.Open, code, code, string(columns), at); err != nil {
		return err
	}
	for i, c := range kept.Chunks {
		if _, err := q.Exec(ctx, `INSERT INTO quality_chunk (batch, seq, first_row, last_row, count, object) VALUES ($1, $2, $3, $4, $5, $6)`,
			l.Batch, i, c.First, c.Last, c.Count, c.Object); err != nil {
			return err
		}
	}
	for _, t := range tallies {
		if _, err := q.Exec(ctx, `INSERT INTO quality_tally (batch, item, code, count) VALUES ($1, $2, $3, $4)`, l.Batch, t.Item, t.Code, t.Count); err != nil {
			return err
		}
	}
	return nil
}

func dropBatch(ctx context.Context, q db.Querier, batch string) ([]string, error) {
	chunks, err := readChunks(ctx, q, batch)
	if err != nil {
		return nil, err
	}
	var objects []string
	for _, c := range chunks {
		objects = append(objects, c.Object)
	}
	for _, stmt := range []string{
		`DELETE FROM quality_ledger WHERE batch = $1`, `DELETE FROM quality_chunk WHERE batch = $1`, `DELETE FROM quality_tally WHERE batch = $1`,
	} {
		if _, err := q.Exec(ctx, stmt, batch); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

func readLedger(ctx context.Context, q db.Querier, batch string) (l Ledger, rows, open RowSet, err error) {
	var columns string
	var all, left []byte
	err = q.QueryRow(ctx, `SELECT batch, resource, body, rejected, open, rows, open_rows, columns FROM quality_ledger WHERE batch = $1`, batch).
		Scan(&l.Batch, &l.Resource, &l.Body, &l.Rejected, &l.Open, &all, &left, &columns)
	if errors.Is(err, sql.ErrNoRows) {
		return l, rows, open, errs.Newf(errs.NotFound, "该批次没有检查记录", "the batch has no record of checks")
	}
	if err != nil {
		return l, rows, open, err
	}
	if err := json.Unmarshal([]byte(columns), &l.Columns); err != nil {
		return l, rows, open, err
	}
	return l, decodeRows(all, l.Rejected), decodeRows(left, l.Open), nil
}

func updateOpen(ctx context.Context, q db.Querier, batch string, rest RowSet) error {
	code := rest.code
	if code == nil {
		code = []byte{}
	}
	_, err := q.Exec(ctx, `UPDATE quality_ledger SET open = $2, open_rows = $3 WHERE batch = $1`, batch, rest.Len(), code)
	return err
}

func readChunks(ctx context.Context, q db.Querier, batch string) ([]Chunk, error) {
	return db.List(ctx, q, func(row db.Row) (Chunk, error) {
		var c Chunk
		err := row.Scan(&c.First, &c.Last, &c.Count, &c.Object)
		return c, err
	}, `SELECT first_row, last_row, count, object FROM quality_chunk WHERE batch = $1 ORDER BY seq`, batch)
}

func readTallies(ctx context.Context, q db.Querier, batch string) ([]Tally, error) {
	return tallies(q.Query(ctx, `SELECT item, code, count FROM quality_tally WHERE batch = $1 ORDER BY count DESC, item, code`, batch))
}

func sumTallies(ctx context.Context, q db.Querier, resource string, since int64) ([]Tally, error) {
	return tallies(q.Query(ctx, `SELECT t.item, t.code, CAST(SUM(t.count) AS BIGINT) FROM quality_tally t JOIN quality_ledger l ON l.batch = t.batch
		WHERE l.resource = $1 AND l.noted >= $2 GROUP BY t.item, t.code ORDER BY 3 DESC, 1, 2`, resource, since))
}

func tallies(rows *sql.Rows, err error) ([]Tally, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Tally
	for rows.Next() {
		var t Tally
		if err := rows.Scan(&t.Item, &t.Code, &t.Count); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

func openByBody(ctx context.Context, q db.Querier, body string) (map[string]int64, error) {
	return db.Pairs[string, int64](ctx, q, `SELECT resource, CAST(SUM(open) AS BIGINT) FROM quality_ledger WHERE open > 0 AND ($1 = '' OR body = $1) GROUP BY resource`, body)
}
