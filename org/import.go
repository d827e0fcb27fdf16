package org

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/tabular"
)

// ImportMax is how many people one import takes.
const ImportMax = 2000

// importColumn is one column of the import's table.
type importColumn struct {
	field   string
	zh      string
	also    []string
	need    bool
	example string
}

var importColumns = []importColumn{
	{"name", "姓名", []string{"name"}, true, "林晓"},
	{"login", "登录名", []string{"login", "账号", "用户名"}, true, "linxiao"},
	{"body", "单位", []string{"body", "所在单位", "单位名称", "统一社会信用代码", "uscc"}, true, "市民政局"},
	{"title", "职务", []string{"title"}, false, "信息科科长"},
	{"staff_no", "工号", []string{"staff_no", "staff no"}, false, "MZ0012"},
	{"phone", "联系电话", []string{"phone", "电话", "手机", "手机号"}, true, "0591-83212345"},
	{"email", "电子邮箱", []string{"email", "邮箱"}, false, "linxiao@example.cn"},
	{"posts", "岗位", []string{"posts", "post"}, false, "数据专管员"},
}

// ImportRow is one person of an import, with everything that is wrong about it.
type ImportRow struct {
	Row      int // as the spreadsheet shows it
	Person   NewPerson
	BodyText string // as written
	PostText string
	Problems []errs.Problem // Field is the cell: "C7"
}

// ImportPlan is an import as read and checked, before anything is done.
type ImportPlan struct {
	Columns []string // as found
	Rows    []ImportRow
	Faults  int // rows with problems
}

// OK reports whether the plan can be carried out.
func (p ImportPlan) OK() bool { return len(p.Rows) > 0 && p.Faults == 0 }

// ImportTemplate writes the empty table to be filled in, with one example row.
func ImportTemplate(w io.Writer, format tabular.Format) error {
	var columns []tabular.Column
	b := tabular.NewBlock()
	for _, c := range importColumns {
		columns = append(columns, tabular.Column{Name: c.zh, Type: 'C'})
		b.AddString(c.example)
	}
	b.EndRow(2)
	out, err := tabular.NewWriter(w, format, columns)
	if err != nil {
		return err
	}
	if err := out.Write(b); err != nil {
		return err
	}
	return out.Close()
}

// PlanImport reads people from a CSV or XLSX file and checks every row against
// the rules, the registered bodies, the logins taken and the other rows. Nothing
// is changed. errs.Invalid: no such columns, no rows, too many rows.
func (s *Service) PlanImport(ctx context.Context, actor identity.Actor, name string, content []byte) (ImportPlan, error) {
	if err := s.door.May(actor, "org.person.import", operation.Target{Kind: "people", District: actor.District}); err != nil {
		return ImportPlan{}, err
	}
	var plan ImportPlan
	var expect []string
	for _, c := range importColumns {
		expect = append(expect, c.zh)
	}
	file := tabular.Bytes(name, content)
	limits := tabular.Limits{Cell: 4 << 10, Row: 64 << 10, Columns: 200, Unpacked: 64 << 20, Strings: 16 << 20}
	preview, err := tabular.Inspect(ctx, file, limits, expect)
	if err != nil {
		return plan, err
	}
	plan.Columns = preview.Layout.Columns
	at, err := matchColumns(plan.Columns)
	if err != nil {
		return plan, err
	}
	preview.Layout.AllowShort = true
	reader, err := tabular.Open(file, preview.Layout, limits)
	if err != nil {
		return plan, err
	}
	defer reader.Close()
	block := tabular.NewBlock()
	for {
		err := reader.Read(block)
		if err == io.EOF {
			break
		}
		if err != nil {
			return plan, err
		}
		for r := range block.Len() {
			if row, blank := readPerson(block, r, at); !blank {
				plan.Rows = append(plan.Rows, row)
			}
		}
		if len(plan.Rows) > ImportMax {
			return plan, errs.Newf(errs.TooLarge, "一次至多导入 %d 人，请分批", "At most %d people in one import; split the file", ImportMax).In("file")
		}
	}
	if len(plan.Rows) == 0 {
		return plan, errs.New(errs.Invalid, errs.T("文件中没有人员", "There are no people in the file")).In("file")
	}
	if err := s.checkImport(ctx, actor, &plan, at); err != nil {
		return plan, err
	}
	return plan, nil
}

