// Package jobs runs work after the transaction that asked for it has committed:
// at once, at a due time, or again and again.
//
// [Enqueue] and [Schedule] write in the caller's transaction, so a job exists
// exactly when the write does. Delivery is at least once: a handler may see a job
// twice and must be idempotent. A failed job comes back after a growing pause; after
// its last attempt it is dead: kept, listed by [Queue.List], and run again by
// [Queue.Retry]. Messages travel through maragu.dev/goqite; due times, attempts and
// dead jobs stand in jobs_job, and follow the queue's clock.
package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"maragu.dev/goqite"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// States of a job.
const (
	Waiting = "waiting" // for its due time, or for its next attempt
	Queued  = "queued"
	Running = "running"
	Done    = "done"
	Dead    = "dead"
)

const (
	queueName = "jobs"
	// leaseTime is how long a job is a worker's own before another may take it;
	// the worker renews it every renewEvery while the handler runs. A worker that
	// stands still for longer may see its job run twice, which handlers bear; one
	// that died holds its job up no longer than this.
	leaseTime  = 20 * time.Second
	renewEvery = 5 * time.Second
	// maxAttempts is how often a job is tried: with the pauses of backoff, for
	// about a day.
	maxAttempts = 12
	// keepDone is how long done jobs stay listed; keyed ones stay for keepKeyed, so
	// that their key acts once.
	keepDone  = 7 * 24 * time.Hour
	keepKeyed = 400 * 24 * time.Hour
)

// Job is one piece of work.
type Job struct {
	ID      string
	Kind    string
	Key     string // "" or unique within the kind
	Payload json.RawMessage
	State   string
	// Due is when it is to run, or to run again.
	Due      time.Time
	Attempts int // including the one under way
	Error    string
	Created  time.Time
	Ended    time.Time
}

// Bind reads the payload into v.
func (j Job) Bind(v any) error { return json.Unmarshal(j.Payload, v) }

// Handler does a job. A returned error means that it is tried again later; an
// error of kind errs.Invalid or errs.Gone that it never can succeed.
type Handler func(ctx context.Context, job Job) error

// senders put messages in through a transaction; they never use a handle of
// their own, which goqite asks for in any case.
var senders = map[db.Dialect]*goqite.Queue{
	db.SQLite:   goqite.New(goqite.NewOpts{DB: new(sql.DB), Name: queueName, SQLFlavor: goqite.SQLFlavorSQLite}),
	db.Postgres: goqite.New(goqite.NewOpts{DB: new(sql.DB), Name: queueName, SQLFlavor: goqite.SQLFlavorPostgreSQL}),
}

// listeners are the queues of this process, woken when a job was committed.
var listeners struct {
	sync.Mutex
	set map[*Queue]bool
}

func wakeAll() {
	listeners.Lock()
	defer listeners.Unlock()
	for q := range listeners.set {
		q.signal()
	}
}

// Enqueue adds a job that runs as soon as tx has committed, and returns its id.
// payload is kept as JSON.
func Enqueue(ctx context.Context, tx *db.Tx, kind string, payload any) (id string, err error) {
	id, _, err = add(ctx, tx, kind, "", payload, time.Time{})
	return id, err
}

// EnqueueOnce is Enqueue under a key: when the kind has a job of that key
// already, in whatever state, nothing is added and fresh is false.
func EnqueueOnce(ctx context.Context, tx *db.Tx, kind, key string, payload any) (id string, fresh bool, err error) {
	if key == "" {
		return "", false, errs.Newf(errs.Internal, "任务缺少键", "a job that runs once needs a key")
	}
	return add(ctx, tx, kind, key, payload, time.Time{})
}

// Schedule adds a job for a due time under a key. A job of that key that has not
// begun is moved to the new time and payload; one that has begun or ended stays
// as it is, so that a reminder acts once, and moved is false.
func Schedule(ctx context.Context, tx *db.Tx, kind, key string, due time.Time, payload any) (moved bool, err error) {
	if key == "" || due.IsZero() {
		return false, errs.Newf(errs.Internal, "定时任务缺少键或时间", "a scheduled job needs a key and a time")
	}
	_, fresh, err := add(ctx, tx, kind, key, payload, due)
	if err != nil || fresh {
		return fresh, err
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return false, err
	}
	return moveWaiting(ctx, tx, kind, key, db.Ms(due), string(text))
}

