package api

import (
	"context"
	"strings"

	"gongshu/ui"
)

// tagTitle is the heading of a group of operations: its words, or the tag itself
// where an area has named none.
func tagTitle(ctx context.Context, tag string) string {
	if key := "usage.tag_" + tag; ui.HasWords(key) {
		return ui.T(ctx, key)
	}
	return tag
}

func methodTone(method string) ui.Tone {
	switch method {
	case "GET":
		return ui.Info
	case "POST":
		return ui.Good
	case "DELETE":
		return ui.Bad
	}
	return ui.Warn
}

func choices(values []string) []ui.Option {
	out := make([]ui.Option, len(values))
	for i, v := range values {
		out[i] = ui.Option{Value: v, Label: v}
	}
	return out
}

// curl is the operation on a command line.
func curl(op docOp) string {
	var b strings.Builder
	b.WriteString("curl ")
	if op.Method != "GET" {
		b.WriteString("-X " + op.Method + " ")
	}
	b.WriteString("-H 'Authorization: Bearer gsk_…'")
	for _, p := range op.Params {
		if p.In == "header" && p.Required {
			b.WriteString(" -H '" + p.Name + ": …'")
		}
	}
	if op.Body != "" {
		b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(op.Body, "\n", "\n  ") + "'")
	}
	b.WriteString(" \\\n  \"$BASE" + op.Path + "\"")
	return b.String()
}
