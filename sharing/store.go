package sharing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

func putRequest(ctx context.Context, tx *db.Tx, r Request) error {
	detail, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO sharing_request (id, number, case_id, kind, state, resource, resource_name, consumer, provider, district, mode, maker, grant_id, created_at, decided_at, detail)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)
		ON CONFLICT (id) DO UPDATE SET state=excluded.state, mode=excluded.mode, grant_id=excluded.grant_id, decided_at=excluded.decided_at, detail=excluded.detail`,
		r.ID, r.Number, r.CaseID, r.Kind, r.State, r.Resource, r.ResourceName, r.Consumer, r.Provider, r.District, r.Mode, r.Maker, r.GrantID,
		db.Ms(r.CreatedAt), db.Ms(r.DecidedAt), string(detail))
	return err
}

func oneRequest(ctx context.Context, q db.Querier, query string, args ...any) (Request, error) {
	var r Request
	var detail string
	err := q.QueryRow(ctx, query, args...).Scan(&detail)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errs.New(errs.NotFound, errs.T("没有这项申请", "there is no such request")).In("request")
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(detail), &r)
}

func getRequest(ctx context.Context, q db.Querier, id string) (Request, error) {
	return oneRequest(ctx, q, `SELECT detail FROM sharing_request WHERE number=$1 OR id=$1`, id)
}

func requestOfCase(ctx context.Context, q db.Querier, caseID string) (Request, error) {
	return oneRequest(ctx, q, `SELECT detail FROM sharing_request WHERE case_id=$1`, caseID)
}

// requestOfGrant is the request by which a grant came about.
func requestOfGrant(ctx context.Context, q db.Querier, grantID string) (Request, error) {
	return oneRequest(ctx, q, `SELECT detail FROM sharing_request WHERE grant_id=$1 ORDER BY created_at LIMIT 1`, grantID)
}

// pendingLike finds a request of the same body for the same resource and mode
// that still waits, so that one need is not applied for twice.
func pendingLike(ctx context.Context, q db.Querier, consumer, resource, mode, kind string) (string, error) {
	var number string
	err := q.QueryRow(ctx, `SELECT number FROM sharing_request WHERE consumer=$1 AND resource=$2 AND mode=$3 AND kind=$4 AND state IN ('pending','returned') LIMIT 1`,
		consumer, resource, mode, kind).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return number, err
}

var requestOrder = map[string]string{"created": "created_at", "decided": "decided_at", "name": "resource_name", "number": "number"}

func listRequests(ctx context.Context, q db.Querier, f Filter) ([]Request, int, error) {
	var w db.Where
	eq := func(column, v string) {
		if v != "" {
			w.Add(column+" = ?", v)
		}
	}
	eq("state", f.State)
	eq("kind", f.Kind)
	eq("mode", f.Mode)
	eq("resource", f.Resource)
	eq("consumer", f.Consumer)
	eq("provider", f.Provider)
	eq("district", f.District)
	if f.Party != "" {
		w.Add("(consumer = ? OR provider = ?)", f.Party, f.Party)
	}
	w.Contains(f.Text, "resource_name", "number", "detail")
	var total int
	if err := q.QueryRow(ctx, `SELECT count(*) FROM sharing_request`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	limit, offset := w.Arg(f.Limit), w.Arg(f.Offset)
	rows, err := q.Query(ctx, `SELECT detail FROM sharing_request`+w.String()+db.OrderBy(requestOrder, f.Sort, f.Desc, "created_at DESC, id DESC")+` LIMIT `+limit+` OFFSET `+offset, w.Args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var out []Request
	for rows.Next() {
		var detail string
		var r Request
		if err := rows.Scan(&detail); err != nil {
			return nil, 0, err
		}
		if err := json.Unmarshal([]byte(detail), &r); err != nil {
			return nil, 0, err
		}
		out = append(out, r)
	}
	return out, total, rows.Err()
}
