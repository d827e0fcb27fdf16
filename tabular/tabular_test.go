package tabular

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"gongshu/internal/errs"
)

// lines reads a file whole: rows as "number: cell|cell", flawed ones end in "!".
func lines(t testing.TB, f File, l Layout) []string {
	t.Helper()
	r, err := Open(f, l, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return rowsOf(all)
}

func rowsOf(b *Block) []string {
	var out []string
	for r := range b.Len() {
		var cells []string
		for c := range b.Width(r) {
			cells = append(cells, string(b.Cell(r, c)))
		}
		s := fmt.Sprintf("%d: %s", b.Number(r), strings.Join(cells, "|"))
		if b.Flaws(r) != nil {
			s += " !"
		}
		out = append(out, s)
	}
	return out
}

func inspect(t testing.TB, name string, content []byte, expect ...string) *Preview {
	t.Helper()
	p, err := Inspect(t.Context(), Bytes(name, content), Limits{}, expect)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEncodings(t *testing.T) {
	simplified := "编号,名称,地址\n1,鼓楼区东街街道办事处,福州市鼓楼区八一七北路\n2,台江区,建设大道一百二十号\n3,晋安区人民政府,秀峰路\n"
	traditional := "編號,名稱,地址\n1,臺北市政府,信義區市府路一號\n2,高雄市三民區公所,哈爾濱街\n3,新竹縣,竹北市光明六路\n"
	western := "Nr;Quartier;Année;Prix\n1;Büttgenbach;2013;81,20\n2;Liège;2014;90,10\n3;Málaga – año;2015;7,5\n"
	for _, c := range []struct {
		name string
		text string
		enc  encoding.Encoding
		want Encoding
	}{
		{"utf-8", simplified, encoding.Nop, UTF8},
		{"ascii", "a,b\n1,2\n", encoding.Nop, UTF8},
		{"utf-8 with mark", "\ufeff" + simplified, encoding.Nop, UTF8},
		{"gb18030", simplified, simplifiedchinese.GB18030, GB18030},
		{"gbk", simplified, simplifiedchinese.GBK, GB18030},
		{"big5", traditional, traditionalchinese.Big5, Big5},
		{"windows-1252", western, charmap.Windows1252, CP1252},
		{"latin1 that also decodes as GB18030", "nom;ville\nAndré;Orléans\nÉlise;Évreux\n", charmap.ISO8859_1, CP1252},
		{"utf-16le with mark", simplified, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), UTF16LE},
		{"utf-16be with mark", simplified, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), UTF16BE},
		{"utf-16le bare", "code,name\n1,鼓楼\n", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), UTF16LE},
		{"utf-16be bare", "code,name\n1,鼓楼\n", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), UTF16BE},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, err := c.enc.NewEncoder().Bytes([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			p := inspect(t, "a.csv", raw)
			if p.Layout.Encoding != c.want || p.Layout.Confidence < 0.5 {
				t.Fatalf("%s at %v, want %s; considered %v", p.Layout.Encoding, p.Layout.Confidence, c.want, p.Layout.Considered)
			}
			want := strings.Split(strings.TrimPrefix(strings.TrimSpace(c.text), "\ufeff"), "\n")
			if got := strings.Join(p.Layout.Columns, p.Layout.Delimiter); got != want[0] {
				t.Errorf("columns %q, want %q", got, want[0])
			}
			rows := lines(t, Bytes("a.csv", raw), p.Layout)
			if got := strings.ReplaceAll(strings.TrimPrefix(rows[0], "2: "), "|", p.Layout.Delimiter); got != want[1] {
				t.Errorf("first row %q, want %q", got, want[1])
			}
		})
	}
}

// The only Chinese name of a file may stand behind a million plain rows.
func TestEncodingIsDecidedOnTheWholeFile(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("code,name\n")
	for i := range 200_000 {
		fmt.Fprintf(&b, "%06d,x\n", i)
	}
	tail, _ := simplifiedchinese.GB18030.NewEncoder().String("999999,福州市鼓楼区人民政府办公室\n")
	b.WriteString(tail)
	if p := inspect(t, "a.csv", b.Bytes()); p.Layout.Encoding != GB18030 {
		t.Errorf("%v %v", p.Layout.Encoding, p.Layout.Considered)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name, text string
		expect     []string
		from, to   int
		columns    string
	}{
		{"plain", "代码,名称\n01,甲\n02,乙\n", nil, 1, 1, "代码|名称"},
		{"title and unit", "2023年统计表,,\n单位：万元,,\n,,\n地区,收入,支出\n鼓楼,1,2\n台江,3,4\n", nil, 4, 4, "地区|收入|支出"},
		{"years", "Year,2000,2001,2002\nTimber,1,2,3\nClay,4,5,6\n", nil, 1, 1, "Year|2000|2001|2002"},
		{"none", "350102,鼓楼区,12\n350103,台江区,13\n350104,仓山区,14\n", nil, 0, 0, "列1|列2|列3"},
		{"stacked", "地区,人口,,面积\n,男,女,\n鼓楼,1,2,3\n台江,4,5,6\n", nil, 1, 2, "地区|人口/男|人口/女|面积"},
		{"all text, known by names", "附件一\n填报单位 日期\n社区,街道\n温泉,东街\n", []string{"社区", "街道"}, 3, 3, "社区|街道"},
		{"repeated name", "名称,金额,金额\n甲,1,2\n乙,3,4\n", nil, 1, 1, "名称|金额|金额_2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := inspect(t, "a.csv", []byte(c.text), c.expect...).Layout
			if l.HeaderFrom != c.from || l.HeaderTo != c.to || strings.Join(l.Columns, "|") != c.columns {
				t.Errorf("rows %d–%d, columns %q; want %d–%d, %q", l.HeaderFrom, l.HeaderTo, strings.Join(l.Columns, "|"), c.from, c.to, c.columns)
			}
		})
	}
}

