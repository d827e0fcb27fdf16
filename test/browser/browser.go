// Package browser opens pages in headless Chromium the way a reader would, keeps
// pictures of them and looks for what is wrong on any page: violations of the
// content-security policy, script errors, sideways scrolling, controls without a
// name, text of too little contrast, missing or repeated headings.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The widths at which pages are looked at.
const (
	Desk  = 1440
	Phone = 390
)

// Browser is one running Chromium.
type Browser struct {
	ctx    context.Context
	cancel []context.CancelFunc
	dir    string

	mu     sync.Mutex
	faults []string
}

// ErrNoBrowser says that no Chromium was found.
var ErrNoBrowser = errors.New("no Chromium on this machine (apt-get install chromium)")

// Find gives the path of Chromium: $CHROMIUM, or one of the usual names.
func Find() (string, error) {
	if p := os.Getenv("CHROMIUM"); p != "" {
		return p, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", ErrNoBrowser
}

// Open starts Chromium; pictures go to dir.
func Open(ctx context.Context, dir string) (*Browser, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	alloc, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("lang", "zh-CN"), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(60*time.Second))...)
	tab, end := chromedp.NewContext(alloc)
	b := &Browser{ctx: tab, cancel: []context.CancelFunc{end, stop}, dir: dir}
	err = chromedp.Do(tab, chromedp.Navigate("about:blank"))
	if err == nil {
		err = chromedp.Listen(tab, b.listen)
	}
	if err == nil {
		_, err = chromedp.Call(tab, log.Enable, cdp.Empty{})
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return b, nil
}

// Close ends Chromium.
func (b *Browser) Close() {
	for _, c := range b.cancel {
		c()
	}
}

func (b *Browser) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// A refused page (403, 404) is a "network" error of the console; its own
		// test looks at the status.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			b.note("console: " + e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.note("exception: " + e.ExceptionDetails.Text + " " + exception(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			var parts []string
			for _, a := range e.Args {
				parts = append(parts, string(a.Value))
			}
			b.note("console.error: " + strings.Join(parts, " "))
		}
	}
}

func (b *Browser) note(fault string) {
	b.mu.Lock()
	b.faults = append(b.faults, fault)
	b.mu.Unlock()
}

func (b *Browser) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.faults
	b.faults = nil
	return out
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Exception.Description
	}
	return ""
}

// Do runs steps in the browser's tab, in 40 seconds at most.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Get runs one action that gives a value.
func Get[T any](b *Browser, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// Width sets the width of the window and whether it counts as a phone.
func (b *Browser) Width(width int) error {
	height := int64(900)
	if width <= Phone {
		height = 844
	}
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: height, DeviceScaleFactor: 1, Mobile: width <= Phone})
	return err
}

// Report is what a visit found.
type Report struct {
	Address string
	Title   string
	Path    string // where the browser ended up
	Faults  []string
	Links   []string // addresses on this site that the page leads to
	Bytes   int64    // transferred, as the browser counts: compressed, cache included
	Picture string
}

// Look opens an address at a width, keeps a picture under the name and gives
// what is wrong with the page.
func (b *Browser) Look(address string, width int, name string) (Report, error) {
	report := Report{Address: address}
	b.take()
	if err := b.Width(width); err != nil {
		return report, err
	}
	if err := b.Do(chromedp.Navigate(address)); err != nil {
		return report, fmt.Errorf("open %s: %w", address, err)
	}
	return b.examine(report, name)
}

// Here examines and pictures the page that the tab shows.
func (b *Browser) Here(name string) (Report, error) {
	return b.examine(Report{}, name)
}

func (b *Browser) examine(report Report, name string) (Report, error) {
	if _, err := Get(b, chromedp.Evaluate[bool](settle, chromedp.EvalAwaitPromise)); err != nil {
		return report, fmt.Errorf("wait for %s: %w", report.Address, err)
	}
	found, err := Get(b, chromedp.Evaluate[finding](examination))
	if err != nil {
		return report, fmt.Errorf("examine %s: %w", report.Address, err)
	}
	if name != "" {
		picture, err := Get(b, chromedp.FullScreenshot(100))
		if err != nil {
			return report, fmt.Errorf("picture of %s: %w", report.Address, err)
		}
		report.Picture = filepath.Join(b.dir, name+".png")
		if err := os.MkdirAll(filepath.Dir(report.Picture), 0o755); err != nil {
			return report, err
		}
		if err := os.WriteFile(report.Picture, picture, 0o644); err != nil {
			return report, err
		}
	}
	report.Title, report.Path, report.Links, report.Bytes = found.Title, found.Path, found.Links, int64(found.Bytes)
	report.Faults = append(b.take(), found.Faults...)
	return report, nil
}

// finding is what the examination in the page gives.
type finding struct {
	Title  string   `json:"title"`
	Path   string   `json:"path"`
	Faults []string `json:"faults"`
	Links  []string `json:"links"`
	Bytes  float64  `json:"bytes"`
}

// settle waits for fonts, scripts and charts.
const settle = `(async () => {
  await document.fonts.ready;
  for (let i = 0; i < 40; i++) {
    const open = [...document.querySelectorAll('[data-chart]')].filter(e => !e.querySelector('canvas'));
    if (document.readyState === 'complete' && open.length === 0) break;
    await new Promise(r => setTimeout(r, 50));
  }
  await new Promise(r => setTimeout(r, document.querySelector('[data-chart]') ? 450 : 60));
  return true;
})()`

