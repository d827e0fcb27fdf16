package audit

import (
	"context"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Prune removes the contents of entries that are older than before; their leaves
// stay, so every proof and checkpoint stays valid. The log itself says that it was
// done and up to which entry; without that entry the verifier reports the contents
// as deleted. Whole blocks of 256 go, and only what a checkpoint covers. It returns
// how many contents went.
//
// It fails with errs.Forbidden when before is less than half a year ago (LY-24).
func (l *Log) Prune(ctx context.Context, before time.Time) (int64, error) {
	if before.After(minimumRetention(l.now())) {
		return 0, errs.Newf(errs.Forbidden, "日志至少保存半年，不得清理更近的内容", "the log is kept for half a year at least").By("LY-24")
	}
	q := l.db.Read()
	size, err := treeSize(ctx, q)
	if err != nil {
		return 0, err
	}
	n, found, err := firstBlock(ctx, q, db.Ms(before))
	if err != nil {
		return 0, err
	}
	if !found {
		if n, err = indexedBlocks(ctx, q); err != nil {
			return 0, err
		}
	}
	until := min(n<<tileHeight, size)
	done, err := pruneUntil(ctx, q)
	if err != nil {
		return 0, err
	}
	if until > done {
		if err := l.db.InTx(ctx, func(tx *db.Tx) error {
			if err := setPruneUntil(ctx, tx, until); err != nil {
				return err
			}
			_, err := l.AppendTx(ctx, tx, Entry{
				ActorKind: "system", Actor: "audit", Action: pruneAction, TargetKind: "log", Target: l.Origin(),
				Notes: []Note{{"before", before.UTC()}, {"until", until}},
			})
			return err
		}); err != nil {
			return 0, err
		}
	}
	// In steps, so that nobody waits long; a step that was cut off is made good by
	// the next call.
	removed := int64(0)
	for from := int64(0); from < until; from += readPage {
		var n int64
		if err := l.db.InTx(ctx, func(tx *db.Tx) (err error) {
			n, err = pruneContents(ctx, tx, from, min(until, from+readPage))
			return err
		}); err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}
