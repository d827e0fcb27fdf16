package portal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/ui"
)

func (p *Portal) dataset(w http.ResponseWriter, r *http.Request) {
	d, err := p.Open.BySlug(r.Context(), r.PathValue("slug"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	v := &datasetView{Dataset: d, portal: p, Address: web.Base(r) + "/datasets/" + d.Slug, API: web.Base(r) + "/api/v1/open/datasets/" + d.Slug}
	v.Due, v.Late = d.Punctuality(p.Now())
	use, err := p.Open.Use(r.Context(), d.ID, 90, p.Now())
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, u := range use {
		if u.Form == "api" {
			v.Calls += u.N
		} else {
			v.Downloads += u.N
		}
	}
	w.Header().Set("Link", `<`+v.API+`>; rel="alternate"; type="application/json"`)
	if d.State == opendata.Withdrawn {
		// The page stays to say so; its status tells machines that the data is gone.
		ui.RenderStatus(w, r, http.StatusGone, datasetPage(v))
		return
	}
	ui.Render(w, r, datasetPage(v))
}

// datasetView is what a dataset's page shows.
type datasetView struct {
	*opendata.Dataset
	portal           *Portal
	Address, API     string
	Due              time.Time
	Late             bool
	Downloads, Calls int64 // of the last 90 days
}

// FileHref is where a format of a version is downloaded.
func (v *datasetView) FileHref(format string, version int) string {
	href := "/datasets/" + v.Slug + "/files/" + format
	if version != v.Version {
		href += "?version=" + strconv.Itoa(version)
	}
	return href
}

func (v *datasetView) cite(ctx context.Context) string {
	brand := v.portal.Brand.In(web.Lang(ctx))
	t := v.Cite(brand, v.Address, v.portal.Now())
	return ui.Pick(ctx, t.ZH, t.EN)
}

func typeWords(ctx context.Context, t catalog.ItemType) string {
	return ui.T(ctx, "dataset.type_"+string(t))
}

// share is the part of rows that have a value.
func (v *datasetView) share(n int64) string {
	if v.Rows == 0 {
		return "—"
	}
	return ui.Percent(float64(n) / float64(v.Rows))
}

// rangeOf words the extent of a column's values.
func rangeOf(ctx context.Context, p opendata.Profile) string {
	switch {
	case p.Min != "" && p.Max != "":
		s := grouped(p.Min) + " – " + grouped(p.Max)
		if p.Mean != "" {
			s += ui.T(ctx, "dataset.mean", "Mean", grouped(p.Mean))
		}
		return s
	case len(p.Top) > 0:
		var parts []string
		for i, c := range p.Top {
			if i == 3 {
				parts = append(parts, "…")
				break
			}
			parts = append(parts, ui.T(ctx, "dataset.value_n", "Value", labelOf(c), "N", ui.Num(c.N)))
		}
		return strings.Join(parts, ui.T(ctx, "dataset.and"))
	}
	return "—"
}

// grouped puts thousands separators into a number and leaves all else, dates for
// instance, as it is.
func grouped(s string) string {
	whole, fraction, point := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.HasPrefix(s, "-0") {
		return s
	}
	if point {
		return ui.Num(n) + "." + fraction
	}
	return ui.Num(n)
}

func labelOf(c opendata.Count) string {
	if c.Label != "" {
		return c.Label
	}
	return c.Value
}

// shown words a preview's cell: yes and no as the column's profile names them.
func shown(it opendata.Item, cell string) string {
	if it.Type == catalog.Logical {
		for _, c := range it.Profile.Top {
			if c.Value == cell {
				return labelOf(c)
			}
		}
	}
	return cell
}

// maskWords words how an item was desensitised.
func maskWords(ctx context.Context, spec string) string {
	name, _, _ := strings.Cut(spec, ":")
	return ui.T(ctx, "dataset.mask_"+name)
}

// samples are ways to call the API, with a filter that fits the data.
func (v *datasetView) samples() []sample {
	rows := v.API + "/rows?limit=5"
	for _, it := range v.Items {
		if len(it.Profile.Top) > 0 && it.Code != "" {
			rows += "&filter=" + it.Code + ":eq:" + url.QueryEscape(it.Profile.Top[0].Value)
			break
		}
	}
	return []sample{
		{"curl", "curl '" + rows + "'"},
		{"Python", "import json, urllib.request\n\nwith urllib.request.urlopen('" + rows + "') as answer:\n    for row in json.load(answer)['rows']:\n        print(row)"},
		{"R", "library(jsonlite)\nrows <- fromJSON('" + rows + "')$rows"},
		{"JavaScript", "const answer = await fetch('" + rows + "');\nconst { rows } = await answer.json();"},
	}
}

type sample struct{ Name, Text string }

func (v *datasetView) tryHref() string {
	_, after, _ := strings.Cut(v.API, "/api/")
	return "/api/" + after + "/rows?limit=5"
}

// jsonLD describes the dataset in schema.org's words, for search engines that
// list datasets.
func (v *datasetView) jsonLD(ctx context.Context) templ.Component {
	doc := map[string]any{
		"@context": "https://schema.org/", "@type": "Dataset", "@id": v.Address, "url": v.Address,
		"name": v.Title, "description": v.Summary, "identifier": v.Code, "inLanguage": "zh-CN",
		"keywords": append([]string{v.ThemeName.ZH}, v.Tags...), "version": strconv.Itoa(v.Version),
		"isAccessibleForFree": v.Kind == opendata.Data, "license": base2(v.Address) + "/conduct",
		"creator":       map[string]any{"@type": "GovernmentOrganization", "name": v.Provider, "identifier": v.ProviderUSCC},
		"publisher":     map[string]any{"@type": "Organization", "name": v.portal.Brand.ZH},
		"datePublished": ui.Date(v.FirstAt), "dateModified": ui.Date(v.DataAt),
		"includedInDataCatalog": map[string]any{"@type": "DataCatalog", "name": v.portal.Brand.ZH, "url": base2(v.Address)},
	}
	if v.RegionName != "" {
		doc["spatialCoverage"] = map[string]any{"@type": "Place", "name": v.RegionName, "identifier": v.Region}
	}
	var variables []any
	for _, it := range v.Items {
		variables = append(variables, map[string]any{"@type": "PropertyValue", "name": it.Name, "alternateName": it.Code, "description": it.Description})
	}
	doc["variableMeasured"] = variables
	var files []any
	for _, f := range v.Files {
		files = append(files, map[string]any{"@type": "DataDownload", "name": f.Name, "encodingFormat": mediaType(f.Format),
			"contentUrl": base2(v.Address) + v.FileHref(f.Format, v.Version), "contentSize": strconv.FormatInt(f.Size, 10) + " B", "sha256": f.SHA256})
	}
	if files != nil {
		doc["distribution"] = files
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // escapes <, > and &, so that no text can end the element
	if err := enc.Encode(doc); err != nil {
		return templ.NopComponent
	}
	return templ.Raw(`<script type="application/ld+json">` + strings.TrimSpace(b.String()) + `</script>`)
}

// base2 is the site's address in front of a dataset's.
func base2(address string) string {
	before, _, _ := strings.Cut(address, "/datasets/")
	return before
}

func (p *Portal) download(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	d, err := p.Open.BySlug(ctx, r.PathValue("slug"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	version := 0
	if v := r.URL.Query().Get("version"); v != "" {
		if version, err = strconv.Atoi(v); err != nil || version < 1 {
			web.Fail(w, r, errs.Newf(errs.Invalid, "版本应为正整数", "a version is a positive number").In("version"))
			return
		}
	}
	format := r.PathValue("format")
	file, meta, err := p.Open.OpenFile(ctx, d, version, format)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	defer file.Close()
	h := w.Header()
	h.Set("Content-Type", mediaType(format))
	h.Set("Content-Disposition", attachment(meta.Name, d.Slug+"."+format))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+meta.SHA256+`"`)
	h.Set("Repr-Digest", "sha-256=:"+base64Of(meta.SHA256)+":")
	// The newest version changes; a numbered one never does.
	if version > 0 {
		h.Set("Cache-Control", "public, max-age=86400")
	} else {
		h.Set("Cache-Control", "public, no-cache")
	}
	modified := d.PublishedAt
	for _, v := range d.Versions {
		if v.Version == version {
			modified = v.At
		}
	}
	counted := &countedWriter{ResponseWriter: w}
	http.ServeContent(counted, r, "", modified, file)
	// A resumed part is no second download, and a look at the head none at all.
	if r.Method == http.MethodGet && counted.status/100 == 2 && counted.bytes > 0 && !strings.HasPrefix(counted.Header().Get("Content-Range"), "bytes ") ||
		counted.status == http.StatusPartialContent && strings.HasPrefix(counted.Header().Get("Content-Range"), "bytes 0-") {
		p.Open.Count(d, version, format, counted.bytes, p.Now())
	}
}

// countedWriter notes what was sent, and keeps the way from file to socket that
// the system offers.
type countedWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *countedWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countedWriter) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom lets the system send a file without copying it, where the server can.
func (c *countedWriter) ReadFrom(r io.Reader) (int64, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes += n
	return n, err
}

func mediaType(format string) string {
	switch format {
	case "csv":
		return "text/csv; charset=utf-8; header=present"
	case "json":
		return "application/json"
	case "xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case "parquet":
		return "application/vnd.apache.parquet"
	}
	return "application/octet-stream"
}

// attachment names a file for saving: an ASCII name for old clients, the Chinese
// one by RFC 5987.
func attachment(name, plain string) string {
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, plain, escape5987(name))
}

func escape5987(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func base64Of(hexDigits string) string {
	b, err := hex.DecodeString(hexDigits)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (v *datasetView) badges(ctx context.Context) []ui.BadgeInfo {
	out := []ui.BadgeInfo{{Tone: ui.StateTone("opening", string(v.Opening)), Text: ui.Pick(ctx, v.OpeningName.ZH, v.OpeningName.EN)}}
	if v.State == opendata.Withdrawn {
		out = append(out, ui.BadgeInfo{Tone: ui.Bad, Text: ui.StateWords(ctx, "dataset", "withdrawn")})
	} else if v.Kind == opendata.Data {
		out = append(out, ui.BadgeInfo{Text: ui.T(ctx, "dataset.version_n", "N", strconv.Itoa(v.Version))})
	}
	for _, t := range v.Tags {
		out = append(out, ui.BadgeInfo{Text: t, Icon: "tag"})
	}
	return out
}

func (v *datasetView) fileRows(ctx context.Context) []ui.Row {
	var rows []ui.Row
	for _, f := range v.Files {
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Sub(formatName(f.Format), v.formatHelp(ctx, f.Format)), ui.Text(ui.Bytes(f.Size)), ui.Mono(f.SHA256), downloadButton(v, f)}})
	}
	return rows
}

// formatName is a format as its makers write it.
func formatName(format string) string {
	if format == "parquet" {
		return "Parquet"
	}
	return strings.ToUpper(format)
}

// formatHelp says what a format is good for. A spreadsheet that opens CSV takes
// codes for numbers: it drops leading zeros and the digits beyond fifteen.
func (v *datasetView) formatHelp(ctx context.Context, format string) string {
	if format == "csv" && v.fragile() {
		return ui.T(ctx, "dataset.format_csv_codes")
	}
	return ui.T(ctx, "dataset.format_"+format)
}

// fragile reports whether the data has codes that a spreadsheet would spoil: text
// of digits only that begins with 0 or is longer than the eleven it shows whole.
func (v *datasetView) fragile() bool {
	for i, it := range v.Items {
		if it.Type != catalog.Char {
			continue
		}
		for _, row := range v.Preview {
			if s := row[i]; len(s) > 1 && strings.Trim(s, "0123456789") == "" && (s[0] == '0' || len(s) > 11) {
				return true
			}
		}
	}
	return false
}

func (v *datasetView) previewColumns() []ui.Column {
	var out []ui.Column
	for _, it := range v.Items {
		c := ui.Column{Title: it.Name}
		switch it.Type {
		case catalog.Numeric, catalog.Money, catalog.Integer, catalog.Double, catalog.Float:
			c.Align = ui.End
		}
		out = append(out, c)
	}
	return out
}

func (v *datasetView) previewRows() []ui.Row {
	var rows []ui.Row
	for _, r := range v.Preview {
		row := ui.Row{}
		for i, cell := range r {
			row.Cells = append(row.Cells, ui.Text(shown(v.Items[i], cell)))
		}
		rows = append(rows, row)
	}
	return rows
}

func (v *datasetView) itemsLead(ctx context.Context) string {
	lead := ui.T(ctx, "dataset.items_n", "Count", len(v.Items))
	if v.Omitted > 0 {
		lead += ui.T(ctx, "dataset.omitted_n", "Count", v.Omitted)
	}
	return lead
}

func (v *datasetView) itemColumns(ctx context.Context) []ui.Column {
	out := []ui.Column{{Title: ui.T(ctx, "dataset.item"), Main: true}, {Title: ui.T(ctx, "dataset.type")}}
	if v.Live() {
		out = append(out, ui.Column{Title: ui.T(ctx, "dataset.present"), Align: ui.End}, ui.Column{Title: ui.T(ctx, "dataset.distinct"), Align: ui.End}, ui.Column{Title: ui.T(ctx, "dataset.values")})
	} else {
		out = append(out, ui.Column{Title: ui.T(ctx, "dataset.description")})
	}
	return out
}

func (v *datasetView) itemRows(ctx context.Context) []ui.Row {
	var rows []ui.Row
	for _, it := range v.Items {
		sub := it.Code
		if it.Description != "" && v.Live() {
			sub += " · " + it.Description
		}
		kind := typeWords(ctx, it.Type)
		if it.Length > 0 {
			kind += " " + strconv.Itoa(it.Length)
		}
		row := ui.Row{Cells: []templ.Component{ui.Sub(it.Name, sub), ui.Sub(kind, it.CodeList)}}
		if v.Live() {
			row.Cells = append(row.Cells, ui.Text(v.share(it.Profile.Present)), ui.Number(it.Profile.Distinct, ""), topValues(it, rangeOf(ctx, it.Profile)))
		} else {
			row.Cells = append(row.Cells, ui.Text(it.Description))
		}
		rows = append(rows, row)
	}
	return rows
}

// shownVersions is how many versions the page lists before it folds the rest.
const shownVersions = 5

func (v *datasetView) versionRows(ctx context.Context, versions []opendata.Version) []ui.Row {
	var rows []ui.Row
	for _, version := range versions {
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Sub(ui.T(ctx, "dataset.version_n", "N", strconv.Itoa(version.Version)), ui.T(ctx, "dataset.catalog_version", "N", strconv.Itoa(version.CatalogVersion))),
			ui.Text(ui.DateTime(version.At)), ui.Number(version.Rows, ""), fileLinks(v, version)}})
	}
	return rows
}

