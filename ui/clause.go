package ui

import "context"

// clauseWords gives the instrument and number of a clause id; it is set when the
// register is linked in.
func clauseLabel(ctx context.Context, id string) string {
	instrument, number := id, ""
	for i, r := range id {
		if r == '-' {
			instrument, number = id[:i], id[i+1:]
			break
		}
	}
	key := "clause.short." + instrument
	if number == "" || !HasWords(key) {
		return id
	}
	return T(ctx, key, "Number", number)
}

func clauseHint(ctx context.Context, id string) string {
	return T(ctx, "ui.clause_hint", "ID", id)
}
