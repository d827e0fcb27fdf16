package workday

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gongshu/internal/db"
)

// SaveNotice keeps an imported notice in the caller's transaction. by is the
// account that imported it. An older notice of the year stays on record; the
// newest counts.
func SaveNotice(ctx context.Context, tx *db.Tx, n Notice, by string, at time.Time) error {
	if err := n.Check(); err != nil {
		return err
	}
	rows := make([]storedDay, len(n.Days))
	for i, d := range n.Days {
		rows[i] = storedDay{d.Date.String(), d.Name, d.Off}
	}
	days, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO workday_notice (id, year, paper, days, imported_at, imported_by) VALUES ($1, $2, $3, $4, $5, $6)`,
		db.NewID(), n.Year, n.Paper, string(days), db.Ms(at), by)
	return err
}

type storedDay struct {
	Date string `json:"date"`
	Name string `json:"name"`
	Off  bool   `json:"off"`
}

// Load gives the built-in calendar with the imported notices over it.
func Load(ctx context.Context, q db.Querier) (*Calendar, error) {
	rows, err := q.Query(ctx, `SELECT year, paper, days FROM workday_notice ORDER BY imported_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := Builtin()
	for rows.Next() {
		n := Notice{}
		var text string
		if err := rows.Scan(&n.Year, &n.Paper, &text); err != nil {
			return nil, err
		}
		var days []storedDay
		if err := json.Unmarshal([]byte(text), &days); err != nil {
			return nil, fmt.Errorf("stored notice for %d: %w", n.Year, err)
		}
		for _, s := range days {
			d, err := ParseDate(s.Date)
			if err != nil {
				return nil, fmt.Errorf("stored notice for %d: %w", n.Year, err)
			}
			n.Days = append(n.Days, Day{Date: d, Name: s.Name, Off: s.Off})
		}
		if c, err = c.With(n); err != nil {
			return nil, fmt.Errorf("stored notice for %d: %w", n.Year, err)
		}
	}
	return c, rows.Err()
}