func (v *datasetView) facts(ctx context.Context) []ui.Term {
	t := func(label string, value string) ui.Term {
		return ui.Term{Label: ui.T(ctx, "dataset."+label), Value: ui.Text(value)}
	}
	out := []ui.Term{
		{Label: ui.T(ctx, "dataset.provider"), Value: ui.Anchor(v.Provider, "/datasets?provider="+url.QueryEscape(v.Provider), v.ProviderUSCC)},
		{Label: ui.T(ctx, "dataset.theme"), Value: ui.Anchor(ui.Pick(ctx, v.ThemeName.ZH, v.ThemeName.EN), "/datasets?theme="+url.QueryEscape(v.Theme), "")},
		t("region", v.RegionName),
		{Label: ui.T(ctx, "dataset.cycle"), Value: ui.Text(cycleWords(ctx, v.Cycle)), Clause: "FZO-25"},
	}
	if v.Kind == opendata.Data && v.State == opendata.Published {
		out = append(out, t("rows", ui.Num(v.Rows)), t("complete", ui.Percent(v.Completeness())), t("data_at", ui.DateTime(v.DataAt)),
			ui.Term{Label: ui.T(ctx, "dataset.punctuality"), Value: punctuality(v)})
	}
	out = append(out, t("first_at", ui.Date(v.FirstAt)))
	if v.Desensitised != "" {
		out = append(out, ui.Term{Label: ui.T(ctx, "dataset.desensitised"), Value: ui.Text(v.Desensitised), Clause: "FZO-24"})
	}
	if v.Kind == opendata.Data {
		out = append(out, t("downloads_90", ui.Num(v.Downloads)), t("calls_90", ui.Num(v.Calls)))
	}
	return out
}

func (v *datasetView) versionsLead(ctx context.Context) string {
	if v.State == opendata.Withdrawn {
		return ""
	}
	return ui.T(ctx, "dataset.versions_lead")
}
