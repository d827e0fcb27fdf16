package operation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"gongshu/identity"
	"gongshu/internal/errs"
)

// Decision is the answer of the policies to one question.
type Decision struct {
	Allowed bool
	// Policies are those that decided: the permits, or the forbids; for a denial
	// by default, the permits that would have allowed another actor.
	Policies []*Policy
	// Default is set when nothing forbids but nothing permits either.
	Default bool
}

// Decide asks the policies; it has no effects. An action that no policy names is
// an error of the program (errs.Internal).
func (set *Policies) Decide(actor identity.Actor, action Action, target Target) (Decision, error) {
	policies, known := set.byAction[action]
	if !known {
		return Decision{}, errs.New(errs.Internal, errs.T("程序未为该操作制定权限策略", "the program has no policy for this action")).
			Because(fmt.Errorf("action %q stands in no policy", action))
	}
	attrs, err := contextOf(actor, target)
	if err != nil {
		return Decision{}, errs.New(errs.Internal, errs.T("权限判断出错", "the permission could not be decided")).Because(err)
	}
	principal := cedar.NewEntityUID("Actor", types.String(actor.ID))
	resource := cedar.NewEntityUID("Target", types.String(target.ID))
	allowed, diagnostic := cedar.Authorize(policies, cedar.EntityMap{
		principal: {UID: principal, Attributes: principalAttrs(actor)},
		resource:  {UID: resource, Attributes: resourceAttrs(target)},
	}, cedar.Request{
		Principal: principal,
		Action:    cedar.NewEntityUID("Action", types.String(action)),
		Resource:  resource,
		Context:   attrs,
	})
	var d Decision
	for _, reason := range diagnostic.Reasons {
		d.Policies = append(d.Policies, set.byID[string(reason.PolicyID)])
	}
	// A forbid that could not be evaluated must not be passed over.
	for _, fault := range diagnostic.Errors {
		if p := set.byID[string(fault.PolicyID)]; !p.Permit {
			if allowed == cedar.Allow {
				d.Policies = nil
			}
			d.Policies = append(d.Policies, p)
			allowed = cedar.Deny
		}
	}
	d.Allowed = allowed == cedar.Allow
	if !d.Allowed && len(d.Policies) == 0 {
		d.Default = true
		for _, p := range set.Of(action) {
			if p.Permit {
				d.Policies = append(d.Policies, p)
			}
		}
	}
	slices.SortFunc(d.Policies, func(a, b *Policy) int { return strings.Compare(a.ID, b.ID) })
	return d, nil
}

func principalAttrs(a identity.Actor) cedar.Record {
	kind := a.Kind
	if kind == "" {
		kind = identity.Anonymous
	}
	return cedar.NewRecord(cedar.RecordMap{
		"id":          types.String(a.ID),
		"kind":        types.String(kind),
		"post":        types.String(a.Post),
		"posts":       postSet(allPosts(a)),
		"body":        types.String(a.Body),
		"district":    types.String(a.District),
		"level":       types.String(a.Level),
		"client":      types.String(a.Client),
		"must_change": types.Boolean(a.MustChange),
		"must_prove":  types.Boolean(a.MustProve),
		"must_enrol":  types.Boolean(a.MustEnrol),
	})
}

// allPosts are the posts held at the acting body and anywhere else: duties that
// exclude each other do so wherever they are held.
func allPosts(a identity.Actor) []identity.Post {
	posts := slices.Clone(a.Posts)
	for _, h := range a.Held {
		posts = append(posts, h.Post)
	}
	return posts
}

func postSet(posts []identity.Post) types.Set {
	values := make([]types.Value, len(posts))
	for i, p := range posts {
		values[i] = types.String(p)
	}
	return cedar.NewSet(values...)
}

func resourceAttrs(t Target) cedar.Record {
	return cedar.NewRecord(cedar.RecordMap{
		"kind":     types.String(t.Kind),
		"id":       types.String(t.ID),
		"name":     types.String(t.Name),
		"body":     types.String(t.Body),
		"district": types.String(t.District),
		"resource": types.String(t.Resource),
		"case":     types.String(t.Case),
		"grant":    types.String(t.Grant),
		"purpose":  types.String(t.Purpose),
		"approver": types.String(t.Approver),
		"medium":   types.String(t.Medium),
	})
}

func contextOf(a identity.Actor, t Target) (cedar.Record, error) {
	m := cedar.RecordMap{}
	for key, value := range t.Attrs {
		v, err := cedarValue(value)
		if err != nil {
			return cedar.Record{}, fmt.Errorf("attribute %s: %w", key, err)
		}
		m[types.String(key)] = v
	}
	m["own"] = types.Boolean(a.Body != "" && a.Body == t.Body)
	m["same_district"] = types.Boolean(a.District != "" && a.District == t.District)
	m["reach"] = types.Boolean(Reaches(a, t.District))
	m["admin_subject"] = types.Boolean(namesAdmin(t.Attrs["posts"]))
	return cedar.NewRecord(m), nil
}

