// Package sharingtest gives tests a city with its whole sharing procedure:
// catalog, cases, agreements, gateway and two published resources.
package sharingtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"gongshu/agreement"
	"gongshu/audit"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/org"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/workday"
)

// Centre is the operator of the test city.
var Centre = catalog.Body{ID: "body-centre", Name: "市大数据中心", District: "350100"}

// World is a city with two resources: residents (conditional, of the police) and
// licences (unconditional, of the market office).
type World struct {
	*catalogtest.World
	Sharing             *sharing.Service
	Agreements          *agreement.Service
	Gateway             *gateway.Service
	Profile             *profile.Profile
	Residents, Licences *catalog.Resource
	AskedFor            string // division whose authority was asked for last
}

// Open makes the city on a migrated store, at ten in the morning of 18 September 2026.
func Open(t testing.TB, d *db.DB, city string) *World {
	t.Helper()
	w := &World{World: catalogtest.Open(t, d, city, nil)}
	now := func() time.Time { return *w.Clock }
	p, err := profile.Open(city)
	if err != nil {
		t.Fatal(err)
	}
	w.Profile = p
	keys, err := audit.GenerateKeys("platform")
	if err != nil {
		t.Fatal(err)
	}
	verifiers, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if w.Agreements, err = agreement.New(agreement.Deps{DB: d, Door: w.Door, Signers: keys.Signers(), Verifiers: verifiers, Now: now}); err != nil {
		t.Fatal(err)
	}
	mask, err := privacy.NewSoftKeys([]byte("a master secret of the tests"), false)
	if err != nil {
		t.Fatal(err)
	}
	bulk := profile.BulkExport.At(p, now())
	if w.Gateway, err = gateway.New(t.Context(), gateway.Deps{DB: d, Keys: mask, Now: now,
		Rules: func() gateway.Rules {
			return gateway.Rules{NoBulk: bulk.V == "by_exception", NoBulkClause: bulk.Clause(), MinCell: 5, Location: workday.Zone}
		},
		Resolve: func(ctx context.Context, q db.Querier, code string) (gateway.Source, error) {
			r, err := w.Catalog.GetTx(ctx, q, code, 0)
			if err != nil {
				return gateway.Source{}, err
			}
			src := gateway.Source{ID: r.ID, Code: r.Code, Name: r.Name, Provider: r.Body, ProviderName: r.BodyName, Sharing: string(r.Sharing), Open: r.Opening == catalog.General, Version: r.Version}
			for _, it := range r.Items {
				src.Items = append(src.Items, gateway.SourceItem{Name: it.Name, Column: it.Column, Type: string(it.Type), Key: it.Key, Personal: privacy.Kind(it.Personal), Mask: it.Mask})
			}
			return src, nil
		}}); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]org.Body{}
	for _, b := range []catalog.Body{catalogtest.Police, catalogtest.Market, catalogtest.Authority, Centre} {
		bodies[b.ID] = org.Body{ID: b.ID, Name: b.Name, District: b.District, Level: org.City}
	}
	if w.Sharing, err = sharing.New(sharing.Deps{DB: d, Door: w.Door, Cases: w.Cases, Catalog: w.Catalog, Agreement: w.Agreements, Gateway: w.Gateway, Profile: p,
		Body: func(_ context.Context, id string) (org.Body, error) {
			if b, ok := bodies[id]; ok {
				return b, nil
			}
			return org.Body{}, errs.New(errs.NotFound, errs.T("没有这个单位", "no such body"))
		},
		AuthorityFor: func(_ context.Context, district string) (org.Body, error) {
			w.AskedFor = district
			return bodies[catalogtest.Authority.ID], nil
		},
		Operator: func(context.Context) (org.Body, error) { return bodies[Centre.ID], nil },
		Clients: func(_ context.Context, body string) ([]identity.APIClient, error) {
			return []identity.APIClient{{ID: body + "-system", Body: body}}, nil
		},
		Send: w.Inbox.SendTx,
		Now:  now}); err != nil {
		t.Fatal(err)
	}
	w.On(t, "2026-09-18")
	w.Residents, w.Licences = w.Publish(t, catalogtest.Residents()), w.Publish(t, catalogtest.Licences())
	return w
}

// Now is the city's clock.
func (w *World) Now() time.Time { return *w.Clock }

// On sets the clock to ten in the morning of a China date.
func (w *World) On(t testing.TB, date string) {
	t.Helper()
	d, err := workday.ParseDate(date)
	if err != nil {
		t.Fatal(err)
	}
	*w.Clock = d.Start().Add(10 * time.Hour)
}
