package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/org"
	"gongshu/ui"
)

// The editor's form: field names are the paths of catalog.Validate ("items.3.code"), so that each
// fault stands beside its field.

func (c *Console) newResource(w http.ResponseWriter, r *http.Request) {
	if err := c.Door.May(actor(r), catalog.ActCreate, ownTarget(actor(r))); err != nil {
		web.Fail(w, r, err)
		return
	}
	heads, err := c.Catalog.Heads(r.Context())
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, newResourcePage(catalog.Resource{Kind: catalog.Table}, heads, ui.Errors{}))
}

// createResource makes a draft of the few facts that the code needs; the editor asks for the rest.
func (c *Console) createResource(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	f := r.PostForm
	in := catalog.Resource{Name: f.Get("name"), Kind: catalog.Kind(f.Get("kind")), Summary: strings.TrimSpace(f.Get("summary")), Cycle: "", Sharing: catalog.Unconditional}
	switch in.Kind {
	case catalog.Table:
		in.Format, in.SharingWays = catalog.FormatDatabase, []catalog.Way{catalog.WayDatabase, catalog.WayService}
	case catalog.Files:
		in.Format, in.SharingWays = catalog.FormatFile, []catalog.Way{catalog.WayFile}
	case catalog.Interface:
		in.Format, in.SharingWays = catalog.FormatServiceCall, []catalog.Way{catalog.WayService}
	}
	if place := f.Get("class.head"); len(place) == 6 {
		in.Class = catalog.Class{Class: place[:1], Item: place[1:3], Head: place[3:], Detail: strings.TrimSpace(f.Get("class.detail"))}
	} else {
		in.Class = catalog.Class{Class: "3", Item: "07", Detail: strings.TrimSpace(f.Get("class.detail"))}
	}
	made, err := c.Catalog.Create(ctx, a, in)
	if err != nil {
		heads, e := c.Catalog.Heads(ctx)
		if e == nil && ui.IsRefusal(err) {
			ui.RenderStatus(w, r, web.Status(err), newResourcePage(in, heads, ui.ErrorsOf(ctx, err)))
			return
		}
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, catalogHref(made.Code)+"/edit", http.StatusSeeOther)
}

type editView struct {
	r       *catalog.Resource
	policy  *catalog.Policy
	errors  ui.Errors
	faults  []errs.Problem
	same    []catalog.Duplicate
	checked bool
	saved   bool
	bodies  []ui.Option
	blank   int // empty items offered at the end
}

