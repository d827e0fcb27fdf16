package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/agreement"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/ui"
	"gongshu/workday"
)

func (c *Console) routesGrants(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/grants", c.grantsPage)
	mux.HandleFunc("GET /console/grants/{id}", c.grantPage)
	mux.HandleFunc("POST /console/grants/{id}/revoke", c.revokeGrant)
	mux.HandleFunc("POST /console/grants/{id}/release", c.releaseGrant)
	mux.HandleFunc("POST /console/grants/{id}/renew", c.renewGrant)
	mux.HandleFunc("GET /console/agreements", c.agreementsPage)
	mux.HandleFunc("GET /console/agreements/{number}", c.agreementPage)
}

func (c *Console) grantsPage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"created", "expires", "name"}, Default: "-created", Filters: []string{"state", "mode", "resource", "side"}})
	f := gateway.Filter{State: gateway.State(list.Get("state")), Mode: gateway.Mode(list.Get("mode")), Resource: catalog.ParseCode(list.Get("resource")), Text: list.Q,
		Sort: list.Sort, Desc: list.Desc, Offset: list.Offset(), Limit: list.Per}
	switch list.Get("side") {
	case "consumer":
		f.Client = a.Body
	case "provider":
		f.Provider = a.Body
	}
	if wantsSheet(r) {
		c.grantsSheet(w, r, f)
		return
	}
	grants, err := c.Sharing.Grants(ctx, a, f)
	total := 0
	if err == nil {
		total, err = c.Sharing.CountGrants(ctx, a, f)
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, grantsPage(list, c.grantRows(ctx, grants), total))
}

func (c *Console) grantsSheet(w http.ResponseWriter, r *http.Request, f gateway.Filter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "sharing.grants"),
		columns: sheetColumns(ctx, "sharing.number", "sharing.resource", "sharing.code", "sharing.consumer", "sharing.provider", "sharing.mode", "sharing.purpose", "sharing.approver", "sharing.state", "sharing.end_date"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 500
			page, err := c.Sharing.Grants(ctx, actor(r), f)
			var rows [][]string
			for i := range page {
				g := &page[i]
				rows = append(rows, []string{g.CaseNo, g.ResourceName, g.Resource, c.bodyName(ctx, g.Client), g.ProviderName, wordsOf(ctx, profile.ModeTerm(string(g.Mode))),
					strings.Join(g.Purposes, ui.T(ctx, "sharing.comma")), g.Approver, ui.StateWords(ctx, "grant", string(g.State(c.Now()))), lastDay(ctx, g.Expires)})
			}
			return rows, err
		}})
}

func grantFilters(ctx context.Context) []ui.Filter {
	opt := func(kind string, values ...string) []ui.Option {
		var out []ui.Option
		for _, v := range values {
			out = append(out, ui.Option{Value: v, Label: ui.StateWords(ctx, kind, v)})
		}
		return out
	}
	return []ui.Filter{
		{Name: "state", Label: ui.T(ctx, "sharing.state"), Options: opt("grant", "active", "pending", "expired", "revoked")},
		{Name: "mode", Label: ui.T(ctx, "sharing.mode"), Options: opt("mode", "query", "verify", "obtain", "statistics")},
		{Name: "side", Label: ui.T(ctx, "sharing.side"), Options: []ui.Option{{Value: "consumer", Label: ui.T(ctx, "sharing.side_consumer")}, {Value: "provider", Label: ui.T(ctx, "sharing.side_provider")}}},
	}
}

func (c *Console) grantRows(ctx context.Context, list []gateway.Grant) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for i := range list {
		g := &list[i]
		rows = append(rows, ui.Row{ID: g.ID, Cells: []templ.Component{
			ui.Anchor(g.ResourceName, "/console/grants/"+g.ID, g.CaseNo), ui.Sub(c.bodyName(ctx, g.Client), g.ProviderName), ui.State("mode", string(g.Mode)),
			ui.Number(int64(len(g.Items)), ""), ui.State("grant", string(g.State(c.Now()))), ui.Text(lastDay(ctx, g.Expires)),
		}})
	}
	return rows
}

// bodyName gives a body's name, its id where it is not known.
func (c *Console) bodyName(ctx context.Context, id string) string {
	if c.Org == nil {
		return id
	}
	b, err := c.Org.Body(ctx, id)
	if err != nil {
		return id
	}
	return b.Label()
}

// lastDay writes the last day of use: the day before the instant of expiry.
func lastDay(ctx context.Context, expires time.Time) string {
	if expires.IsZero() {
		return ui.T(ctx, "sharing.no_end")
	}
	return workday.DateOf(expires.Add(-time.Millisecond)).String()
}

type grantView struct {
	file       sharing.GrantFile
	state      gateway.State
	client     string
	clauses    string
	errors     ui.Errors
	earliest   string
	renewTo    string
	profile    *profile.Profile
	daysToLast int // calendar days to the last day of use; only where there is one
}

