package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const exportFormat = "gongshu-audit-export/1"

// maxHeads bounds the checkpoints in an export; of more, evenly spaced ones and
// the newest are taken.
const maxHeads = 2000

// ExportRange says which entries to export, by time. Zero times mean all. The
// range is widened: to whole blocks of 256 entries at its beginning, to a signed
// checkpoint at its end.
type ExportRange struct{ From, To time.Time }

// ExportInfo says what an export holds.
type ExportInfo struct {
	Origin     string
	From, To   int64 // From ≤ seq < To
	Checkpoint string
}

// exportHeader is the first line of an export.
type exportHeader struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	// Edge is the right edge of the tree of size From: per level the hashes of its
	// unfinished tile, in base64.
	Edge [][]string `json:"edge"`
	Made string     `json:"made"`
}

// Plan settles what an export of a range would hold, signing a checkpoint for
// what has come since the last.
func (l *Log) Plan(ctx context.Context, r ExportRange) (ExportInfo, error) {
	newest, err := l.Checkpoint(ctx)
	if err != nil {
		return ExportInfo{}, err
	}
	q := l.db.Read()
	info := ExportInfo{Origin: newest.Origin, To: newest.Size, Checkpoint: newest.Note}
	if !r.From.IsZero() {
		n, found, err := firstBlock(ctx, q, db.Ms(r.From))
		if err != nil {
			return ExportInfo{}, err
		}
		if !found { // only in the tail, which has no block yet
			if n, err = indexedBlocks(ctx, q); err != nil {
				return ExportInfo{}, err
			}
		}
		info.From = n << tileHeight
	}
	if !r.To.IsZero() {
		n, found, err := lastBlock(ctx, q, &Filter{To: r.To}, 1<<62)
		if err != nil {
			return ExportInfo{}, err
		}
		at := int64(0)
		if found {
			at = (n + 1) << tileHeight
		}
		indexed, err := indexedBlocks(ctx, q)
		if err != nil {
			return ExportInfo{}, err
		}
		// A range that ends after the last block reaches into the tail: all of it.
		if at < indexed<<tileHeight {
			c, err := checkpointFrom(ctx, q, max(at, info.From+1))
			if err != nil {
				return ExportInfo{}, err
			}
			info.To, info.Checkpoint = c.Size, c.Note
		}
	}
	if info.From >= info.To {
		return ExportInfo{}, errs.Newf(errs.Invalid, "这段时间没有审计记录", "there are no audit entries in this span of time").In("from")
	}
	return info, nil
}

// Export writes what Plan settled as lines of JSON: header, checkpoints, tiles
// above level 0, one line an entry, end. docs/audit.md has the format. It streams.
func (l *Log) Export(ctx context.Context, w io.Writer, info ExportInfo) error {
	q := l.db.Read()
	out := bufio.NewWriterSize(w, 1<<18)
	line := func(v any) error {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = out.Write(append(text, '\n'))
		return err
	}
	edge, err := loadTree(ctx, q, info.From)
	if err != nil {
		return err
	}
	header := exportHeader{Format: exportFormat, Origin: info.Origin, From: info.From, To: info.To, Edge: [][]string{}, Made: l.now().UTC().Format(TimeFormat)}
	for _, hashes := range edge.edge {
		level := []string{}
		for _, h := range hashes {
			level = append(level, h.String())
		}
		header.Edge = append(header.Edge, level)
	}
	if err := line(header); err != nil {
		return err
	}
	notes, err := notesBetween(ctx, q, info.From, info.To)
	if err != nil {
		return err
	}
	step := max(1, len(notes)/maxHeads)
	for i, text := range notes {
		// The last that keys signed is needed to follow the log to the next keys.
		if (len(notes)-1-i)%step == 0 || !sameSigners(text, notes[i+1]) {
			if err := line(map[string]string{"checkpoint": text}); err != nil {
				return err
			}
		}
	}
	for level := int64(1); info.To>>(tileHeight*level) > 0; level++ {
		for n := info.From >> (tileHeight * (level + 1)); n<<(tileHeight*(level+1)) < info.To; n++ {
			width := min(tileWidth, info.To>>(tileHeight*level)-n<<tileHeight)
			if width <= 0 {
				break
			}
			data, err := readTile(ctx, q, tileID{level, n})
			if err != nil {
				return fmt.Errorf("hash tile %d/%d: %w", level, n, err)
			}
			data = data[:min(len(data), int(width)*tlog.HashSize)]
			if err := line(exportTile{fmt.Sprintf("%d/%d", level, n), data}); err != nil {
				return err
			}
		}
	}
	var tile []byte
	var tiles map[int64][]byte
	read := int64(0)
	buf := make([]byte, 0, 4096)
	count := int64(0)
	if err := readEntries(ctx, l.db, info.From, info.To, func(r row) error {
		if tile == nil || r.seq&(tileWidth-1) == 0 {
			n := r.seq >> tileHeight
			if n >= read {
				var err error
				if tiles, err = readTiles(ctx, q, 0, n, n+64); err != nil {
					return err
				}
				read = n + 64
			}
			tile = tiles[n]
		}
		// The tile's hash goes out, not the row's: it is what the checkpoints sign.
		leaf := r.leaf
		if at := int(r.seq&(tileWidth-1)) * tlog.HashSize; len(tile) >= at+tlog.HashSize {
			leaf = tile[at : at+tlog.HashSize]
		}
		buf = append(buf[:0], `{"seq":`...)
		buf = strconv.AppendInt(buf, r.seq, 10)
		buf = append(buf, `,"leaf":"`...)
		buf = base64.StdEncoding.AppendEncode(buf, leaf)
		buf = append(buf, '"')
		if r.content != nil {
			buf = append(buf, `,"entry":`...)
			buf = append(buf, r.content...)
		}
		buf = append(buf, '}', '\n')
		count++
		_, err := out.Write(buf)
		return err
	}); err != nil {
		return err
	}
	if err := line(map[string]int64{"end": info.To, "entries": count}); err != nil {
		return err
	}
	return out.Flush()
}

