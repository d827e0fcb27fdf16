package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/internal/db"
)

// writeTimeout bounds one commit of the appender: a store that hangs is a store
// that is down.
const writeTimeout = 15 * time.Second

// insertTx raises the head and inserts entries; it returns the first's number.
func insertTx(ctx context.Context, q db.Querier, leaves [][]byte, contents []string) (first int64, err error) {
	n := int64(len(leaves))
	if err := q.QueryRow(ctx, `UPDATE audit_head SET size = size + $1 WHERE id = 1 RETURNING size`, n).Scan(&first); err != nil {
		return 0, fmt.Errorf("audit head: %w", err)
	}
	first -= n
	const chunk = 64
	for from := 0; from < len(leaves); from += chunk {
		to := min(from+chunk, len(leaves))
		args := make([]any, 0, 3*(to-from))
		for i := from; i < to; i++ {
			args = append(args, first+int64(i), leaves[i], contents[i])
		}
		if _, err := q.Exec(ctx, insertSQL(to-from), args...); err != nil {
			return 0, fmt.Errorf("audit entry: %w", err)
		}
	}
	return first, nil
}

func insertSQL(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO audit_entry (seq, leaf, content) VALUES `)
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "($%d,$%d,$%d)", 3*i+1, 3*i+2, 3*i+3)
	}
	return b.String()
}

func newWriter(d *db.DB) writer {
	if d.Pool != nil {
		return &pgWriter{pool: d.Pool}
	}
	return &fileWriter{db: d.SQL()}
}

// pgWriter sends a batch as one statement, which is its own transaction: one
// round trip and one flush of the write-ahead log. Its connection is its own, out of
// the pool, so that it never waits behind the reads that wait for it.
type pgWriter struct {
	pool *pgxpool.Pool
	conn *pgx.Conn
	// The parameters of the statement in PostgreSQL's binary form, used again for
	// each batch.
	count, leaves, contents []byte
}

const appendSQL = `
	WITH head AS (UPDATE audit_head SET size = size + $1 WHERE id = 1 RETURNING size - $1 AS first),
	added AS (INSERT INTO audit_entry (seq, leaf, content)
		SELECT head.first + e.n - 1, e.leaf, e.content
		FROM head, unnest($2::bytea[], $3::text[]) WITH ORDINALITY AS e (leaf, content, n))
	SELECT first FROM head`

func (w *pgWriter) write(leaves [][]byte, contents []string) (first int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if w.conn == nil {
		taken, err := w.pool.Acquire(ctx)
		if err != nil {
			return 0, db.Classify(err)
		}
		w.conn = taken.Hijack()
	}
	if first, err = w.send(ctx, leaves, contents); err != nil {
		w.close() // whatever its state, the next batch begins on a new one
	}
	return first, db.Classify(err)
}

func (w *pgWriter) send(ctx context.Context, leaves [][]byte, contents []string) (first int64, err error) {
	statement, err := w.conn.Prepare(ctx, "audit_append", appendSQL)
	if err != nil {
		return 0, err
	}
	w.count = binary.BigEndian.AppendUint64(w.count[:0], uint64(len(leaves)))
	w.leaves = appendArray(w.leaves[:0], pgtype.ByteaOID, leaves)
	w.contents = appendArray(w.contents[:0], pgtype.TextOID, contents)
	result := w.conn.PgConn().ExecStatement(ctx, statement, [][]byte{w.count, w.leaves, w.contents}, []int16{1}, []int16{1}).Read()
	if result.Err != nil {
		return 0, result.Err
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 1 || len(result.Rows[0][0]) != 8 {
		return 0, errors.New("audit_head has no row")
	}
	return int64(binary.BigEndian.Uint64(result.Rows[0][0])), nil
}

// appendArray appends a list as PostgreSQL reads an array in binary: one dimension
// from 1, no NULL.
func appendArray[T []byte | string](dst []byte, element uint32, list []T) []byte {
	for _, n := range []uint32{1, 0, element, uint32(len(list)), 1} {
		dst = binary.BigEndian.AppendUint32(dst, n)
	}
	for _, v := range list {
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...)
	}
	return dst
}

func (w *pgWriter) close() error {
	if w.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := w.conn.Close(ctx)
	w.conn = nil
	return err
}

// fileWriter keeps prepared statements on SQLite's one writing connection.
type fileWriter struct {
	db    *sql.DB
	head  *sql.Stmt
	many  *sql.Stmt // fileRows rows
	one   *sql.Stmt
	ready bool
}

const fileRows = 16

func (w *fileWriter) prepare(ctx context.Context) (err error) {
	if w.ready {
		return nil
	}
	if w.head, err = w.db.PrepareContext(ctx, `UPDATE audit_head SET size = size + $1 WHERE id = 1 RETURNING size`); err != nil {
		return err
	}
	if w.many, err = w.db.PrepareContext(ctx, insertSQL(fileRows)); err != nil {
		return err
	}
	if w.one, err = w.db.PrepareContext(ctx, insertSQL(1)); err != nil {
		return err
	}
	w.ready = true
	return nil
}

func (w *fileWriter) write(leaves [][]byte, contents []string) (first int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := w.prepare(ctx); err != nil {
		return 0, db.Classify(err)
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, db.Classify(err)
	}
	defer tx.Rollback()
	n := int64(len(leaves))
	if err := tx.StmtContext(ctx, w.head).QueryRowContext(ctx, n).Scan(&first); err != nil {
		return 0, db.Classify(err)
	}
	first -= n
	many, one := tx.StmtContext(ctx, w.many), tx.StmtContext(ctx, w.one)
	args := make([]any, 0, 3*fileRows)
	for i := 0; i < len(leaves); {
		stmt, rows := one, 1
		if len(leaves)-i >= fileRows {
			stmt, rows = many, fileRows
		}
		args = args[:0]
		for ; rows > 0; rows-- {
			args = append(args, first+int64(i), leaves[i], contents[i])
			i++
		}
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return 0, db.Classify(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, db.Classify(err)
	}
	return first, nil
}

func (w *fileWriter) close() error {
	for _, s := range []*sql.Stmt{w.head, w.many, w.one} {
		if s != nil {
			s.Close()
		}
	}
	return nil
}

// row is one stored entry.
type row struct {
	seq     int64
	leaf    []byte
	content []byte // nil when pruned
}

func headSize(ctx context.Context, q db.Querier) (size int64, err error) {
	err = q.QueryRow(ctx, `SELECT size FROM audit_head WHERE id = 1`).Scan(&size)
	return size, err
}

func treeSize(ctx context.Context, q db.Querier) (size int64, err error) {
	err = q.QueryRow(ctx, `SELECT size FROM audit_tree WHERE id = 1`).Scan(&size)
	return size, err
}

// readPage bounds one statement of readEntries, so that a long walk neither
// holds a snapshot that keeps the database from tidying up nor fills memory.
const readPage = 8192

// readEntries calls fn for the entries from ≤ seq < to in order; to may lie beyond
// the end. The slices of a row are fn's only during the call.
func readEntries(ctx context.Context, d *db.DB, from, to int64, fn func(row) error) error {
	const query = `SELECT seq, leaf, content FROM audit_entry WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT $3`
	read := readRows
	if d.Pool != nil {
		read = readNative
	}
	for from < to {
		n := 0
		if err := read(ctx, d, query, from, to, func(r row) error {
			n++
			from = r.seq + 1
			return fn(r)
		}); err != nil {
			return err
		}
		if n < readPage {
			return nil
		}
	}
	return nil
}

func readRows(ctx context.Context, d *db.DB, query string, from, to int64, fn func(row) error) error {
	rows, err := d.Read().Query(ctx, query, from, to, readPage)
	if err != nil {
		return err
	}
	var r row
	var leaf, content sql.RawBytes
	for rows.Next() {
		if err = rows.Scan(&r.seq, &leaf, &content); err != nil {
			break
		}
		r.leaf, r.content = leaf, content
		if err = fn(r); err != nil {
			break
		}
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// readNative reads the wire's own bytes: in binary form a bigint is eight bytes,
// bytea and text are what they are.
func readNative(ctx context.Context, d *db.DB, query string, from, to int64, fn func(row) error) error {
	rows, err := d.Pool.Query(ctx, query, from, to, readPage)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		raw := rows.RawValues()
		if len(raw) != 3 || len(raw[0]) != 8 {
			return errors.New("audit_entry has another shape than expected")
		}
		if err := fn(row{seq: int64(binary.BigEndian.Uint64(raw[0])), leaf: raw[1], content: raw[2]}); err != nil {
			return err
		}
	}
	return rows.Err()
}

func readTile(ctx context.Context, q db.Querier, id tileID) (data []byte, err error) {
	err = q.QueryRow(ctx, `SELECT data FROM audit_tile WHERE level = $1 AND n = $2`, id.level, id.n).Scan(&data)
	return data, err
}

// readTiles reads the tiles of a level with numbers from ≤ n < to.
func readTiles(ctx context.Context, q db.Querier, level, from, to int64) (map[int64][]byte, error) {
	rows, err := q.Query(ctx, `SELECT n, data FROM audit_tile WHERE level = $1 AND n >= $2 AND n < $3`, level, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tiles := map[int64][]byte{}
	for rows.Next() {
		var n int64
		var data []byte
		if err := rows.Scan(&n, &data); err != nil {
			return nil, err
		}
		tiles[n] = data
	}
	return tiles, rows.Err()
}

func readCheckpoints(ctx context.Context, q db.Querier, before int64, limit int) ([]Checkpoint, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	return db.List(ctx, q, func(row db.Row) (Checkpoint, error) {
		var c Checkpoint
		var at int64
		if err := row.Scan(&c.Size, &at, &c.Note); err != nil {
			return c, err
		}
		// What the note says is checked by its verifiers; here it is only shown.
		if text, _, ok := strings.Cut(c.Note, "\n\n"); ok {
			if parsed, err := parseCheckpointText(text + "\n"); err == nil {
				c.Origin, c.Root = parsed.Origin, parsed.Root
			}
		}
		c.At = db.Time(at)
		return c, nil
	}, `SELECT size, at, note FROM audit_checkpoint WHERE size < $1 ORDER BY size DESC LIMIT $2`, before, limit)
}

func writeIndex(ctx context.Context, q db.Querier, index *blockIndex) error {
	for _, b := range index.blocks {
		if _, err := q.Exec(ctx, `INSERT INTO audit_block (n, first_at, last_at, fields) VALUES ($1, $2, $3, $4)
			ON CONFLICT (n) DO UPDATE SET first_at = excluded.first_at, last_at = excluded.last_at, fields = excluded.fields`, b.n, b.first, b.last, indexFields); err != nil {
			return err
		}
	}
	const chunk = 100
	for from := 0; from < len(index.values); from += chunk {
		part := index.values[from:min(from+chunk, len(index.values))]
		var b strings.Builder
		b.WriteString(`INSERT INTO audit_index (field, value, block) VALUES `)
		args := make([]any, 0, 3*len(part))
		for i, v := range part {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "($%d,$%d,$%d)", 3*i+1, 3*i+2, 3*i+3)
			args = append(args, v.field, v.value, v.block)
		}
		if _, err := q.Exec(ctx, b.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

// oldBlocks lists at most limit blocks whose fields are of another version.
func oldBlocks(ctx context.Context, q db.Querier, limit int) (list []int64, err error) {
	return db.Values[int64](ctx, q, `SELECT n FROM audit_block WHERE fields <> $1 ORDER BY n LIMIT $2`, indexFields, limit)
}

func dropIndex(ctx context.Context, q db.Querier, block int64) error {
	_, err := q.Exec(ctx, `DELETE FROM audit_index WHERE block = $1`, block)
	return err
}

// writeTree moves the tree from size old to the checkpoint's; false when another
// node has moved it meanwhile.
func writeTree(ctx context.Context, q db.Querier, old int64, c Checkpoint, tiles map[tileID][]byte, index *blockIndex) (bool, error) {
	done, err := q.Exec(ctx, `UPDATE audit_tree SET size = $1 WHERE id = 1 AND size = $2`, c.Size, old)
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	for id, data := range tiles {
		if _, err := q.Exec(ctx, `INSERT INTO audit_tile (level, n, data) VALUES ($1, $2, $3)
			ON CONFLICT (level, n) DO UPDATE SET data = excluded.data`, id.level, id.n, data); err != nil {
			return false, err
		}
	}
	if err := writeIndex(ctx, q, index); err != nil {
		return false, err
	}
	_, err = q.Exec(ctx, `INSERT INTO audit_checkpoint (size, at, note) VALUES ($1, $2, $3)`, c.Size, db.Ms(c.At), c.Note)
	return true, err
}

// indexedBlocks is how many blocks the search index covers.
func indexedBlocks(ctx context.Context, q db.Querier) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT COALESCE(MAX(n) + 1, 0) FROM audit_block`).Scan(&n)
	return n, err
}