// matchColumns finds where each field stands; the result maps field to column.
func matchColumns(columns []string) (map[string]int, error) {
	at := map[string]int{}
	for i, c := range columns {
		c = strings.ToLower(strings.Trim(tidy(c), "*＊ "))
		for _, want := range importColumns {
			if c != want.zh && !slices.Contains(want.also, c) {
				continue
			}
			if _, twice := at[want.field]; twice {
				return nil, errs.Newf(errs.Invalid, "“%s”列出现了两次", "The column %q appears twice", want.zh).In("file")
			}
			at[want.field] = i
		}
	}
	var missing []string
	for _, want := range importColumns {
		if _, found := at[want.field]; want.need && !found {
			missing = append(missing, want.zh)
		}
	}
	if len(missing) > 0 {
		return nil, errs.Newf(errs.Invalid, "缺少必需的列：%s；请使用导入模板", "Required columns are missing: %s; use the template", strings.Join(missing, "、")).In("file")
	}
	return at, nil
}

func readPerson(b *tabular.Block, r int, at map[string]int) (row ImportRow, blank bool) {
	get := func(field string) string {
		c, ok := at[field]
		if !ok {
			return ""
		}
		return tidy(string(b.Cell(r, c)))
	}
	row.Row = int(b.Number(r))
	row.Person.Person = Person{Name: get("name"), Login: get("login"), Title: get("title"), StaffNo: get("staff_no"), Phone: get("phone"), Email: get("email")}
	row.BodyText, row.PostText = get("body"), get("posts")
	p := row.Person
	blank = p.Name+p.Login+p.Title+p.StaffNo+p.Phone+p.Email+row.BodyText+row.PostText == ""
	for _, flaw := range b.Flaws(r) {
		row.Problems = append(row.Problems, errs.Problem{Field: cell(0, row.Row), Text: flaw})
	}
	return row, blank
}

// cell names a cell as a spreadsheet does: column 2 (from 0) of row 7 is C7.
func cell(column, row int) string {
	name := ""
	for n := column; n >= 0; n = n/26 - 1 {
		name = string(rune('A'+n%26)) + name
	}
	return name + strconv.Itoa(row)
}

func (s *Service) checkImport(ctx context.Context, actor identity.Actor, plan *ImportPlan, at map[string]int) error {
	bodies, err := s.Bodies(ctx, BodyFilter{State: Active})
	if err != nil {
		return err
	}
	byText := map[string][]Body{}
	for _, b := range bodies {
		for _, key := range []string{b.Name, b.Short, b.USCC} {
			if key != "" && !slices.ContainsFunc(byText[key], func(o Body) bool { return o.ID == b.ID }) {
				byText[key] = append(byText[key], b)
			}
		}
	}
	byPost := map[string]identity.Post{}
	for _, p := range identity.AllPosts() {
		byPost[p.Text().ZH], byPost[p.Text().EN], byPost[string(p)] = p, p, p
	}
	logins := map[string]int{}
	for i := range plan.Rows {
		row := &plan.Rows[i]
		add := func(field, clause string, t errs.Text) {
			row.Problems = append(row.Problems, errs.Problem{Field: cell(at[field], row.Row), Text: t, Clause: clause})
		}
		found := byText[row.BodyText]
		if len(found) == 0 {
			found = byText[strings.ToUpper(row.BodyText)]
		}
		switch {
		case row.BodyText == "":
			add("body", "", errs.T("请填写单位", "Fill in the body"))
		case len(found) == 0:
			add("body", "", errs.Tf("没有名为“%s”的单位", "There is no body %q", row.BodyText))
		case len(found) > 1:
			add("body", "", errs.Tf("“%s”对应多个单位，请填写全称或统一社会信用代码", "Several bodies are called %q; give the full name or the code", row.BodyText))
		case !operation.Reaches(actor, found[0].District):
			add("body", "FS-40", errs.Tf("单位“%s”不在您的管辖范围", "The body %q is not within your reach", row.BodyText))
		default:
			row.Person.Body = found[0].ID
		}
		login, err := s.identity.CheckLogin(row.Person.Login)
		if e, bad := errs.As(err); bad {
			add("login", "", e.Text)
		} else {
			row.Person.Login = login
			if first, twice := logins[login]; twice {
				add("login", "", errs.Tf("登录名与第 %d 行重复", "The login name is that of row %d too", first))
			} else if _, err := s.identity.AccountByLogin(ctx, login); err == nil {
				add("login", "", errs.Tf("登录名 %s 已被使用", "The login name %s is taken", login))
			} else if !errs.Is(err, errs.NotFound) {
				return err
			}
			if _, twice := logins[login]; !twice {
				logins[login] = row.Row
			}
		}
		if e, bad := errs.As(checkPerson(&row.Person.Person)); bad {
			for _, p := range e.Problems {
				if p.Field != "body" {
					add(p.Field, p.Clause, p.Text)
				}
			}
		}
		for _, word := range strings.FieldsFunc(row.PostText, func(r rune) bool { return strings.ContainsRune("、,，;；/", r) }) {
			post, known := byPost[strings.TrimSpace(word)]
			if !known {
				add("posts", "", errs.Tf("没有“%s”这个岗位", "There is no post %q", strings.TrimSpace(word)))
				continue
			}
			if e, bad := errs.As(CheckSeparation(row.Person.Posts, post)); bad {
				add("posts", "FS-40", e.Text)
				continue
			}
			if len(found) == 1 {
				if e, bad := errs.As(checkPostAt(found[0], post)); bad {
					add("posts", strings.Join(e.Clauses, " "), e.Text)
					continue
				}
			}
			if slices.Contains(row.Person.Posts, post) {
				add("posts", "", errs.T("岗位重复", "The post is named twice"))
				continue
			}
			row.Person.Posts = append(row.Person.Posts, post)
		}
		if len(row.Problems) > 0 {
			plan.Faults++
		}
	}
	return nil
}

