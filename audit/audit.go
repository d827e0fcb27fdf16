// Package audit is the append-only, tamper-evident log of every operation and
// of every read of data (FZM-29, QZ-3.1.8, LY-21, LY-24).
//
// An entry is canonical JSON (see [Entry.Canonical]); its leaf is the RFC 6962
// hash of those bytes. Entries form one dense sequence from 0, in commit order,
// over all nodes: audit_head.size is raised in the transaction that inserts
// them, and its row lock is held until commit. [Log.AppendTx] joins a write's own
// transaction; [Log.Append] is a group commit for reads, which release nothing
// before it returns. An integrator ([Log.Run]) extends the Merkle tree, keeps it
// as C2SP tiles, and signs checkpoints about once a second. A verifier
// ([VerifyExport], [VerifyStore]) needs an export or the database, and the public
// key; no server.
//
// Callers are operation, gateway and opendata's downloads, nobody else.
package audit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Outcome says how an operation ended.
const (
	OK      = "ok"
	Refused = "refused" // the actor may not, or a rule forbids it
	Failed  = "failed"  // it was permitted and did not come about
)

// Note is a fact beside the fixed ones: a count, a code, a batch id. Value is a
// string, an int, an int64, a bool or a []string; other types are written with
// fmt. Never a personal value: those go in as [Log.Digest].
type Note struct {
	Key   string
	Value any
}

// Entry is one operation or one read. Only Action is required; empty fields do
// not appear in the canonical form. Strings over 1,024 bytes are cut there.
type Entry struct {
	ID string    // UUID version 7; made by the log when empty
	At time.Time // kept to the millisecond, UTC; made by the log when zero

	ActorKind string // identity.Kind: "person", "client", "system", "anonymous"
	Actor     string // account or client id
	ActorName string // official's or client's name; dropped for members of the public
	Post      string // acting post
	Body      string // the actor's body, id
	BodyName  string
	Addr      string // address without port; a keyed digest for members of the public
	Client    string // API client, when a person acts through one
	Session   string // session id as the session table shows it, never the secret

	Action     string // "catalog.resource.submit"
	TargetKind string
	Target     string // id
	TargetName string
	TargetBody string // body that owns the target
	District   string // division code of the target

	Resource string // resource code
	Case     string // case number
	Grant    string // grant id
	Purpose  string // FZM-29, LY-21: purpose, approver and medium of a use of data
	Approver string
	Medium   string // "api", "file", "page"

	Outcome  string   // OK when empty
	Code     string   // kind of refusal or failure, and clause ids: "forbidden FS-40"
	Subjects []string // keyed digests of the persons whose data was touched
	Notes    []Note
}

// Options of [Open].
type Options struct {
	// Keys sign checkpoints and key digests; required.
	Keys Keys
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Node names this process in the integrator's lease; made when empty.
	Node string
	// Witness is a file in which this node keeps the newest checkpoint that it
	// has seen, so that a database set back to an earlier state is noticed at the
	// next start; "" keeps none.
	Witness string
	// Next are the keys that a rotation brings, only while it is under way; see
	// [Log.Rotate].
	Next Keys
}

// Log is the open log. Its methods may be called by many goroutines.
type Log struct {
	db      *db.DB
	keys    Keys
	next    Keys // nil but for a rotation
	now     func() time.Time
	node    string
	witness string

	mu      sync.Mutex
	current *batch
	wake    chan struct{}
	quit    chan struct{}
	done    chan struct{}
	closed  bool
	writer  writer

	state   atomic.Pointer[State]
	probed  atomic.Int64  // when Ready last let a caller through while down
	changed chan struct{} // tells Run that there is something to integrate
	tree    treeCache
	recent  recent
}

// State is whether the log takes entries; pages and health checks show it.
type State struct {
	OK bool
	// Since is when the state was last entered.
	Since time.Time
	// Err is the storage error that stopped the log, or nil.
	Err error
	// Tampered is the first entry whose stored content contradicts its leaf, or
	// -1; checkpoints stop there until somebody has looked.
	Tampered int64
}

