package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/crypto/argon2"

	"gongshu/internal/errs"
)

// Parameters of argon2id: the first choice of OWASP's cheat sheet for machines
// that also serve, about 40 ms on the machine this was tuned on; a log-in stays
// well under 150 ms.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonHash    = 32
)

// Secret is the digest of a secret, ready to be stored; it cannot be turned back.
type Secret struct {
	stored  string
	initial bool
}

// hashSecret makes the PHC string of a secret.
func (s *Service) hashSecret(ctx context.Context, plain string) (string, error) {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	sum, err := s.argon(ctx, plain, salt, argonTime, argonMemory, argonThreads)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, b64(salt), b64(sum)), nil
}

func (s *Service) argon(ctx context.Context, plain string, salt []byte, time, memory uint32, threads uint8) ([]byte, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(plain), salt, time, memory, threads, argonHash), nil
}

// matches compares a secret with what is stored. A one-time secret, which is
// random and of 100 bits, is kept as a salted SM3 digest: stretching would add
// nothing but minutes to the import of a thousand people. It is replaced by
// argon2id at the first log-in, where it must be changed.
func (s *Service) matches(ctx context.Context, stored, plain string) (bool, error) {
	parts := strings.Split(stored, "$")
	switch {
	case len(parts) == 4 && parts[1] == "once-sm3":
		return subtle.ConstantTimeCompare([]byte(onceDigest(parts[2], plain)), []byte(parts[3])) == 1, nil
	case len(parts) == 6 && parts[1] == "argon2id":
		var version int
		var memory, time uint32
		var threads uint8
		if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
			return false, fmt.Errorf("identity: stored secret of unknown version %q", parts[2])
		}
		if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
			return false, fmt.Errorf("identity: stored secret: %w", err)
		}
		salt, err := base64.RawStdEncoding.DecodeString(parts[4])
		if err != nil {
			return false, fmt.Errorf("identity: stored secret: %w", err)
		}
		want, err := base64.RawStdEncoding.DecodeString(parts[5])
		if err != nil {
			return false, fmt.Errorf("identity: stored secret: %w", err)
		}
		got, err := s.argon(ctx, plain, salt, time, memory, threads)
		if err != nil {
			return false, err
		}
		return subtle.ConstantTimeCompare(got, want) == 1, nil
	}
	return false, fmt.Errorf("identity: stored secret in an unknown form")
}

func onceDigest(salt, plain string) string {
	sum := sm3.Sum([]byte("gongshu-once\x00" + salt + "\x00" + plain))
	return hex.EncodeToString(sum[:])
}

// decoy costs a log-in under an unknown name what a known one costs.
func (s *Service) decoy(ctx context.Context, plain string) error {
	_, err := s.argon(ctx, plain, make([]byte, argonSalt), argonTime, argonMemory, argonThreads)
	return err
}

// oneTimeAlphabet leaves out what people confuse when they copy from paper.
const oneTimeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewInitialSecret makes a random one-time secret of 100 bits: plain is shown
// once to who made the account, Secret is stored. It must be changed at first log-in.
func NewInitialSecret() (plain string, secret Secret) {
	raw := make([]byte, 20)
	for i := range raw {
		raw[i] = oneTimeAlphabet[randomBelow(len(oneTimeAlphabet))]
	}
	plain = strings.Join([]string{string(raw[:5]), string(raw[5:10]), string(raw[10:15]), string(raw[15:])}, "-")
	salt := randomHex(16)
	return plain, Secret{stored: "$once-sm3$" + salt + "$" + onceDigest(salt, plain), initial: true}
}

// PrepareSecret checks a secret that a person chose against the rules and
// digests it with argon2id. It takes tens of milliseconds: call it before the
// transaction. login and name are the account's own, which the secret may not contain.
func (s *Service) PrepareSecret(ctx context.Context, login, name, plain string, post Post) (Secret, error) {
	if err := checkSecret(login, name, plain, post); err != nil {
		return Secret{}, err
	}
	stored, err := s.hashSecret(ctx, plain)
	if err != nil {
		return Secret{}, err
	}
	return Secret{stored: stored}, nil
}

func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand does not fail on supported systems
	}
	return int(v.Int64())
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// newToken makes the bearer of a session: 256 random bits.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// digestToken is what the database keeps of a token or key.
func digestToken(token string) string {
	sum := sm3.Sum([]byte(token))
	return hex.EncodeToString(sum[:])
}

func wrongSecret() *errs.Error {
	return errs.New(errs.Unauthenticated, errs.T("登录名或口令不正确", "The login name or the password is not right"))
}
