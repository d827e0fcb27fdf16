// Package catalog is the one catalog of a city's data: resources with the metadata that the national
// compilation guide asks for (发改高技〔2017〕1272号 政务信息资源目录编制指南), their data items, versions,
// reviews, and the share and open catalogs, which are views of it (FS-16).
//
// A resource has one immutable code and a row of versions. A version is a draft until it is submitted;
// a case then takes it through the steps of the city's profile (the department's leader signs it off,
// its secrecy reviewer clears it (FZM-31), the authority reviews it), and the newest published version is
// the one in force. What the regulations say about a resource is in rules.go, writes are in commands.go,
// the way to publication in publication.go, reads in queries.go, SQL in store.go.
package catalog

import (
	"strconv"
	"strings"
	"time"
)

// Kind says what a resource is (库表, 文件, 接口).
type Kind string

// The three kinds of resource.
const (
	Table     Kind = "table"     // rows in the warehouse
	Files     Kind = "files"     // versioned objects
	Interface Kind = "interface" // a department's own API
)

// SharingType says whether other departments may use a resource or an item.
type SharingType string

// The three sharing types; a city has its own words for them (profile).
const (
	Unconditional SharingType = "unconditional"
	Conditional   SharingType = "conditional"
	Withheld      SharingType = "withheld"
)

// OpeningType says whether the public may use a resource or an item.
type OpeningType string

// The three opening types; a city has its own words for them (profile).
const (
	General    OpeningType = "general"
	Authorised OpeningType = "authorised"
	Closed     OpeningType = "closed"
)

// Mode is a way in which a grant lets data be used.
type Mode string

// The four modes (查询, 核验, 获取, 统计).
const (
	Query      Mode = "query"
	Verify     Mode = "verify"
	Obtain     Mode = "obtain"
	Statistics Mode = "statistics"
)

// Modes lists the four modes in the order in which pages show them.
var Modes = []Mode{Query, Verify, Obtain, Statistics}

// State is where a version stands.
type State string

// States of a version. A resource is withdrawn when its published version is.
const (
	Draft     State = "draft"     // the steward works on it
	Signing   State = "signing"   // sent: the own department signs and clears it
	Submitted State = "submitted" // the authority has it
	Returned  State = "returned"  // sent back with reasons
	Published State = "published" // in force, or was until a later version
	Withdrawn State = "withdrawn" // taken out of the catalog
)

// ItemType is the data type of an item, a letter of the compilation guide (8b).
type ItemType string

// Item types: 字符 数值 货币 日期 日期时间 逻辑 备注 通用 双精度 整型 浮点.
const (
	Char     ItemType = "C"
	Numeric  ItemType = "N"
	Money    ItemType = "Y"
	Date     ItemType = "D"
	DateTime ItemType = "T"
	Logical  ItemType = "L"
	Memo     ItemType = "M"
	Generic  ItemType = "G"
	Double   ItemType = "B"
	Integer  ItemType = "I"
	Float    ItemType = "F"
)

// ItemTypes lists the types in the guide's order.
var ItemTypes = []ItemType{Char, Numeric, Money, Date, DateTime, Logical, Memo, Generic, Double, Integer, Float}

// Cycle is how often a resource is updated (11).
type Cycle string

// Update cycles; half_yearly and irregular are extensions seen in practice.
const (
	RealTime   Cycle = "realtime"
	Daily      Cycle = "daily"
	Weekly     Cycle = "weekly"
	Monthly    Cycle = "monthly"
	Quarterly  Cycle = "quarterly"
	HalfYearly Cycle = "half_yearly"
	Yearly     Cycle = "yearly"
	Irregular  Cycle = "irregular"
)

// Cycles lists update cycles from the most to the least frequent.
var Cycles = []Cycle{RealTime, Daily, Weekly, Monthly, Quarterly, HalfYearly, Yearly, Irregular}

