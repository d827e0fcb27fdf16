package intake_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/quality"
	"gongshu/tabular"
)

// TestDiskFullChild is the process whose disk is filled; alone it does nothing.
func TestDiskFullChild(t *testing.T) {
	if os.Getenv("GONGSHU_FULL") == "" {
		t.Skip("runs only as the child of TestDiskFullOnTheWay")
	}
	diskFull(t)
}

// disk gives switches that fill the disk under every store at once, and give room
// again: no file can grow or be written beyond its first byte, as the system sees it.
func disk(t *testing.T) (fill, free func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &had); err != nil {
		t.Fatal(err)
	}
	set := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: had.Max}); err != nil {
			t.Error(err)
		}
	}
	free = func() { set(had.Cur) }
	t.Cleanup(free)
	return func() { set(1) }, free
}

// TestDiskFullOnTheWay fills the disk before a batch comes and at each point of its
// way, through object store, control store and warehouse. What was acknowledged is
// there and finished once there is room, without a new start; what was not can be sent
// again; nothing is applied twice; and the sender is told which of it is the case.
func TestDiskFullOnTheWay(t *testing.T) {
	clause.Covers(t, "FZM-13", "QZ-3.1.7")
	// In a process of its own: the limit holds for every file, those of the test's own
	// making too.
	child := exec.Command(os.Args[0], "-test.run", "^TestDiskFullChild$", "-test.v")
	child.Env = append(os.Environ(), "GONGSHU_FULL=1")
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFullChild/applied") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func diskFull(t *testing.T) {
	fill, free := disk(t)
	w := intaketest.Open(t, dbtest.SQLite(t), "", "")
	r := shops(w)
	const rows, bad = 3000, 30
	want := int64(0)
	for i, at := range append([]string{"before"}, points...) {
		t.Run(at, func(t *testing.T) {
			defer free()
			up := intaketest.Upload(r, "shops.csv")
			up.RequestKey = fmt.Sprint("full-", i)
			file := manyShops(i*rows, rows)
			full := false
			w.Intake.SetPoint(func(name string) error {
				if name == at && !full {
					full = true
					fill()
				}
				return nil
			})
			defer w.Intake.SetPoint(func(string) error { return nil })
			if at == "before" {
				fill()
			}
			b, err := w.Intake.Receive(t.Context(), intaketest.Steward(), up, strings.NewReader(file))
			acknowledged := err == nil
			if acknowledged {
				_, err = w.Intake.Load(t.Context(), b.ID)
			}
			switch {
			case at == "received_receipt":
				if err != nil {
					t.Errorf("a batch with its receipt failed: %v", err)
				}
			case !errs.Is(err, errs.Unavailable):
				t.Errorf("on a full disk: %v", err)
			default:
				e, _ := errs.As(err)
				says := "nothing"
				if acknowledged {
					says = b.ID
				}
				if !strings.Contains(e.Text.EN, says) || !strings.Contains(e.Text.EN, "system administrator") || e.Text.ZH == "" || e.RetryAfter == 0 {
					t.Errorf("acknowledged %v; the sender is told: %s / %s, retry after %d", acknowledged, e.Text.ZH, e.Text.EN, e.RetryAfter)
				}
			}
			// Others learn the same, and what stands can be read.
			if _, err := w.Intake.Receive(t.Context(), intaketest.Steward(), intaketest.Upload(r, "other.csv"), strings.NewReader(manyShops(900000, 10))); !errs.Is(err, errs.Unavailable) {
				t.Errorf("another file on a full disk: %v", err)
			}
			if n, err := w.Warehouse.Count(t.Context(), r.ID); err != nil || n != want && n != want+rows-bad {
				t.Errorf("%d rows can be read on a full disk: %v", n, err)
			}

			free()
			again, err := w.Intake.Receive(t.Context(), intaketest.Steward(), up, strings.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if acknowledged && again.ID != b.ID {
				t.Error("the acknowledged batch is gone")
			}
			if again, err = w.Intake.Await(t.Context(), again.ID); err != nil || again.State != intake.Done || again.Total != rows || again.Rejected != bad || again.Inserted != rows-bad {
				t.Fatalf("with room again: %+v %v", again, err)
			}
			want += rows - bad
			if n, err := w.Warehouse.Count(t.Context(), r.ID); err != nil || n != want {
				t.Errorf("%d rows stored, want %d: %v", n, want, err)
			}
			if _, n, err := w.Intake.Problems(t.Context(), intaketest.Steward(), again.ID, quality.Which{Open: true}, "", 0, 50); err != nil || n != bad {
				t.Errorf("%d problem rows, want %d: %v", n, bad, err)
			}
		})
	}
	// A packed workbook is unpacked to a temporary file: that there is no room for it is
	// no fault of the file.
	t.Run("packed workbook", func(t *testing.T) {
		defer free()
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		rows := tabular.NewBlock()
		for _, cell := range []string{"810001", "甲"} {
			rows.AddString(cell)
		}
		rows.EndRow(1)
		book, err := tabular.NewWriter(z, tabular.XLSX, []tabular.Column{{Name: "编号", Type: 'C'}, {Name: "名称", Type: 'C'}})
		if err := errors.Join(err, book.Write(rows), book.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		b, err := w.Intake.Receive(t.Context(), intaketest.Steward(), intaketest.Upload(r, "shops.xlsx.gz"), &packed)
		if err != nil {
			t.Fatal(err)
		}
		fill()
		if got, err := w.Intake.Load(t.Context(), b.ID); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%+v %v", got, err)
		}
		free()
		if b, err = w.Intake.Await(t.Context(), b.ID); err != nil || b.State != intake.Done || b.Inserted != 1 {
			t.Errorf("%+v %v", b, err)
		}
	})
	page, err := w.Log.Search(t.Context(), audit.Filter{Resource: r.Code, Action: "intake.batch.receipt"}, 0, 200)
	if err != nil || len(page.Records) != len(points)+2 {
		t.Errorf("%d receipts for %d batches: %v", len(page.Records), len(points)+2, err)
	}
	if report, err := audit.VerifyStore(t.Context(), w.DB, audit.VerifyOptions{}); err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v %+v", err, report.Faults)
	}
}
