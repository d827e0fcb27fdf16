package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

// TestErrorsOfOperations: errors of handlers and of huma's own validation have
// one form, name the field, and keep faults of the program to themselves.
func TestErrorsOfOperations(t *testing.T) {
	type input struct {
		Body struct {
			Name string `json:"name" maxLength:"5"`
		}
	}
	type output struct{ Body struct{ Actor string } }
	site := &web.Site{Log: slog.New(slog.DiscardHandler)}
	h := New(Deps{Brand: errs.T("平台", "Platform"), Version: "1"})
	// One operation that answers in each way.
	a := &API{Deps: Deps{Brand: errs.T("平台", "Platform"), Log: slog.New(slog.DiscardHandler)}, mux: http.NewServeMux()}
	a.open()
	Register(a, huma.Operation{Method: "POST", Path: "/api/v1/echo"}, func(ctx context.Context, in *input) (*output, error) {
		switch in.Body.Name {
		case "busy":
			return nil, errs.New(errs.TooMany, errs.T("太多", "too many")).In("name").By("FZM-29").Retry(7)
		case "panic":
			return nil, context.DeadlineExceeded
		}
		out := &output{}
		out.Body.Actor = actorOf(ctx).ID
		return out, nil
	})
	call := func(h http.Handler, method, path, body string) (*httptest.ResponseRecorder, web.Problem) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r = r.WithContext(WithActor(r.Context(), identity.Actor{ID: "c1"}))
		w := httptest.NewRecorder()
		site.Wrap(h).ServeHTTP(w, r)
		var p web.Problem
		_ = json.Unmarshal(w.Body.Bytes(), &p)
		return w, p
	}
	own := a.routed()
	if w, _ := call(own, "POST", "/api/v1/echo", `{"name":"li"}`); w.Code != 200 || !strings.Contains(w.Body.String(), "c1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w, p := call(own, "POST", "/api/v1/echo", `{"name":"busy"}`)
	if w.Code != 429 || w.Header().Get("Retry-After") != "7" || p.Field != "name" || len(p.Clauses) != 1 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w, p := call(own, "POST", "/api/v1/echo", `{"name":"panic"}`); w.Code != 500 || strings.Contains(w.Body.String(), "deadline") || p.Instance == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w, p := call(own, "POST", "/api/v1/echo", `{"name":"much too long"}`); w.Code != 422 || len(p.Errors) != 1 || p.Errors[0].Field != "name" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, field := range map[string]string{`{"name":1}`: "name", `{}`: "name", `{"name":"li","age":1}`: "age", `{"name":"li","name":"wu"}`: "name", `{"name":`: "body",
		`{"name":"li"} {}`: "body", ``: "body", `[]`: "body", `{"name":{"a":1,"b":[{"a":1},{"a":2}],"a":2}}`: "a"} {
		w, p := call(own, "POST", "/api/v1/echo", body)
		if w.Code != 422 || p.Field != field || p.Instance == "" || len(p.Errors) == 0 || p.Errors[0].Message == "" || strings.Contains(p.Title, "expected") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
		r := httptest.NewRequest("POST", "/api/v1/echo", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept-Language", "en")
		english := httptest.NewRecorder()
		site.Wrap(own).ServeHTTP(english, r)
		if strings.ContainsFunc(english.Body.String()[:strings.Index(english.Body.String(), `"status"`)], func(r rune) bool { return r > 0x2fff }) {
			t.Errorf("%s: not in English: %s", body, english.Body)
		}
	}
	if w, p := call(own, "POST", "/api/v1/echo?nmae=1", `{"name":"li"}`); w.Code != 422 || p.Field != "nmae" {
		t.Errorf("unknown parameter: %d %s", w.Code, w.Body)
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "HEAD", "OPTIONS"} {
		if w, _ := call(own, method, "/api/v1/echo", ""); w.Code != 405 || w.Header().Get("Allow") != "POST" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	if w, p := call(h, "GET", "/api/v1/nothing", ""); w.Code != 404 || p.Title == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w, _ := call(h, "GET", "/api/openapi.json", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"openapi":"3.1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestDocsPage: the page shows every operation of the document, works without a
// script, and has nothing inline that its policy would forbid.
func TestDocsPage(t *testing.T) {
	h := (&web.Site{Log: slog.New(slog.DiscardHandler)}).Wrap(New(Deps{Brand: errs.T("平台", "Platform"), Gateway: &gateway.Service{},
		Frame: func(*http.Request) *ui.Frame { return &ui.Frame{Face: ui.Portal, Brand: "平台", Home: "/"} }}))
	for _, lang := range []string{"zh", "en"} {
		r := httptest.NewRequest("GET", "/api/docs", nil)
		r.Header.Set("Accept-Language", lang)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		page := w.Body.String()
		for _, want := range []string{"/api/v1/resources/{code}/query", "/api/v1/resources/{code}/rows", "X-Gongshu-Purpose", "/api/openapi.json", "/api/v1/usage/receipts"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %s", lang, want)
			}
		}
		if want := map[string]string{"zh": "按主键查询", "en": "Query by key"}[lang]; !strings.Contains(page, want) {
			t.Errorf("%s: the page lacks %q", lang, want)
		}
		for _, bad := range []string{" style=", " onclick=", "<style", "<script>"} {
			if i := strings.Index(page, bad); i >= 0 {
				t.Errorf("%s: the page holds %q: …%s", lang, bad, page[max(0, i-40):min(len(page), i+60)])
			}
		}
	}
}
