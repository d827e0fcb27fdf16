package tabular

import (
	"bytes"
	"io"
	"math"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	xunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"gongshu/internal/errs"
)

const (
	headSize  = 1 << 20   // bytes of the beginning that a Sampler keeps
	extraSize = 256 << 10 // bytes around later non-ASCII text that it keeps
	window    = 4 << 10
)

// Sampler is an io.Writer that watches a whole file go by and keeps what is
// needed to judge it: the first MiB, stretches of later text that is not
// ASCII (a department's file may be plain for a million rows and hold its only
// Chinese name in the last), and whether all of it was valid UTF-8.
type Sampler struct {
	head    []byte
	extra   []byte
	size    int64
	high    int64 // bytes ≥ 0x80
	nul     int64
	carry   []byte // the start of a UTF-8 sequence cut by the end of a Write
	invalid bool
}

// Write takes the next bytes of the file and never fails.
func (s *Sampler) Write(p []byte) (int, error) {
	if room := headSize - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	past := s.size >= headSize
	s.size += int64(len(p))
	for off := 0; off < len(p); off += window {
		w := p[off:min(off+window, len(p))]
		high := 0
		for _, c := range w {
			if c >= 0x80 {
				high++
			}
		}
		s.high += int64(high)
		s.nul += int64(bytes.Count(w, []byte{0}))
		if past && high > 0 && len(s.extra) < extraSize {
			s.extra = append(s.extra, w...)
		}
	}
	s.checkUTF8(p)
	return len(p), nil
}

func (s *Sampler) checkUTF8(p []byte) {
	if s.invalid {
		return
	}
	if len(s.carry) > 0 {
		n := len(s.carry)
		joined := append(s.carry, p[:min(utf8.UTFMax-1, len(p))]...)
		r, size := utf8.DecodeRune(joined)
		if r == utf8.RuneError && size <= 1 {
			if utf8.FullRune(joined) {
				s.invalid = true
				return
			}
			s.carry = append([]byte(nil), joined...) // p was shorter than the sequence
			return
		}
		s.carry = s.carry[:0]
		p = p[size-n:]
	}
	tail := len(p)
	for i := 1; i <= min(utf8.UTFMax-1, len(p)); i++ {
		if utf8.RuneStart(p[len(p)-i]) {
			if !utf8.FullRune(p[len(p)-i:]) {
				tail = len(p) - i
			}
			break
		}
	}
	if !utf8.Valid(p[:tail]) {
		s.invalid = true
		return
	}
	s.carry = append(s.carry[:0], p[tail:]...)
}

// Size is the number of bytes seen.
func (s *Sampler) Size() int64 { return s.size }

// complete reports whether the head is the whole file.
func (s *Sampler) complete() bool { return s.size <= headSize }

func (s *Sampler) utf8() bool { return !s.invalid && (len(s.carry) == 0 || !s.complete()) }

// Encodings judges every encoding over all that the Sampler kept and returns
// them by confidence, best first; the confidences add up to at most 1. Plain
// ASCII counts as UTF-8.
func (s *Sampler) Encodings() []Guess {
	switch {
	case bytes.HasPrefix(s.head, []byte{0xEF, 0xBB, 0xBF}):
		return []Guess{{UTF8, 1}}
	case bytes.HasPrefix(s.head, []byte{0xFF, 0xFE}):
		return []Guess{{UTF16LE, 1}}
	case bytes.HasPrefix(s.head, []byte{0xFE, 0xFF}):
		return []Guess{{UTF16BE, 1}}
	}
	if g, ok := s.utf16(); ok {
		return g
	}
	if s.high == 0 {
		return []Guess{{UTF8, 1}}
	}
	if s.utf8() {
		// A few stray pairs can be valid UTF-8 by chance; each further
		// sequence makes that less likely.
		sure := 1 - math.Pow(0.5, float64(min(s.high/2, 12)))
		if sure > 0.9 {
			return []Guess{{UTF8, sure}}
		}
	}
	text := nonASCII(s.head, s.extra)
	guesses := []Guess{
		{GB18030, scoreHan(text, simplifiedchinese.GB18030, commonSimplified, gb2312)},
		{Big5, scoreHan(text, traditionalchinese.Big5, commonTraditional, big5Level1)},
		{CP1252, scoreLatin(text)},
	}
	if s.utf8() {
		guesses = append(guesses, Guess{UTF8, 0.95})
	} else {
		// Many good sequences and one bad one: a UTF-8 file with a broken row,
		// not a file of another encoding.
		if q := utf8Share(text); q > 0.9 {
			guesses = append(guesses, Guess{UTF8, q})
		}
	}
	var sum float64
	for _, g := range guesses {
		sum += g.Confidence
	}
	for i := range guesses {
		if sum > 0 {
			// Scores are plausibilities; what counts is the distance to the rest.
			guesses[i].Confidence *= guesses[i].Confidence / sum
		}
		guesses[i].Confidence = math.Round(guesses[i].Confidence*1000) / 1000
	}
	sort.SliceStable(guesses, func(i, j int) bool { return guesses[i].Confidence > guesses[j].Confidence })
	return guesses
}

