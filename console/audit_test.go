package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/internal/web"
	"gongshu/operation"
)

// auditHouse is the console over a log with some entries, for whoever acts.
type auditHouse struct {
	d    *db.DB
	log  *audit.Log
	jobs *jobs.Queue
	base string
}

func official(post identity.Post, level string) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: "id-" + string(post), Login: string(post), Name: "某" + string(post), Body: "body-1", BodyName: "市大数据委",
		District: "350100", Level: level, Post: post, Posts: []identity.Post{post}, Addr: "192.0.2.7"}
}

func newAuditHouse(t *testing.T, d *db.DB) *auditHouse {
	t.Helper()
	log := audittest.Open(t, d)
	door, err := operation.New(operation.Deps{DB: d, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := &auditHouse{d: d, log: log, jobs: jobs.New(d)}
	pages := console.New(console.Deps{City: errs.T("某市", "City"), Brand: errs.T("平台", "Platform"), Door: door, Audit: log, Jobs: h.jobs})
	site := &web.Site{}
	server := httptest.NewServer(site.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := official(identity.Post(r.Header.Get("X-Test-Post")), "city")
		if level := r.Header.Get("X-Test-Level"); level != "" {
			who.Level = level
		}
		pages.ServeHTTP(w, r.WithContext(console.WithActor(r.Context(), who)))
	})))
	t.Cleanup(server.Close)
	h.base = server.URL
	return h
}

func (h *auditHouse) call(t *testing.T, post identity.Post, method, path string, form url.Values) (int, string) {
	t.Helper()
	return h.callAt(t, post, "city", method, path, form)
}

