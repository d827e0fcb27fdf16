package tabular

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"gongshu/internal/errs"
)

// jsonScanner reads NDJSON (a record a line) and JSON (an array of records, or
// the array under one key of the top object). Records are objects, aligned to
// the columns by name, or arrays, taken by position. It checks JSON strictly:
// comments, bare keys and single quotes are refused with their line. Numbers
// keep their digits as written.
type jsonScanner struct {
	r       io.Reader
	buf     []byte
	pos     int
	end     int
	eof     bool
	line    int64 // lines passed before pos
	number  int64
	lim     Limits
	lines   bool // NDJSON
	records string
	state   int
	index   map[string]int // column by name; nil for arrays
	flaws   []errs.Text
	values  []span // of the current record, by column, into scratch
	scratch []byte
	seen    []bool
	learn   bool     // unknown fields become columns: for Inspect
	names   []string // fields learnt, in order
	nested  string   // first field that held a nested value
	array   bool     // the last record was an array
}

const (
	beforeArray = iota
	inArray
	afterArray
)

func newJSONScanner(r io.Reader, lines bool, records string, columns []string, lim Limits) *jsonScanner {
	s := &jsonScanner{r: r, buf: make([]byte, 256<<10), lines: lines, records: records, lim: lim, index: map[string]int{}}
	for i, c := range columns {
		s.index[c] = i
	}
	s.values, s.seen = make([]span, len(columns)), make([]bool, len(columns))
	return s
}

func (s *jsonScanner) rowFlaws() []errs.Text { return s.flaws }

func (s *jsonScanner) fill() error {
	if s.eof {
		return io.EOF
	}
	if s.pos > 0 {
		s.line += int64(bytes.Count(s.buf[:s.pos], []byte{'\n'}))
		copy(s.buf, s.buf[s.pos:s.end])
		s.end -= s.pos
		s.pos = 0
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= s.lim.Row {
			return errs.Newf(errs.TooLarge, "第 %d 条记录超过 %d 字节", "record %d is longer than %d bytes", s.number+1, s.lim.Row)
		}
		s.buf = append(s.buf, make([]byte, min(len(s.buf), s.lim.Row-len(s.buf)))...)
	}
	n, err := io.ReadAtLeast(s.r, s.buf[s.end:], 1)
	s.end += n
	if err == io.EOF {
		s.eof = true
		return nil
	}
	if err != nil {
		return readFailure(err, s.number+1)
	}
	return nil
}

// lineAt is the line number of buffer position p.
func (s *jsonScanner) lineAt(p int) int64 {
	return s.line + int64(bytes.Count(s.buf[:min(p, s.end)], []byte{'\n'})) + 1
}

func (s *jsonScanner) broken(p int, zh, en string) error {
	return errs.Newf(errs.Invalid, "第 %d 行不是合法的 JSON：%s", "line %d is not valid JSON: %[3]s", s.lineAt(p), zh, en).In(fmt.Sprintf("line %d", s.lineAt(p)))
}

// next appends the next record's cells to b.
func (s *jsonScanner) next(b *Block) (int64, error) {
	s.flaws = s.flaws[:0]
	if s.lines {
		return s.nextLine(b)
	}
	if s.state == beforeArray {
		if err := s.enter(); err != nil {
			return 0, err
		}
		s.state = inArray
	}
	if s.state == afterArray {
		return 0, io.EOF
	}
	for {
		c, err := s.peek()
		if err != nil {
			return 0, s.truncated(err)
		}
		switch {
		case c == ']':
			s.pos++
			s.state = afterArray
			if s.records == "" {
				if c, err := s.peek(); err == nil {
					return 0, s.broken(s.pos, fmt.Sprintf("数组之后多出 %q", c), fmt.Sprintf("%q follows the array", c))
				} else if err != io.EOF {
					return 0, err
				}
			}
			return 0, io.EOF
		case c == ',' && s.number > 0:
			s.pos++
			c, err = s.peek()
			if err != nil {
				return 0, s.truncated(err)
			}
			if c == ']' {
				return 0, s.broken(s.pos, "最后一条记录之后多一个逗号", "a comma follows the last record")
			}
		case s.number > 0:
			return 0, s.broken(s.pos, fmt.Sprintf("两条记录之间应为逗号，却是 %q", c), fmt.Sprintf("a comma was expected between records, not %q", c))
		}
		s.number++
		to, err := s.extent()
		if err != nil {
			return 0, err
		}
		record := s.buf[s.pos:to]
		if err := s.record(b, record); err != nil {
			return 0, err
		}
		s.pos = to
		return s.number, nil
	}
}

