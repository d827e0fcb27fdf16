package tabular_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gongshu/tabular"
)

func TestAppendJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                "\"\"",
		"市民 <b>&\u2028":   "\"市民 <b>&\u2028\"",
		"\b\t\n\f\r\"\\/": `"\b\t\n\f\r\"\\/"`,
		"\x00\x1f\x7f":    "\"\\u0000\\u001f\x7f\"",
		"a\xffb\xe5\xb8":  "\"a\uFFFDb\uFFFD\uFFFD\"",
		"\uFFFD𠮷":         "\"\uFFFD𠮷\"",
	} {
		if got := string(tabular.AppendJSONString([]byte("x"), in)); got != "x"+want {
			t.Errorf("%q became %s, want x%s", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		raw := tabular.AppendJSONString(nil, s)
		var back string
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatalf("%q became %q: %v", s, raw, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("%q came back as %q", s, back)
		}
		if !utf8.Valid(raw) {
			t.Fatalf("%q is not UTF-8", raw)
		}
		if string(tabular.AppendJSONString(nil, []byte(s))) != string(raw) {
			t.Fatalf("%q is written in two ways", s)
		}
	})
}
