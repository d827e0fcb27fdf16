package notice

import (
	"slices"

	"gongshu/identity"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// check holds what every message must have, so that a fault shows in the test of
// the sending area and not in a reader's inbox.
func check(m Outgoing) error {
	if !slices.Contains(Kinds(), m.Kind) {
		return errs.Newf(errs.Internal, "没有消息类型 %q", "there is no kind of message %q", string(m.Kind))
	}
	if m.About.Kind == "" || m.About.ID == "" {
		return errs.Newf(errs.Internal, "消息 %q 没有指向", "message %q is about nothing", string(m.Kind))
	}
	return nil
}

// inbox is a person's inbox as policies and log see it: everybody has the own.
func inbox(a identity.Actor) operation.Target {
	return operation.Target{Kind: "inbox", ID: a.ID, Body: a.Body, District: a.District}
}
