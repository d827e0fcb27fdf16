package console

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/tabular"
	"gongshu/ui"
	"gongshu/workday"
)

// routesPeople registers the pages of people and their accounts.
func (c *Console) routesPeople(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/people", c.people)
	mux.HandleFunc("GET /console/people/new", c.newPerson)
	mux.HandleFunc("POST /console/people/new", c.createPerson)
	mux.HandleFunc("GET /console/people/import", c.importPeople)
	mux.HandleFunc("POST /console/people/import", c.previewImport)
	mux.HandleFunc("POST /console/people/import/commit", c.commitImport)
	mux.HandleFunc("GET /console/people/template.csv", c.importTemplate(tabular.CSV, "text/csv; charset=utf-8"))
	mux.HandleFunc("GET /console/people/template.xlsx", c.importTemplate(tabular.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))
	mux.HandleFunc("GET /console/people/{id}", c.person)
	mux.HandleFunc("GET /console/people/{id}/edit", c.editPerson)
	mux.HandleFunc("POST /console/people/{id}/edit", c.changePerson)
	mux.HandleFunc("POST /console/people/{id}/state", c.personState)
	mux.HandleFunc("POST /console/people/{id}/unlock", c.unlockPerson)
	mux.HandleFunc("POST /console/people/{id}/reset", c.resetPerson)
	mux.HandleFunc("POST /console/people/{id}/factor", c.resetFactor)
}

// china is the civil time in which people write days.
var china = workday.Zone

// day reads a day written 2006-01-02; zero where the field is empty.
func day(text, field string) (time.Time, error) {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, china)
	if err != nil {
		return t, errs.New(errs.Invalid, errs.T("日期应写作 2026-11-22", "A date is written 2026-11-22")).In(field)
	}
	return t, nil
}

// may tells whether the present actor may do something, for what a page offers.
func (c *Console) may(r *http.Request, action operation.Action, target operation.Target) bool {
	return c.Door.May(actor(r), action, target) == nil
}

func ownTarget(a identity.Actor) operation.Target {
	return operation.Target{Body: a.Body, District: a.District}
}

func (c *Console) people(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"body", "name", "login", "created"}, Filters: []string{"post", "state", "body"}, Per: 50})
	f := org.PersonFilter{Text: list.Q, Body: list.Get("body"), Post: identity.Post(list.Get("post")), Sort: list.Sort, Desc: list.Desc, Limit: list.Per, Offset: list.Offset()}
	switch state := list.Get("state"); state {
	case "pending":
		f.Pending = true
	case org.Active, org.Disabled:
		f.State = state
	}
	if wantsSheet(r) {
		c.peopleSheet(w, r, f)
		return
	}
	people, total, err := c.Org.People(ctx, a, f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, peoplePage(peopleView{list: list, people: people, total: total, post: f.Post,
		mayCreate: c.may(r, "org.person.create", ownTarget(a)), mayImport: c.may(r, "org.person.import", ownTarget(a)),
		mayConfirm: c.may(r, "org.post.confirm", ownTarget(a))}))
}

type peopleView struct {
	list                             ui.List
	people                           []org.Person
	total                            int
	post                             identity.Post
	mayCreate, mayImport, mayConfirm bool
}

// peopleSheet gives the list as a file; each part that is read is in the log.
func (c *Console) peopleSheet(w http.ResponseWriter, r *http.Request, f org.PersonFilter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "people.people"),
		columns: sheetColumns(ctx, "people.name", "people.login", "people.body", "people.title", "people.staff_no", "people.phone", "people.posts", "people.account"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 5000
			people, _, err := c.Org.People(ctx, actor(r), f)
			var rows [][]string
			for _, p := range people {
				var posts []string
				for _, post := range p.Posts() {
					posts = append(posts, post.Text().In(web.Lang(ctx)))
				}
				rows = append(rows, []string{p.Name, p.Login, p.BodyName, p.Title, p.StaffNo, p.Phone, strings.Join(posts, "; "), ui.StateWords(ctx, "", p.State)})
			}
			return rows, err
		}})
}

// bodyOptions are the bodies within the actor's reach as a choice, by level.
func (c *Console) bodyOptions(ctx context.Context, a identity.Actor) ([]ui.Option, error) {
	bodies, err := c.Org.Bodies(ctx, org.BodyFilter{State: org.Active})
	if err != nil {
		return nil, err
	}
	var out []ui.Option
	for _, b := range bodies {
		if operation.Reaches(a, b.District) {
			out = append(out, ui.Option{Value: b.ID, Label: b.Name, Group: org.LevelText(b.Level).In(web.Lang(ctx))})
		}
	}
	return out, nil
}

