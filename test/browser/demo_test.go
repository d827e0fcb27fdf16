package browser_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gongshu/test/browser"
	"gongshu/test/program"
	"gongshu/ui"
)

func TestMain(m *testing.M) { program.Main(m) }

// demoFile is what the test needs of demo.json.
type demoFile struct {
	Accounts []struct{ Login, Password, Post, Body string }
}

// ids are the parts of an address that name one thing among many: pages that
// differ only in them are the same page.
var ids = regexp.MustCompile(`/(?:[^/]*[0-9][^/]*|[A-Z][^/]*|[a-z0-9]+(?:-[a-z0-9]+)+|[a-z_]+(?:\.[a-z_]+)+)(?:/|$)`)

func shape(address *url.URL) string {
	path := address.Path
	for {
		next := ids.ReplaceAllStringFunc(path, func(m string) string {
			if strings.HasSuffix(m, "/") {
				return "/:id/"
			}
			return "/:id"
		})
		if next == path {
			return path
		}
		path = next
	}
}

// persona is somebody who uses the platform.
type persona struct {
	name, login, start string
}

// TestDemo builds the demo city once and goes through its pages, lists and forms, and plants hostile text.
func TestDemo(t *testing.T) {
	base, demo := city(t)
	t.Run("pages", func(t *testing.T) { everyPage(t, base, demo) })
	t.Run("lists", func(t *testing.T) { everyList(t, base, demo.Accounts[0].Password) })
	t.Run("forms", func(t *testing.T) { forms(t, base, demo.Accounts[0].Password) })
	t.Run("hostile", func(t *testing.T) { hostile(t, base, demo.Accounts[0].Password) })
}

