package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gongshu/gateway"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
)

// registerGateway puts in the data service and the usage log.
func (a *API) registerGateway() {
	if a.Gateway == nil {
		return
	}
	const base = "/api/v1/resources/{code}"
	a.declare(a.dataOperation("query", http.MethodPost, base+"/query", "按主键查询 / Query by key",
		"按资源声明的主键查询，返回授权的信息项（脱敏后）。\n\nRows by the declared key, granted items only, masked as the grant says.", querySchema, queryAnswer), a.data((*gateway.Service).Query))
	a.declare(a.dataOperation("verify", http.MethodPost, base+"/verify", "核验 / Verify",
		"逐项回答是或否，不返回任何数据值。查无此人与不符同样回答否。\n\nYes or no a claim; a key without a row answers no.", verifySchema, verifyAnswer), a.data((*gateway.Service).Verify))
	a.declare(a.dataOperation("statistics", http.MethodPost, base+"/statistics", "统计 / Statistics",
		"只答分组统计；小于阈值的组不显示，与先前答复相差过小的范围拒绝。\n\nMeasures of groups; small groups are suppressed, groups that could be differenced are refused.", statsSchema, statsAnswer), a.data((*gateway.Service).Statistics))
	rows := a.dataOperation("rows", http.MethodGet, base+"/rows", "批量获取 / Obtain rows",
		"流式返回授权的行，可断点续传：上次响应尾部的 X-Gongshu-Next-Since 作为 since 再次请求即只取其后的变化。完整的响应以尾部 X-Gongshu-Digest（SHA-256）核对；中途断开的响应没有尾部。\n\n"+
			"A stream of the granted rows. The trailers X-Gongshu-Digest, -Rows, -Next-Since and -Complete come with a complete answer only; pass Next-Since as since to go on. Files carry a watermark of their release.", nil, nil)
	rows.Parameters = append(rows.Parameters,
		queryParam("format", "csv（默认）、ndjson 或 parquet", &huma.Schema{Type: "string", Enum: []any{"csv", "ndjson", "parquet"}}),
		queryParam("since", "上次响应给出的标记 / token of an earlier answer", &huma.Schema{Type: "string"}),
		queryParam("tokens", "true：每行带 _since，可从任意一行续传 / each row carries its token", &huma.Schema{Type: "boolean"}),
		queryParam("limit", "至多返回的行数 / rows at most", &huma.Schema{Type: "integer"}))
	rows.Responses["200"].Content = map[string]*huma.MediaType{"text/csv": {Schema: text}, "application/x-ndjson": {Schema: text}, "application/vnd.apache.parquet": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	a.declare(rows, http.HandlerFunc(a.rows))

	Register(a, huma.Operation{OperationID: "usage-feed", Method: http.MethodGet, Path: "/api/v1/usage", Tags: []string{"usage"},
		Summary: "使用日志 / Usage log", Description: "本单位作为提供方或使用方的使用日志，按序号递增，不遗漏；after 省略时从最后一次回执之后开始（LY-24, QZ-3.1.8）。\n\nThe usage log of your body, in order and without gaps; without after it goes on behind the last receipt."}, a.usageFeed)
	Register(a, huma.Operation{OperationID: "usage-acknowledge", Method: http.MethodPost, Path: "/api/v1/usage/receipts", Tags: []string{"usage"},
		Summary: "确认收到使用日志 / Acknowledge the usage log"}, a.usageAcknowledge)
}

// call reads who calls and the facts of the use.
func (a *API) call(r *http.Request) (*gateway.Call, error) {
	caller, err := a.Clients.Authenticate(r, addrOf(r))
	if err != nil {
		return nil, err
	}
	web.NoteActor(r.Context(), caller.Client.ID)
	c := &gateway.Call{Caller: caller, Addr: web.Addr(r), Resource: resourceCode(r.PathValue("code"))}
	for _, f := range [...]struct {
		header string
		to     *string
	}{{"X-Gongshu-Grant", &c.Grant}, {"X-Gongshu-Purpose", &c.Purpose}, {"X-Gongshu-User", &c.User},
		{"X-Gongshu-Approver", &c.Approver}, {"X-Gongshu-Case", &c.Case}, {"X-Gongshu-Medium", &c.Medium}} {
		values := r.Header[f.header]
		switch {
		case len(values) == 0:
			continue
		case len(values) > 1:
			return nil, errs.Newf(errs.Invalid, "请求头 %s 出现多次", "the header %s is given more than once", f.header).In(f.header)
		}
		if *f.to, err = headerText(f.header, values[0]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// headerText reads a header that may hold Chinese: as UTF-8, or percent-encoded.
func headerText(name, v string) (string, error) {
	v = strings.TrimSpace(v)
	if strings.Contains(v, "%") {
		if plain, err := url.PathUnescape(v); err == nil {
			v = plain
		}
	}
	if len(v) > 500 || strings.ToValidUTF8(v, "") != v || strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", errs.Newf(errs.Invalid, "请求头 %s 过长，或不是 UTF-8（可用百分号编码）", "the header %s is too long or not UTF-8 (percent-encoding will do)", name).In(name)
	}
	return v, nil
}

// resourceCode turns the code of an address into the catalog's: "310010100-000001".
func resourceCode(s string) string { return strings.Replace(s, "-", "/", 1) }

const maxDataBody = 64 << 10

// data serves one of the three modes that answer at once. It bypasses huma: the
// operation is declared beside it, and reflection would cost a tenth of the
// throughput.
func (a *API) data(mode func(*gateway.Service, context.Context, *gateway.Call, []byte, *gateway.Answer) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, err := a.call(r)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		body, err := readBody(w, r)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		answer := gateway.NewAnswer()
		defer answer.Done()
		if err := mode(a.Gateway, r.Context(), call, body, answer); err != nil {
			web.Fail(w, r, err)
			return
		}
		h := w.Header()
		h["Content-Type"] = jsonType
		h["Cache-Control"] = noStore
		h["Content-Length"] = []string{strconv.Itoa(len(answer.Body))}
		_, _ = w.Write(answer.Body)
	})
}

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
)

