// Package faults breaks the whole program in the midst of its work and asks
// whether it has kept its promises.
package faults

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

var city struct {
	sync.Once
	dir string
}

// built is a data directory with a demo city, built once for the tests of this
// package.
func built(t *testing.T) string {
	t.Helper()
	city.Do(func() {
		dir := filepath.Join(program.Shared(t), "city")
		if out, errOut, code := program.Run(t, "demo", "--data", dir, "--people", "5000", "--build"); code != 0 {
			t.Fatalf("demo: %d\n%s\n%s", code, out, errOut)
		}
		city.dir = dir
	})
	if city.dir == "" {
		t.Fatal("the demo city was not built")
	}
	return city.dir
}

// TestNoAnswerWithoutItsEntry kills the program again and again while clients
// query, verify and count: whatever answer a client received has its entry in the log,
// with the grant's facts, and an inclusion proof that leads to a signed root.
func TestNoAnswerWithoutItsEntry(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21", "QZ-3.1.8")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	rounds := 8
	if os.Getenv("GONGSHU_SOAK") != "" {
		rounds = 200
	}
	data := built(t)
	var demo program.DemoFile
	text, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &demo); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var mu sync.Mutex
	var all []program.Answered
	for range rounds {
		s := program.Start(t, data, "serve")
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		got := make(chan struct{}, 1)
		for i := range 16 {
			load.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					g := demo.Grants[n%len(demo.Grants)]
					if g.Mode == "obtain" {
						continue
					}
					req, err := g.Request(ctx, s.Base)
					if err != nil {
						t.Error(err)
						return
					}
					res, err := client.Do(req)
					if err != nil {
						return // killed
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil {
						return
					}
					switch res.StatusCode {
					case http.StatusOK:
					case http.StatusTooManyRequests, http.StatusConflict, http.StatusForbidden:
						continue // quotas and the difference rule do their part under such a load
					default:
						t.Errorf("%s: %d %s", req.URL, res.StatusCode, body)
						return
					}
					var answer struct {
						Audit *int64 `json:"audit"`
					}
					if err := json.Unmarshal(body, &answer); err != nil || answer.Audit == nil {
						t.Errorf("%s: an answer without its entry's number: %s", req.URL, body)
						return
					}
					mu.Lock()
					all = append(all, program.Answered{Seq: *answer.Audit, Grant: g.Headers["X-Gongshu-Grant"], Mode: g.Mode})
					mu.Unlock()
					select {
					case got <- struct{}{}:
					default:
					}
				}
			})
		}
		select {
		case <-got:
		case <-time.After(20 * time.Second):
			t.Error("no answer in twenty seconds")
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		s.Kill()
		cancel()
		load.Wait()
		client.CloseIdleConnections()
	}
	t.Logf("%d answers in %d rounds", len(all), rounds)
	if len(all) < rounds {
		t.Fatal("too few answers to show anything")
	}
	program.Prove(t, "sqlite:"+filepath.Join(data, "control.db"), data, all)
}
