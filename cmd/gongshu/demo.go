package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"gongshu/demo"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/profile"
)

// demoCmd builds a believable city and serves it.
type demoCmd struct {
	stores
	Addr   string `help:"Address to listen on." default:"127.0.0.1:8080" env:"GONGSHU_ADDR"`
	Seed   uint64 `help:"The same seed and day give the same city." default:"1"`
	People int    `help:"Residents of the city." default:"200000"`
	Build  bool   `help:"Build and end, without serving."`
}

func (c demoCmd) Run(ctx context.Context, g *globals) error {
	if _, err := os.Stat(c.path("keys")); c.City == "" && errors.Is(err, os.ErrNotExist) {
		c.City = "fuzhou" // a directory that is there knows its city
	}
	clock := &demo.Clock{}
	a, err := open(ctx, c.stores, clock.Now)
	if err != nil {
		return err
	}
	defer func() { a.close() }()
	state, err := db.Fact(ctx, a.control.Read(), "demo")
	if err != nil {
		return err
	}
	switch state {
	case "":
		empty, err := a.identity.Empty(ctx)
		if err != nil {
			return err
		}
		if !empty {
			return errs.Newf(errs.Conflict, "数据目录 %s 中已有平台数据，演示不会改动它；请换一个目录", "the data directory %s holds a real platform, which the demo does not touch; take another directory", c.Data).In("--data")
		}
		if err := c.build(ctx, g, a, clock); err != nil {
			return err
		}
	case "building":
		return errs.Newf(errs.Conflict, "数据目录 %s 中的演示没有建完；请删除该目录后重试", "the demo in %s was not finished; delete the directory and try again", c.Data).In("--data")
	}
	if c.Build {
		return nil
	}
	return a.serve(ctx, c.Addr, allRoles, front{}, func(base string) {
		if err := c.announce(g, base, profile.CityName.Of(a.profile).V.ZH); err != nil {
			a.logger.Error("demo.json", "err", err)
		}
	})
}

func (c demoCmd) build(ctx context.Context, g *globals, a *app, clock *demo.Clock) error {
	began := time.Now()
	fmt.Fprintln(g.out, "building the demo city …")
	mark := func(state string) error {
		return a.control.InTx(ctx, func(tx *db.Tx) error { return db.SetFact(ctx, tx, "demo", state) })
	}
	if err := mark("building"); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	// The story does the rest of the worker's part at its own time.
	wait := a.background(running, slices.Concat(a.runs, a.finds, []func(context.Context) error{a.log.Run})...)
	file, err := demo.Build(ctx, demo.Deps{
		Control: a.control, Profile: a.profile, Clock: clock, Identity: a.identity, Org: a.org, Catalog: a.catalog, Intake: a.intake,
		Sharing: a.sharing, Gateway: a.gateway, OpenData: a.opendata, Inbox: a.notice, Open: a.open, Jobs: a.jobs, Log: slog.Default(),
	}, demo.Options{Seed: c.Seed, People: c.People})
	stop()
	wait()
	if err != nil {
		return err
	}
	if err := c.write(file); err != nil {
		return err
	}
	fmt.Fprintf(g.out, "built in %v\n", time.Since(began).Round(100*time.Millisecond))
	return mark("built")
}

func (c demoCmd) write(file *demo.File) error {
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("demo.json"), append(text, '\n'), 0o600)
}

// announce writes the address into demo.json and says how to log in.
func (c demoCmd) announce(g *globals, base, city string) error {
	text, err := os.ReadFile(c.path("demo.json"))
	if errors.Is(err, os.ErrNotExist) {
		return errs.Newf(errs.NotFound, "找不到 %s", "%s is missing", c.path("demo.json"))
	}
	if err != nil {
		return err
	}
	var file demo.File
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("%s: %w", c.path("demo.json"), err)
	}
	file.BaseURL = base
	if err := c.write(&file); err != nil {
		return err
	}
	fmt.Fprintf(g.out, "\n%s  %s\n  portal   %s/\n  console  %s/console/\n", city, base, base, base)
	for _, post := range []string{"steward", "leader", "authority_reviewer", "operator", "auditor", "system_admin", "security_admin"} {
		for _, account := range file.Accounts {
			if account.Post == post {
				fmt.Fprintf(g.out, "  log in   %-26s %s  (%s, %s)\n", account.Login, account.Password, account.Post, account.Body)
				break
			}
		}
	}
	fmt.Fprintf(g.out, "  all accounts, API keys and examples: %s\n", c.path("demo.json"))
	return nil
}