// Resource is one version of a catalog entry, with the facts that are the same in every version.
type Resource struct {
	ID       string `json:"id"`       // UUIDv7; names the warehouse table
	Code     string `json:"code"`     // CIITTD…/SSSS, unique, never changes
	Version  int    `json:"version"`  // from 1
	State    State  `json:"state"`    // of this version
	Current  bool   `json:"current"`  // this version is the one in force
	Revision int64  `json:"revision"` // counts every change; an editor sends it back so that nobody overwrites another

	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"`    // 2 信息资源名称
	Summary string   `json:"summary"` // 6 信息资源摘要
	Class   Class    `json:"class"`   // 1 信息资源分类
	Theme   string   `json:"theme"`   // two-digit item of the theme class under which the portal lists it
	Region  string   `json:"region"`  // division code of the area that the rows cover
	Tags    []string `json:"tags,omitempty"`

	Body     string `json:"body"`      // 4 provider: id of the body
	BodyName string `json:"body_name"` // as it was when the version was saved
	USCC     string `json:"uscc"`      // 5 derived from the body
	Office   string `json:"office,omitempty"`
	System   string `json:"system,omitempty"` // information system that produces the data

	Format       FormatClass `json:"format"`                 // 7
	FormatTypes  []string    `json:"format_types,omitempty"` // 7, names of FormatTypes(class)
	Charset      string      `json:"charset,omitempty"`      // 8b for text files
	Items        []Item      `json:"items,omitempty"`        // 8
	Checks       []Check     `json:"checks,omitempty"`       // rules over several items
	Sharing      SharingType `json:"sharing"`                // 9a
	Conditions   []Condition `json:"conditions,omitempty"`   // 9b, executable (FS-13)
	SharingNote  string      `json:"sharing_note,omitempty"` // 9b in words
	SharingWays  []Way       `json:"sharing_ways,omitempty"` // 9c
	SideApproval string      `json:"side_approval,omitempty"`
	SharingBasis []Basis     `json:"sharing_basis,omitempty"` // FZM-16, FS-5.3, LY-11

	Opening      OpeningType `json:"opening"`                 // 10a
	OpeningNote  string      `json:"opening_note,omitempty"`  // 10b
	ClosedGround string      `json:"closed_ground,omitempty"` // FZO-5, key of ClosedGrounds
	OpeningNeeds []string    `json:"opening_needs,omitempty"` // FZO-6.2, keys of AuthorisedNeeds
	OpeningBasis []Basis     `json:"opening_basis,omitempty"` //
	Desensitised string      `json:"desensitised,omitempty"`  // how personal items are treated before opening (FZM-20)
	Cycle        Cycle       `json:"cycle"`                   // 11
	PublishedOn  string      `json:"published_on,omitempty"`  // 12, 2006-01-02
	Related      []string    `json:"related,omitempty"`       // 13 codes
	Grade        int         `json:"grade"`                   // 1 … 4; 4 core, 3 important
	Collection   Collection  `json:"collection"`              // FS-21
	Source       Source      `json:"source"`                  // FS-18
	Secrecy      Secrecy     `json:"secrecy"`                 // FZM-2, FZM-31
	Survey       Survey      `json:"survey"`                  // volumes of the general survey
	Case         string      `json:"case,omitempty"`          // number of the case that publishes this version
	SecrecyCheck *Decision   `json:"secrecy_check,omitempty"` // what the secrecy reviewer found (FZM-31)
	Withdrawal   *Decision   `json:"withdrawal,omitempty"`    //
	Filing       *Filing     `json:"filing,omitempty"`        // LY-11
	CreatedBy    string      `json:"created_by,omitempty"`    //
	CreatedAt    time.Time   `json:"created_at,omitzero"`     //
	UpdatedAt    time.Time   `json:"updated_at,omitzero"`     //
	PublishedAt  time.Time   `json:"published_at,omitzero"`   //
	NextColumn   int         `json:"next_column"`             // number of the next new item; never used twice
}

// PathCode is the code as it stands in URLs and file names: "/" is written "-".
func (r *Resource) PathCode() string { return PathCode(r.Code) }

// PathCode writes a code for a URL: "/" becomes "-".
func PathCode(code string) string { return strings.ReplaceAll(code, "/", "-") }

// ParseCode reads a code in either spelling and gives it with "/". It does not look it up.
func ParseCode(s string) string {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "/") {
		return s
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return s[:i] + "/" + s[i+1:]
	}
	return s
}

// Item returns the item with that id or English code, or nil.
func (r *Resource) Item(idOrCode string) *Item {
	for i := range r.Items {
		if r.Items[i].ID == idOrCode || (r.Items[i].Code != "" && r.Items[i].Code == idOrCode) {
			return &r.Items[i]
		}
	}
	return nil
}

// ItemByName returns the item with that Chinese name, or nil.
func (r *Resource) ItemByName(name string) *Item {
	for i := range r.Items {
		if r.Items[i].Name == name {
			return &r.Items[i]
		}
	}
	return nil
}

