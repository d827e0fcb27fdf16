// Package console is HTML for officials: everything under /console/.
//
// An area's pages stand in <area>.go and <area>.templ with their routes in
// func (c *Console) routes<Area>(mux *http.ServeMux), called from routes.go; what
// they need is a field of Deps; their navigation entry is a line in nav.go.
// Handlers parse, call one command or query, and render with package ui; they
// learn who acts from actor(r). Everybody is logged in by the time a handler
// runs, but for the log-in page itself.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"gongshu/agreement"
	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/internal/web"
	"gongshu/notice"
	"gongshu/opendata"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/quality"
	"gongshu/sharing"
	"gongshu/ui"
	"gongshu/warehouse"
)

// Deps is what the console's areas work with.
type Deps struct {
	City    errs.Text // the city's name
	Brand   errs.Text // the platform's name
	Version string
	Door    *operation.Door
	Org     *org.Service
	Cases   *casework.Service
	Catalog *catalog.Service

	Profile   *profile.Profile
	Identity  *identity.Service
	Warehouse *warehouse.Store
	Quality   *quality.Service
	Intake    *intake.Service
	Gateway   *gateway.Service
	Agreement *agreement.Service
	Sharing   *sharing.Service
	Audit     *audit.Log
	Jobs      *jobs.Queue
	Opendata  *opendata.Service
	Inbox     *notice.Service
	MaskKeys  privacy.Keys // of the masks of sample rows

	Now func() time.Time // time.Now where nil
	Log *slog.Logger     // slog.Default() where nil
	// Notices are lines that every page shows, such as a store that is full.
	Notices func(ctx context.Context) []ui.Notice
}

// Console answers everything under /console/.
type Console struct {
	Deps
	mux *http.ServeMux
}

// New makes the console. Wrap it with web.Site.Wrap, which gives requests their
// id, language and protection.
func New(deps Deps) http.Handler {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	c := &Console{Deps: deps, mux: http.NewServeMux()}
	c.routes(c.mux)
	c.mux.HandleFunc("/console/", func(w http.ResponseWriter, r *http.Request) {
		web.Fail(w, r, errs.New(errs.NotFound, errs.T("没有这个页面。", "There is no such page.")))
	})
	return c.enter(c.mux)
}

type actorKey struct{}

// WithActor puts who acts into a request's context. The console's own middleware
// does it from the session; tests may do it to skip the log-in.
func WithActor(ctx context.Context, a identity.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// actor gives who acts. Outside the middleware it is an anonymous visitor, who
// may do nothing.
func actor(r *http.Request) identity.Actor {
	if a, ok := r.Context().Value(actorKey{}).(identity.Actor); ok {
		return a
	}
	return identity.Visitor(web.Addr(r), web.Lang(r.Context()))
}

// frame is what surrounds the pages of the present actor.
func (c *Console) frame(r *http.Request, a identity.Actor) *ui.Frame {
	ctx := r.Context()
	lang := web.Lang(ctx)
	f := &ui.Frame{
		Face: ui.Console, City: c.City.In(lang), Brand: c.Brand.In(lang), Version: c.Version,
		Home: "/console/", ClauseBase: "/console/clauses/", Path: r.URL.RequestURI(),
	}
	if c.Profile != nil {
		f.Rules = c.Profile.ID
	}
	if c.Notices != nil {
		f.Notices = c.Notices(ctx)
	}
	if a.IsAnonymous() {
		f.Login = "/console/login"
		return f
	}
	f.Nav = c.navigation(ctx, a)
	if c.Inbox != nil {
		f.Inbox = "/console/messages"
		var err error
		if f.Unread, err = c.Inbox.Unread(ctx, a); err != nil {
			// A page is worth more than the number on its bell.
			c.Log.WarnContext(ctx, "unread messages", "err", err)
		}
	}
	f.User = &ui.UserMenu{Name: a.Name, Body: a.BodyName, Post: a.Post.Text().In(lang), Links: []ui.Link{
		{Label: ui.T(ctx, "login.sessions"), Href: "/console/account/sessions", Icon: "device-desktop"},
		{Label: ui.T(ctx, "login.change_password"), Href: "/console/account/password", Icon: "key"},
	}}
	for _, h := range a.Held {
		f.User.Posts = append(f.User.Posts, ui.PostChoice{ID: h.ID, Label: h.Post.Text().In(lang), Body: h.BodyName,
			Acting: h.Post == a.Post && h.Body == a.Body})
	}
	return f
}
