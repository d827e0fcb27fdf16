package search

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Source is an area whose documents an index follows.
type Source interface {
	// All hands over every document, in portions, and gives the number of the change sequence that
	// they are at least as new as.
	All(ctx context.Context, put func(docs []Document) error) (seq int64, err error)
	// Since gives what changed after seq: documents to put, ids gone, and the new number; the same
	// number when nothing did.
	Since(ctx context.Context, seq int64) (put []Document, gone []string, next int64, err error)
}

// Follow fills the index from the source and keeps it current until ctx ends, looking for changes
// every interval (0 is 300 ms). A change made while the index fills is applied afterwards. onReady, if
// any, is called once when the index is full. A source that fails is asked again, with a word in the log.
func (ix *Index) Follow(ctx context.Context, src Source, interval time.Duration, onReady func()) error {
	if interval <= 0 {
		interval = 300 * time.Millisecond
	}
	pause := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	var seq int64
	for {
		var err error
		if seq, err = src.All(ctx, func(docs []Document) error { return ix.Put(docs...) }); err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		slog.Error("search index: filling failed, trying again", "err", err)
		if !pause(5 * time.Second) {
			return nil
		}
	}
	if onReady != nil {
		onReady()
	}
	for {
		next, err := ix.CatchUp(ctx, src, seq)
		if err != nil && !errors.Is(err, context.Canceled) {
			slog.Error("search index: following failed, trying again", "err", err)
			if !pause(5 * time.Second) {
				return nil
			}
			continue
		}
		if err == nil && next != seq {
			seq = next
			continue // there may be more
		}
		if !pause(interval) {
			return nil
		}
	}
}

// CatchUp applies what changed after seq and gives the number reached.
func (ix *Index) CatchUp(ctx context.Context, src Source, seq int64) (int64, error) {
	put, gone, next, err := src.Since(ctx, seq)
	if err != nil {
		return seq, err
	}
	if err := ix.Apply(put, gone); err != nil {
		return seq, err
	}
	return next, nil
}
