package opendata

import (
	"context"
	"slices"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/operation"
	"gongshu/profile"
)

// Register puts the area's jobs on a queue: building bundles, following new
// batches every minute, accounting for downloads every five.
func (s *Service) Register(q *jobs.Queue) {
	q.Handle(JobBuild, func(ctx context.Context, job jobs.Job) error {
		var p buildPayload
		if err := job.Bind(&p); err != nil {
			return err
		}
		return s.Build(ctx, p.Resource)
	})
	q.Every(JobFollow, time.Minute, func(ctx context.Context, _ jobs.Job) error { return s.FollowBatches(ctx) })
	q.Every(JobAudit, 5*time.Minute, func(ctx context.Context, _ jobs.Job) error { return s.AuditDownloads(ctx) })
}

type buildPayload struct {
	Resource string `json:"resource"`
}

// resource reads the version in force of a resource and the target that the door sees.
func (s *Service) resource(ctx context.Context, code string) (*catalog.Resource, operation.Target, error) {
	r, err := s.deps.Catalog.Published(ctx, code)
	if err != nil {
		return nil, operation.Target{}, err
	}
	district, err := s.deps.District(ctx, r.Body)
	if err != nil {
		return nil, operation.Target{}, err
	}
	return r, operation.Target{Kind: "dataset", ID: r.ID, Name: r.Name, Body: r.Body, District: district, Resource: r.Code}, nil
}

