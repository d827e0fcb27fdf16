package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/ui"
	"gongshu/workday"
)

func (c *Console) routesRequests(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/requests", c.requestsPage)
	mux.HandleFunc("GET /console/requests/new", c.newRequest)
	mux.HandleFunc("POST /console/requests", c.apply)
	mux.HandleFunc("GET /console/requests/{number}", c.requestPage)
	mux.HandleFunc("GET /console/requests/{number}/edit", c.editRequest)
	mux.HandleFunc("POST /console/requests/{number}/edit", c.amend)
	mux.HandleFunc("POST /console/requests/{number}/decide", c.decide)
	mux.HandleFunc("POST /console/requests/{number}/withdraw", c.withdrawRequest)
}

var requestStates = []string{sharing.Pending, sharing.Returned, sharing.Granted, sharing.Refused, sharing.Withdrawn, sharing.Settled}

func (c *Console) requestsPage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"created", "decided", "name"}, Default: "-created", Filters: []string{"state", "kind", "mode", "side", "resource"}})
	f := sharing.Filter{State: list.Get("state"), Kind: list.Get("kind"), Mode: list.Get("mode"), Resource: catalog.ParseCode(list.Get("resource")), Text: list.Q, Sort: list.Sort, Desc: list.Desc, Offset: list.Offset(), Limit: list.Per}
	switch list.Get("side") {
	case "consumer":
		f.Consumer = a.Body
	case "provider":
		f.Provider = a.Body
	}
	if wantsSheet(r) {
		c.requestsSheet(w, r, f)
		return
	}
	requests, total, err := c.Sharing.Requests(ctx, a, f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	may := c.Door.May(a, "sharing.request.apply", operation.Target{Kind: "request", Body: a.Body, District: a.District}) == nil
	ui.Render(w, r, requestsPage(list, requests, total, may))
}

func (c *Console) requestsSheet(w http.ResponseWriter, r *http.Request, f sharing.Filter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "sharing.requests"),
		columns: sheetColumns(ctx, "sharing.number", "sharing.resource", "sharing.code", "sharing.consumer", "sharing.provider", "sharing.mode", "sharing.kind", "sharing.state", "sharing.created", "sharing.decided"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 200
			page, _, err := c.Sharing.Requests(ctx, actor(r), f)
			var rows [][]string
			for _, q := range page {
				rows = append(rows, []string{q.Number, q.ResourceName, q.Resource, q.ConsumerName, q.ProviderName, wordsOf(ctx, profile.ModeTerm(q.Mode)), kindWords(ctx, q.Kind),
					ui.StateWords(ctx, "request", q.State), ui.DateTime(q.CreatedAt), ui.DateTime(q.DecidedAt)})
			}
			return rows, err
		}})
}

func requestFilters(ctx context.Context) []ui.Filter {
	opt := func(kind string, values []string) []ui.Option {
		var out []ui.Option
		for _, v := range values {
			out = append(out, ui.Option{Value: v, Label: ui.StateWords(ctx, kind, v)})
		}
		return out
	}
	kinds := []ui.Option{}
	for _, k := range []string{sharing.Immediate, sharing.Application, sharing.Conditional, sharing.Renewal, sharing.Negotiation} {
		kinds = append(kinds, ui.Option{Value: k, Label: ui.T(ctx, "sharing.kind_"+k)})
	}
	return []ui.Filter{
		{Name: "state", Label: ui.T(ctx, "sharing.state"), Options: opt("request", requestStates)},
		{Name: "kind", Label: ui.T(ctx, "sharing.kind"), Options: kinds},
		{Name: "mode", Label: ui.T(ctx, "sharing.mode"), Options: opt("mode", []string{"query", "verify", "obtain", "statistics"})},
		{Name: "side", Label: ui.T(ctx, "sharing.side"), Options: []ui.Option{{Value: "consumer", Label: ui.T(ctx, "sharing.side_consumer")}, {Value: "provider", Label: ui.T(ctx, "sharing.side_provider")}}},
	}
}

func requestRows(list []sharing.Request) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, q := range list {
		rows = append(rows, ui.Row{ID: q.Number, Cells: []templ.Component{
			ui.Anchor(q.ResourceName, "/console/requests/"+q.Number, q.Number), ui.Sub(q.ConsumerName, q.ProviderName),
			ui.State("mode", q.Mode), kindCell(q), ui.State("request", q.State), ui.Text(ui.Date(q.CreatedAt)),
		}})
	}
	return rows
}

