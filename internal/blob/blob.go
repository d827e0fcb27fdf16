// Package blob keeps objects (raw batches, attachments, documents) encrypted, in a
// folder or in a bucket of an S3 server.
//
// Every object has a key of its own, wrapped by the master key and kept apart
// from the bytes, so that [Store.Destroy] erases it for good while its digest
// stays as proof. Bytes are sealed in chunks of 64 KiB (AES-256-GCM or SM4-GCM;
// the nonce counts the chunks and marks the last, so that none can be changed,
// moved, dropped or cut off), and streamed: memory does not grow with the object.
// Put returns after the medium has it all.
package blob

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/google/uuid"

	"gongshu/internal/errs"
)

const (
	chunkSize = 64 << 10
	magic     = "GSOBJ1\r\n"
	headSize  = len(magic) + 8 // magic, cipher number, seven zero bytes
	tagSize   = 16
)

// Info describes an object.
type Info struct {
	ID     string // names the object in this store
	Digest string // SHA-256 of the plain bytes, 64 hexadecimal digits
	Size   int64  // plain bytes
	// Destroyed is when its key was destroyed; zero while it can be read.
	Destroyed time.Time
}

// Store keeps objects in a [Bucket]. Its methods may be called by many goroutines.
type Store struct {
	bucket  Bucket
	wrapper Wrapper
	cipher  Cipher
}

// Open opens the store in a folder; see [OpenFolder] and [New].
func Open(dir string, w Wrapper, c Cipher) (*Store, error) {
	bucket, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	return New(bucket, w, c)
}

// New makes a store of a bucket, which it owns from then on. New objects are
// sealed with c.
func New(bucket Bucket, w Wrapper, c Cipher) (*Store, error) {
	if c != AES256GCM && c != SM4GCM {
		return nil, errors.Join(fmt.Errorf("unknown cipher %q", c), bucket.Close())
	}
	return &Store{bucket: bucket, wrapper: w, cipher: c}, nil
}

// Close closes the bucket; readers stay usable.
func (s *Store) Close() error { return s.bucket.Close() }

// ownerName is where a bucket says whose it is.
const ownerName = "owner"

