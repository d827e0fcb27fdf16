package tabular

import "gongshu/internal/errs"

// Block is a run of rows whose cells are byte ranges of one buffer, so that a
// million rows cost no allocation a cell. A cell of zero length is an absent
// value: files do not tell "empty" from "null" apart, and neither does the
// platform. Not safe for concurrent use.
type Block struct {
	data   []byte
	cells  []span
	rows   []row
	flaws  map[int][]errs.Text
	rowEnd int // cells committed by EndRow
	mark   int // bytes committed by EndRow
}

type span struct{ from, to uint32 }

type row struct {
	from   uint32 // first cell
	to     uint32 // one past the last cell
	number int64
}

// NewBlock returns an empty block.
func NewBlock() *Block {
	return &Block{data: make([]byte, 0, 64<<10), cells: make([]span, 0, 8<<10), rows: make([]row, 0, 1024)}
}

// Reset empties b and keeps its memory.
func (b *Block) Reset() {
	b.data, b.cells, b.rows = b.data[:0], b.cells[:0], b.rows[:0]
	b.rowEnd, b.mark = 0, 0
	clear(b.flaws)
}

// Len is the number of rows.
func (b *Block) Len() int { return len(b.rows) }

// Bytes is the size of all cells together.
func (b *Block) Bytes() int { return b.mark }

// Width is the number of cells of row r.
func (b *Block) Width(r int) int { return int(b.rows[r].to - b.rows[r].from) }

// Number is the row's number in its file, from 1, as a spreadsheet shows it
// (the line in NDJSON, the element in a JSON array).
func (b *Block) Number(r int) int64 { return b.rows[r].number }

// Cell returns cell c of row r, nil when the row is shorter. The bytes belong
// to b and are valid until its Reset.
func (b *Block) Cell(r, c int) []byte {
	w := b.rows[r]
	i := w.from + uint32(c)
	if i >= w.to {
		return nil
	}
	s := b.cells[i]
	return b.data[s.from:s.to:s.to]
}

// Flaws are the reasons for which a decoder could not read row r cleanly; nil
// for a sound row.
func (b *Block) Flaws(r int) []errs.Text {
	if len(b.flaws) == 0 {
		return nil
	}
	return b.flaws[r]
}

// AddFlaw notes why row r, which may be the one being built, is not sound.
func (b *Block) AddFlaw(r int, why errs.Text) {
	if b.flaws == nil {
		b.flaws = map[int][]errs.Text{}
	}
	b.flaws[r] = append(b.flaws[r], why)
}

// Add appends a cell to the row being built.
func (b *Block) Add(cell []byte) {
	from := uint32(len(b.data))
	b.data = append(b.data, cell...)
	b.cells = append(b.cells, span{from, uint32(len(b.data))})
}

// AddString is Add for a string.
func (b *Block) AddString(cell string) {
	from := uint32(len(b.data))
	b.data = append(b.data, cell...)
	b.cells = append(b.cells, span{from, uint32(len(b.data))})
}

// Buffer gives the block's buffer for a caller that builds a cell in place by
// append; hand the result to Take, which makes the grown part a cell.
func (b *Block) Buffer() []byte { return b.data }

// Take makes the bytes appended to Buffer's result the next cell.
func (b *Block) Take(grown []byte) {
	from := uint32(len(b.data))
	b.data = grown
	b.cells = append(b.cells, span{from, uint32(len(grown))})
}

// EndRow completes the row being built and gives it its number.
func (b *Block) EndRow(number int64) {
	b.rows = append(b.rows, row{uint32(b.rowEnd), uint32(len(b.cells)), number})
	b.rowEnd, b.mark = len(b.cells), len(b.data)
}

// Abandon drops the cells added since the last EndRow.
func (b *Block) Abandon() {
	b.cells, b.data = b.cells[:b.rowEnd], b.data[:b.mark]
	delete(b.flaws, len(b.rows))
}

// unguard takes the apostrophe of CSVOptions.Guard off the cells added since the
// last EndRow.
func (b *Block) unguard() {
	for i := b.rowEnd; i < len(b.cells); i++ {
		if v := b.data[b.cells[i].from:b.cells[i].to]; len(v) > 1 && v[0] == '\'' && guarded(v[1:]) {
			b.cells[i].from++
		}
	}
}

// Pending is the number of cells added since the last EndRow.
func (b *Block) Pending() int { return len(b.cells) - b.rowEnd }

// PendingBytes is the size of the cells added since the last EndRow.
func (b *Block) PendingBytes() int { return len(b.data) - b.mark }

// AppendRow copies row r of src, with its number and flaws.
func (b *Block) AppendRow(src *Block, r int) {
	for c := range src.Width(r) {
		b.Add(src.Cell(r, c))
	}
	for _, f := range src.Flaws(r) {
		b.AddFlaw(len(b.rows), f)
	}
	b.EndRow(src.Number(r))
}