func (c *Console) editResource(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	res, err := c.Catalog.Get(ctx, r.PathValue("code"), -1)
	if err == nil {
		err = c.Door.May(a, catalog.ActEdit, c.resourceTarget(ctx, res))
	}
	if err == nil && res.State != catalog.Draft && res.State != catalog.Returned {
		http.Redirect(w, r, catalogHref(res.Code), http.StatusSeeOther)
		return
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := editView{r: res, saved: r.URL.Query().Get("saved") != "", checked: r.URL.Query().Get("check") != "", blank: 1}
	if n, e := strconv.Atoi(r.URL.Query().Get("blank")); e == nil && n > 0 && n <= 50 {
		v.blank = n
	}
	if len(res.Items) == 0 && v.blank < 3 {
		v.blank = 3
	}
	if v.checked {
		if v.faults, v.same, err = c.Catalog.Check(ctx, res); err != nil {
			web.Fail(w, r, err)
			return
		}
		if len(v.faults) > 0 {
			v.errors = ui.ErrorsOf(ctx, errs.Newf(errs.Invalid, "还有 %d 处需要完善", "%d things are left to mend", len(v.faults)).With(v.faults...))
		}
	}
	c.showEditor(w, r, http.StatusOK, v)
}

func (c *Console) showEditor(w http.ResponseWriter, r *http.Request, status int, v editView) {
	v.policy = c.Catalog.Policy()
	bodies, err := c.Org.Bodies(r.Context(), org.BodyFilter{})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, b := range bodies {
		if b.ID != v.r.Body {
			v.bodies = append(v.bodies, ui.Option{Value: b.ID, Label: b.Name})
		}
	}
	ui.RenderStatus(w, r, status, editResourcePage(v))
}

func (c *Console) saveResource(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, errs.New(errs.TooLarge, errs.T("表单过大", "the form is too large")).Because(err))
		return
	}
	was, err := c.Catalog.Get(ctx, r.PathValue("code"), -1)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	in := resourceFromForm(r.PostForm, was)
	revision, _ := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	saved, err := c.Catalog.Save(ctx, a, catalog.AddressOf{Code: was.Code, Revision: revision}, *in)
	if err != nil {
		if ui.IsRefusal(err) {
			// What was typed is kept; a conflict shows it beside the newest version's revision.
			in.Revision = revision
			if errs.Is(err, errs.Conflict) {
				in.Revision = was.Revision
			}
			c.showEditor(w, r, web.Status(err), editView{r: in, errors: ui.ErrorsOf(ctx, err), blank: 1})
			return
		}
		web.Fail(w, r, err)
		return
	}
	next := catalogHref(saved.Code)
	switch r.PostForm.Get("do") {
	case "items":
		next += "/edit?blank=5#items"
	case "check":
		next += "/edit?check=1"
	case "leave":
	default:
		next += "/edit?saved=1"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// resourceFromForm reads the editor's form over the version that was there: what the form does not
// hold stays.
func resourceFromForm(f url.Values, was *catalog.Resource) *catalog.Resource {
	r := *was
	text := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(strings.ReplaceAll(text(name), ",", ""), 10, 64)
		return n
	}
	r.Name, r.Summary, r.Office, r.System = text("name"), text("summary"), text("office"), text("system")
	r.Theme, r.Region = text("theme"), text("region")
	if k := text("kind"); k != "" {
		r.Kind = catalog.Kind(k)
	}
	r.Tags, r.Related = parts(f.Get("tags")), parts(f.Get("related"))
	for i := range r.Related {
		r.Related[i] = catalog.ParseCode(r.Related[i])
	}
	r.Format, r.FormatTypes, r.Charset = catalog.FormatClass(text("format")), parts(f.Get("format_types")), text("charset")
	r.Items = itemsFromForm(f, was.Items)
	r.Sharing, r.SharingNote, r.SideApproval = catalog.SharingType(text("sharing")), text("sharing_note"), text("side_approval")
	r.SharingWays = nil
	for _, w := range f["sharing_ways"] {
		r.SharingWays = append(r.SharingWays, catalog.Way(w))
	}
	r.SharingBasis = nil
	for i := range indices(f, "sharing_basis") {
		name := func(field string) string { return text("sharing_basis." + strconv.Itoa(i) + "." + field) }
		b := catalog.Basis{Kind: catalog.BasisKind(name("kind")), Title: name("title"), Article: name("article"), Text: name("text")}
		if b != (catalog.Basis{}) {
			r.SharingBasis = append(r.SharingBasis, b)
		}
	}
	r.Conditions = nil
	for i := range indices(f, "conditions") {
		p := "conditions." + strconv.Itoa(i) + "."
		cond := catalog.Condition{Bodies: clean(f[p+"bodies"]), Purposes: clean(f[p+"purposes"]), Items: clean(f[p+"items"]), Note: text(p + "note"), MaxDays: int(number(p + "max_days"))}
		for _, m := range clean(f[p+"modes"]) {
			cond.Modes = append(cond.Modes, catalog.Mode(m))
		}
		for j := range indices(f, p+"rows") {
			q := p + "rows." + strconv.Itoa(j) + "."
			if item := text(q + "item"); item != "" {
				cond.Rows = append(cond.Rows, catalog.Filter{Item: item, Op: text(q + "op"), Values: parts(f.Get(q + "values"))})
			}
		}
		if len(cond.Bodies)+len(cond.Purposes)+len(cond.Items)+len(cond.Modes)+len(cond.Rows)+cond.MaxDays > 0 || cond.Note != "" {
			r.Conditions = append(r.Conditions, cond)
		}
	}
	r.Opening, r.OpeningNote, r.ClosedGround = catalog.OpeningType(text("opening")), text("opening_note"), text("closed_ground")
	r.OpeningNeeds, r.Desensitised = clean(f["opening_needs"]), text("desensitised")
	r.Cycle, r.Grade = catalog.Cycle(text("cycle")), int(number("grade"))
	r.Collection = catalog.Collection{Way: text("collection.way"), Basis: text("collection.basis"), Minimum: text("collection.minimum")}
	r.Source = catalog.Source{Duty: text("source.duty"), Confirmed: text("source.confirmed") != "", Lead: text("source.lead"), Overlap: text("source.overlap")}
	r.Secrecy = catalog.Secrecy{Declared: text("secrecy.declared") != "", Marked: text("secrecy.marked") != "", Document: text("secrecy.document")}
	r.Survey = catalog.Survey{StorageMB: number("survey.storage_mb"), Rows: number("survey.rows"), SharedMB: number("survey.shared_mb"),
		SharedRows: number("survey.shared_rows"), PublishedMB: number("survey.published_mb"), PublishedRows: number("survey.published_rows")}
	r.Checks = nil
	for i := range indices(f, "checks") {
		name := func(field string) string { return text("checks." + strconv.Itoa(i) + "." + field) }
		ch := catalog.Check{Name: name("name"), Expr: name("expr"), ZH: name("zh"), EN: name("en")}
		if ch != (catalog.Check{}) {
			if ch.Name == "" {
				ch.Name = "check" + strconv.Itoa(i+1)
			}
			if ch.EN == "" {
				ch.EN = ch.ZH
			}
			r.Checks = append(r.Checks, ch)
		}
	}
	return &r
}

