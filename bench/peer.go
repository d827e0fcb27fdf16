package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The peer is pREST, which like PostgREST answers HTTP from PostgreSQL tables: the
// nearest thing in Go that a city might put in front of its rows. It is no part of
// this program: its module is fetched and built in a folder that is thrown away.
const (
	peerModule  = "github.com/prest/prest"
	peerVersion = "v1.5.5"
)

// peerFigures measures the gateway against the peer over the same table.
func peerFigures(ctx context.Context, env Env) ([]Row, error) {
	n, rounds, slice := 200_000, 5, 3.0
	if env.Quick {
		n, rounds, slice = 5000, 2, 0.5
	}
	row := Row{What: "gateway query by key, full audit, PostgreSQL", Against: "pREST " + peerVersion + ", same row, no audit", Bar: "≥ 2"}
	if env.Postgres == "" {
		row.Note = "No PostgreSQL was at hand."
		return []Row{row}, nil
	}
	bin, err := buildPeer(ctx, env.Dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: the peer cannot be had:", err)
		row.Note = "pREST " + peerVersion + " could not be fetched or built here."
		return []Row{row}, nil
	}
	control, drop, err := newDatabase(ctx, env.Postgres)
	if err != nil {
		return nil, err
	}
	defer drop()
	rows, drop2, err := newDatabase(ctx, env.Postgres)
	if err != nil {
		return nil, err
	}
	defer drop2()
	got, err := gatewayAgainst(ctx, env, control, rows, n, rounds, slice, func(ctx context.Context, rows, table string) (other, error) {
		return startPeer(ctx, env.Dir, bin, rows, table)
	})
	if err != nil {
		return nil, err
	}
	row.Value, row.Base, row.Ratio = got.Value, got.Base, got.Ratio
	var ratio float64
	fmt.Sscan(got.Ratio, &ratio)
	row.OK = ratio >= 2
	row.Note = got.Note + " The peer has as many database connections as there are callers (its own default is 10), and neither keys, masks nor a log."
	return []Row{row}, nil
}

// buildPeer builds the peer in a module of its own.
func buildPeer(ctx context.Context, dir string) (bin string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	scratch := filepath.Join(dir, "peer")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return "", err
	}
	mod := "module scratch\n\ngo 1.25\n\nrequire " + peerModule + " " + peerVersion + "\n"
	if err := os.WriteFile(filepath.Join(scratch, "go.mod"), []byte(mod), 0o644); err != nil {
		return "", err
	}
	bin = filepath.Join(scratch, "prestd")
	build := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-o", bin, peerModule+"/cmd/prestd")
	build.Dir = scratch
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(out))
	}
	return bin, nil
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// startPeer runs the peer over the rows' database until stop.
func startPeer(ctx context.Context, dir, bin, rows, table string) (other, error) {
	u, err := url.Parse(rows)
	if err != nil {
		return other{}, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return other{}, err
	}
	addr := l.Addr().String()
	l.Close()
	host, port, _ := net.SplitHostPort(addr)
	base := strings.TrimPrefix(u.Path, "/")
	log, err := os.Create(filepath.Join(dir, "peer.log"))
	if err != nil {
		return other{}, err
	}
	password, _ := u.User.Password()
	cmd := exec.CommandContext(ctx, bin)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "PREST_HTTP_HOST="+host, "PREST_HTTP_PORT="+port, "PREST_PG_HOST="+u.Hostname(), "PREST_PG_PORT="+u.Port(),
		"PREST_PG_USER="+u.User.Username(), "PREST_PG_PASS="+password, "PREST_PG_DATABASE="+base, "PREST_PG_SSL_MODE=disable", "PREST_SSL_MODE=disable",
		fmt.Sprintf("PREST_PG_MAXOPENCONN=%d", loadConns), fmt.Sprintf("PREST_PG_MAXIDLECONN=%d", loadConns), "PREST_JWT_DEFAULT=false", "PREST_DEBUG=false")
	if err := cmd.Start(); err != nil {
		log.Close()
		return other{}, err
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
	}
	path := "/" + base + "/" + strings.ReplaceAll(table, ".", "/")
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + addr + path + "?c1=350102000000000000")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				stop()
				return other{}, errors.New("the peer answers " + resp.Status)
			}
			break
		}
		if time.Now().After(until) {
			stop()
			return other{}, fmt.Errorf("the peer does not answer: %w", err)
		}
	}
	return other{addr, "GET " + path + "?c1=350102KEYKEYKEY000 HTTP/1.1\r\nHost: bench\r\n\r\n", stop}, nil
}
