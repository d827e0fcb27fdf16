package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/internal/db"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// The table of the warehouse's figures: ten columns of the kinds departments
// send, keyed by the first.
var benchTable = warehouse.Table{Key: []string{"c1"}, Columns: []warehouse.Column{
	{Name: "c1", Type: warehouse.Text}, {Name: "c2", Type: warehouse.Text}, {Name: "c3", Type: warehouse.Text},
	{Name: "c4", Type: warehouse.Text}, {Name: "c5", Type: warehouse.Date}, {Name: "c6", Type: warehouse.Integer},
	{Name: "c7", Type: warehouse.Decimal, Scale: 2}, {Name: "c8", Type: warehouse.Float}, {Name: "c9", Type: warehouse.Text},
	{Name: "c10", Type: warehouse.Text},
}}

const (
	benchDDL     = `(c1 TEXT COLLATE "C" PRIMARY KEY, c2 TEXT, c3 TEXT, c4 TEXT, c5 DATE, c6 BIGINT, c7 NUMERIC, c8 DOUBLE PRECISION, c9 TEXT, c10 TEXT)`
	benchLiteDDL = `(c1 TEXT PRIMARY KEY, c2 TEXT, c3 TEXT, c4 TEXT, c5 TEXT, c6 BIGINT, c7 NUMERIC, c8 DOUBLE PRECISION, c9 TEXT, c10 TEXT)`
)

// benchRows are n rows as CSV and as blocks; salt changes all cells but the key.
type benchRows struct {
	n      int
	csv    []byte
	blocks []*tabular.Block
	at     int
}

func makeRows(n, first int, salt string) *benchRows {
	r := &benchRows{n: n}
	var csv bytes.Buffer
	var b *tabular.Block
	for i := range n {
		k := first + i
		if i%1024 == 0 {
			b = tabular.NewBlock()
			r.blocks = append(r.blocks, b)
		}
		cells := [10]string{
			"35010219" + strconv.Itoa(1000000000+k*7), "林小满" + strconv.Itoa(k%5000), "鼓楼区八一七路" + strconv.Itoa(k%900) + "号" + salt,
			"1380591" + strconv.Itoa(1000+k%9000), "20" + strconv.Itoa(10+k%15) + "-0" + strconv.Itoa(1+k%9) + "-1" + strconv.Itoa(k%10), strconv.Itoa(k),
			strconv.Itoa(k%100000) + ".50", "119." + strconv.Itoa(100000+k%90000), "福州市鼓楼区行政服务中心" + salt, "A" + strconv.Itoa(k%37),
		}
		for c, cell := range cells {
			if c > 0 {
				csv.WriteByte(',')
			}
			csv.WriteString(cell)
			b.AddString(cell)
		}
		csv.WriteByte('\n')
		b.EndRow(int64(i + 1))
	}
	r.csv = csv.Bytes()
	return r
}

func (r *benchRows) Next(ctx context.Context) (*tabular.Block, error) {
	if r.at == len(r.blocks) {
		r.at = 0
		return nil, io.EOF
	}
	r.at++
	return r.blocks[r.at-1], nil
}

func warehouseFigures(ctx context.Context, env Env) ([]Row, error) {
	n, rounds := 300_000, 5
	if env.Quick {
		n, rounds = 50_000, 2
	}
	data := makeRows(n, 0, "")
	changed := makeRows(n, 0, "改")
	var rows []Row
	if env.Postgres == "" {
		rows = append(rows, Row{What: "warehouse on PostgreSQL", Note: "not measured: no server."})
	} else {
		pg, err := warehousePostgres(ctx, env, data, changed, rounds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, pg...)
	}
	lite, err := warehouseSQLite(ctx, env, data, rounds)
	return append(rows, lite...), err
}

func compared(what, against, unit string, least, own, base, ratio float64) Row {
	r := Row{What: what, Against: against, Value: rate(own, unit), Base: rate(base, unit), Ratio: fmt.Sprintf("%.2f", ratio)}
	if least > 0 {
		r.Bar, r.OK = fmt.Sprintf("≥ %.2f", least), ratio >= least
	}
	return r
}

