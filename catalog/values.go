package catalog

import (
	"bytes"
	"embed"
	"encoding/csv"
	"slices"
	"strings"
	"sync"

	"gongshu/internal/errs"
)

// Named is a value of one of the guide's lists with its words in both languages.
type Named struct {
	Key  string
	Text errs.Text
	// Practice marks a value that the guide does not list and that cities use all the same.
	Practice bool
}

// FormatClass is the class of a resource's format (7).
type FormatClass string

// Format classes 1 … 6 of the guide; 7 is an addition of sharing platforms.
const (
	FormatFile        FormatClass = "1" // 电子文件
	FormatSheet       FormatClass = "2" // 电子表格
	FormatDatabase    FormatClass = "3" // 数据库
	FormatImage       FormatClass = "4" // 图形图像
	FormatMedia       FormatClass = "5" // 流媒体
	FormatDescribing  FormatClass = "6" // 自描述格式
	FormatServiceCall FormatClass = "7" // 服务接口
)

// FormatClasses lists the classes in order.
var FormatClasses = []Named{
	{Key: "1", Text: errs.T("电子文件", "electronic document")},
	{Key: "2", Text: errs.T("电子表格", "spreadsheet")},
	{Key: "3", Text: errs.T("数据库", "database")},
	{Key: "4", Text: errs.T("图形图像", "image")},
	{Key: "5", Text: errs.T("流媒体", "streaming media")},
	{Key: "6", Text: errs.T("自描述格式", "self-describing format")},
	{Key: "7", Text: errs.T("服务接口", "service interface"), Practice: true},
}

var formatTypes = map[FormatClass][]string{
	FormatFile:        {"OFD", "wps", "xml", "txt", "doc", "docx", "html", "pdf", "ppt"},
	FormatSheet:       {"et", "xls", "xlsx", "csv"},
	FormatDatabase:    {"Dm", "KingbaseES", "access", "dbf", "dbase", "sysbase", "oracle", "sqlserver", "db2", "mysql", "postgresql", "opengauss"},
	FormatImage:       {"jpg", "gif", "bmp", "png", "tif"},
	FormatMedia:       {"swf", "rm", "mpg", "mp4"},
	FormatServiceCall: {"http", "webservice"},
}

// FormatTypes lists the file or database types of a format class, as the guide spells them with what
// is in use today added. Self-describing formats (6) are named by the provider: the list is empty.
func FormatTypes(c FormatClass) []string { return slices.Clone(formatTypes[c]) }

// Classes are the three first-level classes.
var Classes = []Named{
	{Key: "1", Text: errs.T("基础信息资源", "base")},
	{Key: "2", Text: errs.T("主题信息资源", "theme")},
	{Key: "3", Text: errs.T("部门信息资源", "department")},
}

// ClassItems lists the second level under each class. The theme list of the guide is open: the values
// marked as practice go beyond it (FS-11 names 流动人口; the others are what portals list).
var ClassItems = map[string][]Named{
	"1": {
		{Key: "01", Text: errs.T("人口信息", "population")},
		{Key: "02", Text: errs.T("法人单位信息", "legal persons")},
		{Key: "03", Text: errs.T("自然资源和空间地理信息", "natural resources and geospatial")},
		{Key: "04", Text: errs.T("社会信用信息", "social credit")},
		{Key: "05", Text: errs.T("电子证照信息", "e-licences")},
	},
	"2": {
		{Key: "01", Text: errs.T("公共服务", "public services")},
		{Key: "02", Text: errs.T("健康保障", "health")},
		{Key: "03", Text: errs.T("社会保障", "social security")},
		{Key: "04", Text: errs.T("食品药品安全", "food and drug safety")},
		{Key: "05", Text: errs.T("安全生产", "work safety")},
		{Key: "06", Text: errs.T("价格监管", "price supervision")},
		{Key: "07", Text: errs.T("能源安全", "energy security")},
		{Key: "08", Text: errs.T("信用体系", "credit system")},
		{Key: "09", Text: errs.T("城乡建设", "urban and rural construction")},
		{Key: "10", Text: errs.T("社区治理", "community governance")},
		{Key: "11", Text: errs.T("生态环保", "environment")},
		{Key: "12", Text: errs.T("应急维稳", "emergency and stability")},
		{Key: "13", Text: errs.T("流动人口", "migrant population"), Practice: true},
		{Key: "14", Text: errs.T("教育文化", "education and culture"), Practice: true},
		{Key: "15", Text: errs.T("交通运输", "transport"), Practice: true},
		{Key: "16", Text: errs.T("财税金融", "finance and taxation"), Practice: true},
		{Key: "17", Text: errs.T("科技创新", "science and innovation"), Practice: true},
		{Key: "18", Text: errs.T("农业农村", "agriculture"), Practice: true},
		{Key: "19", Text: errs.T("商贸旅游", "commerce and tourism"), Practice: true},
		{Key: "20", Text: errs.T("气象水文", "weather and water"), Practice: true},
		{Key: "21", Text: errs.T("法律服务", "legal services"), Practice: true},
		{Key: "22", Text: errs.T("机构团体", "organisations"), Practice: true},
	},
	"3": {
		{Key: "01", Text: errs.T("党中央", "Party Central Committee")},
		{Key: "02", Text: errs.T("全国人大常委会", "NPC Standing Committee")},
		{Key: "03", Text: errs.T("国务院", "State Council")},
		{Key: "04", Text: errs.T("全国政协", "CPPCC")},
		{Key: "05", Text: errs.T("最高人民法院", "Supreme People's Court")},
		{Key: "06", Text: errs.T("最高人民检察院", "Supreme People's Procuratorate")},
		{Key: "07", Text: errs.T("省（自治区、直辖市）及以下", "province and below")},
		{Key: "08", Text: errs.T("计划单列市及以下", "separately planned city and below")},
	},
}

