package console

import (
	"net/http"
	"strings"

	"gongshu/identity"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/ui"
)

// routesAccount registers the page of the own account.
func (c *Console) routesAccount(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/account", c.account)
}

// accountRight is something that the actor may do now.
type accountRight struct {
	action operation.Action
	words  string
	area   string
}

type accountView struct {
	actor    identity.Actor
	account  identity.Account
	sessions int
	rights   []accountRight
}

func (c *Console) account(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	account, err := c.Org.Account(ctx, a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	sessions, err := c.Org.Sessions(ctx, a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	matrix, err := operation.Matrix()
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := accountView{actor: a, account: account, sessions: len(sessions)}
	seen := map[operation.Action]bool{}
	for _, row := range matrix {
		if seen[row.Action] || row.Right(string(a.Post)).Scope == "" || strings.HasPrefix(string(row.Action), "identity.own.") {
			continue
		}
		seen[row.Action] = true
		v.rights = append(v.rights, accountRight{action: row.Action, area: row.Area, words: c.rightWords(r, row.Action, a)})
	}
	ui.Render(w, r, accountPage(v))
}

// rightWords are the sentences of the policies that let this post do the action.
func (c *Console) rightWords(r *http.Request, action operation.Action, a identity.Actor) string {
	var out []string
	for _, p := range permits(c.Door.Policies().Of(action)) {
		if strings.Contains(p.Source, `"`+string(a.Post)+`"`) {
			out = append(out, p.Text.In(web.Lang(r.Context())))
		}
	}
	return strings.Join(out, ui.Pick(r.Context(), "；", "; "))
}
