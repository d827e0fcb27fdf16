package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gongshu/catalog"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/ui"
	"gongshu/warehouse"
	"gongshu/workday"
)

// maxConsoleUpload bounds a file sent through a browser, in bytes.
const maxConsoleUpload = 8 << 30

// routesIntake registers the pages of batches and channels.
func (c *Console) routesIntake(mux *http.ServeMux) {
	if c.Intake == nil {
		return
	}
	mux.HandleFunc("GET /console/batches", c.batches)
	mux.HandleFunc("GET /console/batches/new", c.newBatch)
	mux.HandleFunc("POST /console/batches/new", c.uploadBatch)
	mux.HandleFunc("GET /console/batches/{id}", c.batch)
	mux.HandleFunc("POST /console/batches/{id}/confirm", c.confirmBatch)
	mux.HandleFunc("POST /console/batches/{id}/discard", c.discardBatch)
	mux.HandleFunc("GET /console/channels", c.channels)
	mux.HandleFunc("POST /console/channels", c.requestChannel)
	mux.HandleFunc("POST /console/channels/{id}", c.decideChannel)
	c.routesProblems(mux)
}

type batchesView struct {
	list     ui.List
	batches  []*intake.Batch
	total    int
	resource *catalog.Resource
	maySend  bool
	mayRead  func(*intake.Batch) bool // the problem rows of a batch
}

// scope is whose batches the actor sees: the own body's, or for operator and
// authority those of the area.
func scope(a identity.Actor, f intake.Filter) intake.Filter {
	switch a.Post {
	case identity.Operator, identity.AuthorityReviewer:
		if a.Level != "city" {
			f.District = a.District
		}
	default:
		f.Body = a.Body
	}
	return f
}

func batchTarget(b *intake.Batch) operation.Target {
	return operation.Target{Kind: "batch", ID: b.ID, Body: b.Body, District: b.District, Resource: b.Code}
}

func (c *Console) batches(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, "intake.batch.view", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	v := batchesView{list: ui.ParseList(r, ui.ListSpec{Sorts: []string{"received", "file", "resource", "accepted", "rejected"}, Default: "-received", Filters: []string{"state", "problems", "resource"}}), maySend: c.may(r, "intake.batch.receive", ownTarget(a))}
	v.mayRead = func(b *intake.Batch) bool { return c.may(r, "quality.problems.view", batchTarget(b)) }
	f := scope(a, intake.Filter{State: intake.State(v.list.Get("state")), OpenProblems: v.list.Get("problems") == "yes", Text: v.list.Q, Sort: v.list.Sort, Desc: v.list.Desc, Offset: v.list.Offset(), Limit: v.list.Per})
	if code := v.list.Get("resource"); code != "" {
		res, err := c.Catalog.Get(ctx, catalog.ParseCode(code), 0)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		v.resource, f.Resource = res, res.ID
	}
	if wantsSheet(r) {
		c.batchesSheet(w, r, f)
		return
	}
	var err error
	if v.batches, v.total, err = c.Intake.List(ctx, f); err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, batchesPage(v))
}

func (c *Console) batchesSheet(w http.ResponseWriter, r *http.Request, f intake.Filter) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "intake.batches"),
		columns: sheetColumns(ctx, "intake.file", "intake.resource", "sharing.code", "intake.mode", "intake.state", "#intake.accepted", "#intake.rejected", "#intake.open", "intake.received"),
		rows: func(offset int) ([][]string, error) {
			f.Offset, f.Limit = offset, 500
			page, _, err := c.Intake.List(ctx, f)
			var rows [][]string
			for _, b := range page {
				rows = append(rows, []string{b.FileName, b.ResourceName, b.Code, modeWords(ctx, b.Mode), ui.StateWords(ctx, "batch", string(b.State)),
					strconv.FormatInt(b.Accepted, 10), strconv.FormatInt(b.Rejected, 10), strconv.FormatInt(b.Open(), 10), ui.DateTime(b.Received)})
			}
			return rows, err
		}})
}

type uploadView struct {
	resources []ui.Option
	in        intake.Upload
	parent    *intake.Batch
	errors    ui.Errors
}

func (c *Console) newBatch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c.showUpload(w, r, http.StatusOK, uploadView{in: intake.Upload{Resource: q.Get("resource"), Corrects: q.Get("corrects"), Mode: warehouse.Append}})
}

