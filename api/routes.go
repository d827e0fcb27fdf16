package api

import (
	"net/http"
	"strings"
)

// routes names every area's operations, one line an area.
func (a *API) routes() {
	a.registerGateway()
	a.registerOrg()
	a.registerOpendata()
	a.registerCatalog()
	a.registerIntake()
	a.registerSharing()
	a.registerProfile()
	a.routesDocs()
}

// own says that a handler authenticates by itself.
func (a *API) own(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/resources/")
	if !ok {
		return false
	}
	_, last, ok := strings.Cut(rest, "/")
	return ok && (last == "query" || last == "verify" || last == "statistics" || last == "rows")
}
