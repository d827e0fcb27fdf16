package console_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/sharing/sharingtest"
)

// amended is a city's profile with some of its lines replaced, as a file.
func amended(t *testing.T, city string, lines map[string]string) string {
	t.Helper()
	text, err := os.ReadFile("../profile/cities/" + city + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for key, value := range lines {
		line := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(key) + `:.*$`)
		if !line.MatchString(out) {
			t.Fatalf("%s has no %s", city, key)
		}
		out = line.ReplaceAllString(out, "  "+key+": "+value)
	}
	path := filepath.Join(t.TempDir(), city+".yaml")
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// applied files a conditional request and gives its page.
func (d *desk) applied() string {
	d.t.Helper()
	status, at := d.post(buyer, "/console/requests", url.Values{"resource": {d.Residents.Code}, "mode": {"query"}, "purposes": {"check"}, "business": {"核验"}, "users": {"一科"},
		"items": {"公民身份号码", "姓名"}, "end_date": {"2027-03-31"}})
	if status != http.StatusSeeOther {
		d.t.Fatalf("apply: %d %.300s", status, at)
	}
	return at
}

func (d *desk) file(at string) casework.File {
	d.t.Helper()
	f, err := d.Cases.File(d.t.Context(), buyer, strings.TrimPrefix(at, "/console/requests/"))
	if err != nil {
		d.t.Fatal(err)
	}
	return f
}

// No city's text knows a pause or an extension: nothing is offered, and nothing works.
func TestClockIsNotMovedWhereNoRuleSaysSo(t *testing.T) {
	clause.Covers(t, "FZM-17", "FS-26", "LY-12")
	for _, city := range []string{"fuzhou", "quanzhou", "foshan", "longyan"} {
		d := newDesk(t, dbtest.SQLite(t), city)
		at := d.applied()
		f := d.file(at)
		var task casework.Task
		for _, one := range f.Tasks {
			if one.State == "open" {
				task = one
			}
		}
		body := catalogtest.Police
		if task.Body == sharingtest.Centre.ID {
			body = sharingtest.Centre
		}
		who := catalogtest.Actor(body, identity.Post(task.Post))
		page := d.see(who, at, `name="task"`)
		if strings.Contains(page, "/clock") || strings.Contains(page, "中止") || strings.Contains(page, "延长期限") {
			t.Errorf("%s offers to move the clock", city)
		}
		for _, do := range []string{"pause", "extend"} {
			if status, _ := d.post(who, "/console/cases/"+f.Case.Number+"/clock", url.Values{"task": {task.ID}, "do": {do}, "days": {"2"}, "reason": {"等材料"}}); status != http.StatusForbidden {
				t.Errorf("%s: %s gave %d", city, do, status)
			}
		}
		if now := d.file(at); now.Case.DueOn != f.Case.DueOn {
			t.Errorf("%s: the day moved from %s to %s", city, f.Case.DueOn, now.Case.DueOn)
		}
	}
}

// Pause, resumption and extension through the pages, over Mid-Autumn and National Day with their make-up
// days: 20 working days from Friday 18 September 2026 end on 22 October; five are used on the 24th; the
// other fifteen from 30 September end on 27 October, five more on 3 November.
func TestClockIsMovedWhereTheRulesSaySo(t *testing.T) {
	clause.Covers(t, "FZM-17")
	dbtest.Each(t, func(t *testing.T, store *db.DB) {
		d := newDesk(t, store, amended(t, "fuzhou", map[string]string{
			"sharing.clock.pause": "{value: true, practice: 测试}", "sharing.clock.extension_days": "{value: 5, clause: FZM-17}"}))
		at := d.applied()
		number := strings.TrimPrefix(at, "/console/requests/")
		clock := "/console/cases/" + number + "/clock"
		due := func(want string) {
			t.Helper()
			if got := d.file(at).Case.DueOn; got != want {
				t.Errorf("due on %q, want %q", got, want)
			}
		}
		due("2026-10-22")
		page := d.see(clerk, at, "中止期限", "延长期限", "等待办理（2026-", "最长 5 个工作日", "FZM-17")
		task := taskField.FindStringSubmatch(page)[1]
		for _, other := range []identity.Actor{buyer, boss, owner, bureau} {
			if strings.Contains(d.see(other, at), clock) {
				t.Errorf("%s is offered the clock", other.ID)
			}
			if status, _ := d.post(other, clock, url.Values{"task": {task}, "do": {"pause"}, "reason": {"x"}}); status != http.StatusForbidden {
				t.Errorf("%s pauses: %d", other.ID, status)
			}
		}
		d.On(t, "2026-09-24")
		if status, body := d.post(clerk, clock, url.Values{"task": {task}, "do": {"pause"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "请写明中止理由") {
			t.Errorf("a pause without a reason: %d", status)
		}
		if status, _ := d.post(clerk, clock, url.Values{"task": {task}, "do": {"stop"}}); status != http.StatusUnprocessableEntity {
			t.Errorf("an unknown command: %d", status)
		}
		if status, to := d.post(clerk, clock, url.Values{"task": {task}, "do": {"pause"}, "reason": {"等待申请单位补充说明"}}); status != http.StatusSeeOther {
			t.Fatalf("pause: %d %s", status, to)
		}
		due("")
		page = d.see(clerk, at, "等待申请单位补充说明", "恢复计算期限", "已中止计时")
		if strings.Contains(page, "中止期限") {
			t.Error("a paused clock is offered to be paused")
		}
		d.On(t, "2026-09-30")
		if status, _ := d.post(clerk, clock, url.Values{"task": {task}, "do": {"resume"}}); status != http.StatusSeeOther {
			t.Fatalf("resume: %d", status)
		}
		due("2026-10-27")
		for _, days := range []string{"6", "0", "-1", "x"} {
			if status, body := d.post(clerk, clock, url.Values{"task": {task}, "do": {"extend"}, "days": {days}, "reason": {"情况复杂"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "FZM-17") {
				t.Errorf("extended by %s: %d", days, status)
			}
		}
		if status, _ := d.post(clerk, clock, url.Values{"task": {task}, "do": {"extend"}, "days": {"5"}, "reason": {"情况复杂"}}); status != http.StatusSeeOther {
			t.Fatalf("extend: %d", status)
		}
		due("2026-11-03")
		if strings.Contains(d.see(clerk, at, "情况复杂"), "延长期限") {
			t.Error("a second extension is offered")
		}
		if status, _ := d.post(clerk, clock, url.Values{"task": {task}, "do": {"extend"}, "days": {"1"}, "reason": {"再延"}}); status != http.StatusForbidden {
			t.Errorf("a second extension: %d", status)
		}
		// The side that waits signs under the share clock; it cannot stop that.
		d.decide(clerk, at, url.Values{"outcome": {"agree"}})
		d.decide(bureau, at, url.Values{"outcome": {"approve"}})
		if strings.Contains(d.see(boss, at, `name="task"`), clock) || !strings.Contains(d.see(owner, at, `name="task"`), clock) {
			t.Error("the share clock is the provider's to pause and not the applicant's")
		}
	})
}

// attach sends files by a form's field, with other fields before them.
func (d *desk) attach(a identity.Actor, path, field string, form url.Values, files map[string][]byte) (int, string) {
	d.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for name, values := range form {
		for _, v := range values {
			_ = m.WriteField(name, v)
		}
	}
	for name, content := range files {
		part, err := m.CreateFormFile(field, name)
		if err != nil {
			d.t.Fatal(err)
		}
		_, _ = part.Write(content)
	}
	m.Close()
	r := httptest.NewRequest("POST", path, &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	return d.send(a, r)
}

func TestDocumentsOfACase(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21")
	dbtest.Each(t, func(t *testing.T, store *db.DB) {
		d := newDesk(t, store, "fuzhou")
		// The applicant's come with the application.
		form := url.Values{"resource": {d.Residents.Code}, "mode": {"query"}, "purposes": {"check"}, "business": {"核验"}, "users": {"一科"}, "items": {"姓名"}, "end_date": {"2027-03-31"}}
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Del("business")
		if status, _ := d.attach(buyer, "/console/requests", "documents", bad, map[string][]byte{"批复.pdf": []byte("%PDF")}); status != http.StatusUnprocessableEntity {
			t.Fatalf("an incomplete form with a file: %d", status)
		}
		if status, body := d.attach(buyer, "/console/requests", "documents", form, map[string][]byte{"空.txt": {}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "空文件") {
			t.Fatalf("an empty file: %d", status)
		}
		status, at := d.attach(buyer, "/console/requests", "documents", form, map[string][]byte{`C:\\报送\\批复〔2026〕1号.pdf`: []byte("%PDF the approval")})
		if status != http.StatusSeeOther {
			t.Fatalf("apply: %d %.300s", status, at)
		}
		number := strings.TrimPrefix(at, "/console/requests/")
		documents := "/console/cases/" + number + "/documents"
		d.see(clerk, at, "批复〔2026〕1号.pdf", "市市场监督管理局steward", "SHA-256", `id="attach"`)
		// Others add theirs on the page.
		if status, _ := d.attach(clerk, documents, "file", nil, map[string][]byte{"意见<b>.html": []byte("<script>alert(1)</script>")}); status != http.StatusSeeOther {
			t.Fatalf("attach: %d", status)
		}
		if page := d.see(buyer, at, "意见&lt;b&gt;.html"); strings.Contains(page, "意见<b>") {
			t.Error("a name is not shown as text")
		}
		if status, body := d.attach(clerk, documents, "file", nil, nil); status != http.StatusUnprocessableEntity || !strings.Contains(body, "请选择") {
			t.Errorf("no file: %d", status)
		}
		if status, _ := d.post(clerk, documents, url.Values{"file": {"x"}}); status != http.StatusUnprocessableEntity {
			t.Errorf("a form that is no upload: %d", status)
		}
		if status, body := d.attach(clerk, documents, "file", nil, map[string][]byte{"大.bin": make([]byte, casework.MaxDocument+1)}); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "20 MB") {
			t.Errorf("a large file: %d", status)
		}
		f := d.file(at)
		if len(f.Attachments) != 2 {
			t.Fatalf("documents: %+v", f.Attachments)
		}
		// Downloads: always as a file, never sniffed, on record, and only for who may see the case.
		for _, doc := range f.Attachments {
			r := httptest.NewRequest("GET", documents+"/"+doc.ID, nil)
			w := d.raw(owner, r)
			want := "%PDF the approval"
			if strings.HasSuffix(doc.Name, ".html") {
				want = "<script>alert(1)</script>"
			}
			h := w.Header()
			if w.Code != http.StatusOK || w.Body.String() != want || h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("download of %s: %d %v %q", doc.Name, w.Code, h, w.Body)
			}
			stranger := catalogtest.Actor(sharingtest.Centre, identity.Steward)
			if doc.BodyName != catalogtest.Market.Name {
				stranger = catalogtest.Actor(catalogtest.Market, identity.SystemAdmin)
				stranger.Body = "elsewhere"
			}
			if w := d.raw(stranger, httptest.NewRequest("GET", documents+"/"+doc.ID, nil)); w.Code != http.StatusForbidden {
				t.Errorf("%s downloads %s: %d", stranger.ID, doc.Name, w.Code)
			}
			if status, _ := d.attach(stranger, documents, "file", nil, map[string][]byte{"x.txt": []byte("x")}); status != http.StatusForbidden {
				t.Errorf("%s attaches: %d", stranger.ID, status)
			}
		}
		if w := d.raw(owner, httptest.NewRequest("GET", documents+"/none", nil)); w.Code != http.StatusNotFound {
			t.Errorf("no such document: %d", w.Code)
		}
		page, err := d.Log.Search(t.Context(), audit.Filter{Action: "casework.document.read"}, 0, 20)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[string]int{}
		for _, e := range page.Records {
			outcomes[e.Entry.Outcome]++
			if e.Entry.Case != number {
				t.Errorf("an entry without its case: %+v", e)
			}
		}
		if outcomes[audit.OK] != 2 || outcomes[audit.Refused] != 2 || outcomes[audit.Failed] != 1 {
			t.Errorf("looks on record: %v", outcomes)
		}
		// A closed case takes no more, and shows what it has.
		if status, _ := d.post(buyer, at+"/withdraw", url.Values{"reason": {"不再需要"}}); status != http.StatusSeeOther {
			t.Fatalf("withdraw: %d", status)
		}
		if strings.Contains(d.see(buyer, at, "批复〔2026〕1号.pdf"), `id="attach"`) {
			t.Error("a closed case takes documents")
		}
		if status, _ := d.attach(buyer, documents, "file", nil, map[string][]byte{"迟.txt": []byte("x")}); status != http.StatusConflict {
			t.Errorf("a document for a closed case: %d", status)
		}
	})
}
