package gateway

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Usage is one line of the usage log: one request under a grant, answered or
// refused, with the facts that FZM-29 and LY-21 ask for. The log is derived from
// the audit log, so that it can neither miss a use nor invent one.
type Usage struct {
	Seq          int64     `json:"seq"` // of the audit entry; rises, with gaps
	At           time.Time `json:"at"`
	Grant        string    `json:"grant"`
	Resource     string    `json:"resource"` // code
	ResourceName string    `json:"resource_name"`
	Provider     string    `json:"provider"` // body id
	Consumer     string    `json:"consumer"` // body id
	ConsumerName string    `json:"consumer_name"`
	Mode         Mode      `json:"mode"`
	Client       string    `json:"client"`
	ClientName   string    `json:"client_name"`
	Purpose      string    `json:"purpose"`
	User         string    `json:"user"`
	Approver     string    `json:"approver"`
	Case         string    `json:"case,omitempty"`
	Medium       string    `json:"medium"`
	Fields       []string  `json:"fields,omitempty"` // items given, verified or grouped by
	Rows         int64     `json:"rows"`             // rows given; groups for statistics, claims for verify
	Outcome      string    `json:"outcome"`          // ok, refused, failed
	Code         string    `json:"code,omitempty"`   // why it was refused, with clauses
	Stage        string    `json:"stage,omitempty"`  // of a stream: begin or end
}

// Side says from which side a body looks at the log.
type Side string

// The two sides (LY-24: pushed to the producing and the using units).
const (
	AsProvider Side = "provider"
	AsConsumer Side = "consumer"
)

// UsageFilter picks lines. Empty fields do not restrict; Body is required.
type UsageFilter struct {
	Body     string
	Whole    bool // every body's use, for those who oversee the city; Body is then empty
	Side     Side // "" is both
	Grant    string
	Resource string
	Mode     Mode
	Outcome  string
	From, To time.Time // To is exclusive
}

const (
	// usageStep bounds the audit entries of one step of the projection, and so how
	// long an audit entry waits behind it where there is one writer at a time.
	usageStep = 1024
	usageName = "usage"
	endOfLog  = 1 << 62 // beyond every number of an entry
)

// usagePiece is the lines of one step under one grant, as they are stored.
type usagePiece struct {
	until                     int64
	grant, provider, consumer string
	resource                  string
	mode                      Mode
	first, last               int64 // milliseconds
	lastSeq                   int64
	lines                     []byte
}

// lineRooms are buffers for the lines of a piece.
var lineRooms = sync.Pool{New: func() any { return new([]byte) }}

// usageSum is what one step adds to a day.
type usageSum struct {
	day, grant, provider, consumer, outcome string
	resource                                string
	mode                                    Mode
	requests, rows                          int64
}

// Project carries new audit entries over into the usage log and says whether there
// may be more. Several nodes may call it: each step moves the cursor once.
func (s *Service) Project(ctx context.Context) (more bool, err error) {
	from, err := readCursor(ctx, s.deps.DB.Read(), usageName)
	if err != nil {
		return false, err
	}
	size, err := s.deps.Audit.Size(ctx)
	if err != nil || size <= from {
		return false, err
	}
	to := min(size, from+usageStep)
	pieces, sums, err := s.gather(ctx, from, to)
	defer func() {
		for _, p := range pieces {
			lineRooms.Put(&p.lines)
		}
	}()
	if err != nil {
		return false, err
	}
	moved := false
	err = s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if moved, err = moveCursor(ctx, tx, usageName, from, to); err != nil || !moved {
			return err
		}
		return putUsage(ctx, tx, pieces, sums)
	})
	return err == nil && (to < size || !moved), err
}

