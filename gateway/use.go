package gateway

import (
	"context"
	"crypto/cipher"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Facts of a use that the caller states in headers; empty ones are derived from
// the grant where it has exactly one value for them.
type Facts struct {
	Grant    string // id; needed only where several grants fit
	Purpose  string // 具体用途: one of the grant's
	User     string // 使用人员: who at the consumer looks at the data
	Approver string // 批准人员: who there approved this use; the grant's otherwise
	Case     string // the business case at hand; the grant's number otherwise
	Medium   string // 介质类型: the grant's otherwise
}

// Call is a request to the data service.
type Call struct {
	Caller   *identity.Caller
	Addr     string // without port
	Resource string // code with its slash
	Facts
}

// plan finds the grant that a call uses, checks it against the time, the client,
// the purpose, its rate and its quota, and completes the facts. It reads memory
// only, but for the first request of a day under a quota.
func (s *Service) plan(ctx context.Context, call *Call, mode Mode) (*Plan, error) {
	if err := s.deps.Audit.Ready(); err != nil {
		return nil, err
	}
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	p, err := s.match(call, mode, now)
	if err != nil {
		return nil, err
	}
	if err := p.complete(&call.Facts, s.deps.Rules); err != nil {
		return p, err
	}
	return p, s.admit(ctx, p, now)
}

// match finds the newest grant in force for the caller; one that covers the
// stated purpose is preferred.
func (s *Service) match(call *Call, mode Mode, now time.Time) (*Plan, error) {
	var other *Plan
	for _, p := range s.plans.Load().byUse[planKey{call.Caller.Client.Body, call.Resource, mode}] {
		if p.clients != nil && !p.clients[call.Caller.Client.ID] || p.Grant.State(now) != Active ||
			call.Grant != "" && call.Grant != p.Grant.ID {
			continue
		}
		if call.Purpose == "" || p.Purposes[call.Purpose] {
			return p, nil
		}
		if other == nil {
			other = p
		}
	}
	if other != nil {
		return other, errs.Newf(errs.Forbidden, "用途“%s”不在授权的用途之内", "the purpose %q is not one of the grant's", clipped(call.Purpose)).
			In("X-Gongshu-Purpose").By("FZM-29", "LY-21", "FS-29")
	}
	// The same words whether the resource does not exist, is withheld, or is not
	// granted: who has no right learns nothing of what there is.
	return nil, errs.Newf(errs.Forbidden, "没有以 %[2]s 方式使用资源 %[1]s 的有效授权；请先申请共享", "there is no grant in force to use resource %[1]s in the mode %[2]s; apply for it first",
		clipped(call.Resource), string(mode)).In("resource").By("FZM-17", "FS-29")
}

// complete fills in the facts that the caller did not state, and refuses where one
// of the seven is missing (FZM-29, LY-21): content, time and way come from the
// request itself.
func (p *Plan) complete(f *Facts, rules func() Rules) error {
	g := p.Grant
	if f.Purpose == "" {
		if len(g.Purposes) != 1 {
			return missing("X-Gongshu-Purpose", "具体用途", "the purpose", g.Purposes, rules)
		}
		f.Purpose = g.Purposes[0]
	}
	switch {
	case f.User == "" && len(g.Users) == 1:
		f.User = g.Users[0]
	case f.User == "":
		return missing("X-Gongshu-User", "使用人员", "the user", g.Users, rules)
	case len(g.Users) > 0 && !slices.Contains(g.Users, f.User):
		return errs.Newf(errs.Forbidden, "使用人员“%s”不在授权的人员之内", "the user %q is not one of the grant's", clipped(f.User)).
			In("X-Gongshu-User").By("FZM-29", "LY-21", "FS-29")
	}
	if f.Approver == "" {
		f.Approver = g.Approver
	}
	if f.Case == "" {
		f.Case = g.CaseNo
	}
	if f.Medium == "" {
		f.Medium = g.Medium
	}
	return nil
}

func missing(header, zh, en string, choices []string, rules func() Rules) error {
	clauses := rules().FactsClauses
	if len(clauses) == 0 {
		clauses = []string{"FZM-29", "LY-21"}
	}
	e := errs.Newf(errs.Invalid, "须用请求头 %[1]s 写明%[2]s", "state %[3]s in the header %[1]s", header, zh, en).In(header).By(clauses...)
	if len(choices) > 1 {
		e.With(errs.Problem{Field: header, Code: "choices", Text: errs.T("可选："+strings.Join(choices, "、"), "one of: "+strings.Join(choices, ", "))})
	}
	return e
}

// clipped bounds text from a request that goes into a message.
func clipped(s string) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return string(r)
}

