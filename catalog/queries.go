package catalog

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gongshu/casework"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/search"
	"gongshu/operation"
)

// Body is what the catalog needs to know of a body.
type Body struct {
	ID, Name, USCC string
	District       string // division code, 6 digits
}

// Tables is the warehouse as the catalog sees it: a published table resource has a table there.
type Tables interface {
	// Plan checks that the table of old can become that of next (old is nil for the first version). It
	// gives errs.Conflict naming each item that stands in the way and why; nothing is changed.
	Plan(ctx context.Context, old, next *Resource) error
	// Migrate makes or changes the table; doing it twice does no harm.
	Migrate(ctx context.Context, old, next *Resource) error
}

// Deps is what the catalog stands on.
type Deps struct {
	DB   *db.DB
	Door *operation.Door
	// Cases carries the publication of versions.
	Cases *casework.Service
	// Policy gives the rules of the city's profile that are in force.
	Policy func() *Policy
	// Body finds a body by its id; errs.NotFound when there is none.
	Body func(ctx context.Context, id string) (Body, error)
	// AuthorityFor finds the authority of a division; errs.NotFound when it has none.
	AuthorityFor func(ctx context.Context, district string) (Body, error)
	// BodyByName finds a body by its full name, for workbooks; nil knows none but the sender's own.
	BodyByName func(ctx context.Context, name string) (Body, error)
	// Tables migrates the warehouse; nil in programs that hold none.
	Tables Tables
	// CheckExpr compiles a rule over several items; nil accepts any.
	CheckExpr func(items []Item, expr string) error
	// OnPublish and OnWithdraw run in the transaction that publishes or withdraws, for areas above.
	OnPublish, OnWithdraw []func(ctx context.Context, tx *db.Tx, r *Resource) error
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Service is the catalog. Its methods may be called by many goroutines.
type Service struct {
	deps  Deps
	mu    sync.RWMutex
	cache map[string]*Resource // versions in force by code; dropped when one changes
	codes map[string]string    // id → code of what is cached
	index *search.Index
	full  atomic.Bool // the index has been filled
}

// New makes the catalog.
func New(deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	index, err := search.Open()
	if err != nil {
		panic(err) // only a cache of no size is refused, and the size is a constant
	}
	s := &Service{deps: deps, cache: map[string]*Resource{}, codes: map[string]string{}, index: index}
	deps.Cases.Handle(CasePublication, s.handler())
	deps.Cases.Handle(CaseChange, s.handler())
	return s
}

// Policy is the city's rules in force.
func (s *Service) Policy() *Policy { return s.deps.Policy() }

// Get reads a version of a resource; version 0 is the one in force, -1 the newest of any state. The
// code may be spelled with "/" or "-". Errors: errs.NotFound.
func (s *Service) Get(ctx context.Context, code string, version int) (*Resource, error) {
	return getVersion(ctx, s.deps.DB.Read(), code, version)
}

// GetTx is Get inside a transaction.
func (s *Service) GetTx(ctx context.Context, q db.Querier, code string, version int) (*Resource, error) {
	return getVersion(ctx, q, code, version)
}

// GetByID is Get by the resource's id.
func (s *Service) GetByID(ctx context.Context, id string, version int) (*Resource, error) {
	return getVersionByID(ctx, s.deps.DB.Read(), id, version)
}

// Published is the version in force, from memory when it was asked for before. The caller must not
// change it. A withdrawn resource is errs.Gone, one that was never published errs.NotFound.
func (s *Service) Published(ctx context.Context, code string) (*Resource, error) {
	code = ParseCode(code)
	s.mu.RLock()
	r := s.cache[code]
	s.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	// The sequence is read before the row: a change in between makes Follow drop what is cached here.
	r, err := getVersion(ctx, s.deps.DB.Read(), code, 0)
	if errs.Is(err, errs.NotFound) {
		if newest, err2 := getVersion(ctx, s.deps.DB.Read(), code, -1); err2 == nil && newest.State == Withdrawn {
			return nil, errs.Newf(errs.Gone, "资源 %s 已从目录撤回", "resource %s has been withdrawn from the catalog", code).In("code")
		}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.cache[code], s.codes[r.ID] = r, code
	s.mu.Unlock()
	return r, nil
}

func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.codes[id]; ok {
		delete(s.cache, code)
		delete(s.codes, id)
	}
}

// Items lists the items of a version (see Get).
func (s *Service) Items(ctx context.Context, code string, version int) ([]Item, error) {
	r, err := s.Get(ctx, code, version)
	if err != nil {
		return nil, err
	}
	return r.Items, nil
}

// Column is an item as the warehouse holds it.
type Column struct {
	Item     string // item id
	Name     string // physical name, "c1" …
	Code     string // English code
	Title    string // Chinese name
	Type     ItemType
	Length   int
	Scale    int
	Key      bool
	Required bool
	Unique   bool
}

// ColumnsFor maps the items of a version to physical columns. The number of an item is given once in
// the life of the resource and never to another item, so columns stay where they are in later versions.
func ColumnsFor(r *Resource) []Column {
	out := make([]Column, len(r.Items))
	for i := range r.Items {
		it := &r.Items[i]
		out[i] = Column{Item: it.ID, Name: it.Physical(), Code: it.Code, Title: it.Name, Type: it.Type, Length: it.Length,
			Scale: it.Scale, Key: it.Key, Required: it.Required || it.Key, Unique: it.Unique}
	}
	return out
}

// Versions lists all versions, the newest first. Errors: errs.NotFound.
func (s *Service) Versions(ctx context.Context, code string) ([]*Resource, error) {
	return versions(ctx, s.deps.DB.Read(), code)
}

// Events is the history of a resource by id, the latest first.
func (s *Service) Events(ctx context.Context, id string) ([]Event, error) {
	return events(ctx, s.deps.DB.Read(), id)
}

// List gives lines of the catalog and how many there are in all, the latest change first.
func (s *Service) List(ctx context.Context, f ListFilter) ([]Row, int, error) {
	return list(ctx, s.deps.DB.Read(), f)
}

// CountByState counts newest versions by state, of one body or ("") of all.
func (s *Service) CountByState(ctx context.Context, body string) (map[State]int, error) {
	return countByState(ctx, s.deps.DB.Read(), body)
}

// Heads lists the third level of the classification: the built-in heads and those that were added.
func (s *Service) Heads(ctx context.Context) ([]Head, error) {
	added, err := heads(ctx, s.deps.DB.Read())
	if err != nil {
		return nil, err
	}
	out := slices.Clone(builtInHeads)
	for _, h := range added {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Head) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Item, b.Item), cmp.Compare(a.Head, b.Head))
	})
	return out, nil
}

