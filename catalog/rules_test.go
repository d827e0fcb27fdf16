package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/profile"
)

var day = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func policyOf(t testing.TB, city string) *catalog.Policy {
	t.Helper()
	p, err := profile.Load(city)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.PolicyFrom(p, day)
}

// whole gives a resource the facts that the store adds, so that Validate sees what it sees in life.
func whole(r catalog.Resource, b catalog.Body) *catalog.Resource {
	r.Body, r.BodyName, r.USCC = b.ID, b.Name, b.USCC
	for i := range r.Items {
		r.Items[i].ID = r.Items[i].Code
		r.Items[i].Column = i + 1
	}
	return &r
}

func TestWholeResourcesPassInEveryCity(t *testing.T) {
	clause.Covers(t, "FS-19", "FZM-12", "LY-8", "QZ-3.1.1")
	for _, city := range []string{"fuzhou", "quanzhou", "foshan", "longyan"} {
		for _, r := range []*catalog.Resource{whole(catalogtest.Licences(), catalogtest.Market), whole(catalogtest.Residents(), catalogtest.Police)} {
			if faults := catalog.Validate(r, policyOf(t, city)); len(faults) > 0 {
				t.Errorf("%s: %s: %+v", city, r.Name, faults)
			}
		}
	}
}

func TestRules(t *testing.T) {
	clause.Covers(t, "FZM-2", "FZM-16", "FZM-20", "FZM-31", "FZO-5", "FZO-6", "FZO-6.2", "FZO-11", "FZO-24", "FS-5.3", "FS-12", "FS-13", "FS-21", "FS-22", "FS-24", "FS-25", "FS-18", "LY-11", "LY-17", "LY-23", "QZ-4.1", "QZ-3.1.6", "FS-34", "FS-40.2", "FS-9", "FS-20")
	type R = *catalog.Resource
	licences := func() R { return whole(catalogtest.Licences(), catalogtest.Market) }
	residents := func() R { return whole(catalogtest.Residents(), catalogtest.Police) }
	for _, c := range []struct {
		name   string
		city   string
		make   func() R
		change func(R)
		field  string // the fault's field; "" expects none
		code   string
		clause string // "" accepts any
	}{
		{"no name", "fuzhou", licences, func(r R) { r.Name = "" }, "name", "required", "FZM-12"},
		{"name with space", "foshan", licences, func(r R) { r.Name = "企业登记 信息 " }, "name", "stray", "FS-19"},
		{"name ends in punctuation", "foshan", licences, func(r R) { r.Name = "企业登记信息。" }, "name", "stray", ""},
		{"name with open bracket", "foshan", licences, func(r R) { r.Name = "企业登记（2026" }, "name", "stray", ""},
		{"name in brackets is fine", "foshan", licences, func(r R) { r.Name = "企业登记（2026年）" }, "", "", ""},
		{"system's name", "longyan", licences, func(r R) { r.Name = r.System }, "name", "system_name", "LY-8"},
		{"no summary", "quanzhou", licences, func(r R) { r.Summary = " " }, "summary", "required", "QZ-3.1.1"},
		{"wrong provider code", "foshan", licences, func(r R) { r.USCC = "11350100000000018N" }, "uscc", "uscc", "FS-22"},
		{"theme unknown", "fuzhou", licences, func(r R) { r.Theme = "99" }, "theme", "unknown", ""},
		{"class unknown", "fuzhou", licences, func(r R) { r.Class.Class = "4" }, "class.class", "required", ""},
		{"item of class unknown", "fuzhou", licences, func(r R) { r.Class.Item = "77" }, "class.item", "required", ""},
		{"format against kind", "fuzhou", licences, func(r R) { r.Format = catalog.FormatImage }, "format", "kind", ""},
		{"format type unknown", "fuzhou", licences, func(r R) { r.FormatTypes = []string{"xlsx"} }, "format_types", "unknown", ""},
		{"text file without charset", "fuzhou", licences, func(r R) {
			r.Kind, r.Format, r.FormatTypes, r.SharingWays = catalog.Files, catalog.FormatFile, []string{"txt"}, []catalog.Way{catalog.WayFile}
		}, "charset", "required", ""},
		{"table without items", "fuzhou", licences, func(r R) { r.Items = nil }, "items", "required", "FZM-12"},
		{"items of one name", "fuzhou", licences, func(r R) { r.Items[1].Name = r.Items[0].Name }, "items.1.name", "duplicate", ""},
		{"items of one code in another case", "fuzhou", licences, func(r R) { r.Items[1].Code = "USCC" }, "items.1.code", "duplicate", ""},
		{"item code with a dash", "fuzhou", licences, func(r R) { r.Items[1].Code = "na-me" }, "items.1.code", "form", ""},
		{"no type", "fuzhou", licences, func(r R) { r.Items[1].Type = "X" }, "items.1.type", "required", ""},
		{"character without length", "fuzhou", licences, func(r R) { r.Items[1].Length = 0 }, "items.1.length", "required", ""},
		{"scale on a date", "fuzhou", licences, func(r R) { r.Items[4].Scale = 2 }, "items.4.scale", "type", ""},
		{"scale not below length", "fuzhou", licences, func(r R) { r.Items[3].Length, r.Items[3].Scale = 2, 2 }, "items.3.scale", "range", ""},
		{"pattern that is none", "fuzhou", licences, func(r R) { r.Items[1].Pattern = "[" }, "items.1.pattern", "form", ""},
		{"minimum above maximum", "fuzhou", licences, func(r R) { r.Items[3].Min, r.Items[3].Max = "10", "9" }, "items.3.max", "order", ""},
		{"minimum no number", "fuzhou", licences, func(r R) { r.Items[3].Min = "ten" }, "items.3.min", "type", ""},
		{"own codes and a list", "fuzhou", licences, func(r R) { r.Items[2].CodeList = "GB/T 2260" }, "items.2.code_list", "both", ""},
		{"unknown code list", "fuzhou", licences, func(r R) { r.Items[6].CodeList = "GB/T 1" }, "items.6.code_list", "unknown", ""},
		{"code twice", "fuzhou", licences, func(r R) { r.Items[2].Enum = append(r.Items[2].Enum, r.Items[2].Enum[0]) }, "items.2.enum", "duplicate", ""},
		{"credit code too short", "foshan", licences, func(r R) { r.Items[0].Length = 15 }, "items.0.type", "identifier", "FS-22"},
		{"item above the resource's grade", "fuzhou", licences, func(r R) { r.Items[0].Grade = 3 }, "items.0.grade", "above", "FZO-6"},
		{"item wider than the resource", "fuzhou", residents, func(r R) { r.Items[0].Sharing = catalog.Unconditional }, "items.0.sharing", "wider", ""},

		{"persons without a statutory document", "foshan", residents, func(r R) { r.Items = r.Items[1:]; r.Conditions = r.Conditions[:1] }, "items.0.personal", "identity", "FS-22"},
		{"the same where the text asks for none", "quanzhou", residents, func(r R) { r.Items = r.Items[1:]; r.Conditions = r.Conditions[:1] }, "", "", ""},

		{"conditional without basis, Fuzhou", "fuzhou", residents, func(r R) { r.SharingBasis = nil }, "sharing_basis", "required", "FZM-16"},
		{"conditional without basis, Foshan", "foshan", residents, func(r R) { r.SharingBasis = nil }, "sharing_basis", "required", "FS-5.3"},
		{"conditional without basis, Longyan", "longyan", residents, func(r R) { r.SharingBasis = nil }, "sharing_basis", "required", "LY-11"},
		{"conditional without basis, Quanzhou: its text is silent", "quanzhou", residents, func(r R) { r.SharingBasis = nil }, "", "", ""},
		{"a rule is no basis in Fuzhou", "fuzhou", residents, func(r R) { r.SharingBasis[0].Kind = catalog.Rule }, "sharing_basis.0.kind", "kind", "FZM-16"},
		{"a rule is a basis in Foshan", "foshan", residents, func(r R) { r.SharingBasis[0].Kind = catalog.Rule }, "", "", ""},
		{"a policy is no basis in Foshan", "foshan", residents, func(r R) { r.SharingBasis[0].Kind = catalog.NationalPolicy }, "sharing_basis.0.kind", "kind", "FS-5.3"},
		{"a policy is a basis in Longyan, without article", "longyan", residents, func(r R) { r.SharingBasis[0].Kind, r.SharingBasis[0].Article = catalog.NationalPolicy, "" }, "", "", ""},
		{"basis without article", "longyan", residents, func(r R) { r.SharingBasis[0].Article = "" }, "sharing_basis.0.article", "required", "LY-11"},
		{"conditional without conditions", "foshan", residents, func(r R) { r.Conditions = nil }, "conditions", "required", "FS-13"},
		{"condition in words only", "foshan", residents, func(r R) { r.Conditions[0] = catalog.Condition{Note: "另行商定"} }, "conditions.0", "not_executable", "FS-13"},
		{"condition without purpose", "foshan", residents, func(r R) { r.Conditions[0].Purposes = nil }, "conditions.0.purposes", "required", "FS-13"},
		{"condition on an unknown item", "fuzhou", residents, func(r R) { r.Conditions[1].Items = []string{"nothing"} }, "conditions.1.items", "unknown", "FZM-16"},
		{"row filter with no value", "fuzhou", residents, func(r R) { r.Conditions[1].Rows = []catalog.Filter{{Item: "division", Op: "eq"}} }, "conditions.1.rows.0", "values", ""},
		{"row filter of the wrong type", "fuzhou", residents, func(r R) {
			r.Conditions[1].Rows = []catalog.Filter{{Item: "born", Op: "gt", Values: []string{"yesterday"}}}
		}, "conditions.1.rows.0", "type", ""},
		{"unconditional with conditions", "fuzhou", licences, func(r R) { r.Conditions = []catalog.Condition{{Purposes: []string{"check"}}} }, "conditions", "unconditional", "FZM-16"},
		{"important data unconditional", "fuzhou", licences, func(r R) { r.Grade, r.Opening, r.ClosedGround = 3, catalog.Closed, "security" }, "sharing", "grade", "FZO-6"},
		{"withheld with a way", "foshan", residents, func(r R) { r.Sharing, r.Conditions = catalog.Withheld, nil }, "sharing_ways", "withheld", "FS-12"},
		{"withheld", "foshan", residents, func(r R) { r.Sharing, r.Conditions, r.SharingWays = catalog.Withheld, nil, nil }, "", "", ""},
		{"no way of sharing", "fuzhou", licences, func(r R) { r.SharingWays = nil }, "sharing_ways", "required", ""},
		{"database by file", "fuzhou", licences, func(r R) { r.SharingWays = []catalog.Way{catalog.WayFile} }, "sharing_ways", "format", ""},
		{"by e-mail, Foshan", "foshan", licences, func(r R) { r.SharingWays = append(r.SharingWays, catalog.WayMail) }, "side_approval", "required", "FS-25"},
		{"by e-mail, approved", "foshan", licences, func(r R) {
			r.SharingWays, r.SideApproval = append(r.SharingWays, catalog.WayMail), "佛数批〔2026〕3号"
		}, "", "", ""},

		{"authorised without conditions", "fuzhou", licences, func(r R) {
			r.Opening, r.OpeningNote, r.OpeningNeeds = catalog.Authorised, "", []string{"security"}
		}, "opening_note", "required", "FZO-11"},
		{"authorised without need", "fuzhou", licences, func(r R) { r.Opening = catalog.Authorised }, "opening_needs", "required", "FZO-6.2"},
		{"authorised without need where none is asked", "foshan", licences, func(r R) { r.Opening = catalog.Authorised }, "", "", ""},
		{"closed without ground", "fuzhou", residents, func(r R) { r.ClosedGround = "" }, "closed_ground", "required", "FZO-5"},
		{"closed without ground where none is asked", "longyan", residents, func(r R) { r.ClosedGround = "" }, "", "", ""},
		{"closed because it is a state secret", "fuzhou", residents, func(r R) { r.ClosedGround = "secret" }, "closed_ground", "secret", "FZM-31"},
		{"personal data opened unmasked", "fuzhou", licences, func(r R) { r.Items[5].Personal = "address" }, "items.5.open_mask", "personal", "FZM-20"},
		{"personal data opened unmasked, Longyan", "longyan", licences, func(r R) { r.Items[5].Personal = "address" }, "items.5.open_mask", "personal", "LY-17"},
		{"personal data opened unmasked, Foshan", "foshan", licences, func(r R) { r.Items[5].Personal = "address" }, "items.5.open_mask", "personal", "FS-34"},
		{"no type of opening, Quanzhou", "quanzhou", licences, func(r R) { r.Opening = "" }, "opening", "required", "QZ-3.1.6"},
		{"masked without saying how", "fuzhou", licences, func(r R) { r.Items[5].Personal, r.Items[5].OpenMask = "address", "region" }, "desensitised", "required", "FZM-20"},
		{"masked and said how", "fuzhou", licences, func(r R) {
			r.Items[5].Personal, r.Items[5].OpenMask, r.Desensitised = "address", "region", "住所只保留到区"
		}, "", "", ""},
		{"personal item kept closed", "fuzhou", licences, func(r R) { r.Items[5].Personal, r.Items[5].Opening = "address", catalog.Closed }, "", "", ""},
		{"internal grade opened to all", "fuzhou", licences, func(r R) { r.Grade, r.Items[1].Grade = 2, 2 }, "items.1.grade", "grade", "FZO-6"},
		{"internal grade by authorisation", "fuzhou", licences, func(r R) {
			r.Grade, r.Items[1].Grade, r.Opening, r.OpeningNeeds = 2, 2, catalog.Authorised, []string{"security"}
		}, "", "", ""},
		{"important data opened", "longyan", licences, func(r R) { r.Grade = 3 }, "opening", "important", "LY-21"},

		{"no cycle", "fuzhou", licences, func(r R) { r.Cycle = "" }, "cycle", "required", "FZM-12"},
		{"no grade", "fuzhou", licences, func(r R) { r.Grade = 0 }, "grade", "required", "FZO-6"},
		{"no way of collection", "foshan", licences, func(r R) { r.Collection.Way = "" }, "collection.way", "required", "FS-21"},
		{"by law, which is not named", "foshan", residents, func(r R) { r.Collection.Basis = "" }, "collection.basis", "required", "FS-21"},
		{"by agreement, scope open", "foshan", licences, func(r R) { r.Collection = catalog.Collection{Way: "agreement", Basis: "协议"} }, "collection.minimum", "required", "FS-24"},
		{"source not confirmed", "foshan", licences, func(r R) { r.Source.Confirmed = false }, "source.confirmed", "required", "FS-18"},
		{"no duty", "fuzhou", licences, func(r R) { r.Source.Duty = "" }, "source.duty", "required", "FZM-7"},
		{"no secrecy declaration", "fuzhou", licences, func(r R) { r.Secrecy.Declared = false }, "secrecy.declared", "required", "FZM-31"},
		{"no secrecy declaration, Longyan", "longyan", licences, func(r R) { r.Secrecy.Declared = false }, "secrecy.declared", "required", "LY-23"},
		{"no secrecy declaration, Foshan", "foshan", licences, func(r R) { r.Secrecy.Declared = false }, "secrecy.declared", "required", "FS-40.2"},
		{"no duty, Foshan", "foshan", licences, func(r R) { r.Source.Duty = "" }, "source.duty", "required", "FS-18"},
		{"no type of sharing, Foshan", "foshan", licences, func(r R) { r.Sharing = "" }, "sharing", "required", "FS-5.3"},
		{"marked secret", "fuzhou", licences, func(r R) { r.Secrecy.Marked = true }, "secrecy.marked", "secret", "FZM-31"},
		{"negative survey figure", "fuzhou", licences, func(r R) { r.Survey.Rows = -1 }, "survey.rows", "range", ""},
		{"related code malformed", "fuzhou", licences, func(r R) { r.Related = []string{"abc"} }, "related.0", "form", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.make()
			c.change(r)
			faults := catalog.Validate(r, policyOf(t, c.city))
			if c.field == "" {
				if len(faults) > 0 {
					t.Fatalf("expected no fault, got %+v", faults)
				}
				return
			}
			i := slices.IndexFunc(faults, func(p errs.Problem) bool { return p.Field == c.field && p.Code == c.code })
			if i < 0 {
				t.Fatalf("expected %s %s, got %+v", c.field, c.code, faults)
			}
			if c.clause != "" && faults[i].Clause != c.clause {
				t.Errorf("cites %q, want %q", faults[i].Clause, c.clause)
			}
			for _, f := range faults {
				if f.Text.ZH == "" || f.Text.EN == "" || strings.Contains(f.Text.ZH+f.Text.EN, "%!") {
					t.Errorf("ill-formed words: %+v", f.Text)
				}
			}
		})
	}
}

