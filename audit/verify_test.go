package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// sealed is a log of some entries under several checkpoints, and a tail of three
// that no checkpoint covers.
type sealed struct {
	d     *db.DB
	l     *audit.Log
	keys  audit.Keys
	known note.Verifiers
	size  int64 // covered by the newest checkpoint
	early audit.Checkpoint
}

func seal(t testing.TB, d *db.DB, total int) *sealed {
	t.Helper()
	ctx := t.Context()
	keys, err := audit.GenerateKeys("test-log")
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &sealed{d: d, l: l, keys: keys}
	if s.known, _, err = audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n")); err != nil {
		t.Fatal(err)
	}
	s.add(t, total/3)
	if s.early, err = l.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	s.add(t, total/3)
	if _, err := l.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	s.add(t, total-2*(total/3)-1)
	c, err := l.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.size = c.Size
	s.add(t, 3)
	return s
}

func (s *sealed) add(t testing.TB, n int) {
	t.Helper()
	if err := s.d.InTx(context.Background(), func(tx *db.Tx) error {
		var list []audit.Entry
		for i := range n {
			list = append(list, entry(i))
		}
		_, err := s.l.AppendTx(context.Background(), tx, list...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// tamper runs statements as somebody who has the database and no program.
func (s *sealed) tamper(t testing.TB, statements ...string) {
	t.Helper()
	ctx := context.Background()
	if err := s.d.InTx(ctx, func(tx *db.Tx) error {
		if s.d.Dialect == db.Postgres {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
		} else {
			rows, err := tx.Query(ctx, `SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'`)
			if err != nil {
				return err
			}
			var names []string
			for rows.Next() {
				var name string
				if err := rows.Scan(&name); err != nil {
					return err
				}
				names = append(names, name)
			}
			rows.Close()
			for _, name := range names {
				if _, err := tx.Exec(ctx, `DROP TRIGGER `+name); err != nil {
					return err
				}
			}
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *sealed) verify(t testing.TB, earlier ...string) audit.Report {
	t.Helper()
	r, err := audit.VerifyStore(context.Background(), s.d, audit.VerifyOptions{Known: s.known, Earlier: earlier})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func faults(r audit.Report) string {
	var b strings.Builder
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "\n  [%d,%d) %s", f.Seq, f.To, f.Text.EN)
	}
	return b.String()
}

// leafOf computes the leaf hash in SQL's reach: Go makes it, the statement carries it.
func hexBlob(d *db.DB, b []byte) string {
	if d.Dialect == db.Postgres {
		return fmt.Sprintf(`'\x%x'::bytea`, b)
	}
	return fmt.Sprintf(`x'%x'`, b)
}

const total = 900

func TestVerifyAcceptsAnUntouchedLog(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24", "FZM-29", "FS-42")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, total)
		r := s.verify(t, s.early.Note)
		if !r.OK() || r.To != s.size+3 || r.Sealed != s.size || r.Entries != s.size+3 || r.Checkpoints != 4 {
			t.Errorf("%+v%s", r, faults(r))
		}
		if _, err := s.l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := s.verify(t); !r.OK() || r.Sealed != s.size+3 {
			t.Errorf("%+v%s", r, faults(r))
		}
	})
}

func TestVerifyNamesTheFirstBadEntry(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24", "FZM-8", "FZO-3")
	forged := `{"action":"gateway.query","actor":"somebody else","at":"2026-01-01T00:00:00.000Z","id":"x","outcome":"ok"}`
	leaf := leafHash(forged)
	cases := []struct {
		name       string
		statements func(s *sealed) []string
		first      func(s *sealed) int64 // -1: no entry is bad, yet something is
	}{
		{"content edited", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET content = '` + forged + `' WHERE seq = 700`}
		}, at(700)},
		{"one letter edited", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET content = replace(content, 'client-1', 'client-2') WHERE seq = 2`}
		}, at(2)},
		{"content and leaf edited", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET leaf = ` + hexBlob(s.d, leaf) + `, content = '` + forged + `' WHERE seq = 700`}
		}, at(700)},
		{"content, leaf and tile edited", func(s *sealed) []string {
			at := (700 - 512) * 32
			return []string{`UPDATE audit_entry SET leaf = ` + hexBlob(s.d, leaf) + `, content = '` + forged + `' WHERE seq = 700`,
				fmt.Sprintf(`UPDATE audit_tile SET data = substr(data, 1, %d) || %s || substr(data, %d) WHERE level = 0 AND n = 2`, at, hexBlob(s.d, leaf), at+33)}
		}, func(s *sealed) int64 { return 2*s.early.Size - 1 }}, // between two checkpoints is all that can be told
		{"leaf edited", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET leaf = ` + hexBlob(s.d, leaf) + ` WHERE seq = 30`}
		}, at(30)},
		{"row deleted", func(s *sealed) []string { return []string{`DELETE FROM audit_entry WHERE seq = 513`} }, at(513)},
		{"last sealed row deleted", func(s *sealed) []string {
			return []string{fmt.Sprintf(`DELETE FROM audit_entry WHERE seq = %d`, s.size-1)}
		}, func(s *sealed) int64 { return s.size - 1 }},
		{"last row deleted", func(s *sealed) []string {
			return []string{fmt.Sprintf(`DELETE FROM audit_entry WHERE seq = %d`, s.size+2)}
		}, func(s *sealed) int64 { return s.size + 2 }},
		{"content removed", func(s *sealed) []string { return []string{`UPDATE audit_entry SET content = NULL WHERE seq = 40`} }, at(40)},
		{"content removed under a forged bound", func(s *sealed) []string {
			return []string{`UPDATE audit_prune SET until = 256`, `UPDATE audit_entry SET content = NULL WHERE seq < 256`}
		}, at(0)},
		{"two rows swapped", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET seq = -7 WHERE seq = 100`, `UPDATE audit_entry SET seq = 100 WHERE seq = 101`, `UPDATE audit_entry SET seq = 101 WHERE seq = -7`}
		}, at(100)},
		{"a row moved out and the rest moved up", func(s *sealed) []string {
			return []string{`DELETE FROM audit_entry WHERE seq = 10`,
				`UPDATE audit_entry SET seq = -seq WHERE seq > 10`, `UPDATE audit_entry SET seq = -seq - 1 WHERE seq < 0`,
				`UPDATE audit_head SET size = size - 1`}
		}, at(10)},
		{"a row put in", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET seq = -seq WHERE seq >= 600`, `UPDATE audit_entry SET seq = -seq + 1 WHERE seq < 0`,
				`INSERT INTO audit_entry (seq, leaf, content) VALUES (600, ` + hexBlob(s.d, leaf) + `, '` + forged + `')`,
				`UPDATE audit_head SET size = size + 1`}
		}, at(600)},
		{"a row put in at the end", func(s *sealed) []string {
			return []string{fmt.Sprintf(`INSERT INTO audit_entry (seq, leaf, content) VALUES (%d, %s, '%s')`, s.size+3, hexBlob(s.d, leaf), forged)}
		}, func(s *sealed) int64 { return s.size + 3 }},
		{"a row put in before the beginning", func(s *sealed) []string {
			return []string{`INSERT INTO audit_entry (seq, leaf, content) VALUES (-1, ` + hexBlob(s.d, leaf) + `, '` + forged + `')`}
		}, at(0)},
		{"unsealed content edited", func(s *sealed) []string {
			return []string{fmt.Sprintf(`UPDATE audit_entry SET content = '%s' WHERE seq = %d`, forged, s.size+1)}
		}, func(s *sealed) int64 { return s.size + 1 }},
		{"two edits, the later first", func(s *sealed) []string {
			return []string{`UPDATE audit_entry SET content = '` + forged + `' WHERE seq = 800`, `UPDATE audit_entry SET content = '` + forged + `' WHERE seq = 333`}
		}, at(333)},
		{"tile edited", func(s *sealed) []string {
			return []string{`UPDATE audit_tile SET data = ` + hexBlob(s.d, leaf) + ` || substr(data, 33) WHERE level = 0 AND n = 1`}
		}, at(-1)},
		{"tile at the edge edited", func(s *sealed) []string {
			return []string{`UPDATE audit_tile SET data = ` + hexBlob(s.d, leaf) + ` || substr(data, 33) WHERE level = 0 AND n = 3`}
		}, at(-1)},
		{"upper tile edited", func(s *sealed) []string {
			return []string{`UPDATE audit_tile SET data = ` + hexBlob(s.d, leaf) + ` || substr(data, 33) WHERE level = 1`}
		}, at(-1)},
		{"tile deleted", func(s *sealed) []string { return []string{`DELETE FROM audit_tile WHERE level = 0 AND n = 0`} }, at(-1)},
		{"checkpoint edited", func(s *sealed) []string {
			return []string{fmt.Sprintf(`UPDATE audit_checkpoint SET note = replace(note, '%d', '%d') WHERE size = %d`, s.early.Size, s.early.Size-1, s.early.Size)}
		}, at(-1)},
		{"newest checkpoint deleted", func(s *sealed) []string {
			return []string{fmt.Sprintf(`DELETE FROM audit_checkpoint WHERE size = %d`, s.size)}
		}, func(s *sealed) int64 { return 2*s.early.Size - 1 }},
		{"first checkpoint deleted", func(s *sealed) []string {
			return []string{fmt.Sprintf(`DELETE FROM audit_checkpoint WHERE size = %d`, s.early.Size)}
		}, at(-1)},
		{"middle checkpoint deleted", func(s *sealed) []string {
			return []string{fmt.Sprintf(`DELETE FROM audit_checkpoint WHERE size > %d AND size < %d`, s.early.Size, s.size)}
		}, at(-1)},
		{"checkpoint's time edited", func(s *sealed) []string {
			return []string{fmt.Sprintf(`UPDATE audit_checkpoint SET at = at - 86400000 WHERE size = %d`, s.early.Size)}
		}, at(-1)},
		{"checkpoint filed under another size", func(s *sealed) []string {
			return []string{fmt.Sprintf(`UPDATE audit_checkpoint SET size = size + 1 WHERE size = %d`, s.early.Size)}
		}, at(-1)},
		{"checkpoint's signed time edited", func(s *sealed) []string {
			return []string{fmt.Sprintf(`UPDATE audit_checkpoint SET note = replace(note, 'at 20', 'at 19') WHERE size = %d`, s.early.Size)}
		}, at(-1)},
		{"search index thinned", func(s *sealed) []string {
			return []string{`DELETE FROM audit_index WHERE field = 'grant' AND value = 'grant-1' AND block = 1`}
		}, at(-1)},
		{"search index padded", func(s *sealed) []string {
			return []string{`INSERT INTO audit_index (field, value, block) VALUES ('case', 'x', 1)`}
		}, at(-1)},
		{"time span edited", func(s *sealed) []string { return []string{`UPDATE audit_block SET last_at = last_at - 1 WHERE n = 0`} }, at(-1)},
		{"tree set back", func(s *sealed) []string { return []string{`UPDATE audit_tree SET size = 300`} }, at(-1)},
		{"count set back", func(s *sealed) []string { return []string{`UPDATE audit_head SET size = size - 1`} },
			func(s *sealed) int64 { return s.size + 2 }},
		{"count raised", func(s *sealed) []string { return []string{`UPDATE audit_head SET size = size + 1`} },
			func(s *sealed) int64 { return s.size + 3 }},
	}
	dbtest.EachURL(t, func(t *testing.T, target string) {
		original := sealAt(t, target)
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s := original.copy(t, target, i)
				s.tamper(t, c.statements(s)...)
				r := s.verify(t)
				if want := c.first(s); r.OK() || r.FirstBad() != want {
					t.Errorf("first bad entry %d, want %d%s", r.FirstBad(), want, faults(r))
				}
			})
		}
	})
}

