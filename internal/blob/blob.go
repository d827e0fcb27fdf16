// Package blob keeps objects (raw batches, attachments, documents) as encrypted
// files.
//
// Every object has a key of its own, wrapped by the master key and kept apart
// from the bytes, so that [Store.Destroy] erases it for good while its digest
// stays as proof. Bytes are sealed in chunks of 64 KiB (AES-256-GCM or SM4-GCM;
// the nonce counts the chunks and marks the last, so that none can be changed,
// moved, dropped or cut off), and streamed: memory does not grow with the object.
// Put returns after the disk has it all.
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
	"os"
	"path"
	"strings"
	"syscall"
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

// Store is a folder of objects. Its methods may be called by many goroutines.
type Store struct {
	root    *os.Root
	wrapper Wrapper
	cipher  Cipher
}

// Open opens the folder dir, making it when absent, and clears away what an
// interrupted Put left. New objects are sealed with c.
func Open(dir string, w Wrapper, c Cipher) (*Store, error) {
	if c != AES256GCM && c != SM4GCM {
		return nil, fmt.Errorf("unknown cipher %q", c)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	s := &Store{root: root, wrapper: w, cipher: c}
	for _, name := range []string{"objects", "keys", "new"} {
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			root.Close()
			return nil, fmt.Errorf("open object store: %w", err)
		}
	}
	left, err := fs.ReadDir(root.FS(), "new")
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("open object store: %w", err)
	}
	for _, entry := range left {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			root.Remove(path.Join("new", entry.Name()))
		}
	}
	return s, nil
}

// Close closes the folder; readers stay usable.
func (s *Store) Close() error { return s.root.Close() }

// record is the key file of an object.
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

func place(folder, id string) (dir, file string) {
	dir = folder + "/" + id[len(id)-2:]
	return dir, dir + "/" + id
}

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
// disk is full, with r's own error, or with ctx's; nothing is left then.
func (s *Store) Put(ctx context.Context, r io.Reader) (info Info, err error) {
	id := uuid.Must(uuid.NewV7()).String()
	temporary := "new/" + id
	f, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Info{}, classify(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			s.root.Remove(temporary)
		}
	}()
	key := make([]byte, s.cipher.keySize())
	rand.Read(key)
	w, err := newSealer(f, s.cipher, key, id)
	if err != nil {
		return Info{}, classify(err)
	}
	digest := sha256.New()
	size, err := w.copy(ctx, io.TeeReader(r, digest))
	if err != nil {
		return Info{}, classify(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return Info{}, classify(err)
	}
	info = Info{ID: id, Digest: hex.EncodeToString(digest.Sum(nil)), Size: size}
	rec := record{Cipher: s.cipher, Digest: info.Digest, Size: size}
	if rec.Key, err = s.wrapper.Seal(rec.label(id), key); err != nil {
		return Info{}, err
	}
	dir, file := place("objects", id)
	if err := s.mkdir(dir); err != nil {
		return Info{}, classify(err)
	}
	if err := s.root.Rename(temporary, file); err != nil {
		return Info{}, classify(err)
	}
	if err := errors.Join(s.syncDir(dir), s.writeRecord(id, rec)); err != nil {
		s.root.Remove(file)
		return Info{}, classify(err)
	}
	return info, nil
}

func (s *Store) mkdir(dir string) error {
	err := s.root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.syncDir(path.Dir(dir))
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) writeRecord(id string, rec record) error {
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	dir, file := place("keys", id)
	if err := s.mkdir(dir); err != nil {
		return err
	}
	temporary := "new/" + id + ".key"
	f, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		s.root.Remove(temporary)
		return err
	}
	if err := s.root.Rename(temporary, file); err != nil {
		return err
	}
	return s.syncDir(dir)
}

func (s *Store) readRecord(id string) (record, error) {
	if err := checkID(id); err != nil {
		return record{}, err
	}
	_, file := place("keys", id)
	text, err := s.root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, notFound()
	}
	if err != nil {
		return record{}, classify(err)
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
	rec, err := s.readRecord(id)
	if err != nil {
		return Info{}, err
	}
	return Info{ID: id, Digest: rec.Digest, Size: rec.Size, Destroyed: rec.Destroyed}, nil
}

