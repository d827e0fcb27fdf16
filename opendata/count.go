package opendata

import (
	"context"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
)

// counter gathers downloads in memory between flushes: a visitor is nobody's
// file, and a write a download would let a flood fill the disk. What a crash may
// lose are the last seconds of counts, never data.
type counter struct {
	mu      sync.Mutex
	pending map[countKey]count
}

type countKey struct {
	dataset string
	version int
	form    string
	day     string
}

type count struct{ n, bytes int64 }

type countLine struct {
	countKey
	n, audited int64
}

// Count notes one download (form csv, xlsx, json, parquet) or API call (form
// "api") of so many bytes.
func (o *OpenStore) Count(d *Dataset, version int, form string, bytes int64, at time.Time) {
	if version == 0 {
		version = d.Version
	}
	k := countKey{d.ID, version, form, at.In(beijing).Format(time.DateOnly)}
	o.counts.mu.Lock()
	c := o.counts.pending[k]
	c.n++
	c.bytes += bytes
	o.counts.pending[k] = c
	o.counts.mu.Unlock()
}

// Flush writes the counts gathered so far.
func (o *OpenStore) Flush(ctx context.Context) error {
	o.counts.mu.Lock()
	taken := o.counts.pending
	o.counts.pending = map[countKey]count{}
	o.counts.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	err := o.db.InTx(ctx, func(tx *db.Tx) error {
		for k, c := range taken {
			if err := addCount(ctx, tx, k, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		o.counts.mu.Lock()
		for k, c := range taken {
			p := o.counts.pending[k]
			p.n += c.n
			p.bytes += c.bytes
			o.counts.pending[k] = p
		}
		o.counts.mu.Unlock()
	}
	return err
}

// Run flushes counts every few seconds until ctx ends.
func (o *OpenStore) Run(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return o.Flush(context.WithoutCancel(ctx))
		case <-tick.C:
			if err := o.Flush(ctx); err != nil && ctx.Err() == nil {
				continue // kept, and tried again
			}
		}
	}
}

// Downloads counts all file downloads of each dataset, by id.
func (o *OpenStore) Downloads(ctx context.Context) (map[string]int64, error) {
	return countsByDataset(ctx, o.db.Read())
}

// Use lists a dataset's downloads and calls by day and form for the last days.
func (o *OpenStore) Use(ctx context.Context, dataset string, days int, now time.Time) ([]DayCount, error) {
	return countsOf(ctx, o.db.Read(), dataset, now.In(beijing).AddDate(0, 0, -days).Format(time.DateOnly))
}

// AuditDownloads accounts for downloads in the log: one entry a dataset, version,
// form and day with the number since the last entry (FZO-3). Anonymous downloads
// are counted, not logged one by one, so that a flood cannot fill the log.
func (s *Service) AuditDownloads(ctx context.Context) error {
	o := s.deps.Open
	if err := o.Flush(ctx); err != nil {
		return err
	}
	for {
		lines, err := unaudited(ctx, o.db.Read(), 200)
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, l := range lines {
			d, err := o.readByID(ctx, l.dataset)
			if err != nil {
				return err
			}
			// The entry is durable before the mark: a crash in between counts twice
			// in the log rather than not at all.
			_, err = s.deps.Log.Append(ctx, audit.Entry{
				At: s.deps.Now(), ActorKind: "anonymous", Action: "opendata.dataset.download",
				TargetKind: "dataset", Target: l.dataset, TargetName: d.Title, Resource: d.Code, Medium: medium(l.form),
				Notes: []audit.Note{{Key: "count", Value: l.n - l.audited}, {Key: "day", Value: l.day}, {Key: "form", Value: l.form}, {Key: "version", Value: l.version}},
			})
			if err != nil {
				return err
			}
			if err := o.db.InTx(ctx, func(tx *db.Tx) error { return setAudited(ctx, tx, l) }); err != nil {
				return err
			}
		}
	}
}

func medium(form string) string {
	if form == "api" {
		return "api"
	}
	return "file"
}
