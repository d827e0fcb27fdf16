package clause

import (
	"slices"
	"strings"
)

// kin leads from an article that code cites to the articles of the other cities
// that ask the same of a platform. What a city's text does not say has no entry:
// there is nothing to cite there.
var kin = map[string]string{
	// Bodies and their duties.
	"FZM-3":  "FS-46 LY-3",
	"LY-3":   "FZM-3 FS-46",
	"FS-46":  "FZM-3 LY-3",
	"FZM-6":  "FS-4 LY-5",
	"FZM-7":  "FS-7 LY-10",
	"FZM-9":  "QZ-2.4 FS-42 LY-27",
	"FZM-11": "FS-10 LY-7",
	"FZM-34": "QZ-6.2 FS-6 LY-26",
	"FS-4":   "FZM-11 LY-5",
	"LY-5":   "FZM-34 FS-6",
	// Catalog.
	"FZM-12": "QZ-3.1.1 FS-17 FS-19 LY-8",
	"FZM-16": "FS-5.3 FS-12 LY-11",
	"FS-12":  "FZM-16 LY-11",
	"FS-22":  "QZ-3.1.3",
	"FS-5.2": "LY-9",
	// Aggregation and quality.
	"FZM-13":   "QZ-3.1.2 FS-20 LY-9",
	"FZM-18":   "QZ-3.1.7 FS-30 LY-14",
	"QZ-3.1.7": "FZM-18 FS-30 LY-14",
	"FZM-2":    "FS-40.2 LY-23",
	"FZM-31":   "FS-40.2 LY-23",
	// Sharing and use.
	"FZM-15": "FS-25 LY-13",
	"FZM-17": "QZ-3.1.5 FS-26 LY-12",
	"FZM-29": "QZ-3.1.8 FS-29 LY-21",
	"FS-13":  "FZM-29 LY-13",
	"FS-29":  "FZM-29 LY-13",
	"FS-32":  "LY-12",
	"LY-12":  "FZM-17 QZ-3.1.5 FS-26",
	"LY-13":  "FZM-15 FS-25",
	// Log and security.
	"QZ-3.1.8": "FZM-29 FS-42 LY-24",
	"LY-24":    "FZM-29 QZ-3.1.8 FS-42",
	"FS-40":    "FZM-29 QZ-6.2 LY-21",
	"FS-41":    "FZM-32 LY-25",
	"FS-42":    "FZM-9 LY-27",
	// Opening.
	"FZM-20": "FS-34 LY-17",
	"FZM-21": "QZ-3.1.6 FS-5.1 LY-16",
	"FZM-22": "FS-36 LY-17",
	"FZO-2":  "FS-34",
	"FZO-3":  "QZ-3.1.6 LY-16",
	"FZO-5":  "FS-14",
	"FZO-6":  "FS-40 LY-21",
	"FZO-7":  "FS-36 LY-17",
	"FZO-8":  "FS-36 LY-18",
	"FZO-11": "QZ-3.1.6 FS-16 LY-16",
	"FZO-12": "FS-37",
	"FZO-17": "FS-39 LY-24",
	"FZO-24": "FS-34 LY-17",
	"FZO-25": "FS-38",
	"FZO-26": "FS-30",
	"FZO-30": "FS-40 LY-22",
	"FS-14":  "FZO-5 LY-17",
}

// In gives the articles by which a city (a profile's id) says what the cited ones
// say: the cited ones that are its own, else their kin there. An id outside the
// register stays, so that the mistake is seen; nothing is left of articles whose
// duty the city's text does not know. A city without a regulation in the register
// gets what was cited.
func In(city string, ids ...string) []string {
	if !slices.ContainsFunc(instruments, func(in Instrument) bool { return in.City == city }) {
		return ids
	}
	var own, other []string
	add := func(list []string, id string) []string {
		if slices.Contains(list, id) {
			return list
		}
		return append(list, id)
	}
	for _, id := range ids {
		if c, ok := Get(id); !ok || c.City() == city {
			own = add(own, id)
			continue
		}
		for _, k := range strings.Fields(kin[id]) {
			if c, _ := Get(k); c.City() == city {
				other = add(other, k)
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return other
}

// City is the profile's id of the city whose regulation the article stands in.
func (c Clause) City() string {
	in, _ := InstrumentOf(c.Instrument)
	return in.City
}