func warehousePostgres(ctx context.Context, env Env, data, changed *benchRows, rounds int) ([]Row, error) {
	address, drop, err := newDatabase(ctx, env.Postgres)
	if err != nil {
		return nil, err
	}
	defer drop()
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	raw := &rawPostgres{Pool: pool}
	s, err := warehouse.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer s.Close()

	serial := 0
	// fresh makes a new keyed table of ours, loaded with rows unless nil.
	load := func(resource string, mode warehouse.Mode, rows *benchRows) (int, time.Duration, error) {
		serial++
		began := time.Now()
		_, err := s.Load(ctx, warehouse.LoadSpec{Resource: resource, Batch: strconv.Itoa(serial), Mode: mode, At: began, Source: rows})
		return rows.n, time.Since(began), err
	}
	fresh := func(rows *benchRows) (string, error) {
		serial++
		t := benchTable
		t.Resource = fmt.Sprintf("bench-%d", serial)
		err := s.EnsureTable(ctx, t)
		if err == nil && rows != nil {
			_, _, err = load(t.Resource, warehouse.Append, rows)
		}
		return t.Resource, err
	}
	var rows []Row
	add := func(what, against, unit string, least float64, ours, theirs func() (int, time.Duration, error)) error {
		own, base, ratio, err := paired(rounds, ours, theirs)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		rows = append(rows, compared(what, against, unit, least, own, base, ratio))
		return nil
	}
	rawTable := func(rows *benchRows) (string, error) { return raw.table(ctx, rows) }
	// with gives each slice a table of its own, made before the clock starts.
	type slice func(table string) (int, time.Duration, error)
	with := func(make func(*benchRows) (string, error), first *benchRows, run slice) func() (int, time.Duration, error) {
		return func() (int, time.Duration, error) {
			t, err := make(first)
			if err != nil {
				return 0, 0, err
			}
			return run(t)
		}
	}
	err = errors.Join(
		add("load append, PostgreSQL", "COPY of the same rows as CSV into a keyed table", "rows/s", 0.5,
			with(fresh, nil, func(t string) (int, time.Duration, error) { return load(t, warehouse.Append, data) }),
			with(rawTable, nil, func(t string) (int, time.Duration, error) { return raw.copy(ctx, t, data) })),
		add("load replace, PostgreSQL", "the same COPY", "rows/s", 0.5,
			with(fresh, nil, func(t string) (int, time.Duration, error) { return load(t, warehouse.Replace, data) }),
			with(rawTable, nil, func(t string) (int, time.Duration, error) { return raw.copy(ctx, t, data) })),
		add("load upsert, all rows new, PostgreSQL", "COPY to a temporary table + insert … on conflict", "rows/s", 0.7,
			with(fresh, nil, func(t string) (int, time.Duration, error) { return load(t, warehouse.Upsert, data) }),
			with(rawTable, nil, func(t string) (int, time.Duration, error) { return raw.merge(ctx, t, data) })),
		add("load upsert, all rows changed, PostgreSQL", "the same", "rows/s", 0.7,
			with(fresh, data, func(t string) (int, time.Duration, error) { return load(t, warehouse.Upsert, changed) }),
			with(rawTable, data, func(t string) (int, time.Duration, error) { return raw.merge(ctx, t, changed) })),
	)
	if err != nil {
		return nil, err
	}
	resource, err := fresh(data)
	if err != nil {
		return nil, err
	}
	plain, err := rawTable(data)
	if err != nil {
		return nil, err
	}
	if _, err := raw.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return nil, err
	}
	var peak uint64
	err = add("stream of live rows as CSV, PostgreSQL", "COPY TO as CSV", "rows/s", 0.6, func() (int, time.Duration, error) {
		began := time.Now()
		n, high, err := streamCSV(ctx, s, resource)
		peak = max(peak, high)
		return n, time.Since(began), err
	}, func() (int, time.Duration, error) {
		c, err := raw.Acquire(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer c.Release()
		began := time.Now()
		tag, err := c.Conn().PgConn().CopyTo(ctx, io.Discard, "COPY "+plain+" TO STDOUT (FORMAT csv)")
		return int(tag.RowsAffected()), time.Since(began), err
	})
	if err != nil {
		return nil, err
	}
	rows[len(rows)-1].Note = fmt.Sprintf("The heap grew by at most %d MB while streaming.", peak>>20)
	err = add("point read by key, PostgreSQL, one connection", "pgx prepared select, one connection", "reads/s", 0, pointReads(ctx, s, resource, data), func() (int, time.Duration, error) {
		c, err := raw.Acquire(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer c.Release()
		began := time.Now()
		for i := range pointCount {
			var a, b, d, e string
			if err := c.QueryRow(ctx, "SELECT c2, c3, c4, c9 FROM "+plain+" WHERE c1 = $1", data.key(i*37%data.n)).Scan(&a, &b, &d, &e); err != nil {
				return 0, 0, err
			}
		}
		return pointCount, time.Since(began), nil
	})
	return rows, err
}

const pointCount = 10_000

func (r *benchRows) key(i int) string { return string(r.blocks[i/1024].Cell(i%1024, 0)) }

func pointReads(ctx context.Context, s *warehouse.Store, resource string, data *benchRows) func() (int, time.Duration, error) {
	return func() (int, time.Duration, error) {
		p, err := s.Point(ctx, warehouse.PointSpec{Resource: resource, Key: []string{"c1"}, Columns: []string{"c2", "c3", "c4", "c9"}, Limit: 1})
		if err != nil {
			return 0, 0, err
		}
		var rows warehouse.Rows
		began := time.Now()
		for i := range pointCount {
			if err := p.Read(ctx, &rows, []warehouse.Value{warehouse.StringValue(data.key(i * 37 % data.n))}); err != nil {
				return 0, 0, err
			}
			if rows.Len() != 1 {
				return 0, 0, fmt.Errorf("%d rows for a key", rows.Len())
			}
		}
		return pointCount, time.Since(began), nil
	}
}

// streamCSV writes the whole table as CSV to nowhere and tells by how much the
// heap grew meanwhile.
func streamCSV(ctx context.Context, s *warehouse.Store, resource string) (n int, grown uint64, err error) {
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	out := bufio.NewWriterSize(io.Discard, 64<<10)
	var columns []warehouse.Column
	var line []byte
	_, err = s.Scan(ctx, warehouse.ScanSpec{Resource: resource}, func(i warehouse.ScanInfo) error { columns = i.Columns; return nil }, func(c warehouse.Change) error {
		line = line[:0]
		for i, v := range c.Row {
			if i > 0 {
				line = append(line, ',')
			}
			if v.Kind == warehouse.String && strings.ContainsAny(v.S, ",\"\r\n") {
				line = append(append(append(line, '"'), strings.ReplaceAll(v.S, `"`, `""`)...), '"')
			} else {
				line = columns[i].Append(line, v)
			}
		}
		line = append(line, '\n')
		if n++; n%50_000 == 0 {
			runtime.ReadMemStats(&now)
			if now.HeapInuse > before.HeapInuse {
				grown = max(grown, now.HeapInuse-before.HeapInuse)
			}
		}
		_, err := out.Write(line)
		return err
	})
	return n, grown, err
}

func warehouseSQLite(ctx context.Context, env Env, data *benchRows, rounds int) ([]Row, error) {
	dir, err := os.MkdirTemp(env.Dir, "warehouse")
	if err != nil {
		return nil, err
	}
	s, err := warehouse.Open(ctx, "sqlite:"+filepath.Join(dir, "warehouse.db"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	raw, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(dir, "raw.db"), "FULL"))
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	raw.SetMaxOpenConns(1)
	serial := 0
	load := func(resource string) (int, time.Duration, error) {
		serial++
		began := time.Now()
		_, err := s.Load(ctx, warehouse.LoadSpec{Resource: resource, Batch: strconv.Itoa(serial), Mode: warehouse.Append, At: began, Source: data})
		return data.n, time.Since(began), err
	}
	table := benchTable
	var rows []Row
	own, base, ratio, err := paired(rounds, func() (int, time.Duration, error) {
		serial++
		table.Resource = fmt.Sprintf("bench-%d", serial)
		if err := s.EnsureTable(ctx, table); err != nil {
			return 0, 0, err
		}
		return load(table.Resource)
	}, func() (int, time.Duration, error) {
		serial++
		return rawInsert(ctx, raw, fmt.Sprintf("raw_%d", serial), data)
	})
	if err != nil {
		return nil, err
	}
	rows = append(rows, compared("load append, embedded", "prepared inserts in one transaction into a keyed table", "rows/s", 0.5, own, base, ratio))
	own, base, ratio, err = paired(rounds, pointReads(ctx, s, table.Resource, data), func() (int, time.Duration, error) {
		name := ""
		if err := raw.QueryRowContext(ctx, "SELECT max(name) FROM sqlite_master WHERE type = 'table'").Scan(&name); err != nil {
			return 0, 0, err
		}
		stmt, err := raw.PrepareContext(ctx, "SELECT c2, c3, c4, c9 FROM "+name+" WHERE c1 = ?")
		if err != nil {
			return 0, 0, err
		}
		defer stmt.Close()
		began := time.Now()
		for i := range pointCount {
			var a, b, d, e string
			if err := stmt.QueryRow(data.key(i*37%data.n)).Scan(&a, &b, &d, &e); err != nil {
				return 0, 0, err
			}
		}
		return pointCount, time.Since(began), nil
	})
	if err != nil {
		return nil, err
	}
	rows = append(rows, compared("point read by key, embedded", "database/sql prepared select", "reads/s", 0, own, base, ratio))
	began := time.Now()
	n, grown, err := streamCSV(ctx, s, table.Resource)
	rows = append(rows, Row{What: "stream of live rows as CSV, embedded", Value: rate(float64(n)/time.Since(began).Seconds(), "rows/s"), Note: fmt.Sprintf("The heap grew by at most %d MB.", grown>>20)})
	return rows, err
}
