package privacy

import (
	"fmt"
	"strconv"
	"strings"
)

// MaskName names a mask; the values are stored in the catalog and in grants.
type MaskName string

// The masks. MaskNone releases the value as it is.
const (
	MaskNone      MaskName = ""
	MaskKeepEnds  MaskName = "keep_ends" // keep_ends:3,4 keeps the first 3 and the last 4 characters
	MaskReplace   MaskName = "replace"   // replace or replace:已脱敏
	MaskDigest    MaskName = "digest"    // SM3-HMAC as 32 hexadecimal digits
	MaskFPE       MaskName = "fpe"       // FF1: digits stay digits, letters letters
	MaskDate      MaskName = "date"      // date:month, date:quarter, date:year, date:decade
	MaskRegion    MaskName = "region"    // region:province, region:city, region:county
	MaskRound     MaskName = "round"     // round:100
	MaskPseudonym MaskName = "pseudonym" // another resident ID or USCC whose check digit is right
)

// MaskNames lists the masks in the order of screens, MaskNone left out.
func MaskNames() []MaskName {
	return []MaskName{MaskKeepEnds, MaskReplace, MaskDigest, MaskFPE, MaskDate, MaskRegion, MaskRound, MaskPseudonym}
}

// MaskSpec is a mask with its parameters, as written "name" or "name:parameters".
type MaskSpec struct {
	Name       MaskName
	Head, Tail int     // keep_ends: characters kept, 0 to 32 each
	Text       string  // replace: what stands instead; date and region: the level
	Step       float64 // round: the multiple, > 0
}

// ParseMask reads a specification. An empty one is MaskNone. Errors say what is
// wrong in English; ParseMaskProblem says it in both languages.
func ParseMask(s string) (MaskSpec, error) {
	m, zh, en := parseMask(s)
	if zh != "" {
		return MaskSpec{}, fmt.Errorf("mask %q: %s", s, en)
	}
	return m, nil
}

// ParseMaskProblem is ParseMask for screens: zh and en are empty for a sound one.
func ParseMaskProblem(s string) (zh, en string) {
	_, zh, en = parseMask(s)
	return zh, en
}

func parseMask(s string) (m MaskSpec, zh, en string) {
	name, param, has := strings.Cut(s, ":")
	m.Name = MaskName(name)
	switch m.Name {
	case MaskNone:
		if has {
			return m, "缺少脱敏方式名称", "the name of the mask is missing"
		}
	case MaskKeepEnds:
		m.Head, m.Tail = 1, 1
		if has {
			h, t, ok := strings.Cut(param, ",")
			var err1, err2 error
			m.Head, err1 = strconv.Atoi(strings.TrimSpace(h))
			m.Tail, err2 = strconv.Atoi(strings.TrimSpace(t))
			if !ok || err1 != nil || err2 != nil || m.Head < 0 || m.Tail < 0 || m.Head > 32 || m.Tail > 32 {
				return m, "保留首尾应写作 keep_ends:首,尾（0 至 32）", "write keep_ends:HEAD,TAIL with 0 to 32 each"
			}
		}
	case MaskReplace:
		m.Text = "***"
		if has {
			m.Text = param
		}
	case MaskDigest, MaskFPE, MaskPseudonym:
		if has {
			return m, "此脱敏方式没有参数", "this mask takes no parameter"
		}
	case MaskDate:
		m.Text = "year"
		if has {
			m.Text = param
		}
		switch m.Text {
		case "month", "quarter", "year", "decade":
		default:
			return m, "日期泛化级别应为 month、quarter、year 或 decade", "the level of a date is month, quarter, year or decade"
		}
	case MaskRegion:
		m.Text = "city"
		if has {
			m.Text = param
		}
		switch m.Text {
		case "province", "city", "county":
		default:
			return m, "区划泛化级别应为 province、city 或 county", "the level of a region is province, city or county"
		}
	case MaskRound:
		m.Step = 10
		if has {
			v, err := strconv.ParseFloat(param, 64)
			if err != nil || !(v > 0) || v > 1e15 {
				return m, "取整单位应为正数", "the multiple to round to is a positive number"
			}
			m.Step = v
		}
	default:
		return m, "没有这种脱敏方式", "there is no such mask"
	}
	return m, "", ""
}

// DefaultMask is the mask that a personal item gets when nobody chose one: enough
// is hidden that the value alone singles out nobody. "" for kinds that are not
// personal.
func DefaultMask(k Kind) string {
	switch k {
	case KindName:
		return "keep_ends:1,0"
	case KindResidentID:
		return "keep_ends:6,2"
	case KindPhone:
		return "keep_ends:3,4"
	case KindAddress:
		return "keep_ends:6,0"
	case KindBankCard:
		return "keep_ends:0,4"
	case KindPlate:
		return "keep_ends:2,1"
	case KindEmail:
		return "digest"
	case KindPassport:
		return "keep_ends:1,2"
	case KindBirthDate:
		return "date:year"
	}
	return ""
}
