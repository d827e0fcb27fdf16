// Package search is full-text search in process: Chinese words of any length from one character up,
// facets that count, filters, sorting and highlighting over documents of any area. It is an index
// beside the store, never the store: it is rebuilt when the program starts and follows the area's
// change sequence (see [Follow]).
//
// Text is cut into terms by bleve's analysis (width, case, CJK bigrams), so that a two-character word is
// found. Postings, facets, filters and sort values live in memory, numbers in columns, so that matching
// and counting eight facets costs tens of nanoseconds a hit; see docs/decisions for why bleve's own
// index is not used.
package search

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"gongshu/internal/errs"
)

// Document is what can be found.
type Document struct {
	// ID is unique in the index; putting a document again replaces it.
	ID string
	// Title and Summary are searched, shown and highlighted; Title weighs most.
	Title, Summary string
	// Text is searched and not shown: keywords, item names, provider, code.
	Text string
	// Facets are the document's values under each facet name.
	Facets map[string][]string
	// Sort holds numbers to sort by, such as a time in milliseconds.
	Sort map[string]int64
	// Data is handed back with a hit; the index does not look at it.
	Data any
}

// Query asks. Its zero value finds everything, the latest put first.
type Query struct {
	Text string
	// Where must hold and is not offered as a choice (rights, which catalog): the document has one of
	// the values under each name.
	Where map[string][]string
	// Not must not hold: the document has none of the values under each name.
	Not map[string][]string
	// Filters are the reader's choices: one of the values under each name. A facet's own choice does
	// not narrow its own counts, so that other values can still be chosen.
	Filters map[string][]string
	// Facets names the facets to count.
	Facets []string
	// Sort names a number of Document.Sort, descending, or ascending with "-" before it; "" is by
	// relevance when there is text.
	Sort string
	// From and Size bound the hits; Size 0 is 20, at most 1000.
	From, Size int
}

// Piece is a stretch of text that matched or did not.
type Piece struct {
	Text string
	Hit  bool
}

// Hit is one document found.
type Hit struct {
	ID      string
	Score   float64
	Title   []Piece // whole
	Summary []Piece // the part around the first match
	Data    any
}

// Count is how many hits have a value of a facet.
type Count struct {
	Value string
	N     int
	On    bool // chosen in the query's filters
}

// Result is the answer. It is shared between callers and must not be changed.
type Result struct {
	Total  int
	Hits   []Hit
	Facets map[string][]Count // most frequent first; chosen values are always there
	Took   time.Duration
	// Loose tells that no document has all the words and those with most of them are given.
	Loose bool
}

// MaxText bounds the characters of a query that are looked at.
const MaxText = 100

// Index holds documents. Its methods may be called by many goroutines.
type Index struct {
	cache *otter.Cache[string, *Result]
	// turn lets as many searches run as there are processors, the others waiting in order of arrival:
	// when more run at once, each is preempted half-way and waits for all the others.
	turn chan struct{}

	mu         sync.RWMutex
	ids        map[string]uint32 // id → ordinal
	docs       []doc             // by ordinal; a replaced document gets a new one, so that postings stay sorted
	dead       int               // ordinals that nothing stands at any more
	postings   map[string]*posting
	rows       []uint32 // what visiting a document reads, stride numbers a document, together in memory
	stride     int
	facets     map[string]*facet
	sorts      map[string][]int64
	generation uint64
}

// The first two numbers of a row; facets follow.
const (
	rowLive = 0 // 1 when a document stands here
	rowNorm = 1 // bits of the float32 that its scores are multiplied by: shorter titles say more of what they hold
	rowHead = 2
)

type doc struct {
	id, title, lower, summary string
	data                      any
	live                      bool
}

// facet holds the values of one facet. Documents with the same values share a set, and rows hold set
// numbers, so that counting is one increment a document however many values it has.
type facet struct {
	at     int // place in a row
	values []string
	number map[string]uint32
	sets   [][]uint32 // value numbers by set number; set 0 has none
	setOf  map[string]uint32
}

