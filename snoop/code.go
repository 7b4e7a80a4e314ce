package snoop

import "math/bits"

// Intervals travel as an 8- or 16-bit code that is a small floating point
// number above its half: RFC 9776 section 4.1.1, RFC 9777 section 5.1.3.

const (
	maxCode8  = 31 << 10     // the largest value of an 8-bit code
	maxCode16 = 0x1fff << 10 // and of a 16-bit one
)

// decodeCode8 returns the value of an IGMPv3 Max Resp Code or a QQIC.
func decodeCode8(code uint8) uint32 {
	if code < 0x80 {
		return uint32(code)
	}
	return (uint32(code&0x0f) | 0x10) << (code>>4&0x07 + 3)
}

// encodeCode8 returns the code of the largest value not above v.
func encodeCode8(v uint32) uint8 {
	if v < 0x80 {
		return uint8(v)
	}
	v = min(v, maxCode8)
	exp := bits.Len32(v) - 5 // leaves the 5 bits of 1mmmm
	return uint8(0x80 | (exp-3)<<4 | int(v>>exp)&0x0f)
}

// decodeCode16 returns the value of an MLDv2 Maximum Response Code.
func decodeCode16(code uint16) uint32 {
	if code < 0x8000 {
		return uint32(code)
	}
	return (uint32(code&0x0fff) | 0x1000) << (code>>12&0x07 + 3)
}

// encodeCode16 returns the code of the largest value not above v.
func encodeCode16(v uint32) uint16 {
	if v < 0x8000 {
		return uint16(v)
	}
	v = min(v, maxCode16)
	exp := bits.Len32(v) - 13
	return uint16(0x8000 | (exp-3)<<12 | int(v>>exp)&0x0fff)
}