// builtInHeads are the third levels that every city starts with: the content of the base databases,
// and "001 综合" under every theme.
var builtInHeads = func() []Head {
	base := map[string][]string{
		"01": {"人口基本信息", "户籍与居住", "婚姻生育", "教育就业", "社会保障", "健康医疗"},
		"02": {"法人基本信息", "登记备案", "资质许可", "纳税缴费", "年报统计"},
		"03": {"行政区划与地名地址", "土地与不动产", "规划建设", "测绘影像", "水文气象"},
		"04": {"信用主体", "行政许可公示", "行政处罚公示", "红黑名单"},
		"05": {"证照目录", "个人证照", "法人证照"},
	}
	var out []Head
	for item, names := range base {
		for i, n := range names {
			out = append(out, Head{Class: "1", Item: item, Head: "00" + string(rune('1'+i)), Name: n})
		}
	}
	for _, theme := range ClassItems["2"] {
		out = append(out, Head{Class: "2", Item: theme.Key, Head: "001", Name: "综合"})
	}
	return out
}()

// Duplicates finds resources that look like the same data as r: alike in name, or in their items
// (FS-5.2, LY-9), the likest first, at most ten. It reads every name in the catalog once.
func (s *Service) Duplicates(ctx context.Context, q db.Querier, r *Resource) ([]Duplicate, error) {
	if q == nil {
		q = s.deps.DB.Read()
	}
	var own []string
	seen := map[string]bool{}
	for _, it := range r.Items {
		if it.Name != "" && !commonItems[it.Name] && !seen[it.Name] {
			seen[it.Name] = true
			own = append(own, it.Name)
		}
	}
	counts, err := sharingItems(ctx, q, r.ID, own)
	if err != nil {
		return nil, err
	}
	type candidate struct {
		Duplicate
		count int
	}
	var found []candidate
	err = eachName(ctx, q, r.ID, func(id, code, name, body, bodyName string) {
		score := NameScore(r.Name, name)
		// An item score of 0.7 needs at least 0.7 of the own items to be shared.
		if score >= sameName || len(own) >= 3 && float64(counts[id]) >= sameItems*float64(len(own)) {
			found = append(found, candidate{Duplicate{ID: id, Code: code, Name: name, Body: body, BodyName: bodyName, NameScore: score}, counts[id]})
		}
	})
	if err != nil {
		return nil, err
	}
	var out []Duplicate
	for _, c := range found {
		theirs, err := itemNames(ctx, q, c.ID)
		if err != nil {
			return nil, err
		}
		c.ItemScore, c.Shared = ItemScore(own, theirs)
		if looksSame(c.NameScore, c.ItemScore, min(len(own), len(theirs))) {
			out = append(out, c.Duplicate)
		}
	}
	slices.SortFunc(out, func(a, b Duplicate) int {
		return cmp.Or(cmp.Compare(max(b.NameScore, b.ItemScore), max(a.NameScore, a.ItemScore)), cmp.Compare(a.Code, b.Code))
	})
	return out[:min(len(out), 10)], nil
}

// Changes gives up to limit steps of the change sequence after a number, in commit order. Followers
// (search, caches, other platforms) keep the last number they saw.
func (s *Service) Changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	return changes(ctx, s.deps.DB.Read(), after, limit)
}

// ShareCatalog gives the published version as an actor may see it (FS-12); existsOnly tells that only
// its existence is shown. Errors: errs.NotFound, errs.Gone.
func (s *Service) ShareCatalog(ctx context.Context, a identity.Actor, code string) (r *Resource, existsOnly bool, err error) {
	full, err := s.Published(ctx, code)
	if err != nil {
		return nil, false, err
	}
	r, existsOnly = ShareView(full, a.Body, seesAll(a), s.Policy())
	return r, existsOnly, nil
}

// OpenCatalog gives the published version as the public may see it. A closed resource is
// errs.NotFound where the city hides it (FS-14), as if there were none.
func (s *Service) OpenCatalog(ctx context.Context, code string) (*Resource, error) {
	full, err := s.Published(ctx, code)
	if err != nil {
		return nil, err
	}
	if v := OpenView(full, s.Policy()); v != nil {
		return v, nil
	}
	return nil, notFound(ParseCode(code))
}

// seesAll: people of the authority, its operator and the auditor see the whole catalog.
func seesAll(a identity.Actor) bool {
	switch a.Post {
	case identity.AuthorityReviewer, identity.Operator, identity.Auditor:
		return true
	}
	return a.Kind == identity.Program
}

// MaySee tells whether an actor may see a version at all: published ones everybody who is logged in,
// drafts and versions under review the provider's people and those who see all.
func MaySee(a identity.Actor, r *Resource) bool {
	if r.Current {
		return true
	}
	return seesAll(a) || r.Body != "" && a.Body == r.Body
}