// sealAt makes a sealed log in a store of its own and closes the store, so that
// copies can be made of it.
func sealAt(t *testing.T, target string) *sealed {
	t.Helper()
	d, err := db.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := seal(t, d, total)
	if err := errors.Join(s.l.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	return s
}

// copy is the same log in another store: a copied file, or a database made from a
// template, which costs a tenth of migrating and filling one.
func (s *sealed) copy(t *testing.T, target string, i int) *sealed {
	t.Helper()
	own := *s
	if path, ok := strings.CutPrefix(target, "sqlite:"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		target = "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(strings.TrimPrefix(target, "sqlite:"), content, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(u.Path, "/")
		fresh := fmt.Sprintf("%s_%d", name, i)
		admin := *u
		admin.Path = "/postgres"
		conn, err := db.Open(t.Context(), admin.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.SQL().ExecContext(t.Context(), "CREATE DATABASE "+fresh+" TEMPLATE "+name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			conn, err := db.Open(context.Background(), admin.String())
			if err != nil {
				return
			}
			defer conn.Close()
			conn.SQL().Exec("DROP DATABASE IF EXISTS " + fresh + " WITH (FORCE)")
		})
		u.Path = "/" + fresh
		target = u.String()
	}
	d, err := db.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	own.d = d
	return &own
}

func at(seq int64) func(*sealed) int64 { return func(*sealed) int64 { return seq } }

// TestRewriteContradictsEarlierCheckpoint plays the operator who has the database
// and the keys: the log that is left is in itself good, and only a checkpoint kept
// elsewhere shows it.
func TestRewriteContradictsEarlierCheckpoint(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, total)
		kept, err := s.l.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Set back to the first checkpoint, then let the program go on.
		edge := s.early.Size
		s.tamper(t,
			fmt.Sprintf(`DELETE FROM audit_entry WHERE seq >= %d`, edge),
			fmt.Sprintf(`UPDATE audit_head SET size = %d`, edge),
			fmt.Sprintf(`UPDATE audit_tree SET size = %d`, edge),
			fmt.Sprintf(`DELETE FROM audit_checkpoint WHERE size > %d`, edge),
			fmt.Sprintf(`DELETE FROM audit_tile WHERE level = 0 AND n > %d`, edge>>8),
			fmt.Sprintf(`UPDATE audit_tile SET data = substr(data, 1, %d) WHERE level = 0 AND n = %d`, (edge&255)*32, edge>>8),
			fmt.Sprintf(`UPDATE audit_tile SET data = substr(data, 1, %d) WHERE level = 1`, (edge>>8)*32),
			fmt.Sprintf(`DELETE FROM audit_block WHERE n >= %d`, edge>>8), fmt.Sprintf(`DELETE FROM audit_index WHERE block >= %d`, edge>>8))
		if r := s.verify(t); !r.OK() {
			t.Fatalf("the forgery is meant to be good in itself:%s", faults(r))
		}
		r := s.verify(t, kept.Note)
		if r.OK() || r.FirstBad() != edge || !strings.Contains(faults(r), "set back") {
			t.Errorf("rollback: first bad %d%s", r.FirstBad(), faults(r))
		}
		l, err := audit.Open(t.Context(), d, audit.Options{Keys: s.keys})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s.l = l
		for i := range total {
			if _, err := l.Append(t.Context(), entry(i+5)); err != nil {
				t.Fatal(err)
			}
			if i > 30 {
				break
			}
		}
		s.add(t, total)
		if _, err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := s.verify(t); !r.OK() {
			t.Fatalf("the new history is meant to be good in itself:%s", faults(r))
		}
		r = s.verify(t, s.early.Note, kept.Note)
		if r.OK() || r.FirstBad() != edge || !strings.Contains(faults(r), "kept elsewhere") {
			t.Errorf("split view: first bad %d%s", r.FirstBad(), faults(r))
		}
	})
}

