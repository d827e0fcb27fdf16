package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/internal/errs"
	"gongshu/sharing"
)

// requestFile is a request with all that belongs to it, as callers read it.
type requestFile struct {
	sharing.Request
	Due       string         `json:"due,omitempty" doc:"last day of the running deadline"`
	DaysLeft  *int           `json:"days_left,omitempty" doc:"working days to the due day, negative when late"`
	Waiting   []waitingTask  `json:"waiting,omitempty" doc:"what is to be decided, and by whom"`
	Timeline  []timelineLine `json:"timeline,omitempty"`
	Clocks    []clockLine    `json:"clocks,omitempty"`
	Agreement *agreementLine `json:"agreement,omitempty"`
	Grant     *gateway.Grant `json:"grant,omitempty"`
}

type waitingTask struct {
	ID       string   `json:"id"`
	Step     string   `json:"step"`
	Name     string   `json:"name"`
	Post     string   `json:"post"`
	Body     string   `json:"body"`
	Due      string   `json:"due,omitempty"`
	Clauses  []string `json:"clauses,omitempty"`
	Outcomes []string `json:"outcomes"`
	Mine     bool     `json:"mine" doc:"the caller may decide it"`
}

type timelineLine struct {
	At      string   `json:"at"`
	Kind    string   `json:"kind"`
	Step    string   `json:"step,omitempty"`
	Actor   string   `json:"actor"`
	Body    string   `json:"body,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Clauses []string `json:"clauses,omitempty"`
}

type clockLine struct {
	Name        string   `json:"name"`
	State       string   `json:"state"`
	WorkingDays int      `json:"working_days"`
	Started     string   `json:"started"`
	Due         string   `json:"due,omitempty"`
	Provisional bool     `json:"provisional" doc:"the due day depends on a year whose calendar is not announced"`
	Calendar    string   `json:"calendar"`
	Clauses     []string `json:"clauses,omitempty"`
	Source      string   `json:"source,omitempty"`
}

type agreementLine struct {
	Number  string   `json:"number"`
	State   string   `json:"state"`
	SM3     string   `json:"sm3"`
	Signed  []string `json:"signed"`
	Text    string   `json:"text"`
	Version int      `json:"version"`
}

const timeLayout = "2006-01-02T15:04:05Z07:00"

func fileOf(f sharing.File) requestFile {
	out := requestFile{Request: f.Request, Grant: f.Grant}
	c := f.Case.Case
	if f.Case.HasDue {
		days := f.Case.DaysLeft
		out.Due, out.DaysLeft = c.DueOn, &days
	}
	for _, t := range f.Case.Tasks {
		if t.State != "open" {
			continue
		}
		step, _, _ := c.Procedure.Step(t.Step)
		party, _ := c.Party(t.Relation)
		out.Waiting = append(out.Waiting, waitingTask{ID: t.ID, Step: t.Step, Name: step.Name.ZH, Post: t.Post, Body: party.BodyName, Due: t.DueOn,
			Clauses: t.Clauses, Outcomes: casework.Outcomes(t.Kind), Mine: f.Task != nil && f.Task.ID == t.ID})
	}
	for _, e := range f.Case.Timeline {
		out.Timeline = append(out.Timeline, timelineLine{At: e.At.Format(timeLayout), Kind: e.Kind, Step: e.Step, Actor: e.ActorName, Body: e.BodyName,
			Outcome: e.Outcome, Reason: e.Reason, Clauses: e.Clauses})
	}
	for _, k := range f.Case.Clocks {
		rule, _ := c.Procedure.Clock(k.Name)
		out.Clocks = append(out.Clocks, clockLine{Name: k.Name, State: k.State, WorkingDays: k.Budget, Started: k.StartedOn.String(), Due: k.DueOn,
			Provisional: k.Provisional, Calendar: k.Calendar, Clauses: rule.Clauses, Source: rule.Source})
	}
	if a := f.Agreement; a != nil {
		line := agreementLine{Number: a.Number, State: a.State, SM3: a.Digest, Text: a.Text, Version: a.Version, Signed: []string{}}
		for _, s := range a.Signatures {
			line.Signed = append(line.Signed, s.Relation)
		}
		out.Agreement = &line
	}
	return out
}

// RequestNumber is the path of a request. The API's reflection reads exported
// embedded types only.
type RequestNumber struct {
	Number string `path:"number" doc:"number of the request"`
}

type requestOut struct {
	Status int
	Body   requestFile
}

type requestsOut struct {
	Body struct {
		Total    int               `json:"total"`
		Requests []sharing.Request `json:"requests"`
	}
}

type grantOut struct{ Body gateway.Grant }

func (a *API) registerSharing() {
	if a.Sharing == nil {
		return
	}
	tags := []string{"共享申请 sharing requests"}
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/requests", DefaultStatus: http.StatusCreated, Tags: tags, OperationID: "apply",
		Summary: "申请使用共享数据 Apply for shared data", Description: "Unconditional data is granted at once where the city says so (state granted); otherwise a case is opened (state pending)."},
		func(ctx context.Context, in *struct{ Body sharing.Form }) (*requestOut, error) {
			r, err := a.Sharing.Apply(ctx, actorOf(ctx), in.Body)
			if err != nil {
				return nil, err
			}
			return a.request(ctx, r.Number, http.StatusCreated)
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/negotiations", DefaultStatus: http.StatusCreated, Tags: tags, OperationID: "negotiate",
		Summary: "对不共享或条件不满足的数据发起协商 Negotiate on withheld data or unmet conditions"},
		func(ctx context.Context, in *struct{ Body sharing.Form }) (*requestOut, error) {
			r, err := a.Sharing.Negotiate(ctx, actorOf(ctx), in.Body)
			if err != nil {
				return nil, err
			}
			return a.request(ctx, r.Number, http.StatusCreated)
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/requests", Tags: tags, OperationID: "listRequests", Summary: "申请列表 List requests"},
		func(ctx context.Context, in *struct {
			State    string `query:"state" enum:"pending,returned,granted,refused,withdrawn,settled" required:"false"`
			Resource string `query:"resource" required:"false" doc:"resource code"`
			Text     string `query:"q" maxLength:"200" required:"false"`
			Offset   int    `query:"offset" minimum:"0" required:"false"`
			Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50" required:"false"`
		}) (*requestsOut, error) {
			list, total, err := a.Sharing.Requests(ctx, actorOf(ctx), sharing.Filter{State: in.State, Resource: catalog.ParseCode(in.Resource), Text: in.Text, Offset: in.Offset, Limit: in.Limit})
			if err != nil {
				return nil, err
			}
			out := &requestsOut{}
			out.Body.Total, out.Body.Requests = total, append([]sharing.Request{}, list...)
			return out, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/requests/{number}", Tags: tags, OperationID: "getRequest", Summary: "申请详情 One request"},
		func(ctx context.Context, in *RequestNumber) (*requestOut, error) {
			return a.request(ctx, in.Number, http.StatusOK)
		})
	Register(a, huma.Operation{Method: http.MethodPut, Path: "/api/v1/requests/{number}", Tags: tags, OperationID: "amendRequest", Summary: "修改被退回的申请并重新提交 Amend a returned request"},
		func(ctx context.Context, in *struct {
			RequestNumber
			Body sharing.Form
		}) (*requestOut, error) {
			if _, err := a.Sharing.Amend(ctx, actorOf(ctx), in.Number, in.Body); err != nil {
				return nil, err
			}
			return a.request(ctx, in.Number, http.StatusOK)
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/requests/{number}/decisions", Tags: tags, OperationID: "decideRequest", Summary: "办理申请的当前环节 Decide the step under way"},
		func(ctx context.Context, in *struct {
			RequestNumber
			Body struct {
				Outcome string         `json:"outcome" enum:"agree,object,approve,cut,refuse,return,accept,decline,done"`
				Reason  string         `json:"reason,omitempty" maxLength:"10000"`
				Terms   *sharing.Terms `json:"terms,omitempty" doc:"what is given, with outcome cut: never more than was asked"`
			}
		}) (*requestOut, error) {
			actor := actorOf(ctx)
			task, err := a.Sharing.OpenTask(ctx, actor, in.Number)
			if err != nil {
				return nil, err
			}
			if _, err := a.Sharing.Decide(ctx, actor, task.ID, in.Body.Outcome, in.Body.Reason, in.Body.Terms); err != nil {
				return nil, err
			}
			return a.request(ctx, in.Number, http.StatusOK)
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/requests/{number}/withdrawal", Tags: tags, OperationID: "withdrawRequest", Summary: "撤回申请 Withdraw a request"},
		func(ctx context.Context, in *struct {
			RequestNumber
			Body struct {
				Reason string `json:"reason,omitempty" maxLength:"2000"`
			}
		}) (*requestOut, error) {
			r, err := a.Sharing.Request(ctx, actorOf(ctx), in.Number)
			if err != nil {
				return nil, err
			}
			if r.CaseID == "" {
				return nil, errs.New(errs.Conflict, errs.T("直接取得的授权不能撤回申请，可以退还授权", "access had at once has no request to withdraw: give the grant back"))
			}
			if _, err := a.Sharing.Cases().Withdraw(ctx, actorOf(ctx), r.CaseID, in.Body.Reason); err != nil {
				return nil, err
			}
			return a.request(ctx, in.Number, http.StatusOK)
		})
	a.registerGrants()
}

// GrantID is the path of a grant.
type GrantID struct {
	ID string `path:"id"`
}

func (a *API) registerGrants() {
	tags := []string{"授权 grants"}
	type reasonIn struct {
		GrantID
		Body struct {
			Reason string `json:"reason" minLength:"1" maxLength:"2000"`
		}
	}
	type grantsOut struct {
		Body struct {
			Grants []gateway.Grant `json:"grants"`
			Next   string          `json:"next,omitempty" doc:"value of after for the following page"`
		}
	}
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/grants", Tags: tags, OperationID: "listGrants", Summary: "授权列表 List grants"},
		func(ctx context.Context, in *struct {
			State    string `query:"state" enum:"active,pending,expired,revoked" required:"false"`
			Mode     string `query:"mode" enum:"query,verify,obtain,statistics" required:"false"`
			Resource string `query:"resource" required:"false"`
			After    string `query:"after" required:"false"`
			Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"50" required:"false"`
		}) (*grantsOut, error) {
			list, err := a.Sharing.Grants(ctx, actorOf(ctx), gateway.Filter{State: gateway.State(in.State), Mode: gateway.Mode(in.Mode), Resource: catalog.ParseCode(in.Resource), After: in.After, Limit: in.Limit})
			if err != nil {
				return nil, err
			}
			out := &grantsOut{}
			out.Body.Grants = append([]gateway.Grant{}, list...)
			if len(list) > 0 && len(list) == in.Limit {
				out.Body.Next = list[len(list)-1].ID
			}
			return out, nil
		})
	Register(a, huma.Operation{Method: http.MethodGet, Path: "/api/v1/grants/{id}", Tags: tags, OperationID: "getGrant", Summary: "授权详情 One grant"},
		func(ctx context.Context, in *GrantID) (*grantOut, error) {
			f, err := a.Sharing.Grant(ctx, actorOf(ctx), in.ID)
			if err != nil {
				return nil, err
			}
			return &grantOut{f.Grant}, nil
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/grants/{id}/revocation", Tags: tags, OperationID: "revokeGrant", Summary: "收回授权，立即生效 Revoke a grant at once"},
		func(ctx context.Context, in *reasonIn) (*grantOut, error) {
			g, err := a.Sharing.Revoke(ctx, actorOf(ctx), in.ID, in.Body.Reason)
			return &grantOut{g}, err
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/grants/{id}/release", Tags: tags, OperationID: "releaseGrant", Summary: "退还授权 Give a grant back"},
		func(ctx context.Context, in *reasonIn) (*grantOut, error) {
			g, err := a.Sharing.Release(ctx, actorOf(ctx), in.ID, in.Body.Reason)
			return &grantOut{g}, err
		})
	Register(a, huma.Operation{Method: http.MethodPost, Path: "/api/v1/grants/{id}/renewals", DefaultStatus: http.StatusCreated, Tags: tags, OperationID: "renewGrant", Summary: "申请授权续期 Ask for a later end"},
		func(ctx context.Context, in *struct {
			GrantID
			Body struct {
				EndDate string `json:"end_date" doc:"new last day of use, 2006-01-02"`
				Why     string `json:"why,omitempty" maxLength:"2000"`
			}
		}) (*requestOut, error) {
			r, err := a.Sharing.Renew(ctx, actorOf(ctx), in.ID, in.Body.EndDate, in.Body.Why)
			if err != nil {
				return nil, err
			}
			return a.request(ctx, r.Number, http.StatusCreated)
		})
}

func (a *API) request(ctx context.Context, number string, status int) (*requestOut, error) {
	f, err := a.Sharing.File(ctx, actorOf(ctx), number)
	if err != nil {
		return nil, err
	}
	return &requestOut{Status: status, Body: fileOf(f)}, nil
}
