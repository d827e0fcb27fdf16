package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// The two languages that pages, messages and refusals are written in.
const (
	Chinese = "zh"
	English = "en"
)

const (
	langCookie = "lang"
	textCookie = "text"
)

type contextKey int

const (
	langKey contextKey = iota
	requestKey
	largeTextKey
)

// Lang gives the language of the request, Chinese or English; Chinese where
// nothing was chosen.
func Lang(ctx context.Context) string {
	if ctx != nil {
		if l, ok := ctx.Value(langKey).(string); ok {
			return l
		}
	}
	return Chinese
}

// WithLang sets the language that Lang gives; anything but English is Chinese.
func WithLang(ctx context.Context, lang string) context.Context {
	if lang != English {
		lang = Chinese
	}
	return context.WithValue(ctx, langKey, lang)
}

// LargeText says whether the reader chose the large-text mode (适老化).
func LargeText(ctx context.Context) bool {
	v, _ := ctx.Value(largeTextKey).(bool)
	return v
}

// Preferences reads language and text size from cookies, falling back on
// Accept-Language, and puts them into the context. A GET with ?lang=en or
// ?text=large remembers the choice for a year and goes back to the same page
// without the parameter, so that the switch is a plain link.
func Preferences(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && reads(r) && r.URL.RawQuery != "" {
			q := r.URL.Query()
			lang, text := q.Get("lang"), q.Get("text")
			known := lang == Chinese || lang == English
			sized := text == "large" || text == "normal"
			if known || sized {
				if known {
					remember(w, r, langCookie, lang)
					q.Del("lang")
				}
				if sized {
					remember(w, r, textCookie, text)
					q.Del("text")
				}
				// Only the path of this very site is used: never a redirect elsewhere.
				back := url.URL{Path: "/" + strings.TrimLeft(r.URL.Path, "/\\"), RawQuery: q.Encode()}
				w.Header().Set("Cache-Control", "no-store")
				http.Redirect(w, r, back.String(), http.StatusSeeOther)
				return
			}
		}
		ctx := WithLang(r.Context(), chosenLang(r))
		if c, err := r.Cookie(textCookie); err == nil && c.Value == "large" {
			ctx = context.WithValue(ctx, largeTextKey, true)
		}
		w.Header().Add("Vary", "Cookie, Accept-Language")
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// reads says that a person reads the answer: of what stands under /api/ that is
// only what a browser opens as a page.
func reads(r *http.Request) bool {
	return !isAPI(r) || strings.Contains(r.Header.Get("Accept"), "text/html")
}

func remember(w http.ResponseWriter, r *http.Request, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Expires: time.Now().AddDate(1, 0, 0),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: IsTLS(r),
	})
}

func chosenLang(r *http.Request) string {
	if c, err := r.Cookie(langCookie); err == nil && (c.Value == English || c.Value == Chinese) {
		return c.Value
	}
	// The one of the two that is wanted most (RFC 9110, by weight); Chinese, in
	// which the city answers for what is written, where neither is.
	tags, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	for _, tag := range tags {
		switch base, _ := tag.Base(); base.String() {
		case Chinese:
			return Chinese
		case English:
			return English
		}
	}
	return Chinese
}
