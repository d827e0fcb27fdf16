package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

func TestTransactions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		ran := false
		if err := d.InTx(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { ran = true })
			return db.SetFact(ctx, tx, "city", "甲市")
		}); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Fact(ctx, d.Read(), "city"); err != nil || got != "甲市" || !ran {
			t.Fatalf("got %q, %v, after-commit ran %v", got, err, ran)
		}
		fault := errors.New("no")
		ran = false
		err := d.InTx(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { ran = true })
			if err := db.SetFact(ctx, tx, "city", "乙市"); err != nil {
				return err
			}
			return fault
		})
		if !errors.Is(err, fault) || ran {
			t.Fatalf("got %v, after-commit ran %v", err, ran)
		}
		if got, _ := db.Fact(ctx, d.Read(), "city"); got != "甲市" {
			t.Errorf("a failed transaction left %q", got)
		}
		if got, err := db.Fact(ctx, d.Read(), "nothing"); got != "" || err != nil {
			t.Errorf("an absent fact gave %q, %v", got, err)
		}
	})
}

func TestSnapshotAgreesWithItself(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		set := func(value string) {
			if err := d.InTx(ctx, func(tx *db.Tx) error { return db.SetFact(ctx, tx, "k", value) }); err != nil {
				t.Fatal(err)
			}
		}
		set("1")
		if err := d.Snapshot(ctx, func(q db.Querier) error {
			before, err := db.Fact(ctx, q, "k")
			if err != nil {
				return err
			}
			set("2")
			after, err := db.Fact(ctx, q, "k")
			if before != "1" || after != "1" {
				t.Errorf("snapshot saw %q then %q", before, after)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read().Exec(ctx, "DELETE FROM db_fact"); err == nil {
			t.Error("the reading side wrote")
		}
	})
}

func TestErrorsAreClassified(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		err := d.InTx(ctx, func(tx *db.Tx) error {
			for range 2 {
				if _, err := tx.Exec(ctx, `INSERT INTO db_fact (key, value) VALUES ('a', 'b')`); err != nil {
					return err
				}
			}
			return nil
		})
		if !db.IsUnique(err) || errs.KindOf(err) != errs.Internal {
			t.Errorf("a repeated key gave %v", err)
		}
		d.Close()
		err = d.InTx(context.Background(), func(tx *db.Tx) error { return nil })
		if err == nil {
			t.Error("a closed store took a transaction")
		}
	})
}

func TestBytesAndBooleansRoundTrip(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		err := d.InTx(ctx, func(tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `CREATE TABLE db_kind (a BYTEA, b BOOLEAN, c DOUBLE PRECISION, d BIGINT, e TEXT)`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO db_kind VALUES ($1, $2, $3, $4, $5)`, []byte{0, 255, 10}, true, 1.5, int64(1)<<62, "007")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var a []byte
		var b bool
		var c float64
		var n int64
		var s string
		if err := d.Read().QueryRow(ctx, `SELECT a, b, c, d, e FROM db_kind WHERE b`).Scan(&a, &b, &c, &n, &s); err != nil {
			t.Fatal(err)
		}
		if string(a) != "\x00\xff\n" || !b || c != 1.5 || n != 1<<62 || s != "007" {
			t.Errorf("got %v %v %v %v %q", a, b, c, n, s)
		}
		if !db.Time(0).IsZero() || db.Ms(time.Time{}) != 0 || db.Time(db.Ms(time.UnixMilli(1234))).UnixMilli() != 1234 {
			t.Error("times do not round-trip")
		}
	})
}

// A text that people type is looked for as it stands, also where it has the signs that
// LIKE gives a meaning of its own, and the same on both databases.
func TestTextIsLookedForAsItStands(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		if err := d.InTx(ctx, func(tx *db.Tx) error {
			for _, v := range []string{"100%", "1000", "a_b", "aXb", `c\d`, "Ab 行"} {
				if err := db.SetFact(ctx, tx, v, "x"); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			where func(w *db.Where)
			want  string
		}{
			{func(w *db.Where) { w.Contains("0%", "value", "key") }, "100%"},
			{func(w *db.Where) { w.Contains("A_B", "value", "key") }, "a_b"},
			{func(w *db.Where) { w.Contains(`\`, "key") }, `c\d`},
			{func(w *db.Where) { w.Contains("b 行", "key") }, "Ab 行"},
			{func(w *db.Where) { w.Add("value = ?", "x"); w.Contains("100", "key") }, "100% 1000"},
			{func(w *db.Where) { w.Starts("A_", "key") }, "a_b"},
			{func(w *db.Where) { w.Starts("00", "key") }, ""},
			{func(w *db.Where) { w.Add("value = ?", "none"); w.Starts("", "key"); w.Contains("", "key") }, ""},
		} {
			var w db.Where
			c.where(&w)
			got, err := db.Values[string](ctx, d.Read(), `SELECT key FROM db_fact`+w.String()+` ORDER BY key`, w.Args...)
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%s %v: %q (%v), want %q", w.String(), w.Args, got, err, c.want)
			}
		}
	})
}
