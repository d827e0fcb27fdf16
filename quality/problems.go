package quality

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
)

const (
	chunkRows  = 500
	chunkBytes = 1 << 20
)

// Problem is a row that was not accepted, whole, with every reason.
type Problem struct {
	// Row is the row's number in its file.
	Row    int64    `json:"n"`
	Cells  []string `json:"c"`
	Faults []Fault  `json:"f"`
	// Open: no corrected row has been accepted yet. Not stored with the row.
	Open bool `json:"-"`
}

// Kept is what a Keeper has put away.
type Kept struct {
	Chunks []Chunk
	Rows   RowSet
}

// Chunk is one object of problem rows.
type Chunk struct {
	First, Last, Count int64
	Object             string
}

// RowSet is an ascending list of row numbers, coded as varint differences: a
// byte a row where rows follow each other closely.
type RowSet struct {
	code []byte
	last int64
	n    int64
}

// Add appends a number greater than the last.
func (s *RowSet) Add(n int64) {
	s.code = binary.AppendUvarint(s.code, uint64(n-s.last))
	s.last = n
	s.n++
}

// Len is how many numbers the set has.
func (s *RowSet) Len() int64 { return s.n }

// Numbers decodes the set.
func (s *RowSet) Numbers() []int64 {
	out, last := make([]int64, 0, s.n), int64(0)
	for p := s.code; len(p) > 0; {
		d, k := binary.Uvarint(p)
		if k <= 0 {
			break
		}
		last += int64(d)
		out = append(out, last)
		p = p[k:]
	}
	return out
}

// Has returns a test of membership for numbers asked in ascending order.
func (s *RowSet) Has() func(n int64) bool {
	p, next, more := s.code, int64(0), true
	advance := func() {
		d, k := binary.Uvarint(p)
		if more = k > 0; more {
			next += int64(d)
			p = p[k:]
		}
	}
	advance()
	return func(n int64) bool {
		for more && next < n {
			advance()
		}
		return more && next == n
	}
}

func decodeRows(code []byte, n int64) RowSet {
	s := RowSet{code: code, n: n}
	if all := s.Numbers(); len(all) > 0 {
		s.last = all[len(all)-1]
	}
	return s
}

// Keeper puts problem rows away as they are found, in constant memory.
type Keeper struct {
	blobs *blob.Store
	kept  Kept
	open  Chunk
	buf   bytes.Buffer
}

// NewKeeper makes a Keeper.
func NewKeeper(blobs *blob.Store) *Keeper { return &Keeper{blobs: blobs} }

// Add keeps row r of in. Cells that are no UTF-8 are kept with U+FFFD for the
// bytes that are not; the raw file has them as they came.
func (k *Keeper) Add(ctx context.Context, in *tabular.Block, r int, faults []Fault) error {
	p := Problem{Row: in.Number(r), Faults: faults, Cells: make([]string, in.Width(r))}
	for c := range p.Cells {
		cell := in.Cell(r, c)
		if !utf8.Valid(cell) {
			cell = bytes.ToValidUTF8(cell, []byte("\uFFFD"))
		}
		p.Cells[c] = string(cell)
	}
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if k.open.Count == 0 {
		k.open.First = p.Row
	}
	k.open.Last = p.Row
	k.open.Count++
	k.buf.Write(line)
	k.buf.WriteByte('\n')
	k.kept.Rows.Add(p.Row)
	if k.open.Count >= chunkRows || k.buf.Len() >= chunkBytes {
		return k.flush(ctx)
	}
	return nil
}

func (k *Keeper) flush(ctx context.Context) error {
	if k.open.Count == 0 {
		return nil
	}
	info, err := k.blobs.Put(ctx, &k.buf)
	if err != nil {
		return err
	}
	k.open.Object = info.ID
	k.kept.Chunks = append(k.kept.Chunks, k.open)
	k.open = Chunk{}
	k.buf.Reset()
	return nil
}

// Close puts the rest away and returns all.
func (k *Keeper) Close(ctx context.Context) (Kept, error) {
	err := k.flush(ctx)
	return k.kept, err
}

// Discard deletes what was put away, when the batch is not to be.
func (k *Keeper) Discard(ctx context.Context) {
	for _, c := range k.kept.Chunks {
		k.blobs.Delete(context.WithoutCancel(ctx), c.Object)
	}
}

// Service answers for the problem rows of all batches.
type Service struct {
	db    *db.DB
	blobs *blob.Store
}

// New makes the service.
func New(d *db.DB, blobs *blob.Store) *Service { return &Service{db: d, blobs: blobs} }

// Ledger is where the problem rows of a batch stand.
type Ledger struct {
	Batch, Resource, Body string
	Rejected, Open        int64
	// Columns are the names of the file's columns.
	Columns []string
}

