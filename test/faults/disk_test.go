package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/intake"
	"gongshu/test/program"
)

// TestDiskFull runs the whole program on a disk of its own and fills that: no file is
// taken in, no data goes out, both are told so, and what was there is still shown. With
// room again the same process goes on, and what was refused can be sent again.
func TestDiskFull(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "FZM-13")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	home := t.TempDir()
	small := filepath.Join(home, "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	// A disk that only the program sees, and that goes with it.
	own := func(script string, args ...string) []string {
		return append([]string{"unshare", "-Urm", "sh", "-c", script, "sh"}, args...)
	}
	try := own("mount -t tmpfs tmpfs " + small)
	if out, err := exec.Command(try[0], try[1:]...).CombinedOutput(); err != nil {
		t.Skipf("no disk of its own can be made here (%v: %s); TestDiskFullOnTheWay and TestNothingLeavesUnlogged do without", err, out)
	}
	city := built(t)
	s := program.Under(t, own(`mount -t tmpfs -o size=400m tmpfs "$1" && cp -a "$2/." "$1" && shift 2 && exec "$@"`, small, city), small, "serve")
	text, err := os.ReadFile(filepath.Join(city, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var demo program.DemoFile
	if err := json.Unmarshal(text, &demo); err != nil {
		t.Fatal(err)
	}
	call := func(method, path, body string, headers map[string]string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.Base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range headers {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(answer)
	}
	key := ""
	for _, c := range demo.Clients {
		if c.ID == demo.Delivery.Client {
			key = c.Key
		}
	}
	send := func(n int) (int, string) {
		t.Helper()
		return call("POST", "/api/v1/resources/"+strings.ReplaceAll(demo.Delivery.Resource, "/", "-")+"/batches", demo.Delivery.CSV, map[string]string{
			"Authorization": "Bearer " + key, "X-Gongshu-Secrecy": "declared", "Content-Type": "text/csv", "Idempotency-Key": fmt.Sprint("full-", n), "Accept-Language": "en"})
	}
	query := demo.Grants[0]
	for _, g := range demo.Grants {
		if g.Mode == "query" {
			query = g
		}
	}
	ask := func() (int, string) {
		t.Helper()
		return call("POST", "/api/v1/resources/"+strings.ReplaceAll(query.Resource, "/", "-")+"/query", string(query.Example), query.Headers)
	}
	receipt := func(text string) (r intake.Receipt) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	status, answer := send(0)
	if status != http.StatusCreated {
		t.Fatalf("with room: %d %s", status, answer)
	}
	first := receipt(answer)
	if status, answer := ask(); status != http.StatusOK {
		t.Fatalf("with room: %d %s", status, answer)
	}

	ballast := fmt.Sprintf("/proc/%d/root%s/ballast", s.Pid(), small)
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(ballast, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1 << 20, 4096, 1} {
			for err = nil; err == nil; _, err = f.Write(bytes.Repeat([]byte{'x'}, size)) {
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	// Files that have room in them take a little more: the disk is full for good when
	// neither side is served.
	deadline := time.Now().Add(20 * time.Second)
	for {
		fill()
		if status, answer = ask(); status != http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("data still goes out on a full disk")
		}
	}
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, "urn:gongshu:error:unavailable") {
		t.Errorf("a query on a full disk: %d %s", status, answer)
	}
	status, answer = send(1)
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, "administrator") || !strings.Contains(answer, "nothing") {
		t.Errorf("a batch on a full disk: %d %s", status, answer)
	}
	for _, path := range []string{"/", "/datasets"} {
		if status, page := s.Get(path); status >= 500 {
			t.Errorf("%s on a full disk: %d %.300s", path, status, page)
		}
	}
	if status, text := s.Get("/health"); status != http.StatusServiceUnavailable {
		t.Errorf("the health of the program on a full disk: %d %s", status, text)
	}

	if err := os.Remove(ballast); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	deadline = time.Now().Add(20 * time.Second)
	for {
		a, _ := ask()
		b, text := send(1)
		if a == http.StatusOK && b == http.StatusCreated {
			if r := receipt(text); r.Batch == first.Batch || r.Total != first.Total {
				t.Errorf("sent again: %+v, the first was %+v", r, first)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with room again: query %d, batch %d %s", a, b, text)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if status, answer := send(0); status != http.StatusCreated || receipt(answer).Batch != first.Batch {
		t.Errorf("the batch acknowledged before: %d %s", status, answer)
	}
}
