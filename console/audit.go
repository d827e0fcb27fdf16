package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/ui"
	"gongshu/workday"
)

// routesAudit registers the auditor's pages and the system administrator's view
// of background jobs.
func (c *Console) routesAudit(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/audit", c.auditSearch)
	mux.HandleFunc("GET /console/audit/entries/{seq}", c.auditEntry)
	mux.HandleFunc("GET /console/audit/checkpoints", c.auditCheckpoints)
	mux.HandleFunc("POST /console/audit/verify", c.auditVerify)
	mux.HandleFunc("GET /console/audit/export", c.auditExportForm)
	mux.HandleFunc("POST /console/audit/export", c.auditExport)
	mux.HandleFunc("GET /console/jobs", c.jobsList)
	mux.HandleFunc("POST /console/jobs/{id}/retry", c.jobsRetry)
}

// logTarget is the log as the door sees it: the whole city's, of the auditor's
// own division.
func (c *Console) logTarget(a identity.Actor) operation.Target {
	return operation.Target{Kind: "log", ID: c.Audit.Origin(), Name: c.Audit.Origin(), Body: a.Body, District: a.District, Medium: "page"}
}

var auditFilters = []string{"from", "to", "person", "body", "action", "resource", "case", "grant", "outcome", "before"}

// auditView is one page of a search and the state of the log around it.
type auditView struct {
	list   ui.List
	page   audit.Page
	errors ui.Errors
	size   int64
	head   audit.Checkpoint // zero before the first
	state  audit.State
	known  []string // actions to filter by
}

// auditFilter reads the search of an address. Days are civil days of China, both
// inclusive.
func auditFilter(list ui.List) (audit.Filter, error) {
	f := audit.Filter{
		Actor: list.Get("person"), Body: list.Get("body"), Action: list.Get("action"), Resource: strings.ReplaceAll(list.Get("resource"), "-", "/"),
		Case: list.Get("case"), Grant: list.Get("grant"), Outcome: list.Get("outcome"),
	}
	var err error
	f.From, f.To, err = span(list)
	return f, err
}

// span reads the days "from" and "to" of a list, both included: the first moment of the
// one and the moment after the other, zero where it is not given.
func span(list ui.List) (from, to time.Time, err error) {
	for name, at := range map[string]*time.Time{"from": &from, "to": &to} {
		text := list.Get(name)
		if text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, text, workday.Zone)
		if err != nil {
			return from, to, errs.New(errs.Invalid, errs.T("日期应写作 2026-11-22", "A date is written 2026-11-22")).In(name)
		}
		*at = t
	}
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1)
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, errs.New(errs.Invalid, errs.T("起始日期晚于截止日期", "The first day is after the last")).In("from")
	}
	return from, to, nil
}

// noteFilter puts what was searched for into the search's own entry.
func noteFilter(ctx context.Context, list ui.List) {
	for _, name := range auditFilters {
		if v := list.Get(name); v != "" {
			operation.Note(ctx, name, v)
		}
	}
}

