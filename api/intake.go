package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/catalog"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
)

var receiptType = reflect.TypeFor[intake.Receipt]()

// secrecyHeader carries the declaration of secrecy review (FZM-31).
const secrecyHeader = "X-Gongshu-Secrecy"

// maxUpload bounds a file as it is sent, packed or not.
const maxUpload = 16 << 30

// registerIntake puts in the operations of aggregation.
func (a *API) registerIntake() {
	if a.Intake == nil {
		return
	}
	str := &huma.Schema{Type: "string"}
	in := func(where, name, what string) *huma.Param {
		return &huma.Param{Name: name, In: where, Description: what, Schema: str}
	}
	code := &huma.Param{Name: "code", In: "path", Required: true, Description: "Resource code, its slash written -.", Schema: str}
	id := &huma.Param{Name: "id", In: "path", Required: true, Description: "Batch id.", Schema: str}
	receipt := a.huma.OpenAPI().Components.Schemas.Schema(receiptType, true, "Receipt")
	binary := &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
	send := huma.Operation{
		OperationID: "send-batch", Method: http.MethodPost, Path: "/api/v1/resources/{code}/batches", Tags: []string{"Aggregation 汇聚"},
		Summary: "Send a batch of rows 汇聚一批数据",
		Description: "The body is the file itself: CSV (any of UTF-8, UTF-16, GB18030, Big5, windows-1252), XLSX, NDJSON or a JSON array; gzip is unpacked. " +
			"The answer is the receipt; with Prefer: respond-async it comes at once and the batch is loaded afterwards. " +
			"Every batch carries the declaration of secrecy review in X-Gongshu-Secrecy (FZM-2, FZM-31). Modes other than append need an approved channel (FZM-29.3).",
		Parameters: []*huma.Param{code,
			in("query", "mode", "append (default), upsert, replace or delete."),
			in("query", "channel", "Id of the approved channel; found by itself where there is one."),
			in("query", "corrects", "Id of the batch whose problem rows the file mends."),
			in("query", "name", "File name; its ending says the format where Content-Type does not."),
			in("query", "encoding", "Encoding, where it is known: UTF-8, UTF-16LE, UTF-16BE, GB18030, Big5, windows-1252."),
			in("query", "delimiter", "One character, or tab."),
			in("query", "decimal", "Decimal mark of numbers: . or ,"),
			in("query", "sheet", "Sheet of a workbook."),
			in("query", "records", "Key of the array of records in a JSON object."),
			in("query", "header_row", "Row of the column names, from 1; 0 for none."),
			in("query", "mapping", `JSON object: item (name, code or id) to column name.`),
			in("header", secrecyHeader, `"declared", or "declared; document=NUMBER": reviewed, holds no state or work secret.`),
			in("header", "Idempotency-Key", "Sending the same key and bytes again gives the first receipt."),
			in("header", "Prefer", "respond-async answers before the batch is loaded."),
		},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"text/csv": binary, "application/x-ndjson": binary, "application/json": binary,
			"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": binary, "application/octet-stream": binary}},
		Responses: answers("201", "The receipt.", receipt),
	}
	send.Responses["202"] = &huma.Response{Description: "Stored; the batch is being loaded. Location says where to ask.", Content: send.Responses["201"].Content}
	a.declare(send, http.HandlerFunc(a.sendBatch))
	a.declare(huma.Operation{OperationID: "list-batches", Method: http.MethodGet, Path: "/api/v1/resources/{code}/batches", Tags: send.Tags, Summary: "Batches of a resource 批次列表",
		Parameters: []*huma.Param{code, in("query", "offset", "From 0."), in("query", "limit", "At most 200, 50 by default.")},
		Responses:  answers("200", "Receipts, the newest first, and their number.", object([]string{"total", "batches"}, map[string]*huma.Schema{"total": integer, "batches": list(receipt)}))}, http.HandlerFunc(a.listBatches))
	a.declare(huma.Operation{OperationID: "get-batch", Method: http.MethodGet, Path: "/api/v1/batches/{id}", Tags: send.Tags, Summary: "A batch and its receipt 批次回执",
		Parameters: []*huma.Param{id}, Responses: answers("200", "The receipt; rows_read while it is being loaded.", receipt)}, http.HandlerFunc(a.getBatch))
	a.declare(huma.Operation{OperationID: "get-problems", Method: http.MethodGet, Path: "/api/v1/batches/{id}/problems", Tags: send.Tags, Summary: "Problem rows with every reason 问题数据",
		Description: "Without format, a page as JSON; with format=csv|xlsx|ndjson|json the whole file with a row number and a reasons column, to be mended and sent with corrects=.",
		Parameters: []*huma.Param{id, in("query", "format", "csv, xlsx, ndjson or json."), in("query", "open", "1: only rows that wait for a correction."),
			in("query", "offset", "From 0."), in("query", "limit", "At most 500, 50 by default.")},
		Responses: map[string]*huma.Response{"200": {Description: "Problem rows.", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Description: "total and rows {row, cells, reasons, open}; with format=json the records themselves."}},
			"text/csv":         binary, "application/x-ndjson": binary, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": binary}}}}, http.HandlerFunc(a.getProblems))
}

func (a *API) sendBatch(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	up, err := uploadOf(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	web.LimitBody(r, maxUpload)
	b, err := a.Intake.Receive(ctx, actorOf(ctx), up, r.Body)
	if err != nil {
		if e, ok := errs.As(err); ok && e.Field == "secrecy" {
			err = e.In(secrecyHeader) // as the caller knows it
		}
		web.Fail(w, r, err)
		return
	}
	// Said before the rows are loaded: where that fails, the sender knows what was kept.
	w.Header().Set("Location", "/api/v1/batches/"+b.ID)
	status := http.StatusCreated
	if strings.Contains(strings.ToLower(r.Header.Get("Prefer")), "respond-async") {
		if b.State == intake.Loading {
			status = http.StatusAccepted
		}
		w.Header().Set("Preference-Applied", "respond-async")
	} else if b, err = a.Intake.Await(ctx, b.ID); err != nil {
		web.Fail(w, r, err)
		return
	}
	if b.State == intake.Failed {
		status = http.StatusUnprocessableEntity
	}
	a.writeReceipt(w, r, status, b)
}

// uploadOf reads what the sender says of the file.
func uploadOf(r *http.Request) (intake.Upload, error) {
	q := r.URL.Query()
	up := intake.Upload{
		Resource: catalog.ParseCode(r.PathValue("code")), Mode: warehouse.Mode(q.Get("mode")), Channel: q.Get("channel"), Corrects: q.Get("corrects"),
		FileName: q.Get("name"), ContentType: r.Header.Get("Content-Type"), RequestKey: r.Header.Get("Idempotency-Key"), Source: intake.API,
		Layout: tabular.Layout{Delimiter: q.Get("delimiter"), Decimal: q.Get("decimal"), Sheet: q.Get("sheet"), Records: q.Get("records")},
	}
	var err error
	if up.Layout.Encoding, err = tabular.EncodingNamed(q.Get("encoding")); err != nil {
		return up, err
	}
	if up.Layout.Delimiter == "tab" {
		up.Layout.Delimiter = "\t"
	}
	if up.FileName == "" {
		up.FileName = fileName(r)
	}
	up.Secrecy = intake.ParseSecrecy(r.Header.Get(secrecyHeader))
	if text := q.Get("mapping"); text != "" {
		if err := json.Unmarshal([]byte(text), &up.Mapping); err != nil {
			return up, errs.New(errs.Invalid, errs.T("mapping 不是 JSON 对象", "mapping is not a JSON object of strings")).In("mapping").Because(err)
		}
	}
	if text := q.Get("header_row"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return up, errs.New(errs.Invalid, errs.T("header_row 应为不小于 0 的整数", "header_row is a whole number of at least 0")).In("header_row")
		}
		up.HeaderRow, up.NoHeader = n, n == 0
	}
	return up, nil
}

// fileName takes the name from Content-Disposition, else makes one of the type.
func fileName(r *http.Request) string {
	if _, params, err := mime.ParseMediaType(r.Header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		return params["filename"]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return "upload.json"
	case "application/x-ndjson", "application/jsonl":
		return "upload.ndjson"
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return "upload.xlsx"
	case "text/csv", "text/tab-separated-values":
		return "upload.csv"
	}
	return "upload"
}

func (a *API) writeReceipt(w http.ResponseWriter, r *http.Request, status int, b *intake.Batch) {
	a.Intake.AuditIndex(r.Context(), b)
	out := b.Receipt()
	if b.State == intake.Loading {
		read, _, _, err := a.Intake.Progress(r.Context(), b.ID)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		out.RowsRead = read
	}
	respond(w, status, out)
}

func respond(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (a *API) getBatch(w http.ResponseWriter, r *http.Request) {
	b, err := a.Intake.View(r.Context(), actorOf(r.Context()), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	a.writeReceipt(w, r, http.StatusOK, b)
}

func paging(q url.Values, most int64) (offset, limit int64, err error) {
	limit = min(50, most)
	for _, p := range []struct {
		name        string
		to          *int64
		least, most int64
	}{{"offset", &offset, 0, 1 << 40}, {"limit", &limit, 1, most}} {
		if text := q.Get(p.name); text != "" {
			n, e := strconv.ParseInt(text, 10, 64)
			if e != nil || n < p.least || n > p.most {
				return 0, 0, errs.Newf(errs.Invalid, "%[1]s 应为 %[2]d 到 %[3]d 的整数", "%[1]s is a whole number from %[2]d to %[3]d", p.name, p.least, p.most).In(p.name)
			}
			*p.to = n
		}
	}
	return offset, limit, nil
}

func (a *API) listBatches(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	offset, limit, err := paging(r.URL.Query(), 200)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	batches, total, err := a.Intake.ListOf(ctx, actorOf(ctx), catalog.ParseCode(r.PathValue("code")), int(offset), int(limit))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	out := struct {
		Total   int              `json:"total"`
		Batches []intake.Receipt `json:"batches"`
	}{Total: total, Batches: []intake.Receipt{}}
	for _, b := range batches {
		rec := b.Receipt()
		rec.Layout = nil
		out.Batches = append(out.Batches, rec)
	}
	respond(w, http.StatusOK, out)
}

func (a *API) getProblems(w http.ResponseWriter, r *http.Request) {
	ctx, q := r.Context(), r.URL.Query()
	id, open := r.PathValue("id"), q.Get("open") == "1"
	if f := q.Get("format"); f != "" {
		b, format, write, err := a.Intake.ProblemFile(ctx, actorOf(ctx), id, tabular.Format(f), quality.Which{Open: open}, web.Lang(ctx))
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		name := b.ProblemName(format)
		w.Header().Set("Content-Type", format.ContentType())
		w.Header().Set("Content-Disposition", "attachment; filename=\"problems."+string(format)+"\"; filename*=UTF-8''"+url.PathEscape(name))
		w.Header().Set("Cache-Control", "no-store")
		if err := write(ctx, w); err != nil {
			a.Log.Error("problem rows broke off", "id", web.ID(ctx), "err", err)
			panic(http.ErrAbortHandler) // a cut file must not look whole
		}
		return
	}
	offset, limit, err := paging(q, 500)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	rows, total, err := a.Intake.Problems(ctx, actorOf(ctx), id, quality.Which{Open: open}, "", offset, limit)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	type row struct {
		Row     int64           `json:"row"`
		Cells   []string        `json:"cells"`
		Reasons []quality.Fault `json:"reasons"`
		Open    bool            `json:"open"`
	}
	out := struct {
		Total int64 `json:"total"`
		Rows  []row `json:"rows"`
	}{Total: total, Rows: []row{}}
	for _, p := range rows {
		out.Rows = append(out.Rows, row{p.Row, p.Cells, p.Faults, p.Open})
	}
	respond(w, http.StatusOK, out)
}
