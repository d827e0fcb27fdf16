package api

// registerGateway puts in the data service.
func (a *API) registerGateway() {}
