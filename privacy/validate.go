package privacy

// Flaw says what is wrong (or, as a warning, unusual) with an identifier.
type Flaw uint8

// The flaws. Sound is the zero value.
const (
	Sound Flaw = iota
	WrongLength
	WrongCharacter
	LowerCase
	WrongRegion
	WrongDate
	WrongCheckDigit
	WrongPrefix
	WrongForm
	// Below: warnings only.
	LegacyLength
	UnknownRegion
	UnknownRegistrar
	WrongOrgCode
	UnusualPermit
	UnusualCard
)

var flawText = [...][2]string{
	Sound:            {"", ""},
	WrongLength:      {"长度不对", "has the wrong length"},
	WrongCharacter:   {"含有不允许的字符", "contains a character that is not allowed"},
	LowerCase:        {"字母应为大写", "has a letter in lower case"},
	WrongRegion:      {"行政区划代码不成立", "has an impossible division code"},
	WrongDate:        {"出生日期不存在", "contains a date that does not exist"},
	WrongCheckDigit:  {"校验码不符", "has a wrong check digit"},
	WrongPrefix:      {"号段不对", "begins with a range that is not in use"},
	WrongForm:        {"格式不对", "does not have the required form"},
	LegacyLength:     {"为 15 位旧号码", "is a 15-digit number of the old form"},
	UnknownRegion:    {"行政区划代码不在已知省份之列", "has a division code of no known province"},
	UnknownRegistrar: {"登记管理部门或机构类别代码不在国家标准之列", "has a registrar or category code that the standard does not list"},
	WrongOrgCode:     {"其中的组织机构代码校验码不符", "contains an organisation code whose own check digit is wrong"},
	UnusualPermit:    {"港澳台居民居住证号码的区划段不是 810000、820000 或 830000", "is a residence permit of Hong Kong, Macao or Taiwan with an unusual division"},
	UnusualCard:      {"不是银联卡号段", "is not in the UnionPay range"},
}

// ZH is the flaw as the end of a Chinese sentence whose subject is the value.
func (f Flaw) ZH() string { return flawText[f][0] }

// EN is the flaw as the end of an English sentence whose subject is the value.
func (f Flaw) EN() string { return flawText[f][1] }

// Verdict is what a validator found: a Flaw that rejects the value, and a
// Warning that does not.
type Verdict struct{ Flaw, Warning Flaw }

// OK says that the value is acceptable (it may still carry a warning).
func (v Verdict) OK() bool { return v.Flaw == Sound }

func bad(f Flaw) Verdict { return Verdict{Flaw: f} }

// Validate checks a value of the given kind by its standard. Kinds without a
// checkable form (name, address, birth date, none) are always acceptable. It
// allocates nothing.
func Validate[T Text](k Kind, s T) Verdict {
	switch k {
	case KindResidentID:
		return ResidentID(s)
	case KindUSCC:
		return USCC(s)
	case KindPhone:
		if len(s) > 0 && s[0] == '0' {
			return Landline(s)
		}
		return Phone(s)
	case KindBankCard:
		return BankCard(s)
	case KindPlate:
		return Plate(s)
	case KindEmail:
		return Email(s)
	case KindPassport:
		return Passport(s)
	}
	return Verdict{}
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func digits[T Text](s T) bool {
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) {
			return false
		}
	}
	return true
}

// province holds the two-digit prefixes of GB/T 2260, with 81, 82 and 83 for
// Hong Kong, Macao and Taiwan residents (71 in GB/T 2260 itself).
var province = func() (p [100]bool) {
	for _, n := range []int{11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37,
		41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83} {
		p[n] = true
	}
	return p
}()

