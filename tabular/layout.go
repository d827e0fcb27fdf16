package tabular

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"gongshu/internal/errs"
)

// What is held of a file to judge it by: fewer rows where they are very long.
const (
	sampleRows  = 300     // raw rows for the shape
	sampleBytes = 8 << 20 // of those rows, and of the rows for Propose
)

// inspectCSV proposes delimiter, line end, header rows and columns.
func inspectCSV(f File, l *Layout, lim Limits, expect []string, raw *Block) error {
	r, err := reopen(f, lim)
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, 512<<10)
	n, err := io.ReadFull(decode(r, l.Encoding), head)
	head = head[:n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return readFailure(err, 1)
	}
	if l.LineEnd == "" {
		l.LineEnd = lineEnd(head)
	}
	if l.Delimiter == "" {
		l.Delimiter = string(delimiter(head, l.LineEnd == "CR", lim))
	}
	if len(l.Delimiter) != 1 {
		return bad("分隔符须为一个字符", "the delimiter must be one character").In("delimiter")
	}
	r2, err := reopen(f, lim)
	if err != nil {
		return err
	}
	defer r2.Close()
	sc := newCSVScanner(decode(r2, l.Encoding), l.Delimiter[0], l.LineEnd == "CR", lim)
	grid, err := readGrid(sc)
	if err != nil {
		return err
	}
	l.shape(grid, nil, expect)
	if l.Decimal == "" {
		l.Decimal = decimalMark(grid, l.Delimiter)
	}
	return grid.raw(raw)
}

// decimalMark is "," where the delimiter leaves the comma free and values such
// as 0,61 occur that no grouping of thousands explains.
func decimalMark(g *grid, delimiter string) string {
	if delimiter == "," {
		return "."
	}
	comma, point := 0, 0
	for _, r := range g.rows {
		for _, c := range r {
			var tmp [64]byte
			v := []byte(strings.TrimSpace(c))
			if len(v) == 0 {
				continue
			}
			if _, ok := canonicalDecimal(tmp[:0], v, '.'); ok {
				point += bytes.Count(v, []byte{'.'})
			} else if _, ok := canonicalDecimal(tmp[:0], v, ','); ok {
				comma++
			}
		}
	}
	if comma > point {
		return ","
	}
	return "."
}

func lineEnd(p []byte) string {
	crlf := bytes.Count(p, []byte("\r\n"))
	lf := bytes.Count(p, []byte("\n")) - crlf
	cr := bytes.Count(p, []byte("\r")) - crlf
	switch {
	case crlf+lf == 0 && cr > 0:
		return "CR"
	case crlf > lf:
		return "CRLF"
	}
	return "LF"
}

// delimiter tries each candidate with the real reader and takes the one whose
// rows agree best on a width above one.
func delimiter(head []byte, cr bool, lim Limits) byte {
	best, bestScore := byte(','), 0.0
	for _, d := range []byte{',', ';', '\t', '|'} {
		s := newCSVScanner(bytes.NewReader(head), d, cr, lim)
		b := NewBlock()
		widths := map[int]int{}
		var rows, flawed int
		for rows < 500 {
			b.Reset()
			if _, err := s.next(b); err != nil {
				break
			}
			flawed += min(1, len(s.flaws))
			width := b.Pending()
			if b.trim() == 0 {
				continue
			}
			rows++
			widths[width]++
		}
		if rows > 2 {
			rows-- // the last may be cut
		}
		for w, n := range widths {
			if w < 2 {
				continue
			}
			agree := math.Min(1, float64(n)/float64(rows))
			score := agree * agree * (1 + 0.1*math.Log2(float64(w))) * (1 - 0.5*float64(flawed)/float64(rows+1))
			if score > bestScore {
				best, bestScore = d, score
			}
		}
	}
	return best
}

// grid is the beginning of a table as text.
type grid struct {
	rows    [][]string
	numbers []int
}

