package operation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Deps is what a door needs.
type Deps struct {
	DB  *db.DB
	Log *audit.Log
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Door is the one way to act. Its methods may be called by many goroutines.
type Door struct {
	db       *db.DB
	log      *audit.Log
	now      func() time.Time
	policies *Policies

	mu      sync.Mutex
	refused map[Action]int64 // refusals of anonymous visitors since the last flush
}

// New makes a door with the policies embedded in the program.
func New(deps Deps) (*Door, error) {
	policies, err := Load()
	if err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Door{db: deps.DB, log: deps.Log, now: deps.Now, policies: policies, refused: map[Action]int64{}}, nil
}

// Policies returns the rules that the door applies.
func (d *Door) Policies() *Policies { return d.policies }

// May tells whether the actor may do action on target: nil, or the refusal that
// Do and Read would give. It leaves no trace; use it to decide what a page offers.
func (d *Door) May(actor identity.Actor, action Action, target Target) error {
	decision, err := d.policies.Decide(actor, action, target)
	if err != nil {
		return err
	}
	if !decision.Allowed {
		return d.policies.refusal(actor, action, target, decision)
	}
	return nil
}

// Do runs a write: permitted? transaction, fn, audit entry, commit. When fn
// fails everything it wrote is rolled back, the failure is audited on its own,
// and fn's error returned. A refusal is errs.Forbidden (errs.Unauthenticated for
// a visitor) and names the rule and what would allow it. fn must not pass
// through the door again: it calls …Tx functions.
func (d *Door) Do(ctx context.Context, actor identity.Actor, action Action, target Target, fn func(ctx context.Context, tx *db.Tx) error) error {
	_, err := d.DoIndexed(ctx, actor, action, target, fn)
	return err
}

// DoIndexed is Do for receipts that show the place of the entry in the log: seq
// counts from 0.
func (d *Door) DoIndexed(ctx context.Context, actor identity.Actor, action Action, target Target, fn func(ctx context.Context, tx *db.Tx) error) (seq int64, err error) {
	ctx, v, err := d.enter(ctx, actor, action, target)
	if err != nil {
		return 0, err
	}
	err = d.db.InTx(ctx, func(tx *db.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		seq, err = d.log.AppendTx(ctx, tx, d.entry(v, action, audit.OK, ""))
		return err
	})
	if err != nil {
		return 0, d.failed(ctx, v, action, err)
	}
	return seq, nil
}

// Read runs a read of data or personal facts: permitted? fn, then the audit
// entry, durable before Read returns. The caller releases what fn gathered only
// when Read returns nil.
func (d *Door) Read(ctx context.Context, actor identity.Actor, action Action, target Target, fn func(ctx context.Context) error) error {
	if err := d.log.Ready(); err != nil {
		return err
	}
	ctx, v, err := d.enter(ctx, actor, action, target)
	if err != nil {
		return err
	}
	if err := fn(ctx); err != nil {
		return d.failed(ctx, v, action, err)
	}
	if _, err := d.log.Append(ctx, d.entry(v, action, audit.OK, "")); err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	return nil
}

func (d *Door) enter(ctx context.Context, actor identity.Actor, action Action, target Target) (context.Context, *visit, error) {
	if _, inside := ctx.Value(ctxKey{}).(*visit); inside {
		return ctx, nil, errs.New(errs.Internal, errs.T("程序在一次操作内重复进入操作之门", "the program passed the door inside the door")).
			Because(fmt.Errorf("action %q begun inside another", action))
	}
	v := &visit{target: target, actor: actor}
	decision, err := d.policies.Decide(actor, action, target)
	if err != nil {
		return ctx, nil, err
	}
	if decision.Allowed {
		return context.WithValue(ctx, ctxKey{}, v), v, nil
	}
	refusal := d.policies.refusal(actor, action, target, decision)
	if actor.IsAnonymous() {
		d.mu.Lock()
		d.refused[action]++
		d.mu.Unlock()
		return ctx, nil, refusal
	}
	v.notes = map[string]any{"policy": decision.Policies[0].ID}
	if decision.Default {
		v.notes["policy"] = "default"
	}
	if err := d.record(ctx, v, action, audit.Refused, refusal); err != nil {
		return ctx, nil, errors.Join(err, refusal)
	}
	return ctx, nil, refusal
}

// failed audits an attempt that was permitted and did not succeed. The person's
// own mistake and a full disk are both on record; the first error is returned.
func (d *Door) failed(ctx context.Context, v *visit, action Action, cause error) error {
	if v.actor.IsAnonymous() {
		d.mu.Lock()
		d.refused[action]++
		d.mu.Unlock()
		return cause
	}
	if err := d.record(ctx, v, action, audit.Failed, cause); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// record writes an entry in a transaction of its own, also when the request that
// caused it has been given up.
func (d *Door) record(ctx context.Context, v *visit, action Action, outcome string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	reason := string(errs.KindOf(cause))
	if e, ok := errs.As(cause); ok && len(e.Clauses) > 0 {
		reason += " " + strings.Join(e.Clauses, " ")
	}
	return d.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := d.log.AppendTx(ctx, tx, d.entry(v, action, outcome, reason))
		return err
	})
}

