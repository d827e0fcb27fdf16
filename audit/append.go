package audit

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// maxPending bounds what waits for the disk: beyond it Append answers at once
// that the log is unavailable, instead of filling memory.
const maxPending = 1 << 16

// batch is the entries that one commit of the appender writes. first and err
// are set before done is closed.
type batch struct {
	leaves   [][]byte
	contents []string
	done     chan struct{}
	first    int64
	err      error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// seal completes an entry: id, time, and digests in place of the address and
// name of a member of the public (an official's stand, FZM-29 asks who it was).
func (l *Log) seal(e *Entry) {
	if e.ID == "" {
		e.ID = db.NewID()
	}
	if e.At.IsZero() {
		e.At = l.now()
	}
	if e.Post == "member" || e.ActorKind == "anonymous" {
		e.ActorName = ""
		// An address has dots or colons; a digest that the caller made has none.
		if strings.ContainsAny(e.Addr, ".:") {
			e.Addr = l.keys.Digest("addr", e.Addr)
		}
	}
}

// rooms are buffers for canonical forms, at most maxContent bytes each.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

func (l *Log) encode(e Entry) (leaf []byte, content string, err error) {
	if e.Action == "" {
		return nil, "", errs.Newf(errs.Internal, "审计条目缺少动作", "an audit entry has no action")
	}
	l.seal(&e)
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	bytes, err := e.Canonical((*room)[:0])
	if err != nil {
		return nil, "", err
	}
	*room = bytes
	hash := tlog.RecordHash(bytes)
	return hash[:], string(bytes), nil
}

// AppendTx adds entries in the caller's transaction and returns the sequence
// number of the last. They become part of the log when it commits and of
// nothing when it rolls back. Call it last in the transaction: from here to the
// commit every other writer of the log waits.
func (l *Log) AppendTx(ctx context.Context, tx *db.Tx, entries ...Entry) (seq int64, err error) {
	if len(entries) == 0 {
		return 0, errs.Newf(errs.Internal, "没有审计条目", "no audit entry was given")
	}
	b := newBatch()
	for _, e := range entries {
		leaf, content, err := l.encode(e)
		if err != nil {
			return 0, err
		}
		b.leaves, b.contents = append(b.leaves, leaf), append(b.contents, content)
	}
	first, err := insertTx(ctx, tx, b.leaves, b.contents)
	if err != nil {
		return 0, err
	}
	tx.AfterCommit(func() {
		l.recent.add(first, b.leaves, b.contents)
		l.report(nil)
		l.notify()
	})
	return first + int64(len(entries)) - 1, nil
}

// Append adds an entry and returns its sequence number once it is durable. Many
// callers share one commit. It fails with errs.Unavailable when the store does
// not take it: the caller must then release nothing. When ctx ends first the
// entry may still be written.
func (l *Log) Append(ctx context.Context, e Entry) (seq int64, err error) {
	leaf, content, err := l.encode(e)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, unavailable(errs.Newf(errs.Unavailable, "程序正在停止", "the program is stopping"))
	}
	b := l.current
	n := len(b.leaves)
	if n >= maxPending {
		l.mu.Unlock()
		return 0, unavailable(errs.Newf(errs.Unavailable, "等待写入的审计条目过多", "too many audit entries are waiting"))
	}
	b.leaves, b.contents = append(b.leaves, leaf), append(b.contents, content)
	l.mu.Unlock()
	if n == 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if b.err != nil {
		return 0, unavailable(b.err)
	}
	return b.first + int64(n), nil
}

// writer commits one batch in a transaction of its own and returns the sequence
// number of its first entry.
type writer interface {
	write(leaves [][]byte, contents []string) (first int64, err error)
	close() error
}

// appender is the one goroutine that commits batches; while it waits for the
// disk the next batch fills.
func (l *Log) appender() {
	defer close(l.done)
	for {
		stop := false
		select {
		case <-l.wake:
		case <-l.quit:
			stop = true
		}
		for l.commit() {
		}
		if stop {
			return
		}
	}
}

// commit writes the current batch; false when it was empty.
func (l *Log) commit() bool {
	l.mu.Lock()
	b := l.current
	if len(b.leaves) == 0 {
		l.mu.Unlock()
		return false
	}
	l.current = newBatch()
	l.mu.Unlock()
	b.first, b.err = l.writer.write(b.leaves, b.contents)
	l.report(b.err)
	close(b.done)
	if b.err == nil {
		l.recent.add(b.first, b.leaves, b.contents)
		l.notify()
	} else {
		// A store that fails at once must not turn the appender into a spin.
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

func (l *Log) report(err error) {
	old := l.state.Load()
	if (err == nil) == old.OK {
		return
	}
	if err != nil {
		l.probed.Store(int64(time.Since(started)))
	}
	// Where another writer was faster, its news stand.
	l.state.CompareAndSwap(old, &State{OK: err == nil, Since: l.now(), Err: err, Tampered: old.Tampered})
}

// notify tells the integrator that there are new entries.
func (l *Log) notify() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}
