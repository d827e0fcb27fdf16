package ui

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ListSpec says what a list accepts from its address.
type ListSpec struct {
	Sorts   []string // columns that sort; the first is the default
	Default string   // default order, "-due" for descending; "" is Sorts[0]
	Filters []string // names of filters
	Per     int      // rows a page; 0 is 20
}

// List is the state of a list as its address carries it: search words, filters,
// order and page. Addresses made by With keep everything that they do not name,
// so a link to a filtered list can be sent to a colleague.
type List struct {
	Path string
	Q    string // search words, trimmed
	Sort string // column key
	Desc bool
	Page int // from 1
	Per  int // 10 to 200

	spec    ListSpec
	filters map[string][]string
}

// ParseList reads q, sort, page, per and the spec's filters. What is unknown or
// out of range falls back to the default: an address typed by hand never fails.
func ParseList(r *http.Request, spec ListSpec) List {
	return listFrom(r.URL.Path, r.URL.Query(), spec)
}

func listFrom(path string, query url.Values, spec ListSpec) List {
	if spec.Per == 0 {
		spec.Per = 20
	}
	if spec.Default == "" && len(spec.Sorts) > 0 {
		spec.Default = spec.Sorts[0]
	}
	l := List{Path: path, spec: spec, filters: map[string][]string{}}
	l.Q = strings.TrimSpace(query.Get("q"))
	if runes := []rune(l.Q); len(runes) > 200 {
		l.Q = string(runes[:200])
	}
	order := query.Get("sort")
	if !slices.Contains(spec.Sorts, strings.TrimPrefix(order, "-")) {
		order = spec.Default
	}
	l.Sort, l.Desc = strings.TrimPrefix(order, "-"), strings.HasPrefix(order, "-")
	l.Page, _ = strconv.Atoi(query.Get("page"))
	l.Page = min(max(l.Page, 1), 1_000_000)
	l.Per, _ = strconv.Atoi(query.Get("per"))
	if l.Per < 10 || l.Per > 200 {
		l.Per = spec.Per
	}
	for _, name := range spec.Filters {
		for _, v := range query[name] {
			if v = strings.TrimSpace(v); v != "" && len(v) <= 400 {
				l.filters[name] = append(l.filters[name], v)
			}
		}
	}
	return l
}

// Get gives the first value of a filter, "" where it is not set.
func (l List) Get(filter string) string {
	if v := l.filters[filter]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// All gives every value of a filter.
func (l List) All(filter string) []string { return l.filters[filter] }

// Has says whether a filter has the value.
func (l List) Has(filter, value string) bool { return slices.Contains(l.filters[filter], value) }

// Filtered says whether search words or any filter narrow the list.
func (l List) Filtered() bool { return l.Q != "" || len(l.filters) > 0 }

// Offset is the number of rows before the page.
func (l List) Offset() int { return (l.Page - 1) * l.Per }

// Pages is the number of pages that total rows fill, at least 1.
func (l List) Pages(total int) int { return max(1, (total+l.Per-1)/l.Per) }

// Order gives the order as the address writes it: "name" or "-name".
func (l List) Order() string {
	if l.Desc {
		return "-" + l.Sort
	}
	return l.Sort
}

func (l List) values() url.Values {
	v := url.Values{}
	if l.Q != "" {
		v.Set("q", l.Q)
	}
	for name, all := range l.filters {
		v[name] = slices.Clone(all)
	}
	if l.Order() != l.spec.Default {
		v.Set("sort", l.Order())
	}
	if l.Page > 1 {
		v.Set("page", strconv.Itoa(l.Page))
	}
	if l.Per != l.spec.Per {
		v.Set("per", strconv.Itoa(l.Per))
	}
	return v
}

// With gives the list's address with some parameters set: With("state",
// "late", "page", ""). An empty value removes. Anything but a page change goes
// back to the first page.
func (l List) With(pairs ...string) string {
	v := l.values()
	paging := false
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "page" {
			paging = true
		}
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if !paging || v.Get("page") == "1" {
		v.Del("page")
	}
	return address(l.Path, v)
}

// Toggle gives the address with one value of a filter added, or taken away when
// it is set; for facets that allow several values.
func (l List) Toggle(filter, value string) string {
	v := l.values()
	v.Del("page")
	if i := slices.Index(v[filter], value); i >= 0 {
		v[filter] = slices.Delete(v[filter], i, i+1)
	} else {
		v.Add(filter, value)
	}
	return address(l.Path, v)
}

// SortLink gives the address that orders by a column: ascending first, then
// descending.
func (l List) SortLink(column string) string {
	if l.Sort == column && !l.Desc {
		return l.With("sort", "-"+column)
	}
	return l.With("sort", column)
}

// Clear gives the address without search words and filters.
func (l List) Clear() string {
	v := url.Values{}
	if l.Order() != l.spec.Default {
		v.Set("sort", l.Order())
	}
	return address(l.Path, v)
}

func address(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// window gives the page numbers that a pager shows: the first, the last and
// those around the present one; 0 stands for a gap.
func (l List) window(total int) []int {
	last := l.Pages(total)
	page := min(l.Page, last)
	shown := func(p int) bool { return p <= 1 || p >= last || p >= page-1 && p <= page+1 }
	var out []int
	for p := 1; p <= last; p++ {
		if shown(p) || shown(p-1) && shown(p+1) { // a gap of one page is that page
			out = append(out, p)
		} else if out[len(out)-1] != 0 {
			out = append(out, 0)
		}
	}
	return out
}

// Exports are the links to the list's files: all that the filter leaves, as the
// console's sheets and the portal's answer to format=csv and format=xlsx. away
// names parameters that a file does not have, such as a log's place.
func (l List) Exports(ctx context.Context, away ...string) []Link {
	out := make([]Link, 0, 2)
	for _, format := range []string{"csv", "xlsx"} {
		pairs := []string{"format", format}
		for _, name := range away {
			pairs = append(pairs, name, "")
		}
		out = append(out, Link{Label: T(ctx, "ui.export_"+format), Href: l.With(pairs...)})
	}
	return out
}

// Sorted orders rows that stand in memory by the list's column. by holds a
// comparison a column, ascending; rows that it calls equal keep their order.
func Sorted[T any](l List, rows []T, by map[string]func(a, b T) int) []T {
	compare := by[l.Sort]
	if compare == nil {
		return rows
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		if l.Desc {
			return compare(b, a)
		}
		return compare(a, b)
	})
	return rows
}

// By makes a comparison of what rows have.
func By[T any, V cmp.Ordered](value func(T) V) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(value(a), value(b)) }
}

// PageOf cuts the list's page out of rows that stand in memory.
func PageOf[T any](l List, rows []T) []T {
	from := min(l.Offset(), len(rows))
	return rows[from:min(from+l.Per, len(rows))]
}
