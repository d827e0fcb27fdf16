package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/audit"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/internal/web"
	"gongshu/profile"
	"gongshu/ui"
)

func auditStats(ctx context.Context, v auditView) []ui.StatInfo {
	sealed := ui.StatInfo{Label: ui.T(ctx, "audit.sealed"), Value: ui.Num(v.head.Size), Href: "/console/audit/checkpoints", Icon: "shield-check", Tone: ui.Good}
	if !v.head.At.IsZero() {
		sealed.Note = ui.DateTime(v.head.At)
	}
	state := ui.StatInfo{Label: ui.T(ctx, "audit.state"), Value: ui.T(ctx, "audit.state_ok"), Icon: "activity", Tone: ui.Good}
	if !v.state.OK {
		state.Value, state.Tone, state.Note = ui.T(ctx, "audit.state_down"), ui.Bad, ui.DateTime(v.state.Since)
	}
	if v.state.Tampered >= 0 {
		state.Value, state.Tone = ui.T(ctx, "audit.state_bad", "Seq", v.state.Tampered), ui.Bad
		state.Href = entryHref(v.state.Tampered)
	}
	return []ui.StatInfo{
		{Label: ui.T(ctx, "audit.total"), Value: ui.Num(v.size), Href: "/console/audit", Icon: "list-check"},
		sealed, state,
	}
}

func entryHref(seq int64) string { return "/console/audit/entries/" + strconv.FormatInt(seq, 10) }

// outcomeBadge says how an operation ended.
func outcomeBadge(ctx context.Context, rec audit.Record) ui.BadgeInfo {
	switch {
	case rec.Bad:
		return ui.BadgeInfo{Tone: ui.Bad, Text: ui.T(ctx, "audit.bad"), Icon: "alert-triangle"}
	case rec.Pruned:
		return ui.BadgeInfo{Text: ui.T(ctx, "audit.pruned")}
	}
	b := ui.BadgeInfo{Tone: ui.Good, Text: ui.T(ctx, "audit.outcome_ok"), Hint: rec.Entry.Code}
	switch rec.Entry.Outcome {
	case audit.Refused:
		b.Tone, b.Text = ui.Warn, ui.T(ctx, "audit.outcome_refused")
	case audit.Failed:
		b.Tone, b.Text = ui.Bad, ui.T(ctx, "audit.outcome_failed")
	}
	return b
}

func whoOf(ctx context.Context, e audit.Entry) (name, sub string) {
	switch {
	case e.ActorKind == string(identity.Program):
		name = known(ctx, "program.", e.Actor) // its own name says the part of the program by its code
	case e.ActorName != "":
		name = e.ActorName
	case e.ActorKind == string(identity.Anonymous):
		name = ui.T(ctx, "audit.visitor")
	default:
		name = shortID(e.Actor)
	}
	var parts []string
	if e.BodyName != "" {
		parts = append(parts, e.BodyName)
	}
	if e.Post != "" {
		parts = append(parts, identity.Post(e.Post).Text().In(web.Lang(ctx)))
	}
	return name, strings.Join(parts, " · ")
}

func shortID(id string) string {
	if len(id) > 13 {
		return "…" + id[len(id)-12:]
	}
	return id
}

func whatOf(ctx context.Context, e audit.Entry) (name, sub string) {
	name = e.TargetName
	if name == "" {
		name = shortID(e.Target)
	}
	if name == "" {
		name = known(ctx, "target.", e.TargetKind)
	}
	var parts []string
	for _, v := range []string{e.Resource, e.Case} {
		if v != "" && v != name {
			parts = append(parts, v)
		}
	}
	return name, strings.Join(parts, " · ")
}

func auditRows(ctx context.Context, list ui.List, records []audit.Record) []ui.Row {
	rows := make([]ui.Row, 0, len(records))
	for _, rec := range records {
		e := rec.Entry
		row := ui.Row{ID: "e" + strconv.FormatInt(rec.Seq, 10)}
		if rec.Bad {
			row.Tone = ui.Bad
		}
		at := ""
		if !e.At.IsZero() {
			at = ui.Seconds(e.At)
		}
		who, whoSub := whoOf(ctx, e)
		what, whatSub := whatOf(ctx, e)
		person := ui.Sub(who, whoSub)
		if e.Actor != "" {
			person = ui.Anchor(who, list.With("person", e.Actor, "before", ""), whoSub)
		}
		row.Cells = []templ.Component{
			ui.Anchor(ui.Num(rec.Seq), entryHref(rec.Seq), ""), ui.Text(at), person, actionCell(ctx, e.Action), ui.Sub(what, whatSub), ui.Badge(outcomeBadge(ctx, rec)),
		}
		rows = append(rows, row)
	}
	return rows
}

