package privacy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Finding is what the recognisers think of a column.
type Finding struct {
	Kind Kind
	// Confidence from 0 to 1: from 0.5 on the column is proposed as personal, from
	// 0.9 on it may be taken as such without asking.
	Confidence float64
	ByName     bool // the column's name says so
	ByValues   bool // the values say so
	Matched    int  // values of the kind
	Sampled    int  // values looked at, empty ones left out
}

// Proposed is the confidence from which a finding counts.
const Proposed = 0.5

// nameRule is how a column's name speaks: any of the words, none of the others.
type nameRule struct {
	kind  Kind
	conf  float64
	words []string // Chinese: contained; Latin: whole words
	not   []string
}

var nameRules = []nameRule{
	{KindResidentID, 0.95, []string{"身份证", "公民身份", "居民身份", "身份号码", "身份证件号", "idcard", "id card", "idno", "id no", "sfzh", "sfzhm", "gmsfhm", "zjhm", "resident id", "citizen id", "identity number", "certno"}, []string{"类型", "签发", "有效期", "type"}},
	{KindResidentID, 0.7, []string{"证件号"}, []string{"类型"}},
	{KindUSCC, 0.95, []string{"统一社会信用代码", "社会信用代码", "统一信用代码", "tyshxydm", "shxydm", "uscc", "credit code", "creditcode"}, nil},
	{KindPhone, 0.9, []string{"手机", "联系电话", "联系方式", "移动电话", "固定电话", "办公电话", "家庭电话", "电话号码", "电话", "座机", "热线", "phone", "mobile", "telephone", "tel", "sjh", "sjhm", "lxdh", "dhhm", "contact number", "cellphone"}, []string{"品牌", "型号", "电话费", "话费", "数量", "电话会", "brand"}},
	{KindBankCard, 0.9, []string{"银行卡", "银行账号", "银行账户", "银行帐号", "卡号", "开户账号", "收款账号", "账户号码", "社保卡银行", "yhkh", "yhzh", "bank account", "bank card", "card number", "card no", "cardno"}, []string{"公交卡", "校园卡", "类型", "会员卡"}},
	{KindPlate, 0.9, []string{"车牌", "号牌号码", "牌照号", "机动车号牌", "hphm", "cph", "cphm", "plate", "license plate"}, []string{"颜色", "种类", "类型", "color", "colour"}},
	{KindEmail, 0.9, []string{"邮箱", "电子邮件", "电邮", "email", "e-mail", "mail address", "dzyx"}, []string{"邮箱数", "类型"}},
	{KindPassport, 0.9, []string{"护照", "passport", "hzhm"}, []string{"类型", "签发", "有效"}},
	{KindBirthDate, 0.9, []string{"出生日期", "出生年月", "生日", "出生时间", "csrq", "csny", "birth date", "birthdate", "date of birth", "birthday", "dob"}, nil},
	{KindAddress, 0.85, []string{"住址", "地址", "居住地", "户籍地", "户口所在", "家庭住所", "门牌", "详址", "现住", "通讯处", "address", "addr", "jtzz", "hjdz", "zz", "xxdz", "residence"}, []string{"网址", "邮箱地址", "ip", "电子地址", "mac", "url", "区划", "网络", "email", "web"}},
	{KindName, 0.85, []string{"姓名", "人名", "真实姓名", "曾用名", "户主", "申请人", "当事人", "负责人", "法定代表人", "法人代表", "联系人", "经办人", "监护人", "持证人", "驾驶人", "死者", "患者", "投诉人", "被保险人", "业主", "产权人", "配偶", "父亲", "母亲", "xm", "fddbr", "full name", "person name", "realname", "surname", "given name", "contact person", "legal representative"}, []string{"数", "比例", "率", "类型", "类别", "代码", "单位", "身份", "电话", "手机", "证", "地址", "住址", "性别", "年龄", "日期", "关系", "意见"}},
}

// RecogniseName judges a column by its name alone.
func RecogniseName(column string) (Kind, float64) {
	plain, words := foldName(column)
	for _, r := range nameRules {
		if matchName(plain, words, r.words) && !matchName(plain, words, r.not) {
			return r.kind, r.conf
		}
	}
	return KindNone, 0
}

