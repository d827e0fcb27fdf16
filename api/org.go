package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/operation"
	"gongshu/org"
)

// Body is a body as systems see it.
type Body struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Short    string `json:"short,omitempty"`
	USCC     string `json:"uscc,omitempty" doc:"Unified social credit code (FS-22)."`
	Kind     string `json:"kind" doc:"organ, institution, social, entrusted, utility, court, procuratorate, funded, enterprise, university, institute"`
	Role     string `json:"role" doc:"department, authority, operator, applicant"`
	Level    string `json:"level" doc:"province, city, district, county (FS-4)"`
	District string `json:"district" doc:"Division code, six digits."`
	Parent   string `json:"parent,omitempty"`
	State    string `json:"state" doc:"active or closed"`
}

func bodyOf(b org.Body) Body {
	return Body{ID: b.ID, Name: b.Name, Short: b.Short, USCC: b.USCC, Kind: b.Kind, Role: string(b.Role), Level: b.Level, District: b.District, Parent: b.Parent, State: b.State}
}

// registerOrg puts in the directory of bodies.
func (a *API) registerOrg() {
	if a.Org == nil {
		return
	}
	tags := []string{"Bodies 单位"}
	Register(a, huma.Operation{OperationID: "list-bodies", Method: http.MethodGet, Path: "/api/v1/bodies", Tags: tags, Summary: "Bodies on the platform 单位名录"},
		func(ctx context.Context, in *struct {
			Text     string `query:"q" maxLength:"100" doc:"Part of a name, or of a credit code."`
			Role     string `query:"role" doc:"department, authority, operator or applicant."`
			Level    string `query:"level" doc:"province, city, district or county."`
			District string `query:"district" maxLength:"6" doc:"Division code."`
		}) (*struct {
			Body struct {
				Items []Body `json:"items"`
				Total int    `json:"total"`
			}
		}, error) {
			if err := a.Door.May(actorOf(ctx), "org.body.read", operation.Target{Kind: "body"}); err != nil {
				return nil, err
			}
			found, err := a.Org.Bodies(ctx, org.BodyFilter{Text: in.Text, Role: org.Role(in.Role), Level: in.Level, District: in.District})
			if err != nil {
				return nil, err
			}
			out := &struct {
				Body struct {
					Items []Body `json:"items"`
					Total int    `json:"total"`
				}
			}{}
			out.Body.Items = make([]Body, 0, len(found))
			for _, b := range found {
				out.Body.Items = append(out.Body.Items, bodyOf(b))
			}
			out.Body.Total = len(found)
			return out, nil
		})
	Register(a, huma.Operation{OperationID: "get-body", Method: http.MethodGet, Path: "/api/v1/bodies/{id}", Tags: tags, Summary: "One body 单位详情"},
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		}) (*struct{ Body Body }, error) {
			b, err := a.Org.Body(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if err := a.Door.May(actorOf(ctx), "org.body.read", operation.Target{Kind: "body", ID: b.ID, Body: b.ID, District: b.District}); err != nil {
				return nil, err
			}
			return &struct{ Body Body }{bodyOf(b)}, nil
		})
}
