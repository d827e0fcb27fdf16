package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"gongshu/catalog"
	"gongshu/demo"
	"gongshu/internal/errs"
)

// exampleCmd prints a request against the running demo as a curl command, to be
// read, changed, or piped into a shell.
type exampleCmd struct {
	Mode string `arg:"" help:"query, verify, obtain or statistics." enum:"query,verify,obtain,statistics"`
	Data string `help:"Data directory of the demo." default:"data" env:"GONGSHU_DATA" type:"path"`
}

func (c exampleCmd) Run(g *globals) error {
	path := stores{Data: c.Data}.path("demo.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return errs.Newf(errs.NotFound, "找不到 %s，请先运行 gongshu demo", "%s is missing; run gongshu demo first", path).In("--data").Because(err)
	}
	var file demo.File
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, grant := range file.Grants {
		if grant.Mode == c.Mode {
			_, err := fmt.Fprintln(g.out, curl(file.BaseURL, grant))
			return err
		}
	}
	return errs.Newf(errs.NotFound, "演示中没有 %s 方式的授权", "the demo has no grant in the mode %s", c.Mode)
}

// curl writes a grant's example as a shell command.
func curl(base string, grant demo.Grant) string {
	url := base + "/api/v1/resources/" + catalog.PathCode(grant.Resource)
	line := []string{"curl -sS"}
	names := make([]string, 0, len(grant.Headers))
	for name := range grant.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		line = append(line, "-H "+quote(name+": "+grant.Headers[name]))
	}
	if grant.Mode == "obtain" {
		format, _ := grant.Example.(map[string]any)
		return strings.Join(append(line, quote(fmt.Sprintf("%s/rows?format=%v", url, format["format"]))), " \\\n  ")
	}
	body, err := json.Marshal(grant.Example)
	if err != nil {
		panic(err) // it came out of JSON
	}
	line = append(line, "-H 'Content-Type: application/json'", "-d "+quote(string(body)))
	return strings.Join(append(line, quote(url+"/"+grant.Mode)), " \\\n  ")
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
