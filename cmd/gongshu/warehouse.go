package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
)

// warehouseCmd looks after the rows.
type warehouseCmd struct {
	Rebuild rebuildCmd `cmd:"" help:"Fill a resource's table anew from its raw batches, and compare."`
	Digest  digestCmd  `cmd:"" help:"Print the number of a resource's rows and their digest, which does not depend on their order."`
}

// ofResource is what a command on the rows of one resource is given.
type ofResource struct {
	stores
	Resource string `arg:"" help:"Code of the resource."`
}

// open opens the program and finds the resource; the caller closes the program.
func (c ofResource) open(ctx context.Context) (*app, *catalog.Resource, error) {
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return nil, nil, err
	}
	r, err := a.catalog.Get(ctx, catalog.ParseCode(c.Resource), 0)
	if err != nil {
		return nil, nil, errors.Join(err, a.close())
	}
	return a, r, nil
}

// rebuildCmd replays a resource's raw batches into a new table beside the one
// that readers see, switches, and says whether the rows are what they were.
type rebuildCmd struct{ ofResource }

func (c rebuildCmd) Run(ctx context.Context, g *globals) error {
	a, r, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	before, err := a.warehouse.Digest(ctx, r.ID)
	if err != nil {
		return err
	}
	batches, err := a.intake.Rebuild(ctx, identity.System("warehouse"), r.Code)
	if err != nil {
		return err
	}
	after, err := a.warehouse.Digest(ctx, r.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(g.out, "%s  %d batches  %d rows  %s\n", r.Code, batches, after.Rows, after.Sum)
	if before != after {
		return errs.Newf(errs.Conflict,
			"重建后的数据与重建前不同：原有 %[1]d 行，摘要 %[2]s", "the rebuilt rows differ from those before: there were %[1]d rows with digest %[2]s", before.Rows, before.Sum)
	}
	return nil
}

// digestCmd prints a digest, so that two stores, or one at two times, can be compared.
type digestCmd struct{ ofResource }

func (c digestCmd) Run(ctx context.Context, g *globals) error {
	a, r, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	d, err := a.warehouse.Digest(ctx, r.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(g.out, "%s  %d rows  %s\n", r.Code, d.Rows, d.Sum)
	return nil
}
