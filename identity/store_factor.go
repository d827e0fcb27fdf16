package identity

import (
	"context"
	"database/sql"
	"encoding/base32"
	"errors"
	"time"

	"gongshu/internal/db"
)

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

func factorOf(ctx context.Context, q db.Querier, account string) (Factor, error) {
	f := Factor{Account: account}
	var created, used int64
	err := q.QueryRow(ctx, `SELECT sealed, step, created_at, used_at, (SELECT COUNT(*) FROM identity_recovery r WHERE r.account = f.account AND r.used_at = 0)
		FROM identity_factor f WHERE account=$1`, account).Scan(&f.sealed, &f.step, &created, &used, &f.Codes)
	if errors.Is(err, sql.ErrNoRows) {
		return f, noFactor()
	}
	f.CreatedAt, f.UsedAt = db.Time(created), db.Time(used)
	return f, err
}

func putFactor(ctx context.Context, q db.Querier, f Factor) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_factor (account, sealed, step, created_at, used_at) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (account) DO UPDATE SET sealed=excluded.sealed, step=excluded.step, created_at=excluded.created_at, used_at=excluded.used_at`,
		f.Account, f.sealed, f.step, db.Ms(f.CreatedAt), db.Ms(f.UsedAt))
	return err
}

// useStep takes a time step once: false when it, or a newer one, was used before.
func useStep(ctx context.Context, q db.Querier, account string, step int64, at time.Time) (bool, error) {
	return one(q.Exec(ctx, `UPDATE identity_factor SET step=$2, used_at=$3 WHERE account=$1 AND step < $2`, account, step, db.Ms(at)))
}

func dropFactor(ctx context.Context, q db.Querier, account string) (bool, error) {
	return one(q.Exec(ctx, `DELETE FROM identity_factor WHERE account=$1`, account))
}

func insertRecovery(ctx context.Context, q db.Querier, account, digest string) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_recovery (account, digest, used_at) VALUES ($1,$2,0)`, account, digest)
	return err
}

func useRecovery(ctx context.Context, q db.Querier, account, digest string, at time.Time) (bool, error) {
	return one(q.Exec(ctx, `UPDATE identity_recovery SET used_at=$3 WHERE account=$1 AND digest=$2 AND used_at=0`, account, digest, db.Ms(at)))
}

func dropRecovery(ctx context.Context, q db.Querier, account string) error {
	_, err := q.Exec(ctx, `DELETE FROM identity_recovery WHERE account=$1`, account)
	return err
}

func setSessionFactor(ctx context.Context, q db.Querier, session string, state FactorState) error {
	_, err := q.Exec(ctx, `UPDATE identity_session SET factor=$2 WHERE id=$1 AND ended_at=0`, session, state)
	return err
}

// one reports whether a statement changed a row.
func one(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
