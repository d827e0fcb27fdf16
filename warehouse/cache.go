package warehouse

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// tableCache keeps what is known of each resource's table, so that a point read
// asks nothing beforehand. A load or migration of this process forgets its entry;
// what another process did is seen within fresh.
type tableCache struct {
	mu         sync.RWMutex
	byResource map[string]*cached
}

const fresh = time.Second

type cached struct {
	table *table
	until atomic.Int64 // Unix nanoseconds
}

func (c *tableCache) forget(resource string) {
	c.mu.Lock()
	delete(c.byResource, resource)
	c.mu.Unlock()
}

// table gives the current table of a resource, at most a second old.
func (s *Store) table(ctx context.Context, resource string) (*table, error) {
	s.tables.mu.RLock()
	entry := s.tables.byResource[resource]
	s.tables.mu.RUnlock()
	if entry != nil && time.Now().UnixNano() < entry.until.Load() {
		return entry.table, nil
	}
	t, err := s.readTable(ctx, s.db.Read(), resource, false)
	if err != nil {
		return nil, err
	}
	if entry != nil && entry.table.version == t.version {
		old := entry.table
		if old.rows == t.rows && old.nextBatch == t.nextBatch {
			// Keep the same pointer: compiled reads recognise their table by it.
			entry.until.Store(time.Now().Add(fresh).UnixNano())
			return old, nil
		}
	}
	entry = &cached{table: t}
	entry.until.Store(time.Now().Add(fresh).UnixNano())
	s.tables.mu.Lock()
	s.tables.byResource[resource] = entry
	s.tables.mu.Unlock()
	return t, nil
}
