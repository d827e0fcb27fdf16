package search_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gongshu/internal/search"
)

func open(t testing.TB) *search.Index {
	t.Helper()
	ix, err := search.Open()
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func ids(r *search.Result) []string {
	var out []string
	for _, h := range r.Hits {
		out = append(out, h.ID)
	}
	return out
}

func find(t testing.TB, ix *search.Index, q search.Query) *search.Result {
	t.Helper()
	r, err := ix.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var sample = []search.Document{
	{ID: "air", Title: "空气质量监测日报", Summary: "各监测站点 PM2.5、PM10、二氧化硫的日均浓度", Text: "站点 浓度 环境局", Facets: map[string][]string{"theme": {"环保"}, "body": {"生态环境局"}, "format": {"csv", "xlsx"}}, Sort: map[string]int64{"updated": 30}},
	{ID: "firm", Title: "企业登记注册信息", Summary: "企业法人名称、住所、注册资本和登记状态", Text: "统一社会信用代码 102002/0001", Facets: map[string][]string{"theme": {"信用"}, "body": {"市场监管局"}, "format": {"csv"}}, Sort: map[string]int64{"updated": 20}},
	{ID: "bus", Title: "公交站点信息", Summary: "公交站点的名称、线路与坐标", Text: "经度 纬度", Facets: map[string][]string{"theme": {"交通"}, "body": {"交通运输局"}, "format": {"csv"}}, Sort: map[string]int64{"updated": 10}},
	{ID: "old", Title: "养老机构名录", Summary: "民政部门登记的养老机构", Text: "床位 水电", Facets: map[string][]string{"theme": {"民生"}, "body": {"民政局"}, "format": {"xlsx"}}, Sort: map[string]int64{"updated": 40}},
}

func TestWordsAreFound(t *testing.T) {
	ix := open(t)
	if err := ix.Put(sample...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want string // best first; "" none
	}{
		{"企业", "firm"}, {"养老", "old"}, {"民政", "old"}, {"水", "old"}, {"站点", "bus air"}, {"登记", "firm old"},
		{"空气质量", "air"}, {"PM2.5", "air"}, {"pm1", "air"}, {"ＰＭ２.５", "air"}, {"统一社会信用代码", "firm"}, {"102002/0001", "firm"},
		{"经度", "bus"}, {"石油", ""}, {"。，", ""}, {"企业登记情况", "firm"}, {"公交 坐标", "bus"},
	} {
		got := strings.Join(ids(find(t, ix, search.Query{Text: c.text})), " ")
		if got != c.want {
			t.Errorf("%q finds %q, want %q", c.text, got, c.want)
		}
	}
	if r := find(t, ix, search.Query{Text: "企业登记情况"}); !r.Loose {
		t.Error("a match of most words is not marked as loose")
	}
}

func TestHighlight(t *testing.T) {
	ix := open(t)
	long := search.Document{ID: "x", Title: "水库水位", Summary: strings.Repeat("前文", 80) + "防汛水位预警" + strings.Repeat("后文", 80)}
	if err := ix.Put(append(slices.Clone(sample), long)...); err != nil {
		t.Fatal(err)
	}
	show := func(pieces []search.Piece) string {
		var b strings.Builder
		for _, p := range pieces {
			if p.Hit {
				b.WriteString("[" + p.Text + "]")
			} else {
				b.WriteString(p.Text)
			}
		}
		return b.String()
	}
	if got := show(find(t, ix, search.Query{Text: "注册资本"}).Hits[0].Summary); got != "企业法人名称、住所、[注册资本]和登记状态" {
		t.Errorf("summary %q", got)
	}
	if got := show(find(t, ix, search.Query{Text: "pm10"}).Hits[0].Summary); !strings.Contains(got, "[PM10]") {
		t.Errorf("summary %q", got)
	}
	r := find(t, ix, search.Query{Text: "水位"})
	got := show(r.Hits[0].Summary)
	if show(r.Hits[0].Title) != "水库[水位]" || !strings.Contains(got, "[水位]") || !strings.HasPrefix(got, "…") || !strings.HasSuffix(got, "…") || len([]rune(got)) > 100 {
		t.Errorf("title %q summary %q", show(r.Hits[0].Title), got)
	}
}

func TestFacetsFiltersSortAndPages(t *testing.T) {
	ix := open(t)
	if err := ix.Put(sample...); err != nil {
		t.Fatal(err)
	}
	r := find(t, ix, search.Query{Facets: []string{"theme", "format", "nothing"}, Sort: "updated"})
	if r.Total != 4 || strings.Join(ids(r), " ") != "old air firm bus" || len(r.Facets["nothing"]) != 0 {
		t.Errorf("%d %v", r.Total, ids(r))
	}
	if got := fmt.Sprint(r.Facets["format"]); got != "[{csv 3 false} {xlsx 2 false}]" {
		t.Errorf("format facet %s", got)
	}
	r = find(t, ix, search.Query{Sort: "-updated", Size: 2, From: 1})
	if strings.Join(ids(r), " ") != "firm air" || r.Total != 4 {
		t.Errorf("page %v of %d", ids(r), r.Total)
	}
	// A choice narrows the hits and the other facets, not its own facet's counts.
	r = find(t, ix, search.Query{Filters: map[string][]string{"format": {"xlsx"}}, Facets: []string{"theme", "format"}})
	if r.Total != 2 || fmt.Sprint(r.Facets["format"]) != "[{csv 3 false} {xlsx 2 true}]" || fmt.Sprint(r.Facets["theme"]) != "[{民生 1 false} {环保 1 false}]" {
		t.Errorf("%d %v", r.Total, r.Facets)
	}
	r = find(t, ix, search.Query{Filters: map[string][]string{"format": {"xlsx", "csv"}, "theme": {"环保"}}, Where: map[string][]string{"body": {"生态环境局", "民政局"}}, Facets: []string{"theme"}})
	if strings.Join(ids(r), " ") != "air" || fmt.Sprint(r.Facets["theme"]) != "[{民生 1 false} {环保 1 true}]" {
		t.Errorf("%v %v", ids(r), r.Facets)
	}
	if r = find(t, ix, search.Query{Where: map[string][]string{"body": {"没有"}}}); r.Total != 0 {
		t.Errorf("an unknown value of Where let %d through", r.Total)
	}
	if r = find(t, ix, search.Query{Not: map[string][]string{"format": {"xlsx"}}, Sort: "updated"}); strings.Join(ids(r), " ") != "firm bus" {
		t.Errorf("Not gives %v", ids(r))
	}
	if _, err := ix.Search(context.Background(), search.Query{Size: 5000}); err == nil {
		t.Error("a page of 5000 was given")
	}
}

func TestPutDeleteAndReplace(t *testing.T) {
	ix := open(t)
	if err := ix.Put(sample...); err != nil {
		t.Fatal(err)
	}
	changed := sample[1]
	changed.Title, changed.Facets = "个体工商户登记", map[string][]string{"theme": {"商贸"}}
	if err := ix.Apply([]search.Document{changed}, []string{"old", "firm", "unknown"}); err != nil {
		t.Fatal(err)
	}
	r := find(t, ix, search.Query{Facets: []string{"theme"}})
	if ix.Len() != 3 || r.Total != 3 || fmt.Sprint(r.Facets["theme"]) != "[{交通 1 false} {商贸 1 false} {环保 1 false}]" {
		t.Errorf("%d %v", r.Total, r.Facets)
	}
	if got := ids(find(t, ix, search.Query{Text: "养老"})); len(got) != 0 {
		t.Errorf("a deleted document is found: %v", got)
	}
	if got := ids(find(t, ix, search.Query{Text: "工商户"})); len(got) != 1 {
		t.Errorf("a replaced document is not found: %v", got)
	}
	if err := ix.Put(sample[3]); err != nil { // takes the freed place
		t.Fatal(err)
	}
	if got := ids(find(t, ix, search.Query{Text: "养老"})); len(got) != 1 || got[0] != "old" {
		t.Errorf("after coming back: %v", got)
	}
}

// Whatever is put, a two-character word of a title finds the document, filters never let another
// value through, and facet counts agree with counting by hand.
func TestSearchAgreesWithCounting(t *testing.T) {
	letters := []rune("水电气路桥港车船税费房地林田山海")
	rapid.Check(t, func(t *rapid.T) {
		ix, err := search.Open()
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 25).Draw(t, "n")
		docs := make([]search.Document, n)
		for i := range docs {
			title := string(rapid.SliceOfN(rapid.SampledFrom(letters), 2, 8).Draw(t, "title"))
			docs[i] = search.Document{ID: fmt.Sprint(i), Title: title, Facets: map[string][]string{"f": rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, "f")}}
		}
		if err := ix.Put(docs...); err != nil {
			t.Fatal(err)
		}
		word := []rune(docs[rapid.IntRange(0, n-1).Draw(t, "which")].Title)
		at := rapid.IntRange(0, len(word)-2).Draw(t, "at")
		text := string(word[at : at+2])
		r, err := ix.Search(context.Background(), search.Query{Text: text, Facets: []string{"f"}, Size: 100})
		if err != nil {
			t.Fatal(err)
		}
		want, counts := []string{}, map[string]int{}
		for _, d := range docs {
			if strings.Contains(d.Title, text) {
				want = append(want, d.ID)
				for _, v := range d.Facets["f"] {
					counts[v]++
				}
			}
		}
		got := ids(r)
		sort.Strings(got)
		sort.Strings(want)
		if !slices.Equal(got, want) || r.Total != len(want) {
			t.Fatalf("%q finds %v, want %v", text, got, want)
		}
		for _, c := range r.Facets["f"] {
			if counts[c.Value] != c.N {
				t.Fatalf("facet %s counts %d, want %d", c.Value, c.N, counts[c.Value])
			}
		}
	})
}

