package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gongshu/internal/errs"
)

func site(log io.Writer) *Site {
	return &Site{Log: slog.New(slog.NewTextHandler(log, nil))}
}

func page(w http.ResponseWriter, r *http.Request) {
	body := strings.Repeat("公共数据", 600)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body)
}

func get(t *testing.T, h http.Handler, change func(*http.Request)) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", "http://site.test/page", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHeaders(t *testing.T) {
	s := site(io.Discard)
	res := get(t, s.Wrap(http.HandlerFunc(page)), nil)
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %q: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy allows inline code: %s", csp)
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Request-Id") == "" {
		t.Errorf("headers %v", res.Header)
	}
	if res.Header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over plain HTTP")
	}
	s.TLS = true
	if res := get(t, s.Wrap(http.HandlerFunc(page)), nil); res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS over TLS")
	}
}

// TestCrossSite: who may post. A browser says where a request comes from; what
// carries cookies and says nothing is refused.
func TestCrossSite(t *testing.T) {
	h := site(io.Discard).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, c := range []struct {
		name    string
		method  string
		headers map[string]string
		want    int
	}{
		{"own page", "POST", map[string]string{"Sec-Fetch-Site": "same-origin", "Cookie": "s=1"}, 204},
		{"own origin", "POST", map[string]string{"Origin": "http://site.test", "Cookie": "s=1"}, 204},
		{"typed address", "POST", map[string]string{"Sec-Fetch-Site": "none", "Cookie": "s=1"}, 204},
		{"other site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site", "Cookie": "s=1"}, 403},
		{"sister site", "POST", map[string]string{"Sec-Fetch-Site": "same-site", "Cookie": "s=1"}, 403},
		{"other origin", "DELETE", map[string]string{"Origin": "http://evil.test", "Cookie": "s=1"}, 403},
		{"null origin", "POST", map[string]string{"Origin": "null", "Cookie": "s=1"}, 403},
		{"cookies and silence", "POST", map[string]string{"Cookie": "s=1"}, 403},
		{"API client without cookies", "POST", map[string]string{"Authorization": "Bearer k"}, 204},
		{"reading from elsewhere", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Cookie": "s=1"}, 204},
	} {
		res := get(t, h, func(r *http.Request) {
			r.Method = c.method
			for k, v := range c.headers {
				r.Header.Set(k, v)
			}
		})
		if res.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, res.StatusCode, c.want)
		}
	}
}

func TestCompress(t *testing.T) {
	h := site(io.Discard).Wrap(http.HandlerFunc(page))
	res := get(t, h, func(r *http.Request) { r.Header.Set("Accept-Encoding", "br, gzip") })
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Content-Length") != "" {
		t.Fatalf("not compressed: %v", res.Header)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || string(plain) != strings.Repeat("公共数据", 600) {
		t.Errorf("the body changed: %d bytes, %v", len(plain), err)
	}
	if res := get(t, h, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip;q=0") }); res.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for one who refuses it")
	}
	stream := site(io.Discard).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Repeat("{}\n", 2000))
	}))
	if res := get(t, stream, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }); res.Header.Get("Content-Encoding") != "" {
		t.Error("a stream of unknown length was compressed")
	}
}

// readerFrom is a connection that takes files whole.
type readerFrom struct {
	*httptest.ResponseRecorder
	took int64
}

func (w *readerFrom) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.Body, r)
	w.took += n
	return n, err
}

// TestFilesReachTheConnection: a download is not copied by the middleware, and a
// compressed page is.
func TestFilesReachTheConnection(t *testing.T) {
	for _, c := range []struct {
		kind  string
		whole bool
	}{{"text/csv", true}, {"text/html", false}} {
		h := site(io.Discard).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.Header().Set("Content-Length", "5000")
			_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 5000))})
		}))
		w := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "http://site.test/f", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		h.ServeHTTP(w, r)
		if (w.took == 5000) != c.whole || (w.Body.Len() == 5000) != c.whole {
			t.Errorf("%s: %d bytes taken whole, %d bytes in all", c.kind, w.took, w.Body.Len())
		}
	}
}

