package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// A segment is a file that is named after the number of its first record, in
// hexadecimal, and holds a header and frames. All numbers are little endian.
//
//	segment header   magic 8, version 4, salt 4, checksum of these 4
//	frame header     length of the payload 4, records 4, number of the first
//	                 record 8, time of the oldest 8, checksum of these 4,
//	                 checksum of these and the payload 4
//
// The checksums are CRC-32C. Those of frames begin with the segment's salt, a
// random number, so that nothing in a payload can pass for a frame when the
// place of the next one must be searched for. The header has a checksum of its
// own, so that a damaged payload does not hide where the next frame begins nor
// how many records are lost.
const (
	segmentMagic   = "fanspool"
	segmentVersion = 1
	segmentHeader  = 20
	frameHeader    = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newSegmentHeader(salt uint32) []byte {
	b := append(make([]byte, 0, segmentHeader), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, segmentVersion)
	b = binary.LittleEndian.AppendUint32(b, salt)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseSegmentHeader returns the salt. Of a damaged header it returns what
// stands there: if the salt is not what was damaged, the frames still fit it.
// The error is ErrVersion for a sound header of another version.
func parseSegmentHeader(b []byte) (salt uint32, err error) {
	sound := binary.LittleEndian.Uint32(b[16:]) == crc32.Checksum(b[:16], castagnoli) && string(b[:8]) == segmentMagic
	if version := binary.LittleEndian.Uint32(b[8:]); sound && version != segmentVersion {
		return 0, fmt.Errorf("%w %d, want %d", ErrVersion, version, segmentVersion)
	}
	return binary.LittleEndian.Uint32(b[12:]), nil
}

// frame is the header of one batch.
type frame struct {
	length  uint32 // of the payload, in bytes
	records uint32
	first   uint64 // number of the first record
	oldest  int64  // in nanoseconds since the epoch; 0 if unknown
	head    uint32 // checksum that the one of the payload begins with
	sum     uint32 // checksum with the payload
}

// end is the number of the record behind the frame.
func (f frame) end() uint64 { return f.first + uint64(f.records) }

// size is what the frame takes on disk.
func (f frame) size() int64 { return frameHeader + int64(f.length) }

// time is the zero time if it is not known.
func (f frame) time() time.Time {
	if f.oldest == 0 {
		return time.Time{}
	}
	return time.Unix(0, f.oldest)
}

// appendFrame appends header and payload.
func appendFrame(dst []byte, salt uint32, f frame, payload []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, f.records)
	dst = binary.LittleEndian.AppendUint64(dst, f.first)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.oldest))
	head := crc32.Update(salt, castagnoli, dst[start:])
	dst = binary.LittleEndian.AppendUint32(dst, head)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Update(head, castagnoli, payload))
	return append(dst, payload...)
}

// parseFrame reads a header. ok is false if it is none.
func parseFrame(b []byte, salt uint32) (f frame, ok bool) {
	f = frame{
		length: binary.LittleEndian.Uint32(b), records: binary.LittleEndian.Uint32(b[4:]), first: binary.LittleEndian.Uint64(b[8:]),
		oldest: int64(binary.LittleEndian.Uint64(b[16:])), head: binary.LittleEndian.Uint32(b[24:]), sum: binary.LittleEndian.Uint32(b[28:]),
	}
	ok = f.head == crc32.Update(salt, castagnoli, b[:24]) && f.records > 0 && f.end() > f.first
	return f, ok
}

// holds reports whether the payload is the frame's.
func (f frame) holds(payload []byte) bool {
	return f.sum == crc32.Update(f.head, castagnoli, payload)
}

// findFrame returns the first frame at or behind off, and where it begins. It
// searches on where there is none, and returns limit if there is none up to
// it. A frame is one by its header; it may reach beyond the limit.
func findFrame(file io.ReaderAt, salt uint32, off, limit int64) (f frame, at int64, err error) {
	var head [frameHeader]byte
	if off+frameHeader > limit {
		return frame{}, limit, nil
	}
	if _, err := file.ReadAt(head[:], off); err != nil {
		return frame{}, off, err
	}
	if f, ok := parseFrame(head[:], salt); ok {
		return f, off, nil
	}
	window := make([]byte, 64<<10)
	for off++; off+frameHeader <= limit; off += int64(len(window)) - frameHeader + 1 {
		window = window[:min(int64(cap(window)), limit-off)]
		if _, err := file.ReadAt(window, off); err != nil {
			return frame{}, off, err
		}
		for i := 0; i+frameHeader <= len(window); i++ {
			if f, ok := parseFrame(window[i:], salt); ok {
				return f, off + int64(i), nil
			}
		}
	}
	return frame{}, limit, nil
}
