package demo

import (
	"sync"
	"time"
)

// Clock is the clock of the whole program while the demo is built: it stands at
// the months that the demo tells of, runs on from there, and is the real one in
// the end.
type Clock struct {
	mu    sync.Mutex
	story time.Time // zero: real time
	since time.Time
}

// Now is the time of the story, or the real one.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.story.IsZero() {
		return time.Now()
	}
	return c.story.Add(time.Since(c.since))
}

// set moves the story to t; it never goes back.
func (c *Clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.story.IsZero() {
		if now := c.story.Add(time.Since(c.since)); t.Before(now) {
			t = now
		}
	}
	c.story, c.since = t, time.Now()
}

// real ends the story.
func (c *Clock) real() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.story = time.Time{}
}
