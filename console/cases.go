package console

import (
	"context"
	"net/http"
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
		if left, ok := casework.DaysLeft(cal, cs.DueOn, c.Now()); ok && cs.State == casework.StateOpen {
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
	terms := []ui.Term{{Label: ui.T(ctx, "sharing.number"), Value: ui.Text(cs.Number)}, {Label: ui.T(ctx, "case.opened"), Value: ui.Text(cs.ReceivedOn.String())}}
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
