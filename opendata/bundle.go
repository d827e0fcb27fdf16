package opendata

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// formats are the files of a bundle, in the order of the page.
var formats = []tabular.Format{tabular.CSV, tabular.XLSX, tabular.JSON, tabular.Parquet}

// maxSheetRows is how many rows an XLSX file is made for: a sheet holds 1,048,576.
const maxSheetRows = 1_000_000

// keptVersions is how many versions' files are kept beside the newest: practice,
// no article says.
const keptVersions = 2

// previewRows is the length of the preview table.
const previewRows = 20

// plan is what a scan of the warehouse turns rows into.
type plan struct {
	items   []catalog.Item // opened, in the catalog's order
	columns []string       // their warehouse columns
	masks   []*privacy.Masker
	types   []catalog.ItemType // after masking
	mask    []string           // specification, "" where opened as it is
	excused []bool
	quasi   []int // positions that together may single out a person
	omitted int
}

func (s *Service) plan(r *catalog.Resource, a *Assessment) (*plan, error) {
	p := &plan{}
	for i := range r.Items {
		it := r.Items[i]
		at := slices.IndexFunc(a.Treatments, func(t Treatment) bool { return t.Item == it.ID })
		if at < 0 || a.Treatments[at].Do == Omit {
			p.omitted++
			continue
		}
		t := a.Treatments[at]
		var m *privacy.Masker
		typ := it.Type
		if t.Do == Mask {
			spec, err := privacy.ParseMask(t.Mask)
			if err != nil {
				return nil, err
			}
			// The resource is the tweak: pseudonyms of two datasets cannot be joined.
			if m, err = privacy.NewMasker(spec, privacy.Kind(it.Personal), s.deps.Keys, "open/"+r.ID); err != nil {
				return nil, err
			}
			if spec.Name != privacy.MaskRound {
				typ = catalog.Char
			}
		}
		if slices.Contains(a.Quasi, it.ID) {
			p.quasi = append(p.quasi, len(p.items))
		}
		p.items = append(p.items, it)
		p.columns = append(p.columns, it.Physical())
		p.masks = append(p.masks, m)
		p.types = append(p.types, typ)
		p.mask = append(p.mask, t.Mask)
		p.excused = append(p.excused, strings.TrimSpace(t.Why) != "")
	}
	return p, nil
}

// looked is how many values a column a look for personal data takes in from each
// end of the table; free text is searched in every row.
const looked = 2000

// examiner gathers findings while rows pass.
type examiner struct {
	plan   *plan
	kanon  *privacy.KAnonymity
	values [][]string
	inText []int // rows whose free text holds an identifier
	row    []string
	rows   int64
	seen   int
}

func newExaminer(p *plan) *examiner {
	e := &examiner{plan: p, values: make([][]string, len(p.items)), inText: make([]int, len(p.items)), row: make([]string, len(p.items))}
	if len(p.quasi) > 0 {
		e.kanon = privacy.NewKAnonymity(p.quasi, nil)
	}
	return e
}

// add takes in one opened row: cells after masking.
func (e *examiner) add(cells [][]byte) {
	e.rows++
	// A stretch of the beginning, then every hundredth row, so that a table whose
	// later batches differ is noticed.
	sampled := e.rows <= looked || e.rows%100 == 0 && e.seen < 2*looked
	if sampled {
		e.seen++
	}
	for i, cell := range cells {
		if e.kanon != nil {
			e.row[i] = string(cell)
		}
		if e.plan.masks[i] != nil || len(cell) == 0 {
			continue
		}
		if sampled {
			e.values[i] = append(e.values[i], string(cell))
		}
		if t := e.plan.types[i]; e.plan.items[i].Personal != string(privacy.KindUSCC) && (t == catalog.Char || t == catalog.Memo || t == catalog.Generic) && len(cell) >= 11 && digits(cell) >= 11 {
			for _, span := range privacy.ScanText(string(cell)) {
				if span.Kind == privacy.KindResidentID || span.Kind == privacy.KindPhone || span.Kind == privacy.KindBankCard {
					e.inText[i]++
					break
				}
			}
		}
	}
	if e.kanon != nil {
		e.kanon.Add(e.row)
	}
}

