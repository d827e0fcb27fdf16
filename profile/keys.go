package profile

import "regexp"

// Words for the values that lists and choices may take. The values are the
// program's vocabulary; pages show the words.
var (
	levelWords = choices{
		{"city", Words{"市级", "city"}}, {"district", Words{"区级", "district"}}, {"county", Words{"县（市、区）级", "county"}},
	}
	bodyKinds = choices{
		{"organ", Words{"行政机关", "administrative organ"}}, {"institution", Words{"事业单位", "public institution"}},
		{"social", Words{"社会团体", "social organisation"}}, {"entrusted", Words{"依法授权或受委托的组织", "entrusted organisation"}},
		{"utility", Words{"公共服务企业", "public-service enterprise"}}, {"court", Words{"人民法院", "court"}},
		{"procuratorate", Words{"人民检察院", "procuratorate"}}, {"funded", Words{"使用财政资金建设系统的其他部门", "other bodies with publicly funded systems"}},
	}
	resourceKinds = choices{
		{"table", Words{"库表", "table"}}, {"files", Words{"文件", "files"}}, {"interface", Words{"接口", "interface"}},
	}
	sharingTypes = choices{
		{"unconditional", Words{"无条件共享", "unconditional"}}, {"conditional", Words{"有条件共享", "conditional"}}, {"withheld", Words{"暂不（不予）共享", "withheld"}},
	}
	openingTypes = choices{
		{"general", Words{"普遍（无条件）开放", "general"}}, {"authorised", Words{"授权（依申请）开放", "authorised"}}, {"closed", Words{"不开放", "closed"}},
	}
	basisKinds = choices{
		{"law", Words{"法律", "law"}}, {"regulation", Words{"法规", "regulation"}}, {"rule", Words{"规章", "rule"}}, {"policy", Words{"国家有关政策", "national policy"}},
	}
	modeWords = choices{
		{"query", Words{"查询（查阅）", "query"}}, {"verify", Words{"核验（比对）", "verify"}}, {"obtain", Words{"获取（批量）", "obtain"}}, {"statistics", Words{"统计", "statistics"}},
	}
	conditionKinds = choices{
		{"departments", Words{"限定部门与用途", "named departments and purposes"}}, {"query_only", Words{"仅供查阅", "query only"}},
		{"verify_only", Words{"仅供比对", "verify only"}}, {"statistics_only", Words{"仅供统计结果", "statistics only"}},
	}
	applicantKinds = choices{
		{"natural_person", Words{"自然人", "natural person"}}, {"domestic_enterprise", Words{"内资控股法人企业", "domestically controlled enterprise"}},
		{"university", Words{"高校", "university"}}, {"institute", Words{"科研院所", "research institute"}}, {"any_party", Words{"行政相对人", "any party to administration"}},
	}
	logOperations = choices{
		{"aggregate", Words{"汇聚", "aggregation"}}, {"share", Words{"共享", "sharing"}}, {"query", Words{"查询", "query"}}, {"compare", Words{"比对", "comparison"}},
		{"download", Words{"下载", "download"}}, {"analyse", Words{"分析研判", "analysis"}}, {"access", Words{"访问", "access"}}, {"update", Words{"更新维护", "update"}},
		{"open", Words{"开放", "opening"}},
	}
	usageFacts = choices{
		{"purpose", Words{"具体用途", "purpose"}}, {"user", Words{"使用人员", "user"}}, {"approver", Words{"批准人员", "approver"}}, {"content", Words{"数据内容", "content"}},
		{"time", Words{"获取时间", "time"}}, {"method", Words{"获取方式", "method"}}, {"medium", Words{"介质类型", "medium"}},
	}
	requestFields = choices{
		{"purpose", Words{"使用用途", "purpose"}}, {"business", Words{"应用业务", "business"}}, {"users", Words{"使用对象", "users"}},
		{"items", Words{"所需数据", "items"}}, {"mode", Words{"共享模式", "mode"}}, {"end_date", Words{"截止时间", "end date"}},
	}
	partyWords = choices{
		{RelAuthority, Words{"主管部门", "authority"}}, {RelProvider, Words{"数据提供部门", "provider"}},
		{RelConsumer, Words{"数据使用部门", "consumer"}}, {RelOperator, Words{"大数据中心（技术服务单位）", "operator"}},
		{"platform", Words{"平台分发至提供部门", "the platform, passed on to the provider"}},
	}
	escalationSteps = choices{
		{"negotiation", Words{"双方协商", "negotiation"}}, {"authority", Words{"主管部门协调", "authority"}}, {"committee", Words{"大数据决策委员会协调", "big-data decision committee"}},
	}
	paths = choices{
		{"immediate", Words{"直接获取", "obtained directly"}}, {"application_to_authority", Words{"向主管部门申请，无需提供部门授权", "application to the authority, without the provider"}},
	}
	clockStarts = choices{
		{"receipt", Words{"收到申请之日", "day of receipt"}}, {"acceptance", Words{"受理之日", "day of acceptance"}},
	}
	exports = choices{
		{"allowed", Words{"按授权提供", "as granted"}}, {"by_exception", Words{"原则上不提供，经批准的例外除外", "in principle not, but for an approved exception"}},
	}
	visibility = choices{
		{"existence", Words{"仅显示资源存在", "shown as existing only"}}, {"metadata", Words{"显示目录信息，不可申请", "metadata shown, not to be applied for"}}, {"hidden", Words{"不显示", "not shown"}},
	}
	filings = choices{
		{"filed", Words{"报主管部门备案", "filed with the authority"}}, {"supplied", Words{"向同级主管部门提供依据", "supplied to the authority of the same level"}}, {"kept", Words{"登记在目录中", "kept in the catalog"}},
	}
	timeliness = choices{
		{"realtime", Words{"生成即实时汇聚", "in real time as it is produced"}}, {"as_declared", Words{"按目录登记的周期汇聚", "by the declared cycle"}},
	}
	sideChannels = choices{
		{"by_approval", Words{"经批准并留痕的例外除外，一律通过平台", "only through the platform, but for an approval on record"}}, {"allowed", Words{"允许", "allowed"}},
	}
	commercial = choices{
		{"competitive_award", Words{"公开招标等竞争性方式", "competitive award"}}, {"licence_agreement", Words{"双重授权并签订经营许可协议", "double authorisation and a licence agreement"}},
	}
	divisionCode = regexp.MustCompile(`^[1-9]\d{5}$`)
)

