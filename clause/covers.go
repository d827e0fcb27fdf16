package clause

import (
	"encoding/csv"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TB is the part of testing.TB that Covers uses, so that the program itself does
// not link the testing package.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Covers states that the running test shows the articles at work. It fails the
// test on an id that the register lacks, logs "clause: FZM-17" a line an id, and
// appends "id<TAB>test" to the file coverage.tsv under $CLAUSE_COVERAGE_DIR where
// that is set.
func Covers(t TB, ids ...string) {
	t.Helper()
	if len(ids) == 0 {
		t.Fatalf("clause.Covers: no clause named")
		return
	}
	for _, id := range ids {
		if _, ok := Get(id); !ok {
			t.Fatalf("clause.Covers: the register has no %q", id)
			return
		}
		t.Logf("clause: %s", id)
		if dir := os.Getenv("CLAUSE_COVERAGE_DIR"); dir != "" {
			f, err := os.OpenFile(filepath.Join(dir, "coverage.tsv"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Errorf("clause.Covers: %v", err)
				return
			}
			_, err = fmt.Fprintf(f, "%s\t%s\n", id, t.Name())
			if cerr := f.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				t.Errorf("clause.Covers: %v", err)
			}
		}
	}
}

// Row is a line of the coverage matrix.
type Row struct {
	Clause Clause
	Tests  []string // "package/dir.TestName", sorted, each once
}

// Matrix reads every _test.go file under dir and gives one row a clause, in the
// register's order, with the tests that name it in clause.Covers by a string
// literal. A literal id that the register lacks is an error naming file and line.
func Matrix(dir string) ([]Row, error) {
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != dir && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return scanFile(path, filepath.ToSlash(rel), found)
	})
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(register().all))
	for _, c := range register().all {
		row := Row{Clause: c}
		for test := range found[c.ID] {
			row.Tests = append(row.Tests, test)
		}
		sort.Strings(row.Tests)
		rows = append(rows, row)
	}
	return rows, nil
}

func scanFile(path, rel string, found map[string]map[string]bool) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := strings.TrimSuffix(rel, "/"+filepath.Base(path))
	if pkg == rel {
		pkg = "."
	}
	inside := file.Name.Name == "clause" || file.Name.Name == "clause_test"
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		var bad error
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isCovers(call.Fun, inside) || len(call.Args) < 2 {
				return true
			}
			for _, arg := range call.Args[1:] {
				lit, ok := arg.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					continue
				}
				id, err := strconv.Unquote(lit.Value)
				if err != nil {
					continue
				}
				if _, ok := Get(id); !ok {
					if !inside && bad == nil {
						bad = fmt.Errorf("%s: the clause register has no %q", fset.Position(lit.Pos()), id)
					}
					continue
				}
				if found[id] == nil {
					found[id] = map[string]bool{}
				}
				found[id][pkg+"."+fn.Name.Name] = true
			}
			return true
		})
		if bad != nil {
			return bad
		}
	}
	return nil
}

func isCovers(fun ast.Expr, inside bool) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "clause" && f.Sel.Name == "Covers"
	case *ast.Ident:
		return inside && f.Name == "Covers"
	}
	return false
}

// Cited reads the program's own source under dir (no tests, no figures, no demo) and
// gives the articles that it puts before a reader: ids that stand as string literals
// in Go, as refusals, pages and cards carry them, and those in the @clause of a Cedar
// policy. Each comes with the files that cite it, sorted. Comments do not count, nor
// do values of a city's profile, whose articles may be of areas still to come.
func Cited(dir string) (map[string][]string, error) {
	out := map[string][]string{}
	cite := func(id, file string) {
		if _, ok := Get(id); ok && (len(out[id]) == 0 || out[id][len(out[id])-1] != file) {
			out[id] = append(out[id], file)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			if rel != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || strings.HasSuffix(name, "test") || name == "testdata" ||
				rel == "clause" || rel == "bench" || rel == "demo") {
				return filepath.SkipDir
			}
		case strings.HasSuffix(name, ".cedar"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range cedarClause.FindAllStringSubmatch(string(text), -1) {
				for _, id := range strings.Fields(m[1]) {
					cite(id, rel)
				}
			}
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if id, err := strconv.Unquote(lit.Value); err == nil {
						cite(id, rel)
					}
				}
				return true
			})
		}
		return nil
	})
	return out, err
}

var cedarClause = regexp.MustCompile(`@clause\("([^"]*)"\)`)

// Unshown are the rows whose article the program cites and no test shows.
func Unshown(rows []Row, cited map[string][]string) []Row {
	var out []Row
	for _, r := range rows {
		if len(r.Tests) == 0 && len(cited[r.Clause.ID]) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// WriteMatrix prints the matrix as text: id, kind, tests; then how many clauses
// of each kind have a test. It returns the number of clauses without one.
func WriteMatrix(w io.Writer, rows []Row) (missing int, err error) {
	count, covered := map[Kind]int{}, map[Kind]int{}
	for _, r := range rows {
		count[r.Clause.Kind]++
		tests := strings.Join(r.Tests, ", ")
		if tests == "" {
			tests = "-"
			missing++
		} else {
			covered[r.Clause.Kind]++
		}
		if _, err = fmt.Fprintf(w, "%-9s %-8s %s\n", r.Clause.ID, r.Clause.Kind, tests); err != nil {
			return missing, err
		}
	}
	for _, k := range Kinds() {
		if _, err = fmt.Fprintf(w, "%-8s %d of %d with a test\n", k, covered[k], count[k]); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// WriteCSV writes the matrix as CSV (id,kind,tests separated by spaces): the
// form in which it is embedded for the clause pages.
func WriteCSV(w io.Writer, rows []Row) error {
	cw := csv.NewWriter(w)
	for _, r := range rows {
		if len(r.Tests) == 0 {
			continue
		}
		if err := cw.Write([]string{r.Clause.ID, string(r.Clause.Kind), strings.Join(r.Tests, " ")}); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}
