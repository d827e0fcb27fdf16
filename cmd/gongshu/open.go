package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gongshu/internal/errs"
	"gongshu/opendata"
	"gongshu/profile"
)

// openPortal opens what the portal reads: the open store and its index.
func (a *app) openPortal(ctx context.Context) (err error) {
	if a.open, err = opendata.OpenAt(ctx, a.stores.openURL(), a.stores.path("open")); err != nil {
		return err
	}
	a.closers = append(a.closers, a.open.Close)
	if a.datasets, err = a.open.OpenIndex(); err != nil {
		return err
	}
	a.runs = append(a.runs, a.open.Run)
	a.finds = append(a.finds, a.datasets.Run)
	return nil
}

// openPortalNode wires a node of the portal role alone: it opens neither the
// control store nor the warehouse and needs no address or key of either, so that
// it can stand on the internet while population data does not.
func openPortalNode(ctx context.Context, s stores, now func() time.Time) (a *app, err error) {
	a = &app{stores: s, now: now, logger: slog.Default()}
	opened := a // a return of nil, err sets a
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	if s.City == "" {
		return nil, errs.Newf(errs.Invalid, "只运行门户的节点需要用 --city 指明城市", "a node of the portal role alone needs --city").In("--city")
	}
	if a.profile, err = profile.Open(s.City); err != nil {
		return nil, err
	}
	return a, a.openPortal(ctx)
}
