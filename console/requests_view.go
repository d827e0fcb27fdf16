package console

import (
	"context"
	"slices"
	"strings"

	"gongshu/agreement"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/ui"
)

func requestsActions(ctx context.Context, may bool) []ui.Action {
	if !may {
		return nil
	}
	return []ui.Action{{Label: ui.T(ctx, "sharing.to_catalog"), Href: "/console/catalog", Icon: "plus", Primary: true}}
}

// formLead says where the form's fields come from: articles stand beside them, or
// the city has settled them itself.
func formLead(ctx context.Context, v applyView) string {
	if v.outlook.Fields.Clause() == "" {
		return ui.T(ctx, "sharing.form_lead_practice")
	}
	return ui.T(ctx, "sharing.form_lead")
}

func submitWords(ctx context.Context, v applyView) string {
	switch {
	case v.number != "":
		return ui.T(ctx, "sharing.resubmit")
	case v.outlook.Kind == sharing.Immediate:
		return ui.T(ctx, "sharing.take")
	}
	return ui.T(ctx, "sharing.submit")
}

func refusalWords(ctx context.Context, err error) string {
	e, ok := errs.As(err)
	if !ok {
		return err.Error()
	}
	return e.Text.In(web.Lang(ctx))
}

func refusalClauses(err error) string {
	if e, ok := errs.As(err); ok {
		return strings.Join(e.Clauses, " ")
	}
	return ""
}

func stepWho(ctx context.Context, s profile.Step) string {
	var who []string
	for _, b := range s.Bodies {
		who = append(who, wordsOf(ctx, profile.PartyTerm(b)))
	}
	return strings.Join(who, ui.T(ctx, "sharing.comma")) + " · " + postWords(ctx, s.Post)
}

func outlookTerms(ctx context.Context, v applyView) []ui.Term {
	o := v.outlook
	terms := []ui.Term{{Label: ui.T(ctx, "sharing.way"), Value: ui.Text(ui.T(ctx, "sharing.way_"+o.Kind))}}
	if o.Kind == sharing.Immediate {
		terms[0].Clause = strings.Join(profile.UnconditionalPath.Of(v.profile).Clauses, " ")
		return terms
	}
	days := ui.Text(ui.T(ctx, "sharing.days_none"))
	if o.Days.V > 0 {
		days = ui.Sub(ui.T(ctx, "sharing.days", "Days", o.Days.V), o.Days.Source)
	}
	terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.answer"), Value: days, Clause: strings.Join(o.Days.Clauses, " ")})
	if o.Kind == sharing.Conditional {
		text := ui.T(ctx, "sharing.agreement_no")
		if o.Agreement.V {
			text = ui.T(ctx, "sharing.agreement_yes")
		}
		terms = append(terms, ui.Term{Label: ui.T(ctx, "agreement.title"), Value: ui.Text(text), Clause: strings.Join(o.Agreement.Clauses, " ")})
	}
	for i, s := range o.Steps {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.step", "N", i+1), Value: ui.Sub(wordsOf(ctx, s.Name), stepWho(ctx, s)), Clause: strings.Join(s.Clauses, " ")})
	}
	return terms
}

func conditionWords(ctx context.Context, r *catalog.Resource, c *catalog.Condition) string {
	t := catalog.ConditionText(r, c, func(id string) string { return id })
	return ui.Pick(ctx, t.ZH, t.EN)
}

func useModes(ctx context.Context, v applyView) []ui.Option {
	var out []ui.Option
	for _, m := range catalog.Modes {
		if !slices.Contains(v.modes.V, string(m)) {
			continue
		}
		out = append(out, ui.Option{Value: string(m), Label: wordsOf(ctx, profile.ModeTerm(string(m))), Help: ui.T(ctx, "sharing.mode_"+string(m))})
	}
	return out
}

func purposeOptions(ctx context.Context) []ui.Option {
	var out []ui.Option
	for _, p := range catalog.Purposes {
		out = append(out, ui.Option{Value: p.Key, Label: ui.Pick(ctx, p.Text.ZH, p.Text.EN)})
	}
	return out
}

// itemNames are the items that the form ticks: those of the form, or all that
// are shared when nothing has been filled in yet.
func itemNames(v applyView) []string {
	if len(v.form.Items) == 0 && !v.errors.Any() && !v.draft {
		return nil
	}
	var out []string
	for _, ref := range v.form.Items {
		if it := v.resource.ItemByName(ref); it != nil {
			out = append(out, it.Name)
		} else if it := v.resource.Item(ref); it != nil {
			out = append(out, it.Name)
		}
	}
	return out
}