// personForm is what the page of a new or changed person shows.
type personForm struct {
	person org.Person
	posts  []string
	bodies []ui.Option
	errors ui.Errors
	fresh  bool
}

func (c *Console) newPerson(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "org.person.create", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	bodies, err := c.bodyOptions(r.Context(), a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, personFormPage(personForm{person: org.Person{Body: r.URL.Query().Get("body")}, bodies: bodies, fresh: true}))
}

func readPersonForm(r *http.Request) org.Person {
	return org.Person{ID: r.PathValue("id"), Name: r.PostForm.Get("name"), Login: r.PostForm.Get("login"), Body: r.PostForm.Get("body"), Title: r.PostForm.Get("title"),
		StaffNo: r.PostForm.Get("staff_no"), Phone: r.PostForm.Get("phone"), Email: r.PostForm.Get("email")}
}

func (c *Console) createPerson(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	in := org.NewPerson{Person: readPersonForm(r)}
	for _, p := range r.PostForm["posts"] {
		in.Posts = append(in.Posts, identity.Post(p))
	}
	created, err := c.Org.CreatePerson(ctx, a, in)
	if err != nil {
		c.personRefused(w, r, err, personForm{person: in.Person, posts: r.PostForm["posts"], fresh: true})
		return
	}
	ui.Render(w, r, secretsPage([]org.CreatedPerson{created}, "people.created"))
}

// personRefused shows the form again with what is wrong.
func (c *Console) personRefused(w http.ResponseWriter, r *http.Request, err error, form personForm) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	bodies, lookup := c.bodyOptions(r.Context(), actor(r))
	if lookup != nil {
		web.Fail(w, r, lookup)
		return
	}
	form.bodies, form.errors = bodies, ui.ErrorsOf(r.Context(), err)
	ui.RenderStatus(w, r, web.Status(err), personFormPage(form))
}

// personView is what the page of a person shows.
type personView struct {
	person                                      org.Person
	self                                        bool
	failed                                      int
	locked                                      time.Time
	notice                                      string
	mayEdit, mayState, mayUnlock, mayReset      bool
	mayFactor                                   bool // the person has a second factor, and the actor may reset it
	mayPropose, mayConfirm, mayEnd, mayHandOver map[string]bool
	proposers                                   map[string]string
}

