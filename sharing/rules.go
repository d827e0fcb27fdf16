package sharing

import (
	"slices"
	"strings"
	"time"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/internal/errs"
	"gongshu/profile"
	"gongshu/workday"
)

// way is the path that a request takes in this city.
type way struct {
	kind      string // Immediate, Application, Conditional
	exception bool   // bulk or free query, to be given by recorded exception only
	basis     []string
}

// wayOf settles the path: the strictest sharing type among resource and items
// rules (FZM-16, FS-12, LY-11), and an exception is always decided (LY-13).
func wayOf(p *profile.Profile, at time.Time, sharing catalog.SharingType, f Form) way {
	var w way
	if f.Mode == string(catalog.Obtain) {
		if v := profile.BulkExport.At(p, at); v.V == "by_exception" {
			w.exception, w.basis = true, append(w.basis, v.Clauses...)
		}
	}
	if f.FreeQuery {
		if v := profile.FreeQuery.At(p, at); v.V == "by_exception" {
			w.exception, w.basis = true, append(w.basis, v.Clauses...)
		}
	}
	path := profile.UnconditionalPath.At(p, at)
	switch {
	case sharing == catalog.Conditional || w.exception:
		w.kind = Conditional
		w.basis = append(w.basis, profile.ConditionalSteps.At(p, at).Clauses...)
	case path.V == "application_to_authority":
		w.kind = Application
		w.basis = append(w.basis, path.Clauses...)
	default:
		w.kind = Immediate
		w.basis = append(w.basis, path.Clauses...)
	}
	slices.Sort(w.basis)
	w.basis = slices.Compact(w.basis)
	return w
}

// procedureOf builds the case's procedure from the profile's steps and days.
func procedureOf(p *profile.Profile, at time.Time, kind, path string) casework.Procedure {
	proc := casework.Procedure{Kind: caseKind(kind), DueSoonDays: profile.DueSoonDays.At(p, at).V, EscalateDays: profile.EscalateAfter.At(p, at).V}
	pause, extension := profile.ClockPause.At(p, at), profile.ClockExtension.At(p, at)
	proc.MayPause, proc.PauseClauses = pause.V, pause.Clauses
	proc.ExtensionDays, proc.ExtensionClauses = extension.V, extension.Clauses
	switch {
	case kind == Negotiation:
		proc.Prefix = "XS"
		proc.Steps, proc.RefuseGoesOn = escalation(p, at)
	case path == Application:
		proc.Prefix = "WT"
		proc.Steps = profile.UnconditionalSteps.At(p, at).V
		proc.Clocks = []casework.ClockRule{casework.RuleOf(casework.ClockAnswer, "receipt", profile.UnconditionalDays.At(p, at))}
	default:
		proc.Prefix = "GX"
		proc.Steps = profile.ConditionalSteps.At(p, at).V
		proc.Clocks = []casework.ClockRule{
			casework.RuleOf(casework.ClockAnswer, profile.ConditionalStart.At(p, at).V, profile.ConditionalDays.At(p, at)),
			casework.RuleOf(casework.ClockShare, "", profile.ShareDays.At(p, at)),
		}
	}
	if kind == Renewal {
		proc.Prefix = "XQ"
	}
	return proc
}

// escalation is what follows a withheld type or unmet conditions: the two sides
// negotiate; failing that the authority brings it to the committee and records
// what that decides (FS-26). Empty where the city's rules know none.
func escalation(p *profile.Profile, at time.Time) (steps []profile.Step, goesOn []string) {
	v := profile.WithheldEscalation.At(p, at)
	for _, key := range v.V {
		s := profile.Step{Key: key, Clauses: v.Clauses}
		switch key {
		case "negotiation":
			s.Name = profile.Words{ZH: "双方协商", EN: "Negotiation"}
			s.Kind, s.Post, s.Bodies = profile.StepDecision, "leader", []string{profile.RelProvider}
			goesOn = append(goesOn, key)
		case "authority":
			s.Name = profile.Words{ZH: "主管部门提请决策委员会", EN: "Brought to the committee by the authority"}
			s.Kind, s.Post, s.Bodies = profile.StepOpinion, "authority_reviewer", []string{profile.RelAuthority}
		case "committee":
			s.Name = profile.Words{ZH: "大数据决策委员会决定", EN: "Decision of the committee"}
			s.Kind, s.Post, s.Bodies = profile.StepDecision, "authority_reviewer", []string{profile.RelAuthority}
		}
		steps = append(steps, s)
	}
	return steps, goesOn
}

