package opendata

import (
	"context"

	"gongshu/catalog"
	"gongshu/internal/errs"
)

// Entry gives a resource's dataset as the console sees it; errs.NotFound when it
// was never published.
func (s *Service) Entry(ctx context.Context, resource string) (*Entry, error) {
	return getEntry(ctx, s.deps.DB.Read(), resource)
}

// Entries lists all datasets, by resource code.
func (s *Service) Entries(ctx context.Context) ([]*Entry, error) {
	return listEntries(ctx, s.deps.DB.Read())
}

// Candidates lists the resources in force whose opening type allows opening, and
// datasets whose resource has left the catalog, with what stands on the portal.
func (s *Service) Candidates(ctx context.Context, body string) ([]Candidate, error) {
	entries, err := listEntries(ctx, s.deps.DB.Read())
	if err != nil {
		return nil, err
	}
	byID := map[string]*Entry{}
	for _, e := range entries {
		byID[e.Resource] = e
	}
	var out []Candidate
	for after := 0; ; after += 1000 {
		rows, total, err := s.deps.Catalog.List(ctx, catalog.ListFilter{Body: body, After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Opening == catalog.General || r.Opening == catalog.Authorised {
				out = append(out, Candidate{Row: r, Entry: byID[r.ID]})
			}
		}
		if after+len(rows) >= total || len(rows) == 0 {
			return out, nil
		}
	}
}

// Resource gives the version in force of a resource with proposed treatments.
func (s *Service) Resource(ctx context.Context, code string) (*catalog.Resource, []Treatment, error) {
	r, err := s.deps.Catalog.Published(ctx, code)
	if err != nil {
		return nil, nil, err
	}
	return r, DefaultTreatments(r), nil
}

// Latest gives the latest assessment of a resource; errs.NotFound when there is none.
func (s *Service) Latest(ctx context.Context, resource string) (*Assessment, error) {
	a, err := latestAssessment(ctx, s.deps.DB.Read(), resource)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// PreviewOf gives what the public sees of a resource's dataset, for a link from the console.
func (s *Service) PreviewOf(ctx context.Context, resource string) (*Dataset, error) {
	d, err := s.deps.Open.readByID(ctx, resource)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.NotFound, errs.T("开放平台上还没有这个数据集", "the dataset is not on the portal yet"))
	}
	return d, err
}
