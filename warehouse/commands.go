package warehouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens and migrates "sqlite:/dir/warehouse.db", a file of its own, or
// "postgres://…?search_path=NAME"; without search_path the schema is called
// warehouse. It is made when it does not exist.
func Open(ctx context.Context, target string) (*Store, error) {
	path, isFile := strings.CutPrefix(target, "sqlite:")
	if !isFile {
		u, err := url.Parse(target)
		if err != nil {
			return nil, fmt.Errorf("warehouse address: %w", err)
		}
		q := u.Query()
		if q.Get("search_path") == "" {
			q.Set("search_path", "warehouse")
			u.RawQuery = q.Encode()
			target = u.String()
		}
	}
	d, err := db.Open(ctx, target)
	if err != nil {
		return nil, err
	}
	s := &Store{db: d, Now: time.Now, target: target}
	s.tables.byResource = map[string]*cached{}
	if isFile {
		s.native = newLiteStore(db.SQLiteDSN(path, "FULL") + "&_pragma=query_only(1)")
	} else {
		s.native = &pgStore{pool: d.Pool}
		if _, err := d.SQL().ExecContext(ctx, `DO $$ BEGIN EXECUTE 'CREATE SCHEMA IF NOT EXISTS ' || quote_ident(trim(split_part(current_setting('search_path'), ',', 1), ' "')); END $$`); err != nil {
			d.Close()
			return nil, fmt.Errorf("make the warehouse schema: %w", err)
		}
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := d.MigrateFrom(ctx, files, "warehouse_migration"); err != nil {
		d.Close()
		return nil, err
	}
	return s, nil
}

// Again opens the same warehouse once more, with connections and caches of its
// own: what a second node would see.
func (s *Store) Again(ctx context.Context) (*Store, error) { return Open(ctx, s.target) }

// Ping asks the store for a sign of life.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close ends all connections; streams under way fail.
func (s *Store) Close() error { return errors.Join(s.native.close(), s.db.Close()) }

// EnsureTable makes the resource's table. Calling it again with the same shape
// changes nothing; with another it is refused, for Migrate is the way to change.
func (s *Store) EnsureTable(ctx context.Context, want Table) error {
	if err := checkTable(want); err != nil {
		return err
	}
	if t, err := s.table(ctx, want.Resource); err == nil && sameTable(t.Table, want) {
		return nil
	}
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		have, err := s.readTable(ctx, x, want.Resource, true)
		if err == nil {
			if sameTable(have.Table, want) {
				return nil
			}
			return errs.New(errs.Conflict, errs.T("该资源已有结构不同的数据表，应做结构变更", "the resource has a table of another shape; migrate it"))
		}
		if !errs.Is(err, errs.NotFound) {
			return err
		}
		t := &table{Table: want, generation: 1, version: 1, nextBatch: 1}
		if err := s.createTables(ctx, x, t); err != nil {
			return err
		}
		if err := s.createIndexes(ctx, x, t); err != nil {
			return err
		}
		return s.writeTable(ctx, x, t)
	})
	s.tables.forget(want.Resource)
	return err
}

// EnsureIndex makes point reads by the columns cheap (a grant's key fields). The
// key has an index by itself.
func (s *Store) EnsureIndex(ctx context.Context, resource string, columns []string) error {
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		t, err := s.readTable(ctx, x, resource, true)
		if err != nil {
			return err
		}
		if _, err := t.pick(columns); err != nil {
			return err
		}
		if len(columns) == 0 || covered(t.Key, columns) || slices.ContainsFunc(t.indexes, func(i []string) bool { return covered(i, columns) }) {
			return nil
		}
		if err := s.createIndex(ctx, x, t, columns); err != nil {
			return err
		}
		t.indexes = append(t.indexes, columns)
		t.version++
		return s.writeTable(ctx, x, t)
	})
	s.tables.forget(resource)
	return err
}

