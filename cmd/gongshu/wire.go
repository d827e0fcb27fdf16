package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gongshu/agreement"
	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/notice"
	"gongshu/opendata"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/quality"
	"gongshu/sharing"
	"gongshu/warehouse"
	"gongshu/workday"
)

// stores is where a city's data lies. The control store (cases, catalog, log)
// and the warehouse are two, so that a large load never blocks a decision.
type stores struct {
	Data      string `help:"Data directory: stores, objects, keys." default:"data" env:"GONGSHU_DATA" type:"path"`
	Database  string `help:"Control store: sqlite:FILE or postgres://…; in the data directory by default." env:"GONGSHU_DATABASE" placeholder:"URL"`
	Warehouse string `help:"Warehouse: sqlite:FILE or postgres://…; beside the control store by default." env:"GONGSHU_WAREHOUSE" placeholder:"URL"`
	Open      string `help:"Open store, all that the portal reads; beside the control store by default." env:"GONGSHU_OPEN" placeholder:"URL"`
	Objects   string `help:"Object store: a folder, or s3://bucket/prefix?endpoint=https://… with the key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a folder in the data directory by default." env:"GONGSHU_OBJECTS" placeholder:"URL"`
	// secondFactor names the posts whose holders log in with a second factor.
	secondFactor []identity.Post
	City         string `help:"City profile: fuzhou, quanzhou, foshan, longyan, or a file. Needed once, when the data directory is made." env:"GONGSHU_CITY" placeholder:"CITY"`
}

func (s stores) path(elem ...string) string {
	return filepath.Join(append([]string{s.Data}, elem...)...)
}

func (s stores) databaseURL() string {
	if s.Database != "" {
		return s.Database
	}
	return "sqlite:" + s.path("control.db")
}

// warehouseURL is the warehouse's address: a file of its own in the data
// directory, or the control store's PostgreSQL, where it takes its own schema.
func (s stores) warehouseURL() string {
	switch {
	case s.Warehouse != "":
		return s.Warehouse
	case s.Database != "":
		return s.Database
	}
	return "sqlite:" + s.path("warehouse.db")
}

// openURL is the address of the open store, which holds only what was published:
// a file of its own, or schemas of its own in the same PostgreSQL.
func (s stores) openURL() string {
	switch {
	case s.Open != "":
		return s.Open
	case s.Database != "":
		return s.Database
	}
	return "sqlite:" + s.path("open.db")
}

// objectsURL is the address of the object store: a folder in the data directory,
// unless several nodes share one.
func (s stores) objectsURL() string {
	if s.Objects != "" {
		return s.Objects
	}
	return s.path("objects")
}

// app is the whole program, wired: every area gets its collaborators here and
// nowhere else.
type app struct {
	stores    stores
	now       func() time.Time
	logger    *slog.Logger
	profile   *profile.Profile
	calendar  *workday.Calendar
	control   *db.DB
	log       *audit.Log
	door      *operation.Door
	identity  *identity.Service
	notice    *notice.Service
	org       *org.Service
	maskKeys  privacy.Keys
	objects   *blob.Store
	jobs      *jobs.Queue
	casework  *casework.Service
	warehouse *warehouse.Store
	catalog   *catalog.Service
	gateway   *gateway.Service
	agreement *agreement.Service
	sharing   *sharing.Service
	quality   *quality.Service
	intake    *intake.Service
	open      *opendata.OpenStore
	datasets  *opendata.Index
	opendata  *opendata.Service

	runs    []func(context.Context) error // in the background of every node
	finds   []func(context.Context) error // of nodes with the role portal
	works   []func(context.Context) error // of nodes with the role worker
	closers []func() error
}

