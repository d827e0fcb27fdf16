package org_test

import (
	"sync"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/profile"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

type world struct {
	t        testing.TB
	db       *db.DB
	log      *audit.Log
	door     *operation.Door
	identity *identity.Service
	org      *org.Service
	clock    *clock
	founded  org.Founded

	system, security, auditor identity.Actor
}

const goodSecret = "Kq7#mountain-Lake"

func newWorld(t testing.TB, d *db.DB) *world {
	t.Helper()
	w := &world{t: t, db: d, clock: &clock{t: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}}
	w.log = audittest.Open(t, d)
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.door, err = operation.New(operation.Deps{DB: d, Log: w.log, Now: w.clock.now})
	must(err)
	w.identity, err = identity.New(identity.Deps{DB: d, Key: make([]byte, 32), Now: w.clock.now})
	must(err)
	must(w.identity.LoadClients(t.Context()))
	p, err := profile.Load("fuzhou")
	must(err)
	w.org, err = org.New(org.Deps{DB: d, Door: w.door, Identity: w.identity, Profile: p, Now: w.clock.now})
	must(err)
	w.founded, err = w.org.Found(t.Context(), []org.FirstAdmin{
		{Post: identity.SystemAdmin, Login: "sysadmin", Name: "陈系统"}, {Post: identity.SecurityAdmin, Login: "secadmin", Name: "黄安全"}, {Post: identity.Auditor, Login: "auditor", Name: "吴审计"}})
	must(err)
	w.system, w.security, w.auditor = w.enter("sysadmin"), w.enter("secadmin"), w.enter("auditor")
	return w
}

// enter logs a person in for the first time with the one-time secret and changes it.
func (w *world) enter(login string) identity.Actor {
	w.t.Helper()
	plain := ""
	for _, a := range w.founded.Admins {
		if a.Login == login {
			plain = a.InitialSecret
		}
	}
	return w.first(login, plain)
}

func (w *world) first(login, plain string) identity.Actor {
	w.t.Helper()
	_, actor, err := w.org.LogIn(w.t.Context(), org.LogInForm{Login: login, Secret: plain, Addr: "10.0.0.1", Lang: "zh"})
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := w.org.ChangeSecret(w.t.Context(), actor, plain, goodSecret)
	if err != nil {
		w.t.Fatal(err)
	}
	actor, err = w.org.Session(w.t.Context(), token, "10.0.0.1", "zh")
	if err != nil {
		w.t.Fatal(err)
	}
	return actor
}

// department makes a body and people with posts, confirmed.
func (w *world) department(name string, posts ...identity.Post) (org.Body, map[identity.Post]identity.Actor) {
	w.t.Helper()
	b, err := w.org.CreateBody(w.t.Context(), w.system, org.Body{Name: name, Kind: "organ", Level: org.City, District: "350100"})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[identity.Post]identity.Actor{}
	for i, post := range posts {
		p, err := w.org.CreatePerson(w.t.Context(), w.system, org.NewPerson{Person: org.Person{Name: "张三丰", Login: "u" + db.NewID()[20:] + string(rune('a'+i)), Body: b.ID, Phone: "13800138000"}, Posts: []identity.Post{post}})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, h := range p.Holdings {
			if err := w.org.Confirm(w.t.Context(), w.security, h.ID); err != nil {
				w.t.Fatal(err)
			}
		}
		out[post] = w.first(p.Login, p.InitialSecret)
	}
	return b, out
}

func wantKind(t *testing.T, err error, kind errs.Kind, clauses ...string) {
	t.Helper()
	e, ok := errs.As(err)
	if !ok || e.Kind != kind {
		t.Fatalf("got %v, want %s", err, kind)
	}
	for _, c := range clauses {
		found := false
		for _, have := range e.Clauses {
			found = found || have == c
		}
		if !found {
			t.Errorf("the refusal %v does not name %s", err, c)
		}
	}
}
