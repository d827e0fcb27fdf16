package warehouse

import (
	"gongshu/internal/errs"
)

// Op compares a column with values.
type Op string

// The comparisons. An absent cell satisfies only IsNull.
const (
	Eq       Op = "eq"
	Ne       Op = "ne"
	Lt       Op = "lt"
	Le       Op = "le"
	Gt       Op = "gt"
	Ge       Op = "ge"
	In       Op = "in"     // equals one of 1–1000 values
	NotIn    Op = "not_in" // equals none of them
	Between  Op = "between"
	IsNull   Op = "is_null"
	NotNull  Op = "not_null"
	Prefix   Op = "prefix"   // Text only
	Contains Op = "contains" // Text only
)

// Cond is one condition on one column. Values have the column's own kind.
type Cond struct {
	Column string  `json:"column"`
	Op     Op      `json:"op"`
	Values []Value `json:"values,omitempty"`
}

// Filter holds when every condition does; nil always holds.
type Filter []Cond

// maxIn bounds the values of In and NotIn, so that a statement stays small.
const maxIn = 1000

// check makes sure that the filter means something on the table: known columns,
// values of the column's kind, the right number of them.
func (f Filter) check(t *table) error {
	for _, c := range f {
		col, ok := t.column(c.Column)
		if !ok {
			return unknownColumn(c.Column)
		}
		least, most := 1, 1
		switch c.Op {
		case Eq, Ne, Lt, Le, Gt, Ge:
		case In, NotIn:
			most = maxIn
		case Between:
			least, most = 2, 2
		case IsNull, NotNull:
			least, most = 0, 0
		case Prefix, Contains:
			if col.Type != Text {
				return errs.Newf(errs.Invalid, "条件 %s 只能用于文本列", "condition %s works on text columns only", c.Op).In(c.Column)
			}
		default:
			return errs.Newf(errs.Invalid, "没有条件“%s”", "there is no condition %q", c.Op).In(c.Column)
		}
		if len(c.Values) < least || len(c.Values) > most {
			return errs.Newf(errs.Invalid, "条件 %[1]s 需要 %[2]d 至 %[3]d 个值，给了 %[4]d 个", "condition %[1]s takes %[2]d to %[3]d values, not %[4]d", c.Op, least, most, len(c.Values)).In(c.Column)
		}
		for _, v := range c.Values {
			if v.Kind != col.kind() {
				return errs.Newf(errs.Invalid, "条件的值与列的类型（%s）不符", "a value does not have the column's type (%s)", col.Type).In(c.Column)
			}
		}
	}
	return nil
}

// onlyKey reports whether all conditions are on key columns of t.
func (f Filter) onlyKey(t *table) bool {
	for _, c := range f {
		if !t.isKey(c.Column) {
			return false
		}
	}
	return true
}

func (c Column) kind() Kind {
	switch c.Type {
	case Text:
		return String
	case Float:
		return Floating
	}
	return Number
}

func unknownColumn(name string) error {
	return errs.Newf(errs.Invalid, "资源没有列 %s", "the resource has no column %s", name).In(name)
}

// build writes the filter as " AND …" with bound values; columns are physical
// names that check has found in the table.
func (f Filter) build(q *query) {
	for _, c := range f {
		q.text(" AND ")
		switch c.Op {
		case Eq, Ne, Lt, Le, Gt, Ge:
			q.text(c.Column).text(operators[c.Op]).arg(c.Values[0])
		case In, NotIn:
			q.text(c.Column)
			if c.Op == NotIn {
				q.text(" NOT")
			}
			q.text(" IN (")
			for i, v := range c.Values {
				if i > 0 {
					q.text(", ")
				}
				q.arg(v)
			}
			q.text(")")
		case Between:
			q.text(c.Column).text(" BETWEEN ").arg(c.Values[0]).text(" AND ").arg(c.Values[1])
		case IsNull:
			q.text(c.Column).text(" IS NULL")
		case NotNull:
			q.text(c.Column).text(" IS NOT NULL")
		case Prefix:
			// A range, so that an index serves; text is compared byte by byte on
			// both databases.
			p := c.Values[0].S
			q.text(c.Column).text(" >= ").arg(c.Values[0])
			if end := after(p); end != "" {
				q.text(" AND ").text(c.Column).text(" < ").arg(Value{Kind: String, S: end})
			}
		case Contains:
			if q.postgres {
				q.text("strpos(").text(c.Column).text(", ").arg(c.Values[0]).text(") > 0")
			} else {
				q.text("instr(").text(c.Column).text(", ").arg(c.Values[0]).text(") > 0")
			}
		}
	}
}

var operators = map[Op]string{Eq: " = ", Ne: " <> ", Lt: " < ", Le: " <= ", Gt: " > ", Ge: " >= "}

// after is the least valid UTF-8 text greater than every text that begins with
// p, "" when there is none.
func after(p string) string {
	runes := []rune(p)
	for i := len(runes) - 1; i >= 0; i-- {
		r := runes[i] + 1
		if r >= 0xD800 && r <= 0xDFFF {
			r = 0xE000
		}
		if r <= 0x10FFFF {
			return string(append(runes[:i:i], r))
		}
	}
	return ""
}
