package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/workday"
)

// watermarkCmd says which release of the data service a file stems from.
type watermarkCmd struct {
	stores
	File string `arg:"" help:"The file that was found: CSV, NDJSON or Parquet, whole or in part." type:"existingfile"`
}

// Run traces the file. The search itself goes into the audit log.
func (c watermarkCmd) Run(ctx context.Context, g *globals) error {
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	file, err := os.Open(c.File)
	if err != nil {
		return errs.Newf(errs.Invalid, "无法打开文件 %s", "cannot open the file %s", c.File).In("FILE").Because(err)
	}
	defer file.Close()
	var found []gateway.Trace
	err = a.door.Read(ctx, identity.System("watermark"), "gateway.watermark.trace", operation.Target{Kind: "file", Medium: "command"}, func(ctx context.Context) (err error) {
		if found, err = a.gateway.Trace(ctx, file); err == nil && len(found) > 0 && found[0].Certain() {
			operation.Note(ctx, "release", found[0].Release)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(found) == 0 || !found[0].Certain() {
		fmt.Fprintln(g.out, "no release of this platform can be made out in the file")
		for _, t := range found {
			fmt.Fprintf(g.out, "  nearest: release %s, %d of %d cells agree (%.1f standard deviations above chance)\n", t.Release, t.Agree, t.Cells, t.Sigma)
		}
		return nil
	}
	t := found[0]
	body := t.Client
	if b, err := a.org.Body(ctx, t.Client); err == nil {
		body = b.Name
	}
	fmt.Fprintf(g.out, "release   %s\nresource  %s\nconsumer  %s\nuser      %s\nat        %s\ngrant     %s\nformat    %s\n",
		t.Release, t.Resource, body, t.User, t.At.In(workday.Zone).Format(time.DateTime), t.Grant, t.Format)
	if t.Cells > 0 {
		fmt.Fprintf(g.out, "evidence  %d of %d different cells bear its mark (%.0f standard deviations above chance)\n", t.Agree, t.Cells, t.Sigma)
	} else {
		fmt.Fprintln(g.out, "evidence  the file's metadata names the release")
	}
	return nil
}
