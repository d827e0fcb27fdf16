package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/warehouse"
	"gongshu/warehouse/warehousetest"
)

// people is a resource as the catalog would publish it.
var people = gateway.Source{ID: "r1", Code: "310010100/000001", Name: "户籍人口信息", Provider: "police", ProviderName: "市公安局", Sharing: "conditional", Version: 1,
	Items: []gateway.SourceItem{
		{ID: "i1", Code: "id_no", Name: "公民身份号码", Column: 1, Type: "C", Key: true, Personal: privacy.KindResidentID},
		{ID: "i2", Code: "name", Name: "姓名", Column: 2, Type: "C", Personal: privacy.KindName},
		{ID: "i3", Code: "mobile", Name: "手机号码", Column: 3, Type: "C", Personal: privacy.KindPhone},
		{ID: "i4", Code: "district", Name: "区划代码", Column: 4, Type: "C"},
		{ID: "i5", Code: "income", Name: "年收入", Column: 5, Type: "I"},
		{ID: "i6", Code: "registered", Name: "登记日期", Column: 6, Type: "D"},
		{ID: "i7", Code: "poor", Name: "低保", Column: 7, Type: "L"},
		{ID: "i8", Code: "note", Name: "内部备注", Column: 8, Type: "C"},
	}}

var peopleTable = warehouse.Table{Resource: "r1", Key: []string{"c1"}, Columns: []warehouse.Column{
	{Name: "c1", Type: warehouse.Text}, {Name: "c2", Type: warehouse.Text}, {Name: "c3", Type: warehouse.Text}, {Name: "c4", Type: warehouse.Text},
	{Name: "c5", Type: warehouse.Integer}, {Name: "c6", Type: warehouse.Date}, {Name: "c7", Type: warehouse.Bool}, {Name: "c8", Type: warehouse.Text}}}

// person is one generated resident.
type person struct{ id, name, mobile, district, income, registered, poor, note string }

func resident(i int) person {
	base := fmt.Sprintf("3501%02d19%02d%02d%02d%03d", 2+i/21000, 50+i%50, 1+i%12, 1+i%28, i%1000)
	weights := []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for j, w := range weights {
		sum += int(base[j]-'0') * w
	}
	return person{id: base + string("10X98765432"[sum%11]), name: "陈某" + string(rune('一'+i)), mobile: fmt.Sprintf("138%08d", i),
		district: []string{"350102", "350103", "350104", "350105"}[i%4], income: fmt.Sprint(30000 + i*7), registered: "2020-01-0" + fmt.Sprint(1+i%9),
		poor: fmt.Sprint(i % 2), note: fmt.Sprintf("机密备注%05d", i)}
}

func (p person) cells() []string {
	return []string{p.id, p.name, p.mobile, p.district, p.income, p.registered, p.poor, p.note}
}

// house is a whole data service on real stores, answering over HTTP.
type house struct {
	t     testing.TB
	d     *db.DB
	log   *audit.Log
	store *warehouse.Store
	gw    *gateway.Service
	ids   *identity.Service
	keys  privacy.Keys
	srv   *httptest.Server
	clock atomic.Int64
	rules gateway.Rules
	src   map[string]gateway.Source
	batch int
	key   string // bearer key of the client of body "welfare"
	other string // of body "tax"
	chief string // of body "police", the provider
	ident map[string]string
}

func (h *house) now() time.Time { return time.UnixMilli(h.clock.Load()).UTC() }

func (h *house) resolve(_ context.Context, _ db.Querier, code string) (gateway.Source, error) {
	if src, ok := h.src[code]; ok {
		return src, nil
	}
	return gateway.Source{}, errs.New(errs.NotFound, errs.T("没有该资源", "no such resource"))
}

func (h *house) node() *gateway.Service {
	gw, err := gateway.New(h.t.Context(), gateway.Deps{DB: h.d, Keys: h.keys, Now: h.now, Rules: func() gateway.Rules { return h.rules },
		Resolve: h.resolve, Audit: h.log, Warehouse: h.store})
	if err != nil {
		h.t.Fatal(err)
	}
	return gw
}

