package identity_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
)

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

const good = "Kq7#mountain-Lake"

func open(t testing.TB, d *db.DB) (*identity.Service, *clock) {
	t.Helper()
	c := &clock{t: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}
	s, err := identity.New(identity.Deps{DB: d, Key: bytes.Repeat([]byte{7}, 32), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.LoadClients(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func account(t testing.TB, d *db.DB, s *identity.Service, login string) identity.Account {
	t.Helper()
	secret, err := s.PrepareSecret(t.Context(), login, "林晓", good, identity.Steward)
	if err != nil {
		t.Fatal(err)
	}
	var a identity.Account
	err = d.InTx(t.Context(), func(tx *db.Tx) (err error) {
		a, err = s.CreateAccountTx(t.Context(), tx, identity.NewAccount{Login: login, Name: "林晓", Secret: secret, By: "test"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func kind(t *testing.T, err error, want errs.Kind) {
	t.Helper()
	if errs.KindOf(err) != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

func TestSecretsAreDigested(t *testing.T) {
	clause.Covers(t, "FS-41")
	d := dbtest.SQLite(t)
	s, _ := open(t, d)
	a := account(t, d, s, "linxiao")
	var stored string
	if err := d.Read().QueryRow(t.Context(), `SELECT secret FROM identity_account WHERE id=$1`, a.ID).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(stored, good) {
		t.Errorf("stored as %q", stored)
	}
	start := time.Now()
	if _, err := s.Verify(t.Context(), "LinXiao ", good, "10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	t.Logf("one verification took %v", time.Since(start))
}

func TestSecretRules(t *testing.T) {
	d := dbtest.SQLite(t)
	s, _ := open(t, d)
	for plain, want := range map[string]string{
		"Ab1#x":                          "short",
		"alllowercaseletters":            "classes",
		"Linxiao#2026x":                  "own_name",
		"MyPassword#2026":                "poor",
		"aaaaaaaaaaaA1":                  "repeats",
		"Abcdefghijkl1#":                 "repeats",
		"Tr0ub4dor&3x\x00y":              "characters",
		strings.Repeat("Kq7#mL", 30):     "long",
		"Kq7#mountain-Lake":              "",
		"春江潮水连海平Ab1":                     "",
		"correct horse battery Staple 9": "",
	} {
		_, err := s.PrepareSecret(t.Context(), "linxiao", "林晓", plain, identity.Steward)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", plain, err)
			}
			continue
		}
		e, ok := errs.As(err)
		if !ok || e.Field != "secret" || !slices.ContainsFunc(e.Problems, func(p errs.Problem) bool { return p.Code == want }) {
			t.Errorf("%q: %v, want problem %s", plain, err, want)
		}
	}
	if _, err := s.PrepareSecret(t.Context(), "linxiao", "林晓", "Kq7#mountai", identity.Auditor); err == nil {
		t.Error("an administrator's secret of 11 characters was taken")
	}
}

func TestLockOutAndBackOff(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clk := open(t, d)
		account(t, d, s, "linxiao")
		ctx := t.Context()
		try := func(login, secret, addr string) error {
			_, err := s.Verify(ctx, login, secret, addr)
			return err
		}
		for _, login := range []string{"linxiao", "nobody"} { // an unknown name locks the same way
			for i := range 5 {
				kind(t, try(login, "wrong", "10.0.0.1"), errs.Unauthenticated)
				clk.move(10 * time.Second) // sit out the back-off between tries
				_ = i
			}
			err := try(login, good, "10.0.0.1")
			kind(t, err, errs.TooMany)
			if e, _ := errs.As(err); e.RetryAfter < 800 || e.RetryAfter > 900 {
				t.Errorf("retry after %d s, want just under 15 minutes", e.RetryAfter)
			}
		}
		clk.move(16 * time.Minute)
		if err := try("linxiao", good, "10.0.0.1"); err != nil {
			t.Errorf("after the lock: %v", err)
		}
		// Back-off before the lock: two seconds after the third failure.
		for range 3 {
			kind(t, try("linxiao", "wrong", "10.0.0.1"), errs.Unauthenticated)
		}
		kind(t, try("linxiao", good, "10.0.0.1"), errs.TooMany)
		clk.move(3 * time.Second)
		if err := try("linxiao", good, "10.0.0.1"); err != nil {
			t.Error(err)
		}
		// Unlocking by a security administrator.
		a, _ := s.AccountByLogin(ctx, "linxiao")
		for range 5 {
			try("linxiao", "wrong", "10.0.0.1")
			clk.move(10 * time.Second)
		}
		if n, until, err := s.Lock(ctx, "linxiao"); err != nil || n != 5 || until.IsZero() {
			t.Errorf("lock: %d %v %v", n, until, err)
		}
		if err := d.InTx(ctx, func(tx *db.Tx) error { return s.UnlockTx(ctx, tx, a.ID) }); err != nil {
			t.Fatal(err)
		}
		if err := try("linxiao", good, "10.0.0.1"); err != nil {
			t.Error(err)
		}
		// One address that tries many names is refused for all of them.
		for i := range 30 {
			try("name"+string(rune('a'+i%26))+string(rune('a'+i/26)), "wrong", "10.0.0.66")
		}
		kind(t, try("linxiao", good, "10.0.0.66"), errs.TooMany)
		if err := try("linxiao", good, "10.0.0.1"); err != nil {
			t.Errorf("another address is refused too: %v", err)
		}
	})
}

func TestParallelGuessesCannotOutrunTheLock(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := open(t, d)
		account(t, d, s, "linxiao")
		var wg sync.WaitGroup
		var mu sync.Mutex
		compared := 0
		for range 20 {
			wg.Go(func() {
				_, err := s.Verify(t.Context(), "linxiao", "wrong", "10.0.0.1")
				if errs.Is(err, errs.Unauthenticated) {
					mu.Lock()
					compared++
					mu.Unlock()
				} else if !errs.Is(err, errs.TooMany) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if compared > 3 {
			t.Errorf("%d guesses were compared at once, want at most 3", compared)
		}
	})
}

func TestSessions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clk := open(t, d)
		a := account(t, d, s, "linxiao")
		ctx := t.Context()
		start := func() (string, identity.Session) {
			t.Helper()
			var token string
			var session identity.Session
			if err := d.InTx(ctx, func(tx *db.Tx) (err error) {
				token, session, err = s.StartSessionTx(ctx, tx, a.ID, "", identity.FactorNone, "10.0.0.1", "test")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return token, session
		}
		token, first := start()
		var kept string
		if err := d.Read().QueryRow(ctx, `SELECT token FROM identity_session WHERE id=$1`, first.ID).Scan(&kept); err != nil {
			t.Fatal(err)
		}
		if kept == token || len(kept) != 64 {
			t.Errorf("the store keeps %q", kept)
		}
		// In use it lives on to the longest time, not beyond.
		for range 11*60/20 + 2 {
			clk.move(20 * time.Minute)
			if _, _, err := s.Resume(ctx, token); err != nil {
				t.Fatalf("in use: %v", err)
			}
		}
		clk.move(21 * time.Minute)
		_, _, err := s.Resume(ctx, token)
		kind(t, err, errs.Unauthenticated)
		if e, _ := errs.As(err); !strings.Contains(e.Text.EN, "longest") {
			t.Errorf("reason: %s", e.Text.EN)
		}
		// Unused it ends.
		token, _ = start()
		clk.move(31 * time.Minute)
		_, _, err = s.Resume(ctx, token)
		kind(t, err, errs.Unauthenticated)
		if e, _ := errs.As(err); !strings.Contains(e.Text.EN, "not used") {
			t.Errorf("reason: %s", e.Text.EN)
		}
		// One list, from which a session can be ended; not another's.
		t1, s1 := start()
		t2, s2 := start()
		if t1 == t2 {
			t.Error("two log-ins share a token")
		}
		live, err := s.Sessions(ctx, a.ID)
		if err != nil || len(live) != 2 {
			t.Fatalf("live %v %v", live, err)
		}
		err = d.InTx(ctx, func(tx *db.Tx) error { return s.EndSessionTx(ctx, tx, "someone else", s1.ID, "ended") })
		kind(t, err, errs.NotFound)
		if err := d.InTx(ctx, func(tx *db.Tx) error { return s.EndSessionTx(ctx, tx, a.ID, s1.ID, "ended") }); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Resume(ctx, t1)
		kind(t, err, errs.Unauthenticated)
		// A new secret rotates the present session and ends the others.
		t3, _ := start()
		fresh, err := s.PrepareSecret(ctx, a.Login, a.Name, "Another-Long-1", identity.Steward)
		if err != nil {
			t.Fatal(err)
		}
		var rotated string
		if err := d.InTx(ctx, func(tx *db.Tx) (err error) {
			rotated, err = s.SetSecretTx(ctx, tx, a.ID, fresh, s2.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, dead := range []string{t2, t3} {
			_, _, err = s.Resume(ctx, dead)
			kind(t, err, errs.Unauthenticated)
		}
		if got, _, err := s.Resume(ctx, rotated); err != nil || got.ID != s2.ID {
			t.Errorf("rotated session: %v %v", got, err)
		}
		b, _ := s.Account(ctx, a.ID)
		if err := s.CheckHistory(ctx, b, good); !errs.Is(err, errs.Invalid) {
			t.Errorf("an old secret was taken again: %v", err)
		}
		// A secret grows old.
		clk.move(181 * 24 * time.Hour)
		t4, _ := start()
		if _, acc, err := s.Resume(ctx, t4); err != nil || !acc.MustChange {
			t.Errorf("an old secret need not be changed: %v", err)
		}
	})
}

func TestOneTimeSecret(t *testing.T) {
	d := dbtest.SQLite(t)
	s, clk := open(t, d)
	ctx := t.Context()
	plain, secret := identity.NewInitialSecret()
	if len(plain) != 23 {
		t.Errorf("one-time secret %q", plain)
	}
	if err := d.InTx(ctx, func(tx *db.Tx) error {
		_, err := s.CreateAccountTx(ctx, tx, identity.NewAccount{Login: "newcomer", Name: "新人", Secret: secret})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Verify(ctx, "newcomer", plain, "10.0.0.1")
	if err != nil || !a.MustChange {
		t.Errorf("%+v %v", a, err)
	}
	clk.move(8 * 24 * time.Hour)
	_, err = s.Verify(ctx, "newcomer", plain, "10.0.0.1")
	kind(t, err, errs.Unauthenticated)
	err = d.InTx(ctx, func(tx *db.Tx) error {
		_, err := s.CreateAccountTx(ctx, tx, identity.NewAccount{Login: "NewComer", Name: "新人", Secret: secret})
		return err
	})
	kind(t, err, errs.Conflict)
}

func client(t testing.TB, d *db.DB, s *identity.Service, signed bool, addresses string) (identity.APIClient, identity.IssuedKey) {
	t.Helper()
	list, err := identity.ParseAddresses(addresses)
	if err != nil {
		t.Fatal(err)
	}
	var c identity.APIClient
	var k identity.IssuedKey
	err = d.InTx(t.Context(), func(tx *db.Tx) (err error) {
		if c, err = s.CreateClientTx(t.Context(), tx, identity.NewClient{Name: "粮情系统", Body: "b1", BodyName: "市粮食局", District: "350100", Level: "city", Signed: signed, Addresses: list}); err != nil {
			return err
		}
		k, err = s.IssueKeyTx(t.Context(), tx, c.ID, "p1", time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, k
}

var home = netip.MustParseAddr("10.1.2.3")

func TestClientKeys(t *testing.T) {
	clause.Covers(t, "FS-41", "FZM-29")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clk := open(t, d)
		ctx := t.Context()
		c, k := client(t, d, s, false, "10.1.0.0/16, 2001:db8::/32")
		caller, err := s.ByKey(k.Key, home)
		if err != nil || caller.Client.ID != c.ID || caller.Actor.Kind != identity.Client || caller.Actor.Body != "b1" || caller.Key != k.ID {
			t.Fatalf("%+v %v", caller, err)
		}
		if _, err := s.ByKey(k.Key, netip.MustParseAddr("::ffff:10.1.2.3")); err != nil {
			t.Errorf("a mapped address is the same address: %v", err)
		}
		_, err = s.ByKey(k.Key, netip.MustParseAddr("10.2.0.1"))
		kind(t, err, errs.Forbidden)
		for _, wrong := range []string{"", "gsk_", k.Key + "x", k.Key[:len(k.Key)-1], k.ID} {
			_, err = s.ByKey(wrong, home)
			kind(t, err, errs.Unauthenticated)
		}
		var n int
		if err := d.Read().QueryRow(ctx, `SELECT COUNT(*) FROM identity_key WHERE digest = $1 OR digest LIKE 'gsk%'`, k.Key).Scan(&n); err != nil || n != 0 {
			t.Errorf("the key itself is in the store (%d, %v)", n, err)
		}
		// Rotation: a second key beside the first, then the first ends.
		var second identity.IssuedKey
		if err := d.InTx(ctx, func(tx *db.Tx) (err error) {
			second, err = s.IssueKeyTx(ctx, tx, c.ID, "p1", clk.now().Add(24*time.Hour))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ByKey(second.Key, home); err != nil {
			t.Fatal(err)
		}
		if err := d.InTx(ctx, func(tx *db.Tx) error { return s.RevokeKeyTx(ctx, tx, c.ID, k.ID) }); err != nil {
			t.Fatal(err)
		}
		_, err = s.ByKey(k.Key, home)
		kind(t, err, errs.Unauthenticated)
		err = d.InTx(ctx, func(tx *db.Tx) error { return s.RevokeKeyTx(ctx, tx, c.ID, k.ID) })
		kind(t, err, errs.NotFound)
		clk.move(25 * time.Hour)
		_, err = s.ByKey(second.Key, home)
		kind(t, err, errs.Unauthenticated)
		// No more than five live keys.
		for i := range 6 {
			err = d.InTx(ctx, func(tx *db.Tx) error {
				_, err := s.IssueKeyTx(ctx, tx, c.ID, "p1", time.Time{})
				return err
			})
			if i < 5 && err != nil {
				t.Fatal(err)
			}
		}
		kind(t, err, errs.Conflict)
		// A disabled client is out at once; a rolled-back change changes nothing.
		c2, k2 := client(t, d, s, false, "")
		off := identity.Disabled
		d.InTx(ctx, func(tx *db.Tx) error {
			s.UpdateClientTx(ctx, tx, c2.ID, identity.ClientChange{State: &off})
			return errs.New(errs.Conflict, errs.T("回滚", "rolled back"))
		})
		if _, err := s.ByKey(k2.Key, home); err != nil {
			t.Errorf("after a rollback: %v", err)
		}
		if err := d.InTx(ctx, func(tx *db.Tx) error {
			return s.UpdateClientTx(ctx, tx, c2.ID, identity.ClientChange{State: &off})
		}); err != nil {
			t.Fatal(err)
		}
		_, err = s.ByKey(k2.Key, home)
		kind(t, err, errs.Unauthenticated)
	})
}

func TestRevocationReachesOtherNodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		here, _ := open(t, d)
		there, _ := open(t, d)
		ctx := t.Context()
		go there.Run(ctx)
		c, k := client(t, d, here, false, "")
		wait := func(want bool) time.Duration {
			start := time.Now()
			for time.Since(start) < 5*time.Second {
				if _, err := there.ByKey(k.Key, home); (err == nil) == want {
					return time.Since(start)
				}
				time.Sleep(5 * time.Millisecond)
			}
			t.Fatal("the other node never saw it")
			return 0
		}
		wait(true)
		if err := d.InTx(ctx, func(tx *db.Tx) error { return here.RevokeKeyTx(ctx, tx, c.ID, k.ID) }); err != nil {
			t.Fatal(err)
		}
		if took := wait(false); took > time.Second {
			t.Errorf("revocation took %v on the other node", took)
		}
	})
}

func TestParseAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"10.1.2.3":                    "10.1.2.3/32",
		"10.1.2.3/16，2001:db8::1\n ":  "10.1.0.0/16 2001:db8::1/128",
		"::ffff:10.0.0.1;10.0.0.2/32": "10.0.0.1/32 10.0.0.2/32",
	} {
		list, err := identity.ParseAddresses(text)
		var got []string
		for _, p := range list {
			got = append(got, p.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %v %v, want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"10.1.2", "10.0.0.0/33", "localhost", "0.0.0.0/0", "::/0"} {
		if _, err := identity.ParseAddresses(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q was taken: %v", bad, err)
		}
	}
}

// vector is the known answer that docs/api-signing.md prints.
type vector struct {
	Secret    string `json:"secret"`
	Method    string `json:"method"`
	URL       string `json:"url"`
	Headers   map[string]string
	Body      string `json:"body"`
	Key       string `json:"key"`
	Timestamp int64  `json:"timestamp"`
	Nonce     string `json:"nonce"`
	Digest    string `json:"digest"`
	Canonical string `json:"canonical"`
	Signature string `json:"signature"`
}

func TestSigningVector(t *testing.T) {
	text, err := os.ReadFile("testdata/signing.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	for name, value := range v.Headers {
		header.Set(name, value)
	}
	if got := identity.SM3Hex([]byte(v.Body)); got != v.Digest {
		t.Errorf("digest %s, want %s", got, v.Digest)
	}
	sig := identity.Signature{Key: v.Key, Timestamp: v.Timestamp, Nonce: v.Nonce, Digest: v.Digest}
	if got := identity.CanonicalRequest(v.Method, u, header, sig); got != v.Canonical {
		t.Errorf("canonical\n%s\nwant\n%s", got, v.Canonical)
	}
	sig, err = identity.Sign(v.Secret, v.Method, u, header, sig)
	if err != nil || sig.MAC != v.Signature {
		t.Errorf("signature %s %v, want %s", sig.MAC, err, v.Signature)
	}
	// GM/T 0004: the digest of "abc", so that a wrong SM3 cannot hide in our own vector.
	if got := identity.SM3Hex([]byte("abc")); got != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Errorf("SM3(abc) = %s", got)
	}
	doc, err := os.ReadFile("../docs/api-signing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{v.Canonical, v.Signature, v.Digest, v.Secret, sig.String()} {
		if !strings.Contains(string(doc), strings.TrimSpace(part)) {
			t.Errorf("docs/api-signing.md does not print %q", part)
		}
	}
}

func TestSignedRequests(t *testing.T) {
	clause.Covers(t, "FS-41")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clk := open(t, d)
		_, k := client(t, d, s, true, "")
		nonce := 0
		build := func(change func(r *http.Request, sig *identity.Signature)) *http.Request {
			body := `{"where":{"id":"1"}}`
			r := httptest.NewRequest("POST", "/api/v1/resources/1-2/query?b=2&a=%E7%A6%8F+1", strings.NewReader(body))
			r.Header.Set("X-Gongshu-Purpose", "低保核验")
			nonce++
			sig := identity.Signature{Key: k.ID, Timestamp: clk.now().Unix(), Nonce: "nonce-nonce-" + strings.Repeat("x", nonce+4), Digest: identity.SM3Hex([]byte(body))}
			if change != nil {
				change(r, &sig)
			}
			sig, err := identity.Sign(k.SigningSecret, r.Method, r.URL, r.Header, sig)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", sig.String())
			return r
		}
		check := func(r *http.Request) error {
			_, err := s.Authenticate(r, home)
			return err
		}
		r := build(nil)
		if err := check(r); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || len(got) == 0 {
			t.Errorf("body: %q %v", got, err)
		}
		replay := build(nil)
		if err := check(replay.Clone(t.Context())); err != nil {
			t.Fatal(err)
		}
		kind(t, check(replay), errs.Unauthenticated)
		for name, change := range map[string]func(r *http.Request){
			"path":   func(r *http.Request) { r.URL.Path = "/api/v1/resources/1-3/query" },
			"query":  func(r *http.Request) { r.URL.RawQuery = "a=1" },
			"method": func(r *http.Request) { r.Method = "PUT" },
			"purpose": func(r *http.Request) {
				r.Header.Set("X-Gongshu-Purpose", "别的用途")
			},
			"added header": func(r *http.Request) { r.Header.Set("X-Gongshu-Case", "C-1") },
		} {
			r := build(nil)
			change(r)
			if err := check(r); !errs.Is(err, errs.Unauthenticated) {
				t.Errorf("changed %s: %v", name, err)
			}
		}
		late := build(func(r *http.Request, sig *identity.Signature) { sig.Timestamp -= 301 })
		kind(t, check(late), errs.Unauthenticated)
		early := build(func(r *http.Request, sig *identity.Signature) { sig.Timestamp += 301 })
		kind(t, check(early), errs.Unauthenticated)
		// Another body under the same digest is noticed at its end.
		swapped := build(nil)
		swapped.Body = io.NopCloser(strings.NewReader(`{"where":{"id":"2"}}`))
		if err := check(swapped); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadAll(swapped.Body)
		kind(t, err, errs.Unauthenticated)
		// A client that signs is not let in by the bare key.
		bare := httptest.NewRequest("GET", "/api/v1/x", nil)
		bare.Header.Set("Authorization", "Bearer "+k.Key)
		kind(t, check(bare), errs.Unauthenticated)
		none := httptest.NewRequest("GET", "/api/v1/x", nil)
		kind(t, check(none), errs.Unauthenticated)
	})
}

func TestSignatureRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sig := identity.Signature{
			Key: rapid.StringMatching(`[a-z0-9]{1,40}`).Draw(t, "key"), Timestamp: rapid.Int64Range(1, 1<<39).Draw(t, "time"),
			Nonce: rapid.StringMatching(`[A-Za-z0-9_-]{16,64}`).Draw(t, "nonce"), Digest: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "digest"), MAC: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "mac"),
		}
		got, err := identity.ParseSignature(sig.String())
		if err != nil || got != sig {
			t.Fatalf("%v %v", got, err)
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	f.Add("GONGSHU-HMAC-SM3 Credential=a, Timestamp=1, Nonce=aaaaaaaaaaaaaaaa, Digest=" + strings.Repeat("a", 64) + ", Signature=" + strings.Repeat("b", 64))
	f.Add("GONGSHU-HMAC-SM3 ")
	f.Add("GONGSHU-HMAC-SM3 Credential=a,Credential=b")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		sig, err := identity.ParseSignature(header)
		if err != nil {
			if !errs.Is(err, errs.Unauthenticated) {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		again, err := identity.ParseSignature(sig.String())
		if err != nil || again != sig {
			t.Fatalf("%q does not round-trip: %v %v", header, again, err)
		}
	})
}

func BenchmarkByKey(b *testing.B) {
	d := dbtest.SQLite(b)
	s, _ := open(b, d)
	_, k := client(b, d, s, false, "10.0.0.0/8 192.168.0.0/16")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ByKey(k.Key, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d := dbtest.SQLite(b)
	s, _ := open(b, d)
	account(b, d, s, "linxiao")
	for b.Loop() {
		if _, err := s.Verify(b.Context(), "linxiao", good, "10.0.0.1"); err != nil {
			b.Fatal(err)
		}
	}
}
