package warehouse

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// table is what the store knows of a resource's physical table at one version.
// It never changes; a newer one takes its place in the cache.
type table struct {
	Table
	generation int64
	version    int64 // counts changes of shape and generation
	indexes    [][]string
	rows       int64
	nextBatch  int64
	resetNo    int64
	changedNo  int64
}

func (t *table) column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

func (t *table) pick(names []string) ([]Column, error) {
	if names == nil {
		return t.Columns, nil
	}
	out := make([]Column, len(names))
	for i, n := range names {
		c, ok := t.column(n)
		if !ok {
			return nil, unknownColumn(n)
		}
		out[i] = c
	}
	return out, nil
}

func (t *table) isKey(name string) bool { return slices.Contains(t.Key, name) }

func (t *table) keyColumns() []Column {
	out, _ := t.pick(append([]string{}, t.Key...))
	return out
}

// rowsName and tombsName are the physical tables of the generation: rows, and
// the keys of deleted ones with the stamp of their deletion.
func (t *table) rowsName() string  { return physical("r_", t.Resource, t.generation) }
func (t *table) tombsName() string { return physical("d_", t.Resource, t.generation) }

// physical is safe to put into SQL: checkResource has bounded the id.
func physical(prefix, resource string, generation int64) string {
	return prefix + strings.ToLower(strings.ReplaceAll(resource, "-", "")) + "_" + strconv.FormatInt(generation, 10)
}

// query builds one statement: text that this package wrote and physical names
// it checked, and values that are only ever bound.
type query struct {
	sql      strings.Builder
	args     []Value
	postgres bool
}

func (q *query) text(s string) *query { q.sql.WriteString(s); return q }

func (q *query) arg(v Value) *query {
	q.args = append(q.args, v)
	if q.postgres {
		q.sql.WriteByte('$')
		q.sql.WriteString(strconv.Itoa(len(q.args)))
		// Without the cast the server would have to guess from the context.
		switch v.Kind {
		case Floating:
			q.sql.WriteString("::float8")
		case Number:
			q.sql.WriteString("::int8")
		}
	} else {
		// A plain mark: the driver binds it by position without looking up a name.
		q.sql.WriteByte('?')
	}
	return q
}

func (q *query) int(n int64) *query { return q.arg(NumberValue(n)) }

func (s *Store) newQuery() *query { return &query{postgres: s.db.Dialect == db.Postgres} }

func (s *Store) postgres() bool { return s.db.Dialect == db.Postgres }

func names(columns []Column) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.Name)
	}
	return b.String()
}

// storage is the column's type in DDL. Text is compared byte by byte, as SQLite
// does by itself, so that ranges, order and prefixes agree on both databases.
func (s *Store) storage(c Column) string {
	switch c.kind() {
	case String:
		if s.postgres() {
			return `TEXT COLLATE "C"`
		}
		return "TEXT"
	case Floating:
		return "DOUBLE PRECISION"
	}
	return "BIGINT"
}

// txn is a transaction on one connection, of which the native protocol can be
// had too; database/sql's own transaction hides it.
type txn struct{ conn *sql.Conn }

func (x txn) Exec(ctx context.Context, q string, args ...any) (sql.Result, error) {
	return x.conn.ExecContext(ctx, q, args...)
}

func (x txn) Query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	return x.conn.QueryContext(ctx, q, args...)
}

func (x txn) QueryRow(ctx context.Context, q string, args ...any) *sql.Row {
	return x.conn.QueryRowContext(ctx, q, args...)
}

// inTx runs fn in one transaction on one connection of the writing side.
func (s *Store) inTx(ctx context.Context, fn func(x txn) error) (err error) {
	conn, err := s.db.SQL().Conn(ctx)
	if err != nil {
		return db.Classify(err)
	}
	defer conn.Close()
	begin := "BEGIN IMMEDIATE"
	if s.postgres() {
		begin = "BEGIN"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return db.Classify(err)
	}
	open := true
	defer func() {
		if open {
			conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if err := fn(txn{conn}); err != nil {
		return db.Classify(err)
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return db.Classify(err)
	}
	open = false
	return nil
}

const tableColumns = `resource, generation, version, columns, keys, indexes, rows, next_batch, reset_no, changed_no`

// readTable reads a resource's row; with lock, concurrent loads of the same
// resource wait for this transaction.
func (s *Store) readTable(ctx context.Context, q db.Querier, resource string, lock bool) (*table, error) {
	text := `SELECT ` + tableColumns + ` FROM warehouse_table WHERE resource = $1`
	if lock && s.postgres() {
		text += " FOR UPDATE"
	}
	var t table
	var columns, keys, indexes string
	err := q.QueryRow(ctx, text, resource).Scan(&t.Resource, &t.generation, &t.version, &columns, &keys, &indexes,
		&t.rows, &t.nextBatch, &t.resetNo, &t.changedNo)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, errs.T("该资源还没有数据表", "the resource has no table in the warehouse yet"))
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal([]byte(columns), &t.Columns), json.Unmarshal([]byte(keys), &t.Key), json.Unmarshal([]byte(indexes), &t.indexes)); err != nil {
		return nil, fmt.Errorf("warehouse_table %s: %w", resource, err)
	}
	return &t, nil
}

