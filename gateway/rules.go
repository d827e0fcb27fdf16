package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gongshu/internal/errs"
	"gongshu/privacy"
)

// Bounds of a plan where the grant does not say otherwise.
const (
	defaultMaxRows   = 100
	highestMaxRows   = 1000
	defaultPerSecond = 500
	maxConditions    = 64
	maxValues        = 1000
)

// check refuses a grant that the regulations or the source do not allow, and
// returns the spec with its defaults filled in.
func check(spec GrantSpec, src Source, rules Rules, now time.Time) (GrantSpec, error) {
	var problems []errs.Problem
	add := func(field, code, clause, zh, en string, args ...any) {
		problems = append(problems, errs.Problem{Field: field, Code: code, Clause: clause, Text: errs.Tf(zh, en, args...)})
	}
	if src.Sharing == "withheld" {
		// A withheld resource can be neither applied for nor seen (FS-12, FZM-16).
		return spec, errs.New(errs.Forbidden, errs.T("该资源暂不共享，不能授权", "the resource is withheld from sharing and cannot be granted")).In("resource").By("FS-12", "FZM-16")
	}
	if !spec.Mode.Valid() {
		add("mode", "enum", "FS-13", "使用方式应为 query、verify、obtain 或 statistics", "the mode is query, verify, obtain or statistics")
	}
	if spec.Client == "" {
		add("client", "required", "FZM-29", "须写明使用单位", "name the consuming body")
	}
	if spec.Client != "" && spec.Client == src.Provider && len(spec.Clients) == 0 && spec.Business == "" {
		add("business", "required", "FZM-29", "提供部门使用自己的数据，须写明业务事项", "a provider that uses its own data names the business matter")
	}
	spec.Purposes = cleaned(spec.Purposes)
	spec.Users = cleaned(spec.Users)
	if len(spec.Purposes) == 0 {
		add("purposes", "required", "FZM-29", "须写明具体用途", "name at least one purpose")
	}
	if strings.TrimSpace(spec.Approver) == "" {
		add("approver", "required", "FZM-29", "须写明批准人员", "name who approved")
	}
	if spec.Medium == "" {
		spec.Medium = "interface"
	}
	if spec.Expires.IsZero() {
		if src.Sharing != "unconditional" {
			add("expires", "required", "FS-29", "有条件共享的授权须有截止日期", "a grant of conditionally shared data has an end date")
		}
	} else if !spec.Expires.After(now) || !spec.Expires.After(spec.Starts) {
		add("expires", "range", "FS-29", "截止时间应晚于现在和开始时间", "the end lies after now and after the beginning")
	}
	if spec.RequestsPerDay < 0 || spec.RowsPerDay < 0 || spec.PerSecond < 0 {
		add("quota", "range", "", "配额不能为负", "quotas are not negative")
	}
	if spec.MaxRows < 0 || spec.MaxRows > highestMaxRows {
		add("max_rows", "range", "", "单次返回行数应在 0 至 %d 之间", "rows of one answer are 0 to %d", highestMaxRows)
	}
	// In principle no bulk export and no free query (LY-13): an exception names
	// the recorded decision that made it.
	if rules.NoBulk && spec.Exception == "" && (spec.Mode == Obtain || spec.FreeQuery) {
		return spec, errs.New(errs.Forbidden, errs.T("原则上不批量导出提供数据、不提供自由查询；例外须有记录在案的决定",
			"in principle no bulk export and no free query; an exception needs a recorded decision")).In("exception").By(rules.NoBulkClause)
	}
	if len(spec.Items) == 0 {
		add("items", "required", "FS-29", "须列出授权的信息项", "list the granted items")
	}
	seen := map[string]bool{}
	items := slices.Clone(spec.Items)
	for i, it := range spec.Items {
		field := fmt.Sprintf("items[%d]", i)
		item, ok := src.Item(it.Name)
		switch {
		case !ok:
			add(field, "unknown", "FS-29", "资源没有信息项“%s”", "the resource has no item %q", it.Name)
			continue
		case seen[item.Name]:
			add(field, "duplicate", "", "信息项“%s”重复", "item %q is listed twice", it.Name)
		}
		seen[item.Name] = true
		items[i].Name = item.Name
		if zh, en := privacy.ParseMaskProblem(it.Mask); zh != "" {
			problems = append(problems, errs.Problem{Field: field + ".mask", Code: "mask",
				Text: errs.T(fmt.Sprintf("信息项“%s”：%s", it.Name, zh), fmt.Sprintf("item %q: %s", it.Name, en))})
		}
		if it.Unmasked && it.Mask != "" {
			add(field+".unmasked", "conflict", "", "信息项“%s”既要求不脱敏又指定了脱敏方式", "item %q is to be unmasked and has a mask", it.Name)
		}
	}
	where := slices.Clone(spec.Where)
	for i, c := range spec.Where {
		if p, ok := conditionProblem(fmt.Sprintf("where[%d]", i), c, src); ok {
			problems = append(problems, p)
			continue
		}
		item, _ := src.Item(c.Item)
		where[i].Item = item.Name
	}
	if (spec.Mode == Query && !spec.FreeQuery || spec.Mode == Verify) && len(keyItems(src)) == 0 {
		add("mode", "no_key", "FS-13", "资源没有声明主键，不能按键查询或核验", "the resource declares no key, so it cannot be queried or verified by key")
	}
	if len(problems) > 0 {
		return spec, errs.New(errs.Invalid, errs.T("授权内容有误", "the grant is not in order")).With(problems...)
	}
	spec.Items, spec.Where = items, where
	return spec, nil
}

func cleaned(in []string) []string {
	var out []string
	for _, s := range in {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func keyItems(src Source) []SourceItem {
	var keys []SourceItem
	for _, it := range src.Items {
		if it.Key {
			keys = append(keys, it)
		}
	}
	return keys
}

func conditionProblem(field string, c Condition, src Source) (errs.Problem, bool) {
	if _, ok := src.Item(c.Item); !ok {
		return errs.Problem{Field: field + ".item", Code: "unknown",
			Text: errs.Tf("资源没有信息项“%s”", "the resource has no item %q", c.Item)}, true
	}
	n := len(c.Values)
	ok := false
	switch c.Op {
	case Eq, Ne, Lt, Le, Gt, Ge, Prefix:
		ok = n == 1
	case Between:
		ok = n == 2
	case In, NotIn:
		ok = n >= 1 && n <= maxValues
	case IsNull, NotNull:
		ok = n == 0
	default:
		return errs.Problem{Field: field + ".op", Code: "enum",
			Text: errs.Tf("没有比较方式“%s”", "there is no comparison %q", string(c.Op))}, true
	}
	if !ok {
		return errs.Problem{Field: field + ".values", Code: "count",
			Text: errs.Tf("比较方式 %s 的值个数不对（%d 个）", "comparison %s has the wrong number of values (%d)", string(c.Op), n)}, true
	}
	return errs.Problem{}, false
}

// maskOf is the mask that a granted item gets: the grant's, else the catalog's,
// else the default of its kind of personal data. Only an explicit "unmasked"
// releases a personal item as it is.
func maskOf(it GrantItem, src SourceItem) string {
	switch {
	case it.Unmasked:
		return ""
	case it.Mask != "":
		return it.Mask
	case src.Mask != "":
		return src.Mask
	}
	return privacy.DefaultMask(src.Personal)
}
