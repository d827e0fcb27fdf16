package identity

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/hex"
	"image"
	"strings"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Second factors: beside the secret, which a person knows, something that the
// person holds (GB/T 22239-2019 8.1.4.1 d: two kinds of proof, one of them
// cryptographic). One authenticator app a person (TOTP, RFC 6238), and recovery
// codes for the day on which it is lost.

// FactorState is how far a session has come with the second factor.
type FactorState string

// The states. Until Wanted is Given, nothing but giving it is allowed; until
// Missing is Given, nothing but setting one up.
const (
	FactorNone    FactorState = ""        // none is set up and none demanded
	FactorWanted  FactorState = "wanted"  // to be given
	FactorMissing FactorState = "missing" // demanded of the post and not set up
	FactorGiven   FactorState = "given"
)

// Factor is an authenticator app that a person has set up.
type Factor struct {
	Account   string
	CreatedAt time.Time // zero until the first code confirms it
	UsedAt    time.Time
	Codes     int // recovery codes left

	sealed string // the shared secret under the master key
	step   int64  // the newest time step of which a code was used
}

const (
	totpPeriod    = 30 // seconds
	totpSkew      = 1  // steps before and after the present one, for clocks that are off
	recoveryCodes = 10
	recoveryBits  = 10 // characters of five bits
)

// Factor gives the account's factor; errs.NotFound when none is set up.
func (s *Service) Factor(ctx context.Context, account string) (Factor, error) {
	f, err := factorOf(ctx, s.db.Read(), account)
	if err == nil && f.CreatedAt.IsZero() {
		return Factor{}, noFactor()
	}
	return f, err
}

func noFactor() error {
	return errs.New(errs.NotFound, errs.T("没有设置两步验证", "No second factor is set up"))
}

// BeginFactorTx makes a new shared secret for the account, which counts once a
// code confirms it; a factor in force is not touched. errs.Conflict when there is one.
func (s *Service) BeginFactorTx(ctx context.Context, tx *db.Tx, account string) error {
	if s.seal == nil {
		return errs.New(errs.Unavailable, errs.T("本节点没有主密钥，不能设置两步验证", "This node has no master key; a second factor cannot be set up"))
	}
	f, err := factorOf(ctx, tx, account)
	switch {
	case err == nil && !f.CreatedAt.IsZero():
		return errs.New(errs.Conflict, errs.T("已设置两步验证；更换验证器请先移除现有的", "A second factor is set up; remove it before setting up another"))
	case err != nil && !errs.Is(err, errs.NotFound):
		return err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "gongshu", AccountName: account, Period: totpPeriod, SecretSize: 20, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return err
	}
	sealed, err := s.seal.Seal(factorLabel(account), []byte(key.Secret()))
	if err != nil {
		return err
	}
	return putFactor(ctx, tx, Factor{Account: account, sealed: hex.EncodeToString(sealed)})
}

func factorLabel(account string) string { return "identity factor " + account }

func (s *Service) openFactor(f Factor) (secret string, err error) {
	if s.seal == nil {
		return "", errs.New(errs.Unavailable, errs.T("本节点没有主密钥，不能核对两步验证", "This node has no master key; a second factor cannot be checked"))
	}
	raw, err := hex.DecodeString(f.sealed)
	if err != nil {
		return "", err
	}
	plain, err := s.seal.Unseal(factorLabel(f.Account), raw)
	return string(plain), err
}

// NewFactor is the factor that an account is setting up: what an app reads.
type NewFactor struct {
	Secret string // base32, for typing
	key    *otp.Key
}

// QR is the square code that an app photographs.
func (n NewFactor) QR() (image.Image, error) { return n.key.Image(264, 264) }

