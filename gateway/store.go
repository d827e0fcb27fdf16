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
