package ui

import (
	"net/url"
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	spec := ListSpec{Sorts: []string{"name", "due"}, Default: "-due", Filters: []string{"state", "body"}}
	q, _ := url.ParseQuery("q=+公交+&sort=name&page=3&state=late&state=open&unknown=1&per=7")
	l := listFrom("/x", q, spec)
	if l.Q != "公交" || l.Sort != "name" || l.Desc || l.Page != 3 || l.Per != 20 || l.Offset() != 40 {
		t.Fatalf("parsed %+v", l)
	}
	if !l.Has("state", "open") || l.Get("body") != "" || !l.Filtered() {
		t.Fatalf("filters %+v", l.filters)
	}
	for _, c := range []struct{ got, want string }{
		{l.With("page", "4"), "/x?page=4&q=%E5%85%AC%E4%BA%A4&sort=name&state=late&state=open"},
		{l.With("state", ""), "/x?q=%E5%85%AC%E4%BA%A4&sort=name"},
		{l.SortLink("name"), "/x?q=%E5%85%AC%E4%BA%A4&sort=-name&state=late&state=open"},
		{l.Toggle("state", "late"), "/x?q=%E5%85%AC%E4%BA%A4&sort=name&state=open"},
		{l.Clear(), "/x?sort=name"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	bad := listFrom("/x", url.Values{"sort": {"drop table"}, "page": {"-1"}, "per": {"100000"}}, spec)
	if bad.Order() != "-due" || bad.Page != 1 || bad.Per != 20 || bad.Filtered() {
		t.Errorf("what is out of range must fall back: %+v", bad)
	}
	if got := (List{Page: 6, Per: 10}).window(200); !slices.Equal(got, []int{1, 0, 5, 6, 7, 0, 20}) {
		t.Errorf("pager window %v", got)
	}
}
