package web

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"

	"gongshu/internal/errs"
)

// statuses is the only place where a kind of error becomes an HTTP status.
var statuses = map[errs.Kind]int{
	errs.Invalid:         http.StatusUnprocessableEntity,
	errs.NotFound:        http.StatusNotFound,
	errs.Forbidden:       http.StatusForbidden,
	errs.Conflict:        http.StatusConflict,
	errs.Unauthenticated: http.StatusUnauthorized,
	errs.TooMany:         http.StatusTooManyRequests,
	errs.TooLarge:        http.StatusRequestEntityTooLarge,
	errs.Unavailable:     http.StatusServiceUnavailable,
	errs.WrongMethod:     http.StatusMethodNotAllowed,
	errs.Gone:            http.StatusGone,
	errs.Unsupported:     http.StatusUnsupportedMediaType,
	errs.Internal:        http.StatusInternalServerError,
}

// Status gives the HTTP status of an error; 500 for one without a kind.
func Status(err error) int {
	if s, ok := statuses[errs.KindOf(err)]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Problem is the body of a refusal to a system: problem details (RFC 9457) with
// the field, the articles and the single faults.
type Problem struct {
	Type     string         `json:"type"`               // "urn:gongshu:error:<kind>"
	Title    string         `json:"title"`              // the sentence, in the caller's language
	Status   int            `json:"status"`             // HTTP status
	Detail   string         `json:"detail,omitempty"`   // the same sentence in the other language
	Instance string         `json:"instance,omitempty"` // request id
	Field    string         `json:"field,omitempty"`
	Clauses  []string       `json:"clauses,omitempty"`
	Errors   []ProblemEntry `json:"errors,omitempty"`
}

// ProblemEntry is one fault of several.
type ProblemEntry struct {
	Field   string `json:"field"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Clause  string `json:"clause,omitempty"`
}

// NewProblem makes the body of a refusal in a language. What is not an
// *errs.Error shows nothing of itself but the request's id. Articles are the
// city's own (Site.Cite).
func NewProblem(ctx context.Context, err error, lang string) Problem {
	e := Refusal(err)
	other := Chinese
	if lang == Chinese {
		other = English
	}
	p := Problem{
		Type: "urn:gongshu:error:" + string(e.Kind), Title: e.Text.In(lang), Detail: e.Text.In(other),
		Status: Status(e), Instance: ID(ctx), Field: e.Field, Clauses: cite(ctx, e.Clauses),
	}
	for _, one := range e.Problems {
		p.Errors = append(p.Errors, ProblemEntry{Field: one.Field, Code: one.Code, Message: one.Text.In(lang), Clause: strings.Join(cite(ctx, strings.Fields(one.Clause)), " ")})
	}
	if p.Field == "" && len(p.Errors) > 0 {
		p.Field = p.Errors[0].Field // who reads one field only reads the first
	}
	return p
}

func cite(ctx context.Context, ids []string) []string {
	if q := from(ctx); q != nil && q.site.Cite != nil && len(ids) > 0 {
		return q.site.Cite(ids...)
	}
	return ids
}

// Refusal gives the *errs.Error that a caller may see: faults of the program
// become a sentence without any of their words.
func Refusal(err error) *errs.Error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errs.Newf(errs.TooLarge, "发送的内容超过 %d 字节的上限，没有保存。", "What was sent is over the limit of %d bytes; nothing was kept.", tooLarge.Limit).Because(err)
	}
	e, ok := errs.As(err)
	if ok && e.Kind != errs.Internal {
		return e
	}
	return errs.New(errs.Internal, errs.T(
		"程序出错，已记录。请稍后再试；如再次出现，请把编号告诉管理员。",
		"The program failed, and the fault is logged. Try again later; if it happens again, tell the administrator the id.")).Because(err)
}

// Fail answers with an error: problem+json for systems (/api/, or an Accept that
// wants JSON rather than HTML), a page for people. Faults of the program are
// logged whole under the request's id. Call it once and return.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	e := Refusal(err)
	status := Status(e)
	id := ID(r.Context())
	if q := from(r.Context()); q != nil && (status >= 500 || e.Kind == errs.Internal) {
		if !errors.Is(err, context.Canceled) {
			q.site.logger().Error("failed", "id", id, "path", r.URL.Path, "err", err)
		}
	}
	// What the handler may have set for the answer it did not get to give.
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name)
	}
	h.Set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if wantsJSON(r) {
		WriteProblem(w, r, err)
		return
	}
	if q := from(r.Context()); q != nil && q.site.ErrorPage != nil {
		q.site.ErrorPage(w, r, status, e)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	text := html.EscapeString(e.Text.In(Lang(r.Context())))
	_, _ = io.WriteString(w, "<!DOCTYPE html><meta charset=\"utf-8\"><title>"+strconv.Itoa(status)+"</title><h1>"+strconv.Itoa(status)+"</h1><p>"+text+"</p><p>"+html.EscapeString(id)+"</p>\n")
}

// WriteProblem answers with problem+json whatever the caller accepts.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := NewProblem(r.Context(), err, apiLang(r))
	raw, merr := json.Marshal(p)
	if merr != nil {
		raw = []byte(`{"status":500}`)
	}
	raw = append(raw, '\n')
	if p.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(raw)
}

// Unrouted answers for systems what a mux has no pattern for, as its catch-all:
// 405 with Allow where the address takes other methods, else 404 with text.
func Unrouted(mux *http.ServeMux, text errs.Text) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			other := *r
			other.Method = method
			if _, pattern := mux.Handler(&other); strings.HasPrefix(pattern, method+" ") {
				allow = append(allow, method)
			}
		}
		if allow != nil {
			WrongMethod(w, r, allow...)
			return
		}
		WriteProblem(w, r, errs.New(errs.NotFound, text))
	})
}

// WrongMethod refuses a request with 405: the address takes only the methods of allow.
func WrongMethod(w http.ResponseWriter, r *http.Request, allow ...string) {
	methods := strings.Join(allow, ", ")
	w.Header().Set("Allow", methods)
	WriteProblem(w, r, errs.Newf(errs.WrongMethod, "这个地址只接受 %s", "this address takes only %s", methods))
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

func wantsJSON(r *http.Request) bool {
	if isAPI(r) {
		return true
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}

// apiLang is the language of a refusal to a system, also where the middleware
// that remembers choices did not run.
func apiLang(r *http.Request) string {
	if l, ok := r.Context().Value(langKey).(string); ok {
		return l
	}
	return chosenLang(r)
}
