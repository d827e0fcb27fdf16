package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// StatisticsRequest is the body of POST …/statistics.
type StatisticsRequest struct {
	By       []string       `json:"by,omitempty"` // items to group by; none: one group
	Measures []StatsMeasure `json:"measures"`     // at least one
	Where    []Condition    `json:"where,omitempty"`
}

func parseStatistics(body []byte) (req StatisticsRequest, err error) {
	sc := scanner{b: body}
	err = sc.parts(func(name string) (known bool, err error) {
		switch name {
		case "by":
			req.By, err = sc.texts(nil)
		case "measures":
			err = sc.items(func() error {
				var m StatsMeasure
				err := sc.object(func(name string) (known bool, err error) {
					switch name {
					case "op":
						m.Op, err = sc.text()
					case "item":
						m.Item, err = sc.text()
					default:
						return false, nil
					}
					return true, err
				})
				req.Measures = append(req.Measures, m)
				return err
			})
		case "where":
			err = sc.items(func() error {
				var c Condition
				err := sc.object(func(name string) (known bool, err error) {
					switch name {
					case "item":
						c.Item, err = sc.text()
					case "op":
						var op string
						op, err = sc.text()
						c.Op = Op(op)
					case "values":
						c.Values, err = sc.values(nil)
					default:
						return false, nil
					}
					return true, err
				})
				req.Where = append(req.Where, c)
				return err
			})
		case "limit":
			// A part of the groups would hide the suppression.
			return true, errs.New(errs.Invalid, errs.T("统计不支持 limit", "statistics takes no limit")).In("limit")
		default:
			return false, nil
		}
		return true, err
	})
	return req, err
}

// StatsMeasure is one measure: count (persons, or rows where there are none; takes
// no item), sum, avg, min, max, distinct.
type StatsMeasure struct {
	Op   string `json:"op"`
	Item string `json:"item,omitempty"`
}

// measureOps are the measures over an item; count takes none.
var measureOps = []string{"sum", "avg", "min", "max", "distinct"}

const (
	maxBy       = 4
	maxMeasures = 8
	maxGroups   = 10_000
	// near bounds how many earlier groups of about the same size are compared with
	// a new one; more are refused rather than left uncompared.
	maxNear = 40
	// dominated: a sum of which one row makes up more than this share tells that
	// row's value.
	dominated = 0.8
)

// Statistics answers POST …/statistics: measures of groups, never rows. Groups of
// fewer persons than the threshold are hidden, and as many others as it takes that
// none can be computed from a total; so is a group that differs from one answered
// earlier to the same body by fewer persons than the threshold, and a request for
// that group alone is refused. What a table adds up to counts as answered with it.
func (s *Service) Statistics(ctx context.Context, call *Call, body []byte, a *Answer) error {
	p, err := s.plan(ctx, call, Statistics)
	if err == nil {
		err = s.statistics(ctx, call, p, body, a)
	}
	if err != nil {
		a.Body = a.Body[:0]
		return s.refuse(ctx, call, p, Statistics, err)
	}
	return nil
}

// statsPlan is a request bound to columns.
type statsPlan struct {
	by       []*outColumn
	where    []Condition // with the catalog's names
	measures []boundMeasure
	filter   warehouse.Filter
	persons  string // physical column that tells persons apart, "" for rows
	personal bool   // the rows are about persons or organisations
	guarded  bool   // small groups have to be hidden
	k        int64
}

type boundMeasure struct {
	name string // "sum(年收入)"
	op   string
	out  *outColumn // nil for count
	// positions in the result row; low and high for the check of dominance.
	at, low, high int
}

func (s *Service) statistics(ctx context.Context, call *Call, p *Plan, body []byte, a *Answer) error {
	req, err := parseStatistics(body)
	if err != nil {
		return err
	}
	b, err := s.bind(ctx, p)
	if err != nil {
		return err
	}
	sp, err := s.bindStats(p, b, req)
	if err != nil {
		return err
	}
	// One at a time a body and resource, so that two requests sent at once are
	// compared with each other.
	unlock := s.ledgers.lock(p.Grant.Client + " " + p.Source.Code)
	defer unlock()
	for attempt := 0; ; attempt++ {
		again, err := s.tabulate(ctx, call, p, b, sp, a)
		if err != nil || !again {
			return err
		}
		if attempt == 5 {
			return errs.New(errs.Unavailable, errs.T("同一单位正在其他节点上统计该资源，请稍后重试", "the same body is computing statistics of this resource on other nodes; try again")).Retry(1)
		}
	}
}

