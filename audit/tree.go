package audit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const (
	tileHeight = 8 // C2SP tlog-tiles
	tileWidth  = 1 << tileHeight
	// integrateStep bounds the entries of one integration, and so its memory.
	integrateStep = 1 << 14
	// leaseTime is how long a node integrates before another may take over.
	leaseTime = 10 * time.Second
	// interval is the time between two checkpoints of a busy log.
	interval = time.Second
)

// Checkpoint is a signed statement: the log of this origin had this root at this size.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	// At is when it was signed by this program's clock; it stands in the note.
	At time.Time
	// Previous is the size of the checkpoint before it, 0 for the first.
	Previous int64
	// Note is the signed text, C2SP tlog-checkpoint.
	Note string
}

// ParseCheckpoint reads a signed note and checks the signatures of all known keys
// in it; at least one must be known. It fails with errs.Invalid otherwise.
func ParseCheckpoint(text string, known note.Verifiers) (Checkpoint, error) {
	bad := func(err error) (Checkpoint, error) {
		return Checkpoint{}, errs.Newf(errs.Invalid, "检查点无法识别或签名不符", "the checkpoint is malformed or its signature does not verify").In("checkpoint").Because(err)
	}
	n, err := note.Open([]byte(text), known)
	if err != nil {
		return bad(err)
	}
	c, err := parseCheckpointText(n.Text)
	if err != nil {
		return bad(err)
	}
	for _, sig := range n.Sigs {
		if sig.Name != c.Origin {
			return bad(fmt.Errorf("signed by %q for the log %q", sig.Name, c.Origin))
		}
	}
	c.Note = text
	return c, nil
}

func parseCheckpointText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" || lines[len(lines)-1] != "" {
		return Checkpoint{}, errors.New("a checkpoint has an origin, a size and a root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return Checkpoint{}, fmt.Errorf("root %q", lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	// Extension lines that are not this program's are left alone, as C2SP asks.
	for _, line := range lines[3 : len(lines)-1] {
		if at, ok := strings.CutPrefix(line, atLine); ok {
			if c.At, err = time.Parse(TimeFormat, at); err != nil {
				return Checkpoint{}, fmt.Errorf("extension line %q", line)
			}
		}
		if previous, ok := strings.CutPrefix(line, previousLine); ok {
			if c.Previous, err = strconv.ParseInt(previous, 10, 64); err != nil || c.Previous < 0 || c.Previous >= size {
				return Checkpoint{}, fmt.Errorf("extension line %q", line)
			}
		}
	}
	return c, nil
}

// Extension lines of a checkpoint, signed with it: when it was signed, and the size
// of the one before, so that none can be taken out of their row unnoticed.
const (
	atLine       = "at "
	previousLine = "previous "
)

func signCheckpoint(c Checkpoint, signers []note.Signer) (string, error) {
	text := c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n" +
		atLine + c.At.UTC().Format(TimeFormat) + "\n" + previousLine + strconv.FormatInt(c.Previous, 10) + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	return string(signed), err
}

// tree appends leaves and keeps what changes: per level the tile at the right
// edge. It writes nothing.
type tree struct {
	size int64
	// edge[level] is the tile at the right edge of the level, 0 to 255 hashes.
	edge [][]tlog.Hash
}

type tileID struct{ level, n int64 }

// add appends one leaf and hands every tile that it completes to full.
func (t *tree) add(leaf tlog.Hash, full func(id tileID, hashes []tlog.Hash)) {
	t.size++
	h := leaf
	for level := 0; ; level++ {
		if level == len(t.edge) {
			t.edge = append(t.edge, make([]tlog.Hash, 0, tileWidth))
		}
		t.edge[level] = append(t.edge[level], h)
		if len(t.edge[level]) < tileWidth {
			return
		}
		if full != nil {
			full(tileID{int64(level), t.size>>(tileHeight*(level+1)) - 1}, t.edge[level])
		}
		h = perfect(t.edge[level])
		t.edge[level] = t.edge[level][:0]
	}
}

