package gateway

import (
	"context"
	"strconv"
	"sync"

	"gongshu/audit"
	"gongshu/internal/errs"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// Answer is what may be released: its Body is filled only when the audit entry of
// the use is durable. It is made to be used again.
type Answer struct {
	Body []byte // JSON
	Seq  int64  // of the audit entry
	Rows int

	rows    warehouse.Rows
	scratch []byte
	members []member
	claims  []member
	fields  []string
	pick    []int
	key     []warehouse.Value
	notes   []audit.Note
}

var answers = sync.Pool{New: func() any { return new(Answer) }}

// NewAnswer takes an answer from the pool; give it back with Done once its body is
// written.
func NewAnswer() *Answer {
	a := answers.Get().(*Answer)
	a.Body, a.Rows, a.Seq = a.Body[:0], 0, 0
	return a
}

// Done gives the answer back.
func (a *Answer) Done() {
	if cap(a.Body) > 1<<20 {
		return // one large answer must not stay in memory
	}
	clear(a.members[:cap(a.members)])
	clear(a.claims[:cap(a.claims)])
	answers.Put(a)
}

// Query answers POST …/query. The body is
//
//	{"where": {"key item": "value", …}, "fields": ["item", …], "limit": 10}
//
// where gives every item of the resource's declared key (FS-13: consult by key); a
// grant with FreeQuery may search by any granted item that leaves unmasked.
// fields leaves out granted items, limit rows. Refusals name the field.
func (s *Service) Query(ctx context.Context, call *Call, body []byte, a *Answer) error {
	p, err := s.plan(ctx, call, Query)
	if err == nil {
		err = s.query(ctx, call, p, body, a)
	}
	if err != nil {
		a.Body = a.Body[:0]
		return s.refuse(ctx, call, p, Query, err)
	}
	return nil
}

func (s *Service) query(ctx context.Context, call *Call, p *Plan, body []byte, a *Answer) error {
	a.members, a.fields = a.members[:0], a.fields[:0]
	limit, limited, where := 0, false, false
	sc := scanner{b: body}
	err := sc.parts(func(name string) (bool, error) {
		var err error
		switch name {
		case "where":
			a.members, err = sc.members(a.members)
			where = true
		case "fields":
			a.fields, err = sc.texts(a.fields)
		case "limit":
			limit, err = sc.integer()
			limited = true
		default:
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if !where || len(a.members) == 0 {
		return errs.New(errs.Invalid, errs.T("缺少查询条件 where：按声明的主键查询", "where is missing: query by the declared key")).In("where").By("FS-13")
	}
	if limited && (limit < 1 || limit > p.maxRows()) {
		return errs.Newf(errs.Invalid, "limit 应在 1 至 %d 之间", "limit is 1 to %d", p.maxRows()).In("limit")
	}
	b, err := s.bind(ctx, p)
	if err != nil {
		return err
	}
	if err := a.choose(p); err != nil {
		return err
	}
	subjects, err := s.find(ctx, p, b, a)
	if err != nil {
		return err
	}
	n := a.rows.Len()
	if limited {
		n = min(n, limit)
	}
	if left := p.meter.took(int64(n)); left == 0 && n > 0 {
		return errs.New(errs.TooMany, errs.T("今日数据行数已达授权上限", "the grant's rows of today are used up")).In("rows_per_day").Retry(60)
	}
	a.Body = append(append(append(a.Body, `{"resource":`...), tabular.AppendJSONString(nil, p.Source.Code)...), `,"rows":[`...)
	for i := range n {
		if i > 0 {
			a.Body = append(a.Body, ',')
		}
		a.Body = append(a.Body, '{')
		row := a.rows.Row(i)
		for j, c := range a.pick {
			if j > 0 {
				a.Body = append(a.Body, ',')
			}
			o := &b.out[c]
			a.Body = append(a.Body, o.label...)
			a.Body, a.scratch = o.appendCell(a.Body, a.scratch, row[c])
		}
		a.Body = append(a.Body, '}')
	}
	a.Rows = n
	e := s.entry(call, p, Query)
	e.Subjects = subjects
	a.notes = append(a.notes[:0], audit.Note{Key: "fields", Value: a.names(p)}, audit.Note{Key: "rows", Value: n}, audit.Note{Key: "user", Value: call.User})
	e.Notes = a.notes
	if a.Seq, err = s.deps.Audit.Append(ctx, e); err != nil {
		return err
	}
	a.Body = append(a.Body, `],"count":`...)
	a.Body = strconv.AppendInt(a.Body, int64(n), 10)
	a.Body = append(a.Body, `,"audit":`...)
	a.Body = strconv.AppendInt(a.Body, a.Seq, 10)
	a.Body = append(a.Body, "}\n"...)
	return p.still(call)
}

// choose turns a.fields into positions of the plan's columns, all of them when
// none is named.
func (a *Answer) choose(p *Plan) error {
	a.pick = a.pick[:0]
	if len(a.fields) == 0 {
		for i := range p.Columns {
			a.pick = append(a.pick, i)
		}
		return nil
	}
	for _, name := range a.fields {
		i, ok := p.index[name]
		if !ok {
			return notGranted(name)
		}
		for _, was := range a.pick {
			if was == i {
				return errs.Newf(errs.Invalid, "fields 中“%s”重复", "%q is named twice in fields", clipped(name)).In("fields")
			}
		}
		a.pick = append(a.pick, i)
	}
	return nil
}

// notGranted says the same of an item that is not granted and of one that does
// not exist.
func notGranted(name string) error {
	return errs.Newf(errs.Forbidden, "信息项“%s”不在授权范围内", "the item %q is not granted", clipped(name)).In(clipped(name)).By("FZM-29", "FS-29")
}

func (a *Answer) names(p *Plan) []string {
	if len(a.fields) == 0 {
		return p.all
	}
	out := make([]string, len(a.pick))
	for i, c := range a.pick {
		out[i] = p.Columns[c].Name
	}
	return out
}

// find reads the rows that a.members ask for into a.rows, and gives the digests of
// the persons asked about.
func (s *Service) find(ctx context.Context, p *Plan, b *binding, a *Answer) (subjects []string, err error) {
	a.key = a.key[:0]
	if b.point != nil {
		if subjects, err = s.keyOf(p, b, a); err == nil {
			return subjects, b.point.Read(ctx, &a.rows, a.key)
		}
		if !p.Grant.FreeQuery {
			return nil, err
		}
	}
	if !p.Grant.FreeQuery {
		return nil, errs.New(errs.Conflict, errs.T("资源没有声明主键", "the resource declares no key")).In("resource")
	}
	return s.search(ctx, p, b, a)
}

// keyOf binds a.members to the declared key, all of it and nothing else.
func (s *Service) keyOf(p *Plan, b *binding, a *Answer) (subjects []string, err error) {
	for i := range p.Keys {
		k := &p.Keys[i]
		m := memberOf(a.members, k)
		if m == nil || m.null {
			return nil, errs.Newf(errs.Invalid, "缺少主键“%s”：查询须给出全部主键", "the key %q is missing: give every item of the declared key", k.Name).In(k.Name).By("FS-13")
		}
		v, err := parseValue(b.keys[i], k.Name, m.value)
		if err != nil {
			return nil, err
		}
		a.key = append(a.key, v)
		if b.subj[i] != "" {
			subjects = append(subjects, s.deps.Audit.Digest(b.subj[i], m.value))
		}
	}
	if len(a.members) != len(p.Keys) {
		for _, m := range a.members {
			known := false
			for i := range p.Keys {
				known = known || memberOf([]member{m}, &p.Keys[i]) != nil
			}
			if !known {
				return nil, errs.Newf(errs.Forbidden, "只能按声明的主键查询，“%s”不是主键", "query is by the declared key only, and %q is not part of it", clipped(m.name)).In(clipped(m.name)).By("FS-13", "LY-13")
			}
		}
		return nil, errs.New(errs.Invalid, errs.T("主键重复给出", "an item of the key is given twice")).In("where")
	}
	return subjects, nil
}

func memberOf(list []member, c *PlanColumn) *member {
	for i := range list {
		if list[i].name == c.Name || list[i].name == c.Code && c.Code != "" || list[i].name == c.ID && c.ID != "" {
			return &list[i]
		}
	}
	return nil
}

// search answers a free query: by any granted items that leave unmasked. A masked
// one could be guessed at by searching for it.
func (s *Service) search(ctx context.Context, p *Plan, b *binding, a *Answer) (subjects []string, err error) {
	filter := append(warehouse.Filter{}, b.filter...)
	var key []string
	values := a.key[:0]
	for _, m := range a.members {
		i, ok := p.index[m.name]
		if !ok {
			return nil, notGranted(m.name)
		}
		o := &b.out[i]
		if o.masker != nil {
			return nil, errs.Newf(errs.Forbidden, "“%s”经脱敏后提供，不能用作查询条件", "%q is given masked and cannot be searched by", o.Name).In(o.Name).By("FZM-29")
		}
		if m.null {
			return nil, errs.Newf(errs.Invalid, "“%s”的值为空", "the value of %q is empty", o.Name).In(o.Name)
		}
		v, err := parseValue(o.column, o.Name, m.value)
		if err != nil {
			return nil, err
		}
		for _, was := range key {
			if was == o.physical {
				return nil, errs.Newf(errs.Invalid, "“%s”重复给出", "%q is given twice", o.Name).In(o.Name)
			}
		}
		key, values = append(key, o.physical), append(values, v)
		if o.Personal != "" {
			subjects = append(subjects, s.deps.Audit.Digest(string(o.Personal), m.value))
		}
	}
	columns := make([]string, len(b.out))
	for i := range b.out {
		columns[i] = b.out[i].physical
	}
	point, err := s.deps.Warehouse.Point(ctx, warehouse.PointSpec{Resource: p.Source.ID, Key: key, Columns: columns, Filter: filter, Limit: p.maxRows()})
	if err != nil {
		return nil, err
	}
	a.key = values
	return subjects, point.Read(ctx, &a.rows, values)
}