// The keys. Names of days mean working days unless they say otherwise.
var (
	CityName      = wordsKey("city.name", "城市", "City")
	Division      = textKey("city.division", "行政区划代码", "Division code (GB/T 2260)", divisionCode)
	Levels        = listKey("city.levels", "平台层级", "Levels on one platform", levelWords)
	StricterWins  = boolKey("city.stricter_wins", "国家规定更严时从其规定", "The nation's stricter rule takes precedence", nil)
	Authority     = wordsKey("authority.name", "主管部门", "Authority")
	AuthorityFull = wordsKey("authority.full_name", "主管部门全称", "Authority in full")
	Operator      = wordsKey("operator.name", "运行单位", "Operator")
	PlatformName  = wordsKey("platform.name", "平台名称", "Platform")
	OpenPlatform  = wordsKey("platform.open_name", "开放平台名称", "Open platform")
	Domestic      = boolKey("platform.domestic", "信创要求", "Runs on domestic technology", nil)
	BodyKinds     = listKey("bodies.bound", "适用单位", "Bodies bound by the rules", bodyKinds)
	BodyGuests    = listKey("bodies.guests", "参照执行的单位", "Bodies that may take part", bodyKinds)
	ResourceKinds = listKey("resources.kinds", "资源形态", "Kinds of resource", resourceKinds)

	TermDepartment    = wordsKey("terms.department", "单位的称谓", "Word for a department")
	TermProvider      = wordsKey("terms.provider", "提供方的称谓", "Word for the provider")
	TermConsumer      = wordsKey("terms.consumer", "使用方的称谓", "Word for the consumer")
	TermUnconditional = wordsKey("terms.sharing.unconditional", "无条件共享的称谓", "Word for unconditional sharing")
	TermConditional   = wordsKey("terms.sharing.conditional", "有条件共享的称谓", "Word for conditional sharing")
	TermWithheld      = wordsKey("terms.sharing.withheld", "不共享的称谓", "Word for withheld")
	TermGeneral       = wordsKey("terms.opening.general", "普遍开放的称谓", "Word for general opening")
	TermAuthorised    = wordsKey("terms.opening.authorised", "授权开放的称谓", "Word for authorised opening")
	TermClosed        = wordsKey("terms.opening.closed", "不开放的称谓", "Word for closed")

	SharingTypes      = listKey("catalog.sharing.types", "共享类型", "Sharing types", sharingTypes)
	SharingDefault    = choiceKey("catalog.sharing.default", "默认共享类型", "Default sharing type", sharingTypes)
	BasisRequiredFor  = listKey("catalog.basis.required_for", "须有依据的共享类型", "Sharing types that need a legal basis", sharingTypes)
	BasisKinds        = listKey("catalog.basis.kinds", "认可的依据种类", "Kinds of legal basis allowed", basisKinds)
	BasisFiling       = choiceKey("catalog.basis.filing", "依据的报送", "What happens with the basis", filings)
	OpeningTypes      = listKey("catalog.opening.types", "开放类型", "Opening types", openingTypes)
	WithheldShown     = choiceKey("catalog.withheld.shown", "不共享资源在目录中的显示", "How the share catalog shows a withheld resource", visibility)
	ClosedShown       = choiceKey("catalog.closed.shown", "不开放资源在开放目录中的显示", "How the open catalog shows a closed resource", visibility)
	ClosedGrounds     = boolKey("catalog.closed.grounds_required", "不开放须列明情形", "Closed data states one of the grounds", demands)
	GradeGeneralMax   = intKey("catalog.grade.general_max", "可普遍开放的最高级别", "Highest grade that may open to anyone", grades, 1, 4, lower)
	GradeOpeningMax   = intKey("catalog.grade.opening_max", "可授权开放的最高级别", "Highest grade that may open on application", grades, 1, 4, lower)
	SideChannels      = choiceKey("catalog.side_channels", "平台之外的共享途径", "Sharing by other channels", sideChannels)
	CatalogSteps      = stepsKey("catalog.review.steps", "目录审核环节", "Steps of catalog review")
	CatalogUpdateDays = optional(intKey("catalog.update_days", "目录更新期限", "Catalog updated within", workingDays, 1, 250, lower))
	CatalogReviewDays = optional(intKey("catalog.review_days", "目录审核期限", "Catalog entries are reviewed within", workingDays, 1, 250, lower))
	SecrecyReview     = boolKey("catalog.secrecy_review", "发布交换前须保密审查", "Secrecy review before publication or exchange", demands)
	OneSource         = boolKey("catalog.one_source", "一数一源，不重复采集", "One source per datum, no second collection", demands)

	SharingModes       = listKey("sharing.modes", "可用的共享模式", "Modes of use", modeWords)
	ConditionKinds     = listKey("sharing.conditions", "可执行的共享条件", "Executable sharing conditions", conditionKinds)
	UnconditionalPath  = choiceKey("sharing.unconditional.path", "无条件共享的取得", "How unconditional data is obtained", paths)
	UnconditionalDays  = intKey("sharing.unconditional.answer_days", "无条件共享申请的答复期限", "Unconditional: answer within", workingDays, 1, 250, lower)
	UnconditionalSteps = stepsKey("sharing.unconditional.steps", "无条件共享的办理环节", "Unconditional: steps")
	ConditionalDays    = intKey("sharing.conditional.answer_days", "有条件共享申请的答复期限", "Conditional: answer within", workingDays, 1, 250, lower)
	ConditionalStart   = choiceKey("sharing.conditional.clock_start", "期限起算", "Conditional: the clock starts on", clockStarts)
	ConditionalSteps   = stepsKey("sharing.conditional.steps", "有条件共享的办理环节", "Conditional: steps")
	ShareDays          = intKey("sharing.conditional.share_days", "同意后的共享期限", "Conditional: shared within, after approval", workingDays, 1, 250, lower)
	AgreementRequired  = boolKey("sharing.agreement.required", "须签署使用协议", "A use agreement is signed", demands)
	GrantBy            = choiceKey("sharing.grant.by", "授权开通者", "Who opens the grant", partyWords)
	GrantMaxDays       = intKey("sharing.grant.max_days", "授权最长期限", "Longest grant", days, 1, 3660, nil)
	RefusalReasons     = boolKey("sharing.refusal.reasons", "不同意须书面说明理由", "Refusal states reasons in writing", demands)
	RequestFields      = listKey("sharing.request.fields", "申请须写明的要素", "What a request states", requestFields)
	WithheldEscalation = listKey("sharing.withheld.escalation", "不共享或条件不满足时的处理", "Where sharing is withheld or refused", escalationSteps)
	BulkExport         = choiceKey("sharing.bulk_export", "批量导出", "Bulk export", exports)
	FreeQuery          = choiceKey("sharing.free_query", "自由查询", "Free query", exports)
	OnwardForbidden    = boolKey("sharing.onward_forbidden", "不得提供给第三方", "No passing on to third parties", demands)
	ScenarioGrants     = boolKey("sharing.scenarios", "应用场景授权", "Scenario-based authorisation", nil)
	CountyApproval     = boolKey("sharing.county_approval", "县级数据由本级主管部门审批", "County data is approved by the county's own authority", nil)
	ClockPause         = boolKey("sharing.clock.pause", "期限可中止", "The clock may be paused", nil)
	ClockSupplement    = boolKey("sharing.clock.supplement_once", "申请材料一次性告知补正", "An incomplete request is told once what to supply", demands)
	ClockExtension     = intKey("sharing.clock.extension_days", "可延长一次，最长", "May be extended once by", workingDays, 1, 250, nil)
	DueSoonDays        = intKey("sharing.clock.due_soon_days", "到期前提醒", "Reminder before the due day", workingDays, 1, 20, nil)
	EscalateAfter      = intKey("sharing.clock.escalate_days", "逾期后上报", "Escalation after the due day", workingDays, 1, 60, nil)

	FeedbackTo     = choiceKey("quality.feedback.to", "数据问题反馈对象", "Errors are reported to", partyWords)
	FeedbackDays   = intKey("quality.feedback.answer_days", "数据问题核查期限", "Errors are checked within", workingDays, 1, 250, lower)
	FeedbackNotice = boolKey("quality.feedback.business_goes_on", "复核期间不影响办事", "Citizens' business goes on meanwhile", demands)

	Timeliness       = choiceKey("intake.timeliness", "汇聚时效", "Aggregation", timeliness)
	TimelinessFiling = boolKey("intake.exception_filing", "不能实时汇聚须备案", "Exceptions from real time are filed", nil)
	ChangeUnapproved = boolKey("intake.change_without_approval", "未经批准可更改或删除数据", "Data may be changed or deleted without approval",
		func(nation, city any) bool { return !nation.(bool) && city.(bool) })

	OpenRequestDays      = intKey("opening.request.answer_days", "开放需求的答复期限", "Open-data requests are answered within", workingDays, 1, 250, lower)
	OpenReviewDays       = intKey("opening.review.answer_days", "复核的答复期限", "A review is answered within", workingDays, 1, 250, lower)
	OpenReviewTo         = choiceKey("opening.review.by", "复核机关", "A review is made by", partyWords)
	AuthorisedApplicants = listKey("opening.authorised.applicants", "授权开放的申请主体", "Who may apply for authorised data", applicantKinds)
	AuthorisedBy         = choiceKey("opening.authorised.decided_by", "授权开放的决定者", "Applications for authorised data are decided by", partyWords)
	PublicInterestOnly   = boolKey("opening.public_interest_only", "高校科研院所限公益用途", "Universities and institutes: public interest only", nil)
	CommercialUse        = choiceKey("opening.commercial", "商业开发", "Commercial use", commercial)
	DesensitiseFirst     = boolKey("opening.desensitise", "开放前脱敏脱密", "Desensitised before opening", demands)

	LogMonths     = intKey("log.retention_months", "日志保留", "Logs are kept at least", months, 6, 1200, higher)
	LogOperations = listKey("log.operations", "可追溯的操作", "Operations that are traceable", logOperations)
	UsageFacts    = listKey("log.usage_facts", "共享使用记录要素", "Facts recorded of each use", usageFacts)
	LogPushTo     = listKey("log.push_to", "使用日志推送对象", "Usage logs are pushed to", partyWords)
	SeparateDuty  = boolKey("log.separate_duties", "安全管理、数据操作、审计核查分离", "Security administration, operation and audit are separate", demands)

	KThreshold = intKey("privacy.k", "匿名阈值 k", "Persons a group must have (k)", persons, 2, 1000, higher)
	SmallCell  = intKey("privacy.small_cell", "统计小单元阈值", "Cells below this are suppressed", persons, 2, 1000, higher)
)

func optional[T any](k Key[T]) Key[T] {
	k.entry.optional = true
	return k
}
