package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/console"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/web"
	"gongshu/ui"
)

// auditDir is a data directory with a log of some entries.
func auditDir(t *testing.T, entries int) string {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	keys, err := audit.LoadKeys(filepath.Join(dir, "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := d.InTx(ctx, func(tx *db.Tx) error {
		for i := range entries {
			if _, err := log.AppendTx(ctx, tx, audit.Entry{Action: "test.act", Actor: fmt.Sprint("u", i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	return dir
}

func gongshu(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if got := run(t.Context(), append([]string{"--lang", "en"}, args...), &out, &out); got != code {
		t.Fatalf("gongshu %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, out.String())
	}
	return out.String()
}

func TestAuditExportAndVerify(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "LY-24")
	dir := auditDir(t, 600)
	key := filepath.Join(t.TempDir(), "kept.pub")
	text, err := os.ReadFile(filepath.Join(dir, "keys", audit.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "keys", "log.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret keys lie open: %v, %v", info, err)
	}
	for _, name := range []string{"log.jsonl", "log.jsonl.gz"} {
		file := filepath.Join(t.TempDir(), name)
		gongshu(t, 0, "audit", "export", "--data", dir, "--out", file)
		if out := gongshu(t, 0, "audit", "verify", file, "--key", key); !strings.Contains(out, "verified") {
			t.Errorf("%s", out)
		}
	}
	file := filepath.Join(t.TempDir(), "log.jsonl")
	gongshu(t, 0, "audit", "export", "--data", dir, "--out", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(`"action":"audit.log.export"`)) {
		t.Error("the earlier exports are not on record")
	}
	bad := bytes.Replace(content, []byte(`"actor":"u123"`), []byte(`"actor":"u124"`), 1)
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := gongshu(t, 1, "audit", "verify", file, "--key", key); !strings.Contains(out, "the first bad entry is 124") {
		t.Errorf("%s", out)
	}
	if out := gongshu(t, 0, "audit", "verify", "--data", dir); !strings.Contains(out, "one kept elsewhere") {
		t.Errorf("no word about the key's origin: %s", out)
	}
	raw, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(dir, "control.db"), "FULL"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(`DROP TRIGGER audit_entry_update`); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`UPDATE audit_entry SET content = replace(content, 'u299', 'u300') WHERE seq = 300`); err != nil {
		t.Fatal(err)
	}
	if out := gongshu(t, 1, "audit", "verify", "--data", dir, "--key", key); !strings.Contains(out, "the first bad entry is 300") || !strings.Contains(out, "QZ-3.1.8") {
		t.Errorf("%s", out)
	}
}

func TestAuditRefusals(t *testing.T) {
	dir := auditDir(t, 3)
	empty := t.TempDir()
	junk := filepath.Join(empty, "junk")
	if err := os.WriteFile(junk, []byte("junk\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "keys", audit.PublicFile)
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"audit", "verify"}, "one of the two"},
		{[]string{"audit", "verify", junk}, "--key"},
		{[]string{"audit", "verify", junk, "--key", junk}, "line 1 of the public key file"},
		{[]string{"audit", "verify", junk, "--key", key}, "not a Gongshu audit export"},
		{[]string{"audit", "verify", "--data", empty, "--key", key}, "not a data directory"},
		{[]string{"audit", "verify", "--data", dir, "--key", key, "--checkpoint", junk}, "not signed by the given key"},
		{[]string{"audit", "export", "--data", empty, "--out", filepath.Join(empty, "x")}, "not a data directory"},
		{[]string{"audit", "export", "--data", dir, "--out", filepath.Join(empty, "no", "x")}, "cannot write"},
		{[]string{"audit", "export", "--data", dir, "--out", filepath.Join(empty, "x"), "--from", "yesterday"}, "--from"},
		{[]string{"audit", "keygen", "--data", dir}, "not overwritten"},
		{[]string{"audit", "keygen", "--data", empty, "--name", "a b"}, "white space"},
	} {
		if out := gongshu(t, 1, c.args...); !strings.Contains(out, c.say) {
			t.Errorf("%v: %s", c.args, out)
		}
	}
	if _, err := os.Stat(filepath.Join(empty, "control.db")); err == nil {
		t.Error("verify made a database")
	}
	out := gongshu(t, 0, "audit", "keygen", "--data", empty, "--name", "fz-log")
	if _, _, err := audit.ParseVerifiers(out); err != nil || strings.Count(out, "fz-log+") != 2 {
		t.Errorf("keygen printed %q, %v", out, err)
	}
}

// TestStoppedLogIsShown: while the log does not take entries every page says so and
// reads answer 503; afterwards the line is gone.
func TestStoppedLogIsShown(t *testing.T) {
	clause.Covers(t, "FZM-29")
	a, err := open(t.Context(), stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	steward := identity.Actor{Kind: identity.Person, ID: "u1", Login: "u1", Name: "某人", Body: "b1", BodyName: "某局", District: "350100", Level: "city",
		Post: identity.Steward, Posts: []identity.Post{identity.Steward}}
	pages := a.handler(allRoles)
	server := httptest.NewServer((&web.Site{ErrorPage: ui.ErrorPage}).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(w, r.WithContext(console.WithActor(r.Context(), steward)))
	})))
	defer server.Close()
	page := func() string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/console/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Language", "en")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res.StatusCode, err)
		}
		return string(body)
	}
	const words = "The audit log cannot be written and the data service has stopped"
	if strings.Contains(page(), words) {
		t.Error("a sound log is shown as stopped")
	}
	rename := func(from, to string) {
		if err := a.control.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	rename("audit_entry", "audit_gone")
	if _, err := a.log.Append(t.Context(), audit.Entry{Action: "test.read"}); web.Status(err) != 503 {
		t.Errorf("a read while the log is stopped gives %v", err)
	}
	if !strings.Contains(page(), words) {
		t.Error("no page says that the log is stopped")
	}
	rename("audit_gone", "audit_entry")
	if _, err := a.log.Append(t.Context(), audit.Entry{Action: "test.read"}); err != nil {
		t.Error(err)
	}
	if strings.Contains(page(), words) {
		t.Error("the line stays although the log is back")
	}
}

// TestAuditRotate replaces the keys of a platform and verifies the whole log with the
// key file from before.
func TestAuditRotate(t *testing.T) {
	s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou"}
	work := func(action string) {
		t.Helper()
		a, err := open(t.Context(), s, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		if _, err := a.log.Append(t.Context(), audit.Entry{Action: action}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.log.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	work("test.before")
	text, err := os.ReadFile(s.path("keys", audit.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept.pub")
	if err := os.WriteFile(kept, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out := gongshu(t, 0, "audit", "rotate", "--data", s.Data)
	if strings.Contains(out, strings.Fields(string(text))[0]) || strings.Count(out, "gongshu-log-") != 2 {
		t.Errorf("it prints the new public keys and no other: %s", out)
	}
	work("test.after")
	gongshu(t, 0, "audit", "rotate", "--data", s.Data)
	work("test.later")
	export := filepath.Join(t.TempDir(), "log.export")
	gongshu(t, 0, "audit", "export", "--data", s.Data, "--out", export)
	for _, key := range []string{kept, s.path("keys", audit.PublicFile)} {
		gongshu(t, 0, "audit", "verify", export, "--key", key)
		gongshu(t, 0, "audit", "verify", "--data", s.Data, "--key", key)
	}
}
