package gateway

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"gongshu/internal/errs"
)

func bytesText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// member is a name and a scalar of a JSON object; numbers and logicals are kept
// as their text.
type member struct {
	name, value string
	null        bool
}

// scanner reads the JSON that the data service takes: objects whose members are
// objects of scalars, lists, or integers. It is strict: no unknown members, no
// doubles, no deeper nesting, nothing after the end.
type scanner struct {
	b     []byte
	i     int
	field string // the member that is being read, for refusals
}

const (
	maxBody    = 64 << 10
	maxMembers = 200
)

func (s *scanner) bad(at int, zh, en string) error {
	field := clipped(s.field)
	if field == "" {
		field = "body"
	}
	return errs.Newf(errs.Invalid, "请求体不是接口要求的 JSON（第 %[1]d 字节处：%[2]s）", "the body is not the JSON that the operation takes (at byte %[1]d: %[3]s)", at, zh, en).In(field)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) expect(c byte) error {
	if !s.take(c) {
		return s.bad(s.i, "此处应为 "+string(c), "expected "+string(c))
	}
	return nil
}

// text reads a string. Without escapes it aliases the body.
func (s *scanner) text() (string, error) {
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return "", s.bad(s.i, "此处应为字符串", "expected a string")
	}
	start := s.i + 1
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			raw := s.b[start:i]
			if !utf8.Valid(raw) {
				return "", s.bad(start, "不是 UTF-8", "not UTF-8")
			}
			return bytesText(raw), nil
		case c < 0x20:
			return "", s.bad(i, "字符串中有控制字符", "a control character in a string")
		case c == '\\':
			return s.escaped(start)
		}
	}
	return "", s.bad(len(s.b), "字符串没有结束", "a string without end")
}

func (s *scanner) escaped(start int) (string, error) {
	for i := start; i < len(s.b); i++ {
		switch s.b[i] {
		case '\\':
			i++
		case '"':
			var out string
			if err := json.Unmarshal(s.b[start-1:i+1], &out); err != nil || !utf8.Valid(s.b[start:i]) {
				return "", s.bad(start, "字符串有误", "a malformed string")
			}
			s.i = i + 1
			return out, nil
		}
	}
	return "", s.bad(len(s.b), "字符串没有结束", "a string without end")
}

// scalar reads a string, number or logical as text, or null.
func (s *scanner) scalar() (text string, null bool, err error) {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == '"' {
		text, err = s.text()
		return text, false, err
	}
	start := s.i
	for s.i < len(s.b) {
		c := s.b[s.i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E' {
			s.i++
			continue
		}
		break
	}
	raw := s.b[start:s.i]
	switch word := bytesText(raw); word {
	case "null":
		return "", true, nil
	case "true", "false":
		return word, false, nil
	}
	if len(raw) == 0 || !json.Valid(raw) {
		return "", false, s.bad(start, "此处应为字符串、数字、true、false 或 null", "expected a string, a number, true, false or null")
	}
	return bytesText(raw), false, nil
}

// each reads an object and calls fn for each name; fn reads the value.
func (s *scanner) each(fn func(name string) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	if s.take('}') {
		return nil
	}
	for n := 0; ; n++ {
		if n == maxMembers {
			return s.bad(s.i, "成员过多", "too many members")
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		field := name
		if strings.HasSuffix(s.field, "]") { // "measures[0].op"
			field = s.field + "." + name
		}
		was := s.field
		s.field = field
		if err := fn(name); err != nil {
			return err
		}
		s.field = was
		if s.take(',') {
			continue
		}
		return s.expect('}')
	}
}

// members reads an object of scalars into out.
func (s *scanner) members(out []member) ([]member, error) {
	err := s.each(func(name string) error {
		for _, m := range out {
			if m.name == name {
				return s.bad(s.i, "成员重复", "a member is repeated")
			}
		}
		v, null, err := s.scalar()
		out = append(out, member{name, v, null})
		return err
	})
	return out, err
}

// list reads a list and calls read for each element.
func (s *scanner) list(read func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	if s.take(']') {
		return nil
	}
	for n := 0; ; n++ {
		if n == maxMembers {
			return s.bad(s.i, "列表过长", "too long a list")
		}
		if err := read(); err != nil {
			return err
		}
		if s.take(',') {
			continue
		}
		return s.expect(']')
	}
}

// texts reads a list of strings into out.
func (s *scanner) texts(out []string) ([]string, error) {
	err := s.list(func() error {
		v, err := s.text()
		out = append(out, v)
		return err
	})
	return out, err
}

// values reads a list of scalars into out; null is none.
func (s *scanner) values(out []string) ([]string, error) {
	err := s.list(func() error {
		v, null, err := s.scalar()
		if err == nil && null {
			return s.bad(s.i, "此处应为字符串、数字、true 或 false", "expected a string, a number, true or false")
		}
		out = append(out, v)
		return err
	})
	return out, err
}

// items reads a list whose elements refusals name "list[0]".
func (s *scanner) items(read func() error) error {
	list, n := s.field, 0
	err := s.list(func() error {
		s.field = list + "[" + strconv.Itoa(n) + "]"
		n++
		return read()
	})
	if err == nil {
		s.field = list
	}
	return err
}

func (s *scanner) integer() (int, error) {
	v, null, err := s.scalar()
	if err != nil || null {
		return 0, err
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, s.bad(s.i, "此处应为整数", "expected an integer")
	}
	return n, nil
}

func (s *scanner) end() error {
	s.space()
	if s.i != len(s.b) {
		return s.bad(s.i, "其后还有内容", "there is more after the end")
	}
	return nil
}

// object reads an object; known names are read by fn, which says whether it knew
// the name, each at most once.
func (s *scanner) object(fn func(name string) (known bool, err error)) error {
	seen := make([]string, 0, 4)
	return s.each(func(name string) error {
		for _, was := range seen {
			if was == name {
				return s.bad(s.i, "成员重复", "a member is repeated")
			}
		}
		seen = append(seen, name)
		known, err := fn(name)
		if err == nil && !known {
			return errs.Newf(errs.Invalid, "请求体没有成员“%s”", "the body has no member %q", clipped(name)).In(clipped(s.field))
		}
		return err
	})
}

// parts reads the outer object, which is all of the body.
func (s *scanner) parts(fn func(name string) (known bool, err error)) error {
	if err := s.object(fn); err != nil {
		return err
	}
	return s.end()
}
