package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"gongshu/internal/errs"
	"gongshu/internal/web"
)

// knownQuery refuses a parameter that the operation does not describe, and one
// given twice that is no list: a misspelt mode or limit is not passed over.
func knownQuery(params []*huma.Param, next http.Handler) http.Handler {
	list := map[string]bool{} // name → may be repeated
	for _, p := range params {
		if p.In == "query" {
			list[p.Name] = p.Schema != nil && p.Schema.Type == huma.TypeArray
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			given, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				web.Fail(w, r, errs.New(errs.Invalid, errs.T("地址中问号后的部分编码有误", "the part of the address after the question mark is malformed")).In("query").Because(err))
				return
			}
			for name, values := range given {
				repeatable, known := list[name]
				switch {
				case !known:
					web.Fail(w, r, errs.Newf(errs.Invalid, "没有参数“%s”", "there is no parameter %q", name).In(name))
					return
				case len(values) > 1 && !repeatable:
					web.Fail(w, r, errs.Newf(errs.Invalid, "参数 %s 出现多次", "the parameter %s is given more than once", name).In(name))
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// decodeJSON reads the one JSON value of a body. A member given twice is refused:
// which of the two counts is anybody's guess (RFC 8259). into as for json.Unmarshal,
// but that unknown members are refused where strict.
func decodeJSON(body []byte, into any, strict bool) error {
	if name, again := repeated(body); again {
		return errs.Newf(errs.Invalid, "成员“%s”重复", "the member %q is given twice", name).In(name)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(into); err != nil {
		return badJSON(dec, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errs.New(errs.Invalid, errs.T("JSON 之后还有内容", "there is more after the end of the JSON")).In("body")
	}
	return nil
}

func badJSON(dec *json.Decoder, err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return errs.Newf(errs.Invalid, "“%s”的类型不对", "the member %q has the wrong type", wrong.Field).In(wrong.Field).Because(err)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		field := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return errs.Newf(errs.Invalid, "没有成员“%s”", "there is no member %q", field).In(field).Because(err)
	}
	return errs.Newf(errs.Invalid, "请求体不是有效的 JSON（第 %d 字节）", "the body is no valid JSON (at byte %d)", dec.InputOffset()).In("body").Because(err)
}

// repeated names the first member that an object of a JSON text gives twice. Where
// the text is malformed it says false, and the decoder says what is wrong.
func repeated(body []byte) (name string, found bool) {
	type level struct {
		seen map[string]bool // nil in a list
		key  bool            // a member's name comes next
	}
	var open []*level
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return "", false
		}
		var at *level
		if len(open) > 0 {
			at = open[len(open)-1]
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if at != nil && at.seen != nil {
					at.key = true // after this value
				}
				next := &level{}
				if t == '{' {
					next.seen, next.key = map[string]bool{}, true
				}
				open = append(open, next)
			default:
				open = open[:len(open)-1]
			}
			continue
		case string:
			if at != nil && at.key {
				if at.seen[t] {
					return t, true
				}
				at.seen[t], at.key = true, false
				continue
			}
		}
		if at != nil && at.seen != nil {
			at.key = true
		}
	}
}

// schemaFault is huma's refusal of one part of a request in both languages: where,
// and what was expected.
func schemaFault(fault error) (errs.Problem, bool) {
	if fault == nil {
		return errs.Problem{}, false
	}
	field, message := "", fault.Error()
	var detail huma.ErrorDetailer
	if errors.As(fault, &detail) {
		d := detail.ErrorDetail()
		field, message = d.Location, d.Message
		for _, where := range []string{"body.", "query.", "path.", "header.", "cookie."} {
			field = strings.TrimPrefix(field, where)
		}
	}
	if m := member.FindStringSubmatch(message); m != nil { // huma says in what, not which
		field = strings.TrimPrefix(strings.TrimPrefix(field, "body")+"."+m[1], ".")
	}
	if field == "" {
		field = "body"
	}
	return errs.Problem{Field: field, Code: "schema", Text: errs.T(inChinese(message), message)}, true
}

var member = regexp.MustCompile(`^(?:expected required property|the member) "?([^"]+?)"? (?:to be present|is given twice|has the wrong type)$`)

// schemaWords are huma's messages and the Chinese for them.
var schemaWords = func() (out []struct {
	en *regexp.Regexp
	zh string
}) {
	for en, zh := range map[string]string{
		validation.MsgUnexpectedProperty:             "没有这个成员",
		validation.MsgExpectedRFC3339DateTime:        "应为 RFC 3339 日期时间",
		validation.MsgExpectedRFC3339Date:            "应为日期，如 2026-11-21",
		validation.MsgExpectedBoolean:                "应为 true 或 false",
		validation.MsgExpectedNumber:                 "应为数值",
		validation.MsgExpectedInteger:                "应为整数",
		validation.MsgExpectedString:                 "应为字符串",
		validation.MsgExpectedArray:                  "应为数组",
		validation.MsgExpectedObject:                 "应为对象",
		validation.MsgExpectedArrayItemsUnique:       "各项不得重复",
		validation.MsgExpectedOneOf:                  "应为下列之一：$1",
		validation.MsgExpectedMinimumNumber:          "应不小于 $1",
		validation.MsgExpectedMaximumNumber:          "应不大于 $1",
		validation.MsgExpectedExclusiveMinimumNumber: "应大于 $1",
		validation.MsgExpectedExclusiveMaximumNumber: "应小于 $1",
		validation.MsgExpectedMinLength:              "长度应不小于 $1",
		validation.MsgExpectedMaxLength:              "长度应不大于 $1",
		validation.MsgExpectedMinItems:               "至少 $1 项",
		validation.MsgExpectedMaxItems:               "至多 $1 项",
		validation.MsgExpectedMatchPattern:           "应符合格式 $1",
		validation.MsgExpectedRequiredProperty:       "缺少 $1",
		"unknown query parameter":                    "没有这个参数",
		"required query parameter is missing":        "缺少这个参数",
		"required header parameter is missing":       "缺少这个请求头",
		"request body is required":                   "缺少请求体",
		"request body is too large limit=%d bytes":   "请求体超过 $1 字节",
		"the member %q is given twice":               "成员 $1 重复",
		"the member %q has the wrong type":           "成员 $1 的类型不对",
		"the body is no valid JSON (at byte %d)":     "请求体不是有效的 JSON（第 $1 字节）",
		"there is more after the end of the JSON":    "JSON 之后还有内容",
		"invalid integer":                            "应为整数",
		"invalid boolean":                            "应为 true 或 false",
	} {
		pattern := regexp.QuoteMeta(en)
		for _, verb := range []string{"%v", "%s", "%d", "%q"} {
			pattern = strings.ReplaceAll(pattern, verb, "(.*)")
		}
		out = append(out, struct {
			en *regexp.Regexp
			zh string
		}{regexp.MustCompile("^" + pattern + "$"), zh})
	}
	return out
}()

func inChinese(message string) string {
	for _, w := range schemaWords {
		if w.en.MatchString(message) {
			return w.en.ReplaceAllString(message, w.zh)
		}
	}
	return message
}
