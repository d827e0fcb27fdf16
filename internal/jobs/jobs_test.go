package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func enqueue(t *testing.T, d *db.DB, kind string, payload any) string {
	t.Helper()
	var id string
	if err := d.InTx(t.Context(), func(tx *db.Tx) (err error) {
		id, err = jobs.Enqueue(t.Context(), tx, kind, payload)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func drain(t *testing.T, q *jobs.Queue) int {
	t.Helper()
	n, err := q.Drain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestJobFollowsItsTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q := jobs.New(d)
		var got []string
		q.Handle("greet", func(ctx context.Context, j jobs.Job) error {
			var p struct{ Name string }
			if err := j.Bind(&p); err != nil {
				return err
			}
			got = append(got, p.Name)
			return nil
		})
		fault := errors.New("no")
		if err := d.InTx(t.Context(), func(tx *db.Tx) error {
			if _, err := jobs.Enqueue(t.Context(), tx, "greet", map[string]string{"Name": "甲"}); err != nil {
				return err
			}
			return fault
		}); !errors.Is(err, fault) {
			t.Fatal(err)
		}
		if n := drain(t, q); n != 0 {
			t.Fatalf("a rolled-back job ran")
		}
		id := enqueue(t, d, "greet", map[string]string{"Name": "乙"})
		if n := drain(t, q); n != 1 || len(got) != 1 || got[0] != "乙" {
			t.Fatalf("%d jobs, %v", n, got)
		}
		if j, err := q.Get(t.Context(), id); err != nil || j.State != jobs.Done || j.Attempts != 1 {
			t.Errorf("%+v, %v", j, err)
		}
		if n := drain(t, q); n != 0 {
			t.Error("a done job ran again")
		}
	})
}

func TestFailureIsTriedAgainThenDead(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q := jobs.New(d)
		c := &clock{now: time.Now()}
		q.Now = c.Now
		tries, well := 0, false
		q.Handle("shaky", func(ctx context.Context, j jobs.Job) error {
			tries++
			if well {
				return nil
			}
			if tries == 2 {
				panic("boom")
			}
			return fmt.Errorf("try %d", tries)
		})
		q.Handle("hopeless", func(ctx context.Context, j jobs.Job) error {
			return errs.Newf(errs.Invalid, "永远不行", "never")
		})
		id := enqueue(t, d, "shaky", 1)
		if n := drain(t, q); n != 1 {
			t.Fatalf("%d jobs at once", n)
		}
		if n := drain(t, q); n != 0 {
			t.Fatal("no pause before the next attempt")
		}
		for range 40 {
			c.add(7 * time.Hour)
			drain(t, q)
		}
		j, err := q.Get(t.Context(), id)
		if err != nil || j.State != jobs.Dead || tries != j.Attempts || j.Error == "" {
			t.Fatalf("%+v after %d tries, %v", j, tries, err)
		}
		hopeless := enqueue(t, d, "hopeless", 1)
		drain(t, q)
		if j, err := q.Get(t.Context(), hopeless); err != nil || j.State != jobs.Dead || j.Attempts != 1 {
			t.Errorf("%+v, %v", j, err)
		}
		dead, err := q.List(t.Context(), jobs.Dead, "", 10)
		if err != nil || len(dead) != 2 {
			t.Errorf("%d dead jobs, %v", len(dead), err)
		}
		well = true
		if err := d.InTx(t.Context(), func(tx *db.Tx) error { return q.Retry(t.Context(), tx, id) }); err != nil {
			t.Fatal(err)
		}
		drain(t, q)
		if j, err := q.Get(t.Context(), id); err != nil || j.State != jobs.Done {
			t.Errorf("after a retry %+v, %v", j, err)
		}
		if err := d.InTx(t.Context(), func(tx *db.Tx) error { return q.Retry(t.Context(), tx, id) }); !errs.Is(err, errs.NotFound) {
			t.Errorf("retry of a done job: %v", err)
		}
	})
}

func TestDueTimesAndKeys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q := jobs.New(d)
		c := &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
		q.Now = c.Now
		var got []string
		q.Handle("remind", func(ctx context.Context, j jobs.Job) error {
			var text string
			err := j.Bind(&text)
			got = append(got, j.Key+" "+text)
			return err
		})
		schedule := func(key string, due time.Time, text string) bool {
			var moved bool
			if err := d.InTx(t.Context(), func(tx *db.Tx) (err error) {
				moved, err = jobs.Schedule(t.Context(), tx, "remind", key, due, text)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return moved
		}
		schedule("case-1", c.now.Add(24*time.Hour), "first")
		schedule("case-1", c.now.Add(48*time.Hour), "second")
		schedule("case-2", c.now.Add(72*time.Hour), "cancelled")
		c.add(25 * time.Hour)
		if n := drain(t, q); n != 0 {
			t.Fatalf("ran before its time: %v", got)
		}
		if err := d.InTx(t.Context(), func(tx *db.Tx) error {
			removed, err := jobs.Cancel(t.Context(), tx, "remind", "case-2")
			if !removed {
				t.Error("nothing cancelled")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		c.add(100 * time.Hour)
		drain(t, q)
		if len(got) != 1 || got[0] != "case-1 second" {
			t.Fatalf("ran %v", got)
		}
		if schedule("case-1", c.now.Add(time.Hour), "third") {
			t.Error("a reminder acted twice")
		}
		once := func() bool {
			var fresh bool
			if err := d.InTx(t.Context(), func(tx *db.Tx) (err error) {
				_, fresh, err = jobs.EnqueueOnce(t.Context(), tx, "remind", "k", "once")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return fresh
		}
		if !once() || once() {
			t.Error("a key must count once")
		}
	})
}

func TestRecurringRunsOncePerPeriod(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{now: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)}
		ran := 0
		node := func() *jobs.Queue {
			q := jobs.New(d)
			q.Now = c.Now
			q.Every("hourly", time.Hour, func(ctx context.Context, j jobs.Job) error { ran++; return nil })
			return q
		}
		a, b := node(), node()
		for range 5 * 6 {
			drain(t, a)
			drain(t, b)
			c.add(10 * time.Minute)
		}
		if ran != 5 {
			t.Errorf("ran %d times in five hours on two nodes", ran)
		}
	})
}

func TestRunDoesAllOnTwoNodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		const total = 60
		var mu sync.Mutex
		count := map[int]int{}
		all := make(chan struct{})
		var nodes sync.WaitGroup
		for range 2 {
			q := jobs.New(d)
			q.Handle("n", func(ctx context.Context, j jobs.Job) error {
				var n int
				if err := j.Bind(&n); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				count[n]++
				if len(count) == total {
					select {
					case <-all:
					default:
						close(all)
					}
				}
				return nil
			})
			nodes.Add(1)
			go func() { defer nodes.Done(); q.Run(ctx) }()
		}
		for n := range total {
			enqueue(t, d, "n", n)
		}
		select {
		case <-all:
		case <-ctx.Done():
			t.Fatalf("only %d of %d jobs ran", len(count), total)
		}
		cancel()
		nodes.Wait()
		for n, times := range count {
			if times != 1 {
				t.Errorf("job %d ran %d times without any failure", n, times)
			}
		}
	})
}
