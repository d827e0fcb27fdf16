package operation_test

import (
	"slices"
	"testing"

	"gongshu/clause"
	"gongshu/identity"
	"gongshu/operation"
)

// TestArticlesBehindPolicies takes what an article gives to some and to nobody else,
// and sees that the policy which decides names that article.
func TestArticlesBehindPolicies(t *testing.T) {
	clause.Covers(t, "FS-9", "FS-40.2", "LY-27", "FZO-16", "FZO-23", "FZO-27", "FS-34", "FZM-18", "QZ-3.1.2", "FZM-9")
	set, err := operation.Load()
	if err != nil {
		t.Fatal(err)
	}
	who := func(post identity.Post, body string) identity.Actor {
		return identity.Actor{Kind: identity.Person, ID: string(post) + "@" + body, Body: body, Level: "city", District: "350100", Post: post, Posts: []identity.Post{post}}
	}
	client := identity.Actor{Kind: identity.Client, ID: "c1", Body: "own", District: "350100", Level: "city"}
	stranger := client
	stranger.Body = "other"
	own := operation.Target{Kind: "x", ID: "1", Body: "own", District: "350102"}
	for _, c := range []struct {
		article string
		action  operation.Action
		target  operation.Target
		may     []identity.Actor
		not     []identity.Actor
	}{
		// The department that sets the conditions of its data takes a grant back.
		{"FS-9", "sharing.grant.revoke", own, []identity.Actor{who(identity.Leader, "own")},
			[]identity.Actor{who(identity.Leader, "other"), who(identity.Steward, "own"), who(identity.Operator, "own"), client}},
		// The authority supervises: grants, cases.
		{"LY-27", "sharing.grant.revoke", own, []identity.Actor{who(identity.AuthorityReviewer, "authority")}, []identity.Actor{who(identity.SystemAdmin, "authority")}},
		{"LY-27", "casework.case.read", operation.Target{Kind: "case", ID: "1", Body: "own", District: "350102", Attrs: map[string]any{"party": false}}, []identity.Actor{who(identity.AuthorityReviewer, "authority")}, []identity.Actor{who(identity.SystemAdmin, "authority"), client}},
		// A department names its own secrecy reviewer.
		{"FS-40.2", "org.post.propose", operation.Target{Kind: "post", ID: "1", Body: "own", District: "350102", Attrs: map[string]any{"post": string(identity.SecrecyReviewer)}},
			[]identity.Actor{who(identity.Leader, "own")}, []identity.Actor{who(identity.Leader, "other"), who(identity.Steward, "own")}},
		// Data is taken off the portal at once by its provider's leader or the authority.
		{"FZO-16", "opendata.dataset.withdraw", own, []identity.Actor{who(identity.Leader, "own"), who(identity.AuthorityReviewer, "authority")},
			[]identity.Actor{who(identity.Steward, "own"), who(identity.Leader, "other"), who(identity.Operator, "own"), client}},
		// The provider minds its data's whole life; who watches over the platform sees all of it.
		{"FZO-23", "opendata.dataset.list", own, []identity.Actor{who(identity.Steward, "own"), who(identity.Leader, "own")},
			[]identity.Actor{who(identity.Steward, "other"), who(identity.SystemAdmin, "own")}},
		{"FZO-27", "opendata.dataset.list", own, []identity.Actor{who(identity.AuthorityReviewer, "authority"), who(identity.Operator, "centre"), who(identity.Auditor, "authority")},
			[]identity.Actor{who(identity.SecurityAdmin, "authority"), client}},
		{"FS-34", "opendata.dataset.assess", own, []identity.Actor{who(identity.Steward, "own"), who(identity.AuthorityReviewer, "authority")},
			[]identity.Actor{who(identity.Steward, "other"), who(identity.Operator, "centre"), client}},
		// What is wrong goes back to its provider and to nobody else.
		{"FZM-18", "quality.problems.download", own, []identity.Actor{who(identity.Steward, "own"), client},
			[]identity.Actor{who(identity.Steward, "other"), stranger, who(identity.AuthorityReviewer, "authority"), who(identity.Auditor, "authority")}},
		// A department aggregates its own data, its system or its operator for it.
		{"QZ-3.1.2", "intake.batch.receive", own, []identity.Actor{who(identity.Steward, "own"), client, who(identity.Operator, "centre")},
			[]identity.Actor{who(identity.Steward, "other"), stranger, who(identity.Leader, "own"), who(identity.AuthorityReviewer, "authority")}},
	} {
		for _, a := range c.may {
			d, err := set.Decide(a, c.action, c.target)
			if err != nil || !d.Allowed {
				t.Errorf("%s: %s of %s may not %s: %+v %v", c.article, a.Post, a.Body, c.action, d, err)
				continue
			}
			if !slices.ContainsFunc(d.Policies, func(p *operation.Policy) bool { return slices.Contains(p.Clauses, c.article) }) {
				t.Errorf("%s by %s %s is allowed, and no policy behind it names %s", c.action, a.Kind, a.Post, c.article)
			}
		}
		for _, a := range c.not {
			if d, err := set.Decide(a, c.action, c.target); err != nil || d.Allowed {
				t.Errorf("%s: %s %s of %s may %s: %v", c.article, a.Kind, a.Post, a.Body, c.action, err)
			}
		}
	}
}
