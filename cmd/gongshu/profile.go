package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"gongshu/clause"
	"gongshu/internal/errs"
	"gongshu/profile"
)

// profileCmd shows and checks city profiles; it needs no server.
type profileCmd struct {
	List  profileListCmd  `cmd:"" help:"List the cities shipped with the program."`
	Show  profileShowCmd  `cmd:"" help:"Show every value of a city with the article it rests on."`
	Check profileCheckCmd `cmd:"" help:"Check a profile file; every fault is named with file and line."`
}

type profileListCmd struct{}

func (profileListCmd) Run(g *globals) error {
	w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
	for _, id := range profile.Cities() {
		p, err := profile.Load(id)
		if err != nil {
			return err
		}
		var titles []string
		for _, in := range p.Instruments() {
			if g.Lang == "en" {
				titles = append(titles, in.TitleEN)
			} else {
				titles = append(titles, "《"+in.Title+"》")
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.ID, profile.CityName.Of(p).V.In(g.Lang), p.Version(), strings.Join(titles, "; "))
	}
	return w.Flush()
}

type profileShowCmd struct {
	City string `arg:"" help:"A shipped city or the path of a profile file."`
	At   string `help:"Show the values in force on this day (2006-01-02); today by default."`
	JSON bool   `name:"json" help:"Write JSON."`
}

func (c profileShowCmd) Run(g *globals) error {
	at := time.Now()
	if c.At != "" {
		t, err := time.Parse(time.DateOnly, c.At)
		if err != nil {
			return errs.Newf(errs.Invalid, "日期应写作 2026-11-22", "a date is written 2026-11-22").In("--at")
		}
		at = t
	}
	p, err := profile.Open(c.City)
	if err != nil {
		return err
	}
	if c.JSON {
		return showJSON(g.out, p, at)
	}
	w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "# %s\t%s\n", p.ID, p.Version())
	for _, l := range p.Lines(at) {
		text := l.Text.In(g.Lang)
		if u := l.Unit.In(g.Lang); u != "" && text != "" {
			text += " " + u
		}
		if text == "" {
			text = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Key, text, restsOn(l.Provenance, g.Lang))
	}
	return w.Flush()
}

// restsOn writes where a value comes from in one phrase.
func restsOn(p profile.Provenance, lang string) string {
	kind := profile.KindTerm(p.Kind).In(lang)
	switch p.Kind {
	case profile.Stated:
		return kind + " " + strings.Join(p.Clauses, ", ")
	case profile.Inherited:
		s := kind + " " + p.Source
		if !p.Since.IsZero() {
			s += " " + p.Since.Format(time.DateOnly)
		}
		return s
	default:
		if p.Reason == "" {
			return kind
		}
		return kind + ": " + p.Reason
	}
}

func showJSON(w io.Writer, p *profile.Profile, at time.Time) error {
	type value struct {
		Key     string        `json:"key"`
		Label   profile.Words `json:"label"`
		Value   profile.Words `json:"value"`
		Unit    profile.Words `json:"unit"`
		Kind    profile.Kind  `json:"kind"`
		Clauses []string      `json:"clauses,omitempty"`
		Source  string        `json:"source,omitempty"`
		Reason  string        `json:"reason,omitempty"`
	}
	out := struct {
		City    string  `json:"city"`
		Version string  `json:"version"`
		On      string  `json:"on"`
		Values  []value `json:"values"`
	}{p.ID, p.Version(), at.Format(time.DateOnly), nil}
	for _, l := range p.Lines(at) {
		out.Values = append(out.Values, value{l.Key, l.Label, l.Text, l.Unit, l.Provenance.Kind, l.Provenance.Clauses, l.Provenance.Source, l.Provenance.Reason})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

type profileCheckCmd struct {
	File string `arg:"" help:"The profile file." type:"path"`
}

func (c profileCheckCmd) Run(g *globals) error {
	p, err := profile.LoadFile(c.File)
	if err != nil {
		return err
	}
	count := map[profile.Kind]int{}
	lines := p.Lines(time.Now())
	for _, l := range lines {
		count[l.Provenance.Kind]++
	}
	_, err = fmt.Fprintln(g.out, errs.Tf("%[1]s：%[2]d 个参数，条文规定 %[3]d，上位规定 %[4]d，本市做法 %[5]d，未规定 %[6]d；无错误",
		"%[1]s: %[2]d values, %[3]d stated, %[4]d inherited, %[5]d practice, %[6]d none; no fault",
		p.Version(), len(lines), count[profile.Stated], count[profile.Inherited], count[profile.Practice], count[profile.None]).In(g.Lang))
	return err
}

// clausesCmd prints the register of articles and the tests that show each.
type clausesCmd struct {
	Tests string `help:"Folder of the program's source: print which tests show each article." type:"existingdir"`
	CSV   bool   `name:"csv" help:"Write the matrix as CSV."`
}

func (c clausesCmd) Run(g *globals) error {
	if c.Tests != "" {
		rows, err := clause.Matrix(c.Tests)
		if err != nil {
			return err
		}
		if c.CSV {
			return clause.WriteCSV(g.out, rows)
		}
		if _, err = clause.WriteMatrix(g.out, rows); err != nil {
			return err
		}
		cited, err := clause.Cited(c.Tests)
		if err != nil {
			return err
		}
		unshown := clause.Unshown(rows, cited)
		if len(unshown) == 0 {
			_, err := fmt.Fprintln(g.out, errs.T("程序引用的每一条都有测试", "every article that the program cites has a test").In(g.Lang))
			return err
		}
		e := errs.Newf(errs.Conflict, "程序引用了 %d 条而没有测试证明", "the program cites %d articles that no test shows", len(unshown))
		for _, r := range unshown {
			e = e.With(errs.Problem{Field: r.Clause.ID, Text: errs.Tf("见 %[1]s", "cited in %[1]s", strings.Join(cited[r.Clause.ID], ", "))})
		}
		return e
	}
	w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
	for _, cl := range clause.All() {
		cite := cl.CitationZH()
		if g.Lang == "en" {
			cite = cl.CitationEN()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cl.ID, cl.Kind, cite, cl.Must)
	}
	return w.Flush()
}

// remind raises the reminders of due and overdue cases and of data that did not come
// (FS-42) until ctx ends.
// Each is kept once, so several nodes may do it.
func (a *app) remind(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if _, err := a.casework.Remind(ctx); err != nil && ctx.Err() == nil {
			a.logger.Error("reminders", "err", err)
		}
		if _, err := a.intake.RemindLate(ctx); err != nil && ctx.Err() == nil {
			a.logger.Error("reminders of late data", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
