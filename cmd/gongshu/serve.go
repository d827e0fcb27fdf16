package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gongshu/api"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/portal"
	"gongshu/profile"
	"gongshu/ui"
)

// The roles of a node (--roles). Whatever its roles are, a node answers /health.
const (
	portalRole  = "portal"  // the public's pages and the open API
	consoleRole = "console" // officials' pages and their JSON
	gatewayRole = "gateway" // systems: the data service, intake, usage, the log's proofs
	workerRole  = "worker"  // jobs, the log's integration, publishing
)

var allRoles = []string{portalRole, consoleRole, gatewayRole, workerRole}

// front is what stands between the program and the network.
type front struct {
	Cert    string         `help:"Certificate chain (PEM) to serve HTTPS with; without one, a proxy in front does." type:"existingfile" env:"GONGSHU_CERT"`
	Key     string         `help:"Private key (PEM) of the certificate." type:"existingfile" env:"GONGSHU_KEY"`
	Proxies []netip.Prefix `help:"Addresses of the proxies in front (10.0.0.0/24): what they say of the caller's address and of HTTPS is believed." env:"GONGSHU_PROXIES"`
	Rate    float64        `help:"Requests a second that one address may send without a key, ten seconds' worth at once; 0 is no limit. This machine itself is not limited." default:"100" env:"GONGSHU_RATE"`
}

func (f front) check() error {
	if (f.Cert == "") != (f.Key == "") {
		return errs.New(errs.Invalid, errs.T("--cert 与 --key 须同时给出", "--cert and --key go together")).In("--cert")
	}
	if f.Rate < 0 {
		return errs.New(errs.Invalid, errs.T("--rate 不得为负", "--rate is not negative")).In("--rate")
	}
	return nil
}

// serveCmd runs the platform.
type serveCmd struct {
	stores
	front
	Addr  string   `help:"Address to listen on." default:"127.0.0.1:8080" env:"GONGSHU_ADDR"`
	Roles []string `help:"What this node does: portal, console, gateway, worker." default:"portal,console,gateway,worker" enum:"portal,console,gateway,worker" env:"GONGSHU_ROLES"`
	// GB/T 22239-2019 8.1.4.1 d asks two proofs of everybody; a city begins with those who can do most harm.
	SecondFactor []string `help:"Posts that log in with a second factor; every official may set one up. none demands it of nobody." default:"system_admin,security_admin,auditor" enum:"none,steward,leader,secrecy_reviewer,authority_reviewer,operator,system_admin,security_admin,auditor" env:"GONGSHU_SECOND_FACTOR"`
}