// exportTile is a line with a tile above level 0; Hashes is base64.
type exportTile struct {
	Tile   string `json:"tile"`
	Hashes []byte `json:"hashes"`
}

// maxLine bounds a line of an export: an entry, or a tile in base64.
const maxLine = 1 << 20

// VerifyExport checks an export with nothing but the public key: every entry
// against its leaf, leaves and tiles against the signed checkpoints, none missing,
// put in, or moved. It streams. An error means that the input is no export; what is
// wrong with the log stands in the report.
func VerifyExport(r io.Reader, o VerifyOptions) (Report, error) {
	in := bufio.NewReaderSize(r, maxLine)
	notExport := func(err error) error {
		return errs.Newf(errs.Invalid, "文件不是公数审计导出文件", "the file is not a Gongshu audit export").In("file").Because(err)
	}
	first, err := readLine(in)
	if err != nil {
		return Report{}, notExport(err)
	}
	var header exportHeader
	if err := strictJSON(first, &header); err != nil || header.Format != exportFormat {
		return Report{}, notExport(err)
	}
	edge, err := parseEdge(header)
	if err != nil {
		return Report{}, notExport(err)
	}
	x := &exportWalk{c: &checker{}, tiles: map[tileID][]byte{}, next: header.From, to: header.To}
	x.c.report.Origin = header.Origin
	x.c.parent = func(id tileID) ([]byte, error) {
		if data, ok := x.tiles[id]; ok {
			return data, nil
		}
		return nil, errMissing
	}
	var notes []string
	begin := func() {
		if x.began {
			return
		}
		x.began = true
		x.c.accept(notes, o.Known, false)
		if x.c.newest != header.To && !slices.ContainsFunc(x.c.later, func(h head) bool { return h.Size == header.To }) {
			x.c.fault(header.From, header.To, fmt.Sprintf("没有大小为 %d 的有效签名检查点，条目无从证实", header.To),
				fmt.Sprintf("no checkpoint of size %d with a good signature: nothing vouches for the entries", header.To))
		}
		x.c.accept(o.Earlier, o.Known, true)
		x.c.begin(edge)
	}
	ended := false
	for number := 2; ; number++ {
		line, err := readLine(in)
		if err == io.EOF {
			break
		}
		if err != nil {
			begin()
			x.c.fault(x.next, 0, fmt.Sprintf("第 %d 行无法读取", number), fmt.Sprintf("line %d cannot be read: %v", number, err))
			break
		}
		if ended {
			x.c.fault(-1, 0, fmt.Sprintf("结束行之后还有内容（第 %d 行）", number), fmt.Sprintf("there is more after the end, at line %d", number))
			break
		}
		if bytes.HasPrefix(line, []byte(`{"seq":`)) {
			begin()
			s, err := parseExportEntry(line)
			if err != nil {
				x.c.fault(x.next, 0, fmt.Sprintf("第 %d 行格式不符，应为第 %d 条", number, x.next), fmt.Sprintf("line %d is malformed where entry %d should stand: %v", number, x.next, err))
				x.broken = true
				break
			}
			if !x.put(s) {
				break
			}
			continue
		}
		var other struct {
			Checkpoint *string `json:"checkpoint"`
			Tile       *string `json:"tile"`
			Hashes     []byte  `json:"hashes"`
			End        *int64  `json:"end"`
			Entries    int64   `json:"entries"`
		}
		err = strictJSON(line, &other)
		switch {
		case err == nil && other.Checkpoint != nil && !x.began:
			notes = append(notes, *other.Checkpoint)
		case err == nil && other.Tile != nil && !x.began:
			var id tileID
			if n, err := fmt.Sscanf(*other.Tile, "%d/%d", &id.level, &id.n); n != 2 || err != nil || len(other.Hashes) > tileWidth*tlog.HashSize {
				return Report{}, notExport(fmt.Errorf("line %d: tile %q", number, *other.Tile))
			}
			x.tiles[id] = other.Hashes
		case err == nil && other.End != nil:
			begin()
			ended = true
			if *other.End != header.To {
				x.c.fault(x.next, 0, "结束行与文件头不一致", "the end line disagrees with the header")
			}
		default:
			begin()
			x.c.fault(x.next, 0, fmt.Sprintf("第 %d 行格式不符，应为第 %d 条", number, x.next), fmt.Sprintf("line %d is malformed where entry %d should stand", number, x.next))
			x.broken = true
		}
		if x.broken {
			break
		}
	}
	begin()
	x.c.block(x.buf, true)
	x.c.report.To = x.next
	if !x.broken && (x.next != header.To || !ended) {
		x.c.fault(x.next, header.To, fmt.Sprintf("文件到第 %d 条为止，应到第 %d 条", x.next-1, header.To-1), fmt.Sprintf("the file ends at entry %d and should reach %d", x.next-1, header.To-1))
	}
	if x.broken || x.next != header.To {
		// What lies behind the break cannot be compared; the break is the finding.
		x.c.heads = nil
	}
	return x.c.end(), nil
}

