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
	bodies []ui.Option // that the actor may choose from; empty for those who see their own only
	names  map[string]string
	lines  []gateway.Usage
	more   bool
	days   []gateway.UsageDay
	acked  int64
	rules  gateway.Rules
	grant  *gateway.Grant
}

const usagePer, usageSheetRows = 20, 50_000

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
	if other := v.list.Get("body"); other != "" && other != a.Body {
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
			before = 0
			for {
				lines, err := c.Gateway.UsageList(ctx, f, before, 1000)
				if err != nil {
					return err
				}
				v.lines = append(v.lines, lines...)
				if len(lines) < 1000 || len(v.lines) >= usageSheetRows {
					break
				}
				before = lines[len(lines)-1].Seq
			}
			operation.Note(ctx, "lines", len(v.lines))
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
		v.acked, err = c.Gateway.Acknowledged(ctx, f.Body, f.Side)
		return err
	})
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	if target.Medium == "file" {
		c.usageSheet(w, r, v.lines)
		return
	}
	bodies, err := c.Org.Bodies(ctx, orgActive)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	for _, b := range bodies {
		v.names[b.ID] = b.Name
		if c.Door.May(a, "gateway.usage.read", operation.Target{Kind: "usage", Body: b.ID, District: b.District}) == nil {
			v.bodies = append(v.bodies, ui.Option{Value: b.ID, Label: b.Name})
		}
	}
	if f.Grant != "" {
		if g, err := c.Gateway.FindGrant(ctx, f.Grant); err == nil && (g.Provider == f.Body || g.Client == f.Body) {
			v.grant = &g
		}
	}
	ui.Render(w, r, usagePage(v))
}

func (c *Console) usageSheet(w http.ResponseWriter, r *http.Request, lines []gateway.Usage) {
	ctx := r.Context()
	c.sendSheet(w, r, sheet{name: ui.T(ctx, "usage.title"),
		columns: sheetColumns(ctx, "#usage.seq", "usage.at", "usage.grant", "sharing.code", "usage.resource", "usage.consumer", "usage.client", "usage.mode", "usage.purpose", "usage.user",
			"sharing.approver", "audit.case", "audit.medium", "usage.fields", "#usage.rows", "usage.outcome", "audit.code"),
		rows: rowsOf(lines, func(u gateway.Usage) []string {
			return []string{strconv.FormatInt(u.Seq, 10), ui.Seconds(u.At), u.Grant, u.Resource, u.ResourceName, u.ConsumerName, u.ClientName, ui.StateWords(ctx, "mode", string(u.Mode)), u.Purpose, u.User,
				u.Approver, u.Case, mediumOf(ctx, u.Medium), strings.Join(u.Fields, " "), strconv.FormatInt(u.Rows, 10), ui.T(ctx, "usage.outcome_"+u.Outcome), u.Code}
		})})
}
