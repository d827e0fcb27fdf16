package catalog

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// Actions of the catalog; who may do them stands in operation/policies/catalog.cedar.
const (
	ActCreate   operation.Action = "catalog.resource.create"
	ActEdit     operation.Action = "catalog.resource.edit"
	ActSubmit   operation.Action = "catalog.resource.submit"
	ActRecall   operation.Action = "catalog.resource.recall"
	ActRevise   operation.Action = "catalog.resource.revise"
	ActWithdraw operation.Action = "catalog.resource.withdraw"
	ActDiscard  operation.Action = "catalog.resource.discard"
	ActImport   operation.Action = "catalog.workbook.import"
	ActUpload   operation.Action = "catalog.workbook.preview"
	ActSample   operation.Action = "catalog.sample.propose"
	ActHead     operation.Action = "catalog.class.add"
	// ActRows is the look at sample rows, through Door.Read: rows are data.
	ActRows operation.Action = "catalog.resource.sample"
)

func targetOf(r *Resource, district string) operation.Target {
	return operation.Target{Kind: "resource", ID: r.ID, Name: r.Name, Body: r.Body, District: district, Resource: r.Code}
}

func (s *Service) target(ctx context.Context, r *Resource) (operation.Target, error) {
	b, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return operation.Target{}, fmt.Errorf("body of %s: %w", r.Code, err)
	}
	return targetOf(r, b.District), nil
}

