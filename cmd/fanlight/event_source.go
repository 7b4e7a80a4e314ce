package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/semaphore"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/history"
	"github.com/fanlight-io/fanlight/redact"
)

// The names of the API's own exporters.
const (
	historySink = "history"
	revealSink  = "reveal"
)

// maxStreams bounds the clients that read events at the same time.
const maxStreams = 64

// eventSource is where the API has its events from: the history, and, while
// somebody reveals, what policy would hide of the events that come.
type eventSource struct {
	kept      *history.History
	revealing *redact.Policy
	live      *liveEvents // by revealing

	streams atomic.Int64
	turns   *semaphore.Weighted // to encode: the agent has work to do besides
}

func newEventSource(cfg config, p *redact.Policy) (*eventSource, error) {
	tag, err := yaml.Marshal(cfg.Redact)
	if err != nil {
		return nil, err
	}
	s := &eventSource{live: &liveEvents{}, turns: semaphore.NewWeighted(int64(max(1, runtime.NumCPU()/2)))}
	if s.revealing, err = p.For(revealSink, redact.Override{Profile: redact.RevealProfile}); err != nil {
		return nil, err
	}
	s.kept, err = history.Open(cfg.History, string(tag))
	return s, err
}

// sinks are how the source gets events: as every exporter does.
func (s *eventSource) sinks() []collector.NamedSink {
	quick := collector.DefaultSinkConfig()
	quick.Batch.Age = 20 * time.Millisecond // somebody watches
	return []collector.NamedSink{
		{Name: historySink, Sink: s.kept, SinkConfig: quick},
		{Name: revealSink, Sink: s.live, SinkConfig: quick, Policy: s.revealing, Idle: s.live.idle},
	}
}

// begin takes a place for a stream, if there is one.
func (s *eventSource) begin() bool {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return false
	}
	return true
}

func (s *eventSource) end() { s.streams.Add(-1) }

// from returns the events to read, and what to call when they are not needed
// any more.
func (s *eventSource) from(revealed bool) (h *history.History, leave func(), err error) {
	if !revealed {
		return s.kept, func() {}, nil
	}
	return s.live.join()
}

// finish returns when no stream is left that reads the last events, and grace
// after they are there at the latest.
func (s *eventSource) finish(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), collector.DrainTimeout+grace)
	defer cancel()
	ended := s.kept.Done()
	poll(ctx, "streams end", func() (bool, error) { // or are cut off
		select {
		case <-ended:
			time.AfterFunc(grace, cancel)
			ended = nil
		default:
		}
		return s.streams.Load() == 0, nil
	})
}

// liveEvents are events as they come, while somebody reads them. As a sink it
// is idle otherwise.
type liveEvents struct {
	mu      sync.Mutex
	readers int
	now     *history.History // nil: nobody reads
}

// join returns what comes from now on.
func (l *liveEvents) join() (h *history.History, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		if l.now, err = history.Open(history.Config{MaxBytes: 16 << 20, MaxAge: time.Minute}, ""); err != nil {
			return nil, nil, fmt.Errorf("follow events: %w", err)
		}
	}
	l.readers++
	return l.now, l.leave, nil
}

func (l *liveEvents) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.now.Close(context.Background())
		l.now = nil
	}
}

func (l *liveEvents) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now == nil
}

// Export passes the batch on to who reads.
func (l *liveEvents) Export(ctx context.Context, batch []redact.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		return nil // the last reader has just left
	}
	return l.now.Export(ctx, batch)
}

// Close ends the streams.
func (l *liveEvents) Close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		return nil
	}
	return l.now.Close(ctx)
}
