package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// VerifyOptions of [VerifyExport] and [VerifyStore].
type VerifyOptions struct {
	// Known are the public keys of the log, from a file that was kept elsewhere.
	Known note.Verifiers
	// Earlier are checkpoints kept elsewhere, as signed notes: a log that was set
	// back, or shown to others differently, contradicts them.
	Earlier []string
}

// Fault is one thing that is wrong with a log.
type Fault struct {
	// Seq is the first entry concerned; To is the one after the last when only a
	// range can be told, else 0. Seq is -1 when no entry is concerned (a tile, a
	// checkpoint or a search aid was altered).
	Seq, To int64
	Text    errs.Text
}

// Report is what a verification found.
type Report struct {
	Origin      string
	From, To    int64 // entries looked at: From ≤ seq < To
	Sealed      int64 // size of the newest signed checkpoint that holds
	Entries     int64 // with content
	Pruned      int64 // content gone by retention, leaf in place
	Checkpoints int   // signed checkpoints that agree with the entries
	// Faults in the order of entries, those without an entry last; at most 100.
	Faults []Fault
}

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

// FirstBad is the first entry that is wrong, -1 when none is.
func (r *Report) FirstBad() int64 {
	for _, f := range r.Faults {
		if f.Seq >= 0 {
			return f.Seq
		}
	}
	return -1
}

const maxFaults = 100

// checker goes through entries in order, in blocks of 256, and compares three
// witnesses of each: its content, its leaf hash (tile), and, where a store is
// looked at, its leaf column; the blocks with the tiles above them; and the tree
// with every signed checkpoint.
type checker struct {
	report Report
	tree   *tree
	heads  []head // verified checkpoints, ascending; the first not yet reached leads
	newest int64  // size of the newest verified checkpoint of the log's own
	later  []head // well-formed and not signed by a key known so far
	ring   keyring
	turns  []rotation // changes of keys that no verified root covers yet
	parent func(tileID) ([]byte, error)
	// tiles that the tree gave, to compare with the stored ones once a root confirms them.
	doubt []doubt
	good  int64 // size of the last checkpoint that agreed
	bad   bool  // a checkpoint has contradicted: later roots tell nothing new

	pruned  [][2]int64 // runs of pruned entries
	allowed int64      // entries below it may be pruned, by audit.prune entries
}

type head struct {
	Checkpoint
	external bool
}

// doubt is a block whose tile above disagrees with it.
type doubt struct{ from, to int64 }

func (c *checker) fault(seq, to int64, zh, en string) {
	if len(c.report.Faults) < maxFaults {
		c.report.Faults = append(c.report.Faults, Fault{Seq: seq, To: to, Text: errs.T(zh, en)})
	}
}

// accept checks signed notes and keeps those that can be compared.
func (c *checker) accept(notes []string, known note.Verifiers, external bool) {
	c.ring.known = known
	if c.ring.added == nil {
		c.ring.added, c.ring.retired = map[uint32]note.Verifier{}, map[uint32]int64{}
	}
	for _, text := range notes {
		h := head{external: external}
		cp, err := ParseCheckpoint(text, &c.ring)
		if err == nil {
			h.Checkpoint = cp
		} else if h.Checkpoint, err = unverified(text); err != nil {
			c.unsigned(text)
			continue
		}
		if h.Origin != c.report.Origin {
			c.fault(-1, 0, fmt.Sprintf("检查点属于另一日志 %s", h.Origin), fmt.Sprintf("the checkpoint is of another log, %s", h.Origin))
			continue
		}
		if cp.Note == "" {
			c.later = append(c.later, h) // of keys that the log may name further on
			continue
		}
		c.take(h)
	}
}

func (c *checker) take(h head) {
	at, _ := slices.BinarySearchFunc(c.heads, h, func(a, b head) int {
		if a.Size <= b.Size {
			return -1
		}
		return 1
	})
	c.heads = slices.Insert(c.heads, at, h)
	if !h.external {
		c.newest = max(c.newest, h.Size)
	}
}

