package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/observe"
	"github.com/fanlight-io/fanlight/redact"
)

// Deps are what an agent works with. Log and Registry may be nil.
type Deps struct {
	Policy  *redact.Policy
	Metrics *redact.Metrics
	// Registry gets the histograms of the agent.
	Registry *prometheus.Registry
	Sinks    []NamedSink
	Log      *slog.Logger
}

// Agent forwards multicast in the kernel for its domains. New is inert; Run
// does the work; the other methods may be called while it runs.
type Agent struct {
	deps Deps
	log  *slog.Logger

	ns       *namespace
	dp       *bpf.Datapath
	journal  *bpf.Journal
	restored map[bpf.MemberKey][]byte // what the journal held at start
	transmit *transmitter
	names    *nameTable
	pipe     *pipeline
	latency  *latency
	series   *seriesTable
	observer *observe.Observer // nil: nothing is observed
	pulse    *pulse

	groupNames *groupNames
	ordering   sync.Mutex // one request for a static group, or reload, at a time; taken before mu
	staticFile *staticFile

	mu          sync.Mutex // guards what follows, and every snoop.Table
	static      staticBook
	cfg         Config
	domains     []*domain
	ports       map[uint32]*port
	hostDevices hostDevices
	indexes     indexPool
	wake        chan struct{} // a timer may be due earlier than waited for
	waiting     time.Duration // until when runTimers sleeps

	attaching      []*port           // added, not attached yet
	attachFailures map[string]uint64 // by name of the domain
	portsRefused   uint64            // ports that found no room
	tablesFull     uint64            // changes of groups that found no room
	membersRefused uint64            // members that the next agent would not know
	closed         bool              // the datapath is no longer ours to read
	observesOnly   bool              // no domain was configured at the start

	ready chan struct{}
}

// ErrNeedsRestart: a new configuration changes what is fixed at start.
var ErrNeedsRestart = errors.New("needs a restart")

// New returns an agent that does nothing yet. cfg must be valid.
func New(cfg Config, deps Deps) *Agent {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.complete()
	return &Agent{
		deps:  deps,
		log:   deps.Log,
		cfg:   cfg,
		ports: map[uint32]*port{},

		attachFailures: map[string]uint64{},

		hostDevices: hostDevices{},
		wake:        make(chan struct{}, 1),
		ready:       make(chan struct{}),
		names:       newNameTable(),

		observesOnly: len(cfg.Domains) == 0,
		groupNames:   newGroupNames(),
		pulse:        newPulse(),
	}
}

// showDomain is a domain's name as the policy lets it out.
func (d Deps) showDomain(name string) string {
	if d.Policy == nil {
		return name
	}
	return d.Policy.Show(redact.Domain, name)
}

// Ready is closed when every port that exists is attached and every member that
// an earlier agent knew is restored.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Run forwards until ctx is done, and returns nil then. The datapath stays in
// the kernel: the next agent takes it over. See [bpf.Load] for its errors.
func (a *Agent) Run(ctx context.Context) (err error) {
	if err := a.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	g, ctx := errgroup.WithContext(ctx)
	a.pulse.beatAll()
	watcher := a.watcher()
	g.Go(func() error { return watcher.watch(ctx, func() { close(a.ready) }) })
	g.Go(func() error { return a.learn(ctx) })
	g.Go(func() error { return a.runTimers(ctx) })
	g.Go(func() error { return a.pipe.run(ctx) })
	g.Go(func() error { return a.tidy(ctx) })
	if a.observer != nil {
		g.Go(func() error { return a.observer.Run(ctx) })
	}
	return g.Wait()
}

// open loads the datapath and everything that needs its namespace.
func (a *Agent) open() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err = a.groupNames.load(a.cfg.Names); err != nil {
		return err
	}
	a.openStatic()
	if a.ns, err = openNamespace(a.cfg.netnsPath()); err != nil {
		return err
	}
	if err = a.ns.do(a.load); err != nil {
		return err
	}
	for _, note := range a.dp.Notes() {
		a.log.Warn("datapath note", "note", note)
	}
	if a.journal, a.restored, err = a.dp.Journal(); err != nil {
		return err
	}
	a.latency = newLatency(a.deps.Registry)
	if a.pipe, err = newPipeline(a); err != nil {
		return err
	}
	if err = a.openObserver(); err != nil {
		return err
	}
	a.series = newSeriesTable(a)
	if a.deps.Metrics != nil {
		a.deps.Metrics.OnScrape(a.series.refresh)
	}
	return a.adoptDomains()
}

// load runs in the ports' namespace.
func (a *Agent) load() (err error) {
	options := bpf.Options{
		Settings:    a.cfg.Tables.settings(),
		Budgets:     bpf.Budgets(a.cfg.Budget),
		Dir:         a.cfg.BPFFS,
		ForceClsact: a.cfg.Hook == "clsact",
		Log:         a.log,
	}
	if a.observesOnly {
		// Forwarding is no longer configured; and nothing is to be taken over from
		// an observer that was killed.
		if err := errors.Join(bpf.Remove(options.Dir), bpf.Remove(idleDir(options.Dir))); err != nil {
			return err
		}
		options = idleDatapath(options)
	}
	if a.dp, err = bpf.Load(options); err != nil {
		return err
	}
	a.transmit, err = newTransmitter()
	return err
}