func (s *jsonScanner) truncated(err error) error {
	if err == io.EOF {
		return s.broken(s.end, "文件在数组结束之前中断", "the file ends before its array does")
	}
	return err
}

// peek skips blanks and gives the next byte without taking it.
func (s *jsonScanner) peek() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\r', '\n':
				s.pos++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// enter moves to the first record: past "[", or past the keys before records.
func (s *jsonScanner) enter() error {
	c, err := s.peek()
	if err != nil {
		return s.truncated(err)
	}
	if s.records == "" {
		if c == '[' {
			s.pos++
			return nil
		}
		if c == '{' {
			if err := s.checkObject(); err != nil {
				return err
			}
			return notAnArray()
		}
		return s.broken(s.pos, fmt.Sprintf("应以 [ 开头，却是 %q%s", c, json5Hint(c)), fmt.Sprintf("it must begin with [, not %q%s", c, json5HintEN(c)))
	}
	if c != '{' {
		return s.broken(s.pos, "应以 { 开头", "it must begin with {")
	}
	s.pos++
	for {
		c, err := s.peek()
		if err != nil {
			return s.truncated(err)
		}
		if c == ',' {
			s.pos++
			continue
		}
		if c == '}' {
			return errs.Newf(errs.Invalid, "文件里没有名为 %q 的数组", "the file has no array named %q", s.records).In("records")
		}
		if c != '"' {
			return s.broken(s.pos, "键必须用双引号", "keys must stand in double quotes")
		}
		to, err := s.extent()
		if err != nil {
			return err
		}
		key, _, err := unquote(nil, s.buf[s.pos:to], 0)
		if err != nil {
			return s.broken(s.pos, err.Error(), err.Error())
		}
		s.pos = to
		name := string(key)
		if c, err = s.peek(); err != nil {
			return s.truncated(err)
		} else if c != ':' {
			return s.broken(s.pos, "键之后应为冒号", "a colon must follow the key")
		}
		s.pos++
		if c, err = s.peek(); err != nil {
			return s.truncated(err)
		}
		if name == s.records {
			if c != '[' {
				return errs.Newf(errs.Invalid, "%q 不是数组", "%q is not an array", name).In("records")
			}
			s.pos++
			return nil
		}
		if to, err = s.extent(); err != nil {
			return err
		}
		s.pos = to
	}
}

// checkObject reads the object at pos as strict JSON as far as the buffer
// goes, so that JSON5 is reported as what it is, with its line.
func (s *jsonScanner) checkObject() error {
	for !s.eof && s.end < 64<<10 {
		if err := s.fill(); err != nil && err != io.EOF {
			return err
		}
	}
	if p, err := skipValue(s.buf[:s.end], s.pos, 0, s.lim.Depth); err != nil && !errors.Is(err, errShort) {
		return s.broken(p, zhOf(err), enOf(err))
	} else if err != nil && s.eof {
		return s.broken(s.end, "文件在对象结束之前中断", "the file ends before its object does")
	}
	return nil
}

func notAnArray() error {
	return bad("文件的最外层是一个对象，不是记录的数组；可接收 [{…},{…}]、每行一条的 NDJSON，或指定其中哪个数组是记录",
		"the file is one object, not an array of records; send [{…},{…}], NDJSON with a record a line, or name the array that holds the records").In("file")
}

func json5Hint(c byte) string {
	if c == '/' || c == '\'' {
		return "（JSON5 的注释和单引号不被接受，请导出为标准 JSON）"
	}
	return ""
}

func json5HintEN(c byte) string {
	if c == '/' || c == '\'' {
		return " (comments and single quotes of JSON5 are not taken; export plain JSON)"
	}
	return ""
}

// extent finds where the value at pos ends, reading on as far as it must, and
// leaves it whole in the buffer.
func (s *jsonScanner) extent() (int, error) {
	for {
		to, err := skipValue(s.buf[:s.end], s.pos, 0, s.lim.Depth)
		if err == nil {
			if to == s.end && !s.eof && isDigitOrWord(s.buf[to-1]) {
				// 12 may go on as 123.
			} else {
				return to, nil
			}
		} else if !errors.Is(err, errShort) {
			return 0, s.broken(to, zhOf(err), enOf(err))
		} else if s.eof {
			return 0, s.broken(s.end, "文件在一条记录中间中断", "the file ends in the middle of a record")
		}
		if err := s.fill(); err != nil && err != io.EOF {
			return 0, err
		}
	}
}

