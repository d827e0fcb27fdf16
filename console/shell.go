package console

import (
	"net/http"
	"net/url"
	"strings"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/org"
	"gongshu/ui"
)

const (
	passwordPage = "/console/account/password"
	provePage    = "/console/login/factor"
	factorPage   = "/console/account/factor"
)

// Session finds the person behind a request's cookie, for the console and the API:
// an anonymous visitor where there is none or the session is over.
func Session(people *org.Service) func(r *http.Request) (identity.Actor, error) {
	return func(r *http.Request) (identity.Actor, error) {
		ctx := r.Context()
		nobody := identity.Visitor(web.Addr(r), web.Lang(ctx))
		token := web.SessionToken(r)
		if token == "" {
			return nobody, nil
		}
		a, err := people.Session(ctx, token, web.Addr(r), web.Lang(ctx))
		if errs.Is(err, errs.Unauthenticated) {
			return nobody, nil
		}
		return a, err
	}
}

// enter finds out who acts from the session's cookie and puts the page's frame
// into the context. Whoever is not logged in goes to the log-in page and comes
// back afterwards; whoever still has a one-time password changes it first.
func (c *Console) enter(next http.Handler) http.Handler {
	session := Session(c.Org)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What officials see is for them alone: no cache on the way keeps it.
		w.Header().Set("Cache-Control", "no-store")
		ctx := r.Context()
		a := actor(r)
		if a.IsAnonymous() && !open(r.URL.Path) {
			resumed, err := session(r)
			if err != nil {
				r = r.WithContext(ui.WithFrame(ctx, c.frame(r, a)))
				web.Fail(w, r, err)
				return
			}
			a = resumed
		}
		ctx = WithActor(ctx, a)
		r = r.WithContext(ui.WithFrame(ctx, c.frame(r.WithContext(ctx), a)))
		if a.IsAnonymous() && !open(r.URL.Path) {
			c.sendToLogin(w, r)
			return
		}
		if to := unfinished(a, r.URL.Path); to != "" {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		web.NoteActor(ctx, a.Login)
		next.ServeHTTP(w, r)
	})
}

// unfinished is the page on which a log-in goes on: the second factor first, then
// the change of a one-time password, then the factor that a post demands. "" when
// the log-in is whole or path serves to finish it.
func unfinished(a identity.Actor, path string) string {
	switch {
	case path == "/console/logout" || open(path):
		return ""
	case a.MustProve:
		if path != provePage {
			return provePage
		}
	case a.MustChange:
		if path != passwordPage {
			return passwordPage
		}
	case a.MustEnrol:
		if path != passwordPage && path != factorPage && !strings.HasPrefix(path, factorPage+"/") {
			return factorPage
		}
	}
	return ""
}

// sendToLogin leads to the log-in page; a partial update by htmx is told to load
// the page anew, since a log-in form inside a list would be of no use.
func (c *Console) sendToLogin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		// The way back leads to the form, where a browser with scripts has kept what
		// was filled in.
		frame := ui.FrameOf(r.Context())
		if from, err := url.Parse(r.Referer()); err == nil {
			frame.Login = "/console/login?" + url.Values{"back": {back((&url.URL{Path: from.Path, RawQuery: from.RawQuery}).String())}}.Encode()
		}
		r = r.WithContext(ui.WithFrame(r.Context(), frame))
		web.Fail(w, r, errs.New(errs.Unauthenticated, errs.T("会话已结束，刚才的提交没有生效。请重新登录，登录后回到原来的页面继续。", "The session has ended, and what you just sent did not take effect. Log in again: you come back to the page where you were.")))
		return
	}
	to := "/console/login?" + url.Values{"back": {r.URL.RequestURI()}}.Encode()
	if r.URL.Path == "/console/" {
		to = "/console/login"
	}
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// open says which pages need no log-in.
func open(path string) bool { return path == "/console/login" }