func (c *checker) unsigned(text string) {
	size := "?"
	if lines := strings.SplitN(text, "\n", 3); len(lines) == 3 {
		size = lines[1]
	}
	c.fault(-1, 0, fmt.Sprintf("大小 %s 的检查点签名不符，检查点被改动或密钥不对", size),
		fmt.Sprintf("the checkpoint of size %s is not signed by the given key: it was altered, or the key is another log's", size))
}

// unverified reads a note whose signers are not known.
func unverified(text string) (Checkpoint, error) {
	var unknown *note.UnverifiedNoteError
	if _, err := note.Open([]byte(text), note.VerifierList()); !errors.As(err, &unknown) {
		return Checkpoint{}, err
	}
	c, err := parseCheckpointText(unknown.Note.Text)
	c.Note = text
	return c, err
}

// turn puts in force the keys that entries below size name: a verified root covers
// them. Checkpoints from here on are the new keys', and only theirs.
func (c *checker) turn(size int64) {
	for len(c.turns) > 0 && c.turns[0].seq < size {
		r := c.turns[0]
		c.turns = c.turns[1:]
		c.ring.change(r)
		heads, later := c.heads, c.later
		c.heads, c.later = nil, nil
		for _, h := range slices.Concat(heads, later) {
			if h.Size == size { // signed over the entry itself, by the keys before
				if _, err := ParseCheckpoint(h.Note, &keyring{known: c.ring.known, added: c.ring.added}); err == nil {
					c.take(h)
					continue
				}
			}
			switch _, err := ParseCheckpoint(h.Note, &c.ring); {
			case err != nil && h.Size > size && slices.ContainsFunc(heads, func(o head) bool { return o.Note == h.Note }):
				c.fault(-1, 0, fmt.Sprintf("大小 %d 的检查点由第 %d 条已更换的密钥签发", h.Size, r.seq),
					fmt.Sprintf("the checkpoint of size %d is signed by keys that entry %d replaced", h.Size, r.seq))
			case err != nil || h.Size < size:
				c.later = append(c.later, h)
			default:
				c.take(h)
			}
		}
	}
}

// begin starts at an edge of the tree; checkpoints before it cannot be compared.
func (c *checker) begin(t *tree) {
	c.tree = t
	c.report.From = t.size
	c.good = t.size
	for len(c.heads) > 0 && c.heads[0].Size < t.size {
		if c.heads[0].external {
			c.fault(-1, 0, fmt.Sprintf("大小 %d 的检查点早于本导出的起点 %d，无法核对；请用全量导出", c.heads[0].Size, t.size),
				fmt.Sprintf("the checkpoint of size %d lies before this export's first entry %d and cannot be compared; use a whole export", c.heads[0].Size, t.size))
		}
		c.heads = c.heads[1:]
	}
	c.compare()
}

// stored is one entry as a source gives it. The three witnesses may be absent.
type stored struct {
	seq     int64
	present bool
	content []byte // nil when pruned or absent
	leaf    []byte // the row's own column
	tile    []byte // hash of the level 0 tile, or of the export's line
}

func (s *stored) is(h tlog.Hash, what []byte) bool {
	return len(what) == tlog.HashSize && tlog.Hash(what) == h
}

