package casework

import (
	"context"
	"io"
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"gongshu/identity"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
)

// Bounds of the documents of a case.
const (
	MaxDocument  = 20 << 20 // bytes of one document
	MaxDocuments = 50       // documents of one case
)

// Keep stores a document that a case is to have, as an object under its digest:
// [Service.AttachTx] puts it into a case, [Service.Discard] drops it when that comes
// to nothing. At most MaxDocument bytes; an empty file, and one that bears no name,
// are errs.Invalid.
func (s *Service) Keep(ctx context.Context, name string, r io.Reader) (Attachment, error) {
	a := Attachment{Name: documentName(name)}
	if a.Name == "" {
		return a, errs.New(errs.Invalid, errs.T("请选择要上传的材料", "choose a document to attach")).In("file")
	}
	if s.blobs == nil {
		return a, errs.New(errs.Unsupported, errs.T("本系统未配置材料存储", "this program keeps no documents")).In("file")
	}
	a.Media = mime.TypeByExtension(strings.ToLower(path.Ext(a.Name)))
	bounded := &io.LimitedReader{R: r, N: MaxDocument + 1}
	info, err := s.blobs.Put(ctx, bounded)
	if err != nil {
		return a, err
	}
	a.Object, a.Digest, a.Size = info.ID, info.Digest, info.Size
	switch {
	case info.Size > MaxDocument:
		err = errs.Newf(errs.TooLarge, "单个材料不超过 %d MB", "a document has at most %d MB", MaxDocument>>20).In("file")
	case info.Size == 0:
		err = errs.Newf(errs.Invalid, "材料“%s”是空文件", "the document %q is empty", a.Name).In("file")
	}
	if err != nil {
		s.Discard(ctx, a)
	}
	return a, err
}

// Discard drops kept documents that no case took.
func (s *Service) Discard(ctx context.Context, list ...Attachment) {
	for _, a := range list {
		// An object that cannot be dropped now holds nothing that anybody can reach.
		_ = s.blobs.Delete(context.WithoutCancel(ctx), a.Object)
	}
}

// documentName is the last part of the name that the sender's machine gave, without
// control characters, at most 200 bytes.
func documentName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	if name == "." || name == "/" {
		return ""
	}
	if ext := path.Ext(name); len(name) > 200 && len(ext) < 20 {
		name = cut(name[:len(name)-len(ext)], 200-len(ext)) + ext
	}
	return cut(name, 200)
}

// cut shortens to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// mayAttach is the refusal to add a document to a case; nil where it may be.
func (s *Service) mayAttach(actor identity.Actor, c Case) error {
	return s.door.May(actor, "casework.document.attach", readTarget(actor, c))
}

// Attach adds a document to a case that is not closed, through the door, by anybody
// who acts for one of its parties. Errors: errs.Invalid, errs.TooLarge (see Keep),
// errs.Conflict for a closed or full case.
func (s *Service) Attach(ctx context.Context, actor identity.Actor, id, name string, r io.Reader) (Attachment, error) {
	c, err := getCase(ctx, s.db.Read(), id)
	if err != nil {
		return Attachment{}, err
	}
	var a Attachment
	if s.mayAttach(actor, c) == nil { // nothing is kept of what will be refused
		if a, err = s.Keep(ctx, name, r); err != nil {
			return a, err
		}
	}
	err = s.door.Do(ctx, actor, "casework.document.attach", readTarget(actor, c), func(ctx context.Context, tx *db.Tx) error {
		a, err = s.AttachTx(ctx, tx, actor, c.ID, a)
		return err
	})
	if err != nil && a.Object != "" {
		s.Discard(ctx, a)
	}
	return a, err
}

// AttachTx puts a kept document into a case in the caller's operation; see Attach.
func (s *Service) AttachTx(ctx context.Context, tx *db.Tx, actor identity.Actor, caseID string, a Attachment) (Attachment, error) {
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return a, err
	}
	if c.State == StateClosed {
		return a, errs.New(errs.Conflict, errs.T("该办件已办结，不能再增加材料", "the case is closed; no document can be added"))
	}
	have, err := attachmentsOf(ctx, tx, c.ID)
	if err != nil {
		return a, err
	}
	if len(have) >= MaxDocuments {
		return a, errs.Newf(errs.Conflict, "一个办件最多 %d 份材料", "a case has at most %d documents", MaxDocuments).In("file")
	}
	a.ID, a.Actor, a.ActorName, a.BodyName, a.At = db.NewID(), actor.ID, actor.Name, actor.BodyName, s.now()
	if err := insertAttachment(ctx, tx, c.ID, a); err != nil {
		return a, err
	}
	operation.Note(ctx, "document", a.Digest)
	return a, addEvent(ctx, tx, c.ID, s.event(actor, "attached", "", a.At, map[string]any{"name": a.Name, "digest": a.Digest}))
}

// Document opens a document of a case for somebody who may see the case; the look is
// in the log before it is released. The caller closes the reader.
func (s *Service) Document(ctx context.Context, actor identity.Actor, id, document string) (Attachment, *blob.Reader, error) {
	c, err := getCase(ctx, s.db.Read(), id)
	if err != nil {
		return Attachment{}, nil, err
	}
	var a Attachment
	var content *blob.Reader
	err = s.door.Read(ctx, actor, "casework.document.read", readTarget(actor, c), func(ctx context.Context) error {
		if a, err = getAttachment(ctx, s.db.Read(), c.ID, document); err != nil {
			return err
		}
		operation.Note(ctx, "document", a.Digest)
		content, err = s.blobs.Open(ctx, a.Object)
		return err
	})
	if err != nil && content != nil {
		content.Close()
		content = nil
	}
	return a, content, err
}
