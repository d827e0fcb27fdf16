package gateway

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
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
	_, err = tx.Exec(ctx, `INSERT INTO gateway_grant (id, seq, state, resource, provider, client, mode, case_id, starts, expires, name, number, created, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, state = excluded.state, starts = excluded.starts, expires = excluded.expires, name = excluded.name, number = excluded.number, detail = excluded.detail`,
		g.ID, seq, string(state), g.Resource, g.Provider, g.Client, string(g.Mode), g.Case, db.Ms(g.Starts), db.Ms(g.Expires), g.ResourceName, g.CaseNo, db.Ms(g.Created), string(detail))
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
	return db.List(ctx, q, func(row db.Row) (change, error) {
		var err error
		var c change
		var detail string
		if err := row.Scan(&c.seq, &detail); err != nil {
			return c, err
		}
		if c.grant, err = decodeGrant(detail); err != nil {
			return c, err
		}
		return c, nil
	}, `SELECT seq, detail FROM gateway_grant WHERE seq > $1 ORDER BY seq`, after)
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
	State    State  // at Now of the service
	Text     string // in the resource's name, its code or the number of the case
	After    string // the id of the last grant that was seen; for feeds, in the newest-first order alone
	Sort     string // "created", "expires", "name"; newest first when empty
	Desc     bool
	Offset   int
	Limit    int // 0: 50; at most 500
}

func (f Filter) where(nowMs int64) (w db.Where) {
	if f.Resource != "" {
		w.Add(`resource = ?`, f.Resource)
	}
	if f.Provider != "" {
		w.Add(`provider = ?`, f.Provider)
	}
	if f.Client != "" {
		w.Add(`client = ?`, f.Client)
	}
	if f.Either != "" {
		w.Add(`(provider = ? OR client = ?)`, f.Either, f.Either)
	}
	if f.Mode != "" {
		w.Add(`mode = ?`, string(f.Mode))
	}
	if f.Case != "" {
		w.Add(`case_id = ?`, f.Case)
	}
	switch f.State {
	case Revoked:
		w.Add(`state = 'revoked'`)
	case Expired:
		w.Add(`state = 'active' AND expires <> 0 AND expires <= ?`, nowMs)
	case Active:
		w.Add(`state = 'active' AND starts <= ? AND (expires = 0 OR expires > ?)`, nowMs, nowMs)
	case Pending:
		w.Add(`state = 'active' AND starts > ? AND (expires = 0 OR expires > ?)`, nowMs, nowMs)
	}
	w.Contains(f.Text, "name", "resource", "number")
	return w
}

func countGrants(ctx context.Context, q db.Querier, f Filter, nowMs int64) (n int, err error) {
	w := f.where(nowMs)
	err = q.QueryRow(ctx, `SELECT COUNT(*) FROM gateway_grant`+w.String(), w.Args...).Scan(&n)
	return n, db.Classify(err)
}

