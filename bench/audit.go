package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
)

// auditFigures measures the log: entries a second through the group commit, what
// waiting for it adds to a read, and how long verifying a million entries takes.
func auditFigures(ctx context.Context, env Env) ([]Row, error) {
	entries := 1_000_000
	slice := 3 * time.Second
	if env.Quick {
		entries, slice = 50_000, 300*time.Millisecond
	}
	var rows []Row
	stores := []struct{ name, url string }{{"SQLite", "sqlite:" + filepath.Join(env.Dir, "audit.db")}}
	if env.Postgres != "" {
		url, drop, err := newDatabase(ctx, env.Postgres)
		if err != nil {
			return nil, err
		}
		defer drop()
		stores = append(stores, struct{ name, url string }{"PostgreSQL", url})
	} else {
		rows = append(rows, Row{What: "PostgreSQL", Note: "No server was given: its rows are missing."})
	}
	for _, s := range stores {
		more, err := auditStore(ctx, env, s.name, s.url, entries, slice)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func auditStore(ctx context.Context, env Env, name, url string, entries int, slice time.Duration) ([]Row, error) {
	d, err := db.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := d.Migrate(ctx); err != nil {
		return nil, err
	}
	keys, err := audit.GenerateKeys("bench-log")
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	go log.Run(running) // the tree and its checkpoints are built meanwhile, as they are in service
	var rows []Row
	const callers, pace = 64, 5000
	commit := syncs[strings.HasPrefix(url, "sqlite:")]
	flush := func() (int, time.Duration, error) { return syncFor(env.Dir, slice/3, commit.sync) }
	many, _, _, err := paired(3, func() (int, time.Duration, error) {
		n, took, _, err := appendFor(ctx, log, callers, 0, slice)
		return n, took, err
	}, flush)
	if err != nil {
		return nil, err
	}
	rows = append(rows, Row{What: fmt.Sprintf("append, %d callers, %s", callers, name), Value: rate(many, "entries/s"), Bar: "≥ 5,000/s", OK: many >= pace})
	// What an entry adds to a read, beside flushes of the same disk: a unit is a
	// median wait.
	for _, c := range []struct {
		what          string
		callers, pace int
		note          string
	}{
		{"alone", 1, 0, "One caller who has the log to himself."},
		{fmt.Sprintf("%d callers, %d reads/s", callers, pace), callers, pace, "Callers pause between entries as readers do, at the rate that the log must bear: who comes in the middle of a commit waits for its end and for the next."},
		{fmt.Sprintf("%d callers without a pause", callers), callers, 0, "They do nothing but append, so the wait is callers over entries a second, and two flushes of it would ask for %s."},
	} {
		var waits []time.Duration
		waited, flushed, _, err := paired(5, func() (int, time.Duration, error) {
			_, _, w, err := appendFor(ctx, log, c.callers, c.pace, slice/2)
			if err != nil {
				return 0, 0, err
			}
			waits = append(waits, w...)
			slices.Sort(w)
			return 1, w[len(w)/2], nil
		}, flush)
		if err != nil {
			return nil, err
		}
		slices.Sort(waits)
		wait, base := time.Duration(float64(time.Second)/waited), time.Duration(float64(time.Second)/flushed)
		times := float64(wait) / float64(base)
		note := fmt.Sprintf("Median wait for the group commit; the 99th percentile is %v. Against %s. ", waits[len(waits)*99/100].Round(time.Microsecond), commit.what)
		if c.pace == 0 && c.callers > 1 {
			note += fmt.Sprintf(c.note, rate(float64(c.callers)/(2*base.Seconds()), "entries/s"))
		} else {
			note += c.note
		}
		rows = append(rows, Row{What: "added to a read, " + c.what + ", " + name, Value: wait.Round(time.Microsecond).String(), Against: "one flush of the disk",
			Base: base.Round(time.Microsecond).String(), Ratio: fmt.Sprintf("%.2f", times), Bar: "≤ 2", OK: times <= 2, Note: note})
	}
	stop()
	if err := fillLog(ctx, d, log, int64(entries)); err != nil {
		return nil, err
	}
	head, err := log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	report, err := audit.VerifyStore(ctx, d, audit.VerifyOptions{Known: known})
	took := time.Since(began)
	if err != nil || !report.OK() {
		return nil, fmt.Errorf("the log does not verify: %v %v", err, report.Faults)
	}
	perMillion := took.Seconds() / float64(head.Size) * 1e6
	rows = append(rows, Row{What: "verify the store, a million entries, " + name, Value: fmt.Sprintf("%.1f s", perMillion), Bar: "≤ 10 s", OK: perMillion <= 10})
	info, err := log.Plan(ctx, audit.ExportRange{})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(env.Dir, "export.jsonl")
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer os.Remove(file)
	began = time.Now()
	if err := log.Export(ctx, out, info); err != nil {
		return nil, err
	}
	exported := time.Since(began)
	if err := out.Close(); err != nil {
		return nil, err
	}
	began = time.Now()
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	report, err = audit.VerifyExport(in, audit.VerifyOptions{Known: known})
	took = time.Since(began)
	if err != nil || !report.OK() {
		return nil, fmt.Errorf("the export does not verify: %v %v", err, report.Faults)
	}
	perMillion = took.Seconds() / float64(info.To) * 1e6
	rows = append(rows, Row{What: "verify an export offline, a million entries, " + name, Value: fmt.Sprintf("%.1f s", perMillion), Bar: "≤ 10 s", OK: perMillion <= 10,
		Note: fmt.Sprintf("Writing the export took %.1f s a million.", exported.Seconds()/float64(info.To)*1e6)})
	return rows, nil
}

// fillLog appends until the log has so many entries.
func fillLog(ctx context.Context, d *db.DB, log *audit.Log, entries int64) error {
	size, err := log.Size(ctx)
	for ; err == nil && size < entries; size += 10_000 {
		err = d.InTx(ctx, func(tx *db.Tx) error {
			batch := make([]audit.Entry, 10_000)
			for i := range batch {
				batch[i] = benchEntry(i)
			}
			_, err := log.AppendTx(ctx, tx, batch...)
			return err
		})
	}
	return err
}

func benchEntry(i int) audit.Entry {
	return audit.Entry{ActorKind: "client", Actor: fmt.Sprint("client-", i%9), ActorName: "甲局业务系统", Body: "body-1", BodyName: "甲局", Addr: "10.1.2.3",
		Action: "gateway.query", TargetKind: "resource", Resource: "30600101/0001", Grant: fmt.Sprint("grant-", i%31), Purpose: "核验申请人户籍",
		Approver: "王某", Case: "2026-000123", Medium: "api", Subjects: []string{"0123456789abcdef0123456789abcdef"},
		Notes: []audit.Note{{Key: "rows", Value: 1}, {Key: "user", Value: "u-17"}}}
}

// appendFor appends from many callers for a while, together pace times a second
// (0: without a pause); waits is how long each took.
func appendFor(ctx context.Context, log *audit.Log, callers, pace int, slice time.Duration) (n int, took time.Duration, waits []time.Duration, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			var own []time.Duration
			var failed error
			for i := 0; time.Since(began) < slice && failed == nil; i++ {
				if pace > 0 {
					every := float64(time.Second) * float64(callers) / float64(pace)
					time.Sleep(time.Duration(rand.ExpFloat64() * every))
				}
				at := time.Now()
				if _, failed = log.Append(ctx, benchEntry(i)); failed == nil {
					own = append(own, time.Since(at))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, own...)
			err = errors.Join(err, failed)
		})
	}
	wg.Wait()
	if err == nil && len(waits) == 0 {
		err = errors.New("not one entry was appended")
	}
	return len(waits), time.Since(began), waits, err
}