func (s *Service) bindStats(p *Plan, b *binding, req StatisticsRequest) (*statsPlan, error) {
	sp := &statsPlan{k: int64(max(2, p.Grant.MinCell, s.deps.Rules().MinCell))}
	if len(req.By) > maxBy {
		return nil, errs.Newf(errs.Invalid, "至多按 %d 个信息项分组", "at most %d items to group by", maxBy).In("by")
	}
	if len(req.Measures) == 0 || len(req.Measures) > maxMeasures {
		return nil, errs.Newf(errs.Invalid, "须给出 1 至 %d 个统计量", "give 1 to %d measures", maxMeasures).In("measures").By("FS-13")
	}
	if len(req.Where) > maxConditions {
		return nil, errs.Newf(errs.Invalid, "条件至多 %d 个", "at most %d conditions", maxConditions).In("where")
	}
	// Whom the rows are about: a resident ID tells persons apart, a USCC
	// organisations; a row with personal items and neither counts as one person.
	for _, it := range p.Source.Items {
		if it.Personal == privacy.KindNone {
			continue
		}
		sp.personal = true
		name := "c" + strconv.Itoa(it.Column)
		if it.Personal == privacy.KindResidentID || it.Personal == privacy.KindUSCC && sp.persons == "" {
			sp.persons = name
		}
		if it.Personal == privacy.KindResidentID {
			break
		}
	}
	// A row without a marked item may be about one person all the same (a call to the
	// hotline); only what anybody may download anyway is counted to the last row.
	sp.guarded = sp.personal || !p.Source.Open
	for _, name := range req.By {
		o, err := unmasked(p, b, name, "by")
		if err != nil {
			return nil, err
		}
		if o.Personal.Direct() || o.Personal == privacy.KindName || o.Personal == privacy.KindAddress {
			return nil, errs.Newf(errs.Forbidden, "不能按能识别个人的“%s”分组", "%q identifies persons and cannot be grouped by", o.Name).In("by").By("FS-13")
		}
		if slices.ContainsFunc(sp.by, func(was *outColumn) bool { return was.Name == o.Name }) {
			return nil, errs.Newf(errs.Invalid, "by 中“%s”重复", "%q is named twice in by", o.Name).In("by")
		}
		sp.by = append(sp.by, o)
	}
	for i, c := range req.Where {
		field := fmt.Sprintf("where[%d]", i)
		o, err := unmasked(p, b, c.Item, field)
		if err != nil {
			return nil, err
		}
		if o.Personal.Direct() || o.Personal == privacy.KindName || o.Personal == privacy.KindAddress {
			return nil, errs.Newf(errs.Forbidden, "不能用能识别个人的“%s”作条件", "%q identifies persons and cannot be a condition", o.Name).In(field).By("FS-13")
		}
		c.Item = o.Name
		if problem, bad := conditionProblem(field, c, p.Source); bad {
			return nil, errs.New(errs.Invalid, problem.Text).In(problem.Field)
		}
		sp.where = append(sp.where, c)
	}
	var err error
	requested, err := filterOf(b.table, &p.Source, sp.where)
	if err != nil {
		return nil, err
	}
	sp.filter = append(slices.Clone(b.filter), requested...)
	for i, m := range req.Measures {
		field := fmt.Sprintf("measures[%d]", i)
		if m.Op == "count" {
			if m.Item != "" {
				return nil, errs.New(errs.Invalid, errs.T("count 不带信息项；计不同的值请用 distinct", "count takes no item; use distinct to count different values")).In(field)
			}
			sp.measures = append(sp.measures, boundMeasure{name: "count", op: "count"})
			continue
		}
		if !slices.Contains(measureOps, m.Op) {
			return nil, errs.Newf(errs.Invalid, "没有统计量“%s”；可用 count、sum、avg、min、max、distinct", "there is no measure %q; use count, sum, avg, min, max, distinct", clipped(m.Op)).In(field + ".op")
		}
		if m.Item == "" {
			return nil, errs.Newf(errs.Invalid, "统计量 %s 须写明信息项", "the measure %s needs an item", m.Op).In(field + ".item")
		}
		o, err := unmasked(p, b, m.Item, field)
		if err != nil {
			return nil, err
		}
		numeric := o.column.Type == warehouse.Integer || o.column.Type == warehouse.Decimal || o.column.Type == warehouse.Float
		switch m.Op {
		case "sum", "avg":
			if !numeric {
				return nil, errs.Newf(errs.Invalid, "“%s”不是数值，不能求和或平均", "%q is not numeric and has no sum or average", o.Name).In(field)
			}
		case "min", "max":
			// The least or greatest value of a group is one person's own.
			if sp.personal {
				return nil, errs.Newf(errs.Forbidden, "含个人信息的资源不提供最大值、最小值：它们是某一个人的值", "min and max are not given for a resource with personal data: they are one person's own value").In(field).By("FS-13")
			}
		case "distinct":
			if o.Personal.Direct() {
				return nil, errs.Newf(errs.Forbidden, "不能对能识别个人的“%s”计数；人数请用 count", "%q identifies persons; use count for persons", o.Name).In(field).By("FS-13")
			}
		}
		name := m.Op + "(" + o.Name + ")"
		if slices.ContainsFunc(sp.measures, func(was boundMeasure) bool { return was.name == name }) {
			return nil, errs.Newf(errs.Invalid, "统计量 %s 重复", "the measure %s is repeated", name).In(field)
		}
		sp.measures = append(sp.measures, boundMeasure{name: name, op: m.Op, out: o})
	}
	return sp, nil
}

