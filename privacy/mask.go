package privacy

import (
	"crypto/cipher"
	"encoding/hex"
	"hash"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// Masker applies one mask to values. It may be used by many goroutines; each
// value costs no allocation beyond growing dst.
type Masker struct {
	spec MaskSpec
	kind Kind
	pool sync.Pool // *maskState, for masks that need keys
}

// maskState is the keyed scratch space of one goroutine. Encryption is in two
// steps: values are laid out in dst with what is to be encrypted noted as lanes,
// then all lanes are encrypted side by side and written over what was laid out.
type maskState struct {
	digits, letters, ids, uscc *FF1
	mac                        hash.Hash
	sum                        []byte
	cipher                     *ff1Lanes
	lanes                      []ff1Lane
	notes                      []laneNote // one a lane
	idx                        []int      // places in dst of the characters of fpe lanes
}

// laneNote says where the outcome of a lane goes.
type laneNote struct {
	f        *FF1
	at, till int // fpe: idx[at:till]; pseudonyms: dst[at:till]
}

// NewMasker prepares a mask. kind is the kind of personal data that the values
// are (KindNone where unknown); tweak separates recipients: the same value gets
// different pseudonyms, digests and encrypted forms under different tweaks, so
// that two recipients cannot join their data by them.
func NewMasker(spec MaskSpec, kind Kind, keys Keys, tweak string) (*Masker, error) {
	m := &Masker{spec: spec, kind: kind}
	switch spec.Name {
	case MaskDigest, MaskFPE, MaskPseudonym:
	default:
		return m, nil
	}
	block, err := keys.Block("mask/fpe")
	if err != nil {
		return nil, err
	}
	first, err := newMaskState(keys, block, tweak)
	if err != nil {
		return nil, err
	}
	m.pool.New = func() any {
		// The same calls succeeded above; a module that fails later panics in the
		// request, which is answered with an error and releases nothing.
		st, err := newMaskState(keys, block, tweak)
		if err != nil {
			panic(err)
		}
		return st
	}
	m.pool.Put(first)
	return m, nil
}

func newMaskState(keys Keys, block cipher.Block, tweak string) (*maskState, error) {
	st := &maskState{sum: make([]byte, 0, 32), cipher: newFF1Lanes(block)}
	var err error
	if st.mac, err = keys.MAC("mask/digest/" + tweak); err != nil {
		return nil, err
	}
	if st.digits, err = NewFF1(block, 10, []byte(tweak)); err != nil {
		return nil, err
	}
	if st.letters, err = NewFF1(block, 26, []byte(tweak)); err != nil {
		return nil, err
	}
	if st.ids, err = newFF1(block, idRadix, []byte(tweak)); err != nil {
		return nil, err
	}
	st.uscc, err = NewFF1(block, 31, []byte(tweak))
	return st, err
}

// Spec is what the mask was made from.
func (m *Masker) Spec() MaskSpec { return m.spec }

// Append appends the masked value to dst. An empty value stays empty (it is no
// value); a value that the mask cannot treat is replaced whole by stars, never
// released.
func (m *Masker) Append(dst, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	switch m.spec.Name {
	case MaskNone:
		return append(dst, v...)
	case MaskReplace:
		return append(dst, m.spec.Text...)
	case MaskKeepEnds:
		return keepEnds(dst, v, m.spec.Head, m.spec.Tail)
	case MaskDate:
		return generaliseDate(dst, v, m.spec.Text)
	case MaskRegion:
		return generaliseRegion(dst, v, m.spec.Text)
	case MaskRound:
		return roundTo(dst, v, m.spec.Step)
	}
	st := m.pool.Get().(*maskState)
	defer m.pool.Put(st)
	if m.spec.Name == MaskDigest {
		st.mac.Reset()
		st.mac.Write(v)
		st.sum = st.mac.Sum(st.sum[:0])
		return hex.AppendEncode(dst, st.sum[:16])
	}
	dst = st.lay(m, dst, v)
	st.finish(dst)
	return dst
}

// together is how many lanes gather before they are encrypted.
const together = 64

// AppendEach appends n masked values to dst, one after another, and where each
// ends to ends. value gives value i; it is not kept. The outcome is that of n
// calls of Append, but the encrypting masks (fpe, pseudonym) are 2 to 3 times as
// fast over a cipher that takes several blocks at once, as SM4 does here.
func (m *Masker) AppendEach(dst []byte, ends []int, n int, value func(i int) []byte) ([]byte, []int) {
	if m.spec.Name != MaskFPE && m.spec.Name != MaskPseudonym {
		for i := range n {
			dst = m.Append(dst, value(i))
			ends = append(ends, len(dst))
		}
		return dst, ends
	}
	st := m.pool.Get().(*maskState)
	defer m.pool.Put(st)
	for i := range n {
		if v := value(i); len(v) > 0 {
			dst = st.lay(m, dst, v)
		}
		ends = append(ends, len(dst))
		if len(st.lanes) >= together {
			st.finish(dst)
		}
	}
	st.finish(dst)
	return dst, ends
}

// lay appends a value in the form that its masked value will have; finish
// encrypts what lay noted.
func (st *maskState) lay(m *Masker, dst, v []byte) []byte {
	if m.spec.Name == MaskFPE {
		return st.layFPE(dst, v)
	}
	id := m.kind != KindUSCC && ResidentID(v).OK()
	switch {
	case id:
		return st.layID(dst, v)
	case (m.kind == KindUSCC || m.kind == KindNone) && USCC(v).OK():
		return st.layUSCC(dst, v)
	}
	return stars(dst, v)
}

// finish encrypts the lanes and writes them over what was laid out in dst.
func (st *maskState) finish(dst []byte) {
	st.cipher.run(st.lanes)
	for i := range st.lanes {
		l, note := &st.lanes[i], &st.notes[i]
		switch note.f {
		case st.ids:
			st.writeID(dst[note.at:note.till], l)
		case st.uscc:
			st.writeUSCC(dst[note.at:note.till], l)
		case st.digits:
			at := st.idx[note.at:note.till]
			writeEach(dst, at[:l.s.u], 10, l.a, func(_, n byte) byte { return '0' + n })
			writeEach(dst, at[l.s.u:], 10, l.b, func(_, n byte) byte { return '0' + n })
		default:
			at := st.idx[note.at:note.till]
			keepCase := func(old, n byte) byte { return old&0x20 | 'A' + n }
			writeEach(dst, at[:l.s.u], 26, l.a, keepCase)
			writeEach(dst, at[l.s.u:], 26, l.b, keepCase)
		}
	}
	st.lanes, st.notes, st.idx = st.lanes[:0], st.notes[:0], st.idx[:0]
}

// writeEach writes the numerals of a number to places of dst.
func writeEach(dst []byte, at []int, radix, n uint64, char func(old, numeral byte) byte) {
	for j := len(at) - 1; j >= 0; j-- {
		dst[at[j]] = char(dst[at[j]], byte(n%radix))
		n /= radix
	}
}

func (st *maskState) note(f *FF1, n int, a, b uint64, at, till int) {
	st.lanes = append(st.lanes, ff1Lane{s: f.shape(n), a: a, b: b})
	st.notes = append(st.notes, laneNote{f: f, at: at, till: till})
}

// String is Append for a single text.
func (m *Masker) String(v string) string { return string(m.Append(nil, []byte(v))) }

const star = '*'

func stars(dst, v []byte) []byte {
	for range utf8.RuneCount(v) {
		dst = append(dst, star)
	}
	return dst
}

// keepEnds shows the first and last characters. A value with nothing between
// them would be shown whole, so all of it is hidden.
func keepEnds(dst, v []byte, head, tail int) []byte {
	n := utf8.RuneCount(v)
	if n <= head+tail {
		return stars(dst, v)
	}
	for i := 0; i < n; i++ {
		_, size := utf8.DecodeRune(v)
		if i < head || i >= n-tail {
			dst = append(dst, v[:size]...)
		} else {
			dst = append(dst, star)
		}
		v = v[size:]
	}
	return dst
}

// readDate reads the day that a value begins with: 2026-11-21, 2026/11/21,
// 20261121 or 2026年11月21日, and whatever follows.
func readDate(v []byte) (y, mo, d int, ok bool) {
	if len(v) < 8 || !digits(v[:4]) {
		return
	}
	y = two(v, 0)*100 + two(v, 2)
	rest := v[4:]
	part := func() (n int, ok bool) {
		switch {
		case len(rest) > 0 && (rest[0] == '-' || rest[0] == '/' || rest[0] == '.'):
			rest = rest[1:]
		case len(rest) > 2 && rest[0] >= 0xe0: // 年, 月
			rest = rest[3:]
		}
		i := 0
		for ; i < 2 && i < len(rest) && digit(rest[i]); i++ {
			n = n*10 + int(rest[i]-'0')
		}
		rest = rest[i:]
		return n, i > 0
	}
	var ok1, ok2 bool
	mo, ok1 = part()
	d, ok2 = part()
	return y, mo, d, ok1 && ok2 && dateExists(y, mo, d)
}

func generaliseDate(dst, v []byte, level string) []byte {
	y, mo, _, ok := readDate(v)
	if !ok {
		return stars(dst, v)
	}
	switch level {
	case "month":
		dst = strconv.AppendInt(dst, int64(y), 10)
		dst = append(dst, '-', byte('0'+mo/10), byte('0'+mo%10))
	case "quarter":
		dst = strconv.AppendInt(dst, int64(y), 10)
		dst = append(dst, 'Q', byte('1'+(mo-1)/3))
	case "year":
		dst = strconv.AppendInt(dst, int64(y), 10)
	default: // decade
		dst = strconv.AppendInt(dst, int64(y/10*10), 10)
		dst = append(dst, '-')
		dst = strconv.AppendInt(dst, int64(y/10*10+9), 10)
	}
	return dst
}

// generaliseRegion keeps the prefix of a division code (the rest becomes zeros,
// the length stays), or cuts an address after the division that the level names.
func generaliseRegion(dst, v []byte, level string) []byte {
	keep := 2
	switch level {
	case "city":
		keep = 4
	case "county":
		keep = 6
	}
	if len(v) >= 2 && digits(v) {
		for i, c := range v {
			if i >= keep {
				c = '0'
			}
			dst = append(dst, c)
		}
		return dst
	}
	end := 0
	rest := string(v)
	for _, marks := range [][]string{{"省", "自治区", "市"}, {"市", "自治州", "盟", "地区"}, {"区", "县", "旗", "市"}}[:keep/2] {
		at, size := -1, 0
		for _, mark := range marks {
			if i := strings.Index(rest[end:], mark); i >= 0 && (at < 0 || i < at) {
				at, size = i, len(mark)
			}
		}
		// A division's name has at most a dozen characters; further on it is no
		// division but part of the address.
		if at < 0 || at > 36 {
			break
		}
		end += at + size
	}
	if end == 0 {
		return stars(dst, v)
	}
	return append(dst, rest[:end]...)
}

func roundTo(dst, v []byte, step float64) []byte {
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return stars(dst, v)
	}
	decimals := 0
	for s := step; s != math.Trunc(s) && decimals < 12; s *= 10 {
		decimals++
	}
	r := math.Round(x/step) * step
	if r == 0 {
		r = 0 // no minus sign before zero
	}
	return strconv.AppendFloat(dst, r, 'f', decimals, 64)
}

