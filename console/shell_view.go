package console

import (
	"context"

	"github.com/a-h/templ"

	"gongshu/identity"
	"gongshu/ui"
)

func passwordLead(ctx context.Context, a identity.Actor) string {
	if a.MustChange {
		return ui.T(ctx, "login.must_change", "Name", a.Name)
	}
	return ui.T(ctx, "login.change_lead")
}

func passwordHelp(ctx context.Context, a identity.Actor) string {
	least := identity.SecretMin
	for _, h := range a.Held {
		if h.Post.Admin() {
			least = identity.SecretMinAdmin
		}
	}
	return ui.T(ctx, "login.rules", "Least", least)
}

func sessionRows(ctx context.Context, a identity.Actor, all []identity.Session) []ui.Row {
	rows := make([]ui.Row, 0, len(all))
	for _, s := range all {
		agent := agentWords(s.Agent)
		if agent == "" {
			agent = ui.T(ctx, "login.unknown_device")
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Text(agent), ui.Mono(s.Addr), ui.Text(ui.DateTime(s.CreatedAt)), ui.Text(ui.DateTime(s.SeenAt)), endSessionButton(a, s),
		}})
	}
	return rows
}

func overviewLead(ctx context.Context, v *overviewView) string {
	if v.whole {
		return ui.T(ctx, "overview.lead_city")
	}
	return ui.T(ctx, "overview.lead_body")
}

func overviewColumns(v *overviewView) int {
	if v.whole {
		return 3
	}
	return 2
}

// overviewMore says that a list is cut, where it is.
func overviewMore(ctx context.Context, n int) string {
	if n > 12 {
		return ui.T(ctx, "overview.first_of", "Shown", 12, "Count", n)
	}
	return ""
}
