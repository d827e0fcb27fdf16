package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"

	"gongshu/internal/errs"
	"gongshu/internal/web"
)

type frameKey struct{}

// WithFrame puts a face's frame into the context.
func WithFrame(ctx context.Context, f *Frame) context.Context {
	return context.WithValue(ctx, frameKey{}, f)
}

// FrameOf gives the frame of the context, an empty one where there is none.
func FrameOf(ctx context.Context) *Frame { return frame(ctx) }

func frame(ctx context.Context) *Frame {
	if f, ok := ctx.Value(frameKey{}).(*Frame); ok && f != nil {
		return f
	}
	return &Frame{Face: Portal, Brand: "Gongshu"}
}

// Render writes a page with status 200. Nothing is sent before the whole page
// is made, so that a fault in it still becomes an error page.
func Render(w http.ResponseWriter, r *http.Request, page templ.Component) {
	RenderStatus(w, r, http.StatusOK, page)
}

// RenderStatus is Render with another status, such as 422 for a form with errors.
func RenderStatus(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var b bytes.Buffer
	if err := page.Render(r.Context(), &b); err != nil {
		web.Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// Errors is what a form shows after a refusal: a sentence, and one text a field.
type Errors struct {
	Summary string
	Clause  string
	list    []fieldProblem
}

type fieldProblem struct{ field, text string }

// ErrorsOf turns a refusal into the texts of a form in the page's language. An
// error that is not a refusal of the input (see IsRefusal) gives no texts:
// hand it to web.Fail.
func ErrorsOf(ctx context.Context, err error) Errors {
	e, ok := errs.As(err)
	if !ok {
		return Errors{}
	}
	lang := web.Lang(ctx)
	out := Errors{Summary: e.Text.In(lang), Clause: strings.Join(e.Clauses, " ")}
	if e.Field != "" && len(e.Problems) == 0 {
		out.list = append(out.list, fieldProblem{e.Field, e.Text.In(lang)})
		out.Summary = ""
	}
	for _, p := range e.Problems {
		out.list = append(out.list, fieldProblem{p.Field, p.Text.In(lang)})
	}
	return out
}

// IsRefusal says whether an error is one that the form it came from should show
// again: wrong input, a conflict, a duty that forbids it.
func IsRefusal(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Conflict, errs.Forbidden, errs.TooLarge, errs.Unsupported:
		return true
	}
	return false
}

// Any says whether there is anything to show.
func (e Errors) Any() bool { return e.Summary != "" || len(e.list) > 0 }

// For gives the text of a field, "" where it has none.
func (e Errors) For(field string) string {
	for _, p := range e.list {
		if p.field == field {
			return p.text
		}
	}
	return ""
}

// Add adds a text for a field.
func (e Errors) Add(field, text string) Errors {
	e.list = append(slices.Clone(e.list), fieldProblem{field, text})
	return e
}

func htmlLang(ctx context.Context) string {
	if English(ctx) {
		return "en"
	}
	return "zh-Hans"
}

func htmlClass(ctx context.Context) string {
	if web.LargeText(ctx) {
		return "gs-large"
	}
	return ""
}

// userAttr tells scripts whose forms they keep: what one person filled in is not
// offered to the next at the same screen.
func userAttr(ctx context.Context) templ.Attributes {
	u := frame(ctx).User
	if u == nil {
		return nil
	}
	return templ.Attributes{"data-user": u.Name + " · " + u.Body}
}

func bodyClass(ctx context.Context, m Meta) string {
	class := "gs gs-" + string(frame(ctx).Face)
	if m.Bare {
		class += " gs-is-bare"
	}
	return class
}

func pageTitle(ctx context.Context, m Meta) string {
	brand := frame(ctx).Brand
	switch {
	case m.Title == "" || m.Title == brand:
		return brand
	case brand == "":
		return m.Title
	}
	return m.Title + " · " + brand
}

func faceWords(ctx context.Context) string {
	f := frame(ctx)
	if f.Face == Console {
		return f.City + " · " + T(ctx, "ui.console")
	}
	return f.City
}

func otherLang(ctx context.Context) string {
	if English(ctx) {
		return web.Chinese
	}
	return web.English
}

// switchTo gives the present address with one preference set; Preferences of
// internal/web remembers it and comes back here.
func switchTo(ctx context.Context, name, value string) templ.SafeURL {
	u, err := url.Parse(frame(ctx).Path)
	if err != nil || u.Path == "" {
		u = &url.URL{Path: "/"}
	}
	q := u.Query()
	q.Set(name, value)
	return templ.SafeURL((&url.URL{Path: u.Path, RawQuery: q.Encode()}).String())
}

func toneClass(prefix string, t Tone) string {
	if t == Plain {
		return ""
	}
	return prefix + "-" + string(t)
}

func toneIcon(t Tone) string {
	switch t {
	case Good:
		return "circle-check"
	case Warn:
		return "alert-triangle"
	case Bad:
		return "alert-circle"
	}
	return "info-circle"
}

func alertRole(t Tone) string {
	if t == Bad {
		return "alert"
	}
	return "status"
}

func buttonClass(a Action) string {
	switch {
	case a.Tone == Bad:
		return "btn btn-outline-danger"
	case a.Primary:
		return "btn btn-primary"
	}
	return "btn"
}

func submitClass(t Tone) string {
	switch t {
	case Bad:
		return "btn btn-outline-danger"
	case Good, Info:
		return "btn btn-primary"
	}
	return "btn"
}

func confirmClass(t Tone) string {
	if t == Plain || t == Bad {
		return "btn-outline-danger"
	}
	return ""
}

func confirmButton(t Tone) string {
	if t == Plain || t == Bad {
		return "btn-danger"
	}
	return "btn-primary"
}

func current(is bool) templ.Attributes {
	if is {
		return templ.Attributes{"aria-current": "page"}
	}
	return nil
}

func stepCurrent(state string) templ.Attributes {
	if state == "now" {
		return templ.Attributes{"aria-current": "step"}
	}
	return nil
}

func idAttr(id string) templ.Attributes {
	if id == "" {
		return nil
	}
	return templ.Attributes{"id": id}
}

func hint(text string) templ.Attributes {
	if text == "" {
		return nil
	}
	return templ.Attributes{"title": text}
}

func boolText(b bool) string { return strconv.FormatBool(b) }

func orText(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func orNumber(n, other int) int {
	if n != 0 {
		return n
	}
	return other
}

func orRoot(s string) string { return orText(s, "/") }

func capped(n int) string {
	if n > 99 {
		return "99+"
	}
	return strconv.Itoa(n)
}

// initial is the last character of a Chinese name's first, as forms of address
// go: the first rune of the name.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

func splitIDs(ids string) []string {
	return strings.FieldsFunc(ids, func(r rune) bool { return r == ' ' || r == ',' || r == '，' || r == '、' })
}

func isoTime(t time.Time) string { return t.In(cityTime).Format(time.RFC3339) }

func clockTone(c ClockInfo) Tone {
	switch {
	case c.Done && c.DoneLate:
		return Warn
	case c.Done:
		return Good
	case c.Paused:
		return Plain
	case c.DaysLeft < 0:
		return Bad
	case c.DaysLeft <= 2:
		return Warn
	}
	return Info
}

func clockIcon(c ClockInfo) string {
	switch {
	case c.Done:
		return "circle-check"
	case c.Paused:
		return "player-pause"
	case c.DaysLeft < 0:
		return "alert-circle"
	}
	return "clock"
}

func clockWords(ctx context.Context, c ClockInfo) string {
	switch {
	case c.Done && c.DoneLate:
		return T(ctx, "ui.done_late")
	case c.Done:
		return T(ctx, "ui.done_in_time")
	case c.Paused:
		return T(ctx, "ui.paused")
	case c.DaysLeft < 0:
		return T(ctx, "ui.days_late", "Count", -c.DaysLeft)
	case c.DaysLeft == 0:
		return T(ctx, "ui.due_today")
	}
	return T(ctx, "ui.days_left", "Count", c.DaysLeft)
}

func barWidth(points []Point, p Point) string {
	top := 0.0
	for _, q := range points {
		top = max(top, q.Value)
	}
	if top <= 0 || p.Value <= 0 {
		return "0"
	}
	return strconv.FormatFloat(max(1, p.Value/top*100), 'f', 1, 64)
}

func toJSON(v any) string {
	if v == nil {
		return ""
	}
	if s, ok := v.([]string); ok && len(s) == 0 {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// tableID is the element that htmx replaces; a table that is no list needs none.
func tableID(t TableInfo) string {
	if t.ID == "" && t.List != nil {
		return "list"
	}
	return t.ID
}

func column(t TableInfo, i int) Column {
	if i < len(t.Columns) {
		return t.Columns[i]
	}
	return Column{}
}

func columnClass(c Column) string {
	var out []string
	if c.Align == End {
		out = append(out, "gs-end")
	}
	if c.Minor {
		out = append(out, "gs-minor")
	}
	if c.Main {
		out = append(out, "gs-cell-main")
	}
	if c.Fit {
		out = append(out, "gs-fit")
	}
	if c.Title == "" {
		out = append(out, "gs-cell-actions")
	}
	return strings.Join(out, " ")
}

func sortAttr(l *List, c Column) templ.Attributes {
	if l == nil || !c.Sort || l.Sort != c.Key {
		return nil
	}
	if l.Desc {
		return templ.Attributes{"aria-sort": "descending"}
	}
	return templ.Attributes{"aria-sort": "ascending"}
}

func sortIcon(l *List, c Column) string {
	switch {
	case l.Sort != c.Key:
		return "arrows-sort"
	case l.Desc:
		return "sort-descending"
	}
	return "sort-ascending"
}

func scrollTab(scroll bool) string {
	if scroll {
		return "0"
	}
	return "-1"
}

func scrollRole(scroll bool) string {
	if scroll {
		return "region"
	}
	return "group"
}

// statTone is the colour of a number: none of what is bad is no warning.
func statTone(s StatInfo) Tone {
	if s.Value == "0" && (s.Tone == Warn || s.Tone == Bad) {
		return Plain
	}
	return s.Tone
}

// blank says that a chart has nothing to draw: its table holds no number but 0.
func (c ChartInfo) blank() bool {
	for _, row := range c.Rows {
		for _, cell := range row[min(1, len(row)):] {
			if cell != "" && cell != "0" && cell != "—" {
				return false
			}
		}
	}
	return len(c.Rows) > 0
}

// hiddenFilters are the list's parameters that have no field in the form, so
// that filtering keeps them.
func hiddenFilters(t TableInfo) [][2]string {
	var out [][2]string
	v := t.List.values()
	v.Del("page")
	if t.Search != "" {
		v.Del("q")
	}
	for _, f := range t.Filters {
		v.Del(f.Name)
	}
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range v[name] {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}

func formMethod(f FormInfo) string {
	if f.Get {
		return "get"
	}
	return "post"
}

func formType(f FormInfo) string {
	if f.Multipart {
		return "multipart/form-data"
	}
	return "application/x-www-form-urlencoded"
}

func fieldID(name string) string {
	var b strings.Builder
	b.WriteString("f-")
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

func (f Field) id() string {
	if f.ID != "" {
		return f.ID
	}
	return fieldID(f.Name)
}

func (f Field) describedBy() string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.id()+"-error")
	}
	if f.Help != "" {
		ids = append(ids, f.id()+"-help")
	}
	return strings.Join(ids, " ")
}

func (f Field) chosen(value string) bool {
	return f.Value == value || slices.Contains(f.Values, value)
}

func (f Field) common() templ.Attributes {
	a := templ.Attributes{"id": f.id(), "name": f.Name}
	if d := f.describedBy(); d != "" {
		a["aria-describedby"] = d
	}
	if f.Error != "" {
		a["aria-invalid"] = "true"
	}
	for name, on := range map[string]bool{"required": f.Required, "disabled": f.Disabled, "readonly": f.ReadOnly, "autofocus": f.Focus} {
		if on {
			a[name] = true
		}
	}
	return a
}

func (f Field) textAttrs() templ.Attributes {
	a := f.common()
	for name, value := range map[string]string{"placeholder": f.Placeholder, "autocomplete": f.Autocomplete, "inputmode": f.InputMode} {
		if value != "" {
			a[name] = value
		}
	}
	if f.MaxLength > 0 {
		a["maxlength"] = strconv.Itoa(f.MaxLength)
	}
	return a
}

func (f Field) attrs() templ.Attributes {
	a := f.textAttrs()
	a["type"] = orText(f.Type, "text")
	if f.Type != "password" {
		a["value"] = f.Value
	}
	for name, value := range map[string]string{"pattern": f.Pattern, "min": f.Min, "max": f.Max, "step": f.Step} {
		if value != "" {
			a[name] = value
		}
	}
	return a
}

func (f Field) areaAttrs() templ.Attributes { return f.textAttrs() }

func (f Field) selectAttrs() templ.Attributes {
	a := f.common()
	delete(a, "readonly")
	if f.Multiple {
		a["multiple"] = true
	}
	return a
}

func inputClass(f Field) string {
	class := "form-control"
	if f.Mono {
		class += " gs-mono"
	}
	if f.Error != "" {
		class += " is-invalid"
	}
	return class
}

type optionGroup struct {
	name    string
	options []Option
}

func optionGroups(options []Option) []optionGroup {
	var out []optionGroup
	for _, o := range options {
		if len(out) == 0 || out[len(out)-1].name != o.Group {
			out = append(out, optionGroup{name: o.Group})
		}
		out[len(out)-1].options = append(out[len(out)-1].options, o)
	}
	return out
}

// shownValues is how many values of a facet stand open: eight, all where few more
// would fold away, and none folds away that is chosen.
func shownValues(l List, f Facet) int {
	shown := 8
	for i, v := range f.Values {
		if l.Has(f.Name, v.Value) {
			shown = max(shown, i+1)
		}
	}
	if len(f.Values) <= shown+2 {
		return len(f.Values)
	}
	return shown
}

// Capital begins a label with a capital where its script has them: a word of a
// sentence that stands alone.
func Capital(label string) string {
	first, size := utf8.DecodeRuneInString(label)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + label[size:]
}

// inMenu says whether the reader's menu has a section: what it lacks they may not
// open. Pages of no section, and faces without a menu, are taken as open.
func inMenu(ctx context.Context, key string) bool {
	groups := frame(ctx).Nav
	if key == "" || len(groups) == 0 {
		return true
	}
	for _, g := range groups {
		for _, item := range g.Items {
			if item.Key == key {
				return true
			}
		}
	}
	return false
}
