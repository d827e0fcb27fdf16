package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/search"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/tabular"
	"gongshu/ui"
)

// routesCatalog registers the catalog: lists, resource pages, the editor, review, workbooks and samples.
func (c *Console) routesCatalog(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/catalog", c.catalogList)
	mux.HandleFunc("GET /console/catalog/new", c.newResource)
	mux.HandleFunc("POST /console/catalog/new", c.createResource)
	mux.HandleFunc("GET /console/catalog/{code}", c.resource)
	mux.HandleFunc("GET /console/catalog/{code}/edit", c.editResource)
	mux.HandleFunc("POST /console/catalog/{code}/edit", c.saveResource)
	mux.HandleFunc("POST /console/catalog/{code}/do", c.actOnResource)
	mux.HandleFunc("GET /console/catalog/{code}/workbook.xlsx", c.resourceWorkbook)
	mux.HandleFunc("GET /console/catalog-workbook", c.workbookStart)
	mux.HandleFunc("POST /console/catalog-workbook", c.workbookUpload)
	mux.HandleFunc("GET /console/catalog-workbook/template.xlsx", c.workbookTemplate)
	mux.HandleFunc("GET /console/catalog-workbook/{id}", c.workbookPreview)
	mux.HandleFunc("POST /console/catalog-workbook/{id}", c.workbookCommit)
	mux.HandleFunc("GET /console/catalog-sample", c.sampleStart)
	mux.HandleFunc("POST /console/catalog-sample", c.sampleUpload)
	mux.HandleFunc("GET /console/catalog-sample/{id}", c.samplePreview)
	mux.HandleFunc("POST /console/catalog-sample/{id}", c.sampleCreate)
	mux.HandleFunc("GET /console/catalog-classes", c.classes)
	mux.HandleFunc("POST /console/catalog-classes", c.addClass)
}

// say gives a text of a lower package in the page's language.
func say(ctx context.Context, t errs.Text) string { return ui.Pick(ctx, t.ZH, t.EN) }

func catalogHref(code string) string { return "/console/catalog/" + catalog.PathCode(code) }

type catalogListView struct {
	list      ui.List
	view      catalog.View
	result    *catalog.SearchResult
	facets    []ui.Facet
	mayCreate bool
	mayImport bool
	mayClass  bool
	tabs      []ui.Tab
	mine      map[catalog.State]int
}

// catalogOrders are the orders to choose from: without words none is more relevant.
func catalogOrders(list ui.List) []string {
	if list.Q == "" {
		return []string{"updated", "published"}
	}
	return []string{"best", "updated", "published"}
}

var catalogFacets = []string{"kind", "theme", "body", "sharing", "opening", "cycle", "format", "grade", "region", "state"}

// chosenFacets are the values that narrow the list, by facet.
func chosenFacets(list ui.List) map[string][]string {
	out := map[string][]string{}
	for _, f := range catalogFacets {
		if values := list.All(f); len(values) > 0 {
			out[f] = values
		}
	}
	return out
}

func (c *Console) catalogList(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	v := catalogListView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"best", "updated", "published"}, Default: "best", Filters: append([]string{"view"}, catalogFacets...)})}
	v.view = catalog.View(v.list.Get("view"))
	if v.view != catalog.ViewOpen && v.view != catalog.ViewWork {
		v.view = catalog.ViewShare
	}
	q := catalog.SearchQuery{View: v.view, Text: v.list.Q, Filters: chosenFacets(v.list), Offset: v.list.Offset(), Limit: v.list.Per}
	switch {
	case v.list.Sort == "updated" || v.list.Sort == "best" && q.Text == "":
		q.Sort = "updated"
	case v.list.Sort == "published":
		q.Sort = "published"
	}
	if format := r.URL.Query().Get("export"); format != "" {
		c.exportCatalog(w, r, q, format)
		return
	}
	var err error
	if v.result, err = c.Catalog.Search(ctx, a, q); err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.facets, err = c.facetsOf(ctx, v.view, v.result.Facets); err != nil {
		web.Fail(w, r, err)
		return
	}
	v.mayCreate = c.may(r, catalog.ActCreate, ownTarget(a))
	v.mayImport = c.may(r, catalog.ActUpload, ownTarget(a))
	v.mayClass = c.may(r, catalog.ActHead, ownTarget(a))
	for _, t := range []catalog.View{catalog.ViewShare, catalog.ViewOpen, catalog.ViewWork} {
		href := "/console/catalog"
		if t != catalog.ViewShare {
			href += "?view=" + string(t)
		}
		v.tabs = append(v.tabs, ui.Tab{Key: string(t), Label: ui.T(ctx, "catalog.view_"+string(t)), Href: href, Active: t == v.view})
	}
	ui.Render(w, r, catalogListPage(v))
}

