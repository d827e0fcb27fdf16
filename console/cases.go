package console

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/profile"
	"gongshu/ui"
	"gongshu/workday"
)

func (c *Console) routesCases(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/cases", c.casesPage)
	mux.HandleFunc("GET /console/cases/{id}", c.casePage)
	mux.HandleFunc("POST /console/cases/{id}/decide", c.decideCase)
	mux.HandleFunc("POST /console/cases/{id}/clock", c.moveClock)
	mux.HandleFunc("POST /console/cases/{id}/documents", c.attachDocument)
	mux.HandleFunc("GET /console/cases/{id}/documents/{document}", c.caseDocument)
}

// casePages lead from a case to the page of what it is about, by the kind of its
// subject: an area whose cases are decided on a page of their own adds a line. "" stays
// on the case.
var casePages = map[string]func(casework.Case) string{
	"request": func(cs casework.Case) string { return "/console/requests/" + cs.Number },
	catalog.SubjectResource: func(cs casework.Case) string {
		if cs.State == casework.StateClosed {
			return "" // the resource has moved on; how it went stands here
		}
		return catalogHref(cs.Resource)
	},
}

func (c *Console) casesPage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"opened", "due", "title"}, Default: "-opened", Filters: []string{"state", "outcome"}})
	f := casework.Filter{State: list.Get("state"), Outcome: list.Get("outcome"), Text: list.Q, Sort: list.Sort, Desc: list.Desc, Offset: list.Offset(), Limit: list.Per}
	if wantsSheet(r) {
		c.casesSheet(w, r, f)
		return
	}
	found, total, err := c.Cases.Cases(ctx, a, f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	cal, err := c.Cases.Calendar(ctx)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, casesPage(list, c.caseRows(ctx, cal, found), total))
}

func (c *Console) casesSheet(w http.ResponseWriter, r *http.Request, f casework.Filter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "case.title"),
		columns: sheetColumns(ctx, "sharing.number", "case.case", "case.step", "sharing.state", "case.opened", "case.clock_due"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 200
			page, _, err := c.Cases.Cases(ctx, actor(r), f)
			var rows [][]string
			for _, cs := range page {
				step := ""
				if cs.State != casework.StateClosed {
					step = stepName(ctx, cs, cs.Step)
				}
				rows = append(rows, []string{cs.Number, cs.Title, step, ui.StateWords(ctx, "case", caseState(cs)), cs.ReceivedOn.String(), cs.DueOn})
			}
			return rows, err
		}})
}

func (c *Console) caseRows(ctx context.Context, cal *workday.Calendar, list []casework.Case) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, cs := range list {
		step := ""
		if cs.State != casework.StateClosed {
			step = stepName(ctx, cs, cs.Step)
		}
		var clock templ.Component = ui.Text("—")
		tone := ui.Plain
		if left, ok := casework.DaysLeft(cal, cs.DueOn, c.Now()); ok && cs.State != casework.StateClosed {
			info := clockOf(casework.File{Case: cs, DaysLeft: left, HasDue: true})
			clock = ui.Clock(info)
			if left < 0 {
				tone = ui.Bad
			}
		}
		state := ui.State("case", caseState(cs))
		rows = append(rows, ui.Row{ID: cs.Number, Tone: tone, Cells: []templ.Component{
			ui.Anchor(cs.Title, "/console/cases/"+cs.Number, cs.Number), ui.Text(step), state, clock, ui.Text(ui.Date(cs.OpenedAt)),
		}})
	}
	return rows
}

func caseFilters(ctx context.Context) []ui.Filter {
	var states, outcomes []ui.Option
	for _, s := range []string{casework.StateOpen, "late", casework.StateReturned, casework.StateClosed} {
		states = append(states, ui.Option{Value: s, Label: ui.StateWords(ctx, "case", s)})
	}
	for _, o := range []string{casework.Approved, casework.Refused, casework.Withdrawn} {
		outcomes = append(outcomes, ui.Option{Value: o, Label: ui.StateWords(ctx, "case", o)})
	}
	return []ui.Filter{{Name: "state", Label: ui.T(ctx, "sharing.state"), Options: states}, {Name: "outcome", Label: ui.T(ctx, "case.outcome"), Options: outcomes}}
}

