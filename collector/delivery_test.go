package collector

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// destination is a sink that does what a test says, and remembers event ids.
type destination struct {
	export func(ctx context.Context, batch []redact.Record) error // nil: takes all

	mu     sync.Mutex
	ids    []string
	sizes  []int
	times  []time.Time
	closed int
}

func (d *destination) Export(ctx context.Context, batch []redact.Record) error {
	d.mu.Lock()
	d.times, d.sizes = append(d.times, time.Now()), append(d.sizes, len(batch))
	d.mu.Unlock()
	if d.export != nil {
		if err := d.export(ctx, batch); err != nil {
			return err
		}
	}
	d.took(batch)
	return nil
}

func (d *destination) took(batch []redact.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range batch {
		d.ids = append(d.ids, string(batch[i].AppendText(nil, eventID)))
	}
}

// tries returns the sizes and the times of all exports so far.
func (d *destination) tries() (sizes []int, times []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sizes), slices.Clone(d.times)
}

func (d *destination) Close(context.Context) error {
	d.closed++
	return nil
}

var eventID = redact.FieldNamed("event_id")

// bench is one delivery with a lane in front of it.
type bench struct {
	*delivery
	lane *lane
	stop context.CancelFunc
	done chan error
	seq  uint64
}

// newBench starts a delivery to the destination. Call it in a synctest bubble.
func newBench(t *testing.T, d *destination, change func(*NamedSink)) *bench {
	t.Helper()
	s := NamedSink{Name: "test", Sink: d, SinkConfig: DefaultSinkConfig()}
	if change != nil {
		change(&s)
	}
	if err := s.SinkConfig.Validate(); err != nil {
		t.Fatal(err)
	}
	to, err := newDelivery(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	b := &bench{
		delivery: to, stop: stop, done: make(chan error, 1),
		lane: lanesOf([]*delivery{to}, redacttest.Policy(t, redact.DefaultProfile))[0],
	}
	go func() { b.done <- to.run(ctx) }()
	return b
}

// put hands n events over in one batch, and returns their numbers.
func (b *bench) put(n int) {
	events := make([]bpf.Event, n)
	for i := range events {
		events[i] = bpf.Event{Kind: bpf.KindLoss, Action: "ring", Lost: 1, Time: time.Now(), Seq: b.seq}
		b.seq++
	}
	b.lane.handOver(events)
}

// end stops the delivery, and checks that every event is accounted for.
func (b *bench) end(t *testing.T) SinkStatus {
	t.Helper()
	b.stop()
	if err := <-b.done; err != nil {
		t.Error(err)
	}
	s := b.status()
	s.Produced = b.seq
	if !s.Balanced() {
		t.Errorf("the equation does not close: %+v", s)
	}
	return s
}

func (d *destination) wantIDs(t *testing.T, n int) {
	t.Helper()
	if len(d.ids) != n {
		t.Errorf("%d records arrived, want %d", len(d.ids), n)
	}
	if got := len(slices.Compact(slices.Sorted(slices.Values(d.ids)))); got != len(d.ids) {
		t.Errorf("%d different records arrived of %d", got, len(d.ids))
	}
}

func wantLost(t *testing.T, s SinkStatus, want map[LossPoint]uint64) {
	t.Helper()
	if diff := cmp.Diff(want, s.Lost); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}

func TestRecordsWaitForOthersUpToTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &destination{}
		b := newBench(t, d, func(s *NamedSink) { s.Batch = BatchConfig{Records: 10, Age: time.Second} })
		start := time.Now()
		b.put(3)
		time.Sleep(600 * time.Millisecond) // of the bubble's clock
		b.put(3)
		synctest.Wait()
		if sizes, _ := d.tries(); len(sizes) != 0 {
			t.Errorf("exported %v before the first record was a second old", sizes)
		}
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		sizes, times := d.tries()
		if diff := cmp.Diff([]int{6}, sizes); diff != "" || times[0].Sub(start) != time.Second {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		b.put(25) // larger than a batch: exported at once, in pieces
		synctest.Wait()
		sizes, _ = d.tries()
		if diff := cmp.Diff([]int{6, 10, 10, 5}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		b.end(t)
		d.wantIDs(t, 31)
	})
}