// still refuses to release when the grant ended, or the caller's key or client was
// shut out, while the answer was made.
func (p *Plan) still(call *Call) error {
	if p.ended.Load() {
		return errs.New(errs.Gone, errs.T("授权在处理期间被收回或变更，未放行数据", "the grant was revoked or changed meanwhile; nothing is released")).In("grant")
	}
	return call.Caller.Still()
}

// entry is the audit entry of a use: all seven facts of FZM-29 and LY-21.
func (s *Service) entry(call *Call, p *Plan, mode Mode) audit.Entry {
	e := audit.Entry{
		At: s.deps.Now(), ActorKind: string(identity.Client), Actor: call.Caller.Client.ID, ActorName: call.Caller.Client.Name,
		Body: call.Caller.Client.Body, BodyName: call.Caller.Client.BodyName, Addr: call.Addr, Client: call.Caller.Client.ID,
		Action: actions[mode], TargetKind: "resource", Resource: call.Resource,
		Case: call.Case, Purpose: call.Purpose, Approver: call.Approver, Medium: call.Medium,
	}
	if p != nil {
		e.Target, e.TargetName, e.TargetBody = p.Source.ID, p.Source.Name, p.Source.Provider
		e.Resource, e.Grant = p.Source.Code, p.Grant.ID
	}
	return e
}

var actions = map[Mode]string{Query: "gateway.query", Verify: "gateway.verify", Obtain: "gateway.obtain", Statistics: "gateway.statistics"}

// refuse audits a request that was refused or failed and returns its error. A
// caller over its rate or quota is noted once a minute, so that a loop cannot
// fill the log.
func (s *Service) refuse(ctx context.Context, call *Call, p *Plan, mode Mode, cause error) error {
	e, known := errs.As(cause)
	if known && e.Kind == errs.Unavailable {
		return cause
	}
	if known && e.Kind == errs.TooMany && !s.quiet.first(call.Caller.Client.ID+" "+string(mode)+" "+e.Field, s.deps.Now()) {
		return cause
	}
	entry := s.entry(call, p, mode)
	entry.Resource = clipped(entry.Resource)
	entry.Outcome, entry.Code = audit.Failed, string(errs.KindOf(cause))
	if known && e.Kind != errs.Internal {
		entry.Outcome = audit.Refused
		entry.Code = strings.TrimSpace(entry.Code + " " + strings.Join(e.Clauses, " "))
		// Fields are names of headers, of items or of parts of the body; the last
		// may come from the caller.
		entry.Notes = append(entry.Notes, audit.Note{Key: "field", Value: clipped(e.Field)})
	}
	entry.Notes = append(entry.Notes, audit.Note{Key: "user", Value: call.User})
	if _, err := s.deps.Audit.Append(context.WithoutCancel(ctx), entry); err != nil {
		s.deps.Log.Warn("a refusal is not in the log", "err", err)
	}
	return cause
}

// quiet remembers what was noted within the last minute.
type quiet struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (q *quiet) first(key string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.last[key]) < time.Minute {
		return false
	}
	if q.last == nil || len(q.last) > 10_000 {
		q.last = map[string]time.Time{}
	}
	q.last[key] = now
	return true
}

// meter counts what a grant uses: a bucket for the rate, sums for the quota.
type meter struct {
	grant string

	mu           sync.Mutex
	tokens       float64
	filled       int64 // monotonic nanoseconds
	day          string
	dayEnds      int64 // Unix milliseconds
	loaded       bool
	requests     int64 // of the day, over all nodes as far as known
	rows         int64
	freshReqs    int64 // not yet in the store
	freshRows    int64
	perSecond    float64
	requestLimit int64
	rowLimit     int64
}

func newMeter(grant string) *meter { return &meter{grant: grant, tokens: -1} }

// admit takes one request from the rate and the quota.
func (s *Service) admit(ctx context.Context, p *Plan, now time.Time) error {
	m, g := p.meter, p.Grant
	m.mu.Lock()
	defer m.mu.Unlock()
	m.perSecond = float64(g.PerSecond)
	if m.perSecond == 0 {
		m.perSecond = defaultPerSecond
	}
	tick := monotonic()
	if m.tokens < 0 {
		m.tokens = m.perSecond
	} else {
		m.tokens = min(m.perSecond, m.tokens+float64(tick-m.filled)/1e9*m.perSecond)
	}
	m.filled = tick
	if m.tokens < 1 {
		return errs.Newf(errs.TooMany, "请求过快：该授权每秒至多 %d 次", "too fast: the grant allows %d requests a second", int(m.perSecond)).In("rate").Retry(1)
	}
	m.requestLimit, m.rowLimit = g.RequestsPerDay, g.RowsPerDay
	if m.requestLimit > 0 || m.rowLimit > 0 {
		if err := s.today(ctx, m, now); err != nil {
			return err
		}
		wait := int((m.dayEnds-now.UnixMilli())/1000) + 1
		if m.requestLimit > 0 && m.requests+m.freshReqs >= m.requestLimit {
			return errs.Newf(errs.TooMany, "今日请求次数已达授权上限 %d", "the grant's %d requests of today are used up", m.requestLimit).In("requests_per_day").Retry(wait)
		}
		if m.rowLimit > 0 && m.rows+m.freshRows >= m.rowLimit {
			return errs.Newf(errs.TooMany, "今日数据行数已达授权上限 %d", "the grant's %d rows of today are used up", m.rowLimit).In("rows_per_day").Retry(wait)
		}
		m.freshReqs++
	}
	m.tokens--
	return nil
}

