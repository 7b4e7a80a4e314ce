package exporters

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// pushUntil exports as the queue does: what is to be retried comes again,
// before anything newer, until all is delivered.
func pushUntil(t *testing.T, e Exporter, batch []redact.Record, limit time.Duration) (attempts int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		attempts++
		err := e.Export(ctx, batch)
		if err == nil {
			return attempts
		}
		var u *Undelivered
		if errors.As(err, &u) {
			var again []redact.Record
			for _, at := range u.Retry {
				again = append(again, batch[at])
			}
			batch = again
		}
		if IsPermanent(err) || u != nil && len(u.Refused) > 0 {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// A broker that is not there at first, then is killed again and again in the
// middle of the stream, then hangs.
func TestKafkaOutage(t *testing.T) {
	jars := needJars(t)
	b := &broker{dir: t.TempDir()}
	b.prepare(t, jars)
	t.Cleanup(b.kill)
	const topic, partitions, groups = "events", 4, 12
	goroutines := runtime.NumGoroutine()
	k := openKafka(t, b.plain, topic, func(c *KafkaConfig) { c.Timeout = 2 * time.Second })
	if err := k.Export(t.Context(), redacttest.Many(t, 0, 1)); !errors.Is(err, syscall.ECONNREFUSED) || IsPermanent(err) {
		t.Fatalf("without a broker: %v", err)
	}
	b.start(t, jars)
	b.create(t, topic, partitions)

	const size, batches = 50, 120
	kills := map[int]bool{20: true, 60: true}
	var all []redact.Record
	attempts := 0
	for i := range batches {
		batch := groupsOf(t, i*size, size, groups)
		all = append(all, batch...)
		if !kills[i] {
			attempts += pushUntil(t, k, batch, 30*time.Second)
			continue
		}
		killed := make(chan struct{})
		go func() { // at any moment while batches go out
			defer close(killed)
			<-time.After(time.Duration(rand.IntN(int(30 * time.Millisecond))))
			b.cmd.Process.Signal(syscall.SIGKILL)
		}()
		attempts += pushFor(t, k, &batch, killed)
		b.kill()
		for range 20 { // nothing grows while it is away
			if err := k.Export(t.Context(), batch); err == nil {
				t.Fatal("delivered to a broker that was killed")
			}
		}
		b.start(t, jars)
		attempts += pushUntil(t, k, batch, 30*time.Second)
	}
	wantOnceInOrder(t, all, b.read(t, topic))

	b.cmd.Process.Signal(syscall.SIGSTOP)
	begin := time.Now()
	err := k.Export(t.Context(), groupsOf(t, len(all), size, groups))
	if took := time.Since(begin); err == nil || took > 4*k.config.Timeout {
		t.Errorf("a broker that hangs: %v after %s", err, took)
	}
	b.cmd.Process.Signal(syscall.SIGCONT)
	pushUntil(t, k, groupsOf(t, len(all), size, groups), 30*time.Second)

	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 }) // two wait for the broker and for its output
	t.Logf("%d attempts for %d batches, counts %v", attempts, batches, countsOf(k))
}

// A destination that is away for long costs no memory, no goroutine and no file.
func TestKafkaLongOutageCostsNothing(t *testing.T) {
	k := openKafka(t, quietAddress(t), "events")
	batch := groupsOf(t, 0, 100, 10)
	attempt := func(n int) {
		for range n {
			if err := k.Export(t.Context(), batch); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal(err)
			}
		}
		runtime.GC()
	}
	attempt(100)
	goroutines := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	attempt(3600)
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+256<<10 {
		t.Errorf("heap: %d bytes, %d before", after.HeapAlloc, before.HeapAlloc)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("goroutines: %d, %d before", n, goroutines)
	}
	if n := countsOf(k)["connect_failed"]; n != 3700 {
		t.Errorf("connect_failed: %d", n)
	}
}

// pushFor exports batch again and again until done, leaving in it what is not
// delivered.
func pushFor(t *testing.T, e Exporter, batch *[]redact.Record, done <-chan struct{}) (attempts int) {
	t.Helper()
	whole := *batch
	for {
		attempts++
		err := e.Export(t.Context(), *batch)
		var u *Undelivered
		switch {
		case err == nil:
			*batch = whole // once more: duplicates are allowed, and what a loop that crashed would do
		case errors.As(err, &u):
			var again []redact.Record
			for _, at := range u.Retry {
				again = append(again, (*batch)[at])
			}
			*batch = again
		}
		select {
		case <-done:
			return attempts
		default:
		}
	}
}

// wantOnceInOrder checks that each event arrived, that what arrived twice is
// the same event, and that the first copies of a key are in order.
func wantOnceInOrder(t *testing.T, all []redact.Record, got []kcatRecord) {
	t.Helper()
	place, value := map[string]int{}, map[string]string{}
	for i := range all {
		place[eventIDOf(&all[i])] = i
	}
	last := map[string]int{}
	for _, r := range got {
		id := r.header("event_id")
		at, known := place[id]
		if !known {
			t.Fatalf("event %s was never exported", id)
		}
		if before, seen := value[id]; seen {
			if before != r.Payload {
				t.Errorf("event %s came twice, and not the same", id)
			}
			continue
		}
		value[id] = r.Payload
		if want := string(all[at].AppendJSON(nil)); r.Payload != want || r.Key != all[at].Key() {
			t.Errorf("event %s: want %s, got %s", id, want, r.Payload)
		}
		if before, seen := last[r.Key]; seen && before > at {
			t.Errorf("key %s: event %d after %d", r.Key, at, before)
		}
		last[r.Key] = at
	}
	if len(value) != len(all) {
		t.Errorf("events: want %d, got %d", len(all), len(value))
	}
	t.Logf("%d events in %d records", len(all), len(got))
}