// Every article that the catalog may cite is in the register, and a city cites its own only.
func TestCitesAreRegistered(t *testing.T) {
	for city, instruments := range map[string][]string{"fuzhou": {"FZM", "FZO", "FZK"}, "quanzhou": {"QZ"}, "foshan": {"FS"}, "longyan": {"LY"}} {
		for topic, ids := range policyOf(t, city).Cites {
			for _, id := range ids {
				if _, ok := clause.Get(id); !ok {
					t.Errorf("%s cites %s for %s, which the register lacks", city, id, topic)
				}
				if prefix, _, _ := strings.Cut(id, "-"); !slices.Contains(instruments, prefix) {
					t.Errorf("%s cites %s of another city", city, id)
				}
			}
		}
	}
}

func TestPermits(t *testing.T) {
	clause.Covers(t, "FS-13", "FS-12", "FS-5.4")
	policy := policyOf(t, "foshan")
	r := whole(catalogtest.Residents(), catalogtest.Police)
	for _, c := range []struct {
		name  string
		use   catalog.Use
		items int
		cond  int
		kind  errs.Kind
	}{
		{"named department, named purpose", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Verify, Days: 30}, 8, 0, ""},
		{"another department", catalog.Use{Body: "body-other", Purpose: "check", Mode: catalog.Verify, Days: 30}, 0, 0, errs.Forbidden},
		{"another purpose", catalog.Use{Body: catalogtest.Market.ID, Purpose: "audit", Mode: catalog.Verify, Days: 30}, 0, 0, errs.Forbidden},
		{"a mode that is not allowed", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Obtain, Days: 30}, 0, 0, errs.Forbidden},
		{"for longer than allowed", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Verify, Days: 366}, 0, 0, errs.Forbidden},
		{"without an end", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Verify}, 0, 0, errs.Forbidden},
		{"statistics cut to four items", catalog.Use{Body: "body-other", Purpose: "research", Mode: catalog.Statistics}, 4, 1, ""},
		{"unknown item", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Verify, Days: 1, Items: []string{"x"}}, 0, 0, errs.Invalid},
		{"unknown mode", catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: "steal", Days: 1}, 0, 0, errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			leave, err := r.Permits(c.use, policy)
			if errs.KindOf(err) != c.kind {
				t.Fatalf("got %v, want kind %q", err, c.kind)
			}
			if err != nil {
				return
			}
			if len(leave.Items) != c.items || leave.Condition != c.cond || len(leave.Items)+len(leave.Cut) != len(r.Items) {
				t.Errorf("items %v by condition %d, cut %v", leave.Items, leave.Condition, leave.Cut)
			}
		})
	}
	r.Sharing, r.Conditions = catalog.Withheld, nil
	_, err := r.Permits(catalog.Use{Body: catalogtest.Market.ID, Purpose: "check", Mode: catalog.Verify, Days: 1}, policy)
	if e, ok := errs.As(err); !ok || e.Kind != errs.Forbidden || e.Clauses[0] != "FS-12" {
		t.Errorf("a withheld resource was not refused by FS-12: %v", err)
	}
	r = whole(catalogtest.Licences(), catalogtest.Market)
	r.Items[5].Sharing = catalog.Withheld
	leave, err := r.Permits(catalog.Use{Body: "body-other", Mode: catalog.Obtain}, policy)
	if err != nil || len(leave.Items) != 7 || leave.Cut["address"].ZH == "" {
		t.Errorf("a withheld item was not cut: %v %v %v", leave.Items, leave.Cut, err)
	}
}