// Open opens an object for reading from any place. It fails with errs.NotFound,
// or errs.Gone when the key was destroyed; reading fails with errs.Internal when
// the stored bytes were changed.
func (s *Store) Open(ctx context.Context, id string) (*Reader, error) {
	rec, err := s.readRecord(id)
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
	_, file := place("objects", id)
	f, err := s.root.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound()
	}
	if err != nil {
		return nil, classify(err)
	}
	head := make([]byte, headSize)
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, header(rec.Cipher)) {
		f.Close()
		return nil, damaged(err)
	}
	return &Reader{
		Info: Info{ID: id, Digest: rec.Digest, Size: rec.Size},
		file: f, aead: aead, extra: associated(rec.Cipher, id), chunk: -1, plain: make([]byte, 0, chunkSize),
	}, nil
}

// Destroy erases an object for good: first its key is overwritten and the disk
// has that, then the bytes go. Its digest, size and the time stay. Doing it again
// changes nothing. A backup made before holds the key still: destroy it there too.
func (s *Store) Destroy(ctx context.Context, id string, at time.Time) error {
	rec, err := s.readRecord(id)
	if err != nil {
		return err
	}
	if rec.Destroyed.IsZero() {
		// Overwritten in place before the file is replaced, so that the old blocks
		// of the key file do not keep it.
		if err := s.overwrite(id, rec); err != nil {
			return classify(err)
		}
		rec.Key, rec.Destroyed = nil, at.UTC()
		if err := s.writeRecord(id, rec); err != nil {
			return classify(err)
		}
	}
	dir, file := place("objects", id)
	if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify(err)
	}
	return classify(s.syncDir(dir))
}

func (s *Store) overwrite(id string, rec record) error {
	_, file := place("keys", id)
	f, err := s.root.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	blank := bytes.Repeat([]byte{' '}, int(info.Size()))
	rec.Key = nil
	text, err := json.Marshal(rec)
	if err == nil {
		copy(blank, text)
		_, err = f.WriteAt(blank, 0)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// Delete removes an object and all that is known of it: for uploads that were
// given up. What a decision erases goes through Destroy.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	for _, folder := range []string{"keys", "objects"} {
		_, file := place(folder, id)
		if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify(err)
		}
	}
	return nil
}

func classify(err error) error {
	if err == nil {
		return nil
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, full) {
			return errs.Newf(errs.Unavailable, "文件存储已满或不可写，本次内容未保存，请联系系统管理员",
				"the object store is full or cannot be written; nothing of this was kept: tell the system administrator").Because(err)
		}
	}
	return err
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

type sealer struct {
	w     io.Writer
	aead  cipher.AEAD
	extra []byte
}

func newSealer(w io.Writer, c Cipher, key []byte, id string) (*sealer, error) {
	aead, err := c.aead(key)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(header(c))
	return &sealer{w: w, aead: aead, extra: associated(c, id)}, err
}

// copy seals all of r. A chunk is written once it is known whether another follows.
func (s *sealer) copy(ctx context.Context, r io.Reader) (size int64, err error) {
	chunk, next := make([]byte, chunkSize), make([]byte, chunkSize)
	sealed := make([]byte, 0, chunkSize+tagSize)
	n, err := fill(r, chunk)
	if err != nil {
		return 0, err
	}
	for number := int64(0); ; number++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		m := 0
		if n == chunkSize {
			if m, err = fill(r, next); err != nil {
				return 0, err
			}
		}
		sealed = s.aead.Seal(sealed[:0], nonce(number, m == 0), chunk[:n], s.extra)
		if _, err := s.w.Write(sealed); err != nil {
			return 0, err
		}
		size += int64(n)
		if m == 0 {
			return size, nil
		}
		chunk, next, n = next, chunk, m
	}
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
	file  *os.File
	aead  cipher.AEAD
	extra []byte
	at    int64
	chunk int64 // the one in plain, -1 for none
	plain []byte
	raw   []byte
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
	n, err := r.file.ReadAt(r.raw, int64(headSize)+number*(chunkSize+tagSize))
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

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Walk calls fn for every object and tombstone of the store, in no set order.
func (s *Store) Walk(ctx context.Context, fn func(Info) error) error {
	return fs.WalkDir(s.root.FS(), "keys", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		id := name[strings.LastIndexByte(name, '/')+1:]
		info, err := s.Stat(ctx, id)
		if errs.Is(err, errs.NotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return fn(info)
	})
}
