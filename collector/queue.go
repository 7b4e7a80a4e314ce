package collector

import (
	"context"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// queue holds the batches that wait for one sink in memory, a bounded number of
// records. Putting never waits: what finds no room is lost, or what waits
// longest is, and counts. One goroutine takes.
type queue struct {
	SinkConfig
	counts *sinkCounts

	mu      sync.Mutex
	batches []*batch
	waiting int       // records in batches
	taken   int       // records that the taker has in hand
	oldest  time.Time // of those in hand
	closed  bool
	signal  chan struct{}

	held   []*batch         // what the taker has in hand,
	merged *[]redact.Record // and all of it in one piece, if it is several batches
}

// mergers are memory for merged records. A pool gives it back when things are
// quiet again: thousands of records take megabytes.
var mergers = sync.Pool{New: func() any { return new([]redact.Record) }}

func newQueue(cfg SinkConfig, counts *sinkCounts) *queue {
	return &queue{SinkConfig: cfg, counts: counts, signal: make(chan struct{}, 1)}
}

// put takes the batch over, or counts it as lost. A queue with nothing in it
// takes any batch, or a large one could never be delivered.
func (q *queue) put(b *batch) {
	n := len(b.records)
	if n == 0 {
		b.release()
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.WhenFull == dropOldest {
		for len(q.batches) > 0 && q.waiting+q.taken+n > q.QueueRecords {
			q.lose(q.shift())
		}
	}
	if q.closed || q.waiting+q.taken > 0 && q.waiting+q.taken+n > q.QueueRecords {
		q.lose(b)
		return
	}
	q.waiting += n
	q.batches = append(q.batches, b)
	q.wake()
}

func (q *queue) lose(b *batch) {
	q.counts.lose("queue", "full", uint64(len(b.records)))
	b.release()
}

// shift removes the first batch. The caller holds q.mu.
func (q *queue) shift() *batch {
	b := q.batches[0]
	q.batches[0] = nil
	if q.batches = q.batches[1:]; len(q.batches) == 0 {
		q.batches = nil // lets go of what a burst took
	}
	q.waiting -= len(b.records)
	return b
}

func (q *queue) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// close lets nothing more in. What waits can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

// take waits until there are enough records for an export, or the first of them
// is old enough, or the queue is closed, and returns them; none if there will
// be no more, or ctx is done. They are valid until done is called.
func (q *queue) take(ctx context.Context) []redact.Record {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, ready, end := q.state()
		switch {
		case end || ctx.Err() != nil:
			return nil
		case ready:
			return q.gather()
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.signal:
		case <-timer.C:
		}
	}
}

// state tells whether there is something to take, how long to wait else, and
// whether the end is reached.
func (q *queue) state() (wait time.Duration, ready, end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return time.Hour, false, q.closed
	}
	age := time.Since(q.batches[0].made)
	return q.Batch.Age - age, q.closed || q.waiting >= q.Batch.Records || age >= q.Batch.Age, false
}

// gather moves batches into the taker's hand, as many as fit one export.
func (q *queue) gather() []redact.Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.oldest = q.batches[0].made
	for len(q.batches) > 0 && (q.taken == 0 || q.taken+len(q.batches[0].records) <= q.Batch.Records) {
		b := q.shift()
		q.taken += len(b.records)
		q.held = append(q.held, b)
	}
	if len(q.held) == 1 {
		return q.held[0].records
	}
	q.merged = mergers.Get().(*[]redact.Record)
	for _, b := range q.held {
		*q.merged = append(*q.merged, b.records...)
	}
	return *q.merged
}

// done lets go of what take returned.
func (q *queue) done() {
	q.mu.Lock()
	q.taken, q.oldest = 0, time.Time{}
	q.mu.Unlock()
	for _, b := range q.held {
		b.release()
	}
	clear(q.held)
	q.held = q.held[:0]
	if q.merged == nil {
		return
	}
	clear(*q.merged) // forgets their texts
	*q.merged = (*q.merged)[:0]
	mergers.Put(q.merged)
	q.merged = nil
}

// abandon counts what nobody took before the end.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.batches) > 0 {
		b := q.shift()
		q.counts.lose("queue", "shutdown", uint64(len(b.records)))
		b.release()
	}
}

// load returns how many records wait, those in hand included, and since when.
func (q *queue) load() (records int, oldest time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest = q.oldest
	if oldest.IsZero() && len(q.batches) > 0 {
		oldest = q.batches[0].made
	}
	return q.waiting + q.taken, oldest
}
