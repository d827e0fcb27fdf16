package quality

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
)

// Run checks one batch. It is not safe for concurrent use.
type Run struct {
	engine *Engine
	opt    Options
	keys   *seen
	unique []*seen // by item, nil where not unique
	key    []byte
	faults []Fault
	stats  []map[string]int64 // by item; the last is for whole rows
	accept int64
	reject int64
	found  []bool
	stage  *tabular.Block
	eval   *evaluation
}

// Start begins the check of one batch; Close it.
func (e *Engine) Start(opt Options) (*Run, error) {
	if len(opt.Mapping) != len(e.items) {
		return nil, errors.New("quality: a mapping must name a cell for every item")
	}
	if opt.Memory == 0 {
		opt.Memory = 96 << 20
	}
	if opt.Decimal == 0 {
		opt.Decimal = '.'
	}
	r := &Run{engine: e, opt: opt, unique: make([]*seen, len(e.items)), stats: make([]map[string]int64, len(e.items)+1), stage: tabular.NewBlock()}
	sets := 0
	for i := range e.items {
		if e.items[i].unique {
			sets++
		}
	}
	if len(e.keys) > 0 {
		sets++
	}
	if opt.Accept == nil && !opt.KeyOnly {
		for i := range e.items {
			if e.items[i].unique {
				r.unique[i] = newSeen(opt.Memory / sets)
			}
		}
		if len(e.keys) > 0 && !opt.RepeatedKeys {
			r.keys = newSeen(opt.Memory / sets)
		}
	}
	if len(e.checks) > 0 {
		r.eval = newEvaluation(e, opt.Today)
	}
	return r, nil
}

// Close frees what the run holds.
func (r *Run) Close() {
	if r.keys != nil {
		r.keys.close()
	}
	for _, s := range r.unique {
		if s != nil {
			s.close()
		}
	}
}

// Counts are the rows accepted and rejected so far; their sum is the rows seen.
func (r *Run) Counts() (accepted, rejected int64) { return r.accept, r.reject }

// Tally is how often a rule failed on an item.
type Tally struct {
	Item  string `json:"item"` // item id, "" for whole rows
	Code  string `json:"code"`
	Count int64  `json:"count"`
}

// Tallies are the failures so far by item and rule.
func (r *Run) Tallies() []Tally {
	var out []Tally
	for i, m := range r.stats {
		id := ""
		if i < len(r.engine.items) {
			id = r.engine.items[i].id
		}
		for _, code := range Codes {
			if n := m[code]; n > 0 {
				out = append(out, Tally{id, code, n})
			}
		}
	}
	return out
}

func (r *Run) fault(i, cell int, code string, text errs.Text) {
	f := Fault{Cell: cell, Code: code, Text: text}
	if i >= 0 {
		f.Item = r.engine.items[i].id
	} else {
		i = len(r.engine.items)
	}
	if code == Secret {
		f.Clause = "FZM-31"
	}
	r.faults = append(r.faults, f)
	if r.stats[i] == nil {
		r.stats[i] = map[string]int64{}
	}
	r.stats[i][code]++
}

// Check reads every row of in, appends the sound ones to good, canonical and in
// the order of the items, and gives the others to sink. Rows keep their numbers.
func (r *Run) Check(ctx context.Context, in, good *tabular.Block, sink Sink) error {
	if r.opt.Accept != nil {
		return r.replay(in, good)
	}
	refs, err := r.references(ctx, in)
	if err != nil {
		return err
	}
	if r.opt.Stored != nil {
		return r.checkStored(ctx, in, good, refs, sink)
	}
	for row := range in.Len() {
		r.faults = r.faults[:0]
		if err := r.row(in, row, good, refs); err != nil {
			return err
		}
		if len(r.faults) > 0 {
			good.Abandon()
			r.reject++
			if err := sink(in, row, r.faults); err != nil {
				return err
			}
			continue
		}
		good.EndRow(in.Number(row))
		r.accept++
	}
	return nil
}

// checkStored is Check where keys are also held against the stored rows: the
// block is judged whole before its bad rows are given away, in their order.
func (r *Run) checkStored(ctx context.Context, in, good *tabular.Block, refs map[int][]bool, sink Sink) error {
	out := r.stage
	out.Reset()
	bad := map[int][]Fault{}
	place := make([]int, in.Len()) // of the row in out
	for row := range in.Len() {
		r.faults = r.faults[:0]
		if err := r.row(in, row, out, refs); err != nil {
			return err
		}
		if len(r.faults) > 0 {
			out.Abandon()
			bad[row] = slices.Clone(r.faults)
			continue
		}
		place[row] = out.Len()
		out.EndRow(in.Number(row))
	}
	r.found = append(r.found[:0], make([]bool, out.Len())...)
	if out.Len() > 0 {
		if err := r.opt.Stored(ctx, out, r.found); err != nil {
			return err
		}
	}
	for row := range in.Len() {
		faults := bad[row]
		if faults == nil {
			if !r.found[place[row]] {
				good.AppendRow(out, place[row])
				r.accept++
				continue
			}
			r.faults = r.faults[:0]
			r.fault(-1, -1, Duplicate, errs.T("主键相同的数据已入库；追加方式不得更改已有数据", "a row with this key is stored already; appending must not change stored data"))
			r.faults[0].Clause = "FZM-29.3"
			faults = r.faults
		}
		r.reject++
		if err := sink(in, row, faults); err != nil {
			return err
		}
	}
	return nil
}

