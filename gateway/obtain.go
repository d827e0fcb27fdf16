package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// ObtainRequest is the query string of GET …/rows.
type ObtainRequest struct {
	Format string // csv, ndjson or parquet; "" is csv
	Since  string // token of an earlier answer; "" begins anew
	Tokens bool   // each row carries its token in a column _since
	Limit  int64  // rows at most; 0 for all
}

// StreamInfo is what is known before the first byte.
type StreamInfo struct {
	ContentType string
	Extension   string
	Release     string // id of this release, under which its watermark is kept
	Seq         int64  // of the audit entry that opened it
	// DeletionsWithheld says that deleted rows cannot be told, because the grant
	// does not hold the whole key.
	DeletionsWithheld bool
}

// StreamEnd is told after the last byte, when everything is in the log.
type StreamEnd struct {
	Rows     int64
	Digest   string // SHA-256 of the bytes sent, base64
	Next     string // since-token for what comes after
	Complete bool   // false when the limit or the day's quota ended it
	Seq      int64  // of the closing audit entry
}

// flushAt is how much gathers before it is sent; between two sendings the grant is
// looked at, so that a revocation cuts the stream here at once.
const flushAt = 256 << 10

// Obtain answers GET …/rows: a stream of the granted rows in the order of their
// changes, in constant memory. open is called once, when the audit entry is
// durable, and gives where to write; an error after that means that the stream
// was cut and must not look complete. The rows of a request with since have a
// column _op: upsert, delete (by key), or reset, after which everything follows
// anew.
func (s *Service) Obtain(ctx context.Context, call *Call, req ObtainRequest, open func(StreamInfo) (io.Writer, error)) (StreamEnd, error) {
	p, err := s.plan(ctx, call, Obtain)
	if err != nil {
		return StreamEnd{}, s.refuse(ctx, call, p, Obtain, err)
	}
	st := &stream{s: s, call: call, p: p, req: req, open: open, sum: sha256.New()}
	if err := st.prepare(ctx); err != nil {
		return StreamEnd{}, s.refuse(ctx, call, p, Obtain, err)
	}
	end, err := st.run(ctx)
	if err != nil {
		if !st.begun {
			return end, s.refuse(ctx, call, p, Obtain, err)
		}
		// What was sent before the cut is on record too.
		e := st.entry(audit.Failed)
		e.Code = string(errs.KindOf(err))
		if _, logErr := s.deps.Audit.Append(context.WithoutCancel(ctx), e); logErr != nil {
			err = errors.Join(err, logErr)
		}
	}
	return end, err
}

// encoder writes rows of one format into a buffer.
type encoder interface {
	begin(dst []byte) []byte
	row(dst []byte, cells [][]byte, null []bool) ([]byte, error)
	end(dst []byte) ([]byte, error)
}

type stream struct {
	s    *Service
	call *Call
	p    *Plan
	b    *binding
	req  ObtainRequest
	open func(StreamInfo) (io.Writer, error)

	since  warehouse.Token
	ops    bool
	info   StreamInfo
	mark   watermark
	enc    encoder
	held   []heldRow
	block  *tabular.Block // cells of the held rows in canonical form
	masked *tabular.Block
	masker *privacy.BlockMasker
	cells  [][]byte
	null   []bool
	buf    []byte
	out    io.Writer
	sum    hash.Hash
	bytes  int64
	rows   int64
	taken  int64 // rows already counted against the quota
	begun  bool
	full   bool
}

// heldRows is how many rows wait to be masked together and written.
const heldRows = 64

// heldRow is what a row that waits has beside its cells.
type heldRow struct {
	op    string
	token warehouse.Token
}

// errFull ends a scan whose quota or limit is used up.
var errFull = errs.New(errs.TooMany, errs.T("已达上限", "the limit is reached"))

var contentTypes = map[string][2]string{
	"csv": {"text/csv; charset=utf-8; header=present", "csv"}, "ndjson": {"application/x-ndjson", "ndjson"}, "parquet": {"application/vnd.apache.parquet", "parquet"},
}

