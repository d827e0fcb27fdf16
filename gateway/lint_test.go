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
		if fun, ok := e.Fun.(*ast.SelectorExpr); ok {
			if x, ok := fun.X.(*ast.Ident); ok && (x.Name == "strconv" && fun.Sel.Name == "Itoa" ||
				x.Name == "w" && fun.Sel.Name == "String") { // w's conditions: see TestConditionsAreLiterals
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

// TestConditionsAreLiterals: the conditions and columns that the list queries give
// their db.Where are literals.
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
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := fun.X.(*ast.Ident); !ok || x.Name != "w" {
			return true
		}
		var fixed []ast.Expr
		switch fun.Sel.Name {
		case "Add":
			fixed = call.Args[:1]
		case "Contains", "Starts":
			fixed = call.Args[1:]
		}
		for _, e := range fixed {
			looked++
			if _, ok := e.(*ast.BasicLit); !ok {
				t.Errorf("%s: a condition that is not a literal", set.Position(e.Pos()))
			}
		}
		return true
	})
	if looked < 10 {
		t.Errorf("only %d conditions were looked at", looked)
	}
}
