package console

import (
	"context"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/internal/web"
	"gongshu/operation"
	"gongshu/org"
	"gongshu/ui"
)

// peopleTodos is what waits about posts and filings: posts to confirm for the
// security administrator, filings to send for a department, to receive for the
// authority.
func (c *Console) peopleTodos(ctx context.Context, a identity.Actor) ([]Todo, error) {
	if c.Org == nil || c.Door == nil {
		return nil, nil
	}
	switch a.Post {
	case identity.SecurityAdmin:
		return c.postTodos(ctx, a)
	case identity.Steward, identity.Leader:
		return c.ownFilingTodo(ctx, a)
	case identity.AuthorityReviewer:
		return c.filingTodos(ctx, a)
	}
	return nil, nil
}

func (c *Console) postTodos(ctx context.Context, a identity.Actor) ([]Todo, error) {
	pending, err := c.Org.PendingHoldings(ctx)
	if err != nil {
		return nil, err
	}
	var todos []Todo
	for _, h := range pending {
		t := org.HoldingTarget(h)
		t.Attrs["makers"] = []string{h.ProposedBy}
		if c.Door.May(a, "org.post.confirm", t) != nil {
			continue
		}
		todos = append(todos, Todo{Do: ui.T(ctx, "people.todo_confirm"), Title: h.PersonName + " · " + h.Post.Text().In(web.Lang(ctx)), Sub: h.BodyName,
			Href: "/console/people/" + h.Person, Since: h.ProposedAt, Clauses: "FS-40 FZM-34"})
	}
	return todos, nil
}

func (c *Console) ownFilingTodo(ctx context.Context, a identity.Actor) ([]Todo, error) {
	state, err := c.Org.FilingState(ctx, a.Body)
	if errs.Is(err, errs.NotFound) {
		return nil, nil // a body that is closed has nothing to file
	}
	if err != nil {
		return nil, err
	}
	todo := Todo{Href: "/console/bodies/" + a.Body + "/filing", Title: state.Body.Label(), Since: state.Body.CreatedAt, Clauses: "FZM-34 LY-26 FS-6"}
	switch {
	case c.Door.May(a, "org.filing.submit", bodyTarget(state.Body)) != nil:
		return nil, nil
	case state.Latest == nil:
		todo.Do = ui.T(ctx, "org.file")
	case len(state.Stale) > 0:
		todo.Do, todo.Sub, todo.Since = ui.T(ctx, "org.file_again"), staleText(ctx, state.Stale), state.Latest.FiledAt
	default:
		return nil, nil
	}
	return []Todo{todo}, nil
}

func (c *Console) filingTodos(ctx context.Context, a identity.Actor) ([]Todo, error) {
	states, err := c.Org.FilingStates(ctx)
	if err != nil {
		return nil, err
	}
	var todos []Todo
	for _, s := range states {
		if s.Latest == nil || !s.Latest.ReceivedAt.IsZero() {
			continue
		}
		t := operation.Target{Kind: "filing", Body: s.Body.ID, District: s.Body.District, Attrs: map[string]any{"makers": []string{s.Latest.FiledBy}}}
		if c.Door.May(a, "org.filing.receive", t) != nil {
			continue
		}
		todos = append(todos, Todo{Do: ui.T(ctx, "people.todo_receive"), Title: s.Body.Label(), Sub: ui.T(ctx, "org.version", "Version", s.Latest.Version),
			Href: "/console/bodies/" + s.Body.ID + "#filing", Since: s.Latest.FiledAt, Clauses: "FZM-34 LY-26"})
	}
	return todos, nil
}
