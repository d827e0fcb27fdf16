package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/identity"
	"gongshu/internal/web"
	"gongshu/ui"
)

// The page to read the OpenAPI document and try its operations. It is rendered
// from the document on the server, so that it reads without a script; docs.js
// sends the requests. Nothing comes from elsewhere, nothing is inline.

//go:embed docs.js
var docsScript []byte

// DocsPath is where the page stands.
const DocsPath = "/api/docs"

func (a *API) registerDocs() {
	if a.Home == "" {
		return
	}
	a.mux.HandleFunc("GET "+DocsPath, a.docs)
	a.mux.HandleFunc("GET /api/docs.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(docsScript)
	})
}

// docOp is an operation as the page shows it.
type docOp struct {
	ID, Method, Path, Title, Text string
	Params                        []docParam
	Body                          string // example as JSON, "" without a body
	Stream                        bool
	Responses                     []docResponse
}

type docParam struct {
	In, Name, Text, Default string
	Required                bool
	Choices                 []string
}

type docResponse struct{ Status, Text string }

type docGroup struct {
	Tag string
	Ops []docOp
}

func (a *API) docs(w http.ResponseWriter, r *http.Request) {
	lang := web.Lang(r.Context())
	clauses := "/rules/"
	if a.Home != "/" {
		clauses = a.Home + "clauses/"
	}
	frame := &ui.Frame{Face: ui.Portal, City: a.City.In(lang), Brand: a.Brand.In(lang), Home: a.Home, ClauseBase: clauses, Path: r.URL.RequestURI(), Version: a.Version}
	r = r.WithContext(ui.WithFrame(r.Context(), frame))
	person := ""
	if who := actorOf(r.Context()); who.Kind == identity.Person {
		person = strings.Join([]string{who.Name, who.BodyName, who.Post.Text().In(lang)}, " · ")
	}
	ui.Render(w, r, docsPage(a.groups(lang), person))
}

// groups reads the document: operations by tag, in the order of their paths.
func (a *API) groups(lang string) []docGroup {
	api := a.huma.OpenAPI()
	paths := make([]string, 0, len(api.Paths))
	for p := range api.Paths {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	byTag := map[string]*docGroup{}
	var tags []string
	for _, p := range paths {
		item := api.Paths[p]
		for _, m := range []struct {
			name string
			op   *huma.Operation
		}{{"GET", item.Get}, {"POST", item.Post}, {"PUT", item.Put}, {"PATCH", item.Patch}, {"DELETE", item.Delete}} {
			if m.op == nil {
				continue
			}
			tag := "other"
			if len(m.op.Tags) > 0 {
				tag = m.op.Tags[0]
			}
			g := byTag[tag]
			if g == nil {
				g = &docGroup{Tag: tag}
				byTag[tag] = g
				tags = append(tags, tag)
			}
			g.Ops = append(g.Ops, docOperation(api, m.name, p, m.op, lang))
		}
	}
	// The data service first: it is what systems come for.
	slices.SortStableFunc(tags, func(x, y string) int {
		switch {
		case x == y:
			return 0
		case x == "data" || y != "data" && x < y:
			return -1
		}
		return 1
	})
	var out []docGroup
	for _, t := range tags {
		out = append(out, *byTag[t])
	}
	return out
}

func docOperation(api *huma.OpenAPI, method, path string, op *huma.Operation, lang string) docOp {
	d := docOp{ID: strings.NewReplacer("/", "-", "{", "", "}", "").Replace(strings.ToLower(method) + path), Method: method, Path: path,
		Title: inLang(op.Summary, " / ", lang), Text: inLang(op.Description, "\n\n", lang)}
	for _, p := range op.Parameters {
		dp := docParam{In: p.In, Name: p.Name, Text: inLang(p.Description, " / ", lang), Required: p.Required}
		if s := p.Schema; s != nil {
			for _, v := range s.Enum {
				dp.Choices = append(dp.Choices, fmt.Sprint(v))
			}
			if s.Default != nil {
				dp.Default = fmt.Sprint(s.Default)
			}
		}
		d.Params = append(d.Params, dp)
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content["application/json"]; media != nil {
			d.Body = exampleOf(api, media)
		} else {
			d.Stream = true
		}
	}
	for status, resp := range op.Responses {
		d.Responses = append(d.Responses, docResponse{status, inLang(resp.Description, " / ", lang)})
	}
	slices.SortFunc(d.Responses, func(x, y docResponse) int { return strings.Compare(x.Status, y.Status) })
	return d
}

// inLang picks a half of a text in two languages, Chinese first.
func inLang(s, between, lang string) string {
	zh, en, both := strings.Cut(s, between)
	if both && lang == web.English {
		return en
	}
	return zh
}

// exampleOf writes a body from a schema: every member, with a value of its type.
func exampleOf(api *huma.OpenAPI, media *huma.MediaType) string {
	value := media.Example
	if value == nil {
		value = sample(api, media.Schema, 0)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(value) != nil {
		return "{}"
	}
	return strings.TrimSpace(out.String())
}

func sample(api *huma.OpenAPI, s *huma.Schema, depth int) any {
	if s == nil || depth > 6 {
		return nil
	}
	if s.Ref != "" {
		if api.Components == nil || api.Components.Schemas == nil {
			return nil
		}
		return sample(api, api.Components.Schemas.SchemaFromRef(s.Ref), depth+1)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return sample(api, s.OneOf[0], depth+1)
	}
	switch s.Type {
	case "object":
		out := map[string]any{}
		for name, p := range s.Properties {
			if name != "$schema" {
				out[name] = sample(api, p, depth+1)
			}
		}
		return out
	case "array":
		return []any{sample(api, s.Items, depth+1)}
	case "integer", "number":
		return 1
	case "boolean":
		return true
	}
	return ""
}
