package operation

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"gongshu/internal/errs"
)

//go:embed policies/*.cedar
var policyFiles embed.FS

// Policy is one rule of who may or may not do what, as a page and a refusal show it.
type Policy struct {
	ID      string
	Area    string    // name of the file: "catalog"
	Permit  bool      // false: it forbids
	Actions []Action  // nil: every action
	Clauses []string  // ids of the register
	Basis   errs.Text // words, where no clause rules or beside it
	Text    errs.Text
	Source  string // the policy's own text
	File    string
	Line    int

	compiled *cedar.Policy
}

// Policies is the whole set, indexed by action.
type Policies struct {
	all     []*Policy
	actions []Action
	// byAction holds the policies that can match an action, those for every
	// action included, so that a decision evaluates no others.
	byAction map[Action]cedar.PolicyMap
	byID     map[string]*Policy
}

// Load parses the policies embedded in the program. An error names file, line and policy.
func Load() (*Policies, error) { return loadFrom(policyFiles) }

func loadFrom(files fs.FS) (*Policies, error) {
	names, err := fs.Glob(files, "policies/*.cedar")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	set := &Policies{byAction: map[Action]cedar.PolicyMap{}, byID: map[string]*Policy{}}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		list, err := cedar.NewPolicyListFromBytes(name, text)
		if err != nil {
			return nil, fmt.Errorf("operation: %s: %w", name, err)
		}
		for _, compiled := range list {
			p, err := describe(name, compiled)
			if err != nil {
				return nil, err
			}
			if other, taken := set.byID[p.ID]; taken {
				return nil, fmt.Errorf("operation: %s:%d: @id(%q) is taken by %s:%d", name, p.Line, p.ID, other.File, other.Line)
			}
			set.byID[p.ID] = p
			set.all = append(set.all, p)
		}
	}
	set.index()
	return set, nil
}

func describe(file string, compiled *cedar.Policy) (*Policy, error) {
	notes := compiled.Annotations()
	p := &Policy{
		ID:       string(notes["id"]),
		Area:     strings.TrimSuffix(path.Base(file), ".cedar"),
		Permit:   compiled.Effect() == cedar.Permit,
		Clauses:  strings.Fields(string(notes["clause"])),
		Basis:    errs.T(string(notes["basis_zh"]), string(notes["basis"])),
		Text:     errs.T(string(notes["zh"]), string(notes["en"])),
		Source:   string(compiled.MarshalCedar()),
		File:     file,
		Line:     compiled.Position().Line,
		compiled: compiled,
	}
	at := fmt.Sprintf("operation: %s:%d", file, p.Line)
	switch {
	case p.ID == "":
		return nil, fmt.Errorf("%s: a policy without @id", at)
	case len(p.Clauses) == 0 && p.Basis.EN == "":
		return nil, fmt.Errorf("%s: policy %s names neither @clause nor @basis", at, p.ID)
	case p.Basis.EN != "" && p.Basis.ZH == "":
		return nil, fmt.Errorf("%s: policy %s has @basis without @basis_zh", at, p.ID)
	case p.Text.ZH == "" || p.Text.EN == "":
		return nil, fmt.Errorf("%s: policy %s lacks its sentence in @zh and @en", at, p.ID)
	}
	switch scope := (*ast.Policy)(compiled.AST()).Action.(type) {
	case ast.ScopeTypeAll:
		if p.Permit {
			return nil, fmt.Errorf("%s: policy %s permits every action; name them", at, p.ID)
		}
	case ast.ScopeTypeEq:
		p.Actions = []Action{Action(scope.Entity.ID)}
	case ast.ScopeTypeInSet:
		for _, e := range scope.Entities {
			p.Actions = append(p.Actions, Action(e.ID))
		}
	default:
		return nil, fmt.Errorf(`%s: policy %s: write action == Action::"…" or action in [Action::"…"]`, at, p.ID)
	}
	for _, e := range p.Actions {
		if strings.Count(string(e), ".") < 1 {
			return nil, fmt.Errorf("%s: policy %s: action %q lacks its area", at, p.ID, e)
		}
	}
	return p, nil
}

func (set *Policies) index() {
	for _, p := range set.all {
		for _, action := range p.Actions {
			if set.byAction[action] == nil {
				set.byAction[action] = cedar.PolicyMap{}
				set.actions = append(set.actions, action)
			}
			set.byAction[action][types.PolicyID(p.ID)] = p.compiled
		}
	}
	for _, p := range set.all {
		if p.Actions != nil {
			continue
		}
		for _, policies := range set.byAction {
			policies[types.PolicyID(p.ID)] = p.compiled
		}
	}
	slices.Sort(set.actions)
}

// All returns every policy in the order of files and lines.
func (set *Policies) All() []*Policy { return slices.Clone(set.all) }

// Actions returns every action that some policy names, sorted.
func (set *Policies) Actions() []Action { return slices.Clone(set.actions) }

// Of returns the policies that rule an action, permits first.
func (set *Policies) Of(action Action) []*Policy {
	var out []*Policy
	for _, p := range set.all {
		if _, rules := set.byAction[action][types.PolicyID(p.ID)]; rules {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *Policy) int {
		switch {
		case a.Permit == b.Permit:
			return 0
		case a.Permit:
			return -1
		}
		return 1
	})
	return out
}
