package intake_test

import (
	"context"
	"strings"
	"testing"

	"gongshu/catalog"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/warehouse"
	"gongshu/warehouse/warehousetest"
)

// TestMigrationNamesTheItem: what the rows do not fit is refused by the item's name,
// not by the warehouse's column, and says which rows.
func TestMigrationNamesTheItem(t *testing.T) {
	store := warehousetest.SQLite(t)
	tables := intake.Tables{Warehouse: store}
	old := &catalog.Resource{ID: "r1", Items: []catalog.Item{
		{Column: 1, Name: "证书编号", Type: catalog.Char, Length: 14, Key: true},
		{Column: 2, Name: "工种", Type: catalog.Char, Length: 20}}}
	ctx := context.Background()
	if err := tables.Migrate(ctx, nil, old); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(ctx, warehouse.LoadSpec{Resource: "r1", Batch: "b1", Mode: warehouse.Append, Source: warehousetest.Rows([]string{"1", "焊工"}, []string{"2", "12"})}); err != nil {
		t.Fatal(err)
	}
	next := &catalog.Resource{ID: "r1", Items: append([]catalog.Item{}, old.Items...)}
	next.Items[1].Type, next.Items[1].Length = catalog.Integer, 0
	for _, err := range []error{tables.Plan(ctx, old, next), tables.Migrate(ctx, old, next)} {
		e, ok := errs.As(err)
		if !ok || len(e.Problems) != 1 || e.Problems[0].Field != "工种" {
			t.Fatalf("%+v", err)
		}
		if p := e.Problems[0]; !strings.HasPrefix(p.Text.ZH, "“工种”：1 行") || !strings.HasPrefix(p.Text.EN, `"工种": 1 rows`) || strings.Contains(p.Text.EN, "c2") {
			t.Errorf("%+v", p)
		}
	}
}
