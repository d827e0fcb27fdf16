package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gongshu/internal/errs"
)

// Difference is one readable change between two versions. Field is the path of the metadata field
// ("summary", "items"), Item the Chinese name of the item where an item changed; Old and New are what a
// person reads, "" where there was or is nothing. Breaking marks a change that takes something away
// from those who use the resource: an item gone, narrowed, or shared less.
type Difference struct {
	Field    string    `json:"field"`
	Label    errs.Text `json:"label"`
	Item     string    `json:"item,omitempty"`
	Kind     string    `json:"kind"` // "added", "removed", "changed"
	Old      errs.Text `json:"old"`
	New      errs.Text `json:"new"`
	Breaking bool      `json:"breaking"`
}

// Diff lists what changed from old to next in the order of the guide; items are matched by id, so a
// renamed item shows as renamed. old may be nil: everything is added then.
func Diff(old, next *Resource) []Difference {
	if old == nil {
		old = &Resource{}
	}
	d := &differ{}
	same := func(s string) errs.Text { return errs.T(s, s) }
	d.field("name", "信息资源名称", "name", same(old.Name), same(next.Name))
	d.field("kind", "资源形态", "kind", named("kind", string(old.Kind)), named("kind", string(next.Kind)))
	d.field("theme", "主题", "theme", named("theme", old.Theme), named("theme", next.Theme))
	d.field("region", "覆盖区划", "region", same(old.Region), same(next.Region))
	d.field("body", "提供方", "provider", same(old.BodyName), same(next.BodyName))
	d.field("office", "责任处室", "office", same(old.Office), same(next.Office))
	d.field("system", "来源系统", "system", same(old.System), same(next.System))
	d.field("summary", "摘要", "summary", same(old.Summary), same(next.Summary))
	d.field("tags", "关键词", "keywords", same(strings.Join(old.Tags, "、")), same(strings.Join(next.Tags, "、")))
	d.field("format", "格式", "format", named("format", string(old.Format)), named("format", string(next.Format)))
	d.field("format_types", "具体格式", "format types", same(strings.Join(old.FormatTypes, "、")), same(strings.Join(next.FormatTypes, "、")))
	d.field("charset", "字符集", "charset", same(old.Charset), same(next.Charset))
	d.items(old, next)
	d.field("checks", "跨项校验", "checks", checksText(old.Checks), checksText(next.Checks))
	d.breaking(sharingRank(next.Sharing) > sharingRank(old.Sharing) && old.Sharing != "",
		"sharing", "共享类型", "sharing type", named("sharing", string(old.Sharing)), named("sharing", string(next.Sharing)))
	d.field("conditions", "共享条件", "sharing conditions", conditionsText(old), conditionsText(next))
	d.field("sharing_note", "共享条件说明", "note on sharing", same(old.SharingNote), same(next.SharingNote))
	d.field("sharing_ways", "共享方式", "ways of sharing", waysText(old.SharingWays), waysText(next.SharingWays))
	d.field("sharing_basis", "共享依据", "basis of sharing", basisText(old.SharingBasis), basisText(next.SharingBasis))
	d.breaking(openingRank(next.Opening) > openingRank(old.Opening) && old.Opening != "",
		"opening", "开放类型", "opening type", named("opening", string(old.Opening)), named("opening", string(next.Opening)))
	d.field("opening_note", "开放条件", "opening conditions", same(old.OpeningNote), same(next.OpeningNote))
	d.field("closed_ground", "不开放理由", "ground for not opening", named("closed_ground", old.ClosedGround), named("closed_ground", next.ClosedGround))
	d.field("desensitised", "脱敏办法", "desensitising", same(old.Desensitised), same(next.Desensitised))
	d.field("cycle", "更新周期", "update cycle", named("cycle", string(old.Cycle)), named("cycle", string(next.Cycle)))
	d.field("related", "关联资源", "related resources", same(strings.Join(old.Related, "、")), same(strings.Join(next.Related, "、")))
	d.field("grade", "数据分级", "grade", number(old.Grade), number(next.Grade))
	d.field("collection", "采集方式", "way of collection", collectionText(old.Collection), collectionText(next.Collection))
	d.field("source", "来源职责", "duty of the source", same(old.Source.Duty), same(next.Source.Duty))
	d.field("source.lead", "协同采集的牵头部门", "lead of the co-collection", same(old.Source.Lead), same(next.Source.Lead)) // FS-23
	return d.out
}

