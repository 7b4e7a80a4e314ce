package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var begun = time.Date(2026, 11, 22, 21, 34, 5, 123456789, time.UTC)

func open(t testing.TB, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// payload is what the n-th batch of a test holds: itself many times over, so
// that a piece of it is not taken for the whole.
func payload(n, size int) []byte {
	word := fmt.Sprintf("batch %d.", n)
	return []byte(strings.Repeat(word, 1+size/len(word)))
}

// recordsOf differs from batch to batch, so that a wrong count shows.
func recordsOf(n int) int { return 1 + n%7 }

func mustAppend(t testing.TB, s *Spool, first, n, size int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		if err := s.Append(payload(i, size), recordsOf(i), begun.Add(time.Duration(i))); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
}

// waiting takes everything that waits. Each entry must be one that was
// appended, and they must come in order.
func waiting(t testing.TB, s *Spool, size int) (batches []int) {
	t.Helper()
	for s.Stats().Waiting > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		e, err := s.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			continue // only damage was left, and is counted by now
		}
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscanf(string(e.Payload), "batch %d.", &n); err != nil {
			t.Fatalf("not a batch of ours: %.40q", e.Payload)
		}
		if string(e.Payload) != string(payload(n, size)) || e.Records != recordsOf(n) || !e.Oldest.Equal(begun.Add(time.Duration(n))) {
			t.Fatalf("batch %d is not as it was: %d records, %s, %.40q", n, e.Records, e.Oldest, e.Payload)
		}
		if len(batches) > 0 && n <= batches[len(batches)-1] {
			t.Fatalf("batch %d came behind %d", n, batches[len(batches)-1])
		}
		batches = append(batches, n)
		s.Ack(e)
	}
	return batches
}

// recordsIn counts the records of batches.
func recordsIn(batches []int) (records uint64) {
	for _, n := range batches {
		records += uint64(recordsOf(n))
	}
	return records
}

func upTo(first, end int) (batches []int) {
	for n := first; n < end; n++ {
		batches = append(batches, n)
	}
	return batches
}

func lostIn(stats Stats) (records uint64) {
	for _, n := range stats.Lost {
		records += n
	}
	return records
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustWrite(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// newSegmentHeaderOf is the header of a segment of another version.
func newSegmentHeaderOf(t testing.TB, version uint32) []byte {
	t.Helper()
	b := newSegmentHeader(7)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	return b
}
