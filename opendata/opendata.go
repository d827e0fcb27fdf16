// Package opendata puts resources on the open portal and takes them off again.
//
// The authority publishes a dataset from a resource version in force after a gate:
// the secrecy review was declared (FZM-31), personal items are masked or left out
// (FZM-20, FZO-24), nobody can be singled out (k-anonymity), and a security-risk
// assessment is on record (FZO-30). A job then builds a publication bundle
// (metadata, preview, column profiles, files in four formats with their digests,
// rows for the API) into the open store, which is all that the portal reads:
// [Open] needs neither the control store nor the warehouse. When batches arrive a
// new version is built through the same gate. Withdrawal takes files and rows away
// at once and says so on the page (FZO-17).
//
// Resources of the general opening type are published with their data (FZO-7);
// authorised ones are listed with their conditions and without data (FZO-8,
// FZO-11); closed ones never appear (FZO-5, FS-14).
package opendata

import (
	"context"
	"sync"
	"time"

	"gongshu/audit"
	"gongshu/catalog"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/profile"
	"gongshu/warehouse"
)

// Kind says what of a resource the portal shows.
type Kind string

// The kinds of dataset.
const (
	Data    Kind = "data"    // general: metadata, preview, files, API (FZO-7)
	Listing Kind = "listing" // authorised: metadata and conditions only (FZO-8)
)

// State is where a dataset stands.
type State string

// The states of a dataset.
const (
	Building  State = "building"  // let through the gate; the first bundle is being made
	Published State = "published" // on the portal
	Held      State = "held"      // on the portal with older data: the newest did not pass the gate
	Withdrawn State = "withdrawn" // taken off; the page says so (FZO-17)
)

// Doing is what happens to an item before opening.
type Doing string

// What may be done with an item.
const (
	Open Doing = "open" // as it is
	Mask Doing = "mask" // by Treatment.Mask
	Omit Doing = "omit" // left out
)

// Treatment is what was decided for one item.
type Treatment struct {
	Item string `json:"item"` // catalog item id
	Do   Doing  `json:"do"`
	// Mask is a privacy mask specification, with Do = mask.
	Mask string `json:"mask,omitempty"`
	// Why explains that values which look personal are not, e.g. an office's
	// telephone number; without it such values stop the publication.
	Why string `json:"why,omitempty"`
}

// Risk is the outcome of a security-risk assessment (FZO-30).
type Risk string