// perfect is the root over a power of two of hashes.
func perfect(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfect(hashes[:half]), perfect(hashes[half:]))
}

// root is the RFC 6962 hash of the tree.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	// The perfect subtrees from right (small) to left (large) fold into the root.
	var root tlog.Hash
	have := false
	for _, edge := range t.edge {
		for end := len(edge); end > 0; {
			width := end & -end
			h := perfect(edge[end-width : end])
			if have {
				root = tlog.NodeHash(h, root)
			} else {
				root, have = h, true
			}
			end -= width
		}
	}
	return root
}

// treeCache is the integrator's tree between two runs.
type treeCache struct {
	mu sync.Mutex
	t  *tree
}

// first writes entry 0 of an empty log: its name and its public keys. With it
// no operation has the number 0.
func (l *Log) first(ctx context.Context) error {
	return l.db.InTx(ctx, func(tx *db.Tx) error {
		// The raise by nothing takes the row lock, so that two nodes that start
		// together do not both write it.
		var size int64
		if err := tx.QueryRow(ctx, `UPDATE audit_head SET size = size + 0 WHERE id = 1 RETURNING size`).Scan(&size); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		if size > 0 {
			return nil
		}
		_, err := l.AppendTx(ctx, tx, Entry{
			ActorKind: "system", Actor: "audit", Action: "audit.log.create", TargetKind: "log", Target: l.Origin(),
			Notes: []Note{{"keys", signing(l.keys)}},
		})
		if err != nil {
			return err
		}
		return db.SetFact(ctx, tx, keysFact, strings.Join(signing(l.keys), "\n"))
	})
}

// check compares the store with the newest checkpoint in it and with the
// witness file.
func (l *Log) check(ctx context.Context) error {
	if err := l.mine(ctx, l.db.Read()); err != nil {
		return err
	}
	latest, err := l.Latest(ctx)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	size, err := treeSize(ctx, l.db.Read())
	if err != nil {
		return err
	}
	head, err := headSize(ctx, l.db.Read())
	if err != nil {
		return err
	}
	contradicts := func(zh, en string) error {
		return errs.New(errs.Conflict, errs.T("审计日志与此前签发的检查点矛盾："+zh+"。请用 gongshu audit verify 查明后再启动",
			"the audit log contradicts a checkpoint that was signed before: "+en+"; find out with gongshu audit verify before starting")).By("QZ-3.1.8")
	}
	if size > head || latest.Size > size {
		return contradicts(fmt.Sprintf("条目 %d，树 %d，检查点 %d", head, size, latest.Size),
			fmt.Sprintf("%d entries, a tree of %d, a checkpoint of %d", head, size, latest.Size))
	}
	for _, c := range []Checkpoint{latest, l.readWitness()} {
		if c.Note == "" {
			continue
		}
		known, _, err := ParseVerifiers(strings.Join(l.VerifierKeys(), "\n"))
		if err != nil {
			return err
		}
		c, err := ParseCheckpoint(c.Note, known)
		if err != nil {
			return contradicts("检查点不是由本机密钥签发", "a checkpoint is not signed by the keys of this data directory")
		}
		if c.Size > size {
			return contradicts(fmt.Sprintf("数据库只到 %d，本机曾见检查点 %d，数据库被回退", size, c.Size),
				fmt.Sprintf("the database reaches %d, this node has seen %d: the database was set back", size, c.Size))
		}
		root, err := tlog.TreeHash(c.Size, l.reader(ctx))
		if err != nil {
			return err
		}
		if root != c.Root {
			return contradicts(fmt.Sprintf("大小 %d 处的根不同", c.Size), fmt.Sprintf("the root at size %d differs", c.Size))
		}
	}
	return nil
}

func (l *Log) readWitness() Checkpoint {
	if l.witness == "" {
		return Checkpoint{}
	}
	text, err := os.ReadFile(l.witness)
	if err != nil {
		return Checkpoint{}
	}
	return Checkpoint{Note: string(text)}
}

