package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// Deps are what an observer works with. Metrics may be nil.
type Deps struct {
	// Do runs a function on a thread in the namespace of the interfaces.
	Do func(func() error) error
	// Tell takes an event; see [bpf.Event].
	Tell    func(bpf.Event)
	Policy  *redact.Policy
	Metrics *redact.Metrics
	Log     *slog.Logger
	// KeepIdle is how long a silent stream keeps its counters.
	KeepIdle    time.Duration
	ForceClsact bool
	// Subscribed reports whether anybody is known elsewhere to want a group
	// that arrives on an interface, such as members of a forwarding domain. It
	// may be nil.
	Subscribed func(ifindex uint32, k GroupKey) bool
	// IsPort reports whether a domain forwards for the interface, and so tells
	// of its members and queriers. It may be nil.
	IsPort func(ifindex uint32) bool
}

// Observer counts what passes the interfaces that its configuration names. Its
// methods may be called concurrently.
type Observer struct {
	deps  Deps
	watch *bpf.Watch

	mu         sync.Mutex // guards what follows
	cfg        Config
	limits     limits
	interfaces map[uint32]*iface
	streams    map[bpf.WatchKey]*stream
	positions  map[uint32]position // of all interfaces that don't stand alone
	names      map[uint32]string   // of all interfaces
	refused    map[uint32]bool     // interfaces that can't be observed
	host       hostTables
	failures   map[string]uint64
	full       uint64 // packets without room for their streams, as last told
	closed     bool
	series     seriesTable
}

// Open loads the programs and attaches nothing. Call Sync with the interfaces
// that exist, and Run; and Close in the end. cfg must be valid.
func Open(cfg Config, deps Deps) (*Observer, error) {
	o := &Observer{
		deps: deps, cfg: cfg, limits: cfg.Silence.limits(),
		interfaces: map[uint32]*iface{},
		streams:    map[bpf.WatchKey]*stream{},
		positions:  map[uint32]position{},
		names:      map[uint32]string{},
		refused:    map[uint32]bool{},
		failures:   map[string]uint64{},
		series:     seriesTable{live: map[seriesKey]*liveSeries{}},
	}
	err := deps.Do(func() (err error) {
		o.watch, err = bpf.LoadWatch(bpf.WatchOptions{Streams: cfg.table(), ForceClsact: deps.ForceClsact})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	if deps.Metrics != nil {
		deps.Metrics.OnScrape(o.refresh)
	}
	return o, nil
}

// Hook names the hook in use: tcx or clsact.
func (o *Observer) Hook() string { return o.watch.Hook() }

// Run follows streams and messages until ctx is done, and returns nil then.
func (o *Observer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return o.listen(ctx) })
	g.Go(func() error { return o.follow(ctx) })
	g.Go(func() error { return o.readHost(ctx) })
	return g.Wait()
}

// Accepts returns an error if cfg changes what only a restart can change. It
// takes no lock.
func (o *Observer) Accepts(cfg Config) error {
	switch {
	case !cfg.Enabled():
		return errors.New("observe.interfaces became empty")
	case cfg.table() != o.watch.Capacity():
		return errors.New("observe.table changed")
	}
	return nil
}

// Reload makes the observer run by cfg, which it accepts; interfaces that stay
// keep their counts.
func (o *Observer) Reload(cfg Config, links []netlink.Link) {
	o.mu.Lock()
	o.cfg, o.limits = cfg, cfg.Silence.limits()
	for k, s := range o.streams {
		o.classify(k, s)
	}
	o.mu.Unlock()
	o.Sync(links)
}

// Close detaches from every interface.
func (o *Observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.deps.Do(o.watch.Close)
}

const (
	slowestLook = time.Second
	fastestLook = 50 * time.Millisecond
	// hostInterval is how often the host's own tables are read.
	hostInterval = time.Second
)

// pace is how often streams are looked at: four times per shortest silence.
func (o *Observer) pace() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return min(slowestLook, max(fastestLook, o.limits.shortest()/4))
}

// follow looks at the streams again and again.
func (o *Observer) follow(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := o.Look(); err != nil {
			o.countFailure("read", "", err)
		}
		timer.Reset(o.pace())
	}
}

// Look brings streams and states up to date, and tells what changed.
func (o *Observer) Look() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	return o.look(bpf.Now())
}

// listen hands the membership messages that pass to their interfaces' tables.
func (o *Observer) listen(ctx context.Context) error {
	r, err := o.watch.NewMessageReader()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	defer r.Close()
	for {
		m, err := r.Read()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read observed messages: %w", err)
		}
		o.receive(m)
	}
}

// countFailure notes what went wrong, on an interface if it has a name; observing
// goes on.
func (o *Observer) countFailure(reason, name string, err error) {
	o.mu.Lock()
	o.failures[reason]++
	first := o.failures[reason] == 1
	o.mu.Unlock()
	if first || name != "" { // the counter tells of the rest
		o.deps.Log.Error("observing misses something", "reason", reason, "interface", name, "error", err)
	}
}