func TestLanguage(t *testing.T) {
	var lang string
	var large bool
	h := site(io.Discard).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { lang, large = Lang(r.Context()), LargeText(r.Context()) }))
	for _, c := range []struct{ accept, cookie, want string }{
		{"", "", "zh"}, {"en-US,en;q=0.9", "", "en"}, {"en,zh-CN;q=0.5", "", "en"}, {"zh;q=0.1, en;q=0.9", "", "en"}, {"fr, zh;q=0.8, en;q=0.5", "", "zh"}, {"*", "", "zh"}, {"-;;,q=", "", "zh"}, {"fr", "", "zh"},
		{"zh-CN", "lang=en", "en"}, {"en", "lang=zh", "zh"}, {"en", "lang=xx", "en"},
	} {
		get(t, h, func(r *http.Request) {
			r.Header.Set("Accept-Language", c.accept)
			if c.cookie != "" {
				r.Header.Set("Cookie", c.cookie)
			}
		})
		if lang != c.want {
			t.Errorf("accept %q cookie %q: %s, want %s", c.accept, c.cookie, lang, c.want)
		}
	}
	get(t, h, func(r *http.Request) { r.Header.Set("Cookie", "text=large") })
	if !large {
		t.Error("the large-text cookie was not read")
	}
	res := get(t, h, func(r *http.Request) { r.URL.RawQuery = "q=1&lang=en"; r.URL.Path = "//evil.test/x" })
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/evil.test/x?q=1" || !strings.Contains(res.Header.Get("Set-Cookie"), "lang=en") {
		t.Errorf("switch: %d %v", res.StatusCode, res.Header)
	}
	// A browser on the API's page switches too; a program's parameter stays its own.
	for accept, want := range map[string]int{"text/html,*/*;q=0.8": http.StatusSeeOther, "application/json": http.StatusOK} {
		res := get(t, h, func(r *http.Request) {
			r.URL.Path, r.URL.RawQuery = "/api/docs", "lang=en"
			r.Header.Set("Accept", accept)
		})
		if res.StatusCode != want {
			t.Errorf("switch on the API's page for %s: %d", accept, res.StatusCode)
		}
	}
}

func TestFail(t *testing.T) {
	var log bytes.Buffer
	s := site(&log)
	secret := errors.New("dial 10.0.0.7: password secret1")
	refusal := errs.New(errs.Invalid, errs.T("有一处错误", "One field is wrong")).By("FZM-16").With(
		errs.Problem{Field: "name", Code: "required", Text: errs.T("请填写名称", "Enter a name")})
	for _, c := range []struct {
		err    error
		status int
		shows  string
		hides  string
	}{
		{refusal, 422, "有一处错误", ""},
		{fmt.Errorf("catalog: %w", errs.New(errs.NotFound, errs.T("没有这个资源", "No such resource"))), 404, "没有这个资源", "catalog:"},
		{errs.New(errs.TooMany, errs.T("太多", "Too many")).Retry(30), 429, "太多", ""},
		{secret, 500, "程序出错", "secret1"},
		{errs.New(errs.Internal, errs.T("内部 secret1", "internal secret1")).Because(secret), 500, "程序出错", "secret1"},
		{&http.MaxBytesError{Limit: 10}, 413, "10 字节", ""},
	} {
		for _, accept := range []string{"text/html", "application/json"} {
			h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Disposition", "attachment")
				Fail(w, r, c.err)
			}))
			res := get(t, h, func(r *http.Request) { r.Header.Set("Accept", accept) })
			raw, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.status || !strings.Contains(string(raw), c.shows) || (c.hides != "" && strings.Contains(string(raw), c.hides)) {
				t.Errorf("%v as %s: %d %s", c.err, accept, res.StatusCode, raw)
			}
			if res.Header.Get("Content-Disposition") != "" {
				t.Error("an error must not be a download")
			}
			if c.status == 429 && res.Header.Get("Retry-After") != "30" {
				t.Error("no Retry-After")
			}
			if accept == "application/json" {
				var p Problem
				if err := json.Unmarshal(raw, &p); err != nil || p.Status != c.status || p.Instance == "" {
					t.Errorf("problem %s: %v", raw, err)
				}
				if c.status == 422 && (p.Clauses[0] != "FZM-16" || p.Errors[0].Field != "name" || p.Detail != "One field is wrong") {
					t.Errorf("problem %+v", p)
				}
			}
		}
	}
	if !strings.Contains(log.String(), "secret1") {
		t.Error("the fault was not logged whole")
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	var log bytes.Buffer
	h := site(&log).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	res := get(t, h, nil)
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != 500 || strings.Contains(string(raw), "boom") || !strings.Contains(log.String(), "boom") {
		t.Errorf("%d %s", res.StatusCode, raw)
	}
}