// readBody reads a small body to its end; a signed one fails there when it is not
// the one that was signed.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "" && !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return nil, errs.New(errs.Unsupported, errs.T("请求体应为 application/json", "the body is to be application/json")).In("Content-Type")
	}
	if n := r.ContentLength; n > maxDataBody {
		return nil, errs.Newf(errs.TooLarge, "请求体超过 %d 字节", "the body is over %d bytes", maxDataBody).In("body")
	} else if n > 0 {
		body := make([]byte, n)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, bodyError(err)
		}
		// A signed body is checked at its end.
		if extra, err := r.Body.Read(make([]byte, 1)); extra != 0 || err != nil && err != io.EOF {
			return nil, bodyError(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDataBody+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if len(body) > maxDataBody {
		return nil, errs.Newf(errs.TooLarge, "请求体超过 %d 字节", "the body is over %d bytes", maxDataBody).In("body")
	}
	return body, nil
}

func bodyError(err error) error {
	if _, known := errs.As(err); known {
		return err
	}
	return errs.New(errs.Invalid, errs.T("请求体没有完整到达", "the body did not arrive whole")).In("body").Because(err)
}

// rows streams. Its trailers come only when all is well: what is cut short ends
// without them, and without the last chunk.
func (a *API) rows(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // a release for nothing: its entry would say that data left
		web.WrongMethod(w, r, http.MethodGet)
		return
	}
	call, err := a.call(r)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	req, err := obtainRequest(r.URL.Query())
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	began := false
	end, err := a.Gateway.Obtain(r.Context(), call, req, func(info gateway.StreamInfo) (io.Writer, error) {
		began = true
		h := w.Header()
		h.Set("Content-Type", info.ContentType)
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Disposition", `attachment; filename="`+strings.ReplaceAll(call.Resource, "/", "-")+"."+info.Extension+`"`)
		h.Set("X-Gongshu-Release", info.Release)
		h.Set("X-Gongshu-Audit", strconv.FormatInt(info.Seq, 10))
		if info.DeletionsWithheld {
			h.Set("X-Gongshu-Deletions", "withheld")
		}
		h.Set("Trailer", "X-Gongshu-Digest, X-Gongshu-Rows, X-Gongshu-Next-Since, X-Gongshu-Complete")
		w.WriteHeader(http.StatusOK)
		return flushing{w, http.NewResponseController(w)}, nil
	})
	if err != nil {
		if !began {
			web.Fail(w, r, err)
			return
		}
		if !errors.Is(err, context.Canceled) {
			a.Log.Warn("stream cut", "id", web.ID(r.Context()), "resource", call.Resource, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("X-Gongshu-Digest", "sha-256=:"+end.Digest+":")
	h.Set("X-Gongshu-Rows", strconv.FormatInt(end.Rows, 10))
	h.Set("X-Gongshu-Next-Since", end.Next)
	h.Set("X-Gongshu-Complete", strconv.FormatBool(end.Complete))
}

// flushing sends each piece at once, so that a stream never waits in a buffer
// beyond the gateway's last look at the grant.
type flushing struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}

func obtainRequest(q url.Values) (gateway.ObtainRequest, error) {
	var req gateway.ObtainRequest
	for name, values := range q {
		var err error
		switch v := values[0]; name {
		case "format":
			req.Format = v
		case "since":
			req.Since = v
		case "tokens":
			req.Tokens, err = strconv.ParseBool(v)
		case "limit":
			if req.Limit, err = strconv.ParseInt(v, 10, 64); err == nil && req.Limit < 1 {
				err = strconv.ErrRange
			}
		}
		if err != nil {
			return req, errs.Newf(errs.Invalid, "参数 %s 的值不对：limit 为不小于 1 的整数，tokens 为 true 或 false", "the value of the parameter %s is not valid: limit is a whole number of at least 1, tokens is true or false", name).In(name)
		}
	}
	return req, nil
}

type usageFeedInput struct {
	Side  string `query:"side" enum:"provider,consumer" default:"consumer" doc:"从哪一方看 / from which side"`
	After int64  `query:"after" default:"-1" doc:"已处理的最后一个序号；省略则从最后回执之后 / last number taken; without it, behind the last receipt"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

type usageFeedOutput struct{ Body gateway.Feed }

func (a *API) usageFeed(ctx context.Context, in *usageFeedInput) (*usageFeedOutput, error) {
	actor := actorOf(ctx)
	out := &usageFeedOutput{}
	err := a.Door.Read(ctx, actor, "gateway.usage.read", operation.Target{Kind: "usage", ID: actor.Body, Body: actor.Body, District: actor.District, Medium: "api"}, func(ctx context.Context) (err error) {
		out.Body, err = a.Gateway.UsageFeed(ctx, actor.Body, gateway.Side(in.Side), in.After, in.Limit)
		operation.Note(ctx, "lines", len(out.Body.Entries))
		return err
	})
	return out, err
}

type usageReceiptInput struct {
	Body struct {
		Side string `json:"side" enum:"provider,consumer"`
		Seq  int64  `json:"seq" minimum:"0" doc:"收到的最后一个序号 / last number taken"`
	}
}

type usageReceiptOutput struct {
	Body struct {
		Side         string `json:"side"`
		Acknowledged int64  `json:"acknowledged"`
	}
}

func (a *API) usageAcknowledge(ctx context.Context, in *usageReceiptInput) (*usageReceiptOutput, error) {
	actor := actorOf(ctx)
	err := a.Door.Do(ctx, actor, "gateway.usage.acknowledge", operation.Target{Kind: "usage", ID: actor.Body, Body: actor.Body, District: actor.District, Medium: "api"}, func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "seq", in.Body.Seq)
		return a.Gateway.AcknowledgeTx(ctx, tx, actor.Body, gateway.Side(in.Body.Side), in.Body.Seq, actor.Name)
	})
	if err != nil {
		return nil, err
	}
	out := &usageReceiptOutput{}
	out.Body.Side, out.Body.Acknowledged = in.Body.Side, in.Body.Seq
	return out, nil
}
