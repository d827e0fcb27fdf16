package warehouse

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gongshu/internal/db"
)

// pointQueue lets point reads that come at the same time share a round trip. A read
// that finds a free lane goes at once; those that come while all lanes are at work
// wait for the next that is free and go together. That costs PostgreSQL and this
// program a fraction of a round trip each, and keeps the number of servers that
// contend for processors small, so that the log's commit is not one of dozens. Only
// reads by a table's whole key go so: others may be slow, and nobody waits for them.
type pointQueue struct {
	mu      sync.Mutex
	waiting []*pointCall
	lanes   int // at work
}

const (
	pointBatch = 32
	// pointTimeout bounds a round trip: a server that hangs is one that is down.
	pointTimeout = 30 * time.Second
)

// maxLanes is how many connections reads by key use at once.
var maxLanes = max(2, runtime.NumCPU())

// pointWire is a point read on its way to PostgreSQL.
type pointWire struct {
	plan   *pointPlan
	out    *Rows
	params [][]byte
	text   []byte
	stmt   *pgconn.StatementDescription
	done   chan error
}

func newPointWire(plan *pointPlan, params int) pointWire {
	return pointWire{plan: plan, params: make([][]byte, params), done: make(chan error, 1)}
}

func (p *pgStore) point(ctx context.Context, _ *pointPlan, call *pointCall, out *Rows) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &call.wire
	w.out = out
	// One buffer for all parameters, so grown first: a slice into it must not move.
	size := 0
	for _, v := range call.args {
		size += 24 + len(v.S)
	}
	if cap(w.text) < size {
		w.text = make([]byte, 0, size)
	}
	text := w.text[:0]
	for i, v := range call.args {
		from := len(text)
		text = appendParameter(text, v)
		w.params[i] = text[from:len(text):len(text)]
	}
	if !w.plan.byKey {
		p.readPoints(ctx, []*pointCall{call})
		return <-w.done
	}
	q := &p.points
	q.mu.Lock()
	q.waiting = append(q.waiting, call)
	free := q.lanes < maxLanes
	if free {
		q.lanes++
	}
	q.mu.Unlock()
	if free {
		go p.runLane()
	}
	// Not given up when ctx ends: the row is being written into out.
	return <-w.done
}

// runLane answers what waits, a round trip at a time, until nothing does.
func (p *pgStore) runLane() {
	q := &p.points
	var room [pointBatch]*pointCall
	for {
		q.mu.Lock()
		calls := room[:copy(room[:], q.waiting)]
		q.waiting = q.waiting[:copy(q.waiting, q.waiting[len(calls):])]
		if len(calls) == 0 {
			q.lanes--
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for len(calls) > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), pointTimeout)
			calls = calls[p.readPoints(ctx, calls):]
			cancel()
		}
	}
}

// readPoints answers calls in one round trip. A statement that the server refuses
// ends it there: it says how many are answered, one at least.
func (p *pgStore) readPoints(ctx context.Context, calls []*pointCall) int {
	all := func(err error) int {
		for _, c := range calls {
			c.wire.done <- err
		}
		return len(calls)
	}
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return all(db.Classify(err))
	}
	defer conn.Release()
	for i, c := range calls {
		w := &c.wire
		if w.stmt, err = conn.Conn().Prepare(ctx, w.plan.name, w.plan.sql); err != nil {
			if i > 0 { // those before it first
				calls = calls[:i]
				break
			}
			w.done <- err
			return 1
		}
	}
	line := conn.Conn().PgConn().StartPipeline(ctx)
	defer line.Close()
	for _, c := range calls {
		line.SendQueryStatement(c.wire.stmt, c.wire.params, nil, binaryFormat)
	}
	if err := line.Sync(); err != nil {
		return all(err)
	}
	for i, c := range calls {
		err := c.answer(line)
		var refused *pgconn.PgError
		if err != nil && !errors.As(err, &refused) {
			calls = calls[i:]
			return i + all(err)
		}
		c.wire.done <- err
		if err != nil {
			return i + 1
		}
	}
	return len(calls)
}

// answer reads the rows of one call.
func (c *pointCall) answer(line *pgconn.Pipeline) error {
	result, err := line.GetResults()
	if err != nil {
		return err
	}
	reader, ok := result.(*pgconn.ResultReader)
	if !ok {
		return errors.New("warehouse: a point read got no rows from the server")
	}
	cur := pgCursor{out: c.wire.plan.out, result: reader}
	for {
		ok, err := cur.next(c.row)
		if err != nil || !ok {
			return err
		}
		c.wire.out.add(c.row)
	}
}