func (c serveCmd) Run(ctx context.Context, g *globals) error {
	for _, post := range c.SecondFactor {
		c.secondFactor = append(c.secondFactor, identity.Post(post))
	}
	if err := c.front.check(); err != nil {
		return err
	}
	wire := open
	if !slices.ContainsFunc(c.Roles, func(role string) bool { return role != portalRole }) {
		wire = openPortalNode
	}
	a, err := wire(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	return a.serve(ctx, c.Addr, c.Roles, c.front, func(base string) {
		fmt.Fprintf(g.out, "gongshu %s  %s\n", version, base)
	})
}

// cite names the articles by which this city says what the cited ones say.
func (a *app) cite(ids ...string) []string { return clause.In(a.profile.ID, ids...) }

// handler is everything that a node of these roles answers, and nothing else.
func (a *app) handler(roles []string) http.Handler {
	has := func(role string) bool { return slices.Contains(roles, role) }
	words := func(k profile.Key[profile.Words]) errs.Text { w := k.Of(a.profile).V; return errs.T(w.ZH, w.EN) }
	city, platform, public := words(profile.CityName), words(profile.PlatformName), words(profile.OpenPlatform)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	systems := api.Deps{Brand: platform, Version: version, Now: a.now, Log: a.logger}
	if has(portalRole) {
		systems.Open, systems.Datasets = a.open, a.datasets
	}
	if has(consoleRole) || has(gatewayRole) {
		systems.Door, systems.Clients = a.door, a.identity
	}
	if has(gatewayRole) {
		systems.Gateway, systems.Intake = a.gateway, a.intake
		mux.Handle("/audit/", api.Proofs(a.log))
	}
	if has(consoleRole) {
		officials := console.New(console.Deps{
			City: city, Brand: platform, Version: version,
			Door: a.door, Org: a.org, Cases: a.casework, Catalog: a.catalog, Now: a.now, Log: a.logger,
			Profile: a.profile, Identity: a.identity, Warehouse: a.warehouse, Quality: a.quality, Intake: a.intake, Gateway: a.gateway, Agreement: a.agreement, Sharing: a.sharing, Audit: a.log,
			Jobs: a.jobs, Opendata: a.opendata, Notices: a.notices, Inbox: a.notice, MaskKeys: a.maskKeys,
		})
		systems.Session = console.Session(a.org)
		systems.Org, systems.Sharing, systems.Catalog = a.org, a.sharing, a.catalog
		mux.Handle("/console/", officials)
	}
	if has(consoleRole) || has(portalRole) {
		systems.Profile = a.profile
		mux.Handle(ui.StaticPath, ui.Assets())
	}
	if has(portalRole) {
		site := portal.Deps{
			City: city, Brand: public, Version: version, Profile: a.profile, Open: a.open, Datasets: a.datasets, Now: a.now, Log: a.logger,
		}
		if has(consoleRole) {
			site.Console = "/console/"
		} else if !has(gatewayRole) {
			systems.Brand = public
		}
		systems.Frame = site.Frame
		mux.Handle("/", portal.New(site))
	} else if has(consoleRole) {
		systems.Frame = func(r *http.Request) *ui.Frame {
			lang := web.Lang(r.Context())
			return &ui.Frame{Face: ui.Portal, City: city.In(lang), Brand: platform.In(lang), Home: "/console/", ClauseBase: "/console/clauses/", Rules: a.profile.ID, Path: r.URL.RequestURI(), Version: version}
		}
		mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	}
	if has(portalRole) || has(consoleRole) || has(gatewayRole) {
		mux.Handle("/api/", api.New(systems))
	}
	return mux
}

// health answers 200 while the node can do its work and 503 with what is wrong
// while it cannot: for load balancers and service managers, without a secret.
func (a *app) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	faults := map[string]string{}
	check := func(store string, err error) {
		if err != nil {
			a.logger.Error("health", "store", store, "err", err)
			faults[store] = "unavailable"
		}
	}
	check("open", a.open.Ping(ctx))
	if a.control != nil {
		check("control", a.control.Ping(ctx))
		check("warehouse", a.warehouse.Ping(ctx))
		check("log", a.log.Check(ctx))
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	if len(faults) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": len(faults) == 0, "version": version, "faults": faults})
}

// serve answers on addr until ctx ends, then lets requests under way finish.
// ready is told the address once it listens.
func (a *app) serve(ctx context.Context, addr string, roles []string, f front, ready func(base string)) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return errs.Newf(errs.Unavailable, "无法监听 %s，端口可能已被占用；请用 --addr 换一个", "cannot listen on %s, the port may be taken; choose another with --addr", addr).In("--addr").Because(err)
	}
	running, stop := context.WithCancel(ctx)
	wait := a.start(running, roles)
	defer func() { stop(); wait() }()
	if !ui.AssetsBuilt() {
		a.logger.Warn("the browser files are not in this binary, pages are unstyled; build them with: npm ci --prefix ui && go run ./ui/build")
	}
	site := &web.Site{Log: a.logger, ErrorPage: ui.ErrorPage, Cite: a.cite, TLS: f.Cert != "", Proxies: f.Proxies, Rate: web.Rate{PerSecond: f.Rate, Burst: 10 * f.Rate}}
	server := &http.Server{
		Handler:           site.Wrap(a.handler(roles)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	scheme := "http://"
	if site.TLS {
		scheme = "https://"
	}
	ready(scheme + strings.Replace(listener.Addr().String(), "[::]", "127.0.0.1", 1))
	failed := make(chan error, 1)
	go func() {
		if site.TLS {
			failed <- server.ServeTLS(listener, f.Cert, f.Key)
		} else {
			failed <- server.Serve(listener)
		}
	}()
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
