package console

import (
	"context"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"gongshu/identity"
	"gongshu/internal/web"
	"gongshu/notice"
	"gongshu/ui"
)

func (c *Console) routesMessages(mux *http.ServeMux) {
	mux.HandleFunc("GET /console/messages", c.messages)
	mux.HandleFunc("GET /console/messages/{id}", c.openMessage)
	mux.HandleFunc("POST /console/messages/{id}/read", c.readMessage)
	mux.HandleFunc("POST /console/messages/read", c.readMessages)
}

// messagePages lead from a message to the page of what it is about.
var messagePages = map[string]func(id string) string{
	"case":     func(id string) string { return "/console/cases/" + id },
	"grant":    func(id string) string { return "/console/grants/" + id },
	"batch":    func(id string) string { return "/console/batches/" + id },
	"resource": func(id string) string { return "/console/catalog/" + strings.ReplaceAll(id, "/", "-") },
	"client":   func(id string) string { return "/console/clients/" + id },
	"account":  func(string) string { return "/console/account" },
}

func (c *Console) messages(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	list := ui.ParseList(r, ui.ListSpec{Sorts: []string{"at"}, Default: "-at", Filters: []string{"state", "topic"}})
	f := notice.Filter{State: list.Get("state"), Topic: list.Get("topic"), Offset: list.Offset(), Limit: list.Per, Oldest: !list.Desc}
	if wantsSheet(r) {
		c.sendSheet(w, r, sheet{name: ui.T(ctx, "notice.title"), columns: sheetColumns(ctx, "notice.at", "notice.topic", "notice.message", "notice.text", "notice.for", "notice.state"),
			rows: func(offset int) ([][]string, error) {
				f.Offset, f.Limit = offset, 200
				found, _, err := c.Inbox.List(ctx, actor(r), f)
				rows := make([][]string, len(found))
				for i, m := range found {
					subject, text := messageWords(ctx, m)
					state := "read"
					if m.ReadAt.IsZero() {
						state = "unread"
					}
					rows[i] = []string{ui.DateTime(m.At), messageTopic(ctx, m.Kind), subject, text, messageFor(ctx, m), ui.StateWords(ctx, "notice", state)}
				}
				return rows, err
			}})
		return
	}
	found, total, err := c.Inbox.List(ctx, actor(r), f)
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	ui.Render(w, r, messagesPage(list, messageRows(ctx, found, r.URL.RequestURI()), total))
}

// openMessage leads to what a message is about; whoever followed it has read it.
func (c *Console) openMessage(w http.ResponseWriter, r *http.Request) {
	m, err := c.Inbox.Read(r.Context(), actor(r), r.PathValue("id"))
	if err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, messagePages[m.About.Kind](m.About.ID), http.StatusSeeOther)
}

func (c *Console) readMessage(w http.ResponseWriter, r *http.Request) {
	if _, err := c.Inbox.Read(r.Context(), actor(r), r.PathValue("id")); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, back(r.FormValue("back")), http.StatusSeeOther)
}

func (c *Console) readMessages(w http.ResponseWriter, r *http.Request) {
	if _, err := c.Inbox.ReadAll(r.Context(), actor(r)); err != nil {
		web.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/console/messages", http.StatusSeeOther)
}

// messageWords are a message's subject and text in the reader's language.
func messageWords(ctx context.Context, m notice.Message) (subject, text string) {
	var pairs []any
	for name, value := range m.Values {
		pairs = append(pairs, name, value.In(web.Lang(ctx)))
	}
	key := "notice." + string(m.Kind)
	return ui.T(ctx, key, pairs...), ui.T(ctx, key+"_text", pairs...)
}

func messageTopic(ctx context.Context, k notice.Kind) string {
	topic, _, _ := strings.Cut(string(k), "_")
	return ui.T(ctx, "notice.topic_"+topic)
}

// messageFor is in what capacity the reader has the message.
func messageFor(ctx context.Context, m notice.Message) string {
	if m.Post != "" {
		return m.Post.Text().In(web.Lang(ctx))
	}
	return ui.T(ctx, "notice.for_self")
}

func messageRows(ctx context.Context, found []notice.Message, back string) []ui.Row {
	rows := make([]ui.Row, 0, len(found))
	for _, m := range found {
		rows = append(rows, ui.Row{ID: m.ID, Cells: []templ.Component{messageCell(m), ui.Text(messageTopic(ctx, m.Kind)), ui.Text(messageFor(ctx, m)), ui.Text(ui.DateTime(m.At)), messageState(m, back)}})
	}
	return rows
}

func messageFilters(ctx context.Context) []ui.Filter {
	var states, topics []ui.Option
	for _, s := range []string{"unread", "read"} {
		states = append(states, ui.Option{Value: s, Label: ui.StateWords(ctx, "notice", s)})
	}
	for _, t := range notice.Topics() {
		topics = append(topics, ui.Option{Value: t, Label: ui.T(ctx, "notice.topic_"+t)})
	}
	return []ui.Filter{{Name: "state", Label: ui.T(ctx, "notice.state"), Options: states}, {Name: "topic", Label: ui.T(ctx, "notice.topic"), Options: topics}}
}

// messagePanel shows the newest unread messages on the workbench.
func (c *Console) messagePanel(ctx context.Context, a identity.Actor) (*Panel, error) {
	if c.Inbox == nil {
		return nil, nil
	}
	found, total, err := c.Inbox.List(ctx, a, notice.Filter{State: "unread", Limit: 6})
	if err != nil {
		return nil, err
	}
	p := &Panel{Title: ui.T(ctx, "notice.unread"), Label: ui.T(ctx, "notice.unread"), Icon: "bell", Tone: ui.Info, Total: total,
		Empty: ui.T(ctx, "notice.none"), More: ui.Link{Label: ui.T(ctx, "ui.more"), Href: "/console/messages"}}
	for _, m := range found {
		subject, _ := messageWords(ctx, m)
		p.Rows = append(p.Rows, PanelRow{Title: subject, Sub: ui.DateTime(m.At), Href: "/console/messages/" + m.ID})
	}
	return p, nil
}
