package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gongshu/internal/blob/blobtest"
	"gongshu/internal/db/dbtest"
)

// TestASecondNodeNeedsTheKeysAndTheObjects starts further nodes over the database
// of a first one.
func TestASecondNodeNeedsTheKeysAndTheObjects(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	database := dbtest.PostgresURL(t)
	start := func(dir, objects string) error {
		a, err := open(t.Context(), stores{Data: dir, Database: database, Objects: objects, City: "fuzhou"}, time.Now)
		if err != nil {
			return err
		}
		return a.close()
	}
	refused := func(what string, err error, says string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", what, err, says)
		}
	}
	first := filepath.Join(t.TempDir(), "first")
	if err := start(first, shared); err != nil {
		t.Fatal(err)
	}
	if err := start(first, shared); err != nil {
		t.Errorf("the first node again: %v", err)
	}
	second := t.TempDir()
	refused("no keys", start(second, shared), "copy the folder keys")
	if left, err := os.ReadDir(filepath.Join(second, "keys")); err == nil && len(left) > 0 {
		t.Errorf("a refused start left keys: %v", left)
	}
	copyFile := func(name, to string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(first, "keys", name))
		if err == nil {
			err = os.MkdirAll(filepath.Join(to, "keys"), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "keys", name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile("log.key", second)
	refused("the log's key alone", start(second, shared), "master.key")
	copyFile("master.key", second)
	if err := start(second, shared); err != nil {
		t.Errorf("with both keys: %v", err)
	}
	refused("objects of its own", start(second, ""), "not the object store of this database")

	// Another platform's keys, and another platform's objects.
	other := filepath.Join(t.TempDir(), "other")
	a, err := open(t.Context(), stores{Data: other, City: "foshan"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	refused("another platform's keys", start(other, shared), "not those of this database")
	refused("another platform's objects", start(second, filepath.Join(other, "objects")), "belongs to another platform")
}

func TestBackupOfObjectsOnS3(t *testing.T) {
	s := stores{Data: filepath.Join(t.TempDir(), "data"), City: "fuzhou", Objects: blobtest.S3(t)}
	a, stop := platform(t, s)
	kept, err := a.objects.Put(t.Context(), strings.NewReader("kept on S3"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "city.backup")
	gongshu(t, 0, "backup", "--data", s.Data, "--objects", s.Objects, "--out", file)
	stop()
	target := filepath.Join(t.TempDir(), "restored")
	if out := gongshu(t, 1, "restore", file, "--data", target, "--objects", s.Objects); !strings.Contains(out, "overwrites nothing") {
		t.Errorf("onto objects: %s", out)
	}
	elsewhere := blobtest.S3(t)
	gongshu(t, 0, "restore", file, "--data", target, "--objects", elsewhere)
	if _, err := os.Stat(filepath.Join(target, "objects")); err == nil {
		t.Error("the objects stand in the data directory too")
	}
	back, err := open(t.Context(), stores{Data: target, Objects: elsewhere}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer back.close()
	r, err := back.objects.Open(t.Context(), kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "kept on S3" {
		t.Errorf("%q, %v", text, err)
	}
}
