package sharing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gongshu/agreement"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
	"gongshu/workday"
)

// shared gives the published resource and its provider, for an application by
// the actor's body.
func (s *Service) shared(ctx context.Context, actor identity.Actor, code string) (*catalog.Resource, org.Body, error) {
	if actor.IsAnonymous() {
		return nil, org.Body{}, errs.New(errs.Unauthenticated, errs.T("请先登录", "log in first"))
	}
	if actor.Body == "" {
		return nil, org.Body{}, errs.New(errs.Forbidden, errs.T("请以单位岗位申请", "apply under a post at a body"))
	}
	r, err := s.deps.Catalog.Published(ctx, code)
	if err != nil {
		return nil, org.Body{}, err
	}
	provider, err := s.deps.Body(ctx, r.Body)
	return r, provider, err
}

func (s *Service) applyTarget(actor identity.Actor, r *catalog.Resource, provider org.Body, f Form) operation.Target {
	return operation.Target{Kind: "request", Name: r.Name, Body: actor.Body, District: provider.District, Resource: r.Code, Purpose: strings.Join(f.Purposes, ", ")}
}

func (s *Service) newRequest(actor identity.Actor, r *catalog.Resource, provider org.Body, f Form, a asked, kind string) Request {
	f.Resource = r.Code
	return Request{ID: db.NewID(), Kind: kind, State: Pending, Resource: r.Code, ResourceName: r.Name, Sharing: string(a.sharing),
		Consumer: actor.Body, ConsumerName: actor.BodyName, Provider: provider.ID, ProviderName: provider.Name, District: provider.District,
		Mode: f.Mode, Maker: actor.ID, MakerName: actor.Name, Form: f, Terms: a.terms, NeedsException: a.way.exception, Basis: a.way.basis, CreatedAt: s.deps.Now()}
}

// Apply asks for the use of a resource. Unconditional data is granted at once
// where the city says so (FZM-17, LY-12: State is Granted and GrantID set);
// otherwise a case is opened and the request is Pending. A withheld resource and
// unmet conditions are refused with the article (errs.Forbidden); an incomplete
// form is errs.Invalid naming every field.
func (s *Service) Apply(ctx context.Context, actor identity.Actor, f Form) (Request, error) {
	f.Purposes = purposeKeys(f.Purposes)
	r, provider, err := s.shared(ctx, actor, f.Resource)
	if err != nil {
		return Request{}, err
	}
	var out Request
	err = s.deps.Door.Do(ctx, actor, "sharing.request.apply", s.applyTarget(actor, r, provider, f), func(ctx context.Context, tx *db.Tx) error {
		a, err := s.read(ctx, r, actor.Body, f)
		if err != nil {
			return err
		}
		if a.unmet != nil {
			return a.unmet
		}
		out = s.newRequest(actor, r, provider, f, a, a.way.kind)
		if out.Kind == Immediate {
			if len(f.Documents) > 0 {
				return errs.New(errs.Invalid, errs.T("该数据直接取得，没有办件，不需要附材料", "this data is obtained at once: there is no case for a document to go into")).In("documents").By(out.Basis...)
			}
			return s.grantAtOnce(ctx, tx, actor, &out)
		}
		if err := s.once(ctx, tx, out); err != nil {
			return err
		}
		return s.openCase(ctx, tx, actor, &out, a.way.kind, "")
	})
	return out, err
}

// read is the rules' read, once the API clients are known to be the consumer's own: a
// grant to others would fit nobody.
func (s *Service) read(ctx context.Context, r *catalog.Resource, consumer string, f Form) (asked, error) {
	if len(f.Clients) > 0 {
		own, err := s.deps.Clients(ctx, consumer)
		if err != nil {
			return asked{}, err
		}
		for _, id := range f.Clients {
			if !slices.ContainsFunc(own, func(c identity.APIClient) bool { return c.ID == id }) {
				return asked{}, errs.Newf(errs.Invalid, "本单位没有接口客户端“%s”", "your body has no API client %q", id).In("clients")
			}
		}
	}
	return read(s.deps.Profile, s.deps.Now(), r, consumer, f)
}