// The outcomes. A high risk cannot be published.
const (
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

// Assessment is what is declared and decided before opening.
type Assessment struct {
	ID             string
	Resource       string // catalog id
	CatalogVersion int
	MadeBy         string // person id; somebody else publishes
	MadeName       string
	MadeAt         time.Time

	// Secrecy is the declaration that the data holds no state or work secret and
	// was reviewed before publication (FZM-31).
	Secrecy bool
	// SecrecyRecord is the number of the review record.
	SecrecyRecord string
	Treatments    []Treatment
	// Quasi are the ids of opened items that together may single out a person.
	Quasi []string
	// Risk, Risks and Measures are the security-risk assessment: outcome, what could
	// happen, what was done against it (FZO-30).
	Risk     Risk
	Risks    string
	Measures string

	Findings Findings
}

// Findings are what the program itself found in the rows.
type Findings struct {
	Rows int64 `json:"rows"`
	// No is the number of the last batch that was looked at.
	No int64 `json:"no"`
	// K is the threshold, Smallest the smallest group by the quasi-identifiers,
	// GroupsBelow how many groups have fewer than K rows; 0 without quasi-identifiers.
	K           int64 `json:"k"`
	Smallest    int64 `json:"smallest"`
	GroupsBelow int64 `json:"groups_below"`
	RowsBelow   int64 `json:"rows_below"`
	// Personal lists items opened as they are whose values look personal.
	Personal []PersonalFinding `json:"personal,omitempty"`
}

// PersonalFinding is one item whose values look like personal data.
type PersonalFinding struct {
	Item    string       `json:"item"`
	Name    string       `json:"name"`
	Kind    privacy.Kind `json:"kind"`
	Matched int          `json:"matched"`
	Looked  int          `json:"looked"`
	Excused bool         `json:"excused"` // the assessment says why it is none
}

// Check is one question of the gate and its answer.
type Check struct {
	Key     string // stable: "secrecy", "desensitised" …
	Title   errs.Text
	Clauses []string
	OK      bool
	// NA tells that the question does not arise for this resource.
	NA     bool
	Detail errs.Text
}

// Gate is the whole of the checks for one resource.
type Gate struct {
	Checks []Check
}

// OK reports whether nothing stands against publication.
func (g Gate) OK() bool {
	for _, c := range g.Checks {
		if !c.OK && !c.NA {
			return false
		}
	}
	return true
}

// Entry is a dataset as the console's people see it.
type Entry struct {
	Resource       string
	Code, Name     string
	Body, BodyName string
	District       string
	Slug           string
	Kind           Kind
	State          State
	Assessment     string
	CatalogVersion int
	Version        int
	SourceNo       int64
	DataAt         time.Time
	Rows           int64
	Held           []errs.Text
	PublishedBy    string
	PublishedName  string
	PublishedAt    time.Time
	WithdrawnAt    time.Time
	WithdrawnWhy   string
}

// Candidate is a resource in force that may be opened, with its dataset if there is one.
type Candidate struct {
	catalog.Row
	Entry *Entry
}

// The actions of this area.
const (
	ActAssess   operation.Action = "opendata.dataset.assess"
	ActPublish  operation.Action = "opendata.dataset.publish"
	ActWithdraw operation.Action = "opendata.dataset.withdraw"
	ActVersion  operation.Action = "opendata.dataset.version"
	ActList     operation.Action = "opendata.dataset.list"
)

// The kinds of job.
const (
	JobBuild  = "opendata.build"
	JobFollow = "opendata.follow"
	JobAudit  = "opendata.downloads"
)

// Deps is what the service works with.
type Deps struct {
	DB        *db.DB
	Door      *operation.Door
	Log       *audit.Log
	Catalog   *catalog.Service
	Warehouse *warehouse.Store
	Open      *OpenStore
	// Keys are the masks' keys.
	Keys privacy.Keys
	// Profile is the city's rules in force.
	Profile func() *profile.Profile
	// District gives the division code of a body.
	District func(ctx context.Context, body string) (string, error)
	Now      func() time.Time // time.Now where nil
}

// Service publishes and withdraws.
type Service struct {
	deps     Deps
	building sync.Mutex
}

// New makes the service. [Service.Register] puts its jobs on a queue.
func New(deps Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{deps: deps}, nil
}

// Dataset is a dataset as the public sees it: one document of the open store.
type Dataset struct {
	ID      string `json:"id"`
	Slug    string `json:"slug"` // lower-case letters, digits, hyphens; never changes
	Code    string `json:"code"`
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Kind    Kind   `json:"kind"`
	State   State  `json:"state"` // published or withdrawn

	Opening      catalog.OpeningType `json:"opening"`
	OpeningName  errs.Text           `json:"opening_name"` // in the city's own words
	Conditions   string              `json:"conditions,omitempty"`
	Needs        []string            `json:"needs,omitempty"` // why it is authorised (FZO-6.2)
	Theme        string              `json:"theme"`
	ThemeName    errs.Text           `json:"theme_name"`
	Region       string              `json:"region"`
	RegionName   string              `json:"region_name"`
	Provider     string              `json:"provider"`
	ProviderUSCC string              `json:"provider_uscc"`
	Tags         []string            `json:"tags,omitempty"`
	Cycle        catalog.Cycle       `json:"cycle"`
	Desensitised string              `json:"desensitised,omitempty"`
	Licence      Licence             `json:"licence"`

	Version        int        `json:"version"`
	CatalogVersion int        `json:"catalog_version"`
	FirstAt        time.Time  `json:"first_at"`
	PublishedAt    time.Time  `json:"published_at"` // of this version
	DataAt         time.Time  `json:"data_at"`      // when the data last changed
	Rows           int64      `json:"rows"`
	Items          []Item     `json:"items"`
	Omitted        int        `json:"omitted"` // items left out before opening
	Files          []File     `json:"files,omitempty"`
	Preview        [][]string `json:"preview,omitempty"`
	Chart          *Chart     `json:"chart,omitempty"`
	Map            *Map       `json:"map,omitempty"`
	Versions       []Version  `json:"versions"` // newest first

	WithdrawnAt  time.Time `json:"withdrawn_at,omitzero"`
	WithdrawnWhy string    `json:"withdrawn_why,omitempty"`
}

// Licence says what may be done with the data.
type Licence struct {
	Name  errs.Text `json:"name"`
	Terms errs.Text `json:"terms"`
	// Clauses are the articles that the terms come from.
	Clauses []string `json:"clauses"`
}

// Item is an opened data item with what is known of its values.
type Item struct {
	Name        string           `json:"name"`
	Code        string           `json:"code"`
	Type        catalog.ItemType `json:"type"` // of the opened values: C where masked
	Length      int              `json:"length,omitempty"`
	Scale       int              `json:"scale,omitempty"`
	Key         bool             `json:"key,omitempty"`
	Description string           `json:"description,omitempty"`
	CodeList    string           `json:"code_list,omitempty"`
	Mask        string           `json:"mask,omitempty"` // how values were desensitised
	Column      string           `json:"column"`         // physical name in the open store's rows
	Profile     Profile          `json:"profile"`
}

// Profile sums up a column.
type Profile struct {
	Present  int64   `json:"present"`  // rows with a value
	Distinct int64   `json:"distinct"` // different values
	Min      string  `json:"min,omitempty"`
	Max      string  `json:"max,omitempty"`
	Mean     string  `json:"mean,omitempty"` // numbers only
	Top      []Count `json:"top,omitempty"`  // most frequent values, where there are few
}

// Count is a value and how many rows have it.
type Count struct {
	Value string `json:"value"`
	Label string `json:"label,omitempty"` // what a code means
	N     int64  `json:"n"`
}

// Chart is one chart that the data suggests: what rows measure over time, or how
// many rows there are over time or by category.
type Chart struct {
	Item     string   `json:"item"`               // along the axis
	Kind     string   `json:"kind"`               // "bar" over categories or "line" over time
	Measures []string `json:"measures,omitempty"` // items whose means are drawn; none: rows are counted
	Points   []Point  `json:"points"`
}

// Point is a category or a period (2026-05-01, 2026-05 or 2026) of a chart: its
// rows and, one a measure, the mean of those that have a value, nil without any.
type Point struct {
	Count
	Means []*float64 `json:"means,omitempty"`
}

// Map shows where things are: up to 500 rows, spread evenly over the table, at the
// coordinates that the data gives, in degrees.
type Map struct {
	Longitude string  `json:"longitude"` // names of the items
	Latitude  string  `json:"latitude"`
	Name      string  `json:"name,omitempty"`
	Places    []Place `json:"places"`
}

// Place is one row on a map.
type Place struct {
	Longitude float64 `json:"longitude"`
	Latitude  float64 `json:"latitude"`
	Name      string  `json:"name,omitempty"`
}

// File is one downloadable file of a version.
type File struct {
	Format string `json:"format"` // csv, xlsx, json, parquet
	Name   string `json:"name"`   // Chinese file name for the person who downloads
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Version is one published state of a dataset.
type Version struct {
	Version        int       `json:"version"`
	CatalogVersion int       `json:"catalog_version"`
	At             time.Time `json:"at"`
	DataAt         time.Time `json:"data_at"`
	Rows           int64     `json:"rows"`
	// Files is nil once the version's files are no longer kept.
	Files []File `json:"files,omitempty"`
}

// Live reports whether the data can be had.
func (d *Dataset) Live() bool { return d.State == Published && d.Kind == Data }

// File gives the file of a format of the newest version, or nil.
func (d *Dataset) File(format string) *File {
	for i := range d.Files {
		if d.Files[i].Format == format {
			return &d.Files[i]
		}
	}
	return nil
}
