package tabular

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Proposal is what a column seems to be, to be confirmed by a person.
type Proposal struct {
	Name string `json:"name"`
	// Type is a catalog letter (see Column).
	Type byte `json:"type"`
	// Length is the longest value in characters, rounded up for text.
	Length int `json:"length"`
	// Scale is the most decimals seen, for N.
	Scale int `json:"scale"`
	// Required: no value of the sample was absent.
	Required bool `json:"required"`
	// Unique: no two values of the sample were equal.
	Unique bool `json:"unique"`
	// Key: proposed as the table's key, at most one column.
	Key bool `json:"key"`
	// Personal is the kind of personal data that the recogniser named, "" none.
	Personal string   `json:"personal,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// Propose types columns from sample rows. recognise, which may be nil, names
// the kind of personal data of a column from its name and values.
//
// Digits are not yet a number: a column whose values start with 0, all have the
// same length of six or more, or whose name says code or number plate of
// something, stays text.
func Propose(columns []string, rows *Block, recognise func(name string, values [][]byte) string) []Proposal {
	out := make([]Proposal, len(columns))
	key := -1
	for c, name := range columns {
		var values [][]byte
		seen := map[string]bool{}
		p := Proposal{Name: name, Required: true, Unique: true}
		kinds := struct{ integer, decimal, date, datetime, boolean, leadingZero, grouped int }{}
		width, fixed := -1, true
		for r := range rows.Len() {
			v := bytes.TrimSpace(rows.Cell(r, c))
			if len(v) == 0 {
				p.Required = false
				continue
			}
			values = append(values, v)
			if seen[string(v)] {
				p.Unique = false
			}
			seen[string(v)] = true
			if len(p.Examples) < 3 && len(seen) > len(p.Examples) {
				p.Examples = append(p.Examples, string(v[:min(len(v), 60)]))
			}
			n := utf8.RuneCount(v)
			p.Length = max(p.Length, n)
			if width >= 0 && n != width {
				fixed = false
			}
			width = n
			var buf [64]byte
			if _, ok := canonicalInteger(buf[:0], v); ok && bytes.IndexByte(v, '.') < 0 {
				kinds.integer++
				if bytes.IndexByte(v, ',') >= 0 {
					kinds.grouped++
				}
				if len(v) > 1 && v[0] == '0' {
					kinds.leadingZero++
				}
			}
			if _, ok := canonicalDecimal(buf[:0], v, '.'); ok {
				kinds.decimal++
				if dot := bytes.IndexByte(v, '.'); dot >= 0 {
					p.Scale = max(p.Scale, len(v)-dot-1)
				}
			}
			if _, ok := canonicalDate(buf[:0], v); ok {
				kinds.date++
			}
			if _, ok := canonicalTime(buf[:0], v); ok {
				kinds.datetime++
			}
			if _, ok := canonicalBool(buf[:0], v); ok && !('0' <= v[0] && v[0] <= '9') {
				kinds.boolean++
			}
		}
		n := len(values)
		if n == 0 {
			p.Required, p.Unique = false, false
		}
		digitsOnly := kinds.integer == n
		code := kinds.grouped == 0 && (kinds.leadingZero > 0 || digitsOnly && (saysCode(name) || fixed && width >= 6))
		switch {
		case n == 0:
			p.Type = 'C'
		case kinds.date == n && !(digitsOnly && saysCode(name)):
			p.Type = 'D'
		case kinds.datetime == n && !digitsOnly:
			p.Type = 'T'
		case kinds.boolean == n:
			p.Type = 'L'
		case digitsOnly && !code && p.Length <= 18:
			p.Type = 'I'
		case kinds.decimal == n && !code:
			p.Type = 'N'
			if p.Scale > 8 {
				p.Type, p.Scale = 'B', 0
			}
		default:
			p.Type = 'C'
			if p.Length > 2000 {
				p.Type = 'M'
			}
		}
		if p.Type == 'C' && !(fixed && n > 1) {
			p.Length = roundUp(p.Length)
		}
		if recognise != nil {
			p.Personal = recognise(name, values)
		}
		if p.Unique && p.Required && n > 1 && (p.Type == 'C' || p.Type == 'I') && saysCode(name) && key < 0 {
			key = c
		}
		out[c] = p
	}
	if key < 0 && len(out) > 0 && out[0].Unique && out[0].Required && (out[0].Type == 'C' || out[0].Type == 'I') && out[0].Length <= 64 {
		key = 0
	}
	if key >= 0 {
		out[key].Key = true
	}
	return out
}

func saysCode(name string) bool {
	n := strings.ToLower(name)
	for _, w := range []string{"代码", "编码", "编号", "号码", "证号", "户号", "单号", "序列号", "电话", "手机", "邮编", "账号", "卡号", "code", "_id", "phone", "zip", "postcode"} {
		if strings.Contains(n, w) {
			return true
		}
	}
	return n == "id" || strings.HasSuffix(n, "no") || strings.HasSuffix(n, "号")
}

func roundUp(n int) int {
	for _, l := range []int{10, 20, 50, 100, 200, 500, 1000, 2000, 4000} {
		if n <= l {
			return l
		}
	}
	return n
}
