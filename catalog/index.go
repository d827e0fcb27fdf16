package catalog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/search"
)

// View says which catalog is searched.
type View string

// The catalogs: what is in force as departments see it, what is in force and open, and the newest
// version of everything that the reader may see, drafts included.
const (
	ViewShare View = "share"
	ViewOpen  View = "open"
	ViewWork  View = "work"
)

// SearchFacets are the facets that a catalog list counts. The values are keys of the lists, "body"
// the id of the body.
var SearchFacets = []string{"kind", "theme", "body", "region", "format", "sharing", "opening", "cycle", "grade", "state"}

// SearchQuery asks one of the catalogs.
type SearchQuery struct {
	View    View
	Text    string
	Filters map[string][]string // by facet
	Sort    string              // "", "updated", "-updated", "published", "grade"
	Offset  int                 // from 0
	Limit   int                 // 0 is 20, at most 200
}

// SearchResult is a page of a catalog; Data of each hit is a [Row].
type SearchResult struct {
	*search.Result
	Ready bool // false while the index fills after the start
}

// Search finds resources in a catalog as the actor may see it: in the share catalog a withheld resource
// of another body shows as existing only where the city says so (FS-12); its summary and items are not
// searched then. Errors: errs.Invalid for an unknown view or a limit out of range.
func (s *Service) Search(ctx context.Context, a identity.Actor, q SearchQuery) (*SearchResult, error) {
	if q.Limit <= 0 {
		q.Limit = 20
	}
	if q.Limit > 200 {
		return nil, errs.Newf(errs.Invalid, "每页不超过 200 条", "at most 200 a page").In("limit")
	}
	if a.IsAnonymous() { // departments alone see the share catalog
		q.View = ViewOpen
	}
	where, not := map[string][]string{"view": {string(q.View)}}, map[string][]string{}
	switch q.View {
	case ViewOpen:
	case ViewShare, ViewWork:
		seen := []string{"all"}
		if seesAll(a) {
			seen = append(seen, "authority")
		} else {
			seen = append(seen, "others")
			if a.Body != "" {
				seen = append(seen, "body:"+a.Body)
				not["hidden_from"] = []string{a.Body}
			}
		}
		where["seen"] = seen
	default:
		return nil, errs.Newf(errs.Invalid, "没有这种目录：%s", "no such catalog: %s", q.View).In("view")
	}
	r, err := s.index.Search(ctx, search.Query{Text: q.Text, Where: where, Not: not, Filters: q.Filters, Facets: SearchFacets, Sort: q.Sort, From: q.Offset, Size: q.Limit})
	if err != nil {
		return nil, err
	}
	return &SearchResult{Result: r, Ready: s.full.Load()}, nil
}

// documents makes a resource's search documents from its newest version and the one in force: what is
// in force is in the share catalog, whole or as existing only, and in the open catalog unless closed;
// the newest version is in the work list of its body and of the authority.
func (s *Service) documents(newest, inForce *Resource) []search.Document {
	policy := s.Policy()
	published, withdrawn := 0, newest.State == Withdrawn
	if inForce != nil {
		published = inForce.Version
	}
	// OpenView drops what departments share; only a whole version has everything.
	make := func(id string, r *Resource, view View, existsOnly bool, seen ...string) search.Document {
		row := RowOf(r, published, withdrawn)
		row.ExistsOnly = existsOnly
		var words []string
		for i := range r.Items {
			words = append(words, r.Items[i].Name, r.Items[i].Code)
		}
		words = append(words, r.BodyName, r.Code, r.System, r.Office)
		words = append(words, r.Tags...)
		words = append(words, NameOf("theme", r.Theme).ZH)
		d := search.Document{ID: id + ":" + r.ID, Title: r.Name, Summary: r.Summary, Text: strings.Join(words, "\n"), Data: row,
			Facets: map[string][]string{"view": {string(view)}, "seen": seen, "kind": {string(r.Kind)}, "theme": {r.Theme}, "body": {r.Body},
				"region": {r.Region}, "format": {string(r.Format)}, "sharing": {string(r.Sharing)}, "opening": {string(r.Opening)},
				"cycle": {string(r.Cycle)}, "grade": {}, "state": {string(r.State)}},
			Sort: map[string]int64{"updated": r.UpdatedAt.UnixMilli(), "published": r.PublishedAt.UnixMilli(), "grade": int64(r.Grade)}}
		if r.Grade > 0 {
			d.Facets["grade"] = []string{strconv.Itoa(r.Grade)}
		}
		return d
	}
	own := []string{"body:" + newest.Body, "authority"}
	out := []search.Document{make("new", newest, ViewWork, false, own...)}
	if inForce == nil {
		return out
	}
	if inForce.Sharing == Withheld && policy.WithheldExistsOnly {
		out = append(out, make("pub", inForce, ViewShare, false, own...))
		bare, _ := ShareView(inForce, "", false, policy)
		d := make("bare", bare, ViewShare, true, "others")
		d.Facets["hidden_from"] = []string{inForce.Body}
		out = append(out, d)
	} else {
		out = append(out, make("pub", inForce, ViewShare, false, "all"))
	}
	if v := OpenView(inForce, policy); v != nil {
		out = append(out, make("open", v, ViewOpen, false))
	}
	return out
}

