package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Key is a typed key of the schema.
type Key[T any] struct{ entry *entry }

type entry struct {
	name     string
	label    Words
	unit     Words
	optional bool // may be left out of a city file
	parse    func(n *yaml.Node) (any, error)
	write    func(v any) Words
	// stricter reports whether the nation's value binds harder than the city's;
	// nil where the two are not comparable and the city's own text stands.
	stricter func(nation, city any) bool
}

func (e *entry) section() string {
	s, _, _ := strings.Cut(e.name, ".")
	return s
}

func (e *entry) text(v any) Words {
	if v == nil {
		return Words{}
	}
	return e.write(v)
}

var (
	schema []*entry
	byName = map[string]*entry{}
)

func define[T any](e *entry) Key[T] {
	schema = append(schema, e)
	byName[e.name] = e
	return Key[T]{e}
}

func lower(nation, city any) bool   { return nation.(int) < city.(int) }     // fewer days are stricter
func higher(nation, city any) bool  { return nation.(int) > city.(int) }     // longer retention is stricter
func demands(nation, city any) bool { return nation.(bool) && !city.(bool) } // a duty is stricter than none

var (
	workingDays = Words{"个工作日", "working days"}
	months      = Words{"个月", "months"}
	persons     = Words{"人", "persons"}
	days        = Words{"天", "days"}
	grades      = Words{"级", "(grade)"}
)

func intKey(name, zh, en string, unit Words, lo, hi int, stricter func(a, b any) bool) Key[int] {
	return define[int](&entry{name: name, label: Words{zh, en}, unit: unit, stricter: stricter,
		parse: func(n *yaml.Node) (any, error) {
			v, err := strconv.Atoi(n.Value)
			if n.Kind != yaml.ScalarNode || err != nil || v < lo || v > hi {
				return nil, fmt.Errorf("want a whole number from %d to %d", lo, hi)
			}
			return v, nil
		},
		write: func(v any) Words { s := strconv.Itoa(v.(int)); return Words{s, s} },
	})
}

func boolKey(name, zh, en string, stricter func(a, b any) bool) Key[bool] {
	return define[bool](&entry{name: name, label: Words{zh, en}, stricter: stricter,
		parse: func(n *yaml.Node) (any, error) {
			if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
				return nil, fmt.Errorf("want true or false")
			}
			return n.Value == "true", nil
		},
		write: func(v any) Words {
			if v.(bool) {
				return Words{"是", "yes"}
			}
			return Words{"否", "no"}
		},
	})
}

func wordsKey(name, zh, en string) Key[Words] {
	return define[Words](&entry{name: name, label: Words{zh, en},
		parse: func(n *yaml.Node) (any, error) { return parseWords(n) },
		write: func(v any) Words { return v.(Words) },
	})
}

func textKey(name, zh, en string, shape *regexp.Regexp) Key[string] {
	return define[string](&entry{name: name, label: Words{zh, en},
		parse: func(n *yaml.Node) (any, error) {
			if n.Kind != yaml.ScalarNode || !shape.MatchString(n.Value) {
				return nil, fmt.Errorf("want text like %s", shape)
			}
			return n.Value, nil
		},
		write: func(v any) Words { return Words{v.(string), v.(string)} },
	})
}

// choices names what a value may be and how pages write it.
type choices []struct {
	value string
	words Words
}

func (c choices) values() []string {
	out := make([]string, len(c))
	for i, o := range c {
		out[i] = o.value
	}
	return out
}

func (c choices) words(v string) Words {
	for _, o := range c {
		if o.value == v {
			return o.words
		}
	}
	return Words{v, v}
}

func choiceKey(name, zh, en string, c choices) Key[string] {
	return define[string](&entry{name: name, label: Words{zh, en},
		parse: func(n *yaml.Node) (any, error) {
			if n.Kind != yaml.ScalarNode || !slices.Contains(c.values(), n.Value) {
				return nil, fmt.Errorf("want one of %s", strings.Join(c.values(), ", "))
			}
			return n.Value, nil
		},
		write: func(v any) Words { return c.words(v.(string)) },
	})
}

func listKey(name, zh, en string, c choices) Key[[]string] {
	return define[[]string](&entry{name: name, label: Words{zh, en},
		parse: func(n *yaml.Node) (any, error) {
			if n.Kind != yaml.SequenceNode {
				return nil, fmt.Errorf("want a list of %s", strings.Join(c.values(), ", "))
			}
			out := []string{}
			for _, item := range n.Content {
				if item.Kind != yaml.ScalarNode || !slices.Contains(c.values(), item.Value) || slices.Contains(out, item.Value) {
					return nil, at(item, fmt.Errorf("%q: want each at most once of %s", item.Value, strings.Join(c.values(), ", ")))
				}
				out = append(out, item.Value)
			}
			return out, nil
		},
		write: func(v any) Words {
			var zh, en []string
			for _, s := range v.([]string) {
				w := c.words(s)
				zh, en = append(zh, w.ZH), append(en, w.EN)
			}
			if len(zh) == 0 {
				return Words{"（无）", "(none)"}
			}
			return Words{strings.Join(zh, "、"), strings.Join(en, ", ")}
		},
	})
}