// Themes are the values of Resource.Theme: the second level of the theme class.
func Themes() []Named { return ClassItems["2"] }

// Purposes are the usages of shared data: four of the guide (9b), and those that FS-13 names.
var Purposes = []Named{
	{Key: "basis", Text: errs.T("行政依据", "basis of an administrative act")},
	{Key: "reference", Text: errs.T("工作参考", "reference for work")},
	{Key: "check", Text: errs.T("数据校核", "checking of data")},
	{Key: "collaboration", Text: errs.T("业务协同", "business collaboration")},
	{Key: "enforcement", Text: errs.T("行政执法", "administrative enforcement"), Practice: true},
	{Key: "audit", Text: errs.T("审计监督", "audit"), Practice: true},
	{Key: "research", Text: errs.T("统计研究", "statistics and research"), Practice: true},
}

// ClosedGrounds are the six grounds that keep data out of opening (FZO-5).
var ClosedGrounds = []Named{
	{Key: "secret", Text: errs.T("依法确定为国家秘密", "a state secret by law")},
	{Key: "security", Text: errs.T("开放后可能危及国家安全、公共安全、经济安全、社会稳定", "opening may endanger national, public or economic security or stability")},
	{Key: "third_party", Text: errs.T("涉及商业秘密、个人隐私，开放会损害第三方合法权益", "trade secrets or privacy: opening harms a third party")},
	{Key: "internal", Text: errs.T("涉及提供部门人员、财务、资产等内部事务", "internal affairs of the provider: staff, finance, assets")},
	{Key: "agreement", Text: errs.T("因协议或者知识产权限制无法开放", "an agreement or intellectual property stands in the way")},
	{Key: "statute", Text: errs.T("法律、法规和规章规定不得开放或者应当通过其他途径获取", "a law, regulation or rule forbids it or sets another way")},
}

// AuthorisedNeeds are the grounds on which opening may be by authorisation rather than general (FZO-6.2).
var AuthorisedNeeds = []Named{
	{Key: "security", Text: errs.T("对数据安全要求较高", "high demands on data security")},
	{Key: "processing", Text: errs.T("对处理能力要求较高", "high demands on processing")},
	{Key: "timeliness", Text: errs.T("时效性较强", "strongly time-dependent")},
	{Key: "continuous", Text: errs.T("需要持续获取", "supply must be continuous")},
}

// CollectionWays are the ways in which data is obtained (FS-21).
var CollectionWays = []Named{
	{Key: "law", Text: errs.T("依照法律、法规规定采集", "collected under a law or regulation")},
	{Key: "business", Text: errs.T("业务系统、监测、测量、录音录像等产生", "produced by business systems, monitoring or measuring")},
	{Key: "agreement", Text: errs.T("通过协商等合法方式获取", "obtained by agreement")},
}

// Grades are the four security grades; 3 and 4 are important and core data.
var Grades = []Named{
	{Key: "1", Text: errs.T("1级 一般（公开）", "1 general, public")},
	{Key: "2", Text: errs.T("2级 一般（内部）", "2 general, internal")},
	{Key: "3", Text: errs.T("3级 重要数据", "3 important data")},
	{Key: "4", Text: errs.T("4级 核心数据", "4 core data")},
}

// Charsets are the charsets of text files that the guide names (8b).
var Charsets = []string{"GB13000", "GB18030", "UTF-8", "UTF-16"}

