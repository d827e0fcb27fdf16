package console

import (
	"net/http"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/ui"
)

// routesClients registers the pages of API clients and their keys.
func (c *Console) routesClients(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/clients", c.clients)
	mux.HandleFunc("GET /console/clients/new", c.newClient)
	mux.HandleFunc("POST /console/clients/new", c.createClient)
	mux.HandleFunc("GET /console/clients/{id}", c.client)
	mux.HandleFunc("GET /console/clients/{id}/edit", c.editClient)
	mux.HandleFunc("POST /console/clients/{id}/edit", c.changeClient)
	mux.HandleFunc("POST /console/clients/{id}/state", c.clientState)
	mux.HandleFunc("POST /console/clients/{id}/keys", c.issueKey)
	mux.HandleFunc("POST /console/clients/{id}/keys/{key}/revoke", c.revokeKey)
}

func clientOf(c identity.APIClient) operation.Target {
	return operation.Target{Kind: "client", ID: c.ID, Name: c.Name, Body: c.Body, District: c.District}
}

type clientsView struct {
	list      ui.List
	clients   []identity.APIClient
	total     int
	mayCreate bool
}

func (c *Console) clients(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "identity.client.read", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	all, err := c.Org.Clients(r.Context(), a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := clientsView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"name", "body"}, Filters: []string{"state", "way"}, Per: 50}), mayCreate: c.may(r, "identity.client.create", ownTarget(a))}
	for _, client := range all {
		text := strings.ToLower(client.Name + " " + client.System + " " + client.BodyName)
		if strings.Contains(text, strings.ToLower(v.list.Q)) && (v.list.Get("state") == "" || v.list.Get("state") == client.State) &&
			(v.list.Get("way") == "" || (v.list.Get("way") == "signed") == client.Signed) {
			v.clients = append(v.clients, client)
		}
	}
	v.clients = ui.Sorted(v.list, v.clients, map[string]func(x, y identity.APIClient) int{
		"name": ui.By(func(x identity.APIClient) string { return x.Name }), "body": ui.By(func(x identity.APIClient) string { return x.BodyName })})
	if wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(r.Context(), "clients.clients"), columns: sheetColumns(r.Context(), "clients.name", "clients.system", "clients.body", "clients.way", "clients.from", "clients.state"),
			rows: rowsOf(v.clients, func(x identity.APIClient) []string {
				return []string{x.Name, x.System, x.BodyName, wayBadge(r.Context(), x).Text, fromWords(r.Context(), x), ui.StateWords(r.Context(), "", x.State)}
			})})
		return
	}
	v.total, v.clients = len(v.clients), ui.PageOf(v.list, v.clients)
	ui.Render(w, r, clientsPage(v))
}

// clientForm is what the page of a new or changed client shows.
type clientForm struct {
	client    identity.APIClient
	addresses string
	bodies    []ui.Option
	errors    ui.Errors
	fresh     bool
}

func (c *Console) showClientForm(w http.ResponseWriter, r *http.Request, status int, f clientForm) {
	a := actor(r)
	var err error
	if a.Post == identity.Operator {
		f.bodies, err = c.bodyOptions(r.Context(), a)
	} else {
		f.bodies = []ui.Option{{Value: a.Body, Label: a.BodyName}}
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if f.client.Body == "" {
		f.client.Body = a.Body
	}
	ui.RenderStatus(w, r, status, clientFormPage(f))
}

func (c *Console) newClient(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "identity.client.create", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	c.showClientForm(w, r, http.StatusOK, clientForm{fresh: true})
}

func readClientForm(r *http.Request) clientForm {
	p := r.PostForm.Get
	return clientForm{addresses: p("addresses"), client: identity.APIClient{ID: r.PathValue("id"), Name: p("name"), System: p("system"), Body: p("body"), Signed: p("signed") == "yes"}}
}

func (c *Console) createClient(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := readClientForm(r)
	f.fresh = true
	addresses, err := identity.ParseAddresses(f.addresses)
	var made identity.APIClient
	if err == nil {
		made, err = c.Org.CreateClient(ctx, a, org.NewClient{Name: f.client.Name, System: f.client.System, Body: f.client.Body, Signed: f.client.Signed, Addresses: addresses})
	}
	if err != nil {
		c.clientRefused(w, r, err, f)
		return
	}
	http.Redirect(w, r, "/console/clients/"+made.ID+"?done=created", http.StatusSeeOther)
}

func (c *Console) clientRefused(w http.ResponseWriter, r *http.Request, err error, f clientForm) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	f.errors = ui.ErrorsOf(r.Context(), err)
	c.showClientForm(w, r, web.Status(err), f)
}

