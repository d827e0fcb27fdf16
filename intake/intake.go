// Package intake aggregates data (汇聚): a department sends a file, and what of it
// is sound by the catalog stands in the warehouse, what is not is kept with every
// reason, and a receipt says so.
//
// A batch moves in steps that survive a crash between any two of them: its raw
// bytes are sealed as an object; the control store notes it (state loading, audit
// entry); its rows are decoded, mapped, checked and loaded into the warehouse,
// where one transaction writes rows and a marker; just before that commits, the
// control store notes counts and problem rows (prepared); afterwards it notes
// the receipt (state done, audit entry). Reconcile finishes, by the marker, what
// a crash left: a batch is applied once or not at all, and nothing is lost.
package intake

import (
	"strings"
	"time"

	"gongshu/internal/errs"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// State is where a batch stands.
type State string

// The states of a batch.
const (
	Held      State = "held"      // stored, waits for the layout to be confirmed
	Loading   State = "loading"   // on its way into the warehouse
	Done      State = "done"      // has a receipt
	Failed    State = "failed"    // could not be loaded at all; Failure says why
	Discarded State = "discarded" // given up before loading
)

// Source says on which way a batch came.
type Source string

// The ways in.
const (
	Console Source = "console"
	API     Source = "api"
	Command Source = "command"
)

// Modes are the batch modes in the order of forms.
var Modes = []warehouse.Mode{warehouse.Append, warehouse.Upsert, warehouse.Replace, warehouse.Delete}

// Secrecy is the sender's declaration that goes with every batch (FZM-2, FZM-31).
type Secrecy struct {
	// Declared: reviewed, holds no state secret and no work secret.
	Declared bool `json:"declared"`
	// Marked: bears a secrecy mark. Such data is refused.
	Marked bool `json:"marked,omitempty"`
	// Document is the number of the review record, if the department keeps one.
	Document string `json:"document,omitempty"`
}

// Upload is what a sender says about a file.
type Upload struct {
	// Resource is the code, with "/" or "-".
	Resource string
	// Mode defaults to append. The others need Channel, or the resource's one
	// approved channel for the mode (FZM-29.3).
	Mode    warehouse.Mode
	Channel string
	// Corrects is the id of the batch whose problem rows the file mends.
	Corrects    string
	FileName    string
	ContentType string
	Secrecy     Secrecy
	// RequestKey is the Idempotency-Key: the same key with the same bytes gives
	// the batch that came first, with other bytes a refusal.
	RequestKey string
	Source     Source
	// Layout holds what the sender knows of the file; zero fields are found out.
	Layout tabular.Layout
	// HeaderRow, when positive, is the row of the column names (1-based).
	HeaderRow int
	// NoHeader: the file begins with data.
	NoHeader bool
	// Mapping names for items (by id, code or Chinese name) the column that holds
	// them, where names alone do not tell.
	Mapping map[string]string
	// Hold keeps the batch until Confirm, to show its layout to a person.
	Hold bool
}

// Batch is one delivery and its receipt.
type Batch struct {
	ID           string
	ResourceID   string
	Code         string // of the resource, with "/"
	ResourceName string
	Version      int // of the resource, by which it was checked
	Body         string
	BodyName     string
	District     string
	Mode         warehouse.Mode
	State        State
	Channel      string
	Corrects     string
	Source       Source
	Sender       string // account or client id
	SenderName   string
	FileName     string
	ContentType  string
	Object       string
	Digest       string // SHA-256 of the raw bytes
	Size         int64  // bytes
	Layout       tabular.Layout
	// Mapping gives each item's column position by item id; -1 is absent.
	Mapping map[string]int
	// Ignored are the file's columns that no item takes: drift between table and
	// catalog shows here (FZM-12).
	Ignored []string
	Secrecy Secrecy

	// Total = Accepted + Rejected. Corrected counts rejected rows that a later
	// batch mended.
	Total, Accepted, Rejected, Corrected int64
	// What the warehouse did with the accepted rows.
	Inserted, Updated, Deleted, Missed int64

	Failure  *errs.Text // of Failed
	Received time.Time
	Finished time.Time
	// Due is when the batch should have come by the resource's update cycle; zero
	// when the cycle sets none (FZM-13).
	Due time.Time
	// AuditSeq is the index of the receipt's entry in the log, -1 before.
	AuditSeq int64

	prepared   bool
	requestKey string
}

// Open is how many problem rows wait for a correction.
func (b *Batch) Open() int64 { return b.Rejected - b.Corrected }

// Late is by how much the batch came after its due time; 0 when it was in time.
func (b *Batch) Late() time.Duration {
	if b.Due.IsZero() || !b.Received.After(b.Due) {
		return 0
	}
	return b.Received.Sub(b.Due)
}

// ProblemName is the file name under which the problem rows are downloaded.
func (b *Batch) ProblemName(f tabular.Format) string {
	base := strings.TrimSuffix(b.FileName, ".gz")
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		base = base[:i]
	}
	return base + "-问题数据." + string(f)
}

