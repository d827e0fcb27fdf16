package blob

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/emmansun/gmsm/sm4"

	"gongshu/internal/errs"
)

// Cipher names an authenticated cipher.
type Cipher string

// The ciphers. SM4 is what GB/T 39786 asks of systems at level 3; AES is faster
// on processors without SM4 instructions.
const (
	AES256GCM Cipher = "AES-256-GCM"
	SM4GCM    Cipher = "SM4-GCM"
)

func (c Cipher) keySize() int {
	if c == SM4GCM {
		return 16
	}
	return 32
}

func (c Cipher) aead(key []byte) (cipher.AEAD, error) {
	var block cipher.Block
	var err error
	switch c {
	case AES256GCM:
		block, err = aes.NewCipher(key)
	case SM4GCM:
		block, err = sm4.NewCipher(key)
	default:
		return nil, fmt.Errorf("unknown cipher %q", c)
	}
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Wrapper seals small secrets under the master key: object keys, secrets of
// API clients. [Master] keeps the key in a file; a certified module implements the
// same two methods with a key that it never gives out.
type Wrapper interface {
	// Seal encrypts secret; label says what it is for and must be given to Unseal.
	Seal(label string, secret []byte) ([]byte, error)
	// Unseal fails with errs.Internal when the bytes, the label or the key differ.
	Unseal(label string, sealed []byte) ([]byte, error)
}

// Master is the master key of a data directory.
type Master struct {
	cipher Cipher
	key    []byte
}

const masterPrefix = "MASTER+KEY+"

// LoadMaster reads the master key in a file; when there is none it makes one,
// mode 0600. c counts only for a new key.
func LoadMaster(path string, c Cipher) (*Master, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		text = []byte(masterPrefix + string(c) + "+" + base64.StdEncoding.EncodeToString(key) + "\n")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("make the master key: %w", err)
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return nil, fmt.Errorf("make the master key: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(text), []byte(masterPrefix))
	name, encoded, cut := bytes.Cut(rest, []byte("+"))
	key, err := base64.StdEncoding.DecodeString(string(encoded))
	if !ok || !cut || err != nil || len(key) != 32 || (Cipher(name) != AES256GCM && Cipher(name) != SM4GCM) {
		return nil, fmt.Errorf("%s is not a master key file", path)
	}
	return &Master{cipher: Cipher(name), key: key}, nil
}

// NewMaster makes a master key that lives in memory, for tests.
func NewMaster(c Cipher) *Master {
	key := make([]byte, 32)
	rand.Read(key)
	return &Master{cipher: c, key: key}
}

// Derive returns n bytes of a key for a purpose of its own (HKDF-SHA256); the
// same purpose gives the same key.
func (m *Master) Derive(purpose string, n int) []byte {
	key, err := hkdf.Key(sha256.New, m.key, nil, "gongshu derive "+purpose, n)
	if err != nil {
		panic("blob: " + err.Error()) // only for lengths over 8 KB
	}
	return key
}

// Seal encrypts a secret under a key derived for the label; see [Wrapper].
func (m *Master) Seal(label string, secret []byte) ([]byte, error) {
	aead, err := m.cipher.aead(m.Derive("seal "+label, m.cipher.keySize()))
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, secret, []byte(label)), nil
}

// Unseal reverses Seal.
func (m *Master) Unseal(label string, sealed []byte) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, errs.Newf(errs.Internal, "密文无法解开，主密钥不符或数据被改动",
			"the sealed value does not open: another master key, or the bytes were changed").Because(err)
	}
	aead, err := m.cipher.aead(m.Derive("seal "+label, m.cipher.keySize()))
	if err != nil {
		return fail(err)
	}
	if len(sealed) < aead.NonceSize() {
		return fail(errors.New("too short"))
	}
	secret, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(label))
	if err != nil {
		return fail(err)
	}
	return secret, nil
}
