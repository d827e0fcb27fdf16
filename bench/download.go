package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"gongshu/api"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/opendata"
	"gongshu/operation"
	"gongshu/portal"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/warehouse"
)

// The reader is a second process, which is this program again.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "fetch" {
		if err := fetch(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, "fetch:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// fetch reads ADDRESS with the Authorization KEY again and again for SECONDS (once
// at least) and prints the bytes of all answers, how many answers, and the
// microseconds.
func fetch(address, key, seconds string) error {
	least, err := time.ParseDuration(seconds + "s")
	if err != nil {
		return err
	}
	var all, answers int64
	buf := make([]byte, 256<<10)
	began := time.Now()
	for answers == 0 || time.Since(began) < least {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept-Encoding", "identity")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		for {
			n, err := resp.Body.Read(buf)
			all += int64(n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		if len(resp.Trailer) > 0 && resp.Trailer.Get("X-Gongshu-Complete") != "true" {
			return errors.New("the stream is not complete")
		}
		answers++
	}
	fmt.Println(all, answers, time.Since(began).Microseconds())
	return nil
}

// fetching runs the reader in a process of its own; unit is what one answer counts,
// 0 for its bytes.
func fetching(ctx context.Context, address, key string, seconds float64, unit, wantBytes int) func() (int, time.Duration, error) {
	return func() (int, time.Duration, error) {
		self, err := os.Executable()
		if err != nil {
			return 0, 0, err
		}
		cmd := exec.CommandContext(ctx, self, "fetch", address, key, fmt.Sprint(seconds))
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return 0, 0, err
		}
		var all, answers, micros int
		if _, err := fmt.Sscan(string(text), &all, &answers, &micros); err != nil {
			return 0, 0, err
		}
		if wantBytes > 0 && all != answers*wantBytes {
			return 0, 0, fmt.Errorf("%d bytes in %d answers, want %d each", all, answers, wantBytes)
		}
		took := time.Duration(micros) * time.Microsecond
		if unit == 0 {
			return all, took, nil
		}
		return answers * unit, took, nil
	}
}

// flat runs f and says by how much the program's memory grew meanwhile, in MB.
func flat(f func() error) (grown int64, err error) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	// Collected often: else garbage may grow to the size of what this program itself
	// holds, such as the rows of the other side.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	peak, err := watch(f)
	return max(int64(peak)-int64(before.HeapInuse+before.StackInuse), 0) >> 20, err
}

func memoryRow(what string, grown int64) Row {
	return Row{What: "memory: " + what, Value: fmt.Sprintf("%d MB above rest", grown), Bar: "± 64 MB", OK: grown <= 64}
}

// downloadFigures measures what leaves in bulk: stored files of open data against a
// bare http.ServeContent of the same bytes, and `obtain` of live rows against COPY TO.
func downloadFigures(ctx context.Context, env Env) ([]Row, error) {
	rows, err := openFile(ctx, env)
	if err != nil {
		return rows, err
	}
	n := 1_000_000
	if env.Quick {
		n = 100_000
	}
	if env.Postgres == "" {
		rows = append(rows, Row{What: "obtain of live rows, PostgreSQL", Note: "not measured: no server."})
	} else {
		control, drop, err := newDatabase(ctx, env.Postgres)
		if err != nil {
			return rows, err
		}
		defer drop()
		data, drop2, err := newDatabase(ctx, env.Postgres)
		if err != nil {
			return rows, err
		}
		defer drop2()
		more, err := obtainRows(ctx, env, "PostgreSQL", control, data, n)
		if rows = append(rows, more...); err != nil {
			return rows, err
		}
	}
	more, err := obtainRows(ctx, env, "embedded", "sqlite:"+filepath.Join(env.Dir, "obtain.db"), "sqlite:"+filepath.Join(env.Dir, "obtain-rows.db"), n)
	return append(rows, more...), err
}

