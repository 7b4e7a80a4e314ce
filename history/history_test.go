package history

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

func open(t testing.TB, cfg Config) *History {
	t.Helper()
	h, err := Open(cfg, "policy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(t.Context()) })
	return h
}

// maker makes records of one ring, numbered from 0, a millisecond apart.
type maker struct {
	policy *redact.Policy
	seq    uint64
	at     time.Time
}

func newMaker(t testing.TB) *maker {
	return &maker{policy: redacttest.Policy(t, redact.DefaultProfile), at: time.Now()}
}

func (m *maker) records(n int) []redact.Record {
	events := redacttest.Busy(int(m.seq), n)
	for i := range events {
		events[i].Ring, events[i].Time = 0, m.at
		events[i].Packets, events[i].Bytes = m.seq*7919, m.seq*m.seq*104729 // so that they take some room
		m.seq, m.at = m.seq+1, m.at.Add(time.Millisecond)
	}
	return m.policy.Apply(nil, events)
}

func export(t testing.TB, h *History, records []redact.Record) {
	t.Helper()
	if err := h.Export(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// got is what a cursor found.
type got struct {
	seqs               []uint64
	missing, overtaken uint64
}

// readAll reads to the end.
func readAll(t testing.TB, c *Cursor) (all got) {
	t.Helper()
	for {
		b, err := c.Next(t.Context())
		if errors.Is(err, io.EOF) || errors.Is(err, ErrClosed) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all.missing += b.Missing
		all.overtaken += b.Overtaken
		for r := range b.Records() {
			all.seqs = append(all.seqs, r.Number(seqField))
		}
	}
}

func everything(t testing.TB, h *History) got {
	t.Helper()
	c, err := h.Between(time.Time{}, time.Time{}, false)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, c)
}

// wantRun fails unless the numbers are first, first+1 and so on up to last.
func wantRun(t testing.TB, seqs []uint64, first, last uint64) {
	t.Helper()
	if len(seqs) != int(last-first+1) {
		t.Fatalf("%d events, want %d", len(seqs), last-first+1)
	}
	for i, s := range seqs {
		if s != first+uint64(i) {
			t.Fatalf("event %d has number %d, want %d", i, s, first+uint64(i))
		}
	}
}

// waitSettled waits until no closed partition is unpacked.
func waitSettled(t testing.TB, h *History) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		h.mu.Lock()
		left := len(h.unpacked())
		h.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d partitions are not packed", left)
		}
		time.Sleep(time.Millisecond) // between two looks at the condition
	}
}

// Everything comes out as it went in, through all forms of a partition.
func TestAllComesBackInOrder(t *testing.T) {
	for _, dir := range []string{"", filepath.Join(t.TempDir(), "history")} {
		h, m := open(t, Config{MaxBytes: 8 << 20, Dir: dir}), newMaker(t)
		h.partBytes = 256 << 10
		for range 60 {
			export(t, h, m.records(1000))
		}
		waitSettled(t, h)
		if len(h.parts) < 3 {
			t.Errorf("%d partitions, want some packed ones", len(h.parts))
		}
		all := everything(t, h)
		wantRun(t, all.seqs, 0, 59999)
		if all.missing+all.overtaken != 0 {
			t.Errorf("%d missing and %d overtaken of a whole history", all.missing, all.overtaken)
		}
	}
}