func isDigitOrWord(c byte) bool {
	return c >= '0' && c <= '9' || isLetter(c) || c == '.' || c == '-' || c == '+'
}

func (s *jsonScanner) nextLine(b *Block) (int64, error) {
	for {
		i := bytes.IndexByte(s.buf[s.pos:s.end], '\n')
		if i < 0 && !s.eof {
			if err := s.fill(); err != nil && err != io.EOF {
				return 0, err
			}
			continue
		}
		if i < 0 && s.pos == s.end {
			return 0, io.EOF
		}
		line := s.buf[s.pos:s.end]
		if i >= 0 {
			line = s.buf[s.pos : s.pos+i]
		}
		s.number++
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) > 0 {
			p, err := skipValue(trimmed, 0, 0, s.lim.Depth)
			if err == nil && p != len(trimmed) {
				err = fault("一行里有一条以上的记录", "more than one record on a line")
			}
			if err != nil {
				// One bad line is one bad row: its neighbours are read on.
				if errors.Is(err, errShort) {
					err = fault("记录没有结束", "the record does not end")
				}
				s.flaws = append(s.flaws, errs.Tf("不是合法的 JSON：%s", "not valid JSON: %[2]s", zhOf(err), enOf(err)))
				b.Add(trimmed)
			} else if err := s.record(b, trimmed); err != nil {
				return 0, err
			}
		}
		s.pos += len(line)
		if i >= 0 {
			s.pos++
		}
		if len(trimmed) == 0 {
			continue
		}
		return s.number, nil
	}
}

// record appends the cells of one whole, valid JSON value.
func (s *jsonScanner) record(b *Block, rec []byte) error {
	s.array = rec[0] == '['
	switch rec[0] {
	case '[':
		return s.arrayRecord(b, rec)
	case '{':
	default:
		s.flaws = append(s.flaws, errs.T("记录不是对象", "the record is not an object"))
		b.Add(rec)
		return nil
	}
	clear(s.values)
	clear(s.seen)
	s.scratch = s.scratch[:0]
	p := 1
	for {
		p = skipBlank(rec, p)
		switch rec[p] {
		case '}':
			for _, v := range s.values {
				b.Add(s.scratch[v.from:v.to])
			}
			return nil
		case ',':
			p++
			continue
		}
		from := len(s.scratch)
		var err error
		s.scratch, p, err = unquote(s.scratch, rec, p)
		if err != nil {
			s.flaws = append(s.flaws, errs.T(zhOf(err), enOf(err)))
			return nil
		}
		col, known := s.index[string(s.scratch[from:])]
		key := from
		if !known && s.learn {
			if len(s.names) == s.lim.Columns {
				return errs.Newf(errs.TooLarge, "记录的字段超过 %d 个", "the records have more than %d fields", s.lim.Columns)
			}
			name := string(s.scratch[from:])
			col, known = len(s.names), true
			s.index[name], s.names = col, append(s.names, name)
			s.values, s.seen = append(s.values, span{}), append(s.seen, false)
		}
		p = skipBlank(rec, p) + 1 // the colon
		p = skipBlank(rec, p)
		valueFrom := len(s.scratch)
		switch c := rec[p]; {
		case c == '"':
			if s.scratch, p, err = unquote(s.scratch, rec, p); err != nil {
				s.flaws = append(s.flaws, errs.T(zhOf(err), enOf(err)))
				return nil
			}
		case c == '{' || c == '[':
			to, _ := skipValue(rec, p, 0, s.lim.Depth)
			s.scratch = append(s.scratch, rec[p:to]...)
			if s.nested == "" {
				s.nested = clip(s.scratch[key:valueFrom])
			}
			s.flaws = append(s.flaws, errs.Tf("字段 %s 的值是嵌套结构，不能作为一格", "the value of %s is nested and cannot be a cell", clip(s.scratch[key:valueFrom])))
			p = to
		default:
			to, _ := skipValue(rec, p, 0, s.lim.Depth)
			if c != 'n' {
				s.scratch = append(s.scratch, rec[p:to]...)
			}
			p = to
		}
		if len(s.scratch)-valueFrom > s.lim.Cell {
			return errs.Newf(errs.TooLarge, "第 %d 条记录有超过 %d 字节的值", "record %d has a value longer than %d bytes", s.number, s.lim.Cell)
		}
		switch {
		case !known:
			if len(s.scratch) > valueFrom {
				s.flaws = append(s.flaws, errs.Tf("多出字段 %s", "unknown field %s", clip(s.scratch[key:valueFrom])))
			}
		case s.seen[col]:
			s.flaws = append(s.flaws, errs.Tf("字段 %s 出现两次", "field %s occurs twice", clip(s.scratch[key:valueFrom])))
		default:
			s.seen[col] = true
			s.values[col] = span{uint32(valueFrom), uint32(len(s.scratch))}
		}
	}
}

