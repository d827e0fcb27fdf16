// Package clause is the register of articles: every article of the four cities'
// regulations that a platform can enforce, record or publish, with the article's
// own words. Rules in code, deadlines and refusals on screen, and tests name an
// article by its id here ("FZM-17"), so that a wrong or invented citation is
// found by the program instead of by a reader.
package clause

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what an article asks of a platform.
type Kind string

// The five kinds of the register.
const (
	Enforce Kind = "enforce" // the platform makes the wrong thing impossible, or refuses it with a reason
	Clock   Kind = "clock"   // a deadline that is started, warned about, and recorded when missed
	Record  Kind = "record"  // a register, document or log is kept
	Publish Kind = "publish" // something is visible to the public or to all departments
	Setting Kind = "setting" // a parameter of the city profile
)

// Kinds lists all kinds in the register's own order.
func Kinds() []Kind { return []Kind{Enforce, Clock, Record, Publish, Setting} }

// Instrument is one regulation.
type Instrument struct {
	Code    string    // prefix of its clause ids: "FZM"
	Title   string    // Chinese title, without book marks
	TitleEN string    // English title
	City    string    // profile id of the city: "fuzhou"
	Number  string    // document number, "" where the text states none
	Issued  time.Time // day of issue (China date at UTC midnight), zero where the text states none
	Draft   bool      // true for a draft for comment, which binds nobody yet
}

// Clause is one entry of the register.
type Clause struct {
	ID         string // "FZM-17", "QZ-3.1.8"
	Instrument string // code of the instrument
	Article    string // part after the dash: "17", "29.3", "3.1.8"
	Kind       Kind
	Must       string // what the platform has to do, in English
	Text       string // the article's (or paragraph's) own words, Chinese, paragraphs separated by newlines
	Line       int    // line of clauses.yaml
}

// Get gives the clause of an id; ok is false for an id that the register lacks.
func Get(id string) (c Clause, ok bool) {
	i, ok := register().byID[id]
	if !ok {
		return Clause{}, false
	}
	return register().all[i], true
}

// All gives every clause in the register's order. The slice is the caller's.
func All() []Clause { return append([]Clause(nil), register().all...) }

// ByInstrument gives the clauses of one instrument code in the register's order;
// nil for an unknown code.
func ByInstrument(code string) []Clause {
	var out []Clause
	for _, c := range register().all {
		if c.Instrument == code {
			out = append(out, c)
		}
	}
	return out
}

// Search gives the clauses whose id, duty or own words contain every
// space-separated word of text (letters compared without case), narrowed to an
// instrument code and a kind where these are not empty.
func Search(text, instrument string, kind Kind) []Clause {
	words := strings.Fields(strings.ToLower(text))
	var out []Clause
next:
	for _, c := range register().all {
		if instrument != "" && c.Instrument != instrument || kind != "" && c.Kind != kind {
			continue
		}
		hay := strings.ToLower(c.ID + "\n" + c.Must + "\n" + c.Text + "\n" + c.CitationZH())
		for _, w := range words {
			if !strings.Contains(hay, w) {
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}

// Instruments gives the regulations in the register's order.
func Instruments() []Instrument { return append([]Instrument(nil), instruments...) }

// InstrumentOf gives the instrument of a code.
func InstrumentOf(code string) (Instrument, bool) {
	for _, in := range instruments {
		if in.Code == code {
			return in, true
		}
	}
	return Instrument{}, false
}

// CitationZH names the article as an official would write it:
// 《福州市政务数据资源管理办法》第十七条.
func (c Clause) CitationZH() string {
	in, _ := InstrumentOf(c.Instrument)
	parts := strings.Split(c.Article, ".")
	var b strings.Builder
	fmt.Fprintf(&b, "《%s》", in.Title)
	if c.Instrument == "QZ" {
		b.WriteString("第" + chineseNumber(parts[0]) + "部分")
		if len(parts) > 1 {
			b.WriteString("第（" + chineseNumber(parts[1]) + "）款")
		}
		if len(parts) > 2 {
			b.WriteString("第" + parts[2] + "项")
		}
		return b.String()
	}
	b.WriteString("第" + chineseNumber(parts[0]) + "条")
	if len(parts) > 1 {
		if articleHasItemsOnly(c.Instrument, parts[0]) {
			b.WriteString("第（" + chineseNumber(parts[1]) + "）项")
		} else {
			b.WriteString("第" + chineseNumber(parts[1]) + "款")
		}
	}
	return b.String()
}

// CitationEN names the article in English: "Fuzhou Measures on Government Data
// Resources, Art. 17".
func (c Clause) CitationEN() string {
	in, _ := InstrumentOf(c.Instrument)
	if c.Instrument == "QZ" {
		return in.TitleEN + ", Part " + c.Article
	}
	return in.TitleEN + ", Art. " + c.Article
}

// Known returns an error that names the first id the register lacks; nil when
// all are known.
func Known(ids ...string) error {
	for _, id := range ids {
		if _, ok := Get(id); !ok {
			return fmt.Errorf("clause register has no %q", id)
		}
	}
	return nil
}
