package observe

import (
	"encoding/binary"
	"errors"
)

// errShort: a netlink message ends before what it announces.
var errShort = errors.New("a netlink message is too short")

const (
	sizeofAttr   = 4      // struct rtattr
	attrTypeMask = 0x3fff // NLA_TYPE_MASK
)

// eachAttr calls visit with the type and the value of each netlink attribute.
// The library's parser does not survive an attribute that ends unaligned.
func eachAttr(b []byte, visit func(typ uint16, value []byte) error) error {
	for len(b) >= sizeofAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < sizeofAttr || n > len(b) {
			return errShort
		}
		if err := visit(binary.NativeEndian.Uint16(b[2:])&attrTypeMask, b[sizeofAttr:n]); err != nil {
			return err
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}

// eachOf calls visit with the value of each attribute of a type.
func eachOf(b []byte, wanted uint16, visit func(value []byte) error) error {
	return eachAttr(b, func(typ uint16, value []byte) error {
		if typ != wanted {
			return nil
		}
		return visit(value)
	})
}