func TestViews(t *testing.T) {
	clause.Covers(t, "FS-12", "FS-14", "FZO-11", "FS-16")
	r := whole(catalogtest.Residents(), catalogtest.Police)
	r.Sharing, r.Conditions, r.SharingWays, r.Current = catalog.Withheld, nil, nil, true
	foshan, fuzhou := policyOf(t, "foshan"), policyOf(t, "fuzhou")

	v, existsOnly := catalog.ShareView(r, catalogtest.Market.ID, false, foshan)
	if !existsOnly || v.Name != r.Name || len(v.Items) != 0 || v.Summary != "" || len(v.SharingBasis) != 0 {
		t.Errorf("another body sees more than existence of a withheld resource: %+v", v)
	}
	if _, existsOnly := catalog.ShareView(r, catalogtest.Police.ID, false, foshan); existsOnly {
		t.Error("the provider sees only that its own resource exists")
	}
	if _, existsOnly := catalog.ShareView(r, catalogtest.Authority.ID, true, foshan); existsOnly {
		t.Error("the authority sees only that a withheld resource exists")
	}
	if _, existsOnly := catalog.ShareView(r, catalogtest.Market.ID, false, fuzhou); existsOnly {
		t.Error("Fuzhou does not hide the metadata of a withheld resource")
	}
	if catalog.OpenView(r, foshan) != nil {
		t.Error("a closed resource shows in the open catalog")
	}
	open := whole(catalogtest.Licences(), catalogtest.Market)
	open.Current = true
	open.Items[5].Opening = catalog.Closed
	v = catalog.OpenView(open, foshan)
	if v == nil || len(v.Items) != 7 || v.ItemByName("住所") != nil || v.Cycle == "" || v.Format == "" || len(v.SharingWays) != 0 {
		t.Errorf("open view: %+v", v)
	}
	open.Current = false
	if catalog.OpenView(open, foshan) != nil {
		t.Error("a version that is not in force shows in the open catalog")
	}
}

