package clause

import (
	"slices"
	"strings"
	"testing"
)

func TestKinAreArticlesOfOtherCities(t *testing.T) {
	for id, list := range kin {
		c, ok := Get(id)
		if !ok {
			t.Errorf("the register has no %s", id)
		}
		for _, k := range strings.Fields(list) {
			other, ok := Get(k)
			if !ok || other.City() == c.City() {
				t.Errorf("%s: %s is not another city's article", id, k)
			}
		}
	}
}

func TestIn(t *testing.T) {
	for _, c := range []struct {
		city string
		ids  string
		want string
	}{
		{"fuzhou", "FZM-29", "FZM-29"},
		{"longyan", "FZM-29", "LY-21"},
		{"foshan", "FZM-29", "FS-29"},
		{"quanzhou", "FZM-29", "QZ-3.1.8"},
		{"longyan", "FZM-29 LY-24 FS-29", "LY-24"}, // its own before kin
		{"fuzhou", "QZ-3.1.7 FZM-18", "FZM-18"},
		{"foshan", "FZM-20 FZO-24", "FS-34"}, // named once
		{"longyan", "FS-5.4", ""},            // Longyan's text is silent
		{"longyan", "XX-1", "XX-1"},          // a wrong id is seen
		{"elsewhere", "FZM-29", "FZM-29"},
	} {
		if got := In(c.city, strings.Fields(c.ids)...); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("In(%s, %s) = %v, want %s", c.city, c.ids, got, c.want)
		}
	}
}