// unmasked finds a granted item that the grant does not mask: what is masked cannot
// be sliced by, since the slice would tell it.
func unmasked(p *Plan, b *binding, name, field string) (*outColumn, error) {
	i, ok := p.index[name]
	if !ok {
		return nil, notGranted(name)
	}
	o := &b.out[i]
	if o.masker != nil {
		return nil, errs.Newf(errs.Forbidden, "“%s”经脱敏后提供，不能用于分组、条件或统计量", "%q is given masked and can be neither grouped by, nor a condition, nor measured", o.Name).In(field).By("FS-13")
	}
	return o, nil
}

// group is one row of the result on its way out.
type group struct {
	cell      privacy.Cell
	keys      []warehouse.Value
	predicate string
	filter    warehouse.Filter
	values    []string // JSON of each measure
	asOf      int64    // answered from the ledger as of this time; 0: now
}

// tabulate computes, hides, checks against the ledger, writes the ledger, audits
// and fills the answer. again says that another node changed the ledger meanwhile.
func (s *Service) tabulate(ctx context.Context, call *Call, p *Plan, b *binding, sp *statsPlan, a *Answer) (again bool, err error) {
	version, err := ledgerVersion(ctx, s.deps.DB.Read(), p.Grant.Client, p.Source.Code)
	if err != nil {
		return false, db.Classify(err)
	}
	groups, err := s.compute(ctx, p, b, sp)
	if err != nil {
		return false, err
	}
	cells := make([]privacy.Cell, len(groups))
	for i := range groups {
		cells[i] = groups[i].cell
	}
	hidden := 0
	var totals []ledgerEntry
	if sp.guarded {
		if len(sp.by) == 0 && len(cells) == 1 && cells[0].Size < sp.k {
			cells[0].Hidden = privacy.HiddenSmall // an empty group too: that nobody is there is told no more than that few are
		}
		privacy.Suppress(cells, sp.k)
		refused := false
		for i := range groups {
			if cells[i].Hidden != "" || cells[i].Size == 0 {
				continue
			}
			ok, err := s.compare(ctx, p, b, sp, &groups[i])
			if err != nil {
				return false, err
			}
			if !ok {
				cells[i].Hidden = privacy.HiddenDifference
				refused = true
			}
		}
		if refused && len(groups) == 1 {
			return false, errs.Newf(errs.Forbidden, "该统计范围与此前答复过的范围相差不足 %d 人，两次结果相减会暴露个人，不予答复",
				"this group differs from one answered before by fewer than %d persons; the difference of the two answers would tell about them, so it is refused", sp.k).
				In("where").By(clausesOr(s.deps.Rules().MinCellClause, "FS-13")...)
		}
		hidden = privacy.Suppress(cells, sp.k)
		if totals, hidden, err = s.compareTotals(ctx, p, b, sp, groups, cells, hidden); err != nil {
			return false, err
		}
	}
	shown := 0
	entries := totals
	for i := range groups {
		groups[i].cell.Hidden = cells[i].Hidden
		if cells[i].Hidden == "" {
			shown++
			if sp.guarded && groups[i].asOf == 0 {
				entries = append(entries, ledgerEntry{predicate: groups[i].predicate, size: cells[i].Size, answers: answersOf(sp, &groups[i])})
			}
		}
	}
	if len(entries) > 0 {
		moved := false
		err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
			ok, err := moveLedger(ctx, tx, p.Grant.Client, p.Source.Code, version)
			if err != nil || !ok {
				return err
			}
			moved = true
			return putGroups(ctx, tx, p.Grant.Client, p.Source.Code, p.Grant.ID, db.Ms(s.deps.Now()), entries)
		})
		if err != nil {
			return false, db.Classify(err)
		}
		if !moved {
			return true, nil
		}
	}
	e := s.entry(call, p, Statistics)
	e.Notes = []audit.Note{{Key: "by", Value: namesOf(sp.by)}, {Key: "conditions", Value: len(sp.where)}, {Key: "groups", Value: shown},
		{Key: "hidden", Value: hidden}, {Key: "measures", Value: measureNames(sp)}, {Key: "user", Value: call.User}}
	if a.Seq, err = s.deps.Audit.Append(ctx, e); err != nil {
		return false, err
	}
	s.writeStatistics(p, sp, groups, shown, hidden, a)
	return false, p.still(call)
}