// block takes the entries of one block (or of its part within the range).
func (c *checker) block(entries []stored, sealed bool) {
	if len(entries) == 0 {
		return
	}
	from, to := entries[0].seq, entries[len(entries)-1].seq+1
	tiles := gather(entries, func(s *stored) []byte { return s.tile })
	rows := gather(entries, func(s *stored) []byte { return s.leaf })
	whole := len(entries) == tileWidth
	var above *tlog.Hash
	if whole && c.parent != nil && sealed {
		if data, err := c.parent(tileID{1, from >> (2 * tileHeight)}); err == nil {
			at := from >> tileHeight & (tileWidth - 1) * tlog.HashSize
			if int64(len(data)) >= at+tlog.HashSize {
				h := tlog.Hash(data[at : at+tlog.HashSize])
				above = &h
			}
		}
	}
	altered := func() {
		c.fault(-1, 0, fmt.Sprintf("第 %d 至 %d 条的哈希瓦片缺失或被改动，条目本身无误", from, to-1),
			fmt.Sprintf("the hash tile over entries %d to %d is missing or was altered; the entries stand", from, to-1))
	}
	var leaves []tlog.Hash // what the tree is built from; nil when nothing says
	switch {
	case tiles == nil && rows == nil:
	case above != nil && tiles != nil && perfect(tiles) == *above:
		leaves = tiles
	case above != nil && rows != nil && perfect(rows) == *above:
		leaves = rows
		altered()
	case above != nil:
		if leaves = tiles; leaves == nil {
			leaves = rows
		}
		c.doubt = append(c.doubt, doubt{from, to})
	case tiles == nil:
		if leaves = rows; sealed {
			altered()
		}
	case rows != nil && sealed && !slices.Equal(tiles, rows) && !c.edgeHolds(tiles, to) && c.edgeHolds(rows, to):
		// The block at the right edge has no tile above it: the signed root decides.
		leaves = rows
		altered()
	default:
		leaves = tiles
	}
	for i := range entries {
		s := &entries[i]
		switch {
		case !s.present:
			c.fault(s.seq, 0, fmt.Sprintf("第 %d 条缺失", s.seq), fmt.Sprintf("entry %d is missing", s.seq))
		case s.content == nil:
			c.report.Pruned++
			if n := len(c.pruned); n > 0 && c.pruned[n-1][1] == s.seq {
				c.pruned[n-1][1]++
			} else {
				c.pruned = append(c.pruned, [2]int64{s.seq, s.seq + 1})
			}
			if leaves != nil && s.leaf != nil && !s.is(leaves[i], s.leaf) {
				c.fault(s.seq, 0, fmt.Sprintf("第 %d 条的叶哈希被改动", s.seq), fmt.Sprintf("the leaf hash of entry %d was altered", s.seq))
			}
		default:
			c.report.Entries++
			h := tlog.RecordHash(s.content)
			switch {
			case leaves != nil && h != leaves[i], leaves == nil && s.leaf != nil && !s.is(h, s.leaf):
				c.fault(s.seq, 0, fmt.Sprintf("第 %d 条的内容被改动", s.seq), fmt.Sprintf("the content of entry %d was altered", s.seq))
			case s.leaf != nil && !s.is(h, s.leaf):
				c.fault(s.seq, 0, fmt.Sprintf("第 %d 条的叶哈希被改动", s.seq), fmt.Sprintf("the leaf hash of entry %d was altered", s.seq))
			case isRotate(s.content):
				if r, ok := parseRotation(s.seq, s.content); ok {
					c.turns = append(c.turns, r)
				}
			case isPrune(s.content):
				if e, err := ParseEntry(s.content); err == nil {
					var until int64
					if _, err := fmt.Sscan(e.Note("until"), &until); err == nil {
						c.allowed = max(c.allowed, until)
					}
				}
			}
		}
	}
	if !sealed || leaves == nil {
		return
	}
	for _, h := range leaves {
		c.tree.add(h, c.full)
		c.compare()
	}
}

// gather is the hashes of one witness, nil when it is absent for some entry.
func gather(entries []stored, pick func(*stored) []byte) []tlog.Hash {
	hashes := make([]tlog.Hash, len(entries))
	for i := range entries {
		h := pick(&entries[i])
		if len(h) != tlog.HashSize {
			return nil
		}
		hashes[i] = tlog.Hash(h)
	}
	return hashes
}

// edgeHolds says whether leaves, added now, give the root of a checkpoint of size to.
func (c *checker) edgeHolds(leaves []tlog.Hash, to int64) bool {
	for _, h := range c.heads {
		if h.Size != to {
			continue
		}
		t := &tree{size: c.tree.size}
		for _, edge := range c.tree.edge {
			t.edge = append(t.edge, slices.Clone(edge))
		}
		for _, leaf := range leaves {
			t.add(leaf, nil)
		}
		return t.root() == h.Root
	}
	return false
}