func (s *jsonScanner) arrayRecord(b *Block, rec []byte) error {
	p, cells := 1, 0
	for {
		p = skipBlank(rec, p)
		switch rec[p] {
		case ']':
			if cells != len(s.values) && !s.learn {
				s.flaws = append(s.flaws, errs.Tf("本条有 %d 个值，应有 %d 个", "the record has %d values, %d were expected", cells, len(s.values)))
			}
			return nil
		case ',':
			p++
			continue
		}
		cells++
		to, _ := skipValue(rec, p, 0, s.lim.Depth)
		switch rec[p] {
		case '"':
			out, _, err := unquote(b.Buffer(), rec, p)
			if err != nil {
				s.flaws = append(s.flaws, errs.T(zhOf(err), enOf(err)))
				b.Add(rec[p:to])
				break
			}
			b.Take(out)
		case '{', '[':
			if s.nested == "" {
				s.nested = strconv.Itoa(cells)
			}
			s.flaws = append(s.flaws, errs.Tf("第 %d 个值是嵌套结构，不能作为一格", "value %d is nested and cannot be a cell", cells))
			b.Add(rec[p:to])
		case 'n':
			b.Add(nil)
		default:
			b.Add(rec[p:to])
		}
		p = to
	}
}

func clip(p []byte) string {
	if len(p) > 60 {
		p = p[:60]
	}
	return strconv.Quote(string(bytes.ToValidUTF8(p, []byte("?"))))
}

// jsonFault is what is wrong with JSON text, in both languages.
type jsonFault struct{ errs.Text }

func (f jsonFault) Error() string { return f.EN }

func fault(zh, en string) error { return jsonFault{errs.T(zh, en)} }

func zhOf(err error) string {
	if f, ok := err.(jsonFault); ok {
		return f.ZH
	}
	return err.Error()
}

func enOf(err error) string { return err.Error() }

// errShort: the value is sound as far as the bytes go, but they end too soon.
var errShort = errors.New("ends too soon")

