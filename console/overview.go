package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/sharing"
	"gongshu/ui"
	"gongshu/workday"
)

// routesOverview registers the overview screen (驾驶舱).
func (c *Console) routesOverview(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/overview", c.overview)
	mux.HandleFunc("GET /console/overdue", c.overduePage)
}

// overviewView is what the overview shows: the whole city to the authority and
// the operator, the own body to everybody else.
type overviewView struct {
	whole bool
	scope string // city or body

	resources, open, items   int
	sharing                  map[catalog.SharingType]int
	opening                  map[catalog.OpeningType]int
	states                   map[catalog.State]int
	bodies, themes           []ui.Point
	accepted, rejected       int64 // rows of the last twelve months
	problems                 int64 // open problem rows
	overdue                  []overdueLine
	requests                 map[string]int
	requestsAll, requestLate int
	grants                   int
	modes                    map[gateway.Mode]int
	calls, refused           int64 // last 30 days
	months                   []monthLine
	batches                  int
	mayBatches               bool // the batches behind the counts are open to the actor
	mayUsage                 bool // and the whole city's usage log
}

// monthLine is a month of the year that ends now.
type monthLine struct {
	month                       string // 2026-11
	calls, refused              int64
	batches, accepted, rejected int64
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	v, err := c.overviewOf(r.Context(), actor(r))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	shares, opens := c.shares(r.Context(), v)
	ui.Render(w, r, overviewPage(v, shares, opens))
}

// seesAll says whether the actor's body oversees the whole city.
func (c *Console) seesAll(ctx context.Context, a identity.Actor) (bool, error) {
	if a.Body == "" || a.Level == org.County || a.Level == org.District {
		return false, nil
	}
	b, err := c.Org.Body(ctx, a.Body)
	if err != nil {
		return false, err
	}
	return b.Role == org.Authority || b.Role == org.Operator, nil
}

func (c *Console) overviewOf(ctx context.Context, a identity.Actor) (*overviewView, error) {
	if a.Body == "" {
		return nil, errs.New(errs.Forbidden, errs.T("您目前没有岗位，看不到总览。", "You hold no post at present, so there is no overview for you."))
	}
	all, err := c.seesAll(ctx, a)
	if err != nil {
		return nil, err
	}
	v := &overviewView{whole: all, scope: a.BodyName, sharing: map[catalog.SharingType]int{}, opening: map[catalog.OpeningType]int{},
		states: map[catalog.State]int{}, requests: map[string]int{}, modes: map[gateway.Mode]int{}}
	body := a.Body
	if all {
		body, v.scope = "", c.City.In(web.Lang(ctx))
	}
	rows, err := c.overviewCatalog(ctx, v, body)
	if err != nil {
		return nil, err
	}
	v.mayUsage = c.Door.May(a, "gateway.usage.read", operation.Target{Kind: "usage"}) == nil
	v.mayBatches = c.Door.May(a, "intake.batch.view", operation.Target{Kind: "batch", Body: a.Body, District: a.District}) == nil
	v.months = lastMonths(c.Now(), 12)
	if err := c.overviewIntake(ctx, v, body, rows); err != nil {
		return nil, err
	}
	if err := c.overviewSharing(ctx, v, a); err != nil {
		return nil, err
	}
	return v, c.overviewUsage(ctx, v, body)
}

// lastMonths gives the months that end with the present one, the oldest first.
func lastMonths(now time.Time, n int) []monthLine {
	now = now.In(workday.Zone)
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	out := make([]monthLine, n)
	for i := range out {
		out[i].month = first.AddDate(0, i-n+1, 0).Format("2006-01")
	}
	return out
}

func (v *overviewView) month(t string) *monthLine {
	for i := range v.months {
		if strings.HasPrefix(t, v.months[i].month) {
			return &v.months[i]
		}
	}
	return nil
}

