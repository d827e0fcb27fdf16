package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"syscall"

	"gongshu/internal/errs"
)

// Bucket keeps bytes under names ("keys/0a/01a2…"): a folder ([OpenFolder]) or a
// bucket of an S3 server ([OpenS3]). Every node of a platform sees the same one. It
// knows nothing of what the bytes are; [Store] seals them. Its methods may be called
// by many goroutines.
type Bucket interface {
	// Put keeps what r gives until io.EOF, in memory that does not grow with it, and
	// returns when the medium has all of it. Readers see all of it or nothing.
	Put(ctx context.Context, name string, r io.Reader) error
	// Replace puts content where a small secret stood, and sees that what stood there
	// cannot be had any more. It fails with errs.Conflict where the medium keeps earlier
	// versions.
	Replace(ctx context.Context, name string, content []byte) error
	// Get opens bytes for reading; its error wraps fs.ErrNotExist when there are none.
	Get(ctx context.Context, name string) (Source, error)
	// Remove takes bytes away; it is no error when there are none.
	Remove(ctx context.Context, name string) error
	// List calls fn for every name that begins with prefix, in no set order.
	List(ctx context.Context, prefix string, fn func(name string) error) error
	// Close gives back what the bucket holds; open sources stay usable.
	Close() error
}

// Source is bytes open for reading; ReadAt is for one goroutine at a time.
type Source interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenBucket opens the bucket at an address: "s3://bucket/prefix?endpoint=…" as
// [OpenS3] takes it, else a folder, with or without "file:" before it.
func OpenBucket(ctx context.Context, address string) (Bucket, error) {
	if strings.HasPrefix(address, "s3:") {
		u, err := url.Parse(address)
		if err != nil {
			return nil, errs.Newf(errs.Invalid, "对象存储地址无法识别", "the address of the object store cannot be read").In("--objects").Because(err)
		}
		return OpenS3(ctx, u)
	}
	return OpenFolder(strings.TrimPrefix(address, "file:"))
}

// read returns all bytes under a name, which are few.
func read(ctx context.Context, b Bucket, name string) ([]byte, error) {
	s, err := b.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	return text, errors.Join(err, s.Close())
}

func classify(err error) error {
	if err == nil {
		return nil
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, full) {
			return errs.Newf(errs.Unavailable, "文件存储已满或不可写，本次内容未保存；请联系系统管理员，恢复后重新发送",
				"the object store is full or cannot be written; nothing of this was kept: tell the system administrator, and send it again once there is room").
				Because(err).Retry(5)
		}
	}
	return err
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
