package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

func notFound(code string) error {
	return errs.Newf(errs.NotFound, "目录中没有资源 %s", "the catalog has no resource %s", code).In("code")
}

// nextSerial takes the next serial number under a front code.
func nextSerial(ctx context.Context, q db.Querier, prefix string) (int64, error) {
	var n int64
	err := q.QueryRow(ctx, `INSERT INTO catalog_serial (prefix, last) VALUES ($1, 1)
		ON CONFLICT (prefix) DO UPDATE SET last = catalog_serial.last + 1 RETURNING last`, prefix).Scan(&n)
	return n, err
}

// bodyHead is the third level that stands for a body in the department class; made when first asked.
func bodyHead(ctx context.Context, q db.Querier, item, body, name string) (string, error) {
	var head string
	err := q.QueryRow(ctx, `SELECT head FROM catalog_class_head WHERE class = '3' AND item = $1 AND body = $2`, item, body).Scan(&head)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return head, err
	}
	n, err := nextSerial(ctx, q, "head:3"+item)
	if err != nil {
		return "", err
	}
	if n > 999 {
		return "", errs.Newf(errs.Conflict, "部门信息资源的目已用完（999 个）", "the department class has no free third level left (999)").In("class.head")
	}
	head = fmt.Sprintf("%03d", n)
	_, err = q.Exec(ctx, `INSERT INTO catalog_class_head (class, item, head, name, body) VALUES ('3', $1, $2, $3, $4)`, item, head, name, body)
	return head, err
}

func addHead(ctx context.Context, q db.Querier, class, item, head, name string) error {
	_, err := q.Exec(ctx, `INSERT INTO catalog_class_head (class, item, head, name) VALUES ($1, $2, $3, $4)`, class, item, head, name)
	if db.IsUnique(err) {
		return errs.Newf(errs.Conflict, "目 %s 已经存在", "third level %s exists already", class+item+head).In("head")
	}
	return err
}

// Head is a third level of the classification.
type Head struct{ Class, Item, Head, Name, Body string }

func heads(ctx context.Context, q db.Querier) ([]Head, error) {
	return db.List(ctx, q, func(row db.Row) (Head, error) {
		var h Head
		err := row.Scan(&h.Class, &h.Item, &h.Head, &h.Name, &h.Body)
		return h, err
	}, `SELECT class, item, head, name, body FROM catalog_class_head ORDER BY class, item, head`)
}

func insertResource(ctx context.Context, q db.Querier, r *Resource) error {
	_, err := q.Exec(ctx, `INSERT INTO catalog_resource (id, code, body, kind, version, next_column, created_by, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`, r.ID, r.Code, r.Body, string(r.Kind), r.Version, r.NextColumn, r.CreatedBy, db.Ms(r.CreatedAt))
	if db.IsUnique(err) {
		return errs.Newf(errs.Conflict, "资源代码 %s 已被使用", "resource code %s is taken", r.Code).In("code")
	}
	return err
}

// putVersion writes a version's document and index columns, and the resource's newest version.
func putVersion(ctx context.Context, q db.Querier, r *Resource) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := q.Exec(ctx, `INSERT INTO catalog_version
		(resource, version, state, revision, name, body_name, sharing, opening, cycle, theme, region, grade, doc, updated_at, published_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (resource, version) DO UPDATE SET state = excluded.state, revision = excluded.revision, name = excluded.name,
			body_name = excluded.body_name, sharing = excluded.sharing, opening = excluded.opening, cycle = excluded.cycle,
			theme = excluded.theme, region = excluded.region, grade = excluded.grade, doc = excluded.doc,
			updated_at = excluded.updated_at, published_at = excluded.published_at`,
		r.ID, r.Version, string(r.State), r.Revision, r.Name, r.BodyName, string(r.Sharing), string(r.Opening), string(r.Cycle),
		r.Theme, r.Region, r.Grade, string(doc), db.Ms(r.UpdatedAt), db.Ms(r.PublishedAt)); err != nil {
		return err
	}
	_, err = q.Exec(ctx, `UPDATE catalog_resource SET version = (SELECT max(version) FROM catalog_version WHERE resource = $1),
		kind = $2, next_column = $3, updated_at = $4 WHERE id = $1`, r.ID, string(r.Kind), r.NextColumn, db.Ms(r.UpdatedAt))
	return err
}