// examination runs in the page. It looks only at what is seen.
const examination = `(() => {
  const faults = [];
  const seen = e => { const r = e.getBoundingClientRect(); const s = getComputedStyle(e); return r.width > 1 && r.height > 1 && s.visibility !== 'hidden' && s.display !== 'none' && !e.closest('details:not([open]) > :not(summary)'); };
  const brief = e => (e.outerHTML || '').slice(0, 140).replace(/\s+/g, ' ');
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 1) {
    let culprit = '';
    for (const e of document.querySelectorAll('body *')) {
      if (e.closest('.gs-scroll, .gs-code, .gs-tabs, .gs-steps, .gs-nav')) continue;
      const r = e.getBoundingClientRect();
      if (r.right > innerWidth + 1 && seen(e)) { culprit = brief(e); break; }
    }
    faults.push('scrolls sideways by ' + wide + ' px: ' + culprit);
  }
  const h1 = [...document.querySelectorAll('h1')].filter(seen);
  if (h1.length !== 1) faults.push(h1.length + ' h1 headings');
  if (!document.documentElement.lang) faults.push('no lang');
  if (!document.title) faults.push('no title');
  if (!document.querySelector('main')) faults.push('no main');
  let last = 0;
  for (const h of document.querySelectorAll('main h1, main h2, main h3, main h4')) {
    if (!seen(h)) continue;
    const level = +h.tagName[1];
    if (level > last + 1) faults.push('heading level skips from ' + last + ' to ' + level + ': ' + h.textContent.trim().slice(0, 40));
    last = level;
  }
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!seen(e) && !e.classList.contains('visually-hidden')) continue;
    const named = e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.title;
    if (!named) faults.push('field without a label: ' + brief(e));
  }
  for (const e of document.querySelectorAll('a[href], button, summary')) {
    if (!seen(e)) continue;
    const name = (e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.querySelector('img[alt]')?.alt || '');
    if (!name) faults.push('control without a name: ' + brief(e));
  }
  for (const e of document.querySelectorAll('img:not([alt])')) faults.push('image without alt: ' + brief(e));
  for (const e of document.querySelectorAll('table')) {
    if (seen(e) && e.rows.length && !e.querySelector('th[scope]')) faults.push('table without th scope: ' + brief(e));
  }
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) { if (ids.has(e.id)) faults.push('id used twice: ' + e.id); ids.add(e.id); }
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for]')) {
    for (const a of ['aria-describedby', 'aria-labelledby', 'for']) for (const id of (e.getAttribute(a) || '').split(' ').filter(Boolean)) if (!document.getElementById(id)) faults.push(a + ' leads nowhere: ' + id);
  }
  const raw = document.body.innerText.match(/⟦[^⟧]*⟧/g);
  if (raw) faults.push('words missing: ' + [...new Set(raw)].join(' '));
  if (/<no value>|%!\w?\(|\bundefined\b|\bNaN\b/.test(document.body.innerText)) faults.push('broken text: ' + document.body.innerText.match(/.{0,30}(<no value>|%!\w?\(|\bundefined\b|\bNaN\b).{0,20}/)[0]);
  if (document.documentElement.lang === 'en') {
    // Names in the data stay Chinese; a label, a button or a heading does not.
    for (const e of document.querySelectorAll('main label, main button, main th[scope=col], main summary, main .btn, main dt, nav[aria-label] a, .gs-empty-title, .gs-stat-label')) {
      if (e.closest('[lang=zh], .gs-portal-nav a[href="/"]') || e.matches('[data-zh], [data-zh] *')) continue;
      const own = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent).join('');
      if (seen(e) && /[\u4e00-\u9fff]/.test(own) && !e.closest('.gs-facets, .gs-choices, tbody, .gs-crumbs, .gs-scroll')) faults.push('Chinese on an English page: ' + own.trim().slice(0, 40));
    }
  }
  const parse = c => { const m = c.match(/[\d.]+/g); return m ? m.map(Number) : [0, 0, 0, 0]; };
  const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const ground = e => { for (let n = e; n; n = n.parentElement) { const s = getComputedStyle(n); if (s.backgroundImage !== 'none') return null; const c = parse(s.backgroundColor); if (c.length < 4 || c[3] > .99) return c; if (c[3] > 0) return null; } return [255, 255, 255]; };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    if (!n.textContent.trim()) continue;
    const e = n.parentElement;
    if (!seen(e) || e.closest('[aria-hidden=true], .visually-hidden, .gs-skip, :disabled, canvas, noscript, option')) continue;
    const back = ground(e);
    if (!back) continue;
    const s = getComputedStyle(e), a = light(parse(s.color)), b = light(back);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const big = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.6 && +s.fontWeight >= 700);
    if (ratio < (big ? 3 : 4.5)) poor.add('contrast ' + ratio.toFixed(2) + ': ' + n.textContent.trim().slice(0, 24) + ' (' + (e.className || e.tagName) + ')');
  }
  faults.push(...[...poor].slice(0, 6));
  const links = [...new Set([...document.querySelectorAll('a[href]')].map(a => a.href).filter(h => h.startsWith(location.origin)))];
  const bytes = performance.getEntriesByType('resource').filter(r => !/charts-/.test(r.name)).reduce((n, r) => n + (r.transferSize || r.encodedBodySize), (performance.getEntriesByType('navigation')[0] || {}).transferSize || 0);
  return { title: document.title, path: location.pathname + location.search, faults, links, bytes };
})()`
