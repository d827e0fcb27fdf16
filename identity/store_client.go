package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

const clientColumns = `id, name, system, body, body_name, district, level, state, signed, addresses, created_at, created_by`

func scanClient(row db.Row) (APIClient, error) {
	var c APIClient
	var addresses string
	var created int64
	if err := row.Scan(&c.ID, &c.Name, &c.System, &c.Body, &c.BodyName, &c.District, &c.Level, &c.State, &c.Signed, &addresses, &created, &c.CreatedBy); err != nil {
		return c, err
	}
	c.CreatedAt = db.Time(created)
	if err := json.Unmarshal([]byte(addresses), &c.Addresses); err != nil {
		return c, fmt.Errorf("identity: addresses of client %s: %w", c.ID, err)
	}
	return c, nil
}

func addressText(list []netip.Prefix) (string, error) {
	if list == nil {
		list = []netip.Prefix{}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func insertClient(ctx context.Context, q db.Querier, c APIClient) error {
	addresses, err := addressText(c.Addresses)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO identity_client (`+clientColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		c.ID, c.Name, c.System, c.Body, c.BodyName, c.District, c.Level, c.State, c.Signed, addresses, db.Ms(c.CreatedAt), c.CreatedBy)
	return err
}

func updateClient(ctx context.Context, q db.Querier, c APIClient) error {
	addresses, err := addressText(c.Addresses)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `UPDATE identity_client SET name=$2, system=$3, state=$4, signed=$5, addresses=$6 WHERE id=$1`,
		c.ID, c.Name, c.System, c.State, c.Signed, addresses)
	return err
}

func updateClientBodies(ctx context.Context, q db.Querier, body, name, district, level string) (int64, error) {
	r, err := q.Exec(ctx, `UPDATE identity_client SET body_name=$2, district=$3, level=$4 WHERE body=$1`, body, name, district, level)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func clientByID(ctx context.Context, q db.Querier, id string) (APIClient, error) {
	c, err := scanClient(q.QueryRow(ctx, `SELECT `+clientColumns+` FROM identity_client WHERE id=$1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.New(errs.NotFound, errs.T("没有这个接口客户端", "There is no such API client"))
	}
	return c, err
}

func clientsOf(ctx context.Context, q db.Querier, body string) ([]APIClient, error) {
	return db.List(ctx, q, scanClient, `SELECT `+clientColumns+` FROM identity_client WHERE $1 = '' OR body = $1 ORDER BY body_name, name, id`, body)
}

func insertKey(ctx context.Context, q db.Querier, k ClientKey, digest string) error {
	_, err := q.Exec(ctx, `INSERT INTO identity_key (id, client, digest, created_at, created_by, expires_at, revoked_at, used_at) VALUES ($1,$2,$3,$4,$5,$6,0,0)`,
		k.ID, k.Client, digest, db.Ms(k.CreatedAt), k.CreatedBy, db.Ms(k.ExpiresAt))
	return err
}

func revokeKey(ctx context.Context, q db.Querier, client, id string, at time.Time) (int64, error) {
	r, err := q.Exec(ctx, `UPDATE identity_key SET revoked_at=$3 WHERE id=$1 AND client=$2 AND revoked_at=0`, id, client, db.Ms(at))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func keysOf(ctx context.Context, q db.Querier, client string) ([]ClientKey, error) {
	return db.List(ctx, q, func(row db.Row) (ClientKey, error) {
		var k ClientKey
		var created, expires, revoked, used int64
		if err := row.Scan(&k.ID, &k.Client, &created, &k.CreatedBy, &expires, &revoked, &used); err != nil {
			return k, err
		}
		k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.UsedAt = db.Time(created), db.Time(expires), db.Time(revoked), db.Time(used)
		return k, nil
	}, `SELECT id, client, created_at, created_by, expires_at, revoked_at, used_at FROM identity_key WHERE client=$1 ORDER BY created_at DESC, id`, client)
}

func setKeyUsed(ctx context.Context, q db.Querier, id string, at int64) error {
	_, err := q.Exec(ctx, `UPDATE identity_key SET used_at=$2 WHERE id=$1 AND used_at<$2`, id, at)
	return err
}

func bumpChange(ctx context.Context, q db.Querier) error {
	_, err := q.Exec(ctx, `UPDATE identity_change SET seq = seq + 1 WHERE id = 1`)
	return err
}

func changeSeq(ctx context.Context, q db.Querier) (seq int64, err error) {
	err = q.QueryRow(ctx, `SELECT seq FROM identity_change WHERE id = 1`).Scan(&seq)
	return seq, err
}

// liveKeys reads what the table in memory is made of: unrevoked keys with their clients.
func liveKeys(ctx context.Context, q db.Querier, visit func(key, digest string, expires int64, client APIClient)) error {
	rows, err := q.Query(ctx, `SELECT k.id, k.digest, k.expires_at, c.id, c.name, c.system, c.body, c.body_name, c.district, c.level, c.state, c.signed, c.addresses, c.created_at, c.created_by
		FROM identity_key k JOIN identity_client c ON c.id = k.client WHERE k.revoked_at = 0`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, digest, addresses string
		var expires, created int64
		var c APIClient
		if err := rows.Scan(&key, &digest, &expires, &c.ID, &c.Name, &c.System, &c.Body, &c.BodyName, &c.District, &c.Level, &c.State, &c.Signed, &addresses, &created, &c.CreatedBy); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(addresses), &c.Addresses); err != nil {
			return fmt.Errorf("identity: addresses of client %s: %w", c.ID, err)
		}
		c.CreatedAt = db.Time(created)
		visit(key, digest, expires, c)
	}
	return rows.Err()
}

// takeNonce remembers a nonce; false when it has been seen.
func takeNonce(ctx context.Context, q db.Querier, key, nonce string, until time.Time) (bool, error) {
	r, err := q.Exec(ctx, `INSERT INTO identity_nonce (key_id, nonce, until) VALUES ($1,$2,$3) ON CONFLICT (key_id, nonce) DO NOTHING`, key, nonce, db.Ms(until))
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}
