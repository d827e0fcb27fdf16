package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// intakeItems are benchTable's columns as a department registers them: ten items
// under a dozen rules.
func intakeItems() []catalog.Item {
	return []catalog.Item{
		{Name: "编号", Code: "no", Type: "C", Length: 18, Key: true, Pattern: `\d{18}`, Grade: 1},
		{Name: "名称", Code: "name", Type: "C", Length: 50, Required: true, Grade: 1},
		{Name: "地址", Code: "address", Type: "C", Length: 200, Grade: 1},
		{Name: "联系电话", Code: "phone", Type: "C", Length: 20, Required: true, Pattern: `1380591\d{4}`, Grade: 1},
		{Name: "登记日期", Code: "day", Type: "D", NotFuture: true, Grade: 1},
		{Name: "序号", Code: "serial", Type: "I", Min: "0", Grade: 1},
		{Name: "金额", Code: "amount", Type: "N", Scale: 2, Length: 18, Min: "0", Max: "1000000", Grade: 1},
		{Name: "经度", Code: "lon", Type: "F", Min: "73", Max: "136", Grade: 1},
		{Name: "办理机构", Code: "office", Type: "C", Length: 100, Required: true, Grade: 1},
		{Name: "类别", Code: "kind", Type: "C", Length: 4, Grade: 1},
	}
}

// house is a catalog, a warehouse and intake over stores of their own.
type house struct {
	cases     *casework.Service
	catalog   *catalog.Service
	intake    *intake.Service
	warehouse *warehouse.Store
	db        *db.DB
	door      *operation.Door
	log       *audit.Log
	closers   []func() error
	serial    int
}

func (h *house) close() {
	for i := len(h.closers) - 1; i >= 0; i-- {
		h.closers[i]()
	}
}

var benchBody = catalog.Body{ID: "bench-body", Name: "测试局", USCC: "12350500MB00000278", District: "350100"}

func benchActor(post identity.Post) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: "bench/" + string(post), Name: string(post), Body: benchBody.ID, BodyName: benchBody.Name, District: "350100", Level: "city", Post: post, Posts: []identity.Post{post}}
}

type benchTables struct{ *warehouse.Store }

func (t benchTables) Plan(context.Context, *catalog.Resource, *catalog.Resource) error { return nil }

func (t benchTables) Migrate(ctx context.Context, _, next *catalog.Resource) error {
	table := benchTable
	table.Resource = next.ID
	return t.EnsureTable(ctx, table)
}

func openHouse(ctx context.Context, control, rows, dir string) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	d, err := db.Open(ctx, control)
	if err != nil {
		return h, err
	}
	h.closers = append(h.closers, d.Close)
	if err = d.Migrate(ctx); err != nil {
		return h, err
	}
	keys, err := audit.GenerateKeys("bench")
	if err != nil {
		return h, err
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		return h, err
	}
	h.closers = append(h.closers, log.Close)
	door, err := operation.New(operation.Deps{DB: d, Log: log})
	if err != nil {
		return h, err
	}
	h.db, h.door, h.log = d, door, log
	if h.warehouse, err = warehouse.Open(ctx, rows); err != nil {
		return h, err
	}
	h.closers = append(h.closers, h.warehouse.Close)
	blobs, err := blob.Open(filepath.Join(dir, "objects"), blob.NewMaster(blob.AES256GCM), blob.AES256GCM)
	if err != nil {
		return h, err
	}
	h.closers = append(h.closers, blobs.Close)
	p, err := profile.Load("fuzhou")
	if err != nil {
		return h, err
	}
	policy := catalog.PolicyFrom(p, time.Now())
	body := func(context.Context, string) (catalog.Body, error) { return benchBody, nil }
	h.cases = casework.New(casework.Deps{DB: d, Door: door})
	h.catalog = catalog.New(catalog.Deps{DB: d, Door: door, Cases: h.cases, AuthorityFor: body, Policy: func() *catalog.Policy { return policy }, Body: body, Tables: benchTables{h.warehouse}, CheckExpr: quality.CheckExpr})
	h.intake, err = intake.New(intake.Deps{DB: d, Door: door, Log: log, Blobs: blobs, Catalog: h.catalog, Warehouse: h.warehouse, Quality: quality.New(d, blobs), Body: body, Alone: true})
	return h, err
}