func clausesOr(clause, other string) []string {
	if clause != "" && clause != other {
		return []string{clause, other}
	}
	return []string{other}
}

func namesOf(cols []*outColumn) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.Name
	}
	return out
}

func measureNames(sp *statsPlan) []string {
	out := make([]string, len(sp.measures))
	for i, m := range sp.measures {
		out[i] = m.name
	}
	return out
}

// compute reads the groups.
func (s *Service) compute(ctx context.Context, p *Plan, b *binding, sp *statsPlan) ([]group, error) {
	spec := warehouse.StatsSpec{Resource: p.Source.ID, Filter: sp.filter, Persons: sp.persons, Limit: maxGroups}
	for _, o := range sp.by {
		spec.By = append(spec.By, o.physical)
	}
	base := len(sp.by) + 1
	add := func(f warehouse.Function, column string) int {
		spec.Measures = append(spec.Measures, warehouse.Measure{Function: f, Column: column})
		return base + len(spec.Measures) - 1
	}
	for i := range sp.measures {
		m := &sp.measures[i]
		if m.out == nil {
			continue
		}
		m.at = add(warehouse.Function(m.op), m.out.physical)
		if sp.guarded && (m.op == "sum" || m.op == "avg") {
			m.low, m.high = add(warehouse.MinOf, m.out.physical), add(warehouse.MaxOf, m.out.physical)
			if m.op == "avg" {
				// The average of the present values times their number is their sum.
				add(warehouse.SumOf, m.out.physical)
			}
		}
	}
	rows, err := s.deps.Warehouse.Stats(ctx, spec)
	if err != nil {
		return nil, err
	}
	groups := make([]group, rows.Len())
	for i := range groups {
		row := rows.Row(i)
		g := &groups[i]
		g.keys = row[:len(sp.by)]
		g.cell.Size = row[len(sp.by)].N
		if sp.persons != "" {
			// Rows without an ID belong to nobody known; they do not make a group larger.
			g.cell.Size = row[len(row)-1].N
		}
		g.filter = slices.Clone(sp.filter)
		conds := slices.Clone(p.Filter)
		conds = append(conds, sp.where...)
		for j, o := range sp.by {
			cond, c := equals(o, g.keys[j])
			g.filter, conds = append(g.filter, c), append(conds, cond)
			g.cell.Keys = append(g.cell.Keys, strings.Join(cond.Values, ""))
		}
		g.predicate = canonical(conds)
		for j := range sp.measures {
			g.values = append(g.values, measured(&sp.measures[j], rows.Columns, row, g.cell.Size))
		}
	}
	return groups, nil
}

