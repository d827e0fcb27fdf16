package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gongshu/internal/errs"
	"gongshu/privacy"
)

// Bounds of free text and lists. They are far above what departments write and keep pages, indexes
// and workbooks workable.
const (
	MaxName    = 200  // characters
	MaxSummary = 4000 // characters
	MaxItems   = 1600 // items of a resource: the column limit of PostgreSQL
	maxLength  = 1 << 20
	maxEnum    = 5000
)

// MaskNames are the masks that an item may carry; "" is none.
var MaskNames = []string{"keep_ends", "replace", "digest", "fpe", "date", "region", "round", "pseudonym"}

// maskText names the masks on screen and in workbooks.
var maskText = []Named{
	{Key: "keep_ends", Text: errs.T("保留首尾", "keep ends")},
	{Key: "replace", Text: errs.T("替换", "replace")},
	{Key: "digest", Text: errs.T("加密摘要", "keyed digest")},
	{Key: "fpe", Text: errs.T("保留格式加密", "format-preserving")},
	{Key: "date", Text: errs.T("日期泛化", "generalise dates")},
	{Key: "region", Text: errs.T("区划泛化", "generalise regions")},
	{Key: "round", Text: errs.T("数值取整", "round numbers")},
	{Key: "pseudonym", Text: errs.T("假名（校验位有效）", "pseudonym with valid check digit")},
}

// MaskText lists the masks with their words.
func MaskText() []Named { return maskText }

var personalNames = []Named{
	{Key: "name", Text: errs.T("姓名", "name")},
	{Key: "resident_id", Text: errs.T("公民身份号码", "resident ID")},
	{Key: "phone", Text: errs.T("电话号码", "phone")},
	{Key: "address", Text: errs.T("住址", "address")},
	{Key: "bank_card", Text: errs.T("银行卡号", "bank card")},
	{Key: "plate", Text: errs.T("车牌号", "plate")},
	{Key: "email", Text: errs.T("电子邮箱", "e-mail")},
	{Key: "passport", Text: errs.T("护照号", "passport")},
	{Key: "birth_date", Text: errs.T("出生日期", "birth date")},
	{Key: "uscc", Text: errs.T("统一社会信用代码", "USCC")},
}

// PersonalText lists the kinds of personal and organisational identifiers with their words.
func PersonalText() []Named { return personalNames }

var (
	itemCode   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
	digitsOnly = regexp.MustCompile(`^[0-9]+$`)
	regionCode = regexp.MustCompile(`^[0-9]{2}([0-9]{2}([0-9]{2}([0-9]{3}([0-9]{3})?)?)?)?$`)
	resource   = regexp.MustCompile(`^[123][0-9]{5,13}/[0-9]{4,}$`)
)

// ValidCode reports whether s has the form of a resource code, CIITTD…/SSSS.
func ValidCode(s string) bool { return resource.MatchString(s) }

// problems collects faults; the article of a topic is looked up in the city's policy.
type problems struct {
	list   []errs.Problem
	policy *Policy
}

func (p *problems) add(field, code string, clause string, zh, en string, args ...any) {
	p.list = append(p.list, errs.Problem{Field: field, Code: code, Clause: clause, Text: errs.Tf(zh, en, args...)})
}

func (p *problems) topic(t Topic) string { return p.policy.Cite(t) }

// Validate gives everything that keeps a version from being signed off and submitted: the metadata
// standard's own and cross-field rules (FS-19, FZM-12, QZ-3.1.1, LY-8), and the city's rules about
// bases, conditions, grades and personal data. Fields are paths such as "items.3.code". References to
// other resources and duplicates need the store and are checked by the commands.
func Validate(r *Resource, policy *Policy) []errs.Problem {
	p := &problems{policy: policy}
	p.names(r)
	p.classification(r)
	p.format(r)
	p.items(r)
	p.sharing(r)
	p.opening(r)
	p.duties(r)
	return p.list
}

// ValidateDraft gives what keeps even a draft from being kept: what would make it impossible to list
// and find, or must not enter the platform at all (FZM-2, FZM-31).
func ValidateDraft(r *Resource, policy *Policy) []errs.Problem {
	p := &problems{policy: policy}
	if strings.TrimSpace(r.Name) == "" {
		p.add("name", "required", p.topic(TopicCatalog), "请填写信息资源名称", "give the resource a name")
	}
	if utf8.RuneCountInString(r.Name) > MaxName {
		p.add("name", "too_long", "", "名称不超过 %d 个字", "a name has at most %d characters", MaxName)
	}
	if utf8.RuneCountInString(r.Summary) > MaxSummary {
		p.add("summary", "too_long", "", "摘要不超过 %d 个字", "a summary has at most %d characters", MaxSummary)
	}
	if len(r.Items) > MaxItems {
		p.add("items", "too_many", "", "信息项不超过 %d 个", "a resource has at most %d items", MaxItems)
	}
	if r.Kind != Table && r.Kind != Files && r.Kind != Interface {
		p.add("kind", "unknown", "", "请选择资源形态：库表、文件或接口", "choose the kind: table, files or interface")
	}
	if r.Secrecy.Marked {
		p.add("secrecy.marked", "secret", p.topic(TopicSecrecy),
			"标有国家秘密的数据不得在平台登记、发布和交换", "data marked as a state secret cannot be registered, published or exchanged here")
	}
	return p.list
}

