package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
)

// maxResource bounds a resource's JSON: 1,600 items with their codes fit.
const maxResource = 8 << 20

// CatalogLine is a resource in a list.
type CatalogLine struct {
	Code       string `json:"code" doc:"with its slash; in addresses the slash is written -"`
	Name       string `json:"name"`
	Summary    string `json:"summary,omitempty"`
	Kind       string `json:"kind"`
	Provider   string `json:"provider"`
	Body       string `json:"body" doc:"id of the providing body"`
	Theme      string `json:"theme,omitempty"`
	Region     string `json:"region,omitempty"`
	Sharing    string `json:"sharing,omitempty"`
	Opening    string `json:"opening,omitempty"`
	Cycle      string `json:"cycle,omitempty"`
	Grade      int    `json:"grade,omitempty"`
	Version    int    `json:"version"`
	State      string `json:"state"`
	Items      int    `json:"items"`
	Updated    string `json:"updated,omitempty" doc:"RFC 3339"`
	ExistsOnly bool   `json:"exists_only,omitempty" doc:"the resource is known to exist only: it can be neither applied for nor seen (FS-12)"`
}

// CatalogChoice is a value of a facet.
type CatalogChoice struct {
	Value string `json:"value"`
	Count int    `json:"count"`
	On    bool   `json:"on,omitempty" doc:"chosen in the query"`
}

type catalogOut struct {
	Body struct {
		Total     int                        `json:"total"`
		Limit     int                        `json:"limit"`
		Offset    int                        `json:"offset"`
		Resources []CatalogLine              `json:"resources"`
		Facets    map[string][]CatalogChoice `json:"facets" doc:"values of each facet with how many of the resources found have them"`
	}
}

type resourceOut struct{ Body *catalog.Resource }

type versionsOut struct {
	Body struct {
		Versions []*catalog.Resource `json:"versions"`
	}
}

type diffOut struct {
	Body struct {
		From        int                  `json:"from"`
		To          int                  `json:"to"`
		Differences []catalog.Difference `json:"differences"`
	}
}

var resourceType = reflect.TypeFor[catalog.Resource]()

// resourceSchema puts a resource and its parts into the document, for answers and bodies alike: a body
// may leave out whatever the platform gives or a draft still lacks, so no field is required.
func (a *API) resourceSchema() *huma.Schema {
	registry := a.huma.OpenAPI().Components.Schemas
	resource := registry.Schema(resourceType, true, "")
	for name, s := range registry.Map() {
		if strings.HasPrefix(name, resourceType.Name()) && registry.TypeFromRef("#/components/schemas/"+name).PkgPath() == resourceType.PkgPath() {
			s.Required = nil
		}
	}
	s := registry.SchemaFromRef(resource.Ref)
	s.Description = "Metadata and items of a resource: docs/catalog-api.md. What the platform gives (id, code, version, state, case, decisions) is ignored in a body, but for revision."
	for _, field := range []string{"kind", "state", "sharing", "opening", "cycle"} {
		for _, n := range catalog.List(field) {
			s.Properties[field].Enum = append(s.Properties[field].Enum, n.Key)
		}
		s.Properties[field].Enum = append(s.Properties[field].Enum, "") // a draft lacks it yet
	}
	return resource
}

// CatalogCode is the resource in an address.
type CatalogCode struct {
	Code string `path:"code" doc:"resource code, its slash written -"`
}

