package gateway

import (
	"fmt"
	"testing"
	"time"

	"gongshu/audit/audittest"
	"gongshu/identity"
	"gongshu/internal/db/dbtest"
)

// BenchmarkAuthorise: finding and checking the plan of a request at 10,000 grants.
func BenchmarkAuthorise(b *testing.B) {
	f := grantsOn(b, dbtest.SQLite(b))
	f.deps.Audit = audittest.Open(b, f.d)
	f.rules.Location = time.UTC
	table := &planTable{byUse: map[planKey][]*Plan{}, byID: map[string]*Plan{}}
	for i := range 10_000 {
		g := &Grant{ID: fmt.Sprintf("g%05d", i), GrantSpec: f.spec(Query), Created: f.now}
		g.Client, g.Resource, g.Users, g.PerSecond = fmt.Sprintf("body%d", i%200), fmt.Sprintf("3100101%02d/000001", i/200), []string{"林小敏"}, 1<<30
		p, err := f.compile(g, people)
		if err != nil {
			b.Fatal(err)
		}
		p.meter = newMeter(g.ID)
		table.byID[g.ID] = p
		key := planKey{g.Client, g.Resource, Query}
		table.byUse[key] = append(table.byUse[key], p)
	}
	f.plans.Store(table)
	call := &Call{Caller: &identity.Caller{Client: identity.APIClient{ID: "c", Body: "body77"}}, Resource: "310010130/000001"}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		call.Facts = Facts{Purpose: "低保资格核验"}
		f.checked.Store(monotonic())
		if _, err := f.plan(ctx, call, Query); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAuthoriseCost holds the bound of allocations where timing would be noise.
func TestAuthoriseCost(t *testing.T) {
	f := grantsOn(t, dbtest.SQLite(t))
	f.deps.Audit = audittest.Open(t, f.d)
	spec := f.spec(Query)
	spec.Users, spec.PerSecond = []string{"林小敏"}, 1<<30
	f.grant(t, spec)
	call := &Call{Caller: &identity.Caller{Client: identity.APIClient{ID: "c", Body: "welfare"}}, Resource: people.Code}
	if n := testing.AllocsPerRun(100, func() {
		call.Facts = Facts{}
		f.checked.Store(monotonic())
		if _, err := f.plan(t.Context(), call, Query); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations to authorise, want at most 2", n)
	}
}
