package opendata_test

import (
	"fmt"
	"slices"
	"testing"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/opendata"
	"gongshu/opendata/opendatatest"
)

// stations is what monitoring stations report each day, with their coordinates.
func stations() catalog.Resource {
	r := catalogtest.Licences()
	r.Name, r.Summary, r.Tags = "空气质量日报", "各监测点每日空气质量。", nil
	r.Items = []catalog.Item{
		{Name: "监测日期", Code: "date", Type: catalog.Date, Key: true, Grade: 1},
		{Name: "监测点编号", Code: "station", Type: catalog.Char, Length: 6, Key: true, Grade: 1},
		{Name: "监测点名称", Code: "name", Type: catalog.Char, Length: 40, Grade: 1},
		{Name: "空气质量指数", Code: "aqi", Type: catalog.Integer, Grade: 1},
		{Name: "PM2.5", Code: "pm25", Type: catalog.Numeric, Length: 6, Scale: 1, Grade: 1},
		{Name: "监测次数", Code: "readings", Type: catalog.Integer, Grade: 1},
		{Name: "经度", Code: "longitude", Type: catalog.Double, Grade: 1},
		{Name: "纬度", Code: "latitude", Type: catalog.Double, Grade: 1},
	}
	return r
}

// TestCharts: observations are drawn as what they measure over time, not as how
// many rows there are; what is of another size, and coordinates, are no lines. Places
// are shown where the data says they are, at most 500 of them.
func TestCharts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := opendatatest.Open(t, d)
		var rows [][]string
		for day := range 200 {
			for s := range 4 {
				date := fmt.Sprintf("2025-%02d-%02d", 1+day/28, 1+day%28)
				pm := fmt.Sprintf("%d.5", 20+s)
				if day == 3 {
					pm = "" // no value that day
				}
				lat := "26.1"
				if s == 3 && day == 0 {
					lat = "0" // not filled in, as departments do it
				}
				rows = append(rows, []string{date, fmt.Sprintf("35010%d", s+1), fmt.Sprintf("第%d监测点", s+1), fmt.Sprint(40 + s*10 + day%5), pm, fmt.Sprint(90000 + day), fmt.Sprintf("119.%d", 30+s), lat})
			}
		}
		_, ds := published(t, w, stations(), rows)
		c := ds.Chart
		if c == nil || c.Kind != "line" || c.Item != "监测日期" || !slices.Equal(c.Measures, []string{"空气质量指数", "PM2.5"}) || len(c.Points) != 200 {
			t.Fatalf("chart %+v", c)
		}
		first, empty := c.Points[0], c.Points[3]
		if first.Value != "2025-01-01" || first.N != 4 || *first.Means[0] != 55 || *first.Means[1] != 22 {
			t.Errorf("first point %s: %d rows, %v %v", first.Value, first.N, *first.Means[0], *first.Means[1])
		}
		if empty.Means[1] != nil || *empty.Means[0] != 58 {
			t.Errorf("a day without a value: %+v", empty)
		}
		m := ds.Map
		if m == nil || m.Longitude != "经度" || m.Latitude != "纬度" || m.Name != "监测点名称" || len(m.Places) < 300 || len(m.Places) > 500 {
			t.Fatalf("map %+v", m)
		}
		if p := m.Places[0]; p.Longitude != 119.30 || p.Latitude != 26.1 || p.Name != "第1监测点" {
			t.Errorf("first place %+v", p)
		}
		if share := ds.Completeness(); share < 0.99 || share >= 1 {
			t.Errorf("completeness %v", share)
		}
		// Nothing of it is left when the dataset is withdrawn.
		_, err := w.Service.Withdraw(t.Context(), leader, ds.Code, "数据有误")
		must(t, err)
		gone, err := w.Open.BySlug(t.Context(), ds.Slug)
		must(t, err)
		if gone.Map != nil || gone.Chart != nil {
			t.Errorf("a withdrawn dataset still shows %+v %+v", gone.Map, gone.Chart)
		}
	})
}

// TestChartsByMonth: months written as text are time too.
func TestChartsByMonth(t *testing.T) {
	w := opendatatest.Open(t, dbtest.SQLite(t))
	in := stations()
	in.Name = "重点商品价格监测"
	in.Items = []catalog.Item{
		{Name: "监测月份", Code: "month", Type: catalog.Char, Length: 7, Key: true, Grade: 1},
		{Name: "区划代码", Code: "division", Type: catalog.Char, Length: 6, CodeList: "GB/T 2260", Key: true, Grade: 1},
		{Name: "大米（元/斤）", Code: "rice", Type: catalog.Money, Length: 6, Scale: 2, Grade: 1},
	}
	var rows [][]string
	for m := range 12 {
		for i, district := range []string{"350102", "350103"} {
			rows = append(rows, []string{fmt.Sprintf("2025-%02d", m+1), district, fmt.Sprintf("%d.50", 2+i+m)})
		}
	}
	_, ds := published(t, w, in, rows)
	if c := ds.Chart; c == nil || c.Item != "监测月份" || len(c.Points) != 12 || !slices.Equal(c.Measures, []string{"大米（元/斤）"}) || *c.Points[11].Means[0] != 14 {
		t.Errorf("chart %+v", c)
	}
	if ds.Map != nil {
		t.Errorf("a map of nothing: %+v", ds.Map)
	}
	if top := ds.Items[1].Profile.Top; len(top) != 2 || top[0].Label == "" {
		t.Errorf("districts without names: %+v", top)
	}
	if ds.Kind != opendata.Data || ds.Licence.Clauses[0] != "FZM-22" {
		t.Errorf("licence %+v", ds.Licence)
	}
}
