package agreement

import (
	"os"
	"strings"
	"testing"
	"time"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/clause"
	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/profile"
)

func service(t *testing.T, d *db.DB) *Service {
	t.Helper()
	keys, err := audit.GenerateKeys("test-platform")
	if err != nil {
		t.Fatal(err)
	}
	verifiers, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	door, err := operation.New(operation.Deps{DB: d, Log: audittest.Open(t, d)})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 1, 0, 0, 123e6, time.UTC)
	s, err := New(Deps{DB: d, Door: door, Signers: keys.Signers(), Verifiers: verifiers, Now: func() time.Time { at = at.Add(time.Second); return at }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func terms() Terms {
	t := Terms{CaseNo: "GX-2026-000001", Provider: "市公安局", Consumer: "市市场监督管理局", Authority: "市大数据委", Platform: "福州市政务数据汇聚共享平台",
		Basis: "《福州市政务数据资源管理办法》第十七条", Resource: "101001/0001", ResourceName: "户籍人口基本信息", Sharing: "有条件共享",
		Purposes: "数据校核", Business: "企业开办身份核验", Users: "登记科", Items: []string{"公民身份号码（脱敏：pseudonym）", "姓名（脱敏：keep_ends）"},
		Rows: "全部", Mode: "核验（比对）", Ends: "2027-03-01", Days: 364, Onward: "不得将数据提供给第三方。"}
	t.Words.Provider, t.Words.Consumer = "数据提供部门", "数据使用部门"
	return t
}

func leader(body string) identity.Actor {
	return identity.Actor{Kind: identity.Person, ID: "leader-" + body, Name: "分管领导", Body: body, District: "350100", Level: "city", Post: identity.Leader, Posts: []identity.Post{identity.Leader}}
}

var sides = []Party{{profile.RelProvider, "police", "市公安局", true}, {profile.RelConsumer, "market", "市市场监督管理局", true}, {profile.RelAuthority, "bigdata", "市大数据委", false}}

func TestGoldenText(t *testing.T) {
	clause.Covers(t, "FZM-17", "LY-12")
	x := terms()
	x.Number = "XY-GX-2026-000001-1"
	text, sum, err := Render("sharing", x)
	if err != nil || len(sum) != 64 {
		t.Fatal(sum, err)
	}
	const golden = "testdata/sharing.golden.txt"
	if os.Getenv("GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the words differ from %s (GOLDEN=1 writes it):\n%s", golden, text)
	}
	if _, _, err := Render("unknown", x); !errs.Is(err, errs.Internal) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestBothSidesSign(t *testing.T) {
	clause.Covers(t, "FZM-17", "LY-12")
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := service(t, d)
		in := func(fn func(tx *db.Tx) error) error { return d.InTx(t.Context(), fn) }
		var a Agreement
		draft := func() {
			t.Helper()
			if err := in(func(tx *db.Tx) (err error) {
				a, err = s.DraftTx(t.Context(), tx, Draft{Kind: "sharing", CaseID: "c1", Terms: terms(), Parties: sides})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		sign := func(body, relation string) error {
			return in(func(tx *db.Tx) (err error) {
				a, err = s.SignTx(t.Context(), tx, leader(body), "c1", relation)
				return err
			})
		}
		if err := sign("police", profile.RelProvider); !errs.Is(err, errs.NotFound) {
			t.Errorf("signing nothing: %v", err)
		}
		draft()
		draft()
		if a.Version != 2 || a.Number != "XY-GX-2026-000001-2" {
			t.Fatalf("version %d number %s", a.Version, a.Number)
		}
		if old, err := get(t.Context(), d.Read(), "XY-GX-2026-000001-1"); err != nil || old.State != Superseded {
			t.Errorf("the first version is %s (%v)", old.State, err)
		}
		if err := sign("school", profile.RelProvider); !errs.Is(err, errs.Conflict) {
			t.Errorf("a stranger signs: %v", err)
		}
		if err := sign("bigdata", profile.RelAuthority); !errs.Is(err, errs.Conflict) {
			t.Errorf("the witness signs: %v", err)
		}
		if err := sign("police", profile.RelProvider); err != nil || a.State != Signing {
			t.Fatal(a.State, err)
		}
		if err := sign("police", profile.RelProvider); !errs.Is(err, errs.Conflict) {
			t.Errorf("signing twice: %v", err)
		}
		if err := sign("market", profile.RelConsumer); err != nil || a.State != Effective {
			t.Fatal(a.State, err)
		}
		kept, err := s.Get(t.Context(), leader("market"), a.Number)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Check(kept); err != nil || n != 4 {
			t.Errorf("%d valid signature lines (%v), want Ed25519 and SM2 of two sides", n, err)
		}
		if _, err := s.Get(t.Context(), leader("school"), a.Number); !errs.Is(err, errs.Forbidden) {
			t.Errorf("a stranger reads: %v", err)
		}
		forged := kept
		forged.Text = strings.Replace(forged.Text, "2027-03-01", "2037-03-01", 1)
		if _, err := s.Check(forged); err == nil {
			t.Error("changed words pass the check")
		}
		forged.Digest = Digest(forged.Text)
		if _, err := s.Check(forged); err == nil {
			t.Error("changed words with a fitting digest pass the check")
		}
		if err := in(func(tx *db.Tx) error { return s.CloseTx(t.Context(), tx, "c1", "授权收回") }); err != nil {
			t.Fatal(err)
		}
		if got, n, err := s.List(t.Context(), leader("police"), Filter{State: Ended, Text: "户籍人口"}); err != nil || n != 1 || got[0].Reason != "授权收回" {
			t.Errorf("ended agreements: %d %v", n, err)
		}
		if _, n, _ := s.List(t.Context(), leader("school"), Filter{}); n != 0 {
			t.Error("a stranger lists agreements")
		}
	})
}
