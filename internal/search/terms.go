package search

import (
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	segmenter "github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
)

// posting lists the documents of a term by rising ordinal, with what the term weighs in each.
type posting struct {
	docs    []uint32
	weights []uint8
}

// Analysis keeps single characters beside pairs in documents, so that a one-character query finds
// something, and cuts queries into pairs only.
var (
	ofDocuments = analyzer(true)
	ofQueries   = analyzer(false)
)

func analyzer(singles bool) *analysis.DefaultAnalyzer {
	return &analysis.DefaultAnalyzer{
		Tokenizer:    segmenter.NewUnicodeTokenizer(),
		TokenFilters: []analysis.TokenFilter{cjk.NewCJKWidthFilter(), lowercase.NewLowerCaseFilter(), cjk.NewCJKBigramFilter(singles)},
	}
}

// begun marks the beginning of a longer word of another script in the index: "\x01pm2" for PM2.5.
const begun = "\x01"

// maxBegun bounds how long a beginning is kept.
const maxBegun = 16

const (
	inTitle   = 16 // what an occurrence in the title weighs
	maxWeight = 255
)

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// termsOf cuts a document into its terms and what each weighs: 16 for the title, 1 for every other
// occurrence up to eight.
func termsOf(d *Document) map[string]uint8 {
	out := make(map[string]uint8, 64)
	add := func(text string, weight, bound int) {
		if text == "" {
			return
		}
		buf := scratch.Get().(*[]byte)
		*buf = append((*buf)[:0], text...)
		for _, token := range ofDocuments.Analyze(*buf) {
			if len(token.Term) == 0 {
				continue
			}
			t := string(token.Term)
			bump := func(t string) {
				if w := int(out[t]) + weight; w <= bound {
					out[t] = uint8(w)
				}
			}
			bump(t)
			if t[0] < utf8.RuneSelf {
				for n := 2; n < len(t) && n <= maxBegun; n++ {
					bump(begun + t[:n])
				}
			}
		}
		scratch.Put(buf)
	}
	add(d.Summary, 1, 8)
	add(d.Text, 1, 8)
	add(d.Title, inTitle, maxWeight)
	return out
}

// queryTerms cuts a query into terms. Its last word, when of another script, may be begun only.
func queryTerms(text string) []string {
	if text == "" {
		return nil
	}
	var out []string
	for _, token := range ofQueries.Analyze([]byte(text)) {
		if t := string(token.Term); t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if n := len(out); n > 0 && out[n-1][0] < utf8.RuneSelf && len(out[n-1]) >= 2 && len(out[n-1]) <= maxBegun {
		out[n-1] = begun + out[n-1]
	}
	return out
}

// lookup is a term's postings with its rarity; a begun word also stands for itself.
func (ix *Index) lookup(term string) (*posting, float32) {
	p := ix.postings[term]
	if word, ok := strings.CutPrefix(term, begun); ok {
		p = merge(ix.postings[word], p)
	}
	if p == nil {
		return nil, 0
	}
	n := float64(len(ix.docs))
	df := float64(len(p.docs))
	return p, float32(math.Log(1 + (n-df+0.5)/(df+0.5)))
}

func merge(a, b *posting) *posting {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	out := &posting{docs: make([]uint32, 0, len(a.docs)+len(b.docs)), weights: make([]uint8, 0, len(a.docs)+len(b.docs))}
	i, j := 0, 0
	for i < len(a.docs) || j < len(b.docs) {
		switch {
		case j == len(b.docs) || i < len(a.docs) && a.docs[i] < b.docs[j]:
			out.docs, out.weights = append(out.docs, a.docs[i]), append(out.weights, a.weights[i])
			i++
		case i == len(a.docs) || b.docs[j] < a.docs[i]:
			out.docs, out.weights = append(out.docs, b.docs[j]), append(out.weights, b.weights[j])
			j++
		default:
			out.docs, out.weights = append(out.docs, a.docs[i]), append(out.weights, max(a.weights[i], b.weights[j]))
			i, j = i+1, j+1
		}
	}
	return out
}

// weigh turns a posting's weight into a score: the title decides, repetition saturates.
func weigh(w uint8) float32 {
	x := float32(w)
	return x / (x + 4)
}

// all visits the documents that have every term, walking the rarest term's list and galloping
// through the others.
func (ix *Index) all(terms []string, visit func(n uint32, score float32, inTitle bool)) {
	type list struct {
		*posting
		idf float32
		at  int
	}
	lists := make([]list, len(terms))
	for i, t := range terms {
		p, idf := ix.lookup(t)
		if p == nil {
			return
		}
		lists[i] = list{p, idf, 0}
	}
	slices.SortFunc(lists, func(a, b list) int { return len(a.docs) - len(b.docs) })
	lead := lists[0]
next:
	for i, n := range lead.docs {
		score := lead.idf * weigh(lead.weights[i])
		least := lead.weights[i]
		for k := 1; k < len(lists); k++ {
			l := &lists[k]
			// Double the step until it is passed, then halve back.
			step, lo := 1, l.at
			for lo+step < len(l.docs) && l.docs[lo+step] < n {
				lo += step
				step *= 2
			}
			hi := min(lo+step+1, len(l.docs))
			for lo < hi {
				mid := int(uint(lo+hi) / 2)
				if l.docs[mid] < n {
					lo = mid + 1
				} else {
					hi = mid
				}
			}
			l.at = lo
			if lo == len(l.docs) {
				return
			}
			if l.docs[lo] != n {
				continue next
			}
			score += l.idf * weigh(l.weights[lo])
			least = min(least, l.weights[lo])
		}
		visit(n, score, least >= inTitle)
	}
}

// most visits the documents that have at least need of the terms.
func (ix *Index) most(terms []string, need int, visit func(n uint32, score float32, inTitle bool)) {
	count := make([]uint8, len(ix.docs))
	score := make([]float32, len(ix.docs))
	for _, t := range terms {
		p, idf := ix.lookup(t)
		if p == nil {
			continue
		}
		for i, n := range p.docs {
			count[n]++
			score[n] += idf * weigh(p.weights[i])
		}
	}
	for n, c := range count {
		if int(c) >= need {
			visit(uint32(n), score[n], false)
		}
	}
}

// fold makes text comparable: full-width forms become ASCII, capitals small.
func fold(s string) string { return strings.Map(foldRune, s) }

func foldRune(r rune) rune {
	if r >= 0xff01 && r <= 0xff5e {
		r -= 0xfee0
	}
	return unicode.ToLower(r)
}
