package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
	"gongshu/workday"
)

// overdueLine is a resource whose data has not come when its update cycle said
// (FZM-13, LY-9, FS-20).
type overdueLine struct {
	name, code, body, bodyName string
	cycle                      catalog.Cycle
	last, due                  time.Time
}

// overdueOf lists what is overdue of a body ("" all), the longest first.
func (c *Console) overdueOf(ctx context.Context, body string, rows []catalog.Row) ([]overdueLine, error) {
	expected, byCode := map[string]intake.Expected{}, map[string]catalog.Row{}
	for _, row := range rows {
		if row.Kind == catalog.Table && row.PublishedVersion > 0 && !row.Withdrawn {
			expected[row.Code], byCode[row.Code] = intake.Expected{Cycle: row.Cycle, Since: row.PublishedAt}, row
		}
	}
	late, err := c.Intake.Overdue(ctx, body, expected)
	if err != nil {
		return nil, err
	}
	var out []overdueLine
	for _, o := range late {
		row := byCode[o.Code]
		out = append(out, overdueLine{name: row.Name, code: o.Code, body: row.Body, bodyName: row.BodyName, cycle: row.Cycle, last: o.Last, due: o.Due})
	}
	return out, nil
}

type overdueView struct {
	list   ui.List
	lines  []overdueLine
	total  int
	bodies []ui.Option // to choose from; empty for those who see their own body's only
	now    time.Time
}

// overdueDays are the whole days since the data was due.
func overdueDays(now, due time.Time) int {
	return int(workday.DateOf(now) - workday.DateOf(due))
}

func (c *Console) overduePage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if a.Body == "" {
		web.Fail(w, r, errs.New(errs.Forbidden, errs.T("您目前没有岗位，看不到各单位的数据更新情况。", "You hold no post at present, so the state of updates is not for you.")))
		return
	}
	all, err := c.seesAll(ctx, a)
	body := a.Body
	if all {
		body = ""
	}
	var rows []catalog.Row
	if err == nil {
		rows, err = c.resourcesOf(ctx, body)
	}
	var lines []overdueLine
	if err == nil {
		lines, err = c.overdueOf(ctx, body, rows)
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := overdueView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"due", "name", "body", "last"}, Filters: []string{"body", "cycle"}}), now: c.Now()}
	for _, l := range lines {
		if all && !slices.ContainsFunc(v.bodies, func(o ui.Option) bool { return o.Value == l.body }) {
			v.bodies = append(v.bodies, ui.Option{Value: l.body, Label: l.bodyName})
		}
		if b := v.list.Get("body"); b != "" && b != l.body {
			continue
		}
		if cycle := v.list.Get("cycle"); cycle != "" && cycle != string(l.cycle) || !strings.Contains(l.name+" "+l.code, v.list.Q) {
			continue
		}
		v.lines = append(v.lines, l)
	}
	v.lines = ui.Sorted(v.list, v.lines, map[string]func(x, y overdueLine) int{
		"due": func(x, y overdueLine) int { return x.due.Compare(y.due) }, "last": func(x, y overdueLine) int { return x.last.Compare(y.last) },
		"name": ui.By(func(l overdueLine) string { return l.name }), "body": ui.By(func(l overdueLine) string { return l.bodyName })})
	if wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "overview.overdue"), columns: sheetColumns(ctx, "catalog.code", "catalog.name", "catalog.provider", "catalog.facet_cycle", "overview.last", "overview.due", "#overview.days_late"),
			rows: rowsOf(v.lines, func(l overdueLine) []string {
				return []string{l.code, l.name, l.bodyName, say(ctx, catalog.NameOf("cycle", string(l.cycle))), arrived(ctx, l.last), ui.Date(l.due), strconv.Itoa(overdueDays(v.now, l.due))}
			})})
		return
	}
	v.total, v.lines = len(v.lines), ui.PageOf(v.list, v.lines)
	ui.Render(w, r, overduePage(v, c.City.In(web.Lang(ctx)), a, all))
}

// arrived is the day of the last arrival, or that there was none.
func arrived(ctx context.Context, last time.Time) string {
	if last.IsZero() {
		return ui.T(ctx, "overview.never")
	}
	return ui.Date(last)
}

func overdueRows(ctx context.Context, v overdueView) []ui.Row {
	rows := make([]ui.Row, 0, len(v.lines))
	for _, l := range v.lines {
		days := ui.BadgeInfo{Tone: ui.Bad, Text: ui.T(ctx, "overview.late_by", "Count", overdueDays(v.now, l.due))}
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Anchor(l.name, "/console/catalog/"+catalog.PathCode(l.code)+"?tab=batches", l.code), ui.Text(l.bodyName), ui.Text(say(ctx, catalog.NameOf("cycle", string(l.cycle)))),
			ui.Text(arrived(ctx, l.last)), ui.Text(ui.Date(l.due)), ui.Badge(days)}})
	}
	return rows
}

func overdueFilters(ctx context.Context, v overdueView) []ui.Filter {
	var cycles []ui.Option
	for _, n := range catalog.List("cycle") {
		cycles = append(cycles, ui.Option{Value: n.Key, Label: say(ctx, n.Text)})
	}
	filters := []ui.Filter{{Name: "cycle", Label: ui.T(ctx, "catalog.facet_cycle"), Options: cycles}}
	if len(v.bodies) > 0 {
		filters = append([]ui.Filter{{Name: "body", Label: ui.T(ctx, "catalog.provider"), Options: v.bodies}}, filters...)
	}
	return filters
}

// overdueWhose names the body or, for who oversees it, the city.
func overdueWhose(city string, a identity.Actor, all bool) string {
	if all {
		return city
	}
	return a.BodyName
}
