package casework

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/workday"
)

func joinWords(ids []string) string { return strings.Join(ids, " ") }

func splitWords(s string) []string { return strings.Fields(s) }

// nextNumber gives prefix-year-000001 and counts on.
func nextNumber(ctx context.Context, tx *db.Tx, prefix string, year int) (string, error) {
	key := fmt.Sprintf("%s-%d", prefix, year)
	var n int64
	err := tx.QueryRow(ctx, `INSERT INTO casework_counter (prefix, n) VALUES ($1, 1)
		ON CONFLICT (prefix) DO UPDATE SET n = casework_counter.n + 1 RETURNING n`, key).Scan(&n)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%06d", key, n), nil
}

func insertCase(ctx context.Context, tx *db.Tx, c Case) error {
	proc, err := json.Marshal(c.Procedure)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO casework_case (id, number, kind, title, state, step, subject_kind, subject, resource, district,
		maker, maker_name, makers, received_on, opened_at, procedure, profile, parent)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)`,
		c.ID, c.Number, c.Kind, c.Title, c.State, c.Step, c.SubjectKind, c.Subject, c.Resource, c.District,
		c.Maker, c.MakerName, joinWords(c.Makers), c.ReceivedOn.String(), db.Ms(c.OpenedAt), string(proc), c.Profile, c.Parent)
	if err != nil {
		return err
	}
	for _, p := range c.Parties {
		if _, err := tx.Exec(ctx, `INSERT INTO casework_party (case_id, relation, body, body_name) VALUES ($1,$2,$3,$4)`,
			c.ID, p.Relation, p.Body, p.BodyName); err != nil {
			return err
		}
	}
	return nil
}

// lockCase makes two deciders of one case queue up, and reads the case as it is
// once it is this one's turn.
func lockCase(ctx context.Context, tx *db.Tx, id string) (Case, error) {
	if _, err := tx.Exec(ctx, `UPDATE casework_case SET revision = revision + 1 WHERE id = $1`, id); err != nil {
		return Case{}, err
	}
	return getCase(ctx, tx, id)
}

func updateCase(ctx context.Context, tx *db.Tx, c Case) error {
	_, err := tx.Exec(ctx, `UPDATE casework_case SET state=$2, outcome=$3, step=$4, closed_at=$5, due_on=$6, due_at=$7, reason=$8, maker=$9, maker_name=$10, makers=$11 WHERE id=$1`,
		c.ID, c.State, c.Outcome, c.Step, db.Ms(c.ClosedAt), c.DueOn, db.Ms(c.DueAt), c.Reason, c.Maker, c.MakerName, joinWords(c.Makers))
	return err
}

const caseColumns = `c.id, c.number, c.kind, c.title, c.state, c.outcome, c.step, c.subject_kind, c.subject, c.resource, c.district,
	c.maker, c.maker_name, c.makers, c.received_on, c.opened_at, c.closed_at, c.due_on, c.due_at, c.reason, c.procedure, c.profile, c.parent`

func scanCase(row db.Row) (Case, error) {
	var c Case
	var makers, received, proc string
	var opened, closed, due int64
	err := row.Scan(&c.ID, &c.Number, &c.Kind, &c.Title, &c.State, &c.Outcome, &c.Step, &c.SubjectKind, &c.Subject, &c.Resource, &c.District,
		&c.Maker, &c.MakerName, &makers, &received, &opened, &closed, &c.DueOn, &due, &c.Reason, &proc, &c.Profile, &c.Parent)
	if err != nil {
		return c, err
	}
	c.Makers = splitWords(makers)
	c.OpenedAt, c.ClosedAt, c.DueAt = db.Time(opened), db.Time(closed), db.Time(due)
	if c.ReceivedOn, err = workday.ParseDate(received); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(proc), &c.Procedure)
}

func getCase(ctx context.Context, q db.Querier, id string) (Case, error) {
	c, err := scanCase(q.QueryRow(ctx, `SELECT `+caseColumns+` FROM casework_case c WHERE c.id = $1 OR c.number = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.New(errs.NotFound, errs.T("没有这个办件", "there is no such case"))
	}
	if err != nil {
		return c, err
	}
	c.Parties, err = partiesOf(ctx, q, c.ID)
	return c, err
}

func partiesOf(ctx context.Context, q db.Querier, id string) ([]Party, error) {
	one := []Case{{ID: id}}
	err := withParties(ctx, q, one)
	return one[0].Parties, err
}