// Owner is the platform that the bucket was made for, "" when nobody has claimed it.
func (s *Store) Owner(ctx context.Context) (string, error) {
	text, err := read(ctx, s.bucket, ownerName)
	if absent(err) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// Claim writes down whose bucket this is. Several nodes of one platform may do so
// at once.
func (s *Store) Claim(ctx context.Context, owner string) error {
	return s.bucket.Put(ctx, ownerName, strings.NewReader(owner+"\n"))
}

// record is what stands under an object's name among the keys.
type record struct {
	Cipher    Cipher    `json:"cipher"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	Key       []byte    `json:"key,omitempty"` // wrapped
	Destroyed time.Time `json:"destroyed,omitzero"`
}

// label binds a wrapped key to the object and to what is said of it.
func (r *record) label(id string) string {
	return fmt.Sprintf("object %s %s %s %d", id, r.Cipher, r.Digest, r.Size)
}

func place(folder, id string) string { return folder + "/" + id[len(id)-2:] + "/" + id }

func checkID(id string) error {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return notFound()
	}
	return nil
}

func notFound() error {
	return errs.Newf(errs.NotFound, "没有这个文件对象", "there is no such object")
}

// Put stores what r gives until io.EOF. It fails with errs.Unavailable when the
// bucket is full or cannot be reached, with r's own error, or with ctx's; nothing is
// left then.
func (s *Store) Put(ctx context.Context, r io.Reader) (info Info, err error) {
	id := uuid.Must(uuid.NewV7()).String()
	key := make([]byte, s.cipher.keySize())
	rand.Read(key)
	digest := sha256.New()
	sealed, err := newSealer(ctx, io.TeeReader(r, digest), s.cipher, key, id)
	if err != nil {
		return Info{}, err
	}
	if err := s.bucket.Put(ctx, place("objects", id), sealed); err != nil {
		return Info{}, err
	}
	info = Info{ID: id, Digest: hex.EncodeToString(digest.Sum(nil)), Size: sealed.size}
	rec := record{Cipher: s.cipher, Digest: info.Digest, Size: info.Size}
	if rec.Key, err = s.wrapper.Seal(rec.label(id), key); err == nil {
		err = s.bucket.Put(ctx, place("keys", id), bytes.NewReader(rec.text()))
	}
	if err != nil {
		s.bucket.Remove(context.WithoutCancel(ctx), place("objects", id))
		return Info{}, err
	}
	return info, nil
}

func (r *record) text() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("blob: " + err.Error()) // strings, bytes and a number
	}
	return append(text, '\n')
}

func (s *Store) readRecord(ctx context.Context, id string) (record, error) {
	if err := checkID(id); err != nil {
		return record{}, err
	}
	text, err := read(ctx, s.bucket, place("keys", id))
	if absent(err) {
		return record{}, notFound()
	}
	if err != nil {
		return record{}, err
	}
	var rec record
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&rec); err != nil {
		return record{}, fmt.Errorf("key of object %s: %w", id, err)
	}
	return rec, nil
}

// Stat describes an object, also one whose key was destroyed; errs.NotFound when
// there never was one or it was deleted.
func (s *Store) Stat(ctx context.Context, id string) (Info, error) {
	rec, err := s.readRecord(ctx, id)
	if err != nil {
		return Info{}, err
	}
	return Info{ID: id, Digest: rec.Digest, Size: rec.Size, Destroyed: rec.Destroyed}, nil
}

// Open opens an object for reading from any place. It fails with errs.NotFound,
// or errs.Gone when the key was destroyed; reading fails with errs.Internal when
// the stored bytes were changed.
func (s *Store) Open(ctx context.Context, id string) (*Reader, error) {
	rec, err := s.readRecord(ctx, id)
	if err != nil {
		return nil, err
	}
	if !rec.Destroyed.IsZero() {
		return nil, errs.Newf(errs.Gone, "该文件已按程序销毁，仅保留摘要", "the object was destroyed by decision; only its digest is kept")
	}
	key, err := s.wrapper.Unseal(rec.label(id), rec.Key)
	if err != nil {
		return nil, err
	}
	aead, err := rec.Cipher.aead(key)
	if err != nil {
		return nil, err
	}
	source, err := s.bucket.Get(ctx, place("objects", id))
	if absent(err) {
		return nil, notFound()
	}
	if err != nil {
		return nil, err
	}
	head := make([]byte, headSize)
	if _, err := source.ReadAt(head, 0); err != nil && err != io.EOF {
		source.Close()
		return nil, classify(err)
	}
	if !bytes.Equal(head, header(rec.Cipher)) {
		source.Close()
		return nil, damaged(errors.New("not the head of an object"))
	}
	return &Reader{
		Info:   Info{ID: id, Digest: rec.Digest, Size: rec.Size},
		source: source, aead: aead, extra: associated(rec.Cipher, id), chunk: -1, plain: make([]byte, 0, chunkSize),
	}, nil
}

// Destroy erases an object for good: first its key goes and the medium has that,
// then the bytes go. Its digest, size and the time stay. Doing it again changes
// nothing. A backup made before holds the key still: destroy it there too.
func (s *Store) Destroy(ctx context.Context, id string, at time.Time) error {
	rec, err := s.readRecord(ctx, id)
	if err != nil {
		return err
	}
	if rec.Destroyed.IsZero() {
		rec.Key, rec.Destroyed = nil, at.UTC()
		if err := s.bucket.Replace(ctx, place("keys", id), rec.text()); err != nil {
			return err
		}
	}
	return s.bucket.Remove(ctx, place("objects", id))
}

// Delete removes an object and all that is known of it: for uploads that were
// given up. What a decision erases goes through Destroy.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	for _, folder := range []string{"keys", "objects"} {
		if err := s.bucket.Remove(ctx, place(folder, id)); err != nil {
			return err
		}
	}
	return nil
}

func damaged(err error) error {
	return errs.Newf(errs.Internal, "文件内容校验失败，存储中的数据被改动或损坏", "the stored bytes were changed or damaged").Because(err)
}

func header(c Cipher) []byte {
	head := append([]byte(magic), 1, 0, 0, 0, 0, 0, 0, 0)
	if c == SM4GCM {
		head[len(magic)] = 2
	}
	return head
}

func associated(c Cipher, id string) []byte { return append(header(c), id...) }

// nonce is three zero bytes, the number of the chunk in eight, and whether it is
// the last. No key seals two objects, so none repeats.
func nonce(chunk int64, last bool) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[3:], uint64(chunk))
	if last {
		n[11] = 1
	}
	return n
}

// sealer reads the sealed form of what a reader gives.
type sealer struct {
	ctx    context.Context
	r      io.Reader
	aead   cipher.AEAD
	extra  []byte
	size   int64 // plain bytes so far
	number int64
	chunk  []byte // the one to seal next
	next   []byte // read ahead: only the last chunk is marked so
	sealed []byte
	left   []byte // of sealed, not yet read
	ended  bool
	failed error
}

func newSealer(ctx context.Context, r io.Reader, c Cipher, key []byte, id string) (*sealer, error) {
	aead, err := c.aead(key)
	if err != nil {
		return nil, err
	}
	s := &sealer{ctx: ctx, r: r, aead: aead, extra: associated(c, id), chunk: make([]byte, chunkSize), next: make([]byte, chunkSize), sealed: make([]byte, 0, chunkSize+tagSize)}
	s.left = header(c)
	n, err := fill(r, s.chunk)
	s.chunk = s.chunk[:n]
	return s, err
}

// Read gives sealed bytes. A chunk is sealed once it is known whether another
// follows.
func (s *sealer) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		if s.failed == nil && s.ended {
			s.failed = io.EOF
		}
		if s.failed == nil {
			s.failed = s.seal()
		}
		if s.failed != nil {
			return 0, s.failed
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *sealer) seal() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	n := 0
	if len(s.chunk) == chunkSize {
		var err error
		if n, err = fill(s.r, s.next[:chunkSize]); err != nil {
			return err
		}
	}
	s.ended = n == 0
	s.sealed = s.aead.Seal(s.sealed[:0], nonce(s.number, s.ended), s.chunk, s.extra)
	s.left = s.sealed
	s.size += int64(len(s.chunk))
	s.number++
	s.chunk, s.next = s.next[:n], s.chunk[:chunkSize]
	return nil
}

// fill reads until p is full or r ends; fewer bytes mean the end.
func fill(r io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(r, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, nil
	}
	return n, err
}

// Reader reads an object; it is an io.ReadSeekCloser and an io.ReaderAt for one
// goroutine at a time.
type Reader struct {
	Info
	source Source
	aead   cipher.AEAD
	extra  []byte
	at     int64
	chunk  int64 // the one in plain, -1 for none
	plain  []byte
	raw    []byte
}

// Read reads on.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt reads at a place; io.EOF when fewer bytes than asked for are left.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	n := 0
	for n < len(p) {
		if off >= r.Size {
			// Even of an empty object the one chunk is checked.
			if r.Size == 0 && r.chunk < 0 {
				if err := r.load(0); err != nil {
					return 0, err
				}
			}
			return n, io.EOF
		}
		number := off / chunkSize
		if number != r.chunk {
			if err := r.load(number); err != nil {
				return n, err
			}
		}
		m := copy(p[n:], r.plain[off-number*chunkSize:])
		if m == 0 {
			return n, damaged(errors.New("a chunk is shorter than the recorded size"))
		}
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

func (r *Reader) load(number int64) error {
	last := (r.Size - 1) / chunkSize
	if r.Size == 0 {
		last = 0
	}
	if r.raw == nil {
		r.raw = make([]byte, chunkSize+tagSize)
	}
	n, err := r.source.ReadAt(r.raw, int64(headSize)+number*(chunkSize+tagSize))
	if err != nil && err != io.EOF {
		return classify(err)
	}
	r.chunk = -1
	plain, err := r.aead.Open(r.plain[:0], nonce(number, number == last), r.raw[:n], r.extra)
	if err != nil {
		return damaged(err)
	}
	r.plain, r.chunk = plain, number
	return nil
}

// Seek moves the place of Read.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.Size
	default:
		return 0, fs.ErrInvalid
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	r.at = offset
	return offset, nil
}

// Close closes the object.
func (r *Reader) Close() error { return r.source.Close() }

// Walk calls fn for every object and tombstone of the store, in no set order.
func (s *Store) Walk(ctx context.Context, fn func(Info) error) error {
	return s.bucket.List(ctx, "keys/", func(name string) error {
		info, err := s.Stat(ctx, name[strings.LastIndexByte(name, '/')+1:])
		if errs.Is(err, errs.NotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return fn(info)
	})
}