// Keys returns the items of the primary key in order; empty when the resource declares none.
func (r *Resource) Keys() []Item {
	var out []Item
	for _, it := range r.Items {
		if it.Key {
			out = append(out, it)
		}
	}
	return out
}

// Class is a place in the classification: 类 1 digit, 项 2, 目 3, 细目 variable.
type Class struct {
	Class  string `json:"class"`            // "1" base, "2" theme, "3" department
	Item   string `json:"item"`             // two digits
	Head   string `json:"head"`             // three digits
	Detail string `json:"detail,omitempty"` // digits, may be empty
}

// Prefix is the front part of a code, before "/".
func (c Class) Prefix() string { return c.Class + c.Item + c.Head + c.Detail }

// Item is one data item (信息项, a column).
type Item struct {
	ID          string      `json:"id"`                    // "i1", "i2" …: stable in every version
	Column      int         `json:"column"`                // physical column c<Column> of the warehouse table
	Name        string      `json:"name"`                  // 8a, Chinese
	Code        string      `json:"code"`                  // field name: letter, then letters, digits, _
	Type        ItemType    `json:"type"`                  // 8b
	Length      int         `json:"length,omitempty"`      // 8c declared length; a value is too long when it has more characters. 0: no bound
	Scale       int         `json:"scale,omitempty"`       // digits after the decimal point (N, Y)
	Required    bool        `json:"required,omitempty"`    //
	Key         bool        `json:"key,omitempty"`         // part of the primary key
	Unique      bool        `json:"unique,omitempty"`      // alone unique
	Pattern     string      `json:"pattern,omitempty"`     // RE2, matched against the whole value
	Min         string      `json:"min,omitempty"`         // inclusive, canonical text of the type
	Max         string      `json:"max,omitempty"`         //
	Enum        []Code      `json:"enum,omitempty"`        // allowed values of its own
	CodeList    string      `json:"code_list,omitempty"`   // key of CodeLists, e.g. "GB/T 2261.1"
	Reference   *Reference  `json:"reference,omitempty"`   // value must exist in another resource
	NotFuture   bool        `json:"not_future,omitempty"`  // a date that may not lie in the future
	Personal    string      `json:"personal,omitempty"`    // privacy kind, "" none
	Sharing     SharingType `json:"sharing,omitempty"`     // "" as the resource
	Opening     OpeningType `json:"opening,omitempty"`     // "" as the resource
	Mask        string      `json:"mask,omitempty"`        // mask applied where it is shared unless the grant names the item
	OpenMask    string      `json:"open_mask,omitempty"`   // mask applied where it is opened
	Grade       int         `json:"grade,omitempty"`       // 0 as the resource
	Description string      `json:"description,omitempty"` //
}

// Physical is the name of the item's column in the warehouse, "c1", "c2" …
func (it *Item) Physical() string { return "c" + strconv.Itoa(it.Column) }

// Code is a value of a code list and what it means.
type Code struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Reference names an item of another resource in which a value must exist.
type Reference struct {
	Resource string `json:"resource"` // code
	Item     string `json:"item"`     // item id or English code
}

// Check is a rule over several items of a row, a CEL expression over the items' English codes.
type Check struct {
	Name string `json:"name"`
	Expr string `json:"expr"`
	ZH   string `json:"zh"` // reason shown when a row breaks it
	EN   string `json:"en"`
}

// Condition is one executable condition of conditional sharing (FS-13): who may have the data, for what,
// how, which items, which rows, for how long. Empty lists do not restrict.
type Condition struct {
	Bodies   []string `json:"bodies,omitempty"`   // body ids
	Purposes []string `json:"purposes,omitempty"` // keys of Purposes
	Modes    []Mode   `json:"modes,omitempty"`
	Items    []string `json:"items,omitempty"` // item ids
	Rows     []Filter `json:"rows,omitempty"`  // all must hold
	MaxDays  int      `json:"max_days,omitempty"`
	Note     string   `json:"note,omitempty"`
}

// Filter is one comparison of an item with constants.
type Filter struct {
	Item   string   `json:"item"` // item id
	Op     string   `json:"op"`   // eq, ne, lt, le, gt, ge, in, prefix, null, notnull
	Values []string `json:"values,omitempty"`
}

