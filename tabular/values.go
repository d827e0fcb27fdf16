package tabular

import (
	"bytes"
	"strconv"
	"time"
)

// Canonical appends to out the one form in which a value of a catalog type is
// stored and compared, and reports whether v is such a value. v is trimmed of
// blanks and not empty. decimal is the decimal mark, '.' or ','; the other one
// may group thousands, strictly by three.
//
//	I         -123               whole number within int64
//	N, Y      -1234.50           decimal, at most 38 digits; Y may begin with ¥
//	B, F      Go's shortest form of a float64
//	D         2006-01-02         also from 2006/1/2, 2006.1.2, 20060102, 2006年1月2日,
//	          2-Jan-2006, 2 January 2006, Jan 2, 2006; see [UnclearDate] for the rest
//	T         2006-01-02T15:04:05+08:00, fraction to the millisecond when there
//	          is one; a time without a zone is Chinese time
//	L         1 or 0             from true, false, 是, 否, yes, no, Y, N, 1, 0
//	C, M, G   the text itself
func Canonical(out []byte, typ byte, v []byte, decimal byte) ([]byte, bool) {
	switch typ {
	case 'I':
		if decimal == ',' {
			return canonicalIntegerComma(out, v)
		}
		return canonicalInteger(out, v)
	case 'N':
		return canonicalDecimal(out, v, decimal)
	case 'Y':
		for _, sign := range [...]string{"¥", "￥"} {
			if len(v) > len(sign) && string(v[:len(sign)]) == sign {
				v = v[len(sign):]
				break
			}
		}
		return canonicalDecimal(out, v, decimal)
	case 'B', 'F':
		return canonicalFloat(out, v, decimal)
	case 'D':
		return canonicalDate(out, v)
	case 'T':
		return canonicalTime(out, v)
	case 'L':
		return canonicalBool(out, v)
	}
	return append(out, v...), true
}

// groups appends the digits of v without its thousands separators and returns
// how many there were; ok is false on anything else than digits, well grouped.
func groups(out, v []byte, sep byte) ([]byte, int, bool) {
	digits, run, grouped := 0, 0, false
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			out = append(out, c)
			digits++
			run++
		case c == sep:
			if run == 0 || grouped && run != 3 || run > 3 {
				return out, 0, false
			}
			grouped, run = true, 0
		default:
			return out, 0, false
		}
	}
	if digits == 0 || grouped && run != 3 {
		return out, 0, false
	}
	return out, digits, true
}

func canonicalInteger(out, v []byte) ([]byte, bool) { return integerWith(out, v, ',', '.') }

func canonicalIntegerComma(out, v []byte) ([]byte, bool) { return integerWith(out, v, '.', ',') }

func integerWith(out, v []byte, sep, point byte) ([]byte, bool) {
	// 2014.0 is the whole number 2014 as some programs write it.
	if i := bytes.IndexByte(v, point); i > 0 && len(v) > i+1 {
		for _, c := range v[i+1:] {
			if c != '0' {
				return out, false
			}
		}
		v = v[:i]
	}
	from := len(out)
	negative := false
	if v[0] == '-' || v[0] == '+' {
		negative = v[0] == '-'
		v = v[1:]
	}
	if len(v) == 0 {
		return out, false
	}
	if negative {
		out = append(out, '-')
	}
	start := len(out)
	var ok bool
	out, _, ok = groups(out, v, sep)
	if !ok {
		return out[:from], false
	}
	out = dropZeros(out, start)
	if len(out)-start > 18 {
		if _, err := strconv.ParseInt(string(out[from:]), 10, 64); err != nil {
			return out[:from], false
		}
	}
	if negative && len(out)-start == 1 && out[start] == '0' {
		out = append(out[:from], '0')
	}
	return out, true
}

// dropZeros removes leading zeros from the digits at start, keeping one digit.
func dropZeros(out []byte, start int) []byte {
	n := start
	for n < len(out)-1 && out[n] == '0' && out[n+1] >= '0' && out[n+1] <= '9' {
		n++
	}
	if n > start {
		out = append(out[:start], out[n:]...)
	}
	return out
}