var errMissing = errors.New("no such tile")

type exportWalk struct {
	c      *checker
	tiles  map[tileID][]byte
	buf    []stored
	next   int64
	to     int64
	began  bool
	broken bool
}

// put takes the next entry; false when the order is broken and nothing behind it
// can be told.
func (x *exportWalk) put(s stored) bool {
	switch {
	case s.seq > x.next && s.seq < x.to:
		x.c.fault(x.next, s.seq, fmt.Sprintf("第 %d 至 %d 条缺失或被移位", x.next, s.seq-1), fmt.Sprintf("entries %d to %d are missing or were moved", x.next, s.seq-1))
		x.broken = true
	case s.seq != x.next || s.seq >= x.to:
		x.c.fault(x.next, 0, fmt.Sprintf("第 %d 条的位置上是第 %d 条：有插入、重复或移位", x.next, s.seq), fmt.Sprintf("entry %[2]d stands where entry %[1]d should: something was put in, repeated or moved", x.next, s.seq))
		x.broken = true
	}
	if x.broken {
		return false
	}
	// The line's bytes belong to the reader's buffer.
	s.tile = bytes.Clone(s.tile)
	if s.content != nil {
		s.content = bytes.Clone(s.content)
	}
	x.buf = append(x.buf, s)
	x.next++
	if x.next&(tileWidth-1) == 0 {
		x.c.block(x.buf, true)
		x.buf = x.buf[:0]
	}
	return true
}

// parseExportEntry reads {"seq":N,"leaf":"…","entry":{…}} in exactly this form.
func parseExportEntry(line []byte) (stored, error) {
	rest, _ := bytes.CutPrefix(line, []byte(`{"seq":`))
	digits, rest, ok := bytes.Cut(rest, []byte(`,"leaf":"`))
	if !ok || len(digits) > 19 {
		return stored{}, errors.New("no leaf")
	}
	seq, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || seq < 0 || strconv.FormatInt(seq, 10) != string(digits) {
		return stored{}, fmt.Errorf("number %q", digits)
	}
	const width = 44 // base64 of 32 bytes
	if len(rest) < width+2 || rest[width] != '"' {
		return stored{}, errors.New("malformed leaf")
	}
	leaf := make([]byte, 33)
	n, err := base64.StdEncoding.Strict().Decode(leaf, rest[:width])
	if err != nil || n != tlog.HashSize {
		return stored{}, errors.New("malformed leaf")
	}
	s := stored{seq: seq, present: true, tile: leaf[:n]}
	rest = rest[width+1:]
	if len(rest) == 1 && rest[0] == '}' {
		return s, nil
	}
	content, ok := bytes.CutPrefix(rest, []byte(`,"entry":`))
	if !ok || len(content) < 3 || content[len(content)-1] != '}' {
		return stored{}, errors.New("malformed entry")
	}
	s.content = content[:len(content)-1]
	return s, nil
}

func parseEdge(h exportHeader) (*tree, error) {
	if h.From < 0 || h.To < h.From {
		return nil, fmt.Errorf("from %d to %d", h.From, h.To)
	}
	t := &tree{size: h.From}
	for level, texts := range h.Edge {
		if level > 7 || int64(len(texts)) != h.From>>(tileHeight*level)&(tileWidth-1) {
			return nil, fmt.Errorf("the edge at level %d has %d hashes", level, len(texts))
		}
		hashes := make([]tlog.Hash, 0, tileWidth)
		for _, text := range texts {
			hash, err := tlog.ParseHash(text)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, hash)
		}
		t.edge = append(t.edge, hashes)
	}
	for level := len(h.Edge); level < 8; level++ {
		if h.From>>(tileHeight*level) > 0 {
			return nil, fmt.Errorf("no edge at level %d", level)
		}
	}
	return t, nil
}

// readLine gives a line without its end; a last line without one is cut off and
// io.ErrUnexpectedEOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

// strictJSON reads an object that has no other members than v, spelled as in v.
func strictJSON(line []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value on the line")
	}
	// The decoder takes a name in any case; ours are lower case.
	var names map[string]json.RawMessage
	if err := json.Unmarshal(line, &names); err != nil {
		return err
	}
	for name := range names {
		if name != strings.ToLower(name) {
			return fmt.Errorf("there is no member %q", name)
		}
	}
	return nil
}