func TestNameScore(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"企业登记基本信息", "企业登记信息表", true},
		{"户籍人口基本信息", "户籍人口信息表", true},
		{"空气质量日报", "空气质量小时报", false},
		{"公交站点信息", "企业登记信息", false},
		{"养老机构（2025）", "养老机构", true},
		{"表", "信息", false},
	} {
		score := catalog.NameScore(c.a, c.b)
		if got := score >= 0.8; got != c.same || score != catalog.NameScore(c.b, c.a) {
			t.Errorf("%s ~ %s: %.2f, same %v, want %v", c.a, c.b, score, got, c.same)
		}
	}
}

func TestCodesRoundTrip(t *testing.T) {
	for _, c := range []struct{ in, want string }{{"102002/0001", "102002/0001"}, {"102002-0001", "102002/0001"}, {" 30700112-00012 ", "30700112/00012"}} {
		got := catalog.ParseCode(c.in)
		if got != c.want || catalog.ParseCode(catalog.PathCode(got)) != got || !catalog.ValidCode(got) {
			t.Errorf("%q: %q", c.in, got)
		}
	}
	for _, bad := range []string{"", "/", "902002/0001", "102002/1", "102002", "1020a2/0001"} {
		if catalog.ValidCode(bad) {
			t.Errorf("%q passes as a code", bad)
		}
	}
}

