package profile

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gongshu/clause"
	"gongshu/internal/errs"
)

var (
	before = time.Date(2025, 7, 31, 4, 0, 0, 0, time.UTC)
	after  = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
)

func load(t testing.TB, city string) *Profile {
	t.Helper()
	p, err := Load(city)
	if err != nil {
		e, _ := errs.As(err)
		for _, pr := range e.Problems {
			t.Logf("%s: %s", pr.Field, pr.Text.EN)
		}
		t.Fatalf("%s: %v", city, err)
	}
	return p
}

func TestShippedCities(t *testing.T) {
	if got := strings.Join(Cities(), " "); got != "foshan fuzhou longyan quanzhou" {
		t.Fatalf("cities: %s", got)
	}
	for _, c := range Cities() {
		p := load(t, c)
		lines := p.Lines(after)
		if len(lines) != len(schema) {
			t.Errorf("%s lists %d of %d keys", c, len(lines), len(schema))
		}
		for _, l := range lines {
			switch l.Provenance.Kind {
			case Stated:
				if len(l.Provenance.Clauses) == 0 || l.Text.ZH == "" || l.Text.EN == "" {
					t.Errorf("%s %s: stated without clause or text: %+v", c, l.Key, l)
				}
				for _, id := range l.Provenance.Clauses {
					cl, _ := clause.Get(id)
					if in, _ := clause.InstrumentOf(cl.Instrument); in.City != c {
						t.Errorf("%s %s cites %s, another city's article", c, l.Key, id)
					}
				}
			case Practice:
				if l.Provenance.Reason == "" {
					t.Errorf("%s %s: practice without a reason", c, l.Key)
				}
			case Inherited:
				if l.Provenance.Source == "" {
					t.Errorf("%s %s: inherited from nowhere", c, l.Key)
				}
			case None:
				if l.Text.ZH != "" {
					t.Errorf("%s %s: none, yet %q", c, l.Key, l.Text.ZH)
				}
			}
		}
	}
}

func TestTheParametersInWhichTheCitiesDiffer(t *testing.T) {
	clause.Covers(t, "FZM-3", "FZM-6", "FZM-16", "FZM-17", "FZM-24", "FZM-29", "FZM-40", "FS-3", "FS-4", "FS-46", "FS-5.3", "FS-12", "FS-13", "FS-14", "FS-26", "FS-30",
		"LY-3", "LY-11", "LY-12", "LY-13", "LY-14", "LY-19", "LY-24", "QZ-3.1.5", "QZ-3.1.8", "QZ-3.4")
	fz, qz, fs, ly := load(t, "fuzhou"), load(t, "quanzhou"), load(t, "foshan"), load(t, "longyan")
	type want struct {
		v    int
		kind Kind
		id   string
	}
	check := func(name string, got Value[int], w want) {
		t.Helper()
		if got.V != w.v || got.Kind != w.kind || got.Clause() != w.id {
			t.Errorf("%s: %d %s %s, want %+v", name, got.V, got.Kind, got.Clause(), w)
		}
	}
	check("fuzhou answer", ConditionalDays.At(fz, after), want{20, Stated, "FZM-17"})
	check("foshan answer", ConditionalDays.At(fs, after), want{10, Stated, "FS-26"})
	check("longyan answer", ConditionalDays.At(ly, after), want{5, Stated, "LY-12"})
	check("quanzhou answer", ConditionalDays.At(qz, after), want{10, Inherited, ""})
	check("quanzhou answer before the order", ConditionalDays.At(qz, before), want{0, None, ""})
	check("foshan feedback", FeedbackDays.At(fs, after), want{10, Stated, "FS-30"})
	// the nation's ten days for errors are background knowledge and bind nobody
	check("longyan feedback", FeedbackDays.At(ly, after), want{0, None, ""})
	check("quanzhou log", LogMonths.At(qz, after), want{36, Stated, "QZ-3.1.8"})
	check("longyan log", LogMonths.At(ly, after), want{6, Stated, "LY-24"})
	check("fuzhou log", LogMonths.At(fz, after), want{6, Inherited, ""})
	check("fuzhou open request", OpenRequestDays.At(fz, after), want{20, Stated, "FZM-24"})
	check("longyan open request", OpenRequestDays.At(ly, after), want{20, Stated, "LY-19"})
	check("foshan open request", OpenRequestDays.At(fs, after), want{0, None, ""})
	if v := ClockExtension.At(fz, after); v.Kind != None || v.V != 0 {
		t.Errorf("no city states an extension, got %+v", v)
	}
	if UnconditionalPath.At(fs, after).V != "application_to_authority" || UnconditionalPath.At(fz, after).V != "immediate" {
		t.Error("paths of unconditional sharing")
	}
	if got := BasisKinds.At(fs, after).V; !slices.Contains(got, "rule") || slices.Contains(BasisKinds.At(fz, after).V, "rule") {
		t.Errorf("rules are a basis in Foshan alone, got %v", got)
	}
	if BulkExport.At(ly, after).V != "by_exception" || FreeQuery.At(ly, after).V != "by_exception" || BulkExport.At(fz, after).V != "allowed" {
		t.Error("bulk export")
	}
	if WithheldShown.At(fs, after).V != "existence" || WithheldShown.At(fs, after).Kind != Stated {
		t.Error("Foshan shows a withheld resource as existing only")
	}
	if ly.SharingTerm("withheld").ZH != "暂不共享" || fs.SharingTerm("withheld").ZH != "不予共享" || qz.SharingTerm("withheld").ZH != "不予共享" {
		t.Error("words for withheld")
	}
	if AgreementRequired.At(fs, after).V || !AgreementRequired.At(ly, after).V {
		t.Error("agreements")
	}
	if len(UsageFacts.At(ly, after).V) != 7 || UsageFacts.At(ly, after).Kind != Stated {
		t.Error("seven facts of use")
	}
	var keys []string
	for _, s := range ConditionalSteps.At(ly, after).V {
		keys = append(keys, s.Key)
	}
	if got := strings.Join(keys, " "); got != "provider_opinion authority_decision agreement grant" {
		t.Errorf("Longyan's steps: %s", got)
	}
	if got := fz.UsesClause("FZM-17"); !slices.Contains(got, "sharing.conditional.answer_days") || !slices.Contains(got, "sharing.conditional.steps") {
		t.Errorf("keys that cite FZM-17: %v", got)
	}
}

