package org

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/privacy"
	"gongshu/profile"
)

// Rules of bodies, people and posts.

// postRoles says at bodies of which role a post can be held: reviewing belongs
// to the authority (FZM-6), running the platform to the operator (LY-5, QZ-3.2).
// The administrators sit at either; FS-40 separates the people, not the houses.
var postRoles = map[identity.Post][]Role{
	identity.Steward:           {Department, Authority, Operator},
	identity.Leader:            {Department, Authority, Operator},
	identity.SecrecyReviewer:   {Department, Authority, Operator},
	identity.AuthorityReviewer: {Authority},
	identity.Operator:          {Operator, Authority},
	identity.SystemAdmin:       {Authority, Operator},
	identity.SecurityAdmin:     {Authority, Operator},
	identity.Auditor:           {Authority, Operator},
	identity.Enterprise:        {Applicant},
}

// PostsAt returns the posts that a body of the role can have, in the order of lists.
func PostsAt(role Role) []identity.Post {
	var out []identity.Post
	for _, p := range identity.AllPosts() {
		if slices.Contains(postRoles[p], role) {
			out = append(out, p)
		}
	}
	return out
}

// CheckSeparation refuses a post that one person may not hold beside those held:
// each of the three administrators is that and nothing else (FS-40: separate
// people for security administration, data operation and audit).
func CheckSeparation(held []identity.Post, wanted identity.Post) error {
	for _, have := range held {
		if have == wanted || !have.Admin() && !wanted.Admin() {
			continue
		}
		h, w := have.Text(), wanted.Text()
		return errs.Newf(errs.Forbidden,
			"同一人员不得兼任“%[1]s”与“%[3]s”：系统管理、安全管理、审计与业务岗位须由不同人员担任",
			"One person may not be both %[2]s and %[4]s: administration, security, audit and data work are done by different people",
			h.ZH, h.EN, w.ZH, w.EN).In("post").By("FS-40")
	}
	return nil
}

func checkPostAt(b Body, post identity.Post) error {
	if b.State != Active {
		return errs.New(errs.Conflict, errs.T("单位已撤销，不能任职", "The body has been closed; nobody can hold a post there")).In("body")
	}
	if !slices.Contains(postRoles[post], b.Role) {
		p, r := post.Text(), b.Role.Text()
		e := errs.Newf(errs.Invalid, "“%[1]s”不能设在%[3]s“%[5]s”", "The post of %[2]s cannot stand at the %[4]s %[5]s", p.ZH, p.EN, r.ZH, r.EN, b.Name).In("post")
		switch post {
		case identity.AuthorityReviewer:
			e.By("FZM-6")
		case identity.Operator:
			e.By("LY-5")
		}
		return e
	}
	return nil
}

var divisionCode = regexp.MustCompile(`^[1-9]\d{5}$`)