// known puts a code of the log into words; what has none stands as it is.
func known(ctx context.Context, kind, code string) string {
	if ui.HasWords(kind + code) {
		return ui.T(ctx, kind+code)
	}
	return code
}

// jobWords names a kind of background job.
func jobWords(ctx context.Context, kind string) string { return known(ctx, "job.", kind) }

// actionCell says what was done, with the code that policies and exports use.
func actionCell(ctx context.Context, action string) templ.Component {
	if words := known(ctx, "action.", action); words != action {
		return ui.Sub(words, action)
	}
	return ui.Mono(action)
}

// actionOptions are the actions to filter by, in the order of their words.
func actionOptions(ctx context.Context, actions []string) []ui.Option {
	var out []ui.Option
	for _, a := range actions {
		out = append(out, ui.Option{Value: a, Label: known(ctx, "action.", a)})
	}
	slices.SortFunc(out, func(x, y ui.Option) int { return strings.Compare(x.Label, y.Label) })
	return out
}

func auditFields(ctx context.Context, actions []string) []ui.Filter {
	return []ui.Filter{
		{Name: "from", Label: ui.T(ctx, "audit.from"), Kind: "date"},
		{Name: "to", Label: ui.T(ctx, "audit.to"), Kind: "date"},
		{Name: "person", Label: ui.T(ctx, "audit.person")},
		{Name: "body", Label: ui.T(ctx, "audit.body")},
		{Name: "action", Label: ui.T(ctx, "audit.action"), Options: actionOptions(ctx, actions)},
		{Name: "resource", Label: ui.T(ctx, "audit.resource")},
		{Name: "case", Label: ui.T(ctx, "audit.case")},
		{Name: "outcome", Label: ui.T(ctx, "audit.outcome"), Options: []ui.Option{
			{Value: audit.OK, Label: ui.T(ctx, "audit.outcome_ok")},
			{Value: audit.Refused, Label: ui.T(ctx, "audit.outcome_refused")},
			{Value: audit.Failed, Label: ui.T(ctx, "audit.outcome_failed")},
		}},
	}
}

func entryTerms(ctx context.Context, rec audit.Record) []ui.Term {
	e := rec.Entry
	var terms []ui.Term
	add := func(key, value string) {
		if value != "" {
			terms = append(terms, ui.Term{Label: ui.T(ctx, "audit."+key), Value: ui.Text(value)})
		}
	}
	link := func(key, label, filter, value string) {
		if value != "" {
			terms = append(terms, ui.Term{Label: ui.T(ctx, "audit."+key), Value: ui.Anchor(label, "/console/audit?"+filter+"="+templ.EscapeString(value), "")})
		}
	}
	who, _ := whoOf(ctx, e)
	add("at", ui.Seconds(e.At))
	link("person", who, "person", e.Actor)
	if e.Post != "" {
		add("post", identity.Post(e.Post).Text().In(web.Lang(ctx)))
	}
	add("body", e.BodyName)
	add("addr", e.Addr)
	add("client", e.Client)
	terms = append(terms, ui.Term{Label: ui.T(ctx, "audit.action"), Value: actionCell(ctx, e.Action)})
	what, _ := whatOf(ctx, e)
	add("target", what)
	link("resource", e.Resource, "resource", e.Resource)
	link("case", e.Case, "case", e.Case)
	link("grant", e.Grant, "grant", e.Grant)
	add("purpose", e.Purpose)
	add("approver", e.Approver)
	add("medium", mediumOf(ctx, e.Medium))
	terms = append(terms, ui.Term{Label: ui.T(ctx, "audit.outcome"), Value: ui.Badge(outcomeBadge(ctx, rec))})
	add("code", e.Code)
	for _, n := range e.Notes {
		terms = append(terms, ui.Term{Label: known(ctx, "note.", n.Key), Value: ui.Text(e.Note(n.Key))})
	}
	return terms
}

// indented is the canonical form as people read it; the bytes that are hashed
// have no white space.
func indented(content []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, content, "", "  ") != nil {
		return string(content)
	}
	return b.String()
}

func proofTerms(ctx context.Context, v entryView) []ui.Term {
	terms := []ui.Term{{Label: ui.T(ctx, "audit.leaf"), Value: ui.Mono(v.rec.Leaf.String()), Wide: true}}
	if v.size > 0 {
		terms = append(terms,
			ui.Term{Label: ui.T(ctx, "audit.checkpoint_size"), Value: ui.Text(ui.Num(v.size))},
			ui.Term{Label: ui.T(ctx, "audit.steps"), Value: ui.Text(ui.Num(int64(len(v.proof))))},
			ui.Term{Label: ui.T(ctx, "audit.root"), Value: ui.Mono(v.root.String()), Wide: true})
	}
	return terms
}