// layFPE lays out a value whose digits will be encrypted among themselves and
// whose Latin letters among themselves; what is too short to encrypt, and every
// other letter, becomes a star; punctuation stays. A form stays a form: a phone
// number looks like digits, a plate like letters and digits.
func (st *maskState) layFPE(dst, v []byte) []byte {
	base := len(dst)
	for i := 0; i < len(v); {
		r, size := utf8.DecodeRune(v[i:])
		switch {
		case r < utf8.RuneSelf:
			dst = append(dst, v[i])
		default:
			dst = append(dst, star)
		}
		i += size
	}
	st.class(dst, base, st.digits, digit, func(c byte) byte { return c - '0' })
	st.class(dst, base, st.letters, letter, func(c byte) byte { return c&0x1f - 1 })
	return dst
}

// class notes the characters of one class, from base on, as a lane.
func (st *maskState) class(dst []byte, base int, f *FF1, in func(byte) bool, value func(byte) byte) {
	first := len(st.idx)
	for i := base; i < len(dst); i++ {
		if in(dst[i]) {
			st.idx = append(st.idx, i)
		}
	}
	at := st.idx[first:]
	if !f.Fits(len(at)) {
		for _, i := range at {
			dst[i] = star
		}
		st.idx = st.idx[:first]
		return
	}
	number := func(at []int) (n uint64) {
		for _, i := range at {
			n = n*f.radix + uint64(value(dst[i]))
		}
		return n
	}
	half := len(at) / 2
	st.note(f, len(at), number(at[:half]), number(at[half:]), first, len(st.idx))
}

