// Package workday counts China's working days: weekdays, less the holidays and
// plus the make-up days that the State Council announces for a year. Every legal
// deadline of the program comes from here. The day of receipt does not count.
// Years without an announcement are computed (weekends and the statutory
// holidays with a fixed date are off) and flagged as provisional.
package workday

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Zone is China Standard Time. It is fixed, so that no zone file is needed.
var Zone = time.FixedZone("CST", 8*3600)

// Date is a civil date as days since 1970-01-01.
type Date int

// DateOf gives the civil date in China at an instant.
func DateOf(t time.Time) Date {
	t = t.In(Zone)
	return On(t.Year(), t.Month(), t.Day())
}

// On gives the date of a year, month and day; out-of-range days roll over as in
// time.Date.
func On(y int, m time.Month, d int) Date {
	return Date(floorDiv(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix(), 86400))
}

// ParseDate reads "2006-01-02"; years 1949 to 2199 are accepted.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1949 || t.Year() > 2199 {
		return 0, fmt.Errorf("workday: %q is not a date like 2026-11-21", s)
	}
	return On(t.Year(), t.Month(), t.Day()), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (d Date) utc() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String writes "2006-01-02".
func (d Date) String() string { return d.utc().Format(time.DateOnly) }

// Year gives the civil year.
func (d Date) Year() int { return d.utc().Year() }

// Weekday gives the day of the week.
func (d Date) Weekday() time.Weekday { return d.utc().Weekday() }

// Start is the first instant of the date in China.
func (d Date) Start() time.Time { return time.Unix(int64(d)*86400, 0).Add(-8 * time.Hour).In(Zone) }

// End is the last instant of the date in China: a deadline is kept until then.
func (d Date) End() time.Time { return (d + 1).Start().Add(-time.Millisecond) }

// Day is one announced day.
type Day struct {
	Date Date
	Name string // "春节"
	Off  bool   // true: a day off; false: a make-up working day
}

// Notice is the State Council's announcement for one year.
type Notice struct {
	Year  int
	Paper string // address or number of the announcement
	Days  []Day  // in order of date
}

// Calendar is an immutable set of announcements. The zero value is not usable;
// start from Builtin.
type Calendar struct {
	notices map[int]Notice
	days    map[Date]Day
	version string
}

// Due is a computed deadline.
type Due struct {
	Date        Date
	Provisional bool   // a day on the way lies in a year that is not announced yet
	Version     string // version of the calendar used
}

//go:embed notices.csv
var builtinCSV string

var builtin = sync.OnceValue(func() *Calendar {
	notices, err := ParseCSV(strings.NewReader(builtinCSV))
	if err != nil {
		panic(err)
	}
	c := newCalendar(nil)
	for _, n := range notices {
		if c, err = c.With(n); err != nil {
			panic(err)
		}
	}
	return c
})

// Builtin is the calendar shipped with the program: the announcements for 2024,
// 2025 and 2026.
func Builtin() *Calendar { return builtin() }

// With gives a new calendar in which the notice replaces the one of its year.
// The notice is checked as by Notice.Check.
func (c *Calendar) With(n Notice) (*Calendar, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	notices := map[int]Notice{n.Year: n}
	for y, old := range c.notices {
		if y != n.Year {
			notices[y] = old
		}
	}
	return newCalendar(notices), nil
}

func newCalendar(notices map[int]Notice) *Calendar {
	c := &Calendar{notices: notices, days: map[Date]Day{}}
	years := make([]int, 0, len(notices))
	for y := range notices {
		years = append(years, y)
	}
	slices.Sort(years)
	h := sha256.New()
	for _, y := range years {
		for _, d := range notices[y].Days {
			c.days[d.Date] = d
			fmt.Fprintf(h, "%d %s %s %t\n", y, d.Date, d.Name, d.Off)
		}
	}
	sum := hex.EncodeToString(h.Sum(nil))[:8]
	if len(years) == 0 {
		c.version = "none-" + sum
	} else {
		c.version = fmt.Sprintf("%d-%d-%s", years[0], years[len(years)-1], sum)
	}
	return c
}

// Version names the exact set of announcements: "2024-2026-1f2e3d4c".
func (c *Calendar) Version() string { return c.version }

// Announced reports whether the State Council's notice for the year is loaded.
func (c *Calendar) Announced(year int) bool { _, ok := c.notices[year]; return ok }

// Notices gives the loaded announcements by year.
func (c *Calendar) Notices() []Notice {
	out := make([]Notice, 0, len(c.notices))
	for _, n := range c.notices {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b Notice) int { return cmp.Compare(a.Year, b.Year) })
	return out
}

// Name gives the holiday or make-up day's name, "" for an ordinary day.
func (c *Calendar) Name(d Date) string { return c.days[d].Name }

// IsWorkday reports whether the date is a working day.
func (c *Calendar) IsWorkday(d Date) bool {
	if day, ok := c.days[d]; ok {
		return !day.Off
	}
	if wd := d.Weekday(); wd == time.Saturday || wd == time.Sunday {
		return false
	}
	return c.Announced(d.Year()) || !fixedHoliday(d)
}

// fixedHoliday knows the statutory holidays that fall on the same date every
// year (全国年节及纪念日放假办法; two days in May since 2025). Those of the lunar
// calendar and 清明 await the announcement.
func fixedHoliday(d Date) bool {
	t := d.utc()
	switch t.Month() {
	case time.January:
		return t.Day() == 1
	case time.May:
		return t.Day() == 1 || t.Day() == 2 && t.Year() >= 2025
	case time.October:
		return t.Day() <= 3
	}
	return false
}

// Add gives the last day of a deadline of n working days from receipt; the day
// of receipt does not count. n ≤ 0 gives the day of receipt itself. n is capped
// at 2,500 (ten years).
func (c *Calendar) Add(received Date, n int) Due {
	n = min(n, 2500)
	due := Due{Date: received, Version: c.version}
	for n > 0 {
		due.Date++
		if !c.Announced(due.Date.Year()) {
			due.Provisional = true
		}
		if c.IsWorkday(due.Date) {
			n--
		}
	}
	return due
}

// Between counts the working days after from up to and including to: the inverse
// of Add. It is negative when to lies before from.
func (c *Calendar) Between(from, to Date) int {
	if to < from {
		return -c.Between(to, from)
	}
	n := 0
	for d := from + 1; d <= to; d++ {
		if c.IsWorkday(d) {
			n++
		}
	}
	return n
}

// Provisional reports whether any date after from up to to lies in a year that is
// not announced.
func (c *Calendar) Provisional(from, to Date) bool {
	for y := (from + 1).Year(); y <= to.Year(); y++ {
		if !c.Announced(y) {
			return true
		}
	}
	return false
}