// Open makes an empty index.
func Open() (*Index, error) {
	ix := &Index{turn: make(chan struct{}, runtime.GOMAXPROCS(0))}
	ix.reset()
	var err error
	ix.cache, err = otter.New(&otter.Options[string, *Result]{MaximumSize: 512})
	return ix, err
}

func (ix *Index) reset() {
	ix.ids, ix.postings = map[string]uint32{}, map[string]*posting{}
	ix.facets, ix.sorts, ix.stride = map[string]*facet{}, map[string][]int64{}, rowHead
}

// Len is how many documents there are.
func (ix *Index) Len() int {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return len(ix.ids)
}

// Put adds or replaces documents. Searches see all of them or none.
func (ix *Index) Put(docs ...Document) error { return ix.Apply(docs, nil) }

// Delete removes documents; unknown ids are no error.
func (ix *Index) Delete(ids ...string) error { return ix.Apply(nil, ids) }

// Apply puts and deletes in one step.
func (ix *Index) Apply(put []Document, gone []string) error {
	if len(put)+len(gone) == 0 {
		return nil
	}
	// Cutting text into terms is most of the work and needs no lock.
	cut := make([]map[string]uint8, len(put))
	for i := range put {
		cut[i] = termsOf(&put[i])
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, id := range gone {
		ix.bury(id)
	}
	for i := range put {
		ix.bury(put[i].ID)
		n := uint32(len(ix.docs))
		ix.set(n, &put[i])
		for term, weight := range cut[i] {
			p := ix.postings[term]
			if p == nil {
				p = &posting{}
				ix.postings[term] = p
			}
			p.docs = append(p.docs, n)
			p.weights = append(p.weights, weight)
		}
	}
	if ix.dead > 1000 && ix.dead*4 > len(ix.docs) {
		ix.compact()
	}
	ix.generation++
	return nil
}

// bury takes a document away; its postings stay until compact.
func (ix *Index) bury(id string) {
	n, ok := ix.ids[id]
	if !ok {
		return
	}
	delete(ix.ids, id)
	ix.docs[n] = doc{}
	clear(ix.rows[int(n)*ix.stride : int(n+1)*ix.stride])
	ix.dead++
}

func (ix *Index) set(n uint32, d *Document) {
	ix.ids[d.ID] = n
	ix.docs = append(ix.docs, doc{id: d.ID, title: d.Title, lower: fold(d.Title), summary: d.Summary, data: d.Data, live: true})
	for name := range d.Facets {
		if ix.facets[name] == nil {
			ix.addFacet(name)
		}
	}
	ix.rows = append(ix.rows, make([]uint32, ix.stride)...)
	row := ix.rows[int(n)*ix.stride:]
	row[rowLive] = 1
	row[rowNorm] = math.Float32bits(1 / (1 + 0.03*float32(utf8.RuneCountInString(d.Title))))
	for name, values := range d.Facets {
		f := ix.facets[name]
		row[f.at] = f.intern(values)
	}
	for name := range ix.sorts {
		ix.sorts[name] = append(ix.sorts[name], 0)
	}
	for name, v := range d.Sort {
		s := ix.sorts[name]
		if s == nil {
			s = make([]int64, len(ix.docs))
			ix.sorts[name] = s
		}
		s[n] = v
	}
}

// addFacet gives a facet its place and widens every row.
func (ix *Index) addFacet(name string) {
	ix.facets[name] = &facet{at: ix.stride, number: map[string]uint32{}, sets: [][]uint32{nil}, setOf: map[string]uint32{"": 0}}
	wide := make([]uint32, len(ix.rows)/ix.stride*(ix.stride+1))
	for n := range len(ix.rows) / ix.stride {
		copy(wide[n*(ix.stride+1):], ix.rows[n*ix.stride:(n+1)*ix.stride])
	}
	ix.rows = wide
	ix.stride++
}

// intern gives the number of the set of values; empty strings and repetitions do not count.
func (f *facet) intern(values []string) uint32 {
	var set []uint32
	for _, v := range values {
		if v == "" {
			continue
		}
		k, ok := f.number[v]
		if !ok {
			k = uint32(len(f.values))
			f.values = append(f.values, v)
			f.number[v] = k
		}
		if !slices.Contains(set, k) {
			set = append(set, k)
		}
	}
	slices.Sort(set)
	var key []byte
	for _, k := range set {
		key = binary.BigEndian.AppendUint32(key, k)
	}
	n, ok := f.setOf[string(key)]
	if !ok {
		n = uint32(len(f.sets))
		f.sets = append(f.sets, set)
		f.setOf[string(key)] = n
	}
	return n
}

// compact gives the living documents new ordinals in the same order and drops the rest everywhere.
func (ix *Index) compact() {
	const none = ^uint32(0)
	moved := make([]uint32, len(ix.docs))
	next := uint32(0)
	for n := range ix.docs {
		moved[n] = none
		if ix.docs[n].live {
			moved[n] = next
			ix.docs[next] = ix.docs[n]
			ix.ids[ix.docs[n].id] = next
			copy(ix.rows[int(next)*ix.stride:], ix.rows[n*ix.stride:(n+1)*ix.stride])
			for _, s := range ix.sorts {
				s[next] = s[n]
			}
			next++
		}
	}
	clear(ix.docs[next:])
	ix.docs, ix.dead = ix.docs[:next], 0
	ix.rows = ix.rows[:int(next)*ix.stride]
	for name, s := range ix.sorts {
		ix.sorts[name] = s[:next]
	}
	for term, p := range ix.postings {
		k := 0
		for i, n := range p.docs {
			if moved[n] != none {
				p.docs[k], p.weights[k] = moved[n], p.weights[i]
				k++
			}
		}
		if k == 0 {
			delete(ix.postings, term)
			continue
		}
		p.docs, p.weights = p.docs[:k], p.weights[:k]
	}
}

// chosen is a filter turned into the sets that pass.
type chosen struct {
	name string
	at   int // place in a row; -1 when no document has the facet
	pass []bool
	on   map[string]bool
}

func (ix *Index) choose(name string, values []string) chosen {
	f := ix.facets[name]
	if f == nil {
		return chosen{name: name, at: -1}
	}
	c := chosen{name: name, at: f.at, pass: make([]bool, len(f.sets)), on: map[string]bool{}}
	var wanted []uint32
	for _, v := range values {
		if k, ok := f.number[v]; ok {
			wanted = append(wanted, k)
			c.on[v] = true
		}
	}
	for i, set := range f.sets {
		c.pass[i] = slices.ContainsFunc(set, func(k uint32) bool { return slices.Contains(wanted, k) })
	}
	return c
}

func (c *chosen) has(row []uint32) bool { return c.at >= 0 && c.pass[row[c.at]] }

// Search answers a query. Errors: errs.Invalid for bounds; the context's error when it ends first.
func (ix *Index) Search(ctx context.Context, q Query) (*Result, error) {
	if q.From < 0 || q.Size < 0 || q.Size > 1000 || q.From > 1_000_000 {
		return nil, errs.Newf(errs.Invalid, "页码超出范围", "the page is out of range").In("page")
	}
	if q.Size == 0 {
		q.Size = 20
	}
	q.Text = cleanText(q.Text)
	start := time.Now()
	if r, ok := ix.cached(&q); ok {
		return r, nil
	}
	select {
	case ix.turn <- struct{}{}:
		defer func() { <-ix.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	key := cacheKey(ix.generation, &q)
	if r, ok := ix.cache.GetIfPresent(key); ok {
		return r, nil
	}
	r, err := ix.search(ctx, &q)
	if err != nil {
		return nil, err
	}
	r.Took = time.Since(start)
	ix.cache.Set(key, r)
	return r, nil
}

func (ix *Index) cached(q *Query) (*Result, bool) {
	ix.mu.RLock()
	key := cacheKey(ix.generation, q)
	ix.mu.RUnlock()
	return ix.cache.GetIfPresent(key)
}

// cleanText drops what no index holds: control characters, white space beyond one, more than MaxText characters.
func cleanText(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError }), " ")
	if utf8.RuneCountInString(s) > MaxText {
		s = string([]rune(s)[:MaxText])
	}
	return s
}

