package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"gongshu/api"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
)

func TestBodiesByAPI(t *testing.T) {
	clause.Covers(t, "FS-22", "FS-4")
	d := dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	door, err := operation.New(operation.Deps{DB: d, Log: audittest.Open(t, d)})
	must(err)
	people, err := identity.New(identity.Deps{DB: d, Key: make([]byte, 32)})
	must(err)
	p, err := profile.Load("fuzhou")
	must(err)
	bodies, err := org.New(org.Deps{DB: d, Door: door, Identity: people, Profile: p})
	must(err)
	founded, err := bodies.Found(t.Context(), []org.FirstAdmin{{Post: identity.SystemAdmin, Login: "sysadmin", Name: "陈系统"},
		{Post: identity.SecurityAdmin, Login: "secadmin", Name: "黄安全"}, {Post: identity.Auditor, Login: "auditor", Name: "吴审计"}})
	must(err)
	var key identity.IssuedKey
	must(d.InTx(t.Context(), func(tx *db.Tx) error {
		c, err := people.CreateClientTx(t.Context(), tx, identity.NewClient{Name: "系统", Body: founded.Operator.ID, BodyName: founded.Operator.Name, District: "350100", Level: "city", Addresses: []netip.Prefix{}})
		if err != nil {
			return err
		}
		key, err = people.IssueKeyTx(t.Context(), tx, c.ID, "test", time.Time{})
		return err
	}))
	site := &web.Site{}
	server := httptest.NewServer(site.Wrap(api.New(api.Deps{Door: door, Clients: people, Org: bodies})))
	defer server.Close()
	get := func(path, bearer string, into any) int {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		res, err := http.DefaultClient.Do(r)
		must(err)
		defer res.Body.Close()
		if into != nil {
			must(json.NewDecoder(res.Body).Decode(into))
		}
		return res.StatusCode
	}
	if status := get("/api/v1/bodies", "", nil); status != 401 {
		t.Errorf("without a key: %d", status)
	}
	var list struct {
		Items []api.Body `json:"items"`
		Total int        `json:"total"`
	}
	if status := get("/api/v1/bodies?role=authority", key.Key, &list); status != 200 || list.Total != 1 || list.Items[0].ID != founded.Authority.ID {
		t.Errorf("%d %+v", status, list)
	}
	var one api.Body
	if status := get("/api/v1/bodies/"+founded.Operator.ID, key.Key, &one); status != 200 || one.Role != "operator" || one.Level != "city" {
		t.Errorf("%d %+v", status, one)
	}
	if status := get("/api/v1/bodies/none", key.Key, nil); status != 404 {
		t.Errorf("no such body: %d", status)
	}
}
