package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// Sheets of the catalog workbook.
const (
	SheetHelp      = "填写说明"
	SheetResources = "信息资源"
	SheetItems     = "信息项"
	SheetCodes     = "取值"
)

// Bounds of a workbook.
const (
	MaxWorkbook          = 20 << 20 // bytes
	maxWorkbookResources = 2000
	maxWorkbookItems     = 60000
	uploadsKept          = 7 * 24 * time.Hour
)

// column is one column of a sheet: which field it holds, its heading, who must fill it, what it says
// in the help, the list it is chosen from, and how it is read and written.
type column[T any] struct {
	field    string // path as in Validate
	title    string
	required bool
	help     string
	list     []Named
	width    float64
	get      func(v *T) string
	set      func(v *T, s string) error
}

func yesNo(b bool) string {
	if b {
		return "是"
	}
	return "否"
}

var yesNoList = []Named{{Key: "是", Text: errs.T("是", "yes")}, {Key: "否", Text: errs.T("否", "no")}}

func parseYesNo(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "是", "y", "yes", "1", "true", "√", "有":
		return true, nil
	case "", "否", "n", "no", "0", "false", "×", "无":
		return false, nil
	}
	return false, cellFault("请填“是”或“否”", "fill in 是 (yes) or 否 (no)")
}

func cellFault(zh, en string, args ...any) error { return errs.Newf(errs.Invalid, zh, en, args...) }

func parseCount(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSuffix(s, ".0"), ",", ""), 10, 64)
	if err != nil || n < 0 {
		return 0, cellFault("请填数字，不掌握的填 0", "fill in a number, 0 when unknown")
	}
	return n, nil
}

func words(list []Named, key string) string {
	if key == "" {
		return ""
	}
	return join(list, []string{key}, true)
}

func parseWord(list []Named, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	// Codes written as "01 人口信息" are taken by their code.
	if key, ok := keyOf(list, s); ok {
		return key, nil
	}
	if code, _, ok := strings.Cut(s, " "); ok {
		if key, ok := keyOf(list, code); ok {
			return key, nil
		}
	}
	return "", cellFault("没有“%[1]s”这个取值，可填：%[2]s", "%[1]q is not a value; take one of: %[3]s", s, strings.Join(allWords(list, true), "、"), strings.Join(allWords(list, false), ", "))
}

func allWords(list []Named, zh bool) []string {
	out := make([]string, 0, min(len(list), 12))
	for i, n := range list {
		if i == 12 {
			return append(out, "…")
		}
		if zh {
			out = append(out, n.Text.ZH)
		} else {
			out = append(out, n.Text.EN)
		}
	}
	return out
}