// checkBody applies the rules to a body and names every one it breaks. spaces are
// the districts that have a space on the platform.
func checkBody(p *profile.Profile, b *Body, parent *Body, spaces []string) error {
	b.Name, b.Short, b.USCC, b.Phone = tidy(b.Name), tidy(b.Short), strings.ToUpper(tidy(b.USCC)), tidy(b.Phone)
	var problems []errs.Problem
	add := func(field, clause, zh, en string, args ...any) {
		problems = append(problems, errs.Problem{Field: field, Text: errs.Tf(zh, en, args...), Clause: clause})
	}
	if n := utf8.RuneCountInString(b.Name); n < 2 || n > 60 {
		add("name", "", "单位名称为 2 至 60 个字", "A body's name has 2 to 60 characters")
	}
	if utf8.RuneCountInString(b.Short) > 20 {
		add("short", "", "简称至多 20 个字", "A short name has at most 20 characters")
	}
	if b.USCC != "" {
		// FS-22: organisations are coded by USCC, validated.
		if v := privacy.USCC(b.USCC); !v.OK() {
			add("uscc", "FS-22", "统一社会信用代码%[1]s", "The unified social credit code %[2]s", v.Flaw.ZH(), v.Flaw.EN())
		}
	} else if b.Role == Applicant {
		add("uscc", "FS-22", "社会主体须填写统一社会信用代码", "An applicant needs its unified social credit code")
	}
	if _, known := kindTexts[b.Kind]; !known {
		add("kind", "FZM-3", "请选择单位类别", "Choose the kind of body")
	}
	if _, known := roleTexts[string(b.Role)]; !known {
		add("role", "", "请选择单位在平台上的角色", "Choose the body's part on the platform")
	}
	if (b.Role == Applicant) != slices.Contains([]string{"enterprise", "university", "institute"}, b.Kind) {
		add("kind", "FZM-22", "社会主体限企业、高校、科研院所，政务部门不得登记为社会主体", "Applicants are enterprises, universities and institutes, and only they")
	}
	levels := profile.Levels.Of(p).V
	if !slices.Contains(levels, b.Level) {
		add("level", "FS-4", "本平台的层级为：%[1]s", "The levels of this platform are: %[2]s", levelList(levels, "zh"), levelList(levels, "en"))
	}
	city := profile.Division.Of(p).V
	switch {
	case !divisionCode.MatchString(b.District):
		add("district", "", "行政区划代码为 6 位数字", "A division code has six digits")
	case b.District[:4] != city[:4]:
		add("district", "", "区划 %[1]s 不属于本市（%[2]s）", "The division %[1]s is not part of this city (%[2]s)", b.District, city)
	case b.Level == City && b.District != city:
		add("district", "", "市级单位的区划代码为 %[1]s", "A city-level body has the division %[1]s", city)
	case b.Level != City && b.District == city:
		add("district", "FZM-11", "区县级单位须填写所在区县的区划代码", "A district or county body has its county's division code")
	case b.Level != City && !slices.Contains(spaces, b.District):
		// FZM-11, LY-7: counties work in spaces of the one platform.
		add("district", "FZM-11", "区县 %[1]s 尚未在本平台开设空间，请先由市主管部门开设", "The county %[1]s has no space on this platform yet; the city's authority opens one first", b.District)
	}
	if b.Phone != "" && !phoneOK(b.Phone) {
		add("phone", "", "联系电话格式不正确", "That is not a telephone number")
	}
	if parent != nil {
		if parent.ID == b.ID {
			add("parent", "", "上级单位不能是本单位", "A body is not above itself")
		} else if parent.State != Active {
			add("parent", "", "上级单位已撤销", "The body above has been closed")
		}
	}
	return sum(problems)
}

func levelList(levels []string, lang string) string {
	var out []string
	for _, l := range levels {
		out = append(out, LevelText(l).In(lang))
	}
	return strings.Join(out, "、")
}

func phoneOK(s string) bool { return privacy.Phone(s).OK() || privacy.Landline(s).OK() }

// checkPerson applies the rules to a person and names every one it breaks.
func checkPerson(p *Person) error {
	p.Name, p.Title, p.StaffNo, p.Phone, p.Email = tidy(p.Name), tidy(p.Title), tidy(p.StaffNo), tidy(p.Phone), tidy(p.Email)
	var problems []errs.Problem
	add := func(field, zh, en string) {
		problems = append(problems, errs.Problem{Field: field, Text: errs.T(zh, en)})
	}
	if n := utf8.RuneCountInString(p.Name); n < 2 || n > 30 || strings.IndexFunc(p.Name, unicode.IsDigit) >= 0 {
		add("name", "姓名为 2 至 30 个字，不含数字", "A name has 2 to 30 characters and no digits")
	}
	if p.Body == "" {
		add("body", "请选择所在单位", "Choose the body")
	}
	if utf8.RuneCountInString(p.Title) > 40 {
		add("title", "职务至多 40 个字", "A title has at most 40 characters")
	}
	if utf8.RuneCountInString(p.StaffNo) > 32 {
		add("staff_no", "工号至多 32 个字符", "A staff number has at most 32 characters")
	}
	if p.Phone == "" {
		add("phone", "请填写联系电话", "A telephone number is needed")
	} else if !phoneOK(p.Phone) {
		add("phone", "联系电话格式不正确", "That is not a telephone number")
	}
	if p.Email != "" {
		if a, err := mail.ParseAddress(p.Email); err != nil || a.Address != p.Email {
			add("email", "电子邮箱格式不正确", "That is not an e-mail address")
		}
	}
	return sum(problems)
}

