package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// stores is where a city's data lies. The control store (cases, catalog, log)
// and the warehouse are two, so that a large load never blocks a decision.
type stores struct {
	Data     string `help:"Data directory: stores, objects, keys." default:"data" env:"GONGSHU_DATA" type:"path"`
	Database string `help:"Control store: sqlite:FILE or postgres://…; in the data directory by default." env:"GONGSHU_DATABASE" placeholder:"URL"`
	City     string `help:"City profile: fuzhou, quanzhou, foshan, longyan, or a file. Needed once, when the data directory is made." env:"GONGSHU_CITY" placeholder:"CITY"`
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

// app is the whole program, wired: every area gets its collaborators here and
// nowhere else.
type app struct {
	stores   stores
	now      func() time.Time
	logger   *slog.Logger
	profile  *profile.Profile
	calendar *workday.Calendar
	control  *db.DB
	log      *audit.Log
	door     *operation.Door
	identity *identity.Service

	runs    []func(context.Context) error
	closers []func() error
}

// open opens the stores, migrates them, checks the log and wires the areas. now
// is the clock of all of them.
func open(ctx context.Context, s stores, now func() time.Time) (a *app, err error) {
	a = &app{stores: s, now: now, logger: slog.Default()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
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
	keys, err := audit.LoadKeys(s.path("keys"), "")
	if err != nil {
		return nil, err
	}
	if a.log, err = audit.Open(ctx, a.control, audit.Options{Keys: keys, Now: now, Witness: s.path("keys", "witness")}); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.log.Close)
	a.runs = append(a.runs, a.log.Run)
	if a.door, err = operation.New(operation.Deps{DB: a.control, Log: a.log, Now: now}); err != nil {
		return nil, err
	}
	secret, err := loadSecret(s.path("keys", "server.key"))
	if err != nil {
		return nil, err
	}
	if a.identity, err = identity.New(identity.Deps{DB: a.control, Key: secret, Now: now}); err != nil {
		return nil, err
	}
	a.runs = append(a.runs, a.identity.Run)
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

// loadSecret reads the server's own secret of 32 bytes, and makes it the first time.
func loadSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err == nil {
		if len(secret) != 32 {
			return nil, errs.Newf(errs.Invalid, "密钥文件 %s 长度不对，应为 32 字节", "the key file %s is not 32 bytes long", path)
		}
		return secret, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read key: %w", err)
	}
	secret = make([]byte, 32)
	rand.Read(secret)
	if err := os.WriteFile(path, secret, 0o600); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return secret, nil
}

// start runs what works in the background until ctx ends; wait returns when all
// of it has stopped.
func (a *app) start(ctx context.Context) (wait func()) {
	var group sync.WaitGroup
	for _, run := range a.runs {
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