// applyView is the form with all that explains it.
type applyView struct {
	action    string
	resource  *catalog.Resource
	outlook   sharing.Outlook
	form      sharing.Form
	other     string // purpose in own words
	errors    ui.Errors
	draft     bool // the form was filled from a draft
	modes     profile.Value[[]string]
	number    string // of the request that is amended
	negotiate bool   // the refusal leaves negotiation
	longest   string // latest end date
	earliest  string
	profile   *profile.Profile
}

func (c *Console) applyView(r *http.Request, code string) (applyView, error) {
	res, existsOnly, err := c.Catalog.ShareCatalog(r.Context(), actor(r), code)
	if err != nil {
		return applyView{}, err
	}
	v := applyView{action: "/console/requests", resource: res, modes: profile.SharingModes.At(c.Profile, c.Now()), profile: c.Profile}
	v.outlook = c.Sharing.Outlook(res, "")
	if existsOnly {
		v.resource = &catalog.Resource{Code: res.Code, Name: res.Name, Body: res.Body, BodyName: res.BodyName, Sharing: res.Sharing}
	}
	today := workday.DateOf(c.Now())
	v.earliest, v.longest = (today + 1).String(), (today + workday.Date(v.outlook.MaxDays.V)).String()
	v.form = sharing.Form{Resource: res.Code, Mode: string(catalog.Query), EndDate: ""}
	return v, nil
}

func (c *Console) newRequest(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("resource")
	if code == "" {
		http.Redirect(w, r, "/console/catalog", http.StatusSeeOther)
		return
	}
	v, err := c.applyView(r, code)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if body, _, err := c.Cases.Draft(r.Context(), actor(r), "sharing.request", v.resource.Code); err == nil {
		if values, err := url.ParseQuery(body); err == nil {
			v.form, v.other = formOf(values)
			v.form.Resource, v.draft = v.resource.Code, true
		}
	} else if !errs.Is(err, errs.NotFound) {
		web.Fail(w, r, err)
		return
	}
	if m := r.URL.Query().Get("mode"); catalogMode(m) {
		v.form.Mode = m
	}
	ui.Render(w, r, applyPage(v))
}

func catalogMode(m string) bool { return slices.Contains(catalog.Modes, catalog.Mode(m)) }

// formOf reads the fields of the form.
func formOf(v url.Values) (f sharing.Form, other string) {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(v.Get(name)), 10, 64)
		if err != nil && strings.TrimSpace(v.Get(name)) != "" {
			return -1 // refused by the rules as out of range
		}
		return n
	}
	f = sharing.Form{Resource: v.Get("resource"), Mode: v.Get("mode"), Purposes: slices.Clone(v["purposes"]), Business: strings.TrimSpace(v.Get("business")),
		Users: linesOf(v.Get("users")), Items: slices.Clone(v["items"]), Unmasked: slices.Clone(v["unmasked"]), EndDate: strings.TrimSpace(v.Get("end_date")),
		RequestsPerDay: number("requests_per_day"), RowsPerDay: number("rows_per_day"), FreeQuery: v.Get("free_query") != "",
		ExceptionReason: strings.TrimSpace(v.Get("exception_reason")), Note: strings.TrimSpace(v.Get("note"))}
	other = strings.TrimSpace(v.Get("purpose_other"))
	if other != "" {
		f.Purposes = append(f.Purposes, other)
	}
	for i := range 3 {
		item, op, value := v.Get("where_item_"+itoa(i)), v.Get("where_op_"+itoa(i)), strings.TrimSpace(v.Get("where_value_"+itoa(i)))
		if item == "" || value == "" {
			continue
		}
		values := []string{value}
		if op == "in" || op == "between" {
			values = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '，' || r == '、' || r == ' ' })
		}
		f.Where = append(f.Where, gateway.Condition{Item: item, Op: gateway.Op(op), Values: values})
	}
	return f, other
}

