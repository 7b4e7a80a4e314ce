package redact

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
)

const cryptoPAnKeyBytes = 32

// cryptoPAn maps values to values so that two that share their first n bits
// still do, and no two become one: Xu, Fan, Ammar and Moon, "Prefix-Preserving
// IP Address Anonymization", ICNP 2002. The key holder can undo it. Not safe
// for concurrent use.
type cryptoPAn struct {
	block   cipher.Block
	pad     [aes.BlockSize]byte
	in, out [aes.BlockSize]byte
}

// newCryptoPAn takes a key of 32 bytes: an AES-128 key, and what is encrypted
// to become the padding.
func newCryptoPAn(key []byte) (*cryptoPAn, error) {
	if len(key) != cryptoPAnKeyBytes {
		return nil, errors.New("the key of Crypto-PAn has 32 bytes")
	}
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, err
	}
	c := &cryptoPAn{block: block}
	block.Encrypt(c.pad[:], key[16:])
	return c, nil
}

// A keeper says whether a bit stays as it is. It may look at the bits of the
// original before that one only, or the mapping would not be one-to-one.
type keeper func(original []byte, bit int) bool

func keepNone([]byte, int) bool { return false }

// hide replaces the value, of 16 bytes at most, in place.
func (c *cryptoPAn) hide(value []byte, keeps keeper) {
	var original [aes.BlockSize]byte
	n := copy(original[:], value)
	for bit := range 8 * n {
		if !keeps(original[:n], bit) {
			value[bit/8] ^= c.flip(original[:n], bit)
		}
	}
}

// reveal undoes hide. Each bit follows from those of the original before it,
// which are known by then.
func (c *cryptoPAn) reveal(value []byte, keeps keeper) {
	for bit := range 8 * len(value) {
		if !keeps(value, bit) {
			value[bit/8] ^= c.flip(value, bit)
		}
	}
}

// flip returns the bit, at its place in its byte, that the first bits of the
// original and the padding behind them decide.
func (c *cryptoPAn) flip(original []byte, bit int) byte {
	c.in = c.pad
	whole, rest := bit/8, bit%8
	copy(c.in[:whole], original)
	if rest > 0 {
		mask := byte(0xff) << (8 - rest)
		c.in[whole] = original[whole]&mask | c.pad[whole]&^mask
	}
	c.block.Encrypt(c.out[:], c.in[:])
	return c.out[0] >> 7 << (7 - rest)
}
