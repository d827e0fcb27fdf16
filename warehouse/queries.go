package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"gongshu/internal/errs"
	"gongshu/tabular"
)

// Table gives the shape of a resource's rows; NotFound before EnsureTable.
func (s *Store) Table(ctx context.Context, resource string) (Table, error) {
	t, err := s.table(ctx, resource)
	if err != nil {
		return Table{}, err
	}
	return t.Table, nil
}

// Count is the number of rows, kept by each load: it costs no scan.
func (s *Store) Count(ctx context.Context, resource string) (int64, error) {
	t, err := s.readTable(ctx, s.db.Read(), resource, false)
	if err != nil {
		return 0, err
	}
	return t.rows, nil
}

// Marker tells whether a batch has been applied, and what it did: what intake
// asks after a crash.
func (s *Store) Marker(ctx context.Context, resource, batch string) (Marker, bool, error) {
	return s.readMarker(ctx, s.db.Read(), resource, batch)
}

// Markers lists a resource's batches in the order of their loads.
func (s *Store) Markers(ctx context.Context, resource string) ([]Marker, error) {
	return s.readMarkers(ctx, s.db.Read(), resource)
}

// Exists answers for each row of b, in out[0…b.Len()-1], whether the resource
// has a row whose columns equal the row's cells at the given positions. A cell
// that is empty or not of the column's type equals nothing. The columns should
// have an index (key or EnsureIndex).
func (s *Store) Exists(ctx context.Context, resource string, columns []string, b *tabular.Block, cells []int, out []bool) error {
	return s.retry(ctx, resource, func(t *table) error {
		cols, err := t.pick(columns)
		if err != nil {
			return err
		}
		return s.native.exists(ctx, t, cols, b, cells, out)
	})
}

// retry runs a read on the resource's table, and once more when the table it
// knew has meanwhile been replaced by another process.
func (s *Store) retry(ctx context.Context, resource string, read func(t *table) error) error {
	t, err := s.table(ctx, resource)
	if err != nil {
		return err
	}
	if err = read(t); isMissingTable(err) {
		s.tables.forget(resource)
		if t, err = s.table(ctx, resource); err != nil {
			return err
		}
		err = read(t)
	}
	return err
}

