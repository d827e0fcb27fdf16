package opendata

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"gongshu/internal/errs"
)

// Summary is what the portal's first page says of all datasets.
type Summary struct {
	Datasets, Listings int
	Rows, Downloads    int64 // of data; file downloads since ever
	Files              int64
	UpdatedAt          time.Time
	Themes, Providers  []Group
	// Newest are by first publication, Popular by use of the last 90 days; six each.
	Newest, Popular []*Dataset
	// Use counts downloads and calls of the last 90 days by dataset id.
	Use map[string]int64
}

// Group is a theme or provider and how many datasets it has.
type Group struct {
	Key  string
	Name errs.Text
	N    int
}

type summaryCache struct {
	mu   sync.Mutex
	seq  int64
	at   time.Time
	last *Summary
}

// Summary sums up the portal; it is computed anew after a change, and once a
// minute for the counts. The caller must not change it.
func (o *OpenStore) Summary(ctx context.Context) (*Summary, error) {
	seq, err := lastChange(ctx, o.db.Read())
	if err != nil {
		return nil, err
	}
	o.summary.mu.Lock()
	defer o.summary.mu.Unlock()
	if o.summary.last != nil && o.summary.seq == seq && time.Since(o.summary.at) < time.Minute {
		return o.summary.last, nil
	}
	s := &Summary{}
	var all []*Dataset
	for after := int64(0); ; {
		some, next, err := datasetsAfter(ctx, o.db.Read(), after, 500)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			break
		}
		for _, d := range some {
			if d.State != Published {
				continue
			}
			d.Preview, d.Chart, d.Map = nil, nil, nil
			all = append(all, d)
		}
		after = next
	}
	themes, providers := map[string]*Group{}, map[string]*Group{}
	add := func(m map[string]*Group, key string, name errs.Text) {
		if m[key] == nil {
			m[key] = &Group{Key: key, Name: name}
		}
		m[key].N++
	}
	for _, d := range all {
		if d.Kind == Listing {
			s.Listings++
		} else {
			s.Datasets++
		}
		s.Rows += d.Rows
		s.Files += int64(len(d.Files))
		if d.DataAt.After(s.UpdatedAt) {
			s.UpdatedAt = d.DataAt
		}
		add(themes, d.Theme, d.ThemeName)
		add(providers, d.Provider, errs.T(d.Provider, d.Provider))
	}
	s.Themes, s.Providers = groups(themes), groups(providers)
	downloads, err := o.Downloads(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range downloads {
		s.Downloads += n
	}
	recent, err := useSince(ctx, o.db.Read(), time.Now().In(beijing).AddDate(0, 0, -90).Format(time.DateOnly))
	if err != nil {
		return nil, err
	}
	s.Use = recent
	slices.SortStableFunc(all, func(a, b *Dataset) int { return b.FirstAt.Compare(a.FirstAt) })
	s.Newest = slices.Clone(all[:min(6, len(all))])
	slices.SortStableFunc(all, func(a, b *Dataset) int { return int(recent[b.ID] - recent[a.ID]) })
	for _, d := range all {
		if recent[d.ID] > 0 && len(s.Popular) < 6 {
			s.Popular = append(s.Popular, d)
		}
	}
	o.summary.seq, o.summary.at, o.summary.last = seq, time.Now(), s
	return s, nil
}

func groups(m map[string]*Group) []Group {
	var out []Group
	for _, g := range m {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

// Example is the slug of a dataset that samples can be tried with: the most used,
// else the newest; "" where nothing is open yet.
func (o *OpenStore) Example(ctx context.Context) string {
	sum, err := o.Summary(ctx)
	if err != nil {
		return ""
	}
	for _, d := range slices.Concat(sum.Popular, sum.Newest) {
		if d.Live() {
			return d.Slug
		}
	}
	return ""
}