func insertTask(ctx context.Context, tx *db.Tx, t Task) error {
	_, err := tx.Exec(ctx, `INSERT INTO casework_task (id, case_id, step, step_no, kind, post, relation, body, clock, clauses, state, opened_at, due_on, due_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
		t.ID, t.CaseID, t.Step, t.StepNo, t.Kind, t.Post, t.Relation, t.Body, t.Clock, joinWords(t.Clauses), t.State, db.Ms(t.OpenedAt), t.DueOn, db.Ms(t.DueAt))
	return err
}

// finishTask closes an open task; a task that somebody else has closed meanwhile
// is a conflict.
func finishTask(ctx context.Context, tx *db.Tx, t Task) error {
	res, err := tx.Exec(ctx, `UPDATE casework_task SET state=$2, decided_at=$3, actor=$4, actor_name=$5, outcome=$6, reason=$7, late=$8 WHERE id=$1 AND state='open'`,
		t.ID, t.State, db.Ms(t.DecidedAt), t.Actor, t.ActorName, t.Outcome, t.Reason, t.Late)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return errs.New(errs.Conflict, errs.T("该事项已由他人办理，请刷新", "somebody has dealt with this already; reload"))
}

func cancelTasks(ctx context.Context, tx *db.Tx, caseID string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE casework_task SET state='cancelled', decided_at=$2 WHERE case_id=$1 AND state='open'`, caseID, db.Ms(at))
	return err
}

// finishMending ends the task that a return left with the applicant.
func finishMending(ctx context.Context, tx *db.Tx, actor identity.Actor, caseID string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE casework_task SET state='done', decided_at=$2, actor=$3, actor_name=$4 WHERE case_id=$1 AND kind=$5 AND state='open'`,
		caseID, db.Ms(at), actor.ID, actor.Name, Mend)
	return err
}

func moveTasks(ctx context.Context, tx *db.Tx, caseID, clock, dueOn string, dueAt time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE casework_task SET due_on=$3, due_at=$4 WHERE case_id=$1 AND clock=$2 AND state='open'`, caseID, clock, dueOn, db.Ms(dueAt))
	return err
}

const taskColumns = `t.id, t.case_id, t.step, t.step_no, t.kind, t.post, t.relation, t.body, t.clock, t.clauses, t.state, t.opened_at,
	t.due_on, t.due_at, t.decided_at, t.actor, t.actor_name, t.outcome, t.reason, t.late`

func scanTask(row db.Row, more ...any) (Task, error) {
	var t Task
	var clauses string
	var opened, due, decided int64
	into := []any{&t.ID, &t.CaseID, &t.Step, &t.StepNo, &t.Kind, &t.Post, &t.Relation, &t.Body, &t.Clock, &clauses, &t.State, &opened,
		&t.DueOn, &due, &decided, &t.Actor, &t.ActorName, &t.Outcome, &t.Reason, &t.Late}
	if err := row.Scan(append(into, more...)...); err != nil {
		return t, err
	}
	t.Clauses, t.OpenedAt, t.DueAt, t.DecidedAt = splitWords(clauses), db.Time(opened), db.Time(due), db.Time(decided)
	return t, nil
}

