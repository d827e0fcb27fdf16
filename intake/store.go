package intake

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/warehouse"
)

const batchColumns = `id, resource, code, name, version, body, body_name, district, mode, state, channel, corrects, source, sender, sender_name,
	file_name, content_type, object, digest, size, layout, mapping, ignored, secrecy, COALESCE(request_key, ''), prepared,
	total, accepted, rejected, corrected, inserted, updated, deleted, missed, failure, due, audit_seq, received, finished`

func scanBatch(row db.Row) (*Batch, error) {
	var b Batch
	var layout, mapping, ignored, secrecy, failure string
	var received, finished, due int64
	err := row.Scan(&b.ID, &b.ResourceID, &b.Code, &b.ResourceName, &b.Version, &b.Body, &b.BodyName, &b.District, &b.Mode, &b.State, &b.Channel, &b.Corrects,
		&b.Source, &b.Sender, &b.SenderName, &b.FileName, &b.ContentType, &b.Object, &b.Digest, &b.Size, &layout, &mapping, &ignored, &secrecy, &b.requestKey, &b.prepared,
		&b.Total, &b.Accepted, &b.Rejected, &b.Corrected, &b.Inserted, &b.Updated, &b.Deleted, &b.Missed, &failure, &due, &b.AuditSeq, &received, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, errs.T("没有这个批次", "there is no such batch"))
	}
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		text string
		to   any
	}{{layout, &b.Layout}, {mapping, &b.Mapping}, {ignored, &b.Ignored}, {secrecy, &b.Secrecy}, {failure, &b.Failure}} {
		if p.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(p.text), p.to); err != nil {
			return nil, err
		}
	}
	b.Received, b.Finished, b.Due = when(received), when(finished), when(due)
	return &b, nil
}

// when reads a time; 0 is none.
func when(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return db.Time(ms)
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return db.Ms(t)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data always marshals
	}
	return string(b)
}

func insertBatch(ctx context.Context, q db.Querier, b *Batch, lease lease) error {
	var key any
	if b.requestKey != "" {
		key = b.requestKey
	}
	_, err := q.Exec(ctx, `INSERT INTO intake_batch (id, resource, code, name, version, body, body_name, district, mode, state, channel, corrects, source, sender, sender_name,
		file_name, content_type, object, digest, size, layout, mapping, ignored, secrecy, request_key, due, received, lease_holder, lease_until)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28,$29)`,
		b.ID, b.ResourceID, b.Code, b.ResourceName, b.Version, b.Body, b.BodyName, b.District, string(b.Mode), string(b.State), b.Channel, b.Corrects, string(b.Source), b.Sender, b.SenderName,
		b.FileName, b.ContentType, b.Object, b.Digest, b.Size, text(b.Layout), text(b.Mapping), text(b.Ignored), text(b.Secrecy), key, stamp(b.Due), db.Ms(b.Received), lease.holder, stamp(lease.until))
	if db.IsUnique(err) {
		return errs.New(errs.Conflict, errs.T("同一幂等键的批次已在处理", "a batch with this idempotency key is under way")).In("Idempotency-Key")
	}
	return err
}

func getBatch(ctx context.Context, q db.Querier, id string) (*Batch, error) {
	return scanBatch(q.QueryRow(ctx, `SELECT `+batchColumns+` FROM intake_batch WHERE id = $1`, id))
}

func batchByRequest(ctx context.Context, q db.Querier, sender, resource, key string) (*Batch, error) {
	return scanBatch(q.QueryRow(ctx, `SELECT `+batchColumns+` FROM intake_batch WHERE sender = $1 AND resource = $2 AND request_key = $3`, sender, resource, key))
}

// lastArrival is when the resource's newest batch that was loaded had come.
func lastArrival(ctx context.Context, q db.Querier, resource string) (time.Time, error) {
	var ms sql.NullInt64
	err := q.QueryRow(ctx, `SELECT MAX(received) FROM intake_batch WHERE resource = $1 AND state = 'done' AND corrects = ''`, resource).Scan(&ms)
	return when(ms.Int64), err
}

