package demo

import (
	"bufio"
	_ "embed"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed resources.yaml
var resourcesYAML []byte

//go:embed bodies.yaml
var bodiesYAML []byte

// division is a real administrative division: the place names and codes of the
// demo are true, the people and enterprises in it are not.
type division struct {
	Code, Name, Level, Parent string
}

// itemPlan is one column of a generated resource.
type itemPlan struct {
	Name, English   string
	Type            string // metadata letter
	Length, Scale   int
	Key, Required   bool
	Personal, Mask  string
	generator       string
	generatorParams []string
}

// resourcePlan is one resource of the demo city as resources.yaml states it.
type resourcePlan struct {
	Name    string   `yaml:"name"`
	English string   `yaml:"en"`
	Body    string   `yaml:"body"`
	Path    string   `yaml:"path"` // class/item/head/detail
	Theme   string   `yaml:"theme"`
	Cycle   string   `yaml:"cycle"`
	Sharing string   `yaml:"sharing"`
	Opening string   `yaml:"opening"`
	Grade   int      `yaml:"grade"`
	Rows    int      `yaml:"rows"`
	Who     string   `yaml:"who"`   // what a row is about
	Flaws   float64  `yaml:"flaws"` // share of rows made wrong on purpose
	Only    string   `yaml:"only"`  // the one mode that its sharing condition allows
	Refs    string   `yaml:"refs"`  // item=resource whose key it must be
	Summary string   `yaml:"summary"`
	RawItem []string `yaml:"items"`

	Items []itemPlan `yaml:"-"`
}

// dated says whether an item's value depends on the day on which its batch was
// made, so that it cannot be told from the row's number alone.
func (p resourcePlan) dated(item string) bool {
	for _, i := range p.Items {
		if i.Name == item {
			return i.generator == "past" || i.generator == "recent" || i.generator == "future"
		}
	}
	return false
}

type bodyPlan struct {
	Key  string `yaml:"key"`
	Kind string `yaml:"kind"`
	Role string `yaml:"role"`
	Name string `yaml:"name"`
}

func loadPlans() ([]resourcePlan, []bodyPlan, error) {
	var resources []resourcePlan
	var bodies []bodyPlan
	if err := yaml.Unmarshal(resourcesYAML, &resources); err != nil {
		return nil, nil, fmt.Errorf("resources.yaml: %w", err)
	}
	if err := yaml.Unmarshal(bodiesYAML, &bodies); err != nil {
		return nil, nil, fmt.Errorf("bodies.yaml: %w", err)
	}
	for i := range resources {
		for _, raw := range resources[i].RawItem {
			item, err := parseItem(raw)
			if err != nil {
				return nil, nil, fmt.Errorf("resources.yaml: %s: %q: %w", resources[i].Name, raw, err)
			}
			resources[i].Items = append(resources[i].Items, item)
		}
	}
	return resources, bodies, nil
}

func parseItem(raw string) (itemPlan, error) {
	part := strings.Split(raw, "|")
	if len(part) != 7 {
		return itemPlan{}, fmt.Errorf("%d parts instead of 7", len(part))
	}
	item := itemPlan{Name: part[0], English: part[1], Type: part[2][:1], Personal: part[4], Mask: part[5],
		Key: strings.Contains(part[3], "k"), Required: strings.Contains(part[3], "r")}
	if size := part[2][1:]; size != "" {
		length, scale, _ := strings.Cut(size, ".")
		var err error
		if item.Length, err = strconv.Atoi(length); err != nil {
			return itemPlan{}, err
		}
		if scale != "" {
			if item.Scale, err = strconv.Atoi(scale); err != nil {
				return itemPlan{}, err
			}
		}
	}
	name, params, _ := strings.Cut(part[6], ":")
	item.generator = name
	switch name {
	case "pick", "named":
		item.generatorParams = strings.Split(params, "/")
	case "int", "amount":
		item.generatorParams = strings.Split(params, ":")
	}
	return item, nil
}

// generator makes the rows of the demo city. The same seed, city and day give
// the same bytes.
type generator struct {
	seed      uint64
	city      string     // six-digit code of the city
	today     time.Time  // the day on which the story ends
	asOf      time.Time  // the day on which a batch is made; its dates lie before
	divisions []division // the districts and counties of the city
	people    int
}

const (
	surnames  = "陈林黄张李王吴刘郑许杨蔡周谢叶苏曾郭朱徐余罗何邱江赖游梁卢邓方程"
	givens    = "建国秀英志强丽华文杰海燕晓明佳慧宇轩子涵雨桐浩然梓萱俊熙思远婷婷国栋美玲永康春梅嘉怡振华素珍伟东少芬"
	traderish = "阿强老林顺发家和小城福满园味知蜀香满楼百姓好又来邻里"
)

// unassignedCounty follows a city's code in every generated resident ID. No
// county has the number 99, so that no generated ID can be a real person's.
const unassignedCounty = "99"

var (
	firstBirth = time.Date(1936, 1, 1, 0, 0, 0, 0, time.UTC)
	birthDays  = 31_000 // to late 2020
	streets    = []string{"五四路", "中山路", "人民路", "解放大道", "滨江大道", "学府路", "工业路", "文化街", "朝阳路", "湖滨路", "和平街", "迎宾大道", "建设路", "东大街", "西洪路", "南环路"}
	trades     = []string{"科技", "电子", "食品", "纺织", "建材", "贸易", "物流", "机械", "生物", "环保", "文化传媒", "信息技术", "农业开发", "建筑工程", "陶瓷", "茶业"}
	ordinals   = []string{"第一", "第二", "第三", "城东", "城西", "城南", "城北", "滨江", "新区", "中心", "高新", "老城"}
	stations   = []string{"市监测站", "师范大学", "东湖", "人民北路", "滨江西路", "高新区", "开发区", "森林公园", "湖心", "工业园"}
)

type person struct {
	id, name, sex, ethnic, birth, district, address, phone string
}

func (g *generator) rng(salt string, i int) *rand.Rand {
	h := fnv.New64a()
	io.WriteString(h, salt)
	return rand.New(rand.NewPCG(g.seed^h.Sum64(), uint64(i)*0x9e3779b97f4a7c15+1))
}

func (g *generator) person(i int) person {
	r := g.rng("person", i)
	i %= g.people
	day := (i * 7919) % birthDays
	round := i / birthDays
	male := r.IntN(2) == 0
	sequence := round * 2
	sex := "2"
	if male {
		sequence++
		sex = "1"
	}
	birth := firstBirth.AddDate(0, 0, day)
	id := g.city[:4] + unassignedCounty + birth.Format("20060102") + fmt.Sprintf("%03d", sequence)
	id += string(residentCheckDigit(id))
	d := g.divisions[r.IntN(len(g.divisions))]
	ethnic := "01"
	if r.IntN(20) == 0 {
		ethnic = []string{"22", "23", "03", "11", "15"}[r.IntN(5)]
	}
	return person{
		id: id, name: personName(r), sex: sex, ethnic: ethnic, birth: birth.Format(time.DateOnly),
		district: d.Code, address: d.Name + street(r), phone: phone(r),
	}
}

// phone uses the range 19x with a fixed fourth digit; the numbers are made up.
func phone(r *rand.Rand) string {
	return fmt.Sprintf("1%c%09d", "3589"[r.IntN(4)], r.IntN(1_000_000_000))
}

func street(r *rand.Rand) string {
	return fmt.Sprintf("%s%d号", streets[r.IntN(len(streets))], 1+r.IntN(380))
}

func personName(r *rand.Rand) string {
	s, n := []rune(surnames), []rune(givens)
	name := string(s[r.IntN(len(s))]) + string(n[r.IntN(len(n))])
	if r.IntN(10) < 7 {
		name += string(n[r.IntN(len(n))])
	}
	return name
}

// residentCheckDigit is the 18th character of a resident ID (GB 11643-1999).
func residentCheckDigit(first17 string) byte {
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(first17[i]-'0') * w
	}
	return "10X98765432"[sum%11]
}

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// organisationUSCC makes a valid unified social credit code (GB 32100-2015) with
// a valid organisation code inside (GB 11714). county 99 again keeps it unreal.
func organisationUSCC(prefix, county string, n int) string {
	body := fmt.Sprintf("MA%06d", n%1_000_000)
	weights := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i := range 8 {
		c := body[i]
		v := int(c - '0')
		if c >= 'A' {
			v = int(c-'A') + 10
		}
		sum += v * weights[i]
	}
	code := prefix + county + body + string("0123456789X0"[11-sum%11])
	total, weight := 0, 1
	for i := range 17 {
		total += strings.IndexByte(usccAlphabet, code[i]) * weight
		weight = weight * 3 % 31
	}
	return code + string(usccAlphabet[(31-total%31)%31])
}