func (s *Service) once(ctx context.Context, tx *db.Tx, r Request) error {
	number, err := pendingLike(ctx, tx, r.Consumer, r.Resource, r.Mode, r.Kind)
	if err != nil || number == "" {
		return err
	}
	return errs.Newf(errs.Conflict, "本单位对该资源的同类申请 %[1]s 正在办理", "your body's request %[1]s for the same use is under way", number).In("resource")
}

func (s *Service) grantAtOnce(ctx context.Context, tx *db.Tx, actor identity.Actor, r *Request) error {
	number, err := s.deps.Cases.NumberTx(ctx, tx, "ZJ")
	if err != nil {
		return err
	}
	now := s.deps.Now()
	// Nobody's approval is needed; who opened the access answers for it.
	r.Number, r.State, r.Approver, r.DecidedAt = number, Granted, actor.Name, now
	g, err := s.deps.Gateway.CreateGrantTx(ctx, tx, s.spec(*r))
	if err != nil {
		return err
	}
	r.GrantID = g.ID
	note(ctx, *r)
	if err := s.tellGranted(ctx, tx, actor, g, notice.GrantMade); err != nil {
		return err
	}
	return putRequest(ctx, tx, *r)
}

// note completes the audit entry with what became known while acting.
func note(ctx context.Context, r Request) {
	operation.Retarget(ctx, func(t *operation.Target) {
		t.ID, t.Case, t.Grant, t.Approver = r.ID, r.Number, r.GrantID, r.Approver
	})
	operation.Note(ctx, "mode", r.Mode)
	operation.Note(ctx, "items", len(r.Terms.Items))
	operation.Note(ctx, "state", r.State)
}

// spec is the grant that a request's terms come to.
func (s *Service) spec(r Request) gateway.GrantSpec {
	spec := gateway.GrantSpec{Resource: r.Resource, Client: r.Consumer, Clients: r.Form.Clients, Mode: gateway.Mode(r.Mode), Items: r.Terms.Items, Where: r.Terms.Where,
		Purposes: wordsOf(r.Form.Purposes), Business: strings.TrimSpace(r.Form.Business), Users: r.Form.Users, Approver: r.Approver, Medium: "interface",
		Case: r.CaseID, CaseNo: r.Number, Basis: r.Basis, RequestsPerDay: r.Terms.RequestsPerDay, RowsPerDay: r.Terms.RowsPerDay,
		FreeQuery: r.Form.FreeQuery, Exception: r.Terms.Exception}
	if end, err := workday.ParseDate(r.Terms.EndDate); err == nil {
		spec.Expires = (end + 1).Start()
	}
	return spec
}