func setLayout(ctx context.Context, q db.Querier, b *Batch, l lease) error {
	_, err := q.Exec(ctx, `UPDATE intake_batch SET layout = $2, mapping = $3, ignored = $4, state = $5, lease_holder = $6, lease_until = $7 WHERE id = $1`,
		b.ID, text(b.Layout), text(b.Mapping), text(b.Ignored), string(b.State), l.holder, stamp(l.until))
	return err
}

func setState(ctx context.Context, q db.Querier, id string, from, to State, failure *errs.Text, at time.Time) error {
	f := ""
	if failure != nil {
		f = text(failure)
	}
	res, err := q.Exec(ctx, `UPDATE intake_batch SET state = $3, failure = $4, finished = $5, lease_until = 0, prepared = FALSE, total = 0, accepted = 0, rejected = 0 WHERE id = $1 AND state = $2`, id, string(from), string(to), f, db.Ms(at))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errs.New(errs.Conflict, errs.T("批次的状态已经变化", "the batch has moved on meanwhile")))
	}
	return nil
}

func setPrepared(ctx context.Context, q db.Querier, b *Batch) error {
	res, err := q.Exec(ctx, `UPDATE intake_batch SET prepared = TRUE, total = $2, accepted = $3, rejected = $4 WHERE id = $1 AND state = 'loading'`, b.ID, b.Total, b.Accepted, b.Rejected)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errs.New(errs.Conflict, errs.T("批次的状态已经变化", "the batch has moved on meanwhile")))
	}
	return nil
}