type differ struct{ out []Difference }

func (d *differ) field(field, zh, en string, old, next errs.Text) {
	d.breaking(false, field, zh, en, old, next)
}

func (d *differ) breaking(breaking bool, field, zh, en string, old, next errs.Text) {
	if old == next {
		return
	}
	kind := "changed"
	if old.ZH == "" {
		kind = "added"
	} else if next.ZH == "" {
		kind = "removed"
	}
	d.out = append(d.out, Difference{Field: field, Label: errs.T(zh, en), Kind: kind, Old: old, New: next, Breaking: breaking})
}

func (d *differ) items(old, next *Resource) {
	label := errs.T("信息项", "item")
	for i := range old.Items {
		was := &old.Items[i]
		if !slices.ContainsFunc(next.Items, func(it Item) bool { return it.ID == was.ID }) {
			d.out = append(d.out, Difference{Field: "items", Label: label, Item: was.Name, Kind: "removed", Old: itemText(was), Breaking: true})
		}
	}
	for i := range next.Items {
		it := &next.Items[i]
		j := slices.IndexFunc(old.Items, func(was Item) bool { return was.ID == it.ID })
		if j < 0 {
			d.out = append(d.out, Difference{Field: "items", Label: label, Item: it.Name, Kind: "added", New: itemText(it)})
			continue
		}
		was := &old.Items[j]
		a, b := itemText(was), itemText(it)
		if a == b {
			continue
		}
		breaking := was.Code != it.Code || was.Type != it.Type || it.Length != 0 && (was.Length == 0 || it.Length < was.Length) ||
			it.Required && !was.Required || it.Unique && !was.Unique || it.Key != was.Key ||
			sharingRank(EffectiveSharing(next, it)) > sharingRank(EffectiveSharing(old, was))
		d.out = append(d.out, Difference{Field: "items", Label: label, Item: was.Name, Kind: "changed", Old: a, New: b, Breaking: breaking})
	}
}

func named(list, key string) errs.Text {
	if key == "" {
		return errs.Text{}
	}
	return NameOf(list, key)
}

func number(n int) errs.Text {
	if n == 0 {
		return errs.Text{}
	}
	return errs.T(strconv.Itoa(n), strconv.Itoa(n))
}

// parts gathers the words of a composed value in both languages.
type parts struct{ zh, en []string }

func (p *parts) add(zh, en string) { p.zh, p.en = append(p.zh, zh), append(p.en, en) }
func (p *parts) text() errs.Text {
	return errs.T(strings.Join(p.zh, "；"), strings.Join(p.en, "; "))
}

func itemText(it *Item) errs.Text {
	var p parts
	typ := NameOf("type", string(it.Type))
	size := ""
	if it.Length > 0 {
		size = fmt.Sprintf("(%d", it.Length)
		if it.Scale > 0 {
			size += fmt.Sprintf(",%d", it.Scale)
		}
		size += ")"
	}
	p.add(it.Name+" "+it.Code+" "+typ.ZH+size, it.Name+" "+it.Code+" "+typ.EN+size)
	for _, flag := range []struct {
		on     bool
		zh, en string
	}{{it.Key, "主键", "key"}, {it.Required, "必填", "required"}, {it.Unique, "唯一", "unique"}, {it.NotFuture, "不晚于当日", "not in the future"}} {
		if flag.on {
			p.add(flag.zh, flag.en)
		}
	}
	for _, s := range []struct{ v, zh, en string }{
		{it.Pattern, "格式", "pattern"}, {it.Min, "下限", "minimum"}, {it.Max, "上限", "maximum"}, {it.CodeList, "代码表", "code list"}, {it.Description, "说明", "note"},
	} {
		if s.v != "" {
			p.add(s.zh+" "+s.v, s.en+" "+s.v)
		}
	}
	if len(it.Enum) > 0 {
		values := make([]string, 0, len(it.Enum))
		for _, c := range it.Enum {
			values = append(values, c.Value+" "+c.Label)
		}
		p.add("代码 "+strings.Join(values, "、"), "codes "+strings.Join(values, ", "))
	}
	if it.Reference != nil {
		p.add("引用 "+it.Reference.Resource+" "+it.Reference.Item, "refers to "+it.Reference.Resource+" "+it.Reference.Item)
	}
	for _, s := range []struct {
		key    string
		list   []Named
		zh, en string
	}{{it.Personal, personalNames, "敏感信息", "personal"}, {string(it.Sharing), sharingNames, "共享", "sharing"}, {string(it.Opening), openingNames, "开放", "opening"},
		{it.Mask, maskText, "共享脱敏", "mask"}, {it.OpenMask, maskText, "开放脱敏", "open mask"}} {
		if s.key != "" {
			p.add(s.zh+"："+join(s.list, []string{s.key}, true), s.en+": "+join(s.list, []string{s.key}, false))
		}
	}
	if it.Grade > 0 {
		p.add(fmt.Sprintf("%d 级", it.Grade), fmt.Sprintf("grade %d", it.Grade))
	}
	return p.text()
}

