package console

import (
	"context"
	"strings"

	"gongshu/ui"
)

func (v factorView) errorsOf(do string) ui.Errors {
	if v.doing == do {
		return v.errors
	}
	return ui.Errors{}
}

func removeLead(ctx context.Context, v factorView) string {
	if v.demanded {
		return ui.T(ctx, "login.factor_remove_demanded")
	}
	return ui.T(ctx, "login.factor_remove_text")
}

// grouped writes a secret in groups of four, as people type it.
func grouped(secret string) string {
	var b strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func factorWords(ctx context.Context, set bool) string {
	if set {
		return ui.T(ctx, "login.factor_on")
	}
	return ui.T(ctx, "login.factor_off")
}
