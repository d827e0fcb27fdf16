package profile

import "strings"

// SharingTerm is the city's own word for a sharing type ("unconditional",
// "conditional", "withheld"); an unknown type comes back as given.
func (p *Profile) SharingTerm(sharing string) Words {
	switch sharing {
	case "unconditional":
		return TermUnconditional.Of(p).V
	case "conditional":
		return TermConditional.Of(p).V
	case "withheld":
		return TermWithheld.Of(p).V
	}
	return Words{sharing, sharing}
}

// OpeningTerm is the city's own word for an opening type ("general",
// "authorised", "closed"); an unknown type comes back as given.
func (p *Profile) OpeningTerm(opening string) Words {
	switch opening {
	case "general":
		return TermGeneral.Of(p).V
	case "authorised":
		return TermAuthorised.Of(p).V
	case "closed":
		return TermClosed.Of(p).V
	}
	return Words{opening, opening}
}

// ModeTerm words a mode of use: query, verify, obtain, statistics.
func ModeTerm(mode string) Words { return modeWords.words(mode) }

// ModeName is the short word for a mode of use: 查询, 核验, 获取, 统计.
func ModeName(mode string) Words {
	w := ModeTerm(mode)
	w.ZH, _, _ = strings.Cut(w.ZH, "（")
	return w
}

// BasisTerm words a kind of legal basis: law, regulation, rule, policy.
func BasisTerm(kind string) Words { return basisKinds.words(kind) }

// ConditionTerm words a kind of executable condition: departments, query_only,
// verify_only, statistics_only (FS-13).
func ConditionTerm(kind string) Words { return conditionKinds.words(kind) }

// PartyTerm words a relation: authority, provider, consumer, operator.
func PartyTerm(relation string) Words { return partyWords.words(relation) }

// KindTerm words a kind of provenance.
func KindTerm(k Kind) Words {
	switch k {
	case Stated:
		return Words{"条文规定", "stated"}
	case Inherited:
		return Words{"上位规定", "inherited"}
	case Practice:
		return Words{"本市做法", "practice"}
	}
	return Words{"未规定", "none"}
}
