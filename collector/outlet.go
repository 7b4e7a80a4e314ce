package collector

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// Outlet carries events to sinks: it filters, redacts, queues, spools, retries
// and counts.
//
// Without a spool, delivery is at most once while the agent lives: what waits in
// memory is lost with it, and what finds no room is lost; both count. With a
// spool it is at least once from the moment that a record is in it: records that
// arrive twice have the same event id.
type Outlet struct {
	deliveries []*delivery
	lanes      []*lane
}

// NewOutlet opens the spools of the sinks. base is the policy of those that have
// none of their own. If it fails, the sinks are still the caller's to close.
func NewOutlet(base *redact.Policy, sinks []NamedSink, log *slog.Logger) (*Outlet, error) {
	o := &Outlet{}
	for _, s := range sinks {
		d, err := newDelivery(s, log)
		if err != nil {
			return nil, errors.Join(err, o.Abandon())
		}
		o.deliveries = append(o.deliveries, d)
	}
	o.lanes = lanesOf(o.deliveries, base)
	return o, nil
}

// HandOver gives events to every sink's queue. It never waits, and keeps
// nothing of the events. It must not be called concurrently.
func (o *Outlet) HandOver(events []bpf.Event) {
	for _, l := range o.lanes {
		l.handOver(events)
	}
}

// Run delivers until ctx is done, then what waits for a few seconds, and closes
// the sinks and the spools.
func (o *Outlet) Run(ctx context.Context) error {
	var g errgroup.Group // not one with a context: one sink's end is not the others'
	for _, d := range o.deliveries {
		g.Go(func() error { return d.run(ctx) })
	}
	return g.Wait()
}

// Abandon closes the spools of an outlet that was not run.
func (o *Outlet) Abandon() error {
	var errs []error
	for _, d := range o.deliveries {
		if d.store != nil {
			errs = append(errs, d.store.spool.Close())
		}
	}
	return errors.Join(errs...)
}

// Sinks returns where the events of each sink are, but for those that have been
// idle all the time. Produced is what was handed
// over and is for the caller to fill in.
func (o *Outlet) Sinks() (list []SinkStatus) {
	for _, d := range o.deliveries {
		if !d.unused() {
			list = append(list, d.status())
		}
	}
	return list
}
