// Package gateway is the data service. A grant, once approved, is compiled into
// a plan: which columns with which masks, which rows, in which mode, how often,
// until when, for what. A request is matched to a plan in memory, bound to
// parameters, read, masked, written to the audit log, and only then released.
//
// What a plan does not hold cannot leave: a verify plan has no columns to
// return, a statistics plan no rows.
package gateway

import (
	"time"

	"gongshu/privacy"
)

// Mode is how a grant lets data be used (FS-12, FS-13).
type Mode string

// The four modes.
const (
	Query      Mode = "query"      // 查询: rows by their key
	Verify     Mode = "verify"     // 核验: yes or no a claim
	Obtain     Mode = "obtain"     // 批量获取: a stream of rows
	Statistics Mode = "statistics" // 统计: measures of groups
)

// Modes lists the four in the order of screens.
func Modes() []Mode { return []Mode{Query, Verify, Obtain, Statistics} }

// Valid says whether m is one of the four.
func (m Mode) Valid() bool { return m == Query || m == Verify || m == Obtain || m == Statistics }

// Op compares an item with values in a row filter.
type Op string

// The comparisons. In and NotIn take 1 to 1,000 values, Between two (both
// inclusive), IsNull and NotNull none, the others one. An empty cell satisfies
// IsNull only.
const (
	Eq      Op = "eq"
	Ne      Op = "ne"
	Lt      Op = "lt"
	Le      Op = "le"
	Gt      Op = "gt"
	Ge      Op = "ge"
	In      Op = "in"
	NotIn   Op = "not_in"
	IsNull  Op = "null"
	NotNull Op = "notnull"
	Between Op = "between"
	Prefix  Op = "prefix"
)

// Condition restricts rows: the item's value stands in relation Op to Values.
// Several conditions all have to hold. Values are text in the item's canonical
// form ("2026-11-21", "123.45").
type Condition struct {
	Item   string   `json:"item"` // name of the item, as in the catalog
	Op     Op       `json:"op"`
	Values []string `json:"values"`
}

// GrantItem is one granted item.
type GrantItem struct {
	// Name of the item as in the catalog; its English field name or id will do.
	Name string `json:"name"`
	// Mask is a mask specification of package privacy ("keep_ends:3,4"); "" takes
	// the catalog's mask for sharing, and for a personal item without one the
	// default mask of its kind.
	Mask string `json:"mask,omitempty"`
	// Unmasked releases a personal item as it is. The grant must then name
	// purposes and an approver; a mask beside it is refused.
	Unmasked bool `json:"unmasked,omitempty"`
}

// GrantSpec is what an approval settles (FS-29: business, users, data needed,
// mode and end date, by least privilege).
type GrantSpec struct {
	Resource string   `json:"resource"`          // code with its slash
	Client   string   `json:"client"`            // consumer's body id
	Clients  []string `json:"clients,omitempty"` // ids of API clients of that body; empty admits them all
	Mode     Mode     `json:"mode"`
	// Items: what query and obtain return, what verify answers claims on, what
	// statistics groups and measures by.
	Items []GrantItem `json:"items"`
	// Where keeps rows out of the grant, whatever the request asks.
	Where []Condition `json:"where,omitempty"`

	Purposes []string `json:"purposes"`           // 具体用途; at least one
	Business string   `json:"business,omitempty"` // the consumer's business matter
	Users    []string `json:"users,omitempty"`    // 使用人员, by name; empty: each request names its own
	Approver string   `json:"approver"`           // 批准人员, by name; for unconditional sharing who opened it
	Medium   string   `json:"medium,omitempty"`   // 介质类型; "" is "interface"
	Case     string   `json:"case,omitempty"`     // id of the case that decided
	CaseNo   string   `json:"case_no,omitempty"`  // its number, as people read it
	Basis    []string `json:"basis,omitempty"`    // clause ids that the approval rests on

	Starts  time.Time `json:"starts,omitzero"`  // zero: at once
	Expires time.Time `json:"expires,omitzero"` // zero: no end, for unconditional sharing only

	RequestsPerDay int64 `json:"requests_per_day,omitempty"` // 0: no limit
	RowsPerDay     int64 `json:"rows_per_day,omitempty"`     // 0: no limit
	PerSecond      int   `json:"per_second,omitempty"`       // requests a second and client body; 0: 500
	MaxRows        int   `json:"max_rows,omitempty"`         // rows a query returns at most; 0: 100
	MinCell        int   `json:"min_cell,omitempty"`         // smallest group that statistics shows; 0 or less than the profile's: the profile's
	// FreeQuery lets query search by any granted item instead of the key. Where
	// the profile refuses free queries and bulk (LY-13), Exception must name the
	// recorded decision; obtain needs it there too.
	FreeQuery bool   `json:"free_query,omitempty"`
	Exception string `json:"exception,omitempty"`
}

