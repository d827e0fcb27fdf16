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

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
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
	own := a.enter(a.mux)
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
	if w, p := call(h, "GET", "/api/v1/nothing", ""); w.Code != 404 || p.Title == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w, _ := call(h, "GET", "/api/openapi.json", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"openapi":"3.1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
