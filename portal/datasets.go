package portal

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/internal/search"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/tabular"
	"gongshu/ui"
)

// routesDatasets registers the dataset list, the datasets and their files.
func (p *Portal) routesDatasets(mux *http.ServeMux) {
	if p.Open == nil {
		return
	}
	mux.HandleFunc("GET /datasets", p.datasets)
	mux.HandleFunc("GET /datasets/list.csv", p.exportDatasets)
	mux.HandleFunc("GET /datasets/{slug}", p.dataset)
	mux.HandleFunc("GET /datasets/{slug}/files/{format}", p.download)
}

// datasetSorts are the orders of the list; "relevance" is by the words, or by the
// last update without words.
var datasetSorts = []string{"relevance", "updated", "published", "downloads", "rows"}

func (p *Portal) datasets(w http.ResponseWriter, r *http.Request) {
	list, find := datasetList(r)
	found, err := p.Datasets.Find(r.Context(), find)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, datasetsPage(p, list, found))
}

// datasetList reads what the list's address asks for.
func datasetList(r *http.Request) (ui.List, opendata.Find) {
	list := ui.ParseList(r, ui.ListSpec{Sorts: datasetSorts, Default: "relevance", Filters: opendata.Facets})
	find := opendata.Find{Text: list.Q, Filters: map[string][]string{}, From: list.Offset(), Size: list.Per}
	// In the address "-rows" is the largest first, as in every list; the index counts
	// downwards without the sign.
	switch {
	case list.Sort == "relevance":
	case list.Desc:
		find.Sort = list.Sort
	default:
		find.Sort = "-" + list.Sort
	}
	for _, f := range opendata.Facets {
		if all := list.All(f); len(all) > 0 {
			find.Filters[f] = all
		}
	}
	return list, find
}

// maxExported is how many datasets an exported list holds.
const maxExported = 10_000

// exportDatasets writes the list as CSV that a spreadsheet opens: what the address
// filters and sorts, all pages of it.
func (p *Portal) exportDatasets(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_, find := datasetList(r)
	var columns []tabular.Column
	for _, name := range []string{"export_code", "export_title", "export_summary", "provider", "theme", "export_region", "facet_opening", "facet_cycle", "export_formats", "rows", "data_at", "export_downloads", "export_address"} {
		columns = append(columns, tabular.Column{Name: ui.T(ctx, "dataset."+name), Type: 'C'})
	}
	var out bytes.Buffer
	csv, err := tabular.NewCSVWriter(&out, columns, tabular.CSVOptions{BOM: true, Guard: true})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	block := tabular.NewBlock()
	find.Size = 500
	for find.From = 0; find.From < maxExported; find.From += find.Size {
		found, err := p.Datasets.Find(ctx, find)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		for i, h := range found.Hits {
			var formats []string
			for _, f := range h.Files {
				formats = append(formats, formatName(f.Format))
			}
			for _, cell := range []string{h.Code, h.Dataset.Title, h.Dataset.Summary, h.Provider, ui.Pick(ctx, h.ThemeName.ZH, h.ThemeName.EN), h.RegionName,
				ui.Pick(ctx, h.OpeningName.ZH, h.OpeningName.EN), cycleWords(ctx, h.Cycle), strings.Join(formats, " "), strconv.FormatInt(h.Rows, 10), dateOf(h.DataAt),
				strconv.FormatInt(h.Downloads, 10), web.Base(r) + "/datasets/" + h.Slug} {
				block.AddString(cell)
			}
			block.EndRow(int64(find.From + i + 1))
		}
		if err := csv.Write(block); err != nil {
			web.Fail(w, r, err)
			return
		}
		block.Reset()
		if len(found.Hits) < find.Size {
			break
		}
	}
	if err := csv.Close(); err != nil {
		web.Fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaType("csv"))
	h.Set("Content-Disposition", attachment(p.Brand.In(web.Lang(ctx))+" "+ui.T(ctx, "dataset.list")+".csv", "datasets.csv"))
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(out.Bytes())
}

// dateOf writes a day, nothing for none.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ui.Date(t)
}

// exports are the addresses of the list as files: for people, and for programs.
func exports(list ui.List) []ui.Link {
	pages := func(path, sort string) string {
		_, query, _ := strings.Cut(list.With("page", "", "per", "", "sort", sort), "?")
		if query != "" {
			path += "?" + query
		}
		return path
	}
	order, machine := "", "" // the API orders downwards without the sign
	if list.Sort != "relevance" {
		order, machine = list.Order(), list.Sort
		if !list.Desc {
			machine = "-" + list.Sort
		}
	}
	return []ui.Link{{Label: "CSV", Href: pages("/datasets/list.csv", order)}, {Label: "JSON", Href: pages("/api/v1/open/datasets", machine)}}
}

// facetOrders are the facets whose values have an order of their own; the others
// stand by how many datasets they have.
var facetOrders = map[string][]string{
	"cycle":   cycleOrder(),
	"quality": {opendata.OnTime, opendata.Late, opendata.Complete},
}

func cycleOrder() []string {
	var out []string
	for _, c := range catalog.Cycles {
		out = append(out, string(c))
	}
	return out
}

// datasetFacets words the counted values of each facet.
func (p *Portal) datasetFacets(ctx context.Context, found *opendata.Found) []ui.Facet {
	var out []ui.Facet
	for _, name := range opendata.Facets {
		f := ui.Facet{Name: name, Label: ui.T(ctx, "dataset.facet_"+name)}
		counts := found.Facets[name]
		if order := facetOrders[name]; order != nil {
			counts = slices.Clone(counts)
			slices.SortFunc(counts, func(a, b search.Count) int { return slices.Index(order, a.Value) - slices.Index(order, b.Value) })
		}
		for _, c := range counts {
			f.Values = append(f.Values, ui.FacetValue{Value: c.Value, Label: ui.Capital(p.facetLabel(ctx, name, c)), Count: c.N})
		}
		if len(f.Values) > 0 {
			out = append(out, f)
		}
	}
	return out
}

func (p *Portal) facetLabel(ctx context.Context, name string, c search.Count) string {
	switch name {
	case "theme":
		for _, t := range catalog.Themes() {
			if t.Key == c.Value {
				return ui.Pick(ctx, t.Text.ZH, t.Text.EN)
			}
		}
	case "format":
		return formatName(c.Value)
	case "opening":
		term := p.Profile.OpeningTerm(c.Value) // in the city's own words
		return ui.Pick(ctx, term.ZH, term.EN)
	case "quality":
		return ui.T(ctx, "dataset.quality_"+c.Value)
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
func (p *Portal) chosen(ctx context.Context, list ui.List) []ui.Link {
	var out []ui.Link
	if list.Q != "" {
		out = append(out, ui.Link{Label: "“" + list.Q + "”", Href: list.With("q", "")})
	}
	for _, name := range opendata.Facets {
		for _, v := range list.All(name) {
			out = append(out, ui.Link{Label: p.facetLabel(ctx, name, search.Count{Value: v}), Href: list.Toggle(name, v)})
		}
	}
	return out
}

// ordersFor are the orders to choose from: without words none is more relevant.
func ordersFor(list ui.List) []string {
	if list.Q == "" {
		return datasetSorts[1:]
	}
	return datasetSorts
}

// orderOf is the order that the list has.
func orderOf(list ui.List) string {
	if list.Q == "" && list.Sort == "relevance" {
		return "updated"
	}
	return list.Sort
}

// order is the direction in which an order is first wanted: the newest, the most
// used and the largest come first.
func order(sort string) string {
	if sort == "relevance" {
		return sort
	}
	return "-" + sort
}
