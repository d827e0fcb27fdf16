package notice

import (
	"context"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/operation"
)

// SendTx puts a message into the inboxes of its readers, in the caller's
// transaction. A post that nobody holds is told to nobody. Errors: errs.Internal
// for a kind that does not exist or a message about nothing.
func (s *Service) SendTx(ctx context.Context, tx *db.Tx, m Outgoing) error {
	if err := check(m); err != nil {
		return err
	}
	told := map[string]bool{"": true, m.Not: true}
	now := s.deps.Now()
	put := func(person string, to To) error {
		if told[person] {
			return nil
		}
		told[person] = true
		return insert(ctx, tx, Message{ID: db.NewID(), Person: person, Kind: m.Kind, Values: m.Values, About: m.About, Clauses: m.Clauses,
			Body: to.Body, Post: to.Post, At: now}, m.Once)
	}
	for _, to := range m.To {
		if to.Person != "" {
			if err := put(to.Person, To{}); err != nil {
				return err
			}
		}
		if to.Body == "" {
			continue
		}
		holders, err := s.deps.Holders(ctx, tx, to.Body, to.Post)
		if err != nil {
			return err
		}
		for _, person := range holders {
			if err := put(person, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// Read marks an own message read and gives it. That it was read, and when, is in
// the log; reading it again is not. errs.NotFound for another's.
func (s *Service) Read(ctx context.Context, a identity.Actor, id string) (Message, error) {
	m, err := get(ctx, s.deps.DB.Read(), a.ID, id)
	if err != nil || !m.ReadAt.IsZero() {
		return m, err
	}
	err = s.deps.Door.Do(ctx, a, "notice.message.read", inbox(a), func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "message", id)
		operation.Note(ctx, "kind", string(m.Kind))
		m.ReadAt = s.deps.Now()
		return setRead(ctx, tx, a.ID, id, m.ReadAt)
	})
	return m, err
}

// ReadAll marks all of the own messages read and gives how many were not.
func (s *Service) ReadAll(ctx context.Context, a identity.Actor) (n int, err error) {
	unread, err := s.Unread(ctx, a)
	if err != nil || unread == 0 {
		return 0, err
	}
	err = s.deps.Door.Do(ctx, a, "notice.message.read_all", inbox(a), func(ctx context.Context, tx *db.Tx) error {
		n, err = setAllRead(ctx, tx, a.ID, s.deps.Now())
		operation.Note(ctx, "messages", n)
		return err
	})
	return n, err
}