func checksText(list []Check) errs.Text {
	var p parts
	for _, c := range list {
		p.add(c.Name+" "+c.Expr, c.Name+" "+c.Expr)
	}
	return p.text()
}

// ConditionText says a condition in words, with body names from bodyName (nil shows ids).
func ConditionText(r *Resource, c *Condition, bodyName func(id string) string) errs.Text {
	var p parts
	if len(c.Bodies) > 0 {
		names := make([]string, len(c.Bodies))
		for i, id := range c.Bodies {
			names[i] = id
			if bodyName != nil {
				names[i] = bodyName(id)
			}
		}
		p.add("仅提供给："+strings.Join(names, "、"), "only for: "+strings.Join(names, ", "))
	}
	if len(c.Purposes) > 0 {
		p.add("用途："+join(Purposes, c.Purposes, true), "purposes: "+join(Purposes, c.Purposes, false))
	}
	if len(c.Modes) > 0 {
		keys := make([]string, len(c.Modes))
		for i, m := range c.Modes {
			keys[i] = string(m)
		}
		p.add("方式："+join(modeNames, keys, true), "modes: "+join(modeNames, keys, false))
	}
	name := func(id string) string {
		if it := r.Item(id); it != nil {
			return it.Name
		}
		return id
	}
	if len(c.Items) > 0 {
		names := make([]string, len(c.Items))
		for i, id := range c.Items {
			names[i] = name(id)
		}
		p.add("信息项："+strings.Join(names, "、"), "items: "+strings.Join(names, ", "))
	}
	for _, f := range c.Rows {
		text := name(f.Item) + " " + opText[f.Op] + " " + strings.Join(f.Values, "、")
		p.add("范围："+strings.TrimSpace(text), "rows: "+strings.TrimSpace(text))
	}
	if c.MaxDays > 0 {
		p.add(fmt.Sprintf("不超过 %d 天", c.MaxDays), fmt.Sprintf("at most %d days", c.MaxDays))
	}
	if c.Note != "" {
		p.add(c.Note, c.Note)
	}
	return p.text()
}

var opText = map[string]string{"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥", "in": "∈", "prefix": "^", "null": "∅", "notnull": "≠ ∅"}

func conditionsText(r *Resource) errs.Text {
	var p parts
	for i := range r.Conditions {
		t := ConditionText(r, &r.Conditions[i], nil)
		p.add(fmt.Sprintf("（%d）%s", i+1, t.ZH), fmt.Sprintf("(%d) %s", i+1, t.EN))
	}
	return p.text()
}

func waysText(list []Way) errs.Text {
	var p parts
	for _, w := range list {
		t := NameOf("way", string(w))
		p.add(t.ZH, t.EN)
	}
	return p.text()
}

func basisText(list []Basis) errs.Text {
	var p parts
	for _, b := range list {
		p.add("《"+b.Title+"》"+b.Article, b.Title+" "+b.Article)
	}
	return p.text()
}

func collectionText(c Collection) errs.Text {
	if c.Way == "" {
		return errs.Text{}
	}
	t := NameOf("collection", c.Way)
	if c.Basis != "" {
		return errs.T(t.ZH+"："+c.Basis, t.EN+": "+c.Basis)
	}
	return t
}
