package ui

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"gongshu/internal/web"
)

// TestBothLanguagesHaveEveryKey holds the two languages together: a key of one
// must stand in the other, with the same variables, in a file of the same name.
func TestBothLanguagesHaveEveryKey(t *testing.T) {
	zh, en := dictionaries[web.Chinese], dictionaries[web.English]
	if len(zh.all) < 100 {
		t.Fatalf("only %d keys were read", len(zh.all))
	}
	for key := range zh.all {
		if !en.all[key] {
			t.Errorf("%s: has no English words", key)
		}
	}
	for key := range en.all {
		if !zh.all[key] {
			t.Errorf("%s: has no Chinese words", key)
		}
	}
	variable := regexp.MustCompile(`\{\{\s*\.(\w+)`)
	texts := map[string]map[string]string{}
	for _, lang := range []string{web.Chinese, web.English} {
		texts[lang] = rawWords(t, lang)
	}
	for key, text := range texts[web.Chinese] {
		other := texts[web.English][key]
		if a, b := names(variable, text), names(variable, other); a != b {
			t.Errorf("%s: variables differ: zh %s, en %s", key, a, b)
		}
		if strings.TrimSpace(text) == "" || strings.TrimSpace(other) == "" {
			t.Errorf("%s: empty words", key)
		}
	}
	han := regexp.MustCompile(`[\x{4e00}-\x{9fff}]`)
	for key, text := range texts[web.English] {
		if han.MatchString(text) && key != "ui.other_language" {
			t.Errorf("%s: Chinese in the English words: %s", key, text)
		}
	}
}

func rawWords(t *testing.T, lang string) map[string]string {
	t.Helper()
	out := map[string]string{}
	d := dictionaries[lang]
	for key := range d.all {
		if text, ok := d.plain[key]; ok {
			out[key] = text
			continue
		}
		out[key] = TIn(lang, key)
	}
	files, err := fs.Glob(wordFiles, "words/"+lang+"/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^([\w.-]+):[ \t]*(.*(?:\n[ \t]+.*)*)`)
	for _, f := range files {
		raw, err := wordFiles.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range entry.FindAllStringSubmatch(string(raw), -1) {
			if d.all[m[1]] {
				if _, plain := d.plain[m[1]]; !plain {
					out[m[1]] = m[2]
				}
			}
		}
	}
	return out
}

func names(variable *regexp.Regexp, text string) string {
	set := map[string]bool{}
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		set[m[1]] = true
	}
	var out []string
	for n := range set {
		out = append(out, n)
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// TestEveryUsedKeyHasWords reads the program's sources: each literal key given
// to T or TIn must stand in the word files.
func TestEveryUsedKeyHasWords(t *testing.T) {
	root := ".."
	used := map[string]string{}
	call := regexp.MustCompile(`\bT(?:In)?\(\s*[\w.]+(?:\(\))?,\s*"([^"]+)"\s*[,)]`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "node_modules", ".git", "dist", "bin", "testdata":
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(path, "_templ.go"), strings.HasSuffix(path, "_test.go"):
		case strings.HasSuffix(path, ".templ"):
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range call.FindAllStringSubmatch(string(raw), -1) {
				used[m[1]] = path
			}
		case strings.HasSuffix(path, ".go"):
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for key := range keysIn(file) {
				used[key] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(used) < 60 {
		t.Fatalf("only %d keys were found in the sources", len(used))
	}
	for key, path := range used {
		if strings.HasSuffix(key, ".") || strings.HasSuffix(key, "_") || !strings.Contains(key, ".") {
			continue // the beginning of a key that is put together
		}
		if !HasWords(key) {
			t.Errorf("%s: no words for %q", path, key)
		}
	}
}

// keysIn gives the literal keys of ui.T(ctx, "…") and of T and TIn inside ui.
func keysIn(file *ast.File) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := f.X.(*ast.Ident)
			if !ok || x.Name != "ui" || (f.Sel.Name != "T" && f.Sel.Name != "TIn") {
				return true
			}
		case *ast.Ident:
			if file.Name.Name != "ui" || (f.Name != "T" && f.Name != "TIn") {
				return true
			}
		default:
			return true
		}
		if lit, ok := call.Args[1].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if key, err := strconv.Unquote(lit.Value); err == nil {
				out[key] = true
			}
		}
		return true
	})
	return out
}

// TestNoChineseInTemplates keeps words out of templates: they belong into the
// word files, where the other language stands beside them. The kitchen page's
// texts are samples of data.
func TestNoChineseInTemplates(t *testing.T) {
	han := regexp.MustCompile(`[\x{4e00}-\x{9fff}]+`)
	seen := 0
	for _, dir := range []string{"../ui", "../console", "../portal", "../api"} {
		files, err := filepath.Glob(dir + "/*.templ")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			seen++
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(raw), "\n") {
				if code, _, _ := strings.Cut(line, "//"); han.MatchString(code) {
					t.Errorf("%s:%d: Chinese in a template: %s", path, i+1, han.FindString(code))
				}
			}
		}
	}
	if seen < 4 {
		t.Fatalf("only %d templates were read", seen)
	}
}

func TestWords(t *testing.T) {
	zh := context.Background()
	en := web.WithLang(zh, web.English)
	for _, c := range []struct {
		ctx   context.Context
		key   string
		pairs []any
		want  string
	}{
		{zh, "ui.search", nil, "搜索"},
		{en, "ui.search", nil, "Search"},
		{zh, "ui.days_left", []any{"Count", 3}, "还剩 3 个工作日"},
		{en, "ui.days_left", []any{"Count", 1}, "1 working day left"},
		{en, "ui.days_left", []any{"Count", 1200}, "1,200 working days left"},
		{en, "no.such.key", nil, "⟦no.such.key⟧"},
	} {
		if got := T(c.ctx, c.key, c.pairs...); got != c.want {
			t.Errorf("T(%s) = %q, want %q", c.key, got, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Num(0), "0"}, {Num(999), "999"}, {Num(1000), "1,000"}, {Num(-1234567), "-1,234,567"}, {Num(100000), "100,000"},
		{Decimal(1234.5, 2), "1,234.50"}, {Decimal(-0.5, 1), "-0.5"},
		{Percent(0.5), "50%"}, {Percent(0.9999), "99.9%"}, {Percent(1), "100%"}, {Percent(0.123), "12.3%"},
		{Bytes(0), "0 B"}, {Bytes(1536), "1.5 KB"}, {Bytes(5 << 30), "5 GB"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
