package demo

import (
	"context"
	"maps"
	"slices"
)

// planMessages lets the platform remind of deadlines every day, and people read
// their messages now and then; what came in the last days is still unread.
func (b *builder) planMessages() {
	for day := 4; day <= storyDays; day++ {
		b.plan(day, 8, 0, "reminders", func(ctx context.Context) error {
			_, err := b.Sharing.Cases().Remind(ctx)
			return err
		})
		if day%35 != 0 {
			continue
		}
		b.plan(day, 17, 30, "reading of messages", func(ctx context.Context) error {
			for _, who := range slices.Sorted(maps.Keys(b.cast)) {
				if _, err := b.Inbox.ReadAll(ctx, b.cast[who]); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
