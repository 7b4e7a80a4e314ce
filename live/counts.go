package live

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/fanlight-io/fanlight/redact"
)

// What became of viewers.
const (
	endedByViewer = "left"
	endedAsSlow   = "slow"
	refusedViewer = "refused"
)

// counts are what the metrics page shows of this package.
type counts struct {
	metrics *redact.Metrics
	now     *redact.Series
	gone    map[string]*redact.Series

	mu       sync.Mutex
	requests map[int]*redact.Series // by HTTP status
}

func newCounts(m *redact.Metrics) *counts {
	c := &counts{metrics: m, now: m.Series(redact.LiveViewers), gone: map[string]*redact.Series{}, requests: map[int]*redact.Series{}}
	for _, outcome := range []string{endedByViewer, endedAsSlow, refusedViewer} {
		c.gone[outcome] = m.Series(redact.LiveViewersGone, redact.Name(outcome))
	}
	return c
}

// viewers sets how many there are. Calls must not overlap.
func (c *counts) viewers(n int) { c.now.Set(uint64(n)) }

func (c *counts) ended(outcome string) { c.gone[outcome].Add(1) }

// count counts answers by their status.
func (c *counts) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &countedWriter{ResponseWriter: w, counts: c}
		next.ServeHTTP(counted, r)
		if !counted.told { // nothing was written: 200 goes out by itself
			c.answered(http.StatusOK)
		}
	})
}

func (c *counts) answered(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.requests[code]
	if s == nil {
		s = c.metrics.Series(redact.LiveRequests, redact.Name(strconv.Itoa(code)))
		c.requests[code] = s
	}
	s.Add(1)
}

type countedWriter struct {
	http.ResponseWriter
	counts *counts
	told   bool
}

// WriteHeader counts and passes on.
func (w *countedWriter) WriteHeader(code int) {
	if !w.told {
		w.told = true
		w.counts.answered(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write is for answers whose status goes without saying.
func (w *countedWriter) Write(b []byte) (int, error) {
	if !w.told {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
