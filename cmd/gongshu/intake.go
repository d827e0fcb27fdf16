package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
)

// intakeCmd sends a file: to a server with an API key, or into the data
// directory on this machine.
type intakeCmd struct {
	stores
	File      string            `arg:"" help:"File to send: CSV, XLSX, NDJSON or JSON, also gzipped."`
	Resource  string            `help:"Code of the resource." required:""`
	Mode      string            `help:"append, upsert, replace or delete; the last three need an approved channel (FZM-29.3)." default:"append" enum:"append,upsert,replace,delete"`
	Channel   string            `help:"Id of the approved channel."`
	Corrects  string            `help:"Id of the batch whose problem rows the file mends."`
	Secrecy   string            `help:"Declare that the data passed secrecy review and holds no state or work secret (FZM-2, FZM-31): 'declared', or 'declared; document=NUMBER'." placeholder:"DECLARATION"`
	Encoding  string            `help:"Encoding, where it is known."`
	Delimiter string            `help:"Delimiter, one character, or tab."`
	Decimal   string            `help:"Decimal mark, . or ,"`
	Sheet     string            `help:"Sheet of a workbook."`
	Records   string            `help:"Key of the array of records in a JSON object."`
	HeaderRow int               `help:"Row of the column names, from 1; 0 for none; found out by default." default:"-1"`
	Map       map[string]string `help:"Which column an item is taken from, ITEM=COLUMN; may be repeated." placeholder:"ITEM=COLUMN"`
	Key       string            `name:"request-key" help:"Idempotency key: the same key and file again give the first receipt."`
	Problems  string            `help:"Write the problem rows, with reasons, to this file." type:"path" placeholder:"FILE"`
	Server    string            `help:"Address of a server to send to, e.g. https://data.example.cn; without it the data directory is written." env:"GONGSHU_SERVER" placeholder:"URL"`
	APIKey    string            `help:"API key for --server." env:"GONGSHU_API_KEY" placeholder:"KEY"`
	JSON      bool              `help:"Print the receipt as JSON."`
}

func (c intakeCmd) Run(ctx context.Context, g *globals) error {
	if c.Secrecy == "" {
		return errs.New(errs.Invalid, errs.T("请用 --secrecy declared 声明数据已经过保密审查、不含国家秘密和工作秘密", "declare with --secrecy declared that the data passed secrecy review and holds no state or work secret")).In("--secrecy").By("FZM-2", "FZM-31")
	}
	var receipt intake.Receipt
	var err error
	if c.Server != "" {
		receipt, err = c.remote(ctx)
	} else {
		receipt, err = c.embedded(ctx, g.Lang)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(g.out)
		out.SetIndent("", "  ")
		return out.Encode(receipt)
	}
	return printReceipt(g, receipt)
}

func printReceipt(g *globals, r intake.Receipt) error {
	t := errs.Tf("批次 %[1]s（%[2]s，%[3]s）\n共 %[4]d 行：入库 %[5]d，退回 %[6]d（待更正 %[7]d）\n新增 %[8]d，更新 %[9]d，删除 %[10]d\nSHA-256 %[11]s\n审计序号 %[12]d\n",
		"batch %[1]s (%[2]s, %[3]s)\n%[4]d rows: %[5]d accepted, %[6]d rejected (%[7]d open)\n%[8]d inserted, %[9]d updated, %[10]d deleted\nSHA-256 %[11]s\naudit index %[12]d\n",
		r.Batch, r.Resource, string(r.State), r.Total, r.Accepted, r.Rejected, r.Open, r.Inserted, r.Updated, r.Deleted, r.Digest, r.AuditIndex)
	if _, err := io.WriteString(g.out, t.In(g.Lang)); err != nil {
		return err
	}
	if r.Failure != nil {
		return errs.New(errs.Invalid, *r.Failure)
	}
	if len(r.Ignored) > 0 {
		fmt.Fprintln(g.out, errs.Tf("目录中没有的列，未入库：%s", "columns that the catalog does not have, left out: %s", strings.Join(r.Ignored, ", ")).In(g.Lang))
	}
	return nil
}

