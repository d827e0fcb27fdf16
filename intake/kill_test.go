package intake_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/casework"
	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/quality"
	"gongshu/warehouse"
)

// points are the gaps between the two stores and around them, in order.
var points = []string{"stored", "received", "block", "checked", "prepared", "applied", "received_receipt"}

// anywhere stands for a moment that is left to chance.
const anywhere = "anywhere"

// rig opens everything over a folder, as a process does when it starts.
type rig struct {
	*catalogtest.World
	intake    *intake.Service
	quality   *quality.Service
	warehouse *warehouse.Store
	close     func()
}

func openRig(t *testing.T, dir string) *rig {
	t.Helper()
	return openNode(t, dir, "sqlite:"+filepath.Join(dir, "control.db"), "sqlite:"+filepath.Join(dir, "warehouse.db"), nil)
}

// openNode is openRig over stores that other nodes may share; now is its clock, or
// nil for the real one of the only node.
func openNode(t *testing.T, dir, control, rows string, now func() time.Time) *rig {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := db.Open(ctx, control)
	must(err)
	must(d.Migrate(ctx))
	keys, err := audit.LoadKeys(filepath.Join(dir, "keys"), "kill-test")
	must(err)
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	must(err)
	door, err := operation.New(operation.Deps{DB: d, Log: log})
	must(err)
	house, err := warehouse.Open(ctx, rows)
	must(err)
	master, err := blob.LoadMaster(filepath.Join(dir, "master.key"), blob.AES256GCM)
	must(err)
	blobs, err := blob.Open(filepath.Join(dir, "objects"), master, blob.AES256GCM)
	must(err)
	p, err := profile.Load("fuzhou")
	must(err)
	policy := catalog.PolicyFrom(p, time.Now())
	body := func(_ context.Context, id string) (catalog.Body, error) {
		if id == catalogtest.Market.ID {
			return catalogtest.Market, nil
		}
		return catalogtest.Authority, nil
	}
	cases := casework.New(casework.Deps{DB: d, Door: door})
	c := catalog.New(catalog.Deps{DB: d, Door: door, Cases: cases, AuthorityFor: catalogtest.AuthorityFor, Policy: func() *catalog.Policy { return policy }, Body: body, Tables: intake.Tables{Warehouse: house}})
	q := quality.New(d, blobs)
	s, err := intake.New(intake.Deps{DB: d, Door: door, Log: log, Blobs: blobs, Catalog: c, Warehouse: house, Quality: q, Body: body, Alone: now == nil, Now: now})
	must(err)
	return &rig{World: &catalogtest.World{DB: d, Door: door, Log: log, Cases: cases, Catalog: c, Policy: policy}, intake: s, quality: q, warehouse: house,
		close: func() { log.Close(); house.Close(); blobs.Close(); d.Close() }}
}

const killRows = 3000 // of a batch; every hundredth lacks its name

func killFile(round int) string {
	var b strings.Builder
	b.WriteString("编号,名称\n")
	for i := range killRows {
		name := "店"
		if i%100 == 99 {
			name = ""
		}
		fmt.Fprintf(&b, "%04d%04d,%s\n", round, i, name)
	}
	return b.String()
}

func killUpload(code string, round int) intake.Upload {
	return intake.Upload{Resource: code, FileName: "k.csv", RequestKey: fmt.Sprint("round-", round), Secrecy: intake.Secrecy{Declared: true}}
}

// TestKillChild is the process that is killed; alone it does nothing.
func TestKillChild(t *testing.T) {
	dir := os.Getenv("GONGSHU_KILL_DIR")
	if dir == "" {
		t.Skip("runs only as the child of TestKillInEveryGap")
	}
	round, err := strconv.Atoi(os.Getenv("GONGSHU_KILL_ROUND"))
	if err != nil {
		t.Fatal(err)
	}
	r := openNode(t, dir, os.Getenv("GONGSHU_KILL_CONTROL"), os.Getenv("GONGSHU_KILL_ROWS"), time.Now)
	die := func() {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	at := os.Getenv("GONGSHU_KILL_AT")
	r.intake.SetPoint(func(name string) error {
		if name == at {
			die()
		}
		return nil
	})
	if at == anywhere {
		time.AfterFunc(time.Duration(rand.Int64N(int64(150*time.Millisecond))), die)
	}
	b, err := r.intake.Receive(t.Context(), intaketest.Steward(), killUpload(os.Getenv("GONGSHU_KILL_CODE"), round), strings.NewReader(killFile(round)))
	if err == nil {
		_, err = r.intake.Load(t.Context(), b.ID)
	}
	if at == anywhere && err == nil {
		die() // the whole batch was faster
	}
	t.Fatalf("was not killed at %s: %v", os.Getenv("GONGSHU_KILL_AT"), err)
}

// killed runs a process that receives and loads a batch, until it is killed at a point.
func killed(t *testing.T, at string, round int, dir, control, rows, code string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^TestKillChild$")
	child.Env = append(os.Environ(), "GONGSHU_KILL_DIR="+dir, "GONGSHU_KILL_CONTROL="+control, "GONGSHU_KILL_ROWS="+rows,
		"GONGSHU_KILL_AT="+at, "GONGSHU_KILL_ROUND="+fmt.Sprint(round), "GONGSHU_KILL_CODE="+code)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	err := child.Run()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("round %d at %s: the child was not killed: %v\n%s", round, at, err, out.String())
	}
}

