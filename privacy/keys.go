package privacy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// Keys gives keyed primitives without giving keys, so that a certified
// cryptographic module can stand behind it. A name ("mask/fpe") always means the
// same key. Both methods may be called by many goroutines; a Block too may be
// used by many, a Hash by one.
type Keys interface {
	// Block is a cipher of 16-byte blocks keyed for the name.
	Block(name string) (cipher.Block, error)
	// MAC is a keyed hash (SM3-HMAC: 32 bytes) for the name.
	MAC(name string) (hash.Hash, error)
}

// SoftKeys derives its keys from one master secret in memory.
type SoftKeys struct {
	master []byte
	aes    bool
}

// NewSoftKeys derives by SM3-HMAC from a master secret of at least 16 bytes. The
// block cipher is SM4, or AES-128 where useAES is set.
func NewSoftKeys(master []byte, useAES bool) (*SoftKeys, error) {
	if len(master) < 16 {
		return nil, fmt.Errorf("privacy: master secret of %d bytes, want at least 16", len(master))
	}
	return &SoftKeys{master: append([]byte(nil), master...), aes: useAES}, nil
}

func (k *SoftKeys) derive(use, name string) []byte {
	m := hmac.New(sm3.New, k.master)
	m.Write([]byte("gongshu/" + use + "\x00" + name))
	return m.Sum(nil)
}

// Block implements Keys.
func (k *SoftKeys) Block(name string) (cipher.Block, error) {
	key := k.derive("block", name)[:16]
	if k.aes {
		return aes.NewCipher(key)
	}
	return sm4.NewCipher(key)
}

// MAC implements Keys.
func (k *SoftKeys) MAC(name string) (hash.Hash, error) {
	return hmac.New(sm3.New, k.derive("mac", name)), nil
}
