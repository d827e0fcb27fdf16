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
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gongshu/internal/blob"
	"gongshu/internal/blob/blobtest"
	"gongshu/internal/errs"
)

// each runs body on a store in a folder and on one in a bucket of an S3 server,
// with the bucket itself beside it.
func each(t *testing.T, c blob.Cipher, body func(t *testing.T, s *blob.Store, raw blob.Bucket)) {
	t.Helper()
	blobtest.Each(t, func(t *testing.T, address string) {
		s, err := blob.New(blobtest.Open(t, address), blob.NewMaster(c), c)
		if err != nil {
			t.Fatal(err)
		}
		body(t, s, blobtest.Open(t, address))
	})
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func names(t *testing.T, raw blob.Bucket, prefix string) (list []string) {
	t.Helper()
	if err := raw.List(t.Context(), prefix, func(name string) error { list = append(list, name); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func content(t *testing.T, raw blob.Bucket, name string) []byte {
	t.Helper()
	s, err := raw.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []blob.Cipher{blob.AES256GCM, blob.SM4GCM} {
		t.Run(string(c), func(t *testing.T) {
			each(t, c, func(t *testing.T, s *blob.Store, _ blob.Bucket) {
				for _, n := range []int{0, 1, 100, 65535, 65536, 65537, 131072, 300000} {
					roundTrip(t, s, n)
				}
			})
		})
	}
}

func roundTrip(t *testing.T, s *blob.Store, n int) {
	t.Helper()
	want := bytesOf(n)
	info, err := s.Put(t.Context(), bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(want)
	if info.Size != int64(n) || info.Digest != hex.EncodeToString(sum[:]) {
		t.Fatalf("%d bytes: %+v", n, info)
	}
	if got, err := s.Stat(t.Context(), info.ID); err != nil || got != info {
		t.Fatalf("stat: %+v, %v", got, err)
	}
	r, err := s.Open(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
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
}

// TestLargeObjectsStream sends what takes several parts on S3 and watches the
// memory that it takes.
func TestLargeObjectsStream(t *testing.T) {
	each(t, blob.AES256GCM, func(t *testing.T, s *blob.Store, raw blob.Bucket) {
		roundTrip(t, s, 4<<20-16) // the sealed form is what one request takes, and one byte more
		roundTrip(t, s, 21<<20)
		const size = 128 << 20
		var before, peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		digest := sha256.New()
		n := 0
		info, err := s.Put(t.Context(), io.TeeReader(&pattern{left: size, each: func() {
			if n++; n%64 == 0 {
				var now runtime.MemStats
				if runtime.ReadMemStats(&now); now.HeapAlloc > peak.HeapAlloc {
					peak = now
				}
			}
		}}, digest))
		if err != nil {
			t.Fatal(err)
		}
		if more := int64(peak.HeapAlloc) - int64(before.HeapAlloc); more > 80<<20 {
			t.Errorf("%d MB of memory for an object of %d MB", more>>20, size>>20)
		}
		r, err := s.Open(t.Context(), info.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		back := sha256.New()
		if m, err := io.Copy(back, r); err != nil || m != size || !bytes.Equal(back.Sum(nil), digest.Sum(nil)) {
			t.Errorf("%d bytes came back, %v", m, err)
		}
		if err := s.Delete(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
		for _, name := range names(t, raw, "") {
			if strings.HasSuffix(name, info.ID) {
				t.Errorf("%s is left", name)
			}
		}
	})
}

// pattern gives left bytes, none of them zero for long.
type pattern struct {
	left int
	n    byte
	each func()
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.each()
	b = b[:min(len(b), p.left)]
	for i := range b {
		p.n = p.n*5 + 3
		b[i] = p.n
	}
	p.left -= len(b)
	return len(b), nil
}

func TestPlainBytesAreNowhereOnDisk(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, address string) {
		s, err := blob.New(blobtest.Open(t, address), blob.NewMaster(blob.AES256GCM), blob.AES256GCM)
		if err != nil {
			t.Fatal(err)
		}
		planted := []byte("350102199003070012 林某某 planted")
		if _, err := s.Put(t.Context(), bytes.NewReader(bytes.Repeat(planted, 5000))); err != nil {
			t.Fatal(err)
		}
		dir := address
		if strings.HasPrefix(address, "s3:") {
			dir = blobtest.Folder(t, address)
		}
		n := 0
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			text, err := os.ReadFile(path)
			if bytes.Contains(text, planted[:18]) {
				t.Errorf("%s holds plain bytes", path)
			}
			return err
		}); err != nil || n < 2 {
			t.Fatalf("%d files, %v", n, err)
		}
	})
}

func TestChangedBytesAreNoticed(t *testing.T) {
	each(t, blob.SM4GCM, func(t *testing.T, s *blob.Store, raw blob.Bucket) {
		info, err := s.Put(t.Context(), bytes.NewReader(bytesOf(200000)))
		if err != nil {
			t.Fatal(err)
		}
		name := names(t, raw, "objects/")[0]
		good := content(t, raw, name)
		const sealed = 65536 + 16
		swapped := bytes.Clone(good)
		copy(swapped[16:], good[16+sealed:16+2*sealed])
		copy(swapped[16+sealed:], good[16:16+sealed])
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		for what, bad := range map[string][]byte{
			"flipped bit": flipped, "swapped chunks": swapped, "cut off": good[:16+2*sealed], "cut mid-chunk": good[:len(good)-5],
			"longer": append(bytes.Clone(good), 0), "empty": {}, "header": append([]byte("x"), good[1:]...),
		} {
			if err := raw.Put(t.Context(), name, bytes.NewReader(bad)); err != nil {
				t.Fatal(err)
			}
			r, err := s.Open(t.Context(), info.ID)
			if err == nil {
				_, err = io.ReadAll(r)
				r.Close()
			}
			if !errs.Is(err, errs.Internal) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestDestroyErasesAndKeepsProof(t *testing.T) {
	blobtest.Each(t, func(t *testing.T, address string) {
		raw := blobtest.Open(t, address)
		s, err := blob.New(blobtest.Open(t, address), blob.NewMaster(blob.AES256GCM), blob.AES256GCM)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Put(t.Context(), strings.NewReader("secret found later"))
		if err != nil {
			t.Fatal(err)
		}
		key := content(t, raw, names(t, raw, "keys/")[0])
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
		if left := names(t, raw, "objects/"); len(left) != 0 {
			t.Errorf("bytes are left: %v", left)
		}
		wrapped := bytes.SplitN(bytes.SplitN(key, []byte(`"key":"`), 2)[1], []byte(`"`), 2)[0]
		dir := address
		if strings.HasPrefix(address, "s3:") {
			dir = filepath.Dir(blobtest.Folder(t, address)) // with what the server keeps beside the buckets
		}
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if text, _ := os.ReadFile(path); bytes.Contains(text, wrapped) {
				t.Errorf("%s holds the key still", path)
			}
			return nil
		})
		n := 0
		if err := s.Walk(t.Context(), func(blob.Info) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("walk found %d, %v", n, err)
		}
	})
}

func TestFailedPutLeavesNothing(t *testing.T) {
	each(t, blob.AES256GCM, func(t *testing.T, s *blob.Store, raw blob.Bucket) {
		fault := errors.New("the line broke")
		for _, n := range []int{0, 100000, 6 << 20} {
			if _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(bytesOf(n)), iotestErr{fault})); !errors.Is(err, fault) {
				t.Errorf("after %d bytes: %v", n, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Put(ctx, bytes.NewReader(bytesOf(100000))); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if left := names(t, raw, ""); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

func TestForeignNamesAreNotFound(t *testing.T) {
	each(t, blob.AES256GCM, func(t *testing.T, s *blob.Store, _ blob.Bucket) {
		for _, id := range []string{"", "x", "../outside", "../../outside", "0192f3b4-0000-7000-8000-000000000000", "0192F3B4-0000-7000-8000-00000000000A"} {
			if _, err := s.Open(t.Context(), id); !errs.Is(err, errs.NotFound) {
				t.Errorf("open %q: %v", id, err)
			}
			if err := s.Destroy(t.Context(), id, time.Now()); !errs.Is(err, errs.NotFound) {
				t.Errorf("destroy %q: %v", id, err)
			}
		}
	})
}

func TestOwner(t *testing.T) {
	each(t, blob.AES256GCM, func(t *testing.T, s *blob.Store, _ blob.Bucket) {
		if owner, err := s.Owner(t.Context()); err != nil || owner != "" {
			t.Fatalf("a new bucket belongs to %q, %v", owner, err)
		}
		for range 2 {
			if err := s.Claim(t.Context(), "gongshu-log-1"); err != nil {
				t.Fatal(err)
			}
		}
		if owner, err := s.Owner(t.Context()); err != nil || owner != "gongshu-log-1" {
			t.Errorf("%q, %v", owner, err)
		}
		if err := s.Walk(t.Context(), func(i blob.Info) error { return errors.New(i.ID) }); err != nil {
			t.Errorf("the owner is taken for an object: %v", err)
		}
	})
}

func TestS3Refusals(t *testing.T) {
	address := blobtest.S3(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	at := func(edit func(*url.URL)) string {
		v := *u
		edit(&v)
		return v.String()
	}
	refused := func(what, address, says string) {
		t.Helper()
		b, err := blob.OpenBucket(t.Context(), address)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("no endpoint", "s3://bucket", "s3://bucket/prefix?endpoint=")
	refused("unknown parameter", address+"&secret=x", "no parameter secret")
	refused("a key in the address", at(func(u *url.URL) { u.User = url.UserPassword("a", "b") }), "AWS_ACCESS_KEY_ID")
	refused("no such bucket", at(func(u *url.URL) { u.Host = "nobody-made-this" }), "no bucket nobody-made-this")
	refused("nobody listens", "s3://bucket?endpoint=http://127.0.0.1:1", "cannot be reached")

	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := blob.New(blobtest.Open(t, address), blob.NewMaster(blob.AES256GCM), blob.AES256GCM)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Put(t.Context(), strings.NewReader("kept"))
	if err != nil {
		t.Fatal(err)
	}
	if err := blobtest.Client(t, endpoint.Host).EnableVersioning(t.Context(), u.Host); err != nil {
		t.Fatal(err)
	}
	refused("a bucket that keeps versions", address, "keeps versions")
	// Versions switched on while the program runs: what cannot be erased is not said
	// to be, and stays as it was.
	if err := s.Destroy(t.Context(), info.ID, time.Now()); !errs.Is(err, errs.Conflict) {
		t.Errorf("destroy in a bucket that keeps versions: %v", err)
	}
	if r, err := s.Open(t.Context(), info.ID); err != nil {
		t.Errorf("after a refused destruction: %v", err)
	} else {
		r.Close()
	}

	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	refused("a wrong key", address, "refuses this platform's key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	refused("no key", address, "AWS_SECRET_ACCESS_KEY in the environment")
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
