// Package profile is a city's rules as data. A profile is a file of values over
// a nation layer; each value says where it comes from: stated (an article of the
// register), inherited (the nation's rules), practice (the city's own decision,
// marked as such) or none (the text is silent). Code asks for a typed key and
// gets the value with its provenance; there is no other way to know a city.
//
// A file with an unknown key, a missing key, a value of the wrong shape or a
// clause id that the register lacks is refused with file and line.
package profile

import (
	"cmp"
	"slices"
	"time"

	"gongshu/clause"
)

// Kind says what a value rests on.
type Kind string

// The four kinds of provenance.
const (
	Stated    Kind = "stated"    // an article of the city's regulation says so
	Inherited Kind = "inherited" // a layer above says so
	Practice  Kind = "practice"  // the city's own decision, no article
	None      Kind = "none"      // nothing is set; the value is the zero value
)

// Provenance is where a value comes from.
type Provenance struct {
	Kind    Kind
	Clauses []string  // register ids; never empty for Stated
	Layer   string    // "city" or "nation"
	Source  string    // for Inherited: the name of the instrument, without article number
	Since   time.Time // first day on which the layer's rule is in force; zero when always
	Reason  string    // for Practice and None: why, in Chinese
	File    string    // file that states it
	Line    int
	// Instead is set when a stricter rule of the nation took the place of the
	// city's own value: the clauses of that value.
	Instead []string
}

// ByNobody reports whether nothing is set.
func (p Provenance) ByNobody() bool { return p.Kind == None || p.Kind == "" }

// Clause gives the first clause id, "" where none is stated.
func (p Provenance) Clause() string {
	if len(p.Clauses) == 0 {
		return ""
	}
	return p.Clauses[0]
}

// Value is a profile value with its provenance. V is the zero value when Kind is None.
type Value[T any] struct {
	V T
	Provenance
}

// Words is a term in both languages.
type Words struct {
	ZH string `yaml:"zh" json:"zh"`
	EN string `yaml:"en" json:"en"`
}

// In gives the wording for a language tag: English for "en…", Chinese otherwise.
func (w Words) In(lang string) string {
	if len(lang) >= 2 && lang[:2] == "en" && w.EN != "" {
		return w.EN
	}
	return w.ZH
}

// Relations of the body that holds the acting post to a case or resource.
const (
	RelAuthority = "authority" // 主管部门
	RelProvider  = "provider"  // 数据提供部门
	RelConsumer  = "consumer"  // 数据使用部门
	RelOperator  = "operator"  // 大数据中心, 技术服务单位
)

// What a step asks of its actors.
const (
	StepOpinion  = "opinion"  // agree or object with reasons; the case goes on either way
	StepDecision = "decision" // approve, cut, refuse, return
	StepReview   = "review"   // pass or return
	StepSign     = "sign"     // accept a document
	StepExecute  = "execute"  // do what was decided
)

// Step is one step of a procedure.
type Step struct {
	Key    string   // "provider_opinion"
	Name   Words    //
	Kind   string   // StepOpinion, StepDecision, StepReview, StepSign, StepExecute
	Post   string   // identity post: "authority_reviewer"
	Bodies []string // relations whose post holders act; several act side by side and all must
	Clock  string   // "answer", "share" or "review": the clock under which the step runs, "" for none
	// Clauses that ask for the step; empty when it is the city's practice.
	Clauses  []string
	Practice string // why, where no article asks for the step
}

// Profile is a city's rules. It is immutable after loading.
type Profile struct {
	ID     string // "fuzhou"
	File   string
	layers []layer // the city first, then those above it
	digest string
}

type layer struct {
	name   string // "city", "nation"
	file   string
	values map[string]raw
}

type raw struct {
	value      any
	provenance Provenance
	unverified bool
}

// Version names the exact content of all layers: "fuzhou-1f2e3d4c".
func (p *Profile) Version() string { return p.ID + "-" + p.digest }

// At gives the effective value of the key on the China date of t: the city's own
// value; the nation's where the city is silent; and, where the city's switch
// stricter_wins is on, the nation's where it is in force and stricter.
func (k Key[T]) At(p *Profile, t time.Time) Value[T] {
	r := p.at(k.entry, t)
	v := Value[T]{Provenance: r.provenance}
	if r.value != nil {
		v.V = r.value.(T)
	}
	return v
}

