package clause

import (
	"regexp"
	"strings"
	"sync"
)

// articleSet holds the texts split into articles: instrument code → article
// number → its lines. Quanzhou's articles are keyed "3", "3.1", "3.1.8".
type articleSet map[string]map[string][]string

var articlesOf = sync.OnceValue(func() articleSet {
	set := articleSet{}
	for code, title := range map[string]string{"FZM": "福州市政务数据资源管理办法", "FZO": "福州市公共数据开放管理暂行办法", "FZK": "福州市政务数据资源共享开放考核暂行办法"} {
		set[code] = splitArticles(between(mustText("fuzhou-2019.zh.txt"), title))
	}
	set["FS"] = splitArticles(mustText("foshan-2019-draft.zh.txt"))
	set["LY"] = splitArticles(mustText("longyan-2020.zh.txt"))
	set["QZ"] = splitSections(mustText("quanzhou-2021.zh.txt"))
	return set
})

func mustText(name string) string {
	b, err := files.ReadFile("text/" + name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// between gives the part of the Fuzhou circular that starts at the line which is
// exactly title and ends at the next instrument's title line or at 抄送.
func between(text, title string) string {
	var out []string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == title {
			in = true
			continue
		}
		if in && (strings.HasPrefix(line, "抄送") || strings.HasPrefix(line, "福州市") && strings.HasSuffix(line, "办法")) {
			break
		}
		if in {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

var (
	articleStart = regexp.MustCompile(`^第([一二三四五六七八九十]+)条\s*(?:[(（][^)）]{1,20}[)）])?\s*`)
	chapterStart = regexp.MustCompile(`^第[一二三四五六七八九十]+章`)
	partStart    = regexp.MustCompile(`^([一二三四五六七八九十]+)、`)
	paragraphQZ  = regexp.MustCompile(`^[(（]([一二三四五六七八九十]+)[)）]`)
	itemQZ       = regexp.MustCompile(`^(\d+)\.`)
	itemStart    = regexp.MustCompile(`^[(（]([一二三四五六七八九十]+)[)）]`)
)

func splitArticles(text string) map[string][]string {
	out := map[string][]string{}
	cur := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if chapterStart.MatchString(line) || strings.HasPrefix(line, "抄送") {
			cur = ""
			continue
		}
		if m := articleStart.FindStringSubmatch(line); m != nil {
			cur = arabic(m[1])
			out[cur] = append(out[cur], line)
			continue
		}
		if cur != "" {
			out[cur] = append(out[cur], line)
		}
	}
	return out
}

func splitSections(text string) map[string][]string {
	out := map[string][]string{}
	part, paragraph, item := "", "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case partStart.MatchString(line):
			part, paragraph, item = arabic(partStart.FindStringSubmatch(line)[1]), "", ""
		case paragraphQZ.MatchString(line):
			paragraph, item = arabic(paragraphQZ.FindStringSubmatch(line)[1]), ""
		case itemQZ.MatchString(line):
			item = itemQZ.FindStringSubmatch(line)[1]
		}
		if part == "" || line == "" {
			continue
		}
		out[part] = append(out[part], line)
		if paragraph != "" {
			out[part+"."+paragraph] = append(out[part+"."+paragraph], line)
		}
		if item != "" {
			out[part+"."+paragraph+"."+item] = append(out[part+"."+paragraph+"."+item], line)
		}
	}
	return out
}

// find gives the words of an article, or of one paragraph ("29.3") or item
// ("5.3" where the article is a bare list) of it.
func (s articleSet) find(code, article string) (string, bool) {
	if lines, ok := s[code][article]; ok {
		return strings.Join(lines, "\n"), true
	}
	if code == "QZ" {
		return "", false
	}
	number, sub, ok := strings.Cut(article, ".")
	if !ok {
		return "", false
	}
	lines, ok := s[code][number]
	if !ok {
		return "", false
	}
	want := chineseNumber(sub)
	if articleHasItemsOnly(code, number) {
		for _, l := range lines {
			if m := itemStart.FindStringSubmatch(l); m != nil && m[1] == want {
				return l, true
			}
		}
		return "", false
	}
	var paragraphs [][]string
	for _, l := range lines {
		if itemStart.MatchString(l) && len(paragraphs) > 0 {
			last := len(paragraphs) - 1
			paragraphs[last] = append(paragraphs[last], l)
			continue
		}
		paragraphs = append(paragraphs, []string{l})
	}
	for i, p := range paragraphs {
		if chineseNumber(itoa(i+1)) == want {
			return strings.Join(p, "\n"), true
		}
	}
	return "", false
}

// articleHasItemsOnly tells an article that is one sentence with a list (its
// parts are 项) from one made of paragraphs (款).
func articleHasItemsOnly(code, number string) bool {
	lines := articlesOf()[code][number]
	return len(lines) > 0 && (strings.HasSuffix(lines[0], ":") || strings.HasSuffix(lines[0], "："))
}

// arabic reads Chinese numerals 一…九十九.
func arabic(s string) string {
	value := map[rune]int{'一': 1, '二': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}
	n, unit := 0, 0
	for _, r := range s {
		if r == '十' {
			if unit == 0 {
				unit = 1
			}
			n, unit = unit*10, 0
			continue
		}
		unit = value[r]
	}
	return itoa(n + unit)
}
