package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/ui"
)

// routesOpening registers the pages of opening: what may be opened, its gate,
// assessment, publication and withdrawal.
func (c *Console) routesOpening(mux *http.ServeMux) {
	if c.Opendata == nil {
		return
	}
	mux.HandleFunc("GET /console/opening", c.opening)
	mux.HandleFunc("GET /console/opening/{code}", c.openingOne)
	mux.HandleFunc("GET /console/opening/{code}/assess", c.assessForm)
	mux.HandleFunc("POST /console/opening/{code}/assess", c.assess)
	mux.HandleFunc("POST /console/opening/{code}/publish", c.publishDataset)
	mux.HandleFunc("POST /console/opening/{code}/withdraw", c.withdrawDataset)
}

// openingScope is whose resources the actor sees: one body's, or "" for all.
func openingScope(a identity.Actor) string {
	switch a.Post {
	case identity.AuthorityReviewer, identity.Operator, identity.Auditor:
		return ""
	}
	return a.Body
}

// openingState is where a resource stands: its dataset's state, or "none".
func openingState(cand opendata.Candidate) string {
	if cand.Entry == nil {
		return "none"
	}
	return string(cand.Entry.State)
}

type openingView struct {
	list  ui.List
	rows  []opendata.Candidate
	total int
	count map[string]int
}

func (c *Console) opening(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, opendata.ActList, ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	all, err := c.Opendata.Candidates(ctx, openingScope(a))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := openingView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"code", "name", "rows", "at"}, Filters: []string{"state", "opening"}}), count: map[string]int{}}
	for _, cand := range all {
		v.count[openingState(cand)]++
		if v.list.Q != "" && !strings.Contains(cand.Name+cand.BodyName+cand.Code, v.list.Q) ||
			v.list.Get("state") != "" && v.list.Get("state") != openingState(cand) ||
			v.list.Get("opening") != "" && v.list.Get("opening") != string(cand.Opening) {
			continue
		}
		v.rows = append(v.rows, cand)
	}
	entryOf := func(x opendata.Candidate) opendata.Entry {
		if x.Entry == nil {
			return opendata.Entry{}
		}
		return *x.Entry
	}
	v.rows = ui.Sorted(v.list, v.rows, map[string]func(x, y opendata.Candidate) int{
		"code": ui.By(func(x opendata.Candidate) string { return x.Code }), "name": ui.By(func(x opendata.Candidate) string { return x.Name }),
		"rows": ui.By(func(x opendata.Candidate) int64 { return entryOf(x).Rows }),
		"at":   func(x, y opendata.Candidate) int { return entryOf(x).DataAt.Compare(entryOf(y).DataAt) },
	})
	if wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "opendata.title"), columns: sheetColumns(ctx, "catalog.code", "opendata.resource", "dataset.provider", "dataset.facet_opening", "opendata.state", "#dataset.rows", "dataset.data_at"),
			rows: rowsOf(v.rows, func(x opendata.Candidate) []string {
				n, at := "", ""
				if e := entryOf(x); e.Kind == opendata.Data && e.Version > 0 {
					n, at = strconv.FormatInt(e.Rows, 10), ui.Date(e.DataAt)
				}
				return []string{x.Code, x.Name, x.BodyName, ui.StateWords(ctx, "opening", string(x.Opening)), ui.StateWords(ctx, "dataset", openingState(x)), n, at}
			})})
		return
	}
	v.total, v.rows = len(v.rows), ui.PageOf(v.list, v.rows)
	ui.Render(w, r, openingPage(v))
}

