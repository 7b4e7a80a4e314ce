package collector

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// latency measures how long a join or a leave takes to show in the traffic:
// from the arrival of the report to the first packet that was copied by the new
// list, and from the arrival of the leave to the last packet by the old one.
// The kernel stamps both ends. Streams that were silent then are left out: they
// would measure the sender.
type latency struct {
	join, leave prometheus.Histogram

	mu      sync.Mutex
	waiting map[bpf.GroupKey][]pendingChange
	// latest are the last changes that events told of: one may come before
	// start is called for it.
	latest map[bpf.GroupKey]bpf.Change
}

type pendingChange struct {
	joined     bool
	generation uint32        // of the list, 0 if nobody was left to have one
	at         time.Duration // arrival of the message
	written    time.Duration // when the kernel had the new list
}

const (
	// silentStream is the gap after which a stream says nothing about us.
	silentStream = 100 * time.Millisecond
	// awaitEvent is how long a change waits for an event about it before the
	// streams are asked.
	awaitEvent = time.Second
	// forgetChange is when a change is given up that no packet followed.
	forgetChange = 10 * time.Second
)

func newLatency(r *prometheus.Registry) *latency {
	l := &latency{
		join: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "fanlight_join_latency_seconds",
			Help:    "Time from a report's arrival to the first packet that was copied to the new subscriber.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		leave: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "fanlight_leave_latency_seconds",
			Help:    "Time from the arrival of a leave to the last packet that was copied to the subscriber.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
		}),
		waiting: map[bpf.GroupKey][]pendingChange{},
		latest:  map[bpf.GroupKey]bpf.Change{},
	}
	if r != nil {
		r.MustRegister(l.join, l.leave)
	}
	return l
}

// start notes a change of membership that the kernel has now.
func (l *latency) start(k bpf.GroupKey, action string, generation uint32, at, written time.Duration) {
	joined := action == snoop.ActionJoined
	if at == 0 || joined && generation == 0 || !joined && action != snoop.ActionLeft {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := pendingChange{joined, generation, at, written}
	if c, ok := l.latest[k]; ok && generation != 0 && c.Generation >= generation {
		l.observe(w, c)
		return
	}
	l.waiting[k] = append(l.waiting[k], w)
}

// packet notes that a stream of the group was copied by a new list.
func (l *latency) packet(k bpf.GroupKey, c bpf.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest[k] = c
	l.resolve(k, func(w pendingChange) bool {
		if w.generation == 0 || w.generation > c.Generation {
			return false
		}
		l.observe(w, c)
		return true
	})
}

// resolve drops those changes of the group that are done.
func (l *latency) resolve(k bpf.GroupKey, done func(pendingChange) bool) {
	left := slices.DeleteFunc(l.waiting[k], done)
	if len(left) == 0 {
		delete(l.waiting, k)
		return
	}
	l.waiting[k] = left
}

// observe measures a change by the first packet after it. Changes that come
// soon after one another share an event, and its packet is the first after the
// oldest of them: the others then count as done when they were written.
func (l *latency) observe(w pendingChange, c bpf.Change) {
	shared := c.At < w.written
	switch {
	case w.joined && c.At-w.written <= silentStream:
		l.join.Observe((max(c.At, w.written) - w.at).Seconds())
	case w.joined || c.Before == 0:
	case shared:
		l.leave.Observe((w.written - w.at).Seconds())
	case c.Before >= w.at-silentStream:
		l.leave.Observe(max(0, c.Before-w.at).Seconds())
	}
}

// settle measures what no event tells, by asking the streams: changes that the
// event budget holds back, and leaves after which nothing was copied any more.
func (l *latency) settle(now time.Duration, streams func(func(bpf.Stream)) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.latest, func(_ bpf.GroupKey, c bpf.Change) bool { return now-c.At > awaitEvent })
	overdue := func(w pendingChange) bool { return now-w.written > awaitEvent }
	if !l.any(overdue) {
		return nil
	}
	err := streams(func(s bpf.Stream) {
		l.resolve(bpf.GroupKey{Domain: s.Domain, VLAN: s.VLAN, Group: s.Group}, func(w pendingChange) bool {
			return overdue(w) && l.observeStream(w, s)
		})
	})
	for k := range l.waiting {
		l.resolve(k, func(w pendingChange) bool { return now-w.at > forgetChange })
	}
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	return nil
}

func (l *latency) any(fits func(pendingChange) bool) bool {
	for _, waiting := range l.waiting {
		if slices.ContainsFunc(waiting, fits) {
			return true
		}
	}
	return false
}

// observeStream measures an overdue change by what is known of a stream, and
// returns false if that says nothing about it.
func (l *latency) observeStream(w pendingChange, s bpf.Stream) bool {
	if c := s.Untold; w.generation != 0 && c.Generation >= w.generation {
		l.observe(w, c)
		return true
	}
	first, last := time.Duration(s.FirstNS), time.Duration(s.LastNS)
	if w.joined || first == 0 || first > w.at || last < w.at-silentStream {
		return false
	}
	// Later packets were copied to others, or after a new join.
	l.leave.Observe(max(0, min(last, w.written)-w.at).Seconds())
	return true
}