var (
	cycleNames = []Named{
		{Key: string(RealTime), Text: errs.T("实时", "real time")},
		{Key: string(Daily), Text: errs.T("每日", "daily")},
		{Key: string(Weekly), Text: errs.T("每周", "weekly")},
		{Key: string(Monthly), Text: errs.T("每月", "monthly")},
		{Key: string(Quarterly), Text: errs.T("每季度", "quarterly")},
		{Key: string(HalfYearly), Text: errs.T("每半年", "half-yearly"), Practice: true},
		{Key: string(Yearly), Text: errs.T("每年", "yearly")},
		{Key: string(Irregular), Text: errs.T("不定期", "irregular"), Practice: true},
	}
	typeNames = []Named{
		{Key: "C", Text: errs.T("字符型", "character")},
		{Key: "N", Text: errs.T("数值型", "numeric")},
		{Key: "Y", Text: errs.T("货币型", "money")},
		{Key: "D", Text: errs.T("日期型", "date")},
		{Key: "T", Text: errs.T("日期时间型", "date and time")},
		{Key: "L", Text: errs.T("逻辑型", "logical")},
		{Key: "M", Text: errs.T("备注型", "memo")},
		{Key: "G", Text: errs.T("通用型", "generic")},
		{Key: "B", Text: errs.T("双精度型", "double")},
		{Key: "I", Text: errs.T("整型", "integer")},
		{Key: "F", Text: errs.T("浮点型", "float")},
	}
	wayNames = []Named{
		{Key: string(WayDatabase), Text: errs.T("共享平台-数据库", "platform: database")},
		{Key: string(WayFile), Text: errs.T("共享平台-文件下载", "platform: file download")},
		{Key: string(WayService), Text: errs.T("共享平台-服务接口", "platform: service interface")},
		{Key: string(WayMail), Text: errs.T("邮件", "e-mail")},
		{Key: string(WayDisk), Text: errs.T("拷盘", "disk")},
		{Key: string(WayMedium), Text: errs.T("介质交换", "paper or other medium")},
	}
	kindNames = []Named{
		{Key: string(Table), Text: errs.T("库表", "table")},
		{Key: string(Files), Text: errs.T("文件", "files")},
		{Key: string(Interface), Text: errs.T("接口", "interface")},
	}
	modeNames = []Named{
		{Key: string(Query), Text: errs.T("查询", "query")},
		{Key: string(Verify), Text: errs.T("核验", "verify")},
		{Key: string(Obtain), Text: errs.T("获取", "obtain")},
		{Key: string(Statistics), Text: errs.T("统计", "statistics")},
	}
	sharingNames = []Named{
		{Key: string(Unconditional), Text: errs.T("无条件共享", "unconditional")},
		{Key: string(Conditional), Text: errs.T("有条件共享", "conditional")},
		{Key: string(Withheld), Text: errs.T("不予共享", "withheld")},
	}
	openingNames = []Named{
		{Key: string(General), Text: errs.T("普遍开放", "general")},
		{Key: string(Authorised), Text: errs.T("授权开放", "authorised")},
		{Key: string(Closed), Text: errs.T("不开放", "closed")},
	}
	stateNames = []Named{
		{Key: string(Draft), Text: errs.T("草稿", "draft")},
		{Key: string(Signing), Text: errs.T("部门核签中", "with the department")},
		{Key: string(Submitted), Text: errs.T("待审核", "submitted")},
		{Key: string(Returned), Text: errs.T("退回修改", "returned")},
		{Key: string(Published), Text: errs.T("已发布", "published")},
		{Key: string(Withdrawn), Text: errs.T("已撤回", "withdrawn")},
	}
	basisNames = []Named{
		{Key: string(Law), Text: errs.T("法律", "law")},
		{Key: string(Regulation), Text: errs.T("法规", "regulation")},
		{Key: string(Rule), Text: errs.T("规章", "rule")},
		{Key: string(NationalPolicy), Text: errs.T("国家有关政策", "national policy")},
	}
)

// List returns one of the guide's lists by name: "cycle", "type", "way", "kind", "mode", "sharing",
// "opening", "state", "basis", "format", "class", "theme", "purpose", "closed_ground",
// "authorised_need", "collection", "grade"; nil for any other. The words of sharing and opening types
// are the nation's: pages take the city's own from Service.SharingText and OpeningText.
func List(name string) []Named {
	switch name {
	case "cycle":
		return cycleNames
	case "type":
		return typeNames
	case "way":
		return wayNames
	case "kind":
		return kindNames
	case "mode":
		return modeNames
	case "sharing":
		return sharingNames
	case "opening":
		return openingNames
	case "state":
		return stateNames
	case "basis":
		return basisNames
	case "format":
		return FormatClasses
	case "class":
		return Classes
	case "theme":
		return Themes()
	case "purpose":
		return Purposes
	case "closed_ground":
		return ClosedGrounds
	case "authorised_need":
		return AuthorisedNeeds
	case "collection":
		return CollectionWays
	case "grade":
		return Grades
	}
	return nil
}

