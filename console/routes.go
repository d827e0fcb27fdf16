package console

import "net/http"

// routes names every area's routes, one line an area.
func (c *Console) routes(mux *http.ServeMux) {
	c.routesShell(mux)
	c.routesMessages(mux)
	c.routesAccount(mux)
	c.routesFactor(mux)
	c.routesOpening(mux)
	c.routesPeople(mux)
	c.routesPosts(mux)
	c.routesBodies(mux)
	c.routesClients(mux)
	c.routesAudit(mux)
	c.routesOverview(mux)
	c.routesIntake(mux)
	c.routesProfile(mux)
	c.routesClauses(mux)
	c.routesRequests(mux)
	c.routesGrants(mux)
	c.routesCases(mux)
	c.routesUsage(mux)
	c.routesCatalog(mux)
}
