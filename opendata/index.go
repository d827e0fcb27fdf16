package opendata

import (
	"context"
	"strings"
	"sync"
	"time"

	"gongshu/internal/errs"
	"gongshu/internal/search"
)

// Facets of the dataset list, in the order of the page.
var Facets = []string{"theme", "provider", "region", "format", "opening", "cycle", "quality"}

// What the facet "quality" tells of a dataset with data: whether it was updated
// when due (FZO-25), and whether nearly every cell holds a value.
const (
	OnTime   = "on_time"
	Late     = "late"
	Complete = "complete" // at least 99 % of the cells
)

// Index finds datasets. It is rebuilt from the open store when a node starts and
// follows its change sequence.
type Index struct {
	*search.Index
	store *OpenStore

	mu        sync.Mutex
	downloads map[string]int64
	countedAt time.Time
	due       map[string]time.Time // when each dataset with a due time is or was due
	late      map[string]bool      // as the index has it
}

// OpenIndex makes an empty index over the store; Run fills it.
func (o *OpenStore) OpenIndex() (*Index, error) {
	ix, err := search.Open()
	if err != nil {
		return nil, err
	}
	return &Index{Index: ix, store: o, downloads: map[string]int64{}, due: map[string]time.Time{}, late: map[string]bool{}}, nil
}

// Run fills the index and keeps it current until ctx ends.
func (ix *Index) Run(ctx context.Context) error {
	return ix.Index.Follow(ctx, ix, 0, nil)
}

// Refresh brings the index up to date at once.
func (ix *Index) Refresh(ctx context.Context) error {
	_, err := ix.All(ctx, func(docs []search.Document) error { return ix.Index.Put(docs...) })
	return err
}

// All implements search.Source.
func (ix *Index) All(ctx context.Context, put func(docs []search.Document) error) (int64, error) {
	if err := ix.count(ctx); err != nil {
		return 0, err
	}
	var seq int64
	for {
		all, next, err := datasetsAfter(ctx, ix.store.db.Read(), seq, 200)
		if err != nil {
			return seq, err
		}
		if len(all) == 0 {
			return seq, nil
		}
		var docs []search.Document
		for _, d := range all {
			if d.State == Published {
				docs = append(docs, ix.document(d))
			}
		}
		if err := put(docs); err != nil {
			return seq, err
		}
		seq = next
	}
}

// Since implements search.Source. Beside changed datasets it puts again, once a
// minute, those whose number of downloads changed and those that became late.
func (ix *Index) Since(ctx context.Context, seq int64) (docs []search.Document, away []string, next int64, err error) {
	changed, next, err := datasetsAfter(ctx, ix.store.db.Read(), seq, 200)
	if err != nil {
		return nil, nil, seq, err
	}
	for _, d := range changed {
		if d.State == Published {
			docs = append(docs, ix.document(d))
		} else {
			away = append(away, d.ID)
		}
	}
	ix.mu.Lock()
	for _, id := range away {
		delete(ix.due, id)
	}
	stale := time.Since(ix.countedAt) > time.Minute
	before := ix.downloads
	ix.mu.Unlock()
	if stale {
		if err := ix.count(ctx); err != nil {
			return nil, nil, seq, err
		}
		again := map[string]bool{}
		ix.mu.Lock()
		for id, n := range ix.downloads {
			again[id] = before[id] != n
		}
		for id, due := range ix.due {
			again[id] = again[id] || time.Now().After(due) != ix.late[id]
		}
		ix.mu.Unlock()
		for id, changed := range again {
			if !changed {
				continue
			}
			if d, err := ix.store.readByID(ctx, id); err == nil && d.State == Published {
				docs = append(docs, ix.document(d))
			} else if err != nil && !errs.Is(err, errs.NotFound) {
				return nil, nil, seq, err
			}
		}
	}
	return docs, away, next, nil
}

func (ix *Index) count(ctx context.Context) error {
	n, err := ix.store.Downloads(ctx)
	if err != nil {
		return err
	}
	ix.mu.Lock()
	ix.downloads, ix.countedAt = n, time.Now()
	ix.mu.Unlock()
	return nil
}

