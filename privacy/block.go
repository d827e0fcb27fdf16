package privacy

import (
	"slices"

	"gongshu/tabular"
)

// BlockMasker masks rows a block at a time, column by column, which the encrypting
// masks do several times as fast as value by value. It has scratch space and
// serves one goroutine at a time.
type BlockMasker struct {
	masks []*Masker // one a column; nil leaves it as it is
	text  []byte
	ends  []int // of the masked values, column by column
}

// NewBlockMasker takes a mask a column, nil for a column that stays as it is.
func NewBlockMasker(masks []*Masker) *BlockMasker { return &BlockMasker{masks: masks} }

// Mask empties dst, writes the rows of src to it, masked, with their numbers, and
// returns it; where no column has a mask it returns src as it is. Every row of src
// is as wide as there are masks. An empty cell stays empty.
func (b *BlockMasker) Mask(dst, src *tabular.Block) *tabular.Block {
	if !slices.ContainsFunc(b.masks, func(m *Masker) bool { return m != nil }) {
		return src
	}
	dst.Reset()
	n := src.Len()
	b.text, b.ends = b.text[:0], append(b.ends[:0], 0)
	for c, m := range b.masks {
		if m != nil {
			b.text, b.ends = m.AppendEach(b.text, b.ends, n, func(r int) []byte { return src.Cell(r, c) })
		}
	}
	for r := range n {
		at := r
		for c, m := range b.masks {
			if m == nil {
				dst.Add(src.Cell(r, c))
				continue
			}
			dst.Add(b.text[b.ends[at]:b.ends[at+1]])
			at += n
		}
		dst.EndRow(src.Number(r))
	}
	return dst
}