// registerCatalog puts in the operations of the catalog.
func (a *API) registerCatalog() {
	if a.Catalog == nil {
		return
	}
	tags := []string{"Catalog 目录"}
	schema := a.resourceSchema()
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/catalog", Tags: tags, OperationID: "searchCatalog", Summary: "检索目录 Search the catalog",
		Description: "share: what is in force, as departments see it; open: what is open to the public, and all that a visitor finds; work: the newest versions of the own body, drafts included."},
		func(ctx context.Context, in *struct {
			Q         string   `query:"q" maxLength:"100" required:"false"`
			View      string   `query:"view" enum:"share,open,work" default:"share" required:"false"`
			Sort      string   `query:"sort" enum:"updated,-updated,published,-published" required:"false"`
			Limit     int      `query:"limit" minimum:"1" maximum:"200" default:"20" required:"false"`
			Offset    int      `query:"offset" minimum:"0" maximum:"1000000" required:"false"`
			Kind      []string `query:"kind" required:"false"`
			Theme     []string `query:"theme" required:"false"`
			Providers []string `query:"body" required:"false" doc:"ids of bodies"`
			Sharing   []string `query:"sharing" required:"false"`
			Opening   []string `query:"opening" required:"false"`
			Cycle     []string `query:"cycle" required:"false"`
			Grade     []string `query:"grade" required:"false"`
			State     []string `query:"state" required:"false"`
		}) (*catalogOut, error) {
			q := catalog.SearchQuery{View: catalog.View(in.View), Text: in.Q, Sort: in.Sort, Offset: in.Offset, Limit: in.Limit, Filters: map[string][]string{}}
			for name, values := range map[string][]string{"kind": in.Kind, "theme": in.Theme, "body": in.Providers, "sharing": in.Sharing, "opening": in.Opening, "cycle": in.Cycle, "grade": in.Grade, "state": in.State} {
				if len(values) > 0 {
					q.Filters[name] = values
				}
			}
			found, err := a.Catalog.Search(ctx, actorOf(ctx), q)
			if err != nil {
				return nil, err
			}
			out := &catalogOut{}
			out.Body.Total, out.Body.Limit, out.Body.Offset = found.Total, in.Limit, in.Offset
			out.Body.Facets, out.Body.Resources = map[string][]CatalogChoice{}, []CatalogLine{}
			for name, values := range found.Facets {
				for _, v := range values {
					out.Body.Facets[name] = append(out.Body.Facets[name], CatalogChoice{Value: v.Value, Count: v.N, On: v.On})
				}
			}
			for _, h := range found.Hits {
				out.Body.Resources = append(out.Body.Resources, lineOf(h.Data.(catalog.Row)))
			}
			return out, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/catalog/{code}", Tags: tags, OperationID: "getResource", Summary: "资源元数据与信息项 One resource",
		Description: "The version in force as the caller may see it; with version any version that the caller may see."},
		func(ctx context.Context, in *struct {
			CatalogCode
			Version int `query:"version" minimum:"1" required:"false"`
		}) (*resourceOut, error) {
			r, err := a.resource(ctx, in.Code, in.Version)
			if err != nil {
				return nil, err
			}
			return &resourceOut{Body: r}, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/catalog/{code}/versions", Tags: tags, OperationID: "listVersions", Summary: "资源的各版本 Versions of a resource"},
		func(ctx context.Context, in *CatalogCode) (*versionsOut, error) {
			if _, err := a.resource(ctx, in.Code, 0); err != nil {
				return nil, err
			}
			all, err := a.Catalog.Versions(ctx, in.Code)
			if err != nil {
				return nil, err
			}
			out := &versionsOut{}
			out.Body.Versions = []*catalog.Resource{}
			for _, r := range all {
				if mayRead(actorOf(ctx), r) {
					out.Body.Versions = append(out.Body.Versions, r)
				}
			}
			return out, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/catalog/{code}/diff", Tags: tags, OperationID: "diffVersions", Summary: "两个版本的差异 What changed between two versions"},
		func(ctx context.Context, in *struct {
			CatalogCode
			From int `query:"from" minimum:"1" required:"true"`
			To   int `query:"to" minimum:"1" required:"true"`
		}) (*diffOut, error) {
			from, err := a.resource(ctx, in.Code, in.From)
			if err != nil {
				return nil, err
			}
			to, err := a.resource(ctx, in.Code, in.To)
			if err != nil {
				return nil, err
			}
			out := &diffOut{}
			out.Body.From, out.Body.To, out.Body.Differences = in.From, in.To, append([]catalog.Difference{}, catalog.Diff(from, to)...)
			return out, nil
		})

	str := &huma.Schema{Type: "string"}
	codeParam := &huma.Param{Name: "code", In: "path", Required: true, Description: "Resource code, its slash written -.", Schema: str}
	resourceBody := &huma.RequestBody{Description: "The resource's metadata and items. What the platform gives (id, code, version, state, decisions) is ignored.", Required: true,
		Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	a.declare(huma.Operation{OperationID: "createResource", Method: http.MethodPost, Path: "/api/v1/catalog", Tags: tags, Summary: "登记资源（草稿） Register a resource as a draft",
		RequestBody: resourceBody, Responses: answers("201", "The draft with its code.", schema)}, a.catalogWrite(http.StatusCreated, func(r *http.Request, in catalog.Resource) (*catalog.Resource, error) {
		return a.Catalog.Create(r.Context(), actorOf(r.Context()), in)
	}))
	a.declare(huma.Operation{OperationID: "saveResource", Method: http.MethodPut, Path: "/api/v1/catalog/{code}", Tags: tags, Summary: "修改草稿 Save a draft",
		Description: "revision in the body, when above 0, must be that of the version read: a change made in between is refused with 409.",
		Parameters:  []*huma.Param{codeParam}, RequestBody: resourceBody, Responses: answers("200", "The draft as kept.", schema)}, a.catalogWrite(http.StatusOK, func(r *http.Request, in catalog.Resource) (*catalog.Resource, error) {
		return a.Catalog.Save(r.Context(), actorOf(r.Context()), catalog.AddressOf{Code: r.PathValue("code"), Revision: in.Revision}, in)
	}))
	for _, step := range []struct {
		name, zh, en string
		run          func(ctx context.Context, who identity.Actor, at catalog.AddressOf) (*catalog.Resource, error)
	}{
		{"submit", "送签：部门签核、保密审查、主管部门审核后发布", "Submit: the department signs and clears it, the authority reviews and so publishes it", a.Catalog.Submit},
		{"recall", "收回", "Take back", a.Catalog.Recall},
		{"revise", "变更：以在用版本为底稿起草新版本", "Begin a new version with the one in force as its draft", func(ctx context.Context, who identity.Actor, at catalog.AddressOf) (*catalog.Resource, error) {
			return a.Catalog.Revise(ctx, who, at.Code)
		}},
	} {
		Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/catalog/{code}/" + step.name, Tags: tags, OperationID: step.name + "Resource", Summary: step.zh + " " + step.en},
			func(ctx context.Context, in *CatalogCode) (*resourceOut, error) {
				r, err := step.run(ctx, actorOf(ctx), catalog.AddressOf{Code: in.Code})
				if err != nil {
					return nil, err
				}
				return &resourceOut{Body: r}, nil
			})
	}
	binary := map[string]*huma.MediaType{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	a.declare(huma.Operation{OperationID: "getWorkbook", Method: http.MethodGet, Path: "/api/v1/catalog-workbook", Tags: tags, Summary: "目录编制表模板 The catalog workbook's template",
		Responses: map[string]*huma.Response{"200": {Description: "XLSX with instructions, headings and drop-downs.", Content: binary}}}, http.HandlerFunc(a.workbookTemplate))
	a.declare(huma.Operation{OperationID: "importWorkbook", Method: http.MethodPost, Path: "/api/v1/catalog-workbook", Tags: tags, Summary: "上传目录编制表 Register many resources from a workbook",
		Description: "All resources are registered as drafts, or none. Faults name sheet and cell in problems[].field. dry_run=true reads and checks only.",
		Parameters:  []*huma.Param{{Name: "dry_run", In: "query", Schema: &huma.Schema{Type: "boolean"}}, {Name: "name", In: "query", Description: "File name, shown in the history.", Schema: str}},
		RequestBody: &huma.RequestBody{Required: true, Content: binary},
		Responses:   map[string]*huma.Response{"200": {Description: "What was read; codes when registered."}}}, http.HandlerFunc(a.importWorkbook))
}

func lineOf(r catalog.Row) CatalogLine {
	l := CatalogLine{Code: r.Code, Name: r.Name, Summary: r.Summary, Kind: string(r.Kind), Provider: r.BodyName, Body: r.Body, Theme: r.Theme, Region: r.Region, Sharing: string(r.Sharing),
		Opening: string(r.Opening), Cycle: string(r.Cycle), Grade: r.Grade, Version: r.Version, State: string(r.State), Items: r.Items, ExistsOnly: r.ExistsOnly}
	if r.ExistsOnly {
		l.Opening = ""
	}
	if !r.UpdatedAt.IsZero() {
		l.Updated = r.UpdatedAt.Format("2006-01-02T15:04:05Z07:00")
	}
	return l
}

// mayRead: visitors see nothing of the share catalog; everybody else what catalog.MaySee says.
func mayRead(who identity.Actor, r *catalog.Resource) bool {
	return !who.IsAnonymous() && (catalog.MaySee(who, r) || r.State == catalog.Published)
}

// resource finds a version as the caller may see it: visitors the open catalog, others the share
// catalog, where a withheld resource shows as existing only (FS-12).
func (a *API) resource(ctx context.Context, code string, version int) (*catalog.Resource, error) {
	who := actorOf(ctx)
	if who.IsAnonymous() {
		return a.Catalog.OpenCatalog(ctx, code)
	}
	if version == 0 {
		r, _, err := a.Catalog.ShareCatalog(ctx, who, code)
		if errs.Is(err, errs.NotFound) {
			if newest, e := a.Catalog.Get(ctx, code, -1); e == nil && catalog.MaySee(who, newest) {
				return newest, nil
			}
		}
		return r, err
	}
	r, err := a.Catalog.Get(ctx, code, version)
	if err != nil {
		return nil, err
	}
	if !mayRead(who, r) {
		return nil, errs.Newf(errs.NotFound, "没有第 %d 版", "there is no version %d", version).In("version")
	}
	view, _ := catalog.ShareView(r, who.Body, who.Post == identity.AuthorityReviewer || who.Post == identity.Operator || who.Post == identity.Auditor, a.Catalog.Policy())
	return view, nil
}

func (a *API) catalogWrite(status int, run func(r *http.Request, in catalog.Resource) (*catalog.Resource, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in catalog.Resource
		body, err := io.ReadAll(io.LimitReader(r.Body, maxResource+1))
		switch {
		case err != nil:
			err = bodyError(err)
		case len(body) > maxResource:
			err = errs.Newf(errs.TooLarge, "请求体超过 %d 字节", "the body is over %d bytes", maxResource).In("body")
		default:
			err = decodeJSON(body, &in, true)
		}
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		out, err := run(r, in)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		answerJSON(w, status, out)
	})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller went away; there is nobody to tell
}

