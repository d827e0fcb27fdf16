package portal

import (
	"context"
	"math"
	"strconv"
	"strings"

	"gongshu/ui"
)

// chart draws what the data says: means over time, or rows over time or by
// category.
func (v *datasetView) chart(ctx context.Context) ui.ChartInfo {
	c := v.Chart
	info := ui.ChartInfo{Columns: []string{c.Item}}
	names := c.Measures
	if len(names) == 0 {
		info.Title = ui.T(ctx, "dataset.chart_by", "Item", c.Item)
		names = []string{ui.T(ctx, "dataset.rows")}
	} else {
		info.Title = ui.T(ctx, "dataset.chart_mean", "Item", c.Item, "Measures", strings.Join(names, ui.T(ctx, "dataset.and")))
		info.Lead = ui.T(ctx, "dataset.chart_mean_lead")
	}
	info.Columns = append(info.Columns, names...)
	labels := make([]string, len(c.Points))
	values := make([][]any, len(names))
	for i, p := range c.Points {
		labels[i] = labelOf(p.Count)
		row := []string{labels[i]}
		for m := range names {
			switch {
			case len(c.Measures) == 0:
				values[m] = append(values[m], p.N)
				row = append(row, ui.Num(p.N))
			case p.Means[m] == nil:
				values[m] = append(values[m], nil)
				row = append(row, "—")
			default:
				values[m] = append(values[m], *p.Means[m])
				row = append(row, grouped(strconv.FormatFloat(*p.Means[m], 'f', -1, 64)))
			}
		}
		info.Rows = append(info.Rows, row)
	}
	category := map[string]any{"type": "category", "data": labels}
	value := map[string]any{"type": "value", "scale": len(c.Measures) > 0}
	option := map[string]any{"tooltip": map[string]any{"trigger": "axis"}, "xAxis": category, "yAxis": value}
	var series []any
	for m, name := range names {
		one := map[string]any{"type": c.Kind, "data": values[m], "name": name}
		if len(labels) > 60 {
			one["showSymbol"] = false
		}
		series = append(series, one)
	}
	option["series"] = series
	if len(names) > 1 {
		option["legend"] = map[string]any{"top": 0}
	}
	if c.Kind == "bar" && len(labels) > 6 {
		category["inverse"] = true
		option["xAxis"], option["yAxis"] = value, category
		info.Tall = len(labels) > 10
	}
	info.Option = option
	return info
}

// where draws the places of the data by their coordinates. It is a plot and no
// map: no boundary is drawn, for a map shown to the public needs an approval of
// its own. charts.js gives both axes one scale at the latitude of the places.
func (v *datasetView) where(ctx context.Context) ui.ChartInfo {
	m := v.Map
	info := ui.ChartInfo{Tall: true, Title: ui.T(ctx, "dataset.map_title", "X", m.Longitude, "Y", m.Latitude),
		Columns: []string{orWords(m.Name, ui.T(ctx, "dataset.row")), m.Longitude, m.Latitude}}
	if int64(len(m.Places)) < v.Rows {
		info.Lead = ui.T(ctx, "dataset.map_some", "N", ui.Num(int64(len(m.Places))), "Rows", ui.Num(v.Rows))
	}
	west, east, south, north := 180.0, -180.0, 90.0, -90.0
	points := make([]any, len(m.Places))
	for i, p := range m.Places {
		west, east = math.Min(west, p.Longitude), math.Max(east, p.Longitude)
		south, north = math.Min(south, p.Latitude), math.Max(north, p.Latitude)
		points[i] = map[string]any{"name": p.Name, "value": []float64{p.Longitude, p.Latitude}}
		info.Rows = append(info.Rows, []string{orWords(p.Name, strconv.Itoa(i+1)), degrees(p.Longitude), degrees(p.Latitude)})
	}
	axis := func(name string) map[string]any {
		return map[string]any{"type": "value", "name": name, "nameLocation": "middle", "nameGap": 30, "axisLabel": map[string]any{"formatter": "{value}°", "hideOverlap": true}}
	}
	info.Option = map[string]any{
		"plane":   map[string]any{"west": west, "east": east, "south": south, "north": north},
		"xAxis":   axis(m.Longitude),
		"yAxis":   axis(m.Latitude),
		"tooltip": map[string]any{"trigger": "item", "formatter": "{b}\n{c}"},
		"series":  []any{map[string]any{"type": "scatter", "symbolSize": 6, "itemStyle": map[string]any{"opacity": 0.65}, "data": points}},
	}
	return info
}

// degrees writes a coordinate to about a metre.
func degrees(f float64) string { return strconv.FormatFloat(f, 'f', 5, 64) }

func orWords(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
