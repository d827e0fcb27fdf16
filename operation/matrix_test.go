package operation

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gongshu/identity"
)

// relation places a target relative to an actor.
type relation string

const (
	relSelf      relation = "self"      // the actor's own account
	relOwn       relation = "own"       // the actor's body
	relDistrict  relation = "district"  // another body of the same division
	relCounty    relation = "county"    // another county of the same city
	relElsewhere relation = "elsewhere" // another city
)

var relations = []relation{relSelf, relOwn, relDistrict, relCounty, relElsewhere}

func covers(r Right, level string, rel relation) bool {
	if r.Others && rel == relSelf {
		return false
	}
	switch r.Scope {
	case CityWide:
		return level == "city" && rel != relElsewhere
	case Any:
		return true
	case Reach:
		return rel == relSelf || rel == relOwn || rel == relDistrict || rel == relCounty && level == "city"
	case District:
		return rel == relSelf || rel == relOwn || rel == relDistrict
	case Own:
		return rel == relSelf || rel == relOwn
	case Self:
		return rel == relSelf
	}
	return false
}

func matrixActor(who, level string) identity.Actor {
	switch who {
	case string(identity.Anonymous):
		return identity.Visitor("192.0.2.1", "zh")
	case string(identity.Program):
		return identity.System("clock")
	}
	a := identity.Actor{Kind: identity.Person, ID: "actor", Body: "body-1", Level: level, District: "350100"}
	if level == "county" {
		a.District = "350102"
	}
	if who == string(identity.Client) {
		a.Kind = identity.Client
		return a
	}
	a.Post = identity.Post(who)
	a.Posts = []identity.Post{a.Post}
	return a
}

func matrixTarget(a identity.Actor, rel relation, attrs map[string]any) Target {
	t := Target{ID: "thing", Body: "body-2", District: a.District, Attrs: attrs}
	switch rel {
	case relSelf:
		t.ID, t.Body = a.ID, a.Body
	case relOwn:
		t.Body = a.Body
	case relCounty:
		t.District = "350103"
	case relElsewhere:
		t.District = "440604"
	}
	return t
}

func policies(t *testing.T) *Policies {
	t.Helper()
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestMatrix asks the policies about every action, every post and every relation
// and compares with the table that people read.
func TestMatrix(t *testing.T) {
	set := policies(t)
	rows, err := Matrix()
	if err != nil {
		t.Fatal(err)
	}
	covered := map[Action]bool{}
	for _, row := range rows {
		covered[row.Action] = true
		if _, known := set.byAction[row.Action]; !known {
			t.Errorf("%s:%d: action %s stands in no policy", row.File, row.Line, row.Action)
			continue
		}
		for _, who := range Everybody() {
			for _, level := range []string{"city", "county"} {
				for _, rel := range relations {
					actor := matrixActor(who, level)
					want := covers(row.Right(who), level, rel)
					if actor.Body == "" && row.Right(who).Scope != Any {
						want = false // no body, no relation
					}
					d, err := set.Decide(actor, row.Action, matrixTarget(actor, rel, row.Attrs))
					if err != nil {
						t.Fatal(err)
					}
					if d.Allowed != want {
						t.Errorf("%s:%d: %s by %s (%s level) on %s: policies say %v, matrix says %v",
							row.File, row.Line, row.Action, who, level, rel, d.Allowed, want)
					}
				}
			}
		}
	}
	for _, action := range set.Actions() {
		if !covered[action] {
			t.Errorf("action %s has no row in testdata/matrix", action)
		}
	}
}

// TestAdminsHaveNothingInCommon: no action is open to two of the three
// administrators, but for what everybody does with the own account and the
// reading of what all officials read.
func TestAdminsHaveNothingInCommon(t *testing.T) {
	rows, err := Matrix()
	if err != nil {
		t.Fatal(err)
	}
	all := Everybody()
	for _, row := range rows {
		var admins, others int
		for _, who := range all {
			if row.Right(who).Scope == "" {
				continue
			}
			if identity.Post(who).Admin() {
				admins++
			} else if identity.Post(who).Valid() {
				others++
			}
		}
		if admins > 1 && others == 0 {
			t.Errorf("%s:%d: %s is shared between administrators who must be separate (FS-40)", row.File, row.Line, row.Action)
		}
	}
}

// TestActionsInCodeHavePolicies finds the actions that code passes to the door.
func TestActionsInCodeHavePolicies(t *testing.T) {
	set := policies(t)
	found := actionsInCode(t, "..")
	if len(found) == 0 {
		t.Fatal("no action found in the sources: the scan is broken")
	}
	for action, where := range found {
		if _, known := set.byAction[action]; !known {
			t.Errorf("%s: action %q has no policy in operation/policies", where, action)
		}
	}
}

// TestActionsOfPoliciesAreUsed finds the actions that policies and the matrix name
// and no code passes anywhere: a rule on nothing makes an auditor believe in a
// power or a protection that does not exist.
func TestActionsOfPoliciesAreUsed(t *testing.T) {
	written := map[string]bool{}
	walkSources(t, "..", func(_ *token.FileSet, parsed *ast.File) {
		ast.Inspect(parsed, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if s, ok := literal(e); ok {
					written[s] = true
				}
			}
			return true
		})
	})
	if !written["org.person.create"] {
		t.Fatal("an action that is surely used was not found: the scan is broken")
	}
	for _, action := range policies(t).Actions() {
		if !written[string(action)] {
			t.Errorf("policies name %q, which no code does", action)
		}
	}
	rows, err := Matrix()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !written[string(row.Action)] {
			t.Errorf("%s:%d: the matrix has a row for %q, which no code does", row.File, row.Line, row.Action)
		}
	}
}