func (c *Console) showUpload(w http.ResponseWriter, r *http.Request, status int, v uploadView) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, "intake.batch.receive", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	if v.in.Corrects != "" {
		parent, err := c.Intake.View(ctx, a, v.in.Corrects)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		v.parent, v.in.Resource = parent, parent.Code
	}
	f := catalog.ListFilter{Kind: catalog.Table, Limit: 1000}
	if a.Post != identity.Operator {
		f.Body = a.Body
	}
	rows, _, err := c.Catalog.List(ctx, f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, row := range rows {
		v.resources = append(v.resources, ui.Option{Value: catalog.PathCode(row.Code), Label: row.Name + "  " + row.Code})
	}
	v.in.Resource = catalog.PathCode(v.in.Resource)
	ui.RenderStatus(w, r, status, uploadPage(v))
}

// uploadBatch streams the file to the store while it arrives; the form's other
// fields stand before it.
func (c *Console) uploadBatch(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	web.LimitBody(r, maxConsoleUpload)
	parts, err := r.MultipartReader()
	if err != nil {
		web.Fail(w, r, errs.New(errs.Invalid, errs.T("表单不完整", "the form is incomplete")).Because(err))
		return
	}
	up := intake.Upload{Source: intake.Console, Hold: true}
	var b *intake.Batch
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			web.Fail(w, r, errs.New(errs.Invalid, errs.T("上传中断，没有保存任何内容，请重新上传", "the upload broke off and nothing was kept; send it again")).Because(err))
			return
		}
		if part.FormName() != "file" {
			value, err := io.ReadAll(io.LimitReader(part, 4096))
			if err != nil {
				web.Fail(w, r, err)
				return
			}
			text := strings.TrimSpace(string(value))
			switch part.FormName() {
			case "resource":
				up.Resource = catalog.ParseCode(text)
			case "mode":
				up.Mode = warehouse.Mode(text)
			case "corrects":
				up.Corrects = text
			case "secrecy":
				up.Secrecy.Declared = text == "yes"
			case "document":
				up.Secrecy.Document = text
			}
			continue
		}
		up.FileName, up.ContentType = path.Base(strings.ReplaceAll(part.FileName(), `\`, "/")), part.Header.Get("Content-Type")
		if up.FileName == "." || up.FileName == "" {
			continue
		}
		if b, err = c.Intake.Receive(ctx, a, up, part); err != nil {
			c.uploadRefused(w, r, err, up)
			return
		}
		break
	}
	if b == nil {
		c.uploadRefused(w, r, errs.New(errs.Invalid, errs.T("请选择要上传的文件", "choose the file to send")).In("file"), up)
		return
	}
	http.Redirect(w, r, "/console/batches/"+b.ID, http.StatusSeeOther)
}

func (c *Console) uploadRefused(w http.ResponseWriter, r *http.Request, err error, up intake.Upload) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	c.showUpload(w, r, web.Status(err), uploadView{in: up, errors: ui.ErrorsOf(r.Context(), err)})
}

type batchView struct {
	batch       *intake.Batch
	resource    *catalog.Resource
	preview     *intake.Preview
	over        intake.Override
	errors      ui.Errors
	tallies     []quality.Tally
	corrections []*intake.Batch
	read, bad   int64 // rows of a load under way
	stopping    bool  // somebody is asked whether to stop it
	mayMend     bool
	maySeeRows  bool
	mayConfirm  bool
	notice      string
}

// stopAction leads to the question whether a load is to be stopped: on a page of its
// own, that is not renewed while somebody thinks.
func stopAction(ctx context.Context, v batchView) []ui.Action {
	if !v.mayConfirm {
		return nil
	}
	return []ui.Action{{Label: ui.T(ctx, "intake.stop"), Href: "/console/batches/" + v.batch.ID + "?stop=yes", Icon: "ban"}}
}

func (c *Console) batch(w http.ResponseWriter, r *http.Request) {
	c.showBatch(w, r, http.StatusOK, intake.Override{}, nil)
}

func (c *Console) showBatch(w http.ResponseWriter, r *http.Request, status int, over intake.Override, refusal error) {
	ctx, a := r.Context(), actor(r)
	b, err := c.Intake.View(ctx, a, r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	target := batchTarget(b)
	v := batchView{batch: b, over: over, notice: r.URL.Query().Get("done"), maySeeRows: c.may(r, "quality.problems.view", target),
		mayMend: c.may(r, "intake.batch.receive", target), mayConfirm: c.may(r, "intake.batch.confirm", target)}
	if v.resource, err = c.Catalog.Get(ctx, b.Code, b.Version); err != nil {
		web.Fail(w, r, err)
		return
	}
	switch b.State {
	case intake.Held:
		if !v.mayConfirm {
			break
		}
		if v.preview, err = c.Intake.Preview(ctx, a, b.ID, over); err != nil {
			web.Fail(w, r, err)
			return
		}
		if refusal == nil {
			refusal = v.preview.Refusal
		}
		if refusal != nil {
			v.errors = ui.ErrorsOf(ctx, refusal)
		}
	case intake.Loading:
		v.stopping = v.mayConfirm && r.URL.Query().Has("stop")
		if v.read, _, v.bad, err = c.Intake.Progress(ctx, b.ID); err != nil {
			web.Fail(w, r, err)
			return
		}
	case intake.Done:
		c.Intake.AuditIndex(ctx, b)
		if v.tallies, err = c.Intake.Tallies(ctx, b.ID); err != nil {
			web.Fail(w, r, err)
			return
		}
		if v.corrections, _, err = c.Intake.List(ctx, intake.Filter{Corrects: b.ID, Limit: 100}); err != nil {
			web.Fail(w, r, err)
			return
		}
	}
	ui.RenderStatus(w, r, status, batchPage(v))
}

// overrideOf reads the form of the layout step.
func overrideOf(r *http.Request) (intake.Override, error) {
	p := func(name string) string { return r.PostForm.Get(name) }
	o := intake.Override{Mapping: map[string]string{}, Layout: tabular.Layout{
		Encoding: tabular.Encoding(p("encoding")), Delimiter: p("delimiter"), Decimal: p("decimal"), Sheet: p("sheet"), Records: p("records"),
		FillMerged: p("fill_merged") == "yes", AllowShort: p("allow_short") == "yes"}}
	if o.Layout.Delimiter == "tab" {
		o.Layout.Delimiter = "\t"
	}
	for _, f := range []struct {
		name string
		to   *int
	}{{"header_row", &o.HeaderRow}, {"header_rows", &o.HeaderRows}} {
		if p(f.name) == "" {
			continue
		}
		n, err := strconv.Atoi(p(f.name))
		if err != nil || n < 0 || n > 1_000_000 {
			return o, errs.New(errs.Invalid, errs.T("行号应为整数", "a row number is a whole number")).In(f.name)
		}
		*f.to = n
	}
	o.NoHeader = p("header_row") == "0"
	for name, values := range r.PostForm {
		if item, ok := strings.CutPrefix(name, "map_"); ok && len(values) > 0 {
			switch values[0] {
			case "": // as found
			case "-":
				o.Mapping[item] = ""
			default:
				o.Mapping[item] = values[0]
			}
		}
	}
	return o, nil
}

func (c *Console) confirmBatch(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	over, err := overrideOf(r)
	if err == nil && r.PostForm.Get("do") == "preview" {
		c.showBatch(w, r, http.StatusOK, over, nil)
		return
	}
	if err == nil {
		_, err = c.Intake.Confirm(r.Context(), actor(r), r.PathValue("id"), over)
	}
	if err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		c.showBatch(w, r, web.Status(err), over, err)
		return
	}
	http.Redirect(w, r, "/console/batches/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

func (c *Console) discardBatch(w http.ResponseWriter, r *http.Request) {
	if err := c.Intake.Discard(r.Context(), actor(r), r.PathValue("id")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/batches", http.StatusSeeOther)
}

type channelsView struct {
	list      ui.List
	total     int
	channels  []intake.Channel
	resources []ui.Option
	mayAsk    bool
	mayDecide bool
	errors    ui.Errors
	resource  string
	modes     []string
	reason    string
	until     string
	now       time.Time
	own       string
	person    string
}

func (c *Console) channels(w http.ResponseWriter, r *http.Request) {
	c.showChannels(w, r, http.StatusOK, channelsView{resource: r.URL.Query().Get("resource"), until: c.Now().AddDate(0, 6, 0).Format("2006-01-02")})
}

func (c *Console) showChannels(w http.ResponseWriter, r *http.Request, status int, v channelsView) {
	ctx, a := r.Context(), actor(r)
	if err := c.Door.May(a, "intake.batch.view", ownTarget(a)); err != nil {
		web.Fail(w, r, err)
		return
	}
	v.mayAsk = c.may(r, "intake.channel.request", ownTarget(a))
	v.mayDecide = c.may(r, "intake.channel.decide", operation.Target{Body: a.Body, District: a.District, Attrs: map[string]any{"makers": []string{}}})
	v.now, v.own, v.person = c.Now(), a.Body, a.ID
	body := a.Body
	if f := scope(a, intake.Filter{}); f.Body == "" {
		body = ""
	}
	all, err := c.Intake.Channels(ctx, "", body)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, ch := range all {
		if body != "" || operation.Reaches(a, ch.District) {
			v.channels = append(v.channels, ch)
		}
	}
	v.list = ui.ParseList(r, ui.ListSpec{Sorts: []string{"asked", "resource", "until"}, Default: "-asked", Filters: []string{"state"}})
	v.channels = slices.DeleteFunc(v.channels, func(ch intake.Channel) bool {
		return v.list.Get("state") != "" && v.list.Get("state") != channelState(ch, v.now) || !strings.Contains(ch.ResourceName+" "+ch.Code+" "+ch.BodyName, v.list.Q)
	})
	v.channels = ui.Sorted(v.list, v.channels, map[string]func(x, y intake.Channel) int{
		"asked":    func(x, y intake.Channel) int { return x.RequestedAt.Compare(y.RequestedAt) },
		"resource": ui.By(func(ch intake.Channel) string { return ch.ResourceName }),
		"until":    func(x, y intake.Channel) int { return x.Until.Compare(y.Until) }})
	if r.Method == http.MethodGet && wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "intake.channels"), columns: sheetColumns(ctx, "sharing.code", "intake.resource", "people.body", "intake.channel_modes", "intake.reason", "intake.state", "intake.decision", "intake.until"),
			rows: rowsOf(v.channels, func(ch intake.Channel) []string {
				return []string{ch.Code, ch.ResourceName, ch.BodyName, channelModes(ctx, ch), ch.Reason, ui.StateWords(ctx, "channel", channelState(ch, v.now)), ch.Decision, lastChannelDay(ch)}
			})})
		return
	}
	v.total, v.channels = len(v.channels), ui.PageOf(v.list, v.channels)
	if v.mayAsk {
		rows, _, err := c.Catalog.List(ctx, catalog.ListFilter{Kind: catalog.Table, Body: a.Body, Limit: 1000})
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		for _, row := range rows {
			v.resources = append(v.resources, ui.Option{Value: catalog.PathCode(row.Code), Label: row.Name + "  " + row.Code})
		}
	}
	ui.RenderStatus(w, r, status, channelsPage(v))
}

func (c *Console) requestChannel(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	p := r.PostForm
	v := channelsView{resource: p.Get("resource"), modes: p["modes"], reason: p.Get("reason"), until: p.Get("until")}
	until, err := time.ParseInLocation("2006-01-02", v.until, cityTime)
	if err != nil {
		err = errs.New(errs.Invalid, errs.T("请填写到期日，如 2026-11-21", "give the last day, such as 2026-11-21")).In("until")
	} else {
		var modes []warehouse.Mode
		for _, m := range v.modes {
			modes = append(modes, warehouse.Mode(m))
		}
		_, err = c.Intake.RequestChannel(r.Context(), actor(r), catalog.ParseCode(v.resource), modes, v.reason, until.AddDate(0, 0, 1))
	}
	c.afterChannel(w, r, err, v)
}

var cityTime = workday.Zone

func (c *Console) afterChannel(w http.ResponseWriter, r *http.Request, err error, v channelsView) {
	if err != nil {
		if !ui.IsRefusal(err) {
			web.Fail(w, r, err)
			return
		}
		v.errors = ui.ErrorsOf(r.Context(), err)
		c.showChannels(w, r, web.Status(err), v)
		return
	}
	http.Redirect(w, r, "/console/channels", http.StatusSeeOther)
}

func (c *Console) decideChannel(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		web.Fail(w, r, err)
		return
	}
	ctx, a, id, reason := r.Context(), actor(r), r.PathValue("id"), r.PostForm.Get("reason")
	var err error
	switch r.PostForm.Get("do") {
	case "approve", "refuse":
		_, err = c.Intake.DecideChannel(ctx, a, id, r.PostForm.Get("do") == "approve", reason)
	case "revoke":
		err = c.Intake.RevokeChannel(ctx, a, id, reason)
	default:
		err = errs.New(errs.Invalid, errs.T("没有这样的操作", "there is no such step"))
	}
	c.afterChannel(w, r, err, channelsView{until: c.Now().AddDate(0, 6, 0).Format("2006-01-02")})
}

// itemName finds an item's name for a page; ids of items that are gone stand for themselves.
func itemName(ctx context.Context, r *catalog.Resource, id string) string {
	if it := r.Item(id); it != nil {
		return it.Name
	}
	if id == "" {
		return ui.T(ctx, "quality.whole_row")
	}
	return id
}