// parts of a cell with several values are parted by 、 ； ; , ，| or a line break.
func several(s string) []string {
	var out []string
	for _, p := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("、；;,，|\n\r", r) }) {
		if p = strings.TrimSpace(p); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func severalWords(list []Named, s string) ([]string, error) {
	var out []string
	for _, p := range several(s) {
		key, err := parseWord(list, p)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

func textColumn[T any](field, title string, required bool, help string, at func(*T) *string) column[T] {
	return column[T]{field: field, title: title, required: required, help: help, width: 18,
		get: func(v *T) string { return *at(v) }, set: func(v *T, s string) error { *at(v) = s; return nil }}
}

func wordColumn[T any](field, title string, required bool, help string, list []Named, get func(*T) string, set func(*T, string)) column[T] {
	return column[T]{field: field, title: title, required: required, help: help, list: list, width: 14,
		get: func(v *T) string { return words(list, get(v)) },
		set: func(v *T, s string) error {
			key, err := parseWord(list, s)
			if err == nil {
				set(v, key)
			}
			return err
		}}
}

func flagColumn[T any](field, title, help string, at func(*T) *bool) column[T] {
	return column[T]{field: field, title: title, help: help, list: yesNoList, width: 8,
		get: func(v *T) string { return yesNo(*at(v)) },
		set: func(v *T, s string) (err error) { *at(v), err = parseYesNo(s); return err }}
}

func countColumn[T any](field, title, help string, at func(*T) *int64) column[T] {
	return column[T]{field: field, title: title, help: help, width: 12,
		get: func(v *T) string { return strconv.FormatInt(*at(v), 10) },
		set: func(v *T, s string) (err error) { *at(v), err = parseCount(s); return err }}
}

func intColumn[T any](field, title, help string, at func(*T) *int) column[T] {
	return column[T]{field: field, title: title, help: help, width: 8,
		get: func(v *T) string {
			if *at(v) == 0 {
				return ""
			}
			return strconv.Itoa(*at(v))
		},
		set: func(v *T, s string) error { n, err := parseCount(s); *at(v) = int(n); return err }}
}

func listColumn[T any](field, title string, required bool, help string, at func(*T) *[]string) column[T] {
	return column[T]{field: field, title: title, required: required, help: help, width: 18,
		get: func(v *T) string { return strings.Join(*at(v), "、") },
		set: func(v *T, s string) error { *at(v) = several(s); return nil }}
}

// line is a resource row of the workbook: the resource, and what only the workbook knows.
type line struct {
	Resource
	Ref        string // serial number by which the items sheet refers to it
	Provider   string
	classItem  string
	Condition  Condition
	Basis      Basis
	BodiesText string
}

func bookText(field, title string, required bool, help string, at func(*line) *string) column[line] {
	return textColumn(field, title, required, help, at)
}

var resourceColumns = []column[line]{
	bookText("ref", "序号", true, "本表内的编号，信息项表用它指明所属资源", func(l *line) *string { return &l.Ref }),
	bookText("code", "信息资源代码", false, "新登记的留空，由平台生成；修改已有资源的填写其代码", func(l *line) *string { return &l.Code }),
	bookText("name", "信息资源名称", true, "说明数据内容，不用信息系统名称，首尾不带空格和标点", func(l *line) *string { return &l.Name }),
	wordColumn("kind", "资源形态", true, "库表、文件或接口", kindNames, func(l *line) string { return string(l.Kind) }, func(l *line, s string) { l.Kind = Kind(s) }),
	wordColumn("class.class", "类", true, "基础、主题或部门信息资源", Classes, func(l *line) string { return l.Class.Class }, func(l *line, s string) { l.Class.Class = s }),
	{field: "class.item", title: "项", required: true, help: "两位代码或名称，见“取值”表", width: 18,
		get: func(l *line) string {
			if l.Class.Item == "" {
				return ""
			}
			return l.Class.Item + " " + words(ClassItems[l.Class.Class], l.Class.Item)
		},
		set: func(l *line, s string) error { l.classItem = s; return nil }},
	bookText("class.head", "目", false, "三位数字；部门信息资源可留空，由平台按部门生成", func(l *line) *string { return &l.Class.Head }),
	bookText("class.detail", "细目", false, "可留空", func(l *line) *string { return &l.Class.Detail }),
	wordColumn("theme", "主题", true, "门户按主题列出", Themes(), func(l *line) string { return l.Theme }, func(l *line, s string) { l.Theme = s }),
	bookText("body", "信息资源提供方", false, "单位全称；本单位的可留空", func(l *line) *string { return &l.Provider }),
	bookText("office", "责任处室", false, "", func(l *line) *string { return &l.Office }),
	bookText("system", "来源系统", false, "产生数据的信息系统", func(l *line) *string { return &l.System }),
	bookText("summary", "信息资源摘要", true, "数据的内容、范围和用途", func(l *line) *string { return &l.Summary }),
	listColumn("tags", "关键词", false, "多个用顿号分开", func(l *line) *[]string { return &l.Tags }),
	bookText("region", "覆盖区划", false, "行政区划代码", func(l *line) *string { return &l.Region }),
	wordColumn("format", "信息资源格式", true, "格式大类", FormatClasses, func(l *line) string { return string(l.Format) }, func(l *line, s string) { l.Format = FormatClass(s) }),
	listColumn("format_types", "具体格式", true, "例如 xlsx、mysql，多个用顿号分开", func(l *line) *[]string { return &l.FormatTypes }),
	bookText("charset", "字符集", false, "文本类电子文件填写", func(l *line) *string { return &l.Charset }),
	wordColumn("sharing", "共享类型", true, "无条件共享为原则", sharingNames, func(l *line) string { return string(l.Sharing) }, func(l *line, s string) { l.Sharing = SharingType(s) }),
	bookText("sharing_note", "共享条件说明", false, "有条件共享的填写", func(l *line) *string { return &l.SharingNote }),
	{field: "conditions.0.bodies", title: "可用部门", help: "有条件共享：可使用的部门全称，多个用顿号分开，不限的留空", width: 20,
		get: func(l *line) string { return l.BodiesText }, set: func(l *line, s string) error { l.BodiesText = s; return nil }},
	{field: "conditions.0.purposes", title: "使用用途", help: "有条件共享：行政依据、工作参考、数据校核、业务协同等", width: 20,
		get: func(l *line) string { return join(Purposes, l.Condition.Purposes, true) },
		set: func(l *line, s string) (err error) { l.Condition.Purposes, err = severalWords(Purposes, s); return err }},
	{field: "conditions.0.modes", title: "使用方式", help: "有条件共享：查询、核验、获取、统计，不限的留空", width: 16,
		get: func(l *line) string {
			var keys []string
			for _, m := range l.Condition.Modes {
				keys = append(keys, string(m))
			}
			return join(modeNames, keys, true)
		},
		set: func(l *line, s string) error {
			keys, err := severalWords(modeNames, s)
			l.Condition.Modes = nil
			for _, k := range keys {
				l.Condition.Modes = append(l.Condition.Modes, Mode(k))
			}
			return err
		}},
	listColumn("conditions.0.items", "可用信息项", false, "有条件共享：只提供部分信息项时填写名称", func(l *line) *[]string { return &l.Condition.Items }),
	intColumn("conditions.0.max_days", "最长天数", "有条件共享：授权最长天数，不限的留空", func(l *line) *int { return &l.Condition.MaxDays }),
	{field: "sharing_ways", title: "共享方式", help: "共享平台-数据库、共享平台-文件下载、共享平台-服务接口；不予共享的留空", width: 22,
		get: func(l *line) string {
			var keys []string
			for _, w := range l.SharingWays {
				keys = append(keys, string(w))
			}
			return join(wayNames, keys, true)
		},
		set: func(l *line, s string) error {
			keys, err := severalWords(wayNames, s)
			l.SharingWays = nil
			for _, k := range keys {
				l.SharingWays = append(l.SharingWays, Way(k))
			}
			return err
		}},
	bookText("side_approval", "平台外共享批准文号", false, "邮件、拷盘、介质交换须经批准", func(l *line) *string { return &l.SideApproval }),
	wordColumn("sharing_basis.0.kind", "依据种类", false, "有条件、不予共享的须有依据", basisNames, func(l *line) string { return string(l.Basis.Kind) }, func(l *line, s string) { l.Basis.Kind = BasisKind(s) }),
	bookText("sharing_basis.0.title", "依据文件", false, "法律法规或文件的名称", func(l *line) *string { return &l.Basis.Title }),
	bookText("sharing_basis.0.article", "依据条款", false, "例如 第十九条", func(l *line) *string { return &l.Basis.Article }),
	wordColumn("opening", "开放类型", true, "", openingNames, func(l *line) string { return string(l.Opening) }, func(l *line, s string) { l.Opening = OpeningType(s) }),
	bookText("opening_note", "开放条件", false, "授权开放的填写", func(l *line) *string { return &l.OpeningNote }),
	wordColumn("closed_ground", "不开放情形", false, "不开放的填写", ClosedGrounds, func(l *line) string { return l.ClosedGround }, func(l *line, s string) { l.ClosedGround = s }),
	{field: "opening_needs", title: "授权开放理由", help: "授权开放的填写", width: 18,
		get: func(l *line) string { return join(AuthorisedNeeds, l.OpeningNeeds, true) },
		set: func(l *line, s string) (err error) {
			l.OpeningNeeds, err = severalWords(AuthorisedNeeds, s)
			return err
		}},
	bookText("desensitised", "脱敏办法", false, "开放前如何脱敏", func(l *line) *string { return &l.Desensitised }),
	wordColumn("cycle", "更新周期", true, "", cycleNames, func(l *line) string { return string(l.Cycle) }, func(l *line, s string) { l.Cycle = Cycle(s) }),
	listColumn("related", "关联资源代码", false, "多个用顿号分开", func(l *line) *[]string { return &l.Related }),
	{field: "grade", title: "数据分级", required: true, help: "1 至 4", list: Grades, width: 12,
		get: func(l *line) string {
			if l.Grade == 0 {
				return ""
			}
			return words(Grades, strconv.Itoa(l.Grade))
		},
		set: func(l *line, s string) error {
			key, err := parseWord(Grades, strings.TrimSuffix(s, "级"))
			l.Grade, _ = strconv.Atoi(key)
			return err
		}},
	wordColumn("collection.way", "采集方式", true, "", CollectionWays, func(l *line) string { return l.Collection.Way }, func(l *line, s string) { l.Collection.Way = s }),
	bookText("collection.basis", "采集依据", false, "依法采集或协议采集的填写依据", func(l *line) *string { return &l.Collection.Basis }),
	bookText("collection.minimum", "最小采集范围", false, "面向行政相对人采集的填写", func(l *line) *string { return &l.Collection.Minimum }),
	bookText("source.duty", "法定职责", true, "产生该数据的职责", func(l *line) *string { return &l.Source.Duty }),
	flagColumn("source.confirmed", "确认为数据来源", "一数一源", func(l *line) *bool { return &l.Source.Confirmed }),
	bookText("source.overlap", "与相似资源的区别", false, "平台提示有相似资源时填写", func(l *line) *string { return &l.Source.Overlap }),
	flagColumn("secrecy.declared", "保密审查声明", "确认不含国家秘密、工作秘密", func(l *line) *bool { return &l.Secrecy.Declared }),
	bookText("secrecy.document", "保密审查文号", false, "", func(l *line) *string { return &l.Secrecy.Document }),
	countColumn("survey.storage_mb", "存储总量(MB)", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.StorageMB }),
	countColumn("survey.rows", "结构化记录数", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.Rows }),
	countColumn("survey.shared_mb", "已共享量(MB)", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.SharedMB }),
	countColumn("survey.shared_rows", "已共享记录数", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.SharedRows }),
	countColumn("survey.published_mb", "已开放量(MB)", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.PublishedMB }),
	countColumn("survey.published_rows", "已开放记录数", "只填数字，不掌握的填 0", func(l *line) *int64 { return &l.Survey.PublishedRows }),
}

