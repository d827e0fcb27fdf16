package privacy

import (
	"hash/maphash"
	"sort"
	"strings"
)

// KAnonymity measures how well rows hide in groups that share their
// quasi-identifiers (values that many people know: sex, birth year, district).
// Memory grows with the number of groups, not of rows. It serves one goroutine.
type KAnonymity struct {
	quasi, sensitive []int
	seed             maphash.Seed
	groups           map[uint64]*kGroup
	rows             int64
}

type kGroup struct {
	rows   int64
	sample string              // the quasi-identifiers, for the report
	values map[uint64]struct{} // different sensitive values, counted up to maxDiverse
}

const maxDiverse = 64

// NewKAnonymity looks at the columns of the given positions; sensitive are those
// whose diversity inside a group matters (l-diversity), nil for none.
func NewKAnonymity(quasi, sensitive []int) *KAnonymity {
	return &KAnonymity{quasi: quasi, sensitive: sensitive, seed: maphash.MakeSeed(), groups: map[uint64]*kGroup{}}
}

// Add takes in a row; positions outside it count as empty.
func (k *KAnonymity) Add(row []string) {
	k.rows++
	id := k.hash(row, k.quasi)
	g := k.groups[id]
	if g == nil {
		parts := make([]string, len(k.quasi))
		for i, c := range k.quasi {
			if c < len(row) {
				parts[i] = row[c]
			}
		}
		g = &kGroup{sample: strings.Join(parts, ", ")}
		if len(k.sensitive) > 0 {
			g.values = map[uint64]struct{}{}
		}
		k.groups[id] = g
	}
	g.rows++
	if g.values != nil && len(g.values) < maxDiverse {
		g.values[k.hash(row, k.sensitive)] = struct{}{}
	}
}

func (k *KAnonymity) hash(row []string, cols []int) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, c := range cols {
		if c < len(row) {
			h.WriteString(row[c])
		}
		h.WriteByte(0)
	}
	return h.Sum64()
}

// KReport is the result of the measurement.
type KReport struct {
	Rows, Groups int64
	Smallest     int64    // rows of the smallest group; 0 without rows
	GroupsBelow  int64    // groups of fewer than k rows
	RowsBelow    int64    // rows in those groups
	LeastDiverse int      // fewest different sensitive values of a group (counted up to 64); 0 without sensitive columns
	Examples     []string // quasi-identifiers of up to ten of the smallest groups below k
}

// OK says whether every group has at least k rows.
func (r KReport) OK() bool { return r.GroupsBelow == 0 }

// Report sums up for a threshold k of at least 1.
func (k *KAnonymity) Report(threshold int64) KReport {
	r := KReport{Rows: k.rows, Groups: int64(len(k.groups))}
	type low struct {
		rows   int64
		sample string
	}
	var below []low
	for _, g := range k.groups {
		if r.Smallest == 0 || g.rows < r.Smallest {
			r.Smallest = g.rows
		}
		if g.values != nil && (r.LeastDiverse == 0 || len(g.values) < r.LeastDiverse) {
			r.LeastDiverse = len(g.values)
		}
		if g.rows < threshold {
			r.GroupsBelow++
			r.RowsBelow += g.rows
			below = append(below, low{g.rows, g.sample})
		}
	}
	sort.Slice(below, func(i, j int) bool {
		return below[i].rows < below[j].rows || below[i].rows == below[j].rows && below[i].sample < below[j].sample
	})
	for i, l := range below {
		if i == 10 {
			break
		}
		r.Examples = append(r.Examples, l.sample)
	}
	return r
}