// edited is Fuzhou's file with one text replaced.
func edited(t *testing.T, old, new string) (*Profile, error) {
	t.Helper()
	b, err := files.ReadFile("cities/fuzhou.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("fuzhou.yaml lacks %q", old)
	}
	return Parse("edited.yaml", []byte(strings.Replace(string(b), old, new, 1)))
}

func TestStricterWins(t *testing.T) {
	p, err := edited(t, "city.stricter_wins: {value: false,", "city.stricter_wins: {value: true,")
	if err != nil {
		t.Fatal(err)
	}
	v := ConditionalDays.At(p, after)
	if v.V != 10 || v.Kind != Inherited || !slices.Contains(v.Instead, "FZM-17") {
		t.Errorf("with the switch on: %+v", v)
	}
	if v := ConditionalDays.At(p, before); v.V != 20 || v.Kind != Stated {
		t.Errorf("before the order is in force: %+v", v)
	}
	// The order is in force from the first minute of 1 August in China.
	if v := ConditionalDays.At(p, time.Date(2025, 7, 31, 16, 0, 0, 0, time.UTC)); v.V != 10 {
		t.Errorf("on the first day: %+v", v)
	}
	// Longyan's five days are stricter than the nation's ten and stand.
	b, _ := files.ReadFile("cities/longyan.yaml")
	ly, err := Parse("ly.yaml", []byte(strings.Replace(string(b), "city.stricter_wins: {value: false,", "city.stricter_wins: {value: true,", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if v := ConditionalDays.At(ly, after); v.V != 5 || v.Kind != Stated {
		t.Errorf("the stricter city value stands: %+v", v)
	}
}

func TestRefusedProfiles(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":         {"city.division:", "city.divsion:", `unknown key "city.divsion"`},
		"missing key":         {"  log.retention_months: {none: 文本未规定，从国家规定}\n", "", ""},
		"missing own key":     {"  privacy.k: {value: 5, practice: 统计结果每组不少于五人}\n", "", "required key privacy.k is missing"},
		"unknown clause":      {"clause: FZM-6}", "clause: FZM-99}", `no "FZM-99"`},
		"unknown step clause": {"clock: answer, clause: FZM-17}", "clock: answer, clause: FZM-170}", `no "FZM-170"`},
		"no provenance":       {"sharing.conditional.answer_days: {value: 20, clause: FZM-17}", "sharing.conditional.answer_days: {value: 20}", "either the clause or the practice"},
		"both provenances":    {"sharing.conditional.answer_days: {value: 20, clause: FZM-17}", "sharing.conditional.answer_days: {value: 20, clause: FZM-17, practice: x}", "either the clause or the practice"},
		"not a number":        {"{value: 20, clause: FZM-17}", "{value: twenty, clause: FZM-17}", "whole number"},
		"out of range":        {"{value: 20, clause: FZM-17}", "{value: 0, clause: FZM-17}", "from 1 to 250"},
		"unknown choice":      {"sharing.unconditional.path: {value: immediate,", "sharing.unconditional.path: {value: at_once,", "want one of immediate"},
		"unknown list value":  {"catalog.basis.kinds: {value: [law,", "catalog.basis.kinds: {value: [lore,", `"lore"`},
		"bad post":            {"post: authority_reviewer", "post: mayor", `post "mayor"`},
		"nation's word":       {"{value: 20, clause: FZM-17}", "{value: 20, clause: FZM-17, since: 2025-01-01}", "belongs into a layer above"},
		"contradiction":       {"sharing.agreement.required: {value: true, clause: FZM-17}", "sharing.agreement.required: {value: false, clause: FZM-17}", "the steps say otherwise"},
		"none with value":     {"sharing.clock.pause: {none: 文本未规定中止，期限不停}", "sharing.clock.pause: {none: x, value: true}", "none stands alone"},
		"no yaml":             {"values:", "values: [", "YAML"},
		"unknown top key":     {"values:", "valuez:", `unknown key "valuez"`},
		"twice":               {"  city.levels:", "  city.division: {value: \"350100\", practice: x}\n  city.levels:", "stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := edited(t, c.old, c.new)
			if c.want == "" { // the nation layer fills this one
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			e, ok := errs.As(err)
			if !ok {
				t.Fatalf("accepted, or another error: %v", err)
			}
			all := e.Text.EN
			where := ""
			for _, p := range e.Problems {
				all += "\n" + p.Field + ": " + p.Text.EN
				where = p.Field
			}
			if !strings.Contains(all, c.want) {
				t.Errorf("%s\nwant %q", all, c.want)
			}
			if name != "no yaml" && !strings.HasPrefix(where, "edited.yaml:") {
				t.Errorf("no file and line in %q", all)
			}
		})
	}
}

func TestFaultsNameTheirLine(t *testing.T) {
	b, _ := files.ReadFile("cities/fuzhou.yaml")
	text := strings.Replace(string(b), "clause: FZM-6}", "clause: FZM-99}", 1)
	line := 1 + strings.Count(text[:strings.Index(text, "FZM-99")], "\n")
	path := filepath.Join(t.TempDir(), "city.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	e, ok := errs.As(err)
	if !ok || len(e.Problems) != 1 || e.Problems[0].Field != path+":"+itoa(line) {
		t.Errorf("error %v, want %s:%d", err, path, line)
	}
	if _, err := Open("atlantis"); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown city: %v", err)
	}
}

func TestListingSaysWhereTheNationIsStricter(t *testing.T) {
	find := func(city, key string) Line {
		for _, l := range load(t, city).Lines(after) {
			if l.Key == key {
				return l
			}
		}
		t.Fatalf("%s does not list %s", city, key)
		return Line{}
	}
	const days = "sharing.conditional.answer_days"
	if l := find("fuzhou", days); !l.NationStricter || l.NationText.ZH != "10" || l.Text.ZH != "20" {
		t.Errorf("fuzhou: %+v", l)
	}
	if l := find("longyan", days); l.NationStricter || l.NationText.ZH != "10" {
		t.Errorf("longyan's five days are the stricter: %+v", l)
	}
	if l := find("longyan", "quality.feedback.answer_days"); !l.NationUnverified || l.NationStricter {
		t.Errorf("background knowledge is never stricter law: %+v", l)
	}
}

func TestVersionFollowsContent(t *testing.T) {
	p, err := edited(t, "{value: 20, clause: FZM-17}", "{value: 19, clause: FZM-17}")
	if err != nil {
		t.Fatal(err)
	}
	if a := load(t, "fuzhou"); a.Version() == p.Version() || a.Version() != load(t, "fuzhou").Version() {
		t.Error("the version does not follow the content")
	}
}

func FuzzParseProfile(f *testing.F) {
	for _, c := range Cities() {
		b, _ := files.ReadFile("cities/" + c + ".yaml")
		f.Add(b)
	}
	f.Add([]byte("profile: x\nvalues: {city.name: {value: {zh: [1]}}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse("fuzz.yaml", b)
		if err == nil {
			p.Lines(after)
		}
	})
}

func itoa(n int) string { return strconv.Itoa(n) }

// Package variables start in the order of their files' names unless one needs
// another, so a key could be listed out of place.
func TestKeysStandInOrder(t *testing.T) {
	var sections []string
	for _, l := range load(t, "fuzhou").Lines(after) {
		if len(sections) == 0 || sections[len(sections)-1] != l.Section {
			sections = append(sections, l.Section)
		}
	}
	want := "city authority operator platform bodies resources terms catalog sharing quality intake opening log privacy"
	if got := strings.Join(sections, " "); got != want {
		t.Errorf("sections %s, want %s", got, want)
	}
}
