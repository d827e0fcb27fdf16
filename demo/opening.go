package demo

import (
	"context"
	"fmt"

	"gongshu/catalog"
	"gongshu/identity"
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