func (l *Log) writeWitness(text string) error {
	if l.witness == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.witness), 0o700); err != nil {
		return err
	}
	next := l.witness + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, l.witness)
}

// Run integrates until ctx ends: about once a second when there is something
// new, on the node that holds the lease. Its storage errors are not fatal; the
// next turn tries again. Several nodes may run it.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	defer l.release()
	indexed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.quit:
			return nil
		case <-tick.C:
		}
		// Blocks that an earlier version of the program indexed by fewer fields.
		if !indexed {
			indexed = l.reindex(ctx) == nil
		}
		// Entries of other nodes give no signal here; a cheap look every turn does.
		if held, err := l.lease(ctx); err != nil || !held {
			continue
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = l.integrate(ctx); err != nil {
				break
			}
		}
	}
}

// lease takes or keeps the right to integrate; held is false when another node
// has it. Correctness does not rest on it: integrate is guarded by the size.
func (l *Log) lease(ctx context.Context) (held bool, err error) {
	// Leases are of processes, not of the story that the log's clock may tell: they
	// go by the machine's clock, and one far in the future is nobody's.
	now := time.Now()
	var size, head, until int64
	var holder string
	err = l.db.Read().QueryRow(ctx, `SELECT t.size, t.holder, t.until, h.size FROM audit_tree t, audit_head h`).Scan(&size, &holder, &until, &head)
	if err != nil || size == head {
		return false, err
	}
	if holder == l.node && until > db.Ms(now.Add(leaseTime/2)) {
		return true, nil
	}
	if holder != l.node && until > db.Ms(now) && until <= db.Ms(now.Add(2*leaseTime)) {
		return false, nil
	}
	err = l.db.InTx(ctx, func(tx *db.Tx) error {
		done, err := tx.Exec(ctx, `UPDATE audit_tree SET holder = $1, until = $2 WHERE id = 1 AND (holder = $1 OR until <= $3 OR until > $4)`,
			l.node, db.Ms(now.Add(leaseTime)), db.Ms(now), db.Ms(now.Add(2*leaseTime)))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		held = n == 1
		return err
	})
	return held, err
}

