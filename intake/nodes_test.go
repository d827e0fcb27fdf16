package intake_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gongshu/catalog"
	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/intake"
	"gongshu/intake/intaketest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// nodes is a world on PostgreSQL with a second node over the same stores.
func nodes(t *testing.T) (w *intaketest.World, other *intake.Service) {
	t.Helper()
	url := dbtest.PostgresURL(t)
	d, err := db.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w = intaketest.Open(t, d, dbtest.PostgresURL(t), "")
	return w, w.Node(t)
}

// manyShops is a file of n shops from a number on; every hundredth lacks its name.
func manyShops(from, n int) string {
	var b strings.Builder
	b.WriteString("编号,名称,开业日期,面积\n")
	for i := range n {
		name := "店"
		if i%100 == 99 {
			name = ""
		}
		fmt.Fprintf(&b, "%06d,%s,2024-01-02,1\n", from+i, name)
	}
	return b.String()
}

// halt stops a service at a point of the way until the returned function is called.
func halt(s *intake.Service, at string) (reached chan struct{}, release func()) {
	reached, open := make(chan struct{}), make(chan struct{})
	first := true
	s.SetPoint(func(name string) error {
		if name == at && first {
			first = false
			close(reached)
			<-open
		}
		return nil
	})
	return reached, func() { close(open) }
}

type loaded struct {
	b   *intake.Batch
	err error
}

func load(ctx context.Context, s *intake.Service, id string) chan loaded {
	out := make(chan loaded, 1)
	go func() { b, err := s.Load(ctx, id); out <- loaded{b, err} }()
	return out
}

func take(t *testing.T, w *intaketest.World, code, file, text string) *intake.Batch {
	t.Helper()
	b, err := w.Intake.Receive(t.Context(), intaketest.Steward(), intake.Upload{Resource: code, FileName: file, Secrecy: intake.Secrecy{Declared: true}, Source: intake.API}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	free(t, w, b.ID) // as if it waited for any node's worker
	return b
}

// Two nodes never load one resource at once, other resources do not wait, and
// both nodes see how far a load has come.
func TestTwoNodesTakeTurns(t *testing.T) {
	clause.Covers(t, "FZM-13")
	w, other := nodes(t)
	r, free := shops(w), w.Table("路灯台账", catalog.Item{Name: "灯杆编号", Code: "pole", Type: "C", Length: 8, Key: true})
	first, second := take(t, w, r.Code, "first.csv", manyShops(0, 5000)), take(t, w, r.Code, "second.csv", manyShops(2500, 5000))
	third := take(t, w, free.Code, "third.csv", "灯杆编号\nA1\nA2\n")
	reached, release := halt(w.Intake, "prepared")
	a := load(t.Context(), w.Intake, first.ID)
	<-reached
	b := load(t.Context(), other, second.ID)
	if c := <-load(t.Context(), other, third.ID); c.err != nil || c.b.State != intake.Done {
		t.Fatalf("another resource waits too: %+v %v", c.b, c.err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		read, good, bad, err := other.Progress(t.Context(), first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if read == 5000 && good == 4950 && bad == 50 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other node sees %d rows read, %d good, %d bad", read, good, bad)
		}
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case got := <-b:
		t.Fatalf("both nodes loaded the resource at once: %+v %v", got.b, got.err)
	default:
	}
	release()
	if got := <-a; got.err != nil || got.b.Inserted != 4950 {
		t.Fatalf("%+v %v", got.b, got.err)
	}
	// The second batch sees what the first stored: its first half comes twice.
	got := <-b
	if got.err != nil || got.b.State != intake.Done || got.b.Accepted != 2475 {
		t.Fatalf("%+v %v", got.b.Receipt(), got.err)
	}
}

// A load is stopped from any node: nothing of it is stored, and the next batch has
// its turn. Once its rows are being committed it is too late.
func TestAStoppedLoadStoresNothing(t *testing.T) {
	w, other := nodes(t)
	r := shops(w)
	b := take(t, w, r.Code, "stop.csv", manyShops(0, 5000))
	reached, release := halt(w.Intake, "checked")
	a := load(t.Context(), w.Intake, b.ID)
	<-reached
	if err := other.Discard(t.Context(), intaketest.Reviewer(), b.ID); !errs.Is(err, errs.Forbidden) {
		t.Errorf("the reviewer stops a load: %v", err)
	}
	if err := other.Discard(t.Context(), intaketest.Steward(), b.ID); err != nil {
		t.Fatal(err)
	}
	release()
	if got := <-a; got.err != nil || got.b.State != intake.Discarded {
		t.Fatalf("%+v %v", got.b, got.err)
	}
	if n, err := w.Warehouse.Count(t.Context(), r.ID); err != nil || n != 0 {
		t.Errorf("%d rows of a stopped batch are stored (%v)", n, err)
	}
	if err := other.Discard(t.Context(), intaketest.Steward(), b.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("stopping it again: %v", err)
	}
	next := take(t, w, r.Code, "next.csv", manyShops(0, 200))
	reached, release = halt(w.Intake, "prepared")
	a = load(t.Context(), w.Intake, next.ID)
	<-reached
	if err := other.Discard(t.Context(), intaketest.Steward(), next.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("stopped while its rows were being committed: %v", err)
	}
	release()
	if got := <-a; got.err != nil || got.b.State != intake.Done || got.b.Accepted != 198 {
		t.Fatalf("%+v %v", got.b, got.err)
	}
}

// A node is killed in the middle of a load: another takes the batch over once the
// lease is over, and not before; its rows are stored once, and the resource is free.
func TestAnotherNodeTakesOver(t *testing.T) {
	clause.Covers(t, "FZM-13")
	dir, control, rows := t.TempDir(), dbtest.PostgresURL(t), dbtest.PostgresURL(t)
	ahead := time.Duration(0)
	r := openNode(t, dir, control, rows, func() time.Time { return time.Now().Add(ahead) })
	defer r.close()
	res := catalogtest.Licences()
	res.Name, res.Items = "店铺登记信息", []catalog.Item{{Name: "编号", Code: "no", Type: "C", Length: 8, Key: true, Grade: 1}, {Name: "名称", Code: "name", Type: "C", Length: 20, Required: true, Grade: 1}}
	table := r.Publish(t, res)
	for round, at := range []string{"block", "prepared", "applied"} {
		ahead = 0
		killed(t, at, round, dir, control, rows, table.Code)
		if err := r.intake.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, _, err := r.intake.List(t.Context(), intake.Filter{Limit: 1})
		if err != nil || list[0].State != intake.Loading {
			t.Fatalf("at %s: taken over while the lease ran: %+v %v", at, list[0], err)
		}
		ahead = 2 * time.Minute
		if err := r.intake.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := r.intake.Get(t.Context(), list[0].ID)
		if err != nil || b.State != intake.Done || b.Inserted != killRows-killRows/100 {
			t.Fatalf("at %s: %+v %v", at, b, err)
		}
		if n, err := r.warehouse.Count(t.Context(), table.ID); err != nil || n != int64(round+1)*(killRows-killRows/100) {
			t.Errorf("at %s: %d rows stored (%v)", at, n, err)
		}
	}
}

// free gives up the hold that the receiving node has on a batch, as when it waits
// for whichever node's worker comes first.
func free(t *testing.T, w *intaketest.World, batch string) {
	t.Helper()
	if err := w.DB.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE intake_batch SET lease_until = 0 WHERE id = $1`, batch)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
