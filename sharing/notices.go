package sharing

import (
	"context"
	"time"

	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/workday"
)

// ExpiringJob is the kind of the job that reminds of a grant's end.
const ExpiringJob = "sharing.expiring"

// Register registers the area's jobs.
func (s *Service) Register(q *jobs.Queue) {
	q.Handle(ExpiringJob, func(ctx context.Context, job jobs.Job) error {
		var e ending
		if err := job.Bind(&e); err != nil {
			return err
		}
		return s.remindEnd(ctx, e)
	})
}

// ending is an end of a grant, as its reminder was set for it.
type ending struct {
	Grant string `json:"grant"`
	Last  string `json:"last"` // last day of use
}

// lastDay is the last day of use: the day before the instant of expiry.
func lastDay(expires time.Time) workday.Date {
	return workday.DateOf(expires.Add(-time.Millisecond))
}

// grantMessage is a message about a grant, to the stewards of the named bodies.
func (s *Service) grantMessage(ctx context.Context, actor identity.Actor, g gateway.Grant, kind notice.Kind, bodies ...string) (notice.Outgoing, error) {
	consumer, err := s.deps.Body(ctx, g.Client)
	if err != nil {
		return notice.Outgoing{}, err
	}
	until := errs.T("长期", "no end set")
	if !g.Expires.IsZero() {
		until = notice.Same(lastDay(g.Expires).String())
	}
	mode := profile.ModeTerm(string(g.Mode))
	m := notice.Outgoing{Kind: kind, About: notice.Ref{Kind: "grant", ID: g.ID}, Clauses: g.Basis, Not: actor.ID, Values: notice.Values{
		"Resource": notice.Same(g.ResourceName), "Consumer": notice.Same(consumer.Name), "Mode": errs.T(mode.ZH, mode.EN), "Until": until,
		"Who": notice.Same(actor.Name), "Reason": notice.Same(g.Reason)}}
	for _, b := range bodies {
		m.To = append(m.To, notice.To{Body: b, Post: identity.Steward})
	}
	return m, nil
}

// tellGranted tells the provider whose data is used from now on, or longer, and
// sets the reminder of the end. The applicant hears from the case, or stands at it.
func (s *Service) tellGranted(ctx context.Context, tx *db.Tx, actor identity.Actor, g gateway.Grant, kind notice.Kind) error {
	m, err := s.grantMessage(ctx, actor, g, kind, g.Provider)
	if err != nil {
		return err
	}
	if err := s.deps.Send(ctx, tx, m); err != nil || g.Expires.IsZero() {
		return err
	}
	cal, err := workday.Load(ctx, tx)
	if err != nil {
		return err
	}
	now := s.deps.Now()
	last := lastDay(g.Expires)
	day := remindOn(cal, s.deps.Profile, now, last)
	if day <= workday.DateOf(now) {
		return nil // so short a grant ends before a reminder would help
	}
	// Nine in the morning, when the reader comes to work.
	_, err = jobs.Schedule(ctx, tx, ExpiringJob, g.ID+" "+last.String(), day.Start().Add(9*time.Hour), ending{g.ID, last.String()})
	return err
}

// remindEnd tells the consumer's stewards of a grant's end, unless it has been
// moved, revoked or reached meanwhile. Doing it again tells nobody twice.
func (s *Service) remindEnd(ctx context.Context, e ending) error {
	g, err := s.deps.Gateway.Grant(ctx, s.deps.DB.Read(), e.Grant)
	if err != nil {
		return err
	}
	if g.State(s.deps.Now()) != gateway.Active || g.Expires.IsZero() || lastDay(g.Expires).String() != e.Last {
		return nil
	}
	actor := identity.System("clock")
	return s.deps.Door.Do(ctx, actor, "sharing.grant.remind", s.grantTarget(ctx, g, g.Client), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "ends", e.Last)
		m, err := s.grantMessage(ctx, actor, g, notice.GrantExpiring, g.Client)
		if err != nil {
			return err
		}
		m.Once = ExpiringJob + " " + g.ID + " " + e.Last
		return s.deps.Send(ctx, tx, m)
	})
}
