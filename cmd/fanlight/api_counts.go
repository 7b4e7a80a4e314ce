package main

import (
	"strconv"
	"sync"

	"github.com/fanlight-io/fanlight/redact"
)

// apiCounts shows on the metrics page what the API does.
type apiCounts struct {
	metrics *redact.Metrics

	mu       sync.Mutex
	requests map[int]*redact.Series // by status

	local, remote, streams *redact.Series
	slow, missing          *redact.Series

	historyEvents, historyBytes, historySince, historyLost *redact.Series
}

func newAPICounts(m *redact.Metrics) *apiCounts {
	return &apiCounts{
		metrics:  m,
		requests: map[int]*redact.Series{},
		local:    m.Series(redact.APIConnections, redact.Name("unix")),
		remote:   m.Series(redact.APIConnections, redact.Name("tcp")),
		streams:  m.Series(redact.APIStreams),
		slow:     m.Series(redact.APIStreamLost, redact.Name(lostSlow)),
		missing:  m.Series(redact.APIStreamLost, redact.Name(lostMissing)),

		historyEvents: m.Series(redact.HistoryEvents),
		historyBytes:  m.Series(redact.HistoryBytes),
		historySince:  m.Series(redact.HistorySince),
		historyLost:   m.Series(redact.HistoryLost),
	}
}

// answered counts an answer.
func (c *apiCounts) answered(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.requests[code]
	if s == nil {
		s = c.metrics.Series(redact.APIRequests, redact.Name(strconv.Itoa(code)))
		c.requests[code] = s
	}
	s.Add(1)
}

// lost counts events that a stream did not get.
func (c *apiCounts) lost(reason string, n uint64) {
	if reason == lostSlow {
		c.slow.Add(n)
		return
	}
	c.missing.Add(n)
}

func (c *apiCounts) refresh(conns *connections, events *eventSource) {
	local, remote := conns.counts()
	c.local.Set(uint64(local))
	c.remote.Set(uint64(remote))
	c.streams.Set(uint64(events.streams.Load()))
	h := events.kept.Stats()
	c.historyEvents.Set(h.Records)
	c.historyBytes.Set(uint64(h.Bytes))
	c.historySince.SetFloat(float64(h.Since.UnixNano()) / 1e9)
	c.historyLost.Set(h.Lost)
}
