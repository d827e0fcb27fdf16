// Package web is what every HTTP handler of the program stands in: request ids,
// recovery, the access log, security headers, protection against cross-site
// requests, limits on bodies and rates, the reader's language, compression, and
// the one place where an error's kind becomes an HTTP status (Fail).
//
// Use: wrap the whole mux once with Site.Wrap; in handlers call Fail(w, r, err)
// and return; read ID(ctx), Lang(ctx), Addr(r) where needed.
package web

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"gongshu/internal/errs"
)

// Site holds what the middleware needs to know about the installation.
type Site struct {
	Log *slog.Logger // slog.Default() where nil
	// TLS says that the program itself or the proxy in front serves HTTPS; it
	// turns on HSTS and Secure cookies.
	TLS bool
	// Proxies are the addresses of reverse proxies whose X-Forwarded-For and
	// X-Forwarded-Proto are believed; without any, neither header is read.
	Proxies []netip.Prefix
	// MaxBody bounds a request body in bytes; 0 is 1 MiB. Handlers of uploads
	// raise it for themselves with LimitBody.
	MaxBody int64
	// Rate limits requests of one address that carry no key, and as many again with
	// keys that are not known; the zero Rate does not limit.
	Rate Rate
	// Trusted are further origins ("https://host") that may post forms here.
	Trusted []string
	// ErrorPage renders a refusal for a browser; without it Fail writes a plain
	// page. It is given the status that was already chosen.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int, e *errs.Error)
	// Cite gives the articles by which this city says what the cited ones say;
	// without it refusals to systems name the articles that the code cites.
	Cite func(ids ...string) []string
}

type request struct {
	id    string
	addr  string
	tls   bool
	site  *Site
	actor string
	forms []*multipart.Form // removed with the request
}

// ID gives the id of the request that is being served, "" outside of one. It
// stands in the access log, in the X-Request-Id header and on error pages.
func ID(ctx context.Context) string {
	if q := from(ctx); q != nil {
		return q.id
	}
	return ""
}

// Addr gives the caller's address without port, behind a trusted proxy the one
// that the proxy reports.
func Addr(r *http.Request) string {
	if q := from(r.Context()); q != nil {
		return q.addr
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Base is the address of this site as the visitor reached it, without a slash at
// its end.
func Base(r *http.Request) string {
	if IsTLS(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// IsTLS says whether the browser's connection is encrypted, as far as is known.
func IsTLS(r *http.Request) bool {
	if q := from(r.Context()); q != nil {
		return q.tls
	}
	return r.TLS != nil
}

// NoteActor names who made the request in the access log: a login or a client
// id, never a secret.
func NoteActor(ctx context.Context, name string) {
	if q := from(ctx); q != nil {
		q.actor = name
	}
}

func from(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey).(*request)
	return q
}

// Wrap puts the whole middleware around a handler.
func (s *Site) Wrap(next http.Handler) http.Handler {
	h := Preferences(next)
	h = Compress(h)
	h = s.sameOrigin(h)
	h = s.limitBody(h)
	if s.Rate.PerSecond > 0 {
		h = s.limitRate(h, newBuckets(s.Rate), newBuckets(s.Rate))
	}
	h = s.headers(h)
	return s.outermost(h)
}

func (s *Site) logger() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

// outermost gives the request its id, recovers from panics and writes the
// access log.
func (s *Site) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		q := &request{id: newID(), site: s, tls: s.TLS || r.TLS != nil}
		q.addr = s.address(r, q)
		r = r.WithContext(context.WithValue(r.Context(), requestKey, q))
		rec := &recorder{ResponseWriter: w}
		w.Header().Set("X-Request-Id", q.id)
		defer func() {
			for _, form := range q.forms {
				if err := form.RemoveAll(); err != nil {
					s.logger().Error("an uploaded file stays on disk", "id", q.id, "err", err)
				}
			}
		}()
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				s.logger().Error("panic", "id", q.id, "path", r.URL.Path, "value", v, "stack", string(debug.Stack()))
				if rec.status == 0 {
					Fail(rec, r, errs.New(errs.Internal, errs.T("程序出错", "The program failed")))
				}
			}
			s.logger().LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("id", q.id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.code()), slog.Int64("bytes", rec.bytes),
				slog.Float64("ms", float64(time.Since(started).Microseconds())/1000), slog.String("addr", q.addr), slog.String("actor", q.actor))
		}()
		next.ServeHTTP(rec, r)
	})
}

// ParseMultipart reads a form with files: at most memory bytes are held, the rest
// lies in temporary files that go with the request. (The server itself removes only
// those of the request that it made, and handlers see copies of that one.)
func ParseMultipart(r *http.Request, memory int64) error {
	err := r.ParseMultipartForm(memory)
	if q := from(r.Context()); q != nil && r.MultipartForm != nil {
		q.forms = append(q.forms, r.MultipartForm)
	}
	return err
}

