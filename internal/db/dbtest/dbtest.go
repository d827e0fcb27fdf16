// Package dbtest gives tests a real, empty, migrated SQLite and PostgreSQL.
//
// PostgreSQL is the server of GONGSHU_TEST_POSTGRES (an address whose user may
// create databases), which `make test` starts. When it is not set, the first
// test of a package starts a throw-away server from the installed binaries, and
// where there are none the PostgreSQL half is skipped with a word that says so.
package dbtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gongshu/internal/db"
)

// Each runs body on a fresh SQLite store and on a fresh PostgreSQL database,
// both migrated, as the subtests "sqlite" and "postgres".
func Each(t *testing.T, body func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { body(t, Postgres(t)) })
}

// EachURL is Each for code that opens the store itself: body gets the address
// of an empty, unmigrated one.
func EachURL(t *testing.T, body func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { body(t, PostgresURL(t)) })
}

// SQLite opens a fresh migrated store in the test's own folder.
func SQLite(t testing.TB) *db.DB { return open(t, SQLiteURL(t)) }

// Postgres opens a fresh migrated database, dropped at the end of the test.
func Postgres(t testing.TB) *db.DB { return open(t, PostgresURL(t)) }

func open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// SQLiteURL is the address of a store that does not exist yet.
func SQLiteURL(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "control.db")
}

// PostgresURL makes an empty database and gives its address.
func PostgresURL(t testing.TB) string {
	t.Helper()
	admin, err := server()
	if err != nil {
		t.Skipf("PostgreSQL half not run: %v", err)
	}
	ctx := context.Background()
	name := "t_" + strings.ReplaceAll(db.NewID(), "-", "")
	if err := adminExec(ctx, admin, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() { adminExec(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func adminExec(ctx context.Context, admin, statement string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

var server = sync.OnceValues(func() (string, error) {
	if admin := os.Getenv("GONGSHU_TEST_POSTGRES"); admin != "" {
		return admin, nil
	}
	return startServer()
})

// startServer runs initdb and postgres in a temporary folder. PostgreSQL
// refuses to run as root, so root starts it as the user postgres.
func startServer() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", fmt.Errorf("no server installed and GONGSHU_TEST_POSTGRES not set")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "gongshu-pg-")
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			return "", fmt.Errorf("running as root and there is no user postgres: %w", err)
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr = attr
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	// The shell outlives a killed test long enough to stop the server and take
	// its folder away.
	postgres := exec.Command("/bin/sh", "-c",
		`trap 'kill -INT $pid 2>/dev/null; wait $pid; rm -rf "$1"; exit' TERM INT
		"$0" -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=200 & pid=$!
		wait $pid`, filepath.Join(bin, "postgres"), dir, strconv.Itoa(port))
	postgres.SysProcAttr = attr
	postgres.Dir = dir
	// Pdeathsig fires when the thread that started the child ends: Start is
	// called on a goroutine that stays locked to its thread.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- postgres.Start()
		postgres.Wait()
	}()
	if err := <-started; err != nil {
		return "", err
	}
	admin := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := adminExec(ctx, admin, "SELECT 1")
		cancel()
		if err == nil {
			return admin, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("the throw-away server did not answer: %w", err)
		}
	}
}
