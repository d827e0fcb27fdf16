package tabular

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"
)

// NewWriter makes a Writer of a format. CSV begins with a byte-order mark so
// that Excel opens it right in Chinese; use NewCSVWriter to choose.
func NewWriter(w io.Writer, f Format, columns []Column) (Writer, error) {
	switch f {
	case CSV:
		return NewCSVWriter(w, columns, CSVOptions{BOM: true})
	case NDJSON, JSON:
		return newJSONWriter(w, columns, f == JSON), nil
	case XLSX:
		return newXLSXWriter(w, columns)
	case Parquet:
		return newParquetWriter(w, columns)
	}
	return nil, unsupported("不支持的格式 "+string(f), "unsupported format "+string(f)).In("format")
}

// CSVOptions choose how CSV is written.
type CSVOptions struct {
	BOM       bool
	Delimiter byte // default ','
	// Guard puts an apostrophe before cells that a spreadsheet would run as a
	// formula (=, +, -, @ before text), and before those that look as if they had
	// one already; numbers are left alone. It changes the text, so it is for files
	// that people open, not for those that systems read; a file that comes back is
	// read with [Layout].Guarded, which takes exactly these apostrophes off again.
	Guard bool
	// NoHeader leaves the header row out.
	NoHeader bool
}

type csvWriter struct {
	w     io.Writer
	buf   []byte
	opt   CSVOptions
	width int
}

// NewCSVWriter writes the header row and returns the Writer. Rows end in CRLF
// (RFC 4180).
func NewCSVWriter(w io.Writer, columns []Column, opt CSVOptions) (Writer, error) {
	if opt.Delimiter == 0 {
		opt.Delimiter = ','
	}
	c := &csvWriter{w: w, opt: opt, width: len(columns), buf: make([]byte, 0, 64<<10)}
	if opt.BOM {
		c.buf = append(c.buf, 0xEF, 0xBB, 0xBF)
	}
	if !opt.NoHeader {
		for i, col := range columns {
			c.cell(i, []byte(col.Name))
		}
		c.endRow()
	}
	return c, nil
}

func (c *csvWriter) cell(i int, v []byte) {
	if i > 0 {
		c.buf = append(c.buf, c.opt.Delimiter)
	}
	guard := c.opt.Guard && guarded(v)
	quote := guard || c.width == 1 && len(v) == 0
	if !quote && len(v) > 0 {
		quote = v[0] == ' ' || v[len(v)-1] == ' '
		for _, b := range v {
			if b == c.opt.Delimiter || b == '"' || b == '\n' || b == '\r' {
				quote = true
				break
			}
		}
	}
	if !quote {
		c.buf = append(c.buf, v...)
		return
	}
	c.buf = append(c.buf, '"')
	if guard {
		c.buf = append(c.buf, '\'')
	}
	for _, b := range v {
		if b == '"' {
			c.buf = append(c.buf, '"')
		}
		c.buf = append(c.buf, b)
	}
	c.buf = append(c.buf, '"')
}

// guarded reports text that Guard puts an apostrophe before.
func guarded(v []byte) bool {
	for len(v) > 1 && v[0] == '\'' {
		v = v[1:]
	}
	return len(v) > 0 && formula(v)
}

// formula reports text that a spreadsheet would evaluate.
func formula(v []byte) bool {
	switch v[0] {
	case '=', '@', '\t', '\r':
		return true
	case '+', '-':
		_, ok := canonicalDecimal(nil, v, '.')
		return !ok
	}
	return false
}

func (c *csvWriter) endRow() { c.buf = append(c.buf, '\r', '\n') }

