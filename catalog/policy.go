package catalog

import (
	"slices"
	"strings"
	"time"

	"gongshu/casework"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/profile"
)

// Policy is what the city's profile says about catalogs: its words for the types, which bases it
// accepts, what is seen of what is withheld or closed, and the articles that each duty rests on.
type Policy struct {
	Sharing map[SharingType]SharingRule
	Opening map[OpeningType]OpeningRule

	// WithheldExistsOnly: others see of a withheld resource that it exists, nothing else (FS-12).
	WithheldExistsOnly bool
	// ClosedHidden: a closed resource does not stand in the open catalog at all (FS-14).
	ClosedHidden bool
	// ClosedGround: a closed resource names one of the six grounds (FZO-5).
	ClosedGround bool
	// AuthorisedNeed: authorised opening names why general will not do (FZO-6.2).
	AuthorisedNeed bool
	// Publication and Change are how a first version and a later one get into force: the profile's
	// steps, and clocks where a rule sets days.
	Publication, Change casework.Procedure
	// Decides gives the division whose authority reviews the entries of a district (LY-12).
	Decides func(district string) string
	// Profile is the version of the profile that the policy was read from.
	Profile string
	// SecrecyStep: the secrecy reviewer clears a version before the authority has it (FZM-31, LY-23).
	SecrecyStep bool
	// SideChannels: sharing beside the platform is allowed without an approval on record.
	SideChannels bool
	// OneSource: what looks like data that another body has needs a word on why (FS-5.2, LY-9, QZ-4.1).
	OneSource bool
	// GradeSharing is the highest grade that may be shared without conditions (1 … 4).
	GradeSharing int
	// GradeGeneral and GradeAuthorised are the highest grades that may be opened so (FZO-6).
	GradeGeneral, GradeAuthorised int
	// Cites names the articles behind each duty; a topic without an article is the city's practice.
	Cites map[Topic][]string
}

// PolicyFrom reads the catalog's rules out of a city's profile as they are in force at t. The highest
// grade that is shared without conditions is not in any of the texts: important (3) and core (4) data
// never is, which is the platform's own rule.
func PolicyFrom(p *profile.Profile, t time.Time) *Policy {
	var instruments []string
	for _, in := range p.Instruments() {
		instruments = append(instruments, in.Code)
	}
	out := &Policy{
		Sharing:            map[SharingType]SharingRule{},
		Opening:            map[OpeningType]OpeningRule{},
		WithheldExistsOnly: profile.WithheldShown.At(p, t).V == "existence",
		ClosedHidden:       profile.ClosedShown.At(p, t).V == "hidden",
		ClosedGround:       profile.ClosedGrounds.At(p, t).V,
		SideChannels:       profile.SideChannels.At(p, t).V == "allowed",
		OneSource:          profile.OneSource.At(p, t).V,
		GradeSharing:       2,
		GradeGeneral:       profile.GradeGeneralMax.At(p, t).V,
		GradeAuthorised:    profile.GradeOpeningMax.At(p, t).V,
		Cites:              TopicCites(instruments),
	}
	out.AuthorisedNeed = out.Cite(TopicNeed) != ""
	out.Publication, out.Change = procedureOf(p, t, false), procedureOf(p, t, true)
	out.Profile, out.Decides = p.Version(), func(district string) string { return casework.DecidingDistrict(p, t, district) }
	for _, step := range out.Publication.Steps {
		if step.Post == string(identity.SecrecyReviewer) {
			out.SecrecyStep = true
		}
	}
	// A value's own article outweighs the list of articles about the topic.
	lead := func(topic Topic, clauses []string) {
		if len(clauses) > 0 {
			rest := slices.DeleteFunc(slices.Clone(out.Cites[topic]), func(id string) bool { return slices.Contains(clauses, id) })
			out.Cites[topic] = append(slices.Clone(clauses), rest...)
		}
	}
	lead(TopicBasis, profile.BasisKinds.At(p, t).Clauses)
	lead(TopicWithheld, profile.WithheldShown.At(p, t).Clauses)
	lead(TopicClosed, profile.ClosedShown.At(p, t).Clauses)
	lead(TopicGround, profile.ClosedGrounds.At(p, t).Clauses)
	lead(TopicChannel, profile.SideChannels.At(p, t).Clauses)
	lead(TopicDuplicate, profile.OneSource.At(p, t).Clauses)

	kinds := profile.BasisKinds.At(p, t)
	required := profile.BasisRequiredFor.At(p, t)
	filing := profile.BasisFiling.At(p, t)
	for _, typ := range []SharingType{Unconditional, Conditional, Withheld} {
		words := p.SharingTerm(string(typ))
		rule := SharingRule{Text: errs.T(words.ZH, words.EN), Clauses: profile.SharingTypes.At(p, t).Clauses}
		if slices.Contains(required.V, string(typ)) {
			for _, k := range kinds.V {
				rule.Basis = append(rule.Basis, BasisKind(k))
			}
			rule.Filing = filing.V == "filed" || filing.V == "supplied"
		}
		out.Sharing[typ] = rule
	}
	for _, typ := range []OpeningType{General, Authorised, Closed} {
		words := p.OpeningTerm(string(typ))
		out.Opening[typ] = OpeningRule{Text: errs.T(words.ZH, words.EN), Clauses: profile.OpeningTypes.At(p, t).Clauses}
	}
	return out
}