// facetsOf puts words to the counted values; a facet with one value only, unchosen, tells nothing.
func (c *Console) facetsOf(ctx context.Context, view catalog.View, counts map[string][]search.Count) ([]ui.Facet, error) {
	names := map[string]string{}
	bodies, err := c.Org.Bodies(ctx, org.BodyFilter{})
	if err != nil {
		return nil, err
	}
	for _, b := range bodies {
		names[b.ID] = b.Name
	}
	var out []ui.Facet
	for _, name := range catalogFacets {
		if name == "state" && view != catalog.ViewWork || name == "sharing" && view == catalog.ViewOpen {
			continue
		}
		f := ui.Facet{Name: name, Label: ui.T(ctx, "catalog.facet_"+name)}
		for _, n := range counts[name] {
			label := say(ctx, catalog.NameOf(name, n.Value))
			switch name {
			case "body":
				if known, ok := names[n.Value]; ok {
					label = known
				}
			case "sharing":
				label = say(ctx, c.Catalog.Policy().SharingText(catalog.SharingType(n.Value)))
			case "opening":
				label = say(ctx, c.Catalog.Policy().OpeningText(catalog.OpeningType(n.Value)))
			case "region":
				if known, ok := catalog.CodeListByKey("GB/T 2260").Label(n.Value); ok {
					label = known
				}
			}
			f.Values = append(f.Values, ui.FacetValue{Value: n.Value, Label: ui.Capital(label), Count: n.N})
		}
		// Grades by height and cycles by length; the others by how many there are.
		if order := catalog.List(name); name == "grade" || name == "cycle" {
			rank := func(v ui.FacetValue) int {
				return slices.IndexFunc(order, func(n catalog.Named) bool { return n.Key == v.Value })
			}
			slices.SortStableFunc(f.Values, func(x, y ui.FacetValue) int { return rank(x) - rank(y) })
		}
		if len(f.Values) > 1 || len(f.Values) == 1 && slices.ContainsFunc(counts[name], func(n search.Count) bool { return n.On }) {
			out = append(out, f)
		}
	}
	return out, nil
}

