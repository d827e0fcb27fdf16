package main

import (
	"context"
	"strings"
	"testing"

	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/notice"
	"gongshu/org"
)

// A hand-over is told to the two people, and to the body's stewards, who file the
// change; a post that begins without one is the holder's own matter.
func TestAHandoverIsToldToTheStewards(t *testing.T) {
	clause.Covers(t, "FZM-34")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		a := &app{notice: notice.New(notice.Deps{DB: d, Holders: func(_ context.Context, _ db.Querier, body string, post identity.Post) ([]string, error) {
			return []string{body + " " + string(post), "heir"}, nil
		}})}
		h := org.Holding{Person: "heir", PersonName: "陈一", Body: "tax", BodyName: "税务局", Post: identity.Leader, State: org.Held, Reason: "轮岗"}
		ended := h
		ended.Person, ended.State = "old", org.Ended
		over := h
		over.TakesOver = "h1"
		for _, c := range []struct {
			h    org.Holding
			want string
		}{
			{h, "account_post heir"},
			{ended, "account_ended old"},
			{over, "account_handover tax steward, account_post heir"},
		} {
			if err := d.InTx(t.Context(), func(tx *db.Tx) error { return a.tellPost(t.Context(), tx, c.h) }); err != nil {
				t.Fatal(err)
			}
			got, err := db.Values[string](t.Context(), d.Read(), `SELECT kind || ' ' || person FROM notice_message ORDER BY kind`)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("told %v, want %s", got, c.want)
			}
			if err := d.InTx(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(t.Context(), `DELETE FROM notice_message`); return err }); err != nil {
				t.Fatal(err)
			}
		}
	})
}
