package audit_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gongshu/audit"
	"gongshu/internal/db/dbtest"
)

func full() audit.Entry {
	return audit.Entry{
		ID: "0192f3b4-0000-7000-8000-00000000000a", At: time.Date(2026, 11, 22, 1, 2, 3, 4e6, time.UTC),
		ActorKind: "person", Actor: "u1", ActorName: "林 \"某\"\n某", Post: "auditor", Body: "b1", BodyName: "市大数据委", Addr: "10.0.0.1", Client: "c1", Session: "s1",
		Action: "gateway.query", TargetKind: "resource", Target: "r1", TargetName: "户籍人口\u0001信息", TargetBody: "b2", District: "350100",
		Resource: "306001/0001", Case: "2026-1", Grant: "g1", Purpose: "核验", Approver: "王某", Medium: "api",
		Outcome: "ok", Code: "forbidden FS-40", Subjects: []string{"00ff", "11ee"},
		Notes: []audit.Note{{"a", "x"}, {"flag", true}, {"list", []string{"甲", "乙"}}, {"rows", int64(-12)}, {"😀", "astral"}, {"\uFFFD", "z"}},
	}
}

const fullForm = `{"action":"gateway.query","actor":"u1","actor_kind":"person","actor_name":"林 \"某\"\n某","addr":"10.0.0.1","approver":"王某","at":"2026-11-22T01:02:03.004Z","body":"b1","body_name":"市大数据委","case":"2026-1","client":"c1","code":"forbidden FS-40","district":"350100","grant":"g1","id":"0192f3b4-0000-7000-8000-00000000000a","medium":"api","notes":{"a":"x","flag":true,"list":["甲","乙"],"rows":-12,"😀":"astral","` + "\uFFFD" + `":"z"},"outcome":"ok","post":"auditor","purpose":"核验","resource":"306001/0001","session":"s1","subjects":["00ff","11ee"],"target":"r1","target_body":"b2","target_kind":"resource","target_name":"户籍人口\u0001信息"}`

// TestCanonicalForm holds the form by its letters: what is signed today must be
// written the same in ten years.
func TestCanonicalForm(t *testing.T) {
	e := full()
	got, err := e.Canonical(nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullForm, string(got)); diff != "" {
		t.Error(diff)
	}
	back, err := audit.ParseEntry(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, back); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{
		"space": `{"action":"a", "at":"2026-11-22T01:02:03.004Z","outcome":"ok"}`, "order": `{"at":"2026-11-22T01:02:03.004Z","action":"a","outcome":"ok"}`,
		"unknown key": `{"action":"a","at":"2026-11-22T01:02:03.004Z","outcome":"ok","zz":"1"}`, "repeated key": `{"action":"a","action":"a","at":"2026-11-22T01:02:03.004Z","outcome":"ok"}`,
		"no time": `{"action":"a","outcome":"ok"}`, "escape": `{"action":"\u0061","at":"2026-11-22T01:02:03.004Z","outcome":"ok"}`,
		"float": `{"action":"a","at":"2026-11-22T01:02:03.004Z","notes":{"n":1.5},"outcome":"ok"}`, "trailing": `{"action":"a","at":"2026-11-22T01:02:03.004Z","outcome":"ok"} `,
		"empty": "", "list": "[]",
	} {
		if _, err := audit.ParseEntry([]byte(bad)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestCanonicalRoundTrips(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Just("x"), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Just(strings.Repeat("长", 600)))
	rapid.Check(t, func(t *rapid.T) {
		e := audit.Entry{
			ID: text.Draw(t, "id"), At: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at")).UTC(), Action: text.Draw(t, "action"),
			Actor: text.Draw(t, "actor"), Purpose: text.Draw(t, "purpose"), TargetName: text.Draw(t, "target"),
			Subjects: rapid.SliceOfN(text, 0, 5).Draw(t, "subjects"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "notes") {
			n := audit.Note{Key: text.Draw(t, "key")}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				n.Value = text.Draw(t, "value")
			case 1:
				n.Value = rapid.Int64().Draw(t, "value")
			case 2:
				n.Value = rapid.Bool().Draw(t, "value")
			case 3:
				n.Value = rapid.SliceOfN(text, 0, 3).Draw(t, "value")
			}
			e.Notes = append(e.Notes, n)
		}
		form, err := e.Canonical(nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := audit.ParseEntry(form)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		again, err := back.Canonical(nil)
		if err != nil || !bytes.Equal(again, form) {
			t.Fatalf("%s became %s, %v", form, again, err)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(fullForm))
	f.Add([]byte(`{"action":"a","at":"2026-11-22T01:02:03.004Z","outcome":"ok"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e, err := audit.ParseEntry(content)
		if err != nil {
			return
		}
		again, err := e.Canonical(nil)
		if err != nil || !bytes.Equal(again, content) {
			t.Errorf("%q was taken and is written %q, %v", content, again, err)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	keys, err := audit.GenerateKeys("test-log")
	if err != nil {
		f.Fatal(err)
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("test-log\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— test-log AAAA\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := audit.ParseCheckpoint(text, known); err == nil {
			t.Errorf("a forged checkpoint was taken: %+v", c)
		}
	})
}

func FuzzVerifyExport(f *testing.F) {
	d := dbtest.SQLite(f)
	s := seal(f, d, 12)
	file, _ := s.export(f, audit.ExportRange{})
	f.Add(file)
	f.Add([]byte(`{"format":"gongshu-audit-export/1","origin":"test-log","from":0,"to":0,"edge":[],"made":""}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := audit.VerifyExport(bytes.NewReader(b), audit.VerifyOptions{Known: s.known})
		if err == nil && r.OK() && r.To != s.size+3 && r.Sealed != r.To {
			t.Errorf("nothing wrong with %q: %+v", b, r)
		}
	})
}

func FuzzNewVerifier(f *testing.F) {
	keys, err := audit.GenerateKeys("test-log")
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range keys.VerifierKeys() {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := audit.NewVerifier(text); err == nil && (v.Name() == "" || v.Verify([]byte("x"), []byte("y"))) {
			t.Errorf("%q verifies junk", text)
		}
	})
}
