package ui

import (
	"context"
	"gongshu/workday"
	"strconv"
	"strings"
	"time"
)

// cityTime is the civil time of every city the program serves: China keeps
// one zone and no summer time, so no zone database is needed.
var cityTime = workday.Zone

// Num writes a whole number with thousands separators: 1,234,567.
func Num(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	if len(s) <= 3 {
		return sign + s
	}
	var b strings.Builder
	b.WriteString(sign)
	head := len(s) % 3
	if head > 0 {
		b.WriteString(s[:head])
	}
	for i := head; i < len(s); i += 3 {
		if b.Len() > len(sign) {
			b.WriteByte(',')
		}
		b.WriteString(s[i : i+3])
	}
	return b.String()
}

// Decimal writes a number with the given decimals and thousands separators.
func Decimal(f float64, decimals int) string {
	s := strconv.FormatFloat(f, 'f', decimals, 64)
	whole, rest, found := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return s
	}
	out := Num(n)
	if n == 0 && f < 0 {
		out = "-0"
	}
	if found {
		out += "." + rest
	}
	return out
}

// Percent writes a share between 0 and 1 as a percentage with one decimal; a
// share that is not whole is never rounded up to 100 %.
func Percent(share float64) string {
	if share > 0.999 && share < 1 {
		return "99.9%"
	}
	return strings.TrimSuffix(strconv.FormatFloat(share*100, 'f', 1, 64), ".0") + "%"
}

// Bytes writes a size in B, KB, MB, GB or TB of 1,024.
func Bytes(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 {
		return Num(n) + " B"
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + units[i]
}

// Date writes a day as 2026-11-21; the zero time as a dash.
func Date(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(cityTime).Format("2006-01-02")
}

// DateTime writes a minute as 2026-11-21 09:30; the zero time as a dash.
func DateTime(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(cityTime).Format("2006-01-02 15:04")
}

// Seconds writes a moment to the second, for logs.
func Seconds(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(cityTime).Format("2006-01-02 15:04:05")
}

// Duration writes how long something took: 380 ms, 4.2 s, 3 min, 2 h, 5 days,
// in the page's words.
func Duration(ctx context.Context, d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < 2*time.Hour:
		return T(ctx, "ui.minutes", "Count", int(d.Minutes()))
	case d < 48*time.Hour:
		return T(ctx, "ui.hours", "Count", int(d.Hours()))
	default:
		return T(ctx, "ui.days", "Count", int(d.Hours()/24))
	}
}