// syncs are how the databases flush a commit of one entry: whether it is SQLite's,
// and the call on a file.
var syncs = map[bool]struct {
	what string
	sync func(f *os.File) error
}{
	true:  {"8 KiB written in place into a file of 4 MiB on the same disk, and fsync, as SQLite's log of two pages", (*os.File).Sync},
	false: {"8 KiB written in place into a file of 4 MiB and fdatasync, as PostgreSQL's log of one page, on the disk of this bench's folder, where scripts/bench.sh puts the server's", func(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }},
}

// syncFor writes as a commit does and waits for the disk, again and again, and gives
// the median wait as that of one unit. The logs of both databases are files that
// are used over and over, so nothing grows.
func syncFor(dir string, slice time.Duration, flush func(f *os.File) error) (n int, took time.Duration, err error) {
	const page, pages = 8 << 10, 512
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte{'x'}, page*pages)); err != nil {
		return 0, 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, 0, err
	}
	block := bytes.Repeat([]byte{'y'}, page)
	var waits []time.Duration
	for began := time.Now(); len(waits) == 0 || time.Since(began) < slice; {
		at := time.Now()
		if _, err := f.WriteAt(block, int64(len(waits)%pages)*page); err != nil {
			return 0, 0, err
		}
		if err := flush(f); err != nil {
			return 0, 0, err
		}
		waits = append(waits, time.Since(at))
	}
	slices.Sort(waits)
	return 1, waits[len(waits)/2], nil
}
