package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"gongshu/api"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/portal"
	"gongshu/profile"
	"gongshu/ui"
)

// serveCmd runs the platform.
type serveCmd struct {
	stores
	Addr  string   `help:"Address to listen on." default:"127.0.0.1:8080" env:"GONGSHU_ADDR"`
	Roles []string `help:"What this node does: portal, console, gateway, worker." default:"portal,console,gateway,worker" enum:"portal,console,gateway,worker" env:"GONGSHU_ROLES"`
}

func (c serveCmd) Run(ctx context.Context, g *globals) error {
	wire := open
	if slices.Equal(c.Roles, []string{"portal"}) {
		wire = openPortalNode
	}
	a, err := wire(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	return a.serve(ctx, c.Addr, func(base string) {
		fmt.Fprintf(g.out, "gongshu %s  %s\n", version, base)
	})
}

// handler is everything that the program answers.
// cite names the articles by which this city says what the cited ones say.
func (a *app) cite(ids ...string) []string { return clause.In(a.profile.ID, ids...) }

func (a *app) handler() http.Handler {
	if a.control == nil {
		return a.portalHandler()
	}
	city, platform, open := profile.CityName.Of(a.profile).V, profile.PlatformName.Of(a.profile).V, profile.OpenPlatform.Of(a.profile).V
	mux := http.NewServeMux()
	mux.Handle("/console/", console.New(console.Deps{
		City: errs.T(city.ZH, city.EN), Brand: errs.T(platform.ZH, platform.EN), Version: version,
		Door: a.door, Org: a.org, Cases: a.casework, Catalog: a.catalog, Now: a.now, Log: a.logger,
		Profile: a.profile, Identity: a.identity, Warehouse: a.warehouse, Quality: a.quality, Intake: a.intake, Gateway: a.gateway, Agreement: a.agreement, Sharing: a.sharing, Audit: a.log,
		Jobs: a.jobs, Opendata: a.opendata, Notices: a.notices,
	}))
	mux.Handle(ui.StaticPath, ui.Assets())
	systems := api.Deps{
		City: errs.T(city.ZH, city.EN), Brand: errs.T(platform.ZH, platform.EN), Version: version,
		Door: a.door, Clients: a.identity, Org: a.org, Gateway: a.gateway, Sharing: a.sharing, Profile: a.profile, Catalog: a.catalog, Intake: a.intake, Open: a.open, Datasets: a.datasets, Now: a.now, Log: a.logger,
	}
	mux.Handle("/api/", api.New(systems))
	mux.Handle("/audit/", api.Proofs(a.log))
	mux.Handle("/", portal.New(portal.Deps{
		City: errs.T(city.ZH, city.EN), Brand: errs.T(open.ZH, open.EN), Version: version,
		Profile: a.profile, Open: a.open, Datasets: a.datasets, Console: "/console/", Now: a.now, Log: a.logger,
		OpenAPI: func() ([]byte, error) { return api.Document(systems) },
	}))
	return mux
}

// serve answers on addr until ctx ends, then lets requests under way finish.
// ready is told the address once it listens.
func (a *app) serve(ctx context.Context, addr string, ready func(base string)) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return errs.Newf(errs.Unavailable, "无法监听 %s，端口可能已被占用；请用 --addr 换一个", "cannot listen on %s, the port may be taken; choose another with --addr", addr).In("--addr").Because(err)
	}
	running, stop := context.WithCancel(ctx)
	wait := a.start(running, true)
	defer func() { stop(); wait() }()
	if !ui.AssetsBuilt() {
		a.logger.Warn("the browser files are not in this binary, pages are unstyled; build them with: npm ci --prefix ui && go run ./ui/build")
	}
	site := &web.Site{Log: a.logger, ErrorPage: ui.ErrorPage, Cite: a.cite}
	server := &http.Server{
		Handler:           site.Wrap(a.handler()),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	ready("http://" + strings.Replace(listener.Addr().String(), "[::]", "127.0.0.1", 1))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return server.Close()
	}
	return nil
}
