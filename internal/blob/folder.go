package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
)

// folder is a bucket of files. "new" holds what is being written.
type folder struct{ root *os.Root }

// OpenFolder opens a folder as a bucket, making it when absent, and clears away
// what an interrupted Put left a day ago or longer.
func OpenFolder(dir string) (Bucket, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	f := &folder{root: root}
	if err := root.Mkdir("new", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		root.Close()
		return nil, fmt.Errorf("open object store: %w", err)
	}
	left, err := fs.ReadDir(root.FS(), "new")
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("open object store: %w", err)
	}
	for _, entry := range left {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			root.Remove(path.Join("new", entry.Name()))
		}
	}
	return f, nil
}

// abandoned is the age at which an upload that nobody finished is cleared away.
const abandoned = 24 * time.Hour

func (f *folder) Close() error { return f.root.Close() }

func (f *folder) Put(ctx context.Context, name string, r io.Reader) (err error) {
	temporary := "new/" + uuid.NewString()
	file, err := f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return classify(err)
	}
	defer func() {
		if err != nil {
			file.Close()
			f.root.Remove(temporary)
		}
	}()
	if _, err := io.Copy(file, r); err != nil {
		return classify(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return classify(err)
	}
	dir := path.Dir(name)
	if err := f.mkdir(dir); err != nil {
		return classify(err)
	}
	if err := f.root.Rename(temporary, name); err != nil {
		return classify(err)
	}
	if err := f.sync(dir); err != nil {
		f.root.Remove(name)
		return classify(err)
	}
	return nil
}

// mkdir makes a folder and those above it, each on disk before the next.
func (f *folder) mkdir(dir string) error {
	if dir == "." {
		return nil
	}
	err := f.root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.mkdir(path.Dir(dir)); err != nil {
			return err
		}
		err = f.root.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.sync(path.Dir(dir))
}

func (f *folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Replace overwrites in place before the file is replaced, so that the old blocks
// of the file do not keep what stood there.
func (f *folder) Replace(ctx context.Context, name string, content []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return classify(err)
	}
	info, err := file.Stat()
	if err == nil {
		over := bytes.Repeat([]byte{' '}, int(info.Size()))
		copy(over, content)
		_, err = file.WriteAt(over, 0)
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return classify(err)
	}
	return f.Put(ctx, name, bytes.NewReader(content))
}

func (f *folder) Get(ctx context.Context, name string) (Source, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &fileSource{file, info.Size()}, nil
}

type fileSource struct {
	*os.File
	size int64
}

func (s *fileSource) Size() int64 { return s.size }

func (f *folder) Remove(ctx context.Context, name string) error {
	err := f.root.Remove(name)
	if absent(err) {
		return nil
	}
	if err == nil {
		err = f.sync(path.Dir(name))
	}
	return classify(err)
}

func (f *folder) List(ctx context.Context, prefix string, fn func(string) error) error {
	start := "."
	if dir, _, ok := cutLast(prefix, "/"); ok {
		start = dir
	}
	return fs.WalkDir(f.root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
		if absent(err) {
			return nil // removed meanwhile, or never made
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.IsDir() {
			if name == "new" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(name, prefix) {
			return nil
		}
		return fn(name)
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
