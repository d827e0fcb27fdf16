package audit_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

// The tests of this file answer one question: does every entry that a caller was
// told is durable stand in the log, whatever happened to the process, the disk or
// the connection? They run the log in a child process, which is this test binary
// again, told by its environment what to do.

func TestMain(m *testing.M) {
	if target := os.Getenv("GONGSHU_FAULT_STORE"); target != "" {
		child(target, os.Getenv("GONGSHU_FAULT_KEYS"), os.Getenv("GONGSHU_FAULT_LIMIT"))
		return
	}
	os.Exit(m.Run())
}

// child appends from many goroutines and prints a line "number id" for every
// acknowledgement, in one write each, and "refused" for a refusal.
func child(target, keysDir, limit string) {
	ctx := context.Background()
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	keys, err := audit.LoadKeys(keysDir, "")
	if err != nil {
		fail(err)
	}
	var bytes uint64
	if limit != "" {
		fmt.Sscan(limit, &bytes)
		signal.Ignore(syscall.SIGXFSZ)
	}
	d, err := db.Open(ctx, target)
	if err != nil {
		fail(err)
	}
	l, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		fail(err)
	}
	go l.Run(ctx)
	var old syscall.Rlimit
	if limit != "" {
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			fail(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: old.Max}); err != nil {
			fail(err)
		}
	}
	var refusals, mended atomic.Int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				e := entry(i)
				e.ID = db.NewID()
				var seq int64
				var err error
				if worker == 0 {
					err = d.InTx(ctx, func(tx *db.Tx) error {
						if err := db.SetFact(ctx, tx, "fault "+e.ID, "x"); err != nil {
							return err
						}
						seq, err = l.AppendTx(ctx, tx, e)
						return err
					})
				} else {
					seq, err = l.Append(ctx, e)
				}
				if err != nil {
					if limit == "" {
						fail(err)
					}
					if !errs.Is(err, errs.Unavailable) {
						fail(fmt.Errorf("refused as %s: %w", errs.KindOf(err), err))
					}
					os.Stdout.WriteString("refused\n")
					if refusals.Add(1) == 40 {
						// The disk has room again: the log must mend by itself.
						syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
					}
					continue
				}
				os.Stdout.WriteString(fmt.Sprintf("%d %s\n", seq, e.ID))
				if limit != "" && refusals.Load() >= 40 && mended.Add(1) > 200 {
					return
				}
			}
		})
	}
	all.Wait()
	d.Close()
}

type ack struct {
	seq int64
	id  string
}

// start runs a child; acks gives what it acknowledged once its output has ended.
func start(t *testing.T, target, keys string, env ...string) (*exec.Cmd, <-chan struct{}, func() (acks []ack, refused int)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), append([]string{"GONGSHU_FAULT_STORE=" + target, "GONGSHU_FAULT_KEYS=" + keys}, env...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acks []ack
	refused := 0
	first, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewReader(out)
		for n := 0; ; n++ {
			line, err := in.ReadString('\n')
			if err != nil {
				if n == 0 {
					close(first)
				}
				return
			}
			if n == 0 {
				close(first)
			}
			var a ack
			if strings.HasPrefix(line, "refused") {
				refused++
			} else if _, err := fmt.Sscanf(line, "%d %s", &a.seq, &a.id); err == nil {
				acks = append(acks, a)
			} else {
				t.Errorf("the child said %q", line)
			}
		}
	}()
	return cmd, first, func() ([]ack, int) { <-done; return acks, refused }
}

// hold checks that every acknowledged entry stands in the log at its number, that
// its inclusion proof leads to a signed root, and that the whole log verifies.
func hold(t *testing.T, target, keysDir string, acks []ack) {
	t.Helper()
	ctx := context.Background()
	keys, err := audit.ReadKeys(keysDir)
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.ParseCheckpoint(c.Note, known); err != nil {
		t.Fatal(err)
	}
	want := map[int64]string{}
	for _, a := range acks {
		if other, twice := want[a.seq]; twice {
			t.Errorf("number %d was given to %s and %s", a.seq, other, a.id)
		}
		want[a.seq] = a.id
	}
	proved := 0
	if err := l.Entries(ctx, 0, c.Size, func(r audit.Record) error {
		id, was := want[r.Seq]
		if !was {
			return nil
		}
		if r.Entry.ID != id || r.Bad {
			t.Errorf("entry %d is %s, acknowledged was %s", r.Seq, r.Entry.ID, id)
		}
		delete(want, r.Seq)
		if proved++; proved%17 != 0 {
			return nil
		}
		size, leaf, proof, err := l.Inclusion(ctx, r.Seq, c.Size)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, size, c.Root, r.Seq, leaf)
	}); err != nil {
		t.Fatal(err)
	}
	for seq, id := range want {
		t.Errorf("entry %d (%s) was acknowledged and is gone", seq, id)
	}
	r, err := audit.VerifyStore(ctx, d, audit.VerifyOptions{Known: known})
	if err != nil || !r.OK() {
		t.Errorf("the log does not verify: %v%s", err, faults(r))
	}
}

