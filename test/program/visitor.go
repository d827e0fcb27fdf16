package program

import (
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Visitor is a browser without a screen: it keeps cookies, follows redirects and
// says that its forms come from the site's own pages.
type Visitor struct {
	Base   string
	t      testing.TB
	client *http.Client
}

// Visit opens a browser at a program's address.
func Visit(t testing.TB, base string) *Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Visitor{Base: base, t: t, client: &http.Client{Jar: jar, Timeout: time.Minute}}
}

// LogIn logs in to the console and fails the test when it is refused.
func (v *Visitor) LogIn(login, password string) {
	v.t.Helper()
	if at, status, body := v.Post("/console/login", url.Values{"login": {login}, "password": {password}}); status != 200 || strings.HasPrefix(at, "/console/login") {
		v.t.Fatalf("log in as %s: %d at %s\n%.500s", login, status, at, body)
	}
}

// Get gives where a GET ended up, its status and the page.
func (v *Visitor) Get(path string) (at string, status int, body string) {
	v.t.Helper()
	return v.send(http.MethodGet, path, "", nil)
}

// Post sends a form.
func (v *Visitor) Post(path string, form url.Values) (at string, status int, body string) {
	v.t.Helper()
	return v.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (v *Visitor) send(method, path, kind string, form io.Reader) (string, int, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.Base+path, form)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.Request.URL.RequestURI(), res.StatusCode, string(body)
}

// Upload sends a form with a file in its field "file", which stands last.
func (v *Visitor) Upload(path string, fields map[string]string, name string, file io.Reader) (at string, status int, body string) {
	v.t.Helper()
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		w.CloseWithError(func() error {
			for k, value := range fields {
				if err := form.WriteField(k, value); err != nil {
					return err
				}
			}
			part, err := form.CreateFormFile("file", name)
			if err != nil {
				return err
			}
			if _, err := io.Copy(part, file); err != nil {
				return err
			}
			return form.Close()
		}())
	}()
	defer r.Close()
	return v.send(http.MethodPost, path, form.FormDataContentType(), r)
}
