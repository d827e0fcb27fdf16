package gateway

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/warehouse"
)

// Deps is what the data service stands on.
type Deps struct {
	DB *db.DB
	// Resolve gives the published catalog entry of a resource code: NotFound when
	// there is none.
	Resolve func(ctx context.Context, q db.Querier, code string) (Source, error)
	// Changes tells which catalog entries changed after a number of the catalog's
	// own sequence, and its newest number; after < 0 asks for that number alone. Nil
	// where Refresh is called instead.
	Changes func(ctx context.Context, after int64) (codes []string, newest int64, err error)
	// Rules gives the profile's settings in force now.
	Rules func() Rules
	Keys  privacy.Keys
	// Audit takes the entry of every use before its data is released.
	Audit *audit.Log
	// Warehouse is read from, never written to.
	Warehouse *warehouse.Store
	Now       func() time.Time
	Log       *slog.Logger // nil: slog.Default
}

// Service holds the grants, their plans in memory, and the data service on them.
type Service struct {
	deps Deps

	plans   atomic.Pointer[planTable]
	sync    sync.Mutex       // one at a time changes the table
	seen    int64            // newest change read from the store; under sync
	seqs    map[string]int64 // newest change applied, a grant; under sync
	checked atomic.Int64     // when the store was last asked, monotonic nanoseconds

	catalog int64             // newest change of the catalog taken in; Run's own
	meters  map[string]*meter // by grant; under sync
	secrets secrets
	quiet   quiet
	ledgers keyedMutex
}

