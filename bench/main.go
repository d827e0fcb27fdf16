// Command bench measures the figures of docs/benchmarks.md and writes them there:
//
//	go run ./bench [--only gateway,intake] [--out docs/benchmarks.md] [--quick] [--growth]
//
// A figure is a ratio of two things measured in one run, taken in short paired
// slices, with the median of the ratios, because machines are noisy and an
// absolute number means little on another one. A row that falls short of its bar
// is written down as it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// Row is one line of the table.
type Row struct {
	What    string // what was done
	Against string // what it is compared with, "" for a figure that stands alone
	Value   string // the figure with its unit, "183,000 rows/s"
	Base    string // the figure of what it is compared with
	Ratio   string // "0.81", "" where there is none
	Bar     string // what PERFORMANCE asks for, "≥ 0.75"
	OK      bool   // the bar is reached
	Note    string
}

// Env is what suites share.
type Env struct {
	// Quick asks for short slices and small inputs: a check that the suite works.
	Quick bool
	// Postgres is the address of a server on which databases may be made and that
	// syncs to disk; "" when there is none, and the suites say so in their rows.
	Postgres string
	// Dir is an empty folder on a real disk.
	Dir string
}

type suite struct {
	name   string
	run    func(ctx context.Context, env Env) ([]Row, error)
	growth bool // run by --growth or by name only: it takes long
}

// suites are run in this order; each lives in its own file.
var suites []suite

