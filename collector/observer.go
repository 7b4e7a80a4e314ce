package collector

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/observe"
	"github.com/fanlight-io/fanlight/snoop"
)

// openObserver prepares what is observed without forwarding, if anything is.
func (a *Agent) openObserver() (err error) {
	if !a.cfg.Observe.Enabled() {
		return nil
	}
	a.observer, err = observe.Open(a.cfg.Observe, observe.Deps{
		Do: a.ns.do, Tell: a.pipe.tell, Policy: a.deps.Policy, Metrics: a.deps.Metrics, Log: a.log,
		KeepIdle: a.cfg.KeepIdle, ForceClsact: a.cfg.Hook == "clsact",
		Subscribed: a.isSubscribed, IsPort: a.isPort,
	})
	return err
}

// watcher follows the interfaces for the domains, then for the observer, which
// asks the agent about them and so must not be called with a.mu held.
func (a *Agent) watcher() *linkWatcher {
	w := &linkWatcher{
		ns: a.ns, resync: a.resync, update: a.linkChanged, addressed: a.addressChanged, removed: a.linkRemoved,
		every: a.pulse.every, round: func() { a.pulse.beat(loopInterfaces) },
	}
	if a.observer == nil {
		return w
	}
	w.resync = func(links []netlink.Link) error {
		a.observer.Sync(links)
		return a.resync(links)
	}
	w.update = func(l netlink.Link) error {
		a.observer.LinkChanged(l)
		return a.linkChanged(l)
	}
	w.removed = func(ifindex uint32) error {
		a.observer.LinkRemoved(ifindex)
		return a.linkRemoved(ifindex)
	}
	return w
}

// isPort reports whether a domain forwards for the interface.
func (a *Agent) isPort(ifindex uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ports[ifindex] != nil
}

// isSubscribed reports whether a member of the interface's domain wants a group.
func (a *Agent) isSubscribed(ifindex uint32, k observe.GroupKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.ports[ifindex]
	if p == nil {
		return false
	}
	_, ok := p.domain.table.Forwarding(snoop.GroupKey{VLAN: snoop.VLAN(k.VLAN), Group: k.Group})
	return ok
}

// acceptsObserver refuses what only a restart can change.
func (a *Agent) acceptsObserver(cfg Config) error {
	if a.observer == nil {
		if cfg.Observe.Enabled() {
			return fmt.Errorf("observe was empty: %w", ErrNeedsRestart)
		}
		return nil
	}
	if err := a.observer.Accepts(cfg.Observe); err != nil {
		return fmt.Errorf("%w: %w", err, ErrNeedsRestart)
	}
	return nil
}

// checkObserver loads and verifies the observing programs.
func checkObserver(cfg Config) error {
	w, err := bpf.LoadWatch(bpf.WatchOptions{Streams: cfg.Observe.Table, ForceClsact: cfg.Hook == "clsact"})
	if err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	return w.Close()
}

// removeObservers removes what observers left in the thread's namespace when they
// were killed.
func removeObservers() error {
	links, err := listWhole(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		errs = append(errs, bpf.RemoveWatchFilters(uint32(l.Attrs().Index)))
	}
	return errors.Join(errs...)
}

// idleDir is where the datapath of an agent without domains is pinned, so that
// its small tables are never taken for those of one that forwards.
func idleDir(dir string) string { return dir + "-observe" }

// idleDatapath makes the datapath as small as can be: it forwards nothing.
func idleDatapath(o bpf.Options) bpf.Options {
	o.Settings = bpf.LeastSettings()
	o.Dir = idleDir(o.Dir)
	o.NoCopyLoss = true
	return o
}

// Observed returns what is observed. Returns ErrNotRunning before Ready and after
// Run, and ErrNotObserving if nothing is configured to be.
func (a *Agent) Observed() (observe.View, error) {
	select {
	case <-a.ready:
	default:
		return observe.View{}, ErrNotRunning
	}
	if a.observer == nil {
		return observe.View{}, ErrNotObserving
	}
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed {
		return observe.View{}, ErrNotRunning
	}
	return a.observer.View()
}

// ErrNotObserving: the configuration names no interface to observe.
var ErrNotObserving = errors.New("nothing is observed: set observe.interfaces")
