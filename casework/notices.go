package casework

import (
	"context"
	"strings"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/profile"
)

// What a case tells people, whatever it is about. A task that waits is told by the
// workbench; a message says what came of one's own case, that a signature is
// awaited, and that a deadline comes near or has passed.

// message is a message about a case, under the clauses of its present step.
func message(c Case, kind notice.Kind) notice.Outgoing {
	step, _, _ := c.Procedure.Step(c.Step)
	return notice.Outgoing{Kind: kind, About: notice.Ref{Kind: "case", ID: c.ID}, Clauses: step.Clauses,
		Values: notice.Values{"Number": notice.Same(c.Number), "Title": notice.Same(c.Title), "Step": errs.T(step.Name.ZH, step.Name.EN), "Reason": notice.Same(c.Reason)}}
}

// tellApplicant tells who made the case, and the stewards of the applying body.
func (s *Service) tellApplicant(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case, kind notice.Kind) error {
	m := message(c, kind)
	m.Not = actor.ID
	m.To = []notice.To{{Person: c.Maker}}
	if p, ok := c.Party(c.Procedure.ApplicantRelation()); ok {
		m.To = append(m.To, notice.To{Body: p.Body, Post: identity.Steward})
	}
	return s.send(ctx, tx, m)
}

// tellSigners tells those who are to sign that the agreement lies before them.
func (s *Service) tellSigners(ctx context.Context, tx *db.Tx, actor identity.Actor, c Case, step profile.Step) error {
	m := message(c, notice.CaseToSign)
	m.Not = actor.ID
	for _, rel := range step.Bodies {
		if p, ok := c.Party(rel); ok {
			m.To = append(m.To, notice.To{Body: p.Body, Post: identity.Post(step.Post)})
		}
	}
	return s.send(ctx, tx, m)
}

// tellReminder tells of a deadline: those whose task it is, and at escalation
// their leaders and the authority besides (FS-42). c carries its parties.
func (s *Service) tellReminder(ctx context.Context, tx *db.Tx, c Case, kind string) error {
	m := message(c, map[string]notice.Kind{DueSoon: notice.CaseDueSoon, Overdue: notice.CaseOverdue, Escalation: notice.CaseEscalate}[kind])
	if step, _, ok := c.Procedure.Step(c.Step); ok {
		if rule, ok := c.Procedure.Clock(step.Clock); ok && len(rule.Clauses) > 0 {
			m.Clauses = rule.Clauses
		}
	}
	tasks, err := tasksOf(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	var late []string
	for _, t := range tasks {
		if t.State != "open" {
			continue
		}
		if p, ok := c.Party(t.Relation); ok {
			late = append(late, p.BodyName)
		}
		m.To = append(m.To, notice.To{Body: t.Body, Post: identity.Post(t.Post)})
		if kind == Escalation {
			m.To = append(m.To, notice.To{Body: t.Body, Post: identity.Leader})
		}
	}
	if p, ok := c.Party(profile.RelAuthority); ok && kind == Escalation {
		m.To = append(m.To, notice.To{Body: p.Body, Post: identity.AuthorityReviewer})
	}
	m.Values["Due"], m.Values["Body"] = notice.Same(c.DueOn), errs.T(strings.Join(late, "、"), strings.Join(late, ", "))
	return s.send(ctx, tx, m)
}
