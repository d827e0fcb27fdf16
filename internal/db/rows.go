package db

import (
	"context"
	"strconv"
	"strings"
)

// Row is what one row of a result is read from: *sql.Row and *sql.Rows.
type Row interface{ Scan(dest ...any) error }

// List gathers what a query gives, each row by scan; nil where it gives none.
func List[T any](ctx context.Context, q Querier, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Values gathers the one column that a query gives.
func Values[T any](ctx context.Context, q Querier, query string, args ...any) ([]T, error) {
	return List(ctx, q, func(row Row) (v T, err error) { err = row.Scan(&v); return }, query, args...)
}

// Pairs gathers the two columns that a query gives, the first as keys; never nil.
func Pairs[K comparable, V any](ctx context.Context, q Querier, query string, args ...any) (map[K]V, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[K]V{}
	for rows.Next() {
		var k K
		var v V
		if err := rows.Scan(&k, &v); err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, rows.Err()
}

// Where gathers conditions and their arguments. A condition writes ? for each of
// its own; String numbers them.
type Where struct {
	Args []any
	text []string
}

// Add adds a condition that must hold as well.
func (w *Where) Add(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", w.Arg(a), 1)
	}
	w.text = append(w.text, condition)
}

// Contains adds that one of the columns contains text, whatever characters it has and
// in small or capital letters; an empty text restricts nothing.
func (w *Where) Contains(text string, columns ...string) {
	if text != "" {
		w.like("%"+likeEscapes.Replace(text)+"%", columns)
	}
}

// Starts adds that a column starts with text, as Contains compares.
func (w *Where) Starts(text, column string) {
	if text != "" {
		w.like(likeEscapes.Replace(text)+"%", []string{column})
	}
}

// like compares in small letters on both sides: SQLite's LIKE takes A for a, that of
// PostgreSQL does not.
func (w *Where) like(pattern string, columns []string) {
	mark, either := w.Arg(pattern), make([]string, len(columns))
	for i, c := range columns {
		either[i] = "lower(" + c + ") LIKE lower(" + mark + `) ESCAPE '\'`
	}
	w.text = append(w.text, "("+strings.Join(either, " OR ")+")")
}

var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Arg adds an argument outside of the conditions and gives its placeholder.
func (w *Where) Arg(a any) string {
	w.Args = append(w.Args, a)
	return "$" + strconv.Itoa(len(w.Args))
}

// String is the WHERE clause with a space before it; "" without conditions.
func (w *Where) String() string {
	if len(w.text) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.text, " AND ")
}