func (p *problems) names(r *Resource) {
	clause := p.topic(TopicCatalog)
	switch {
	case r.Name == "":
		p.add("name", "required", clause, "请填写信息资源名称", "give the resource a name")
	case utf8.RuneCountInString(r.Name) > MaxName:
		p.add("name", "too_long", clause, "名称不超过 %d 个字", "a name has at most %d characters", MaxName)
	default:
		if why, ok := strayInName(r.Name); ok {
			p.add("name", "stray", clause, "名称中有多余的%[1]s，请删去", "the name has %[2]s that does not belong there", why.ZH, why.EN)
		}
		if r.System != "" && strings.TrimSpace(r.Name) == strings.TrimSpace(r.System) {
			p.add("name", "system_name", clause, "名称应说明数据内容，不能用信息系统的名称", "name the data, not the information system")
		}
	}
	if strings.TrimSpace(r.Summary) == "" {
		p.add("summary", "required", clause, "请填写信息资源摘要", "describe the resource in a summary")
	} else if utf8.RuneCountInString(r.Summary) > MaxSummary {
		p.add("summary", "too_long", clause, "摘要不超过 %d 个字", "a summary has at most %d characters", MaxSummary)
	}
	if r.Body == "" {
		p.add("body", "required", clause, "请选择信息资源提供方", "choose the providing body")
	} else if v := privacy.USCC(r.USCC); r.USCC == "" || !v.OK() {
		p.add("uscc", "uscc", p.topic(TopicCoding), "提供方的统一社会信用代码缺失或有误，请在机构信息中更正", "the provider's unified social credit code is missing or wrong; mend it in the body's record")
	}
}

// strayInName finds what the registration office's guide forbids in names: white space at the ends or
// doubled, control characters, punctuation at the ends, brackets that do not close.
func strayInName(s string) (errs.Text, bool) {
	if strings.TrimSpace(s) != s || strings.Contains(s, "  ") || strings.Contains(s, "　") {
		return errs.T("空格", "a space"), true
	}
	depth := 0
	for _, c := range s {
		if unicode.IsControl(c) || c == '\ufeff' || c == '\u200b' {
			return errs.T("控制字符", "a control character"), true
		}
		switch c {
		case '(', '（':
			depth++
		case ')', '）':
			depth--
		}
		if depth < 0 {
			return errs.T("括号", "a bracket"), true
		}
	}
	if depth != 0 {
		return errs.T("括号", "a bracket"), true
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	opens, closes := "（(《“\"【[", "）)》”\"】]"
	if unicode.IsPunct(first) && !strings.ContainsRune(opens, first) || unicode.IsPunct(last) && !strings.ContainsRune(closes, last) {
		return errs.T("标点", "a punctuation mark"), true
	}
	return errs.Text{}, false
}

func (p *problems) classification(r *Resource) {
	clause := p.topic(TopicCatalog)
	for _, f := range classFaults(r.Class) {
		p.list = append(p.list, errs.Problem{Field: f.Field, Code: f.Code, Clause: clause, Text: f.Text})
	}
	if r.Theme != "" && !has(Themes(), r.Theme) {
		p.add("theme", "unknown", clause, "没有这个主题：%s", "no such theme: %s", r.Theme)
	} else if r.Theme == "" {
		p.add("theme", "required", clause, "请选择主题", "choose a theme")
	}
	if r.Region != "" && !regionCode.MatchString(r.Region) {
		p.add("region", "form", clause, "区划代码应为 2、4、6、9 或 12 位数字", "a division code has 2, 4, 6, 9 or 12 digits")
	}
	for i, code := range r.Related {
		if !ValidCode(ParseCode(code)) {
			p.add(at("related", i), "form", clause, "关联资源代码“%s”格式不对", "related code %q is not a resource code", code)
		}
	}
}

func classFaults(c Class) []errs.Problem {
	var out []errs.Problem
	if !has(Classes, c.Class) {
		out = append(out, errs.Problem{Field: "class.class", Code: "required", Text: errs.T("请选择类：1 基础、2 主题、3 部门", "choose the class: 1 base, 2 theme, 3 department")})
		return out
	}
	if !has(ClassItems[c.Class], c.Item) {
		out = append(out, errs.Problem{Field: "class.item", Code: "required", Text: errs.T("请选择项（两位）", "choose the second level, two digits")})
	}
	if len(c.Head) != 3 || !digitsOnly.MatchString(c.Head) {
		out = append(out, errs.Problem{Field: "class.head", Code: "form", Text: errs.T("目为三位数字", "the third level has three digits")})
	}
	if c.Detail != "" && (!digitsOnly.MatchString(c.Detail) || len(c.Detail) > 8) {
		out = append(out, errs.Problem{Field: "class.detail", Code: "form", Text: errs.T("细目为不超过八位的数字", "the fourth level has up to eight digits")})
	}
	return out
}

func (p *problems) format(r *Resource) {
	clause := p.topic(TopicCatalog)
	if !has(FormatClasses, string(r.Format)) {
		p.add("format", "required", clause, "请选择信息资源格式", "choose the format")
		return
	}
	allowed := map[Kind][]FormatClass{
		Table:     {FormatSheet, FormatDatabase},
		Files:     {FormatFile, FormatSheet, FormatImage, FormatMedia, FormatDescribing},
		Interface: {FormatServiceCall},
	}[r.Kind]
	if len(allowed) > 0 && !slices.Contains(allowed, r.Format) {
		p.add("format", "kind", clause, "资源形态“%[1]s”与格式“%[3]s”不一致", "a resource of kind %[2]s cannot have the format %[4]s",
			NameOf("kind", string(r.Kind)).ZH, NameOf("kind", string(r.Kind)).EN, NameOf("format", string(r.Format)).ZH, NameOf("format", string(r.Format)).EN)
	}
	if len(r.FormatTypes) == 0 {
		p.add("format_types", "required", clause, "请说明具体格式，例如 xlsx、mysql", "name the type, for example xlsx or mysql")
	}
	if known := formatTypes[r.Format]; len(known) > 0 {
		for _, t := range r.FormatTypes {
			if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, t) }) {
				p.add("format_types", "unknown", clause, "“%[1]s”不是该类格式，可用：%[2]s", "%[1]q is not a type of this class; known: %[2]s", t, strings.Join(known, "、"))
			}
		}
	}
	// 8b: a text file states its charset in place of item types.
	if r.Format == FormatFile && slices.ContainsFunc(r.FormatTypes, func(t string) bool { return t == "txt" || t == "xml" || t == "html" }) && !slices.Contains(Charsets, r.Charset) {
		p.add("charset", "required", clause, "文本类电子文件应注明字符集", "a text file states its charset")
	}
}

