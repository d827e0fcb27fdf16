package demo

import (
	"context"
	"slices"
	"strings"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/profile"
)

// registered is how many days after the opening a resource is registered: the
// base databases first, then one department after another.
func registered(i int) int { return 4 + i/3 }

// planCatalog plans that every resource is registered, signed, cleared, submitted
// and reviewed the way a city does it, and that a few stay on the way.
func (b *builder) planCatalog() {
	b.plan(3, 15, 0, "classification", b.heads)
	for i, p := range b.plans {
		b.plan(registered(i), 9, 10*(i%3), "catalog entry "+p.Name, func(ctx context.Context) error {
			r, err := b.resourceOf(p)
			if err != nil {
				return err
			}
			return b.publish(ctx, p, r)
		})
	}
	b.plan(196, 10, 0, "catalog entries on the way", b.underway)
}

// underway leaves one resource as a draft, one waiting for its department's leader,
// one with the authority, and one published resource with a new version in draft.
func (b *builder) underway(ctx context.Context) error {
	for i, name := range []string{"充电桩运行状态", "共享单车停放点", "城市绿地名录"} {
		in, err := b.resourceOf(b.planOf("car_parks"))
		if err != nil {
			return err
		}
		in.Name, in.Summary = name, name+"的名称、位置与状态。"
		in.Source.Overlap, in.Collection.Basis = "采集对象与停车场信息不同", name+"业务系统"
		steward, addr := b.actor("city", identity.Steward), catalog.AddressOf{}
		made, err := b.Catalog.Create(ctx, steward, in)
		if err != nil {
			return err
		}
		addr.Code = made.Code
		if i == 0 {
			continue
		}
		sent, err := b.Catalog.Submit(ctx, steward, addr)
		if err != nil {
			return err
		}
		if i == 1 {
			continue
		}
		if err := b.pass(ctx, sent, "city", profile.RelProvider); err != nil {
			return err
		}
	}
	_, err := b.Catalog.Revise(ctx, b.actor("bus", identity.Steward), b.resources["bus_stops"].Code)
	return err
}

func (b *builder) planOf(english string) resourcePlan {
	for _, p := range b.plans {
		if p.English == english {
			return p
		}
	}
	panic("demo: no resource " + english)
}