// Check loads and verifies everything as Run would, attaches nothing and leaves
// nothing. Pins of a running agent are not touched: dir must be a fresh one.
func Check(cfg Config, dir string) (notes []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.BPFFS = dir
	a := New(cfg, Deps{})
	if err := a.groupNames.load(cfg.Names); err != nil {
		return nil, err
	}
	if a.ns, err = openNamespace(cfg.netnsPath()); err != nil {
		return nil, err
	}
	defer a.ns.Close()
	err = a.ns.do(func() (err error) {
		defer func() {
			if a.dp != nil {
				err = errors.Join(err, a.dp.Discard())
			}
		}()
		if err := a.load(); err != nil {
			return err
		}
		notes = append([]string{"programs attach by " + a.dp.Hook()}, a.dp.Notes()...)
		if cfg.Observe.Enabled() {
			if err := checkObserver(cfg); err != nil {
				return err
			}
		}
		return a.transmit.Close()
	})
	return notes, err
}

// close releases what open took, in reverse. The datapath stays pinned.
func (a *Agent) close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	var errs []error
	if a.observer != nil {
		errs = append(errs, a.observer.Close())
	}
	if a.transmit != nil {
		errs = append(errs, a.transmit.Close())
	}
	switch {
	case a.dp == nil:
	case a.observesOnly:
		errs = append(errs, a.dp.Discard()) // nothing is to outlive the agent
	default:
		errs = append(errs, a.dp.Close())
	}
	if a.ns != nil {
		errs = append(errs, a.ns.Close())
	}
	return errors.Join(errs...)
}

// Detach takes the whole datapath out of the kernel that agents with this
// configuration left there.
func Detach(cfg Config) error {
	dir := cfg.BPFFS
	if dir == "" {
		dir = DefaultBPFFS
	}
	return InNamespace(cfg, func() error {
		if err := errors.Join(bpf.Remove(dir), bpf.Remove(idleDir(dir))); err != nil {
			return err // perhaps an agent runs
		}
		return removeObservers()
	})
}

// InNamespace runs fn on a thread in the network namespace of cfg's ports.
func InNamespace(cfg Config, fn func() error) error {
	ns, err := openNamespace(cfg.netnsPath())
	if err != nil {
		return err
	}
	return errors.Join(ns.do(fn), ns.Close())
}

// adoptDomains makes the configured domains, under the numbers that they had.
func (a *Agent) adoptDomains() error {
	known, err := a.dp.Tables.Domains()
	if err != nil {
		return fmt.Errorf("read domains: %w", err)
	}
	used := map[uint32]bool{0: true} // number 0 is nobody's
	for _, id := range known {
		used[id] = true
	}
	for _, dc := range a.cfg.Domains {
		id, ok := known[dc.Name]
		for next := uint32(1); !ok; next++ {
			id, ok = next, !used[next]
		}
		used[id] = true
		delete(known, dc.Name)
		a.addDomain(id, dc)
	}
	for _, id := range known {
		if err := a.forgetDomain(id); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) addDomain(id uint32, dc DomainConfig) {
	a.domains = append(a.domains, newDomain(id, dc, bpf.Now()))
	a.names.setDomain(id, dc.Name)
}

// forgetDomain takes what is left of a domain out of the kernel.
func (a *Agent) forgetDomain(id uint32) error {
	ports, err := a.dp.Tables.Ports()
	if err != nil {
		return fmt.Errorf("read ports: %w", err)
	}
	for ifindex, p := range ports {
		if p.Domain == id {
			if err := a.detach(ifindex); err != nil {
				return err
			}
		}
	}
	return a.dp.Tables.DeleteDomain(id)
}

// learn feeds membership messages to their domains.
func (a *Agent) learn(ctx context.Context) error {
	r, err := a.dp.NewMessageReader()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	defer r.Close()
	for {
		a.pulse.beat(loopMembership)
		r.SetDeadline(time.Now().Add(a.pulse.every))
		m, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read membership messages: %w", err)
		}
		if err := a.receiveBurst(r, m); err != nil {
			return err
		}
	}
}

// burst is how many messages are taken before the tables are written: joins of
// one group that come together cost one update.
const burst = 256

func (a *Agent) receiveBurst(r *bpf.MessageReader, m bpf.Message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := bpf.Now()
	for n := 1; ; n++ {
		if p := a.ports[m.Ifindex]; p != nil {
			p.domain.receive(m)
		}
		if n >= burst || r.Empty() {
			break
		}
		var err error
		if m, err = r.Read(); err != nil {
			break // the caller's next Read says so again
		}
	}
	return a.settle(now)
}