type place struct {
	district, districtName, address, phone string
	lon, lat                               float64
}

type enterprise struct {
	uscc, name, district string
}

func (g *generator) org(i int) enterprise {
	r := g.rng("org", i)
	d := g.divisions[r.IntN(len(g.divisions))]
	n := []rune(givens)
	name := fmt.Sprintf("%s%c%c%s有限公司", strings.TrimRight(d.Name, "市区县"), n[r.IntN(len(n))], n[r.IntN(len(n))], trades[r.IntN(len(trades))])
	return enterprise{uscc: organisationUSCC("91", g.city[:4]+unassignedCounty, i), name: name, district: d.Code}
}

func (g *generator) trader(i int) enterprise {
	r := g.rng("trader", i)
	d := g.divisions[r.IntN(len(g.divisions))]
	n := []rune(traderish)
	name := fmt.Sprintf("%s%c%c%s店", d.Name, n[r.IntN(len(n))], n[r.IntN(len(n))], []string{"小吃", "便利", "美发", "维修", "水果", "五金"}[r.IntN(6)])
	return enterprise{uscc: organisationUSCC("92", g.city[:4]+unassignedCounty, 500_000+i), name: name, district: d.Code}
}

// place puts a point near the middle of the city; the centre comes from the
// division code so that different cities lie in different places.
func (g *generator) place(i int, salt string) place {
	r := g.rng("place"+salt, i)
	at := r.IntN(len(g.divisions))
	d := g.divisions[at]
	seat, ok := seats[d.Code]
	if !ok {
		seat = seats[g.divisions[0].Code]
	}
	// Dense around the seat, thinner outwards, as towns are.
	angle, far := 2*math.Pi*r.Float64(), math.Abs(r.NormFloat64())*0.045
	lon, lat := seat[0]+far*math.Cos(angle)*1.1, seat[1]+far*math.Sin(angle)
	return place{district: d.Code, districtName: d.Name, address: d.Name + street(r), phone: phone(r), lon: lon, lat: lat}
}