func (c *Console) grant(w http.ResponseWriter, r *http.Request, status int, change func(*grantView)) {
	ctx := r.Context()
	f, err := c.Sharing.Grant(ctx, actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := grantView{file: f, state: f.Grant.State(c.Now()), client: c.bodyName(ctx, f.Grant.Client), clauses: strings.Join(f.Grant.Basis, " "), profile: c.Profile}
	if !f.Grant.Expires.IsZero() {
		last := workday.DateOf(f.Grant.Expires.Add(-time.Millisecond))
		v.earliest = max((last + 1).String(), (workday.DateOf(c.Now()) + 1).String())
		v.daysToLast = int(last - workday.DateOf(c.Now()))
	}
	if change != nil {
		change(&v)
	}
	ui.RenderStatus(w, r, status, grantPage(v))
}

func (c *Console) grantPage(w http.ResponseWriter, r *http.Request) {
	c.grant(w, r, http.StatusOK, nil)
}

// ended answers a revocation or release.
func (c *Console) ended(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, "/console/grants/"+r.PathValue("id"), http.StatusSeeOther)
	case ui.IsRefusal(err):
		c.grant(w, r, web.Status(err), func(v *grantView) { v.errors = ui.ErrorsOf(r.Context(), err) })
	default:
		web.Fail(w, r, err)
	}
}

func (c *Console) revokeGrant(w http.ResponseWriter, r *http.Request) {
	_, err := c.Sharing.Revoke(r.Context(), actor(r), r.PathValue("id"), r.PostFormValue("reason"))
	c.ended(w, r, err)
}

func (c *Console) releaseGrant(w http.ResponseWriter, r *http.Request) {
	_, err := c.Sharing.Release(r.Context(), actor(r), r.PathValue("id"), r.PostFormValue("reason"))
	c.ended(w, r, err)
}

func (c *Console) renewGrant(w http.ResponseWriter, r *http.Request) {
	to := r.PostFormValue("end_date")
	q, err := c.Sharing.Renew(r.Context(), actor(r), r.PathValue("id"), to, r.PostFormValue("why"))
	switch {
	case err == nil:
		http.Redirect(w, r, "/console/requests/"+q.Number, http.StatusSeeOther)
	case ui.IsRefusal(err):
		c.grant(w, r, web.Status(err), func(v *grantView) { v.errors, v.renewTo = ui.ErrorsOf(r.Context(), err), to })
	default:
		web.Fail(w, r, err)
	}
}

func grantTerms(ctx context.Context, v grantView) []ui.Term {
	g := v.file.Grant
	text := func(label, value string) ui.Term {
		return ui.Term{Label: ui.T(ctx, label), Value: ui.Text(dashed(value))}
	}
	terms := []ui.Term{
		{Label: wordsOf(ctx, profile.TermConsumer.Of(v.profile).V), Value: ui.Text(v.client)},
		{Label: wordsOf(ctx, profile.TermProvider.Of(v.profile).V), Value: ui.Text(g.ProviderName)},
		{Label: ui.T(ctx, "sharing.mode"), Value: ui.State("mode", string(g.Mode))},
		text("sharing.end_date", lastDay(ctx, g.Expires)),
		text("sharing.purpose", strings.Join(g.Purposes, ui.T(ctx, "sharing.comma"))),
		text("sharing.business", g.Business),
		text("sharing.users", strings.Join(g.Users, ui.T(ctx, "sharing.comma"))),
		text("sharing.approver", g.Approver),
		text("sharing.rows", rowsWords(ctx, g.Where)),
		text("sharing.quota", quotaWords(ctx, g.RequestsPerDay, g.RowsPerDay)),
		text("sharing.begins", ui.DateTime(g.Starts)),
	}
	if g.Exception != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.exception"), Value: ui.Text(g.Exception), Wide: true, Clause: strings.Join(profile.BulkExport.Of(v.profile).Clauses, " ")})
	}
	if v.clauses != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.basis"), Value: ui.Clauses(v.clauses)})
	}
	if v.state == gateway.Revoked {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.revoked_by"), Value: ui.Sub(g.RevokedBy+" · "+ui.DateTime(g.RevokedAt), g.Reason), Wide: true})
	}
	return terms
}

func grantItemRows(ctx context.Context, g gateway.Grant) []ui.Row {
	var rows []ui.Row
	for _, it := range g.Items {
		mask := ui.T(ctx, "sharing.mask_catalog")
		if it.Unmasked || it.Mask != "" {
			mask = maskWords(ctx, it, nil)
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Text(it.Name), ui.Text(mask)}})
	}
	return rows
}

func renewalRows(ctx context.Context, g gateway.Grant) []ui.Row {
	var rows []ui.Row
	for _, n := range g.Renewals {
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Text(ui.DateTime(n.At)), ui.Text(lastDay(ctx, n.From)), ui.Text(lastDay(ctx, n.To)), ui.Sub(n.Approver, n.CaseNo)}})
	}
	return rows
}