func (a *API) workbookTemplate(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := a.Catalog.WriteWorkbook(r.Context(), &b, nil); err != nil {
		web.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Disposition", "attachment; filename=\"catalog.xlsx\"; filename*=UTF-8''"+url.PathEscape("政务信息资源目录编制表.xlsx"))
	_, _ = b.WriteTo(w)
}

func (a *API) importWorkbook(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, catalog.MaxWorkbook+1))
	if err != nil {
		web.Fail(w, r, errs.Newf(errs.TooLarge, "工作簿不超过 %d MB", "a workbook has at most %d MB", catalog.MaxWorkbook>>20).In("body").Because(err))
		return
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "catalog.xlsx"
	}
	im, err := a.Catalog.PreviewWorkbook(ctx, actorOf(ctx), name, content)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	out := struct {
		Resources int            `json:"resources"`
		Problems  []errs.Problem `json:"problems"`
		Warnings  []errs.Problem `json:"warnings"`
		Codes     []string       `json:"codes"`
	}{Resources: len(im.Resources), Problems: append([]errs.Problem{}, im.Problems...), Warnings: []errs.Problem{}, Codes: []string{}}
	for _, p := range im.Resources {
		out.Warnings = append(out.Warnings, p.Warnings...)
	}
	if r.URL.Query().Get("dry_run") != "true" {
		if out.Codes, err = a.Catalog.ImportWorkbook(ctx, actorOf(ctx), im.ID); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	answerJSON(w, http.StatusOK, out)
}
