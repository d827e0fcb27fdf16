package quality

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"gongshu/catalog"
	"gongshu/internal/errs"
)

// expression is a rule over several items, compiled once.
type expression struct {
	program cel.Program
	uses    []int // items it names; a row lacking one is not judged
	text    errs.Text
}

// MaxCost bounds what one evaluation may cost, in CEL's units, so that no
// expression can hold up a batch.
const MaxCost = 10_000

// CheckExpr compiles a rule over the items without keeping it: for the editor of
// the catalog. Items are named by their English codes; "today" is today.
func CheckExpr(items []catalog.Item, expr string) error {
	_, err := compileExpression(items, catalog.Check{Name: expr, Expr: expr})
	return err
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func compileExpression(items []catalog.Item, c catalog.Check) (*expression, error) {
	fail := func(err error) error {
		return errs.Newf(errs.Invalid, "规则“%s”的表达式有误：%s", "the expression of rule %q is wrong: %s", c.Name, firstLine(err)).In("checks").Because(err)
	}
	opts := []cel.EnvOption{ext.Strings(), ext.Math(), cel.Variable("today", cel.TimestampType)}
	for _, it := range items {
		if identifier.MatchString(it.Code) {
			opts = append(opts, cel.Variable(it.Code, celType(it.Type)))
		}
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fail(err)
	}
	ast, issues := env.Compile(c.Expr)
	if issues.Err() != nil {
		return nil, fail(issues.Err())
	}
	if ast.OutputType() != cel.BoolType {
		return nil, errs.Newf(errs.Invalid, "规则“%s”的结果不是真或假", "the rule %q does not answer true or false", c.Name).In("checks")
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost))
	if err != nil {
		return nil, fail(err)
	}
	x := &expression{program: program, text: errs.T(c.ZH, c.EN)}
	if x.text.ZH == "" {
		x.text.ZH = "不符合规则“" + c.Name + "”"
	}
	if x.text.EN == "" {
		x.text.EN = "breaks the rule " + strconv.Quote(c.Name)
	}
	for i, it := range items {
		if it.Code != "" && regexp.MustCompile(`\b`+regexp.QuoteMeta(it.Code)+`\b`).MatchString(c.Expr) {
			x.uses = append(x.uses, i)
		}
	}
	return x, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "ERROR: "), "\n")
	return line
}

func celType(t catalog.ItemType) *cel.Type {
	switch t {
	case catalog.Integer:
		return cel.IntType
	case catalog.Numeric, catalog.Money, catalog.Double, catalog.Float:
		return cel.DoubleType
	case catalog.Date, catalog.DateTime:
		return cel.TimestampType
	case catalog.Logical:
		return cel.BoolType
	}
	return cel.StringType
}

// evaluation is the activation of one row: values are converted when an
// expression asks for them, once.
type evaluation struct {
	engine *Engine
	today  ref.Val
	raw    [][]byte
	values []ref.Val
	index  map[string]int
}

func newEvaluation(e *Engine, today string) *evaluation {
	v := &evaluation{engine: e, raw: make([][]byte, len(e.items)), values: make([]ref.Val, len(e.items)), index: map[string]int{}}
	t, err := time.Parse("2006-01-02", today)
	if err != nil {
		t = time.Unix(0, 0)
	}
	v.today = types.Timestamp{Time: t}
	for i := range e.items {
		v.index[e.items[i].code] = i
	}
	return v
}

func (v *evaluation) reset() {
	clear(v.raw)
	clear(v.values)
}

func (v *evaluation) set(i int, value []byte) { v.raw[i] = value }

// broken reports whether the row breaks x. A row that lacks a value which x
// names does not: that is the business of Required. An evaluation that fails
// (division by zero, cost) breaks the rule, for a check that cannot be made is
// not passed.
func (v *evaluation) broken(x *expression) (errs.Text, bool) {
	for _, i := range x.uses {
		if len(v.raw[i]) == 0 {
			return errs.Text{}, false
		}
	}
	out, _, err := x.program.Eval(v)
	if err != nil {
		return errs.T(x.text.ZH+"（无法计算）", x.text.EN+" (could not be evaluated)"), true
	}
	return x.text, out != types.True
}

// ResolveName gives CEL the value of an item.
func (v *evaluation) ResolveName(name string) (any, bool) {
	if name == "today" {
		return v.today, true
	}
	i, ok := v.index[name]
	if !ok {
		return nil, false
	}
	if v.values[i] == nil {
		v.values[i] = celValue(v.engine.items[i].typ, v.raw[i])
	}
	return v.values[i], true
}

// Parent is nil: there is no outer activation.
func (v *evaluation) Parent() cel.Activation { return nil }

func celValue(typ byte, raw []byte) ref.Val {
	s := string(raw)
	switch typ {
	case 'I':
		n, _ := strconv.ParseInt(s, 10, 64)
		return types.Int(n)
	case 'N', 'Y', 'B', 'F':
		f, _ := strconv.ParseFloat(s, 64)
		return types.Double(f)
	case 'D':
		t, _ := time.Parse("2006-01-02", s)
		return types.Timestamp{Time: t}
	case 'T':
		t, _ := time.Parse(time.RFC3339, s)
		return types.Timestamp{Time: t}
	case 'L':
		return types.Bool(s == "1")
	}
	return types.String(s)
}