// table registers and publishes a fresh table, with a channel for upserts.
func (h *house) table(ctx context.Context) (*catalog.Resource, error) {
	h.serial++
	r, err := h.catalog.Create(ctx, benchActor(identity.Steward), catalog.Resource{
		Kind: catalog.Table, Name: "测速数据" + strconv.Itoa(h.serial), Summary: "测速用的十列数据。", Class: catalog.Class{Class: "1", Item: "02", Head: "002"}, Theme: "08", Region: "350100",
		Body: benchBody.ID, System: "测速系统", Format: catalog.FormatDatabase, FormatTypes: []string{"mysql"}, Items: intakeItems(),
		Sharing: catalog.Unconditional, SharingWays: []catalog.Way{catalog.WayDatabase}, Opening: catalog.General, OpeningNote: "注明来源", Cycle: catalog.Daily, Grade: 1,
		Collection: catalog.Collection{Way: "business", Basis: "测速"}, Source: catalog.Source{Duty: "测速", Confirmed: true, Overlap: "每轮一张新表"}, Secrecy: catalog.Secrecy{Declared: true}})
	if err != nil {
		return nil, err
	}
	if r, err = h.catalog.Submit(ctx, benchActor(identity.Steward), catalog.AddressOf{Code: r.Code}); err != nil {
		return nil, err
	}
	for _, step := range h.catalog.Policy().Publication.Steps {
		who := benchActor(identity.Post(step.Post))
		task, err := h.cases.TaskFor(ctx, who, r.Case)
		if err != nil {
			return nil, err
		}
		if _, err := h.cases.Decide(ctx, who, task.ID, casework.Decision{Outcome: casework.Pass, Reason: "1"}); err != nil {
			return nil, err
		}
	}
	if r, err = h.catalog.Published(ctx, r.Code); err != nil {
		return nil, err
	}
	c, err := h.intake.RequestChannel(ctx, benchActor(identity.Steward), r.Code, []warehouse.Mode{warehouse.Upsert, warehouse.Replace}, "测速", time.Now().AddDate(0, 1, 0))
	if err != nil {
		return nil, err
	}
	_, err = h.intake.DecideChannel(ctx, benchActor(identity.AuthorityReviewer), c.ID, true, "同意")
	return r, err
}

// send takes a file the whole way: sealed, read, checked, stored, receipted.
func (h *house) send(ctx context.Context, r *catalog.Resource, mode warehouse.Mode, file []byte, want int) (int, time.Duration, error) {
	began := time.Now()
	b, err := h.intake.Receive(ctx, benchActor(identity.Steward), intake.Upload{Resource: r.Code, Mode: mode, FileName: "bench.csv", Secrecy: intake.Secrecy{Declared: true}}, bytes.NewReader(file))
	if err == nil {
		b, err = h.intake.Load(ctx, b.ID)
	}
	took := time.Since(began)
	switch {
	case err != nil:
		return 0, took, err
	case b.State != intake.Done || b.Total != int64(want) || b.Rejected != int64(want/1000):
		return 0, took, fmt.Errorf("%s: %d rows, %d rejected: %v", b.State, b.Total, b.Rejected, b.Failure)
	}
	return want, took, nil
}

// benchFile is the rows as a department's CSV: with a header, every thousandth
// row without its required name.
func benchFile(rows *benchRows) []byte {
	var names []string
	for _, it := range intakeItems() {
		names = append(names, it.Name)
	}
	var out bytes.Buffer
	out.WriteString(strings.Join(names, ",") + "\n")
	n := 0
	for line := range bytes.Lines(rows.csv) {
		if n++; n%1000 == 0 {
			cells := bytes.SplitN(line, []byte{','}, 3)
			line = bytes.Join([][]byte{cells[0], nil, cells[2]}, []byte{','})
		}
		out.Write(line)
	}
	return out.Bytes()
}

func intakeFigures(ctx context.Context, env Env) ([]Row, error) {
	n, rounds := 1_000_000, 3
	if env.Quick {
		n, rounds = 50_000, 2
	}
	data, changed := makeRows(n, 0, ""), makeRows(n, 0, "改")
	file, changedFile := benchFile(data), benchFile(changed)
	rows := []Row{validationFigure(data)}
	if env.Postgres == "" {
		rows = append(rows, Row{What: "intake on PostgreSQL", Note: "not measured: no server."})
	} else {
		pg, err := intakePostgres(ctx, env, data, changed, file, changedFile, rounds)
		rows = append(rows, pg...)
		if err != nil {
			return rows, err
		}
	}
	lite, err := intakeSQLite(ctx, env, data, file, rounds)
	return append(rows, lite...), err
}