// NameOf is the wording of a key in a list of List; a key that the list lacks is given as it is.
func NameOf(list, key string) errs.Text {
	for _, n := range List(list) {
		if n.Key == key {
			return n.Text
		}
	}
	return errs.T(key, key)
}

func has(list []Named, key string) bool {
	return slices.ContainsFunc(list, func(n Named) bool { return n.Key == key })
}

// KeyOf gives the key of a word of a list, whether text is the key or the word in
// either language; text itself where the list has no such word.
func KeyOf(list, text string) string {
	if key, ok := keyOf(List(list), text); ok {
		return key
	}
	return strings.TrimSpace(text)
}

// keyOf finds a key by itself or by its words in either language, as a workbook cell may have it.
func keyOf(list []Named, text string) (string, bool) {
	text = strings.TrimSpace(text)
	for _, n := range list {
		if strings.EqualFold(n.Key, text) || n.Text.ZH == text || strings.EqualFold(n.Text.EN, text) {
			return n.Key, true
		}
	}
	// Cities' own words for the types (龙岩、福州 say 暂不共享, 佛山 依申请开放).
	if key, ok := otherWords[text]; ok && has(list, key) {
		return key, true
	}
	return "", false
}

var otherWords = map[string]string{
	"暂不共享": string(Withheld), "不共享": string(Withheld), "无条件开放": string(General), "依申请开放": string(Authorised), "有条件开放": string(Authorised), "不予开放": string(Closed),
	"实时更新": string(RealTime), "每天": string(Daily), "日": string(Daily), "周": string(Weekly), "月": string(Monthly), "季": string(Quarterly), "年": string(Yearly),
	"数据库表": string(Table), "服务接口": string(Interface), "查阅": string(Query), "比对": string(Verify), "批量": string(Obtain),
}

// CodeList is a standard list of codes that items may name.
type CodeList struct {
	Key   string // "GB/T 2261.1"
	Text  errs.Text
	Codes []Code
	set   map[string]string
}

// Label is what a code means, and whether the list has it. Safe for many goroutines, no allocation.
func (l *CodeList) Label(code string) (string, bool) {
	label, ok := l.set[code]
	return label, ok
}

//go:embed codelists/*.csv
var codeListFiles embed.FS

// CodeLists returns the standard code lists in the order in which forms offer them.
var CodeLists = sync.OnceValue(func() []*CodeList {
	lists := []*CodeList{
		{Key: "GB/T 2261.1", Text: errs.T("人的性别代码", "sex"), Codes: []Code{
			{"0", "未知的性别"}, {"1", "男性"}, {"2", "女性"}, {"9", "未说明的性别"}}},
		{Key: "GB/T 2261.2", Text: errs.T("婚姻状况代码", "marital status"), Codes: []Code{
			{"10", "未婚"}, {"20", "已婚"}, {"21", "初婚"}, {"22", "再婚"}, {"23", "复婚"}, {"30", "丧偶"}, {"40", "离婚"}, {"90", "未说明的婚姻状况"}}},
		{Key: "GB/T 3304", Text: errs.T("民族代码", "ethnic group"), Codes: readCodes("codelists/gbt3304.csv", "code", "name")},
		{Key: "GB/T 2260", Text: errs.T("行政区划代码（省级及福建、广东）", "administrative divisions (provinces; Fujian, Guangdong)"), Codes: readCodes("codelists/gbt2260.csv", "code", "name")},
		{Key: "yes-no", Text: errs.T("是否代码", "yes or no"), Codes: []Code{{"1", "是"}, {"0", "否"}}},
	}
	for _, l := range lists {
		l.set = make(map[string]string, len(l.Codes))
		for _, c := range l.Codes {
			l.set[c.Value] = c.Label
		}
	}
	return lists
})

// CodeListByKey finds a standard code list by its key; nil when there is none.
func CodeListByKey(key string) *CodeList {
	for _, l := range CodeLists() {
		if l.Key == key {
			return l
		}
	}
	return nil
}

func readCodes(file, codeColumn, nameColumn string) []Code {
	raw, err := codeListFiles.ReadFile(file)
	if err != nil {
		panic(err) // embedded: absent only when the build is broken
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff")))).ReadAll()
	if err != nil {
		panic(err)
	}
	code, name := slices.Index(rows[0], codeColumn), slices.Index(rows[0], nameColumn)
	if code < 0 || name < 0 {
		panic(file + ": no column " + codeColumn + " or " + nameColumn)
	}
	out := make([]Code, 0, len(rows)-1)
	for _, r := range rows[1:] {
		out = append(out, Code{r[code], r[name]})
	}
	return out
}
