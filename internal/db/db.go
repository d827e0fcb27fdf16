// Package db opens the control store on SQLite or PostgreSQL behind one handle
// and one SQL text.
//
// Statements use $1 placeholders and the types TEXT, BIGINT, BOOLEAN, DOUBLE
// PRECISION and BYTEA, which both databases take. Times are BIGINT, milliseconds
// since 1970 UTC ([Ms], [Time]); ids are TEXT from [NewID]; JSON is TEXT. Only
// this package and warehouse know which database it is.
package db

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gongshu/internal/errs"
)

// Dialect is which of the two databases serves.
type Dialect string

// The two dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Querier is what store functions take: a transaction or the reading side.
type Querier interface {
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is the control store. Its methods may be called by many goroutines.
type DB struct {
	Dialect Dialect
	// Pool is the native PostgreSQL pool that also carries the database/sql
	// handles; nil on SQLite.
	Pool *pgxpool.Pool

	write *sql.DB // SQLite: one connection, so that writers queue here and not in the file lock
	read  *sql.DB
}

// Open opens "sqlite:/path/file.db" or "postgres://…" and answers a ping. It
// does not migrate; see [DB.Migrate].
func Open(ctx context.Context, target string) (*DB, error) {
	path, isFile := strings.CutPrefix(target, "sqlite:")
	switch {
	case isFile:
		return openSQLite(ctx, path)
	case strings.HasPrefix(target, "postgres://"), strings.HasPrefix(target, "postgresql://"):
		return openPostgres(ctx, target)
	}
	return nil, errs.Newf(errs.Invalid,
		"数据库地址应以 sqlite: 或 postgres:// 开头",
		"a database address starts with sqlite: or postgres://")
}

// SQLiteDSN is the address for the driver "sqlite" of a file opened the way this
// program opens every SQLite file: WAL, foreign keys, ten seconds of patience.
// synchronous is "FULL" where an acknowledgement follows the commit, "NORMAL"
// where losing the last commits only repeats work. Immediate transactions take
// the write lock at BEGIN, so that none fails half-way with SQLITE_BUSY.
func SQLiteDSN(path, synchronous string) string {
	q := url.Values{}
	for _, pragma := range []string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")",
		"foreign_keys(1)", "cache_size(-16000)", "temp_store(MEMORY)",
	} {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", "immediate")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	dsn := SQLiteDSN(path, "FULL")
	write, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := write.PingContext(ctx); err != nil {
		write.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	return &DB{Dialect: SQLite, write: write, read: read}, nil
}

func openPostgres(ctx context.Context, target string) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(target)
	if err != nil {
		return nil, fmt.Errorf("database address: %w", err)
	}
	if !strings.Contains(target, "pool_max_conns") {
		cfg.MaxConns = 24
	}
	// A stream of rows is read as it lies in the socket, not eight kilobytes a call.
	cfg.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, 64<<10), w)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	handle := stdlib.OpenDBFromPool(pool)
	handle.SetMaxIdleConns(0) // pgx keeps the idle ones; a second pool would hold them twice
	return &DB{Dialect: Postgres, Pool: pool, write: handle, read: handle}, nil
}

// Close ends all connections.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	if d.Pool != nil {
		d.Pool.Close()
	}
	return err
}

// Ping asks the store for a sign of life.
func (d *DB) Ping(ctx context.Context) error { return d.read.PingContext(ctx) }

// SQL is the writing handle, for libraries that want database/sql.
func (d *DB) SQL() *sql.DB { return d.write }

// Read is the reading side outside any transaction. On SQLite it sees what has
// been committed and never waits for a writer.
func (d *DB) Read() Querier { return reader{d.read} }

// Snapshot runs fn on one read-only transaction, so that all it reads agrees.
func (d *DB) Snapshot(ctx context.Context, fn func(q Querier) error) error {
	opts := &sql.TxOptions{}
	if d.Dialect == Postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if d.Dialect == SQLite {
		// BEGIN IMMEDIATE, which the address asks for, is refused on a
		// query-only connection's behalf by waiting for the writer: begin plainly.
		if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
			return err
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return fn(connReader{conn})
	}
	tx, err := conn.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(&Tx{tx: tx, dialect: d.Dialect})
}

// Tx is a read-write transaction.
type Tx struct {
	tx      *sql.Tx
	dialect Dialect
	after   []func()
}

// Dialect is which database the transaction runs on.
func (t *Tx) Dialect() Dialect { return t.dialect }

// SQL is the transaction for libraries that want database/sql.
func (t *Tx) SQL() *sql.Tx { return t.tx }

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, query, args...)
}

// Query runs a query; the caller closes the rows before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query of one row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, args...)
}

// AfterCommit registers fn to run once the transaction has committed and not
// otherwise: for what memory must learn (caches, search), never for what must
// not be lost (that is a job).
func (t *Tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

// InTx runs fn in one transaction: committed when it returns nil, rolled back
// when it fails or panics. On SQLite there is one writer at a time, and fn must
// not call InTx again.
func (d *DB) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	raw, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return Classify(err)
	}
	defer raw.Rollback()
	tx := &Tx{tx: raw, dialect: d.Dialect}
	if err := fn(tx); err != nil {
		return Classify(err)
	}
	if err := raw.Commit(); err != nil {
		return Classify(err)
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

type reader struct{ db *sql.DB }

func (r reader) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return nil, errors.New("db: a write on the reading side")
}

func (r reader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.db.QueryContext(ctx, query, args...)
}

func (r reader) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return r.db.QueryRowContext(ctx, query, args...)
}

type connReader struct{ conn *sql.Conn }

func (r connReader) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return nil, errors.New("db: a write on the reading side")
}

func (r connReader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.conn.QueryContext(ctx, query, args...)
}

func (r connReader) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return r.conn.QueryRowContext(ctx, query, args...)
}

// NewID makes an id that sorts by the time of its making (UUID version 7).
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Ms is t as the stores keep it: milliseconds since 1970 UTC; 0 for the zero time.
func Ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time turns stored milliseconds into a UTC time; 0 gives the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// IsUnique reports whether err is a violated unique constraint or primary key.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// Classify gives a storage error that a user can understand its kind: a full
// disk, a lost or read-only database are Unavailable; an error that has a kind
// already, and any other, stays as it is.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.As(err); ok {
		return err
	}
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var dial *pgconn.ConnectError
	full := false
	switch {
	case errors.As(err, &pg):
		// 53: insufficient resources; 57P: operator intervention; 58: system
		// error; 08: connection; 25006: read-only transaction.
		full = strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") ||
			strings.HasPrefix(pg.Code, "58") || strings.HasPrefix(pg.Code, "08") || pg.Code == "25006"
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY:
			full = true
		}
	case errors.As(err, &dial), errors.Is(err, sql.ErrConnDone):
		full = true
	}
	if !full {
		return err
	}
	return errs.Newf(errs.Unavailable,
		"存储暂不可用，操作未执行，请稍后重试；如持续出现请联系系统管理员检查磁盘与数据库",
		"the store is unavailable and nothing was done; try again, and if it stays so ask the system administrator to check disk and database").
		Because(err).Retry(5)
}

// OrderBy is the ORDER BY of a list that its reader sorts: by the expression that
// columns give for sort, then by rest, so that pages do not overlap; by rest alone
// where columns do not know sort, so that no text of a request becomes SQL.
func OrderBy(columns map[string]string, sort string, desc bool, rest string) string {
	by := columns[sort]
	switch {
	case by == "":
		return " ORDER BY " + rest
	case desc:
		by += " DESC"
	}
	return " ORDER BY " + by + ", " + rest
}
