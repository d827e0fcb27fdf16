package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/api"
	"gongshu/audit"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/warehouse"
)

// The load comes from a second process, which is this program again.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "load" {
		if err := load(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

const loadConns = 64

// load ADDRESS SECONDS KEYS REQUEST-FILE sends closed-loop requests over 64 connections; every
// KEY in the request is replaced by the number of a row. It prints requests,
// errors, and the 99th percentile in microseconds.
func load(args []string) error {
	seconds, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	rows, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	template, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	at := bytes.Index(template, []byte("KEYKEYKEY"))
	until := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var mu sync.Mutex
	var all []int64
	bad := 0
	var group sync.WaitGroup
	for c := range loadConns {
		group.Go(func() {
			conn, err := net.Dial("tcp", args[0])
			if err != nil {
				mu.Lock()
				bad++
				mu.Unlock()
				return
			}
			defer conn.Close()
			request := bytes.Clone(template)
			in := bufio.NewReaderSize(conn, 8<<10)
			var took []int64
			failed := 0
			seed := uint64(c)*2654435761 + 1
			for time.Now().Before(until) {
				seed = seed*6364136223846793005 + 1442695040888963407
				copy(request[at:at+9], fmt.Sprintf("%09d", seed>>33%uint64(rows)))
				began := time.Now()
				if _, err := conn.Write(request); err != nil {
					failed++
					break
				}
				if ok, err := readAnswer(in); err != nil || !ok {
					failed++
					if err != nil {
						break
					}
				}
				took = append(took, time.Since(began).Microseconds())
			}
			mu.Lock()
			all, bad = append(all, took...), bad+failed
			mu.Unlock()
		})
	}
	group.Wait()
	slices.Sort(all)
	p99 := int64(0)
	if len(all) > 0 {
		p99 = all[len(all)*99/100]
	}
	fmt.Println(len(all), bad, p99)
	return nil
}

// readAnswer reads one response with a Content-Length; false for one that holds no row.
func readAnswer(in *bufio.Reader) (bool, error) {
	length, ok := -1, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		if first {
			ok = bytes.Contains(line, []byte(" 200 "))
		}
		if len(line) <= 2 {
			break
		}
		if v, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return false, err
			}
		}
	}
	if length < 0 {
		return false, errors.New("no Content-Length")
	}
	body, err := in.Peek(min(length, in.Size()))
	if err != nil {
		return false, err
	}
	ok = ok && bytes.Contains(body, []byte("350102"))
	_, err = in.Discard(length)
	return ok, err
}

const gatewayCode = "310010100/000001"

func gatewaySource() gateway.Source {
	src := gateway.Source{ID: "bench", Code: gatewayCode, Name: "人口基本信息", Provider: "police", ProviderName: "公安", Sharing: "conditional", Version: 1}
	for i, it := range []struct {
		name, typ string
		kind      privacy.Kind
	}{{"公民身份号码", "C", privacy.KindResidentID}, {"姓名", "C", privacy.KindName}, {"住址", "C", privacy.KindAddress}, {"手机号码", "C", privacy.KindPhone},
		{"登记日期", "D", ""}, {"序号", "I", ""}, {"金额", "N", ""}, {"系数", "B", ""}, {"代码", "C", ""}, {"备注", "C", ""}} {
		src.Items = append(src.Items, gateway.SourceItem{Name: it.name, Column: i + 1, Type: it.typ, Key: i == 0, Personal: it.kind})
	}
	return src
}

// gatewayHouse is a data service with rows, a client and a grant.
type gatewayHouse struct {
	gw     *gateway.Service
	ids    *identity.Service
	store  *warehouse.Store
	log    *audit.Log
	d      *db.DB
	key    string
	client string
	closes []func() error
}

func (h *gatewayHouse) close() {
	for _, c := range slices.Backward(h.closes) {
		_ = c()
	}
}

