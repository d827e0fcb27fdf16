package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"gongshu/internal/errs"
)

type staticFile struct {
	kind       string
	tag        string
	plain      []byte
	compressed map[string][]byte
}

// Static serves the files of fsys, read into memory once. A file beside which
// NAME.br or NAME.gz stands is sent compressed to whom accepts it, with its
// Content-Length. Names carry a hash of their content, so they are cached for a
// year; those without one (manifest.json) are not served.
func Static(fsys fs.FS) http.Handler {
	files := map[string]*staticFile{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base := path.Base(name)
		if strings.HasPrefix(base, ".") || base == "manifest.json" || strings.HasSuffix(base, ".gz") || strings.HasSuffix(base, ".br") {
			return nil
		}
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		kind := mime.TypeByExtension(path.Ext(name))
		if kind == "" {
			kind = "application/octet-stream"
		}
		sum := sha256.Sum256(raw)
		f := &staticFile{kind: kind, tag: hex.EncodeToString(sum[:8]), plain: raw, compressed: map[string][]byte{}}
		for _, c := range []string{"br", "gz"} {
			raw, err := fs.ReadFile(fsys, name+"."+c)
			if err == nil {
				f.compressed[c] = raw
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		files[name] = f
		return nil
	})
	if err != nil {
		// Only an embedded or already opened tree is served: it cannot fail.
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[strings.TrimPrefix(r.URL.Path, "/")]
		if f == nil {
			Fail(w, r, errs.New(errs.NotFound, errs.T("没有这个文件。", "There is no such file.")))
			return
		}
		f.serve(w, r)
	})
}

func (f *staticFile) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	raw, coding := f.plain, ""
	for _, c := range []string{"br", "gz"} {
		name := c
		if c == "gz" {
			name = "gzip"
		}
		if z := f.compressed[c]; z != nil && accepts(r, name) {
			raw, coding = z, name
			break
		}
	}
	tag := `"` + f.tag + coding + `"`
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", tag)
	h.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = bytes.NewReader(raw).WriteTo(w)
	}
}