// New makes the service and loads every grant's plan.
func New(ctx context.Context, deps Deps) (*Service, error) {
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	s := &Service{deps: deps, seqs: map[string]int64{}, meters: map[string]*meter{}}
	if err := s.openSecrets(); err != nil {
		return nil, err
	}
	s.plans.Store(&planTable{byUse: map[planKey][]*Plan{}, byID: map[string]*Plan{}})
	if deps.Changes != nil {
		var err error
		if _, s.catalog, err = deps.Changes(ctx, -1); err != nil {
			return nil, err
		}
	}
	if err := s.Sync(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// planKey is what a request is matched by.
type planKey struct {
	client   string // body id
	resource string // code
	mode     Mode
}

// planTable is never changed once published: readers take no lock.
type planTable struct {
	byUse map[planKey][]*Plan // newest grant first
	byID  map[string]*Plan
}

// PlanColumn is one column that a plan reads.
type PlanColumn struct {
	ID, Code string // other names of the item, see SourceItem
	Name     string
	Column   int // n of c<n>
	Type     string
	Key      bool
	Personal privacy.Kind
	Mask     string // specification, "" for none
}

// Plan is a grant compiled against the catalog entry of its resource.
type Plan struct {
	Grant    *Grant
	Source   Source
	Columns  []PlanColumn // granted, in the catalog's order
	Keys     []PlanColumn // the declared key; may lie outside Columns
	Filter   []Condition  // rows kept, on items of Source
	Purposes map[string]bool

	index map[string]int // name -> Columns
	over  chan struct{}  // closed when the plan is replaced or revoked
	ended atomic.Bool
	meter *meter

	all     []string // names of Columns
	clients map[string]bool
	bound   atomic.Pointer[binding]
	tag     atomic.Pointer[[]byte]
	binding sync.Mutex
}

// Over is closed when the grant is revoked or changed: streams stop at it.
func (p *Plan) Over() <-chan struct{} { return p.over }

func (p *Plan) end() {
	if p.ended.CompareAndSwap(false, true) {
		close(p.over)
	}
}

// Column finds a granted column by its item's name.
func (p *Plan) Column(name string) (*PlanColumn, bool) {
	i, ok := p.index[name]
	if !ok {
		return nil, false
	}
	return &p.Columns[i], true
}

// compile binds a grant to the columns of its source. An item that the source no
// longer has drops out; a plan that loses its key or all its items is refused.
func (s *Service) compile(g *Grant, src Source) (*Plan, error) {
	p := &Plan{Grant: g, Source: src, Filter: g.Where, over: make(chan struct{}),
		Purposes: map[string]bool{}, index: map[string]int{}}
	for _, purpose := range g.Purposes {
		p.Purposes[purpose] = true
	}
	if len(g.Clients) > 0 {
		p.clients = map[string]bool{}
		for _, id := range g.Clients {
			p.clients[id] = true
		}
	}
	granted := map[string]GrantItem{}
	for _, it := range g.Items {
		granted[it.Name] = it
	}
	for _, it := range src.Items {
		col := PlanColumn{ID: it.ID, Code: it.Code, Name: it.Name, Column: it.Column, Type: it.Type, Key: it.Key, Personal: it.Personal}
		if it.Key {
			p.Keys = append(p.Keys, col)
		}
		gi, ok := granted[it.Name]
		if !ok {
			continue
		}
		col.Mask = maskOf(gi, it)
		if _, err := privacy.ParseMask(col.Mask); err != nil {
			return nil, errs.Newf(errs.Invalid, "信息项“%s”的脱敏方式无效", "the mask of item %q is not valid", it.Name).In(it.Name).Because(err)
		}
		p.all = append(p.all, it.Name)
		for _, name := range []string{it.ID, it.Code, it.Name} { // the Chinese name counts most
			if name != "" {
				p.index[name] = len(p.Columns)
			}
		}
		p.Columns = append(p.Columns, col)
	}
	for _, c := range g.Where {
		if _, ok := src.Item(c.Item); !ok {
			// Dropping a condition would widen the grant.
			return nil, errs.Newf(errs.Conflict, "授权的行条件所用信息项“%s”已不存在", "item %q of the grant's row condition no longer exists", c.Item).In("where")
		}
	}
	if len(p.Columns) == 0 {
		return nil, errs.New(errs.Conflict, errs.T("授权的信息项都已不存在", "none of the granted items exists any longer")).In("items")
	}
	if len(p.Keys) == 0 && (g.Mode == Verify || g.Mode == Query && !g.FreeQuery) {
		return nil, errs.New(errs.Conflict, errs.T("资源没有声明主键", "the resource declares no key")).In("resource")
	}
	return p, nil
}

// install takes a changed grant into the table at once.
func (s *Service) install(ctx context.Context, g *Grant, seq int64) {
	s.sync.Lock()
	defer s.sync.Unlock()
	s.apply(ctx, s.news([]change{{seq, g}}))
}

// change is a grant as it stands since a number of the sequence.
type change struct {
	seq   int64
	grant *Grant
}

// news leaves out what the table has already: commits are told of in any order,
// and the store tells again what this node did itself.
func (s *Service) news(changes []change) []*Grant {
	var out []*Grant
	for _, c := range changes {
		if s.seqs[c.grant.ID] < c.seq {
			s.seqs[c.grant.ID] = c.seq
			out = append(out, c.grant)
		}
	}
	return out
}

// apply publishes a table with the changes; s.sync is held.
func (s *Service) apply(ctx context.Context, changed []*Grant) {
	if len(changed) == 0 {
		return
	}
	old := s.plans.Load()
	next := &planTable{byUse: make(map[planKey][]*Plan, len(old.byUse)+len(changed)), byID: make(map[string]*Plan, len(old.byID)+len(changed))}
	for k, v := range old.byUse {
		next.byUse[k] = v
	}
	for k, v := range old.byID {
		next.byID[k] = v
	}
	now := s.deps.Now()
	sources := map[string]Source{}
	var ending []*Plan
	for _, g := range changed {
		key := planKey{g.Client, g.Resource, g.Mode}
		if was := next.byID[g.ID]; was != nil {
			ending = append(ending, was)
			delete(next.byID, g.ID)
			rest := slices.DeleteFunc(slices.Clone(next.byUse[key]), func(p *Plan) bool { return p == was })
			if len(rest) == 0 {
				delete(next.byUse, key)
			} else {
				next.byUse[key] = rest
			}
		}
		if st := g.State(now); st == Revoked || st == Expired {
			continue
		}
		src, ok := sources[g.Resource]
		if !ok {
			var err error
			if src, err = s.deps.Resolve(ctx, s.deps.DB.Read(), g.Resource); err != nil {
				s.unusable(g, err)
				continue
			}
			sources[g.Resource] = src
		}
		p, err := s.compile(g, src)
		if err != nil {
			s.unusable(g, err)
			continue
		}
		if p.meter = s.meters[g.ID]; p.meter == nil {
			p.meter = newMeter(g.ID)
			s.meters[g.ID] = p.meter
		}
		next.byID[g.ID] = p
		list := append(slices.Clone(next.byUse[key]), p)
		slices.SortFunc(list, func(a, b *Plan) int { return strings.Compare(b.Grant.ID, a.Grant.ID) })
		next.byUse[key] = list
	}
	s.plans.Store(next)
	// Only after the new table stands, so that a stream cut here cannot begin anew
	// on the old plan.
	for _, p := range ending {
		p.end()
	}
}

// unusable notes a grant that has no plan: its requests are refused as unknown.
func (s *Service) unusable(g *Grant, err error) {
	level := slog.LevelError
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Gone) {
		level = slog.LevelWarn // the resource has been withdrawn
	}
	s.deps.Log.Log(context.Background(), level, "grant has no plan", "grant", g.ID, "resource", g.Resource, "err", err)
}

// Sync takes in what other nodes changed since the last call.
func (s *Service) Sync(ctx context.Context) error {
	s.sync.Lock()
	defer s.sync.Unlock()
	asked := monotonic()
	changes, err := changedGrants(ctx, s.deps.DB.Read(), s.seen)
	if err != nil {
		return db.Classify(err)
	}
	s.apply(ctx, s.news(changes))
	if n := len(changes); n > 0 {
		s.seen = changes[n-1].seq
	}
	s.checked.Store(asked)
	return nil
}

// Refresh compiles anew every grant on a resource: its catalog entry has
// changed, has been withdrawn, or is back.
func (s *Service) Refresh(ctx context.Context, code string) error {
	s.sync.Lock()
	defer s.sync.Unlock()
	grants, err := activeGrants(ctx, s.deps.DB.Read(), code)
	if err != nil {
		return db.Classify(err)
	}
	s.apply(ctx, grants)
	return nil
}

// follow compiles anew what the catalog has changed.
func (s *Service) follow(ctx context.Context) error {
	if s.deps.Changes == nil {
		return nil
	}
	codes, newest, err := s.deps.Changes(ctx, s.catalog)
	if err != nil {
		return err
	}
	for _, code := range codes {
		if err := s.Refresh(ctx, code); err != nil {
			return err
		}
	}
	s.catalog = newest
	return nil
}

// How often the store is asked for changes, and how old the table may be before a
// request asks by itself: a revocation elsewhere takes effect within a second.
const (
	syncEvery = 300 * time.Millisecond
	maxAge    = 900 * time.Millisecond
)

// fresh makes sure that the table is young enough to answer from.
func (s *Service) fresh(ctx context.Context) error {
	if monotonic()-s.checked.Load() < int64(maxAge) {
		return nil
	}
	if err := s.Sync(ctx); err != nil {
		return errs.New(errs.Unavailable, errs.T("暂时无法确认授权是否有效", "it cannot be confirmed at present that the grant is in force")).Retry(2).Because(err)
	}
	return nil
}

var began = time.Now()

func monotonic() int64 { return int64(time.Since(began)) + int64(time.Hour) }