type caseView struct {
	file    casework.File
	task    *casework.Task
	errors  ui.Errors // of the decision
	chosen  string
	reason  string
	refused ui.Errors // of a clock change or a document
}

func (c *Console) casePage(w http.ResponseWriter, r *http.Request) {
	cs, err := c.Cases.Case(r.Context(), actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if page, ok := casePages[cs.SubjectKind]; ok {
		if href := page(cs); href != "" {
			http.Redirect(w, r, href, http.StatusSeeOther)
			return
		}
	}
	c.caseFile(w, r, http.StatusOK, nil)
}

func (c *Console) caseFile(w http.ResponseWriter, r *http.Request, status int, change func(*caseView)) {
	ctx, a := r.Context(), actor(r)
	f, err := c.Cases.File(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := caseView{file: f, task: c.Cases.Decidable(a, f.Case, f.Tasks)}
	if change != nil {
		change(&v)
	}
	ui.RenderStatus(w, r, status, casePage(v))
}

func (c *Console) decideCase(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	d := casework.Decision{Outcome: r.PostFormValue("outcome"), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	if d.Outcome == casework.Cut {
		web.Fail(w, r, errs.New(errs.Invalid, errs.T("该办件没有可核减的内容", "nothing in this case can be cut")).In("outcome"))
		return
	}
	if _, err := c.Cases.Decide(ctx, a, r.PostFormValue("task"), d); err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		c.caseFile(w, r, web.Status(err), func(v *caseView) { v.errors, v.chosen, v.reason = ui.ErrorsOf(ctx, err), d.Outcome, d.Reason })
		return
	}
	http.Redirect(w, r, "/console/cases/"+r.PathValue("id"), http.StatusSeeOther)
}

// moveClock pauses, resumes or extends the clock of the step under way.
func (c *Console) moveClock(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	task, reason := r.PostFormValue("task"), strings.TrimSpace(r.PostFormValue("reason"))
	var err error
	switch do := r.PostFormValue("do"); do {
	case "pause":
		err = c.Cases.Pause(ctx, a, task, reason)
	case "resume":
		err = c.Cases.Resume(ctx, a, task)
	case "extend":
		days, bad := strconv.Atoi(strings.TrimSpace(r.PostFormValue("days")))
		if bad != nil {
			days = 0 // refused as out of range
		}
		err = c.Cases.Extend(ctx, a, task, days, reason)
	default:
		err = errs.Newf(errs.Invalid, "没有这种操作：%s", "no such command: %s", do).In("do")
	}
	c.changedCase(w, r, err)
}

func (c *Console) attachDocument(w http.ResponseWriter, r *http.Request) {
	err := parseWithFiles(r)
	if err == nil && len(filesOf(r, "file")) == 0 {
		err = errs.New(errs.Invalid, errs.T("请选择要上传的材料", "choose a document to attach")).In("file")
	}
	for _, head := range filesOf(r, "file") {
		if err == nil {
			err = c.attachOne(r, head)
		}
	}
	c.changedCase(w, r, err)
}

func (c *Console) attachOne(r *http.Request, head *multipart.FileHeader) error {
	file, err := head.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = c.Cases.Attach(r.Context(), actor(r), r.PathValue("id"), head.Filename, file)
	return err
}

// changedCase leads back to the case, or shows it with the refusal.
func (c *Console) changedCase(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, "/console/cases/"+r.PathValue("id"), http.StatusSeeOther)
	case ui.IsRefusal(err):
		c.caseFile(w, r, web.Status(err), func(v *caseView) { v.refused = ui.ErrorsOf(r.Context(), err) })
	default:
		web.Fail(w, r, err)
	}
}

