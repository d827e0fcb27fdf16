package gateway

import (
	"context"
	"encoding/json"
	"slices"
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
	Side     Side // "" is both
	Grant    string
	Resource string
	Mode     Mode
	Outcome  string
	From, To time.Time // To is exclusive
}

const (
	// usageStep is how many audit entries one step of the projection reads.
	usageStep = 4096
	usageName = "usage"
)

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
	var lines []Usage
	err = s.deps.Audit.Entries(ctx, from, to, func(r audit.Record) error {
		if u, ok := usageOf(r); ok {
			lines = append(lines, u)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	moved := false
	err = s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if moved, err = moveCursor(ctx, tx, usageName, from, to); err != nil || !moved {
			return err
		}
		return putUsage(ctx, tx, lines)
	})
	return err == nil && (to < size || !moved), err
}

func usageOf(r audit.Record) (Usage, bool) {
	e := &r.Entry
	mode := Mode("")
	for m, action := range actions {
		if action == e.Action {
			mode = m
		}
	}
	if mode == "" || e.Grant == "" || r.Pruned {
		return Usage{}, false
	}
	u := Usage{Seq: r.Seq, At: e.At, Grant: e.Grant, Resource: e.Resource, ResourceName: e.TargetName, Provider: e.TargetBody,
		Consumer: e.Body, ConsumerName: e.BodyName, Mode: mode, Client: e.Client, ClientName: e.ActorName,
		Purpose: e.Purpose, Approver: e.Approver, Case: e.Case, Medium: e.Medium, Outcome: e.Outcome, Code: e.Code}
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
	if u.Outcome == "" {
		u.Outcome = audit.OK
	}
	return u, true
}

// UsageList gives up to limit lines before a number (0: from the newest), the
// newest first.
func (s *Service) UsageList(ctx context.Context, f UsageFilter, before int64, limit int) ([]Usage, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	lines, err := usageBefore(ctx, s.deps.DB.Read(), f, before, min(max(limit, 1), 1000))
	return lines, db.Classify(err)
}

func (f UsageFilter) check() error {
	if f.Body == "" {
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

// UsageDays sums up by day, the earliest first, days without use included, for at
// most the last 400 days of the filter's span.
func (s *Service) UsageDays(ctx context.Context, f UsageFilter) ([]UsageDay, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	loc := s.deps.Rules().Location
	if loc == nil {
		loc = time.UTC
	}
	if f.To.IsZero() {
		f.To = s.deps.Now()
	}
	if f.From.IsZero() {
		f.From = f.To.AddDate(0, 0, -30)
	}
	if f.From.Before(f.To.AddDate(0, 0, -400)) {
		f.From = f.To.AddDate(0, 0, -400)
	}
	_, offset := f.To.In(loc).Zone()
	sums, err := usageSums(ctx, s.deps.DB.Read(), f, int64(offset)*1000)
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
	lines, err := usageAfter(ctx, s.deps.DB.Read(), f, after, limit+1)
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
		return pruneUsage(ctx, tx, db.Ms(now.AddDate(0, 0, -days)))
	})
}

// Run follows the grants of other nodes, counts quotas, carries the audit log over
// into the usage log, and tidies up, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	follow, project, tidy := time.NewTicker(syncEvery), time.NewTicker(time.Second), time.NewTicker(time.Hour)
	defer follow.Stop()
	defer project.Stop()
	defer tidy.Stop()
	warn := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn(what, "err", err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			return s.flushQuotas(last)
		case <-follow.C:
			warn("grants could not be followed", s.Sync(ctx))
			warn("the catalog could not be followed", s.follow(ctx))
			warn("quotas could not be stored", s.flushQuotas(ctx))
		case <-project.C:
			// A step at a time, so that grants are followed in between.
			_, err := s.Project(ctx)
			warn("the usage log could not be carried on", err)
		case <-tidy.C:
			warn("old usage could not be pruned", s.Prune(ctx))
		}
	}
}

// jsonOf is the part of a line that is kept as JSON.
func jsonOf(u Usage) (string, error) {
	raw, err := json.Marshal(u)
	return string(raw), err
}

func usageFrom(detail string) (Usage, error) {
	var u Usage
	err := json.Unmarshal([]byte(detail), &u)
	u.Fields = slices.Clip(u.Fields)
	return u, err
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