// RefusedVisitors returns and resets the number of refused or failed attempts of
// anonymous visitors by action since the last call.
func (d *Door) RefusedVisitors() map[Action]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := d.refused
	d.refused = map[Action]int64{}
	return counts
}

// VisitorsEvery is the period whose refusals of visitors make one entry.
const VisitorsEvery = 10 * time.Minute

// LogVisitors writes how many attempts of anonymous visitors this node refused
// since the last time, by action, as one entry: counted, not logged one by one, so
// that a flood cannot fill the log. Without any it writes nothing. What could not be
// written is kept and counted on.
func (d *Door) LogVisitors(ctx context.Context) error {
	counts := d.RefusedVisitors()
	if len(counts) == 0 {
		return nil
	}
	e := audit.Entry{At: d.now(), ActorKind: string(identity.Anonymous), Action: "operation.visitors.refused", TargetKind: "visitors", Outcome: audit.Refused}
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		e.Notes = append(e.Notes, audit.Note{Key: string(action), Value: counts[action]})
	}
	if _, err := d.log.Append(ctx, e); err != nil {
		d.mu.Lock()
		for action, n := range counts {
			d.refused[action] += n
		}
		d.mu.Unlock()
		return fmt.Errorf("audit refused visitors: %w", err)
	}
	return nil
}

// Run writes the refusals of visitors once a period until ctx ends, and then what
// is left. Each node counts, and writes, its own.
func (d *Door) Run(ctx context.Context) error {
	tick := time.NewTicker(VisitorsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			return d.LogVisitors(last)
		case <-tick.C:
			// Kept where the log is down, and tried again with the next period's.
			_ = d.LogVisitors(ctx)
		}
	}
}

// entry is what the log keeps of a passage. Names of members of the public stay
// out of it, and their address goes in as a keyed digest.
func (d *Door) entry(v *visit, action Action, outcome, code string) audit.Entry {
	t, notes := v.snapshot()
	a := v.actor
	e := audit.Entry{
		At:        d.now(),
		ActorKind: string(a.Kind), Actor: a.ID, ActorName: a.Name, Post: string(a.Post), Body: a.Body, BodyName: a.BodyName,
		Addr: a.Addr, Client: a.Client, Session: a.SessionID,
		Action: string(action), TargetKind: t.Kind, Target: t.ID, TargetName: t.Name, TargetBody: t.Body, District: t.District,
		Resource: t.Resource, Case: t.Case, Grant: t.Grant, Purpose: t.Purpose, Approver: t.Approver, Medium: t.Medium,
		Outcome: outcome, Code: code,
	}
	if a.Kind == "" {
		e.ActorKind = string(identity.Anonymous)
	}
	if a.Post == identity.Member || a.IsAnonymous() {
		e.ActorName = ""
		if a.Addr != "" {
			e.Addr = d.log.Digest("address", a.Addr)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		e.Notes = append(e.Notes, audit.Note{Key: key, Value: notes[key]})
	}
	return e
}

// CountVisitor counts an attempt that is not worth an entry of its own, such as a
// log-in under a name that does not exist.
func (d *Door) CountVisitor(action Action) {
	d.mu.Lock()
	d.refused[action]++
	d.mu.Unlock()
}
