package main

import (
	"context"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/org"
)

// What areas below notice, and meetings of two areas, tell people.

// holders finds the readers of a message to a post.
func (a *app) holders(ctx context.Context, q db.Querier, body string, post identity.Post) ([]string, error) {
	held, err := a.org.HoldersTx(ctx, q, body, post)
	if err != nil {
		return nil, err
	}
	people := make([]string, len(held))
	for i, h := range held {
		people[i] = h.Person
	}
	return people, nil
}

// tellAlarm tells whom an account or a key belongs to that it was changed: also
// the one who did it, for it may have been somebody else in that name.
func (a *app) tellAlarm(ctx context.Context, tx *db.Tx, al org.Alarm) error {
	who := notice.Same(al.By.Name)
	if al.By.Kind == identity.Program {
		who = errs.T("服务器命令行", "the server's command line")
	}
	if kind, ok := map[org.AlarmKind]notice.Kind{org.AccountReset: notice.AccountReset, org.FactorReset: notice.FactorReset}[al.Kind]; ok {
		return a.notice.SendTx(ctx, tx, notice.Outgoing{To: []notice.To{{Person: al.Person}}, Kind: kind,
			About: notice.Ref{Kind: "account", ID: al.Person}, Values: notice.Values{"Who": who}})
	}
	kind := map[org.AlarmKind]notice.Kind{org.KeyIssued: notice.KeyIssued, org.KeyRevoked: notice.KeyRevoked}[al.Kind]
	return a.notice.SendTx(ctx, tx, notice.Outgoing{To: []notice.To{{Body: al.Client.Body, Post: identity.Steward}}, Kind: kind,
		About:  notice.Ref{Kind: "client", ID: al.Client.ID},
		Values: notice.Values{"Client": notice.Same(al.Client.Name), "Key": notice.Same("gsk_" + al.Key + "_…"), "Who": who}})
}

// tellPost tells a person that a post is theirs from now on, or no longer, and the
// body's stewards of a hand-over, who file the change with the authority (FZM-34).
func (a *app) tellPost(ctx context.Context, tx *db.Tx, h org.Holding) error {
	kind := notice.PostBegun
	if h.State != org.Held {
		kind = notice.PostEnded
	}
	post := h.Post.Text()
	if h.State == org.Held && h.TakesOver != "" {
		if err := a.notice.SendTx(ctx, tx, notice.Outgoing{To: []notice.To{{Body: h.Body, Post: identity.Steward}}, Kind: notice.PostHandover, Clauses: []string{"FZM-34"},
			About: notice.Ref{Kind: "account", ID: h.Person}, Not: h.Person,
			Values: notice.Values{"Post": post, "Body": notice.Same(h.BodyName), "Who": notice.Same(h.PersonName), "Reason": notice.Same(h.Reason)}}); err != nil {
			return err
		}
	}
	return a.notice.SendTx(ctx, tx, notice.Outgoing{To: []notice.To{{Person: h.Person}}, Kind: kind, Clauses: []string{"FZM-34"},
		About:  notice.Ref{Kind: "account", ID: h.Person},
		Values: notice.Values{"Post": post, "Body": notice.Same(h.BodyName), "Reason": notice.Same(h.Answer)}})
}

// tellWithdrawn tells a department whose grants end because a resource left the
// catalog.
func (a *app) tellWithdrawn(ctx context.Context, tx *db.Tx, r *catalog.Resource, consumer string) error {
	return a.notice.SendTx(ctx, tx, notice.Outgoing{To: []notice.To{{Body: consumer, Post: identity.Steward}}, Kind: notice.ResourceWithdrawn,
		About:  notice.Ref{Kind: "resource", ID: r.Code},
		Values: notice.Values{"Resource": notice.Same(r.Name), "Provider": notice.Same(r.BodyName), "Reason": notice.Same(r.Withdrawal.Reason)}})
}