// gather sorts the data-service entries from ≤ seq < to by grant and adds them up
// by day. It looks only at what it needs of each.
func (s *Service) gather(ctx context.Context, from, to int64) (pieces []*usagePiece, sums []*usageSum, err error) {
	loc := s.zone()
	place, sum := map[string]*usagePiece{}, map[string]*usageSum{}
	var g glance
	err = s.deps.Audit.Contents(ctx, from, to, func(seq int64, content []byte) error {
		if !g.read(content) {
			return nil
		}
		key := string(g.grant) + "\x00" + string(g.provider) + "\x00" + string(g.consumer)
		p := place[key]
		if p == nil {
			p = &usagePiece{until: to, grant: string(g.grant), provider: string(g.provider), consumer: string(g.consumer),
				resource: string(g.resource), mode: g.mode, first: g.at, last: g.at, lines: (*lineRooms.Get().(*[]byte))[:0]}
			place[key], pieces = p, append(pieces, p)
		}
		p.first, p.last, p.lastSeq = min(p.first, g.at), max(p.last, g.at), seq
		p.lines = strconv.AppendInt(p.lines, seq, 10)
		p.lines = append(append(append(p.lines, ' '), content...), '\n')
		day := db.Time(g.at).In(loc).Format(time.DateOnly)
		key += "\x00" + day + "\x00" + string(g.outcome)
		d := sum[key]
		if d == nil {
			d = &usageSum{day: day, grant: p.grant, provider: p.provider, consumer: p.consumer, outcome: string(g.outcome), resource: p.resource, mode: p.mode}
			sum[key], sums = d, append(sums, d)
		}
		// The opening line of a stream is no request of its own.
		if string(g.stage) != "begin" {
			d.requests++
		}
		d.rows += g.rows
		return nil
	})
	return pieces, sums, err
}

// glance is what the projection looks at in an entry; its texts are parts of the
// entry.
type glance struct {
	at                                                   int64
	grant, provider, consumer, resource, outcome, action []byte
	stage                                                []byte
	mode                                                 Mode
	rows                                                 int64
}

// read takes the glance from a canonical form; false for one that is no use of
// data under a grant.
func (g *glance) read(content []byte) bool {
	*g = glance{}
	ok := audit.Walk(content, func(name, value []byte) {
		switch string(name) {
		case "action":
			g.action = audit.Text(value)
		case "at":
			if t, err := time.Parse(audit.TimeFormat, string(audit.Text(value))); err == nil {
				g.at = db.Ms(t)
			}
		case "body":
			g.consumer = audit.Text(value)
		case "grant":
			g.grant = audit.Text(value)
		case "outcome":
			g.outcome = audit.Text(value)
		case "resource":
			g.resource = audit.Text(value)
		case "target_body":
			g.provider = audit.Text(value)
		case "notes":
			audit.Walk(value, func(name, value []byte) {
				switch string(name) {
				case "stage":
					g.stage = audit.Text(value)
				case "rows", "groups", "claims":
					if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
						g.rows = n
					}
				}
			})
		}
	})
	for m, action := range actions {
		if action == string(g.action) {
			g.mode = m
		}
	}
	return ok && g.mode != "" && len(g.grant) > 0
}

// usageOf is the line of an entry.
func usageOf(seq int64, content []byte) (Usage, error) {
	e, err := audit.ParseEntry(content)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{Seq: seq, At: e.At, Grant: e.Grant, Resource: e.Resource, ResourceName: e.TargetName, Provider: e.TargetBody,
		Consumer: e.Body, ConsumerName: e.BodyName, Client: e.Client, ClientName: e.ActorName,
		Purpose: e.Purpose, Approver: e.Approver, Case: e.Case, Medium: e.Medium, Outcome: e.Outcome, Code: e.Code}
	for m, action := range actions {
		if action == e.Action {
			u.Mode = m
		}
	}
	for _, n := range e.Notes {
		switch v := n.Value.(type) {
		case string:
			switch n.Key {
			case "user":
				u.User = v
			case "stage":
				u.Stage = v
			}
		case int64:
			if n.Key == "rows" || n.Key == "groups" || n.Key == "claims" {
				u.Rows = v
			}
		case []string:
			if n.Key == "fields" || n.Key == "by" {
				u.Fields = v
			}
		}
	}
	return u, nil
}

