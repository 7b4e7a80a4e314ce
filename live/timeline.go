package live

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// SinkName is what the timeline is called in metrics, as an exporter.
const SinkName = "live"

// maxChanges bounds what the timeline keeps, and what one frame tells.
const maxChanges = 200

// timelineFields are what the page needs to know of an event.
var timelineFields = []string{
	"time", "kind", "action", "reason", "domain", "vlan", "inner_vlan", "source", "group", "interface", "host", "querier", "protocol",
	"filter_mode", "lost_events",
}

// Sink returns how the timeline gets its events: as every exporter does, redacted
// by the policy p, which is the agent's.
func (s *Server) Sink(p *redact.Policy) (collector.NamedSink, error) {
	own, err := p.For(SinkName, redact.Override{Fields: timelineFields})
	if err != nil {
		return collector.NamedSink{}, fmt.Errorf("live: %w", err)
	}
	c := collector.DefaultSinkConfig()
	c.Batch.Age = 20 * time.Millisecond // somebody watches
	c.WhenFull = "drop_oldest"
	c.Filter.Allow = []collector.MatchConfig{
		{Kinds: []string{"membership", "querier", "loss"}},
		{Kinds: []string{"replication"}, Actions: []string{"first"}},
	}
	return collector.NamedSink{Name: SinkName, Sink: s.timeline, Policy: own, SinkConfig: c}, nil
}

// timeline keeps the last events, as their JSON. It is safe for concurrent use.
type timeline struct {
	policy  *redact.Policy
	changed chan struct{} // gets a value when there is something new

	mu    sync.Mutex
	last  [maxChanges]json.RawMessage
	count uint64 // of all that there were
	floor uint64 // number of the first one that was made with the key in force
	keyID string
}

func newTimeline(p *redact.Policy) *timeline {
	return &timeline{policy: p, changed: make(chan struct{}, 1)}
}

// Export keeps the records.
func (t *timeline) Export(_ context.Context, batch []redact.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	for i := range batch {
		t.last[t.count%maxChanges] = batch[i].AppendJSON(nil)
		t.count++
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
	return nil
}

// Close does nothing: the page may still be open.
func (t *timeline) Close(context.Context) error { return nil }

// since returns the events from number n on, oldest first, the number of the
// next one, and how many of them are not there any more.
func (t *timeline) since(n uint64) (events []json.RawMessage, next, missing uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	first := t.first(n)
	return t.between(first, t.count), t.count, first - n
}

// before returns the events that are kept up to, but without, number n.
func (t *timeline) before(n uint64) []json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.between(t.first(0), n)
}

// first returns the number of the first event from n on that is kept.
func (t *timeline) first(n uint64) uint64 {
	n = max(n, t.floor)
	if t.count <= maxChanges {
		return n
	}
	return max(n, t.count-maxChanges)
}

// forget drops what was made with a key that is no longer in force: it may have
// been taken away for a reason, and groups have other names now.
func (t *timeline) forget() {
	if id := t.policy.KeyID(); id != t.keyID {
		t.keyID, t.floor = id, t.count
	}
}

func (t *timeline) between(from, to uint64) (events []json.RawMessage) {
	for i := from; i < to; i++ {
		events = append(events, t.last[i%maxChanges])
	}
	return events
}