func linesOf(s string) []string {
	var out []string
	for _, l := range strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '、' || r == '；' || r == ';' }) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func (c *Console) apply(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := parseWithFiles(r); err != nil {
		web.Fail(w, r, err)
		return
	}
	f, other := formOf(r.PostForm)
	if r.PostForm.Get("do") == "draft" {
		if err := c.Cases.SaveDraft(ctx, a, "sharing.request", catalog.ParseCode(f.Resource), r.PostForm.Encode()); err != nil {
			web.Fail(w, r, err)
			return
		}
		http.Redirect(w, r, "/console/requests/new?resource="+url.QueryEscape(catalog.PathCode(catalog.ParseCode(f.Resource))), http.StatusSeeOther)
		return
	}
	var q sharing.Request
	var err error
	if f.Documents, err = c.keepFiles(r, "documents"); err != nil {
		c.refusedForm(w, r, err, f, other, "")
		return
	}
	if r.PostForm.Get("do") == "negotiate" {
		q, err = c.Sharing.Negotiate(ctx, a, f)
	} else {
		q, err = c.Sharing.Apply(ctx, a, f)
	}
	if err != nil {
		c.Cases.Discard(ctx, f.Documents...)
		c.refusedForm(w, r, err, f, other, "")
		return
	}
	http.Redirect(w, r, "/console/requests/"+q.Number, http.StatusSeeOther)
}

func (c *Console) refusedForm(w http.ResponseWriter, r *http.Request, err error, f sharing.Form, other, number string) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	v, verr := c.applyView(r, f.Resource)
	if verr != nil {
		web.Fail(w, r, verr)
		return
	}
	v.form, v.other, v.errors, v.number = f, other, ui.ErrorsOf(r.Context(), err), number
	v.negotiate = v.outlook.Negotiate && errs.Is(err, errs.Forbidden)
	if number != "" {
		v.action = "/console/requests/" + number + "/edit"
	}
	ui.RenderStatus(w, r, web.Status(err), applyPage(v))
}

func (c *Console) editRequest(w http.ResponseWriter, r *http.Request) {
	q, err := c.Sharing.Request(r.Context(), actor(r), r.PathValue("number"))
	if err == nil && q.State != sharing.Returned {
		err = errs.New(errs.Conflict, errs.T("该申请未被退回，不能修改", "the request has not been returned and cannot be changed"))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v, err := c.applyView(r, q.Resource)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v.form, v.number, v.action = q.Form, q.Number, "/console/requests/"+q.Number+"/edit"
	for _, p := range q.Form.Purposes {
		if !knownPurpose(p) {
			v.other = p
		}
	}
	ui.Render(w, r, applyPage(v))
}

func knownPurpose(key string) bool {
	return slices.ContainsFunc(catalog.Purposes, func(n catalog.Named) bool { return n.Key == key })
}

func (c *Console) amend(w http.ResponseWriter, r *http.Request) {
	if err := parseWithFiles(r); err != nil {
		web.Fail(w, r, err)
		return
	}
	f, other := formOf(r.PostForm)
	number := r.PathValue("number")
	var err error
	if f.Documents, err = c.keepFiles(r, "documents"); err == nil {
		_, err = c.Sharing.Amend(r.Context(), actor(r), number, f)
	}
	if err != nil {
		c.Cases.Discard(r.Context(), f.Documents...)
		c.refusedForm(w, r, err, f, other, number)
		return
	}
	http.Redirect(w, r, "/console/requests/"+number, http.StatusSeeOther)
}

// requestView is the page of a request.
type requestView struct {
	file     sharing.File
	actor    identity.Actor
	errors   ui.Errors
	decision decisionInput
	may      struct{ withdraw, amend bool }
	masks    []ui.Option
	verified int // valid signature lines of the agreement
	broken   string
	profile  *profile.Profile
}

// decisionInput is what the decider filled in.
type decisionInput struct {
	outcome, reason string
	terms           *sharing.Terms
}

func (c *Console) request(w http.ResponseWriter, r *http.Request, status int, change func(v *requestView)) {
	ctx, a := r.Context(), actor(r)
	f, err := c.Sharing.File(ctx, a, r.PathValue("number"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := requestView{file: f, actor: a, profile: c.Profile, masks: maskOptions(ctx)}
	if f.Request.CaseID != "" && f.Case.Case.State != casework.StateClosed {
		v.may.withdraw = c.Door.May(a, "casework.case.withdraw", c.Cases.CaseTarget(f.Case.Case)) == nil
	}
	if f.Request.State == sharing.Returned {
		v.may.amend = c.Door.May(a, "sharing.request.amend", operation.Target{Kind: "request", Body: f.Request.Consumer, District: f.Request.District}) == nil
	}
	if f.Agreement != nil {
		if v.verified, err = c.Agreement.Check(*f.Agreement); err != nil {
			e, _ := errs.As(err)
			v.broken = e.Text.In(web.Lang(ctx))
		}
	}
	if change != nil {
		change(&v)
	}
	ui.RenderStatus(w, r, status, requestPage(v))
}

func (c *Console) requestPage(w http.ResponseWriter, r *http.Request) {
	c.request(w, r, http.StatusOK, nil)
}

func maskOptions(ctx context.Context) []ui.Option {
	out := []ui.Option{{Value: "", Label: ui.T(ctx, "sharing.mask_catalog")}}
	for _, m := range catalog.MaskText() {
		out = append(out, ui.Option{Value: m.Key, Label: ui.Pick(ctx, m.Text.ZH, m.Text.EN)})
	}
	return out
}

func (c *Console) decide(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, errs.New(errs.Invalid, errs.T("表单无法读取", "the form cannot be read")).Because(err))
		return
	}
	in := decisionInput{outcome: r.PostForm.Get("outcome"), reason: strings.TrimSpace(r.PostForm.Get("reason"))}
	if in.outcome == casework.Cut {
		q, err := c.Sharing.Request(ctx, a, r.PathValue("number"))
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		in.terms = termsFrom(q.Terms, r.PostForm)
	}
	_, err := c.Sharing.Decide(ctx, a, r.PostForm.Get("task"), in.outcome, in.reason, in.terms)
	if err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		c.request(w, r, web.Status(err), func(v *requestView) { v.errors, v.decision = ui.ErrorsOf(ctx, err), in })
		return
	}
	http.Redirect(w, r, "/console/requests/"+r.PathValue("number"), http.StatusSeeOther)
}