func openingRows(ctx context.Context, all []opendata.Candidate) []ui.Row {
	var rows []ui.Row
	for _, x := range all {
		state, n, at, href := ui.State("dataset", openingState(x)), ui.Text("—"), ui.Text("—"), ""
		if x.Entry != nil {
			if x.Entry.Kind == opendata.Data && x.Entry.Version > 0 {
				n, at = ui.Number(x.Entry.Rows, ""), ui.Text(ui.Date(x.Entry.DataAt))
			}
			if x.Entry.State != opendata.Building {
				href = "/datasets/" + x.Entry.Slug
			}
		}
		var page templ.Component = templ.NopComponent
		if href != "" {
			page = ui.Anchor(ui.T(ctx, "opendata.public_page"), href, "")
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Anchor(x.Name, "/console/opening/"+catalog.PathCode(x.Code), x.Code), ui.Text(x.BodyName), ui.State("opening", string(x.Opening)), state, n, at, page}})
	}
	return rows
}

// openingItem is one resource with all that stands before and after its opening.
type openingItem struct {
	resource   *catalog.Resource
	target     operation.Target
	entry      *opendata.Entry
	gate       opendata.Gate
	assessment *opendata.Assessment
	page       *opendata.Dataset
	mayAssess  bool
	mayPublish error // nil when the actor may
	mayAway    bool
	errors     ui.Errors
	reason     string
}

func (v *openingItem) href(rest string) string {
	return "/console/opening/" + v.resource.PathCode() + rest
}

func (c *Console) openingItem(ctx context.Context, a identity.Actor, code string) (*openingItem, error) {
	v := &openingItem{}
	var err error
	if v.resource, err = c.Catalog.Get(ctx, code, 0); errs.Is(err, errs.NotFound) {
		// Out of the catalog, but perhaps still with a history here.
		v.resource, err = c.Catalog.Get(ctx, code, -1)
	}
	if err != nil {
		return nil, err
	}
	district := a.District
	if c.Org != nil {
		b, err := c.Org.Body(ctx, v.resource.Body)
		if err != nil {
			return nil, err
		}
		district = b.District
	}
	v.target = operation.Target{Kind: "dataset", ID: v.resource.ID, Name: v.resource.Name, Body: v.resource.Body, District: district, Resource: v.resource.Code}
	if err := c.Door.May(a, opendata.ActList, v.target); err != nil {
		return nil, err
	}
	if v.entry, err = c.Opendata.Entry(ctx, v.resource.ID); err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if v.gate, v.assessment, err = c.Opendata.Gate(ctx, v.resource.Code); err != nil && !errs.Is(err, errs.Gone) && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if v.entry != nil {
		if v.page, err = c.Opendata.PreviewOf(ctx, v.resource.ID); err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
	}
	v.mayAssess = v.resource.Current && c.Door.May(a, opendata.ActAssess, v.target) == nil
	publish := v.target
	if v.assessment != nil {
		publish.Attrs = map[string]any{"makers": []string{v.assessment.MadeBy}}
	}
	v.mayPublish = c.Door.May(a, opendata.ActPublish, publish)
	v.mayAway = v.entry != nil && v.entry.State != opendata.Withdrawn && c.Door.May(a, opendata.ActWithdraw, v.target) == nil
	return v, nil
}

