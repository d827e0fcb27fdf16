package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/internal/db"
)

// newDatabase makes a database on a server, for one suite.
func newDatabase(ctx context.Context, server string) (address string, drop func(), err error) {
	admin, err := pgxpool.New(ctx, server)
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(server)
	if err != nil {
		admin.Close()
		return "", nil, err
	}
	name := "bench_" + strings.ReplaceAll(db.NewID(), "-", "")
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		admin.Close()
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func() {
		admin.Exec(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		admin.Close()
	}, nil
}

// rawPostgres is what PostgreSQL does with the same rows when nothing is asked of
// it but to store them: the other side of the comparisons.
type rawPostgres struct {
	*pgxpool.Pool
	serial int
}

// table makes a fresh keyed table, with rows unless nil.
func (r *rawPostgres) table(ctx context.Context, rows *benchRows) (string, error) {
	r.serial++
	t := fmt.Sprintf("raw_%d", r.serial)
	_, err := r.Exec(ctx, "CREATE TABLE "+t+" "+benchDDL)
	if err == nil && rows != nil {
		_, _, err = r.copy(ctx, t, rows)
	}
	return t, err
}

func (r *rawPostgres) drop(ctx context.Context, t string) { r.Exec(ctx, "DROP TABLE "+t) }

// copy loads rows by COPY of their CSV.
func (r *rawPostgres) copy(ctx context.Context, into string, rows *benchRows) (int, time.Duration, error) {
	c, err := r.Acquire(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Release()
	began := time.Now()
	_, err = c.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(rows.csv), "COPY "+into+" FROM STDIN (FORMAT csv)")
	return rows.n, time.Since(began), err
}

// merge is COPY to a temporary table and insert … on conflict.
func (r *rawPostgres) merge(ctx context.Context, into string, rows *benchRows) (int, time.Duration, error) {
	c, err := r.Acquire(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Release()
	began := time.Now()
	pg := c.Conn().PgConn()
	if _, err := pg.Exec(ctx, "BEGIN; CREATE TEMPORARY TABLE stage (LIKE "+into+") ON COMMIT DROP").ReadAll(); err != nil {
		return 0, 0, err
	}
	if _, err := pg.CopyFrom(ctx, bytes.NewReader(rows.csv), "COPY stage FROM STDIN (FORMAT csv)"); err != nil {
		return 0, 0, err
	}
	_, err = pg.Exec(ctx, "INSERT INTO "+into+" SELECT * FROM stage ON CONFLICT (c1) DO UPDATE SET c2 = excluded.c2, c3 = excluded.c3, c4 = excluded.c4, c5 = excluded.c5, c6 = excluded.c6, c7 = excluded.c7, c8 = excluded.c8, c9 = excluded.c9, c10 = excluded.c10; COMMIT").ReadAll()
	return rows.n, time.Since(began), err
}

// rawInsert makes a keyed table in a SQLite file and inserts the rows by one
// prepared statement in one transaction.
func rawInsert(ctx context.Context, raw *sql.DB, table string, rows *benchRows) (int, time.Duration, error) {
	if _, err := raw.ExecContext(ctx, "CREATE TABLE "+table+" "+benchLiteDDL); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	tx, err := raw.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
	if err != nil {
		return 0, 0, err
	}
	args := make([]any, 10)
	for _, b := range rows.blocks {
		for r := range b.Len() {
			for c := range args {
				args[c] = string(b.Cell(r, c))
			}
			if _, err := insert.ExecContext(ctx, args...); err != nil {
				return 0, 0, err
			}
		}
	}
	return rows.n, time.Since(began), tx.Commit()
}