// openFile downloads a file from the portal, with its access log, headers and
// counters, and from a handler that does nothing but http.ServeContent.
func openFile(ctx context.Context, env Env) ([]Row, error) {
	size, rounds, seconds := int64(1<<30), 5, 2.0
	if env.Quick {
		size, rounds, seconds = 256<<20, 2, 0.5
	}
	dir := filepath.Join(env.Dir, "open")
	h, err := openHouse(ctx, "sqlite:"+filepath.Join(env.Dir, "download.db"), "sqlite:"+filepath.Join(env.Dir, "download-rows.db"), env.Dir)
	if err != nil {
		return nil, err
	}
	defer h.close()
	store, err := opendata.OpenAt(ctx, "sqlite:"+filepath.Join(env.Dir, "open.db"), dir)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	p, err := profile.Load("fuzhou")
	if err != nil {
		return nil, err
	}
	keys, err := privacy.NewSoftKeys(make([]byte, 32), false)
	if err != nil {
		return nil, err
	}
	opening, err := opendata.New(opendata.Deps{DB: h.db, Door: h.door, Log: h.log, Catalog: h.catalog, Warehouse: h.warehouse, Open: store, Keys: keys,
		Profile:  func() *profile.Profile { return p },
		District: func(context.Context, string) (string, error) { return "350100", nil }})
	if err != nil {
		return nil, err
	}
	r, err := h.table(ctx)
	if err != nil {
		return nil, err
	}
	data := makeRows(1000, 0, "")
	if _, _, err := h.send(ctx, r, warehouse.Append, benchFile(data), data.n); err != nil {
		return nil, err
	}
	treatments := opendata.DefaultTreatments(r)
	for i := range treatments {
		if r.Items[i].Name == "联系电话" {
			treatments[i].Do = opendata.Omit
		}
	}
	if _, err := opening.Assess(ctx, benchActor(identity.Steward), r.Code, opendata.Assessment{Secrecy: true, SecrecyRecord: "1", Treatments: treatments, Risk: opendata.Low, Risks: "无"}); err != nil {
		return nil, err
	}
	entry, err := opening.Publish(ctx, benchActor(identity.AuthorityReviewer), r.Code)
	if err != nil {
		return nil, err
	}
	if err := opening.Build(ctx, r.ID); err != nil {
		return nil, err
	}
	d, err := store.BySlug(ctx, entry.Slug)
	if err != nil {
		return nil, err
	}
	// A published file, made large where it lies: what is measured is the way out.
	file, _, err := store.OpenFile(ctx, d, 0, "csv")
	if err != nil {
		return nil, err
	}
	file.Close()
	path := filepath.Join(dir, d.ID, fmt.Sprint(d.Version), "data.csv")
	out, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	text := makeRows(50_000, 0, "").csv
	for left := size; left > 0; {
		n, err := out.Write(text[:min(int64(len(text)), left)])
		if err != nil {
			return nil, err
		}
		left -= int64(n)
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(env.Dir, "portal.log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, nil))
	brand := errs.T("平台", "Platform")
	ours, stop, err := serveOn((&web.Site{Log: log}).Wrap(portal.New(portal.Deps{City: brand, Brand: brand, Profile: p, Log: log, Open: store})))
	if err != nil {
		return nil, err
	}
	defer stop()
	theirs, stop2, err := serveOn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer f.Close()
		http.ServeContent(w, r, "data.csv", time.Time{}, f)
	}))
	if err != nil {
		return nil, err
	}
	defer stop2()
	fromUs := fetching(ctx, "http://"+ours+"/datasets/"+d.Slug+"/files/csv", "", seconds, 0, int(size))
	fromThem := fetching(ctx, "http://"+theirs+"/", "", seconds, 0, int(size))
	var own, base, ratio float64
	grown, err := flat(func() (err error) {
		own, base, ratio, err = paired(rounds, fromUs, fromThem)
		return err
	})
	if err != nil {
		return nil, err
	}
	row := compared(fmt.Sprintf("open download of a stored file of %d MB", size>>20), "bare http.ServeContent of the same bytes", "MB/s", 0.9, own/1e6, base/1e6, ratio)
	row.Note = "One reader in a second process, over the loopback, the file in the system's cache: with the access log, headers and counters of the portal."
	return []Row{row, memoryRow(fmt.Sprintf("while files of %d MB are read", size>>20), grown)}, nil
}