func TestBodyLimit(t *testing.T) {
	s := site(io.Discard)
	s.MaxBody = 10
	for _, c := range []struct{ raise, want int }{{0, 413}, {100, 200}} {
		h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.raise > 0 {
				LimitBody(r, int64(c.raise))
			}
			if _, err := io.ReadAll(r.Body); err != nil {
				Fail(w, r, err)
			}
		}))
		r := httptest.NewRequest("POST", "http://site.test/x", strings.NewReader(strings.Repeat("x", 50)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("raised to %d: status %d, want %d", c.raise, w.Code, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	b := newBuckets(Rate{PerSecond: 2, Burst: 3})
	now := time.Unix(1000, 0)
	b.now = func() time.Time { return now }
	for i := range 3 {
		if _, ok := b.take("192.0.2.1"); !ok {
			t.Fatalf("request %d of the burst was refused", i)
		}
	}
	if wait, ok := b.take("192.0.2.1"); ok || wait <= 0 || wait > time.Second {
		t.Errorf("the fourth passed, or a wrong wait: %v", wait)
	}
	if _, ok := b.take("192.0.2.2"); !ok {
		t.Error("another address was refused")
	}
	now = now.Add(500 * time.Millisecond)
	if _, ok := b.take("192.0.2.1"); !ok {
		t.Error("no token after half a second")
	}
	for range 3 {
		b.take("2001:db8::1")
	}
	if _, ok := b.take("2001:db8::ffff"); ok {
		t.Error("an IPv6 site escaped by another address of its own")
	}
	now = now.Add(time.Hour)
	b.take("192.0.2.1")
	s := site(io.Discard)
	s.Rate = Rate{PerSecond: 0.1, Burst: 1}
	h := s.Wrap(http.HandlerFunc(page))
	get(t, h, nil)
	if res := get(t, h, nil); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d %v", res.StatusCode, res.Header)
	}
}

// TestRateOfKeys: a system calls as fast as its key allows, whoever tries keys does
// not, and the machine itself is not counted.
func TestRateOfKeys(t *testing.T) {
	s := site(io.Discard)
	s.Rate = Rate{PerSecond: 0.1, Burst: 3}
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer known" {
			Fail(w, r, errs.New(errs.Unauthenticated, errs.T("未知密钥", "the key is not known")))
		}
	}))
	for i, c := range []struct {
		addr, key string
		want      int
	}{
		{"192.0.2.1", "known", 200}, {"192.0.2.1", "known", 200}, {"192.0.2.1", "known", 200}, {"192.0.2.1", "known", 200}, {"192.0.2.1", "known", 200},
		{"192.0.2.1", "", 401}, {"192.0.2.1", "", 401}, {"192.0.2.1", "", 401}, {"192.0.2.1", "", 429},
		{"192.0.2.1", "guess", 401}, {"192.0.2.1", "guess", 401}, {"192.0.2.1", "guess", 401}, {"192.0.2.1", "guess", 429},
		{"192.0.2.2", "guess", 401},
		{"127.0.0.1", "", 401}, {"127.0.0.1", "", 401}, {"127.0.0.1", "", 401}, {"127.0.0.1", "", 401}, {"::1", "", 401},
	} {
		r := httptest.NewRequest("GET", "/api/v1/x", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(c.addr), 999).String()
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != c.want {
			t.Errorf("call %d of %s with key %q: %d, want %d", i, c.addr, c.key, rec.Code, c.want)
		}
		if rec.Code == 429 && (rec.Header().Get("Retry-After") == "" || rec.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(rec.Body.String(), "urn:gongshu:error:too_many")) {
			t.Errorf("the refusal: %v %s", rec.Header(), rec.Body)
		}
	}
}

