package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/bits"
	"slices"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
)

// watermark marks what one release hands out, without changing a value. A keyed
// function of each cell's own text decides how that cell is written: in CSV
// whether a field that needs no quotes has them, in NDJSON whether a space stands
// before the value. Dropping rows or columns, or reordering them, leaves the mark
// of what remains; writing the file anew by another program removes it
// (docs/watermark.md). Parquet names its release in the file's metadata.
type watermark struct {
	release string
	k0, k1  uint64
}

func (s *Service) watermark(release string) watermark {
	key := digest(&s.secrets.mark, "release", release)
	return watermark{release: release, k0: binary.LittleEndian.Uint64(key), k1: binary.LittleEndian.Uint64(key[8:])}
}

// bit is the mark of a cell: SipHash-2-4 of its text under the release's key.
func (w *watermark) bit(text []byte) bool { return sip(w.k0, w.k1, text)&1 == 1 }

func sip(k0, k1 uint64, p []byte) uint64 {
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	n := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		m := binary.LittleEndian.Uint64(p)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^m)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	for i, b := range p {
		n |= uint64(b) << (8 * i)
	}
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^n)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v2 = v0^n, v2^0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

// sipRound takes and gives values, so that they stay in registers.
func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v2 += v1
	v0 = bits.RotateLeft64(v0, 32) + v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	return v0, v1, bits.RotateLeft64(v2, 32), v3
}

// csvEncoder writes RFC 4180 with CRLF and a header row.
type csvEncoder struct {
	columns []tabular.Column
	mark    *watermark
}

func (e *csvEncoder) begin(dst []byte) []byte {
	for i, c := range e.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = csvField(dst, []byte(c.Name), needsQuotes([]byte(c.Name)))
	}
	return append(dst, '\r', '\n')
}

func (e *csvEncoder) row(dst []byte, cells [][]byte, _ []bool) ([]byte, error) {
	for i, c := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		// An empty field stays bare: it is an absent value. In a file of one column
		// it is quoted, or the line would be blank.
		dst = csvField(dst, c, len(c) > 0 && (needsQuotes(c) || e.mark.bit(c)) || len(cells) == 1 && len(c) == 0)
	}
	return append(dst, '\r', '\n'), nil
}

func (e *csvEncoder) end(dst []byte) ([]byte, error) { return dst, nil }

// quoted are the bytes for which a field has quotes.
var quoted = [256]bool{',': true, '"': true, '\r': true, '\n': true}

func needsQuotes(c []byte) bool {
	for _, b := range c {
		if quoted[b] {
			return true
		}
	}
	return len(c) > 0 && (c[0] == ' ' || c[len(c)-1] == ' ')
}

func csvField(dst, c []byte, quote bool) []byte {
	if !quote {
		return append(dst, c...)
	}
	dst = append(dst, '"')
	for i := bytes.IndexByte(c, '"'); i >= 0; i = bytes.IndexByte(c, '"') {
		dst = append(append(dst, c[:i+1]...), '"')
		c = c[i+1:]
	}
	return append(append(dst, c...), '"')
}

// ndjsonEncoder writes one object a line.
type ndjsonEncoder struct {
	labels [][]byte
	types  []byte
	mark   *watermark
}

func newNDJSON(columns []tabular.Column, mark *watermark) *ndjsonEncoder {
	e := &ndjsonEncoder{mark: mark}
	for _, c := range columns {
		e.labels = append(e.labels, append(tabular.AppendJSONString(nil, c.Name), ':'))
		e.types = append(e.types, c.Type)
	}
	return e
}

func (e *ndjsonEncoder) begin(dst []byte) []byte { return dst }

func (e *ndjsonEncoder) row(dst []byte, cells [][]byte, null []bool) ([]byte, error) {
	dst = append(dst, '{')
	for i, c := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e.labels[i]...)
		if !null[i] && e.mark.bit(c) {
			dst = append(dst, ' ')
		}
		switch {
		case null[i]:
			dst = append(dst, "null"...)
		case e.types[i] == 'L':
			if len(c) == 1 && c[0] == '1' {
				dst = append(dst, "true"...)
			} else {
				dst = append(dst, "false"...)
			}
		case bytes.IndexByte([]byte("NYBIF"), e.types[i]) >= 0:
			dst = append(dst, c...)
		default:
			dst = tabular.AppendJSONString(dst, c)
		}
	}
	return append(dst, '}', '\n'), nil
}