func grantActions(ctx context.Context, v grantView) []ui.Action {
	out := []ui.Action{{Label: ui.T(ctx, "sharing.usage"), Href: "/console/usage?grant=" + v.file.Grant.ID, Icon: "chart-bar"}}
	if v.file.Request.Number != "" {
		out = append(out, ui.Action{Label: ui.T(ctx, "sharing.to_request"), Href: "/console/requests/" + v.file.Request.Number, Icon: "clipboard-list"})
	}
	return append(out, ui.Action{Label: ui.T(ctx, "sharing.to_resource"), Href: "/console/catalog/" + catalog.PathCode(v.file.Grant.Resource), Icon: "table"})
}

func (c *Console) agreementsPage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"created", "number"}, Default: "-created", Filters: []string{"state"}})
	f := agreement.Filter{State: list.Get("state"), Text: list.Q, Sort: list.Sort, Desc: list.Desc, Offset: list.Offset(), Limit: list.Per}
	if wantsSheet(r) {
		c.agreementsSheet(w, r, f)
		return
	}
	found, total, err := c.Agreement.List(ctx, a, f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, agreementsPage(list, found, total))
}

func (c *Console) agreementsSheet(w http.ResponseWriter, r *http.Request, f agreement.Filter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "agreement.list"),
		columns: sheetColumns(ctx, "agreement.number", "sharing.resource", "sharing.code", "sharing.consumer", "sharing.provider", "agreement.state", "sharing.end_date", "sharing.created"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 200
			page, _, err := c.Agreement.List(ctx, actor(r), f)
			var rows [][]string
			for _, a := range page {
				rows = append(rows, []string{a.Number, a.Terms.ResourceName, a.Resource, a.Terms.Consumer, a.Terms.Provider, ui.StateWords(ctx, "agreement", a.State), a.Terms.Ends, ui.DateTime(a.CreatedAt)})
			}
			return rows, err
		}})
}

func agreementRows(list []agreement.Agreement) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, a := range list {
		rows = append(rows, ui.Row{ID: a.Number, Cells: []templ.Component{
			ui.Anchor(a.Terms.ResourceName, "/console/agreements/"+a.Number, a.Number), ui.Sub(a.Terms.Consumer, a.Terms.Provider),
			ui.State("agreement", a.State), ui.Text(a.Terms.Ends), ui.Text(ui.Date(a.CreatedAt)),
		}})
	}
	return rows
}

func agreementFilters(ctx context.Context) []ui.Filter {
	var states []ui.Option
	for _, s := range []string{agreement.Signing, agreement.Effective, agreement.Declined, agreement.Superseded, agreement.Ended} {
		states = append(states, ui.Option{Value: s, Label: ui.StateWords(ctx, "agreement", s)})
	}
	return []ui.Filter{{Name: "state", Label: ui.T(ctx, "agreement.state"), Options: states}}
}

type agreementView struct {
	agreement agreement.Agreement
	verified  int
	broken    string
	profile   *profile.Profile
}

func (c *Console) agreementPage(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	a, err := c.Agreement.Get(ctx, actor(r), r.PathValue("number"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := agreementView{agreement: a, profile: c.Profile}
	if v.verified, err = c.Agreement.Check(a); err != nil {
		if e, ok := errs.As(err); ok {
			v.broken = e.Text.In(web.Lang(ctx))
		} else {
			web.Fail(w, r, err)
			return
		}
	}
	ui.Render(w, r, agreementPage(v))
}

// grantCall is a call that the grant answers, to copy.
func grantCall(g gateway.Grant) string {
	at := "/api/v1/resources/" + catalog.PathCode(g.Resource)
	head := "curl \\\n  -H 'Authorization: Bearer gsk_…'"
	json := " \\\n  -H 'Content-Type: application/json'"
	item := "…"
	if len(g.Items) > 0 {
		item = g.Items[0].Name
	}
	switch g.Mode {
	case gateway.Query:
		return head + json + " \\\n  -d '{\"where\":{\"" + item + "\":\"…\"}}' \\\n  " + at + "/query"
	case gateway.Verify:
		return head + json + " \\\n  -d '{\"key\":{\"…\":\"…\"},\"claims\":{\"" + item + "\":\"…\"}}' \\\n  " + at + "/verify"
	case gateway.Statistics:
		return head + json + " \\\n  -d '{\"by\":[\"" + item + "\"],\"measures\":[\"count\"]}' \\\n  " + at + "/statistics"
	}
	return head + " \\\n  '" + at + "/rows?format=csv'"
}

// articleHead tells the heading of an article in an agreement's words.
func articleHead(line string) bool {
	rest, ok := strings.CutPrefix(line, "第")
	number, _, ok2 := strings.Cut(rest, "条 ")
	return ok && ok2 && len([]rune(number)) <= 3
}