// Of gives the effective value now.
func (k Key[T]) Of(p *Profile) Value[T] { return k.At(p, time.Now()) }

// Name is the key as files write it: "sharing.conditional.answer_days".
func (k Key[T]) Name() string { return k.entry.name }

func (p *Profile) at(e *entry, t time.Time) raw {
	var own raw
	found := false
	for _, l := range p.layers {
		r, ok := l.values[e.name]
		if !ok || r.unverified || !inForce(r.provenance, t) {
			continue
		}
		if l.name == "city" {
			own, found = r, true
			if r.provenance.Kind == None {
				continue // silent: a layer above may speak
			}
			if e.stricter == nil || !p.stricterWins() {
				return r
			}
			continue
		}
		if found && own.provenance.Kind != None {
			if e.stricter(r.value, own.value) {
				r.provenance.Instead = own.provenance.Clauses
				return r
			}
			return own
		}
		return r
	}
	if found {
		return own
	}
	return raw{provenance: Provenance{Kind: None}}
}

func (p *Profile) stricterWins() bool {
	r, ok := p.layers[0].values[StricterWins.entry.name]
	if !ok {
		return false
	}
	on, _ := r.value.(bool)
	return on
}

// inForce compares civil dates in China, where the day starts 8 hours before UTC's.
func inForce(pr Provenance, t time.Time) bool {
	return pr.Since.IsZero() || !t.UTC().Add(8*time.Hour).Before(pr.Since)
}

// Line is one key of a profile for listing: the effective value as text, what the
// nation layer says beside it, and where both come from.
type Line struct {
	Key        string
	Label      Words
	Unit       Words
	Section    string // part before the first dot
	Text       Words  // effective value, written out
	Provenance Provenance
	// Nation is what the nation layer says where that is not the effective value;
	// Kind is empty where it says nothing. NationUnverified marks background
	// knowledge that binds nobody.
	NationText       Words
	Nation           Provenance
	NationUnverified bool
	// NationStricter is set when the nation's rule binds harder than the city's
	// and does not apply only because the city has not switched that on.
	NationStricter bool
}

// Lines lists every key of the schema with its effective value on the date of t,
// in the schema's order.
func (p *Profile) Lines(t time.Time) []Line {
	out := make([]Line, 0, len(schema))
	for _, e := range schema {
		r := p.at(e, t)
		l := Line{Key: e.name, Label: e.label, Unit: e.unit, Section: e.section(), Provenance: r.provenance, Text: e.text(r.value)}
		for _, layer := range p.layers[1:] {
			n, ok := layer.values[e.name]
			if ok && (r.provenance.Layer != layer.name) {
				l.Nation, l.NationText, l.NationUnverified = n.provenance, e.text(n.value), n.unverified
				l.NationStricter = !n.unverified && e.stricter != nil && r.value != nil && inForce(n.provenance, t) && e.stricter(n.value, r.value)
				break
			}
		}
		out = append(out, l)
	}
	return out
}

// UsesClause lists the keys whose value in this profile cites the clause.
func (p *Profile) UsesClause(id string) []string {
	var out []string
	for _, e := range schema {
		for _, l := range p.layers {
			if r, ok := l.values[e.name]; ok && (slices.Contains(r.provenance.Clauses, id) || stepsCite(r.value, id)) {
				out = append(out, e.name)
				break
			}
		}
	}
	return out
}

func stepsCite(v any, id string) bool {
	steps, ok := v.([]Step)
	return ok && slices.ContainsFunc(steps, func(s Step) bool { return slices.Contains(s.Clauses, id) })
}

// Instruments gives the regulations of the profile's city, in the register's order.
func (p *Profile) Instruments() []clause.Instrument {
	var out []clause.Instrument
	for _, in := range clause.Instruments() {
		if in.City == p.ID {
			out = append(out, in)
		}
	}
	return out
}

// Keys lists the names of all keys of the schema, sorted.
func Keys() []string {
	out := make([]string, 0, len(schema))
	for _, e := range schema {
		out = append(out, e.name)
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}