// Days of the years that an ID pseudonym covers; births outside are hidden whole.
const (
	idFirstYear, idLastYear = 1850, 2049
	idDays                  = 73049
)

// An ID's county, day and sequence make one number of idDomain. It is encrypted as
// four numerals of radix 293: 293⁴ is the first fourth power not below the domain,
// and only 0.9 % above, so that hardly ever a number falls outside it.
const (
	idDomain = 100 * idDays * 1000
	idRadix  = 293
	idHalf   = idRadix * idRadix
)

func dayNumber(y, m, d int) int {
	n := 0
	y0 := y - 1
	n = y0*365 + y0/4 - y0/100 + y0/400
	for i := 1; i < m; i++ {
		n += daysIn(y, i)
	}
	return n + d - 1
}

var idFirstDay = dayNumber(idFirstYear, 1, 1)

func dayDate(n int) (y, m, d int) {
	y = idFirstYear + n/366
	for dayNumber(y+1, 1, 1)-idFirstDay <= n {
		y++
	}
	n -= dayNumber(y, 1, 1) - idFirstDay
	for m = 1; n >= daysIn(y, m); m++ {
		n -= daysIn(y, m)
	}
	return y, m, n + 1
}

// layID lays out a sound number that will be mapped to another sound number one to
// one: province and city stay, county, date of birth and sequence are encrypted
// together, and the check digit is made anew.
func (st *maskState) layID(dst, v []byte) []byte {
	var id [18]byte
	copy(id[:], v)
	if len(v) == 15 {
		copy(id[6:8], "19")
		copy(id[8:], v[6:])
	}
	y, m, d := two(id[:], 6)*100+two(id[:], 8), two(id[:], 10), two(id[:], 12)
	if y < idFirstYear || y > idLastYear {
		return stars(dst, v)
	}
	n := (uint64(two(id[:], 4))*idDays+uint64(dayNumber(y, m, d)-idFirstDay))*1000 +
		uint64(id[14]-'0')*100 + uint64(two(id[:], 15))
	st.note(st.ids, 4, n/idHalf, n%idHalf, len(dst), len(dst)+18)
	return append(dst, id[:]...)
}

