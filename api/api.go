// Package api is JSON over HTTP for systems: everything under /api/.
//
// An area's operations stand in <area>.go as func (a *API) register<Area>(),
// called from routes.go; what they need is a field of Deps. Ordinary operations
// are registered with [Register], which validates input against the Go types and
// writes them into the OpenAPI document at /api/openapi.json. Handlers that
// stream, or that are too hot for reflection, are plain http.Handlers put in with
// declare, which writes the same document. Errors of either are problem+json
// (RFC 9457) by package internal/web.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/ui"
)

// Deps is what the operations work with.
type Deps struct {
	Brand   errs.Text // the platform's name
	Version string
	// Frame is what surrounds the API's own page; nil where this node has no pages.
	Frame   func(*http.Request) *ui.Frame
	Door    *operation.Door
	Clients *identity.Service
	Org     *org.Service
	// Session gives the person whom a browser's cookie stands for, an anonymous
	// visitor for nobody; nil where people do not call.
	Session func(r *http.Request) (identity.Actor, error)
	Gateway *gateway.Service
	// Open and Datasets are the open store and what finds in it.
	Open     *opendata.OpenStore
	Datasets *opendata.Index
	Catalog  *catalog.Service
	Intake   *intake.Service
	Sharing  *sharing.Service
	Profile  *profile.Profile
	Now      func() time.Time // time.Now where nil
	Log      *slog.Logger     // slog.Default() where nil
}

// API answers everything under /api/.
type API struct {
	Deps
	mux  *http.ServeMux
	huma huma.API
}

// bySystems is the security of what only systems call.
var bySystems = []map[string][]string{{"key": {}}, {"signature": {}}}

// words guards huma's global constructors of errors.
var words sync.Once

// New makes the handler. Wrap it with web.Site.Wrap.
func New(deps Deps) http.Handler {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	a := &API{Deps: deps, mux: http.NewServeMux()}
	a.open()
	a.routes()
	return a.routed()
}

// routed is the operations behind the one entrance, and an answer where there is none.
func (a *API) routed() http.Handler {
	a.mux.Handle("/api/", web.Unrouted(a.mux, errs.T("没有这个接口；接口清单见 /api/openapi.json", "there is no such operation; see /api/openapi.json")))
	return a.enter(a.mux)
}

// open begins the OpenAPI document.
func (a *API) open() {
	words.Do(func() {
		huma.NewError = func(status int, msg string, faults ...error) huma.StatusError {
			return newProblem(context.Background(), status, msg, faults...)
		}
		huma.NewErrorWithContext = func(c huma.Context, status int, msg string, faults ...error) huma.StatusError {
			ctx := context.Background()
			if c != nil {
				ctx = c.Context()
			}
			return newProblem(ctx, status, msg, faults...)
		}
	})
	config := huma.DefaultConfig(a.Brand.EN, a.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/api/openapi", "", ""
	config.CreateHooks, config.Transformers = nil, nil
	config.RejectUnknownQueryParameters = true
	plain := huma.DefaultJSONFormat
	plain.Unmarshal = func(body []byte, into any) error {
		err := decodeJSON(body, into, false)
		if e, ok := errs.As(err); ok {
			return errors.New(e.Text.EN) // huma keeps only what Error says; schemaFault reads it
		}
		return err
	}
	config.Formats = map[string]huma.Format{"application/json": plain, "json": plain}
	config.Info.Description = a.Brand.ZH + "。系统以接口密钥调用，人员以管理端的登录会话调用；错误以 application/problem+json 返回，写明字段、原因和条款。\n\n" +
		"Systems call with an API key, people with their session of the console; errors are application/problem+json with field, reason and article."
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "API key of a client: gsk_…"},
		"signature": {Type: "apiKey", In: "header", Name: "Authorization",
			Description: identity.SignatureScheme + " Credential=…, Timestamp=…, Nonce=…, Digest=…, Signature=… (docs/api-signing.md)"},
	}
	config.Security = slices.Clone(bySystems)
	if a.Session != nil {
		config.Components.SecuritySchemes["session"] = &huma.SecurityScheme{Type: "apiKey", In: "cookie", Name: web.SessionCookie,
			Description: "Session of a person who is logged in to the console; a change needs Sec-Fetch-Site or Origin to name this site (docs/accounts.md)."}
		config.Security = append(config.Security, map[string][]string{"session": {}})
	}
	a.huma = humago.New(a.mux, config)
}

// schemaName names a type in the document. The catalog's types say what they are a part of, because
// other areas have items and conditions too.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if t.PkgPath() == resourceType.PkgPath() && name != resourceType.Name() {
		return resourceType.Name() + name
	}
	return name
}

type actorKey struct{}

// actorOf gives who calls: an API client, a person of the console, or a visitor.
func actorOf(ctx context.Context) identity.Actor {
	a, _ := ctx.Value(actorKey{}).(identity.Actor)
	return a
}

