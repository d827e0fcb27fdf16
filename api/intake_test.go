package api_test

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"gongshu/api"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// TestSendBatches goes through the operations as a department's system does.
func TestSendBatches(t *testing.T) {
	clause.Covers(t, "FZM-13", "FZM-31", "FZM-29.3")
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	table := w.Table("店铺登记信息",
		catalog.Item{Name: "编号", Code: "no", Type: "C", Length: 6, Key: true},
		catalog.Item{Name: "名称", Code: "name", Type: "C", Length: 20, Required: true})
	h := api.New(api.Deps{Brand: errs.T("平台", "Platform"), Door: w.Door, Intake: w.Intake})
	client := identity.Actor{Kind: identity.Client, ID: "client-1", Name: "登记系统", Body: catalogtest.Market.ID, BodyName: catalogtest.Market.Name, District: "350100", Level: "city", Client: "client-1"}
	other := client
	other.ID, other.Body = "client-2", catalogtest.Police.ID
	call := func(who identity.Actor, method, path, body string, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r.WithContext(api.WithActor(r.Context(), who)))
		return rec
	}
	path := "/api/v1/resources/" + table.PathCode() + "/batches"
	const csv = "编号,名称\n1,甲\n2,\n"
	secrecy := []string{"X-Gongshu-Secrecy", "declared; document=保审1", "Content-Type", "text/csv"}
	for _, c := range []struct {
		name, path, body string
		who              identity.Actor
		headers          []string
		status           int
		says             string
	}{
		{"no declaration", path, csv, client, nil, 422, "FZM-31"},
		{"marked", path, csv, client, []string{"X-Gongshu-Secrecy", "marked"}, 403, "FZM-31"},
		{"upsert without channel", path + "?mode=upsert", csv, client, secrecy, 403, "FZM-29.3"},
		{"another department's client", path, csv, other, secrecy, 403, ""},
		{"unknown resource", "/api/v1/resources/999999-0001/batches", csv, client, secrecy, 404, ""},
		{"bad header row", path + "?header_row=x", csv, client, secrecy, 422, "header_row"},
		{"bad mapping", path + "?mapping=x", csv, client, secrecy, 422, "mapping"},
		{"other columns", path, "a,b\n1,2\n", client, secrecy, 422, "FZM-12"},
		{"picture", path, "\x89PNG\r\n", client, secrecy, 415, "CSV"},
		{"json5", path + "?name=a.json", "[{a:1}]", client, secrecy, 422, "line 1"},
	} {
		rec := call(c.who, "POST", c.path, c.body, append(c.headers, "Accept-Language", "en")...)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) || !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s %s", c.name, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
	receipt := func(rec *httptest.ResponseRecorder, status int) intake.Receipt {
		t.Helper()
		var r intake.Receipt
		if rec.Code != status {
			t.Fatalf("%d, want %d: %s", rec.Code, status, rec.Body)
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	key := append([]string{"Idempotency-Key", "k1"}, secrecy...)
	first := receipt(call(client, "POST", path, csv, key...), 201)
	if first.Total != 2 || first.Accepted != 1 || first.Rejected != 1 || first.Open != 1 || len(first.Digest) != 64 || first.AuditIndex < 0 || first.Problems == "" || first.State != intake.Done {
		t.Errorf("%+v", first)
	}
	if again := receipt(call(client, "POST", path, csv, key...), 201); again.Batch != first.Batch || again.AuditIndex != first.AuditIndex {
		t.Errorf("the same key again: %+v", again)
	}
	if rec := call(client, "POST", path, "编号,名称\n9,九\n", key...); rec.Code != 409 {
		t.Errorf("another file under the key: %d", rec.Code)
	}
	async := call(client, "POST", path, `[{"编号":"3","名称":"丙"}]`, "X-Gongshu-Secrecy", "declared", "Content-Type", "application/json", "Prefer", "respond-async")
	waiting := receipt(async, 202)
	if waiting.State != intake.Loading || async.Header().Get("Location") != "/api/v1/batches/"+waiting.Batch {
		t.Errorf("%+v", waiting)
	}
	if _, err := w.Jobs.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done := receipt(call(client, "GET", "/api/v1/batches/"+waiting.Batch, ""), 200); done.State != intake.Done || done.Accepted != 1 {
		t.Errorf("%+v", done)
	}
	if rec := call(client, "GET", path, ""); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"total":2`) {
		t.Errorf("list: %d %s", rec.Code, rec.Body)
	}
	rec := call(client, "GET", first.Problems, "")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"row":3`) || !strings.Contains(rec.Body.String(), `"code":"required"`) {
		t.Errorf("problems: %d %s", rec.Code, rec.Body)
	}
	file := call(client, "GET", first.Problems+"?format=ndjson&open=1", "")
	if file.Code != 200 || strings.Count(file.Body.String(), "\n") != 1 || file.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("problem file: %d %s", file.Code, file.Body)
	}
	body, _ := io.ReadAll(file.Body)
	mended := strings.Replace(string(body), `"名称":null`, `"名称":"乙"`, 1)
	fix := receipt(call(client, "POST", path+"?name=m.ndjson&corrects="+first.Batch, mended, "X-Gongshu-Secrecy", "declared"), 201)
	if fix.Accepted != 1 || fix.Corrects != first.Batch {
		t.Errorf("correction: %+v", fix)
	}
	if now := receipt(call(client, "GET", "/api/v1/batches/"+first.Batch, ""), 200); now.Open != 0 || now.Corrected != 1 || now.Accepted+now.Rejected != now.Total {
		t.Errorf("after the correction: %+v", now)
	}
	for _, p := range []string{"/api/v1/batches/" + first.Batch, first.Problems, first.Problems + "?format=csv", path} {
		if rec := call(other, "GET", p, ""); rec.Code != 403 || strings.Contains(rec.Body.String(), "甲") {
			t.Errorf("another department reads %s: %d", p, rec.Code)
		}
	}
	if rec := call(client, "GET", first.Problems+"?limit=9999", ""); rec.Code != 422 {
		t.Errorf("limit: %d", rec.Code)
	}
	if rec := call(client, "GET", first.Problems+"?format=pdf", ""); rec.Code != 415 {
		t.Errorf("format: %d", rec.Code)
	}
}