// runTimers advances the domains' timers when they are due.
func (a *Agent) runTimers(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		a.pulse.beat(loopTimers)
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
		}
		next, err := a.advance()
		if err != nil {
			return err
		}
		timer.Reset(next)
	}
}

func (a *Agent) advance() (next time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := bpf.Now()
	for _, d := range a.domains {
		d.table.Advance(now)
	}
	if err := a.settle(now); err != nil {
		return 0, err
	}
	next = min(a.pulse.every, max(a.deadline()-now, time.Millisecond))
	a.waiting = now + next
	return next, nil
}

// deadline is when the first timer of all domains is due.
func (a *Agent) deadline() time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, d := range a.domains {
		if at, ok := d.table.Deadline(); ok {
			first = min(first, at)
		}
	}
	return first
}

// hurry makes runTimers look at the deadlines again.
func (a *Agent) hurry() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Accepts returns the error for which Reload would refuse cfg and change nothing:
// ErrNeedsRestart if cfg changes the tables, the namespace, the pins, the hook,
// the event budget, the time that idle counters are kept or the directory of the
// state; if it adds the first domain; or if it turns observing on or off or changes
// its table; and that of reading the names of groups.
func (a *Agent) Accepts(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepts(cfg.complete())
}

func (a *Agent) accepts(cfg Config) error {
	if cfg.Tables != a.cfg.Tables || cfg.BPFFS != a.cfg.BPFFS || cfg.Netns != a.cfg.Netns || cfg.Hook != a.cfg.Hook || cfg.Budget != a.cfg.Budget || cfg.KeepIdle != a.cfg.KeepIdle {
		return fmt.Errorf("tables, bpffs, netns, hook, keep_idle or event_budget changed: %w", ErrNeedsRestart)
	}
	if len(a.cfg.Domains) == 0 && a.observesOnly && len(cfg.Domains) > 0 {
		return fmt.Errorf("domains: the first one: %w", ErrNeedsRestart)
	}
	if err := a.acceptsObserver(cfg); err != nil {
		return err
	}
	if cfg.State != a.cfg.State {
		return fmt.Errorf("state changed: %w", ErrNeedsRestart)
	}
	_, err := readNames(cfg.Names)
	return err
}

// ErrHalfReloaded: the kernel refused a part of a new configuration. What is in
// force is neither the old one nor the new one, and only a new agent can tell.
var ErrHalfReloaded = errors.New("the kernel refused a part of the new configuration")

// Reload makes the agent run by cfg, without losing a packet of what both
// configurations forward. See [Agent.Accepts] for what it refuses. After
// ErrHalfReloaded the agent is to be replaced.
func (a *Agent) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.complete()
	links, err := a.reloadDomains(cfg)
	if err != nil {
		return err
	}
	if a.observer != nil {
		a.observer.Reload(cfg.Observe, links)
	}
	return nil
}

func (a *Agent) reloadDomains(cfg Config) ([]netlink.Link, error) {
	a.ordering.Lock() // a domain must not go while somebody orders in it
	defer a.ordering.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.accepts(cfg); err != nil {
		return nil, err
	}
	if err := a.groupNames.load(cfg.Names); err != nil {
		return nil, err
	}
	links, err := listWhole(a.ns.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	if err := a.reload(cfg, links); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHalfReloaded, err)
	}
	return links, nil
}

// reload does what Reload accepted. The caller holds a.mu.
func (a *Agent) reload(cfg Config, links []netlink.Link) error {
	now := bpf.Now()
	a.cfg = cfg
	a.static.configure(cfg.Domains)
	for _, d := range slices.Clone(a.domains) {
		i := slices.IndexFunc(cfg.Domains, func(dc DomainConfig) bool { return dc.Name == d.cfg.Name })
		if i >= 0 {
			d.reconfigure(cfg.Domains[i], now)
			continue
		}
		for ifindex := range d.ports {
			if err := a.removePort(ifindex, now); err != nil {
				return err
			}
		}
		for _, k := range d.table.StaticGroups() {
			d.table.ClearStatic(k, "static", now)
		}
		if err := errors.Join(a.settle(now), a.forgetDomain(d.id)); err != nil {
			return err
		}
		a.domains = slices.DeleteFunc(a.domains, func(x *domain) bool { return x == d })
	}
	for _, dc := range cfg.Domains {
		if !slices.ContainsFunc(a.domains, func(d *domain) bool { return d.cfg.Name == dc.Name }) {
			a.addDomain(a.freeDomain(), dc)
		}
	}
	// The first domain that wants an interface gets it.
	place := func(d *domain) int {
		return slices.IndexFunc(cfg.Domains, func(dc DomainConfig) bool { return dc.Name == d.cfg.Name })
	}
	slices.SortFunc(a.domains, func(a, b *domain) int { return place(a) - place(b) })
	defer a.hurry()
	return a.syncPorts(links, now)
}

func (a *Agent) freeDomain() uint32 {
	id := uint32(1)
	for slices.ContainsFunc(a.domains, func(d *domain) bool { return d.id == id }) {
		id++
	}
	return id
}