func newID() string {
	var b [9]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// address believes forwarding headers only from the named proxies, and takes
// the right-most address that is not one of them: what stands left of it can be
// written by anybody.
func (s *Site) address(r *http.Request, q *request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if !s.isProxy(host) {
		return host
	}
	if r.Header.Get("X-Forwarded-Proto") == "https" {
		q.tls = true
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		host = hop
		if !s.isProxy(hop) {
			break
		}
	}
	return host
}

func (s *Site) isProxy(host string) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range s.Proxies {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// policy allows nothing that this very site did not serve as a file: no inline
// script or style, no frames, no plug-ins. data: images are the style sheet's
// own small drawings and the favicon.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"

// The values are shared between answers: nobody appends to them.
var fixedHeaders = map[string][]string{
	"Content-Security-Policy":      {policy},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
	"Referrer-Policy":              {"same-origin"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {"camera=(), microphone=(), geolocation=(), payment=(), usb=()"},
}

func (s *Site) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range fixedHeaders {
			h[name] = value[:1:1]
		}
		if IsTLS(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// SameSite reports whether a request was not made by another site's page, as far
// as the browser says: a program, an old browser, or a page of this very site.
func SameSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// sameOrigin refuses state-changing requests that another site made a browser
// send. Browsers say where a request comes from (Sec-Fetch-Site or Origin); a
// request that carries cookies and says neither is refused too, so that no old
// browser slips through. Keys of API clients travel in headers that another
// site cannot set, so requests without cookies and calls of the API with a key
// pass: where there is a key, cookies count for nothing.
func (s *Site) sameOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	for _, origin := range s.Trusted {
		if err := guard.AddTrustedOrigin(origin); err != nil {
			s.logger().Error("trusted origin is not of the shape https://host", "origin", origin, "err", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			next.ServeHTTP(w, r)
			return
		}
		if isAPI(r) && carriesKey(r) {
			next.ServeHTTP(w, r)
			return
		}
		silent := r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == ""
		if (silent && r.Header.Get("Cookie") != "") || guard.Check(r) != nil {
			Fail(w, r, errs.New(errs.Forbidden, errs.T(
				"这个请求不是从本站页面发出的，未作任何更改。请回到本站页面重新操作。",
				"This request did not come from a page of this site; nothing was changed. Go back to the page and try again.")))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// carriesKey reports whether a request says who calls in a header that browsers
// never send by themselves, as they do a password of the scheme Basic.
func carriesKey(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return scheme != "" && !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Digest") && !strings.EqualFold(scheme, "Negotiate") && !strings.EqualFold(scheme, "NTLM")
}

func (s *Site) limitBody(next http.Handler) http.Handler {
	limit := s.MaxBody
	if limit == 0 {
		limit = 1 << 20
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &body{w: w, raw: r.Body, reader: http.MaxBytesReader(w, r.Body, limit)}
		}
		next.ServeHTTP(w, r)
	})
}

// body is a bounded request body that remembers the unbounded one, so that a
// handler can set another bound.
type body struct {
	w      http.ResponseWriter
	raw    io.ReadCloser
	reader io.ReadCloser
}

func (b *body) Read(p []byte) (int, error) { return b.reader.Read(p) }
func (b *body) Close() error               { return b.reader.Close() }

// LimitBody sets another bound in bytes on a request's body, for handlers that
// take uploads. Call it before the first read.
func LimitBody(r *http.Request, limit int64) {
	if b, ok := r.Body.(*body); ok {
		b.reader = http.MaxBytesReader(b.w, b.raw, limit)
	}
}

// recorder remembers status and size for the access log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom lets a file go to the connection without a copy of its own.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := readFrom(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

// readFrom hands a reader to the writer beneath where that takes one.
func readFrom(w http.ResponseWriter, r io.Reader) (int64, error) {
	if to, ok := w.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written so far.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *recorder) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

var gzipPool = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, 5)
	return z
}}

// Compress gzips pages and JSON of more than 1,400 bytes (about one packet).
// Handlers that set Content-Encoding themselves, downloads and streams are left
// alone: only complete bodies written with their Content-Length are touched, so
// that a stream is never held back.
func Compress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !accepts(r, "gzip") || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		z := &zipper{ResponseWriter: w}
		defer z.close()
		next.ServeHTTP(z, r)
	})
}

type zipper struct {
	http.ResponseWriter
	decided bool
	z       *gzip.Writer
}

func (w *zipper) WriteHeader(status int) {
	if status >= 200 && !w.decided {
		w.decided = true
		h := w.Header()
		size, err := strconv.Atoi(h.Get("Content-Length"))
		kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
		if err == nil && size > 1400 && h.Get("Content-Encoding") == "" && status != http.StatusPartialContent &&
			h.Get("Content-Disposition") == "" && compressible(kind) {
			h.Del("Content-Length")
			h.Set("Content-Encoding", "gzip")
			h.Add("Vary", "Accept-Encoding")
			// A compressed body is another representation: its tag must differ.
			if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
				h.Set("ETag", "W/"+tag)
			}
			w.z = gzipPool.Get().(*gzip.Writer)
			w.z.Reset(w.ResponseWriter)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func compressible(kind string) bool {
	switch strings.TrimSpace(kind) {
	case "text/html", "application/json", "application/problem+json", "application/ld+json", "text/plain", "text/xml", "application/xml", "application/geo+json":
		return true
	}
	return false
}

func (w *zipper) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.z != nil {
		return w.z.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets a file go to the connection without a copy of its own, where it
// is not compressed.
func (w *zipper) ReadFrom(r io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.z != nil {
		return io.Copy(struct{ io.Writer }{w.z}, r)
	}
	return readFrom(w.ResponseWriter, r)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *zipper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written so far.
func (w *zipper) Flush() {
	if w.z != nil {
		_ = w.z.Flush()
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *zipper) close() {
	if w.z != nil {
		_ = w.z.Close()
		w.z.Reset(nil)
		gzipPool.Put(w.z)
		w.z = nil
	}
}

// accepts reads Accept-Encoding; q=0 counts as a refusal.
func accepts(r *http.Request, coding string) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
