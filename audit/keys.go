package audit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/mod/sumdb/note"

	"gongshu/internal/errs"
)

// Keys holds the secrets of a log. [LoadKeys] keeps them in files; a certified
// cryptographic module implements the same methods with secrets that it never
// gives out.
type Keys interface {
	// Origin is the name of the log: the key name and first line of its checkpoints.
	Origin() string
	// Signers sign checkpoints, each on a line of its own.
	Signers() []note.Signer
	// VerifierKeys are the public keys of the signers, in their order, and after them
	// those of signers that they replaced, the newest first: old checkpoints and
	// agreements are theirs.
	VerifierKeys() []string
	// Digest is the keyed digest of a personal value, 32 hexadecimal digits.
	Digest(kind, value string) string
}

// Files of a key folder.
const (
	secretFile = "log.key"      // mode 0600
	nextFile   = "log.key.next" // keys that a rotation under way brings
	// PublicFile holds the public keys, one a line: what auditors keep elsewhere.
	PublicFile = "log.pub"
)

// sm2Prefix stands before an SM2 public key in a verifier key: 0xff says that
// the algorithm has no number in C2SP signed-note, the name says which it is.
const sm2Prefix = "\xffgongshu/sm2-sm3\n"

type fileKeys struct {
	origin  string
	signers []note.Signer
	public  []string // of the signers
	former  []string // of signers before them
	secret  []byte
	macs    sync.Pool // hash.Hash
}

func (k *fileKeys) Origin() string         { return k.origin }
func (k *fileKeys) Signers() []note.Signer { return k.signers }
func (k *fileKeys) VerifierKeys() []string { return slices.Concat(k.public, k.former) }

func (k *fileKeys) Digest(kind, value string) string {
	h, kept := k.macs.Get().(hash.Hash)
	if !kept {
		h = hmac.New(sm3.New, k.secret)
	}
	var room [sm3.Size]byte
	h.Reset()
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(value))
	sum := h.Sum(room[:0])
	k.macs.Put(h)
	return hex.EncodeToString(sum[:16])
}

// GenerateKeys makes the keys of a new log: Ed25519, SM2, and the secret of its
// digests. origin may not contain white space or "+".
func GenerateKeys(origin string) (Keys, error) {
	secret, err := generateSecret(origin)
	if err != nil {
		return nil, err
	}
	return parseSecret(secret)
}

// ReadKeys reads the keys in dir; errs.NotFound when there are none.
func ReadKeys(dir string) (Keys, error) {
	text, err := os.ReadFile(filepath.Join(dir, secretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Newf(errs.NotFound, "%s 中没有日志密钥", "there are no log keys in %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read log keys: %w", err)
	}
	return parseSecret(text)
}

// LoadKeys reads the keys in dir; when there are none it makes them, the secret
// file with mode 0600 and the public one beside it. origin counts only for new keys;
// "" gives a name with a random part, so that no two logs share one.
func LoadKeys(dir, origin string) (Keys, error) {
	path := filepath.Join(dir, secretFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = createKeys(dir, origin); err != nil {
			return nil, fmt.Errorf("make log keys in %s: %w", dir, err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("read log keys: %w", err)
	}
	keys, err := parseSecret(text)
	if err != nil {
		return nil, fmt.Errorf("log keys %s: %w", path, err)
	}
	return keys, nil
}

func createKeys(dir, origin string) ([]byte, error) {
	if origin == "" {
		part := make([]byte, 6)
		rand.Read(part)
		origin = "gongshu-log-" + hex.EncodeToString(part)
	}
	secret, err := generateSecret(origin)
	if err != nil {
		return nil, err
	}
	keys, err := parseSecret(secret)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, secretFile), secret, 0o600); err != nil {
		return nil, err
	}
	public := strings.Join(keys.VerifierKeys(), "\n") + "\n"
	return secret, writeNew(filepath.Join(dir, PublicFile), []byte(public), 0o644)
}

// writeNew writes a file that must not exist yet and waits for the disk.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// generateSecret makes a secret file: the Ed25519 key and the SM2 key in the form
// of note signer keys, and the digest secret as "DIGEST+KEY+base64". Public keys of
// signers that were replaced follow as "FORMER+KEY+" and the verifier key.
func generateSecret(origin string) ([]byte, error) {
	signing, err := generateSigners(origin)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	return fmt.Appendf(signing, "%s%s\n", digestPrefix, base64.StdEncoding.EncodeToString(secret)), nil
}

const (
	digestPrefix = "DIGEST+KEY+"
	formerPrefix = "FORMER+KEY+"
)

func generateSigners(origin string) ([]byte, error) {
	if origin == "" || strings.ContainsAny(origin, "+ \t\r\n") {
		return nil, errs.Newf(errs.Invalid, "日志名称不能为空，不能含空格或加号", "a log name is not empty and has no white space or plus sign").In("name")
	}
	ed, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	priv, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := sm2Public(&priv.PublicKey)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, ed)
	fmt.Fprintf(&b, "PRIVATE+KEY+%s+%08x+%s\n", origin, keyHash(origin, public),
		base64.StdEncoding.EncodeToString(append([]byte(sm2Prefix), priv.D.FillBytes(make([]byte, 32))...)))
	return b.Bytes(), nil
}

