package console

import (
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/profile"
	"gongshu/ui"
	"gongshu/workday"
)

func (c *Console) routesProfile(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/profile", c.profilePage)
	mux.HandleFunc("GET /console/calendar", c.calendarPage)
	mux.HandleFunc("POST /console/calendar", c.importCalendar)
}

// section is a part of the profile: the keys of one first word.
type section struct {
	key   string
	lines []profile.Line
}

type profileView struct {
	profile  *profile.Profile
	on       string
	kind     string
	sections []section
	counts   map[profile.Kind]int
	errors   ui.Errors
	path     string
}

func (c *Console) profilePage(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if c.Profile == nil {
		web.Fail(w, r, errs.New(errs.NotFound, errs.T("本节点没有城市配置", "this node has no city profile")))
		return
	}
	v := profileView{profile: c.Profile, on: r.URL.Query().Get("on"), kind: r.URL.Query().Get("kind"), counts: map[profile.Kind]int{}}
	at := c.Now()
	if v.on == "" {
		v.on = workday.DateOf(at).String()
	} else if d, err := workday.ParseDate(v.on); err == nil {
		at = d.Start().Add(12 * time.Hour)
	} else {
		v.errors = ui.Errors{}.Add("on", ui.T(ctx, "profile.bad_date"))
		v.on = workday.DateOf(at).String()
	}
	for _, l := range c.Profile.Lines(at) {
		kind := l.Provenance.Kind
		v.counts[kind]++
		if v.kind != "" && v.kind != string(kind) {
			continue
		}
		if n := len(v.sections); n == 0 || v.sections[n-1].key != l.Section {
			v.sections = append(v.sections, section{key: l.Section})
		}
		s := &v.sections[len(v.sections)-1]
		s.lines = append(s.lines, l)
	}
	ui.Render(w, r, profilePage(v))
}

func profileStats(ctx context.Context, v profileView) []ui.StatInfo {
	var out []ui.StatInfo
	for _, k := range []profile.Kind{profile.Stated, profile.Inherited, profile.Practice, profile.None} {
		out = append(out, ui.StatInfo{Label: ui.StateWords(ctx, "provenance", string(k)), Value: ui.Num(int64(v.counts[k])), Href: "/console/profile?kind=" + string(k), Tone: ui.StateTone("provenance", string(k))})
	}
	return out
}

func profileRows(ctx context.Context, lines []profile.Line) []ui.Row {
	rows := make([]ui.Row, 0, len(lines))
	for _, l := range lines {
		text := wordsOf(ctx, l.Text)
		if unit := wordsOf(ctx, l.Unit); unit != "" && text != "" {
			text += " " + unit
		}
		rows = append(rows, ui.Row{ID: l.Key, Cells: []templ.Component{ui.Sub(wordsOf(ctx, l.Label), l.Key), ui.Text(text), provenanceCell(l)}})
	}
	return rows
}

// wordsOf gives the wording of the page's language.
func wordsOf(ctx context.Context, w profile.Words) string { return ui.Pick(ctx, w.ZH, w.EN) }

// nationNote says what the nation layer has beside the effective value.
func nationNote(ctx context.Context, l profile.Line) string {
	if l.Nation.Kind == "" {
		return ""
	}
	text := wordsOf(ctx, l.NationText)
	if unit := wordsOf(ctx, l.Unit); unit != "" {
		text += " " + unit
	}
	key := "profile.nation"
	switch {
	case l.NationUnverified:
		key = "profile.nation_unverified"
	case l.NationStricter:
		key = "profile.nation_stricter"
	}
	return ui.T(ctx, key, "Source", l.Nation.Source, "Value", text)
}

func sinceOf(p profile.Provenance) string {
	if p.Since.IsZero() {
		return ""
	}
	return p.Since.Format(time.DateOnly)
}

type calendarView struct {
	calendar *workday.Calendar
	today    workday.Date
	may      bool
	errors   ui.Errors
	moved    string
	years    string
}

func (c *Console) calendar(w http.ResponseWriter, r *http.Request, status int, v calendarView) {
	cal, err := c.Cases.Calendar(r.Context())
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	a := actor(r)
	v.calendar, v.today = cal, workday.DateOf(c.Now())
	v.may = c.Door.May(a, "casework.calendar.import", operation.Target{Kind: "calendar", Body: a.Body, District: a.District}) == nil
	ui.RenderStatus(w, r, status, calendarPage(v))
}

func (c *Console) calendarPage(w http.ResponseWriter, r *http.Request) {
	c.calendar(w, r, http.StatusOK, calendarView{years: r.URL.Query().Get("years"), moved: r.URL.Query().Get("moved")})
}

const maxCalendar = 1 << 20

func (c *Console) importCalendar(w http.ResponseWriter, r *http.Request) {
	err := web.ParseMultipart(r, maxCalendar)
	var file multipart.File
	if err == nil {
		file, _, err = r.FormFile("file")
	}
	if err != nil {
		if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
			err = errs.New(errs.Invalid, errs.T("请选择放假安排文件", "choose the notice's file")).In("file")
		}
		c.refusedCalendar(w, r, err)
		return
	}
	defer file.Close()
	years, moved, err := c.Cases.ImportCalendar(r.Context(), actor(r), http.MaxBytesReader(w, file, maxCalendar))
	if err != nil {
		c.refusedCalendar(w, r, err)
		return
	}
	var list []string
	for _, y := range years {
		list = append(list, itoa(y))
	}
	http.Redirect(w, r, "/console/calendar?years="+strings.Join(list, ",")+"&moved="+itoa(moved), http.StatusSeeOther)
}

func (c *Console) refusedCalendar(w http.ResponseWriter, r *http.Request, err error) {
	if !ui.IsRefusal(err) {
		web.Fail(w, r, err)
		return
	}
	c.calendar(w, r, web.Status(err), calendarView{errors: ui.ErrorsOf(r.Context(), err)})
}

// calendarRows lists a year's announced days.
func calendarRows(ctx context.Context, n workday.Notice) []ui.Row {
	var rows []ui.Row
	for i := 0; i < len(n.Days); {
		// Days off of one holiday that follow each other stand in one row.
		j := i
		for j+1 < len(n.Days) && n.Days[j+1].Off == n.Days[i].Off && n.Days[j+1].Name == n.Days[i].Name && n.Days[j+1].Date == n.Days[j].Date+1 {
			j++
		}
		span := n.Days[i].Date.String()
		if j > i {
			span += " – " + n.Days[j].Date.String()
		}
		kind := ui.BadgeInfo{Text: ui.T(ctx, "case.calendar_off"), Tone: ui.Good}
		if !n.Days[i].Off {
			kind = ui.BadgeInfo{Text: ui.T(ctx, "case.calendar_work"), Tone: ui.Warn}
		}
		rows = append(rows, ui.Row{Cells: []templ.Component{ui.Text(span), ui.Text(n.Days[i].Name), ui.Badges(kind), ui.Number(int64(j-i+1), "")}})
		i = j + 1
	}
	return rows
}

func noticesNewestFirst(c *workday.Calendar) []workday.Notice {
	list := c.Notices()
	slices.Reverse(list)
	return list
}
