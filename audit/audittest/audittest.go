// Package audittest opens a log for the tests of other packages.
package audittest

import (
	"testing"

	"gongshu/audit"
	"gongshu/internal/db"
)

// Open opens a log with fresh keys on a migrated store and closes it with the test.
func Open(t testing.TB, d *db.DB) *audit.Log {
	t.Helper()
	keys, err := audit.GenerateKeys("test-log")
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), d, audit.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