// Reaches reports whether a duty held at the actor's level covers a thing of the
// given division: a county-level actor covers the own county, a city-level one
// the city and what names no division (FS-4, LY-5, LY-12).
func Reaches(a identity.Actor, district string) bool {
	switch {
	case a.District == "":
		return false
	case a.District == district:
		return true
	case a.Level == "province":
		return district == "" || within(a.District, district, 2)
	case a.Level == "city":
		return district == "" || within(a.District, district, 4)
	}
	return false
}

func within(outer, inner string, digits int) bool {
	return len(outer) >= digits && len(inner) >= digits && outer[:digits] == inner[:digits]
}

func namesAdmin(v any) bool {
	switch posts := v.(type) {
	case []identity.Post:
		return slices.ContainsFunc(posts, identity.Post.Admin)
	case []string:
		return slices.ContainsFunc(posts, func(p string) bool { return identity.Post(p).Admin() })
	case []any:
		return slices.ContainsFunc(posts, func(p any) bool { s, _ := p.(string); return identity.Post(s).Admin() })
	}
	return false
}

func cedarValue(v any) (types.Value, error) {
	switch v := v.(type) {
	case bool:
		return types.Boolean(v), nil
	case string:
		return types.String(v), nil
	case identity.Post:
		return types.String(v), nil
	case int:
		return types.Long(v), nil
	case int64:
		return types.Long(v), nil
	case float64: // a number out of JSON, whole in every matrix row
		return types.Long(v), nil
	case []identity.Post:
		return postSet(v), nil
	case []string:
		values := make([]types.Value, len(v))
		for i, s := range v {
			values[i] = types.String(s)
		}
		return cedar.NewSet(values...), nil
	case []any:
		values := make([]types.Value, len(v))
		for i, e := range v {
			c, err := cedarValue(e)
			if err != nil {
				return nil, err
			}
			values[i] = c
		}
		return cedar.NewSet(values...), nil
	case map[string]any:
		m := cedar.RecordMap{}
		for k, e := range v {
			c, err := cedarValue(e)
			if err != nil {
				return nil, err
			}
			m[types.String(k)] = c
		}
		return cedar.NewRecord(m), nil
	}
	return nil, fmt.Errorf("a %T cannot be seen by policies", v)
}

// refusal turns a denial into the error that the actor reads: what denies, by
// which article, and what would allow it.
func (set *Policies) refusal(actor identity.Actor, action Action, target Target, d Decision) *errs.Error {
	var clauses []string
	var zh, en []string
	for _, p := range d.Policies {
		for _, c := range p.Clauses {
			if !slices.Contains(clauses, c) {
				clauses = append(clauses, c)
			}
		}
		zh = append(zh, strings.TrimRight(p.Text.ZH, "。."))
		en = append(en, strings.TrimRight(p.Text.EN, "."))
	}
	rulesZH, rulesEN := strings.Join(zh, "；"), strings.Join(en, "; ")
	if !d.Default {
		return errs.Newf(errs.Forbidden, "不予办理：%[1]s。", "Not allowed: %[2]s.", rulesZH, rulesEN).By(clauses...)
	}
	if actor.IsAnonymous() {
		return errs.Newf(errs.Unauthenticated, "请先登录。按规定：%[1]s。", "Log in first. The rule: %[2]s.", rulesZH, rulesEN).By(clauses...)
	}
	who := errs.T("您的身份", "your account")
	switch {
	case actor.Post != "":
		post := actor.Post.Text()
		who = errs.Tf("您以“%[1]s”岗位", "you, acting as %[2]s,", post.ZH, post.EN)
	case actor.Kind == identity.Client:
		who = errs.T("该接口客户端", "this API client")
	}
	e := errs.Newf(errs.Forbidden, "%[1]s不能办理此事。按规定：%[3]s。", "%[2]s may not do this. The rule: %[4]s.",
		who.ZH, strings.ToUpper(who.EN[:1])+who.EN[1:], rulesZH, rulesEN).By(clauses...)
	for _, post := range actor.Posts {
		other := actor
		other.Post = post
		if retry, err := set.Decide(other, action, target); err == nil && retry.Allowed {
			t := post.Text()
			e.Text.ZH += "您同时任“" + t.ZH + "”，切换到该岗位即可办理。"
			e.Text.EN += " You also hold the post of " + t.EN + ": switch to it to go on."
			break
		}
	}
	return e
}