func stepsKey(name, zh, en string) Key[[]Step] {
	return define[[]Step](&entry{name: name, label: Words{zh, en},
		parse: func(n *yaml.Node) (any, error) { return parseSteps(n) },
		write: func(v any) Words {
			var zh, en []string
			for _, s := range v.([]Step) {
				zh, en = append(zh, s.Name.ZH), append(en, s.Name.EN)
			}
			return Words{strings.Join(zh, " → "), strings.Join(en, " → ")}
		},
	})
}

func parseWords(n *yaml.Node) (Words, error) {
	if n.Kind != yaml.MappingNode {
		return Words{}, fmt.Errorf("want {zh: …, en: …}")
	}
	var w Words
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "zh":
			w.ZH = n.Content[i+1].Value
		case "en":
			w.EN = n.Content[i+1].Value
		default:
			return Words{}, at(n.Content[i], fmt.Errorf("unknown key %q", n.Content[i].Value))
		}
	}
	if w.ZH == "" || w.EN == "" {
		return Words{}, fmt.Errorf("both zh and en are wanted")
	}
	return w, nil
}

var (
	stepPosts  = []string{"steward", "leader", "secrecy_reviewer", "authority_reviewer", "operator"}
	stepKinds  = []string{StepOpinion, StepDecision, StepReview, StepSign, StepExecute}
	stepClocks = []string{"answer", "share", "review", ""}
	relations  = []string{RelAuthority, RelProvider, RelConsumer, RelOperator}
	stepKey    = regexp.MustCompile(`^[a-z][a-z_]{1,39}$`)
)

func parseSteps(n *yaml.Node) ([]Step, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, fmt.Errorf("want a list of steps")
	}
	var out []Step
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			return nil, at(item, fmt.Errorf("a step is {key, name, kind, post, body, clock, clause or practice}"))
		}
		var s Step
		for i := 0; i+1 < len(item.Content); i += 2 {
			k, v := item.Content[i], item.Content[i+1]
			var err error
			switch k.Value {
			case "key":
				s.Key = v.Value
			case "name":
				s.Name, err = parseWords(v)
			case "kind":
				s.Kind = v.Value
			case "post":
				s.Post = v.Value
			case "body":
				s.Bodies, err = stringOrList(v)
			case "clock":
				s.Clock = v.Value
			case "clause":
				s.Clauses, err = clauseList(v)
			case "practice":
				s.Practice = v.Value
			default:
				err = fmt.Errorf("unknown key %q in a step", k.Value)
			}
			if err != nil {
				return nil, at(k, err)
			}
		}
		if err := checkStep(s, out); err != nil {
			return nil, at(item, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func checkStep(s Step, before []Step) error {
	switch {
	case !stepKey.MatchString(s.Key):
		return fmt.Errorf("step key %q: want small letters and _", s.Key)
	case slices.ContainsFunc(before, func(o Step) bool { return o.Key == s.Key }):
		return fmt.Errorf("step %s stands twice", s.Key)
	case s.Name.ZH == "":
		return fmt.Errorf("step %s has no name", s.Key)
	case !slices.Contains(stepKinds, s.Kind):
		return fmt.Errorf("step %s: kind %q: want one of %s", s.Key, s.Kind, strings.Join(stepKinds, ", "))
	case !slices.Contains(stepPosts, s.Post):
		return fmt.Errorf("step %s: post %q: want one of %s", s.Key, s.Post, strings.Join(stepPosts, ", "))
	case len(s.Bodies) == 0 || slices.ContainsFunc(s.Bodies, func(b string) bool { return !slices.Contains(relations, b) }):
		return fmt.Errorf("step %s: body: want some of %s", s.Key, strings.Join(relations, ", "))
	case !slices.Contains(stepClocks, s.Clock):
		return fmt.Errorf("step %s: clock %q: want answer, share or review", s.Key, s.Clock)
	case len(s.Clauses) == 0 && s.Practice == "" || len(s.Clauses) > 0 && s.Practice != "":
		return fmt.Errorf("step %s: say either the clause or the practice it rests on", s.Key)
	}
	return nil
}

func stringOrList(n *yaml.Node) ([]string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return []string{n.Value}, nil
	case yaml.SequenceNode:
		var out []string
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return nil, at(c, fmt.Errorf("want text"))
			}
			out = append(out, c.Value)
		}
		return out, nil
	}
	return nil, fmt.Errorf("want text or a list of texts")
}