func actionsInCode(t *testing.T, root string) map[Action]string {
	t.Helper()
	found := map[Action]string{}
	walkSources(t, root, func(files *token.FileSet, parsed *ast.File) {
		note := func(e ast.Expr) {
			if s, ok := literal(e); ok && strings.Contains(s, ".") {
				found[Action(s)] = fmt.Sprint(files.Position(e.Pos()))
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch fun := n.Fun.(type) {
				case *ast.SelectorExpr:
					if isAction(fun) && len(n.Args) == 1 {
						note(n.Args[0])
					}
					switch name := fun.Sel.Name; {
					case (name == "Do" || name == "DoIndexed" || name == "Read") && len(n.Args) == 5:
						note(n.Args[2])
					case name == "May" && len(n.Args) == 3, name == "may" && len(n.Args) == 3:
						note(n.Args[1])
					case name == "CountVisitor" && len(n.Args) == 1:
						note(n.Args[0])
					default:
						// Helpers that take an action somewhere among their arguments.
						for _, arg := range n.Args {
							if s, ok := literal(arg); ok && actionLike.MatchString(s) {
								note(arg)
							}
						}
					}
				}
			case *ast.ValueSpec:
				if sel, ok := n.Type.(*ast.SelectorExpr); ok && isAction(sel) {
					for _, v := range n.Values {
						note(v)
					}
				}
			}
			return true
		})
	})
	return found
}

// actionLike is a string that can hardly be anything but an action.
var actionLike = regexp.MustCompile(`^(identity\.(own|account|client)|org\.(person|body|post|filing|space)|catalog\.(resource|workbook)|casework\.(task|clock|case)|sharing\.(request|grant)|intake\.(batch|channel)|opendata\.dataset)\.[a-z_]+$`)

// walkSources gives every source file without tests and generated ones.
func walkSources(t *testing.T, root string, fn func(files *token.FileSet, parsed *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_templ.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		fn(files, parsed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func isAction(sel *ast.SelectorExpr) bool {
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "operation" && sel.Sel.Name == "Action"
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

func TestScanFindsActions(t *testing.T) {
	dir := t.TempDir()
	src := `package x
import "gongshu/operation"
const make operation.Action = "x.thing.make"
func f() {
	door.Do(ctx, actor, "x.thing.change", t, fn)
	door.Read(ctx, actor, operation.Action("x.thing.read"), t, fn)
	door.May(actor, "x.thing.see", t)
}`
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for a := range actionsInCode(t, dir) {
		got = append(got, string(a))
	}
	slices.Sort(got)
	want := []string{"x.thing.change", "x.thing.make", "x.thing.read", "x.thing.see"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
