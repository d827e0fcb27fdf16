package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"gongshu/casework"
	"gongshu/identity"
	"gongshu/internal/web"
	"gongshu/ui"
	"gongshu/workday"
)

// Todo is a line of the workbench: something that waits for the actor.
type Todo struct {
	Do      string // what is to be done, in words: "审核目录"
	Title   string // the thing: a resource, a request
	Sub     string // its number or code
	Href    string // where it is done
	Since   time.Time
	Clock   ui.ClockInfo // zero Due where no article sets a day
	Clauses string       // articles of a task without a deadline
}

// Panel is a card beside the tasks: something of the actor's that needs an eye.
type Panel struct {
	Title string
	Icon  string
	// Clause is the article behind it, "" none.
	Clause string
	Rows   []PanelRow
	More   ui.Link
	Empty  string // what stands there when nothing needs an eye
	Total  int    // counted in the head of the workbench; 0 where it is only a list
	Label  string // of the counter
	Tone   ui.Tone
}

// PanelRow is one line of a panel.
type PanelRow struct {
	Title, Sub, Href string
	Badge            ui.BadgeInfo
	Number           string
}

// todoSources are asked for what waits, one line an area.
var todoSources = []func(*Console, context.Context, identity.Actor) ([]Todo, error){
	(*Console).caseTodos,
	(*Console).peopleTodos,
}

// panelSources are asked for cards, one line an area; an area without anything
// for the actor's post gives nil.
var panelSources = []func(*Console, context.Context, identity.Actor) (*Panel, error){
	(*Console).problemPanel,
	(*Console).overduePanel,
	(*Console).messagePanel,
}

// todos collects what waits for the actor: by due day, then by how long it waits.
func (c *Console) todos(ctx context.Context, a identity.Actor) ([]Todo, error) {
	var all []Todo
	for _, source := range todoSources {
		some, err := source(c, ctx, a)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(x, y Todo) int {
		if x.Clock.Due.IsZero() != y.Clock.Due.IsZero() {
			if x.Clock.Due.IsZero() {
				return 1
			}
			return -1
		}
		if n := x.Clock.Due.Compare(y.Clock.Due); n != 0 {
			return n
		}
		return x.Since.Compare(y.Since)
	})
	return all, nil
}

func (c *Console) caseTodos(ctx context.Context, a identity.Actor) ([]Todo, error) {
	if c.Cases == nil {
		return nil, nil
	}
	tasks, err := c.Cases.Tasks(ctx, a, true, 200)
	if err != nil {
		return nil, err
	}
	todos := make([]Todo, 0, len(tasks))
	for _, t := range tasks {
		todo := Todo{
			Do: ui.Pick(ctx, t.StepName.ZH, t.StepName.EN), Title: t.Title, Sub: t.Number,
			Href: "/console/cases/" + t.CaseID, Since: t.OpenedAt,
		}
		if t.Kind == casework.Mend {
			todo.Do = ui.T(ctx, "case.mend")
		}
		if t.HasDue {
			clauses := t.Rule.Clauses
			if len(clauses) == 0 {
				clauses = t.Clauses
			}
			todo.Clock = ui.ClockInfo{Due: t.DueAt, DaysLeft: t.DaysLeft, Clause: strings.Join(clauses, " "), Practice: t.Rule.Kind == "practice"}
		} else {
			todo.Clauses = strings.Join(t.Clauses, " ")
		}
		todos = append(todos, todo)
	}
	return todos, nil
}

// todoGroup is a part of what waits: "late", "soon" (due today or within three
// working days), "later", "open" (no article sets a day).
type todoGroup struct {
	key   string
	todos []Todo
}

// groupTodos parts what waits, in its order; groups without any are left out.
func groupTodos(todos []Todo) []todoGroup {
	groups := []todoGroup{{key: "late"}, {key: "soon"}, {key: "later"}, {key: "open"}}
	for _, t := range todos {
		at := 2
		switch {
		case t.Clock.Due.IsZero():
			at = 3
		case t.Clock.DaysLeft < 0:
			at = 0
		case t.Clock.DaysLeft <= 3:
			at = 1
		}
		groups[at].todos = append(groups[at].todos, t)
	}
	return slices.DeleteFunc(groups, func(g todoGroup) bool { return len(g.todos) == 0 })
}