// TestKillInEveryGap kills the process with SIGKILL in each gap of the way of a
// batch and, every other time, at a moment left to chance: 50 times, 1,000 in make
// soak. It starts it again, and finds every batch applied exactly once, its bad rows
// kept, one receipt each.
func TestKillInEveryGap(t *testing.T) {
	clause.Covers(t, "FZM-13", "QZ-3.1.7")
	if testing.Short() {
		t.Skip("50 processes")
	}
	dir := t.TempDir()
	r := openRig(t, dir)
	res := catalogtest.Licences()
	res.Name, res.Items = "店铺登记信息", []catalog.Item{{Name: "编号", Code: "no", Type: "C", Length: 8, Key: true, Grade: 1}, {Name: "名称", Code: "name", Type: "C", Length: 20, Required: true, Grade: 1}}
	table := r.Publish(t, res)
	r.close()
	rounds := 50
	if os.Getenv("GONGSHU_SOAK") != "" {
		rounds = 1000
	}
	const bad = killRows / 100
	for round := range rounds {
		at := anywhere
		if round%2 == 0 {
			at = points[round/2%len(points)]
		}
		killed(t, at, round, dir, "sqlite:"+filepath.Join(dir, "control.db"), "sqlite:"+filepath.Join(dir, "warehouse.db"), table.Code)
		r := openRig(t, dir)
		if err := r.intake.Reconcile(t.Context()); err != nil {
			t.Fatalf("round %d at %s: %v", round, at, err)
		}
		// The sender, who got no receipt, sends again under the same key.
		b, err := r.intake.Receive(t.Context(), intaketest.Steward(), killUpload(table.Code, round), strings.NewReader(killFile(round)))
		if err == nil {
			b, err = r.intake.Await(t.Context(), b.ID)
		}
		if err != nil || b.State != intake.Done || b.Total != killRows || b.Rejected != bad || b.Accepted != killRows-bad || b.Inserted != b.Accepted {
			t.Fatalf("round %d at %s: %+v %v", round, at, b, err)
		}
		n, err := r.warehouse.Count(t.Context(), table.ID)
		if want := int64((round + 1) * (killRows - bad)); err != nil || n != want {
			t.Fatalf("round %d at %s: %d rows stored, want %d (%v)", round, at, n, want, err)
		}
		rows, total, err := r.quality.Page(t.Context(), b.ID, quality.Which{Open: true}, "", 0, 100)
		if err != nil || total != bad || len(rows) != bad || rows[0].Row != 101 {
			t.Fatalf("round %d at %s: %d problem rows of %d (%v)", round, at, len(rows), total, err)
		}
		if r.intake.AuditIndex(t.Context(), b) < 0 {
			t.Errorf("round %d at %s: the receipt has no place in the log", round, at)
		}
		r.close()
	}
	r = openRig(t, dir)
	defer r.close()
	receipts := map[string]int{}
	for cursor := int64(0); ; {
		page, err := r.Log.Search(t.Context(), audit.Filter{Resource: table.Code, Action: "intake.batch.receipt"}, cursor, 200)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			receipts[rec.Entry.Target]++
		}
		if cursor = page.Next; cursor == 0 {
			break
		}
	}
	all, total, err := r.intake.List(t.Context(), intake.Filter{Limit: rounds + 1})
	if err != nil || total != rounds || len(receipts) != rounds {
		t.Errorf("%d batches with %d receipts for %d rounds: %v", total, len(receipts), rounds, err)
	}
	for _, b := range all {
		if receipts[b.ID] != 1 {
			t.Errorf("batch %s has %d receipts", b.ID, receipts[b.ID])
		}
	}
	if _, err := r.intake.Get(t.Context(), "none"); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}
