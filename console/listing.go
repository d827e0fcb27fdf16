package console

import (
	"context"
	"net/http"
	"strings"

	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/tabular"
	"gongshu/ui"
)

// sheetRows bounds what one file of a list holds; whoever needs more narrows the
// filter.
const sheetRows = 50_000

// sheet is a list as a file that spreadsheets open: all that the filter leaves,
// in the list's order.
type sheet struct {
	name    string // of the file, without its ending
	columns []tabular.Column
	// rows gives the rows from offset on, as many as it likes; none ends the list.
	rows func(offset int) ([][]string, error)
}

// wantsSheet says that an address asks for the list's file and not for its page.
func wantsSheet(r *http.Request) bool { return r.URL.Query().Get("format") != "" }

// sheetColumns makes the columns of a sheet from the words of their headings; a
// column of numbers has "#" before its key.
func sheetColumns(ctx context.Context, keys ...string) []tabular.Column {
	out := make([]tabular.Column, len(keys))
	for i, key := range keys {
		word, number := strings.CutPrefix(key, "#")
		out[i] = tabular.Column{Name: ui.T(ctx, word), Type: 'C'}
		if number {
			out[i].Type = 'I'
		}
	}
	return out
}

// rowsOf makes a sheet's rows of a list that stands in memory.
func rowsOf[T any](list []T, row func(T) []string) func(int) ([][]string, error) {
	return func(offset int) ([][]string, error) {
		part := list[min(offset, len(list)):]
		out := make([][]string, len(part))
		for i, one := range part {
			out[i] = row(one)
		}
		return out, nil
	}
}

// sendSheet answers with a list's file as CSV or XLSX, writing while it reads. An
// error before the first row becomes a page; a later one breaks the answer off,
// because a cut file must not look whole.
func (c *Console) sendSheet(w http.ResponseWriter, r *http.Request, s sheet) {
	format := tabular.Format(r.URL.Query().Get("format"))
	if format != tabular.CSV && format != tabular.XLSX {
		web.Fail(w, r, errs.Newf(errs.Unsupported, "不支持导出为 %s", "cannot export as %s", string(format)).In("format"))
		return
	}
	rows, err := s.rows(0)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	download(w, s.name+"."+string(format), format.ContentType())
	if err := writeSheet(w, format, s, rows); err != nil {
		c.Log.Error("export of a list broke off", "id", web.ID(r.Context()), "err", err)
		panic(http.ErrAbortHandler)
	}
}

func writeSheet(w http.ResponseWriter, format tabular.Format, s sheet, rows [][]string) error {
	var out tabular.Writer
	var err error
	if format == tabular.CSV {
		// People open it in a spreadsheet, which must not run a cell as a formula.
		out, err = tabular.NewCSVWriter(w, s.columns, tabular.CSVOptions{BOM: true, Guard: true})
	} else {
		out, err = tabular.NewWriter(w, format, s.columns)
	}
	for n := 0; err == nil && len(rows) > 0 && n < sheetRows; rows, err = s.rows(n) {
		block := tabular.NewBlock()
		for _, row := range rows[:min(len(rows), sheetRows-n)] {
			for _, cell := range row {
				block.AddString(cell)
			}
			n++
			block.EndRow(int64(n))
		}
		if err := out.Write(block); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return out.Close()
}
