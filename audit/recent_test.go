package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
)

// What is read out of memory is what stands in the store: with two nodes that write
// in turn, transactions among group commits, and more than memory keeps.
func TestNewEntriesAreReadAsTheyStand(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		keys, err := audit.GenerateKeys("test-log")
		if err != nil {
			t.Fatal(err)
		}
		node := func() *audit.Log {
			l, err := audit.Open(ctx, d, audit.Options{Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return l
		}
		one, two := node(), node()
		same := func(l *audit.Log, from int64) {
			t.Helper()
			size, err := l.Size(ctx)
			if err != nil {
				t.Fatal(err)
			}
			next := from
			if err := l.Contents(ctx, from, size, func(seq int64, content []byte) error {
				rec, err := l.Get(ctx, seq) // from the store
				if err != nil || seq != next || string(rec.Content) != string(content) {
					return fmt.Errorf("entry %d (want %d) is read as %.80q and stands as %.80q, %v", seq, next, content, rec.Content, err)
				}
				next++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if next != size {
				t.Fatalf("read up to %d of %d", next, size)
			}
		}
		var group sync.WaitGroup
		for worker, l := range []*audit.Log{one, one, one, two, two} {
			group.Go(func() {
				for i := range 60 {
					var err error
					if (worker+i)%7 == 0 {
						err = d.InTx(ctx, func(tx *db.Tx) error {
							_, err := l.AppendTx(ctx, tx, entry(i), entry(i+1))
							return err
						})
					} else {
						_, err = l.Append(ctx, entry(i))
					}
					if err != nil {
						t.Error(err)
					}
					if i == 30 {
						if _, err := l.Checkpoint(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		same(one, 0)
		same(two, 0)

		// 40 MB, of which memory keeps 32 at most.
		large := make([]audit.Entry, 100)
		for i := range large {
			large[i] = entry(i)
			list := make([]string, 50)
			for j := range list {
				list[j] = strings.Repeat("x", 1000)
			}
			large[i].Notes = []audit.Note{{Key: "fields", Value: list}}
		}
		before, err := one.Size(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			if err := d.InTx(ctx, func(tx *db.Tx) error {
				_, err := one.AppendTx(ctx, tx, large...)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		same(one, before)
		for _, l := range []*audit.Log{two, one} {
			if _, err := l.Append(ctx, entry(1)); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Checkpoint(ctx); err != nil {
				t.Fatal(err)
			}
		}
		report, err := one.Verify(ctx, audit.VerifyOptions{Known: verifiers(t, strings.Join(one.VerifierKeys(), "\n"))})
		if err != nil || !report.OK() {
			t.Fatalf("the log does not verify: %v %v", err, report.Faults)
		}
	})
}
