package opendata

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"gongshu/catalog"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/tabular"
	"gongshu/warehouse"
)

//go:embed migrations/*.sql
var openMigrations embed.FS

// OpenStore is the store that the portal reads: a database of its own (datasets,
// counters), rows for the API beside it, and a folder of files. It holds copies of
// what was published and nothing else, so a portal node needs no other credential.
type OpenStore struct {
	db   *db.DB
	rows *warehouse.Store
	dir  *os.Root

	counts  counter
	cache   datasetCache
	summary summaryCache
}

// OpenAt opens and migrates the open store: "sqlite:/dir/open.db" (rows then stand
// in open-rows.db beside it) or "postgres://…" (schemas open and open_rows), and
// the folder of files, which is made when missing.
func OpenAt(ctx context.Context, target, dir string) (*OpenStore, error) {
	rowsTarget := target
	if file, ok := strings.CutPrefix(target, "sqlite:"); ok {
		rowsTarget = "sqlite:" + strings.TrimSuffix(file, ".db") + "-rows.db"
	} else {
		var err error
		if target, err = inSchema(target, "open"); err != nil {
			return nil, err
		}
		if rowsTarget, err = inSchema(target, "open_rows"); err != nil {
			return nil, err
		}
	}
	// First, for the database's file often lies in the folder above.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	rows, err := warehouse.Open(ctx, rowsTarget)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	d, err := db.Open(ctx, target)
	if err != nil {
		rows.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	o := &OpenStore{db: d, rows: rows}
	fail := func(err error) (*OpenStore, error) {
		o.rows.Close()
		d.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := prepareSchema(ctx, d); err != nil {
		return fail(err)
	}
	files, err := fs.Sub(openMigrations, "migrations")
	if err != nil {
		return fail(err)
	}
	if err := d.MigrateFrom(ctx, files, "open_migration"); err != nil {
		return fail(err)
	}
	if o.dir, err = os.OpenRoot(dir); err != nil {
		return fail(err)
	}
	o.cache.byID = map[string]*Dataset{}
	o.counts.pending = map[countKey]count{}
	return o, nil
}

// inSchema sets the schema of a PostgreSQL address.
func inSchema(target, schema string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("open store address: %w", err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Ping asks the store for a sign of life.
func (o *OpenStore) Ping(ctx context.Context) error { return o.db.Ping(ctx) }

// Close flushes the counters and ends all connections.
func (o *OpenStore) Close() error {
	return errors.Join(o.Flush(context.Background()), o.rows.Close(), o.db.Close(), o.dir.Close())
}

// rowsID is the table of a version's rows in the open store.
func rowsID(dataset string, version int) string {
	return strings.ReplaceAll(dataset, "-", "") + "-" + strconv.Itoa(version)
}

// folder is where a version's files stand.
func folder(dataset string, version int) string {
	return path.Join(dataset, strconv.Itoa(version))
}

func fileOf(dataset string, version int, format string) string {
	return path.Join(folder(dataset, version), "data."+format)
}

// put makes a dataset's document the one that readers see, and returns its number
// in the change sequence.
func (o *OpenStore) put(ctx context.Context, d *Dataset) error {
	err := o.db.InTx(ctx, func(tx *db.Tx) error { return putDataset(ctx, tx, d) })
	o.cache.forget(d.ID)
	return err
}

// withdraw takes a dataset's files away and leaves its page with the reason
// (FZO-17); from now on nothing of it is given out. It may be called again.
func (o *OpenStore) withdraw(ctx context.Context, id string, at time.Time, why string) error {
	d, err := o.readByID(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil // never built
	}
	if err != nil {
		return err
	}
	gone := *d
	gone.State, gone.WithdrawnAt, gone.WithdrawnWhy = Withdrawn, at, why
	gone.Files, gone.Preview, gone.Chart, gone.Map = nil, nil, nil, nil
	gone.Items = append([]Item{}, d.Items...)
	for i := range gone.Items {
		gone.Items[i].Profile = Profile{} // its values are data too
	}
	gone.Versions = append([]Version{}, d.Versions...)
	for i := range gone.Versions {
		gone.Versions[i].Files = nil
	}
	if err := o.put(ctx, &gone); err != nil {
		return err
	}
	if err := o.dir.RemoveAll(id); err != nil {
		return fmt.Errorf("remove the files of %s: %w", id, err)
	}
	return nil
}

// forgetRows drops the rows of a withdrawn dataset; nobody can ask for them any more.
func (o *OpenStore) forgetRows(ctx context.Context, id string) error {
	d, err := o.readByID(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, v := range d.Versions {
		if err := o.dropRows(ctx, id, v.Version); err != nil {
			return err
		}
	}
	return nil
}

func (o *OpenStore) dropRows(ctx context.Context, id string, version int) error {
	if err := o.rows.Drop(ctx, rowsID(id, version)); err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}

// datasetCache keeps parsed documents; each read asks the store for the number of
// its last change, which is an index lookup.
type datasetCache struct {
	mu   sync.RWMutex
	byID map[string]*Dataset
	seq  map[string]int64
}

func (c *datasetCache) get(id string, seq int64) *Dataset {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.seq[id] == seq {
		return c.byID[id]
	}
	return nil
}

func (c *datasetCache) set(id string, seq int64, d *Dataset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seq == nil {
		c.seq = map[string]int64{}
	}
	c.byID[id], c.seq[id] = d, seq
}

func (c *datasetCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
	delete(c.seq, id)
}

// BySlug reads a dataset; the caller must not change it. A withdrawn one is
// returned with its state; use Live before giving data. Errors: errs.NotFound.
func (o *OpenStore) BySlug(ctx context.Context, slug string) (*Dataset, error) {
	return o.read(ctx, "slug", slug)
}

func (o *OpenStore) readByID(ctx context.Context, id string) (*Dataset, error) {
	return o.read(ctx, "id", id)
}

func (o *OpenStore) read(ctx context.Context, by, value string) (*Dataset, error) {
	id, seq, err := datasetSeq(ctx, o.db.Read(), by, value)
	if err != nil {
		return nil, err
	}
	if d := o.cache.get(id, seq); d != nil {
		return d, nil
	}
	d, seq, err := getDataset(ctx, o.db.Read(), id)
	if err != nil {
		return nil, err
	}
	o.cache.set(id, seq, d)
	return d, nil
}

// gone is the answer to a request for data of a dataset that was taken off.
func gone(d *Dataset) error {
	return errs.Newf(errs.Gone, "“%[1]s”已于 %[3]s 撤回：%[2]s", "%[1]q was withdrawn on %[3]s: %[2]s", d.Title, d.WithdrawnWhy, d.WithdrawnAt.In(beijing).Format(time.DateOnly)).By("FZO-17")
}

// dataOf refuses data of a dataset that has none to give.
func dataOf(d *Dataset) error {
	switch {
	case d.State == Withdrawn:
		return gone(d)
	case d.Kind == Listing:
		return errs.Newf(errs.Forbidden, "“%[1]s”为授权开放数据，需申请并签订协议后使用：%[2]s", "%[1]q is open on application only, under an agreement: %[2]s", d.Title, d.Conditions).By("FZO-8", "FZO-12")
	}
	return nil
}

// OpenFile opens a stored file of a version (0: the newest) for reading; the
// caller closes it. Errors: errs.Gone, errs.Forbidden for a listing, errs.NotFound.
func (o *OpenStore) OpenFile(ctx context.Context, d *Dataset, version int, format string) (*os.File, File, error) {
	if err := dataOf(d); err != nil {
		return nil, File{}, err
	}
	files := d.Files
	if version == 0 {
		version = d.Version
	} else if version != d.Version {
		files = nil
		for _, v := range d.Versions {
			if v.Version == version {
				files = v.Files
			}
		}
	}
	for _, f := range files {
		if f.Format != format {
			continue
		}
		file, err := o.dir.Open(fileOf(d.ID, version, format))
		if errors.Is(err, fs.ErrNotExist) {
			// Withdrawn, or replaced, between reading the page and the file.
			break
		}
		return file, f, err
	}
	return nil, File{}, errs.Newf(errs.NotFound, "没有第 %[1]d 版的 %[2]s 文件", "there is no %[2]s file of version %[1]d", version, strings.ToUpper(format)).In("format")
}

// RowsQuery asks for rows of a dataset.
type RowsQuery struct {
	// Fields are names or codes of items; nil means all.
	Fields []string
	// Filters must all hold; each is "item:op:value", op one of eq, ne, lt, le, gt,
	// ge, in (values separated by |), prefix, contains, null, notnull.
	Filters []string
	Offset  int64 // 0 … 10,000,000
	Limit   int   // 1 … 1000
}

// RowsPage is a stretch of rows.
type RowsPage struct {
	Items []Item
	Rows  [][]warehouse.Value
	// Columns format the values of Rows.
	Columns []warehouse.Column
	// Total is the number of rows that match; Exact is false when counting stopped
	// at that number.
	Total int64
	Exact bool
}

// maxCounted bounds how far a filtered count goes.
const maxCounted = 100_000

// Rows reads a page of the newest version's rows.
func (o *OpenStore) Rows(ctx context.Context, d *Dataset, q RowsQuery) (*RowsPage, error) {
	if err := dataOf(d); err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return nil, errs.Newf(errs.Invalid, "limit 应为 1 至 1000", "limit is 1 to 1000").In("limit")
	}
	if q.Offset < 0 || q.Offset > 10_000_000 {
		return nil, errs.Newf(errs.Invalid, "offset 应为 0 至 10000000；取全部数据请下载文件", "offset is 0 to 10,000,000; download a file to have all rows").In("offset")
	}
	page := &RowsPage{Items: d.Items}
	if len(q.Fields) > 0 {
		page.Items = nil
		for _, f := range q.Fields {
			it := d.item(f)
			if it == nil {
				return nil, noItem(f).In("fields")
			}
			page.Items = append(page.Items, *it)
		}
	}
	var filter warehouse.Filter
	for _, text := range q.Filters {
		c, err := d.condition(text)
		if err != nil {
			return nil, err
		}
		filter = append(filter, c)
	}
	var names []string
	for _, it := range page.Items {
		names = append(names, it.Column)
	}
	table := rowsID(d.ID, d.Version)
	rows, err := o.rows.Page(ctx, table, names, filter, q.Offset, q.Limit)
	if errs.Is(err, errs.NotFound) {
		// A newer version has come since the dataset was read.
		if now, nerr := o.readByID(ctx, d.ID); nerr == nil && now.Version != d.Version {
			return o.Rows(ctx, now, q)
		}
	}
	if err != nil {
		return nil, err
	}
	page.Columns = rows.Columns
	for i := range rows.Len() {
		page.Rows = append(page.Rows, rows.Row(i))
	}
	if filter == nil {
		page.Total, page.Exact = d.Rows, true
		return page, nil
	}
	page.Total, err = o.rows.CountUpTo(ctx, table, filter, maxCounted)
	page.Exact = page.Total < maxCounted
	return page, err
}

func (d *Dataset) item(name string) *Item {
	for i := range d.Items {
		if d.Items[i].Name == name || (d.Items[i].Code != "" && strings.EqualFold(d.Items[i].Code, name)) {
			return &d.Items[i]
		}
	}
	return nil
}

func noItem(name string) *errs.Error {
	return errs.Newf(errs.Invalid, "数据集没有信息项“%s”", "the dataset has no item %q", name)
}

var filterOps = map[string]warehouse.Op{"eq": warehouse.Eq, "ne": warehouse.Ne, "lt": warehouse.Lt, "le": warehouse.Le, "gt": warehouse.Gt,
	"ge": warehouse.Ge, "in": warehouse.In, "prefix": warehouse.Prefix, "contains": warehouse.Contains, "null": warehouse.IsNull, "notnull": warehouse.NotNull}

// condition reads one "item:op:value".
func (d *Dataset) condition(text string) (warehouse.Cond, error) {
	name, rest, ok := strings.Cut(text, ":")
	op, value, _ := strings.Cut(rest, ":")
	if !ok {
		return warehouse.Cond{}, errs.Newf(errs.Invalid, "筛选条件应写作 信息项:eq:值，不是“%s”", "a filter is item:eq:value, not %q", text).In("filter")
	}
	it := d.item(name)
	if it == nil {
		return warehouse.Cond{}, noItem(name).In("filter")
	}
	do, ok := filterOps[op]
	if !ok {
		return warehouse.Cond{}, errs.Newf(errs.Invalid, "没有筛选方式“%s”，可用 eq ne lt le gt ge in prefix contains null notnull", "there is no filter %q; use eq ne lt le gt ge in prefix contains null notnull", op).In("filter")
	}
	c := warehouse.Cond{Column: it.Column, Op: do}
	if do == warehouse.IsNull || do == warehouse.NotNull {
		return c, nil
	}
	column := it.column()
	values := []string{value}
	if do == warehouse.In {
		values = strings.Split(value, "|")
	}
	for _, v := range values {
		parsed, err := column.Parse(v)
		if err == nil && parsed.IsNull() {
			err = errs.New(errs.Invalid, errs.T("筛选值为空；查找空值请用 null", "the value is empty; use null to find absent values"))
		}
		if e, ok := errs.As(err); ok {
			return c, e.In("filter")
		}
		c.Values = append(c.Values, parsed)
	}
	return c, nil
}

func (it *Item) column() warehouse.Column {
	return warehouse.Column{Name: it.Column, Type: warehouse.TypeOf(string(it.Type), it.Scale), Scale: scaleOf(it.Type, it.Scale)}
}

// written is the item as a column of the files. Numbers without declared digits
// are stored, and so written, as floats.
func (it *Item) written() tabular.Column {
	c := it.column()
	out := tabular.Column{Name: it.Name, Type: it.Type[0], Scale: c.Scale}
	if c.Type == warehouse.Float {
		out.Type = 'F'
	}
	return out
}

// scaleOf keeps the digits only where the column has them.
func scaleOf(t catalog.ItemType, scale int) int {
	if warehouse.TypeOf(string(t), scale) == warehouse.Decimal {
		return scale
	}
	return 0
}