// asked is a form read against the catalog and the city's rules.
type asked struct {
	sharing  catalog.SharingType
	terms    Terms
	purposes []string // in words
	way      way
	matched  *catalog.Condition
	unmet    *errs.Error // no executable condition admits it (FS-13)
}

func rank(t catalog.SharingType) int {
	switch t {
	case catalog.Withheld:
		return 2
	case catalog.Conditional:
		return 1
	}
	return 0
}

// itemOf finds an item by its name, field code or id.
func itemOf(r *catalog.Resource, ref string) *catalog.Item {
	ref = strings.TrimSpace(ref)
	if it := r.ItemByName(ref); it != nil {
		return it
	}
	return r.Item(ref)
}

// withheld is the refusal of what is not shared, with the article that says so
// and, where the city knows one, the way that is left.
func withheld(p *profile.Profile, at time.Time, name string) *errs.Error {
	e := errs.Newf(errs.Forbidden, "“%[1]s”属于%[2]s类，不能申请使用。", "%[1]q is %[3]s and cannot be applied for.",
		name, profile.TermWithheld.At(p, at).V.ZH, profile.TermWithheld.At(p, at).V.EN).In("resource")
	if v := profile.WithheldShown.At(p, at); v.Kind == profile.Stated {
		e.By(v.Clauses...)
	} else {
		e.By(profile.SharingTypes.At(p, at).Clauses...)
	}
	if v := profile.WithheldEscalation.At(p, at); len(v.V) > 0 {
		e.Text.ZH += "因履职确需使用的，可与数据提供部门协商；协商未果的，由主管部门提请协调。"
		e.Text.EN += " If a duty cannot do without it, negotiate with the provider; failing that the authority brings it forward."
		e.By(v.Clauses...)
	}
	return e
}

