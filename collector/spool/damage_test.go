package spool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oneSegment returns what a spool of n small batches is on disk.
func oneSegment(t *testing.T, n int) (name string, content []byte) {
	t.Helper()
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, n, 20)
	s.Close()
	files := segmentFiles(t, cfg.Dir)
	if len(files) != 1 {
		t.Fatalf("want one segment, got %v", files)
	}
	return filepath.Base(files[0]), mustRead(t, files[0])
}

// openWith opens a spool of one segment.
func openWith(t *testing.T, name string, content []byte) *Spool {
	t.Helper()
	cfg := small(t)
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(cfg.Dir, name), content)
	return open(t, cfg)
}

// Wherever the last frame is torn, all before it is delivered, what is lost is
// counted if its header is whole, and the spool goes on.
func TestTornTail(t *testing.T) {
	const batches = 5
	name, content := oneSegment(t, batches)
	last := len(content) - frameHeader - len(payload(batches-1, 20))
	for size := range content {
		s := openWith(t, name, content[:size])
		want := uint64(1) // frame, of unknown records
		switch {
		case size >= last+frameHeader:
			want = uint64(recordsOf(batches - 1))
		case size == last:
			want = 0
		}
		mustAppend(t, s, 100, 1, 20)
		got := waiting(t, s, 20)
		if size < last { // more than the last is gone
			if !slices.Equal(got[:len(got)-1], upTo(0, len(got)-1)) || got[len(got)-1] != 100 {
				t.Errorf("%d bytes: got %v", size, got)
			}
		} else if d := cmp.Diff(append(upTo(0, batches-1), 100), got); d != "" {
			t.Errorf("%d bytes (-want +got):\n%s", size, d)
		}
		stats := s.Stats()
		if size >= last && stats.Lost != [NumReasons]uint64{Torn: want} || stats.Lost[Corrupt] != 0 {
			t.Errorf("%d bytes: want %d torn, got %v", size, want, stats.Lost)
		}
		if stats.Waiting != 0 {
			t.Errorf("%d bytes: %d still wait", size, stats.Waiting)
		}
		s.Close()
	}
}

// Whatever byte is damaged, one batch is lost at most, which is counted
// exactly, and nothing wrong is delivered. There are two exceptions: the header
// of the last batch tells how many records are lost, and a segment without its
// salt is lost whole; both count as one.
func TestDamagedBytes(t *testing.T) {
	const batches = 5
	name, content := oneSegment(t, batches)
	last := len(content) - frameHeader - len(payload(batches-1, 20))
	for i := range content {
		damaged := slices.Clone(content)
		damaged[i] ^= 0x55
		s := openWith(t, name, damaged)
		got := waiting(t, s, 20)
		missing := recordsIn(upTo(0, batches)) - recordsIn(got)
		lost := s.Stats().Lost
		switch {
		case i >= 12 && i < 16: // salt
			if len(got) != 0 || lost != [NumReasons]uint64{Torn: 1} {
				t.Errorf("byte %d: got %v, lost %v", i, got, lost)
			}
		case i < segmentHeader:
			if len(got) != batches || lostIn(s.Stats()) != 0 {
				t.Errorf("byte %d: got %v, lost %v", i, got, lost)
			}
		case i >= last && i < last+28: // header of the last, with its checksum
			if len(got) != batches-1 || lost != [NumReasons]uint64{Torn: 1} {
				t.Errorf("byte %d: got %v, lost %v", i, got, lost)
			}
		default:
			if len(got) != batches-1 || lost != [NumReasons]uint64{Corrupt: missing} {
				t.Errorf("byte %d: got %v, missing %d, lost %v", i, got, missing, lost)
			}
		}
		s.Close()
	}
}

// A segment that somebody removes, empties or damages costs what was in it.
func TestDamagedSegments(t *testing.T) {
	const batches = 40
	tests := map[string]func(path string) error{
		"removed":   os.Remove,
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"cut":       func(path string) error { return os.Truncate(path, segmentHeader+10) },
		"zeroed":    func(path string) error { return os.WriteFile(path, make([]byte, 8<<10), 0o600) },
		"shortened": func(path string) error { return os.Truncate(path, 4000) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := small(t)
			s := open(t, cfg)
			mustAppend(t, s, 0, batches, 1000)
			s.Close()
			if err := damage(segmentFiles(t, cfg.Dir)[2]); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			got := waiting(t, s, 1000)
			want := [NumReasons]uint64{Corrupt: recordsIn(upTo(0, batches)) - recordsIn(got)}
			if lost := s.Stats().Lost; lost != want || len(got) < batches*3/4 || len(got) == batches {
				t.Errorf("got %v; want %v lost, got %v", got, want, lost)
			}
		})
	}
}

// A file that is cut short while it is read costs what was in it.
func TestShrunkWhileOpen(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 20, 1000)
	if err := os.Truncate(segmentFiles(t, cfg.Dir)[0], 1500); err != nil {
		t.Fatal(err)
	}
	got := waiting(t, s, 1000)
	want := [NumReasons]uint64{Corrupt: recordsIn(upTo(0, 20)) - recordsIn(got)}
	if lost := s.Stats().Lost; lost != want || len(got) < 10 {
		t.Errorf("got %v; want %v lost, got %v", got, want, lost)
	}
}

func TestAnotherVersionIsRefused(t *testing.T) {
	name, content := oneSegment(t, 1)
	head := newSegmentHeaderOf(t, 2)
	cfg := small(t)
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(cfg.Dir, name), append(head, content[segmentHeader:]...))
	if _, err := Open(cfg); !errors.Is(err, ErrVersion) {
		t.Errorf("want %v, got %v", ErrVersion, err)
	}
}

// Without its cursor, or with a damaged one, everything that is there comes
// again: twice is better than never.
func TestDamagedCursor(t *testing.T) {
	tests := map[string]func(path string) error{
		"removed": os.Remove,
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"damaged": func(path string) error { return os.WriteFile(path, []byte(cursorMagic+"123456789012"), 0o600) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := small(t)
			s := open(t, cfg)
			mustAppend(t, s, 0, 3, 20)
			e, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Ack(e)
			s.Close()
			if err := damage(filepath.Join(cfg.Dir, cursorName)); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			if d := cmp.Diff(upTo(0, 3), waiting(t, s, 20)); d != "" || lostIn(s.Stats()) != 0 {
				t.Errorf("%v (-want +got):\n%s", s.Stats(), d)
			}
		})
	}
}

// A power cut may take batches whose delivery the cursor already knows of.
func TestCursorAheadOfTheSegments(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 3, 20)
	s.Close()
	if err := writeCursor(cfg.Dir, 1000, false); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	mustAppend(t, s, 3, 2, 20)
	if d := cmp.Diff([]int{3, 4}, waiting(t, s, 20)); d != "" || lostIn(s.Stats()) != 0 {
		t.Errorf("%v (-want +got):\n%s", s.Stats(), d)
	}
}
