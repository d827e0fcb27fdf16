package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gongshu/api"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/opendata/opendatatest"
	"gongshu/portal"
	"gongshu/profile"
	"gongshu/ui"
	"gongshu/warehouse"
)

// portalSite is a portal with one open and one authorised dataset.
type portalSite struct {
	*opendatatest.World
	*httptest.Server
	open, listed *opendata.Entry
}

func newPortal(t *testing.T) *portalSite {
	t.Helper()
	ctx := t.Context()
	w := opendatatest.Open(t, dbtest.SQLite(t))
	s := &portalSite{World: w}
	s.open = s.put(t, catalogtest.Licences(), opendatatest.Firms(60))
	listed := catalogtest.Licences()
	listed.Name, listed.Summary = "公交站点<script>alert(1)</script>信息", "公交车站的名称和位置 <b>粗</b>"
	listed.Class.Head = "002"
	listed.Source.Overlap = "另一来源"
	listed.Opening, listed.OpeningNote, listed.OpeningNeeds = catalog.Authorised, "签订利用协议", []string{catalog.AuthorisedNeeds[0].Key}
	s.listed = s.put(t, listed, nil)
	ix, err := w.Open.OpenIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := ix.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Load("fuzhou")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return *w.Clock }
	mux := http.NewServeMux()
	mux.Handle("/api/", api.New(api.Deps{Brand: errs.T("开放平台", "Open data"), Open: w.Open, Datasets: ix, Now: now}))
	mux.Handle("/", portal.New(portal.Deps{City: errs.T("福州", "Fuzhou"), Brand: errs.T("开放平台", "Open data"), Profile: p, Open: w.Open, Datasets: ix, Now: now}))
	s.Server = httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(mux))
	t.Cleanup(s.Close)
	return s
}

func (s *portalSite) put(t *testing.T, in catalog.Resource, rows [][]string) *opendata.Entry {
	t.Helper()
	ctx := t.Context()
	r := s.Publish(t, in)
	s.Table(t, r)
	if rows != nil {
		s.Load(t, r, "b1", warehouse.Append, rows...)
	}
	if _, err := s.Service.Assess(ctx, catalogtest.Actor(catalogtest.Market, identity.Steward), r.Code, opendatatest.Assessment(r)); err != nil {
		t.Fatal(err)
	}
	e, err := s.Service.Publish(ctx, catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer), r.Code)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Service.Build(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *portalSite) get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	return s.do(t, http.MethodGet, path, header...)
}

func (s *portalSite) do(t *testing.T, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w, string(b)
}

func TestDatasetPages(t *testing.T) {
	clause.Covers(t, "FZM-20", "FZM-21", "FZM-22", "FZO-7", "FZO-8", "FZO-11", "FZO-25")
	s := newPortal(t)
	for _, c := range []struct {
		path    string
		status  int
		has     []string
		hasNot  []string
		headers []string
	}{
		{"/datasets", 200, []string{"企业登记注册信息", "普遍开放", "授权开放", "提供部门", "60 条"}, []string{"<script>alert", "dataset."}, nil},
		{"/datasets?q=%E5%85%AC%E4%BA%A4", 200, []string{"<mark>公交</mark>", "共 1 个数据集"}, []string{"企业登记注册信息"}, nil},
		{"/datasets?opening=authorised", 200, []string{"公交站点&lt;script&gt;"}, []string{"企业登记注册信息</"}, nil},
		{"/datasets?q=%E6%B2%A1%E6%9C%89%E7%9A%84%E4%B8%9C%E8%A5%BF", 200, []string{"没有找到数据集"}, nil, nil},
		{"/datasets?page=99999", 200, nil, []string{"panic"}, nil},
		{"/datasets?sort=nonsense", 200, []string{"企业登记注册信息"}, nil, nil},
		{"/datasets/" + s.open.Slug, 200, []string{"企业登记注册信息", "SHA-256", "application/ld+json", `"@type":"Dataset"`, "五四路", "如何注明来源", "FZO-25", "/files/csv", "第 1 版", "curl"}, []string{"dataset."}, nil},
		{"/datasets/" + s.open.Slug, 200, []string{"How to cite", "Download", "Preview"}, []string{"dataset.", "数据预览"}, []string{"Accept-Language", "en"}},
		{"/datasets/" + s.listed.Slug, 200, []string{"授权开放：经申请", "签订利用协议", "FZO-8", "&lt;b&gt;"}, []string{"/files/", "<b>粗", "<script>alert"}, nil},
		{"/datasets/nothing", 404, []string{"没有这个数据集"}, nil, nil},
	} {
		w, body := s.get(t, c.path, c.headers...)
		if w.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", c.path, w.StatusCode, c.status)
		}
		for _, want := range c.has {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in the page", c.path, want)
			}
		}
		for _, not := range c.hasNot {
			if strings.Contains(body, not) {
				t.Errorf("%s: %q in the page", c.path, not)
			}
		}
	}
	// The JSON-LD is one whole document.
	_, body := s.get(t, "/datasets/"+s.open.Slug)
	_, ld, _ := strings.Cut(body, `<script type="application/ld+json">`)
	ld, _, _ = strings.Cut(ld, "</script>")
	var doc map[string]any
	if err := json.Unmarshal([]byte(ld), &doc); err != nil || doc["name"] != "企业登记注册信息" || len(doc["distribution"].([]any)) != 4 {
		t.Errorf("JSON-LD %v: %v", doc, err)
	}
}

