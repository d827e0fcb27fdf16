package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gongshu/api"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
)

func TestCatalogAPI(t *testing.T) {
	clause.Covers(t, "FS-12", "FZM-12")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := catalogtest.Open(t, d, "foshan", nil)
		handler := api.New(api.Deps{Brand: errs.T("平台", "Platform"), Door: w.Door, Catalog: w.Catalog})
		site := &web.Site{}
		call := func(who identity.Actor, method, path, body string) (int, map[string]any) {
			t.Helper()
			r := httptest.NewRequestWithContext(api.WithActor(t.Context(), who), method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			rec := httptest.NewRecorder()
			site.Wrap(handler).ServeHTTP(rec, r)
			raw, _ := io.ReadAll(rec.Body)
			out := map[string]any{}
			_ = json.Unmarshal(raw, &out)
			return rec.Code, out
		}
		steward := catalogtest.Actor(catalogtest.Market, identity.Steward)
		police := catalogtest.Actor(catalogtest.Police, identity.Steward)

		in, err := json.Marshal(catalogtest.Licences())
		if err != nil {
			t.Fatal(err)
		}
		status, made := call(steward, "POST", "/api/v1/catalog", string(in))
		if status != http.StatusCreated || made["code"] != "102002/0001" {
			t.Fatalf("%d %v", status, made)
		}
		if status, out := call(steward, "POST", "/api/v1/catalog", `{"nmae": "x"}`); status != 422 && status != 400 {
			t.Errorf("an unknown field passed: %d %v", status, out)
		}
		if status, out := call(catalogtest.Actor(catalogtest.Market, identity.Leader), "POST", "/api/v1/catalog", string(in)); status != 403 {
			t.Errorf("a leader registered: %d %v", status, out)
		}
		described(t, made)
		if status, _ := call(police, "GET", "/api/v1/catalog/102002-0001", ""); status != 404 {
			t.Errorf("another body reads a draft: %d", status)
		}
		made["summary"] = "改写的摘要"
		changed, _ := json.Marshal(made)
		if status, out := call(steward, "PUT", "/api/v1/catalog/102002-0001", string(changed)); status != 200 || out["summary"] != "改写的摘要" {
			t.Errorf("%d %v", status, out)
		}
		if status, _ := call(steward, "PUT", "/api/v1/catalog/102002-0001", string(changed)); status != 409 {
			t.Errorf("an old revision was saved: %d", status)
		}
		for _, step := range []struct {
			path, state string
			status      int
		}{{"submit", "signing", 200}, {"submit", "", 409}, {"recall", "draft", 200}, {"recall", "", 409}} {
			if status, out := call(steward, "POST", "/api/v1/catalog/102002-0001/"+step.path, ""); status != step.status || step.state != "" && out["state"] != step.state {
				t.Errorf("%s: %d %v", step.path, status, out)
			}
		}
		w.Through(t, "102002/0001")
		if status, out := call(police, "GET", "/api/v1/catalog/102002-0001", ""); status != 200 || out["name"] != "企业登记注册信息" {
			t.Errorf("%d %v", status, out)
		}
		hidden := catalogtest.Residents()
		hidden.Sharing, hidden.Conditions, hidden.SharingWays = catalog.Withheld, nil, nil
		r := w.Publish(t, hidden)
		for _, path := range []string{"", "?version=1"} {
			if status, out := call(steward, "GET", "/api/v1/catalog/"+r.PathCode()+path, ""); status != 200 || out["items"] != nil || out["summary"] != "" || out["name"] != r.Name {
				t.Errorf("a withheld resource shows %d %v", status, out)
			}
		}
		if err := w.Catalog.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		status, found := call(steward, "GET", "/api/v1/catalog?q=%E6%88%B7%E7%B1%8D", "")
		list, _ := found["resources"].([]any)
		if status != 200 || len(list) != 1 || list[0].(map[string]any)["exists_only"] != true {
			t.Errorf("%d %v", status, found)
		}
		if status, found = call(identity.Visitor("192.0.2.1", "zh"), "GET", "/api/v1/catalog?view=open", ""); status != 200 && status != 401 {
			t.Errorf("%d %v", status, found)
		}
		status, report := call(steward, "POST", "/api/v1/catalog-workbook?dry_run=true", "not a workbook")
		if status != 422 && status != 400 {
			t.Errorf("%d %v", status, report)
		}
	})
}

// described checks that the document knows every field of an answered resource, by name and type.
func described(t *testing.T, resource map[string]any) {
	t.Helper()
	answer := httptest.NewRecorder()
	api.New(api.Deps{Catalog: new(catalog.Service)}).ServeHTTP(answer, httptest.NewRequest("GET", "/api/openapi.json", nil))
	text := answer.Body.Bytes()
	type schema struct {
		Type       any               `json:"type"`
		Ref        string            `json:"$ref"`
		Properties map[string]schema `json:"properties"`
		Items      *schema           `json:"items"`
		Required   []string          `json:"required"`
		Enum       []any             `json:"enum"`
	}
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	root := doc.Paths["/api/v1/catalog"]["post"].RequestBody.Content["application/json"].Schema
	var check func(path string, s schema, v any)
	check = func(path string, s schema, v any) {
		if s.Ref != "" {
			name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
			var ok bool
			if s, ok = doc.Components.Schemas[name]; !ok {
				t.Fatalf("%s: no schema %s", path, name)
			}
		}
		switch v := v.(type) {
		case map[string]any:
			if len(s.Required) > 0 {
				t.Errorf("%s: required %v, which a draft may lack", path, s.Required)
			}
			for name, value := range v {
				field, ok := s.Properties[name]
				if !ok {
					t.Errorf("%s.%s is not described", path, name)
					continue
				}
				check(path+"."+name, field, value)
			}
		case []any:
			if s.Items == nil {
				t.Errorf("%s is a list, described as %v", path, s.Type)
				return
			}
			for _, one := range v {
				check(path+"[]", *s.Items, one)
			}
		case string:
			if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, any(v)) {
				t.Errorf("%s = %q, described as %v %v", path, v, s.Type, s.Enum)
			}
		}
	}
	check("resource", root, resource)
	if root.Ref != "#/components/schemas/Resource" || len(doc.Components.Schemas["ResourceItem"].Properties) < 20 || len(doc.Components.Schemas["Resource"].Properties["cycle"].Enum) < 5 {
		t.Errorf("the document does not describe a resource: %+v", root)
	}
}