// read checks a form and settles what it asks. All faults are named at once, each
// with the article that asks for the field.
func read(p *profile.Profile, now time.Time, r *catalog.Resource, consumer string, f Form) (asked, error) {
	var a asked
	if r.Sharing == catalog.Withheld {
		return a, withheld(p, now, r.Name)
	}
	var problems []errs.Problem
	fields := profile.RequestFields.At(p, now)
	add := func(field, code, zh, en string, args ...any) {
		problems = append(problems, errs.Problem{Field: field, Code: code, Clause: fields.Clause(), Text: errs.Tf(zh, en, args...)})
	}
	if consumer == r.Body {
		return a, errs.New(errs.Invalid, errs.T("本单位提供的数据不需要申请", "a department does not apply for its own data")).In("resource")
	}
	if !slices.Contains(profile.SharingModes.At(p, now).V, f.Mode) {
		add("mode", "enum", "请选择共享模式：查询、核验、获取或统计", "choose a mode: query, verify, obtain or statistics")
	}
	if f.FreeQuery && f.Mode != string(catalog.Query) {
		add("free_query", "mode", "自由查询只适用于查询模式", "a free query exists in query mode only")
	}
	for _, ref := range f.Purposes {
		if ref = strings.TrimSpace(ref); ref != "" {
			a.purposes = append(a.purposes, catalog.NameOf("purpose", ref).ZH)
		}
	}
	if len(a.purposes) == 0 {
		add("purposes", "required", "请写明使用用途", "state the purpose")
	}
	if strings.TrimSpace(f.Business) == "" {
		add("business", "required", "请写明应用业务", "state the business that it serves")
	}
	if len(f.Business) > 2000 || len(f.Note) > 10000 || len(strings.Join(f.Users, "")) > 4000 || len(f.ExceptionReason) > 10000 {
		add("business", "too_long", "文字过长", "the text is too long")
	}
	if !slices.ContainsFunc(f.Users, func(u string) bool { return strings.TrimSpace(u) != "" }) {
		add("users", "required", "请写明使用对象（处室或人员）", "state who uses it: offices or persons")
	}
	a.sharing = r.Sharing
	refs := f.Items
	if len(refs) == 0 {
		for i := range r.Items {
			if catalog.EffectiveSharing(r, &r.Items[i]) != catalog.Withheld {
				refs = append(refs, r.Items[i].Name)
			}
		}
	}
	unmasked := map[string]bool{}
	for _, ref := range f.Unmasked {
		if it := itemOf(r, ref); it != nil {
			unmasked[it.Name] = true
		} else {
			add("unmasked", "unknown", "资源没有信息项“%s”", "the resource has no item %q", ref)
		}
	}
	for _, ref := range refs {
		it := itemOf(r, ref)
		if it == nil {
			add("items", "unknown", "资源没有信息项“%s”", "the resource has no item %q", ref)
			continue
		}
		if slices.ContainsFunc(a.terms.Items, func(g gateway.GrantItem) bool { return g.Name == it.Name }) {
			continue
		}
		eff := catalog.EffectiveSharing(r, it)
		if eff == catalog.Withheld {
			e := withheld(p, now, it.Name)
			problems = append(problems, errs.Problem{Field: "items", Code: "withheld", Clause: firstOf(e.Clauses), Text: e.Text})
			continue
		}
		if rank(eff) > rank(a.sharing) {
			a.sharing = eff
		}
		a.terms.Items = append(a.terms.Items, gateway.GrantItem{Name: it.Name, Unmasked: unmasked[it.Name]})
	}
	if len(a.terms.Items) == 0 && len(problems) == 0 {
		add("items", "required", "请列出所需数据项", "list the items needed")
	}
	a.way = wayOf(p, now, a.sharing, f)
	if a.way.exception && strings.TrimSpace(f.ExceptionReason) == "" {
		v := profile.BulkExport.At(p, now)
		if f.FreeQuery {
			v = profile.FreeQuery.At(p, now)
		}
		problems = append(problems, errs.Problem{Field: "exception_reason", Code: "required", Clause: v.Clause(),
			Text: errs.T("原则上不批量导出提供数据、不提供自由查询；确有需要的，请写明理由，由主管部门作出例外决定", "in principle no bulk export and no free query; if it cannot be done otherwise, give the reason, and the authority decides on an exception")})
	}
	a.terms.Where = f.Where
	for i, c := range f.Where {
		if it := itemOf(r, c.Item); it != nil {
			a.terms.Where[i].Item = it.Name
		} else {
			add("where", "unknown", "资源没有信息项“%s”", "the resource has no item %q", c.Item)
		}
	}
	a.terms.RequestsPerDay, a.terms.RowsPerDay = f.RequestsPerDay, f.RowsPerDay
	if f.RequestsPerDay < 0 || f.RowsPerDay < 0 {
		add("requests_per_day", "range", "配额不能为负", "quotas are not negative")
	}
	days := checkEnd(p, now, a, f, add)
	a.terms.EndDate = f.EndDate
	if len(problems) > 0 {
		return a, errs.New(errs.Invalid, errs.T("申请还不完整", "the request is not complete yet")).With(problems...)
	}
	a.matched, a.unmet = match(p, now, r, consumer, f, a, days)
	if a.matched != nil {
		rows, err := rowsOf(r, a.matched)
		if err != nil {
			return a, err
		}
		a.terms.Where = append(slices.Clone(a.terms.Where), rows...)
	}
	return a, nil
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// checkEnd checks the last day of use and gives the number of days from today to it.
func checkEnd(p *profile.Profile, now time.Time, a asked, f Form, add func(field, code, zh, en string, args ...any)) int {
	today := workday.DateOf(now)
	longest := profile.GrantMaxDays.At(p, now).V
	if f.EndDate == "" {
		if a.way.kind != Immediate {
			add("end_date", "required", "请写明截止时间", "state the last day of use")
		}
		return 0
	}
	end, err := workday.ParseDate(f.EndDate)
	if err != nil {
		add("end_date", "date", "截止时间应写作 2026-12-31", "the last day of use is written 2026-12-31")
		return 0
	}
	days := int(end - today)
	if days < 1 || days > longest {
		add("end_date", "range", "截止时间应在明天至 %[1]s 之间（最长 %[2]d 天，到期可续期）", "the last day of use lies between tomorrow and %[1]s (%[2]d days at most; it can be renewed)", today+workday.Date(longest), longest)
	}
	return days
}

// match finds the executable condition (FS-13) that admits the request. A
// resource without conditions is left to the deciders. Where none admits it, the
// refusal says which condition came nearest and what it lacks.
func match(p *profile.Profile, now time.Time, r *catalog.Resource, consumer string, f Form, a asked, days int) (*catalog.Condition, *errs.Error) {
	if len(r.Conditions) == 0 || a.sharing == catalog.Unconditional {
		return nil, nil
	}
	var nearest []errs.Text
	for i := range r.Conditions {
		c := &r.Conditions[i]
		var lacks []errs.Text
		if len(c.Bodies) > 0 && !slices.Contains(c.Bodies, consumer) {
			lacks = append(lacks, errs.T("限定的部门不含本单位", "your body is not among those named"))
		}
		if len(c.Purposes) > 0 && !containsAll(c.Purposes, f.Purposes) {
			var zh, en []string
			for _, k := range c.Purposes {
				t := catalog.NameOf("purpose", k)
				zh, en = append(zh, t.ZH), append(en, t.EN)
			}
			lacks = append(lacks, errs.Tf("用途限于%[1]s", "purposes are limited to %[2]s", strings.Join(zh, "、"), strings.Join(en, ", ")))
		}
		if len(c.Modes) > 0 && !slices.Contains(c.Modes, catalog.Mode(f.Mode)) {
			var zh, en []string
			for _, m := range c.Modes {
				t := profile.ModeTerm(string(m))
				zh, en = append(zh, t.ZH), append(en, t.EN)
			}
			lacks = append(lacks, errs.Tf("仅供%[1]s", "it is for %[2]s only", strings.Join(zh, "、"), strings.Join(en, ", ")))
		}
		if len(c.Items) > 0 {
			var allowed, over []string
			for _, ref := range c.Items {
				if it := itemOf(r, ref); it != nil {
					allowed = append(allowed, it.Name)
				}
			}
			for _, n := range names(a.terms.Items) {
				if !slices.Contains(allowed, n) {
					over = append(over, n)
				}
			}
			if len(over) > 0 {
				lacks = append(lacks, errs.Tf("不含信息项%[1]s", "it does not cover %[1]s", strings.Join(over, "、")))
			}
		}
		if c.MaxDays > 0 && (days == 0 || days > c.MaxDays) {
			lacks = append(lacks, errs.Tf("最长 %[1]d 天", "at most %[1]d days", c.MaxDays))
		}
		if len(lacks) == 0 {
			return c, nil
		}
		if nearest == nil || len(lacks) < len(nearest) {
			nearest = lacks
		}
	}
	var zh, en []string
	for _, t := range nearest {
		zh, en = append(zh, t.ZH), append(en, t.EN)
	}
	e := errs.Newf(errs.Forbidden, "申请不符合该资源的共享条件：%[1]s。", "The request does not meet the resource's sharing conditions: %[2]s.", strings.Join(zh, "；"), strings.Join(en, "; ")).
		In("resource").By(profile.ConditionKinds.At(p, now).Clauses...)
	if v := profile.WithheldEscalation.At(p, now); len(v.V) > 0 {
		e.Text.ZH += "因履职确需使用的，可与数据提供部门协商。"
		e.Text.EN += " If a duty cannot do without it, negotiate with the provider."
		e.By(v.Clauses...)
	}
	return nil, e
}

// rowsOf turns a condition's rows into the grant's row filter.
func rowsOf(r *catalog.Resource, c *catalog.Condition) ([]gateway.Condition, error) {
	var out []gateway.Condition
	for _, f := range c.Rows {
		it := itemOf(r, f.Item)
		if it == nil {
			return nil, errs.Newf(errs.Conflict, "共享条件引用了不存在的信息项“%s”，请提供部门更正目录", "the sharing condition names %q, which is no item; the provider mends the catalog", f.Item)
		}
		switch f.Op {
		case "eq", "ne", "lt", "le", "gt", "ge", "in", "prefix":
			out = append(out, gateway.Condition{Item: it.Name, Op: gateway.Op(f.Op), Values: f.Values})
		case "notnull":
			out = append(out, gateway.Condition{Item: it.Name, Op: gateway.Ne, Values: []string{""}})
		case "null":
			out = append(out, gateway.Condition{Item: it.Name, Op: gateway.Eq, Values: []string{""}})
		default:
			return nil, errs.Newf(errs.Unsupported, "共享条件的比较方式“%s”不能执行", "the comparison %q of the sharing condition cannot be executed", f.Op)
		}
	}
	return out, nil
}

// narrows refuses decided terms that give more than was asked: a decision cuts,
// it does not add (FS-29: least privilege). clauses are what the city's refusal rests on.
func narrows(asked, decided Terms, clauses []string) error {
	bad := func(field, zh, en string) error {
		return errs.New(errs.Invalid, errs.T(zh, en)).In(field).By(clauses...)
	}
	if len(decided.Items) == 0 {
		return bad("items", "至少保留一个信息项；全部不同意的请作出不同意的决定", "keep at least one item; refuse the request if none is to be given")
	}
	for _, it := range decided.Items {
		i := slices.IndexFunc(asked.Items, func(g gateway.GrantItem) bool { return g.Name == it.Name })
		if i < 0 {
			return bad("items", "不能增加未申请的信息项："+it.Name, "an item that was not asked for cannot be added: "+it.Name)
		}
		if it.Unmasked && !asked.Items[i].Unmasked {
			return bad("items", "未申请不脱敏的信息项不能不脱敏："+it.Name, "an item that was not asked for unmasked stays masked: "+it.Name)
		}
	}
	for _, c := range asked.Where {
		if !slices.ContainsFunc(decided.Where, func(d gateway.Condition) bool {
			return d.Item == c.Item && d.Op == c.Op && slices.Equal(d.Values, c.Values)
		}) {
			return bad("where", "不能放宽数据范围", "the range of rows cannot be widened")
		}
	}
	if asked.EndDate != "" && (decided.EndDate == "" || decided.EndDate > asked.EndDate) {
		return bad("end_date", "截止时间不能晚于申请的截止时间", "the last day of use cannot be later than the one asked for")
	}
	if more(asked.RequestsPerDay, decided.RequestsPerDay) || more(asked.RowsPerDay, decided.RowsPerDay) {
		return bad("requests_per_day", "配额不能高于申请的配额", "quotas cannot be higher than those asked for")
	}
	return nil
}

// more: 0 is no limit, so it is more than any.
func more(asked, decided int64) bool {
	return decided < 0 || asked > 0 && (decided == 0 || decided > asked)
}

// remindOn is the day on which a consumer is reminded of a grant's last day: early
// enough that a renewal by the city's own procedure, decided and then shared on the
// last day of each deadline, still comes in time, and its due-soon days before that.
func remindOn(cal *workday.Calendar, p *profile.Profile, at time.Time, last workday.Date) workday.Date {
	lead := profile.ConditionalDays.At(p, at).V + profile.ShareDays.At(p, at).V + profile.DueSoonDays.At(p, at).V
	day := last
	for lead > 0 {
		if cal.IsWorkday(day) {
			lead--
		}
		day--
	}
	return day
}
