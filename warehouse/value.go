package warehouse

import (
	"math"
	"strconv"
	"time"
	"unsafe"

	"gongshu/internal/errs"
	"gongshu/workday"
)

// Kind is which field of a Value counts.
type Kind uint8

// The kinds of value.
const (
	Null     Kind = iota
	String        // S
	Number        // N: integers, decimals (unscaled), dates (days since 1970), times (Unix ms), logicals (0, 1)
	Floating      // N holds the bits of a float64
)

// Value is one cell as the store holds it. What N means is told by the Column.
type Value struct {
	S    string
	N    int64
	Kind Kind
}

// StringValue makes a Text value; the empty string is Null, as in loaded rows.
func StringValue(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{Kind: String, S: s}
}

// NumberValue makes a value of an Integer, Date, Time, Bool or (unscaled) Decimal.
func NumberValue(n int64) Value { return Value{Kind: Number, N: n} }

// FloatValue makes a Float value.
func FloatValue(f float64) Value { return Value{Kind: Floating, N: int64(math.Float64bits(f))} }

// IsNull reports whether the cell is absent.
func (v Value) IsNull() bool { return v.Kind == Null }

// Float is the value of a Floating.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.N)) }

// Parse reads canonical text (see Source) as a value of the column. It refuses a
// text that the column would not give back as the same value.
func (c Column) Parse(text string) (Value, error) {
	return c.parse(unsafe.Slice(unsafe.StringData(text), len(text)))
}

// parse is Parse on bytes; a String value aliases text.
func (c Column) parse(text []byte) (Value, error) {
	if len(text) == 0 {
		return Value{}, nil
	}
	switch c.Type {
	case Text:
		return Value{Kind: String, S: unsafe.String(&text[0], len(text))}, nil
	case Float:
		f, ok := parseFloat(text)
		if !ok {
			return Value{}, c.unfit(text)
		}
		return FloatValue(f), nil
	}
	n, ok := c.parseNumber(text)
	if !ok {
		return Value{}, c.unfit(text)
	}
	return NumberValue(n), nil
}

// Fits reports, without allocating when it does, why canonical text cannot be
// stored in the column: not of its type, too many digits, out of range.
func (c Column) Fits(text []byte) error {
	_, err := c.parse(text)
	return err
}

func (c Column) unfit(text []byte) error {
	shown := string(text)
	if len([]rune(shown)) > 40 {
		shown = string([]rune(shown)[:40]) + "…"
	}
	switch c.Type {
	case Integer:
		return errs.Newf(errs.Invalid, "“%s”不是 64 位以内的整数", "%q is not an integer of at most 64 bits", shown).In(c.Name)
	case Decimal:
		return errs.Newf(errs.Invalid, "“%[1]s”不是小数点后至多 %[2]d 位、总共至多 18 位的数", "%[1]q is not a number of at most %[2]d digits after the point and 18 in all", shown, c.Scale).In(c.Name)
	case Float:
		return errs.Newf(errs.Invalid, "“%s”不是数，或有效数字超过 15 位；需要精确保存时请在目录中声明小数位数", "%q is not a number, or has more than 15 significant digits; declare the digits after the point in the catalog to keep it exactly", shown).In(c.Name)
	case Date:
		return errs.Newf(errs.Invalid, "“%s”不是日期（如 2026-11-21）", "%q is not a date such as 2026-11-21", shown).In(c.Name)
	case Time:
		return errs.Newf(errs.Invalid, "“%s”不是时间（如 2026-11-21T08:00:00+08:00）", "%q is not a time such as 2026-11-21T08:00:00+08:00", shown).In(c.Name)
	}
	return errs.Newf(errs.Invalid, "“%s”不是 1 或 0", "%q is neither 1 nor 0", shown).In(c.Name)
}

func (c Column) parseNumber(text []byte) (int64, bool) {
	switch c.Type {
	case Integer:
		return parseInt(text)
	case Decimal:
		return parseDecimal(text, c.Scale)
	case Date:
		return parseDate(text)
	case Time:
		return parseTime(text)
	case Bool:
		if len(text) == 1 && (text[0] == '0' || text[0] == '1') {
			return int64(text[0] - '0'), true
		}
	}
	return 0, false
}