// Replacing documents over and over must not make the index grow or forget.
func TestCompaction(t *testing.T) {
	ix := open(t)
	docs := corpus(600)
	for round := range 5 {
		for i := range docs {
			docs[i].Sort = map[string]int64{"updated": int64(round*1000 + i)}
		}
		if err := ix.Put(docs...); err != nil {
			t.Fatal(err)
		}
	}
	r := find(t, ix, search.Query{Facets: []string{"format"}, Sort: "updated", Size: 5})
	counted := 0
	for _, c := range r.Facets["format"] {
		if c.Value == "csv" {
			counted = c.N
		}
	}
	if ix.Len() != 600 || r.Total != 600 || counted != 600 || r.Hits[0].ID != "000599" {
		t.Errorf("%d documents, %d found, %d with csv, first %v", ix.Len(), r.Total, counted, ids(r))
	}
	want := 0
	for _, d := range docs {
		if strings.Contains(d.Title+d.Summary+d.Text, "养老") {
			want++
		}
	}
	if r := find(t, ix, search.Query{Text: "养老"}); r.Total != want || want == 0 {
		t.Errorf("finds %d, want %d", r.Total, want)
	}
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"企业", "PM2.5", "。", "\x00\xff", "ａｂ水", "a", "企a业", strings.Repeat("长", 500)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, title, text string) {
		ix, err := search.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := ix.Put(search.Document{ID: "1", Title: title, Summary: title + text, Text: text}); err != nil {
			t.Fatal(err)
		}
		r, err := ix.Search(context.Background(), search.Query{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Hits {
			whole := ""
			for _, p := range h.Title {
				whole += p.Text
			}
			if whole != string([]rune(title)) {
				t.Fatalf("highlighting changed %q to %q", title, whole)
			}
		}
	})
}

