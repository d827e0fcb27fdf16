package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gongshu/catalog/catalogtest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/notice"
	"gongshu/ui"
)

func TestEveryMessageHasWords(t *testing.T) {
	for _, k := range notice.Kinds() {
		for _, lang := range []string{"zh", "en"} {
			for _, key := range []string{"notice." + string(k), "notice." + string(k) + "_text"} {
				pairs := []any{}
				for _, name := range []string{"Number", "Title", "Step", "Reason", "Due", "Body", "Resource", "Consumer", "Mode", "Until", "Who", "File", "Rows", "Total", "Provider", "Post", "Client", "Key"} {
					pairs = append(pairs, name, "《"+name+"》")
				}
				if text := ui.TIn(lang, key, pairs...); strings.ContainsAny(text, "⟦⟧") || strings.Contains(text, "<no value>") {
					t.Errorf("%s in %s: %s", key, lang, text)
				}
			}
		}
		topic, _, _ := strings.Cut(string(k), "_")
		if !slices.Contains(notice.Topics(), topic) {
			t.Errorf("%s is of no topic", k)
		}
	}
}

// A request goes its way; each side finds in its inbox what concerns it, follows
// a message to its page, and has then read it.
func TestInboxInTheConsole(t *testing.T) {
	clause.Covers(t, "FZM-17")
	dbtest.Each(t, func(t *testing.T, store *db.DB) {
		d := newDesk(t, store, "fuzhou")
		d.see(boss, "/console/messages", "还没有消息")
		for _, a := range []identity.Actor{buyer, clerk} { // what was told of their resources' publication
			d.see(a, "/console/messages", "已办结：同意", "消息，1 条未读")
			if status, _ := d.post(a, "/console/messages/read", nil); status != http.StatusSeeOther {
				t.Errorf("mark all: %d", status)
			}
		}
		form := url.Values{"resource": {d.Residents.Code}, "mode": {"query"}, "purposes": {"check"}, "business": {"企业开办身份核验"}, "users": {"登记一科"},
			"items": {"公民身份号码", "姓名"}, "end_date": {"2027-03-31"}}
		status, at := d.post(buyer, "/console/requests", form)
		if status != http.StatusSeeOther {
			t.Fatalf("apply: %d", status)
		}
		number := strings.TrimPrefix(at, "/console/requests/")
		decide := func(a identity.Actor, form url.Values) {
			t.Helper()
			if status, _ := d.decide(a, at, form); status != http.StatusSeeOther {
				t.Fatalf("%s: %d", a.ID, status)
			}
		}
		decide(clerk, url.Values{"outcome": {"agree"}})
		decide(bureau, url.Values{"outcome": {"return"}, "reason": {"请补充<b>依据</b>"}})
		page := d.see(buyer, "/console/messages", number+" 已退回，请修改后重新提交", "请补充&lt;b&gt;依据&lt;/b&gt;", "FZM-17", "标为已读", "消息，1 条未读")
		if strings.Contains(page, "请补充<b>") {
			t.Error("markup of a reason is not shown as text")
		}
		d.see(buyer, "/console/", "未读消息", number+" 已退回")
		d.see(clerk, "/console/messages", "消息，0 条未读")
		message := regexp.MustCompile(`/console/messages/[0-9a-f-]{36}`).FindString(page) // the newest
		if status, _ := d.get(clerk, "zh-CN", message); status != http.StatusNotFound {
			t.Errorf("another's message: %d", status)
		}
		// The case's own page leads on to the request's.
		status, to := d.get(buyer, "zh-CN", message)
		if status != http.StatusSeeOther || !strings.HasPrefix(to, "/console/cases/") {
			t.Fatalf("open: %d %s", status, to)
		}
		if status, to = d.get(buyer, "zh-CN", to); status != http.StatusSeeOther || to != at {
			t.Errorf("the message leads to %d %s", status, to)
		}
		page = d.see(buyer, "/console/messages?state=read", number+" 已退回", "消息，0 条未读")
		if strings.Contains(page, "标为已读</button>") {
			t.Error("a read message can be marked once more")
		}
		if status, _ := d.post(buyer, at+"/edit", form); status != http.StatusSeeOther {
			t.Fatalf("amend: %d", status)
		}
		decide(bureau, url.Values{"outcome": {"approve"}})
		d.see(owner, "/console/messages", number+" 的协议等待签署")
		for _, a := range []identity.Actor{owner, boss} {
			decide(a, url.Values{"outcome": {"accept"}})
		}
		d.see(clerk, "/console/messages", catalogtest.Market.Name+"开始使用《"+d.Residents.Name+"》", "2027-03-31")
		d.see(buyer, "/console/messages?topic=case&state=unread", number+" 已办结：同意")
		d.see(buyer, "/console/messages?topic=batch", "消息，1 条未读")
		page = d.see(clerk, "/console/messages?topic=grant")
		message = regexp.MustCompile(`/console/messages/[0-9a-f-]{36}/read`).FindString(page)
		if status, to := d.post(clerk, message, url.Values{"back": {"/console/messages?topic=grant"}}); status != http.StatusSeeOther || to != "/console/messages?topic=grant" {
			t.Errorf("mark one: %d %s", status, to)
		}
		d.see(clerk, "/console/messages", "消息，0 条未读")
		if status, _ := d.post(buyer, "/console/messages/read", nil); status != http.StatusSeeOther {
			t.Errorf("mark all: %d", status)
		}
		d.see(buyer, "/console/messages", "消息，0 条未读")
		for _, a := range []identity.Actor{buyer, clerk, owner} {
			page := d.see(a, "/console/messages")
			for _, link := range regexp.MustCompile(`/console/messages/[0-9a-f-]{36}`).FindAllString(page, -1) {
				if status, to := d.get(a, "zh-CN", link); status != http.StatusSeeOther {
					t.Errorf("%s leads %s nowhere: %d", link, a.ID, status)
				} else if status, _ := d.get(a, "zh-CN", to); status >= 400 {
					t.Errorf("%s: %d for %s", to, status, a.ID)
				}
			}
		}
	})
}
