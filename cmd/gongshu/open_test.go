package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

// A node of the portal role alone starts and serves where neither the control
// store nor the warehouse can be reached, opens no file or key of theirs, and
// answers nothing that would need them.
func TestPortalNodeNeedsTheOpenStoreAlone(t *testing.T) {
	clause.Covers(t, "FZM-21", "FZO-3")
	dir := t.TempDir()
	unreachable := "postgres://nobody:nothing@127.0.0.1:1/none?connect_timeout=1"
	s := stores{Data: dir, City: "fuzhou", Database: unreachable, Warehouse: unreachable, Open: "sqlite:" + filepath.Join(dir, "open.db")}
	a, err := openPortalNode(t.Context(), s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	if a.control != nil || a.warehouse != nil || a.objects != nil || a.identity != nil {
		t.Error("the node holds more than the open store")
	}
	server := httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(a.handler([]string{portalRole})))
	t.Cleanup(server.Close)
	for path, want := range map[string]int{
		"/": 200, "/datasets": 200, "/api/v1/open/datasets": 200, "/rules": 200, "/conduct": 200,
		"/datasets/none": 404, "/console/": 404, "/audit/checkpoint": 404, "/api/v1/resources/10200101-0001/rows": 404, "/api/v1/usage": 404,
	} {
		r, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "open") {
			t.Errorf("the node made %s", f.Name())
		}
	}
	if !slices.ContainsFunc(files, func(f os.DirEntry) bool { return f.Name() == "open.db" }) {
		t.Error("there is no open store")
	}

	s.City = ""
	if _, err := openPortalNode(t.Context(), s, time.Now); errs.KindOf(err) != errs.Invalid {
		t.Errorf("without a city: %v", err)
	}
}
