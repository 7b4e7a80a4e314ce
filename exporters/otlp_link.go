package exporters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// otlpLink carries encoded requests of one signal to a receiver. Only its
// counters may be read while a method runs.
type otlpLink struct {
	config  OTLPConnection
	signal  otlpSignal
	buffers otlpBuffers
	sender  otlpSender // nil: to be made
	headers map[string]string
	tls     *tls.Config

	connects, partial atomic.Uint64
}

// otlpSender sends one encoded request, whose buffer is its own from then on.
// An otlpError says what the peer's answer means.
type otlpSender interface {
	send(ctx context.Context, request *[]byte) (otlpReply, error)
	isBroken() bool
	close() error
}

// otlpSignal is one service of the protocol.
type otlpSignal struct{ method, path string }

var (
	otlpLogs          = otlpSignal{"/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs"}
	otlpMetricsSignal = otlpSignal{"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v1/metrics"}
)

// open reads the files, and has the next request connect anew. After an error
// what was read before stays in force.
func (l *otlpLink) open() error {
	l.disconnect()
	headers, err := l.config.readHeaders()
	if err != nil {
		return err
	}
	if !l.config.Insecure {
		conf, err := l.config.TLS.load()
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		l.tls = conf
	}
	l.headers = headers
	return nil
}

// deliver sends a request. After an error that refusedForGood does not know, it
// may be sent again.
func (l *otlpLink) deliver(ctx context.Context, request *[]byte) (otlpReply, error) {
	if err := l.connect(); err != nil {
		l.buffers.Put(request)
		return otlpReply{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	reply, err := l.sender.send(bounded, request)
	if reply.rejected > 0 || reply.warned {
		l.partial.Add(1)
	}
	if err == nil {
		return reply, nil
	}
	var failure *otlpError
	switch errors.As(err, &failure); {
	case ctx.Err() != nil:
		err = ctx.Err()
	case failure != nil && failure.late && !isOwnTimeout(ctx, bounded):
		err = context.DeadlineExceeded // the peer, which knows the deadline, was quicker
	case failure != nil && failure.retry:
		err = RetryAfter(err, min(failure.wait, maxWait))
	}
	if l.sender.isBroken() {
		l.disconnect()
	}
	return reply, fmt.Errorf("send by OTLP: %w", err)
}

// maxWait is the longest that a peer can ask to be left alone: it may be wrong.
const maxWait = time.Hour

// isOwnTimeout reports whether it is our timeout that bounds the request, not the
// caller's.
func isOwnTimeout(ctx, bounded context.Context) bool {
	caller, has := ctx.Deadline()
	limit, _ := bounded.Deadline()
	return !has || limit.Before(caller)
}

// refusedForGood reports whether an error of deliver means that the request must
// not be sent again.
func refusedForGood(err error) bool {
	var failure *otlpError
	return errors.As(err, &failure) && !failure.retry
}

// connect prepares a connection if there is none.
func (l *otlpLink) connect() (err error) {
	if l.sender != nil {
		return nil
	}
	if l.config.Protocol == "http" {
		l.sender = newOTLPHTTP(l)
		return nil
	}
	g, err := newOTLPGRPC(l)
	if err != nil {
		return fmt.Errorf("prepare OTLP: %w", err)
	}
	l.sender = g
	return nil
}

// disconnect closes the connection, if there is one.
func (l *otlpLink) disconnect() (err error) {
	if l.sender != nil {
		err = l.sender.close()
		l.sender = nil
	}
	return err
}
