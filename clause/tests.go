package clause

import (
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"
)

// The matrix as `gongshu clauses --tests . --csv` writes it (make clauses), so
// that a running program can say which tests show an article.
//
//go:embed tests.csv
var testsCSV string

var testsByID = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	r := csv.NewReader(strings.NewReader(testsCSV))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return out // the file is made by WriteCSV; a test reads it
	}
	for _, row := range rows {
		if len(row) == 3 {
			out[row[0]] = strings.Fields(row[2])
		}
	}
	return out
})

// Tests gives the tests that cite a clause, "package/dir.TestName", as of the
// last `make clauses`; nil for none.
func Tests(id string) []string { return testsByID()[id] }
