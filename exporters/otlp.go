package exporters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	o := &otlp{config: c.OTLPConnection, encoder: newOTLPEncoder()}
	if err := o.open(); err != nil {
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
	config OTLPConnection

	mu      sync.Mutex // Reopen comes from another goroutine
	encoder *otlpEncoder
	buffers otlpBuffers
	sender  otlpSender // nil: to be made
	headers map[string]string
	tls     *tls.Config
	closed  bool

	connects, partial, split atomic.Uint64
}

// otlpSender sends one encoded request, whose buffer is its own from then on.
// An otlpError says what the peer's answer means.
type otlpSender interface {
	send(ctx context.Context, request *[]byte) (otlpReply, error)
	isBroken() bool
	close() error
}

// otlpSignal is one service of the protocol.
type otlpSignal struct {
	method, path string
	buffers      *otlpBuffers
}

// Counts yields the counters that [Counter] promises.
func (o *otlp) Counts() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = yield("connected", o.connects.Load()) && yield("partial_success", o.partial.Load()) && yield("split", o.split.Load())
	}
}

// open reads the files. After an error what was read before stays in force.
func (o *otlp) open() error {
	headers, err := o.config.readHeaders()
	if err != nil {
		return err
	}
	if !o.config.Insecure {
		conf, err := o.config.TLS.load()
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		o.tls = conf
	}
	o.headers = headers
	return nil
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
			o.buffers.Put(request)
			lost.refuse("oversize", 1, errOversize)
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

var errOversize = errors.New("a record is larger than max_request_bytes")

// encode makes a request of the records from first on, as many as fit, and
// returns the place of the first that is left.
func (o *otlp) encode(batch []redact.Record, first int) (request *[]byte, next int) {
	request = o.buffers.Get(0)
	fits := true
	for next = first; next < len(batch); next++ {
		if *request, fits = o.encoder.append(*request, &batch[next], int(o.config.MaxRequestBytes)); !fits {
			break
		}
	}
	*request = o.encoder.finish(*request)
	return request, next
}

// deliver sends a request with n records. It notes what the peer refuses for
// good, and returns an error if all may be sent again.
func (o *otlp) deliver(ctx context.Context, request *[]byte, n int, lost *Undelivered) error {
	if err := o.connect(); err != nil {
		o.buffers.Put(request)
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, o.config.Timeout)
	defer cancel()
	reply, err := o.sender.send(bounded, request)
	if reply.rejected > 0 || reply.warned {
		o.partial.Add(1)
	}
	if rejected := int(min(reply.rejected, uint64(n))); rejected > 0 {
		lost.refuse("rejected", rejected, errPartial)
	}
	var failure *otlpError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.As(err, &failure) && !failure.retry:
		lost.refuse("rejected", n, fmt.Errorf("send by OTLP: %w", err))
		return nil
	case failure != nil:
		err = RetryAfter(err, failure.wait)
	}
	if o.sender.isBroken() {
		o.disconnect()
	}
	return fmt.Errorf("send by OTLP: %w", err)
}

var errPartial = errors.New("the receiver rejected a part of a request")

// connect prepares a connection if there is none.
func (o *otlp) connect() (err error) {
	if o.sender != nil {
		return nil
	}
	s := otlpSignal{"/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs", &o.buffers}
	if o.config.Protocol == "http" {
		o.sender = newOTLPHTTP(&o.config, s, o.headers, o.tls, &o.connects)
		return nil
	}
	g, err := newOTLPGRPC(&o.config, s, o.headers, o.tls, &o.connects)
	if err != nil {
		return fmt.Errorf("prepare OTLP: %w", err)
	}
	o.sender = g
	return nil
}

// disconnect closes the connection, if there is one.
func (o *otlp) disconnect() (err error) {
	if o.sender != nil {
		err = o.sender.close()
		o.sender = nil
	}
	return err
}

// Reopen reads the files again, and connects anew.
func (o *otlp) Reopen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	o.disconnect()
	return o.open()
}

func (o *otlp) Close(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.disconnect()
}

// refuse notes records that will never be taken.
func (e *Undelivered) refuse(reason string, n int, cause error) {
	if e.Refused == nil {
		e.Refused = map[string]int{}
	}
	e.Refused[reason] += n
	e.Cause = cause
}

// retryFrom returns the error for records that may all be exported again, from
// first on, because of cause.
func (e *Undelivered) retryFrom(first, end int, cause error) error {
	if first == 0 && e.Refused == nil {
		return cause
	}
	for i := first; i < end; i++ {
		e.Retry = append(e.Retry, i)
	}
	e.Cause = cause
	return e
}
