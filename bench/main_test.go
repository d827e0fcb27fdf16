package main

import (
	"strings"
	"testing"
	"time"
)

// TestSectionsMerge: a suite that runs again replaces its own section of the page and
// leaves the others, word for word; what no suite measures falls out.
func TestSectionsMerge(t *testing.T) {
	sections := sectionsOf(page(map[string]string{"audit": "old audit\n\n| a | b |", "intake": "intake", "gone": "no suite"}))
	if len(sections) != 2 || sections["audit"] != "old audit\n\n| a | b |" {
		t.Fatalf("taken apart: %q", sections)
	}
	sections["audit"] = section([]Row{{What: "append", Value: "1", Bar: "≥ 2"}, {What: "verify", Value: "3", Bar: "≥ 2", OK: true, Note: "n"}, {What: "copy", Bar: "≥ 2", Note: "n"}}, true, time.Second)
	text := page(sections)
	for _, want := range []string{"| append | 1 |  |  |  | ≥ 2 | short |", "| verify | 3 |  |  |  | ≥ 2 | reached |", "| copy |  |  |  |  | ≥ 2 | not measured |", "--quick", "\n## intake\n\nintake\n", "Not measured yet: gateway, peer,"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from %s", want, text)
		}
	}
	if strings.Contains(text, "old audit") || strings.Contains(text, "no suite") || strings.Contains(text, "*copy.*") || !strings.Contains(text, "*verify.* n") || strings.Index(text, "## audit") > strings.Index(text, "## intake") {
		t.Errorf("the page: %s", text)
	}
	if again := page(sectionsOf(text)); again != text {
		t.Errorf("the page is not stable:\n%s\n%s", text, again)
	}
}