func (s *sealed) export(t testing.TB, r audit.ExportRange) ([]byte, audit.ExportInfo) {
	t.Helper()
	info, err := s.l.Plan(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.l.Export(context.Background(), &b, info); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

func TestExportVerifiesOffline(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, total)
		file, info := s.export(t, audit.ExportRange{})
		r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: s.known, Earlier: []string{s.early.Note}})
		if err != nil || !r.OK() || r.From != 0 || r.To != s.size+3 || r.Entries != s.size+3 || r.Sealed != s.size+3 {
			t.Fatalf("%+v, %v%s", r, err, faults(r))
		}
		if info.To != r.To {
			t.Errorf("planned to %d", info.To)
		}
		other, err := audit.GenerateKeys("test-log")
		if err != nil {
			t.Fatal(err)
		}
		known, _, err := audit.ParseVerifiers(strings.Join(other.VerifierKeys(), "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: known}); err != nil || r.OK() {
			t.Errorf("another log's key: %+v, %v", r, err)
		}
		for _, v := range s.keys.VerifierKeys() { // each of the two signatures alone suffices
			known, _, err := audit.ParseVerifiers(v)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: known}); err != nil || !r.OK() {
				t.Errorf("key %s: %v%s", v, err, faults(r))
			}
		}
		lines := bytes.SplitAfter(file, []byte("\n"))
		line := func(seq int) int {
			for i, l := range lines {
				if bytes.HasPrefix(l, fmt.Appendf(nil, `{"seq":%d,`, seq)) {
					return i
				}
			}
			t.Fatalf("no line of entry %d", seq)
			return 0
		}
		edit := func(change func(lines [][]byte) [][]byte) []byte {
			own := make([][]byte, len(lines))
			copy(own, lines)
			return bytes.Join(change(own), nil)
		}
		for name, c := range map[string]struct {
			file  []byte
			first int64
		}{
			"content": {edit(func(l [][]byte) [][]byte {
				l[line(400)] = bytes.Replace(l[line(400)], []byte("gateway"), []byte("catalog"), 1)
				return l
			}), 400},
			"deleted": {edit(func(l [][]byte) [][]byte { return append(l[:line(77):line(77)], l[line(78):]...) }), 77},
			"swapped": {edit(func(l [][]byte) [][]byte {
				l[line(20)], l[line(21)] = l[line(21)], l[line(20)]
				return l
			}), 20},
			"repeated": {edit(func(l [][]byte) [][]byte {
				return append(l[:line(20):line(20)], append([][]byte{lines[line(20)]}, l[line(20):]...)...)
			}), 21},
			"renumbered": {edit(func(l [][]byte) [][]byte {
				l[line(20)], l[line(21)] = bytes.Replace(lines[line(21)], []byte("21"), []byte("20"), 1), bytes.Replace(lines[line(20)], []byte("20"), []byte("21"), 1)
				return l
			}), 0}, // leaf and content together: the block is all that can be told
			"cut off":     {file[:len(file)*2/3], -2},
			"end missing": {edit(func(l [][]byte) [][]byte { return l[:len(l)-2] }), s.size + 3},
			"junk":        {edit(func(l [][]byte) [][]byte { l[line(500)] = []byte("junk\n"); return l }), 500},
			"pruned without leave": {edit(func(l [][]byte) [][]byte {
				i := line(600)
				l[i] = append(bytes.Clone(l[i][:bytes.Index(l[i], []byte(`,"entry"`))]), "}\n"...)
				return l
			}), 600},
			"no checkpoints": {edit(func(l [][]byte) [][]byte {
				var out [][]byte
				for _, x := range l {
					if !bytes.HasPrefix(x, []byte(`{"checkpoint"`)) {
						out = append(out, x)
					}
				}
				return out
			}), 0},
		} {
			r, err := audit.VerifyExport(bytes.NewReader(c.file), audit.VerifyOptions{Known: s.known})
			if err != nil || r.OK() || (c.first >= -1 && r.FirstBad() != c.first) {
				t.Errorf("%s: first bad %d, want %d, %v%s", name, r.FirstBad(), c.first, err, faults(r))
			}
		}
		if _, err := audit.VerifyExport(strings.NewReader("hello\n"), audit.VerifyOptions{Known: s.known}); !errs.Is(err, errs.Invalid) {
			t.Errorf("no export at all: %v", err)
		}
	})
}

func TestExportOfASpanOfTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, 30)
		base := time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC)
		for day := range 12 {
			if err := d.InTx(t.Context(), func(tx *db.Tx) error {
				var list []audit.Entry
				for i := range 100 {
					e := entry(i)
					e.At = base.AddDate(0, 0, day).Add(time.Duration(i) * time.Minute)
					list = append(list, e)
				}
				_, err := s.l.AppendTx(t.Context(), tx, list...)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.l.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		from, to := base.AddDate(0, 0, 5), base.AddDate(0, 0, 7)
		file, info := s.export(t, audit.ExportRange{From: from, To: to})
		r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: s.known})
		if err != nil || !r.OK() || r.From == 0 || r.To >= 1200 || r.From != info.From || r.To != info.To {
			t.Fatalf("%+v, %v%s", r, err, faults(r))
		}
		for day := 5; day < 7; day++ {
			if want := base.AddDate(0, 0, day).Format("2006-01-02"); bytes.Count(file, []byte(`"at":"`+want)) != 100 {
				t.Errorf("%s is not whole", want)
			}
		}
		if r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: s.known, Earlier: []string{s.early.Note}}); err != nil || r.OK() {
			t.Errorf("a checkpoint before the span cannot be compared and must not count as good: %+v, %v", r, err)
		}
		if _, err := s.l.Plan(t.Context(), audit.ExportRange{To: base.AddDate(-9, 0, 0), From: base.AddDate(-10, 0, 0)}); err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("an empty span: %v", err)
		}
	})
}

