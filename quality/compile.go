package quality

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// Engine is the compiled rules of one version of a resource. It is read-only
// and may serve many runs at once.
type Engine struct {
	items  []item
	keys   []int // positions of the key items
	checks []*expression
}

type item struct {
	id, name   string
	code       string
	typ        byte
	column     warehouse.Column
	required   bool
	key        bool
	unique     bool
	length     int // characters, 0 none; digits for numbers
	scale      int
	min, max   []byte
	pattern    *regexp.Regexp
	shape      []byte // a pattern of fixed classes, checked without the regexp
	enum       map[string]bool
	list       *catalog.CodeList
	kind       privacy.Kind
	reference  *catalog.Reference
	notFuture  bool
	texts      map[string]errs.Text
	unclear    errs.Text // for a date that could be read in two ways
	identifier map[privacy.Flaw]errs.Text
}

// Compile makes the engine of a resource. It fails with errs.Invalid, naming
// the item or check, when a pattern, bound, code list or expression is wrong.
func Compile(r *catalog.Resource) (*Engine, error) {
	e := &Engine{}
	for i, it := range r.Items {
		c, err := compileItem(it)
		if err != nil {
			return nil, err
		}
		if c.key {
			e.keys = append(e.keys, i)
		}
		e.items = append(e.items, c)
	}
	if len(e.items) == 0 {
		return nil, errs.New(errs.Invalid, errs.T("资源没有信息项", "the resource has no items"))
	}
	for _, c := range r.Checks {
		x, err := compileExpression(r.Items, c)
		if err != nil {
			return nil, err
		}
		e.checks = append(e.checks, x)
	}
	return e, nil
}

func compileItem(it catalog.Item) (item, error) {
	c := item{id: it.ID, name: it.Name, code: it.Code, typ: 'C', required: it.Required || it.Key, key: it.Key, unique: it.Unique && !it.Key,
		length: it.Length, scale: it.Scale, kind: privacy.Kind(it.Personal), reference: it.Reference, notFuture: it.NotFuture, texts: map[string]errs.Text{}}
	if it.Type != "" {
		c.typ = it.Type[0]
	}
	c.column = warehouse.Column{Name: it.Name, Type: warehouse.TypeOf(string(c.typ), it.Scale), Scale: it.Scale, Length: it.Length}
	fail := func(zh, en string, err error) (item, error) {
		return item{}, errs.Newf(errs.Invalid, "信息项“%s”的%s", "item %[1]q: %[3]s", it.Name, zh, en).In(it.ID).Because(err)
	}
	if it.Pattern != "" {
		if c.shape = fixedShape(it.Pattern); c.shape == nil {
			re, err := regexp.Compile(`^(?:` + it.Pattern + `)$`)
			if err != nil {
				return fail("格式（正则表达式）有误", "the pattern is not a valid expression", err)
			}
			c.pattern = re
		}
	}
	for _, b := range []struct {
		text string
		to   *[]byte
	}{{it.Min, &c.min}, {it.Max, &c.max}} {
		if b.text == "" {
			continue
		}
		v, ok := tabular.Canonical(nil, c.typ, []byte(strings.TrimSpace(b.text)), '.')
		if !ok {
			return fail("取值范围不是该类型的值", "a bound is not a value of its type", nil)
		}
		*b.to = v
	}
	if len(it.Enum) > 0 {
		c.enum = make(map[string]bool, len(it.Enum))
		for _, v := range it.Enum {
			c.enum[v.Value] = true
		}
	}
	if it.CodeList != "" {
		if c.list = catalog.CodeListByKey(it.CodeList); c.list == nil {
			return fail("代码表不存在", "its code list does not exist", nil)
		}
	}
	n := it.Name
	c.texts[Required] = errs.Tf("“%s”为必填项，不能为空", "%q is required and must not be empty", n)
	c.unclear = errs.Tf("“%s”的日期写法不明确，可能读成不同的日子（如 03/04/2026），不作猜测；请写作 2026-11-21 或 21-Nov-2026",
		"%q has a date that could be read as different days (such as 03/04/2026), and is not guessed; write 2026-11-21 or 21-Nov-2026", n)
	c.texts[Type] = errs.Tf("“%s”不是%s", "%[1]q is not %[3]s", n, typeZH(c.typ, it.Scale), typeEN(c.typ, it.Scale))
	c.texts[Length] = errs.Tf("“%s”超过 %d 个字符", "%q is longer than %d characters", n, it.Length)
	c.texts[Range] = rangeText(n, string(c.min), string(c.max))
	c.texts[Pattern] = errs.Tf("“%s”不符合规定的格式 %s", "%q does not have the form %s", n, it.Pattern)
	c.texts[CodeList] = errs.Tf("“%s”的值不在代码表%s内", "the value of %q is not in its code list %s", n, it.CodeList)
	c.texts[Unique] = errs.Tf("“%s”的值在本批中重复出现", "the value of %q occurs more than once in this batch", n)
	c.texts[Future] = errs.Tf("“%s”晚于今天", "%q lies in the future", n)
	if it.Reference != nil {
		c.texts[Reference] = errs.Tf("“%s”的值在资源 %s 中不存在", "the value of %q does not exist in resource %s", n, it.Reference.Resource)
	}
	switch c.kind {
	case privacy.KindResidentID, privacy.KindUSCC, privacy.KindPhone, privacy.KindBankCard, privacy.KindPlate, privacy.KindEmail, privacy.KindPassport:
		c.identifier = map[privacy.Flaw]errs.Text{}
		for f := privacy.Sound + 1; f.EN() != "" && f <= privacy.WrongForm; f++ {
			c.identifier[f] = errs.Tf("“%s”%s", "%[1]q %[3]s", n, f.ZH(), f.EN())
		}
	default:
		c.kind = privacy.KindNone
	}
	return c, nil
}

