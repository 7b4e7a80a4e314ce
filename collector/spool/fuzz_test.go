package spool

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// signed gives every frame header checksums that fit it, so that what it says
// is believed.
func signed(content []byte) []byte {
	if len(content) < segmentHeader {
		return content
	}
	salt := binary.LittleEndian.Uint32(content[12:])
	for off := segmentHeader; off+frameHeader <= len(content); {
		b := content[off:]
		length := int(binary.LittleEndian.Uint32(b))
		head := crc32.Update(salt, castagnoli, b[:24])
		binary.LittleEndian.PutUint32(b[24:], head)
		if length <= len(b)-frameHeader {
			binary.LittleEndian.PutUint32(b[28:], crc32.Update(head, castagnoli, b[frameHeader:frameHeader+length]))
		}
		off += frameHeader + length
	}
	return content
}

// Whatever is on disk, the spool opens or refuses, delivers what fits its
// numbers, accounts for all that it thought to have, and goes on.
func FuzzRecovery(f *testing.F) {
	content := newSegmentHeader(7)
	for i := range 3 {
		content = appendFrame(content, 7, frame{records: 2, first: uint64(1 + 2*i), oldest: 5}, payload(i, 20))
	}
	f.Add(content, []byte(nil), false)
	f.Add(content[:len(content)-3], []byte(nil), true)
	f.Fuzz(func(t *testing.T, content, cursor []byte, sign bool) {
		cfg := Config{Dir: filepath.Join(t.TempDir(), "spool"), MaxSize: 1 << 20, SegmentSize: 64 << 10}
		if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if sign {
			content = signed(content)
		}
		mustWrite(t, filepath.Join(cfg.Dir, segmentName(1)), content)
		if len(cursor) > 0 {
			mustWrite(t, filepath.Join(cfg.Dir, cursorName), cursor)
		}
		s, err := Open(cfg)
		if err != nil {
			return
		}
		defer s.Close()
		recovered, torn, reached := s.Stats().Recovered, s.Stats().Lost[Torn], s.pos
		if err := s.Append([]byte("behind"), 1, time.Time{}); err != nil {
			t.Fatal(err)
		}
		var taken uint64
		for last := uint64(0); ; {
			e, err := s.take()
			if err != nil {
				t.Fatal(err)
			}
			if e.Records == 0 {
				t.Fatal("what was appended did not come")
			}
			if e.first < last {
				t.Fatalf("record %d came behind %d", e.first, last)
			}
			last = e.first
			s.Ack(e)
			if string(e.Payload) == "behind" && s.Stats().Waiting == 0 {
				break
			}
			end := e.first + uint64(e.Records)
			taken += end - max(e.first, reached) // a batch comes whole, even if its numbers begin before
			reached = end
		}
		stats := s.Stats()
		if got := taken + stats.Lost[Corrupt]; got != recovered || stats.Lost[Torn] != torn {
			t.Fatalf("%d recovered, %d taken, lost %v", recovered, taken, stats.Lost)
		}
	})
}
