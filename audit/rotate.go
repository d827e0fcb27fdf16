package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// Keys are replaced in the log itself: an entry names the new public keys and the
// old ones, the old keys sign one last checkpoint that covers it, and from then on
// only the new keys sign. Who holds the first public key can follow them all.

// rotateAction is the entry that replaces the keys; its notes are "keys" and
// "replaces", verifier keys each.
const rotateAction = "audit.log.rotate"

// keysFact is the control store's word on whose signatures the log goes on with.
const keysFact = "log_keys"

// signing are the public keys of the signers alone, as keysFact keeps them.
func signing(k Keys) []string { return k.VerifierKeys()[:len(k.Signers())] }

// NextKeys makes the keys that are to follow those in dir, or reads them where a
// rotation was interrupted. They stand beside the present ones until
// [InstallKeys]; the name of the log and the secret of its digests stay.
func NextKeys(dir string) (Keys, error) {
	present, err := os.ReadFile(filepath.Join(dir, secretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Newf(errs.NotFound, "%s 中没有日志密钥", "there are no log keys in %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read log keys: %w", err)
	}
	path := filepath.Join(dir, nextFile)
	next, err := os.ReadFile(path)
	if err == nil {
		return parseSecret(next)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read log keys: %w", err)
	}
	keys, err := parseSecret(present)
	if err != nil {
		return nil, err
	}
	if next, err = generateSigners(keys.Origin()); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(present)) {
		if strings.HasPrefix(line, digestPrefix) {
			next = append(next, strings.TrimSpace(line)+"\n"...)
		}
	}
	for _, former := range keys.VerifierKeys() {
		next = fmt.Appendf(next, "%s%s\n", formerPrefix, former)
	}
	if err := writeNew(path, next, 0o600); err != nil {
		return nil, fmt.Errorf("make log keys in %s: %w", dir, err)
	}
	return parseSecret(next)
}

// InstallKeys puts the next keys in the place of the present ones, whose secrets
// are gone with that, and writes all public keys, the present first.
func InstallKeys(dir string) error {
	next, err := os.ReadFile(filepath.Join(dir, nextFile))
	if err != nil {
		return fmt.Errorf("read log keys: %w", err)
	}
	keys, err := parseSecret(next)
	if err != nil {
		return err
	}
	public := filepath.Join(dir, PublicFile)
	if err := os.Remove(public + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(public+".new", []byte(strings.Join(keys.VerifierKeys(), "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return errors.Join(os.Rename(public+".new", public), os.Rename(filepath.Join(dir, nextFile), filepath.Join(dir, secretFile)))
}

// Rotate writes the entry that names next as the log's keys and has the present
// keys sign over it. Nobody signs with the present keys afterwards, on no node. It
// may be called again after a failure. [Options.Next] of this log is next.
func (l *Log) Rotate(ctx context.Context, e Entry) error {
	if l.next == nil || l.next.Origin() != l.Origin() {
		return errs.Newf(errs.Internal, "没有可换用的密钥", "there are no keys to change to")
	}
	e.Action, e.TargetKind, e.Target = rotateAction, "log", l.Origin()
	e.Notes = append(e.Notes, Note{"keys", signing(l.next)}, Note{"replaces", signing(l.keys)})
	want := strings.Join(signing(l.next), "\n")
	if err := l.db.InTx(ctx, func(tx *db.Tx) error {
		kept, err := db.Fact(ctx, tx, keysFact)
		if err != nil || kept == want { // the entry stands already
			return err
		}
		if _, err := l.AppendTx(ctx, tx, e); err != nil {
			return err
		}
		return db.SetFact(ctx, tx, keysFact, want)
	}); err != nil {
		return err
	}
	_, err := l.Checkpoint(ctx)
	return err
}

// mine fails when the log goes on with other keys than this node's.
func (l *Log) mine(ctx context.Context, q db.Querier) error {
	kept, err := db.Fact(ctx, q, keysFact)
	if err != nil || kept == "" || kept == strings.Join(signing(l.keys), "\n") || l.next != nil && kept == strings.Join(signing(l.next), "\n") {
		return err
	}
	return errs.Newf(errs.Conflict, "日志的签名密钥已更换，本节点的密钥不再有效：请从完成更换的节点复制 keys 目录；更换若曾中断，请再次执行 gongshu audit rotate",
		"the keys of the log were replaced and this node's are not in force: copy the folder keys from the node on which that was done; if it was interrupted there, run gongshu audit rotate again")
}

// keyring is the verifiers that hold at a place in the log.
type keyring struct {
	known   note.Verifiers
	added   map[uint32]note.Verifier
	retired map[uint32]int64 // the entry that replaced it
}

func (k *keyring) Verifier(name string, hash uint32) (note.Verifier, error) {
	if _, gone := k.retired[hash]; gone {
		return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
	}
	if v, ok := k.added[hash]; ok && v.Name() == name {
		return v, nil
	}
	return k.known.Verifier(name, hash)
}

// rotation is what an entry says of the keys.
type rotation struct {
	seq            int64
	keys, replaces []note.Verifier
}

func isRotate(content []byte) bool {
	return bytes.HasPrefix(content, []byte(`{"action":"`+rotateAction+`"`))
}

func parseRotation(seq int64, content []byte) (r rotation, ok bool) {
	e, err := ParseEntry(content)
	if err != nil {
		return r, false
	}
	r.seq = seq
	for _, n := range e.Notes {
		list, _ := n.Value.([]string)
		for _, key := range list {
			v, err := NewVerifier(key)
			if err != nil {
				return r, false
			}
			switch n.Key {
			case "keys":
				r.keys = append(r.keys, v)
			case "replaces":
				r.replaces = append(r.replaces, v)
			}
		}
	}
	return r, len(r.keys) > 0
}

// change puts new keys in force.
func (k *keyring) change(r rotation) {
	for _, v := range r.replaces {
		k.retired[v.KeyHash()] = r.seq
	}
	for _, v := range r.keys {
		delete(k.retired, v.KeyHash())
		k.added[v.KeyHash()] = v
	}
}

// sameSigners says whether two signed notes carry signatures of the same keys.
func sameSigners(a, b string) bool {
	signers := func(text string) (list []string) {
		_, sigs, _ := strings.Cut(text, "\n\n")
		for line := range strings.Lines(sigs) {
			name, sig, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "— ")), " ")
			raw, err := base64.StdEncoding.DecodeString(sig)
			if err == nil && len(raw) > 4 {
				list = append(list, name+string(raw[:4]))
			}
		}
		return list
	}
	return slices.Equal(signers(a), signers(b))
}
