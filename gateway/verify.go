package gateway

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// Bounds of verify: how many claims one request may make, and how many different
// values may be tried for one item of one person or organisation within the
// window, so that yes and no cannot be used to find a value out.
const (
	maxClaims     = 20
	DefaultTries  = 5
	TryWindow     = 30 * 24 * time.Hour
	claimsRetryIn = 24 * 3600 // seconds, told with the refusal
)

// Verify answers POST …/verify. The body is
//
//	{"key": {"key item": "value", …}, "claims": {"item": "value", …}}
//
// and the answer {"result": {"item": true, …}}: whether the row of that key has
// that value. A key without a row answers false to every claim, as does a row
// outside the grant: that a person is not registered is not told apart. Values
// are compared whole, as they are stored; what the grant masks elsewhere makes no
// difference, since no value leaves.
func (s *Service) Verify(ctx context.Context, call *Call, body []byte, a *Answer) error {
	p, err := s.plan(ctx, call, Verify)
	if err == nil {
		err = s.verify(ctx, call, p, body, a)
	}
	if err != nil {
		a.Body = a.Body[:0]
		return s.refuse(ctx, call, p, Verify, err)
	}
	return nil
}

func (s *Service) verify(ctx context.Context, call *Call, p *Plan, body []byte, a *Answer) error {
	a.members, a.claims = a.members[:0], a.claims[:0]
	sc := scanner{b: body}
	err := sc.parts(func(name string) (bool, error) {
		var err error
		switch name {
		case "key":
			a.members, err = sc.members(a.members)
		case "claims":
			a.claims, err = sc.members(a.claims)
		default:
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	switch {
	case len(a.members) == 0:
		return errs.New(errs.Invalid, errs.T("缺少 key：写明核验对象的主键", "key is missing: name whom or what to verify by the declared key")).In("key").By("FS-13")
	case len(a.claims) == 0:
		return errs.New(errs.Invalid, errs.T("缺少 claims：写明待核验的信息项和值", "claims is missing: name the items and values to verify")).In("claims").By("FS-13")
	case len(a.claims) > maxClaims:
		return errs.Newf(errs.TooLarge, "一次至多核验 %d 项", "at most %d claims at once", maxClaims).In("claims")
	}
	b, err := s.bind(ctx, p)
	if err != nil {
		return err
	}
	a.key, a.pick, a.fields = a.key[:0], a.pick[:0], a.fields[:0]
	subjects, err := s.keyOf(p, b, a)
	if err != nil {
		return err
	}
	claimed := make([]warehouse.Value, len(a.claims))
	for i, m := range a.claims {
		c, ok := p.index[m.name]
		if !ok {
			return notGranted(m.name)
		}
		for _, was := range a.pick {
			if was == c {
				return errs.Newf(errs.Invalid, "“%s”重复给出", "%q is given twice", p.Columns[c].Name).In(p.Columns[c].Name)
			}
		}
		if m.null {
			return errs.Newf(errs.Invalid, "“%s”的值为空", "the value of %q is empty", p.Columns[c].Name).In(p.Columns[c].Name)
		}
		if claimed[i], err = parseValue(b.out[c].column, p.Columns[c].Name, m.value); err != nil {
			return err
		}
		a.pick = append(a.pick, c)
		a.fields = append(a.fields, m.name)
	}
	// Counted before it is known which claims hold, and durably: otherwise a storm
	// of guesses sent at once would all be answered.
	if err := s.countTries(ctx, p, a); err != nil {
		return err
	}
	if err := b.point.Read(ctx, &a.rows, a.key); err != nil {
		return err
	}
	yes := 0
	a.Body = append(append(append(a.Body, `{"resource":`...), tabular.AppendJSONString(nil, p.Source.Code)...), `,"result":{`...)
	for i, c := range a.pick {
		holds := false
		for r := range a.rows.Len() {
			holds = holds || same(a.rows.Row(r)[c], claimed[i])
		}
		if holds {
			yes++
		}
		if i > 0 {
			a.Body = append(a.Body, ',')
		}
		a.Body = append(append(a.Body, tabular.AppendJSONString(nil, a.claims[i].name)...), ':')
		a.Body = strconv.AppendBool(a.Body, holds)
	}
	e := s.entry(call, p, Verify)
	e.Subjects = subjects
	e.Notes = []audit.Note{{Key: "claims", Value: len(a.pick)}, {Key: "fields", Value: a.names(p)}, {Key: "user", Value: call.User}, {Key: "yes", Value: yes}}
	if a.Seq, err = s.deps.Audit.Append(ctx, e); err != nil {
		return err
	}
	a.Rows = 0
	a.Body = append(a.Body, `},"audit":`...)
	a.Body = strconv.AppendInt(a.Body, a.Seq, 10)
	a.Body = append(a.Body, "}\n"...)
	return p.still(call)
}

// same compares a stored value with a claimed one of the same column.
func same(stored, claimed warehouse.Value) bool {
	return stored.Kind == claimed.Kind && stored.Kind != warehouse.Null && stored.S == claimed.S && stored.N == claimed.N
}

// countTries notes the claims that were not made before, and refuses when one item
// of the subject has been guessed at too often. Asking the same again is free: it
// tells nothing new. Subject and values are kept as keyed digests.
func (s *Service) countTries(ctx context.Context, p *Plan, a *Answer) error {
	parts := []string{p.Source.Code}
	for i := range p.Keys {
		parts = append(parts, memberOf(a.members, &p.Keys[i]).value)
	}
	subject := hex.EncodeToString(digest(&s.secrets.claims, parts...)[:16])
	tries := make([]try, len(a.pick))
	for i, c := range a.pick {
		tries[i] = try{item: p.Columns[c].Name, claim: hex.EncodeToString(digest(&s.secrets.claims, subject, p.Columns[c].Name, a.claims[i].value)[:16])}
	}
	known, err := knownTries(ctx, s.deps.DB.Read(), p.Grant.Client, p.Source.Code, subject, tries)
	if err != nil {
		return db.Classify(err)
	}
	if known == len(tries) {
		return nil
	}
	now := db.Ms(s.deps.Now())
	limit := int64(s.deps.Rules().VerifyTries)
	if limit <= 0 {
		limit = DefaultTries
	}
	over := ""
	err = s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		for _, t := range tries {
			n, err := addTry(ctx, tx, p.Grant.Client, p.Source.Code, subject, t, now, now-TryWindow.Milliseconds())
			if err != nil {
				return err
			}
			if n > limit {
				over = t.item
				return errs.Newf(errs.TooMany, "对同一对象的“%[1]s”已核验过 %[2]d 个不同的值，不再答复新的值，以防用核验推出数据",
					"%[2]d different values of %[1]q have been tried for this subject; new ones are not answered, so that verify cannot be used to find a value out",
					t.item, limit).In(t.item).By("FS-13", "FZM-29").Retry(claimsRetryIn)
			}
		}
		return nil
	})
	if err != nil && over == "" {
		return db.Classify(err)
	}
	return err
}

// try is one claim on one item, digested.
type try struct{ item, claim string }
