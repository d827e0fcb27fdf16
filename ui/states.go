package ui

import "context"

// stateTones colours the states that badges show, by kind and state; "*" holds
// for every kind. A state without a colour is grey.
var stateTones = map[string]Tone{
	"*.draft": Plain, "*.signing": Info, "*.submitted": Info, "*.returned": Warn,
	"*.published": Good, "*.withdrawn": Plain,
	"*.active": Good, "*.effective": Good, "*.disabled": Plain, "*.locked": Bad, "*.expired": Plain, "*.revoked": Bad, "*.suspended": Warn,
	"*.pending": Warn, "*.open": Info, "*.closed": Plain, "*.approved": Good, "*.refused": Bad, "*.cancelled": Plain, "*.done": Good,
	"*.received": Info, "*.loading": Info, "*.checking": Info, "*.loaded": Good, "*.accepted": Good, "*.partial": Warn, "*.failed": Bad, "*.rejected": Bad,
	"*.late": Bad, "*.paused": Plain, "*.corrected": Good,
	"*.granted": Good, "*.settled": Good, "*.held": Warn,
	"sharing.unconditional": Good, "sharing.conditional": Info, "sharing.withheld": Plain,
	"opening.general": Good, "opening.authorised": Info, "opening.closed": Plain,
	"mode.query": Info, "mode.verify": Special, "mode.obtain": Warn, "mode.statistics": Good,
	"provenance.stated": Good, "provenance.inherited": Info, "provenance.practice": Warn, "provenance.none": Plain,
}

// StateTone gives the colour of a state of a kind.
func StateTone(kind, state string) Tone {
	if t, ok := stateTones[kind+"."+state]; ok {
		return t
	}
	return stateTones["*."+state]
}

// StateBadge gives the badge of a state: the words stand under
// "state.<kind>.<state>", or under "state.<state>" where the kind has no own.
func StateBadge(ctx context.Context, kind, state string) BadgeInfo {
	if state == "" {
		return BadgeInfo{Text: "—"}
	}
	key := "state." + kind + "." + state
	if !HasWords(key) {
		key = "state." + state
	}
	return BadgeInfo{Tone: StateTone(kind, state), Text: T(ctx, key)}
}

// StateWords gives the words alone.
func StateWords(ctx context.Context, kind, state string) string {
	return StateBadge(ctx, kind, state).Text
}