// release lets another node integrate at once after a shutdown in order; without
// it that node waits for the lease to run out.
func (l *Log) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	l.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE audit_tree SET until = 0 WHERE id = 1 AND holder = $1`, l.node)
		return err
	})
}

// Checkpoint integrates all entries committed so far and returns the newest
// checkpoint. It is what an export, a proof page and a test call; Run does the
// same by itself. Signing stops with errs.Conflict at an entry whose content
// contradicts its leaf.
func (l *Log) Checkpoint(ctx context.Context) (Checkpoint, error) {
	for range 1000 {
		more, err := l.integrate(ctx)
		if err != nil {
			return Checkpoint{}, err
		}
		if !more {
			break
		}
	}
	return l.Latest(ctx)
}

// integrate extends the tree by one step and signs; more says that entries are left.
func (l *Log) integrate(ctx context.Context) (more bool, err error) {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	q := l.db.Read()
	head, err := headSize(ctx, q)
	if err != nil {
		return false, err
	}
	size, err := treeSize(ctx, q)
	if err != nil {
		return false, err
	}
	if head <= size {
		return false, nil
	}
	t := l.tree.t
	if t == nil || t.size != size {
		if t, err = loadTree(ctx, q, size); err != nil {
			return false, err
		}
	}
	l.tree.t = nil // kept again once the step is committed
	to := min(head, size+integrateStep)
	tiles := map[tileID][]byte{}
	var index blockIndex
	// The search index covers full blocks: the one that the tree ended in is read
	// from its begin, so that each entry is read once for both.
	full := to >> tileHeight << tileHeight
	next := size
	if full > size {
		next = size >> tileHeight << tileHeight
	}
	err = l.read(ctx, next, to, func(r row) error {
		if r.seq != next {
			return l.tampered(next, "条目缺失", "the entry is missing")
		}
		next++
		if r.seq < size {
			return index.add(r)
		}
		if len(r.leaf) != tlog.HashSize || r.content == nil || tlog.RecordHash(r.content) != tlog.Hash(r.leaf) {
			return l.tampered(r.seq, "内容与叶哈希不符", "its content contradicts its leaf hash")
		}
		t.add(tlog.Hash(r.leaf), func(id tileID, hashes []tlog.Hash) { tiles[id] = flat(hashes) })
		if r.seq >= full {
			return nil
		}
		return index.add(r)
	})
	if err != nil {
		return false, err
	}
	if next != to {
		return false, l.tampered(next, "条目缺失", "the entry is missing")
	}
	for level, edge := range t.edge {
		if len(edge) > 0 {
			tiles[tileID{int64(level), t.size >> (tileHeight * (level + 1))}] = flat(edge)
		}
	}
	c := Checkpoint{Origin: l.Origin(), Size: to, Root: t.root(), At: l.now().Truncate(time.Millisecond), Previous: size}
	if c.Note, err = signCheckpoint(c, l.keys.Signers()); err != nil {
		return false, fmt.Errorf("sign checkpoint: %w", err)
	}
	done := false
	err = l.db.InTx(ctx, func(tx *db.Tx) error {
		if err := l.mine(ctx, tx); err != nil {
			return err
		}
		done, err = writeTree(ctx, tx, size, c, tiles, &index)
		return err
	})
	if err != nil {
		return false, err
	}
	if !done {
		return true, nil // another node was faster: look again
	}
	l.tree.t = t
	if err := l.writeWitness(c.Note); err != nil {
		return false, fmt.Errorf("witness file: %w", err)
	}
	return to < head, nil
}

// tampered records the first bad entry and gives the error that stops signing.
func (l *Log) tampered(seq int64, zh, en string) error {
	s := *l.state.Load()
	if s.Tampered < 0 {
		s.Tampered = seq
		l.state.Store(&s)
	}
	return errs.New(errs.Conflict, errs.T(fmt.Sprintf("审计日志第 %d 条被改动：%s", seq, zh),
		fmt.Sprintf("audit entry %d was tampered with: %s", seq, en))).By("QZ-3.1.8")
}

func flat(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func unflat(data []byte) []tlog.Hash {
	hashes := make([]tlog.Hash, 0, tileWidth)
	for ; len(data) >= tlog.HashSize; data = data[tlog.HashSize:] {
		hashes = append(hashes, tlog.Hash(data[:tlog.HashSize]))
	}
	return hashes
}

// loadTree reads the right edge of a tree of the given size.
func loadTree(ctx context.Context, q db.Querier, size int64) (*tree, error) {
	t := &tree{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		width := size >> (tileHeight * level) & (tileWidth - 1)
		t.edge = append(t.edge, make([]tlog.Hash, 0, tileWidth))
		if width == 0 {
			continue
		}
		data, err := readTile(ctx, q, tileID{int64(level), size >> (tileHeight * (level + 1))})
		if err != nil {
			return nil, err
		}
		if int64(len(data)) < width*tlog.HashSize {
			return nil, fmt.Errorf("audit tile %d/%d is too short", level, size>>(tileHeight*(level+1)))
		}
		t.edge[level] = unflat(data[:width*tlog.HashSize])
	}
	return t, nil
}

// reader reads hashes of the tree out of the stored tiles, each tile once.
func (l *Log) reader(ctx context.Context) tlog.HashReader { return tileReader(ctx, l.db.Read()) }

func tileReader(ctx context.Context, q db.Querier) tlog.HashReader {
	cache := map[tileID][]byte{}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			tile := tlog.TileForIndex(tileHeight, index)
			id := tileID{int64(tile.L), tile.N}
			data, ok := cache[id]
			if !ok {
				var err error
				if data, err = readTile(ctx, q, id); err != nil {
					return nil, err
				}
				cache[id] = data
			}
			if len(data) < tile.W*tlog.HashSize {
				return nil, fmt.Errorf("audit tile %d/%d is too short", id.level, id.n)
			}
			h, err := tlog.HashFromTile(tile, data, index)
			if err != nil {
				return nil, err
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}