// measured is a measure as JSON; null where the group has no value or one row
// dominates it.
func measured(m *boundMeasure, columns []warehouse.Column, row []warehouse.Value, size int64) string {
	if m.out == nil {
		return strconv.FormatInt(size, 10)
	}
	v := row[m.at]
	if v.IsNull() {
		return "null"
	}
	if m.high > 0 {
		sum := m.at
		if m.op == "avg" {
			sum = m.high + 1
		}
		total, high, low := number(columns[sum], row[sum]), number(columns[m.high], row[m.high]), number(columns[m.low], row[m.low])
		if largest := max(abs(high), abs(low)); abs(total) > 0 && largest > dominated*abs(total) {
			return "null"
		}
	}
	text := columns[m.at].Format(v)
	if v.Kind == warehouse.String || columns[m.at].Type == warehouse.Date || columns[m.at].Type == warehouse.Time {
		return string(tabular.AppendJSONString(nil, text))
	}
	return text
}

func abs(f float64) float64 {
	if f < 0 {
		return -f
	}
	return f
}

func number(c warehouse.Column, v warehouse.Value) float64 {
	if v.Kind == warehouse.Floating {
		return v.Float()
	}
	f, _ := strconv.ParseFloat(c.Format(v), 64)
	return f
}

// canonical is one spelling of a set of conditions: sorted, without repeats.
func canonical(conds []Condition) string {
	texts := make([]string, len(conds))
	for i, c := range conds {
		values := slices.Clone(c.Values)
		if c.Op == In || c.Op == NotIn {
			slices.Sort(values)
			values = slices.Compact(values)
			if len(values) == 1 {
				c.Op = map[Op]Op{In: Eq, NotIn: Ne}[c.Op]
			}
		}
		raw, _ := json.Marshal(append([]string{c.Item, string(c.Op)}, values...))
		texts[i] = string(raw)
	}
	slices.Sort(texts)
	return "[" + strings.Join(slices.Compact(texts), ",") + "]"
}

// conditionsOf reads canonical's form.
func conditionsOf(predicate string) ([]Condition, error) {
	var raw [][]string
	if err := json.Unmarshal([]byte(predicate), &raw); err != nil {
		return nil, err
	}
	out := make([]Condition, 0, len(raw))
	for _, r := range raw {
		if len(r) < 2 {
			return nil, fmt.Errorf("gateway: ledger predicate %q", predicate)
		}
		out = append(out, Condition{Item: r[0], Op: Op(r[1]), Values: r[2:]})
	}
	return out, nil
}

// compare looks a group up among those answered before. It may replace the values
// by the earlier ones (the same group with a change too small to tell); false
// hides the group.
func (s *Service) compare(ctx context.Context, p *Plan, b *binding, sp *statsPlan, g *group) (bool, error) {
	client, code := p.Grant.Client, p.Source.Code
	was, found, err := readGroup(ctx, s.deps.DB.Read(), client, code, g.predicate)
	if err != nil {
		return false, db.Classify(err)
	}
	if found {
		if d := g.cell.Size - was.size; d > -sp.k && d < sp.k {
			// The same group, or one that time has changed by too few persons: what
			// was answered before is answered again.
			complete := true
			for i, m := range sp.measures {
				v, ok := was.answers[m.name]
				if !ok {
					complete = complete && d == 0
					continue
				}
				g.values[i] = v
			}
			if !complete {
				return false, nil
			}
			if allKnown(sp, was.answers) {
				g.asOf = was.at
				g.cell.Size = was.size
			}
			return true, nil
		}
	}
	near, err := nearGroups(ctx, s.deps.DB.Read(), client, code, g.predicate, g.cell.Size-sp.k+1, g.cell.Size+sp.k-1)
	if err != nil {
		return false, db.Classify(err)
	}
	compared := 0
	for _, other := range near {
		conds, err := conditionsOf(other.predicate)
		if err != nil {
			return false, err
		}
		f, err := filterOf(b.table, &p.Source, conds)
		if err != nil {
			continue // an item that is gone: nothing can be differenced by it any more
		}
		if disjoint(g.filter, f) {
			continue // the two differ by all their persons, at least 2k
		}
		if compared++; compared > maxNear {
			return false, nil
		}
		both, err := s.persons(ctx, p, sp, append(slices.Clone(g.filter), f...))
		if err != nil {
			return false, err
		}
		if privacy.Differenced(g.cell.Size, other.size, both, sp.k) {
			return false, nil
		}
	}
	return true, nil
}