func canonicalDecimal(out, v []byte, decimal byte) ([]byte, bool) {
	sep := byte(',')
	if decimal == ',' {
		sep = '.'
	} else {
		decimal = '.'
	}
	from := len(out)
	if v[0] == '-' || v[0] == '+' {
		if v[0] == '-' {
			out = append(out, '-')
		}
		v = v[1:]
	}
	start := len(out)
	whole, frac := v, []byte(nil)
	if i := bytes.IndexByte(v, decimal); i >= 0 {
		whole, frac = v[:i], v[i+1:]
		if len(frac) == 0 {
			return out[:from], false
		}
	}
	if len(whole) == 0 {
		if frac == nil {
			return out[:from], false
		}
		out = append(out, '0')
	} else {
		var ok bool
		if out, _, ok = groups(out, whole, sep); !ok {
			return out[:from], false
		}
		out = dropZeros(out, start)
	}
	if frac != nil {
		out = append(out, '.')
		for _, c := range frac {
			if c < '0' || c > '9' {
				return out[:from], false
			}
			out = append(out, c)
		}
	}
	if len(out)-start > 39 {
		return out[:from], false
	}
	if out[from] == '-' {
		zero := true
		for _, c := range out[start:] {
			zero = zero && (c == '0' || c == '.')
		}
		if zero {
			out = append(out[:from], out[start:]...)
		}
	}
	return out, true
}

func canonicalFloat(out, v []byte, decimal byte) ([]byte, bool) {
	if i := bytes.IndexAny(v, "eE"); i > 0 && decimal != ',' {
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return out, false
		}
		return strconv.AppendFloat(out, f, 'g', -1, 64), true
	}
	var tmp [64]byte
	plain, ok := canonicalDecimal(tmp[:0], v, decimal)
	if !ok {
		return out, false
	}
	f, err := strconv.ParseFloat(string(plain), 64)
	if err != nil {
		return out, false
	}
	return strconv.AppendFloat(out, f, 'g', -1, 64), true
}

func number(p []byte, i, most int) (n, next int) {
	from := i
	for i < len(p) && i-from < most && p[i] >= '0' && p[i] <= '9' {
		n = n*10 + int(p[i]-'0')
		i++
	}
	if i == from {
		return -1, i
	}
	return n, i
}

// scanDate reads a date at the start of v and returns where it ends.
func scanDate(v []byte) (y, m, d, next int, ok bool) {
	y, i := number(v, 0, 4)
	if i != 4 {
		y, m, d, next = scanEnglish(v)
		return y, m, d, next, exists(y, m, d)
	}
	switch {
	case i < len(v) && v[i] >= '0' && v[i] <= '9': // 20060102
		var j int
		if m, j = number(v, 4, 2); j != 6 {
			return
		}
		if d, next = number(v, 6, 2); next != 8 {
			return
		}
	case i < len(v) && (v[i] == '-' || v[i] == '/' || v[i] == '.'):
		sep := v[i]
		if m, i = number(v, i+1, 2); m < 0 || i >= len(v) || v[i] != sep {
			return
		}
		if d, next = number(v, i+1, 2); d < 0 {
			return
		}
	case bytes.HasPrefix(v[i:], []byte("年")):
		if m, i = number(v, i+3, 2); m < 0 || !bytes.HasPrefix(v[i:], []byte("月")) {
			return
		}
		if d, next = number(v, i+3, 2); d < 0 || !bytes.HasPrefix(v[next:], []byte("日")) {
			return
		}
		next += 3
	default:
		return
	}
	return y, m, d, next, exists(y, m, d)
}

func exists(y, m, d int) bool {
	return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= daysIn(y, m)
}

var months = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// monthName reads an English month, whole or its first three letters ("Sept" too)
// with or without a full stop; 0 for anything else.
func monthName(v []byte) (m, next int) {
	for next < len(v) && (v[next]|0x20) >= 'a' && (v[next]|0x20) <= 'z' {
		next++
	}
	if next < 3 || next > len("september") {
		return 0, 0
	}
	word := string(bytes.ToLower(v[:next]))
	if next < len(v) && v[next] == '.' {
		next++
	}
	for i, name := range months {
		if word == name || word == name[:3] || word == "sept" && i == 8 {
			return i + 1, next
		}
	}
	return 0, 0
}