func (e *ndjsonEncoder) end(dst []byte) ([]byte, error) { return dst, nil }

// parquetEncoder writes through package tabular into a buffer that the stream
// takes from.
type parquetEncoder struct {
	w     tabular.Writer
	out   bytes.Buffer
	block *tabular.Block
	n     int64
}

// releaseKey is the key of Parquet's file metadata that names the release.
const releaseKey = "gongshu.release"

func newParquet(columns []tabular.Column, mark *watermark) (*parquetEncoder, error) {
	e := &parquetEncoder{block: tabular.NewBlock()}
	w, err := tabular.NewWriter(&e.out, tabular.Parquet, columns)
	if err != nil {
		return nil, err
	}
	marked, ok := w.(interface{ Annotate(key, value string) })
	if !ok {
		return nil, errs.New(errs.Internal, errs.T("Parquet 写出器不能带水印", "the Parquet writer cannot be marked"))
	}
	marked.Annotate(releaseKey, mark.release)
	e.w = w
	return e, nil
}

func (e *parquetEncoder) begin(dst []byte) []byte { return dst }

func (e *parquetEncoder) row(dst []byte, cells [][]byte, _ []bool) ([]byte, error) {
	for _, c := range cells {
		e.block.Add(c)
	}
	e.n++
	e.block.EndRow(e.n)
	if e.block.Len() < 1024 {
		return dst, nil
	}
	return e.spill(dst)
}

func (e *parquetEncoder) spill(dst []byte) ([]byte, error) {
	if e.block.Len() > 0 {
		if err := e.w.Write(e.block); err != nil {
			return dst, err
		}
		e.block.Reset()
	}
	dst = append(dst, e.out.Bytes()...)
	e.out.Reset()
	return dst, nil
}

func (e *parquetEncoder) end(dst []byte) ([]byte, error) {
	dst, err := e.spill(dst)
	if err != nil {
		return dst, err
	}
	if err := e.w.Close(); err != nil {
		return dst, err
	}
	return append(dst, e.out.Bytes()...), nil
}

// Trace is where a file seems to come from.
type Trace struct {
	Release  string
	Grant    string
	Client   string // body id of the consumer
	Resource string
	Format   string
	User     string
	At       time.Time
	// Cells is how many different marked cells were looked at, Agree how many of
	// them bear the release's mark; by chance it would be half.
	Cells, Agree int
	// Sigma is how many standard deviations Agree lies above half. From 6 on chance
	// is out of the question (one in a thousand million).
	Sigma float64
}

// Certain says that the trace is no chance.
func (t Trace) Certain() bool { return t.Sigma >= 6 || t.Format == "parquet" && t.Cells == 0 }

// maxCells bounds the different cells that a trace looks at.
const maxCells = 20_000