// Create registers a new draft of the actor's own body (FZM-7) and gives it its code. The input's
// identity fields (id, code, version, state, decisions) are ignored. Errors: errs.Invalid with
// problems when it cannot even be kept as a draft, errs.Forbidden.
func (s *Service) Create(ctx context.Context, a identity.Actor, in Resource) (*Resource, error) {
	body := in.Body
	if body == "" {
		body = a.Body
	}
	b, err := s.deps.Body(ctx, body)
	if err != nil {
		return nil, err
	}
	in.Body = b.ID
	var out *Resource
	target := operation.Target{Kind: "resource", Name: in.Name, Body: b.ID, District: b.District}
	err = s.deps.Door.Do(ctx, a, ActCreate, target, func(ctx context.Context, tx *db.Tx) error {
		out, err = s.createTx(ctx, tx, a, b, in, "create", "")
		if err != nil {
			return err
		}
		operation.Retarget(ctx, func(t *operation.Target) { t.ID, t.Resource = out.ID, out.Code })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Copy makes a new draft of the actor's body from a resource that the actor may see: metadata and
// items are taken over; code, decisions, source confirmation and secrecy declaration are not.
func (s *Service) Copy(ctx context.Context, a identity.Actor, code string) (*Resource, error) {
	from, err := s.Get(ctx, code, -1)
	if err != nil {
		return nil, err
	}
	if !MaySee(a, from) {
		if from, err = s.Get(ctx, code, 0); err != nil {
			return nil, err
		}
	}
	if _, existsOnly := ShareView(from, a.Body, seesAll(a), s.Policy()); existsOnly {
		return nil, errs.Newf(errs.Forbidden, "该资源仅可知其存在，不能复制", "the resource is known to exist only and cannot be copied").By(s.Policy().Cites[TopicWithheld]...)
	}
	in := *from
	in.Body = a.Body
	in.Name = from.Name + "（副本）"
	in.Related = append([]string{from.Code}, from.Related...)
	in.Source, in.Secrecy, in.Survey = Source{}, Secrecy{}, Survey{}
	if from.Body != a.Body {
		in.Class, in.Office, in.System, in.SharingBasis, in.OpeningBasis = Class{Class: from.Class.Class, Item: from.Class.Item}, "", "", nil, nil
		if in.Class.Class == "1" || in.Class.Class == "2" {
			in.Class = from.Class
		}
	}
	return s.Create(ctx, a, in)
}

// CreateTx is Create for callers that have passed the door: demo builders, bulk imports, harvests.
// note is shown in the history.
func (s *Service) CreateTx(ctx context.Context, tx *db.Tx, a identity.Actor, in Resource, note string) (*Resource, error) {
	b, err := s.deps.Body(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	return s.createTx(ctx, tx, a, b, in, "import", note)
}

func (s *Service) createTx(ctx context.Context, tx *db.Tx, a identity.Actor, b Body, in Resource, action, note string) (*Resource, error) {
	policy := s.Policy()
	r := clone(&in)
	now := s.now()
	r.ID, r.Version, r.State, r.Revision, r.Current = db.NewID(), 1, Draft, 1, false
	r.Case, r.SecrecyCheck, r.Withdrawal, r.Filing = "", nil, nil, nil
	r.PublishedOn, r.PublishedAt, r.NextColumn = "", time.Time{}, 1
	r.CreatedBy, r.CreatedAt, r.UpdatedAt = a.ID, now, now
	setBody(r, b)
	r.Name = strings.TrimSpace(r.Name)
	if r.Class.Class == "" {
		r.Class.Class, r.Class.Item = "3", "07" // a department's own data, unless it says otherwise
	}
	if r.Class.Class == "3" && r.Class.Head == "" && has(ClassItems["3"], r.Class.Item) {
		head, err := bodyHead(ctx, tx, r.Class.Item, b.ID, b.Name)
		if err != nil {
			return nil, err
		}
		r.Class.Head = head
	}
	if r.Class.Class == "2" && r.Theme == "" {
		r.Theme = r.Class.Item
	}
	r.Items = s.numberItems(r, nil)
	faults := append(classFaults(r.Class), ValidateDraft(r, policy)...)
	if len(faults) == 0 {
		ok, err := s.headKnown(ctx, tx, r.Class)
		if err != nil {
			return nil, err
		}
		if !ok {
			faults = append(faults, errs.Problem{Field: "class.head", Code: "unknown", Clause: policy.Cite(TopicCatalog),
				Text: errs.Tf("没有目 %s，请由主管部门先增加", "there is no third level %s; the authority adds one", r.Class.Prefix())})
		}
	}
	if len(faults) > 0 {
		return nil, invalid(faults)
	}
	serial, err := nextSerial(ctx, tx, r.Class.Prefix())
	if err != nil {
		return nil, err
	}
	r.Code = FormatCode(r.Class, serial)
	if err := insertResource(ctx, tx, r); err != nil {
		return nil, err
	}
	return r, s.keep(ctx, tx, a, r, action, note)
}

// headKnown: the third level is one of the built-in ones, was added, or stands for a body.
func (s *Service) headKnown(ctx context.Context, q db.Querier, c Class) (bool, error) {
	for _, h := range builtInHeads {
		if h.Class == c.Class && h.Item == c.Item && h.Head == c.Head {
			return true, nil
		}
	}
	all, err := heads(ctx, q)
	if err != nil {
		return false, err
	}
	for _, h := range all {
		if h.Class == c.Class && h.Item == c.Item && h.Head == c.Head {
			return true, nil
		}
	}
	return false, nil
}

// numberItems gives new items their id and column. An id counts only when the resource has it already
// (before), so that a form cannot claim another item's column; numbers are never used twice.
func (s *Service) numberItems(r *Resource, before []Item) []Item {
	known := map[string]int{}
	for _, it := range before {
		known[it.ID] = it.Column
	}
	out := make([]Item, len(r.Items))
	for i, it := range r.Items {
		if column, ok := known[it.ID]; ok {
			it.Column = column
			delete(known, it.ID)
		} else {
			it.Column = r.NextColumn
			it.ID = fmt.Sprintf("i%d", r.NextColumn)
			r.NextColumn++
		}
		out[i] = it
	}
	// Conditions may name items by English code, as forms and workbooks do; ids are kept.
	for i := range r.Conditions {
		c := &r.Conditions[i]
		for j, ref := range c.Items {
			c.Items[j] = idOf(out, ref)
		}
		for j := range c.Rows {
			c.Rows[j].Item = idOf(out, c.Rows[j].Item)
		}
	}
	return out
}

func idOf(items []Item, ref string) string {
	for i := range items {
		if items[i].ID == ref {
			return ref
		}
	}
	for i := range items {
		if items[i].Code == ref || items[i].Name == ref {
			return items[i].ID
		}
	}
	return ref
}

// AddressOf is where a resource is found for a command: its code and the revision that the person saw;
// revision 0 skips the check against lost updates.
type AddressOf struct {
	Code     string
	Revision int64
}

// Save keeps a draft, or what was returned until it is sent again. The class cannot change, because the code carries it. Errors: errs.Conflict when
// somebody saved since the given revision, or the version is past editing; errs.Invalid with problems.
func (s *Service) Save(ctx context.Context, a identity.Actor, addr AddressOf, in Resource) (*Resource, error) {
	return s.change(ctx, a, addr, ActEdit, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if r.State != Draft && r.State != Returned {
			return s.past(r, "修改", "edited")
		}
		policy := s.Policy()
		next := clone(&in)
		next.ID, next.Code, next.Version, next.Revision, next.Current = r.ID, r.Code, r.Version, r.Revision, r.Current
		next.NextColumn, next.CreatedBy, next.CreatedAt = r.NextColumn, r.CreatedBy, r.CreatedAt
		next.PublishedOn, next.PublishedAt = r.PublishedOn, r.PublishedAt
		next.State, next.Case, next.SecrecyCheck, next.Withdrawal, next.Filing = r.State, r.Case, nil, nil, nil
		next.Name = strings.TrimSpace(next.Name)
		b, err := s.deps.Body(ctx, r.Body)
		if err != nil {
			return err
		}
		setBody(next, b)
		if next.Class != (Class{}) && next.Class != r.Class {
			return errs.Newf(errs.Conflict, "资源代码 %s 已按原分类生成，不能更改分类；请复制为新资源", "code %s was made from the class, which cannot change; copy the resource instead", r.Code).In("class.class")
		}
		next.Class = r.Class
		if r.Version > 1 && next.Kind != r.Kind {
			return errs.New(errs.Conflict, errs.T("已发布过的资源不能改变形态；请复制为新资源", "a resource that was published keeps its kind; copy it instead")).In("kind")
		}
		before, err := s.allItems(ctx, tx, r)
		if err != nil {
			return err
		}
		next.Items = s.numberItems(next, before)
		if faults := ValidateDraft(next, policy); len(faults) > 0 {
			return invalid(faults)
		}
		*r = *next
		return s.keep(ctx, tx, a, r, "edit", "")
	})
}

// allItems lists every item that any version of the resource has had.
func (s *Service) allItems(ctx context.Context, q db.Querier, r *Resource) ([]Item, error) {
	all, err := versions(ctx, q, r.Code)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var out []Item
	for _, v := range all {
		for _, it := range v.Items {
			if !seen[it.ID] {
				seen[it.ID] = true
				out = append(out, it)
			}
		}
	}
	return out, nil
}

// Check gives everything that keeps the version from being submitted: Validate, references to
// resources that do not exist, rules that do not compile, and likely duplicates without a word on why
// (FS-5.2). It reads and changes nothing.
func (s *Service) Check(ctx context.Context, r *Resource) ([]errs.Problem, []Duplicate, error) {
	return s.check(ctx, s.deps.DB.Read(), r)
}

func (s *Service) check(ctx context.Context, q db.Querier, r *Resource) ([]errs.Problem, []Duplicate, error) {
	policy := s.Policy()
	faults := Validate(r, policy)
	present, err := codesPresent(ctx, q, r.Related)
	if err != nil {
		return nil, nil, err
	}
	for i, code := range r.Related {
		if ParseCode(code) == r.Code {
			faults = append(faults, errs.Problem{Field: at("related", i), Code: "self", Text: errs.T("不能关联自身", "a resource is not related to itself")})
		} else if !present[code] && ValidCode(ParseCode(code)) {
			faults = append(faults, errs.Problem{Field: at("related", i), Code: "unknown", Text: errs.Tf("目录中没有资源 %s", "the catalog has no resource %s", code)})
		}
	}
	for i := range r.Items {
		ref := r.Items[i].Reference
		if ref == nil || !ValidCode(ParseCode(ref.Resource)) || ref.Item == "" {
			continue
		}
		to := r
		if ParseCode(ref.Resource) != r.Code {
			to, err = getVersion(ctx, q, ref.Resource, 0)
			if errs.Is(err, errs.NotFound) {
				faults = append(faults, errs.Problem{Field: at("items", i, "reference"), Code: "unknown", Text: errs.Tf("所引用的资源 %s 不在已发布目录中", "the referenced resource %s is not published", ref.Resource)})
				continue
			}
			if err != nil {
				return nil, nil, err
			}
		}
		if to.Item(ref.Item) == nil && to.ItemByName(ref.Item) == nil {
			faults = append(faults, errs.Problem{Field: at("items", i, "reference"), Code: "unknown", Text: errs.Tf("资源 %[1]s 没有信息项 %[2]s", "resource %[1]s has no item %[2]s", ref.Resource, ref.Item)})
		}
	}
	for i := range r.Conditions {
		for _, id := range r.Conditions[i].Bodies {
			if _, err := s.deps.Body(ctx, id); errs.Is(err, errs.NotFound) {
				faults = append(faults, errs.Problem{Field: at("conditions", i, "bodies"), Code: "unknown", Text: errs.Tf("没有这个部门：%s", "no such body: %s", id)})
			} else if err != nil {
				return nil, nil, err
			}
		}
	}
	if s.deps.CheckExpr != nil {
		for i, c := range r.Checks {
			if c.Expr == "" {
				continue
			}
			if err := s.deps.CheckExpr(r.Items, c.Expr); err != nil {
				text := errs.T("校验表达式不正确", "the expression is not valid")
				if e, ok := errs.As(err); ok {
					text = e.Text
				}
				faults = append(faults, errs.Problem{Field: at("checks", i, "expr"), Code: "form", Text: text})
			}
		}
	}
	// Looking for likeness costs a pass over the catalog's names: a version with a bare name is not ready for it.
	if r.Name == "" {
		return faults, nil, nil
	}
	same, err := s.Duplicates(ctx, q, r)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range same {
		// FS-11: a base database of the same kind is refused, whatever the reason; it has one lead.
		if r.Class.Class == "1" && d.Body != r.Body && strings.HasPrefix(d.Code, r.Class.Prefix()+"/") && d.NameScore >= sameName {
			faults = append(faults, errs.Problem{Field: "class.class", Code: "base", Clause: policy.Cite(TopicBase),
				Text: errs.Tf("%[1]s已建有同类基础库“%[2]s”（%[3]s），避免重复建设，请申请共享", "%[1]s leads the same base database %[2]q (%[3]s): apply for it instead of building another", d.BodyName, d.Name, d.Code)})
			continue
		}
		if policy.OneSource && strings.TrimSpace(r.Source.Overlap) == "" {
			faults = append(faults, errs.Problem{Field: "source.overlap", Code: "duplicate", Clause: policy.Cite(TopicDuplicate),
				Text: errs.Tf("与%[1]s的“%[2]s”（%[3]s）相似：一数一源，能通过共享获取的不再重复采集；确属不同数据的，请说明理由",
					"looks like %[2]q of %[1]s (%[3]s): what can be had by sharing is not collected again; if it is different data, say why", d.BodyName, d.Name, d.Code)})
			break
		}
	}
	return faults, same, nil
}

// Revise starts a new version of what is in force, as a draft (FZM-12: updated when the data changes).
// Errors: errs.Conflict when a newer version is under way.
func (s *Service) Revise(ctx context.Context, a identity.Actor, code string) (*Resource, error) {
	return s.change(ctx, a, AddressOf{Code: code}, ActRevise, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if r.State != Published && r.State != Withdrawn {
			return s.past(r, "变更", "revised")
		}
		r.Version++
		r.State, r.Current = Draft, false
		r.Case, r.SecrecyCheck, r.Withdrawal, r.Filing = "", nil, nil, nil
		r.CreatedBy, r.CreatedAt, r.PublishedAt = a.ID, s.now(), time.Time{}
		r.Secrecy.Declared, r.Secrecy.Document = false, "" // every registration carries its own declaration (FZM-2)
		return s.keep(ctx, tx, a, r, "revise", "")
	})
}

// Withdraw takes the resource out of the catalog, with a reason. Its versions and rows are kept; grants
// and publications end through OnWithdraw.
func (s *Service) Withdraw(ctx context.Context, a identity.Actor, addr AddressOf, reason string) (*Resource, error) {
	return s.change(ctx, a, addr, ActWithdraw, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if err := needReason(reason); err != nil {
			return err
		}
		if r.State != Published {
			return s.past(r, "撤回", "withdrawn")
		}
		r.State, r.Current = Withdrawn, false
		r.Withdrawal = s.decision(a, "withdrawn", reason)
		if err := setPublished(ctx, tx, r.ID, 0, true); err != nil {
			return err
		}
		if err := s.keep(ctx, tx, a, r, "withdraw", reason); err != nil {
			return err
		}
		for _, fn := range s.deps.OnWithdraw {
			if err := fn(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Discard drops a draft. A resource that was never published goes with it; its code is not used again.
func (s *Service) Discard(ctx context.Context, a identity.Actor, addr AddressOf) error {
	_, err := s.change(ctx, a, addr, ActDiscard, func(ctx context.Context, tx *db.Tx, r *Resource) error {
		if r.State != Draft && r.State != Returned {
			return s.past(r, "删除", "discarded")
		}
		if r.State == Returned {
			if _, err := s.deps.Cases.WithdrawTx(ctx, tx, a, r.Case, ""); err != nil {
				return err
			}
		}
		if r.Version > 1 {
			if err := deleteVersion(ctx, tx, r.ID, r.Version); err != nil {
				return err
			}
			left, err := getVersionByID(ctx, tx, r.ID, -1)
			if err != nil {
				return err
			}
			if err := putItemNames(ctx, tx, left); err != nil {
				return err
			}
			if err := addEvent(ctx, tx, r.ID, s.event(a, r, "discard", "")); err != nil {
				return err
			}
		} else if err := deleteResource(ctx, tx, r.ID); err != nil {
			return err
		}
		return bump(ctx, tx, r.ID, s.now())
	})
	return err
}

// AddHead adds a third level under an item of the base or theme class.
func (s *Service) AddHead(ctx context.Context, a identity.Actor, class, item, head, name string) error {
	faults := classFaults(Class{Class: class, Item: item, Head: head})
	if class == "3" {
		faults = append(faults, errs.Problem{Field: "class", Code: "department", Text: errs.T("部门信息资源的目随部门自动生成", "in the department class the third level follows the body")})
	}
	if strings.TrimSpace(name) == "" {
		faults = append(faults, errs.Problem{Field: "name", Code: "required", Text: errs.T("请填写目的名称", "name the third level")})
	}
	if len(faults) > 0 {
		return invalid(faults)
	}
	for _, h := range builtInHeads {
		if h.Class == class && h.Item == item && h.Head == head {
			return errs.Newf(errs.Conflict, "目 %s 已经存在", "third level %s exists already", class+item+head).In("head")
		}
	}
	return s.deps.Door.Do(ctx, a, ActHead, operation.Target{Kind: "class", ID: class + item + head, Name: name, District: a.District}, func(ctx context.Context, tx *db.Tx) error {
		return addHead(ctx, tx, class, item, head, strings.TrimSpace(name))
	})
}

// change runs a command on the newest version: find it, pass the door, read it again inside the
// transaction, compare the revision, act.
func (s *Service) change(ctx context.Context, a identity.Actor, addr AddressOf, action operation.Action, fn func(ctx context.Context, tx *db.Tx, r *Resource) error) (*Resource, error) {
	seen, err := getVersion(ctx, s.deps.DB.Read(), addr.Code, -1)
	if err != nil {
		return nil, err
	}
	target, err := s.target(ctx, seen)
	if err != nil {
		return nil, err
	}
	var out *Resource
	err = s.deps.Door.Do(ctx, a, action, target, func(ctx context.Context, tx *db.Tx) error {
		r, err := getVersion(ctx, tx, addr.Code, -1)
		if err != nil {
			return err
		}
		if addr.Revision > 0 && addr.Revision != r.Revision {
			return errs.New(errs.Conflict, errs.T("您打开页面后，该资源已被他人修改；您填写的内容仍在，请核对最新版本后再保存",
				"somebody changed the resource after you opened the page; what you typed is kept: compare with the newest version and save again")).In("revision")
		}
		if err := fn(ctx, tx, r); err != nil {
			return err
		}
		operation.Note(ctx, "version", r.Version)
		out = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// keep writes a version that has changed: document, item names, history, change sequence.
func (s *Service) keep(ctx context.Context, tx *db.Tx, a identity.Actor, r *Resource, action, note string) error {
	r.UpdatedAt = s.now()
	r.Revision++
	if err := putVersion(ctx, tx, r); err != nil {
		return err
	}
	if err := putItemNames(ctx, tx, r); err != nil {
		return err
	}
	if err := addEvent(ctx, tx, r.ID, s.event(a, r, action, note)); err != nil {
		return err
	}
	id := r.ID
	tx.AfterCommit(func() { s.forget(id) })
	return bump(ctx, tx, r.ID, r.UpdatedAt)
}

func (s *Service) event(a identity.Actor, r *Resource, action, note string) Event {
	return Event{At: s.now(), Version: r.Version, Action: action, By: a.ID, Name: a.Name, Post: string(a.Post), Note: note}
}

func (s *Service) decision(a identity.Actor, outcome, reason string) *Decision {
	return &Decision{By: a.ID, Name: a.Name, Post: string(a.Post), Outcome: outcome, Reason: reason, At: s.now()}
}

// now is the clock in milliseconds, as the store keeps it, so that what was written reads back equal.
func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) past(r *Resource, zh, en string) error {
	state := NameOf("state", string(r.State))
	return errs.Newf(errs.Conflict, "该版本处于“%[1]s”状态，不能%[3]s", "the version is %[2]s and cannot be %[4]s now", state.ZH, state.EN, zh, en).In("state")
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errs.New(errs.Invalid, errs.T("请写明理由", "give the reason")).In("reason")
	}
	return nil
}

func invalid(faults []errs.Problem) error {
	e := errs.Newf(errs.Invalid, "有 %d 处需要修改", "%d things need mending", len(faults)).With(faults...)
	seen := map[string]bool{}
	for _, f := range faults {
		if f.Clause != "" && !seen[f.Clause] {
			seen[f.Clause] = true
			e.By(f.Clause)
		}
	}
	if len(faults) == 1 {
		e.Text, e.Field = faults[0].Text, faults[0].Field
	}
	return e
}

func setBody(r *Resource, b Body) { r.Body, r.BodyName, r.USCC = b.ID, b.Name, b.USCC }

// clone copies a resource so that changing the copy's lists leaves the original alone.
func clone(r *Resource) *Resource {
	out := *r
	out.Tags = append([]string(nil), r.Tags...)
	out.FormatTypes = append([]string(nil), r.FormatTypes...)
	out.Items = append([]Item(nil), r.Items...)
	out.Checks = append([]Check(nil), r.Checks...)
	out.Conditions = append([]Condition(nil), r.Conditions...)
	for i := range out.Conditions {
		c := &out.Conditions[i]
		c.Items = append([]string(nil), c.Items...)
		c.Rows = append([]Filter(nil), c.Rows...)
	}
	out.SharingWays = append([]Way(nil), r.SharingWays...)
	out.SharingBasis = append([]Basis(nil), r.SharingBasis...)
	out.OpeningBasis = append([]Basis(nil), r.OpeningBasis...)
	out.OpeningNeeds = append([]string(nil), r.OpeningNeeds...)
	out.Related = append([]string(nil), r.Related...)
	return &out
}

// Same reports whether two versions say the same about the data, decisions and times apart.
func Same(a, b *Resource) bool {
	x, y := clone(a), clone(b)
	for _, r := range []*Resource{x, y} {
		r.Version, r.State, r.Current, r.Revision = 0, "", false, 0
		r.Case, r.SecrecyCheck, r.Withdrawal, r.Filing = "", nil, nil, nil
		r.CreatedAt, r.UpdatedAt, r.PublishedAt, r.PublishedOn, r.CreatedBy = time.Time{}, time.Time{}, time.Time{}, "", ""
	}
	return reflect.DeepEqual(x, y)
}