func (c intakeCmd) embedded(ctx context.Context, lang string) (intake.Receipt, error) {
	none := intake.Receipt{}
	encoding, err := tabular.EncodingNamed(c.Encoding)
	if err != nil {
		return none, err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return none, errs.Newf(errs.Invalid, "无法打开文件 %s", "cannot open the file %s", c.File).In("FILE").Because(err)
	}
	defer f.Close()
	a, err := open(ctx, c.stores, time.Now)
	if err != nil {
		return none, err
	}
	defer a.close()
	up := intake.Upload{Resource: catalog.ParseCode(c.Resource), Mode: warehouse.Mode(c.Mode), Channel: c.Channel, Corrects: c.Corrects, FileName: filepath.Base(c.File),
		RequestKey: c.Key, Source: intake.Command, Mapping: c.Map, HeaderRow: max(c.HeaderRow, 0), NoHeader: c.HeaderRow == 0,
		Secrecy: intake.ParseSecrecy(c.Secrecy),
		Layout:  tabular.Layout{Encoding: encoding, Delimiter: strings.Replace(c.Delimiter, "tab", "\t", 1), Decimal: c.Decimal, Sheet: c.Sheet, Records: c.Records}}
	who := identity.System("command")
	if host, err := os.Hostname(); err == nil {
		who.Name += "@" + host
	}
	b, err := a.intake.Receive(ctx, who, up, f)
	if err != nil {
		return none, err
	}
	if b, err = a.intake.Await(ctx, b.ID); err != nil {
		return none, err
	}
	if c.Problems != "" && b.Rejected > 0 {
		out, err := os.OpenFile(c.Problems, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return none, errs.Newf(errs.Invalid, "无法写入 %s", "cannot write %s", c.Problems).In("--problems").Because(err)
		}
		_, _, write, err := a.intake.ProblemFile(ctx, who, b.ID, formatOf(c.Problems), quality.Which{}, lang)
		if err == nil {
			err = write(ctx, out)
		}
		if e := out.Close(); err == nil {
			err = e
		}
		if err != nil {
			return none, err
		}
	}
	return b.Receipt(), nil
}

func (c intakeCmd) remote(ctx context.Context) (intake.Receipt, error) {
	var receipt intake.Receipt
	f, err := os.Open(c.File)
	if err != nil {
		return receipt, errs.Newf(errs.Invalid, "无法打开文件 %s", "cannot open the file %s", c.File).In("FILE").Because(err)
	}
	defer f.Close()
	q := url.Values{"name": {filepath.Base(c.File)}, "mode": {c.Mode}}
	for name, v := range map[string]string{"channel": c.Channel, "corrects": c.Corrects, "encoding": c.Encoding, "delimiter": c.Delimiter, "decimal": c.Decimal, "sheet": c.Sheet, "records": c.Records} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if c.HeaderRow >= 0 {
		q.Set("header_row", fmt.Sprint(c.HeaderRow))
	}
	if len(c.Map) > 0 {
		text, err := json.Marshal(c.Map)
		if err != nil {
			return receipt, err
		}
		q.Set("mapping", string(text))
	}
	base := strings.TrimRight(c.Server, "/")
	path := base + "/api/v1/resources/" + url.PathEscape(catalog.PathCode(catalog.ParseCode(c.Resource))) + "/batches?" + q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, f)
	if err != nil {
		return receipt, errs.Newf(errs.Invalid, "服务器地址 %s 有误", "the server address %s is wrong", c.Server).In("--server").Because(err)
	}
	if st, err := f.Stat(); err == nil {
		req.ContentLength = st.Size()
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("X-Gongshu-Secrecy", c.Secrecy)
	if c.Key != "" {
		req.Header.Set("Idempotency-Key", c.Key)
	}
	if err := c.call(req, &receipt); err != nil {
		return receipt, err
	}
	if c.Problems != "" && receipt.Rejected > 0 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+receipt.Problems+"?format="+string(formatOf(c.Problems)), nil)
		if err != nil {
			return receipt, err
		}
		out, err := os.OpenFile(c.Problems, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return receipt, errs.Newf(errs.Invalid, "无法写入 %s", "cannot write %s", c.Problems).In("--problems").Because(err)
		}
		err = c.call(req, out)
		if e := out.Close(); err == nil {
			err = e
		}
		return receipt, err
	}
	return receipt, nil
}

// formatOf is the format that a file's ending asks for; CSV by default.
func formatOf(file string) tabular.Format {
	switch f := tabular.Format(strings.TrimPrefix(filepath.Ext(file), ".")); f {
	case tabular.XLSX, tabular.NDJSON, tabular.JSON:
		return f
	}
	return tabular.CSV
}

// call sends a request with the key and reads the answer into a receipt or a
// file; a refusal comes back as the server worded it.
func (c intakeCmd) call(req *http.Request, into any) error {
	if c.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.APIKey)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return errs.Newf(errs.Unavailable, "无法连接服务器 %s", "cannot reach the server %s", c.Server).In("--server").Because(err)
	}
	defer res.Body.Close()
	if out, ok := into.(io.Writer); ok && res.StatusCode < 300 {
		_, err := io.Copy(out, res.Body)
		return err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || res.StatusCode >= 400 && !json.Valid(body) {
		return errs.Newf(errs.Invalid, "服务器拒绝（%[1]d）：%[2]s", "the server refused (%[1]d): %[2]s", res.StatusCode, strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, into)
}
