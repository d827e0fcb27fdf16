package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
)

// platform opens a whole platform and keeps it busy: entries, objects, and pairs
// of writes, the control store first and the warehouse after, as intake does.
func platform(t *testing.T, s stores) (a *app, stop func()) {
	t.Helper()
	a, err := open(t.Context(), s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var pairs *sql.DB
	if s.Database == "" {
		if pairs, err = sql.Open("sqlite", db.SQLiteDSN(s.path("warehouse.db"), "NORMAL")); err != nil {
			t.Fatal(err)
		}
	} else {
		pairs = a.control.SQL()
	}
	if _, err := pairs.Exec(`CREATE TABLE test_pair (n BIGINT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	wait := a.start(ctx, allRoles)
	var load sync.WaitGroup
	busy := func(each func(i int) error) {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := each(i); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		busy(func(i int) error {
			_, err := a.log.Append(ctx, audit.Entry{Action: "test.read", Actor: fmt.Sprint("u", i)})
			return err
		})
	}
	busy(func(i int) error {
		_, err := a.objects.Put(ctx, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 3000*(i%50))))
		return err
	})
	busy(func(i int) error {
		if err := a.control.InTx(ctx, func(tx *db.Tx) error { return db.SetFact(ctx, tx, fmt.Sprint("pair ", i), "x") }); err != nil {
			return err
		}
		_, err := pairs.ExecContext(ctx, `INSERT INTO test_pair (n) VALUES ($1)`, i)
		return err
	})
	return a, func() {
		cancel()
		load.Wait()
		wait()
		if s.Database == "" {
			pairs.Close()
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupUnderLoadRestoresAndVerifies(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24")
	dbtest.EachURL(t, func(t *testing.T, url string) {
		s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}
		args := []string{"--data", s.Data}
		restoreArgs := []string{}
		if strings.HasPrefix(url, "postgres") {
			s.Database = url
			args = append(args, "--database", url)
			restoreArgs = append(restoreArgs, "--database", dbtest.PostgresURL(t))
		}
		a, stop := platform(t, s)
		first, err := a.objects.Put(t.Context(), strings.NewReader("kept before the backup"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		file := filepath.Join(t.TempDir(), "city.backup")
		gongshu(t, 0, append([]string{"backup", "--out", file}, args...)...)
		during, err := a.log.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if info, err := os.Stat(file + ".keys"); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the keys of the backup: %v, %v", info, err)
		}
		target := filepath.Join(t.TempDir(), "restored")
		out := gongshu(t, 0, append([]string{"restore", file, "--data", target}, restoreArgs...)...)
		if !strings.Contains(out, "verifies") {
			t.Errorf("%s", out)
		}
		r := stores{Data: target}
		if len(restoreArgs) > 0 {
			r.Database = restoreArgs[1]
		}
		back, err := open(t.Context(), r, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer back.close()
		// What the log was at the backup is a beginning of what it became.
		head, err := back.log.Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if head.Size >= during.Size && head.Size > during.Size+1 {
			t.Errorf("the backup holds %d entries, there were %d", head.Size, during.Size)
		}
		objects := 0
		if err := back.objects.Walk(t.Context(), func(info blob.Info) error {
			objects++
			f, err := back.objects.Open(t.Context(), info.ID)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(io.Discard, f)
			return err
		}); err != nil || objects < 2 {
			t.Errorf("%d objects, %v", objects, err)
		}
		if f, err := back.objects.Open(t.Context(), first.ID); err != nil {
			t.Errorf("an object from before the backup: %v", err)
		} else {
			f.Close()
		}
		// Nothing stands in the warehouse that the control store does not know of.
		pairs := back.control.SQL()
		if r.Database == "" {
			if pairs, err = sql.Open("sqlite", db.SQLiteDSN(r.path("warehouse.db"), "NORMAL")); err != nil {
				t.Fatal(err)
			}
			defer pairs.Close()
		}
		rows, err := pairs.Query(`SELECT n FROM test_pair`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		var all []int
		for rows.Next() {
			var i int
			if err := rows.Scan(&i); err != nil {
				t.Fatal(err)
			}
			all = append(all, i)
		}
		rows.Close()
		for _, i := range all {
			if fact, err := db.Fact(t.Context(), back.control.Read(), fmt.Sprint("pair ", i)); err != nil || fact == "" {
				t.Fatalf("pair %d is in the warehouse and unknown to the control store, %v", i, err)
			}
			n++
		}
		if n == 0 {
			t.Error("the load wrote no pairs")
		}
		// The restored platform goes on.
		if _, err := back.log.Append(t.Context(), audit.Entry{Action: "test.after"}); err != nil {
			t.Error(err)
		}
	})
}

func TestRestoreRefusals(t *testing.T) {
	s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}
	_, stop := platform(t, s)
	file := filepath.Join(t.TempDir(), "city.backup")
	gongshu(t, 0, "backup", "--data", s.Data, "--out", file)
	stop()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/3] ^= 1
	for name, c := range map[string]struct {
		args []string
		say  string
	}{
		"onto data":    {[]string{"restore", file, "--data", s.Data}, "overwrites nothing"},
		"no keys":      {[]string{"restore", file, "--data", filepath.Join(dir, "a"), "--keys", filepath.Join(dir, "none")}, "keys"},
		"cut off":      {[]string{"restore", write("cut", whole[:len(whole)/2]), "--data", filepath.Join(dir, "b"), "--keys", file + ".keys"}, "damaged"},
		"a bit":        {[]string{"restore", write("bit", flipped), "--data", filepath.Join(dir, "c"), "--keys", file + ".keys"}, "damaged"},
		"junk":         {[]string{"restore", write("junk", []byte("junk")), "--data", filepath.Join(dir, "d"), "--keys", file + ".keys"}, "damaged"},
		"wrong keys":   {[]string{"restore", file, "--data", filepath.Join(dir, "e"), "--keys", file}, "damaged"},
		"wrong target": {[]string{"restore", file, "--data", filepath.Join(dir, "f"), "--database", "postgres://127.0.0.1:1/x"}, "embedded"},
	} {
		if out := gongshu(t, 1, c.args...); !strings.Contains(out, c.say) {
			t.Errorf("%s: %s", name, out)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.restoring"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