// resourcesOf lists the resources of a body ("" all) that are in force.
func (c *Console) resourcesOf(ctx context.Context, body string) ([]catalog.Row, error) {
	var rows []catalog.Row
	for {
		some, total, err := c.Catalog.List(ctx, catalog.ListFilter{Body: body, After: len(rows), Limit: 1000})
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
		if len(some) == 0 || len(rows) >= total {
			return rows, nil
		}
	}
}

func (c *Console) overviewCatalog(ctx context.Context, v *overviewView, body string) ([]catalog.Row, error) {
	rows, err := c.resourcesOf(ctx, body)
	if err != nil {
		return nil, err
	}
	states, err := c.Catalog.CountByState(ctx, body)
	if err != nil {
		return nil, err
	}
	v.states = states
	byBody, names, byTheme := map[string]int{}, map[string]string{}, map[string]int{}
	for _, row := range rows {
		if row.Withdrawn {
			continue
		}
		v.resources++
		v.items += row.Items
		v.sharing[row.Sharing]++
		v.opening[row.Opening]++
		if row.Opening == catalog.General || row.Opening == catalog.Authorised {
			v.open++
		}
		byBody[row.Body]++
		names[row.Body] = row.BodyName
		byTheme[row.Theme]++
	}
	for id, n := range byBody {
		v.bodies = append(v.bodies, ui.Point{Label: names[id], Value: float64(n), Href: "/console/catalog?" + url.Values{"body": {id}}.Encode()})
	}
	themes := map[string]string{}
	for _, t := range catalog.Themes() {
		themes[t.Key] = t.Text.In(web.Lang(ctx))
	}
	for key, n := range byTheme {
		label := themes[key]
		if label == "" {
			label = ui.T(ctx, "overview.no_theme")
		}
		v.themes = append(v.themes, ui.Point{Label: ui.Capital(label), Value: float64(n), Href: "/console/catalog?" + url.Values{"theme": {key}}.Encode()})
	}
	for _, points := range [][]ui.Point{v.bodies, v.themes} {
		slices.SortFunc(points, func(a, b ui.Point) int {
			if a.Value != b.Value {
				return int(b.Value - a.Value)
			}
			return strings.Compare(a.Label, b.Label)
		})
	}
	return rows, nil
}

func (c *Console) overviewIntake(ctx context.Context, v *overviewView, body string, rows []catalog.Row) error {
	if c.Intake == nil || c.Quality == nil {
		return nil
	}
	open, err := c.Quality.OpenByBody(ctx, body)
	if err != nil {
		return err
	}
	for _, n := range open {
		v.problems += n
	}
	if v.overdue, err = c.overdueOf(ctx, body, rows); err != nil {
		return err
	}
	first, err := time.ParseInLocation("2006-01", v.months[0].month, workday.Zone)
	if err != nil {
		return err
	}
	days, err := c.Intake.DaySums(ctx, body, first)
	if err != nil {
		return err
	}
	for _, d := range days {
		v.batches += int(d.Batches)
		v.accepted += d.Accepted
		v.rejected += d.Rejected
		if m := v.month(d.Day); m != nil {
			m.batches += d.Batches
			m.accepted += d.Accepted
			m.rejected += d.Rejected
		}
	}
	return nil
}

func (c *Console) overviewSharing(ctx context.Context, v *overviewView, a identity.Actor) error {
	if c.Sharing == nil {
		return nil
	}
	for _, state := range []string{sharing.Pending, sharing.Returned, sharing.Granted, sharing.Refused, sharing.Withdrawn, sharing.Settled} {
		_, n, err := c.Sharing.Requests(ctx, a, sharing.Filter{State: state, Limit: 1})
		if err != nil {
			return err
		}
		v.requests[state] = n
		v.requestsAll += n
	}
	_, late, err := c.Cases.CountTasks(ctx, a)
	if err != nil {
		return err
	}
	v.requestLate = late
	for _, mode := range []gateway.Mode{gateway.Query, gateway.Verify, gateway.Obtain, gateway.Statistics} {
		n, err := c.Sharing.CountGrants(ctx, a, gateway.Filter{State: gateway.Active, Mode: mode})
		if err != nil {
			return err
		}
		v.modes[mode] = n
		v.grants += n
	}
	return nil
}