// scanEnglish reads a date whose month is an English name, so that day and year
// cannot be mixed up: 21-Nov-2026, 21 November 2026, Nov 21, 2026. The year has four
// digits; y is 0 for anything else.
func scanEnglish(v []byte) (y, m, d, next int) {
	i := 0
	between := func() { // one of the marks that stand between the parts
		if i < len(v) && v[i] == ',' {
			i++
		}
		if i < len(v) && (v[i] == ' ' || v[i] == '-' || v[i] == '/') {
			i++
		}
	}
	month := func() bool {
		n := 0
		m, n = monthName(v[i:])
		i += n
		return m > 0
	}
	day := func() bool {
		d, i = number(v, i, 2)
		return d > 0
	}
	if len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
		if !day() {
			return 0, 0, 0, 0
		}
		between()
		if !month() {
			return 0, 0, 0, 0
		}
	} else {
		if !month() {
			return 0, 0, 0, 0
		}
		between()
		if !day() {
			return 0, 0, 0, 0
		}
	}
	between()
	from := i
	if y, i = number(v, i, 4); i-from != 4 || i < len(v) && v[i] >= '0' && v[i] <= '9' {
		return 0, 0, 0, 0
	}
	return y, m, d, i
}

// UnclearDate says that v is a date that more than one day could be meant by: of
// numbers with the year last (03/04/2026 is the third of April in one country and
// the fourth of March in another; 3-4-26 leaves the century open too), or with a
// month's name and a year of two digits (21-Nov-26). Such a value is refused rather
// than guessed, in every row alike, also where one order alone would give a date:
// beside 21/11/2026 in a column stands 03/04/2026.
func UnclearDate(v []byte) bool {
	a, i := number(v, 0, 2)
	if a < 0 {
		m, n := monthName(v) // Nov 21, 26
		if m == 0 {
			return false
		}
		rest := bytes.TrimLeft(v[n:], " -/")
		if a, i = number(rest, 0, 2); a < 0 {
			return false
		}
		v, i = bytes.TrimLeft(rest[i:], " ,-/"), 0
		return shortYear(v)
	}
	if i >= len(v) {
		return false
	}
	sep := v[i]
	if m, n := monthName(bytes.TrimLeft(v[i:], " -/")); m > 0 { // 21-Nov-26
		return shortYear(bytes.TrimLeft(bytes.TrimLeft(v[i:], " -/")[n:], " -/,"))
	}
	if sep != '-' && sep != '/' && sep != '.' {
		return false
	}
	b, j := number(v, i+1, 2)
	if b < 0 || j >= len(v) || v[j] != sep {
		return false
	}
	_, k := number(v, j+1, 4)
	return (k-j == 3 || k-j == 5) && (k == len(v) || v[k] == ' ' || v[k] == 'T')
}

// shortYear says whether v is a year of two digits, alone or before a time.
func shortYear(v []byte) bool {
	_, n := number(v, 0, 4)
	return n == 2 && (n == len(v) || v[n] == ' ' || v[n] == 'T')
}