type itemLine struct {
	Item
	Ref string
}

func itemColumn(field, title string, required bool, help string, at func(*itemLine) *string) column[itemLine] {
	return textColumn(field, title, required, help, at)
}

var itemColumns = []column[itemLine]{
	itemColumn("ref", "资源序号", true, "信息资源表中的序号", func(l *itemLine) *string { return &l.Ref }),
	itemColumn("name", "信息项名称", true, "", func(l *itemLine) *string { return &l.Name }),
	itemColumn("code", "英文名", true, "字母开头，字母、数字、下划线", func(l *itemLine) *string { return &l.Code }),
	wordColumn("type", "数据类型", true, "字符型 C、数值型 N、日期型 D 等", typeNames, func(l *itemLine) string { return string(l.Type) }, func(l *itemLine, s string) { l.Type = ItemType(s) }),
	intColumn("length", "数据长度", "字符型必填", func(l *itemLine) *int { return &l.Length }),
	intColumn("scale", "小数位", "数值型、货币型", func(l *itemLine) *int { return &l.Scale }),
	flagColumn("key", "主键", "", func(l *itemLine) *bool { return &l.Key }),
	flagColumn("required", "必填", "", func(l *itemLine) *bool { return &l.Required }),
	flagColumn("unique", "唯一", "", func(l *itemLine) *bool { return &l.Unique }),
	flagColumn("not_future", "不晚于当日", "日期", func(l *itemLine) *bool { return &l.NotFuture }),
	itemColumn("code_list", "标准代码表", false, "例如 GB/T 2261.1", func(l *itemLine) *string { return &l.CodeList }),
	{field: "enum", title: "自有代码", help: "例如 1=有效;2=注销", width: 24,
		get: func(l *itemLine) string {
			var out []string
			for _, c := range l.Enum {
				out = append(out, c.Value+"="+c.Label)
			}
			return strings.Join(out, ";")
		},
		set: func(l *itemLine, s string) error {
			l.Enum = nil
			for _, p := range strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == '；' || r == '\n' }) {
				value, label, _ := strings.Cut(strings.ReplaceAll(p, "＝", "="), "=")
				l.Enum = append(l.Enum, Code{Value: strings.TrimSpace(value), Label: strings.TrimSpace(label)})
			}
			return nil
		}},
	itemColumn("pattern", "格式规则", false, "正则表达式", func(l *itemLine) *string { return &l.Pattern }),
	itemColumn("min", "下限", false, "", func(l *itemLine) *string { return &l.Min }),
	itemColumn("max", "上限", false, "", func(l *itemLine) *string { return &l.Max }),
	{field: "reference", title: "引用", help: "资源代码:英文名，值须存在于该资源", width: 20,
		get: func(l *itemLine) string {
			if l.Reference == nil {
				return ""
			}
			return l.Reference.Resource + ":" + l.Reference.Item
		},
		set: func(l *itemLine, s string) error {
			if l.Reference = nil; s == "" {
				return nil
			}
			code, item, ok := strings.Cut(strings.ReplaceAll(s, "：", ":"), ":")
			if !ok {
				return cellFault("请写成 资源代码:英文名", "write it as code:item")
			}
			l.Reference = &Reference{Resource: strings.TrimSpace(code), Item: strings.TrimSpace(item)}
			return nil
		}},
	wordColumn("personal", "敏感信息类别", false, "个人信息须填写", personalNames, func(l *itemLine) string { return l.Personal }, func(l *itemLine, s string) { l.Personal = s }),
	wordColumn("sharing", "共享类型", false, "与资源不同时填写", sharingNames, func(l *itemLine) string { return string(l.Sharing) }, func(l *itemLine, s string) { l.Sharing = SharingType(s) }),
	wordColumn("mask", "共享脱敏", false, "", maskText, func(l *itemLine) string { return l.Mask }, func(l *itemLine, s string) { l.Mask = s }),
	wordColumn("opening", "开放类型", false, "与资源不同时填写", openingNames, func(l *itemLine) string { return string(l.Opening) }, func(l *itemLine, s string) { l.Opening = OpeningType(s) }),
	wordColumn("open_mask", "开放脱敏", false, "", maskText, func(l *itemLine) string { return l.OpenMask }, func(l *itemLine, s string) { l.OpenMask = s }),
	intColumn("grade", "分级", "与资源不同时填写 1 至 4", func(l *itemLine) *int { return &l.Grade }),
	itemColumn("description", "说明", false, "", func(l *itemLine) *string { return &l.Description }),
}

