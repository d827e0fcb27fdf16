package tabular

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"gongshu/internal/errs"
)

// csvScanner reads rows of delimited text. It is lenient where departments'
// files are broken and says so: a broken row becomes a flawed row, never an
// end of the file, and never swallows its neighbours. An opening quote that
// finds no proper closing quote is taken literally, so that the rows after it
// are read as rows.
type csvScanner struct {
	r       io.Reader
	buf     []byte
	pos     int // start of the row being read
	end     int
	eof     bool
	comma   byte
	cr      bool // a lone CR ends a row
	lim     Limits
	number  int64
	literal []int // fields of the current row whose quote is literal
	flaws   []errs.Text
}

func newCSVScanner(r io.Reader, comma byte, cr bool, lim Limits) *csvScanner {
	return &csvScanner{r: r, buf: make([]byte, 256<<10), comma: comma, cr: cr, lim: lim}
}

// errMore asks for more input; it never leaves the scanner.
var errMore = errors.New("more")

// next appends the next record's cells to b without ending the row, and
// returns its number. flaws are left in s.flaws until the next call.
func (s *csvScanner) next(b *Block) (int64, error) {
	s.flaws, s.literal = s.flaws[:0], s.literal[:0]
	for {
		if s.pos == s.end && s.eof {
			return 0, io.EOF
		}
		after, err := s.parse(b)
		switch {
		case err == nil:
			s.pos = after
			s.number++
			return s.number, nil
		case err == errMore:
			b.Abandon()
			s.flaws = s.flaws[:0]
			if err := s.fill(); err != nil {
				return 0, err
			}
		case err == errLiteral:
			b.Abandon()
			s.flaws = s.flaws[:0]
		default:
			return 0, err
		}
	}
}

// errLiteral asks to read the row again with one more quote taken literally.
var errLiteral = errors.New("literal")

