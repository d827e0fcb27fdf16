package console

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/ui"
)

// tends says whether the actor's post looks after data: the body's own, or for
// the operator everybody's. body is "" for the operator.
func (c *Console) tends(ctx context.Context, a identity.Actor) (body string, ok bool, err error) {
	switch a.Post {
	case identity.Steward, identity.Leader:
		return a.Body, a.Body != "", nil
	case identity.Operator:
		all, err := c.seesAll(ctx, a)
		if err != nil || !all {
			return a.Body, a.Body != "", err
		}
		return "", true, nil
	}
	return "", false, nil
}

// inForce lists the resources in force of a body ("" all) by id.
func (c *Console) inForce(ctx context.Context, body string) (map[string]catalog.Row, error) {
	rows, err := c.resourcesOf(ctx, body)
	if err != nil {
		return nil, err
	}
	out := map[string]catalog.Row{}
	for _, r := range rows {
		out[r.ID] = r
	}
	return out, nil
}

// problemPanel counts the open problem rows of the actor's resources.
func (c *Console) problemPanel(ctx context.Context, a identity.Actor) (*Panel, error) {
	body, ok, err := c.tends(ctx, a)
	if err != nil || !ok || c.Quality == nil {
		return nil, err
	}
	open, err := c.Quality.OpenByBody(ctx, body)
	if err != nil {
		return nil, err
	}
	p := &Panel{Title: ui.T(ctx, "workbench.problems"), Clause: "QZ-3.1.7 FZM-18", Label: ui.T(ctx, "workbench.problems"), Icon: "alert-triangle", Tone: ui.Warn,
		Empty: ui.T(ctx, "workbench.problems_none"), More: ui.Link{Label: ui.T(ctx, "ui.more"), Href: "/console/batches?problems=yes"}}
	if len(open) == 0 {
		return p, nil
	}
	rows, err := c.inForce(ctx, body)
	if err != nil {
		return nil, err
	}
	type line struct {
		id string
		n  int64
	}
	var lines []line
	for id, n := range open {
		p.Total += int(n)
		lines = append(lines, line{id, n})
	}
	slices.SortFunc(lines, func(x, y line) int {
		if x.n != y.n {
			return int(y.n - x.n)
		}
		return strings.Compare(x.id, y.id)
	})
	for _, l := range lines[:min(len(lines), 8)] {
		r, ok := rows[l.id]
		if !ok {
			continue
		}
		p.Rows = append(p.Rows, PanelRow{Title: r.Name, Sub: r.Code, Number: ui.Num(l.n),
			Href: "/console/batches?" + url.Values{"problems": {"yes"}, "resource": {strings.ReplaceAll(r.Code, "/", "-")}}.Encode()})
	}
	return p, nil
}

// overduePanel lists the actor's resources whose next batch is late (FZM-13, LY-9).
func (c *Console) overduePanel(ctx context.Context, a identity.Actor) (*Panel, error) {
	body, ok, err := c.tends(ctx, a)
	if err != nil || !ok || c.Intake == nil {
		return nil, err
	}
	rows, err := c.resourcesOf(ctx, body)
	if err != nil {
		return nil, err
	}
	late, err := c.overdueOf(ctx, body, rows)
	if err != nil {
		return nil, err
	}
	p := &Panel{Title: ui.T(ctx, "workbench.overdue"), Clause: "FZM-13", Label: ui.T(ctx, "workbench.overdue"), Icon: "hourglass", Tone: ui.Bad, Total: len(late),
		Empty: ui.T(ctx, "workbench.overdue_none"), More: ui.Link{Label: ui.T(ctx, "ui.more"), Href: "/console/overdue"}}
	for _, o := range late[:min(len(late), 8)] {
		p.Rows = append(p.Rows, PanelRow{Title: o.name, Sub: ui.T(ctx, "ui.due_on", "Date", ui.Date(o.due)),
			Href: "/console/catalog/" + catalog.PathCode(o.code), Badge: ui.BadgeInfo{Tone: ui.Bad, Text: ui.T(ctx, "state.late")}})
	}
	return p, nil
}
