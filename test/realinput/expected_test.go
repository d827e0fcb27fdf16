package realinput

import (
	"gongshu/catalog"
	"gongshu/intake"
	"gongshu/internal/errs"
)

type fix = map[string]func(it *catalog.Item)

func typed(t catalog.ItemType, scale int) func(it *catalog.Item) {
	return func(it *catalog.Item) { it.Type, it.Scale, it.Length = t, scale, 0 }
}

func records(key string) func(up *intake.Upload) {
	return func(up *intake.Upload) { up.Layout.Records = key }
}

func sheet(name string) func(up *intake.Upload) {
	return func(up *intake.Upload) { up.Layout.Sheet = name }
}

func months() fix {
	out := fix{}
	for _, m := range []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "J-D", "D-N", "DJF", "MAM", "JJA", "SON"} {
		out[m] = typed(catalog.Integer, 0)
	}
	return out
}

func holidays(year string, days int64, spot ...string) input {
	return input{file: "holidays/holiday-cn_" + year + ".json", expect: expect{accepted: days}, spot: spot}
}

func refused(file, words string, kind errs.Kind) input {
	return input{file: file, expect: expect{refused: words, kind: kind}}
}

const (
	notRecords = "the file is one object, not an array of records"
	several    = "the file holds several arrays of records"
	spatial    = "(spatial data) and cannot be taken in as a table"
)

