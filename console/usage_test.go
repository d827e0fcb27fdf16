package console_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/ui"
)

// TestUsagePage: both sides see the same uses with their facts, a third body sees
// none of them and may not look, and the visit itself is in the log.
func TestUsagePage(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "LY-24", "QZ-3.1.8")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		log := audittest.Open(t, d)
		keys, err := privacy.NewSoftKeys([]byte("a master secret of the tests"), false)
		if err != nil {
			t.Fatal(err)
		}
		gw, err := gateway.New(t.Context(), gateway.Deps{DB: d, Keys: keys, Audit: log, Now: clock, Rules: func() gateway.Rules { return gateway.Rules{UsageDays: 186} }})
		if err != nil {
			t.Fatal(err)
		}
		door, err := operation.New(operation.Deps{DB: d, Log: log, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		city, err := profile.Load("fuzhou")
		if err != nil {
			t.Fatal(err)
		}
		ids, err := identity.New(identity.Deps{DB: d, Key: make([]byte, 32), Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		bodies, err := org.New(org.Deps{DB: d, Door: door, Identity: ids, Profile: city, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 25 {
			e := audit.Entry{At: now.Add(time.Duration(i) * time.Minute), ActorKind: "client", Actor: "c", ActorName: "低保系统", Client: "c", Body: "welfare", BodyName: "市民政局",
				Action: "gateway.query", TargetKind: "resource", TargetName: "户籍人口信息", TargetBody: "police", Resource: "310010100/000001", Grant: "g1",
				Purpose: "低保资格核验", Approver: "陈主任", Medium: "interface", Notes: []audit.Note{{Key: "rows", Value: 1}, {Key: "user", Value: "林小敏<b>"}}}
			if i == 24 {
				e.Outcome, e.Code = audit.Refused, "forbidden FZM-29"
			}
			if _, err := log.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		h := (&web.Site{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), ErrorPage: ui.ErrorPage}).Wrap(console.New(console.Deps{City: errs.T("市", "City"), Brand: errs.T("平台", "Platform"),
			Door: door, Org: bodies, Gateway: gw, Profile: city, Now: clock}))
		reader := identity.Actor{Kind: identity.Person, Name: "王专管", Login: "w", District: "350100", Level: "city", Post: identity.Steward}
		get := func(body, path string) (int, string) {
			t.Helper()
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Accept-Language", "zh-CN")
			a := reader
			a.ID, a.Body, a.Posts = "p-"+body, body, []identity.Post{a.Post}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(console.WithActor(r.Context(), a)))
			return w.Code, w.Body.String()
		}
		for _, c := range []struct{ body, path string }{{"police", "/console/usage"}, {"welfare", "/console/usage?side=consumer"}, {"police", "/console/usage?grant=g1&mode=query&from=2026-11-20&to=2026-11-20"}} {
			code, page := get(c.body, c.path)
			if code != 200 || strings.Count(page, "低保资格核验") != 20 || !strings.Contains(page, "户籍人口信息") || !strings.Contains(page, "before=") {
				t.Errorf("%s for %s: %d, %d lines", c.path, c.body, code, strings.Count(page, "低保资格核验"))
			}
			if strings.Contains(page, "林小敏<b>") || !strings.Contains(page, "林小敏&lt;b&gt;") {
				t.Errorf("%s: a name is read as markup", c.path)
			}
		}
		for _, c := range []struct {
			body, path string
			lines      int
		}{{"tax", "/console/usage", 0}, {"police", "/console/usage?side=consumer", 0}, {"police", "/console/usage?outcome=refused", 1}, {"police", "/console/usage?from=2026-11-21&to=2026-11-21", 0}} {
			if code, page := get(c.body, c.path); code != 200 || strings.Count(page, "低保资格核验") != c.lines {
				t.Errorf("%s for %s: %d, %d lines", c.path, c.body, code, strings.Count(page, "低保资格核验"))
			}
		}
		if code, _ := get("tax", "/console/usage?body=police"); code != http.StatusNotFound && code != http.StatusForbidden {
			t.Errorf("another body's log: %d", code)
		}
		// Who oversees the city reads all of it at once, and more lines than one page of the store holds.
		for _, f := range []struct {
			post  identity.Post
			level string
			code  int
		}{{identity.AuthorityReviewer, "city", 200}, {identity.Auditor, "city", 200}, {identity.AuthorityReviewer, "county", 403}, {identity.Steward, "city", 403}} {
			reader.Post, reader.Level = f.post, f.level
			for _, path := range []string{"/console/usage?body=all", "/console/usage?body=all&format=csv"} {
				if code, page := get("police", path); code != f.code || code == 200 && !strings.Contains(page, "低保资格核验") {
					t.Errorf("%s for a %s %s: %d", path, f.level, f.post, code)
				}
			}
		}
		reader.Post, reader.Level = identity.AuthorityReviewer, "city"
		more := make([]audit.Entry, 2300)
		for i := range more {
			more[i] = audit.Entry{At: now.Add(time.Hour), ActorKind: "client", Actor: "c", ActorName: "税务系统", Client: "c", Body: "tax", BodyName: "市税务局",
				Action: "gateway.query", TargetKind: "resource", TargetName: "社保缴费信息", TargetBody: "welfare", Resource: "310010100/000002", Grant: "g2", Purpose: "核定", Medium: "interface", Notes: []audit.Note{{Key: "rows", Value: 1}}}
		}
		if err := d.InTx(t.Context(), func(tx *db.Tx) error { _, err := log.AppendTx(t.Context(), tx, more...); return err }); err != nil {
			t.Fatal(err)
		}
		code, file := get("police", "/console/usage?body=all&format=csv")
		if code != 200 || strings.Count(file, "\n") != 1+25+2300 || !strings.Contains(file, "社保缴费信息") || !strings.Contains(file, "户籍人口信息") {
			t.Errorf("the city's file: %d, %d lines", code, strings.Count(file, "\n"))
		}
		last, err := log.Search(t.Context(), audit.Filter{Action: "gateway.usage.read"}, 0, 1)
		if err != nil || !strings.Contains(string(last.Records[0].Content), `"lines":2325`) {
			t.Errorf("the log says %s (%v)", last.Records[0].Content, err)
		}
		reader.Post = identity.Steward
		code, file = get("police", "/console/usage?format=csv")
		if code != 200 || strings.Count(file, "\n") != 26 || !strings.HasPrefix(file, "\ufeff审计编号,") {
			t.Errorf("export: %d, %d lines", code, strings.Count(file, "\n"))
		}
	})
}