// Trace reads a file that may stem from a release and gives the likeliest origins,
// the likeliest first, at most three. It reads whole CSV, NDJSON or Parquet, or
// any part of their lines. Errors: errs.Invalid for a file without a cell that
// could bear a mark.
func (s *Service) Trace(ctx context.Context, r io.Reader) ([]Trace, error) {
	releases, err := readReleases(ctx, s.deps.DB.Read())
	if err != nil {
		return nil, db.Classify(err)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(4)
	if string(head) == "PAR1" {
		return traceParquet(in, releases)
	}
	cells, err := markedCells(in)
	if err != nil {
		return nil, err
	}
	if len(cells) == 0 {
		return nil, errs.New(errs.Invalid, errs.T("文件中没有可带水印的内容", "the file has nothing that could bear a mark")).In("file")
	}
	var found []Trace
	for _, rel := range releases {
		w := s.watermark(rel.ID)
		t := traceOf(rel)
		t.Cells = len(cells)
		for text, marked := range cells {
			if w.bit([]byte(text)) == marked {
				t.Agree++
			}
		}
		half := float64(t.Cells) / 2
		t.Sigma = (float64(t.Agree) - half) / (math.Sqrt(float64(t.Cells)) / 2)
		found = append(found, t)
	}
	slices.SortFunc(found, func(a, b Trace) int {
		switch {
		case a.Sigma > b.Sigma:
			return -1
		case a.Sigma < b.Sigma:
			return 1
		}
		return 0
	})
	return found[:min(3, len(found))], nil
}

func traceOf(r release) Trace {
	return Trace{Release: r.ID, Grant: r.Grant, Client: r.Client, Resource: r.Resource, Format: r.Format, User: r.User, At: r.At}
}

// traceParquet finds the release's name in the metadata at the end of the file.
func traceParquet(r io.Reader, releases []release) ([]Trace, error) {
	const tail = 1 << 20
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		kept = append(kept, buf[:n]...)
		if len(kept) > 2*tail {
			kept = append(kept[:0], kept[len(kept)-tail:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	for _, rel := range releases {
		if bytes.Contains(kept, []byte(rel.ID)) {
			return []Trace{traceOf(rel)}, nil
		}
	}
	return nil, errs.New(errs.NotFound, errs.T("文件元数据中没有本平台的发放编号", "the file's metadata names no release of this platform")).In("file")
}

// markedCells reads the cells that could bear a mark: text to whether it is
// marked. A text that occurs both ways is left out.
func markedCells(in *bufio.Reader) (map[string]bool, error) {
	cells, torn := map[string]bool{}, map[string]bool{}
	note := func(text []byte, marked bool) {
		if len(text) == 0 || torn[string(text)] {
			return
		}
		if was, ok := cells[string(text)]; ok && was != marked {
			torn[string(text)] = true
			delete(cells, string(text))
			return
		}
		cells[string(text)] = marked
	}
	first, err := in.Peek(1)
	if err != nil {
		return cells, nil
	}
	lines := 0
	for len(cells) < maxCells {
		line, err := in.ReadBytes('\n')
		if len(line) > 1<<20 {
			return nil, errs.New(errs.TooLarge, errs.T("文件有超过 1 MiB 的行", "the file has a line over 1 MiB")).In("file")
		}
		if first[0] == '{' {
			ndjsonCells(line, note)
		} else if lines > 0 { // the header row bears no mark
			csvCells(line, note)
		}
		lines++
		if err != nil {
			break
		}
	}
	return cells, nil
}

// csvCells reads the fields of a line. A field with a line break in it needs its
// quotes and bears no mark; its parts look like broken fields and are skipped.
func csvCells(line []byte, note func([]byte, bool)) {
	line = bytes.TrimRight(line, "\r\n")
	for len(line) > 0 {
		if line[0] != '"' {
			i := bytes.IndexByte(line, ',')
			if i < 0 {
				i = len(line)
			}
			if !bytes.ContainsRune(line[:i], '"') {
				note(line[:i], false)
			}
			line = line[min(i+1, len(line)):]
			continue
		}
		i := 1
		var text []byte
		for i < len(line) {
			if line[i] == '"' {
				if i+1 < len(line) && line[i+1] == '"' {
					i++
				} else {
					break
				}
			}
			text = append(text, line[i])
			i++
		}
		if i >= len(line) {
			return
		}
		if !needsQuotes(text) {
			note(text, true)
		}
		line = line[i+1:]
		if len(line) > 0 {
			line = line[1:]
		}
	}
}

// ndjsonCells reads the members of a line.
func ndjsonCells(line []byte, note func([]byte, bool)) {
	sc := scanner{b: line}
	_ = sc.each(func(string) error {
		marked := sc.i < len(line) && line[sc.i] == ' '
		at := sc.i
		text, null, err := sc.scalar()
		if err != nil || null {
			return err
		}
		switch raw := bytes.TrimSpace(line[at:sc.i]); string(raw) {
		case "true":
			text = "1"
		case "false":
			text = "0"
		default:
			if raw[0] == '"' {
				if err := json.Unmarshal(raw, &text); err != nil {
					return err
				}
			}
		}
		note([]byte(text), marked)
		return nil
	})
}
