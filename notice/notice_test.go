package notice_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/notice"
	"gongshu/operation"
)

type house struct {
	*notice.Service
	t       *testing.T
	db      *db.DB
	log     *audit.Log
	now     time.Time
	holders map[string][]string // body + post → people
}

func each(t *testing.T, body func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := &house{t: t, db: d, log: audittest.Open(t, d), now: time.Date(2026, 9, 18, 2, 0, 0, 0, time.UTC), holders: map[string][]string{"tax steward": {"wang", "li"}}}
		now := func() time.Time { return h.now }
		door, err := operation.New(operation.Deps{DB: d, Log: h.log, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		h.Service = notice.New(notice.Deps{DB: d, Door: door, Now: now, Holders: func(_ context.Context, _ db.Querier, body string, post identity.Post) ([]string, error) {
			return h.holders[body+" "+string(post)], nil
		}})
		body(t, h)
	})
}

func person(id string) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: id, Name: id, Body: "tax", District: "350100", Level: "city", Post: identity.Steward, Posts: []identity.Post{identity.Steward}}
}

// outgoing is a message about case n to the tax bureau's stewards.
func outgoing(n int) notice.Outgoing {
	return notice.Outgoing{To: []notice.To{{Body: "tax", Post: identity.Steward}}, Kind: notice.CaseReturned, About: notice.Ref{Kind: "case", ID: fmt.Sprint("c", n)},
		Clauses: []string{"FZM-17", "LY-12"}, Values: notice.Values{"Number": notice.Same(fmt.Sprint("GX-", n)), "Step": errs.T("审核", "Review")}}
}

func (h *house) send(m notice.Outgoing) {
	h.t.Helper()
	h.now = h.now.Add(time.Second)
	if err := h.db.InTx(h.t.Context(), func(tx *db.Tx) error { return h.SendTx(h.t.Context(), tx, m) }); err != nil {
		h.t.Fatal(err)
	}
}

// inbox writes a person's list as text: what it is about, with * for unread.
func (h *house) inbox(who string, f notice.Filter) (string, int) {
	h.t.Helper()
	found, total, err := h.List(h.t.Context(), person(who), f)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, m := range found {
		mark := ""
		if m.ReadAt.IsZero() {
			mark = "*"
		}
		out = append(out, m.About.ID+mark)
	}
	return strings.Join(out, " "), total
}

func (h *house) unread(who string) int {
	h.t.Helper()
	n, err := h.Unread(h.t.Context(), person(who))
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestWhoIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := outgoing(1)
		m.To = append(m.To, notice.To{Person: "wang"}, notice.To{Person: "zhou"}, notice.To{Body: "tax", Post: identity.Leader}, notice.To{})
		h.send(m)
		for who, want := range map[string]int{"wang": 1, "li": 1, "zhou": 1, "chen": 0, "": 0} {
			if got := h.unread(who); got != want {
				t.Errorf("%s has %d messages, want %d", who, got, want)
			}
		}
		m = outgoing(2)
		m.Not = "wang"
		h.send(m)
		if h.unread("wang") != 1 || h.unread("li") != 2 {
			t.Errorf("who did it was told, or the others were not: %d %d", h.unread("wang"), h.unread("li"))
		}
		// A post is told through those who hold it at the time; who takes over later
		// begins with an empty inbox.
		h.holders["tax steward"] = []string{"sun"}
		h.send(outgoing(3))
		if h.unread("sun") != 1 || h.unread("li") != 2 {
			t.Errorf("after the hand-over: %d %d", h.unread("sun"), h.unread("li"))
		}
		found, _, err := h.List(t.Context(), person("li"), notice.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		want := notice.Message{ID: found[1].ID, Person: "li", Kind: notice.CaseReturned, Values: outgoing(1).Values, About: notice.Ref{Kind: "case", ID: "c1"},
			Clauses: []string{"FZM-17", "LY-12"}, Body: "tax", Post: identity.Steward, At: time.Date(2026, 9, 18, 2, 0, 1, 0, time.UTC)}
		if diff := cmp.Diff(want, found[1]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		m := outgoing(1)
		m.Once = "grant g1 2026-12-31"
		h.send(m)
		h.send(m)
		if got, total := h.inbox("li", notice.Filter{}); total != 1 {
			t.Errorf("told twice: %s", got)
		}
		m.Once = "grant g1 2027-12-31"
		h.send(m)
		h.send(outgoing(1))
		h.send(outgoing(1))
		if got, total := h.inbox("li", notice.Filter{}); total != 4 {
			t.Errorf("another key, and no key, tell again: %s", got)
		}
	})
}

func TestWhatDidNotHappenIsNotTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		failure := errors.New("refused later")
		err := h.db.InTx(t.Context(), func(tx *db.Tx) error {
			if err := h.SendTx(t.Context(), tx, outgoing(1)); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) || h.unread("li") != 0 {
			t.Errorf("%v, %d messages", err, h.unread("li"))
		}
		for name, m := range map[string]notice.Outgoing{"kind": {Kind: "case_lost", About: notice.Ref{Kind: "case", ID: "c"}}, "about": {Kind: notice.CaseRefused}} {
			if err := h.db.InTx(t.Context(), func(tx *db.Tx) error { return h.SendTx(t.Context(), tx, m) }); !errs.Is(err, errs.Internal) {
				t.Errorf("a message without %s: %v", name, err)
			}
		}
	})
}

func TestReading(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for n := range 25 {
			m := outgoing(n)
			if n%5 == 0 {
				m.Kind = notice.GrantRevoked
			}
			h.send(m)
		}
		if got, total := h.inbox("li", notice.Filter{Limit: 3, Offset: 10}); got != "c14* c13* c12*" || total != 25 {
			t.Errorf("a page: %s of %d", got, total)
		}
		if got, total := h.inbox("li", notice.Filter{Topic: "grant", Limit: 2}); got != "c20* c15*" || total != 5 {
			t.Errorf("a topic: %s of %d", got, total)
		}
		if got, total := h.inbox("li", notice.Filter{Topic: "_"}); total != 0 {
			t.Errorf("a wildcard as a topic: %s", got)
		}
		found, _, err := h.List(t.Context(), person("li"), notice.Filter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Read(t.Context(), person("wang"), found[0].ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("another's message: %v", err)
		}
		before := h.entries()
		for range 2 {
			if m, err := h.Read(t.Context(), person("li"), found[0].ID); err != nil || m.ReadAt.IsZero() {
				t.Fatal(m, err)
			}
		}
		if n := h.entries() - before; n != 1 {
			t.Errorf("reading once and again left %d entries", n)
		}
		if got, total := h.inbox("li", notice.Filter{State: "read"}); got != "c24" || total != 1 {
			t.Errorf("read: %s of %d", got, total)
		}
		if h.unread("li") != 24 || h.unread("wang") != 25 {
			t.Errorf("unread: %d and %d", h.unread("li"), h.unread("wang"))
		}
		if n, err := h.ReadAll(t.Context(), person("li")); err != nil || n != 24 || h.unread("li") != 0 || h.unread("wang") != 25 {
			t.Errorf("read all: %d %v, %d and %d left", n, err, h.unread("li"), h.unread("wang"))
		}
		if n, err := h.ReadAll(t.Context(), person("li")); err != nil || n != 0 {
			t.Errorf("read all again: %d %v", n, err)
		}
		if _, _, err := h.List(t.Context(), identity.Visitor("192.0.2.1", "zh"), notice.Filter{}); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("a visitor's inbox: %v", err)
		}
	})
}

// entries counts the log's entries.
func (h *house) entries() int {
	h.t.Helper()
	page, err := h.log.Search(h.t.Context(), audit.Filter{}, 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(page.Records)
}