func (ix *Index) document(d *Dataset) search.Document {
	var text strings.Builder
	for _, s := range []string{d.Provider, d.Code, d.RegionName, d.ThemeName.ZH, strings.ReplaceAll(d.Slug, "-", " ")} {
		text.WriteString(s)
		text.WriteByte('\n')
	}
	for _, t := range d.Tags {
		text.WriteString(t)
		text.WriteByte('\n')
	}
	for _, it := range d.Items {
		text.WriteString(it.Name)
		text.WriteByte('\n')
	}
	var files []string
	for _, f := range d.Files {
		files = append(files, f.Format)
	}
	if d.Live() {
		files = append(files, "api")
	}
	var quality []string
	due, late := d.Punctuality(time.Now())
	if !due.IsZero() {
		quality = append(quality, map[bool]string{true: Late, false: OnTime}[late])
	}
	if d.Live() && d.Completeness() >= 0.99 {
		quality = append(quality, Complete)
	}
	ix.mu.Lock()
	downloads := ix.downloads[d.ID]
	if !due.IsZero() {
		ix.due[d.ID], ix.late[d.ID] = due, late
	} else {
		delete(ix.due, d.ID)
	}
	ix.mu.Unlock()
	light := *d
	light.Preview, light.Chart, light.Map, light.Versions = nil, nil, nil, nil
	return search.Document{
		ID: d.ID, Title: d.Title, Summary: d.Summary, Text: text.String(), Data: &Listed{Dataset: &light, Downloads: downloads},
		Facets: map[string][]string{"theme": {d.Theme}, "provider": {d.Provider}, "region": {d.RegionName}, "format": files,
			"opening": {string(d.Opening)}, "cycle": {string(d.Cycle)}, "quality": quality},
		Sort: map[string]int64{"updated": d.DataAt.UnixMilli(), "published": d.FirstAt.UnixMilli(), "downloads": downloads, "rows": d.Rows},
	}
}

// Listed is a dataset in a list: without preview, chart, map and versions.
type Listed struct {
	*Dataset
	Downloads int64
}

// Hit is one dataset found, with its words split where they matched.
type Hit struct {
	Listed
	Title, Summary []search.Piece
}

// Find asks for datasets.
type Find struct {
	Text string
	// Filters hold chosen values under the names of Facets.
	Filters map[string][]string
	// Sort is "", "updated", "published", "downloads" or "rows", descending, or
	// ascending with "-" before it; "" is by relevance, or by update without text.
	Sort       string
	From, Size int
}

// Found is the answer.
type Found struct {
	Total  int
	Hits   []Hit
	Facets map[string][]search.Count
	// Loose tells that no dataset has all the words and the nearest are shown.
	Loose bool
}

// Find looks for datasets on the portal.
func (ix *Index) Find(ctx context.Context, f Find) (*Found, error) {
	sort := f.Sort
	switch strings.TrimPrefix(sort, "-") {
	case "", "updated", "published", "downloads", "rows":
	default:
		return nil, errs.Newf(errs.Invalid, "不能按“%s”排序", "there is no order %q", f.Sort).In("sort")
	}
	if sort == "" && strings.TrimSpace(f.Text) == "" {
		sort = "updated"
	}
	f.From = min(f.From, 1_000_000) // a page far beyond the end is an empty one
	r, err := ix.Index.Search(ctx, search.Query{Text: f.Text, Filters: f.Filters, Facets: Facets, Sort: sort, From: f.From, Size: f.Size})
	if err != nil {
		return nil, err
	}
	out := &Found{Total: r.Total, Facets: r.Facets, Loose: r.Loose}
	for _, h := range r.Hits {
		l, ok := h.Data.(*Listed)
		if !ok {
			continue
		}
		out.Hits = append(out.Hits, Hit{Listed: *l, Title: h.Title, Summary: h.Summary})
	}
	return out, nil
}
