package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/org"
	"gongshu/sharing"
)

// What leaves the catalog is used no more: its grants end in the transaction that
// withdraws it, the next call is refused, and the consumer reads why.
func TestWithdrawalEndsGrants(t *testing.T) {
	clause.Covers(t, "FZM-12", "FZM-29", "FS-17", "LY-8")
	dbtest.EachURL(t, func(t *testing.T, database string) {
		a, founded, system := served(t, database, time.Now)
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		system.first("sysadmin", founded.Admins[0].InitialSecret)
		security := newVisit(t, system.base)
		security.first("secadmin", founded.Admins[1].InitialSecret)
		body := func(name string) org.Body {
			t.Helper()
			b, err := a.org.CreateBody(ctx, system.actor(a), org.Body{Name: name, USCC: map[string]string{"福州市市场监督管理局": catalogtest.Market.USCC, "福州市民政局": catalogtest.Police.USCC}[name], Kind: "organ", Role: org.Department, Level: org.City, District: "350100"})
			must(err)
			return b
		}
		provider, consumer := body("福州市市场监督管理局"), body("福州市民政局")
		authority, err := a.org.AuthorityFor(ctx, "350100")
		must(err)
		person := func(b org.Body, post identity.Post) identity.Actor {
			return catalogtest.Actor(catalog.Body{ID: b.ID, Name: b.Name, District: b.District}, post)
		}

		in := catalogtest.Licences()
		in.Body = provider.ID
		r, err := a.catalog.Create(ctx, person(provider, identity.Steward), in)
		must(err)
		r, err = a.catalog.Submit(ctx, person(provider, identity.Steward), catalog.AddressOf{Code: r.Code})
		must(err)
		for _, who := range []identity.Actor{person(provider, identity.Leader), person(provider, identity.SecrecyReviewer), person(authority, identity.AuthorityReviewer)} {
			task, err := a.casework.TaskFor(ctx, who, r.Case)
			must(err)
			_, err = a.casework.Decide(ctx, who, task.ID, casework.Decision{Outcome: casework.Pass, Reason: "保审1号"})
			must(err)
		}
		var key identity.IssuedKey
		must(a.control.InTx(ctx, func(tx *db.Tx) error {
			c, err := a.identity.CreateClientTx(ctx, tx, identity.NewClient{Name: "救助系统", Body: consumer.ID, BodyName: consumer.Name, District: "350100", Level: "city"})
			if err == nil {
				key, err = a.identity.IssueKeyTx(ctx, tx, c.ID, "test", time.Time{})
			}
			return err
		}))
		must(a.identity.LoadClients(ctx))
		got, err := a.sharing.Apply(ctx, person(consumer, identity.Steward), sharing.Form{Resource: r.Code, Mode: "query", Purposes: []string{"check"}, Business: "救助核对", Users: []string{"一科"}})
		must(err)

		call := func(want int) string {
			t.Helper()
			said, _ := system.do(want, "POST", "/api/v1/resources/"+r.PathCode()+"/query", `{"where":{"统一社会信用代码":"91350100M000100Y43"}}`,
				"Authorization", "Bearer "+key.Key, "Content-Type", "application/json")
			return said
		}
		call(200)
		before, err := a.gateway.Grant(ctx, a.control.Read(), got.GrantID)
		must(err)
		if before.State(a.now()) != gateway.Active {
			t.Fatalf("the grant is %s", before.State(a.now()))
		}

		_, err = a.catalog.Withdraw(ctx, person(provider, identity.Leader), catalog.AddressOf{Code: r.Code}, "职能划转，停止共享")
		must(err)
		said := call(403)
		contains(t, said, "there is no grant in force", "FZM-17")
		if strings.Contains(said, `"rows"`) {
			t.Errorf("the refusal carries rows: %s", said)
		}
		after, err := a.gateway.Grant(ctx, a.control.Read(), got.GrantID)
		must(err)
		if after.State(a.now()) != gateway.Revoked || after.Reason != "职能划转，停止共享" {
			t.Errorf("the grant after the withdrawal: %s %q", after.State(a.now()), after.Reason)
		}

		made, err := a.org.CreatePerson(ctx, system.actor(a), org.NewPerson{Person: org.Person{Name: "林晓", Login: "linxiao", Body: consumer.ID, Phone: "13800138000"}, Posts: []identity.Post{identity.Steward}})
		must(err)
		for _, h := range made.Holdings {
			must(a.org.Confirm(ctx, security.actor(a), h.ID))
		}
		v := newVisit(t, system.base)
		v.first("linxiao", made.InitialSecret)
		page, _ := v.do(200, "GET", "/console/grants/"+url.PathEscape(got.GrantID), "")
		contains(t, page, "职能划转，停止共享")
	})
}
