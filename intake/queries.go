package intake

import (
	"context"
	"slices"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/workday"
)

// Filter picks batches; zero fields do not restrict.
type Filter struct {
	Resource     string // resource id
	Body         string // body id
	District     string // division code of the body
	State        State
	Corrects     string
	OpenProblems bool
	Text         string // in file name, resource name or code
	Sort         string // "received", "file", "resource", "accepted", "rejected"; newest first when empty
	Desc         bool
	Offset       int
	Limit        int // default 50
}

// Get reads a batch. Errors: errs.NotFound.
func (s *Service) Get(ctx context.Context, id string) (*Batch, error) {
	return getBatch(ctx, s.deps.DB.Read(), id)
}

// View is Get for a person or client: only those whom the policies let see the
// batch get it.
func (s *Service) View(ctx context.Context, a identity.Actor, id string) (*Batch, error) {
	b, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Door.May(a, "intake.batch.view", s.target(b)); err != nil {
		return nil, err
	}
	return b, nil
}

// List lists batches, the newest first, and counts all that fit.
func (s *Service) List(ctx context.Context, f Filter) ([]*Batch, int, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	return listBatches(ctx, s.deps.DB.Read(), f)
}

// ListOf is List of one resource (by code) for a person or client who may see
// its batches.
func (s *Service) ListOf(ctx context.Context, a identity.Actor, code string, offset, limit int) ([]*Batch, int, error) {
	r, err := s.deps.Catalog.Get(ctx, code, 0)
	if err != nil {
		return nil, 0, err
	}
	owner, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return nil, 0, err
	}
	if err := s.deps.Door.May(a, "intake.batch.view", operation.Target{Kind: "resource", ID: r.ID, Name: r.Name, Body: r.Body, District: owner.District, Resource: r.Code}); err != nil {
		return nil, 0, err
	}
	return s.List(ctx, Filter{Resource: r.ID, Offset: offset, Limit: limit})
}

// Progress is how many rows of a batch under way were read, accepted and rejected
// so far: to the row where it is loaded on this node, as of two seconds ago where on
// another. Errors: errs.NotFound.
func (s *Service) Progress(ctx context.Context, id string) (read, accepted, rejected int64, err error) {
	if p, ok := s.running.Load(id); ok {
		c := p.(*progress)
		return c.read.Load(), c.accepted.Load(), c.rejected.Load(), nil
	}
	return getProgress(ctx, s.deps.DB.Read(), id)
}

// Preview is a batch as it would be read, for a person to confirm or correct.
type Preview struct {
	Batch   *Batch
	Layout  tabular.Layout
	Raw     *tabular.Block // the first rows as they stand in the file
	Rows    *tabular.Block // the first data rows by the layout
	Mapping map[string]int
	Ignored []string
	// Refusal says why the layout or mapping cannot be used yet; nil when it can.
	Refusal error
}