func (h *auditHouse) callAt(t *testing.T, post identity.Post, level, method, path string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test-Post", string(post))
	req.Header.Set("X-Test-Level", level)
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (h *auditHouse) add(t *testing.T, list ...audit.Entry) {
	t.Helper()
	if err := h.d.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := h.log.AppendTx(t.Context(), tx, list...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// last is the newest entry.
func (h *auditHouse) last(t *testing.T) audit.Entry {
	t.Helper()
	size, err := h.log.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := h.log.Get(t.Context(), size-1)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Entry
}

func TestAuditorSearches(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "QZ-3.1.8", "FS-40")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newAuditHouse(t, d)
		at := time.Date(2026, 5, 6, 1, 0, 0, 0, time.UTC)
		for i := range 120 {
			h.add(t, audit.Entry{At: at.Add(time.Duration(i) * time.Hour), ActorKind: "person", Actor: "u7", ActorName: "郑某", BodyName: "市公安局", Action: "catalog.resource.edit",
				TargetKind: "resource", Target: "r1", TargetName: fmt.Sprintf("资源 %d", i), Resource: "10100101/0001"})
		}
		h.add(t, audit.Entry{At: at, ActorKind: "client", Actor: "c1", Action: "gateway.query", Resource: "20100101/0007", Case: "2026-009", Grant: "g1",
			Purpose: "<b>核验</b>", Approver: "王某", Medium: "api", Outcome: audit.Refused, Code: "forbidden FS-12"})
		part := identity.System("intake")
		h.add(t, audit.Entry{At: at, ActorKind: string(part.Kind), Actor: part.ID, ActorName: part.Name, Action: "intake.batch.receipt", Case: "2026-010"})
		cases := []struct {
			query         string
			wants, misses []string
		}{
			{"", []string{"资源 119", "gateway.query", "Refused", "Older"}, []string{"资源 1<"}},
			{"?case=2026-009", []string{"gateway.query"}, []string{"catalog.resource.edit"}},
			{"?case=2026-010", []string{"intake.batch.receipt", "Intake service"}, []string{part.Name}},
			{"?resource=20100101/0007", []string{"gateway.query"}, []string{"catalog.resource.edit"}},
			{"?resource=20100101-0007", []string{"gateway.query"}, nil},
			{"?outcome=refused", []string{"gateway.query"}, []string{"catalog.resource.edit"}},
			{"?person=郑某&before=5", []string{"资源 0", "资源 3"}, []string{"资源 4", "gateway.query"}},
			{"?body=市公安局&from=2026-05-07&to=2026-05-07", []string{"资源 15", "资源 38"}, []string{"资源 14<", "资源 39<"}},
			{"?action=audit.log.create", []string{"audit.log.create"}, []string{"gateway.query"}},
			{"?person=nobody", []string{"no"}, []string{"gateway.query"}},
			{"?from=2026-05-09&to=2026-05-07", []string{"after the last"}, []string{"gateway.query"}},
			{"?from=gestern", []string{"A date is written"}, []string{"gateway.query"}},
		}
		for _, c := range cases {
			query := strings.NewReplacer("郑某", url.QueryEscape("郑某"), "市公安局", url.QueryEscape("市公安局")).Replace(c.query)
			status, page := h.call(t, identity.Auditor, "GET", "/console/audit"+query, nil)
			if status != 200 {
				t.Errorf("%s: %d", c.query, status)
			}
			// What the page holds beside the form.
			_, table, _ := strings.Cut(page, "gs-list")
			if _, rest, ok := strings.Cut(table, "</form>"); ok {
				table = rest
			}
			for _, want := range c.wants {
				if !strings.Contains(page, want) {
					t.Errorf("%s: no %q", c.query, want)
				}
			}
			for _, miss := range c.misses {
				if strings.Contains(table, miss) {
					t.Errorf("%s: shows %q", c.query, miss)
				}
			}
			if e := h.last(t); e.Action != "audit.log.search" || e.Post != "auditor" || e.Outcome != audit.OK {
				t.Fatalf("%s: the search left %q by %q, %s", c.query, e.Action, e.Post, e.Outcome)
			}
		}
		h.call(t, identity.Auditor, "GET", "/console/audit?case=2026-009", nil)
		if e := h.last(t); e.Note("case") != "2026-009" || e.Note("entries") != "1" {
			t.Errorf("what was searched for is not on record: %+v", e.Notes)
		}
		status, text := h.call(t, identity.Auditor, "GET", "/console/audit?format=csv&case=2026-009", nil)
		if status != 200 || !strings.HasPrefix(text, "\ufeffNumber,") || strings.Count(text, "\n") != 2 || !strings.Contains(text, "20100101/0007") {
			t.Errorf("csv: %d %q", status, text)
		}
		status, page := h.call(t, identity.Auditor, "GET", "/console/audit/entries/121", nil)
		if status != 200 || !strings.Contains(page, "The proof holds") || !strings.Contains(page, "2026-009") || strings.Contains(page, "<b>核验") {
			t.Errorf("entry: %d", status)
		}
		if e := h.last(t); e.Action != "audit.entry.read" || e.Note("seq") != "121" {
			t.Errorf("the look at an entry left %q", e.Action)
		}
		for _, path := range []string{"/console/audit/entries/99999", "/console/audit/entries/-1", "/console/audit/entries/x"} {
			if status, _ := h.call(t, identity.Auditor, "GET", path, nil); status != 404 {
				t.Errorf("%s: %d", path, status)
			}
		}
	})
}

func TestOnlyTheAuditorSeesTheLog(t *testing.T) {
	clause.Covers(t, "FS-40")
	h := newAuditHouse(t, dbtest.SQLite(t))
	h.add(t, audit.Entry{Action: "test.secret", Purpose: "planted-purpose"})
	for _, c := range []struct{ method, path string }{
		{"GET", "/console/audit"}, {"GET", "/console/audit?format=csv"}, {"GET", "/console/audit/entries/1"}, {"GET", "/console/audit/checkpoints"},
		{"POST", "/console/audit/verify"}, {"GET", "/console/audit/export"}, {"POST", "/console/audit/export"},
	} {
		for _, post := range identity.AllPosts() {
			if post == identity.Auditor {
				continue
			}
			status, page := h.call(t, post, c.method, c.path, url.Values{})
			if status != 403 || strings.Contains(page, "planted-purpose") || strings.Contains(page, "test.secret") {
				t.Errorf("%s %s by %s: %d", c.method, c.path, post, status)
			}
		}
		if status, _ := h.callAt(t, identity.Auditor, "county", c.method, c.path, url.Values{}); status != 403 {
			t.Errorf("%s %s by a county's auditor: %d", c.method, c.path, status)
		}
	}
	if e := h.last(t); e.Outcome != audit.Refused {
		t.Errorf("a refused look left %q", e.Outcome)
	}
}

