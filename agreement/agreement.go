// Package agreement keeps the agreements that sharing asks for (FZM-17, LY-12):
// templates, the words as rendered for the parties, their SM3 digest, and the
// acceptance of both sides' leaders, each recorded as a signed note that the
// platform's Ed25519 and SM2 keys sign. Words that were put up for signing never
// change; a new text is a new version.
package agreement

import (
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/mod/sumdb/note"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

//go:embed templates/*.txt
var templates embed.FS

// States of an agreement.
const (
	Signing    = "signing"
	Effective  = "effective"
	Declined   = "declined"
	Superseded = "superseded" // by a later version
	Ended      = "ended"      // with the grant
)

// Terms are what an agreement settles; every field appears in the words.
type Terms struct {
	Number       string   `json:"number"`
	CaseNo       string   `json:"case_no"`
	Provider     string   `json:"provider"`
	Consumer     string   `json:"consumer"`
	Authority    string   `json:"authority"`
	Platform     string   `json:"platform"`
	Basis        string   `json:"basis"` // articles, written out
	Resource     string   `json:"resource"`
	ResourceName string   `json:"resource_name"`
	Sharing      string   `json:"sharing"`
	Purposes     string   `json:"purposes"`
	Business     string   `json:"business"`
	Users        string   `json:"users"`
	Items        []string `json:"items"` // with their masks, written out
	Rows         string   `json:"rows"`
	Mode         string   `json:"mode"`
	Ends         string   `json:"ends"` // 2006-01-02
	Days         int      `json:"days"`
	Onward       string   `json:"onward"`
	Words        struct {
		Provider string `json:"provider"`
		Consumer string `json:"consumer"`
	} `json:"words"`
}

// Party is one side. Signs tells whose acceptance makes the agreement effective.
type Party struct {
	Relation, Body, BodyName string
	Signs                    bool
}

// Signature is one side's acceptance.
type Signature struct {
	Relation           string
	Signer, SignerName string
	Post               string
	At                 time.Time
	Note               string // signed note
}

// Agreement is one version of an agreement.
type Agreement struct {
	ID, Number     string
	Version        int
	Kind           string
	CaseID, CaseNo string
	Resource       string
	State          string
	Template       string // name of the template
	TemplateSum    string // its SM3
	Terms          Terms
	Text           string // the words as signed
	Digest         string // SM3 of Text, hexadecimal
	CreatedAt      time.Time
	EffectiveAt    time.Time
	EndedAt        time.Time
	Reason         string
	Parties        []Party
	Signatures     []Signature
}

// Party gives the side of a relation.
func (a Agreement) Party(relation string) (Party, bool) {
	for _, p := range a.Parties {
		if p.Relation == relation {
			return p, true
		}
	}
	return Party{}, false
}

// Signed gives the acceptance of a relation.
func (a Agreement) Signed(relation string) (Signature, bool) {
	for _, s := range a.Signatures {
		if s.Relation == relation {
			return s, true
		}
	}
	return Signature{}, false
}

// Deps is what the service needs.
type Deps struct {
	DB      *db.DB
	Door    *operation.Door
	Signers []note.Signer // of the platform; at least one
	// Verifiers are the public keys of the signers, for Check.
	Verifiers note.Verifiers
	Now       func() time.Time // time.Now when nil
}

// Service keeps agreements. Its methods may be called by many goroutines.
type Service struct{ deps Deps }

// New makes the service.
func New(deps Deps) (*Service, error) {
	if deps.DB == nil || deps.Door == nil || len(deps.Signers) == 0 || deps.Verifiers == nil {
		return nil, errors.New("agreement: DB, Door, Signers and Verifiers are needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{deps}, nil
}

// Digest is the SM3 of a text, hexadecimal.
func Digest(text string) string {
	sum := sm3.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Render writes the words of a kind of agreement.
func Render(kind string, t Terms) (text, templateSum string, err error) {
	src, err := templates.ReadFile("templates/" + kind + ".zh.txt")
	if err != nil {
		return "", "", errs.Newf(errs.Internal, "没有“%s”的协议文本", "there is no agreement text for %q", kind).Because(err)
	}
	tpl, err := template.New(kind).Option("missingkey=error").Parse(string(src))
	if err != nil {
		return "", "", fmt.Errorf("agreement template %s: %w", kind, err)
	}
	var b strings.Builder
	if err := tpl.Execute(&b, t); err != nil {
		return "", "", fmt.Errorf("agreement template %s: %w", kind, err)
	}
	return b.String(), Digest(string(src)), nil
}

// Draft is what an agreement is made of.
type Draft struct {
	Kind    string // name of the template: "sharing"
	CaseID  string
	Terms   Terms
	Parties []Party
}

// DraftTx puts up the words for signing in the caller's operation. An agreement
// of the case that still waits for signatures is superseded by the new version.
func (s *Service) DraftTx(ctx context.Context, tx *db.Tx, d Draft) (Agreement, error) {
	earlier, err := byCase(ctx, tx, d.CaseID)
	if err != nil {
		return Agreement{}, err
	}
	a := Agreement{ID: db.NewID(), Version: len(earlier) + 1, Kind: d.Kind, CaseID: d.CaseID, CaseNo: d.Terms.CaseNo, Resource: d.Terms.Resource,
		State: Signing, Template: d.Kind, Terms: d.Terms, CreatedAt: s.deps.Now(), Parties: d.Parties}
	for _, e := range earlier {
		if e.State == Signing {
			if err := setState(ctx, tx, e.ID, Superseded, time.Time{}, a.CreatedAt, ""); err != nil {
				return Agreement{}, err
			}
		}
	}
	a.Number = fmt.Sprintf("XY-%s-%d", d.Terms.CaseNo, a.Version)
	a.Terms.Number = a.Number
	if a.Text, a.TemplateSum, err = Render(d.Kind, a.Terms); err != nil {
		return Agreement{}, err
	}
	a.Digest = Digest(a.Text)
	return a, insert(ctx, tx, a)
}

// statement is what a side accepts, in the words that the keys sign.
func statement(a Agreement, p Party, signer identity.Actor, at time.Time) string {
	return fmt.Sprintf("gongshu-agreement/1\nnumber %s\nsm3 %s\nparty %s %s\nsigner %s %s\nat %s\n",
		a.Number, a.Digest, p.Relation, p.Body, signer.ID, signer.Post, at.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// SignTx records one side's acceptance of the case's agreement in the caller's
// operation, and gives the agreement as it is then: Effective once every signing
// side has accepted. Who may sign is the caller's to ask; errors are NotFound
// (nothing to sign) and Conflict (signed already, or by a body that is no party).
func (s *Service) SignTx(ctx context.Context, tx *db.Tx, actor identity.Actor, caseID, relation string) (Agreement, error) {
	a, err := current(ctx, tx, caseID)
	if err != nil {
		return a, err
	}
	p, ok := a.Party(relation)
	switch {
	case a.State != Signing:
		return a, errs.New(errs.Conflict, errs.T("协议不在签署中", "the agreement is not up for signing"))
	case !ok || !p.Signs || p.Body != actor.Body:
		return a, errs.New(errs.Conflict, errs.T("您的单位不是本协议的签署方", "your body does not sign this agreement"))
	}
	if _, done := a.Signed(relation); done {
		return a, errs.New(errs.Conflict, errs.T("本方已签署", "your side has signed already"))
	}
	if Digest(a.Text) != a.Digest {
		return a, errs.New(errs.Internal, errs.T("协议文本与摘要不符，不能签署", "the words do not match their digest and cannot be signed"))
	}
	now := s.deps.Now()
	signed, err := note.Sign(&note.Note{Text: statement(a, p, actor, now)}, s.deps.Signers...)
	if err != nil {
		return a, fmt.Errorf("sign agreement %s: %w", a.Number, err)
	}
	sig := Signature{Relation: relation, Signer: actor.ID, SignerName: actor.Name, Post: string(actor.Post), At: now, Note: string(signed)}
	if err := addSignature(ctx, tx, a.ID, sig); err != nil {
		return a, err
	}
	a.Signatures = append(a.Signatures, sig)
	for _, p := range a.Parties {
		if _, done := a.Signed(p.Relation); p.Signs && !done {
			return a, nil
		}
	}
	a.State, a.EffectiveAt = Effective, now
	return a, setState(ctx, tx, a.ID, Effective, now, time.Time{}, "")
}

// CloseTx ends the case's agreement, if it has one that is signing or effective:
// Declined before it took effect, Ended after.
func (s *Service) CloseTx(ctx context.Context, tx *db.Tx, caseID, reason string) error {
	a, err := current(ctx, tx, caseID)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch a.State {
	case Signing:
		return setState(ctx, tx, a.ID, Declined, time.Time{}, s.deps.Now(), reason)
	case Effective:
		return setState(ctx, tx, a.ID, Ended, a.EffectiveAt, s.deps.Now(), reason)
	}
	return nil
}

// Check proves an agreement: the words have the recorded digest, and every
// acceptance carries valid signatures of the platform over that digest. It gives
// the number of valid signature lines.
func (s *Service) Check(a Agreement) (int, error) {
	if Digest(a.Text) != a.Digest {
		return 0, errs.New(errs.Conflict, errs.T("协议文本与签署时的摘要不符", "the words differ from what was signed"))
	}
	valid := 0
	for _, sig := range a.Signatures {
		n, err := note.Open([]byte(sig.Note), s.deps.Verifiers)
		if err != nil {
			return valid, errs.Newf(errs.Conflict, "%[1]s的签署无效", "the signature of %[1]s is not valid", sig.SignerName).Because(err)
		}
		p, _ := a.Party(sig.Relation)
		if n.Text != statement(a, p, identity.Actor{ID: sig.Signer, Post: identity.Post(sig.Post)}, sig.At) {
			return valid, errs.Newf(errs.Conflict, "%[1]s的签署内容与记录不符", "what %[1]s signed differs from the record", sig.SignerName)
		}
		valid += len(n.Sigs)
	}
	return valid, nil
}

// Current gives the newest agreement of a case; errs.NotFound when there is none.
func (s *Service) Current(ctx context.Context, q db.Querier, caseID string) (Agreement, error) {
	return current(ctx, q, caseID)
}

// Get gives an agreement by id or number to somebody who may read it: its
// parties, the authority within reach, the operator, the auditor.
func (s *Service) Get(ctx context.Context, actor identity.Actor, id string) (Agreement, error) {
	a, err := get(ctx, s.deps.DB.Read(), id)
	if err != nil {
		return a, err
	}
	return a, s.deps.Door.May(actor, "agreement.agreement.read", target(actor, a))
}

func target(actor identity.Actor, a Agreement) operation.Target {
	party := false
	for _, p := range a.Parties {
		party = party || p.Body == actor.Body && actor.Body != ""
	}
	t := operation.Target{Kind: "agreement", ID: a.ID, Name: a.Number, Resource: a.Resource, Case: a.CaseNo, Attrs: map[string]any{"party": party}}
	if p, ok := a.Party(profile.RelProvider); ok {
		t.Body = p.Body
	}
	return t
}

// Filter narrows a list of agreements.
type Filter struct {
	Body   string // a party
	State  string
	Text   string // in number, resource name or a party's name
	Sort   string // "created", "number"; newest first when empty
	Desc   bool
	Offset int
	Limit  int // 1 to 200; 50 when 0
}

// List gives agreements, newest first, and how many there are. People of a
// department see those of their own body.
func (s *Service) List(ctx context.Context, actor identity.Actor, f Filter) ([]Agreement, int, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	f.Offset = max(f.Offset, 0)
	if err := s.deps.Door.May(actor, "agreement.agreement.list", operation.Target{Kind: "agreement", Body: actor.Body, District: actor.District}); err != nil {
		return nil, 0, err
	}
	if s.deps.Door.May(actor, "agreement.agreement.list_all", operation.Target{Kind: "agreement", District: actor.District}) != nil {
		if actor.Body == "" {
			return nil, 0, errs.New(errs.Forbidden, errs.T("请先取得单位岗位", "you hold no post at a body"))
		}
		f.Body = actor.Body
	}
	return list(ctx, s.deps.DB.Read(), f)
}