// putItemNames keeps the item names of the newest version for the search for duplicates.
func putItemNames(ctx context.Context, q db.Querier, r *Resource) error {
	if _, err := q.Exec(ctx, `DELETE FROM catalog_item WHERE resource = $1`, r.ID); err != nil {
		return err
	}
	const chunk = 400
	var names []any
	seen := map[string]bool{}
	for _, it := range r.Items {
		if it.Name != "" && !seen[it.Name] {
			seen[it.Name] = true
			names = append(names, it.Name)
		}
	}
	for len(names) > 0 {
		n := min(chunk, len(names))
		var b strings.Builder
		b.WriteString(`INSERT INTO catalog_item (resource, name) VALUES `)
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("($1, $" + strconv.Itoa(i+2) + ")")
		}
		if _, err := q.Exec(ctx, b.String(), append([]any{r.ID}, names[:n]...)...); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

func setPublished(ctx context.Context, q db.Querier, id string, version int, withdrawn bool) error {
	_, err := q.Exec(ctx, `UPDATE catalog_resource SET published = $2, withdrawn = $3 WHERE id = $1`, id, version, withdrawn)
	return err
}

func deleteResource(ctx context.Context, q db.Querier, id string) error {
	for _, statement := range []string{
		`DELETE FROM catalog_item WHERE resource = $1`,
		`DELETE FROM catalog_event WHERE resource = $1`,
		`DELETE FROM catalog_version WHERE resource = $1`,
		`DELETE FROM catalog_resource WHERE id = $1`,
	} {
		if _, err := q.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return nil
}

func deleteVersion(ctx context.Context, q db.Querier, id string, version int) error {
	if _, err := q.Exec(ctx, `DELETE FROM catalog_version WHERE resource = $1 AND version = $2`, id, version); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `UPDATE catalog_resource SET version = (SELECT max(version) FROM catalog_version WHERE resource = $1) WHERE id = $1`, id)
	return err
}

// getVersion reads a version: 0 the one in force, -1 the newest.
func getVersion(ctx context.Context, q db.Querier, code string, version int) (*Resource, error) {
	code = ParseCode(code)
	where, args := `v.version = $2`, []any{code, version}
	switch version {
	case 0:
		where, args = `v.version = c.published AND c.published > 0`, args[:1]
	case -1:
		where, args = `v.version = c.version`, args[:1]
	}
	return scanVersion(q.QueryRow(ctx, `SELECT c.published, c.next_column, v.revision, v.doc FROM catalog_resource c
		JOIN catalog_version v ON v.resource = c.id WHERE c.code = $1 AND `+where, args...), code)
}

func getVersionByID(ctx context.Context, q db.Querier, id string, version int) (*Resource, error) {
	where, args := `v.version = $2`, []any{id, version}
	switch version {
	case 0:
		where, args = `v.version = c.published AND c.published > 0`, args[:1]
	case -1:
		where, args = `v.version = c.version`, args[:1]
	}
	return scanVersion(q.QueryRow(ctx, `SELECT c.published, c.next_column, v.revision, v.doc FROM catalog_resource c
		JOIN catalog_version v ON v.resource = c.id WHERE c.id = $1 AND `+where, args...), id)
}

func scanVersion(row *sql.Row, code string) (*Resource, error) {
	var published, next, revision int64
	var doc string
	if err := row.Scan(&published, &next, &revision, &doc); errors.Is(err, sql.ErrNoRows) {
		return nil, notFound(code)
	} else if err != nil {
		return nil, err
	}
	r := new(Resource)
	if err := json.Unmarshal([]byte(doc), r); err != nil {
		return nil, fmt.Errorf("catalog document of %s: %w", code, err)
	}
	r.Current = published > 0 && int64(r.Version) == published
	r.NextColumn = int(next)
	r.Revision = revision
	return r, nil
}

func versions(ctx context.Context, q db.Querier, code string) ([]*Resource, error) {
	rows, err := q.Query(ctx, `SELECT c.published, c.next_column, v.revision, v.doc FROM catalog_resource c
		JOIN catalog_version v ON v.resource = c.id WHERE c.code = $1 ORDER BY v.version DESC`, ParseCode(code))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Resource
	for rows.Next() {
		var published, next, revision int64
		var doc string
		if err := rows.Scan(&published, &next, &revision, &doc); err != nil {
			return nil, err
		}
		r := new(Resource)
		if err := json.Unmarshal([]byte(doc), r); err != nil {
			return nil, fmt.Errorf("catalog document of %s: %w", code, err)
		}
		r.Current = published > 0 && int64(r.Version) == published
		r.NextColumn, r.Revision = int(next), revision
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, notFound(code)
	}
	return out, nil
}

// bump gives the change a number in commit order: the update of the one row serialises writers.
func bump(ctx context.Context, q db.Querier, resource string, at time.Time) error {
	var seq int64
	if err := q.QueryRow(ctx, `UPDATE catalog_sequence SET seq = seq + 1 WHERE one = 1 RETURNING seq`).Scan(&seq); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `INSERT INTO catalog_change (seq, resource, at) VALUES ($1, $2, $3)`, seq, resource, db.Ms(at))
	return err
}

