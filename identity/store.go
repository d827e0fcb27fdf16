package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const accountColumns = `id, login, name, kind, state, secret, secret_at, must_change, initial_until, created_at, created_by, last_login_at`

func scanAccount(row db.Row) (Account, error) {
	var a Account
	var secretAt, initial, created, last int64
	err := row.Scan(&a.ID, &a.Login, &a.Name, &a.Kind, &a.State, &a.secret, &secretAt, &a.MustChange, &initial, &created, &a.CreatedBy, &last)
	a.SecretAt, a.InitialEnds, a.CreatedAt, a.LastLoginAt = db.Time(secretAt), db.Time(initial), db.Time(created), db.Time(last)
	return a, err
}

func accountByID(ctx context.Context, q db.Querier, id string) (Account, error) {
	a, err := scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM identity_account WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, noAccount()
	}
	return a, err
}

func accountByLogin(ctx context.Context, q db.Querier, login string) (Account, error) {
	a, err := scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM identity_account WHERE login = $1`, login))
	if errors.Is(err, sql.ErrNoRows) {
		return a, noAccount()
	}
	return a, err
}

func noAccount() error {
	return errs.New(errs.NotFound, errs.T("没有这个账号", "There is no such account"))
}

func insertAccount(ctx context.Context, q db.Querier, a Account) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_account (`+accountColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		a.ID, a.Login, a.Name, a.Kind, a.State, a.secret, db.Ms(a.SecretAt), a.MustChange, db.Ms(a.InitialEnds), db.Ms(a.CreatedAt), a.CreatedBy, int64(0))
	if db.IsUnique(err) {
		return errs.Newf(errs.Conflict, "登录名 %s 已被使用", "The login name %s is taken", a.Login).In("login")
	}
	return err
}

func updateAccount(ctx context.Context, q db.Querier, a Account) error {
	_, err := q.Exec(ctx, `UPDATE identity_account SET name=$2, state=$3, secret=$4, secret_at=$5, must_change=$6, initial_until=$7, last_login_at=$8 WHERE id=$1`,
		a.ID, a.Name, a.State, a.secret, db.Ms(a.SecretAt), a.MustChange, db.Ms(a.InitialEnds), db.Ms(a.LastLoginAt))
	return err
}

func insertOldSecret(ctx context.Context, q db.Querier, account, secret string, at time.Time) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_old_secret (account, secret, at) VALUES ($1,$2,$3)`, account, secret, db.Ms(at))
	return err
}

func oldSecrets(ctx context.Context, q db.Querier, account string, n int) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT secret FROM identity_old_secret WHERE account=$1 ORDER BY at DESC LIMIT $2`, account, n)
}

// takeAttempt counts an attempt of subject unless it is refused for now. The
// count is taken before the secret is compared, so that parallel guesses cannot
// outrun it. blocked is the time until which the subject is refused.
func takeAttempt(ctx context.Context, q db.Querier, subject string, now time.Time, window time.Duration, delay func(n int) time.Duration) (blocked time.Time, err error) {
	var failed int64
	err = q.QueryRow(ctx, `INSERT INTO identity_attempt (subject, failed, until, at) VALUES ($1, 1, 0, $2)
		ON CONFLICT (subject) DO UPDATE SET failed = CASE WHEN identity_attempt.at < $3 THEN 1 ELSE identity_attempt.failed + 1 END, at = excluded.at
		WHERE identity_attempt.until <= $2 RETURNING failed`, subject, db.Ms(now), db.Ms(now.Add(-window))).Scan(&failed)
	if errors.Is(err, sql.ErrNoRows) {
		var until int64
		if err := q.QueryRow(ctx, `SELECT until FROM identity_attempt WHERE subject=$1`, subject).Scan(&until); err != nil {
			return time.Time{}, err
		}
		return db.Time(until), nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if d := delay(int(failed)); d > 0 {
		_, err = q.Exec(ctx, `UPDATE identity_attempt SET until=$2 WHERE subject=$1`, subject, db.Ms(now.Add(d)))
	}
	return time.Time{}, err
}

// giveBackAttempt takes back the count of an attempt that succeeded.
func giveBackAttempt(ctx context.Context, q db.Querier, subject string) error {
	_, err := q.Exec(ctx, `UPDATE identity_attempt SET failed = failed - 1, until = 0 WHERE subject=$1 AND failed > 0`, subject)
	return err
}

func clearAttempts(ctx context.Context, q db.Querier, subject string) error {
	_, err := q.Exec(ctx, `DELETE FROM identity_attempt WHERE subject=$1`, subject)
	return err
}

func attemptState(ctx context.Context, q db.Querier, subject string) (failed int64, until time.Time, err error) {
	var ms int64
	err = q.QueryRow(ctx, `SELECT failed, until FROM identity_attempt WHERE subject=$1`, subject).Scan(&failed, &ms)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	return failed, db.Time(ms), err
}

func purge(ctx context.Context, q db.Querier, now time.Time) error {
	if _, err := q.Exec(ctx, `DELETE FROM identity_attempt WHERE at < $1 AND until < $2`, db.Ms(now.Add(-24*time.Hour)), db.Ms(now)); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, `DELETE FROM identity_nonce WHERE until < $1`, db.Ms(now)); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `DELETE FROM identity_session WHERE created_at < $1`, db.Ms(now.Add(-400*24*time.Hour)))
	return err
}