// today begins a new day's count; m.mu is held.
func (s *Service) today(ctx context.Context, m *meter, now time.Time) error {
	if m.loaded && now.UnixMilli() < m.dayEnds {
		return nil
	}
	loc := s.zone()
	local := now.In(loc)
	day := local.Format(time.DateOnly)
	requests, rows, err := readQuota(ctx, s.deps.DB.Read(), m.grant, day)
	if err != nil {
		return errs.New(errs.Unavailable, errs.T("暂时无法核对配额", "the quota cannot be checked at present")).Retry(2).Because(err)
	}
	// What the old day still owed is lost with it; it counts for nothing now.
	m.day, m.loaded, m.requests, m.rows, m.freshReqs, m.freshRows = day, true, requests, rows, 0, 0
	m.dayEnds = time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, loc).UnixMilli()
	return nil
}

// took adds rows to the day; left says how many more may leave, -1 for any number.
func (m *meter) took(rows int64) (left int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rowLimit <= 0 {
		return -1
	}
	m.freshRows += rows
	return max(0, m.rowLimit-m.rows-m.freshRows)
}

// flushQuotas adds what this node used to the store and learns what others did.
func (s *Service) flushQuotas(ctx context.Context) error {
	type owed struct {
		m              *meter
		day            string
		requests, rows int64
	}
	var due []owed
	s.sync.Lock()
	for _, m := range s.meters {
		m.mu.Lock()
		if m.freshReqs > 0 || m.freshRows > 0 {
			due = append(due, owed{m, m.day, m.freshReqs, m.freshRows})
		}
		m.mu.Unlock()
	}
	s.sync.Unlock()
	if len(due) == 0 {
		return nil
	}
	totals := make([][2]int64, len(due))
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		for i, o := range due {
			var err error
			if totals[i][0], totals[i][1], err = addQuota(ctx, tx, o.m.grant, o.day, o.requests, o.rows); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, o := range due {
		o.m.mu.Lock()
		if o.m.day == o.day {
			o.m.requests, o.m.rows = totals[i][0], totals[i][1]
			o.m.freshReqs -= o.requests
			o.m.freshRows -= o.rows
		}
		o.m.mu.Unlock()
	}
	return nil
}

// secrets are the keyed primitives that the gateway uses besides masks.
type secrets struct {
	claims sync.Pool // hash.Hash: digests of verify claims
	mark   sync.Pool // hash.Hash: keys of watermarks
	tokens cipher.Block
}

func (s *Service) openSecrets() (err error) {
	for name, pool := range map[string]*sync.Pool{"gateway/claims": &s.secrets.claims, "gateway/watermark": &s.secrets.mark} {
		if _, err := s.deps.Keys.MAC(name); err != nil {
			return err
		}
		pool.New = func() any {
			h, err := s.deps.Keys.MAC(name)
			if err != nil {
				panic(err)
			}
			return h
		}
	}
	s.secrets.tokens, err = s.deps.Keys.Block("gateway/since")
	return err
}

// digest is the keyed digest of parts, which may hold personal values.
func digest(pool *sync.Pool, parts ...string) []byte {
	h := pool.Get().(hash.Hash)
	defer pool.Put(h)
	h.Reset()
	for _, p := range parts {
		var n [4]byte
		n[0], n[1], n[2], n[3] = byte(len(p)>>24), byte(len(p)>>16), byte(len(p)>>8), byte(len(p))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// keyedMutex is a mutex a key.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]*heldMutex
}

type heldMutex struct {
	sync.Mutex
	users int
}

func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*heldMutex{}
	}
	h := k.held[key]
	if h == nil {
		h = &heldMutex{}
		k.held[key] = h
	}
	h.users++
	k.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		k.mu.Lock()
		if h.users--; h.users == 0 {
			delete(k.held, key)
		}
		k.mu.Unlock()
	}
}

// Authorise tells whether a call would be admitted now, and by which plan. It
// takes from the grant's rate and quota as the call itself would.
func (s *Service) Authorise(ctx context.Context, call *Call, mode Mode) (*Plan, error) {
	return s.plan(ctx, call, mode)
}