func TestTimesAreInOrderWithinABatch(t *testing.T) {
	h, p := open(t, Config{}), redacttest.Policy(t, redact.DefaultProfile)
	events, now := redacttest.Busy(0, 100), time.Now()
	for i := range events { // two CPUs, one after the other
		events[i].Ring, events[i].Seq = uint32(i/50), uint64(i%50)
		events[i].Time = now.Add(time.Duration(i%50)*time.Microsecond + time.Duration(i/50))
	}
	export(t, h, p.Apply(nil, events))
	c, err := h.Between(time.Time{}, time.Time{}, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, n := uint64(0), 0
	for r := range b.Records() {
		if at := r.Number(timeField); at < last {
			t.Fatalf("event %d is earlier than the one before", n)
		} else {
			last = at
		}
		n++
	}
	if n != 100 || b.Missing != 0 {
		t.Errorf("%d events and %d missing, want 100 and none", n, b.Missing)
	}
}

// Events that never came show by the numbers of their ring.
func TestMissingEventsAreCounted(t *testing.T) {
	h, m := open(t, Config{}), newMaker(t)
	export(t, h, m.records(10))
	m.seq += 7
	export(t, h, m.records(5))
	all := everything(t, h)
	if all.missing != 7 || len(all.seqs) != 15 {
		t.Errorf("%d events and %d missing, want 15 and 7", len(all.seqs), all.missing)
	}
}

// A reader that falls behind is told exactly how many events it did not get.
func TestSlowReaderIsToldItsLoss(t *testing.T) {
	h, m := open(t, Config{MaxBytes: 1 << 20}), newMaker(t)
	c := h.Live()
	export(t, h, m.records(100))
	b, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := uint64(0)
	for range b.Records() {
		read++
	}
	const more = 400_000
	for range more / 2000 {
		export(t, h, m.records(2000))
		waitSettled(t, h)
	}
	h.Close(t.Context())
	rest := readAll(t, c)
	if rest.overtaken == 0 {
		t.Fatal("everything fit: the test is too small")
	}
	if sum := read + uint64(len(rest.seqs)) + rest.overtaken + rest.missing; sum != more+100 {
		t.Errorf("%d read and %d overtaken are not all %d", read+uint64(len(rest.seqs)), rest.overtaken, more+100)
	}
	wantRun(t, rest.seqs, 100+rest.overtaken, more+99)
	if s := h.Stats(); s.Bytes > 2<<20 {
		t.Errorf("%d bytes are kept, the limit is 1 MiB and an open partition", s.Bytes)
	}
}

func TestLast(t *testing.T) {
	h, m := open(t, Config{MaxBytes: 8 << 20}), newMaker(t)
	h.partBytes = 64 << 10
	for range 30 {
		export(t, h, m.records(1000))
	}
	waitSettled(t, h)
	even := func(r *redact.Record) bool { return r.Number(seqField)%2 == 0 }
	for _, n := range []int{1, 7, 500, 501, 14_999, 15_000, 20_000} {
		c, skip, err := h.Last(t.Context(), n, false, even)
		if err != nil {
			t.Fatal(err)
		}
		var found []uint64
		for _, s := range readAll(t, c).seqs {
			if s%2 != 0 {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			found = append(found, s)
		}
		want := min(n, 15_000)
		if len(found) != want || found[0] != uint64(30_000-2*want) {
			t.Errorf("the last %d: got %d, from number %d on", n, len(found), found[0])
		}
	}
}

func TestQuestionsOutsideAreErrors(t *testing.T) {
	h, m := open(t, Config{}), newMaker(t)
	began := m.at
	export(t, h, m.records(1000))
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name         string
		since, until time.Time
		outside      bool
	}{
		{"before it began", at(-3_600_000), time.Time{}, true},
		{"an end before it began", time.Time{}, at(-3_600_000), true},
		{"within", at(500), at(600), false},
		{"all", time.Time{}, time.Time{}, false},
		{"the future", at(3_600_000), time.Time{}, false},
	} {
		_, err := h.Between(c.since, c.until, false)
		var outside *OutsideError
		if got := errors.As(err, &outside); got != c.outside || err != nil && !got {
			t.Errorf("%s: %v, want an OutsideError: %v", c.name, err, c.outside)
		}
		if outside != nil && !outside.Since.Equal(h.Stats().Since) {
			t.Errorf("%s: kept since %v, want %v", c.name, outside.Since, h.Stats().Since)
		}
	}
}

func TestAgeEndsHistory(t *testing.T) {
	h, m := open(t, Config{MaxAge: time.Hour}), newMaker(t)
	m.at = time.Now().Add(-2 * time.Hour)
	export(t, h, m.records(100))
	m.at = time.Now().Add(-time.Second)
	export(t, h, m.records(10))
	all := everything(t, h)
	if n := len(all.seqs); n != 10 && n != 110 { // one partition may hold both
		t.Errorf("%d events", n)
	}
	m.at = time.Now().Add(-2 * time.Hour)
	old := open(t, Config{MaxAge: time.Hour})
	export(t, old, m.records(100))
	if s := old.Stats(); s.Records != 0 || s.Bytes != 0 {
		t.Errorf("%d events of %d bytes are left after their time", s.Records, s.Bytes)
	}
}

func TestFollowerWaitsAndEnds(t *testing.T) {
	h, m := open(t, Config{}), newMaker(t)
	c := h.Live()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing there, context over: %v", err)
	}
	done := make(chan got)
	go func() { done <- readAll(t, c) }()
	for range 10 {
		export(t, h, m.records(10))
	}
	h.Close(t.Context())
	wantRun(t, (<-done).seqs, 0, 99)
	if err := h.Export(t.Context(), m.records(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("export after close: %v", err)
	}
}

func TestDiskOutlivesTheAgent(t *testing.T) {
	cfg := Config{MaxBytes: 8 << 20, Dir: filepath.Join(t.TempDir(), "history")}
	h, m := open(t, cfg), newMaker(t)
	for range 30 {
		export(t, h, m.records(1000))
	}
	if _, err := Open(cfg, "policy"); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	h.Close(t.Context())

	h = open(t, cfg)
	export(t, h, m.records(10))
	wantRun(t, everything(t, h).seqs, 0, 30_009)
	if _, err := h.Between(m.at.Add(-time.Hour), time.Time{}, false); err == nil {
		t.Error("a question from before the first event was answered")
	}
	h.Close(t.Context())

	h, err := Open(cfg, "a stricter policy")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(t.Context())
	if n := len(everything(t, h).seqs); n != 0 {
		t.Errorf("%d events of another policy are answered", n)
	}
	if left := files(t, cfg.Dir); len(left) != 0 {
		t.Errorf("files of another policy are left: %v", left)
	}
}

// Damage is counted, and costs no more than the partition that has it.
func TestDamageCostsOnePartition(t *testing.T) {
	cfg := Config{MaxBytes: 8 << 20, Dir: filepath.Join(t.TempDir(), "history")}
	h, m := open(t, cfg), newMaker(t)
	h.partBytes = 256 << 10
	for range 60 {
		export(t, h, m.records(1000))
	}
	h.Close(t.Context())
	names := files(t, cfg.Dir)
	if len(names) < 3 {
		t.Fatalf("%d files, want some more", len(names))
	}
	flip(t, names[1], headerBytes+100)
	flip(t, names[2], 60) // in the header: it is no partition any more
	stranger := filepath.Join(cfg.Dir, "README")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	h = open(t, cfg)
	all := everything(t, h)
	if all.overtaken == 0 || len(all.seqs) == 0 {
		t.Errorf("%d events read, %d overtaken", len(all.seqs), all.overtaken)
	}
	if s := h.Stats(); s.Lost != all.overtaken {
		t.Errorf("%d events count as lost, want %d", s.Lost, all.overtaken)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Errorf("somebody else's file: %v", err)
	}
}

func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.history*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x40
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkExport(b *testing.B) {
	h, m := open(b, Config{}), newMaker(b)
	records := m.records(2048)
	b.ReportAllocs()
	for b.Loop() {
		export(b, h, records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2048), "ns/event")
}
