package opendata

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mozillazg/go-pinyin"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/workday"
)

// DefaultTreatments proposes what to do with each item: closed and authorised
// items are left out, items with an opening mask masked, personal items without
// one left out (FZM-20), the rest opened.
func DefaultTreatments(r *catalog.Resource) []Treatment {
	out := make([]Treatment, 0, len(r.Items))
	for i := range r.Items {
		it := &r.Items[i]
		t := Treatment{Item: it.ID, Do: Open}
		switch {
		case catalog.EffectiveOpening(r, it) != catalog.General:
			t.Do = Omit
		case it.OpenMask != "":
			t.Do, t.Mask = Mask, it.OpenMask
		case privacy.Kind(it.Personal).Personal():
			t.Do = Omit
		}
		out = append(out, t)
	}
	return out
}

// checkTreatments holds each decision against the item's own settings: what is
// not open to anyone stays out (FZO-6), and a personal item is never opened as it
// is (FZM-20, FZO-24).
func checkTreatments(r *catalog.Resource, treatments []Treatment) []errs.Problem {
	var problems []errs.Problem
	add := func(item, code, clause string, text errs.Text) {
		problems = append(problems, errs.Problem{Field: "item." + item, Code: code, Text: text, Clause: clause})
	}
	opened := 0
	for _, t := range treatments {
		it := r.Item(t.Item)
		if it == nil {
			add(t.Item, "unknown", "", errs.Tf("资源没有信息项 %s", "the resource has no item %s", t.Item))
			continue
		}
		switch t.Do {
		case Omit:
			continue
		case Mask:
			if zh, en := privacy.ParseMaskProblem(t.Mask); zh != "" {
				add(t.Item, "mask", "FZO-24", errs.T(it.Name+"："+zh, it.Name+": "+en))
			} else if t.Mask == "" {
				add(t.Item, "mask", "FZO-24", errs.Tf("%s：请选择脱敏方式", "%s: choose a mask", it.Name))
			}
		case Open:
			if privacy.Kind(it.Personal).Personal() {
				add(t.Item, "personal", "FZM-20", errs.Tf("%s 是个人信息项，须脱敏或不予开放", "%s is a personal item: mask it or leave it out", it.Name))
			}
		default:
			add(t.Item, "treatment", "", errs.Tf("%s：请选择处理方式", "%s: choose what to do with it", it.Name))
		}
		if catalog.EffectiveOpening(r, it) != catalog.General {
			add(t.Item, "closed", "FZO-6", errs.Tf("%s 的开放类型不是面向所有人开放，不能纳入", "%s is not open to anyone and cannot be included", it.Name))
		}
		opened++
	}
	if opened == 0 {
		problems = append(problems, errs.Problem{Field: "items", Code: "none", Text: errs.T("没有可开放的信息项", "no item is left to open")})
	}
	for _, it := range r.Items {
		if !slices.ContainsFunc(treatments, func(t Treatment) bool { return t.Item == it.ID }) {
			add(it.ID, "treatment", "", errs.Tf("%s：请选择处理方式", "%s: choose what to do with it", it.Name))
		}
	}
	return problems
}

// stops reports whether values that look like this kind stop the publication of
// an item opened as it is. Addresses and birth dates are ordinary data of places
// and firms; for persons the catalog declares them, and the k-test sees them.
func stops(k privacy.Kind) bool {
	switch k {
	case privacy.KindAddress, privacy.KindBirthDate:
		return false
	}
	return k.Personal()
}

// minK is the threshold below which a group singles persons out: the profile's.
func minK(p *profile.Profile) int64 { return int64(max(2, profile.KThreshold.Of(p).V)) }

// cyclePeriods is how long after the last change the next is due. An update
// frequency is set per dataset and kept, and lateness shows (FZO-25); the days of
// grace are a tenth of the period, at least one day: practice, no article says.
var cyclePeriods = map[catalog.Cycle]time.Duration{
	catalog.RealTime:   24 * time.Hour,
	catalog.Daily:      24 * time.Hour,
	catalog.Weekly:     7 * 24 * time.Hour,
	catalog.Monthly:    31 * 24 * time.Hour,
	catalog.Quarterly:  92 * 24 * time.Hour,
	catalog.HalfYearly: 184 * 24 * time.Hour,
	catalog.Yearly:     366 * 24 * time.Hour,
}