func rangeText(name, lo, hi string) errs.Text {
	switch {
	case lo == "":
		return errs.Tf("“%s”大于 %s", "%q is greater than %s", name, hi)
	case hi == "":
		return errs.Tf("“%s”小于 %s", "%q is less than %s", name, lo)
	}
	return errs.Tf("“%s”不在 %s 至 %s 之间", "%q is not between %s and %s", name, lo, hi)
}

func typeZH(t byte, scale int) string {
	switch t {
	case 'I':
		return "整数"
	case 'N', 'Y':
		if scale > 0 {
			return fmt.Sprintf("至多 %d 位小数的数", scale)
		}
		return "数"
	case 'B', 'F':
		return "数（有效数字至多 15 位）"
	case 'D':
		return "日期（如 2026-11-21）"
	case 'T':
		return "日期时间（如 2026-11-21 08:00:00）"
	case 'L':
		return "逻辑值（是、否、1、0）"
	}
	return "文本"
}

func typeEN(t byte, scale int) string {
	switch t {
	case 'I':
		return "a whole number"
	case 'N', 'Y':
		if scale > 0 {
			return fmt.Sprintf("a number of at most %d decimals", scale)
		}
		return "a number"
	case 'B', 'F':
		return "a number (of at most 15 significant digits)"
	case 'D':
		return "a date such as 2026-11-21"
	case 'T':
		return "a date and time such as 2026-11-21 08:00:00"
	case 'L':
		return "yes or no (1, 0)"
	}
	return "text"
}

// fixedShape reads patterns such as \d{6}, [0-9]{12} and [A-Z]\d{3} as one class
// letter a character ('9' digit, 'A' capital, 'a' small letter, 'w' digit or
// letter); nil when the pattern says more.
func fixedShape(pattern string) []byte {
	p := strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$")
	var out []byte
	for len(p) > 0 {
		var class byte
		for _, k := range []struct {
			text  string
			class byte
		}{{`\d`, '9'}, {`[0-9]`, '9'}, {`[A-Z]`, 'A'}, {`[a-z]`, 'a'}, {`[0-9A-Za-z]`, 'w'}, {`[A-Za-z0-9]`, 'w'}} {
			if strings.HasPrefix(p, k.text) {
				class, p = k.class, p[len(k.text):]
				break
			}
		}
		if class == 0 {
			return nil
		}
		n := 1
		if strings.HasPrefix(p, "{") {
			end := strings.IndexByte(p, '}')
			if end < 0 {
				return nil
			}
			var err error
			if n, err = strconv.Atoi(p[1:end]); err != nil || n < 1 || n > 256 {
				return nil
			}
			p = p[end+1:]
		}
		if p != "" && strings.ContainsRune("*+?|", rune(p[0])) {
			return nil
		}
		out = append(out, bytes.Repeat([]byte{class}, n)...)
	}
	return out
}

func hasShape(v, shape []byte) bool {
	if len(v) != len(shape) {
		return false
	}
	for i, c := range v {
		digit, upper, lower := c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z'
		switch shape[i] {
		case '9':
			if !digit {
				return false
			}
		case 'A':
			if !upper {
				return false
			}
		case 'a':
			if !lower {
				return false
			}
		default:
			if !digit && !upper && !lower {
				return false
			}
		}
	}
	return true
}

// compare orders two canonical values of a type.
func compare(typ byte, a, b []byte) int {
	switch typ {
	case 'I', 'N', 'Y':
		return compareDecimal(a, b)
	case 'B', 'F':
		x, _ := strconv.ParseFloat(string(a), 64)
		y, _ := strconv.ParseFloat(string(b), 64)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return bytes.Compare(a, b)
}

// compareDecimal compares canonical decimals exactly.
func compareDecimal(a, b []byte) int {
	an, bn := len(a) > 0 && a[0] == '-', len(b) > 0 && b[0] == '-'
	if an != bn {
		if an {
			return -1
		}
		return 1
	}
	sign := 1
	if an {
		a, b, sign = a[1:], b[1:], -1
	}
	cut := func(v []byte) (whole, frac []byte) {
		if i := bytes.IndexByte(v, '.'); i >= 0 {
			return v[:i], bytes.TrimRight(v[i+1:], "0")
		}
		return v, nil
	}
	aw, af := cut(a)
	bw, bf := cut(b)
	if len(aw) != len(bw) {
		if len(aw) < len(bw) {
			return -sign
		}
		return sign
	}
	if c := bytes.Compare(aw, bw); c != 0 {
		return c * sign
	}
	return bytes.Compare(af, bf) * sign
}
