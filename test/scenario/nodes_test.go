package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/internal/blob/blobtest"
	"gongshu/internal/db/dbtest"
	"gongshu/test/program"
)

// TestTwoNodes runs two whole programs over one PostgreSQL and one S3 bucket: what
// one does the other knows, one at a time integrates the log, and when one is killed
// under load the other goes on with all of it.
func TestTwoNodes(t *testing.T) {
	clause.Covers(t, "FZM-29", "QZ-3.1.8", "LY-21")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	database, objects := dbtest.PostgresURL(t), blobtest.S3(t)
	shared := []string{"--database", database, "--objects", objects}
	dirA, dirB := t.TempDir(), t.TempDir()
	a := program.Start(t, dirA, append([]string{"demo", "--people", "2000"}, shared...)...)
	d := a.Demo()
	if err := os.CopyFS(filepath.Join(dirB, "keys"), os.DirFS(filepath.Join(dirA, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dirB, "keys", "witness")); err != nil { // a new node has seen nothing yet
		t.Fatal(err)
	}
	b := program.Start(t, dirB, append([]string{"serve"}, shared...)...)

	key := func(body string) string {
		for _, c := range d.Clients {
			if c.Body == body {
				return c.Key
			}
		}
		t.Fatalf("no client of %s", body)
		return ""
	}
	password := func(login string) string {
		for _, acc := range d.Accounts {
			if acc.Login == login {
				return acc.Password
			}
		}
		t.Fatalf("no account %s", login)
		return ""
	}

	// A batch sent to A is visible at B, its problem rows (objects) too.
	sender := ""
	for _, c := range d.Clients {
		if c.ID == d.Delivery.Client {
			sender = c.Key
		}
	}
	send := func(s *program.Server, name, csv string, headers ...string) (int, string) {
		h := map[string]string{"Authorization": "Bearer " + sender, "X-Gongshu-Secrecy": "declared"}
		for i := 0; i < len(headers); i += 2 {
			h[headers[i]] = headers[i+1]
		}
		h["Content-Type"] = "text/csv"
		return call(t, http.MethodPost, s.Base+"/api/v1/resources/"+strings.ReplaceAll(d.Delivery.Resource, "/", "-")+"/batches?name="+name, h, []byte(csv))
	}
	type receipt struct {
		ID       string `json:"batch"`
		State    string `json:"state"`
		Accepted int    `json:"accepted"`
		Rejected int    `json:"rejected"`
	}
	read := func(text string) (r receipt) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v in %.300s", err, text)
		}
		return r
	}
	status, text := send(a, "one.csv", d.Delivery.CSV)
	if status != http.StatusCreated {
		t.Fatalf("a batch to A: %d %s", status, text)
	}
	one := read(text)
	mine := map[string]string{"Authorization": "Bearer " + sender}
	if status, text := call(t, http.MethodGet, b.Base+"/api/v1/batches/"+one.ID, mine, nil); status != 200 || read(text).Accepted != one.Accepted || one.Accepted == 0 || one.Rejected == 0 {
		t.Errorf("the batch at B: %d %s, at A it was %+v", status, text, one)
	}
	problems := "/api/v1/batches/" + one.ID + "/problems?format=csv"
	if _, atA := call(t, http.MethodGet, a.Base+problems, mine, nil); strings.Count(strings.TrimSpace(atA), "\n") != one.Rejected {
		t.Errorf("problem rows at A: %s", atA)
	} else if status, atB := call(t, http.MethodGet, b.Base+problems, mine, nil); status != 200 || atB != atA {
		t.Errorf("problem rows at B: %d %s\nat A: %s", status, atB, atA)
	}

	// A grant given at A works at B; taken back at A, it is refused at B within a second.
	const resource, provider, consumer = "20300101/0001", "福州市民政局", "福州市住房公积金中心"
	fund := program.Visit(t, a.Base)
	fund.LogIn("fund.steward", password("fund.steward"))
	_, _, form := fund.Get("/console/requests/new?resource=" + strings.ReplaceAll(resource, "/", "-"))
	var items []string
	for _, m := range regexp.MustCompile(`name="items"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="items"`).FindAllStringSubmatch(form, -1) {
		items = append(items, m[1]+m[2])
	}
	at, status, page := fund.Post("/console/requests", url.Values{
		"resource": {resource}, "mode": {"obtain"}, "purposes": {"check"}, "business": {"适老化补贴核对"}, "users": {"归集科"}, "items": items,
		"end_date": {time.Now().AddDate(0, 3, 0).Format(time.DateOnly)},
	})
	grant := regexp.MustCompile(`/console/grants/([0-9a-f-]{36})`).FindStringSubmatch(page)
	if status != 200 || grant == nil {
		t.Fatalf("an unconditional request with items %v: %d at %s\n%.2000s", items, status, at, page)
	}
	use := func(s *program.Server) (int, string) {
		return call(t, http.MethodGet, s.Base+"/api/v1/resources/"+strings.ReplaceAll(resource, "/", "-")+"/rows?format=csv",
			map[string]string{"Authorization": "Bearer " + key(consumer), "X-Gongshu-Grant": grant[1]}, nil)
	}
	within := func(what string, limit time.Duration, done func() (int, bool)) time.Duration {
		t.Helper()
		began := time.Now()
		for {
			last, ok := done()
			took := time.Since(began)
			if ok {
				return took
			}
			if took > limit {
				t.Errorf("%s: still %d after %s", what, last, took.Round(time.Millisecond))
				return took
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if status, text := use(a); status != 200 {
		t.Fatalf("the grant at A: %d %.300s", status, text)
	}
	took := within("the grant at B", time.Second, func() (int, bool) { status, _ := use(b); return status, status == 200 })
	t.Logf("a grant given at A works at B after %s", took.Round(time.Millisecond))
	civil := program.Visit(t, a.Base)
	var login string
	for _, acc := range d.Accounts {
		if acc.Body == provider && acc.Post == "leader" {
			login = acc.Login
		}
	}
	civil.LogIn(login, password(login))
	if at, status, page := civil.Post("/console/grants/"+grant[1]+"/revoke", url.Values{"reason": {"超范围使用"}}); status != 200 {
		t.Fatalf("revoke at A: %d at %s\n%.500s", status, at, page)
	}
	if status, _ := use(a); status != http.StatusForbidden {
		t.Errorf("a revoked grant at A: %d", status)
	}
	took = within("a revoked grant at B", time.Second, func() (int, bool) { status, _ := use(b); return status, status == http.StatusForbidden })
	t.Logf("revoked at A it is refused at B after %s", took.Round(time.Millisecond))
	// A session begun at A holds at B.
	fund.Base = b.Base
	if at, status, _ := fund.Get("/console/grants"); status != 200 || at != "/console/grants" {
		t.Errorf("A's session at B: %d at %s", status, at)
	}

	// Load on both, and A dies in the midst of it.
	var mu sync.Mutex
	var answers []program.Answered
	afterDeath := 0
	ctx, cancel := context.WithCancel(t.Context())
	killed := make(chan struct{})
	client := &http.Client{Timeout: 20 * time.Second}
	var load sync.WaitGroup
	for i := range 8 {
		load.Go(func() {
			s := []*program.Server{a, b}[i%2]
			for n := i; ctx.Err() == nil; n++ {
				g := d.Grants[n%len(d.Grants)]
				if g.Mode != "query" && g.Mode != "verify" {
					continue
				}
				req, err := g.Request(ctx, s.Base)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := client.Do(req)
				if err != nil {
					if s == b && ctx.Err() == nil {
						t.Errorf("B: %v", err)
					}
					return // A is dead
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					return
				}
				if res.StatusCode == http.StatusTooManyRequests {
					continue
				}
				var out struct {
					Audit *int64 `json:"audit"`
				}
				if err := json.Unmarshal(body, &out); res.StatusCode != 200 || err != nil || out.Audit == nil {
					t.Errorf("%s: %d %s", req.URL, res.StatusCode, body)
					return
				}
				mu.Lock()
				answers = append(answers, program.Answered{Seq: *out.Audit, Grant: g.Headers["X-Gongshu-Grant"], Mode: g.Mode})
				select {
				case <-killed:
					afterDeath++
				default:
				}
				mu.Unlock()
			}
		})
	}
	time.Sleep(time.Second)
	// Batches that A has acknowledged and not yet loaded.
	var pending []string
	for i := range 4 {
		var csv strings.Builder
		csv.WriteString(strings.SplitN(d.Delivery.CSV, "\n", 2)[0] + "\n")
		for row := range 5000 {
			fmt.Fprintf(&csv, "0199%d%07d,%s\n", i, row, strings.SplitN(strings.Split(d.Delivery.CSV, "\n")[1], ",", 2)[1])
		}
		status, text := send(a, fmt.Sprintf("later%d.csv", i), csv.String(), "Prefer", "respond-async")
		if status != http.StatusAccepted && status != http.StatusCreated {
			t.Errorf("a batch to be loaded later: %d %s", status, text)
			continue
		}
		pending = append(pending, read(text).ID)
	}
	a.Kill()
	close(killed)
	time.Sleep(2 * time.Second)
	cancel()
	load.Wait()
	t.Logf("%d answers, %d of them by B after A was killed", len(answers), afterDeath)
	if afterDeath == 0 {
		t.Error("B gave no answer after A was killed")
	}

	// B takes over the integration of the log, and what A had acknowledged.
	sealed := func() int64 {
		var size int64
		_, text := b.Get("/audit/checkpoint")
		if lines := strings.Split(text, "\n"); len(lines) > 2 {
			fmt.Sscan(lines[1], &size)
		}
		return size
	}
	most := int64(0)
	for _, one := range answers {
		most = max(most, one.Seq)
	}
	took = within("the integration of the log by B", 30*time.Second, func() (int, bool) { size := sealed(); return int(size), size > most })
	t.Logf("B signs checkpoints over all answers %s after A's death", (took + 2*time.Second).Round(time.Second))
	for _, id := range pending {
		took := within("A's batch "+id, 4*time.Minute, func() (int, bool) {
			status, text := call(t, http.MethodGet, b.Base+"/api/v1/batches/"+id, mine, nil)
			time.Sleep(300 * time.Millisecond)
			return status, status == 200 && read(text).State == "done" && read(text).Accepted == 5000
		})
		t.Logf("a batch that A acknowledged is loaded by B, %s more", took.Round(time.Second))
	}

	// Every answer has its entry, and the entry its proof.
	b.Stop()
	program.Prove(t, database, dirB, answers)
}