// setStopped gives up a batch on its way into the warehouse, unless its rows are
// being committed there; it reports whether it did.
func setStopped(ctx context.Context, q db.Querier, id string, at time.Time) (bool, error) {
	res, err := q.Exec(ctx, `UPDATE intake_batch SET state = 'discarded', finished = $2, lease_until = 0 WHERE id = $1 AND state = 'loading' AND NOT prepared`, id, db.Ms(at))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// setDone writes the receipt; it reports false when another process already did.
func setDone(ctx context.Context, q db.Querier, b *Batch) (bool, error) {
	res, err := q.Exec(ctx, `UPDATE intake_batch SET state = 'done', inserted = $2, updated = $3, deleted = $4, missed = $5, finished = $6, lease_until = 0
		WHERE id = $1 AND state = 'loading'`, b.ID, b.Inserted, b.Updated, b.Deleted, b.Missed, db.Ms(b.Finished))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func addCorrected(ctx context.Context, q db.Querier, id string, n int64) error {
	_, err := q.Exec(ctx, `UPDATE intake_batch SET corrected = corrected + $2 WHERE id = $1`, id, n)
	return err
}

func setAuditSeq(ctx context.Context, q db.Querier, id string, seq int64) error {
	_, err := q.Exec(ctx, `UPDATE intake_batch SET audit_seq = $2 WHERE id = $1`, id, seq)
	return err
}

// claim takes a loading batch whose lease is free, over or one's own.
func claim(ctx context.Context, q db.Querier, id string, l lease, now time.Time) (bool, error) {
	res, err := q.Exec(ctx, `UPDATE intake_batch SET lease_holder = $2, lease_until = $3 WHERE id = $1 AND state = 'loading' AND (lease_until < $4 OR lease_holder = $2)`,
		id, l.holder, stamp(l.until), db.Ms(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// freeLease gives up a dead process's hold on a batch and its resource.
func freeLease(ctx context.Context, q db.Querier, id string) error {
	if _, err := q.Exec(ctx, `UPDATE intake_batch SET lease_until = 0 WHERE id = $1 AND state = 'loading'`, id); err != nil {
		return err
	}
	return endTurn(ctx, q, id)
}

// takeTurn makes it a batch's turn to load its resource, or lengthens the turn; it
// reports false while another batch has it.
func takeTurn(ctx context.Context, q db.Querier, resource, batch string, until, now time.Time) (bool, error) {
	res, err := q.Exec(ctx, `INSERT INTO intake_turn (resource, batch, until) VALUES ($1, $2, $3)
		ON CONFLICT (resource) DO UPDATE SET batch = excluded.batch, until = excluded.until WHERE intake_turn.batch = excluded.batch OR intake_turn.until < $4`,
		resource, batch, db.Ms(until), db.Ms(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// keepTurn lengthens a turn that a batch has; it reports false when it has none.
func keepTurn(ctx context.Context, q db.Querier, resource, batch string, until time.Time) (bool, error) {
	res, err := q.Exec(ctx, `UPDATE intake_turn SET until = $3 WHERE resource = $1 AND batch = $2`, resource, batch, db.Ms(until))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func endTurn(ctx context.Context, q db.Querier, batch string) error {
	_, err := q.Exec(ctx, `DELETE FROM intake_turn WHERE batch = $1`, batch)
	return err
}

// setProgress notes how far a load has come, for whoever asks on any node.
func setProgress(ctx context.Context, q db.Querier, id string, read, good, bad int64) error {
	_, err := q.Exec(ctx, `UPDATE intake_batch SET read_rows = $2, good_rows = $3, bad_rows = $4 WHERE id = $1 AND state = 'loading'`, id, read, good, bad)
	return err
}

func getProgress(ctx context.Context, q db.Querier, id string) (read, good, bad int64, err error) {
	err = q.QueryRow(ctx, `SELECT read_rows, good_rows, bad_rows FROM intake_batch WHERE id = $1`, id).Scan(&read, &good, &bad)
	return read, good, bad, err
}

func unfinished(ctx context.Context, q db.Querier, now time.Time, all bool) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT id FROM intake_batch WHERE state = 'loading' AND ($2 OR lease_until < $1) ORDER BY received`, db.Ms(now), all)
}

var batchOrder = map[string]string{"received": "received", "file": "file_name", "resource": "name", "accepted": "accepted", "rejected": "rejected"}

func listBatches(ctx context.Context, q db.Querier, f Filter) ([]*Batch, int, error) {
	var w db.Where
	for column, v := range map[string]string{"resource": f.Resource, "body": f.Body, "state": string(f.State), "corrects": f.Corrects, "district": f.District} {
		if v != "" {
			w.Add(column+` = ?`, v)
		}
	}
	if f.OpenProblems {
		w.Add(`rejected > corrected`)
	}
	w.Contains(f.Text, "file_name", "name", "code")
	var total int
	if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM intake_batch`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	limit, offset := w.Arg(f.Limit), w.Arg(f.Offset)
	out, err := db.List(ctx, q, scanBatch, `SELECT `+batchColumns+` FROM intake_batch`+w.String()+db.OrderBy(batchOrder, f.Sort, f.Desc, "received DESC, id DESC")+` LIMIT `+limit+` OFFSET `+offset, w.Args...)
	return out, total, err
}

// daySums groups by days of a zone that is offset milliseconds ahead of UTC, which
// has no summer time.
func daySums(ctx context.Context, q db.Querier, body string, since, offset int64) ([]DaySum, error) {
	return db.List(ctx, q, func(row db.Row) (DaySum, error) {
		var d DaySum
		var day int64
		if err := row.Scan(&day, &d.Batches, &d.Accepted, &d.Rejected); err != nil {
			return d, err
		}
		d.Day = time.Unix(day*86400, 0).UTC().Format(time.DateOnly)
		return d, nil
	}, `SELECT (received + $3) / 86400000 AS day, COUNT(*), SUM(accepted), SUM(rejected) FROM intake_batch
		WHERE state = 'done' AND received >= $1 AND ($2 = '' OR body = $2) GROUP BY day ORDER BY day`, since, body, offset)
}

func arrivals(ctx context.Context, q db.Querier, body string) (map[string]time.Time, error) {
	rows, err := q.Query(ctx, `SELECT code, MAX(received) FROM intake_batch WHERE state = 'done' AND corrects = '' AND ($1 = '' OR body = $1) GROUP BY code`, body)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var code string
		var ms int64
		if err := rows.Scan(&code, &ms); err != nil {
			return nil, err
		}
		out[code] = db.Time(ms)
	}
	return out, rows.Err()
}

const channelColumns = `id, resource, code, name, body, body_name, district, modes, reason, state, requested_by, requested_name, requested_at, decided_by, decided_name, decided_at, decision, until`

func scanChannel(row db.Row) (Channel, error) {
	var c Channel
	var modes string
	var requested, decided, until int64
	err := row.Scan(&c.ID, &c.ResourceID, &c.Code, &c.ResourceName, &c.Body, &c.BodyName, &c.District, &modes, &c.Reason, &c.State,
		&c.RequestedBy, &c.RequestedName, &requested, &c.DecidedBy, &c.DecidedName, &decided, &c.Decision, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.New(errs.NotFound, errs.T("没有这个通道", "there is no such channel"))
	}
	for _, m := range strings.Fields(modes) {
		c.Modes = append(c.Modes, warehouse.Mode(m))
	}
	c.RequestedAt, c.DecidedAt, c.Until = when(requested), when(decided), when(until)
	return c, err
}

func insertChannel(ctx context.Context, q db.Querier, c Channel) error {
	_, err := q.Exec(ctx, `INSERT INTO intake_channel (`+channelColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)`,
		c.ID, c.ResourceID, c.Code, c.ResourceName, c.Body, c.BodyName, c.District, modeText(c.Modes), c.Reason, c.State, c.RequestedBy, c.RequestedName, db.Ms(c.RequestedAt),
		c.DecidedBy, c.DecidedName, stamp(c.DecidedAt), c.Decision, db.Ms(c.Until))
	return err
}

func modeText(modes []warehouse.Mode) string {
	var s []string
	for _, m := range modes {
		s = append(s, string(m))
	}
	return strings.Join(s, " ")
}

func decideChannel(ctx context.Context, q db.Querier, c Channel, from string) error {
	res, err := q.Exec(ctx, `UPDATE intake_channel SET state = $3, decided_by = $4, decided_name = $5, decided_at = $6, decision = $7, until = $8, modes = $9 WHERE id = $1 AND state = $2`,
		c.ID, from, c.State, c.DecidedBy, c.DecidedName, db.Ms(c.DecidedAt), c.Decision, db.Ms(c.Until), modeText(c.Modes))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errs.New(errs.Conflict, errs.T("通道的状态已经变化", "the channel has been decided meanwhile")))
	}
	return nil
}

func getChannel(ctx context.Context, q db.Querier, id string) (Channel, error) {
	return scanChannel(q.QueryRow(ctx, `SELECT `+channelColumns+` FROM intake_channel WHERE id = $1`, id))
}

func listChannels(ctx context.Context, q db.Querier, resource, body string) ([]Channel, error) {
	return db.List(ctx, q, scanChannel, `SELECT `+channelColumns+` FROM intake_channel WHERE ($1 = '' OR resource = $1) AND ($2 = '' OR body = $2) ORDER BY requested_at DESC, id DESC LIMIT 500`, resource, body)
}

// late gives the moments by which data was missed and its steward told, by resource code.
func late(ctx context.Context, q db.Querier) (map[lateness]bool, error) {
	told, err := db.List(ctx, q, func(row db.Row) (l lateness, err error) { err = row.Scan(&l.code, &l.due); return l, err },
		`SELECT code, MAX(due) FROM intake_late GROUP BY code`)
	out := map[lateness]bool{}
	for _, l := range told {
		out[l] = true
	}
	return out, err
}

// addLate is false when that lateness was told already.
func addLate(ctx context.Context, tx *db.Tx, l lateness, at time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `INSERT INTO intake_late (code, due, at) VALUES ($1, $2, $3) ON CONFLICT (code, due) DO NOTHING`, l.code, l.due, db.Ms(at))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
