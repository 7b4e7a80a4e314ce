package collector

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
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

// pipeline carries events: decode, name, redact, queue per sink.
type pipeline struct {
	reader  *bpf.EventReader
	policy  *redact.Policy
	latency *latency
	names   *nameTable
	dp      *bpf.Datapath
	queues  []*queue
	pool    sync.Pool

	batch []bpf.Event

	mu      sync.Mutex
	pending []bpf.Event // of the agent itself
	seq     uint64
	made    map[bpf.Kind]uint64

	overflow, unredacted, bad, gaps atomic.Uint64
	told                            lossCounts
}

// lossCounts are the losses of each stage.
type lossCounts struct{ ring, decode, agent, redact, queue, export uint64 }

func newPipeline(a *Agent) (*pipeline, error) {
	p := &pipeline{
		policy:  a.deps.Policy,
		latency: a.latency,
		names:   a.names,
		dp:      a.dp,
		// The clock outruns any rate of events, so numbers are never used twice
		// within a boot.
		seq:  uint64(bpf.Now()),
		made: map[bpf.Kind]uint64{},
	}
	p.pool.New = func() any { return &batch{pool: &p.pool} }
	for _, s := range a.deps.Sinks {
		p.queues = append(p.queues, newQueue(s, a.log))
	}
	var err error
	p.reader, err = a.dp.NewEventReader(a.names)
	return p, err
}

// tell adds an event of the agent itself. It takes over ev.Sources.
func (p *pipeline) tell(ev bpf.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev.Time, ev.Ring, ev.Seq = time.Now(), bpf.AgentRing, p.seq
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
	var g errgroup.Group
	for _, q := range p.queues {
		g.Go(func() error { return q.run(sinks) })
	}
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	look := time.Now().Add(lossInterval)
	var err error
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
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
	if closeErr := g.Wait(); err == nil {
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

// handOver redacts the batch and gives it to every queue.
func (p *pipeline) handOver() {
	if len(p.batch) == 0 {
		return
	}
	b := p.pool.Get().(*batch)
	b.records = p.policy.Apply(b.records[:0], p.batch)
	p.unredacted.Add(uint64(len(p.batch) - len(b.records)))
	clear(p.batch) // lets go of source lists
	b.holders.Store(int32(len(p.queues)) + 1)
	for _, q := range p.queues {
		q.push(b)
	}
	b.release()
}

// losses returns what each stage lost so far.
func (p *pipeline) losses() (l lossCounts, err error) {
	counts, err := p.dp.EventCounts()
	if err != nil {
		return l, err
	}
	for _, c := range counts {
		l.ring += c.Lost
	}
	l.decode, l.agent, l.redact = p.bad.Load(), p.overflow.Load(), p.unredacted.Load()
	for _, q := range p.queues {
		l.queue += q.full.Load()
		l.export += q.failed.Load()
	}
	return l, nil
}

// tellLosses makes an event of each stage that lost more since the last time.
func (p *pipeline) tellLosses() {
	now, err := p.losses()
	if err != nil {
		return // the counters are read again in a second
	}
	for _, s := range []struct {
		stage, reason string
		now, told     uint64
	}{
		{"ring", "full", now.ring, p.told.ring},
		{"decode", "bad_record", now.decode, p.told.decode},
		{"queue", "agent_full", now.agent, p.told.agent},
		{"redact", "refused", now.redact, p.told.redact},
		{"queue", "full", now.queue, p.told.queue},
		{"export", "failed", now.export, p.told.export},
	} {
		if s.now > s.told {
			p.tell(bpf.Event{Kind: bpf.KindLoss, Action: s.stage, Reason: s.reason, Lost: s.now - s.told})
		}
	}
	p.told = now
}

// produced returns how many events there were of each kind, in the kernel and
// here.
func (p *pipeline) produced() (map[bpf.Kind]uint64, error) {
	counts, err := p.dp.EventCounts()
	if err != nil {
		return nil, err
	}
	made := map[bpf.Kind]uint64{}
	for _, c := range counts {
		made[c.Kind] += c.Produced
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, n := range p.made {
		made[k] += n
	}
	return made, nil
}