// itemsNeeded: items are named for databases and spreadsheets (8a), and for what an interface answers.
func itemsNeeded(r *Resource) bool {
	return r.Kind != Files || r.Format == FormatSheet
}

func (p *problems) items(r *Resource) {
	clause := p.topic(TopicCatalog)
	if len(r.Items) == 0 {
		if itemsNeeded(r) {
			p.add("items", "required", clause, "请列出信息项", "list the data items")
		}
		return
	}
	if len(r.Items) > MaxItems {
		p.add("items", "too_many", clause, "信息项不超过 %d 个", "a resource has at most %d items", MaxItems)
		return
	}
	names, codes := map[string]int{}, map[string]int{}
	person, identified := -1, false
	for i := range r.Items {
		it := &r.Items[i]
		p.item(r, i, it)
		if j, ok := names[it.Name]; ok && it.Name != "" {
			p.add(at("items", i, "name"), "duplicate", clause, "与第 %d 项重名", "has the same name as item %d", j+1)
		}
		names[it.Name] = i
		lower := strings.ToLower(it.Code)
		if j, ok := codes[lower]; ok && it.Code != "" {
			p.add(at("items", i, "code"), "duplicate", clause, "与第 %d 项英文名相同", "has the same code as item %d", j+1)
		}
		codes[lower] = i
		switch it.Personal {
		case "name", "phone", "birth_date":
			if person < 0 {
				person = i
			}
		case "resident_id", "passport", "uscc":
			identified = true
		}
	}
	// FS-22: natural persons are identified by their statutory document.
	if coding := p.topic(TopicCoding); person >= 0 && !identified && coding != "" {
		p.add(at("items", person, "personal"), "identity", coding,
			"含自然人信息的资源应以法定身份证件号码作为标识，请增加公民身份号码信息项", "data about natural persons is identified by a statutory document: add the resident ID as an item")
	}
	for i, c := range r.Checks {
		if strings.TrimSpace(c.Expr) == "" {
			p.add(at("checks", i, "expr"), "required", "", "请写出校验表达式", "write the expression")
		}
		if strings.TrimSpace(c.ZH) == "" {
			p.add(at("checks", i, "zh"), "required", "", "请写明不通过的原因", "say what is wrong with a row that breaks the rule")
		}
	}
}

func (p *problems) item(r *Resource, i int, it *Item) {
	clause := p.topic(TopicCatalog)
	field := func(name string) string { return at("items", i, name) }
	switch {
	case it.Name == "":
		p.add(field("name"), "required", clause, "请填写信息项名称", "give the item a name")
	case utf8.RuneCountInString(it.Name) > 120:
		p.add(field("name"), "too_long", clause, "信息项名称不超过 120 个字", "an item name has at most 120 characters")
	case strings.TrimSpace(it.Name) != it.Name || strings.ContainsAny(it.Name, "\n\r\t"):
		p.add(field("name"), "stray", clause, "信息项名称中有多余的空格", "the item name has stray white space")
	}
	if !itemCode.MatchString(it.Code) {
		p.add(field("code"), "form", clause, "英文名以字母开头，由字母、数字、下划线组成，不超过 63 位", "a code starts with a letter and has letters, digits and _ only, at most 63")
	}
	if !slices.Contains(ItemTypes, it.Type) {
		p.add(field("type"), "required", clause, "请选择数据类型", "choose the data type")
		return
	}
	if it.Length < 0 || it.Length > maxLength {
		p.add(field("length"), "range", clause, "数据长度应在 0 至 %d 之间", "the length lies between 0 and %d", maxLength)
	}
	if it.Type == Char && it.Length == 0 {
		p.add(field("length"), "required", clause, "字符型应注明数据长度", "a character item states its length")
	}
	decimal := it.Type == Numeric || it.Type == Money
	if it.Scale != 0 && !decimal {
		p.add(field("scale"), "type", clause, "只有数值型、货币型有小数位", "only numeric and money items have decimal places")
	} else if it.Scale < 0 || it.Scale > 20 || decimal && it.Length > 0 && it.Scale >= it.Length {
		p.add(field("scale"), "range", clause, "小数位应小于数据长度，且不超过 20", "decimal places are fewer than the length and at most 20")
	}
	if it.Pattern != "" {
		if len(it.Pattern) > 1000 {
			p.add(field("pattern"), "too_long", "", "格式规则过长", "the pattern is too long")
		} else if _, err := regexp.Compile(it.Pattern); err != nil {
			p.add(field("pattern"), "form", "", "格式规则不是有效的正则表达式", "the pattern is not a valid RE2 expression")
		}
	}
	p.bounds(field, it)
	if len(it.Enum) > 0 && it.CodeList != "" {
		p.add(field("code_list"), "both", clause, "自有代码和标准代码表只能用一种", "use codes of its own or a standard list, not both")
	}
	if len(it.Enum) > maxEnum {
		p.add(field("enum"), "too_many", "", "代码不超过 %d 个", "at most %d codes", maxEnum)
	}
	seen := map[string]bool{}
	for _, c := range it.Enum {
		if c.Value == "" {
			p.add(field("enum"), "required", "", "代码值不能为空", "a code is not empty")
		} else if seen[c.Value] {
			p.add(field("enum"), "duplicate", "", "代码“%s”重复", "code %q stands twice", c.Value)
		} else if !fits(it.Type, c.Value) {
			p.add(field("enum"), "type", "", "代码“%s”不符合数据类型", "code %q is not of the item's type", c.Value)
		}
		seen[c.Value] = true
	}
	if it.CodeList != "" && CodeListByKey(it.CodeList) == nil {
		p.add(field("code_list"), "unknown", clause, "没有代码表“%s”", "no code list %q", it.CodeList)
	}
	if it.Reference != nil && (!ValidCode(ParseCode(it.Reference.Resource)) || it.Reference.Item == "") {
		p.add(field("reference"), "form", "", "引用应写资源代码和信息项英文名", "a reference names a resource code and an item")
	}
	if it.NotFuture && it.Type != Date && it.Type != DateTime {
		p.add(field("not_future"), "type", "", "只有日期可以要求不晚于当日", "only a date can be required not to lie in the future")
	}
	if it.Personal != "" && !has(personalNames, it.Personal) {
		p.add(field("personal"), "unknown", "", "没有这种敏感信息类别：%s", "no such kind of personal data: %s", it.Personal)
	}
	if coding := p.topic(TopicCoding); (it.Personal == "resident_id" || it.Personal == "uscc") && (it.Type != Char || it.Length < 18) {
		p.add(field("type"), "identifier", coding, "身份号码和信用代码应为长度不少于 18 的字符型", "an identity or credit code is a character item of length 18 or more")
	}
	for name, mask := range map[string]string{"mask": it.Mask, "open_mask": it.OpenMask} {
		if mask != "" && !slices.Contains(MaskNames, mask) {
			p.add(field(name), "unknown", "", "没有这种脱敏方式：%s", "no such mask: %s", mask)
		}
	}
	if it.Grade < 0 || it.Grade > 4 {
		p.add(field("grade"), "range", p.topic(TopicGrade), "分级为 1 至 4", "a grade is 1 to 4")
	} else if r.Grade > 0 && it.Grade > r.Grade {
		p.add(field("grade"), "above", p.topic(TopicGrade), "信息项为 %[1]d 级，资源至少应为 %[1]d 级", "the item is grade %[1]d, so the resource is at least grade %[1]d", it.Grade)
	}
	if it.Sharing != "" && !has(sharingNames, string(it.Sharing)) {
		p.add(field("sharing"), "unknown", clause, "没有这种共享类型", "no such sharing type")
	} else if it.Sharing != "" && sharingRank(it.Sharing) < sharingRank(r.Sharing) {
		p.add(field("sharing"), "wider", clause, "信息项的共享类型不能比资源更宽", "an item is not shared more widely than its resource")
	}
	if it.Opening != "" && !has(openingNames, string(it.Opening)) {
		p.add(field("opening"), "unknown", clause, "没有这种开放类型", "no such opening type")
	} else if it.Opening != "" && openingRank(it.Opening) < openingRank(r.Opening) {
		p.add(field("opening"), "wider", clause, "信息项的开放类型不能比资源更宽", "an item is not opened more widely than its resource")
	}
}

