package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

func entry(i int) audit.Entry {
	return audit.Entry{
		ActorKind: "client", Actor: fmt.Sprintf("client-%d", i%3), ActorName: "甲局业务系统", Post: "", Body: "body-1",
		Action: "gateway.query", Resource: "306001/0001", Grant: fmt.Sprintf("grant-%d", i%5), Purpose: "核验申请人户籍",
		Case: "QZ2026-0001", Approver: "王某", Medium: "api", Notes: []audit.Note{{"rows", i}, {"n", "x"}},
	}
}

func TestAppendGivesDenseNumbers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		l := audittest.Open(t, d)
		const callers, each = 20, 30
		var mu sync.Mutex
		seen := map[int64]int{}
		var wg sync.WaitGroup
		for c := range callers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range each {
					var seq int64
					var err error
					if i%5 == 4 {
						err = d.InTx(ctx, func(tx *db.Tx) error {
							seq, err = l.AppendTx(ctx, tx, entry(c*each+i))
							return err
						})
					} else {
						seq, err = l.Append(ctx, entry(c*each+i))
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen[seq]++
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		size, err := l.Size(ctx)
		if err != nil || size != callers*each+1 {
			t.Fatalf("size %d, %v", size, err)
		}
		for seq := int64(1); seq < size; seq++ {
			if seen[seq] != 1 {
				t.Fatalf("number %d was given %d times", seq, seen[seq])
			}
		}
		first, err := l.Get(ctx, 0)
		if err != nil || first.Entry.Action != "audit.log.create" {
			t.Errorf("entry 0 is %q, %v", first.Entry.Action, err)
		}
	})
}

func TestAppendTxFollowsItsTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		l := audittest.Open(t, d)
		fault := errors.New("changed my mind")
		if err := d.InTx(ctx, func(tx *db.Tx) error {
			if _, err := l.AppendTx(ctx, tx, entry(1), entry(2)); err != nil {
				return err
			}
			return fault
		}); !errors.Is(err, fault) {
			t.Fatal(err)
		}
		var last int64
		if err := d.InTx(ctx, func(tx *db.Tx) (err error) {
			last, err = l.AppendTx(ctx, tx, entry(3), entry(4))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if last != 2 {
			t.Errorf("after a rollback the last number is %d, want 2", last)
		}
		rec, err := l.Get(ctx, 1)
		if err != nil || rec.Entry.Note("rows") != "3" || rec.Bad {
			t.Errorf("entry 1: %+v, %v", rec, err)
		}
		if _, err := l.Get(ctx, 3); !errs.Is(err, errs.NotFound) {
			t.Errorf("entry 3: %v", err)
		}
	})
}

