package console_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/org"
	"gongshu/profile"
)

// catalogHouse is the console over the test city's catalog; a request's header says who acts.
type catalogHouse struct {
	*catalogtest.World
	t    *testing.T
	base string
}

func newCatalogHouse(t *testing.T, d *db.DB, city string) *catalogHouse {
	t.Helper()
	h := &catalogHouse{World: catalogtest.Open(t, d, city, nil), t: t}
	people, err := identity.New(identity.Deps{DB: d, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Load(city)
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := org.New(org.Deps{DB: d, Door: h.Door, Identity: people, Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	pages := console.New(console.Deps{City: errs.T("某市", "City"), Brand: errs.T("平台", "Platform"), Door: h.Door, Org: bodies, Cases: h.Cases, Catalog: h.Catalog, Profile: p})
	site := &web.Site{}
	server := httptest.NewServer(site.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := catalogtest.Market
		switch r.Header.Get("X-Test-Body") {
		case "police":
			body = catalogtest.Police
		case "authority":
			body = catalogtest.Authority
		}
		pages.ServeHTTP(w, r.WithContext(console.WithActor(r.Context(), catalogtest.Actor(body, identity.Post(r.Header.Get("X-Test-Post"))))))
	})))
	t.Cleanup(server.Close)
	h.base = server.URL
	return h
}

// call makes a request as somebody ("market/steward") and gives status, body and where it leads.
func (h *catalogHouse) call(who, method, path, contentType string, body io.Reader) (int, string, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	bodyName, post, _ := strings.Cut(who, "/")
	req.Header.Set("X-Test-Body", bodyName)
	req.Header.Set("X-Test-Post", post)
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(content), resp.Header.Get("Location")
}

func (h *catalogHouse) get(who, path string, status int, has, hasNot []string) string {
	h.t.Helper()
	got, body, _ := h.call(who, http.MethodGet, path, "", nil)
	if got != status {
		h.t.Fatalf("GET %s as %s: %d, want %d\n%.600s", path, who, got, status, body)
	}
	for _, s := range has {
		if !strings.Contains(body, s) {
			h.t.Errorf("GET %s as %s lacks %q", path, who, s)
		}
	}
	for _, s := range hasNot {
		if strings.Contains(body, s) {
			h.t.Errorf("GET %s as %s shows %q", path, who, s)
		}
	}
	return body
}

func (h *catalogHouse) post(who, path string, form url.Values, status int) (body, location string) {
	h.t.Helper()
	got, body, location := h.call(who, http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if got != status {
		h.t.Fatalf("POST %s %v as %s: %d, want %d\n%.900s", path, form.Get("do"), who, got, status, body)
	}
	return body, location
}

func (h *catalogHouse) upload(who, path, name string, content []byte, status int) (body, location string) {
	h.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile("file", name)
	if err != nil {
		h.t.Fatal(err)
	}
	_, _ = part.Write(content)
	m.Close()
	got, body, location := h.call(who, http.MethodPost, path, m.FormDataContentType(), &b)
	if got != status {
		h.t.Fatalf("upload to %s: %d, want %d\n%.900s", path, got, status, body)
	}
	return body, location
}

var caseForm = regexp.MustCompile(`action="(/console/cases/[^"]+/decide)"[\s\S]*?name="task" value="([^"]+)"`)

// decide fills in the form of the step that is somebody's on a page.
func (h *catalogHouse) decide(who, page string, form url.Values, status int) string {
	h.t.Helper()
	m := caseForm.FindStringSubmatch(h.get(who, page, 200, nil, nil))
	if m == nil {
		h.t.Fatalf("%s offers %s nothing to decide", page, who)
	}
	form.Set("task", m[2])
	body, _ := h.post(who, m[1], form, status)
	return body
}

// Every city's own steps, decided through the pages by the posts that the profile names and no others.
func TestReviewInEveryCity(t *testing.T) {
	clause.Covers(t, "FZM-9", "FZM-31", "FZM-34", "QZ-3.1.1", "FS-16", "FS-40.2", "LY-8", "LY-23", "LY-27")
	for city, cited := range map[string][]string{
		"fuzhou": {"FZM-34", "FZM-31", "FZM-9"}, "quanzhou": {"", "", "QZ-3.1.1"}, "foshan": {"", "FS-40.2", "FS-16"}, "longyan": {"", "LY-23", "LY-27"},
	} {
		t.Run(city, func(t *testing.T) {
			h := newCatalogHouse(t, dbtest.SQLite(t), city)
			r, err := h.Catalog.Create(t.Context(), catalogtest.Actor(catalogtest.Market, identity.Steward), catalogtest.Licences())
			if err != nil {
				t.Fatal(err)
			}
			page := "/console/catalog/" + r.PathCode()
			h.post("market/steward", page+"/do", url.Values{"do": {"submit"}}, 303)
			everybody := []string{"market/steward", "market/leader", "market/secrecy_reviewer", "authority/authority_reviewer", "police/leader"}
			for i, step := range h.Policy.Publication.Steps {
				doer := "market/" + step.Post
				if step.Bodies[0] == profile.RelAuthority {
					doer = "authority/" + step.Post
				}
				for _, who := range everybody {
					status, body, _ := h.call(who, http.MethodGet, page, "", nil)
					offered := strings.Contains(body, `id="decide"`)
					if offered != (who == doer) || strings.HasPrefix(who, "police") && status != 404 {
						t.Errorf("step %s: offered to %s: %v (%d)", step.Key, who, offered, status)
					}
				}
				h.get(doer, page, 200, []string{step.Name.EN, cited[i]}, nil)
				h.get(doer, "/console/", 200, []string{r.Name, step.Name.EN}, nil)
				h.decide(doer, page, url.Values{"outcome": {"pass"}, "reason": {"同意"}}, 303)
			}
			h.get("police/steward", page, 200, []string{r.Name}, nil)
			if now, err := h.Catalog.Published(t.Context(), r.Code); err != nil || now.SecrecyCheck == nil {
				t.Errorf("not in force: %v %+v", err, now)
			}
		})
	}
}

func TestCatalogThroughThePages(t *testing.T) {
	clause.Covers(t, "FZM-7", "FZM-12", "FZM-31", "FS-12", "FS-17", "LY-8")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newCatalogHouse(t, d, "foshan")
		const steward = "market/steward"
		h.get(steward, "/console/catalog/new", 200, []string{"Resource name"}, nil)
		h.get("market/leader", "/console/catalog/new", 403, nil, nil)
		body, _ := h.post(steward, "/console/catalog/new", url.Values{"name": {" "}, "kind": {"table"}}, 422)
		if !strings.Contains(body, "give the resource a name") {
			t.Error("the refusal does not say what is missing")
		}
		_, location := h.post(steward, "/console/catalog/new", url.Values{"name": {"食品经营许可信息"}, "kind": {"table"}, "summary": {"许可<script>alert(1)</script>"}}, 303)
		if location != "/console/catalog/307001-0001/edit" {
			t.Fatalf("led to %s", location)
		}
		editor := h.get(steward, location, 200, []string{"307001/0001", "items.0.name"}, []string{"<script>alert"})
		if !strings.Contains(editor, "&lt;script&gt;") {
			t.Error("what was typed is not shown as text")
		}
		h.get("police/steward", location, 403, nil, nil)
		h.get(steward, location+"?check=1", 200, []string{"list the data items", "FS-18"}, nil)

		form := url.Values{"name": {"食品经营许可信息"}, "summary": {"食品经营者的许可与状态。"}, "theme": {"04"}, "cycle": {"daily"}, "format": {"3"}, "format_types": {"mysql"}, "region": {"440600"},
			"sharing": {"conditional"}, "sharing_ways": {"service"}, "sharing_basis.0.kind": {"law"}, "sharing_basis.0.title": {"食品安全法"}, "sharing_basis.0.article": {"第三十五条"},
			"conditions.0.modes": {"query", "verify"}, "conditions.0.purposes": {"enforcement"}, "conditions.0.max_days": {"180"}, "conditions.0.rows.0.item": {"state"}, "conditions.0.rows.0.op": {"eq"}, "conditions.0.rows.0.values": {"有效"},
			"opening": {"general"}, "grade": {"1"}, "collection.way": {"business"}, "source.duty": {"食品经营许可"}, "source.confirmed": {"yes"}, "secrecy.declared": {"yes"},
			"items.0.name": {"统一社会信用代码"}, "items.0.code": {"uscc"}, "items.0.type": {"C"}, "items.0.length": {"18"}, "items.0.key": {"yes"}, "items.0.more": {"1"}, "items.0.personal": {"uscc"}, "items.0.at": {"2"},
			"items.1.name": {"许可证编号"}, "items.1.code": {"licence"}, "items.1.type": {"C"}, "items.1.length": {"30"}, "items.1.more": {"1"}, "items.1.at": {"1"},
			"items.2.name": {"状态"}, "items.2.code": {"state"}, "items.2.type": {"C"}, "items.2.length": {"10"}, "items.2.more": {"1"}, "items.2.enum": {"有效=有效\n注销=注销"},
			"checks.0.expr": {""}, "do": {"check"}}
		_, location = h.post(steward, "/console/catalog/307001-0001/edit", form, 303)
		h.get(steward, location, 200, []string{"All in order", "许可证编号"}, nil)
		r, err := h.Catalog.Get(t.Context(), "307001/0001", -1)
		if err != nil || r.Items[0].Code != "licence" || r.Conditions[0].Rows[0].Item != r.Item("state").ID || len(r.Item("state").Enum) != 2 || r.Conditions[0].MaxDays != 180 {
			t.Fatalf("%v %+v", err, r)
		}
		// A second editor with the old revision is told so and loses nothing.
		old := url.Values{}
		for k, v := range form {
			old[k] = v
		}
		old.Set("revision", "1")
		old.Set("office", "食品处")
		body, _ = h.post(steward, "/console/catalog/307001-0001/edit", old, 409)
		if !strings.Contains(body, "食品处") || !strings.Contains(body, "somebody changed") {
			t.Error("what the second editor typed is lost, or nobody told them")
		}

		page := "/console/catalog/307001-0001"
		do := page + "/do"
		h.get("market/leader", page, 200, nil, []string{"name=\"outcome\""})
		h.post(steward, do, url.Values{"do": {"submit"}}, 303)
		h.get(steward, page, 200, []string{"With the department", "Department sign-off", "Secrecy review", "No deadline"}, []string{"name=\"outcome\""})
		h.get("police/steward", page, 404, nil, []string{"食品"})
		body = h.decide("market/leader", page, url.Values{"outcome": {"return"}}, 422)
		if !strings.Contains(body, "state the reasons") {
			t.Error("no reason was asked for")
		}
		h.get("market/leader", "/console/", 200, []string{"食品经营许可信息", "Department sign-off"}, nil)
		h.decide("market/leader", page, url.Values{"outcome": {"pass"}}, 303)
		h.get("authority/authority_reviewer", page, 200, nil, []string{"name=\"outcome\""})
		h.get("market/secrecy_reviewer", page, 200, []string{"FS-40.2", "number of the review record"}, nil)
		h.decide("market/secrecy_reviewer", page, url.Values{"outcome": {"pass"}, "reason": {"保审1号"}}, 303)
		h.get(steward, page, 200, []string{"Under review"}, []string{"name=\"outcome\""})
		h.decide("authority/authority_reviewer", page, url.Values{"outcome": {"return"}, "reason": {"请补充说明"}}, 303)
		h.get(steward, page, 200, []string{"请补充说明", "Returned to be changed"}, nil)
		h.get(steward, "/console/", 200, []string{"Change as asked and send again"}, nil)
		h.get("police/steward", "/console/cases", 200, nil, []string{"食品经营许可信息"})
		h.get("authority/authority_reviewer", "/console/cases", 200, []string{"食品经营许可信息"}, nil)
		h.Through(t, "307001/0001")
		h.get("police/steward", page, 200, []string{"食品经营许可信息", "第三十五条"}, []string{"Send for sign-off"})
		r, _ = h.Catalog.Get(t.Context(), "307001/0001", 0)
		h.get(steward, page, 200, []string{r.Case}, nil)
		h.get("police/steward", page, 200, nil, []string{r.Case})
		h.get("police/steward", "/console/cases/"+r.Case, 403, nil, nil)
		h.get(steward, "/console/cases/"+r.Case, 200, []string{"保审", "请补充说明", "Department sign-off", "FS-40.2"}, nil)
		h.get("police/steward", page+"?tab=items", 200, []string{"许可证编号", "licence"}, nil)
		h.get("police/steward", page+"?tab=history", 200, []string{"Published"}, nil)

		// The next version, and what it changes.
		_, location = h.post(steward, do, url.Values{"do": {"revise"}}, 303)
		if location != page+"/edit" {
			t.Errorf("revision led to %s", location)
		}
		form.Del("revision")
		form.Set("items.2.name", "许可状态")
		r, _ = h.Catalog.Get(t.Context(), "307001/0001", -1)
		for i, it := range r.Items {
			form.Set("items."+string(rune('0'+i))+".id", it.ID)
			form.Set("items."+string(rune('0'+i))+".code", it.Code)
			form.Set("items."+string(rune('0'+i))+".at", string(rune('1'+i)))
		}
		form.Set("items.0.name", "许可证编号")
		form.Set("items.1.name", "统一社会信用代码")
		form.Set("items.0.personal", "")
		form.Set("items.1.personal", "uscc")
		form.Set("items.0.length", "30")
		form.Set("items.1.length", "18")
		form.Set("items.0.key", "")
		form.Set("items.1.key", "yes")
		h.post(steward, page+"/edit", form, 303)
		h.Through(t, "307001/0001")
		h.get("police/steward", page+"?tab=diff", 200, []string{"许可状态", "Changed"}, nil)
		h.get("police/steward", page+"?v=1", 200, []string{"earlier version"}, nil)

		// Found by a two-character word, marked, and exported.
		if err := h.Catalog.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.get("police/steward", "/console/catalog?q=许可", 200, []string{"<mark>许可</mark>", "1 resource"}, nil)
		h.get("police/steward", "/console/catalog?q=许可&theme=11", 200, []string{"0 resources"}, nil)
		csv := h.get("police/steward", "/console/catalog?export=csv", 200, []string{"\ufeff", "307001/0001"}, nil)
		if strings.Count(csv, "\n") < 2 {
			t.Errorf("export: %q", csv)
		}
		h.post("market/leader", do, url.Values{"do": {"withdraw"}, "reason": {"职能划转"}}, 303)
		h.get(steward, page, 200, []string{"职能划转"}, nil)
		h.get("police/steward", page, 410, nil, nil)
	})
}

