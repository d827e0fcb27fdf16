package intake

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"gongshu/catalog"
	"gongshu/internal/errs"
	"gongshu/quality"
	"gongshu/tabular"
	"gongshu/warehouse"
	"gongshu/workday"
)

// maxChannel is the longest that a channel may be approved for.
const maxChannel = 366 * 24 * time.Hour

// checkSecrecy refuses what FZM-2 and FZM-31 keep off the platform: data without
// the declaration of a secrecy review, and data marked as secret.
func checkSecrecy(s Secrecy) error {
	if s.Marked {
		return errs.New(errs.Forbidden, errs.T("标有密级的数据不得上传、汇聚或交换", "data that bears a secrecy mark must not be uploaded, aggregated or exchanged")).In("secrecy").By("FZM-31", "FZM-2")
	}
	if !s.Declared {
		return errs.New(errs.Invalid, errs.T("每一批数据须声明已经过保密审查、不含国家秘密和工作秘密", "every batch carries the declaration that it passed secrecy review and holds no state or work secret")).In("secrecy").By("FZM-31", "FZM-2")
	}
	return nil
}

// ParseSecrecy reads a declaration as headers and command lines carry it:
// "declared", "declared; document=NUMBER" (the number as it is, quoted, or
// percent-encoded), or "marked". Anything else declares nothing.
func ParseSecrecy(text string) Secrecy {
	word, rest, _ := strings.Cut(text, ";")
	word = strings.ToLower(strings.TrimSpace(word))
	s := Secrecy{Declared: word == "declared", Marked: word == "marked"}
	if name, value, ok := strings.Cut(rest, "="); ok && strings.TrimSpace(name) == "document" {
		s.Document = strings.Trim(strings.TrimSpace(value), `"`)
		if plain, err := url.PathUnescape(s.Document); err == nil {
			s.Document = plain
		}
		if !utf8.ValidString(s.Document) || len(s.Document) > 300 {
			s.Document = ""
		}
	}
	return s
}

// A mark of secrecy as documents bear it: the grade with a star and maybe a term
// (机密★10年), or the grade alone as a cell, sheet name or bracketed in a name.
var secrecyMark = regexp.MustCompile(`(绝\s*密|机\s*密|秘\s*密)\s*[★☆]|^\s*[（(【\[]?(绝密|机密|秘密)[）)】\]]?\s*$|[（(【\[](绝密|机密|秘密)[）)】\]]`)

// checkMarks refuses a file whose name, sheet or title rows bear a secrecy mark
// (FZM-31): marked by whoever wrote it, whatever the sender declares.
func checkMarks(fileName string, l *tabular.Layout) error {
	places := append([]string{fileName, l.Sheet}, l.Preamble...)
	for _, p := range places {
		for _, part := range append(strings.Fields(p), p) {
			if secrecyMark.MatchString(part) {
				return errs.New(errs.Forbidden, errs.T("文件名、工作表名或标题行带有密级标志，拒绝接收", "the file's name, sheet or title rows bear a secrecy mark; it is refused")).In("file").By("FZM-31", "FZM-2")
			}
		}
	}
	return nil
}

// checkMode asks for an approved channel where stored rows would be changed or
// deleted (FZM-29.3).
func checkMode(r *catalog.Resource, mode warehouse.Mode, channels []Channel, wanted string, now time.Time) (string, error) {
	switch mode {
	case warehouse.Append:
		return "", nil
	case warehouse.Upsert, warehouse.Delete:
		if len(r.Keys()) == 0 {
			return "", errs.New(errs.Invalid, errs.T("资源在目录中没有主键，不能按主键更新或删除", "the resource has no key in the catalog, so rows cannot be changed or deleted by it")).In("mode")
		}
	case warehouse.Replace:
	default:
		return "", errs.Newf(errs.Invalid, "没有批次方式 %q", "there is no batch mode %q", string(mode)).In("mode")
	}
	for _, c := range channels {
		if (wanted == "" || c.ID == wanted) && c.Open(mode, now) {
			return c.ID, nil
		}
	}
	return "", errs.New(errs.Forbidden, errs.T("未经批准不得更改、删除已汇聚的数据：更新、替换、删除方式须先由主管部门批准通道", "stored data must not be changed or deleted without approval: upsert, replace and delete need a channel approved by the authority")).In("mode").By("FZM-29.3")
}