// purposeKeys reads purposes as their keys, also where the words were given that
// conditions and refusals show.
func purposeKeys(purposes []string) []string {
	var out []string
	for _, p := range purposes {
		if p = catalog.KeyOf("purpose", p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func wordsOf(purposes []string) []string {
	var out []string
	for _, p := range purposes {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, catalog.NameOf("purpose", p).ZH)
		}
	}
	return out
}

// parties finds who plays which part. The operator is one only where a step is its own:
// who has nothing to do in a case has nothing to see of it.
func (s *Service) parties(ctx context.Context, r Request, p casework.Procedure) ([]casework.Party, error) {
	authority, err := s.deps.AuthorityFor(ctx, casework.DecidingDistrict(s.deps.Profile, s.deps.Now(), r.District))
	if err != nil {
		return nil, err
	}
	out := []casework.Party{
		{Relation: profile.RelConsumer, Body: r.Consumer, BodyName: r.ConsumerName},
		{Relation: profile.RelProvider, Body: r.Provider, BodyName: r.ProviderName},
		{Relation: profile.RelAuthority, Body: authority.ID, BodyName: authority.Name},
	}
	if !slices.ContainsFunc(p.Steps, func(step profile.Step) bool { return slices.Contains(step.Bodies, profile.RelOperator) }) {
		return out, nil
	}
	operator, err := s.deps.Operator(ctx)
	if errs.Is(err, errs.NotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	return append(out, casework.Party{Relation: profile.RelOperator, Body: operator.ID, BodyName: operator.Name}), nil
}

func (s *Service) openCase(ctx context.Context, tx *db.Tx, actor identity.Actor, r *Request, path, parent string) error {
	procedure := procedureOf(s.deps.Profile, s.deps.Now(), r.Kind, path)
	parties, err := s.parties(ctx, *r, procedure)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%s：%s（%s）", r.ConsumerName, r.ResourceName, profile.ModeName(r.Mode).ZH)
	r.State = Pending
	c, err := s.deps.Cases.OpenTx(ctx, tx, actor, casework.Opening{
		Procedure: procedure, Title: title, SubjectKind: "request", Subject: r.ID,
		Resource: r.Resource, District: r.District, Parties: parties, Profile: s.deps.Profile.Version(), Parent: parent,
		Facts: map[string]any{"mode": r.Mode, "items": len(r.Terms.Items), "kind": r.Kind},
		// The area's record must exist before the first step is entered.
		Begun: func(ctx context.Context, tx *db.Tx, c casework.Case) error {
			r.CaseID, r.Number = c.ID, c.Number
			return putRequest(ctx, tx, *r)
		},
	})
	if err != nil {
		return err
	}
	r.CaseID, r.Number = c.ID, c.Number
	note(ctx, *r)
	if err := s.attach(ctx, tx, actor, *r); err != nil {
		return err
	}
	return s.deps.Cases.DropDraftTx(ctx, tx, actor, "sharing.request", r.Resource)
}

func (s *Service) attach(ctx context.Context, tx *db.Tx, actor identity.Actor, r Request) error {
	for _, d := range r.Form.Documents {
		if _, err := s.deps.Cases.AttachTx(ctx, tx, actor, r.CaseID, d); err != nil {
			return err
		}
	}
	return nil
}

// Amend replaces the form of a returned request and sends it back to the step
// that returned it.
func (s *Service) Amend(ctx context.Context, actor identity.Actor, number string, f Form) (Request, error) {
	f.Purposes = purposeKeys(f.Purposes)
	out, err := getRequest(ctx, s.deps.DB.Read(), number)
	if err != nil {
		return out, err
	}
	r, provider, err := s.shared(ctx, actor, out.Resource)
	if err != nil {
		return out, err
	}
	t := s.applyTarget(actor, r, provider, f)
	t.Body = out.Consumer
	err = s.deps.Door.Do(ctx, actor, "sharing.request.amend", t, func(ctx context.Context, tx *db.Tx) error {
		if out, err = getRequest(ctx, tx, number); err != nil {
			return err
		}
		if out.State != Returned {
			return errs.New(errs.Conflict, errs.T("该申请未被退回，不能修改", "the request has not been returned and cannot be changed"))
		}
		f.Resource = out.Resource
		if f.Mode != out.Mode {
			return errs.New(errs.Invalid, errs.T("改变共享模式须重新申请", "another mode needs a request of its own")).In("mode")
		}
		a, err := s.read(ctx, r, out.Consumer, f)
		if err != nil {
			return err
		}
		if a.unmet != nil && out.Kind != Negotiation {
			return a.unmet
		}
		out.Form, out.Terms, out.NeedsException, out.Sharing, out.State, out.Reason = f, a.terms, a.way.exception, string(a.sharing), Pending, ""
		if err := putRequest(ctx, tx, out); err != nil {
			return err
		}
		note(ctx, out)
		if _, err = s.deps.Cases.ResubmitTx(ctx, tx, actor, out.CaseID); err != nil {
			return err
		}
		return s.attach(ctx, tx, actor, out)
	})
	return out, err
}

// Negotiate opens the way that FS-26 leaves for withheld data and for requests
// that meet no condition: the provider's leader first, then the authority and the
// committee. Cities whose rules know no such way refuse.
func (s *Service) Negotiate(ctx context.Context, actor identity.Actor, f Form) (Request, error) {
	f.Purposes = purposeKeys(f.Purposes)
	r, provider, err := s.shared(ctx, actor, f.Resource)
	if err != nil {
		return Request{}, err
	}
	var out Request
	err = s.deps.Door.Do(ctx, actor, "sharing.request.negotiate", s.applyTarget(actor, r, provider, f), func(ctx context.Context, tx *db.Tx) error {
		now := s.deps.Now()
		if len(profile.WithheldEscalation.At(s.deps.Profile, now).V) == 0 {
			return errs.New(errs.Forbidden, errs.T("本市规定没有协商程序", "the city's rules know no negotiation"))
		}
		var a asked
		if r.Sharing == catalog.Withheld {
			// What the resource holds is not shown (FS-12), so the need is stated in words.
			if strings.TrimSpace(f.Business) == "" || strings.TrimSpace(f.Note) == "" || len(f.Note) > 10000 {
				return errs.New(errs.Invalid, errs.T("请写明应用业务和履职确需使用的理由", "state the business and why a duty cannot do without it")).In("note").By(profile.WithheldEscalation.At(s.deps.Profile, now).Clauses...)
			}
			a = asked{sharing: catalog.Withheld, terms: Terms{EndDate: f.EndDate}}
		} else {
			if a, err = s.read(ctx, r, actor.Body, f); err != nil {
				return err
			}
			if a.unmet == nil {
				return errs.New(errs.Conflict, errs.T("该申请符合共享条件，直接申请即可", "the request meets the conditions: apply directly"))
			}
		}
		a.way.basis = profile.WithheldEscalation.At(s.deps.Profile, now).Clauses
		out = s.newRequest(actor, r, provider, f, a, Negotiation)
		if err := s.once(ctx, tx, out); err != nil {
			return err
		}
		return s.openCase(ctx, tx, actor, &out, Negotiation, "")
	})
	return out, err
}

// Decide ends a task of a request's case. Terms may be given with Cut, and with
// Approve where they do not narrow; nil leaves what was asked.
func (s *Service) Decide(ctx context.Context, actor identity.Actor, taskID string, outcome, reason string, terms *Terms) (casework.Case, error) {
	d := casework.Decision{Outcome: outcome, Reason: reason}
	if terms != nil {
		d.Facts = map[string]any{"terms": *terms}
	}
	return s.deps.Cases.Decide(ctx, actor, taskID, d)
}

// entered puts the agreement up for signing when its step begins.
func (s *Service) entered(ctx context.Context, tx *db.Tx, actor identity.Actor, c casework.Case, step profile.Step) error {
	if step.Kind != profile.StepSign {
		return nil
	}
	r, err := requestOfCase(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	_, err = s.deps.Agreement.DraftTx(ctx, tx, s.draft(c, r))
	return err
}

func (s *Service) draft(c casework.Case, r Request) agreement.Draft {
	now := s.deps.Now()
	p := s.deps.Profile
	t := agreement.Terms{CaseNo: r.Number, Provider: r.ProviderName, Consumer: r.ConsumerName, Platform: profile.PlatformName.At(p, now).V.ZH,
		Basis: basisZH(r.Basis), Resource: r.Resource, ResourceName: r.ResourceName, Sharing: p.SharingTerm(r.Sharing).ZH,
		Purposes: strings.Join(wordsOf(r.Form.Purposes), "、"), Business: strings.TrimSpace(r.Form.Business), Users: strings.Join(r.Form.Users, "、"),
		Rows: rowsZH(r.Terms.Where), Mode: profile.ModeTerm(r.Mode).ZH, Ends: r.Terms.EndDate, Onward: "只能按照本协议约定用于本单位履行职责。"}
	if a, ok := c.Party(profile.RelAuthority); ok {
		t.Authority = a.BodyName
	}
	if profile.OnwardForbidden.At(p, now).V {
		t.Onward = "不得以直接或者改变数据形式等方式将数据提供给第三方，不得用于或者变相用于其他目的。"
	}
	t.Words.Provider, t.Words.Consumer = profile.TermProvider.At(p, now).V.ZH, profile.TermConsumer.At(p, now).V.ZH
	if end, err := workday.ParseDate(r.Terms.EndDate); err == nil {
		t.Days = int(end - workday.DateOf(now))
	}
	for _, it := range r.Terms.Items {
		line := it.Name
		switch {
		case it.Unmasked:
			line += "（不脱敏）"
		case it.Mask != "":
			line += "（脱敏：" + it.Mask + "）"
		default:
			line += "（按目录规定脱敏）"
		}
		t.Items = append(t.Items, line)
	}
	d := agreement.Draft{Kind: "sharing", CaseID: c.ID, Terms: t}
	signs := map[string]bool{}
	for _, step := range c.Procedure.Steps {
		if step.Kind == profile.StepSign {
			for _, rel := range step.Bodies {
				signs[rel] = true
			}
		}
	}
	for _, party := range c.Parties {
		if party.Relation != profile.RelOperator {
			d.Parties = append(d.Parties, agreement.Party{Relation: party.Relation, Body: party.Body, BodyName: party.BodyName, Signs: signs[party.Relation]})
		}
	}
	return d
}

func basisZH(ids []string) string {
	var out []string
	for _, id := range ids {
		if c, ok := clause.Get(id); ok {
			out = append(out, c.CitationZH())
		}
	}
	if len(out) == 0 {
		return "本市政务数据共享的规定和做法"
	}
	return strings.Join(out, "、")
}

var opZH = map[gateway.Op]string{gateway.Eq: "等于", gateway.Ne: "不等于", gateway.Lt: "小于", gateway.Le: "不大于", gateway.Gt: "大于", gateway.Ge: "不小于", gateway.In: "属于", gateway.Between: "介于", gateway.Prefix: "以此开头"}

func rowsZH(where []gateway.Condition) string {
	if len(where) == 0 {
		return "全部"
	}
	var out []string
	for _, c := range where {
		out = append(out, c.Item+opZH[c.Op]+strings.Join(c.Values, "、"))
	}
	return strings.Join(out, "；")
}

// decided takes what a decision settles into the request, and signatures into
// the agreement.
func (s *Service) decided(ctx context.Context, tx *db.Tx, actor identity.Actor, c casework.Case, task casework.Task, d casework.Decision) error {
	r, err := requestOfCase(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	operation.Retarget(ctx, func(t *operation.Target) { t.Purpose = strings.Join(r.Form.Purposes, ", ") })
	switch d.Outcome {
	case casework.Accept:
		_, err := s.deps.Agreement.SignTx(ctx, tx, actor, c.ID, task.Relation)
		return err
	case casework.Decline:
		return s.deps.Agreement.CloseTx(ctx, tx, c.ID, d.Reason)
	case casework.Return:
		r.State, r.Reason = Returned, d.Reason
		return putRequest(ctx, tx, r)
	case casework.Approve, casework.Cut:
		return s.settle(ctx, tx, actor, r, d)
	}
	return nil
}

func (s *Service) settle(ctx context.Context, tx *db.Tx, actor identity.Actor, r Request, d casework.Decision) error {
	now := s.deps.Now()
	fields := profile.RequestFields.At(s.deps.Profile, now)
	terms := r.Terms
	if given, ok := d.Facts["terms"]; ok {
		t, err := termsOf(given)
		if err != nil {
			return err
		}
		t.Exception = ""
		if err := narrows(r.Terms, t, fields.Clauses); err != nil {
			return err
		}
		terms = t
	}
	changed := !sameTerms(r.Terms, terms)
	if d.Outcome == casework.Cut && !changed {
		return errs.New(errs.Invalid, errs.T("请指明核减的内容", "say what is cut")).In("items").By(fields.Clauses...)
	}
	if d.Outcome == casework.Approve && changed {
		return errs.New(errs.Invalid, errs.T("同意的内容与申请不同，请作出核减的决定并说明理由", "what is approved differs from what was asked: decide on a cut and give the reasons")).In("outcome").By(fields.Clauses...)
	}
	if r.NeedsException {
		v := profile.BulkExport.At(s.deps.Profile, now)
		if r.Form.FreeQuery {
			v = profile.FreeQuery.At(s.deps.Profile, now)
		}
		if strings.TrimSpace(d.Reason) == "" {
			return errs.New(errs.Invalid, errs.T("同意批量导出或自由查询属于例外，须写明决定的理由", "bulk export and free query are exceptions: state the reasons of the decision")).In("reason").By(v.Clauses...)
		}
		terms.Exception = r.Number + "：" + strings.TrimSpace(d.Reason)
	}
	r.Terms, r.Cut, r.Approver, r.Reason, r.DecidedAt = terms, r.Cut || d.Outcome == casework.Cut, actor.Name, d.Reason, now
	operation.Retarget(ctx, func(t *operation.Target) { t.Approver = actor.Name })
	return putRequest(ctx, tx, r)
}

func termsOf(v any) (Terms, error) {
	if t, ok := v.(Terms); ok {
		return t, nil
	}
	var t Terms
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil {
		return t, errs.New(errs.Invalid, errs.T("核减内容的格式不对", "the cuts cannot be read")).In("terms").Because(err)
	}
	return t, nil
}

func sameTerms(a, b Terms) bool {
	return slices.Equal(a.Items, b.Items) && a.EndDate == b.EndDate && a.RequestsPerDay == b.RequestsPerDay && a.RowsPerDay == b.RowsPerDay &&
		slices.EqualFunc(a.Where, b.Where, func(x, y gateway.Condition) bool {
			return x.Item == y.Item && x.Op == y.Op && slices.Equal(x.Values, y.Values)
		})
}

// closed does what the outcome of a case means: the grant, its renewal, or the
// end of the request.
func (s *Service) closed(ctx context.Context, tx *db.Tx, actor identity.Actor, c casework.Case) error {
	r, err := requestOfCase(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	now := s.deps.Now()
	switch c.Outcome {
	case casework.Approved:
		if err := s.fulfil(ctx, tx, actor, &r); err != nil {
			return err
		}
	case casework.Refused:
		r.State, r.Reason, r.DecidedAt = Refused, c.Reason, now
	case casework.Withdrawn:
		r.State, r.Reason, r.DecidedAt = Withdrawn, c.Reason, now
	}
	if c.Outcome != casework.Approved {
		if err := s.deps.Agreement.CloseTx(ctx, tx, c.ID, c.Reason); err != nil {
			return err
		}
	}
	operation.Retarget(ctx, func(t *operation.Target) { t.Grant, t.Approver = r.GrantID, r.Approver })
	return putRequest(ctx, tx, r)
}

func (s *Service) fulfil(ctx context.Context, tx *db.Tx, actor identity.Actor, r *Request) error {
	if r.Sharing == string(catalog.Withheld) {
		r.State = Settled
		return nil
	}
	if r.Renews != "" {
		end, err := workday.ParseDate(r.Terms.EndDate)
		if err != nil {
			return fmt.Errorf("renewal %s: %w", r.Number, err)
		}
		g, err := s.deps.Gateway.RenewTx(ctx, tx, r.Renews, (end + 1).Start(), r.Number, r.Approver)
		if err != nil {
			return err
		}
		r.State, r.GrantID = Granted, g.ID
		return s.tellGranted(ctx, tx, actor, g, notice.GrantRenewed)
	}
	g, err := s.deps.Gateway.CreateGrantTx(ctx, tx, s.spec(*r))
	if err != nil {
		return err
	}
	r.State, r.GrantID = Granted, g.ID
	return s.tellGranted(ctx, tx, actor, g, notice.GrantMade)
}

func (s *Service) grantTarget(ctx context.Context, g gateway.Grant, body string) operation.Target {
	t := operation.Target{Kind: "grant", ID: g.ID, Name: g.ResourceName, Body: body, Resource: g.Resource, Case: g.CaseNo, Grant: g.ID}
	if b, err := s.deps.Body(ctx, g.Provider); err == nil {
		t.District = b.District
	}
	return t
}

// Revoke ends a grant at once, by the provider's leader or the authority, with
// reasons; the agreement ends with it.
func (s *Service) Revoke(ctx context.Context, actor identity.Actor, grantID, reason string) (gateway.Grant, error) {
	g, err := s.deps.Gateway.Grant(ctx, s.deps.DB.Read(), grantID)
	if err != nil {
		return g, err
	}
	return s.end(ctx, actor, "sharing.grant.revoke", s.grantTarget(ctx, g, g.Provider), g, reason)
}

// Release gives a grant back, by the consumer's steward.
func (s *Service) Release(ctx context.Context, actor identity.Actor, grantID, reason string) (gateway.Grant, error) {
	g, err := s.deps.Gateway.Grant(ctx, s.deps.DB.Read(), grantID)
	if err != nil {
		return g, err
	}
	return s.end(ctx, actor, "sharing.grant.release", s.grantTarget(ctx, g, g.Client), g, reason)
}

func (s *Service) end(ctx context.Context, actor identity.Actor, action operation.Action, t operation.Target, g gateway.Grant, reason string) (gateway.Grant, error) {
	reason = strings.TrimSpace(reason)
	err := s.deps.Door.Do(ctx, actor, action, t, func(ctx context.Context, tx *db.Tx) (err error) {
		if g, err = s.deps.Gateway.RevokeTx(ctx, tx, g.ID, actor.Name, reason); err != nil {
			return err
		}
		m, err := s.grantMessage(ctx, actor, g, notice.GrantRevoked, g.Client, g.Provider)
		if err != nil {
			return err
		}
		if err := s.deps.Send(ctx, tx, m); err != nil || g.Case == "" {
			return err
		}
		return s.deps.Agreement.CloseTx(ctx, tx, g.Case, reason)
	})
	return g, err
}

// Renew asks for a later end of a grant: at once where unconditional data is
// obtained directly, by the city's procedure elsewhere. endDate is the new last
// day of use.
func (s *Service) Renew(ctx context.Context, actor identity.Actor, grantID, endDate, why string) (Request, error) {
	g, err := s.deps.Gateway.Grant(ctx, s.deps.DB.Read(), grantID)
	if err != nil {
		return Request{}, err
	}
	first, err := requestOfGrant(ctx, s.deps.DB.Read(), grantID)
	if err != nil {
		return Request{}, err
	}
	r, err := s.deps.Catalog.Published(ctx, g.Resource)
	if err != nil {
		return Request{}, err
	}
	provider, err := s.deps.Body(ctx, g.Provider)
	if err != nil {
		return Request{}, err
	}
	var out Request
	err = s.deps.Door.Do(ctx, actor, "sharing.grant.renew", s.grantTarget(ctx, g, g.Client), func(ctx context.Context, tx *db.Tx) error {
		now := s.deps.Now()
		if st := g.State(now); st == gateway.Revoked {
			return errs.New(errs.Conflict, errs.T("已收回的授权不能续期，须重新申请", "a revoked grant cannot be renewed; apply anew")).In("grant")
		}
		f := first.Form
		f.EndDate, f.Note = endDate, why
		f.Items = names(g.Items)
		a, err := s.read(ctx, r, g.Client, f)
		if err != nil {
			return err
		}
		if a.unmet != nil {
			return a.unmet
		}
		if endDate == "" {
			return errs.New(errs.Invalid, errs.T("请写明新的截止时间", "state the new last day of use")).In("end_date")
		}
		a.terms.Items, a.terms.Where = g.Items, g.Where // a renewal gives what the grant gives
		out = s.newRequest(actor, r, provider, f, a, Renewal)
		out.Renews = g.ID
		if a.way.kind == Immediate {
			out.Kind, out.Approver, out.DecidedAt = Renewal, actor.Name, now
			if out.Number, err = s.deps.Cases.NumberTx(ctx, tx, "ZJ"); err != nil {
				return err
			}
			if err := s.fulfil(ctx, tx, actor, &out); err != nil {
				return err
			}
			note(ctx, out)
			return putRequest(ctx, tx, out)
		}
		if err := s.once(ctx, tx, out); err != nil {
			return err
		}
		return s.openCase(ctx, tx, actor, &out, a.way.kind, g.Case)
	})
	return out, err
}