func (c *Console) auditSearch(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	list := ui.ParseList(r, ui.ListSpec{Filters: auditFilters, Per: 50})
	if wantsSheet(r) {
		c.auditSheet(w, r, a, list)
		return
	}
	v := auditView{list: list, state: c.Audit.State()}
	f, err := auditFilter(list)
	if err != nil {
		v.errors = ui.ErrorsOf(r.Context(), err)
		f = audit.Filter{Action: "-"} // nothing is looked for
	}
	before, _ := strconv.ParseInt(list.Get("before"), 10, 64)
	err = c.Door.Read(r.Context(), a, "audit.log.search", c.logTarget(a), func(ctx context.Context) error {
		noteFilter(ctx, list)
		if v.errors.Any() {
			return nil
		}
		var err error
		if v.page, err = c.auditPage(ctx, f, before, list.Per); err != nil {
			return err
		}
		operation.Note(ctx, "entries", len(v.page.Records))
		return nil
	})
	if err == nil {
		v.size, v.head, err = c.auditHead(r.Context())
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, action := range c.Door.Policies().Actions() {
		v.known = append(v.known, string(action))
	}
	// The data service has no policies: a grant is its permission.
	for _, m := range catalog.Modes {
		v.known = append(v.known, "gateway."+string(m))
	}
	// An action that somebody has followed to the log is kept in the choice.
	if one := v.list.Get("action"); one != "" && !slices.Contains(v.known, one) {
		v.known = append(v.known, one)
	}
	ui.Render(w, r, auditPage(v))
}

// auditPage fills a page although one call of Search looks at a bounded number of
// entries; it gives up after a while and leaves the rest to the next page.
func (c *Console) auditPage(ctx context.Context, f audit.Filter, before int64, per int) (audit.Page, error) {
	var out audit.Page
	for deadline := time.Now().Add(2 * time.Second); ; {
		page, err := c.Audit.Search(ctx, f, before, per-len(out.Records))
		if err != nil {
			return out, err
		}
		out.Records, out.Next = append(out.Records, page.Records...), page.Next
		if page.Next == 0 || len(out.Records) >= per || time.Now().After(deadline) {
			return out, nil
		}
		before = page.Next
	}
}

func (c *Console) auditHead(ctx context.Context) (int64, audit.Checkpoint, error) {
	size, err := c.Audit.Size(ctx)
	if err != nil {
		return 0, audit.Checkpoint{}, err
	}
	head, err := c.Audit.Latest(ctx)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return 0, audit.Checkpoint{}, err
	}
	return size, head, nil
}

// auditSheetRows bounds the entries of a search that go into one table for reading; for
// proof there is the export.
const auditSheetRows = 20000

func (c *Console) auditSheet(w http.ResponseWriter, r *http.Request, a identity.Actor, list ui.List) {
	f, err := auditFilter(list)
	var records []audit.Record
	if err == nil {
		target := c.logTarget(a)
		target.Medium = "file"
		err = c.Door.Read(r.Context(), a, "audit.log.search", target, func(ctx context.Context) error {
			noteFilter(ctx, list)
			for before := int64(0); len(records) < auditSheetRows; {
				page, err := c.Audit.Search(ctx, f, before, auditSheetRows-len(records))
				if err != nil {
					return err
				}
				records = append(records, page.Records...)
				if before = page.Next; before == 0 {
					break
				}
			}
			operation.Note(ctx, "entries", len(records))
			return nil
		})
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "audit.title"),
		columns: sheetColumns(ctx, "#audit.seq", "audit.at", "audit.person", "audit.post", "audit.body", "audit.addr", "audit.action", "audit.action_code", "audit.target", "audit.resource", "audit.case", "audit.grant",
			"audit.purpose", "audit.approver", "audit.medium", "audit.outcome", "audit.code", "audit.leaf"),
		rows: rowsOf(records, func(rec audit.Record) []string {
			e := rec.Entry
			who, _ := whoOf(ctx, e)
			what, _ := whatOf(ctx, e)
			post := ""
			if e.Post != "" {
				post = identity.Post(e.Post).Text().In(web.Lang(ctx))
			}
			return []string{strconv.FormatInt(rec.Seq, 10), ui.Seconds(e.At), who, post, e.BodyName, e.Addr, known(ctx, "action.", e.Action), e.Action, what, e.Resource, e.Case, e.Grant,
				e.Purpose, e.Approver, mediumOf(ctx, e.Medium), outcomeBadge(ctx, rec).Text, e.Code, rec.Leaf.String()}
		})})
}

// entryView is one entry with its proof.
type entryView struct {
	rec      audit.Record
	last     int64
	proof    tlog.RecordProof
	size     int64 // of the checkpoint that the proof leads to; 0 before there is one
	root     tlog.Hash
	verified bool
	facts    string // articles that ask for what it records
	kept     string // articles that ask for the log to be kept
}