// Open opens the log on a migrated store, writes its first entry when it is
// empty, checks the tree against the newest checkpoint and the witness file, and
// starts the appender. The caller runs [Log.Run] on one or more nodes, and Close.
//
// It fails with errs.Conflict when the store contradicts a checkpoint that was
// signed before: the database was set back or rewritten.
func Open(ctx context.Context, d *db.DB, o Options) (*Log, error) {
	if o.Keys == nil {
		return nil, errs.Newf(errs.Internal, "审计日志缺少签名密钥", "the audit log has no signing keys")
	}
	l := &Log{
		db: d, keys: o.Keys, next: o.Next, now: o.Now, node: o.Node, witness: o.Witness,
		current: newBatch(), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.node == "" {
		l.node = db.NewID()
	}
	l.state.Store(&State{OK: true, Since: l.now(), Tampered: -1})
	if err := l.first(ctx); err != nil {
		return nil, err
	}
	if err := l.check(ctx); err != nil {
		return nil, err
	}
	l.writer = newWriter(d)
	go l.appender()
	return l, nil
}

// Close lets the entries under way finish and stops the appender. Append fails
// afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.quit)
	<-l.done
	return l.writer.close()
}

// State returns whether the log takes entries.
func (l *Log) State() State { return *l.state.Load() }

// probeEvery is how often a reader is let through while the log is down.
const probeEvery = 200 * time.Millisecond

// Ready returns nil when the log takes entries, and the errs.Unavailable that a
// data service answers with when the last attempt to write failed. It asks no
// database: while the log is down one caller in 200 ms gets nil all the same, so that
// reads find out by themselves when it is back. That one, too, releases nothing
// without its entry.
func (l *Log) Ready() error {
	s := l.State()
	if s.OK {
		return nil
	}
	now, last := int64(time.Since(started)), l.probed.Load()
	if now-last >= int64(probeEvery) && l.probed.CompareAndSwap(last, now) {
		return nil
	}
	return unavailable(s.Err)
}

// Check is Ready for whoever watches the node: it is nil only when the log takes
// entries. While the log is down it tries with an entry of its own, which then says
// since when it was; so a node from which a balancer has taken all readers comes back.
func (l *Log) Check(ctx context.Context) error {
	s := l.State()
	if s.OK {
		return nil
	}
	_, err := l.Append(ctx, Entry{At: l.now(), ActorKind: "system", Actor: "audit", Action: "audit.log.back", TargetKind: "log", Target: l.Origin(), Outcome: OK,
		Notes: []Note{{Key: "down_since", Value: s.Since.UTC().Format(time.RFC3339)}}})
	return err
}

// started is what probes measure time from: a clock that nobody sets.
var started = time.Now()

// Digest returns the keyed digest (SM3-HMAC, 32 hexadecimal digits of it) of a
// personal value of a kind ("resident_id"), for Entry.Subjects and notes. Equal
// values of one kind have equal digests in one log; without the key nothing can
// be told from it.
func (l *Log) Digest(kind, value string) string { return l.keys.Digest(kind, value) }

// Origin is the name of the log in its checkpoints.
func (l *Log) Origin() string { return l.keys.Origin() }

// VerifierKeys returns the public keys in the note format, Ed25519 first.
func (l *Log) VerifierKeys() []string { return l.keys.VerifierKeys() }

func unavailable(err error) error {
	if e, ok := errs.As(err); ok && e.Kind != errs.Unavailable {
		return err
	}
	return errs.Newf(errs.Unavailable,
		"审计日志暂时无法写入，数据服务已停止；没有日志就不放行数据，恢复后请重试",
		"the audit log cannot be written, so the data service has stopped: nothing leaves without its entry; try again when it is back").
		By("FZM-29").Because(err).Retry(5)
}
