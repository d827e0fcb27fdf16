package ui

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"gongshu/internal/web"
)

//go:embed words
var wordFiles embed.FS

// dictionary holds the words of one language. plain are the texts without
// variables, looked up without any work; the rest goes through go-i18n.
type dictionary struct {
	plain     map[string]string
	localizer *i18n.Localizer
	all       map[string]bool
}

var dictionaries = mustLoadWords(wordFiles)

func mustLoadWords(files fs.FS) map[string]*dictionary {
	d, err := loadWords(files)
	if err != nil {
		panic(err)
	}
	return d
}

// loadWords reads words/<language>/<area>.yaml: flat "key: text", or
// "key: {one: …, other: …}" where English needs a plural. A key that stands
// twice, or that does not begin with a known shape, is an error naming the file.
func loadWords(files fs.FS) (map[string]*dictionary, error) {
	bundle := i18n.NewBundle(language.Chinese)
	out := map[string]*dictionary{}
	for _, lang := range []string{web.Chinese, web.English} {
		d := &dictionary{plain: map[string]string{}, all: map[string]bool{}}
		tag := language.Make(lang)
		names, err := fs.Glob(files, "words/"+lang+"/*.yaml")
		if err != nil {
			return nil, err
		}
		sort.Strings(names)
		for _, name := range names {
			raw, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, err
			}
			var flat map[string]any
			if err := yaml.Unmarshal(raw, &flat); err != nil {
				return nil, fmt.Errorf("words %s: %w", path.Base(path.Dir(name))+"/"+path.Base(name), err)
			}
			for key, value := range flat {
				if d.all[key] {
					return nil, fmt.Errorf("words %s: key %q stands twice", name, key)
				}
				d.all[key] = true
				message := &i18n.Message{ID: key}
				switch v := value.(type) {
				case string:
					if !strings.Contains(v, "{{") {
						d.plain[key] = v
						continue
					}
					message.Other = v
				case map[string]any:
					message.One, _ = v["one"].(string)
					message.Other, _ = v["other"].(string)
					if message.Other == "" {
						return nil, fmt.Errorf("words %s: key %q has no form \"other\"", name, key)
					}
				default:
					return nil, fmt.Errorf("words %s: key %q is neither text nor forms", name, key)
				}
				if err := bundle.AddMessages(tag, message); err != nil {
					return nil, fmt.Errorf("words %s: key %q: %w", name, key, err)
				}
			}
		}
		d.localizer = i18n.NewLocalizer(bundle, lang)
		out[lang] = d
	}
	return out, nil
}

// T gives the words of a key in the request's language. pairs fill the
// template's variables: T(ctx, "catalog.rows", "Count", 3); a pair named
// "Count" also picks the plural form. A key without words comes back between
// ⟦ ⟧ so that it is seen, and a test fails on it.
func T(ctx context.Context, key string, pairs ...any) string {
	return TIn(web.Lang(ctx), key, pairs...)
}

// TIn is T in a named language ("zh" or "en").
func TIn(lang, key string, pairs ...any) string {
	d := dictionaries[lang]
	if d == nil {
		d = dictionaries[web.Chinese]
	}
	if text, ok := d.plain[key]; ok {
		return text
	}
	if !d.all[key] {
		return "⟦" + key + "⟧"
	}
	data := make(map[string]any, len(pairs)/2)
	config := &i18n.LocalizeConfig{MessageID: key, TemplateData: data}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		value := pairs[i+1]
		if name == "Count" {
			config.PluralCount = value
			switch n := value.(type) {
			case int:
				value = Num(int64(n))
			case int64:
				config.PluralCount = int(n)
				value = Num(n)
			}
		}
		data[name] = value
	}
	text, err := d.localizer.Localize(config)
	if err != nil {
		return "⟦" + key + "⟧"
	}
	return text
}

// HasWords says whether a key stands in the word files; for words that may be
// missing by design, such as a state's own explanation.
func HasWords(key string) bool { return dictionaries[web.Chinese].all[key] }

// Pick chooses between two texts that a lower package already carries in both
// languages.
func Pick(ctx context.Context, zh, en string) string {
	if web.Lang(ctx) == web.English && en != "" {
		return en
	}
	if zh == "" {
		return en
	}
	return zh
}

// English says whether the page is in English.
func English(ctx context.Context) bool { return web.Lang(ctx) == web.English }
