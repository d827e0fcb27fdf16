package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/org"
	"gongshu/profile"
)

// people founds the platform and registers its bodies, their people and posts.
func (b *builder) people(ctx context.Context) error {
	b.at(0, 9, 0)
	b.password = password()
	founded, err := b.Org.Found(ctx, []org.FirstAdmin{
		{Post: identity.SystemAdmin, Login: "sysadmin", Name: "林系统"},
		{Post: identity.SecurityAdmin, Login: "secadmin", Name: "陈安全"},
		{Post: identity.Auditor, Login: "auditor", Name: "黄审计"},
	})
	if err != nil {
		return err
	}
	for i, post := range []identity.Post{identity.SystemAdmin, identity.SecurityAdmin, identity.Auditor} {
		home := founded.Operator
		if post != identity.SystemAdmin {
			home = founded.Authority
		}
		b.enlist("", founded.Admins[i].Person, home, post)
	}
	city := strings.TrimSuffix(profile.CityName.Of(b.Profile).V.ZH, "市")
	for i, plan := range b.bodyPlans {
		b.at(1+i/9, 9, 5*(i%9))
		var body org.Body
		switch plan.Role {
		case "authority":
			body = founded.Authority
			body.USCC = organisationUSCC("11", b.gen.city[:4]+unassignedCounty, 900_000+i)
			if err := b.Org.ChangeBody(ctx, b.cast["system_admin"], body); err != nil {
				return err
			}
		case "operator":
			body = founded.Operator
			body.USCC = organisationUSCC("12", b.gen.city[:4]+unassignedCounty, 900_000+i)
			if err := b.Org.ChangeBody(ctx, b.cast["system_admin"], body); err != nil {
				return err
			}
		default:
			prefix := map[string]string{"organ": "11", "institution": "12", "social": "13", "utility": "91", "court": "11"}[plan.Kind]
			kind := plan.Kind
			body, err = b.Org.CreateBody(ctx, b.cast["system_admin"], org.Body{
				Name: strings.ReplaceAll(plan.Name, "{city}", city), Short: short(plan.Name), Kind: kind, Role: org.Department, Level: org.City,
				District: b.gen.city, Parent: "", USCC: organisationUSCC(prefix, b.gen.city[:4]+unassignedCounty, 900_000+i),
				Phone: fmt.Sprintf("0591-8%07d", 3_000_000+i*37),
			})
			if err != nil {
				return fmt.Errorf("%s: %w", plan.Name, err)
			}
		}
		b.bodies[plan.Key] = body
		if err := b.staff(ctx, i, plan, body); err != nil {
			return fmt.Errorf("%s: %w", body.Name, err)
		}
	}
	return nil
}

// staff gives a body its people: a steward, a leader and a secrecy reviewer; the
// authority two reviewers besides, the operator its operators.
func (b *builder) staff(ctx context.Context, n int, plan bodyPlan, body org.Body) error {
	posts := []identity.Post{identity.Steward, identity.Leader, identity.SecrecyReviewer}
	switch plan.Role {
	case "authority":
		posts = append(posts, identity.AuthorityReviewer)
	case "operator":
		posts = append(posts, identity.Operator)
	}
	titles := map[identity.Post]string{identity.Steward: "数据专管员", identity.Leader: "副局长", identity.SecrecyReviewer: "保密员",
		identity.AuthorityReviewer: "数据资源科科长", identity.Operator: "运维工程师"}
	var leader, steward org.Person
	for j, post := range posts {
		r := b.gen.rng("official"+plan.Key, j)
		login := plan.Key + "." + strings.TrimSuffix(strings.ReplaceAll(string(post), "_", ""), "reviewer")
		made, err := b.Org.CreatePerson(ctx, b.cast["system_admin"], org.NewPerson{
			Person: org.Person{Login: login, Name: personName(r), Body: body.ID, Title: titles[post],
				StaffNo: fmt.Sprintf("%03d%02d", n+1, j+1), Phone: phone(r), Email: login + "@example.gov.cn"},
			Posts: []identity.Post{post},
		})
		if err != nil {
			return err
		}
		for _, h := range made.Holdings {
			if err := b.Org.Confirm(ctx, b.cast["security_admin"], h.ID); err != nil {
				return err
			}
		}
		b.enlist(plan.Key, made.Person, body, post)
		switch post {
		case identity.Leader:
			leader = made.Person
		case identity.Steward:
			steward = made.Person
		}
	}
	// Two bodies in three have filed what the articles ask for; the others are late.
	if n%3 == 2 {
		return nil
	}
	_, err := b.Org.File(ctx, b.actor(plan.Key, identity.Steward), org.Filing{
		Body: body.ID, Office: "信息科",
		Leader:     org.Contact{Name: leader.Name, Title: leader.Title, Phone: leader.Phone},
		Daily:      org.Contact{Name: steward.Name, Title: steward.Title, Phone: steward.Phone},
		Procedures: "《政务数据管理工作规程》", Rules: "《政务数据使用管理制度》", Accountability: "《政务数据责任追究办法》",
	})
	return err
}

// enlist remembers an actor and a row of demo.json. key "" is one of the three
// administrators, found by post alone.
func (b *builder) enlist(key string, p org.Person, body org.Body, post identity.Post) {
	name := string(post)
	if key != "" {
		name = key + "." + name
	}
	b.cast[name] = identity.Actor{Kind: identity.Person, ID: p.ID, Name: p.Name, Login: p.Login, Body: body.ID, BodyName: body.Name,
		District: body.District, Level: body.Level, Posts: []identity.Post{post}, Post: post, Lang: "zh", Addr: "127.0.0.1"}
	b.file.Accounts = append(b.file.Accounts, Account{Login: p.Login, Post: string(post), Body: body.Name})
}

// actor is who holds a post at a body of bodies.yaml.
func (b *builder) actor(key string, post identity.Post) identity.Actor {
	a, ok := b.cast[key+"."+string(post)]
	if !ok {
		panic("demo: nobody is " + string(post) + " at " + key) // bodies.yaml is embedded
	}
	return a
}

// setPasswords gives all people of the demo one password, random for each data
// directory, so that there is no default one and a visitor can be anybody.
func (b *builder) setPasswords(ctx context.Context) error {
	secret, err := b.Identity.PrepareSecret(ctx, "demo", "演示", b.password, identity.SystemAdmin)
	if err != nil {
		return err
	}
	for i := range b.file.Accounts {
		b.file.Accounts[i].Password = b.password
	}
	return b.Control.InTx(ctx, func(tx *db.Tx) error {
		for _, a := range b.cast {
			if _, err := b.Identity.SetSecretTx(ctx, tx, a.ID, secret, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// password is eighteen random characters of the kinds that the rules ask for.
func password() string {
	return "Gs-" + strings.ToLower(rand.Text()[:10]) + "7" + rand.Text()[:4]
}

func short(name string) string {
	s := strings.ReplaceAll(name, "{city}市", "市")
	s = strings.ReplaceAll(s, "国家税务总局市税务局", "市税务局")
	return strings.NewReplacer("卫生健康委员会", "卫健委", "人力资源和社会保障局", "人社局", "住房公积金中心", "公积金中心", "残疾人联合会", "残联",
		"市场监督管理局", "市监局", "委机构编制委员会办公室", "委编办", "住房和城乡建设局", "住建局", "发展和改革委员会", "发改委",
		"文化和旅游局", "文旅局", "集团有限公司", "集团", "行政服务中心", "行政服务中心").Replace(s)
}