// foldName lowers a name and gives its Latin words between spaces:
// " id card no " of "IDCard_No".
func foldName(s string) (plain, words string) {
	var w strings.Builder
	w.WriteByte(' ')
	var prev rune
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if unicode.IsUpper(r) && unicode.IsLower(prev) || prev >= utf8.RuneSelf {
				w.WriteByte(' ')
			}
			w.WriteRune(unicode.ToLower(r))
		default:
			w.WriteByte(' ')
		}
		prev = r
	}
	w.WriteByte(' ')
	return strings.ToLower(strings.TrimSpace(s)), strings.Join(strings.Fields(w.String()), " ")
}

func matchName(plain, words string, list []string) bool {
	for _, w := range list {
		if w[0] >= utf8.RuneSelf {
			if strings.Contains(plain, w) {
				return true
			}
			continue
		}
		if strings.Contains(" "+words+" ", " "+w+" ") || plain == w {
			return true
		}
	}
	return false
}

// The hundred commonest surnames and the compound ones.
const (
	surnames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付傅方白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
	compound = "欧阳 上官 司马 诸葛 东方 皇甫 尉迟 公孙 慕容 司徒 令狐 夏侯 端木 百里 南宫 独孤 长孙 宇文 轩辕 呼延"
)

// Endings and words that make a short Han text a thing and not a person.
const thingEndings = "省市县区镇乡村路街巷道桥山河湖江海湾岛港站场所局院校园店厂司社会馆楼厦苑城店铺部处科室组队委办中心类型级别色式号期量值率数费税证书表册法规条例项目业务品物件油矿米面肉菜果酒茶车船机器具线网库"

func surnameLen(s []rune) int {
	if len(s) >= 3 && strings.Contains(compound, string(s[:2])) && s[0] != ' ' && s[1] != ' ' {
		return 2
	}
	if len(s) > 0 && strings.ContainsRune(surnames, s[0]) {
		return 1
	}
	return 0
}

// looksLikeName: two to four Han characters that begin with a surname and do not
// end like a thing, or parts joined by the dot of minority names.
func looksLikeName(s string) bool {
	if before, after, ok := strings.Cut(s, "·"); ok {
		return allHan(before) && allHan(strings.ReplaceAll(after, "·", "")) && utf8.RuneCountInString(before) <= 8 && utf8.RuneCountInString(after) <= 12
	}
	n := utf8.RuneCountInString(s)
	if n < 2 || n > 4 || !allHan(s) {
		return false
	}
	r := []rune(s)
	given := n - surnameLen(r)
	if given == n || given < 1 || given > 2 {
		return false
	}
	return !strings.ContainsRune(thingEndings, r[n-1])
}

func allHan(s string) bool {
	for _, r := range s {
		if !unicode.Is(unicode.Han, r) {
			return false
		}
	}
	return s != ""
}

// looksLikeAddress: at least two divisions or streets in order, and a number or a
// building, in eight to two hundred characters.
func looksLikeAddress(s string) bool {
	n := utf8.RuneCountInString(s)
	if n < 7 || n > 200 {
		return false
	}
	parts := 0
	for _, set := range []string{"省市", "市州盟", "区县旗市", "镇乡街道", "路街巷弄道村社屯", "号栋幢座室组单元楼"} {
		if strings.ContainsAny(s, set) {
			parts++
		}
	}
	return parts >= 3 && strings.ContainsAny(s, "号栋幢座室组村楼路街巷")
}

// What people write between the digits of a phone number and of a plate. Building
// a replacer costs more than a hundred replacements.
var (
	phoneSpacing = strings.NewReplacer(" ", "", "-", "")
	plateSpacing = strings.NewReplacer("·", "", " ", "")
)

