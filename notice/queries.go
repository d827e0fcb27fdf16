package notice

import (
	"context"

	"gongshu/identity"
)

// Filter narrows an inbox. Empty fields do not narrow.
type Filter struct {
	Topic  string // of Topics
	State  string // "unread" or "read"
	Offset int
	Limit  int  // 1 to 200; 50 when 0
	Oldest bool // first; else the newest
}

// List gives the actor's own messages and how many match.
func (s *Service) List(ctx context.Context, a identity.Actor, f Filter) ([]Message, int, error) {
	if err := s.deps.Door.May(a, "notice.message.list", inbox(a)); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	f.Offset = max(f.Offset, 0)
	return list(ctx, s.deps.DB.Read(), a.ID, f)
}

// Unread counts the actor's own unread messages.
func (s *Service) Unread(ctx context.Context, a identity.Actor) (int, error) {
	return unread(ctx, s.deps.DB.Read(), a.ID)
}