// lastBlock is the last block below before in which every value of the filter
// occurs and whose time overlaps the filter's. It walks down the index of the first
// value asked for, which is of the rarest kind, and looks the others up.
func lastBlock(ctx context.Context, q db.Querier, f *Filter, before int64) (n int64, found bool, err error) {
	var w db.Where
	from, block := `audit_block b`, `b.n`
	for _, fv := range f.fields() {
		switch {
		case fv[1] == "":
		case len(w.Args) == 0:
			from, block = `audit_index v`, `v.block`
			w.Add(`v.field = ? AND v.value = ?`, fv[0], cut(fv[1]))
		default:
			w.Add(`EXISTS (SELECT 1 FROM audit_index i WHERE i.field = ? AND i.value = ? AND i.block = v.block)`, fv[0], cut(fv[1]))
		}
	}
	if !f.From.IsZero() || !f.To.IsZero() {
		from, to := int64(0), int64(1<<63-1)
		if !f.From.IsZero() {
			from = db.Ms(f.From)
		}
		if !f.To.IsZero() {
			to = db.Ms(f.To)
		}
		w.Add(`EXISTS (SELECT 1 FROM audit_block t WHERE t.n = `+block+` AND t.last_at >= ? AND t.first_at < ?)`, from, to)
	}
	w.Add(block+` < ?`, before)
	err = q.QueryRow(ctx, `SELECT `+block+` FROM `+from+w.String()+` ORDER BY `+block+` DESC LIMIT 1`, w.Args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// allCheckpoints are the checkpoints as the columns say, notes unread, ascending.
func allCheckpoints(ctx context.Context, q db.Querier) (list []Checkpoint, err error) {
	return db.List(ctx, q, func(row db.Row) (Checkpoint, error) {
		var c Checkpoint
		var at int64
		if err := row.Scan(&c.Size, &at, &c.Note); err != nil {
			return c, err
		}
		c.At = db.Time(at)
		return c, nil
	}, `SELECT size, at, note FROM audit_checkpoint ORDER BY size`)
}

// firstEntryFrom is the first entry numbered seq or higher.
func firstEntryFrom(ctx context.Context, q db.Querier, seq int64) (first int64, found bool, err error) {
	err = q.QueryRow(ctx, `SELECT seq FROM audit_entry WHERE seq >= $1 ORDER BY seq LIMIT 1`, seq).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return first, err == nil, err
}

func readSpans(ctx context.Context, q db.Querier) (map[int64]blockSpan, error) {
	rows, err := q.Query(ctx, `SELECT n, first_at, last_at FROM audit_block WHERE fields = $1`, indexFields)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	spans := map[int64]blockSpan{}
	for rows.Next() {
		var s blockSpan
		if err := rows.Scan(&s.n, &s.first, &s.last); err != nil {
			return nil, err
		}
		spans[s.n] = s
	}
	return spans, rows.Err()
}

func eachIndex(ctx context.Context, q db.Querier, fn func(blockValue) error) error {
	rows, err := q.Query(ctx, `SELECT i.field, i.value, i.block FROM audit_index i JOIN audit_block b ON b.n = i.block WHERE b.fields = $1`, indexFields)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v blockValue
		if err := rows.Scan(&v.field, &v.value, &v.block); err != nil {
			return err
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return rows.Err()
}

func pruneUntil(ctx context.Context, q db.Querier) (until int64, err error) {
	err = q.QueryRow(ctx, `SELECT until FROM audit_prune WHERE id = 1`).Scan(&until)
	return until, err
}

// firstBlock is the first block with an entry at or after a time.
func firstBlock(ctx context.Context, q db.Querier, at int64) (n int64, found bool, err error) {
	err = q.QueryRow(ctx, `SELECT n FROM audit_block WHERE last_at >= $1 ORDER BY n LIMIT 1`, at).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// checkpointFrom is the first checkpoint of at least a size.
func checkpointFrom(ctx context.Context, q db.Querier, size int64) (c Checkpoint, err error) {
	var at int64
	err = q.QueryRow(ctx, `SELECT size, at, note FROM audit_checkpoint WHERE size >= $1 ORDER BY size LIMIT 1`, size).Scan(&c.Size, &at, &c.Note)
	c.At = db.Time(at)
	return c, err
}

func notesBetween(ctx context.Context, q db.Querier, from, to int64) (notes []string, err error) {
	return db.Values[string](ctx, q, `SELECT note FROM audit_checkpoint WHERE size >= $1 AND size <= $2 ORDER BY size`, from, to)
}

func setPruneUntil(ctx context.Context, q db.Querier, until int64) error {
	_, err := q.Exec(ctx, `UPDATE audit_prune SET until = $1 WHERE id = 1`, until)
	return err
}

func pruneContents(ctx context.Context, q db.Querier, from, to int64) (int64, error) {
	done, err := q.Exec(ctx, `UPDATE audit_entry SET content = NULL WHERE seq >= $1 AND seq < $2 AND content IS NOT NULL`, from, to)
	if err != nil {
		return 0, err
	}
	if _, err := q.Exec(ctx, `DELETE FROM audit_index WHERE block >= $1 AND block < $2`, from>>tileHeight, to>>tileHeight); err != nil {
		return 0, err
	}
	return done.RowsAffected()
}
