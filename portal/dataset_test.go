package portal

import (
	"testing"

	"gongshu/catalog"
	"gongshu/opendata"
)

// A preview says yes and no as the column's profile does, and shows all else as it is.
func TestPreviewWords(t *testing.T) {
	profile := opendata.Profile{Top: []opendata.Count{{Value: "1", Label: "是", N: 9}, {Value: "0", Label: "否", N: 3}}}
	open, kind := opendata.Item{Profile: profile}, opendata.Item{Profile: profile}
	open.Type, kind.Type = catalog.Logical, catalog.Char
	v := &datasetView{Dataset: &opendata.Dataset{Items: []opendata.Item{open, kind}}}
	for i, want := range [][]string{{"1", "是"}, {"0", "否"}, {"", ""}} {
		if got := shown(v.Items[0], want[0]); got != want[1] {
			t.Errorf("%d: %q, not %q", i, got, want[1])
		}
		if got := shown(v.Items[1], want[0]); got != want[0] {
			t.Errorf("%d: a code shown as %q", i, got)
		}
	}
}
