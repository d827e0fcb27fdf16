package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"gongshu/clause"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/privacy"
	"gongshu/warehouse"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func clientState(s string) identity.ClientChange { return identity.ClientChange{State: &s} }

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 100 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it did not come about within five seconds")
}

func TestVerify(t *testing.T) {
	clause.Covers(t, "FS-13", "FZM-29")
	both(t, 30, func(t *testing.T, h *house) {
		s := h.spec(gateway.Verify)
		s.Where = []gateway.Condition{{Item: "区划代码", Op: gateway.Ne, Values: []string{"350105"}}}
		h.grant(s)
		p := resident(4) // in 350102
		ask := func(id, claims string) answer {
			return h.ask("POST", peoplePath+"verify", `{"key":{"公民身份号码":"`+id+`"},"claims":{`+claims+`}}`)
		}
		a := ask(p.id, `"姓名":"`+p.name+`","手机号码":"13900000000","年收入":`+p.income+`,"登记日期":"`+p.registered+`","低保":false`)
		want := fmt.Sprintf(`{"resource":"310010100/000001","result":{"姓名":true,"手机号码":false,"年收入":true,"登记日期":true,"低保":true},"audit":%d}`, h.entries("gateway.verify")[0].Seq)
		if a.status != 200 || strings.TrimSpace(a.body) != want {
			t.Errorf("%d %s\nwant %s", a.status, a.body, want)
		}
		// A person who is not there, one outside the grant's rows, and a wrong claim read the same.
		stranger, outside := resident(7777), resident(3) // 350105
		for _, id := range []string{stranger.id, outside.id} {
			if a := ask(id, `"姓名":"`+outside.name+`"`); a.status != 200 || !strings.Contains(a.body, `"result":{"姓名":false}`) {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		e := h.entries("gateway.verify")[0].Entry
		if e.Note("claims") != "5" || e.Note("yes") != "4" || len(e.Subjects) != 1 || e.Purpose == "" {
			t.Errorf("%+v", e)
		}
	})
}

// TestVerifyIsNoOracle: an income cannot be found by asking for one value after
// another, nor by asking for all at once, nor after a restart, nor by a second
// grant; asking the same again stays free.
func TestVerifyIsNoOracle(t *testing.T) {
	clause.Covers(t, "FS-13")
	both(t, 30, func(t *testing.T, h *house) {
		s := h.spec(gateway.Verify)
		s.PerSecond = 10000
		h.grant(s)
		p := resident(9)
		claim := func(income string) answer {
			return h.ask("POST", peoplePath+"verify", `{"key":{"公民身份号码":"`+p.id+`"},"claims":{"年收入":`+income+`}}`)
		}
		var mu sync.Mutex
		answered, refused := 0, 0
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				a := claim(fmt.Sprint(10000 + i))
				mu.Lock()
				defer mu.Unlock()
				switch a.status {
				case 200:
					answered++
				case 429:
					refused++
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
		group.Wait()
		if answered != gateway.DefaultTries || refused != 40-gateway.DefaultTries {
			t.Errorf("%d answered, %d refused", answered, refused)
		}
		// The right value is refused like a wrong one: a refusal tells nothing.
		if a := claim(p.income); a.status != 429 || a.problem().Field != "年收入" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
		h.grant(s) // a second grant does not begin anew
		if a := claim(p.income); a.status != 429 {
			t.Errorf("under a new grant: %d %s", a.status, a.body)
		}
		other := h.serve(h.node())
		if a := h.askAt(other.URL, "POST", peoplePath+"verify", `{"key":{"公民身份号码":"`+p.id+`"},"claims":{"年收入":`+p.income+`}}`); a.status != 429 {
			t.Errorf("on another node: %d %s", a.status, a.body)
		}
		// Other items of the person, and other persons, are not touched.
		if a := h.ask("POST", peoplePath+"verify", `{"key":{"公民身份号码":"`+p.id+`"},"claims":{"姓名":"`+p.name+`"}}`); a.status != 200 {
			t.Errorf("another item: %d %s", a.status, a.body)
		}
		q := resident(10)
		for range 10 { // the same question again tells nothing new
			if a := h.ask("POST", peoplePath+"verify", `{"key":{"公民身份号码":"`+q.id+`"},"claims":{"年收入":1}}`); a.status != 200 {
				t.Fatalf("the same again: %d %s", a.status, a.body)
			}
		}
		h.clock.Add((31 * 24 * time.Hour).Milliseconds())
		if a := claim(p.income); a.status != 200 || !strings.Contains(a.body, `"年收入":true`) {
			t.Errorf("after the window: %d %s", a.status, a.body)
		}
	})
}

// statGroups reads an answer of statistics: key -> count, -1 for suppressed.
func statGroups(t *testing.T, a answer, by string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, g := range a.json(t)["groups"].([]any) {
		g := g.(map[string]any)
		n := -1.0
		if g["suppressed"] == nil {
			n = g["measures"].(map[string]any)["count"].(float64)
		}
		key := ""
		if by != "" {
			key = fmt.Sprint(g["by"].(map[string]any)[by])
		}
		out[key] = n
	}
	return out
}

func TestStatistics(t *testing.T) {
	clause.Covers(t, "FS-13")
	both(t, 43, func(t *testing.T, h *house) {
		s := h.spec(gateway.Statistics, "区划代码", "年收入", "登记日期")
		h.grant(s)
		ask := func(body string) answer { return h.ask("POST", peoplePath+"statistics", body) }
		a := ask(`{"by":["区划代码"],"measures":[{"op":"count"},{"op":"sum","item":"年收入"},{"op":"avg","item":"年收入"}]}`)
		if got := statGroups(t, a, "区划代码"); a.status != 200 || got["350102"] != 11 || got["350105"] != 10 || len(got) != 4 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		sum := 0
		for i := 0; i < 43; i += 4 {
			sum += 30000 + i*7
		}
		first := a.json(t)["groups"].([]any)[0].(map[string]any)["measures"].(map[string]any)
		if first["sum(年收入)"] != float64(sum) || first["avg(年收入)"] != float64(sum)/11 {
			t.Errorf("%v, want the sum %d", first, sum)
		}
		// By day of registration: 4 or 5 a group; those of 4 are hidden.
		a = ask(`{"by":["登记日期"],"measures":[{"op":"count"}]}`)
		hidden := 0
		for _, n := range statGroups(t, a, "登记日期") {
			if n >= 0 && n < 5 {
				t.Errorf("a group of %v is shown: %s", n, a.body)
			}
			if n < 0 {
				hidden++
			}
		}
		if a.status != 200 || hidden < 2 || a.json(t)["suppressed"] != true {
			t.Errorf("%d %s", a.status, a.body)
		}
		// One group: few persons and nobody read the same, and no key is told.
		few := ask(`{"by":["区划代码"],"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"eq","values":["30007"]}]}`)
		none := ask(`{"by":["区划代码"],"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"eq","values":["1"]}]}`)
		strip := func(a answer) string { b, _, _ := strings.Cut(a.body, `"audit"`); return b }
		if few.status != 200 || strip(few) != strip(none) || !strings.Contains(few.body, `"groups":[]`) {
			t.Errorf("few: %s\nnone: %s", few.body, none.body)
		}
		if one, two := ask(`{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"eq","values":["30007"]}]}`), ask(`{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"eq","values":["1"]}]}`); strip(one) != strip(two) {
			t.Errorf("few: %s\nnone: %s", one.body, two.body)
		}
		e := h.entries("gateway.statistics")[0].Entry
		if e.Note("groups") != "4" || e.Note("by") != "区划代码" || e.Purpose == "" || e.Outcome != "ok" {
			t.Errorf("%+v", e)
		}
	})
}

// TestStatisticsOfUnmarkedRows: rows without a personal item may be about one person
// all the same, so small groups are hidden there too; where anybody may download the
// rows they are not.
func TestStatisticsOfUnmarkedRows(t *testing.T) {
	clause.Covers(t, "FS-13")
	for _, open := range []bool{false, true} {
		h := one(t, 43)
		source := people
		source.Open, source.Items = open, slices.Clone(people.Items)
		for i := range source.Items {
			source.Items[i].Personal = privacy.KindNone
		}
		h.src[people.Code] = source
		h.grant(h.spec(gateway.Statistics, "登记日期", "年收入"))
		a := h.ask("POST", peoplePath+"statistics", `{"by":["登记日期"],"measures":[{"op":"count"},{"op":"max","item":"年收入"}]}`)
		small := 0
		for _, n := range statGroups(t, a, "登记日期") {
			if n < 5 {
				small++
				if n >= 0 && !open {
					t.Errorf("a group of %v is shown: %s", n, a.body)
				}
			}
		}
		threshold := map[bool]float64{false: 5, true: 0}[open]
		if got := a.json(t); a.status != 200 || small == 0 || got["suppressed"] != !open || got["threshold"] != threshold || got["unit"] != "rows" {
			t.Errorf("open %v: %d %s", open, a.status, a.body)
		}
	}
}

// TestStatisticsCannotBeDifferenced: all but one person, asked for after all, is
// refused; in either order, by any detour of conditions, on any node, under any
// grant of the body; and the answers that do come never differ by fewer than k.
func TestStatisticsCannotBeDifferenced(t *testing.T) {
	clause.Covers(t, "FS-13")
	both(t, 40, func(t *testing.T, h *house) {
		h.grant(h.spec(gateway.Statistics, "区划代码", "年收入", "登记日期"))
		sum := func(where string) answer {
			return h.ask("POST", peoplePath+"statistics", `{"measures":[{"op":"count"},{"op":"sum","item":"年收入"}],"where":[`+where+`]}`)
		}
		all := sum("")
		if all.status != 200 || statGroups(t, all, "")[""] != 40 {
			t.Fatalf("%d %s", all.status, all.body)
		}
		for _, attack := range []string{
			`{"item":"年收入","op":"ne","values":["30007"]}`,
			`{"item":"年收入","op":"gt","values":["30000"]}`,
			`{"item":"年收入","op":"not_in","values":["30007","30014"]}`,
			`{"item":"年收入","op":"between","values":["30001","99999"]}`,
			`{"item":"年收入","op":"le","values":["30266"]}`,
		} {
			a := sum(attack)
			if p := a.problem(); a.status != 403 || p.Field != "where" || len(p.Clauses) == 0 {
				t.Errorf("%s: %d %s", attack, a.status, a.body)
			}
		}
		// Another node, another grant: the same ledger.
		h.grant(h.spec(gateway.Statistics, "区划代码", "年收入"))
		other := h.serve(h.node())
		if a := h.askAt(other.URL, "POST", peoplePath+"statistics", `{"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"ne","values":["30007"]}]}`); a.status != 403 {
			t.Errorf("on another node: %d %s", a.status, a.body)
		}
		// A group that is another one by enough persons is answered.
		if a := sum(`{"item":"区划代码","op":"eq","values":["350102"]}`); a.status != 200 || statGroups(t, a, "")[""] != 10 {
			t.Errorf("%d %s", a.status, a.body)
		}
		// The same again is answered again, also spelled otherwise.
		if a := sum(`{"item":"district","op":"in","values":["350102"]}`); a.status != 200 || statGroups(t, a, "")[""] != 10 {
			t.Errorf("%d %s", a.status, a.body)
		}
		// In a table the group that could be differenced is hidden, and another with it.
		a := h.ask("POST", peoplePath+"statistics", `{"by":["区划代码"],"measures":[{"op":"count"}],"where":[{"item":"年收入","op":"ne","values":["30000"]}]}`)
		got := statGroups(t, a, "区划代码")
		if a.status != 200 || got["350102"] != -1 {
			t.Errorf("%d %s", a.status, a.body)
		}
		// Time is no way round either: one more person, and the old answer is given
		// again; five more, and it is the new one.
		h.load(warehouse.Append, [][]string{resident(44).cells()})
		if a := sum(`{"item":"区划代码","op":"eq","values":["350102"]}`); a.status != 200 || statGroups(t, a, "")[""] != 10 || !strings.Contains(a.body, `"as_of"`) {
			t.Errorf("after one more: %d %s", a.status, a.body)
		}
		h.load(warehouse.Append, [][]string{resident(48).cells(), resident(52).cells(), resident(56).cells(), resident(60).cells()})
		if a := sum(`{"item":"区划代码","op":"eq","values":["350102"]}`); a.status != 200 || statGroups(t, a, "")[""] != 15 {
			t.Errorf("after five more: %d %s", a.status, a.body)
		}
	})
}

// TestTablesCannotBeAddedUp: a table that leaves one person out does not add up to
// the total that was answered before, nor the other way round, in whole or in part.
func TestTablesCannotBeAddedUp(t *testing.T) {
	clause.Covers(t, "FS-13")
	table := func(by, where string) string {
		return `{"by":[` + by + `],"measures":[{"op":"count"},{"op":"sum","item":"年收入"}],"where":[` + where + `]}`
	}
	const district, poor, both40 = `"区划代码"`, `"低保"`, `"区划代码","低保"`
	but := `{"item":"年收入","op":"ne","values":["30007"]}`
	for name, c := range map[string]struct{ first, second string }{
		"total, then table":           {table("", ""), table(district, but)},
		"table, then total":           {table(district, but), table("", "")},
		"table, then another table":   {table(district, ""), table(poor, but)},
		"table, then its parts":       {table(district, ""), table(both40, but)},
		"parts, then the table":       {table(both40, but), table(district, "")},
		"parts, then the other table": {table(both40, but), table(poor, "")},
	} {
		t.Run(name, func(t *testing.T) {
			h := one(t, 80)
			h.grant(h.spec(gateway.Statistics, "区划代码", "年收入", "低保"))
			known, hidden := map[string]float64{}, 0
			for _, body := range []string{c.first, c.second} {
				a := h.ask("POST", peoplePath+"statistics", body)
				if a.status == 403 && body == c.second {
					break // refused whole
				}
				if a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				var out struct {
					Groups []struct {
						By       map[string]any
						Measures map[string]any
					}
				}
				if err := json.Unmarshal([]byte(a.body), &out); err != nil {
					t.Fatal(err)
				}
				if body == c.first {
					hidden = strings.Count(a.body, `"suppressed":true`)
				}
				// What the answer lets one add up: totals by district, by poverty, over all.
				sums := map[string]float64{}
				for _, g := range out.Groups {
					n, told := g.Measures["count"].(float64)
					if !told {
						n = math.NaN()
					}
					all := []string{""}
					for item, v := range g.By {
						all = append(all, fmt.Sprint(item, v))
					}
					for _, key := range all {
						sums[key] += n
					}
				}
				for key, n := range sums {
					if was, ok := known[key]; ok && math.Abs(n-was) > 0 && math.Abs(n-was) < 5 {
						t.Errorf("%q adds up to %v and to %v", key, was, n)
					}
					if !math.IsNaN(n) {
						known[key] = n
					}
				}
			}
			// A table is answered again as it was, and is not worn away.
			if again := h.ask("POST", peoplePath+"statistics", c.first); again.status != 200 || strings.Count(again.body, `"suppressed":true`) != hidden {
				t.Errorf("again: %d %s", again.status, again.body)
			}
		})
	}
}

// TestStatisticsAtOnce: two requests that difference each other, sent at once, are
// not both answered, on one node or two.
func TestStatisticsAtOnce(t *testing.T) {
	both(t, 40, func(t *testing.T, h *house) {
		h.grant(h.spec(gateway.Statistics, "区划代码", "年收入"))
		bases := []string{h.srv.URL, h.serve(h.node()).URL}
		for round := range 8 {
			lo := 30000 + round*7
			var mu sync.Mutex
			answered := 0
			var group sync.WaitGroup
			for i, where := range []string{
				fmt.Sprintf(`{"item":"年收入","op":"between","values":["%d","%d"]}`, lo, lo+20*7),
				fmt.Sprintf(`{"item":"年收入","op":"between","values":["%d","%d"]}`, lo, lo+21*7),
			} {
				group.Go(func() {
					a := h.askAt(bases[i], "POST", peoplePath+"statistics", `{"measures":[{"op":"count"}],"where":[`+where+`]}`)
					mu.Lock()
					defer mu.Unlock()
					if a.status == 200 {
						answered++
					} else if a.status != 403 && a.status != 503 {
						t.Errorf("%d %s", a.status, a.body)
					}
				})
			}
			group.Wait()
			if answered > 1 {
				t.Fatalf("round %d: both were answered", round)
			}
		}
	})
}

// TestDominatedSum: a sum of which one person makes up nearly all is not told.
func TestDominatedSum(t *testing.T) {
	h := one(t, 12)
	rich := resident(12)
	rich.income = "90000000"
	h.load(warehouse.Append, [][]string{rich.cells()})
	h.grant(h.spec(gateway.Statistics, "年收入"))
	a := h.ask("POST", peoplePath+"statistics", `{"measures":[{"op":"count"},{"op":"sum","item":"年收入"},{"op":"avg","item":"年收入"}]}`)
	if a.status != 200 || !strings.Contains(a.body, `{"count":13,"sum(年收入)":null,"avg(年收入)":null}`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestObtain(t *testing.T) {
	clause.Covers(t, "FZM-29", "LY-21")
	both(t, 300, func(t *testing.T, h *house) {
		s := h.spec(gateway.Obtain, "公民身份号码", "姓名", "年收入", "低保")
		s.Items[0].Unmasked = true
		s.Where = []gateway.Condition{{Item: "区划代码", Op: gateway.Prefix, Values: []string{"350102"}}}
		h.grant(s)
		a := h.ask("GET", peoplePath+"rows", "")
		if a.status != 200 || a.cut != nil {
			t.Fatalf("%d %v %s", a.status, a.cut, a.body)
		}
		sum := sha256.Sum256([]byte(a.body))
		if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; a.trail.Get("X-Gongshu-Digest") != want || a.trail.Get("X-Gongshu-Rows") != "75" || a.trail.Get("X-Gongshu-Complete") != "true" {
			t.Errorf("trailers %v, want %s", a.trail, want)
		}
		list, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if err != nil || len(list) != 76 || strings.Join(list[0], ",") != "公民身份号码,姓名,年收入,低保" {
			t.Fatalf("%d records, %v", len(list), err)
		}
		for i, row := range list[1:] {
			p := resident(i * 4)
			if strings.Join(row, ",") != strings.Join([]string{p.id, "陈**", p.income, p.poor}, ",") {
				t.Fatalf("row %d: %v, want %+v", i, row, p)
			}
		}
		entries := h.entries("gateway.obtain")
		if len(entries) != 2 || entries[0].Entry.Note("stage") != "begin" || entries[1].Entry.Note("rows") != "75" || entries[1].Entry.Note("digest") != fmt.Sprintf("%x", sum) {
			t.Errorf("%d entries: %+v", len(entries), entries)
		}
		if a.header.Get("X-Gongshu-Audit") != fmt.Sprint(entries[0].Seq) || a.header.Get("X-Gongshu-Release") == "" {
			t.Errorf("%v", a.header)
		}
		next := a.trail.Get("X-Gongshu-Next-Since")
		// Nothing new; then a changed row, a new one, and a deletion.
		if a := h.ask("GET", peoplePath+"rows?since="+next, ""); a.status != 200 || a.trail.Get("X-Gongshu-Rows") != "0" || a.trail.Get("X-Gongshu-Next-Since") == "" {
			t.Errorf("%d %v %s", a.status, a.trail, a.body)
		}
		if a := h.ask("GET", peoplePath+"rows?since="+next, "", "Authorization", "Bearer "+h.other); a.status != 403 {
			t.Errorf("%d", a.status)
		}
		fresh := resident(1000)
		fresh.district = "350102"
		h.load(warehouse.Append, [][]string{fresh.cells()})
		a = h.ask("GET", peoplePath+"rows?format=ndjson&since="+next, "")
		var row map[string]any
		if err := json.Unmarshal([]byte(a.body), &row); err != nil || row["_op"] != "upsert" || row["公民身份号码"] != fresh.id || row["年收入"] != 37000.0 || row["低保"] != false {
			t.Errorf("%s %v", a.body, row)
		}
		next = a.trail.Get("X-Gongshu-Next-Since")
		// Each row's own token resumes after it.
		a = h.ask("GET", peoplePath+"rows?tokens=true&limit=10", "")
		list, _ = csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if a.trail.Get("X-Gongshu-Complete") != "false" || len(list) != 11 {
			t.Fatalf("%d rows, %v", len(list), a.trail)
		}
		token := list[4][4] // of the fourth row
		a = h.ask("GET", peoplePath+"rows?since="+token+"&limit=2", "")
		list, _ = csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if len(list) != 3 || list[1][0] != resident(16).id || list[1][4] != "upsert" {
			t.Errorf("resumed at %v", list)
		}
	})
}

// TestObtainDeletions: a deleted key is told to whom the key is granted; a grant
// without the key says that it cannot tell.
func TestObtainDeletions(t *testing.T) {
	h := one(t, 10)
	s := h.spec(gateway.Obtain, "公民身份号码", "姓名")
	s.Items[0].Mask = "pseudonym"
	h.grant(s)
	a := h.ask("GET", peoplePath+"rows?format=ndjson", "")
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	next := a.trail.Get("X-Gongshu-Next-Since")
	var before map[string]any
	if err := json.Unmarshal([]byte(lines[3]), &before); err != nil || before["公民身份号码"] == resident(3).id {
		t.Fatalf("%v %v", before, err)
	}
	h.load(warehouse.Delete, [][]string{resident(3).cells()})
	a = h.ask("GET", peoplePath+"rows?format=ndjson&since="+next, "")
	var row map[string]any
	if err := json.Unmarshal([]byte(a.body), &row); err != nil || row["_op"] != "delete" || row["公民身份号码"] != before["公民身份号码"] || row["姓名"] != nil {
		t.Errorf("%s, want the deletion of %v", a.body, before)
	}
	h.grant(h.spec(gateway.Obtain, "姓名"))
	a = h.ask("GET", peoplePath+"rows?format=ndjson&since="+next, "")
	if a.header.Get("X-Gongshu-Deletions") != "withheld" || a.body != "" {
		t.Errorf("%v %s", a.header, a.body)
	}
}

func TestObtainParquet(t *testing.T) {
	h := one(t, 50)
	h.grant(h.spec(gateway.Obtain, "姓名", "年收入", "登记日期", "低保"))
	a := h.ask("GET", peoplePath+"rows?format=parquet", "")
	f, err := parquet.OpenFile(bytes.NewReader([]byte(a.body)), int64(len(a.body)))
	if err != nil || f.NumRows() != 50 {
		t.Fatalf("%v", err)
	}
	if v, ok := f.Lookup("gongshu.release"); !ok || v != a.header.Get("X-Gongshu-Release") {
		t.Errorf("the file names the release %q", v)
	}
	traces, err := h.gw.Trace(t.Context(), strings.NewReader(a.body))
	if err != nil || len(traces) != 1 || traces[0].Release != a.header.Get("X-Gongshu-Release") || !traces[0].Certain() {
		t.Errorf("%+v %v", traces, err)
	}
}

// TestWatermark: a file, a part of it, its columns, its lines in another order, all
// lead to their release and to no other; a file of somebody else leads nowhere.
func TestWatermark(t *testing.T) {
	h := one(t, 400)
	h.grant(h.spec(gateway.Obtain, "姓名", "手机号码", "年收入"))
	for _, format := range []string{"csv", "ndjson"} {
		a, b := h.ask("GET", peoplePath+"rows?format="+format, ""), h.ask("GET", peoplePath+"rows?format="+format, "")
		if a.body == b.body {
			t.Fatalf("%s: two releases are the same bytes", format)
		}
		mine := a.header.Get("X-Gongshu-Release")
		lines := strings.SplitAfter(strings.TrimSuffix(a.body, "\n"), "\n")
		head, data := lines[0], append([]string(nil), lines[1:]...)
		if format == "ndjson" {
			head, data = "", append([]string(nil), lines...)
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
		for i := range data {
			data[i] = strings.TrimRight(data[i], "\r\n") + "\r\n"
		}
		cases := map[string]string{"whole": a.body, "a quarter, shuffled": head + strings.Join(data[:100], "")}
		if format == "csv" {
			var incomes strings.Builder
			for _, l := range strings.Split(a.body, "\r\n") {
				incomes.WriteString(l[strings.LastIndexByte(l, ',')+1:] + "\r\n")
			}
			cases["one column"] = incomes.String()
		}
		for name, file := range cases {
			traces, err := h.gw.Trace(t.Context(), strings.NewReader(file))
			if err != nil || len(traces) < 2 || traces[0].Release != mine || !traces[0].Certain() || traces[0].User != "林小敏" || traces[0].Client != "welfare" {
				t.Errorf("%s %s: %+v %v", format, name, traces, err)
			} else if traces[1].Certain() {
				t.Errorf("%s %s: another release fits as well: %+v", format, name, traces[1])
			}
		}
	}
	var foreign strings.Builder
	foreign.WriteString("a,b\r\n")
	for i := range 500 {
		fmt.Fprintf(&foreign, "%d,\"x%d\"\r\n", i*31, i)
	}
	if traces, err := h.gw.Trace(t.Context(), strings.NewReader(foreign.String())); err != nil || traces[0].Certain() {
		t.Errorf("a foreign file: %+v %v", traces, err)
	}
	if _, err := h.gw.Trace(t.Context(), strings.NewReader("")); err == nil {
		t.Error("an empty file has an origin")
	}
}

// TestRevocation: at once here, within a second on another node.
func TestRevocation(t *testing.T) {
	clause.Covers(t, "FZM-29")
	both(t, 100, func(t *testing.T, h *house) {
		gw2 := h.node()
		ctx, stop := contextOf(t)
		defer stop()
		go func() { _ = gw2.Run(ctx) }()
		second := h.serve(gw2)
		body := `{"where":{"公民身份号码":"` + resident(1).id + `"}}`
		g := h.grant(h.spec(gateway.Query))
		eventually(t, func() bool { return h.askAt(second.URL, "POST", peoplePath+"query", body).status == 200 })
		h.revoke(g)
		if a := h.ask("POST", peoplePath+"query", body); a.status != 403 {
			t.Errorf("here after the revocation: %d %s", a.status, a.body)
		}
		revoked := time.Now()
		for h.askAt(second.URL, "POST", peoplePath+"query", body).status == 200 {
			if time.Since(revoked) > time.Second {
				t.Fatal("the other node still answers after a second")
			}
		}
	})
}

// TestStreamIsCut: a stream under way ends when its grant is revoked, its key is
// revoked or its client closed: at once on the node where that is done, within a
// second on another one. What was cut does not look complete, and is on record.
func TestStreamIsCut(t *testing.T) {
	clause.Covers(t, "FZM-29")
	both(t, 30000, func(t *testing.T, h *house) {
		ids, err := identity.New(identity.Deps{DB: h.d, Key: bytes.Repeat([]byte{7}, 32), Now: h.now})
		if err != nil {
			t.Fatal(err)
		}
		if err := ids.LoadClients(t.Context()); err != nil {
			t.Fatal(err)
		}
		gw := h.node()
		ctx, stop := contextOf(t)
		defer stop()
		go func() { _ = gw.Run(ctx) }()
		go func() { _ = ids.Run(ctx) }()
		here, ours := h.srv, h.ids
		h.ids = ids
		elsewhere := h.serve(gw)
		h.ids = ours
		do := func(fn func(tx *db.Tx) error) {
			t.Helper()
			if err := h.d.InTx(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		type hold struct {
			grant       gateway.Grant
			client, key string
		}
		for _, way := range []struct {
			name string
			cut  func(hold)
		}{
			{"grant revoked", func(x hold) { h.revoke(x.grant) }},
			{"key revoked", func(x hold) {
				do(func(tx *db.Tx) error { return ours.RevokeKeyTx(t.Context(), tx, x.client, x.key) })
			}},
			{"client closed", func(x hold) {
				do(func(tx *db.Tx) error {
					return ours.UpdateClientTx(t.Context(), tx, x.client, clientState(identity.Disabled))
				})
			}},
		} {
			for _, srv := range []*httptest.Server{here, elsewhere} {
				x := hold{grant: h.grant(h.spec(gateway.Obtain))}
				var issued identity.IssuedKey
				do(func(tx *db.Tx) error {
					c, err := ours.CreateClientTx(t.Context(), tx, identity.NewClient{Name: "流", Body: "welfare", BodyName: "民政", District: "350100", Level: "city"})
					if err != nil {
						return err
					}
					x.client = c.ID
					issued, err = ours.IssueKeyTx(t.Context(), tx, c.ID, "test", time.Time{})
					x.key = issued.ID
					return err
				})
				eventually(t, func() bool {
					return h.askAt(srv.URL, "GET", peoplePath+"rows?limit=1", "", "Authorization", "Bearer "+issued.Key, "X-Gongshu-Grant", x.grant.ID).status == 200
				})
				body := h.slowStream(srv.URL, issued.Key)
				first := make([]byte, 1000)
				if _, err := body.Read(first); err != nil {
					t.Fatal(err)
				}
				way.cut(x)
				if srv == elsewhere {
					time.Sleep(time.Second) // what is in the pipes by now is all that may come
				}
				after, err := io.Copy(io.Discard, body)
				body.Close()
				if err == nil {
					t.Errorf("%s, here %v: the stream went on to its end (%d bytes)", way.name, srv == here, after)
				}
				eventually(t, func() bool {
					list := h.entries("gateway.obtain")
					last := list[len(list)-1].Entry
					return last.Outcome != "ok" && last.Note("stage") == "end" && last.Client == x.client
				})
				if a := h.askAt(srv.URL, "GET", peoplePath+"rows?limit=1", "", "Authorization", "Bearer "+issued.Key); way.name != "grant revoked" && a.status != http.StatusUnauthorized {
					t.Errorf("%s, here %v: a new request is answered: %d", way.name, srv == here, a.status)
				}
				if way.name != "grant revoked" {
					h.revoke(x.grant)
				}
			}
		}
	})
}

// slowStream opens a stream of rows whose reader keeps little in its pipes.
func (h *house) slowStream(base, key string) io.ReadCloser {
	h.t.Helper()
	req, _ := http.NewRequestWithContext(h.t.Context(), "GET", base+peoplePath+"rows", nil)
	req.Header.Set("Authorization", "Bearer "+key)
	slow := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		return c, err
	}}}
	res, err := slow.Do(req)
	if err != nil || res.StatusCode != 200 {
		h.t.Fatalf("%v %v", res, err)
	}
	return res.Body
}
