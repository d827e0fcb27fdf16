package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (c *Console) routesClauses(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/clauses", c.clausesPage)
	mux.HandleFunc("GET /console/clauses/{id}", c.clausePage)
}

// ownInstruments are the codes of the city's own regulations.
func (c *Console) ownInstruments() []string {
	var out []string
	if c.Profile != nil {
		for _, in := range c.Profile.Instruments() {
			out = append(out, in.Code)
		}
	}
	return out
}

func (c *Console) clausesPage(w http.ResponseWriter, r *http.Request) {
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"order", "kind", "tests"}, Filters: []string{"instrument", "kind", "tests"}, Per: 50})
	found := clause.Search(list.Q, list.Get("instrument"), clause.Kind(list.Get("kind")))
	switch list.Get("tests") {
	case "yes":
		found = slices.DeleteFunc(found, func(c clause.Clause) bool { return len(clause.Tests(c.ID)) == 0 })
	case "no":
		found = slices.DeleteFunc(found, func(c clause.Clause) bool { return len(clause.Tests(c.ID)) > 0 })
	}
	// The city's own articles come first.
	if own := c.ownInstruments(); list.Get("instrument") == "" && len(own) > 0 {
		slices.SortStableFunc(found, func(a, b clause.Clause) int {
			return boolOrder(slices.Contains(own, a.Instrument), slices.Contains(own, b.Instrument))
		})
	}
	found = ui.Sorted(list, found, map[string]func(a, b clause.Clause) int{
		"kind": ui.By(func(c clause.Clause) string { return string(c.Kind) }), "tests": ui.By(func(c clause.Clause) int { return len(clause.Tests(c.ID)) })})
	if wantsSheet(r) {
		ctx := r.Context()
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "clause.title"), columns: sheetColumns(ctx, "clause.id", "clause.article", "clause.kind", "clause.words", "clause.must", "#clause.tests"),
			rows: rowsOf(found, func(cl clause.Clause) []string {
				return []string{cl.ID, ui.Pick(ctx, cl.CitationZH(), cl.CitationEN()), ui.T(ctx, "clause.kind_"+string(cl.Kind)), cl.Text, cl.Must, strconv.Itoa(len(clause.Tests(cl.ID)))}
			})})
		return
	}
	ui.Render(w, r, clausesPage(list, ui.PageOf(list, found), len(found)))
}

// boolOrder sorts true before false.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func clauseFilters(ctx context.Context) []ui.Filter {
	var instruments, kinds []ui.Option
	for _, in := range clause.Instruments() {
		instruments = append(instruments, ui.Option{Value: in.Code, Label: in.Code + " · " + ui.Pick(ctx, in.Title, in.TitleEN)})
	}
	for _, k := range clause.Kinds() {
		kinds = append(kinds, ui.Option{Value: string(k), Label: ui.T(ctx, "clause.kind_"+string(k))})
	}
	return []ui.Filter{
		{Name: "instrument", Label: ui.T(ctx, "clause.instrument"), Options: instruments},
		{Name: "kind", Label: ui.T(ctx, "clause.kind"), Options: kinds},
		{Name: "tests", Label: ui.T(ctx, "clause.tests"), Options: []ui.Option{{Value: "yes", Label: ui.T(ctx, "clause.tested")}, {Value: "no", Label: ui.T(ctx, "clause.untested")}}},
	}
}

func clauseRows(ctx context.Context, list []clause.Clause) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, cl := range list {
		rows = append(rows, ui.Row{ID: cl.ID, Cells: []templ.Component{
			ui.Anchor(cl.ID, "/console/clauses/"+cl.ID, ui.Pick(ctx, cl.CitationZH(), cl.CitationEN())),
			ui.Badges(ui.BadgeInfo{Text: ui.T(ctx, "clause.kind_"+string(cl.Kind)), Tone: kindTone(cl.Kind)}),
			ui.Text(ui.Pick(ctx, excerpt(cl.Text, 90), cl.Must)),
			ui.Number(int64(len(clause.Tests(cl.ID))), "/console/clauses/"+cl.ID+"#tests"),
		}})
	}
	return rows
}

func kindTone(k clause.Kind) ui.Tone {
	switch k {
	case clause.Enforce:
		return ui.Bad
	case clause.Clock:
		return ui.Warn
	case clause.Record:
		return ui.Info
	case clause.Publish:
		return ui.Good
	}
	return ui.Plain
}

// excerpt is the first n characters of an article, without its number.
func excerpt(text string, n int) string {
	_, rest, ok := strings.Cut(text, " ")
	if ok && strings.HasPrefix(text, "第") {
		text = rest
	}
	text = strings.ReplaceAll(text, "\n", " ")
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}

type clauseView struct {
	clause     clause.Clause
	instrument clause.Instrument
	keys       []ui.Link
	tests      []string
	before     string
	after      string
}

func (c *Console) clausePage(w http.ResponseWriter, r *http.Request) {
	cl, ok := clause.Get(r.PathValue("id"))
	if !ok {
		web.Fail(w, r, errs.New(errs.NotFound, errs.T("登记中没有这个条款", "the register has no such article")))
		return
	}
	v := clauseView{clause: cl, tests: clause.Tests(cl.ID)}
	v.instrument, _ = clause.InstrumentOf(cl.Instrument)
	if c.Profile != nil {
		used := c.Profile.UsesClause(cl.ID)
		for _, l := range c.Profile.Lines(c.Now()) {
			if slices.Contains(used, l.Key) {
				v.keys = append(v.keys, ui.Link{Label: wordsOf(r.Context(), l.Label), Href: "/console/profile#" + l.Key})
			}
		}
	}
	all := clause.ByInstrument(cl.Instrument)
	i := slices.IndexFunc(all, func(o clause.Clause) bool { return o.ID == cl.ID })
	if i > 0 {
		v.before = all[i-1].ID
	}
	if i+1 < len(all) {
		v.after = all[i+1].ID
	}
	ui.Render(w, r, clausePage(v))
}

func instrumentNote(ctx context.Context, in clause.Instrument) string {
	var parts []string
	if in.Number != "" {
		parts = append(parts, in.Number)
	}
	if !in.Issued.IsZero() {
		parts = append(parts, in.Issued.Format(time.DateOnly))
	}
	parts = append(parts, ui.T(ctx, "clause.count", "Count", len(clause.ByInstrument(in.Code))))
	return strings.Join(parts, " · ")
}

func nearbyClauses(v clauseView) []ui.Action {
	var out []ui.Action
	if v.before != "" {
		out = append(out, ui.Action{Label: v.before, Href: "/console/clauses/" + v.before, Icon: "chevron-left"})
	}
	if v.after != "" {
		out = append(out, ui.Action{Label: v.after, Href: "/console/clauses/" + v.after, Icon: "chevron-right"})
	}
	return out
}

func clauseBadges(ctx context.Context, v clauseView) []ui.BadgeInfo {
	out := []ui.BadgeInfo{{Text: ui.T(ctx, "clause.kind_"+string(v.clause.Kind)), Tone: kindTone(v.clause.Kind)}}
	if v.instrument.Draft {
		out = append(out, ui.BadgeInfo{Text: ui.T(ctx, "clause.draft"), Tone: ui.Warn})
	}
	return out
}
