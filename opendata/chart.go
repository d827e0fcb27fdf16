package opendata

import (
	"cmp"
	"context"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/warehouse"
)

// counts gives a category's values with their labels, most frequent first.
func (s *Service) counts(ctx context.Context, r *catalog.Resource, it *Item, table string, col warehouse.Column) ([]Count, error) {
	stats, err := s.deps.Open.rows.Stats(ctx, warehouse.StatsSpec{Resource: table, By: []string{col.Name}, Limit: fewValues + 1})
	if err != nil {
		return nil, err
	}
	var out []Count
	for n := range stats.Len() {
		v := stats.Row(n)
		if v[0].IsNull() {
			continue
		}
		c := Count{Value: strings.Clone(col.Format(v[0])), N: v[1].N}
		c.Label = label(r, it, c.Value)
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Count) int { return int(b.N - a.N) })
	return out, nil
}

func label(r *catalog.Resource, it *Item, value string) string {
	if it.Type == catalog.Logical {
		return map[string]string{"1": "是", "0": "否"}[value]
	}
	source := r.ItemByName(it.Name)
	if source == nil {
		return ""
	}
	for _, c := range source.Enum {
		if c.Value == value {
			return c.Label
		}
	}
	if source.CodeList != "" {
		for _, l := range catalog.CodeLists() {
			if l.Key == source.CodeList {
				if label, ok := l.Label(value); ok {
					return label
				}
			}
		}
	}
	return ""
}

// How far a chart goes: a line of days for a year and a half, of months for
// twenty years; beyond that it is drawn by the next larger period.
const (
	maxDays   = 550
	maxMonths = 240
)

// maxMeasures is how many lines a chart holds; alike is how many times larger the
// greatest value of one may be than another's, so that both can be read on one axis.
const (
	maxMeasures = 3
	alike       = 8
)

// suggest picks one chart. Where rows are observations (a date is part of the key)
// it draws their numbers over time; else rows over time where the data has a date
// that spreads; else rows by the category with the most values that still fits.
func (s *Service) suggest(ctx context.Context, table warehouse.Table, b *bundle) (*Chart, error) {
	for _, observed := range []bool{true, false} {
		for i := range b.items {
			if b.items[i].Key != observed || !timely(b, i, table.Columns[i]) {
				continue
			}
			var measured []int
			if observed {
				if measured = measures(b.items, table.Columns); measured == nil {
					continue
				}
			}
			c, err := s.overTime(ctx, table, b, i, measured)
			if c != nil || err != nil {
				return c, err
			}
		}
	}
	best := -1
	for i, it := range b.items {
		if n := len(it.Profile.Top); n >= 3 && (best < 0 || n > len(b.items[best].Profile.Top)) && n <= 16 {
			best = i
		}
	}
	if best < 0 {
		return nil, nil
	}
	c := &Chart{Item: b.items[best].Name, Kind: "bar"}
	for _, top := range b.items[best].Profile.Top {
		c.Points = append(c.Points, Point{Count: top})
	}
	return c, nil
}

var periodText = regexp.MustCompile(`^(19|20)\d\d-(0[1-9]|1[0-2])(-\d\d)?$`)

// timely reports whether a column says when: a date, or text such as 2026-05.
func timely(b *bundle, i int, col warehouse.Column) bool {
	switch {
	case b.items[i].Profile.Distinct < 3:
		return false
	case col.Type == warehouse.Date:
		return true
	case col.Type != warehouse.Text || len(b.preview) == 0:
		return false
	}
	for _, row := range b.preview {
		if row[i] != "" && !periodText.MatchString(row[i]) {
			return false
		}
	}
	return true
}

// measures picks the numeric items that stand for what is measured: the first one
// and those whose values are of its size. Keys, codes, coordinates and years are
// numbers that measure nothing.
func measures(items []Item, columns []warehouse.Column) []int {
	var out []int
	first := 0.0
	for i, it := range items {
		if t := columns[i].Type; t != warehouse.Integer && t != warehouse.Decimal && t != warehouse.Float {
			continue
		}
		if it.Key || it.CodeList != "" || it.Mask != "" || it.Profile.Distinct < 2 || axisOf(it) != "" || strings.HasSuffix(it.Name, "年度") || strings.HasSuffix(it.Name, "年份") {
			continue
		}
		lo, err1 := strconv.ParseFloat(it.Profile.Min, 64)
		hi, err2 := strconv.ParseFloat(it.Profile.Max, 64)
		size := max(math.Abs(lo), math.Abs(hi))
		if err1 != nil || err2 != nil || size == 0 {
			continue
		}
		if first == 0 {
			first = size
		}
		if ratio := size / first; ratio <= alike && ratio >= 1.0/alike && len(out) < maxMeasures {
			out = append(out, i)
		}
	}
	return out
}

