package ui

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"gongshu/internal/errs"
	"gongshu/internal/web"
)

// ErrorPage renders a refusal for a browser inside the face's own page; it is
// what web.Site.ErrorPage is set to.
func ErrorPage(w http.ResponseWriter, r *http.Request, status int, e *errs.Error) {
	var b bytes.Buffer
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := errorPage(status, e, web.ID(r.Context())).Render(r.Context(), &b); err != nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

func statusText(status int) string { return strconv.Itoa(status) }

// errorKeys are the statuses that have words of their own.
var errorKeys = map[int]string{
	http.StatusUnauthorized:          "ui.error_401",
	http.StatusForbidden:             "ui.error_403",
	http.StatusNotFound:              "ui.error_404",
	http.StatusMethodNotAllowed:      "ui.error_404",
	http.StatusConflict:              "ui.error_409",
	http.StatusGone:                  "ui.error_410",
	http.StatusRequestEntityTooLarge: "ui.error_413",
	http.StatusUnprocessableEntity:   "ui.error_422",
	http.StatusTooManyRequests:       "ui.error_429",
	http.StatusServiceUnavailable:    "ui.error_503",
}

func errorTitle(ctx context.Context, status int) string {
	if key := errorKeys[status]; key != "" {
		return T(ctx, key)
	}
	return T(ctx, "ui.error_500")
}

func errorAdvice(ctx context.Context, status int) string {
	key := errorKeys[status]
	if key == "" {
		key = "ui.error_500"
	}
	return T(ctx, key+"_advice")
}
