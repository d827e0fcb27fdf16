package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/ui"
)

// routesPosts registers the pages of posts and of who may do what.
func (c *Console) routesPosts(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/posts", c.posts)
	mux.HandleFunc("POST /console/posts/confirm", c.confirmPosts)
	mux.HandleFunc("GET /console/posts/new", c.proposeForm)
	mux.HandleFunc("POST /console/posts/new", c.propose)
	mux.HandleFunc("GET /console/posts/{id}/handover", c.handOverForm)
	mux.HandleFunc("POST /console/posts/{id}/handover", c.handOver)
	mux.HandleFunc("POST /console/posts/{id}/confirm", c.confirmPost)
	mux.HandleFunc("POST /console/posts/{id}/decline", c.declinePost)
	mux.HandleFunc("POST /console/posts/{id}/end", c.endPost)
	mux.HandleFunc("GET /console/rights", c.rights)
	mux.HandleFunc("GET /console/rights/{action}", c.right)
}

// postsView is what the page of posts to confirm shows.
type postsView struct {
	list     ui.List
	total    int
	pending  []org.Holding
	may      map[string]error // by holding: nil, or why this actor cannot confirm
	people   map[string]string
	notice   string
	mayAny   bool
	mayBegin bool
}

func (c *Console) posts(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, "org.body.read", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	all, err := c.Org.PendingHoldings(ctx)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := postsView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"proposed", "name", "body", "since"}, Filters: []string{"post"}, Per: 50}),
		may: map[string]error{}, people: map[string]string{}, notice: r.URL.Query().Get("done"),
		mayBegin: c.may(r, "org.post.propose", operation.Target{Body: a.Body, District: a.District, Attrs: map[string]any{"post": string(identity.Steward)}})}
	for _, h := range all {
		t := org.HoldingTarget(h)
		if c.Door.May(a, "org.person.read", operation.Target{Kind: "person", Body: h.Body, District: h.District}) != nil {
			continue
		}
		if post := v.list.Get("post"); post != "" && post != string(h.Post) || !strings.Contains(h.PersonName+" "+h.BodyName, v.list.Q) {
			continue
		}
		t.Attrs["makers"] = []string{h.ProposedBy}
		v.may[h.ID] = c.Door.May(a, "org.post.confirm", t)
		v.mayAny = v.mayAny || v.may[h.ID] == nil
		v.pending = append(v.pending, h)
		for _, id := range []string{h.ProposedBy} {
			if _, known := v.people[id]; !known {
				v.people[id] = c.Org.PersonName(ctx, id)
			}
		}
		if h.TakesOver != "" {
			if old, err := c.Org.Holding(ctx, h.TakesOver); err == nil {
				v.people[h.TakesOver] = old.PersonName
			}
		}
	}
	v.pending = ui.Sorted(v.list, v.pending, map[string]func(x, y org.Holding) int{
		"proposed": func(x, y org.Holding) int { return x.ProposedAt.Compare(y.ProposedAt) }, "since": func(x, y org.Holding) int { return x.Since.Compare(y.Since) },
		"name": ui.By(func(h org.Holding) string { return h.PersonName }), "body": ui.By(func(h org.Holding) string { return h.BodyName })})
	if wantsSheet(r) {
		// The names of those who are to hold a post: the log says who took them out.
		err := c.Door.Read(ctx, a, "org.person.read", operation.Target{Kind: "people", Body: a.Body, District: a.District, Medium: "file"}, func(ctx context.Context) error {
			operation.Note(ctx, "rows", len(v.pending))
			return nil
		})
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "people.posts_page"), columns: sheetColumns(ctx, "people.name", "people.post", "people.body", "people.from", "people.takes_over", "people.proposed_by", "people.proposed_at"),
			rows: rowsOf(v.pending, func(h org.Holding) []string {
				return []string{h.PersonName, h.Post.Text().In(web.Lang(ctx)), h.BodyName, ui.Date(h.Since), v.people[h.TakesOver], v.people[h.ProposedBy], ui.DateTime(h.ProposedAt)}
			})})
		return
	}
	v.total, v.pending = len(v.pending), ui.PageOf(v.list, v.pending)
	ui.Render(w, r, postsPage(v))
}