// Punctuality says when the next data is due and whether it is late at a moment
// (FZO-25). Datasets updated irregularly, and listings, have no due time.
func (d *Dataset) Punctuality(now time.Time) (due time.Time, late bool) {
	period, ok := cyclePeriods[d.Cycle]
	if !ok || d.Kind != Data || d.State != Published || d.DataAt.IsZero() {
		return time.Time{}, false
	}
	due = d.DataAt.Add(period + max(period/10, 24*time.Hour))
	return due, now.After(due)
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slugOf makes a readable address part of a title: pinyin for Chinese characters,
// syllables joined by hyphens, at most 80 characters, so that clients which allow
// [a-z0-9_-]{2,100} take it.
func slugOf(title string) string {
	args := pinyin.NewArgs()
	var parts []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			parts = append(parts, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ToLower(title) {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			word.WriteRune(r)
		case unicode.Is(unicode.Han, r):
			flush()
			if p := pinyin.SinglePinyin(r, args); len(p) > 0 {
				parts = append(parts, notSlug.ReplaceAllString(strings.ReplaceAll(p[0], "ü", "v"), ""))
			}
		default:
			flush()
		}
	}
	flush()
	slug := ""
	for _, p := range parts {
		if p == "" {
			continue
		}
		if slug != "" {
			p = "-" + p
		}
		if len(slug)+len(p) > 80 {
			break
		}
		slug += p
	}
	switch len(slug) {
	case 0:
		return "dataset"
	case 1:
		return "dataset-" + slug
	}
	return slug
}

// numbered is the n-th choice for a slug that is taken.
func numbered(slug string, n int) string {
	if n == 0 {
		return slug
	}
	return slug + "-" + strconv.Itoa(n+1)
}

// licence are the terms for a kind of dataset. The duty to state source and date
// is the city's own (FZM-26, FZO-15); unlawful use closes access (FZO-16). What is
// open on application is used under an agreement, for what was applied for, and
// its use is reported (FZO-8, FZO-12, FZM-23, FZM-26).
func licence(p *profile.Profile, kind Kind) Licence {
	city := profile.CityName.Of(p).V
	if kind == Listing {
		return Licence{
			Name: errs.T("数据利用协议（经申请签订）", "Agreement on use, made on application"),
			Terms: errs.T(
				"经申请、评估并签订协议后方可取得和利用；只能用于协议写明的用途和场景，不得转交第三方；应按约定报告利用情况，成果应注明数据来源和取得日期；违反协议的，终止提供。",
				"The data is given after an application, an assessment and an agreement. It serves the purpose and scenario of the agreement only and is not passed on; its use is reported as agreed, and results state the source and the date on which the data was obtained. A breach ends the supply."),
			Clauses: []string{"FZO-8", "FZO-12", "FZM-23", "FZM-26"},
		}
	}
	return Licence{
		Name: errs.T(city.ZH+"公共数据开放利用规则", city.EN+" terms of use of open public data"),
		Terms: errs.T(
			"任何人可免费获取、复制、加工和利用，包括商业利用；成果应注明数据来源和取得日期；不得危害国家安全、公共利益，不得侵犯商业秘密和个人隐私；违法违规利用的，将限制或关闭访问。",
			"Anyone may take, copy, process and use the data free of charge, also commercially. Results state the source and the date on which the data was obtained. Use must not harm the state, the public, trade secrets or privacy; access is limited or closed after misuse."),
		Clauses: []string{"FZM-22", "FZM-26", "FZO-15", "FZO-16"},
	}
}

// Completeness is the share of cells that hold a value, 0 to 1; 0 without rows.
func (d *Dataset) Completeness() float64 {
	if d.Rows == 0 || len(d.Items) == 0 {
		return 0
	}
	var present int64
	for _, it := range d.Items {
		present += it.Profile.Present
	}
	return float64(present) / float64(d.Rows*int64(len(d.Items)))
}

// Cite is how a result names its source: provider, title, portal, version, date
// of obtaining (FZM-26).
func (d *Dataset) Cite(portal, address string, on time.Time) errs.Text {
	day := on.In(beijing).Format(time.DateOnly)
	return errs.T(
		d.Provider+"："+d.Title+"（第 "+strconv.Itoa(d.Version)+" 版），"+portal+"，"+address+"，"+day+" 取得。",
		d.Provider+": "+d.Title+", version "+strconv.Itoa(d.Version)+". "+portal+", "+address+", obtained "+day+".")
}

var beijing = workday.Zone

func openingName(p *profile.Profile, t catalog.OpeningType) errs.Text {
	key := profile.TermGeneral
	switch t {
	case catalog.Authorised:
		key = profile.TermAuthorised
	case catalog.Closed:
		key = profile.TermClosed
	}
	w := key.Of(p).V
	return errs.T(w.ZH, w.EN)
}

// regionName is the division's name with those above it below the province.
func regionName(code string) string {
	for _, l := range catalog.CodeLists() {
		if l.Key != "GB/T 2260" {
			continue
		}
		name := ""
		if len(code) >= 6 {
			if city, ok := l.Label(code[:4] + "00"); ok {
				name = city
			}
			if !strings.HasSuffix(code[:6], "00") {
				if district, ok := l.Label(code[:6]); ok {
					name += district
				}
			}
		}
		if name != "" {
			return name
		}
	}
	return code
}

func themeName(key string) errs.Text {
	for _, t := range catalog.Themes() {
		if t.Key == key {
			return t.Text
		}
	}
	return errs.T(key, key)
}
