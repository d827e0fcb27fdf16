package program

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/internal/db"
)

// Answered is a data answer that a client has in hand.
type Answered struct {
	Seq         int64 // of its entry in the log
	Grant, Mode string
}

// Prove fails where one of the answers has no entry of its own with the grant's facts,
// or an entry no inclusion proof that leads to a signed root, and where the log does
// not verify. database is the control store's address, data a data directory with the
// keys; the program must have ended.
func Prove(t testing.TB, database, data string, all []Answered) {
	t.Helper()
	keys, err := audit.ReadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	log, err := audit.Open(t.Context(), d, audit.Options{Keys: keys, Witness: filepath.Join(data, "keys", "witness")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	head, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, a := range all {
		if seen[a.Seq] {
			t.Errorf("two answers share entry %d", a.Seq)
		}
		seen[a.Seq] = true
		rec, err := log.Get(t.Context(), a.Seq)
		if err != nil {
			t.Errorf("an answer was given under entry %d: %v", a.Seq, err)
			continue
		}
		e := rec.Entry
		if rec.Bad || e.Outcome != audit.OK || e.Grant != a.Grant || !strings.HasSuffix(e.Action, a.Mode) || e.Purpose == "" || e.Approver == "" || e.Medium == "" {
			t.Errorf("entry %d says %q of grant %q, outcome %q, purpose %q, approver %q, medium %q; the answer was %s of %s",
				a.Seq, e.Action, e.Grant, e.Outcome, e.Purpose, e.Approver, e.Medium, a.Mode, a.Grant)
		}
		size, leaf, proof, err := log.Inclusion(t.Context(), a.Seq, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, size, head.Root, a.Seq, leaf); err != nil {
			t.Errorf("entry %d: %v", a.Seq, err)
		}
	}
	report, err := audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: known})
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v %+v", err, report.Faults)
	}
}