func (c *Console) openingOne(w http.ResponseWriter, r *http.Request) {
	v, err := c.openingItem(r.Context(), actor(r), r.PathValue("code"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, openingOnePage(v))
}

// again shows the resource's page with what was refused.
func (c *Console) again(w http.ResponseWriter, r *http.Request, refused error) {
	if !ui.IsRefusal(refused) {
		web.Fail(w, r, refused)
		return
	}
	v, err := c.openingItem(r.Context(), actor(r), r.PathValue("code"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v.errors, v.reason = ui.ErrorsOf(r.Context(), refused), r.PostFormValue("reason")
	ui.RenderStatus(w, r, web.Status(refused), openingOnePage(v))
}

func (c *Console) publishDataset(w http.ResponseWriter, r *http.Request) {
	if _, err := c.Opendata.Publish(r.Context(), actor(r), r.PathValue("code")); err != nil {
		c.again(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/opening/"+r.PathValue("code"), http.StatusSeeOther)
}

func (c *Console) withdrawDataset(w http.ResponseWriter, r *http.Request) {
	if _, err := c.Opendata.Withdraw(r.Context(), actor(r), r.PathValue("code"), r.PostFormValue("reason")); err != nil {
		c.again(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/opening/"+r.PathValue("code"), http.StatusSeeOther)
}

// assessView is the assessment form.
type assessView struct {
	*openingItem
	in     opendata.Assessment
	errors ui.Errors
}

func (c *Console) assessForm(w http.ResponseWriter, r *http.Request) {
	v, err := c.assessView(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.assessment != nil && v.assessment.CatalogVersion == v.resource.Version {
		// Begin with what was decided before; the declarations are made anew.
		v.in = *v.assessment
		v.in.Secrecy, v.in.Risk = false, ""
	}
	ui.Render(w, r, assessPage(v))
}

func (c *Console) assessView(r *http.Request) (*assessView, error) {
	item, err := c.openingItem(r.Context(), actor(r), r.PathValue("code"))
	if err != nil {
		return nil, err
	}
	if err := c.Door.May(actor(r), opendata.ActAssess, item.target); err != nil {
		return nil, err
	}
	v := &assessView{openingItem: item}
	v.in.Treatments = opendata.DefaultTreatments(item.resource)
	return v, nil
}

func (c *Console) assess(w http.ResponseWriter, r *http.Request) {
	v, err := c.assessView(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	in := opendata.Assessment{Secrecy: r.PostFormValue("secrecy") == "yes", SecrecyRecord: strings.TrimSpace(r.PostFormValue("secrecy_record")),
		Risk: opendata.Risk(r.PostFormValue("risk")), Risks: strings.TrimSpace(r.PostFormValue("risks")), Measures: strings.TrimSpace(r.PostFormValue("measures"))}
	if v.resource.Opening == catalog.General {
		for _, it := range v.resource.Items {
			t := opendata.Treatment{Item: it.ID, Do: opendata.Doing(r.PostFormValue("do." + it.ID)), Why: strings.TrimSpace(r.PostFormValue("why." + it.ID))}
			if mask, ok := strings.CutPrefix(string(t.Do), "mask="); ok {
				t.Do, t.Mask = opendata.Mask, mask
			}
			in.Treatments = append(in.Treatments, t)
			if r.PostFormValue("quasi."+it.ID) == "yes" && t.Do != opendata.Omit {
				in.Quasi = append(in.Quasi, it.ID)
			}
		}
	}
	if _, err := c.Opendata.Assess(r.Context(), actor(r), v.resource.Code, in); err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		v.in, v.errors = in, ui.ErrorsOf(r.Context(), err)
		ui.RenderStatus(w, r, web.Status(err), assessPage(v))
		return
	}
	http.Redirect(w, r, v.href(""), http.StatusSeeOther)
}

func (v *assessView) treatment(item string) opendata.Treatment {
	for _, t := range v.in.Treatments {
		if t.Item == item {
			return t
		}
	}
	return opendata.Treatment{}
}

// masksOffered are the masks of the form, by what an item holds.
func masksOffered(it *catalog.Item) []string {
	var out []string
	add := func(specs ...string) {
		for _, s := range specs {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	if it.OpenMask != "" {
		add(it.OpenMask)
	}
	switch privacy.Kind(it.Personal) {
	case privacy.KindResidentID:
		add("keep_ends:6,0", "pseudonym", "digest")
	case privacy.KindPhone, privacy.KindBankCard:
		add("keep_ends:3,0", "keep_ends:3,4")
	case privacy.KindName:
		add("keep_ends:1,0")
	case privacy.KindUSCC:
		add("pseudonym", "digest")
	}
	switch it.Type {
	case catalog.Date, catalog.DateTime:
		add("date:month", "date:year", "date:decade")
	case catalog.Integer, catalog.Numeric, catalog.Money, catalog.Double, catalog.Float:
		add("round:10", "round:100", "round:1000")
	default:
		add("keep_ends:1,1", "replace", "digest")
		if strings.Contains(it.Name, "区划") || strings.Contains(it.CodeList, "2260") {
			add("region:city", "region:county")
		}
	}
	return out
}

// maskLabel words a mask specification.
func maskLabel(ctx context.Context, spec string) string {
	m, err := privacy.ParseMask(spec)
	if err != nil {
		return spec
	}
	switch m.Name {
	case privacy.MaskKeepEnds:
		return ui.T(ctx, "opendata.mask_keep_ends", "Head", strconv.Itoa(m.Head), "Tail", strconv.Itoa(m.Tail))
	case privacy.MaskRound:
		return ui.T(ctx, "opendata.mask_round", "Step", strconv.FormatFloat(m.Step, 'f', -1, 64))
	case privacy.MaskDate, privacy.MaskRegion:
		return ui.T(ctx, "opendata.mask_"+string(m.Name)+"_"+m.Text)
	}
	return ui.T(ctx, "opendata.mask_"+string(m.Name))
}

// treatmentOptions are what may be done with an item.
func (v *assessView) treatmentOptions(ctx context.Context, it *catalog.Item) []ui.Option {
	general := catalog.EffectiveOpening(v.resource, it) == catalog.General
	personal := privacy.Kind(it.Personal).Personal()
	out := []ui.Option{{Value: string(opendata.Open), Label: ui.T(ctx, "opendata.do_open"), Disabled: personal || !general}}
	for _, m := range masksOffered(it) {
		out = append(out, ui.Option{Value: "mask=" + m, Label: maskLabel(ctx, m), Disabled: !general})
	}
	return append(out, ui.Option{Value: string(opendata.Omit), Label: ui.T(ctx, "opendata.do_omit")})
}

func (v *assessView) chosen(it *catalog.Item) string {
	t := v.treatment(it.ID)
	if t.Do == opendata.Mask {
		return "mask=" + t.Mask
	}
	return string(t.Do)
}

func gateRows(ctx context.Context, g opendata.Gate) []ui.Row {
	var rows []ui.Row
	for _, ch := range g.Checks {
		badge, tone := ui.BadgeInfo{Tone: ui.Good, Text: ui.T(ctx, "opendata.gate_ok"), Icon: "check"}, ui.Plain
		switch {
		case ch.NA:
			badge = ui.BadgeInfo{Text: ui.T(ctx, "opendata.gate_na")}
		case !ch.OK:
			badge, tone = ui.BadgeInfo{Tone: ui.Bad, Text: ui.T(ctx, "opendata.gate_bad"), Icon: "x"}, ui.Bad
		}
		rows = append(rows, ui.Row{Tone: tone, Cells: []templ.Component{
			ui.Sub(ui.Pick(ctx, ch.Title.ZH, ch.Title.EN), ui.Pick(ctx, ch.Detail.ZH, ch.Detail.EN)), ui.Clauses(strings.Join(ch.Clauses, " ")), ui.Badge(badge)}})
	}
	return rows
}

func openingItemName(r *catalog.Resource, id string) string {
	if it := r.Item(id); it != nil {
		return it.Name
	}
	return id
}

// treatedRows list what an assessment decided for each item.
func treatedRows(ctx context.Context, r *catalog.Resource, a *opendata.Assessment) []ui.Row {
	var rows []ui.Row
	for _, t := range a.Treatments {
		words, tone := ui.T(ctx, "opendata.do_open"), ui.Good
		switch t.Do {
		case opendata.Mask:
			words, tone = maskLabel(ctx, t.Mask), ui.Info
		case opendata.Omit:
			words, tone = ui.T(ctx, "opendata.do_omit"), ui.Plain
		}
		note := ""
		if slices.Contains(a.Quasi, t.Item) {
			note = ui.T(ctx, "opendata.quasi")
		}
		if t.Why != "" {
			note = strings.TrimPrefix(note+" · "+t.Why, " · ")
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Text(openingItemName(r, t.Item)), ui.Badge(ui.BadgeInfo{Tone: tone, Text: words}), ui.Text(note)}})
	}
	return rows
}

func (v *openingItem) assessmentTerms(ctx context.Context) []ui.Term {
	a := v.assessment
	out := []ui.Term{
		{Label: ui.T(ctx, "opendata.made_by"), Value: ui.Sub(a.MadeName, ui.DateTime(a.MadeAt))},
		{Label: ui.T(ctx, "opendata.secrecy"), Value: ui.Text(strings.TrimSpace(ui.T(ctx, "opendata.declared") + " " + a.SecrecyRecord)), Clause: "FZM-31"},
		{Label: ui.T(ctx, "opendata.risk"), Value: ui.Badge(riskBadge(ctx, a.Risk)), Clause: "FZO-30"},
		{Label: ui.T(ctx, "opendata.risks"), Value: ui.Text(a.Risks)},
	}
	if a.Measures != "" {
		out = append(out, ui.Term{Label: ui.T(ctx, "opendata.measures"), Value: ui.Text(a.Measures)})
	}
	if a.Findings.Rows > 0 {
		out = append(out, ui.Term{Label: ui.T(ctx, "opendata.looked_at"), Value: ui.Text(ui.T(ctx, "dataset.rows_n", "Count", a.Findings.Rows))})
	}
	return out
}

func riskBadge(ctx context.Context, r opendata.Risk) ui.BadgeInfo {
	b := ui.BadgeInfo{Text: ui.T(ctx, "opendata.risk_"+string(r)), Tone: ui.Good}
	switch r {
	case opendata.Medium:
		b.Tone = ui.Warn
	case opendata.High:
		b.Tone = ui.Bad
	}
	return b
}

func (v *openingItem) entryTerms(ctx context.Context) []ui.Term {
	e := v.entry
	out := []ui.Term{
		{Label: ui.T(ctx, "opendata.state"), Value: ui.State("dataset", string(e.State))},
		{Label: ui.T(ctx, "opendata.published_by"), Value: ui.Sub(e.PublishedName, ui.DateTime(e.PublishedAt))},
	}
	if e.Kind == opendata.Data && e.Version > 0 {
		out = append(out, ui.Term{Label: ui.T(ctx, "dataset.version"), Value: ui.Sub(ui.T(ctx, "dataset.version_n", "N", strconv.Itoa(e.Version)), ui.DateTime(e.DataAt))},
			ui.Term{Label: ui.T(ctx, "dataset.rows"), Value: ui.Number(e.Rows, "")})
	}
	if e.State != opendata.Building {
		out = append(out, ui.Term{Label: ui.T(ctx, "opendata.public_page"), Value: ui.Anchor("/datasets/"+e.Slug, "/datasets/"+e.Slug, "")})
	}
	if e.State == opendata.Withdrawn {
		out = append(out, ui.Term{Label: ui.T(ctx, "opendata.withdrawn_why"), Value: ui.Sub(e.WithdrawnWhy, ui.DateTime(e.WithdrawnAt)), Clause: "FZO-17", Wide: true})
	}
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func (v *assessView) isQuasi(item string) bool { return slices.Contains(v.in.Quasi, item) }

// itemHelp says what an item holds, where that bears on opening.
func itemHelp(ctx context.Context, it *catalog.Item) string {
	parts := []string{it.Code}
	if k := privacy.Kind(it.Personal); k.Personal() {
		parts = append(parts, ui.T(ctx, "opendata.personal_item"))
	}
	if it.Opening != "" && it.Opening != catalog.General {
		parts = append(parts, ui.StateWords(ctx, "opening", string(it.Opening)))
	}
	return strings.Join(parts, " · ")
}
