package console_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
)

// first logs in with a one-time password and changes it.
func (v *visitor) first(login, once string) *visitor {
	v.w.t.Helper()
	v.post("/console/login", "login", login, "password", once).want(200, "/console/account/password")
	v.post("/console/account/password", "old", once, "secret", chosen, "again", chosen).want(200, "/console/account/sessions")
	return v
}

var oncePattern = regexp.MustCompile(`[A-HJ-NP-Z2-9]{5}(-[A-HJ-NP-Z2-9]{5}){3}`)

// find gives the first match of a pattern's group in the page.
func (v *visitor) find(pattern string) string {
	v.w.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(v.body)
	if m == nil {
		v.w.t.Fatalf("%s: nothing like %s\n%.1500s", v.path, pattern, v.body)
	}
	return m[len(m)-1]
}

const idPattern = `[0-9a-f]{8}-[0-9a-f-]{27}`

// staff registers a person with a post by form and gives its id and one-time password.
func (v *visitor) staff(name, login, body, post string) (id, once string) {
	v.w.t.Helper()
	v.post("/console/people/new", "name", name, "login", login, "body", body, "phone", "13800138000", "posts", post).want(200, "/console/people/new", "只显示这一次", login)
	return v.find(`/console/people/(` + idPattern + `)`), oncePattern.FindString(v.body)
}

// TestPeopleAndPosts goes the way of a department that joins: body, people,
// confirmation by another administrator, filing, hand-over.
func TestPeopleAndPosts(t *testing.T) {
	clause.Covers(t, "FS-40", "FZM-34", "LY-5", "LY-26", "FS-22")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		system, security, auditor := w.visitor().first("sysadmin", w.initial["sysadmin"]), w.visitor().first("secadmin", w.initial["secadmin"]), w.visitor().first("auditor", w.initial["auditor"])

		system.post("/console/bodies/new", "name", "市民政局", "uscc", "11350100000000018N", "kind", "organ", "role", "department", "level", "city", "district", "350100").
			want(422, "/console/bodies/new", "校验码不符", `value="市民政局"`)
		system.post("/console/bodies/new", "name", "市民政局", "uscc", "11350100000000019N", "kind", "organ", "role", "department", "level", "city", "district", "350100").
			want(200, "/console/bodies/", "单位已登记", "市民政局", "未备案")
		body := system.find(`/console/bodies/(` + idPattern + `)/edit`)
		for _, who := range []*visitor{security, auditor} {
			who.get("/console/bodies/new").want(403, "/console/bodies/new", "不能办理此事")
			who.post("/console/people/new", "name", "王某某", "login", "wang", "body", body, "phone", "13800138000").want(403, "/console/people/new", "系统管理员")
		}
		system.post("/console/people/new", "name", "王5", "login", "wang", "body", body, "phone", "1", "posts", "steward").want(422, "/console/people/new", "不含数字", "电话格式不正确", `value="wang"`)
		leaderID, leaderOnce := system.staff("何领导", "he.leader", body, "leader")
		stewardID, stewardOnce := system.staff("林专管", "lin.steward", body, "steward")

		// Before confirmation the person can log in and do nothing.
		leader := w.visitor().first("he.leader", leaderOnce)
		leader.get("/console/people").want(403, "/console/people", "按规定")
		// Who proposed cannot confirm, and the auditor cannot either.
		system.get("/console/people/"+stewardID).want(200, "/console/people/", "待确认", "!>确认</button>")
		security.get("/console/").want(200, "/console/", "确认任职", "林专管")
		security.get("/console/posts").want(200, "/console/posts", "林专管", "何领导")
		for range 2 {
			security.get("/console/posts")
			holding := security.find(`name="holding" value="(` + idPattern + `)"`)
			system.post("/console/posts/"+holding+"/confirm").want(403, "/console/posts/", "不得审批本人提出的事项")
			auditor.post("/console/posts/"+holding+"/confirm").want(403, "/console/posts/", "安全管理员确认或退回任职提名")
			security.post("/console/posts/confirm", "holding", holding).want(200, "/console/posts?done=confirmed", "已确认")
		}
		leader.get("/console/people").want(200, "/console/people", "林专管", "!陈系统")

		steward := w.visitor().first("lin.steward", stewardOnce)
		steward.get("/console/").want(200, "/console/", "报送备案")
		steward.post("/console/bodies/"+body+"/filing", "office", "信息科").want(422, "/console/bodies/", "请填写分管领导姓名", `value="信息科"`)
		steward.post("/console/bodies/"+body+"/filing", "office", "信息科", "leader_name", "何领导", "leader_title", "副局长", "leader_phone", "0591-83212345",
			"daily_name", "林专管", "daily_title", "科员", "daily_phone", "13800138000", "procedures", "1号", "rules", "2号", "accountability", "3号").
			want(200, "/console/bodies/", "备案已报送", "待签收")
		steward.get("/console/bodies/new").want(403, "/console/bodies/new")

		// Hand-over: the leader proposes, the filing becomes stale once confirmed.
		heirID, _ := system.staff("周接任", "zhou.heir", body, "secrecy_reviewer")
		leader.get("/console/people/" + stewardID)
		handover := leader.find(`/console/posts/(` + idPattern + `)/handover`)
		leader.post("/console/posts/"+handover+"/handover", "person", heirID, "reason", "").want(422, "/console/posts/", "交接原因")
		leader.post("/console/posts/"+handover+"/handover", "person", heirID, "reason", "轮岗").want(200, "/console/people/"+heirID, "提名已提交")
		security.get("/console/people/"+heirID).want(200, "/console/people/", "轮岗")
		for range 2 {
			security.get("/console/posts")
			security.post("/console/posts/confirm", "holding", security.find(`name="holding" value="(`+idPattern+`)"`)).want(200, "/console/posts?done=confirmed")
		}
		leader.get("/console/bodies/"+body).want(200, "/console/bodies/", "备案须更新", "周接任")
		steward.get("/console/people").want(403, "/console/people") // the post is gone at once

		// The administrators cannot touch each other's accounts.
		system.get("/console/people?post=auditor").want(200, "/console/people", "吴审计")
		auditorID := system.find(`/console/people/(` + idPattern + `)`)
		system.post("/console/people/"+auditorID+"/state", "state", "disabled").want(403, "/console/people/", "三员的账号")
		security.post("/console/people/"+auditorID+"/reset").want(403, "/console/people/", "gongshu admin reset")
		auditor.get("/console/").want(200, "/console/")

		// Disabling a person ends the sessions at once.
		system.post("/console/people/"+leaderID+"/state", "state", "disabled").want(200, "/console/people/"+leaderID, "账号状态已更新")
		leader.get("/console/").want(200, "/console/login")
		system.get("/console/people?format=csv").want(200, "/console/people", "\ufeff姓名", "he.leader")
		system.get("/console/rights?area=org").want(200, "/console/rights", "org.post.confirm", "安全管理员 · 辖区")
		system.get("/console/rights/org.post.confirm").want(200, "/console/rights/", "permit")
		system.get("/console/rights/org.nothing").want(404, "/console/rights/")
		system.get("/console/account").want(200, "/console/account", "sysadmin", "登记人员", "/console/rights/org.person.create")
	})
}

