package demo

import (
	"context"
	"fmt"
	"sort"
)

// event is one thing that happens in the demo city on a day of the story.
type event struct {
	day, hour, minute int
	what              string
	run               func(ctx context.Context) error
}

// plan adds an event. Events of one minute keep the order in which they were
// planned.
func (b *builder) plan(day, hour, minute int, what string, run func(ctx context.Context) error) {
	b.events = append(b.events, event{day, hour, minute, what, run})
}

// play lets all events happen in the order of time. An event may plan others
// after itself.
func (b *builder) play(ctx context.Context) error {
	for len(b.events) > 0 {
		sort.SliceStable(b.events, func(i, j int) bool {
			x, y := b.events[i], b.events[j]
			if x.day != y.day {
				return x.day < y.day
			}
			return x.hour*60+x.minute < y.hour*60+y.minute
		})
		next := b.events[0]
		b.events = b.events[1:]
		if next.day > storyDays {
			return nil // all that is left has not happened yet
		}
		b.today = next.day
		b.at(next.day, next.hour, next.minute)
		if err := next.run(ctx); err != nil {
			return fmt.Errorf("day %d: %s: %w", next.day, next.what, err)
		}
	}
	return nil
}