func prepare(t *testing.T, target string) (keys string) {
	t.Helper()
	d, err := db.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys = t.TempDir()
	if _, err := audit.LoadKeys(keys, ""); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestKilledUnderLoad kills the process fifty times in the midst of appending.
func TestKilledUnderLoad(t *testing.T) {
	clause.Covers(t, "FZM-29", "QZ-3.1.8", "LY-24")
	const rounds = 25
	dbtest.EachURL(t, func(t *testing.T, target string) {
		keys := prepare(t, target)
		var all []ack
		for range rounds {
			cmd, first, acks := start(t, target, keys)
			select {
			case <-first:
			case <-time.After(20 * time.Second):
				t.Error("the child acknowledged nothing")
			}
			time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			cmd.Process.Signal(syscall.SIGKILL)
			got, _ := acks()
			cmd.Wait()
			if len(got) == 0 {
				t.Fatal("a round without acknowledgements shows nothing")
			}
			all = append(all, got...)
		}
		t.Logf("%d entries acknowledged in %d rounds", len(all), rounds)
		hold(t, target, keys, all)
	})
}

// TestDiskFullStopsAndMends lets no file grow beyond a bound: the log refuses, loses
// nothing that it acknowledged, and goes on when there is room.
func TestDiskFullStopsAndMends(t *testing.T) {
	clause.Covers(t, "FZM-29")
	target := "sqlite:" + filepath.Join(t.TempDir(), "control.db")
	keys := prepare(t, target)
	cmd, _, acks := start(t, target, keys, "GONGSHU_FAULT_LIMIT=900000")
	timer := time.AfterFunc(40*time.Second, func() { cmd.Process.Kill() })
	got, refused := acks()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child: %v", err)
	}
	timer.Stop()
	if refused < 40 || len(got) < 200 {
		t.Fatalf("%d refused, %d acknowledged", refused, len(got))
	}
	t.Logf("%d acknowledged, %d refused", len(got), refused)
	hold(t, target, keys, got)
}

// cutter passes PostgreSQL's protocol on and ends the connection at one message
// of the client, before or after that message reached the server.
type cutter struct {
	net.Listener
	server string
	left   atomic.Int64 // messages until the cut
	after  bool
	cuts   atomic.Int64
}

func (c *cutter) serve() {
	for {
		conn, err := c.Accept()
		if err != nil {
			return
		}
		go c.pass(conn)
	}
}

func (c *cutter) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(client, server)
		client.Close()
	}()
	in := bufio.NewReader(client)
	started := false
	for {
		head := make([]byte, 4)
		kind := make([]byte, 0, 1)
		if started { // every message but the first begins with its kind
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			kind = append(kind, b)
		}
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(head)) - 4
		if size < 0 || size > 1<<24 {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		started = true
		cut := c.left.Add(-1) == 0
		if cut && !c.after {
			c.cuts.Add(1)
			return
		}
		if _, err := server.Write(append(append(kind, head...), body...)); err != nil {
			return
		}
		if cut {
			c.cuts.Add(1)
			time.Sleep(time.Millisecond)
			return
		}
	}
}

// TestEveryMessageToTheServerFailsInTurn cuts the connection at each message that
// the log sends to PostgreSQL, before and after it arrives.
func TestEveryMessageToTheServerFailsInTurn(t *testing.T) {
	clause.Covers(t, "FZM-29")
	direct := dbtest.PostgresURL(t)
	keysDir := prepare(t, direct)
	keys, err := audit.ReadKeys(keysDir)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	proxy := &cutter{Listener: listener, server: u.Host}
	go proxy.serve()
	u.Host = listener.Addr().String()
	var mu sync.Mutex
	var all []ack
	refused := 0
	for at := int64(1); at <= 60; at++ {
		for _, after := range []bool{false, true} {
			proxy.left.Store(-1)
			d, err := db.Open(t.Context(), u.String())
			if err != nil {
				t.Fatal(err)
			}
			l, err := audit.Open(t.Context(), d, audit.Options{Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			proxy.after = after
			proxy.left.Store(at)
			var callers sync.WaitGroup
			for range 4 {
				callers.Go(func() {
					for i := range 6 {
						e := entry(i)
						e.ID = db.NewID()
						seq, err := l.Append(context.Background(), e)
						mu.Lock()
						if err == nil {
							all = append(all, ack{seq, e.ID})
						} else if refused++; !errs.Is(err, errs.Unavailable) {
							t.Errorf("cut at message %d: refused as %s: %v", at, errs.KindOf(err), err)
						}
						mu.Unlock()
					}
				})
			}
			callers.Wait()
			// The tree is built over the same connection.
			l.Checkpoint(context.Background())
			l.Close()
			d.Close()
		}
	}
	if proxy.cuts.Load() < 60 || refused == 0 || len(all) < 500 {
		t.Fatalf("%d cuts, %d refused, %d acknowledged: the test has lost its point", proxy.cuts.Load(), refused, len(all))
	}
	t.Logf("%d cuts, %d refused, %d acknowledged", proxy.cuts.Load(), refused, len(all))
	hold(t, direct, keysDir, all)
}
