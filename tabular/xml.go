package tabular

import (
	"bytes"
	"io"
	"strconv"
	"unicode/utf8"

	"gongshu/internal/errs"
)

// xmlScanner is a pull parser for the parts of a workbook: tags and text, no
// entities of its own (a document type is refused, so that nothing expands),
// one growing buffer, an order of magnitude quicker than encoding/xml.
type xmlScanner struct {
	r     io.Reader
	buf   []byte
	pos   int
	end   int
	eof   bool
	limit int
	part  string

	name  []byte // of the tag last returned, without its prefix
	attrs []byte
	empty bool // <name/>
	text  []byte
}

type xmlKind int

const (
	xmlStart xmlKind = iota
	xmlEnd
	xmlText
)

func newXMLScanner(r io.Reader, part string, limit int) *xmlScanner {
	return &xmlScanner{r: r, buf: make([]byte, 128<<10), limit: limit, part: part}
}

func (x *xmlScanner) damaged(why string) error {
	return errs.Newf(errs.Invalid, "工作簿的 %s 部分已损坏（%s）", "the workbook's part %s is damaged (%s)", x.part, why).In("file")
}

func (x *xmlScanner) fill() error {
	if x.eof {
		return io.EOF
	}
	if x.pos > 0 {
		copy(x.buf, x.buf[x.pos:x.end])
		x.end -= x.pos
		x.pos = 0
	}
	if x.end == len(x.buf) {
		if len(x.buf) >= 8*x.limit {
			return errs.Newf(errs.TooLarge, "工作簿的 %s 部分有超过 %d 字节的一段", "a piece of the workbook's part %s is longer than %d bytes", x.part, 8*x.limit).In("file")
		}
		x.buf = append(x.buf, make([]byte, len(x.buf))...)
	}
	n, err := io.ReadAtLeast(x.r, x.buf[x.end:], 1)
	x.end += n
	if err == io.EOF {
		x.eof = true
		return nil
	}
	if err != nil {
		if _, ok := errs.As(err); ok {
			return err
		}
		return x.damaged(err.Error())
	}
	return nil
}

// find returns where sep stands at or after pos, reading on as needed; -1 at
// the end of the part.
func (x *xmlScanner) find(sep string) (int, error) {
	from := x.pos
	for {
		if i := bytes.Index(x.buf[from:x.end], []byte(sep)); i >= 0 {
			return from + i, nil
		}
		if x.eof {
			return -1, nil
		}
		scanned := max(x.end-len(sep)+1, x.pos) - x.pos
		if err := x.fill(); err != nil && err != io.EOF {
			return -1, err
		}
		from = x.pos + scanned
	}
}

// next returns the next tag or stretch of text; io.EOF at the end. The slices
// in x are valid until the next call.
func (x *xmlScanner) next() (xmlKind, error) {
	for {
		for x.pos == x.end {
			if x.eof {
				return 0, io.EOF
			}
			if err := x.fill(); err != nil {
				return 0, err
			}
		}
		if x.buf[x.pos] != '<' {
			i, err := x.find("<")
			if err != nil {
				return 0, err
			}
			if i < 0 {
				i = x.end
			}
			x.text = x.buf[x.pos:i]
			x.pos = i
			return xmlText, nil
		}
		for x.end-x.pos < 9 && !x.eof {
			if err := x.fill(); err != nil {
				return 0, err
			}
		}
		rest := x.buf[x.pos:x.end]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			if err := x.skipTo("-->"); err != nil {
				return 0, err
			}
			continue
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			i, err := x.find("]]>")
			if err != nil {
				return 0, err
			}
			if i < 0 {
				return 0, x.damaged("CDATA")
			}
			x.text = bytes.ReplaceAll(x.buf[x.pos+9:i], []byte("&"), []byte("&amp;"))
			x.pos = i + 3
			return xmlText, nil
		case bytes.HasPrefix(rest, []byte("<!")):
			return 0, errs.New(errs.Invalid, errs.T("工作簿里含有文档类型声明，拒绝读取", "the workbook holds a document type declaration, which is refused")).In("file")
		case bytes.HasPrefix(rest, []byte("<?")):
			if err := x.skipTo("?>"); err != nil {
				return 0, err
			}
			continue
		}
		i, err := x.tagEnd()
		if err != nil {
			return 0, err
		}
		tag := x.buf[x.pos+1 : i]
		x.pos = i + 1
		kind := xmlStart
		x.empty = false
		if len(tag) > 0 && tag[0] == '/' {
			kind, tag = xmlEnd, tag[1:]
		} else if len(tag) > 0 && tag[len(tag)-1] == '/' {
			x.empty, tag = true, tag[:len(tag)-1]
		}
		n := bytes.IndexAny(tag, " \t\r\n")
		if n < 0 {
			n = len(tag)
		}
		x.name, x.attrs = tag[:n], tag[n:]
		if c := bytes.IndexByte(x.name, ':'); c >= 0 {
			x.name = x.name[c+1:]
		}
		return kind, nil
	}
}

