package browser_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gongshu/test/browser"
)

// forms goes through the console's forms as people do: with and without
// scripts, with the keyboard, and when the session ends in the middle.
func forms(t *testing.T, base, password string) {
	const form = "/console/requests/new?resource=10300301-0001&lang=zh"
	open := func(t *testing.T, login string) *browser.Browser {
		b := start(t)
		if err := b.LogIn(base, login, password); err != nil {
			t.Fatal(err)
		}
		return b
	}
	do := func(t *testing.T, b *browser.Browser, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := b.Do(steps...); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(t *testing.T, b *browser.Browser, script string) string {
		t.Helper()
		v, err := browser.Get(b, chromedp.Evaluate[string](script))
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return v
	}
	press := func(t *testing.T, b *browser.Browser, selector string) {
		t.Helper()
		if err := b.Press(selector); err != nil {
			t.Fatalf("%s: %v", selector, err)
		}
	}

	t.Run("a lost session", func(t *testing.T) {
		b := open(t, "tax.steward")
		do(t, b, chromedp.Navigate(base+form), chromedp.SendKeys("#f-business", "房产税核定"), chromedp.Click(`input[name=purposes][value=verify], input[name=purposes]`))
		time.Sleep(600 * time.Millisecond) // longer than the form waits before it keeps what was typed
		other := visitor(t, base, "tax.steward", password)
		r, _ := http.NewRequest("POST", base+"/console/account/sessions/end", strings.NewReader(url.Values{"session": {"others"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		res, err := other.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		press(t, b, `button[name=do][value=draft]`)
		if text := ask(t, b, "document.body.innerText"); !strings.Contains(text, "没有生效") {
			t.Fatalf("the page after the session ended: %.200s", text)
		}
		press(t, b, ".gs-error-actions a.btn-primary")
		do(t, b, chromedp.SendKeys("#f-login", "tax.steward"), chromedp.SendKeys("#f-password", password))
		press(t, b, "form.gs-form button[type=submit]")
		if at := ask(t, b, "location.pathname + location.search"); !strings.HasPrefix(at, "/console/requests/new?") {
			t.Fatalf("the way back leads to %s", at)
		}
		if v := ask(t, b, "document.querySelector('#f-business').value"); v != "" {
			t.Fatalf("the form was not as served: %q", v)
		}
		do(t, b, chromedp.Click("[data-restore]"))
		if v := ask(t, b, "document.querySelector('#f-business').value"); v != "房产税核定" {
			t.Errorf("what was filled in is lost: %q", v)
		}
		if n := ask(t, b, "String(document.querySelectorAll('input[name=purposes]:checked').length)"); n != "1" {
			t.Errorf("%s boxes ticked", n)
		}
		// Sent and taken: nothing is kept, also for the next who sits here.
		press(t, b, `button[name=do][value=draft]`)
		if n := ask(t, b, "String(Object.keys(sessionStorage).filter(k => k.startsWith('gongshu:form:')).length)"); n != "0" {
			t.Errorf("%s forms are still kept after the server took them", n)
		}
	})

	t.Run("an error", func(t *testing.T) {
		b := open(t, "tax.steward")
		do(t, b, chromedp.Navigate(base+form))
		ask(t, b, "document.querySelector('#f-business').value = '', document.querySelectorAll('main form [required]').forEach(e => e.required = false), ''")
		press(t, b, "main form.gs-form button.btn-primary[type=submit]")
		if got := ask(t, b, "document.activeElement.className"); !strings.Contains(got, "gs-error-summary") {
			t.Errorf("the focus after an error is on %q", got)
		}
		if got := ask(t, b, `[...document.querySelectorAll('.gs-field-bad input, .gs-field-bad textarea')].filter(e => {
			const ids = (e.getAttribute('aria-describedby') || e.closest('fieldset')?.getAttribute('aria-describedby') || '').split(' ').filter(Boolean);
			return !ids.some(id => document.getElementById(id)?.classList.contains('gs-error'));
		}).map(e => e.name).join(' ')`); got != "" {
			t.Errorf("fields whose error is not announced with them: %s", got)
		}
		if got := ask(t, b, "[...document.querySelectorAll('.gs-error-summary a')].filter(a => !document.querySelector(a.getAttribute('href'))).map(a => a.href).join(' ')"); got != "" {
			t.Errorf("errors that lead nowhere: %s", got)
		}
	})

	t.Run("without scripts", func(t *testing.T) {
		b := open(t, "labour.steward")
		if err := b.Scripts(false); err != nil {
			t.Fatal(err)
		}
		do(t, b, chromedp.Navigate(base+"/console/catalog-sample?lang=zh"))
		sample := filepath.Join(t.TempDir(), "实训基地.csv")
		if err := os.WriteFile(sample, []byte("基地编号,基地名称,联系电话\nA001,一号基地,13805910001\nA002,二号基地,13805910002\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		do(t, b, chromedp.SetUploadFiles("input[type=file]", []string{sample}))
		press(t, b, "main form.gs-form button[type=submit]")
		press(t, b, "main form.gs-form button[type=submit]")
		if at := ask(t, b, "location.pathname"); !strings.HasSuffix(at, "/edit") {
			t.Errorf("a sample without scripts ends at %s", at)
		}
		// A refused form comes back with what was filled in.
		do(t, b, chromedp.Navigate(base+form), chromedp.SendKeys("#f-business", "失业保险审核"), chromedp.SendKeys("#f-users", "就业处"))
		press(t, b, `button[name=do][value=draft]`)
		do(t, b, chromedp.Navigate(base+form))
		if v := ask(t, b, "document.querySelector('#f-business').value"); v != "失业保险审核" {
			t.Errorf("the draft without scripts: %q", v)
		}
		do(t, b, chromedp.Navigate(base+"/console/requests?lang=zh"))
		press(t, b, "form.gs-tools button[type=submit]")
		if at := ask(t, b, "location.search"); !strings.Contains(at, "state=") {
			t.Errorf("the filter without scripts leads to %q", at)
		}
	})

	t.Run("with the keyboard", func(t *testing.T) {
		b := open(t, "tax.steward")
		do(t, b, chromedp.Navigate(base+"/console/?lang=zh"), chromedp.KeyEvent("\t"))
		if got := ask(t, b, "document.activeElement.className"); got != "gs-skip" {
			t.Errorf("the first stop of the keyboard is %q, not the skip link", got)
		}
		// Every stop of the way through the page is seen, and its focus is marked.
		for i := range 25 {
			do(t, b, chromedp.KeyEvent("\t"))
			got := ask(t, b, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
				if (e === document.body) return '';
				const mark = s.outlineStyle !== 'none' || s.boxShadow !== 'none';
				return (r.width > 1 && r.height > 1 || e.classList.contains('gs-nav-check')) && mark || e.classList.contains('gs-nav-check') ? '' : (e.outerHTML || '').slice(0, 120); })()`)
			if got != "" {
				t.Errorf("stop %d is not seen or not marked: %s", i+2, got)
			}
		}
		do(t, b, chromedp.Navigate(base+"/console/?lang=zh"))
		ask(t, b, "document.querySelector('details[data-menu] summary').focus(), ''")
		do(t, b, chromedp.KeyEvent("\r"), chromedp.KeyEvent("\u001b"))
		if got := ask(t, b, "String(document.querySelector('details[data-menu]').open) + document.activeElement.tagName"); got != "falseSUMMARY" {
			t.Errorf("after Escape the menu is %s", got)
		}
	})
}