func (c *csvWriter) flush() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *csvWriter) Write(b *Block) error {
	for r := range b.Len() {
		for i := range c.width {
			c.cell(i, b.Cell(r, i))
		}
		c.endRow()
		if len(c.buf) > 48<<10 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *csvWriter) Close() error { return c.flush() }

type jsonWriter struct {
	w       *bufio.Writer
	columns []Column
	keys    [][]byte
	array   bool
	rows    int
	buf     []byte
}

func newJSONWriter(w io.Writer, columns []Column, array bool) *jsonWriter {
	j := &jsonWriter{w: bufio.NewWriterSize(w, 64<<10), columns: columns, array: array}
	for _, c := range columns {
		j.keys = append(j.keys, append(AppendJSONString(nil, c.Name), ':'))
	}
	return j
}

// AppendJSONString appends v as a JSON string in the one form of RFC 8785: escaped
// are only ", \ and control characters (\b \t \n \f \r, else \u00xx in lower case).
// Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString[T ~string | ~[]byte](out []byte, v T) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for i := 0; i < len(v); {
		c := v[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(v[i:min(i+utf8.UTFMax, len(v))]))
			if r == utf8.RuneError && n == 1 {
				out = append(append(out, v[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		out = append(out, v[from:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\b':
			out = append(out, '\\', 'b')
		case '\t':
			out = append(out, '\\', 't')
		case '\n':
			out = append(out, '\\', 'n')
		case '\f':
			out = append(out, '\\', 'f')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(out, v[from:]...), '"')
}

// appendJSONValue writes numbers and booleans as such when the column's type
// says so and the text is one; decimals keep their digits.
func appendJSONValue(out []byte, typ byte, v []byte) []byte {
	if len(v) == 0 {
		return append(out, "null"...)
	}
	switch typ {
	case 'I', 'N', 'Y', 'B', 'F':
		if to, err := skipNumber(v, 0); (v[0] == '-' || v[0] >= '0' && v[0] <= '9') && err == nil && to == len(v) {
			return append(out, v...)
		}
	case 'L':
		switch string(v) {
		case "1":
			return append(out, "true"...)
		case "0":
			return append(out, "false"...)
		}
	}
	return AppendJSONString(out, v)
}

func (j *jsonWriter) Write(b *Block) error {
	for r := range b.Len() {
		j.buf = j.buf[:0]
		if j.array {
			if j.rows == 0 {
				j.buf = append(j.buf, '[', '\n')
			} else {
				j.buf = append(j.buf, ',', '\n')
			}
		}
		j.buf = append(j.buf, '{')
		for i, c := range j.columns {
			if i > 0 {
				j.buf = append(j.buf, ',')
			}
			j.buf = append(j.buf, j.keys[i]...)
			j.buf = appendJSONValue(j.buf, c.Type, b.Cell(r, i))
		}
		j.buf = append(j.buf, '}')
		if !j.array {
			j.buf = append(j.buf, '\n')
		}
		j.rows++
		if _, err := j.w.Write(j.buf); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonWriter) Close() error {
	if j.array {
		end := "\n]\n"
		if j.rows == 0 {
			end = "[]\n"
		}
		if _, err := j.w.WriteString(end); err != nil {
			return err
		}
	}
	return j.w.Flush()
}

type xlsxWriter struct {
	out     io.Writer
	f       *excelize.File
	s       *excelize.StreamWriter
	columns []Column
	row     int
	sheet   int
	cells   []any
	head    int // styles
	date    int
	moment  int
}

const xlsxRows = 1_048_576 // rows of a sheet

func newXLSXWriter(w io.Writer, columns []Column) (*xlsxWriter, error) {
	x := &xlsxWriter{out: w, f: excelize.NewFile(), columns: columns, cells: make([]any, len(columns))}
	dateFormat, momentFormat := "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
	for style, into := range map[*excelize.Style]*int{
		{Font: &excelize.Font{Bold: true}}: &x.head,
		{CustomNumFmt: &dateFormat}:        &x.date,
		{CustomNumFmt: &momentFormat}:      &x.moment,
	} {
		id, err := x.f.NewStyle(style)
		if err != nil {
			return nil, err
		}
		*into = id
	}
	return x, nil
}

// open starts the next sheet with the header row, its columns as wide as the rows
// at hand; a table longer than a sheet goes on in another.
func (x *xlsxWriter) open(b *Block) error {
	x.sheet++
	name := "Sheet" + strconv.Itoa(x.sheet)
	if x.sheet > 1 {
		if err := x.s.Flush(); err != nil {
			return err
		}
		if _, err := x.f.NewSheet(name); err != nil {
			return err
		}
	}
	var err error
	if x.s, err = x.f.NewStreamWriter(name); err != nil {
		return err
	}
	head := make([]any, len(x.columns))
	for i, c := range x.columns {
		head[i] = excelize.Cell{StyleID: x.head, Value: c.Name}
		width := cellWidth([]byte(c.Name))
		for r := range min(b.Len(), 200) {
			width = max(width, cellWidth(b.Cell(r, i)))
		}
		if err := x.s.SetColWidth(i+1, i+1, float64(min(width, 48)+2)); err != nil {
			return err
		}
	}
	x.row = 1
	if err := x.s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	return x.s.SetRow("A1", head)
}

// cellWidth counts digits' widths: a Chinese character is two wide.
func cellWidth(v []byte) int {
	n := 0
	for len(v) > 0 {
		r, size := utf8.DecodeRune(v)
		if v = v[size:]; r >= 0x2E80 {
			n++
		}
		n++
	}
	return n
}

func (x *xlsxWriter) Write(b *Block) error {
	for r := range b.Len() {
		if x.s == nil || x.row == xlsxRows {
			if err := x.open(b); err != nil {
				return err
			}
		}
		x.row++
		for i, c := range x.columns {
			x.cells[i] = x.value(c.Type, b.Cell(r, i))
		}
		if err := x.s.SetRow("A"+strconv.Itoa(x.row), x.cells); err != nil {
			return err
		}
	}
	return nil
}

// value writes dates and times as Excel counts them, in days since 1899-12-30, so
// that they sort, filter and calculate; what is before Excel's calendar, and all
// else, is left to xlsxValue.
func (x *xlsxWriter) value(typ byte, v []byte) any {
	const epoch, first = -25_569, -25_508 // 1899-12-30 and 1900-03-01, in days since 1970
	switch typ {
	case 'D':
		if days, ok := Days(v); ok && days >= first {
			return excelize.Cell{StyleID: x.date, Value: days - epoch}
		}
	case 'T':
		if ms, ok := Milliseconds(v); ok && ms >= first*86_400_000 {
			local := ms + 8*3_600_000 // the city's clock
			return excelize.Cell{StyleID: x.moment, Value: float64(local)/86_400_000 - epoch}
		}
	}
	return xlsxValue(typ, v)
}

// xlsxValue writes a number as a number only where Excel keeps all its digits.
func xlsxValue(typ byte, v []byte) any {
	if len(v) == 0 {
		return nil
	}
	switch typ {
	case 'I':
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && n < 1e15 && n > -1e15 {
			return n
		}
	case 'N', 'Y', 'B', 'F':
		if f, err := strconv.ParseFloat(string(v), 64); err == nil && len(v) <= 15 {
			return f
		}
	}
	if len(v) > 32767 {
		v = v[:32767] // a cell holds no more; the other formats keep it whole
		for len(v) > 0 && !utf8.Valid(v[max(0, len(v)-4):]) && !utf8.RuneStart(v[len(v)-1]) {
			v = v[:len(v)-1]
		}
	}
	return string(v)
}

func (x *xlsxWriter) Close() error {
	if x.s == nil {
		if err := x.open(NewBlock()); err != nil {
			return err
		}
	}
	if err := x.s.Flush(); err != nil {
		return err
	}
	if err := x.f.Write(x.out); err != nil {
		return err
	}
	return x.f.Close()
}

type parquetWriter struct {
	w       *parquet.Writer
	columns []Column
	leaf    []int // column index in the schema by position here
	rows    []parquet.Row
	dates   []byte
}

// inOrder is a group whose fields stand in the order of the columns: parquet.Group
// sorts them by name.
type inOrder struct {
	parquet.Group
	columns []Column
}

func (o inOrder) Fields() []parquet.Field {
	byName := map[string]parquet.Field{}
	for _, f := range o.Group.Fields() {
		byName[f.Name()] = f
	}
	out := make([]parquet.Field, len(o.columns))
	for i, c := range o.columns {
		out[i] = byName[c.Name]
	}
	return out
}

// maxScale is how many digits of a decimal an INT64 holds.
const maxScale = 18

// newParquetWriter writes optional columns: I as INT64, B and F as DOUBLE, L as
// BOOLEAN, D as DATE, T as TIMESTAMP(ms, UTC), N and Y of a known scale as
// DECIMAL(18, scale), everything else (other decimals too, whose digits must not
// change) as STRING.
func newParquetWriter(w io.Writer, columns []Column) (*parquetWriter, error) {
	group := parquet.Group{}
	for _, c := range columns {
		var n parquet.Node
		switch c.Type {
		case 'I':
			n = parquet.Int(64)
		case 'B', 'F':
			n = parquet.Leaf(parquet.DoubleType)
		case 'L':
			n = parquet.Leaf(parquet.BooleanType)
		case 'D':
			n = parquet.Date()
		case 'T':
			n = parquet.Timestamp(parquet.Millisecond)
		default:
			n = parquet.String()
			if c.decimal() {
				n = parquet.Decimal(c.Scale, maxScale, parquet.Int64Type)
			}
		}
		if _, twice := group[c.Name]; twice {
			return nil, bad("列名重复："+c.Name, "column name occurs twice: "+c.Name).In("columns")
		}
		group[c.Name] = parquet.Compressed(parquet.Optional(n), &parquet.Zstd)
	}
	schema := parquet.NewSchema("rows", inOrder{group, columns})
	p := &parquetWriter{columns: columns, leaf: make([]int, len(columns))}
	for i, c := range columns {
		leaf, ok := schema.Lookup(c.Name)
		if !ok {
			return nil, bad("列名不能用于 Parquet："+c.Name, "column name cannot be used in Parquet: "+c.Name).In("columns")
		}
		p.leaf[i] = leaf.ColumnIndex
	}
	p.w = parquet.NewWriter(w, schema, parquet.MaxRowsPerRowGroup(100_000), parquet.DataPageStatistics(false))
	return p, nil
}

func (p *parquetWriter) Write(b *Block) error {
	n := len(p.columns)
	values := make([]parquet.Value, b.Len()*n)
	p.rows = p.rows[:0]
	for r := range b.Len() {
		row := values[r*n : (r+1)*n]
		for i, c := range p.columns {
			leaf := p.leaf[i]
			v, ok := parquetValue(c, b.Cell(r, i))
			if !ok && c.decimal() && len(b.Cell(r, i)) > 0 {
				return bad(c.Name+" 的值超出声明的位数："+string(b.Cell(r, i)), "a value of "+c.Name+" has more digits than declared: "+string(b.Cell(r, i))).In("columns")
			}
			if ok {
				row[leaf] = v.Level(0, 1, leaf)
			} else {
				row[leaf] = parquet.NullValue().Level(0, 0, leaf)
			}
		}
		p.rows = append(p.rows, row)
	}
	_, err := p.w.WriteRows(p.rows)
	return err
}

func (c Column) decimal() bool {
	return (c.Type == 'N' || c.Type == 'Y') && c.Scale > 0 && c.Scale <= maxScale
}

// scaled reads a decimal as a whole number of its smallest units, exactly.
func scaled(v []byte, scale int) (int64, bool) {
	whole, fraction, _ := strings.Cut(string(v), ".")
	if len(fraction) > scale {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10, 64)
	return n, err == nil
}

func parquetValue(c Column, v []byte) (parquet.Value, bool) {
	if len(v) == 0 {
		return parquet.Value{}, false
	}
	if c.decimal() {
		n, ok := scaled(v, c.Scale)
		return parquet.Int64Value(n), ok
	}
	switch c.Type {
	case 'I':
		n, err := strconv.ParseInt(string(v), 10, 64)
		return parquet.Int64Value(n), err == nil
	case 'B', 'F':
		f, err := strconv.ParseFloat(string(v), 64)
		return parquet.DoubleValue(f), err == nil
	case 'L':
		return parquet.BooleanValue(len(v) == 1 && v[0] == '1'), true
	case 'D':
		days, ok := Days(v)
		return parquet.Int32Value(int32(days)), ok
	case 'T':
		ms, ok := Milliseconds(v)
		return parquet.Int64Value(ms), ok
	}
	return parquet.ByteArrayValue(v), true
}

// Annotate adds a pair to the file's metadata; it may be called until Close.
func (p *parquetWriter) Annotate(key, value string) { p.w.SetKeyValueMetadata(key, value) }

func (p *parquetWriter) Close() error { return p.w.Close() }