func itemOptions(ctx context.Context, r *catalog.Resource) []ui.Option {
	var out []ui.Option
	for i := range r.Items {
		it := &r.Items[i]
		o := ui.Option{Value: it.Name, Label: it.Name}
		var notes []string
		if it.Key {
			notes = append(notes, ui.T(ctx, "sharing.key"))
		}
		if it.Personal != "" {
			notes = append(notes, ui.T(ctx, "sharing.personal"))
		}
		switch eff := catalog.EffectiveSharing(r, it); {
		case eff == catalog.Withheld:
			o.Disabled = true
			notes = append(notes, ui.StateWords(ctx, "sharing", string(eff)))
		case eff != r.Sharing:
			notes = append(notes, ui.StateWords(ctx, "sharing", string(eff)))
		}
		o.Help = strings.Join(notes, ui.T(ctx, "sharing.comma"))
		out = append(out, o)
	}
	return out
}

// unmaskOptions are the items that have a mask to be lifted.
func unmaskOptions(ctx context.Context, r *catalog.Resource) []ui.Option {
	var out []ui.Option
	for i := range r.Items {
		it := &r.Items[i]
		if (it.Mask != "" || privacy.DefaultMask(privacy.Kind(it.Personal)) != "") && catalog.EffectiveSharing(r, it) != catalog.Withheld {
			out = append(out, ui.Option{Value: it.Name, Label: it.Name, Help: maskWords(ctx, gateway.GrantItem{Name: it.Name}, it)})
		}
	}
	return out
}

var formOps = []gateway.Op{gateway.Eq, gateway.Ne, gateway.In, gateway.Prefix, gateway.Ge, gateway.Le, gateway.Between}

func opOptions(ctx context.Context) []ui.Option {
	var out []ui.Option
	for _, op := range formOps {
		out = append(out, ui.Option{Value: string(op), Label: ui.T(ctx, "sharing.op_"+string(op))})
	}
	return out
}

func whereAt(v applyView, i int) gateway.Condition {
	if i < len(v.form.Where) {
		return v.form.Where[i]
	}
	return gateway.Condition{}
}

func numberOr(n int64) string {
	if n <= 0 {
		return ""
	}
	return itoa(int(n))
}

func boolValue(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func noteHelp(ctx context.Context, v applyView) string {
	if v.outlook.Refusal != nil {
		return ui.T(ctx, "sharing.note_need")
	}
	return ""
}

func requestBadges(ctx context.Context, v requestView) []ui.BadgeInfo {
	q := v.file.Request
	out := []ui.BadgeInfo{ui.StateBadge(ctx, "request", q.State), ui.StateBadge(ctx, "mode", q.Mode),
		{Text: wordsOf(ctx, v.profile.SharingTerm(q.Sharing)), Tone: ui.StateTone("sharing", q.Sharing)}}
	if q.Cut {
		out = append(out, ui.BadgeInfo{Text: ui.T(ctx, "sharing.was_cut"), Tone: ui.Warn})
	}
	if q.NeedsException {
		out = append(out, ui.BadgeInfo{Text: ui.T(ctx, "sharing.exception"), Tone: ui.Warn})
	}
	return out
}

func requestActions(ctx context.Context, v requestView) []ui.Action {
	var out []ui.Action
	if v.may.amend {
		out = append(out, ui.Action{Label: ui.T(ctx, "sharing.amend"), Href: "/console/requests/" + v.file.Request.Number + "/edit", Icon: "edit", Primary: true})
	}
	if v.file.Task != nil {
		out = append(out, ui.Action{Label: ui.T(ctx, "case.to_decide"), Href: "#decide", Icon: "gavel", Primary: true})
	}
	out = append(out, ui.Action{Label: ui.T(ctx, "sharing.to_resource"), Href: "/console/catalog/" + catalog.PathCode(v.file.Request.Resource), Icon: "table"})
	return out
}

func taskTitle(ctx context.Context, v requestView) string {
	if s, _, ok := v.file.Case.Case.Procedure.Step(v.file.Task.Step); ok {
		return wordsOf(ctx, s.Name)
	}
	return ui.T(ctx, "case.to_decide")
}

func outcomeOptions(ctx context.Context, kind string) []ui.Option {
	var out []ui.Option
	for _, o := range casework.Outcomes(kind) {
		opt := ui.Option{Value: o, Label: ui.T(ctx, "case.outcome_"+o)}
		if casework.NeedsReason(o) {
			opt.Help = ui.T(ctx, "case.reason_needed")
		}
		out = append(out, opt)
	}
	return out
}

func reasonHelp(ctx context.Context, v requestView) string {
	if v.file.Request.NeedsException && v.file.Task.Kind == profile.StepDecision {
		return ui.T(ctx, "sharing.exception_decision")
	}
	if v.file.Task.Kind == profile.StepExecute {
		return ""
	}
	return ui.T(ctx, "case.reason_help")
}

// keeps says whether an item is ticked in the cuts: all of them at first.
func keeps(v requestView, name string) bool {
	if v.decision.terms == nil {
		return true
	}
	return slices.ContainsFunc(v.decision.terms.Items, func(g gateway.GrantItem) bool { return g.Name == name })
}

func sideTerms(ctx context.Context, v requestView) []ui.Term {
	q := v.file.Request
	terms := []ui.Term{
		{Label: wordsOf(ctx, profile.TermConsumer.Of(v.profile).V), Value: ui.Sub(q.ConsumerName, q.MakerName)},
		{Label: wordsOf(ctx, profile.TermProvider.Of(v.profile).V), Value: ui.Text(q.ProviderName)},
	}
	if p, ok := v.file.Case.Case.Party(profile.RelAuthority); ok {
		terms = append(terms, ui.Term{Label: wordsOf(ctx, profile.PartyTerm(profile.RelAuthority)), Value: ui.Text(p.BodyName)})
	}
	if q.Approver != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.approver"), Value: ui.Text(q.Approver)})
	}
	terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.created"), Value: ui.Text(ui.DateTime(q.CreatedAt))})
	if !q.DecidedAt.IsZero() {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.decided"), Value: ui.Text(ui.DateTime(q.DecidedAt))})
	}
	if len(q.Basis) > 0 {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.basis"), Value: ui.Clauses(strings.Join(q.Basis, " "))})
	}
	return terms
}

