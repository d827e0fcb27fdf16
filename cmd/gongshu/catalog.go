package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
)

// catalogCmd works on the catalog with the standard workbook.
type catalogCmd struct {
	Export catalogExport `cmd:"" help:"Write the catalog workbook (XLSX) of a body or of all."`
	Import catalogImport `cmd:"" help:"Register the resources of a catalog workbook as drafts: all of them, or none."`
}

type catalogExport struct {
	stores
	File     string `arg:"" help:"Workbook to write." type:"path"`
	Body     string `help:"Full name of the body whose resources are written; all bodies without it."`
	Template bool   `help:"Write the empty template."`
}

func (c catalogExport) Run(ctx context.Context, g *globals) error {
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	var list []*catalog.Resource
	f := catalog.ListFilter{Newest: true, Limit: 1000}
	if c.Body != "" {
		b, err := a.org.BodyByName(ctx, c.Body)
		if err != nil {
			return err
		}
		f.Body = b.ID
	}
	for !c.Template {
		rows, total, err := a.catalog.List(ctx, f)
		if err != nil {
			return err
		}
		for _, row := range rows {
			r, err := a.catalog.Get(ctx, row.Code, -1)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		f.After += len(rows)
		if len(rows) == 0 || f.After >= total {
			break
		}
	}
	out, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return errs.Newf(errs.Invalid, "无法写入 %s", "cannot write %s", c.File).In("FILE").Because(err)
	}
	err = a.catalog.WriteWorkbook(ctx, out, list)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out, errs.Tf("已写入 %[1]s：%[2]d 个资源", "wrote %[1]s: %[2]d resources", c.File, len(list)).In(g.Lang))
	return nil
}

type catalogImport struct {
	stores
	File  string `arg:"" help:"Workbook to read." type:"existingfile"`
	Body  string `help:"Full name of the body whose resources they are, where a row does not name it." required:""`
	Check bool   `help:"Read and check only."`
}

func (c catalogImport) Run(ctx context.Context, g *globals) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return errs.Newf(errs.Invalid, "无法读取 %s", "cannot read %s", c.File).In("FILE").Because(err)
	}
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return err
	}
	defer a.close()
	b, err := a.org.BodyByName(ctx, c.Body)
	if err != nil {
		return err
	}
	im, codes, err := a.catalog.RegisterWorkbook(ctx, identity.System("command"), b.ID, filepath.Base(c.File), content, c.Check)
	if im != nil {
		for _, p := range im.Problems {
			fmt.Fprintln(g.out, p.Field+"\t"+p.Text.In(g.Lang)+"\t"+p.Clause)
		}
		warnings := 0
		for _, p := range im.Resources {
			warnings += len(p.Warnings)
		}
		fmt.Fprintln(g.out, errs.Tf("%[1]d 个资源，%[2]d 处错误，%[3]d 处送签前待完善", "%[1]d resources, %[2]d faults, %[3]d things to complete before sign-off", len(im.Resources), len(im.Problems), warnings).In(g.Lang))
	}
	if err != nil {
		return err
	}
	if len(codes) > 0 {
		fmt.Fprintln(g.out, strings.Join(codes, "\n"))
	}
	return nil
}