// overviewUsage sums the calls of the data service: those on the body's own data,
// or, for the whole city, on everybody's.
func (c *Console) overviewUsage(ctx context.Context, v *overviewView, body string) error {
	if c.Gateway == nil {
		return nil
	}
	now := c.Now()
	month := ui.Date(now.AddDate(0, 0, -29))
	days, err := c.Gateway.UsageDays(ctx, gateway.UsageFilter{Body: body, Whole: body == "", Side: gateway.AsProvider, From: now.AddDate(0, -11, -now.Day()+1)})
	if err != nil {
		return err
	}
	for _, d := range days {
		if m := v.month(d.Day); m != nil {
			m.calls += d.Requests
			m.refused += d.Refused
		}
		if d.Day >= month {
			v.calls += d.Requests
			v.refused += d.Refused
		}
	}
	return nil
}

func overviewStats(ctx context.Context, v *overviewView) []ui.StatInfo {
	tone := func(n int64, t ui.Tone) ui.Tone {
		if n > 0 {
			return t
		}
		return ui.Plain
	}
	batches, problems, calls := "", "", "/console/usage"
	if v.whole && v.mayUsage {
		calls += "?body=" + usageWhole
	} else if v.whole {
		calls = "#usage" // the city's months stand below
	}
	if v.mayBatches {
		batches, problems = "/console/batches", "/console/batches?problems=yes"
	}
	return []ui.StatInfo{
		{Label: ui.T(ctx, "overview.resources"), Value: ui.Num(int64(v.resources)), Href: "/console/catalog", Icon: "folders", Note: ui.T(ctx, "overview.items", "Count", v.items)},
		{Label: ui.T(ctx, "overview.open"), Value: ui.Num(int64(v.open)), Href: "/console/catalog?opening=general&opening=authorised", Icon: "world"},
		{Label: ui.T(ctx, "overview.rows"), Value: ui.Num(v.accepted), Href: batches, Icon: "upload", Note: ui.T(ctx, "overview.batches", "Count", v.batches)},
		{Label: ui.T(ctx, "overview.problems"), Value: ui.Num(v.problems), Href: problems, Icon: "alert-triangle", Tone: tone(v.problems, ui.Warn)},
		{Label: ui.T(ctx, "overview.overdue"), Value: ui.Num(int64(len(v.overdue))), Href: "/console/overdue", Icon: "hourglass", Tone: tone(int64(len(v.overdue)), ui.Bad)},
		{Label: ui.T(ctx, "overview.pending"), Value: ui.Num(int64(v.requests[sharing.Pending])), Href: "/console/requests?state=pending", Icon: "send"},
		{Label: ui.T(ctx, "overview.grants"), Value: ui.Num(int64(v.grants)), Href: "/console/grants?state=active", Icon: "key"},
		{Label: ui.T(ctx, "overview.calls"), Value: ui.Num(v.calls), Href: calls, Icon: "activity", Note: ui.T(ctx, "overview.refused", "Count", int(v.refused))},
	}
}

// usageChart draws calls by month, refused ones apart.
func usageChart(ctx context.Context, v *overviewView) ui.ChartInfo {
	var months []string
	var calls, refused []int64
	var table [][]string
	for _, m := range v.months {
		months = append(months, m.month)
		calls = append(calls, m.calls-m.refused)
		refused = append(refused, m.refused)
		table = append(table, []string{m.month, ui.Num(m.calls), ui.Num(m.refused)})
	}
	return ui.ChartInfo{ID: "usage-chart", Title: ui.T(ctx, "overview.usage_chart"), Columns: []string{ui.T(ctx, "overview.month"), ui.T(ctx, "overview.calls_all"), ui.T(ctx, "overview.calls_refused")}, Rows: table,
		Option: monthBars(months, []any{
			map[string]any{"type": "bar", "stack": "a", "name": ui.T(ctx, "overview.calls_answered"), "data": calls},
			map[string]any{"type": "bar", "stack": "a", "name": ui.T(ctx, "overview.calls_refused"), "data": refused, "itemStyle": map[string]any{"color": "#c8463c"}},
		})}
}