// full compares a tile that the entries gave with the stored one above level 0.
func (c *checker) full(id tileID, hashes []tlog.Hash) {
	if id.level == 0 || c.parent == nil {
		return
	}
	data, err := c.parent(id)
	if err != nil || len(data) != len(hashes)*tlog.HashSize || !slices.Equal(unflat(data), hashes) {
		c.fault(-1, 0, fmt.Sprintf("哈希瓦片 %d/%d 缺失或被改动", id.level, id.n), fmt.Sprintf("hash tile %d/%d is missing or was altered", id.level, id.n))
	}
}

// compare checks the checkpoints of the size just reached.
func (c *checker) compare() {
	for len(c.heads) > 0 && c.heads[0].Size == c.tree.size {
		h := c.heads[0]
		c.heads = c.heads[1:]
		if c.tree.root() == h.Root {
			c.report.Checkpoints++
			c.report.Sealed = max(c.report.Sealed, h.Size)
			c.good = h.Size
			// The root confirms the entries up to here: what disagreed above was the tile.
			left := c.doubt[:0]
			for _, d := range c.doubt {
				if d.to > h.Size {
					left = append(left, doubt{max(d.from, h.Size), d.to})
					continue
				}
				c.fault(-1, 0, fmt.Sprintf("第 %d 至 %d 条之上的哈希瓦片被改动，条目本身无误", d.from, d.to-1),
					fmt.Sprintf("the hash tile above entries %d to %d was altered; the entries stand", d.from, d.to-1))
			}
			c.doubt = left
			c.turn(h.Size)
			continue
		}
		if c.bad {
			continue
		}
		c.bad = true
		from, to := c.good, h.Size
		if len(c.doubt) > 0 {
			from, to = c.doubt[0].from, c.doubt[0].to
		}
		// An entry found bad in the range already is the better name.
		for _, f := range c.report.Faults {
			if f.Seq >= from && f.Seq < to {
				from, to = f.Seq, f.Seq+1
			}
		}
		zh, en := "与已签发的检查点（大小 %d）矛盾：第 %d 至 %d 条被改写", "contradicts the signed checkpoint of size %d: entries %d to %d were rewritten"
		if h.external {
			zh, en = "与另处保存的检查点（大小 %d）矛盾：第 %d 至 %d 条被改写，或向各方出示了不同的日志", "contradicts the checkpoint of size %d that was kept elsewhere: entries %d to %d were rewritten, or different logs were shown to different people"
		}
		c.fault(from, to, fmt.Sprintf(zh, h.Size, from, to-1), fmt.Sprintf(en, h.Size, from, to-1))
	}
}

// end closes the report. size is how far the log should be sealed.
func (c *checker) end() Report {
	for _, h := range c.later {
		c.unsigned(h.Note)
	}
	for _, h := range c.heads {
		if h.Size <= c.tree.size {
			continue
		}
		if h.external {
			c.fault(c.tree.size, 0, fmt.Sprintf("另处保存的检查点有 %d 条，本日志只到 %d 条：日志被回退", h.Size, c.tree.size),
				fmt.Sprintf("a checkpoint kept elsewhere has %d entries, this log reaches %d: it was set back", h.Size, c.tree.size))
		} else {
			c.fault(c.tree.size, 0, fmt.Sprintf("检查点有 %d 条，可核对的只到 %d 条", h.Size, c.tree.size),
				fmt.Sprintf("a signed checkpoint has %d entries, only %d can be checked", h.Size, c.tree.size))
		}
		break
	}
	for _, d := range c.doubt {
		c.fault(d.from, d.to, fmt.Sprintf("第 %d 至 %d 条与其上的哈希瓦片不符", d.from, d.to-1),
			fmt.Sprintf("entries %d to %d disagree with the hash tile above them", d.from, d.to-1))
	}
	for _, run := range c.pruned {
		if run[1] > c.allowed {
			seq := max(run[0], c.allowed)
			c.fault(seq, run[1], fmt.Sprintf("第 %d 条的内容被删除，日志中没有相应的到期清理记录", seq),
				fmt.Sprintf("the content of entry %d is gone, and no retention entry in the log says so", seq))
			break
		}
	}
	slices.SortStableFunc(c.report.Faults, func(a, b Fault) int {
		switch {
		case (a.Seq < 0) != (b.Seq < 0):
			if a.Seq < 0 {
				return 1
			}
			return -1
		case a.Seq < b.Seq:
			return -1
		case a.Seq > b.Seq:
			return 1
		}
		return 0
	})
	return c.report
}

