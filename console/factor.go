package console

import (
	"bytes"
	"errors"
	"image/png"
	"net/http"
	"strconv"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

// routesFactor registers the second step of the log-in and the page of the own
// second factor.
func (c *Console) routesFactor(mux *http.ServeMux) {
	mux.HandleFunc("GET "+provePage, c.proveForm)
	mux.HandleFunc("POST "+provePage, c.prove)
	mux.HandleFunc("GET "+factorPage, c.factor)
	mux.HandleFunc("POST "+factorPage, c.changeFactor)
	mux.HandleFunc("GET "+factorPage+"/new", c.newFactor)
	mux.HandleFunc("POST "+factorPage+"/new", c.confirmFactor)
	mux.HandleFunc("GET "+factorPage+"/new.png", c.factorImage)
}

func (c *Console) proveForm(w http.ResponseWriter, r *http.Request) {
	to := back(r.URL.Query().Get("back"))
	if !actor(r).MustProve {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	ui.Render(w, r, provingPage(to, ui.Errors{}))
}

func (c *Console) prove(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	to := back(r.FormValue("back"))
	token, err := c.Org.ProveFactor(ctx, a, r.FormValue("code"))
	if err != nil {
		if !refused(err) {
			web.Fail(w, r, err)
			return
		}
		ui.RenderStatus(w, r, web.Status(err), provingPage(to, ui.ErrorsOf(ctx, err)))
		return
	}
	web.SetSession(w, r, token)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// refused reports whether a form shows an error beside its field: the caller's own
// mistake, a secret or code that does not fit, or too many of them.
func refused(err error) bool {
	return ui.IsRefusal(err) || errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.TooMany)
}

// factorView is what the page of the own second factor shows.
type factorView struct {
	factor   identity.Factor // without CreatedAt where none is set up
	demanded bool            // by a post that the person holds
	must     bool            // and nothing else can be done before
	doing    string          // the form that the errors belong to: add, codes, remove
	errors   ui.Errors
}

func (c *Console) factorView(r *http.Request) (factorView, error) {
	a := actor(r)
	v := factorView{demanded: c.Org.FactorDemanded(a), must: a.MustEnrol}
	var err error
	if v.factor, err = c.Org.Factor(r.Context(), a); errs.Is(err, errs.NotFound) {
		err = nil
	}
	return v, err
}

func (c *Console) factor(w http.ResponseWriter, r *http.Request) {
	v, err := c.factorView(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, factorsPage(v))
}

// changeFactor begins to set up an app, makes new recovery codes, or takes the
// factor away; each asks for the present password.
func (c *Console) changeFactor(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	secret, doing := r.FormValue("old"), r.FormValue("do")
	var err error
	var codes []string
	to := factorPage
	switch doing {
	case "add":
		err, to = c.Org.BeginFactor(ctx, a, secret), factorPage+"/new"
	case "codes":
		codes, err = c.Org.NewRecovery(ctx, a, secret)
	case "remove":
		err = c.Org.RemoveFactor(ctx, a, secret)
	default:
		err = errs.New(errs.Invalid, errs.T("请选择要办理的事项", "Choose what to do")).In("do")
	}
	switch {
	case err != nil && refused(err):
		v, failed := c.factorView(r)
		if failed != nil {
			web.Fail(w, r, errors.Join(failed, err))
			return
		}
		v.doing, v.errors = doing, ui.ErrorsOf(ctx, err)
		ui.RenderStatus(w, r, web.Status(err), factorsPage(v))
	case err != nil:
		web.Fail(w, r, err)
	case codes != nil:
		ui.Render(w, r, recoveryPage(codes))
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

func (c *Console) begun(r *http.Request) (identity.NewFactor, error) {
	return c.Org.BegunFactor(r.Context(), actor(r), c.Brand.In(web.Lang(r.Context())))
}

func (c *Console) newFactor(w http.ResponseWriter, r *http.Request) {
	n, err := c.begun(r)
	if err != nil {
		http.Redirect(w, r, factorPage, http.StatusSeeOther)
		return
	}
	ui.Render(w, r, newFactorPage(n, ui.Errors{}))
}

// factorImage is the square code. It is an image of its own since pages hold
// nothing inline, and it is kept nowhere.
func (c *Console) factorImage(w http.ResponseWriter, r *http.Request) {
	n, err := c.begun(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	var buf bytes.Buffer
	img, err := n.QR()
	if err == nil {
		err = png.Encode(&buf, img)
	}
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	_, _ = w.Write(buf.Bytes())
}

func (c *Console) confirmFactor(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	codes, err := c.Org.ConfirmFactor(ctx, actor(r), r.FormValue("code"))
	if err == nil {
		ui.Render(w, r, recoveryPage(codes))
		return
	}
	n, begun := c.begun(r)
	if begun != nil || !refused(err) {
		web.Fail(w, r, err)
		return
	}
	ui.RenderStatus(w, r, web.Status(err), newFactorPage(n, ui.ErrorsOf(ctx, err)))
}
