package console

import (
	"net/http"
	"net/url"
	"strings"

	"gongshu/catalog"
	"gongshu/intake"
	"gongshu/internal/web"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/ui"
)

// routesProblems registers the pages of problem rows.
func (c *Console) routesProblems(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/batches/{id}/problems", c.problems)
	mux.HandleFunc("GET /console/batches/{id}/problems/file", c.problemFile)
}

type problemsView struct {
	batch    *intake.Batch
	resource *catalog.Resource
	list     ui.List
	rows     []quality.Problem
	total    int
	columns  []string
	items    map[int]string  // item name by cell
	tallies  []quality.Tally // what the filter offers
	mayMend  bool
}

func (c *Console) problems(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	b, err := c.Intake.View(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := problemsView{batch: b, list: ui.ParseList(r, ui.ListSpec{Sorts: quality.Orders, Filters: []string{"open", "reason"}, Per: 50}), columns: b.Layout.Columns, items: map[int]string{}}
	target := batchTarget(b)
	v.mayMend = c.may(r, "intake.batch.receive", target)
	if v.resource, err = c.Catalog.Get(ctx, b.Code, b.Version); err != nil {
		web.Fail(w, r, err)
		return
	}
	for id, cell := range b.Mapping {
		if it := v.resource.Item(id); it != nil && cell >= 0 {
			v.items[cell] = it.Name
		}
	}
	rows, total, err := c.Intake.Problems(ctx, a, b.ID, whichProblems(v.list.Get("open"), v.list.Get("reason")), v.list.Order(), int64(v.list.Offset()), int64(v.list.Per))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.tallies, err = c.Intake.Tallies(ctx, b.ID); err != nil {
		web.Fail(w, r, err)
		return
	}
	v.rows, v.total = rows, int(total)
	ui.Render(w, r, problemsPage(v))
}

// whichProblems reads what an address takes of a batch's problem rows. A reason is
// a rule with the item that it was broken in: "required:i3", of a whole row "key:".
func whichProblems(open, reason string) quality.Which {
	code, item, _ := strings.Cut(reason, ":")
	return quality.Which{Open: open == "yes", Code: code, Item: item}
}

func (c *Console) problemFile(w http.ResponseWriter, r *http.Request) {
	ctx, q := r.Context(), r.URL.Query()
	b, format, write, err := c.Intake.ProblemFile(ctx, actor(r), r.PathValue("id"), tabular.Format(q.Get("format")), whichProblems(q.Get("open"), q.Get("reason")), web.Lang(ctx))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", format.ContentType())
	w.Header().Set("Content-Disposition", `attachment; filename="problems.`+string(format)+`"; filename*=UTF-8''`+url.PathEscape(b.ProblemName(format)))
	w.Header().Set("Cache-Control", "no-store")
	if err := write(ctx, w); err != nil {
		c.Log.Error("problem rows broke off", "id", web.ID(ctx), "err", err)
		panic(http.ErrAbortHandler) // a cut file must not look whole
	}
}
