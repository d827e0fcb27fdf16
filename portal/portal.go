// Package portal is HTML for the public: everything that is not /console/, /api/
// or /audit/. It reads only the open store, so that it can stand on the internet
// while population data does not.
//
// An area's pages stand in <area>.go and <area>.templ with their routes in
// func (p *Portal) routes<Area>(mux *http.ServeMux), called from routes below.
package portal

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/profile"
	"gongshu/ui"
)

// Deps is what the portal's areas work with.
type Deps struct {
	City    errs.Text // the city's name
	Brand   errs.Text // the portal's name
	Version string
	Profile *profile.Profile // the city's rules
	// Console is the address of the officials' face, "" where this node has none.
	Console string
	Now     func() time.Time // time.Now where nil
	Log     *slog.Logger     // slog.Default() where nil
	Notices func(ctx context.Context) []ui.Notice
	// Open is what the portal reads and Datasets finds in it; without them there
	// are no dataset pages.
	Open     *opendata.OpenStore
	Datasets *opendata.Index
}

// Portal answers the public's pages.
type Portal struct {
	Deps
}

// New makes the portal. Wrap it with web.Site.Wrap.
func New(deps Deps) http.Handler {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	p := &Portal{Deps: deps}
	mux := http.NewServeMux()
	p.routes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		web.Fail(w, r, errs.New(errs.NotFound, errs.T("没有这个页面。", "There is no such page.")))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(ui.WithFrame(r.Context(), p.Frame(r))))
	})
}

// routes names every area's routes, one line an area.
func (p *Portal) routes(mux *http.ServeMux) {
	p.routesHome(mux)
	p.routesDatasets(mux)
	p.routesPages(mux)
}

// visitor is who a portal request comes from.
func visitor(r *http.Request) identity.Actor {
	return identity.Visitor(web.Addr(r), web.Lang(r.Context()))
}

// basis is what the site rests on. The log's checkpoint is with the officials'
// face: a node of the portal role alone has no log.
func (p Deps) basis(ctx context.Context) []ui.NavItem {
	items := []ui.NavItem{{Label: ui.T(ctx, "portal.rules"), Href: "/rules"}}
	if p.Console != "" {
		items = append(items, ui.NavItem{Label: ui.T(ctx, "portal.audit"), Href: "/audit/checkpoint"})
	}
	return items
}

// Frame surrounds the portal's pages, and the API's page beside them.
func (p Deps) Frame(r *http.Request) *ui.Frame {
	ctx := r.Context()
	lang := web.Lang(ctx)
	f := &ui.Frame{
		Face: ui.Portal, City: p.City.In(lang), Brand: p.Brand.In(lang), Version: p.Version,
		Home: "/", ClauseBase: "/rules/", Path: r.URL.RequestURI(), Login: p.Console, LoginLabel: ui.T(ctx, "portal.official_login"),
		Nav: []ui.NavGroup{{Items: []ui.NavItem{
			{Key: "home", Label: ui.T(ctx, "portal.home"), Href: "/"},
			{Key: "datasets", Label: ui.T(ctx, "portal.datasets"), Href: "/datasets"},
			{Key: "api", Label: ui.T(ctx, "portal.api"), Href: "/developers"},
			{Key: "rules", Label: ui.T(ctx, "portal.rules"), Href: "/rules"},
			{Key: "about", Label: ui.T(ctx, "portal.about"), Href: "/about"},
		}}},
		Footer: []ui.NavGroup{
			{Title: ui.T(ctx, "portal.foot_data"), Items: []ui.NavItem{
				{Label: ui.T(ctx, "portal.datasets"), Href: "/datasets"},
				{Label: ui.T(ctx, "portal.api"), Href: "/developers"},
			}},
			{Title: ui.T(ctx, "portal.foot_site"), Items: []ui.NavItem{
				{Label: ui.T(ctx, "portal.about"), Href: "/about"},
				{Label: ui.T(ctx, "portal.conduct"), Href: "/conduct"},
				{Label: ui.T(ctx, "portal.accessibility"), Href: "/accessibility"},
			}},
			{Title: ui.T(ctx, "portal.foot_rules"), Items: p.basis(ctx)},
		},
	}
	if p.Profile != nil {
		f.Rules = p.Profile.ID
	}
	if p.Notices != nil {
		f.Notices = p.Notices(ctx)
	}
	return f
}