// itemsFromForm reads the items in the order of their position fields; a blank or removed one is left
// out. Settings that the form does not show for an item are taken from the item with that id before.
func itemsFromForm(f url.Values, before []catalog.Item) []catalog.Item {
	type placed struct {
		catalog.Item
		at int
	}
	var list []placed
	for i := range indices(f, "items") {
		p := "items." + strconv.Itoa(i) + "."
		text := func(name string) string { return strings.TrimSpace(f.Get(p + name)) }
		if text("remove") != "" || text("name") == "" && text("code") == "" {
			continue
		}
		var it catalog.Item
		if i < len(before) && (text("id") == "" || before[i].ID == text("id")) {
			it = before[i]
		} else if j := slices.IndexFunc(before, func(b catalog.Item) bool { return b.ID == text("id") && b.ID != "" }); j >= 0 {
			it = before[j]
		}
		has := func(name string) bool { _, ok := f[p+name]; return ok }
		it.ID = text("id")
		it.Name, it.Code, it.Type = text("name"), text("code"), catalog.ItemType(text("type"))
		it.Length, _ = strconv.Atoi(text("length"))
		it.Scale, _ = strconv.Atoi(text("scale"))
		it.Key, it.Required = text("key") != "", text("required") != ""
		it.Personal, it.Mask = text("personal"), text("mask")
		if has("more") { // the second half of an item's form
			it.Unique, it.NotFuture = text("unique") != "", text("not_future") != ""
			it.Pattern, it.Min, it.Max, it.CodeList = text("pattern"), text("min"), text("max"), text("code_list")
			it.OpenMask, it.Sharing, it.Opening = text("open_mask"), catalog.SharingType(text("sharing")), catalog.OpeningType(text("opening"))
			it.Grade, _ = strconv.Atoi(text("grade"))
			it.Description = text("description")
			it.Enum = nil
			for _, line := range strings.FieldsFunc(text("enum"), func(r rune) bool { return r == '\n' || r == ';' || r == '；' }) {
				value, label, _ := strings.Cut(strings.ReplaceAll(line, "＝", "="), "=")
				if value = strings.TrimSpace(value); value != "" {
					it.Enum = append(it.Enum, catalog.Code{Value: value, Label: strings.TrimSpace(label)})
				}
			}
			it.Reference = nil
			if code, item, ok := strings.Cut(text("reference"), ":"); ok {
				it.Reference = &catalog.Reference{Resource: catalog.ParseCode(code), Item: strings.TrimSpace(item)}
			} else if code != "" {
				it.Reference = &catalog.Reference{Resource: code}
			}
		} else if it.Personal != "" && it.Personal != "uscc" && it.Grade == 0 {
			it.Grade = 2
		}
		at, err := strconv.Atoi(text("at"))
		if err != nil {
			at = i + 1
		}
		list = append(list, placed{it, at})
	}
	slices.SortStableFunc(list, func(a, b placed) int { return a.at - b.at })
	out := make([]catalog.Item, len(list))
	for i, p := range list {
		out[i] = p.Item
	}
	return out
}

// indices yields 0 … n for the highest index that the form names under a list, bounded.
func indices(f url.Values, list string) []struct{} {
	highest := -1
	for name := range f {
		rest, ok := strings.CutPrefix(name, list+".")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(n); err == nil && i <= catalog.MaxItems && i > highest {
			highest = i
		}
	}
	return make([]struct{}, highest+1)
}

func parts(s string) []string {
	return clean(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("、，,；;\n\r", r) }))
}

func clean(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// choices turns a list of the guide into options in the page's language.
func choicesOf(ctx context.Context, list []catalog.Named) []ui.Option {
	out := make([]ui.Option, len(list))
	for i, n := range list {
		out[i] = ui.Option{Value: n.Key, Label: say(ctx, n.Text)}
	}
	return out
}

func itemLabel(ctx context.Context, it *catalog.Item) string {
	label := say(ctx, catalog.NameOf("type", string(it.Type)))
	if it.Length > 0 {
		label += "(" + strconv.Itoa(it.Length)
		if it.Scale > 0 {
			label += "," + strconv.Itoa(it.Scale)
		}
		label += ")"
	}
	return label
}
