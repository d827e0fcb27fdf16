package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"

	"gongshu/identity"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/operation"
	"gongshu/privacy"
	"gongshu/tabular"
)

// MaxSample bounds a sample file, in bytes.
const MaxSample = 20 << 20

// Proposal is what a sample file seems to hold: a draft with items, and what the proposals rest on.
type Proposal struct {
	ID       string
	FileName string
	Layout   tabular.Layout
	Resource Resource
	Columns  []ProposedItem
	Done     bool
}

// ProposedItem explains one proposed item. Examples of personal data are not kept.
type ProposedItem struct {
	Item       Item
	Examples   []string
	Confidence float64 // of the kind of personal data, 0 … 1
}

// hiddenValue stands for a personal value whose item names no mask.
const hiddenValue = "＊＊＊"

// SampleMask gives what masks a row of sample values for people outside the provider (FS-5.4, LY-21):
// each item by its own mask, a personal item without one by stars. The row is in the order of
// ColumnsFor; empty values stay empty. Pseudonyms and digests of samples are those of no grant.
func SampleMask(r *Resource, keys privacy.Keys) (func(row []string), error) {
	masks := make([]*privacy.Masker, len(r.Items))
	for i := range r.Items {
		if r.Items[i].Mask == "" {
			continue
		}
		spec, err := privacy.ParseMask(r.Items[i].Mask)
		if err != nil {
			return nil, err
		}
		if masks[i], err = privacy.NewMasker(spec, privacy.Kind(r.Items[i].Personal), keys, "sample "+r.ID); err != nil {
			return nil, err
		}
	}
	return func(row []string) {
		for i := range row {
			switch {
			case row[i] == "":
			case masks[i] != nil:
				row[i] = masks[i].String(row[i])
			case privacy.Kind(r.Items[i].Personal).Personal():
				row[i] = hiddenValue
			}
		}
	}, nil
}

// ReadSample reads a sample file and proposes items: types, lengths, keys, personal data with masks,
// and an English code from the pinyin initials of a Chinese heading. It registers nothing.
func ReadSample(ctx context.Context, name string, content []byte) (*Proposal, error) {
	if len(content) > MaxSample {
		return nil, errs.Newf(errs.TooLarge, "样例文件不超过 %d MB，截取一部分即可", "a sample has at most %d MB; a part of the file will do", MaxSample>>20).In("file")
	}
	preview, err := tabular.Inspect(ctx, tabular.Bytes(name, content), tabular.Limits{}, nil)
	if err != nil {
		return nil, err
	}
	finding := map[string]privacy.Finding{}
	found := tabular.Propose(preview.Layout.Columns, preview.Sample, func(column string, values [][]byte) string {
		texts := make([]string, 0, min(len(values), 500))
		for _, v := range values[:min(len(values), 500)] {
			texts = append(texts, string(v))
		}
		f := privacy.Recognise(column, texts)
		finding[column] = f
		if f.Confidence < 0.5 {
			return ""
		}
		return string(f.Kind)
	})
	p := &Proposal{FileName: name, Layout: preview.Layout}
	r := &p.Resource
	r.Kind, r.Format, r.FormatTypes = Table, FormatSheet, []string{"csv"}
	if preview.Layout.Format == tabular.XLSX {
		r.FormatTypes = []string{"xlsx"}
	}
	r.Name = strings.TrimSpace(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)))
	used := map[string]bool{}
	for i, c := range found {
		it := Item{Name: strings.TrimSpace(c.Name), Code: codeFor(c.Name, i, used), Type: ItemType(string(c.Type)), Required: c.Required, Key: c.Key, Personal: c.Personal}
		switch it.Type {
		case Char:
			it.Length = max(c.Length, 1)
		case Numeric, Money:
			it.Length, it.Scale = max(c.Length, c.Scale+1), c.Scale
		}
		if it.Personal == "resident_id" || it.Personal == "uscc" {
			it.Type, it.Length = Char, max(it.Length, 18)
		}
		if privacy.Kind(it.Personal).Personal() {
			it.Mask = proposedMask[it.Personal]
			it.Grade = 2
		}
		proposed := ProposedItem{Item: it, Confidence: finding[c.Name].Confidence}
		if it.Personal == "" {
			proposed.Examples = c.Examples
		}
		r.Items = append(r.Items, it)
		p.Columns = append(p.Columns, proposed)
	}
	return p, nil
}

