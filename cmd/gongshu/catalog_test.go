package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
	"gongshu/org"
)

// The catalog goes out as a workbook, is worked on and comes back, whole or not at
// all (FZM-12: kept current; FZM-11: what older systems held is registered in bulk).
func TestCatalogGoesOutAndComesBack(t *testing.T) {
	clause.Covers(t, "FZM-11", "FZM-12")
	dbtest.EachURL(t, func(t *testing.T, database string) {
		ctx, dir := t.Context(), t.TempDir()
		a, founded, system := served(t, database, time.Now)
		system.first("sysadmin", founded.Admins[0].InitialSecret)
		body := func(name, uscc string) org.Body {
			b, err := a.org.CreateBody(ctx, system.actor(a), org.Body{Name: name, USCC: uscc, Kind: "organ", Role: org.Department, Level: org.City, District: "350100"})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		police, market := body("福州市公安局", catalogtest.Police.USCC), body("福州市市场监督管理局", catalogtest.Market.USCC)
		in := catalogtest.Residents()
		in.Body, in.BodyName = police.ID, police.Name
		in.Conditions[0].Bodies = []string{market.ID}
		made, err := a.catalog.Create(ctx, catalogtest.Actor(catalog.Body{ID: police.ID, Name: police.Name, District: police.District}, identity.Steward), in)
		if err != nil {
			t.Fatal(err)
		}
		command := func(code int, args ...string) string {
			t.Helper()
			args = append(append([]string{"catalog"}, args...), "--data", a.stores.Data)
			if a.stores.Database != "" {
				args = append(args, "--database", a.stores.Database)
			}
			return gongshu(t, code, args...)
		}
		book, torn := filepath.Join(dir, "catalog.xlsx"), filepath.Join(dir, "not a readable XLSX workbook")
		contains(t, command(0, "export", filepath.Join(dir, "empty.xlsx"), "--template"), "0 resources")
		contains(t, command(0, "export", book, "--body", market.Name), "0 resources")
		contains(t, command(0, "export", book, "--body", police.Name), "1 resources")
		contains(t, command(1, "export", filepath.Join(dir, "none.xlsx"), "--body", "没有这个局"), "没有这个局")

		if err := alter(book, "信息资源", made.Name, made.Name+"（新）"); err != nil {
			t.Fatal(err)
		}
		contains(t, command(0, "import", book, "--body", police.Name, "--check"), "1 resources, 0 faults")
		if r, err := a.catalog.Get(ctx, made.Code, -1); err != nil || r.Name != made.Name {
			t.Errorf("--check changed it to %v %v", r, err)
		}
		contains(t, command(0, "import", book, "--body", police.Name), "1 resources, 0 faults", made.Code)
		if r, err := a.catalog.Get(ctx, made.Code, -1); err != nil || r.Name != made.Name+"（新）" || len(r.Items) != len(made.Items) || r.Conditions[0].Bodies[0] != market.ID {
			t.Errorf("came back as %+v %v", r, err)
		}

		content, err := os.ReadFile(book)
		if err == nil {
			err = os.WriteFile(torn, content[:len(content)/2], 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		contains(t, command(1, "import", torn, "--body", police.Name), "not a readable XLSX workbook")
	})
}

// alter changes one text of a sheet, as somebody at their desk would.
func alter(file, sheet, from, to string) error {
	f, err := excelize.OpenFile(file)
	if err != nil {
		return err
	}
	defer f.Close()
	cells, err := f.SearchSheet(sheet, from)
	for _, cell := range cells {
		if err == nil {
			err = f.SetCellStr(sheet, cell, to)
		}
	}
	if err != nil {
		return err
	}
	return f.Save()
}