// Import carries out a plan whole or not at all: people, accounts, and posts
// proposed for confirmation (FS-40). The file is read and checked again, so that
// what was previewed is what happens. The result holds the one-time secrets, for
// the only time.
func (s *Service) Import(ctx context.Context, actor identity.Actor, name string, content []byte) ([]CreatedPerson, error) {
	plan, err := s.PlanImport(ctx, actor, name, content)
	if err != nil {
		return nil, err
	}
	if !plan.OK() {
		var problems []errs.Problem
		for _, row := range plan.Rows {
			problems = append(problems, row.Problems...)
		}
		return nil, errs.Newf(errs.Invalid, "%d 行有误，未导入任何人员", "%d rows are faulty; nobody was imported", plan.Faults).In("file").With(problems...)
	}
	var out []CreatedPerson
	target := operation.Target{Kind: "people", Name: name, Body: actor.Body, District: actor.District}
	err = s.door.Do(ctx, actor, "org.person.import", target, func(ctx context.Context, tx *db.Tx) error {
		bodies := map[string]Body{}
		for _, row := range plan.Rows {
			b, known := bodies[row.Person.Body]
			if !known {
				if b, err = bodyBy(ctx, tx, "id", row.Person.Body); err != nil {
					return err
				}
				bodies[b.ID] = b
			}
			p, err := s.createPersonTx(ctx, tx, actor, b, row.Person)
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		operation.Note(ctx, "rows", len(out))
		operation.Note(ctx, "bytes", len(content))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PlanText is a plan as CSV, which the confirming form carries back: what is
// confirmed is what was shown, on whatever node.
func PlanText(plan ImportPlan) (string, error) {
	var columns []tabular.Column
	for _, c := range importColumns {
		columns = append(columns, tabular.Column{Name: c.zh, Type: 'C'})
	}
	var buf bytes.Buffer
	w, err := tabular.NewWriter(&buf, tabular.CSV, columns)
	if err != nil {
		return "", err
	}
	b := tabular.NewBlock()
	for i, row := range plan.Rows {
		p := row.Person
		for _, v := range []string{p.Name, p.Login, row.BodyText, p.Title, p.StaffNo, p.Phone, p.Email, row.PostText} {
			b.AddString(v)
		}
		b.EndRow(int64(i + 2))
	}
	if err := w.Write(b); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return buf.String(), nil
}