// pick adds the lines of a piece that the filter lets through, with from ≤ seq < to.
func (f *UsageFilter) pick(out []Usage, lines []byte, from, to int64) ([]Usage, error) {
	var g glance
	for line := range bytes.Lines(lines) {
		number, content, _ := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		seq, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("gateway usage: %w", err)
		}
		if seq < from || seq >= to || !g.read(content) || f.Outcome != "" && f.Outcome != string(g.outcome) ||
			!f.From.IsZero() && g.at < db.Ms(f.From) || !f.To.IsZero() && g.at >= db.Ms(f.To) {
			continue
		}
		u, err := usageOf(seq, content)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// UsageList gives up to limit lines before a number (0: from the newest), the
// newest first.
func (s *Service) UsageList(ctx context.Context, f UsageFilter, before int64, limit int) ([]Usage, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if before <= 0 {
		before = endOfLog
	}
	lines, err := usageLines(ctx, s.deps.DB.Read(), &f, 0, before, true, min(max(limit, 1), 1000))
	return lines, db.Classify(err)
}

func (f UsageFilter) check() error {
	if f.Body == "" && !f.Whole {
		return errs.New(errs.Invalid, errs.T("须指明单位", "name the body")).In("body")
	}
	if f.Side != "" && f.Side != AsProvider && f.Side != AsConsumer {
		return errs.New(errs.Invalid, errs.T("side 应为 provider 或 consumer", "side is provider or consumer")).In("side")
	}
	return nil
}

// UsageDay is a day's sum.
type UsageDay struct {
	Day      string // 2026-11-21 in the city's time
	Requests int64
	Refused  int64
	Rows     int64
}

// UsageDays sums up by whole days of the city, the earliest first, days without use
// included, for at most the last 400 days of the filter's span.
func (s *Service) UsageDays(ctx context.Context, f UsageFilter) ([]UsageDay, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	loc := s.zone()
	if f.To.IsZero() {
		f.To = s.deps.Now()
	}
	if f.From.IsZero() {
		f.From = f.To.AddDate(0, 0, -30)
	}
	if f.From.Before(f.To.AddDate(0, 0, -400)) {
		f.From = f.To.AddDate(0, 0, -400)
	}
	sums, err := usageSums(ctx, s.deps.DB.Read(), f, f.From.In(loc).Format(time.DateOnly), f.To.Add(-1).In(loc).Format(time.DateOnly))
	if err != nil {
		return nil, db.Classify(err)
	}
	var out []UsageDay
	for d := f.From.In(loc); ; d = d.AddDate(0, 0, 1) {
		day := d.Format(time.DateOnly)
		sum := sums[day]
		sum.Day = day
		out = append(out, sum)
		if day >= f.To.In(loc).Format(time.DateOnly) {
			return out, nil
		}
	}
}

// Feed is a piece of the usage log for a body's own systems.
type Feed struct {
	Entries []Usage `json:"entries"`
	// Next is the number to go on after; the same as the one given when there is
	// nothing new.
	Next int64 `json:"next"`
	More bool  `json:"more"`
	// Acknowledged is how far the body has confirmed this side of its feed.
	Acknowledged int64 `json:"acknowledged"`
}

// UsageFeed gives up to limit lines after a number, the oldest first; after < 0
// goes on behind the last receipt. Nothing is ever left out between two numbers:
// lines stay until they are older than the profile's retention and acknowledged
// (QZ-3.1.8, LY-24).
func (s *Service) UsageFeed(ctx context.Context, body string, side Side, after int64, limit int) (Feed, error) {
	f := UsageFilter{Body: body, Side: side}
	if err := f.check(); err != nil {
		return Feed{}, err
	}
	if side == "" {
		return Feed{}, errs.New(errs.Invalid, errs.T("须指明 side：provider 或 consumer", "name the side: provider or consumer")).In("side")
	}
	// What is in the audit log now is in this answer.
	for more := true; more; {
		var err error
		if more, err = s.Project(ctx); err != nil {
			return Feed{}, db.Classify(err)
		}
	}
	acked, err := readReceipt(ctx, s.deps.DB.Read(), body, side)
	if err != nil {
		return Feed{}, db.Classify(err)
	}
	if after < 0 {
		after = acked
	}
	limit = min(max(limit, 1), 1000)
	lines, err := usageLines(ctx, s.deps.DB.Read(), &f, after+1, endOfLog, false, limit+1)
	if err != nil {
		return Feed{}, db.Classify(err)
	}
	feed := Feed{Next: after, Acknowledged: acked, More: len(lines) > limit}
	feed.Entries = lines[:min(len(lines), limit)]
	if n := len(feed.Entries); n > 0 {
		feed.Next = feed.Entries[n-1].Seq
	}
	return feed, nil
}

// AcknowledgeTx notes that a body has taken its feed up to a number. Receipts only
// move forward; one beyond the end of the log is refused.
func (s *Service) AcknowledgeTx(ctx context.Context, tx *db.Tx, body string, side Side, seq int64, by string) error {
	if side != AsProvider && side != AsConsumer {
		return errs.New(errs.Invalid, errs.T("side 应为 provider 或 consumer", "side is provider or consumer")).In("side")
	}
	end, err := readCursor(ctx, tx, usageName)
	if err != nil {
		return err
	}
	if seq < 0 || seq >= end {
		return errs.New(errs.Invalid, errs.T("seq 超出日志末尾", "seq lies beyond the end of the log")).In("seq")
	}
	was, err := readReceipt(ctx, tx, body, side)
	if err != nil {
		return err
	}
	if seq < was {
		return errs.Newf(errs.Conflict, "已确认到 %d，回执不能后退", "acknowledged up to %d already; receipts do not go back", was).In("seq")
	}
	return putReceipt(ctx, tx, body, side, seq, db.Ms(s.deps.Now()), by)
}

// Prune drops usage lines older than the profile keeps them, unless a body that
// takes its feed has not confirmed them yet, and old tries of verify.
func (s *Service) Prune(ctx context.Context) error {
	days := s.deps.Rules().UsageDays
	now := s.deps.Now()
	return s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if err := pruneTries(ctx, tx, db.Ms(now.Add(-TryWindow))); err != nil {
			return err
		}
		if err := pruneQuotas(ctx, tx, now.AddDate(0, 0, -40).Format(time.DateOnly)); err != nil {
			return err
		}
		if days <= 0 {
			return nil // kept for good
		}
		before := now.AddDate(0, 0, -days)
		return pruneUsage(ctx, tx, db.Ms(before), before.In(s.zone()).Format(time.DateOnly))
	})
}

