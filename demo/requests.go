package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"gongshu/casework"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/org"
	"gongshu/profile"
	"gongshu/sharing"
)

// wish is one request of a department for another's data, and how far it gets.
type wish struct {
	day      int
	consumer string // key of bodies.yaml
	resource string // English name
	mode     string
	purpose  string // key of the catalog's purposes
	business string
	items    []string // Chinese names; none asks for all that are shared
	ends     string   // "granted", "refused", "returned", "revoked", "pending", "opinion", "withheld", "cut"
	reason   string
	perDay   int // uses a working day once granted, for the months of usage
}

// wishes are the requests of the story. The first grants of each mode feed the
// examples of demo.json; those of statistics are not used before, so that what they
// answer is of today and adds up.
var wishes = []wish{
	{day: 12, consumer: "fund", resource: "marriages", mode: "query", purpose: "check", business: "住房公积金提取审核", items: []string{"登记证号", "婚姻状况", "登记日期"}, ends: "granted", perDay: 9},
	{day: 13, consumer: "resources", resource: "population", mode: "verify", purpose: "check", business: "不动产登记申请人身份核验", items: []string{"公民身份号码", "姓名", "出生日期"}, ends: "granted", perDay: 14},
	{day: 14, consumer: "labour", resource: "enterprises", mode: "obtain", purpose: "collaboration", business: "企业社会保险登记联办", ends: "granted", perDay: 1},
	{day: 14, consumer: "health", resource: "population", mode: "statistics", purpose: "basis", business: "公共卫生服务规划", items: []string{"性别", "民族", "户籍地区划"}, ends: "granted"},
	{day: 15, consumer: "health", resource: "hotline_tickets", mode: "statistics", purpose: "research", business: "公共卫生诉求分析", items: []string{"诉求类别", "所在区划", "办理结果"}, ends: "granted"},
	{day: 16, consumer: "tax", resource: "enterprises", mode: "query", purpose: "collaboration", business: "新办纳税人信息确认", ends: "granted", perDay: 7},
	{day: 18, consumer: "education", resource: "population", mode: "query", purpose: "check", business: "义务教育入学户籍核验", items: []string{"公民身份号码", "姓名", "户籍地区划"}, ends: "granted", perDay: 11},
	{day: 20, consumer: "housing", resource: "real_estate", mode: "query", purpose: "check", business: "保障性住房申请核验", items: []string{"不动产单元号", "坐落", "建筑面积"}, ends: "cut", reason: "按最少够用原则，坐落与本业务无关，不予提供", perDay: 6},
	{day: 24, consumer: "service", resource: "skill_certificates", mode: "query", purpose: "collaboration", business: "人才服务窗口联办", ends: "granted", perDay: 3},
	{day: 30, consumer: "insurance", resource: "subsistence_allowance", mode: "verify", purpose: "check", business: "医疗救助对象身份核验", ends: "granted", perDay: 8},
	{day: 33, consumer: "emergency", resource: "commercial_vehicles", mode: "query", purpose: "enforcement", business: "危险货物运输联合检查", ends: "granted", perDay: 3},
	{day: 38, consumer: "reform", resource: "service_cases", mode: "statistics", purpose: "research", business: "营商环境分析", ends: "granted", perDay: 1},
	{day: 45, consumer: "transport", resource: "driving_licences", mode: "verify", purpose: "enforcement", business: "营运驾驶员资格核验", ends: "revoked", reason: "业务系统已停用，授权用途不再存在", perDay: 5},
	{day: 52, consumer: "culture", resource: "pupils", mode: "query", purpose: "collaboration", business: "研学活动统计", ends: "refused", reason: "申请用途与履行职责无直接关系，研学人数可通过统计方式取得"},
	{day: 60, consumer: "culture", resource: "case_persons", mode: "query", purpose: "reference", business: "文化市场从业人员核查", ends: "withheld"},
	{day: 75, consumer: "market", resource: "social_insurance", mode: "query", purpose: "enforcement", business: "双随机检查用工核查", items: []string{"公民身份号码", "险种", "参保状态"}, ends: "granted", perDay: 4},
	{day: 110, consumer: "disabled", resource: "population", mode: "query", purpose: "basis", business: "残疾人证办理", items: []string{"公民身份号码", "姓名", "现住址"}, ends: "returned", reason: "请补充说明为何需要现住址，并明确使用科室"},
	{day: 150, consumer: "court", resource: "housing_fund", mode: "query", purpose: "enforcement", business: "执行查控", ends: "pending"},
	{day: 192, consumer: "civil", resource: "disabled_persons", mode: "verify", purpose: "check", business: "两项补贴资格核验", ends: "opinion"},
	{day: 198, consumer: "fund", resource: "real_estate", mode: "query", purpose: "check", business: "购房提取核验", items: []string{"不动产单元号", "建筑面积", "登记日期"}, ends: "pending"},
	{day: 199, consumer: "education", resource: "medical_institutions", mode: "obtain", purpose: "reference", business: "校医院对接", ends: "granted"},
}