// validationFigure is the check alone, one goroutine, on rows in memory.
func validationFigure(data *benchRows) Row {
	r := &catalog.Resource{Items: intakeItems()}
	rules := 0
	for i := range r.Items {
		it := &r.Items[i]
		it.ID = it.Code
		for _, on := range []bool{it.Required || it.Key, it.Type != "C", it.Length > 0, it.Pattern != "", it.Min != "" || it.Max != "", it.Key, it.NotFuture} {
			if on {
				rules++
			}
		}
	}
	e, err := quality.Compile(r)
	if err != nil {
		return Row{What: "validation alone", Note: err.Error()}
	}
	run, err := e.Start(quality.Options{Mapping: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Today: "2026-11-22"})
	if err != nil {
		return Row{What: "validation alone", Note: err.Error()}
	}
	defer run.Close()
	out := tabular.NewBlock()
	began := time.Now()
	for _, b := range data.blocks {
		out.Reset()
		if err := run.Check(context.Background(), b, out, func(*tabular.Block, int, []quality.Fault) error { return nil }); err != nil {
			return Row{What: "validation alone", Note: err.Error()}
		}
	}
	per := float64(data.n) / time.Since(began).Seconds()
	return Row{What: fmt.Sprintf("validation alone, 10 columns, %d rules a row, one core", rules), Value: rate(per, "rows/s"), Bar: "≥ 500,000 rows/s", OK: per >= 500_000}
}

// watch follows the program's memory while f runs and returns the highest heap.
func watch(f func() error) (uint64, error) {
	var peak atomic.Uint64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if now := m.HeapInuse + m.StackInuse; now > peak.Load() {
				peak.Store(now)
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	err := f()
	close(stop)
	<-done
	return peak.Load(), err
}

func intakePostgres(ctx context.Context, env Env, data, changed *benchRows, file, changedFile []byte, rounds int) ([]Row, error) {
	address, dropAll, err := newDatabase(ctx, env.Postgres)
	if err != nil {
		return nil, err
	}
	defer dropAll()
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	raw := &rawPostgres{Pool: pool}
	h, err := openHouse(ctx, address, address, env.Dir)
	if err != nil {
		return nil, err
	}
	defer h.close()
	var rows []Row
	add := func(what, against string, least float64, ours, theirs func() (int, time.Duration, error)) error {
		own, base, ratio, err := paired(rounds, ours, theirs)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		rows = append(rows, compared(what, against, "rows/s", least, own, base, ratio))
		return nil
	}
	err = errors.Join(
		add("CSV file → sealed, checked, stored, receipted; append, PostgreSQL", "COPY of the same rows into a keyed table", 0.5, func() (int, time.Duration, error) {
			r, err := h.table(ctx)
			if err != nil {
				return 0, 0, err
			}
			defer h.warehouse.Drop(ctx, r.ID)
			return h.send(ctx, r, warehouse.Append, file, data.n)
		}, func() (int, time.Duration, error) {
			t, err := raw.table(ctx, nil)
			if err != nil {
				return 0, 0, err
			}
			defer raw.drop(ctx, t)
			return raw.copy(ctx, t, data)
		}),
		add("the same, upsert of changed rows, PostgreSQL", "COPY to a temporary table + insert … on conflict", 0.7, func() (int, time.Duration, error) {
			r, err := h.table(ctx)
			if err != nil {
				return 0, 0, err
			}
			defer h.warehouse.Drop(ctx, r.ID)
			if _, _, err := h.send(ctx, r, warehouse.Append, file, data.n); err != nil {
				return 0, 0, err
			}
			return h.send(ctx, r, warehouse.Upsert, changedFile, data.n)
		}, func() (int, time.Duration, error) {
			t, err := raw.table(ctx, data)
			if err != nil {
				return 0, 0, err
			}
			defer raw.drop(ctx, t)
			return raw.merge(ctx, t, changed)
		}),
	)
	return rows, err
}

func intakeSQLite(ctx context.Context, env Env, data *benchRows, file []byte, rounds int) ([]Row, error) {
	h, err := openHouse(ctx, "sqlite:"+filepath.Join(env.Dir, "control.db"), "sqlite:"+filepath.Join(env.Dir, "warehouse.db"), env.Dir)
	if err != nil {
		return nil, err
	}
	defer h.close()
	serial := 0
	own, base, ratio, err := paired(rounds, func() (int, time.Duration, error) {
		r, err := h.table(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer h.warehouse.Drop(ctx, r.ID)
		return h.send(ctx, r, warehouse.Append, file, data.n)
	}, func() (int, time.Duration, error) {
		serial++
		path := filepath.Join(env.Dir, fmt.Sprintf("raw_%d.db", serial))
		defer os.Remove(path)
		raw, err := sql.Open("sqlite", db.SQLiteDSN(path, "FULL"))
		if err != nil {
			return 0, 0, err
		}
		defer raw.Close()
		raw.SetMaxOpenConns(1)
		return rawInsert(ctx, raw, "t", data)
	})
	if err != nil {
		return nil, err
	}
	return []Row{compared("CSV file → sealed, checked, stored, receipted; append, embedded", "the same rows inserted by one prepared statement in one transaction", "rows/s", 0.5, own, base, ratio)}, nil
}