func digits(b []byte) int {
	n := 0
	for _, ch := range b {
		if ch >= '0' && ch <= '9' {
			n++
		}
	}
	return n
}

func (e *examiner) findings(k int64) Findings {
	f := Findings{Rows: e.rows, K: k}
	if e.kanon != nil {
		r := e.kanon.Report(k)
		f.Smallest, f.GroupsBelow, f.RowsBelow = r.Smallest, r.GroupsBelow, r.RowsBelow
	}
	for i, it := range e.plan.items {
		found := privacy.Recognise(it.Name, e.values[i])
		p := PersonalFinding{Item: it.ID, Name: it.Name, Kind: found.Kind, Matched: found.Matched, Looked: found.Sampled, Excused: e.plan.excused[i]}
		if !(found.ByValues && found.Confidence >= privacy.Proposed && stops(found.Kind)) {
			if e.inText[i] == 0 {
				continue
			}
			p.Kind, p.Matched, p.Looked = "text", e.inText[i], int(e.rows)
		}
		f.Personal = append(f.Personal, p)
	}
	return f
}

// pass streams the warehouse's rows as they will be opened, block by block.
func (s *Service) pass(ctx context.Context, resource string, p *plan, give func(b *tabular.Block, cells func(r int) [][]byte) error) error {
	var columns []warehouse.Column
	block, masked, masker := tabular.NewBlock(), tabular.NewBlock(), privacy.NewBlockMasker(p.masks)
	cells := make([][]byte, len(p.items))
	n := int64(0)
	flush := func() error {
		if block.Len() == 0 {
			return nil
		}
		open := masker.Mask(masked, block)
		err := give(open, func(r int) [][]byte {
			for i := range cells {
				cells[i] = open.Cell(r, i)
			}
			return cells
		})
		block.Reset()
		return err
	}
	_, err := s.deps.Warehouse.Scan(ctx, warehouse.ScanSpec{Resource: resource, Columns: p.columns},
		func(i warehouse.ScanInfo) error { columns = i.Columns; return nil },
		func(c warehouse.Change) error {
			if c.Kind != warehouse.Written {
				return nil
			}
			n++
			for i, v := range c.Row {
				block.Take(columns[i].Append(block.Buffer(), v))
			}
			block.EndRow(n)
			if block.Len() == 1024 {
				return flush()
			}
			return nil
		})
	if err != nil {
		return err
	}
	return flush()
}

// examine looks at a resource's rows as an assessment would open them.
func (s *Service) examine(ctx context.Context, r *catalog.Resource, a *Assessment) (Findings, error) {
	p, err := s.plan(r, a)
	if err != nil {
		return Findings{}, err
	}
	e := newExaminer(p)
	no, _, err := s.newest(ctx, r.ID)
	if err != nil {
		return Findings{}, err
	}
	if err := s.pass(ctx, r.ID, p, func(b *tabular.Block, cells func(int) [][]byte) error {
		for i := range b.Len() {
			e.add(cells(i))
		}
		return nil
	}); err != nil {
		return Findings{}, err
	}
	f := e.findings(minK(s.deps.Profile()))
	f.No = no
	return f, nil
}

// newest gives the number and time of a resource's last batch that changed rows;
// NotFound when it has no table yet.
func (s *Service) newest(ctx context.Context, resource string) (no int64, at time.Time, err error) {
	if _, err := s.deps.Warehouse.Table(ctx, resource); err != nil {
		return 0, time.Time{}, err
	}
	all, err := s.deps.Warehouse.Markers(ctx, resource)
	for _, m := range all {
		if m.Inserted+m.Updated+m.Deleted > 0 {
			no, at = m.No, m.At
		}
	}
	return no, at, err
}

// digestFile counts and hashes what goes into a file.
type digestFile struct {
	*os.File
	hash hash.Hash
	size int64
}