// procedureOf builds the procedure from the profile's steps and days. Days run only where a rule in
// force sets them: catalog.review_days for the authority, catalog.update_days for a department that
// changes what is published. What was signed and cleared is so no longer once it has been returned and
// changed, so a returned case begins again.
func procedureOf(p *profile.Profile, t time.Time, change bool) casework.Procedure {
	proc := casework.Procedure{Kind: CasePublication, Prefix: "ML", Applicant: profile.RelProvider, FromStart: true,
		Steps:       slices.Clone(profile.CatalogSteps.At(p, t).V),
		DueSoonDays: profile.DueSoonDays.At(p, t).V, EscalateDays: profile.EscalateAfter.At(p, t).V,
		Clocks: []casework.ClockRule{casework.RuleOf(casework.ClockReview, "", profile.CatalogReviewDays.At(p, t))}}
	if change {
		proc.Kind = CaseChange
		proc.Clocks = append(proc.Clocks, casework.RuleOf(casework.ClockUpdate, "receipt", profile.CatalogUpdateDays.At(p, t)))
		for i := range proc.Steps {
			if proc.Steps[i].Clock == "" && slices.Contains(proc.Steps[i].Bodies, profile.RelProvider) {
				proc.Steps[i].Clock = casework.ClockUpdate
			}
		}
	}
	return proc
}

// SharingRule is what a city asks of a sharing type.
type SharingRule struct {
	Text    errs.Text
	Basis   []BasisKind // kinds accepted; empty: no basis asked
	Filing  bool        // the basis is filed with the authority (LY-11)
	Clauses []string
}

// OpeningRule is what a city asks of an opening type.
type OpeningRule struct {
	Text    errs.Text
	Clauses []string
}

// Topic is a duty that several articles may ask for.
type Topic string