func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func appendDate(out []byte, y, m, d int) []byte {
	return append(out, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}

func canonicalDate(out, v []byte) ([]byte, bool) {
	y, m, d, next, ok := scanDate(v)
	if !ok {
		return out, false
	}
	if next < len(v) {
		// A date written as midnight: 2006-01-02 00:00:00.
		rest := v[next:]
		if rest[0] != ' ' && rest[0] != 'T' || len(bytes.Trim(rest[1:], "0:.")) > 0 || len(rest) < 5 {
			return out, false
		}
	}
	return appendDate(out, y, m, d), true
}

// canonicalOffset is how far ahead of UTC canonical times are written, in seconds,
// and what a time that names no zone is taken for.
const canonicalOffset = 8 * 3600

func canonicalTime(out, v []byte) ([]byte, bool) {
	y, mo, d, i, ok := scanDate(v)
	if !ok {
		return out, false
	}
	var h, mi, s, ms int
	zoned, offset := false, 0
	if i < len(v) {
		if v[i] == ' ' || v[i] == 'T' {
			i++
		} else if !(i == 8 && len(v) == 14) { // 20060102150405
			return out, false
		}
		compact := i == 8 && len(v) == 14
		if h, i = number(v, i, 2); h < 0 || h > 23 {
			return out, false
		}
		if !compact {
			if i >= len(v) || v[i] != ':' {
				return out, false
			}
			i++
		}
		from := i
		if mi, i = number(v, i, 2); i-from != 2 || mi > 59 {
			return out, false
		}
		if compact || i < len(v) && v[i] == ':' {
			if !compact {
				i++
			}
			from = i
			if s, i = number(v, i, 2); i-from != 2 || s > 59 {
				return out, false
			}
			if i < len(v) && (v[i] == '.' || v[i] == ',') {
				from = i + 1
				for i = from; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
					if i-from < 3 {
						ms = ms*10 + int(v[i]-'0')
					}
				}
				if i == from {
					return out, false
				}
				for k := i - from; k < 3; k++ {
					ms *= 10
				}
			}
		}
		if i < len(v) {
			switch zoned = true; v[i] {
			case 'Z', 'z':
				i++
			case '+', '-':
				sign := 1
				if v[i] == '-' {
					sign = -1
				}
				oh, j := number(v, i+1, 2)
				if j != i+3 {
					return out, false
				}
				if j < len(v) && v[j] == ':' {
					j++
				}
				om, k := 0, j
				if j < len(v) {
					if om, k = number(v, j, 2); k != j+2 {
						return out, false
					}
				}
				if oh > 14 || om > 59 {
					return out, false
				}
				offset, i = sign*(oh*3600+om*60), k
			}
			if i != len(v) {
				return out, false
			}
		}
	}
	if zoned && offset != canonicalOffset {
		t := time.Date(y, time.Month(mo), d, h, mi, s+canonicalOffset-offset, 0, time.UTC)
		y, mo, d, h, mi, s = t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()
		if y < 1 || y > 9999 {
			return out, false
		}
	}
	out = appendDate(out, y, mo, d)
	out = append(out, 'T', byte('0'+h/10), byte('0'+h%10), ':', byte('0'+mi/10), byte('0'+mi%10), ':', byte('0'+s/10), byte('0'+s%10))
	if ms > 0 {
		out = append(out, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return append(out, "+08:00"...), true
}

func canonicalBool(out, v []byte) ([]byte, bool) {
	switch string(v) {
	case "1", "true", "TRUE", "True", "是", "Y", "y", "yes", "YES", "Yes", "有", "对", "t", "T":
		return append(out, '1'), true
	case "0", "false", "FALSE", "False", "否", "N", "n", "no", "NO", "No", "无", "错", "f", "F":
		return append(out, '0'), true
	}
	return out, false
}

// Days is the day number since 1970-01-01 of a canonical D.
func Days(v []byte) (int64, bool) {
	y, m, d, next, ok := scanDate(v)
	if !ok || next != len(v) {
		return 0, false
	}
	return daysSinceEpoch(y, m, d), true
}

func daysSinceEpoch(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	yoe := y - era*400
	mp := (m + 9) % 12
	doy := (153*mp+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// Milliseconds is the Unix time in milliseconds of a canonical T.
func Milliseconds(v []byte) (int64, bool) {
	if len(v) < 25 || string(v[len(v)-6:]) != "+08:00" {
		return 0, false
	}
	days, ok := Days(v[:10])
	if !ok {
		return 0, false
	}
	h, _ := number(v, 11, 2)
	m, _ := number(v, 14, 2)
	s, _ := number(v, 17, 2)
	ms := 0
	if v[19] == '.' {
		ms, _ = number(v, 20, 3)
	}
	if h < 0 || m < 0 || s < 0 || ms < 0 {
		return 0, false
	}
	return ((days*24+int64(h)-8)*60+int64(m))*60_000 + int64(s)*1000 + int64(ms), true
}