// proposedMask is the mask that keeps most use of a kind of personal data while hiding the person.
var proposedMask = map[string]string{"name": "keep_ends", "resident_id": "pseudonym", "phone": "keep_ends", "address": "region", "bank_card": "keep_ends",
	"plate": "keep_ends", "email": "keep_ends", "passport": "keep_ends", "birth_date": "date"}

// codeFor makes a field name of a heading: as it is when it is one already, else letters of it with the
// pinyin initials of Chinese characters; never twice in a table.
func codeFor(title string, i int, used map[string]bool) string {
	var b strings.Builder
	args := pinyin.NewArgs()
	args.Style = pinyin.FirstLetter
	for _, r := range title {
		switch {
		case r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '_':
			b.WriteRune(r)
		case unicode.Is(unicode.Han, r):
			if first := pinyin.SinglePinyin(r, args); len(first) > 0 {
				b.WriteString(first[0])
			}
		case b.Len() > 0 && (r == ' ' || r == '-' || r == '.' || r == '/'):
			b.WriteByte('_')
		}
	}
	code := strings.Trim(b.String(), "_")
	if code == "" || !itemCode.MatchString(code[:1]) {
		code = "f" + strconv.Itoa(i+1) + "_" + code
	}
	code = strings.TrimRight(code[:min(len(code), 56)], "_")
	base := code
	for n := 2; used[strings.ToLower(code)]; n++ {
		code = base + "_" + strconv.Itoa(n)
	}
	used[strings.ToLower(code)] = true
	return code
}

// ProposeFromSample reads a sample file for the actor's body and keeps the proposal, for a week, until
// it is made a draft. The file itself is not kept.
func (s *Service) ProposeFromSample(ctx context.Context, a identity.Actor, name string, content []byte) (*Proposal, error) {
	p, err := ReadSample(ctx, name, content)
	if err != nil {
		return nil, err
	}
	own, err := s.deps.Body(ctx, a.Body)
	if err != nil {
		return nil, err
	}
	p.ID = db.NewID()
	doc, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	err = s.deps.Door.Do(ctx, a, ActSample, operation.Target{Kind: "sample", ID: p.ID, Name: name, Body: own.ID, District: own.District}, func(ctx context.Context, tx *db.Tx) error {
		operation.Note(ctx, "items", len(p.Columns))
		if err := dropUploads(ctx, tx, s.now().Add(-uploadsKept)); err != nil {
			return err
		}
		return insertUpload(ctx, tx, upload{ID: p.ID, Kind: "sample", Actor: a.ID, Body: own.ID, FileName: name, Digest: hex.EncodeToString(sum[:]), Doc: string(doc), CreatedAt: s.now()})
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// SampleProposal finds a kept proposal. Only its sender sees it.
func (s *Service) SampleProposal(ctx context.Context, a identity.Actor, id string) (*Proposal, error) {
	u, err := getUpload(ctx, s.deps.DB.Read(), id, "sample")
	if err != nil {
		return nil, err
	}
	p := new(Proposal)
	if u.Actor != a.ID {
		return nil, errs.New(errs.NotFound, errs.T("没有这次上传，或已过期", "no such upload, or it has expired"))
	}
	if err := json.Unmarshal([]byte(u.Doc), p); err != nil {
		return nil, err
	}
	p.Done = !u.DoneAt.IsZero()
	return p, nil
}
