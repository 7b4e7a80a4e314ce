package collector

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/collector/spool"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// spooled gives a bench a spool in dir.
func spooled(dir string) func(*NamedSink) {
	return func(s *NamedSink) {
		s.Spool = spool.Config{Dir: dir, MaxSize: 8 << 20, SegmentSize: 256 << 10}
		s.Retry = RetryConfig{First: time.Millisecond, Most: 20 * time.Millisecond}
		s.Batch = BatchConfig{Records: 100, Age: time.Millisecond}
		s.QueueRecords = 1000
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// putSlowly hands over n events, as fast as the queue takes them.
func (b *bench) putSlowly(t *testing.T, n int) {
	t.Helper()
	for range n / 100 {
		until(t, "there is room in memory", func() bool { records, _ := b.queue.load(); return records < 500 })
		b.put(100)
	}
}

// wantOrder fails unless the records are those from number 0 on, in order.
func (d *destination) wantOrder(t *testing.T) {
	t.Helper()
	prefix := strings.TrimSuffix(idOf(t, 0), "0")
	for i, id := range d.ids {
		if id != prefix+strconv.FormatInt(int64(i), 16) {
			t.Fatalf("record %d is %s, out of order", i, id)
		}
	}
}

// TestASpoolHoldsWhatAStalledSinkCantTake: fifty times what fits in memory waits
// on disk, and arrives in order afterwards.
func TestASpoolHoldsWhatAStalledSinkCantTake(t *testing.T) {
	release := make(chan struct{})
	d := &destination{export: func(ctx context.Context, _ []redact.Record) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	b := newBench(t, d, spooled(t.TempDir()))
	b.putSlowly(t, 50_000)
	until(t, "all of it waits on disk", func() bool { s := b.status(); return s.Waiting == 50_000 && s.SpoolBytes > 0 })
	close(release)
	s := b.end(t)
	d.wantIDs(t, 50_000)
	d.wantOrder(t)
	wantLost(t, s, map[LossPoint]uint64{})
}

// TestWhatIsInTheSpoolOutlivesTheAgent: a sink that is dead when the agent stops
// gets everything from the next one.
func TestWhatIsInTheSpoolOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	var dead atomic.Bool
	dead.Store(true)
	d := &destination{export: func(context.Context, []redact.Record) error {
		if dead.Load() {
			return errors.New("dead")
		}
		return nil
	}}
	first := newBench(t, d, spooled(dir))
	first.putSlowly(t, 3000)
	until(t, "all of it is on disk", func() bool { n, _ := first.queue.load(); return n == 0 })
	first.stop()
	if err := <-first.done; err != nil {
		t.Fatal(err)
	}
	if s := first.status(); s.TotalLost() != 0 || s.Delivered != 0 {
		t.Errorf("after the first agent: %+v", s)
	}
	dead.Store(false)
	second := newBench(t, d, spooled(dir))
	second.seq = 3000
	second.put(10)
	until(t, "the second agent delivers", func() bool { return second.status().Delivered == 3010 })
	second.seq = 10
	if s := second.end(t); s.Recovered != 3000 {
		t.Errorf("recovered %d, want 3000", s.Recovered)
	}
	d.wantIDs(t, 3010)
	d.wantOrder(t)
}

// TestAFullSpoolLosesWhatItsPolicySays, counts it, and the equation closes.
func TestAFullSpoolLosesWhatItsPolicySays(t *testing.T) {
	for _, policy := range []spool.WhenFull{spool.DropOldest, spool.DropNewest} {
		t.Run(string(policy), func(t *testing.T) {
			release := make(chan struct{})
			d := &destination{export: func(ctx context.Context, _ []redact.Record) error {
				select {
				case <-release:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}
			b := newBench(t, d, func(s *NamedSink) {
				spooled(t.TempDir())(s)
				s.Spool.MaxSize, s.Spool.SegmentSize, s.Spool.WhenFull = 64<<10, 8<<10, policy
			})
			b.putSlowly(t, 20_000)
			until(t, "the last ones are on disk or lost", func() bool { n, _ := b.queue.load(); return n == 0 })
			close(release)
			s := b.end(t)
			lost := s.Lost[LossPoint{"spool", map[spool.WhenFull]string{spool.DropOldest: "full_oldest", spool.DropNewest: "full_newest"}[policy]}]
			if lost == 0 || lost != s.TotalLost() || lost+s.Delivered != 20_000 {
				t.Errorf("lost %v, delivered %d of 20000", s.Lost, s.Delivered)
			}
			last := d.ids[len(d.ids)-1] == idOf(t, 19_999)
			if last != (policy == spool.DropOldest) {
				t.Errorf("the last record arrived: %t", last)
			}
			d.wantIDs(t, int(s.Delivered))
		})
	}
}

// TestAFullDiskAloneLosesNothing: where the spool takes nothing and the sink
// works, records go there directly.
func TestAFullDiskAloneLosesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts a small disk, which needs root")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 60<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &destination{}
	b := newBench(t, d, spooled(filepath.Join(disk, "spool")))
	b.putSlowly(t, 5000)
	until(t, "everything is delivered", func() bool { return b.status().Delivered == 5000 })
	if !b.store.trouble.lasts() {
		t.Error("nobody noticed that the disk is full")
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	b.putSlowly(t, 200)
	until(t, "the disk is used again", func() bool { return b.status().Delivered == 5200 && !b.store.trouble.lasts() })
	wantLost(t, b.end(t), map[LossPoint]uint64{})
	d.wantIDs(t, 5200)
	d.wantOrder(t)
}

// TestSpoolFilesHoldNoSecret: what policy hides is not on disk either.
func TestSpoolFilesHoldNoSecret(t *testing.T) {
	for _, c := range []struct {
		profile redact.Profile
		leaks   func([]byte) []string
	}{{redact.DefaultProfile, redacttest.Leaks}, {redact.StrictProfile, redacttest.StrictLeaks}, {redact.RevealProfile, nil}} {
		t.Run(string(c.profile), func(t *testing.T) {
			dir := t.TempDir()
			d := &destination{export: func(context.Context, []redact.Record) error { return errors.New("dead") }}
			b := newBench(t, d, func(s *NamedSink) {
				spooled(dir)(s)
				s.Policy = redacttest.Policy(t, c.profile)
			})
			b.lane.policy = redacttest.Policy(t, c.profile)
			events := redacttest.CanaryEvents()
			if c.profile == redact.StrictProfile {
				events = redacttest.StrictCanaryEvents()
			}
			b.lane.handOver(events)
			until(t, "all of it is on disk", func() bool { n, _ := b.queue.load(); return n == 0 })
			b.stop()
			if err := <-b.done; err != nil {
				t.Fatal(err)
			}
			raw := everyFile(t, dir)
			switch {
			case c.leaks == nil:
				if len(redacttest.Leaks(raw)) == 0 {
					t.Error("the search for leaks finds nothing where all is revealed")
				}
			case len(c.leaks(raw)) > 0:
				t.Errorf("leaked: %v", c.leaks(raw))
			}
		})
	}
}

func everyFile(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all = append(all, raw...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