// exportCatalog writes all that the search finds: a list as CSV, or the catalog workbook as XLSX.
func (c *Console) exportCatalog(w http.ResponseWriter, r *http.Request, q catalog.SearchQuery, format string) {
	ctx, a := r.Context(), actor(r)
	const bound = 2000
	var rows []catalog.Row
	q.Limit = 200
	for q.Offset = 0; len(rows) < bound; q.Offset += q.Limit {
		page, err := c.Catalog.Search(ctx, a, q)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		for _, h := range page.Hits {
			rows = append(rows, h.Data.(catalog.Row))
		}
		if len(page.Hits) < q.Limit {
			break
		}
	}
	policy := c.Catalog.Policy()
	switch format {
	case "xlsx":
		var list []*catalog.Resource
		for _, row := range rows {
			if row.ExistsOnly {
				continue
			}
			full, err := c.Catalog.Get(ctx, row.Code, row.Version)
			if err != nil {
				web.Fail(w, r, err)
				return
			}
			if q.View == catalog.ViewOpen {
				full = catalog.OpenView(full, policy)
			}
			if full != nil && (q.View == catalog.ViewOpen || catalog.MaySee(a, full)) {
				list = append(list, full)
			}
		}
		c.sendWorkbook(w, r, ui.T(ctx, "catalog.export_name"), list)
	case "csv":
		columns := []tabular.Column{{Name: ui.T(ctx, "catalog.code"), Type: 'C'}, {Name: ui.T(ctx, "catalog.name"), Type: 'C'}, {Name: ui.T(ctx, "catalog.provider"), Type: 'C'},
			{Name: ui.T(ctx, "catalog.facet_kind"), Type: 'C'}, {Name: ui.T(ctx, "catalog.facet_theme"), Type: 'C'}, {Name: ui.T(ctx, "catalog.facet_sharing"), Type: 'C'},
			{Name: ui.T(ctx, "catalog.facet_opening"), Type: 'C'}, {Name: ui.T(ctx, "catalog.facet_cycle"), Type: 'C'}, {Name: ui.T(ctx, "catalog.facet_grade"), Type: 'C'},
			{Name: ui.T(ctx, "catalog.facet_state"), Type: 'C'}, {Name: ui.T(ctx, "catalog.updated"), Type: 'C'}, {Name: ui.T(ctx, "catalog.summary"), Type: 'C'}}
		download(w, ui.T(ctx, "catalog.export_name")+".csv", "text/csv; charset=utf-8")
		out, err := tabular.NewCSVWriter(w, columns, tabular.CSVOptions{BOM: true})
		if err != nil {
			c.Log.Error("catalog export", "err", err)
			return
		}
		block := tabular.NewBlock()
		for i, row := range rows {
			grade := ""
			if row.Grade > 0 {
				grade = strconv.Itoa(row.Grade)
			}
			for _, cell := range []string{row.Code, row.Name, row.BodyName, say(ctx, catalog.NameOf("kind", string(row.Kind))), say(ctx, catalog.NameOf("theme", row.Theme)),
				say(ctx, policy.SharingText(row.Sharing)), say(ctx, policy.OpeningText(row.Opening)), say(ctx, catalog.NameOf("cycle", string(row.Cycle))), grade,
				ui.StateWords(ctx, "resource", string(row.State)), ui.Date(row.UpdatedAt), row.Summary} {
				block.AddString(cell)
			}
			block.EndRow(int64(i + 1))
		}
		if err = out.Write(block); err == nil {
			err = out.Close()
		}
		if err != nil {
			c.Log.Error("catalog export", "err", err)
		}
	default:
		web.Fail(w, r, errs.Newf(errs.Unsupported, "不支持导出为 %s", "cannot export as %s", format).In("format"))
	}
}

// download sets the headers of a file that the browser saves; the name may be Chinese (RFC 5987).
func download(w http.ResponseWriter, name, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", "attachment; filename=\"download\"; filename*=UTF-8''"+url.PathEscape(name))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}