func sharingRank(t SharingType) int {
	return slices.Index([]SharingType{Unconditional, Conditional, Withheld}, t)
}

func openingRank(t OpeningType) int {
	return slices.Index([]OpeningType{General, Authorised, Closed}, t)
}

func (p *problems) bounds(field func(string) string, it *Item) {
	if it.Min == "" && it.Max == "" {
		return
	}
	if it.Type == Logical || it.Type == Generic || it.Type == Memo {
		p.add(field("min"), "type", "", "该数据类型没有取值范围", "this data type has no range")
		return
	}
	for name, v := range map[string]string{"min": it.Min, "max": it.Max} {
		if v != "" && !fits(it.Type, v) {
			p.add(field(name), "type", "", "“%s”不符合数据类型", "%q is not of the item's type", v)
			return
		}
	}
	if it.Min != "" && it.Max != "" && less(it.Type, it.Max, it.Min) {
		p.add(field("max"), "order", "", "上限小于下限", "the maximum is below the minimum")
	}
}

// fits tells whether a constant of the catalog is canonical text of the type.
func fits(t ItemType, v string) bool {
	switch t {
	case Integer:
		_, err := strconv.ParseInt(v, 10, 64)
		return err == nil
	case Numeric, Money, Double, Float:
		_, err := strconv.ParseFloat(v, 64)
		return err == nil && !strings.ContainsAny(v, "xXpPnNiI_")
	case Date:
		_, err := time.Parse(time.DateOnly, v)
		return err == nil
	case DateTime:
		_, err := time.Parse(time.RFC3339, v)
		return err == nil
	case Logical:
		return v == "0" || v == "1"
	}
	return true
}

func less(t ItemType, a, b string) bool {
	switch t {
	case Integer, Numeric, Money, Double, Float:
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return x < y
	}
	return a < b
}

func (p *problems) sharing(r *Resource) {
	if !has(sharingNames, string(r.Sharing)) {
		p.add("sharing", "required", p.topic(TopicBasis), "请选择共享类型", "choose the sharing type")
		return
	}
	rule := p.policy.Sharing[r.Sharing]
	p.bases("sharing_basis", r.SharingBasis, rule.Basis, p.topic(TopicBasis), p.policy.SharingText(r.Sharing))
	switch r.Sharing {
	case Unconditional:
		if len(r.Conditions) > 0 {
			p.add("conditions", "unconditional", p.topic(TopicConditions), "无条件共享的资源不能附加条件", "a resource shared without conditions carries none")
		}
		// Important and core data is never shared without a decision.
		if limit := p.policy.GradeSharing; r.Grade > limit && limit > 0 {
			p.add("sharing", "grade", p.topic(TopicGrade), "%d 级数据不能无条件共享", "data of grade %d is not shared without conditions", r.Grade)
		}
	case Conditional:
		if len(r.Conditions) == 0 {
			p.add("conditions", "required", p.topic(TopicConditions), "有条件共享的资源应设定明确可执行的共享条件", "a conditionally shared resource states conditions that can be executed")
		}
		for i := range r.Conditions {
			p.condition(r, i, &r.Conditions[i])
		}
	case Withheld:
		if len(r.SharingWays) > 0 {
			p.add("sharing_ways", "withheld", p.topic(TopicWithheld), "%[1]s的资源没有共享方式", "a resource that is %[2]s has no way of sharing", p.policy.SharingText(Withheld).ZH, p.policy.SharingText(Withheld).EN)
		}
		if len(r.Conditions) > 0 {
			p.add("conditions", "withheld", p.topic(TopicWithheld), "%[1]s的资源没有共享条件", "a resource that is %[2]s has no conditions", p.policy.SharingText(Withheld).ZH, p.policy.SharingText(Withheld).EN)
		}
		return
	}
	p.ways(r)
}

