package intake

import (
	"context"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/notice"
	"gongshu/operation"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
	"gongshu/workday"
)

// Deps is what intake stands on.
type Deps struct {
	DB        *db.DB
	Door      *operation.Door
	Log       *audit.Log
	Blobs     *blob.Store
	Catalog   *catalog.Service
	Warehouse *warehouse.Store
	Quality   *quality.Service
	// Body finds a body by its id; errs.NotFound when there is none.
	Body   func(ctx context.Context, id string) (catalog.Body, error)
	Send   notice.Send // notice.Nobody when nil
	Limits tabular.Limits
	// Alone: no other process works on this store, so that a start may take over
	// at once what an earlier process left.
	Alone bool
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Service is the area. Its methods may be called by many goroutines.
type Service struct {
	deps    Deps
	holder  string
	running sync.Map // batch id → *progress
	engines sync.Map // resource id + version → *quality.Engine
	// point is where tests interrupt; it does nothing otherwise.
	point func(name string) error
}

type lease struct {
	holder string
	until  time.Time
}

const (
	// leaseTime is how long a batch waits for a node that died. A load renews it every
	// noteEvery, and ends by itself when it finds that another took it over.
	leaseTime = 20 * time.Second
	// noteEvery is how often a load writes down how far it has come, and learns that
	// it was stopped.
	noteEvery = 2 * time.Second
)

// LoadJob is the kind of the job that loads a batch.
const LoadJob = "intake.load"

// New makes the service. It starts nothing; call Reconcile once at start.
func New(deps Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Send == nil {
		deps.Send = notice.Nobody
	}
	return &Service{deps: deps, holder: db.NewID(), point: func(string) error { return nil }}, nil
}

// Handle registers the jobs of the area.
func (s *Service) Handle(q *jobs.Queue) {
	q.Handle(LoadJob, func(ctx context.Context, job jobs.Job) error {
		var id string
		if err := job.Bind(&id); err != nil {
			return err
		}
		_, err := s.Load(ctx, id)
		return err
	})
	q.Every("intake.reconcile", time.Minute, func(ctx context.Context, _ jobs.Job) error { return s.reconcile(ctx, false) })
}

func (s *Service) target(b *Batch) operation.Target {
	return operation.Target{Kind: "batch", ID: b.ID, Name: b.FileName, Body: b.Body, District: b.District, Resource: b.Code}
}

func (s *Service) lease() lease {
	return lease{holder: s.holder, until: s.deps.Now().Add(leaseTime)}
}

// Receive takes a file in: stores its bytes, finds out how to read it, and, but
// for Hold, leaves it to Load. The batch that comes back is in state loading or
// held; one that came before under the same RequestKey in whatever state it is.
//
// Refusals: no secrecy declaration or a secrecy mark (FZM-31), no permission, a
// mode without an approved channel (FZM-29.3), a file that is no table, columns
// that do not match the catalog. Nothing of a refused file is kept.
func (s *Service) Receive(ctx context.Context, a identity.Actor, up Upload, body io.Reader) (*Batch, error) {
	r, err := s.deps.Catalog.Published(ctx, up.Resource)
	if err != nil {
		return nil, err
	}
	owner, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return nil, err
	}
	b := &Batch{ID: db.NewID(), ResourceID: r.ID, Code: r.Code, ResourceName: r.Name, Version: r.Version, Body: r.Body, BodyName: r.BodyName, District: owner.District,
		Mode: up.Mode, State: Loading, Corrects: up.Corrects, Source: up.Source, Sender: a.ID, SenderName: a.Name, FileName: up.FileName, ContentType: up.ContentType,
		Secrecy: up.Secrecy, AuditSeq: -1, requestKey: up.RequestKey, Received: s.deps.Now().UTC().Truncate(time.Millisecond)}
	if b.Mode == "" {
		b.Mode = warehouse.Append
	}
	target := s.target(b)
	target.Medium = string(up.Source)
	// Before a byte is stored: may this actor send, and may this be sent at all?
	// A refusal goes through the door, which puts it on record.
	refuse := func(cause error) (*Batch, error) {
		return nil, s.deps.Door.Do(ctx, a, "intake.batch.receive", target, func(context.Context, *db.Tx) error { return cause })
	}
	if err := s.deps.Door.May(a, "intake.batch.receive", target); err != nil {
		return refuse(err)
	}
	if err := s.admit(ctx, r, b, up); err != nil {
		return refuse(err)
	}
	info, err := s.deps.Blobs.Put(ctx, body)
	if err != nil {
		return refuse(err)
	}
	b.Object, b.Digest, b.Size = info.ID, info.Digest, info.Size
	keep := false
	defer func() {
		if !keep {
			s.deps.Blobs.Delete(context.WithoutCancel(ctx), info.ID)
		}
	}()
	if up.RequestKey != "" {
		earlier, err := batchByRequest(ctx, s.deps.DB.Read(), b.Sender, b.ResourceID, up.RequestKey)
		if err == nil {
			if earlier.Digest != b.Digest {
				return refuse(errs.New(errs.Conflict, errs.T("同一幂等键先前用于内容不同的文件", "this idempotency key was used before for a file of other content")).In("Idempotency-Key"))
			}
			return earlier, nil
		}
		if !errs.Is(err, errs.NotFound) {
			return nil, err
		}
	}
	if err := s.point("stored"); err != nil {
		keep = true
		return nil, err
	}
	over := Override{Layout: up.Layout, HeaderRow: up.HeaderRow, NoHeader: up.NoHeader, Mapping: up.Mapping}
	layout, err := s.layout(ctx, s.file(ctx, b), over, r)
	if err == nil {
		b.read(layout)
		err = checkMarks(b.FileName, &b.Layout)
	}
	if err == nil {
		b.Mapping, b.Ignored, err = mapping(r, b.Layout.Columns, up.Mapping, b.Mode == warehouse.Delete)
		if up.Hold && err != nil {
			b.Mapping, err = map[string]int{}, nil // to be mended by a person
		}
	}
	if err == nil && !up.Hold && b.Layout.Confidence > 0 && b.Layout.Confidence < 0.5 {
		err = errs.Newf(errs.Invalid, "无法可靠判断文件编码（最可能为 %[1]s，可信度 %[2].2f），请指明编码", "the encoding is uncertain (%[1]s at %[2].2f); say which it is", string(b.Layout.Encoding), b.Layout.Confidence).In("encoding")
	}
	if err == nil && b.Corrects != "" && numberColumn(b.Layout.Columns) < 0 {
		err = errs.Newf(errs.Invalid, "更正文件须保留“%s”列，以便与问题数据对应", "a corrected file must keep the column %q, by which its rows are known", quality.NumberColumn).In("columns")
	}
	if err != nil {
		return refuse(err)
	}
	if up.Hold {
		b.State = Held
	}
	last, err := lastArrival(ctx, s.deps.DB.Read(), b.ResourceID)
	if err != nil {
		return nil, err
	}
	if b.Corrects == "" {
		b.Due = due(r.Cycle, last)
	}
	err = s.deps.Door.Do(ctx, a, "intake.batch.receive", target, func(ctx context.Context, tx *db.Tx) error {
		if err := insertBatch(ctx, tx, b, s.lease()); err != nil {
			return err
		}
		operation.Note(ctx, "digest", b.Digest)
		operation.Note(ctx, "bytes", b.Size)
		operation.Note(ctx, "mode", string(b.Mode))
		operation.Note(ctx, "secrecy", "declared")
		if b.Channel != "" {
			operation.Note(ctx, "channel", b.Channel)
		}
		if b.Corrects != "" {
			operation.Note(ctx, "corrects", b.Corrects)
		}
		if b.Late() > 0 {
			operation.Note(ctx, "late_hours", int64(b.Late().Hours()))
		}
		if len(b.Ignored) > 0 {
			operation.Note(ctx, "ignored_columns", len(b.Ignored))
		}
		if b.State == Held {
			return nil
		}
		_, err := jobs.Enqueue(ctx, tx, LoadJob, b.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	keep = true
	return b, s.point("received")
}

// admit applies the rules that need no byte of the file.
func (s *Service) admit(ctx context.Context, r *catalog.Resource, b *Batch, up Upload) error {
	if err := checkSecrecy(up.Secrecy); err != nil {
		return err
	}
	if r.Kind != catalog.Table {
		return errs.New(errs.Unsupported, errs.T("只有库表类资源可按行汇聚", "only table resources take rows")).In("resource")
	}
	if up.RequestKey != "" && (len(up.RequestKey) > 200 || strings.ContainsFunc(up.RequestKey, func(r rune) bool { return r < 0x20 || r > 0x7e })) {
		return errs.New(errs.Invalid, errs.T("幂等键须为至多 200 个可见 ASCII 字符", "an idempotency key has at most 200 printable ASCII characters")).In("Idempotency-Key")
	}
	if b.Corrects != "" {
		parent, err := s.Get(ctx, b.Corrects)
		if err != nil {
			return err
		}
		switch {
		case parent.ResourceID != r.ID:
			return errs.New(errs.Invalid, errs.T("被更正的批次属于另一资源", "the batch to be corrected is of another resource")).In("corrects")
		case parent.State != Done:
			return errs.New(errs.Conflict, errs.T("被更正的批次还没有回执", "the batch to be corrected has no receipt yet")).In("corrects")
		case parent.Open() == 0:
			return errs.New(errs.Conflict, errs.T("该批次没有待更正的问题数据", "the batch has no problem rows left to correct")).In("corrects")
		case up.Mode != "" && up.Mode != warehouse.Append && up.Mode != parent.Mode:
			return errs.New(errs.Invalid, errs.T("更正只能按原批次的方式入库", "a correction is loaded in the mode of its batch")).In("mode")
		}
		// Mended rows are added to what the batch brought; what it replaced stays.
		b.Mode = parent.Mode
		if b.Mode == warehouse.Replace {
			b.Mode = warehouse.Append
		}
	}
	channels, err := listChannels(ctx, s.deps.DB.Read(), r.ID, "")
	if err != nil {
		return err
	}
	b.Channel, err = checkMode(r, b.Mode, channels, up.Channel, s.deps.Now())
	return err
}

func (s *Service) file(ctx context.Context, b *Batch) tabular.File {
	return tabular.File{Name: b.FileName, ContentType: b.ContentType, Open: func() (io.ReadCloser, error) { return s.deps.Blobs.Open(ctx, b.Object) }}
}

// Override is what a person or sender says about a file against what was found.
type Override struct {
	Layout    tabular.Layout
	HeaderRow int
	// HeaderRows is how many rows the header has when HeaderRow is set; default 1.
	HeaderRows int
	// NoHeader: the first row is data.
	NoHeader bool
	Mapping  map[string]string
}

func (o *Override) set() bool {
	l := o.Layout
	return l.Encoding != "" || l.Delimiter != "" || l.Sheet != "" || l.Decimal != "" || l.Records != "" || l.Format != "" || l.FillMerged || l.AllowShort || o.HeaderRow > 0 || o.NoHeader
}

// read says how the batch is to be read. A corrected CSV file began as a download in
// which formulas are guarded; the guard is taken off again.
func (b *Batch) read(l tabular.Layout) {
	l.Guarded = b.Corrects != "" && l.Format == tabular.CSV
	b.Layout = l
}

// layout finds out how the file is to be read, within what over says.
func (s *Service) layout(ctx context.Context, f tabular.File, over Override, r *catalog.Resource) (tabular.Layout, error) {
	names := expected(r)
	var base tabular.Layout
	if over.Layout.Format == "" || over.Layout.Encoding == "" && over.Layout.Format != tabular.XLSX {
		found, err := tabular.Inspect(ctx, f, s.deps.Limits, names)
		if err != nil && over.Layout.Records == "" && over.Layout.Sheet == "" && over.Layout.Encoding == "" && over.Layout.Delimiter == "" && over.HeaderRow == 0 && !over.NoHeader {
			return base, err
		}
		if err != nil {
			if found, err = tabular.InspectFormat(ctx, f, s.deps.Limits); err != nil {
				return base, err
			}
		}
		base = found.Layout
		if !over.set() {
			return base, nil
		}
	}
	l := tabular.Layout{Format: base.Format, Encoding: base.Encoding, Confidence: base.Confidence, Considered: base.Considered, Delimiter: base.Delimiter, Sheet: base.Sheet, Decimal: base.Decimal, Records: base.Records}
	o := over.Layout
	if o.Format != "" {
		l.Format = o.Format
	}
	if o.Encoding != "" && o.Encoding != l.Encoding {
		l.Encoding, l.Confidence, l.Delimiter, l.Decimal = o.Encoding, 1, "", ""
	}
	for _, p := range []struct {
		from string
		to   *string
	}{{o.Delimiter, &l.Delimiter}, {o.Sheet, &l.Sheet}, {o.Decimal, &l.Decimal}, {o.Records, &l.Records}} {
		if p.from != "" {
			*p.to = p.from
		}
	}
	l.FillMerged, l.AllowShort = o.FillMerged, o.AllowShort
	switch {
	case over.HeaderRow > 0:
		l.HeaderFrom = over.HeaderRow
		l.HeaderTo = over.HeaderRow + max(over.HeaderRows, 1) - 1
		l.DataFrom = l.HeaderTo + 1
	case over.NoHeader:
		l.DataFrom = 1
	}
	view, err := tabular.Reinspect(f, l, s.deps.Limits, names)
	if err != nil {
		return base, err
	}
	return view.Layout, nil
}

// Confirm settles how a held batch is read and sends it on its way.
func (s *Service) Confirm(ctx context.Context, a identity.Actor, id string, over Override) (*Batch, error) {
	b, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Catalog.Get(ctx, b.Code, b.Version)
	if err != nil {
		return nil, err
	}
	err = s.deps.Door.Do(ctx, a, "intake.batch.confirm", s.target(b), func(ctx context.Context, tx *db.Tx) error {
		if b, err = getBatch(ctx, tx, id); err != nil {
			return err
		}
		if b.State != Held {
			return errs.New(errs.Conflict, errs.T("批次已不在待确认状态", "the batch no longer waits to be confirmed"))
		}
		if over.set() {
			layout, err := s.layout(ctx, s.file(ctx, b), over, r)
			if err != nil {
				return err
			}
			b.read(layout)
		}
		if err := checkMarks(b.FileName, &b.Layout); err != nil {
			return err
		}
		if b.Mapping, b.Ignored, err = mapping(r, b.Layout.Columns, over.Mapping, b.Mode == warehouse.Delete); err != nil {
			return err
		}
		b.State = Loading
		if err := setLayout(ctx, tx, b, s.lease()); err != nil {
			return err
		}
		operation.Note(ctx, "encoding", string(b.Layout.Encoding))
		operation.Note(ctx, "header_row", b.Layout.HeaderFrom)
		_, err = jobs.Enqueue(ctx, tx, LoadJob, b.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Discard gives up a batch that is held, or stops one that is being loaded, on
// whichever node: nothing of it is stored, its bytes go, its digest stays. A batch
// whose rows are just being committed is past stopping (errs.Conflict).
func (s *Service) Discard(ctx context.Context, a identity.Actor, id string) error {
	b, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	err = s.deps.Door.Do(ctx, a, "intake.batch.discard", s.target(b), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "digest", b.Digest)
		stopped, err := setStopped(ctx, tx, id, s.deps.Now())
		if err != nil || stopped {
			operation.Note(ctx, "stopped", stopped)
			return err
		}
		if b, err = getBatch(ctx, tx, id); err != nil {
			return err
		}
		if b.State == Loading {
			return errs.New(errs.Conflict, errs.T("数据正在写入，已不能停止；入库后请查看回执", "its rows are being written, too late to stop; see the receipt that follows"))
		}
		return setState(ctx, tx, id, Held, Discarded, nil, s.deps.Now())
	})
	if err != nil {
		return err
	}
	return s.deps.Blobs.Delete(ctx, b.Object)
}

// RequestChannel asks the authority to let batches of a resource change or
// delete stored rows until a day (FZM-29.3).
func (s *Service) RequestChannel(ctx context.Context, a identity.Actor, code string, modes []warehouse.Mode, reason string, until time.Time) (Channel, error) {
	r, err := s.deps.Catalog.Published(ctx, code)
	if err != nil {
		return Channel{}, err
	}
	owner, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return Channel{}, err
	}
	now := s.deps.Now().UTC().Truncate(time.Millisecond)
	c := Channel{ID: db.NewID(), ResourceID: r.ID, Code: r.Code, ResourceName: r.Name, Body: r.Body, BodyName: r.BodyName, District: owner.District,
		Modes: modes, Reason: strings.TrimSpace(reason), State: "requested", RequestedBy: a.ID, RequestedName: a.Name, RequestedAt: now, Until: until.UTC().Truncate(time.Millisecond)}
	target := channelTarget(c)
	target.Attrs = nil
	err = s.deps.Door.Do(ctx, a, "intake.channel.request", target, func(ctx context.Context, tx *db.Tx) error {
		if err := checkChannel(r, c, now); err != nil {
			return err
		}
		operation.Note(ctx, "modes", modeText(c.Modes))
		return insertChannel(ctx, tx, c)
	})
	if err != nil {
		return Channel{}, err
	}
	return c, nil
}

func checkChannel(r *catalog.Resource, c Channel, now time.Time) error {
	if len(c.Modes) == 0 {
		return errs.New(errs.Invalid, errs.T("请选择更新、替换或删除方式", "choose upsert, replace or delete")).In("modes").By("FZM-29.3")
	}
	for _, m := range c.Modes {
		switch m {
		case warehouse.Replace:
		case warehouse.Upsert, warehouse.Delete:
			if len(r.Keys()) == 0 {
				return errs.New(errs.Invalid, errs.T("资源没有主键，不能按主键更新或删除", "the resource has no key, so rows cannot be changed or deleted by it")).In("modes")
			}
		default:
			return errs.Newf(errs.Invalid, "方式 %q 不需要或不能有通道", "mode %q needs no channel", string(m)).In("modes")
		}
	}
	if c.Reason == "" {
		return errs.New(errs.Invalid, errs.T("请说明为什么需要更改或删除已汇聚的数据", "say why stored data must be changed or deleted")).In("reason").By("FZM-29.3")
	}
	if !c.Until.After(now) || c.Until.Sub(now) > maxChannel {
		return errs.New(errs.Invalid, errs.T("通道期限须在今后一年之内", "a channel ends within a year from now")).In("until")
	}
	return nil
}

func channelTarget(c Channel) operation.Target {
	return operation.Target{Kind: "channel", ID: c.ID, Name: c.ResourceName, Body: c.Body, District: c.District, Resource: c.Code, Attrs: map[string]any{"makers": []string{c.RequestedBy}}}
}

// DecideChannel is the authority's answer, with its reason.
func (s *Service) DecideChannel(ctx context.Context, a identity.Actor, id string, approve bool, reason string) (Channel, error) {
	c, err := s.GetChannel(ctx, id)
	if err != nil {
		return c, err
	}
	err = s.deps.Door.Do(ctx, a, "intake.channel.decide", channelTarget(c), func(ctx context.Context, tx *db.Tx) error {
		if strings.TrimSpace(reason) == "" {
			return errs.New(errs.Invalid, errs.T("请写明决定的理由", "give the reason of the decision")).In("reason")
		}
		c.State, c.Decision, c.DecidedBy, c.DecidedName, c.DecidedAt = "refused", strings.TrimSpace(reason), a.ID, a.Name, s.deps.Now().UTC().Truncate(time.Millisecond)
		if approve {
			c.State = "approved"
		}
		operation.Note(ctx, "decision", c.State)
		operation.Note(ctx, "modes", modeText(c.Modes))
		return decideChannel(ctx, tx, c, "requested")
	})
	return c, err
}

// RevokeChannel ends an approved channel at once.
func (s *Service) RevokeChannel(ctx context.Context, a identity.Actor, id, reason string) error {
	c, err := s.GetChannel(ctx, id)
	if err != nil {
		return err
	}
	target := channelTarget(c)
	target.Attrs = nil // who asked for it may give it up
	return s.deps.Door.Do(ctx, a, "intake.channel.revoke", target, func(ctx context.Context, tx *db.Tx) error {
		if strings.TrimSpace(reason) == "" {
			return errs.New(errs.Invalid, errs.T("请写明撤销的理由", "give the reason of the revocation")).In("reason")
		}
		c.State, c.Decision, c.DecidedBy, c.DecidedName, c.DecidedAt = "revoked", strings.TrimSpace(reason), a.ID, a.Name, s.deps.Now().UTC().Truncate(time.Millisecond)
		return decideChannel(ctx, tx, c, "approved")
	})
}

// Mapped lists item ids with the column positions that a batch takes them from.
func (b *Batch) Mapped() map[string]int { return maps.Clone(b.Mapping) }

// lateness is data that did not come by a moment.
type lateness struct {
	code string
	due  int64 // milliseconds
}

// RemindLate tells the provider's stewards of every table in force whose data has not
// come in its update cycle, once per lateness (FZM-13, FS-42), and gives how many
// resources it told of. It may run as often as one likes and on several nodes.
func (s *Service) RemindLate(ctx context.Context) (int, error) {
	rows, expected := map[string]catalog.Row{}, map[string]Expected{}
	for after := 0; ; after += 1000 {
		page, total, err := s.deps.Catalog.List(ctx, catalog.ListFilter{Kind: catalog.Table, After: after, Limit: 1000})
		if err != nil {
			return 0, err
		}
		for _, r := range page {
			if !r.Withdrawn {
				rows[r.Code], expected[r.Code] = r, Expected{Cycle: r.Cycle, Since: r.PublishedAt}
			}
		}
		if after+1000 >= total {
			break
		}
	}
	missing, err := s.Overdue(ctx, "", expected)
	if err != nil {
		return 0, err
	}
	told, err := late(ctx, s.deps.DB.Read())
	if err != nil {
		return 0, err
	}
	raised := 0
	for _, o := range missing {
		r, l := rows[o.Code], lateness{o.Code, db.Ms(o.Due)}
		if told[l] {
			continue
		}
		err := s.deps.Door.Do(ctx, identity.System("clock"), "intake.data.remind", operation.Target{Kind: "resource", ID: r.ID, Name: r.Name, Body: r.Body, Resource: r.Code}, func(ctx context.Context, tx *db.Tx) error {
			operation.Note(ctx, "due", o.Due.UTC().Format(time.RFC3339))
			fresh, err := addLate(ctx, tx, l, s.deps.Now())
			if err != nil || !fresh { // another node was first
				return err
			}
			raised++
			return s.deps.Send(ctx, tx, notice.Outgoing{To: []notice.To{{Body: r.Body, Post: identity.Steward}}, Kind: notice.DataLate, About: notice.Ref{Kind: "resource", ID: r.Code},
				Clauses: []string{"FZM-13", "FS-42"}, Values: notice.Values{"Resource": notice.Same(r.Name), "Due": notice.Same(workday.DateOf(o.Due).String())}})
		})
		if err != nil {
			return raised, err
		}
	}
	return raised, nil
}