func (f *digestFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.hash.Write(b[:n])
	f.size += int64(n)
	return n, err
}

// feedBlocks hands blocks from the scan to a load that runs beside it.
type feedBlocks struct {
	blocks chan *tabular.Block
	done   chan struct{} // one a block that the load is finished with
	fail   error
	given  bool
}

func (f *feedBlocks) Next(ctx context.Context) (*tabular.Block, error) {
	if f.given {
		f.given = false
		f.done <- struct{}{}
	}
	select {
	case b, ok := <-f.blocks:
		if !ok {
			if f.fail != nil {
				return nil, f.fail
			}
			return nil, io.EOF
		}
		f.given = true
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bundle is a built version that no reader sees yet.
type bundle struct {
	version  int
	findings Findings
	files    []File
	items    []Item
	rows     int64
	preview  [][]string
	chart    *Chart
	places   *Map
	dir      string // of the files, relative to the open store
}

// build makes a version's files and rows. What it leaves behind when it fails is
// removed; nothing is visible before publish.
func (s *Service) build(ctx context.Context, r *catalog.Resource, a *Assessment, version int) (b *bundle, err error) {
	p, err := s.plan(r, a)
	if err != nil {
		return nil, err
	}
	o := s.deps.Open
	b = &bundle{version: version, dir: folder(r.ID, version)}
	defer func() {
		if err != nil {
			s.discard(context.WithoutCancel(ctx), r.ID, version)
		}
	}()
	s.discard(ctx, r.ID, version) // what a build that died has left
	if err := o.dir.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	columns := make([]tabular.Column, len(p.items))
	table := warehouse.Table{Resource: rowsID(r.ID, version)}
	for i := range p.items {
		it := &p.items[i]
		open := Item{Name: it.Name, Code: it.Code, Type: p.types[i], Scale: it.Scale, Key: it.Key, Description: it.Description,
			CodeList: it.CodeList, Mask: p.mask[i], Column: "c" + strconv.Itoa(i+1)}
		if p.masks[i] == nil {
			open.Length = it.Length
		}
		b.items = append(b.items, open)
		table.Columns = append(table.Columns, open.column())
		columns[i] = open.written()
	}
	if err := o.rows.EnsureTable(ctx, table); err != nil {
		return nil, err
	}

	var outs []*digestFile
	var writers []tabular.Writer
	defer func() {
		for _, f := range outs {
			f.Close()
		}
	}()
	total, err := s.deps.Warehouse.Count(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, format := range formats {
		if format == tabular.XLSX && total > maxSheetRows {
			continue
		}
		f, err := o.dir.Create(path.Join(b.dir, "data."+string(format)))
		if err != nil {
			return nil, err
		}
		out := &digestFile{File: f, hash: sha256.New()}
		outs = append(outs, out)
		var w tabular.Writer
		if format == tabular.CSV {
			// People open it: with a mark that tells Excel the encoding, and nothing in it
			// runs as a formula. Systems that need the exact text take JSON or Parquet.
			w, err = tabular.NewCSVWriter(out, columns, tabular.CSVOptions{BOM: true, Guard: true})
		} else {
			w, err = tabular.NewWriter(out, format, columns)
		}
		if err != nil {
			return nil, err
		}
		writers = append(writers, w)
		b.files = append(b.files, File{Format: string(format), Name: fileName(r.Name, version, string(format))})
	}

	examined := newExaminer(p)
	placed := newMapper(b.items, total)
	feed := &feedBlocks{blocks: make(chan *tabular.Block), done: make(chan struct{})}
	loaded := make(chan error, 1)
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, err := o.rows.Load(loadCtx, warehouse.LoadSpec{Resource: table.Resource, Batch: "v" + strconv.Itoa(version), Mode: warehouse.Append, At: s.deps.Now(), Source: feed})
		loaded <- err
	}()
	var loadErr error
	ended := false
	err = s.pass(ctx, r.ID, p, func(block *tabular.Block, cells func(int) [][]byte) error {
		select {
		case feed.blocks <- block:
		case loadErr = <-loaded:
			ended = true
			return errors.Join(errors.New("load of the open rows ended early"), loadErr)
		}
		for i := range block.Len() {
			row := cells(i)
			examined.add(row)
			placed.add(row)
		}
		var err error
		for _, w := range writers {
			err = errors.Join(err, w.Write(block))
		}
		select {
		case <-feed.done:
		case loadErr = <-loaded:
			ended = true
			return errors.Join(errors.New("load of the open rows ended early"), loadErr)
		}
		return err
	})
	if !ended {
		feed.fail = err
		close(feed.blocks)
		loadErr = <-loaded
	}
	if err == nil {
		err = loadErr
	}
	for _, w := range writers {
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("build %s version %d: %w", r.Code, version, err)
	}
	for i, f := range outs {
		if err := f.Sync(); err != nil {
			return nil, err
		}
		b.files[i].Size, b.files[i].SHA256 = f.size, hex.EncodeToString(f.hash.Sum(nil))
	}
	b.findings = examined.findings(minK(s.deps.Profile()))
	b.rows = b.findings.Rows
	b.places = placed.drawn()
	if err := s.describe(ctx, r, table, b); err != nil {
		return nil, err
	}
	return b, nil
}

func fileName(title string, version int, format string) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, title)
	return clean + "_v" + strconv.Itoa(version) + "." + format
}