// NoteTx records a batch's problem rows, replacing what an interrupted attempt
// recorded. It returns the objects of that attempt, to be deleted after commit.
func (s *Service) NoteTx(ctx context.Context, tx db.Querier, l Ledger, kept Kept, tallies []Tally, at int64) (orphans []string, err error) {
	if orphans, err = dropBatch(ctx, tx, l.Batch); err != nil {
		return nil, err
	}
	l.Rejected, l.Open = kept.Rows.Len(), kept.Rows.Len()
	return orphans, insertBatch(ctx, tx, l, kept, tallies, at)
}

// DropTx forgets a batch's problem rows and returns their objects.
func (s *Service) DropTx(ctx context.Context, tx db.Querier, batch string) ([]string, error) {
	return dropBatch(ctx, tx, batch)
}

// Ledger reads where a batch stands; a batch without problem rows has an empty
// one. Errors: errs.NotFound for an unknown batch.
func (s *Service) Ledger(ctx context.Context, batch string) (Ledger, error) {
	l, _, _, err := readLedger(ctx, s.db.Read(), batch)
	return l, err
}

// Rejected is the set of row numbers that a batch did not accept.
func (s *Service) Rejected(ctx context.Context, batch string) (RowSet, error) {
	_, rows, _, err := readLedger(ctx, s.db.Read(), batch)
	return rows, err
}

// OpenRows are the row numbers that wait for a correction, ascending.
func (s *Service) OpenRows(ctx context.Context, batch string) ([]int64, error) {
	_, _, open, err := readLedger(ctx, s.db.Read(), batch)
	return open.Numbers(), err
}

// CloseTx marks rows of a batch as corrected; numbers that are not open are
// ignored. It returns how many were closed and how many are still open.
func (s *Service) CloseTx(ctx context.Context, tx db.Querier, batch string, rows []int64) (closed, open int64, err error) {
	_, _, set, err := readLedger(ctx, tx, batch)
	if err != nil {
		return 0, 0, err
	}
	slices.Sort(rows)
	var rest RowSet
	for _, n := range set.Numbers() {
		if _, found := slices.BinarySearch(rows, n); found {
			closed++
		} else {
			rest.Add(n)
		}
	}
	return closed, rest.Len(), updateOpen(ctx, tx, batch, rest)
}

// Tallies are the failures of a batch by item and rule, most frequent first.
func (s *Service) Tallies(ctx context.Context, batch string) ([]Tally, error) {
	return readTallies(ctx, s.db.Read(), batch)
}

// ResourceTallies sums the failures of a resource's batches since a time (ms).
func (s *Service) ResourceTallies(ctx context.Context, resource string, since int64) ([]Tally, error) {
	return sumTallies(ctx, s.db.Read(), resource, since)
}

// OpenByBody counts open problem rows by resource id for a body; "" is all.
func (s *Service) OpenByBody(ctx context.Context, body string) (map[string]int64, error) {
	return openByBody(ctx, s.db.Read(), body)
}

// Which narrows the problem rows of a batch; the zero value takes all.
type Which struct {
	// Open takes those that no accepted row has mended yet.
	Open bool
	// Code takes those with a fault of this rule, where Item is set in that item.
	Item, Code string
}

func (w Which) takes(p Problem) bool {
	return (!w.Open || p.Open) && (w.Code == "" || slices.ContainsFunc(p.Faults, func(f Fault) bool {
		return f.Code == w.Code && (w.Item == "" || f.Item == w.Item)
	}))
}

// Orders are the ways to order problem rows: by their number in the file, or
// those still open first. A minus before one turns it round.
var Orders = []string{"row", "state"}

