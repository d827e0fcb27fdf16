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

// workbenchView is what the workbench shows.
type workbenchView struct {
	greeting string
	day      string
	todos    []Todo
	late     int
	soon     int // due today or within three working days
	panels   []*Panel
}

func (c *Console) workbench(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	v := workbenchView{greeting: ui.T(ctx, greetingKey(c.Now()), "Name", a.Name), day: ui.Date(c.Now())}
	var err error
	if v.todos, err = c.todos(ctx, a); err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, t := range v.todos {
		switch {
		case t.Clock.Due.IsZero():
		case t.Clock.DaysLeft < 0:
			v.late++
		case t.Clock.DaysLeft <= 3:
			v.soon++
		}
	}
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
	tone := func(n int, t ui.Tone) ui.Tone {
		if n > 0 {
			return t
		}
		return ui.Plain
	}
	stats := []ui.StatInfo{
		{Label: ui.T(ctx, "workbench.tasks"), Value: ui.Num(int64(len(v.todos))), Href: "#todo", Icon: "checklist"},
		{Label: ui.T(ctx, "workbench.late"), Value: ui.Num(int64(v.late)), Href: "#todo", Tone: tone(v.late, ui.Bad), Icon: "alert-circle"},
		{Label: ui.T(ctx, "workbench.soon"), Value: ui.Num(int64(v.soon)), Href: "#todo", Tone: tone(v.soon, ui.Warn), Icon: "clock"},
	}
	for _, p := range v.panels {
		if p.Label != "" {
			stats = append(stats, ui.StatInfo{Label: p.Label, Value: ui.Num(int64(p.Total)), Href: p.More.Href, Tone: tone(p.Total, p.Tone), Icon: p.Icon})
		}
	}
	return stats
}

func todoRows(todos []Todo) []ui.Row {
	rows := make([]ui.Row, 0, len(todos))
	for _, t := range todos {
		row := ui.Row{}
		if !t.Clock.Due.IsZero() && t.Clock.DaysLeft < 0 {
			row.Tone = ui.Bad
		}
		row.Cells = append(row.Cells, ui.Anchor(t.Title, t.Href, t.Sub), ui.Text(t.Do), ui.Text(ui.Date(t.Since)), todoClock(t))
		rows = append(rows, row)
	}
	return rows
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
