package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gongshu/audit"
	"gongshu/audit/audittest"
	"gongshu/internal/db"
	"gongshu/internal/db/dbtest"
)

func eachStore(b *testing.B, body func(b *testing.B, d *db.DB)) {
	b.Run("sqlite", func(b *testing.B) { body(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { body(b, dbtest.Postgres(b)) })
}

// BenchmarkAppend is entries a second through the group commit, by the number of
// callers that wait at the same time.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			eachStore(b, func(b *testing.B, d *db.DB) {
				l := audittest.Open(b, d)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ResetTimer()
				for range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := l.Append(context.Background(), entry(7)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			})
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	e := full()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = e.Canonical(buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is a million entries, from an export and in the store.
func BenchmarkVerify(b *testing.B) {
	const million = 1_000_000
	eachStore(b, func(b *testing.B, d *db.DB) {
		s := seal(b, d, 30)
		for range million / 10000 {
			s.add(b, 10000)
		}
		if _, err := s.l.Checkpoint(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Run("store", func(b *testing.B) {
			for b.Loop() {
				if r := s.verify(b); !r.OK() {
					b.Fatal(faults(r))
				}
			}
		})
		file, _ := s.export(b, audit.ExportRange{})
		b.Run("export", func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				r, err := audit.VerifyExport(bytes.NewReader(file), audit.VerifyOptions{Known: s.known})
				if err != nil || !r.OK() {
					b.Fatal(err, faults(r))
				}
			}
		})
	})
}

// BenchmarkSearch is the auditor's search by case in a million entries, of which every
// hundredth stands under a case of its own: the oldest case, one that never was, and
// the oldest under an action that every block holds.
func BenchmarkSearch(b *testing.B) {
	const million = 1_000_000
	eachStore(b, func(b *testing.B, d *db.DB) {
		l := audittest.Open(b, d)
		for from := 0; from < million; from += 10000 {
			list := make([]audit.Entry, 10000)
			for i := range list {
				list[i] = entry(i)
				list[i].Case = ""
				if i%100 == 0 {
					list[i].Case = fmt.Sprintf("GX-%07d", from+i)
				}
			}
			if err := d.InTx(b.Context(), func(tx *db.Tx) error { _, err := l.AppendTx(b.Context(), tx, list...); return err }); err != nil {
				b.Fatal(err)
			}
			if _, err := l.Checkpoint(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range []struct {
			name string
			f    audit.Filter
			want int
		}{
			{"oldest", audit.Filter{Case: "GX-0000000"}, 1},
			{"none", audit.Filter{Case: "GX-none"}, 0},
			{"two fields", audit.Filter{Case: "GX-0000000", Action: "gateway.query", Body: "body-1"}, 1},
		} {
			b.Run(c.name, func(b *testing.B) {
				for b.Loop() {
					p, err := l.Search(b.Context(), c.f, 0, 50)
					if err != nil || len(p.Records) != c.want || p.Next != 0 {
						b.Fatal(len(p.Records), p.Next, err)
					}
				}
			})
		}
	})
}