// inputs are the files and what must come of each.
var inputs = []input{
	{file: "admin_divisions/china-division_provinces.csv", expect: expect{accepted: 31}, spot: []string{"35|福建省"}},
	{file: "admin_divisions/china-division_cities.csv", expect: expect{accepted: 342}, spot: []string{"3501|福州市|35"}},
	{file: "admin_divisions/china-division_areas.csv", expect: expect{accepted: 2978}, spot: []string{"350102|鼓楼区|3501|35"}},
	{file: "admin_divisions/china-division_streets.csv", expect: expect{accepted: 41352}, spot: []string{"110101001|东华门街道|110101|11|1101"}},
	{file: "admin_divisions/china-division_villages.csv.gz", expect: expect{accepted: 620573}, spot: []string{"110101001001|多福巷社区居委会|110101001|11|1101|110101"}},
	{file: "admin_divisions/canghailan_ChinaAreaCode.csv", expect: expect{accepted: 3212}, spot: []string{"110000|北京市"}},
	refused("admin_divisions/china-division_pca-code.json", `field "children" of record 1 is nested`, errs.Unsupported),
	refused("admin_divisions/china-division_HK-MO-TW.json", notRecords, errs.Invalid),
	{file: "admin_divisions/stdnum_gbt2260_history_loc.dat", foreign: true, expect: expect{refused: "do not match the catalog", kind: errs.Invalid}},

	holidays("2013", 41), holidays("2014", 27), holidays("2015", 31), holidays("2016", 30), holidays("2017", 29), holidays("2018", 29), holidays("2019", 31),
	holidays("2020", 37), holidays("2021", 38), holidays("2022", 38), holidays("2023", 34), holidays("2024", 36), holidays("2025", 33), holidays("2026", 39, "元旦|2026-01-01|1"),
	refused("holidays/holiday-cn_2027.json", notRecords, errs.Invalid), // its array of days is empty
	refused("holidays/holiday-cn_schema.json", notRecords, errs.Invalid),

	{file: "organisations/stdnum_uscc_codes.csv", expect: expect{accepted: 150}, items: fix{"uscc": func(it *catalog.Item) { it.Personal = "uscc" }}},
	refused("education/china_mainland_universities.json", notRecords, errs.Invalid),

	{file: "environment/SpTe2M_pm25_daily_cities_2014.csv.gz", expect: expect{accepted: 66795}, items: fix{"Year": typed(catalog.Integer, 0)},
		spot: []string{"2014|0.0027397260273972603|122.95|41.12|Anshan|32.9"}},

	{file: "public_health/canghailan_2020-02-29.json", expect: expect{accepted: 570}, spot: []string{"2020-02-29|阿联酋|AE|||||21|0|5|0"}},

	refused("transport/beijing_subway_metadata.json5", "line 2 is not valid JSON: keys must stand in double quotes", errs.Invalid),
	refused("transport/beijing_subway_fare_rules.json5", "line 1 is not valid JSON", errs.Invalid),
	refused("transport/beijing_subway_line2.json5", "line 1 is not valid JSON", errs.Invalid),
	refused("transport/beijing_subway_line13.json5", "line 1 is not valid JSON", errs.Invalid),
	refused("transport/beijing_subway_maps_official.json5", "line 2 is not valid JSON: keys must stand in double quotes", errs.Invalid),
	{file: "transport/ourairports_regions.csv", expect: expect{accepted: 3987}},
	// The country code NA (Namibia) is a code; decimals differ, so degrees are doubles.
	{file: "transport/ourairports_navaids.csv", expect: expect{accepted: 11008},
		items: fix{"iso_country": func(it *catalog.Item) { it.Required = true }, "dme_latitude_deg": typed(catalog.Double, 0), "dme_longitude_deg": typed(catalog.Double, 0), "magnetic_variation_deg": typed(catalog.Double, 0), "slaved_variation_deg": typed(catalog.Double, 0)}},
	{file: "transport/datapusherplus_bus-stops.csv", expect: expect{accepted: 1775}},

	{file: "finance/datapusherplus_newcastle_invoices_2011-10.csv", expect: expect{accepted: 209},
		spot: []string{"Adult and Culture|Ad Serv-Welfare Rights-|Supplies & Services|2011-10-24|ALBANY OFFICE FURNITURE SOLUTIONS|5277184|Revenue|1MR48|WELFARE RIGHTS WORKERS       M|828.00"}},
	// The day is in English words, which name the month: proposed as a date, and read as one; as text it stays as it is.
	{file: "finance/datapusherplus_newcastle_invoices_2011-10.csv", items: fix{"Payment Date": func(it *catalog.Item) { it.Type, it.Length = catalog.Char, 40 }}, expect: expect{accepted: 209},
		spot: []string{"Adult and Culture|Ad Serv-Welfare Rights-|Supplies & Services|24 October 2011|ALBANY OFFICE FURNITURE SOLUTIONS|5277184|Revenue|1MR48|WELFARE RIGHTS WORKERS       M|828.00"}},

	refused("geo/echarts4_fujian.json", spatial, errs.Unsupported),
	refused("geo/echarts4_guangdong.json", spatial, errs.Unsupported),
	refused("geo/echarts4_china.json", spatial, errs.Unsupported),
	refused("geo/cn-atlas_provinces.geojson", spatial, errs.Unsupported),
	refused("geo/china_country_shp.zip", spatial, errs.Unsupported),

	refused("catalogs/datosgobar_data_json_2017-08-13.json", several, errs.Invalid),
	{file: "catalogs/datosgobar_data_json_2017-08-13.json", change: records("themeTaxonomy"), expect: expect{accepted: 13}},
	{file: "catalogs/datosgobar_data_json_2017-08-13.json", change: records("dataset"), expect: expect{refused: "is nested", kind: errs.Unsupported}},
	refused("catalogs/datosgobar_data_json_2018-04-18.json.gz", several, errs.Invalid),
	{file: "catalogs/datosgobar_data_json_2018-04-18.json.gz", change: records("dataset"), expect: expect{refused: "is nested", kind: errs.Unsupported}},
	refused("catalogs/datosgobar_data_json_2018-07-06.json.gz", several, errs.Invalid),
	{file: "catalogs/datosgobar_data_json_2018-07-06.json.gz", change: records("dataset"), expect: expect{refused: "is nested", kind: errs.Unsupported}},
	{file: "catalogs/datosjusticia_catalog.xlsx", change: sheet("Catalog"), expect: expect{accepted: 1}},
	{file: "catalogs/datosjusticia_catalog.xlsx", change: sheet("Dataset"), expect: expect{accepted: 16}},
	{file: "catalogs/datosjusticia_catalog.xlsx", change: sheet("Distribution"), expect: expect{accepted: 56}},
	{file: "catalogs/hdx_package_search_10.yaml", foreign: true, expect: expect{refused: "do not match the catalog", kind: errs.Invalid}},
	refused("catalogs/hdx_unesco_dataset.json", several, errs.Invalid),

	{file: "messy/messytables_begrotingsanalyse-2011.csv", expect: expect{accepted: 36}},
	{file: "messy/messytables_mixedGLB.csv", expect: expect{accepted: 133}},
	// With every month declared a whole number, **** and the years still running come back.
	{file: "messy/messytables_mixedGLB.csv", items: months(), expect: expect{accepted: 131, rejected: 2, reasons: map[string]int64{"type": 13}}},
	{file: "messy/messytables_utf-16le_encoded.csv", expect: expect{accepted: 327}},
	{file: "messy/messytables_spanish_chars.csv", expect: expect{accepted: 115}},
	{file: "messy/messytables_excel_pasting.csv", expect: expect{accepted: 16}},
	{file: "messy/frictionless_issue-647_irve.csv.txt", expect: expect{accepted: 882}},
	{file: "messy/frictionless_table-with-accents.csv", expect: expect{accepted: 638},
		items: fix{"Occupancy rate": typed(catalog.Numeric, 9), "Average Price": typed(catalog.Numeric, 9), "RevPAR": typed(catalog.Numeric, 9)},
		spot:  []string{"3 stars|All|01-01-13|2013|0.611553068|81.204161290|49.660653930|Mkg"}},
	{file: "messy/tabulator_issue320_ipc.xlsx", expect: expect{accepted: 48}},
	// With the area required, the national totals and the notes below the table come back.
	{file: "messy/tabulator_issue320_ipc.xlsx", items: fix{"Area": func(it *catalog.Item) { it.Required = true }}, expect: expect{accepted: 45, rejected: 3, reasons: map[string]int64{"required": 3}}},
}

// dailyRows are the rows of the 29 daily files together.
const dailyRows = 15339
