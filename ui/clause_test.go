package ui

import (
	"bytes"
	"strings"
	"testing"
)

func TestClausesSpeakOfThePagesCity(t *testing.T) {
	for city, want := range map[string]string{
		"fuzhou": "/c/FZM-29", "longyan": "/c/LY-21", "foshan": "/c/FS-29", "quanzhou": "/c/QZ-3.1.8", "": "/c/FZM-29",
	} {
		var page bytes.Buffer
		ctx := WithFrame(t.Context(), &Frame{Rules: city, ClauseBase: "/c/"})
		if err := Clauses("FZM-29").Render(ctx, &page); err != nil {
			t.Fatal(err)
		}
		if got := page.String(); strings.Count(got, "href") != 1 || !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("%s: %s, want %s", city, got, want)
		}
	}
}