// WithActor puts who calls into a request's context; tests use it to skip keys.
func WithActor(ctx context.Context, actor identity.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// enter finds out who calls. Handlers of the data service authenticate by
// themselves, on a shorter way.
func (a *API) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.own(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/api/v1/open/") {
			w.Header()["Cache-Control"] = noStore // what one caller may see is not another's
		}
		ctx := r.Context()
		if _, set := ctx.Value(actorKey{}).(identity.Actor); set {
			next.ServeHTTP(w, r)
			return
		}
		actor := identity.Visitor(web.Addr(r), web.Lang(ctx))
		if r.Header.Get("Authorization") != "" && a.Clients != nil {
			caller, err := a.Clients.Authenticate(r, addrOf(r))
			if err != nil {
				web.Fail(w, r, err)
				return
			}
			actor = caller.Actor
			actor.Addr = web.Addr(r)
			web.NoteActor(ctx, caller.Client.ID)
		} else if a.Session != nil && web.SameSite(r) {
			person, err := a.Session(r)
			if err != nil {
				web.Fail(w, r, err)
				return
			}
			if !person.IsAnonymous() {
				if person.MustChange || person.MustProve || person.MustEnrol {
					web.Fail(w, r, errs.New(errs.Forbidden, errs.T("请先在管理端完成登录：修改一次性口令、输入或设置两步验证", "Finish logging in in the console first: change the one-time password, give or set up the second factor")))
					return
				}
				actor = person
				web.NoteActor(ctx, person.Login)
			}
		}
		r = r.WithContext(WithActor(ctx, actor))
		next.ServeHTTP(w, r)
	})
}

// addrOf is the caller's address for source address lists; invalid when unknown,
// which no list admits.
func addrOf(r *http.Request) netip.Addr {
	addr, _ := netip.ParseAddr(web.Addr(r))
	return addr
}

// Register puts in an operation whose input and output are Go types as huma reads
// them. The handler's errors become problem+json by their kind.
func Register[I, O any](a *API, op huma.Operation, handler func(ctx context.Context, in *I) (*O, error)) {
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// declare puts in a plain handler and describes it in the OpenAPI document, with
// problem+json as the answer of any status that op leaves out.
// Paths with {code} take a resource code whose slash is written "-".
func (a *API) declare(op huma.Operation, handler http.Handler) {
	op.Responses["default"] = a.refusal("出错，写明字段、原因和条款 / refused or failed: names field, reason and article")
	a.mux.Handle(op.Method+" "+op.Path, knownQuery(op.Parameters, handler))
	a.huma.OpenAPI().AddOperation(&op)
}

// answers describes what an operation answers with when all is well.
func answers(status, what string, schema *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{status: {Description: what, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}}
}

// refusal describes an answer of problem+json.
func (a *API) refusal(what string) *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	return &huma.Response{Description: what, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}}
}

// problem is an error as huma answers it.
type problem struct{ web.Problem }

func (p *problem) Error() string             { return p.Title }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return "application/problem+json" }

func (a *API) problem(ctx context.Context, err error) error {
	lang := web.Lang(ctx)
	p := &problem{web.NewProblem(ctx, err, lang)}
	if p.Status >= 500 && !errors.Is(err, context.Canceled) {
		a.Log.Error("failed", "id", web.ID(ctx), "err", err)
	}
	if e := web.Refusal(err); e.RetryAfter > 0 {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(e.RetryAfter)}})
	}
	return p
}

// newProblem turns huma's own refusals (a body that does not fit the schema) into
// the same form.
func newProblem(ctx context.Context, status int, msg string, faults ...error) huma.StatusError {
	kind := errs.Invalid
	text := errs.T("请求不符合接口定义", "the request does not fit the definition of the operation")
	switch {
	case status == http.StatusRequestEntityTooLarge:
		kind, text = errs.TooLarge, errs.T("请求内容过大", "the request is too large")
	case status == http.StatusUnsupportedMediaType || status == http.StatusNotAcceptable:
		kind, text = errs.Unsupported, errs.T("不支持这种内容类型", "this content type is not supported")
	case status == http.StatusNotFound:
		kind, text = errs.NotFound, errs.T("没有找到", "not found")
	case status >= 500:
		kind, text = errs.Internal, errs.T("程序出错", "the program failed")
	}
	var problems []errs.Problem
	for _, f := range faults {
		if p, ok := schemaFault(f); ok {
			problems = append(problems, p)
		}
	}
	if len(problems) == 0 && msg != "" && status < 500 {
		problems = append(problems, errs.Problem{Field: "body", Code: "schema", Text: errs.T(inChinese(msg), msg)})
	}
	field := ""
	if len(problems) > 0 {
		first := problems[0]
		field = first.Field
		text = errs.T(text.ZH+"："+field+" "+first.Text.ZH, text.EN+": "+field+": "+first.Text.EN)
	}
	e := errs.New(kind, text).In(field).With(problems...)
	p := web.NewProblem(ctx, e, web.Lang(ctx))
	return &problem{p}
}
