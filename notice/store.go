package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// insert keeps a message; under a key that the person was told of already it
// keeps nothing.
func insert(ctx context.Context, tx *db.Tx, m Message, once string) error {
	values, err := json.Marshal(m.Values)
	if err != nil {
		return err
	}
	if once == "" {
		once = m.ID
	}
	_, err = tx.Exec(ctx, `INSERT INTO notice_message (id, person, once_key, kind, word_values, about_kind, about_id, clauses, body, post, at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (person, once_key) DO NOTHING`,
		m.ID, m.Person, once, string(m.Kind), string(values), m.About.Kind, m.About.ID, strings.Join(m.Clauses, " "), m.Body, string(m.Post), db.Ms(m.At))
	return err
}

const columns = `id, person, kind, word_values, about_kind, about_id, clauses, body, post, at, read_at`

func scan(row db.Row) (Message, error) {
	var m Message
	var values, clauses string
	var at, read int64
	err := row.Scan(&m.ID, &m.Person, &m.Kind, &values, &m.About.Kind, &m.About.ID, &clauses, &m.Body, &m.Post, &at, &read)
	if errors.Is(err, sql.ErrNoRows) {
		return m, errs.New(errs.NotFound, errs.T("没有这条消息", "there is no such message"))
	}
	if err != nil {
		return m, err
	}
	m.At, m.ReadAt, m.Clauses = db.Time(at), db.Time(read), strings.Fields(clauses)
	return m, json.Unmarshal([]byte(values), &m.Values)
}

func get(ctx context.Context, q db.Querier, person, id string) (Message, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM notice_message WHERE id = $1 AND person = $2`, id, person))
}

func list(ctx context.Context, q db.Querier, person string, f Filter) ([]Message, int, error) {
	var w db.Where
	w.Add(`person = ?`, person)
	if f.Topic != "" {
		w.Starts(f.Topic+"_", "kind")
	}
	switch f.State {
	case "unread":
		w.Add(`read_at = 0`)
	case "read":
		w.Add(`read_at > 0`)
	}
	var total int
	if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM notice_message`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := ` ORDER BY at DESC, id DESC`
	if f.Oldest {
		order = ` ORDER BY at, id`
	}
	where, limit, offset := w.String(), w.Arg(f.Limit), w.Arg(f.Offset)
	out, err := db.List(ctx, q, scan, `SELECT `+columns+` FROM notice_message`+where+order+` LIMIT `+limit+` OFFSET `+offset, w.Args...)
	return out, total, err
}

func unread(ctx context.Context, q db.Querier, person string) (n int, err error) {
	err = q.QueryRow(ctx, `SELECT COUNT(*) FROM notice_message WHERE person = $1 AND read_at = 0`, person).Scan(&n)
	return n, err
}

func setRead(ctx context.Context, tx *db.Tx, person, id string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE notice_message SET read_at = $3 WHERE id = $1 AND person = $2 AND read_at = 0`, id, person, db.Ms(at))
	return err
}

func setAllRead(ctx context.Context, tx *db.Tx, person string, at time.Time) (int, error) {
	res, err := tx.Exec(ctx, `UPDATE notice_message SET read_at = $2 WHERE person = $1 AND read_at = 0`, person, db.Ms(at))
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}
