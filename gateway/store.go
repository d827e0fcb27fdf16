package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// nextSeq takes the next number of the change sequence. The row stays locked
// until commit, so numbers become visible in order.
func nextSeq(ctx context.Context, tx *db.Tx) (int64, error) {
	var seq int64
	err := tx.QueryRow(ctx, `UPDATE gateway_clock SET seq = seq + 1 WHERE id = 1 RETURNING seq`).Scan(&seq)
	return seq, err
}

func putGrant(ctx context.Context, tx *db.Tx, g *Grant) (int64, error) {
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return 0, err
	}
	detail, err := json.Marshal(g)
	if err != nil {
		return 0, err
	}
	state := Active
	if !g.RevokedAt.IsZero() {
		state = Revoked
	}
	_, err = tx.Exec(ctx, `INSERT INTO gateway_grant (id, seq, state, resource, provider, client, mode, case_id, expires, created, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, state = excluded.state, expires = excluded.expires, detail = excluded.detail`,
		g.ID, seq, string(state), g.Resource, g.Provider, g.Client, string(g.Mode), g.Case, db.Ms(g.Expires), db.Ms(g.Created), string(detail))
	return seq, err
}

func getGrant(ctx context.Context, q db.Querier, id string) (*Grant, error) {
	var detail string
	err := q.QueryRow(ctx, `SELECT detail FROM gateway_grant WHERE id = $1`, id).Scan(&detail)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, errs.T("没有这项授权", "there is no such grant")).In("grant")
	}
	if err != nil {
		return nil, db.Classify(err)
	}
	return decodeGrant(detail)
}

func decodeGrant(detail string) (*Grant, error) {
	g := new(Grant)
	if err := json.Unmarshal([]byte(detail), g); err != nil {
		return nil, err
	}
	return g, nil
}