// Page reads problem rows of a batch in an order of Orders ("" is by number), from
// the offset-th (0-based) on. It returns how many there are in all. The caller
// passes the door first: the rows are data.
func (s *Service) Page(ctx context.Context, batch string, which Which, order string, offset, limit int64) ([]Problem, int64, error) {
	_, rows, open, err := readLedger(ctx, s.db.Read(), batch)
	if err != nil {
		return nil, 0, err
	}
	chunks, err := readChunks(ctx, s.db.Read(), batch)
	if err != nil {
		return nil, 0, err
	}
	wanted := rows
	if which.Open {
		wanted = open
	}
	numbers := wanted.Numbers()
	if which.Code != "" { // the kept rows themselves tell which rule they broke
		numbers = numbers[:0]
		err := s.each(ctx, chunks, open, func(p Problem) error {
			if which.takes(p) {
				numbers = append(numbers, p.Row)
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	total := int64(len(numbers))
	if by := strings.TrimPrefix(order, "-"); by == "state" {
		first, isOpen := make([]int64, 0, total), open.Has()
		var last []int64
		for _, n := range numbers {
			if isOpen(n) {
				first = append(first, n)
			} else {
				last = append(last, n)
			}
		}
		numbers = append(first, last...)
	}
	if strings.HasPrefix(order, "-") {
		slices.Reverse(numbers)
	}
	numbers = numbers[min(offset, total):min(offset+limit, total)]
	at := make(map[int64]int, len(numbers))
	for i, n := range numbers {
		at[n] = i
	}
	out := make([]Problem, len(numbers))
	chunks = slices.DeleteFunc(chunks, func(c Chunk) bool {
		return !slices.ContainsFunc(numbers, func(n int64) bool { return n >= c.First && n <= c.Last })
	})
	err = s.each(ctx, chunks, open, func(p Problem) error {
		if i, ok := at[p.Row]; ok {
			out[i] = p
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return out, total, nil
}

// Each visits problem rows of a batch in the order of the file, in constant memory.
func (s *Service) Each(ctx context.Context, batch string, which Which, visit func(Problem) error) error {
	_, _, open, err := readLedger(ctx, s.db.Read(), batch)
	if err != nil {
		return err
	}
	chunks, err := readChunks(ctx, s.db.Read(), batch)
	if err != nil {
		return err
	}
	return s.each(ctx, chunks, open, func(p Problem) error {
		if !which.takes(p) {
			return nil
		}
		return visit(p)
	})
}

func (s *Service) each(ctx context.Context, chunks []Chunk, open RowSet, visit func(Problem) error) error {
	isOpen := open.Has()
	for _, c := range chunks {
		err := s.eachIn(ctx, c, func(p Problem) error {
			p.Open = isOpen(p.Row)
			return visit(p)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) eachIn(ctx context.Context, c Chunk, visit func(Problem) error) error {
	r, err := s.blobs.Open(ctx, c.Object)
	if err != nil {
		return err
	}
	defer r.Close()
	dec := json.NewDecoder(r)
	for {
		var p Problem
		if err := dec.Decode(&p); err == io.EOF {
			return nil
		} else if err != nil {
			return errs.New(errs.Internal, errs.T("问题数据的存储对象已损坏", "the object that keeps problem rows is damaged")).Because(err)
		}
		if err := visit(p); err != nil {
			return err
		}
	}
}

// WriteFile writes a batch's problem rows as a file of the format: the row
// number, the file's own columns, the reasons in the language. Mended, it can be
// submitted against the batch. As CSV it is guarded against cells that a
// spreadsheet would run as formulas; intake takes the guard off what comes back.
func (s *Service) WriteFile(ctx context.Context, w io.Writer, f tabular.Format, batch, lang string, which Which) error {
	l, err := s.Ledger(ctx, batch)
	if err != nil {
		return err
	}
	width := len(l.Columns)
	columns := []tabular.Column{{Name: NumberColumn, Type: 'I'}}
	for _, c := range l.Columns {
		columns = append(columns, tabular.Column{Name: c, Type: 'C'})
	}
	columns = append(columns, tabular.Column{Name: ReasonColumn, Type: 'C'})
	if f == tabular.NDJSON || f == tabular.JSON || f == tabular.Parquet {
		columns = distinct(columns)
	}
	var out tabular.Writer
	if f == tabular.CSV {
		out, err = tabular.NewCSVWriter(w, columns, tabular.CSVOptions{BOM: true, Guard: true})
	} else {
		out, err = tabular.NewWriter(w, f, columns)
	}
	if err != nil {
		return err
	}
	b := tabular.NewBlock()
	var num []byte
	err = s.Each(ctx, batch, which, func(p Problem) error {
		num = appendInt(num[:0], p.Row)
		b.Add(num)
		for i := range width {
			if i < len(p.Cells) {
				b.AddString(p.Cells[i])
			} else {
				b.Add(nil)
			}
		}
		reasons := Reasons(p.Faults, lang)
		if len(p.Cells) > width { // cells beyond the header have no column; nothing is lost
			extra, _ := json.Marshal(p.Cells[width:])
			reasons += "; + " + string(extra)
		}
		b.AddString(reasons)
		b.EndRow(p.Row)
		if b.Len() < 200 {
			return nil
		}
		err := out.Write(b)
		b.Reset()
		return err
	})
	if err != nil {
		return err
	}
	if err := out.Write(b); err != nil {
		return err
	}
	return out.Close()
}

func distinct(columns []tabular.Column) []tabular.Column {
	seen := map[string]bool{}
	for i := range columns {
		for seen[columns[i].Name] {
			columns[i].Name += "_"
		}
		seen[columns[i].Name] = true
	}
	return columns
}

// Reasons joins the reasons of a row in a language.
func Reasons(faults []Fault, lang string) string {
	var out []byte
	for i, f := range faults {
		if i > 0 {
			out = append(out, "; "...)
		}
		out = append(out, f.Text.In(lang)...)
		if f.Clause != "" {
			out = append(append(append(out, " ["...), f.Clause...), ']')
		}
	}
	return string(out)
}
