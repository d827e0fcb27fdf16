package console

import (
	"net/http"
	"net/url"
	"strings"

	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

// routesShell registers the workbench.
func (c *Console) routesShell(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/{$}", c.workbench)
}

func (c *Console) workbench(w http.ResponseWriter, r *http.Request) {
	ui.Render(w, r, workbenchPage(actor(r)))
}

// enter finds out who acts and puts the page's frame into the context; whoever
// is not logged in goes to the log-in page and comes back afterwards.
func (c *Console) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := actor(r)
		ctx := ui.WithFrame(r.Context(), c.frame(r, a))
		r = r.WithContext(ctx)
		if a.IsAnonymous() && !open(r.URL.Path) {
			if r.Method == http.MethodGet {
				http.Redirect(w, r, "/console/login?back="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
				return
			}
			web.Fail(w, r, errs.New(errs.Unauthenticated, errs.T("请先登录。", "Please log in first.")))
			return
		}
		web.NoteActor(ctx, a.Login)
		next.ServeHTTP(w, r)
	})
}

// open says which pages need no log-in.
func open(path string) bool { return path == "/console/login" }

// back keeps a return address inside the console.
func back(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/console/") || strings.Contains(address, "\\") {
		return "/console/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
