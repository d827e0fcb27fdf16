package db

import (
	"context"
	"database/sql"
	"errors"
)

// Fact reads what the store says of itself under key; "" when it says nothing.
func Fact(ctx context.Context, q Querier, key string) (string, error) {
	var value string
	err := q.QueryRow(ctx, `SELECT value FROM db_fact WHERE key = $1`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// SetFact writes what the store says of itself under key.
func SetFact(ctx context.Context, q Querier, key, value string) error {
	_, err := q.Exec(ctx, `INSERT INTO db_fact (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// ClaimFact writes value under key unless something stands there, and returns what
// stands there then; of two nodes that claim at once one is first.
func ClaimFact(ctx context.Context, q Querier, key, value string) (string, error) {
	if _, err := q.Exec(ctx, `INSERT INTO db_fact (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, value); err != nil {
		return "", err
	}
	return Fact(ctx, q, key)
}
