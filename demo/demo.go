// Package demo builds a believable city through the same doors that people use:
// every body, resource, batch, request, grant and use in it was made by a command
// with a person behind it, is in the log, and could have been made by hand.
//
// Place names and division codes are real. People, enterprises and identifiers
// are generated: every resident ID carries county number 99, which no county has.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gongshu/catalog"
	"gongshu/gateway"
	"gongshu/identity"
	"gongshu/intake"
	"gongshu/internal/db"
	"gongshu/internal/jobs"
	"gongshu/notice"
	"gongshu/opendata"
	"gongshu/org"
	"gongshu/profile"
	"gongshu/sharing"
	"gongshu/workday"
)

// Deps are the areas that the demo acts through.
type Deps struct {
	Control  *db.DB
	Profile  *profile.Profile
	Clock    *Clock
	Identity *identity.Service
	Org      *org.Service
	Catalog  *catalog.Service
	Intake   *intake.Service
	Sharing  *sharing.Service
	Gateway  *gateway.Service
	OpenData *opendata.Service
	Inbox    *notice.Service
	Open     *opendata.OpenStore
	Jobs     *jobs.Queue // not running: the story drains it
	Log      *slog.Logger
}

// Options say how large and from which seed.
type Options struct {
	Seed   uint64
	People int       // residents; 200,000 by default
	Today  time.Time // the day on which the story ends; now by default
}

// Account is a person who can log in.
type Account struct {
	Login    string `json:"login"`
	Password string `json:"password"`
	Post     string `json:"post"`
	Body     string `json:"body"`
}

// Client is an API client with its key.
type Client struct {
	ID   string `json:"id"`
	Key  string `json:"key"`
	Body string `json:"body"`
}

// Resource is one published resource.
type Resource struct {
	Code     string   `json:"code"`
	Name     string   `json:"name"`
	Provider string   `json:"provider"`
	Sharing  string   `json:"sharing"`
	Opening  string   `json:"opening"`
	Rows     int64    `json:"rows"`
	Key      []string `json:"key"`
}

// Grant is a grant with a request that succeeds at once.
type Grant struct {
	Mode     string            `json:"mode"`
	Resource string            `json:"resource"`
	Client   string            `json:"client"`
	Headers  map[string]string `json:"headers"`
	Example  any               `json:"example"`
}

// Delivery is a small file that a client can send to a resource of its own body:
// good rows and one problem row.
type Delivery struct {
	Resource string `json:"resource"`
	Client   string `json:"client"`
	CSV      string `json:"csv"`
}

// File is demo.json.
type File struct {
	BaseURL   string     `json:"base_url"`
	City      string     `json:"city"`
	Accounts  []Account  `json:"accounts"`
	Clients   []Client   `json:"clients"`
	Resources []Resource `json:"resources"`
	Grants    []Grant    `json:"grants"`
	Delivery  Delivery   `json:"delivery"`
}

// builder is one run of Build.
type builder struct {
	Deps
	opts      Options
	gen       *generator
	start     time.Time // first day of the story
	plans     []resourcePlan
	bodyPlans []bodyPlan
	bodies    map[string]org.Body // by key of bodies.yaml
	cast      map[string]identity.Actor
	password  string
	file      File
	resources map[string]*catalog.Resource // by English name
	rows      map[string]int64             // accepted, by English name
	clients   map[string]Client            // by key of bodies.yaml
	examples  map[string]int               // examples so far, by mode
	events    []event
	today     int // day of the event that happens
}

// storyDays is how long the platform of the demo has been open; the story ends
// yesterday, so that nothing in it lies in the future.
const storyDays = 200

// Build builds the city on empty stores and gives what demo.json holds. The
// clock stands at real time when it returns.
func Build(ctx context.Context, deps Deps, opts Options) (*File, error) {
	if opts.People == 0 {
		opts.People = 200_000
	}
	if opts.Today.IsZero() {
		opts.Today = time.Now()
	}
	today := workday.DateOf(opts.Today).Start()
	plans, bodyPlans, err := loadPlans()
	if err != nil {
		return nil, err
	}
	b := &builder{Deps: deps, opts: opts, plans: plans, bodyPlans: bodyPlans, start: today.AddDate(0, 0, -storyDays-1),
		bodies: map[string]org.Body{}, cast: map[string]identity.Actor{}, resources: map[string]*catalog.Resource{}, rows: map[string]int64{},
		clients: map[string]Client{}, examples: map[string]int{}}
	division := profile.Division.Of(deps.Profile).V
	b.gen = &generator{seed: opts.Seed, city: division, today: today, people: opts.People, divisions: divisionsOf(division)}
	b.file.City = deps.Profile.ID
	defer deps.Clock.real()
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"bodies and people", b.people},
		{"story", b.story},
		{"passwords", b.setPasswords},
	} {
		if step.name == "passwords" {
			b.Clock.real() // a password of months ago would have to be changed
		}
		began := time.Now()
		if err := step.run(ctx); err != nil {
			return nil, fmt.Errorf("demo: %s: %w", step.name, err)
		}
		deps.Log.Info("demo", "built", step.name, "took", time.Since(began).Round(time.Millisecond))
	}
	b.describe()
	if b.file.Delivery, err = b.delivery(); err != nil {
		return nil, err
	}
	return &b.file, nil
}

// story is everything after the platform has its people.
func (b *builder) story(ctx context.Context) error {
	b.planCatalog()
	b.planDeliveries()
	b.planRequests()
	b.planOpening()
	b.planMessages()
	return b.play(ctx)
}

// at moves the story to a working hour of the day that many days after it began.
func (b *builder) at(day, hour, minute int) {
	b.Clock.set(b.start.AddDate(0, 0, day).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute))
}

// divisionsOf are the districts and counties of a city in the national list.
func divisionsOf(city string) []division {
	var out []division
	for _, c := range catalog.CodeListByKey("GB/T 2260").Codes {
		if len(c.Value) == 6 && c.Value[:4] == city[:4] && c.Value != city {
			out = append(out, division{Code: c.Value, Name: c.Label, Level: "县级", Parent: city})
		}
	}
	return out
}