func (c *Console) confirmPosts(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	ids := r.PostForm["holding"]
	if len(ids) == 0 {
		web.Fail(w, r, errs.New(errs.Invalid, errs.T("请先选择要确认的任职", "Choose the posts to confirm first")).In("holding"))
		return
	}
	if n, err := c.Org.ConfirmAll(r.Context(), actor(r), ids); err != nil {
		if e, ok := errs.As(err); ok && n > 0 {
			e.Text = errs.T(ui.TIn("zh", "people.stopped_at", "Count", n)+e.Text.ZH, ui.TIn("en", "people.stopped_at", "Count", n)+" "+e.Text.EN)
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/posts?done=confirmed", http.StatusSeeOther)
}

// afterHolding goes back to the person of a holding.
func (c *Console) afterHolding(w http.ResponseWriter, r *http.Request, id, done string, err error) {
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	h, err := c.Org.Holding(r.Context(), id)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	to := "/console/people/" + h.Person
	if strings.HasSuffix(r.Referer(), "/console/posts") || strings.Contains(r.Referer(), "/console/posts?") {
		to = "/console/posts"
	}
	http.Redirect(w, r, to+"?done="+done, http.StatusSeeOther)
}

func (c *Console) confirmPost(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c.afterHolding(w, r, id, "confirmed", c.Org.Confirm(r.Context(), actor(r), id))
}

func (c *Console) declinePost(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c.afterHolding(w, r, id, "declined", c.Org.Decline(r.Context(), actor(r), id, r.FormValue("reason")))
}

func (c *Console) endPost(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c.afterHolding(w, r, id, "ended", c.Org.End(r.Context(), actor(r), id, r.FormValue("reason")))
}

// proposalForm is what the pages of a proposal and of a hand-over show.
type proposalForm struct {
	in                org.Proposal
	since             string
	body              org.Body
	from              *org.Holding // the holding to be taken over, for a hand-over
	bodies, people    []ui.Option
	errors            ui.Errors
	personName, title string
}

func (c *Console) proposeForm(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c.showProposal(w, r, http.StatusOK, proposalForm{in: org.Proposal{Body: q.Get("body"), Person: q.Get("person"), Post: identity.Post(q.Get("post"))}})
}

func (c *Console) showProposal(w http.ResponseWriter, r *http.Request, status int, f proposalForm) {
	ctx, a := r.Context(), actor(r)
	if f.in.Body == "" {
		f.in.Body = a.Body
	}
	var err error
	if f.body, err = c.Org.Body(ctx, f.in.Body); err != nil {
		web.Fail(w, r, err)
		return
	}
	if err := c.Door.May(a, "org.post.propose", operation.Target{Body: f.body.ID, District: f.body.District, Attrs: map[string]any{"post": string(identity.Steward)}}); err != nil {
		web.Fail(w, r, err)
		return
	}
	if f.bodies, err = c.bodyOptions(ctx, a); err != nil {
		web.Fail(w, r, err)
		return
	}
	people, _, err := c.Org.People(ctx, a, org.PersonFilter{Body: f.in.Body, State: org.Active, Limit: 500})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, p := range people {
		if f.from != nil && p.ID == f.from.Person {
			continue
		}
		f.people = append(f.people, ui.Option{Value: p.ID, Label: strings.TrimSpace(p.Name + " " + p.Title)})
		if p.ID == f.in.Person {
			f.personName = p.Name
		}
	}
	if f.in.Person != "" && f.personName == "" { // of another body, when posts are held at several
		if p, err := c.Org.Person(ctx, a, f.in.Person); err == nil {
			f.people = append(f.people, ui.Option{Value: p.ID, Label: p.Name + " · " + p.BodyName})
		}
	}
	ui.RenderStatus(w, r, status, proposalPage(f))
}

func (c *Console) propose(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := proposalForm{since: r.PostForm.Get("since"), in: org.Proposal{Body: r.PostForm.Get("body"), Post: identity.Post(r.PostForm.Get("post")), Person: r.PostForm.Get("person"), Reason: r.PostForm.Get("reason")}}
	var err error
	if f.in.Since, err = day(f.since, "since"); err == nil {
		_, err = c.Org.Propose(r.Context(), actor(r), f.in)
	}
	c.proposed(w, r, f, err)
}

func (c *Console) proposed(w http.ResponseWriter, r *http.Request, f proposalForm, err error) {
	if err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		f.errors = ui.ErrorsOf(r.Context(), err)
		c.showProposal(w, r, web.Status(err), f)
		return
	}
	http.Redirect(w, r, "/console/people/"+f.in.Person+"?done=proposed", http.StatusSeeOther)
}

func (c *Console) handOverForm(w http.ResponseWriter, r *http.Request) {
	h, err := c.Org.Holding(r.Context(), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	c.showProposal(w, r, http.StatusOK, proposalForm{from: &h, in: org.Proposal{Body: h.Body, Post: h.Post, TakesOver: h.ID}})
}

func (c *Console) handOver(w http.ResponseWriter, r *http.Request) {
	h, err := c.Org.Holding(r.Context(), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := proposalForm{from: &h, since: r.PostForm.Get("since"), in: org.Proposal{Body: h.Body, Post: h.Post, TakesOver: h.ID, Person: r.PostForm.Get("person"), Reason: r.PostForm.Get("reason")}}
	if f.in.Since, err = day(f.since, "since"); err == nil {
		_, err = c.Org.HandOver(r.Context(), actor(r), h.ID, f.in.Person, f.in.Since, f.in.Reason)
	}
	c.proposed(w, r, f, err)
}

// rightsView is the table of who may do what.
type rightsView struct {
	list   ui.List
	areas  []string
	area   string
	rows   []rightsRow
	duties []*operation.Policy
	own    identity.Post
}

type rightsRow struct {
	operation.Row
	policies []*operation.Policy
}

func (c *Console) rights(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "org.body.read", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	matrix, err := operation.Matrix()
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	set := c.Door.Policies()
	v := rightsView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"matrix", "action"}, Filters: []string{"area", "who"}, Per: 200}), own: a.Post}
	v.area = v.list.Get("area")
	who := v.list.Get("who")
	for _, row := range matrix {
		if len(v.areas) == 0 || v.areas[len(v.areas)-1] != row.Area {
			v.areas = append(v.areas, row.Area)
		}
		if v.area == "" {
			v.area = row.Area
		}
		all := wantsSheet(r) && v.list.Get("area") == ""
		if (row.Area == v.area || all) && (who == "" || row.Right(who).Scope != "") {
			one := rightsRow{Row: row, policies: permits(set.Of(row.Action))}
			if v.list.Q == "" || strings.Contains(strings.ToLower(permitWords(r.Context(), one.policies)+" "+string(row.Action)), strings.ToLower(v.list.Q)) {
				v.rows = append(v.rows, one)
			}
		}
	}
	v.rows = ui.Sorted(v.list, v.rows, map[string]func(x, y rightsRow) int{"action": ui.By(func(x rightsRow) string { return string(x.Action) })})
	if wantsSheet(r) {
		ctx := r.Context()
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "identity.rights"), columns: sheetColumns(ctx, "identity.action_code", "identity.action", "identity.who", "identity.articles"),
			rows: rowsOf(v.rows, func(x rightsRow) []string {
				var who, articles []string
				for _, right := range x.Allowed {
					who = append(who, rightWords(ctx, right))
				}
				for _, p := range x.policies {
					articles = append(articles, p.Clauses...)
				}
				slices.Sort(articles)
				return []string{string(x.Action), permitWords(ctx, x.policies), strings.Join(who, "; "), strings.Join(slices.Compact(articles), " ")}
			})})
		return
	}
	for _, p := range set.All() {
		if p.Actions == nil {
			v.duties = append(v.duties, p)
		}
	}
	ui.Render(w, r, rightsPage(v))
}

func permits(all []*operation.Policy) []*operation.Policy {
	var out []*operation.Policy
	for _, p := range all {
		if p.Permit {
			out = append(out, p)
		}
	}
	return out
}

// rightView is one action: every policy that rules it, in its own words.
type rightView struct {
	action   operation.Action
	policies []*operation.Policy
	rows     []operation.Row
}

func (c *Console) right(w http.ResponseWriter, r *http.Request) {
	a := actor(r)
	if err := c.Door.May(a, "org.body.read", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	v := rightView{action: operation.Action(r.PathValue("action"))}
	v.policies = c.Door.Policies().Of(v.action)
	if len(v.policies) == 0 {
		web.Fail(w, r, errs.New(errs.NotFound, errs.T("没有这项操作", "There is no such action")))
		return
	}
	matrix, err := operation.Matrix()
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, row := range matrix {
		if row.Action == v.action {
			v.rows = append(v.rows, row)
		}
	}
	ui.Render(w, r, rightPage(v))
}