func readGrid(sc scanner) (*grid, error) {
	g, b := &grid{}, NewBlock()
	for held := 0; len(g.rows) < sampleRows && held < sampleBytes; held += b.Bytes() + 16*b.Width(0) {
		b.Reset()
		number, err := sc.next(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			if len(g.rows) == 0 {
				return nil, err
			}
			break
		}
		b.EndRow(number)
		cells := make([]string, b.Width(0))
		for c := range cells {
			cells[c] = string(b.Cell(0, c))
		}
		g.rows, g.numbers = append(g.rows, cells), append(g.numbers, int(number))
	}
	return g, nil
}

func (g *grid) raw(b *Block) error {
	if len(g.rows) == 0 {
		return bad("文件里没有数据", "the file holds no data").In("file")
	}
	for i, r := range g.rows[:min(50, len(g.rows))] {
		for _, c := range r {
			b.AddString(c)
		}
		b.EndRow(int64(g.numbers[i]))
	}
	return nil
}

func filled(r []string) (n, width int) {
	for i, c := range r {
		if strings.TrimSpace(c) != "" {
			n++
			width = i + 1
		}
	}
	return n, width
}

// valueLike reports a cell that is data rather than a name: a number, a date,
// a code with digits only, a mark for a missing value.
func valueLike(c string) bool {
	c = strings.TrimSpace(c)
	if c == "" {
		return false
	}
	digits, other := 0, 0
	for _, r := range c {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case strings.ContainsRune("+-.,/: %年月日TZeE*—–", r):
		default:
			other++
		}
	}
	return other == 0 && (digits > 0 || strings.Trim(c, "*-—–") == "")
}

// shape fills HeaderFrom, HeaderTo, DataFrom, Columns and Preamble of l, those
// that a person set (DataFrom > 0) excepted.
func (l *Layout) shape(g *grid, merges []merge, expect []string) {
	if len(g.rows) == 0 {
		return
	}
	rows := g.fillMerges(merges)
	if l.DataFrom == 0 {
		from, to := findHeader(g, rows, merges, expect)
		l.HeaderFrom, l.HeaderTo, l.DataFrom = 0, 0, 1
		switch {
		case to >= 0:
			l.HeaderFrom, l.HeaderTo, l.DataFrom = g.numbers[from], g.numbers[to], g.numbers[to]+1
		case from >= 0 && from < len(g.numbers):
			l.DataFrom = g.numbers[from]
		}
		l.Columns = nil
	}
	var header [][]string
	width := 0
	wider := map[int]int{} // rows of data by the width they use
	rowsOfData := 0
	l.Preamble = nil
	top := l.DataFrom
	if l.HeaderFrom > 0 {
		top = l.HeaderFrom
	}
	for i, n := range g.numbers {
		switch {
		case n < top:
			if text := strings.Join(nonEmpty(g.rows[i]), " "); text != "" {
				l.Preamble = append(l.Preamble, text)
			}
		case n >= l.HeaderFrom && n <= l.HeaderTo:
			header = append(header, rows[i])
			_, w := filled(g.rows[i])
			width = max(width, w)
		case n >= l.DataFrom:
			used, w := filled(g.rows[i])
			if used > 0 {
				rowsOfData++
				if used*2 >= width || l.HeaderFrom == 0 {
					wider[w]++
				}
			}
		}
	}
	// Columns beyond the header are columns when a good part of the rows fills
	// them; a single longer row is a broken row, not a wider table.
	reach := 0
	for w := len(g.widest()); w > width; w-- {
		reach += wider[w]
		if l.HeaderFrom == 0 && reach*2 >= rowsOfData || l.HeaderFrom > 0 && reach > 1 && reach*5 >= rowsOfData {
			width = w
			break
		}
	}
	if l.Columns == nil {
		l.Columns = columnNames(header, width)
	}
}

// widest is the row with the most cells.
func (g *grid) widest() []string {
	var out []string
	for _, r := range g.rows {
		if len(r) > len(out) {
			out = r
		}
	}
	return out
}

