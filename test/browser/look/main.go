// Command look opens pages of a running program at both widths in both
// languages, keeps pictures and prints what is wrong with them:
//
//	go run ./test/browser/look [-login NAME -password SECRET] [-out DIR] http://127.0.0.1:8080 /path…
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"gongshu/test/browser"
)

func main() {
	login := flag.String("login", "", "log in first")
	password := flag.String("password", "", "its password")
	out := flag.String("out", "test-results/screens", "where pictures go")
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	base := flag.Arg(0)
	var before func(*browser.Browser) error
	if *login != "" {
		before = func(b *browser.Browser) error { return b.LogIn(base, *login, *password) }
	}
	if err := browser.LookAll(context.Background(), *out, base, before, flag.Args()[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
