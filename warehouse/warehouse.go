// Package warehouse keeps the rows of table resources: a SQLite file of its own
// or a PostgreSQL schema of its own, apart from the control store, so that a
// large load never blocks a decision or an audit entry.
//
// A resource is one physical table r_<id>_<generation> with the columns c1…n
// (names stay in the catalog), `_seq`, and `_at`. `_seq` is the change stamp: the
// number of the batch that wrote the row last, shifted left by 32 bits, plus the
// row's number in that batch's file. It therefore says where a row comes from
// (FZM-8), orders all changes of a resource, and is what a since-token holds.
// A replace, a rebuild and a rewriting migration fill a new generation beside
// the old one and switch to it in one transaction; readers never see half.
//
// Loads of one resource run one after the other; each is one transaction with a
// marker row ([Store.Marker]), by which intake finds out after a crash whether a
// batch was applied. Rows are only ever changed through a batch: this package is
// on the list of writers beside operation, and asks its caller to have checked
// that replacing, changing and deleting were approved (FZM-29.3).
package warehouse

import (
	"context"
	"time"

	"gongshu/internal/db"
	"gongshu/tabular"
)

// Type is how a column's values are stored and compared.
type Type string

// The column types.
const (
	Text    Type = "text"    // any characters; compared by code point
	Integer Type = "integer" // 64 bits, signed
	Decimal Type = "decimal" // exact, with Column.Scale digits after the point, 18 digits in all
	Float   Type = "float"   // IEEE double; decimal texts of up to 15 digits come back as they were
	Date    Type = "date"    // a day of the calendar
	Time    Type = "time"    // an instant, in milliseconds; written at +08:00
	Bool    Type = "bool"
)

// TypeOf is the column type of a metadata letter (C N Y D T L M G B I F) and the
// declared number of digits after the point. N and Y without declared digits are
// Float: a scale must be declared for exact amounts.
func TypeOf(letter string, scale int) Type {
	switch letter {
	case "N", "Y":
		if scale > 0 {
			return Decimal
		}
		return Float
	case "B", "F":
		return Float
	case "I":
		return Integer
	case "D":
		return Date
	case "T":
		return Time
	case "L":
		return Bool
	}
	return Text
}

// Column is one physical column.
type Column struct {
	// Name is c1, c2, …: never text from a catalog or a request.
	Name string `json:"name"`
	Type Type   `json:"type"`
	// Scale is the number of digits after the point, 0–12; Decimal only.
	Scale int `json:"scale,omitempty"`
	// Length is the greatest number of characters of a Text; 0 sets no bound.
	// Loads do not check it (quality has), narrowing it by Migrate does.
	Length int `json:"length,omitempty"`
}

// Table is the shape of a resource's rows.
type Table struct {
	// Resource is the catalog's id of the resource: letters, digits, hyphens, at most 40.
	Resource string
	Columns  []Column
	// Key names the columns that make a row unique, in index order; empty for a
	// resource without a key, which takes only append and replace.
	Key []string
}

// Mode is how a batch changes the table.
type Mode string

// The batch modes. The last three change or delete data and need an approved
// channel or case (FZM-29.3), which the caller checks.
const (
	Append  Mode = "append"  // every row is new; a key that exists refuses the batch
	Upsert  Mode = "upsert"  // by key: inserted or, where different, updated; the last of equal keys counts
	Replace Mode = "replace" // the batch becomes the whole table
	Delete  Mode = "delete"  // rows with the given keys go
)

// Source gives the rows of a batch. Cells stand in the order of LoadSpec.Columns
// and are canonical text: integers "-12", decimals "-1.50", floats in Go syntax,
// dates "2026-11-21", times RFC 3339, logicals "1"/"0"; an empty cell is absent.
// Row numbers are at least 1, below 2^32, and rise.
type Source interface {
	// Next returns the next block, valid until the next call; io.EOF ends the batch.
	Next(ctx context.Context) (*tabular.Block, error)
}

// LoadSpec is one batch to apply.
type LoadSpec struct {
	Resource string
	// Batch is intake's id of the batch; loading the same one again changes
	// nothing and returns what the first load did.
	Batch string
	Mode  Mode
	// At is written to each row's `_at`.
	At time.Time
	// Columns says which column each cell of a row belongs to; nil means all
	// columns of the table in order. Delete takes the key columns, in any order
	// and among others.
	Columns []string
	Source  Source
}

// Marker says what a batch did to its table.
type Marker struct {
	Resource string
	Batch    string
	// No counts the resource's batches from 1 in the order of their loads.
	No   int64
	Mode Mode
	At   time.Time
	// Given is the number of rows the source gave. For append and replace it
	// equals Inserted; for delete Given = Deleted + Missed. For upsert Inserted and
	// Updated count rows of the table, not lines of the batch: a key that comes
	// several times counts once, and its last line is the one that stays. A row is
	// updated when any line of the batch differs from what the table held before it,
	// also when a later line sets it back: consumers are rather told once too often.
	// What Given has beyond them was equal to rows there already, or came again.
	Given, Inserted, Updated, Deleted, Missed int64
	// Erased tells that the batch's rows were destroyed by EraseBatch.
	Erased bool
	// Repeated tells that Load found the batch applied already.
	Repeated bool
}

// Store is an open warehouse. Its methods may be called by many goroutines.
type Store struct {
	db     *db.DB
	native native
	target string
	tables tableCache
	// Now stamps garbage and cache ages; time.Now unless a test sets it.
	Now func() time.Time
}