// tagEnd finds the ">" of the tag at pos, passing over quoted values.
func (x *xmlScanner) tagEnd() (int, error) {
	i, quote := x.pos+1, byte(0)
	for {
		for ; i < x.end; i++ {
			switch c := x.buf[i]; {
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case c == '>':
				return i, nil
			}
		}
		if x.eof {
			return 0, x.damaged("unclosed tag")
		}
		off := i - x.pos
		if err := x.fill(); err != nil && err != io.EOF {
			return 0, err
		}
		i = x.pos + off
	}
}

// seek moves to the next sep, dropping what stands before it; io.EOF when
// there is none.
func (x *xmlScanner) seek(sep string) error {
	for {
		if i := bytes.Index(x.buf[x.pos:x.end], []byte(sep)); i >= 0 {
			x.pos += i
			return nil
		}
		if x.eof {
			return io.EOF
		}
		x.pos = max(x.pos, x.end-len(sep)+1)
		if err := x.fill(); err != nil && err != io.EOF {
			return err
		}
	}
}

func (x *xmlScanner) skipTo(sep string) error {
	if err := x.seek(sep); err == io.EOF {
		return x.damaged("no " + sep)
	} else if err != nil {
		return err
	}
	x.pos += len(sep)
	return nil
}

// attr returns the raw value of an attribute by its local name, nil if absent.
func (x *xmlScanner) attr(name string) []byte {
	p := x.attrs
	for {
		p = bytes.TrimLeft(p, " \t\r\n")
		eq := bytes.IndexByte(p, '=')
		if eq < 0 {
			return nil
		}
		key := bytes.TrimSpace(p[:eq])
		if c := bytes.IndexByte(key, ':'); c >= 0 {
			key = key[c+1:]
		}
		p = bytes.TrimLeft(p[eq+1:], " \t\r\n")
		if len(p) == 0 {
			return nil
		}
		end := bytes.IndexByte(p[1:], p[0])
		if end < 0 {
			return nil
		}
		if string(key) == name {
			return p[1 : 1+end]
		}
		p = p[end+2:]
	}
}

// unescapeXML appends text with the five entities and character references
// resolved; an unknown entity stays as it is.
func unescapeXML(out, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(out, text...)
		}
		out = append(out, text[:i]...)
		text = text[i:]
		semi := bytes.IndexByte(text[:min(len(text), 12)], ';')
		if semi < 0 {
			out, text = append(out, '&'), text[1:]
			continue
		}
		switch ent := string(text[1:semi]); {
		case ent == "lt":
			out = append(out, '<')
		case ent == "gt":
			out = append(out, '>')
		case ent == "amp":
			out = append(out, '&')
		case ent == "quot":
			out = append(out, '"')
		case ent == "apos":
			out = append(out, '\'')
		case len(ent) > 1 && ent[0] == '#':
			base, digits := 10, ent[1:]
			if digits[0] == 'x' || digits[0] == 'X' {
				base, digits = 16, digits[1:]
			}
			if n, err := strconv.ParseUint(digits, base, 32); err == nil && utf8.ValidRune(rune(n)) {
				out = utf8.AppendRune(out, rune(n))
			}
		default:
			out = append(out, text[:semi+1]...)
		}
		text = text[semi+1:]
	}
}
