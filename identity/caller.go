package identity

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Caller is an authenticated API client, shared between requests: read only.
type Caller struct {
	Client APIClient
	Key    string // id of the key
	// Actor is the client as the door sees it, without Addr.
	Actor Actor

	expires int64 // ms, 0 = none
	signing []byte
	of      *Service
}

// Still tells whether the caller would be let in now, from memory: what takes long
// asks it before it goes on, so that a key revoked or a client closed meanwhile
// ends it. Errors are those of ByKey but for the address.
func (c *Caller) Still() error {
	if c.of == nil {
		return errs.New(errs.Internal, errs.T("调用方未经身份核验", "the caller was not authenticated"))
	}
	t := c.of.clients.Load()
	now, known := t.byID[c.Key]
	if !known {
		return t.unknown()
	}
	return c.of.standing(now)
}

// clientTable is what authentication reads: replaced whole, never changed.
type clientTable struct {
	seq   int64
	stale error // set when the newest state could not be read: nobody gets in
	keys  map[[sm3.Size]byte]*Caller
	byID  map[string]*Caller // by key id, for signatures
}

// LoadClients reads the live keys and clients into memory.
func (s *Service) LoadClients(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	t := &clientTable{keys: map[[sm3.Size]byte]*Caller{}, byID: map[string]*Caller{}}
	err := s.db.Snapshot(ctx, func(q db.Querier) error {
		var err error
		if t.seq, err = changeSeq(ctx, q); err != nil {
			return err
		}
		var bad error
		err = liveKeys(ctx, q, func(key, digest string, expires int64, c APIClient) {
			var sum [sm3.Size]byte
			if n, err := hex.Decode(sum[:], []byte(digest)); err != nil || n != sm3.Size {
				bad = fmt.Errorf("identity: key %s: digest is not SM3", key)
				return
			}
			caller := &Caller{Client: c, Key: key, expires: expires, signing: s.signingSecret(key), of: s,
				Actor: Actor{Kind: Client, ID: c.ID, Name: c.Name, Body: c.Body, BodyName: c.BodyName,
					District: c.District, Level: c.Level, Client: c.ID, Lang: "zh"}}
			t.keys[sum], t.byID[key] = caller, caller
		})
		if err == nil {
			err = bad
		}
		return err
	})
	if err != nil {
		return err
	}
	s.clients.Store(t)
	return nil
}

// Run follows changes made on other nodes (a look at the change sequence every
// half second, so that a revoked key stops within one), writes the times of last
// use, and clears out what has lapsed. It returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	follow := time.NewTicker(500 * time.Millisecond)
	flush := time.NewTicker(30 * time.Second)
	clear := time.NewTicker(10 * time.Minute)
	defer follow.Stop()
	defer flush.Stop()
	defer clear.Stop()
	lastRead := time.Now()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			return s.flushUsed(ctx)
		case <-follow.C:
			if err := s.followChanges(ctx); err == nil {
				lastRead = time.Now()
			} else if time.Since(lastRead) > 5*time.Second {
				// A node that cannot see revocations must not go on letting callers in.
				s.clients.Store(&clientTable{stale: err})
			}
		case <-flush.C:
			// A lost time of last use is shown a little older; nothing rests on it.
			_ = s.flushUsed(ctx)
		case <-clear.C:
			_ = s.db.InTx(ctx, func(tx *db.Tx) error { return purge(ctx, tx, s.now()) })
		}
	}
}

func (s *Service) followChanges(ctx context.Context) error {
	seq, err := changeSeq(ctx, s.db.Read())
	if err != nil {
		return err
	}
	if t := s.clients.Load(); t.stale != nil || seq != t.seq {
		return s.LoadClients(ctx)
	}
	return nil
}

func (s *Service) flushUsed(ctx context.Context) error {
	type use struct {
		key string
		at  int64
	}
	var uses []use
	s.used.Range(func(key, at any) bool {
		uses = append(uses, use{key.(string), at.(int64)})
		s.used.Delete(key)
		return true
	})
	if len(uses) == 0 {
		return nil
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, u := range uses {
			if err := setKeyUsed(ctx, tx, u.key, u.at); err != nil {
				return err
			}
		}
		return nil
	})
}

// ByKey finds the caller behind a bearer key sent from addr. It reads memory
// only. errs.Unauthenticated: not known, revoked, expired, client disabled, or
// bearer keys not accepted because the client signs; errs.Forbidden: the address
// is not on the client's list.
func (s *Service) ByKey(key string, addr netip.Addr) (*Caller, error) {
	t := s.clients.Load()
	caller, known := t.keys[sm3.Sum([]byte(key))]
	if !known {
		return nil, t.unknown()
	}
	if caller.Client.Signed {
		return nil, errs.New(errs.Unauthenticated, errs.T("该客户端须使用 HMAC-SM3 签名请求，不接受直接携带密钥", "This client must sign its requests with HMAC-SM3; a bearer key is not accepted"))
	}
	return caller, s.admit(caller, addr)
}

func (t *clientTable) unknown() error {
	if t.stale != nil {
		return errs.New(errs.Unavailable, errs.T("暂时无法核对接口密钥，请稍后重试", "API keys cannot be checked at the moment; try again")).Because(t.stale).Retry(2)
	}
	return errs.New(errs.Unauthenticated, errs.T("接口密钥不存在或已停用", "The API key is not known or has been revoked"))
}

// standing refuses a key that has expired and a client that is closed.
func (s *Service) standing(c *Caller) error {
	switch {
	case c.expires != 0 && s.now().UnixMilli() >= c.expires:
		return errs.New(errs.Unauthenticated, errs.T("接口密钥已过期，请更换", "The API key has expired; rotate it"))
	case c.Client.State != Active:
		return errs.New(errs.Unauthenticated, errs.T("接口客户端已停用", "The API client is disabled"))
	}
	return nil
}

func (s *Service) admit(c *Caller, addr netip.Addr) error {
	if err := s.standing(c); err != nil {
		return err
	}
	if !allowed(c.Client.Addresses, addr) {
		return errs.Newf(errs.Forbidden, "来源地址 %s 不在该客户端的允许名单内", "The source address %s is not on the client's list", addr.String())
	}
	now := s.now().UnixMilli()
	if last, seen := s.used.Load(c.Key); !seen || now-last.(int64) > 30_000 {
		s.used.Store(c.Key, now)
	}
	return nil
}

func allowed(list []netip.Prefix, addr netip.Addr) bool {
	if len(list) == 0 {
		return true
	}
	addr = addr.Unmap()
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
