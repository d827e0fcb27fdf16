package tabular

import (
	"archive/zip"
	"bytes"
	"cmp"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gongshu/internal/errs"
)

// workbook is an open XLSX file: names, styles and shared strings are in
// memory, sheets are streamed.
type workbook struct {
	zip    *zip.Reader
	lim    Limits
	sheets []sheetRef
	dates  []dateKind // by style index
	base   time.Time  // day 0 of serial numbers
	text   []byte     // shared strings one after another
	ends   []uint32
	size   int64 // of the file
	out    int64 // unpacked so far, of all parts, where they were read first
	opened map[string]bool
}

// What no workbook has that somebody means to send.
const (
	maxParts     = 10_000
	maxDirectory = 8 << 20 // bytes of the archive's list of parts
	maxSheets    = 1_000
	maxFormats   = 1 << 16 // Excel itself keeps at most 65,490
)

type sheetRef struct {
	name, part string
	hidden     bool
}

type dateKind byte

const (
	notDate dateKind = iota
	dateOnly
	timeOnly
	dateTime
)

func openWorkbook(r io.ReaderAt, size int64, lim Limits) (*workbook, error) {
	parts := tooLarge("工作簿内的文件过多", "the workbook holds too many parts").In("file")
	// The list of parts is read into memory whole: here is its bound.
	list := &directory{r: r, left: maxDirectory, over: parts}
	z, err := zip.NewReader(list, size)
	if list.left < 0 {
		return nil, parts
	}
	if err != nil {
		return nil, bad("文件不是可读的 XLSX 工作簿", "the file is not a readable XLSX workbook").In("file").Because(err)
	}
	list.left = math.MaxInt64
	if len(z.File) > maxParts {
		return nil, parts
	}
	w := &workbook{zip: z, size: size, opened: map[string]bool{}, lim: lim, base: time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)}
	if err := w.readWorkbook(); err != nil {
		return nil, err
	}
	if err := w.readStyles(); err != nil {
		return nil, err
	}
	return w, w.readStrings()
}

// directory bounds what is read of an archive until its list of parts is known.
type directory struct {
	r    io.ReaderAt
	left int64
	over error
}

func (d *directory) ReadAt(p []byte, at int64) (int, error) {
	if d.left < math.MaxInt64 {
		if d.left -= int64(len(p)); d.left < 0 {
			return 0, d.over
		}
	}
	return d.r.ReadAt(p, at)
}

func (w *workbook) has(part string) bool {
	for _, f := range w.zip.File {
		if f.Name == part {
			return true
		}
	}
	return false
}

// open gives a part behind bounds of size and of expansion.
func (w *workbook) open(part string) (io.ReadCloser, error) {
	for _, f := range w.zip.File {
		if f.Name != part {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, bad("工作簿的 "+part+" 无法解压", "the workbook's part "+part+" cannot be unpacked").In("file").Because(err)
		}
		e := &expansion{r: r, packed: int64(f.CompressedSize64), lim: w.lim, what: part}
		if !w.opened[part] {
			e.book, w.opened[part] = w, true
		}
		return bounded{r, e}, nil
	}
	return nil, bad("工作簿缺少 "+part, "the workbook lacks "+part).In("file")
}

type bounded struct {
	io.Closer
	io.Reader
}

// expansion refuses to unpack more than the limits allow.
type expansion struct {
	r      io.Reader
	packed int64 // packed size; for a stream, what was consumed so far
	count  *int64
	book   *workbook // whose part it is: all parts together have a bound as well
	out    int64
	lim    Limits
	what   string
}

func (e *expansion) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.out += int64(n)
	packed := e.packed
	if e.count != nil {
		packed = *e.count
	}
	over := func(out, packed int64) bool {
		return out > e.lim.Unpacked || out > 64<<20 && out > e.lim.Ratio*max(packed, 1)
	}
	all := false
	if e.book != nil {
		e.book.out += int64(n)
		all = over(e.book.out, e.book.size)
	}
	if all || over(e.out, packed) {
		return 0, errs.Newf(errs.TooLarge, "%s 解压后过大（已 %d 字节，压缩前仅 %d 字节），疑似压缩炸弹", "%s unpacks too large (%d bytes so far from %d packed), like a zip bomb", e.what, e.out, packed).In("file")
	}
	return n, err
}