// caseDocument sends a document as a download, whatever it holds.
func (c *Console) caseDocument(w http.ResponseWriter, r *http.Request) {
	document, content, err := c.Cases.Document(r.Context(), actor(r), r.PathValue("id"), r.PathValue("document"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	defer content.Close()
	download(w, document.Name, "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(document.Size, 10))
	if _, err := io.Copy(w, content); err != nil {
		c.Log.Error("case document", "case", r.PathValue("id"), "err", err) // the status has gone out
	}
}

// maxFiles bounds a form with documents, in bytes.
const maxFiles = 64 << 20

// parseWithFiles reads a form that may carry files; what does not fit in memory waits on
// disk until the request ends.
func parseWithFiles(r *http.Request) error {
	web.LimitBody(r, maxFiles)
	err := web.ParseMultipart(r, 4<<20)
	if errors.Is(err, http.ErrNotMultipart) {
		err = r.ParseForm()
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errs.Newf(errs.TooLarge, "一次提交的材料合计不超过 %d MB", "the documents of one form have at most %d MB together", maxFiles>>20).In("file").Because(err)
	}
	if err != nil {
		return errs.New(errs.Invalid, errs.T("表单无法读取", "the form cannot be read")).Because(err)
	}
	return nil
}

// filesOf gives the files that a parsed form sent in a field.
func filesOf(r *http.Request, field string) []*multipart.FileHeader {
	if r.MultipartForm == nil {
		return nil
	}
	return r.MultipartForm.File[field]
}

// keepFiles stores the files of a form's field; on an error none is left.
func (c *Console) keepFiles(r *http.Request, field string) ([]casework.Attachment, error) {
	var kept []casework.Attachment
	for _, head := range filesOf(r, field) {
		file, err := head.Open()
		if err == nil {
			var a casework.Attachment
			if a, err = c.Cases.Keep(r.Context(), head.Filename, file); err == nil {
				kept = append(kept, a)
			}
			file.Close()
		}
		if err != nil {
			c.Cases.Discard(r.Context(), kept...)
			return nil, err
		}
	}
	return kept, nil
}

// caseState is the state of a case, or once it is closed how it ended.
func caseState(cs casework.Case) string {
	if cs.State == casework.StateClosed {
		return cs.Outcome
	}
	return cs.State
}

func caseBadges(ctx context.Context, cs casework.Case) []ui.BadgeInfo {
	return []ui.BadgeInfo{ui.StateBadge(ctx, "case", caseState(cs))}
}

// stepName is the name of a step in the page's language.
func stepName(ctx context.Context, cs casework.Case, key string) string {
	s, _, _ := cs.Procedure.Step(key)
	return wordsOf(ctx, s.Name)
}

// caseReasonHelp says what the reason field is for; a secrecy review leaves the number
// of its record (FZM-31).
func caseReasonHelp(ctx context.Context, t casework.Task) string {
	if t.Post == string(identity.SecrecyReviewer) {
		return ui.T(ctx, "case.reason_secrecy")
	}
	return ui.T(ctx, "case.reason_help")
}

// caseTerms says what a case is about and who takes part.
func caseTerms(ctx context.Context, cs casework.Case) []ui.Term {
	terms := []ui.Term{{Label: ui.T(ctx, "case.opened"), Value: ui.Text(cs.ReceivedOn.String())}}
	if cs.Resource != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.resource"), Value: ui.Anchor(cs.Resource, catalogHref(cs.Resource), "")})
	}
	for _, p := range cs.Parties {
		terms = append(terms, ui.Term{Label: wordsOf(ctx, profile.PartyTerm(p.Relation)), Value: ui.Text(p.BodyName)})
	}
	if cs.State == casework.StateClosed {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "case.ended"), Value: ui.Sub(ui.StateWords(ctx, "case", cs.Outcome), ui.DateTime(cs.ClosedAt))})
	}
	return terms
}