func parseInt(text []byte) (int64, bool) {
	i, neg := 0, false
	if text[0] == '-' || text[0] == '+' {
		neg = text[0] == '-'
		i = 1
	}
	if i == len(text) {
		return 0, false
	}
	var n uint64
	for ; i < len(text); i++ {
		d := text[i] - '0'
		if d > 9 || n > (math.MaxUint64-9)/10 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if neg {
		if n > 1<<63 {
			return 0, false
		}
		return -int64(n), true
	}
	return int64(n), n < 1<<63
}

const maxDecimal = 999_999_999_999_999_999 // 18 digits

// parseDecimal gives the number times 10^scale. Zeros beyond the scale are
// dropped, other digits there are refused; so are more than 18 digits.
func parseDecimal(text []byte, scale int) (int64, bool) {
	i, neg := 0, false
	if text[0] == '-' || text[0] == '+' {
		neg = text[0] == '-'
		i = 1
	}
	var n int64
	digits, after, point := 0, 0, false
	for ; i < len(text); i++ {
		ch := text[i]
		if ch == '.' {
			if point {
				return 0, false
			}
			point = true
			continue
		}
		d := ch - '0'
		if d > 9 {
			return 0, false
		}
		digits++
		if point {
			if after == scale {
				if d != 0 {
					return 0, false
				}
				continue
			}
			after++
		}
		if n > (maxDecimal-int64(d))/10 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	if digits == 0 {
		return 0, false
	}
	for ; after < scale; after++ {
		if n > maxDecimal/10 {
			return 0, false
		}
		n *= 10
	}
	if neg {
		n = -n
	}
	return n, true
}

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseFloat reads a decimal text. Up to 15 significant digits are exact to
// read back; longer integers and fractions are taken only when the double's own
// shortest text says the same number.
func parseFloat(text []byte) (float64, bool) {
	// The common shape, digits with a point, without strconv: exact as long as
	// mantissa and power of ten are both exact doubles.
	i, neg := 0, false
	if text[0] == '-' {
		neg = true
		i = 1
	}
	var n int64
	digits, after, point := 0, 0, false
	for ; i < len(text); i++ {
		ch := text[i]
		if ch == '.' && !point {
			point = true
			continue
		}
		d := ch - '0'
		if d > 9 || digits == 15 {
			return parseFloatSlow(text)
		}
		n = n*10 + int64(d)
		if n > 0 {
			digits++
		}
		if point {
			after++
		}
	}
	if after > 22 || (digits == 0 && n == 0 && len(text) < 1+b2i(neg)+b2i(point)) {
		return parseFloatSlow(text)
	}
	f := float64(n) / pow10[after]
	if neg {
		f = -f
	}
	return f, true
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func parseFloatSlow(text []byte) (float64, bool) {
	s := string(text)
	for i := range len(s) {
		switch ch := s[i]; {
		case ch >= '0' && ch <= '9', ch == '.', ch == '-', ch == '+', ch == 'e', ch == 'E':
		default: // hexadecimal, underscores, Inf, NaN
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, false
	}
	digits, _ := significand(s)
	if len(digits) <= 15 {
		return f, true
	}
	again := strconv.FormatFloat(f, 'e', -1, 64)
	d1, e1 := significand(s)
	d2, e2 := significand(again)
	return f, d1 == d2 && e1 == e2
}

// significand splits a decimal text into its digits without leading and trailing
// zeros and the power of ten of its first digit.
func significand(s string) (digits string, exponent int) {
	var out []byte
	point, seen := 0, false
	exp := 0
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '.':
			seen = true
		case ch == 'e' || ch == 'E':
			exp, _ = strconv.Atoi(s[i+1:])
			i = len(s)
		case ch >= '0' && ch <= '9':
			if len(out) == 0 && ch == '0' {
				if seen {
					point--
				}
				continue
			}
			out = append(out, ch)
			if !seen {
				point++
			}
		}
	}
	for len(out) > 0 && out[len(out)-1] == '0' {
		out = out[:len(out)-1]
	}
	if len(out) == 0 {
		return "", 0
	}
	return string(out), point + exp
}

func twoDigits(b []byte) (int, bool) {
	h, l := b[0]-'0', b[1]-'0'
	return int(h)*10 + int(l), h <= 9 && l <= 9
}

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// parseDate reads 2026-11-21 as days since 1970.
func parseDate(text []byte) (int64, bool) {
	if len(text) != 10 || text[4] != '-' || text[7] != '-' {
		return 0, false
	}
	c, ok1 := twoDigits(text)
	y, ok2 := twoDigits(text[2:])
	m, ok3 := twoDigits(text[5:])
	d, ok4 := twoDigits(text[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 || m < 1 || m > 12 || d < 1 {
		return 0, false
	}
	y += c * 100
	days := monthDays[m]
	if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		days = 29
	}
	if d > days {
		return 0, false
	}
	return civilDays(y, m, d), true
}

// civilDays counts the days from 1970-01-01 (proleptic Gregorian).
func civilDays(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	mp := (m + 9) % 12
	doy := (153*mp+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// parseTime reads RFC 3339, with up to three digits of fraction, as Unix milliseconds.
func parseTime(text []byte) (int64, bool) {
	if len(text) < 20 || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	day, ok := parseDate(text[:10])
	h, ok1 := twoDigits(text[11:])
	m, ok2 := twoDigits(text[14:])
	s, ok3 := twoDigits(text[17:])
	if !ok || !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 59 {
		return 0, false
	}
	ms := ((day*24+int64(h))*60+int64(m))*60 + int64(s)
	ms *= 1000
	rest := text[19:]
	if rest[0] == '.' {
		unit := int64(100)
		i := 1
		for ; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			if unit == 0 {
				return 0, false
			}
			ms += unit * int64(rest[i]-'0')
			unit /= 10
		}
		if i == 1 {
			return 0, false
		}
		rest = rest[i:]
	}
	switch {
	case len(rest) == 1 && rest[0] == 'Z':
		return ms, true
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		oh, ok1 := twoDigits(rest[1:])
		om, ok2 := twoDigits(rest[4:])
		if !ok1 || !ok2 || oh > 14 || om > 59 {
			return 0, false
		}
		off := int64(oh*60+om) * 60_000
		if rest[0] == '-' {
			off = -off
		}
		return ms - off, true
	}
	return 0, false
}

// Append writes v as the column's canonical text: what Parse reads, decimals
// with all digits of the scale, floats in their shortest form without exponent
// up to 1e21. Null writes nothing.
func (c Column) Append(dst []byte, v Value) []byte {
	switch v.Kind {
	case Null:
		return dst
	case String:
		return append(dst, v.S...)
	case Floating:
		return appendFloat(dst, v.Float())
	}
	switch c.Type {
	case Decimal:
		return appendDecimal(dst, v.N, c.Scale)
	case Date:
		return appendDate(dst, v.N)
	case Time:
		t := time.UnixMilli(v.N).In(workday.Zone)
		if v.N%1000 != 0 {
			return t.AppendFormat(dst, "2006-01-02T15:04:05.000-07:00")
		}
		return t.AppendFormat(dst, "2006-01-02T15:04:05-07:00")
	}
	return strconv.AppendInt(dst, v.N, 10)
}

// Format is Append into a string.
func (c Column) Format(v Value) string {
	if v.Kind == String {
		return v.S
	}
	var buf [40]byte
	return string(c.Append(buf[:0], v))
}

func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func appendDecimal(dst []byte, n int64, scale int) []byte {
	if scale == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	u := uint64(n)
	if n < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var buf [24]byte
	digits := strconv.AppendUint(buf[:0], u, 10)
	if len(digits) <= scale {
		dst = append(dst, '0', '.')
		for range scale - len(digits) {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...)
}

// appendDate writes days since 1970 as 2026-11-21.
func appendDate(dst []byte, days int64) []byte {
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	y := yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m := mp + 3
	if m > 12 {
		m -= 12
		y++
	}
	return append(dst,
		byte('0'+y/1000%10), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}