// intakeChart draws rows accepted and rejected by month.
func intakeChart(ctx context.Context, v *overviewView) ui.ChartInfo {
	var months []string
	var accepted, rejected []int64
	var table [][]string
	for _, m := range v.months {
		months = append(months, m.month)
		accepted = append(accepted, m.accepted)
		rejected = append(rejected, m.rejected)
		table = append(table, []string{m.month, ui.Num(m.batches), ui.Num(m.accepted), ui.Num(m.rejected)})
	}
	return ui.ChartInfo{ID: "intake", Title: ui.T(ctx, "overview.intake_chart"), Columns: []string{ui.T(ctx, "overview.month"), ui.T(ctx, "overview.batch_count"), ui.T(ctx, "overview.accepted"), ui.T(ctx, "overview.rejected")}, Rows: table,
		Option: monthBars(months, []any{
			map[string]any{"type": "bar", "stack": "a", "name": ui.T(ctx, "overview.accepted"), "data": accepted, "itemStyle": map[string]any{"color": "#2a9d8f"}},
			map[string]any{"type": "bar", "stack": "a", "name": ui.T(ctx, "overview.rejected"), "data": rejected, "itemStyle": map[string]any{"color": "#e0a030"}},
		})}
}

func monthBars(months []string, series []any) map[string]any {
	return map[string]any{
		"legend": map[string]any{"top": 0, "right": 0},
		"xAxis":  map[string]any{"type": "category", "data": months},
		"yAxis":  map[string]any{"type": "value", "minInterval": 1},
		"series": series,
	}
}

// shares are the bars of the sharing and opening types, in the city's own words.
func (c *Console) shares(ctx context.Context, v *overviewView) (byShare, byOpen []ui.Point) {
	for _, t := range []struct {
		key  catalog.SharingType
		tone ui.Tone
	}{{catalog.Unconditional, ui.Good}, {catalog.Conditional, ui.Plain}, {catalog.Withheld, ui.Warn}} {
		word := c.Profile.SharingTerm(string(t.key))
		byShare = append(byShare, ui.Point{Label: ui.Pick(ctx, word.ZH, word.EN), Value: float64(v.sharing[t.key]), Tone: t.tone, Href: "/console/catalog?sharing=" + string(t.key)})
	}
	for _, t := range []struct {
		key  catalog.OpeningType
		tone ui.Tone
	}{{catalog.General, ui.Good}, {catalog.Authorised, ui.Plain}, {catalog.Closed, ui.Warn}} {
		word := c.Profile.OpeningTerm(string(t.key))
		byOpen = append(byOpen, ui.Point{Label: ui.Pick(ctx, word.ZH, word.EN), Value: float64(v.opening[t.key]), Tone: t.tone, Href: "/console/catalog?opening=" + string(t.key)})
	}
	return byShare, byOpen
}

func requestPoints(ctx context.Context, v *overviewView) []ui.Point {
	var out []ui.Point
	for _, state := range []string{sharing.Pending, sharing.Returned, sharing.Granted, sharing.Refused, sharing.Settled, sharing.Withdrawn} {
		if n := v.requests[state]; n > 0 || state == sharing.Pending || state == sharing.Granted {
			out = append(out, ui.Point{Label: ui.StateWords(ctx, "request", state), Value: float64(n), Tone: ui.StateTone("request", state), Href: "/console/requests?state=" + state})
		}
	}
	return out
}

func modePoints(ctx context.Context, v *overviewView) []ui.Point {
	var out []ui.Point
	for _, mode := range []gateway.Mode{gateway.Query, gateway.Verify, gateway.Obtain, gateway.Statistics} {
		out = append(out, ui.Point{Label: ui.StateWords(ctx, "mode", string(mode)), Value: float64(v.modes[mode]), Href: "/console/grants?state=active&mode=" + string(mode)})
	}
	return out
}

func top(points []ui.Point, n int) []ui.Point { return points[:min(len(points), n)] }
