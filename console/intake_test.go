package console_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/intake/intaketest"
	"gongshu/internal/db/dbtest"
)

// TestUploadWizard goes the way of a steward with a browser without scripts:
// upload, look, correct the layout, confirm, receipt, problem rows, download,
// corrected file.
func TestUploadWizard(t *testing.T) {
	clause.Covers(t, "FZM-31", "QZ-3.1.7", "FZM-29.3")
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	table := w.Table("店铺登记信息",
		catalog.Item{Name: "编号", Code: "no", Type: "C", Length: 6, Key: true},
		catalog.Item{Name: "名称", Code: "name", Type: "C", Length: 20, Required: true})
	pages := console.New(console.Deps{Door: w.Door, Catalog: w.Catalog, Intake: w.Intake, Quality: w.Quality, Now: func() time.Time { return *w.Clock }})
	who := intaketest.Steward()
	do := func(method, path, contentType string, body io.Reader, want int, texts ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, path, body)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		rec := httptest.NewRecorder()
		pages.ServeHTTP(rec, r.WithContext(console.WithActor(r.Context(), who)))
		if rec.Code != want {
			t.Fatalf("%s %s: %d, want %d\n%.600s", method, path, rec.Code, want, rec.Body)
		}
		for _, s := range texts {
			if !strings.Contains(rec.Body.String(), s) {
				t.Errorf("%s %s lacks %q", method, path, s)
			}
		}
		return rec
	}
	form := func(fields map[string]string, name, content string) (string, io.Reader) {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for k, v := range fields {
			m.WriteField(k, v)
		}
		if name != "" {
			f, _ := m.CreateFormFile("file", name)
			io.WriteString(f, content)
		}
		m.Close()
		return m.FormDataContentType(), &b
	}
	do("GET", "/console/batches", "", nil, 200, "还没有批次")
	do("GET", "/console/batches/new?resource="+table.PathCode(), "", nil, 200, "保密审查", table.Code)

	kind, body := form(map[string]string{"resource": table.PathCode(), "mode": "append"}, "a.csv", "编号,名称\n1,甲\n")
	do("POST", "/console/batches/new", kind, body, 422, "保密审查")
	kind, body = form(map[string]string{"resource": table.PathCode(), "mode": "replace", "secrecy": "yes"}, "a.csv", "编号,名称\n1,甲\n")
	do("POST", "/console/batches/new", kind, body, 403, "未经批准")
	kind, body = form(map[string]string{"resource": table.PathCode(), "mode": "append", "secrecy": "yes"}, "", "")
	do("POST", "/console/batches/new", kind, body, 422, "请选择要上传的文件")

	kind, body = form(map[string]string{"resource": table.PathCode(), "mode": "append", "secrecy": "yes"}, "店铺<b>.csv", "店铺表\n代号,店名\n1,甲<script>\n2,\n")
	rec := do("POST", "/console/batches/new", kind, body, 303)
	page := rec.Header().Get("Location")
	held := do("GET", page, "", nil, 200, "确认读法", "甲&lt;script&gt;", "编号")
	if strings.Contains(held.Body.String(), "<script>") && strings.Contains(held.Body.String(), "甲<script>") {
		t.Error("data stands on the page as markup")
	}
	ids := regexp.MustCompile(`name="map_(\w+)"`).FindAllStringSubmatch(held.Body.String(), -1)
	if len(ids) != 2 {
		t.Fatalf("%d items to map", len(ids))
	}
	values := url.Values{"do": {"preview"}, "header_row": {"2"}, "map_" + ids[0][1]: {"代号"}, "map_" + ids[1][1]: {"店名"}}
	post := func(path string, v url.Values, want int, texts ...string) *httptest.ResponseRecorder {
		t.Helper()
		return do("POST", path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()), want, texts...)
	}
	post(page+"/confirm", url.Values{"do": {"confirm"}, "header_row": {"1"}}, 422, "对不上")
	post(page+"/confirm", values, 200, "店名 → 名称")
	values.Set("do", "confirm")
	post(page+"/confirm", values, 303)
	do("GET", page, "", nil, 200, "正在检查入库")
	if _, err := w.Jobs.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	do("GET", page, "", nil, 200, "必填项为空", "待更正", "SHA-256")
	do("GET", page+"/problems", "", nil, 200, "“名称”为必填项，不能为空")
	file := do("GET", page+"/problems/file?open=yes&format=csv", "", nil, 200, "_行号 row")
	if cd := file.Header().Get("Content-Disposition"); !strings.HasPrefix(cd, "attachment") {
		t.Errorf("problem rows are served as %q", cd)
	}
	mended := strings.Replace(file.Body.String(), "4,2,,", "4,2,乙,", 1)
	id := strings.TrimPrefix(page, "/console/batches/")
	do("GET", "/console/batches/new?corrects="+id, "", nil, 200, "更正")
	mended = strings.Replace(mended, "代号,店名", "编号,名称", 1)
	kind, body = form(map[string]string{"corrects": id, "resource": table.PathCode(), "secrecy": "yes"}, "mended.csv", mended)
	fix := do("POST", "/console/batches/new", kind, body, 303).Header().Get("Location")
	post(fix+"/confirm", url.Values{"do": {"confirm"}}, 303)
	if _, err := w.Jobs.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	do("GET", page, "", nil, 200, "更正记录", "已更正 1 行")
	if n, err := w.Warehouse.Count(t.Context(), table.ID); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}

	// A channel is asked for, decided by the authority, revoked.
	until := w.Clock.AddDate(0, 3, 0).Format("2006-01-02")
	post("/console/channels", url.Values{"resource": {table.PathCode()}, "modes": {"upsert"}, "until": {until}}, 422, "说明为什么")
	post("/console/channels", url.Values{"resource": {table.PathCode()}, "modes": {"upsert"}, "until": {until}, "reason": {"每日变更"}}, 303)
	who = intaketest.Reviewer()
	list := do("GET", "/console/channels", "", nil, 200, "待审批", "每日变更")
	channel := regexp.MustCompile(`action="(/console/channels/[^"]+)"`).FindStringSubmatch(list.Body.String())
	if channel == nil {
		t.Fatal("the authority has nothing to decide")
	}
	post(channel[1], url.Values{"do": {"approve"}}, 422)
	post(channel[1], url.Values{"do": {"approve"}, "reason": {"同意"}}, 303)
	do("GET", "/console/channels", "", nil, 200, "已批准")
	post(channel[1], url.Values{"do": {"revoke"}, "reason": {"整改"}}, 303)
	do("GET", "/console/channels", "", nil, 200, "已撤销")
	do("GET", page, "", nil, 200)
	do("GET", page+"/problems", "", nil, 403) // the authority sees counts, not rows

	who = catalogtest.Actor(catalogtest.Police, identity.Steward)
	for _, path := range []string{page, page + "/problems", page + "/problems/file"} {
		do("GET", path, "", nil, http.StatusForbidden)
	}
}
