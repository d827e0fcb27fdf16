package warehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
)

// native is what each database does in its own way: bulk writes and low-cost reads.
type native interface {
	// fill writes all rows of f into the new rows table of t, whose rows have no
	// rival for their key or are refused.
	fill(ctx context.Context, x txn, t *table, f *feed, at int64) error
	// merge upserts all rows of f by key into t.
	merge(ctx context.Context, x txn, t *table, f *feed, at int64) (inserted, updated int64, err error)
	// remove deletes the rows with the keys of f and notes their stamps.
	remove(ctx context.Context, x txn, t *table, f *feed) (deleted int64, err error)
	// open runs a built query that gives the columns out. A long one may be left
	// before its end; a short one reads to its end at close.
	open(ctx context.Context, q *query, out []Column, long bool) (cursor, error)
	// point runs a compiled point read.
	point(ctx context.Context, p *pointPlan, call *pointCall, out *Rows) error
	// exists answers, for each row of b, whether t has a row with these key cells.
	exists(ctx context.Context, t *table, columns []Column, b *tabular.Block, cells []int, out []bool) error
	close() error
}

// cursor walks over the rows of a query. Text values are valid until the next call.
type cursor interface {
	// next fills row, one value a column, and reports whether there was one.
	next(row []Value) (bool, error)
	close() error
}

// feed reads a Source for one table: it maps cells to columns, checks row
// numbers, counts, and remembers the first fault with its row.
type feed struct {
	ctx    context.Context
	source Source
	// columns are those the batch gives, cells[i] the cell that holds columns[i].
	columns []Column
	cells   []int
	base    int64 // batch number << 32
	given   int64
	last    int64
	block   *tabular.Block
	row     int
	must    []bool // columns[i] may not be empty
}

func newFeed(ctx context.Context, t *table, spec LoadSpec, no int64) (*feed, error) {
	f := &feed{ctx: ctx, source: spec.Source, base: no << 32}
	given := spec.Columns
	if given == nil {
		for _, c := range t.Columns {
			given = append(given, c.Name)
		}
	}
	want := t.Columns
	if spec.Mode == Delete {
		want = t.keyColumns()
	}
	at := make(map[string]int, len(given))
	for i, name := range given {
		if _, ok := t.column(name); !ok {
			return nil, unknownColumn(name)
		}
		if _, twice := at[name]; twice {
			return nil, errs.Newf(errs.Invalid, "列 %s 出现两次", "column %s is given twice", name).In(name)
		}
		at[name] = i
	}
	for _, c := range want {
		cell, ok := at[c.Name]
		key := t.isKey(c.Name)
		if !ok {
			if key {
				return nil, errs.Newf(errs.Invalid, "缺少主键列 %s", "the key column %s is missing", c.Name).In(c.Name)
			}
			continue
		}
		f.columns = append(f.columns, c)
		f.cells = append(f.cells, cell)
		f.must = append(f.must, key)
	}
	if len(f.columns) == 0 {
		return nil, errs.New(errs.Invalid, errs.T("批次没有任何列", "the batch has no columns"))
	}
	return f, nil
}

// next moves to the next row; false at the end.
func (f *feed) next() (bool, error) {
	f.row++
	for f.block == nil || f.row >= f.block.Len() {
		b, err := f.source.Next(f.ctx)
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		f.block, f.row = b, 0
	}
	n := f.block.Number(f.row)
	if n <= f.last || n >= 1<<32 {
		return false, fmt.Errorf("warehouse: row number %d after %d: numbers must rise and stay below 2^32", n, f.last)
	}
	f.last = n
	f.given++
	return true, nil
}

func (f *feed) seq() int64 { return f.base + f.last }

func (f *feed) cell(i int) []byte { return f.block.Cell(f.row, f.cells[i]) }

// value parses cell i of the current row.
func (f *feed) value(i int) (Value, error) {
	text := f.cell(i)
	if len(text) == 0 {
		if f.must[i] {
			return Value{}, f.fault(i, errs.New(errs.Invalid, errs.T("主键不能为空", "a key must not be empty")))
		}
		return Value{}, nil
	}
	if f.columns[i].Type == Text {
		return Value{Kind: String, S: unsafe.String(&text[0], len(text))}, f.checkText(i, text)
	}
	v, err := f.columns[i].parse(text)
	if err != nil {
		return Value{}, f.fault(i, err)
	}
	return v, nil
}

// checkText refuses the one character that PostgreSQL cannot keep in a text.
func (f *feed) checkText(i int, text []byte) error {
	if bytes.IndexByte(text, 0) < 0 {
		return nil
	}
	return f.fault(i, errs.New(errs.Invalid, errs.T("文本含有空字符（U+0000）", "the text holds a NUL character")))
}

func (f *feed) fault(i int, err error) error {
	if e, ok := errs.As(err); ok {
		return errs.New(e.Kind, errs.T(fmt.Sprintf("第 %d 行：%s", f.last, e.Text.ZH), fmt.Sprintf("row %d: %s", f.last, e.Text.EN))).In(f.columns[i].Name)
	}
	return fmt.Errorf("row %d, %s: %w", f.last, f.columns[i].Name, err)
}

// duplicateKey is the refusal of a batch whose key is there already. It names no
// value: keys are often personal.
func duplicateKey(cause error) error {
	return errs.New(errs.Conflict, errs.T(
		"批次中有主键与已有数据或同批次的另一行重复，整批未写入",
		"a key in the batch exists already or comes twice in it; nothing of the batch was written")).Because(errors.New(db.Classify(hideDetail(cause)).Error()))
}