// discard removes a version's files and rows.
func (s *Service) discard(ctx context.Context, dataset string, version int) error {
	o := s.deps.Open
	err := o.dir.RemoveAll(folder(dataset, version))
	if derr := o.rows.Drop(ctx, rowsID(dataset, version)); derr != nil && !errs.Is(derr, errs.NotFound) {
		err = errors.Join(err, derr)
	}
	return err
}

// fewValues is up to how many different values a column counts as a category.
const fewValues = 30

// describe computes column profiles, the preview and the chart from the rows as
// they are opened.
func (s *Service) describe(ctx context.Context, r *catalog.Resource, table warehouse.Table, b *bundle) error {
	rows := s.deps.Open.rows
	for i := range b.items {
		it := &b.items[i]
		col := table.Columns[i]
		m := func(f warehouse.Function) warehouse.Measure { return warehouse.Measure{Function: f, Column: col.Name} }
		measures := []warehouse.Measure{m(warehouse.CountOf), m(warehouse.DistinctOf), m(warehouse.MinOf), m(warehouse.MaxOf)}
		numeric := col.Type == warehouse.Integer || col.Type == warehouse.Decimal || col.Type == warehouse.Float
		if numeric {
			measures = append(measures, m(warehouse.AvgOf))
		}
		stats, err := rows.Stats(ctx, warehouse.StatsSpec{Resource: table.Resource, Measures: measures, Limit: 1})
		if err != nil {
			return err
		}
		v := stats.Row(0)
		it.Profile.Present, it.Profile.Distinct = v[1].N, v[2].N
		if col.Type != warehouse.Text && col.Type != warehouse.Bool { // the smallest text says nothing
			it.Profile.Min, it.Profile.Max = strings.Clone(stats.Columns[3].Format(v[3])), strings.Clone(stats.Columns[4].Format(v[4]))
		}
		if numeric && !v[5].IsNull() {
			it.Profile.Mean = strconv.FormatFloat(v[5].Float(), 'g', 6, 64)
		}
		if d := it.Profile.Distinct; d > 0 && d <= fewValues && d < it.Profile.Present {
			if it.Profile.Top, err = s.counts(ctx, r, it, table.Resource, col); err != nil {
				return err
			}
		}
	}
	sample, err := rows.Sample(ctx, table.Resource, nil, previewRows)
	if err != nil {
		return err
	}
	for n := range sample.Len() {
		var row []string
		for i, v := range sample.Row(n) {
			row = append(row, strings.Clone(table.Columns[i].Format(v)))
		}
		b.preview = append(b.preview, row)
	}
	b.chart, err = s.suggest(ctx, table, b)
	return err
}
