package privacy

import "strings"

// Cell is one group of a statistical table.
type Cell struct {
	Keys []string // values of the grouping items, one a dimension
	Size int64    // persons in the group
	// Hidden is why the cell must not be shown; "" shows it.
	Hidden HiddenReason
}

// HiddenReason says why a cell is not shown.
type HiddenReason string

// The reasons. A complementary cell is large enough by itself, but a hidden one
// could be computed from it and a total.
const (
	HiddenSmall         HiddenReason = "small"
	HiddenComplementary HiddenReason = "complementary"
	HiddenDifference    HiddenReason = "difference"
)

// Suppress hides every cell of fewer than k persons, and then as many others as
// it takes that no hidden one can be computed from a total: along every
// dimension, and over the whole table, hidden cells stand at least in pairs that
// together hold at least k persons. Cells already hidden by the caller count as
// hidden. It returns how many cells are hidden.
//
// All cells have the same number of keys; cells of size 0 say nothing about
// anybody and may stand in the table.
func Suppress(cells []Cell, k int64) int {
	for i := range cells {
		if cells[i].Hidden == "" && cells[i].Size > 0 && cells[i].Size < k {
			cells[i].Hidden = HiddenSmall
		}
	}
	lines := linesOf(cells)
	for changed := true; changed; {
		changed = false
		for _, line := range lines {
			n, sum, smallest := 0, int64(0), -1
			for _, i := range line {
				switch c := &cells[i]; {
				case c.Hidden != "":
					n++
					sum += c.Size
				case c.Size > 0 && (smallest < 0 || c.Size < cells[smallest].Size):
					smallest = i
				}
			}
			if n > 0 && (n == 1 || sum < k) && smallest >= 0 {
				cells[smallest].Hidden = HiddenComplementary
				changed = true
			}
		}
	}
	hidden := 0
	for i := range cells {
		if cells[i].Hidden != "" {
			hidden++
		}
	}
	return hidden
}

// linesOf gives the sets of cells whose sums somebody may know: for every choice
// of dimensions summed over, the cells that agree in the others.
func linesOf(cells []Cell) [][]int {
	if len(cells) == 0 {
		return nil
	}
	dims := len(cells[0].Keys)
	var lines [][]int
	// Every non-empty set of dimensions; few dimensions are ever grouped by.
	for mask := 1; mask < 1<<min(dims, 6); mask++ {
		at := map[string]int{}
		for i := range cells {
			var key strings.Builder
			for d, v := range cells[i].Keys {
				if mask&(1<<d) == 0 {
					key.WriteString(v)
				}
				key.WriteByte(0)
			}
			j, ok := at[key.String()]
			if !ok {
				j = len(lines)
				at[key.String()] = j
				lines = append(lines, nil)
			}
			lines[j] = append(lines[j], i)
		}
	}
	if dims == 0 {
		return nil // one cell that is its own total
	}
	return lines
}

// Differenced says whether two groups of a and b persons with both in common
// differ by somebody, but by fewer than k: the difference of their sums would
// then tell about too few.
func Differenced(a, b, both, k int64) bool {
	d := a + b - 2*both
	return d > 0 && d < k
}
