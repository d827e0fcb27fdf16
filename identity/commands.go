package identity

import (
	"context"
	"time"
	"unicode/utf8"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// NewAccount is what CreateAccountTx needs.
type NewAccount struct {
	Login  string
	Name   string
	Kind   AccountKind
	Secret Secret // of NewInitialSecret or PrepareSecret
	By     string // account id of who makes it
}

// CreateAccountTx makes an account. A one-time secret must be changed at first
// log-in and lapses after Limits.InitialLife. errs.Invalid names a bad login or
// name, errs.Conflict a login that is taken.
func (s *Service) CreateAccountTx(ctx context.Context, tx *db.Tx, in NewAccount) (Account, error) {
	login, err := cleanLogin(in.Login)
	if err != nil {
		return Account{}, err
	}
	name, err := cleanName(in.Name)
	if err != nil {
		return Account{}, err
	}
	if in.Secret.stored == "" {
		return Account{}, errs.New(errs.Internal, errs.T("账号缺少口令", "an account without a secret"))
	}
	if in.Kind == "" {
		in.Kind = Official
	}
	now := s.now()
	a := Account{ID: db.NewID(), Login: login, Name: name, Kind: in.Kind, State: Active,
		CreatedAt: now, CreatedBy: in.By}
	s.put(&a, in.Secret, now)
	return a, insertAccount(ctx, tx, a)
}

func (s *Service) put(a *Account, secret Secret, now time.Time) {
	a.secret, a.SecretAt, a.MustChange, a.InitialEnds = secret.stored, now, secret.initial, time.Time{}
	if secret.initial {
		a.InitialEnds = now.Add(s.limits.InitialLife)
	}
}

// Verify compares a login and a secret, before any session exists. It counts the
// attempt by name and by address first and refuses both for a growing time after
// too many failures (errs.TooMany with RetryAfter). A wrong secret and an unknown
// name give the same errs.Unauthenticated in about the same time. When the name is
// known, the account is returned also with an error, so that the caller can audit
// the failure; nothing else may be told from it.
func (s *Service) Verify(ctx context.Context, login, plain, addr string) (Account, error) {
	if len(plain) > 4*SecretMax || !utf8.ValidString(plain) {
		return Account{}, wrongSecret()
	}
	login, err := cleanLogin(login)
	if err != nil {
		return Account{}, wrongSecret()
	}
	account, err := accountByLogin(ctx, s.db.Read(), login)
	known := err == nil
	if err != nil && !errs.Is(err, errs.NotFound) {
		return Account{}, err
	}
	now := s.now()
	var blocked time.Time
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		if blocked, err = takeAttempt(ctx, tx, "addr:"+addr, now, s.limits.AddrWindow, s.limits.addrDelay); err != nil || !blocked.IsZero() {
			return err
		}
		blocked, err = takeAttempt(ctx, tx, "login:"+login, now, 24*time.Hour, s.limits.loginDelay)
		return err
	})
	if err != nil {
		return Account{}, err
	}
	if !blocked.IsZero() {
		return account, tooOften(blocked.Sub(now))
	}
	right := false
	if known {
		right, err = s.matches(ctx, account.secret, plain)
	} else {
		err = s.decoy(ctx, plain)
	}
	if err != nil {
		return account, err
	}
	if !right {
		return account, wrongSecret()
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		// Who has a second factor has not shown everything yet: earlier failures go on
		// to count, or its codes could be tried without end between right secrets.
		settle := clearAttempts
		if f, err := factorOf(ctx, tx, account.ID); err == nil && !f.CreatedAt.IsZero() {
			settle = giveBackAttempt
		} else if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		if err := settle(ctx, tx, "login:"+login); err != nil {
			return err
		}
		return giveBackAttempt(ctx, tx, "addr:"+addr)
	})
	switch {
	case err != nil:
		return account, err
	case account.State != Active:
		return account, errs.New(errs.Unauthenticated, errs.T("账号已停用，请联系系统管理员", "The account is disabled; ask the system administrator"))
	case !account.InitialEnds.IsZero() && now.After(account.InitialEnds):
		return account, errs.New(errs.Unauthenticated, errs.T("一次性口令已过期，请联系管理员重新发放", "The one-time password has lapsed; ask the administrator for a new one"))
	}
	return account, nil
}

func tooOften(wait time.Duration) *errs.Error {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	return errs.Newf(errs.TooMany, "登录失败次数过多，请在 %[1]s 后重试，或请安全管理员解锁", "Too many failed log-ins: try again in %[2]s, or ask the security administrator to unlock",
		spellZH(seconds), spellEN(seconds)).Retry(seconds)
}

// Lock tells how many log-ins under a name failed in a row and until when it is refused.
func (s *Service) Lock(ctx context.Context, login string) (failed int, until time.Time, err error) {
	n, until, err := attemptState(ctx, s.db.Read(), "login:"+login)
	if until.Before(s.now()) {
		until = time.Time{}
	}
	return int(n), until, err
}

// UnlockTx forgets the failed log-ins of an account.
func (s *Service) UnlockTx(ctx context.Context, tx *db.Tx, account string) error {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return err
	}
	return clearAttempts(ctx, tx, "login:"+a.Login)
}

