package console

import "net/http"

// routes names every area's routes, one line an area.
func (c *Console) routes(mux *http.ServeMux) {
	c.routesShell(mux)
	c.routesAudit(mux)
	c.routesOverview(mux)
}
