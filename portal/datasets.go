package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gongshu/catalog"
	"gongshu/internal/search"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/ui"
)

// routesDatasets registers the dataset list, the datasets and their files.
func (p *Portal) routesDatasets(mux *http.ServeMux) {
	if p.Open == nil {
		return
	}
	mux.HandleFunc("GET /datasets", p.datasets)
	mux.HandleFunc("GET /datasets/{slug}", p.dataset)
	mux.HandleFunc("GET /datasets/{slug}/files/{format}", p.download)
}

// datasetSorts are the orders of the list; "relevance" is by the words, or by the
// last update without words.
var datasetSorts = []string{"relevance", "updated", "published", "downloads", "rows"}

func (p *Portal) datasets(w http.ResponseWriter, r *http.Request) {
	list := ui.ParseList(r, ui.ListSpec{Sorts: datasetSorts, Default: "relevance", Filters: opendata.Facets})
	find := opendata.Find{Text: list.Q, Filters: map[string][]string{}, Sort: list.Order(), From: list.Offset(), Size: list.Per}
	if list.Sort == "relevance" {
		find.Sort = ""
	}
	for _, f := range opendata.Facets {
		if all := list.All(f); len(all) > 0 {
			find.Filters[f] = all
		}
	}
	found, err := p.Datasets.Find(r.Context(), find)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, datasetsPage(p, list, found))
}

// datasetFacets words the counted values of each facet.
func datasetFacets(ctx context.Context, found *opendata.Found) []ui.Facet {
	var out []ui.Facet
	for _, name := range opendata.Facets {
		f := ui.Facet{Name: name, Label: ui.T(ctx, "dataset.facet_"+name)}
		for _, c := range found.Facets[name] {
			f.Values = append(f.Values, ui.FacetValue{Value: c.Value, Label: facetLabel(ctx, name, c), Count: c.N})
		}
		if len(f.Values) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func facetLabel(ctx context.Context, name string, c search.Count) string {
	switch name {
	case "theme":
		for _, t := range catalog.Themes() {
			if t.Key == c.Value {
				return ui.Pick(ctx, t.Text.ZH, t.Text.EN)
			}
		}
	case "format":
		return strings.ToUpper(c.Value)
	case "opening":
		return ui.StateWords(ctx, "opening", c.Value)
	case "cycle":
		return cycleWords(ctx, catalog.Cycle(c.Value))
	}
	if c.Value == "" {
		return ui.T(ctx, "dataset.none")
	}
	return c.Value
}

func cycleWords(ctx context.Context, c catalog.Cycle) string {
	if c == "" || !slices.Contains(catalog.Cycles, c) {
		return ui.T(ctx, "dataset.none")
	}
	return ui.T(ctx, "dataset.cycle_"+string(c))
}

// chosen lists what the list is narrowed by, each with the address without it.
func chosen(ctx context.Context, list ui.List) []ui.Link {
	var out []ui.Link
	if list.Q != "" {
		out = append(out, ui.Link{Label: "“" + list.Q + "”", Href: list.With("q", "")})
	}
	for _, name := range opendata.Facets {
		for _, v := range list.All(name) {
			out = append(out, ui.Link{Label: facetLabel(ctx, name, search.Count{Value: v}), Href: list.Toggle(name, v)})
		}
	}
	return out
}

// order is the direction in which an order is first wanted: the newest, the most
// used and the largest come first.
func order(sort string) string {
	if sort == "relevance" {
		return sort
	}
	return "-" + sort
}
