// Package identity knows who acts: accounts with argon2id secrets, lock-out and
// back-off, sessions kept in the database, and API clients with digested keys,
// optional HMAC-SM3 signatures and address lists.
//
// It stands below the door (package operation), so it writes through functions
// that take a transaction (…Tx); their callers, org, console and api, run them
// inside operation.Do. Session touches, failed log-ins, nonces and the time of a
// key's last use are the exceptions that the architecture's list of writers names.
package identity

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gongshu/internal/blob"
	"gongshu/internal/db"
)

// AccountKind tells officials from the public.
type AccountKind string

// The kinds of account.
const (
	Official AccountKind = "official"
	Public   AccountKind = "public"
)

// States of an account or a client.
const (
	Active   = "active"
	Disabled = "disabled"
)

// Account is a login. It holds no rights: posts do (package org).
type Account struct {
	ID          string
	Login       string // lower case, unique
	Name        string
	Kind        AccountKind
	State       string    // Active or Disabled
	SecretAt    time.Time // when the secret was set
	MustChange  bool
	InitialEnds time.Time // end of a one-time secret; zero when none is set
	CreatedAt   time.Time
	CreatedBy   string
	LastLoginAt time.Time // zero when never

	secret string
}

// Session is one log-in.
type Session struct {
	ID        string
	Account   string
	Holding   string // id of the holding acted under, "" before a choice
	Factor    FactorState
	Addr      string
	Agent     string
	CreatedAt time.Time
	SeenAt    time.Time
	EndedAt   time.Time
	EndedWhy  string
}

// Limits are the bounds of sessions, secrets and log-ins. The zero value of a
// field takes the default. They are the city's practice within GB/T 22239-2019
// 8.1.4.1 and 8.1.4.2; no clause of the register states numbers.
type Limits struct {
	Idle          time.Duration // a session unused so long ends; default 30 minutes
	Absolute      time.Duration // a session ends so long after log-in; default 12 hours
	SecretAge     time.Duration // a secret is changed after; default 180 days
	InitialLife   time.Duration // a one-time secret lives; default 7 days
	LockAfter     int           // failed log-ins in a row until the lock; default 5
	Lock          time.Duration // first lock, doubled with each further failure; default 15 minutes
	LockMax       time.Duration // longest lock; default 1 hour
	AddrAfter     int           // failures from one address within AddrWindow; default 30
	AddrWindow    time.Duration // default 15 minutes
	SignatureSkew time.Duration // how far a signed request's clock may be off; default 5 minutes
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Idle, 30*time.Minute)
	set(&l.Absolute, 12*time.Hour)
	set(&l.SecretAge, 180*24*time.Hour)
	set(&l.InitialLife, 7*24*time.Hour)
	set(&l.Lock, 15*time.Minute)
	set(&l.LockMax, time.Hour)
	set(&l.AddrWindow, 15*time.Minute)
	set(&l.SignatureSkew, 5*time.Minute)
	if l.LockAfter == 0 {
		l.LockAfter = 5
	}
	if l.AddrAfter == 0 {
		l.AddrAfter = 30
	}
	return l
}

// Deps is what a Service needs.
type Deps struct {
	DB *db.DB
	// Key is the server's own secret of at least 32 bytes, kept outside the
	// database; signing secrets of clients are derived from it.
	Key []byte
	// Seal keeps second factors; without it none can be set up or given.
	Seal blob.Wrapper
	// Now is the clock; time.Now when nil.
	Now    func() time.Time
	Limits Limits
}

// Service keeps accounts, sessions and clients. Its methods may be called by many goroutines.
type Service struct {
	db     *db.DB
	key    []byte
	seal   blob.Wrapper
	now    func() time.Time
	limits Limits

	// hashing bounds how many argon2id computations run at once: each takes 19 MiB.
	hashing chan struct{}

	clients atomic.Pointer[clientTable]
	reload  sync.Mutex
	used    sync.Map // key id → unix ms of last use, until the next flush
}

// New makes a Service. Call LoadClients before serving, and Run to follow changes
// made on other nodes.
func New(deps Deps) (*Service, error) {
	if len(deps.Key) < 32 {
		return nil, errors.New("identity: the server key needs at least 32 bytes")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{db: deps.DB, key: deps.Key, seal: deps.Seal, now: deps.Now, limits: deps.Limits.withDefaults(), hashing: make(chan struct{}, 4)}
	s.clients.Store(&clientTable{})
	return s, nil
}

// Limits returns the bounds in force.
func (s *Service) Limits() Limits { return s.limits }