// changedGrants gives the grants changed after a number of the sequence, oldest
// change first.
func changedGrants(ctx context.Context, q db.Querier, after int64) ([]change, error) {
	rows, err := q.Query(ctx, `SELECT seq, detail FROM gateway_grant WHERE seq > $1 ORDER BY seq`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []change
	for rows.Next() {
		var c change
		var detail string
		if err := rows.Scan(&c.seq, &detail); err != nil {
			return nil, err
		}
		if c.grant, err = decodeGrant(detail); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// activeGrants gives the grants on a resource that nobody has revoked.
func activeGrants(ctx context.Context, q db.Querier, code string) ([]*Grant, error) {
	return grantRows(q.Query(ctx, `SELECT detail FROM gateway_grant WHERE resource = $1 AND state = 'active' ORDER BY id`, code))
}

func grantRows(rows *sql.Rows, err error) ([]*Grant, error) {
	if err != nil {
		return nil, db.Classify(err)
	}
	defer rows.Close()
	var out []*Grant
	for rows.Next() {
		var detail string
		if err := rows.Scan(&detail); err != nil {
			return nil, err
		}
		g, err := decodeGrant(detail)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// Filter chooses grants for a list. Empty fields do not restrict.
type Filter struct {
	Resource string // code
	Provider string // body id
	Client   string // body id
	Either   string // body id that is provider or client
	Mode     Mode
	Case     string
	State    State // at Now of the service
	After    string
	Limit    int // 0: 50; at most 500
}

func listGrants(ctx context.Context, q db.Querier, f Filter, nowMs int64) ([]*Grant, error) {
	query := `SELECT detail FROM gateway_grant WHERE 1 = 1`
	var args []any
	and := func(cond string, vals ...any) {
		query += " AND (" + numbered(cond, len(args)) + ")"
		args = append(args, vals...)
	}
	if f.Resource != "" {
		and(`resource = ?`, f.Resource)
	}
	if f.Provider != "" {
		and(`provider = ?`, f.Provider)
	}
	if f.Client != "" {
		and(`client = ?`, f.Client)
	}
	if f.Either != "" {
		and(`provider = ? OR client = ?`, f.Either, f.Either)
	}
	if f.Mode != "" {
		and(`mode = ?`, string(f.Mode))
	}
	if f.Case != "" {
		and(`case_id = ?`, f.Case)
	}
	switch f.State {
	case Revoked:
		and(`state = 'revoked'`)
	case Expired:
		and(`state = 'active' AND expires <> 0 AND expires <= ?`, nowMs)
	case Active, Pending:
		and(`state = 'active' AND (expires = 0 OR expires > ?)`, nowMs)
	}
	if f.After != "" {
		and(`id < ?`, f.After)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	query += ` ORDER BY id DESC LIMIT ` + strconv.Itoa(min(limit, 500))
	return grantRows(q.Query(ctx, query, args...))
}

// numbered turns each ? of a condition into the next $n after have.
func numbered(cond string, have int) string {
	out := make([]byte, 0, len(cond)+8)
	for i := 0; i < len(cond); i++ {
		if cond[i] != '?' {
			out = append(out, cond[i])
			continue
		}
		have++
		out = append(out, '$')
		out = strconv.AppendInt(out, int64(have), 10)
	}
	return string(out)
}

func readQuota(ctx context.Context, q db.Querier, grant, day string) (requests, rows int64, err error) {
	err = q.QueryRow(ctx, `SELECT requests, rows_out FROM gateway_quota WHERE grant_id = $1 AND day = $2`, grant, day).Scan(&requests, &rows)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return requests, rows, err
}

func addQuota(ctx context.Context, tx *db.Tx, grant, day string, requests, rows int64) (allRequests, allRows int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO gateway_quota (grant_id, day, requests, rows_out) VALUES ($1, $2, $3, $4)
		ON CONFLICT (grant_id, day) DO UPDATE SET requests = gateway_quota.requests + excluded.requests, rows_out = gateway_quota.rows_out + excluded.rows_out
		RETURNING requests, rows_out`, grant, day, requests, rows).Scan(&allRequests, &allRows)
	return allRequests, allRows, err
}

// knownTries counts which of the tries were made before.
func knownTries(ctx context.Context, q db.Querier, client, resource, subject string, tries []try) (int, error) {
	n := 0
	for _, t := range tries {
		var one int
		err := q.QueryRow(ctx, `SELECT 1 FROM gateway_claim WHERE client = $1 AND resource = $2 AND subject = $3 AND item = $4 AND claim = $5`,
			client, resource, subject, t.item, t.claim).Scan(&one)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return 0, err
		default:
			n++
		}
	}
	return n, nil
}

// addTry notes a try and gives how many different values of the item have been
// tried for the subject since windowBegan; 0 for one that was made before.
func addTry(ctx context.Context, tx *db.Tx, client, resource, subject string, t try, now, windowBegan int64) (int64, error) {
	res, err := tx.Exec(ctx, `INSERT INTO gateway_claim (client, resource, subject, item, claim, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (client, resource, subject, item, claim) DO NOTHING`, client, resource, subject, t.item, t.claim, now)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	var tried int64
	err = tx.QueryRow(ctx, `INSERT INTO gateway_guess (client, resource, subject, item, tried, since) VALUES ($1, $2, $3, $4, 1, $5)
		ON CONFLICT (client, resource, subject, item) DO UPDATE SET
			tried = CASE WHEN gateway_guess.since < $6 THEN 1 ELSE gateway_guess.tried + 1 END,
			since = CASE WHEN gateway_guess.since < $6 THEN excluded.since ELSE gateway_guess.since END
		RETURNING tried`, client, resource, subject, t.item, now, windowBegan).Scan(&tried)
	return tried, err
}

// pruneTries forgets the values tried before a time; the counts run on their own window.
func pruneTries(ctx context.Context, tx *db.Tx, before int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gateway_claim WHERE at < $1`, before); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM gateway_guess WHERE since < $1`, before)
	return err
}

func ledgerVersion(ctx context.Context, q db.Querier, client, resource string) (version int64, err error) {
	err = q.QueryRow(ctx, `SELECT version FROM gateway_ledger WHERE client = $1 AND resource = $2`, client, resource).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return version, err
}

// moveLedger raises the ledger from a version; false when it has moved already.
func moveLedger(ctx context.Context, tx *db.Tx, client, resource string, from int64) (bool, error) {
	var now int64
	err := tx.QueryRow(ctx, `INSERT INTO gateway_ledger (client, resource, version) VALUES ($1, $2, 1)
		ON CONFLICT (client, resource) DO UPDATE SET version = gateway_ledger.version + 1
		RETURNING version`, client, resource).Scan(&now)
	if err != nil || now == from+1 {
		return err == nil, err
	}
	// The raise itself is harmless; what matters is that nothing is answered.
	return false, nil
}

func putGroups(ctx context.Context, tx *db.Tx, client, resource, grant string, at int64, entries []ledgerEntry) error {
	for _, e := range entries {
		was, _, err := readGroup(ctx, tx, client, resource, e.predicate)
		if err != nil {
			return err
		}
		if was.size == e.size {
			for name, v := range was.answers {
				if _, have := e.answers[name]; !have {
					e.answers[name] = v
				}
			}
		}
		raw, err := json.Marshal(e.answers)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO gateway_group (client, resource, predicate, size, answers, grant_id, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (client, resource, predicate) DO UPDATE SET size = excluded.size, answers = excluded.answers, grant_id = excluded.grant_id, at = excluded.at`,
			client, resource, e.predicate, e.size, string(raw), grant, at); err != nil {
			return err
		}
	}
	return nil
}

func readGroup(ctx context.Context, q db.Querier, client, resource, predicate string) (ledgerEntry, bool, error) {
	e := ledgerEntry{predicate: predicate}
	var answers string
	err := q.QueryRow(ctx, `SELECT size, answers, at FROM gateway_group WHERE client = $1 AND resource = $2 AND predicate = $3`, client, resource, predicate).
		Scan(&e.size, &answers, &e.at)
	if errors.Is(err, sql.ErrNoRows) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	return e, true, json.Unmarshal([]byte(answers), &e.answers)
}

// nearGroups gives the answered groups other than predicate whose size lies
// between from and to, the latest first.
func nearGroups(ctx context.Context, q db.Querier, client, resource, predicate string, from, to int64) ([]ledgerEntry, error) {
	rows, err := q.Query(ctx, `SELECT predicate, size, at FROM gateway_group
		WHERE client = $1 AND resource = $2 AND size BETWEEN $3 AND $4 AND predicate <> $5 ORDER BY at DESC, predicate`, client, resource, from, to, predicate)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ledgerEntry
	for rows.Next() {
		var e ledgerEntry
		if err := rows.Scan(&e.predicate, &e.size, &e.at); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func putRelease(ctx context.Context, tx *db.Tx, r release) error {
	_, err := tx.Exec(ctx, `INSERT INTO gateway_release (id, grant_id, client, resource, format, at, by_name) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.Grant, r.Client, r.Resource, r.Format, db.Ms(r.At), r.User)
	return err
}

// readReleases gives every release, the latest first.
func readReleases(ctx context.Context, q db.Querier) ([]release, error) {
	rows, err := q.Query(ctx, `SELECT id, grant_id, client, resource, format, at, by_name FROM gateway_release ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []release
	for rows.Next() {
		var r release
		var at int64
		if err := rows.Scan(&r.ID, &r.Grant, &r.Client, &r.Resource, &r.Format, &at, &r.User); err != nil {
			return nil, err
		}
		r.At = db.Time(at)
		out = append(out, r)
	}
	return out, rows.Err()
}