func getTask(ctx context.Context, q db.Querier, id string) (Task, error) {
	t, err := scanTask(q.QueryRow(ctx, `SELECT `+taskColumns+` FROM casework_task t WHERE t.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return t, errs.New(errs.NotFound, errs.T("没有这项待办", "there is no such task"))
	}
	return t, err
}

func tasksOf(ctx context.Context, q db.Querier, caseID string) ([]Task, error) {
	return db.List(ctx, q, func(row db.Row) (Task, error) { return scanTask(row) }, `SELECT `+taskColumns+` FROM casework_task t WHERE t.case_id = $1 ORDER BY t.opened_at, t.step_no, t.id`, caseID)
}

func countOpen(ctx context.Context, tx *db.Tx, caseID, step string) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM casework_task WHERE case_id=$1 AND step=$2 AND state='open'`, caseID, step).Scan(&n)
	return n, err
}

func saveClock(ctx context.Context, tx *db.Tx, caseID string, c Clock) error {
	_, err := tx.Exec(ctx, `INSERT INTO casework_clock (case_id, name, state, budget, started_on, due_on, due_at, provisional, calendar, stopped_on)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
		ON CONFLICT (case_id, name) DO UPDATE SET state=excluded.state, budget=excluded.budget, due_on=excluded.due_on, due_at=excluded.due_at,
		provisional=excluded.provisional, calendar=excluded.calendar, stopped_on=excluded.stopped_on`,
		caseID, c.Name, c.State, c.Budget, c.StartedOn.String(), c.DueOn, db.Ms(c.DueAt), c.Provisional, c.Calendar, c.StoppedOn)
	return err
}

func addClockEntry(ctx context.Context, tx *db.Tx, caseID, name string, e ClockEntry) error {
	_, err := tx.Exec(ctx, `INSERT INTO casework_clock_entry (id, case_id, name, kind, on_date, days, due_on, reason, clauses, calendar, actor, at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		db.NewID(), caseID, name, e.Kind, e.On.String(), e.Days, e.DueOn, e.Reason, joinWords(e.Clauses), e.Calendar, e.Actor, db.Ms(e.At))
	return err
}

func clocksOf(ctx context.Context, q db.Querier, caseID string) ([]Clock, error) {
	rows, err := q.Query(ctx, `SELECT name, state, budget, started_on, due_on, due_at, provisional, calendar, stopped_on
		FROM casework_clock WHERE case_id=$1 ORDER BY started_on, name`, caseID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Clock
	for rows.Next() {
		var c Clock
		var started string
		var due int64
		if err := rows.Scan(&c.Name, &c.State, &c.Budget, &started, &c.DueOn, &due, &c.Provisional, &c.Calendar, &c.StoppedOn); err != nil {
			return nil, err
		}
		c.DueAt = db.Time(due)
		if c.StartedOn, err = workday.ParseDate(started); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	for i := range out {
		if out[i].Entries, err = clockEntries(ctx, q, caseID, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func clockEntries(ctx context.Context, q db.Querier, caseID, name string) ([]ClockEntry, error) {
	return db.List(ctx, q, func(row db.Row) (ClockEntry, error) {
		var err error
		var e ClockEntry
		var on, clauses string
		var at int64
		if err := row.Scan(&e.ID, &e.Kind, &on, &e.Days, &e.DueOn, &e.Reason, &clauses, &e.Calendar, &e.Actor, &at); err != nil {
			return e, err
		}
		e.Clauses, e.At = splitWords(clauses), db.Time(at)
		if e.On, err = workday.ParseDate(on); err != nil {
			return e, err
		}
		return e, nil
	}, `SELECT id, kind, on_date, days, due_on, reason, clauses, calendar, actor, at
		FROM casework_clock_entry WHERE case_id=$1 AND name=$2 ORDER BY id`, caseID, name)
}

func addEvent(ctx context.Context, tx *db.Tx, caseID string, e Event) error {
	facts := "{}"
	if len(e.Facts) > 0 {
		b, err := json.Marshal(e.Facts)
		if err != nil {
			return err
		}
		facts = string(b)
	}
	_, err := tx.Exec(ctx, `INSERT INTO casework_event (id, case_id, at, kind, step, actor, actor_name, body, body_name, post, outcome, reason, clauses, facts)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
		db.NewID(), caseID, db.Ms(e.At), e.Kind, e.Step, e.Actor, e.ActorName, e.Body, e.BodyName, e.Post, e.Outcome, e.Reason, joinWords(e.Clauses), facts)
	return err
}

func eventsOf(ctx context.Context, q db.Querier, caseID string) ([]Event, error) {
	return db.List(ctx, q, func(row db.Row) (Event, error) {
		var e Event
		var at int64
		var clauses, facts string
		if err := row.Scan(&e.ID, &at, &e.Kind, &e.Step, &e.Actor, &e.ActorName, &e.Body, &e.BodyName, &e.Post, &e.Outcome, &e.Reason, &clauses, &facts); err != nil {
			return e, err
		}
		e.At, e.Clauses = db.Time(at), splitWords(clauses)
		if err := json.Unmarshal([]byte(facts), &e.Facts); err != nil {
			return e, err
		}
		return e, nil
	}, `SELECT id, at, kind, step, actor, actor_name, body, body_name, post, outcome, reason, clauses, facts
		FROM casework_event WHERE case_id=$1 ORDER BY id`, caseID)
}

// addReminder reports whether the reminder is new: each is raised once a case,
// step and kind.
func addReminder(ctx context.Context, tx *db.Tx, caseID, step, kind, dueOn string, at time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `INSERT INTO casework_reminder (case_id, step, kind, at, due_on) VALUES ($1,$2,$3,$4,$5) ON CONFLICT (case_id, step, kind) DO NOTHING`,
		caseID, step, kind, db.Ms(at), dueOn)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// dueCandidates lists the cases that are not closed and have a running deadline at or
// before the given instant, oldest first, at most limit.
func dueCandidates(ctx context.Context, q db.Querier, until time.Time, after string, limit int) ([]Case, error) {
	return db.List(ctx, q, scanCase, `SELECT `+caseColumns+` FROM casework_case c
		WHERE c.state <> 'closed' AND c.due_at > 0 AND c.due_at <= $1 AND c.id > $2 ORDER BY c.id LIMIT $3`, db.Ms(until), after, limit)
}

func remindersOf(ctx context.Context, q db.Querier, caseID string) (map[string]bool, error) {
	rows, err := q.Query(ctx, `SELECT step, kind FROM casework_reminder WHERE case_id=$1`, caseID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var step, kind string
		if err := rows.Scan(&step, &kind); err != nil {
			return nil, err
		}
		out[step+" "+kind] = true
	}
	return out, rows.Err()
}

func insertAttachment(ctx context.Context, tx *db.Tx, caseID string, a Attachment) error {
	_, err := tx.Exec(ctx, `INSERT INTO casework_attachment (id, case_id, name, media, size, digest, object, actor, actor_name, body_name, at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
		a.ID, caseID, a.Name, a.Media, a.Size, a.Digest, a.Object, a.Actor, a.ActorName, a.BodyName, db.Ms(a.At))
	return err
}

const attachmentColumns = `id, name, media, size, digest, object, actor, actor_name, body_name, at`

func scanAttachment(row db.Row) (Attachment, error) {
	var a Attachment
	var at int64
	err := row.Scan(&a.ID, &a.Name, &a.Media, &a.Size, &a.Digest, &a.Object, &a.Actor, &a.ActorName, &a.BodyName, &at)
	a.At = db.Time(at)
	return a, err
}

func getAttachment(ctx context.Context, q db.Querier, caseID, id string) (Attachment, error) {
	a, err := scanAttachment(q.QueryRow(ctx, `SELECT `+attachmentColumns+` FROM casework_attachment WHERE case_id=$1 AND id=$2`, caseID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, errs.New(errs.NotFound, errs.T("该办件没有这份材料", "the case has no such document"))
	}
	return a, err
}

func attachmentsOf(ctx context.Context, q db.Querier, caseID string) ([]Attachment, error) {
	return db.List(ctx, q, scanAttachment, `SELECT `+attachmentColumns+` FROM casework_attachment WHERE case_id=$1 ORDER BY id`, caseID)
}

func putDraft(ctx context.Context, tx *db.Tx, owner, kind, subject, body string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO casework_draft (owner, kind, subject, body, at) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (owner, kind, subject) DO UPDATE SET body=excluded.body, at=excluded.at`, owner, kind, subject, body, db.Ms(at))
	return err
}

func getDraft(ctx context.Context, q db.Querier, owner, kind, subject string) (string, time.Time, error) {
	var body string
	var at int64
	err := q.QueryRow(ctx, `SELECT body, at FROM casework_draft WHERE owner=$1 AND kind=$2 AND subject=$3`, owner, kind, subject).Scan(&body, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, errs.New(errs.NotFound, errs.T("没有草稿", "there is no draft"))
	}
	return body, db.Time(at), err
}

func deleteDraft(ctx context.Context, tx *db.Tx, owner, kind, subject string) error {
	_, err := tx.Exec(ctx, `DELETE FROM casework_draft WHERE owner=$1 AND kind=$2 AND subject=$3`, owner, kind, subject)
	return err
}

// Open deadlines come before cases that have none or are over.
var caseOrder = map[string]string{"opened": "c.opened_at", "number": "c.number", "title": "c.title",
	"due": "CASE WHEN c.state <> 'closed' AND c.due_at > 0 THEN 0 ELSE 1 END, c.due_at"}

func listCases(ctx context.Context, q db.Querier, f Filter, now time.Time) ([]Case, int, error) {
	var w db.Where
	if f.Body != "" {
		if f.Relation != "" {
			w.Add(`EXISTS (SELECT 1 FROM casework_party p WHERE p.case_id = c.id AND p.body = ? AND p.relation = ?)`, f.Body, f.Relation)
		} else {
			w.Add(`EXISTS (SELECT 1 FROM casework_party p WHERE p.case_id = c.id AND p.body = ?)`, f.Body)
		}
	}
	w.Starts(f.KindPrefix, "c.kind")
	switch f.State {
	case "":
	case "late":
		w.Add(`c.state <> 'closed' AND c.due_at > 0 AND c.due_at < ?`, db.Ms(now))
	default:
		w.Add(`c.state = ?`, f.State)
	}
	if f.Outcome != "" {
		w.Add(`c.outcome = ?`, f.Outcome)
	}
	if f.District != "" {
		w.Add(`c.district = ?`, f.District)
	}
	if f.Resource != "" {
		w.Add(`c.resource = ?`, f.Resource)
	}
	w.Contains(f.Text, "c.title", "c.number", "c.maker_name")
	var total int
	if err := q.QueryRow(ctx, `SELECT count(*) FROM casework_case c`+w.String(), w.Args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := db.OrderBy(caseOrder, f.Sort, f.Desc, "c.opened_at DESC, c.id DESC")
	limit, offset := w.Arg(f.Limit), w.Arg(f.Offset)
	out, err := db.List(ctx, q, scanCase, `SELECT `+caseColumns+` FROM casework_case c`+w.String()+order+` LIMIT `+limit+` OFFSET `+offset, w.Args...)
	if err != nil {
		return nil, 0, err
	}
	return out, total, withParties(ctx, q, out)
}

// withParties reads the parties of some cases at once.
func withParties(ctx context.Context, q db.Querier, list []Case) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[string]*Case, len(list))
	marks, ids := make([]string, len(list)), make([]any, len(list))
	for i := range list {
		marks[i], ids[i] = "?", list[i].ID
		at[list[i].ID] = &list[i]
	}
	var w db.Where
	w.Add(`case_id IN (`+strings.Join(marks, ",")+`)`, ids...)
	type line struct {
		id string
		Party
	}
	lines, err := db.List(ctx, q, func(row db.Row) (line, error) {
		var l line
		err := row.Scan(&l.id, &l.Relation, &l.Body, &l.BodyName)
		return l, err
	}, `SELECT case_id, relation, body, body_name FROM casework_party`+w.String()+` ORDER BY relation`, w.Args...)
	for _, l := range lines {
		at[l.id].Parties = append(at[l.id].Parties, l.Party)
	}
	return err
}