func TestAuditorExportsAndVerifies(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newAuditHouse(t, d)
		for i := range 300 {
			h.add(t, audit.Entry{Action: "test.act", Actor: fmt.Sprint("u", i)})
		}
		kept, err := h.log.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		status, file := h.call(t, identity.Auditor, "POST", "/console/audit/export", url.Values{})
		if status != 200 {
			t.Fatalf("export: %d %s", status, file)
		}
		known, _, err := audit.ParseVerifiers(strings.Join(h.log.VerifierKeys(), "\n"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.VerifyExport(bytes.NewReader([]byte(file)), audit.VerifyOptions{Known: known, Earlier: []string{kept.Note}})
		if err != nil || !r.OK() || r.Entries < 301 {
			t.Errorf("the export: %+v, %v", r, err)
		}
		if e := h.last(t); e.Action != "audit.log.export" || e.Medium != "file" {
			t.Errorf("the export left %q", e.Action)
		}
		if status, page := h.call(t, identity.Auditor, "POST", "/console/audit/export", url.Values{"from": {"2026-09-09"}, "to": {"2026-09-01"}}); status != 422 || !strings.Contains(page, "after the last") {
			t.Errorf("a span backwards: %d", status)
		}
		status, page := h.call(t, identity.Auditor, "POST", "/console/audit/verify", url.Values{"checkpoint": {strings.ReplaceAll(kept.Note, "\n", "\r\n")}})
		if status != 200 || !strings.Contains(page, "The log verifies") {
			t.Errorf("verify: %d %s", status, page)
		}
		if _, page := h.call(t, identity.Auditor, "POST", "/console/audit/verify", url.Values{"checkpoint": {"junk"}}); !strings.Contains(page, "does not verify") {
			t.Error("a forged checkpoint was passed over")
		}
		if status, page := h.call(t, identity.Auditor, "GET", "/console/audit/checkpoints", nil); status != 200 || !strings.Contains(page, kept.Root.String()) {
			t.Errorf("checkpoints: %d", status)
		}
	})
}

func TestJobsPageRetriesDeadJobs(t *testing.T) {
	clause.Covers(t, "FS-40")
	h := newAuditHouse(t, dbtest.SQLite(t))
	well := false
	h.jobs.Handle("bundle.build", func(context.Context, jobs.Job) error {
		if well {
			return nil
		}
		return errs.New(errs.Gone, errs.T("坏了", "it broke")).Because(errors.New("planted cause"))
	})
	var id string
	if err := h.d.InTx(t.Context(), func(tx *db.Tx) (err error) {
		id, err = jobs.Enqueue(t.Context(), tx, "bundle.build", 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.jobs.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, page := h.call(t, identity.SystemAdmin, "GET", "/console/jobs", nil); status != 200 || !strings.Contains(page, "bundle.build") || !strings.Contains(page, "it broke") {
		t.Errorf("jobs: %d", status)
	}
	for _, post := range []identity.Post{identity.Auditor, identity.SecurityAdmin, identity.Steward} {
		if status, _ := h.call(t, post, "GET", "/console/jobs", nil); status != 403 {
			t.Errorf("jobs by %s: %d", post, status)
		}
		if status, _ := h.call(t, post, "POST", "/console/jobs/"+id+"/retry", nil); status != 403 {
			t.Errorf("retry by %s: %d", post, status)
		}
	}
	well = true
	if status, _ := h.call(t, identity.SystemAdmin, "POST", "/console/jobs/"+id+"/retry", nil); status != 303 {
		t.Errorf("retry: %d", status)
	}
	if e := h.last(t); e.Action != "audit.jobs.retry" || e.Target != id {
		t.Errorf("the retry left %q", e.Action)
	}
	if _, err := h.jobs.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j, err := h.jobs.Get(t.Context(), id); err != nil || j.State != jobs.Done {
		t.Errorf("%+v, %v", j, err)
	}
}
