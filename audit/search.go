package audit

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"gongshu/internal/db"
)

// Filter picks entries; empty fields pick all. From is inclusive, To exclusive.
// Actor matches an id or a name; Body the id or name of the actor's body, or the
// id of the target's. All match whole values.
type Filter struct {
	From, To time.Time
	Actor    string
	Body     string
	Action   string
	Resource string
	Case     string
	Grant    string
	Outcome  string
	Subject  string // keyed digest, see Log.Digest
}

// fields are the values asked for by the names that the index has for them, those
// first that occur in the fewest blocks.
func (f *Filter) fields() [7][2]string {
	return [7][2]string{
		{"case", f.Case}, {"grant", f.Grant}, {"actor", f.Actor}, {"resource", f.Resource},
		{"body", f.Body}, {"action", f.Action}, {"outcome", f.Outcome},
	}
}

func (f *Filter) matches(e *Entry) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return (f.From.IsZero() || !e.At.Before(f.From)) && (f.To.IsZero() || e.At.Before(f.To)) &&
		(f.Actor == "" || f.Actor == e.Actor || f.Actor == e.ActorName) &&
		(f.Body == "" || f.Body == e.Body || f.Body == e.BodyName || f.Body == e.TargetBody) &&
		same(f.Action, e.Action) && same(f.Resource, e.Resource) && same(f.Case, e.Case) &&
		same(f.Grant, e.Grant) && same(f.Outcome, e.Outcome) &&
		(f.Subject == "" || slices.Contains(e.Subjects, f.Subject))
}

// indexFields is the version of what scanKeys takes out of an entry for the
// index; raise it with every change there, and running nodes index anew.
const indexFields = 2

// reindex indexes anew the blocks that another version of the program indexed.
// Pruned contents have nothing to index; their blocks keep their span of time.
func (l *Log) reindex(ctx context.Context) error {
	for {
		old, err := oldBlocks(ctx, l.db.Read(), 64)
		if err != nil || len(old) == 0 {
			return err
		}
		for _, n := range old {
			var index blockIndex
			if err := index.fill(ctx, l.db, n, n+1); err != nil {
				return err
			}
			if err := l.db.InTx(ctx, func(tx *db.Tx) error {
				if err := dropIndex(ctx, tx, n); err != nil {
					return err
				}
				return writeIndex(ctx, tx, &index)
			}); err != nil {
				return err
			}
		}
	}
}

// blockIndex is what the integrator derives from full blocks of 256 entries.
// One row a block and distinct value, not one an entry: the hot path writes no
// index at all.
type blockIndex struct {
	blocks []blockSpan
	values []blockValue
	seen   map[fieldName]bool // of the last block
}

type fieldName struct{ field, value string }

type blockSpan struct{ n, first, last int64 }

func (s *blockSpan) add(at int64) {
	if s.first == 0 || at < s.first {
		s.first = at
	}
	s.last = max(s.last, at)
}

type blockValue struct {
	field, value string
	block        int64
}

// fill indexes the blocks from ≤ n < to.
func (x *blockIndex) fill(ctx context.Context, d *db.DB, from, to int64) error {
	return readEntries(ctx, d, from<<tileHeight, to<<tileHeight, x.add)
}

// add takes in an entry; those of a block come one after the other.
func (x *blockIndex) add(r row) error {
	if n := r.seq >> tileHeight; len(x.blocks) == 0 || n != x.blocks[len(x.blocks)-1].n {
		x.blocks = append(x.blocks, blockSpan{n: n})
		x.seen = map[fieldName]bool{}
	}
	if r.content == nil {
		return nil
	}
	k, ok := scanKeys(r.content)
	if !ok {
		return fmt.Errorf("audit entry %d is not canonical", r.seq)
	}
	block := &x.blocks[len(x.blocks)-1]
	block.add(k.at)
	for _, fv := range k.fields() {
		// The look-up makes no string of the value.
		if len(fv.value) == 0 || x.seen[fieldName{fv.field, string(fv.value)}] {
			continue
		}
		v := fieldName{fv.field, string(fv.value)}
		x.seen[v] = true
		x.values = append(x.values, blockValue{v.field, v.value, block.n})
	}
	return nil
}

// Page is a part of a search's result, the newest entry first.
type Page struct {
	Records []Record
	// Next is the value of before for the following page; 0 when there is none.
	Next int64
}

// scanLimit bounds the entries that one call looks at, so that a filter which
// the index does not narrow answers in bounded time; Next then goes on.
const scanLimit = 40 * tileWidth

// Search returns at most limit entries with seq < before (0: from the newest)
// that the filter picks, the newest first. A page may hold fewer than limit and
// still have a Next.
func (l *Log) Search(ctx context.Context, f Filter, before int64, limit int) (Page, error) {
	q := l.db.Read()
	head, err := headSize(ctx, q)
	if err != nil {
		return Page{}, err
	}
	if before <= 0 || before > head {
		before = head
	}
	indexed, err := indexedBlocks(ctx, q)
	if err != nil {
		return Page{}, err
	}
	var page Page
	scanned := 0
	// take scans from ≤ seq < to backwards; false when the page is full.
	take := func(from, to int64) (bool, error) {
		var rows []row
		if err := readEntries(ctx, l.db, from, to, func(r row) error {
			rows = append(rows, row{r.seq, bytes.Clone(r.leaf), bytes.Clone(r.content)})
			return nil
		}); err != nil {
			return false, err
		}
		for _, r := range slices.Backward(rows) {
			if rec := toRecord(r); rec.Bad || (!rec.Pruned && f.matches(&rec.Entry)) || (rec.Pruned && f == Filter{}) {
				page.Records = append(page.Records, rec)
				if len(page.Records) == limit {
					page.Next = r.seq
					return false, nil
				}
			}
		}
		scanned += len(rows)
		if scanned >= scanLimit {
			page.Next = from
			return false, nil
		}
		return true, nil
	}
	// The tail that no block covers yet.
	for edge := max(indexed<<tileHeight, 0); before > edge; {
		from := max(edge, before-tileWidth)
		more, err := take(from, before)
		if err != nil || !more {
			return page, err
		}
		before = from
	}
	for before > 0 {
		block, found, err := lastBlock(ctx, q, &f, (before+tileWidth-1)>>tileHeight)
		if err != nil || !found {
			return page, err
		}
		more, err := take(block<<tileHeight, min(before, (block+1)<<tileHeight))
		if err != nil || !more {
			return page, err
		}
		before = block << tileHeight
	}
	return page, nil
}