func (st *maskState) writeID(id []byte, l *ff1Lane) {
	n := l.a*idHalf + l.b
	for n >= idDomain { // walk the cycle back into the domain
		a, b := st.ids.encrypt(l.s, n/idHalf, n%idHalf)
		n = a*idHalf + b
	}
	seq := n % 1000
	n /= 1000
	y, m, d := dayDate(int(n % idDays))
	put := func(i, v int) { id[i], id[i+1] = byte('0'+v/10), byte('0'+v%10) }
	put(4, int(n/idDays))
	put(6, y/100)
	put(8, y%100)
	put(10, m)
	put(12, d)
	id[14] = byte('0' + seq/100)
	put(15, int(seq%100))
	id[17] = idCheckDigit(id)
}

// layUSCC lays out a sound code that will be mapped to another sound code one to
// one: registrar, category and division stay, the organisation's eight characters
// are encrypted, both check characters made anew.
func (st *maskState) layUSCC(dst, v []byte) []byte {
	number := func(v []byte) (n uint64) {
		for _, c := range v {
			n = n*31 + uint64(usccValue[c]-1)
		}
		return n
	}
	st.note(st.uscc, 8, number(v[8:12]), number(v[12:16]), len(dst), len(dst)+18)
	return append(dst, v...)
}

func (st *maskState) writeUSCC(code []byte, l *ff1Lane) {
	for i := 3; i >= 0; i-- {
		code[8+i], code[12+i] = usccAlphabet[l.a%31], usccAlphabet[l.b%31]
		l.a, l.b = l.a/31, l.b/31
	}
	code[16] = orgCheckDigit(code, 8)
	code[17] = usccCheckDigit(code)
}

// AppendString is Append of a text.
func (m *Masker) AppendString(dst []byte, v string) []byte {
	if v == "" {
		return dst
	}
	return m.Append(dst, unsafe.Slice(unsafe.StringData(v), len(v)))
}