// compareTotals looks up what a table adds up to (its whole, and the totals over
// each part of the items that it is grouped by) as if it had been asked for: where a
// total could be differenced with an earlier answer, one of its groups is hidden too.
// It gives the totals that the answer tells, for the ledger, and the number hidden.
func (s *Service) compareTotals(ctx context.Context, p *Plan, b *binding, sp *statsPlan, groups []group, cells []privacy.Cell, hidden int) ([]ledgerEntry, int, error) {
	fine := map[string]bool{}
again:
	var entries []ledgerEntry
	for part := range 1<<len(sp.by) - 1 { // bit j: by[j] keeps its value
		for _, members := range parts(sp, groups, part) {
			if len(members) < 2 || slices.ContainsFunc(members, func(i int) bool { return cells[i].Hidden != "" }) {
				continue // told by its one group, or not told
			}
			total, err := s.total(ctx, p, sp, groups, members, part)
			if err != nil {
				return nil, 0, err
			}
			size := total.cell.Size
			if !fine[total.predicate] {
				ok, err := s.compare(ctx, p, b, sp, &total)
				if err != nil {
					return nil, 0, err
				}
				// An earlier answer cannot stand in for a sum of the present ones.
				if !ok || total.cell.Size != size {
					least := slices.MinFunc(members, func(i, j int) int { return cmp.Compare(cells[i].Size, cells[j].Size) })
					cells[least].Hidden = privacy.HiddenDifference
					hidden = privacy.Suppress(cells, sp.k)
					goto again
				}
				fine[total.predicate] = true
			}
			entries = append(entries, ledgerEntry{predicate: total.predicate, size: size, answers: map[string]string{}})
		}
	}
	return entries, hidden, nil
}

// parts sorts groups by the values of some of the items that they are grouped by.
func parts(sp *statsPlan, groups []group, part int) map[string][]int {
	out := map[string][]int{}
	for i := range groups {
		var key []byte
		for j := range sp.by {
			if part&(1<<j) != 0 {
				key = append(strconv.AppendBool(key, groups[i].keys[j].IsNull()), groups[i].cell.Keys[j]...)
				key = append(key, 0)
			}
		}
		out[string(key)] = append(out[string(key)], i)
	}
	return out
}

// total is the group that members, which agree in the items of part, make together.
func (s *Service) total(ctx context.Context, p *Plan, sp *statsPlan, groups []group, members []int, part int) (group, error) {
	t := group{filter: slices.Clone(sp.filter), values: make([]string, len(sp.measures))}
	conds := append(slices.Clone(p.Filter), sp.where...)
	first := &groups[members[0]]
	for j, o := range sp.by {
		if part&(1<<j) != 0 {
			cond, c := equals(o, first.keys[j])
			t.filter, conds = append(t.filter, c), append(conds, cond)
		}
	}
	t.predicate = canonical(conds)
	now := true
	for _, i := range members {
		t.cell.Size += groups[i].cell.Size
		now = now && groups[i].asOf == 0
	}
	if now && sp.persons != "" {
		// A person may have rows in several groups.
		n, err := s.persons(ctx, p, sp, t.filter)
		if err != nil {
			return t, err
		}
		t.cell.Size = n
	}
	return t, nil
}