func checkpointRows(list []audit.Checkpoint) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, cp := range list {
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Text(ui.Num(cp.Size)), ui.Text(ui.Seconds(cp.At)), ui.Mono(cp.Root.String())}})
	}
	return rows
}

func faultText(ctx context.Context, t errs.Text) string { return ui.Pick(ctx, t.ZH, t.EN) }

func reportTerms(ctx context.Context, r audit.Report, took time.Duration) []ui.Term {
	return []ui.Term{
		{Label: ui.T(ctx, "audit.origin"), Value: ui.Mono(r.Origin)},
		{Label: ui.T(ctx, "audit.range"), Value: ui.Text(fmt.Sprintf("%s – %s", ui.Num(r.From), ui.Num(r.To-1)))},
		{Label: ui.T(ctx, "audit.with_content"), Value: ui.Text(ui.Num(r.Entries))},
		{Label: ui.T(ctx, "audit.pruned"), Value: ui.Text(ui.Num(r.Pruned))},
		{Label: ui.T(ctx, "audit.checkpoints_agree"), Value: ui.Text(ui.Num(int64(r.Checkpoints)))},
		{Label: ui.T(ctx, "audit.took"), Value: ui.Text(ui.Duration(ctx, took))},
	}
}

func jobStats(ctx context.Context, v jobsView) []ui.StatInfo {
	var stats []ui.StatInfo
	for _, s := range []struct {
		state string
		tone  ui.Tone
		icon  string
	}{{jobs.Dead, ui.Bad, "circle-x"}, {jobs.Running, ui.Info, "activity"}, {jobs.Queued, ui.Info, "clock"}, {jobs.Waiting, ui.Plain, "hourglass"}, {jobs.Done, ui.Good, "circle-check"}} {
		tone := s.tone
		if v.counts[s.state] == 0 {
			tone = ui.Plain
		}
		stats = append(stats, ui.StatInfo{Label: ui.StateWords(ctx, "job", s.state), Value: ui.Num(int64(v.counts[s.state])), Href: "/console/jobs?state=" + s.state, Tone: tone, Icon: s.icon})
	}
	return stats
}

func jobRows(ctx context.Context, list []jobs.Job) []ui.Row {
	rows := make([]ui.Row, 0, len(list))
	for _, j := range list {
		end := j.Ended
		if end.IsZero() {
			end = j.Due
		}
		cell := ui.Text("")
		if j.State == jobs.Dead {
			cell = ui.Button(ui.Action{Label: ui.T(ctx, "jobs.retry"), Post: "/console/jobs/" + j.ID + "/retry", Icon: "refresh"})
		}
		message, _, _ := strings.Cut(j.Error, "\n")
		rows = append(rows, ui.Row{Cells: []templ.Component{
			ui.Sub(jobWords(ctx, j.Kind), j.Key), ui.State("job", j.State), ui.Text(ui.Num(int64(j.Attempts))), ui.Text(ui.DateTime(j.Created)), ui.Text(ui.DateTime(end)), ui.Text(message), cell,
		}})
	}
	return rows
}

func jobStates(ctx context.Context) []ui.Option {
	var options []ui.Option
	for _, s := range []string{jobs.Dead, jobs.Running, jobs.Queued, jobs.Waiting, jobs.Done} {
		options = append(options, ui.Option{Value: s, Label: ui.StateWords(ctx, "job", s)})
	}
	return options
}

// neighbours lead to the entries before and after.
func neighbours(ctx context.Context, v entryView) []ui.Action {
	var list []ui.Action
	if v.rec.Seq > 0 {
		list = append(list, ui.Action{Label: ui.T(ctx, "audit.previous"), Href: entryHref(v.rec.Seq - 1), Icon: "chevron-left"})
	}
	if v.rec.Seq < v.last {
		list = append(list, ui.Action{Label: ui.T(ctx, "audit.following"), Href: entryHref(v.rec.Seq + 1), Icon: "chevron-right"})
	}
	return list
}

// clauses are the articles of this city that ask for the log: which facts of a
// use are recorded, and how long the log is kept.
func (c *Console) auditClauses() (facts, kept string) {
	if c.Profile == nil {
		return "", ""
	}
	now := c.Now()
	return profile.UsageFacts.At(c.Profile, now).Clause(), profile.LogMonths.At(c.Profile, now).Clause()
}

// mediumOf is the medium of a use in words; unknown codes stand as they are.
func mediumOf(ctx context.Context, code string) string {
	if key := "audit.medium_" + code; code != "" && ui.HasWords(key) {
		return ui.T(ctx, key)
	}
	return code
}

func jobKinds(ctx context.Context, kinds []string) []ui.Option {
	var options []ui.Option
	for _, k := range kinds {
		options = append(options, ui.Option{Value: k, Label: jobWords(ctx, k)})
	}
	return options
}
