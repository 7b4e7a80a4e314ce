// Package lab builds multicast networks out of network namespaces: one switch
// namespace with a port per host, and one namespace per host. It joins with
// real kernel sockets, sends numbered datagrams that receivers verify byte for
// byte, and writes and reads raw frames.
//
// Nothing outside its own namespaces changes, and hosts send nothing that they
// were not asked to send, so that tests can count packets exactly. What a
// killed process leaves behind is removed by CleanStale, or by the next New of
// the same name. Needs root.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// Errors that callers may match.
var (
	// ErrClosed reports the use of a network, namespace or socket after its Close.
	ErrClosed = errors.New("closed")
	// ErrInUse reports a network name whose owner is alive.
	ErrInUse = errors.New("name is used by a living process")
	// ErrUnknownHost reports a host name that the network lacks.
	ErrUnknownHost = errors.New("no such host")
)

// maxHosts is bound by the address plan (see address.go).
const maxHosts = 1022

// validName keeps names fit for files and, behind "p-", for interfaces.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// Config describes a network.
type Config struct {
	// Name prefixes the namespaces: NAME-switch and NAME-HOST.
	Name string
	// Hosts are created in this order, which also decides their addresses.
	Hosts []HostConfig
	// MTU of all interfaces in bytes; 0 means 1500.
	MTU int
}

// Net is one multicast network. Its methods may be called concurrently.
type Net struct {
	name  string
	mtu   int
	owner *owner
	sw    *Namespace

	mu     sync.Mutex // guards what follows, and serialises changes of the topology
	hosts  map[string]*Host
	bridge *Bridge
	closed bool
}

// New builds the network that cfg describes, and removes what a dead process
// left under the same name. It undoes all of it if a step fails or ctx ends.
// Returns ErrInUse if a living process owns the name.
func New(ctx context.Context, cfg Config) (_ *Net, err error) {
	if !validName.MatchString(cfg.Name) {
		return nil, fmt.Errorf("network name %q: want lower-case letters, digits and dashes", cfg.Name)
	}
	o, err := claim(cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", cfg.Name, err)
	}
	n := &Net{name: cfg.Name, mtu: cmp.Or(cfg.MTU, 1500), owner: o, hosts: make(map[string]*Host)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()

	if n.sw, err = newNamespace(o, cfg.Name+"-switch"); err != nil {
		return nil, fmt.Errorf("network %s: %w", cfg.Name, err)
	}
	if err := n.sw.quieten(nil); err != nil {
		return nil, fmt.Errorf("network %s: switch: %w", cfg.Name, err)
	}
	if err := n.sw.setUp("lo"); err != nil {
		return nil, fmt.Errorf("network %s: switch: %w", cfg.Name, err)
	}
	for _, hc := range cfg.Hosts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("network %s: %w", cfg.Name, err)
		}
		if _, err := n.AddHost(hc); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Name returns the name that prefixes the namespaces.
func (n *Net) Name() string { return n.name }

// Switch returns the namespace that holds the ports of all hosts.
func (n *Net) Switch() *Namespace { return n.sw }

// Host returns the named host, or nil if there is none.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[name]
}

// Hosts returns all hosts, in the order of their numbers.
func (n *Net) Hosts() []*Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sortedHosts()
}

func (n *Net) sortedHosts() []*Host {
	hosts := make([]*Host, 0, len(n.hosts))
	for _, h := range n.hosts {
		hosts = append(hosts, h)
	}
	slices.SortFunc(hosts, func(a, b *Host) int { return a.Number - b.Number })
	return hosts
}

// AddHost adds a host and its port; with a bridge, the port joins it. The host
// gets the lowest free number, so a host that is removed and added again gets
// the same addresses.
func (n *Net) AddHost(cfg HostConfig) (*Host, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("host %q: %w", cfg.Name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("host %s: network %s: %w", cfg.Name, n.name, ErrClosed)
	}
	if n.hosts[cfg.Name] != nil {
		return nil, fmt.Errorf("host %s: exists already", cfg.Name)
	}
	number := n.freeNumber()
	if number > maxHosts {
		return nil, fmt.Errorf("host %s: a network holds at most %d hosts", cfg.Name, maxHosts)
	}
	h, err := newHost(n, cfg, number)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", cfg.Name, err)
	}
	if n.bridge != nil {
		if err := n.bridge.addPort(h.Port); err != nil {
			return nil, errors.Join(fmt.Errorf("host %s: %w", cfg.Name, err), h.close())
		}
	}
	n.hosts[cfg.Name] = h
	return h, nil
}

func (n *Net) freeNumber() int {
	used := make(map[int]bool, len(n.hosts))
	for _, h := range n.hosts {
		used[h.Number] = true
	}
	number := 1
	for used[number] {
		number++
	}
	return number
}

// RemoveHost closes the sockets of the host and removes its port and namespace.
// Returns ErrUnknownHost if there is no such host.
func (n *Net) RemoveHost(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil {
		return fmt.Errorf("remove host %q: %w", name, ErrUnknownHost)
	}
	delete(n.hosts, name)
	if err := h.close(); err != nil {
		return fmt.Errorf("remove host %s: %w", name, err)
	}
	return nil
}

// Close closes all sockets of all hosts and removes all namespaces; the kernel
// frees their interfaces soon after. Calling it again does nothing.
func (n *Net) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true

	var errs []error
	for _, h := range n.sortedHosts() {
		errs = append(errs, h.abandon())
	}
	clear(n.hosts)
	if n.sw != nil {
		errs = append(errs, n.sw.remove())
	}
	errs = append(errs, n.owner.release())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close network %s: %w", n.name, err)
	}
	return nil
}

// WaitQuiet blocks until no port has carried a packet for the given time, so
// that a count taken next is final. Returns the error of ctx if that ends first.
func (n *Net) WaitQuiet(ctx context.Context, quiet time.Duration) error {
	const poll = 5 * time.Millisecond
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var last uint64
	since := time.Now()
	for {
		packets, err := n.portPackets()
		if err != nil {
			return fmt.Errorf("wait for quiet: %w", err)
		}
		if packets != last {
			last, since = packets, time.Now()
		}
		if time.Since(since) >= quiet {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for quiet: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// portPackets sums the packets that all ports have sent and received.
func (n *Net) portPackets() (uint64, error) {
	links, err := n.sw.Handle().LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return 0, fmt.Errorf("list ports: %w", err)
	}
	var sum uint64
	for _, l := range links {
		if s := l.Attrs().Statistics; s != nil {
			sum += s.RxPackets + s.TxPackets
		}
	}
	return sum, nil
}