// planRequests plans the wishes, the API clients of who makes them, and the uses.
func (b *builder) planRequests() {
	clients := map[string]bool{}
	for i, w := range wishes {
		if !clients[w.consumer] {
			clients[w.consumer] = true
			b.plan(10, 9, i, "API client of "+w.consumer, func(ctx context.Context) error { return b.client(ctx, w.consumer) })
		}
		b.plan(w.day, 10, i, "request: "+w.business, func(ctx context.Context) error { return b.ask(ctx, w) })
	}
}

// client registers a department's business system and keeps its key.
func (b *builder) client(ctx context.Context, key string) error {
	body := b.bodies[key]
	steward := b.actor(key, identity.Steward)
	made, err := b.Org.CreateClient(ctx, steward, org.NewClient{Name: body.Short + "业务系统", System: body.Short + "综合业务系统", Body: body.ID,
		Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	if err != nil {
		return err
	}
	issued, err := b.Org.IssueKey(ctx, steward, made.ID, b.opts.Today.AddDate(1, 0, 0))
	if err != nil {
		return err
	}
	b.clients[key] = Client{ID: made.ID, Key: issued.Key, Body: body.Name}
	b.file.Clients = append(b.file.Clients, b.clients[key])
	return nil
}

func (b *builder) ask(ctx context.Context, w wish) error {
	steward := b.actor(w.consumer, identity.Steward)
	form := sharing.Form{
		Resource: b.resources[w.resource].Code, Mode: w.mode, Purposes: []string{w.purpose}, Business: w.business, Items: w.items,
		Users: []string{b.bodies[w.consumer].Short + "业务窗口"}, EndDate: b.opts.Today.AddDate(0, 0, 140).Format("2006-01-02"),
	}
	// Where bulk is given by a recorded exception only, the request says why.
	if w.mode == "obtain" && profile.BulkExport.At(b.Profile, b.Clock.Now()).V == "by_exception" {
		form.ExceptionReason = "联办业务须在本地按日比对全量企业名单，无法逐条查询"
	}
	made, err := b.Sharing.Apply(ctx, steward, form)
	if w.ends == "withheld" {
		if errs.KindOf(err) != errs.Forbidden {
			return fmt.Errorf("a withheld resource answered %v", err)
		}
		// Where the city's rules know a negotiation, it is begun.
		if _, err := b.Sharing.Negotiate(ctx, steward, form); err != nil && errs.KindOf(err) == errs.Internal {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	b.plan(b.today+b.pace(), 11, 0, "handling of "+w.business, func(ctx context.Context) error { return b.handle(ctx, w, made.Number) })
	return nil
}

// pace is how many days an office takes for its next step.
func (b *builder) pace() int { return 1 + b.gen.rng("pace", b.today).IntN(2) }

// handle lets the next officer act on a request and plans the one after.
func (b *builder) handle(ctx context.Context, w wish, number string) error {
	request, err := b.Sharing.Request(ctx, b.actor(w.consumer, identity.Steward), number)
	if err != nil {
		return err
	}
	switch request.State {
	case sharing.Granted:
		return b.granted(ctx, w, request)
	case sharing.Pending:
	default:
		return nil
	}
	if w.ends == "pending" {
		return nil
	}
	file, err := b.Sharing.File(ctx, b.actor("authority", identity.AuthorityReviewer), number)
	if err != nil {
		return err
	}
	for _, task := range file.Case.Tasks {
		if task.State != "open" {
			continue
		}
		outcome, reason := w.outcome(task.Kind)
		if outcome == "" {
			return nil
		}
		var terms *sharing.Terms
		if outcome == casework.Cut {
			cut := request.Terms
			cut.Items = nil
			for _, item := range request.Terms.Items {
				if item.Name != "坐落" {
					cut.Items = append(cut.Items, item)
				}
			}
			terms = &cut
		}
		if task.Kind == profile.StepDecision && outcome == casework.Approve && request.NeedsException {
			granted := request.Terms
			granted.Exception = "局务会纪要〔2026〕第" + fmt.Sprint(b.today) + "号：同意按例外批量提供"
			terms, reason = &granted, "联办业务确需本地比对，限定信息项和期限，同意例外"
		}
		who, err := b.holder(task)
		if err != nil {
			return err
		}
		if _, err := b.Sharing.Decide(ctx, who, task.ID, outcome, reason, terms); err != nil {
			return fmt.Errorf("%s by %s: %w", outcome, who.Login, err)
		}
	}
	day := b.today + b.pace()
	if day > storyDays {
		day = b.today // the story ends: the rest happens the same day
	}
	b.plan(day, 15, 0, "handling of "+w.business, func(ctx context.Context) error { return b.handle(ctx, w, number) })
	return nil
}

// outcome is what an officer answers to a kind of task in this wish; "" leaves it.
func (w wish) outcome(kind string) (outcome, reason string) {
	switch kind {
	case profile.StepOpinion:
		if w.ends == "refused" {
			return casework.Object, w.reason
		}
		return casework.Agree, ""
	case profile.StepDecision:
		switch w.ends {
		case "opinion":
			return "", ""
		case "refused":
			return casework.Refuse, w.reason
		case "returned":
			return casework.Return, w.reason
		case "cut":
			return casework.Cut, w.reason
		}
		return casework.Approve, ""
	case profile.StepReview:
		return casework.Pass, ""
	case profile.StepSign:
		return casework.Accept, ""
	}
	return casework.Done, ""
}

// holder is who holds the post of a task at its body.
func (b *builder) holder(t casework.Task) (identity.Actor, error) {
	for _, a := range b.cast {
		if string(a.Post) == t.Post && a.Body == t.Body {
			return a, nil
		}
	}
	return identity.Actor{}, fmt.Errorf("nobody is %s at body %s", t.Post, t.Body)
}

// granted plans the uses of a grant, its revocation, and the example of its mode.
func (b *builder) granted(ctx context.Context, w wish, request sharing.Request) error {
	grant, err := b.Gateway.Grant(ctx, b.Control.Read(), request.GrantID)
	if err != nil {
		return err
	}
	last := storyDays
	if w.ends == "revoked" {
		last = min(b.today+60, storyDays)
		b.plan(last, 16, 30, "revocation of "+w.business, func(ctx context.Context) error {
			_, err := b.Sharing.Revoke(ctx, b.actor("authority", identity.AuthorityReviewer), request.GrantID, w.reason)
			return err
		})
	}
	for day := b.today + 1; day < last; day++ {
		if w.perDay == 0 || b.start.AddDate(0, 0, day).Weekday()%6 == 0 {
			continue
		}
		b.plan(day, 10+day%6, day%60, "use of "+w.business, func(ctx context.Context) error { return b.use(ctx, w, grant) })
	}
	if w.ends == "revoked" || b.examples[w.mode] >= 2 {
		return nil
	}
	b.examples[w.mode]++
	client := b.clients[w.consumer]
	example := any("format=csv") // a query string; the other modes have a body
	if w.mode != "obtain" {
		body := b.requestBody(w, grant, 3)
		example = json.RawMessage(body)
	}
	b.file.Grants = append(b.file.Grants, Grant{Mode: w.mode, Resource: grant.Resource, Client: client.ID, Example: example,
		Headers: map[string]string{"Authorization": "Bearer " + client.Key, "X-Gongshu-Grant": grant.ID}})
	return nil
}

// requestBody is a request on the i-th row that succeeds under the grant.
func (b *builder) requestBody(w wish, grant gateway.Grant, i int) []byte {
	p := b.planOf(w.resource)
	i %= b.gen.rowCount(p) * 4 / 5
	for b.gen.flawed(p, i) {
		i++
	}
	row := b.exampleRow(p, i)
	keys := map[string]string{}
	for _, item := range b.resources[w.resource].Keys() {
		keys[item.Name] = row[item.Name]
	}
	var body any
	switch w.mode {
	case "query":
		body = map[string]any{"where": keys, "limit": 10}
	case "verify":
		claims := map[string]string{}
		for _, item := range grant.Items {
			if _, key := keys[item.Name]; !key && !p.dated(item.Name) {
				claims[item.Name] = row[item.Name]
			}
		}
		body = map[string]any{"key": keys, "claims": claims}
	case "statistics":
		by := ""
		for _, item := range grant.Items {
			if strings.Contains(item.Name, "区划") {
				by = item.Name
			}
		}
		body = map[string]any{"by": []string{by}, "measures": []map[string]string{{"op": "count"}}}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of strings
	}
	return text
}

// use is a day's use of a grant by the department's system.
func (b *builder) use(ctx context.Context, w wish, grant gateway.Grant) error {
	client := b.clients[w.consumer]
	caller, err := b.Identity.ByKey(client.Key, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		return err
	}
	times := w.perDay/2 + b.gen.rng("uses"+w.consumer+w.resource, b.today).IntN(w.perDay+1)
	for n := range times {
		call := &gateway.Call{Caller: caller, Addr: "127.0.0.1", Resource: grant.Resource, Facts: gateway.Facts{Grant: grant.ID}}
		answer := gateway.NewAnswer()
		switch w.mode {
		case "query":
			err = b.Gateway.Query(ctx, call, b.requestBody(w, grant, b.today*31+n*7), answer)
		case "verify":
			err = b.Gateway.Verify(ctx, call, b.requestBody(w, grant, b.today*17+n*5), answer)
		case "statistics":
			if n > 0 {
				break
			}
			err = b.Gateway.Statistics(ctx, call, b.requestBody(w, grant, 0), answer)
		case "obtain":
			if n > 0 || b.today%10 != 0 {
				break
			}
			err = b.obtain(ctx, call)
		}
		answer.Done()
		// Statistics that would single somebody out are refused, and that is as much
		// part of the story as an answer.
		if err != nil && (w.mode != "statistics" || errs.KindOf(err) != errs.Forbidden) {
			return err
		}
		err = nil
	}
	return nil
}

// obtain draws the whole of a grant's rows, as a nightly job of the consumer does.
func (b *builder) obtain(ctx context.Context, call *gateway.Call) error {
	_, err := b.Gateway.Obtain(ctx, call, gateway.ObtainRequest{Format: "csv", Limit: 500}, func(gateway.StreamInfo) (io.Writer, error) { return io.Discard, nil })
	return err
}
