package ui

import (
	"context"
	"slices"
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

// ownClause says whether an article is of the frame's city. An id outside the
// register is shown, so that the mistake is seen.
func ownClause(ctx context.Context, id string) bool {
	own := frame(ctx).Own
	if len(own) == 0 {
		return true
	}
	c, ok := clause.Get(id)
	return !ok || slices.Contains(own, c.Instrument)
}

// Instruments gives the codes of some regulations, for Frame.Own.
func Instruments(all []clause.Instrument) []string {
	var codes []string
	for _, in := range all {
		codes = append(codes, in.Code)
	}
	return codes
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

// OwnClauses keeps of some articles those of a city's own regulations, joined by
// spaces as the Clause fields of components take them; for rules that several
// cities state in articles of their own.
func OwnClauses(city string, ids ...string) string {
	var own []string
	for _, id := range ids {
		c, ok := clause.Get(id)
		if !ok {
			continue
		}
		if in, ok := clause.InstrumentOf(c.Instrument); ok && in.City == city {
			own = append(own, id)
		}
	}
	return strings.Join(own, " ")
}
