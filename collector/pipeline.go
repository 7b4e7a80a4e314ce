package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

const (
	// drainInterval is how often rings are read: nobody is woken per event.
	drainInterval = 10 * time.Millisecond
	// batchEvents is how many events are redacted and handed over at once.
	batchEvents = 1024
	// maxPending bounds the agent's own events between two drains.
	maxPending = 65536
	// lossInterval is how often losses are looked for.
	lossInterval = time.Second
)

// pipeline carries events: decode, name, filter, redact, queue per sink.
type pipeline struct {
	reader  *bpf.EventReader
	latency *latency
	names   *groupNames
	dp      *bpf.Datapath
	outlet  *Outlet
	pulse   *pulse

	lastLosses lastLosses

	batch []bpf.Event

	mu      sync.Mutex
	pending []bpf.Event // of the agent itself
	seq     uint64
	made    map[bpf.Kind]uint64

	// What the kernel made that earlier agents took, or that was lost in their
	// time: it is none of our sinks' business.
	madeBefore, lostBefore uint64

	overflow, bad, gaps atomic.Uint64
	told                map[LossPoint]uint64
}

func newPipeline(a *Agent) (*pipeline, error) {
	p := &pipeline{
		latency: a.latency,
		names:   a.groupNames,
		dp:      a.dp,
		pulse:   a.pulse,
		// The clock outruns any rate of events, so numbers are never used twice
		// within a boot.
		seq:  uint64(bpf.Now()),
		made: map[bpf.Kind]uint64{},
	}
	var err error
	if p.outlet, err = NewOutlet(a.deps.Policy, a.deps.Sinks, a.log); err != nil {
		return nil, err
	}
	if p.reader, err = a.dp.NewEventReader(a.names); err != nil {
		return nil, errors.Join(err, p.outlet.Abandon())
	}
	counts, err := a.dp.EventCounts()
	if err != nil {
		return nil, errors.Join(err, p.reader.Close(), p.outlet.Abandon())
	}
	for _, c := range counts {
		p.lostBefore += c.Lost
	}
	p.madeBefore = p.reader.Before + p.lostBefore
	return p, nil
}

// tell adds an event of the agent itself, which happens now if it says no time.
// It takes over ev.Sources.
func (p *pipeline) tell(ev bpf.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	ev.Ring, ev.Seq = bpf.AgentRing, p.seq
	p.seq++
	p.made[ev.Kind]++
	if len(p.pending) >= maxPending {
		p.overflow.Add(1)
		return
	}
	p.pending = append(p.pending, ev)
}

// run moves events until ctx is done, then those that are left, and closes the
// sinks.
func (p *pipeline) run(ctx context.Context) error {
	sinks, stopSinks := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSinks()
	delivered := make(chan error, 1)
	go func() { delivered <- p.outlet.Run(sinks) }()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	look := time.Now().Add(lossInterval)
	var err error
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			p.pulse.beat(loopEvents)
			if now.After(look) {
				look = now.Add(lossInterval)
				p.tellLosses()
				err = p.latency.settle(bpf.Now(), p.dp.EachStream)
			}
			if err == nil {
				err = p.drain()
			}
		}
	}
	if err == nil {
		err = p.drain()
	}
	if err == nil {
		p.tellLosses() // since the last look
		err = p.drain()
	}
	stopSinks()
	if closeErr := <-delivered; err == nil {
		err = closeErr
	}
	if closeErr := p.reader.Close(); err == nil {
		err = closeErr
	}
	return err
}

// drain empties the rings, batch by batch.
func (p *pipeline) drain() error {
	for {
		p.batch = p.takePending(p.batch[:0])
		own := len(p.batch)
		n, err := p.reader.Drain(batchEvents, p.take)
		p.bad.Store(p.reader.Bad)
		p.gaps.Store(p.reader.Gaps)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		p.handOver()
		if n < batchEvents && own == 0 {
			return nil
		}
	}
}

// take gets an event from the rings; the reader uses its memory again.
func (p *pipeline) take(ev *bpf.Event, c bpf.Change) {
	p.batch = append(p.batch, *ev)
	if ev.Kind == bpf.KindDrop {
		p.lastLosses.see(ev)
	}
	if ev.Kind == bpf.KindReplication && c.Generation != 0 {
		p.latency.packet(bpf.GroupKey{Domain: c.Domain, VLAN: ev.VLAN, Group: ev.Group}, c)
	}
}

func (p *pipeline) takePending(dst []bpf.Event) []bpf.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.pending), batchEvents)
	dst = append(dst, p.pending[:n]...)
	clear(p.pending[:n])
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		p.pending = nil // lets go of what a burst took
	}
	return dst
}

// handOver gives the batch to the sinks.
func (p *pipeline) handOver() {
	if len(p.batch) == 0 {
		return
	}
	for i := range p.batch {
		p.batch[i].GroupName = p.names.of(p.batch[i].Group)
	}
	p.outlet.HandOver(p.batch)
	clear(p.batch) // lets go of source lists
}

// losses returns what was lost so far, by stage and reason. What several
// exporters lost counts for each.
func (p *pipeline) losses(counts []bpf.EventCount) map[LossPoint]uint64 {
	lost := p.sharedLosses(counts)
	for _, s := range p.outlet.Sinks() {
		for at, n := range s.Lost {
			lost[at] += n
		}
	}
	return lost
}

// tellLosses makes an event of each stage and reason that lost more since the
// last time.
func (p *pipeline) tellLosses() {
	counts, err := p.dp.EventCounts()
	if err != nil {
		return // the counters are read again in a second
	}
	now := p.losses(counts)
	for _, at := range sortedPoints(now) {
		if more := now[at] - p.told[at]; more > 0 {
			p.tell(bpf.Event{Kind: bpf.KindLoss, Action: at.Stage, Reason: at.Reason, Lost: more})
		}
	}
	p.told = now
}

// produced returns how many events there were of each kind, in the kernel and
// here.
func (p *pipeline) produced(counts []bpf.EventCount) map[bpf.Kind]uint64 {
	made := map[bpf.Kind]uint64{}
	for _, c := range counts {
		made[c.Kind] += c.Produced
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, n := range p.made {
		made[k] += n
	}
	return made
}
