package gateway

import (
	"context"
	"strconv"

	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// binding is a plan tied to the physical table: made at the first use, because a
// grant may be older than the first batch.
type binding struct {
	table  warehouse.Table
	filter warehouse.Filter
	out    []outColumn // one a granted column
	point  *warehouse.Point
	keys   []warehouse.Column // of the table, in the order of Plan.Keys
	subj   []string           // kind of personal data of each key, "" for none
}

// outColumn is how one column leaves.
type outColumn struct {
	*PlanColumn
	physical string
	column   warehouse.Column
	masker   *privacy.Masker // nil: as it is
	label    []byte          // `"name":`
	bare     bool            // written without quotes: a number
	logical  bool            // written true or false
}

// bind gives the plan's binding. Errors: errs.NotFound while the resource has no
// data yet.
func (s *Service) bind(ctx context.Context, p *Plan) (*binding, error) {
	if b := p.bound.Load(); b != nil {
		return b, nil
	}
	p.binding.Lock()
	defer p.binding.Unlock()
	if b := p.bound.Load(); b != nil {
		return b, nil
	}
	table, err := s.deps.Warehouse.Table(ctx, p.Source.ID)
	if err != nil {
		if errs.Is(err, errs.NotFound) {
			return nil, errs.New(errs.NotFound, errs.T("该资源尚未汇聚数据", "no data of this resource has been aggregated yet")).In("resource")
		}
		return nil, err
	}
	b := &binding{table: table}
	if b.filter, err = filterOf(table, &p.Source, p.Filter); err != nil {
		return nil, err
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		col, ok := columnOf(table, c.Column)
		if !ok {
			return nil, errs.Newf(errs.Conflict, "信息项“%s”在数据表中没有对应的列", "item %q has no column in the table", c.Name).In(c.Name)
		}
		out := outColumn{PlanColumn: c, physical: col.Name, column: col, label: append(tabular.AppendJSONString(nil, c.Name), ':')}
		spec, err := privacy.ParseMask(c.Mask)
		if err != nil {
			return nil, err
		}
		if spec.Name != privacy.MaskNone {
			// The consumer's body separates recipients: two of them cannot join what
			// they got by pseudonyms.
			if out.masker, err = privacy.NewMasker(spec, c.Personal, s.deps.Keys, p.Grant.Client); err != nil {
				return nil, err
			}
		}
		switch col.Type {
		case warehouse.Integer, warehouse.Decimal, warehouse.Float:
			out.bare = spec.Name == privacy.MaskNone
		case warehouse.Bool:
			out.logical = spec.Name == privacy.MaskNone
		}
		b.out = append(b.out, out)
	}
	var keys, columns []string
	for _, k := range p.Keys {
		col, ok := columnOf(table, k.Column)
		if !ok {
			return nil, errs.Newf(errs.Conflict, "主键“%s”在数据表中没有对应的列", "the key %q has no column in the table", k.Name).In(k.Name)
		}
		keys = append(keys, col.Name)
		b.keys = append(b.keys, col)
		b.subj = append(b.subj, string(k.Personal))
	}
	for _, o := range b.out {
		columns = append(columns, o.physical)
	}
	if len(keys) > 0 && (p.Grant.Mode == Query || p.Grant.Mode == Verify) {
		b.point, err = s.deps.Warehouse.Point(ctx, warehouse.PointSpec{Resource: p.Source.ID, Key: keys, Columns: columns, Filter: b.filter, Limit: p.maxRows()})
		if err != nil {
			return nil, err
		}
	}
	p.bound.Store(b)
	return b, nil
}

func (p *Plan) maxRows() int {
	if p.Grant.MaxRows > 0 {
		return p.Grant.MaxRows
	}
	return defaultMaxRows
}

func columnOf(t warehouse.Table, n int) (warehouse.Column, bool) {
	name := "c" + strconv.Itoa(n)
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return warehouse.Column{}, false
}

// filterOf turns conditions on items into a filter on columns: names come from
// the table, values are parsed by the column's type.
func filterOf(t warehouse.Table, src *Source, conds []Condition) (warehouse.Filter, error) {
	var f warehouse.Filter
	for _, c := range conds {
		item, ok := src.Item(c.Item)
		if !ok {
			return nil, errs.Newf(errs.Conflict, "条件所用信息项“%s”已不存在", "item %q of a condition no longer exists", clipped(c.Item)).In("where")
		}
		col, ok := columnOf(t, item.Column)
		if !ok {
			return nil, errs.Newf(errs.Conflict, "信息项“%s”在数据表中没有对应的列", "item %q has no column in the table", item.Name).In("where")
		}
		op, ok := warehouseOps[c.Op]
		if !ok {
			return nil, errs.Newf(errs.Invalid, "没有比较方式“%s”", "there is no comparison %q", clipped(string(c.Op))).In("where")
		}
		cond := warehouse.Cond{Column: col.Name, Op: op}
		for _, text := range c.Values {
			v, err := parseValue(col, item.Name, text)
			if err != nil {
				return nil, err
			}
			cond.Values = append(cond.Values, v)
		}
		f = append(f, cond)
	}
	return f, nil
}

var warehouseOps = map[Op]warehouse.Op{Eq: warehouse.Eq, Ne: warehouse.Ne, Lt: warehouse.Lt, Le: warehouse.Le, Gt: warehouse.Gt,
	Ge: warehouse.Ge, In: warehouse.In, NotIn: warehouse.NotIn, Between: warehouse.Between, IsNull: warehouse.IsNull,
	NotNull: warehouse.NotNull, Prefix: warehouse.Prefix}

// parseValue reads a value from a request; the refusal names the item and never
// repeats the value.
func parseValue(col warehouse.Column, name, text string) (warehouse.Value, error) {
	if text == "" {
		return warehouse.Value{}, errs.Newf(errs.Invalid, "“%s”的值为空", "the value of %q is empty", name).In(name)
	}
	for i := 0; i < len(text); i++ {
		if text[i] == 0 {
			return warehouse.Value{}, errs.Newf(errs.Invalid, "“%s”的值含有空字符", "the value of %q holds a NUL character", name).In(name)
		}
	}
	if col.Type == warehouse.Bool {
		switch text {
		case "true":
			text = "1"
		case "false":
			text = "0"
		}
	}
	v, err := col.Parse(text)
	if err != nil {
		return warehouse.Value{}, errs.Newf(errs.Invalid, "“%[1]s”的值不是%[2]s", "the value of %[1]q is not %[3]s", name, typeZH[col.Type], typeEN[col.Type]).In(name)
	}
	return v, nil
}

var typeZH = map[warehouse.Type]string{warehouse.Text: "有效文本", warehouse.Integer: "整数", warehouse.Decimal: "规定位数的小数", warehouse.Float: "数字",
	warehouse.Date: "日期（如 2026-11-21）", warehouse.Time: "时间（RFC 3339）", warehouse.Bool: "逻辑值（true 或 false）"}
var typeEN = map[warehouse.Type]string{warehouse.Text: "valid text", warehouse.Integer: "an integer", warehouse.Decimal: "a decimal with the declared digits", warehouse.Float: "a number",
	warehouse.Date: "a date such as 2026-11-21", warehouse.Time: "a time as in RFC 3339", warehouse.Bool: "true or false"}

// appendCell appends a value as JSON, masked where the plan says so. scratch is
// used on the way and given back.
func (o *outColumn) appendCell(dst, scratch []byte, v warehouse.Value) (out, used []byte) {
	if v.IsNull() {
		return append(dst, "null"...), scratch
	}
	switch {
	case o.masker != nil:
		scratch = o.masked(scratch[:0], v)
		return tabular.AppendJSONString(dst, scratch), scratch
	case o.bare:
		return o.column.Append(dst, v), scratch
	case o.logical:
		return strconv.AppendBool(dst, v.N != 0), scratch
	case v.Kind == warehouse.String:
		return tabular.AppendJSONString(dst, v.S), scratch
	}
	scratch = o.column.Append(scratch[:0], v)
	return tabular.AppendJSONString(dst, scratch), scratch
}

// masked appends the masked text of a value to dst.
func (o *outColumn) masked(dst []byte, v warehouse.Value) []byte {
	if v.Kind == warehouse.String {
		return o.masker.AppendString(dst, v.S)
	}
	var raw [48]byte
	return o.masker.Append(dst, o.column.Append(raw[:0], v))
}
