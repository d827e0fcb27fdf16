package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"gongshu/gateway"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/ui"
)

// routesUsage registers the usage log of the data service.
func (c *Console) routesUsage(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/usage", c.usage)
}

var usageFilters = []string{"side", "body", "grant", "resource", "mode", "outcome", "from", "to", "before"}

// usageView is one page of the log with its sums.
type usageView struct {
	list   ui.List
	errors ui.Errors
	side   gateway.Side
	body   string
	whole  bool        // of the whole city, for those who oversee it
	bodies []ui.Option // that the actor may choose from; empty for those who see their own only
	names  map[string]string
	lines  []gateway.Usage
	more   bool
	days   []gateway.UsageDay
	acked  int64
	rules  gateway.Rules
	grant  *gateway.Grant
}

const usagePer, usageRead = 20, 1000

// usageWhole is the filter's word for all bodies of the city.
const usageWhole = "all"

// usageFilter reads the filter of an address; days are the city's, both inclusive.
func usageFilter(list ui.List) (gateway.UsageFilter, error) {
	f := gateway.UsageFilter{Side: gateway.Side(list.Get("side")), Grant: list.Get("grant"), Resource: strings.Replace(list.Get("resource"), "-", "/", 1),
		Mode: gateway.Mode(list.Get("mode")), Outcome: list.Get("outcome")}
	if f.Side == "" {
		f.Side = gateway.AsProvider
	}
	var err error
	f.From, f.To, err = span(list)
	return f, err
}

func (c *Console) usage(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), actor(r)
	v := usageView{list: ui.ParseList(r, ui.ListSpec{Filters: usageFilters, Per: usagePer}), rules: c.Gateway.Rules(), names: map[string]string{}}
	f, err := usageFilter(v.list)
	if err != nil {
		v.errors = ui.ErrorsOf(ctx, err)
		f = gateway.UsageFilter{Side: gateway.AsProvider, Outcome: "-"} // nothing is looked for
	}
	f.Body = a.Body
	target := operation.Target{Kind: "usage", Body: a.Body, District: a.District, Grant: f.Grant, Resource: f.Resource, Medium: "page"}
	switch other := v.list.Get("body"); other {
	case "", a.Body:
	case usageWhole: // without a division: only who reaches the whole city may
		v.whole, f.Whole, f.Body, target.Body, target.District = true, true, "", "", ""
	default:
		b, err := c.Org.Body(ctx, other)
		if err != nil {
			web.Fail(w, r, err)
			return
		}
		f.Body, target.Body, target.District, target.Name = b.ID, b.ID, b.District, b.Name
	}
	target.ID = f.Body
	v.body, v.side = f.Body, f.Side
	if wantsSheet(r) {
		target.Medium = "file"
	}
	before, _ := strconv.ParseInt(v.list.Get("before"), 10, 64)
	err = c.Door.Read(ctx, a, "gateway.usage.read", target, func(ctx context.Context) (err error) {
		for more := true; more; { // what is in the audit log now is on the page
			if more, err = c.Gateway.Project(ctx); err != nil {
				return err
			}
		}
		limit := v.list.Per + 1
		if target.Medium == "file" {
			// Counted first, so that the log says how many lines leave; they are read
			// again while they are written, a page at a time.
			lines, page := 0, c.usagePages(f, 0)
			for more := true; more; {
				got, err := page(ctx)
				if err != nil {
					return err
				}
				if lines == 0 && len(got) > 0 {
					before = got[0].Seq + 1 // what comes meanwhile is not in the file
				}
				lines += len(got)
				more = len(got) > 0 && lines < sheetRows
			}
			operation.Note(ctx, "lines", min(lines, sheetRows))
			return nil
		}
		if v.lines, err = c.Gateway.UsageList(ctx, f, before, limit); err != nil {
			return err
		}
		if v.more = len(v.lines) == limit; v.more {
			v.lines = v.lines[:limit-1]
		}
		operation.Note(ctx, "lines", len(v.lines))
		if v.days, err = c.Gateway.UsageDays(ctx, f); err != nil {
			return err
		}
		if !v.whole {
			v.acked, err = c.Gateway.Acknowledged(ctx, f.Body, f.Side)
		}
		return err
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	bodies, err := c.Org.Bodies(ctx, orgActive)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if c.Door.May(a, "gateway.usage.read", operation.Target{Kind: "usage"}) == nil {
		v.bodies = append(v.bodies, ui.Option{Value: usageWhole, Label: ui.T(ctx, "usage.whole")})
	}
	for _, b := range bodies {
		v.names[b.ID] = b.Name
		if c.Door.May(a, "gateway.usage.read", operation.Target{Kind: "usage", Body: b.ID, District: b.District}) == nil {
			v.bodies = append(v.bodies, ui.Option{Value: b.ID, Label: b.Name})
		}
	}
	if target.Medium == "file" {
		c.usageSheet(w, r, f, before, v.names)
		return
	}
	if f.Grant != "" {
		if g, err := c.Gateway.FindGrant(ctx, f.Grant); err == nil && (f.Whole || g.Provider == f.Body || g.Client == f.Body) {
			v.grant = &g
		}
	}
	ui.Render(w, r, usagePage(v))
}

// usagePages gives the lines before a number (0: from the newest) page by page; none
// ends them.
func (c *Console) usagePages(f gateway.UsageFilter, before int64) func(ctx context.Context) ([]gateway.Usage, error) {
	last := false
	return func(ctx context.Context) ([]gateway.Usage, error) {
		if last {
			return nil, nil
		}
		lines, err := c.Gateway.UsageList(ctx, f, before, usageRead)
		if last = len(lines) < usageRead; !last {
			before = lines[len(lines)-1].Seq
		}
		return lines, err
	}
}

func (c *Console) usageSheet(w http.ResponseWriter, r *http.Request, f gateway.UsageFilter, before int64, names map[string]string) {
	ctx := r.Context()
	page := c.usagePages(f, before)
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "usage.title"),
		columns: sheetColumns(ctx, "#usage.seq", "usage.at", "usage.grant", "sharing.code", "usage.resource", "catalog.provider", "usage.consumer", "usage.client", "usage.mode", "usage.purpose", "usage.user",
			"sharing.approver", "audit.case", "audit.medium", "usage.fields", "#usage.rows", "usage.outcome", "audit.code"),
		rows: func(int) ([][]string, error) {
			lines, err := page(ctx)
			rows := make([][]string, 0, len(lines))
			for _, u := range lines {
				rows = append(rows, []string{strconv.FormatInt(u.Seq, 10), ui.Seconds(u.At), u.Grant, u.Resource, u.ResourceName, names[u.Provider], u.ConsumerName, u.ClientName, ui.StateWords(ctx, "mode", string(u.Mode)), u.Purpose, u.User,
					u.Approver, u.Case, mediumOf(ctx, u.Medium), strings.Join(u.Fields, " "), strconv.FormatInt(u.Rows, 10), ui.T(ctx, "usage.outcome_"+u.Outcome), u.Code})
			}
			return rows, err
		}})
}
