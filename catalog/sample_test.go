package catalog_test

import (
	"testing"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/privacy"
)

func TestSampleMask(t *testing.T) {
	clause.Covers(t, "FS-5.4", "LY-21")
	keys, err := privacy.NewSoftKeys([]byte("a master secret of the tests"), false)
	if err != nil {
		t.Fatal(err)
	}
	r := catalogtest.Residents()
	r.ID = "r1"
	r.Items[6].Personal = "address" // personal, and no mask of its own
	mask, err := catalog.SampleMask(&r, keys)
	if err != nil {
		t.Fatal(err)
	}
	raw := []string{"350102199001010016", "王小明", "1", "01", "1990-01-01", "鼓楼区某路1号", "350102", ""}
	row := append([]string(nil), raw...)
	mask(row)
	for i, want := range map[int]string{2: "1", 3: "01", 6: "＊＊＊", 7: ""} {
		if row[i] != want {
			t.Errorf("%s: %q, want %q", r.Items[i].Name, row[i], want)
		}
	}
	for _, i := range []int{0, 1, 4, 5} {
		if row[i] == raw[i] || row[i] == "" || row[i] == "＊＊＊" {
			t.Errorf("%s is not shown by its own mask %s: %q", r.Items[i].Name, r.Items[i].Mask, row[i])
		}
	}
	if !privacy.ResidentID(row[0]).OK() {
		t.Errorf("a pseudonym keeps its check digit: %q", row[0])
	}
	r.ID = "r2"
	other, err := catalog.SampleMask(&r, keys)
	if err != nil {
		t.Fatal(err)
	}
	again := append([]string(nil), raw...)
	other(again)
	if again[0] == row[0] {
		t.Error("samples of two resources join by their pseudonyms")
	}
	r.Items[0].Mask = "no such mask"
	if _, err := catalog.SampleMask(&r, keys); err == nil {
		t.Error("an unknown mask passed")
	}
}
