package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/ui"
)

// listed answers a list of n rows as its file.
func listed(t *testing.T, format string, n, part, fail int) *httptest.ResponseRecorder {
	t.Helper()
	c := &Console{Deps: Deps{Log: slog.New(slog.DiscardHandler)}}
	r := httptest.NewRequest("GET", "/console/x?format="+format, nil)
	ctx := web.WithLang(context.Background(), web.Chinese)
	w := httptest.NewRecorder()
	c.sendSheet(w, r.WithContext(ctx), sheet{name: "名单", columns: sheetColumns(ctx, "people.name", "#intake.accepted"), rows: func(offset int) ([][]string, error) {
		if fail >= 0 && offset >= fail {
			return nil, errs.New(errs.Invalid, errs.T("坏了", "broken"))
		}
		var rows [][]string
		for i := offset; i < min(n, offset+part); i++ {
			rows = append(rows, []string{"=1+" + strconv.Itoa(i), strconv.Itoa(i)})
		}
		return rows, nil
	}})
	return w
}

func TestSheetOfAList(t *testing.T) {
	w := listed(t, "csv", 450, 200, -1)
	body := w.Body.Bytes()
	if !bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) || !strings.Contains(w.Header().Get("Content-Disposition"), "%E5%90%8D%E5%8D%95.csv") {
		t.Errorf("head %q, %v", body[:min(10, len(body))], w.Header())
	}
	rows, err := csv.NewReader(bytes.NewReader(body[3:])).ReadAll()
	if err != nil || len(rows) != 451 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	// Nothing that a spreadsheet would run, every page in its place.
	if rows[0][0] != "姓名" || rows[450][0] != "'=1+449" || rows[450][1] != "449" {
		t.Errorf("%q … %q", rows[0], rows[450])
	}
	f, err := excelize.OpenReader(listed(t, "xlsx", 450, 200, -1).Body)
	if err != nil {
		t.Fatal(err)
	}
	if cell, _ := f.GetCellValue("Sheet1", "A451"); cell != "=1+449" {
		t.Errorf("the last name is %q", cell)
	}
	if formula, _ := f.GetCellFormula("Sheet1", "A451"); formula != "" {
		t.Errorf("a cell became the formula %q", formula)
	}
	if n := strings.Count(listed(t, "csv", sheetRows+700, 999, -1).Body.String(), "\r\n"); n != sheetRows+1 {
		t.Errorf("%d lines: a file holds %d rows and its head", n, sheetRows)
	}
	if w := listed(t, "pdf", 3, 3, -1); w.Code != 415 && w.Code != 400 {
		t.Errorf("an unknown format answers %d", w.Code)
	}
	if w := listed(t, "csv", 10, 5, 0); w.Code < 400 || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("an error before the first row answers %d as a file %q", w.Code, w.Header().Get("Content-Disposition"))
	}
	defer func() {
		if recover() == nil {
			t.Error("a file that broke off half way ended as if it were whole")
		}
	}()
	listed(t, "csv", 10, 5, 5)
}

// TestActionsHaveWords: the log and the rights speak of actions in words.
func TestActionsHaveWords(t *testing.T) {
	set, err := operation.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range set.Actions() {
		if !ui.HasWords("action." + string(a)) {
			t.Errorf("%s has no words: ui/words/{zh,en}/action.yaml", a)
		}
	}
}
