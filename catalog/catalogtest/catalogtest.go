// Package catalogtest gives tests a catalog with a door, a log, three bodies and their people, and
// publishes resources the way people do.
package catalogtest

import (
	"context"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/profile"
)

// Bodies of the test city. Their credit codes carry valid check digits and belong to nobody.
var (
	Police    = catalog.Body{ID: "body-police", Name: "市公安局", USCC: "11350100000000019N", District: "350100"}
	Market    = catalog.Body{ID: "body-market", Name: "市市场监督管理局", USCC: "12350500MB00000278", District: "350100"}
	Authority = catalog.Body{ID: "body-authority", Name: "市大数据委", USCC: "51350800MJ0000042P", District: "350100"}
)

// World is a catalog and what it stands on.
type World struct {
	DB      *db.DB
	Door    *operation.Door
	Log     *audit.Log
	Cases   *casework.Service
	Inbox   *notice.Service // the only holder of a post is its Actor
	Catalog *catalog.Service
	Policy  *catalog.Policy
	Clock   *time.Time // what Now answers; move it at will
}

// Open makes a catalog of the city ("fuzhou", "foshan" …, or a profile's file) on a migrated store. change may complete the
// dependencies (Tables, CheckExpr, hooks) before the catalog is made; it may be nil.
func Open(t testing.TB, d *db.DB, city string, change func(*catalog.Deps)) *World {
	t.Helper()
	log := audittest.Open(t, d)
	clock := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	door, err := operation.New(operation.Deps{DB: d, Log: log, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Open(city)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(t.TempDir(), blob.NewMaster(blob.AES256GCM), blob.AES256GCM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	w := &World{DB: d, Door: door, Log: log, Policy: catalog.PolicyFrom(p, clock), Clock: &clock}
	w.Inbox = notice.New(notice.Deps{DB: d, Door: door, Now: now, Holders: func(_ context.Context, _ db.Querier, body string, post identity.Post) ([]string, error) {
		return []string{Actor(catalog.Body{ID: body}, post).ID}, nil
	}})
	w.Cases = casework.New(casework.Deps{DB: d, Door: door, Blobs: blobs, Send: w.Inbox.SendTx, Now: now})
	deps := catalog.Deps{DB: d, Door: door, Now: now, Cases: w.Cases, AuthorityFor: AuthorityFor,
		Policy: func() *catalog.Policy { return w.Policy },
		Body: func(_ context.Context, id string) (catalog.Body, error) {
			for _, b := range []catalog.Body{Police, Market, Authority} {
				if b.ID == id {
					return b, nil
				}
			}
			return catalog.Body{}, errs.Newf(errs.NotFound, "没有这个机构：%s", "no such body: %s", id)
		},
	}
	if change != nil {
		change(&deps)
	}
	w.Catalog = catalog.New(deps)
	return w
}

// AuthorityFor gives the test city's one authority for every division.
func AuthorityFor(context.Context, string) (catalog.Body, error) { return Authority, nil }

// Actor is a person of a body acting under a post. The person's id says both.
func Actor(b catalog.Body, post identity.Post) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: b.ID + "/" + string(post), Name: b.Name + string(post), Body: b.ID, BodyName: b.Name,
		District: b.District, Level: "city", Post: post, Posts: []identity.Post{post}, Lang: "zh"}
}

// Licences is a whole, faultless table resource of the market office: unconditional, generally open,
// eight items, keyed by credit code.
func Licences() catalog.Resource {
	return catalog.Resource{
		Kind: catalog.Table, Name: "企业登记注册信息", Summary: "本市登记的企业法人名称、住所、注册资本和状态。",
		Class: catalog.Class{Class: "1", Item: "02", Head: "002"}, Theme: "08", Region: "350100", Tags: []string{"企业", "营业执照"},
		Body: Market.ID, System: "市场主体登记系统", Format: catalog.FormatDatabase, FormatTypes: []string{"mysql"},
		Items: []catalog.Item{
			{Name: "统一社会信用代码", Code: "uscc", Type: catalog.Char, Length: 18, Key: true, Personal: "uscc", Grade: 1},
			{Name: "企业名称", Code: "name", Type: catalog.Char, Length: 200, Required: true, Grade: 1},
			{Name: "企业类型", Code: "kind", Type: catalog.Char, Length: 4, Enum: []catalog.Code{{Value: "1100", Label: "有限责任公司"}, {Value: "1200", Label: "股份有限公司"}}, Grade: 1},
			{Name: "注册资本（万元）", Code: "capital", Type: catalog.Money, Length: 18, Scale: 2, Min: "0", Grade: 1},
			{Name: "成立日期", Code: "founded", Type: catalog.Date, NotFuture: true, Grade: 1},
			{Name: "住所", Code: "address", Type: catalog.Char, Length: 300, Grade: 1},
			{Name: "行政区划", Code: "division", Type: catalog.Char, Length: 6, CodeList: "GB/T 2260", Grade: 1},
			{Name: "登记状态", Code: "state", Type: catalog.Char, Length: 20, Grade: 1},
		},
		Sharing: catalog.Unconditional, SharingWays: []catalog.Way{catalog.WayDatabase, catalog.WayService},
		Opening: catalog.General, OpeningNote: "注明来源", Cycle: catalog.Daily, Grade: 1,
		Collection: catalog.Collection{Way: "business", Basis: "市场主体登记系统"},
		Source:     catalog.Source{Duty: "市场主体登记", Confirmed: true},
		Secrecy:    catalog.Secrecy{Declared: true, Document: "保审〔2026〕1号"},
	}
}

// Residents is a whole, faultless table resource of the police: conditional with executable
// conditions, closed, personal data, keyed by resident ID.
func Residents() catalog.Resource {
	return catalog.Resource{
		Kind: catalog.Table, Name: "户籍人口基本信息", Summary: "本市户籍人口的身份、住址与婚姻状况。",
		Class: catalog.Class{Class: "1", Item: "01", Head: "001"}, Theme: "13", Region: "350100",
		Body: Police.ID, System: "人口信息管理系统", Format: catalog.FormatDatabase, FormatTypes: []string{"oracle"},
		Items: []catalog.Item{
			{Name: "公民身份号码", Code: "resident_id", Type: catalog.Char, Length: 18, Key: true, Personal: "resident_id", Mask: "pseudonym"},
			{Name: "姓名", Code: "name", Type: catalog.Char, Length: 50, Required: true, Personal: "name", Mask: "keep_ends"},
			{Name: "性别", Code: "sex", Type: catalog.Char, Length: 1, CodeList: "GB/T 2261.1"},
			{Name: "民族", Code: "ethnic", Type: catalog.Char, Length: 2, CodeList: "GB/T 3304"},
			{Name: "出生日期", Code: "born", Type: catalog.Date, NotFuture: true, Personal: "birth_date", Mask: "date"},
			{Name: "户籍地址", Code: "address", Type: catalog.Char, Length: 300, Personal: "address", Mask: "replace"},
			{Name: "区划代码", Code: "division", Type: catalog.Char, Length: 6},
			{Name: "婚姻状况", Code: "marital", Type: catalog.Char, Length: 2, CodeList: "GB/T 2261.2"},
		},
		Sharing: catalog.Conditional, SharingWays: []catalog.Way{catalog.WayService},
		Conditions: []catalog.Condition{
			{Bodies: []string{Market.ID}, Purposes: []string{"check", "collaboration"}, Modes: []catalog.Mode{catalog.Query, catalog.Verify}, MaxDays: 365},
			{Modes: []catalog.Mode{catalog.Statistics}, Purposes: []string{"research"}, Items: []string{"sex", "ethnic", "division", "marital"}},
		},
		SharingBasis: []catalog.Basis{{Kind: catalog.Law, Title: "中华人民共和国居民身份证法", Article: "第十九条"}},
		Opening:      catalog.Closed, ClosedGround: "third_party", Cycle: catalog.RealTime, Grade: 2,
		Collection: catalog.Collection{Way: "law", Basis: "中华人民共和国户口登记条例"},
		Source:     catalog.Source{Duty: "户口登记管理", Confirmed: true},
		Secrecy:    catalog.Secrecy{Declared: true},
	}
}

// Publish takes a resource through registration, submission and every step of the city's procedure,
// each by another person. in.Body is one of the test city's bodies.
func (w *World) Publish(t testing.TB, in catalog.Resource) *catalog.Resource {
	t.Helper()
	r, err := w.Catalog.Create(t.Context(), w.person(t, in.Body, identity.Steward), in)
	if err != nil {
		t.Fatalf("create %s: %v", in.Name, err)
	}
	return w.Through(t, r.Code)
}

// Through takes the newest draft of a resource to publication.
func (w *World) Through(t testing.TB, code string) *catalog.Resource {
	t.Helper()
	ctx := t.Context()
	r, err := w.Catalog.Get(ctx, code, -1)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = w.Catalog.Submit(ctx, w.person(t, r.Body, identity.Steward), catalog.AddressOf{Code: r.Code}); err != nil {
		t.Fatalf("submit %s: %v", code, err)
	}
	for _, step := range w.Policy.Publication.Steps {
		body := r.Body
		if step.Bodies[0] == profile.RelAuthority {
			body = Authority.ID
		}
		w.Decide(t, w.person(t, body, identity.Post(step.Post)), r.Case, casework.Pass, "保审〔2026〕1号")
	}
	if r, err = w.Catalog.Get(ctx, code, 0); err != nil {
		t.Fatalf("%s is not in force: %v", code, err)
	}
	return r
}

// Decide decides the step of a case that is the actor's.
func (w *World) Decide(t testing.TB, who identity.Actor, number, outcome, reason string) casework.Case {
	t.Helper()
	task, err := w.Cases.TaskFor(t.Context(), who, number)
	if err != nil {
		t.Fatalf("%s has nothing to decide in %s: %v", who.ID, number, err)
	}
	c, err := w.Cases.Decide(t.Context(), who, task.ID, casework.Decision{Outcome: outcome, Reason: reason})
	if err != nil {
		t.Fatalf("%s of %s by %s: %v", outcome, number, who.ID, err)
	}
	return c
}

func (w *World) person(t testing.TB, body string, post identity.Post) identity.Actor {
	t.Helper()
	for _, b := range []catalog.Body{Police, Market, Authority} {
		if b.ID == body {
			return Actor(b, post)
		}
	}
	t.Fatalf("no body %s in the test city", body)
	return identity.Actor{}
}