func (st *stream) prepare(ctx context.Context) (err error) {
	if st.req.Format == "" {
		st.req.Format = "csv"
	}
	kind, ok := contentTypes[st.req.Format]
	if !ok {
		return errs.Newf(errs.Unsupported, "不支持格式“%s”；可用 csv、ndjson、parquet", "there is no format %q; use csv, ndjson or parquet", clipped(st.req.Format)).In("format")
	}
	if st.req.Limit < 0 {
		return errs.New(errs.Invalid, errs.T("limit 应为正整数", "limit is a positive integer")).In("limit")
	}
	if st.b, err = st.s.bind(ctx, st.p); err != nil {
		return err
	}
	if st.req.Since != "" {
		if st.since, err = st.s.unseal(st.p, st.req.Since); err != nil {
			return err
		}
		st.ops = true
	}
	st.info = StreamInfo{ContentType: kind[0], Extension: kind[1], Release: db.NewID()}
	for i := range st.p.Keys {
		if _, granted := st.p.Column(st.p.Keys[i].Name); !granted {
			st.info.DeletionsWithheld = true
		}
	}
	st.mark = st.s.watermark(st.info.Release)
	var columns []tabular.Column
	var masks []*privacy.Masker
	for i := range st.b.out {
		o := &st.b.out[i]
		masks = append(masks, o.masker)
		typ := byte('C')
		if o.masker == nil && o.Type != "" {
			typ = o.Type[0]
		}
		columns = append(columns, tabular.Column{Name: o.Name, Type: typ})
	}
	if st.ops {
		columns = append(columns, tabular.Column{Name: "_op", Type: 'C'})
	}
	if st.req.Tokens {
		columns = append(columns, tabular.Column{Name: "_since", Type: 'C'})
	}
	st.cells, st.null = make([][]byte, len(columns)), make([]bool, len(columns))
	st.block, st.masked, st.masker = tabular.NewBlock(), tabular.NewBlock(), privacy.NewBlockMasker(masks)
	switch st.req.Format {
	case "csv":
		st.enc = &csvEncoder{columns: columns, mark: &st.mark}
	case "ndjson":
		st.enc = newNDJSON(columns, &st.mark)
	default:
		if st.enc, err = newParquet(columns, &st.mark); err != nil {
			return err
		}
	}
	return nil
}

func (st *stream) entry(outcome string) audit.Entry {
	e := st.s.entry(st.call, st.p, Obtain)
	e.Outcome = outcome
	e.Notes = []audit.Note{{Key: "bytes", Value: st.bytes}, {Key: "digest", Value: hex.EncodeToString(st.sum.Sum(nil))}, {Key: "fields", Value: st.p.all},
		{Key: "format", Value: st.req.Format}, {Key: "release", Value: st.info.Release}, {Key: "rows", Value: st.rows - int64(len(st.held))},
		{Key: "stage", Value: "end"}, {Key: "user", Value: st.call.User}}
	return e
}

func (st *stream) run(ctx context.Context) (StreamEnd, error) {
	// The release and the entry that opens it are durable together, before the
	// first byte; the closing entry says how much there was.
	e := st.s.entry(st.call, st.p, Obtain)
	e.Notes = []audit.Note{{Key: "fields", Value: st.p.all}, {Key: "format", Value: st.req.Format}, {Key: "incremental", Value: st.ops},
		{Key: "release", Value: st.info.Release}, {Key: "stage", Value: "begin"}, {Key: "user", Value: st.call.User}}
	began := func(info warehouse.ScanInfo) error {
		err := st.s.deps.DB.InTx(ctx, func(tx *db.Tx) (err error) {
			if err := putRelease(ctx, tx, release{ID: st.info.Release, Grant: st.p.Grant.ID, Client: st.p.Grant.Client, Resource: st.p.Source.Code,
				Format: st.req.Format, At: st.s.deps.Now(), User: st.call.User}); err != nil {
				return err
			}
			st.info.Seq, err = st.s.deps.Audit.AppendTx(ctx, tx, e)
			return err
		})
		if err != nil {
			return db.Classify(err)
		}
		if err := st.p.still(st.call); err != nil {
			return err
		}
		st.begun = true
		if st.out, err = st.open(st.info); err != nil {
			return err
		}
		st.buf = st.enc.begin(st.buf)
		return nil
	}
	spec := warehouse.ScanSpec{Resource: st.p.Source.ID, Since: st.since, Filter: st.b.filter}
	for i := range st.b.out {
		spec.Columns = append(spec.Columns, st.b.out[i].physical)
	}
	last, err := st.s.deps.Warehouse.Scan(ctx, spec, began, st.visit)
	if err != nil && !errors.Is(err, errFull) {
		return StreamEnd{}, err
	}
	if err := st.write(); err != nil {
		return StreamEnd{}, err
	}
	if st.buf, err = st.enc.end(st.buf); err != nil {
		return StreamEnd{}, err
	}
	if err := st.flush(); err != nil {
		return StreamEnd{}, err
	}
	st.p.meter.took(st.rows - st.taken)
	end := StreamEnd{Rows: st.rows, Digest: base64.StdEncoding.EncodeToString(st.sum.Sum(nil)), Next: st.s.seal(st.p, last), Complete: !st.full}
	end.Seq, err = st.s.deps.Audit.Append(ctx, st.entry(audit.OK))
	return end, err
}

