package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"gongshu/clause"
)

// TestNoSQLFromRequests reads the source: statements stand in store.go alone, and
// what is added to one there is a constant, a count, or the output of the two
// functions that write nothing but placeholders. Values travel as parameters.
func TestNoSQLFromRequests(t *testing.T) {
	clause.Covers(t, "FZM-29")
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	statements := 0
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Query" && sel.Sel.Name != "Exec" && sel.Sel.Name != "QueryRow" || len(call.Args) < 2 {
				return true
			}
			if recv, ok := sel.X.(*ast.Ident); !ok || recv.Name != "q" && recv.Name != "tx" {
				return true
			}
			if name != "store.go" {
				t.Errorf("%s: a statement outside store.go", set.Position(call.Pos()))
			}
			statements++
			if why := unsafeSQL(file, call.Args[1]); why != "" {
				t.Errorf("%s: the statement holds %s", set.Position(call.Pos()), why)
			}
			return true
		})
	}
	if statements < 20 {
		t.Errorf("only %d statements were looked at: the test has gone blind", statements)
	}
}

// unsafeSQL says what in an expression is not fixed in the source.
func unsafeSQL(file *ast.File, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return ""
	case *ast.BinaryExpr:
		if why := unsafeSQL(file, e.X); why != "" {
			return why
		}
		return unsafeSQL(file, e.Y)
	case *ast.CallExpr:
		switch fun := e.Fun.(type) {
		case *ast.Ident:
			if fun.Name == "numbered" { // its argument is looked at where it is made
				return ""
			}
		case *ast.SelectorExpr:
			if x, ok := fun.X.(*ast.Ident); ok && x.Name == "strconv" && fun.Sel.Name == "Itoa" {
				return ""
			}
		}
		return "the result of a call"
	case *ast.Ident:
		// A local variable: everything assigned to it in the file must be fixed too.
		why, seen := "", false
		ast.Inspect(file, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok {
				return true
			}
			for i, l := range assign.Lhs {
				id, ok := l.(*ast.Ident)
				if !ok || id.Name != e.Name {
					continue
				}
				seen = true
				if len(assign.Rhs) != len(assign.Lhs) {
					// where, args := f.where(…): the filter's own conditions, made of
					// literals by and(); checked below.
					if c, ok := assign.Rhs[0].(*ast.CallExpr); ok {
						if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "where" {
							continue
						}
					}
					why = "the result of a call"
					continue
				}
				if w := unsafeSQL(file, assign.Rhs[i]); w != "" {
					why = w
				}
			}
			return true
		})
		if !seen {
			return "the parameter " + e.Name
		}
		return why
	}
	return "an expression that is not fixed"
}

// TestConditionsAreLiterals: and(…) of the list queries takes literals only.
func TestConditionsAreLiterals(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "store.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if fun, ok := call.Fun.(*ast.Ident); ok && fun.Name == "and" {
			looked++
			if _, ok := call.Args[0].(*ast.BasicLit); !ok {
				t.Errorf("%s: a condition that is not a literal", set.Position(call.Pos()))
			}
		}
		return true
	})
	if looked < 10 {
		t.Errorf("only %d conditions were looked at", looked)
	}
}
