package api

import (
	"github.com/danielgtaylor/huma/v2"
)

// What the data service takes and gives, for the OpenAPI document. Items differ
// from resource to resource, so objects are open.

var (
	text    = &huma.Schema{Type: "string"}
	scalar  = &huma.Schema{Description: "字符串、数字或逻辑值 / string, number or logical", OneOf: []*huma.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	byItem  = &huma.Schema{Type: "object", AdditionalProperties: scalar, Description: "信息项名称 → 值 / item → value"}
	integer = &huma.Schema{Type: "integer"}
	boolean = &huma.Schema{Type: "boolean"}
)

func list(of *huma.Schema) *huma.Schema { return &huma.Schema{Type: "array", Items: of} }

func object(required []string, properties map[string]*huma.Schema) *huma.Schema {
	return &huma.Schema{Type: "object", Required: required, Properties: properties}
}

var querySchema = object([]string{"where"}, map[string]*huma.Schema{
	"where":  byItem,
	"fields": list(text),
	"limit":  integer,
})

var queryAnswer = object(nil, map[string]*huma.Schema{
	"resource": text, "rows": list(&huma.Schema{Type: "object", AdditionalProperties: true}), "count": integer, "audit": integer,
})

var verifySchema = object([]string{"key", "claims"}, map[string]*huma.Schema{"key": byItem, "claims": byItem})

var verifyAnswer = object(nil, map[string]*huma.Schema{
	"resource": text, "result": {Type: "object", AdditionalProperties: boolean}, "audit": integer,
})

var condition = object([]string{"item", "op"}, map[string]*huma.Schema{
	"item":   text,
	"op":     {Type: "string", Enum: []any{"eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "between", "prefix", "null", "notnull"}},
	"values": list(text),
})

var statsSchema = object([]string{"measures"}, map[string]*huma.Schema{
	"by": list(text),
	"measures": list(object([]string{"op"}, map[string]*huma.Schema{
		"op": {Type: "string", Enum: []any{"count", "sum", "avg", "min", "max", "distinct"}}, "item": text,
	})),
	"where": list(condition),
})

var statsAnswer = object(nil, map[string]*huma.Schema{
	"resource": text, "unit": text, "threshold": integer,
	"groups": list(object(nil, map[string]*huma.Schema{
		"by": {Type: "object", AdditionalProperties: true}, "measures": {Type: "object", AdditionalProperties: true}, "suppressed": boolean, "as_of": text,
	})),
	"suppressed": boolean, "audit": integer,
})

func headerParam(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: doc, Schema: text}
}

func queryParam(name, doc string, schema *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Schema: schema}
}

func (a *API) dataOperation(id, method, path, summary, doc string, body, answer *huma.Schema) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Description: doc, Tags: []string{"data"}, Security: bySystems,
		Parameters: []*huma.Param{
			{Name: "code", In: "path", Required: true, Description: "资源代码，斜线写作 - / resource code, its slash written -", Schema: text},
			headerParam("X-Gongshu-Purpose", "具体用途，须为授权用途之一；授权只有一个用途时可省略 / purpose, one of the grant's (FZM-29, LY-21)"),
			headerParam("X-Gongshu-User", "使用人员；授权指名一人时可省略 / who uses the data (FZM-29, LY-21)"),
			headerParam("X-Gongshu-Case", "办件编号；省略则记授权的编号 / case number"),
			headerParam("X-Gongshu-Approver", "批准人员；省略则记授权的批准人 / approver"),
			headerParam("X-Gongshu-Medium", "介质类型；省略则记授权的介质 / medium"),
			headerParam("X-Gongshu-Grant", "授权编号；同一资源有多项授权时指明 / grant id, where several fit"),
		},
		Responses: map[string]*huma.Response{"200": {Description: "已放行，审计条目已落盘 / released; its audit entry is durable"}},
	}
	if body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: body}}}
		op.Responses["200"].Content = map[string]*huma.MediaType{"application/json": {Schema: answer}}
	}
	for status, doc := range map[string]string{
		"401": "密钥缺失、失效或签名不符 / key missing or not valid", "403": "没有授权、用途不符或信息项未授权 / no grant, other purpose, item not granted",
		"410": "授权在处理期间被收回 / revoked meanwhile", "422": "请求有误，写明字段 / the request is wrong, field named",
		"429": "超过速率、配额或核验次数，见 Retry-After / rate, quota or tries used up", "503": "审计日志或存储不可用，数据服务停止 / the log or a store is down: nothing is released",
	} {
		op.Responses[status] = a.refusal(doc)
	}
	return op
}
