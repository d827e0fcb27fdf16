package ui

import (
	"time"

	"github.com/a-h/templ"
)

// Tone is the meaning of a colour: it is never the only carrier of a meaning,
// the words beside it say the same.
type Tone string

// The tones.
const (
	Plain   Tone = ""        // grey
	Info    Tone = "info"    // blue: under way
	Good    Tone = "good"    // green: done, in force
	Warn    Tone = "warn"    // amber: soon due, attention
	Bad     Tone = "bad"     // red: late, refused, stopped
	Special Tone = "special" // violet: marks a kind, not a state
)

// Face says which of the two faces a page belongs to.
type Face string

// The faces.
const (
	Portal  Face = "portal"
	Console Face = "console"
)

// Link is a place to go.
type Link struct {
	Label string
	Href  string
	Icon  string // name in icons.go, may be ""
}

// NavItem is an entry of the navigation. Key is compared with Meta.Active.
type NavItem struct {
	Key   string
	Label string
	Href  string
	Icon  string
	Count int // shown as a small number where above 0
}

// NavGroup is a titled part of the console's navigation.
type NavGroup struct {
	Title string
	Items []NavItem
}

// UserMenu is who is logged in, as the page head shows it.
type UserMenu struct {
	Name  string
	Body  string
	Post  string // acting post in words
	Posts []PostChoice
	Links []Link // own account, sessions, messages
}

// PostChoice is a post that the person holds; choosing it is a POST of its
// holding id to the console's /console/post.
type PostChoice struct {
	ID     string
	Label  string
	Body   string
	Acting bool
}

// Notice is a line under the page head that every page shows: a service that
// stands still, a demonstration.
type Notice struct {
	Tone Tone
	Text string
	Link Link
}

// Frame is what surrounds every page of a face. The face's middleware puts it
// into the context with WithFrame, so that pages need not know it.
type Frame struct {
	Face       Face
	City       string // "福州市"
	Brand      string // the platform's name in the page's language
	Home       string // address of the face's first page
	Nav        []NavGroup
	User       *UserMenu // nil: nobody is logged in
	Login      string    // address to log in, "" hides the link
	LoginLabel string    // words of that link; "" is "log in"
	Unread     int       // messages
	Inbox      string    // address of the messages, "" hides the bell
	ClauseBase string    // address before a clause id: "/console/clauses/"
	Rules      string    // profile's id of the city by whose articles the page speaks; "" shows the articles that are cited
	Path       string    // path and query of this page, for the switches
	Notices    []Notice
	Footer     []NavGroup
	Version    string
}

// Meta is what a page says about itself.
type Meta struct {
	Title       string // in words, without the platform's name
	Active      string // key of the navigation entry
	Crumbs      []Link // above the title; the page itself not among them
	Description string // for search engines, portal only
	Bare        bool   // without navigation: login, printed papers
	Wide        bool   // uses the whole width: large tables, overview screen
	Hero        bool   // portal: the page brings its own full-width head
}

// HeadInfo is the head of a page's content: one <h1>.
type HeadInfo struct {
	Title    string
	Lead     string // a sentence that says what the page is for
	Kicker   string // small line above: a code, a kind
	Badges   []BadgeInfo
	Actions  []Action
	Subtitle templ.Component
}

// Action is a button that goes somewhere (Href) or posts (Post).
type Action struct {
	Label   string
	Href    string
	Post    string // address of a POST without further fields
	Icon    string
	Primary bool
	Tone    Tone
}

// CardInfo describes a card. Flush cards let a table reach their edges.
type CardInfo struct {
	ID      string
	Title   string
	Lead    string
	Icon    string
	Clause  string // clause ids, separated by spaces
	Actions []Action
	Flush   bool
	Tone    Tone
}

// BadgeInfo is a word in a coloured pill.
type BadgeInfo struct {
	Tone Tone
	Text string
	Icon string
	Hint string // longer words for the pointer and for screen readers
}

// Align of a column.
type Align string

// Numbers stand at the end, so that digits line up.
const (
	Start Align = ""
	End   Align = "end"
)

// Column heads a column of a table.
type Column struct {
	Key   string // sort key, when Sort
	Title string
	Sort  bool
	Align Align
	Main  bool // the row's name: a row header, the heading of its card on a phone
	Minor bool // left out on narrow screens
	Fit   bool // as narrow as its content
	Hint  string
}

// Row is a row of a table: one component a column.
type Row struct {
	ID    string
	Cells []templ.Component
	Tone  Tone
}

// Filter narrows a list. Without Options it is a field to type in, with Kind
// "date" for a day.
type Filter struct {
	Name    string
	Label   string
	Kind    string // "" a choice or text, "date"
	Options []Option
}