// RecogniseValue judges one value by itself. Confidence says how rarely a value
// that is something else looks like this.
func RecogniseValue(v string) (Kind, float64) {
	v = strings.TrimSpace(v)
	if v == "" || len(v) > 800 {
		return KindNone, 0
	}
	c := v[0]
	switch {
	case len(v) == 18 && ResidentID(strings.ToUpper(v)).OK():
		return KindResidentID, 0.98
	case len(v) == 18 && USCC(v).OK():
		return KindUSCC, 0.95
	case len(v) == 15 && digits(v) && ResidentID(v).OK() && province[two(v, 0)]:
		return KindResidentID, 0.7
	case strings.IndexByte(v, '@') > 0 && Email(v).OK():
		return KindEmail, 0.98
	case Phone(strings.TrimPrefix(phoneSpacing.Replace(v), "+86")).OK():
		return KindPhone, 0.9
	case c == '0' && strings.IndexByte(v, '-') > 0 && Landline(v).OK():
		return KindPhone, 0.8
	case len(v) >= 16 && len(v) <= 19 && c == '6' && v[1] == '2' && BankCard(v).OK():
		return KindBankCard, 0.9
	case len(v) >= 15 && len(v) <= 19 && strings.IndexByte("345", c) >= 0 && BankCard(v).OK():
		return KindBankCard, 0.55
	case c >= utf8.RuneSelf && Plate(plateSpacing.Replace(v)).OK():
		return KindPlate, 0.95
	case len(v) == 9 && letter(c) && Passport(v).OK():
		return KindPassport, 0.6
	case c >= utf8.RuneSelf && looksLikeAddress(v):
		return KindAddress, 0.75
	case c >= utf8.RuneSelf && looksLikeName(v):
		return KindName, 0.6
	}
	return KindNone, 0
}

// checkable kinds can contradict a column's name: where hardly a value passes,
// the name is wrong.
func checkable(k Kind) bool {
	switch k {
	case KindResidentID, KindUSCC, KindPhone, KindBankCard, KindPlate, KindEmail, KindPassport:
		return true
	}
	return false
}

// Recognise judges a column by its name and a sample of its values (a few hundred
// tell enough).
func Recognise(column string, values []string) Finding {
	named, byName := RecogniseName(column)
	count := map[Kind]int{}
	conf := map[Kind]float64{}
	different := map[string]bool{}
	n := 0
	for _, v := range values {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		n++
		different[v] = true
		k, c := RecogniseValue(v)
		count[k]++
		conf[k] = max(conf[k], c)
		if named != KindNone && k != named && agrees(named, v) {
			count[named]++
			conf[named] = max(conf[named], 0.5)
		}
	}
	f := Finding{Sampled: n}
	var best Kind
	for _, k := range Kinds() {
		if count[k] > count[best] || best == KindNone && count[k] > 0 {
			best = k
		}
	}
	share := func(k Kind) float64 {
		if n == 0 {
			return 0
		}
		return float64(count[k]) / float64(n)
	}
	if named != KindNone {
		s := share(named)
		switch {
		case n == 0 || !checkable(named) && s == 0:
			// Masked or empty samples do not speak against the name, but digits in
			// a name's column do.
			if n > 0 && named == KindName && mostlyNot(values) {
				byName = 0.3
			}
			f.Kind, f.Confidence, f.ByName = named, byName, true
		case s >= 0.5:
			f.Kind, f.Confidence, f.ByName, f.ByValues = named, max(byName, 0.9+0.1*s), true, true
		case s > 0.05 || masked(values):
			f.Kind, f.Confidence, f.ByName = named, byName, true
		case checkable(named) && n >= 5:
			f.Kind, f.Confidence, f.ByName = named, 0.3, true
		default:
			f.Kind, f.Confidence, f.ByName = named, byName*0.8, true
		}
		f.Matched = count[named]
		if f.Confidence >= Proposed {
			return f
		}
	}
	// By values alone. A lucky Luhn digit or a short word that begins with a
	// surname is no finding: nearly all of the values have to look so, and most
	// of them have to differ.
	if best == KindNone {
		return weak(f)
	}
	s := share(best)
	need := 0.6
	if best == KindName || best == KindPassport {
		need = 0.8
	}
	if s < need || n < 3 && conf[best] < 0.9 || best == KindName && float64(len(different)) < 0.3*float64(n) {
		// Few, but sure: an identifier that hides in a free column is still one.
		if conf[best] >= 0.9 && best.Direct() && count[best] >= 2 && s >= 0.02 {
			return Finding{Kind: best, Confidence: 0.5 + 0.4*s, ByValues: true, Matched: count[best], Sampled: n}
		}
		return weak(f)
	}
	return Finding{Kind: best, Confidence: min(0.99, conf[best]*s+0.1*s), ByValues: true, Matched: count[best], Sampled: n}
}