func (c *Console) auditEntry(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 0 {
		web.Fail(w, r, errs.Newf(errs.NotFound, "没有这条审计记录。", "There is no such entry."))
		return
	}
	var v entryView
	v.facts, v.kept = c.auditClauses()
	err = c.Door.Read(r.Context(), a, "audit.entry.read", c.logTarget(a), func(ctx context.Context) (err error) {
		operation.Note(ctx, "seq", seq)
		if v.rec, err = c.Audit.Get(ctx, seq); err != nil {
			return err
		}
		size, err := c.Audit.Size(ctx)
		if err != nil {
			return err
		}
		v.last = size - 1
		head, err := c.Audit.Latest(ctx)
		if errs.Is(err, errs.NotFound) || err == nil && seq >= head.Size {
			// Too new: the next checkpoint, within a second or so, will cover it.
			if head, err = c.Audit.Checkpoint(ctx); errs.Is(err, errs.Conflict) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		var leaf tlog.Hash
		if v.size, leaf, v.proof, err = c.Audit.Inclusion(ctx, seq, head.Size); err != nil {
			return err
		}
		v.root = head.Root
		v.verified = leaf == v.rec.Leaf && !v.rec.Bad && tlog.CheckRecord(v.proof, v.size, v.root, seq, leaf) == nil
		return nil
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, auditEntryPage(v))
}

type checkpointsView struct {
	kept string
	list []audit.Checkpoint
	next int64
	keys []string
}

func (c *Console) auditCheckpoints(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	v := checkpointsView{keys: c.Audit.VerifierKeys()}
	_, v.kept = c.auditClauses()
	err := c.Door.Read(r.Context(), a, "audit.log.search", c.logTarget(a), func(ctx context.Context) (err error) {
		operation.Note(ctx, "checkpoints", true)
		v.list, err = c.Audit.Checkpoints(ctx, before, 51)
		return err
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if len(v.list) > 50 {
		v.list = v.list[:50]
		v.next = v.list[49].Size
	}
	ui.Render(w, r, checkpointsPage(v))
}

func (c *Console) auditVerify(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	known, _, err := audit.ParseVerifiers(strings.Join(c.Audit.VerifierKeys(), "\n"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	var earlier []string
	if text := strings.TrimSpace(r.FormValue("checkpoint")); text != "" {
		earlier = append(earlier, strings.ReplaceAll(text, "\r\n", "\n")+"\n")
	}
	var report audit.Report
	began := time.Now()
	err = c.Door.Read(r.Context(), a, "audit.log.verify", c.logTarget(a), func(ctx context.Context) (err error) {
		if _, err := c.Audit.Checkpoint(ctx); err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
		report, err = c.Audit.Verify(ctx, audit.VerifyOptions{Known: known, Earlier: earlier})
		operation.Note(ctx, "entries", report.To-report.From)
		operation.Note(ctx, "faults", len(report.Faults))
		return err
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, auditReportPage(report, time.Since(began)))
}

func (c *Console) auditExportForm(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "audit.log.export", c.logTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, c.auditExportPage(ui.Errors{}, "", ""))
}

func (c *Console) auditExport(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	from, to := r.FormValue("from"), r.FormValue("to")
	target := c.logTarget(a)
	target.Medium = "file"
	var info audit.ExportInfo
	err := c.Door.Read(r.Context(), a, "audit.log.export", target, func(ctx context.Context) error {
		operation.Note(ctx, "from", from)
		operation.Note(ctx, "to", to)
		span, err := exportSpan(from, to)
		if err != nil {
			return err
		}
		info, err = c.Audit.Plan(ctx, span)
		operation.Note(ctx, "entries", info.To-info.From)
		return err
	})
	if err != nil {
		if ui.IsRefusal(err) && !errs.Is(err, errs.Forbidden) {
			ui.RenderStatus(w, r, web.Status(err), c.auditExportPage(ui.ErrorsOf(r.Context(), err), from, to))
			return
		}
		web.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="audit-%d-%d.jsonl"`, info.From, info.To-1))
	// A connection that breaks leaves a file without its end, which verify names.
	if err := c.Audit.Export(r.Context(), w, info); err != nil {
		c.Log.Error("audit export cut off", "err", err)
		panic(http.ErrAbortHandler)
	}
}

func (c *Console) auditExportPage(errors ui.Errors, from, to string) templ.Component {
	_, kept := c.auditClauses()
	return auditExportPage(errors, from, to, kept)
}

func exportSpan(from, to string) (audit.ExportRange, error) {
	var span audit.ExportRange
	for _, f := range []struct {
		name, text string
		at         *time.Time
	}{{"from", from, &span.From}, {"to", to, &span.To}} {
		if f.text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, f.text, workday.Zone)
		if err != nil {
			return span, errs.New(errs.Invalid, errs.T("日期应写作 2026-11-22", "A date is written 2026-11-22")).In(f.name)
		}
		*f.at = t
	}
	if !span.To.IsZero() {
		span.To = span.To.AddDate(0, 0, 1)
		if span.To.Before(span.From) || span.To.Equal(span.From) {
			return span, errs.New(errs.Invalid, errs.T("起始日期晚于截止日期", "The first day is after the last")).In("from")
		}
	}
	return span, nil
}

// jobsShown is how many jobs the list goes back; the counts above it are of all.
const jobsShown = 2000

type jobsView struct {
	list   ui.List
	jobs   []jobs.Job
	total  int
	kinds  []string
	counts map[string]int
}

func (c *Console) jobsList(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	v := jobsView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"created", "kind", "attempts"}, Default: "-created", Filters: []string{"state", "kind"}})}
	err := c.Door.Read(r.Context(), a, "audit.jobs.list", operation.Target{Kind: "jobs", Body: a.Body, District: a.District, Medium: "page"}, func(ctx context.Context) (err error) {
		if v.counts, err = c.Jobs.Counts(ctx); err != nil {
			return err
		}
		if v.kinds, err = c.Jobs.Kinds(ctx); err != nil {
			return err
		}
		v.jobs, err = c.Jobs.List(ctx, v.list.Get("state"), v.list.Get("kind"), jobsShown)
		return err
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v.jobs = ui.Sorted(v.list, v.jobs, map[string]func(x, y jobs.Job) int{
		"created": func(x, y jobs.Job) int { return x.Created.Compare(y.Created) }, "kind": ui.By(func(j jobs.Job) string { return j.Kind }), "attempts": ui.By(func(j jobs.Job) int { return j.Attempts })})
	if wantsSheet(r) {
		ctx := r.Context()
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "jobs.title"), columns: sheetColumns(ctx, "jobs.kind", "jobs.state", "#jobs.attempts", "jobs.created", "jobs.ended", "jobs.error"),
			rows: rowsOf(v.jobs, func(j jobs.Job) []string {
				return []string{jobWords(ctx, j.Kind), ui.StateWords(ctx, "job", j.State), strconv.Itoa(j.Attempts), ui.DateTime(j.Created), ui.DateTime(j.Ended), j.Error}
			})})
		return
	}
	v.total, v.jobs = len(v.jobs), ui.PageOf(v.list, v.jobs)
	ui.Render(w, r, jobsPage(v))
}

func (c *Console) jobsRetry(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	id := r.PathValue("id")
	err := c.Door.Do(r.Context(), a, "audit.jobs.retry", operation.Target{Kind: "job", ID: id, Body: a.Body, District: a.District}, func(ctx context.Context, tx *db.Tx) error {
		return c.Jobs.Retry(ctx, tx, id)
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/jobs", http.StatusSeeOther)
}
