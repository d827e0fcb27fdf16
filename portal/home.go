package portal

import (
	"context"
	"net/http"
	"net/url"

	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/profile"
	"gongshu/ui"
)

// routesHome registers the first page.
func (p *Portal) routesHome(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.home)
}

func (p *Portal) home(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	sum := &opendata.Summary{}
	if p.Open != nil {
		var err error
		if sum, err = p.Open.Summary(ctx); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	general := ui.Pick(ctx, p.Profile.OpeningTerm("general").ZH, p.Profile.OpeningTerm("general").EN)
	authorised := ui.Pick(ctx, p.Profile.OpeningTerm("authorised").ZH, p.Profile.OpeningTerm("authorised").EN)
	authority := profile.Authority.Of(p.Profile).V
	ui.Render(w, r, homePage(homeView{
		city: p.City.In(web.Lang(ctx)), sum: sum, general: general, authorised: authorised,
		authority: ui.Pick(ctx, authority.ZH, authority.EN), clauses: platformClauses,
	}))
}

type homeView struct {
	city, general, authorised, authority, clauses string
	sum                                           *opendata.Summary
}

// themeIcons gives each theme of the catalog guide a drawing.
var themeIcons = map[string]string{
	"01": "building-community", "02": "shield-check", "03": "users", "04": "certificate", "05": "tools", "06": "coin", "07": "activity",
	"08": "star", "09": "building", "10": "home", "11": "leaf", "12": "alert-triangle", "13": "users", "14": "school", "15": "bus",
	"16": "coin", "17": "device-desktop", "18": "trees", "19": "tag", "20": "world", "21": "gavel", "22": "building-bank",
}

func themeIcon(key string) string {
	if icon := themeIcons[key]; icon != "" {
		return icon
	}
	return "folder"
}

func groupName(ctx context.Context, g opendata.Group) string {
	if name := ui.Pick(ctx, g.Name.ZH, g.Name.EN); name != "" {
		return name
	}
	return ui.T(ctx, "portal.no_theme")
}

func facetLink(facet, value string) string {
	return "/datasets?" + url.Values{facet: {value}}.Encode()
}

func providerPoints(groups []opendata.Group) []ui.Point {
	var out []ui.Point
	for _, g := range groups[:min(len(groups), 10)] {
		out = append(out, ui.Point{Label: g.Name.ZH, Value: float64(g.N), Href: facetLink("provider", g.Key)})
	}
	return out
}
