package intake

import (
	"context"
	"strconv"
	"strings"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/warehouse"
)

// Tables is the warehouse as the catalog sees it: a version's table is made, or
// changed, when the version is published.
type Tables struct{ Warehouse *warehouse.Store }

// Plan says whether the rows can follow from old to next; old is nil for a
// resource that has no table yet. The error names the item and the reason.
func (t Tables) Plan(ctx context.Context, old, next *catalog.Resource) error {
	if old == nil {
		return nil
	}
	return inItems(next, t.Warehouse.CheckMigration(ctx, tableOf(next)))
}

// Migrate makes the table of next, or changes the one that old has.
func (t Tables) Migrate(ctx context.Context, old, next *catalog.Resource) error {
	if old == nil {
		return t.Warehouse.EnsureTable(ctx, tableOf(next))
	}
	return inItems(next, t.Warehouse.Migrate(ctx, tableOf(next)))
}

// inItems names a refusal's items where the warehouse, which knows no others, names
// its columns.
func inItems(r *catalog.Resource, err error) error {
	e, ok := errs.As(err)
	if !ok {
		return err
	}
	for i := range e.Problems {
		p := &e.Problems[i]
		for _, item := range r.Items {
			if column := "c" + strconv.Itoa(item.Column); p.Field == column {
				p.Field = item.Name
				p.Text = errs.T(strings.Replace(p.Text.ZH, column, "“"+item.Name+"”", 1), strings.Replace(p.Text.EN, column, strconv.Quote(item.Name), 1))
				break
			}
		}
	}
	return err
}

func tableOf(r *catalog.Resource) warehouse.Table {
	table := warehouse.Table{Resource: r.ID}
	for _, c := range catalog.ColumnsFor(r) {
		table.Columns = append(table.Columns, warehouse.Column{
			Name: c.Name, Type: warehouse.TypeOf(string(c.Type), c.Scale), Scale: c.Scale, Length: c.Length,
		})
		if c.Key {
			table.Key = append(table.Key, c.Name)
		}
	}
	return table
}