func (w *workbook) readWorkbook() error {
	if !w.has("xl/workbook.xml") {
		return w.notWorkbook()
	}
	targets := map[string]string{}
	if w.has("xl/_rels/workbook.xml.rels") {
		err := w.each("xl/_rels/workbook.xml.rels", func(x *xmlScanner, kind xmlKind) error {
			if kind == xmlStart && string(x.name) == "Relationship" {
				t := string(unescapeXML(nil, x.attr("Target")))
				if strings.HasPrefix(t, "/") {
					t = t[1:]
				} else {
					t = path.Join("xl", t)
				}
				if targets[string(x.attr("Id"))] = t; len(targets) > maxParts {
					return tooLarge("工作簿内的文件过多", "the workbook holds too many parts").In("file")
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := w.each("xl/workbook.xml", func(x *xmlScanner, kind xmlKind) error {
		if kind != xmlStart {
			return nil
		}
		switch string(x.name) {
		case "workbookPr":
			if v := string(x.attr("date1904")); v == "1" || v == "true" {
				w.base = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
			}
		case "sheet":
			part := targets[string(x.attr("id"))]
			if slices.ContainsFunc(w.sheets, func(s sheetRef) bool { return s.part == part }) {
				return x.damaged("two sheets in one part")
			}
			if strings.Contains(part, "worksheets/") {
				state := string(x.attr("state"))
				w.sheets = append(w.sheets, sheetRef{string(unescapeXML(nil, x.attr("name"))), part, state == "hidden" || state == "veryHidden"})
			}
			if len(w.sheets) > maxSheets {
				return errs.Newf(errs.TooLarge, "工作簿的工作表超过 %d 个", "the workbook has more than %d sheets", maxSheets).In("file")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(w.sheets) == 0 {
		return bad("工作簿里没有工作表", "the workbook holds no sheet").In("file")
	}
	return nil
}

// notWorkbook says what a ZIP that is not a workbook seems to be.
func (w *workbook) notWorkbook() error {
	for _, f := range w.zip.File {
		switch ext := strings.ToLower(path.Ext(f.Name)); {
		case ext == ".shp":
			return notATable("这是 Shapefile 压缩包（空间数据）", "this is a zipped shapefile (spatial data)")
		case f.Name == "word/document.xml":
			return notATable("这是 Word 文档", "this is a Word document")
		case f.Name == "content.xml":
			return notATable("这是 OpenDocument 文件，请另存为 XLSX", "this is an OpenDocument file; save it as XLSX")
		case strings.HasSuffix(f.Name, "workbook.bin"):
			return notATable("这是 XLSB 二进制工作簿，请另存为 XLSX", "this is a binary workbook (XLSB); save it as XLSX")
		}
	}
	return notATable("这是 ZIP 压缩包，请逐个上传其中的表格文件", "this is a ZIP archive; send its tables one by one")
}

// Supported names the formats that intake takes, for refusals and pages.
var Supported = errs.T("可接收 CSV/TSV（UTF-8、UTF-16、GB18030、Big5、windows-1252）、XLSX、NDJSON、JSON（记录数组），可用 gzip 压缩",
	"CSV/TSV (UTF-8, UTF-16, GB18030, Big5, windows-1252), XLSX, NDJSON and JSON (an array of records) are taken, also gzipped")

func notATable(zh, en string) *errs.Error {
	return unsupported(zh+"，不能作为表格汇聚；"+Supported.ZH, en+" and cannot be taken in as a table; "+Supported.EN).In("file")
}

func (w *workbook) each(part string, do func(*xmlScanner, xmlKind) error) error {
	r, err := w.open(part)
	if err != nil {
		return err
	}
	defer r.Close()
	x := newXMLScanner(r, part, w.lim.Cell)
	for {
		kind, err := x.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(x, kind); err != nil {
			return err
		}
	}
}

func (w *workbook) readStyles() error {
	if !w.has("xl/styles.xml") {
		return nil
	}
	custom := map[int]dateKind{}
	inXfs := false
	return w.each("xl/styles.xml", func(x *xmlScanner, kind xmlKind) error {
		switch {
		case string(x.name) == "cellXfs":
			inXfs = kind == xmlStart && !x.empty
		case kind == xmlStart && string(x.name) == "numFmt":
			id, _ := strconv.Atoi(string(x.attr("numFmtId")))
			custom[id] = formatKind(string(unescapeXML(nil, x.attr("formatCode"))))
		case kind == xmlStart && inXfs && string(x.name) == "xf":
			id, _ := strconv.Atoi(string(x.attr("numFmtId")))
			k, ok := custom[id]
			if !ok {
				k = builtinKind(id)
			}
			w.dates = append(w.dates, k)
		}
		if len(w.dates) > maxFormats || len(custom) > maxFormats {
			return errs.Newf(errs.TooLarge, "工作簿的单元格格式超过 %d 种", "the workbook has more than %d cell formats", maxFormats).In("file")
		}
		return nil
	})
}

func builtinKind(id int) dateKind {
	switch {
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 54, id == 57, id == 58:
		return dateOnly
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id >= 45 && id <= 47, id == 55, id == 56:
		return timeOnly
	case id == 22:
		return dateTime
	}
	return notDate
}

// formatKind tells from a number format's code whether it shows a date.
func formatKind(code string) dateKind {
	var day, clock bool
	for i := 0; i < len(code); i++ {
		switch c := code[i] | 0x20; {
		case code[i] == ';':
			i = len(code)
		case code[i] == '"':
			if j := strings.IndexByte(code[i+1:], '"'); j >= 0 {
				i += j + 1
			}
		case code[i] == '\\' || code[i] == '_' || code[i] == '*':
			i++
		case code[i] == '[':
			j := strings.IndexByte(code[i:], ']')
			if j < 0 {
				return notDate
			}
			if in := strings.ToLower(code[i+1 : i+j]); in != "" && strings.Trim(in, "hms") == "" {
				clock = true
			}
			i += j
		case c == 'y' || c == 'd':
			day = true
		case c == 'h' || c == 's':
			clock = true
		case c == 'm' && !clock && !strings.ContainsAny(code, "hHsS"):
			day = true
		}
	}
	switch {
	case strings.EqualFold(code, "general"):
		return notDate
	case day && clock:
		return dateTime
	case day:
		return dateOnly
	case clock:
		return timeOnly
	}
	return notDate
}

func (w *workbook) readStrings() error {
	const part = "xl/sharedStrings.xml"
	if !w.has(part) {
		return nil
	}
	inT, phonetic := false, false
	return w.each(part, func(x *xmlScanner, kind xmlKind) error {
		switch kind {
		case xmlText:
			if inT && !phonetic {
				w.text = unescapeXML(w.text, x.text)
			}
		default:
			start := kind == xmlStart
			switch string(x.name) {
			case "t":
				inT = start && !x.empty
			case "rPh":
				phonetic = start && !x.empty
			case "si":
				if !start || x.empty {
					w.ends = append(w.ends, uint32(len(w.text)))
				}
			}
		}
		// An empty text takes room as well: that of its end.
		if int64(len(w.text)+4*len(w.ends)) > w.lim.Strings {
			return errs.Newf(errs.TooLarge, "工作簿的文字超过 %d MB，请改用 CSV 或分成几个文件", "the workbook's texts exceed %d MB; send CSV, or several files", w.lim.Strings>>20).In("file")
		}
		return nil
	})
}

func (w *workbook) shared(i int) ([]byte, bool) {
	if i < 0 || i >= len(w.ends) {
		return nil, false
	}
	from := uint32(0)
	if i > 0 {
		from = w.ends[i-1]
	}
	return w.text[from:w.ends[i]], true
}

func (w *workbook) sheet(name string) (sheetRef, error) {
	for _, s := range w.sheets {
		if s.name == name {
			return s, nil
		}
	}
	return sheetRef{}, errs.Newf(errs.Invalid, "工作簿里没有名为“%s”的工作表", "the workbook has no sheet named %q", name).In("sheet")
}

// merge is a merged range; rows and columns count from 1 and 0.
type merge struct{ row1, col1, row2, col2 int }

// merges reads the merged ranges of a sheet; they stand after its rows, so the
// part is passed through once.
func (w *workbook) merges(s sheetRef) ([]merge, error) {
	var out []merge
	r, err := w.open(s.part)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	x := newXMLScanner(r, s.part, w.lim.Cell)
	for {
		if err := x.seek("<mergeCell "); err == io.EOF {
			return out, nil
		} else if err != nil {
			return out, err
		}
		if _, err := x.next(); err != nil {
			return out, err
		}
		a, b, ok := strings.Cut(string(x.attr("ref")), ":")
		if !ok {
			continue
		}
		c1, r1, ok1 := cellRef([]byte(a))
		c2, r2, ok2 := cellRef([]byte(b))
		if ok1 && ok2 && len(out) < 1<<16 {
			out = append(out, merge{r1, c1, r2, c2})
		}
	}
}

// cellRef reads "BC12": column from 0, row from 1.
func cellRef(p []byte) (col, row int, ok bool) {
	i := 0
	for ; i < len(p) && isLetter(p[i]) && i < 4; i++ {
		col = col*26 + int(p[i]|0x20-'a') + 1
	}
	for j := i; j < len(p); j++ {
		if p[j] < '0' || p[j] > '9' || row > 1<<24 {
			return 0, 0, false
		}
		row = row*10 + int(p[j]-'0')
	}
	return col - 1, row, i > 0
}

// sheetScanner streams a sheet's rows.
type sheetScanner struct {
	book   *workbook
	x      *xmlScanner
	r      io.ReadCloser
	number int64
	flaws  []errs.Text
	fill   map[int][]fillRange // vertical merges by column, when asked for
	value  []byte
}

type fillRange struct {
	from, to int
	value    []byte
}

func (w *workbook) scan(s sheetRef, fillMerged bool) (*sheetScanner, error) {
	sc := &sheetScanner{book: w}
	if fillMerged {
		ms, err := w.merges(s)
		if err != nil {
			return nil, err
		}
		sc.fill = map[int][]fillRange{}
		for _, m := range ms {
			if m.row2 > m.row1 && m.col1 == m.col2 {
				sc.fill[m.col1] = append(sc.fill[m.col1], fillRange{from: m.row1, to: m.row2})
			}
		}
		for _, ranges := range sc.fill {
			slices.SortFunc(ranges, func(a, b fillRange) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
		}
	}
	r, err := w.open(s.part)
	if err != nil {
		return nil, err
	}
	sc.r, sc.x = r, newXMLScanner(r, s.part, w.lim.Cell)
	return sc, nil
}

func (s *sheetScanner) rowFlaws() []errs.Text { return s.flaws }

func (s *sheetScanner) Close() error { return s.r.Close() }

func (s *sheetScanner) next(b *Block) (int64, error) {
	s.flaws = s.flaws[:0]
	for {
		kind, err := s.x.next()
		if err != nil {
			return 0, err
		}
		if kind == xmlEnd && string(s.x.name) == "sheetData" {
			return 0, io.EOF
		}
		if kind != xmlStart || string(s.x.name) != "row" {
			continue
		}
		s.number++
		if v := s.x.attr("r"); v != nil {
			n, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil || n < s.number {
				return 0, s.x.damaged("row numbers")
			}
			s.number = n
		}
		if s.x.empty {
			continue
		}
		if err := s.row(b); err != nil {
			return 0, err
		}
		return s.number, nil
	}
}

func (s *sheetScanner) row(b *Block) error {
	col := -1
	for {
		kind, err := s.x.next()
		if err == io.EOF {
			return s.x.damaged("row without end")
		}
		if err != nil {
			return err
		}
		name := string(s.x.name)
		if kind == xmlEnd && name == "row" {
			return nil
		}
		if kind != xmlStart || name != "c" {
			continue
		}
		at := col + 1
		if ref := s.x.attr("r"); ref != nil {
			c, _, ok := cellRef(ref)
			if !ok || c < at {
				return s.x.damaged("cell references")
			}
			at = c
		}
		if at >= s.book.lim.Columns {
			return errs.Newf(errs.TooLarge, "第 %d 行超过 %d 列", "row %d has more than %d cells", s.number, s.book.lim.Columns)
		}
		for col++; col < at; col++ {
			s.place(b, col, nil)
		}
		if err := s.cell(b, col); err != nil {
			return err
		}
		// One shared text may stand in many cells: the file's size bounds no row.
		if b.PendingBytes() > s.book.lim.Row {
			return errs.Newf(errs.TooLarge, "第 %d 行超过 %d 字节，无法读取", "row %d is longer than %d bytes", s.number, s.book.lim.Row)
		}
	}
}

// place adds a cell, filling it from a vertical merge where the layout asks.
func (s *sheetScanner) place(b *Block, col int, value []byte) {
	// Ranges of a sheet do not overlap, and rows only go on: the first that is not
	// behind is the one that matters.
	ranges := s.fill[col]
	for len(ranges) > 0 && ranges[0].to < int(s.number) {
		ranges = ranges[1:]
		s.fill[col] = ranges
	}
	if len(ranges) > 0 {
		switch f := &ranges[0]; {
		case int(s.number) == f.from:
			f.value = append([]byte(nil), value...)
		case int(s.number) > f.from && len(value) == 0:
			value = f.value
		}
	}
	b.Add(value)
}

func (s *sheetScanner) long(col int) error {
	return errs.Newf(errs.TooLarge, "第 %d 行第 %d 列超过 %d 字节", "row %d, column %d is longer than %d bytes", s.number, col+1, s.book.lim.Cell)
}

func (s *sheetScanner) cell(b *Block, col int) error {
	typ := string(s.x.attr("t"))
	style := -1
	if v := s.x.attr("s"); v != nil {
		style, _ = strconv.Atoi(string(v))
	}
	s.value = s.value[:0]
	if !s.x.empty {
		depth, want, phonetic := 1, false, false
		for depth > 0 {
			kind, err := s.x.next()
			if err == io.EOF {
				return s.x.damaged("cell without end")
			}
			if err != nil {
				return err
			}
			switch kind {
			case xmlText:
				if want && !phonetic {
					s.value = unescapeXML(s.value, s.x.text)
					if len(s.value) > s.book.lim.Cell {
						return s.long(col)
					}
				}
			case xmlStart:
				n := string(s.x.name)
				want = (n == "v" || n == "t") && !s.x.empty
				if n == "rPh" {
					phonetic = !s.x.empty
				}
				if !s.x.empty {
					if depth++; depth > s.book.lim.Depth {
						return s.x.damaged("nesting")
					}
				}
			case xmlEnd:
				want = false
				if string(s.x.name) == "rPh" {
					phonetic = false
				}
				depth--
			}
		}
	}
	value := s.value
	switch typ {
	case "s":
		if len(value) > 0 {
			i, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			text, ok := s.book.shared(i)
			if err != nil || !ok {
				return s.x.damaged("shared string index")
			}
			if len(text) > s.book.lim.Cell {
				return s.long(col)
			}
			value = text
		}
	case "b":
		switch string(value) {
		case "1":
			value = []byte("TRUE")
		case "0":
			value = []byte("FALSE")
		}
	case "e":
		s.flaws = append(s.flaws, errs.Tf("第 %d 列是 Excel 错误值 %s", "column %d holds the Excel error %s", col+1, string(value)))
	case "", "n":
		if len(value) > 0 {
			kind := notDate
			if style >= 0 && style < len(s.book.dates) {
				kind = s.book.dates[style]
			}
			value = s.book.number(value, kind)
		}
	}
	s.place(b, col, value)
	return nil
}

// number writes a numeric cell as its reader would see it: whole numbers with
// all digits, no exponent; fractions to Excel's 15 significant digits; dates
// as 2006-01-02, 15:04:05 or both.
func (w *workbook) number(raw []byte, kind dateKind) []byte {
	if kind == notDate && !bytes.ContainsAny(raw, ".eE") {
		return raw
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return raw
	}
	if kind == notDate || f < 0 || f > 2_958_466 {
		short, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
		return strconv.AppendFloat(nil, short, 'f', -1, 64)
	}
	days := math.Floor(f)
	t := w.base.AddDate(0, 0, int(days)).Add(time.Duration(math.Round((f-days)*86400)) * time.Second)
	switch {
	case kind == timeOnly && f < 1:
		return t.AppendFormat(nil, "15:04:05")
	case kind == dateOnly && f == math.Floor(f):
		return t.AppendFormat(nil, "2006-01-02")
	case kind == dateOnly && t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0:
		return t.AppendFormat(nil, "2006-01-02")
	}
	return t.AppendFormat(nil, "2006-01-02 15:04:05")
}
