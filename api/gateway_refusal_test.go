package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/internal/db"
)

// refusal is one line of the table: what is asked, what comes back, and which
// field and article it names.
type refusal struct {
	name    string
	method  string
	path    string
	body    string
	headers []string
	status  int
	field   string
	clause  string
}

// TestRefusals is every endpoint's table. No refusal releases anything, each names
// field and reason, and none of them hints at what exists.
func TestRefusals(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "FS-13", "FS-29", "FZM-17")
	h := one(t, 40)
	p := resident(3)
	h.grant(h.spec(gateway.Query))
	h.grant(h.spec(gateway.Verify))
	h.grant(h.spec(gateway.Statistics, "区划代码", "年收入", "手机号码", "公民身份号码", "登记日期"))
	h.grant(h.spec(gateway.Obtain))
	key := `"公民身份号码":"` + p.id + `"`
	q, v, s, r := peoplePath+"query", peoplePath+"verify", peoplePath+"statistics", peoplePath+"rows"
	ok := `{"where":{` + key + `}}`
	count := `{"measures":[{"op":"count"}]}`
	table := []refusal{
		{"no key", "POST", q, ok, []string{"Authorization", ""}, 401, "", ""},
		{"wrong key", "POST", q, ok, []string{"Authorization", "Bearer gsk_none"}, 401, "", ""},
		{"malformed signature", "POST", q, ok, []string{"Authorization", "GONGSHU-HMAC-SM3 x"}, 401, "Authorization", ""},
		{"no grant", "POST", q, ok, []string{"Authorization", "Bearer " + h.other}, 403, "resource", "FZM-17"},
		{"provider without grant", "POST", q, ok, []string{"Authorization", "Bearer " + h.chief}, 403, "resource", "FZM-17"},
		{"no such resource", "POST", "/api/v1/resources/399999999-000009/query", ok, nil, 403, "resource", "FZM-17"},
		{"other purpose", "POST", q, ok, []string{"X-Gongshu-Purpose", "营销"}, 403, "X-Gongshu-Purpose", "FZM-29"},
		{"other user", "POST", q, ok, []string{"X-Gongshu-User", "张三"}, 403, "X-Gongshu-User", "LY-21"},
		{"other grant", "POST", q, ok, []string{"X-Gongshu-Grant", "none"}, 403, "resource", "FZM-17"},
		{"header not UTF-8", "POST", q, ok, []string{"X-Gongshu-User", "\xff\xfe"}, 422, "X-Gongshu-User", ""},
		{"not JSON", "POST", q, `where`, nil, 422, "body", ""},
		{"empty", "POST", q, ` `, nil, 422, "body", ""},
		{"array", "POST", q, `[]`, nil, 422, "body", ""},
		{"after the end", "POST", q, ok + `{}`, nil, 422, "body", ""},
		{"repeated member", "POST", q, `{"where":{` + key + `},"where":{` + key + `}}`, nil, 422, "where", ""},
		{"repeated key", "POST", q, `{"where":{` + key + `,` + key + `}}`, nil, 422, "公民身份号码", ""},
		{"unknown member", "POST", q, `{"where":{` + key + `},"sort":"x"}`, nil, 422, "sort", ""},
		{"deep", "POST", q, `{"where":{"公民身份号码":{"$ne":""}}}`, nil, 422, "公民身份号码", ""},
		{"list as value", "POST", q, `{"where":{"公民身份号码":["a"]}}`, nil, 422, "公民身份号码", ""},
		{"where no object", "POST", q, `{"where":["公民身份号码"]}`, nil, 422, "where", ""},
		{"fields no list", "POST", q, `{"where":{` + key + `},"fields":"姓名"}`, nil, 422, "fields", ""},
		{"form", "POST", q, ok, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "Content-Type", ""},
		{"large", "POST", q, `{"where":{"公民身份号码":"` + strings.Repeat("1", 70000) + `"}}`, nil, 413, "body", ""},
		{"no where", "POST", q, `{}`, nil, 422, "where", "FS-13"},
		{"empty where", "POST", q, `{"where":{}}`, nil, 422, "where", "FS-13"},
		{"not the key", "POST", q, `{"where":{"姓名":"陈某"}}`, nil, 422, "公民身份号码", "FS-13"},
		{"more than the key", "POST", q, `{"where":{` + key + `,"姓名":"陈某"}}`, nil, 403, "姓名", "FS-13"},
		{"null key", "POST", q, `{"where":{"公民身份号码":null}}`, nil, 422, "公民身份号码", "FS-13"},
		{"empty key", "POST", q, `{"where":{"公民身份号码":""}}`, nil, 422, "公民身份号码", ""},
		{"item not granted", "POST", q, `{"where":{` + key + `},"fields":["内部备注"]}`, nil, 403, "内部备注", "FZM-29"},
		{"item that does not exist", "POST", q, `{"where":{` + key + `},"fields":["血型"]}`, nil, 403, "血型", "FZM-29"},
		{"physical column", "POST", q, `{"where":{` + key + `},"fields":["c8"]}`, nil, 403, "c8", "FZM-29"},
		{"field twice", "POST", q, `{"where":{` + key + `},"fields":["姓名","name"]}`, nil, 422, "fields", ""},
		{"limit 0", "POST", q, `{"where":{` + key + `},"limit":0}`, nil, 422, "limit", ""},
		{"limit over", "POST", q, `{"where":{` + key + `},"limit":101}`, nil, 422, "limit", ""},
		{"limit no number", "POST", q, `{"where":{` + key + `},"limit":"many"}`, nil, 422, "limit", ""},
		{"wrong method", "GET", q, "", nil, 405, "", ""},
		{"misspelt parameter", "POST", q + "?limt=1", ok, nil, 422, "limt", ""},

		{"verify: no key", "POST", v, `{"claims":{"姓名":"x"}}`, nil, 422, "key", "FS-13"},
		{"verify: no claims", "POST", v, `{"key":{` + key + `}}`, nil, 422, "claims", "FS-13"},
		{"verify: item not granted", "POST", v, `{"key":{` + key + `},"claims":{"内部备注":"x"}}`, nil, 403, "内部备注", "FZM-29"},
		{"verify: empty claim", "POST", v, `{"key":{` + key + `},"claims":{"姓名":null}}`, nil, 422, "姓名", ""},
		{"verify: claim of another type", "POST", v, `{"key":{` + key + `},"claims":{"年收入":"much"}}`, nil, 422, "年收入", ""},
		{"verify: too many", "POST", v, `{"key":{` + key + `},"claims":{` + strings.Repeat(`"a":"1",`, 0) + manyClaims() + `}}`, nil, 413, "claims", ""},
		{"verify: twice", "POST", v, `{"key":{` + key + `},"claims":{"姓名":"x","name":"y"}}`, nil, 422, "姓名", ""},

		{"statistics: no measure", "POST", s, `{"by":["区划代码"]}`, nil, 422, "measures", "FS-13"},
		{"statistics: by a person", "POST", s, `{"by":["公民身份号码"],"measures":[{"op":"count"}]}`, nil, 403, "by", "FS-13"},
		{"statistics: by a masked item", "POST", s, `{"by":["手机号码"],"measures":[{"op":"count"}]}`, nil, 403, "by", "FS-13"},
		{"statistics: where a person", "POST", s, `{"measures":[{"op":"count"}],"where":[{"item":"公民身份号码","op":"eq","values":["` + p.id + `"]}]}`, nil, 403, "where[0]", "FS-13"},
		{"statistics: item not granted", "POST", s, `{"by":["姓名"],"measures":[{"op":"count"}]}`, nil, 403, "姓名", "FZM-29"},
		{"statistics: greatest", "POST", s, `{"measures":[{"op":"max","item":"年收入"}]}`, nil, 403, "measures[0]", "FS-13"},
		{"statistics: sum of text", "POST", s, `{"measures":[{"op":"sum","item":"区划代码"}]}`, nil, 422, "measures[0]", ""},
		{"statistics: no such measure", "POST", s, `{"measures":[{"op":"median","item":"年收入"}]}`, nil, 422, "measures[0].op", ""},
		{"statistics: sum of nothing", "POST", s, `{"measures":[{"op":"count"},{"op":"sum"}]}`, nil, 422, "measures[1].item", ""},
		{"statistics: measures given twice", "POST", s, `{"measures":[{"op":"count"}],"measures":[{"op":"count"}]}`, nil, 422, "measures", ""},
		{"statistics: other case", "POST", s, `{"Measures":[{"op":"count"}]}`, nil, 422, "Measures", ""},
		{"statistics: unknown member of a measure", "POST", s, `{"measures":[{"op":"count","as":"n"}]}`, nil, 422, "measures[0].as", ""},
		{"statistics: by no list", "POST", s, `{"by":"区划代码","measures":[{"op":"count"}]}`, nil, 422, "by", ""},
		{"statistics: where no list", "POST", s, `{"measures":[{"op":"count"}],"where":{"年收入":1}}`, nil, 422, "where", ""},
		{"statistics: value null", "POST", s, `{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"gt","values":[null]}]}`, nil, 422, "where[0].values", ""},
		{"statistics: null", "POST", s, `null`, nil, 422, "body", ""},
		{"statistics: array", "POST", s, `[]`, nil, 422, "body", ""},
		{"statistics: limit", "POST", s, `{"measures":[{"op":"count"}],"limit":3}`, nil, 422, "limit", ""},
		{"statistics: unknown member", "POST", s, `{"measures":[{"op":"count"}],"having":1}`, nil, 422, "having", ""},
		{"statistics: bad comparison", "POST", s, `{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"like","values":["%"]}]}`, nil, 422, "where[0].op", ""},
		{"statistics: bad value", "POST", s, `{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"gt","values":["much"]}]}`, nil, 422, "年收入", ""},
		{"statistics: two values", "POST", s, `{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"gt","values":["1","2"]}]}`, nil, 422, "where[0].values", ""},
		{"statistics: twice", "POST", s, `{"by":["区划代码","district"],"measures":[{"op":"count"}]}`, nil, 422, "by", ""},
		{"statistics: not JSON", "POST", s, count + "x", nil, 422, "body", ""},

		{"rows: format", "GET", r + "?format=xls", "", nil, 415, "format", ""},
		{"rows: since", "GET", r + "?since=abc", "", nil, 422, "since", ""},
		{"rows: since forged", "GET", r + "?since=00000000000000000000000000000000", "", nil, 422, "since", ""},
		{"rows: limit", "GET", r + "?limit=-1", "", nil, 422, "limit", ""},
		{"rows: unknown parameter", "GET", r + "?where=1", "", nil, 422, "where", ""},
		{"rows: twice", "GET", r + "?format=csv&format=ndjson", "", nil, 422, "format", ""},
		{"rows: no grant", "GET", r, "", []string{"Authorization", "Bearer " + h.other}, 403, "resource", "FZM-17"},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			a := h.ask(c.method, c.path, c.body, c.headers...)
			pr := a.problem()
			if a.status != c.status || pr.Field != c.field || pr.Status != c.status || pr.Title == "" || pr.Detail == "" {
				t.Fatalf("%d %s, want %d on field %q", a.status, a.body, c.status, c.field)
			}
			if a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("content type %s", a.header.Get("Content-Type"))
			}
			found := c.clause == ""
			for _, id := range pr.Clauses {
				found = found || id == c.clause
			}
			if !found {
				t.Errorf("%v does not name %s", pr.Clauses, c.clause)
			}
			nothingOf(t, a, p)
		})
	}
	// Refused requests of known callers are on record with the reason.
	refused := 0
	for _, r := range h.entries("gateway.query") {
		if r.Entry.Outcome == "refused" {
			refused++
			if r.Entry.Code == "" {
				t.Errorf("a refusal without its reason: %s", r.Content)
			}
			if strings.Contains(string(r.Content), p.id) {
				t.Errorf("a refusal's entry holds the key: %s", r.Content)
			}
		}
	}
	if refused < 20 {
		t.Errorf("%d refusals on record", refused)
	}
	// No grant, a withheld resource and a resource that does not exist read the same.
	one := h.ask("POST", q, ok, "Authorization", "Bearer "+h.other).problem()
	other := h.ask("POST", "/api/v1/resources/310010100-000002/query", ok, "Authorization", "Bearer "+h.other).problem()
	one.Instance, other.Instance = "", ""
	a, _ := json.Marshal(one)
	b, _ := json.Marshal(other)
	if strings.ReplaceAll(string(a), "000001", "000002") != string(b) {
		t.Errorf("existing: %s\nmissing:  %s", a, b)
	}
}