func TestDatabaseRefusesChanges(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		l := audittest.Open(t, d)
		if _, err := l.Append(ctx, entry(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		statements := []string{
			`UPDATE audit_entry SET content = '{}' WHERE seq = 1`,
			`UPDATE audit_entry SET content = NULL WHERE seq = 1`,
			`UPDATE audit_entry SET seq = 7 WHERE seq = 1`,
			`DELETE FROM audit_entry`,
			`UPDATE audit_head SET size = 1`,
			`DELETE FROM audit_head`,
			`UPDATE audit_tree SET size = 0`,
			`UPDATE audit_tile SET data = leaf FROM audit_entry WHERE seq = 1`,
			`DELETE FROM audit_tile`,
			`UPDATE audit_checkpoint SET note = 'x'`,
			`DELETE FROM audit_checkpoint`,
			`DELETE FROM audit_prune`,
		}
		if d.Dialect == db.Postgres {
			for _, table := range []string{"entry", "head", "tree", "tile", "checkpoint", "prune"} {
				statements = append(statements, "TRUNCATE audit_"+table)
			}
		}
		for _, statement := range statements {
			err := d.InTx(ctx, func(tx *db.Tx) error { _, err := tx.Exec(ctx, statement); return err })
			if err == nil || !strings.Contains(err.Error(), "audit_") || !strings.Contains(err.Error(), "only") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}

func TestCheckpointsAndProofs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		l := audittest.Open(t, d)
		known, _, err := audit.ParseVerifiers(strings.Join(l.VerifierKeys(), "\n"))
		if err != nil {
			t.Fatal(err)
		}
		var heads []audit.Checkpoint
		n := 0
		for _, step := range []int{1, 2, 252, 1, 1, 300, 257} {
			if err := d.InTx(ctx, func(tx *db.Tx) error {
				for range step {
					if _, err := l.AppendTx(ctx, tx, entry(n)); err != nil {
						return err
					}
					n++
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			c, err := l.Checkpoint(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if c.Size != int64(n)+1 {
				t.Fatalf("checkpoint of %d after %d entries", c.Size, n+1)
			}
			parsed, err := audit.ParseCheckpoint(c.Note, known)
			if err != nil || parsed.Size != c.Size || parsed.Root != c.Root || parsed.Origin != "test-log" {
				t.Fatalf("parsed %+v, %v", parsed, err)
			}
			heads = append(heads, c)
		}
		for i, old := range heads {
			for _, c := range heads[i:] {
				proof, err := l.Consistency(ctx, old.Size, c.Size)
				if err != nil {
					t.Fatal(err)
				}
				if err := tlog.CheckTree(proof, c.Size, c.Root, old.Size, old.Root); err != nil {
					t.Errorf("%d to %d: %v", old.Size, c.Size, err)
				}
			}
			for _, seq := range []int64{0, 1, old.Size / 2, old.Size - 1} {
				size, leaf, proof, err := l.Inclusion(ctx, seq, old.Size)
				if err != nil || size != old.Size {
					t.Fatal(size, err)
				}
				rec, err := l.Get(ctx, seq)
				if err != nil || leaf != tlog.RecordHash(rec.Content) {
					t.Fatalf("leaf of %d: %v", seq, err)
				}
				if err := tlog.CheckRecord(proof, size, old.Root, seq, leaf); err != nil {
					t.Errorf("entry %d in %d: %v", seq, size, err)
				}
			}
		}
		if _, _, _, err := l.Inclusion(ctx, int64(n)+1, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("an entry beyond the tree: %v", err)
		}
		if _, err := l.Consistency(ctx, 0, 5); !errs.Is(err, errs.NotFound) {
			t.Errorf("a proof from nothing: %v", err)
		}
	})
}

func TestOpenNoticesRollback(t *testing.T) {
	d := dbtest.SQLite(t)
	ctx := t.Context()
	keys, err := audit.GenerateKeys("test-log")
	if err != nil {
		t.Fatal(err)
	}
	witness := t.TempDir() + "/checkpoint"
	open := func(d *db.DB) (*audit.Log, error) {
		return audit.Open(ctx, d, audit.Options{Keys: keys, Witness: witness})
	}
	l, err := open(d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := l.Append(ctx, entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if l, err = open(d); err != nil {
		t.Fatalf("an untouched store: %v", err)
	}
	l.Close()
	// A second store stands for the same database set back to its beginning.
	if _, err := open(dbtest.SQLite(t)); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "set back") {
		t.Errorf("a store that was set back: %v", err)
	}
	other, err := audit.GenerateKeys("test-log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(ctx, d, audit.Options{Keys: other}); !errs.Is(err, errs.Conflict) {
		t.Errorf("foreign keys: %v", err)
	}
}

func TestSearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		l := audittest.Open(t, d)
		base := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
		const total = 1500
		if err := d.InTx(ctx, func(tx *db.Tx) error {
			for i := range total {
				e := entry(i)
				e.At = base.Add(time.Duration(i) * time.Minute)
				if i == 700 {
					e.Case, e.Outcome, e.Subjects = "RARE-1", audit.Refused, []string{l.Digest("resident_id", "1")}
				}
				if _, err := l.AppendTx(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		count := func(f audit.Filter) (n int) {
			before, last := int64(0), int64(1<<62)
			for {
				page, err := l.Search(ctx, f, before, 50)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					if r.Seq >= last {
						t.Fatalf("entry %d after %d", r.Seq, last)
					}
					last = r.Seq
				}
				n += len(page.Records)
				if before = page.Next; before == 0 {
					return n
				}
			}
		}
		for name, c := range map[string]struct {
			f    audit.Filter
			want int
		}{
			"all":      {audit.Filter{}, total + 1},
			"actor":    {audit.Filter{Actor: "client-1"}, total / 3},
			"grant":    {audit.Filter{Grant: "grant-2", Actor: "client-0"}, total / 15},
			"case":     {audit.Filter{Case: "RARE-1"}, 1},
			"outcome":  {audit.Filter{Outcome: audit.Refused}, 1},
			"subject":  {audit.Filter{Subject: l.Digest("resident_id", "1")}, 1},
			"time":     {audit.Filter{From: base.Add(10 * time.Minute), To: base.Add(20 * time.Minute)}, 10},
			"action":   {audit.Filter{Action: "audit.log.create"}, 1},
			"nothing":  {audit.Filter{Resource: "1/1"}, 0},
			"body":     {audit.Filter{Body: "body-1"}, total},
			"name":     {audit.Filter{Actor: "甲局业务系统"}, total},
			"resource": {audit.Filter{Resource: "306001/0001"}, total},
		} {
			if got := count(c.f); got != c.want {
				t.Errorf("%s: %d entries, want %d", name, got, c.want)
			}
		}
	})
}

func TestStoppedStoreIsAStateThatUsersSee(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		l := audittest.Open(t, d)
		if err := l.Ready(); err != nil {
			t.Fatal(err)
		}
		rename := func(from, to string) {
			if err := d.InTx(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		rename("audit_entry", "audit_gone")
		if _, err := l.Append(ctx, entry(1)); !errs.Is(err, errs.Unavailable) {
			t.Errorf("append to a broken store: %v", err)
		}
		if err := l.Ready(); !errs.Is(err, errs.Unavailable) || l.State().OK {
			t.Errorf("ready says %v", err)
		}
		for range 3 { // readers are let through now and then, a watcher is never told that all is well
			if err := l.Check(ctx); !errs.Is(err, errs.Unavailable) {
				t.Errorf("check says %v", err)
			}
		}
		rename("audit_gone", "audit_entry")
		if err := l.Check(ctx); err != nil || !l.State().OK {
			t.Errorf("the log does not come back by itself: %v", err)
		}
		if rec, err := l.Get(ctx, 1); err != nil || rec.Entry.Action != "audit.log.back" || rec.Entry.Note("down_since") == "" {
			t.Errorf("the log does not say that it was down: %+v %v", rec, err)
		}
		if err := l.Check(ctx); err != nil {
			t.Error(err)
		}
		if _, err := l.Append(ctx, entry(2)); err != nil {
			t.Errorf("append to the mended store: %v", err)
		}
		if err := l.Ready(); err != nil {
			t.Errorf("ready says %v", err)
		}
		if size, err := l.Size(ctx); err != nil || size != 3 {
			t.Errorf("size %d, %v", size, err)
		}
	})
}

// TestIntegratorSurvivesAMovingClock: the demo's clock tells a story of months and
// may end ahead of the machine's; the next process must integrate at once.
func TestIntegratorSurvivesAMovingClock(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, err := audit.GenerateKeys("test-log")
		if err != nil {
			t.Fatal(err)
		}
		for _, clock := range []time.Duration{-5 * 30 * 24 * time.Hour, 27 * time.Hour, 0} {
			l, err := audit.Open(t.Context(), d, audit.Options{Keys: keys, Now: func() time.Time { return time.Now().Add(clock) }})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			seq, err := l.Append(ctx, entry(1))
			if err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(30 * time.Second)
			for {
				if c, err := l.Latest(ctx); err == nil && c.Size > seq {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("with the clock %v off, no checkpoint came for entry %d", clock, seq)
				}
				time.Sleep(50 * time.Millisecond)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			l.Close()
		}
	})
}

// TestOlderIndexIsMadeAnew: a block that an earlier program indexed by fewer fields
// is no fault, and a running node makes it whole.
func TestOlderIndexIsMadeAnew(t *testing.T) {
	d := dbtest.SQLite(t)
	s := seal(t, d, 600)
	s.tamper(t, `UPDATE audit_block SET fields = 1 WHERE n = 1`, `DELETE FROM audit_index WHERE block = 1 AND field = 'grant'`)
	if r := s.verify(t); !r.OK() {
		t.Errorf("an older index counts as tampering:%s", faults(r))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go s.l.Run(ctx)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var n int
		if err := d.Read().QueryRow(ctx, `SELECT COUNT(*) FROM audit_index i JOIN audit_block b ON b.n = i.block WHERE i.block = 1 AND i.field = 'grant' AND b.fields > 1`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d grants indexed", n)
		}
	}
	if r := s.verify(t); !r.OK() {
		t.Errorf("after indexing anew:%s", faults(r))
	}
}

// A walk to a bound far beyond the end, and one that begins there, come to an end.
func TestEntriesBeyondTheEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, 40)
		size, err := s.l.Size(t.Context())
		if err != nil || size < 40 {
			t.Fatal(size, err)
		}
		for _, from := range []int64{0, 17, 40, 1 << 40, 1<<63 - 2} {
			next := from
			if err := s.l.Entries(t.Context(), from, 1<<63-1, func(r audit.Record) error {
				if r.Seq != next {
					t.Errorf("entry %d, want %d", r.Seq, next)
				}
				next++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if next != max(from, size) {
				t.Errorf("from %d the walk ended at %d", from, next)
			}
		}
	})
}
