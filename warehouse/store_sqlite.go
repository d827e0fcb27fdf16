package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"gongshu/tabular"
)

// liteStore uses the driver below database/sql for what is done a million times:
// its prepared statements without the copying and locking of every call.
type liteStore struct {
	dsn    string
	driver sqlite.Driver
	// points bounds how many point reads run at once: more than the processors keep
	// busy would only open connections that stay cold.
	points chan struct{}
	mu     sync.Mutex
	idle   []*liteConn
	closed bool
}

func newLiteStore(dsn string) *liteStore {
	return &liteStore{dsn: dsn, points: make(chan struct{}, min(4*runtime.GOMAXPROCS(0), idleConns))}
}

// liteConn is a reading connection with its prepared statements.
type liteConn struct {
	conn  driver.Conn
	stmts map[string]*liteStmt
}

// liteStmt is a prepared statement with room for its arguments and results; one
// goroutine uses it at a time.
type liteStmt struct {
	stmt driver.Stmt
	args []driver.NamedValue
	dest []driver.Value
}

const (
	idleConns = 16
	keptStmts = 256
)

func (l *liteStore) get() (*liteConn, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, nil
	}
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, errors.New("warehouse: closed")
	}
	conn, err := l.driver.Open(l.dsn)
	if err != nil {
		return nil, err
	}
	return &liteConn{conn: conn, stmts: map[string]*liteStmt{}}, nil
}

func (l *liteStore) put(c *liteConn) {
	l.mu.Lock()
	if !l.closed && len(l.idle) < idleConns && len(c.stmts) < keptStmts {
		l.idle = append(l.idle, c)
		c = nil
	}
	l.mu.Unlock()
	if c != nil {
		c.close()
	}
}

func (c *liteConn) close() error {
	for _, s := range c.stmts {
		s.stmt.Close()
	}
	return c.conn.Close()
}

func (l *liteStore) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var err error
	for _, c := range l.idle {
		err = errors.Join(err, c.close())
	}
	l.idle = nil
	return err
}

func prepare(conn driver.Conn, text string, args, results int) (*liteStmt, error) {
	stmt, err := conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	s := &liteStmt{stmt: stmt, args: make([]driver.NamedValue, args), dest: make([]driver.Value, results)}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	return s, nil
}

func (c *liteConn) statement(text string, args, results int) (*liteStmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	s, err := prepare(c.conn, text, args, results)
	if err == nil {
		c.stmts[text] = s
	}
	return s, err
}

func (s *liteStmt) bind(i int, v Value) {
	switch v.Kind {
	case Null:
		s.args[i].Value = nil
	case String:
		s.args[i].Value = v.S
	case Floating:
		s.args[i].Value = v.Float()
	default:
		s.args[i].Value = v.N
	}
}

func (s *liteStmt) exec() (driver.Result, error) {
	// A background context: the driver starts a goroutine for one that can end.
	return s.stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
}

// onDriver gives fn the driver's connection of a transaction.
func onDriver(x txn, fn func(conn driver.Conn) error) error {
	return x.conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(driver.Conn)
		if !ok {
			return fmt.Errorf("warehouse: %T is not a driver connection", driverConn)
		}
		return fn(c)
	})
}

