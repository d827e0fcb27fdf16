package portal

import (
	"net/http"

	"gongshu/ui"
)

// routesHome registers the first page and the pages of plain words.
func (p *Portal) routesHome(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.home)
}

func (p *Portal) home(w http.ResponseWriter, r *http.Request) {
	ui.Render(w, r, homePage(p.City.In(visitor(r).Lang)))
}