// back keeps a return address inside the console.
func back(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/console/") || strings.Contains(address, "\\") ||
		u.Path == "/console/login" || u.Path == provePage || u.Path == "/console/logout" {
		return "/console/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// routesShell registers log-in, own account and the workbench.
func (c *Console) routesShell(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/login", c.loginForm)
	mux.HandleFunc("POST /console/login", c.login)
	mux.HandleFunc("POST /console/logout", c.logout)
	mux.HandleFunc("POST /console/post", c.actAs)
	mux.HandleFunc("GET "+passwordPage, c.passwordForm)
	mux.HandleFunc("POST "+passwordPage, c.changePassword)
	mux.HandleFunc("GET /console/account/sessions", c.sessions)
	mux.HandleFunc("POST /console/account/sessions/end", c.endSession)
	mux.HandleFunc("GET /console/{$}", c.workbench)
}

func (c *Console) loginForm(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	view := loginView{back: back(r.URL.Query().Get("back"))}
	if token := web.SessionToken(r); token != "" {
		if _, err := c.Org.Session(ctx, token, web.Addr(r), web.Lang(ctx)); err == nil {
			http.Redirect(w, r, view.back, http.StatusSeeOther)
			return
		} else if e, ok := errs.As(err); ok && e.Kind == errs.Unauthenticated {
			view.ended = e.Text.In(web.Lang(ctx))
		}
	}
	ui.Render(w, r, loginPage(view))
}

// loginView is what the log-in page shows.
type loginView struct {
	login, back string
	ended       string // why the last session ended
	errors      ui.Errors
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	view := loginView{login: strings.TrimSpace(r.PostForm.Get("login")), back: back(r.PostForm.Get("back"))}
	token, a, err := c.Org.LogIn(ctx, org.LogInForm{Login: view.login, Secret: r.PostForm.Get("password"),
		Addr: web.Addr(r), Agent: r.UserAgent(), Lang: web.Lang(ctx)})
	if err != nil {
		e, ok := errs.As(err)
		if !ok || e.Kind == errs.Internal {
			web.Fail(w, r, err)
			return
		}
		view.errors = ui.ErrorsOf(ctx, err)
		ui.RenderStatus(w, r, web.Status(err), loginPage(view))
		return
	}
	web.SetSession(w, r, token)
	to := unfinished(a, view.back)
	switch to {
	case "":
		to = view.back
	case provePage:
		to += "?" + url.Values{"back": {view.back}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if err := c.Org.LogOut(r.Context(), actor(r)); err != nil && !errs.Is(err, errs.NotFound) {
		web.Fail(w, r, err)
		return
	}
	web.SetSession(w, r, "")
	http.Redirect(w, r, "/console/login", http.StatusSeeOther)
}

// actAs changes the acting post and goes to the workbench: what the old page
// showed may not be for the new post.
func (c *Console) actAs(w http.ResponseWriter, r *http.Request) {
	if err := c.Org.ActAs(r.Context(), actor(r), r.FormValue("holding")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/", http.StatusSeeOther)
}

func (c *Console) passwordForm(w http.ResponseWriter, r *http.Request) {
	ui.Render(w, r, passwordChange(actor(r), ui.Errors{}))
}

func (c *Console) changePassword(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	fail := func(err error) {
		if !ui.IsRefusal(err) && !errs.Is(err, errs.TooMany) {
			web.Fail(w, r, err)
			return
		}
		ui.RenderStatus(w, r, web.Status(err), passwordChange(a, ui.ErrorsOf(ctx, err)))
	}
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	fresh := r.PostForm.Get("secret")
	if fresh != r.PostForm.Get("again") {
		fail(errs.New(errs.Invalid, errs.T("两次输入的新口令不一致", "The two new passwords differ")).In("again"))
		return
	}
	token, err := c.Org.ChangeSecret(ctx, a, r.PostForm.Get("old"), fresh)
	if err != nil {
		fail(err)
		return
	}
	web.SetSession(w, r, token)
	http.Redirect(w, r, "/console/account/sessions?changed=1", http.StatusSeeOther)
}

func (c *Console) sessions(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	all, err := c.Org.Sessions(r.Context(), a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, sessionsPage(a, all, r.URL.Query().Get("changed") == "1"))
}

// endSession ends one of the own sessions, or all others with "others".
func (c *Console) endSession(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	var err error
	id := r.FormValue("session")
	if id == "others" {
		_, err = c.Org.EndOtherSessions(r.Context(), a)
	} else {
		err = c.Org.EndSession(r.Context(), a, id)
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if id == a.SessionID {
		web.SetSession(w, r, "")
		http.Redirect(w, r, "/console/login", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/console/account/sessions", http.StatusSeeOther)
}

// agentWords makes a browser's own description short: its name and system.
func agentWords(agent string) string {
	find := func(names ...string) string {
		for i := 0; i+1 < len(names); i += 2 {
			if strings.Contains(agent, names[i]) {
				return names[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "QIHU", "360", "Firefox/", "Firefox", "HeadlessChrome", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl", "Go-http-client", "Go")
	system := find("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		runes := []rune(agent)
		return string(runes[:min(len(runes), 40)])
	case system == "":
		return browser
	}
	return strings.TrimPrefix(browser+" · "+system, " · ")
}
