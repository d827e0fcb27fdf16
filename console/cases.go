package console

import (
	"context"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"gongshu/casework"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
	"gongshu/workday"
)

func (c *Console) routesCases(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/cases", c.casesPage)
	mux.HandleFunc("GET /console/cases/{id}", c.casePage)
	mux.HandleFunc("POST /console/cases/{id}/decide", c.decideCase)
}

// casePages lead from a case to the page of what it is about, by the kind of its
// subject: an area whose cases have a page of their own adds a line.
var casePages = map[string]func(casework.Case) string{
	"request": func(cs casework.Case) string { return "/console/requests/" + cs.Number },
}

func (c *Console) casesPage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"opened", "due"}, Default: "-opened", Filters: []string{"state", "outcome"}})
	found, total, err := c.Cases.Cases(ctx, a, casework.Filter{State: list.Get("state"), Outcome: list.Get("outcome"), Text: list.Q, ByDue: list.Sort == "due", Offset: list.Offset(), Limit: list.Per})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	cal, err := c.Cases.Calendar(ctx)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if r.URL.Query().Get("format") == "csv" {
		c.casesCSV(w, r, list)
		return
	}
	ui.Render(w, r, casesPage(list, c.caseRows(ctx, cal, found), total))
}

func (c *Console) casesCSV(w http.ResponseWriter, r *http.Request, list ui.List) {
	ctx := r.Context()
	f := casework.Filter{State: list.Get("state"), Outcome: list.Get("outcome"), Text: list.Q, ByDue: list.Sort == "due", Limit: 200}
	rows := [][]string{{ui.T(ctx, "sharing.number"), ui.T(ctx, "case.case"), ui.T(ctx, "case.step"), ui.T(ctx, "sharing.state"), ui.T(ctx, "case.opened"), ui.T(ctx, "case.clock_due")}}
	for {
		page, total, err := c.Cases.Cases(ctx, actor(r), f)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		for _, cs := range page {
			step, state := "", cs.State
			if s, _, ok := cs.Procedure.Step(cs.Step); ok && state != casework.StateClosed {
				step = wordsOf(ctx, s.Name)
			} else {
				state = cs.Outcome
			}
			rows = append(rows, []string{cs.Number, cs.Title, step, ui.StateWords(ctx, "case", state), cs.ReceivedOn.String(), cs.DueOn})
		}
		f.Offset += len(page)
		if len(page) == 0 || f.Offset >= total || f.Offset >= 50000 {
			break
		}
	}
	sendCSV(w, "cases.csv", rows)
}

func (c *Console) caseRows(ctx context.Context, cal *workday.Calendar, list []casework.Case) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, cs := range list {
		step := ""
		if s, _, ok := cs.Procedure.Step(cs.Step); ok && cs.State != casework.StateClosed {
			step = wordsOf(ctx, s.Name)
		}
		var clock templ.Component = ui.Text("—")
		tone := ui.Plain
		if left, ok := casework.DaysLeft(cal, cs.DueOn, c.Now()); ok && cs.State == casework.StateOpen {
			info := clockOf(casework.File{Case: cs, DaysLeft: left, HasDue: true})
			clock = ui.Clock(info)
			if left < 0 {
				tone = ui.Bad
			}
		}
		state := ui.State("case", cs.State)
		if cs.State == casework.StateClosed {
			state = ui.State("case", cs.Outcome)
		}
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
	file   casework.File
	task   *casework.Task
	errors ui.Errors
	chosen string
	reason string
}

func (c *Console) casePage(w http.ResponseWriter, r *http.Request) {
	cs, err := c.Cases.Case(r.Context(), actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if page, ok := casePages[cs.SubjectKind]; ok {
		http.Redirect(w, r, page(cs), http.StatusSeeOther)
		return
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
	v := caseView{file: f}
	for i := range f.Tasks {
		if f.Tasks[i].State == "open" && c.Cases.May(a, f.Case, f.Tasks[i]) == nil {
			v.task = &f.Tasks[i]
			break
		}
	}
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

func caseBadges(ctx context.Context, cs casework.Case) []ui.BadgeInfo {
	if cs.State == casework.StateClosed {
		return []ui.BadgeInfo{ui.StateBadge(ctx, "case", cs.Outcome)}
	}
	return []ui.BadgeInfo{ui.StateBadge(ctx, "case", cs.State)}
}