func cacheKey(generation uint64, q *Query) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d|%q|%q|%d|%d|%q|", generation, q.Text, q.Sort, q.From, q.Size, q.Facets)
	for _, m := range []map[string][]string{q.Where, q.Not, q.Filters} {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			values := slices.Clone(m[name])
			slices.Sort(values)
			fmt.Fprintf(&b, "%q=%q;", name, values)
		}
		b.WriteByte('|')
	}
	return b.String()
}

type candidate struct {
	n     uint32
	score float32
	key   int64
}

func (ix *Index) search(ctx context.Context, q *Query) (*Result, error) {
	must := make([]chosen, 0, len(q.Where))
	for name, values := range q.Where {
		must = append(must, ix.choose(name, values))
	}
	not := make([]chosen, 0, len(q.Not))
	for name, values := range q.Not {
		not = append(not, ix.choose(name, values))
	}
	filters := make([]chosen, 0, len(q.Filters))
	for name, values := range q.Filters {
		if len(values) > 0 {
			filters = append(filters, ix.choose(name, values))
		}
	}
	type counter struct {
		name   string
		facet  *facet
		counts []int // by set
		own    int   // index of this facet's filter, -1 none
	}
	var counters []counter
	for _, name := range q.Facets {
		f := ix.facets[name]
		if f == nil {
			continue
		}
		own := slices.IndexFunc(filters, func(c chosen) bool { return c.name == name })
		counters = append(counters, counter{name: name, facet: f, counts: make([]int, len(f.sets)), own: own})
	}
	terms := queryTerms(q.Text)
	sorts := ix.sorts[strings.TrimPrefix(q.Sort, "-")]
	ascending := strings.HasPrefix(q.Sort, "-")
	lowered := fold(q.Text)
	top := newTop(q.From + q.Size)
	total := 0
	seen := false
	visit := func(n uint32, score float32, inTitle bool) {
		row := ix.rows[int(n)*ix.stride : int(n+1)*ix.stride]
		if row[rowLive] == 0 {
			return
		}
		seen = true
		for i := range must {
			if !must[i].has(row) {
				return
			}
		}
		for i := range not {
			if not[i].has(row) {
				return
			}
		}
		// A hit misses no filter; a document that misses one still counts for that filter's own facet.
		missed := -1
		for i := range filters {
			if !filters[i].has(row) {
				if missed >= 0 {
					return
				}
				missed = i
			}
		}
		for i := range counters {
			if c := &counters[i]; missed < 0 || missed == c.own {
				c.counts[row[c.facet.at]]++
			}
		}
		if missed >= 0 {
			return
		}
		total++
		cand := candidate{n: n, score: score * math.Float32frombits(row[rowNorm])}
		switch {
		case sorts != nil && ascending:
			cand.key = -sorts[n]
		case sorts != nil:
			cand.key = sorts[n]
		case len(terms) == 0:
			cand.key = int64(n) // ordinals grow with every put
		case inTitle:
			if d := &ix.docs[n]; strings.Contains(d.lower, lowered) {
				cand.score *= 3 // the query as it was typed stands in the title
				if d.lower == lowered {
					cand.score *= 2
				}
			}
		}
		top.add(cand)
	}
	result := &Result{Facets: map[string][]Count{}}
	switch {
	case q.Text == "":
		for n := range ix.docs {
			if n&0x3fff == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			visit(uint32(n), 0, false)
		}
	case len(terms) == 0: // punctuation only: nothing can match
	default:
		ix.all(terms, visit)
		// Nothing has all the words: give what has most of them.
		if !seen && len(terms) > 2 {
			result.Loose = true
			ix.most(terms, (len(terms)*3+4)/5, visit)
		}
	}
	result.Total = total
	words := make([]string, len(terms))
	for i, t := range terms {
		words[i] = strings.TrimPrefix(t, begun)
	}
	best := top.sorted()
	if q.From < len(best) {
		best = best[q.From:]
	} else {
		best = nil
	}
	for _, c := range best {
		d := &ix.docs[c.n]
		result.Hits = append(result.Hits, Hit{ID: d.id, Score: float64(c.score), Title: mark(d.title, words, 0), Summary: mark(d.summary, words, 90), Data: d.data})
	}
	for i := range counters {
		c := &counters[i]
		result.Facets[c.name] = c.facet.counts(c.counts, func(v string) bool { return c.own >= 0 && filters[c.own].on[v] })
	}
	return result, nil
}