// StartSessionTx opens a session after Verify and returns the token for the
// cookie; the database keeps its digest. Every log-in has a token of its own, so
// nothing that was set before can be ridden on.
func (s *Service) StartSessionTx(ctx context.Context, tx *db.Tx, account, holding string, factor FactorState, addr, agent string) (string, Session, error) {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return "", Session{}, err
	}
	now := s.now()
	a.LastLoginAt = now
	if err := updateAccount(ctx, tx, a); err != nil {
		return "", Session{}, err
	}
	if len(agent) > 300 {
		agent = agent[:300]
	}
	session := Session{ID: db.NewID(), Account: account, Holding: holding, Factor: factor, Addr: addr, Agent: agent, CreatedAt: now, SeenAt: now}
	token := newToken()
	return token, session, insertSession(ctx, tx, session, token)
}

// Resume finds the session and account behind a token. errs.Unauthenticated says
// why there is none: ended, idle too long, over its longest time, account
// disabled. A session older than a minute in its last touch is touched.
func (s *Service) Resume(ctx context.Context, token string) (Session, Account, error) {
	if token == "" {
		return Session{}, Account{}, sessionOver("")
	}
	session, err := sessionByToken(ctx, s.db.Read(), token)
	if err != nil {
		return Session{}, Account{}, err
	}
	now := s.now()
	if why, over := s.limits.ended(session, now); over {
		return Session{}, Account{}, sessionOver(why)
	}
	account, err := accountByID(ctx, s.db.Read(), session.Account)
	if err != nil {
		return Session{}, Account{}, err
	}
	if account.State != Active {
		return Session{}, Account{}, sessionOver("disabled")
	}
	if now.Sub(session.SeenAt) > time.Minute {
		err := s.db.InTx(ctx, func(tx *db.Tx) error { return touchSession(ctx, tx, session.ID, now) })
		if err != nil {
			return Session{}, Account{}, err
		}
		session.SeenAt = now
	}
	if now.Sub(account.SecretAt) > s.limits.SecretAge {
		account.MustChange = true
	}
	return session, account, nil
}

// EndSessionTx ends one session of an account; errs.NotFound when it has no such
// live session.
func (s *Service) EndSessionTx(ctx context.Context, tx *db.Tx, account, session, why string) error {
	n, err := endSession(ctx, tx, account, session, why, s.now())
	if err == nil && n == 0 {
		return errs.New(errs.NotFound, errs.T("该会话不存在或已结束", "There is no such session, or it has ended"))
	}
	return err
}

// EndSessionsTx ends every session of an account but one ("" for none) and returns how many.
func (s *Service) EndSessionsTx(ctx context.Context, tx *db.Tx, account, except, why string) (int64, error) {
	return endSessions(ctx, tx, account, except, why, s.now())
}

// ActAsTx sets the holding under which a session acts. The caller has checked
// that the account holds it.
func (s *Service) ActAsTx(ctx context.Context, tx *db.Tx, session, holding string) error {
	return setSessionHolding(ctx, tx, session, holding)
}

// CheckOwnSecret compares the present secret of an account before it is changed.
// It counts as a log-in attempt, so that an unattended screen is no oracle.
func (s *Service) CheckOwnSecret(ctx context.Context, account, plain, addr string) (Account, error) {
	a, err := accountByID(ctx, s.db.Read(), account)
	if err != nil {
		return Account{}, err
	}
	if _, err := s.Verify(ctx, a.Login, plain, addr); err != nil {
		if errs.Is(err, errs.Unauthenticated) {
			return a, errs.New(errs.Invalid, errs.T("现用口令不正确", "The present password is not right")).In("old")
		}
		return a, err
	}
	return a, nil
}

// CheckHistory refuses a secret that the account has now or had among its last five.
func (s *Service) CheckHistory(ctx context.Context, a Account, plain string) error {
	old, err := oldSecrets(ctx, s.db.Read(), a.ID, secretHistory-1)
	if err != nil {
		return err
	}
	for _, stored := range append(old, a.secret) {
		same, err := s.matches(ctx, stored, plain)
		if err != nil {
			return err
		}
		if same {
			return errs.Newf(errs.Invalid, "不得重复使用最近 %d 次用过的口令", "None of the last %d passwords may be used again", secretHistory).In("secret")
		}
	}
	return nil
}

// SetSecretTx puts a new secret, ends every other session of the account, and
// gives the session that asked a new token ("" when session is "").
func (s *Service) SetSecretTx(ctx context.Context, tx *db.Tx, account string, secret Secret, session string) (token string, err error) {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return "", err
	}
	now := s.now()
	if err := insertOldSecret(ctx, tx, a.ID, a.secret, now); err != nil {
		return "", err
	}
	s.put(&a, secret, now)
	if err := updateAccount(ctx, tx, a); err != nil {
		return "", err
	}
	if _, err := endSessions(ctx, tx, a.ID, session, "secret", now); err != nil {
		return "", err
	}
	if session == "" {
		return "", nil
	}
	token = newToken()
	return token, rotateSession(ctx, tx, session, token)
}

// SetStateTx enables or disables an account; disabling ends its sessions.
func (s *Service) SetStateTx(ctx context.Context, tx *db.Tx, account, state string) error {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return err
	}
	if state != Active && state != Disabled {
		return errs.New(errs.Invalid, errs.T("账号状态不正确", "No such state of an account")).In("state")
	}
	a.State = state
	if err := updateAccount(ctx, tx, a); err != nil {
		return err
	}
	if state == Disabled {
		_, err = endSessions(ctx, tx, account, "", "disabled", s.now())
	}
	return err
}

// RenameTx changes the display name of an account.
func (s *Service) RenameTx(ctx context.Context, tx *db.Tx, account, name string) error {
	a, err := accountByID(ctx, tx, account)
	if err != nil {
		return err
	}
	if a.Name, err = cleanName(name); err != nil {
		return err
	}
	return updateAccount(ctx, tx, a)
}
