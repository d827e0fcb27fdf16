package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/a-h/templ"

	"gongshu/identity"
	"gongshu/internal/web"
	"gongshu/ui"
)

// docsPath is where the page stands that reads the API's description and tries its
// operations. It is rendered on the server, so that it reads without a script.
const docsPath = "/api/docs"

func (a *API) routesDocs() {
	if a.Frame == nil {
		return
	}
	read := sync.OnceValues(func() ([]opGroup, error) {
		raw, err := a.huma.OpenAPI().MarshalJSON()
		if err != nil {
			return nil, err
		}
		return readOpenAPI(raw)
	})
	a.mux.HandleFunc("GET "+docsPath, func(w http.ResponseWriter, r *http.Request) {
		groups, err := read()
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		ctx := r.Context()
		v := docsView{base: web.Base(r), groups: groups}
		if a.Open != nil {
			v.slug = a.Open.Example(ctx)
		}
		if who := actorOf(ctx); who.Kind == identity.Person {
			v.person = strings.Join([]string{who.Name, who.BodyName, who.Post.Text().In(web.Lang(ctx))}, " · ")
		}
		ui.Render(w, r.WithContext(ui.WithFrame(ctx, a.Frame(r))), docsPage(v))
	})
}

type docsView struct {
	base   string // of addresses on this site
	groups []opGroup
	slug   string // of a dataset that samples can be tried with
	person string // who is logged in: what is sent without a key is sent in this name
}

// opGroup is the operations under one tag.
type opGroup struct {
	tag string
	ops []apiOp
}

// apiOp is one operation, as a reader needs it.
type apiOp struct {
	ID, Method, Path, Summary, Description string
	Open                                   bool // needs no key
	Params                                 []apiParam
	BodyKinds                              []string
	Example                                string // JSON body to begin with
	Answers                                []apiAnswer
}

type apiParam struct {
	Name, In, Type, Description, Default string
	Choices                              []string
	Required                             bool
}

type apiAnswer struct{ Status, Description string }

type schema struct {
	Type       any               `json:"type"`
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Enum       []any             `json:"enum"`
	OneOf      []schema          `json:"oneOf"`
	Examples   []any             `json:"examples"`
	Default    any               `json:"default"`
}

