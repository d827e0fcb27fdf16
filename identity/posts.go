package identity

import "gongshu/internal/errs"

var postTexts = map[Post]errs.Text{
	Steward:           errs.T("数据专管员", "data steward"),
	Leader:            errs.T("分管领导", "leader in charge"),
	SecrecyReviewer:   errs.T("保密审查员", "secrecy reviewer"),
	AuthorityReviewer: errs.T("主管部门审核员", "authority reviewer"),
	Operator:          errs.T("平台运营人员", "operator"),
	SystemAdmin:       errs.T("系统管理员", "system administrator"),
	SecurityAdmin:     errs.T("安全管理员", "security administrator"),
	Auditor:           errs.T("审计管理员", "auditor"),
	Member:            errs.T("社会公众", "member of the public"),
	Enterprise:        errs.T("已核验企业", "verified enterprise"),
}

// Text names the post in both languages; an unknown post names itself.
func (p Post) Text() errs.Text {
	if t, ok := postTexts[p]; ok {
		return t
	}
	return errs.T(string(p), string(p))
}
