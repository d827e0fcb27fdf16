// Package intaketest gives tests a whole way of a batch: catalog, warehouse,
// objects and intake over one control store.
package intaketest

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/jobs"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// World is a city's intake and what it stands on.
type World struct {
	*catalogtest.World
	Warehouse *warehouse.Store
	Blobs     *blob.Store
	Quality   *quality.Service
	Intake    *intake.Service
	Jobs      *jobs.Queue
	t         testing.TB
	deps      intake.Deps
}

// Open makes the world over a control store and a warehouse ("" is an SQLite
// file of its own). dir holds the objects; "" is a fresh one.
func Open(t testing.TB, d *db.DB, warehouseURL, dir string) *World {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	if warehouseURL == "" {
		warehouseURL = "sqlite:" + filepath.Join(dir, "warehouse.db")
	}
	w := &World{t: t}
	var err error
	if w.Warehouse, err = warehouse.Open(t.Context(), warehouseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Warehouse.Close() })
	master, err := blob.LoadMaster(filepath.Join(dir, "master.key"), blob.AES256GCM)
	if err != nil {
		t.Fatal(err)
	}
	if w.Blobs, err = blob.Open(filepath.Join(dir, "objects"), master, blob.AES256GCM); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Blobs.Close() })
	var body func(context.Context, string) (catalog.Body, error)
	w.World = catalogtest.Open(t, d, "fuzhou", func(c *catalog.Deps) {
		c.Tables, c.CheckExpr = intake.Tables{Warehouse: w.Warehouse}, quality.CheckExpr
		body = c.Body
	})
	w.Quality = quality.New(d, w.Blobs)
	w.deps = intake.Deps{DB: d, Door: w.Door, Log: w.Log, Blobs: w.Blobs, Catalog: w.Catalog, Warehouse: w.Warehouse, Quality: w.Quality,
		Body: body, Send: w.Inbox.SendTx, Alone: true, Now: func() time.Time { return *w.Clock }}
	if w.Intake, err = intake.New(w.deps); err != nil {
		t.Fatal(err)
	}
	w.Jobs = jobs.New(d)
	w.Intake.Handle(w.Jobs)
	return w
}

// Node is a second node's service over the same stores.
func (w *World) Node(t testing.TB) *intake.Service {
	t.Helper()
	deps := w.deps
	deps.Alone = false
	s, err := intake.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Table makes and publishes a table resource of the market office.
func (w *World) Table(name string, items ...catalog.Item) *catalog.Resource {
	w.t.Helper()
	r := catalogtest.Licences()
	r.Name, r.Items = name, items
	for i := range r.Items {
		if r.Items[i].Grade == 0 {
			r.Items[i].Grade = 1
		}
	}
	return w.Publish(w.t, r)
}

// Steward is the steward of the office that owns the test tables.
func Steward() identity.Actor { return catalogtest.Actor(catalogtest.Market, identity.Steward) }

// Reviewer is the authority's reviewer.
func Reviewer() identity.Actor {
	return catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
}

// Upload is a declared upload of a file for a resource.
func Upload(r *catalog.Resource, file string) intake.Upload {
	return intake.Upload{Resource: r.Code, FileName: file, Secrecy: intake.Secrecy{Declared: true}, Source: intake.API}
}

// Send takes a file in and loads it; the batch is as Load left it.
func (w *World) Send(up intake.Upload, body io.Reader) (*intake.Batch, error) {
	w.t.Helper()
	b, err := w.Intake.Receive(w.t.Context(), Steward(), up, body)
	if err != nil {
		return nil, err
	}
	return w.Intake.Load(w.t.Context(), b.ID)
}

// Must is Send of text that must end in a receipt.
func (w *World) Must(up intake.Upload, text string) *intake.Batch {
	w.t.Helper()
	b, err := w.Send(up, strings.NewReader(text))
	if err != nil {
		w.t.Fatalf("%s: %v", up.FileName, err)
	}
	if b.State != intake.Done {
		w.t.Fatalf("%s: %s %v", up.FileName, b.State, b.Failure)
	}
	return b
}

// Rows reads a table as text, cells joined by "|", in the order of change.
func (w *World) Rows(r *catalog.Resource) []string {
	w.t.Helper()
	table, err := w.Warehouse.Table(w.t.Context(), r.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	_, err = w.Warehouse.Scan(w.t.Context(), warehouse.ScanSpec{Resource: r.ID}, func(warehouse.ScanInfo) error { return nil }, func(c warehouse.Change) error {
		if c.Kind != warehouse.Written {
			return nil
		}
		var cells []string
		for i, v := range c.Row {
			cells = append(cells, table.Columns[i].Format(v))
		}
		out = append(out, strings.Join(cells, "|"))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// ProblemFile downloads a batch's problem rows.
func (w *World) ProblemFile(batch string, f tabular.Format, onlyOpen bool) []byte {
	w.t.Helper()
	_, _, write, err := w.Intake.ProblemFile(w.t.Context(), Steward(), batch, f, quality.Which{Open: onlyOpen}, "en")
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(w.t.Context(), &out); err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}