// clientView is what the page of a client shows. issued is set only right after a
// key was made.
type clientView struct {
	client                                identity.APIClient
	keys                                  []identity.ClientKey
	issued                                *identity.IssuedKey
	by                                    map[string]string
	now                                   time.Time
	notice                                string
	errors                                ui.Errors
	expires                               string
	mayChange, mayIssue, mayRevoke, usage bool
}

func (c *Console) showClient(w http.ResponseWriter, r *http.Request, status int, v clientView) {
	ctx := r.Context()
	var err error
	if v.client, v.keys, err = c.Org.Client(ctx, actor(r), r.PathValue("id")); err != nil {
		web.Fail(w, r, err)
		return
	}
	t := clientOf(v.client)
	v.mayChange, v.mayIssue, v.mayRevoke = c.may(r, "identity.client.change", t), c.may(r, "identity.client.key_issue", t), c.may(r, "identity.client.key_revoke", t)
	v.now, v.by = c.Now(), map[string]string{}
	for _, id := range append([]string{v.client.CreatedBy}, creators(v.keys)...) {
		if _, known := v.by[id]; !known {
			v.by[id] = c.Org.PersonName(ctx, id)
		}
	}
	ui.RenderStatus(w, r, status, clientPage(v))
}

func creators(keys []identity.ClientKey) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.CreatedBy)
	}
	return out
}

func (c *Console) client(w http.ResponseWriter, r *http.Request) {
	c.showClient(w, r, http.StatusOK, clientView{notice: r.URL.Query().Get("done")})
}

func (c *Console) editClient(w http.ResponseWriter, r *http.Request) {
	client, _, err := c.Org.Client(r.Context(), actor(r), r.PathValue("id"))
	if err == nil {
		err = c.Door.May(actor(r), "identity.client.change", clientOf(client))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	c.showClientForm(w, r, http.StatusOK, clientForm{client: client, addresses: addressLines(client)})
}

func addressLines(c identity.APIClient) string {
	var lines []string
	for _, p := range c.Addresses {
		if p.IsSingleIP() {
			lines = append(lines, p.Addr().String())
		} else {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

func (c *Console) changeClient(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := readClientForm(r)
	addresses, err := identity.ParseAddresses(f.addresses)
	if err == nil {
		err = c.Org.ChangeClient(r.Context(), actor(r), f.client.ID, identity.ClientChange{Name: &f.client.Name, System: &f.client.System, Signed: &f.client.Signed, Addresses: &addresses})
	}
	if err != nil {
		c.clientRefused(w, r, err, f)
		return
	}
	http.Redirect(w, r, "/console/clients/"+f.client.ID+"?done=changed", http.StatusSeeOther)
}

func (c *Console) clientState(w http.ResponseWriter, r *http.Request) {
	id, state := r.PathValue("id"), r.FormValue("state")
	if err := c.Org.ChangeClient(r.Context(), actor(r), id, identity.ClientChange{State: &state}); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/clients/"+id+"?done="+state, http.StatusSeeOther)
}

// issueKey answers with the page itself rather than a redirect: the key is shown
// only now, and is nowhere to be read again.
func (c *Console) issueKey(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	v := clientView{expires: r.FormValue("expires")}
	expires, err := day(v.expires, "expires")
	if err == nil {
		if !expires.IsZero() {
			expires = expires.AddDate(0, 0, 1) // the key works through its last day
		}
		var issued identity.IssuedKey
		issued, err = c.Org.IssueKey(ctx, actor(r), r.PathValue("id"), expires)
		v.issued = &issued
	}
	if err != nil {
		if e, ok := errs.As(err); !ok || e.Kind != errs.Invalid && e.Kind != errs.Conflict {
			web.Fail(w, r, err)
			return
		}
		v.issued, v.errors = nil, ui.ErrorsOf(ctx, err)
		c.showClient(w, r, web.Status(err), v)
		return
	}
	c.showClient(w, r, http.StatusOK, v)
}

func (c *Console) revokeKey(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := c.Org.RevokeKey(r.Context(), actor(r), id, r.PathValue("key")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/clients/"+id+"?done=revoked", http.StatusSeeOther)
}
