package profile

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"gongshu/clause"
	"gongshu/internal/errs"
)

//go:embed nation.yaml cities/*.yaml
var files embed.FS

const maxFileBytes = 1 << 20

// lineError carries the node at which a value is wrong.
type lineError struct {
	line int
	err  error
}

func (e lineError) Error() string { return e.err.Error() }

func at(n *yaml.Node, err error) error {
	var le lineError
	if errors.As(err, &le) {
		return err
	}
	return lineError{n.Line, err}
}

// Cities lists the ids of the profiles shipped with the program, sorted.
func Cities() []string {
	entries, err := files.ReadDir("cities")
	if err != nil {
		panic(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(out)
	return out
}

// Open loads a profile by the id of a shipped city or by the path of a file (a
// name with a slash or ending in .yaml or .yml). The error lists every fault with
// file and line.
func Open(nameOrPath string) (*Profile, error) {
	if slices.Contains(Cities(), nameOrPath) {
		return Load(nameOrPath)
	}
	if strings.ContainsAny(nameOrPath, `/\`) || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml") {
		return LoadFile(nameOrPath)
	}
	return nil, errs.Newf(errs.NotFound,
		"没有名为“%[1]s”的城市配置；内置：%[2]s，也可给出 YAML 文件路径",
		"no city profile is called %[1]q; shipped are %[2]s, or give the path of a YAML file",
		nameOrPath, strings.Join(Cities(), ", "))
}

// Load gives a shipped profile.
func Load(city string) (*Profile, error) {
	b, err := files.ReadFile("cities/" + city + ".yaml")
	if err != nil {
		return nil, errs.Newf(errs.NotFound, "没有名为“%s”的城市配置", "no city profile is called %q", city).Because(err)
	}
	return parse("profile/cities/"+city+".yaml", b)
}

// LoadFile reads a profile from a file of at most 1 MiB.
func LoadFile(path string) (*Profile, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, errs.Newf(errs.NotFound, "读不到城市配置文件 %s", "cannot read the profile file %s", path).Because(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFileBytes {
		return nil, errs.Newf(errs.TooLarge, "城市配置文件 %s 超过 1 MiB", "the profile file %s is over 1 MiB", path)
	}
	return parse(path, b)
}

// Parse reads a profile from text; file names it in errors.
func Parse(file string, text []byte) (*Profile, error) { return parse(file, text) }

type faults struct{ list []errs.Problem }

func (f *faults) add(file string, line int, format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	f.list = append(f.list, errs.Problem{Field: fmt.Sprintf("%s:%d", file, line), Text: errs.T(s, s)})
}

func (f *faults) err(file string) error {
	if len(f.list) == 0 {
		return nil
	}
	return errs.Newf(errs.Invalid, "城市配置 %[1]s 的错误（%[2]d 处）", "faults in the profile %[1]s: %[2]d", file, len(f.list)).With(f.list...)
}

func parse(file string, text []byte) (*Profile, error) {
	nationText, err := files.ReadFile("nation.yaml")
	if err != nil {
		return nil, err
	}
	nation, _, err := parseLayer("profile/nation.yaml", nationText, "nation")
	if err != nil {
		return nil, err
	}
	city, id, err := parseLayer(file, text, "city")
	if err != nil {
		return nil, err
	}
	p := &Profile{ID: id, File: file, layers: []layer{city, nation}}
	sum := sha256.New()
	sum.Write(text)
	sum.Write(nationText)
	p.digest = hex.EncodeToString(sum.Sum(nil))[:8]
	var f faults
	for _, e := range schema {
		if _, ok := city.values[e.name]; ok || e.optional {
			continue
		}
		if n, ok := nation.values[e.name]; ok && !n.unverified {
			continue
		}
		f.add(file, 1, "required key %s is missing", e.name)
	}
	crossCheck(p, &f)
	if err := f.err(file); err != nil {
		return nil, err
	}
	return p, nil
}

// crossCheck finds values that contradict each other.
func crossCheck(p *Profile, f *faults) {
	city := p.layers[0]
	steps, ok := city.values[ConditionalSteps.Name()]
	if !ok {
		return
	}
	list, _ := steps.value.([]Step)
	has := func(kind string) bool {
		return slices.ContainsFunc(list, func(s Step) bool { return s.Kind == kind })
	}
	if len(list) > 0 && !has(StepDecision) {
		f.add(p.File, steps.provenance.Line, "%s: no step decides", ConditionalSteps.Name())
	}
	required, _ := city.values[AgreementRequired.Name()].value.(bool)
	if required != has(StepSign) {
		f.add(p.File, steps.provenance.Line, "%s is %t, but the steps say otherwise", AgreementRequired.Name(), required)
	}
}

var idShape = regexp.MustCompile(`^[a-z][a-z0-9_-]{1,39}$`)

func parseLayer(file string, text []byte, name string) (layer, string, error) {
	l := layer{name: name, file: file, values: map[string]raw{}}
	var doc yaml.Node
	if !utf8.Valid(text) { // the decoder does not say where
		line := 1
		for rest := text; ; line++ {
			one, after, _ := bytes.Cut(rest, []byte("\n"))
			if !utf8.Valid(one) {
				break
			}
			rest = after
		}
		return l, "", errs.Newf(errs.Invalid, "城市配置 %[1]s:%[2]d 不是 UTF-8 文本", "profile %[1]s:%[2]d: not UTF-8", file, line)
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return l, "", errs.Newf(errs.Invalid, "城市配置 %[1]s 不是有效的 YAML：%[2]v", "profile %[1]s is no valid YAML: %[2]v", file, err)
	}
	var f faults
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		f.add(file, 1, "want a mapping with profile: and values:")
		return l, "", f.err(file)
	}
	id := ""
	var values *yaml.Node
	seen := map[string]bool{}
	top := doc.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		k, v := top[i], top[i+1]
		if seen[k.Value] {
			f.add(file, k.Line, "key %q stands twice", k.Value)
		}
		seen[k.Value] = true
		switch k.Value {
		case "profile":
			id = v.Value
			if !idShape.MatchString(id) {
				f.add(file, k.Line, "profile: want an id of small letters and digits, like fuzhou")
			}
		case "values":
			values = v
		default:
			f.add(file, k.Line, "unknown key %q", k.Value)
		}
	}
	if id == "" {
		f.add(file, 1, "required key profile is missing")
	}
	if values == nil || values.Kind != yaml.MappingNode {
		f.add(file, 1, "required key values is missing")
		return l, id, f.err(file)
	}
	for i := 0; i+1 < len(values.Content); i += 2 {
		k, v := values.Content[i], values.Content[i+1]
		e, ok := byName[k.Value]
		if !ok {
			f.add(file, k.Line, "unknown key %q", k.Value)
			continue
		}
		if _, twice := l.values[k.Value]; twice {
			f.add(file, k.Line, "key %q stands twice", k.Value)
			continue
		}
		r, err := parseValue(e, k, v, name)
		if err != nil {
			line := k.Line
			var le lineError
			if errors.As(err, &le) {
				line = le.line
			}
			f.add(file, line, "%s: %v", k.Value, err)
			continue
		}
		r.provenance.File, r.provenance.Line, r.provenance.Layer = file, k.Line, name
		l.values[k.Value] = r
	}
	return l, id, f.err(file)
}

func parseValue(e *entry, k, v *yaml.Node, layerName string) (raw, error) {
	var r raw
	if v.Kind != yaml.MappingNode {
		return r, at(k, fmt.Errorf("want {value: …, clause: …}, {value: …, practice: …} or {none: …}"))
	}
	has := map[string]*yaml.Node{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		kk, vv := v.Content[i], v.Content[i+1]
		if has[kk.Value] != nil {
			return r, at(kk, fmt.Errorf("%q stands twice", kk.Value))
		}
		has[kk.Value] = vv
		switch kk.Value {
		case "value", "clause", "practice", "none":
		case "source", "since", "unverified":
			if layerName != "nation" {
				return r, at(kk, fmt.Errorf("%q belongs into a layer above the city", kk.Value))
			}
		default:
			return r, at(kk, fmt.Errorf("unknown key %q", kk.Value))
		}
	}
	if n := has["none"]; n != nil {
		if len(has) != 1 || n.Kind != yaml.ScalarNode || n.Value == "" {
			return r, at(n, fmt.Errorf("none stands alone and gives the reason"))
		}
		r.provenance.Kind, r.provenance.Reason = None, n.Value
		return r, nil
	}
	if has["value"] == nil {
		return r, fmt.Errorf("neither value nor none")
	}
	value, err := e.parse(has["value"])
	if err != nil {
		return r, at(has["value"], err)
	}
	r.value = value
	if steps, ok := value.([]Step); ok {
		for _, s := range steps {
			if err := clause.Known(s.Clauses...); err != nil {
				return r, at(has["value"], fmt.Errorf("step %s: %w", s.Key, err))
			}
		}
	}
	return r, parseSource(&r, has, layerName)
}

func parseSource(r *raw, has map[string]*yaml.Node, layerName string) error {
	if layerName == "nation" {
		if has["source"] == nil || has["source"].Value == "" || has["clause"] != nil || has["practice"] != nil {
			return fmt.Errorf("the nation layer names source, and neither clause nor practice")
		}
		r.provenance.Kind, r.provenance.Source = Inherited, has["source"].Value
		if n := has["since"]; n != nil {
			t, err := time.Parse(time.DateOnly, n.Value)
			if err != nil {
				return at(n, fmt.Errorf("since: want a date like 2025-08-01"))
			}
			r.provenance.Since = t
		}
		if n := has["unverified"]; n != nil {
			if n.Value != "true" && n.Value != "false" {
				return at(n, fmt.Errorf("unverified: want true or false"))
			}
			r.unverified = n.Value == "true"
		}
		return nil
	}
	c, p := has["clause"], has["practice"]
	switch {
	case c != nil && p == nil:
		ids, err := clauseList(c)
		if err != nil {
			return at(c, err)
		}
		r.provenance.Kind, r.provenance.Clauses = Stated, ids
	case p != nil && c == nil:
		if p.Kind != yaml.ScalarNode || p.Value == "" {
			return at(p, fmt.Errorf("practice gives the reason"))
		}
		r.provenance.Kind, r.provenance.Reason = Practice, p.Value
	default:
		return fmt.Errorf("say either the clause or the practice that the value rests on")
	}
	return nil
}

func clauseList(n *yaml.Node) ([]string, error) {
	ids, err := stringOrList(n)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 || ids[0] == "" {
		return nil, fmt.Errorf("no clause is named")
	}
	return ids, clause.Known(ids...)
}
