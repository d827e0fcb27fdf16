package console

import (
	"context"
	"net/http"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/ui"
)

// routesBodies registers the pages of bodies, spaces and filings.
func (c *Console) routesBodies(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/bodies", c.bodies)
	mux.HandleFunc("GET /console/bodies/new", c.newBody)
	mux.HandleFunc("POST /console/bodies/new", c.createBody)
	mux.HandleFunc("POST /console/bodies/spaces", c.openSpace)
	mux.HandleFunc("GET /console/bodies/{id}", c.body)
	mux.HandleFunc("GET /console/bodies/{id}/edit", c.editBody)
	mux.HandleFunc("POST /console/bodies/{id}/edit", c.changeBody)
	mux.HandleFunc("POST /console/bodies/{id}/close", c.closeBody)
	mux.HandleFunc("GET /console/bodies/{id}/filing", c.filingForm)
	mux.HandleFunc("POST /console/bodies/{id}/filing", c.file)
	mux.HandleFunc("POST /console/filings/{id}/receive", c.receiveFiling)
}

type bodiesView struct {
	list      ui.List
	bodies    []org.FilingState // of the page
	places    map[string]string // names of the divisions by code
	districts []ui.Option       // divisions to filter by
	total     int
	spaces    []org.Space
	missing   int // active bodies without a filing that stands
	mayCreate bool
	maySpace  bool
	errors    ui.Errors
	district  string
	spaceName string
}

func (c *Console) bodies(w http.ResponseWriter, r *http.Request) {
	c.showBodies(w, r, http.StatusOK, bodiesView{})
}

func (c *Console) showBodies(w http.ResponseWriter, r *http.Request, status int, v bodiesView) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, "org.body.read", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	v.list = ui.ParseList(r, ui.ListSpec{Sorts: []string{"level", "name", "role", "filed"}, Filters: []string{"role", "filing", "state", "district"}, Per: 50})
	state := org.Active
	if v.list.Get("state") == org.Closed {
		state = org.Closed
	}
	found, err := c.Org.Bodies(ctx, org.BodyFilter{Text: v.list.Q, Role: org.Role(v.list.Get("role")), State: state})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	states, err := c.Org.FilingStates(ctx)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	filing := map[string]org.FilingState{}
	for _, s := range states {
		filing[s.Body.ID] = s
		if s.Latest == nil || len(s.Stale) > 0 {
			v.missing++
		}
	}
	if v.spaces, err = c.Org.Spaces(ctx); err != nil {
		web.Fail(w, r, err)
		return
	}
	v.places = map[string]string{}
	names := map[string]string{}
	for _, s := range v.spaces {
		names[s.District] = s.Name
	}
	for _, b := range found {
		s, has := filing[b.ID]
		if !has {
			s = org.FilingState{Body: b}
		}
		if v.list.Get("filing") == "missing" && (!has || s.Latest != nil && len(s.Stale) == 0) {
			continue
		}
		if v.places[b.District] == "" {
			title := names[b.District]
			if title == "" {
				title = ui.T(ctx, "org.level_"+b.Level)
			}
			v.places[b.District] = title
			v.districts = append(v.districts, ui.Option{Value: b.District, Label: title + " " + b.District})
		}
		if d := v.list.Get("district"); d != "" && d != b.District {
			continue
		}
		v.bodies = append(v.bodies, s)
	}
	filed := func(x org.FilingState) int64 {
		if x.Latest == nil {
			return 0
		}
		return x.Latest.FiledAt.Unix()
	}
	// Unsorted they stand by level and division, as the store gives them.
	v.bodies = ui.Sorted(v.list, v.bodies, map[string]func(x, y org.FilingState) int{
		"name": ui.By(func(x org.FilingState) string { return x.Body.Name }), "role": ui.By(func(x org.FilingState) string { return string(x.Body.Role) }), "filed": ui.By(filed)})
	if status == http.StatusOK && wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "org.bodies"), columns: sheetColumns(ctx, "org.name", "org.division", "org.kind", "org.role", "org.uscc", "org.filing", "org.state"),
			rows: rowsOf(v.bodies, func(x org.FilingState) []string {
				return []string{x.Body.Name, v.places[x.Body.District], org.KindText(x.Body.Kind).In(web.Lang(ctx)), x.Body.Role.Text().In(web.Lang(ctx)), x.Body.USCC, filingBadge(ctx, x).Text, ui.StateWords(ctx, "", string(x.Body.State))}
			})})
		return
	}
	v.total, v.bodies = len(v.bodies), ui.PageOf(v.list, v.bodies)
	v.mayCreate = c.may(r, "org.body.create", ownTarget(a))
	v.maySpace = c.may(r, "org.space.open", ownTarget(a))
	ui.RenderStatus(w, r, status, bodiesPage(v))
}