func lineOf(r *Resource, ref string, bodyName func(string) string) *line {
	l := &line{Resource: *r, Ref: ref, Provider: r.BodyName}
	if len(r.Conditions) > 0 {
		l.Condition = r.Conditions[0]
		l.Condition.Items = nil
		for _, id := range r.Conditions[0].Items {
			if it := r.Item(id); it != nil {
				l.Condition.Items = append(l.Condition.Items, it.Name)
			}
		}
		var names []string
		for _, id := range r.Conditions[0].Bodies {
			names = append(names, bodyName(id))
		}
		l.BodiesText = strings.Join(names, "、")
	}
	if len(r.SharingBasis) > 0 {
		l.Basis = r.SharingBasis[0]
	}
	return l
}

// WriteWorkbook writes the catalog workbook: help, resources, items, and the values of its lists, with
// drop-downs. Without resources it is the template, with one made-up example that import skips. A
// resource's conditions and bases beyond the first do not fit a row; they stay as they are when the
// workbook comes back.
func (s *Service) WriteWorkbook(ctx context.Context, w io.Writer, resources []*Resource) error {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", SheetHelp); err != nil {
		return err
	}
	for _, name := range []string{SheetResources, SheetItems, SheetCodes} {
		if _, err := f.NewSheet(name); err != nil {
			return err
		}
	}
	head, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCE6F2"}},
		Alignment: &excelize.Alignment{Vertical: "center", WrapText: true}})
	if err != nil {
		return err
	}
	must, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true, Color: "B42318"}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCE6F2"}},
		Alignment: &excelize.Alignment{Vertical: "center", WrapText: true}})
	if err != nil {
		return err
	}
	text, err := f.NewStyle(&excelize.Style{NumFmt: 49}) // text, so that Excel keeps 0001 as it is
	if err != nil {
		return err
	}
	if err := writeHelp(f, s.Policy()); err != nil {
		return err
	}
	lists := map[string]string{}
	if err := writeLists(f, head, lists); err != nil {
		return err
	}
	bodyName := func(id string) string {
		if b, err := s.deps.Body(ctx, id); err == nil {
			return b.Name
		}
		return id
	}
	var lines []*line
	var items []*itemLine
	for i, r := range resources {
		ref := strconv.Itoa(i + 1)
		lines = append(lines, lineOf(r, ref, bodyName))
		for _, it := range r.Items {
			items = append(items, &itemLine{Item: it, Ref: ref})
		}
	}
	if err := writeSheet(f, SheetResources, resourceColumns, lines, head, must, text, lists); err != nil {
		return err
	}
	if err := writeSheet(f, SheetItems, itemColumns, items, head, must, text, lists); err != nil {
		return err
	}
	f.SetActiveSheet(1)
	_, err = f.WriteTo(w)
	return err
}

func writeHelp(f *excelize.File, policy *Policy) error {
	rows := [][]any{
		{"政务信息资源目录编制表"},
		{"依据：发改高技〔2017〕1272号《政务信息资源目录编制指南（试行）》；本市条款：" + strings.Join(policy.Cites[TopicCatalog], "、")},
		{"一、“信息资源”表每行一个资源，“信息项”表每行一个信息项，用“序号”对应。红色表头为必填。"},
		{"二、请勿改动表头。多个取值用顿号分开；可选取值见“取值”表和下拉列表。"},
		{"三、信息资源代码由平台生成，新登记的留空；填写已有代码的，修改该资源的草稿或生成新版本。"},
		{"四、上传后先预览，逐单元格指出问题；确认后一次全部登记，有一处错误则全部不登记。登记后为草稿，仍须部门签发、保密审查和主管部门审核。"},
		{"五、涉及国家秘密的数据不得登记（" + strings.Join(policy.Cites[TopicSecrecy], "、") + "）。"},
		{},
		{"表", "列", "必填", "填写说明"},
	}
	for _, c := range resourceColumns {
		rows = append(rows, []any{SheetResources, c.title, yesNo(c.required), c.help})
	}
	for _, c := range itemColumns {
		rows = append(rows, []any{SheetItems, c.title, yesNo(c.required), c.help})
	}
	for i := range rows {
		if err := f.SetSheetRow(SheetHelp, "A"+strconv.Itoa(i+1), &rows[i]); err != nil {
			return err
		}
	}
	for col, width := range map[string]float64{"A": 14, "B": 22, "C": 8, "D": 70} {
		if err := f.SetColWidth(SheetHelp, col, col, width); err != nil {
			return err
		}
	}
	return nil
}

// writeLists fills the sheet of values, a column a list, and notes the range of each for drop-downs.
func writeLists(f *excelize.File, head int, ranges map[string]string) error {
	type namedList struct {
		title string
		list  []Named
	}
	all := []namedList{{"是否", yesNoList}}
	add := func(title string, list []Named) {
		if list != nil && !slices.ContainsFunc(all, func(n namedList) bool { return n.title == title }) {
			all = append(all, namedList{title, list})
		}
	}
	for _, c := range resourceColumns {
		if c.list != nil && c.list[0].Key != "是" {
			add(c.title, c.list)
		}
	}
	for _, c := range itemColumns {
		if c.list != nil && c.list[0].Key != "是" {
			add(c.title, c.list)
		}
	}
	for class, title := range map[string]string{"1": "基础信息资源的项", "2": "主题信息资源的项", "3": "部门信息资源的项"} {
		list := make([]Named, 0, len(ClassItems[class]))
		for _, n := range ClassItems[class] {
			list = append(list, Named{Key: n.Key, Text: errs.T(n.Key+" "+n.Text.ZH, n.Key+" "+n.Text.EN)})
		}
		add(title, list)
	}
	slices.SortStableFunc(all, func(a, b namedList) int { return strings.Compare(a.title, b.title) })
	for i, l := range all {
		col, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		if err := f.SetCellStr(SheetCodes, col+"1", l.title); err != nil {
			return err
		}
		if err := f.SetCellStyle(SheetCodes, col+"1", col+"1", head); err != nil {
			return err
		}
		for j, n := range l.list {
			if err := f.SetCellStr(SheetCodes, col+strconv.Itoa(j+2), n.Text.ZH); err != nil {
				return err
			}
		}
		ranges[l.title] = fmt.Sprintf("%s!$%s$2:$%s$%d", SheetCodes, col, col, len(l.list)+1)
		if err := f.SetColWidth(SheetCodes, col, col, 20); err != nil {
			return err
		}
	}
	return nil
}

