// Package org knows the bodies that the rules bind, their people, the posts that
// people hold, and what bodies file about themselves. One platform serves city,
// districts and counties (FS-4, LY-5); a county works in a space of its own on it
// (FZM-11, LY-7).
//
// A post is proposed by one person and confirmed by another: the system
// administrator makes people and gives them no rights, the security administrator
// gives rights and makes nobody (FS-40).
package org

import (
	"context"
	"errors"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

// Role is what part a body plays on the platform.
type Role string

// The roles of a body.
const (
	Department Role = "department" // provides and uses data
	Authority  Role = "authority"  // the competent authority of its level (FZM-6, LY-5)
	Operator   Role = "operator"   // data centre, technical service unit (LY-5, QZ-3.2)
	Applicant  Role = "applicant"  // an enterprise, university or institute of the public (FZM-22)
)

// Levels of bodies (FS-4, FZM-15).
const (
	Province = "province"
	City     = "city"
	District = "district"
	County   = "county"
)

// States of bodies, people and holdings.
const (
	Active   = "active"
	Closed   = "closed"
	Disabled = "disabled"

	Proposed = "proposed"
	Held     = "held"
	Ended    = "ended"
	Declined = "declined"
)

// Body is an organ, institution or other unit.
type Body struct {
	ID        string
	Name      string // full name, unique
	Short     string // name for narrow columns; Name when empty
	USCC      string // unified social credit code, "" when not known yet
	Kind      string // organ, institution, social, entrusted, utility, court, procuratorate, funded, enterprise, university, institute
	Role      Role
	Level     string
	District  string // division code, 6 digits
	Parent    string // body id, "" at the top
	State     string // Active or Closed
	Phone     string
	CreatedAt time.Time
	CreatedBy string
	ClosedAt  time.Time
}

// Label is the short name where there is one.
func (b Body) Label() string {
	if b.Short != "" {
		return b.Short
	}
	return b.Name
}

// Space is a district's or county's part of the one platform.
type Space struct {
	District string
	Name     string
	OpenedAt time.Time
	OpenedBy string
}

// Person is an official. The account of the same id holds the login.
type Person struct {
	ID        string
	Login     string
	Name      string
	Body      string // home body id
	BodyName  string
	District  string // of the home body
	Title     string // office in words: 科长
	StaffNo   string
	Phone     string
	Email     string
	State     string // Active or Disabled
	CreatedAt time.Time
	CreatedBy string
	Holdings  []Holding // held and proposed; filled by Person and People
}

// Posts returns the posts that the person holds now.
func (p Person) Posts() []identity.Post {
	var out []identity.Post
	for _, h := range p.Holdings {
		if h.State == Held {
			out = append(out, h.Post)
		}
	}
	return out
}

// Holding is a post held, or to be held, by a person at a body.
type Holding struct {
	ID         string
	Body       string
	BodyName   string
	District   string
	Post       identity.Post
	Person     string
	PersonName string
	State      string
	Since      time.Time // from when it is held
	Until      time.Time // zero while held
	TakesOver  string    // holding that ends when this one begins
	Reason     string
	ProposedBy string // person id
	ProposedAt time.Time
	DecidedBy  string
	DecidedAt  time.Time
	Answer     string // reason of a refusal
}

// Filing is what a body has on file with the authority (FZM-34, LY-26, FS-6).
type Filing struct {
	ID       string
	Body     string
	BodyName string
	District string
	Version  int
	Office   string // data office (LY-5)
	Leader   Contact
	Daily    Contact
	// Titles and numbers of the body's own documents.
	Procedures, Rules, Accountability string

	FiledAt    time.Time
	FiledBy    string
	FiledName  string
	ReceivedAt time.Time // when the authority took note; zero before
	ReceivedBy string
}

// Contact is a person named in a filing.
type Contact struct{ Name, Title, Phone string }

// Deps is what a Service needs.
type Deps struct {
	DB       *db.DB
	Door     *operation.Door
	Identity *identity.Service
	Profile  *profile.Profile
	Now      func() time.Time // time.Now when nil
	// SecondFactor names the posts whose holders log in with a second factor; others may.
	SecondFactor []identity.Post
	// PostsChanged, when set, runs in the transaction in which a holding begins or
	// ends, so that areas above can hand over what hangs on it.
	PostsChanged func(ctx context.Context, tx *db.Tx, h Holding) error
	// Alarm, when set, runs in the transaction of a change to an account or a key
	// that its owner should hear of, whoever made it.
	Alarm func(ctx context.Context, tx *db.Tx, a Alarm) error
}

// Alarm is such a change.
type Alarm struct {
	Kind   AlarmKind
	Person string             // of AccountReset and FactorReset: account id
	Client identity.APIClient // of the others
	Key    string             // public part of the key
	By     identity.Actor
}

// AlarmKind names what happened.
type AlarmKind string

// The kinds.
const (
	AccountReset AlarmKind = "account_reset" // a new one-time secret
	FactorReset  AlarmKind = "factor_reset"  // the second factor taken away
	KeyIssued    AlarmKind = "key_issued"
	KeyRevoked   AlarmKind = "key_revoked"
)

// Service keeps bodies, people, posts and filings.
type Service struct {
	db       *db.DB
	door     *operation.Door
	identity *identity.Service
	profile  *profile.Profile
	now      func() time.Time
	demands  []identity.Post
	changed  func(ctx context.Context, tx *db.Tx, h Holding) error
	alarm    func(ctx context.Context, tx *db.Tx, a Alarm) error
}

// New makes a Service.
func New(deps Deps) (*Service, error) {
	if deps.DB == nil || deps.Door == nil || deps.Identity == nil || deps.Profile == nil {
		return nil, errors.New("org: DB, Door, Identity and Profile are needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.PostsChanged == nil {
		deps.PostsChanged = func(context.Context, *db.Tx, Holding) error { return nil }
	}
	if deps.Alarm == nil {
		deps.Alarm = func(context.Context, *db.Tx, Alarm) error { return nil }
	}
	return &Service{db: deps.DB, door: deps.Door, identity: deps.Identity, profile: deps.Profile, now: deps.Now, demands: deps.SecondFactor, changed: deps.PostsChanged, alarm: deps.Alarm}, nil
}

var kindTexts = map[string]errs.Text{
	"organ": errs.T("行政机关", "administrative organ"), "institution": errs.T("事业单位", "public institution"),
	"social": errs.T("社会团体", "social organisation"), "entrusted": errs.T("依法授权或受委托的组织", "entrusted organisation"),
	"utility": errs.T("公共服务企业", "public-service enterprise"), "court": errs.T("人民法院", "court"),
	"procuratorate": errs.T("人民检察院", "procuratorate"), "funded": errs.T("使用财政资金建设系统的其他部门", "other publicly funded body"),
	"enterprise": errs.T("企业法人", "enterprise"), "university": errs.T("高等院校", "university"), "institute": errs.T("科研院所", "research institute"),
}

// KindText words a kind of body; an unknown kind names itself.
func KindText(kind string) errs.Text { return textOf(kindTexts, kind) }

// Kinds returns the kinds of body in the order of lists (FZM-3, LY-3, FS-46; the
// last three are applicants of the public, FZM-22).
func Kinds() []string {
	return []string{"organ", "institution", "social", "entrusted", "utility", "court", "procuratorate", "funded", "enterprise", "university", "institute"}
}

var roleTexts = map[string]errs.Text{
	string(Department): errs.T("部门", "department"), string(Authority): errs.T("主管部门", "authority"),
	string(Operator): errs.T("运行单位", "operator"), string(Applicant): errs.T("社会主体", "applicant"),
}

// Text words the role.
func (r Role) Text() errs.Text { return textOf(roleTexts, string(r)) }

// Roles returns the roles in the order of lists.
func Roles() []Role { return []Role{Department, Authority, Operator, Applicant} }

var levelTexts = map[string]errs.Text{
	Province: errs.T("省级", "province"), City: errs.T("市级", "city"), District: errs.T("区级", "district"), County: errs.T("县（市、区）级", "county"),
}

// LevelText words a level.
func LevelText(level string) errs.Text { return textOf(levelTexts, level) }

func textOf(texts map[string]errs.Text, key string) errs.Text {
	if t, ok := texts[key]; ok {
		return t
	}
	return errs.T(key, key)
}
