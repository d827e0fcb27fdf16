// Package ui is what both faces share: the page around every content, the
// components, the words in two languages and the bundled assets.
//
// # A page
//
// A handler calls one query, and renders:
//
//	func (c *Console) bodies(w http.ResponseWriter, r *http.Request) {
//		list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"name", "level"}, Filters: []string{"level"}})
//		bodies, total, err := c.org.Bodies(r.Context(), …)
//		if err != nil {
//			web.Fail(w, r, err)
//			return
//		}
//		ui.Render(w, r, bodiesPage(list, bodies, total))
//	}
//
//	templ bodiesPage(list ui.List, bodies []org.Body, total int) {
//		@ui.Page(ui.Meta{Title: ui.T(ctx, "org.bodies"), Active: "bodies"}) {
//			@ui.Head(ui.HeadInfo{Title: ui.T(ctx, "org.bodies"), Lead: ui.T(ctx, "org.bodies_lead"),
//				Actions: []ui.Action{{Label: ui.T(ctx, "org.new_body"), Href: "/console/bodies/new", Icon: "plus", Primary: true}}})
//			@ui.Card(ui.CardInfo{Flush: true}) {
//				@ui.Table(ui.TableInfo{
//					Caption: ui.T(ctx, "org.bodies"), List: &list, Total: total, Search: ui.T(ctx, "org.search"),
//					Filters: []ui.Filter{{Name: "level", Label: ui.T(ctx, "org.level"), Options: levelOptions(ctx)}},
//					Exports: []ui.Link{{Label: ui.T(ctx, "ui.export_csv"), Href: list.With("format", "csv")}},
//					Columns: []ui.Column{{Key: "name", Title: ui.T(ctx, "org.name"), Sort: true, Main: true}, {Title: …, Align: ui.End}},
//					Rows:  bodyRows(bodies), // Cells: ui.Anchor, ui.Text, ui.Sub, ui.Number, ui.Mono, ui.State, ui.Badges, ui.Clock…
//					Empty: ui.EmptyInfo{Icon: "building", Title: …, Text: …, Action: ui.Action{…}},
//				})
//			}
//		}
//	}
//
// Frame (navigation, who is logged in, the city) is put into the context by the
// face's middleware; pages do not pass it. Meta.Active is the key of the
// navigation entry. Every page has one ui.Head (its <h1>); cards have <h2>.
//
// # Words
//
// words/zh/<area>.yaml and words/en/<area>.yaml hold flat keys that begin with
// the area's name. ui.T(ctx, "catalog.title"); with variables {{.Name}}:
// ui.T(ctx, "catalog.by", "Name", n); with a number that picks the English
// plural: ui.T(ctx, "catalog.rows", "Count", 3) over {one: …, other: …}. States
// are ui.State(kind, state) with words under "state.<kind>.<state>" (general
// ones exist as "state.<state>") and colours in states.go. No Chinese stands in
// a .templ file. What a lower package carries in both languages is shown by
// ui.Pick(ctx, zh, en).
//
// # Forms
//
//	@ui.Form(ui.FormInfo{Action: "/console/bodies", Errors: errors}) {
//		@ui.Input(ui.Field{Name: "name", Label: ui.T(ctx, "org.name"), Value: in.Name, Required: true, MaxLength: 60,
//			Help: ui.T(ctx, "org.name_help"), Clause: "FZM-34", Error: errors.For("name"), Half: true})
//		@ui.Select(…) @ui.Radios(…) @ui.Checks(…) @ui.Check(…) @ui.TextArea(…) @ui.File(…) @ui.Hidden("version", "3")
//		@ui.FormActions() {
//			@ui.Submit(ui.T(ctx, "ui.save"))
//			@ui.SubmitAs(ui.T(ctx, "ui.save_draft"), "do", "draft", ui.Plain)
//			@ui.Cancel("/console/bodies")
//		}
//	}
//
// After a refusal: if ui.IsRefusal(err), render the same form again with
// ui.RenderStatus(w, r, web.Status(err), …) and ui.ErrorsOf(ctx, err); any other
// error goes to web.Fail. errs' Field and Problem.Field are the fields' names.
// After a write answer with http.Redirect(…, http.StatusSeeOther). There are no
// CSRF tokens to place: internal/web refuses cross-site writes by their origin,
// so tests that send cookies must also send Origin or Sec-Fetch-Site:
// same-origin. Lower-case {…} in words is not markup; templ escapes all text.
//
// # Rules
//
// No style="", no <script>, no on…="" (the CSP forbids them), and no hx-on or
// js: values. Everything works without JavaScript; htmx attributes make it
// better (hx-get + hx-target + hx-select of the same page, no partial routes).
// Numbers: ui.Num, ui.Decimal, ui.Percent, ui.Bytes; times: ui.Date, ui.DateTime
// (civil time of China). Articles: ui.ClauseRef("FZM-17"), and the Clause field of
// most components. Deadlines: ui.Clock. A number on screen links to what it
// counts: ui.Stat, ui.Number. Tables of data rows use Scroll: true; lists stack
// into cards on a phone. Layout: ui.Grid(2|3|4), ui.Split(aside, first), ui.Card.
// Charts: ui.Chart with an ECharts option as map[string]any and the same numbers
// in Rows; small ones: ui.Bars. Destructive steps: ui.Confirm. See kitchen.templ
// for every component in use.
package ui
