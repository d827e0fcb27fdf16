package identity

import "slices"

// Kind tells what sort of being acts.
type Kind string

// The kinds of actor. Anonymous is a visitor of the public portal.
const (
	Anonymous Kind = "anonymous"
	Person    Kind = "person"
	Client    Kind = "client" // an API client: a department's business system
	Program   Kind = "system" // the program itself: clocks, jobs, start-up
)

// Post is an office that a person holds at a body. What a post may do stands in
// the policies of package operation, nowhere else.
type Post string

// The posts. The last two are held by members of the public, the three before
// them by people who may hold none of the other two (FS-40).
const (
	Steward           Post = "steward"            // 数据专管员 (LY-5)
	Leader            Post = "leader"             // 分管领导, 首席数据官 (FZM-34, FZK-8)
	SecrecyReviewer   Post = "secrecy_reviewer"   // 保密审查人员 (FZM-31, FS-40.2)
	AuthorityReviewer Post = "authority_reviewer" // 主管部门审核人员 (FZM-6)
	Operator          Post = "operator"           // 大数据中心, 技术服务单位 (LY-5, QZ-3.2)
	SystemAdmin       Post = "system_admin"       // 系统管理员
	SecurityAdmin     Post = "security_admin"     // 安全管理员
	Auditor           Post = "auditor"            // 审计管理员
	Member            Post = "member"             // 社会公众
	Enterprise        Post = "enterprise"         // 已核验企业
)

// AllPosts returns every post in the order in which pages show them.
func AllPosts() []Post {
	return []Post{Steward, Leader, SecrecyReviewer, AuthorityReviewer, Operator,
		SystemAdmin, SecurityAdmin, Auditor, Member, Enterprise}
}

// AdminPosts returns the three administrators of whom one person may be only one (FS-40).
func AdminPosts() []Post { return []Post{SystemAdmin, SecurityAdmin, Auditor} }

// Valid reports whether p is one of the known posts.
func (p Post) Valid() bool { return slices.Contains(AllPosts(), p) }

// Admin reports whether p is one of the three separated administrators (FS-40).
func (p Post) Admin() bool { return slices.Contains(AdminPosts(), p) }

// Holding is a post held at a body, as the acting-post switch offers it.
type Holding struct {
	ID       string // id of the holding
	Post     Post
	Body     string // body id
	BodyName string
}

// Actor is who acts, under which post, from where. Body, BodyName, District and
// Level are those of the acting post's body. Strings are empty where they do not
// apply (an anonymous visitor has no ID, the program no body).
type Actor struct {
	Kind     Kind
	ID       string // account id, client id, or the program's part ("clock")
	Name     string // display name
	Login    string
	Body     string // body id
	BodyName string
	District string // division code of the body, 6 digits: 350100
	Level    string // level of the body: province, city, county (FS-4)
	Posts    []Post // posts held at Body
	Post     Post   // acting post
	Held     []Holding

	SessionID string
	Addr      string // address of the caller, without port
	Client    string // API client id, also when a person acts through one
	Lang      string // "zh" or "en"

	// MustChange is set while the person logged in with a one-time secret:
	// nothing but changing it is allowed.
	MustChange bool
	// MustProve is set until the second factor is given, MustEnrol until one that
	// the post demands is set up: nothing but that is allowed.
	MustProve, MustEnrol bool
}

// Holds reports whether the actor holds p at the acting body.
func (a Actor) Holds(p Post) bool { return slices.Contains(a.Posts, p) }

// Acts reports whether p is the acting post.
func (a Actor) Acts(p Post) bool { return a.Post == p && p != "" }

// IsAnonymous reports whether nobody is known behind the actor.
func (a Actor) IsAnonymous() bool { return a.Kind == Anonymous || a.Kind == "" }

// System returns the program itself as an actor; name says which part of it acts ("clock").
func System(name string) Actor {
	return Actor{Kind: Program, ID: name, Name: "gongshu/" + name, Lang: "zh"}
}

// Visitor returns an anonymous actor at addr who reads lang.
func Visitor(addr, lang string) Actor {
	return Actor{Kind: Anonymous, Addr: addr, Lang: lang}
}
