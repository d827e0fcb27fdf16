package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// searchFigures runs the search benchmark: 100,000 resources, facets, 50 callers
// at once.
func searchFigures(ctx context.Context, env Env) ([]Row, error) {
	times := "3x"
	if env.Quick {
		times = "1x"
	}
	p50, p95, err := searching(ctx, "BenchmarkSearch100kAt50", times)
	return []Row{{What: "catalog search, 100,000 resources, facets, 50 at once, p95", Value: fmt.Sprintf("%.0f ms", p95), Bar: "≤ 50 ms", OK: p95 <= 50,
		Note: fmt.Sprintf("p50 %.0f ms; caller and index share the machine's cores.", p50)}}, err
}

// searching runs one benchmark of package search and gives its percentiles in
// milliseconds.
func searching(ctx context.Context, benchmark, times string) (p50, p95 float64, err error) {
	out, err := exec.CommandContext(ctx, "go", "test", "./internal/search", "-run", "^$", "-bench", "^"+benchmark+"$", "-benchtime", times, "-timeout", "1h").CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("search: %w: %s", err, out)
	}
	figure := func(name string) float64 {
		m := regexp.MustCompile(`([0-9.]+) ` + name).FindSubmatch(out)
		if m == nil {
			return -1
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return -1
		}
		return v
	}
	p50, p95 = figure("p50-ms"), figure("p95-ms")
	if p50 < 0 || p95 < 0 {
		return 0, 0, fmt.Errorf("search: no figures in %s", out)
	}
	return p50, p95, nil
}
