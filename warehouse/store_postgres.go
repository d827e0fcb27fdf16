package warehouse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"gongshu/internal/db"
	"gongshu/tabular"
)

// pgStore speaks PostgreSQL's own protocol: binary COPY in, prepared binary reads out.
type pgStore struct {
	pool   *pgxpool.Pool
	points pointQueue
}

func (p *pgStore) close() error { return nil } // the pool belongs to db.DB

// onConn gives fn the native connection of a transaction.
func onConn(x txn, fn func(c *pgx.Conn) error) error {
	return x.conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("warehouse: %T is not a PostgreSQL connection", driverConn)
		}
		return fn(c.Conn())
	})
}

// copyIn streams the feed into a table with binary COPY; it runs at the speed of
// the server because rows are encoded into one buffer without a value apiece.
func copyIn(ctx context.Context, c *pgx.Conn, into string, f *feed, withAt bool, at int64) error {
	columns := names(f.columns) + ", _seq"
	if withAt {
		columns += ", _at"
	}
	r := &copyReader{feed: f, withAt: withAt, at: at}
	r.buf = append(r.buf, copySignature...)
	_, err := c.PgConn().CopyFrom(ctx, r, "COPY "+into+" ("+columns+") FROM STDIN (FORMAT binary)")
	if r.err != nil && r.err != io.EOF {
		return r.err // what the source said, rather than the server's echo of it
	}
	return err
}

const copySignature = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// copyReader encodes rows as they are asked for.
type copyReader struct {
	feed   *feed
	withAt bool
	at     int64
	buf    []byte
	off    int
	err    error // io.EOF once the trailer is in buf
}

const copyChunk = 64 << 10

func (r *copyReader) Read(p []byte) (int, error) {
	if r.off == len(r.buf) {
		r.buf, r.off = r.buf[:0], 0
	}
	for r.err == nil && len(r.buf)-r.off < copyChunk {
		r.encodeRow()
	}
	if r.err != nil && r.err != io.EOF {
		return 0, r.err
	}
	if r.off == len(r.buf) {
		return 0, io.EOF
	}
	n := copy(p, r.buf[r.off:])
	r.off += n
	if r.off == len(r.buf) {
		r.buf, r.off = r.buf[:0], 0
	}
	return n, nil
}