var idWeight = [17]uint16{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

const idCheck = "10X98765432"

// idCheckDigit gives the check character of the first 17 digits (GB 11643).
func idCheckDigit[T Text](s T) byte {
	sum := uint16(0)
	for i := 0; i < 17; i++ {
		sum += uint16(s[i]-'0') * idWeight[i]
	}
	return idCheck[sum%11]
}

// daysIn gives the days of a month, 0 for a month that does not exist.
func daysIn(y, m int) int {
	switch m {
	case 1, 3, 5, 7, 8, 10, 12:
		return 31
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 0
}

func dateExists(y, m, d int) bool { return y >= 1800 && y < 2100 && d >= 1 && d <= daysIn(y, m) }

func two[T Text](s T, i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }

// ResidentID checks a citizen's identity number (GB 11643-1999): 18 characters
// with an upper-case X, the 15-digit form of before 1999 (warning), residence
// permits of Hong Kong, Macao and Taiwan residents (81, 82, 83), and the
// permanent residence permit of foreigners (leading 9). The division is the one
// at issue, so an abolished code is legitimate: an unknown one only warns.
func ResidentID[T Text](s T) Verdict {
	n := len(s)
	if n != 18 && n != 15 {
		return bad(WrongLength)
	}
	last := n - 1
	if n == 15 {
		last = n
	}
	for i := 0; i < last; i++ {
		if !digit(s[i]) {
			return bad(WrongCharacter)
		}
	}
	if s[0] == '0' {
		return bad(WrongRegion)
	}
	if n == 15 {
		if !dateExists(1900+two(s, 6), two(s, 8), two(s, 10)) {
			return bad(WrongDate)
		}
		return Verdict{Warning: LegacyLength}
	}
	switch c := s[17]; {
	case c == 'x':
		return bad(LowerCase)
	case !digit(c) && c != 'X':
		return bad(WrongCharacter)
	}
	if !dateExists(two(s, 6)*100+two(s, 8), two(s, 10), two(s, 12)) {
		return bad(WrongDate)
	}
	if idCheckDigit(s) != s[17] {
		return bad(WrongCheckDigit)
	}
	switch p := two(s, 0); {
	case s[0] == '9': // permit of a foreigner: 9, two of the issuing province, three of the country
		if !province[two(s, 1)] {
			return Verdict{Warning: UnknownRegion}
		}
	case !province[p]:
		return Verdict{Warning: UnknownRegion}
	case p >= 81:
		for i := 2; i < 6; i++ {
			if s[i] != '0' {
				return Verdict{Warning: UnusualPermit}
			}
		}
	}
	return Verdict{}
}

// UpgradeResidentID turns a sound 15-digit number into the 18-character one:
// century 19 inserted, check digit appended. Any other sound number comes back
// as it is; ok is false for an unsound one.
func UpgradeResidentID(s string) (id string, ok bool) {
	if !ResidentID(s).OK() {
		return "", false
	}
	if len(s) == 18 {
		return s, true
	}
	var b [18]byte
	copy(b[:], s[:6])
	b[6], b[7] = '1', '9'
	copy(b[8:], s[6:])
	b[17] = idCheckDigit(b[:])
	return string(b[:]), true
}

// IDFacts is what a resident ID says about its holder.
type IDFacts struct {
	Region           string // six digits: the division at issue, or the permit's prefix
	Year, Month, Day int    // of birth
	Male             bool   // the 17th character (15th of the old form) is odd
	Foreign          bool   // permanent residence permit of a foreigner
}

// ReadResidentID reads the facts out of a sound number.
func ReadResidentID(s string) (IDFacts, bool) {
	id, ok := UpgradeResidentID(s)
	if !ok {
		return IDFacts{}, false
	}
	return IDFacts{Region: id[:6], Year: two(id, 6)*100 + two(id, 8), Month: two(id, 10),
		Day: two(id, 12), Male: (id[16]-'0')%2 == 1, Foreign: id[0] == '9'}, true
}

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// usccValue maps a character to its value plus one; 0 is "not in the alphabet".
var usccValue = func() (v [256]byte) {
	for i := 0; i < len(usccAlphabet); i++ {
		v[usccAlphabet[i]] = byte(i + 1)
	}
	return v
}()

var usccWeight = [17]uint16{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}

func usccCheckDigit[T Text](s T) byte {
	sum := uint16(0)
	for i := 0; i < 17; i++ {
		sum += uint16(usccValue[s[i]]-1) * usccWeight[i]
	}
	return usccAlphabet[(31-sum%31)%31]
}

var orgWeight = [8]int{3, 7, 9, 10, 5, 8, 4, 2}

// orgCheckDigit gives the check character of an organisation code (GB 11714)
// whose eight characters begin at i.
func orgCheckDigit[T Text](s T, i int) byte {
	sum := 0
	for j, w := range orgWeight {
		c := s[i+j]
		v := int(c - '0')
		if !digit(c) {
			v = int(c-'A') + 10
		}
		sum += v * w
	}
	switch r := 11 - sum%11; r {
	case 10:
		return 'X'
	case 11:
		return '0'
	default:
		return byte('0' + r)
	}
}

// usccRegistrar lists the category characters of each registrar (GB 32100).
var usccRegistrar = map[byte]string{'1': "1239", '2': "19", '3': "123459", '4': "19", '5': "1239",
	'6': "129", '7': "129", '8': "19", '9': "123", 'A': "19", 'N': "1239", 'Y': "1"}

var usccCategory = func() (v [256][256]bool) {
	for d, cs := range usccRegistrar {
		for i := 0; i < len(cs); i++ {
			v[d][cs[i]] = true
		}
	}
	return v
}()

// USCC checks a unified social credit code (GB 32100-2015): 18 characters of a
// 31-letter alphabet, digits in the division, check character. A registrar or
// category outside the standard's list, and a wrong check digit of the
// organisation code inside (GB 11714), only warn.
func USCC[T Text](s T) Verdict {
	if len(s) != 18 {
		return bad(WrongLength)
	}
	lower := false
	for i := 0; i < 18; i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			lower = true
			c -= 'a' - 'A'
		}
		if usccValue[c] == 0 || (i >= 2 && i < 8 && !digit(c)) {
			return bad(WrongCharacter)
		}
	}
	if lower {
		return bad(LowerCase)
	}
	if usccCheckDigit(s) != s[17] {
		return bad(WrongCheckDigit)
	}
	if !usccCategory[s[0]][s[1]] {
		return Verdict{Warning: UnknownRegistrar}
	}
	if orgCheckDigit(s, 8) != s[16] {
		return Verdict{Warning: WrongOrgCode}
	}
	return Verdict{}
}

