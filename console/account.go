package console

import (
	"net/http"
	"slices"
	"strings"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/ui"
)

// routesAccount registers the page of the own account.
func (c *Console) routesAccount(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/account", c.account)
}

// accountRight is what the policies of an area let the actor do.
type accountRight struct {
	area    string
	actions []string
}

type accountView struct {
	actor    identity.Actor
	account  identity.Account
	sessions int
	factor   bool // a second factor is set up
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
	_, err = c.Org.Factor(ctx, a)
	factor := err == nil
	if err != nil && !errs.Is(err, errs.NotFound) {
		web.Fail(w, r, err)
		return
	}
	matrix, err := operation.Matrix()
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := accountView{actor: a, account: account, sessions: len(sessions), factor: factor}
	for _, row := range matrix {
		if row.Right(string(a.Post)).Scope == "" || strings.HasPrefix(string(row.Action), "identity.own.") {
			continue
		}
		n := len(v.rights) - 1
		if n < 0 || v.rights[n].area != row.Area {
			v.rights, n = append(v.rights, accountRight{area: row.Area}), n+1
		}
		if action := string(row.Action); !slices.Contains(v.rights[n].actions, action) {
			v.rights[n].actions = append(v.rights[n].actions, action)
		}
	}
	ui.Render(w, r, accountPage(v))
}
