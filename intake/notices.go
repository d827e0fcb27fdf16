package intake

import (
	"context"
	"strconv"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/notice"
)

// batchMessage is a message about a batch to the stewards of the department whose
// data it is, and to the person who sent it.
func batchMessage(b *Batch, kind notice.Kind, clauses ...string) notice.Outgoing {
	to := []notice.To{{Body: b.Body, Post: identity.Steward}}
	if b.Source == Console {
		to = append(to, notice.To{Person: b.Sender})
	}
	return notice.Outgoing{To: to, Kind: kind, About: notice.Ref{Kind: "batch", ID: b.ID}, Clauses: clauses, Once: string(kind) + " " + b.ID,
		Values: notice.Values{"Resource": notice.Same(b.ResourceName), "File": notice.Same(b.FileName)}}
}

// tellProblems sends a batch's problem rows back to the department, which mends
// them (QZ-3.1.7, FS-7, LY-10); a batch without any needs no telling.
func (s *Service) tellProblems(ctx context.Context, tx *db.Tx, b *Batch) error {
	if b.Rejected == 0 {
		return nil
	}
	m := batchMessage(b, notice.BatchProblems, "QZ-3.1.7", "FS-7", "LY-10")
	m.Values["Rows"] = notice.Same(strconv.FormatInt(b.Rejected, 10))
	m.Values["Total"] = notice.Same(strconv.FormatInt(b.Total, 10))
	return s.deps.Send(ctx, tx, m)
}

// tellFailed says that nothing of a batch was loaded, and why.
func (s *Service) tellFailed(ctx context.Context, tx *db.Tx, b *Batch, why errs.Text) error {
	m := batchMessage(b, notice.BatchFailed)
	m.Values["Reason"] = why
	return s.deps.Send(ctx, tx, m)
}
