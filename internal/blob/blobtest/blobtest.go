// Package blobtest gives tests a real S3 server: versity/versitygw over a
// temporary folder.
//
// The program is the one that GONGSHU_TEST_VERSITYGW names, or the one on the PATH;
// `make test` builds it. Where there is none the S3 half is skipped with a word
// that says so.
package blobtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gongshu/internal/blob"
)

const (
	accessKey = "gongshu-test"
	secretKey = "gongshu-test-secret"
)

// Each runs body on a folder and on a bucket of an S3 server, both empty, as the
// subtests "folder" and "s3". body gets the address for [blob.OpenBucket].
func Each(t *testing.T, body func(t *testing.T, address string)) {
	t.Helper()
	t.Run("folder", func(t *testing.T) { body(t, filepath.Join(t.TempDir(), "objects")) })
	t.Run("s3", func(t *testing.T) { body(t, S3(t)) })
}

// S3 makes an empty bucket on the test process's own server and gives its address;
// the environment has the key that belongs to it until the test ends.
func S3(t testing.TB) string {
	t.Helper()
	server, err := start()
	if err != nil {
		t.Skipf("S3 half not run: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	bucket := "t-" + uuid.NewString()
	if err := Client(t, server.host).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
	return "s3://" + bucket + "/city?endpoint=" + url.QueryEscape("http://"+server.host)
}

// Open opens a bucket for the length of the test.
func Open(t testing.TB, address string) blob.Bucket {
	t.Helper()
	b, err := blob.OpenBucket(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// Client speaks to a server without this program's own code between.
func Client(t testing.TB, host string) *minio.Client {
	t.Helper()
	c, err := minio.New(host, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Folder is where the test process's server keeps a bucket's bytes on disk.
func Folder(t testing.TB, address string) string {
	t.Helper()
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(server.dir, u.Host)
}

type running struct{ host, dir string }

var start = sync.OnceValues(func() (running, error) {
	program := os.Getenv("GONGSHU_TEST_VERSITYGW")
	if program == "" {
		var err error
		if program, err = exec.LookPath("versitygw"); err != nil {
			return running{}, fmt.Errorf("no S3 server: versitygw is not on the PATH and GONGSHU_TEST_VERSITYGW is not set")
		}
	}
	dir, err := os.MkdirTemp("", "gongshu-s3-")
	if err != nil {
		return running{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return running{}, err
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	for _, sub := range []string{"buckets", "meta", "versions"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return running{}, err
		}
	}
	// The shell outlives a killed test long enough to take the folder away.
	var out strings.Builder
	server := exec.Command("/bin/sh", "-c",
		`trap 'kill $pid 2>/dev/null; wait $pid; rm -rf "$1"; exit' TERM INT
		"$0" --quiet --port "127.0.0.1:$2" posix --sidecar "$1/meta" --versioning-dir "$1/versions" "$1/buckets" & pid=$!
		wait $pid`, program, dir, port)
	server.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+accessKey, "ROOT_SECRET_ACCESS_KEY="+secretKey)
	server.Stdout, server.Stderr = &out, &out
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	// Pdeathsig fires when the thread that started the child ends: Start is called on
	// a goroutine that stays locked to its thread.
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- server.Start()
		server.Wait()
		close(ended)
	}()
	if err := <-started; err != nil {
		return running{}, err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return running{"127.0.0.1:" + port, filepath.Join(dir, "buckets")}, nil
		}
		select {
		case <-ended:
			return running{}, fmt.Errorf("the S3 server ended: %s", out.String())
		default:
		}
		if time.Now().After(deadline) {
			return running{}, fmt.Errorf("the S3 server did not answer: %w", err)
		}
	}
})