func (c *Console) openSpace(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	v := bodiesView{district: r.PostForm.Get("district"), spaceName: r.PostForm.Get("name")}
	if _, err := c.Org.OpenSpace(r.Context(), actor(r), v.district, v.spaceName); err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		v.errors = ui.ErrorsOf(r.Context(), err)
		c.showBodies(w, r, web.Status(err), v)
		return
	}
	http.Redirect(w, r, "/console/bodies#spaces", http.StatusSeeOther)
}

// bodyForm is what the page of a new or changed body shows.
type bodyForm struct {
	body    org.Body
	parents []ui.Option
	spaces  []org.Space
	errors  ui.Errors
	fresh   bool
	levels  []string
}

func (c *Console) showBodyForm(w http.ResponseWriter, r *http.Request, status int, f bodyForm) {
	ctx := r.Context()
	var err error
	if f.parents, err = c.bodyOptions(ctx, actor(r)); err != nil {
		web.Fail(w, r, err)
		return
	}
	if f.spaces, err = c.Org.Spaces(ctx); err != nil {
		web.Fail(w, r, err)
		return
	}
	f.levels = c.Org.Levels()
	ui.RenderStatus(w, r, status, bodyFormPage(f))
}

func (c *Console) newBody(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "org.body.create", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	c.showBodyForm(w, r, http.StatusOK, bodyForm{fresh: true, body: org.Body{Role: org.Department, Kind: "organ", Level: a.Level, District: a.District}})
}

func readBodyForm(r *http.Request) org.Body {
	f := r.PostForm.Get
	return org.Body{ID: r.PathValue("id"), Name: f("name"), Short: f("short"), USCC: f("uscc"), Kind: f("kind"), Role: org.Role(f("role")), Level: f("level"),
		District: f("district"), Parent: f("parent"), Phone: f("phone")}
}

func (c *Console) createBody(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	b := readBodyForm(r)
	created, err := c.Org.CreateBody(r.Context(), actor(r), b)
	if err != nil {
		c.bodyRefused(w, r, err, bodyForm{body: b, fresh: true})
		return
	}
	http.Redirect(w, r, "/console/bodies/"+created.ID+"?done=created", http.StatusSeeOther)
}

func (c *Console) bodyRefused(w http.ResponseWriter, r *http.Request, err error, f bodyForm) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	f.errors = ui.ErrorsOf(r.Context(), err)
	c.showBodyForm(w, r, web.Status(err), f)
}

func bodyTarget(b org.Body) operation.Target {
	return operation.Target{Kind: "body", ID: b.ID, Name: b.Name, Body: b.ID, District: b.District}
}

