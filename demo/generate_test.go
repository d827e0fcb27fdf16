package demo

import (
	"bytes"
	"encoding/csv"
	"testing"
	"time"

	"gongshu/privacy"
)

func testGenerator() *generator {
	return &generator{seed: 1, city: "350100", today: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), asOf: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), people: 5000,
		divisions: []division{{"350102", "鼓楼区", "county", "350100"}, {"350103", "台江区", "county", "350100"}, {"350121", "闽侯县", "county", "350100"}}}
}

// Every generator that resources.yaml names must exist, keys must be unique,
// identifiers valid, and the same seed must give the same bytes.
func TestEveryResourceGenerates(t *testing.T) {
	resources, bodies, err := loadPlans()
	if err != nil {
		t.Fatal(err)
	}
	if len(resources) < 40 || len(bodies) < 15 {
		t.Fatalf("%d resources and %d bodies", len(resources), len(bodies))
	}
	known := map[string]bool{}
	for _, b := range bodies {
		known[b.Key] = true
	}
	g := testGenerator()
	for _, p := range resources {
		if !known[p.Body] {
			t.Errorf("%s: no body %q", p.Name, p.Body)
		}
		n := min(g.rowCount(p), 2000)
		clean := p
		clean.Flaws = 0
		var a, b bytes.Buffer
		if _, err := g.writeCSV(&a, clean, 0, n); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if _, err := g.writeCSV(&b, clean, 0, n); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("%s: a second run differs", p.Name)
		}
		rows, err := csv.NewReader(&a).ReadAll()
		if err != nil || len(rows) != n+1 {
			t.Fatalf("%s: %d rows, %v", p.Name, len(rows)-1, err)
		}
		keys := map[string]bool{}
		for _, row := range rows[1:] {
			key := ""
			for c, item := range p.Items {
				if item.Key {
					key += row[c] + "\x00"
				}
				if item.Required && row[c] == "" {
					t.Fatalf("%s: %s is empty", p.Name, item.Name)
				}
				if item.Length > 0 && item.Type == "C" && len([]rune(row[c])) > item.Length {
					t.Fatalf("%s: %s %q is longer than %d", p.Name, item.Name, row[c], item.Length)
				}
				switch item.Personal {
				case "resident_id":
					if v := privacy.ResidentID(row[c]); !v.OK() {
						t.Fatalf("%s: %s %q: %v", p.Name, item.Name, row[c], v)
					}
				case "uscc":
					if v := privacy.USCC(row[c]); !v.OK() {
						t.Fatalf("%s: %s %q: %v", p.Name, item.Name, row[c], v)
					}
				}
			}
			if keys[key] {
				t.Fatalf("%s: key %q twice", p.Name, key)
			}
			keys[key] = true
		}
	}
}

func TestSpoiledRowsAreCounted(t *testing.T) {
	resources, _, err := loadPlans()
	if err != nil {
		t.Fatal(err)
	}
	g := testGenerator()
	p := resources[0]
	p.Flaws = 0.05
	clean := p
	clean.Flaws = 0
	var a, b bytes.Buffer
	spoiled, err := g.writeCSV(&a, p, 0, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.writeCSV(&b, clean, 0, 2000); err != nil {
		t.Fatal(err)
	}
	bad, _ := csv.NewReader(&a).ReadAll()
	good, _ := csv.NewReader(&b).ReadAll()
	differ := 0
	for i := range good {
		for c := range good[i] {
			if good[i][c] != bad[i][c] {
				differ++
				break
			}
		}
	}
	if len(spoiled) == 0 || differ != len(spoiled) {
		t.Errorf("%d rows differ, %d were said to be spoiled", differ, len(spoiled))
	}
}
