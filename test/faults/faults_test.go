// Package faults breaks the whole program in the midst of its work and asks
// whether it has kept its promises.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// answered is a data answer that a client has in hand.
type answered struct {
	seq   int64
	grant string
	mode  string
}

// TestNoAnswerWithoutItsEntry kills the program again and again while clients
// query, verify and count: whatever answer a client received has its entry in the log,
// with the grant's facts, and an inclusion proof that leads to a signed root.
func TestNoAnswerWithoutItsEntry(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "QZ-3.1.8")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	const rounds = 8
	data := filepath.Join(t.TempDir(), "city")
	if out, errOut, code := program.Run(t, "demo", "--data", data, "--people", "20000", "--build"); code != 0 {
		t.Fatalf("demo: %d\n%s\n%s", code, out, errOut)
	}
	var demo program.DemoFile
	text, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &demo); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var mu sync.Mutex
	var all []answered
	for range rounds {
		s := program.Start(t, data, "serve")
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		got := make(chan struct{}, 1)
		for i := range 16 {
			load.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					g := demo.Grants[n%len(demo.Grants)]
					if g.Mode == "obtain" {
						continue
					}
					url := s.Base + "/api/v1/resources/" + strings.ReplaceAll(g.Resource, "/", "-") + "/" + g.Mode
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(g.Example))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Content-Type", "application/json")
					for k, v := range g.Headers {
						req.Header.Set(k, v)
					}
					res, err := client.Do(req)
					if err != nil {
						return // killed
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil {
						return
					}
					switch res.StatusCode {
					case http.StatusOK:
					case http.StatusTooManyRequests, http.StatusConflict, http.StatusForbidden:
						continue // quotas and the difference rule do their part under such a load
					default:
						t.Errorf("%s: %d %s", url, res.StatusCode, body)
						return
					}
					var answer struct {
						Audit *int64 `json:"audit"`
					}
					if err := json.Unmarshal(body, &answer); err != nil || answer.Audit == nil {
						t.Errorf("%s: an answer without its entry's number: %s", url, body)
						return
					}
					mu.Lock()
					all = append(all, answered{*answer.Audit, g.Headers["X-Gongshu-Grant"], g.Mode})
					mu.Unlock()
					select {
					case got <- struct{}{}:
					default:
					}
				}
			})
		}
		select {
		case <-got:
		case <-time.After(20 * time.Second):
			t.Error("no answer in twenty seconds")
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		s.Kill()
		cancel()
		load.Wait()
		client.CloseIdleConnections()
	}
	t.Logf("%d answers in %d rounds", len(all), rounds)
	if len(all) < rounds {
		t.Fatal("too few answers to show anything")
	}
	keys, err := audit.ReadKeys(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), "sqlite:"+filepath.Join(data, "control.db"))
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
		if seen[a.seq] {
			t.Errorf("two answers share entry %d", a.seq)
		}
		seen[a.seq] = true
		rec, err := log.Get(t.Context(), a.seq)
		if err != nil {
			t.Errorf("an answer was given under entry %d: %v", a.seq, err)
			continue
		}
		e := rec.Entry
		if rec.Bad || e.Outcome != audit.OK || e.Grant != a.grant || !strings.HasSuffix(e.Action, a.mode) || e.Purpose == "" || e.Approver == "" || e.Medium == "" {
			t.Errorf("entry %d says %q of grant %q, outcome %q, purpose %q, approver %q, medium %q; the answer was %s of %s",
				a.seq, e.Action, e.Grant, e.Outcome, e.Purpose, e.Approver, e.Medium, a.mode, a.grant)
		}
		size, leaf, proof, err := log.Inclusion(t.Context(), a.seq, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, size, head.Root, a.seq, leaf); err != nil {
			t.Errorf("entry %d: %v", a.seq, err)
		}
	}
	report, err := audit.VerifyStore(t.Context(), d, audit.VerifyOptions{Known: known})
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v %+v", err, report.Faults)
	}
}
