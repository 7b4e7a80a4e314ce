package collector

import (
	"reflect"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// lane is the sinks that get the same records: those with the same policy and
// the same filter. Their events are redacted once. A sink that may be idle has a
// lane of its own.
type lane struct {
	policy *redact.Policy
	config FilterConfig
	filter *filter
	sinks  []*delivery
	pool   sync.Pool
	picked []bpf.Event
}

func newLane(p *redact.Policy, c FilterConfig) *lane {
	l := &lane{policy: p, config: c, filter: newFilter(c)}
	l.pool.New = func() any { return &batch{pool: &l.pool} }
	return l
}

// lanesOf groups the sinks; base is the policy of those that have none.
func lanesOf(sinks []*delivery, base *redact.Policy) (lanes []*lane) {
	for _, d := range sinks {
		p := d.Policy
		if p == nil {
			p = base
		}
		var l *lane
		for _, other := range lanes {
			if other.policy == p && d.Idle == nil && other.sinks[0].Idle == nil && reflect.DeepEqual(other.config, d.Filter) {
				l = other
			}
		}
		if l == nil {
			l = newLane(p, d.Filter)
			lanes = append(lanes, l)
		}
		l.sinks = append(l.sinks, d)
	}
	return lanes
}

// handOver filters and redacts the events and puts them into every queue.
func (l *lane) handOver(events []bpf.Event) {
	all := len(events)
	if first := l.sinks[0]; first.Idle != nil && first.Idle() {
		first.counts.filtered.Add(uint64(all))
		return
	}
	events = l.pick(events)
	b := l.pool.Get().(*batch)
	b.records, b.made = l.policy.Apply(b.records[:0], events), time.Now()
	refused := len(events) - len(b.records)
	b.holders.Store(int32(len(l.sinks)) + 1)
	for _, d := range l.sinks {
		d.counts.filtered.Add(uint64(all - len(events)))
		d.counts.lose("redact", "refused", uint64(refused))
		d.queue.put(b)
	}
	b.release()
	clear(l.picked) // lets go of source lists
}

func (l *lane) pick(events []bpf.Event) []bpf.Event {
	if l.filter.passesAll() {
		return events
	}
	l.picked = l.picked[:0]
	for i := range events {
		if l.filter.passes(&events[i]) {
			l.picked = append(l.picked, events[i])
		}
	}
	return l.picked
}
