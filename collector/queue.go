package collector

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// Sink is where records go. Export must not keep the batch, and returns when
// ctx is done. An error means that the batch may be tried again, unless
// Permanent says otherwise.
type Sink interface {
	Export(ctx context.Context, batch []redact.Record) error
	Close(ctx context.Context) error
}

// NamedSink is a sink under the name that metrics and logs give it.
type NamedSink struct {
	Name string
	Sink Sink
	// Permanent reports whether a retry can't cure the error. nil: always can.
	Permanent func(error) bool
	// QueueRecords bounds the records that wait; 0 means 65536.
	QueueRecords int
}

const (
	defaultQueueRecords = 65536
	firstRetry          = 100 * time.Millisecond
	lastRetry           = 30 * time.Second
	// drainTimeout bounds the delivery of what waits when the agent stops.
	drainTimeout = 5 * time.Second
)

// batch is records on their way to every sink. The last one to release it gives
// its memory back.
type batch struct {
	records []redact.Record
	holders atomic.Int32
	pool    *sync.Pool
}

func (b *batch) release() {
	if b.holders.Add(-1) == 0 {
		b.records = b.records[:0]
		b.pool.Put(b)
	}
}

// queue carries batches to one sink. A slow or dead sink fills its own queue and
// nothing else; what finds no room is lost and counted.
type queue struct {
	NamedSink
	log *slog.Logger

	mu      sync.Mutex
	batches []*batch
	waiting int // records, those being exported included
	closed  bool
	signal  chan struct{}

	delivered, full, failed atomic.Uint64 // records
	retries                 atomic.Uint64
}

func newQueue(s NamedSink, log *slog.Logger) *queue {
	if s.QueueRecords == 0 {
		s.QueueRecords = defaultQueueRecords
	}
	return &queue{NamedSink: s, log: log.With("exporter", s.Name), signal: make(chan struct{}, 1)}
}

// push hands the batch over, or counts it as lost. It never waits. An empty
// queue takes any batch, or a large one could never be delivered.
func (q *queue) push(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.waiting > 0 && q.waiting+len(b.records) > q.QueueRecords {
		q.full.Add(uint64(len(b.records)))
		b.release()
		return
	}
	q.waiting += len(b.records)
	q.batches = append(q.batches, b)
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

func (q *queue) pop() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return nil
	}
	b := q.batches[0]
	q.batches[0] = nil
	q.batches = q.batches[1:]
	return b
}

// run exports until ctx is done, then what waits for at most drainTimeout.
func (q *queue) run(ctx context.Context) error {
	for {
		b := q.pop()
		if b == nil {
			select {
			case <-ctx.Done():
				return q.drain()
			case <-q.signal:
			}
			continue
		}
		q.deliver(ctx, b)
	}
}

// drain delivers the rest, counts what is left then, and closes the sink.
func (q *queue) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	for b := q.pop(); b != nil; b = q.pop() {
		q.deliver(ctx, b)
	}
	return q.Sink.Close(ctx)
}

// deliver tries until the sink takes the batch, refuses it for good, or ctx is
// done; then it tries once more under the drain's time if that is still to come.
func (q *queue) deliver(ctx context.Context, b *batch) {
	n := len(b.records)
	defer func() {
		q.mu.Lock()
		q.waiting -= n
		q.mu.Unlock()
		b.release()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := q.export(ctx, b)
		if err == nil {
			q.delivered.Add(uint64(n))
			return
		}
		if q.Permanent != nil && q.Permanent(err) || ctx.Err() != nil {
			q.failed.Add(uint64(n))
			q.log.Error("events lost", "records", n, "error", err)
			return
		}
		q.retries.Add(1)
		q.log.Warn("export will be retried", "after", wait, "error", err)
		waitUntil(ctx, timer, wait)
	}
}

// export gives a batch that was under way when the agent was stopped a last
// chance of its own.
func (q *queue) export(ctx context.Context, b *batch) error {
	err := q.Sink.Export(ctx, b.records)
	if err != nil && errors.Is(err, context.Canceled) {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		return q.Sink.Export(last, b.records)
	}
	return err
}