// State of a grant.
type State string

// The states. Pending (not begun) and Expired follow from the time, so no job has
// to run for a grant to end.
const (
	Active  State = "active"
	Pending State = "pending"
	Expired State = "expired"
	Revoked State = "revoked"
)

// Grant is a right in force, or one that has been.
type Grant struct {
	ID string `json:"id"`
	GrantSpec
	ResourceName string    `json:"resource_name"`
	Provider     string    `json:"provider"` // body id
	ProviderName string    `json:"provider_name"`
	Created      time.Time `json:"created"`

	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"` // name
	Reason    string    `json:"reason,omitempty"`     // of the revocation
	Renewals  []Renewal `json:"renewals,omitempty"`
}

// Renewal is one extension of a grant's end.
type Renewal struct {
	At       time.Time `json:"at"`
	From     time.Time `json:"from"` // the end before
	To       time.Time `json:"to"`   // the end after
	CaseNo   string    `json:"case_no,omitempty"`
	Approver string    `json:"approver"`
}

// State at a time.
func (g *Grant) State(now time.Time) State {
	switch {
	case !g.RevokedAt.IsZero():
		return Revoked
	case now.Before(g.Starts):
		return Pending
	case !g.Expires.IsZero() && !now.Before(g.Expires):
		return Expired
	}
	return Active
}

// Source is what the catalog says of a resource: all that a plan needs to know.
type Source struct {
	ID           string // the catalog's id, by which the warehouse names the table
	Code         string
	Name         string
	Provider     string // body id
	ProviderName string
	Sharing      string // unconditional, conditional, withheld
	Open         bool   // anybody may have the rows (opening type general)
	Version      int    // of the published catalog entry
	Items        []SourceItem
}

// SourceItem is one item of a source.
type SourceItem struct {
	ID       string       // stable in every version; may be ""
	Code     string       // English field name; may be ""
	Name     string       // Chinese name
	Column   int          // n of the physical column c<n>
	Type     string       // letter of the catalog's metadata (C N Y D T L M G B I F)
	Key      bool         // belongs to the declared key
	Personal privacy.Kind // kind of personal data
	Mask     string       // the catalog's mask for sharing
}

// Item finds an item by its name, its English field name or its id.
func (s *Source) Item(name string) (SourceItem, bool) {
	if name == "" {
		return SourceItem{}, false
	}
	for _, it := range s.Items {
		if it.Name == name {
			return it, true
		}
	}
	for _, it := range s.Items {
		if it.Code == name || it.ID == name {
			return it, true
		}
	}
	return SourceItem{}, false
}

// Rules are the profile's settings that bind the gateway, each with the clause
// that sets it, "" where it is the city's own practice.
type Rules struct {
	City string
	// NoBulk: obtain and free query only by a recorded exception (LY-13).
	NoBulk       bool
	NoBulkClause string
	// MinCell is the smallest group that statistics shows, in persons; at least 2.
	MinCell       int
	MinCellClause string
	// VerifyTries is how many different values of one item may be claimed of one
	// subject within 30 days; 0 takes 5.
	VerifyTries int
	// UsageDays is how long the usage log is kept (QZ-3.1.8: 3 years, LY-24: half a year).
	UsageDays       int
	UsageDaysClause string
	// FactsClauses are the articles that ask for the seven facts of a use.
	FactsClauses []string
	// Location is the city's time zone, in which a quota's day begins.
	Location *time.Location
}
