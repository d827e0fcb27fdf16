package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	const callers = 64
	var waits []time.Duration
	many, _, _, err := paired(3,
		func() (int, time.Duration, error) {
			n, took, w, err := appendFor(ctx, log, callers, slice)
			waits = append(waits, w...)
			return n, took, err
		},
		func() (int, time.Duration, error) { return syncFor(env.Dir, slice/3) })
	if err != nil {
		return nil, err
	}
	rows = append(rows, Row{What: fmt.Sprintf("append, %d callers, %s", callers, name), Value: rate(many, "entries/s"), Bar: "≥ 5,000/s", OK: many >= 5000})
	// One fsync on this disk, beside one caller who has the log to himself.
	one, flush, _, err := paired(5,
		func() (int, time.Duration, error) {
			n, took, _, err := appendFor(ctx, log, 1, slice/3)
			return n, took, err
		},
		func() (int, time.Duration, error) { return syncFor(env.Dir, slice/3) })
	if err != nil {
		return nil, err
	}
	alone, fsync := time.Duration(float64(time.Second)/one), time.Duration(float64(time.Second)/flush)
	times := float64(alone) / float64(fsync)
	rows = append(rows, Row{What: "added to a read, alone, " + name, Value: alone.Round(time.Microsecond).String(), Against: "one write and fsync of a file",
		Base: fsync.Round(time.Microsecond).String(), Ratio: fmt.Sprintf("%.2f", times), Bar: "≤ 2", OK: times <= 2})
	slices.Sort(waits)
	median, late := waits[len(waits)/2], waits[len(waits)*99/100]
	times = float64(median) / float64(fsync)
	rows = append(rows, Row{What: fmt.Sprintf("added to a read, %d callers, %s", callers, name), Value: median.Round(time.Microsecond).String(), Against: "one write and fsync of a file",
		Base: fsync.Round(time.Microsecond).String(), Ratio: fmt.Sprintf("%.2f", times), Bar: "≤ 2", OK: times <= 2,
		Note: fmt.Sprintf("The 99th percentile is %v. With %d callers on two cores the wait holds the time for a processor as well as for the disk.", late.Round(time.Microsecond), callers)})
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

// appendFor appends from many callers for a while; waits is how long each took.
func appendFor(ctx context.Context, log *audit.Log, callers int, slice time.Duration) (n int, took time.Duration, waits []time.Duration, err error) {
	var count atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			var own []time.Duration
			for i := 0; time.Since(began) < slice; i++ {
				at := time.Now()
				if _, e := log.Append(ctx, benchEntry(i)); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
					return
				}
				own = append(own, time.Since(at))
			}
			count.Add(int64(len(own)))
			mu.Lock()
			waits = append(waits, own...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return int(count.Load()), time.Since(began), waits, err
}

// syncFor writes 512 bytes at the end of a file and waits for the disk, again and again.
func syncFor(dir string, slice time.Duration) (n int, took time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := bytes.Repeat([]byte{'x'}, 512)
	began := time.Now()
	for time.Since(began) < slice {
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		n++
	}
	return n, time.Since(began), nil
}