// covered reports whether an index begins with the columns in some order.
func covered(index, columns []string) bool {
	if len(index) < len(columns) {
		return false
	}
	for _, c := range columns {
		if !slices.Contains(index[:len(columns)], c) {
			return false
		}
	}
	return true
}

// Load applies one batch in one transaction with its marker: all of it or
// nothing. The same batch again is not applied again; its marker comes back with
// Repeated set.
func (s *Store) Load(ctx context.Context, spec LoadSpec) (Marker, error) {
	var m Marker
	err := s.inTx(ctx, func(x txn) error {
		t, err := s.readTable(ctx, x, spec.Resource, true)
		if err != nil {
			return err
		}
		done, found, err := s.readMarker(ctx, x, spec.Resource, spec.Batch)
		if err != nil {
			return err
		}
		if found {
			done.Repeated = true
			m = done
			return nil
		}
		next := *t
		next.nextBatch++
		m, err = s.apply(ctx, x, &next, spec, t.nextBatch)
		if err != nil {
			return err
		}
		if next.generation != t.generation {
			if err := s.retire(ctx, x, t); err != nil {
				return err
			}
		}
		if err := s.writeMarker(ctx, x, m); err != nil {
			return err
		}
		return s.writeTable(ctx, x, &next)
	})
	if err != nil {
		return Marker{}, err
	}
	if !m.Repeated {
		s.tables.forget(spec.Resource)
	}
	return m, nil
}

// apply runs a batch on t, which it brings up to date: row count, generation,
// version, reset and change numbers.
func (s *Store) apply(ctx context.Context, x txn, t *table, spec LoadSpec, no int64) (Marker, error) {
	m := Marker{Resource: spec.Resource, Batch: spec.Batch, No: no, Mode: spec.Mode, At: spec.At.Truncate(time.Millisecond)}
	if no >= 1<<31 {
		return m, errs.New(errs.TooLarge, errs.T("该资源的批次数已达上限", "the resource has used up its batch numbers"))
	}
	if len(t.Key) == 0 && (spec.Mode == Upsert || spec.Mode == Delete) {
		return m, errs.New(errs.Invalid, errs.T("资源没有主键，不能按主键更新或删除", "the resource has no key, so rows cannot be changed or deleted by it")).In("mode")
	}
	f, err := newFeed(ctx, t, spec, no)
	if err != nil {
		return m, err
	}
	at := db.Ms(spec.At)
	switch spec.Mode {
	case Append:
		if err := s.native.fill(ctx, x, t, f, at); err != nil {
			return m, err
		}
		m.Inserted = f.given
	case Replace:
		t.generation++
		t.version++
		t.resetNo = no
		if err := s.createTables(ctx, x, t); err != nil {
			return m, err
		}
		if err := s.native.fill(ctx, x, t, f, at); err != nil {
			return m, err
		}
		if err := s.createIndexes(ctx, x, t); err != nil {
			if db.IsUnique(err) {
				return m, duplicateKey(err)
			}
			return m, err
		}
		m.Inserted, m.Deleted, t.rows = f.given, t.rows, 0
	case Upsert:
		if m.Inserted, m.Updated, err = s.native.merge(ctx, x, t, f, at); err != nil {
			return m, err
		}
	case Delete:
		if m.Deleted, err = s.native.remove(ctx, x, t, f); err != nil {
			return m, err
		}
		m.Missed = f.given - m.Deleted
	default:
		return m, errs.Newf(errs.Invalid, "没有批次方式 %q", "there is no batch mode %q", spec.Mode).In("mode")
	}
	m.Given = f.given
	t.rows += m.Inserted
	if spec.Mode == Delete {
		t.rows -= m.Deleted
	}
	if m.Updated > 0 || (spec.Mode == Delete && m.Deleted > 0) {
		t.changedNo = no
	}
	return m, nil
}

