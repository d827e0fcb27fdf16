package ui

import (
	"context"
	"strings"

	"gongshu/clause"
)

// clauseLabel names an article shortly: the instrument's short name and the
// number as an official writes it.
func clauseLabel(ctx context.Context, id string) string {
	c, ok := clause.Get(id)
	key := "clause.short." + c.Instrument
	if !ok || !HasWords(key) {
		return id
	}
	if English(ctx) {
		return T(ctx, key, "Number", c.Article)
	}
	_, number, found := strings.Cut(c.CitationZH(), "》")
	if !found {
		number = c.Article
	}
	return T(ctx, key, "Number", number)
}

// clausesHere gives the articles by which the frame's city says what the cited
// ones say, out of ids separated by spaces or commas.
func clausesHere(ctx context.Context, ids string) []string {
	if city := frame(ctx).Rules; city != "" {
		return clause.In(city, splitIDs(ids)...)
	}
	return splitIDs(ids)
}

// clauseHint is what the pointer shows: the full citation, and in Chinese the
// beginning of the article's own words, in English what the platform has to do.
func clauseHint(ctx context.Context, id string) string {
	c, ok := clause.Get(id)
	if !ok {
		return T(ctx, "ui.clause_hint", "ID", id)
	}
	if English(ctx) {
		return c.CitationEN() + ": " + c.Must
	}
	text := []rune(strings.ReplaceAll(c.Text, "\n", " "))
	if len(text) > 120 {
		text = append(text[:120], '…')
	}
	return c.CitationZH() + "：" + string(text)
}
