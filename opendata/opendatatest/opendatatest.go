// Package opendatatest gives tests a catalog with rows and a portal's store.
package opendatatest

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/opendata"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/warehouse"
	"gongshu/warehouse/warehousetest"
)

// World is a test city that opens data.
type World struct {
	*catalogtest.World
	Warehouse *warehouse.Store
	Open      *opendata.OpenStore
	Service   *opendata.Service
	Dir       string // of the open store's files
}

// Open makes the world on a migrated control store; its other stores are of the
// same kind.
func Open(t testing.TB, d *db.DB) *World {
	t.Helper()
	w := &World{World: catalogtest.Open(t, d, "fuzhou", nil), Dir: filepath.Join(t.TempDir(), "open")}
	at, open := "sqlite:"+filepath.Join(t.TempDir(), "warehouse.db"), "sqlite:"+filepath.Join(t.TempDir(), "open.db")
	if d.Dialect == db.Postgres {
		at, open = dbtest.PostgresURL(t), dbtest.PostgresURL(t)
	}
	w.Warehouse = warehousetest.Open(t, at)
	var err error
	if w.Open, err = opendata.OpenAt(context.Background(), open, w.Dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Open.Close() })
	keys, err := privacy.NewSoftKeys([]byte("a master secret for tests only"), false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Load("fuzhou")
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = opendata.New(opendata.Deps{DB: d, Door: w.Door, Log: w.Log, Catalog: w.Catalog, Warehouse: w.Warehouse, Open: w.Open, Keys: keys,
		Profile:  func() *profile.Profile { return p },
		District: func(context.Context, string) (string, error) { return "350100", nil },
		Now:      func() time.Time { return *w.Clock }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Table makes the warehouse table of a resource.
func (w *World) Table(t testing.TB, r *catalog.Resource) {
	t.Helper()
	table := warehouse.Table{Resource: r.ID}
	for _, it := range r.Items {
		c := warehouse.Column{Name: it.Physical(), Type: warehouse.TypeOf(string(it.Type), it.Scale)}
		if c.Type == warehouse.Decimal {
			c.Scale = it.Scale
		}
		table.Columns = append(table.Columns, c)
		if it.Key {
			table.Key = append(table.Key, c.Name)
		}
	}
	if err := w.Warehouse.EnsureTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
}

// Load puts rows into a resource's table as a batch of that id.
func (w *World) Load(t testing.TB, r *catalog.Resource, batch string, mode warehouse.Mode, rows ...[]string) {
	t.Helper()
	_, err := w.Warehouse.Load(t.Context(), warehouse.LoadSpec{Resource: r.ID, Batch: batch, Mode: mode, At: *w.Clock, Source: warehousetest.Rows(rows...)})
	if err != nil {
		t.Fatal(err)
	}
}

// Firms are n rows for [catalogtest.Licences], in three districts.
func Firms(n int) [][]string {
	districts := []string{"350102", "350103", "350104"}
	states := []string{"存续", "存续", "存续", "注销"}
	var out [][]string
	for i := range n {
		year := 1990 + i%30
		out = append(out, []string{
			uscc(i), "福州" + string(rune('甲'+i%10)) + "科技有限公司，分部" + num(i), []string{"1100", "1200"}[i%2], num(100+i) + ".50",
			num(year) + "-0" + num(1+i%9) + "-15", "五四路" + num(i%200+1) + "号", districts[i%3], states[i%4]})
	}
	return out
}

func num(i int) string {
	const digits = "0123456789"
	if i < 10 {
		return digits[i : i+1]
	}
	return num(i/10) + digits[i%10:i%10+1]
}

// uscc is a credit code of the right length; what the check digit says does not
// matter to opening.
func uscc(i int) string {
	n := num(i)
	return "91350100MA" + strings.Repeat("0", 7-len(n)) + n + "X"
}

// Assessment is one that declares everything and treats items as proposed.
func Assessment(r *catalog.Resource) opendata.Assessment {
	return opendata.Assessment{Secrecy: true, SecrecyRecord: "保审〔2026〕1号", Treatments: opendata.DefaultTreatments(r), Risk: opendata.Low, Risks: "未发现", Measures: ""}
}