// references asks for each Reference item, a block at a time.
func (r *Run) references(ctx context.Context, in *tabular.Block) (map[int][]bool, error) {
	var out map[int][]bool
	for i := range r.engine.items {
		it := &r.engine.items[i]
		cell := r.opt.Mapping[i]
		if it.reference == nil || cell < 0 || r.opt.KeyOnly {
			continue
		}
		if r.opt.References == nil {
			return nil, errors.New("quality: a resource with references needs Options.References")
		}
		// Asked with canonical text, as the other resource holds it.
		r.stage.Reset()
		for row := range in.Len() {
			v := bytes.TrimSpace(in.Cell(row, cell))
			buf := r.stage.Buffer()
			if grown, ok := tabular.Canonical(buf, it.typ, v, r.opt.Decimal); len(v) > 0 && ok {
				r.stage.Take(grown)
			} else {
				r.stage.Add(nil)
			}
			r.stage.EndRow(in.Number(row))
		}
		found := make([]bool, in.Len())
		if err := r.opt.References.Exists(ctx, it.reference.Resource, it.reference.Item, r.stage, 0, found); err != nil {
			return nil, err
		}
		if out == nil {
			out = map[int][]bool{}
		}
		out[i] = found
	}
	return out, nil
}

// row checks one row and builds its canonical cells in out.
func (r *Run) row(in *tabular.Block, row int, out *tabular.Block, refs map[int][]bool) error {
	for _, f := range in.Flaws(row) {
		r.fault(-1, -1, Unreadable, f)
	}
	if r.opt.Extra != nil {
		for _, f := range r.opt.Extra(in, row) {
			r.fault(-1, f.Cell, f.Code, f.Text)
		}
	}
	if r.eval != nil {
		r.eval.reset()
	}
	r.key = r.key[:0]
	for i := range r.engine.items {
		it := &r.engine.items[i]
		cell := r.opt.Mapping[i]
		var v []byte
		if cell >= 0 {
			v = trim(in.Cell(row, cell))
		}
		if r.opt.KeyOnly && !it.key {
			out.Add(nil)
			continue
		}
		if len(v) == 0 {
			if it.required {
				r.fault(i, cell, Required, it.texts[Required])
			}
			out.Add(nil)
			if it.key {
				r.key = append(r.key, 0)
			}
			continue
		}
		buf := out.Buffer()
		from := len(buf)
		grown, ok := tabular.Canonical(buf, it.typ, v, r.opt.Decimal)
		if !ok || !it.fits(grown[from:]) {
			why := it.texts[Type]
			if (it.typ == 'D' || it.typ == 'T') && tabular.UnclearDate(v) {
				why = it.unclear
			}
			r.fault(i, cell, Type, why)
			out.Add(nil)
			continue
		}
		grown = it.trimScale(grown, from)
		out.Take(grown)
		value := grown[from:]
		r.value(i, it, cell, value)
		if found := refs[i]; found != nil && !found[row] {
			r.fault(i, cell, Reference, it.texts[Reference])
		}
		if s := r.unique[i]; s != nil {
			fresh, err := s.add(value)
			if err != nil {
				return err
			}
			if !fresh {
				r.fault(i, cell, Unique, it.texts[Unique])
			}
		}
		if it.key {
			r.key = append(append(r.key, value...), 0)
		}
		if r.eval != nil {
			r.eval.set(i, value)
		}
	}
	if r.eval != nil && len(r.faults) == 0 {
		for _, x := range r.engine.checks {
			if text, broken := r.eval.broken(x); broken {
				r.fault(-1, -1, Expression, text)
			}
		}
	}
	// A key counts as taken only when its row is otherwise sound: a bad row must
	// not push out the good one that repeats it.
	if r.keys != nil && len(r.faults) == 0 {
		fresh, err := r.keys.add(r.key)
		if err != nil {
			return err
		}
		if !fresh {
			r.fault(-1, -1, Key, errs.T("主键与本批中前面的一行相同", "the key repeats that of an earlier row of this batch"))
		}
	}
	return nil
}

