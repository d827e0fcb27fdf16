package clause

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed clauses.yaml text/*.txt
var files embed.FS

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

var instruments = []Instrument{
	{Code: "FZM", Title: "福州市政务数据资源管理办法", TitleEN: "Fuzhou Measures on Government Data Resources (2019)", City: "fuzhou", Number: "榕政综〔2019〕317号", Issued: day(2019, 11, 15)},
	{Code: "FZO", Title: "福州市公共数据开放管理暂行办法", TitleEN: "Fuzhou Interim Measures on Opening Public Data (2019)", City: "fuzhou", Number: "榕政综〔2019〕317号", Issued: day(2019, 11, 15)},
	{Code: "FZK", Title: "福州市政务数据资源共享开放考核暂行办法", TitleEN: "Fuzhou Interim Measures on Assessing Data Sharing and Opening (2019)", City: "fuzhou", Number: "榕政综〔2019〕317号", Issued: day(2019, 11, 15)},
	{Code: "QZ", Title: "泉州市公共数据资源开发利用等业务监管规定(试行)", TitleEN: "Quanzhou Provisions on Supervising Public-Data Business (trial, 2021)", City: "quanzhou"},
	{Code: "FS", Title: "佛山市政务数据资源管理办法(公众征求意见稿)", TitleEN: "Foshan Measures on Government Data Resources (draft for comment, 2019)", City: "foshan", Draft: true},
	{Code: "LY", Title: "龙岩市政务数据管理办法（试行）", TitleEN: "Longyan Measures on Government Data (trial, 2020)", City: "longyan", Number: "龙政办〔2020〕91号", Issued: day(2020, 10, 26)},
}

type book struct {
	all  []Clause
	byID map[string]int
}

// register parses the embedded files once. They are part of the program, so a
// fault in them is a programming error and panics at the first use, which the
// package's own tests reach.
var register = sync.OnceValue(func() *book {
	b, err := load()
	if err != nil {
		panic(err)
	}
	return b
})

func load() (*book, error) {
	raw, err := files.ReadFile("clauses.yaml")
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("clauses.yaml: %w", err)
	}
	articles := articlesOf()
	b := &book{byID: map[string]int{}}
	for _, n := range doc.Content[0].Content {
		var row struct{ ID, Kind, Must string }
		if err := n.Decode(&row); err != nil {
			return nil, fmt.Errorf("clauses.yaml:%d: %w", n.Line, err)
		}
		code, article, ok := strings.Cut(row.ID, "-")
		if !ok {
			return nil, fmt.Errorf("clauses.yaml:%d: id %q has no instrument", n.Line, row.ID)
		}
		if _, ok := InstrumentOf(code); !ok {
			return nil, fmt.Errorf("clauses.yaml:%d: unknown instrument %q", n.Line, code)
		}
		if _, twice := b.byID[row.ID]; twice {
			return nil, fmt.Errorf("clauses.yaml:%d: %s stands twice", n.Line, row.ID)
		}
		c := Clause{ID: row.ID, Instrument: code, Article: article, Kind: Kind(row.Kind), Must: row.Must, Line: n.Line}
		if !validKind(c.Kind) {
			return nil, fmt.Errorf("clauses.yaml:%d: unknown kind %q", n.Line, row.Kind)
		}
		if c.Text, ok = articles.find(code, article); !ok {
			return nil, fmt.Errorf("clauses.yaml:%d: %s is not found in the text", n.Line, row.ID)
		}
		b.byID[c.ID] = len(b.all)
		b.all = append(b.all, c)
	}
	return b, nil
}

func validKind(k Kind) bool {
	for _, v := range Kinds() {
		if v == k {
			return true
		}
	}
	return false
}

// chineseNumber writes 1…99 in Chinese numerals; anything else comes back as given.
func chineseNumber(s string) string {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 99 {
		return s
	}
	digits := []string{"", "一", "二", "三", "四", "五", "六", "七", "八", "九"}
	switch {
	case n < 10:
		return digits[n]
	case n < 20:
		return "十" + digits[n%10]
	default:
		return digits[n/10] + "十" + digits[n%10]
	}
}