func writeSheet[T any](f *excelize.File, sheet string, columns []column[T], lines []*T, head, must, text int, ranges map[string]string) error {
	for i, c := range columns {
		col, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		if err := f.SetColStyle(sheet, col, text); err != nil {
			return err
		}
		if err := f.SetColWidth(sheet, col, col, max(c.width, 8)); err != nil {
			return err
		}
		if err := f.SetCellStr(sheet, col+"1", c.title); err != nil {
			return err
		}
		style := head
		if c.required {
			style = must
		}
		if err := f.SetCellStyle(sheet, col+"1", col+"1", style); err != nil {
			return err
		}
		if c.list != nil {
			v := excelize.NewDataValidation(true)
			v.Sqref = fmt.Sprintf("%s2:%s%d", col, col, 5000)
			title := c.title
			if c.list[0].Key == "是" {
				title = "是否"
			}
			v.SetSqrefDropList(ranges[title])
			v.SetError(excelize.DataValidationErrorStyleWarning, c.title, "请从下拉列表中选择")
			if err := f.AddDataValidation(sheet, v); err != nil {
				return err
			}
		}
	}
	for i, l := range lines {
		for j, c := range columns {
			v := c.get(l)
			if v == "" {
				continue
			}
			cell, err := excelize.CoordinatesToCellName(j+1, i+2)
			if err != nil {
				return err
			}
			if err := f.SetCellStr(sheet, cell, v); err != nil {
				return err
			}
		}
	}
	return f.SetPanes(sheet, &excelize.Panes{Freeze: true, XSplit: 3, YSplit: 1, TopLeftCell: "D2", ActivePane: "bottomRight"})
}

// Planned is a resource of a workbook that would be registered: what the row says, and which existing
// resource it changes.
type Planned struct {
	Row      int      // in the resources sheet
	Existing string   // code of the resource that it changes, "" for a new one
	Resource Resource // items numbered when it is registered
	Warnings []errs.Problem
}

// Import is a workbook under preview. Problems, each naming sheet and cell ("信息资源!C5"), keep it
// from being registered; the warnings of a resource must be mended before it is signed off.
type Import struct {
	ID        string
	FileName  string
	Digest    string // SHA-256 of the file
	At        time.Time
	Done      bool
	Resources []Planned
	Problems  []errs.Problem
}

// ReadWorkbook reads a catalog workbook and checks every cell. It needs no store and registers nothing.
// bodyOf finds a body by name. Errors: errs.Invalid or errs.TooLarge when it is no such workbook at
// all; faults in cells are in the Import.
func ReadWorkbook(content []byte, policy *Policy, own Body, bodyOf func(name string) (Body, error)) (*Import, error) {
	if len(content) > MaxWorkbook {
		return nil, errs.Newf(errs.TooLarge, "工作簿不超过 %d MB", "a workbook has at most %d MB", MaxWorkbook>>20).In("file")
	}
	f, err := openWorkbook(content)
	if err != nil {
		return nil, errs.New(errs.Invalid, errs.T("文件不是可读的 XLSX 工作簿，请用平台导出的模板", "the file is not a readable XLSX workbook; use the template")).In("file").Because(err)
	}
	defer f.Close()
	im := &Import{}
	lines, err := readSheet(f, SheetResources, resourceColumns, maxWorkbookResources, im)
	if err != nil {
		return nil, err
	}
	items, err := readSheet(f, SheetItems, itemColumns, maxWorkbookItems, im)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 && len(im.Problems) == 0 {
		return nil, errs.New(errs.Invalid, errs.T("“信息资源”表没有内容", "the sheet of resources is empty")).In("file")
	}
	byRef := map[string]int{}
	itemRows := make([][]int, len(lines))
	for i := range lines {
		l := &lines[i]
		ref := l.v.Ref
		if _, ok := byRef[ref]; ok && ref != "" {
			im.fault(SheetResources, resourceColumns, "ref", l.row, "duplicate", "", errs.Tf("序号 %s 重复", "serial %s stands twice", ref))
		} else if ref == "" {
			im.fault(SheetResources, resourceColumns, "ref", l.row, "required", "", errs.T("请填写序号", "give a serial number"))
		}
		byRef[ref] = i
		if l.v.classItem != "" {
			if key, err := parseWord(ClassItems[l.v.Class.Class], l.v.classItem); err != nil {
				e, _ := errs.As(err)
				im.fault(SheetResources, resourceColumns, "class.item", l.row, "unknown", policy.Cite(TopicCatalog), e.Text)
			} else {
				l.v.Class.Item = key
			}
		}
		if l.v.Class.Class == "3" && l.v.Class.Item == "" {
			l.v.Class.Item = "07"
		}
		l.v.Body, l.v.BodyName, l.v.USCC = own.ID, own.Name, own.USCC
		if l.v.Provider != "" && l.v.Provider != own.Name {
			b, err := bodyOf(l.v.Provider)
			if err != nil {
				im.fault(SheetResources, resourceColumns, "body", l.row, "unknown", policy.Cite(TopicOwn), errs.Tf("没有单位“%s”", "no body %q", l.v.Provider))
			} else {
				setBody(&l.v.Resource, b)
			}
		}
		cond := l.v.Condition
		for _, name := range several(l.v.BodiesText) {
			if b, err := bodyOf(name); err != nil {
				im.fault(SheetResources, resourceColumns, "conditions.0.bodies", l.row, "unknown", policy.Cite(TopicConditions), errs.Tf("没有单位“%s”", "no body %q", name))
			} else {
				cond.Bodies = append(cond.Bodies, b.ID)
			}
		}
		if len(cond.Bodies)+len(cond.Purposes)+len(cond.Modes)+len(cond.Items) > 0 || cond.MaxDays > 0 {
			l.v.Conditions = []Condition{cond}
		}
		if l.v.Basis != (Basis{}) {
			l.v.SharingBasis = []Basis{l.v.Basis}
		}
	}
	for i := range items {
		it := &items[i]
		at, ok := byRef[it.v.Ref]
		if !ok {
			im.fault(SheetItems, itemColumns, "ref", it.row, "unknown", "", errs.Tf("“信息资源”表没有序号 %s", "the sheet of resources has no serial %s", it.v.Ref))
			continue
		}
		l := &lines[at]
		it.v.Item.ID = it.v.Code
		l.v.Items = append(l.v.Items, it.v.Item)
		itemRows[at] = append(itemRows[at], it.row)
	}
	for i := range lines {
		l := &lines[i]
		r := l.v.Resource
		for c := range r.Conditions {
			for k, name := range r.Conditions[c].Items {
				r.Conditions[c].Items[k] = idOf(r.Items, name)
			}
		}
		if r.Class.Class == "2" && r.Theme == "" {
			r.Theme = r.Class.Item
		}
		checked := r
		if checked.Class.Class == "3" && checked.Class.Head == "" {
			checked.Class.Head = "000" // given by the platform at registration
		}
		hard := ValidateDraft(&checked, policy)
		for _, p := range classFaults(checked.Class) {
			p.Clause = policy.Cite(TopicCatalog)
			hard = append(hard, p)
		}
		p := Planned{Row: l.row, Existing: ParseCode(r.Code), Resource: r}
		for _, fault := range hard {
			im.Problems = append(im.Problems, place(fault, l.row, itemRows[i]))
		}
		for _, fault := range Validate(&checked, policy) {
			if !slices.ContainsFunc(hard, func(h errs.Problem) bool { return h.Field == fault.Field && h.Code == fault.Code }) {
				p.Warnings = append(p.Warnings, place(fault, l.row, itemRows[i]))
			}
		}
		im.Resources = append(im.Resources, p)
	}
	return im, nil
}

