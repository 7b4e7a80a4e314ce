package collector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// LossPoint is where and why events were lost. Stages are ring, decode, redact,
// queue, spool and export; reasons are fixed words.
type LossPoint struct{ Stage, Reason string }

// UnmarshalText reads what MarshalText writes.
func (p *LossPoint) UnmarshalText(text []byte) error {
	var ok bool
	if p.Stage, p.Reason, ok = strings.Cut(string(text), "/"); !ok {
		return fmt.Errorf("%q: want stage/reason", text)
	}
	return nil
}

// MarshalText writes stage and reason with a slash between.
func (p LossPoint) MarshalText() ([]byte, error) { return []byte(p.Stage + "/" + p.Reason), nil }

// sinkCounts is what became of the events of one sink. Every event that the
// agent got is delivered, filtered, lost, or waits.
type sinkCounts struct {
	delivered, filtered, retries atomic.Uint64

	mu   sync.Mutex
	lost map[LossPoint]uint64
}

func (c *sinkCounts) lose(stage, reason string, n uint64) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = map[LossPoint]uint64{}
	}
	c.lost[LossPoint{stage, reason}] += n
}

func (c *sinkCounts) losses() map[LossPoint]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := make(map[LossPoint]uint64, len(c.lost))
	maps.Copy(lost, c.lost)
	return lost
}

// sortedPoints returns the keys in a constant order.
func sortedPoints(lost map[LossPoint]uint64) []LossPoint {
	return slices.SortedFunc(maps.Keys(lost), func(a, b LossPoint) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
}