func openGateway(ctx context.Context, control, rows string, n, grants int) (h *gatewayHouse, err error) {
	h = &gatewayHouse{}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.d, err = db.Open(ctx, control); err != nil {
		return h, err
	}
	h.closes = append(h.closes, h.d.Close)
	if err = h.d.Migrate(ctx); err != nil {
		return h, err
	}
	keys, err := audit.GenerateKeys("bench")
	if err != nil {
		return h, err
	}
	if h.log, err = audit.Open(ctx, h.d, audit.Options{Keys: keys}); err != nil {
		return h, err
	}
	h.closes = append(h.closes, h.log.Close)
	if h.store, err = warehouse.Open(ctx, rows); err != nil {
		return h, err
	}
	h.closes = append(h.closes, h.store.Close)
	table := benchTable
	table.Resource = "bench"
	if err = h.store.EnsureTable(ctx, table); err != nil {
		return h, err
	}
	if n > 0 {
		if _, err = h.store.Load(ctx, warehouse.LoadSpec{Resource: "bench", Batch: "b", Mode: warehouse.Append, At: time.Now(), Source: gatewayRows(n)}); err != nil {
			return h, err
		}
	}
	masks, err := privacy.NewSoftKeys(bytes.Repeat([]byte{1}, 32), false)
	if err != nil {
		return h, err
	}
	if h.ids, err = identity.New(identity.Deps{DB: h.d, Key: bytes.Repeat([]byte{2}, 32)}); err != nil {
		return h, err
	}
	if err = h.d.InTx(ctx, func(tx *db.Tx) error {
		c, err := h.ids.CreateClientTx(ctx, tx, identity.NewClient{Name: "压测", Body: "welfare", BodyName: "民政", District: "350100", Level: "city"})
		if err != nil {
			return err
		}
		k, err := h.ids.IssueKeyTx(ctx, tx, c.ID, "bench", time.Time{})
		h.client, h.key = c.ID, k.Key
		return err
	}); err != nil {
		return h, err
	}
	src := gatewaySource()
	h.gw, err = gateway.New(ctx, gateway.Deps{DB: h.d, Keys: masks, Audit: h.log, Warehouse: h.store, Now: time.Now,
		Rules:   func() gateway.Rules { return gateway.Rules{MinCell: 5, Location: time.UTC} },
		Resolve: func(context.Context, db.Querier, string) (gateway.Source, error) { return src, nil }})
	if err != nil {
		return h, err
	}
	spec := gateway.GrantSpec{Resource: gatewayCode, Client: "welfare", Mode: gateway.Query, Purposes: []string{"低保核验"}, Users: []string{"林小敏"}, Approver: "陈主任",
		CaseNo: "数享1号", Expires: time.Now().Add(24 * time.Hour), PerSecond: 1 << 30}
	for _, it := range src.Items {
		spec.Items = append(spec.Items, gateway.GrantItem{Name: it.Name, Unmasked: it.Personal == privacy.KindResidentID})
	}
	return h, h.d.InTx(ctx, func(tx *db.Tx) error {
		for i := range grants {
			s := spec
			if i > 0 { // other bodies'
				s.Client = fmt.Sprintf("body%d", i)
			}
			if _, err := h.gw.CreateGrantTx(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// gatewayRows are rows whose key is 350102, nine digits of the row's number, 000.
func gatewayRows(n int) warehouse.Source {
	r := makeRows(n, 0, "")
	for bi, b := range r.blocks {
		fresh := b
		for i := range fresh.Len() {
			key := fresh.Cell(i, 0)
			copy(key, fmt.Sprintf("350102%09d000", bi*1024+i))
		}
	}
	return r
}

// bare is a handler that runs the same SQL with no key, plan, mask or audit.
func bare(ctx context.Context, rows string, table string) (http.Handler, func(), error) {
	const columns = "c1, c2, c3, c4, c5, c6, c7, c8, c9, c10"
	names := []string{"公民身份号码", "姓名", "住址", "手机号码", "登记日期", "序号", "金额", "系数", "代码", "备注"}
	var fetch func(ctx context.Context, key string, to []any) error
	var done func()
	if path, isFile := strings.CutPrefix(rows, "sqlite:"); isFile {
		d, err := sql.Open("sqlite", db.SQLiteDSN(path, "NORMAL"))
		if err != nil {
			return nil, nil, err
		}
		d.SetMaxIdleConns(16)
		st, err := d.PrepareContext(ctx, "SELECT "+columns+" FROM "+table+" WHERE c1 = $1")
		if err != nil {
			return nil, nil, err
		}
		fetch, done = func(ctx context.Context, key string, to []any) error { return st.QueryRowContext(ctx, key).Scan(to...) }, func() { d.Close() }
	} else {
		pool, err := pgxpool.New(ctx, rows)
		if err != nil {
			return nil, nil, err
		}
		fetch, done = func(ctx context.Context, key string, to []any) error {
			return pool.QueryRow(ctx, "SELECT "+columns+" FROM "+table+" WHERE c1 = $1", key).Scan(to...)
		}, pool.Close
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Where map[string]string `json:"where"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		values := make([]any, len(names))
		to := make([]any, len(names))
		for i := range values {
			to[i] = &values[i]
		}
		if err := fetch(r.Context(), in.Where["公民身份号码"], to); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		row := make(map[string]any, len(names))
		for i, name := range names {
			row[name] = values[i]
		}
		raw, err := json.Marshal(map[string]any{"rows": []any{row}, "count": 1})
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		_, _ = w.Write(raw)
	}), done, nil
}

// serveOn answers on a port of its own until stop.
func serveOn(h http.Handler) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), func() { s.Close() }, nil
}

// sharedTrips says where the program has an advantage over the handler beside it.
const sharedTrips = " The bare handler sends each request's statement by itself; the program sends those that come together in one round trip, which pays for most of what it does besides."

// gatewayFigures measures the data service.
func gatewayFigures(ctx context.Context, env Env) ([]Row, error) {
	n, rounds, slice := 200_000, 7, 3.0
	if env.Quick {
		n, rounds, slice = 5000, 2, 0.5
	}
	var out []Row
	for _, target := range []struct {
		name, control, rows, bar string
		least                    float64
	}{{"PostgreSQL", "", "", "≥ 0.75", 0.75}, {"embedded", "sqlite:" + filepath.Join(env.Dir, "control.db"), "sqlite:" + filepath.Join(env.Dir, "warehouse.db"), "≥ 0.65", 0.65}} {
		what := "gateway query by key, full audit, " + target.name
		if target.control == "" {
			if env.Postgres == "" {
				out = append(out, Row{What: what, Bar: target.bar, Note: "No PostgreSQL was at hand."})
				continue
			}
			var drop func()
			var err error
			if target.control, drop, err = newDatabase(ctx, env.Postgres); err != nil {
				return nil, err
			}
			defer drop()
			if target.rows, drop, err = newDatabase(ctx, env.Postgres); err != nil {
				return nil, err
			}
			defer drop()
		}
		row, err := gatewayAgainst(ctx, env, target.control, target.rows, n, rounds, slice, bareServer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target.name, err)
		}
		row.What, row.Bar = what, target.bar
		if target.name == "PostgreSQL" {
			row.Note += sharedTrips
		}
		ratio, _ := strconv.ParseFloat(row.Ratio, 64)
		row.OK = ratio >= target.least
		out = append(out, row)
	}
	authorise, err := authoriseFigure(ctx, env)
	if err != nil {
		return nil, err
	}
	return append(out, authorise), nil
}

// other is what the gateway is compared with: a server over the rows of a table,
// and the request that asks it for one row by its key.
type other struct {
	addr, request string
	stop          func()
}

const keyRequest = `{"where":{"公民身份号码":"350102KEYKEYKEY000"}}`

// bareServer answers the gateway's own request.
func bareServer(ctx context.Context, rows, table string) (other, error) {
	plain, done, err := bare(ctx, rows, table)
	if err != nil {
		return other{}, err
	}
	addr, stop, err := serveOn(plain)
	if err != nil {
		done()
		return other{}, err
	}
	return other{addr, "POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(keyRequest)) + "\r\n\r\n" + keyRequest,
		func() { stop(); done() }}, nil
}

// gatewayAgainst measures the gateway and something else over the same rows in turn.
func gatewayAgainst(ctx context.Context, env Env, control, rows string, n, rounds int, slice float64, start func(ctx context.Context, rows, table string) (other, error)) (Row, error) {
	h, err := openGateway(ctx, control, rows, n, 1)
	if err != nil {
		return Row{}, err
	}
	defer h.close()
	door, err := operation.New(operation.Deps{DB: h.d, Log: h.log})
	if err != nil {
		return Row{}, err
	}
	// The access log is written as in production, to a file.
	logFile, err := os.Create(filepath.Join(env.Dir, "access.log"))
	if err != nil {
		return Row{}, err
	}
	defer logFile.Close()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	for _, f := range []func(context.Context) error{h.gw.Run, h.log.Run, h.ids.Run} {
		background.Go(func() { _ = f(run) })
	}
	defer background.Wait()
	defer cancel()
	site := &web.Site{Log: slog.New(slog.NewTextHandler(logFile, nil))}
	ours, stop, err := serveOn(site.Wrap(api.New(api.Deps{Brand: errs.T("平台", "Platform"), Door: door, Clients: h.ids, Gateway: h.gw})))
	if err != nil {
		return Row{}, err
	}
	defer stop()
	table := "r_bench_1"
	if strings.HasPrefix(rows, "postgres") {
		table = "warehouse.r_bench_1"
	}
	theirs, err := start(ctx, rows, table)
	if err != nil {
		return Row{}, err
	}
	defer theirs.stop()
	request := "POST /api/v1/resources/310010100-000001/query HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + h.key +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(keyRequest)) + "\r\n\r\n" + keyRequest
	addrs, files := [2]string{ours, theirs.addr}, [2]string{}
	for i, text := range []string{request, theirs.request} {
		files[i] = filepath.Join(env.Dir, "request"+strconv.Itoa(i))
		if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
			return Row{}, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return Row{}, err
	}
	var p99 [2][]float64
	drive := func(which int, seconds float64) func() (int, time.Duration, error) {
		return func() (int, time.Duration, error) {
			cmd := exec.CommandContext(ctx, self, "load", addrs[which], fmt.Sprint(seconds), strconv.Itoa(n), files[which])
			cmd.Stderr = os.Stderr
			text, err := cmd.Output()
			if err != nil {
				return 0, 0, err
			}
			var requests, bad int
			var tail float64
			if _, err := fmt.Sscan(string(text), &requests, &bad, &tail); err != nil {
				return 0, 0, err
			}
			if bad > 0 || requests == 0 {
				return 0, 0, fmt.Errorf("%d of %d requests failed", bad, requests)
			}
			p99[which] = append(p99[which], tail)
			return requests, time.Duration(seconds * float64(time.Second)), nil
		}
	}
	for which := range addrs { // warm up
		if _, _, err := drive(which, slice/3)(); err != nil {
			return Row{}, err
		}
	}
	p99[0], p99[1] = nil, nil
	own, base, ratio, err := paired(rounds, drive(0, slice), drive(1, slice))
	if err != nil {
		return Row{}, err
	}
	return Row{Against: "bare handler, same SQL", Value: rate(own, "requests/s"), Base: rate(base, "requests/s"), Ratio: fmt.Sprintf("%.2f", ratio),
		Note: fmt.Sprintf("%d connections from a second process, %d rows, %d paired slices of %.1f s; p99 %.1f ms against %.1f ms. One grant, ten columns of which three are masked, key by SM3 digest, an access log line and an audit entry each.",
			loadConns, n, rounds, slice, median(p99[0])/1000, median(p99[1])/1000)}, nil
}

// authoriseFigure times finding and checking the plan at 10,000 grants.
func authoriseFigure(ctx context.Context, env Env) (Row, error) {
	grants := 10_000
	if env.Quick {
		grants = 500
	}
	took, err := authorising(ctx, env, grants)
	return Row{What: fmt.Sprintf("authorise and find the plan at %d grants", grants), Value: took.String(), Bar: "≤ 5 µs", OK: took <= 5*time.Microsecond,
		Note: "No allocation (a test holds at most two)."}, err
}

// authorising is how long finding and checking one plan among so many takes.
func authorising(ctx context.Context, env Env, grants int) (time.Duration, error) {
	name := strconv.Itoa(grants)
	h, err := openGateway(ctx, "sqlite:"+filepath.Join(env.Dir, "authorise"+name+".db"), "sqlite:"+filepath.Join(env.Dir, "authorise-rows"+name+".db"), 0, grants)
	if err != nil {
		return 0, err
	}
	defer h.close()
	run, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { _ = h.gw.Run(run) })
	defer background.Wait()
	defer cancel()
	call := &gateway.Call{Caller: &identity.Caller{Client: identity.APIClient{ID: h.client, Body: "welfare"}}, Resource: gatewayCode}
	if err := h.gw.Sync(ctx); err != nil {
		return 0, err
	}
	const times = 1_000_000
	began := time.Now()
	for range times {
		call.Facts = gateway.Facts{}
		if _, err := h.gw.Authorise(ctx, call, gateway.Query); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / times, nil
}