func (p *problems) ways(r *Resource) {
	clause := p.topic(TopicCatalog)
	if len(r.SharingWays) == 0 {
		p.add("sharing_ways", "required", clause, "请选择共享方式", "choose how the resource is shared")
		return
	}
	side := false
	platform := map[Way]bool{}
	for _, w := range r.SharingWays {
		if !has(wayNames, string(w)) {
			p.add("sharing_ways", "unknown", clause, "没有这种共享方式：%s", "no such way of sharing: %s", w)
		} else if w.OnPlatform() {
			platform[w] = true
		} else {
			side = true
		}
	}
	// Form rule of the registration office: files are downloaded; a database is reached as one or by a service.
	switch {
	case r.Kind == Files && (platform[WayDatabase] || platform[WayService]):
		p.add("sharing_ways", "format", clause, "文件类资源在平台上以文件下载方式共享", "files are shared by download")
	case r.Kind == Table && r.Format == FormatDatabase && platform[WayFile]:
		p.add("sharing_ways", "format", clause, "数据库类资源在平台上以数据库或服务接口方式共享", "a database is shared as database or by a service interface")
	case r.Kind == Interface && (platform[WayDatabase] || platform[WayFile]):
		p.add("sharing_ways", "format", clause, "接口类资源以服务接口方式共享", "an interface is shared as service interface")
	}
	if side && !p.policy.SideChannels && strings.TrimSpace(r.SideApproval) == "" {
		p.add("side_approval", "required", p.topic(TopicChannel),
			"数据共享统一通过平台进行；确需邮件、拷盘或介质交换的，请填写主管部门批准文号", "sharing goes through the platform; where mail, disk or paper cannot be avoided, give the number of the authority's approval")
	}
}

func (p *problems) condition(r *Resource, i int, c *Condition) {
	clause := p.topic(TopicConditions)
	if len(c.Bodies)+len(c.Purposes)+len(c.Modes)+len(c.Items)+len(c.Rows) == 0 {
		p.add(at("conditions", i), "not_executable", clause,
			"共享条件应能执行：请指定部门、用途、方式、信息项或数据范围之一", "a condition can be executed: name departments, purposes, modes, items or rows")
	}
	if len(c.Modes) > 0 || len(c.Bodies) > 0 {
		if len(c.Purposes) == 0 { // FS-13 (1)–(4) each ask for the use as well
			p.add(at("conditions", i, "purposes"), "required", clause, "请说明使用用途", "state what it may be used for")
		}
	}
	for _, k := range c.Purposes {
		if !has(Purposes, k) {
			p.add(at("conditions", i, "purposes"), "unknown", clause, "没有这种用途：%s", "no such purpose: %s", k)
		}
	}
	for _, m := range c.Modes {
		if !slices.Contains(Modes, m) {
			p.add(at("conditions", i, "modes"), "unknown", clause, "没有这种使用方式：%s", "no such mode: %s", m)
		}
	}
	for _, id := range c.Items {
		if r.Item(id) == nil {
			p.add(at("conditions", i, "items"), "unknown", clause, "没有信息项 %s", "no item %s", id)
		}
	}
	for j := range c.Rows {
		f := &c.Rows[j]
		it := r.Item(f.Item)
		path := at("conditions", i, "rows."+strconv.Itoa(j))
		switch {
		case it == nil:
			p.add(path, "unknown", clause, "没有信息项 %s", "no item %s", f.Item)
		case !slices.Contains(FilterOps, f.Op):
			p.add(path, "unknown", clause, "没有这种比较：%s", "no such comparison: %s", f.Op)
		case f.Op == "null" || f.Op == "notnull":
			if len(f.Values) > 0 {
				p.add(path, "values", clause, "该比较没有取值", "this comparison takes no value")
			}
		case len(f.Values) == 0 || f.Op != "in" && len(f.Values) != 1:
			p.add(path, "values", clause, "请给出比较的取值", "give the value to compare with")
		default:
			for _, v := range f.Values {
				if f.Op != "prefix" && !fits(it.Type, v) {
					p.add(path, "type", clause, "“%s”不符合信息项的数据类型", "%q is not of the item's type", v)
				}
			}
		}
	}
	if c.MaxDays < 0 || c.MaxDays > 3660 {
		p.add(at("conditions", i, "max_days"), "range", clause, "授权天数应在 0 至 3660 之间", "a grant lasts 0 to 3660 days")
	}
}

// bases: a restricted type rests on documents of the kinds that the city accepts, each with its
// title and article (FZM-16, FS-5.3, LY-11).
func (p *problems) bases(field string, list []Basis, kinds []BasisKind, clause string, typeText errs.Text) {
	if len(kinds) > 0 && len(list) == 0 {
		names := make([]string, len(kinds))
		english := make([]string, len(kinds))
		for i, k := range kinds {
			names[i], english[i] = NameOf("basis", string(k)).ZH, NameOf("basis", string(k)).EN
		}
		p.add(field, "required", clause, "列为“%[1]s”应当有%[3]s作为依据，否则应无条件共享", "%[2]s needs a basis in %[4]s; without one the resource is shared unconditionally",
			typeText.ZH, typeText.EN, strings.Join(names, "、"), strings.Join(english, ", "))
	}
	for i, b := range list {
		if len(kinds) > 0 && !slices.Contains(kinds, b.Kind) {
			p.add(at(field, i, "kind"), "kind", clause, "本市不接受以“%[1]s”为依据", "this city does not accept a %[2]s as basis", NameOf("basis", string(b.Kind)).ZH, NameOf("basis", string(b.Kind)).EN)
		} else if !has(basisNames, string(b.Kind)) {
			p.add(at(field, i, "kind"), "required", clause, "请选择依据的种类", "choose the kind of the basis")
		}
		if strings.TrimSpace(b.Title) == "" {
			p.add(at(field, i, "title"), "required", clause, "请写明文件名称", "name the document")
		}
		if strings.TrimSpace(b.Article) == "" && b.Kind != NationalPolicy {
			p.add(at(field, i, "article"), "required", clause, "请写明条款", "name the article")
		}
	}
}

