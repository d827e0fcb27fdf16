package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// parse reads a query body as the data service does.
func parse(body []byte) (where []member, fields []string, limit int, err error) {
	sc := scanner{b: body}
	err = sc.parts(func(name string) (bool, error) {
		var err error
		switch name {
		case "where":
			where, err = sc.members(where)
		case "fields":
			fields, err = sc.texts(fields)
		case "limit":
			limit, err = sc.integer()
		default:
			return false, nil
		}
		return true, err
	})
	return where, fields, limit, err
}

// FuzzScanner: what the scanner takes, encoding/json takes too and reads the same.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`{"where":{"a":"b"},"fields":["x","y"],"limit":3}`, `{"where":{"a":1.5e3,"b":true,"c":null,"d":false}}`, `{ }`, `{"where":{}}`,
		`{"where":{"\u4e2d":"\ud83d\ude00\n\"\\"}}`, `{"limit":01}`, `{"where":{"a":"b"`, `{"where":{"a":tru}}`, `{"where":{"a":-}}`, "{\"where\":{\"a\":\"\x01\"}}",
		`{"where":{"a":"\u0000"}}`, `{"where":{"a":"\ud800"}}`, "{\"where\":{\"a\":\"\xff\"}}", `{"where":{"a":{}}}`, `{"fields":[1]}`, `{}x`, `[]`, `{"limit":9999999999999999999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		where, fields, limit, err := parse(body)
		if err != nil {
			return
		}
		var want struct {
			Where  map[string]any `json:"where"`
			Fields []string       `json:"fields"`
			Limit  json.Number    `json:"limit"`
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			// The outer names are compared without regard to case by encoding/json.
			t.Fatalf("taken here, refused there: %q: %v", body, err)
		}
		if len(where) != len(want.Where) || len(fields) != len(want.Fields) {
			t.Fatalf("%q: %v %v, want %+v", body, where, fields, want)
		}
		for _, m := range where {
			v, ok := want.Where[m.name]
			if !ok || m.null != (v == nil) || v != nil && m.value != fmt.Sprint(v) {
				t.Fatalf("%q: %+v, want %v", body, m, v)
			}
		}
		for i := range fields {
			if fields[i] != want.Fields[i] {
				t.Fatalf("%q: %q, want %q", body, fields[i], want.Fields[i])
			}
		}
		if n, err := strconv.Atoi(want.Limit.String()); err == nil && n != limit {
			t.Fatalf("%q: limit %d, want %d", body, limit, n)
		}
	})
}
