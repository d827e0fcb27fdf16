package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gongshu/internal/blob"
	"gongshu/internal/errs"
)

func open(t *testing.T, c blob.Cipher) (*blob.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := blob.Open(dir, blob.NewMaster(c), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func files(t *testing.T, dir, under string) (list []string) {
	t.Helper()
	filepath.WalkDir(filepath.Join(dir, under), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return nil
	})
	return list
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []blob.Cipher{blob.AES256GCM, blob.SM4GCM} {
		t.Run(string(c), func(t *testing.T) {
			s, _ := open(t, c)
			for _, n := range []int{0, 1, 100, 65535, 65536, 65537, 131072, 300000} {
				want := bytesOf(n)
				info, err := s.Put(t.Context(), bytes.NewReader(want))
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(want)
				if info.Size != int64(n) || info.Digest != hex.EncodeToString(sum[:]) {
					t.Fatalf("%d bytes: %+v", n, info)
				}
				r, err := s.Open(t.Context(), info.ID)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes came back as %d, %v", n, len(got), err)
				}
				for range 20 {
					off := rand.IntN(n + 1)
					part := make([]byte, rand.IntN(n+1))
					m, err := r.ReadAt(part, int64(off))
					if !bytes.Equal(part[:m], want[off:min(n, off+len(part))]) || (m < len(part)) != (err == io.EOF) {
						t.Fatalf("%d bytes at %d of %d: %d, %v", len(part), off, n, m, err)
					}
				}
				if at, err := r.Seek(-1, io.SeekEnd); n > 0 && (err != nil || at != int64(n-1)) {
					t.Errorf("seek: %d, %v", at, err)
				}
				r.Close()
			}
		})
	}
}

func TestPlainBytesAreNowhereOnDisk(t *testing.T) {
	s, dir := open(t, blob.AES256GCM)
	planted := []byte("350102199003070012 林某某 planted")
	info, err := s.Put(t.Context(), bytes.NewReader(bytes.Repeat(planted, 5000)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t, dir, "") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, planted[:18]) {
			t.Errorf("%s holds plain bytes", path)
		}
	}
	if _, err := s.Stat(t.Context(), info.ID); err != nil {
		t.Fatal(err)
	}
}

func TestChangedBytesAreNoticed(t *testing.T) {
	s, dir := open(t, blob.SM4GCM)
	info, err := s.Put(t.Context(), bytes.NewReader(bytesOf(200000)))
	if err != nil {
		t.Fatal(err)
	}
	path := files(t, dir, "objects")[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const sealed = 65536 + 16
	swapped := bytes.Clone(good)
	copy(swapped[16:], good[16+sealed:16+2*sealed])
	copy(swapped[16+sealed:], good[16:16+sealed])
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{
		"flipped bit": flipped, "swapped chunks": swapped, "cut off": good[:16+2*sealed], "cut mid-chunk": good[:len(good)-5],
		"longer": append(bytes.Clone(good), 0), "empty": {}, "header": append([]byte("x"), good[1:]...),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), info.ID)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDestroyErasesAndKeepsProof(t *testing.T) {
	s, dir := open(t, blob.AES256GCM)
	info, err := s.Put(t.Context(), bytes.NewReader([]byte("secret found later")))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(files(t, dir, "keys")[0])
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 3, 1, 2, 3, 0, time.UTC)
	for range 2 {
		if err := s.Destroy(t.Context(), info.ID, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open(t.Context(), info.ID); !errs.Is(err, errs.Gone) {
		t.Errorf("open: %v", err)
	}
	got, err := s.Stat(t.Context(), info.ID)
	if err != nil || got.Digest != info.Digest || got.Size != info.Size || !got.Destroyed.Equal(at) {
		t.Errorf("stat: %+v, %v", got, err)
	}
	if left := files(t, dir, "objects"); len(left) != 0 {
		t.Errorf("bytes are left: %v", left)
	}
	wrapped := bytes.SplitN(bytes.SplitN(key, []byte(`"key":"`), 2)[1], []byte(`"`), 2)[0]
	for _, path := range files(t, dir, "") {
		if content, _ := os.ReadFile(path); bytes.Contains(content, wrapped) {
			t.Errorf("%s holds the key still", path)
		}
	}
	n := 0
	if err := s.Walk(t.Context(), func(blob.Info) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("walk found %d, %v", n, err)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	s, dir := open(t, blob.AES256GCM)
	fault := errors.New("the line broke")
	if _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(bytesOf(100000)), iotestErr{fault})); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, bytes.NewReader(bytesOf(100000))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := files(t, dir, ""); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

func TestForeignNamesAreNotFound(t *testing.T) {
	s, dir := open(t, blob.AES256GCM)
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "x", "../outside", "../../outside", "0192f3b4-0000-7000-8000-000000000000", "0192F3B4-0000-7000-8000-00000000000A"} {
		if _, err := s.Open(t.Context(), id); !errs.Is(err, errs.NotFound) {
			t.Errorf("open %q: %v", id, err)
		}
		if err := s.Destroy(t.Context(), id, time.Now()); !errs.Is(err, errs.NotFound) {
			t.Errorf("destroy %q: %v", id, err)
		}
	}
}

func TestMasterKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	a, err := blob.LoadMaster(path, blob.SM4GCM)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	sealed, err := a.Seal("client secret", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := blob.LoadMaster(path, blob.AES256GCM)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Unseal("client secret", sealed); err != nil || string(got) != "s3cret" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.Unseal("another use", sealed); !errs.Is(err, errs.Internal) {
		t.Errorf("another label: %v", err)
	}
	if _, err := blob.NewMaster(blob.SM4GCM).Unseal("client secret", sealed); !errs.Is(err, errs.Internal) {
		t.Errorf("another key: %v", err)
	}
	if !bytes.Equal(a.Derive("x", 32), b.Derive("x", 32)) || bytes.Equal(a.Derive("x", 32), a.Derive("y", 32)) {
		t.Error("derived keys must depend on the purpose alone")
	}
	if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.LoadMaster(path, blob.AES256GCM); err == nil {
		t.Error("junk was taken for a key")
	}
}
