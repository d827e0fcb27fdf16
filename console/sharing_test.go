package console_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/sharing/sharingtest"
	"gongshu/ui"
)

// desk is the console over a city's sharing procedure.
type desk struct {
	*sharingtest.World
	t *testing.T
	h http.Handler
}

func newDesk(t *testing.T, d *db.DB, city string) *desk {
	t.Helper()
	w := sharingtest.Open(t, d, city)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	site := &web.Site{Log: quiet, ErrorPage: ui.ErrorPage}
	return &desk{World: w, t: t, h: site.Wrap(console.New(console.Deps{City: errs.T("城市", "City"), Brand: errs.T("平台", "Platform"), Door: w.Door, Cases: w.Cases,
		Catalog: w.Catalog, Profile: w.Profile, Sharing: w.Sharing, Agreement: w.Agreements, Gateway: w.Gateway, Inbox: w.Inbox, Now: w.Now, Log: quiet}))}
}

// get opens a page as a person; lang is "zh" or "en".
func (d *desk) get(a identity.Actor, lang, path string) (int, string) {
	d.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", lang)
	return d.send(a, r)
}

// post sends a form as a person, and gives the status and where it leads.
func (d *desk) post(a identity.Actor, path string, form url.Values) (int, string) {
	d.t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	return d.send(a, r)
}

func (d *desk) raw(a identity.Actor, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r.WithContext(console.WithActor(r.Context(), a)))
	return w
}

func (d *desk) send(a identity.Actor, r *http.Request) (int, string) {
	w := d.raw(a, r)
	if to := w.Header().Get("Location"); to != "" {
		return w.Code, to
	}
	return w.Code, w.Body.String()
}

func (d *desk) see(a identity.Actor, path string, want ...string) string {
	d.t.Helper()
	code, body := d.get(a, "zh-CN", path)
	if code != http.StatusOK {
		d.t.Fatalf("%s: %d", path, code)
	}
	for _, w := range want {
		if !strings.Contains(body, w) {
			d.t.Errorf("%s does not show %q", path, w)
		}
	}
	if code, body := d.get(a, "en", path+ampersand(path)+"lang=en"); code != http.StatusOK && code != http.StatusSeeOther {
		d.t.Errorf("%s in English: %d %s", path, code, body)
	}
	return body
}