func listGrants(ctx context.Context, q db.Querier, f Filter, nowMs int64) ([]*Grant, error) {
	w := f.where(nowMs)
	if f.After != "" {
		w.Add(`id < ?`, f.After)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	order := `id DESC`
	switch {
	case f.Sort == "created" && !f.Desc:
		order = `id`
	case f.Sort == "expires" && f.Desc: // those without an end come last, both ways
		order = `CASE WHEN expires = 0 THEN 1 ELSE 0 END, expires DESC, id DESC`
	case f.Sort == "expires":
		order = `CASE WHEN expires = 0 THEN 1 ELSE 0 END, expires, id DESC`
	case f.Sort == "name" && f.Desc:
		order = `name DESC, id DESC`
	case f.Sort == "name":
		order = `name, id DESC`
	}
	return grantRows(q.Query(ctx, `SELECT detail FROM gateway_grant`+w.String()+` ORDER BY `+order+
		` LIMIT `+strconv.Itoa(min(limit, 500))+` OFFSET `+strconv.Itoa(max(f.Offset, 0)), w.Args...))
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
	return db.List(ctx, q, func(row db.Row) (ledgerEntry, error) {
		var e ledgerEntry
		err := row.Scan(&e.predicate, &e.size, &e.at)
		return e, err
	}, `SELECT predicate, size, at FROM gateway_group
		WHERE client = $1 AND resource = $2 AND size BETWEEN $3 AND $4 AND predicate <> $5 ORDER BY at DESC, predicate`, client, resource, from, to, predicate)
}

func putRelease(ctx context.Context, tx *db.Tx, r release) error {
	_, err := tx.Exec(ctx, `INSERT INTO gateway_release (id, grant_id, client, resource, format, at, by_name) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.Grant, r.Client, r.Resource, r.Format, db.Ms(r.At), r.User)
	return err
}

// readReleases gives every release, the latest first.
func readReleases(ctx context.Context, q db.Querier) ([]release, error) {
	return db.List(ctx, q, func(row db.Row) (release, error) {
		var r release
		var at int64
		if err := row.Scan(&r.ID, &r.Grant, &r.Client, &r.Resource, &r.Format, &at, &r.User); err != nil {
			return r, err
		}
		r.At = db.Time(at)
		return r, nil
	}, `SELECT id, grant_id, client, resource, format, at, by_name FROM gateway_release ORDER BY id DESC`)
}

func readCursor(ctx context.Context, q db.Querier, name string) (seq int64, err error) {
	err = q.QueryRow(ctx, `SELECT seq FROM gateway_cursor WHERE name = $1`, name).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return seq, err
}

// moveCursor moves a cursor on from where the caller read it; false when another
// node was there first.
func moveCursor(ctx context.Context, tx *db.Tx, name string, from, to int64) (bool, error) {
	query, args := `UPDATE gateway_cursor SET seq = $3 WHERE name = $1 AND seq = $2`, []any{name, from, to}
	if from == 0 {
		query, args = `INSERT INTO gateway_cursor (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, []any{name, to}
	}
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func putUsage(ctx context.Context, tx *db.Tx, pieces []*usagePiece, sums []*usageSum) error {
	for _, p := range pieces {
		if _, err := tx.Exec(ctx, `INSERT INTO gateway_usage (until, grant_id, provider, consumer, resource, mode, first_at, last_at, last_seq, lines)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			p.until, p.grant, p.provider, p.consumer, p.resource, string(p.mode), p.first, p.last, p.lastSeq, p.lines); err != nil {
			return err
		}
	}
	for _, d := range sums {
		if _, err := tx.Exec(ctx, `INSERT INTO gateway_usage_day (day, grant_id, provider, consumer, outcome, resource, mode, requests, rows_out)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (day, grant_id, provider, consumer, outcome) DO UPDATE SET
				requests = gateway_usage_day.requests + excluded.requests, rows_out = gateway_usage_day.rows_out + excluded.rows_out`,
			d.day, d.grant, d.provider, d.consumer, d.outcome, d.resource, string(d.mode), d.requests, d.rows); err != nil {
			return err
		}
	}
	return nil
}

// where adds the filter's conditions on what pieces and days have in common.
func (f *UsageFilter) where(w *db.Where) {
	switch {
	case f.Whole:
	case f.Side == AsProvider:
		w.Add(`provider = ?`, f.Body)
	case f.Side == AsConsumer:
		w.Add(`consumer = ?`, f.Body)
	default:
		w.Add(`(provider = ? OR consumer = ?)`, f.Body, f.Body)
	}
	if f.Grant != "" {
		w.Add(`grant_id = ?`, f.Grant)
	}
	if f.Resource != "" {
		w.Add(`resource = ?`, f.Resource)
	}
	if f.Mode != "" {
		w.Add(`mode = ?`, string(f.Mode))
	}
}

// usageLines gives at least limit of the filter's lines with from ≤ seq < to, as
// far as there are so many, by their number: the newest or the oldest. A step's
// lines come whole, so there may be more.
func usageLines(ctx context.Context, q db.Querier, f *UsageFilter, from, to int64, newest bool, limit int) ([]Usage, error) {
	// A step holds at most usageStep entries, so that its end bounds its begin.
	var w db.Where
	w.Add(`until > ? AND until <= ?`, from, to+usageStep)
	f.where(&w)
	if !f.From.IsZero() {
		w.Add(`last_at >= ?`, db.Ms(f.From))
	}
	if !f.To.IsZero() {
		w.Add(`first_at < ?`, db.Ms(f.To))
	}
	order, way := " ORDER BY until", 1
	if newest {
		order, way = " ORDER BY until DESC", -1
	}
	rows, err := q.Query(ctx, `SELECT until, lines FROM gateway_usage`+w.String()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Usage{}
	sorted, step := 0, int64(-1)
	sort := func() {
		slices.SortFunc(out[sorted:], func(a, b Usage) int { return way * cmp.Compare(a.Seq, b.Seq) })
		sorted = len(out)
	}
	for rows.Next() {
		var until int64
		var lines []byte
		if err := rows.Scan(&until, &lines); err != nil {
			return nil, err
		}
		if until != step {
			sort()
			if step = until; len(out) >= limit {
				break
			}
		}
		if out, err = f.pick(out, lines, from, to); err != nil {
			return nil, err
		}
	}
	sort()
	return out[:min(len(out), limit)], rows.Err()
}

// usageSums adds up by day, first and last included.
func usageSums(ctx context.Context, q db.Querier, f UsageFilter, first, last string) (map[string]UsageDay, error) {
	var w db.Where
	w.Add(`day >= ? AND day <= ?`, first, last)
	f.where(&w)
	if f.Outcome != "" {
		w.Add(`outcome = ?`, f.Outcome)
	}
	rows, err := q.Query(ctx, `SELECT day, sum(requests), sum(CASE WHEN outcome = 'ok' THEN 0 ELSE requests END), sum(rows_out)
		FROM gateway_usage_day`+w.String()+` GROUP BY day`, w.Args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]UsageDay{}
	for rows.Next() {
		var d UsageDay
		if err := rows.Scan(&d.Day, &d.Requests, &d.Refused, &d.Rows); err != nil {
			return nil, err
		}
		out[d.Day] = d
	}
	return out, rows.Err()
}

func readReceipt(ctx context.Context, q db.Querier, body string, side Side) (seq int64, err error) {
	err = q.QueryRow(ctx, `SELECT seq FROM gateway_receipt WHERE body = $1 AND side = $2`, body, string(side)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return seq, err
}

func putReceipt(ctx context.Context, tx *db.Tx, body string, side Side, seq, at int64, by string) error {
	_, err := tx.Exec(ctx, `INSERT INTO gateway_receipt (body, side, seq, at, by_name) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (body, side) DO UPDATE SET seq = excluded.seq, at = excluded.at, by_name = excluded.by_name`, body, string(side), seq, at, by)
	return err
}

// pruneUsage drops pieces and days that ended before, but a piece only when
// whoever takes its feed has confirmed all of it.
func pruneUsage(ctx context.Context, tx *db.Tx, before int64, day string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gateway_usage WHERE last_at < $1
		AND NOT EXISTS (SELECT 1 FROM gateway_receipt r WHERE r.seq < gateway_usage.last_seq
			AND (r.side = 'provider' AND r.body = gateway_usage.provider OR r.side = 'consumer' AND r.body = gateway_usage.consumer))`, before); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM gateway_usage_day WHERE day < $1`, day)
	return err
}

func pruneQuotas(ctx context.Context, tx *db.Tx, before string) error {
	_, err := tx.Exec(ctx, `DELETE FROM gateway_quota WHERE day < $1`, before)
	return err
}