// value checks one present, canonical value.
func (r *Run) value(i int, it *item, cell int, v []byte) {
	if it.length > 0 && len(v) > it.length && tooLong(it, v) {
		r.fault(i, cell, Length, it.texts[Length])
	}
	if it.min != nil && compare(it.typ, v, it.min) < 0 || it.max != nil && compare(it.typ, v, it.max) > 0 {
		r.fault(i, cell, Range, it.texts[Range])
	}
	if it.shape != nil {
		if !hasShape(v, it.shape) {
			r.fault(i, cell, Pattern, it.texts[Pattern])
		}
	} else if it.pattern != nil && !it.pattern.Match(v) {
		r.fault(i, cell, Pattern, it.texts[Pattern])
	}
	if it.enum != nil && !it.enum[string(v)] {
		r.fault(i, cell, CodeList, it.texts[CodeList])
	}
	if it.list != nil {
		if _, ok := it.list.Label(string(v)); !ok {
			r.fault(i, cell, CodeList, it.texts[CodeList])
		}
	}
	if it.kind != privacy.KindNone {
		if verdict := privacy.Validate(it.kind, v); !verdict.OK() {
			r.fault(i, cell, Identifier, it.identifier[verdict.Flaw])
		}
	}
	if it.notFuture && r.opt.Today != "" && string(v[:min(len(v), 10)]) > r.opt.Today {
		r.fault(i, cell, Future, it.texts[Future])
	}
}

// tooLong holds a value against the declared length: characters of text, digits
// of a number.
func tooLong(it *item, v []byte) bool {
	switch it.typ {
	case 'C', 'M', 'G':
		return utf8.RuneCount(v) > it.length
	case 'I', 'N', 'Y':
		digits := 0
		for _, c := range v {
			if c >= '0' && c <= '9' {
				digits++
			}
		}
		return digits > it.length
	}
	return false
}

// fits asks whether the warehouse can hold the value exactly.
func (it *item) fits(v []byte) bool {
	switch it.typ {
	case 'C', 'M', 'G', 'D', 'T', 'L':
		return true
	}
	if it.scale > 0 && (it.typ == 'N' || it.typ == 'Y') {
		v = v[:len(it.trimScale(v, 0))]
	}
	return it.column.Fits(v) == nil
}

// trimScale cuts zeros beyond the declared decimals, which change nothing.
func (it *item) trimScale(grown []byte, from int) []byte {
	if it.scale == 0 || it.typ != 'N' && it.typ != 'Y' {
		return grown
	}
	dot := bytes.IndexByte(grown[from:], '.')
	if dot < 0 {
		return grown
	}
	for len(grown)-(from+dot+1) > it.scale && grown[len(grown)-1] == '0' {
		grown = grown[:len(grown)-1]
	}
	return grown
}

// trim cuts blanks, the full-width and the no-break one too, from both ends.
func trim(v []byte) []byte {
	if len(v) == 0 || v[0] > ' ' && v[0] < 0x80 && v[len(v)-1] > ' ' && v[len(v)-1] < 0x80 {
		return v
	}
	return bytes.TrimFunc(v, func(r rune) bool {
		return r <= ' ' || r == '\u3000' || r == '\u00a0' || r == '\ufeff'
	})
}

// replay rebuilds the rows that were accepted when the batch arrived.
func (r *Run) replay(in, good *tabular.Block) error {
	for row := range in.Len() {
		if !r.opt.Accept(in.Number(row)) {
			r.reject++
			continue
		}
		for i := range r.engine.items {
			it := &r.engine.items[i]
			var v []byte
			if cell := r.opt.Mapping[i]; cell >= 0 && !(r.opt.KeyOnly && !it.key) {
				v = trim(in.Cell(row, cell))
			}
			if len(v) == 0 {
				good.Add(nil)
				continue
			}
			buf := good.Buffer()
			grown, ok := tabular.Canonical(buf, it.typ, v, r.opt.Decimal)
			if !ok || !it.fits(grown[len(buf):]) {
				return errs.Newf(errs.Conflict, "第 %d 行的“%s”按现在的目录已不是该类型的值", "row %d: %q is no value of its type by the catalog as it is now", in.Number(row), it.name)
			}
			good.Take(it.trimScale(grown, len(buf)))
		}
		good.EndRow(in.Number(row))
		r.accept++
	}
	return nil
}

// CheckAll runs a whole table through the engine: rd to its end.
func (r *Run) CheckAll(ctx context.Context, rd tabular.Reader, good func(*tabular.Block) error, sink Sink) error {
	in, out := tabular.NewBlock(), tabular.NewBlock()
	for {
		err := rd.Read(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		out.Reset()
		if err := r.Check(ctx, in, out, sink); err != nil {
			return err
		}
		if out.Len() > 0 {
			if err := good(out); err != nil {
				return err
			}
		}
	}
}
