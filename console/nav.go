package console

import (
	"context"

	"gongshu/identity"
	"gongshu/operation"
	"gongshu/ui"
)

// entry is a line of the navigation: shown to those who may do the action on
// something of their own body.
type entry struct {
	key, words, href, icon string
	action                 operation.Action // "" for everybody who is logged in
}

// navigation entries by group. An area adds its line here; the words stand in
// the area's word file.
var entries = []struct {
	words string
	items []entry
}{
	{"", []entry{
		{"workbench", "workbench.title", "/console/", "checklist", ""},
		{"messages", "notice.title", "/console/messages", "bell", ""},
		{"overview", "overview.title", "/console/overview", "layout-dashboard", "sharing.request.list"},
	}},
	{"catalog.group", []entry{
		{"catalog", "catalog.title", "/console/catalog", "folders", ""},
		{"batches", "intake.batches", "/console/batches", "upload", "intake.batch.view"},
	}},
	{"sharing.group", []entry{
		{"requests", "sharing.requests", "/console/requests", "clipboard-list", "sharing.request.list"},
		{"grants", "sharing.grants", "/console/grants", "key", "sharing.grant.list"},
		{"agreements", "agreement.list", "/console/agreements", "signature", "agreement.agreement.list"},
		{"cases", "case.title", "/console/cases", "folders", "casework.case.list"},
		{"usage", "usage.title", "/console/usage", "activity", "gateway.usage.read"},
	}},
	{"opendata.group", []entry{
		{"opening", "opendata.title", "/console/opening", "world", "opendata.dataset.list"},
	}},
	{"console.group_people", []entry{
		{"bodies", "org.bodies", "/console/bodies", "building", "org.body.read"},
		{"people", "people.people", "/console/people", "users", "org.person.read"},
		{"posts", "people.posts_page", "/console/posts", "clipboard-check", "org.post.confirm"},
		{"clients", "clients.clients", "/console/clients", "api", "identity.client.read"},
		{"rights", "identity.rights", "/console/rights", "shield", "org.body.read"},
	}},
	{"audit.group", []entry{
		{"audit", "audit.title", "/console/audit", "list-check", "audit.log.search"},
		{"jobs", "jobs.title", "/console/jobs", "server", "audit.jobs.list"},
	}},
	{"profile.group", []entry{
		{"profile", "profile.title", "/console/profile", "adjustments", ""},
		{"clauses", "clause.title", "/console/clauses", "book", ""},
	}},
}

// navigation gives the entries whose action the actor may do.
func (c *Console) navigation(ctx context.Context, a identity.Actor) []ui.NavGroup {
	own := operation.Target{Body: a.Body, District: a.District}
	var groups []ui.NavGroup
	for _, g := range entries {
		group := ui.NavGroup{}
		if g.words != "" {
			group.Title = ui.T(ctx, g.words)
		}
		for _, e := range g.items {
			if e.action != "" && (c.Door == nil || c.Door.May(a, e.action, own) != nil) {
				continue
			}
			group.Items = append(group.Items, ui.NavItem{Key: e.key, Label: ui.T(ctx, e.words), Href: e.href, Icon: e.icon})
		}
		if len(group.Items) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}
