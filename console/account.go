package console

import (
	"net/http"
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

// accountRight is what one sentence of the policies lets the actor do.
type accountRight struct {
	words   string
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
	seen := map[operation.Action]bool{}
	for _, row := range matrix {
		if seen[row.Action] || row.Right(string(a.Post)).Scope == "" || strings.HasPrefix(string(row.Action), "identity.own.") {
			continue
		}
		seen[row.Action] = true
		words := c.rightWords(r, row.Action, a)
		if n := len(v.rights); n > 0 && v.rights[n-1].words == words && v.rights[n-1].area == row.Area {
			v.rights[n-1].actions = append(v.rights[n-1].actions, string(row.Action))
			continue
		}
		v.rights = append(v.rights, accountRight{words: words, area: row.Area, actions: []string{string(row.Action)}})
	}
	ui.Render(w, r, accountPage(v))
}

// rightWords are the sentences of the policies that let this post do the action:
// those that name the post, or, where none does, those that name no post at all.
func (c *Console) rightWords(r *http.Request, action operation.Action, a identity.Actor) string {
	var named, general []string
	for _, p := range permits(c.Door.Policies().Of(action)) {
		text := p.Text.In(web.Lang(r.Context()))
		switch {
		case strings.Contains(p.Source, `"`+string(a.Post)+`"`):
			named = append(named, text)
		case !strings.Contains(p.Source, "principal.post"):
			general = append(general, text)
		}
	}
	if len(named) == 0 {
		named = general
	}
	return strings.Join(named, ui.Pick(r.Context(), "；", "; "))
}