// open opens the stores, migrates them, checks the log and wires the areas. now
// is the clock of all of them.
func open(ctx context.Context, s stores, now func() time.Time) (a *app, err error) {
	a = &app{stores: s, now: now, logger: slog.Default()}
	opened := a // a return of nil, err sets a
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, errs.Newf(errs.Invalid, "无法建立数据目录 %s", "cannot make the data directory %s", s.Data).In("--data").Because(err)
	}
	if a.control, err = db.Open(ctx, s.databaseURL()); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.control.Close)
	if err := a.control.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := a.openProfile(ctx); err != nil {
		return nil, err
	}
	if a.calendar, err = workday.Load(ctx, a.control.Read()); err != nil {
		return nil, err
	}
	keys, master, err := a.openKeys(ctx)
	if err != nil {
		return nil, err
	}
	if a.log, err = audit.Open(ctx, a.control, audit.Options{Keys: keys, Now: now, Witness: s.path("keys", "witness")}); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.log.Close)
	if a.door, err = operation.New(operation.Deps{DB: a.control, Log: a.log, Now: now}); err != nil {
		return nil, err
	}
	a.runs = append(a.runs, a.door.Run)
	if a.identity, err = identity.New(identity.Deps{DB: a.control, Key: master.Derive("identity", 32), Seal: master, Now: now}); err != nil {
		return nil, err
	}
	if err := a.identity.LoadClients(ctx); err != nil {
		return nil, err
	}
	a.runs = append(a.runs, a.identity.Run)
	a.notice = notice.New(notice.Deps{DB: a.control, Door: a.door, Holders: a.holders, Now: now})
	if a.org, err = org.New(org.Deps{
		DB: a.control, Door: a.door, Identity: a.identity, Profile: a.profile, SecondFactor: s.secondFactor, Now: now, PostsChanged: a.tellPost, Alarm: a.tellAlarm,
	}); err != nil {
		return nil, err
	}
	if err := a.openObjects(ctx, master); err != nil {
		return nil, err
	}
	a.jobs = jobs.New(a.control)
	a.jobs.Now, a.jobs.Zone = now, workday.Zone
	a.jobs.Every("audit.prune", 24*time.Hour, a.pruneLog)
	a.casework = casework.New(casework.Deps{DB: a.control, Door: a.door, Blobs: a.objects, Send: a.notice.SendTx, Now: now})
	if a.warehouse, err = warehouse.Open(ctx, s.warehouseURL()); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.warehouse.Close)
	a.catalog = catalog.New(catalog.Deps{
		DB: a.control, Door: a.door, Cases: a.casework, Now: now, Tables: intake.Tables{Warehouse: a.warehouse}, AuthorityFor: a.catalogAuthority,
		Policy: func() *catalog.Policy { return catalog.PolicyFrom(a.profile, now()) },
		Body:   a.catalogBody, BodyByName: a.catalogBodyByName, CheckExpr: quality.CheckExpr,
		OnWithdraw: []func(context.Context, *db.Tx, *catalog.Resource) error{a.endGrants},
	})
	a.quality = quality.New(a.control, a.objects)
	maskKeys, err := privacy.NewSoftKeys(master.Derive("masks", 32), false)
	if err != nil {
		return nil, err
	}
	a.maskKeys = maskKeys
	if a.gateway, err = gateway.New(ctx, gateway.Deps{
		DB: a.control, Resolve: a.gatewaySource, Changes: a.gatewayChanges, Rules: a.gatewayRules, Keys: maskKeys,
		Audit: a.log, Warehouse: a.warehouse, Now: now, Log: a.logger,
	}); err != nil {
		return nil, err
	}
	verifiers, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		return nil, err
	}
	if a.agreement, err = agreement.New(agreement.Deps{DB: a.control, Door: a.door, Signers: keys.Signers(), Verifiers: verifiers, Now: now}); err != nil {
		return nil, err
	}
	if a.sharing, err = sharing.New(sharing.Deps{
		DB: a.control, Door: a.door, Cases: a.casework, Catalog: a.catalog, Agreement: a.agreement, Gateway: a.gateway, Profile: a.profile,
		Body: a.org.Body, AuthorityFor: a.org.AuthorityFor, Operator: a.org.OperatorBody, Clients: a.identity.Clients, Send: a.notice.SendTx, Now: now,
	}); err != nil {
		return nil, err
	}
	a.sharing.Register(a.jobs)
	if a.intake, err = intake.New(intake.Deps{
		DB: a.control, Door: a.door, Log: a.log, Blobs: a.objects, Catalog: a.catalog, Warehouse: a.warehouse, Quality: a.quality,
		Body: a.catalogBody, Alone: a.control.Dialect == db.SQLite, Send: a.notice.SendTx, Now: now,
	}); err != nil {
		return nil, err
	}
	a.intake.Handle(a.jobs)
	if err := a.openPortal(ctx); err != nil {
		return nil, err
	}
	if a.opendata, err = opendata.New(opendata.Deps{
		DB: a.control, Door: a.door, Log: a.log, Catalog: a.catalog, Warehouse: a.warehouse, Open: a.open, Keys: maskKeys,
		Profile: func() *profile.Profile { return a.profile }, District: a.districtOf, Now: now,
	}); err != nil {
		return nil, err
	}
	a.opendata.Register(a.jobs)
	a.runs = append(a.runs, a.catalog.Run, a.gateway.Run)
	a.works = append(a.works, a.log.Run, a.intake.Reconcile, a.jobs.Run, a.remind)
	return a, nil
}

// openProfile takes the city from the flag the first time and from the store
// afterwards: a store never changes its city by a slip of the command line.
func (a *app) openProfile(ctx context.Context) error {
	kept, err := db.Fact(ctx, a.control.Read(), "city")
	if err != nil {
		return err
	}
	city := kept
	if city == "" {
		city = a.stores.City
	}
	if city == "" {
		return errs.Newf(errs.Invalid,
			"新的数据目录需要用 --city 指明城市：fuzhou、quanzhou、foshan、longyan 或规则文件",
			"a new data directory needs --city: fuzhou, quanzhou, foshan, longyan or a profile file").In("--city")
	}
	if kept != "" && a.stores.City != "" && a.stores.City != kept {
		return errs.Newf(errs.Conflict,
			"数据目录属于 %[1]s，不能作为 %[2]s 打开；请换一个数据目录",
			"the data directory belongs to %[1]s and cannot be opened as %[2]s; take another data directory", kept, a.stores.City).In("--city")
	}
	if a.profile, err = profile.Open(city); err != nil {
		return err
	}
	if kept == "" {
		return a.control.InTx(ctx, func(tx *db.Tx) error { return db.SetFact(ctx, tx, "city", city) })
	}
	return nil
}

// start runs what goes on in the background of a node of these roles until ctx
// ends; wait returns when all of it has stopped.
func (a *app) start(ctx context.Context, roles []string) (wait func()) {
	all := a.runs
	if slices.Contains(roles, portalRole) {
		all = slices.Concat(all, a.finds)
	}
	if slices.Contains(roles, workerRole) {
		all = slices.Concat(all, a.works)
	}
	return a.background(ctx, all...)
}

// background runs each until ctx ends; wait returns when all have stopped.
func (a *app) background(ctx context.Context, runs ...func(context.Context) error) (wait func()) {
	var group sync.WaitGroup
	for _, run := range runs {
		group.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				a.logger.Error("background work ended", "err", err)
			}
		})
	}
	return group.Wait
}

// close closes everything in the reverse order of opening.
func (a *app) close() error {
	var all error
	for _, closer := range slices.Backward(a.closers) {
		all = errors.Join(all, closer())
	}
	a.closers = nil
	return all
}