// Preview reads the beginning of a held batch by the layout that over asks for
// (zero fields are found out). It is a read of data and audited.
func (s *Service) Preview(ctx context.Context, a identity.Actor, id string, over Override) (*Preview, error) {
	b, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Catalog.Get(ctx, b.Code, b.Version)
	if err != nil {
		return nil, err
	}
	p := &Preview{Batch: b}
	err = s.deps.Door.Read(ctx, a, "intake.batch.preview", s.target(b), func(ctx context.Context) error {
		layout := b.Layout
		if over.set() {
			if layout, err = s.layout(ctx, s.file(ctx, b), over, r); err != nil {
				p.Refusal = err
				layout = b.Layout
			}
		}
		view, err := tabular.Reinspect(s.file(ctx, b), layout, s.deps.Limits, expected(r))
		if err != nil {
			return err
		}
		p.Layout, p.Raw, p.Rows = view.Layout, view.Raw, view.Rows
		given := over.Mapping
		m, ignored, err := mapping(r, p.Layout.Columns, given, b.Mode == "delete")
		if err != nil && p.Refusal == nil {
			p.Refusal = err
		}
		p.Mapping, p.Ignored = m, ignored
		operation.Note(ctx, "rows", p.Rows.Len())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Problems reads problem rows of a batch, audited: they are data. order is one of
// quality.Orders; total counts all that which takes.
func (s *Service) Problems(ctx context.Context, a identity.Actor, id string, which quality.Which, order string, offset, limit int64) (rows []quality.Problem, total int64, err error) {
	b, err := s.Get(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	err = s.deps.Door.Read(ctx, a, "quality.problems.view", s.target(b), func(ctx context.Context) error {
		rows, total, err = s.deps.Quality.Page(ctx, id, which, order, offset, limit)
		operation.Note(ctx, "rows", len(rows))
		return err
	})
	if errs.Is(err, errs.NotFound) && b.State != Done {
		return nil, 0, nil
	}
	return rows, total, err
}

// ProblemFile opens the problem rows of a batch for download in a format ("" is
// that of the batch). The read is audited, durably, before the function returns;
// write then streams the file.
func (s *Service) ProblemFile(ctx context.Context, a identity.Actor, id string, format tabular.Format, which quality.Which, lang string) (b *Batch, f tabular.Format, write func(ctx context.Context, w writer) error, err error) {
	b, err = s.Get(ctx, id)
	if err != nil {
		return nil, "", nil, err
	}
	f = format
	if f == "" {
		f = b.Layout.Format
	}
	switch f {
	case tabular.CSV, tabular.XLSX, tabular.NDJSON, tabular.JSON:
	default:
		return nil, "", nil, errs.Newf(errs.Unsupported, "问题数据可下载为 csv、xlsx、ndjson、json，没有 %q", "problem rows are offered as csv, xlsx, ndjson and json, not %q", string(f)).In("format")
	}
	err = s.deps.Door.Read(ctx, a, "quality.problems.download", s.target(b), func(ctx context.Context) error {
		_, n, err := s.deps.Quality.Page(ctx, id, which, "", 0, 0)
		operation.Note(ctx, "rows", n)
		operation.Note(ctx, "format", string(f))
		return err
	})
	if err != nil {
		return nil, "", nil, err
	}
	return b, f, func(ctx context.Context, w writer) error {
		return s.deps.Quality.WriteFile(ctx, w, f, id, lang, which)
	}, nil
}

type writer interface{ Write(p []byte) (int, error) }

// Tallies are the failures of a batch by item and rule.
func (s *Service) Tallies(ctx context.Context, id string) ([]quality.Tally, error) {
	return s.deps.Quality.Tallies(ctx, id)
}

// Channels lists channels of a resource (by id) or a body; "" does not restrict.
func (s *Service) Channels(ctx context.Context, resource, body string) ([]Channel, error) {
	return listChannels(ctx, s.deps.DB.Read(), resource, body)
}

// GetChannel reads a channel. Errors: errs.NotFound.
func (s *Service) GetChannel(ctx context.Context, id string) (Channel, error) {
	return getChannel(ctx, s.deps.DB.Read(), id)
}

// DaySum is what arrived on a day of the city.
type DaySum struct {
	Day                         string // 2026-11-21
	Batches, Accepted, Rejected int64  // batches loaded, and their rows
}

// DaySums adds up the loaded batches of a body ("" all) by day since a moment.
func (s *Service) DaySums(ctx context.Context, body string, since time.Time) ([]DaySum, error) {
	_, offset := since.In(workday.Zone).Zone()
	return daySums(ctx, s.deps.DB.Read(), body, db.Ms(since), int64(offset)*1000)
}

// Overdue is a resource whose data has not come in time (FZM-13).
type Overdue struct {
	Code string
	Last time.Time // zero when none has ever come
	Due  time.Time
}

// Expected is how often a resource's data is to come, and since when.
type Expected struct {
	Cycle catalog.Cycle
	Since time.Time // when its catalog entry came into force
}

// Overdue lists the resources of a body ("" all) whose day for the next batch has
// passed, the longest first; expected is by code. What never came is due
// a cycle after its entry came into force.
func (s *Service) Overdue(ctx context.Context, body string, expected map[string]Expected) ([]Overdue, error) {
	last, err := arrivals(ctx, s.deps.DB.Read(), body)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	var out []Overdue
	for code, e := range expected {
		at, from := last[code], e.Since
		if !at.IsZero() {
			from = at
		}
		if d := due(e.Cycle, from); !d.IsZero() && now.After(d) {
			out = append(out, Overdue{Code: code, Last: at, Due: d})
		}
	}
	slices.SortFunc(out, func(a, b Overdue) int {
		if c := a.Due.Compare(b.Due); c != 0 {
			return c
		}
		return strings.Compare(a.Code, b.Code)
	})
	return out, nil
}
