// Package sharing is the procedure by which one department comes to use another's
// data: at once, on application to the authority, or on a request that the city's
// own steps decide on the city's own clock, ending in a signed agreement and a
// grant (FZM-17, FS-26, LY-12). What a city asks stands in its profile; this
// package knows no city.
package sharing

import (
	"context"
	"errors"
	"slices"
	"time"

	"gongshu/agreement"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
)

// Kinds of request.
const (
	Immediate   = "immediate"   // unconditional, obtained directly (FZM-17, LY-12)
	Application = "application" // unconditional, on application to the authority (FS-26)
	Conditional = "conditional" // decided by the city's procedure
	Renewal     = "renewal"     // of a grant, by the same procedure
	Negotiation = "negotiation" // withheld, or the conditions unmet (FS-26)
)

// Kinds of the cases that carry them.
const (
	CaseApplication = "sharing.application"
	CaseConditional = "sharing.conditional"
	CaseRenewal     = "sharing.renewal"
	CaseNegotiation = "sharing.negotiation"
)

// States of a request.
const (
	Pending   = "pending"
	Returned  = "returned"
	Granted   = "granted"
	Refused   = "refused"
	Withdrawn = "withdrawn"
	Settled   = "settled" // agreed in negotiation on withheld data: the catalog is changed first
)

// Form is what a request states (FS-29: business, users, items, mode, end date, by
// least privilege; FS-5.4: purpose).
type Form struct {
	Resource string              `json:"resource" doc:"资源代码，斜线可写作 - / resource code, its slash written / or -"`
	Mode     string              `json:"mode" doc:"query、verify、obtain 或 statistics / query, verify, obtain or statistics"`
	Purposes []string            `json:"purposes" required:"false" doc:"用途：目录所列用途的代码或名称，或自行写明 / a purpose's key (basis, check, …) or name, or words of your own"` // kept as keys of catalog.Purposes where they are known
	Business string              `json:"business" required:"false" doc:"所办业务 / the business matter that it serves"`
	Users    []string            `json:"users,omitempty" doc:"使用的处室或人员 / offices or persons who use it"`
	Items    []string            `json:"items,omitempty" doc:"信息项名称或代码，省略则申请全部共享项 / names or codes of items; all that are shared where left out"`
	Unmasked []string            `json:"unmasked,omitempty" doc:"其中不脱敏的 / of these, without mask"`
	Where    []gateway.Condition `json:"where,omitempty" doc:"只要哪些行 / which rows"`
	EndDate  string              `json:"end_date,omitempty" doc:"使用截止日，如 2027-06-30 / last day of use, as 2027-06-30"`
	Clients  []string            `json:"clients,omitempty" doc:"本单位的接口客户端，省略则均可 / API clients of the own body; all where left out"`

	RequestsPerDay int64 `json:"requests_per_day,omitempty"`
	RowsPerDay     int64 `json:"rows_per_day,omitempty"`
	FreeQuery      bool  `json:"free_query,omitempty"`
	// ExceptionReason asks for bulk export or free query where the city gives them
	// by a recorded exception only (LY-13).
	ExceptionReason string `json:"exception_reason,omitempty"`
	Note            string `json:"note,omitempty"`
	// Documents go into the request's case; they are kept already (casework.Keep), and the
	// caller discards them when the application is refused.
	Documents []casework.Attachment `json:"-"`
}

// Terms are what a decision settles. A decision may only narrow what was asked.
type Terms struct {
	Items          []gateway.GrantItem `json:"items" required:"false"`
	Where          []gateway.Condition `json:"where,omitempty"`
	EndDate        string              `json:"end_date,omitempty"`
	RequestsPerDay int64               `json:"requests_per_day,omitempty"`
	RowsPerDay     int64               `json:"rows_per_day,omitempty"`
	// Exception is the recorded decision under which bulk or free query is given.
	Exception string `json:"exception,omitempty"`
}

// Request is one request.
type Request struct {
	ID             string    `json:"id"`
	Number         string    `json:"number"`
	CaseID         string    `json:"case_id,omitempty"`
	Kind           string    `json:"kind"`
	State          string    `json:"state"`
	Resource       string    `json:"resource"` // code with "/"
	ResourceName   string    `json:"resource_name"`
	Sharing        string    `json:"sharing"` // type that applies: the strictest of resource and items asked for
	Consumer       string    `json:"consumer"`
	ConsumerName   string    `json:"consumer_name"`
	Provider       string    `json:"provider"`
	ProviderName   string    `json:"provider_name"`
	District       string    `json:"district"` // of the provider
	Mode           string    `json:"mode"`
	Maker          string    `json:"maker"`
	MakerName      string    `json:"maker_name"`
	Form           Form      `json:"form"`
	Terms          Terms     `json:"terms"` // as asked, then as decided
	Cut            bool      `json:"cut"`   // the decision gives less than was asked
	NeedsException bool      `json:"needs_exception"`
	Basis          []string  `json:"basis,omitempty"` // clause ids on which the way rests
	Approver       string    `json:"approver,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	GrantID        string    `json:"grant_id,omitempty"`
	Renews         string    `json:"renews,omitempty"` // grant that is to be renewed
	CreatedAt      time.Time `json:"created_at"`
	DecidedAt      time.Time `json:"decided_at,omitzero"`
}

// Deps is what the service stands on.
type Deps struct {
	DB        *db.DB
	Door      *operation.Door
	Cases     *casework.Service
	Catalog   *catalog.Service
	Agreement *agreement.Service
	Gateway   *gateway.Service
	Profile   *profile.Profile
	// Body, AuthorityFor and Operator find bodies: by id, the authority of a
	// division, the city's operator (errs.NotFound when there is none).
	Body         func(ctx context.Context, id string) (org.Body, error)
	AuthorityFor func(ctx context.Context, district string) (org.Body, error)
	Operator     func(ctx context.Context) (org.Body, error)
	// Clients lists the API clients of a body.
	Clients func(ctx context.Context, body string) ([]identity.APIClient, error)
	Send    notice.Send      // notice.Nobody when nil
	Now     func() time.Time // time.Now when nil
}

// Service is the procedure. Its methods may be called by many goroutines.
type Service struct{ deps Deps }

// New makes the service and registers what the outcomes of its cases do.
func New(deps Deps) (*Service, error) {
	if deps.DB == nil || deps.Door == nil || deps.Cases == nil || deps.Catalog == nil || deps.Agreement == nil || deps.Gateway == nil ||
		deps.Profile == nil || deps.Body == nil || deps.AuthorityFor == nil || deps.Operator == nil || deps.Clients == nil {
		return nil, errors.New("sharing: every dependency is needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Send == nil {
		deps.Send = notice.Nobody
	}
	s := &Service{deps}
	h := casework.Handler{Entered: s.entered, Decided: s.decided, Closed: s.closed}
	for _, kind := range []string{CaseApplication, CaseConditional, CaseRenewal, CaseNegotiation} {
		deps.Cases.Handle(kind, h)
	}
	return s, nil
}

// caseKind is the kind of case that carries a kind of request.
func caseKind(kind string) string {
	switch kind {
	case Application:
		return CaseApplication
	case Renewal:
		return CaseRenewal
	case Negotiation:
		return CaseNegotiation
	}
	return CaseConditional
}

func names(items []gateway.GrantItem) []string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = it.Name
	}
	return out
}

func containsAll(whole, part []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}