// utf16 recognises UTF-16 without a mark by where its zero bytes stand.
func (s *Sampler) utf16() ([]Guess, bool) {
	if s.nul == 0 || len(s.head) < 4 {
		return nil, false
	}
	var even, odd int
	n := min(len(s.head), 64<<10) &^ 1
	for i := 0; i < n; i += 2 {
		if s.head[i] == 0 {
			even++
		}
		if s.head[i+1] == 0 {
			odd++
		}
	}
	pairs := float64(n / 2)
	switch {
	case float64(odd) > 0.2*pairs && odd > 8*even:
		return []Guess{{UTF16LE, 0.97}}, true
	case float64(even) > 0.2*pairs && even > 8*odd:
		return []Guess{{UTF16BE, 0.97}}, true
	}
	return nil, false
}

// nonASCII gathers the lines that hold a byte ≥ 0x80, to 256 KiB: they alone
// say anything about the encoding.
func nonASCII(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		for len(p) > 0 && len(out) < extraSize {
			i := bytes.IndexFunc(p, func(r rune) bool { return r >= 0x80 })
			if i < 0 {
				break
			}
			from := bytes.LastIndexAny(p[:i], "\n\r") + 1
			to := len(p)
			if j := bytes.IndexAny(p[i:], "\n\r"); j >= 0 {
				to = i + j + 1
			}
			out = append(out, p[max(from, i-200):min(to, i+2000)]...)
			out = append(out, '\n')
			p = p[min(to, i+2000):]
		}
	}
	return out
}

func utf8Share(p []byte) float64 {
	var good, bad int
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n <= 1 {
			bad++
		} else if n > 1 {
			good++
		}
		p = p[n:]
	}
	if good < 8 {
		return 0
	}
	return float64(good) / float64(good+4*bad)
}

// scoreHan decodes p and asks whether the text reads as Chinese: how many of
// its characters stand in the encoding's everyday part, how many are among the
// few hundred that make up most writing, how many bytes did not decode.
// Latin text decodes as GB18030 too, but to rare characters whose second byte
// is an ASCII letter: everyday is judged on the bytes.
func scoreHan(p []byte, enc encoding.Encoding, common map[rune]bool, everyday func(lead, trail byte) bool) float64 {
	text, _, err := transform.Bytes(enc.NewDecoder(), p)
	if err != nil {
		return 0
	}
	var errors, odd, han, frequent, total float64
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			continue
		case r == utf8.RuneError:
			errors++
		case unicode.Is(unicode.Han, r):
			han++
			if common[r] {
				frequent++
			}
		case r >= 0xE000 && r <= 0xF8FF, unicode.Is(unicode.Bopomofo, r), unicode.Is(unicode.Cyrillic, r), unicode.Is(unicode.Greek, r), unicode.Is(unicode.Katakana, r), unicode.Is(unicode.Hiragana, r):
			odd++
		}
		total++
	}
	if total == 0 || han == 0 {
		return 0
	}
	var pairs, plain float64
	for i := 0; i+1 < len(p); i++ {
		if p[i] < 0x81 {
			continue
		}
		pairs++
		if everyday(p[i], p[i+1]) {
			plain++
		}
		i++
	}
	everydayShare := plain / max(pairs, 1)
	score := 0.55*everydayShare*everydayShare + 0.45*math.Min(1, 2.5*frequent/han)
	score *= han / (han + 2*odd)
	return score * math.Pow(1-errors/(total+1), 8)
}

// gb2312 reports a pair that the standard of 1980 already had: nearly all
// Chinese text, and hardly any Latin text read as Chinese.
func gb2312(lead, trail byte) bool {
	return trail >= 0xA1 && (lead >= 0xB0 && lead <= 0xF7 || lead >= 0xA1 && lead <= 0xA3)
}

// big5Level1 reports a pair of Big5's frequently used part or its punctuation.
func big5Level1(lead, trail byte) bool {
	ok := trail >= 0x40 && trail <= 0x7E || trail >= 0xA1 && trail <= 0xFE
	return ok && (lead >= 0xA4 && lead <= 0xC6 || lead == 0xA1)
}

