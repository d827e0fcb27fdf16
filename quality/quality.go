// Package quality checks rows against what the catalog says of them, keeps every
// row that fails, whole and with every reason, and follows it until a corrected
// one is accepted.
//
// An Engine is compiled once from a version of a resource: the type, length,
// range, pattern, code list and identifier of each item, uniqueness, key,
// references to other resources, and expressions over several items (CEL). A Run
// checks one batch with it, a block at a time, without allocating for a row that
// is sound.
package quality

import (
	"context"

	"gongshu/internal/errs"
	"gongshu/tabular"
)

// Fault is one reason why a row was not accepted. It never holds the value: the
// row is kept beside it.
type Fault struct {
	// Item is the item's id, "" when the reason concerns the whole row.
	Item string `json:"item,omitempty"`
	// Cell is the position of the cell in the file's row, from 0; -1 for the row.
	Cell int `json:"cell"`
	// Code is the rule that failed, one of Codes.
	Code string    `json:"code"`
	Text errs.Text `json:"text"`
	// Clause is the article that the rule rests on, "" for the catalog's own.
	Clause string `json:"clause,omitempty"`
}

// The rules by code, as faults and statistics name them.
const (
	Unreadable = "unreadable" // the decoder could not read the row cleanly
	Required   = "required"
	Type       = "type"
	Length     = "length"
	Range      = "range"
	Pattern    = "pattern"
	CodeList   = "code_list"
	Unique     = "unique" // repeats within the batch
	Key        = "key"    // repeats the key of another row of the batch, or of a stored one
	Reference  = "reference"
	Expression = "expression" // over several items
	Identifier = "identifier" // resident ID, USCC, phone, bank card, plate, …
	Future     = "future"
	Secret     = "secret"    // bears a secrecy mark (FZM-31)
	Unknown    = "unknown"   // a correction of a row that is not open
	Duplicate  = "duplicate" // exists in the warehouse already
)

// Codes lists the rules in the order of pages.
var Codes = []string{Unreadable, Required, Type, Length, Range, Pattern, CodeList, Identifier, Unique, Key, Duplicate, Reference, Expression, Future, Secret, Unknown}

// CodeText names a rule in both languages.
func CodeText(code string) errs.Text {
	if t, ok := codeText[code]; ok {
		return t
	}
	return errs.T(code, code)
}

var codeText = map[string]errs.Text{
	Unreadable: errs.T("无法读取", "unreadable"),
	Required:   errs.T("必填项为空", "required value missing"),
	Type:       errs.T("类型不符", "wrong type"),
	Length:     errs.T("超长", "too long"),
	Range:      errs.T("超出范围", "out of range"),
	Pattern:    errs.T("格式不符", "pattern not met"),
	CodeList:   errs.T("不在代码表内", "not in the code list"),
	Unique:     errs.T("重复值", "repeated value"),
	Key:        errs.T("主键重复", "repeated key"),
	Duplicate:  errs.T("主键已入库", "key stored already"),
	Reference:  errs.T("关联数据不存在", "reference not found"),
	Expression: errs.T("项间关系不符", "rule over several items broken"),
	Identifier: errs.T("证照号码不合标准", "identifier not valid"),
	Future:     errs.T("日期在将来", "date in the future"),
	Secret:     errs.T("带密级标志", "bears a secrecy mark"),
	Unknown:    errs.T("不是待更正的行", "not an open problem row"),
}

// References answers whether values exist in an item of another resource.
type References interface {
	// Exists sets out[r] for each row r of b: does cell c of the row stand in
	// the resource's item. out has b.Len() elements.
	Exists(ctx context.Context, resource, item string, b *tabular.Block, c int, out []bool) error
}

// Options of a Run.
type Options struct {
	// Today is the day that NotFuture items are held against, canonical text.
	Today string
	// Mapping gives for each item of the resource the position of its cell in
	// the file's rows, -1 where the file does not have it.
	Mapping []int
	// Decimal is the decimal mark of the file, '.' or ','.
	Decimal byte
	// KeyOnly checks nothing but the key items: for delete batches.
	KeyOnly bool
	// RepeatedKeys lets a key occur more than once: the last row counts (upsert).
	RepeatedKeys bool
	// Accept, when not nil, decides instead of the rules which row numbers are
	// good: replaying a batch gives what it gave when it arrived.
	Accept func(number int64) bool
	// References answers Reference rules; without it they are an error.
	References References
	// Stored, when not nil, sets out[r] for rows whose key is stored already:
	// an append must not repeat it. The cells of b are the resource's items.
	Stored func(ctx context.Context, b *tabular.Block, out []bool) error
	// Extra, when not nil, may add faults to a row before it is judged.
	Extra func(in *tabular.Block, r int) []Fault
	// Memory bounds the sets that find repeats, in bytes; default 96 MiB. Beyond
	// it they go to temporary files.
	Memory int
}

// Sink takes a row that failed: row r of in and its faults, both valid during
// the call only.
type Sink func(in *tabular.Block, r int, faults []Fault) error

// Names of the columns added to a problem file.
const (
	NumberColumn = "_行号 row"
	ReasonColumn = "_原因 reasons"
)