func TestPruneKeepsProofs(t *testing.T) {
	clause.Covers(t, "LY-24", "QZ-3.1.8")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := seal(t, d, total)
		if _, err := s.l.Prune(t.Context(), time.Now().AddDate(0, -5, 0)); !errs.Is(err, errs.Forbidden) {
			t.Errorf("pruning five months back: %v", err)
		}
		l, err := audit.Open(t.Context(), d, audit.Options{Keys: s.keys, Now: func() time.Time { return time.Now().AddDate(4, 0, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s.l = l
		n, err := l.Prune(t.Context(), time.Now().AddDate(1, 0, 0))
		if err != nil || n != 768 {
			t.Fatalf("pruned %d, %v", n, err)
		}
		if again, err := l.Prune(t.Context(), time.Now().AddDate(1, 0, 0)); err != nil || again != 0 && again > 256 {
			t.Errorf("pruned %d again, %v", again, err)
		}
		if r := s.verify(t, s.early.Note); !r.OK() || r.Pruned != n {
			t.Errorf("%+v%s", r, faults(r))
		}
		file, _ := s.export(t, audit.ExportRange{})
		if r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: s.known}); err != nil || !r.OK() || r.Pruned != n {
			t.Errorf("export: %+v, %v%s", r, err, faults(r))
		}
		rec, err := l.Get(t.Context(), 5)
		if err != nil || !rec.Pruned || rec.Bad {
			t.Errorf("%+v, %v", rec, err)
		}
		if _, _, _, err := l.Inclusion(t.Context(), 5, 0); err != nil {
			t.Errorf("proof of a pruned entry: %v", err)
		}
	})
}

