package exporters

import (
	"encoding/binary"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

func appendFixed64(dst []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(dst, n, protowire.Fixed64Type), v)
}

func appendStringField(dst []byte, n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s)
}

func appendBytesField(dst []byte, n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), b)
}

// guess is how many bytes beginMessage leaves for the length of a message.
const guess = 3

// beginMessage opens a message in a field, of a length that only endMessage
// knows. What is appended until then is its content.
func beginMessage(dst []byte, n protowire.Number) (_ []byte, content int) {
	dst = append(protowire.AppendTag(dst, n, protowire.BytesType), make([]byte, guess)...)
	return dst, len(dst)
}

// endMessage writes the length of the message whose content begins at the given
// place, and moves the content if the length takes other than guess bytes.
func endMessage(dst []byte, content int) []byte {
	n := len(dst) - content
	start := content - guess + protowire.SizeVarint(uint64(n))
	if start > content {
		dst = append(dst, make([]byte, start-content)...)
	}
	copy(dst[start:], dst[content:content+n])
	binary.PutUvarint(dst[content-guess:], uint64(n))
	return dst[:start+n]
}

// appendValid appends s with U+FFFD for each byte that is not UTF-8, which
// protobuf does not allow in strings.
func appendValid(dst []byte, s string) []byte {
	for _, r := range s { // yields U+FFFD for such bytes
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}
