package redact

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

const (
	minKeyBytes   = 32
	maxKeyBytes   = 4096
	minKeyVariety = 8  // different byte values; 32 random bytes have 31 or so
	tokenBytes    = 12 // 96 bits of the HMAC
	keyIDBytes    = 4
)

func checkKey(key []byte) error {
	if len(key) < minKeyBytes {
		return fmt.Errorf("%d bytes: want at least %d", len(key), minKeyBytes)
	}
	if len(key) > maxKeyBytes {
		return fmt.Errorf("more than %d bytes", maxKeyBytes)
	}
	seen := map[byte]bool{}
	for _, b := range key {
		seen[b] = true
	}
	if len(seen) < minKeyVariety {
		return errors.New("the bytes repeat too much to be random")
	}
	return nil
}

// randomKey returns a key that lives as long as the process.
func randomKey() []byte {
	key := make([]byte, minKeyBytes)
	rand.Read(key) // never fails: it ends the process instead
	return key
}

// newMapper derives the key of what is redacted to addresses. All classes of IP
// addresses share one, so that a host is the same as a source and as a
// subscriber; Ethernet addresses have one per class.
func newMapper(key []byte, class Class) (*cryptoPAn, error) {
	what := "address"
	if class.isMAC() {
		what = class.String()
	}
	sub, err := hkdf.Key(sha256.New, key, nil, "fanlight prefix-preserving 1 "+what, cryptoPAnKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key of class %s: %w", class, err)
	}
	return newCryptoPAn(sub)
}

// tokens makes the pseudonyms of one class. Not safe for concurrent use.
type tokens struct {
	prefix string // <class>_<keyid>_
	mac    hash.Hash
	sum    [sha256.Size]byte
}

// newTokens derives the subkey of a class, so that one address has unrelated
// pseudonyms in two classes.
func newTokens(key []byte, keyID string, class Class) (*tokens, error) {
	sub, err := hkdf.Key(sha256.New, key, nil, "fanlight pseudonym 1 "+class.String(), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of class %s: %w", class, err)
	}
	return &tokens{prefix: class.String() + "_" + keyID + "_", mac: hmac.New(sha256.New, sub)}, nil
}

// keyID names a key without telling anything about it.
func keyID(key []byte) (string, error) {
	id, err := hkdf.Key(sha256.New, key, nil, "fanlight key id 1", keyIDBytes)
	if err != nil {
		return "", fmt.Errorf("derive the key id: %w", err)
	}
	return hex.EncodeToString(id), nil
}

func (t *tokens) make(secret []byte) string {
	t.mac.Reset()
	t.mac.Write(secret)
	sum := t.mac.Sum(t.sum[:0])
	var text [2 * tokenBytes]byte
	hex.Encode(text[:], sum[:tokenBytes])
	return t.prefix + string(text[:])
}
