// Package notice tells people what happened that concerns them: messages in the
// inbox of a person or of those who hold a post.
//
// An area sends with [Service.SendTx] in the transaction of what it tells, so that
// a message exists exactly when its event does. A message is a kind with values,
// worded in the reader's language when it is shown: its subject stands in the word
// files under "notice.<kind>", its text under "notice.<kind>_text".
//
// What waits to be done is no message: tasks stand on the workbench by themselves.
package notice

import (
	"context"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// Kind names what a message tells, its topic first: "case_returned".
type Kind string

// The kinds. The values that each carries stand beside it.
const (
	CaseReturned Kind = "case_returned" // Number, Title, Step, Reason
	CaseApproved Kind = "case_approved" // Number, Title, Reason
	CaseRefused  Kind = "case_refused"  // Number, Title, Reason
	CaseToSign   Kind = "case_sign"     // Number, Title, Step
	CaseDueSoon  Kind = "case_due"      // Number, Title, Step, Due
	CaseOverdue  Kind = "case_overdue"  // Number, Title, Step, Due
	CaseEscalate Kind = "case_escalate" // Number, Title, Step, Due, Body

	GrantMade     Kind = "grant_made"     // Resource, Consumer, Mode, Until
	GrantRenewed  Kind = "grant_renewed"  // Resource, Consumer, Until
	GrantExpiring Kind = "grant_expiring" // Resource, Mode, Until
	GrantRevoked  Kind = "grant_revoked"  // Resource, Consumer, Who, Reason

	BatchProblems Kind = "batch_problems" // Resource, File, Rows, Total
	BatchFailed   Kind = "batch_failed"   // Resource, File, Reason
	DataLate      Kind = "data_late"      // Resource, Due

	ResourceWithdrawn Kind = "resource_withdrawn" // Resource, Provider, Reason

	AccountReset Kind = "account_reset"    // Who
	FactorReset  Kind = "account_factor"   // Who
	PostHandover Kind = "account_handover" // Post, Body, Who, Reason
	PostBegun    Kind = "account_post"     // Post, Body
	PostEnded    Kind = "account_ended"    // Post, Body, Reason
	KeyIssued    Kind = "account_key"      // Client, Key, Who
	KeyRevoked   Kind = "account_unkey"    // Client, Key, Who
)

// Kinds lists every kind, by topic.
func Kinds() []Kind {
	return []Kind{CaseReturned, CaseApproved, CaseRefused, CaseToSign, CaseDueSoon, CaseOverdue, CaseEscalate,
		GrantMade, GrantRenewed, GrantExpiring, GrantRevoked, BatchProblems, BatchFailed, DataLate, ResourceWithdrawn,
		AccountReset, FactorReset, PostHandover, PostBegun, PostEnded, KeyIssued, KeyRevoked}
}

// Topics are what inboxes are filtered by: the first word of the kinds.
func Topics() []string { return []string{"case", "grant", "batch", "data", "resource", "account"} }

// Values fill the variables of a kind's words, in both languages.
type Values map[string]errs.Text

// Same is a value that reads alike in both languages: a name, a number, a day.
func Same(s string) errs.Text { return errs.T(s, s) }

// Ref says what a message is about; the console knows the page of each kind:
// case, grant, batch, resource (by code), client, account.
type Ref struct{ Kind, ID string }

// To is a reader: a person, or all who hold a post at a body when the message is sent.
type To struct {
	Person string // account id
	Body   string // with Post
	Post   identity.Post
}

// Outgoing is what an area sends.
type Outgoing struct {
	To      []To // somebody named twice is told once
	Kind    Kind
	Values  Values
	About   Ref
	Clauses []string // articles on which the duty rests, if any
	// Once, when set, tells every reader at most once under this key.
	Once string
	// Not is a person who needs no telling: who did it.
	Not string
}

// Message is one message in one inbox.
type Message struct {
	ID      string
	Person  string
	Kind    Kind
	Values  Values
	About   Ref
	Clauses []string
	Body    string        // body for whose post it came, "" when sent to the person
	Post    identity.Post // "" when sent to the person
	At      time.Time
	ReadAt  time.Time // zero while unread
}

// Deps is what the service stands on.
type Deps struct {
	DB   *db.DB
	Door *operation.Door
	// Holders gives the account ids of those who hold a post at a body.
	Holders func(ctx context.Context, q db.Querier, body string, post identity.Post) ([]string, error)
	Now     func() time.Time // time.Now when nil
}

// Service is the area. Its methods may be called by many goroutines.
type Service struct{ deps Deps }

// New makes the service.
func New(deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{deps}
}

// Send is what an area that sends asks for; [Service.SendTx] is one.
type Send func(ctx context.Context, tx *db.Tx, m Outgoing) error

// Nobody is a Send that tells nobody, for programs without inboxes.
func Nobody(context.Context, *db.Tx, Outgoing) error { return nil }
