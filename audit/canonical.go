package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gongshu/internal/errs"
	"gongshu/tabular"
)

const (
	maxString  = 1024  // bytes of one value; longer ones are cut and end in "…"
	maxList    = 200   // values of one list
	maxContent = 60000 // bytes of an entry: a C2SP entry bundle gives a length 16 bits
	// TimeFormat is how an entry writes its time, which is UTC.
	TimeFormat = "2006-01-02T15:04:05.000Z"
)

// Canonical appends the canonical form of the entry to dst: RFC 8785 (JSON
// Canonicalization Scheme) restricted to objects, strings, integers, booleans
// and lists of strings. Keys stand in ascending order, without white space;
// strings escape only " \ and control characters (\b \t \n \f \r, else \u00xx in
// lower case); invalid UTF-8 becomes U+FFFD; empty fields are left out; "at" is
// UTC with milliseconds. docs/audit.md lists the keys.
//
// It fails with errs.TooLarge when the form is over 60,000 bytes.
func (e *Entry) Canonical(dst []byte) ([]byte, error) {
	start := len(dst)
	w := canon{b: append(dst, '{'), first: true}
	w.text("action", e.Action)
	w.text("actor", e.Actor)
	w.text("actor_kind", e.ActorKind)
	w.text("actor_name", e.ActorName)
	w.text("addr", e.Addr)
	w.text("approver", e.Approver)
	w.key("at")
	w.b = append(w.b, '"')
	w.b = e.At.UTC().AppendFormat(w.b, TimeFormat)
	w.b = append(w.b, '"')
	w.text("body", e.Body)
	w.text("body_name", e.BodyName)
	w.text("case", e.Case)
	w.text("client", e.Client)
	w.text("code", e.Code)
	w.text("district", e.District)
	w.text("grant", e.Grant)
	w.text("id", e.ID)
	w.text("medium", e.Medium)
	w.notes(e.Notes)
	outcome := e.Outcome
	if outcome == "" {
		outcome = OK
	}
	w.text("outcome", outcome)
	w.text("post", e.Post)
	w.text("purpose", e.Purpose)
	w.text("resource", e.Resource)
	w.text("session", e.Session)
	if len(e.Subjects) > 0 {
		w.key("subjects")
		w.list(e.Subjects)
	}
	w.text("target", e.Target)
	w.text("target_body", e.TargetBody)
	w.text("target_kind", e.TargetKind)
	w.text("target_name", e.TargetName)
	w.b = append(w.b, '}')
	if len(w.b)-start > maxContent {
		return dst, errs.Newf(errs.TooLarge, "审计条目过大（%d 字节，上限 %d）",
			"an audit entry is too large (%d bytes, at most %d)", len(w.b)-start, maxContent)
	}
	return w.b, nil
}

type canon struct {
	b     []byte
	first bool
}

func (w *canon) key(k string) {
	if !w.first {
		w.b = append(w.b, ',')
	}
	w.first = false
	w.b = tabular.AppendJSONString(w.b, cut(k))
	w.b = append(w.b, ':')
}

func (w *canon) text(k, v string) {
	if v == "" {
		return
	}
	w.key(k)
	w.b = tabular.AppendJSONString(w.b, cut(v))
}

func (w *canon) list(values []string) {
	w.b = append(w.b, '[')
	for i, v := range values {
		if i == maxList {
			w.b = append(w.b, `,"…"`...)
			break
		}
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = tabular.AppendJSONString(w.b, cut(v))
	}
	w.b = append(w.b, ']')
}

// notes writes them sorted by key; of two with one key the later counts.
func (w *canon) notes(notes []Note) {
	if len(notes) == 0 {
		return
	}
	sorted := notes
	if !slices.IsSortedFunc(notes, func(a, b Note) int { return compareKeys(a.Key, b.Key) }) {
		sorted = slices.Clone(notes)
		slices.SortStableFunc(sorted, func(a, b Note) int { return compareKeys(a.Key, b.Key) })
	}
	w.key("notes")
	outer := w.first
	w.b, w.first = append(w.b, '{'), true
	for i, n := range sorted {
		if i+1 < len(sorted) && compareKeys(sorted[i+1].Key, n.Key) == 0 {
			continue
		}
		w.key(n.Key)
		switch v := n.Value.(type) {
		case string:
			w.b = tabular.AppendJSONString(w.b, cut(v))
		case int:
			w.b = strconv.AppendInt(w.b, int64(v), 10)
		case int64:
			w.b = strconv.AppendInt(w.b, v, 10)
		case bool:
			w.b = strconv.AppendBool(w.b, v)
		case []string:
			w.list(v)
		case time.Time:
			w.b = tabular.AppendJSONString(w.b, v.UTC().Format(TimeFormat))
		default:
			w.b = tabular.AppendJSONString(w.b, cut(fmt.Sprint(v)))
		}
	}
	w.b, w.first = append(w.b, '}'), outer
}