func skipBlank(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the end of the JSON value that starts at i, having checked
// every byte of it; on a fault, where the fault is.
func skipValue(p []byte, i, depth, limit int) (int, error) {
	if depth > limit {
		return i, fault(fmt.Sprintf("嵌套超过 %d 层", limit), fmt.Sprintf("nested deeper than %d", limit))
	}
	i = skipBlank(p, i)
	if i == len(p) {
		return i, errShort
	}
	switch c := p[i]; {
	case c == '"':
		return skipString(p, i)
	case c == '{':
		i++
		for first := true; ; first = false {
			i = skipBlank(p, i)
			if i == len(p) {
				return i, errShort
			}
			if p[i] == '}' && first {
				return i + 1, nil
			}
			if !first {
				if p[i] == '}' {
					return i + 1, nil
				}
				if p[i] != ',' {
					return i, fault(fmt.Sprintf("对象里应为逗号或 }，却是 %q", p[i]), fmt.Sprintf("a comma or } was expected in the object, not %q", p[i]))
				}
				i = skipBlank(p, i+1)
				if i == len(p) {
					return i, errShort
				}
			}
			if p[i] != '"' {
				return i, fault(fmt.Sprintf("键必须用双引号，却是 %q%s", p[i], json5Hint(p[i])), fmt.Sprintf("keys must stand in double quotes, not %q%s", p[i], json5HintEN(p[i])))
			}
			var err error
			if i, err = skipString(p, i); err != nil {
				return i, err
			}
			i = skipBlank(p, i)
			if i == len(p) {
				return i, errShort
			}
			if p[i] != ':' {
				return i, fault("键之后应为冒号", "a colon must follow the key")
			}
			if i, err = skipValue(p, i+1, depth+1, limit); err != nil {
				return i, err
			}
		}
	case c == '[':
		i++
		for first := true; ; first = false {
			i = skipBlank(p, i)
			if i == len(p) {
				return i, errShort
			}
			if p[i] == ']' && first {
				return i + 1, nil
			}
			if !first {
				if p[i] == ']' {
					return i + 1, nil
				}
				if p[i] != ',' {
					return i, fault(fmt.Sprintf("数组里应为逗号或 ]，却是 %q", p[i]), fmt.Sprintf("a comma or ] was expected in the array, not %q", p[i]))
				}
				i++
			}
			var err error
			if i, err = skipValue(p, i, depth+1, limit); err != nil {
				return i, err
			}
		}
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(p, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		n := min(len(word), len(p)-i)
		if string(p[i:i+n]) == word[:n] {
			if n < len(word) {
				return i, errShort
			}
			return i + n, nil
		}
	}
	return i, fault(fmt.Sprintf("%q 不能开始一个值%s", p[i], json5Hint(p[i])), fmt.Sprintf("%q cannot begin a value%s", p[i], json5HintEN(p[i])))
}

func skipString(p []byte, i int) (int, error) {
	for i++; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			i++
			if i == len(p) {
				return i, errShort
			}
			switch p[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for k := 1; k <= 4; k++ {
					if i+k >= len(p) {
						return len(p), errShort
					}
					if !isHex(p[i+k]) {
						return i, fault("\\u 之后应为四位十六进制数", "four hexadecimal digits must follow \\u")
					}
				}
				i += 4
			default:
				return i, fault(fmt.Sprintf("不认识的转义 \\%c", p[i]), fmt.Sprintf("unknown escape \\%c", p[i]))
			}
		case c < 0x20:
			return i, fault("字符串里有未转义的控制字符或换行", "a bare control character or line end stands in a string")
		}
	}
	return len(p), errShort
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func skipNumber(p []byte, i int) (int, error) {
	wrong := func(i int) (int, error) {
		return i, fault("不合法的数", "not a valid number")
	}
	if p[i] == '-' {
		i++
	}
	digits := func() int {
		from := i
		for i < len(p) && p[i] >= '0' && p[i] <= '9' {
			i++
		}
		return i - from
	}
	if i == len(p) {
		return i, errShort
	}
	if p[i] == '0' {
		i++
		if i < len(p) && p[i] >= '0' && p[i] <= '9' {
			return i, fault("数不能以 0 开头；编码请写成字符串", "a number cannot begin with 0; write codes as strings")
		}
	} else if digits() == 0 {
		return wrong(i)
	}
	if i < len(p) && p[i] == '.' {
		i++
		if i == len(p) {
			return i, errShort
		}
		if digits() == 0 {
			return wrong(i)
		}
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		if i == len(p) {
			return i, errShort
		}
		if digits() == 0 {
			return wrong(i)
		}
	}
	if i < len(p) && (isLetter(p[i]) || p[i] == '_') {
		return wrong(i)
	}
	return i, nil
}

// unquote appends the text of the JSON string at p[i] to out and returns the
// position after it. Half surrogates become U+FFFD.
func unquote(out, p []byte, i int) ([]byte, int, error) {
	i++
	for {
		j := i
		for j < len(p) && p[j] != '"' && p[j] != '\\' {
			j++
		}
		if j == len(p) {
			return out, j, errShort
		}
		out = append(out, p[i:j]...)
		if p[j] == '"' {
			return out, j + 1, nil
		}
		switch c := p[j+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(p[j+2:])
			j += 4
			if utf16.IsSurrogate(r) {
				if j+7 < len(p) && p[j+2] == '\\' && p[j+3] == 'u' {
					if full := utf16.DecodeRune(r, hex4(p[j+4:])); full != utf8.RuneError {
						r = full
						j += 6
					} else {
						r = utf8.RuneError
					}
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i = j + 2
	}
}

func hex4(p []byte) rune {
	var r rune
	for _, c := range p[:min(4, len(p))] {
		r <<= 4
		switch {
		case c <= '9':
			r |= rune(c - '0')
		default:
			r |= rune(c|0x20-'a') + 10
		}
	}
	return r
}