// openWorkbook keeps a crafted file from taking the program down: excelize's bounds on unpacked size,
// and its panics on broken parts, become errors.
func openWorkbook(content []byte) (f *excelize.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("broken workbook: %v", p)
		}
	}()
	return excelize.OpenReader(bytes.NewReader(content), excelize.Options{UnzipSizeLimit: 200 << 20, UnzipXMLSizeLimit: 64 << 20})
}

type numbered[T any] struct {
	row int
	v   T
}

// readSheet reads a sheet's rows under its headings, which may stand in any order; an unknown heading
// is a fault, so that nothing typed is silently lost.
func readSheet[T any](f *excelize.File, sheet string, columns []column[T], limit int, im *Import) (out []numbered[T], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.Newf(errs.Invalid, "工作表“%s”已损坏", "sheet %q is broken", sheet).In("file").Because(fmt.Errorf("%v", p))
		}
	}()
	if i, err := f.GetSheetIndex(sheet); err != nil || i < 0 {
		return nil, errs.Newf(errs.Invalid, "工作簿缺少“%s”表，请用平台导出的模板", "the workbook has no sheet %q; use the template", sheet).In("file")
	}
	rows, err := f.Rows(sheet)
	if err != nil {
		return nil, errs.Newf(errs.Invalid, "工作表“%s”不可读", "sheet %q cannot be read", sheet).In("file").Because(err)
	}
	defer rows.Close()
	var order []*column[T]
	for n := 1; rows.Next(); n++ {
		cells, err := rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return nil, errs.Newf(errs.Invalid, "工作表“%[1]s”第 %[2]d 行不可读", "row %[2]d of sheet %[1]q cannot be read", sheet, n).In("file").Because(err)
		}
		if n == 1 {
			for i, title := range cells {
				title = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(title), "*"))
				at := slices.IndexFunc(columns, func(c column[T]) bool { return c.title == title })
				if at < 0 {
					order = append(order, nil)
					if title != "" {
						im.Problems = append(im.Problems, errs.Problem{Field: cellName(sheet, i, 1), Code: "heading", Text: errs.Tf("没有“%s”这一列，请用模板的表头", "no column %q; keep the template's headings", title)})
					}
					continue
				}
				if slices.Contains(order, &columns[at]) {
					im.Problems = append(im.Problems, errs.Problem{Field: cellName(sheet, i, 1), Code: "heading", Text: errs.Tf("“%s”列重复", "column %q stands twice", title)})
					order = append(order, nil)
					continue
				}
				order = append(order, &columns[at])
			}
			for i := range columns {
				if columns[i].required && !slices.Contains(order, &columns[i]) {
					return nil, errs.Newf(errs.Invalid, "“%[1]s”表缺少“%[2]s”列，请用平台导出的模板", "sheet %[1]q has no column %[2]q; use the template", sheet, columns[i].title).In("file")
				}
			}
			continue
		}
		if !slices.ContainsFunc(cells, func(s string) bool { return strings.TrimSpace(s) != "" }) {
			continue
		}
		if len(out) == limit {
			return nil, errs.Newf(errs.TooLarge, "“%[1]s”表不超过 %[2]d 行", "sheet %[1]q has at most %[2]d rows", sheet, limit).In("file")
		}
		line := numbered[T]{row: n}
		for i, c := range order {
			if c == nil || i >= len(cells) {
				continue
			}
			v := strings.TrimSpace(cells[i])
			if len(v) > 32768 {
				im.Problems = append(im.Problems, errs.Problem{Field: cellName(sheet, i, n), Code: "too_long", Text: errs.T("单元格内容过长", "the cell is too long")})
				continue
			}
			if v == "" {
				continue
			}
			if err := c.set(&line.v, v); err != nil {
				text := errs.T("内容有误", "the value is wrong")
				if e, ok := errs.As(err); ok {
					text = e.Text
				}
				im.Problems = append(im.Problems, errs.Problem{Field: cellName(sheet, i, n), Code: "value", Text: text})
			}
		}
		out = append(out, line)
	}
	return out, nil
}

func cellName(sheet string, column0, row int) string {
	name, err := excelize.CoordinatesToCellName(column0+1, row)
	if err != nil {
		return sheet
	}
	return sheet + "!" + name
}

