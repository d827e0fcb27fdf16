package main

import (
	"context"

	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/org"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/workday"
)

// What one area needs of another and may not import is adapted here.

func (a *app) catalogBody(ctx context.Context, id string) (catalog.Body, error) {
	return bodyOf(a.org.Body(ctx, id))
}

func (a *app) catalogBodyByName(ctx context.Context, name string) (catalog.Body, error) {
	return bodyOf(a.org.BodyByName(ctx, name))
}

func (a *app) catalogAuthority(ctx context.Context, district string) (catalog.Body, error) {
	return bodyOf(a.org.AuthorityFor(ctx, district))
}

func bodyOf(b org.Body, err error) (catalog.Body, error) {
	return catalog.Body{ID: b.ID, Name: b.Name, USCC: b.USCC, District: b.District}, err
}

// gatewaySource is a published resource as a plan sees it.
func (a *app) gatewaySource(ctx context.Context, q db.Querier, code string) (gateway.Source, error) {
	r, err := a.catalog.GetTx(ctx, q, code, 0)
	if err != nil {
		return gateway.Source{}, err
	}
	source := gateway.Source{
		ID: r.ID, Code: r.Code, Name: r.Name, Provider: r.Body, ProviderName: r.BodyName,
		Sharing: string(r.Sharing), Open: r.Opening == catalog.General, Version: r.Version,
	}
	for _, item := range r.Items {
		source.Items = append(source.Items, gateway.SourceItem{
			ID: item.ID, Code: item.Code, Name: item.Name, Column: item.Column, Type: string(item.Type), Key: item.Key,
			Personal: privacy.Kind(item.Personal), Mask: item.Mask,
		})
	}
	return source, nil
}

// gatewayChanges follows the catalog for the data service.
func (a *app) gatewayChanges(ctx context.Context, after int64) (codes []string, newest int64, err error) {
	const page = 1000
	newest = max(after, 0)
	for {
		changes, err := a.catalog.Changes(ctx, newest, page)
		if err != nil {
			return nil, newest, err
		}
		for _, c := range changes {
			newest = c.Seq
			if after < 0 {
				continue
			}
			r, err := a.catalog.GetByID(ctx, c.Resource, -1)
			if errs.Is(err, errs.NotFound) {
				continue // a draft that was discarded
			}
			if err != nil {
				return nil, newest, err
			}
			codes = append(codes, r.Code)
		}
		if len(changes) < page {
			return codes, newest, nil
		}
	}
}

// gatewayRules are the profile's settings for the data service in force now.
func (a *app) gatewayRules() gateway.Rules {
	now := a.now()
	bulk := profile.BulkExport.At(a.profile, now)
	cell := profile.SmallCell.At(a.profile, now)
	months := profile.LogMonths.At(a.profile, now)
	facts := profile.UsageFacts.At(a.profile, now)
	return gateway.Rules{
		City:   profile.CityName.Of(a.profile).V.ZH,
		NoBulk: bulk.V == "by_exception", NoBulkClause: bulk.Clause(),
		MinCell: cell.V, MinCellClause: cell.Clause(),
		UsageDays: months.V * 31, UsageDaysClause: months.Clause(),
		FactsClauses: []string{facts.Clause()},
		Location:     workday.Zone,
	}
}

func (a *app) districtOf(ctx context.Context, body string) (string, error) {
	b, err := a.org.Body(ctx, body)
	return b.District, err
}

// endGrants ends every grant on a resource in the transaction that takes it out of
// the catalog: what is no longer shared can no longer be used.
func (a *app) endGrants(ctx context.Context, tx *db.Tx, r *catalog.Resource) error {
	told := map[string]bool{}
	for after := ""; ; {
		grants, err := a.gateway.Grants(ctx, tx, gateway.Filter{Resource: r.Code, After: after, Limit: 500})
		if err != nil || len(grants) == 0 {
			return err
		}
		for _, g := range grants {
			if state := g.State(a.now()); state == gateway.Revoked || state == gateway.Expired {
				continue
			}
			if _, err := a.gateway.RevokeTx(ctx, tx, g.ID, r.Withdrawal.Name, r.Withdrawal.Reason); err != nil {
				return err
			}
			if told[g.Client] {
				continue
			}
			told[g.Client] = true
			if err := a.tellWithdrawn(ctx, tx, r, g.Client); err != nil {
				return err
			}
		}
		after = grants[len(grants)-1].ID
	}
}