func (c *Console) editBody(w http.ResponseWriter, r *http.Request) {
	b, err := c.Org.Body(r.Context(), r.PathValue("id"))
	if err == nil {
		err = c.Door.May(actor(r), "org.body.change", bodyTarget(b))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	c.showBodyForm(w, r, http.StatusOK, bodyForm{body: b})
}

func (c *Console) changeBody(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	b := readBodyForm(r)
	if err := c.Org.ChangeBody(r.Context(), actor(r), b); err != nil {
		c.bodyRefused(w, r, err, bodyForm{body: b})
		return
	}
	http.Redirect(w, r, "/console/bodies/"+b.ID+"?done=changed", http.StatusSeeOther)
}

func (c *Console) closeBody(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := c.Org.CloseBody(r.Context(), actor(r), id, r.FormValue("reason")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/bodies/"+id+"?done=closed", http.StatusSeeOther)
}

// bodyView is what the page of a body shows.
type bodyView struct {
	body                                         org.Body
	parent                                       *org.Body
	children                                     []org.Body
	holdings                                     []org.Holding
	filing                                       org.FilingState
	filings                                      []org.Filing
	receivers                                    map[string]string
	clients                                      []identity.APIClient
	notice                                       string
	mayChange, mayClose, mayFile, mayReceive     bool
	mayPropose, mayPeople, mayCreate, mayClients bool
}

func (c *Console) body(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	b, err := c.Org.Body(ctx, r.PathValue("id"))
	if err == nil {
		err = c.Door.May(a, "org.body.read", bodyTarget(b))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	t := bodyTarget(b)
	v := bodyView{body: b, notice: r.URL.Query().Get("done"), receivers: map[string]string{},
		mayChange: c.may(r, "org.body.change", t), mayClose: c.may(r, "org.body.close", t) && b.State == org.Active, mayFile: c.may(r, "org.filing.submit", t),
		mayPeople: c.may(r, "org.person.read", t), mayCreate: c.may(r, "org.person.create", t), mayClients: c.may(r, "identity.client.read", t)}
	pt := t
	pt.Attrs = map[string]any{"post": string(identity.Steward)}
	v.mayPropose = c.may(r, "org.post.propose", pt)
	if b.Parent != "" {
		if p, err := c.Org.Body(ctx, b.Parent); err == nil {
			v.parent = &p
		}
	}
	if err := c.fillBody(ctx, &v); err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.filing.Latest != nil {
		ft := t
		ft.Attrs = map[string]any{"makers": []string{v.filing.Latest.FiledBy}}
		v.mayReceive = v.filing.Latest.ReceivedAt.IsZero() && c.may(r, "org.filing.receive", ft)
	}
	if v.mayClients {
		all, err := c.Org.Clients(ctx, a)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		for _, client := range all {
			if client.Body == b.ID {
				v.clients = append(v.clients, client)
			}
		}
	}
	ui.Render(w, r, bodyPage(v))
}

func (c *Console) fillBody(ctx context.Context, v *bodyView) (err error) {
	if v.children, err = c.Org.Bodies(ctx, org.BodyFilter{Parent: v.body.ID}); err != nil {
		return err
	}
	if v.holdings, err = c.Org.BodyHoldings(ctx, v.body.ID); err != nil {
		return err
	}
	if v.filing, err = c.Org.FilingState(ctx, v.body.ID); err != nil {
		return err
	}
	if v.filings, err = c.Org.Filings(ctx, v.body.ID); err != nil {
		return err
	}
	for _, f := range v.filings {
		if f.ReceivedBy != "" {
			v.receivers[f.ReceivedBy] = c.Org.PersonName(ctx, f.ReceivedBy)
		}
	}
	return nil
}

func (c *Console) filingForm(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	state, err := c.Org.FilingState(ctx, r.PathValue("id"))
	if err == nil {
		err = c.Door.May(actor(r), "org.filing.submit", bodyTarget(state.Body))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	f := org.Filing{Body: state.Body.ID}
	if state.Latest != nil {
		f = *state.Latest
	}
	ui.Render(w, r, filingPage(state, f, ui.Errors{}))
}

func (c *Console) file(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	p := r.PostForm.Get
	f := org.Filing{Body: r.PathValue("id"), Office: p("office"), Leader: org.Contact{Name: p("leader_name"), Title: p("leader_title"), Phone: p("leader_phone")},
		Daily: org.Contact{Name: p("daily_name"), Title: p("daily_title"), Phone: p("daily_phone")}, Procedures: p("procedures"), Rules: p("rules"), Accountability: p("accountability")}
	if _, err := c.Org.File(ctx, actor(r), f); err != nil {
		state, lookup := c.Org.FilingState(ctx, f.Body)
		if lookup != nil || !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		ui.RenderStatus(w, r, web.Status(err), filingPage(state, f, ui.ErrorsOf(ctx, err)))
		return
	}
	http.Redirect(w, r, "/console/bodies/"+f.Body+"?done=filed", http.StatusSeeOther)
}

func (c *Console) receiveFiling(w http.ResponseWriter, r *http.Request) {
	if err := c.Org.ReceiveFiling(r.Context(), actor(r), r.PathValue("id")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/bodies/"+r.FormValue("body")+"?done=received", http.StatusSeeOther)
}

// filingBadge says whether a body's filing stands.
func filingBadge(ctx context.Context, s org.FilingState) ui.BadgeInfo {
	switch {
	case s.Body.Role == org.Applicant:
		return ui.BadgeInfo{Text: "—"}
	case s.Latest == nil:
		return ui.BadgeInfo{Tone: ui.Bad, Text: ui.T(ctx, "org.filing_none")}
	case len(s.Stale) > 0:
		return ui.BadgeInfo{Tone: ui.Warn, Text: ui.T(ctx, "org.filing_stale"), Hint: staleText(ctx, s.Stale)}
	case s.Latest.ReceivedAt.IsZero():
		return ui.BadgeInfo{Tone: ui.Info, Text: ui.T(ctx, "org.filing_sent")}
	}
	return ui.BadgeInfo{Tone: ui.Good, Text: ui.T(ctx, "org.filing_received")}
}

func staleText(ctx context.Context, reasons []errs.Text) string {
	text := ""
	for i, t := range reasons {
		if i > 0 {
			text += ui.Pick(ctx, "；", "; ")
		}
		text += t.In(web.Lang(ctx))
	}
	return text
}
