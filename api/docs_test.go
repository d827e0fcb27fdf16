package api

import (
	"context"
	"testing"

	"gongshu/internal/web"
)

const smallDocument = `{"openapi":"3.1.0","components":{"schemas":{"Ask":{"type":"object","required":["key"],"properties":{"key":{"type":"object","properties":{"id":{"type":"string"}}},"limit":{"type":"integer"}}}}},
"paths":{"/api/v1/resources/{code}/verify":{"post":{"operationId":"verify","summary":"核验 / Verify","tags":["data"],
 "parameters":[{"name":"code","in":"path","required":true,"schema":{"type":"string"},"description":"资源代码 / resource code"}],
 "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Ask"}}}},"responses":{"200":{"description":"答复 / answer"}}}},
"/api/v1/open/datasets":{"get":{"operationId":"find","summary":"Find open datasets 查找数据集","tags":["open"],"security":[{}],"parameters":[{"name":"tags","in":"query","schema":{"type":["array","null"],"items":{"type":"string"}}}],"responses":{"200":{"description":"OK"}}}}}}`

// TestReadOpenAPI: what anybody may call stands first, required fields make the
// example, and each language reads its own part of the texts.
func TestReadOpenAPI(t *testing.T) {
	groups, err := readOpenAPI([]byte(smallDocument))
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].tag != "open" || !groups[0].ops[0].Open || groups[1].ops[0].Open {
		t.Fatalf("groups %+v", groups)
	}
	verify := groups[1].ops[0]
	if verify.Method != "POST" || verify.Example != "{\n  \"key\": {\n    \"id\": \"\"\n  }\n}" || !verify.tryable() {
		t.Errorf("verify %+v", verify)
	}
	if got := groups[0].ops[0].Params[0].Type; got != "string[]" {
		t.Errorf("type %q", got)
	}
	zh, en := web.WithLang(context.Background(), "zh"), web.WithLang(context.Background(), "en")
	for _, c := range []struct{ text, zh, en string }{
		{"核验 / Verify", "核验", "Verify"},
		{"Find open datasets 查找数据集", "查找数据集", "Find open datasets"},
		{"查询。\n\nRows by key.", "查询。", "Rows by key."},
		{"OK", "OK", "OK"},
	} {
		if got := inLang(zh, c.text); got != c.zh {
			t.Errorf("zh of %q: %q", c.text, got)
		}
		if got := inLang(en, c.text); got != c.en {
			t.Errorf("en of %q: %q", c.text, got)
		}
	}
	if _, err := readOpenAPI([]byte("{")); err == nil {
		t.Error("a broken document was read")
	}
}