func ampersand(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

var taskField = regexp.MustCompile(`name="task" value="([^"]+)"`)

// decide fills in the form of the step that is the actor's.
func (d *desk) decide(a identity.Actor, at string, form url.Values) (int, string) {
	d.t.Helper()
	_, body := d.get(a, "zh-CN", at)
	m := taskField.FindStringSubmatch(body)
	if m == nil {
		d.t.Fatalf("%s offers nothing to decide to %s", at, a.ID)
	}
	form.Set("task", m[1])
	return d.post(a, at+"/decide", form)
}

var (
	buyer  = catalogtest.Actor(catalogtest.Market, identity.Steward)
	owner  = catalogtest.Actor(catalogtest.Police, identity.Leader)
	clerk  = catalogtest.Actor(catalogtest.Police, identity.Steward)
	bureau = catalogtest.Actor(catalogtest.Authority, identity.AuthorityReviewer)
	boss   = catalogtest.Actor(catalogtest.Market, identity.Leader)
)

func TestRequestInTheConsole(t *testing.T) {
	clause.Covers(t, "FZM-17", "FZM-29")
	d := newDesk(t, dbtest.SQLite(t), "fuzhou")
	code := d.Residents.PathCode()
	d.see(buyer, "/console/requests/new?resource="+code, "户籍人口基本信息", "20 个工作日", "FZM-17", "有条件共享", "签署使用协议", "公民身份号码")
	// an empty form is refused field by field
	status, body := d.post(buyer, "/console/requests", url.Values{"resource": {d.Residents.Code}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "请写明应用业务") || !strings.Contains(body, "请写明使用用途") {
		t.Fatalf("empty form: %d", status)
	}
	form := url.Values{"resource": {d.Residents.Code}, "mode": {"query"}, "purposes": {"check"}, "business": {"企业开办身份核验<script>"}, "users": {"登记一科\n登记二科"},
		"items": {"公民身份号码", "姓名", "户籍地址"}, "end_date": {"2027-03-31"}, "requests_per_day": {"1000"},
		"where_item_0": {"区划代码"}, "where_op_0": {"prefix"}, "where_value_0": {"3501"}}
	// a draft is kept and comes back
	draft := url.Values{}
	for k, v := range form {
		draft[k] = v
	}
	draft.Set("do", "draft")
	if status, to := d.post(buyer, "/console/requests", draft); status != http.StatusSeeOther || !strings.Contains(to, "requests/new") {
		t.Fatalf("draft: %d %s", status, to)
	}
	d.see(buyer, "/console/requests/new?resource="+code, "登记一科", "已载入上次保存的草稿")
	status, at := d.post(buyer, "/console/requests", form)
	if status != http.StatusSeeOther || !strings.HasPrefix(at, "/console/requests/GX-") {
		t.Fatalf("apply: %d %s", status, at)
	}
	page := d.see(buyer, at, "登记一科、登记二科", "还剩 20 个工作日", "提供部门会签意见", "FZM-17", "区划代码", "撤回申请")
	if strings.Contains(page, "<script>") && strings.Contains(page, "核验<script>") {
		t.Error("markup of a field is not shown as text")
	}
	if strings.Contains(page, `name="task"`) {
		t.Error("the applicant is offered the decision")
	}
	if status, _ := d.decide(clerk, at, url.Values{"outcome": {"object"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("an objection without reasons: %d", status)
	}
	if status, to := d.decide(clerk, at, url.Values{"outcome": {"agree"}}); status != http.StatusSeeOther || to != at {
		t.Fatalf("opinion: %d %s", status, to)
	}
	d.see(bureau, "/console/", "主管部门审定")
	status, body = d.decide(bureau, at, url.Values{"outcome": {"cut"}, "reason": {"最小够用"}, "keep": {"公民身份号码", "姓名"}, "mask_1": {"replace"}, "end_date": {"2028-01-01"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "不能晚于申请的截止时间") {
		t.Fatalf("a later end: %d", status)
	}
	if status, _ := d.decide(bureau, at, url.Values{"outcome": {"cut"}, "reason": {"最小够用"}, "keep": {"公民身份号码", "姓名"}, "mask_1": {"replace"}, "end_date": {"2026-12-31"}}); status != http.StatusSeeOther {
		t.Fatalf("cut: %d", status)
	}
	d.see(owner, at, "政务数据使用协议", "姓名（脱敏：replace）", "SM3 摘要")
	for _, a := range []identity.Actor{owner, boss} {
		if status, to := d.decide(a, at, url.Values{"outcome": {"accept"}}); status != http.StatusSeeOther {
			t.Fatalf("sign: %d %s", status, to)
		}
	}
	page = d.see(buyer, at, "已授权", "有核减", "4 个平台签名有效", "已核减", "最小够用")
	grant := regexp.MustCompile(`/console/grants/[0-9a-f-]{36}`).FindString(page)
	if grant == "" {
		t.Fatal("no link to the grant")
	}
	d.see(buyer, grant, "2026-12-31", "数据校核", "区划代码 开头是 3501", "申请续期", "退还", "/api/v1/resources/"+code+"/query")
	d.see(buyer, "/console/grants", "户籍人口基本信息", "有效")
	d.see(owner, "/console/agreements", "户籍人口基本信息", "已生效")
	number := strings.TrimPrefix(at, "/console/requests/")
	d.see(owner, "/console/agreements/XY-"+number+"-1", "第三条 乙方义务", "gongshu-agreement/1")
	d.see(bureau, "/console/cases?state=closed", number)
	if status, to := d.get(bureau, "zh-CN", "/console/cases/"+number); status != http.StatusSeeOther || to != at {
		t.Errorf("the case leads to %d %s", status, to)
	}
	if status, _ := d.post(buyer, grant+"/revoke", url.Values{"reason": {"x"}}); status != http.StatusForbidden {
		t.Errorf("the consumer revokes: %d", status)
	}
	if status, _ := d.post(owner, grant+"/revoke", url.Values{}); status != http.StatusUnprocessableEntity {
		t.Errorf("a revocation without reasons: %d", status)
	}
	if status, _ := d.post(owner, grant+"/revoke", url.Values{"reason": {"超范围使用"}}); status != http.StatusSeeOther {
		t.Errorf("revoke: %d", status)
	}
	d.see(owner, grant, "已收回", "超范围使用")
	if status, body := d.get(buyer, "zh-CN", "/console/requests?format=csv"); status != http.StatusOK || !strings.HasPrefix(body, "\ufeff申请编号") || !strings.Contains(body, number) {
		t.Errorf("export: %d %.60q", status, body)
	}
	for path, want := range map[string]string{"/console/cases?format=csv": number, "/console/grants?format=csv": "户籍人口基本信息"} {
		if status, body := d.get(owner, "zh-CN", path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.80q", path, status, body)
		}
	}
	stranger := catalogtest.Actor(sharingtest.Centre, identity.Steward)
	for _, path := range []string{at, grant, "/console/agreements/XY-" + number + "-1"} {
		if status, body := d.get(stranger, "zh-CN", path); status != http.StatusForbidden || strings.Contains(body, "登记一科") {
			t.Errorf("a stranger opens %s: %d", path, status)
		}
	}
}

func TestWithheldInTheConsole(t *testing.T) {
	clause.Covers(t, "FS-12", "FS-26")
	d := newDesk(t, dbtest.SQLite(t), "foshan")
	in := catalogtest.Residents()
	in.Name, in.Sharing, in.Conditions, in.SharingWays, in.Source.Overlap = "在侦案件人员信息", "withheld", nil, nil, "两项不同的职责"
	secret := d.Publish(t, in)
	page := d.see(buyer, "/console/requests/new?resource="+secret.PathCode(), "在侦案件人员信息", "不能申请使用", "FS-12", "FS-26", "发起协商")
	if strings.Contains(page, "公民身份号码") || strings.Contains(page, "提交申请") {
		t.Error("a withheld resource shows more than that it exists, or can be applied for")
	}
	form := url.Values{"resource": {secret.Code}, "mode": {"query"}, "business": {"协助追逃"}, "users": {"一科"}, "purposes": {"basis"}, "end_date": {"2026-12-31"}}
	if status, body := d.post(buyer, "/console/requests", form); status != http.StatusForbidden || !strings.Contains(body, "FS-12") {
		t.Errorf("applying for it: %d", status)
	}
	form.Set("do", "negotiate")
	form.Set("note", "履职确需")
	if status, to := d.post(buyer, "/console/requests", form); status != http.StatusSeeOther || !strings.Contains(to, "/XS-") {
		t.Errorf("negotiation: %d %s", status, to)
	}
}

func TestRulesInTheConsole(t *testing.T) {
	clause.Covers(t, "LY-12", "LY-13")
	d := newDesk(t, dbtest.SQLite(t), "longyan")
	d.see(buyer, "/console/profile", "龙岩市的规则", `<nav class="gs-jump"`, `href="#sharing"`, "5 个工作日", "LY-12", "条文规定", "本市做法", "国务院令第809号", "参考（未经核实")
	d.see(buyer, "/console/profile?kind=practice&on=2025-07-01", "统计结果每组不少于五人")
	d.see(buyer, "/console/clauses?q="+url.QueryEscape("批量导出"), "LY-13")
	d.see(buyer, "/console/clauses?instrument=FS&kind=clock", "FS-26")
	d.see(buyer, "/console/clauses/LY-12", "《龙岩市政务数据管理办法（试行）》第十二条", "在5个工作日内提出意见并反馈", "有条件共享申请的答复期限", "sharing.TestLongyanFiveDaysAndTheDataCentre")
	if status, _ := d.get(buyer, "zh-CN", "/console/clauses/LY-99"); status != http.StatusNotFound {
		t.Errorf("an unknown article: %d", status)
	}
	if status, body := d.get(buyer, "zh-CN", "/console/profile?on=never"); status != http.StatusOK || !strings.Contains(body, "日期应写作") {
		t.Errorf("a bad day: %d", status)
	}
	page := d.see(bureau, "/console/calendar", "2026", "春节", "导入放假安排", "2027 年的放假安排尚未导入")
	if strings.Contains(d.see(buyer, "/console/calendar", "春节"), "导入并重算") || !strings.Contains(page, "导入并重算") {
		t.Error("who may import a calendar")
	}
	var b strings.Builder
	b.WriteString("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"2027.json\"\r\n\r\n")
	b.WriteString(`{"year":2027,"papers":["x"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}` + "\r\n--x--\r\n")
	upload := func(a identity.Actor, body string) (int, string) {
		r := httptest.NewRequest("POST", "/console/calendar", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept", "text/html")
		return d.send(a, r)
	}
	if status, body := upload(bureau, strings.Replace(b.String(), "isOffDay", "isOff", 1)); status != http.StatusUnprocessableEntity || !strings.Contains(body, "isOffDay") {
		t.Errorf("a bad notice: %d", status)
	}
	if status, to := upload(bureau, b.String()); status != http.StatusSeeOther || !strings.Contains(to, "years=2027") {
		t.Errorf("import: %d %s", status, to)
	}
	d.see(bureau, "/console/calendar?years=2027&moved=0", "已导入 2027 年")
}