// overTime counts rows, or averages the measured items, by day, month or year; nil
// where the data spreads over too few or too many of them.
func (s *Service) overTime(ctx context.Context, table warehouse.Table, b *bundle, at int, measured []int) (*Chart, error) {
	col := table.Columns[at]
	spec := warehouse.StatsSpec{Resource: table.Resource, By: []string{col.Name}, Limit: 100_000}
	c := &Chart{Item: b.items[at].Name, Kind: "line"}
	for _, i := range measured {
		c.Measures = append(c.Measures, b.items[i].Name)
		spec.Measures = append(spec.Measures, warehouse.Measure{Function: warehouse.CountOf, Column: table.Columns[i].Name},
			warehouse.Measure{Function: warehouse.AvgOf, Column: table.Columns[i].Name})
	}
	stats, err := s.deps.Open.rows.Stats(ctx, spec)
	if errs.Is(err, errs.TooLarge) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The finest period that is not too many points; rows are counted by month at
	// the finest, for by day most counts are noise.
	lengths := []int{len("2006-01-02"), len("2006-01"), len("2006")}
	if len(measured) == 0 {
		lengths = lengths[1:]
	}
	for _, length := range lengths {
		c.Points = byPeriod(stats, col, length, len(measured))
		n := len(c.Points)
		if n < 3 {
			return nil, nil
		}
		if length == 4 && n <= maxMonths || length == 7 && n <= maxMonths && (len(measured) > 0 || n <= 36) || length == 10 && n <= maxDays {
			return c, nil
		}
	}
	return nil, nil
}

// byPeriod adds up the groups of one column's values by the beginning of the value.
func byPeriod(stats *warehouse.Rows, col warehouse.Column, length, measured int) []Point {
	var points []Point
	counts, sums := make([]int64, measured), make([]float64, measured)
	flush := func() {
		for m := range measured {
			var mean *float64
			if counts[m] > 0 {
				rounded, _ := strconv.ParseFloat(strconv.FormatFloat(sums[m]/float64(counts[m]), 'g', 5, 64), 64)
				mean = &rounded
			}
			points[len(points)-1].Means = append(points[len(points)-1].Means, mean)
		}
		clear(counts)
		clear(sums)
	}
	for n := range stats.Len() {
		v := stats.Row(n)
		if v[0].IsNull() {
			continue
		}
		at := col.Format(v[0])
		at = at[:min(length, len(at))]
		if len(points) == 0 || points[len(points)-1].Value != at {
			if len(points) > 0 {
				flush()
			}
			points = append(points, Point{Count: Count{Value: strings.Clone(at)}})
		}
		points[len(points)-1].N += v[1].N
		for m := range measured {
			if mean := v[3+2*m]; !mean.IsNull() {
				counts[m] += v[2+2*m].N
				sums[m] += mean.Float() * float64(v[2+2*m].N)
			}
		}
	}
	if len(points) > 0 {
		flush()
	}
	return points
}

// maxPlaces is how many points a map shows: enough for the shape of a city, few
// enough for a page.
const maxPlaces = 500

// axisOf tells a column of longitudes ("x") or latitudes ("y") by its name.
func axisOf(it Item) string {
	switch strings.ToLower(it.Code) {
	case "longitude", "lon", "lng":
		return "x"
	case "latitude", "lat":
		return "y"
	}
	switch {
	case strings.Contains(it.Name, "经度"):
		return "x"
	case strings.Contains(it.Name, "纬度"):
		return "y"
	}
	return ""
}

// mapper gathers places while rows pass, spread evenly over the table.
type mapper struct {
	x, y, name int // positions of the columns, -1 where there is none
	step, seen int64
	out        Map
}

func newMapper(items []Item, total int64) *mapper {
	m := &mapper{x: -1, y: -1, name: -1, step: max(1, (total+maxPlaces-1)/maxPlaces)}
	for i, it := range items {
		switch axis := axisOf(it); {
		case it.Mask != "":
		case axis == "x" && m.x < 0:
			m.x, m.out.Longitude = i, it.Name
		case axis == "y" && m.y < 0:
			m.y, m.out.Latitude = i, it.Name
		case m.name < 0 && strings.Contains(it.Name, "名称"):
			m.name = i
		}
	}
	if at := slices.IndexFunc(items, func(it Item) bool { return it.Key }); m.name < 0 {
		m.name = at
	}
	if m.name >= 0 {
		m.out.Name = items[m.name].Name
	}
	return m
}

func (m *mapper) add(cells [][]byte) {
	m.seen++
	if m.x < 0 || m.y < 0 || (m.seen-1)%m.step != 0 {
		return
	}
	x, errX := strconv.ParseFloat(string(cells[m.x]), 64)
	y, errY := strconv.ParseFloat(string(cells[m.y]), 64)
	if cmp.Or(errX, errY) != nil || math.Abs(x) > 180 || math.Abs(y) > 90 || x == 0 && y == 0 {
		return // not a place on earth, or not filled in
	}
	p := Place{Longitude: x, Latitude: y}
	if m.name >= 0 {
		p.Name = string(cells[m.name])
	}
	m.out.Places = append(m.out.Places, p)
}

// drawn gives the map; nil where there is nothing to show.
func (m *mapper) drawn() *Map {
	if len(m.out.Places) < 2 {
		return nil
	}
	return &m.out
}
