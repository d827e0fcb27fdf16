package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/internal/errs"
	"gongshu/internal/search"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// registerOpendata puts in the public API of open datasets, which asks for no key.
func (a *API) registerOpendata() {
	if a.Open == nil {
		return
	}
	public := []map[string][]string{{}}
	Register(a, huma.Operation{OperationID: "open-datasets", Method: http.MethodGet, Path: "/api/v1/open/datasets", Tags: []string{"open"}, Security: public,
		Summary: "查找开放数据集 / Find open datasets"}, a.openDatasets)
	Register(a, huma.Operation{OperationID: "open-dataset", Method: http.MethodGet, Path: "/api/v1/open/datasets/{slug}", Tags: []string{"open"}, Security: public,
		Summary: "数据集说明：数据项、文件、版本、许可 / A dataset: items, files, versions, licence"}, a.openDataset)
	a.declare(huma.Operation{OperationID: "open-rows", Method: http.MethodGet, Path: "/api/v1/open/datasets/{slug}/rows", Tags: []string{"open"}, Security: public,
		Summary:     "读取数据 / Rows of a dataset",
		Description: "filter=数据项:方式:值，可多次；方式 eq ne lt le gt ge in prefix contains null notnull，in 的值以 | 分开。\n\nfilter=item:op:value, repeatable; values of in are separated by |.",
		Parameters: []*huma.Param{
			{Name: "slug", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}, Description: slugWords},
			{Name: "limit", In: "query", Schema: &huma.Schema{Type: "integer", Default: 100}, Description: "返回行数，1–1000 / rows to give, 1–1000"},
			{Name: "offset", In: "query", Schema: &huma.Schema{Type: "integer", Default: 0}, Description: "跳过的行数 / rows to leave out at the beginning"},
			{Name: "filter", In: "query", Schema: &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}, Description: "筛选条件，须同时满足 / conditions that must all hold"},
			{Name: "fields", In: "query", Schema: &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}, Description: "数据项名称或代码，省略为全部 / names or codes of items, all where left out"},
		},
		Responses: answers("200", "返回 total、exact、version、limit、offset、next、fields、rows / total, exact, version, limit, offset, next, fields, rows", &huma.Schema{Type: "object"}),
	}, http.HandlerFunc(a.openRows))
}

// slugWords say where a dataset's name in addresses is found.
const slugWords = "数据集页面地址的最后一段 / last part of the address of the dataset's page"

type openListIn struct {
	Q        string   `query:"q" maxLength:"200" doc:"检索词 / words to look for"`
	Theme    []string `query:"theme,explode" doc:"主题代码，两位数字 / theme, two digits"`
	Provider []string `query:"provider,explode" doc:"提供部门名称 / name of the providing body"`
	Region   []string `query:"region,explode" doc:"地区名称 / name of the region"`
	Format   []string `query:"format,explode" doc:"格式：csv、xlsx、json、parquet、api / csv, xlsx, json, parquet, api"`
	Opening  []string `query:"opening,explode" doc:"开放类型：general 或 authorised / general or authorised"`
	Cycle    []string `query:"cycle,explode" doc:"更新频率：realtime 等 / realtime, daily, weekly, monthly, quarterly, half_yearly, yearly, irregular"`
	Quality  []string `query:"quality,explode" doc:"质量：on_time、late、complete / on_time, late, complete (at least 99 % of the cells)"`
	Sort     string   `query:"sort" doc:"排序：updated、published、downloads、rows，前加 - 为升序 / updated, published, downloads, rows; - before it for ascending"`
	Limit    int      `query:"limit" default:"20" minimum:"1" maximum:"100" doc:"返回个数，1–100 / datasets to give, 1–100"`
	Offset   int      `query:"offset" minimum:"0" maximum:"1000000" doc:"跳过的个数 / datasets to leave out at the beginning"`
}

type openListOut struct {
	Body struct {
		Total    int                    `json:"total"`
		Limit    int                    `json:"limit"`
		Offset   int                    `json:"offset"`
		Loose    bool                   `json:"loose,omitempty" doc:"no dataset has all the words; these are the nearest"`
		Facets   map[string][]openCount `json:"facets"`
		Datasets []openDatasetLine      `json:"datasets"`
	}
}

type openCount struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