func TestLockOutByHTTP(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	v := w.visitor()
	for range 5 {
		v.post("/console/login", "login", "auditor", "password", "not the password 1").want(401, "/console/login", "登录名或口令不正确")
		w.clock.move(10 * time.Second)
	}
	v.post("/console/login", "login", "auditor", "password", w.initial["auditor"]).want(429, "/console/login", "登录失败次数过多")
	// The security administrator sees the lock and opens it.
	w.clock.move(time.Second)
	security := w.visitor().first("secadmin", w.initial["secadmin"])
	security.get("/console/people?post=auditor")
	id := security.find(`/console/people/(` + idPattern + `)`)
	security.get("/console/people/"+id).want(200, "/console/people/", "账号已锁定")
	security.post("/console/people/"+id+"/unlock").want(200, "/console/people/"+id, "已解锁")
	v.post("/console/login", "login", "auditor", "password", w.initial["auditor"]).want(200, "/console/account/password")
}

func TestSessionLimitsByHTTP(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	v := w.visitor().first("auditor", w.initial["auditor"])
	for range 23 { // in use, so that only the longest time can end it
		w.clock.move(29 * time.Minute)
		v.get("/console/").want(200, "/console/")
	}
	w.clock.move(29 * time.Minute)
	v.get("/console/").want(200, "/console/")
	w.clock.move(29 * time.Minute)
	v.get("/console/").want(200, "/console/login", "最长时限")
	v.post("/console/login", "login", "auditor", "password", chosen).want(200, "/console/")
	w.clock.move(31 * time.Minute)
	v.get("/console/").want(200, "/console/login", "长时间未操作")
	// A write from another site is refused though the cookie is good.
	v.post("/console/login", "login", "auditor", "password", chosen).want(200, "/console/")
	for _, path := range []string{"/console/people/new", "/console/clients/new", "/console/posts/confirm", "/console/bodies/new"} {
		r, _ := http.NewRequest("POST", w.server.URL+path, strings.NewReader("name=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		v.do(r).want(403, path, "不是从本站页面发出的")
	}
}

// upload posts a file as a browser's form does.
func (v *visitor) upload(path, field, name string, content []byte) *visitor {
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	part, _ := m.CreateFormFile(field, name)
	part.Write(content)
	m.Close()
	r, _ := http.NewRequest("POST", v.w.server.URL+path, &buf)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.do(r)
}

func TestImportByHTTP(t *testing.T) {
	clause.Covers(t, "FS-40")
	w := newWorld(t, dbtest.SQLite(t))
	system := w.visitor().first("sysadmin", w.initial["sysadmin"])
	system.post("/console/bodies/new", "name", "市民政局", "kind", "organ", "role", "department", "level", "city", "district", "350100").want(200, "/console/bodies/")
	system.upload("/console/people/import", "file", "people.csv", []byte("姓名,登录名,单位,联系电话,岗位\n林晓,linxiao,市民镇局,0591-83212345,数据专管员\n")).
		want(200, "/console/people/import", "1 行有误", "C2", "没有名为“市民镇局”的单位", "!导入后给出")
	system.upload("/console/people/import", "file", "people.csv", nil).want(422, "/console/people/import", "文件是空的")
	system.upload("/console/people/import", "file", "people.csv", []byte("\x7fELF\x00\x00\x00")).want(415, "/console/people/import")
	system.upload("/console/people/import", "file", "people.csv", []byte("姓名,登录名,单位,联系电话,岗位\n林晓,linxiao,市民政局,0591-83212345,数据专管员\n<b>黄,huang,市民政局,13800138000,\n")).
		want(200, "/console/people/import", "2 人全部检查通过", "&lt;b&gt;黄", "!<b>黄")
	rows := strings.NewReplacer("&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(system.find(`(?s)name="rows" value="([^"]*)"`))
	system.post("/console/people/import/commit", "rows", rows).want(200, "/console/people/import/commit", "已导入 2 人", "linxiao", "huang", "!<b>黄")
	once := oncePattern.FindString(system.body)
	system.post("/console/people/import/commit", "rows", rows).want(422, "/console/people/import/commit", "未导入任何人员")
	w.visitor().first("linxiao", once).get("/console/").want(200, "/console/", "林晓")
	for _, name := range []string{"template.csv", "template.xlsx"} {
		system.get("/console/people/"+name).want(200, "/console/people/"+name)
	}
	security := w.visitor().first("secadmin", w.initial["secadmin"])
	security.get("/console/people/import").want(403, "/console/people/import")
}

func TestClientsByHTTP(t *testing.T) {
	clause.Covers(t, "FS-41", "FZM-15")
	w := newWorld(t, dbtest.SQLite(t))
	system, security := w.visitor().first("sysadmin", w.initial["sysadmin"]), w.visitor().first("secadmin", w.initial["secadmin"])
	system.post("/console/bodies/new", "name", "市民政局", "kind", "organ", "role", "department", "level", "city", "district", "350100").want(200, "/console/bodies/")
	body := system.find(`/console/bodies/(` + idPattern + `)/edit`)
	_, once := system.staff("林专管", "lin.steward", body, "steward")
	security.get("/console/posts")
	security.post("/console/posts/confirm", "holding", security.find(`name="holding" value="(`+idPattern+`)"`))
	steward := w.visitor().first("lin.steward", once)

	system.get("/console/clients").want(403, "/console/clients")
	steward.get("/console/clients").want(200, "/console/clients", "还没有接口客户端")
	steward.post("/console/clients/new", "name", "救助系统", "body", body, "addresses", "10.1.2").want(422, "/console/clients/new", "不是地址或网段", `value="救助系统"`)
	steward.post("/console/clients/new", "name", "救助系统", "body", body, "addresses", "10.1.0.0/16").want(200, "/console/clients/", "客户端已登记", "10.1.0.0/16", "还没有密钥")
	id := steward.find(`/console/clients/(` + idPattern + `)/keys`)
	steward.post("/console/clients/"+id+"/keys", "expires", "2020-01-01").want(422, "/console/clients/", "到期日须在今天之后")
	steward.post("/console/clients/"+id+"/keys", "expires", "2027-01-01").want(200, "/console/clients/", "只显示这一次")
	key := steward.find(`(gsk_[a-z0-9]{10}_[A-Za-z0-9_-]{43})`)
	steward.get("/console/clients/"+id).want(200, "/console/clients/", "!"+key, "2027-01-01", "未使用")
	public := strings.Split(key, "_")[1]
	steward.post("/console/clients/"+id+"/edit", "name", "救助系统", "addresses", "", "signed", "yes").want(200, "/console/clients/", "须签名", "不限")
	steward.post("/console/clients/"+id+"/keys/"+public+"/revoke").want(200, "/console/clients/", "密钥已停用", "已撤销")
	steward.post("/console/clients/"+id+"/state", "state", "disabled").want(200, "/console/clients/", "客户端已停用")
	security.get("/console/clients/"+id).want(200, "/console/clients/", "救助系统", "!发放密钥</button>")
}