func TestDownloads(t *testing.T) {
	clause.Covers(t, "FZO-2", "FZO-3", "FZO-17")
	s := newPortal(t)
	path := "/datasets/" + s.open.Slug + "/files/csv"
	w, whole := s.get(t, path, "Accept-Encoding", "gzip")
	if w.StatusCode != 200 || w.Header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" || w.Header.Get("X-Content-Type-Options") != "nosniff" ||
		w.ContentLength != int64(len(whole)) || w.Header.Get("Content-Encoding") != "" || w.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("status %d, headers %v", w.StatusCode, w.Header)
	}
	if d := w.Header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="`+s.open.Slug+`.csv"; filename*=UTF-8''%E4%BC%81`) {
		t.Errorf("disposition %s", d)
	}
	tag := w.Header.Get("ETag")
	if w, body := s.get(t, path, "If-None-Match", tag); w.StatusCode != 304 || body != "" {
		t.Errorf("If-None-Match: %d", w.StatusCode)
	}
	if w, body := s.get(t, path, "Range", "bytes=100-199"); w.StatusCode != 206 || body != whole[100:200] {
		t.Errorf("range: %d, %d bytes", w.StatusCode, len(body))
	}
	if w, _ := s.get(t, path, "Range", "bytes=99999999-"); w.StatusCode != 416 {
		t.Errorf("range beyond the end: %d", w.StatusCode)
	}
	if w, body := s.get(t, path, "Range", "bytes=100-", "If-Range", `"other"`); w.StatusCode != 200 || body != whole {
		t.Errorf("resume of another version: %d", w.StatusCode)
	}
	if w, body := s.do(t, http.MethodHead, path); w.StatusCode != 200 || body != "" || w.ContentLength != int64(len(whole)) {
		t.Errorf("HEAD: %d, length %d", w.StatusCode, w.ContentLength)
	}
	for _, c := range []struct {
		path   string
		status int
		has    string
	}{
		{path + "?version=1", 200, ""},
		{path + "?version=7", 404, "7"},
		{path + "?version=x", 422, ""},
		{"/datasets/" + s.open.Slug + "/files/..%2f..%2fopen.db", 404, ""},
		{"/datasets/" + s.open.Slug + "/files/exe", 404, "EXE"},
		{"/datasets/" + s.listed.Slug + "/files/csv", 403, "FZO-8"},
	} {
		w, body := s.get(t, c.path)
		if w.StatusCode != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s: %d", c.path, w.StatusCode)
		}
	}
	// Whole downloads count: the first, the changed resume, version 1. Not the
	// look at the head, the part from the middle, or what was not modified.
	if err := s.Open.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := s.Open.Downloads(t.Context())
	if err != nil || n[s.open.Resource] != 3 {
		t.Errorf("%d downloads counted, want 3 (%v)", n[s.open.Resource], err)
	}

	// After withdrawal the file, the rows and the API are gone, and the page says why.
	if _, err := s.Service.Withdraw(t.Context(), catalogtest.Actor(catalogtest.Market, identity.Leader), s.open.Code, "发现泄露风险，先行撤回"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, "/api/v1/open/datasets/" + s.open.Slug, "/api/v1/open/datasets/" + s.open.Slug + "/rows", "/datasets/" + s.open.Slug} {
		w, body := s.get(t, p)
		if w.StatusCode != 410 || !strings.Contains(body, "发现泄露风险") || !strings.Contains(body, "FZO-17") || strings.Contains(body, "五四路") {
			t.Errorf("%s after withdrawal: %d", p, w.StatusCode)
		}
	}
}

func TestOpenAPIOfRows(t *testing.T) {
	clause.Covers(t, "FZO-2")
	s := newPortal(t)
	api := "/api/v1/open/datasets/"
	var list struct {
		Total    int
		Datasets []struct{ Slug, Title, Href string }
		Facets   map[string][]struct {
			Value string
			Count int
		}
	}
	w, body := s.get(t, "/api/v1/open/datasets?q=%E4%BC%81%E4%B8%9A&format=csv&limit=5")
	if err := json.Unmarshal([]byte(body), &list); err != nil || w.StatusCode != 200 || list.Total != 1 || list.Datasets[0].Slug != s.open.Slug || len(list.Facets["format"]) == 0 {
		t.Errorf("list %d: %s %v", w.StatusCode, body, err)
	}
	var one struct {
		Title string
		Items []any
		Links []struct{ Format, Href string }
	}
	_, body = s.get(t, api+s.open.Slug)
	if err := json.Unmarshal([]byte(body), &one); err != nil || one.Title != "企业登记注册信息" || len(one.Items) != 8 || len(one.Links) != 4 {
		t.Errorf("dataset %s: %v", body, err)
	}
	var rows struct {
		Total  int
		Exact  bool
		Next   string
		Fields []struct{ Name, Code, Type string }
		Rows   []map[string]any
	}
	w, body = s.get(t, api+s.open.Slug+"/rows?limit=2&filter=division:eq:350103&fields=name&fields=capital&offset=1")
	if err := json.Unmarshal([]byte(body), &rows); err != nil || w.StatusCode != 200 || rows.Total != 20 || len(rows.Rows) != 2 || len(rows.Fields) != 2 {
		t.Fatalf("rows %s: %v", body, err)
	}
	if capital, ok := rows.Rows[0]["注册资本（万元）"].(float64); !ok || capital != 104.5 {
		t.Errorf("capital %v", rows.Rows[0])
	}
	if w, body := s.get(t, rows.Next); w.StatusCode != 200 || !strings.Contains(body, `"offset":3`) {
		t.Errorf("next %s: %d", rows.Next, w.StatusCode)
	}
	for path, want := range map[string]int{
		api + s.open.Slug + "/rows?limit=0":                   422,
		api + s.open.Slug + "/rows?limit=1001":                422,
		api + s.open.Slug + "/rows?limit=x":                   422,
		api + s.open.Slug + "/rows?offset=-1":                 422,
		api + s.open.Slug + "/rows?filter=c1%3B:eq:1":         422,
		api + s.open.Slug + "/rows?filter=name:eq:'%20OR%201": 200,
		api + s.listed.Slug + "/rows":                         403,
		api + "none/rows":                                     404,
		"/api/v1/open/datasets?limit=500":                     422,
	} {
		w, body := s.get(t, path)
		if w.StatusCode != want {
			t.Errorf("%s: %d, want %d: %s", path, w.StatusCode, want, body)
		}
		if want >= 400 && !strings.Contains(w.Header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %s", path, w.Header.Get("Content-Type"))
		}
	}
}