// TableInfo describes a table, with the list around it where List is set.
type TableInfo struct {
	ID       string // id of the element that htmx replaces; "list" where ""
	Caption  string // what the table holds, for screen readers
	Columns  []Column
	Rows     []Row
	List     *List  // nil: no search, sorting or pager
	Total    int    // rows in all pages
	Search   string // placeholder of the search field; "" without search
	Filters  []Filter
	Exports  []Link
	Empty    EmptyInfo // shown when the table has no rows at all
	Scroll   bool      // scrolls sideways instead of stacking on a phone: data tables
	Compact  bool
	LowTotal bool // the total is a lower bound
}

// Option of a choice.
type Option struct {
	Value    string
	Label    string
	Help     string
	Group    string
	Disabled bool
}

// Field is a labelled form field. Error stands beside it and is announced.
type Field struct {
	Name         string
	Label        string
	Help         string
	Clause       string // ids of the clauses that ask for it, separated by spaces
	Value        string
	Values       []string // Checks and multiple choices
	Error        string
	Required     bool
	Disabled     bool
	ReadOnly     bool
	Focus        bool
	Type         string // text, password, email, number, date, search, url, tel
	Placeholder  string
	Autocomplete string
	Pattern      string
	InputMode    string
	Min, Max     string
	Step         string
	MaxLength    int
	Rows         int // of a text area; 0 is 4
	Options      []Option
	NoEmpty      bool   // Select: no "please choose"
	Unit         string // shown after the field
	Accept       string // file types
	Multiple     bool
	Half         bool // takes half the width on wide screens
	Third        bool
	Mono         bool
	ID           string // "" derives it from Name
}

// FormInfo describes a form.
type FormInfo struct {
	ID        string
	Action    string
	Get       bool // GET instead of POST
	Multipart bool
	Errors    Errors // shown above the fields, with links to them
	Progress  bool   // show the progress of an upload
}

// EmptyInfo says what to do where there is nothing.
type EmptyInfo struct {
	Icon   string
	Title  string
	Text   string
	Action Action
}

// StatInfo is a number that links to what it counts.
type StatInfo struct {
	Label string
	Value string
	Unit  string
	Href  string
	Note  string
	Tone  Tone
	Icon  string
}

// Tab is a part of a page that has its own address.
type Tab struct {
	Key    string
	Label  string
	Href   string
	Active bool
	Count  int // shown where above 0
}

// ClockInfo is a legal deadline as a reader sees it.
type ClockInfo struct {
	Due         time.Time // zero: no deadline
	DaysLeft    int       // working days; negative when late
	Paused      bool
	Done        bool // met or over: no days are counted
	DoneLate    bool
	Clause      string // clause that sets the day
	Practice    bool   // the city's own decision, not a clause
	Provisional bool   // the calendar of that year is not published yet
}

// EventInfo is a point of a timeline.
type EventInfo struct {
	At     time.Time
	Title  string
	Who    string
	Text   string
	Tone   Tone
	Icon   string
	Clause string
	Links  []Link
	Open   bool // yet to come
}

// Term is a line of a definition list.
type Term struct {
	Label  string
	Value  templ.Component
	Clause string
	Wide   bool
}

// StepInfo is a step of a procedure.
type StepInfo struct {
	Label string
	Note  string
	State string // "done", "now", "next", "refused"
}

// ConfirmInfo is a destructive step: it asks in place, without a script, and
// names the thing.
type ConfirmInfo struct {
	ID     string
	Label  string // of the button that opens the question
	Icon   string
	Title  string // the question, naming the thing
	Text   string // what happens, and whether it can be undone
	Action string // POST
	Button string // of the button that does it
	Tone   Tone   // Bad by default
	Hidden map[string]string
	Clause string
}

// ChartInfo is a chart with the table of its numbers. Option is an ECharts option
// as a Go value, written as JSON; it holds no functions. Series colours, fonts
// and tooltips come from the theme.
type ChartInfo struct {
	ID      string
	Title   string
	Lead    string
	Option  any
	Tall    bool
	Short   bool
	Map     string // name of a registered map, address of its GeoJSON
	Columns []string
	Rows    [][]string // the same numbers as text: for reading without a script
	Links   []string   // address a category leads to when it is clicked, in the order of Rows
}

// Facet is a filter with counts, as a list beside the results.
type Facet struct {
	Name   string
	Label  string
	Values []FacetValue
}

// FacetValue is one value of a facet.
type FacetValue struct {
	Value string
	Label string
	Count int
}

// Point of a bar list: a label, a number and where it leads.
type Point struct {
	Label string
	Value float64
	Text  string // the number in words; "" writes Value as a whole number
	Href  string
	Tone  Tone
}