// Receipt is what the sender keeps of a batch.
type Receipt struct {
	Batch    string `json:"batch"`
	Resource string `json:"resource"`
	Mode     string `json:"mode"`
	State    State  `json:"state"`
	// Total = accepted + rejected, always.
	Total    int64 `json:"total"`
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	// Corrected of the rejected rows were mended by later batches; Open were not.
	Corrected int64 `json:"corrected"`
	Open      int64 `json:"open"`
	Inserted  int64 `json:"inserted"`
	Updated   int64 `json:"updated"`
	Deleted   int64 `json:"deleted"`
	Missed    int64 `json:"missed"`
	// Digest is the SHA-256 of the bytes as received.
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	// AuditIndex is the receipt's place in the tamper-evident log; -1 before it.
	AuditIndex int64           `json:"audit_index"`
	Problems   string          `json:"problems,omitempty"` // address of the problem rows
	Ignored    []string        `json:"ignored_columns,omitempty"`
	Corrects   string          `json:"corrects,omitempty"`
	Failure    *errs.Text      `json:"failure,omitempty"`
	Late       bool            `json:"late,omitempty"`
	Due        *time.Time      `json:"due,omitempty"`
	Received   time.Time       `json:"received"`
	Finished   *time.Time      `json:"finished,omitempty"`
	Layout     *tabular.Layout `json:"layout,omitempty"`
	// RowsRead is how far a batch under way has come.
	RowsRead int64 `json:"rows_read,omitempty"`
}

// Receipt gives the batch as its sender is told of it.
func (b *Batch) Receipt() Receipt {
	r := Receipt{Batch: b.ID, Resource: b.Code, Mode: string(b.Mode), State: b.State, Total: b.Total, Accepted: b.Accepted, Rejected: b.Rejected,
		Corrected: b.Corrected, Open: b.Open(), Inserted: b.Inserted, Updated: b.Updated, Deleted: b.Deleted, Missed: b.Missed,
		Digest: b.Digest, Size: b.Size, AuditIndex: b.AuditSeq, Ignored: b.Ignored, Corrects: b.Corrects, Failure: b.Failure,
		Late: b.Late() > 0, Received: b.Received, Layout: &b.Layout}
	if b.Rejected > 0 {
		r.Problems = "/api/v1/batches/" + b.ID + "/problems"
	}
	if !b.Due.IsZero() {
		r.Due = &b.Due
	}
	if !b.Finished.IsZero() {
		r.Finished = &b.Finished
	}
	return r
}

// Channel lets a department's batches change or delete stored rows, by a
// decision of the authority (FZM-29.3).
type Channel struct {
	ID            string
	ResourceID    string
	Code          string
	ResourceName  string
	Body          string
	BodyName      string
	District      string
	Modes         []warehouse.Mode // of upsert, replace, delete
	Reason        string           // why the department needs it
	State         string           // requested, approved, refused, revoked
	RequestedBy   string
	RequestedName string
	RequestedAt   time.Time
	DecidedBy     string
	DecidedName   string
	DecidedAt     time.Time
	Decision      string // the authority's reason
	Until         time.Time
}

// Open reports whether the channel admits a mode at a time.
func (c *Channel) Open(mode warehouse.Mode, now time.Time) bool {
	if c.State != "approved" || !now.Before(c.Until) {
		return false
	}
	for _, m := range c.Modes {
		if m == mode {
			return true
		}
	}
	return false
}
