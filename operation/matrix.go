package operation

import (
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gongshu/identity"
)

//go:embed testdata/matrix/*.csv
var matrixFiles embed.FS

// Scope is how far a right reaches, from the actor's own account outward.
type Scope string

// The scopes of the matrix, narrowest first.
const (
	Self     Scope = "self"     // the actor's own account
	Own      Scope = "own"      // things of the actor's body
	District Scope = "district" // things of the actor's own division
	Reach    Scope = "reach"    // see [Reaches]
	CityWide Scope = "city"     // reach, for city-level actors only
	Any      Scope = "any"
)

// Right is one cell of the matrix: who, how far. Who is a post, or "client",
// "system" or "anonymous" for actors without one.
type Right struct {
	Who   string
	Scope Scope
	// Others is set by a "!" after the scope: not for the actor's own account.
	Others bool
}

// Row is one action of the matrix under given relations.
type Row struct {
	Area    string
	Action  Action
	Allowed []Right
	Attrs   map[string]any
	File    string
	Line    int
}

// Right returns how far who may go in this row; its Scope is "" when not at all.
func (r Row) Right(who string) Right {
	for _, right := range r.Allowed {
		if right.Who == who {
			return right
		}
	}
	return Right{Who: who}
}

// Everybody returns whom the matrix tells about: every post, then the actors without one.
func Everybody() []string {
	var out []string
	for _, p := range identity.AllPosts() {
		out = append(out, string(p))
	}
	return append(out, string(identity.Client), string(identity.Program), string(identity.Anonymous))
}

// Matrix returns the table of rights, which a test holds equal to what the
// policies decide, in the order of files and lines.
func Matrix() ([]Row, error) { return matrixFrom(matrixFiles) }

func matrixFrom(files fs.FS) ([]Row, error) {
	names, err := fs.Glob(files, "testdata/matrix/*.csv")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var rows []Row
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		reader := csv.NewReader(f)
		reader.FieldsPerRecord = 3
		records, err := reader.ReadAll()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("operation: %s: %w", name, err)
		}
		for i, record := range records {
			if i == 0 {
				if !slices.Equal(record, []string{"action", "allowed", "attrs"}) {
					return nil, fmt.Errorf("operation: %s:1: the header is action,allowed,attrs", name)
				}
				continue
			}
			row, err := parseRow(record)
			if err != nil {
				return nil, fmt.Errorf("operation: %s:%d: %w", name, i+1, err)
			}
			row.Area, row.File, row.Line = strings.TrimSuffix(path.Base(name), ".csv"), name, i+1
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func parseRow(record []string) (Row, error) {
	row := Row{Action: Action(record[0])}
	for _, field := range strings.Fields(record[1]) {
		who, scope, ok := strings.Cut(field, ":")
		scope, others := strings.CutSuffix(scope, "!")
		whom := []string{who}
		if who == string(identity.Person) {
			whom = whom[:0]
			for _, post := range identity.AllPosts() {
				whom = append(whom, string(post))
			}
		}
		for _, who := range whom {
			if !ok || !slices.Contains(Everybody(), who) ||
				!slices.Contains([]Scope{Self, Own, District, Reach, CityWide, Any}, Scope(scope)) {
				return row, fmt.Errorf("%q is not post:scope", field)
			}
			row.Allowed = append(row.Allowed, Right{Who: who, Scope: Scope(scope), Others: others})
		}
	}
	if record[2] != "" {
		if err := json.Unmarshal([]byte(record[2]), &row.Attrs); err != nil {
			return row, fmt.Errorf("attrs: %w", err)
		}
	}
	return row, nil
}
