package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/profile"
)

type valueLine struct {
	Key     string        `json:"key"`
	Label   profile.Words `json:"label"`
	Value   profile.Words `json:"value"`
	Unit    profile.Words `json:"unit"`
	Kind    profile.Kind  `json:"kind" doc:"stated, inherited, practice or none"`
	Clauses []string      `json:"clauses,omitempty"`
	Source  string        `json:"source,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

type clauseLine struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Citation string   `json:"citation"`
	Must     string   `json:"must" doc:"what the platform has to do"`
	Text     string   `json:"text" doc:"the article's own words"`
	Keys     []string `json:"keys,omitempty" doc:"profile keys that cite it"`
	Tests    []string `json:"tests,omitempty" doc:"tests that show it"`
}

func (a *API) clauseLine(ctx context.Context, c clause.Clause) clauseLine {
	line := clauseLine{ID: c.ID, Kind: string(c.Kind), Citation: c.CitationZH(), Must: c.Must, Text: c.Text, Tests: clause.Tests(c.ID)}
	if web.Lang(ctx) == web.English {
		line.Citation = c.CitationEN()
	}
	line.Keys = a.Profile.UsesClause(c.ID)
	return line
}

// registerProfile puts in the city's rules and the register of articles. Both are
// public: they are published law and the city's own decisions.
func (a *API) registerProfile() {
	if a.Profile == nil {
		return
	}
	tags := []string{"规则 rules"}
	type profileOut struct {
		Body struct {
			City    string      `json:"city"`
			Version string      `json:"version"`
			On      string      `json:"on"`
			Values  []valueLine `json:"values"`
		}
	}
	open := []map[string][]string{{}}
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/profile", Tags: tags, Security: open, OperationID: "profile", Summary: "本市参数及其依据 The city's parameters and what they rest on"},
		func(ctx context.Context, in *struct {
			On string `query:"on" required:"false" doc:"values in force on this day, 2006-01-02"`
		}) (*profileOut, error) {
			at := a.Now()
			if in.On != "" {
				t, err := time.Parse(time.DateOnly, in.On)
				if err != nil {
					return nil, errs.New(errs.Invalid, errs.T("日期应写作 2026-11-22", "a date is written 2026-11-22")).In("on")
				}
				at = t
			}
			out := &profileOut{}
			out.Body.City, out.Body.Version, out.Body.On = a.Profile.ID, a.Profile.Version(), at.Format(time.DateOnly)
			for _, l := range a.Profile.Lines(at) {
				out.Body.Values = append(out.Body.Values, valueLine{l.Key, l.Label, l.Text, l.Unit, l.Provenance.Kind, l.Provenance.Clauses, l.Provenance.Source, l.Provenance.Reason})
			}
			return out, nil
		})
	type clausesOut struct {
		Body struct {
			Clauses []clauseLine `json:"clauses"`
		}
	}
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/clauses", Tags: tags, Security: open, OperationID: "clauses", Summary: "条款登记 The register of articles"},
		func(ctx context.Context, in *struct {
			Text       string `query:"q" maxLength:"200" required:"false"`
			Instrument string `query:"instrument" maxLength:"8" required:"false"`
			Kind       string `query:"kind" enum:"enforce,clock,record,publish,setting" required:"false"`
		}) (*clausesOut, error) {
			out := &clausesOut{}
			out.Body.Clauses = []clauseLine{}
			for _, c := range clause.Search(in.Text, in.Instrument, clause.Kind(in.Kind)) {
				out.Body.Clauses = append(out.Body.Clauses, a.clauseLine(ctx, c))
			}
			return out, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/clauses/{id}", Tags: tags, Security: open, OperationID: "clause", Summary: "一个条款 One article"},
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		}) (*struct{ Body clauseLine }, error) {
			c, ok := clause.Get(in.ID)
			if !ok {
				return nil, errs.New(errs.NotFound, errs.T("登记中没有这个条款", "the register has no such article"))
			}
			return &struct{ Body clauseLine }{a.clauseLine(ctx, c)}, nil
		})
}