func TestBrokenRowsKeepTheirNeighbours(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unclosed quote", "a,b\n1,\"x\n2,y\n3,\"z\"\n", "2: 1|\"x !;3: 2|y;4: 3|z"},
		{"unclosed at the end", "a,b\n1,x\n2,\"y\n", "2: 1|x;3: 2|\"y !"},
		{"text after a quote", "a,b\n1,\"x\"y\n2,z\n", "2: 1|xy !;3: 2|z"},
		{"quoted line end", "a,b\n1,\"x\ny\"\n2,z\n", "2: 1|x\ny;3: 2|z"},
		{"doubled quotes", "a,b\n1,\"say \"\"x\"\"\"\n", "2: 1|say \"x\""},
		{"quote inside", "a,b\n1,5\" pipe\n", "2: 1|5\" pipe"},
		{"short and long", "a,b,c\n1,2\n1,2,3,4\n1,2,3,,\n", "2: 1|2| !;3: 1|2|3|4 !;4: 1|2|3"},
		{"blank rows count", "a,b\n\n1,x\n,,\n2,y\n", "3: 1|x;5: 2|y"},
		{"no last line end", "a,b\n1,x", "2: 1|x"},
		{"crlf", "a,b\r\n1,x\r\n2,\"y\"\r\n", "2: 1|x;3: 2|y"},
		{"cr only", "a,b\r1,x\r2,\"y\"\r", "2: 1|x;3: 2|y"},
		{"bad bytes", "a,b\n1,x\xff\n2,福\n", "2: 1|x\xff !;3: 2|福"},
		{"NUL", "a,b\n1,x\x00\n2,y\n", "2: 1|x\x00 !;3: 2|y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cols := 2
			if strings.HasPrefix(c.text, "a,b,c") {
				cols = 3
			}
			l := Layout{Format: CSV, Encoding: UTF8, Delimiter: ",", LineEnd: lineEnd([]byte(c.text)), HeaderFrom: 1, HeaderTo: 1, DataFrom: 2, Columns: []string{"a", "b", "c"}[:cols]}
			if diff := cmp.Diff(c.want, strings.Join(lines(t, Bytes("a.csv", []byte(c.text)), l), ";")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct{ name, file, text, want, refused string }{
		{"objects", "a.json", `[{"a":1,"b":"x"},{"b":"y\u798f\n","c":null,"a":1.50}]`, "1: 1|x;2: 1.50|y福\n", ""},
		{"numbers keep their digits", "a.json", `[{"a":1e400,"b":12345678901234567890}]`, "1: 1e400|12345678901234567890", ""},
		{"arrays with header", "a.json", `[["a","b"],[1,"x"],[2,null]]`, "2: 1|x;3: 2", ""},
		{"under a key", "a.json", `{"n":2,"rows":[{"a":true},{"a":false}],"after":[1]}`, "1: true;2: false", ""},
		{"lines", "a.ndjson", "{\"a\":1}\n\n{\"a\":\n{\"a\":3,\"z\":1}\n", "1: 1;3: {\"a\": !;4: 3|1", ""},
		{"surrogates", "a.json", `[{"a":"\ud83d\ude00"},{"a":"\ud83d"}]`, "1: 😀;2: \ufffd", ""},
		{"nested", "a.json", `[{"a":{"b":1}}]`, "", "is nested"},
		{"object", "a.json", `{"a":1}`, "", "one object"},
		{"comment", "a.json", "// x\n[]", "", "line 1"},
		{"bare key", "a.json5", "[\n{a:1}]", "", "line 2 is not valid JSON: keys must stand in double quotes"},
		{"trailing comma", "a.json", "[{\"a\":1},\n]", "", "comma follows the last record"},
		{"leading zero", "a.json", `[{"a":0591}]`, "", "cannot begin with 0"},
		{"cut", "a.json", `[{"a":1},{"a"`, "", ""},
		{"too deep", "a.json", strings.Repeat("[", 10000), "", "nested deeper"},
		{"empty array", "a.json", "[]", "", "no record"},
		{"geojson", "a.json", `{"type":"FeatureCollection","features":[]}`, "", "spatial"},
		{"several arrays", "a.json", `{"x":[{"a":1}],"y":[{"b":1}]}`, "", "several arrays of records (x, y)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Bytes(c.file, []byte(c.text))
			p, err := Inspect(t.Context(), f, Limits{}, nil)
			if c.refused != "" {
				if err == nil { // whole at its beginning: reading says where it is not
					r, e := Open(f, p.Layout, Limits{})
					if e != nil {
						t.Fatal(e)
					}
					defer r.Close()
					_, err = readAll(r)
				}
				if e, ok := errs.As(err); !ok || !strings.Contains(e.Text.EN, c.refused) || e.Text.ZH == "" {
					t.Fatalf("got %v, want %q", err, c.refused)
				}
				return
			}
			if c.name == "cut" {
				r, err := Open(f, p.Layout, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				all, err := readAll(r)
				if !errs.Is(err, errs.Invalid) || all.Len() != 1 {
					t.Errorf("a cut file gives its whole records, then says so: %d %v", all.Len(), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(lines(t, f, p.Layout), ";")
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func workbookOf(t testing.TB, build func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	build(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestXLSX(t *testing.T) {
	raw := workbookOf(t, func(f *excelize.File) {
		f.SetCellValue("Sheet1", "A1", "2026年办理情况")
		f.MergeCell("Sheet1", "A1", "E1")
		f.SetSheetRow("Sheet1", "A2", &[]any{"部门", "办理", nil, "日期", "编码"})
		f.MergeCell("Sheet1", "A2", "A3")
		f.MergeCell("Sheet1", "B2", "C2")
		f.MergeCell("Sheet1", "D2", "D3")
		f.MergeCell("Sheet1", "E2", "E3")
		f.SetSheetRow("Sheet1", "B3", &[]any{"件数", "率"})
		f.SetSheetRow("Sheet1", "A4", &[]any{"公安局", 12, 0.1 + 0.2, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "0591"})
		f.SetSheetRow("Sheet1", "B5", &[]any{350102000000000001, 1e-7, time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC), "NA"})
		f.MergeCell("Sheet1", "A4", "A5")
		f.SetSheetRow("Sheet1", "A7", &[]any{"民政局 & <局>", true, nil, nil, "x"})
		f.NewSheet("空")
	})
	p := inspect(t, "a.xlsx", raw)
	l := p.Layout
	if strings.Join(l.Columns, "|") != "部门|办理/件数|办理/率|日期|编码" || l.HeaderFrom != 2 || l.HeaderTo != 3 || len(l.Sheets) != 2 || l.Preamble[0] != "2026年办理情况" {
		t.Fatalf("%+v", l)
	}
	got := lines(t, Bytes("a.xlsx", raw), l)
	if !strings.HasPrefix(got[1], "5: |350102000000000") {
		t.Error(got[1])
	}
	want := []string{"4: 公安局|12|0.3|2026-03-01|0591", got[1], "7: 民政局 & <局>|TRUE|||x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	l.FillMerged = true
	if got := lines(t, Bytes("a.xlsx", raw), l); !strings.HasPrefix(got[1], "5: 公安局|") {
		t.Errorf("a merged department is not repeated: %s", got[1])
	}
	if _, err := Open(Bytes("a.xlsx", raw), Layout{Format: XLSX, Sheet: "没有", Columns: []string{"a"}}, Limits{}); !errs.Is(err, errs.Invalid) {
		t.Error("a sheet that is not there:", err)
	}
}

func zipOf(parts map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range parts {
		w, _ := z.Create(name)
		io.WriteString(w, text)
	}
	z.Close()
	return b.Bytes()
}

func TestHostileFiles(t *testing.T) {
	book := `<workbook xmlns:r="r"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>`
	rels := `<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`
	sheet := func(s string) []byte {
		return zipOf(map[string]string{"xl/workbook.xml": book, "xl/_rels/workbook.xml.rels": rels, "xl/worksheets/sheet1.xml": s})
	}
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	io.WriteString(z, "a,b\n")
	for range 100 {
		z.Write(bytes.Repeat([]byte("1,2\n"), 1<<18))
	}
	z.Close()
	for name, c := range map[string]struct {
		file string
		raw  []byte
		kind errs.Kind
	}{
		"billion laughs":     {"a.xlsx", sheet(`<!DOCTYPE x [<!ENTITY a "b">]><worksheet/>`), errs.Invalid},
		"bad string index":   {"a.xlsx", sheet(`<worksheet><sheetData><row r="1"><c t="s"><v>9</v></c></row></sheetData></worksheet>`), errs.Invalid},
		"rows go back":       {"a.xlsx", sheet(`<worksheet><sheetData><row r="5"><c><v>9</v></c></row><row r="4"><c><v>9</v></c></row></sheetData></worksheet>`), ""},
		"far column":         {"a.xlsx", sheet(`<worksheet><sheetData><row r="1"><c r="XFD1"><v>9</v></c></row></sheetData></worksheet>`), errs.TooLarge},
		"deep cell":          {"a.xlsx", sheet(`<worksheet><sheetData><row r="1"><c>` + strings.Repeat("<x>", 1000) + `</c></row></sheetData></worksheet>`), errs.Invalid},
		"no workbook":        {"a.xlsx", zipOf(map[string]string{"x": "y"}), errs.Unsupported},
		"shapefile":          {"a.zip", zipOf(map[string]string{"a.shp": "y"}), errs.Unsupported},
		"word":               {"a.docx", zipOf(map[string]string{"word/document.xml": "y"}), errs.Unsupported},
		"not a zip":          {"a.xlsx", []byte("PK\x03\x04 nothing"), errs.Invalid},
		"old excel":          {"a.xls", []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), errs.Unsupported},
		"html":               {"a.xls", []byte("<html><table><tr><td>1"), errs.Unsupported},
		"gzip bomb":          {"a.csv.gz", gz.Bytes(), errs.TooLarge},
		"100 MB cell":        {"a.csv", bytes.Repeat([]byte("x"), 100<<20), errs.TooLarge},
		"100 MB quoted cell": {"a.csv", append([]byte("a,b\n\""), bytes.Repeat([]byte("x"), 100<<20)...), errs.TooLarge},
		"wide row":           {"a.csv", bytes.Repeat([]byte(","), 1<<20), errs.TooLarge},
		"100 MB json string": {"a.json", append([]byte(`[{"a":"`), bytes.Repeat([]byte("x"), 100<<20)...), errs.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Inspect(t.Context(), Bytes(c.file, c.raw), Limits{}, nil)
			if err == nil {
				var r Reader
				if r, err = Open(Bytes(c.file, c.raw), p.Layout, Limits{}); err == nil {
					_, err = readAll(r)
					r.Close()
				}
			}
			if c.kind == "" {
				if err == nil {
					t.Error("read without a word")
				}
				return
			}
			if !errs.Is(err, c.kind) {
				t.Errorf("got %v, want %s", err, c.kind)
			}
		})
	}
}

// TestWorkbookBounds: what a small workbook unpacks to has a bound, whichever part of
// it was made to grow.
func TestWorkbookBounds(t *testing.T) {
	const (
		book  = `<workbook xmlns:r="r"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>`
		rels  = `<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`
		sheet = `<worksheet><sheetData><row><c t="s"><v>0</v></c></row></sheetData></worksheet>`
	)
	again := strings.Repeat
	for name, c := range map[string]struct {
		part, text string
		lim        Limits
	}{
		"empty strings":  {"xl/sharedStrings.xml", "<sst>" + again("<si/>", 300_000) + "</sst>", Limits{Strings: 1 << 20}},
		"long string":    {"xl/sharedStrings.xml", "<sst><si><t>" + again("x", 2<<20) + "</t></si></sst>", Limits{}},
		"string again":   {"xl/worksheets/sheet1.xml", "<worksheet><sheetData><row>" + again(`<c t="s"><v>0</v></c>`, 20) + "</row></sheetData></worksheet>", Limits{Row: 1 << 20}},
		"formats":        {"xl/styles.xml", "<styleSheet><cellXfs>" + again("<xf/>", 70_000) + "</cellXfs></styleSheet>", Limits{}},
		"number formats": {"xl/styles.xml", "<styleSheet>" + numbered(`<numFmt numFmtId="%d" formatCode="0"/>`, 70_000) + "</styleSheet>", Limits{}},
		"sheets":         {"xl/workbook.xml", `<workbook xmlns:r="r"><sheets>` + numbered(`<sheet name="s" sheetId="1" r:id="r%d"/>`, 2000) + "</sheets></workbook>", Limits{}},
		"relationships":  {"xl/_rels/workbook.xml.rels", "<Relationships>" + numbered(`<Relationship Id="r%d" Target="worksheets/sheet1.xml"/>`, 20_000) + "</Relationships>", Limits{}},
		"parts in all":   {"xl/styles.xml", "<styleSheet>" + again("<x/>", 12<<20) + "</styleSheet>", Limits{}},
		"one part":       {"xl/worksheets/sheet1.xml", "<worksheet>" + again("<x/>", 17<<20) + "</worksheet>", Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			parts := map[string]string{"xl/workbook.xml": book, "xl/_rels/workbook.xml.rels": rels, "xl/worksheets/sheet1.xml": sheet,
				"xl/sharedStrings.xml": "<sst><si><t>" + again("x", 100_000) + "</t></si></sst>"}
			parts[c.part] = c.text
			switch name {
			case "sheets":
				parts["xl/_rels/workbook.xml.rels"] = "<Relationships>" + numbered(`<Relationship Id="r%[1]d" Target="worksheets/sheet%[1]d.xml"/>`, 2000) + "</Relationships>"
			case "parts in all": // none is too large by itself
				parts["xl/worksheets/sheet1.xml"] = "<worksheet>" + again("<x/>", 12<<20) + "</worksheet>"
			}
			f := Bytes("a.xlsx", zipOf(parts))
			p, err := Inspect(t.Context(), f, c.lim, nil)
			if err == nil {
				var r Reader
				if r, err = Open(f, p.Layout, c.lim); err == nil {
					_, err = readAll(r)
					r.Close()
				}
			}
			if !errs.Is(err, errs.TooLarge) {
				t.Errorf("%v", err)
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestLongRowsMakeShortSamples: what is held of a file to propose by does not grow
// with its rows.
func TestLongRowsMakeShortSamples(t *testing.T) {
	cell := strings.Repeat("字", 100_000)
	for name, text := range map[string]string{
		"a.csv":    "a,b\n" + strings.Repeat("1,"+cell+"\n", 100),
		"a.ndjson": strings.Repeat(`{"a":"1","b":"`+cell+"\"}\n", 100),
	} {
		p := inspect(t, name, []byte(text))
		if n := p.Sample.Bytes(); n > 2*sampleBytes || p.Sample.Len() < 10 {
			t.Errorf("%s: %d rows, %d bytes held", name, p.Sample.Len(), n)
		}
		if len(p.Layout.Columns) != 2 {
			t.Errorf("%s: %v", name, p.Layout.Columns)
		}
	}
}

// A file of any size is read in constant memory: blocks are reused, so reading
// on costs no further allocation.
func TestReadingAllocatesNothingAtLength(t *testing.T) {
	row := "350102001001,鼓楼区东街街道,\"quoted, text\",2026-01-02,12.5\n"
	raw := []byte("code,name,note,day,n\n" + strings.Repeat(row, 50_000))
	f := Bytes("a.csv", raw)
	l := inspect(t, "a.csv", raw).Layout
	r, err := Open(f, l, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := NewBlock()
	for range 5 {
		r.Read(b)
	}
	if n := testing.AllocsPerRun(20, func() {
		if err := r.Read(b); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations a block of %d rows", n, b.Len())
	}
}

var cellText = rapid.StringMatching(`[a-z0-9 ,;"'|=+\-@\n\r福州é]{0,12}`)

// What a writer writes, the reader reads: text cells come back as they were.
func TestRoundTrips(t *testing.T) {
	for _, format := range []Format{CSV, NDJSON, JSON, XLSX} {
		t.Run(string(format), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				width := rapid.IntRange(2, 4).Draw(rt, "width")
				var columns []Column
				for i := range width {
					columns = append(columns, Column{Name: fmt.Sprintf("列%c", 'A'+i), Type: 'C'})
				}
				n := rapid.IntRange(1, 6).Draw(rt, "rows")
				in := NewBlock()
				for r := range n {
					for c := range width {
						s := cellText.Draw(rt, "cell")
						if c == 0 && strings.TrimSpace(s) == "" {
							s = "x" // a row of blanks is a blank row
						}
						if format == XLSX {
							s = strings.ReplaceAll(s, "\r", "") // XML reads CR as LF
						}
						in.AddString(s)
					}
					in.EndRow(int64(r + 1))
				}
				var buf bytes.Buffer
				w, err := NewWriter(&buf, format, columns)
				if err == nil {
					err = w.Write(in)
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					rt.Fatal(err)
				}
				l := Layout{Format: format, Encoding: UTF8, Delimiter: ",", Sheet: "Sheet1", HeaderFrom: 1, HeaderTo: 1, DataFrom: 2}
				if format == NDJSON || format == JSON {
					l.DataFrom = 1
				}
				for _, c := range columns {
					l.Columns = append(l.Columns, c.Name)
				}
				r, err := Open(Bytes("f", buf.Bytes()), l, Limits{})
				if err != nil {
					rt.Fatal(err)
				}
				defer r.Close()
				out, err := readAll(r)
				if err != nil || out.Len() != n {
					rt.Fatalf("%d rows of %d, %v", out.Len(), n, err)
				}
				for i := range n {
					for c := range width {
						if string(out.Cell(i, c)) != string(in.Cell(i, c)) {
							rt.Fatalf("row %d cell %d: %q became %q", i, c, in.Cell(i, c), out.Cell(i, c))
						}
					}
				}
			})
		})
	}
}

func TestWritersKeepTypes(t *testing.T) {
	columns := []Column{{Name: "编码", Type: 'C'}, {Name: "数", Type: 'I'}, {Name: "额", Type: 'Y'}, {Name: "率", Type: 'F'}, {Name: "日", Type: 'D'}, {Name: "时", Type: 'T'}, {Name: "否", Type: 'L'}}
	b := NewBlock()
	for _, c := range []string{"0591", "-12", "1234567890123456.10", "0.5", "2026-03-01", "2026-03-01T08:00:00+08:00", "1"} {
		b.AddString(c)
	}
	b.EndRow(1)
	for range columns {
		b.Add(nil)
	}
	b.EndRow(2)
	write := func(f Format) []byte {
		var out bytes.Buffer
		w, err := NewWriter(&out, f, columns)
		if err == nil {
			err = w.Write(b)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(f, err)
		}
		return out.Bytes()
	}
	if got, want := string(write(CSV)), "\ufeff编码,数,额,率,日,时,否\r\n0591,-12,1234567890123456.10,0.5,2026-03-01,2026-03-01T08:00:00+08:00,1\r\n,,,,,,\r\n"; got != want {
		t.Errorf("csv %q", got)
	}
	if got, want := string(write(NDJSON)), `{"编码":"0591","数":-12,"额":1234567890123456.10,"率":0.5,"日":"2026-03-01","时":"2026-03-01T08:00:00+08:00","否":true}`+"\n"+`{"编码":null,"数":null,"额":null,"率":null,"日":null,"时":null,"否":null}`+"\n"; got != want {
		t.Errorf("ndjson %s", got)
	}
	raw := write(Parquet)
	pf, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	rows := parquet.NewReader(pf)
	row := map[string]any{}
	if err := rows.Read(&row); err != nil || pf.NumRows() != 2 {
		t.Fatal(err, pf.NumRows())
	}
	if fmt.Sprint(row["编码"]) != "0591" || fmt.Sprint(row["数"]) != "-12" || fmt.Sprint(row["率"]) != "0.5" || fmt.Sprint(row["否"]) != "true" || fmt.Sprint(row["额"]) != "1234567890123456.10" {
		t.Errorf("parquet %v", row)
	}
	guarded := &bytes.Buffer{}
	w, _ := NewCSVWriter(guarded, []Column{{Name: "a", Type: 'C'}, {Name: "b", Type: 'C'}}, CSVOptions{Guard: true, NoHeader: true})
	g := NewBlock()
	g.AddString("=1+1")
	g.AddString("-5")
	g.EndRow(1)
	w.Write(g)
	w.Close()
	if guarded.String() != "\"'=1+1\",-5\r\n" {
		t.Errorf("guarded %q", guarded)
	}
}

func TestProposals(t *testing.T) {
	p := inspect(t, "a.csv", []byte("身份证号,姓名,人数,金额,日期,是否在用,邮编,备注\n350102199001010016,甲,12,\"1,200.50\",2024/1/2,是,350001,\n350102199001010024,乙,7,3.00,2024-01-03,否,350002,x\n"))
	var got []string
	for _, c := range Propose(p.Layout.Columns, p.Sample, func(name string, _ [][]byte) string {
		if name == "身份证号" {
			return "resident_id"
		}
		return ""
	}) {
		got = append(got, fmt.Sprintf("%s %c%d key=%v required=%v %s", c.Name, c.Type, c.Scale, c.Key, c.Required, c.Personal))
	}
	want := []string{"身份证号 C0 key=true required=true resident_id", "姓名 C0 key=false required=true ", "人数 I0 key=false required=true ", "金额 N2 key=false required=true ",
		"日期 D0 key=false required=true ", "是否在用 L0 key=false required=true ", "邮编 C0 key=false required=true ", "备注 C0 key=false required=false "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDates: a month's English name makes a date sure; numbers with the year last, or
// a year of two digits, are called unclear and never guessed.
func TestDates(t *testing.T) {
	for _, c := range []struct {
		in, want string
		unclear  bool
	}{
		{"2026-11-21", "2026-11-21", false},
		{"21-Nov-2026", "2026-11-21", false},
		{"21 November 2026", "2026-11-21", false},
		{"1/SEPT/2026", "2026-09-01", false},
		{"Nov 21, 2026", "2026-11-21", false},
		{"nov. 21 2026", "2026-11-21", false},
		{"21-Nov-2026 00:00:00", "2026-11-21", false},
		{"30-Feb-2026", "", false},
		{"21-Non-2026", "", false},
		{"Novembers 21, 2026", "", false},
		{"21-Nov-20261", "", false},
		{"November", "", false},
		{"21-Nov", "", false},
		{"21-Nov-26", "", true},
		{"Nov 21, 26", "", true},
		{"03/04/2026", "", true},
		{"21/11/2026", "", true},
		{"3-4-26", "", true},
		{"03.04.2026 08:00", "", true},
		{"3/4", "", false},
		{"12.5.1", "", false},
		{"10:30", "", false},
		{"二〇二六", "", false},
		{"2026-13-01", "", false},
	} {
		out, ok := Canonical(nil, 'D', []byte(c.in), '.')
		if ok != (c.want != "") || string(out) != c.want && ok || UnclearDate([]byte(c.in)) != c.unclear {
			t.Errorf("%q: %q, %v, unclear %v", c.in, out, ok, UnclearDate([]byte(c.in)))
		}
	}
	for in, want := range map[string]string{"21-Nov-2026 10:30": "2026-11-21T10:30:00+08:00", "Nov 21, 2026 23:30:00Z": "2026-11-22T07:30:00+08:00",
		"2026-01-01T00:30:00.25+09:30": "2025-12-31T23:00:00.250+08:00"} {
		if out, ok := Canonical(nil, 'T', []byte(in), '.'); !ok || string(out) != want {
			t.Errorf("%q: %q, want %q", in, out, want)
		}
	}
}

// TestGuardComesOff: what Guard adds, a Guarded layout takes off again, whatever the cell.
func TestGuardComesOff(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cells := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]string{"=1+1", "'=1", "''@x", "-", "-5", "'", "''", "'甲", "+86 13800000000", "\"=x\",y"}),
			rapid.StringMatching(`['=+@-]{0,3}[0-9a-z甲]{1,3}`)), 2, 6).Draw(rt, "cells")
		var columns []Column
		b := NewBlock()
		for i, c := range cells {
			columns = append(columns, Column{Name: fmt.Sprintf("列%d", i), Type: 'C'})
			b.AddString(c)
		}
		b.EndRow(2)
		var out bytes.Buffer
		w, err := NewCSVWriter(&out, columns, CSVOptions{BOM: true, Guard: true})
		if err != nil || w.Write(b) != nil || w.Close() != nil {
			rt.Fatal(err)
		}
		l := Layout{Format: CSV, Encoding: UTF8, Delimiter: ",", HeaderFrom: 1, HeaderTo: 1, DataFrom: 2, Guarded: true}
		for _, c := range columns {
			l.Columns = append(l.Columns, c.Name)
		}
		r, err := Open(Bytes("a.csv", out.Bytes()), l, Limits{})
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		in := NewBlock()
		if err := r.Read(in); err != nil || in.Len() != 1 {
			rt.Fatal(in.Len(), err)
		}
		for i, c := range cells {
			if got := string(in.Cell(0, i)); got != c {
				rt.Fatalf("%q came back as %q", c, got)
			}
		}
	})
}

// Canonical forms are stable: the canonical form of a canonical form is itself.
func TestCanonicalIsStable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		typ := rapid.SampledFrom([]byte("INYBFDTLC")).Draw(rt, "type")
		v := rapid.OneOf(rapid.StringMatching(`[+-]?[0-9]{1,20}(\.[0-9]{1,6})?`), rapid.StringMatching(`[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?`), rapid.StringN(1, 12, 40)).Draw(rt, "value")
		v = strings.TrimSpace(v)
		if v == "" {
			return
		}
		once, ok := Canonical(nil, typ, []byte(v), '.')
		if !ok {
			return
		}
		twice, ok := Canonical(nil, typ, once, '.')
		if !ok || !bytes.Equal(once, twice) {
			rt.Fatalf("%c %q became %q, then %q", typ, v, once, twice)
		}
	})
	for text, want := range map[string]int64{"1970-01-01": 0, "2000-03-01": 11017, "1969-12-31": -1, "2026-11-21": 20778} {
		if got, ok := Days([]byte(text)); !ok || got != want {
			t.Errorf("%s is day %d, want %d", text, got, want)
		}
	}
	if ms, ok := Milliseconds([]byte("2026-03-01T08:00:00.250+08:00")); !ok || ms != time.Date(2026, 3, 1, 0, 0, 0, 250e6, time.UTC).UnixMilli() {
		t.Errorf("%d %v", ms, ok)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\r\n\"1\";2\r\n", "[{\"a\":1}]", "{\"a\":1}\n{\"a\":2}\n", "{\"x\":[{\"a\":1}]}", "[[\"a\"],[1]]", "a\rb\r", "\xff\xfea\x00,\x00b\x00\n\x00", "\"", "\"\"\"", "a,\"b\nc", "PK\x03\x04", "\x1f\x8b\x08"} {
		f.Add("a.csv", []byte(s))
		f.Add("a.json", []byte(s))
		f.Add("a.ndjson", []byte(s))
	}
	f.Add("a.xlsx", workbookOf(f, func(x *excelize.File) { x.SetSheetRow("Sheet1", "A1", &[]any{"a", "b"}) }))
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		file := Bytes(name, raw)
		p, err := Inspect(t.Context(), file, Limits{Cell: 4096, Row: 64 << 10, Columns: 64, Unpacked: 4 << 20}, nil)
		if err != nil {
			if _, ok := errs.As(err); !ok {
				t.Fatalf("an error without words: %v", err)
			}
			return
		}
		r, err := Open(file, p.Layout, Limits{Cell: 4096, Row: 64 << 10, Columns: 64, Unpacked: 4 << 20})
		if err != nil {
			t.Fatalf("what was inspected does not open: %v", err)
		}
		defer r.Close()
		last := int64(0)
		b := NewBlock()
		for {
			if err := r.Read(b); err != nil {
				if _, ok := errs.As(err); !ok && err != io.EOF {
					t.Fatalf("an error without words: %v", err)
				}
				return
			}
			for i := range b.Len() {
				if b.Number(i) <= last {
					t.Fatalf("row number %d after %d", b.Number(i), last)
				}
				last = b.Number(i)
			}
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"1", "-1,234.50", "2024-02-29", "20240229235959", "21-Nov-2026 08:00", "Nov 21, 26", "是", "¥5", "1e5"} {
		for _, t := range "INYBFDTLC" {
			f.Add(byte(t), s)
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, v string) {
		if strings.TrimSpace(v) == "" {
			return
		}
		UnclearDate([]byte(v))
		out, ok := Canonical([]byte("x"), typ, []byte(strings.TrimSpace(v)), '.')
		if !ok && string(out) != "x" || ok && len(out) < 2 {
			t.Fatalf("%c %q: %q %v", typ, v, out, ok)
		}
	})
}

func BenchmarkReadCSV(b *testing.B) {
	row := "350102001001,鼓楼区东街街道,350102,2026-01-02,12.5,13800000000,abcdefgh,甲,乙,丙\n"
	raw := []byte("a,b,c,d,e,f,g,h,i,j\n" + strings.Repeat(row, 100_000))
	f := Bytes("a.csv", raw)
	l := Layout{Format: CSV, Encoding: UTF8, Delimiter: ",", LineEnd: "LF", HeaderFrom: 1, HeaderTo: 1, DataFrom: 2, Columns: strings.Split("abcdefghij", "")}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		r, err := Open(f, l, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		blk := NewBlock()
		for r.Read(blk) == nil {
		}
		r.Close()
	}
}

// What people open looks right: columns as wide as their cells, a fixed header,
// dates that are dates; what systems read keeps the order of the columns and the
// digits of decimals.
func TestWrittenTypes(t *testing.T) {
	columns := []Column{{Name: "站点编号", Type: 'C'}, {Name: "日期", Type: 'D'}, {Name: "时间", Type: 'T'}, {Name: "AQI", Type: 'I'}, {Name: "金额", Type: 'N', Scale: 2}}
	rows := [][]string{
		{"350100000000000001", "2026-11-21", "2026-11-21T08:30:00+08:00", "52", "-0.05"},
		{"北京市朝阳区某某街道某某路一百二十三号", "1899-01-01", "", "", "1234567890123456.7"},
	}
	in := NewBlock()
	for i, row := range rows {
		for _, s := range row {
			in.AddString(s)
		}
		in.EndRow(int64(i + 1))
	}
	write := func(f Format) []byte {
		var buf bytes.Buffer
		w, err := NewWriter(&buf, f, columns)
		if err == nil {
			err = w.Write(in)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}

	raw := write(XLSX)
	f, err := excelize.OpenReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for cell, want := range map[string]string{"A2": "350100000000000001", "B2": "2026-11-21", "C2": "2026-11-21 08:30:00", "D2": "52", "E2": "-0.05", "B3": "1899-01-01", "E3": "1234567890123456.7"} {
		if got, err := f.GetCellValue("Sheet1", cell); err != nil || got != want {
			t.Errorf("%s shows %q, want %q (%v)", cell, got, want, err)
		}
	}
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeInlineString, "B2": excelize.CellTypeUnset, "D2": excelize.CellTypeUnset} {
		if got, err := f.GetCellType("Sheet1", cell); err != nil || got != want {
			t.Errorf("%s is of type %v, want %v (%v)", cell, got, want, err)
		}
	}
	if wide, _ := f.GetColWidth("Sheet1", "A"); wide < 36 || wide > 50 {
		t.Errorf("the first column is %v wide", wide)
	}
	if panes, err := f.GetPanes("Sheet1"); err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("panes %+v %v", panes, err)
	}
	l := Layout{Format: XLSX, Sheet: "Sheet1", HeaderFrom: 1, HeaderTo: 1, DataFrom: 2}
	for _, c := range columns {
		l.Columns = append(l.Columns, c.Name)
	}
	if got := lines(t, Bytes("a.xlsx", raw), l); !strings.Contains(got[0], "2026-11-21|2026-11-21 08:30:00|52|-0.05") && !strings.Contains(got[0], "2026-11-21|2026-11-21T08:30:00") {
		t.Errorf("read back %q", got)
	}

	raw = write(Parquet)
	p, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, field := range p.Schema().Fields() {
		names = append(names, field.Name())
	}
	if strings.Join(names, ",") != "站点编号,日期,时间,AQI,金额" {
		t.Errorf("columns stand as %v", names)
	}
	if amount := p.Schema().Fields()[4].Type().String(); amount != "DECIMAL(18,2)" {
		t.Errorf("the amount is %v", amount)
	}
	reader := parquet.NewReader(p)
	defer reader.Close()
	got := make([]parquet.Row, 2)
	if n, err := reader.ReadRows(got); n != 2 || err != nil && err != io.EOF {
		t.Fatal(n, err)
	}
	if a, b := got[0][4].Int64(), got[1][4].Int64(); a != -5 || b != 123456789012345670 {
		t.Errorf("amounts %d %d", a, b)
	}
	if !got[1][2].IsNull() {
		t.Errorf("no time became %v", got[1][2])
	}

	w, err := NewWriter(io.Discard, Parquet, columns)
	if err != nil {
		t.Fatal(err)
	}
	long := NewBlock()
	for _, s := range []string{"1", "2026-01-01", "", "", "0.125"} {
		long.AddString(s)
	}
	long.EndRow(1)
	if err := w.Write(long); !errs.Is(err, errs.Invalid) {
		t.Errorf("a digit was dropped: %v", err)
	}
}