func (p *problems) opening(r *Resource) {
	if !has(openingNames, string(r.Opening)) {
		p.add("opening", "required", p.topic(TopicOpenList), "请选择开放类型", "choose the opening type")
		return
	}
	if r.Opening == Closed {
		if p.policy.ClosedGround && !has(ClosedGrounds, r.ClosedGround) {
			p.add("closed_ground", "required", p.topic(TopicGround), "不予开放应说明属于哪一种除外情形", "name the ground that keeps it out of opening")
		} else if r.ClosedGround == "secret" {
			p.add("closed_ground", "secret", p.topic(TopicSecrecy), "国家秘密不得在平台登记", "a state secret cannot be registered here")
		}
		return
	}
	if r.Opening == Authorised {
		if strings.TrimSpace(r.OpeningNote) == "" {
			p.add("opening_note", "required", p.topic(TopicOpenList), "请写明开放条件", "state the conditions of opening")
		}
		if p.policy.AuthorisedNeed && len(r.OpeningNeeds) == 0 {
			p.add("opening_needs", "required", p.topic(TopicNeed),
				"授权开放应说明理由：安全或处理要求较高、时效性较强或需持续获取，否则应普遍开放", "say why general opening will not do: security, processing, timeliness or continuous supply")
		}
		for _, n := range r.OpeningNeeds {
			if !has(AuthorisedNeeds, n) {
				p.add("opening_needs", "unknown", p.topic(TopicNeed), "没有这种理由：%s", "no such ground: %s", n)
			}
		}
	}
	limit := p.policy.GradeGeneral
	if r.Opening == Authorised {
		limit = p.policy.GradeAuthorised
	}
	masked := false
	for i := range r.Items {
		it := &r.Items[i]
		if EffectiveOpening(r, it) == Closed {
			continue
		}
		// Personal data is desensitised before opening, without exception (FZM-20, FZO-24, LY-17).
		if privacy.Kind(it.Personal).Personal() && it.OpenMask == "" {
			p.add(at("items", i, "open_mask"), "personal", p.topic(TopicPersonal), "“%[1]s”是个人信息，开放前应脱敏，或将该项设为不开放", "%[1]q is personal data: mask it before opening or close the item", it.Name)
		}
		if it.OpenMask != "" {
			masked = true
		} else if g := EffectiveGrade(r, it); limit > 0 && g > limit {
			p.add(at("items", i, "grade"), "grade", p.topic(TopicGrade), "%[2]d 级信息项“%[1]s”不能这样开放：请脱敏、降级或设为不开放", "item %[1]q of grade %[2]d cannot be opened so: mask it, grade it lower or close it", it.Name, g)
		}
	}
	if len(r.Items) == 0 && limit > 0 && r.Grade > limit {
		p.add("opening", "grade", p.topic(TopicGrade), "%d 级数据不能这样开放", "data of grade %d cannot be opened so", r.Grade)
	}
	if r.Grade >= 3 {
		p.add("opening", "important", p.topic(TopicGrade), "重要数据和核心数据不得向社会开放", "important and core data is not opened to the public")
	}
	if masked && strings.TrimSpace(r.Desensitised) == "" {
		p.add("desensitised", "required", p.topic(TopicPersonal), "请说明脱敏处理办法", "say how the data is desensitised")
	}
}

func (p *problems) duties(r *Resource) {
	if !has(cycleNames, string(r.Cycle)) {
		p.add("cycle", "required", p.topic(TopicCatalog), "请选择更新周期", "choose the update cycle")
	}
	if r.Grade < 1 || r.Grade > 4 {
		p.add("grade", "required", p.topic(TopicGrade), "请确定数据分级（1 至 4 级）", "grade the data, 1 to 4")
	}
	if !has(CollectionWays, r.Collection.Way) {
		p.add("collection.way", "required", p.topic(TopicCollection), "请说明采集方式", "state the way of collection")
	} else if r.Collection.Way != "business" && strings.TrimSpace(r.Collection.Basis) == "" {
		p.add("collection.basis", "required", p.topic(TopicCollection), "请写明采集所依据的法规或协议", "name the law or the agreement under which it is collected")
	}
	if clause := p.topic(TopicMinimum); clause != "" && r.Collection.Way == "agreement" && strings.TrimSpace(r.Collection.Minimum) == "" {
		p.add("collection.minimum", "required", clause, "面向行政相对人采集的，应明确采集的最小范围", "state the least that is collected from the public")
	}
	if strings.TrimSpace(r.Source.Duty) == "" {
		p.add("source.duty", "required", p.topic(TopicSource), "请写明产生该数据的法定职责", "name the statutory duty from which the data arises")
	}
	if !r.Source.Confirmed {
		p.add("source.confirmed", "required", p.topic(TopicSource), "请确认本单位是该数据的来源", "confirm that your body is the source of this data")
	}
	if r.Secrecy.Marked {
		p.add("secrecy.marked", "secret", p.topic(TopicSecrecy), "标有国家秘密的数据不得在平台登记、发布和交换", "data marked as a state secret cannot be registered, published or exchanged here")
	} else if !r.Secrecy.Declared {
		p.add("secrecy.declared", "required", p.topic(TopicSecrecy), "请作出保密审查声明", "make the secrecy declaration")
	}
	for name, n := range map[string]int64{"storage_mb": r.Survey.StorageMB, "rows": r.Survey.Rows, "shared_mb": r.Survey.SharedMB,
		"shared_rows": r.Survey.SharedRows, "published_mb": r.Survey.PublishedMB, "published_rows": r.Survey.PublishedRows} {
		if n < 0 {
			p.add("survey."+name, "range", "", "普查数量不能为负，不掌握的填 0", "a survey figure is not negative; 0 when unknown")
		}
	}
}

