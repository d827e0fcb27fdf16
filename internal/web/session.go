package web

import "net/http"

// SessionCookie is the cookie that carries the session of a person.
const SessionCookie = "gongshu_session"

// sessionPaths are where browsers send the cookie: officials' pages and the API.
// The portal never sees it, so that its pages are the same for everybody and may
// be kept by caches on the way.
var sessionPaths = []string{"/console/", "/api/"}

// SessionToken gives the token that a request carries, "" for none.
func SessionToken(r *http.Request) string {
	if cookie, err := r.Cookie(SessionCookie); err == nil {
		return cookie.Value
	}
	return ""
}

// SetSession gives the browser its token until it is closed; how long the token
// counts is decided by the session in the database. "" takes it away.
func SetSession(w http.ResponseWriter, r *http.Request, token string) {
	for _, path := range sessionPaths {
		cookie := &http.Cookie{Name: SessionCookie, Value: token, Path: path, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: IsTLS(r)}
		if token == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
	}
}
