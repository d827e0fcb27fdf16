package gongshu_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gongshu"

// order is the tree of the house from the top down: a package may import only
// packages that stand below it. A package that is not listed fails the test.
var order = []string{
	"test",  // whole-program scenarios stand above all
	"bench", // load and figures
	"cmd/gongshu",
	"demo",
	"api",
	"portal",
	"console",
	"ui",
	"sharing",
	"opendata",
	"agreement",
	"intake",
	"quality",
	"gateway",
	"warehouse",
	"catalog",
	"casework",
	"notice",
	"org",
	"operation",
	"identity",
	"audit",
	"profile",
	"clause",
	"workday",
	"privacy",
	"tabular",
	"internal/web",
	"internal/search",
	"internal/blob",
	"internal/jobs",
	"internal/db",
	"internal/errs",
}

// place finds the entry of order that a package folder belongs to: itself or the
// nearest listed folder above it. Sub-folders belong to their area.
func place(dir string) int {
	for d := dir; d != "."; d = path.Dir(d) {
		if i := slices.Index(order, d); i >= 0 {
			return i
		}
	}
	return -1
}

func TestImportsPointDownward(t *testing.T) {
	eachGoFile(t, func(file string, imports []string) {
		dir := path.Dir(file)
		if dir == "." {
			return // this test and the dependency pins
		}
		from := place(dir)
		if from < 0 {
			t.Errorf("%s: package %s is not in the tree of ARCHITECTURE; give it a place in architecture_test.go and README", file, dir)
			return
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, imported := range imports {
			to, ok := strings.CutPrefix(imported, module+"/")
			if !ok {
				continue
			}
			at := place(to)
			switch {
			case at < 0:
				t.Errorf("%s imports %s, which has no place in the tree", file, to)
			case at == from: // its own sub-folders
			case at < from:
				t.Errorf("%s: %s imports %s, which stands above it", file, order[from], to)
			}
			if strings.HasSuffix(to, "test") && !test && !strings.Contains(dir, "test") {
				t.Errorf("%s: %s is for tests only", file, to)
			}
		}
	})
}

// TestDialectStaysHidden keeps the name of a database out of every package but
// the two that speak its native protocol.
func TestDialectStaysHidden(t *testing.T) {
	allowed := []string{"internal/db", "warehouse", "audit", "cmd/gongshu", "test", "internal/jobs", "opendata", "bench"}
	eachGoFile(t, func(file string, imports []string) {
		if path.Dir(file) == "." || strings.HasSuffix(file, "_test.go") || slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(file, a+"/") }) {
			return
		}
		for _, imported := range imports {
			if strings.HasPrefix(imported, "github.com/jackc/pgx") || imported == "modernc.org/sqlite" {
				t.Errorf("%s imports %s; only %s may", file, imported, strings.Join(allowed, ", "))
			}
		}
	})
}

// TestOneSQLRoom keeps SQL in the owning area's store.go (and files beside it
// named store_*.go).
func TestOneSQLRoom(t *testing.T) {
	free := []string{"internal/", "warehouse/", "audit/", "cmd/", "test/", "bench/", "clause/"}
	eachGoFile(t, func(file string, _ []string) {
		base := path.Base(file)
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(base, "store") || slices.ContainsFunc(free, func(f string) bool { return strings.HasPrefix(file, f) }) {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(line, "//")
			for _, verb := range []string{"`SELECT ", "\"SELECT ", "`INSERT INTO", "\"INSERT INTO", "`UPDATE ", "\"UPDATE ", "`DELETE FROM", "\"DELETE FROM"} {
				if strings.Contains(code, verb) {
					t.Errorf("%s:%d: SQL outside store.go", file, n+1)
				}
			}
		}
	})
}

// writers may change the control store without going through operation.Do; each
// has its reason. Every other caller of InTx is a fault.
var writers = map[string]string{
	"operation":     "the one door itself",
	"audit":         "the appender, the integrator and the retention of the log",
	"internal/jobs": "leases and dead letters; what a job does goes through the door",
	"identity":      "session touches, login attempts, nonces and key use",
	"demo":          "one known password for its made-up people",
	"cmd/gongshu":   "the first administrators and keys of a store that has no accounts yet",
	"gateway":       "quota counters and the ledger of answered statistics, written in the entry's own transaction",
	"intake":        "progress of a load between its two audited ends",
	"opendata":      "download counters and the open store, which holds copies of published bundles",
	"warehouse":     "row loads, under the batch that the door let in",
	"bench":         "fills the stores that it measures",
}

func TestWritersAreOnTheList(t *testing.T) {
	seen := map[string]bool{}
	eachGoFile(t, func(file string, _ []string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), ".InTx(") {
			return
		}
		i := place(path.Dir(file))
		if i < 0 {
			return // reported by TestImportsPointDownward
		}
		seen[order[i]] = true
		if writers[order[i]] == "" {
			t.Errorf("%s opens a transaction beside operation.Do, and %s is not on the list of writers", file, order[i])
		}
	})
	for area := range writers {
		if !seen[area] {
			t.Errorf("%s is on the list of writers and writes nothing on its own: take it off", area)
		}
	}
}

// TestCitiesAreData keeps the names of cities out of decisions in code.
func TestCitiesAreData(t *testing.T) {
	names := []string{`"fuzhou"`, `"quanzhou"`, `"foshan"`, `"longyan"`, `"福州"`, `"泉州"`, `"佛山"`, `"龙岩"`}
	eachGoFile(t, func(file string, _ []string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "test/") {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, name := range names {
				if strings.Contains(line, name) && (strings.Contains(line, "==") || strings.Contains(line, "!=") || strings.Contains(line, "case ")) {
					t.Errorf("%s:%d decides by the name of a city; make it a key of the profile", file, n+1)
				}
			}
		}
	})
}

func TestEveryPackageIsInTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range order {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if !strings.Contains(string(text), path.Base(dir)+"/") {
			t.Errorf("README.md's tree does not name %s/", dir)
		}
	}
}

func eachGoFile(t *testing.T, visit func(file string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		visit(filepath.ToSlash(name), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