// scoreLatin asks whether the bytes ≥ 0x80 read as Western letters: accented
// letters beside ASCII letters, currency and quotation marks, seldom two in a
// row, never one that windows-1252 leaves unassigned.
func scoreLatin(p []byte) float64 {
	var high, good, runs float64
	for i, c := range p {
		if c < 0x80 {
			continue
		}
		high++
		if i > 0 && p[i-1] >= 0x80 {
			runs++
		}
		letterNear := i > 0 && isLetter(p[i-1]) || i+1 < len(p) && isLetter(p[i+1])
		switch {
		case c == 0x81 || c == 0x8D || c == 0x8F || c == 0x90 || c == 0x9D:
			good -= 2
		case c >= 0xC0 && c != 0xD7 && c != 0xF7:
			if letterNear {
				good++
			}
		case c == 0xA3 || c == 0x80 || c == 0xB0 || c == 0xBA || c == 0xAA || c == 0xA0 || c == 0xB2 || c == 0xB3 || c == 0xAB || c == 0xBB || c == 0xA1 || c == 0xBF || c == 0xA9 || c == 0xAE || c == 0xB4 || c == 0xB7 || c >= 0x91 && c <= 0x97 || c == 0x85:
			good += 0.9
		}
	}
	if high == 0 || good < 0 {
		return 0
	}
	return good / high * math.Pow(1-runs/high, 2)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func runeSet(s string) map[rune]bool {
	m := make(map[rune]bool, len(s)/3)
	for _, r := range s {
		m[r] = true
	}
	return m
}

// The characters that make up most Chinese writing, and those that names of
// places, bodies and columns are made of.
var (
	commonSimplified  = runeSet("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处府研华治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离名确才科张信马节话米整空元况今集温传土许步群广石记需段界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构称太准精值号率族维划选标写存候亲快效院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严龙福州厦泉佛岩漳莆宁德南街镇乡村居委社区名称编码代码身份证姓性别出生址号")
	commonTraditional = runeSet("的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而方後多定行學法所民得經十三之進著等部度家電力裡如水化高自二理起小物現實加量都兩體制機當使點從業本去把性好應開它合還因由其些然前外天政四日那社義事平形相全表間樣與關各重新線內數正心反你明看原又麼利比或但質氣第向道命此變條只沒結解問意建月公無系軍很情者最立代想已通並提直題黨程展五果料象員革位入常文總次品式活設及管特件長求老頭基資邊流路級少圖山統接知較將組見計別她手角期根論運農指幾九區強放決西被幹做必戰先回則任取據處府研華治北造百規熱領七海口東導器壓志世金增爭濟階油思術極交受聯什認六共權收證改清己美再採轉更單風切打白教速花帶安場身車例真務具萬每目至達走積示議聲報鬥完類八離名確才科張信馬節話米整空元況今集溫傳土許步群廣石記需段界拉林律叫且究觀越織裝影算低持音眾書布複容兒須際商非驗連斷深難近礦千週委素技備半辦青省列習響約支般史感勞便團往酸歷市克何除消構稱太準精值號率族維劃選標寫存候親快效院查江型眼王按格養易置派層片始卻專狀育廠京識適屬圓包火住調滿縣局照參紅細引聽該鐵價嚴龍臺灣台北高雄新竹桃園街鎮鄉村里鄰名稱編碼代碼身分證姓性別出生址號")
)

// EncodingNamed reads the name of an encoding as people write it, in any case; what
// GB18030 contains counts as it. "" is none: the file decides.
func EncodingNamed(name string) (Encoding, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "":
		return "", nil
	case "utf-8", "utf8":
		return UTF8, nil
	case "utf-16le":
		return UTF16LE, nil
	case "utf-16be":
		return UTF16BE, nil
	case "gb18030", "gbk", "gb2312":
		return GB18030, nil
	case "big5":
		return Big5, nil
	case "windows-1252", "cp1252", "iso-8859-1":
		return CP1252, nil
	}
	return "", errs.Newf(errs.Invalid, "没有编码“%s”；可用 UTF-8、UTF-16LE、UTF-16BE、GB18030、Big5、windows-1252", "there is no encoding %q; use UTF-8, UTF-16LE, UTF-16BE, GB18030, Big5 or windows-1252", name).In("encoding")
}

// decoder gives the x/text decoder of an encoding; nil for UTF-8.
func decoder(e Encoding) *encoding.Decoder {
	switch e {
	case UTF16LE:
		return xunicode.UTF16(xunicode.LittleEndian, xunicode.UseBOM).NewDecoder()
	case UTF16BE:
		return xunicode.UTF16(xunicode.BigEndian, xunicode.UseBOM).NewDecoder()
	case GB18030:
		return simplifiedchinese.GB18030.NewDecoder()
	case Big5:
		return traditionalchinese.Big5.NewDecoder()
	case CP1252:
		return charmap.Windows1252.NewDecoder()
	}
	return nil
}

// decode gives r as UTF-8 without a byte-order mark. Bytes that the encoding
// does not know become U+FFFD, which the readers report as a flaw of their row;
// UTF-8 passes as it is and is checked there too.
func decode(r io.Reader, e Encoding) io.Reader {
	if d := decoder(e); d != nil {
		r = transform.NewReader(r, d)
	}
	return &bomless{r: r}
}

type bomless struct {
	r      io.Reader
	passed bool
	head   []byte
}

func (b *bomless) Read(p []byte) (int, error) {
	if !b.passed {
		b.passed = true
		var h [3]byte
		n, err := io.ReadFull(b.r, h[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		b.head = append(b.head, h[:n]...)
		if n == 3 && h == [3]byte{0xEF, 0xBB, 0xBF} {
			b.head = nil
		}
	}
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	return b.r.Read(p)
}
