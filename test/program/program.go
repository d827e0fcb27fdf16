// Package program builds and starts the real program for whole-program tests.
package program

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root is the folder of the module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gongshu-bin-")
	if err != nil {
		return "", err
	}
	built = dir
	bin := filepath.Join(dir, "gongshu")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/gongshu")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// Main runs the tests of a package that uses the program and takes away what was
// built for them; for TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// built is the folder of the program, "" before it is built.
var built string

// Shared is a folder for what several tests of a package use, taken away by Main.
func Shared(t testing.TB) string {
	t.Helper()
	return filepath.Dir(Binary(t))
}

// Binary is the path of the program, built once a test process.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Run runs one command to its end and gives its standard output and exit code.
func Run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// Server is a running program.
type Server struct {
	Base string // "http://127.0.0.1:PORT"
	Data string // data directory

	t    testing.TB
	cmd  *exec.Cmd
	log  *tail
	done chan struct{}
}

var address = regexp.MustCompile(`https?://[0-9.:\[\]]+`)

// Start starts a command that serves ("serve", "demo") on a free port with its
// data in dir, and waits until it prints its address. It is stopped at the end of
// the test; its log is shown when the test failed.
func Start(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	return Under(t, nil, dir, args...)
}

// Under is Start by another command, which becomes the program that its last
// arguments name.
func Under(t testing.TB, by []string, dir string, args ...string) *Server {
	t.Helper()
	all := append(append(append([]string{}, by...), Binary(t)), args...)
	all = append(all, "--data", dir, "--addr", "127.0.0.1:0")
	cmd := exec.Command(all[0], all[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Data: dir, t: t, cmd: cmd, log: &tail{}, done: make(chan struct{})}
	cmd.Stderr = s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(s.log, lines.Text())
			if base := address.FindString(lines.Text()); base != "" {
				select {
				case found <- base:
				default:
				}
			}
		}
		io.Copy(io.Discard, stdout)
		cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the program's log:\n%s", s.log)
		}
	})
	select {
	case s.Base = <-found:
	case <-s.done:
		t.Fatalf("the program ended before it listened:\n%s", s.log)
	case <-time.After(5 * time.Minute):
		t.Fatalf("the program did not listen within five minutes:\n%s", s.log)
	}
	return s
}

// Stop ends the program as a service manager would and waits.
func (s *Server) Stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.t.Errorf("the program did not stop within 30 s of SIGTERM")
		s.Kill()
	}
}

// Kill ends the program as a power cut would.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.done
}

// Log is what the program has written so far, at most its last megabyte.
func (s *Server) Log() string { return s.log.String() }

// Pid is the process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Get answers a GET with its status and whole body.
func (s *Server) Get(path string) (int, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Grant is a right of the demo with a request that succeeds under it at once.
type Grant struct {
	Mode     string            `json:"mode"`
	Resource string            `json:"resource"`
	Client   string            `json:"client"`
	Headers  map[string]string `json:"headers"`
	Example  json.RawMessage   `json:"example"`
}

// Request is the example of a grant whose mode answers at once (all but obtain).
func (g Grant) Request(ctx context.Context, base string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/resources/"+strings.ReplaceAll(g.Resource, "/", "-")+"/"+g.Mode, bytes.NewReader(g.Example))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	for k, v := range g.Headers {
		r.Header.Set(k, v)
	}
	return r, nil
}

// DemoFile is demo.json, which the demo writes for scripts to drive it.
type DemoFile struct {
	BaseURL  string `json:"base_url"`
	City     string `json:"city"`
	Accounts []struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		Post     string `json:"post"`
		Body     string `json:"body"`
	} `json:"accounts"`
	Clients []struct {
		ID   string `json:"id"`
		Key  string `json:"key"`
		Body string `json:"body"`
	} `json:"clients"`
	Resources []struct {
		Code     string   `json:"code"`
		Name     string   `json:"name"`
		Provider string   `json:"provider"`
		Sharing  string   `json:"sharing"`
		Opening  string   `json:"opening"`
		Rows     int64    `json:"rows"`
		Key      []string `json:"key"`
	} `json:"resources"`
	Grants   []Grant `json:"grants"`
	Delivery struct {
		Resource string `json:"resource"`
		Client   string `json:"client"`
		CSV      string `json:"csv"`
	} `json:"delivery"`
}

// Demo reads demo.json of the data directory.
func (s *Server) Demo() DemoFile {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Data, "demo.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var d DemoFile
	if err := json.Unmarshal(text, &d); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// tail keeps the end of a log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - 1<<20; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
