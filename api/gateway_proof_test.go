package api

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/internal/db"
	"gongshu/warehouse"
)

// TestNothingLeavesUnlogged: each table that a read path touches is taken away in
// turn, on both databases and in all four modes. Whatever then comes back holds no
// data, and every answer that did come has its entry.
func TestNothingLeavesUnlogged(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "LY-24", "QZ-3.1.8")
	both(t, 40, func(t *testing.T, h *house) {
		for _, m := range gateway.Modes() {
			s := h.spec(m, "姓名", "区划代码", "年收入")
			s.RequestsPerDay = 1_000_000
			h.grant(s)
		}
		p := resident(8)
		n := 0
		ask := func(mode gateway.Mode) answer {
			n++ // verify and statistics ask something new each time, so that they write
			switch mode {
			case gateway.Query:
				return h.ask("POST", peoplePath+"query", `{"where":{"公民身份号码":"`+p.id+`"}}`)
			case gateway.Verify:
				return h.ask("POST", peoplePath+"verify", fmt.Sprintf(`{"key":{"公民身份号码":"%s"},"claims":{"年收入":30056}}`, resident(n).id))
			case gateway.Statistics:
				return h.ask("POST", peoplePath+"statistics", `{"by":["区划代码"],"measures":[{"op":"sum","item":"年收入"}]}`)
			}
			return h.ask("GET", peoplePath+"rows", "")
		}
		answered := 0
		for _, m := range gateway.Modes() {
			if a := ask(m); a.status != 200 {
				t.Fatalf("%s: %d %s", m, a.status, a.body)
			}
			answered++
		}
		exec := func(store *sql.DB, q string) {
			t.Helper()
			if _, err := store.ExecContext(t.Context(), q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		for _, c := range []struct {
			table string
			hit   []gateway.Mode // the modes that must fail
		}{
			{"audit_entry", gateway.Modes()}, {"audit_head", gateway.Modes()},
			{"gateway_claim", []gateway.Mode{gateway.Verify}}, {"gateway_guess", []gateway.Mode{gateway.Verify}},
			{"gateway_ledger", []gateway.Mode{gateway.Statistics}}, {"gateway_group", []gateway.Mode{gateway.Statistics}},
			{"gateway_release", []gateway.Mode{gateway.Obtain}},
		} {
			exec(h.d.SQL(), `ALTER TABLE `+c.table+` RENAME TO away`)
			for _, m := range c.hit {
				a := ask(m)
				if a.status < 500 || a.trail.Get("X-Gongshu-Digest") != "" {
					t.Errorf("without %s, %s: %d %s", c.table, m, a.status, a.body)
				}
				nothingOf(t, a, p)
				if strings.Contains(a.body, "away") || strings.Contains(a.body, c.table) || strings.Contains(a.body, "SQL") {
					t.Errorf("the answer tells of the store: %s", a.body)
				}
			}
			exec(h.d.SQL(), `ALTER TABLE away RENAME TO `+c.table)
			for _, m := range c.hit {
				eventually(t, func() bool { return ask(m).status == 200 })
				answered++
			}
		}
		if h.d.Dialect == db.SQLite {
			answered += fullDisk(t, h, ask, p)
		}
		// The quota's count: a day that was not counted yet.
		h.clock.Add((24 * time.Hour).Milliseconds())
		exec(h.d.SQL(), `ALTER TABLE gateway_quota RENAME TO away`)
		for _, m := range gateway.Modes() {
			if a := ask(m); a.status != 503 {
				t.Errorf("without quotas, %s: %d %s", m, a.status, a.body)
			} else {
				nothingOf(t, a, p)
			}
		}
		exec(h.d.SQL(), `ALTER TABLE away RENAME TO gateway_quota`)
		// Grants that cannot be confirmed to be in force are not used.
		exec(h.d.SQL(), `ALTER TABLE gateway_grant RENAME TO away`)
		time.Sleep(time.Second)
		for _, m := range gateway.Modes() {
			if a := ask(m); a.status != 503 {
				t.Errorf("without grants, %s: %d %s", m, a.status, a.body)
			}
		}
		exec(h.d.SQL(), `ALTER TABLE away RENAME TO gateway_grant`)
		// The warehouse fails: an error, and it is on record.
		if err := h.store.Drop(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		for _, m := range gateway.Modes() {
			if a := ask(m); a.status != 404 && a.status < 500 {
				t.Errorf("without rows, %s: %d %s", m, a.status, a.body)
			}
		}
		ok := 0
		for _, m := range gateway.Modes() {
			for _, r := range h.entries("gateway." + string(m)) {
				if r.Bad {
					t.Errorf("entry %d is bad", r.Seq)
				}
				if r.Entry.Outcome == "ok" && r.Entry.Note("stage") != "end" {
					ok++
				}
			}
		}
		if ok < answered {
			t.Errorf("%d answers, %d entries", answered, ok)
		}
	})
}

// fullDisk lets the control store grow no further: answers go out until an entry finds
// no room, none after, and again when there is room. It gives how many went out.
func fullDisk(t *testing.T, h *house, ask func(gateway.Mode) answer, p person) (answered int) {
	t.Helper()
	limit := func(pages int) {
		t.Helper()
		var set int
		if err := h.d.SQL().QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&set); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the present size for the least
	full := false
	for range 2000 {
		a := ask(gateway.Query)
		if a.status == 200 {
			answered++
			continue
		}
		full = true
		if a.status != 503 {
			t.Errorf("on a full disk: %d %s", a.status, a.body)
		}
		nothingOf(t, a, p)
		break
	}
	if !full {
		t.Fatal("the store took two thousand entries without room for one")
	}
	for _, m := range gateway.Modes() {
		a := ask(m)
		if a.status < 500 {
			t.Errorf("on a full disk, %s: %d %s", m, a.status, a.body)
		}
		nothingOf(t, a, p)
	}
	limit(1 << 30)
	for _, m := range gateway.Modes() {
		eventually(t, func() bool { return ask(m).status == 200 })
		answered++
	}
	return answered
}

// TestStreamNeedsItsLastEntry: a stream whose closing entry cannot be written does
// not look complete.
func TestStreamNeedsItsLastEntry(t *testing.T) {
	h := one(t, 2000)
	h.grant(h.spec(gateway.Obtain))
	req, _ := http.NewRequestWithContext(t.Context(), "GET", h.srv.URL+peoplePath+"rows", nil)
	req.Header.Set("Authorization", "Bearer "+h.key)
	call := &gateway.Call{Resource: people.Code}
	caller, err := h.ids.Authenticate(req, addrOf(req))
	if err != nil {
		t.Fatal(err)
	}
	call.Caller = caller
	_, err = h.gw.Obtain(t.Context(), call, gateway.ObtainRequest{}, func(gateway.StreamInfo) (io.Writer, error) {
		_, err := h.d.SQL().ExecContext(t.Context(), `ALTER TABLE audit_entry RENAME TO away`)
		return io.Discard, err
	})
	if err == nil {
		t.Error("the stream ended well without its entry")
	}
	if _, err := h.d.SQL().ExecContext(t.Context(), `ALTER TABLE away RENAME TO audit_entry`); err != nil {
		t.Fatal(err)
	}
}

// twin makes a second house whose residents differ in every value that the grant
// does not give: what comes back must be the same bytes.
func twin(t *testing.T, change func(i int, p *person)) *house {
	h := one(t, 0)
	var list [][]string
	for i := range 60 {
		p := resident(i)
		if change != nil {
			change(i, &p)
		}
		list = append(list, p.cells())
	}
	h.load(warehouse.Append, list)
	return h
}

// TestUngrantedValuesMakeNoDifference is metamorphic: two stores that differ only
// in what a grant does not give (ungranted items, what a mask hides, rows outside
// the filter) answer every request, good or bad, with the same bytes.
func TestUngrantedValuesMakeNoDifference(t *testing.T) {
	clause.Covers(t, "FZM-29", "FS-13")
	hidden := func(i int, p *person) {
		if p.district != "350102" { // outside the grant's rows
			p.income, p.registered, p.poor = fmt.Sprint(i), "1999-09-09", "1"
		}
		p.note = fmt.Sprint("另一备注", i)                         // not granted
		p.mobile = p.mobile[:3] + "9999" + p.mobile[7:]        // masked in the middle
		p.name = p.name[:3] + string(rune('丁'+i)) + p.name[6:] // masked but for the first character
	}
	h1, h2 := twin(t, nil), twin(t, hidden)
	items := []string{"姓名", "手机号码", "区划代码", "年收入"}
	for _, h := range []*house{h1, h2} {
		for _, m := range []gateway.Mode{gateway.Query, gateway.Statistics, gateway.Obtain} {
			s := h.spec(m, items...)
			s.Where = []gateway.Condition{{Item: "区划代码", Op: gateway.Eq, Values: []string{"350102"}}}
			s.PerSecond = 1 << 20
			h.grant(s)
		}
		s := h.spec(gateway.Verify, "区划代码", "年收入")
		s.Where = []gateway.Condition{{Item: "区划代码", Op: gateway.Eq, Values: []string{"350102"}}}
		s.PerSecond = 1 << 20
		h.grant(s)
	}
	seen := func(a answer) string {
		body := a.body
		if i := strings.Index(body, `"audit":`); i >= 0 {
			body = body[:i]
		}
		if i := strings.Index(body, `"instance":`); i >= 0 {
			j := strings.Index(body[i+12:], `"`)
			body = body[:i] + body[i+12+j:]
		}
		// Quotes in CSV are the watermark of the release; values are compared.
		if strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
			body = strings.ReplaceAll(body, `"`, "")
		}
		return fmt.Sprint(a.status, a.header.Get("Content-Type"), a.trail.Get("X-Gongshu-Rows"), body)
	}
	names := append([]string{"内部备注", "note", "c8", "i8", "公民身份号码", "血型", ""}, items...)
	rapid.Check(t, func(t *rapid.T) {
		p := resident(rapid.IntRange(0, 70).Draw(t, "who"))
		name := func(label string) string { return rapid.SampledFrom(names).Draw(t, label) }
		value := rapid.SampledFrom([]string{p.income, p.district, p.name, p.note, p.mobile, "350102", "1", "' OR 1=1 --"}).Draw(t, "value")
		quote := func(s string) string { raw, _ := json.Marshal(s); return string(raw) }
		var path, body string
		switch rapid.IntRange(0, 3).Draw(t, "mode") {
		case 0:
			path = "query"
			body = `{"where":{"公民身份号码":` + quote(p.id) + `}`
			if rapid.Bool().Draw(t, "fields") {
				body += `,"fields":[` + quote(name("field")) + `]`
			}
			if rapid.Bool().Draw(t, "extra") {
				body = `{"where":{"公民身份号码":` + quote(p.id) + `,` + quote(name("where")) + `:` + quote(value) + `}`
			}
			body += "}"
		case 1:
			path = "verify"
			body = `{"key":{"公民身份号码":` + quote(p.id) + `},"claims":{` + quote(name("claim")) + `:` + quote(value) + `}}`
		case 2:
			path = "statistics"
			op := rapid.SampledFrom([]string{"count", "sum", "avg", "max", "distinct"}).Draw(t, "op")
			item := name("measure")
			if op == "count" {
				item = ""
			}
			body = `{"measures":[{"op":"` + op + `","item":` + quote(item) + `}]`
			if rapid.Bool().Draw(t, "by") {
				body += `,"by":[` + quote(name("group")) + `]`
			}
			if rapid.Bool().Draw(t, "where") {
				body += `,"where":[{"item":` + quote(name("cond")) + `,"op":` + quote(rapid.SampledFrom([]string{"eq", "ne", "gt", "prefix", "null"}).Draw(t, "cmp")) + `,"values":[` + quote(value) + `]}]`
			}
			body += "}"
		case 3:
			path = "rows?format=" + rapid.SampledFrom([]string{"csv", "ndjson", "xls"}).Draw(t, "format")
		}
		method := "POST"
		if body == "" {
			method = "GET"
		}
		a, b := h1.ask(method, peoplePath+path, body), h2.ask(method, peoplePath+path, body)
		x, y := seen(a), seen(b)
		if strings.HasPrefix(path, "rows?format=ndjson") { // spaces are the watermark
			x, y = strings.ReplaceAll(x, " ", ""), strings.ReplaceAll(y, " ", "")
		}
		if x != y {
			t.Fatalf("%s %s\n%s\n%s", path, body, x, y)
		}
		for _, a := range []answer{a, b} {
			if strings.Contains(a.body, "备注0") || strings.Contains(a.body, "另一备注") {
				t.Fatalf("%s %s: an ungranted value: %s", path, body, a.body)
			}
		}
	})
}

// injections are texts that some database or reader takes for more than text.
var injections = []string{
	`' OR '1'='1`, `'; DROP TABLE gateway_grant; --`, `" OR ""="`, `\' OR 1=1 --`, `1) OR (1=1`, `' UNION SELECT detail FROM gateway_grant --`,
	`$1`, `$1::text`, `?`, `:a`, `@a`, `%' --`, `_%`, `a' || pg_sleep(5) --`, `'; SELECT pg_sleep(5)--`, `x'; ATTACH DATABASE 'a' AS b;--`,
	`{"$ne":null}`, `${jndi:ldap://x}`, `<script>alert(1)</script>`, `=cmd|' /C calc'!A0`, `../../etc/passwd`, "a\\u0000b", "\u202e", "＇ＯＲ１＝１",
	`c1`, `_seq`, `r_r1_1`, `公民身份号码"; --`, strings.Repeat("'", 500),
}

// TestInjections: in every place where a request can put text, these are text.
func TestInjections(t *testing.T) {
	clause.Covers(t, "FZM-29")
	both(t, 40, func(t *testing.T, h *house) {
		for _, m := range gateway.Modes() {
			s := h.spec(m, "姓名", "区划代码", "年收入", "内部备注")
			s.PerSecond = 1 << 20
			if m == gateway.Query {
				s.FreeQuery = true
			}
			h.grant(s)
		}
		p := resident(5)
		count := func() int64 {
			n, err := h.store.Count(t.Context(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		began := time.Now()
		for _, bad := range injections {
			raw, _ := json.Marshal(bad)
			text := string(raw)
			if bad == "a\\u0000b" {
				text = `"a\u0000b"`
			}
			key := `{"公民身份号码":"` + p.id + `"}`
			for _, c := range []struct{ method, path, body string }{
				{"POST", "query", `{"where":{"公民身份号码":` + text + `}}`},
				{"POST", "query", `{"where":{"内部备注":` + text + `}}`},
				{"POST", "query", `{"where":{` + text + `:"1"}}`},
				{"POST", "query", `{"where":` + key + `,"fields":[` + text + `]}`},
				{"POST", "verify", `{"key":` + key + `,"claims":{"内部备注":` + text + `}}`},
				{"POST", "verify", `{"key":` + key + `,"claims":{` + text + `:"x"}}`},
				{"POST", "verify", `{"key":{"公民身份号码":` + text + `},"claims":{"内部备注":"x"}}`},
				{"POST", "statistics", `{"by":[` + text + `],"measures":[{"op":"count"}]}`},
				{"POST", "statistics", `{"measures":[{"op":` + text + `,"item":"年收入"}]}`},
				{"POST", "statistics", `{"measures":[{"op":"sum","item":` + text + `}]}`},
				{"POST", "statistics", `{"measures":[{"op":"count"}],"where":[{"item":"内部备注","op":"eq","values":[` + text + `]}]}`},
				{"POST", "statistics", `{"measures":[{"op":"count"}],"where":[{"item":"内部备注","op":"prefix","values":[` + text + `]}]}`},
				{"POST", "statistics", `{"measures":[{"op":"count"}],"where":[{"item":"内部备注","op":` + text + `,"values":["x"]}]}`},
			} {
				a := h.ask(c.method, peoplePath+c.path, c.body)
				if a.status >= 500 {
					t.Errorf("%s %s: %d %s", c.path, c.body, a.status, a.body)
				}
				if a.status == 200 && (strings.Contains(a.body, "机密备注") || strings.Contains(a.body, "true,") && c.path == "verify") {
					t.Errorf("%s %s gave %s", c.path, c.body, a.body)
				}
			}
		}
		if n := count(); n != 40 {
			t.Errorf("%d rows are left", n)
		}
		if took := time.Since(began); took > 60*time.Second {
			t.Errorf("it took %v: did something sleep?", took)
		}
	})
}

// TestUsageLog: provider and consumer see every use with its facts, answered or
// refused, and nobody else's; the feed never drops and never repeats.
func TestUsageLog(t *testing.T) {
	clause.Covers(t, "LY-24", "QZ-3.1.8", "FZM-29", "LY-21")
	both(t, 40, func(t *testing.T, h *house) {
		g := h.grant(h.spec(gateway.Query))
		body := `{"where":{"公民身份号码":"` + resident(3).id + `"}}`
		for i := range 7 {
			if a := h.ask("POST", peoplePath+"query", body, "X-Gongshu-Case", fmt.Sprint("case", i)); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		h.ask("POST", peoplePath+"query", `{"where":{"姓名":"x"}}`)
		feed := func(key, query string) gateway.Feed {
			t.Helper()
			a := h.ask("GET", "/api/v1/usage"+query, "", "Authorization", "Bearer "+key)
			var f gateway.Feed
			if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			return f
		}
		all := feed(h.chief, "?side=provider&after=0")
		if len(all.Entries) != 8 || all.More {
			t.Fatalf("%d lines: %+v", len(all.Entries), all)
		}
		for i, u := range all.Entries {
			if u.Grant != g.ID || u.Provider != "police" || u.Consumer != "welfare" || u.Purpose != "低保资格核验" || u.User != "林小敏" || u.Approver != "陈主任" ||
				u.Medium != "interface" || u.Mode != gateway.Query || u.At.IsZero() || u.Resource != people.Code {
				t.Errorf("line %d: %+v", i, u)
			}
		}
		if u := all.Entries[6]; u.Rows != 1 || u.Outcome != "ok" || u.Case != "case6" || len(u.Fields) != 6 {
			t.Errorf("%+v", u)
		}
		if u := all.Entries[7]; u.Outcome != "refused" || !strings.Contains(u.Code, "FS-13") {
			t.Errorf("%+v", u)
		}
		if f := feed(h.key, "?after=0"); len(f.Entries) != 8 {
			t.Errorf("the consumer sees %d lines", len(f.Entries))
		}
		if f := feed(h.key, "?side=provider&after=0"); len(f.Entries) != 0 {
			t.Errorf("the consumer sees %d lines as a provider", len(f.Entries))
		}
		if f := feed(h.other, "?after=0"); len(f.Entries) != 0 {
			t.Errorf("a stranger sees %d lines", len(f.Entries))
		}
		// In pieces, with receipts, while new uses come in.
		got := map[int64]bool{}
		after, acked := int64(-1), int64(0)
		for round := 0; ; round++ {
			f := feed(h.key, fmt.Sprintf("?limit=3&after=%d", after))
			for _, u := range f.Entries {
				if got[u.Seq] {
					t.Errorf("line %d comes twice", u.Seq)
				}
				got[u.Seq] = true
			}
			if f.Acknowledged != acked {
				t.Errorf("acknowledged %d, want %d", f.Acknowledged, acked)
			}
			if round < 3 {
				h.ask("POST", peoplePath+"query", body)
			}
			if len(f.Entries) == 0 {
				break
			}
			a := h.ask("POST", "/api/v1/usage/receipts", fmt.Sprintf(`{"side":"consumer","seq":%d}`, f.Next))
			if a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			acked = f.Next
			if round%2 == 0 {
				after = -1 // behind the receipt
			} else {
				after = f.Next
			}
		}
		if len(got) != 11 {
			t.Errorf("%d lines of 11", len(got))
		}
		for _, c := range []struct {
			seq    int64
			status int
		}{{0, 409}, {1 << 40, 422}, {acked, 200}} {
			if a := h.ask("POST", "/api/v1/usage/receipts", fmt.Sprintf(`{"side":"consumer","seq":%d}`, c.seq)); a.status != c.status {
				t.Errorf("receipt %d: %d %s", c.seq, a.status, a.body)
			}
		}
		if a := h.ask("GET", "/api/v1/usage", "", "Authorization", ""); a.status != 401 {
			t.Errorf("without a key: %d", a.status)
		}
		if a := h.ask("GET", "/api/v1/usage?side=all", ""); a.status != 422 {
			t.Errorf("another side: %d %s", a.status, a.body)
		}
		// Retention: what is old goes, but not before it was taken.
		h.rules.UsageDays = 186
		h.clock.Add((187 * 24 * time.Hour).Milliseconds())
		late := h.ask("POST", "/api/v1/usage/receipts", `{"side":"provider","seq":1}`, "Authorization", "Bearer "+h.chief)
		if late.status != 200 {
			t.Fatalf("%d %s", late.status, late.body)
		}
		if err := h.gw.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := feed(h.chief, "?side=provider&after=0"); len(f.Entries) < 10 { // the first one is acknowledged
			t.Errorf("%d lines are left that the provider has not taken", len(f.Entries))
		}
		end := feed(h.chief, "?side=provider&after=0&limit=1000").Next
		h.ask("POST", "/api/v1/usage/receipts", fmt.Sprintf(`{"side":"provider","seq":%d}`, end), "Authorization", "Bearer "+h.chief)
		if err := h.gw.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := feed(h.chief, "?side=provider&after=0"); len(f.Entries) != 0 {
			t.Errorf("%d lines outlive their retention", len(f.Entries))
		}
	})
}

// TestUsageOnTwoNodes: two nodes that carry the log over at once leave nothing out
// and write nothing twice.
func TestUsageOnTwoNodes(t *testing.T) {
	both(t, 10, func(t *testing.T, h *house) {
		h.grant(h.spec(gateway.Query))
		second := h.node()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 2)
		for _, gw := range []*gateway.Service{h.gw, second} {
			go func() {
				for ctx.Err() == nil {
					_, _ = gw.Project(ctx)
				}
				done <- struct{}{}
			}()
		}
		for range 50 {
			if a := h.ask("POST", peoplePath+"query", `{"where":{"公民身份号码":"`+resident(3).id+`"}}`); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		cancel()
		<-done
		<-done
		f, err := h.gw.UsageFeed(t.Context(), "police", gateway.AsProvider, 0, 1000)
		if err != nil || len(f.Entries) != 50 {
			t.Errorf("%d lines of 50, %v", len(f.Entries), err)
		}
		days, err := h.gw.UsageDays(t.Context(), gateway.UsageFilter{Body: "police", From: h.now().AddDate(0, 0, -2), To: h.now().Add(time.Hour)})
		if err != nil || len(days) != 3 || days[2].Requests != 50 || days[2].Rows != 50 || days[0].Requests != 0 {
			t.Errorf("%+v %v", days, err)
		}
	})
}

// TestUsagePages: lines of two grants that were carried over in many steps come in
// order and each once, forwards and backwards, by pages of any size.
func TestUsagePages(t *testing.T) {
	clause.Covers(t, "LY-24", "QZ-3.1.8")
	both(t, 10, func(t *testing.T, h *house) {
		h.grant(h.spec(gateway.Query))
		h.grant(h.spec(gateway.Verify))
		for i := range 24 {
			path, body := "query", `{"where":{"公民身份号码":"`+resident(i%10).id+`"}}`
			if i%3 == 1 {
				path, body = "verify", fmt.Sprintf(`{"key":{"公民身份号码":"%s"},"claims":{"年收入":%d}}`, resident(i%10).id, 30000+i)
			}
			if a := h.ask("POST", peoplePath+path, body); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if i%5 == 4 {
				if _, err := h.gw.Project(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		whole, err := h.gw.UsageFeed(t.Context(), "police", gateway.AsProvider, -1, 1000)
		if err != nil || len(whole.Entries) != 24 || whole.More {
			t.Fatalf("%d lines of 24, more %v, %v", len(whole.Entries), whole.More, err)
		}
		for i, u := range whole.Entries {
			if (u.Mode == gateway.Verify) != (i%3 == 1) || u.User != "林小敏" || u.Rows != 1 || i > 0 && u.Seq <= whole.Entries[i-1].Seq {
				t.Errorf("line %d: %+v", i, u)
			}
		}
		for _, size := range []int{1, 3, 7, 24} {
			var forth, back []int64
			for after, more := int64(-1), true; more; {
				f, err := h.gw.UsageFeed(t.Context(), "welfare", gateway.AsConsumer, after, size)
				if err != nil || len(f.Entries) > size {
					t.Fatalf("%d lines, %v", len(f.Entries), err)
				}
				for _, u := range f.Entries {
					forth = append(forth, u.Seq)
				}
				after, more = f.Next, f.More
			}
			for before := int64(0); ; {
				list, err := h.gw.UsageList(t.Context(), gateway.UsageFilter{Body: "police"}, before, size)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				for _, u := range list {
					back = append(back, u.Seq)
				}
				before = back[len(back)-1]
			}
			slices.Reverse(back)
			if len(forth) != 24 || !slices.Equal(forth, back) {
				t.Errorf("pages of %d: %v forwards, %v backwards", size, forth, back)
			}
		}
		verified, err := h.gw.UsageList(t.Context(), gateway.UsageFilter{Body: "police", Mode: gateway.Verify, To: h.now().Add(time.Hour)}, 0, 100)
		if err != nil || len(verified) != 8 {
			t.Errorf("%d lines of verify, %v", len(verified), err)
		}
		if none, err := h.gw.UsageList(t.Context(), gateway.UsageFilter{Body: "police", To: h.now()}, 0, 100); err != nil || len(none) != 0 {
			t.Errorf("%d lines before there were any, %v", len(none), err)
		}
	})
}
