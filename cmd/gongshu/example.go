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

// exampleCmd prints a request against the running demo as a shell command, to be
// read, changed, or piped into a shell.
type exampleCmd struct {
	Mode string `arg:"" help:"query, verify, obtain, statistics, or intake." enum:"query,verify,obtain,statistics,intake"`
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
	if c.Mode == "intake" {
		_, err := fmt.Fprintln(g.out, c.intake(file))
		return err
	}
	for _, grant := range file.Grants {
		if grant.Mode == c.Mode {
			_, err := fmt.Fprintln(g.out, curl(file.BaseURL, grant))
			return err
		}
	}
	return errs.Newf(errs.NotFound, "演示中没有 %s 方式的授权", "the demo has no grant in the mode %s", c.Mode)
}

// intake writes the demo's small file and sends it with this program.
func (c exampleCmd) intake(file demo.File) string {
	self, err := os.Executable()
	if err != nil {
		self = "gongshu"
	}
	key := ""
	for _, client := range file.Clients {
		if client.ID == file.Delivery.Client {
			key = client.Key
		}
	}
	return "printf %s " + quote(file.Delivery.CSV) + " > rows.csv\n" + strings.Join([]string{
		quote(self) + " intake rows.csv", "--resource " + catalog.PathCode(file.Delivery.Resource), "--secrecy declared",
		"--problems problems.csv", "--server " + file.BaseURL, "--api-key " + key,
	}, " \\\n  ")
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
		return strings.Join(append(line, quote(fmt.Sprintf("%s/rows?%v", url, grant.Example))), " \\\n  ")
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
