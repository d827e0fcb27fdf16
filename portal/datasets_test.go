package portal_test

import (
	"bytes"
	"encoding/csv"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata/opendatatest"
	"gongshu/portal"
	"gongshu/profile"
	"gongshu/warehouse"
)

// site is a portal with two general datasets, of 12 and 60 rows, and one that is
// open on application.
func site(t *testing.T) (http.Handler, *opendatatest.World) {
	t.Helper()
	w := opendatatest.Open(t, dbtest.SQLite(t))
	steward, reviewer := catalogtest.Actor(catalogtest.Market, identity.Steward), catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
	small, large, authorised := catalogtest.Licences(), catalogtest.Licences(), catalogtest.Licences()
	small.Name, small.Items[1].Name = "=小企业名录", "=名称"
	large.Class.Head = "003"
	authorised.Name, authorised.Class.Head, authorised.Opening, authorised.OpeningNeeds, authorised.OpeningNote, authorised.Grade = "企业用能数据", "004", catalog.Authorised, []string{"timeliness"}, "须说明用途", 2
	for i, in := range []catalog.Resource{small, large, authorised} {
		in.Source.Overlap = "口径不同"
		r := w.Publish(t, in)
		w.Table(t, r)
		w.Load(t, r, "b1", warehouse.Append, opendatatest.Firms([]int{12, 60, 5}[i])...)
		if _, err := w.Service.Assess(t.Context(), steward, r.Code, opendatatest.Assessment(r)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Service.Publish(t.Context(), reviewer, r.Code); err != nil {
			t.Fatal(err)
		}
		if err := w.Service.Build(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	index, err := w.Open.OpenIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := index.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Load("fuzhou")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	pages := portal.New(portal.Deps{City: errs.T("福州市", "Fuzhou"), Brand: errs.T("开放平台", "Open data"), Profile: p, Log: log, Open: w.Open, Datasets: index})
	return (&web.Site{Log: log}).Wrap(pages), w
}

func get(t *testing.T, h http.Handler, lang, address string) *httptest.ResponseRecorder {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", address, nil)
	r.AddCookie(&http.Cookie{Name: "lang", Value: lang})
	h.ServeHTTP(w, r)
	return w
}

// inOrder reports whether the words stand in a page one after the other.
func inOrder(page string, words ...string) bool {
	for _, word := range words {
		_, after, found := strings.Cut(page, word)
		if !found {
			return false
		}
		page = after
	}
	return true
}

// TestListOfDatasets: the largest stand first where the address says so, facets have
// words and their own order, and the list leaves as CSV that a spreadsheet opens
// without running anything in it.
func TestListOfDatasets(t *testing.T) {
	clause.Covers(t, "FZO-11")
	h, _ := site(t)
	if page := get(t, h, "zh", "/datasets?sort=-rows"); page.Code != 200 || !inOrder(page.Body.String(), "60 条", "12 条") {
		t.Errorf("the largest is not first: %d", page.Code)
	}
	if page := get(t, h, "zh", "/datasets?sort=rows"); !inOrder(page.Body.String(), "12 条", "60 条") {
		t.Error("the smallest is not first")
	}
	page := get(t, h, "en", "/datasets?quality=complete").Body.String()
	if !inOrder(page, "Quality", "99% complete or more") || !strings.Contains(page, "2 datasets") || strings.Contains(page, "企业用能数据") {
		t.Error("the quality facet does not narrow the list")
	}
	for _, sort := range []string{"-rows", "rows"} {
		page := get(t, h, "zh", "/datasets?sort="+sort).Body.String()
		same := map[string]string{"-rows": "/api/v1/open/datasets?sort=rows", "rows": "/api/v1/open/datasets?sort=-rows"}[sort]
		if !strings.Contains(page, `"`+same+`"`) || !strings.Contains(page, `"/datasets/list.csv?sort=`+sort+`"`) {
			t.Errorf("%s: the list does not lead to itself as files", sort)
		}
	}

	answer := get(t, h, "zh", "/datasets/list.csv?sort=-rows&opening=general")
	raw := answer.Body.Bytes()
	if answer.Code != 200 || !bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")) || !strings.Contains(answer.Header().Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %v", answer.Code, answer.Header())
	}
	rows, err := csv.NewReader(bytes.NewReader(raw[3:])).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0][0] != "数据集编号" || rows[1][9] != "60" || rows[2][1] != "'=小企业名录" || rows[1][8] != "CSV XLSX JSON Parquet" || !strings.HasPrefix(rows[1][12], "http://example.com/datasets/") {
		t.Errorf("%q", rows)
	}
}

// TestDatasetPages: each page says what holds for its dataset. What is open on
// application is not said to be free for all, nothing is offered that was withdrawn,
// and a page with codes that Excel spoils says so beside the CSV.
func TestDatasetPages(t *testing.T) {
	clause.Covers(t, "FZO-7", "FZO-8", "FZO-17", "FZM-26")
	h, w := site(t)
	general := get(t, h, "zh", "/datasets/qi-ye-deng-ji-zhu-ce-xin-xi").Body.String()
	for _, want := range []string{"免费", "如何注明来源", "数据完整率", "100%", `download`, "版本", "data-chart"} {
		if !strings.Contains(general, want) {
			t.Errorf("the page of a general dataset lacks %s", want)
		}
	}
	listing := get(t, h, "zh", "/datasets/qi-ye-yong-neng-shu-ju")
	if listing.Code != 200 || strings.Contains(listing.Body.String(), "免费") || strings.Contains(listing.Body.String(), "versions-table") || !strings.Contains(listing.Body.String(), "须说明用途") {
		t.Errorf("the page of what is open on application: %d", listing.Code)
	}
	all, err := w.Service.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Slug != "qi-ye-deng-ji-zhu-ce-xin-xi" {
			continue
		}
		if _, err := w.Service.Withdraw(t.Context(), catalogtest.Actor(catalogtest.Market, identity.Leader), e.Code, "数据有误"); err != nil {
			t.Fatal(err)
		}
	}
	gone := get(t, h, "zh", "/datasets/qi-ye-deng-ji-zhu-ce-xin-xi")
	for _, not := range []string{"免费", "仍可下载", "data-chart", "/files/csv"} {
		if strings.Contains(gone.Body.String(), not) {
			t.Errorf("the page of a withdrawn dataset says %s", not)
		}
	}
	if gone.Code != http.StatusGone || !strings.Contains(gone.Body.String(), "数据有误") {
		t.Errorf("a withdrawn dataset: %d", gone.Code)
	}
}