// Assess records the assessment before opening: the secrecy declaration, what is
// done with each item, the quasi-identifiers and the risk (FZM-31, FZM-20, FZO-24,
// FZO-30). The program looks at the rows as they would be opened and keeps what it
// finds beside it. An assessment may be recorded whatever it finds; Publish is
// refused while something stands against it.
func (s *Service) Assess(ctx context.Context, actor identity.Actor, code string, in Assessment) (*Assessment, error) {
	r, target, err := s.resource(ctx, code)
	if err != nil {
		return nil, err
	}
	var out *Assessment
	err = s.deps.Door.Do(ctx, actor, ActAssess, target, func(ctx context.Context, tx *db.Tx) error {
		a := in
		a.ID, a.Resource, a.CatalogVersion = db.NewID(), r.ID, r.Version
		a.MadeBy, a.MadeName, a.MadeAt = actor.ID, actor.Name, s.deps.Now().UTC().Truncate(time.Millisecond)
		if err := s.checkAssessment(r, &a); err != nil {
			return err
		}
		if r.Opening == catalog.General && r.Kind == catalog.Table {
			f, err := s.examine(ctx, r, &a)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			a.Findings = f
		}
		operation.Note(ctx, "risk", string(a.Risk))
		operation.Note(ctx, "groups_below_k", a.Findings.GroupsBelow)
		operation.Note(ctx, "personal_findings", len(a.Findings.Personal))
		out = &a
		return putAssessment(ctx, tx, &a)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) checkAssessment(r *catalog.Resource, a *Assessment) error {
	var problems []errs.Problem
	if !a.Secrecy {
		problems = append(problems, errs.Problem{Field: "secrecy", Code: "required", Clause: "FZM-31", Text: errs.T(
			"请声明已作保密审查、不含国家秘密和工作秘密", "declare that the data was reviewed and holds no state or work secret")})
	}
	switch a.Risk {
	case Low, Medium, High:
	default:
		problems = append(problems, errs.Problem{Field: "risk", Code: "required", Clause: "FZO-30", Text: errs.T("请给出安全风险评估结论", "give the outcome of the security-risk assessment")})
	}
	if strings.TrimSpace(a.Risks) == "" {
		problems = append(problems, errs.Problem{Field: "risks", Code: "required", Clause: "FZO-30", Text: errs.T("请写明可能的风险，没有的写“未发现”", "state the risks, or that none were found")})
	}
	if a.Risk != Low && strings.TrimSpace(a.Measures) == "" {
		problems = append(problems, errs.Problem{Field: "measures", Code: "required", Clause: "FZO-30", Text: errs.T("有风险的，请写明防范措施", "where there is a risk, state the measures against it")})
	}
	if r.Opening == catalog.General {
		problems = append(problems, checkTreatments(r, a.Treatments)...)
		for _, q := range a.Quasi {
			i := slices.IndexFunc(a.Treatments, func(t Treatment) bool { return t.Item == q })
			if i < 0 || a.Treatments[i].Do == Omit {
				problems = append(problems, errs.Problem{Field: "quasi", Code: "unknown", Text: errs.Tf("准标识符 %s 不在开放的信息项中", "quasi-identifier %s is not among the opened items", q)})
			}
		}
	}
	if len(problems) > 0 {
		return errs.New(errs.Invalid, errs.T("评估不完整", "the assessment is not complete")).With(problems...)
	}
	return nil
}

// Publish puts a resource on the portal if the gate lets it through, and starts
// the building of its bundle. The publisher is somebody else than who assessed.
func (s *Service) Publish(ctx context.Context, actor identity.Actor, code string) (*Entry, error) {
	r, target, err := s.resource(ctx, code)
	if err != nil {
		return nil, err
	}
	a, err := latestAssessment(ctx, s.deps.DB.Read(), r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if a != nil {
		target.Attrs = map[string]any{"makers": []string{a.MadeBy}}
	}
	var out *Entry
	err = s.deps.Door.Do(ctx, actor, ActPublish, target, func(ctx context.Context, tx *db.Tx) error {
		gate, err := s.gate(ctx, tx, r, a)
		if err != nil {
			return err
		}
		if err := refusal(gate); err != nil {
			return err
		}
		old, err := getEntry(ctx, tx, r.ID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		e := &Entry{Resource: r.ID, State: Building}
		if old != nil {
			*e = *old
			if e.State == Withdrawn {
				e.State = Building
			}
		} else if e.Slug, err = s.slug(ctx, tx, r); err != nil {
			return err
		}
		e.Code, e.Name, e.Body, e.BodyName, e.District = r.Code, r.Name, r.Body, r.BodyName, target.District
		e.Kind = Data
		if r.Opening == catalog.Authorised {
			e.Kind = Listing
		}
		e.Assessment, e.CatalogVersion = a.ID, r.Version
		e.PublishedBy, e.PublishedName, e.PublishedAt = actor.ID, actor.Name, s.now()
		e.Held, e.WithdrawnAt, e.WithdrawnWhy = nil, time.Time{}, ""
		e.SourceNo = 0 // build, whatever was built before
		operation.Note(ctx, "slug", e.Slug)
		operation.Note(ctx, "kind", string(e.Kind))
		if err := putEntry(ctx, tx, e); err != nil {
			return err
		}
		out = e
		_, err = jobs.Enqueue(ctx, tx, JobBuild, buildPayload{r.ID})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) slug(ctx context.Context, tx *db.Tx, r *catalog.Resource) (string, error) {
	base := slugOf(r.Name)
	for n := 0; ; n++ {
		slug := numbered(base, n)
		mine, err := takeSlug(ctx, tx, slug, r.ID)
		if err != nil || mine {
			return slug, err
		}
	}
}

func refusal(g Gate) error {
	var problems []errs.Problem
	var clauses []string
	for _, c := range g.Checks {
		if c.OK || c.NA {
			continue
		}
		p := errs.Problem{Field: c.Key, Code: "gate", Text: c.Detail}
		if len(c.Clauses) > 0 {
			p.Clause = c.Clauses[0]
		}
		problems = append(problems, p)
		for _, id := range c.Clauses {
			if !slices.Contains(clauses, id) {
				clauses = append(clauses, id)
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errs.New(errs.Conflict, errs.T("开放条件尚未满足，未发布", "what opening asks for is not met, and nothing was published")).By(clauses...).With(problems...)
}

// Gate answers every question that stands before a resource's publication.
func (s *Service) Gate(ctx context.Context, code string) (Gate, *Assessment, error) {
	r, _, err := s.resource(ctx, code)
	if err != nil {
		return Gate{}, nil, err
	}
	a, err := latestAssessment(ctx, s.deps.DB.Read(), r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return Gate{}, nil, err
	}
	g, err := s.gate(ctx, s.deps.DB.Read(), r, a)
	return g, a, err
}

func (s *Service) gate(ctx context.Context, q db.Querier, r *catalog.Resource, a *Assessment) (Gate, error) {
	var g Gate
	p := s.deps.Profile()
	policy := s.deps.Catalog.Policy()
	add := func(key string, title errs.Text, ok bool, detail errs.Text, clauses ...string) {
		g.Checks = append(g.Checks, Check{Key: key, Title: title, OK: ok, Detail: detail, Clauses: clauses})
	}
	na := func(key string, title, why errs.Text, clauses ...string) {
		g.Checks = append(g.Checks, Check{Key: key, Title: title, NA: true, Detail: why, Clauses: clauses})
	}
	general := r.Opening == catalog.General

	open := append([]string{"FZO-5"}, profile.OpeningTypes.Of(p).Clauses...)
	add("opening", errs.T("开放类型允许开放", "the opening type allows it"), r.Opening != catalog.Closed && r.Opening != "",
		pick(r.Opening != catalog.Closed, errs.Tf("%[1]s", "%[2]s", openingName(p, r.Opening).ZH, openingName(p, r.Opening).EN),
			errs.T("该资源不开放", "the resource is closed")), open...)

	limit := policy.GradeGeneral
	if !general {
		limit = policy.GradeAuthorised
	}
	add("grade", errs.T("数据级别允许开放", "the grade allows it"), r.Grade <= limit,
		errs.Tf("数据级别 %d，上限 %d", "grade %d, at most %d", r.Grade, limit), "FZO-6")

	secret := errs.T("目录版本已声明不含秘密并通过保密审查", "the catalog version is declared free of secrets and was cleared")
	cleared := r.Secrecy.Declared && !r.Secrecy.Marked && (!policy.SecrecyStep || r.SecrecyCheck != nil)
	if !cleared {
		secret = errs.T("目录版本没有保密审查结论", "the catalog version has no secrecy clearance")
	}
	add("secrecy_catalog", errs.T("目录保密审查", "secrecy review of the resource"), cleared, secret, "FZM-31")

	if !general {
		note := strings.TrimSpace(r.OpeningNote)
		add("conditions", errs.T("开放条件已写明", "the conditions are stated"), note != "",
			pick(note != "", errs.T(note, note), errs.T("授权开放数据须写明开放条件", "authorised data states its conditions")), "FZO-8", "FZO-11")
	}

	current := a != nil && a.CatalogVersion == r.Version
	e, err := getEntry(ctx, q, r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return g, err
	}
	stale := errs.T("还没有开放前评估", "there is no assessment yet")
	switch {
	case a != nil && !current:
		stale = errs.Tf("评估针对第 %d 版目录，现为第 %d 版，请重新评估", "the assessment is of catalog version %d, now %d: assess again", a.CatalogVersion, r.Version)
	case current && e != nil && e.State == Withdrawn && !a.MadeAt.After(e.WithdrawnAt):
		// FZO-17: withdrawn data is assessed and desensitised again before re-opening.
		current = false
		stale = errs.T("撤回后尚未重新评估", "not assessed again since the withdrawal")
	}
	assessed := errs.T("安全风险评估已记录", "the security-risk assessment is on record")
	if current && a.Risk == High {
		assessed = errs.T("评估结论为高风险，不得开放", "the risk was found to be high")
	}
	add("risk", errs.T("安全风险评估", "security-risk assessment"), current && a.Risk != High, pick(current, assessed, stale), "FZO-30", "FZO-17")
	add("secrecy", errs.T("发布前保密审查声明", "declaration of the secrecy review before publication"), current && a.Secrecy,
		pick(current, errs.T("已声明", "declared"), stale), "FZM-31")

	if !general {
		none := errs.T("授权开放仅列目录，不发布数据", "listed only; no data is published")
		na("data", errs.T("有数据可开放", "there is data to open"), none)
		na("desensitised", errs.T("脱敏脱密", "desensitising"), none, "FZM-20", "FZO-24")
		return g, nil
	}

	rows := int64(0)
	if r.Kind == catalog.Table {
		if rows, err = s.deps.Warehouse.Count(ctx, r.ID); err != nil && !errs.Is(err, errs.NotFound) {
			return g, err
		}
	}
	has := errs.Tf("%d 行", "%d rows", rows)
	if r.Kind != catalog.Table {
		has = errs.T("目前只有库表资源可发布为文件和接口", "only table resources can be published as files and API so far")
	} else if rows == 0 {
		has = errs.T("还没有汇聚数据", "no data has been aggregated yet")
	}
	add("data", errs.T("有数据可开放", "there is data to open"), rows > 0, has, "FZO-2")

	masks := append([]string{}, profile.DesensitiseFirst.Of(p).Clauses...)
	for _, id := range []string{"FZM-20", "FZO-24"} {
		if !slices.Contains(masks, id) {
			masks = append(masks, id)
		}
	}
	treated := stale
	ok := false
	if current {
		problems := checkTreatments(r, a.Treatments)
		ok = len(problems) == 0
		if ok {
			kept, masked, left := 0, 0, 0
			for _, t := range a.Treatments {
				switch t.Do {
				case Open:
					kept++
				case Mask:
					masked++
				default:
					left++
				}
			}
			treated = errs.Tf("原样 %d 项，脱敏 %d 项，不纳入 %d 项", "%d items as they are, %d masked, %d left out", kept, masked, left)
		} else {
			treated = problems[0].Text
		}
	}
	add("desensitised", errs.T("个人信息项已脱敏或不纳入", "personal items are masked or left out"), ok, treated, masks...)

	looks := stale
	ok = false
	if current {
		looks, ok = personalVerdict(a.Findings)
	}
	add("values", errs.T("数据内容未发现个人信息", "no personal data in the values"), ok, looks, masks...)

	kTitle := errs.T("不能识别到个人（k-匿名）", "nobody can be singled out (k-anonymity)")
	switch {
	case !current:
		add("k", kTitle, false, stale, "FZO-30")
	case len(a.Quasi) == 0 && hasPersonal(r):
		add("k", kTitle, false, errs.T("资源含个人信息，须选定准标识符", "the resource holds personal data: choose its quasi-identifiers"), "FZO-30")
	case len(a.Quasi) == 0:
		na("k", kTitle, errs.T("资源不含个人信息，未选准标识符", "the resource holds no personal data and no quasi-identifiers were chosen"), "FZO-30")
	default:
		text, ok := kVerdict(a.Findings)
		add("k", kTitle, ok, text, "FZO-30")
	}
	return g, nil
}

func pick(ok bool, yes, no errs.Text) errs.Text {
	if ok {
		return yes
	}
	return no
}

// hasPersonal reports whether the resource is about persons.
func hasPersonal(r *catalog.Resource) bool {
	for i := range r.Items {
		if k := r.Items[i].Personal; k != "" && k != "uscc" && k != "address" {
			return true
		}
	}
	return false
}

func personalVerdict(f Findings) (errs.Text, bool) {
	for _, p := range f.Personal {
		if !p.Excused {
			return errs.Tf("%[1]s 的值像是个人信息（%[3]d 个值中有 %[2]d 个），请脱敏、不纳入，或说明为何不是",
				"values of %[1]s look like personal data (%[2]d of %[3]d): mask it, leave it out, or say why it is none", p.Name, p.Matched, p.Looked), false
		}
	}
	if n := len(f.Personal); n > 0 {
		return errs.Tf("%d 项经说明不属于个人信息", "%d items are said not to be personal, with reasons", n), true
	}
	return errs.Tf("已检查 %d 行", "%d rows were looked at", f.Rows), true
}

func kVerdict(f Findings) (errs.Text, bool) {
	if f.GroupsBelow > 0 {
		return errs.Tf("有 %[1]d 组（%[2]d 行）人数少于 %[3]d，最小的组 %[4]d 人", "%[1]d groups (%[2]d rows) have fewer than %[3]d persons, the smallest %[4]d", f.GroupsBelow, f.RowsBelow, f.K, f.Smallest), false
	}
	return errs.Tf("每组至少 %[1]d 人，要求不少于 %[2]d 人", "every group has at least %[1]d persons; %[2]d are asked for", f.Smallest, f.K), true
}

// Build makes the newest data of a dataset public, if it passes the gate as the
// assessed data did; else the dataset keeps its older version and is held. It is
// what the job runs, and does nothing when nothing is new.
func (s *Service) Build(ctx context.Context, resource string) error {
	s.building.Lock() // the job and FollowBatches must not fill the same folder
	defer s.building.Unlock()
	e, err := getEntry(ctx, s.deps.DB.Read(), resource)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.State == Withdrawn {
		return nil
	}
	r, err := s.deps.Catalog.GetByID(ctx, resource, e.CatalogVersion)
	if err != nil {
		return err
	}
	a, err := getAssessment(ctx, s.deps.DB.Read(), e.Assessment)
	if err != nil {
		return err
	}
	if e.Kind == Listing {
		return s.list(ctx, r, e)
	}
	no, at, err := s.newest(ctx, resource)
	if err != nil {
		return err
	}
	if no == e.SourceNo {
		return nil
	}
	b, err := s.build(ctx, r, a, e.Version+1)
	if err != nil {
		return err
	}
	var held []errs.Text
	if text, ok := personalVerdict(b.findings); !ok {
		held = append(held, text)
	}
	if len(a.Quasi) > 0 {
		if text, ok := kVerdict(b.findings); !ok {
			held = append(held, text)
		}
	}
	if held != nil {
		if err := s.discard(ctx, resource, b.version); err != nil {
			return err
		}
	}
	target := operation.Target{Kind: "dataset", ID: r.ID, Name: r.Name, Body: r.Body, District: e.District, Resource: r.Code}
	published := false
	var tidy func() error
	err = s.deps.Door.Do(ctx, identity.System("opendata"), ActVersion, target, func(ctx context.Context, tx *db.Tx) error {
		now, err := getEntry(ctx, tx, resource)
		if err != nil {
			return err
		}
		if now.State == Withdrawn || now.Version != e.Version {
			return nil // withdrawn, or built by another worker, meanwhile
		}
		now.SourceNo, now.Held = no, held
		if held != nil {
			operation.Note(ctx, "held", len(held))
			now.State = Held
			return putEntry(ctx, tx, now)
		}
		now.State, now.Version, now.Rows, now.DataAt = Published, b.version, b.rows, at
		operation.Note(ctx, "version", b.version)
		operation.Note(ctx, "rows", b.rows)
		for _, f := range b.files {
			operation.Note(ctx, f.Format+"_sha256", f.SHA256)
		}
		if err := putEntry(ctx, tx, now); err != nil {
			return err
		}
		v := *now
		v.PublishedAt = s.now()
		if err := putVersion(ctx, tx, &v, b.files); err != nil {
			return err
		}
		// The open store learns before the commit: if the commit then fails, the job
		// runs again and puts the same version there once more.
		published = true
		tidy, err = s.release(ctx, r, now, b)
		return err
	})
	if err != nil {
		return err
	}
	if !published && held == nil {
		return s.discard(ctx, resource, b.version)
	}
	if tidy != nil {
		return tidy()
	}
	return nil
}

// document is a dataset's page without its data.
func (s *Service) document(r *catalog.Resource, e *Entry) *Dataset {
	p := s.deps.Profile()
	d := &Dataset{
		ID: r.ID, Slug: e.Slug, Code: r.Code, Title: r.Name, Summary: r.Summary, Kind: e.Kind, State: Published,
		Opening: r.Opening, OpeningName: openingName(p, r.Opening), Conditions: r.OpeningNote, Needs: r.OpeningNeeds,
		Theme: r.Theme, ThemeName: themeName(r.Theme), Region: r.Region, RegionName: regionName(r.Region),
		Provider: r.BodyName, ProviderUSCC: r.USCC, Tags: r.Tags, Cycle: r.Cycle, Desensitised: r.Desensitised,
		Licence: licence(p, e.Kind), CatalogVersion: r.Version, FirstAt: e.PublishedAt, PublishedAt: s.now(),
	}
	return d
}

// release makes a built version the one that the portal shows; tidy then lets go
// of what old versions no longer keep.
func (s *Service) release(ctx context.Context, r *catalog.Resource, e *Entry, b *bundle) (tidy func() error, err error) {
	o := s.deps.Open
	d := s.document(r, e)
	d.Version, d.DataAt, d.Rows = b.version, e.DataAt, b.rows
	d.Items, d.Files, d.Preview, d.Chart, d.Map = b.items, b.files, b.preview, b.chart, b.places
	d.Omitted = len(r.Items) - len(b.items)
	old, err := o.readByID(ctx, r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	d.Versions = []Version{{Version: b.version, CatalogVersion: r.Version, At: d.PublishedAt, DataAt: d.DataAt, Rows: b.rows, Files: b.files}}
	var drop []int
	if old != nil {
		d.FirstAt = old.FirstAt
		for _, v := range old.Versions {
			if v.Version == b.version {
				continue
			}
			if len(d.Versions) > keptVersions {
				if v.Files != nil {
					drop = append(drop, v.Version)
				}
				v.Files = nil
			}
			d.Versions = append(d.Versions, v)
		}
	}
	if err := o.put(ctx, d); err != nil {
		return nil, err
	}
	return func() error {
		for _, v := range drop {
			if err := o.dir.RemoveAll(folder(r.ID, v)); err != nil {
				return err
			}
		}
		if old == nil || old.Version == b.version || old.Version == 0 {
			return nil
		}
		// Rows are kept of the newest version only.
		return o.dropRows(ctx, r.ID, old.Version)
	}, nil
}

// list puts an authorised resource on the portal: what there is, on what
// conditions, without data (FZO-8, FZO-11).
func (s *Service) list(ctx context.Context, r *catalog.Resource, e *Entry) error {
	target := operation.Target{Kind: "dataset", ID: r.ID, Name: r.Name, Body: r.Body, District: e.District, Resource: r.Code}
	return s.deps.Door.Do(ctx, identity.System("opendata"), ActVersion, target, func(ctx context.Context, tx *db.Tx) error {
		now, err := getEntry(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if now.State == Withdrawn || now.State == Published && now.Version == r.Version {
			return nil
		}
		now.State, now.Version, now.DataAt = Published, r.Version, s.now()
		if err := putEntry(ctx, tx, now); err != nil {
			return err
		}
		d := s.document(r, now)
		d.Version, d.DataAt = r.Version, r.PublishedAt
		for _, it := range r.Items {
			if catalog.EffectiveOpening(r, &it) == catalog.Closed {
				d.Omitted++
				continue
			}
			d.Items = append(d.Items, Item{Name: it.Name, Code: it.Code, Type: it.Type, Length: it.Length, Scale: it.Scale, Key: it.Key,
				Description: it.Description, CodeList: it.CodeList})
		}
		d.Versions = []Version{{Version: r.Version, CatalogVersion: r.Version, At: d.PublishedAt}}
		operation.Note(ctx, "version", r.Version)
		return s.deps.Open.put(ctx, d)
	})
}

// Withdraw takes a dataset off the portal: files and rows are gone when it
// returns, the page says since when and why, and re-opening needs a new
// assessment (FZO-17). reason is shown to the public.
func (s *Service) Withdraw(ctx context.Context, actor identity.Actor, code, reason string) (*Entry, error) {
	r, err := s.deps.Catalog.Get(ctx, code, -1)
	if err != nil {
		return nil, err
	}
	e, err := getEntry(ctx, s.deps.DB.Read(), r.ID)
	if err != nil {
		return nil, err
	}
	target := operation.Target{Kind: "dataset", ID: e.Resource, Name: e.Name, Body: e.Body, District: e.District, Resource: e.Code}
	var out *Entry
	err = s.deps.Door.Do(ctx, actor, ActWithdraw, target, func(ctx context.Context, tx *db.Tx) error {
		reason := strings.TrimSpace(reason)
		if len([]rune(reason)) < 4 || len([]rune(reason)) > 500 {
			return errs.New(errs.Invalid, errs.T("请写明撤回理由（4 至 500 字，将向社会公示）", "state the reason in 4 to 500 characters; it is shown to the public")).In("reason").By("FZO-17")
		}
		now, err := getEntry(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if now.State == Withdrawn {
			return errs.New(errs.Conflict, errs.T("该数据集已撤回", "the dataset has been withdrawn already"))
		}
		now.State, now.WithdrawnAt, now.WithdrawnWhy, now.Held = Withdrawn, s.now(), reason, nil
		if err := putEntry(ctx, tx, now); err != nil {
			return err
		}
		if err := setWithdrawnBy(ctx, tx, r.ID, actor.ID); err != nil {
			return err
		}
		operation.Note(ctx, "version", now.Version)
		out = now
		// Before the commit: data that should be gone is gone even if the commit fails.
		return s.deps.Open.withdraw(ctx, r.ID, now.WithdrawnAt, reason)
	})
	if err != nil {
		return nil, err
	}
	return out, s.deps.Open.forgetRows(ctx, r.ID)
}

// FollowBatches builds a new version of every dataset whose resource has newer
// rows, and withdraws what left the catalog (FZO-25, FZM-12).
func (s *Service) FollowBatches(ctx context.Context) error {
	all, err := listEntries(ctx, s.deps.DB.Read())
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.State == Withdrawn {
			// Finish a withdrawal that a crash cut short.
			if err := s.deps.Open.forgetRows(ctx, e.Resource); err != nil {
				return err
			}
			continue
		}
		if _, err := s.deps.Catalog.Published(ctx, e.Code); errs.Is(err, errs.Gone) || errs.Is(err, errs.NotFound) {
			if _, err := s.Withdraw(ctx, identity.System("opendata"), e.Code, "资源已从目录撤回（the resource left the catalog）"); err != nil {
				return err
			}
			continue
		} else if err != nil {
			return err
		}
		if e.Kind == Listing {
			if e.State == Building {
				if err := s.Build(ctx, e.Resource); err != nil {
					return err
				}
			}
			continue
		}
		no, _, err := s.newest(ctx, e.Resource)
		if err != nil {
			return err
		}
		if no > e.SourceNo {
			if err := s.Build(ctx, e.Resource); err != nil {
				return err
			}
		}
	}
	return nil
}