// Cancel removes the job of a key unless it has begun; false when there was none to remove.
func Cancel(ctx context.Context, tx *db.Tx, kind, key string) (removed bool, err error) {
	return deleteWaiting(ctx, tx, kind, key)
}

func add(ctx context.Context, tx *db.Tx, kind, key string, payload any, due time.Time) (id string, fresh bool, err error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return "", false, fmt.Errorf("payload of job %s: %w", kind, err)
	}
	job := Job{ID: db.NewID(), Kind: kind, Key: key, Payload: text, State: Queued, Due: due, Created: time.Now()}
	if !due.IsZero() {
		job.State = Waiting
	}
	fresh, err = insert(ctx, tx, job)
	if err != nil || !fresh {
		return "", fresh, err
	}
	if job.State == Queued {
		if err := send(ctx, tx, job.ID); err != nil {
			return "", false, err
		}
	}
	tx.AfterCommit(wakeAll)
	return job.ID, true, nil
}

func send(ctx context.Context, tx *db.Tx, id string) error {
	message, err := senders[tx.Dialect()].SendAndGetIDTx(ctx, tx.SQL(), goqite.Message{Body: []byte(id)})
	if err != nil {
		return fmt.Errorf("send job: %w", err)
	}
	return setMessage(ctx, tx, id, string(message))
}

// Queue hands jobs to handlers.
type Queue struct {
	// Now is the clock of due times; set it before Run.
	Now func() time.Time
	// Zone is where the midnight is from which periods count; UTC unless set before Run.
	Zone *time.Location
	// Workers is how many jobs run at once.
	Workers int
	// Log takes failures; slog.Default when nil.
	Log *slog.Logger

	db       *db.DB
	q        *goqite.Queue
	mu       sync.Mutex
	handlers map[string]Handler
	every    map[string]time.Duration
	wake     chan struct{}
}

// New makes a queue over the control store.
func New(d *db.DB) *Queue {
	flavor := goqite.SQLFlavorSQLite
	if d.Dialect == db.Postgres {
		flavor = goqite.SQLFlavorPostgreSQL
	}
	return &Queue{
		Now: time.Now, Zone: time.UTC, Workers: 2, db: d, handlers: map[string]Handler{}, every: map[string]time.Duration{},
		wake: make(chan struct{}, 1),
		// Attempts are counted in jobs_job; goqite's own count must not drop a message.
		q: goqite.New(goqite.NewOpts{DB: d.SQL(), Name: queueName, SQLFlavor: flavor, MaxReceive: 1 << 30, Timeout: leaseTime}),
	}
}

// Handle registers the handler of a kind; once, before Run.
func (q *Queue) Handle(kind string, h Handler) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handlers[kind] != nil {
		panic("jobs: two handlers for " + kind)
	}
	q.handlers[kind] = h
}

