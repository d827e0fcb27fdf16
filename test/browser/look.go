package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// LookAll opens addresses at both widths in both languages and reports what is
// wrong, a line a fault. It is the developer's way to look at pages at work.
func LookAll(ctx context.Context, dir, base string, before func(*Browser) error, paths ...string) error {
	b, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	defer b.Close()
	if before != nil {
		if err := before(b); err != nil {
			return err
		}
	}
	for _, path := range paths {
		for _, lang := range []string{"zh", "en"} {
			for _, width := range []int{Desk, Phone} {
				name := fmt.Sprintf("%s-%s-%d", FileName(path), lang, width)
				report, err := b.Look(base+WithLang(path, lang), width, name)
				if err != nil {
					return err
				}
				fmt.Fprintf(os.Stdout, "%s  %s  %d bytes\n", name, report.Path, report.Bytes)
				for _, f := range report.Faults {
					fmt.Fprintf(os.Stdout, "    %s\n", f)
				}
			}
		}
	}
	return nil
}

// WithLang adds the language to an address.
func WithLang(path, lang string) string {
	if strings.Contains(path, "?") {
		return path + "&lang=" + lang
	}
	return path + "?lang=" + lang
}

// FileName makes a file's name of a path.
func FileName(path string) string {
	path, _, _ = strings.Cut(path, "?")
	name := strings.Trim(strings.NewReplacer("/", "_", "%", "", ".", "_").Replace(path), "_")
	if name == "" {
		return "home"
	}
	return name
}

// Press clicks what leads to another page and waits for it.
func (b *Browser) Press(selector string) error {
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.Click(selector))
	return err
}

// Scripts allows or forbids the page's scripts from the next page on.
func (b *Browser) Scripts(allowed bool) error {
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !allowed})
	return err
}

// LogIn fills in the log-in form; an error names what the page says instead.
func (b *Browser) LogIn(base, login, password string) error {
	if err := b.Width(Desk); err != nil {
		return err
	}
	if err := b.Do(chromedp.Navigate(base+"/console/login?lang=zh"),
		chromedp.SendKeys("#f-login", login), chromedp.SendKeys("#f-password", password)); err != nil {
		return fmt.Errorf("log-in form: %w", err)
	}
	if err := b.Press("form.gs-form button[type=submit]"); err != nil {
		return fmt.Errorf("log in as %s: %w", login, err)
	}
	path, err := Get(b, chromedp.Location())
	if err != nil {
		return err
	}
	if strings.Contains(path, "/console/login") {
		text, _ := Get(b, chromedp.Evaluate[string]("document.querySelector('.gs-alert')?.innerText || document.body.innerText.slice(0, 200)"))
		return fmt.Errorf("log in as %s: %s", login, text)
	}
	return nil
}