// Drop removes a resource's rows, deletions and markers.
func (s *Store) Drop(ctx context.Context, resource string) error {
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		t, err := s.readTable(ctx, x, resource, true)
		if err != nil {
			return err
		}
		if err := s.retire(ctx, x, t); err != nil {
			return err
		}
		if err := s.deleteMarkers(ctx, x, resource); err != nil {
			return err
		}
		return s.deleteTable(ctx, x, resource)
	})
	s.tables.forget(resource)
	if err != nil {
		return err
	}
	return s.Sweep(ctx, s.Now())
}

// Sweep drops the tables that were given up before the moment and that nobody
// reads any more. A worker calls it every minute or so; a caller who wants them
// gone at once passes the present.
func (s *Store) Sweep(ctx context.Context, before time.Time) error {
	all, err := s.readGarbage(ctx, s.db.Read(), db.Ms(before))
	if err != nil {
		return err
	}
	for _, name := range all {
		if _, err := s.dropGarbage(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// EraseBatch destroys the rows that a batch wrote last (a leak, a secret found):
// part of an erasure that two people decided. The marker stays, marked; a rebuild
// skips the batch. It returns how many rows went. Consumers' tokens start over.
func (s *Store) EraseBatch(ctx context.Context, resource, batch string) (int64, error) {
	var gone int64
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		t, err := s.readTable(ctx, x, resource, true)
		if err != nil {
			return err
		}
		m, found, err := s.readMarker(ctx, x, resource, batch)
		if err != nil {
			return err
		}
		if !found {
			return errs.New(errs.NotFound, errs.T("该资源没有这个批次", "the resource has no such batch"))
		}
		if gone, err = s.deleteRange(ctx, x, t, m.No<<32, (m.No+1)<<32); err != nil {
			return err
		}
		if err := s.markErased(ctx, x, resource, batch); err != nil {
			return err
		}
		t.rows -= gone
		t.resetNo = t.nextBatch
		t.nextBatch++
		t.version++
		return s.writeTable(ctx, x, t)
	})
	s.tables.forget(resource)
	if err != nil {
		return 0, err
	}
	return gone, s.scrub(ctx, resource)
}

// CheckMigration says why the table cannot take the new shape with the rows it
// has, nil when it can: one problem a column, with how many rows stand against
// it and the first of them as batch:row. It changes nothing.
func (s *Store) CheckMigration(ctx context.Context, to Table) error {
	t, err := s.table(ctx, to.Resource)
	if err != nil {
		return err
	}
	_, err = s.examine(ctx, t, to)
	return err
}

// examine checks a new shape against the rows and tells whether they must be rewritten.
func (s *Store) examine(ctx context.Context, t *table, to Table) (rewrite bool, err error) {
	if err := checkTable(to); err != nil {
		return false, err
	}
	changes, rekey := compare(t.Table, to)
	var checks []change
	var read []Column
	var problems []errs.Problem
	for _, c := range changes {
		switch {
		case c.retype, c.shorten:
			checks = append(checks, c)
			read = append(read, c.from)
			rewrite = rewrite || c.retype
		case c.add && slices.Contains(to.Key, c.to.Name) && t.rows > 0:
			problems = append(problems, errs.Problem{Field: c.to.Name, Code: "key_empty", Text: errs.Tf(
				"新列 %[1]s 不能做主键：已有 %[2]d 行没有它的值", "new column %[1]s cannot be a key: %[2]d rows have no value for it", c.to.Name, t.rows)})
		}
	}
	rewrite = rewrite || rekey
	if len(checks) > 0 && t.rows > 0 {
		found, err := s.misfits(ctx, t, checks, read)
		if err != nil {
			return false, err
		}
		problems = append(problems, found...)
	}
	if rekey && len(problems) == 0 && t.rows > 0 {
		found, err := s.keyClashes(ctx, t, to.Key)
		if err != nil {
			return false, err
		}
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return false, errs.New(errs.Conflict, errs.T("已有数据不符合新结构，不能变更；请先更正这些行，或保留原来的类型、长度和主键",
			"the rows that are there do not fit the new shape: mend them first, or keep the type, length and key")).With(problems...)
	}
	return rewrite, nil
}

func (s *Store) misfits(ctx context.Context, t *table, checks []change, read []Column) ([]errs.Problem, error) {
	found := make([]misfit, len(checks))
	q := s.newQuery()
	q.text("SELECT _seq, " + names(read) + " FROM " + t.rowsName() + " ORDER BY _seq")
	cur, err := s.native.open(ctx, q, append([]Column{stamp}, read...), true)
	if err != nil {
		return nil, err
	}
	defer cur.close()
	row := make([]Value, len(read)+1)
	var text []byte
	for {
		ok, err := cur.next(row)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		for i, c := range checks {
			v := row[i+1]
			if v.Kind == Null {
				continue
			}
			text = c.from.Append(text[:0], v)
			if c.shorten {
				if utf8.RuneCount(text) > c.to.Length {
					found[i].at(row[0].N)
				}
			} else if _, err := c.to.parse(text); err != nil || (c.to.Type == Text && c.to.Length > 0 && utf8.RuneCount(text) > c.to.Length) {
				found[i].at(row[0].N)
			}
		}
	}
	var problems []errs.Problem
	for i, c := range checks {
		if found[i].count == 0 {
			continue
		}
		places := strings.Join(found[i].places, ", ")
		if c.shorten {
			problems = append(problems, errs.Problem{Field: c.to.Name, Code: "too_long", Text: errs.Tf(
				"%[1]s：%[2]d 行超过 %[3]d 个字符（批次:行 %[4]s）", "%[1]s: %[2]d rows are longer than %[3]d characters (batch:row %[4]s)", c.to.Name, found[i].count, c.to.Length, places)})
		} else {
			problems = append(problems, errs.Problem{Field: c.to.Name, Code: "type", Text: errs.Tf(
				"%[1]s：%[2]d 行不能由 %[3]s 变为 %[4]s（批次:行 %[5]s）", "%[1]s: %[2]d rows cannot turn from %[3]s into %[4]s (batch:row %[5]s)", c.to.Name, found[i].count, c.from.Type, c.to.Type, places)})
		}
	}
	return problems, nil
}

// Migrate changes a table's shape. Adding and dropping columns and widening a
// text change metadata only; another type or key rewrites the rows into a new
// generation; whatever the rows do not fit is refused as CheckMigration says.
// Renaming an item is no matter of the warehouse: names stay in the catalog.
func (s *Store) Migrate(ctx context.Context, to Table) error {
	err := s.inTx(ctx, func(x txn) error {
		t, err := s.readTable(ctx, x, to.Resource, true)
		if err != nil {
			return err
		}
		if sameTable(t.Table, to) {
			return nil
		}
		rewrite, err := s.examine(ctx, t, to)
		if err != nil {
			return err
		}
		next := *t
		next.Table = to
		next.version++
		next.indexes = slices.DeleteFunc(slices.Clone(t.indexes), func(i []string) bool {
			return slices.ContainsFunc(i, func(c string) bool { _, ok := next.column(c); return !ok })
		})
		if !rewrite {
			if err := s.alter(ctx, x, t, to); err != nil {
				return err
			}
			return s.writeTable(ctx, x, &next)
		}
		next.generation++
		// Deletions are not carried over, and values change form: consumers start over.
		next.resetNo = next.nextBatch
		next.nextBatch++
		if err := s.createTables(ctx, x, &next); err != nil {
			return err
		}
		if err := s.rewrite(ctx, x, t, &next); err != nil {
			return err
		}
		if err := s.createIndexes(ctx, x, &next); err != nil {
			if db.IsUnique(err) {
				return duplicateKey(err)
			}
			return err
		}
		if err := s.retire(ctx, x, t); err != nil {
			return err
		}
		return s.writeTable(ctx, x, &next)
	})
	s.tables.forget(to.Resource)
	return err
}

// rewrite copies all rows into the new generation in their new form, keeping
// stamps and times.
func (s *Store) rewrite(ctx context.Context, x txn, from, to *table) error {
	var columns []Column
	for _, c := range to.Columns {
		if old, ok := from.column(c.Name); ok {
			columns = append(columns, old)
		}
	}
	q := s.newQuery()
	q.text("SELECT _seq, _at, " + names(columns) + " FROM " + from.rowsName() + " ORDER BY _seq")
	cur, err := s.native.open(ctx, q, append([]Column{stamp, stamp}, columns...), true)
	if err != nil {
		return err
	}
	defer cur.close()
	w := &rewriter{cur: cur, columns: columns, row: make([]Value, len(columns)+2), block: tabular.NewBlock()}
	// Rows keep the stamp of the batch that wrote them: one fill a run of equal batch and time.
	for {
		more, err := w.begin()
		if err != nil || !more {
			return err
		}
		var given []string
		for _, c := range columns {
			given = append(given, c.Name)
		}
		f, err := newFeed(ctx, to, LoadSpec{Columns: given, Source: w}, w.no)
		if err != nil {
			return err
		}
		if err := s.native.fill(ctx, x, to, f, w.at); err != nil {
			return err
		}
	}
}

// rewriter gives the rows of an old generation, a run of one batch at a time.
type rewriter struct {
	cur     cursor
	columns []Column
	row     []Value
	have    bool // row holds one that was not given yet
	no, at  int64
	block   *tabular.Block
	text    []byte
}

// begin moves to the next run; false at the end.
func (w *rewriter) begin() (bool, error) {
	if !w.have {
		ok, err := w.cur.next(w.row)
		if err != nil || !ok {
			return false, err
		}
		w.have = true
	}
	w.no, w.at = w.row[0].N>>32, w.row[1].N
	return true, nil
}

func (w *rewriter) Next(ctx context.Context) (*tabular.Block, error) {
	w.block.Reset()
	for w.block.Len() < 1024 {
		if !w.have {
			ok, err := w.cur.next(w.row)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			w.have = true
		}
		if w.row[0].N>>32 != w.no || w.row[1].N != w.at {
			break
		}
		for i, c := range w.columns {
			w.text = c.Append(w.text[:0], w.row[i+2])
			w.block.Add(w.text)
		}
		w.block.EndRow(w.row[0].N & (1<<32 - 1))
		w.have = false
	}
	if w.block.Len() == 0 {
		return nil, io.EOF
	}
	return w.block, nil
}

// Rebuild fills a new generation of a resource from its batches, beside the one
// that readers see, and then takes its place.
type Rebuild struct {
	store *Store
	from  *table
	next  *table
	last  int64 // number of the last batch loaded
}

// BeginRebuild starts a rebuild. Its batches are to be loaded in the order of
// Pending, then Swap; Abort gives up.
func (s *Store) BeginRebuild(ctx context.Context, resource string) (*Rebuild, error) {
	r := &Rebuild{store: s}
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		t, err := s.readTable(ctx, x, resource, true)
		if err != nil {
			return err
		}
		next := *t
		// A generation number that a load under way will not take: those count up
		// by one, and one rebuild at a time may hold the next thousand.
		next.generation = (t.generation/1000 + 1) * 1000
		next.rows, next.changedNo = 0, 0
		for _, name := range []string{next.rowsName(), next.tombsName()} {
			if err := s.dropTable(ctx, x, name); err != nil { // left by a rebuild that died
				return err
			}
		}
		if err := s.createTables(ctx, x, &next); err != nil {
			return err
		}
		r.from, r.next = t, &next
		if len(t.Key) > 0 || len(t.indexes) > 0 || s.postgres() {
			return s.createIndexes(ctx, x, &next)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Pending lists the batches still to be replayed, in order: from the last
// replace on, without erased ones. After a Swap that was refused it lists what
// arrived meanwhile.
func (r *Rebuild) Pending(ctx context.Context) ([]Marker, error) {
	all, err := r.store.readMarkers(ctx, r.store.db.Read(), r.next.Resource)
	if err != nil {
		return nil, err
	}
	start := 0
	for i, m := range all {
		if m.Mode == Replace && !m.Erased {
			start = i
		}
	}
	var out []Marker
	for _, m := range all[start:] {
		if m.No > r.last && !m.Erased {
			out = append(out, m)
		}
	}
	return out, nil
}

// Load replays one batch of Pending: same id, mode and time as before, and the
// rows that its raw bytes give now. columns is as in LoadSpec.
func (r *Rebuild) Load(ctx context.Context, m Marker, columns []string, source Source) (Marker, error) {
	if m.No <= r.last {
		return Marker{}, fmt.Errorf("warehouse: rebuild of %s: batch %d after %d", r.next.Resource, m.No, r.last)
	}
	var done Marker
	err := r.store.inTx(ctx, func(x txn) error {
		next := *r.next
		spec := LoadSpec{Resource: m.Resource, Batch: m.Batch, Mode: m.Mode, At: m.At, Columns: columns, Source: source}
		if m.Mode == Replace {
			// The new generation stands for the table that the batch replaces.
			if err := r.store.empty(ctx, x, &next); err != nil {
				return err
			}
			spec.Mode = Append
			next.rows = 0
		}
		var err error
		if done, err = r.store.apply(ctx, x, &next, spec, m.No); err != nil {
			return err
		}
		done.Mode = m.Mode
		if m.Mode == Replace {
			done.Deleted = m.Deleted // of the table before it, which is not replayed
		}
		*r.next = next
		return nil
	})
	if err == nil {
		r.last = m.No
	}
	return done, err
}

// Swap makes the rebuilt rows the resource's. It is refused with Conflict, and
// may be called again, when batches were loaded meanwhile that Pending then
// lists, and for good when the table's shape has changed.
func (r *Rebuild) Swap(ctx context.Context) error {
	s := r.store
	err := s.db.InTx(ctx, func(x *db.Tx) error {
		t, err := s.readTable(ctx, x, r.next.Resource, true)
		if err != nil {
			return err
		}
		if !sameTable(t.Table, r.next.Table) {
			return errs.New(errs.Conflict, errs.T("重建期间表结构已变更，请重新开始", "the table's shape has changed during the rebuild; begin again"))
		}
		all, err := s.readMarkers(ctx, x, r.next.Resource)
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.No > r.last && !m.Erased {
				return errs.Newf(errs.Conflict, "重建期间又有批次入库（第 %d 批），请继续重放", "a batch (number %d) was loaded during the rebuild; replay it too", m.No)
			}
		}
		next := *t
		next.generation = r.next.generation
		next.rows = r.next.rows
		next.version++
		if !slices.EqualFunc(t.indexes, r.next.indexes, slices.Equal) {
			for _, columns := range t.indexes[len(r.next.indexes):] {
				if err := s.createIndex(ctx, x, &next, columns); err != nil {
					return err
				}
			}
		}
		if err := s.retire(ctx, x, t); err != nil {
			return err
		}
		return s.writeTable(ctx, x, &next)
	})
	s.tables.forget(r.next.Resource)
	return err
}

// Abort gives up the rebuild; the resource stays as it was.
func (r *Rebuild) Abort(ctx context.Context) error {
	return r.store.db.InTx(ctx, func(x *db.Tx) error {
		for _, name := range []string{r.next.rowsName(), r.next.tombsName()} {
			if err := r.store.dropTable(ctx, x, name); err != nil {
				return err
			}
		}
		return nil
	})
}