// eachRow binds the given cells, and the stamps after them, for every row of f.
func eachRow(ctx context.Context, f *feed, s *liteStmt, stamps int, do func() error) error {
	done := ctx.Done()
	for n := 0; ; n++ {
		if n%1024 == 0 && done != nil {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		ok, err := f.next()
		if err != nil || !ok {
			return err
		}
		for i := range f.columns {
			v, err := f.value(i)
			if err != nil {
				return err
			}
			s.bind(i, v)
		}
		if stamps > 0 {
			s.args[len(f.columns)].Value = f.seq()
		}
		if err := do(); err != nil {
			return err
		}
	}
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func insertSQL(t *table, f *feed) string {
	return "INSERT INTO " + t.rowsName() + " (" + names(f.columns) + ", _seq, _at) VALUES (" + marks(len(f.columns)+2) + ")"
}

func (l *liteStore) fill(ctx context.Context, x txn, t *table, f *feed, at int64) error {
	return onDriver(x, func(conn driver.Conn) error {
		s, err := prepare(conn, insertSQL(t, f), len(f.columns)+2, 0)
		if err != nil {
			return err
		}
		defer s.stmt.Close()
		s.args[len(f.columns)+1].Value = at
		err = eachRow(ctx, f, s, 1, func() error { _, err := s.exec(); return err })
		if isUniqueSQLite(err) {
			return duplicateKey(err)
		}
		return err
	})
}

func (l *liteStore) merge(ctx context.Context, x txn, t *table, f *feed, at int64) (inserted, updated int64, err error) {
	// A row that the batch has written already takes the stamp of its last line.
	conflict := onConflict(t, f, func(held, given string) string {
		return "(" + held + ") IS NOT (" + given + ") OR " + t.rowsName() + "._seq >= " + strconv.FormatInt(f.base, 10)
	})
	err = onDriver(x, func(conn driver.Conn) error {
		s, err := prepare(conn, insertSQL(t, f)+conflict, len(f.columns)+2, 0)
		if err != nil {
			return err
		}
		defer s.stmt.Close()
		s.args[len(f.columns)+1].Value = at
		err = eachRow(ctx, f, s, 1, func() error {
			r, err := s.exec()
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil || n == 0 {
				return err
			}
			// Only an insert sets the last rowid, which is the stamp.
			id, err := r.LastInsertId()
			if id == f.seq() {
				inserted++
			}
			return err
		})
		if err != nil {
			return err
		}
		// Counted by stamp, so that a key that came twice counts once.
		written, err := prepare(conn, "SELECT count(*) FROM "+t.rowsName()+" WHERE _seq >= ?", 1, 1)
		if err != nil {
			return err
		}
		defer written.stmt.Close()
		written.args[0].Value = f.base
		rows, err := written.stmt.(driver.StmtQueryContext).QueryContext(ctx, written.args)
		if err != nil {
			return err
		}
		defer rows.Close()
		if err := rows.Next(written.dest); err != nil {
			return err
		}
		n, _ := written.dest[0].(int64)
		updated = n - inserted
		return nil
	})
	return inserted, updated, err
}

func (l *liteStore) remove(ctx context.Context, x txn, t *table, f *feed) (deleted int64, err error) {
	keys := strings.Join(t.Key, ", ")
	var where strings.Builder
	for i, c := range f.columns {
		if i > 0 {
			where.WriteString(" AND ")
		}
		where.WriteString(c.Name + " = ?")
	}
	err = onDriver(x, func(conn driver.Conn) error {
		gone, err := prepare(conn, "DELETE FROM "+t.rowsName()+" WHERE "+where.String(), len(f.columns), 0)
		if err != nil {
			return err
		}
		defer gone.stmt.Close()
		tomb, err := prepare(conn, "INSERT INTO "+t.tombsName()+" ("+names(f.columns)+", _seq) VALUES ("+marks(len(f.columns)+1)+") ON CONFLICT ("+keys+") DO UPDATE SET _seq = excluded._seq", len(f.columns)+1, 0)
		if err != nil {
			return err
		}
		defer tomb.stmt.Close()
		return eachRow(ctx, f, gone, 0, func() error {
			r, err := gone.exec()
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil || n == 0 {
				return err
			}
			deleted += n
			for i := range f.columns {
				tomb.args[i].Value = gone.args[i].Value
			}
			tomb.args[len(f.columns)].Value = f.seq()
			_, err = tomb.exec()
			return err
		})
	})
	return deleted, err
}

// liteCursor walks over a prepared query on a connection of its own.
type liteCursor struct {
	store *liteStore
	conn  *liteConn
	stmt  *liteStmt
	rows  driver.Rows
	done  <-chan struct{}
	ctx   context.Context
	n     int
	ended bool // stepping on would run the query again
}

func (l *liteStore) open(ctx context.Context, q *query, out []Column, long bool) (cursor, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	cur, err := l.openOn(ctx, c, q.sql.String(), q.args, len(out))
	if err != nil {
		return nil, err
	}
	return cur, nil
}

func (l *liteStore) point(ctx context.Context, plan *pointPlan, call *pointCall, out *Rows) error {
	select {
	case l.points <- struct{}{}:
		defer func() { <-l.points }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := l.get()
	if err != nil {
		return err
	}
	cur, err := l.openOn(ctx, c, plan.sql, call.args, len(plan.out))
	if err != nil {
		return err
	}
	for {
		ok, err := cur.next(call.row)
		if err != nil || !ok {
			if cerr := cur.close(); err == nil {
				err = cerr
			}
			return err
		}
		out.add(call.row)
	}
}

func (l *liteStore) openOn(ctx context.Context, c *liteConn, text string, args []Value, results int) (*liteCursor, error) {
	s, err := c.statement(text, len(args), results)
	if err != nil {
		l.put(c)
		return nil, err
	}
	for i, v := range args {
		s.bind(i, v)
	}
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), s.args)
	if err != nil {
		l.put(c)
		return nil, err
	}
	return &liteCursor{store: l, conn: c, stmt: s, rows: rows, done: ctx.Done(), ctx: ctx}, nil
}

func (c *liteCursor) next(row []Value) (bool, error) {
	if c.ended || c.rows == nil {
		return false, nil
	}
	if c.n++; c.n%256 == 0 && c.done != nil {
		if err := c.ctx.Err(); err != nil {
			return false, err
		}
	}
	err := c.rows.Next(c.stmt.dest)
	if err == io.EOF {
		c.ended = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i, v := range c.stmt.dest {
		switch v := v.(type) {
		case nil:
			row[i] = Value{}
		case string:
			row[i] = Value{Kind: String, S: v}
		case int64:
			row[i] = Value{Kind: Number, N: v}
		case float64:
			row[i] = Value{Kind: Floating, N: int64(math.Float64bits(v))}
		default:
			return false, fmt.Errorf("warehouse: unexpected %T in a row", v)
		}
	}
	return true, nil
}

func (c *liteCursor) close() error {
	if c.rows == nil {
		return nil
	}
	err := c.rows.Close()
	c.rows = nil
	c.store.put(c.conn)
	return err
}

func (l *liteStore) exists(ctx context.Context, t *table, columns []Column, b *tabular.Block, cells []int, out []bool) error {
	var where strings.Builder
	for i, c := range columns {
		if i > 0 {
			where.WriteString(" AND ")
		}
		where.WriteString(c.Name + " = ?")
	}
	conn, err := l.get()
	if err != nil {
		return err
	}
	defer l.put(conn)
	s, err := conn.statement("SELECT 1 FROM "+t.rowsName()+" WHERE "+where.String()+" LIMIT 1", len(columns), 1)
	if err != nil {
		return err
	}
	ask := s.stmt.(driver.StmtQueryContext)
rows:
	for r := range b.Len() {
		out[r] = false
		for i, c := range columns {
			v, err := c.parse(b.Cell(r, cells[i]))
			if err != nil || v.Kind == Null {
				continue rows // no row can have it
			}
			s.bind(i, v)
		}
		rows, err := ask.QueryContext(context.Background(), s.args)
		if err != nil {
			return err
		}
		err = rows.Next(s.dest)
		out[r] = err == nil
		if err != nil && err != io.EOF {
			rows.Close()
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func isUniqueSQLite(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == 19 // SQLITE_CONSTRAINT
}