func (s *Store) writeTable(ctx context.Context, q db.Querier, t *table) error {
	columns, err1 := json.Marshal(t.Columns)
	keys, err2 := json.Marshal(append([]string{}, t.Key...))
	indexes, err3 := json.Marshal(append([][]string{}, t.indexes...))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `INSERT INTO warehouse_table (`+tableColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
		ON CONFLICT (resource) DO UPDATE SET generation = excluded.generation, version = excluded.version,
		columns = excluded.columns, keys = excluded.keys, indexes = excluded.indexes, rows = excluded.rows,
		next_batch = excluded.next_batch, reset_no = excluded.reset_no, changed_no = excluded.changed_no`,
		t.Resource, t.generation, t.version, string(columns), string(keys), string(indexes), t.rows, t.nextBatch, t.resetNo, t.changedNo)
	return err
}

// createTables makes the generation's rows and tombstones without indexes.
func (s *Store) createTables(ctx context.Context, q db.Querier, t *table) error {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + t.rowsName() + " (")
	if !s.postgres() {
		// The stamp is the rowid: new rows go to the end of the file, and a scan
		// since a stamp is a range of it.
		b.WriteString("_seq INTEGER PRIMARY KEY, ")
	} else {
		b.WriteString("_seq BIGINT NOT NULL, ")
	}
	b.WriteString("_at BIGINT NOT NULL")
	for _, c := range t.Columns {
		b.WriteString(", " + c.Name + " " + s.storage(c))
		if t.isKey(c.Name) {
			b.WriteString(" NOT NULL")
		}
	}
	b.WriteString(")")
	if _, err := q.Exec(ctx, b.String()); err != nil {
		return err
	}
	if len(t.Key) == 0 {
		return nil
	}
	b.Reset()
	b.WriteString("CREATE TABLE " + t.tombsName() + " (_seq BIGINT NOT NULL")
	for _, c := range t.keyColumns() {
		b.WriteString(", " + c.Name + " " + s.storage(c) + " NOT NULL")
	}
	b.WriteString(", PRIMARY KEY (" + strings.Join(t.Key, ", ") + "))")
	if _, err := q.Exec(ctx, b.String()); err != nil {
		return err
	}
	_, err := q.Exec(ctx, "CREATE INDEX "+t.tombsName()+"_s ON "+t.tombsName()+" (_seq)")
	return err
}

// createIndexes makes the generation's indexes; after a bulk fill that is
// several times cheaper than keeping them up row by row.
func (s *Store) createIndexes(ctx context.Context, q db.Querier, t *table) error {
	if s.postgres() {
		if _, err := q.Exec(ctx, "CREATE INDEX "+t.rowsName()+"_s ON "+t.rowsName()+" (_seq)"); err != nil {
			return err
		}
	}
	if len(t.Key) > 0 {
		if _, err := q.Exec(ctx, "CREATE UNIQUE INDEX "+t.rowsName()+"_k ON "+t.rowsName()+" ("+strings.Join(t.Key, ", ")+")"); err != nil {
			return err
		}
	}
	for _, columns := range t.indexes {
		if err := s.createIndex(ctx, q, t, columns); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) createIndex(ctx context.Context, q db.Querier, t *table, columns []string) error {
	_, err := q.Exec(ctx, "CREATE INDEX "+indexName(t, columns)+" ON "+t.rowsName()+" ("+strings.Join(columns, ", ")+")")
	return err
}

func indexName(t *table, columns []string) string {
	h := fnv.New32a()
	h.Write([]byte(strings.Join(columns, ",")))
	return fmt.Sprintf("%s_x%08x", t.rowsName(), h.Sum32())
}

// retire gives up a generation's tables. SQLite drops them here: a reader keeps
// its snapshot. PostgreSQL would wait for every stream that reads them, and make
// every new reader wait behind, so they are only noted, and Sweep drops them.
func (s *Store) retire(ctx context.Context, q db.Querier, t *table) error {
	all := []string{t.rowsName()}
	if len(t.Key) > 0 {
		all = append(all, t.tombsName())
	}
	for _, name := range all {
		var err error
		if s.postgres() {
			_, err = q.Exec(ctx, `INSERT INTO warehouse_garbage (name, since) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, db.Ms(s.Now()))
		} else {
			_, err = q.Exec(ctx, "DROP TABLE IF EXISTS "+name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const markerColumns = `resource, batch, no, mode, at, given, inserted, updated, deleted, missed, erased`

func scanMarker(scan func(...any) error) (Marker, error) {
	var m Marker
	var at int64
	err := scan(&m.Resource, &m.Batch, &m.No, &m.Mode, &at, &m.Given, &m.Inserted, &m.Updated, &m.Deleted, &m.Missed, &m.Erased)
	m.At = db.Time(at)
	return m, err
}

func (s *Store) readMarker(ctx context.Context, q db.Querier, resource, batch string) (Marker, bool, error) {
	m, err := scanMarker(q.QueryRow(ctx, `SELECT `+markerColumns+` FROM warehouse_batch WHERE resource = $1 AND batch = $2`, resource, batch).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Marker{}, false, nil
	}
	return m, err == nil, err
}

func (s *Store) readMarkers(ctx context.Context, q db.Querier, resource string) ([]Marker, error) {
	rows, err := q.Query(ctx, `SELECT `+markerColumns+` FROM warehouse_batch WHERE resource = $1 ORDER BY no`, resource)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Marker
	for rows.Next() {
		m, err := scanMarker(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

func (s *Store) writeMarker(ctx context.Context, q db.Querier, m Marker) error {
	_, err := q.Exec(ctx, `INSERT INTO warehouse_batch (`+markerColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
		m.Resource, m.Batch, m.No, string(m.Mode), db.Ms(m.At), m.Given, m.Inserted, m.Updated, m.Deleted, m.Missed, m.Erased)
	return err
}

func (s *Store) deleteTable(ctx context.Context, q db.Querier, resource string) error {
	_, err := q.Exec(ctx, `DELETE FROM warehouse_table WHERE resource = $1`, resource)
	return err
}

func (s *Store) deleteMarkers(ctx context.Context, q db.Querier, resource string) error {
	_, err := q.Exec(ctx, `DELETE FROM warehouse_batch WHERE resource = $1`, resource)
	return err
}

func (s *Store) markErased(ctx context.Context, q db.Querier, resource, batch string) error {
	_, err := q.Exec(ctx, `UPDATE warehouse_batch SET erased = TRUE WHERE resource = $1 AND batch = $2`, resource, batch)
	return err
}

func (s *Store) readGarbage(ctx context.Context, q db.Querier, before int64) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT name FROM warehouse_garbage WHERE since <= $1 ORDER BY name`, before)
}

// dropGarbage drops one noted table if nobody reads it; false when somebody does.
func (s *Store) dropGarbage(ctx context.Context, name string) (bool, error) {
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		if s.postgres() {
			if _, err := x.Exec(ctx, "SET LOCAL lock_timeout = '200ms'"); err != nil {
				return err
			}
		}
		if _, err := x.Exec(ctx, "DROP TABLE IF EXISTS "+name); err != nil {
			return err
		}
		_, err := x.Exec(ctx, `DELETE FROM warehouse_garbage WHERE name = $1`, name)
		return err
	})
	if isLockTimeout(err) {
		return false, nil
	}
	return err == nil, err
}

// stamp describes `_seq` and `_at` where they are read as columns.
var stamp = Column{Type: Integer}

func (s *Store) dropTable(ctx context.Context, q db.Querier, name string) error {
	_, err := q.Exec(ctx, "DROP TABLE IF EXISTS "+name)
	return err
}

// empty removes all rows of a generation that no reader sees yet.
func (s *Store) empty(ctx context.Context, q db.Querier, t *table) error {
	if _, err := q.Exec(ctx, "DELETE FROM "+t.rowsName()); err != nil {
		return err
	}
	if len(t.Key) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, "DELETE FROM "+t.tombsName())
	return err
}

// onConflict is the clause of an upsert that updates the rows there for which the
// condition holds; it is given their columns beside the keys, and the batch's.
func onConflict(t *table, f *feed, when func(held, given string) string) string {
	clause := " ON CONFLICT (" + strings.Join(t.Key, ", ") + ") DO "
	var set strings.Builder
	for _, c := range f.columns {
		if !t.isKey(c.Name) {
			set.WriteString(c.Name + " = excluded." + c.Name + ", ")
		}
	}
	if set.Len() == 0 {
		return clause + "NOTHING"
	}
	return clause + "UPDATE SET " + set.String() + "_seq = excluded._seq, _at = excluded._at WHERE " + when(others(t, f, t.rowsName()+"."), others(t, f, "excluded."))
}

// others lists the columns of a batch that are no keys, each under the prefix.
func others(t *table, f *feed, prefix string) string {
	var list []string
	for _, c := range f.columns {
		if !t.isKey(c.Name) {
			list = append(list, prefix+c.Name)
		}
	}
	return strings.Join(list, ", ")
}

func (s *Store) deleteRange(ctx context.Context, q db.Querier, t *table, from, to int64) (int64, error) {
	r, err := q.Exec(ctx, "DELETE FROM "+t.rowsName()+" WHERE _seq >= $1 AND _seq < $2", from, to)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// scrub overwrites what deleted rows left in the files.
func (s *Store) scrub(ctx context.Context, resource string) error {
	if !s.postgres() {
		if _, err := s.db.SQL().ExecContext(ctx, "VACUUM"); err != nil {
			return db.Classify(err)
		}
		_, err := s.db.SQL().ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
		return db.Classify(err)
	}
	t, err := s.table(ctx, resource)
	if err != nil {
		return err
	}
	_, err = s.db.SQL().ExecContext(ctx, "VACUUM (FULL) "+t.rowsName())
	return db.Classify(err)
}

// alter changes metadata only: columns that come and columns that go.
func (s *Store) alter(ctx context.Context, q db.Querier, t *table, to Table) error {
	changes, _ := compare(t.Table, to)
	if s.postgres() {
		// The change waits for every stream that reads the table, and new readers
		// wait behind it: give up rather than hold them.
		if _, err := q.Exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
			return err
		}
	}
	for _, columns := range t.indexes {
		if slices.ContainsFunc(changes, func(c change) bool { return c.drop && slices.Contains(columns, c.from.Name) }) {
			if _, err := q.Exec(ctx, "DROP INDEX IF EXISTS "+indexName(t, columns)); err != nil {
				return err
			}
		}
	}
	for _, c := range changes {
		var err error
		switch {
		case c.add:
			_, err = q.Exec(ctx, "ALTER TABLE "+t.rowsName()+" ADD COLUMN "+c.to.Name+" "+s.storage(c.to))
		case c.drop:
			_, err = q.Exec(ctx, "ALTER TABLE "+t.rowsName()+" DROP COLUMN "+c.from.Name)
		}
		if isLockTimeout(err) {
			return errs.New(errs.Unavailable, errs.T("有数据流正在读取该表，结构变更未执行，请稍后重试",
				"streams are reading the table and nothing was changed; try again later")).Because(err).Retry(60)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keyClashes looks for rows that a new key does not tell apart or that lack it.
func (s *Store) keyClashes(ctx context.Context, t *table, key []string) ([]errs.Problem, error) {
	if len(key) == 0 {
		return nil, nil
	}
	columns := strings.Join(key, ", ")
	var empty, twice int64
	err := s.db.Read().QueryRow(ctx, "SELECT count(*) FROM "+t.rowsName()+" WHERE "+strings.Join(key, " IS NULL OR ")+" IS NULL").Scan(&empty)
	if err != nil {
		return nil, err
	}
	err = s.db.Read().QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+t.rowsName()+" GROUP BY "+columns+" HAVING count(*) > 1) AS twice").Scan(&twice)
	if err != nil {
		return nil, err
	}
	var problems []errs.Problem
	if empty > 0 {
		problems = append(problems, errs.Problem{Field: key[0], Code: "key_empty", Text: errs.Tf(
			"新主键（%[1]s）在 %[2]d 行中为空", "the new key (%[1]s) is empty in %[2]d rows", columns, empty)})
	}
	if twice > 0 {
		problems = append(problems, errs.Problem{Field: key[0], Code: "key_twice", Text: errs.Tf(
			"新主键（%[1]s）有 %[2]d 个值重复", "the new key (%[1]s) has %[2]d values that come more than once", columns, twice)})
	}
	return problems, nil
}

// isMissingTable tells that a cached generation has been dropped by another node.
func isMissingTable(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "42P01" || pg.Code == "42703" || pg.Code == "0A000"
	}
	return strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column")
}

// anyTombstone tells whether keys were deleted after a stamp: without any, a scan
// need not merge two tables.
func (s *Store) anyTombstone(ctx context.Context, t *table, since int64) (bool, error) {
	var n int64
	err := s.db.Read().QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+t.tombsName()+" WHERE _seq > $1 LIMIT 1) AS found", since).Scan(&n)
	return n > 0, err
}

// placeOf gives the stamp of the row at an offset where rows are numbered without
// gaps, -1 where they are not.
func (s *Store) placeOf(ctx context.Context, t *table, offset int64) (int64, error) {
	var first, last int64
	err := s.db.Read().QueryRow(ctx, "SELECT coalesce((SELECT min(_seq) FROM "+t.rowsName()+"), 0), coalesce((SELECT max(_seq) FROM "+t.rowsName()+"), -1)").Scan(&first, &last)
	if err != nil || last-first+1 != t.rows {
		return -1, err
	}
	return first + offset, nil
}