// TestAnyChangeIsFound changes one thing at random.
func TestAnyChangeIsFound(t *testing.T) {
	d := dbtest.SQLite(t)
	s := seal(t, d, 700)
	s.tamper(t)
	file, _ := s.export(t, audit.ExportRange{})
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(file)-1).Draw(t, "at")
		change := rapid.ByteRange(1, 255).Draw(t, "xor")
		bad := bytes.Clone(file)
		bad[at] ^= change
		r, err := audit.VerifyExport(bytes.NewReader(bad), audit.VerifyOptions{Known: s.known})
		if err == nil && r.OK() && !harmless(file, bad, at) {
			t.Fatalf("byte %d changed from %q to %q and nothing was found: %q", at, file[at], bad[at], around(file, at))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		lines := bytes.SplitAfter(file, []byte("\n"))
		lines = lines[:len(lines)-1]
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		if bytes.HasPrefix(lines[i], []byte(`{"checkpoint"`)) || bytes.HasPrefix(lines[i], []byte(`{"tile"`)) {
			return // an export may hold fewer of them
		}
		bad := bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
		r, err := audit.VerifyExport(bytes.NewReader(bad), audit.VerifyOptions{Known: s.known})
		if err == nil && r.OK() {
			t.Fatalf("line %d was taken out and nothing was found", i+1)
		}
	})
}

// TestNamesAreSpelledAsTheyAre: the reader of JSON would take "Format" for "format".
func TestNamesAreSpelledAsTheyAre(t *testing.T) {
	d := dbtest.SQLite(t)
	s := seal(t, d, 300)
	file, _ := s.export(t, audit.ExportRange{})
	for _, name := range []string{"format", "origin", "edge", "checkpoint", "tile", "hashes", "end"} {
		bad := bytes.Replace(file, []byte(`"`+name+`":`), []byte(`"`+strings.ToUpper(name[:1])+name[1:]+`":`), 1)
		if r, err := audit.VerifyExport(bytes.NewReader(bad), audit.VerifyOptions{Known: s.known}); bytes.Equal(bad, file) || err == nil && r.OK() {
			t.Errorf("%q in another case passes", name)
		}
	}
}

func around(b []byte, at int) []byte { return b[max(0, at-40):min(len(b), at+40)] }

// harmless: the time of making stands outside what is signed, and an unknown
// signature line is passed over as the note format wants.
func harmless(good, bad []byte, at int) bool {
	start := bytes.LastIndexByte(good[:at], '\n') + 1
	end := start + bytes.IndexByte(good[start:], '\n')
	line := good[start:end]
	return start == 0 && bytes.Contains(line, []byte(`"made"`)) && at > bytes.Index(line, []byte(`"made"`)) ||
		bytes.HasPrefix(line, []byte(`{"checkpoint"`)) || bytes.HasPrefix(line, []byte(`{"end"`))
}