// seats are about where the counties' seats lie, in degrees east and north: good to
// some kilometres, enough for places that are made up.
var seats = map[string][2]float64{
	"350102": {119.30, 26.08}, "350103": {119.31, 26.05}, "350104": {119.27, 26.05}, "350105": {119.46, 25.99}, "350111": {119.33, 26.08}, "350112": {119.52, 25.96},
	"350121": {119.13, 26.15}, "350122": {119.54, 26.20}, "350123": {119.55, 26.49}, "350124": {118.86, 26.22}, "350125": {118.93, 25.87}, "350128": {119.79, 25.50}, "350181": {119.38, 25.72},
	"350502": {118.59, 24.91}, "350503": {118.61, 24.89}, "350504": {118.67, 24.94}, "350505": {118.92, 25.12}, "350521": {118.80, 25.03}, "350524": {118.19, 25.06},
	"350525": {118.29, 25.32}, "350526": {118.24, 25.49}, "350527": {118.32, 24.43}, "350581": {118.65, 24.73}, "350582": {118.55, 24.78}, "350583": {118.39, 24.96},
	"350802": {117.04, 25.10}, "350803": {116.73, 24.72}, "350821": {116.36, 25.83}, "350823": {116.42, 25.05}, "350824": {116.10, 25.10}, "350825": {116.75, 25.71}, "350881": {117.42, 25.29},
	"440604": {113.12, 23.01}, "440605": {113.14, 23.03}, "440606": {113.29, 22.81}, "440607": {112.90, 23.16}, "440608": {112.89, 22.90},
}