// termsFrom reads the cuts of a decision: which items stay, their masks, the end.
func termsFrom(asked sharing.Terms, v url.Values) *sharing.Terms {
	t := sharing.Terms{Where: asked.Where, EndDate: strings.TrimSpace(v.Get("end_date")), RequestsPerDay: asked.RequestsPerDay, RowsPerDay: asked.RowsPerDay}
	if t.EndDate == "" {
		t.EndDate = asked.EndDate
	}
	if n, err := strconv.ParseInt(v.Get("requests_per_day"), 10, 64); err == nil {
		t.RequestsPerDay = n
	}
	if n, err := strconv.ParseInt(v.Get("rows_per_day"), 10, 64); err == nil {
		t.RowsPerDay = n
	}
	for i, it := range asked.Items {
		if !slices.Contains(v["keep"], it.Name) {
			continue
		}
		if m := v.Get(fmt.Sprintf("mask_%d", i)); m != "" {
			it.Mask, it.Unmasked = m, false
		} else if v.Get(fmt.Sprintf("masked_%d", i)) != "" {
			it.Unmasked = false
		}
		t.Items = append(t.Items, it)
	}
	return &t
}

func (c *Console) withdrawRequest(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	q, err := c.Sharing.Request(ctx, a, r.PathValue("number"))
	if err == nil && q.CaseID == "" {
		err = errs.New(errs.Conflict, errs.T("直接取得的授权没有可撤回的申请", "access had at once has no request to withdraw"))
	}
	if err == nil {
		_, err = c.Cases.Withdraw(ctx, a, q.CaseID, r.PostFormValue("reason"))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/requests/"+q.Number, http.StatusSeeOther)
}

// kindWords says how the use is obtained.
func kindWords(ctx context.Context, kind string) string { return ui.T(ctx, "sharing.kind_"+kind) }

func purposesWords(ctx context.Context, keys []string) string {
	var out []string
	for _, k := range keys {
		t := catalog.NameOf("purpose", k)
		out = append(out, ui.Pick(ctx, t.ZH, t.EN))
	}
	return strings.Join(out, ui.T(ctx, "sharing.comma"))
}

func rowsWords(ctx context.Context, where []gateway.Condition) string {
	if len(where) == 0 {
		return ui.T(ctx, "sharing.rows_all")
	}
	var out []string
	for _, w := range where {
		out = append(out, w.Item+" "+ui.T(ctx, "sharing.op_"+string(w.Op))+" "+strings.Join(w.Values, ui.T(ctx, "sharing.comma")))
	}
	return strings.Join(out, "; ")
}

func quotaWords(ctx context.Context, requests, rows int64) string {
	var out []string
	if requests > 0 {
		out = append(out, ui.T(ctx, "sharing.quota_requests", "N", ui.Num(requests)))
	}
	if rows > 0 {
		out = append(out, ui.T(ctx, "sharing.quota_rows", "N", ui.Num(rows)))
	}
	if len(out) == 0 {
		return ui.T(ctx, "sharing.quota_none")
	}
	return strings.Join(out, ui.T(ctx, "sharing.comma"))
}

// clockOf is the deadline of a case as pages show it.
func clockOf(f casework.File) ui.ClockInfo {
	c := f.Case
	info := ui.ClockInfo{Due: c.DueAt, DaysLeft: f.DaysLeft}
	step, _, ok := c.Procedure.Step(c.Step)
	if !ok {
		return info
	}
	for _, k := range f.Clocks {
		if k.Name != step.Clock {
			continue
		}
		info.Provisional, info.Paused = k.Provisional, k.State == "paused"
	}
	if rule, ok := c.Procedure.Clock(step.Clock); ok {
		info.Clause, info.Practice = strings.Join(rule.Clauses, " "), rule.Kind == profile.Practice
	}
	return info
}

// clockNote says in words where the days come from, for a rule without a clause.
func clockNote(ctx context.Context, c casework.Case) string {
	step, _, ok := c.Procedure.Step(c.Step)
	if !ok {
		return ""
	}
	rule, ok := c.Procedure.Clock(step.Clock)
	if !ok {
		return ui.T(ctx, "case.no_clock")
	}
	note := ui.T(ctx, "case.clock_rule", "Days", rule.Days, "Received", c.ReceivedOn.String())
	if rule.Kind == profile.Inherited {
		note += " " + ui.T(ctx, "case.clock_source", "Source", rule.Source)
	}
	return note
}

func stepInfos(ctx context.Context, f casework.File) []ui.StepInfo {
	c := f.Case
	_, now, _ := c.Procedure.Step(c.Step)
	var out []ui.StepInfo
	for i, s := range c.Procedure.Steps {
		info := ui.StepInfo{Label: wordsOf(ctx, s.Name), State: "next"}
		var who []string
		for _, rel := range s.Bodies {
			if p, ok := c.Party(rel); ok {
				who = append(who, p.BodyName)
			}
		}
		info.Note = strings.Join(who, ui.T(ctx, "sharing.comma")) + " · " + postWords(ctx, s.Post)
		switch {
		case i < now || c.State == casework.StateClosed && c.Outcome == casework.Approved:
			info.State = "done"
		case i == now && c.State == casework.StateClosed:
			info.State = "refused"
		case i == now:
			info.State = "now"
		}
		out = append(out, info)
	}
	return out
}

func postWords(ctx context.Context, post string) string {
	return identity.Post(post).Text().In(web.Lang(ctx))
}

// caseEvents are the timeline, the latest first, and what is yet to come on top.
func caseEvents(ctx context.Context, f casework.File) []ui.EventInfo {
	c := f.Case
	var out []ui.EventInfo
	if c.State != casework.StateClosed {
		for _, t := range f.Tasks {
			if t.State != "open" {
				continue
			}
			p, _ := c.Party(t.Relation)
			title := stepName(ctx, c, t.Step)
			if t.Kind == casework.Mend {
				title = ui.T(ctx, "case.mend")
			}
			text := ui.T(ctx, "case.waiting")
			if !t.DueAt.IsZero() {
				text = ui.T(ctx, "ui.with_note", "Text", text, "Note", ui.T(ctx, "ui.due_on", "Date", ui.Date(t.DueAt)))
			}
			out = append(out, ui.EventInfo{Open: true, Title: title, Who: p.BodyName + " · " + postWords(ctx, t.Post), Text: text, Clause: strings.Join(t.Clauses, " "), Icon: "hourglass"})
		}
	}
	for _, e := range slices.Backward(f.Timeline) {
		if e.Kind == "step" {
			continue // the open tasks and the decisions say it
		}
		info := ui.EventInfo{At: e.At, Who: strings.Trim(e.ActorName+" · "+e.BodyName, " ·"), Text: e.Reason, Clause: strings.Join(e.Clauses, " "), Icon: "circle-check"}
		switch e.Kind {
		case "decided":
			info.Title = stepName(ctx, c, e.Step) + ui.T(ctx, "case.colon") + ui.T(ctx, "case.outcome_"+e.Outcome)
			info.Tone, info.Icon = outcomeTone(e.Outcome)
		case "closed":
			info.Title, info.Text = ui.T(ctx, "case.closed_"+e.Outcome), ""
			info.Tone, info.Icon = outcomeTone(e.Outcome)
		case "clock":
			info.Title, info.Icon = ui.T(ctx, "case.clock_"+e.Outcome), "clock"
			if due, ok := e.Facts["due"].(string); ok && due != "" {
				info.Text = strings.TrimSpace(info.Text + " " + ui.T(ctx, "case.now_due", "Date", due))
			}
		case "reminder":
			info.Title, info.Who, info.Icon, info.Tone = ui.T(ctx, "case.remind_"+e.Outcome), ui.T(ctx, "case.platform"), "bell", ui.Warn
			if e.Outcome != casework.DueSoon {
				info.Tone = ui.Bad
			}
		case "attached":
			info.Icon = "paperclip"
			info.Title = ui.T(ctx, "case.event_attached")
			info.Text, _ = e.Facts["name"].(string)
		default:
			info.Title = ui.T(ctx, "case.event_"+e.Kind)
			if e.Kind == "opened" {
				info.Icon = "flag"
			}
		}
		out = append(out, info)
	}
	return out
}

func outcomeTone(outcome string) (ui.Tone, string) {
	switch outcome {
	case casework.Refuse, casework.Decline, casework.Refused:
		return ui.Bad, "circle-x"
	case casework.Object, casework.Return, casework.Cut:
		return ui.Warn, "alert-circle"
	case casework.Withdrawn:
		return ui.Plain, "x"
	case casework.Accept:
		return ui.Good, "signature"
	}
	return ui.Good, "circle-check"
}

func clockRows(ctx context.Context, f casework.File) []ui.Row {
	var rows []ui.Row
	for _, k := range f.Clocks {
		rule, _ := f.Case.Procedure.Clock(k.Name)
		for _, e := range k.Entries {
			days := ""
			if e.Days > 0 {
				days = itoa(e.Days)
			}
			clauses := strings.Join(e.Clauses, " ")
			if e.Kind == "start" && clauses == "" {
				clauses = strings.Join(rule.Clauses, " ")
			}
			rows = append(rows, ui.Row{Cells: []templ.Component{
				ui.Sub(ui.T(ctx, "case.clock_name_"+k.Name), ui.T(ctx, "case.clock_"+e.Kind)), ui.Text(e.On.String()), ui.Text(days), ui.Text(e.DueOn), ui.Mono(e.Calendar), ui.Clauses(clauses),
			}})
		}
	}
	return rows
}

// askedRows is what was asked, item by item, and what was given.
func askedRows(ctx context.Context, v requestView) []ui.Row {
	q := v.file.Request
	refs := map[string]bool{}
	for _, it := range q.Terms.Items {
		refs[it.Name] = true
	}
	items := q.Terms.Items
	if q.Cut { // show what was struck, too
		for _, name := range q.Form.Items {
			if v.file.Resource == nil {
				continue
			}
			it := v.file.Resource.ItemByName(name)
			if it == nil {
				it = v.file.Resource.Item(name)
			}
			if it != nil && !refs[it.Name] {
				refs[it.Name] = true
				items = append(slices.Clone(items), gateway.GrantItem{Name: it.Name, Mask: "cut"})
			}
		}
	}
	var rows []ui.Row
	for _, it := range items {
		note, state := "", ui.BadgeInfo{Text: ui.T(ctx, "sharing.item_kept"), Tone: ui.Good}
		if it.Mask == "cut" {
			state = ui.BadgeInfo{Text: ui.T(ctx, "sharing.item_cut"), Tone: ui.Bad}
			it.Mask = ""
		} else if v.file.Request.State == sharing.Pending {
			state = ui.BadgeInfo{Text: ui.T(ctx, "sharing.item_asked"), Tone: ui.Info}
		}
		var cat *catalog.Item
		if v.file.Resource != nil {
			cat = v.file.Resource.ItemByName(it.Name)
		}
		if cat != nil && cat.Personal != "" {
			note = ui.T(ctx, "sharing.personal")
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Sub(it.Name, note), ui.Text(maskWords(ctx, it, cat)), ui.Badges(state)}})
	}
	return rows
}

func maskWords(ctx context.Context, it gateway.GrantItem, cat *catalog.Item) string {
	name := it.Mask
	switch {
	case it.Unmasked:
		return ui.T(ctx, "sharing.unmasked")
	case name == "" && cat != nil:
		if name = cat.Mask; name == "" {
			name = privacy.DefaultMask(privacy.Kind(cat.Personal))
		}
	}
	if name == "" {
		return ui.T(ctx, "sharing.mask_none")
	}
	base, _, _ := strings.Cut(name, ":")
	for _, m := range catalog.MaskText() {
		if m.Key == base {
			return ui.Pick(ctx, m.Text.ZH, m.Text.EN)
		}
	}
	return name
}