// Every registers a handler that runs each time a period has passed, on one node
// only: at multiples of the period since midnight, Beijing time. A period that
// nobody was running for is made up for once.
func (q *Queue) Every(kind string, period time.Duration, h Handler) {
	q.Handle(kind, h)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.every[kind] = period
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then lets the jobs under way finish.
func (q *Queue) Run(ctx context.Context) error {
	listeners.Lock()
	if listeners.set == nil {
		listeners.set = map[*Queue]bool{}
	}
	listeners.set[q] = true
	listeners.Unlock()
	defer func() {
		listeners.Lock()
		delete(listeners.set, q)
		listeners.Unlock()
	}()
	slots := make(chan struct{}, max(1, q.Workers))
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	tidied := time.Time{}
	for {
		if err := q.promote(ctx); err != nil && ctx.Err() == nil {
			q.log().Error("jobs: due times", "err", err)
		}
		if now := q.Now(); now.Sub(tidied) > time.Hour {
			if err := tidy(ctx, q.db, db.Ms(now.Add(-keepDone)), db.Ms(now.Add(-keepKeyed))); err == nil {
				tidied = now
			}
		}
		for ctx.Err() == nil {
			slots <- struct{}{}
			job, message, err := q.claim(ctx)
			if err != nil || job == nil {
				<-slots
				if err != nil && ctx.Err() == nil {
					q.log().Error("jobs: receive", "err", err)
				}
				break
			}
			running.Add(1)
			go func() {
				defer running.Done()
				defer func() { <-slots; q.signal() }()
				q.do(ctx, *job, message)
			}()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-q.wake:
		}
	}
}

// Drain does, in the caller's goroutine, every job that is due by the queue's
// clock, and what those jobs enqueue; it returns how many it did. Tests and
// one-shot commands use it instead of Run.
func (q *Queue) Drain(ctx context.Context) (n int, err error) {
	for {
		if err := q.promote(ctx); err != nil {
			return n, err
		}
		job, message, err := q.claim(ctx)
		if err != nil || job == nil {
			return n, err
		}
		q.do(ctx, *job, message)
		n++
	}
}

// promote sends the jobs whose time has come, and makes those that recur.
func (q *Queue) promote(ctx context.Context) error {
	now := q.Now()
	q.mu.Lock()
	every := make(map[string]time.Duration, len(q.every))
	for kind, period := range q.every {
		every[kind] = period
	}
	q.mu.Unlock()
	recurring, err := readRecurring(ctx, q.db.Read())
	if err != nil {
		return err
	}
	for kind, period := range every {
		next, known := recurring[kind]
		if known && next > db.Ms(now) {
			continue
		}
		if err := q.db.InTx(ctx, func(tx *db.Tx) error {
			if known {
				if mine, err := advance(ctx, tx, kind, next, db.Ms(q.following(now, period))); err != nil || !mine {
					return err
				}
			} else if mine, err := startRecurring(ctx, tx, kind, db.Ms(q.following(now, period))); err != nil || !mine {
				return err
			}
			if !known {
				return nil
			}
			_, err := Enqueue(ctx, tx, kind, struct{}{})
			return err
		}); err != nil {
			return err
		}
	}
	ids, err := dueJobs(ctx, q.db.Read(), db.Ms(now), 200)
	if err != nil || len(ids) == 0 {
		return err
	}
	return q.db.InTx(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if mine, err := setQueued(ctx, tx, id, db.Ms(now)); err != nil {
				return err
			} else if !mine {
				continue
			}
			if err := send(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// following is the next time of a recurring job: a whole number of periods after
// the midnight before now.
func (q *Queue) following(now time.Time, period time.Duration) time.Time {
	y, m, d := now.In(q.Zone).Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, q.Zone)
	return midnight.Add((now.Sub(midnight)/period + 1) * period)
}

// claim takes the next message and makes its job this worker's; nil when there
// is none to do.
func (q *Queue) claim(ctx context.Context) (*Job, goqite.ID, error) {
	// A look that writes nothing first: an idle queue must not take SQLite's lock.
	if ready, err := anyReady(ctx, q.db.Read(), db.Ms(time.Now())); err != nil || !ready {
		return nil, "", err
	}
	var job *Job
	var id goqite.ID
	for range 100 {
		again := false
		err := q.db.InTx(ctx, func(tx *db.Tx) error {
			message, err := q.q.ReceiveTx(ctx, tx.SQL())
			if err != nil || message == nil {
				return err
			}
			id = message.ID
			found, err := startJob(ctx, tx, string(message.Body), db.Ms(time.Now()), db.Ms(time.Now().Add(leaseTime)))
			if err != nil {
				return err
			}
			if found == nil {
				// Two workers received it together, or the job has ended: a message
				// without a job under way would come back for ever.
				again = true
				if under, err := underWay(ctx, tx, string(message.Body)); err != nil || under {
					return err
				}
				return q.q.DeleteTx(ctx, tx.SQL(), message.ID)
			}
			job = found
			return nil
		})
		if err != nil || !again {
			return job, id, err
		}
	}
	return nil, "", nil
}

func (q *Queue) do(ctx context.Context, job Job, message goqite.ID) {
	// The transaction that ends a job must not be lost to a shutdown.
	keep := context.WithoutCancel(ctx)
	var err error
	q.mu.Lock()
	h := q.handlers[job.Kind]
	q.mu.Unlock()
	switch {
	case h == nil:
		err = fmt.Errorf("no handler for %s on this node", job.Kind)
	case job.Attempts > maxAttempts:
		err = errs.Newf(errs.Gone, "任务多次中断", "the job was cut off too often")
	default:
		stop := q.renew(keep, job.ID, message)
		err = guarded(ctx, h, job)
		stop()
	}
	end := q.Now()
	switch {
	case err == nil:
		job.State, job.Ended, job.Error = Done, end, ""
	case ctx.Err() != nil && job.Attempts < maxAttempts:
		// Cut off by a shutdown, no fault of the job's.
		job.State, job.Due, job.Error = Waiting, end, err.Error()
	case job.Attempts >= maxAttempts || errs.Is(err, errs.Invalid) || errs.Is(err, errs.Gone):
		job.State, job.Ended, job.Error = Dead, end, err.Error()
		q.log().Error("jobs: gave up", "kind", job.Kind, "job", job.ID, "attempts", job.Attempts, "err", err)
	default:
		job.State, job.Due, job.Error = Waiting, end.Add(backoff(job.Attempts)), err.Error()
		level := slog.LevelWarn
		if errs.Is(err, errs.Conflict) {
			level = slog.LevelInfo // somebody else is at it
		}
		q.log().Log(keep, level, "jobs: failed, tried again later", "kind", job.Kind, "job", job.ID, "attempts", job.Attempts, "err", err)
	}
	if err := q.db.InTx(keep, func(tx *db.Tx) error {
		if err := finish(keep, tx, job); err != nil {
			return err
		}
		return q.q.DeleteTx(keep, tx.SQL(), message)
	}); err != nil {
		q.log().Error("jobs: record the end", "kind", job.Kind, "job", job.ID, "err", err)
	}
}

// renew keeps the lease while a handler runs; the returned function stops it.
func (q *Queue) renew(ctx context.Context, id string, message goqite.ID) func() {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if err := q.db.InTx(ctx, func(tx *db.Tx) error {
				if err := extend(ctx, tx, id, db.Ms(time.Now().Add(leaseTime))); err != nil {
					return err
				}
				return q.q.ExtendTx(ctx, tx.SQL(), message, leaseTime)
			}); err != nil {
				q.log().Warn("jobs: keep the lease", "job", id, "err", err)
			}
		}
	}()
	return func() { close(done); wait.Wait() }
}

// guarded turns a panic of one handler into that job's failure.
func guarded(ctx context.Context, h Handler, job Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(ctx, job)
}

// backoff is the pause after the nth attempt: 2 s, doubling, at most 6 hours.
func backoff(attempts int) time.Duration {
	return min(time.Second<<min(attempts, 20), 6*time.Hour)
}

func (q *Queue) log() *slog.Logger {
	if q.Log != nil {
		return q.Log
	}
	return slog.Default()
}

// List returns at most limit jobs of a state ("" all) and kind ("" all), the
// newest first.
func (q *Queue) List(ctx context.Context, state, kind string, limit int) ([]Job, error) {
	return list(ctx, q.db.Read(), state, kind, limit)
}

// Kinds returns the kinds of which there are jobs, sorted.
func (q *Queue) Kinds(ctx context.Context) ([]string, error) { return kinds(ctx, q.db.Read()) }

// Counts returns how many jobs there are of each state.
func (q *Queue) Counts(ctx context.Context) (map[string]int, error) {
	return counts(ctx, q.db.Read())
}

// Retry puts a dead job back with fresh attempts; errs.NotFound when none of the
// id is dead.
func (q *Queue) Retry(ctx context.Context, tx *db.Tx, id string) error {
	revived, err := revive(ctx, tx, id)
	if err != nil {
		return err
	}
	if !revived {
		return errs.Newf(errs.NotFound, "没有这个失败任务", "there is no dead job of that id")
	}
	tx.AfterCommit(q.signal)
	return send(ctx, tx, id)
}

// Get returns one job, errs.NotFound when there is none.
func (q *Queue) Get(ctx context.Context, id string) (Job, error) {
	job, err := get(ctx, q.db.Read(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, errs.Newf(errs.NotFound, "没有这个任务", "there is no such job")
	}
	return job, err
}