// readOpenAPI turns the OpenAPI document into what the page shows, by tag.
func readOpenAPI(raw []byte) ([]opGroup, error) {
	var doc struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]struct {
			OperationID string            `json:"operationId"`
			Summary     string            `json:"summary"`
			Description string            `json:"description"`
			Tags        []string          `json:"tags"`
			Security    *[]map[string]any `json:"security"`
			Parameters  []struct {
				Name        string `json:"name"`
				In          string `json:"in"`
				Description string `json:"description"`
				Required    bool   `json:"required"`
				Schema      schema `json:"schema"`
			} `json:"parameters"`
			RequestBody *struct {
				Content map[string]struct {
					Schema schema `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
			Responses map[string]struct {
				Description string `json:"description"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	byTag := map[string]*opGroup{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			o := apiOp{ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary, Description: op.Description}
			if op.Security != nil {
				o.Open = slices.ContainsFunc(*op.Security, func(s map[string]any) bool { return len(s) == 0 })
			}
			for _, q := range op.Parameters {
				param := apiParam{Name: q.Name, In: q.In, Type: typeWords(q.Schema), Description: q.Description, Required: q.Required}
				for _, choice := range q.Schema.Enum {
					param.Choices = append(param.Choices, fmt.Sprint(choice))
				}
				if q.Schema.Default != nil {
					param.Default = fmt.Sprint(q.Schema.Default)
				}
				o.Params = append(o.Params, param)
			}
			if op.RequestBody != nil {
				for kind, content := range op.RequestBody.Content {
					o.BodyKinds = append(o.BodyKinds, kind)
					if kind == "application/json" {
						if b, err := json.MarshalIndent(example(content.Schema, doc.Components.Schemas, 0), "", "  "); err == nil {
							o.Example = string(b)
						}
					}
				}
				slices.Sort(o.BodyKinds)
			}
			for status, answer := range op.Responses {
				o.Answers = append(o.Answers, apiAnswer{status, answer.Description})
			}
			slices.SortFunc(o.Answers, func(a, b apiAnswer) int { return strings.Compare(a.Status, b.Status) })
			tag := ""
			if len(op.Tags) > 0 {
				tag = op.Tags[0]
			}
			if byTag[tag] == nil {
				byTag[tag] = &opGroup{tag: tag}
			}
			byTag[tag].ops = append(byTag[tag].ops, o)
		}
	}
	var groups []opGroup
	for _, g := range byTag {
		slices.SortFunc(g.ops, func(a, b apiOp) int {
			if c := strings.Compare(a.Path, b.Path); c != 0 {
				return c
			}
			return strings.Compare(a.Method, b.Method)
		})
		groups = append(groups, *g)
	}
	// Open data comes first, then what else anybody may call.
	slices.SortFunc(groups, func(a, b opGroup) int {
		if first := (a.tag == "open") != (b.tag == "open"); first {
			if a.tag == "open" {
				return -1
			}
			return 1
		}
		if a.ops[0].Open != b.ops[0].Open {
			if a.ops[0].Open {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ops[0].Path, b.ops[0].Path)
	})
	return groups, nil
}

func typeWords(s schema) string {
	switch t := s.Type.(type) {
	case string:
		if t == "array" && s.Items != nil {
			return typeWords(*s.Items) + "[]"
		}
		return t
	case []any:
		if len(t) > 0 {
			if name, ok := t[0].(string); ok {
				return typeWords(schema{Type: name, Items: s.Items})
			}
		}
	}
	return ""
}

// example makes a body of the right shape to begin with: required fields, and
// the others where nothing is required.
func example(s schema, all map[string]schema, depth int) any {
	if depth > 6 {
		return nil
	}
	if s.Ref != "" {
		return example(all[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]], all, depth+1)
	}
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	if s.Default != nil {
		return s.Default
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch strings.TrimSuffix(typeWords(s), "[]") {
	case "object":
		out := map[string]any{}
		for name, field := range s.Properties {
			if strings.HasPrefix(name, "$") || (len(s.Required) > 0 && !slices.Contains(s.Required, name)) {
				continue
			}
			out[name] = example(field, all, depth+1)
		}
		return out
	case "integer", "number":
		return 0
	case "boolean":
		return false
	}
	if strings.HasSuffix(typeWords(s), "[]") {
		return []any{}
	}
	if s.Properties != nil {
		return example(schema{Type: "object", Properties: s.Properties, Required: s.Required}, all, depth+1)
	}
	return ""
}

var (
	han       = regexp.MustCompile(`\p{Han}`)
	zhThenEN  = regexp.MustCompile(`^(.*\p{Han}\S*)\s+([A-Za-z][^\p{Han}]*)$`)
	enThenZH  = regexp.MustCompile(`^([A-Za-z][^\p{Han}]*?)\s+(\S*\p{Han}.*)$`)
	separator = regexp.MustCompile(`\s+/\s+|\n\n`)
)

// inLang takes the part of a text of the API's description that is in the page's
// language: the document is one for both, so it carries both.
func inLang(ctx context.Context, text string) string {
	parts := separator.Split(text, -1)
	if len(parts) == 1 {
		if m := zhThenEN.FindStringSubmatch(text); m != nil {
			parts = m[1:]
		} else if m := enThenZH.FindStringSubmatch(text); m != nil {
			parts = m[1:]
		}
	}
	var out []string
	for _, part := range parts {
		if han.MatchString(part) != ui.English(ctx) {
			out = append(out, strings.TrimSpace(part))
		}
	}
	if len(out) == 0 {
		return text
	}
	return strings.Join(out, " ")
}

// tagWords names a group of operations.
func tagWords(ctx context.Context, tag string) string {
	if key := "portal.api_tag_" + tag; ui.HasWords(key) {
		return ui.T(ctx, key)
	}
	if tag == "" {
		return ui.T(ctx, "portal.api_tag_other")
	}
	return ui.Capital(inLang(ctx, tag))
}

func methodTone(method string) ui.Tone {
	switch method {
	case "GET":
		return ui.Good
	case "POST":
		return ui.Info
	}
	return ui.Warn
}

// opID is the anchor of an operation.
func opID(o apiOp) string {
	if o.ID != "" {
		return "op-" + o.ID
	}
	return "op-" + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(strings.ToLower(o.Method)+o.Path)
}

// field is a parameter as a field of the form that tries the operation. Its name
// says where it goes.
func (q apiParam) field(ctx context.Context, o apiOp, slug string) ui.Field {
	f := ui.Field{Name: q.In + ":" + q.Name, ID: opID(o) + "-" + q.Name, Label: q.Name, Required: q.Required, Third: true, Mono: true, Placeholder: q.Default}
	if q.Name == "slug" {
		f.Value = slug
	}
	for _, c := range q.Choices {
		f.Options = append(f.Options, ui.Option{Value: c, Label: c})
	}
	return f
}

// tryable says whether the page can send the operation: a body other than JSON is
// better sent by a program.
func (o apiOp) tryable() bool { return len(o.BodyKinds) == 0 || o.Example != "" }

// curl is the operation as a command to begin with.
func (o apiOp) curl(base, slug string) string {
	var b bytes.Buffer
	b.WriteString("curl")
	if o.Method != http.MethodGet {
		b.WriteString(" -X " + o.Method)
	}
	b.WriteString(" '" + base + strings.ReplaceAll(o.Path, "{slug}", cmp.Or(slug, "{slug}")) + "'")
	if !o.Open {
		b.WriteString(" \\\n  -H 'Authorization: Bearer KEY'")
	}
	for _, q := range o.Params {
		if q.In == "header" && q.Required {
			b.WriteString(" \\\n  -H '" + q.Name + ": …'")
		}
	}
	if o.Example != "" {
		var flat bytes.Buffer
		if json.Compact(&flat, []byte(o.Example)) == nil {
			b.WriteString(" \\\n  -H 'Content-Type: application/json' \\\n  -d '" + flat.String() + "'")
		}
	}
	return b.String()
}

func paramRows(ctx context.Context, o apiOp) []ui.Row {
	var rows []ui.Row
	for _, q := range o.Params {
		name := q.Name
		if q.Required {
			name += " *"
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Mono(name), ui.Text(ui.T(ctx, "portal.api_in_"+q.In)), ui.Text(q.Type), ui.Text(inLang(ctx, q.Description))}})
	}
	return rows
}
