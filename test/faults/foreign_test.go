package faults

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/test/program"
)

const (
	bookXML  = `<workbook xmlns:r="r"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>`
	relsXML  = `<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`
	typesXML = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`
)

// part of a crafted workbook: text, again n times, end.
type part struct {
	name, text, again string
	n                 int
	end               string
}

// book makes a workbook of parts, besides those that every workbook has.
func book(t *testing.T, parts ...part) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range append([]part{{name: "[Content_Types].xml", text: typesXML}, {name: "xl/workbook.xml", text: bookXML}, {name: "xl/_rels/workbook.xml.rels", text: relsXML}}, parts...) {
		w, err := z.Create(p.name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, p.text)
		again := strings.Repeat(p.again, max(1, min(p.n, 1<<20/max(len(p.again), 1))))
		for left := p.n * len(p.again); left > 0; left -= len(again) {
			io.WriteString(w, again[:min(left, len(again))])
		}
		io.WriteString(w, p.end)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sheet(text, again string, n int, end string) part {
	return part{"xl/worksheets/sheet1.xml", `<worksheet><sheetData>` + text, again, n, end + `</sheetData></worksheet>`}
}

// flow gives head, n bytes of fill, and tail, without holding them.
func flow(head, fill string, n int, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(&repeat{text: strings.Repeat(fill, 1+4096/len(fill))}, int64(n)), strings.NewReader(tail))
}

type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

func packed(t *testing.T, r io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, r); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// peak is the most memory that a process has held since its start or the last call,
// in MB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

const mega = 1 << 20

// TestForeignBytes sends the whole program, through every door that takes files, what
// was made to hang it or to fill its memory: each is refused in words, in seconds, and
// within the memory that any file may have.
func TestForeignBytes(t *testing.T) {
	clause.Covers(t, "FZM-13")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	s := program.Start(t, built(t), "serve")
	demo := s.Demo()
	key := ""
	for _, c := range demo.Clients {
		if c.ID == demo.Delivery.Client {
			key = c.Key
		}
	}
	row := `<row><c t="inlineStr"><is><t>x</t></is></c></row>`
	long := strings.Repeat("字", 300_000)
	cell := `<c t="s"><v>0</v></c>`
	strings1 := part{name: "xl/sharedStrings.xml", text: "<sst><si><t>" + long + "</t></si></sst>"}
	var many bytes.Buffer
	z := zip.NewWriter(&many)
	for i := range 150_000 {
		z.CreateHeader(&zip.FileHeader{Name: strconv.Itoa(i)})
	}
	z.Close()
	files := []struct {
		what, name string
		content    func() io.Reader
		status     int // 0: taken, as far as its rows are sound
	}{
		{"zip bomb", "a.xlsx", text(book(t, sheet("", row, 300*mega/len(row), ""))), 413},
		{"entities", "a.xlsx", text(book(t, part{name: "xl/worksheets/sheet1.xml", text: `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><worksheet><sheetData><row><c><v>&b;</v></c></row></sheetData></worksheet>`})), 422},
		{"a file by entity", "a.xlsx", text(book(t, part{name: "xl/worksheets/sheet1.xml", text: `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet><sheetData><row><c><v>&a;</v></c></row></sheetData></worksheet>`})), 422},
		{"entities in the strings", "a.xlsx", text(book(t, sheet("<row>"+cell+"</row>", "", 0, ""), part{name: "xl/sharedStrings.xml", text: `<!DOCTYPE x [<!ENTITY a "a">]><sst><si><t>&a;</t></si></sst>`})), 422},
		{"empty strings", "a.xlsx", text(book(t, sheet("<row>"+cell+"</row>", "", 0, ""), part{"xl/sharedStrings.xml", "<sst>", "<si/>", 30 * mega, "</sst>"})), 413},
		{"100 MB string", "a.xlsx", text(book(t, sheet("<row>"+cell+"</row>", "", 0, ""), part{"xl/sharedStrings.xml", "<sst><si><t>", "x", 100 * mega, "</t></si></sst>"})), 413},
		{"100 MB cell", "a.xlsx", text(book(t, sheet(`<row><c t="inlineStr"><is><t>`, "x", 100*mega, "</t></is></c></row>"))), 413},
		{"one string in every cell of a row", "a.xlsx", text(book(t, sheet("<row>", cell, 4000, "</row>"), strings1)), 413},
		{"one string in every row", "a.xlsx", text(book(t, sheet("", "<row>"+cell+cell+cell+"</row>", 2000, ""), strings1)), 422},
		{"parts without end", "a.xlsx", text(many.String()), 413},
		{"deep nesting in a cell", "a.xlsx", text(book(t, sheet("<row><c>", "<x>", mega, ""))), 422},
		{"parts that lead out", "a.xlsx", text(book(t, part{name: "../../../escaped.txt", text: "out"}, sheet("<row><c><v>1</v></c></row>", "", 0, ""))), 422},
		{"a name that leads out", "../../../../../escaped.csv", text("a,b\n1,2\n"), 422},
		{"deep JSON", "a.json", func() io.Reader { return flow("", "[", mega, "") }, 0},
		{"deep value", "a.json", func() io.Reader { return flow(`[{"a":`, `{"a":`, mega, "") }, 0},
		{"deep lines", "a.ndjson", func() io.Reader { return flow(`{"a":`, `[`, mega, "") }, 0},
		{"a huge number", "a.json", func() io.Reader { return flow(`[{"a":1`, `0`, 4*mega, "}]") }, 413},
		{"a huge exponent", "a.json", text(`[{"a":1e999999999}]`), 422},
		{"100 MB JSON cell", "a.json", func() io.Reader { return flow(`[{"a":"`, `x`, 100*mega, `"}]`) }, 413},
		{"100 MB line of JSON", "a.ndjson", func() io.Reader { return flow(`{"a":"`, `x`, 100*mega, "\"}\n") }, 413},
		{"a million names", "a.ndjson", func() io.Reader {
			return names(mega)
		}, 0},
		{"100 MB cell", "a.csv", func() io.Reader { return flow("a,b\n1,\"", "x", 100*mega, "\"\n") }, 413},
		{"a line without end", "a.csv", func() io.Reader { return flow("", "abc;", 100*mega, "") }, 413},
		{"a million columns", "a.csv", func() io.Reader { return flow("a", ",", mega, "\n") }, 413},
		{"gzip bomb", "a.csv.gz", text(packed(t, flow("a,b\n", "1,2\n", 300*mega, ""))), 413},
		{"gzip in gzip", "a.csv.gz", text(packed(t, strings.NewReader(packed(t, flow("a,b\n", "1,2\n", mega, ""))))), 0},
		{"NUL", "a.csv", func() io.Reader { return flow("", "\x00", 10*mega, "") }, 0},
		{"Parquet", "a.parquet", text("PAR1\x15\x04\x15\x10PAR1"), 415},
	}
	base := peak(t, s.Pid())
	most := 0
	judge := func(door, what string, status, want int, answer string, began time.Time) {
		t.Helper()
		held := peak(t, s.Pid())
		most = max(most, held)
		t.Logf("%-12s %-34s %d %4d MB %8v", door, what, status, held, time.Since(began).Round(time.Millisecond))
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s, %s: took %v", door, what, took)
		}
		if want != 0 && status != want || status < 400 || status >= 500 {
			t.Errorf("%s, %s: %d, want %d: %.600s", door, what, status, want, answer)
		}
	}
	path := s.Base + "/api/v1/resources/" + strings.ReplaceAll(demo.Delivery.Resource, "/", "-") + "/batches?name="
	for _, f := range files {
		began := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path+strings.ReplaceAll(f.name, "/", "%2F"), f.content())
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-Gongshu-Secrecy", "declared")
		req.Header.Set("Accept-Language", "en")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", f.what, err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		judge("api", f.what, res.StatusCode, f.status, string(answer), began)
		if !strings.Contains(string(answer), `"title":"`) {
			t.Errorf("%s: refused without words: %.300s", f.what, answer)
		}
	}
	v := program.Visit(t, s.Base)
	for _, a := range demo.Accounts {
		if a.Login == "labour.steward" {
			v.LogIn(a.Login, a.Password)
		}
	}
	for _, f := range files {
		for _, door := range []string{"/console/catalog-workbook", "/console/catalog-sample", "/console/batches/new"} {
			if door == "/console/batches/new" && !strings.HasSuffix(f.name, ".csv") || strings.Contains(door, "workbook") && !strings.HasSuffix(f.name, ".xlsx") {
				continue // the door of the API has shown it
			}
			began := time.Now()
			_, status, page := v.Upload(door, map[string]string{"resource": demo.Delivery.Resource, "secrecy": "yes"}, f.name, f.content())
			held := peak(t, s.Pid())
			most = max(most, held)
			t.Logf("%-26s %-34s %d %4d MB %8v", door, f.what, status, held, time.Since(began).Round(time.Millisecond))
			if time.Since(began) > 30*time.Second || status >= 500 {
				t.Errorf("%s, %s: %d after %v: %.600s", door, f.what, status, time.Since(began), page)
			}
		}
	}
	t.Logf("%d MB at rest, %d MB at most", base, most)
	// A CSV or NDJSON file stays far below; the texts of a workbook are held, up to 96 MB.
	if most > 400 {
		t.Errorf("%d MB of memory", most)
	}
	for _, dir := range []string{s.Data, filepath.Dir(s.Data), os.TempDir(), "/", "."} {
		for _, name := range []string{"escaped.txt", "escaped.csv"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%s was written to %s", name, dir)
			}
		}
	}
	if status, _ := s.Get("/health"); status != http.StatusOK {
		t.Errorf("health afterwards: %d", status)
	}
}

func text(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

// names gives n lines of JSON, each with a name of its own.
func names(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		for i := 0; i < n; {
			var b bytes.Buffer
			for range 4096 {
				fmt.Fprintf(&b, "{\"name%d\":1}\n", i)
				i++
			}
			if _, err := w.Write(b.Bytes()); err != nil {
				return
			}
		}
		w.Close()
	}()
	return r
}
