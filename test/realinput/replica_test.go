package realinput

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gongshu/catalog"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/tabular"
)

// Replicas of the quirks of real files, made for this test: they run always.
func TestReplicas(t *testing.T) {
	plain := []catalog.Item{{Name: "编码", Code: "code", Type: "C", Length: 10, Key: true}, {Name: "名称", Code: "name", Type: "C", Length: 50, Required: true}, {Name: "数量", Code: "n", Type: "I"}}
	stacked := []catalog.Item{plain[0], {Name: "单位/名称", Code: "name", Type: "C", Length: 50, Required: true}, {Name: "单位/类别", Code: "kind", Type: "C", Length: 10}, plain[2]}
	named := func(code, name, n string, t catalog.ItemType, scale int) []catalog.Item {
		return []catalog.Item{{Name: code, Code: "code", Type: "C", Length: 10, Key: true}, {Name: name, Code: "name", Type: "C", Length: 50, Required: true}, {Name: n, Code: "n", Type: t, Scale: scale}}
	}
	three := []string{"0591|鼓楼区东街街道办事处|12", "NA|台江区建设大道一百号|7", "001|晋安区人民政府办公室|"}
	for file, c := range map[string]struct {
		items    []catalog.Item
		rows     []string
		rejected map[string]int64
		refused  string
		encoding tabular.Encoding
	}{
		"utf8.csv":                 {items: plain, rows: three, encoding: tabular.UTF8},
		"bom-crlf.csv":             {items: plain, rows: three, encoding: tabular.UTF8},
		"utf16le.csv":              {items: plain, rows: three, encoding: tabular.UTF16LE},
		"gb18030.csv":              {items: plain, rows: three, encoding: tabular.GB18030},
		"big5.csv":                 {items: named("編碼", "名稱", "數量", "I", 0), rows: []string{"0591|臺北市信義區市府路|12", "NA|高雄市三民區公所|7"}, encoding: tabular.Big5},
		"cr-only.csv":              {items: plain, rows: []string{"0591|甲|12"}, rejected: map[string]int64{"type": 1}},
		"cp1252-decimal-comma.csv": {items: named("Code", "Nom", "Quantité", "N", 2), rows: []string{"0591|Liège – Büttgenbach|1234.50", "NA|Année|0.50"}, encoding: tabular.CP1252},
		"preamble.csv":             {items: plain, rows: []string{"0591|甲|1234", "NA|乙|7"}, rejected: map[string]int64{"required": 1}},
		"stacked.csv":              {items: stacked, rows: []string{"0591|甲|一|12", "NA|乙|二|7"}},
		"merged.xlsx":              {items: stacked, rows: []string{"0591|甲|一|12", "NA|乙|二|7"}, rejected: map[string]int64{"required": 1}},
		"ragged.csv":               {items: plain, rows: []string{"0591|甲|12", "004|戊|5"}, rejected: map[string]int64{"unreadable": 4}},
		"array.json":               {items: plain, rows: []string{"0591|甲|12"}, rejected: map[string]int64{"type": 1}},
		"lines.ndjson":             {items: plain, rows: []string{"0591|甲|12", "001|丙|"}, rejected: map[string]int64{"unreadable": 1, "required": 1, "length": 1}},
		"nested.json":              {items: plain, refused: "is nested"},
		"object.json":              {items: plain, refused: "one object"},
		"comments.json5":           {items: plain, refused: "line 1"},
		"like-geojson.json":        {items: plain, refused: "spatial"},
	} {
		t.Run(file, func(t *testing.T) {
			w := world(t)
			r := w.Table("仿制样例", append([]catalog.Item(nil), c.items...)...)
			b, err := send(t, w, r, tabular.Path(filepath.Join("testdata", file)), nil)
			if c.refused != "" {
				if e, ok := errs.As(err); !ok || !strings.Contains(e.Text.EN, c.refused) {
					t.Errorf("got %v, want a refusal that says %q", err, c.refused)
				}
				return
			}
			if err != nil || b.State != intake.Done {
				t.Fatal(b, err)
			}
			if diff := cmp.Diff(c.rows, w.Rows(r)); diff != "" {
				t.Error(diff)
			}
			if c.encoding != "" && b.Layout.Encoding != c.encoding {
				t.Errorf("read as %s", b.Layout.Encoding)
			}
			got := map[string]int64{}
			tallies, err := w.Intake.Tallies(t.Context(), b.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tallies {
				got[x.Code] += x.Count
			}
			if len(c.rejected)+len(got) > 0 {
				if diff := cmp.Diff(c.rejected, got); diff != "" {
					t.Error(diff)
				}
			}
			if b.Accepted != int64(len(c.rows)) || b.Accepted+b.Rejected != b.Total {
				t.Errorf("%+v", b.Receipt())
			}
		})
	}
}