// Change is one step of the change sequence.
type Change struct {
	Seq      int64
	Resource string // id
}

func changes(ctx context.Context, q db.Querier, after int64, limit int) ([]Change, error) {
	return db.List(ctx, q, func(row db.Row) (Change, error) {
		var c Change
		err := row.Scan(&c.Seq, &c.Resource)
		return c, err
	}, `SELECT seq, resource FROM catalog_change WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
}

func sequence(ctx context.Context, q db.Querier) (int64, error) {
	var seq int64
	err := q.QueryRow(ctx, `SELECT seq FROM catalog_sequence WHERE one = 1`).Scan(&seq)
	return seq, err
}

func addEvent(ctx context.Context, q db.Querier, resource string, e Event) error {
	_, err := q.Exec(ctx, `INSERT INTO catalog_event (id, resource, version, at, action, actor, name, post, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, db.NewID(), resource, e.Version, db.Ms(e.At), e.Action, e.By, e.Name, e.Post, e.Note)
	return err
}

func events(ctx context.Context, q db.Querier, resource string) ([]Event, error) {
	return db.List(ctx, q, func(row db.Row) (Event, error) {
		var e Event
		var at int64
		if err := row.Scan(&e.Version, &at, &e.Action, &e.By, &e.Name, &e.Post, &e.Note); err != nil {
			return e, err
		}
		e.At = db.Time(at)
		return e, nil
	}, `SELECT version, at, action, actor, name, post, note FROM catalog_event WHERE resource = $1 ORDER BY at DESC, id DESC`, resource)
}

// drafters are the people who wrote at a version, a draft of it that was thrown away included.
func drafters(ctx context.Context, q db.Querier, resource string, version int) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT DISTINCT actor FROM catalog_event
		WHERE resource = $1 AND version = $2 AND action IN ('create', 'import', 'edit', 'revise') ORDER BY actor`, resource, version)
}

// namesLike lists the newest versions' names of all resources but one, for the search for duplicates.
func eachName(ctx context.Context, q db.Querier, except string, fn func(id, code, name, body, bodyName string)) error {
	rows, err := q.Query(ctx, `SELECT c.id, c.code, v.name, c.body, v.body_name FROM catalog_resource c
		JOIN catalog_version v ON v.resource = c.id AND v.version = c.version
		WHERE c.id <> $1 AND c.withdrawn = FALSE AND v.state <> 'withdrawn'`, except)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, code, name, body, bodyName string
		if err := rows.Scan(&id, &code, &name, &body, &bodyName); err != nil {
			return err
		}
		fn(id, code, name, body, bodyName)
	}
	return rows.Err()
}

// sharingItems counts for every other resource how many of the item names it has.
func sharingItems(ctx context.Context, q db.Querier, except string, names []string) (map[string]int, error) {
	out := map[string]int{}
	const chunk = 400
	for len(names) > 0 {
		n := min(chunk, len(names))
		args := []any{except}
		marks := make([]string, n)
		for i, name := range names[:n] {
			args = append(args, name)
			marks[i] = "$" + strconv.Itoa(i+2)
		}
		rows, err := q.Query(ctx, `SELECT i.resource, count(*) FROM catalog_item i
			JOIN catalog_resource c ON c.id = i.resource AND c.withdrawn = FALSE
			WHERE i.resource <> $1 AND i.name IN (`+strings.Join(marks, ", ")+`) GROUP BY i.resource`, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var id string
			var count int
			if err := rows.Scan(&id, &count); err != nil {
				rows.Close()
				return nil, err
			}
			out[id] += count
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		rows.Close()
		names = names[n:]
	}
	return out, nil
}

func itemNames(ctx context.Context, q db.Querier, resource string) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT name FROM catalog_item WHERE resource = $1`, resource)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// Filter of a list by columns. Empty fields do not restrict.
type ListFilter struct {
	Body   string
	State  State // of the newest version
	Kind   Kind
	Theme  string
	Post   string // internal: which tasks
	After  int    // offset
	Limit  int    // at most 1000; 0 is 50
	Newest bool   // list newest versions; false lists versions in force
}