// weak is a finding that does not count.
func weak(f Finding) Finding {
	return Finding{Kind: KindNone, Sampled: f.Sampled}
}

// agrees says whether a value can be of the kind that its column's name claims,
// where the value alone would not tell.
func agrees(k Kind, v string) bool {
	switch k {
	case KindBirthDate:
		_, _, _, ok := readDate([]byte(v))
		return ok || (len(v) == 6 || len(v) == 7) && dateExists(atoiPrefix(v), 1, 1)
	case KindName:
		n := utf8.RuneCountInString(v)
		return n >= 2 && n <= 4 && allHan(v)
	case KindAddress:
		return utf8.RuneCountInString(v) >= 4 && strings.ContainsAny(v, "省市区县镇乡街道路巷村号栋室")
	case KindPhone:
		return Landline(v).OK() || len(v) >= 7 && len(v) <= 8 && digits(v)
	case KindResidentID:
		// Rejected ones too: a column of IDs with typing errors is one of IDs.
		return (len(v) == 18 || len(v) == 15) && digits(v[:14])
	case KindBankCard:
		return len(v) >= 12 && len(v) <= 25 && digits(strings.ReplaceAll(v, " ", ""))
	}
	return Validate(k, v).OK() && checkable(k)
}

func atoiPrefix(v string) int {
	if len(v) < 4 || !digits(v[:4]) {
		return 0
	}
	return two(v, 0)*100 + two(v, 2)
}

// masked: the sample has been desensitised already.
func masked(values []string) bool {
	n := 0
	for _, v := range values {
		if strings.Contains(v, "**") || strings.Contains(v, "××") || strings.Contains(v, "XXX") {
			n++
		}
	}
	return n > 0 && 2*n >= len(values)
}

// mostlyNot: hardly a value has a Han character or a letter.
func mostlyNot(values []string) bool {
	n, words := 0, 0
	for _, v := range values {
		if v == "" {
			continue
		}
		n++
		if strings.ContainsFunc(v, unicode.IsLetter) || strings.Contains(v, "*") {
			words++
		}
	}
	return words*5 < n
}

// Span is a piece of personal data inside a text.
type Span struct {
	Start, End int // byte offsets
	Kind       Kind
}

// ScanText finds identifiers inside free text: resident IDs, phone numbers, bank
// cards, e-mail addresses, plates, passports. Names and addresses are not looked
// for: in running text they cannot be told from other words.
func ScanText(text string) []Span {
	var out []Span
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(text[i:])
			if hanAt(text, i) != 0 {
				// A suffix of three bytes, six signs of new energy, five signs.
				for _, n := range []int{11, 10, 9} {
					if i+n <= len(text) && Plate(text[i:i+n]).OK() && (i+n == len(text) || !alnum(text[i+n])) {
						out = append(out, Span{i, i + n, KindPlate})
						size = n
						break
					}
				}
			}
			i += size
			continue
		}
		if !alnum(c) {
			i++
			continue
		}
		j := i
		for j < len(text) && (alnum(text[j]) || strings.IndexByte("@.-_+%", text[j]) >= 0) {
			j++
		}
		word := strings.TrimRight(text[i:j], ".-_+%@")
		if strings.IndexByte(word, '@') > 0 && Email(word).OK() {
			out = append(out, Span{i, i + len(word), KindEmail})
			i = j
			continue
		}
		// Otherwise a run of letters and digits by itself.
		k := i
		for k < len(text) && alnum(text[k]) {
			k++
		}
		run := text[i:k]
		switch kind, conf := RecogniseValue(run); {
		case kind == KindPhone || conf >= 0.6 && kind.Direct():
			out = append(out, Span{i, k, kind})
		}
		i = k
	}
	return out
}