const pruneAction = "audit.prune"

// isPrune looks at the first key of the canonical form, which is the action.
func isPrune(content []byte) bool {
	return strings.HasPrefix(string(content[:min(len(content), 40)]), `{"action":"`+pruneAction+`"`)
}

// VerifyStore checks the log in a database: every entry against its leaf, the
// tiles, the checkpoints and the search aids, and that none is missing or was put
// in. It reads only, needs no server, and may run beside one. An error means that
// the store could not be read; what is wrong with the log stands in the report.
func VerifyStore(ctx context.Context, d *db.DB, o VerifyOptions) (Report, error) {
	q := d.Read()
	size, err := treeSize(ctx, q)
	if err != nil {
		return Report{}, fmt.Errorf("read the log: %w", err)
	}
	tail, err := headSize(ctx, q)
	if err != nil {
		return Report{}, fmt.Errorf("read the log: %w", err)
	}
	above := map[tileID][]byte{}
	c := &checker{parent: func(id tileID) ([]byte, error) {
		data, ok := above[id]
		if ok {
			return data, nil
		}
		data, err := readTile(ctx, q, id)
		if err == nil {
			if len(above) >= 64 {
				clear(above)
			}
			above[id] = data
		}
		return data, err
	}}
	own, err := allCheckpoints(ctx, q)
	if err != nil {
		return Report{}, err
	}
	notes := make([]string, len(own))
	for i := range own {
		notes[i] = own[i].Note
	}
	for _, list := range [][]string{o.Earlier, notes} {
		for _, text := range list {
			if origin, _, ok := strings.Cut(text, "\n"); ok && c.report.Origin == "" {
				c.report.Origin = origin
			}
		}
	}
	c.accept(notes, o.Known, false)
	c.row(own)
	c.accept(o.Earlier, o.Known, true)
	c.begin(&tree{})
	if size > tail {
		c.fault(tail, size, fmt.Sprintf("哈希树有 %d 条，计数只有 %d 条", size, tail), fmt.Sprintf("the tree has %d entries, the count only %d", size, tail))
	}
	v := &storeWalk{ctx: ctx, q: q, c: c, size: max(size, c.newest)}
	if below, found, err := firstEntryFrom(ctx, q, -1<<63); err != nil {
		return Report{}, err
	} else if found && below < 0 {
		c.fault(0, 0, fmt.Sprintf("在开头之前插入了编号 %d 的条目", below), fmt.Sprintf("an entry numbered %d was put in before the beginning", below))
	}
	if err := readEntries(ctx, d, 0, max(tail, v.size), v.take); err != nil {
		return Report{}, err
	}
	for v.next < max(tail, v.size) { // rows missing at the end
		if err := v.put(stored{seq: v.next}); err != nil {
			return Report{}, err
		}
	}
	if err := v.flush(); err != nil {
		return Report{}, err
	}
	c.report.To = v.next
	if sealed := c.newest; sealed < size {
		c.fault(sealed, size, fmt.Sprintf("第 %d 至 %d 条已入树而没有签名的检查点", sealed, size-1),
			fmt.Sprintf("entries %d to %d are in the tree and no signed checkpoint covers them", sealed, size-1))
	} else if sealed > size {
		c.fault(-1, 0, fmt.Sprintf("哈希树计数 %d 小于已签发的检查点 %d", size, sealed), fmt.Sprintf("the tree is counted as %d, a signed checkpoint has %d", size, sealed))
	}
	if err := v.edges(); err != nil {
		return Report{}, err
	}
	if err := v.index(); err != nil {
		return Report{}, err
	}
	if until, err := pruneUntil(ctx, q); err != nil {
		return Report{}, err
	} else if until > c.allowed {
		c.fault(-1, 0, fmt.Sprintf("到期清理的界限为 %d，日志只许可到 %d", until, c.allowed), fmt.Sprintf("the retention bound is %d, the log allows %d", until, c.allowed))
	}
	// Entries that came meanwhile raised the count before they could be seen.
	now, err := headSize(ctx, q)
	if err != nil {
		return Report{}, err
	}
	extra, found, err := firstEntryFrom(ctx, q, max(now, tail))
	if err != nil {
		return Report{}, err
	}
	if found {
		if now, err = headSize(ctx, q); err != nil {
			return Report{}, err
		}
		if extra >= now {
			c.fault(extra, 0, fmt.Sprintf("在日志末尾（%d 条）之外插入了第 %d 条", now, extra), fmt.Sprintf("entry %d was put in beyond the end of the log, which is %d", extra, now))
		}
	}
	return c.end(), nil
}

