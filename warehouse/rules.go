package warehouse

import (
	"fmt"
	"regexp"
	"slices"

	"gongshu/internal/errs"
)

var (
	resourceShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,39}$`)
	columnShape   = regexp.MustCompile(`^c[1-9][0-9]{0,3}$`)
)

// maxColumns is below what either database can hold beside _seq and _at.
const maxColumns = 1200

// checkTable makes sure that names are physical ones and types are known: what
// passes may stand in SQL.
func checkTable(t Table) error {
	if err := checkResource(t.Resource); err != nil {
		return err
	}
	if len(t.Columns) == 0 || len(t.Columns) > maxColumns {
		return errs.Newf(errs.Invalid, "数据表应有 1 至 %d 列", "a table has 1 to %d columns", maxColumns)
	}
	seen := map[string]bool{}
	for _, c := range t.Columns {
		if !columnShape.MatchString(c.Name) || seen[c.Name] {
			return errs.Newf(errs.Invalid, "列名 %q 不是 c1、c2…，或重复", "column name %q is not one of c1, c2, …, or comes twice", c.Name).In(c.Name)
		}
		seen[c.Name] = true
		switch c.Type {
		case Text, Integer, Float, Date, Time, Bool:
		case Decimal:
			if c.Scale < 0 || c.Scale > 12 {
				return errs.Newf(errs.Invalid, "小数位数应为 0 至 12，不是 %d", "digits after the point are 0 to 12, not %d", c.Scale).In(c.Name)
			}
		default:
			return errs.Newf(errs.Invalid, "没有列类型 %q", "there is no column type %q", c.Type).In(c.Name)
		}
	}
	for i, k := range t.Key {
		if !seen[k] || slices.Contains(t.Key[:i], k) {
			return errs.Newf(errs.Invalid, "主键列 %s 不存在或重复", "key column %s does not exist or comes twice", k).In(k)
		}
	}
	return nil
}

func checkResource(id string) error {
	if !resourceShape.MatchString(id) {
		return errs.Newf(errs.Invalid, "资源标识 %q 无效", "resource id %q is not valid", id).In("resource")
	}
	return nil
}

func sameTable(a, b Table) bool {
	return slices.Equal(a.Columns, b.Columns) && slices.Equal(a.Key, b.Key)
}

// change is one step from a table's shape to the next.
type change struct {
	add, drop bool
	retype    bool // every row must parse as the new type: rows are rewritten
	shorten   bool // every row must fit the new length
	from, to  Column
}

// compare lists the steps from one shape to another. Widening (a longer text, no
// bound any more, an integer that may become a text) is free; what cannot be
// told without the rows is marked to be checked against them.
func compare(from, to Table) (changes []change, rekey bool) {
	for _, n := range to.Columns {
		i := slices.IndexFunc(from.Columns, func(c Column) bool { return c.Name == n.Name })
		if i < 0 {
			changes = append(changes, change{add: true, to: n})
			continue
		}
		o := from.Columns[i]
		switch {
		case o.Type != n.Type || o.Scale != n.Scale:
			changes = append(changes, change{retype: true, from: o, to: n})
		case n.Length > 0 && (o.Length == 0 || n.Length < o.Length):
			changes = append(changes, change{shorten: true, from: o, to: n})
		}
	}
	for _, o := range from.Columns {
		if !slices.ContainsFunc(to.Columns, func(c Column) bool { return c.Name == o.Name }) {
			changes = append(changes, change{drop: true, from: o})
		}
	}
	return changes, !slices.Equal(from.Key, to.Key)
}

// misfit collects why rows do not fit a new shape, with the first few places.
type misfit struct {
	count  int64
	places []string
}

func (m *misfit) at(seq int64) {
	m.count++
	if len(m.places) < 5 {
		m.places = append(m.places, fmt.Sprintf("%d:%d", seq>>32, seq&(1<<32-1)))
	}
}
