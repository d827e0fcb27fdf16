package main

import (
	"bytes"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
	"gongshu/notice"
)

var (
	shownKey  = regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`)
	shownCode = regexp.MustCompile(`[A-HJ-NP-Z2-9]{5}-[A-HJ-NP-Z2-9]{5}`)
)

// codesOn are the recovery codes that a page shows, each once: the page holds them
// a second time for its copy button.
func codesOn(page string) []string {
	var codes []string
	for _, c := range shownCode.FindAllString(page, -1) {
		if !slices.Contains(codes, c) {
			codes = append(codes, c)
		}
	}
	return codes
}

// The second factor from setting it up to losing it: demanded of a post, given
// after the password, each code once, guessed at most a few times, reset by the
// security administrator and nobody else, and on record.
func TestSecondFactor(t *testing.T) {
	clause.Covers(t, "FS-40")
	dbtest.EachURL(t, func(t *testing.T, database string) {
		var moved atomic.Int64
		start := time.Now()
		now := func() time.Time { return start.Add(time.Duration(moved.Load())) }
		move := func(d time.Duration) { moved.Add(int64(d)) }
		a, founded, v := served(t, database, now, identity.Auditor)
		const factor, prove = "/console/account/factor", "/console/login/factor"
		goesTo := func(location, want string) {
			t.Helper()
			if !strings.HasPrefix(location, want) {
				t.Errorf("goes to %q, want %q", location, want)
			}
		}
		logIn := func(v *visit) string {
			t.Helper()
			_, location := v.post(303, "/console/login", url.Values{"login": {"auditor"}, "password": {testSecret}, "back": {"/console/audit"}})
			return location
		}

		// The post demands it: nothing else is to be had before.
		v.first("auditor", founded.Admins[2].InitialSecret)
		for _, path := range []string{"/console/", "/console/audit", "/console/account/sessions"} {
			_, location := v.do(303, "GET", path, "")
			goesTo(location, factor)
		}
		v.do(403, "GET", "/api/v1/bodies", "")
		v.do(200, "GET", factor, "")
		said, _ := v.post(422, factor, url.Values{"do": {"add"}, "old": {"wrong"}})
		contains(t, said, "present password is not right")
		_, location := v.post(303, factor, url.Values{"do": {"add"}, "old": {testSecret}})
		goesTo(location, factor+"/new")
		said, _ = v.do(200, "GET", factor+"/new", "")
		secret := strings.ReplaceAll(shownKey.FindString(said), " ", "")
		image, _ := v.do(200, "GET", factor+"/new.png", "")
		if img, err := png.Decode(bytes.NewReader([]byte(image))); err != nil || img.Bounds().Dx() != 264 {
			t.Errorf("the square code: %v", err)
		}
		code := func() string {
			t.Helper()
			c, err := totp.GenerateCode(secret, now())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		wrong := func() string {
			c := []byte(code())
			c[0] = '0' + (c[0]-'0'+5)%10
			return string(c)
		}
		v.post(401, factor+"/new", url.Values{"code": {wrong()}})
		first := code()
		said, _ = v.post(200, factor+"/new", url.Values{"code": {first}})
		recovery := codesOn(said)
		if len(recovery) != 10 {
			t.Fatalf("recovery codes %v", recovery)
		}
		v.do(200, "GET", "/console/audit", "")
		said, _ = v.do(200, "GET", factor, "")
		contains(t, said, "Authenticator app")
		for _, c := range recovery {
			if strings.Contains(said, c) {
				t.Error("recovery codes are shown again")
			}
		}
		v.do(303, "GET", factor+"/new", "") // the key is not shown again either
		v.do(404, "GET", factor+"/new.png", "")
		v.post(409, factor, url.Values{"do": {"add"}, "old": {testSecret}})

		// Another log-in: the password alone opens nothing.
		w := newVisit(t, v.base)
		goesTo(logIn(w), prove)
		_, location = w.do(303, "GET", "/console/audit", "")
		goesTo(location, prove)
		w.do(403, "GET", "/api/v1/bodies", "")
		w.do(200, "GET", prove, "")
		w.post(401, prove, url.Values{"code": {first}}) // used when it was set up
		move(30 * time.Second)
		second := code()
		_, location = w.post(303, prove, url.Values{"code": {second[:3] + " " + second[3:]}, "back": {"/console/audit"}})
		goesTo(location, "/console/audit")
		w.do(200, "GET", "/console/audit", "")
		x := newVisit(t, v.base)
		logIn(x)
		said, _ = x.post(401, prove, url.Values{"code": {second}})
		contains(t, said, "used already")
		x.post(303, prove, url.Values{"code": {strings.ToLower(recovery[3])}})
		x.do(200, "GET", "/console/audit", "")
		y := newVisit(t, v.base)
		logIn(y)
		y.post(401, prove, url.Values{"code": {recovery[3]}})
		y.post(401, prove, url.Values{"code": {"12"}})

		// Codes cannot be guessed between right passwords: one lock counts both.
		locked := false
		for range 8 {
			z := newVisit(t, v.base)
			form := url.Values{"login": {"auditor"}, "password": {testSecret}}.Encode()
			r, err := z.client.Post(z.base+"/console/login", "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode == 429 {
				locked = true
				break
			}
			z.do(401, "POST", prove, url.Values{"code": {wrong()}}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", samePage)
			move(10 * time.Second)
		}
		if !locked {
			t.Error("eight rounds of a right password and a wrong code were not locked out")
		}
		move(2 * time.Hour)

		// Reset: by the security administrator, not by oneself or the system administrator.
		system, security := newVisit(t, v.base), newVisit(t, v.base)
		system.first("sysadmin", founded.Admins[0].InitialSecret)
		security.first("secadmin", founded.Admins[1].InitialSecret)
		reset := "/console/people/" + founded.Admins[2].ID + "/factor"
		said, _ = system.post(403, reset, nil)
		contains(t, said, "security administrator may unlock")
		y = newVisit(t, v.base)
		logIn(y)
		move(30 * time.Second)
		y.post(303, prove, url.Values{"code": {code()}})
		y.post(403, reset, nil)
		said, _ = security.do(200, "GET", "/console/people/"+founded.Admins[2].ID, "")
		contains(t, said, reset)
		security.post(303, reset, nil)
		y.do(303, "GET", "/console/audit", "") // the session has ended
		goesTo(logIn(y), factor)               // and the post still demands one
		security.post(404, reset, nil)
		told, _, err := a.notice.List(t.Context(), identity.Actor{Kind: identity.Person, ID: founded.Admins[2].ID}, notice.Filter{Topic: "account"})
		if err != nil || !slices.ContainsFunc(told, func(m notice.Message) bool { return m.Kind == notice.FactorReset }) {
			t.Errorf("who lost the factor was told %v (%v)", told, err)
		}

		// What happened is in the log, and neither key nor codes are in the store.
		done := map[string]int{}
		size, err := a.log.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.log.Entries(t.Context(), 0, size, func(r audit.Record) error {
			done[r.Entry.Action+" "+r.Entry.Outcome]++
			for _, c := range append(recovery, secret) {
				if strings.Contains(string(r.Content), c) {
					t.Errorf("entry %d holds %s", r.Seq, c)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for what, least := range map[string]int{"identity.own.factor_add ok": 2, "identity.own.factor_prove ok": 3, "identity.own.factor_prove failed": 6, "identity.account.factor_reset ok": 1, "identity.account.factor_reset refused": 2} {
			if done[what] < least {
				t.Errorf("%s: %d entries, want %d: %v", what, done[what], least, done)
			}
		}
		if a.stores.Database == "" {
			for _, name := range []string{"control.db", "control.db-wal"} {
				raw, err := os.ReadFile(filepath.Join(a.stores.Data, name))
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range append(recovery, secret) {
					if bytes.Contains(raw, []byte(c)) || bytes.Contains(raw, []byte(strings.ReplaceAll(c, "-", ""))) {
						t.Errorf("%s holds %s", name, c)
					}
				}
			}
		}
	})
}

// Where no post demands it, everybody may have it, and take it away again.
func TestSecondFactorIsOffered(t *testing.T) {
	a, founded, v := served(t, "", time.Now)
	v.first("secadmin", founded.Admins[1].InitialSecret)
	v.do(200, "GET", "/console/", "")
	const factor = "/console/account/factor"
	v.post(303, factor, url.Values{"do": {"add"}, "old": {testSecret}})
	said, _ := v.do(200, "GET", factor+"/new", "")
	code, err := totp.GenerateCode(strings.ReplaceAll(shownKey.FindString(said), " ", ""), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	said, _ = v.post(200, factor+"/new", url.Values{"code": {code}})
	old := shownCode.FindString(said)
	said, _ = v.post(200, factor, url.Values{"do": {"codes"}, "old": {testSecret}})
	if codes := codesOn(said); len(codes) != 10 || strings.Contains(said, old) {
		t.Errorf("new recovery codes %v after %s", codes, old)
	}
	w := newVisit(t, v.base)
	w.post(303, "/console/login", url.Values{"login": {"secadmin"}, "password": {testSecret}})
	w.post(401, "/console/login/factor", url.Values{"code": {old}})
	v.post(422, factor, url.Values{"do": {"remove"}, "old": {"wrong"}})
	v.post(303, factor, url.Values{"do": {"remove"}, "old": {testSecret}})
	w = newVisit(t, v.base)
	_, location := w.post(303, "/console/login", url.Values{"login": {"secadmin"}, "password": {testSecret}})
	if location != "/console/" {
		t.Errorf("goes to %q", location)
	}

	// Whoever lost everything is helped at the server.
	v.post(303, factor, url.Values{"do": {"add"}, "old": {testSecret}})
	_, plain, err := a.org.ResetAdmin(t.Context(), "secadmin", "test")
	if err != nil {
		t.Fatal(err)
	}
	w = newVisit(t, v.base)
	_, location = w.post(303, "/console/login", url.Values{"login": {"secadmin"}, "password": {plain}})
	if location != "/console/account/password" {
		t.Errorf("goes to %q", location)
	}
}
