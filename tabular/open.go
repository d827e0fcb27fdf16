package tabular

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"gongshu/internal/errs"
)

// File is a file that can be opened as often as needed.
type File struct {
	Name        string // as sent; only its ending is looked at
	ContentType string // as sent, may be ""
	Open        func() (io.ReadCloser, error)
}

// Bytes makes a File of content in memory.
func Bytes(name string, content []byte) File {
	return File{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// Path makes a File of a file on disk.
func Path(path string) File {
	return File{Name: path, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

// Preview is what Inspect found, to be shown for confirmation.
type Preview struct {
	Layout Layout
	// Rows are the first data rows read by that layout (at most 50).
	Rows *Block
	// Raw are the first rows as they stand in the file, header and preamble
	// included (at most 50), for choosing another header row.
	Raw *Block
	// Sample are the first data rows (at most 1,000), for Propose.
	Sample *Block
}

// reopen gives the file's bytes, unpacked when it is gzip, behind the bounds.
func reopen(f File, lim Limits) (io.ReadCloser, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	head := make([]byte, 2)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		r.Close()
		return nil, readFailure(err, 1)
	}
	joined := io.MultiReader(bytes.NewReader(head[:n]), r)
	if n < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return bounded{r, &expansion{r: joined, packed: lim.Unpacked, lim: lim, what: "file"}}, nil
	}
	counted := &counter{r: joined}
	z, err := gzip.NewReader(counted)
	if err != nil {
		r.Close()
		return nil, bad("gzip 文件已损坏", "the gzip file is damaged").In("file").Because(err)
	}
	return bounded{r, &expansion{r: z, count: &counted.n, lim: lim, what: "gzip"}}, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// sample reads the whole file through a Sampler.
func sample(ctx context.Context, f File, lim Limits) (*Sampler, error) {
	r, err := reopen(f, lim)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s := &Sampler{}
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		s.Write(buf[:n])
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, readFailure(err, 1)
		}
		// A workbook is not text: its beginning says all.
		if s.size >= 4 && bytes.HasPrefix(s.head, []byte("PK\x03\x04")) {
			return s, nil
		}
	}
}

// Inspect reads the whole file once for its encoding, and its beginning for its
// shape, and proposes how to read it. Columns named in expect (names of the
// resource's items) help to find the header row; nil is fine. A file that is
// no table is refused with errs.Unsupported and the formats that are taken.
func Inspect(ctx context.Context, f File, lim Limits, expect []string) (*Preview, error) {
	p, err := InspectFormat(ctx, f, lim)
	if err != nil {
		return nil, err
	}
	return inspectAs(f, p.Layout, lim.WithDefaults(), expect)
}

// InspectFormat finds out format and encoding only; the rest of the Layout is
// left for Reinspect.
func InspectFormat(ctx context.Context, f File, lim Limits) (*Preview, error) {
	lim = lim.WithDefaults()
	s, err := sample(ctx, f, lim)
	if err != nil {
		return nil, err
	}
	if s.size == 0 {
		return nil, bad("文件是空的", "the file is empty").In("file")
	}
	if err := foreign(s.head); err != nil {
		return nil, err
	}
	var l Layout
	if bytes.HasPrefix(s.head, []byte("PK\x03\x04")) {
		l.Format = XLSX
	} else {
		l.Considered = s.Encodings()
		l.Encoding, l.Confidence = l.Considered[0].Encoding, l.Considered[0].Confidence
		if s.nul > 0 && l.Encoding != UTF16LE && l.Encoding != UTF16BE && s.nul > s.size/100 {
			return nil, notATable("这是二进制文件", "this is a binary file")
		}
		l.Format = textFormat(f, s, l.Encoding)
	}
	return &Preview{Layout: l}, nil
}

// Reinspect proposes the rest of a layout whose encoding, delimiter, sheet,
// header rows or records key a person has set: fields that are set stay.
func Reinspect(f File, l Layout, lim Limits, expect []string) (*Preview, error) {
	return inspectAs(f, l, lim.WithDefaults(), expect)
}

func inspectAs(f File, l Layout, lim Limits, expect []string) (*Preview, error) {
	p := &Preview{Raw: NewBlock(), Rows: NewBlock()}
	var err error
	switch l.Format {
	case XLSX:
		err = inspectXLSX(f, &l, lim, expect, p.Raw)
	case JSON, NDJSON:
		err = inspectJSON(f, &l, lim)
	case CSV:
		err = inspectCSV(f, &l, lim, expect, p.Raw)
	default:
		err = unsupported("不支持的格式 "+string(l.Format), "unsupported format "+string(l.Format)).In("format")
	}
	if err != nil {
		return nil, err
	}
	p.Layout = l
	r, err := Open(f, l, lim)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all, b := NewBlock(), NewBlock()
	for all.Len() < 1000 && all.Bytes() < sampleBytes {
		err := r.Read(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			if all.Len() == 0 {
				return nil, err
			}
			break
		}
		for i := range b.Len() {
			all.AppendRow(b, i)
		}
	}
	for i := range min(50, all.Len()) {
		p.Rows.AppendRow(all, i)
	}
	p.Sample = all
	return p, nil
}

// foreign refuses formats that are no tables, by their first bytes.
func foreign(head []byte) error {
	for _, m := range []struct {
		magic, zh, en string
	}{
		{"\xD0\xCF\x11\xE0", "这是旧版 Excel（.xls）或 Word 文件，请另存为 XLSX 或 CSV", "this is an old Excel (.xls) or Word file; save it as XLSX or CSV"},
		{"%PDF", "这是 PDF 文件", "this is a PDF"},
		{"PAR1", "这是 Parquet 文件（只用于下载）", "this is a Parquet file (offered for downloads only)"},
		{"\x89PNG", "这是图片", "this is a picture"},
		{"\xFF\xD8\xFF", "这是图片", "this is a picture"},
		{"Rar!", "这是 RAR 压缩包", "this is a RAR archive"},
		{"7z\xBC\xAF", "这是 7z 压缩包", "this is a 7z archive"},
		{"SQLite format 3", "这是 SQLite 数据库", "this is an SQLite database"},
		{"\x00\x00\x27\x0a", "这是 Shapefile（空间数据）", "this is a shapefile (spatial data)"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return notATable(m.zh, m.en)
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return notATable("这是 tar 归档，请逐个上传其中的文件", "this is a tar archive; send its files one by one")
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(head, []byte{0xEF, 0xBB, 0xBF}))
	lower := bytes.ToLower(trimmed[:min(len(trimmed), 512)])
	switch {
	case bytes.HasPrefix(lower, []byte("<?xml")), bytes.HasPrefix(lower, []byte("<!doctype")), bytes.HasPrefix(lower, []byte("<html")), bytes.HasPrefix(lower, []byte("<table")):
		return notATable("这是 XML 或网页", "this is XML or a web page")
	}
	if len(trimmed) > 0 && trimmed[0] == '{' {
		kinds := trimmed[:min(len(trimmed), 64<<10)]
		for _, mark := range []string{`"FeatureCollection"`, `"Feature"`, `"Topology"`} {
			i := bytes.Index(kinds, []byte(mark))
			if i > 0 && bytes.HasSuffix(bytes.TrimRight(kinds[:i], " :\t\r\n"), []byte(`"type"`)) {
				return notATable("这是 GeoJSON 一类的空间数据", "this is GeoJSON or alike (spatial data)")
			}
		}
	}
	return nil
}

func textFormat(f File, s *Sampler, e Encoding) Format {
	name := strings.TrimSuffix(strings.ToLower(f.Name), ".gz")
	ext := name[strings.LastIndexByte(name, '.')+1:]
	head, _ := io.ReadAll(decode(bytes.NewReader(s.head), e))
	head = bytes.TrimSpace(head)
	mime, _, _ := strings.Cut(f.ContentType, ";")
	switch {
	case ext == "ndjson" || ext == "jsonl" || mime == "application/x-ndjson" || mime == "application/jsonl":
		return NDJSON
	case ext == "json" || ext == "json5" || ext == "geojson" || mime == "application/json":
		if looksNDJSON(head) {
			return NDJSON
		}
		return JSON
	case len(head) > 0 && (head[0] == '{' || head[0] == '['):
		if looksNDJSON(head) {
			return NDJSON
		}
		if _, err := skipValue(head, 0, 0, 64); err == nil || err == errShort {
			return JSON
		}
	}
	return CSV
}

// looksNDJSON: two lines, each a whole object.
func looksNDJSON(head []byte) bool {
	first, rest, ok := bytes.Cut(head, []byte{'\n'})
	if !ok || len(first) == 0 || first[0] != '{' {
		return false
	}
	to, err := skipValue(first, 0, 0, 64)
	rest = bytes.TrimSpace(rest)
	return err == nil && skipBlank(first, to) == len(first) && len(rest) > 0 && rest[0] == '{'
}

// Open streams the file's data rows by a layout, in constant memory. The
// caller closes the Reader.
func Open(f File, l Layout, lim Limits) (Reader, error) {
	lim = lim.WithDefaults()
	if len(l.Columns) == 0 {
		return nil, bad("没有确定列名", "the columns are not known").In("columns")
	}
	if l.Format == XLSX {
		return openXLSX(f, l, lim)
	}
	r, err := reopen(f, lim)
	if err != nil {
		return nil, err
	}
	t := &table{layout: l, lim: lim, closer: r}
	text := decode(r, l.Encoding)
	switch l.Format {
	case CSV:
		if len(l.Delimiter) != 1 {
			r.Close()
			return nil, bad("分隔符须为一个字符", "the delimiter must be one character").In("delimiter")
		}
		t.scan, t.strict = newCSVScanner(text, l.Delimiter[0], l.LineEnd == "CR", lim), true
	case NDJSON:
		t.scan, t.named = newJSONScanner(text, true, "", l.Columns, lim), true
	case JSON:
		t.scan, t.named = newJSONScanner(text, false, l.Records, l.Columns, lim), true
	default:
		r.Close()
		return nil, unsupported("不支持的格式 "+string(l.Format), "unsupported format "+string(l.Format)).In("format")
	}
	return t, nil
}

type onClose struct {
	io.Closer
	then func() error
}

func (c onClose) Close() error {
	err := c.Closer.Close()
	if e := c.then(); err == nil {
		err = e
	}
	return err
}

// randomAccess gives the file as an io.ReaderAt: itself when it is one, else a
// copy in a temporary file that has no name and goes with its last handle.
func randomAccess(f File, lim Limits) (io.ReaderAt, int64, io.Closer, error) {
	r, err := reopen(f, lim)
	if err != nil {
		return nil, 0, nil, err
	}
	if b, ok := r.(bounded); ok && b.Reader.(*expansion).count == nil {
		if at, ok := b.Closer.(interface {
			io.ReaderAt
			io.Seeker
			io.Closer
		}); ok {
			if size, err := at.Seek(0, io.SeekEnd); err == nil {
				return at, size, at, nil
			}
		}
	}
	defer r.Close()
	noRoom := func(err error) error {
		return errs.New(errs.Unavailable, errs.T("临时存储已满或不可用", "temporary storage is full or down")).Because(err)
	}
	tmp, err := os.CreateTemp("", "gongshu-xlsx-")
	if err != nil {
		return nil, 0, nil, noRoom(err)
	}
	os.Remove(tmp.Name())
	n, err := io.Copy(tmp, r)
	if err != nil {
		tmp.Close()
		if at := (*fs.PathError)(nil); errors.As(err, &at) && at.Path == tmp.Name() {
			return nil, 0, nil, noRoom(err) // not the file's fault, and not for good
		}
		return nil, 0, nil, readFailure(err, 1)
	}
	return tmp, n, tmp, nil
}

func openXLSX(f File, l Layout, lim Limits) (Reader, error) {
	at, size, closer, err := randomAccess(f, lim)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (Reader, error) { closer.Close(); return nil, err }
	w, err := openWorkbook(at, size, lim)
	if err != nil {
		return fail(err)
	}
	s, err := w.sheet(l.Sheet)
	if err != nil {
		return fail(err)
	}
	sc, err := w.scan(s, l.FillMerged)
	if err != nil {
		return fail(err)
	}
	return &table{scan: sc, layout: l, lim: lim, closer: onClose{sc, closer.Close}}, nil
}