// checkFiling: FZM-34 asks for the leader in charge, the daily contact with how
// to reach them, and the three documents; LY-5 for the data office.
func checkFiling(f *Filing) error {
	for _, s := range []*string{&f.Office, &f.Leader.Name, &f.Leader.Title, &f.Leader.Phone, &f.Daily.Name, &f.Daily.Title, &f.Daily.Phone, &f.Procedures, &f.Rules, &f.Accountability} {
		*s = tidy(*s)
	}
	var problems []errs.Problem
	need := func(field, clause, value, zh, en string) bool {
		switch {
		case value == "":
			problems = append(problems, errs.Problem{Field: field, Code: "required", Clause: clause, Text: errs.Tf("请填写%[1]s", "Fill in %[2]s", zh, en)})
			return false
		case utf8.RuneCountInString(value) > 200:
			problems = append(problems, errs.Problem{Field: field, Code: "long", Text: errs.Tf("%[1]s至多 200 个字", "At most 200 characters for %[2]s", zh, en)})
			return false
		}
		return true
	}
	need("office", "LY-5", f.Office, "数据管理科室", "the data office")
	need("leader_name", "FZM-34", f.Leader.Name, "分管领导姓名", "the name of the leader in charge")
	need("leader_title", "FZM-34", f.Leader.Title, "分管领导职务", "the title of the leader in charge")
	phones := func(field, value string) {
		if need(field, "FZM-34", value, "联系电话", "the telephone number") && !phoneOK(value) {
			problems = append(problems, errs.Problem{Field: field, Clause: "FZM-34", Text: errs.T("联系电话格式不正确", "That is not a telephone number")})
		}
	}
	phones("leader_phone", f.Leader.Phone)
	need("daily_name", "FZM-34", f.Daily.Name, "日常管理人员姓名", "the name of the daily contact")
	need("daily_title", "FZM-34", f.Daily.Title, "日常管理人员职务", "the title of the daily contact")
	phones("daily_phone", f.Daily.Phone)
	need("procedures", "FZM-34", f.Procedures, "工作程序文件", "the work procedures")
	need("rules", "FZM-34", f.Rules, "管理制度文件", "the management rules")
	need("accountability", "FZM-34", f.Accountability, "责任追究制度文件", "the accountability rules")
	return sum(problems)
}

// StaleReasons tells why a filing no longer matches the posts: changes of people
// are to be reported in time (FZM-34). The result is empty when it matches.
func StaleReasons(f Filing, leaders, stewards []Holding) []errs.Text {
	var out []errs.Text
	names := func(hs []Holding) []string {
		var n []string
		for _, h := range hs {
			n = append(n, h.PersonName)
		}
		return n
	}
	if n := names(leaders); len(n) > 0 && !slices.Contains(n, f.Leader.Name) {
		out = append(out, errs.Tf("备案的分管领导为“%[1]s”，现任为“%[2]s”", "The leader on file is %[1]s, the present one is %[2]s", f.Leader.Name, strings.Join(n, "、")))
	}
	if n := names(stewards); len(n) > 0 && !slices.Contains(n, f.Daily.Name) {
		out = append(out, errs.Tf("备案的日常管理人员为“%[1]s”，现任数据专管员为“%[2]s”", "The contact on file is %[1]s, the present steward is %[2]s", f.Daily.Name, strings.Join(n, "、")))
	}
	return out
}

// tidy drops surrounding and doubled white space and characters that cannot be seen.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

func sum(problems []errs.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	e := errs.New(errs.Invalid, problems[0].Text).In(problems[0].Field).With(problems...)
	if len(problems) > 1 {
		e.Text = errs.Tf("有 %d 处需要更正", "%d things need mending", len(problems))
	}
	for _, p := range problems {
		if p.Clause != "" && !slices.Contains(e.Clauses, p.Clause) {
			e.By(p.Clause)
		}
	}
	return e
}

// checkSpace: a space is a county's of this city, and the profile knows such a level.
func checkSpace(p *profile.Profile, s Space) error {
	city := profile.Division.Of(p).V
	switch {
	case len(profile.Levels.Of(p).V) < 2:
		return errs.New(errs.Invalid, errs.T("本市规则未设区县层级", "This city's rules know no level below the city")).In("district").By("FS-4")
	case !divisionCode.MatchString(s.District) || s.District[:4] != city[:4] || s.District == city:
		return errs.Newf(errs.Invalid, "请填写本市所辖区县的 6 位区划代码（以 %s 开头）", "Give the six-digit division code of a county of this city (it begins with %s)", city[:4]).In("district").By("FZM-11")
	case utf8.RuneCountInString(s.Name) < 2 || utf8.RuneCountInString(s.Name) > 30:
		return errs.New(errs.Invalid, errs.T("空间名称为 2 至 30 个字", "A space's name has 2 to 30 characters")).In("name")
	}
	return nil
}
