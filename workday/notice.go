package workday

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const maxNoticeBytes = 1 << 20

var weekdayZH = map[time.Weekday]string{
	time.Monday: "一", time.Tuesday: "二", time.Wednesday: "三", time.Thursday: "四",
	time.Friday: "五", time.Saturday: "六", time.Sunday: "日",
}

// Check finds what makes a notice unbelievable: no days, a day twice, a date far
// from the year, a make-up day that is no weekend day, or more than 40 days off.
func (n Notice) Check() error {
	if n.Year < 1949 || n.Year > 2199 {
		return fmt.Errorf("workday: year %d is out of range 1949–2199", n.Year)
	}
	if len(n.Days) == 0 {
		return fmt.Errorf("workday: the notice for %d announces no day", n.Year)
	}
	seen := map[Date]bool{}
	off := 0
	first, last := On(n.Year-1, time.December, 1), On(n.Year+1, time.January, 31)
	for _, d := range n.Days {
		if d.Date < first || d.Date > last {
			return fmt.Errorf("workday: %s does not belong to the notice for %d", d.Date, n.Year)
		}
		if seen[d.Date] {
			return fmt.Errorf("workday: %s stands twice in the notice for %d", d.Date, n.Year)
		}
		seen[d.Date] = true
		if d.Off {
			off++
		} else if wd := d.Date.Weekday(); wd != time.Saturday && wd != time.Sunday {
			return fmt.Errorf("workday: make-up day %s is a working day anyhow", d.Date)
		}
	}
	if off == 0 || off > 40 {
		return fmt.Errorf("workday: %d days off in %d, expected 1 to 40", off, n.Year)
	}
	return nil
}

// Parse reads notices in either known shape: CSV (date,weekday,name,kind,
// official_paper) or the JSON of the holiday-cn project. At most 1 MiB is read.
func Parse(r io.Reader) ([]Notice, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxNoticeBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxNoticeBytes {
		return nil, errors.New("workday: a notice is at most 1 MiB")
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '{' {
		return ParseJSON(bytes.NewReader(b))
	}
	return ParseCSV(bytes.NewReader(b))
}

// ParseCSV reads CSV with the header date,weekday,name,kind,official_paper, where
// kind is off or work and weekday, when given, must be right (一…日). It gives a
// notice a year. Errors name the line.
func ParseCSV(r io.Reader) ([]Notice, error) {
	cr := csv.NewReader(r)
	cr.FieldsPerRecord = -1
	head, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("workday: the file is empty or no CSV: %w", err)
	}
	col := map[string]int{}
	for i, h := range head {
		col[strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))] = i
	}
	for _, need := range []string{"date", "name", "kind"} {
		if _, ok := col[need]; !ok {
			return nil, fmt.Errorf("workday: line 1: column %q is missing", need)
		}
	}
	years := map[int]*Notice{}
	for {
		rec, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("workday: %w", err)
		}
		line, _ := cr.FieldPos(0)
		cell := func(name string) string {
			i, ok := col[name]
			if !ok || i >= len(rec) {
				return ""
			}
			return strings.TrimSpace(rec[i])
		}
		d, err := ParseDate(cell("date"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if wd := cell("weekday"); wd != "" && wd != weekdayZH[d.Weekday()] {
			return nil, fmt.Errorf("workday: line %d: %s is a 星期%s, not 星期%s", line, d, weekdayZH[d.Weekday()], wd)
		}
		kind := cell("kind")
		if kind != "off" && kind != "work" {
			return nil, fmt.Errorf("workday: line %d: kind %q is neither off nor work", line, kind)
		}
		n := years[d.Year()]
		if n == nil {
			n = &Notice{Year: d.Year()}
			years[d.Year()] = n
		}
		if n.Paper == "" {
			n.Paper = cell("official_paper")
		}
		n.Days = append(n.Days, Day{Date: d, Name: cell("name"), Off: kind == "off"})
	}
	return finish(years)
}

// ParseJSON reads one year in the shape of the holiday-cn project:
// {"year":2026,"papers":["…"],"days":[{"name":"元旦","date":"2026-01-01","isOffDay":true}]}.
func ParseJSON(r io.Reader) ([]Notice, error) {
	var doc struct {
		Year   int      `json:"year"`
		Papers []string `json:"papers"`
		Days   []struct {
			Name     string `json:"name"`
			Date     string `json:"date"`
			IsOffDay *bool  `json:"isOffDay"`
		} `json:"days"`
	}
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		return nil, fmt.Errorf("workday: %w", err)
	}
	n := &Notice{Year: doc.Year}
	if len(doc.Papers) > 0 {
		n.Paper = doc.Papers[0]
	}
	for i, d := range doc.Days {
		date, err := ParseDate(d.Date)
		if err != nil {
			return nil, fmt.Errorf("days[%d]: %w", i, err)
		}
		if d.IsOffDay == nil {
			return nil, fmt.Errorf("workday: days[%d]: isOffDay is missing", i)
		}
		n.Days = append(n.Days, Day{Date: date, Name: d.Name, Off: *d.IsOffDay})
	}
	return finish(map[int]*Notice{n.Year: n})
}

func finish(years map[int]*Notice) ([]Notice, error) {
	if len(years) == 0 {
		return nil, errors.New("workday: the file announces no day")
	}
	out := make([]Notice, 0, len(years))
	for _, n := range years {
		slices.SortFunc(n.Days, func(a, b Day) int { return cmp.Compare(a.Date, b.Date) })
		if err := n.Check(); err != nil {
			return nil, err
		}
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b Notice) int { return cmp.Compare(a.Year, b.Year) })
	return out, nil
}