func manyClaims() string {
	var b strings.Builder
	for i := range 25 {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"x` + strings.Repeat("x", i) + `":"1"`)
	}
	return b.String()
}

// nothingOf fails when an answer holds any value of the person.
func nothingOf(t *testing.T, a answer, p person) {
	t.Helper()
	whole := a.body
	for k, vs := range a.header {
		whole += k + strings.Join(vs, " ")
	}
	for _, secret := range []string{p.note, p.mobile, p.name, p.income} {
		if strings.Contains(whole, secret) {
			t.Errorf("%q is in the answer %s", secret, whole)
		}
	}
}

// TestMissingFacts: where the grant does not settle purpose or user, the request
// has to, and the refusal names the article and the choices.
func TestMissingFacts(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21")
	h := one(t, 5)
	s := h.spec(gateway.Query)
	s.Purposes, s.Users = []string{"低保资格核验", "临时救助"}, nil
	h.grant(s)
	body := `{"where":{"公民身份号码":"` + resident(1).id + `"}}`
	a := h.ask("POST", peoplePath+"query", body)
	if p := a.problem(); a.status != 422 || p.Field != "X-Gongshu-Purpose" || len(p.Clauses) < 2 || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Message, "临时救助") {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = h.ask("POST", peoplePath+"query", body, "X-Gongshu-Purpose", "临时救助")
	if p := a.problem(); a.status != 422 || p.Field != "X-Gongshu-User" || p.Clauses[0] != "FZM-29" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = h.ask("POST", peoplePath+"query", body, "X-Gongshu-Purpose", "临时救助", "X-Gongshu-User", "王五"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Each of the grant's purposes may be taken, no other.
	if a = h.ask("POST", peoplePath+"query", body, "X-Gongshu-Purpose", "别的", "X-Gongshu-User", "王五"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestTimesAndClients: a grant holds for its clients, from its beginning to its end.
func TestTimesAndClients(t *testing.T) {
	clause.Covers(t, "FS-29")
	h := one(t, 5)
	s := h.spec(gateway.Query)
	s.Starts, s.Expires = h.now().Add(time.Hour), h.now().Add(2*time.Hour)
	s.Clients = []string{h.ident["welfare"]}
	h.grant(s)
	body := `{"where":{"公民身份号码":"` + resident(1).id + `"}}`
	for _, c := range []struct {
		after  time.Duration
		status int
	}{{0, 403}, {time.Hour, 200}, {119 * time.Minute, 200}, {2 * time.Hour, 403}} {
		h.clock.Store(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC).Add(c.after).UnixMilli())
		if a := h.ask("POST", peoplePath+"query", body); a.status != c.status {
			t.Errorf("after %v: %d %s", c.after, a.status, a.body)
		}
	}
	s.Starts, s.Expires, s.Clients = time.Time{}, h.now().Add(time.Hour), []string{"another client"}
	h.grant(s)
	if a := h.ask("POST", peoplePath+"query", body); a.status != 403 {
		t.Errorf("a client that the grant does not name: %d", a.status)
	}
}

func TestRateAndQuota(t *testing.T) {
	both(t, 20, func(t *testing.T, h *house) {
		s := h.spec(gateway.Query)
		s.RequestsPerDay, s.PerSecond = 3, 1000
		g := h.grant(s)
		body := `{"where":{"公民身份号码":"` + resident(1).id + `"}}`
		for i := range 3 {
			if a := h.ask("POST", peoplePath+"query", body); a.status != 200 {
				t.Fatalf("request %d: %d %s", i, a.status, a.body)
			}
		}
		a := h.ask("POST", peoplePath+"query", body)
		if p := a.problem(); a.status != 429 || p.Field != "requests_per_day" || a.header.Get("Retry-After") != "54001" {
			t.Errorf("%d %s Retry-After %s", a.status, a.body, a.header.Get("Retry-After"))
		}
		// Another node, and this one after a restart, know of the use.
		ctx, stop := contextOf(t)
		done := make(chan error)
		go func() { done <- h.gw.Run(ctx) }()
		eventually(t, func() bool {
			other := h.serve(h.node())
			return h.askAt(other.URL, "POST", peoplePath+"query", body).status == 429
		})
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		// The next day begins anew.
		h.clock.Add((16 * time.Hour).Milliseconds())
		if a := h.ask("POST", peoplePath+"query", body); a.status != 200 {
			t.Errorf("next day: %d %s", a.status, a.body)
		}
		h.revoke(g)
		s.RequestsPerDay, s.PerSecond = 0, 2
		h.grant(s)
		limited := 0
		for range 6 {
			if a := h.ask("POST", peoplePath+"query", body); a.status == 429 && a.header.Get("Retry-After") == "1" && a.problem().Field == "rate" {
				limited++
			}
		}
		if limited == 0 {
			t.Error("six requests at once under a rate of two a second")
		}
		// A flood is noted, not logged one by one.
		noted := 0
		for _, r := range h.entries("gateway.query") {
			if strings.HasPrefix(r.Entry.Code, "too_many") {
				noted++
			}
		}
		if noted == 0 || noted > 3 {
			t.Errorf("%d entries of refusals by rate and quota", noted)
		}
	})
}

// TestRowQuota: the rows of a day are bounded over queries and streams.
func TestRowQuota(t *testing.T) {
	h := one(t, 600)
	s := h.spec(gateway.Obtain)
	s.RowsPerDay = 300
	h.grant(s)
	a := h.ask("GET", peoplePath+"rows", "")
	lines := strings.Count(a.body, "\r\n") - 1
	if a.status != 200 || a.trail.Get("X-Gongshu-Complete") != "false" || lines < 300 || lines > 300+256 {
		t.Fatalf("%d, %d rows, trailers %v", a.status, lines, a.trail)
	}
	next := a.trail.Get("X-Gongshu-Next-Since")
	if a := h.ask("GET", peoplePath+"rows?since="+next, ""); a.status != 429 || a.problem().Field != "rows_per_day" {
		t.Errorf("%d %s", a.status, a.body)
	}
	h.clock.Add((24 * time.Hour).Milliseconds())
	a = h.ask("GET", peoplePath+"rows?since="+next, "")
	if rest := strings.Count(a.body, "\r\n") - 1; a.status != 200 || rest+lines != 600 || a.trail.Get("X-Gongshu-Complete") != "true" {
		t.Errorf("%d, %d rows after %d, %v", a.status, rest, lines, a.trail)
	}
}

// TestKeysAndSignatures: disabled clients, foreign addresses and forged signatures
// come to nothing.
func TestDisabledClient(t *testing.T) {
	h := one(t, 5)
	h.grant(h.spec(gateway.Query))
	body := `{"where":{"公民身份号码":"` + resident(1).id + `"}}`
	if a := h.ask("POST", peoplePath+"query", body); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	disabled := "disabled"
	if err := h.d.InTx(t.Context(), func(tx *db.Tx) error {
		return h.ids.UpdateClientTx(t.Context(), tx, h.ident["welfare"], clientState(disabled))
	}); err != nil {
		t.Fatal(err)
	}
	if a := h.ask("POST", peoplePath+"query", body); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
}