// Topics of Policy.Cites.
const (
	TopicCatalog    Topic = "catalog"    // compiled by the standard, kept current
	TopicOwn        Topic = "own"        // a department registers only its own data
	TopicBasis      Topic = "basis"      // a restricted sharing type has a legal basis
	TopicConditions Topic = "conditions" // conditions can be executed
	TopicWithheld   Topic = "withheld"   // what is seen of a withheld resource
	TopicClosed     Topic = "closed"     // what is seen of a closed resource
	TopicSecrecy    Topic = "secrecy"    // secrecy review
	TopicPersonal   Topic = "personal"   // desensitised before opening
	TopicGrade      Topic = "grade"      // graded, and the grade decides
	TopicGround     Topic = "ground"     // grounds for not opening
	TopicNeed       Topic = "need"       // grounds for authorised opening
	TopicDuplicate  Topic = "duplicate"  // one source per datum
	TopicBase       Topic = "base"       // base databases have one lead
	TopicSource     Topic = "source"     // source confirmation
	TopicCollection Topic = "collection" // way of collection is stated
	TopicMinimum    Topic = "minimum"    // the least that is collected from the public
	TopicCoding     Topic = "coding"     // uniform coding of persons and organisations
	TopicChannel    Topic = "channel"    // no sharing beside the platform
	TopicOpenList   Topic = "open_list"  // contents of the open catalog
	TopicReview     Topic = "review"     // reviewed before publication
)

// topicClauses are the articles of every instrument behind a topic, the weightiest first; a city cites
// those of its own instruments.
var topicClauses = map[Topic][]string{
	TopicCatalog:    {"FZM-12", "QZ-3.1.1", "FS-19", "FS-17", "LY-8"},
	TopicOwn:        {"FZM-7", "FS-7", "LY-10"},
	TopicBasis:      {"FZM-16", "FS-5.3", "LY-11"},
	TopicConditions: {"FZM-16", "FS-13", "FS-9", "LY-11"},
	TopicWithheld:   {"FZM-16", "FS-12", "LY-11"},
	TopicClosed:     {"FZO-5", "FS-14", "LY-16"},
	TopicSecrecy:    {"FZM-31", "FZM-2", "FS-40.2", "LY-23"},
	TopicPersonal:   {"FZM-20", "FZO-24", "FS-34", "LY-17"},
	TopicGrade:      {"FZO-6", "FS-40", "LY-21"},
	TopicGround:     {"FZO-5"},
	TopicNeed:       {"FZO-6.2"},
	TopicDuplicate:  {"FS-5.2", "LY-9"},
	TopicBase:       {"FZM-19", "FS-11", "LY-15", "QZ-3.1.4"},
	TopicSource:     {"FS-18", "FS-20", "FZM-7", "LY-10"},
	TopicCollection: {"FS-21"},
	TopicMinimum:    {"FS-24"},
	TopicCoding:     {"FS-22"},
	TopicChannel:    {"FZM-15", "FS-25", "LY-13"},
	TopicOpenList:   {"FZO-11", "FZM-20", "FS-16", "LY-16", "QZ-3.1.6"},
	TopicReview:     {"FZO-11", "FZM-9", "FS-16", "LY-27", "QZ-3.1.1"},
}

// TopicCites gives, for a city whose instruments are those (prefixes of clause ids such as "FZM"),
// the articles behind each topic in order of weight. A topic that no instrument speaks of is absent.
func TopicCites(instruments []string) map[Topic][]string {
	out := make(map[Topic][]string, len(topicClauses))
	for topic, ids := range topicClauses {
		for _, id := range ids {
			if instrument, _, _ := strings.Cut(id, "-"); slices.Contains(instruments, instrument) {
				out[topic] = append(out[topic], id)
			}
		}
	}
	return out
}

// Cite is the weightiest article behind a topic in this city, "" when there is none.
func (p *Policy) Cite(t Topic) string {
	if ids := p.Cites[t]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// SharingText is the city's word for a sharing type.
func (p *Policy) SharingText(t SharingType) errs.Text {
	if r, ok := p.Sharing[t]; ok && r.Text.ZH != "" {
		return r.Text
	}
	return NameOf("sharing", string(t))
}

// OpeningText is the city's word for an opening type.
func (p *Policy) OpeningText(t OpeningType) errs.Text {
	if r, ok := p.Opening[t]; ok && r.Text.ZH != "" {
		return r.Text
	}
	return NameOf("opening", string(t))
}