// counts turns counts by set into counts by value, most frequent first.
func (f *facet) counts(bySet []int, on func(value string) bool) []Count {
	byValue := make([]int, len(f.values))
	for set, n := range bySet {
		if n > 0 {
			for _, k := range f.sets[set] {
				byValue[k] += n
			}
		}
	}
	var out []Count
	for k, n := range byValue {
		if chosen := on(f.values[k]); n > 0 || chosen {
			out = append(out, Count{Value: f.values[k], N: n, On: chosen})
		}
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// top keeps the best k candidates in a heap whose root is the worst of them.
type top struct {
	k    int
	heap []candidate
}

func newTop(k int) *top { return &top{k: k} }

// worse orders candidates: by sort key, then relevance, then the earlier ordinal first.
func worse(a, b *candidate) bool {
	if a.key != b.key {
		return a.key < b.key
	}
	if a.score != b.score {
		return a.score < b.score
	}
	return a.n > b.n
}

func (t *top) add(c candidate) {
	if len(t.heap) < t.k {
		t.heap = append(t.heap, c)
		for i := len(t.heap) - 1; i > 0; {
			p := (i - 1) / 2
			if !worse(&t.heap[i], &t.heap[p]) {
				break
			}
			t.heap[i], t.heap[p] = t.heap[p], t.heap[i]
			i = p
		}
		return
	}
	if t.k == 0 || !worse(&t.heap[0], &c) {
		return
	}
	t.heap[0] = c
	for i := 0; ; {
		l := 2*i + 1
		if l >= len(t.heap) {
			return
		}
		if r := l + 1; r < len(t.heap) && worse(&t.heap[r], &t.heap[l]) {
			l = r
		}
		if !worse(&t.heap[l], &t.heap[i]) {
			return
		}
		t.heap[i], t.heap[l] = t.heap[l], t.heap[i]
		i = l
	}
}

func (t *top) sorted() []candidate {
	slices.SortFunc(t.heap, func(a, b candidate) int {
		if worse(&b, &a) {
			return -1
		}
		return 1
	})
	return t.heap
}

// mark cuts text into pieces that match a term and pieces that do not. window > 0 keeps about that
// many characters around the first match, with … where text is left out.
func mark(text string, terms []string, window int) []Piece {
	if text == "" {
		return nil
	}
	runes := []rune(text)
	low := make([]rune, len(runes))
	for i, r := range runes {
		low[i] = foldRune(r)
	}
	hit := make([]bool, len(runes))
	first := -1
	for _, t := range terms {
		want := []rune(t)
		for i := 0; i+len(want) <= len(low); i++ {
			if slices.Equal(low[i:i+len(want)], want) {
				for j := range want {
					hit[i+j] = true
				}
				if first < 0 || i < first {
					first = i
				}
			}
		}
	}
	from, to := 0, len(runes)
	if window > 0 && len(runes) > window {
		if first > window/3 {
			from = first - window/3
		}
		to = min(from+window, len(runes))
		if to == len(runes) {
			from = max(to-window, 0)
		}
	}
	var out []Piece
	if from > 0 {
		out = append(out, Piece{Text: "…"})
	}
	for i := from; i < to; {
		j := i
		for j < to && hit[j] == hit[i] {
			j++
		}
		out = append(out, Piece{Text: string(runes[i:j]), Hit: hit[i]})
		i = j
	}
	if to < len(runes) {
		out = append(out, Piece{Text: "…"})
	}
	return out
}