func init() {
	suites = []suite{
		{name: "gateway", run: gatewayFigures},
		{name: "peer", run: peerFigures},
		{name: "masks", run: maskFigures},
		{name: "download", run: downloadFigures},
		{name: "audit", run: auditFigures},
		{name: "warehouse", run: warehouseFigures},
		{name: "intake", run: intakeFigures},
		{name: "search", run: searchFigures},
		{name: "program", run: programFigures},
		{name: "growth", run: growthFigures, growth: true},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "names of suites, separated by commas; all by default")
	out := flags.String("out", "", "the file whose sections are written anew, - prints; docs/benchmarks.md, and - with --quick")
	quick := flags.Bool("quick", false, "short slices: a check that the suites work, not figures")
	grow := flags.Bool("growth", false, "measure how cost grows with ten times the data instead (suite growth)")
	profile := flags.String("profile", "", "write a processor profile of the run to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		*out = "docs/benchmarks.md"
		if *quick {
			*out = "-"
		}
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(*only, ",") {
		if name != "" && !slices.ContainsFunc(suites, func(s suite) bool { return s.name == name }) {
			return fmt.Errorf("there is no suite %q", name)
		}
		wanted[name] = true
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	old := ""
	if *out != "-" {
		text, err := os.ReadFile(*out)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		old = string(text)
	}
	sections := sectionsOf(old)
	for _, s := range suites {
		switch {
		case *only != "" && !wanted[s.name], *only == "" && *grow != s.growth:
			continue
		}
		dir, err := os.MkdirTemp("", "gongshu-bench-")
		if err != nil {
			return err
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "bench: %s …\n", s.name)
		quiet := tick(s.name)
		rows, err := s.run(ctx, Env{Quick: *quick, Postgres: os.Getenv("GONGSHU_BENCH_POSTGRES"), Dir: dir})
		quiet()
		os.RemoveAll(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %v\n", s.name, time.Since(began).Round(time.Second))
		sections[s.name] = section(rows, *quick, time.Since(began))
		// After each suite, so that a run that is cut short keeps what it measured.
		if *out != "-" {
			if err := os.WriteFile(*out, []byte(page(sections)), 0o644); err != nil {
				return err
			}
		}
	}
	if *out == "-" {
		_, err := os.Stdout.WriteString(page(sections))
		return err
	}
	return nil
}

// tick says every half minute that a suite is still at work.
func tick(name string) (stop func()) {
	began, t, done := time.Now(), time.NewTicker(30*time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-t.C:
				fmt.Fprintf(os.Stderr, "bench: %s … %v\n", name, time.Since(began).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() { t.Stop(); close(done) }
}

// sectionsOf takes a page apart by suite.
func sectionsOf(text string) map[string]string {
	sections := map[string]string{}
	for i, part := range strings.Split("\n"+text, "\n## ") {
		if name, body, ok := strings.Cut(part, "\n"); ok && i > 0 {
			sections[name] = strings.TrimSpace(body)
		}
	}
	return sections
}

// page puts the sections together, in the order of suites; those of suites that
// are no more fall out.
func page(sections map[string]string) string {
	var b strings.Builder
	b.WriteString("# Figures\n\nWritten by `make bench`; a section is replaced when its suite runs again (`./scripts/bench.sh --only NAME`, `--growth`), and says itself when and on what machine it was measured.\n\n" +
		"A row is one figure. Where it is compared with something, both ran in turn in one run, in short slices, and the ratio is the median over the pairs of (our rate ÷ the other's rate): a machine's noise falls on both. " +
		"For times and latencies the ratio is (ours ÷ the other's). Absolute numbers belong to the machine that the section names. *must reach* is the bar of the project's plan; a row that falls short of it says *short*, and a row without a bar is for knowledge only.\n")
	var missing []string
	for _, s := range suites {
		if sections[s.name] == "" {
			missing = append(missing, s.name)
		}
	}
	if missing != nil { // up here, or it would be taken for the last section's
		fmt.Fprintf(&b, "\nNot measured yet: %s.\n", strings.Join(missing, ", "))
	}
	for _, s := range suites {
		if body := sections[s.name]; body != "" {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.name, body)
		}
	}
	return b.String()
}

// section is one suite's part of the page.
func section(rows []Row, quick bool, took time.Duration) string {
	var b strings.Builder
	length := "Full length."
	if quick {
		length = "**The short slices of `--quick`: a check that the suite works more than figures.**"
	}
	fmt.Fprintf(&b, "%s %s, %s/%s, %d cores, %s, Go %s; took %v.\n\n| what | figure | against | its figure | ratio | must reach | |\n|---|---|---|---|---|---|---|\n", length,
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), strings.TrimPrefix(runtime.Version(), "go"), took.Round(time.Second))
	for _, r := range rows {
		verdict := "short"
		switch {
		case r.Value == "":
			verdict = "not measured"
		case r.Bar == "":
			verdict = ""
		case r.OK:
			verdict = "reached"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.What, r.Value, r.Against, r.Base, r.Ratio, r.Bar, verdict)
	}
	// Rows that share a note are told once.
	for i, r := range rows {
		if r.Note == "" || i > 0 && slices.ContainsFunc(rows[:i], func(o Row) bool { return o.Note == r.Note }) {
			continue
		}
		fmt.Fprintf(&b, "\n*%s.* %s\n", r.What, r.Note)
	}
	return strings.TrimSpace(b.String())
}

// processor names the CPU as Linux does.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return "unknown processor"
}

// median of values, which it sorts; 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}

// paired runs ours and theirs in turn, rounds times, and gives the median rate of
// each (units a second) and the median of the ratios of each pair. A function
// gives how many units it did and how long that took.
func paired(rounds int, ours, theirs func() (units int, took time.Duration, err error)) (own, base, ratio float64, err error) {
	var a, b, q []float64
	for i := range rounds {
		first, second := ours, theirs
		if i%2 == 1 {
			first, second = theirs, ours
		}
		n1, t1, err := first()
		if err != nil {
			return 0, 0, 0, err
		}
		n2, t2, err := second()
		if err != nil {
			return 0, 0, 0, err
		}
		x, y := float64(n1)/t1.Seconds(), float64(n2)/t2.Seconds()
		if i%2 == 1 {
			x, y = y, x
		}
		a, b, q = append(a, x), append(b, y), append(q, x/y)
	}
	return median(a), median(b), median(q), nil
}

// rate writes a rate with thousands separators: "183,000 rows/s".
func rate(v float64, unit string) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " " + unit
}
