package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gongshu/internal/errs"
)

const (
	// wholeLimit is up to how many bytes go in one request; more go in parts.
	wholeLimit = 4 << 20
	// partSize is the memory of an upload in parts. With the 10,000 parts that S3
	// allows it bounds an object to 160 GB.
	partSize = 16 << 20
)

// s3Bucket is a bucket of an S3 server, or what begins with a prefix in it.
type s3Bucket struct {
	core   minio.Core
	bucket string
	prefix string // "" or ends in "/"
}

// OpenS3 opens a bucket of an S3 server: "s3://BUCKET[/PREFIX]?endpoint=URL", with
// region=NAME where it is not us-east-1. The endpoint is https unless it says http.
// The key is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and
// AWS_SESSION_TOKEN), never from the address, which stands in process lists.
//
// It fails when the bucket does not exist, may not be used with this key, or keeps
// versions: nothing could be erased from it.
func OpenS3(ctx context.Context, address *url.URL) (Bucket, error) {
	bad := func(zh, en string) (Bucket, error) {
		return nil, errs.New(errs.Invalid, errs.T(zh, en)).In("--objects")
	}
	q := address.Query()
	for name := range q {
		if name != "endpoint" && name != "region" {
			return bad("对象存储地址中不能有参数 "+name+"，只有 endpoint 与 region", "the address of the object store has no parameter "+name+", only endpoint and region")
		}
	}
	if address.User != nil {
		return bad("不要把密钥写在地址里，请用环境变量 AWS_ACCESS_KEY_ID 与 AWS_SECRET_ACCESS_KEY",
			"no keys in the address: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	endpoint := q.Get("endpoint")
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	server, err := url.Parse(endpoint)
	if err != nil || server.Host == "" || server.Scheme != "http" && server.Scheme != "https" || strings.Trim(server.Path, "/") != "" {
		return bad("对象存储地址应写作 s3://桶/前缀?endpoint=https://主机:端口", "the address of the object store is written s3://bucket/prefix?endpoint=https://host:port")
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "" {
		return bad("使用 S3 须设置环境变量 AWS_ACCESS_KEY_ID 与 AWS_SECRET_ACCESS_KEY", "S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	region := q.Get("region")
	if region == "" {
		region = "us-east-1"
	}
	client, err := minio.NewCore(server.Host, &minio.Options{
		Creds: credentials.NewEnvAWS(), Secure: server.Scheme == "https", Region: region, MaxRetries: 4,
	})
	if err != nil {
		return nil, errs.Newf(errs.Invalid, "对象存储地址无法使用", "the address of the object store cannot be used").In("--objects").Because(err)
	}
	b := &s3Bucket{core: *client, bucket: address.Host}
	if prefix := strings.Trim(address.Path, "/"); prefix != "" {
		b.prefix = prefix + "/"
	}
	found, err := client.BucketExists(ctx, b.bucket)
	if err != nil {
		return nil, b.classify(err)
	}
	if !found {
		return bad("对象存储中没有桶 "+b.bucket+"，请先建立", "there is no bucket "+b.bucket+" in the object store; make it first")
	}
	if err := b.forgets(ctx); err != nil {
		return nil, err
	}
	for upload := range client.ListIncompleteUploads(ctx, b.bucket, b.prefix, true) {
		if upload.Err != nil {
			return nil, b.classify(upload.Err)
		}
		if time.Since(upload.Initiated) > abandoned {
			if err := client.RemoveIncompleteUpload(ctx, b.bucket, upload.Key); err != nil {
				return nil, b.classify(err)
			}
		}
	}
	return b, nil
}

// forgets refuses a bucket that keeps what was overwritten or deleted.
func (b *s3Bucket) forgets(ctx context.Context) error {
	v, err := b.core.GetBucketVersioning(ctx, b.bucket)
	switch minio.ToErrorResponse(err).Code {
	case "NotImplemented", "VersioningNotConfigured":
		return nil // a server without versions
	}
	if err != nil {
		return b.classify(err)
	}
	if v.Status != "" {
		return errs.Newf(errs.Conflict, "桶 %s 开启过版本保留，销毁的数据仍可从旧版本取回；请换一个从未开启版本保留的桶",
			"the bucket %s keeps versions, or has kept them: what is destroyed could be had from an earlier one; take a bucket that never kept versions", b.bucket).In("--objects")
	}
	return nil
}

func (b *s3Bucket) Close() error { return nil }

func (b *s3Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	in := &keepError{r: r}
	var head bytes.Buffer
	n, err := io.CopyN(&head, in, wholeLimit)
	// The digest lets the server refuse what was damaged on the way.
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", SendContentMd5: true, PartSize: partSize}
	switch {
	case err == io.EOF:
		_, err = b.core.Client.PutObject(ctx, b.bucket, b.prefix+name, &head, n, o)
	case err == nil:
		_, err = b.core.Client.PutObject(ctx, b.bucket, b.prefix+name, io.MultiReader(&head, in), -1, o)
	}
	if in.err != nil {
		return in.err
	}
	return b.classify(err)
}

// keepError remembers a reader's own error, which is not the server's.
type keepError struct {
	r   io.Reader
	err error
}

func (k *keepError) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if err != nil && err != io.EOF {
		k.err = err
	}
	return n, err
}

func (b *s3Bucket) Replace(ctx context.Context, name string, content []byte) error {
	if err := b.forgets(ctx); err != nil {
		return err
	}
	return b.Put(ctx, name, bytes.NewReader(content))
}

func (b *s3Bucket) Get(ctx context.Context, name string) (Source, error) {
	s := &s3Source{ctx: ctx, b: b, name: b.prefix + name}
	if err := s.begin(0); err != nil {
		return nil, err
	}
	return s, nil
}

// s3Source reads on in one answer as long as it is read in order, and asks anew
// when it is not.
type s3Source struct {
	ctx  context.Context
	b    *s3Bucket
	name string
	size int64
	etag string
	body io.ReadCloser
	at   int64 // where body stands
}

func (s *s3Source) Size() int64 { return s.size }

func (s *s3Source) begin(off int64) error {
	s.Close()
	var o minio.GetObjectOptions
	if off > 0 {
		if err := o.SetRange(off, 0); err != nil {
			return err
		}
	}
	if s.etag != "" { // not the beginning of one object and the end of another
		if err := o.SetMatchETag(s.etag); err != nil {
			return err
		}
	}
	body, info, _, err := s.b.core.GetObject(s.ctx, s.b.bucket, s.name, o)
	if err != nil {
		return s.b.classify(err)
	}
	if s.etag == "" {
		s.size, s.etag = info.Size, info.ETag
	}
	s.body, s.at = body, off
	return nil
}

func (s *s3Source) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for tried := false; n < len(p); {
		at := off + int64(n)
		if at >= s.size {
			return n, io.EOF
		}
		if s.body == nil || s.at != at {
			if err := s.begin(at); err != nil {
				return n, err
			}
		}
		m, err := io.ReadFull(s.body, p[n:min(int64(len(p)), s.size-off)])
		n, s.at = n+m, s.at+int64(m)
		if err != nil {
			// A line that broke in the middle is asked for once more.
			s.Close()
			if tried || s.ctx.Err() != nil {
				return n, s.b.classify(err)
			}
			tried = true
		}
	}
	return n, nil
}

func (s *s3Source) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

func (b *s3Bucket) Remove(ctx context.Context, name string) error {
	err := b.core.RemoveObject(ctx, b.bucket, b.prefix+name, minio.RemoveObjectOptions{})
	if err = b.classify(err); absent(err) {
		return nil
	}
	return err
}

func (b *s3Bucket) List(ctx context.Context, prefix string, fn func(string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends the listing when fn wants no more
	for object := range b.core.Client.ListObjects(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}) {
		if object.Err != nil {
			return b.classify(object.Err)
		}
		if err := fn(strings.TrimPrefix(object.Key, b.prefix)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// classify tells what is missing from what failed. The server's own words stay
// out of the message and in the cause.
func (b *s3Bucket) classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch r := minio.ToErrorResponse(err); {
	case r.Code == minio.NoSuchKey:
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized:
		return errs.Newf(errs.Unavailable, "对象存储拒绝了本系统的密钥（桶 %s），请联系系统管理员",
			"the object store refuses this platform's key (bucket %s): tell the system administrator", b.bucket).Because(err)
	}
	return errs.Newf(errs.Unavailable, "对象存储无法访问或已满（桶 %s），请稍后重试",
		"the object store cannot be reached or is full (bucket %s); try again later", b.bucket).Because(err).Retry(5)
}