func nonEmpty(r []string) []string {
	var out []string
	for _, c := range r {
		if c = strings.TrimSpace(c); c != "" {
			out = append(out, c)
		}
	}
	return out
}

// fillMerges repeats each merged cell's text over its range, for the header.
func (g *grid) fillMerges(merges []merge) [][]string {
	if len(merges) == 0 {
		return g.rows
	}
	at := map[int]int{}
	rows := make([][]string, len(g.rows))
	for i, r := range g.rows {
		rows[i], at[g.numbers[i]] = append([]string(nil), r...), i
	}
	for _, m := range merges {
		i, ok := at[m.row1]
		if !ok || m.col1 >= len(rows[i]) {
			continue
		}
		text := rows[i][m.col1]
		for n := m.row1; n <= m.row2 && n-m.row1 < sampleRows; n++ {
			j, ok := at[n]
			if !ok {
				continue
			}
			for c := m.col1; c <= m.col2 && c < 4096; c++ {
				for len(rows[j]) <= c {
					rows[j] = append(rows[j], "")
				}
				rows[j][c] = text
			}
		}
	}
	return rows
}

// findHeader returns the first and last header row as indexes into rows; last
// is -1 when the table has no header, and first then is its first data row.
func findHeader(g *grid, rows [][]string, merges []merge, expect []string) (int, int) {
	first, last := headerByShape(g, rows, merges)
	if i := byExpectation(rows, expect); i >= 0 {
		// A stacked header whose joined names are what is expected beats one of its rows.
		if last > first && hits(joined(rows[first:last+1]), expect) > hits(rows[i], expect) {
			return first, last
		}
		return i, i
	}
	return first, last
}

// hits counts the names that are among the expected ones.
func hits(names, expect []string) int {
	want := map[string]bool{}
	for _, e := range expect {
		want[Normal(e)] = true
	}
	n := 0
	for _, name := range names {
		if k := Normal(name); k != "" && want[k] {
			n++
			delete(want, k)
		}
	}
	return n
}

// headerByShape is findHeader without knowing any name.
func headerByShape(g *grid, rows [][]string, merges []merge) (int, int) {
	counts := make([]int, 0, len(rows))
	for _, r := range g.rows {
		if n, _ := filled(r); n > 0 {
			counts = append(counts, n)
		}
	}
	typical := percentile(counts, 60)
	first := -1
	for i, r := range rows {
		n, _ := filled(r)
		distinct := len(distinctCells(r))
		if n >= max(1, (typical+1)/2) && (distinct > 1 || typical == 1 || n > 2 && distinct == 1 && len(distinctCells(g.rows[i])) == 1 && !isTitle(g, i)) {
			first = i
			break
		}
	}
	if first < 0 {
		return 0, -1
	}
	// What the columns hold below tells whether this row is like them.
	// Merged cells are taken as the file has them: a name that reaches down over
	// header rows is no repeated value.
	columns := columnKinds(g.rows[first+1:])
	var pro, con int
	for c, cell := range rows[first] {
		if strings.TrimSpace(cell) == "" || c >= len(columns) {
			continue
		}
		switch k := columns[c]; {
		case k.values*10 >= k.filled*7 && k.filled > 0:
			if valueLike(cell) {
				con++
			} else {
				pro++
			}
		case k.texts[strings.TrimSpace(cell)] > 0:
			con++
		case k.filled > 0 && valueLike(cell):
			con++
		}
	}
	if con > pro && !runningYears(rows[first]) {
		return first, -1
	}
	last := first
	for _, m := range merges {
		if m.row1 == g.numbers[first] && m.row2 > m.row1 && m.row2-m.row1 < 6 {
			for last+1 < len(rows) && g.numbers[last] < m.row2 {
				last++
			}
		}
	}
	for last-first < 5 && last+1 < len(rows) {
		if complete(rows[first:last+1], columns) || dataLike(g.rows[last+1], columnKinds(g.rows[last+2:])) {
			break
		}
		last++
	}
	if !complete(rows[first:last+1], columns) && last > first && len(merges) == 0 {
		// The rows below did not make a better header: take the first alone.
		if nameCount(rows[first:last+1]) <= nameCount(rows[first:first+1]) {
			last = first
		}
	}
	return first, last
}