// FilterOps lists the operators of Filter.
var FilterOps = []string{"eq", "ne", "lt", "le", "gt", "ge", "in", "prefix", "null", "notnull"}

// BasisKind is the kind of document that a legal basis is.
type BasisKind string

// Kinds of basis; a city allows some of them (FZM-16, FS-5.3, LY-11).
const (
	Law            BasisKind = "law"        // 法律
	Regulation     BasisKind = "regulation" // 法规
	Rule           BasisKind = "rule"       // 规章
	NationalPolicy BasisKind = "policy"     // 国家有关政策
)

// Basis is one legal basis: the document, its article and the article's words.
type Basis struct {
	Kind    BasisKind `json:"kind"`
	Title   string    `json:"title"`
	Article string    `json:"article"`
	Text    string    `json:"text,omitempty"`
}

// Way is a way in which a resource is given (9c).
type Way string

// Ways of sharing: three on the platform, three beside it, which need an approval on record (FS-25).
const (
	WayDatabase Way = "database"
	WayFile     Way = "file"
	WayService  Way = "service"
	WayMail     Way = "mail"
	WayDisk     Way = "disk"
	WayMedium   Way = "medium"
)

// Ways lists the ways of sharing, those on the platform first.
var Ways = []Way{WayDatabase, WayFile, WayService, WayMail, WayDisk, WayMedium}

// OnPlatform tells whether the way runs through the platform.
func (w Way) OnPlatform() bool { return w == WayDatabase || w == WayFile || w == WayService }

// Collection says how the data is obtained (FS-21, FS-24).
type Collection struct {
	Way     string `json:"way"`               // "law", "business" or "agreement"
	Basis   string `json:"basis,omitempty"`   // the law, system or agreement
	Minimum string `json:"minimum,omitempty"` // the least that is collected from the public (FS-24)
}

// Source is the confirmation that this department is the one source of the data (FS-18, FS-5.2).
type Source struct {
	Duty      string `json:"duty,omitempty"`      // statutory duty from which the data arises
	Confirmed bool   `json:"confirmed,omitempty"` // the department confirms to be the source
	Lead      string `json:"lead,omitempty"`      // leading body of a co-collection (FS-23)
	Overlap   string `json:"overlap,omitempty"`   // why it stands beside a similar resource (FS-5.2)
}

// Secrecy is the department's declaration about state secrets (FZM-2, FZM-31).
type Secrecy struct {
	Declared bool   `json:"declared"`           // "holds no state secret and no work secret"
	Marked   bool   `json:"marked,omitempty"`   // bears a secrecy mark: cannot be catalogued
	Document string `json:"document,omitempty"` // number of the review record
}

// Survey holds the volumes of the general survey (大普查): numbers only, 0 when unknown.
type Survey struct {
	StorageMB     int64 `json:"storage_mb"`     // total volume, megabytes
	Rows          int64 `json:"rows"`           // structured records
	SharedMB      int64 `json:"shared_mb"`      //
	SharedRows    int64 `json:"shared_rows"`    //
	PublishedMB   int64 `json:"published_mb"`   // opened
	PublishedRows int64 `json:"published_rows"` //
}

// Decision is what somebody decided about a version.
type Decision struct {
	By      string    `json:"by"` // person id
	Name    string    `json:"name"`
	Post    string    `json:"post"`
	Outcome string    `json:"outcome"` // "cleared" or "withdrawn"
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Filing records that the basis of a restricted sharing type was filed with the authority (LY-11).
type Filing struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Clause string    `json:"clause"`
}

// Row is a line of a catalog list.
type Row struct {
	ID, Code, Name, Summary string
	Kind                    Kind
	Version                 int   // newest version
	State                   State // of the newest version
	PublishedVersion        int   // 0 none
	Body, BodyName          string
	Theme, Region           string
	Sharing                 SharingType
	Opening                 OpeningType
	Cycle                   Cycle
	Grade                   int
	UpdatedAt               time.Time
	PublishedAt             time.Time
	Items                   int
	Withdrawn               bool
	ExistsOnly              bool // the reader may know that it exists, nothing else (FS-12)
}

// Event is one line of a resource's history.
type Event struct {
	At      time.Time
	Version int
	Action  string // create, import, edit, submit, resubmit, secrecy, to_authority, return, refuse, recall, publish, revise, withdraw, discard
	By      string
	Name    string
	Post    string
	Note    string
}
