package console_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/opendata/opendatatest"
	"gongshu/ui"
	"gongshu/warehouse"
)

// From the gate to withdrawal as people do it on the pages.
func TestOpeningPages(t *testing.T) {
	clause.Covers(t, "FZM-20", "FZM-31", "FZO-17", "FZO-24", "FZO-30")
	w := opendatatest.Open(t, dbtest.SQLite(t))
	r := w.Publish(t, catalogtest.Licences())
	w.Table(t, r)
	w.Load(t, r, "b1", warehouse.Append, opendatatest.Firms(40)...)
	handler := console.New(console.Deps{City: errs.T("福州", "Fuzhou"), Brand: errs.T("平台", "Platform"), Door: w.Door, Catalog: w.Catalog, Opendata: w.Service,
		Warehouse: w.Warehouse, Now: func() time.Time { return *w.Clock }})
	var who identity.Actor
	server := httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		handler.ServeHTTP(rw, req.WithContext(console.WithActor(req.Context(), who)))
	})))
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(a identity.Actor, method, path string, form url.Values) (int, string) {
		t.Helper()
		who = a
		req, err := http.NewRequestWithContext(context.Background(), method, server.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	expect := func(what string, status, want int, body string, words ...string) {
		t.Helper()
		if status != want {
			t.Errorf("%s: status %d, want %d", what, status, want)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				t.Errorf("%s: no %q on the page", what, word)
			}
		}
	}
	steward, leader := catalogtest.Actor(catalogtest.Market, identity.Steward), catalogtest.Actor(catalogtest.Market, identity.Leader)
	stranger, reviewer := catalogtest.Actor(catalogtest.Police, identity.Steward), catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
	page := "/console/opening/" + r.PathCode()

	status, body := do(steward, "GET", "/console/opening", nil)
	expect("list", status, 200, body, r.Name, "未开放")
	if status, body := do(stranger, "GET", "/console/opening", nil); strings.Contains(body, r.Name) || status != 200 {
		t.Errorf("another body sees the resource: %d", status)
	}
	status, body = do(stranger, "GET", page, nil)
	expect("stranger", status, 403, body)
	status, body = do(steward, "GET", page, nil)
	expect("gate", status, 200, body, "不满足", "还没有开放前评估", page+"/assess")

	// An assessment that says nothing is refused beside its fields, and keeps what was filled in.
	status, body = do(steward, "GET", page+"/assess", nil)
	expect("form", status, 200, body, "企业名称", "不纳入", "secrecy")
	form := url.Values{"risks": {"未发现任何风险"}}
	for _, it := range r.Items {
		form.Set("do."+it.ID, "open")
	}
	form.Set("do.i6", "mask=replace")
	status, body = do(steward, "POST", page+"/assess", form)
	expect("refused", status, 422, body, "未发现任何风险", "保密审查", "安全风险评估结论")
	form.Set("secrecy", "yes")
	form.Set("risk", "low")
	status, _ = do(steward, "POST", page+"/assess", form)
	expect("assessed", status, 303, "")
	status, body = do(steward, "GET", page, nil)
	expect("waits", status, 200, body, "等待主管部门审核人员发布", "***")
	status, _ = do(steward, "POST", page+"/publish", nil)
	expect("steward publishes", status, 403, "")
	status, body = do(reviewer, "GET", page, nil)
	expect("reviewer", status, 200, body, page+"/publish")
	status, _ = do(reviewer, "POST", page+"/publish", nil)
	expect("published", status, 303, "")
	if err := w.Service.Build(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e, err := w.Service.Entry(t.Context(), r.ID)
	if err != nil || e.State != opendata.Published {
		t.Fatalf("entry %+v, %v", e, err)
	}
	d, err := w.Open.BySlug(t.Context(), e.Slug)
	if err != nil || d.Preview[0][5] != "***" {
		t.Errorf("the address is not masked: %v, %v", d, err)
	}
	status, body = do(leader, "POST", page+"/withdraw", url.Values{"reason": {"x"}})
	expect("no reason", status, 422, body, "FZO-17")
	status, _ = do(leader, "POST", page+"/withdraw", url.Values{"reason": {"发现数据有误，先行撤回"}})
	expect("withdrawn", status, 303, "")
	status, body = do(leader, "GET", page, nil)
	expect("after", status, 200, body, "已撤回", "发现数据有误", "撤回后尚未重新评估")
}