func (c *Console) person(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	p, err := c.Org.Person(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := personView{person: p, self: p.ID == a.ID, notice: r.URL.Query().Get("done"),
		mayConfirm: map[string]bool{}, mayEnd: map[string]bool{}, mayHandOver: map[string]bool{}, mayPropose: map[string]bool{}, proposers: map[string]string{}}
	target := c.Org.PersonTarget(p)
	v.mayEdit = c.may(r, "org.person.change", target)
	v.mayState = c.may(r, "identity.account.state", target)
	v.mayUnlock = c.may(r, "identity.account.unlock", target)
	v.mayReset = c.may(r, "identity.account.reset", target)
	if c.may(r, "identity.account.factor_reset", target) {
		if v.mayFactor, err = c.Org.HasFactor(ctx, p.ID); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	v.mayPropose[""] = c.may(r, "org.post.propose", operation.Target{Body: p.Body, District: p.District, Attrs: map[string]any{"post": string(identity.Steward)}})
	for _, h := range p.Holdings {
		t := org.HoldingTarget(h)
		v.mayEnd[h.ID] = c.may(r, "org.post.end", t)
		v.mayHandOver[h.ID] = c.may(r, "org.post.propose", t)
		t.Attrs["makers"] = []string{h.ProposedBy}
		v.mayConfirm[h.ID] = c.may(r, "org.post.confirm", t)
		if _, known := v.proposers[h.ProposedBy]; !known {
			v.proposers[h.ProposedBy] = c.Org.PersonName(ctx, h.ProposedBy)
		}
	}
	if v.mayUnlock {
		if v.failed, v.locked, err = c.Org.Lock(ctx, p.Login); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	ui.Render(w, r, personPage(v))
}

func (c *Console) editPerson(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	p, err := c.Org.Person(ctx, a, r.PathValue("id"))
	if err == nil {
		err = c.Door.May(a, "org.person.change", c.Org.PersonTarget(p))
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	bodies, err := c.bodyOptions(ctx, a)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, personFormPage(personForm{person: p, bodies: bodies}))
}

func (c *Console) changePerson(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	p := readPersonForm(r)
	if err := c.Org.ChangePerson(r.Context(), actor(r), p); err != nil {
		c.personRefused(w, r, err, personForm{person: p})
		return
	}
	http.Redirect(w, r, "/console/people/"+p.ID+"?done=changed", http.StatusSeeOther)
}

func (c *Console) personState(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := c.Org.SetPersonState(r.Context(), actor(r), id, r.FormValue("state")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/people/"+id+"?done=state", http.StatusSeeOther)
}

func (c *Console) unlockPerson(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := c.Org.Unlock(r.Context(), actor(r), id); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/people/"+id+"?done=unlocked", http.StatusSeeOther)
}

func (c *Console) resetPerson(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	p, err := c.Org.Person(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	plain, err := c.Org.ResetSecret(ctx, a, p.ID)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, secretsPage([]org.CreatedPerson{{Person: p, InitialSecret: plain}}, "people.reset_done"))
}

func (c *Console) resetFactor(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := c.Org.ResetFactor(r.Context(), actor(r), id); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/people/"+id+"?done=factor", http.StatusSeeOther)
}

// importView is what the pages of an import show.
type importView struct {
	plan   *org.ImportPlan
	name   string
	text   string
	errors ui.Errors
}

func (c *Console) importPeople(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "org.person.import", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, importPage(importView{}))
}

// importBytes bounds an uploaded list of people; two thousand of them are 300 KB.
const importBytes = 8 << 20

func (c *Console) previewImport(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	web.LimitBody(r, importBytes)
	name, content, err := upload(r, importBytes)
	var plan org.ImportPlan
	if err == nil {
		plan, err = c.Org.PlanImport(ctx, a, name, content)
	}
	if err != nil {
		c.importRefused(w, r, err)
		return
	}
	text, err := org.PlanText(plan)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, importPage(importView{plan: &plan, name: name, text: text}))
}

func (c *Console) importRefused(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errs.As(err)
	if !ok || e.Kind == errs.Forbidden || e.Kind == errs.Internal {
		web.Fail(w, r, err)
		return
	}
	ui.RenderStatus(w, r, web.Status(err), importPage(importView{errors: ui.ErrorsOf(r.Context(), err)}))
}

func (c *Console) commitImport(w http.ResponseWriter, r *http.Request) {
	web.LimitBody(r, importBytes)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	created, err := c.Org.Import(r.Context(), actor(r), "people.csv", []byte(r.PostForm.Get("rows")))
	if err != nil {
		c.importRefused(w, r, err)
		return
	}
	ui.Render(w, r, secretsPage(created, "people.imported"))
}

func (c *Console) importTemplate(format tabular.Format, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var buf bytes.Buffer
		if format == tabular.CSV {
			buf.WriteString("\ufeff")
		}
		if err := org.ImportTemplate(&buf, format); err != nil {
			web.Fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="people-template.`+string(format)+`"`)
		buf.WriteTo(w)
	}
}

// holdingBadge words the state of a holding.
func holdingBadge(ctx context.Context, h org.Holding) ui.BadgeInfo {
	tone := map[string]ui.Tone{org.Held: ui.Good, org.Proposed: ui.Warn, org.Declined: ui.Bad}[h.State]
	return ui.BadgeInfo{Tone: tone, Text: ui.T(ctx, "people.holding_"+h.State)}
}

// postBadges are the posts of a person, those not yet confirmed marked.
func postBadges(ctx context.Context, holdings []org.Holding) []ui.BadgeInfo {
	var out []ui.BadgeInfo
	for _, h := range holdings {
		b := ui.BadgeInfo{Text: h.Post.Text().In(web.Lang(ctx)), Hint: h.BodyName}
		switch {
		case h.State == org.Proposed:
			b.Tone, b.Text = ui.Warn, b.Text+" · "+ui.T(ctx, "people.holding_proposed")
		case h.State != org.Held:
			continue
		case h.Post.Admin():
			b.Tone = ui.Special
		default:
			b.Tone = ui.Info
		}
		out = append(out, b)
	}
	return out
}

func postOptions(ctx context.Context, posts []identity.Post) []ui.Option {
	var out []ui.Option
	for _, p := range posts {
		out = append(out, ui.Option{Value: string(p), Label: p.Text().In(web.Lang(ctx))})
	}
	return out
}

// cells makes a row's cells of components.
func cells(all ...templ.Component) []templ.Component { return all }

func roleBadge(ctx context.Context, role org.Role) templ.Component {
	return ui.Badge(ui.BadgeInfo{Tone: roleTone(role), Text: role.Text().In(web.Lang(ctx))})
}