// Phone checks a mainland mobile number: eleven digits, 13 to 19.
func Phone[T Text](s T) Verdict {
	switch {
	case len(s) != 11:
		return bad(WrongLength)
	case !digits(s):
		return bad(WrongCharacter)
	case s[0] != '1' || s[1] < '3':
		return bad(WrongPrefix)
	}
	return Verdict{}
}

// Landline checks a fixed-line number: area code with leading 0 (three or four
// digits), an optional hyphen, seven or eight digits.
func Landline[T Text](s T) Verdict {
	n := len(s)
	if n < 10 || n > 13 {
		return bad(WrongLength)
	}
	if s[0] != '0' {
		return bad(WrongPrefix)
	}
	hyphen := -1
	for i := 0; i < n; i++ {
		switch {
		case s[i] == '-' && hyphen < 0:
			hyphen = i
		case !digit(s[i]):
			return bad(WrongCharacter)
		}
	}
	if hyphen >= 0 {
		if rest := n - hyphen - 1; (hyphen != 3 && hyphen != 4) || (rest != 7 && rest != 8) {
			return bad(WrongForm)
		}
	} else if n > 12 {
		return bad(WrongLength)
	}
	return Verdict{}
}

// Luhn says whether the digits carry a right Luhn check digit.
func Luhn[T Text](s T) bool {
	sum := 0
	for i := 0; i < len(s); i++ {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(s) > 0 && sum%10 == 0
}

// BankCard checks a card number: 13 to 19 digits with a right Luhn digit. A
// number outside UnionPay's range (62, 16 to 19 digits) warns.
func BankCard[T Text](s T) Verdict {
	switch {
	case len(s) < 13 || len(s) > 19:
		return bad(WrongLength)
	case !digits(s):
		return bad(WrongCharacter)
	case !Luhn(s):
		return bad(WrongCheckDigit)
	case len(s) < 16 || s[0] != '6' || s[1] != '2':
		return Verdict{Warning: UnusualCard}
	}
	return Verdict{}
}

const (
	plateProvinces = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
	plateSuffixes  = "挂学警港澳"
)

// hanAt reads the three-byte character at i, 0 when there is none.
func hanAt[T Text](s T, i int) rune {
	if i+3 > len(s) || s[i]&0xf0 != 0xe0 || s[i+1]&0xc0 != 0x80 || s[i+2]&0xc0 != 0x80 {
		return 0
	}
	return rune(s[i]&0x0f)<<12 | rune(s[i+1]&0x3f)<<6 | rune(s[i+2]&0x3f)
}

func oneOf(r rune, set string) bool {
	for _, c := range set {
		if c == r {
			return true
		}
	}
	return false
}

// plateLetter: A to Z without I and O.
func plateLetter(c byte) bool { return c >= 'A' && c <= 'Z' && c != 'I' && c != 'O' }

func plateSign(c byte) bool { return digit(c) || plateLetter(c) }

func energyLetter(c byte) bool { return c >= 'A' && c <= 'K' && c != 'I' }

// Plate checks a vehicle plate (GA 36-2018): a province's character, a letter,
// then five signs (the last may be 挂, 学, 警, 港 or 澳) or, for new-energy
// vehicles, six with a letter A to K first (small) or last (large).
func Plate[T Text](s T) Verdict {
	if len(s) < 9 || len(s) > 11 {
		return bad(WrongLength)
	}
	if !oneOf(hanAt(s, 0), plateProvinces) {
		return bad(WrongPrefix)
	}
	if !plateLetter(s[3]) {
		return bad(WrongCharacter)
	}
	rest := len(s) - 4
	for i := 4; i < len(s) && i < 8; i++ {
		if !plateSign(s[i]) {
			return bad(WrongCharacter)
		}
	}
	switch rest {
	case 5:
		if !plateSign(s[8]) {
			return bad(WrongCharacter)
		}
	case 7:
		if !oneOf(hanAt(s, 8), plateSuffixes) {
			return bad(WrongCharacter)
		}
	case 6:
		small := energyLetter(s[4]) && digit(s[6]) && digit(s[7]) && digit(s[8]) && digit(s[9])
		large := digit(s[4]) && digit(s[5]) && digit(s[6]) && digit(s[7]) && digit(s[8]) && energyLetter(s[9])
		if !small && !large {
			return bad(WrongForm)
		}
	}
	return Verdict{}
}

// Email checks the plain form of an address: a dotted local part and a domain of
// at least two labels. Quoted local parts and address literals are refused.
func Email[T Text](s T) Verdict {
	if len(s) < 6 || len(s) > 254 {
		return bad(WrongLength)
	}
	at := -1
	for i := 0; i < len(s); i++ {
		if s[i] == '@' {
			if at >= 0 {
				return bad(WrongForm)
			}
			at = i
		}
	}
	if at < 1 || at > 64 {
		return bad(WrongForm)
	}
	prev := byte('.')
	for i := 0; i < at; i++ {
		c := s[i]
		if c == '.' && prev == '.' {
			return bad(WrongForm)
		}
		if !alnum(c) && c != '.' && c != '_' && c != '-' && c != '+' && c != '%' && c != '\'' {
			return bad(WrongCharacter)
		}
		prev = c
	}
	if prev == '.' {
		return bad(WrongForm)
	}
	labels, start := 0, at+1
	for i := at + 1; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !alnum(s[i]) && s[i] != '-' {
				return bad(WrongCharacter)
			}
			continue
		}
		if i == start || i-start > 63 || s[start] == '-' || s[i-1] == '-' {
			return bad(WrongForm)
		}
		if i == len(s) { // the last label is letters
			if i-start < 2 {
				return bad(WrongForm)
			}
			for j := start; j < i; j++ {
				if digit(s[j]) {
					return bad(WrongForm)
				}
			}
		}
		labels++
		start = i + 1
	}
	if labels < 2 {
		return bad(WrongForm)
	}
	return Verdict{}
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func alnum(c byte) bool { return digit(c) || letter(c) }

// Passport checks a Chinese passport: E, G, D, S, P, H or K and eight digits; E
// and a letter (no I or O) and seven digits; or the old 14 or 15 and seven digits.
func Passport[T Text](s T) Verdict {
	if len(s) != 9 {
		return bad(WrongLength)
	}
	tail := true
	for i := 2; i < 9; i++ {
		tail = tail && digit(s[i])
	}
	if !tail {
		return bad(WrongCharacter)
	}
	switch c := s[0]; {
	case c == 'E' && (digit(s[1]) || plateLetter(s[1])):
		return Verdict{}
	case oneOf(rune(c), "GDSPHK") && digit(s[1]):
		return Verdict{}
	case c == '1' && (s[1] == '4' || s[1] == '5'):
		return Verdict{}
	}
	return bad(WrongPrefix)
}