// due is the end of the day on which the next batch is expected by the update
// cycle (FZM-13); zero where the cycle sets no day.
func due(cycle catalog.Cycle, last time.Time) time.Time {
	on := dueDay(cycle, last.In(workday.Zone))
	if last.IsZero() || on.IsZero() {
		return time.Time{}
	}
	return workday.DateOf(on).End()
}

func dueDay(cycle catalog.Cycle, last time.Time) time.Time {
	switch cycle {
	case catalog.Daily:
		return last.AddDate(0, 0, 1)
	case catalog.Weekly:
		return last.AddDate(0, 0, 7)
	case catalog.Monthly:
		return addMonths(last, 1)
	case catalog.Quarterly:
		return addMonths(last, 3)
	case catalog.HalfYearly:
		return addMonths(last, 6)
	case catalog.Yearly:
		return addMonths(last, 12)
	}
	return time.Time{}
}

// addMonths keeps to the end of the month: 31 January and one month is 28 February.
func addMonths(t time.Time, n int) time.Time {
	next := t.AddDate(0, n, 0)
	if next.Day() != t.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next
}

// mapping finds the column of each item: as the sender says, else by the item's
// Chinese name or code. Columns that no item takes are returned as ignored. It
// refuses a file that lacks a required item, naming every one.
func mapping(r *catalog.Resource, columns []string, given map[string]string, keyOnly bool) (map[string]int, []string, error) {
	at := map[string]int{}
	for i, c := range columns {
		if _, twice := at[tabular.Normal(c)]; !twice {
			at[tabular.Normal(c)] = i
		}
	}
	out, used := map[string]int{}, map[int]bool{}
	for name, column := range given {
		it := r.Item(name)
		if it == nil {
			it = r.ItemByName(name)
		}
		if it == nil {
			return nil, nil, errs.Newf(errs.Invalid, "资源没有信息项“%s”", "the resource has no item %q", name).In("mapping")
		}
		if column == "" {
			out[it.ID] = -1
			continue
		}
		i, ok := at[tabular.Normal(column)]
		if !ok {
			return nil, nil, errs.Newf(errs.Invalid, "文件没有“%s”这一列", "the file has no column %q", column).In("mapping")
		}
		if used[i] {
			return nil, nil, errs.Newf(errs.Invalid, "“%s”列被对应到两个信息项", "column %q is mapped to two items", column).In("mapping")
		}
		out[it.ID], used[i] = i, true
	}
	for i := range r.Items {
		it := &r.Items[i]
		if _, set := out[it.ID]; set {
			continue
		}
		out[it.ID] = -1
		for _, name := range []string{it.Name, it.Code, it.ID} {
			c, ok := at[tabular.Normal(name)]
			if name != "" && ok && !used[c] {
				out[it.ID], used[c] = c, true
				break
			}
		}
	}
	var missing []errs.Problem
	found := 0
	for i := range r.Items {
		it := &r.Items[i]
		if out[it.ID] >= 0 {
			found++
			continue
		}
		if it.Key || it.Required && !keyOnly {
			missing = append(missing, errs.Problem{Field: it.Name, Code: "missing", Text: errs.Tf("文件里没有信息项“%s”的列", "the file has no column for item %q", it.Name)})
		}
	}
	if len(missing) > 0 || found == 0 {
		e := errs.Newf(errs.Invalid, "文件的列与目录对不上：文件有 %[1]s；目录要 %[2]s", "the file's columns do not match the catalog: it has %[1]s; the catalog asks for %[2]s",
			list(columns), list(itemNames(r))).In("columns").By("FZM-12")
		return out, nil, e.With(missing...) // what was found helps whoever mends it
	}
	var ignored []string
	for i, c := range columns {
		if !used[i] && tabular.Normal(c) != tabular.Normal(quality.NumberColumn) && tabular.Normal(c) != tabular.Normal(quality.ReasonColumn) {
			ignored = append(ignored, c)
		}
	}
	return out, ignored, nil
}

func itemNames(r *catalog.Resource) []string {
	var out []string
	for i := range r.Items {
		out = append(out, r.Items[i].Name)
	}
	return out
}

// expected are the names by which a header row is known.
func expected(r *catalog.Resource) []string {
	out := itemNames(r)
	for i := range r.Items {
		if r.Items[i].Code != "" {
			out = append(out, r.Items[i].Code)
		}
	}
	return out
}

func list(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