func list(ctx context.Context, q db.Querier, f ListFilter) ([]Row, int, error) {
	join := `v.version = c.version`
	if !f.Newest {
		join = `v.version = c.published AND c.published > 0`
	}
	where := []string{"TRUE"}
	var args []any
	and := func(column string, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, column+" = $"+strconv.Itoa(len(args)))
		}
	}
	and("c.body", f.Body)
	and("v.state", string(f.State))
	and("c.kind", string(f.Kind))
	and("v.theme", f.Theme)
	from := ` FROM catalog_resource c JOIN catalog_version v ON v.resource = c.id AND ` + join + ` WHERE ` + strings.Join(where, " AND ")
	var total int
	if err := q.QueryRow(ctx, `SELECT count(*)`+from, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 1000)
	args = append(args, limit, max(f.After, 0))
	rows, err := q.Query(ctx, `SELECT c.published, c.withdrawn, v.doc`+from+` ORDER BY v.updated_at DESC, c.id DESC LIMIT $`+strconv.Itoa(len(args)-1)+` OFFSET $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var out []Row
	for rows.Next() {
		var published int
		var withdrawn bool
		var doc string
		if err := rows.Scan(&published, &withdrawn, &doc); err != nil {
			return nil, 0, err
		}
		var r Resource
		if err := json.Unmarshal([]byte(doc), &r); err != nil {
			return nil, 0, err
		}
		out = append(out, RowOf(&r, published, withdrawn))
	}
	return out, total, rows.Err()
}

// RowOf makes a list line of a version.
func RowOf(r *Resource, published int, withdrawn bool) Row {
	return Row{ID: r.ID, Code: r.Code, Name: r.Name, Summary: r.Summary, Kind: r.Kind, Version: r.Version, State: r.State,
		PublishedVersion: published, Body: r.Body, BodyName: r.BodyName, Theme: r.Theme, Region: r.Region, Sharing: r.Sharing,
		Opening: r.Opening, Cycle: r.Cycle, Grade: r.Grade, UpdatedAt: r.UpdatedAt, PublishedAt: r.PublishedAt,
		Items: len(r.Items), Withdrawn: withdrawn}
}

// eachID lists the ids of all resources in the order of their making.
func eachID(ctx context.Context, q db.Querier, after string, limit int) ([]string, error) {
	return db.Values[string](ctx, q, `SELECT id FROM catalog_resource WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// codesPresent tells which of the codes the catalog has.
func codesPresent(ctx context.Context, q db.Querier, codes []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, c := range codes {
		var one int
		err := q.QueryRow(ctx, `SELECT 1 FROM catalog_resource WHERE code = $1`, ParseCode(c)).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[c] = true
	}
	return out, nil
}

// counts of newest versions by state, of a body or of all ("").
func countByState(ctx context.Context, q db.Querier, body string) (map[State]int, error) {
	return db.Pairs[State, int](ctx, q, `SELECT v.state, count(*) FROM catalog_resource c JOIN catalog_version v ON v.resource = c.id AND v.version = c.version
		WHERE $1 = '' OR c.body = $1 GROUP BY v.state`, body)
}

type upload struct {
	ID, Kind, Actor, Body, FileName, Digest string
	Doc                                     string
	Problems                                int
	CreatedAt, DoneAt                       time.Time
}

func insertUpload(ctx context.Context, q db.Querier, u upload) error {
	_, err := q.Exec(ctx, `INSERT INTO catalog_upload (id, kind, actor, body, file_name, digest, doc, problems, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, u.ID, u.Kind, u.Actor, u.Body, u.FileName, u.Digest, u.Doc, u.Problems, db.Ms(u.CreatedAt))
	return err
}

func getUpload(ctx context.Context, q db.Querier, id, kind string) (upload, error) {
	u := upload{ID: id, Kind: kind}
	var created, done int64
	err := q.QueryRow(ctx, `SELECT actor, body, file_name, digest, doc, problems, created_at, done_at FROM catalog_upload WHERE id = $1 AND kind = $2`, id, kind).
		Scan(&u.Actor, &u.Body, &u.FileName, &u.Digest, &u.Doc, &u.Problems, &created, &done)
	if errors.Is(err, sql.ErrNoRows) {
		return u, errs.New(errs.NotFound, errs.T("没有这次上传，或已过期", "no such upload, or it has expired"))
	}
	u.CreatedAt, u.DoneAt = db.Time(created), db.Time(done)
	return u, err
}

// finishUpload marks an upload as taken over; false when somebody has done it before.
func finishUpload(ctx context.Context, q db.Querier, id string, at time.Time) (bool, error) {
	res, err := q.Exec(ctx, `UPDATE catalog_upload SET done_at = $2 WHERE id = $1 AND done_at = 0`, id, db.Ms(at))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func dropUploads(ctx context.Context, q db.Querier, before time.Time) error {
	_, err := q.Exec(ctx, `DELETE FROM catalog_upload WHERE created_at < $1`, db.Ms(before))
	return err
}
