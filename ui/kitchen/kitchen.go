// Package kitchen shows every component of package ui on one page, with
// believable content, so that a change of the look is seen at once. The browser
// tests open it; no face serves it.
package kitchen

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/a-h/templ"

	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/ui"
)

var now = time.Date(2026, 11, 20, 2, 30, 0, 0, time.UTC)

// sample texts, in Chinese as data would be.
var (
	names     = []string{"公交站点信息", "法定代表人登记信息", "空气质量日报", "常住人口基本信息", "不动产登记簿查询服务", "重点污染源自动监测数据"}
	providers = []string{"市交通运输局", "市市场监督管理局", "市生态环境局", "市公安局", "市自然资源和规划局", "市生态环境局"}
	states    = []string{"published", "submitted", "returned", "draft", "published", "withdrawn"}
	sharing   = []string{"unconditional", "conditional", "unconditional", "conditional", "withheld", "unconditional"}
)

// Handler serves the page, with assets, inside the whole middleware.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(ui.StaticPath, ui.Assets())
	page := func(face ui.Face, body func(*http.Request) templ.Component) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(ui.WithFrame(r.Context(), frame(r, face)))
			ui.Render(w, r, body(r))
		}
	}
	mux.HandleFunc("/", page(ui.Console, sink))
	mux.HandleFunc("/forms", page(ui.Console, func(r *http.Request) templ.Component { return forms(failure(r)) }))
	mux.HandleFunc("/portal", page(ui.Portal, func(r *http.Request) templ.Component { return portalSample() }))
	mux.HandleFunc("/error", func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(ui.WithFrame(r.Context(), frame(r, ui.Console)))
		web.Fail(w, r, errs.New(errs.Forbidden, errs.T("只有主管部门可以发布目录。", "Only the authority publishes catalogs.")).By("FZM-7"))
	})
	site := &web.Site{ErrorPage: ui.ErrorPage}
	return site.Wrap(mux)
}

// Server starts the page on a port of its own, for tests.
func Server() *httptest.Server { return httptest.NewServer(Handler()) }

func frame(r *http.Request, face ui.Face) *ui.Frame {
	lang := web.Lang(r.Context())
	f := &ui.Frame{Face: face, City: errs.T("福州市", "Fuzhou").In(lang), Brand: errs.T("公共数据资源平台", "Public Data Platform").In(lang),
		Home: "/", ClauseBase: "/clauses/", Path: r.URL.RequestURI(), Version: "0.1.0"}
	group := func(title errs.Text, items ...ui.NavItem) ui.NavGroup {
		return ui.NavGroup{Title: title.In(lang), Items: items}
	}
	if face == ui.Portal {
		f.Login = "/login"
		f.Nav = []ui.NavGroup{group(errs.Text{}, ui.NavItem{Key: "home", Label: errs.T("首页", "Home").In(lang), Href: "/portal"},
			ui.NavItem{Key: "datasets", Label: errs.T("数据目录", "Datasets").In(lang), Href: "/portal?x=1"})}
		f.Footer = []ui.NavGroup{group(errs.T("数据", "Data"), ui.NavItem{Label: errs.T("数据目录", "Datasets").In(lang), Href: "/portal"}),
			group(errs.T("本站", "This site"), ui.NavItem{Label: errs.T("关于", "About").In(lang), Href: "/portal"}),
			group(errs.T("依据", "Basis"), ui.NavItem{Label: errs.T("规章", "Regulations").In(lang), Href: "/portal"})}
		return f
	}
	f.Inbox, f.Unread = "/inbox", 3
	f.User = &ui.UserMenu{Name: errs.T("林晓", "Lin Xiao").In(lang), Body: errs.T("市交通运输局", "Transport Bureau").In(lang), Post: errs.T("数据专管员", "Data steward").In(lang),
		Posts: []ui.PostChoice{{ID: "1", Label: errs.T("数据专管员", "Data steward").In(lang), Body: errs.T("市交通运输局", "Transport Bureau").In(lang), Acting: true}, {ID: "2", Label: errs.T("分管领导", "Leader").In(lang), Body: errs.T("市交通运输局", "Transport Bureau").In(lang)}},
		Links: []ui.Link{{Label: errs.T("我的账号", "My account").In(lang), Href: "/", Icon: "user-circle"}}}
	f.Nav = []ui.NavGroup{
		group(errs.Text{}, ui.NavItem{Key: "workbench", Label: errs.T("今日待办", "Today").In(lang), Href: "/", Icon: "checklist", Count: 4}),
		group(errs.T("数据", "Data"), ui.NavItem{Key: "catalog", Label: errs.T("资源目录", "Catalog").In(lang), Href: "/", Icon: "folders"}, ui.NavItem{Key: "intake", Label: errs.T("数据汇聚", "Intake").In(lang), Href: "/forms", Icon: "upload"}),
	}
	f.Notices = []ui.Notice{{Tone: ui.Warn, Text: errs.T("演示环境：所有人员和数据均为虚构。", "Demonstration: all people and data are invented.").In(lang)}}
	return f
}

func list(r *http.Request) ui.List {
	return ui.ParseList(r, ui.ListSpec{Sorts: []string{"name", "due"}, Filters: []string{"state"}})
}

func failure(r *http.Request) ui.Errors {
	return ui.ErrorsOf(r.Context(), errs.New(errs.Invalid, errs.T("有两处需要更正", "Two fields need mending")).By("FZM-16").With(
		errs.Problem{Field: "name", Code: "required", Text: errs.T("请填写资源名称", "Enter the resource's name")},
		errs.Problem{Field: "basis", Code: "required", Text: errs.T("有条件共享必须写明依据", "Conditional sharing needs a legal basis"), Clause: "FZM-16"}))
}

// words marks a sample text: what would come from data stands as it is, in
// Chinese, in both languages.
func words(zh string) string { return zh }

func days(n int) time.Time { return now.AddDate(0, 0, n) }

func bars(horizontal bool) map[string]any {
	category := map[string]any{"type": "category", "data": []string{"2026-06", "2026-07", "2026-08", "2026-09", "2026-10", "2026-11"}}
	value := map[string]any{"type": "value"}
	option := map[string]any{"xAxis": category, "yAxis": value, "legend": map[string]any{"top": 0},
		"series": []any{
			map[string]any{"type": "bar", "name": "query", "data": []int{320, 410, 388, 502, 561, 640}},
			map[string]any{"type": "line", "name": "verify", "data": []int{120, 180, 260, 240, 300, 380}},
		}}
	if horizontal {
		option["xAxis"], option["yAxis"] = value, category
	}
	return option
}