func parseSecret(text []byte) (Keys, error) {
	k := &fileKeys{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fail := func(err error) error { return fmt.Errorf("line %d: %w", i+1, err) }
		if rest, ok := strings.CutPrefix(line, formerPrefix); ok {
			if _, err := NewVerifier(rest); err != nil {
				return nil, fail(err)
			}
			k.former = append(k.former, rest)
			continue
		}
		if rest, ok := strings.CutPrefix(line, digestPrefix); ok {
			secret, err := base64.StdEncoding.DecodeString(rest)
			if err != nil || len(secret) != 32 {
				return nil, fail(errors.New("malformed digest key"))
			}
			k.secret = secret
			continue
		}
		parts := strings.SplitN(line, "+", 5)
		if len(parts) != 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
			return nil, fail(errors.New("malformed key"))
		}
		name := parts[2]
		if k.origin != "" && k.origin != name {
			return nil, fail(fmt.Errorf("key of %q among those of %q", name, k.origin))
		}
		k.origin = name
		raw, err := base64.StdEncoding.DecodeString(parts[4])
		if err != nil {
			return nil, fail(err)
		}
		if rest, ok := bytes.CutPrefix(raw, []byte(sm2Prefix)); ok {
			signer, public, err := newSM2Signer(name, rest)
			if err != nil {
				return nil, fail(err)
			}
			k.signers, k.public = append(k.signers, signer), append(k.public, public)
			continue
		}
		signer, err := note.NewSigner(line)
		if err != nil {
			return nil, fail(err)
		}
		public, err := ed25519Public(name, raw)
		if err != nil {
			return nil, fail(err)
		}
		k.signers, k.public = append(k.signers, signer), append(k.public, public)
	}
	if len(k.signers) == 0 || k.secret == nil {
		return nil, errors.New("a signing key or the digest key is missing")
	}
	return k, nil
}

// keyHash is the key id of C2SP signed-note.
func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// sm2Public is the typed public key: prefix and uncompressed point.
func sm2Public(pub *ecdsa.PublicKey) ([]byte, error) {
	point, err := sm2.PublicKeyToECDH(pub)
	if err != nil {
		return nil, err
	}
	return append([]byte(sm2Prefix), point.Bytes()...), nil
}

type sm2Signer struct {
	name string
	hash uint32
	key  *sm2.PrivateKey
}

func newSM2Signer(name string, raw []byte) (note.Signer, string, error) {
	key, err := sm2.NewPrivateKey(raw)
	if err != nil {
		return nil, "", err
	}
	public, err := sm2Public(&key.PublicKey)
	if err != nil {
		return nil, "", err
	}
	s := &sm2Signer{name: name, hash: keyHash(name, public), key: key}
	return s, fmt.Sprintf("%s+%08x+%s", name, s.hash, base64.StdEncoding.EncodeToString(public)), nil
}

func (s *sm2Signer) Name() string    { return s.name }
func (s *sm2Signer) KeyHash() uint32 { return s.hash }

// Sign signs with SM3 and the default user id of GB/T 32918 (GM/T 0009).
func (s *sm2Signer) Sign(msg []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, msg, sm2.DefaultSM2SignerOpts)
}

type sm2Verifier struct {
	name string
	hash uint32
	key  *ecdsa.PublicKey
}

func (v *sm2Verifier) Name() string    { return v.name }
func (v *sm2Verifier) KeyHash() uint32 { return v.hash }
func (v *sm2Verifier) Verify(msg, sig []byte) bool {
	return sm2.VerifyASN1WithSM2(v.key, nil, msg, sig)
}

// NewVerifier reads a public key as [PublicFile] holds it, Ed25519 or SM2.
func NewVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash16, key64, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(key64)
	if err != nil {
		return nil, err
	}
	point, ok := bytes.CutPrefix(raw, []byte(sm2Prefix))
	if !ok {
		return note.NewVerifier(vkey)
	}
	hash, err := strconv.ParseUint(hash16, 16, 32)
	if err != nil || len(hash16) != 8 || name == "" || strings.ContainsAny(name, " \t\r\n") || uint32(hash) != keyHash(name, raw) {
		return nil, errors.New("malformed verifier key")
	}
	key, err := sm2.NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	return &sm2Verifier{name: name, hash: uint32(hash), key: key}, nil
}

// ParseVerifiers reads the text of a public key file: one key a line, empty
// lines and lines that begin with # left out. It fails with errs.Invalid when
// there is none or one is malformed.
func ParseVerifiers(text string) (note.Verifiers, []note.Verifier, error) {
	var list []note.Verifier
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := NewVerifier(line)
		if err != nil {
			return nil, nil, errs.Newf(errs.Invalid, "公钥文件第 %d 行无法识别", "line %d of the public key file is not a verifier key", i+1).In("key").Because(err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, nil, errs.Newf(errs.Invalid, "公钥文件中没有公钥", "the public key file holds no key").In("key")
	}
	return note.VerifierList(list...), list, nil
}

// ed25519Public gives the verifier key of a typed Ed25519 seed.
func ed25519Public(name string, raw []byte) (string, error) {
	if len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("malformed Ed25519 key")
	}
	private := ed25519.NewKeyFromSeed(raw[1:])
	return note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
}