func (h *house) serve(gw *gateway.Service) *httptest.Server {
	door, err := operation.New(operation.Deps{DB: h.d, Log: h.log, Now: h.now})
	if err != nil {
		h.t.Fatal(err)
	}
	site := &web.Site{Log: slog.New(slog.DiscardHandler)}
	srv := httptest.NewUnstartedServer(site.Wrap(New(Deps{Brand: errs.T("平台", "Platform"), Door: door, Clients: h.ids, Gateway: gw, Now: h.now, Log: slog.New(slog.DiscardHandler)})))
	// Small buffers, so that a stream waits for its reader.
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		return ctx
	}
	srv.Start()
	h.t.Cleanup(srv.Close)
	return srv
}

// build makes the house with n residents.
func build(t testing.TB, d *db.DB, warehouseURL string, n int) *house {
	t.Helper()
	h := &house{t: t, d: d, src: map[string]gateway.Source{people.Code: people}, ident: map[string]string{},
		rules: gateway.Rules{MinCell: 5, Location: time.UTC, FactsClauses: []string{"FZM-29", "LY-21"}}}
	h.clock.Store(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC).UnixMilli())
	h.log = audittest.Open(t, d)
	var err error
	if h.store, err = warehouse.Open(t.Context(), warehouseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	if err := h.store.EnsureTable(t.Context(), peopleTable); err != nil {
		t.Fatal(err)
	}
	var list [][]string
	for i := range n {
		list = append(list, resident(i).cells())
	}
	h.load(warehouse.Append, list)
	if h.keys, err = privacy.NewSoftKeys([]byte("a master secret of the tests"), false); err != nil {
		t.Fatal(err)
	}
	if h.ids, err = identity.New(identity.Deps{DB: d, Key: bytes.Repeat([]byte{7}, 32), Now: h.now}); err != nil {
		t.Fatal(err)
	}
	h.gw = h.node()
	for _, c := range []struct {
		body string
		key  *string
	}{{"welfare", &h.key}, {"tax", &h.other}, {"police", &h.chief}} {
		err := d.InTx(t.Context(), func(tx *db.Tx) error {
			client, err := h.ids.CreateClientTx(t.Context(), tx, identity.NewClient{Name: "系统" + c.body, Body: c.body, BodyName: "单位" + c.body, District: "350100", Level: "city"})
			if err != nil {
				return err
			}
			issued, err := h.ids.IssueKeyTx(t.Context(), tx, client.ID, "test", time.Time{})
			*c.key, h.ident[c.body] = issued.Key, client.ID
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h.srv = h.serve(h.gw)
	return h
}

func (h *house) load(mode warehouse.Mode, list [][]string) {
	h.t.Helper()
	h.batch++
	_, err := h.store.Load(h.t.Context(), warehouse.LoadSpec{Resource: "r1", Batch: fmt.Sprint("b", h.batch), Mode: mode, At: h.now(), Source: warehousetest.Rows(list...)})
	if err != nil {
		h.t.Fatal(err)
	}
}

// both runs a test on both databases.
func both(t *testing.T, n int, body func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) {
		body(t, build(t, dbtest.SQLite(t), "sqlite:"+filepath.Join(t.TempDir(), "warehouse.db"), n))
	})
	t.Run("postgres", func(t *testing.T) {
		body(t, build(t, dbtest.Postgres(t), dbtest.PostgresURL(t), n))
	})
}

func one(t *testing.T, n int) *house {
	return build(t, dbtest.SQLite(t), "sqlite:"+filepath.Join(t.TempDir(), "warehouse.db"), n)
}

func (h *house) spec(mode gateway.Mode, items ...string) gateway.GrantSpec {
	if items == nil {
		items = []string{"姓名", "手机号码", "区划代码", "年收入", "登记日期", "低保"}
	}
	s := gateway.GrantSpec{Resource: people.Code, Client: "welfare", Mode: mode, Purposes: []string{"低保资格核验"}, Users: []string{"林小敏"},
		Approver: "陈主任", Expires: h.now().AddDate(0, 6, 0), CaseNo: "榕数享〔2026〕1号"}
	for _, it := range items {
		s.Items = append(s.Items, gateway.GrantItem{Name: it})
	}
	return s
}

func (h *house) grant(s gateway.GrantSpec) gateway.Grant {
	h.t.Helper()
	var g gateway.Grant
	err := h.d.InTx(h.t.Context(), func(tx *db.Tx) (err error) {
		g, err = h.gw.CreateGrantTx(h.t.Context(), tx, s)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

func (h *house) revoke(g gateway.Grant) {
	h.t.Helper()
	if err := h.d.InTx(h.t.Context(), func(tx *db.Tx) error {
		_, err := h.gw.RevokeTx(h.t.Context(), tx, g.ID, "陈主任", "用途终止")
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

const peoplePath = "/api/v1/resources/310010100-000001/"

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	trail  http.Header
	body   string
	cut    error
}

func (a answer) problem() (p web.Problem) {
	_ = json.Unmarshal([]byte(a.body), &p)
	return p
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%d: not JSON: %v\n%s", a.status, err, a.body)
	}
	return m
}

// ask sends a request; header pairs follow the body.
func (h *house) ask(method, path, body string, headers ...string) answer {
	h.t.Helper()
	return h.askAt(h.srv.URL, method, path, body, headers...)
}

func (h *house) askAt(base, method, path, body string, headers ...string) answer {
	h.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, base+path, r)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, res.Trailer, string(raw), err}
}

// entries gives the audit entries of an action, oldest first.
func (h *house) entries(action string) []audit.Record {
	h.t.Helper()
	size, err := h.log.Size(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	var out []audit.Record
	if err := h.log.Entries(h.t.Context(), 0, size, func(r audit.Record) error {
		if r.Entry.Action == action {
			out = append(out, r)
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestQuery(t *testing.T) {
	both(t, 60, func(t *testing.T, h *house) {
		h.grant(h.spec(gateway.Query))
		p := resident(7)
		a := h.ask("POST", peoplePath+"query", `{"where":{"公民身份号码":"`+p.id+`"}}`)
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		got := a.json(t)
		row := got["rows"].([]any)[0].(map[string]any)
		want := map[string]any{"姓名": "陈**", "手机号码": "138****0007", "区划代码": p.district, "年收入": float64(30049), "登记日期": p.registered, "低保": true}
		if len(row) != len(want) {
			t.Errorf("row %v", row)
		}
		for k, v := range want {
			if row[k] != v {
				t.Errorf("%s is %v, want %v", k, row[k], v)
			}
		}
		list := h.entries("gateway.query")
		if len(list) != 1 || float64(list[0].Seq) != got["audit"] {
			t.Fatalf("%d entries, answer names %v", len(list), got["audit"])
		}
		// All seven facts: purpose, user, approver, content, time, way, medium.
		e := list[0].Entry
		if e.Purpose != "低保资格核验" || e.Note("user") != "林小敏" || e.Approver != "陈主任" || e.Resource != people.Code || e.Note("fields") == "" ||
			e.Note("rows") != "1" || e.At.IsZero() || e.Medium != "interface" || e.Case != "榕数享〔2026〕1号" || e.Outcome != audit.OK || len(e.Subjects) != 1 {
			t.Errorf("%+v", e)
		}
		if strings.Contains(string(list[0].Content), p.id) || strings.Contains(string(list[0].Content), p.mobile) {
			t.Errorf("the entry holds personal values: %s", list[0].Content)
		}
		// Headers override what the grant implies; English names and ids work too.
		a = h.ask("POST", peoplePath+"query", `{"where":{"id_no":"`+p.id+`"},"fields":["mobile","i2"]}`,
			"X-Gongshu-Case", "BJ-2026-77", "X-Gongshu-User", "%E6%9E%97%E5%B0%8F%E6%95%8F", "X-Gongshu-Approver", "王科长", "X-Gongshu-Medium", "U盘")
		if a.status != 200 || !strings.Contains(a.body, `{"手机号码":"138****0007","姓名":"陈**"}`) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		list = h.entries("gateway.query")
		if e := list[1].Entry; e.Case != "BJ-2026-77" || e.Approver != "王科长" || e.Medium != "U盘" || e.Note("user") != "林小敏" {
			t.Errorf("%+v", e)
		}
		if a := h.ask("POST", peoplePath+"query", `{"where":{"公民身份号码":"350102190001010000"}}`); a.status != 200 || a.json(t)["count"] != 0.0 {
			t.Errorf("nobody: %d %s", a.status, a.body)
		}
	})
}