func (r *copyReader) encodeRow() {
	f := r.feed
	ok, err := f.next()
	if err != nil {
		r.err = err
		return
	}
	if !ok {
		r.buf = append(r.buf, 0xff, 0xff)
		r.err = io.EOF
		return
	}
	fields := len(f.columns) + 1
	if r.withAt {
		fields++
	}
	buf := binary.BigEndian.AppendUint16(r.buf, uint16(fields))
	for i := range f.columns {
		c := &f.columns[i]
		text := f.cell(i)
		if len(text) > 0 && c.Type == Text {
			if err := f.checkText(i, text); err != nil {
				r.err = err
				return
			}
			buf = binary.BigEndian.AppendUint32(buf, uint32(len(text)))
			buf = append(buf, text...)
			continue
		}
		v, err := f.value(i)
		if err != nil {
			r.err = err
			return
		}
		if v.Kind == Null {
			buf = append(buf, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		buf = append(buf, 0, 0, 0, 8)
		buf = binary.BigEndian.AppendUint64(buf, uint64(v.N)) // int8 and the bits of a float8
	}
	buf = append(buf, 0, 0, 0, 8)
	buf = binary.BigEndian.AppendUint64(buf, uint64(f.seq()))
	if r.withAt {
		buf = append(buf, 0, 0, 0, 8)
		buf = binary.BigEndian.AppendUint64(buf, uint64(r.at))
	}
	r.buf = buf
}

func (p *pgStore) fill(ctx context.Context, x txn, t *table, f *feed, at int64) error {
	return onConn(x, func(c *pgx.Conn) error {
		err := copyIn(ctx, c, t.rowsName(), f, true, at)
		if db.IsUnique(err) {
			return duplicateKey(err)
		}
		return err
	})
}

// simple runs statements by the simple protocol: they name a table that lives for
// one transaction and must not stay in the cache of prepared ones.
func simple(ctx context.Context, c *pgx.Conn, statement string) (rows [][]int64, affected int64, err error) {
	results, err := c.PgConn().Exec(ctx, statement).ReadAll()
	if err != nil {
		return nil, 0, err
	}
	for _, r := range results {
		affected = r.CommandTag.RowsAffected()
		for _, row := range r.Rows {
			var numbers []int64
			for _, cell := range row {
				n, err := strconv.ParseInt(string(cell), 10, 64)
				if err != nil {
					return nil, 0, err
				}
				numbers = append(numbers, n)
			}
			rows = append(rows, numbers)
		}
	}
	return rows, affected, nil
}

func stage(ctx context.Context, c *pgx.Conn, t *table, f *feed) (string, error) {
	name := "stage_" + t.rowsName()
	var b strings.Builder
	b.WriteString("CREATE TEMPORARY TABLE " + name + " (_seq BIGINT")
	for _, col := range f.columns {
		b.WriteString(", " + col.Name + " ")
		switch col.kind() {
		case String:
			b.WriteString(`TEXT COLLATE "C"`)
		case Floating:
			b.WriteString("DOUBLE PRECISION")
		default:
			b.WriteString("BIGINT")
		}
	}
	b.WriteString(") ON COMMIT DROP")
	if _, _, err := simple(ctx, c, b.String()); err != nil {
		return "", err
	}
	return name, copyIn(ctx, c, name, f, false, 0)
}

func (p *pgStore) merge(ctx context.Context, x txn, t *table, f *feed, at int64) (inserted, updated int64, err error) {
	err = onConn(x, func(c *pgx.Conn) error {
		from, err := stage(ctx, c, t, f)
		if err != nil {
			return err
		}
		if _, _, err := simple(ctx, c, "SAVEPOINT merge"); err != nil {
			return err
		}
		_, written, err := simple(ctx, c, mergeSQL(t, f, from, at, differs))
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "21000" {
			// A key came twice in the batch. That is rare, and telling so
			// beforehand costs a sort, so it is done only now.
			if _, _, err := simple(ctx, c, "ROLLBACK TO SAVEPOINT merge"); err != nil {
				return err
			}
			_, written, err = simple(ctx, c, mergeSQL(t, f, lastLines(t, f, from), at, always))
		}
		if err != nil {
			return err
		}
		inserted = written
		if t.rows > 0 && written > 0 {
			// A row that this transaction updated carries it in xmax, one that it
			// inserted does not. Counting afterwards costs less than RETURNING.
			rows, _, err := simple(ctx, c, "SELECT count(*) FROM "+t.rowsName()+" WHERE _seq >= "+strconv.FormatInt(f.base, 10)+" AND xmax = 0")
			if err != nil {
				return err
			}
			inserted = rows[0][0]
		}
		updated = written - inserted
		return nil
	})
	return inserted, updated, err
}

// mergeSQL inserts the rows of a staging table or updates those that the condition
// lets through.
func mergeSQL(t *table, f *feed, from string, at int64, when func(held, given string) string) string {
	columns := names(f.columns)
	return "INSERT INTO " + t.rowsName() + " (" + columns + ", _seq, _at) SELECT " + columns + ", _seq, " + strconv.FormatInt(at, 10) +
		" FROM " + from + onConflict(t, f, when)
}

func differs(held, given string) string { return "(" + held + ") IS DISTINCT FROM (" + given + ")" }

func always(held, given string) string { return "TRUE" }

// lastLines gives the last line of every key of a staging table that has a line
// which is not in the table as it stands.
func lastLines(t *table, f *feed, from string) string {
	keys := strings.Join(t.Key, ", ")
	return "(SELECT DISTINCT ON (" + keys + ") * FROM (SELECT line.*, bool_or(held._seq IS NULL OR " + differs(others(t, f, "held."), others(t, f, "line.")) +
		") OVER (PARTITION BY " + keys + ") AS _written FROM " + from + " AS line LEFT JOIN " + t.rowsName() + " AS held USING (" + keys + ")) AS lines WHERE _written ORDER BY " +
		keys + ", _seq DESC) AS last"
}

func (p *pgStore) remove(ctx context.Context, x txn, t *table, f *feed) (deleted int64, err error) {
	err = onConn(x, func(c *pgx.Conn) error {
		from, err := stage(ctx, c, t, f)
		if err != nil {
			return err
		}
		keys := strings.Join(t.Key, ", ")
		var join, gone strings.Builder
		for i, k := range t.Key {
			if i > 0 {
				join.WriteString(" AND ")
			}
			join.WriteString("r." + k + " = k." + k)
			gone.WriteString("r." + k + ", ")
		}
		_, deleted, err = simple(ctx, c, "WITH gone AS (DELETE FROM "+t.rowsName()+" AS r USING (SELECT "+keys+", max(_seq) AS _seq FROM "+from+" GROUP BY "+keys+") AS k WHERE "+join.String()+
			" RETURNING "+gone.String()+"k._seq) INSERT INTO "+t.tombsName()+" ("+keys+", _seq) SELECT "+keys+", _seq FROM gone ON CONFLICT ("+keys+") DO UPDATE SET _seq = excluded._seq")
		return err
	})
	return deleted, err
}

// pgCursor reads a prepared statement in binary, straight from the read buffer.
type pgCursor struct {
	conn   *pgxpool.Conn
	result *pgconn.ResultReader
	out    []Column
	ctx    context.Context // nil for a point read, whose answer is short
	cancel context.CancelFunc
	n      int
	ended  bool
}

var binaryFormat = []int16{1}

func (p *pgStore) open(ctx context.Context, q *query, out []Column, long bool) (cursor, error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, db.Classify(err)
	}
	text := q.sql.String()
	c, err := openOn(ctx, conn, text, q.args, out, long)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openOn(ctx context.Context, conn *pgxpool.Conn, text string, args []Value, out []Column, long bool) (*pgCursor, error) {
	name := statementName(text)
	if _, err := conn.Conn().Prepare(ctx, name, text); err != nil {
		conn.Release()
		return nil, err
	}
	c := &pgCursor{conn: conn, out: out, ctx: ctx}
	if long {
		ctx, c.cancel = context.WithCancel(ctx)
	}
	c.result = conn.Conn().PgConn().ExecPrepared(ctx, name, parameters(args), nil, binaryFormat)
	return c, nil
}

func statementName(text string) string {
	h := fnv.New128a()
	io.WriteString(h, text)
	var sum [16]byte
	return fmt.Sprintf("w_%x", h.Sum(sum[:0]))
}

// parameters encodes values as text, which every type accepts.
func parameters(args []Value) [][]byte {
	out := make([][]byte, len(args))
	for i, v := range args {
		out[i] = appendParameter(nil, v)
	}
	return out
}

func appendParameter(dst []byte, v Value) []byte {
	switch v.Kind {
	case Null:
		return nil
	case String:
		return append(dst, v.S...)
	case Floating:
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64)
	}
	return strconv.AppendInt(dst, v.N, 10)
}

func (c *pgCursor) next(row []Value) (bool, error) {
	if c.ended {
		return false, nil
	}
	// The driver sees the end of a context when it next waits for the server; rows
	// that have come already would all be given out before that.
	if c.n++; c.n%256 == 0 && c.ctx != nil {
		if err := c.ctx.Err(); err != nil {
			return false, err
		}
	}
	if !c.result.NextRow() {
		c.ended = true
		_, err := c.result.Close()
		return false, err
	}
	for i, cell := range c.result.Values() {
		switch {
		case cell == nil:
			row[i] = Value{}
		case c.out[i].Type == Text:
			row[i] = Value{Kind: String, S: unsafe.String(unsafe.SliceData(cell), len(cell))}
		default:
			row[i] = Value{Kind: c.out[i].kind(), N: int64(binary.BigEndian.Uint64(cell))}
		}
	}
	return true, nil
}

func (c *pgCursor) close() error {
	var err error
	if !c.ended {
		if c.cancel != nil {
			// Closing would read the rest of a stream that nobody wants; cutting
			// the connection costs less, and the pool opens another.
			c.cancel()
		}
		c.ended = true
		_, err = c.result.Close()
		if c.cancel != nil {
			err = nil
		}
	}
	if c.cancel != nil {
		c.cancel()
	}
	c.conn.Release()
	return err
}

func (p *pgStore) exists(ctx context.Context, t *table, columns []Column, b *tabular.Block, cells []int, out []bool) error {
	var sql strings.Builder
	args := make([]any, len(columns))
	texts := make([][]string, len(columns))
	ints := make([][]int64, len(columns))
	floats := make([][]float64, len(columns))
	at := make([]int, 0, b.Len())
	row := make([]Value, len(columns))
rows:
	for r := range b.Len() {
		out[r] = false
		for i, c := range columns {
			v, err := c.parse(b.Cell(r, cells[i]))
			if err != nil || v.Kind == Null {
				continue rows // no row can have it
			}
			row[i] = v
		}
		at = append(at, r)
		for i, v := range row {
			switch v.Kind {
			case String:
				texts[i] = append(texts[i], v.S)
			case Floating:
				floats[i] = append(floats[i], v.Float())
			default:
				ints[i] = append(ints[i], v.N)
			}
		}
	}
	if len(at) == 0 {
		return nil
	}
	sql.WriteString("SELECT u.i FROM unnest(")
	var aliases, where strings.Builder
	for i, c := range columns {
		kind := "int8[]"
		switch c.kind() {
		case String:
			kind, args[i] = "text[]", texts[i]
		case Floating:
			kind, args[i] = "float8[]", floats[i]
		default:
			args[i] = ints[i]
		}
		if i > 0 {
			sql.WriteString(", ")
			aliases.WriteString(", ")
			where.WriteString(" AND ")
		}
		n := strconv.Itoa(i + 1)
		sql.WriteString("$" + n + "::" + kind)
		aliases.WriteString("k" + n)
		where.WriteString("r." + c.Name + " = u.k" + n)
	}
	sql.WriteString(") WITH ORDINALITY AS u(" + aliases.String() + ", i) WHERE EXISTS (SELECT 1 FROM " + t.rowsName() + " AS r WHERE " + where.String() + ")")
	found, err := p.pool.Query(ctx, sql.String(), args...)
	if err != nil {
		return err
	}
	defer found.Close()
	var i int64
	for found.Next() {
		if err := found.Scan(&i); err != nil {
			return err
		}
		out[at[i-1]] = true
	}
	return found.Err()
}

func isLockTimeout(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}

// hideDetail drops the part of a server's message that quotes values.
func hideDetail(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("%s (SQLSTATE %s, %s)", pg.Message, pg.Code, pg.ConstraintName)
	}
	return err
}
