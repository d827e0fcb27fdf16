package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gongshu/audit"
	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
	"gongshu/workday"
)

// progress is a load under way on this node.
type progress struct {
	read, accepted, rejected atomic.Int64
	turn                     atomic.Bool // it has its resource's turn
}

// blocks in flight between decoding, checking and loading.
const depth = 4

// Load takes a batch from loading to its receipt (or to failed). Doing it again
// changes nothing. It returns the batch as it then stands; errs.Conflict when
// another process is at it, errs.Unavailable when a store is full or down: the
// batch is kept then, and comes back by itself.
func (s *Service) Load(ctx context.Context, id string) (b *Batch, err error) {
	defer func() {
		if errs.Is(err, errs.Unavailable) {
			err = errs.Newf(errs.Unavailable,
				"文件已收存为批次 %s，但存储暂不可写，尚未入库；恢复后自动继续，不必重新上传。如持续出现请联系系统管理员检查磁盘与数据库",
				"the file is kept as batch %s, but a store cannot be written and its rows are not loaded yet; it goes on by itself once it can, so do not send it again. If it stays so, ask the system administrator to check disk and database", id).
				Because(err).Retry(5)
		}
	}()
	b, err = s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if b.State != Loading {
		return b, nil
	}
	p := &progress{}
	if _, twice := s.running.LoadOrStore(id, p); twice {
		return nil, errs.New(errs.Conflict, errs.T("批次正在入库", "the batch is being loaded")).Retry(2)
	}
	defer s.running.Delete(id)
	var mine bool
	err = s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		mine, err = claim(ctx, tx, id, s.lease(), s.deps.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	if !mine {
		return nil, errs.New(errs.Conflict, errs.T("批次正由另一进程入库", "another process is loading the batch")).Retry(2)
	}
	outer := ctx
	ctx, stop := s.renew(ctx, b, p)
	defer stop()
	if b, err = s.Get(ctx, id); err != nil || b.State != Loading {
		return b, err
	}
	if err = s.awaitTurn(ctx, b, p); err == nil {
		err = s.process(ctx, b, p)
	}
	if err != nil {
		if now, e := s.Get(outer, id); e == nil && now.State == Discarded {
			return now, nil // stopped by a person meanwhile
		}
		if !final(err) || ctx.Err() != nil {
			return nil, err // stays loading: the job or Reconcile comes back to it
		}
		return s.fail(ctx, b, err)
	}
	return b, nil
}

// awaitTurn waits until no other batch loads the resource, here or on another
// node: what one stores, the next must see when it asks which keys are there. The
// turn of a node that died ends with its lease.
func (s *Service) awaitTurn(ctx context.Context, b *Batch, p *progress) error {
	for {
		var mine bool
		err := s.deps.DB.InTx(ctx, func(tx *db.Tx) (err error) {
			mine, err = takeTurn(ctx, tx, b.ResourceID, b.ID, s.lease().until, s.deps.Now())
			return err
		})
		if err != nil || mine {
			p.turn.Store(mine)
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// final errors lie in the file or the rules and come back whenever it is tried.
func final(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.TooLarge, errs.Unsupported, errs.Conflict, errs.NotFound, errs.Gone, errs.Forbidden:
		return true
	}
	return false
}

// renew keeps a load's lease and writes down how far it has come, until the
// returned function is called. The returned context ends with the lease: when
// another process took the batch over, or a person stopped it.
func (s *Service) renew(ctx context.Context, b *Batch, p *progress) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(noteEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
				lease := s.lease()
				ok, err := claim(ctx, tx, b.ID, lease, s.deps.Now())
				if err == nil && ok && p.turn.Load() {
					ok, err = keepTurn(ctx, tx, b.ResourceID, b.ID, lease.until)
				}
				if err == nil && !ok {
					err = errs.New(errs.Conflict, errs.T("租约已失", "the lease is lost"))
				}
				if err != nil {
					return err
				}
				return setProgress(ctx, tx, b.ID, p.read.Load(), p.accepted.Load(), p.rejected.Load())
			})
			if errs.Is(err, errs.Conflict) {
				cancel()
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-done
		keep, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		if err := s.deps.DB.InTx(keep, func(tx *db.Tx) error { return endTurn(keep, tx, b.ID) }); err != nil {
			slog.WarnContext(ctx, "intake: the turn ends with its lease", "batch", b.ID, "error", err)
		}
	}
}

// fail ends a batch that cannot be loaded. Its raw bytes are kept with it.
func (s *Service) fail(ctx context.Context, b *Batch, cause error) (*Batch, error) {
	e, _ := errs.As(cause)
	why := e.Text
	var orphans []string
	err := s.deps.Door.Do(ctx, identity.System("intake"), "intake.batch.fail", s.target(b), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "reason", string(e.Kind))
		var err error
		if orphans, err = s.deps.Quality.DropTx(ctx, tx, b.ID); err != nil {
			return err
		}
		b.Finished = s.deps.Now().UTC().Truncate(time.Millisecond)
		if err := setState(ctx, tx, b.ID, Loading, Failed, &why, b.Finished); err != nil {
			return err
		}
		if err := endTurn(ctx, tx, b.ID); err != nil {
			return err
		}
		return s.tellFailed(ctx, tx, b, why)
	})
	if err != nil {
		return nil, err
	}
	for _, o := range orphans {
		s.deps.Blobs.Delete(ctx, o)
	}
	b.State, b.Failure = Failed, &why
	b.Total, b.Accepted, b.Rejected = 0, 0, 0
	return b, nil
}

