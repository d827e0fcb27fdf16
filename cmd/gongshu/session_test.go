package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/web"
	"gongshu/org"
	"gongshu/ui"
)

// visit is a browser at the whole program.
type visit struct {
	t      *testing.T
	base   string
	client *http.Client
}

const samePage = "same-origin"

// served starts the whole program on a fresh store with its three administrators
// and gives a browser at it.
func served(t *testing.T, database string, now func() time.Time, secondFactor ...identity.Post) (*app, org.Founded, *visit) {
	t.Helper()
	s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou", secondFactor: secondFactor}
	if strings.HasPrefix(database, "postgres") {
		s.Database = database
	}
	a, err := open(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	founded, err := a.org.Found(t.Context(), []org.FirstAdmin{{Post: identity.SystemAdmin, Login: "sysadmin", Name: "陈系统"},
		{Post: identity.SecurityAdmin, Login: "secadmin", Name: "黄安全"}, {Post: identity.Auditor, Login: "auditor", Name: "吴审计"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(a.handler(allRoles)))
	t.Cleanup(server.Close)
	return a, founded, newVisit(t, server.URL)
}

func newVisit(t *testing.T, base string) *visit {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visit{t: t, base: base, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do sends a request; headers come in pairs. It fails the test when the status is
// another than want, and gives the answer's text and Location.
func (v *visit) do(want int, method, path, body string, headers ...string) (said, location string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if r.StatusCode != want {
		v.t.Errorf("%s %s %v: %d, want %d: %.400s", method, path, headers, r.StatusCode, want, text)
	}
	return string(text), r.Header.Get("Location")
}

// post sends a form of a page.
func (v *visit) post(want int, path string, form url.Values) (said, location string) {
	v.t.Helper()
	return v.do(want, "POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", samePage)
}

const testSecret = "Kq7#mountain-Lake"

// first logs a person in with the one-time secret and changes it.
func (v *visit) first(login, once string) {
	v.t.Helper()
	v.post(303, "/console/login", url.Values{"login": {login}, "password": {once}})
	v.post(303, "/console/account/password", url.Values{"old": {once}, "secret": {testSecret}, "again": {testSecret}})
}

// actorAt is the person behind the browser's session.
func (v *visit) actor(a *app) identity.Actor {
	v.t.Helper()
	u, _ := url.Parse(v.base + "/console/")
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == web.SessionCookie {
			who, err := a.org.Session(v.t.Context(), c.Value, "127.0.0.1", "en")
			if err != nil {
				v.t.Fatal(err)
			}
			return who
		}
	}
	v.t.Fatal("nobody is logged in")
	return identity.Actor{}
}

func contains(t *testing.T, said string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in %.400s", want, said)
		}
	}
}

// People call the API with the session of the console: what they read and change
// is theirs, under the post that they act under, and no other site can do it in
// their name. Systems call with their key whatever cookies stand beside it.
func TestPeopleCallTheAPI(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, database string) {
		a, founded, system := served(t, database, time.Now)
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		system.do(401, "GET", "/api/v1/bodies", "")
		once := founded.Admins[0].InitialSecret
		system.post(303, "/console/login", url.Values{"login": {"sysadmin"}, "password": {once}})
		said, _ := system.do(403, "GET", "/api/v1/bodies", "")
		contains(t, said, "one-time password")
		system.first("sysadmin", once)
		security := newVisit(t, system.base)
		security.first("secadmin", founded.Admins[1].InitialSecret)

		// Somebody who is steward and leader of one body.
		body, err := a.org.CreateBody(ctx, system.actor(a), org.Body{Name: "福州市民政局", Kind: "organ", Level: org.City, District: "350100"})
		must(err)
		made, err := a.org.CreatePerson(ctx, system.actor(a), org.NewPerson{Person: org.Person{Name: "林晓", Login: "linxiao", Body: body.ID, Phone: "13800138000"}, Posts: []identity.Post{identity.Steward, identity.Leader}})
		must(err)
		holding := map[identity.Post]string{}
		for _, h := range made.Holdings {
			must(a.org.Confirm(ctx, security.actor(a), h.ID))
			holding[h.Post] = h.ID
		}
		v := newVisit(t, system.base)
		v.first("linxiao", made.InitialSecret)
		var key identity.IssuedKey
		must(a.control.InTx(ctx, func(tx *db.Tx) error {
			c, err := a.identity.CreateClientTx(ctx, tx, identity.NewClient{Name: "系统", Body: body.ID, BodyName: body.Name, District: "350100", Level: "city", Addresses: []netip.Prefix{}})
			if err == nil {
				key, err = a.identity.IssueKeyTx(ctx, tx, c.ID, "test", time.Time{})
			}
			return err
		}))
		must(a.identity.LoadClients(ctx))

		said, _ = v.do(200, "GET", "/api/v1/bodies", "")
		contains(t, said, body.ID)
		said, _ = v.do(200, "GET", "/api/v1/requests", "")
		contains(t, said, `"total":0`)
		v.do(401, "GET", "/api/v1/bodies", "", "Sec-Fetch-Site", "cross-site")
		said, _ = v.do(200, "GET", "/api/docs", "", "Sec-Fetch-Site", "none")
		contains(t, said, "林晓", "Without a key")

		const path, receipt = "/api/v1/usage/receipts", `{"side":"consumer","seq":0}`
		change := func(want int, headers ...string) string {
			t.Helper()
			said, _ := v.do(want, "POST", path, receipt, append([]string{"Content-Type", "application/json"}, headers...)...)
			return said
		}
		for _, headers := range [][]string{
			nil,
			{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"},
			{"Authorization", "Basic bGlueGlhbzp4"}, // which browsers send by themselves
		} {
			contains(t, change(403, headers...), "did not come from a page of this site")
		}
		v.do(200, "GET", "/api/v1/usage", "")
		change(200, "Sec-Fetch-Site", samePage)
		change(200, "Origin", v.base)

		// The leader may read the usage log and not acknowledge it.
		v.post(303, "/console/post", url.Values{"holding": {holding[identity.Leader]}})
		said = change(403, "Sec-Fetch-Site", samePage)
		contains(t, said, "LY-24")
		v.do(200, "GET", "/api/v1/usage", "")

		// The key counts, whatever the cookie says.
		change(200, "Authorization", "Bearer "+key.Key)
		change(401, "Authorization", "Bearer gsk_wrong")
		v.do(401, "POST", "/api/v1/resources/10200101-0001/query", "{}", "Sec-Fetch-Site", samePage) // people look at data in the console

		// The portal is the same for everybody: browsers send it no session.
		for _, at := range []string{"/", "/datasets", "/audit/checkpoint"} {
			u, _ := url.Parse(v.base + at)
			for _, c := range v.client.Jar.Cookies(u) {
				if c.Name == web.SessionCookie {
					t.Errorf("%s is sent the session", at)
				}
			}
		}
		v.post(303, "/console/logout", nil)
		v.do(401, "GET", "/api/v1/bodies", "")
		change(401, "Sec-Fetch-Site", samePage)
	})
}
