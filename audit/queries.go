package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/internal/errs"
)

// Size is how many entries the log holds, integrated or not.
func (l *Log) Size(ctx context.Context) (int64, error) { return headSize(ctx, l.db.Read()) }

// Latest returns the newest checkpoint, errs.NotFound before the first.
func (l *Log) Latest(ctx context.Context) (Checkpoint, error) {
	list, err := l.Checkpoints(ctx, 0, 1)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(list) == 0 {
		return Checkpoint{}, errs.Newf(errs.NotFound, "尚未签发检查点", "no checkpoint has been signed yet")
	}
	return list[0], nil
}

// Checkpoints lists at most limit checkpoints, the newest first, of sizes below
// before (0: all).
func (l *Log) Checkpoints(ctx context.Context, before int64, limit int) ([]Checkpoint, error) {
	return readCheckpoints(ctx, l.db.Read(), before, limit)
}

// Tile returns the hash tile at a level and number: width hashes of 32 bytes, 1
// to 256. errs.NotFound when the tree does not reach so far.
func (l *Log) Tile(ctx context.Context, level, n int64, width int) ([]byte, error) {
	missing := errs.Newf(errs.NotFound, "没有这个瓦片", "there is no such tile")
	if level < 0 || level > 7 || n < 0 || width < 1 || width > tileWidth {
		return nil, missing
	}
	data, err := readTile(ctx, l.db.Read(), tileID{level, n})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if len(data) < width*tlog.HashSize {
		return nil, missing
	}
	return data[:width*tlog.HashSize], nil
}

// Inclusion proves that the log of the given size holds entry seq. The proof
// runs from the leaf up, as RFC 6962 2.1.1 orders it. Size 0 takes the newest
// checkpoint's; the size used is returned with the leaf.
func (l *Log) Inclusion(ctx context.Context, seq, size int64) (used int64, leaf tlog.Hash, proof tlog.RecordProof, err error) {
	tree, err := treeSize(ctx, l.db.Read())
	if err != nil {
		return 0, leaf, nil, err
	}
	if size == 0 {
		size = tree
	}
	if size < 1 || size > tree || seq < 0 || seq >= size {
		return 0, leaf, nil, errs.Newf(errs.NotFound, "检查点（大小 %[2]d）之内没有第 %[1]d 条", "entry %d is not within a checkpoint of size %d", seq, tree)
	}
	r := l.reader(ctx)
	leaves, err := r.ReadHashes([]int64{tlog.StoredHashIndex(0, seq)})
	if err != nil {
		return 0, leaf, nil, err
	}
	proof, err = tlog.ProveRecord(size, seq, r)
	return size, leaves[0], proof, err
}

// Consistency proves that the log of size from is a prefix of that of size to
// (RFC 6962 2.1.2).
func (l *Log) Consistency(ctx context.Context, from, to int64) (tlog.TreeProof, error) {
	tree, err := treeSize(ctx, l.db.Read())
	if err != nil {
		return nil, err
	}
	if from < 1 || to < from || to > tree {
		return nil, errs.Newf(errs.NotFound, "一致性证明的大小应满足 1 ≤ from ≤ to ≤ %d", "a consistency proof needs 1 ≤ from ≤ to ≤ %d", tree)
	}
	return tlog.ProveTree(to, from, l.reader(ctx))
}

// Record is an entry with its place in the log.
type Record struct {
	Seq  int64
	Leaf tlog.Hash
	// Content is the canonical form, nil when retention has pruned it.
	Content []byte
	// Entry is Content parsed; only Seq and Leaf count when it was pruned.
	Entry Entry
	// Pruned says that the content is gone by retention and the leaf stands.
	Pruned bool
	// Bad says that the content contradicts the leaf or is not canonical.
	Bad bool
}

func toRecord(r row) Record {
	out := Record{Seq: r.seq, Content: bytes.Clone(r.content), Pruned: r.content == nil}
	if len(r.leaf) == tlog.HashSize {
		out.Leaf = tlog.Hash(r.leaf)
	} else {
		out.Bad = true
	}
	if !out.Pruned {
		e, err := ParseEntry(r.content)
		out.Entry = e
		out.Bad = out.Bad || err != nil || tlog.RecordHash(r.content) != out.Leaf
	}
	return out
}

// Get returns one entry, errs.NotFound when there is none.
func (l *Log) Get(ctx context.Context, seq int64) (Record, error) {
	var found *Record
	if err := readEntries(ctx, l.db, seq, seq+1, func(r row) error {
		rec := toRecord(r)
		found = &rec
		return nil
	}); err != nil {
		return Record{}, err
	}
	if found == nil {
		return Record{}, errs.Newf(errs.NotFound, "没有第 %d 条审计记录", "there is no audit entry %d", seq)
	}
	return *found, nil
}

// Entries calls fn for the entries from ≤ seq < to, in order, and stops at fn's
// error. Reading on from Size never misses one: an entry is visible once its
// number is below Size.
func (l *Log) Entries(ctx context.Context, from, to int64, fn func(Record) error) error {
	return readEntries(ctx, l.db, from, to, func(r row) error { return fn(toRecord(r)) })
}

// Contents is Entries without parsing: fn gets the canonical form, nil when
// retention has pruned it, and keeps nothing of it.
func (l *Log) Contents(ctx context.Context, from, to int64, fn func(seq int64, content []byte) error) error {
	return l.read(ctx, from, to, func(r row) error { return fn(r.seq, r.content) })
}

// Verify is VerifyStore on the log's own store.
func (l *Log) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	return VerifyStore(ctx, l.db, o)
}