func requestDL(ctx context.Context, v requestView) []ui.Term {
	q := v.file.Request
	text := func(label, value string) ui.Term { return ui.Term{Label: ui.T(ctx, label), Value: ui.Text(value)} }
	terms := []ui.Term{
		text("sharing.purpose", purposesWords(ctx, q.Form.Purposes)),
		text("sharing.mode", wordsOf(ctx, profile.ModeTerm(q.Mode))),
		{Label: ui.T(ctx, "sharing.business"), Value: ui.Text(q.Form.Business), Wide: true},
		text("sharing.users", strings.Join(q.Form.Users, ui.T(ctx, "sharing.comma"))),
		text("sharing.end_date", dashed(q.Terms.EndDate)),
		text("sharing.rows", rowsWords(ctx, q.Terms.Where)),
		text("sharing.quota", quotaWords(ctx, q.Terms.RequestsPerDay, q.Terms.RowsPerDay)),
	}
	if q.Form.FreeQuery {
		terms = append(terms, text("sharing.free_query", ui.T(ctx, "sharing.asked_yes")))
	}
	if q.Form.ExceptionReason != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.exception_reason"), Value: ui.Text(q.Form.ExceptionReason), Wide: true, Clause: strings.Join(profile.BulkExport.Of(v.profile).Clauses, " ")})
	}
	if q.Terms.Exception != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.exception"), Value: ui.Text(q.Terms.Exception), Wide: true})
	}
	if q.Form.Note != "" {
		terms = append(terms, ui.Term{Label: ui.T(ctx, "sharing.note"), Value: ui.Text(q.Form.Note), Wide: true})
	}
	return terms
}

func dashed(s string) string {
	if s == "" {
		return "—"
	}
	return s
}

func agreementTerms(ctx context.Context, a agreement.Agreement, verified int, broken string) []ui.Term {
	terms := []ui.Term{
		{Label: ui.T(ctx, "agreement.number"), Value: ui.Mono(a.Number)},
		{Label: ui.T(ctx, "agreement.state"), Value: ui.State("agreement", a.State)},
		{Label: ui.T(ctx, "agreement.sm3"), Value: ui.Mono(a.Digest), Wide: true},
	}
	for _, p := range a.Parties {
		if !p.Signs {
			continue
		}
		state := ui.T(ctx, "agreement.unsigned")
		if s, ok := a.Signed(p.Relation); ok {
			state = ui.T(ctx, "agreement.signed_by", "Name", s.SignerName) + " " + ui.DateTime(s.At)
		}
		terms = append(terms, ui.Term{Label: profile.PartyTerm(p.Relation).In(web.Lang(ctx)), Value: ui.Sub(p.BodyName, state), Wide: true})
	}
	switch {
	case broken != "":
		terms = append(terms, ui.Term{Label: ui.T(ctx, "agreement.check"), Value: ui.Badges(ui.BadgeInfo{Text: broken, Tone: ui.Bad, Icon: "alert-circle"})})
	case verified > 0:
		terms = append(terms, ui.Term{Label: ui.T(ctx, "agreement.check"), Value: ui.Badges(ui.BadgeInfo{Text: ui.T(ctx, "agreement.valid", "Count", verified), Tone: ui.Good, Icon: "shield-check"})})
	}
	return terms
}