// EffectiveSharing is the sharing type of an item: its own, or the resource's.
func EffectiveSharing(r *Resource, it *Item) SharingType {
	if it.Sharing != "" {
		return it.Sharing
	}
	return r.Sharing
}

// EffectiveOpening is the opening type of an item: its own, or the resource's.
func EffectiveOpening(r *Resource, it *Item) OpeningType {
	if it.Opening != "" {
		return it.Opening
	}
	return r.Opening
}

// EffectiveGrade is the grade of an item: its own, or the resource's.
func EffectiveGrade(r *Resource, it *Item) int {
	if it.Grade != 0 {
		return it.Grade
	}
	return r.Grade
}

// Use is what somebody wants to do with a resource.
type Use struct {
	Body    string // id of the body that asks
	Purpose string // key of Purposes
	Mode    Mode
	Items   []string // item ids; empty asks for all that may be had
	Days    int      // 0 no end
}

// Leave is what the catalog permits of a Use: the items that may be had, those cut with the reason,
// the row filter and the longest term. Condition is the index of the condition that permits it, -1
// when the resource has none.
type Leave struct {
	Condition int
	Items     []string
	Cut       map[string]errs.Text
	Rows      []Filter
	MaxDays   int
}

// Permits measures a use against the sharing type and the executable conditions (FS-13): a use that
// no condition allows is refused with every condition's reason; of several that allow it the one that
// gives most items is taken. A withheld resource is refused outright (FS-12). Items that are withheld
// themselves are cut. Errors: Forbidden, Invalid for an unknown item or mode.
func (r *Resource) Permits(u Use, policy *Policy) (Leave, error) {
	if r.Sharing == Withheld {
		return Leave{}, errs.Newf(errs.Forbidden, "该资源%[1]s，不能申请使用", "the resource is %[2]s: it can be neither applied for nor used",
			policy.SharingText(Withheld).ZH, policy.SharingText(Withheld).EN).By(policy.Cites[TopicWithheld]...)
	}
	if !slices.Contains(Modes, u.Mode) {
		return Leave{}, errs.Newf(errs.Invalid, "没有这种使用方式：%s", "no such mode: %s", u.Mode).In("mode")
	}
	wanted := u.Items
	if len(wanted) == 0 {
		for i := range r.Items {
			wanted = append(wanted, r.Items[i].ID)
		}
	}
	for _, id := range wanted {
		if r.Item(id) == nil {
			return Leave{}, errs.Newf(errs.Invalid, "没有信息项 %s", "no item %s", id).In("items")
		}
	}
	if r.Sharing == Unconditional || len(r.Conditions) == 0 {
		l := Leave{Condition: -1, Cut: map[string]errs.Text{}}
		r.cut(&l, wanted, nil, policy)
		return l, nil
	}
	best := Leave{Condition: -1}
	var refused []errs.Problem
	for i := range r.Conditions {
		c := &r.Conditions[i]
		if why, ok := c.refuses(u); ok {
			refused = append(refused, errs.Problem{Field: at("conditions", i), Code: "condition", Text: why, Clause: policy.Cite(TopicConditions)})
			continue
		}
		l := Leave{Condition: i, Cut: map[string]errs.Text{}, Rows: c.Rows, MaxDays: c.MaxDays}
		r.cut(&l, wanted, c.Items, policy)
		if best.Condition < 0 || len(l.Items) > len(best.Items) {
			best = l
		}
	}
	if best.Condition < 0 {
		return Leave{}, errs.Newf(errs.Forbidden, "申请不符合该资源的共享条件", "the request meets none of the resource's sharing conditions").
			By(policy.Cites[TopicConditions]...).With(refused...)
	}
	return best, nil
}

func (r *Resource) cut(l *Leave, wanted, allowed []string, policy *Policy) {
	for _, id := range wanted {
		it := r.Item(id)
		switch {
		case EffectiveSharing(r, it) == Withheld:
			l.Cut[it.ID] = errs.Tf("该信息项%[1]s", "the item is %[2]s", policy.SharingText(Withheld).ZH, policy.SharingText(Withheld).EN)
		case len(allowed) > 0 && !slices.Contains(allowed, it.ID):
			l.Cut[it.ID] = errs.T("共享条件未包含该信息项", "the sharing condition does not cover the item")
		default:
			l.Items = append(l.Items, it.ID)
		}
	}
}

// refuses says why a condition does not allow a use.
func (c *Condition) refuses(u Use) (errs.Text, bool) {
	switch {
	case len(c.Bodies) > 0 && !slices.Contains(c.Bodies, u.Body):
		return errs.T("仅提供给指定部门", "for named departments only"), true
	case len(c.Purposes) > 0 && !slices.Contains(c.Purposes, u.Purpose):
		return errs.Tf("用途限于：%[1]s", "to be used only for: %[2]s", join(Purposes, c.Purposes, true), join(Purposes, c.Purposes, false)), true
	case len(c.Modes) > 0 && !slices.Contains(c.Modes, u.Mode):
		keys := make([]string, len(c.Modes))
		for i, m := range c.Modes {
			keys[i] = string(m)
		}
		return errs.Tf("方式限于：%[1]s", "modes allowed: %[2]s", join(modeNames, keys, true), join(modeNames, keys, false)), true
	case c.MaxDays > 0 && (u.Days <= 0 || u.Days > c.MaxDays):
		return errs.Tf("期限不超过 %d 天", "for at most %d days", c.MaxDays), true
	}
	return errs.Text{}, false
}