func (im *Import) fault(sheet string, columns any, field string, row int, code, clause string, text errs.Text) {
	im.Problems = append(im.Problems, errs.Problem{Field: cellName(sheet, columnOf(columns, field), row), Code: code, Clause: clause, Text: text})
}

func columnOf(columns any, field string) int {
	switch c := columns.(type) {
	case []column[line]:
		return max(slices.IndexFunc(c, func(x column[line]) bool { return x.field == field }), 0)
	case []column[itemLine]:
		return max(slices.IndexFunc(c, func(x column[itemLine]) bool { return x.field == field }), 0)
	}
	return 0
}

// place turns a fault's field path into the cell that a person sees, by the template's column order.
func place(p errs.Problem, row int, itemRows []int) errs.Problem {
	parts := strings.SplitN(p.Field, ".", 3)
	if parts[0] == "items" && len(parts) == 3 {
		if i, err := strconv.Atoi(parts[1]); err == nil && i < len(itemRows) {
			p.Field = cellName(SheetItems, columnOf(itemColumns, parts[2]), itemRows[i])
			return p
		}
	}
	field := p.Field
	for {
		if i := slices.IndexFunc(resourceColumns, func(c column[line]) bool {
			return c.field == field || strings.HasPrefix(c.field, field+".")
		}); i >= 0 {
			p.Field = cellName(SheetResources, i, row)
			return p
		}
		cut := strings.LastIndexByte(field, '.')
		if cut < 0 {
			p.Field = cellName(SheetResources, columnOf(resourceColumns, "name"), row)
			return p
		}
		field = field[:cut]
	}
}

// PreviewWorkbook reads an uploaded workbook, checks it against the catalog and keeps it for
// ImportWorkbook, for a week. Nothing is registered.
func (s *Service) PreviewWorkbook(ctx context.Context, a identity.Actor, fileName string, content []byte) (*Import, error) {
	own, err := s.deps.Body(ctx, a.Body)
	if err != nil {
		return nil, err
	}
	im, err := s.readWorkbook(ctx, a, own, fileName, content)
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(im)
	if err != nil {
		return nil, err
	}
	target := operation.Target{Kind: "workbook", ID: im.ID, Name: fileName, Body: own.ID, District: own.District}
	err = s.deps.Door.Do(ctx, a, ActUpload, target, func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "resources", len(im.Resources))
		operation.Note(ctx, "problems", len(im.Problems))
		operation.Note(ctx, "digest", im.Digest)
		if err := dropUploads(ctx, tx, s.now().Add(-uploadsKept)); err != nil {
			return err
		}
		return insertUpload(ctx, tx, upload{ID: im.ID, Kind: "workbook", Actor: a.ID, Body: own.ID, FileName: fileName, Digest: im.Digest, Doc: string(doc), Problems: len(im.Problems), CreatedAt: im.At})
	})
	if err != nil {
		return nil, err
	}
	return im, nil
}

