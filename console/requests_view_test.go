package console

import (
	"context"
	"testing"

	"gongshu/catalog"
)

// Only what a grant would mask is offered for release, with the mask that it gets:
// the catalog's, else the default of its kind of personal data.
func TestUnmaskOptions(t *testing.T) {
	r := &catalog.Resource{Sharing: catalog.Conditional, Items: []catalog.Item{
		{Name: "统一社会信用代码", Personal: "uscc"}, // a personal kind without a mask of its own
		{Name: "姓名", Personal: "name"},
		{Name: "金额", Mask: "round:1000"},
		{Name: "地址", Personal: "address", Mask: "replace", Sharing: catalog.Withheld},
		{Name: "备注"},
	}}
	got := unmaskOptions(context.Background(), r)
	if len(got) != 2 || got[0].Value != "姓名" || got[0].Help != "保留首尾" || got[1].Value != "金额" || got[1].Help != "数值取整" {
		t.Errorf("%+v", got)
	}
}
