// Command gongshu is the whole platform in one program: the server, the demo
// city, and the tools that need no server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"gongshu/internal/errs"
)

// version is set by the linker.
var version = "0.1.0"

// globals are the flags that every command takes.
type globals struct {
	Lang string `help:"Language of messages: zh or en." env:"GONGSHU_LANG" default:"${lang}" enum:"zh,en"`

	out io.Writer `kong:"-"`
	err io.Writer `kong:"-"`
}

// commands is the command line. Each command lives in its own file.
type commands struct {
	globals
	Version   versionCmd   `cmd:"" help:"Print the version."`
	Profile   profileCmd   `cmd:"" help:"List, show and check city profiles."`
	Serve     serveCmd     `cmd:"" help:"Run the platform."`
	Admin     adminCmd     `cmd:"" help:"Make the first administrators, reset a person's password."`
	Example   exampleCmd   `cmd:"" help:"Print a request against the running demo as a shell command."`
	Demo      demoCmd      `cmd:"" help:"Build a believable city, once, and serve it."`
	Clauses   clausesCmd   `cmd:"" help:"Print the register of articles."`
	Catalog   catalogCmd   `cmd:"" help:"Write and register the catalog workbook."`
	Intake    intakeCmd    `cmd:"" help:"Send a file of rows to a resource, here or to a server."`
	Audit     auditCmd     `cmd:"" help:"Export and verify the audit log."`
	Watermark watermarkCmd `cmd:"" help:"Say which release of the data service a file stems from."`
	Warehouse warehouseCmd `cmd:"" help:"Rebuild a resource's rows from its raw batches; digests."`
	Backup    backupCmd    `cmd:"" help:"Copy a whole platform into one file while it runs."`
	Restore   restoreCmd   `cmd:"" help:"Build a data directory out of a backup and verify it."`
}

type versionCmd struct{}

func (versionCmd) Run(g *globals) error {
	_, err := fmt.Fprintln(g.out, "gongshu", version)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and gives the exit code: 0 done, 1 failed, 2 a
// command line that cannot be understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	cli.out, cli.err = stdout, stderr
	exit := -1
	parser, err := kong.New(&cli, kong.Name("gongshu"),
		kong.Description("Gongshu runs a city's government-data platform by that city's own regulations."),
		kong.Vars{"lang": preferredLanguage(os.Getenv("LANG"))},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&cli.globals))
	if err != nil {
		fmt.Fprintln(stderr, "gongshu:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		fmt.Fprintln(stderr, "gongshu:", err)
		return 2
	}
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "gongshu:", sentence(err, cli.Lang))
		return 1
	}
	return 0
}

// preferredLanguage reads a POSIX locale: English for en_*, Chinese otherwise.
func preferredLanguage(locale string) string {
	if strings.HasPrefix(locale, "en") || locale == "" || locale == "C" || strings.HasPrefix(locale, "C.") || locale == "POSIX" {
		return "en"
	}
	return "zh"
}

// sentence is an error as a person at a terminal should read it: field, what is
// wrong, every single fault, the articles.
func sentence(err error, lang string) string {
	e, ok := errs.As(err)
	if !ok {
		return err.Error()
	}
	var b strings.Builder
	if e.Field != "" {
		fmt.Fprintf(&b, "%s: ", e.Field)
	}
	b.WriteString(e.Text.In(lang))
	if len(e.Clauses) > 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(e.Clauses, ", "))
	}
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s: %s", p.Field, p.Text.In(lang))
		if p.Clause != "" {
			fmt.Fprintf(&b, " [%s]", p.Clause)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, "\n  (%v)", e.Err)
	}
	return b.String()
}
