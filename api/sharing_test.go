package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/sharing/sharingtest"
)

// caller calls the API as one person after another.
type caller struct {
	t *testing.T
	h http.Handler
}

func (c caller) do(a identity.Actor, method, path, body string) (int, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("Content-Type", "application/json")
	r = r.WithContext(WithActor(r.Context(), a))
	w := httptest.NewRecorder()
	(&web.Site{}).Wrap(c.h).ServeHTTP(w, r)
	out := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		c.t.Fatalf("%s %s: %v in %q", method, path, err, w.Body)
	}
	return w.Code, out
}

func (c caller) want(status int, a identity.Actor, method, path, body string) map[string]any {
	c.t.Helper()
	code, out := c.do(a, method, path, body)
	if code != status {
		c.t.Fatalf("%s %s by %s: %d, want %d: %v", method, path, a.Post, code, status, out)
	}
	return out
}

func clausesOf(out map[string]any) string {
	var all []string
	add := func(v any) {
		list, _ := v.([]any)
		for _, x := range list {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
	}
	add(out["clauses"])
	problems, _ := out["errors"].([]any)
	if problems == nil {
		problems, _ = out["problems"].([]any)
	}
	for _, p := range problems {
		if m, ok := p.(map[string]any); ok {
			if s, ok := m["clause"].(string); ok {
				all = append(all, s)
			}
		}
	}
	return strings.Join(all, " ")
}

func sharingAPI(t *testing.T, d *db.DB, city string) (*sharingtest.World, caller) {
	w := sharingtest.Open(t, d, city)
	return w, caller{t, New(Deps{Brand: errs.T("平台", "Platform"), Version: "1", Door: w.Door, Sharing: w.Sharing, Profile: w.Profile, Now: w.Now})}
}

// TestSharingInFourCities drives the whole procedure of each city over HTTP: who
// decides in which order, by which day, and that a grant stands at the end.
func TestSharingInFourCities(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-26", "LY-12", "QZ-3.1.5", "FS-29")
	consumer := catalogtest.Actor(catalogtest.Market, identity.Steward)
	steward, leader := catalogtest.Actor(catalogtest.Police, identity.Steward), catalogtest.Actor(catalogtest.Police, identity.Leader)
	chief := catalogtest.Actor(catalogtest.Market, identity.Leader)
	authority, centre := catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer), catalogtest.Actor(sharingtest.Centre, identity.Operator)
	type act struct {
		who     identity.Actor
		outcome string
	}
	for city, c := range map[string]struct {
		due     string
		refused identity.Actor // who may not decide first
		acts    []act
	}{
		"fuzhou":   {"2026-10-22", authority, []act{{steward, "agree"}, {authority, "approve"}, {leader, "accept"}, {chief, "accept"}}},
		"quanzhou": {"2026-10-09", steward, []act{{centre, "agree"}, {steward, "object"}, {authority, "approve"}, {chief, "accept"}, {leader, "accept"}, {centre, "done"}}},
		"foshan":   {"2026-10-09", authority, []act{{leader, "approve"}}},
		"longyan":  {"2026-09-24", leader, []act{{steward, "agree"}, {authority, "approve"}, {leader, "accept"}, {chief, "accept"}, {centre, "done"}}},
	} {
		t.Run(city, func(t *testing.T) {
			w, api := sharingAPI(t, dbtest.SQLite(t), city)
			form := `{"resource":"` + w.Residents.PathCode() + `","mode":"query","purposes":["check"],"business":"企业开办身份核验","users":["登记注册科"],"items":["公民身份号码","姓名"],"end_date":"2027-03-31"}`
			api.want(http.StatusForbidden, chief, "POST", "/api/v1/requests", form)
			out := api.want(http.StatusCreated, consumer, "POST", "/api/v1/requests", form)
			number, _ := out["number"].(string)
			if out["state"] != "pending" || out["due"] != c.due || number == "" {
				t.Fatalf("state %v due %v, want pending %s", out["state"], out["due"], c.due)
			}
			at := "/api/v1/requests/" + number
			api.want(http.StatusForbidden, c.refused, "POST", at+"/decisions", `{"outcome":"approve"}`)
			api.want(http.StatusForbidden, consumer, "POST", at+"/decisions", `{"outcome":"approve"}`)
			for i, a := range c.acts {
				body := `{"outcome":"` + a.outcome + `"}`
				if a.outcome == "object" {
					if out := api.want(http.StatusUnprocessableEntity, a.who, "POST", at+"/decisions", body); out["field"] != "reason" && !strings.Contains(toJSON(t, out), "reason") {
						t.Errorf("an objection without reasons: %v", out)
					}
					body = `{"outcome":"object","reason":"建议核减姓名"}`
				}
				out = api.want(http.StatusOK, a.who, "POST", at+"/decisions", body)
				if want := map[bool]string{true: "granted", false: "pending"}[i == len(c.acts)-1]; out["state"] != want {
					t.Fatalf("after %s: %v, want %s", a.outcome, out["state"], want)
				}
			}
			grant, _ := out["grant_id"].(string)
			if grant == "" || out["grant"] == nil {
				t.Fatalf("no grant: %v", out)
			}
			out = api.want(http.StatusOK, consumer, "GET", "/api/v1/grants/"+grant, "")
			if out["mode"] != "query" || out["case_no"] != number {
				t.Errorf("grant %v", out)
			}
			stranger := catalogtest.Actor(sharingtest.Centre, identity.Steward)
			api.want(http.StatusForbidden, stranger, "GET", "/api/v1/grants/"+grant, "")
			api.want(http.StatusForbidden, stranger, "GET", at, "")
			if out := api.want(http.StatusOK, stranger, "GET", "/api/v1/requests", ""); out["total"] != float64(0) {
				t.Errorf("a stranger lists %v", out)
			}
			api.want(http.StatusOK, leader, "POST", "/api/v1/grants/"+grant+"/revocation", `{"reason":"超范围使用"}`)
			api.want(http.StatusConflict, leader, "POST", "/api/v1/grants/"+grant+"/revocation", `{"reason":"再次"}`)
		})
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSharingRefusalsOverHTTP(t *testing.T) {
	clause.Covers(t, "LY-13", "FS-13", "FZM-17")
	consumer := catalogtest.Actor(catalogtest.Market, identity.Steward)
	police := catalogtest.Actor(catalogtest.Police, identity.Steward)
	t.Run("longyan bulk", func(t *testing.T) {
		w, api := sharingAPI(t, dbtest.SQLite(t), "longyan")
		out := api.want(http.StatusUnprocessableEntity, police, "POST", "/api/v1/requests",
			`{"resource":"`+w.Licences.PathCode()+`","mode":"obtain","purposes":["basis"],"business":"普查","users":["户政科"],"end_date":"2026-12-31"}`)
		if !strings.Contains(clausesOf(out), "LY-13") {
			t.Errorf("no article: %v", out)
		}
	})
	t.Run("foshan conditions", func(t *testing.T) {
		w, api := sharingAPI(t, dbtest.SQLite(t), "foshan")
		out := api.want(http.StatusForbidden, consumer, "POST", "/api/v1/requests",
			`{"resource":"`+w.Residents.PathCode()+`","mode":"obtain","purposes":["check"],"business":"普查","users":["登记科"],"end_date":"2026-12-31"}`)
		if !strings.Contains(clausesOf(out), "FS-13") || !strings.Contains(clausesOf(out), "FS-26") {
			t.Errorf("no article: %v", out)
		}
	})
	t.Run("fuzhou at once", func(t *testing.T) {
		w, api := sharingAPI(t, dbtest.SQLite(t), "fuzhou")
		form := `{"resource":"` + w.Licences.Code + `","mode":"obtain","purposes":["basis"],"business":"户政核对","users":["户政科"]}`
		if out := api.want(http.StatusCreated, police, "POST", "/api/v1/requests", form); out["state"] != "granted" || out["grant_id"] == "" {
			t.Errorf("%v", out)
		}
		api.want(http.StatusUnauthorized, identity.Visitor("192.0.2.1", "zh"), "GET", "/api/v1/requests/none", "")
		api.want(http.StatusUnauthorized, identity.Visitor("192.0.2.1", "zh"), "POST", "/api/v1/requests", form)
		api.want(http.StatusNotFound, police, "POST", "/api/v1/requests", strings.Replace(form, w.Licences.Code, "999999/9", 1))
	})
}

func TestRulesOverHTTP(t *testing.T) {
	clause.Covers(t, "LY-12")
	_, api := sharingAPI(t, dbtest.SQLite(t), "longyan")
	visitor := identity.Visitor("192.0.2.1", "zh")
	out := api.want(http.StatusOK, visitor, "GET", "/api/v1/clauses/LY-12", "")
	if out["citation"] != "《龙岩市政务数据管理办法（试行）》第十二条" || !strings.Contains(out["text"].(string), "5个工作日") || !strings.Contains(toJSON(t, out["keys"]), "sharing.conditional.answer_days") {
		t.Errorf("%v", out)
	}
	api.want(http.StatusNotFound, visitor, "GET", "/api/v1/clauses/LY-99", "")
	out = api.want(http.StatusOK, visitor, "GET", "/api/v1/profile?on=2026-11-22", "")
	if out["city"] != "longyan" || len(out["values"].([]any)) < 80 {
		t.Errorf("%v", out["city"])
	}
}