// Begun gives the factor that the account is setting up; issuer names the platform
// in the app. errs.NotFound when nothing was begun.
func (s *Service) Begun(ctx context.Context, account Account, issuer string) (NewFactor, error) {
	f, err := factorOf(ctx, s.db.Read(), account.ID)
	if err == nil && !f.CreatedAt.IsZero() {
		err = noFactor()
	}
	if err != nil {
		return NewFactor{}, err
	}
	secret, err := s.openFactor(f)
	if err != nil {
		return NewFactor{}, err
	}
	raw, err := b32.DecodeString(secret)
	if err != nil {
		return NewFactor{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account.Login, Period: totpPeriod, Secret: raw, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	return NewFactor{Secret: secret, key: key}, err
}

// ConfirmFactorTx puts the begun factor in force with a first code of it and gives
// the recovery codes, seen only here. The session that asked counts as having given it.
func (s *Service) ConfirmFactorTx(ctx context.Context, tx *db.Tx, account, session, code string) (codes []string, err error) {
	f, err := factorOf(ctx, tx, account)
	if err != nil || !f.CreatedAt.IsZero() {
		return nil, noFactor()
	}
	step, err := s.stepOf(f, tidyCode(code))
	if err != nil {
		return nil, err
	}
	f.CreatedAt, f.UsedAt, f.step = s.now(), s.now(), step
	if err := putFactor(ctx, tx, f); err != nil {
		return nil, err
	}
	if err := setSessionFactor(ctx, tx, session, FactorGiven); err != nil {
		return nil, err
	}
	return s.NewRecoveryTx(ctx, tx, account)
}

// NewRecoveryTx replaces the account's recovery codes and gives the new ones, seen
// only here; digests are kept.
func (s *Service) NewRecoveryTx(ctx context.Context, tx *db.Tx, account string) ([]string, error) {
	if err := dropRecovery(ctx, tx, account); err != nil {
		return nil, err
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryBits)
		for j := range raw {
			raw[j] = oneTimeAlphabet[randomBelow(len(oneTimeAlphabet))]
		}
		if err := insertRecovery(ctx, tx, account, s.recoveryDigest(account, string(raw))); err != nil {
			return nil, err
		}
		codes[i] = string(raw[:5]) + "-" + string(raw[5:])
	}
	return codes, nil
}

// recoveryDigest is keyed with the server's own secret, so that a copy of the
// database alone does not let fifty bits be guessed.
func (s *Service) recoveryDigest(account, code string) string {
	mac := hmac.New(sm3.New, s.key)
	mac.Write([]byte("recovery\x00" + account + "\x00" + code))
	return hex.EncodeToString(mac.Sum(nil))
}

// DropFactorTx takes the account's factor and recovery codes away; dropped is
// false when there was none.
func (s *Service) DropFactorTx(ctx context.Context, tx *db.Tx, account string) (dropped bool, err error) {
	if err := dropRecovery(ctx, tx, account); err != nil {
		return false, err
	}
	return dropFactor(ctx, tx, account)
}

// CountProof counts a try at the second factor before it is compared; it shares
// its count and lock with the secret's, so that neither can be guessed behind the
// other's back. errs.TooMany while the login is refused.
func (s *Service) CountProof(ctx context.Context, login string) error {
	now := s.now()
	var blocked time.Time
	err := s.db.InTx(ctx, func(tx *db.Tx) (err error) {
		blocked, err = takeAttempt(ctx, tx, "login:"+login, now, 24*time.Hour, s.limits.loginDelay)
		return err
	})
	if err == nil && !blocked.IsZero() {
		return tooOften(blocked.Sub(now))
	}
	return err
}

// ProveTx compares a code of the app, or a recovery code, and lets the session go
// on under a new token. A code counts once. how is "totp" or "recovery".
// errs.Unauthenticated when it does not fit.
func (s *Service) ProveTx(ctx context.Context, tx *db.Tx, account, session, code string) (token, how string, err error) {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return "", "", err
	}
	f, err := factorOf(ctx, tx, account)
	if err != nil || f.CreatedAt.IsZero() {
		return "", "", noFactor()
	}
	code, how = tidyCode(code), "totp"
	if len(code) == recoveryBits {
		how = "recovery"
		used, err := useRecovery(ctx, tx, account, s.recoveryDigest(account, code), s.now())
		if err != nil {
			return "", how, err
		}
		if !used {
			return "", how, wrongCode()
		}
	} else {
		step, err := s.stepOf(f, code)
		if err != nil {
			return "", how, err
		}
		used, err := useStep(ctx, tx, account, step, s.now())
		if err != nil {
			return "", how, err
		}
		if !used {
			return "", how, wrongCode()
		}
	}
	if err := clearAttempts(ctx, tx, "login:"+a.Login); err != nil {
		return "", how, err
	}
	if err := setSessionFactor(ctx, tx, session, FactorGiven); err != nil {
		return "", how, err
	}
	token = newToken()
	return token, how, rotateSession(ctx, tx, session, token)
}

// stepOf finds the time step that a code belongs to among those of now, newer than
// the newest one used.
func (s *Service) stepOf(f Factor, code string) (int64, error) {
	secret, err := s.openFactor(f)
	if err != nil {
		return 0, err
	}
	now := s.now().Unix() / totpPeriod
	found := int64(0)
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		want, err := hotp.GenerateCode(secret, uint64(step))
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > f.step {
			found = step
		}
	}
	if found == 0 {
		return 0, wrongCode()
	}
	return found, nil
}

func wrongCode() error {
	return errs.New(errs.Unauthenticated, errs.T("验证码不正确、已用过或已过期，请输入验证器上当前的六位数字，或一个未用过的恢复码",
		"The code is wrong, used already or out of date: enter the six digits that the app shows now, or a recovery code not used before")).In("code")
}

// tidyCode takes out what people put into codes for the eye.
func tidyCode(code string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '\t' || r == '\u3000' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(code)))
}