// equals is the condition that an item has a value, in both forms.
func equals(o *outColumn, v warehouse.Value) (Condition, warehouse.Cond) {
	if v.IsNull() {
		return Condition{Item: o.Name, Op: IsNull}, warehouse.Cond{Column: o.physical, Op: warehouse.IsNull}
	}
	text := o.column.Format(v)
	if v.Kind == warehouse.String {
		v.S = strings.Clone(v.S)
	}
	return Condition{Item: o.Name, Op: Eq, Values: []string{text}}, warehouse.Cond{Column: o.physical, Op: warehouse.Eq, Values: []warehouse.Value{v}}
}

func allKnown(sp *statsPlan, answers map[string]string) bool {
	for _, m := range sp.measures {
		if _, ok := answers[m.name]; !ok {
			return false
		}
	}
	return true
}

// disjoint says that no row can satisfy both: they want different values of one
// column.
func disjoint(a, b warehouse.Filter) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Column != y.Column {
				continue
			}
			switch {
			case x.Op == warehouse.Eq && y.Op == warehouse.Eq && x.Values[0] != y.Values[0]:
				return true
			case x.Op == warehouse.IsNull && y.Op == warehouse.Eq, x.Op == warehouse.Eq && y.Op == warehouse.IsNull:
				return true
			}
		}
	}
	return false
}

// persons counts the persons (or rows) that a filter keeps.
func (s *Service) persons(ctx context.Context, p *Plan, sp *statsPlan, f warehouse.Filter) (int64, error) {
	rows, err := s.deps.Warehouse.Stats(ctx, warehouse.StatsSpec{Resource: p.Source.ID, Filter: f, Persons: sp.persons, Limit: 1})
	if err != nil {
		return 0, err
	}
	if rows.Len() == 0 {
		return 0, nil
	}
	row := rows.Row(0)
	return row[len(row)-1].N, nil
}

// ledgerEntry is one answered group.
type ledgerEntry struct {
	predicate string
	size      int64
	answers   map[string]string // measure -> JSON value
	at        int64
}

func answersOf(sp *statsPlan, g *group) map[string]string {
	out := map[string]string{}
	for i, m := range sp.measures {
		out[m.name] = g.values[i]
	}
	return out
}

// writeStatistics writes the answer. Where no group at all can be shown, none is
// listed: the keys of hidden groups would tell that somebody has those values.
func (s *Service) writeStatistics(p *Plan, sp *statsPlan, groups []group, shown, hidden int, a *Answer) {
	out := append(append(append(a.Body, `{"resource":`...), tabular.AppendJSONString(nil, p.Source.Code)...), `,"unit":`...)
	unit := "rows"
	if sp.persons != "" {
		unit = "persons"
	}
	out = append(tabular.AppendJSONString(out, unit), `,"threshold":`...)
	threshold := int64(0)
	if sp.guarded {
		threshold = sp.k
	}
	out = append(strconv.AppendInt(out, threshold, 10), `,"groups":[`...)
	first := true
	for i := range groups {
		g := &groups[i]
		if shown == 0 && sp.guarded {
			break
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, `{"by":{`...)
		for j, o := range sp.by {
			if j > 0 {
				out = append(out, ',')
			}
			out = append(out, o.label...)
			out, a.scratch = o.appendCell(out, a.scratch, g.keys[j])
		}
		out = append(out, `},"measures":{`...)
		for j, m := range sp.measures {
			if j > 0 {
				out = append(out, ',')
			}
			out = append(tabular.AppendJSONString(out, m.name), ':')
			if g.cell.Hidden != "" {
				out = append(out, "null"...)
			} else {
				out = append(out, g.values[j]...)
			}
		}
		out = append(out, '}')
		if g.cell.Hidden != "" {
			out = append(out, `,"suppressed":true`...)
		}
		if g.asOf > 0 {
			out = append(append(out, `,"as_of":`...), tabular.AppendJSONString(nil, db.Time(g.asOf).Format("2006-01-02T15:04:05Z"))...)
		}
		out = append(out, '}')
	}
	out = append(out, `],"suppressed":`...)
	out = strconv.AppendBool(out, hidden > 0 || shown == 0 && sp.guarded)
	out = append(out, `,"audit":`...)
	out = strconv.AppendInt(out, a.Seq, 10)
	a.Body = append(out, "}\n"...)
}