// compareKeys orders as RFC 8785 asks, by UTF-16 code units, which differs from
// the order of bytes only beyond the basic plane.
func compareKeys(a, b string) int {
	a, b = cut(a), cut(b)
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			if lifted(x) < lifted(y) {
				return -1
			}
			return 1
		}
		a, b = a[n:], b[m:]
	}
	return len(a) - len(b)
}

// lifted maps runes to an order in which surrogate pairs stand where UTF-16 puts
// them: below U+E000.
func lifted(r rune) int64 {
	if r >= 0x10000 {
		return 0xD800<<21 + int64(r)
	}
	return int64(r) << 21
}

func cut(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= maxString {
		return s
	}
	n := maxString - len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// ParseEntry reads a canonical form. Bytes that are JSON but not the canonical
// form of what they say are refused with errs.Invalid, so that one entry has one
// spelling.
func ParseEntry(content []byte) (Entry, error) {
	fail := func(err error) (Entry, error) {
		return Entry{}, errs.Newf(errs.Invalid, "审计条目格式不规范", "the audit entry is not in canonical form").Because(err)
	}
	if len(content) > maxContent {
		return fail(fmt.Errorf("%d bytes", len(content)))
	}
	var raw struct {
		Action     string         `json:"action"`
		Actor      string         `json:"actor"`
		ActorKind  string         `json:"actor_kind"`
		ActorName  string         `json:"actor_name"`
		Addr       string         `json:"addr"`
		Approver   string         `json:"approver"`
		At         string         `json:"at"`
		Body       string         `json:"body"`
		BodyName   string         `json:"body_name"`
		Case       string         `json:"case"`
		Client     string         `json:"client"`
		Code       string         `json:"code"`
		District   string         `json:"district"`
		Grant      string         `json:"grant"`
		ID         string         `json:"id"`
		Medium     string         `json:"medium"`
		Notes      map[string]any `json:"notes"`
		Outcome    string         `json:"outcome"`
		Post       string         `json:"post"`
		Purpose    string         `json:"purpose"`
		Resource   string         `json:"resource"`
		Session    string         `json:"session"`
		Subjects   []string       `json:"subjects"`
		Target     string         `json:"target"`
		TargetBody string         `json:"target_body"`
		TargetKind string         `json:"target_kind"`
		TargetName string         `json:"target_name"`
	}
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil {
		return fail(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail(fmt.Errorf("more after the object"))
	}
	at, err := time.Parse(TimeFormat, raw.At)
	if err != nil {
		return fail(err)
	}
	e := Entry{
		ID: raw.ID, At: at, ActorKind: raw.ActorKind, Actor: raw.Actor, ActorName: raw.ActorName, Post: raw.Post,
		Body: raw.Body, BodyName: raw.BodyName, Addr: raw.Addr, Client: raw.Client, Session: raw.Session,
		Action: raw.Action, TargetKind: raw.TargetKind, Target: raw.Target, TargetName: raw.TargetName,
		TargetBody: raw.TargetBody, District: raw.District, Resource: raw.Resource, Case: raw.Case, Grant: raw.Grant,
		Purpose: raw.Purpose, Approver: raw.Approver, Medium: raw.Medium, Outcome: raw.Outcome, Code: raw.Code,
		Subjects: raw.Subjects,
	}
	for k, v := range raw.Notes {
		note := Note{Key: k}
		switch v := v.(type) {
		case string, bool:
			note.Value = v
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return fail(err)
			}
			note.Value = n
		case []any:
			list := make([]string, 0, len(v))
			for _, item := range v {
				s, ok := item.(string)
				if !ok {
					return fail(fmt.Errorf("note %q holds a %T", k, item))
				}
				list = append(list, s)
			}
			note.Value = list
		default:
			return fail(fmt.Errorf("note %q is a %T", k, v))
		}
		e.Notes = append(e.Notes, note)
	}
	slices.SortFunc(e.Notes, func(a, b Note) int { return compareKeys(a.Key, b.Key) })
	again, err := e.Canonical(nil)
	if err != nil {
		return fail(err)
	}
	if !bytes.Equal(again, content) {
		return fail(fmt.Errorf("canonical form differs at byte %d", differ(again, content)))
	}
	return e, nil
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// Note returns the value noted under key, formatted for reading; "" when there is none.
func (e *Entry) Note(key string) string {
	for _, n := range e.Notes {
		if n.Key == key {
			if list, ok := n.Value.([]string); ok {
				return strings.Join(list, ", ")
			}
			return fmt.Sprint(n.Value)
		}
	}
	return ""
}
