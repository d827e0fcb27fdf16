// Package errs holds the one error type of the program: a kind that says what
// went wrong, a sentence in both languages that says what to do, and the
// article that asks for it.
//
// Only internal/web turns a Kind into an HTTP status, and only ui picks the
// language; every other package makes, wraps and inspects.
package errs

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong in terms a caller can act on.
type Kind string

// The kinds of error. Internal is what any error without a kind counts as.
const (
	Invalid         Kind = "invalid"         // the input breaks a rule; mend it and send again
	NotFound        Kind = "not_found"       // no such thing, or none that the actor may know of
	Forbidden       Kind = "forbidden"       // the actor may not; somebody else may
	Unauthenticated Kind = "unauthenticated" // nobody is logged in, or the key is not known
	Conflict        Kind = "conflict"        // the thing has changed or stands in the way
	WrongMethod     Kind = "wrong_method"    // the address is there, for another method
	Gone            Kind = "gone"            // it was here and has been withdrawn or revoked
	TooMany         Kind = "too_many"        // a quota or a rate is used up
	TooLarge        Kind = "too_large"       // over a bound of size, width or depth
	Unsupported     Kind = "unsupported"     // a format or an option that is not offered
	Unavailable     Kind = "unavailable"     // a store is full or down; try again later
	Internal        Kind = "internal"        // a fault of the program
)

// Text is one sentence in the two languages of the program.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// T makes a Text from its Chinese and its English wording.
func T(zh, en string) Text { return Text{ZH: zh, EN: en} }

// Tf is T with the same arguments formatted into both wordings by fmt.Sprintf;
// use indexed verbs (%[2]s) where the languages differ in order. A wording need
// not use every argument.
func Tf(zh, en string, args ...any) Text {
	return Text{ZH: format(zh, args), EN: format(en, args)}
}

// format is fmt.Sprintf without its complaint about arguments left over: an
// indexed verb at the end silences it, and what that verb wrote is cut off.
func format(wording string, args []any) string {
	if len(args) == 0 {
		return fmt.Sprintf(wording, args...)
	}
	last := fmt.Sprintf("%v", args[0])
	return strings.TrimSuffix(fmt.Sprintf(wording+"%[1]v", args...), last)
}

// In returns the wording for a language tag: English for "en…", Chinese otherwise.
func (t Text) In(lang string) string {
	if strings.HasPrefix(lang, "en") && t.EN != "" {
		return t.EN
	}
	return t.ZH
}

// Problem is one fault among several found in the same input.
type Problem struct {
	// Field names the place: a form field, a JSON path, a cell such as "Items!C7".
	Field string `json:"field"`
	// Code is a stable machine-readable name such as "required".
	Code string `json:"code,omitempty"`
	Text Text   `json:"text"`
	// Clause is the article that the rule comes from, "" when it is plain form.
	Clause string `json:"clause,omitempty"`
}

// Error is the error type of every exported function that refuses or fails.
type Error struct {
	Kind Kind
	Text Text
	// Field names what is wrong, "" when it is the whole.
	Field string
	// Clauses are ids of the register ("FZM-17"), in the order of weight.
	Clauses []string
	// Problems lists every fault when there are several; Text then sums them up.
	Problems []Problem
	// RetryAfter, in seconds, is how long to wait after TooMany or Unavailable; 0 is unknown.
	RetryAfter int
	// Err is the cause; it is logged and never shown.
	Err error
}

// New makes an error of a kind with its sentence.
func New(kind Kind, text Text) *Error { return &Error{Kind: kind, Text: text} }

// Newf is New with both wordings formatted as Tf does.
func Newf(kind Kind, zh, en string, args ...any) *Error { return New(kind, Tf(zh, en, args...)) }

// In names the field that is wrong and returns e.
func (e *Error) In(field string) *Error { e.Field = field; return e }

// By adds the articles that the refusal rests on and returns e.
func (e *Error) By(clauses ...string) *Error { e.Clauses = append(e.Clauses, clauses...); return e }

// Because keeps the cause and returns e.
func (e *Error) Because(err error) *Error { e.Err = err; return e }

// With adds single faults and returns e.
func (e *Error) With(problems ...Problem) *Error {
	e.Problems = append(e.Problems, problems...)
	return e
}

// Retry says after how many seconds to try again and returns e.
func (e *Error) Retry(seconds int) *Error { e.RetryAfter = seconds; return e }

// Error gives the English wording with field, articles and cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Field != "" {
		b.WriteString(" in ")
		b.WriteString(e.Field)
	}
	b.WriteString(": ")
	b.WriteString(e.Text.In("en"))
	for i, p := range e.Problems {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", p.Field, p.Text.In("en"))
	}
	if len(e.Clauses) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(e.Clauses, ", "))
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// As returns the *Error in err's chain and whether there is one.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// KindOf is the kind of the first *Error in err's chain: Internal for any other
// error, "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := As(err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return KindOf(err) == kind }