// heads adds the third levels of the classification that the city's resources use
// and the guide does not name; only the authority may (FZM-12).
func (b *builder) heads(ctx context.Context) error {
	known := map[string]bool{}
	heads, err := b.Catalog.Heads(ctx)
	if err != nil {
		return err
	}
	for _, h := range heads {
		known[h.Class+h.Item+h.Head] = true
	}
	for _, p := range b.plans {
		path := strings.Split(p.Path, "/")
		if key := path[0] + path[1] + path[2]; path[0] != "3" && !known[key] {
			known[key] = true
			if err := b.Catalog.AddHead(ctx, b.actor("authority", identity.AuthorityReviewer), path[0], path[1], path[2], strings.TrimSuffix(p.Name, "信息")); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish takes one resource from the steward's form to the catalog.
func (b *builder) publish(ctx context.Context, p resourcePlan, in catalog.Resource) error {
	steward := b.actor(p.Body, identity.Steward)
	made, err := b.Catalog.Create(ctx, steward, in)
	if err != nil {
		return err
	}
	sent, err := b.Catalog.Submit(ctx, steward, catalog.AddressOf{Code: made.Code})
	if err != nil {
		return err
	}
	if err := b.pass(ctx, sent, p.Body, profile.RelProvider, profile.RelAuthority); err != nil {
		return err
	}
	b.resources[p.English], err = b.Catalog.Get(ctx, made.Code, 0)
	return err
}

// pass decides the steps of a submitted version that fall to the named sides: its
// department's (body), the authority's.
func (b *builder) pass(ctx context.Context, r *catalog.Resource, body string, sides ...string) error {
	for _, step := range b.Catalog.Policy().Publication.Steps {
		if !slices.Contains(sides, step.Bodies[0]) {
			continue
		}
		at, note := body, ""
		if step.Bodies[0] == profile.RelAuthority {
			at = "authority"
		}
		if step.Post == string(identity.SecrecyReviewer) {
			note = "保密审查〔2026〕" + r.Code
		}
		who := b.actor(at, identity.Post(step.Post))
		task, err := b.Sharing.Cases().TaskFor(ctx, who, r.Case)
		if err != nil {
			return err
		}
		if _, err := b.Sharing.Cases().Decide(ctx, who, task.ID, casework.Decision{Outcome: casework.Pass, Reason: note}); err != nil {
			return err
		}
	}
	return nil
}

// resourceOf is the catalog entry that a plan describes, in the words and with
// the bases that the city's profile asks for.
func (b *builder) resourceOf(p resourcePlan) (catalog.Resource, error) {
	path := strings.Split(p.Path, "/")
	body := b.bodies[p.Body]
	r := catalog.Resource{
		Kind: catalog.Table, Name: p.Name, Summary: p.Summary, Theme: themeKey(p.Theme), Region: b.gen.city,
		Class: catalog.Class{Class: path[0], Item: path[1], Head: path[2], Detail: path[3]},
		Body:  body.ID, BodyName: body.Name, USCC: body.USCC, Office: "信息科",
		Format: catalog.FormatDatabase, FormatTypes: []string{"mysql"},
		Sharing: catalog.SharingType(p.Sharing), SharingWays: []catalog.Way{catalog.WayService, catalog.WayDatabase},
		Opening: catalog.OpeningType(p.Opening), Cycle: catalog.Cycle(p.Cycle), Grade: p.Grade,
		Collection: catalog.Collection{Way: "business", Basis: p.Name + "业务系统"},
		Source:     catalog.Source{Duty: body.Name + "“三定”规定", Confirmed: true, Overlap: "数据由本部门依法定职责产生，与相近资源的采集对象不同"},
		Secrecy:    catalog.Secrecy{Declared: true, Document: "保密审查〔2026〕登记"},
		Tags:       []string{p.Theme},
	}
	switch p.Sharing {
	case "conditional":
		r.SharingBasis = []catalog.Basis{{Kind: catalog.Law, Title: "中华人民共和国个人信息保护法", Article: "第三十四条",
			Text: "国家机关为履行法定职责处理个人信息，应当依照法律、行政法规规定的权限、程序进行，不得超出履行法定职责所必需的范围和限度。"}}
		r.Conditions = []catalog.Condition{{Purposes: []string{"basis", "check", "collaboration", "enforcement"},
			Modes: []catalog.Mode{catalog.Query, catalog.Verify, catalog.Obtain, catalog.Statistics}, MaxDays: 365, Note: "仅限依法履行职责使用"}}
		if p.Only != "" {
			r.Conditions = []catalog.Condition{{Purposes: []string{"research", "reference"}, Modes: []catalog.Mode{catalog.Mode(p.Only)}, Note: "仅提供统计结果"}}
		}
		r.SharingNote = r.Conditions[0].Note
	case "withheld":
		r.SharingWays = nil
		r.SharingBasis = []catalog.Basis{{Kind: catalog.Law, Title: "中华人民共和国人民警察法", Article: "第二十二条",
			Text: "人民警察不得有下列行为：……（二）泄露国家秘密、警务工作秘密；"}}
	}
	switch p.Opening {
	case "closed":
		r.ClosedGround = "third_party"
		r.OpeningBasis = []catalog.Basis{{Kind: catalog.Law, Title: "中华人民共和国个人信息保护法", Article: "第二十五条",
			Text: "个人信息处理者不得公开其处理的个人信息，取得个人单独同意的除外。"}}
	case "authorised":
		r.OpeningNeeds = []string{"continuous"}
		r.OpeningNote = "须说明用途、应用场景和安全保障措施，签订数据利用协议"
	default:
		r.OpeningNote = "注明数据来源和获取日期"
	}
	for i, plan := range p.Items {
		item := catalog.Item{Column: i + 1, Name: plan.Name, Code: plan.English, Type: catalog.ItemType(plan.Type), Length: plan.Length, Scale: plan.Scale,
			Required: plan.Required, Key: plan.Key, Personal: plan.Personal, Mask: plan.Mask}
		switch plan.generator {
		case "p.sex":
			item.CodeList = "GB/T 2261.1"
		case "p.ethnic":
			item.CodeList = "GB/T 3304"
		case "p.district", "o.district", "t.district", "l.district", "m.district":
			item.CodeList = "GB/T 2260"
		case "past", "recent", "s.date", "p.birth":
			item.NotFuture = true
		}
		r.Items = append(r.Items, item)
	}
	if p.Refs != "" {
		name, resource, _ := strings.Cut(p.Refs, "=")
		for _, other := range b.plans {
			if other.Name != resource {
				continue
			}
			for i := range r.Items {
				if r.Items[i].Name == name {
					target := b.resources[other.English]
					r.Items[i].Reference = &catalog.Reference{Resource: target.Code, Item: target.ItemByName(name).ID}
				}
			}
		}
	}
	return r, nil
}

// themeKey finds a theme by its Chinese word.
func themeKey(word string) string {
	for _, theme := range catalog.Themes() {
		if theme.Text.ZH == word {
			return theme.Key
		}
	}
	panic("demo: no theme " + word) // resources.yaml is embedded
}
