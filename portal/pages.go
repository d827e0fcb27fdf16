package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/profile"
	"gongshu/ui"
)

// routesPages registers the pages of words: about, conduct, accessibility,
// developers, and the regulations article by article.
func (p *Portal) routesPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /about", p.about)
	mux.HandleFunc("GET /conduct", p.conduct)
	mux.HandleFunc("GET /accessibility", func(w http.ResponseWriter, r *http.Request) { ui.Render(w, r, accessibilityPage()) })
	mux.HandleFunc("GET /developers", p.developers)
	mux.HandleFunc("GET /rules", p.rules)
	mux.HandleFunc("GET /rules/{id}", p.rule)
}

// platformClauses ask for one open platform.
const platformClauses = "FZM-21 FZO-3 LY-16"

// duty is a line of the rules of conduct, with the articles that say so.
type duty struct {
	words   string
	clauses string
}

// duties are what users of open data are held to (FZO-3: the rules of conduct
// are published; FZO-12, FZO-15, FZO-16, FZO-26, FZO-32, FZM-26, FS-32, FS-37).
var duties = []duty{
	{"portal.duty_law", "FZO-16 FZO-32 FS-37"},
	{"portal.duty_source", "FZO-15 FZM-26"},
	{"portal.duty_privacy", "FZO-16 FS-32"},
	{"portal.duty_purpose", "FZO-12 FZO-15 FS-37"},
	{"portal.duty_load", ""},
	{"portal.duty_report", "FZO-26 FS-38"},
	{"portal.duty_inspection", "FZO-30"},
	{"portal.duty_consequence", "FZO-16"},
}

func (p *Portal) about(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	authority := profile.AuthorityFull.Of(p.Profile).V
	ui.Render(w, r, aboutPage(p.City.In(web.Lang(ctx)), ui.Pick(ctx, authority.ZH, authority.EN), platformClauses, p.openingTypes(ctx), p.Console != ""))
}

// openingType is one of the city's kinds of opening, in its own words.
type openingType struct{ kind, name, text, clauses string }

func (p *Portal) openingTypes(ctx context.Context) []openingType {
	var out []openingType
	for _, kind := range []string{"general", "authorised", "closed"} {
		term := p.Profile.OpeningTerm(kind)
		out = append(out, openingType{kind: kind, name: ui.Pick(ctx, term.ZH, term.EN), text: ui.T(ctx, "portal.opening_"+kind),
			clauses: map[string]string{
				"general": "FZO-7 FZM-22 LY-17 FS-36", "authorised": "FZO-8 FZM-22 LY-18 FS-36", "closed": "FZO-5 FS-14",
			}[kind]})
	}
	return out
}

func (p *Portal) conduct(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var lines []conductLine
	for _, d := range duties {
		lines = append(lines, conductLine{ui.T(ctx, d.words), d.clauses})
	}
	ui.Render(w, r, conductPage(lines))
}

type conductLine struct{ text, clauses string }

func (p *Portal) developers(w http.ResponseWriter, r *http.Request) {
	slug := ""
	if p.Open != nil {
		slug = p.Open.Example(r.Context())
	}
	ui.Render(w, r, developersPage(web.Base(r), orWords(slug, "SLUG")))
}

// developerActions lead to the API's description.
func developerActions(ctx context.Context) []ui.Action {
	return []ui.Action{{Label: ui.T(ctx, "portal.api_try"), Href: "/api/docs", Icon: "api", Primary: true}, {Label: "OpenAPI 3.1", Href: "/api/openapi.json", Icon: "code"}}
}

func (p *Portal) rules(w http.ResponseWriter, r *http.Request) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	var groups []ruleGroup
	for _, in := range p.Profile.Instruments() {
		found := clause.Search(q, in.Code, "")
		if len(found) > 0 {
			groups = append(groups, ruleGroup{in, found})
		}
	}
	ui.Render(w, r, rulesPage(q, groups))
}

type ruleGroup struct {
	instrument clause.Instrument
	clauses    []clause.Clause
}

func (p *Portal) rule(w http.ResponseWriter, r *http.Request) {
	c, ok := clause.Get(r.PathValue("id"))
	if !ok {
		web.Fail(w, r, errs.Newf(errs.NotFound, "登记的条文中没有 %s。", "The register has no article %s.", r.PathValue("id")))
		return
	}
	in, _ := clause.InstrumentOf(c.Instrument)
	same := clause.ByInstrument(c.Instrument)
	at := slices.IndexFunc(same, func(x clause.Clause) bool { return x.ID == c.ID })
	var before, after string
	if at > 0 {
		before = same[at-1].ID
	}
	if at >= 0 && at+1 < len(same) {
		after = same[at+1].ID
	}
	ui.Render(w, r, rulePage(c, in, before, after))
}

// kindBadge is how the platform treats an article.
func kindBadge(ctx context.Context, k clause.Kind) ui.BadgeInfo {
	tone := map[clause.Kind]ui.Tone{clause.Enforce: ui.Good, clause.Clock: ui.Warn, clause.Record: ui.Info, clause.Publish: ui.Special}[k]
	return ui.BadgeInfo{Tone: tone, Text: ui.T(ctx, "portal.kind_"+string(k))}
}

func citation(ctx context.Context, c clause.Clause) string {
	if ui.English(ctx) {
		return c.CitationEN()
	}
	return c.CitationZH()
}

func instrumentTitle(ctx context.Context, in clause.Instrument) string {
	return ui.Pick(ctx, "《"+in.Title+"》", in.TitleEN)
}

// excerpt is the beginning of an article's own words.
func excerpt(text string, runes int) string {
	r := []rune(strings.ReplaceAll(text, "\n", " "))
	if len(r) > runes {
		return string(r[:runes]) + "…"
	}
	return string(r)
}

// bigNumber writes a large count shortly: 123.4 万 in Chinese, 1.2 million in
// English; below a million it is written out.
func bigNumber(ctx context.Context, n int64) string {
	if n < 1_000_000 {
		return ui.Num(n)
	}
	if ui.English(ctx) {
		return ui.T(ctx, "portal.millions", "N", ui.Decimal(float64(n)/1e6, 1))
	}
	return ui.T(ctx, "portal.millions", "N", ui.Decimal(float64(n)/1e4, 1))
}

func providersLead(ctx context.Context, n int) string {
	if n > 10 {
		return ui.T(ctx, "portal.providers_top", "Count", n)
	}
	return ""
}