var documentKinds = []string{"new", "pub", "bare", "open"}

// indexOne gives the documents to put and the ids to drop for a resource as it stands now.
func (s *Service) indexOne(ctx context.Context, id string) (put []search.Document, gone []string, err error) {
	newest, err := s.GetByID(ctx, id, -1)
	if errs.Is(err, errs.NotFound) {
		for _, k := range documentKinds {
			gone = append(gone, k+":"+id)
		}
		return nil, gone, nil
	}
	if err != nil {
		return nil, nil, err
	}
	inForce, err := s.GetByID(ctx, id, 0)
	if errs.Is(err, errs.NotFound) {
		inForce, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	put = s.documents(newest, inForce)
	have := map[string]bool{}
	for _, d := range put {
		have[d.ID] = true
	}
	for _, k := range documentKinds {
		if !have[k+":"+id] {
			gone = append(gone, k+":"+id)
		}
	}
	return put, gone, nil
}

// All and Since make the catalog a source that a search index follows.
func (s *Service) All(ctx context.Context, put func([]search.Document) error) (int64, error) {
	seq, err := sequence(ctx, s.deps.DB.Read())
	if err != nil {
		return 0, err
	}
	after := ""
	for {
		ids, err := eachID(ctx, s.deps.DB.Read(), after, 500)
		if err != nil {
			return 0, err
		}
		if len(ids) == 0 {
			return seq, nil
		}
		var docs []search.Document
		for _, id := range ids {
			d, _, err := s.indexOne(ctx, id)
			if err != nil {
				return 0, err
			}
			docs = append(docs, d...)
		}
		if err := put(docs); err != nil {
			return 0, err
		}
		after = ids[len(ids)-1]
	}
}

// Since implements search.Source; it also drops changed resources from the memory of Published, so
// that a change made on another node is seen here within the interval.
func (s *Service) Since(ctx context.Context, seq int64) (put []search.Document, gone []string, next int64, err error) {
	list, err := s.Changes(ctx, seq, 500)
	if err != nil {
		return nil, nil, 0, err
	}
	next = seq
	done := map[string]bool{}
	for _, c := range list {
		next = c.Seq
		if done[c.Resource] {
			continue
		}
		done[c.Resource] = true
		s.forget(c.Resource)
		p, g, err := s.indexOne(ctx, c.Resource)
		if err != nil {
			return nil, nil, 0, err
		}
		put, gone = append(put, p...), append(gone, g...)
	}
	return put, gone, next, nil
}

// Run fills the search index and follows the change sequence until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	return s.index.Follow(ctx, s, 300*time.Millisecond, func() { s.full.Store(true) })
}

// Refresh brings the index up to date at once, for programs that do not Run the catalog and for tests.
func (s *Service) Refresh(ctx context.Context) error {
	_, err := s.All(ctx, func(docs []search.Document) error { return s.index.Put(docs...) })
	if err == nil {
		s.full.Store(true)
	}
	return err
}
