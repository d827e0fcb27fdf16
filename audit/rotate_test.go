package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// rotated is a log whose keys were replaced twice, with entries before, between and after.
type rotated struct {
	d      *db.DB
	dir    string
	public []string // public key files as they stood: the first, the second, the third
}

func (r *rotated) open(t *testing.T) *audit.Log {
	t.Helper()
	keys, err := audit.ReadKeys(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), r.d, audit.Options{Keys: keys, Witness: filepath.Join(r.dir, "witness")})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rotated) work(t *testing.T, n int) {
	t.Helper()
	l := r.open(t)
	defer l.Close()
	for range 3 { // three checkpoints
		for i := range n / 3 {
			if _, err := l.Append(t.Context(), entry(i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rotated) read(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, audit.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	r.public = append(r.public, string(text))
}

func (r *rotated) rotate(t *testing.T) {
	t.Helper()
	keys, err := audit.ReadKeys(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	next, err := audit.NextKeys(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), r.d, audit.Options{Keys: keys, Next: next, Witness: filepath.Join(r.dir, "witness")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Rotate(t.Context(), audit.Entry{Actor: "command:root", ActorKind: "system"}); err != nil {
		t.Fatal(err)
	}
	if err := audit.InstallKeys(r.dir); err != nil {
		t.Fatal(err)
	}
}

func rotateTwice(t *testing.T, d *db.DB) *rotated {
	t.Helper()
	r := &rotated{d: d, dir: t.TempDir()}
	if _, err := audit.LoadKeys(r.dir, "test-log"); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		if round > 0 {
			r.rotate(t)
		}
		r.read(t)
		r.work(t, 300)
	}
	return r
}

func verifiers(t *testing.T, text string) note.Verifiers {
	t.Helper()
	known, _, err := audit.ParseVerifiers(text)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestKeysAreFollowed(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := rotateTwice(t, d)
		l := r.open(t)
		var export bytes.Buffer
		info, err := l.Plan(t.Context(), audit.ExportRange{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Export(t.Context(), &export, info); err != nil {
			t.Fatal(err)
		}
		l.Close()
		// The key file of each time verifies the whole log: the first by following the
		// log's own entries, the later ones by that and the former keys that they list.
		for i, text := range r.public {
			if n := len(strings.Fields(text)); n != 2*(i+1) {
				t.Errorf("key file %d holds %d keys", i, n)
			}
			for name, verify := range map[string]func() (audit.Report, error){
				"store": func() (audit.Report, error) {
					return audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: verifiers(t, text)})
				},
				"export": func() (audit.Report, error) {
					return audit.VerifyExport(bytes.NewReader(export.Bytes()), audit.VerifyOptions{Known: verifiers(t, text)})
				},
			} {
				report, err := verify()
				if err != nil || !report.OK() || report.Sealed != report.To || report.Checkpoints < 11 {
					t.Errorf("%s by the keys of time %d: %+v %v%s", name, i, report, err, faults(report))
				}
			}
		}
		// Keys of another log, which nothing leads to.
		other, err := audit.GenerateKeys("test-log")
		if err != nil {
			t.Fatal(err)
		}
		report, err := audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: verifiers(t, strings.Join(other.VerifierKeys(), "\n"))})
		if err != nil || report.OK() {
			t.Errorf("verified by a foreign key: %+v %v", report, err)
		}
		// The middle keys alone do not reach back, and say so.
		middle := strings.Join(strings.Fields(r.public[1])[:2], "\n")
		if report, err = audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: verifiers(t, middle)}); err != nil || report.OK() || !strings.Contains(faults(report), "not signed by the given key") {
			t.Errorf("verified backwards: %v%s", err, faults(report))
		}
	})
}

// TestReplacedKeysSignNoMore has somebody who kept the first keys sign on.
func TestReplacedKeysSignNoMore(t *testing.T) {
	ctx := context.Background()
	d := dbtest.SQLite(t)
	r := &rotated{d: d, dir: t.TempDir()}
	keys, err := audit.LoadKeys(r.dir, "test-log")
	if err != nil {
		t.Fatal(err)
	}
	r.read(t)
	r.work(t, 30)
	// A node that goes on with the old keys while they are replaced.
	node, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	r.rotate(t)
	if _, err := node.Append(ctx, entry(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Checkpoint(ctx); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("a node with the old keys signs: %v", err)
	}
	if _, err := audit.Open(ctx, d, audit.Options{Keys: keys}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a node with the old keys starts: %v", err)
	}
	// Past the program: the fact is set back, and the old keys sign in the database.
	forged := &sealed{d: d}
	forged.tamper(t, fmt.Sprintf(`UPDATE db_fact SET value = '%s' WHERE key = 'log_keys'`, strings.Join(keys.VerifierKeys(), "\n")))
	if _, err := node.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	report, err := audit.VerifyStore(ctx, d, audit.VerifyOptions{Known: verifiers(t, r.public[0])})
	if err != nil || report.OK() || !strings.Contains(faults(report), "replaced") {
		t.Errorf("a checkpoint of the old keys passes: %v%s", err, faults(report))
	}
}

// TestInterruptedRotation dies between its steps and is run again.
func TestInterruptedRotation(t *testing.T) {
	d := dbtest.SQLite(t)
	r := &rotated{d: d, dir: t.TempDir()}
	keys, err := audit.LoadKeys(r.dir, "test-log")
	if err != nil {
		t.Fatal(err)
	}
	r.read(t)
	r.work(t, 30)
	// The keys were made, and nothing more: the log goes on with the old ones.
	next, err := audit.NextKeys(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.work(t, 30)
	// The entry stands, the files do not: no start but that of the rotation.
	l, err := audit.Open(t.Context(), d, audit.Options{Keys: keys, Next: next})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(t.Context(), audit.Entry{Actor: "command:root"}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := audit.Open(t.Context(), d, audit.Options{Keys: keys}); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "gongshu audit rotate again") {
		t.Errorf("a start between: %v", err)
	}
	r.rotate(t)
	r.work(t, 30)
	report, err := audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: verifiers(t, r.public[0])})
	if err != nil || !report.OK() {
		t.Errorf("%+v %v%s", report, err, faults(report))
	}
	l = r.open(t)
	defer l.Close()
	entries := 0
	for seq := range report.To {
		rec, err := l.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Entry.Action == "audit.log.rotate" {
			entries++
		}
	}
	if entries != 1 {
		t.Errorf("%d entries of one rotation", entries)
	}
}