func todo(ctx context.Context, q db.Querier, body string, posts []string, limit int) ([]Todo, error) {
	if len(posts) == 0 || body == "" {
		return nil, nil
	}
	var w db.Where
	w.Add(`t.state = 'open' AND t.body = ?`, body)
	marks := make([]string, len(posts))
	args := make([]any, len(posts))
	for i, p := range posts {
		marks[i], args[i] = "?", p
	}
	w.Add(`t.post IN (`+strings.Join(marks, ",")+`)`, args...)
	at := w.Arg(limit)
	return db.List(ctx, q, func(r db.Row) (Todo, error) {
		var row Todo
		var proc string
		t, err := scanTask(r, &row.Number, &row.Title, &row.CaseKind, &row.Resource, &proc)
		if err != nil {
			return row, err
		}
		var p Procedure
		if err := json.Unmarshal([]byte(proc), &p); err != nil {
			return row, err
		}
		row.Task = t
		if s, _, ok := p.Step(t.Step); ok {
			row.StepName = s.Name
		}
		row.Rule, _ = p.Clock(t.Clock)
		return row, nil
	}, `SELECT `+taskColumns+`, c.number, c.title, c.kind, c.resource, c.procedure FROM casework_task t JOIN casework_case c ON c.id = t.case_id`+
		w.String()+` ORDER BY CASE WHEN t.due_at > 0 THEN 0 ELSE 1 END, t.due_at, t.opened_at LIMIT `+at, w.Args...)
}

func countTodo(ctx context.Context, q db.Querier, body string, posts []string, now time.Time) (open, late int, err error) {
	for _, p := range posts {
		var o, l int
		if err = q.QueryRow(ctx, `SELECT count(*), coalesce(sum(CASE WHEN due_at > 0 AND due_at < $3 THEN 1 ELSE 0 END), 0)
			FROM casework_task WHERE state='open' AND body=$1 AND post=$2`, body, p, db.Ms(now)).Scan(&o, &l); err != nil {
			return 0, 0, err
		}
		open, late = open+o, late+l
	}
	return open, late, nil
}

// runningClocks lists the cases whose clock of some name runs, for a recount
// under a new calendar.
func runningClocks(ctx context.Context, q db.Querier) (map[string][]string, error) {
	rows, err := q.Query(ctx, `SELECT case_id, name FROM casework_clock WHERE state = 'running'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, err
		}
		out[id] = append(out[id], name)
	}
	return out, rows.Err()
}