// row checks what the columns of the stored checkpoints say against the signed
// notes, and that none was taken out of their row.
func (c *checker) row(list []Checkpoint) {
	before := int64(0)
	for _, stored := range list {
		signed, err := unverified(stored.Note)
		if err != nil {
			before = stored.Size
			continue // accept has said so
		}
		if signed.Size != stored.Size {
			c.fault(-1, 0, fmt.Sprintf("检查点记为大小 %d，签名的是 %d", stored.Size, signed.Size), fmt.Sprintf("a checkpoint is filed under size %d and signed for %d", stored.Size, signed.Size))
		}
		if !signed.At.IsZero() && !signed.At.Equal(stored.At) {
			c.fault(-1, 0, fmt.Sprintf("大小 %d 的检查点的时间被改动：签发于 %s", stored.Size, signed.At.Format(TimeFormat)),
				fmt.Sprintf("the time of the checkpoint of size %d was altered: it was signed at %s", stored.Size, signed.At.Format(TimeFormat)))
		}
		if signed.Previous != before && !signed.At.IsZero() {
			c.fault(-1, 0, fmt.Sprintf("大小 %d 的检查点之前缺少大小 %d 的检查点", stored.Size, signed.Previous),
				fmt.Sprintf("the checkpoint of size %d follows one of size %d, which is missing", stored.Size, signed.Previous))
		}
		before = stored.Size
	}
}

// storeWalk gathers rows into blocks and puts the tile's hash beside each.
type storeWalk struct {
	ctx   context.Context
	q     db.Querier
	c     *checker
	size  int64 // of the tree
	next  int64
	buf   []stored
	arena []byte
	tile  []byte
	tiles map[int64][]byte // of level 0, numbers below read
	read  int64
	spans []blockSpan
	seen  map[[2]string]bool
	// values of full sealed blocks, to compare with the search index
	values map[int64]map[[2]string]bool
	lost   bool
}

func (v *storeWalk) take(r row) error {
	for v.next < r.seq {
		if err := v.put(stored{seq: v.next}); err != nil {
			return err
		}
	}
	s := stored{seq: r.seq, present: true, leaf: v.keep(r.leaf)}
	if r.content != nil {
		s.content = v.keep(r.content)
	}
	return v.put(s)
}

// keep copies what must last until the block is done.
func (v *storeWalk) keep(b []byte) []byte {
	if cap(v.arena)-len(v.arena) < len(b) {
		v.arena = make([]byte, 0, max(1<<18, len(b)))
	}
	at := len(v.arena)
	v.arena = append(v.arena, b...)
	return v.arena[at:len(v.arena):len(v.arena)]
}

func (v *storeWalk) put(s stored) error {
	if s.seq < v.size {
		n := s.seq >> tileHeight
		if n >= v.read {
			// Many at once: a question a tile would cost more than the tiles.
			var err error
			if v.tiles, err = readTiles(v.ctx, v.q, 0, n, n+64); err != nil {
				return err
			}
			v.read = n + 64
		}
		if s.seq&(tileWidth-1) == 0 || v.tile == nil {
			v.tile = v.tiles[n]
		}
		if at := s.seq & (tileWidth - 1) * tlog.HashSize; int64(len(v.tile)) >= at+tlog.HashSize {
			s.tile = v.tile[at : at+tlog.HashSize]
		}
	}
	v.next = s.seq + 1
	v.buf = append(v.buf, s)
	if v.next&(tileWidth-1) == 0 || v.next == v.size {
		return v.flush()
	}
	return nil
}

