// Package tabular reads and writes tables in the file formats that departments
// send: CSV and its kin, NDJSON, JSON and XLSX in; CSV, NDJSON, JSON, XLSX and
// Parquet out. It is pure: no database, no network, no clock.
//
// Reading goes in two steps, because a guess must be shown before it is used.
// Inspect looks at a sample and proposes a Layout (encoding with confidence,
// delimiter, preamble, header rows, sheet); a person or a channel confirms or
// corrects it; Open then streams rows by that Layout in constant memory.
//
// Nothing is converted on the way in: every cell is the text that the file
// holds, so 0591 stays 0591 and NA stays NA. Values take a type only in
// Canonical, by the type that the catalog declares.
package tabular

import (
	"io"

	"gongshu/internal/errs"
)

// Format is a file format that this package reads or writes.
type Format string

// The formats. Parquet is written only.
const (
	CSV     Format = "csv" // any delimiter; TSV is CSV with a tab
	NDJSON  Format = "ndjson"
	JSON    Format = "json" // an array of objects, or an array of arrays
	XLSX    Format = "xlsx"
	Parquet Format = "parquet"
)

// ContentType is the media type by which a file of the format is served.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case NDJSON:
		return "application/x-ndjson; charset=utf-8"
	case JSON:
		return "application/json; charset=utf-8"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case Parquet:
		return "application/vnd.apache.parquet"
	}
	return "application/octet-stream"
}

// Encoding names a character encoding as the console shows it.
type Encoding string

// The encodings that are told apart.
const (
	UTF8    Encoding = "UTF-8"
	UTF16LE Encoding = "UTF-16LE"
	UTF16BE Encoding = "UTF-16BE"
	GB18030 Encoding = "GB18030"
	Big5    Encoding = "Big5"
	CP1252  Encoding = "windows-1252"
)

// Guess is one encoding with how plausible it is, 0 to 1.
type Guess struct {
	Encoding   Encoding `json:"encoding"`
	Confidence float64  `json:"confidence"`
}

// Layout says how a file is to be read. Inspect proposes one; every field may
// be overridden before Open. It is kept with the batch, so that the same bytes
// are read the same way again. Row numbers count from 1 as a spreadsheet shows
// them: blank rows and the preamble count too.
type Layout struct {
	Format Format `json:"format"`
	// Encoding of text formats, the confidence in it (0–1), and what else was
	// considered, best first.
	Encoding   Encoding `json:"encoding,omitempty"`
	Confidence float64  `json:"confidence,omitempty"`
	Considered []Guess  `json:"considered,omitempty"`
	// Delimiter is one character: comma, semicolon, tab or bar (CSV only).
	Delimiter string `json:"delimiter,omitempty"`
	// LineEnd is "LF", "CRLF" or "CR" (CSV only; informative, all are read).
	LineEnd string `json:"line_end,omitempty"`
	// Sheet is the sheet to read, Sheets what the workbook holds (XLSX only).
	Sheet  string   `json:"sheet,omitempty"`
	Sheets []string `json:"sheets,omitempty"`
	// HeaderFrom and HeaderTo bound the header rows, both 0 when the file has
	// none. Several rows are a stacked header; their texts are joined by "/".
	HeaderFrom int `json:"header_from"`
	HeaderTo   int `json:"header_to"`
	// DataFrom is the first data row.
	DataFrom int `json:"data_from"`
	// Columns are the names, in the file's order; a column without a name is
	// given its position ("列3").
	Columns []string `json:"columns"`
	// Preamble is the text of the rows above the header (titles, units).
	Preamble []string `json:"preamble,omitempty"`
	// AllowShort reads a row with fewer cells than the header as if the rest
	// were empty, instead of calling it a flaw (CSV only).
	AllowShort bool `json:"allow_short,omitempty"`
	// Decimal is the decimal mark of the file's numbers, "." or ",".
	Decimal string `json:"decimal,omitempty"`
	// Records is the key of the top object under which the array of records
	// stands; "" when the array itself is the top (JSON only).
	Records string `json:"records,omitempty"`
	// Guarded takes off the apostrophes of [CSVOptions].Guard (CSV only).
	Guarded bool `json:"guarded,omitempty"`
	// FillMerged repeats a vertically merged cell's value on each of its data
	// rows (XLSX only).
	FillMerged bool `json:"fill_merged,omitempty"`
}

// Limits bound what one file may make this program do. The zero value of a
// field takes the default.
type Limits struct {
	Cell      int   // bytes of one cell; default 1 MiB
	Row       int   // bytes of one row; default 8 MiB
	Columns   int   // cells of one row; default 4,096
	Depth     int   // nesting of JSON; default 64
	Unpacked  int64 // bytes of one unpacked file or workbook part; default 16 GiB
	Ratio     int64 // unpacked to packed bytes, beyond the first 64 MiB; default 200
	Strings   int64 // bytes of a workbook's shared strings; default 96 MiB
	BlockRows int   // rows a Read gives at most; default 1,024
}

// WithDefaults returns l with each zero field set to its default.
func (l Limits) WithDefaults() Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set64 := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Cell, 1<<20)
	set(&l.Row, 8<<20)
	set(&l.Columns, 4096)
	set(&l.Depth, 64)
	set64(&l.Unpacked, 16<<30)
	set64(&l.Ratio, 200)
	set64(&l.Strings, 96<<20)
	set(&l.BlockRows, 1024)
	return l
}

// Reader streams a table. Read fills b (after resetting it) with at least one
// row, or returns io.EOF. b stays valid until the caller resets it. An error
// other than io.EOF is an *errs.Error that says where reading stopped.
type Reader interface {
	Columns() []string
	Read(b *Block) error
	Close() error
}

// Writer writes a table. Write takes each row of b, its cells in the order of
// the columns given when the Writer was made; Close completes the file (it does
// not close the underlying writer).
type Writer interface {
	Write(b *Block) error
	Close() error
}

// Column describes one column for writers and for type proposals. Type is one
// of the catalog's letters: C text, N decimal, Y money, D date, T date and time,
// L yes or no, M long text, G general, B double, I integer, F float.
type Column struct {
	Name string
	Type byte
	// Scale is the number of digits after the point of an exact N or Y, at most 18;
	// 0 where it is not known. Parquet then has decimals rather than text.
	Scale int
}

// readAll is a Reader drained into one Block: for small files and tests.
func readAll(r Reader) (*Block, error) {
	all, b := NewBlock(), NewBlock()
	for {
		err := r.Read(b)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		for i := range b.Len() {
			all.AppendRow(b, i)
		}
	}
}

func bad(zh, en string) *errs.Error { return errs.New(errs.Invalid, errs.T(zh, en)) }

func tooLarge(zh, en string) *errs.Error { return errs.New(errs.TooLarge, errs.T(zh, en)) }

func unsupported(zh, en string) *errs.Error { return errs.New(errs.Unsupported, errs.T(zh, en)) }
