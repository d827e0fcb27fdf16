// Command bench measures the figures of docs/benchmarks.md and writes them there:
//
//	go run ./bench [--only gateway,intake] [--out docs/benchmarks.md] [--quick]
//
// A figure is a ratio of two things measured in one run, taken in short paired
// slices, with the median of the ratios, because machines are noisy and an
// absolute number means little on another one. A row that falls short of its bar
// is written down as it is.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
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

// suites are run in this order; each lives in its own file.
var suites = []struct {
	name string
	run  func(ctx context.Context, env Env) ([]Row, error)
}{
	{"gateway", gatewayFigures},
	{"masks", maskFigures},
	{"audit", auditFigures},
	{"warehouse", warehouseFigures},
	{"intake", intakeFigures},
	{"search", searchFigures},
	{"program", programFigures},
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
	out := flags.String("out", "docs/benchmarks.md", "the file to write; - prints")
	quick := flags.Bool("quick", false, "short slices: a check that the suites work, not figures")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var wanted []string
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Figures\n\n%s, %s/%s, %d cores, %s, Go %s. Written by `make bench`. Ratios are medians of paired slices of one run; absolute numbers belong to this machine only. A row that falls short says so.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), strings.TrimPrefix(runtime.Version(), "go"))
	for _, suite := range suites {
		if wanted != nil && !slices.Contains(wanted, suite.name) {
			continue
		}
		dir, err := os.MkdirTemp("", "gongshu-bench-")
		if err != nil {
			return err
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "bench: %s …\n", suite.name)
		rows, err := suite.run(ctx, Env{Quick: *quick, Postgres: os.Getenv("GONGSHU_BENCH_POSTGRES"), Dir: dir})
		os.RemoveAll(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", suite.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %v\n", suite.name, time.Since(began).Round(time.Second))
		fmt.Fprintf(&page, "\n## %s\n\n| what | figure | against | its figure | ratio | must reach | |\n|---|---|---|---|---|---|---|\n", suite.name)
		for _, r := range rows {
			verdict := "short"
			if r.OK {
				verdict = "reached"
			}
			if r.Bar == "" {
				verdict = ""
			}
			fmt.Fprintf(&page, "| %s | %s | %s | %s | %s | %s | %s |\n", r.What, r.Value, r.Against, r.Base, r.Ratio, r.Bar, verdict)
		}
		for _, r := range rows {
			if r.Note != "" {
				fmt.Fprintf(&page, "\n*%s.* %s\n", r.What, r.Note)
			}
		}
	}
	if *out == "-" {
		_, err := os.Stdout.Write(page.Bytes())
		return err
	}
	return os.WriteFile(*out, page.Bytes(), 0o644)
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