// city starts the demo city, or takes the one that runs (DEMO, DEMO_DATA), for work
// on pages.
func city(t *testing.T) (base string, demo demoFile) {
	t.Helper()
	if !ui.AssetsBuilt() {
		t.Skip("the bundle is not built: npm ci --prefix ui && go run ./ui/build")
	}
	base, data := os.Getenv("DEMO"), os.Getenv("DEMO_DATA")
	if base == "" {
		if testing.Short() {
			t.Skip("builds the demo city")
		}
		data = t.TempDir()
		base = program.Start(t, data, "demo").Base
	}
	raw, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if err == nil {
		err = json.Unmarshal(raw, &demo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return base, demo
}

// everyPage goes through every page that each kind of user can reach, looks at it
// at both widths in both languages, keeps the pictures and follows every link: none
// may be dead.
func everyPage(t *testing.T, base string, demo demoFile) {
	password := ""
	provider := ""
	for _, a := range demo.Accounts {
		password = a.Password
		if provider == "" && a.Post == "steward" && !strings.HasPrefix(a.Login, "authority.") && !strings.HasPrefix(a.Login, "operator.") {
			provider = strings.TrimSuffix(a.Login, ".steward")
		}
	}
	people := []persona{
		{"public", "", "/"},
		{"authority", "authority.authority", "/console/"},
		{"steward", provider + ".steward", "/console/"},
		{"leader", provider + ".leader", "/console/"},
		{"secrecy", provider + ".secrecy", "/console/"},
		{"operator", "operator.operator", "/console/"},
		{"auditor", "auditor", "/console/"},
		{"sysadmin", "sysadmin", "/console/"},
		{"secadmin", "secadmin", "/console/"},
	}
	seen := map[string]bool{}
	for _, p := range people {
		t.Run(p.name, func(t *testing.T) { walk(t, base, p, password, seen) })
	}
	if len(seen) < 30 {
		t.Errorf("only %d pages were found", len(seen))
	}
	t.Run("try the API", func(t *testing.T) { tryAPI(t, base) })
}

// tryAPI does what a visiting developer does: opens the first operation that needs
// no key with the keyboard, sends it as it stands, and reads the answer.
func tryAPI(t *testing.T, base string) {
	b := start(t)
	if _, err := b.Look(base+"/api/docs?lang=zh", browser.Desk, ""); err != nil {
		t.Fatal(err)
	}
	if err := b.Do(chromedp.Focus("#op-open-rows > summary"), chromedp.KeyEvent(" "), chromedp.Focus("#op-open-rows form[data-try] button[type=submit]"), chromedp.KeyEvent("\r"),
		chromedp.WaitVisible("#op-open-rows [data-try-answer]:not([hidden])")); err != nil {
		t.Fatal(err)
	}
	status, err := browser.Get(b, chromedp.Evaluate[string](`document.querySelector("#op-open-rows [data-try-status]").textContent`))
	if err != nil || !strings.HasPrefix(status, "200 · ") {
		t.Errorf("status %q %v", status, err)
	}
	answer, err := browser.Get(b, chromedp.Evaluate[string](`document.querySelector("#op-open-rows [data-try-answer]").textContent`))
	if err != nil || !strings.Contains(answer, `"rows": [`) || !strings.Contains(answer, `"total":`) {
		t.Errorf("answer %.200q %v", answer, err)
	}
	report, err := b.Here("public/try-the-api")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range report.Faults {
		t.Error(fault)
	}
}

// walk goes breadth first from the persona's first page. A page that another
// persona has shown is not pictured again.
func walk(t *testing.T, base string, p persona, password string, seen map[string]bool) {
	b := start(t)
	client := visitor(t, base, p.login, password)
	if p.login != "" {
		if err := b.LogIn(base, p.login, password); err != nil {
			t.Fatal(err)
		}
	}
	queue := []string{base + p.start}
	queued := map[string]int{}
	here := map[string]bool{}
	var shapes []string
	for len(queue) > 0 {
		address := queue[0]
		queue = queue[1:]
		u, err := url.Parse(address)
		if err != nil {
			t.Errorf("%s leads to %q: %v", p.name, address, err)
			continue
		}
		status, kind, size := fetch(t, client, address)
		if status >= 400 {
			t.Errorf("dead link: %s answers %d", address, status)
			continue
		}
		if !strings.HasPrefix(kind, "text/html") {
			continue
		}
		if size > 160_000 {
			t.Errorf("%s: %d bytes of HTML over the wire", address, size)
		}
		s := shape(u)
		if here[s] {
			continue
		}
		here[s] = true
		shapes = append(shapes, s)
		var links []string
		for _, lang := range []string{"zh", "en"} {
			for _, width := range []int{browser.Desk, browser.Phone} {
				again := seen[s] && (lang == "en" || width == browser.Phone)
				if again {
					continue
				}
				name := ""
				if !seen[s] || p.login == "" {
					name = fmt.Sprintf("%s/%s-%s-%d", p.name, browser.FileName(strings.ReplaceAll(s, ":", "")), lang, width)
				}
				report, err := b.Look(browser.WithLang(address, lang), width, name)
				if err != nil {
					t.Errorf("%s: %v", address, err)
					continue
				}
				for _, fault := range report.Faults {
					t.Errorf("%s (%s, %d px): %s", address, lang, width, fault)
				}
				if report.Bytes > 200_000 {
					t.Errorf("%s: %d bytes over the wire", address, report.Bytes)
				}
				links = append(links, report.Links...)
			}
		}
		seen[s] = true
		for _, link := range links {
			l, err := url.Parse(link)
			if err != nil || skip(l) {
				continue
			}
			l.Fragment = ""
			q := l.Query()
			q.Del("lang")
			q.Del("text")
			l.RawQuery = q.Encode()
			// Of pages that differ only in what they are about, three are fetched and
			// the first is looked at.
			key := shape(l) + "?" + strings.Join(keys(q), "&")
			if slices.Contains(queue, l.String()) || queued[key] >= 3 {
				continue
			}
			queued[key]++
			queue = append(queue, l.String())
		}
	}
	t.Logf("%s: %d pages: %s", p.name, len(shapes), strings.Join(shapes, " "))
}

func keys(q url.Values) []string {
	var out []string
	for k := range q {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// skip leaves out what is no page: proofs for machines, large exports.
func skip(u *url.URL) bool {
	return strings.HasPrefix(u.Path, "/audit/tile") || strings.HasPrefix(u.Path, "/static/") || u.Path == "/console/logout"
}

// visitor is an HTTP client with the persona's session.
func visitor(t *testing.T, base, login, password string) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Timeout: time.Minute}
	if login == "" {
		return client
	}
	form := url.Values{"login": {login}, "password": {password}}
	r, _ := http.NewRequest("POST", base+"/console/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/console/" {
		t.Fatalf("log in as %s: %d at %s", login, res.StatusCode, res.Request.URL.Path)
	}
	return client
}

// fetch gives status, content type and transferred size of an address; a large
// download is not read to its end.
func fetch(t *testing.T, client *http.Client, address string) (status int, kind string, size int64) {
	t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Errorf("%q: %v", address, err)
		return 0, "", 0
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Encoding", "gzip")
	res, err := client.Do(r)
	if err != nil {
		t.Errorf("%s: %v", address, err)
		return 0, "", 0
	}
	defer res.Body.Close()
	size, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, res.Header.Get("Content-Type"), size
}