func join(list []Named, keys []string, zh bool) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k
		for _, n := range list {
			if n.Key == k && zh {
				out[i] = n.Text.ZH
			} else if n.Key == k {
				out[i] = n.Text.EN
			}
		}
	}
	if zh {
		return strings.Join(out, "、")
	}
	return strings.Join(out, ", ")
}

// ShareView is what a body sees of a published resource in the share catalog: all of it, or of a
// withheld one of another body, where the city says so, its name, provider and type (FS-12).
// existsOnly tells which. authority is true for people of the authority, who see everything.
func ShareView(r *Resource, body string, authority bool, policy *Policy) (view *Resource, existsOnly bool) {
	if r.Sharing != Withheld || !policy.WithheldExistsOnly || authority || r.Body == body && body != "" {
		return r, false
	}
	return &Resource{ID: r.ID, Code: r.Code, Version: r.Version, State: r.State, Current: r.Current, Kind: r.Kind, Name: r.Name,
		Class: r.Class, Theme: r.Theme, Body: r.Body, BodyName: r.BodyName, Sharing: r.Sharing, Opening: Closed, PublishedOn: r.PublishedOn}, true
}

// OpenView is what the public sees of a resource in the open catalog: nil when it is closed and the
// city hides closed resources (FS-14) or it is not in force; else a copy without closed items, without
// what concerns sharing between departments, and with the contents that FZO-11 lists.
func OpenView(r *Resource, policy *Policy) *Resource {
	if !r.Current || r.Opening == Closed && policy.ClosedHidden {
		return nil
	}
	v := &Resource{ID: r.ID, Code: r.Code, Version: r.Version, State: r.State, Current: true, Kind: r.Kind, Name: r.Name, Summary: r.Summary,
		Class: r.Class, Theme: r.Theme, Region: r.Region, Tags: r.Tags, Body: r.Body, BodyName: r.BodyName, USCC: r.USCC,
		Format: r.Format, FormatTypes: r.FormatTypes, Charset: r.Charset, Opening: r.Opening, OpeningNote: r.OpeningNote,
		Cycle: r.Cycle, PublishedOn: r.PublishedOn, PublishedAt: r.PublishedAt, UpdatedAt: r.UpdatedAt, Desensitised: r.Desensitised}
	if r.Opening == Closed {
		v.ClosedGround = r.ClosedGround
		return v
	}
	for _, it := range r.Items {
		if EffectiveOpening(r, &it) != Closed {
			it.Sharing, it.Mask = "", ""
			v.Items = append(v.Items, it)
		}
	}
	return v
}

// Grade and name likeness from which two resources count as the same data (FS-5.2).
const (
	sameName  = 0.80
	sameItems = 0.70
)

// Duplicate is a resource that looks like the same data.
type Duplicate struct {
	ID, Code, Name, Body, BodyName string
	NameScore                      float64  // 0 … 1, overlap of character pairs
	ItemScore                      float64  // 0 … 1, shared item names over all item names
	Shared                         []string // item names that both have
}

// NameScore is the Dice overlap of the two names' character pairs after white space, brackets' content
// and words that say nothing (信息, 数据, 表, 基本) are taken out: 1 for the same, 0 for nothing in common.
func NameScore(a, b string) float64 {
	x, y := pairs(plainName(a)), pairs(plainName(b))
	if len(x) == 0 || len(y) == 0 {
		if plainName(a) == plainName(b) && plainName(a) != "" {
			return 1
		}
		return 0
	}
	common := 0
	left := map[string]int{}
	for _, p := range x {
		left[p]++
	}
	for _, p := range y {
		if left[p] > 0 {
			left[p]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(x)+len(y))
}

var emptyWords = strings.NewReplacer("信息", "", "数据", "", "基本", "", "情况", "", "明细", "", "名单", "", "表", "", " ", "", "市级", "")

func plainName(s string) string {
	var b strings.Builder
	depth := 0
	for _, c := range s {
		switch c {
		case '(', '（':
			depth++
			continue
		case ')', '）':
			if depth > 0 {
				depth--
			}
			continue
		}
		if depth == 0 && !unicode.IsSpace(c) && !unicode.IsPunct(c) {
			b.WriteRune(unicode.ToLower(c))
		}
	}
	if short := emptyWords.Replace(b.String()); utf8.RuneCountInString(short) >= 2 {
		return short
	}
	return b.String()
}

func pairs(s string) []string {
	runes := []rune(s)
	var out []string
	for i := 0; i+1 < len(runes); i++ {
		out = append(out, string(runes[i:i+2]))
	}
	return out
}

// ItemScore is the Jaccard likeness of two sets of item names, and the names that both have. Items
// that every table has (序号, 备注, 更新时间…) do not count.
func ItemScore(a, b []string) (float64, []string) {
	set := map[string]bool{}
	for _, n := range a {
		if !commonItems[n] {
			set[n] = true
		}
	}
	union := len(set)
	var shared []string
	seen := map[string]bool{}
	for _, n := range b {
		if commonItems[n] || seen[n] {
			continue
		}
		seen[n] = true
		if set[n] {
			shared = append(shared, n)
		} else {
			union++
		}
	}
	if union == 0 {
		return 0, nil
	}
	return float64(len(shared)) / float64(union), shared
}

var commonItems = map[string]bool{"序号": true, "备注": true, "更新时间": true, "创建时间": true, "更新日期": true, "编号": true, "ID": true, "id": true, "名称": true, "状态": true}

// looksSame decides from the two scores whether a resource is a duplicate: alike in name and not
// contradicted by its items, or alike in items.
func looksSame(name, item float64, items int) bool {
	return name >= sameName && (items == 0 || item >= 0.3) || item >= sameItems && items >= 3
}

func at(list string, i int, rest ...string) string {
	s := list + "." + strconv.Itoa(i)
	for _, r := range rest {
		s += "." + r
	}
	return s
}

// FormatCode writes a resource code from its class and serial number, which has four digits or more.
func FormatCode(c Class, serial int64) string { return fmt.Sprintf("%s/%04d", c.Prefix(), serial) }