// visit takes in one change.
func (st *stream) visit(c warehouse.Change) error {
	if st.req.Limit > 0 && st.rows >= st.req.Limit {
		st.full = true
		return errFull
	}
	if st.rows%256 == 0 {
		left := st.p.meter.took(st.rows - st.taken)
		st.taken = st.rows
		if left == 0 {
			st.full = true
			return errFull
		}
		if err := st.alive(); err != nil {
			return err
		}
	}
	op := "upsert"
	switch c.Kind {
	case warehouse.Written:
		for i := range st.b.out {
			st.block.Take(st.b.out[i].column.Append(st.block.Buffer(), c.Row[i]))
		}
	case warehouse.Deleted:
		if st.info.DeletionsWithheld {
			return nil
		}
		op = "delete"
		for i := range st.b.out {
			o := &st.b.out[i]
			var v warehouse.Value // null unless of the key
			if j := slices.Index(st.b.table.Key, o.physical); j >= 0 {
				v = c.Row[j]
			}
			st.block.Take(o.column.Append(st.block.Buffer(), v))
		}
	case warehouse.Reset:
		if !st.ops {
			return nil
		}
		op = "reset"
		for range st.b.out {
			st.block.Add(nil)
		}
	}
	st.rows++
	st.block.EndRow(st.rows)
	st.held = append(st.held, heldRow{op, c.Token})
	if len(st.held) == heldRows {
		return st.write()
	}
	return nil
}

// write masks and encodes the rows that are held.
func (st *stream) write() error {
	block := st.masker.Mask(st.masked, st.block)
	for r, row := range st.held {
		n := len(st.b.out)
		for i := range n {
			st.cells[i] = block.Cell(r, i)
			st.null[i] = len(st.cells[i]) == 0
		}
		if st.ops {
			st.cells[n], st.null[n] = []byte(row.op), false
			n++
		}
		if st.req.Tokens {
			st.cells[n], st.null[n] = []byte(st.s.seal(st.p, row.token)), false
		}
		var err error
		if st.buf, err = st.enc.row(st.buf, st.cells, st.null); err != nil {
			return err
		}
		if len(st.buf) >= flushAt {
			if err := st.flush(); err != nil {
				return err
			}
		}
	}
	st.held = st.held[:0]
	st.block.Reset()
	return nil
}

// alive refuses to go on once the grant has ended.
func (st *stream) alive() error {
	if err := st.p.still(st.call); err != nil {
		return err
	}
	if st.p.Grant.State(st.s.deps.Now()) != Active {
		return errs.New(errs.Gone, errs.T("授权已到期，传输中止", "the grant has expired; the stream is cut")).In("grant")
	}
	return nil
}

func (st *stream) flush() error {
	if len(st.buf) == 0 {
		return nil
	}
	if err := st.alive(); err != nil {
		return err
	}
	st.sum.Write(st.buf)
	n, err := st.out.Write(st.buf)
	st.bytes += int64(n)
	st.buf = st.buf[:0]
	return err
}

// seal makes a since-token: the place in the table's changes, enciphered, so that
// it tells neither how many changes there were nor works for another body.
func (s *Service) seal(p *Plan, t warehouse.Token) string {
	var block [16]byte
	binary.BigEndian.PutUint64(block[:8], uint64(t.Seq))
	copy(block[8:], p.tokenTag(s))
	s.secrets.tokens.Encrypt(block[:], block[:])
	return hex.EncodeToString(block[:])
}

func (s *Service) unseal(p *Plan, text string) (warehouse.Token, error) {
	var block [16]byte
	if n, err := hex.Decode(block[:], []byte(text[:min(len(text), 32)])); err == nil && n == 16 && len(text) == 32 {
		s.secrets.tokens.Decrypt(block[:], block[:])
		if string(block[8:]) == string(p.tokenTag(s)) {
			return warehouse.Token{Seq: int64(binary.BigEndian.Uint64(block[:8]))}, nil
		}
	}
	return warehouse.Token{}, errs.New(errs.Invalid, errs.T("since 标记无效；请使用本资源上次响应给出的标记，或从头取数", "the since token is not valid; use the one of an earlier answer for this resource, or begin anew")).In("since")
}

// tokenTag binds tokens to the body and the resource: they outlive a renewal.
func (p *Plan) tokenTag(s *Service) []byte {
	if t := p.tag.Load(); t != nil {
		return *t
	}
	t := digest(&s.secrets.mark, "since", p.Grant.Client, p.Source.ID)[:8]
	p.tag.Store(&t)
	return t
}

// release is one stream that was begun.
type release struct {
	ID, Grant, Client, Resource, Format, User string
	At                                        time.Time
}
