package web

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gongshu/internal/errs"
)

// Rate allows Burst requests at once and PerSecond on average after that.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// buckets is a token bucket an address. Addresses of one IPv6 site (/64) share
// one, since a household holds as many as it likes.
type buckets struct {
	rate   Rate
	now    func() time.Time
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	by    map[netip.Addr]*bucket
	swept time.Time
}

type bucket struct {
	tokens float64
	seen   time.Time
}

func newBuckets(rate Rate) *buckets {
	if rate.Burst < 1 {
		rate.Burst = max(1, rate.PerSecond)
	}
	b := &buckets{rate: rate, now: time.Now}
	for i := range b.shards {
		b.shards[i].by = map[netip.Addr]*bucket{}
	}
	return b
}

// take spends a token of the address; without one it says how long to wait.
func (b *buckets) take(address string) (wait time.Duration, ok bool) { return b.spend(address, 1) }

// spend takes n tokens where there is one at least; 0 only asks. The machine itself
// is not limited: what comes from there is a person at its keyboard, or a proxy that
// nobody named.
func (b *buckets) spend(address string, n float64) (wait time.Duration, ok bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return 0, true
	}
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return 0, true
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	raw := a.As16()
	s := &b.shards[(raw[15]^raw[14]^raw[7]^raw[6])&63]
	now := b.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	full := time.Duration(b.rate.Burst / b.rate.PerSecond * float64(time.Second))
	if now.Sub(s.swept) > full+time.Minute {
		// A bucket that would be full by now says nothing: forget it, so that a
		// scan over many addresses does not stay in memory.
		for k, v := range s.by {
			if now.Sub(v.seen) > full {
				delete(s.by, k)
			}
		}
		s.swept = now
	}
	one := s.by[a]
	if one == nil {
		one = &bucket{tokens: b.rate.Burst, seen: now}
		s.by[a] = one
	}
	one.tokens = min(b.rate.Burst, one.tokens+now.Sub(one.seen).Seconds()*b.rate.PerSecond)
	one.seen = now
	if one.tokens < 1 {
		return time.Duration((1 - one.tokens) / b.rate.PerSecond * float64(time.Second)), false
	}
	one.tokens -= n
	return 0, true
}

// limitRate bounds what one address may ask. A system's key has a rate of its own,
// and many systems stand behind one address, so of calls with a key only those count
// that nobody knows the key of.
func (s *Site) limitRate(next http.Handler, all, strangers *buckets) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, n := all, 1.0
		keyed := isAPI(r) && carriesKey(r)
		if keyed {
			b, n = strangers, 0
		}
		if wait, ok := b.spend(Addr(r), n); !ok {
			Fail(w, r, errs.New(errs.TooMany, errs.T("您的访问过于频繁，请稍后再试。", "Too many requests from your address; try again shortly.")).
				Retry(int(wait/time.Second)+1))
			return
		}
		next.ServeHTTP(w, r)
		if rec, ok := w.(*recorder); keyed && ok && rec.code() == http.StatusUnauthorized {
			b.spend(Addr(r), 1)
		}
	})
}
