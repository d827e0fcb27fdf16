package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programFigures measures the whole program on the data of the demo: how long the demo
// takes to build, start to first page, memory at rest, and how long pages take.
func programFigures(ctx context.Context, env Env) ([]Row, error) {
	bin := filepath.Join(env.Dir, "gongshu")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/gongshu").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	people := "200000"
	if env.Quick {
		people = "3000"
	}
	data := filepath.Join(env.Dir, "demo")
	began := time.Now()
	if out, err := exec.CommandContext(ctx, bin, "demo", "--data", data, "--people", people, "--build").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("demo: %w: %s", err, out)
	}
	built := time.Since(began)
	began = time.Now()
	server := exec.CommandContext(ctx, bin, "demo", "--data", data, "--addr", "127.0.0.1:0")
	stdout, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	base := ""
	lines := bufio.NewScanner(stdout)
	for base == "" && lines.Scan() {
		base = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	go io.Copy(io.Discard, stdout)
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar}
	if err := get(client, base+"/"); err != nil {
		return nil, err
	}
	first := time.Since(began)
	time.Sleep(5 * time.Second)
	rest := memoryOf(server.Process.Pid, "VmRSS")
	portal, err := p95(client, base, []string{"/", "/datasets", "/datasets?q=公交"})
	if err != nil {
		return nil, err
	}
	if err := logIn(client, base, filepath.Join(data, "demo.json")); err != nil {
		return nil, err
	}
	console, err := p95(client, base, []string{"/console/", "/console/catalog", "/console/requests", "/console/grants", "/console/batches", "/console/people", "/console/profile"})
	if err != nil {
		return nil, err
	}
	rows := 1_000_000
	if env.Quick {
		rows = 100_000
	}
	var intake []Row
	for _, format := range []string{"csv", "ndjson"} {
		most, err := residentDuringIntake(ctx, env, bin, base, filepath.Join(data, "demo.json"), format, server.Process.Pid, rows)
		if err != nil {
			return nil, err
		}
		intake = append(intake, Row{What: fmt.Sprintf("memory of the whole program while %d rows of %s go in", rows, strings.ToUpper(format)), Value: fmt.Sprintf("%d MB", most), Bar: "< 256 MB", OK: most < 256,
			Note: "The highest resident size of the program, its demo and embedded databases included, while gongshu intake sends it a file from another process."})
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
	return append([]Row{
		{What: "demo built, " + people + " residents", Value: built.Round(100 * time.Millisecond).String(), Bar: "< 60 s", OK: built < time.Minute},
		{What: "start to first page, demo present", Value: ms(first), Bar: "≤ 1 s", OK: first <= time.Second},
		{What: "memory at rest, 5 s after the start", Value: fmt.Sprintf("%d MB", rest), Bar: "≤ 120 MB", OK: rest <= 120},
		{What: "portal pages, p95", Value: ms(portal), Bar: "≤ 20 ms", OK: portal <= 20*time.Millisecond, Note: "Seen by a client in another process, one request at a time."},
		{What: "console pages, p95", Value: ms(console), Bar: "≤ 20 ms", OK: console <= 20*time.Millisecond, Note: "The same, logged in as a steward; pages that show personal facts wait for their audit entry."},
	}, intake...), nil
}

// residentDuringIntake sends the program a CSV or NDJSON file of so many rows, as a
// client of a department does, and gives the highest resident size meanwhile in megabytes.
func residentDuringIntake(ctx context.Context, env Env, bin, base, demo, format string, pid, rows int) (int, error) {
	text, err := os.ReadFile(demo)
	if err != nil {
		return 0, err
	}
	var file struct {
		Clients  []struct{ ID, Key string }
		Delivery struct{ Resource, Client, CSV string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return 0, err
	}
	key := ""
	for _, c := range file.Clients {
		if c.ID == file.Delivery.Client {
			key = c.Key
		}
	}
	// The first row of the demo's example, again and again under new serial numbers.
	header, rest, _ := strings.Cut(file.Delivery.CSV, "\n")
	_, row, found := strings.Cut(rest[:strings.IndexByte(rest+"\n", '\n')], ",")
	if !found || key == "" {
		return 0, fmt.Errorf("%s has no delivery", demo)
	}
	path := filepath.Join(env.Dir, "delivery."+format)
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	w := bufio.NewWriter(out)
	names, values := strings.Split(header, ","), strings.Split(row, ",")
	first := 900_000_000_000 // no row of one format is one of the other's
	if format == "csv" {
		fmt.Fprintln(w, header)
		for i := range rows {
			fmt.Fprintf(w, "%d,%s\n", first+i, row)
		}
	} else {
		rest := ""
		for i, v := range values {
			rest += fmt.Sprintf(",%q:%q", names[i+1], v)
		}
		for i := range rows {
			fmt.Fprintf(w, "{%q:\"%d\"%s}\n", names[0], first+rows+i, rest)
		}
	}
	if err := errors.Join(w.Flush(), out.Close()); err != nil {
		return 0, err
	}
	// The kernel begins anew to remember the highest size.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return 0, err
	}
	receipt, err := exec.CommandContext(ctx, bin, "intake", path, "--server", base, "--api-key", key, "--resource", file.Delivery.Resource, "--secrecy", "declared", "--json").Output()
	if err != nil {
		return 0, fmt.Errorf("intake: %w: %s", err, receipt)
	}
	var done struct{ Accepted int }
	if err := json.Unmarshal(receipt, &done); err != nil {
		return 0, err
	}
	if done.Accepted != rows {
		return 0, fmt.Errorf("intake took %d of %d rows", done.Accepted, rows)
	}
	return memoryOf(pid, "VmHWM"), nil
}

func get(client *http.Client, address string) error {
	resp, err := client.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	return nil
}

// p95 asks for each page 40 times and gives the 95th percentile over all.
func p95(client *http.Client, base string, pages []string) (time.Duration, error) {
	var took []time.Duration
	for range 40 {
		for _, page := range pages {
			began := time.Now()
			if err := get(client, base+page); err != nil {
				return 0, err
			}
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took[len(took)*95/100], nil
}

// logIn logs in as the first steward of demo.json.
func logIn(client *http.Client, base, demo string) error {
	text, err := os.ReadFile(demo)
	if err != nil {
		return err
	}
	var file struct {
		Accounts []struct{ Login, Password, Post string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	for _, a := range file.Accounts {
		if a.Post != "steward" {
			continue
		}
		form := url.Values{"login": {a.Login}, "password": {a.Password}}
		req, err := http.NewRequest(http.MethodPost, base+"/console/login", strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", base)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("log-in: %s", resp.Status)
		}
		return nil
	}
	return fmt.Errorf("%s has no steward", demo)
}

// memoryOf is a figure of a process's memory in megabytes: VmRSS, what is resident
// now, or VmHWM, the highest.
func memoryOf(pid int, name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb / 1024
		}
	}
	return 0
}
