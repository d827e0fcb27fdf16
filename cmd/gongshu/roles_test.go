package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/jobs"
	"gongshu/internal/web"
	"gongshu/ui"
)

// What each role answers, and that no other role answers it. A path that is
// there and refuses a stranger says 401 or leads to the log-in page.
func TestEachRoleAnswersItsOwn(t *testing.T) {
	clause.Covers(t, "FZO-3")
	a, err := open(t.Context(), stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	paths := []struct {
		method, path string
		status       int
		roles        []string // nil: of every node
	}{
		{"GET", "/health", 200, nil},
		{"GET", "/datasets", 200, []string{portalRole}},
		{"GET", "/api/v1/open/datasets", 200, []string{portalRole}},
		{"GET", "/api/v1/clauses", 200, []string{portalRole, consoleRole}},
		{"GET", "/api/docs", 200, []string{portalRole, consoleRole}},
		{"GET", "/console/login", 200, []string{consoleRole}},
		{"GET", "/console/", 303, []string{consoleRole}},
		{"GET", "/api/v1/bodies", 401, []string{consoleRole}},
		{"GET", "/api/v1/requests", 401, []string{consoleRole}},
		{"POST", "/api/v1/resources/10200101-0001/query", 401, []string{gatewayRole}},
		{"POST", "/api/v1/resources/10200101-0001/verify", 401, []string{gatewayRole}},
		{"POST", "/api/v1/resources/10200101-0001/statistics", 401, []string{gatewayRole}},
		{"GET", "/api/v1/resources/10200101-0001/rows", 401, []string{gatewayRole}},
		{"GET", "/api/v1/usage", 401, []string{gatewayRole}},
		{"GET", "/audit/key", 200, []string{gatewayRole}},
		{"GET", "/audit/checkpoint", 200, []string{gatewayRole}},
		{"GET", "/api/openapi.json", 200, []string{portalRole, consoleRole, gatewayRole}},
		{"GET", "/api/v1/none", 404, []string{}},
	}
	if _, err := a.log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, roles := range [][]string{{portalRole}, {consoleRole}, {gatewayRole}, {workerRole}, {consoleRole, gatewayRole}, allRoles} {
		t.Run(strings.Join(roles, "+"), func(t *testing.T) {
			server := httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(a.handler(roles)))
			defer server.Close()
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			for _, p := range paths {
				want := 404
				if p.roles == nil || slices.ContainsFunc(p.roles, func(role string) bool { return slices.Contains(roles, role) }) {
					want = p.status
				}
				body := io.Reader(nil)
				if p.method == "POST" {
					body = strings.NewReader("{}")
				}
				req, err := http.NewRequest(p.method, server.URL+p.path, body)
				if err != nil {
					t.Fatal(err)
				}
				r, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				said, _ := io.ReadAll(r.Body)
				r.Body.Close()
				// Intake, which says of a stranger's resource only that there is none, by its description.
				if p.path == "/api/openapi.json" && want == 200 && strings.Contains(string(said), "/api/v1/resources/{code}/batches") != slices.Contains(roles, gatewayRole) {
					t.Errorf("intake is described: %v", !slices.Contains(roles, gatewayRole))
				}
				if r.StatusCode != want {
					t.Errorf("%s %s: %d, want %d: %.200s", p.method, p.path, r.StatusCode, want, said)
				}
			}
		})
	}
}

func TestHealthSaysWhatIsWrong(t *testing.T) {
	a, err := open(t.Context(), stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h := a.handler([]string{gatewayRole})
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
		return w.Code, w.Body.String()
	}
	if code, said := ask(); code != 200 || !strings.Contains(said, `"ok":true`) {
		t.Errorf("%d %s", code, said)
	}
	if err := a.control.Close(); err != nil {
		t.Fatal(err)
	}
	if code, said := ask(); code != 503 || !strings.Contains(said, `"control":"unavailable"`) {
		t.Errorf("without its control store: %d %s", code, said)
	}
	a.close()
}

// A gateway node appends and works on no job and no tree; the worker elsewhere
// does both, and what it signs covers the gateway's entries.
func TestGatewayNodeLeavesTheWorkToTheWorker(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8")
	ctx := t.Context()
	s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou", Database: dbtest.PostgresURL(t)}
	node := func(roles ...string) (*app, *atomic.Int32) {
		a, err := open(ctx, s, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var done atomic.Int32
		a.jobs.Handle("test.work", func(context.Context, jobs.Job) error { done.Add(1); return nil })
		running, stop := context.WithCancel(ctx)
		wait := a.start(running, roles)
		t.Cleanup(func() { stop(); wait(); a.close() })
		return a, &done
	}
	gate, byGate := node(gatewayRole)
	if err := gate.control.InTx(ctx, func(tx *db.Tx) error {
		_, err := jobs.Enqueue(ctx, tx, "test.work", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var last int64
	for range 40 {
		var err error
		if last, err = gate.log.Append(ctx, audit.Entry{Action: "test.use", Actor: "client"}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // more than two turns of the integrator and of the jobs
	if n := byGate.Load(); n != 0 {
		t.Errorf("the gateway node did %d jobs", n)
	}
	if c, err := gate.log.Latest(ctx); err == nil && c.Size > last {
		t.Errorf("the gateway node integrated the log up to %d", c.Size)
	}

	_, byWorker := node(workerRole)
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := gate.log.Latest(ctx)
		if err == nil && c.Size > last && byWorker.Load() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the worker did %d jobs and signed up to %d of %d, %v", byWorker.Load(), c.Size, last, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if n := byGate.Load(); n != 0 {
		t.Errorf("the gateway node did %d jobs beside the worker", n)
	}
	// The gateway proves its own entry against what the worker signed.
	if _, _, proof, err := gate.log.Inclusion(ctx, last, 0); err != nil || len(proof) == 0 {
		t.Errorf("proof of entry %d: %v, %v", last, proof, err)
	}
	known, _, err := audit.ParseVerifiers(strings.Join(gate.log.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := gate.log.Verify(ctx, audit.VerifyOptions{Known: known})
	if err != nil || !report.OK() {
		t.Errorf("%+v, %v", report, err)
	}
}
