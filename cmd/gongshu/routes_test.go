package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// route is a pattern that a handler is registered under.
type route struct{ method, path string }

// routes are all that the program answers: read from the calls of HandleFunc and
// Handle in its source, so that a new one cannot be forgotten, and from its OpenAPI.
func routes(t *testing.T, v *visit) []route {
	t.Helper()
	var out []route
	for _, dir := range []string{"console", "portal", "api", "cmd/gongshu"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		consts, calls := map[string]string{}, []ast.Expr{}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if i < len(n.Values) {
							if lit, ok := n.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
								consts[name.Name], _ = strconv.Unquote(lit.Value)
							}
						}
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "HandleFunc" || f.Sel.Name == "Handle") && len(n.Args) == 2 {
						calls = append(calls, n.Args[0])
					}
				}
				return true
			})
		}
		var text func(e ast.Expr) (string, bool)
		text = func(e ast.Expr) (string, bool) {
			switch e := e.(type) {
			case *ast.BasicLit:
				s, err := strconv.Unquote(e.Value)
				return s, err == nil
			case *ast.Ident:
				s, ok := consts[e.Name]
				return s, ok
			case *ast.BinaryExpr:
				a, ok1 := text(e.X)
				b, ok2 := text(e.Y)
				return a + b, ok1 && ok2
			}
			return "", false
		}
		for _, c := range calls {
			pattern, ok := text(c)
			method, path, both := strings.Cut(pattern, " ")
			switch {
			case ok && both && strings.HasPrefix(path, "/"):
				out = append(out, route{method, path})
			case ok && strings.HasPrefix(pattern, "/"):
				out = append(out, route{"GET", pattern})
			}
		}
	}
	said, _ := v.do(200, "GET", "/api/openapi.json", "")
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(said), &spec); err != nil {
		t.Fatal(err)
	}
	for path, methods := range spec.Paths {
		for method := range methods {
			if method != "parameters" && method != "summary" {
				out = append(out, route{strings.ToUpper(method), path})
			}
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// TestEveryRoute asks every route that the program has, as nobody and as somebody who
// is logged in: no answer comes without the headers that keep a browser safe, none
// that is a person's own is kept by a cache, and no other site makes a browser change
// anything.
func TestEveryRoute(t *testing.T) {
	clause.Covers(t, "FS-40", "FS-41")
	_, founded, v := served(t, dbtest.SQLiteURL(t), time.Now)
	v.first("secadmin", founded.Admins[1].InitialSecret)
	nobody := newVisit(t, v.base)
	all := routes(t, v)
	changing := 0
	send := func(who *visit, method, path string, headers ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, v.base+path, strings.NewReader("x=1"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := who.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	for _, r := range all {
		path := placeholder.ReplaceAllString(r.path, "x")
		if strings.HasSuffix(r.path, "{$}") {
			path = strings.TrimSuffix(r.path, "{$}")
		}
		changes := r.method != "GET" && r.method != "HEAD"
		if changes {
			changing++
			for how, headers := range map[string][]string{
				"another site":        {"Sec-Fetch-Site", "cross-site"},
				"a neighbouring site": {"Sec-Fetch-Site", "same-site"},
				"another origin":      {"Origin", "https://elsewhere.example"},
				"nobody says":         {},
			} {
				if res := send(v, r.method, path, headers...); res.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s, sent by %s: %d", r.method, path, how, res.StatusCode)
				}
			}
		}
		for who, as := range map[string]*visit{"nobody": nobody, "somebody": v} {
			if who == "somebody" && strings.HasSuffix(path, "/logout") {
				continue
			}
			res := send(as, r.method, path, "Sec-Fetch-Site", samePage)
			h := res.Header
			if res.StatusCode >= 500 {
				t.Errorf("%s %s as %s: %d", r.method, path, who, res.StatusCode)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if h.Get(name) != want {
					t.Errorf("%s %s as %s: %s is %q", r.method, path, who, name, h.Get(name))
				}
			}
			policy := h.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "script-src 'self'"} {
				if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe-") {
					t.Errorf("%s %s as %s: the policy is %q", r.method, path, who, policy)
				}
			}
			if strings.HasPrefix(path, "/console/") || strings.HasPrefix(path, "/api/v1/") && !strings.HasPrefix(path, "/api/v1/open/") {
				if h.Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s as %s: %d may be kept: Cache-Control %q", r.method, path, who, res.StatusCode, h.Get("Cache-Control"))
				}
			}
			for _, c := range res.Cookies() {
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
					t.Errorf("%s %s as %s: the cookie %s can be read by scripts or goes with other sites' requests", r.method, path, who, c.Name)
				}
			}
		}
	}
	if len(all) < 180 || changing < 70 {
		t.Errorf("%d routes, %d of them changing something: some were not found", len(all), changing)
	}
	t.Logf("%d routes, %d of them changing something", len(all), changing)
	// The same somebody's pages stand: none of it has ended the session.
	v.do(200, "GET", "/console/people", "")
}

// TestFront: the program serves HTTPS by itself or believes the proxy that does, and
// nobody else; cookies are then kept to HTTPS, and an address that asks too much waits.
func TestFront(t *testing.T) {
	clause.Covers(t, "FS-41")
	a, _, _ := served(t, dbtest.SQLiteURL(t), time.Now)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.ParseIP("127.0.0.1")},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(f front, do func(base string)) {
		t.Helper()
		if err := f.check(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		base, ended := make(chan string, 1), make(chan error, 1)
		go func() {
			ended <- a.serve(ctx, "127.0.0.1:0", []string{portalRole, consoleRole}, f, func(at string) { base <- at })
		}()
		select {
		case at := <-base:
			do(at)
		case err := <-ended:
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	get := func(base, path string, headers ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	safe := func(res *http.Response, want bool) {
		t.Helper()
		if got := res.Header.Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("HTTPS %v, Strict-Transport-Security %q", want, res.Header.Get("Strict-Transport-Security"))
		}
		for _, c := range res.Cookies() {
			if c.Secure != want {
				t.Errorf("HTTPS %v, the cookie %s is secure: %v", want, c.Name, c.Secure)
			}
		}
	}
	ask(front{Cert: write("cert.pem", "CERTIFICATE", der), Key: write("key.pem", "PRIVATE KEY", private)}, func(base string) {
		if !strings.HasPrefix(base, "https://") {
			t.Errorf("the address is %s", base)
		}
		safe(get(base, "/console/login?lang=en"), true)
	})
	forwarded := []string{"X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.7"}
	ask(front{Rate: 0.5}, func(base string) {
		for range 10 { // from this machine, whatever it says of itself
			if res := get(base, "/console/login?lang=en", forwarded...); res.StatusCode == 429 {
				t.Error("this machine is limited")
			} else {
				safe(res, false)
			}
		}
	})
	ask(front{Rate: 0.5, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, func(base string) {
		last := 0
		for range 7 {
			res := get(base, "/console/login?lang=en", forwarded...)
			safe(res, true)
			if last = res.StatusCode; last == 429 {
				if res.Header.Get("Retry-After") == "" {
					t.Error("nobody says how long to wait")
				}
				break
			}
		}
		if last != 429 {
			t.Errorf("an address that asks too much: %d", last)
		}
		if res := get(base, "/console/login?lang=en", "X-Forwarded-For", "192.0.2.8"); res.StatusCode == 429 {
			t.Error("another address waits as well")
		}
	})
	for _, f := range []front{{Cert: "a"}, {Key: "a"}, {Rate: -1}} {
		if err := f.check(); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