func TestWhatFindsNoRoomIsLostAndCounted(t *testing.T) {
	for _, c := range []struct {
		whenFull string
		first    string // record after the one that is stuck
	}{{dropNewest, "20"}, {dropOldest, "60"}} {
		t.Run(c.whenFull, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				d := &destination{export: func(context.Context, []redact.Record) error { <-release; return nil }}
				b := newBench(t, d, func(s *NamedSink) {
					s.QueueRecords, s.WhenFull, s.Batch = 60, c.whenFull, BatchConfig{Records: 20}
				})
				for range 6 {
					b.put(20)
					synctest.Wait()
				}
				if s := b.status(); s.Waiting != 60 || s.TotalLost() != 60 {
					t.Errorf("%d wait, %d are lost; want 60 and 60", s.Waiting, s.TotalLost())
				}
				close(release)
				wantLost(t, b.end(t), map[LossPoint]uint64{{"queue", "full"}: 60})
				d.wantIDs(t, 60)
				want := map[string]int{dropNewest: 20, dropOldest: 80}[c.whenFull]
				if got := d.ids[20]; got != idOf(t, uint64(want)) {
					t.Errorf("behind the batch that was stuck came %s, want that of number %d", got, want)
				}
			})
		})
	}
}

// idOf returns the event id of the n-th event of a bench.
func idOf(t *testing.T, n uint64) string {
	t.Helper()
	r := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, []bpf.Event{{Kind: bpf.KindLoss, Action: "ring", Time: time.Now(), Seq: n}})
	return string(r[0].AppendText(nil, eventID))
}

type permanent struct{ error }

func isPermanent(err error) bool { return errors.As(err, &permanent{}) }

// inPart is an error of an export that some records got through.
type inPart struct {
	retry []int
	lost  map[string]int
}

func (inPart) Error() string    { return "in part" }
func (e inPart) ToRetry() []int { return e.retry }
func (e inPart) Lost() iter.Seq2[string, int] {
	return func(y func(string, int) bool) { mapEach(e.lost, y) }
}

func mapEach(m map[string]int, yield func(string, int) bool) {
	for k, v := range m {
		if !yield(k, v) {
			return
		}
	}
}

func TestAFailedExportIsRepeatedLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 6
		d := &destination{export: func(context.Context, []redact.Record) error {
			if fails--; fails >= 0 {
				return errors.New("refused")
			}
			return nil
		}}
		b := newBench(t, d, func(s *NamedSink) { s.Retry = RetryConfig{First: time.Second, Most: 8 * time.Second} })
		b.put(5)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		_, times := d.tries()
		for i, base := range []time.Duration{1, 2, 4, 8, 8, 8} {
			wait := times[i+1].Sub(times[i])
			if base *= time.Second; wait < base/2 || wait >= base*3/2 {
				t.Errorf("retry %d came after %v, want %v give or take a half", i+1, wait, base)
			}
		}
		if s := b.end(t); s.Retries != 6 || s.Failing || s.Delivered != 5 {
			t.Errorf("status %+v", s)
		}
		d.wantIDs(t, 5)
	})
}

type busy struct{ error }

func (busy) RetryAfter() time.Duration { return 90 * time.Second }

func TestADestinationMaySayWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		d := &destination{export: func(context.Context, []redact.Record) error {
			if first {
				first = false
				return busy{errors.New("busy")}
			}
			return nil
		}}
		b := newBench(t, d, nil)
		b.put(1)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		_, times := d.tries()
		if wait := times[1].Sub(times[0]); wait != 90*time.Second {
			t.Errorf("came back after %v, want 90s", wait)
		}
		b.end(t)
	})
}

// TestOnlyWhatWasNotDeliveredIsRepeated: of ten records, three were refused for
// good and two are to be repeated, of which one fails once more.
func TestOnlyWhatWasNotDeliveredIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &destination{}
		answers := []error{
			inPart{retry: []int{4, 9}, lost: map[string]int{"oversize": 1, "rejected": 2}},
			inPart{retry: []int{1}},
		}
		d.export = func(_ context.Context, batch []redact.Record) error {
			if len(answers) == 0 {
				return nil
			}
			err := answers[0]
			answers = answers[1:]
			return err
		}
		b := newBench(t, d, nil)
		b.put(10)
		time.Sleep(time.Minute)
		synctest.Wait()
		sizes, _ := d.tries()
		if diff := cmp.Diff([]int{10, 2, 1}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if d.ids[0] != idOf(t, 9) {
			t.Errorf("the last one delivered is %s, want number 9", d.ids[0])
		}
		s := b.end(t)
		wantLost(t, s, map[LossPoint]uint64{{"export", "oversize"}: 1, {"export", "rejected"}: 2})
		if s.Delivered != 7 {
			t.Errorf("%d delivered, want 7", s.Delivered)
		}
	})
}

func TestWhatIsRefusedForGoodIsLostAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &destination{export: func(context.Context, []redact.Record) error { return permanent{errors.New("no")} }}
		b := newBench(t, d, func(s *NamedSink) { s.Permanent = isPermanent })
		b.put(4)
		time.Sleep(time.Second)
		wantLost(t, b.end(t), map[LossPoint]uint64{{"export", "refused"}: 4})
	})
}

