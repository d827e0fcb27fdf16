package demo

import (
	"context"
	"fmt"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/opendata"
)

// planOpening plans that every resource whose type is general or authorised is
// assessed by its department and published by the authority, some weeks after it
// came into the catalog; one is withdrawn again.
func (b *builder) planOpening() {
	n := 0
	for i, p := range b.plans {
		if p.Opening == string(catalog.Closed) {
			continue
		}
		n++
		b.plan(registered(i)+12+n%5*6, 14, i%60, "opening of "+p.Name, func(ctx context.Context) error { return b.publishOpen(ctx, p) })
	}
	for day := 40; day < storyDays; day += 2 {
		b.plan(day, 20, 0, "downloads", func(ctx context.Context) error { return b.downloads(ctx) })
	}
	b.plan(188, 16, 0, "withdrawal", func(ctx context.Context) error {
		_, err := b.OpenData.Withdraw(ctx, b.actor("authority", identity.AuthorityReviewer), b.resources["presale_permits"].Code, "发现个别项目信息有误，撤回核实，更正后重新开放")
		return err
	})
}

func (b *builder) publishOpen(ctx context.Context, p resourcePlan) error {
	code := b.resources[p.English].Code
	_, treatments, err := b.OpenData.Resource(ctx, code)
	if err != nil {
		return err
	}
	if _, err := b.OpenData.Assess(ctx, b.actor(p.Body, identity.Steward), code, opendata.Assessment{
		Secrecy: true, SecrecyRecord: "保密审查〔2026〕开放", Treatments: treatments,
		Risk: opendata.Low, Risks: "不含个人信息和商业秘密，汇聚分析无法识别特定自然人", Measures: "发布前由程序复核各信息项，发现问题立即撤回",
	}); err != nil {
		return err
	}
	if _, err := b.OpenData.Publish(ctx, b.actor("authority", identity.AuthorityReviewer), code); err != nil {
		gate, _, gateErr := b.OpenData.Gate(ctx, code)
		return fmt.Errorf("%w (gate: %+v, %v)", err, gate, gateErr)
	}
	return nil
}

// downloads counts two days of the public's downloads and calls. Some datasets are
// liked more than others, and more people come as the months pass.
func (b *builder) downloads(ctx context.Context) error {
	r := b.gen.rng("public", b.today)
	liked := map[string]int{"bus_stops": 9, "air_quality": 8, "schools": 7, "enterprises": 7, "car_parks": 5, "medical_institutions": 5, "attractions": 4}
	for _, p := range b.plans {
		entry, err := b.OpenData.Entry(ctx, b.resources[p.English].ID)
		if errs.KindOf(err) == errs.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		dataset, err := b.Open.BySlug(ctx, entry.Slug)
		if errs.KindOf(err) == errs.NotFound { // its first bundle is still being built
			continue
		}
		if err != nil {
			return err
		}
		if !dataset.Live() || len(dataset.Files) == 0 {
			continue
		}
		for range r.IntN((liked[p.English] + 1) * (1 + b.today/40)) {
			file := dataset.Files[r.IntN(len(dataset.Files))]
			b.Open.Count(dataset, dataset.Version, file.Format, file.Size, b.Clock.Now())
		}
		for range r.IntN(2 + liked[p.English]*3) {
			b.Open.Count(dataset, dataset.Version, "api", int64(400+r.IntN(8000)), b.Clock.Now())
		}
	}
	return b.Open.Flush(ctx)
}
