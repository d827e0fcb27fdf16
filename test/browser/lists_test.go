package browser_test

import (
	"encoding/csv"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// list is a page that shows a list of the console.
type list struct {
	login, path string
	// log: a log is read newest first and by the place that was reached; nothing
	// else orders it.
	log bool
	// results: a list of hits with facets, which is not a table.
	results bool
}

// lists are all of the console's, each opened by somebody who has it.
var lists = []list{
	{login: "authority.authority", path: "/console/catalog", results: true},
	{login: "authority.authority", path: "/console/batches"},
	{login: "authority.authority", path: "/console/channels"},
	{login: "authority.authority", path: "/console/requests"},
	{login: "authority.authority", path: "/console/grants"},
	{login: "authority.authority", path: "/console/agreements"},
	{login: "authority.authority", path: "/console/cases"},
	{login: "authority.authority", path: "/console/overdue"},
	{login: "authority.authority", path: "/console/opening"},
	{login: "authority.authority", path: "/console/bodies"},
	{login: "authority.authority", path: "/console/people"},
	{login: "authority.authority", path: "/console/clients"},
	{login: "authority.authority", path: "/console/rights"},
	{login: "authority.authority", path: "/console/clauses"},
	{login: "fund.steward", path: "/console/messages"},
	{login: "police.steward", path: "/console/usage", log: true},
	{login: "secadmin", path: "/console/posts"},
	{login: "sysadmin", path: "/console/jobs?state=done"},
	{login: "auditor", path: "/console/audit", log: true},
}

var (
	toolField = regexp.MustCompile(`(?s)<form class="gs-tools".*?</form>`)
	choice    = regexp.MustCompile(`(?s)<select id="[^"]*" name="([^"]+)".*?</select>`)
	optionOf  = regexp.MustCompile(`<option value="([^"]+)"`)
	sortLink  = regexp.MustCompile(`(?s)<th[^>]*>\s*<a href="([^"]+)"`)
	shownOf   = regexp.MustCompile(`[–-]([\d,]+) of ([\d,]+)`)
	anyFacet  = regexp.MustCompile(`(?s)class="gs-facet[^"]*".*?<a [^>]*href="([^"]+)"`)
	anyOrder  = regexp.MustCompile(`<select [^>]*name="sort"`)
	exportOf  = func(format string) *regexp.Regexp {
		return regexp.MustCompile(`href="(/console/[^"]*(?:format|export)=` + format + `[^"]*)"`)
	}
)

// everyList walks every list of the console: it filters, sorts,
// pages and goes out as CSV and XLSX, and each of these does what it says (UI.md).
func everyList(t *testing.T, base, password string) {
	clients := map[string]*http.Client{}
	for _, l := range lists {
		t.Run(l.path, func(t *testing.T) {
			if clients[l.login] == nil {
				clients[l.login] = visitor(t, base, l.login, password)
			}
			checkList(t, clients[l.login], base, l)
		})
	}
}

func checkList(t *testing.T, client *http.Client, base string, l list) {
	get := func(path string) (string, http.Header) {
		t.Helper()
		u, err := url.Parse(base + html.UnescapeString(path))
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		q := u.Query()
		q.Set("lang", "en")
		u.RawQuery = q.Encode()
		res, err := client.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d, %v", path, res.StatusCode, err)
		}
		return string(body), res.Header
	}
	number := func(s string) int {
		n, _ := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
		return n
	}
	page, _ := get(l.path)
	total := -1
	if m := shownOf.FindStringSubmatch(page); m != nil {
		total = number(m[2])
	}

	// Filters: each choice's first value answers, with no more than all.
	if l.results {
		if m := anyFacet.FindStringSubmatch(page); m == nil {
			t.Error("no facet")
		} else if narrowed, _ := get(m[1]); !shownOf.MatchString(narrowed) {
			t.Errorf("the facet %s shows no count", m[1])
		}
		if !anyOrder.MatchString(page) {
			t.Error("no order to choose")
		}
	} else {
		tools := toolField.FindString(page)
		fields := choice.FindAllStringSubmatch(tools, -1)
		if len(fields) == 0 {
			t.Error("no filter")
		}
		for _, f := range fields {
			o := optionOf.FindStringSubmatch(f[0])
			if o == nil {
				t.Errorf("the filter %s has no values", f[1])
				continue
			}
			u, _ := url.Parse(l.path)
			q := u.Query()
			q.Set(f[1], html.UnescapeString(o[1]))
			narrowed, _ := get(u.Path + "?" + q.Encode())
			if m := shownOf.FindStringSubmatch(narrowed); m != nil && total >= 0 && l.path != "/console/jobs?state=done" && f[1] != "area" && number(m[2]) > total {
				t.Errorf("%s=%s shows %s of %d", f[1], o[1], m[2], total)
			}
			if !strings.Contains(narrowed, `value="`+o[1]+`" selected`) {
				t.Errorf("%s=%s is not kept in the field", f[1], o[1])
			}
		}
	}

	// Order: a click on a heading orders by it, a second turns it round.
	if links := sortLink.FindAllStringSubmatch(page, -1); !l.log && !l.results {
		if len(links) == 0 && total > 0 {
			t.Error("no column sorts")
		}
		for _, link := range links {
			once, _ := get(link[1])
			if !strings.Contains(once, "aria-sort=") {
				t.Errorf("%s does not say how it is ordered", link[1])
			}
		}
	}

	// Pages: the second begins after the first. A log goes on to what is older.
	switch {
	case l.log:
		if !strings.Contains(page, `rel="next"`) {
			t.Error("no older entries to turn to")
		}
	case total > 10:
		joint := "?"
		if strings.Contains(l.path, "?") {
			joint = "&"
		}
		second, _ := get(l.path + joint + "per=10&page=2")
		if m := shownOf.FindStringSubmatch(second); m == nil || number(m[1]) != min(20, total) || number(m[2]) != total {
			t.Errorf("page 2 of %d by tens shows %v", total, m)
		}
	}

	// Files: all that the filter leaves, in both formats.
	for _, format := range []string{"csv", "xlsx"} {
		m := exportOf(format).FindStringSubmatch(page)
		if m == nil {
			t.Errorf("no export as %s", format)
			continue
		}
		file, header := get(m[1])
		if !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s is not a download: %v", m[1], header)
		}
		if format == "xlsx" {
			if !strings.HasPrefix(file, "PK") {
				t.Errorf("%s is not a workbook", m[1])
			}
			continue
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
		if l.path != "/console/rights" && !l.log && len(rows)-1 != max(total, 0) {
			t.Errorf("%s has %d rows where the list has %d", m[1], len(rows)-1, total)
		}
		if l.log && len(rows) < 2 {
			t.Errorf("%s is empty", m[1])
		}
	}
}
