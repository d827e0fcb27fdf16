package audit

import (
	"context"
	"sync"
	"unsafe"
)

// recentBytes bounds what is kept of the newest entries: of a busy second, about.
const recentBytes = 16 << 20

// recent is the newest entries that this node has committed, a run without gaps, so
// that what is derived from them within seconds, the tree and the usage log, need
// not read them back. What it does not hold stands in the store: entries of other
// nodes, of before the start, and of long ago.
type recent struct {
	mu    sync.Mutex
	from  int64
	rows  []row
	bytes int
}

// add takes in entries once they are durable.
func (r *recent) add(first int64, leaves [][]byte, contents []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first != r.from+int64(len(r.rows)) {
		r.from, r.rows, r.bytes = first, nil, 0
	}
	for i, c := range contents {
		r.rows = append(r.rows, row{seq: first + int64(i), leaf: leaves[i], content: unsafe.Slice(unsafe.StringData(c), len(c))})
		r.bytes += len(c)
	}
	if r.bytes <= 2*recentBytes {
		return
	}
	drop := 0
	for ; r.bytes > recentBytes; drop++ {
		r.bytes -= len(r.rows[drop].content)
	}
	// A copy: readers may still walk over the old ones.
	r.from, r.rows = r.from+int64(drop), append([]row(nil), r.rows[drop:]...)
}

// until gives the entries it has of from ≤ seq < to when they reach up to to. They
// are read only.
func (r *recent) until(from, to int64) []row {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = max(from, r.from)
	if to <= from || to > r.from+int64(len(r.rows)) {
		return nil
	}
	return r.rows[from-r.from : to-r.from]
}

// read is readEntries, from memory where that holds them.
func (l *Log) read(ctx context.Context, from, to int64, fn func(row) error) error {
	rows := l.recent.until(from, to)
	if err := readEntries(ctx, l.db, from, to-int64(len(rows)), fn); err != nil {
		return err
	}
	for _, r := range rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}
