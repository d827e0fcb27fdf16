package browser_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gongshu/test/browser"
)

// hostileText tries to become markup, script, a broken attribute, another reading
// direction and a line that cannot be broken.
const hostileText = `<script>window.hit=1</script>"'><img src=x onerror=window.hit=1>` + "\u202e"

// hostile puts such text into every field of a resource, a batch and a request, and
// opens the pages that show them, and lists that search for it: it stays text.
func hostile(t *testing.T, base, password string) {
	client := visitor(t, base, "fund.steward", password)
	send := func(method, path, kind string, body []byte, into any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", kind)
		r.Header.Set("X-Gongshu-Secrecy", "declared")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode < 300 {
			err = json.Unmarshal(got, into)
		}
		if err != nil || res.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %v %.600s", method, path, res.StatusCode, err, got)
		}
	}
	inJSON := func(v any) []byte {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	long := hostileText + strings.Repeat("x", 150)

	var r map[string]any
	send("GET", "/api/v1/catalog/20300401-0001", "", nil, &r)
	delete(r, "id")
	r["class"].(map[string]any)["detail"] = "66"
	r["name"], r["office"] = hostileText, hostileText
	r["summary"], r["sharing_note"], r["tags"] = long, long, []string{"<b>t</b>", "javascript:window.hit=1"}
	for field, words := range map[string]string{"conditions": "note", "sharing_basis": "text", "items": "description"} {
		for _, part := range r[field].([]any) {
			part.(map[string]any)[words] = long
		}
	}
	r["items"].([]any)[2].(map[string]any)["name"] = "<i>缴存</i>"
	var made struct{ Code string }
	send("POST", "/api/v1/catalog", "application/json", inJSON(r), &made)
	code := strings.ReplaceAll(made.Code, "/", "-")

	var receipt struct {
		Batch string
		Open  int
	}
	send("POST", "/api/v1/resources/20300401-0001/batches?name="+url.QueryEscape(hostileText+".csv"), "text/csv",
		[]byte("公民身份号码,姓名,缴存状态,月缴存额,开户日期\n<script>window.hit=1</script>,\"=cmd|'/c calc'!A1\",<img src=x onerror=window.hit=1>,"+strings.Repeat("9", 300)+",2026-02-30\n"), &receipt)
	if receipt.Open != 1 {
		t.Errorf("%d problem rows", receipt.Open)
	}

	var request struct{ Number string }
	send("POST", "/api/v1/requests", "application/json", inJSON(map[string]any{
		"resource": "10300301/0001", "mode": "verify", "items": []string{"坐落"}, "purposes": []string{"check"}, "business": long,
		"users": []string{"<b onclick=window.hit=1>张三</b>"}, "end_date": time.Now().AddDate(0, 3, 0).Format(time.DateOnly), "note": long,
	}), &request)

	text := url.QueryEscape(hostileText)
	for login, pages := range map[string][]string{
		"fund.steward": {"/console/catalog/" + code, "/console/catalog/" + code + "/edit", "/console/catalog?view=work&q=" + text, "/console/batches/" + receipt.Batch,
			"/console/batches/" + receipt.Batch + "/problems", "/console/batches?q=" + text, "/console/requests/" + request.Number, "/console/requests?q=" + text},
		"resources.steward": {"/console/requests/" + request.Number},
		"auditor":           {"/console/audit?q=" + text, "/console/audit?resource=" + url.QueryEscape(made.Code)},
		"":                  {"/datasets?q=" + text},
	} {
		b := start(t)
		if login != "" {
			if err := b.LogIn(base, login, password); err != nil {
				t.Fatal(err)
			}
		}
		for _, page := range pages {
			for _, width := range []int{browser.Desk, browser.Phone} {
				report, err := b.Look(base+page, width, "")
				if err != nil {
					t.Errorf("%s: %v", page, err)
					continue
				}
				for _, fault := range report.Faults {
					t.Errorf("%s (%s, %d px): %s", page, login, width, fault)
				}
			}
			const look = `!document.documentElement.outerHTML.includes("window.hit=1") ? "is not shown" :
				window.hit !== undefined || document.querySelector("main [onerror], main [onclick], a[href^='javascript:'], main i:not([class])") ? "became markup" : ""`
			if found, err := browser.Get(b, chromedp.Evaluate[string](look)); err != nil || found != "" {
				t.Errorf("%s (%s): the text %s %v", page, login, found, err)
			}
		}
	}
}