type source struct {
	mu   sync.Mutex
	seq  int64
	docs map[string]search.Document
	log  []string // id by seq-1
	fail int
}

func (s *source) put(d search.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[d.ID] = d
	s.seq++
	s.log = append(s.log, d.ID)
}

func (s *source) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.docs, id)
	s.seq++
	s.log = append(s.log, id)
}

func (s *source) All(_ context.Context, put func([]search.Document) error) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []search.Document
	for _, d := range s.docs {
		all = append(all, d)
	}
	return s.seq, put(all)
}

func (s *source) Since(_ context.Context, seq int64) (put []search.Document, gone []string, next int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return nil, nil, 0, errors.New("the store is away")
	}
	for _, id := range s.log[seq:] {
		if d, ok := s.docs[id]; ok {
			put = append(put, d)
		} else {
			gone = append(gone, id)
		}
	}
	return put, gone, s.seq, nil
}

func TestFollow(t *testing.T) {
	ix := open(t)
	src := &source{docs: map[string]search.Document{}}
	src.put(sample[0])
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error)
	go func() { done <- ix.Follow(ctx, src, 5*time.Millisecond, func() { close(ready) }) }()
	<-ready
	src.put(sample[1])
	src.put(sample[3])
	src.drop("air")
	deadline := time.Now().Add(5 * time.Second)
	for ix.Len() != 2 || len(find(t, ix, search.Query{Text: "养老"}).Hits) != 1 {
		if time.Now().After(deadline) {
			t.Fatalf("the index has %d documents", ix.Len())
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// corpus makes n documents of a city's catalog: titles of three parts, eight facets.
func corpus(n int) []search.Document {
	r := rand.New(rand.NewPCG(1, 2))
	area := strings.Fields("鼓楼 台江 仓山 晋安 马尾 长乐 福清 闽侯 连江 罗源 闽清 永泰")
	thing := strings.Fields("企业登记 人口户籍 空气质量 公交站点 养老机构 行政许可 行政处罚 不动产登记 社会保险 医疗机构 学校名录 食品经营 药品抽检 安全生产 水质监测 建设项目 停车场 旅游景区 文化场馆 纳税信用 电子证照 流动人口 低保对象 残疾人补贴 住房公积金 招标采购 财政预算 气象预警 森林防火 地质灾害")
	kind := strings.Fields("基本信息 明细 统计 日报 月报 年报 名录 清单 变更记录 处理结果")
	pick := func(l []string) string { return l[r.IntN(len(l))] }
	docs := make([]search.Document, n)
	for i := range docs {
		a, b, c := pick(area), pick(thing), pick(kind)
		docs[i] = search.Document{ID: fmt.Sprintf("%06d", i), Title: a + b + c, Summary: "由" + a + "区主管部门提供的" + b + c + "，包含" + pick(thing) + "与" + pick(thing) + "等内容，按期更新。",
			Text: "名称 代码 日期 " + pick(thing) + " " + fmt.Sprintf("307%03d/%04d", i%200, i), Facets: map[string][]string{
				"theme": {fmt.Sprint(r.IntN(22))}, "body": {fmt.Sprint(r.IntN(120))}, "region": {a}, "format": {pick([]string{"csv", "xlsx", "json", "api"}), "csv"},
				"sharing": {pick([]string{"u", "c", "w"})}, "opening": {pick([]string{"g", "a", "c"})}, "cycle": {fmt.Sprint(r.IntN(8))}, "grade": {fmt.Sprint(1 + r.IntN(4))}},
			Sort: map[string]int64{"updated": r.Int64N(1e12)}}
	}
	return docs
}

var corpusQueries = func() []search.Query {
	facets := []string{"theme", "body", "region", "format", "sharing", "opening", "cycle", "grade"}
	var out []search.Query
	for i, text := range strings.Fields("企业 人口 空气质量 公交站点 养老 许可 行政处罚 不动产 社会保险 医院 学校 食品经营 水质 停车场 信用 证照 公积金 预算 气象预警 地质灾害 鼓楼企业登记 福清养老机构名录 仓山 年报 变更记录") {
		q := search.Query{Text: text, Facets: facets}
		switch i % 4 {
		case 1:
			q.Filters = map[string][]string{"format": {"xlsx"}, "sharing": {"u", "c"}}
		case 2:
			q.Sort = "updated"
		case 3:
			q.Filters = map[string][]string{"grade": {"1", "2"}}
			q.From = 40
		}
		out = append(out, q)
	}
	return append(out, search.Query{Facets: facets, Sort: "updated"}, search.Query{Facets: facets, Filters: map[string][]string{"theme": {"3"}}})
}()

// BenchmarkSearch100k answers the mixed queries one at a time; every query carries a page number of its
// own so that no answer comes out of the cache.
func BenchmarkSearch100k(b *testing.B) {
	ix := open(b)
	docs := corpus(100_000)
	for part := range slices.Chunk(docs, 5000) {
		if err := ix.Put(part...); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		q := corpusQueries[i%len(corpusQueries)]
		q.From = i % 5000
		find(b, ix, q)
	}
}

// BenchmarkSearch100kAt50 measures 50 callers at once and reports the 50th and 95th percentile of the
// time of one answer in milliseconds (PERFORMANCE: p95 ≤ 50 ms), without the cache's help.
func BenchmarkSearch100kAt50(b *testing.B) { searchAt50(b, 100_000) }

// BenchmarkSearch1MAt50 is the same at ten times the resources: about a gigabyte of memory.
func BenchmarkSearch1MAt50(b *testing.B) { searchAt50(b, 1_000_000) }

func searchAt50(b *testing.B, resources int) {
	ix := open(b)
	start := time.Now()
	for part := range slices.Chunk(corpus(resources), 5000) {
		if err := ix.Put(part...); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("filled in %v", time.Since(start).Round(time.Millisecond))
	const callers, each = 50, 40
	for b.Loop() {
		var wg sync.WaitGroup
		times := make([]time.Duration, callers*each)
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					k := c*each + i
					q := corpusQueries[k%len(corpusQueries)]
					q.From = k
					at := time.Now()
					if _, err := ix.Search(context.Background(), q); err != nil {
						b.Error(err)
					}
					times[k] = time.Since(at)
				}
			})
		}
		wg.Wait()
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
	}
}
