package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/api"
	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
)

// TestProofsOverHTTP plays an outside auditor: with the public key alone, every
// entry of the log is shown to be in it, and one checkpoint to grow out of another.
func TestProofsOverHTTP(t *testing.T) {
	clause.Covers(t, "QZ-3.1.8", "FS-40")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		log := audittest.Open(t, d)
		server := httptest.NewServer(api.Proofs(log))
		t.Cleanup(server.Close)
		get := func(path string, status int) []byte {
			t.Helper()
			res, err := http.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != status {
				t.Fatalf("%s: %d %s %v", path, res.StatusCode, body, err)
			}
			if status >= 400 && res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: refused as %s", path, res.Header.Get("Content-Type"))
			}
			return body
		}
		get("/audit/checkpoint", 404)
		secret := "13800138000"
		add := func(n int) audit.Checkpoint {
			t.Helper()
			if err := d.InTx(ctx, func(tx *db.Tx) error {
				var list []audit.Entry
				for i := range n {
					list = append(list, audit.Entry{Action: "test.act", Actor: fmt.Sprint("u", i), Purpose: secret})
				}
				_, err := log.AppendTx(ctx, tx, list...)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			c, err := log.Checkpoint(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		early := add(40)
		add(300)
		known, _, err := audit.ParseVerifiers(string(get("/audit/key", 200)))
		if err != nil {
			t.Fatal(err)
		}
		head, err := audit.ParseCheckpoint(string(get("/audit/checkpoint", 200)), known)
		if err != nil || head.Size != 341 {
			t.Fatalf("%+v, %v", head, err)
		}
		for _, seq := range []int64{0, 1, 255, 256, 340} {
			var p struct {
				Seq, Size  int64
				Leaf       tlog.Hash
				Proof      tlog.RecordProof
				Checkpoint string
			}
			if err := json.Unmarshal(get(fmt.Sprintf("/audit/proof/inclusion?seq=%d", seq), 200), &p); err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(p.Proof, p.Size, head.Root, p.Seq, p.Leaf); err != nil || p.Checkpoint != head.Note {
				t.Errorf("entry %d: %v", seq, err)
			}
		}
		var p struct {
			From, Size int64
			Proof      tlog.TreeProof
		}
		if err := json.Unmarshal(get(fmt.Sprintf("/audit/proof/consistency?from=%d", early.Size), 200), &p); err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(p.Proof, p.Size, head.Root, p.From, early.Root); err != nil {
			t.Error(err)
		}
		// A client that reads tiles comes to the same root.
		var leaves []tlog.Hash
		for _, path := range []string{"/audit/tile/0/000", "/audit/tile/0/001.p/85"} {
			for data := get(path, 200); len(data) > 0; data = data[32:] {
				leaves = append(leaves, tlog.Hash(data[:32]))
			}
		}
		var stored []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
			for _, i := range indexes {
				out = append(out, stored[i])
			}
			return out, nil
		})
		for n, leaf := range leaves {
			more, err := tlog.StoredHashesForRecordHash(int64(n), leaf, read)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
		}
		if root, err := tlog.TreeHash(int64(len(leaves)), read); err != nil || root != head.Root {
			t.Errorf("tiles give %v, the checkpoint says %v, %v", root, head.Root, err)
		}
		if len(get("/audit/tile/1/000.p/1", 200)) != 32 {
			t.Error("tile of level 1")
		}
		for path, status := range map[string]int{
			"/audit/tile/0/002": 404, "/audit/tile/0/001": 404, "/audit/tile/0/1": 404, "/audit/tile/9/000": 404, "/audit/tile/data/000": 404,
			"/audit/tile/0/001.p/86": 404, "/audit/tile/entries/000": 403, "/audit/tile/..%2f..": 404,
			"/audit/proof/inclusion": 422, "/audit/proof/inclusion?seq=x": 422, "/audit/proof/inclusion?seq=341": 404, "/audit/proof/inclusion?seq=3&size=999": 404,
			"/audit/proof/consistency?from=0": 404, "/audit/proof/consistency?from=400": 404, "/audit/nothing": 404, "/audit/checkpoints?limit=-1": 422,
		} {
			get(path, status)
		}
		var history struct{ Checkpoints []struct{ Size int64 } }
		if err := json.Unmarshal(get("/audit/checkpoints", 200), &history); err != nil || len(history.Checkpoints) != 2 || history.Checkpoints[0].Size != 341 {
			t.Errorf("history %+v, %v", history, err)
		}
		for _, path := range []string{"/audit/checkpoint", "/audit/key", "/audit/checkpoints", "/audit/proof/inclusion?seq=5", "/audit/tile/0/000"} {
			if strings.Contains(string(get(path, 200)), secret) {
				t.Errorf("%s shows what an entry says", path)
			}
		}
	})
}