func (s *csvScanner) fill() error {
	if s.pos > 0 {
		copy(s.buf, s.buf[s.pos:s.end])
		s.end -= s.pos
		s.pos = 0
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= s.lim.Row {
			return errs.Newf(errs.TooLarge, "第 %d 行超过 %d 字节，无法读取", "row %d is longer than %d bytes", s.number+1, s.lim.Row)
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

func readFailure(err error, at int64) error {
	if _, ok := errs.As(err); ok {
		return err
	}
	return errs.Newf(errs.Invalid, "读到第 %d 行时文件中断或损坏", "the file breaks off or is damaged at row %d", at).Because(err)
}

func (s *csvScanner) isLiteral(field int) bool {
	for _, f := range s.literal {
		if f == field {
			return true
		}
	}
	return false
}

func (s *csvScanner) unclosed(field int) error {
	s.literal = append(s.literal, field)
	return errLiteral
}

func (s *csvScanner) parse(b *Block) (int, error) {
	buf, end, comma := s.buf, s.end, s.comma
	p := s.pos
	for field := 0; ; field++ {
		if field >= s.lim.Columns {
			return 0, errs.Newf(errs.TooLarge, "第 %d 行超过 %d 列", "row %d has more than %d cells", s.number+1, s.lim.Columns)
		}
		if p < end && buf[p] == '"' && !s.isLiteral(field) {
			out := b.Buffer()
			from := len(out)
			q, breaks := p+1, false
			for {
				i := bytes.IndexByte(buf[q:end], '"')
				if i < 0 {
					if s.eof || end-p > s.lim.Cell {
						return 0, s.unclosed(field)
					}
					return 0, errMore
				}
				if !breaks && (bytes.IndexByte(buf[q:q+i], '\n') >= 0 || s.cr && bytes.IndexByte(buf[q:q+i], '\r') >= 0) {
					breaks = true
				}
				out = append(out, buf[q:q+i]...)
				q += i + 1
				if q == end && !s.eof {
					return 0, errMore
				}
				if q < end && buf[q] == '"' {
					out = append(out, '"')
					q++
					continue
				}
				break
			}
			if len(out)-from > s.lim.Cell {
				return 0, s.unclosed(field)
			}
			ended := q == end || buf[q] == comma || buf[q] == '\n' || buf[q] == '\r' && (s.cr || q+1 == end || buf[q+1] == '\n')
			if !ended {
				if breaks {
					return 0, s.unclosed(field)
				}
				// "abc"def on one line: keep the text, say what is odd.
				to := s.fieldEnd(q)
				if to < 0 {
					return 0, errMore
				}
				s.flaws = append(s.flaws, errs.Tf("第 %d 格的引号之后还有文字", "text follows the closing quote of cell %d", field+1))
				out = append(out, buf[q:to]...)
				q = to
			}
			b.Take(out)
			p = q
		} else {
			to := s.fieldEnd(p)
			if to < 0 {
				return 0, errMore
			}
			if to-p > s.lim.Cell {
				return 0, errs.Newf(errs.TooLarge, "第 %d 行第 %d 格超过 %d 字节，无法读取", "cell %[2]d of row %[1]d is longer than %[3]d bytes", s.number+1, field+1, s.lim.Cell)
			}
			if s.isLiteral(field) {
				s.flaws = append(s.flaws, errs.Tf("第 %d 格的引号没有配对", "the quote that opens cell %d is not closed", field+1))
			}
			b.Add(buf[p:to])
			p = to
		}
		if p == end {
			return p, nil // s.eof, else fieldEnd had asked for more
		}
		switch buf[p] {
		case comma:
			p++
			if p == end && !s.eof {
				return 0, errMore
			}
			continue
		case '\n':
			return p + 1, nil
		case '\r':
			if p+1 == end && !s.eof {
				return 0, errMore
			}
			if p+1 < end && buf[p+1] == '\n' {
				return p + 2, nil
			}
			return p + 1, nil
		}
	}
}

// fieldEnd finds where an unquoted field that starts at p ends; -1 asks for
// more input.
func (s *csvScanner) fieldEnd(p int) int {
	buf, comma := s.buf[:s.end], s.comma
	for i := p; i < len(buf); i++ {
		c := buf[i]
		if c == comma || c == '\n' {
			return i
		}
		if c == '\r' {
			if s.cr {
				return i
			}
			if i+1 == len(buf) {
				if s.eof {
					return i
				}
				return -1
			}
			if buf[i+1] == '\n' {
				return i
			}
		}
	}
	if s.eof {
		return s.end
	}
	return -1
}

// scanner is what the formats have in common: rows one by one, with flaws.
type scanner interface {
	next(b *Block) (int64, error)
	rowFlaws() []errs.Text
}

func (s *csvScanner) rowFlaws() []errs.Text { return s.flaws }

// table turns a scanner's raw rows into data rows by a Layout.
type table struct {
	scan   scanner
	layout Layout
	lim    Limits
	closer io.Closer
	strict bool // a short row is a flaw
	named  bool // rows come by field name: the scanner aligns and flaws them
	done   error
}

func (t *table) Columns() []string { return t.layout.Columns }

func (t *table) Close() error {
	if t.closer == nil {
		return nil
	}
	return t.closer.Close()
}

func (t *table) Read(b *Block) error {
	b.Reset()
	if t.done != nil {
		return t.done
	}
	width := len(t.layout.Columns)
	for b.Len() < t.lim.BlockRows && b.Bytes() < 1<<20 {
		number, err := t.scan.next(b)
		if err != nil {
			b.Abandon()
			t.done = err
			if b.Len() > 0 {
				break // hand out what was read; the error comes next
			}
			return err
		}
		if int(number) < t.layout.DataFrom {
			b.Abandon()
			continue
		}
		row, cells := b.Len(), b.Pending()
		used := b.trim()
		if used == 0 && len(t.scan.rowFlaws()) == 0 {
			b.Abandon() // blank
			continue
		}
		for _, f := range t.scan.rowFlaws() {
			b.AddFlaw(row, f)
		}
		if !t.named {
			switch {
			case used > width:
				b.AddFlaw(row, errs.Tf("本行有 %d 格，表头只有 %d 列", "the row has %d cells, the header %d", used, width))
			case cells < width && t.strict && !t.layout.AllowShort:
				b.AddFlaw(row, errs.Tf("本行只有 %d 格，表头有 %d 列", "the row has only %d cells, the header %d", cells, width))
			}
			b.pad(max(used, width))
		}
		if t.layout.Guarded {
			b.unguard()
		}
		b.EndRow(number)
	}
	if b.Len() == 0 {
		return t.done
	}
	t.checkText(b)
	return nil
}

// checkText flags rows with bytes that are not text in the file's encoding,
// and NUL, which no database takes in text.
func (t *table) checkText(b *Block) {
	if utf8.Valid(b.data) && bytes.IndexByte(b.data, 0) < 0 && (t.layout.Encoding == UTF8 || t.layout.Encoding == "" || !bytes.Contains(b.data, []byte("\uFFFD"))) {
		return
	}
	for r := range b.Len() {
		for c := range b.Width(r) {
			cell := b.Cell(r, c)
			if !utf8.Valid(cell) || t.layout.Encoding != UTF8 && bytes.Contains(cell, []byte("\uFFFD")) {
				b.AddFlaw(r, errs.Tf("第 %d 格有不属于 %s 编码的字节", "cell %d holds bytes that are not %s", c+1, string(t.layout.Encoding)))
			}
			if bytes.IndexByte(cell, 0) >= 0 {
				b.AddFlaw(r, errs.Tf("第 %d 格含有空字符 NUL", "cell %d holds a NUL character", c+1))
			}
		}
	}
}

// trim cuts empty cells from the end of the row being built and returns how
// many cells remain.
func (b *Block) trim() int {
	n := len(b.cells)
	for n > b.rowEnd && b.cells[n-1].from == b.cells[n-1].to {
		n--
	}
	// A cell of blanks only still counts as a cell, but a row of nothing else
	// is a blank row.
	for i := b.rowEnd; i < n; i++ {
		if len(bytes.TrimSpace(b.data[b.cells[i].from:b.cells[i].to])) > 0 {
			b.cells = b.cells[:n]
			return n - b.rowEnd
		}
	}
	b.cells = b.cells[:b.rowEnd]
	return 0
}

// pad adds empty cells until the row being built has n.
func (b *Block) pad(n int) {
	at := uint32(len(b.data))
	for len(b.cells)-b.rowEnd < n {
		b.cells = append(b.cells, span{at, at})
	}
}
