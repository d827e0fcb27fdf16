// Package scenario runs the whole program the way its users do.
package scenario

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gongshu/clause"
	"gongshu/internal/db/dbtest"
	"gongshu/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// TestDemoInEachCity builds the demo under each city's rules, and once on
// PostgreSQL, drives it by demo.json alone, and verifies the log it leaves.
func TestDemoInEachCity(t *testing.T) {
	clause.Covers(t, "FZM-11", "FZM-15", "FZM-17", "FZM-29", "FZM-21", "QZ-3.1.5", "QZ-3.1.8", "FS-26", "LY-12", "LY-13", "LY-16")
	for _, city := range []string{"fuzhou", "quanzhou", "foshan", "longyan"} {
		t.Run(city, func(t *testing.T) { drive(t, city) })
	}
	t.Run("postgres", func(t *testing.T) { drive(t, "fuzhou", "--database", dbtest.PostgresURL(t)) })
}

// citesItsOwn fails where a refusal names another city's article, or none.
func citesItsOwn(t *testing.T, city, answer string) {
	t.Helper()
	var refusal struct{ Clauses []string }
	if err := json.Unmarshal([]byte(answer), &refusal); err != nil || len(refusal.Clauses) == 0 {
		t.Errorf("the refusal names no article: %s", answer)
	}
	for _, id := range refusal.Clauses {
		if c, ok := clause.Get(id); !ok || c.City() != city {
			t.Errorf("in %s a refusal names %s", city, id)
		}
	}
}

func drive(t *testing.T, city string, args ...string) {
	dir := t.TempDir()
	s := program.Start(t, dir, append([]string{"demo", "--city", city, "--people", "3000"}, args...)...)
	d := s.Demo()
	if d.BaseURL != s.Base {
		t.Errorf("demo.json says %s, the program listens on %s", d.BaseURL, s.Base)
	}
	if d.City != city {
		t.Errorf("demo.json says that the city is %q", d.City)
	}
	bodies, posts := map[string]bool{}, map[string]bool{}
	for _, a := range d.Accounts {
		bodies[a.Body], posts[a.Post] = true, true
	}
	if len(bodies) < 15 || len(d.Resources) < 40 || len(posts) < 8 {
		t.Errorf("%d bodies, %d resources, %d posts", len(bodies), len(d.Resources), len(posts))
	}
	keys := map[string]string{}
	for _, c := range d.Clients {
		keys[c.ID] = c.Key
	}
	modes := map[string]bool{}
	for _, g := range d.Grants {
		first := !modes[g.Mode]
		modes[g.Mode] = true
		method, path, body := http.MethodPost, "/api/v1/resources/"+strings.ReplaceAll(g.Resource, "/", "-")+"/"+g.Mode, []byte(g.Example)
		if g.Mode == "obtain" {
			var query string
			if err := json.Unmarshal(g.Example, &query); err != nil {
				t.Fatal(err)
			}
			method, body = http.MethodGet, nil
			path = strings.TrimSuffix(path, "obtain") + "rows?" + query
		}
		status, answer := call(t, method, s.Base+path, g.Headers, body)
		if status != 200 || len(answer) < 20 {
			t.Errorf("%s %s: %d %.300s", g.Mode, g.Resource, status, answer)
		}
		if g.Mode == "verify" && strings.Contains(answer, `:false`) {
			t.Errorf("%s %s: a claim of the example does not hold: %s", g.Mode, g.Resource, answer)
		}
		if g.Mode == "statistics" && first && !strings.Contains(answer, `"unit":"persons","threshold":5`) {
			t.Errorf("the first example of statistics does not count persons: %s", answer)
		}
		// Without a key, and with another body's key, the same request gives nothing.
		if status, _ := call(t, method, s.Base+path, nil, body); status != 401 {
			t.Errorf("%s without a key: %d", g.Mode, status)
		}
		for id, key := range keys {
			if id != g.Client {
				if status, answer := call(t, method, s.Base+path, map[string]string{"Authorization": "Bearer " + key, "X-Gongshu-Grant": g.Headers["X-Gongshu-Grant"]}, body); status != 403 {
					t.Errorf("%s by client %s, which has no such grant: %d %.200s", g.Mode, id, status, answer)
				} else {
					citesItsOwn(t, city, answer)
				}
				break
			}
		}
	}
	for _, mode := range []string{"query", "verify", "obtain", "statistics"} {
		if !modes[mode] {
			t.Errorf("no grant in the mode %s", mode)
		}
	}
	for path, want := range map[string]string{"/": "<title>", "/datasets": "<h1", "/audit/checkpoint": "gongshu-log", "/api/openapi.json": `"openapi":"3.1`} {
		if status, body := s.Get(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %q in it: %v", path, status, want, strings.Contains(body, want))
		}
	}
	export := filepath.Join(t.TempDir(), "log.export")
	s.Stop()
	if _, stderr, code := program.Run(t, append([]string{"audit", "export", "--data", dir, "--out", export}, args...)...); code != 0 {
		t.Fatalf("export: %s", stderr)
	}
	key := filepath.Join(dir, "keys", "log.pub")
	if stdout, stderr, code := program.Run(t, "audit", "verify", export, "--key", key); code != 0 {
		t.Errorf("the export does not verify: %s %s", stdout, stderr)
	}
	if stdout, stderr, code := program.Run(t, append([]string{"audit", "verify", "--data", dir}, args...)...); code != 0 {
		t.Errorf("the store does not verify: %s %s", stdout, stderr)
	}
	// One byte changed anywhere in the entries is found.
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte(`"gateway.`))
	if at < 0 {
		t.Fatal("the log of the demo has no use of data in it")
	}
	text[at+3] ^= 1
	if err := os.WriteFile(export, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, _, code := program.Run(t, "audit", "verify", export, "--key", key); code == 0 {
		t.Errorf("a changed export verifies: %s", stdout)
	}
	// It starts again without being told its city.
	if again := program.Start(t, dir, append([]string{"demo"}, args...)...).Demo(); again.City != city || len(again.Grants) != len(d.Grants) {
		t.Errorf("started again: %q, %d grants", again.City, len(again.Grants))
	}
}

func call(t *testing.T, method, url string, headers map[string]string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
