package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/warehouse"
)

// growthFigures measures the same work at ten times the data. The ratio of a row is
// the cost of one unit of work (a row, a read, an entry) at ten times the data ÷ its
// cost before. "Cost grows no faster than the work" is a ratio near 1 where a unit
// should not notice the data around it, with room for caches that no longer hold
// everything; a search that counts its facets over all that match may cost ten times.
func growthFigures(ctx context.Context, env Env) ([]Row, error) {
	scale := 10
	if env.Quick {
		scale = 1
	}
	var rows []Row
	add := func(what string, small, large float64, unit string, most float64, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		ratio := large / small
		rows = append(rows, Row{What: what, Value: fmt.Sprintf("%.3g %s", large, unit), Against: "a tenth of the data", Base: fmt.Sprintf("%.3g %s", small, unit),
			Ratio: fmt.Sprintf("%.2f", ratio), Bar: fmt.Sprintf("≤ %g", most), OK: ratio <= most})
		fmt.Fprintf(os.Stderr, "bench: growth: %s: %.2f\n", what, ratio)
		return nil
	}
	stores := []struct{ name, control, rows string }{{"embedded", "sqlite:" + filepath.Join(env.Dir, "growth.db"), "sqlite:" + filepath.Join(env.Dir, "growth-rows.db")}}
	if env.Postgres != "" {
		address, drop, err := newDatabase(ctx, env.Postgres)
		if err != nil {
			return nil, err
		}
		defer drop()
		stores = append(stores, struct{ name, control, rows string }{"PostgreSQL", address, address})
	}
	for _, s := range stores {
		small, large, err := growingIntake(ctx, env, s.control, s.rows, 10_000*scale)
		if err := add(fmt.Sprintf("intake of a CSV file, %d rows, %s, a row", 100_000*scale, s.name), small, large, "µs", 1.5, err); err != nil {
			return rows, err
		}
		small, large, err = growingReads(ctx, s.rows, 10_000*scale)
		if err := add(fmt.Sprintf("point read by key among %d rows, %s", 100_000*scale, s.name), small, large, "µs", 1.5, err); err != nil {
			return rows, err
		}
	}
	small, large, err := growingLog(ctx, env, int64(10_000*scale))
	if err := add(fmt.Sprintf("verify a log of %d entries, embedded, an entry", 100_000*scale), small, large, "µs", 1.5, err); err != nil {
		return rows, err
	}
	few, err := authorising(ctx, env, 1000*scale)
	if err != nil {
		return rows, err
	}
	many, err := authorising(ctx, env, 10_000*scale)
	if err := add(fmt.Sprintf("authorise and find the plan at %d grants", 10_000*scale), float64(few.Nanoseconds()), float64(many.Nanoseconds()), "ns", 1.5, err); err != nil {
		return rows, err
	}
	if env.Quick {
		return rows, nil
	}
	_, small, err = searching(ctx, "BenchmarkSearch100kAt50", "3x")
	if err != nil {
		return rows, err
	}
	_, large, err = searching(ctx, "BenchmarkSearch1MAt50", "3x")
	return rows, add("catalog search, 1,000,000 resources, facets, 50 at once, p95", small, large, "ms", 10, err)
}

// growingIntake is the microseconds a row of a file of n rows and one of ten times
// as many, each the better of two.
func growingIntake(ctx context.Context, env Env, control, rows string, n int) (small, large float64, err error) {
	h, err := openHouse(ctx, control, rows, env.Dir)
	if err != nil {
		return 0, 0, err
	}
	defer h.close()
	cost := func(n int) (best float64, err error) {
		file := benchFile(makeRows(n, 0, ""))
		for range 2 {
			r, err := h.table(ctx)
			if err != nil {
				return 0, err
			}
			_, took, err := h.send(ctx, r, warehouse.Append, file, n)
			if err != nil {
				return 0, err
			}
			if per := float64(took.Microseconds()) / float64(n); best == 0 || per < best {
				best = per
			}
			if err := h.warehouse.Drop(ctx, r.ID); err != nil {
				return 0, err
			}
		}
		return best, nil
	}
	if small, err = cost(n); err == nil {
		large, err = cost(10 * n)
	}
	return small, large, err
}

// growingReads is the microseconds of a point read in a table of n rows and in one
// of ten times as many, paired.
func growingReads(ctx context.Context, at string, n int) (small, large float64, err error) {
	s, err := warehouse.Open(ctx, at)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	var reads [2]func() (int, time.Duration, error)
	for i, n := range []int{n, 10 * n} {
		data := makeRows(n, 0, "")
		table := benchTable
		table.Resource = fmt.Sprintf("growth-%d", n)
		if err := s.EnsureTable(ctx, table); err != nil {
			return 0, 0, err
		}
		if _, err := s.Load(ctx, warehouse.LoadSpec{Resource: table.Resource, Batch: "b", Mode: warehouse.Append, At: time.Now(), Source: data}); err != nil {
			return 0, 0, err
		}
		reads[i] = pointReads(ctx, s, table.Resource, data)
	}
	few, many, _, err := paired(5, reads[0], reads[1])
	return 1e6 / few, 1e6 / many, err
}

// growingLog is the microseconds an entry of verifying a log of n entries and then
// of ten times as many.
func growingLog(ctx context.Context, env Env, n int64) (small, large float64, err error) {
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(env.Dir, "growth-log.db"))
	if err != nil {
		return 0, 0, err
	}
	defer d.Close()
	if err := d.Migrate(ctx); err != nil {
		return 0, 0, err
	}
	keys, err := audit.GenerateKeys("bench-log")
	if err != nil {
		return 0, 0, err
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		return 0, 0, err
	}
	defer log.Close()
	known, _, err := audit.ParseVerifiers(keys.VerifierKeys()[0])
	if err != nil {
		return 0, 0, err
	}
	cost := func(entries int64) (float64, error) {
		if err := fillLog(ctx, d, log, entries); err != nil {
			return 0, err
		}
		head, err := log.Checkpoint(ctx)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		report, err := audit.VerifyStore(ctx, d, audit.VerifyOptions{Known: known})
		if err == nil && !report.OK() {
			err = fmt.Errorf("the log does not verify: %v", report.Faults)
		}
		return float64(time.Since(began).Microseconds()) / float64(head.Size), err
	}
	if small, err = cost(n); err == nil {
		large, err = cost(10 * n)
	}
	return small, large, err
}