// Run follows the grants of other nodes, counts quotas, carries the audit log over
// into the usage log, and tidies up, until ctx ends. The grants are followed beside
// the rest, so that no other work holds up a revocation.
func (s *Service) Run(ctx context.Context) error {
	warn := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn(what, "err", err)
		}
	}
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() {
		every(ctx, time.Second, func() {
			for more := true; more && ctx.Err() == nil; {
				var err error
				more, err = s.Project(ctx)
				warn("the usage log could not be carried on", err)
			}
		})
	})
	others.Go(func() {
		every(ctx, time.Hour, func() { warn("old usage could not be pruned", s.Prune(ctx)) })
	})
	every(ctx, syncEvery, func() {
		warn("grants could not be followed", s.Sync(ctx))
		warn("the catalog could not be followed", s.follow(ctx))
		warn("quotas could not be stored", s.flushQuotas(ctx))
	})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	return s.flushQuotas(last)
}

// every calls fn at an interval until ctx ends.
func every(ctx context.Context, interval time.Duration, fn func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// zone is the city's time zone, in which days are counted.
func (s *Service) zone() *time.Location {
	if loc := s.deps.Rules().Location; loc != nil {
		return loc
	}
	return time.UTC
}

// Rules gives the profile's settings in force now.
func (s *Service) Rules() Rules { return s.deps.Rules() }

// Acknowledged is how far a body has confirmed a side of its feed; 0 for nothing.
func (s *Service) Acknowledged(ctx context.Context, body string, side Side) (int64, error) {
	seq, err := readReceipt(ctx, s.deps.DB.Read(), body, side)
	return seq, db.Classify(err)
}

// FindGrant gives one grant outside any transaction.
func (s *Service) FindGrant(ctx context.Context, id string) (Grant, error) {
	return s.Grant(ctx, s.deps.DB.Read(), id)
}
