package clause

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryClauseHasItsWords(t *testing.T) {
	all := All()
	if len(all) < 150 {
		t.Fatalf("register has %d clauses, want all of the four cities", len(all))
	}
	for _, c := range all {
		if len([]rune(c.Text)) < 10 {
			t.Errorf("%s: words %q", c.ID, c.Text)
		}
		if c.Must == "" || c.CitationZH() == "" || c.CitationEN() == "" {
			t.Errorf("%s: incomplete", c.ID)
		}
		if strings.Contains(c.Text, "抄送") || strings.Count(c.Text, "\n第") > 0 && c.Instrument != "QZ" {
			t.Errorf("%s: runs into the next article: %q", c.ID, c.Text)
		}
	}
}

func TestArticleWords(t *testing.T) {
	for id, part := range map[string]string{
		"FZM-17":   "在 20个工作日内提出意见并反馈",
		"FZM-29.3": "未经批准，任何单位和个人均不得更改和删除政务数据。",
		"FZO-6.2":  "对数据安全和处理能力要求较高",
		"FZO-16.1": "对已经开放的公共数据的使用情况进行跟踪和服务",
		"FZK-22":   "责令限期整改",
		"QZ-3.1.8": "日志记录保留时间不少于3年",
		"QZ-7.2":   "在一定范围内进行通报并责令整改",
		"FS-5.3":   "否则应当无条件共享",
		"FS-26":    "审核工作应在10个工作日内完成",
		"FS-40.2":  "指定专人负责政务数据的保密审查",
		"LY-12":    "在5个工作日内提出意见并反馈",
		"LY-24":    "日志记录保留时间不少于半年",
	} {
		c, ok := Get(id)
		if !ok || !strings.Contains(c.Text, part) {
			t.Errorf("%s: %q lacks %q", id, c.Text, part)
		}
	}
	if c, _ := Get("FZM-29.3"); strings.Contains(c.Text, "用途") {
		t.Errorf("FZM-29.3 must be the third paragraph alone: %q", c.Text)
	}
	if _, ok := Get("FZM-99"); ok {
		t.Error("FZM-99 must be unknown")
	}
}

func TestCitations(t *testing.T) {
	for id, want := range map[string]string{
		"FZM-17":   "《福州市政务数据资源管理办法》第十七条",
		"FZM-29.3": "《福州市政务数据资源管理办法》第二十九条第三款",
		"FS-5.3":   "《佛山市政务数据资源管理办法(公众征求意见稿)》第五条第（三）项",
		"QZ-3.1.8": "《泉州市公共数据资源开发利用等业务监管规定(试行)》第三部分第（一）款第8项",
	} {
		if c, _ := Get(id); c.CitationZH() != want {
			t.Errorf("%s: %s, want %s", id, c.CitationZH(), want)
		}
	}
}

func TestSearch(t *testing.T) {
	got := Search("批量导出", "", "")
	if len(got) != 1 || got[0].ID != "LY-13" {
		t.Errorf("批量导出: %v", got)
	}
	for _, c := range Search("", "FS", Clock) {
		if c.Instrument != "FS" || c.Kind != Clock {
			t.Errorf("filter let %s through", c.ID)
		}
	}
	if len(Search("", "FS", Clock)) == 0 || len(Search("no such words", "", "")) != 0 {
		t.Error("filters do not work")
	}
}

type fakeTB struct {
	fatal string
	logs  []string
}

func (f *fakeTB) Helper()                   {}
func (f *fakeTB) Name() string              { return "TestX" }
func (f *fakeTB) Logf(s string, a ...any)   { f.logs = append(f.logs, fmt.Sprintf(s, a...)) }
func (f *fakeTB) Fatalf(s string, a ...any) { f.fatal = fmt.Sprintf(s, a...) }
func (f *fakeTB) Errorf(s string, a ...any) { f.fatal = fmt.Sprintf(s, a...) }

func TestCoversRecordsAndRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CLAUSE_COVERAGE_DIR", dir)
	ok := &fakeTB{}
	Covers(ok, "FZM-17", "LY-12")
	b, err := os.ReadFile(filepath.Join(dir, "coverage.tsv"))
	if err != nil || string(b) != "FZM-17\tTestX\nLY-12\tTestX\n" || ok.fatal != "" || len(ok.logs) != 2 {
		t.Errorf("coverage %q, err %v, fatal %q, logs %v", b, err, ok.fatal, ok.logs)
	}
	bad := &fakeTB{}
	Covers(bad, "FZM-99")
	if !strings.Contains(bad.fatal, "FZM-99") {
		t.Errorf("unknown id passed: %q", bad.fatal)
	}
}

func TestMatrixScansTests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sharing/a_test.go", "package sharing\nfunc TestAnswer(t *testing.T) { clause.Covers(t, \"FZM-17\", \"FS-26\"); t.Run(\"x\", func(t *testing.T) { clause.Covers(t, \"LY-12\") }) }\n")
	rows, err := Matrix(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		want := ""
		switch r.Clause.ID {
		case "FZM-17", "FS-26", "LY-12":
			want = "sharing.TestAnswer"
		}
		if strings.Join(r.Tests, " ") != want {
			t.Errorf("%s: %v, want %q", r.Clause.ID, r.Tests, want)
		}
	}
	var b strings.Builder
	missing, err := WriteMatrix(&b, rows)
	if err != nil || missing != len(rows)-3 || !strings.Contains(b.String(), "FZM-17    clock    sharing.TestAnswer") {
		t.Errorf("missing %d err %v\n%s", missing, err, b.String()[:400])
	}
	// What the program cites: literals and policies, not comments, not tests.
	write("sharing/rules.go", "package sharing\n// LY-13 in a comment\nvar refusal = by(\"FZM-17\", \"LY-11\")\n")
	write("operation/policies/sharing.cedar", "@id(\"a\")\n@clause(\"FS-26 FS-9\")\npermit (principal, action, resource);\n")
	write("sharing/sharingtest/world.go", "package sharingtest\nvar x = \"FS-12\"\n")
	cited, err := Cited(dir)
	if err != nil || len(cited) != 4 || strings.Join(cited["LY-11"], " ") != "sharing/rules.go" || strings.Join(cited["FS-9"], " ") != "operation/policies/sharing.cedar" {
		t.Errorf("cited %v, %v", cited, err)
	}
	var unshown []string
	for _, r := range Unshown(rows, cited) {
		unshown = append(unshown, r.Clause.ID)
	}
	if strings.Join(unshown, " ") != "FS-9 LY-11" {
		t.Errorf("cited and without a test: %v", unshown)
	}
	write("sharing/b_test.go", "package sharing\nfunc TestWrong(t *testing.T) {\n clause.Covers(t, \"FZM-99\") }\n")
	if _, err := Matrix(dir); err == nil || !strings.Contains(err.Error(), "b_test.go:3") {
		t.Errorf("unknown id in a test: %v", err)
	}
}