type openDatasetLine struct {
	Slug      string `json:"slug"`
	Code      string `json:"code"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	Provider  string `json:"provider"`
	Theme     string `json:"theme"`
	Region    string `json:"region"`
	Opening   string `json:"opening"`
	Cycle     string `json:"cycle"`
	Version   int    `json:"version"`
	Rows      int64  `json:"rows"`
	DataAt    string `json:"data_at" format:"date-time"`
	Downloads int64  `json:"downloads"`
	Href      string `json:"href" doc:"the dataset's own address in this API"`
}

func (a *API) openDatasets(ctx context.Context, in *openListIn) (*openListOut, error) {
	find := opendata.Find{Text: in.Q, Sort: in.Sort, From: in.Offset, Size: in.Limit, Filters: map[string][]string{}}
	for name, values := range map[string][]string{"theme": in.Theme, "provider": in.Provider, "region": in.Region, "format": in.Format, "opening": in.Opening, "cycle": in.Cycle, "quality": in.Quality} {
		if len(values) > 0 {
			find.Filters[name] = values
		}
	}
	found, err := a.Datasets.Find(ctx, find)
	if err != nil {
		return nil, err
	}
	out := &openListOut{}
	out.Body.Total, out.Body.Limit, out.Body.Offset, out.Body.Loose = found.Total, in.Limit, in.Offset, found.Loose
	out.Body.Facets = map[string][]openCount{}
	for name, counts := range found.Facets {
		out.Body.Facets[name] = openCounts(counts)
	}
	out.Body.Datasets = []openDatasetLine{}
	for _, h := range found.Hits {
		out.Body.Datasets = append(out.Body.Datasets, openDatasetLine{Slug: h.Slug, Code: h.Code, Title: h.Dataset.Title, Summary: h.Dataset.Summary, Provider: h.Provider,
			Theme: h.Theme, Region: h.Region, Opening: string(h.Opening), Cycle: string(h.Cycle), Version: h.Version, Rows: h.Rows,
			DataAt: h.DataAt.UTC().Format("2006-01-02T15:04:05Z"), Downloads: h.Downloads, Href: "/api/v1/open/datasets/" + h.Slug})
	}
	return out, nil
}

func openCounts(counts []search.Count) []openCount {
	out := make([]openCount, 0, len(counts))
	for _, c := range counts {
		out = append(out, openCount{c.Value, c.N})
	}
	return out
}

type openDatasetIn struct {
	Slug string `path:"slug" maxLength:"100" doc:"数据集页面地址的最后一段 / last part of the address of the dataset's page"`
}

type openDatasetOut struct {
	Body struct {
		*opendata.Dataset
		Page  string     `json:"page" doc:"address of the page for people"`
		Links []openLink `json:"links" doc:"downloads of the newest version"`
	}
}

type openLink struct {
	Format string `json:"format"`
	Href   string `json:"href"`
}

func (a *API) openDataset(ctx context.Context, in *openDatasetIn) (*openDatasetOut, error) {
	d, err := a.Open.BySlug(ctx, in.Slug)
	if err != nil {
		return nil, err
	}
	if d.State == opendata.Withdrawn {
		_, _, err := a.Open.OpenFile(ctx, d, 0, "")
		return nil, err
	}
	out := &openDatasetOut{}
	out.Body.Dataset, out.Body.Page, out.Body.Links = d, "/datasets/"+d.Slug, []openLink{}
	for _, f := range d.Files {
		out.Body.Links = append(out.Body.Links, openLink{f.Format, "/datasets/" + d.Slug + "/files/" + f.Format})
	}
	return out, nil
}

// openRows writes rows as JSON with values typed as the items are; written by
// hand, for reflection over a thousand rows costs more than reading them.
func (a *API) openRows(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	d, err := a.Open.BySlug(ctx, r.PathValue("slug"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	values := r.URL.Query()
	q := opendata.RowsQuery{Limit: 100, Filters: values["filter"], Fields: values["fields"]}
	for name, into := range map[string]func(n int64){"limit": func(n int64) { q.Limit = int(n) }, "offset": func(n int64) { q.Offset = n }} {
		if s := values.Get(name); s != "" {
			n, err := strconv.ParseInt(s, 10, 32)
			if err != nil {
				web.Fail(w, r, errs.Newf(errs.Invalid, "%s 应为整数", "%s is an integer", name).In(name))
				return
			}
			into(n)
		}
	}
	page, err := a.Open.Rows(ctx, d, q)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	b := make([]byte, 0, 64<<10)
	b = append(b, `{"total":`...)
	b = strconv.AppendInt(b, page.Total, 10)
	b = append(b, `,"exact":`...)
	b = strconv.AppendBool(b, page.Exact)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(d.Version), 10)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, int64(q.Limit), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, q.Offset, 10)
	if len(page.Rows) == q.Limit {
		next := values
		next.Set("offset", strconv.FormatInt(q.Offset+int64(q.Limit), 10))
		b = append(b, `,"next":`...)
		b = tabular.AppendJSONString(b, r.URL.Path+"?"+next.Encode())
	}
	b = append(b, `,"fields":[`...)
	var keys [][]byte
	for i, it := range page.Items {
		if i > 0 {
			b = append(b, ',')
		}
		key := tabular.AppendJSONString(nil, it.Name)
		keys = append(keys, append(key, ':'))
		b = append(append(b, `{"name":`...), key...)
		b = tabular.AppendJSONString(append(b, `,"code":`...), it.Code)
		b = tabular.AppendJSONString(append(b, `,"type":`...), it.Type)
		b = append(b, '}')
	}
	b = append(b, `],"rows":[`...)
	for n, row := range page.Rows {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		for i, v := range row {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, keys[i]...)
			b = appendJSONValue(b, page.Columns[i], v)
		}
		b = append(b, '}')
	}
	b = append(b, "]}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*") // open data may be called from any page
	if _, err := w.Write(b); err == nil {
		a.Open.Count(d, 0, "api", int64(len(b)), a.Now())
	}
}

// appendJSONValue writes a cell: numbers bare, logicals as true and false, absent
// as null, all else as text.
func appendJSONValue(b []byte, c warehouse.Column, v warehouse.Value) []byte {
	switch {
	case v.IsNull():
		return append(b, "null"...)
	case c.Type == warehouse.Bool:
		return strconv.AppendBool(b, v.N != 0)
	case c.Type == warehouse.Integer || c.Type == warehouse.Decimal || c.Type == warehouse.Float:
		return c.Append(b, v)
	}
	return tabular.AppendJSONString(b, c.Format(v))
}