// TestAddress: forwarding headers are believed from named proxies only, and of
// those only what the proxy itself added.
func TestAddress(t *testing.T) {
	s := site(io.Discard)
	s.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	var addr string
	var tls bool
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { addr, tls = Addr(r), IsTLS(r) }))
	for _, c := range []struct {
		remote, forwarded, proto, want string
		tls                            bool
	}{
		{"203.0.113.9:5000", "1.2.3.4", "https", "203.0.113.9", false},
		{"10.0.0.2:5000", "1.2.3.4", "https", "1.2.3.4", true},
		{"10.0.0.2:5000", "6.6.6.6, 1.2.3.4, 10.0.0.3", "http", "1.2.3.4", false},
		{"10.0.0.2:5000", "nonsense", "", "10.0.0.2", false},
	} {
		get(t, h, func(r *http.Request) {
			r.RemoteAddr = c.remote
			r.Header.Set("X-Forwarded-For", c.forwarded)
			r.Header.Set("X-Forwarded-Proto", c.proto)
		})
		if addr != c.want || tls != c.tls {
			t.Errorf("%+v: %s %v", c, addr, tls)
		}
	}
}

func TestStatic(t *testing.T) {
	h := Static(fstest.MapFS{
		"app-1.css":     {Data: []byte("body{color:red}")},
		"app-1.css.br":  {Data: []byte("BR")},
		"app-1.css.gz":  {Data: []byte("GZIP")},
		"manifest.json": {Data: []byte("{}")},
		".gitkeep":      {Data: nil},
	})
	for _, c := range []struct {
		path, accept string
		status       int
		coding, body string
	}{
		{"/app-1.css", "gzip, br", 200, "br", "BR"},
		{"/app-1.css", "gzip", 200, "gzip", "GZIP"},
		{"/app-1.css", "", 200, "", "body{color:red}"},
		{"/app-1.css.br", "", 404, "", ""},
		{"/manifest.json", "", 404, "", ""},
		{"/../web.go", "", 404, "", ""},
	} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.URL.Path = c.path
		r.Header.Set("Accept-Encoding", c.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: status %d", c.path, w.Code)
			continue
		}
		if c.status == 200 && (w.Body.String() != c.body || w.Header().Get("Content-Encoding") != c.coding || w.Header().Get("Content-Length") != strconv.Itoa(len(c.body)) ||
			!strings.Contains(w.Header().Get("Content-Type"), "css") || !strings.Contains(w.Header().Get("Cache-Control"), "immutable")) {
			t.Errorf("%s with %q: %v %q", c.path, c.accept, w.Header(), w.Body)
		}
		if c.status == 200 {
			r.Header.Set("If-None-Match", w.Header().Get("ETag"))
			again := httptest.NewRecorder()
			h.ServeHTTP(again, r)
			if again.Code != http.StatusNotModified {
				t.Errorf("%s: %d to a browser that has it", c.path, again.Code)
			}
		}
	}
}

func TestRefusalsCiteTheCity(t *testing.T) {
	s := &Site{Log: slog.New(slog.DiscardHandler), Cite: func(ids ...string) []string {
		for i := range ids {
			ids[i] = strings.Replace(ids[i], "FZM-16", "LY-11", 1)
		}
		return ids
	}}
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, errs.New(errs.Forbidden, errs.T("不可", "no")).By("FZM-16").With(errs.Problem{Field: "basis", Clause: "FZM-16"}))
	}))
	raw, _ := io.ReadAll(get(t, h, func(*http.Request) {}).Body)
	if body := string(raw); strings.Contains(body, "FZM") || strings.Count(body, "LY-11") != 2 {
		t.Errorf("%s", body)
	}
}

func TestUploadedFilesGoWithTheRequest(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	lying := func() int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, _ := form.CreateFormFile("file", "秘密.pdf")
	_, _ = part.Write(make([]byte, 512<<10))
	_ = form.Close()
	during := 0
	s := &Site{Log: slog.New(slog.DiscardHandler), MaxBody: 1 << 20}
	server := httptest.NewServer(s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), struct{}{}, 1)) // as handlers do
		if err := ParseMultipart(r, 1); err != nil {
			t.Error(err)
		}
		during = lying()
		panic("the handler fails")
	})))
	defer server.Close()
	req, _ := http.NewRequest("POST", server.URL, &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusInternalServerError || during != 1 || lying() != 0 {
		t.Errorf("%d; %d files while it ran, %d after", res.StatusCode, during, lying())
	}
}