// Rows is a result kept in memory, made to be used again: reading into it
// overwrites it. Texts are valid until then.
type Rows struct {
	Columns []Column
	values  []Value
	text    []byte
	n       int
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// Row gives the values of row i in the order of Columns.
func (r *Rows) Row(i int) []Value {
	w := len(r.Columns)
	return r.values[i*w : (i+1)*w : (i+1)*w]
}

func (r *Rows) reset(columns []Column) {
	r.Columns, r.values, r.text, r.n = columns, r.values[:0], r.text[:0], 0
}

// add copies a row whose texts are about to be overwritten.
func (r *Rows) add(row []Value) {
	for _, v := range row {
		if v.Kind == String && len(v.S) > 0 {
			from := len(r.text)
			r.text = append(r.text, v.S...)
			v.S = unsafe.String(&r.text[from], len(v.S))
		}
		r.values = append(r.values, v)
	}
	r.n++
}

func (s *Store) collect(ctx context.Context, q *query, out []Column, into *Rows) error {
	cur, err := s.native.open(ctx, q, out, false)
	if err != nil {
		return err
	}
	into.reset(out)
	row := make([]Value, len(out))
	for {
		ok, err := cur.next(row)
		if err != nil {
			cur.close()
			return err
		}
		if !ok {
			return cur.close()
		}
		into.add(row)
	}
}

// PointSpec is a read by equality, compiled once and run many times.
type PointSpec struct {
	Resource string
	// Key names the columns whose values each Read gives, in that order; they
	// should be the table's key or have an index (EnsureIndex).
	Key []string
	// Columns are what comes back; nil means all.
	Columns []string
	// Filter narrows the rows further with values fixed here.
	Filter Filter
	// Limit is the greatest number of rows, 1–1000.
	Limit int
}

// Point is a compiled point read. Its Read may be called by many goroutines.
type Point struct {
	store *Store
	spec  PointSpec
	plan  atomic.Pointer[pointPlan]
}

// pointPlan is a Point's statement for one version of its table.
type pointPlan struct {
	table *table
	out   []Column
	key   []Column
	sql   string
	name  string
	byKey bool // one row at most: every column of the table's key is given
	fixed []Value
	calls sync.Pool // *pointCall
}

// pointCall is what one Read needs and the next can use again.
type pointCall struct {
	args []Value
	row  []Value
	wire pointWire
}

// Point compiles a point read; it refuses columns and filters that the table
// does not have.
func (s *Store) Point(ctx context.Context, spec PointSpec) (*Point, error) {
	if spec.Limit < 1 || spec.Limit > 1000 {
		return nil, errs.Newf(errs.Invalid, "行数上限应为 1 至 1000，不是 %d", "the limit is 1 to 1000 rows, not %d", spec.Limit).In("limit")
	}
	if len(spec.Key) == 0 {
		return nil, errs.New(errs.Invalid, errs.T("按键读取需要至少一个键列", "a point read needs a key column")).In("key")
	}
	p := &Point{store: s, spec: spec}
	t, err := s.table(ctx, spec.Resource)
	if err != nil {
		return nil, err
	}
	plan, err := p.compile(t)
	if err != nil {
		return nil, err
	}
	p.plan.Store(plan)
	return p, nil
}

func (p *Point) compile(t *table) (*pointPlan, error) {
	out, err := t.pick(p.spec.Columns)
	if err != nil {
		return nil, err
	}
	key, err := t.pick(p.spec.Key)
	if err != nil {
		return nil, err
	}
	if err := p.spec.Filter.check(t); err != nil {
		return nil, err
	}
	q := p.store.newQuery()
	q.text("SELECT " + names(out) + " FROM " + t.rowsName() + " WHERE ")
	for i, c := range key {
		if i > 0 {
			q.text(" AND ")
		}
		q.text(c.Name + " = ").arg(Value{Kind: c.kind()})
	}
	p.spec.Filter.build(q)
	q.text(" LIMIT " + strconv.Itoa(p.spec.Limit))
	plan := &pointPlan{table: t, out: out, key: key, sql: q.sql.String(), fixed: q.args[len(key):]}
	plan.name = statementName(plan.sql)
	plan.byKey = len(t.Key) > 0 && !slices.ContainsFunc(t.Key, func(name string) bool { return !slices.Contains(p.spec.Key, name) })
	plan.calls.New = func() any {
		return &pointCall{args: append(make([]Value, len(key)), plan.fixed...), row: make([]Value, len(out)), wire: newPointWire(plan, len(q.args))}
	}
	return plan, nil
}

// Columns are what Read gives, in order.
func (p *Point) Columns() []Column { return p.plan.Load().out }

// KeyColumns are what Read is to be given, in order.
func (p *Point) KeyColumns() []Column { return p.plan.Load().key }

// Read fetches the rows whose key columns equal key into out. A Null in key
// matches nothing. It allocates nothing of its own once out has grown.
func (p *Point) Read(ctx context.Context, out *Rows, key []Value) error {
	t, err := p.store.table(ctx, p.spec.Resource)
	if err != nil {
		return err
	}
	err = p.read(ctx, t, out, key)
	if isMissingTable(err) {
		p.store.tables.forget(p.spec.Resource)
		if t, err = p.store.table(ctx, p.spec.Resource); err != nil {
			return err
		}
		err = p.read(ctx, t, out, key)
	}
	return err
}

func (p *Point) read(ctx context.Context, t *table, out *Rows, key []Value) error {
	plan := p.plan.Load()
	if plan.table != t {
		if plan.table.version != t.version || plan.table.generation != t.generation {
			fresh, err := p.compile(t)
			if err != nil {
				return err
			}
			plan = fresh
			p.plan.Store(fresh)
		}
	}
	if len(key) != len(plan.key) {
		return errs.Newf(errs.Invalid, "需要 %[1]d 个键值，给了 %[2]d 个", "%[1]d key values are needed, not %[2]d", len(plan.key), len(key)).In("key")
	}
	out.reset(plan.out)
	for i, v := range key {
		if v.Kind == Null {
			return nil
		}
		if v.Kind != plan.key[i].kind() {
			return errs.Newf(errs.Invalid, "键值与列的类型（%s）不符", "a key value does not have the column's type (%s)", plan.key[i].Type).In(plan.key[i].Name)
		}
	}
	call := plan.calls.Get().(*pointCall)
	defer plan.calls.Put(call)
	copy(call.args, key)
	return p.store.native.point(ctx, plan, call, out)
}

// Change is one event of a Scan.
type Change struct {
	Kind ChangeKind
	// Row holds the asked columns (Written), or the key columns (Deleted). It and
	// its texts are valid until the callback returns.
	Row []Value
	// Token is what to resume after this change with.
	Token Token
	// Batch and Number say which batch wrote the row and its row number there.
	Batch, Number int64
}

// ChangeKind says what a Change means.
type ChangeKind uint8

// The kinds of change. Reset comes first, alone, when what the consumer has is
// void (a replace, a rewrite, changes that its filter cannot tell): everything
// follows anew.
const (
	Written ChangeKind = iota
	Deleted
	Reset
)

// Token marks a place in a resource's changes. The zero Token is the beginning.
type Token struct{ Seq int64 }

// String is the token as consumers carry it: letters and digits.
func (t Token) String() string { return strconv.FormatInt(t.Seq, 36) }

// ParseToken reads String's form; "" is the beginning.
func ParseToken(s string) (Token, error) {
	if s == "" {
		return Token{}, nil
	}
	n, err := strconv.ParseInt(s, 36, 64)
	if err != nil || n < 0 {
		return Token{}, errs.New(errs.Invalid, errs.T("since 标记无效；请使用上次响应给出的标记，或从头取数", "the since token is not valid; use the one of the last answer, or begin anew")).In("since")
	}
	return Token{Seq: n}, nil
}

// ScanSpec is a stream of a resource's rows.
type ScanSpec struct {
	Resource string
	// Since is the token of the last change seen.
	Since Token
	// Columns are what comes back; nil means all.
	Columns []string
	Filter  Filter
	// Limit ends the stream after so many rows; 0 reads to the end.
	Limit int64
}

// ScanInfo describes a stream before its first row.
type ScanInfo struct {
	Columns []Column // of Written changes
	Key     []Column // of Deleted changes
	Rows    int64    // rows of the whole table
}

// Scan streams the changes after a token in the order of their stamps, from one
// snapshot and in constant memory: rows written since, in their present form, and
// keys deleted since. begin, if not nil, is called first. The returned token
// resumes after the last change even when visit failed in between; visit's error
// ends the stream at once.
func (s *Store) Scan(ctx context.Context, spec ScanSpec, begin func(ScanInfo) error, visit func(Change) error) (Token, error) {
	last := spec.Since
	begun := false
	err := s.retry(ctx, spec.Resource, func(t *table) error {
		out, err := t.pick(spec.Columns)
		if err != nil {
			return err
		}
		if err := spec.Filter.check(t); err != nil {
			return err
		}
		if spec.Since.Seq >= t.nextBatch<<32 {
			return errs.New(errs.Invalid, errs.T("since 标记不属于该资源", "the since token is not of this resource")).In("since")
		}
		if begin != nil && !begun {
			begun = true
			if err := begin(ScanInfo{Columns: out, Key: t.keyColumns(), Rows: t.rows}); err != nil {
				return err
			}
		}
		since := spec.Since.Seq
		no := since >> 32
		stale := no < t.resetNo || (no < t.changedNo && !spec.Filter.onlyKey(t))
		if since > 0 && stale {
			since = 0
			if err := visit(Change{Kind: Reset}); err != nil {
				return err
			}
		}
		return s.scan(ctx, t, out, since, spec, &last, visit)
	})
	return last, err
}

func (s *Store) scan(ctx context.Context, t *table, out []Column, since int64, spec ScanSpec, last *Token, visit func(Change) error) error {
	q := s.newQuery()
	shape := append([]Column{stamp}, out...)
	key := t.keyColumns()
	deletions := since > 0 && len(key) > 0 && since>>32 < t.nextBatch
	if deletions {
		any, err := s.anyTombstone(ctx, t, since)
		if err != nil {
			return err
		}
		deletions = any
	}
	q.text("SELECT _seq, " + names(out))
	if deletions {
		q.text(", CAST(0 AS BIGINT)")
		for range key {
			q.text(", NULL")
		}
	}
	q.text(" FROM " + t.rowsName() + " WHERE _seq > ").int(since)
	spec.Filter.build(q)
	if deletions {
		shape = append(append(shape, stamp), key...)
		q.text(" UNION ALL SELECT _seq")
		for range out {
			q.text(", NULL")
		}
		q.text(", CAST(1 AS BIGINT), " + names(key) + " FROM " + t.tombsName() + " WHERE _seq > ").int(since)
		spec.Filter.build(q)
	}
	q.text(" ORDER BY 1")
	if spec.Limit > 0 {
		q.text(" LIMIT ").int(spec.Limit)
	}
	cur, err := s.native.open(ctx, q, shape, true)
	if err != nil {
		return err
	}
	defer cur.close()
	row := make([]Value, len(shape))
	for {
		ok, err := cur.next(row)
		if err != nil || !ok {
			return err
		}
		seq := row[0].N
		c := Change{Row: row[1 : 1+len(out)], Token: Token{Seq: seq}, Batch: seq >> 32, Number: seq & (1<<32 - 1)}
		if deletions && row[1+len(out)].N == 1 {
			c.Kind, c.Row = Deleted, row[2+len(out):]
		}
		if err := visit(c); err != nil {
			return err
		}
		*last = c.Token
	}
}

// Page gives rows offset … offset+limit-1 of those that the filter lets through,
// in the order of stamps; limit is 1 … 1000. Without a filter the cost does not
// grow with the offset as long as rows are numbered without gaps.
func (s *Store) Page(ctx context.Context, resource string, columns []string, filter Filter, offset int64, limit int) (*Rows, error) {
	rows := &Rows{}
	err := s.retry(ctx, resource, func(t *table) error {
		out, err := t.pick(columns)
		if err != nil {
			return err
		}
		if err := filter.check(t); err != nil {
			return err
		}
		start := int64(-1)
		if len(filter) == 0 && offset > 0 {
			if start, err = s.placeOf(ctx, t, offset); err != nil {
				return err
			}
		}
		q := s.newQuery()
		q.text("SELECT " + names(out) + " FROM " + t.rowsName() + " WHERE _seq >= ").int(start)
		filter.build(q)
		q.text(" ORDER BY _seq LIMIT ").int(int64(max(1, min(limit, 1000))))
		if start < 0 && offset > 0 {
			q.text(" OFFSET ").int(offset)
		}
		return s.collect(ctx, q, out, rows)
	})
	return rows, err
}

// CountUpTo counts the rows that the filter lets through, and stops at most.
func (s *Store) CountUpTo(ctx context.Context, resource string, filter Filter, most int64) (int64, error) {
	rows := &Rows{}
	err := s.retry(ctx, resource, func(t *table) error {
		if err := filter.check(t); err != nil {
			return err
		}
		q := s.newQuery()
		q.text("SELECT count(*) FROM (SELECT 1 FROM " + t.rowsName() + " WHERE TRUE")
		filter.build(q)
		q.text(" LIMIT ").int(most).text(") AS found")
		return s.collect(ctx, q, []Column{stamp}, rows)
	})
	if err != nil {
		return 0, err
	}
	return rows.Row(0)[0].N, nil
}

// Sample gives up to n rows spread evenly over the table's batches, in order, so
// that a preview is not all of one day; 1 ≤ n ≤ 1000.
func (s *Store) Sample(ctx context.Context, resource string, columns []string, n int) (*Rows, error) {
	rows := &Rows{}
	n = max(1, min(n, 1000))
	err := s.retry(ctx, resource, func(t *table) error {
		out, err := t.pick(columns)
		if err != nil {
			return err
		}
		if t.rows <= int64(n)*4 {
			q := s.newQuery()
			q.text("SELECT " + names(out) + " FROM " + t.rowsName() + " ORDER BY _seq LIMIT ").int(int64(n))
			return s.collect(ctx, q, out, rows)
		}
		starts, err := s.spread(ctx, t, n)
		if err != nil {
			return err
		}
		rows.reset(out)
		shape := append([]Column{stamp}, out...)
		row := make([]Value, len(shape))
		last := int64(-1)
		for _, seq := range starts {
			q := s.newQuery()
			q.text("SELECT _seq, " + names(out) + " FROM " + t.rowsName() + " WHERE _seq >= ").int(max(seq, last+1)).text(" ORDER BY _seq LIMIT 1")
			cur, err := s.native.open(ctx, q, shape, false)
			if err != nil {
				return err
			}
			ok, err := cur.next(row)
			if err == nil && ok {
				last = row[0].N
				rows.add(row[1:])
			}
			if cerr := cur.close(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}

// spread places n stamps over the batches in proportion to the rows they gave.
func (s *Store) spread(ctx context.Context, t *table, n int) ([]int64, error) {
	all, err := s.readMarkers(ctx, s.db.Read(), t.Resource)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m Marker) bool { return m.Mode == Delete || m.Given == 0 || m.No < t.resetNo || m.Erased })
	var total int64
	for _, m := range all {
		total += m.Given
	}
	out := make([]int64, 0, n)
	if total == 0 {
		for i := range n {
			out = append(out, int64(i))
		}
		return out, nil
	}
	var before int64
	i := 0
	for k := range n {
		want := total * int64(k) / int64(n)
		for i < len(all)-1 && want >= before+all[i].Given {
			before += all[i].Given
			i++
		}
		out = append(out, all[i].No<<32+want-before+1)
	}
	return out, nil
}

// Function is an aggregate.
type Function string

// The aggregates. Count with an empty column counts rows, else present values.
const (
	CountOf    Function = "count"
	DistinctOf Function = "distinct"
	SumOf      Function = "sum"
	AvgOf      Function = "avg"
	MinOf      Function = "min"
	MaxOf      Function = "max"
)

// Measure is one aggregate of one column. Sum and Avg take Integer, Decimal, Float.
type Measure struct {
	Function Function `json:"function"`
	Column   string   `json:"column,omitempty"`
}

// StatsSpec is a grouped statistic.
type StatsSpec struct {
	Resource string
	// By are the columns to group by; empty gives one group of all rows.
	By       []string
	Measures []Measure
	Filter   Filter
	// Persons is the column that tells persons apart; when set, the number of
	// distinct persons of each group comes last, for suppression.
	Persons string
	// Limit is the greatest number of groups, 1–100,000; more are refused with
	// TooLarge rather than cut off.
	Limit int
}

// Stats computes grouped measures. Columns of the result are By, then the row
// count of the group, then one a measure, then, with Persons, the person count.
// A sum has its column's type, or Float beyond 64 bits; an average is a Float.
func (s *Store) Stats(ctx context.Context, spec StatsSpec) (*Rows, error) {
	rows := &Rows{}
	if spec.Limit < 1 || spec.Limit > 100_000 {
		return nil, errs.Newf(errs.Invalid, "分组上限应为 1 至 100000，不是 %d", "the limit is 1 to 100,000 groups, not %d", spec.Limit).In("limit")
	}
	err := s.retry(ctx, spec.Resource, func(t *table) error {
		if err := spec.Filter.check(t); err != nil {
			return err
		}
		by, err := t.pick(append([]string{}, spec.By...))
		if err != nil {
			return err
		}
		q := s.newQuery()
		q.text("SELECT ")
		out := slices.Clone(by)
		for _, c := range by {
			q.text(c.Name + ", ")
		}
		q.text("count(*)")
		out = append(out, stamp)
		sums := map[int]Column{}
		for _, m := range spec.Measures {
			col := Column{Type: Integer}
			if m.Column != "" {
				var ok bool
				if col, ok = t.column(m.Column); !ok {
					return unknownColumn(m.Column)
				}
			} else if m.Function != CountOf {
				return errs.Newf(errs.Invalid, "统计 %s 需要一列", "measure %s needs a column", m.Function).In("measures")
			}
			switch m.Function {
			case CountOf:
				if m.Column == "" {
					q.text(", count(*)")
				} else {
					q.text(", count(" + m.Column + ")")
				}
				out = append(out, stamp)
			case DistinctOf:
				q.text(", count(DISTINCT " + m.Column + ")")
				out = append(out, stamp)
			case MinOf, MaxOf:
				q.text(", " + string(m.Function) + "(" + m.Column + ")")
				out = append(out, col)
			case SumOf, AvgOf:
				if col.Type != Integer && col.Type != Decimal && col.Type != Float {
					return errs.Newf(errs.Invalid, "不能对 %s 列求和或平均", "a %s column has no sum or average", col.Type).In(m.Column)
				}
				sums[len(out)] = col
				out = append(out, s.sumColumn(q, m, col))
			default:
				return errs.Newf(errs.Invalid, "没有统计方式 %q", "there is no measure %q", m.Function).In("measures")
			}
		}
		if spec.Persons != "" {
			if _, ok := t.column(spec.Persons); !ok {
				return unknownColumn(spec.Persons)
			}
			q.text(", count(DISTINCT " + spec.Persons + ")")
			out = append(out, stamp)
		}
		q.text(" FROM " + t.rowsName() + " WHERE TRUE")
		spec.Filter.build(q)
		if len(by) > 0 {
			q.text(" GROUP BY " + names(by) + " ORDER BY " + names(by))
		}
		q.text(" LIMIT ").int(int64(spec.Limit) + 1)
		if err := s.collect(ctx, q, out, rows); err != nil {
			return err
		}
		if rows.n > spec.Limit {
			return errs.Newf(errs.TooLarge, "分组超过 %d 个，请减少分组项或缩小范围", "there are more than %d groups; group by fewer items or narrow the rows", spec.Limit).In("by")
		}
		rows.finishSums(sums)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// sumColumn writes a sum or an average so that both databases give the same:
// whole sums as text, which cannot overflow on the way.
func (s *Store) sumColumn(q *query, m Measure, col Column) Column {
	if m.Function == AvgOf {
		q.text(", CAST(avg(" + m.Column + ") AS DOUBLE PRECISION)")
		return Column{Name: col.Name, Type: Float}
	}
	if col.Type == Float {
		q.text(", CAST(sum(" + m.Column + ") AS DOUBLE PRECISION)")
		return Column{Name: col.Name, Type: Float}
	}
	if s.postgres() {
		q.text(", CAST(sum(" + m.Column + ") AS TEXT)")
	} else {
		// SQLite's integer sum fails where it overflows; two halves do not.
		q.text(", CAST(sum(" + m.Column + " >> 32) AS TEXT) || ' ' || CAST(sum(" + m.Column + " & 4294967295) AS TEXT)")
	}
	return Column{Name: col.Name, Type: Text}
}

// finishSums turns the texts and scaled averages of sumColumn into values.
func (r *Rows) finishSums(sums map[int]Column) {
	columns := slices.Clone(r.Columns)
	for i, col := range sums {
		average := columns[i].Type == Float
		exact := true
		for n := range r.n {
			v := &r.Row(n)[i]
			if v.Kind == Null || (average && col.Type != Decimal) {
				continue
			}
			if average {
				*v = FloatValue(v.Float() / pow10[col.Scale])
				continue
			}
			sum, ok := parseSum(v.S)
			exact = exact && ok
			*v = sum
		}
		if average {
			continue
		}
		columns[i] = col
		if !exact {
			columns[i] = Column{Name: col.Name, Type: Float}
			for n := range r.n {
				v := &r.Row(n)[i]
				switch v.Kind {
				case Number:
					*v = FloatValue(float64(v.N) / pow10[col.Scale])
				case Floating:
					*v = FloatValue(v.Float() / pow10[col.Scale])
				}
			}
		}
	}
	r.Columns = columns
}

// parseSum reads "n" or "high low"; a sum beyond 64 bits is Floating and not ok.
func parseSum(s string) (Value, bool) {
	high, low, split := strings.Cut(s, " ")
	if !split {
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil {
			return NumberValue(n), true
		}
		f, _ := strconv.ParseFloat(s, 64)
		return FloatValue(f), false
	}
	h, _ := strconv.ParseInt(high, 10, 64)
	l, _ := strconv.ParseInt(low, 10, 64)
	h += l >> 32
	l &= 1<<32 - 1
	if h >= -(1<<31) && h < 1<<31 {
		return NumberValue(h<<32 + l), true
	}
	return FloatValue(float64(h)*(1<<32) + float64(l)), false
}

// RowDigest stands for a set of rows whatever their order: the sum modulo 2^256 of the
// SHA-256 of each row's canonical cells. Equal tables on either database, or
// before and after a rebuild, have equal digests.
type RowDigest struct {
	Rows int64
	Sum  string // 64 hexadecimal digits
}

// Digest computes the digest of a resource's rows over all columns, in the order
// of the table.
func (s *Store) Digest(ctx context.Context, resource string) (RowDigest, error) {
	var d RowDigest
	var columns []Column
	var sum [4]uint64
	var buf []byte
	_, err := s.Scan(ctx, ScanSpec{Resource: resource}, func(i ScanInfo) error { columns = i.Columns; return nil }, func(c Change) error {
		buf = buf[:0]
		for i, v := range c.Row {
			if v.Kind == Null {
				buf = append(buf, 0)
				continue
			}
			at := len(buf)
			buf = append(buf, 1, 0, 0, 0, 0)
			buf = columns[i].Append(buf, v)
			binary.BigEndian.PutUint32(buf[at+1:], uint32(len(buf)-at-5))
		}
		h := sha256.Sum256(buf)
		var carry uint64
		for i := 3; i >= 0; i-- {
			sum[i], carry = bits.Add64(sum[i], binary.BigEndian.Uint64(h[i*8:]), carry)
		}
		d.Rows++
		return nil
	})
	var out [32]byte
	for i, w := range sum {
		binary.BigEndian.PutUint64(out[i*8:], w)
	}
	d.Sum = hex.EncodeToString(out[:])
	return d, err
}
