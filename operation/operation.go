// Package operation is the one door. Every write goes through [Door.Do]: is it
// permitted? open a transaction, act, append the audit entry in it, commit.
// Every read of data or personal facts by people goes through [Door.Read], which
// audits before it releases. Refused and failed attempts are audited in a
// transaction of their own; refusals of anonymous visitors are counted only, so
// that a flood cannot fill the log.
//
// # Policies
//
// Who may do what stands in policies/<area>.cedar, one file an area, readable
// by an auditor. Every policy carries @id (unique), @clause (ids of the register,
// separated by spaces) or @basis and @basis_zh (words, where no clause of the
// register rules), and @zh and @en: the sentence that a refused person reads. Nothing is allowed
// that no policy permits; a forbid outweighs every permit.
//
//	@id("catalog.sign_off")
//	@clause("FZM-7")
//	@zh("分管领导签发本部门的目录")
//	@en("A leader in charge signs off the own department's resources.")
//	permit (principal, action in [Action::"catalog.resource.sign_off"], resource)
//	when { principal.post == "leader" && context.own };
//
// A policy sees:
//
//   - principal: id, kind ("person", "client", "system", "anonymous"), post (the
//     acting one), posts (all held at the body), body, district, level, client,
//     must_change, must_prove, must_enrol;
//   - resource: kind, id, name, body, district, resource, case, grant, purpose,
//     approver, medium, always present, "" when not set in the [Target];
//   - context: every key of Target.Attrs, and four that the door computes: own (the
//     target's body is the actor's), same_district, reach (same district, or a
//     city-level actor and a target anywhere in the city: LY-12 leaves county
//     data to the county's own authority) and admin_subject (Attrs["posts"] of
//     the target person names one of the three administrators).
//
// Attrs["makers"], the ids of the people who made the case, makes the door refuse
// them: nobody decides on a case of own making. Pass it when the action decides.
// A policy that reads a missing attribute permits nothing, and if it forbids, refuses.
//
// # The matrix
//
// testdata/matrix/<area>.csv has a row an action: action, allowed, attrs. allowed
// lists post:scope separated by spaces, where scope is self (the actor's own
// account), own (target of the own body), district (of the own district), reach
// (as above), city (reach, for city-level actors only) or any; a ! after the scope
// leaves the actor's own account out. client, system and anonymous stand for
// actors without a post, person for every post. attrs is a JSON object given as
// Attrs, for policies that look at relations. A test compares every action with
// every post, in every relation; an action in the code without a row or without a
// policy fails. An action may have several rows with different attrs.
package operation

import (
	"context"
	"maps"
	"sync"

	"gongshu/identity"
)

// Action names what is done, area first: "catalog.resource.submit".
type Action string

// Target is what is acted on, as the log and the policies see it. Only what is
// known is set; values never hold personal data of residents.
type Target struct {
	Kind     string // "resource", "batch", "person", "case" …
	ID       string
	Name     string
	Body     string // body id whose thing it is
	District string // division code of that body, 6 digits
	Resource string // resource code (FZM-29)
	Case     string
	Grant    string
	Purpose  string
	Approver string
	Medium   string
	// Attrs are relations that policies see as context: bool, string, int, int64,
	// []string, []identity.Post, map[string]any of these.
	Attrs map[string]any
}

type ctxKey struct{}

// visit is what one passage through the door gathers for its entry.
type visit struct {
	mu     sync.Mutex
	target Target
	notes  map[string]any
	actor  identity.Actor
}

// Note adds a fact to the audit entry of the operation under way: counts, codes,
// digests; never personal values. Outside an operation it does nothing.
func Note(ctx context.Context, key string, value any) {
	v, ok := ctx.Value(ctxKey{}).(*visit)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.notes == nil {
		v.notes = map[string]any{}
	}
	v.notes[key] = value
}

// Retarget completes the target of the operation under way with what became
// known only while acting, such as the id of a thing just made. The permission
// has been decided before and is not decided again.
func Retarget(ctx context.Context, change func(t *Target)) {
	v, ok := ctx.Value(ctxKey{}).(*visit)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.target)
}

// ActorOf returns who acts in the operation under way, and whether there is one.
func ActorOf(ctx context.Context) (identity.Actor, bool) {
	v, ok := ctx.Value(ctxKey{}).(*visit)
	if !ok {
		return identity.Actor{}, false
	}
	return v.actor, true
}

func (v *visit) snapshot() (Target, map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.target, maps.Clone(v.notes)
}