func (v *storeWalk) flush() error {
	if len(v.buf) == 0 {
		return nil
	}
	sealed := v.buf[0].seq < v.size
	if sealed && len(v.buf) == tileWidth {
		v.derive()
	}
	v.c.block(v.buf, sealed)
	v.buf, v.arena = v.buf[:0], v.arena[:0]
	return nil
}

// derive keeps what the search aids should say of a full block.
func (v *storeWalk) derive() {
	if v.values == nil {
		v.values = map[int64]map[[2]string]bool{}
	}
	n := v.buf[0].seq >> tileHeight
	span := blockSpan{n: n}
	values := map[[2]string]bool{}
	for i := range v.buf {
		if v.buf[i].content == nil {
			// Pruned or gone: what it gave cannot be told any more.
			return
		}
		k, ok := scanKeys(v.buf[i].content)
		if !ok {
			return
		}
		span.add(k.at)
		for _, fv := range k.fields() {
			if len(fv.value) > 0 {
				values[[2]string{fv.field, string(fv.value)}] = true
			}
		}
	}
	v.spans = append(v.spans, span)
	v.values[n] = values
}

// edges compares the unfinished tiles at the right edge with the stored ones.
func (v *storeWalk) edges() error {
	t := v.c.tree
	if t.size != v.size {
		return nil
	}
	for level, edge := range t.edge {
		if len(edge) == 0 || level == 0 {
			continue
		}
		id := tileID{int64(level), t.size >> (tileHeight * (level + 1))}
		data, err := readTile(v.ctx, v.q, id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if len(data) < len(edge)*tlog.HashSize || !slices.Equal(unflat(data[:len(edge)*tlog.HashSize]), edge) {
			v.c.fault(-1, 0, fmt.Sprintf("哈希瓦片 %d/%d 缺失或被改动", id.level, id.n), fmt.Sprintf("hash tile %d/%d is missing or was altered", id.level, id.n))
		}
	}
	return nil
}

// index compares the search aids with what the entries say: an altered one could
// hide an entry from a search.
func (v *storeWalk) index() error {
	spans, err := readSpans(v.ctx, v.q)
	if err != nil {
		return err
	}
	report := func(n int64) {
		v.c.fault(-1, 0, fmt.Sprintf("第 %d 至 %d 条的检索索引被改动，条目本身无误", n<<tileHeight, (n+1)<<tileHeight-1),
			fmt.Sprintf("the search index over entries %d to %d was altered; the entries stand", n<<tileHeight, (n+1)<<tileHeight-1))
	}
	other, err := oldBlocks(v.ctx, v.q, 1<<30)
	if err != nil {
		return err
	}
	skip := map[int64]bool{}
	for _, n := range other {
		// Of another version of the program: a running node indexes it anew.
		skip[n] = true
		delete(v.values, n)
	}
	for _, want := range v.spans {
		if skip[want.n] {
			continue
		}
		if got, ok := spans[want.n]; !ok || got != want {
			report(want.n)
			return nil
		}
	}
	stored := map[int64]int{}
	bad := int64(-1)
	if err := eachIndex(v.ctx, v.q, func(b blockValue) error {
		values, ok := v.values[b.block]
		if !ok {
			return nil
		}
		if !values[[2]string{b.field, b.value}] && (bad < 0 || b.block < bad) {
			bad = b.block
		}
		stored[b.block]++
		return nil
	}); err != nil {
		return err
	}
	for n, values := range v.values {
		if stored[n] != len(values) && (bad < 0 || n < bad) {
			bad = n
		}
	}
	if bad >= 0 {
		report(bad)
	}
	return nil
}