// writeCSV writes rows from (inclusive) to (exclusive) of the resource with its
// header, as a department would send them, and gives the indexes of rows that it
// spoiled on purpose.
func (g *generator) writeCSV(w io.Writer, p resourcePlan, from, to int) (spoiled []int, err error) {
	buffered := bufio.NewWriterSize(w, 1<<16)
	out := csv.NewWriter(buffered)
	header := make([]string, len(p.Items))
	for i, item := range p.Items {
		header[i] = item.Name
	}
	if err := out.Write(header); err != nil {
		return nil, err
	}
	row := make([]string, len(p.Items))
	for i := from; i < to; i++ {
		g.row(p, i, row)
		if g.flawed(p, i) && g.spoil(p, i, row) {
			spoiled = append(spoiled, i)
		}
		if err := out.Write(row); err != nil {
			return spoiled, err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return spoiled, err
	}
	return spoiled, buffered.Flush()
}

// flawed says whether a row is one of those that are made wrong on purpose.
func (g *generator) flawed(p resourcePlan, i int) bool {
	return p.Flaws > 0 && g.rng("flaw"+p.English, i).Float64() < p.Flaws
}

// rowCount is how many rows the resource has in this city.
func (g *generator) rowCount(p resourcePlan) int {
	switch {
	case p.Who == "division":
		return len(g.divisions)
	case p.Who == "month":
		return min(p.Rows, 24*len(g.divisions))
	case p.English == "population":
		return g.people
	case p.Who == "person":
		return min(p.Rows, g.people)
	}
	return p.Rows
}

// stride spreads the rows of a resource over the residents so that nobody comes
// twice: a prime that does not divide their number.
func (g *generator) stride() int {
	for _, prime := range []int{7, 11, 13, 17, 19, 23} {
		if g.people%prime != 0 {
			return prime
		}
	}
	return 1
}

// notYet is how many of the newest rows of a resource that grows by the day or the
// month do not exist yet on the day asOf.
func (g *generator) notYet(p resourcePlan) int {
	if p.Who == "station" {
		return max(0, int(g.today.Sub(g.asOf).Hours()/24)) * len(stations)
	}
	months := (g.today.Year()-g.asOf.Year())*12 + int(g.today.Month()) - int(g.asOf.Month())
	return max(0, months) * len(g.divisions)
}

func (g *generator) row(p resourcePlan, i int, row []string) {
	r := g.rng(p.English, i)
	var who person
	var o enterprise
	var at place
	switch p.Who {
	case "person":
		at := i
		if p.English != "population" {
			at = i * g.stride() % g.people
		}
		who = g.person(at)
	case "org":
		o = g.org(i)
		if p.English == "social_organisations" {
			o.uscc = organisationUSCC("51", g.city[:4]+unassignedCounty, i)
		}
		if p.English == "public_institutions" {
			o.uscc = organisationUSCC("12", g.city[:4]+unassignedCounty, i)
		}
	case "trader":
		o = g.trader(i)
	default:
		at = g.place(i, p.English)
	}
	for c, item := range p.Items {
		row[c] = g.cell(p, item, i, r, who, o, at)
	}
}

func (g *generator) cell(p resourcePlan, item itemPlan, i int, r *rand.Rand, who person, o enterprise, at place) string {
	switch item.generator {
	case "p.id":
		return who.id
	case "p.name":
		return who.name
	case "p.sex":
		return who.sex
	case "p.ethnic":
		return who.ethnic
	case "p.birth":
		return who.birth
	case "p.district":
		return who.district
	case "p.address":
		return who.address
	case "p.phone":
		return who.phone
	case "o.uscc", "t.uscc":
		return o.uscc
	case "o.name", "t.name":
		return o.name
	case "o.district", "t.district":
		return o.district
	case "o.socialname":
		return g.divisions[i%len(g.divisions)].Name + trades[r.IntN(len(trades))] + []string{"行业协会", "商会", "志愿服务队", "公益基金会"}[r.IntN(4)]
	case "l.district":
		return at.district
	case "l.address":
		return at.address
	case "l.phone":
		return at.phone
	case "l.lon":
		return strconv.FormatFloat(at.lon, 'f', 6, 64)
	case "l.lat":
		return strconv.FormatFloat(at.lat, 'f', 6, 64)
	case "d.code":
		return g.divisions[i].Code
	case "d.name":
		return g.divisions[i].Name
	case "d.level":
		return g.divisions[i].Level
	case "d.parent":
		return g.divisions[i].Parent
	case "m.month":
		return g.today.AddDate(0, -1-i/len(g.divisions), 1-g.today.Day()).Format("2006-01")
	case "m.district":
		return g.divisions[i%len(g.divisions)].Code
	case "s.date":
		return g.today.AddDate(0, 0, -1-i/len(stations)).Format(time.DateOnly)
	case "s.code":
		return fmt.Sprintf("%s%02d", g.city[:4], i%len(stations)+1)
	case "s.name":
		return stations[i%len(stations)]
	case "s.aqi", "s.pm25", "s.pm10", "s.o3", "s.primary":
		return g.air(item.generator, i)
	case "serial":
		return fmt.Sprintf("%s%0*d", g.city[2:4], max(1, min(item.Length, 12)-2), i+1)
	case "serial12":
		return fmt.Sprintf("%s%08d", g.city[:4], i+1)
	case "serial19":
		return fmt.Sprintf("G%s%014d", g.city[:4], i+1)
	case "serial28":
		return fmt.Sprintf("%s%s%018dF00", g.city[:4], unassignedCounty, i+1)
	case "plate":
		return fmt.Sprintf("%s%c%05d", map[string]string{"35": "闽", "44": "粤"}[g.city[:2]], "ABCEG"[i%5], i%100000)
	case "bool":
		return []string{"是", "否"}[r.IntN(2)]
	case "pick":
		return item.generatorParams[r.IntN(len(item.generatorParams))]
	case "named":
		return fmt.Sprintf("%s%s%s", at.districtName+o.cityName(), ordinals[r.IntN(len(ordinals))], item.generatorParams[r.IntN(len(item.generatorParams))])
	case "int":
		lo, hi := number(item.generatorParams[0]), number(item.generatorParams[1])
		return strconv.Itoa(int(lo) + r.IntN(int(hi-lo)+1))
	case "amount":
		lo, hi := number(item.generatorParams[0]), number(item.generatorParams[1])
		return strconv.FormatFloat(lo+r.Float64()*(hi-lo), 'f', max(item.Scale, 0), 64)
	case "past":
		return g.asOf.AddDate(0, 0, -30-r.IntN(4000)).Format(time.DateOnly)
	case "recent":
		return g.asOf.AddDate(0, 0, -1-r.IntN(300)).Format(time.DateOnly)
	case "future":
		return g.asOf.AddDate(0, 0, 30+r.IntN(1600)).Format(time.DateOnly)
	}
	panic("demo: no generator " + item.generator) // resources.yaml is embedded and a test visits every item
}

func (o enterprise) cityName() string {
	if o.name == "" {
		return ""
	}
	return strings.SplitN(o.name, "有限公司", 2)[0]
}

// air gives a smooth season with noise, so that the charts look like weather.
func (g *generator) air(what string, i int) string {
	day := i / len(stations)
	r := g.rng("air", i)
	date := g.today.AddDate(0, 0, -1-day)
	season := math.Cos(2 * math.Pi * (float64(date.YearDay()) - 15) / 365)
	pm25 := math.Max(4, 26+12*season+g.rng("airday", day).NormFloat64()*6+r.NormFloat64()*3)
	pm10 := pm25*1.6 + 4 + r.Float64()*6
	o3 := math.Max(20, 92-38*season+r.NormFloat64()*14)
	aqi := math.Max(pm25/35*50, math.Max(pm10/50*50, o3/100*50))
	switch what {
	case "s.pm25":
		return strconv.FormatFloat(pm25, 'f', 1, 64)
	case "s.pm10":
		return strconv.FormatFloat(pm10, 'f', 1, 64)
	case "s.o3":
		return strconv.FormatFloat(o3, 'f', 1, 64)
	case "s.aqi":
		return strconv.Itoa(int(math.Round(aqi)))
	}
	switch {
	case aqi <= 50:
		return ""
	case o3/100 >= pm10/50:
		return "O3"
	}
	return "PM10"
}

func number(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("demo: " + err.Error()) // as in cell
	}
	return f
}

// spoil makes a row wrong the way real rows are wrong: a mistyped check digit, a
// missing required value, a date that does not exist. It reports whether it did.
func (g *generator) spoil(p resourcePlan, i int, row []string) bool {
	r := g.rng("spoil"+p.English, i)
	for try := r.IntN(len(p.Items)); try < len(p.Items)*2; try++ {
		c := try % len(p.Items)
		item := p.Items[c]
		switch {
		case item.Personal == "resident_id" || item.Personal == "uscc":
			last := row[c][len(row[c])-1]
			wrong := byte('1')
			if last == '1' {
				wrong = '2'
			}
			row[c] = row[c][:len(row[c])-1] + string(wrong)
			return true
		case item.Type == "D" && row[c] != "":
			row[c] = row[c][:5] + "13" + row[c][7:]
			return true
		case item.Required && !item.Key:
			row[c] = ""
			return true
		case item.Type == "I" || item.Type == "N":
			row[c] = "约" + row[c]
			return true
		}
	}
	return false
}