// obtainRows streams live rows through the data service, whole, with its audit
// entries, watermark and checksum.
func obtainRows(ctx context.Context, env Env, name, control, rows string, n int) ([]Row, error) {
	rounds, seconds := 5, 1.0
	if env.Quick {
		rounds, seconds = 2, 0.3
	}
	h, err := openGateway(ctx, control, rows, n, 0)
	if err != nil {
		return nil, err
	}
	defer h.close()
	door, err := operation.New(operation.Deps{DB: h.d, Log: h.log})
	if err != nil {
		return nil, err
	}
	src := gatewaySource()
	grants := map[bool]string{}
	if err := h.d.InTx(ctx, func(tx *db.Tx) error {
		for _, masked := range []bool{false, true} {
			spec := gateway.GrantSpec{Resource: gatewayCode, Client: "welfare", Mode: gateway.Obtain, Purposes: []string{"低保核验"}, Users: []string{"林小敏"}, Approver: "陈主任",
				CaseNo: "数享2号", Expires: time.Now().Add(24 * time.Hour), PerSecond: 1 << 30}
			for _, it := range src.Items {
				g := gateway.GrantItem{Name: it.Name, Unmasked: !masked}
				if masked && it.Personal == privacy.KindResidentID {
					g.Mask = "fpe" // the dear one: ten SM4 blocks a value
				}
				spec.Items = append(spec.Items, g)
			}
			grant, err := h.gw.CreateGrantTx(ctx, tx, spec)
			if err != nil {
				return err
			}
			grants[masked] = grant.ID
		}
		return nil
	}); err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(env.Dir, "obtain.log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, f := range []func(context.Context) error{h.gw.Run, h.log.Run, h.ids.Run} {
		go f(run)
	}
	if err := h.gw.Sync(ctx); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(logFile, nil))
	service := (&web.Site{Log: log}).Wrap(api.New(api.Deps{Brand: errs.T("平台", "Platform"), Door: door, Clients: h.ids, Gateway: h.gw, Log: log}))
	addr := map[bool]string{}
	for masked, grant := range grants {
		a, stop, err := serveOn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Gongshu-Grant", grant)
			service.ServeHTTP(w, r)
		}))
		if err != nil {
			return nil, err
		}
		defer stop()
		addr[masked] = "http://" + a + "/api/v1/resources/" + strings.Replace(gatewayCode, "/", "-", 1) + "/rows?format=csv"
	}
	plain := fetching(ctx, addr[false], h.key, seconds, n, 0)
	masked := fetching(ctx, addr[true], h.key, seconds, n, 0)
	var out []Row
	against := func(what string, ours func() (int, time.Duration, error), copyTo func() (int, time.Duration, error), least float64) error {
		var own, base, ratio float64
		grown, err := flat(func() (err error) {
			if copyTo == nil {
				count, took, err := ours()
				own = float64(count) / took.Seconds()
				return err
			}
			own, base, ratio, err = paired(rounds, ours, copyTo)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		row := Row{What: what, Value: rate(own, "rows/s")}
		if copyTo != nil {
			row = compared(what, "COPY TO as CSV of the same rows", "rows/s", least, own, base, ratio)
		}
		row.Note = fmt.Sprintf("%d rows of ten columns over HTTP to a second process, with audit entries, watermark and checksum.", n)
		out = append(out, row, memoryRow(what, grown))
		return nil
	}
	if name == "embedded" {
		return out, errors.Join(against("obtain of live rows as CSV, embedded", plain, nil, 0))
	}
	pool, err := pgxpool.New(ctx, rows)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	copyTo := func() (int, time.Duration, error) {
		c, err := pool.Acquire(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer c.Release()
		began := time.Now()
		tag, err := c.Conn().PgConn().CopyTo(ctx, io.Discard, "COPY (SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 FROM warehouse.r_bench_1) TO STDOUT (FORMAT csv)")
		return int(tag.RowsAffected()), time.Since(began), err
	}
	return out, errors.Join(against("obtain of live rows as CSV, PostgreSQL", plain, copyTo, 0.6),
		against("the same, name, address and phone masked, ID by FF1 over SM4", masked, copyTo, 0))
}