func isTitle(g *grid, i int) bool { n, _ := filled(g.rows[i]); return n == 1 }

func percentile(v []int, p int) int {
	if len(v) == 0 {
		return 0
	}
	s := append([]int(nil), v...)
	for i := 1; i < len(s); i++ {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s[(len(s)-1)*p/100]
}

func distinctCells(r []string) map[string]bool {
	m := map[string]bool{}
	for _, c := range r {
		if c = strings.TrimSpace(c); c != "" {
			m[c] = true
		}
	}
	return m
}

func byExpectation(rows [][]string, expect []string) int {
	if len(expect) == 0 {
		return -1
	}
	best, bestHits := -1, 0
	for i, r := range rows {
		if n := hits(r, expect); n > bestHits {
			best, bestHits = i, n
		}
	}
	n, _ := 0, 0
	if best >= 0 {
		n, _ = filled(rows[best])
	}
	if bestHits*2 >= n && bestHits > 0 && (bestHits > 1 || n == 1 || len(expect) == 1) {
		return best
	}
	return -1
}

// Normal is a name as it is compared: no blanks, no case, full-width brackets
// and letters as half-width.
func Normal(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u3000' || r == '\u00a0' || r == '\ufeff':
			return -1
		case r >= '！' && r <= '～':
			r -= 0xFEE0
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

type columnKind struct {
	filled, values int
	texts          map[string]int
}

func columnKinds(rows [][]string) []columnKind {
	var out []columnKind
	for _, r := range rows[:min(100, len(rows))] {
		for c, cell := range r {
			for len(out) <= c {
				out = append(out, columnKind{texts: map[string]int{}})
			}
			if cell = strings.TrimSpace(cell); cell == "" {
				continue
			}
			out[c].filled++
			if valueLike(cell) {
				out[c].values++
			}
			out[c].texts[cell]++
		}
	}
	return out
}

// runningYears reports a header such as Year, 2000, 2001, 2002.
func runningYears(r []string) bool {
	prev, run := 0, 0
	for _, c := range r {
		var y int
		if _, err := fmt.Sscanf(strings.TrimSpace(c), "%d", &y); err != nil || len(strings.TrimSpace(c)) != 4 || y < 1900 || y > 2100 {
			continue
		}
		if prev == 0 || y == prev+1 {
			run++
		}
		prev = y
	}
	return run >= 2 && len(r) > 1 && !valueLike(r[0])
}

// complete: every column that holds data has a name, and no two share one.
func complete(header [][]string, columns []columnKind) bool {
	names := joined(header)
	seen := map[string]bool{}
	for c, k := range columns {
		if k.filled*10 < len(columns) && k.filled < 2 {
			continue
		}
		if c >= len(names) || names[c] == "" || seen[names[c]] {
			return false
		}
		seen[names[c]] = true
	}
	return true
}

func nameCount(header [][]string) int {
	m := map[string]bool{}
	for _, n := range joined(header) {
		if n != "" {
			m[n] = true
		}
	}
	return len(m)
}

// dataLike: the row holds values where the rows below hold values.
func dataLike(r []string, below []columnKind) bool {
	values, places := 0, 0
	for c, cell := range r {
		if strings.TrimSpace(cell) == "" || c >= len(below) || below[c].values*2 < below[c].filled || below[c].filled == 0 {
			continue
		}
		places++
		if valueLike(cell) {
			values++
		}
	}
	if places == 0 {
		// No column of numbers to judge by: a row that is full is data.
		n, _ := filled(r)
		return n*10 >= len(below)*8
	}
	return values*3 >= places
}

// joined is the text of stacked header rows by column, top to bottom. A group's
// name that stands over its first column only (a merged cell as CSV has it)
// counts for the columns of the group: those that have a name below and none of
// their own.
func joined(header [][]string) []string {
	var names []string
	for i, r := range header {
		group := ""
		for c, cell := range r {
			below := ""
			if i+1 < len(header) && c < len(header[i+1]) {
				below = strings.TrimSpace(header[i+1][c])
			}
			switch {
			case below == "":
				group = ""
			case strings.TrimSpace(cell) != "":
				group = cell
			default:
				cell = group
			}
			for len(names) <= c {
				names = append(names, "")
			}
			cell = strings.Join(strings.Fields(strings.TrimPrefix(cell, "\ufeff")), " ")
			switch {
			case cell == "":
			case names[c] == "":
				names[c] = cell
			case names[c] != cell && !strings.HasSuffix(names[c], "/"+cell):
				names[c] += "/" + cell
			}
		}
	}
	return names
}

// columnNames names width columns: joined header texts, positions where there
// is none, a number behind a name that occurs again.
func columnNames(header [][]string, width int) []string {
	names := joined(header)
	for len(names) > 0 && len(names) > width && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	for len(names) < width {
		names = append(names, "")
	}
	seen := map[string]int{}
	for c := range names {
		if utf8.RuneCountInString(names[c]) > 200 {
			names[c] = string([]rune(names[c])[:200])
		}
		if names[c] == "" {
			names[c] = fmt.Sprintf("列%d", c+1)
		}
		seen[names[c]]++
		if n := seen[names[c]]; n > 1 {
			base := names[c]
			for seen[names[c]] > 0 {
				names[c] = fmt.Sprintf("%s_%d", base, n)
				n++
			}
			seen[names[c]]++
		}
	}
	return names
}

func inspectXLSX(f File, l *Layout, lim Limits, expect []string, raw *Block) error {
	at, size, closer, err := randomAccess(f, lim)
	if err != nil {
		return err
	}
	defer closer.Close()
	w, err := openWorkbook(at, size, lim)
	if err != nil {
		return err
	}
	l.Sheets = nil
	for _, s := range w.sheets {
		l.Sheets = append(l.Sheets, s.name)
	}
	try := func(s sheetRef) (*grid, error) {
		sc, err := w.scan(s, false)
		if err != nil {
			return nil, err
		}
		defer sc.Close()
		return readGrid(sc)
	}
	var g *grid
	if l.Sheet != "" {
		s, err := w.sheet(l.Sheet)
		if err != nil {
			return err
		}
		if g, err = try(s); err != nil {
			return err
		}
	} else {
		// The first visible sheet with a table in it, else the first with anything.
		for _, least := range []int{2, 1} {
			for _, s := range w.sheets {
				if s.hidden || l.Sheet != "" {
					continue
				}
				found, err := try(s)
				if err != nil {
					return err
				}
				full := 0
				for _, r := range found.rows {
					if n, _ := filled(r); n > 0 {
						full++
					}
				}
				if full >= least {
					l.Sheet, g = s.name, found
				}
			}
		}
		if g == nil {
			return bad("工作簿里没有数据", "the workbook holds no data").In("file")
		}
	}
	s, err := w.sheet(l.Sheet)
	if err != nil {
		return err
	}
	ms, err := w.merges(s)
	if err != nil {
		return err
	}
	l.shape(g, ms, expect)
	return g.raw(raw)
}

// inspectJSON collects the field names of the first records, and refuses what
// is no table.
func inspectJSON(f File, l *Layout, lim Limits) error {
	r, err := reopen(f, lim)
	if err != nil {
		return err
	}
	defer r.Close()
	s := newJSONScanner(decode(r, l.Encoding), l.Format == NDJSON, l.Records, nil, lim)
	if l.Format == JSON && l.Records == "" {
		c, err := s.peek()
		if err == io.EOF {
			return bad("文件是空的", "the file is empty").In("file")
		}
		if err != nil {
			return err
		}
		if c == '{' {
			if l.Records, err = findRecords(s); err != nil {
				return err
			}
			return inspectJSON(f, l, lim)
		}
	}
	s.learn = true
	b := NewBlock()
	records, arrays := 0, 0
	var firstArray []string
	for records < 1000 {
		b.Reset()
		_, err := s.next(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			if records > 0 && errs.Is(err, errs.Invalid) {
				break // reading will say where
			}
			return err
		}
		if s.nested != "" {
			return errs.Newf(errs.Unsupported, "第 %d 条记录的字段 %s 是嵌套结构，不能作为表格汇聚；请先展开成一层的记录。%[3]s",
				"field %[2]s of record %[1]d is nested, so the file is no table; flatten it to records of one level first. %[4]s", s.number, s.nested, Supported.ZH, Supported.EN).In("file")
		}
		records++
		if s.array {
			b.EndRow(1)
			if arrays == 0 {
				for c := range b.Width(0) {
					firstArray = append(firstArray, string(b.Cell(0, c)))
				}
			}
			arrays++
		}
	}
	switch {
	case records == 0:
		return bad("文件里没有记录", "the file holds no record").In("file")
	case arrays > 0 && arrays < records:
		return bad("记录有的是对象、有的是数组", "some records are objects and some are arrays").In("file")
	}
	if l.DataFrom == 0 {
		l.DataFrom = 1
		if arrays > 0 {
			header := true
			for _, c := range firstArray {
				header = header && c != "" && !valueLike(c)
			}
			if header && len(distinctCells(firstArray)) == len(firstArray) {
				l.HeaderFrom, l.HeaderTo, l.DataFrom = 1, 1, 2
			}
		}
	}
	if l.Columns == nil {
		switch {
		case arrays == 0:
			l.Columns = s.names
		case l.HeaderFrom == 1:
			l.Columns = columnNames([][]string{firstArray}, len(firstArray))
		default:
			l.Columns = columnNames(nil, len(firstArray))
		}
	}
	if len(l.Columns) == 0 {
		return bad("记录没有字段", "the records have no fields").In("file")
	}
	return nil
}

// findRecords looks for the one key of the top object that holds an array of
// records.
func findRecords(s *jsonScanner) (string, error) {
	if err := s.checkObject(); err != nil {
		return "", err
	}
	s.pos++
	var keys []string
	for {
		c, err := s.peek()
		if err != nil {
			return "", s.truncated(err)
		}
		if c == ',' {
			s.pos++
			continue
		}
		if c == '}' {
			break
		}
		to, err := s.extent()
		if err != nil {
			return "", err
		}
		key, _, err := unquote(nil, s.buf[s.pos:to], 0)
		if err != nil {
			return "", s.broken(s.pos, err.Error(), err.Error())
		}
		s.pos = to
		name := string(key)
		if c, err = s.peek(); err != nil {
			return "", s.truncated(err)
		}
		if c != ':' {
			return "", s.broken(s.pos, "键之后应为冒号", "a colon must follow the key")
		}
		s.pos++
		if c, err = s.peek(); err != nil {
			return "", s.truncated(err)
		}
		to, err = s.extent()
		large := errs.Is(err, errs.TooLarge)
		if err != nil && !large {
			return "", err
		}
		if large {
			to = s.end
		}
		if rest := bytes.TrimLeft(s.buf[s.pos+1:to], " \t\r\n"); c == '[' && len(rest) > 0 && rest[0] == '{' {
			keys = append(keys, name)
		}
		if large {
			break // an array this long is what the file is about
		}
		s.pos = to
	}
	switch len(keys) {
	case 0:
		return "", notAnArray()
	case 1:
		return keys[0], nil
	}
	return "", errs.Newf(errs.Invalid, "文件里有几个记录数组（%s），请指定要汇聚哪一个", "the file holds several arrays of records (%s); name the one to take in", strings.Join(keys, ", ")).In("records")
}
