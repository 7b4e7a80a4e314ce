package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A payload is a 16-byte header and a filler that its stream and sequence
// number determine, so that a receiver knows each byte that must come:
//
//	0  CRC-32C of bytes 4 to 15 and of the length of the payload
//	4  stream
//	8  sequence number, from 0
//	16 filler

// MinPayload is the smallest payload that can be verified, in bytes.
const MinPayload = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fillers holds every filler: a payload takes a slice of it. Two neighbouring
// sequence numbers start at different bytes.
var fillers = func() []byte {
	b := make([]byte, maxDatagram+fillerStarts)
	x := uint32(0x9e3779b9) // xorshift: cheap, and without short periods
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}()

const fillerStarts = 251 // prime, so that starts don't line up with batches

func filler(stream uint32, seq uint64, size int) []byte {
	start := (uint64(stream) + seq) % fillerStarts
	return fillers[start : start+uint64(size-MinPayload)]
}

func headerSum(b []byte) uint32 {
	sum := crc32.Checksum(b[4:MinPayload], castagnoli)
	return crc32.Update(sum, castagnoli, binary.BigEndian.AppendUint32(nil, uint32(len(b))))
}

// putPayload writes the payload with that sequence number over all of b.
func putPayload(b []byte, stream uint32, seq uint64) {
	binary.BigEndian.PutUint32(b[4:], stream)
	binary.BigEndian.PutUint64(b[8:], seq)
	copy(b[MinPayload:], filler(stream, seq, len(b)))
	binary.BigEndian.PutUint32(b, headerSum(b))
}

// Payload returns the payload of a size that a receiver verifies as number seq
// of a stream, for frames that a test builds itself. Size must be at least
// MinPayload.
func Payload(stream uint32, seq uint64, size int) []byte {
	if size < MinPayload || size > maxDatagram {
		panic(fmt.Sprintf("payload of %d bytes: want %d to %d", size, MinPayload, maxDatagram))
	}
	b := make([]byte, size)
	putPayload(b, stream, seq)
	return b
}

// parsePayload returns what the header says, and whether each byte is right.
func parsePayload(b []byte) (stream uint32, seq uint64, ok bool) {
	if len(b) < MinPayload || binary.BigEndian.Uint32(b) != headerSum(b) {
		return 0, 0, false
	}
	stream, seq = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])
	return stream, seq, bytes.Equal(b[MinPayload:], filler(stream, seq, len(b)))
}