// alike parts a group by what is to be done, in the order of the first of each.
func alike(todos []Todo) [][]Todo {
	var out [][]Todo
	for _, t := range todos {
		i := slices.IndexFunc(out, func(some []Todo) bool { return some[0].Do == t.Do && some[0].Clauses == t.Clauses })
		if i < 0 {
			out, i = append(out, nil), len(out)
		}
		out[i] = append(out[i], t)
	}
	return out
}

// workbenchView is what the workbench shows.
type workbenchView struct {
	greeting string
	day      string
	groups   []todoGroup
	panels   []*Panel
}

// count is how many wait in a group, "" all.
func (v workbenchView) count(key string) int {
	n := 0
	for _, g := range v.groups {
		if key == "" || g.key == key {
			n += len(g.todos)
		}
	}
	return n
}

func (c *Console) workbench(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	v := workbenchView{greeting: ui.T(ctx, greetingKey(c.Now()), "Name", a.Name), day: ui.Date(c.Now())}
	todos, err := c.todos(ctx, a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v.groups = groupTodos(todos)
	for _, source := range panelSources {
		panel, err := source(c, ctx, a)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		if panel != nil {
			v.panels = append(v.panels, panel)
		}
	}
	ui.Render(w, r, workbenchPage(a, v))
}

func workbenchStats(ctx context.Context, v workbenchView) []ui.StatInfo {
	stats := []ui.StatInfo{
		{Label: ui.T(ctx, "workbench.tasks"), Value: ui.Num(int64(v.count(""))), Href: "#todo", Icon: "checklist"},
		{Label: ui.T(ctx, "workbench.late"), Value: ui.Num(int64(v.count("late"))), Href: "#todo", Tone: ui.Bad, Icon: "alert-circle"},
		{Label: ui.T(ctx, "workbench.soon"), Value: ui.Num(int64(v.count("soon"))), Href: "#todo", Tone: ui.Warn, Icon: "clock"},
	}
	for i, key := range []string{"late", "soon"} {
		if v.count(key) > 0 {
			stats[i+1].Href = "#" + key
		}
	}
	for _, p := range v.panels {
		if p.Label != "" {
			stats = append(stats, ui.StatInfo{Label: p.Label, Value: ui.Num(int64(p.Total)), Href: p.More.Href, Tone: p.Tone, Icon: p.Icon})
		}
	}
	return stats
}

var groupIcons = map[string]string{"late": "alert-circle", "soon": "clock", "later": "calendar", "open": "checklist"}

func groupTone(key string) ui.Tone {
	if key == "late" {
		return ui.Bad
	}
	return ui.Plain
}

// todoTable shows things to do; where all are alike, what is to be done stands above.
func todoTable(ctx context.Context, id string, todos []Todo, same bool) ui.TableInfo {
	t := ui.TableInfo{ID: id, Caption: ui.T(ctx, "workbench.tasks"), Columns: []ui.Column{{Title: ui.T(ctx, "workbench.thing"), Main: true}}}
	if !same {
		t.Columns = append(t.Columns, ui.Column{Title: ui.T(ctx, "workbench.do")})
	}
	t.Columns = append(t.Columns, ui.Column{Title: ui.T(ctx, "workbench.since"), Minor: !same, Fit: true})
	if !same {
		t.Columns = append(t.Columns, ui.Column{Title: ui.T(ctx, "workbench.due")})
	}
	for _, todo := range todos {
		row := ui.Row{Cells: cells(ui.Anchor(todo.Title, todo.Href, todo.Sub))}
		if same {
			row.Cells = append(row.Cells, ui.Text(ui.Date(todo.Since)))
		} else {
			row.Cells = append(row.Cells, ui.Text(todo.Do), ui.Text(ui.Date(todo.Since)), ui.Clock(todo.Clock))
		}
		if !todo.Clock.Due.IsZero() && todo.Clock.DaysLeft < 0 {
			row.Tone = ui.Bad
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// greetingKey picks the greeting by the hour in China.
func greetingKey(now time.Time) string {
	switch h := now.In(workday.Zone).Hour(); {
	case h < 5:
		return "workbench.hello_night"
	case h < 11:
		return "workbench.hello_morning"
	case h < 13:
		return "workbench.hello_noon"
	case h < 18:
		return "workbench.hello_afternoon"
	}
	return "workbench.hello_evening"
}
