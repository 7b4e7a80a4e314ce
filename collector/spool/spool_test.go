package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func small(t testing.TB) Config {
	return Config{Dir: filepath.Join(t.TempDir(), "spool"), MaxSize: 64 << 10, SegmentSize: 8 << 10}
}

func TestOrderAcrossSegmentsAndRestarts(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 40, 1000)
	if stats := s.Stats(); stats.Segments < 5 || stats.Waiting != recordsIn(upTo(0, 40)) || !stats.Oldest.Equal(begun) {
		t.Errorf("before: %+v", stats)
	}
	for range 10 {
		e, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(e)
	}
	if stats := s.Stats(); stats.Waiting != recordsIn(upTo(10, 40)) || !stats.Oldest.Equal(begun.Add(10)) {
		t.Errorf("after 10: %+v", stats)
	}
	if _, err := s.Next(t.Context()); err != nil { // held, and not acknowledged
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, cfg)
	if stats := s.Stats(); stats.Recovered != recordsIn(upTo(10, 40)) || lostIn(stats) != 0 {
		t.Errorf("after a restart: %+v", stats)
	}
	mustAppend(t, s, 40, 5, 1000)
	if d := cmp.Diff(upTo(10, 45), waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	if stats := s.Stats(); stats.Waiting != 0 || !stats.Oldest.IsZero() || lostIn(stats) != 0 || stats.Segments != 1 {
		t.Errorf("in the end: %+v", stats)
	}
	s.Close()
	if files := segmentFiles(t, cfg.Dir); len(files) > 0 {
		t.Errorf("nothing waits, but there are %v", files)
	}
	s = open(t, cfg)
	mustAppend(t, s, 45, 1, 1000)
	if d := cmp.Diff([]int{45}, waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
}

func TestNextReturnsTheSameUntilAcknowledged(t *testing.T) {
	s := open(t, small(t))
	mustAppend(t, s, 0, 2, 10)
	first, _ := s.Next(t.Context())
	again, _ := s.Next(t.Context())
	if string(first.Payload) != string(again.Payload) {
		t.Errorf("got %q, then %q", first.Payload, again.Payload)
	}
	s.Ack(first)
	s.Ack(first) // twice does no harm
	second, err := s.Next(t.Context())
	if err != nil || string(second.Payload) != string(payload(1, 10)) {
		t.Errorf("got %q, %v", second.Payload, err)
	}
}

func TestNextWaits(t *testing.T) {
	s := open(t, small(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	got := make(chan error)
	go func() {
		for range 2 {
			e, err := s.Next(t.Context())
			s.Ack(e)
			got <- err
		}
	}()
	mustAppend(t, s, 0, 1, 10)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	if err := s.Append([]byte("x"), 1, time.Time{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestDropOldest(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 1, 1000)
	held, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 1, 199, 1000)
	stats := s.Stats()
	if stats.Bytes > int64(cfg.MaxSize) || stats.Lost[FullOldest] == 0 {
		t.Fatalf("full: %+v", stats)
	}
	if again, err := s.Next(t.Context()); err != nil || string(again.Payload) != string(payload(0, 1000)) {
		t.Errorf("the entry that is held: %.20q, %v", again.Payload, err)
	}
	s.Ack(held)
	got := waiting(t, s, 1000)
	if d := cmp.Diff(upTo(got[0], 200), got); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	want := [NumReasons]uint64{FullOldest: recordsIn(upTo(1, got[0]))} // batch 0 was held
	if stats := s.Stats(); stats.Lost != want || stats.Waiting != 0 {
		t.Errorf("want %v lost, got %+v", want, stats)
	}
}

// What was dropped is not counted again after a restart.
func TestDroppedIsCountedOnce(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	waitFor(t, "cursor", func() bool { _, ok, _ := readCursor(cfg.Dir); return ok }) // of the beginning
	mustAppend(t, s, 0, 200, 1000)
	lost := s.Stats().Lost[FullOldest]
	cfg.Dir = crashed(t, cfg.Dir)
	got := open(t, cfg)
	batches := waiting(t, got, 1000)
	if total := lost + recordsIn(batches); total != recordsIn(upTo(0, 200)) || lostIn(got.Stats()) != 0 {
		t.Errorf("%d lost, %d waited, then %+v", lost, recordsIn(batches), got.Stats())
	}
}

// crashed returns a copy of the directory as SIGKILL would leave it.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestDropNewest(t *testing.T) {
	cfg := small(t)
	cfg.WhenFull = DropNewest
	s := open(t, cfg)
	var taken []int
	for i := range 200 {
		switch err := s.Append(payload(i, 1000), recordsOf(i), begun.Add(time.Duration(i))); {
		case err == nil:
			taken = append(taken, i)
		case !errors.Is(err, ErrFull):
			t.Fatal(err)
		}
	}
	want := [NumReasons]uint64{FullNewest: recordsIn(upTo(len(taken), 200))}
	if stats := s.Stats(); stats.Lost != want || stats.Bytes > int64(cfg.MaxSize) || stats.Bytes < int64(cfg.MaxSize)*9/10 {
		t.Errorf("want %v lost, got %+v", want, stats)
	}
	if d := cmp.Diff(taken, waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	mustAppend(t, s, 200, 20, 1000) // there is room again
}

func TestBatchesThatDoNotFit(t *testing.T) {
	s := open(t, small(t))
	if err := s.Append(make([]byte, 8<<10), 3, time.Time{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: got %v", err)
	}
	if err := s.Append(nil, 0, time.Time{}); err == nil {
		t.Error("no records: no error")
	}
	largest := make([]byte, 8<<10-segmentHeader-frameHeader)
	if err := s.Append(largest, 1, time.Time{}); err != nil {
		t.Error(err)
	}
	if err := s.Append(nil, 1, time.Time{}); err != nil {
		t.Error(err)
	}
	for _, want := range []int{len(largest), 0} {
		e, err := s.Next(t.Context())
		if err != nil || len(e.Payload) != want || !e.Oldest.IsZero() {
			t.Errorf("want %d bytes, got %d of %s, %v", want, len(e.Payload), e.Oldest, err)
		}
		s.Ack(e)
	}
	if n := lostIn(s.Stats()); n != 0 {
		t.Errorf("%d records are lost that the caller has", n)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	if _, err := Open(cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("locked: got %v", err)
	}
	s.Close()
	open(t, cfg)
}

func TestModes(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 20, 1000)
	waitFor(t, "cursor", func() bool { _, err := os.Stat(filepath.Join(cfg.Dir, cursorName)); return err == nil })
	if info, err := os.Stat(cfg.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", info.Mode(), err)
	}
	for _, path := range append(segmentFiles(t, cfg.Dir), filepath.Join(cfg.Dir, cursorName)) {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	s.Close()
	if err := os.Chmod(cfg.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); err == nil {
		t.Error("a directory that anyone may write to was taken")
	}
}

func TestForeignFilesStay(t *testing.T) {
	cfg := small(t)
	s := open(t, cfg)
	mustAppend(t, s, 0, 20, 1000)
	s.Close()
	foreign := []string{"0000000000000000.spool", "README", "ffffffffffffffff.spool", "zzzzzzzzzzzzzzzz.spool"}
	for _, name := range foreign {
		mustWrite(t, filepath.Join(cfg.Dir, name), []byte("not ours"))
	}
	s = open(t, cfg)
	names, err := s.Foreign()
	if d := cmp.Diff(foreign, names); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if d := cmp.Diff(upTo(0, 20), waiting(t, s, 1000)); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	for _, name := range foreign {
		if got := string(mustRead(t, filepath.Join(cfg.Dir, name))); got != "not ours" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// One goroutine appends while another takes. Run with -race.
func TestConcurrentUse(t *testing.T) {
	for name, sync := range map[string]SyncPolicy{"never": {}, "interval": SyncEvery(10 * time.Millisecond), "batch": SyncEveryBatch} {
		t.Run(name, func(t *testing.T) {
			cfg := small(t)
			cfg.Sync = sync
			cfg.MaxSize = 16 << 10 // oldest segments go while they are read
			s := open(t, cfg)
			const batches = 3000
			go func() {
				for i := range batches {
					if err := s.Append(payload(i, 500), recordsOf(i), begun.Add(time.Duration(i))); err != nil {
						t.Error(err)
					}
				}
			}()
			var got []int
			waitFor(t, "all batches", func() bool {
				got = append(got, waiting(t, s, 500)...)
				stats := s.Stats()
				return recordsIn(got)+lostIn(stats) == recordsIn(upTo(0, batches)) && stats.Waiting == 0
			})
			if !slices.IsSorted(got) {
				t.Error("batches are out of order")
			}
			if stats := s.Stats(); stats.Lost != [NumReasons]uint64{FullOldest: lostIn(stats)} {
				t.Errorf("lost: %+v", stats)
			}
		})
	}
}
