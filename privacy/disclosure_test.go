package privacy

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestSuppression(t *testing.T) {
	show := func(cells []Cell) (s string) {
		for _, c := range cells {
			if c.Hidden == "" {
				s += fmt.Sprint(c.Size, " ")
			} else {
				s += string(c.Hidden[0]) + " "
			}
		}
		return s
	}
	for name, c := range map[string]struct {
		dims  int
		sizes []int64
		want  string
	}{
		"none small":            {1, []int64{5, 9, 20}, "5 9 20 "},
		"one small":             {1, []int64{3, 9, 20}, "s c 20 "},
		"two small, too little": {1, []int64{1, 2, 9, 20}, "s s c 20 "},
		"two small, enough":     {1, []int64{3, 4, 9}, "s s 9 "},
		"a lone small cell":     {1, []int64{3}, "s "},
		"zero is no person":     {1, []int64{0, 9, 20}, "0 9 20 "},
		"total":                 {0, []int64{4}, "s "},
		// Rows of three: hiding in a row has to be answered in the columns.
		"two dimensions": {2, []int64{3, 10, 30, 20, 40, 50, 60, 70, 80}, "s c 30 c c 50 60 70 80 "},
	} {
		cells := make([]Cell, len(c.sizes))
		for i, n := range c.sizes {
			cells[i].Size = n
			switch c.dims {
			case 1:
				cells[i].Keys = []string{fmt.Sprint(i)}
			case 2:
				cells[i].Keys = []string{fmt.Sprint(i / 3), fmt.Sprint(i % 3)}
			}
		}
		hidden := Suppress(cells, 5)
		if got := show(cells); got != c.want {
			t.Errorf("%s: %s, want %s (%d hidden)", name, got, c.want, hidden)
		}
	}
}

// TestSuppressionLeavesNoLoneCell: in every line that has a total, hidden cells
// together hold at least k persons and stand at least in pairs, unless the whole
// line is hidden.
func TestSuppressionLeavesNoLoneCell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.Int64Range(2, 10).Draw(t, "k")
		dims := rapid.IntRange(1, 3).Draw(t, "dims")
		n := rapid.IntRange(1, 4).Draw(t, "n")
		var cells []Cell
		total := 1
		for range dims {
			total *= n
		}
		for i := range total {
			var keys []string
			for d, r := 0, i; d < dims; d++ {
				keys = append(keys, fmt.Sprint(r%n))
				r /= n
			}
			if size := rapid.Int64Range(0, 25).Draw(t, "size"); size > 0 {
				cells = append(cells, Cell{Keys: keys, Size: size})
			}
		}
		Suppress(cells, k)
		for _, line := range linesOf(cells) {
			hidden, sum, shown := 0, int64(0), 0
			for _, i := range line {
				c := cells[i]
				if c.Hidden != "" {
					hidden++
					sum += c.Size
				} else {
					shown++
					if c.Size < k {
						t.Fatalf("a cell of %d persons is shown at k = %d", c.Size, k)
					}
				}
			}
			if hidden > 0 && shown > 0 && (hidden == 1 || sum < k) {
				t.Fatalf("%d hidden cells of %d persons beside %d shown ones", hidden, sum, shown)
			}
		}
	})
}

func TestDifferenced(t *testing.T) {
	for _, c := range []struct {
		a, b, both int64
		want       bool
	}{
		{100, 99, 99, true},    // one person left out
		{100, 100, 100, false}, // the same group
		{100, 100, 98, true},   // two out, two in
		{100, 95, 95, false},
		{100, 96, 96, true},
		{50, 50, 0, false},
	} {
		if got := Differenced(c.a, c.b, c.both, 5); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestKAnonymity(t *testing.T) {
	k := NewKAnonymity([]int{0, 1}, []int{2})
	for i := range 10 {
		k.Add([]string{"350102", "1990", fmt.Sprint(i % 3)})
	}
	k.Add([]string{"350103", "1931", "x"})
	k.Add([]string{"350103", "1931", "x"})
	k.Add([]string{"3501031", "931", "y"}) // no collision by joining
	r := k.Report(5)
	if r.Rows != 13 || r.Groups != 3 || r.Smallest != 1 || r.GroupsBelow != 2 || r.RowsBelow != 3 || r.LeastDiverse != 1 || r.OK() {
		t.Errorf("%+v", r)
	}
	if len(r.Examples) != 2 || r.Examples[0] != "3501031, 931" {
		t.Errorf("examples %v", r.Examples)
	}
	if r := k.Report(1); !r.OK() {
		t.Errorf("k = 1: %+v", r)
	}
}
