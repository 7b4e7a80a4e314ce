package collector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// courier hands records to one sink until it has them: it repeats what failed,
// later and later, and counts what became of each record. It is used by one
// goroutine at a time.
type courier struct {
	NamedSink
	counts   *sinkCounts
	trouble  *trouble
	stopping <-chan struct{} // closed when there is no more time for patience
	safe     bool            // records stay in a spool: no need to insist at the end
}

// deliver returns when each record is delivered, refused for good, or ctx is
// done; the records that are left then were neither.
func (c *courier) deliver(ctx context.Context, records []redact.Record) (left int) {
	for len(records) > 0 {
		n := min(len(records), c.Batch.Records)
		if left := c.deliverChunk(ctx, records[:n]); left > 0 {
			return left + len(records) - n
		}
		records = records[n:]
	}
	return 0
}

func (c *courier) deliverChunk(ctx context.Context, records []redact.Record) (left int) {
	for wait := c.Retry.First; ctx.Err() == nil; wait = min(2*wait, c.Retry.Most) {
		var asked time.Duration
		if records, asked = c.attempt(ctx, records); len(records) == 0 {
			return 0
		}
		c.counts.retries.Add(1)
		if c.safe && isClosed(c.stopping) {
			break
		}
		c.pause(ctx, max(asked, wait/2+rand.N(wait)))
	}
	return len(records)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// attempt exports the records once, counts what became of them, and returns
// those that are to be exported again, and how long the destination asks to be
// left alone.
func (c *courier) attempt(ctx context.Context, records []redact.Record) (again []redact.Record, asked time.Duration) {
	err := c.Sink.Export(ctx, records)
	if err == nil {
		c.counts.delivered.Add(uint64(len(records)))
		c.trouble.over()
		return nil, 0
	}
	var p partial
	switch {
	case errors.As(err, &p):
		return c.part(records, p, err), retryDelay(err)
	case c.Permanent != nil && c.Permanent(err):
		c.counts.lose("export", "refused", uint64(len(records)))
		c.trouble.begins("records refused", err, "lost", len(records))
		return nil, 0
	}
	c.trouble.begins("export failed; it is tried again", err, "records", len(records))
	return records, retryDelay(err)
}

// part counts what got through of a batch and what never will, and returns the
// rest.
func (c *courier) part(records []redact.Record, p partial, err error) (again []redact.Record) {
	for _, i := range p.ToRetry() {
		if i >= 0 && i < len(records) {
			again = append(again, records[i])
		}
	}
	lost := 0
	for reason, n := range p.Lost() {
		n = min(n, len(records)-len(again)-lost) // whatever the sink says, no record counts twice
		c.counts.lose("export", reason, uint64(n))
		lost += n
	}
	c.counts.delivered.Add(uint64(len(records) - len(again) - lost))
	c.trouble.begins("export failed in part", err, "records", len(records), "again", len(again), "lost", lost)
	return again
}

// pause waits, but not while the agent is stopping: then there is one more try
// at once, and others in quick succession while there is time.
func (c *courier) pause(ctx context.Context, wait time.Duration) {
	stopping := c.stopping
	if isClosed(stopping) {
		wait, stopping = min(wait, c.Retry.First), nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-stopping:
	case <-timer.C:
	}
}