// process is the way of a batch from its bytes to its receipt.
func (s *Service) process(ctx context.Context, b *Batch, p *progress) error {
	marker, applied, err := s.deps.Warehouse.Marker(ctx, b.ResourceID, b.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if applied && !b.prepared {
		return fmt.Errorf("intake: batch %s stands in the warehouse without its counts", b.ID)
	}
	var corrected []int64
	if applied {
		// A crash came between the warehouse and the receipt. Which rows of the
		// corrected batch this one mends is read from its bytes again.
		if corrected, err = s.mended(ctx, b); err != nil {
			return err
		}
	} else {
		if marker, corrected, err = s.load(ctx, b, p); err != nil {
			return err
		}
	}
	if err := s.point("applied"); err != nil {
		return err
	}
	return s.finish(ctx, b, marker, corrected)
}

// load runs decode ‖ check ‖ warehouse over the batch.
func (s *Service) load(ctx context.Context, b *Batch, p *progress) (warehouse.Marker, []int64, error) {
	none := warehouse.Marker{}
	r, engine, err := s.engine(ctx, b)
	if err != nil {
		return none, nil, err
	}
	opt := s.options(b, r)
	opt.References = references{s}
	if b.Mode == warehouse.Append && len(r.Keys()) > 0 {
		n, err := s.deps.Warehouse.Count(ctx, b.ResourceID)
		if err != nil {
			return none, nil, err
		}
		if n > 0 {
			opt.Stored = s.stored(b.ResourceID, r)
		}
	}
	var fix *correction
	if b.Corrects != "" {
		if fix, err = s.correction(ctx, b); err != nil {
			return none, nil, err
		}
		opt.Extra = fix.extra
	}
	run, err := engine.Start(opt)
	if err != nil {
		return none, nil, err
	}
	defer run.Close()
	reader, err := tabular.Open(s.file(ctx, b), b.Layout, s.deps.Limits)
	if err != nil {
		return none, nil, err
	}
	defer reader.Close()
	keeper := quality.NewKeeper(s.deps.Blobs)
	pipe := &pipeline{service: s, batch: b, resource: r, run: run, keeper: keeper, fix: fix, progress: p, ready: make(chan *tabular.Block, depth), spare: make(chan *tabular.Block, depth+2)}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	group, inner := errgroup.WithContext(inner)
	read := make(chan *tabular.Block, depth)
	group.Go(func() error { return pipe.decode(inner, reader, read) })
	group.Go(func() error { return pipe.check(inner, read) })
	marker, err := s.deps.Warehouse.Load(ctx, warehouse.LoadSpec{Resource: b.ResourceID, Batch: b.ID, Mode: b.Mode, At: b.Received, Columns: columns(r), Source: pipe})
	cancel()
	piped := group.Wait()
	switch {
	case pipe.empty:
		// Nothing was sound enough to replace the table by: it stays as it is.
		return warehouse.Marker{Resource: b.ResourceID, Batch: b.ID, Mode: b.Mode}, nil, nil
	case err != nil:
		if piped != nil && !errors.Is(piped, context.Canceled) {
			err = piped
		}
		if !b.prepared {
			keeper.Discard(context.WithoutCancel(ctx))
		}
		return none, nil, err
	}
	if fix != nil {
		return marker, fix.mended(), nil
	}
	return marker, nil, nil
}

func columns(r *catalog.Resource) []string {
	out := make([]string, len(r.Items))
	for i := range r.Items {
		out[i] = r.Items[i].Physical()
	}
	return out
}

// engine gives the version of the resource by which the batch is checked, and
// its compiled rules, compiled once.
func (s *Service) engine(ctx context.Context, b *Batch) (*catalog.Resource, *quality.Engine, error) {
	r, err := s.deps.Catalog.Get(ctx, b.Code, b.Version)
	if err != nil {
		return nil, nil, err
	}
	key := b.ResourceID + "/" + strconv.Itoa(b.Version)
	if e, ok := s.engines.Load(key); ok {
		return r, e.(*quality.Engine), nil
	}
	e, err := quality.Compile(r)
	if err != nil {
		return nil, nil, err
	}
	s.engines.Store(key, e)
	return r, e, nil
}

func (s *Service) options(b *Batch, r *catalog.Resource) quality.Options {
	opt := quality.Options{Today: b.Received.In(china).Format("2006-01-02"), KeyOnly: b.Mode == warehouse.Delete,
		RepeatedKeys: b.Mode == warehouse.Upsert || b.Mode == warehouse.Delete, Decimal: '.'}
	if b.Layout.Decimal == "," {
		opt.Decimal = ','
	}
	for i := range r.Items {
		at, ok := b.Mapping[r.Items[i].ID]
		if !ok {
			at = -1
		}
		opt.Mapping = append(opt.Mapping, at)
	}
	return opt
}

var china = workday.Zone

// stored asks the warehouse which keys it has.
func (s *Service) stored(resource string, r *catalog.Resource) func(context.Context, *tabular.Block, []bool) error {
	var names []string
	var cells []int
	for i := range r.Items {
		if r.Items[i].Key {
			names, cells = append(names, r.Items[i].Physical()), append(cells, i)
		}
	}
	return func(ctx context.Context, b *tabular.Block, out []bool) error {
		return s.deps.Warehouse.Exists(ctx, resource, names, b, cells, out)
	}
}

type references struct{ *Service }

// Exists answers for quality from the rows of the other resource.
func (s references) Exists(ctx context.Context, resource, item string, b *tabular.Block, c int, out []bool) error {
	r, err := s.deps.Catalog.Published(ctx, resource)
	if err != nil {
		return err
	}
	it := r.Item(item)
	if it == nil {
		return errs.Newf(errs.Conflict, "目录中引用的资源 %s 已没有信息项 %s", "resource %s, which the catalog refers to, has no item %s any more", resource, item)
	}
	return s.deps.Warehouse.Exists(ctx, r.ID, []string{it.Physical()}, b, []int{c}, out)
}

// pipeline is the Source of a load: a goroutine decodes, one checks, and the
// warehouse takes the sound rows.
type pipeline struct {
	service   *Service
	batch     *Batch
	resource  *catalog.Resource
	run       *quality.Run
	keeper    *quality.Keeper
	fix       *correction
	progress  *progress
	ready     chan *tabular.Block
	spare     chan *tabular.Block
	given     *tabular.Block
	empty     bool
	undecoded error
	failed    error // of decode or check; set before ready is closed
}

func (p *pipeline) block() *tabular.Block {
	select {
	case b := <-p.spare:
		b.Reset()
		return b
	default:
		return tabular.NewBlock()
	}
}

func (p *pipeline) recycle(b *tabular.Block) {
	select {
	case p.spare <- b:
	default:
	}
}

func (p *pipeline) decode(ctx context.Context, r tabular.Reader, to chan<- *tabular.Block) (err error) {
	defer func() {
		p.undecoded = err // before to is closed, which check sees
		close(to)
	}()
	for {
		b := p.block()
		err := r.Read(b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p.progress.read.Add(int64(b.Len()))
		select {
		case to <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pipeline) check(ctx context.Context, from <-chan *tabular.Block) (err error) {
	defer func() {
		p.failed = err
		close(p.ready)
	}()
	sink := func(in *tabular.Block, r int, faults []quality.Fault) error {
		if p.fix != nil {
			p.fix.reject(in, r, faults)
		}
		return p.keeper.Add(ctx, in, r, faults)
	}
	for in := range from {
		good := p.block()
		if err := p.run.Check(ctx, in, good, sink); err != nil {
			return err
		}
		p.recycle(in)
		accepted, rejected := p.run.Counts()
		p.progress.accepted.Store(accepted)
		p.progress.rejected.Store(rejected)
		if good.Len() == 0 {
			p.recycle(good)
			continue
		}
		select {
		case p.ready <- good:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.undecoded != nil {
		return p.undecoded
	}
	return ctx.Err()
}

var errNothing = errors.New("intake: no row to replace the table by")

// Next gives the warehouse the next sound rows. At the end, before the warehouse
// commits, the control store learns counts and problem rows.
func (p *pipeline) Next(ctx context.Context) (*tabular.Block, error) {
	if p.given != nil {
		p.recycle(p.given)
		p.given = nil
	}
	if b, ok := <-p.ready; ok {
		p.given = b
		return b, p.service.point("block")
	}
	if p.failed != nil { // the channel is closed at the end and at a failure
		return nil, p.failed
	}
	if err := p.service.prepare(ctx, p); err != nil {
		return nil, err
	}
	if p.batch.Mode == warehouse.Replace && p.batch.Accepted == 0 {
		p.empty = true
		return nil, errNothing
	}
	if err := p.service.point("prepared"); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// prepare notes what the check found, in one transaction of the control store.
func (s *Service) prepare(ctx context.Context, p *pipeline) error {
	kept, err := p.keeper.Close(ctx)
	if err != nil {
		return err
	}
	if err := s.point("checked"); err != nil {
		return err
	}
	b := p.batch
	b.Accepted, b.Rejected = p.run.Counts()
	b.Total = b.Accepted + b.Rejected
	var orphans []string
	err = s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		var err error
		ledger := quality.Ledger{Batch: b.ID, Resource: b.ResourceID, Body: b.Body, Columns: b.Layout.Columns}
		if orphans, err = s.deps.Quality.NoteTx(ctx, tx, ledger, kept, p.run.Tallies(), db.Ms(s.deps.Now())); err != nil {
			return err
		}
		return setPrepared(ctx, tx, b)
	})
	if err != nil {
		return err
	}
	b.prepared = true
	for _, o := range orphans {
		s.deps.Blobs.Delete(ctx, o)
	}
	return nil
}

// finish writes the receipt.
func (s *Service) finish(ctx context.Context, b *Batch, m warehouse.Marker, corrected []int64) error {
	b.Inserted, b.Updated, b.Deleted, b.Missed = m.Inserted, m.Updated, m.Deleted, m.Missed
	b.Finished = s.deps.Now().UTC().Truncate(time.Millisecond)
	first := false
	target := s.target(b)
	seq, err := s.deps.Door.DoIndexed(ctx, identity.System("intake"), "intake.batch.receipt", target, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if first, err = setDone(ctx, tx, b); err != nil {
			return err
		}
		if !first {
			return errs.New(errs.Conflict, errs.T("回执已由另一进程写出", "another process has written the receipt"))
		}
		b.State = Done
		if b.Corrects != "" {
			closed, _, err := s.deps.Quality.CloseTx(ctx, tx, b.Corrects, corrected)
			if err != nil {
				return err
			}
			if err := addCorrected(ctx, tx, b.Corrects, closed); err != nil {
				return err
			}
			operation.Note(ctx, "corrected", closed)
		}
		for _, n := range []struct {
			key string
			n   int64
		}{{"total", b.Total}, {"accepted", b.Accepted}, {"rejected", b.Rejected}, {"inserted", b.Inserted}, {"updated", b.Updated}, {"deleted", b.Deleted}} {
			operation.Note(ctx, n.key, n.n)
		}
		operation.Note(ctx, "digest", b.Digest)
		if err := endTurn(ctx, tx, b.ID); err != nil {
			return err
		}
		return s.tellProblems(ctx, tx, b)
	})
	if err != nil {
		if errs.Is(err, errs.Conflict) && !first {
			done, e := s.Get(ctx, b.ID)
			if e == nil && done.State == Done {
				*b = *done
				return nil
			}
		}
		return err
	}
	if err := s.point("received_receipt"); err != nil {
		return err
	}
	// A convenience for whoever shows the receipt; after a crash before it,
	// AuditIndex finds the entry.
	keep := context.WithoutCancel(ctx) // the lease has ended with the receipt
	if err := s.deps.DB.InTx(keep, func(tx *db.Tx) error { return setAuditSeq(keep, tx, b.ID, seq) }); err != nil {
		slog.WarnContext(ctx, "intake: the receipt's audit index was not kept", "batch", b.ID, "error", err)
	}
	b.AuditSeq = seq
	return nil
}

// AuditIndex is the receipt's place in the log, looked up there when a crash
// kept it from being noted; -1 when there is none yet.
func (s *Service) AuditIndex(ctx context.Context, b *Batch) int64 {
	if b.State != Done || b.AuditSeq >= 0 {
		return b.AuditSeq
	}
	page, err := s.deps.Log.Search(ctx, audit.Filter{Resource: b.Code, Action: "intake.batch.receipt"}, 0, 100)
	if err != nil {
		return -1
	}
	for _, rec := range page.Records {
		if rec.Entry.Target == b.ID {
			b.AuditSeq = rec.Seq
		}
	}
	return b.AuditSeq
}

// Await loads a batch, or waits for whoever is loading it, until it has ended or
// ctx does.
func (s *Service) Await(ctx context.Context, id string) (*Batch, error) {
	for {
		b, err := s.Load(ctx, id)
		if !errs.Is(err, errs.Conflict) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Reconcile finishes what an earlier process left: call it once at start, before
// the first upload.
func (s *Service) Reconcile(ctx context.Context) error { return s.reconcile(ctx, s.deps.Alone) }

func (s *Service) reconcile(ctx context.Context, all bool) error {
	ids, err := unfinished(ctx, s.deps.DB.Read(), s.deps.Now(), all)
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range ids {
		if _, running := s.running.Load(id); running {
			continue
		}
		if all {
			if err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error { return freeLease(ctx, tx, id) }); err != nil {
				return err
			}
		}
		if _, err := s.Load(ctx, id); err != nil && !errs.Is(err, errs.Conflict) {
			failures = append(failures, fmt.Errorf("batch %s: %w", id, err))
		}
	}
	return errors.Join(failures...)
}

// correction follows which open rows of the corrected batch a file mends.
type correction struct {
	cell int     // of the row number in the file
	open []int64 // ascending
	at   []int   // by open row: 0 not seen, 1 mended, 2 failed again
	hit  int     // index of the present row, -1 unknown
}

func numberColumn(columns []string) int {
	return slices.IndexFunc(columns, func(c string) bool { return tabular.Normal(c) == tabular.Normal(quality.NumberColumn) })
}

func (s *Service) correction(ctx context.Context, b *Batch) (*correction, error) {
	open, err := s.deps.Quality.OpenRows(ctx, b.Corrects)
	if err != nil {
		return nil, err
	}
	return &correction{cell: numberColumn(b.Layout.Columns), open: open, at: make([]int, len(open))}, nil
}

func (c *correction) find(in *tabular.Block, r int) int {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(in.Cell(r, c.cell))), 10, 64)
	if err != nil {
		return -1
	}
	if i, found := slices.BinarySearch(c.open, n); found {
		return i
	}
	return -1
}

// extra is quality's hook: the row number must be that of an open row, once.
func (c *correction) extra(in *tabular.Block, r int) []quality.Fault {
	i := c.find(in, r)
	switch {
	case i < 0:
		return []quality.Fault{{Cell: c.cell, Code: quality.Unknown, Text: errs.T("行号不是该批次待更正的问题行", "the row number is none of the batch's open problem rows")}}
	case c.at[i] != 0:
		return []quality.Fault{{Cell: c.cell, Code: quality.Unknown, Text: errs.T("同一问题行在更正文件中出现两次", "the same problem row occurs twice in the corrected file")}}
	}
	c.at[i] = 1
	return nil
}

func (c *correction) reject(in *tabular.Block, r int, faults []quality.Fault) {
	for _, f := range faults {
		if f.Code == quality.Unknown {
			return // not this row's place, or a second one for it
		}
	}
	if i := c.find(in, r); i >= 0 {
		c.at[i] = 2
	}
}

func (c *correction) mended() []int64 {
	var out []int64
	for i, state := range c.at {
		if state == 1 {
			out = append(out, c.open[i])
		}
	}
	return out
}

// mended finds, from the bytes and the recorded rejections, which open rows of
// the corrected batch an applied correction mends.
func (s *Service) mended(ctx context.Context, b *Batch) ([]int64, error) {
	if b.Corrects == "" {
		return nil, nil
	}
	fix, err := s.correction(ctx, b)
	if err != nil {
		return nil, err
	}
	rejected, err := s.deps.Quality.Rejected(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	reader, err := tabular.Open(s.file(ctx, b), b.Layout, s.deps.Limits)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	was := rejected.Has()
	in := tabular.NewBlock()
	for {
		err := reader.Read(in)
		if err == io.EOF {
			return fix.mended(), nil
		}
		if err != nil {
			return nil, err
		}
		for r := range in.Len() {
			if i := fix.find(in, r); i >= 0 && !was(in.Number(r)) {
				fix.at[i] = 1
			}
		}
	}
}

// Replay gives the warehouse the rows that a batch was accepted with, from its
// raw bytes, for a rebuild: the same rows whatever rules, references and today
// say now.
func (s *Service) Replay(ctx context.Context, id string) (names []string, source warehouse.Source, done func(), err error) {
	b, err := s.Get(ctx, id)
	if err != nil {
		return nil, nil, nil, err
	}
	r, engine, err := s.engine(ctx, b)
	if err != nil {
		return nil, nil, nil, err
	}
	rejected, err := s.deps.Quality.Rejected(ctx, id)
	if err != nil {
		return nil, nil, nil, err
	}
	opt := s.options(b, r)
	was := rejected.Has()
	opt.Accept = func(n int64) bool { return !was(n) }
	run, err := engine.Start(opt)
	if err != nil {
		return nil, nil, nil, err
	}
	reader, err := tabular.Open(s.file(ctx, b), b.Layout, s.deps.Limits)
	if err != nil {
		return nil, nil, nil, err
	}
	return columns(r), &replay{run: run, reader: reader, in: tabular.NewBlock(), out: tabular.NewBlock()}, func() { reader.Close(); run.Close() }, nil
}

type replay struct {
	run     *quality.Run
	reader  tabular.Reader
	in, out *tabular.Block
}

// Next gives the next accepted rows.
func (p *replay) Next(ctx context.Context) (*tabular.Block, error) {
	for {
		if err := p.reader.Read(p.in); err != nil {
			return nil, err
		}
		p.out.Reset()
		if err := p.run.Check(ctx, p.in, p.out, nil); err != nil {
			return nil, err
		}
		if p.out.Len() > 0 {
			return p.out, nil
		}
	}
}

// Rebuild fills a resource's table anew from its raw batches and gives the
// number of batches that were replayed.
func (s *Service) Rebuild(ctx context.Context, a identity.Actor, code string) (batches int, err error) {
	r, err := s.deps.Catalog.Get(ctx, code, 0)
	if err != nil {
		return 0, err
	}
	owner, err := s.deps.Body(ctx, r.Body)
	if err != nil {
		return 0, err
	}
	target := operation.Target{Kind: "resource", ID: r.ID, Name: r.Name, Body: r.Body, District: owner.District, Resource: r.Code}
	if err := s.deps.Door.May(a, "intake.rebuild", target); err != nil {
		return 0, err
	}
	work := func() error {
		re, err := s.deps.Warehouse.BeginRebuild(ctx, r.ID)
		if err != nil {
			return err
		}
		for attempt := 0; ; attempt++ {
			pending, err := re.Pending(ctx)
			if err == nil {
				for _, m := range pending {
					if err = s.replayInto(ctx, re, m); err != nil {
						break
					}
					batches++
				}
			}
			if err == nil {
				err = re.Swap(ctx)
			}
			if err == nil {
				return nil
			}
			if !errs.Is(err, errs.Conflict) || attempt == 3 {
				return errors.Join(err, re.Abort(context.WithoutCancel(ctx)))
			}
		}
	}
	failure := work()
	err = s.deps.Door.Do(ctx, a, "intake.rebuild", target, func(ctx context.Context, _ *db.Tx) error {
		operation.Note(ctx, "batches", batches)
		return failure
	})
	return batches, err
}

func (s *Service) replayInto(ctx context.Context, re *warehouse.Rebuild, m warehouse.Marker) error {
	names, source, done, err := s.Replay(ctx, m.Batch)
	if err != nil {
		return err
	}
	defer done()
	again, err := re.Load(ctx, m, names, source)
	if err == nil && again.Given != m.Given {
		err = errs.Newf(errs.Internal, "批次 %s 重放得到 %d 行，原为 %d 行", "batch %s replays to %d rows, not %d", m.Batch, again.Given, m.Given)
	}
	return err
}