// TestStoppingDeliversWhatItCan: a destination that works gets everything that
// waits; a dead one holds the agent up for DrainTimeout, and the loss counts.
func TestStoppingDeliversWhatItCan(t *testing.T) {
	t.Run("alive", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &destination{}
			b := newBench(t, d, func(s *NamedSink) { s.Batch.Age = time.Minute })
			b.put(7)
			b.end(t)
			d.wantIDs(t, 7)
			if d.closed != 1 {
				t.Errorf("closed %d times", d.closed)
			}
		})
	})
	t.Run("comes back in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var back atomic.Int64 // when it works again
			back.Store(time.Now().Add(time.Hour).UnixNano())
			d := &destination{export: func(context.Context, []redact.Record) error {
				if time.Now().UnixNano() < back.Load() {
					return errors.New("down")
				}
				return nil
			}}
			b := newBench(t, d, func(s *NamedSink) { s.Retry = RetryConfig{time.Second, time.Hour} })
			b.put(7)
			time.Sleep(10 * time.Minute)
			back.Store(time.Now().Add(DrainTimeout / 2).UnixNano())
			b.end(t)
			d.wantIDs(t, 7)
		})
	})
	t.Run("dead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &destination{export: func(ctx context.Context, _ []redact.Record) error {
				<-ctx.Done()
				return ctx.Err()
			}}
			b := newBench(t, d, func(s *NamedSink) { s.Batch.Records = 3 })
			b.put(3)
			synctest.Wait()
			b.put(4)
			start := time.Now()
			s := b.end(t)
			if took := time.Since(start); took != DrainTimeout {
				t.Errorf("stopping took %v, want %v", took, DrainTimeout)
			}
			wantLost(t, s, map[LossPoint]uint64{{"export", "shutdown"}: 3, {"queue", "shutdown"}: 4})
		})
	})
}

// TestFilteredAndRefusedEventsCount: what a filter holds back and what redaction
// refuses is part of the equation.
func TestFilteredAndRefusedEventsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &destination{}
		b := newBench(t, d, func(s *NamedSink) {
			s.Filter.Deny = []MatchConfig{{Kinds: []string{"drop"}}}
		})
		b.put(2)
		b.lane.handOver([]bpf.Event{
			{Kind: bpf.KindDrop, Action: "packet", Time: time.Now()},
			{Kind: bpf.KindLoss, Action: "no such word", Time: time.Now()},
			{Kind: bpf.KindLoss, Action: "ring", Time: time.Now(), Seq: 99},
		})
		b.seq += 3
		s := b.end(t)
		wantLost(t, s, map[LossPoint]uint64{{"redact", "refused"}: 1})
		if s.Filtered != 1 || s.Delivered != 3 {
			t.Errorf("filtered %d, delivered %d; want 1 and 3", s.Filtered, s.Delivered)
		}
	})
}

// TestLagIsTheAgeOfTheOldest, whether it waits or is being exported.
func TestLagIsTheAgeOfTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := &destination{export: func(context.Context, []redact.Record) error { <-release; return nil }}
		b := newBench(t, d, nil)
		b.put(1)
		time.Sleep(40 * time.Second)
		b.put(1)
		time.Sleep(2 * time.Second)
		if got := b.status().LagSeconds; got != 42 {
			t.Errorf("lag %v, want 42 seconds", got)
		}
		close(release)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.status().LagSeconds; got != 0 {
			t.Errorf("lag %v when nothing waits", got)
		}
		b.end(t)
	})
}

// An idle sink costs nothing, and its events count all the same.
func TestNothingIsMadeForAnIdleSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, idle := &destination{}, true
		b := newBench(t, d, func(s *NamedSink) { s.Idle = func() bool { return idle } })
		b.put(5)
		idle = false
		b.put(2)
		if s := b.end(t); s.Filtered != 5 || s.Delivered != 2 {
			t.Errorf("filtered %d, delivered %d; want 5 and 2", s.Filtered, s.Delivered)
		}
	})
}

func TestASinkThatMayBeIdleHasALaneOfItsOwn(t *testing.T) {
	sink := func(idle func() bool) *delivery { return &delivery{NamedSink: NamedSink{Idle: idle}} }
	never := func() bool { return false }
	lanes := lanesOf([]*delivery{sink(never), sink(nil), sink(never), sink(nil)}, redacttest.Policy(t, redact.DefaultProfile))
	if len(lanes) != 3 {
		t.Errorf("%d lanes, want one for both that are never idle, and one for each other", len(lanes))
	}
}
