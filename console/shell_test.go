package console_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gongshu/audit/audittest"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
	"gongshu/ui"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

// world is a console over a newly founded platform.
type world struct {
	t       *testing.T
	server  *httptest.Server
	clock   *clock
	initial map[string]string
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}, initial: map[string]string{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	door, err := operation.New(operation.Deps{DB: d, Log: audittest.Open(t, d), Now: w.clock.now})
	must(err)
	people, err := identity.New(identity.Deps{DB: d, Key: make([]byte, 32), Now: w.clock.now})
	must(err)
	p, err := profile.Load("fuzhou")
	must(err)
	bodies, err := org.New(org.Deps{DB: d, Door: door, Identity: people, Profile: p, Now: w.clock.now})
	must(err)
	founded, err := bodies.Found(t.Context(), []org.FirstAdmin{{Post: identity.SystemAdmin, Login: "sysadmin", Name: "陈系统"},
		{Post: identity.SecurityAdmin, Login: "secadmin", Name: "黄安全"}, {Post: identity.Auditor, Login: "auditor", Name: "吴审计"}})
	must(err)
	for _, a := range founded.Admins {
		w.initial[a.Login] = a.InitialSecret
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	site := &web.Site{Log: quiet, ErrorPage: ui.ErrorPage}
	w.server = httptest.NewServer(site.Wrap(console.New(console.Deps{City: errs.T("福州市", "Fuzhou"), Brand: errs.T("平台", "Platform"), Door: door, Org: bodies, Now: w.clock.now, Log: quiet})))
	t.Cleanup(w.server.Close)
	return w
}

// visitor is a browser: it keeps cookies and says where its requests come from.
type visitor struct {
	w      *world
	client *http.Client
	path   string // where it ended up
	status int
	body   string
}

func (w *world) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{w: w, client: &http.Client{Jar: jar}}
}

func (v *visitor) do(r *http.Request) *visitor {
	v.w.t.Helper()
	res, err := v.client.Do(r)
	if err != nil {
		v.w.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	v.path, v.status, v.body = res.Request.URL.RequestURI(), res.StatusCode, string(raw)
	return v
}

func (v *visitor) get(path string) *visitor {
	r, _ := http.NewRequest("GET", v.w.server.URL+path, nil)
	return v.do(r)
}

func (v *visitor) post(path string, form ...string) *visitor {
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r, _ := http.NewRequest("POST", v.w.server.URL+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.do(r)
}

func (v *visitor) want(status int, path string, contains ...string) {
	v.w.t.Helper()
	if v.status != status || !strings.HasPrefix(v.path, path) {
		v.w.t.Fatalf("status %d at %s, want %d at %s\n%.600s", v.status, v.path, status, path, v.body)
	}
	for _, c := range contains {
		hidden := strings.TrimPrefix(c, "!")
		if has := strings.Contains(v.body, hidden); has == (hidden != c) {
			v.w.t.Errorf("%s: contains %q: %v\n%.1500s", v.path, hidden, has, v.body)
		}
	}
}

const chosen = "Kq7#mountain-Lake"

// TestLogIn goes the whole way of a first day: sent to the log-in, wrong
// password, one-time password, own password, back to the wanted page, out.
func TestLogIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		v := w.visitor()
		v.get("/console/account/sessions").want(200, "/console/login?back=%2Fconsole%2Faccount%2Fsessions", `name="password"`, "!陈系统")
		v.post("/console/login", "login", "sysadmin", "password", "wrong password 1", "back", "/console/account/sessions").
			want(401, "/console/login", "登录名或口令不正确", `value="sysadmin"`, "!wrong password 1")
		v.post("/console/login", "login", "nobody", "password", "wrong password 1").want(401, "/console/login", "登录名或口令不正确")
		v.post("/console/login", "login", "sysadmin", "password", w.initial["sysadmin"], "back", "/console/account/sessions").
			want(200, "/console/account/password", "一次性口令")
		v.get("/console/").want(200, "/console/account/password")
		v.post("/console/account/password", "old", w.initial["sysadmin"], "secret", "abc", "again", "abc").want(422, "/console/account/password", "口令至少")
		v.post("/console/account/password", "old", w.initial["sysadmin"], "secret", chosen, "again", chosen+"x").want(422, "/console/account/password", "不一致")
		v.post("/console/account/password", "old", w.initial["sysadmin"], "secret", chosen, "again", chosen).
			want(200, "/console/account/sessions?changed=1", "口令已修改", "当前会话")
		v.get("/console/").want(200, "/console/", "陈系统", "没有等您办理的事项")
		v.get("/console/login?back=/console/account/sessions").want(200, "/console/account/sessions")
		v.get("/console/?lang=en").want(200, "/console/", "Nothing waits for you", `lang="en"`)
		v.get("/console/nothing").want(404, "/console/nothing", "There is no such page")
		v.post("/console/logout").want(200, "/console/login")
		v.get("/console/").want(200, "/console/login")
	})
}

// TestOwnSessions: a person sees where the account is logged in and ends one.
func TestOwnSessions(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	one, two := w.visitor(), w.visitor()
	one.post("/console/login", "login", "auditor", "password", w.initial["auditor"]).want(200, "/console/account/password")
	one.post("/console/account/password", "old", w.initial["auditor"], "secret", chosen, "again", chosen)
	two.post("/console/login", "login", "auditor", "password", chosen).want(200, "/console/")
	one.get("/console/account/sessions").want(200, "/console/account/sessions", `name="session"`)
	_, rest, _ := strings.Cut(one.body, `name="session" value="`)
	id, _, _ := strings.Cut(rest, `"`)
	one.post("/console/account/sessions/end", "session", id).want(200, "/console/account/sessions", "!name=\"session\" value=\""+id)
	two.get("/console/").want(200, "/console/login", "会话已结束")
	w.clock.move(31 * time.Minute)
	one.get("/console/").want(200, "/console/login", "长时间未操作")
}

// TestCrossSiteLogOut: another site cannot make a browser act.
func TestCrossSiteLogOut(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	v := w.visitor()
	v.post("/console/login", "login", "auditor", "password", w.initial["auditor"])
	r, _ := http.NewRequest("POST", w.server.URL+"/console/logout", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	v.do(r).want(403, "/console/logout", "不是从本站页面发出的")
	v.get("/console/account/password").want(200, "/console/account/password")
}

// TestReturnAddress: the way back after the log-in stays inside the console.
func TestReturnAddress(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	v := w.visitor()
	for _, c := range []struct{ back, want string }{
		{"/console/catalog?q=1", "/console/catalog?q=1"}, {"https://evil.test/console/", "/console/"}, {"//evil.test/console/", "/console/"},
		{"/\\evil.test", "/console/"}, {"/portal", "/console/"}, {"javascript:alert(1)", "/console/"}, {"", "/console/"}, {"/console/logout", "/console/"},
	} {
		v.get("/console/login?back="+url.QueryEscape(c.back)).want(200, "/console/login", `name="back" value="`+strings.ReplaceAll(c.want, "&", "&amp;")+`"`)
	}
}
