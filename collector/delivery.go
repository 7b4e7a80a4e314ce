package collector

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// DrainTimeout bounds the delivery of what waits when the agent stops.
const DrainTimeout = 5 * time.Second

// delivery carries records to one sink: through memory, or through a spool on
// disk that outlives the agent. A slow or dead sink fills its own queue and
// nothing else.
type delivery struct {
	NamedSink
	counts  sinkCounts
	queue   *queue
	courier *courier
	store   *store // nil: none
}

// newDelivery opens the sink's spool, if it has one.
func newDelivery(s NamedSink, log *slog.Logger) (*delivery, error) {
	if err := s.SinkConfig.Validate(); err != nil {
		return nil, fmt.Errorf("exporter %s: %w", s.Name, err)
	}
	log = log.With("exporter", s.Name)
	d := &delivery{NamedSink: s}
	d.queue = newQueue(s.SinkConfig, &d.counts)
	d.courier = &courier{NamedSink: s, counts: &d.counts, trouble: newTrouble(log)}
	if s.Spool.Dir == "" {
		return d, nil
	}
	var err error
	d.courier.safe = true
	d.store, err = openStore(d, log)
	return d, err
}

// run delivers until ctx is done, then what waits for at most DrainTimeout, and
// closes the sink.
func (d *delivery) run(ctx context.Context) error {
	d.courier.stopping = ctx.Done()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		d.queue.close()
		time.AfterFunc(DrainTimeout, cancel)
	})
	defer stop()
	var err error
	if d.store == nil {
		d.fromMemory(work)
	} else {
		err = d.store.run(work)
	}
	d.queue.abandon()
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), DrainTimeout)
	defer cancelLast()
	if closeErr := d.Sink.Close(last); err == nil {
		err = closeErr
	}
	return err
}

func (d *delivery) fromMemory(ctx context.Context) {
	for records := d.queue.take(ctx); records != nil; records = d.queue.take(ctx) {
		left := d.courier.deliver(ctx, records)
		d.counts.lose("export", "shutdown", uint64(left))
		d.queue.done()
	}
}

// unused reports whether nobody ever waited for the sink's records.
func (d *delivery) unused() bool {
	return d.Idle != nil && d.Idle() && d.counts.delivered.Load() == 0 && len(d.counts.losses()) == 0
}

// status returns what is known here; what was lost before the events got here is
// not.
func (d *delivery) status() SinkStatus {
	waiting, oldest := d.queue.load()
	s := SinkStatus{
		Name: d.Name, Waiting: uint64(waiting), Lost: d.counts.losses(), Delivered: d.counts.delivered.Load(),
		Filtered: d.counts.filtered.Load(), Retries: d.counts.retries.Load(), Failing: d.courier.trouble.lasts(),
	}
	if d.store != nil {
		oldest = d.store.status(&s, oldest)
	}
	if !oldest.IsZero() {
		s.LagSeconds = max(0, time.Since(oldest).Seconds())
	}
	return s
}