func TestCodeLists(t *testing.T) {
	for key, n := range map[string]int{"GB/T 2261.1": 4, "GB/T 2261.2": 8, "GB/T 3304": 58, "GB/T 2260": 269} {
		l := catalog.CodeListByKey(key)
		if l == nil || len(l.Codes) != n {
			t.Fatalf("%s: %v", key, l)
		}
	}
	if label, ok := catalog.CodeListByKey("GB/T 2260").Label("350100"); !ok || label != "福州市" {
		t.Errorf("350100 is %q", label)
	}
	if _, ok := catalog.CodeListByKey("GB/T 2261.1").Label("3"); ok {
		t.Error("3 passes as a sex code")
	}
}

// Where several articles of a city ask for the same, a refusal carries the weightiest and the
// topic all of them.
func TestFurtherArticlesOfATopic(t *testing.T) {
	for _, c := range []struct {
		city  string
		topic catalog.Topic
		want  []string
	}{
		{"foshan", catalog.TopicSource, []string{"FS-18", "FS-20"}},
		{"foshan", catalog.TopicConditions, []string{"FS-13", "FS-9"}},
		{"fuzhou", catalog.TopicBase, []string{"FZM-19"}},
		{"longyan", catalog.TopicBase, []string{"LY-15"}},
		{"quanzhou", catalog.TopicBase, []string{"QZ-3.1.4"}},
	} {
		if got := policyOf(t, c.city).Cites[c.topic]; !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.city, c.topic, got, c.want)
		}
	}
}
