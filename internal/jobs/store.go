package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"gongshu/internal/db"
)

const columns = `id, kind, key, payload, state, due, attempts, error, created, ended`

func scan(row db.Row) (Job, error) {
	var j Job
	var payload string
	var due, created, ended int64
	err := row.Scan(&j.ID, &j.Kind, &j.Key, &payload, &j.State, &due, &j.Attempts, &j.Error, &created, &ended)
	j.Payload = json.RawMessage(payload)
	j.Due, j.Created, j.Ended = db.Time(due), db.Time(created), db.Time(ended)
	return j, err
}

func changed(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

func insert(ctx context.Context, q db.Querier, j Job) (fresh bool, err error) {
	return changed(q.Exec(ctx, `INSERT INTO jobs_job (id, kind, key, payload, state, due, created) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, j.ID, j.Kind, j.Key, string(j.Payload), j.State, db.Ms(j.Due), db.Ms(j.Created)))
}

func setMessage(ctx context.Context, q db.Querier, id, message string) error {
	_, err := q.Exec(ctx, `UPDATE jobs_job SET message = $2 WHERE id = $1`, id, message)
	return err
}

// moveWaiting and deleteWaiting leave jobs alone that have been tried.
func moveWaiting(ctx context.Context, q db.Querier, kind, key string, due int64, payload string) (bool, error) {
	return changed(q.Exec(ctx, `UPDATE jobs_job SET due = $3, payload = $4
		WHERE kind = $1 AND key = $2 AND state = 'waiting' AND attempts = 0`, kind, key, due, payload))
}

func deleteWaiting(ctx context.Context, q db.Querier, kind, key string) (bool, error) {
	return changed(q.Exec(ctx, `DELETE FROM jobs_job WHERE kind = $1 AND key = $2 AND state = 'waiting' AND attempts = 0`, kind, key))
}

func dueJobs(ctx context.Context, q db.Querier, now int64, limit int) (ids []string, err error) {
	return db.Values[string](ctx, q, `SELECT id FROM jobs_job WHERE state = 'waiting' AND due <= $1 ORDER BY due LIMIT $2`, now, limit)
}

func setQueued(ctx context.Context, q db.Querier, id string, now int64) (bool, error) {
	return changed(q.Exec(ctx, `UPDATE jobs_job SET state = 'queued' WHERE id = $1 AND state = 'waiting' AND due <= $2`, id, now))
}

// anyReady says whether a message may be out: a job queued, or one running whose
// lease is over.
func anyReady(ctx context.Context, q db.Querier, now int64) (bool, error) {
	var one int
	err := q.QueryRow(ctx, `SELECT 1 FROM jobs_job WHERE state = 'queued' OR (state = 'running' AND lease < $1) LIMIT 1`, now).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// startJob makes a job running and counts the attempt; nil when it is not there
// to be run.
func startJob(ctx context.Context, q db.Querier, id string, now, lease int64) (*Job, error) {
	j, err := scan(q.QueryRow(ctx, `UPDATE jobs_job SET state = 'running', lease = $3, attempts = attempts + 1
		WHERE id = $1 AND (state = 'queued' OR (state = 'running' AND lease < $2)) RETURNING `+columns, id, now, lease))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &j, nil
}

// underWay says whether a worker holds the job.
func underWay(ctx context.Context, q db.Querier, id string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM jobs_job WHERE id = $1 AND state = 'running'`, id).Scan(&n)
	return n > 0, err
}

func extend(ctx context.Context, q db.Querier, id string, lease int64) error {
	_, err := q.Exec(ctx, `UPDATE jobs_job SET lease = $2 WHERE id = $1 AND state = 'running'`, id, lease)
	return err
}

func finish(ctx context.Context, q db.Querier, j Job) error {
	_, err := q.Exec(ctx, `UPDATE jobs_job SET state = $2, due = $3, error = $4, ended = $5, lease = 0, message = '' WHERE id = $1`,
		j.ID, j.State, db.Ms(j.Due), j.Error, db.Ms(j.Ended))
	return err
}

func revive(ctx context.Context, q db.Querier, id string) (bool, error) {
	return changed(q.Exec(ctx, `UPDATE jobs_job SET state = 'queued', attempts = 0, ended = 0 WHERE id = $1 AND state = 'dead'`, id))
}

func get(ctx context.Context, q db.Querier, id string) (Job, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM jobs_job WHERE id = $1`, id))
}

func list(ctx context.Context, q db.Querier, state, kind string, limit int) ([]Job, error) {
	return db.List(ctx, q, scan, `SELECT `+columns+` FROM jobs_job WHERE ($1 = '' OR state = $1) AND ($2 = '' OR kind = $2)
		ORDER BY id DESC LIMIT $3`, state, kind, limit)
}

func counts(ctx context.Context, q db.Querier) (map[string]int, error) {
	return db.Pairs[string, int](ctx, q, `SELECT state, COUNT(*) FROM jobs_job GROUP BY state`)
}

func kinds(ctx context.Context, q db.Querier) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT DISTINCT kind FROM jobs_job ORDER BY kind`)
}

func readRecurring(ctx context.Context, q db.Querier) (map[string]int64, error) {
	return db.Pairs[string, int64](ctx, q, `SELECT kind, next FROM jobs_recurring`)
}

func startRecurring(ctx context.Context, q db.Querier, kind string, next int64) (bool, error) {
	return changed(q.Exec(ctx, `INSERT INTO jobs_recurring (kind, next) VALUES ($1, $2) ON CONFLICT DO NOTHING`, kind, next))
}

func advance(ctx context.Context, q db.Querier, kind string, old, next int64) (bool, error) {
	return changed(q.Exec(ctx, `UPDATE jobs_recurring SET next = $3 WHERE kind = $1 AND next = $2`, kind, old, next))
}

func tidy(ctx context.Context, d *db.DB, done, keyed int64) error {
	return d.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM jobs_job WHERE state = 'done' AND ((key = '' AND ended < $1) OR ended < $2)`, done, keyed)
		return err
	})
}
