package exporters

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/fanlight-io/fanlight/redact"
)

// OTLPConfig configures an exporter of log records by the OpenTelemetry
// protocol.
type OTLPConfig struct {
	Type           string `yaml:"type"`
	OTLPConnection `yaml:",inline"`
}

// Open reads the files. It does not connect: the first batch does.
func (c *OTLPConfig) Open() (Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o := &otlp{encoder: newOTLPEncoder(), link: otlpLink{config: c.OTLPConnection, signal: otlpLogs}}
	if err := o.link.open(); err != nil {
		return nil, err
	}
	return o, nil
}

// otlp sends each batch as one request of the log service, or as several if it
// is larger than a request may be. Requests are encoded by hand, straight from
// records: see docs/adr/0013-otlp-encoded-by-hand.md.
//
// Delivery: at least once. A record counts as delivered when the receiver has
// answered its request with success, without rejecting it. A receiver that says
// how many records of a request it rejects does not say which, and they are not
// sent again, as the specification has it. A request whose answer is lost is
// sent again: its records then arrive twice, with the same fanlight.event_id.
type otlp struct {
	mu      sync.Mutex // Reopen comes from another goroutine
	encoder *otlpEncoder
	link    otlpLink
	closed  bool

	split atomic.Uint64
}

// Counts yields the counters that [Counter] promises.
func (o *otlp) Counts() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = yield("connected", o.link.connects.Load()) && yield("partial_success", o.link.partial.Load()) && yield("split", o.split.Load())
	}
}

func (o *otlp) Export(ctx context.Context, batch []redact.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	var lost Undelivered
	for first := 0; first < len(batch); {
		request, next := o.encode(batch, first)
		if next == first {
			o.link.buffers.Put(request)
			lost.refuse("oversize", 1, errLargeRequest)
			first++
			continue
		}
		if next < len(batch) {
			o.split.Add(1)
		}
		err := o.deliver(ctx, request, next-first, &lost)
		if err != nil {
			return lost.retryFrom(first, len(batch), err)
		}
		first = next
	}
	if lost.Cause != nil {
		return &lost
	}
	return nil
}

var errLargeRequest = errors.New("a record is larger than max_request_bytes")

// encode makes a request of the records from first on, as many as fit, and
// returns the place of the first that is left.
func (o *otlp) encode(batch []redact.Record, first int) (request *[]byte, next int) {
	request = o.link.buffers.Get(0)
	fits := true
	for next = first; next < len(batch); next++ {
		if *request, fits = o.encoder.append(*request, &batch[next], int(o.link.config.MaxRequestBytes)); !fits {
			break
		}
	}
	*request = o.encoder.finish(*request)
	return request, next
}

// deliver sends a request with n records. It notes what the peer refuses for
// good, and returns an error if all may be sent again.
func (o *otlp) deliver(ctx context.Context, request *[]byte, n int, lost *Undelivered) error {
	reply, err := o.link.deliver(ctx, request)
	if refusedForGood(err) {
		lost.refuse("rejected", n, err)
		return nil
	}
	if rejected := int(min(reply.rejected, uint64(n))); rejected > 0 {
		lost.refuse("rejected", rejected, errPartial)
	}
	return err
}

var errPartial = errors.New("the receiver rejected a part of a request")

// Reopen reads the files again, and connects anew.
func (o *otlp) Reopen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	return o.link.open()
}

func (o *otlp) Close(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.link.disconnect()
}