// readWorkbook reads a workbook and checks it against the catalog.
func (s *Service) readWorkbook(ctx context.Context, a identity.Actor, own Body, fileName string, content []byte) (*Import, error) {
	im, err := ReadWorkbook(content, s.Policy(), own, func(name string) (Body, error) {
		if name == own.Name {
			return own, nil
		}
		if s.deps.BodyByName == nil {
			return Body{}, errs.Newf(errs.NotFound, "没有单位“%s”", "no body %q", name)
		}
		return s.deps.BodyByName(ctx, name)
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	im.ID, im.FileName, im.Digest, im.At = db.NewID(), fileName, hex.EncodeToString(sum[:]), s.now()
	codeColumn := columnOf(resourceColumns, "code")
	for i := range im.Resources {
		p := &im.Resources[i]
		at := func(code string, text errs.Text, clause string) {
			im.Problems = append(im.Problems, errs.Problem{Field: cellName(SheetResources, codeColumn, p.Row), Code: code, Text: text, Clause: clause})
		}
		if p.Resource.Body != own.ID && a.Post == identity.Steward {
			im.fault(SheetResources, resourceColumns, "body", p.Row, "other", s.Policy().Cite(TopicOwn), errs.T("只能登记本单位的资源", "register your own body's resources only"))
		}
		if p.Existing == "" {
			continue
		}
		r, err := s.Get(ctx, p.Existing, -1)
		switch {
		case errs.Is(err, errs.NotFound):
			at("unknown", errs.Tf("目录中没有资源 %s；新登记的请留空", "the catalog has no resource %s; leave it empty for a new one", p.Existing), "")
		case err != nil:
			return nil, err
		case r.Body != p.Resource.Body:
			at("other", errs.Tf("%[1]s 是%[2]s的资源", "%[1]s belongs to %[2]s", p.Existing, r.BodyName), s.Policy().Cite(TopicOwn))
		case r.State == Signing || r.State == Submitted:
			at("state", errs.Tf("%[1]s 处于“%[2]s”状态，请先收回", "%[1]s is %[3]s; recall it first", p.Existing, NameOf("state", string(r.State)).ZH, NameOf("state", string(r.State)).EN), "")
		}
	}
	return im, nil
}

// RegisterWorkbook reads a workbook and registers it in one step, for programs: body is whose
// resources they are where a row names no provider. check reads and checks only. Faults are in the
// Import, and then the error is errs.Invalid and nothing is registered.
func (s *Service) RegisterWorkbook(ctx context.Context, a identity.Actor, body, fileName string, content []byte, check bool) (*Import, []string, error) {
	own, err := s.deps.Body(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	im, err := s.readWorkbook(ctx, a, own, fileName, content)
	if err != nil {
		return nil, nil, err
	}
	if len(im.Problems) > 0 {
		return im, nil, invalid(im.Problems)
	}
	if check {
		return im, nil, nil
	}
	bodies, err := s.importBodies(ctx, a, im)
	if err != nil {
		return im, nil, err
	}
	var codes []string
	err = s.deps.Door.Do(ctx, a, ActImport, operation.Target{Kind: "workbook", ID: im.ID, Name: fileName, Body: own.ID, District: own.District}, func(ctx context.Context, tx *db.Tx) error {
		codes, err = s.importAll(ctx, tx, a, im, bodies)
		return err
	})
	if err != nil {
		return im, nil, err
	}
	return im, codes, nil
}

// Upload finds a workbook under preview. Only its sender sees it.
func (s *Service) Upload(ctx context.Context, a identity.Actor, id string) (*Import, error) {
	u, err := getUpload(ctx, s.deps.DB.Read(), id, "workbook")
	if err != nil {
		return nil, err
	}
	if u.Actor != a.ID {
		return nil, errs.New(errs.NotFound, errs.T("没有这次上传，或已过期", "no such upload, or it has expired"))
	}
	im := new(Import)
	if err := json.Unmarshal([]byte(u.Doc), im); err != nil {
		return nil, err
	}
	im.Done = !u.DoneAt.IsZero()
	return im, nil
}

// ImportWorkbook registers all resources of a previewed workbook in one transaction, or none. New ones
// become drafts; those with a code change the draft, or start a new version of what is published. It
// gives the codes in the workbook's order. Errors: errs.Conflict when it has problems or was done before.
func (s *Service) ImportWorkbook(ctx context.Context, a identity.Actor, id string) ([]string, error) {
	im, err := s.Upload(ctx, a, id)
	if err != nil {
		return nil, err
	}
	if len(im.Problems) > 0 {
		return nil, errs.Newf(errs.Conflict, "还有 %d 处错误，改正后重新上传", "%d faults are left; mend them and upload again", len(im.Problems)).With(im.Problems...)
	}
	bodies, err := s.importBodies(ctx, a, im)
	if err != nil {
		return nil, err
	}
	first := bodies[im.Resources[0].Resource.Body]
	var codes []string
	err = s.deps.Door.Do(ctx, a, ActImport, operation.Target{Kind: "workbook", ID: id, Name: im.FileName, Body: first.ID, District: first.District}, func(ctx context.Context, tx *db.Tx) error {
		fresh, err := finishUpload(ctx, tx, id, s.now())
		if err != nil {
			return err
		}
		if !fresh {
			return errs.New(errs.Conflict, errs.T("这份工作簿已经登记过", "this workbook has been registered already"))
		}
		codes, err = s.importAll(ctx, tx, a, im, bodies)
		return err
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// importBodies finds the bodies of a workbook's resources: it may hold several when the operator moves
// a legacy catalog in (FZM-11). Permission is asked for each before anything is written.
func (s *Service) importBodies(ctx context.Context, a identity.Actor, im *Import) (map[string]Body, error) {
	bodies := map[string]Body{}
	for _, p := range im.Resources {
		b, err := s.deps.Body(ctx, p.Resource.Body)
		if err != nil {
			return nil, err
		}
		bodies[b.ID] = b
	}
	for _, b := range bodies {
		if err := s.deps.Door.May(a, ActImport, operation.Target{Kind: "workbook", ID: im.ID, Body: b.ID, District: b.District}); err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

func (s *Service) importAll(ctx context.Context, tx *db.Tx, a identity.Actor, im *Import, bodies map[string]Body) ([]string, error) {
	var codes []string
	for _, p := range im.Resources {
		r, err := s.importOne(ctx, tx, a, bodies[p.Resource.Body], p, im.FileName)
		if err != nil {
			if e, ok := errs.As(err); ok {
				return nil, errs.New(e.Kind, errs.Tf("第 %[1]d 行：%[2]s", "row %[1]d: %[3]s", p.Row, e.Text.ZH, e.Text.EN)).In(cellName(SheetResources, 0, p.Row)).By(e.Clauses...).With(e.Problems...).Because(err)
			}
			return nil, err
		}
		codes = append(codes, r.Code)
	}
	operation.Note(ctx, "resources", len(codes))
	operation.Note(ctx, "digest", im.Digest)
	return codes, nil
}

func (s *Service) importOne(ctx context.Context, tx *db.Tx, a identity.Actor, b Body, p Planned, note string) (*Resource, error) {
	if p.Existing == "" {
		in := p.Resource
		in.Body = b.ID
		return s.createTx(ctx, tx, a, b, in, "import", note)
	}
	r, err := getVersion(ctx, tx, p.Existing, -1)
	if err != nil {
		return nil, err
	}
	before, err := s.allItems(ctx, tx, r)
	if err != nil {
		return nil, err
	}
	next := clone(&p.Resource)
	switch r.State {
	case Draft, Returned:
		next.Version = r.Version
		next.CreatedBy, next.CreatedAt = r.CreatedBy, r.CreatedAt
	case Published, Withdrawn:
		next.Version = r.Version + 1
		next.CreatedBy, next.CreatedAt = a.ID, s.now()
	default:
		return nil, s.past(r, "修改", "changed")
	}
	next.ID, next.Code, next.Revision, next.NextColumn, next.State = r.ID, r.Code, r.Revision, r.NextColumn, Draft
	if next.Class.Head == "" {
		next.Class = r.Class
	}
	if next.Class != r.Class {
		return nil, errs.Newf(errs.Conflict, "资源代码 %s 已按原分类生成，不能更改分类", "code %s was made from the class, which cannot change", r.Code)
	}
	setBody(next, b)
	// An item keeps its column when the workbook names it by the code that it has.
	for i := range next.Items {
		for _, was := range before {
			if was.Code == next.Items[i].Code {
				next.Items[i].ID = was.ID
			}
		}
	}
	// What does not fit a row stays as it is.
	if len(next.Conditions) > 0 && len(r.Conditions) > 1 {
		next.Conditions = append(next.Conditions, r.Conditions[1:]...)
	}
	if len(next.SharingBasis) > 0 && len(r.SharingBasis) > 1 {
		next.SharingBasis = append(next.SharingBasis, r.SharingBasis[1:]...)
	}
	next.OpeningBasis, next.Checks, next.Source.Lead = r.OpeningBasis, r.Checks, r.Source.Lead
	if len(next.Conditions) > 0 && len(r.Conditions) > 0 {
		next.Conditions[0].Rows, next.Conditions[0].Note = r.Conditions[0].Rows, r.Conditions[0].Note
	}
	next.Items = s.numberItems(next, before)
	if faults := ValidateDraft(next, s.Policy()); len(faults) > 0 {
		return nil, invalid(faults)
	}
	return next, s.keep(ctx, tx, a, next, "import", note)
}