func (c *Console) sendWorkbook(w http.ResponseWriter, r *http.Request, name string, list []*catalog.Resource) {
	var b bytes.Buffer
	if err := c.Catalog.WriteWorkbook(r.Context(), &b, list); err != nil {
		web.Fail(w, r, err)
		return
	}
	download(w, name+".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = b.WriteTo(w) // the browser went away; there is nobody to tell
}

// visible finds the version that an address asks for, as the actor may see it: without v the newest
// for those who may see drafts, else the one in force.
func (c *Console) visible(ctx context.Context, a identity.Actor, code, version string) (r *catalog.Resource, existsOnly bool, err error) {
	n := -1
	if version != "" {
		if n, err = strconv.Atoi(version); err != nil || n < 0 {
			return nil, false, errs.New(errs.NotFound, errs.T("没有这个版本", "there is no such version"))
		}
	}
	if r, err = c.Catalog.Get(ctx, code, n); err != nil {
		return nil, false, err
	}
	if !catalog.MaySee(a, r) && r.State != catalog.Published {
		if r, err = c.Catalog.Published(ctx, code); err != nil {
			return nil, false, err
		}
	}
	if r.State == catalog.Published {
		all := a.Post == identity.AuthorityReviewer || a.Post == identity.Operator || a.Post == identity.Auditor
		r, existsOnly = catalog.ShareView(r, a.Body, all, c.Catalog.Policy())
	}
	return r, existsOnly, nil
}

type resourceView struct {
	r          *catalog.Resource
	existsOnly bool
	tab        string
	tabs       []ui.Tab
	policy     *catalog.Policy
	panel      templ.Component
	versions   []*catalog.Resource
	events     []catalog.Event
	diff       []catalog.Difference
	from, to   int
	faults     []errs.Problem
	same       []catalog.Duplicate
	may        map[string]bool
	rows       int64
	bodyNames  map[string]string
	errors     ui.Errors
	asked      string         // command whose refusal is shown
	file       *casework.File // of the case that publishes the version, for those who may see it
	decision   caseView
}

// resourcePanels are tabs of the resource page that areas above the catalog fill. show gives what
// stands under the tab, count the number beside its name (-1 none). A panel whose show gives nil is
// not offered. An area adds its line here.
var resourcePanels = []struct {
	key, words string
	show       func(c *Console, r *http.Request, res *catalog.Resource) (templ.Component, error)
}{
	{"batches", "catalog.tab_batches", (*Console).batchesOfResource},
	{"use", "catalog.tab_use", (*Console).useOfResource},
}

func (c *Console) resource(w http.ResponseWriter, r *http.Request) { c.showResource(w, r, nil, "") }

// showResource renders the resource page, after a refused command with its reasons.
func (c *Console) showResource(w http.ResponseWriter, r *http.Request, refusal error, asked string) {
	ctx, a := r.Context(), actor(r)
	v := resourceView{tab: r.URL.Query().Get("tab"), policy: c.Catalog.Policy(), asked: asked, bodyNames: map[string]string{}, may: map[string]bool{}}
	var err error
	if v.r, v.existsOnly, err = c.visible(ctx, a, r.PathValue("code"), r.URL.Query().Get("v")); err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.existsOnly {
		ui.Render(w, r, existsOnlyPage(v))
		return
	}
	if bodies, err := c.Org.Bodies(ctx, org.BodyFilter{}); err == nil {
		for _, b := range bodies {
			v.bodyNames[b.ID] = b.Name
		}
	}
	target := c.resourceTarget(ctx, v.r)
	for name, action := range map[string]operation.Action{"edit": catalog.ActEdit, "submit": catalog.ActSubmit, "recall": catalog.ActRecall,
		"revise": catalog.ActRevise, "withdraw": catalog.ActWithdraw, "discard": catalog.ActDiscard, "rows": catalog.ActRows} {
		v.may[name] = c.may(r, action, target)
	}
	if v.r.Case != "" {
		f, err := c.Cases.File(ctx, a, v.r.Case)
		switch {
		case err == nil:
			v.file, v.decision = &f, caseView{file: f, task: c.Cases.Decidable(a, f.Case, f.Tasks)}
		case !errs.Is(err, errs.Forbidden): // who only uses the data does not see how it got into the catalog
			web.Fail(w, r, err)
			return
		}
	}
	v.may["copy"] = c.may(r, catalog.ActCreate, ownTarget(a))
	v.may["request"] = c.Sharing != nil && v.r.Current && v.r.Body != a.Body && v.r.Sharing != catalog.Withheld && a.Post == identity.Steward
	if all, err := c.Catalog.Versions(ctx, v.r.Code); err != nil {
		web.Fail(w, r, err)
		return
	} else {
		for _, one := range all {
			if catalog.MaySee(a, one) || one.State == catalog.Published {
				v.versions = append(v.versions, one)
			}
		}
	}
	if c.Warehouse != nil && v.r.Kind == catalog.Table {
		if n, err := c.Warehouse.Count(ctx, v.r.ID); err == nil {
			v.rows = n
		}
	}
	draft := v.r.State != catalog.Published && v.r.State != catalog.Withdrawn
	if draft && v.r.Version == v.versions[0].Version {
		if v.faults, v.same, err = c.Catalog.Check(ctx, v.r); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	if refusal != nil {
		v.errors = ui.ErrorsOf(ctx, refusal)
	}
	if err := c.fillTab(r, &v); err != nil {
		web.Fail(w, r, err)
		return
	}
	status := http.StatusOK
	if refusal != nil {
		status = web.Status(refusal)
	}
	ui.RenderStatus(w, r, status, resourcePage(v))
}

func (c *Console) fillTab(r *http.Request, v *resourceView) error {
	ctx := r.Context()
	base := catalogHref(v.r.Code)
	query := url.Values{}
	if n := r.URL.Query().Get("v"); n != "" {
		query.Set("v", n)
	}
	link := func(key string) string {
		q := url.Values{}
		for k, val := range query {
			q[k] = val
		}
		if key != "" {
			q.Set("tab", key)
		}
		if len(q) == 0 {
			return base
		}
		return base + "?" + q.Encode()
	}
	add := func(key, words string, count int) {
		v.tabs = append(v.tabs, ui.Tab{Key: key, Label: ui.T(ctx, words), Href: link(key), Active: v.tab == key, Count: count})
	}
	draft := v.r.State != catalog.Published && v.r.State != catalog.Withdrawn
	if draft && len(v.versions) > 1 {
		add("diff", "catalog.tab_diff", 0)
	}
	panels := map[string]templ.Component{}
	offered := map[string]bool{}
	for _, p := range resourcePanels {
		shown, err := p.show(c, r, v.r)
		if err != nil && !errs.Is(err, errs.Forbidden) {
			return err
		}
		if err == nil && shown != nil {
			panels[p.key], offered[p.key] = shown, true
		}
	}
	v.tabs = nil
	add("", "catalog.tab_about", 0)
	add("items", "catalog.tab_items", len(v.r.Items))
	if v.r.Kind == catalog.Table && v.r.State == catalog.Published && v.may["rows"] && c.Warehouse != nil {
		add("rows", "catalog.tab_rows", 0)
	}
	for _, p := range resourcePanels {
		if offered[p.key] {
			add(p.key, p.words, 0)
		}
	}
	if len(v.versions) > 1 {
		add("diff", "catalog.tab_diff", 0)
	}
	add("history", "catalog.tab_history", len(v.versions))
	var err error
	switch v.tab {
	case "rows":
		v.panel, err = c.sampleRows(r, v)
	case "diff":
		v.to, v.from = v.r.Version, v.r.Version-1
		if n, e := strconv.Atoi(r.URL.Query().Get("from")); e == nil {
			v.from = n
		}
		for _, old := range v.versions {
			if old.Version == v.from {
				v.diff = catalog.Diff(old, v.r)
			}
		}
	case "history":
		v.events, err = c.Catalog.Events(ctx, v.r.ID)
	default:
		v.panel = panels[v.tab]
		if v.panel == nil && v.tab != "items" {
			v.tab = ""
			v.tabs[0].Active = true
		}
	}
	return err
}

func (c *Console) resourceTarget(ctx context.Context, r *catalog.Resource) operation.Target {
	t := operation.Target{Kind: "resource", ID: r.ID, Name: r.Name, Body: r.Body, Resource: r.Code}
	if b, err := c.Org.Body(ctx, r.Body); err == nil {
		t.District = b.District
	}
	return t
}

// sampleRows shows rows of the warehouse, through the door: the look is on record before it is shown.
// People outside the provider see every item by its own mask (FS-5.4).
func (c *Console) sampleRows(r *http.Request, v *resourceView) (templ.Component, error) {
	ctx, a := r.Context(), actor(r)
	columns := catalog.ColumnsFor(v.r)
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = col.Name
	}
	hide := a.Body != v.r.Body
	mask := func([]string) {}
	if hide {
		var err error
		if mask, err = catalog.SampleMask(v.r, c.MaskKeys); err != nil {
			return nil, err
		}
	}
	var rows [][]string
	target := c.resourceTarget(ctx, v.r)
	err := c.Door.Read(ctx, a, catalog.ActRows, target, func(ctx context.Context) error {
		found, err := c.Warehouse.Sample(ctx, v.r.ID, names, 20)
		if err != nil {
			return err
		}
		for i := range found.Len() {
			values := found.Row(i)
			row := make([]string, len(values))
			for j := range values {
				row[j] = found.Columns[j].Format(values[j])
			}
			mask(row)
			rows = append(rows, row)
		}
		operation.Note(ctx, "rows", len(rows))
		return nil
	})
	if errs.Is(err, errs.NotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return rowsPanel(v.r, rows, hide), nil
}

// batchesOfResource lists the last batches for those who may see them.
func (c *Console) batchesOfResource(r *http.Request, res *catalog.Resource) (templ.Component, error) {
	if c.Intake == nil || res.PublishedAt.IsZero() {
		return nil, nil
	}
	list, total, err := c.Intake.ListOf(r.Context(), actor(r), res.Code, 0, 10)
	if err != nil {
		return nil, err
	}
	return batchesPanel(res, list, total), nil
}

// useOfResource lists the grants on a resource for its provider and the authority.
func (c *Console) useOfResource(r *http.Request, res *catalog.Resource) (templ.Component, error) {
	a := actor(r)
	if c.Sharing == nil || res.PublishedAt.IsZero() || a.Body != res.Body && a.Post != identity.AuthorityReviewer && a.Post != identity.Operator && a.Post != identity.Auditor {
		return nil, nil
	}
	grants, err := c.Sharing.Grants(r.Context(), a, gateway.Filter{Resource: res.Code, Limit: 100})
	if err != nil {
		return nil, err
	}
	return usePanel(res, grants, c.Now()), nil
}

// actOnResource runs one command on a resource: the form names it in "do".
func (c *Console) actOnResource(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	addr := catalog.AddressOf{Code: r.PathValue("code")}
	addr.Revision, _ = strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	do := r.PostForm.Get("do")
	next := catalogHref(catalog.ParseCode(addr.Code))
	var err error
	var res *catalog.Resource
	switch do {
	case "submit":
		_, err = c.Catalog.Submit(ctx, a, addr)
	case "recall":
		_, err = c.Catalog.Recall(ctx, a, addr)
	case "revise":
		if _, err = c.Catalog.Revise(ctx, a, addr.Code); err == nil {
			next += "/edit"
		}
	case "withdraw":
		_, err = c.Catalog.Withdraw(ctx, a, addr, reason)
	case "discard":
		if err = c.Catalog.Discard(ctx, a, addr); err == nil {
			next = "/console/catalog?view=work"
			if left, e := c.Catalog.Get(ctx, addr.Code, -1); e == nil {
				next = catalogHref(left.Code)
			}
		}
	case "copy":
		if res, err = c.Catalog.Copy(ctx, a, addr.Code); err == nil {
			next = catalogHref(res.Code) + "/edit"
		}
	default:
		err = errs.Newf(errs.Invalid, "没有这种操作：%s", "no such command: %s", do).In("do")
	}
	if err != nil {
		if ui.IsRefusal(err) && do != "" {
			c.showResource(w, r, err, do)
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (c *Console) resourceWorkbook(w http.ResponseWriter, r *http.Request) {
	res, existsOnly, err := c.visible(r.Context(), actor(r), r.PathValue("code"), r.URL.Query().Get("v"))
	if err == nil && existsOnly {
		err = errs.New(errs.Forbidden, errs.T("该资源仅可知其存在", "the resource is known to exist only")).By(c.Catalog.Policy().Cites[catalog.TopicWithheld]...)
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	c.sendWorkbook(w, r, res.Name, []*catalog.Resource{res})
}

// upload reads a file field within a bound. The whole form is bounded by internal/web as well.
func upload(r *http.Request, limit int64) (name string, content []byte, err error) {
	if err := web.ParseMultipart(r, limit); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return "", nil, errs.Newf(errs.TooLarge, "文件不超过 %d MB", "a file has at most %d MB", limit>>20).In("file").Because(err)
		}
		return "", nil, errs.New(errs.Invalid, errs.T("请选择要上传的文件", "choose a file to upload")).In("file").Because(err)
	}
	file, head, err := r.FormFile("file")
	if err != nil {
		return "", nil, errs.New(errs.Invalid, errs.T("请选择要上传的文件", "choose a file to upload")).In("file").Because(err)
	}
	defer file.Close()
	content, err = io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return "", nil, err
	}
	if int64(len(content)) > limit {
		return "", nil, errs.Newf(errs.TooLarge, "文件不超过 %d MB", "a file has at most %d MB", limit>>20).In("file")
	}
	return head.Filename, content, nil
}

func (c *Console) workbookStart(w http.ResponseWriter, r *http.Request) {
	if err := c.Door.May(actor(r), catalog.ActUpload, ownTarget(actor(r))); err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, workbookStartPage(ui.Errors{}))
}

func (c *Console) workbookTemplate(w http.ResponseWriter, r *http.Request) {
	c.sendWorkbook(w, r, ui.T(r.Context(), "catalog.template_name"), nil)
}

func (c *Console) workbookUpload(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	name, content, err := upload(r, catalog.MaxWorkbook)
	var im *catalog.Import
	if err == nil {
		im, err = c.Catalog.PreviewWorkbook(ctx, actor(r), name, content)
	}
	if err != nil {
		if ui.IsRefusal(err) {
			ui.RenderStatus(w, r, web.Status(err), workbookStartPage(ui.ErrorsOf(ctx, err)))
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/catalog-workbook/"+im.ID, http.StatusSeeOther)
}

func (c *Console) workbookPreview(w http.ResponseWriter, r *http.Request) {
	im, err := c.Catalog.Upload(r.Context(), actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, workbookPreviewPage(im, c.Catalog.Policy(), ui.Errors{}))
}

func (c *Console) workbookCommit(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if _, err := c.Catalog.ImportWorkbook(ctx, a, r.PathValue("id")); err != nil {
		if im, e := c.Catalog.Upload(ctx, a, r.PathValue("id")); e == nil && ui.IsRefusal(err) {
			ui.RenderStatus(w, r, web.Status(err), workbookPreviewPage(im, c.Catalog.Policy(), ui.ErrorsOf(ctx, err)))
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/catalog?view=work&state=draft", http.StatusSeeOther)
}

func (c *Console) sampleStart(w http.ResponseWriter, r *http.Request) {
	if err := c.Door.May(actor(r), catalog.ActSample, ownTarget(actor(r))); err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, sampleStartPage(ui.Errors{}))
}

func (c *Console) sampleUpload(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	name, content, err := upload(r, catalog.MaxSample)
	var p *catalog.Proposal
	if err == nil {
		p, err = c.Catalog.ProposeFromSample(ctx, actor(r), name, content)
	}
	if err != nil {
		if ui.IsRefusal(err) {
			ui.RenderStatus(w, r, web.Status(err), sampleStartPage(ui.ErrorsOf(ctx, err)))
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/catalog-sample/"+p.ID, http.StatusSeeOther)
}

func (c *Console) samplePreview(w http.ResponseWriter, r *http.Request) {
	p, err := c.Catalog.SampleProposal(r.Context(), actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, samplePreviewPage(p, ui.Errors{}))
}

// sampleCreate makes a draft of a proposal with what the person corrected in the table.
func (c *Console) sampleCreate(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	p, err := c.Catalog.SampleProposal(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	in := p.Resource
	in.Name = strings.TrimSpace(r.PostForm.Get("name"))
	in.Items = itemsFromForm(r.PostForm, in.Items)
	in.Grade = 1
	for _, it := range in.Items {
		in.Grade = max(in.Grade, it.Grade)
	}
	made, err := c.Catalog.Create(ctx, a, in)
	if err != nil {
		if ui.IsRefusal(err) {
			p.Resource = in
			ui.RenderStatus(w, r, web.Status(err), samplePreviewPage(p, ui.ErrorsOf(ctx, err)))
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, catalogHref(made.Code)+"/edit", http.StatusSeeOther)
}

func (c *Console) classes(w http.ResponseWriter, r *http.Request) {
	c.showClasses(w, r, http.StatusOK, ui.Errors{}, url.Values{})
}

func (c *Console) showClasses(w http.ResponseWriter, r *http.Request, status int, e ui.Errors, form url.Values) {
	heads, err := c.Catalog.Heads(r.Context())
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.RenderStatus(w, r, status, classesPage(heads, c.may(r, catalog.ActHead, ownTarget(actor(r))), e, form))
}

func (c *Console) addClass(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := r.PostForm
	place := f.Get("place")
	class, item := "", ""
	if len(place) == 3 {
		class, item = place[:1], place[1:]
	}
	if err := c.Catalog.AddHead(r.Context(), actor(r), class, item, f.Get("head"), f.Get("name")); err != nil {
		if ui.IsRefusal(err) {
			c.showClasses(w, r, web.Status(err), ui.ErrorsOf(r.Context(), err), f)
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/catalog-classes", http.StatusSeeOther)
}