const sessionColumns = `s.id, s.account, s.holding, s.factor, s.addr, s.agent, s.created_at, s.seen_at, s.ended_at, s.ended_why`

func scanSession(row db.Row) (Session, error) {
	var s Session
	var created, seen, ended int64
	err := row.Scan(&s.ID, &s.Account, &s.Holding, &s.Factor, &s.Addr, &s.Agent, &created, &seen, &ended, &s.EndedWhy)
	s.CreatedAt, s.SeenAt, s.EndedAt = db.Time(created), db.Time(seen), db.Time(ended)
	return s, err
}

func insertSession(ctx context.Context, q db.Querier, s Session, token string) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_session (id, token, account, holding, factor, addr, agent, created_at, seen_at, ended_at, ended_why)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,0,'')`, s.ID, digestToken(token), s.Account, s.Holding, s.Factor, s.Addr, s.Agent, db.Ms(s.CreatedAt), db.Ms(s.SeenAt))
	return err
}

func sessionByToken(ctx context.Context, q db.Querier, token string) (Session, error) {
	s, err := scanSession(q.QueryRow(ctx, `SELECT `+sessionColumns+` FROM identity_session s WHERE s.token=$1`, digestToken(token)))
	if errors.Is(err, sql.ErrNoRows) {
		return s, sessionOver("")
	}
	return s, err
}

func liveSessions(ctx context.Context, q db.Querier, account string) ([]Session, error) {
	return db.List(ctx, q, scanSession, `SELECT `+sessionColumns+` FROM identity_session s WHERE s.account=$1 AND s.ended_at=0 ORDER BY s.seen_at DESC`, account)
}

func touchSession(ctx context.Context, q db.Querier, id string, at time.Time) error {
	_, err := q.Exec(ctx, `UPDATE identity_session SET seen_at=$2 WHERE id=$1 AND ended_at=0 AND seen_at<$2`, id, db.Ms(at))
	return err
}

func endSession(ctx context.Context, q db.Querier, account, id, why string, at time.Time) (int64, error) {
	r, err := q.Exec(ctx, `UPDATE identity_session SET ended_at=$3, ended_why=$4 WHERE account=$1 AND id=$2 AND ended_at=0`, account, id, db.Ms(at), why)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func endSessions(ctx context.Context, q db.Querier, account, except, why string, at time.Time) (int64, error) {
	r, err := q.Exec(ctx, `UPDATE identity_session SET ended_at=$3, ended_why=$4 WHERE account=$1 AND id<>$2 AND ended_at=0`, account, except, db.Ms(at), why)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func setSessionHolding(ctx context.Context, q db.Querier, id, holding string) error {
	_, err := q.Exec(ctx, `UPDATE identity_session SET holding=$2 WHERE id=$1 AND ended_at=0`, id, holding)
	return err
}

func rotateSession(ctx context.Context, q db.Querier, id, token string) error {
	r, err := q.Exec(ctx, `UPDATE identity_session SET token=$2 WHERE id=$1 AND ended_at=0`, id, digestToken(token))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("identity: session %s is not there to be rotated", id))
	}
	return nil
}

func countAccounts(ctx context.Context, q db.Querier) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT COUNT(*) FROM identity_account`).Scan(&n)
	return n, err
}