func TestWithheldResourcePage(t *testing.T) {
	clause.Covers(t, "FS-12")
	h := newCatalogHouse(t, dbtest.SQLite(t), "foshan")
	in := catalogtest.Residents()
	in.Sharing, in.Conditions, in.SharingWays = catalog.Withheld, nil, nil
	r := h.Publish(t, in)
	page := "/console/catalog/" + r.PathCode()
	for _, tab := range []string{"", "?tab=items", "?tab=history", "?v=1"} {
		h.get("market/steward", page+tab, 200, []string{r.Name, "FS-12"}, []string{"公民身份号码", "婚姻", "resident_id"})
	}
	h.get("market/steward", page+"/workbook.xlsx", 403, nil, nil)
	h.get("police/steward", page+"?tab=items", 200, []string{"公民身份号码"}, nil)
}

func TestWorkbookAndSamplePages(t *testing.T) {
	h := newCatalogHouse(t, dbtest.SQLite(t), "fuzhou")
	const steward = "market/steward"
	template := h.get(steward, "/console/catalog-workbook/template.xlsx", 200, []string{"PK"}, nil)
	body, _ := h.upload(steward, "/console/catalog-workbook", "x.xlsx", []byte("no workbook"), 422)
	if !strings.Contains(body, "not a readable XLSX") {
		t.Error("a broken workbook is not named")
	}
	h.upload(steward, "/console/catalog-workbook", "x.xlsx", []byte(template), 422) // empty
	var b bytes.Buffer
	r := catalogtest.Licences()
	r.BodyName, r.Cycle = catalogtest.Market.Name, ""
	if err := h.Catalog.WriteWorkbook(t.Context(), &b, []*catalog.Resource{&r}); err != nil {
		t.Fatal(err)
	}
	_, location := h.upload(steward, "/console/catalog-workbook", "目录.xlsx", b.Bytes(), 303)
	h.get(steward, location, 200, []string{"目录.xlsx", "信息资源!", "Register 1 resource"}, nil)
	h.get("police/steward", location, 404, nil, nil)
	h.post(steward, location, nil, 303)
	h.post(steward, location, nil, 409)
	rows, total, err := h.Catalog.List(t.Context(), catalog.ListFilter{Newest: true})
	if err != nil || total != 1 || rows[0].Name != r.Name {
		t.Errorf("%v %v", rows, err)
	}
	_, location = h.upload(steward, "/console/catalog-sample", "低保.csv", []byte("姓名,身份证号,金额\n王小明,350102199001010016,10.5\n李芳,350500198512311245,9.0\n"), 303)
	page := h.get(steward, location, 200, []string{"sfzh"}, []string{"350102199001010016"})
	if !strings.Contains(page, "resident_id\" selected") {
		t.Error("the resident ID is not proposed as personal data")
	}
	_, location = h.post(steward, location, url.Values{"name": {"低保发放信息"}, "items.0.name": {"姓名"}, "items.0.code": {"xm"}, "items.0.type": {"C"}, "items.0.length": {"20"}, "items.0.personal": {"name"}, "items.0.mask": {"keep_ends"},
		"items.1.name": {"身份证号"}, "items.1.code": {"sfzh"}, "items.1.type": {"C"}, "items.1.length": {"18"}, "items.1.key": {"1"}, "items.1.personal": {"resident_id"}, "items.1.mask": {"pseudonym"}}, 303)
	made, err := h.Catalog.Get(t.Context(), strings.Split(location, "/")[3], -1)
	if err != nil || made.Name != "低保发放信息" || len(made.Items) != 2 || !made.Items[1].Key || made.Grade != 2 || !slices.ContainsFunc(made.Items, func(it catalog.Item) bool { return it.Personal == "resident_id" }) {
		t.Errorf("%v %+v", err, made)
	}
	h.get(steward, "/console/catalog-classes", 200, []string{"人口基本信息"}, []string{"class_add"})
	h.post(steward, "/console/catalog-classes", url.Values{"place": {"102"}, "head": {"777"}, "name": {"连锁"}}, 403)
	h.post("authority/authority_reviewer", "/console/catalog-classes", url.Values{"place": {"102"}, "head": {"777"}, "name": {"连锁"}}, 303)
}
