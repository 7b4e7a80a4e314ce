package collector

import (
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// domain is one multicast segment while the agent runs.
type domain struct {
	id    uint32
	cfg   DomainConfig
	table *snoop.Table
	ports map[uint32]*port

	changed  bool                 // policy or ports: the kernel's entry is old
	resample bool                 // the sampling of all groups: theirs are old
	reorder  bool                 // ports or orders: the static members are old
	groups   map[bpf.GroupKey]int // that the kernel forwards, with the ports of each
	unplaced map[snoop.GroupKey]bool
}

// port is one attached interface.
type port struct {
	ifindex uint32
	index   uint32 // of its kernel counters
	name    string
	domain  *domain
	fresh   bool   // its kernel counters may be those of another port
	unsent  uint64 // queries that did not go out
	info    snoop.PortInfo
}

func newDomain(id uint32, cfg DomainConfig, now time.Duration) *domain {
	return &domain{
		id:       id,
		cfg:      cfg,
		table:    snoop.New(cfg.snooping(), now),
		ports:    map[uint32]*port{},
		changed:  true,
		reorder:  true,
		groups:   map[bpf.GroupKey]int{},
		unplaced: map[snoop.GroupKey]bool{},
	}
}

func (d *domain) key(k snoop.GroupKey) bpf.GroupKey {
	return bpf.GroupKey{Domain: d.id, VLAN: bpf.VLAN(k.VLAN), Group: k.Group}
}

// receive hands over a message. It counts as of its arrival, so that a report
// that waited in the ring still comes before the ageing that it stops.
func (d *domain) receive(m bpf.Message) {
	d.table.Receive(snoop.Packet{
		Port: snoop.Port(m.Ifindex), VLAN: snoop.VLAN(m.VLAN), At: m.At,
		SrcMAC: m.SrcMAC, IP: m.IP, Truncated: m.Truncated,
	}, m.At)
}

// reconfigure applies a new configuration of the same domain. It was validated.
func (d *domain) reconfigure(cfg DomainConfig, now time.Duration) {
	d.resample = d.resample || d.cfg.Sample != cfg.Sample
	d.cfg = cfg
	d.changed, d.reorder = true, true
	d.configureTable(now)
	for ifindex, p := range d.ports {
		if router := matches(cfg.RouterPorts, p.name); router != p.info.Router {
			p.info.Router = router
			d.table.AddPort(snoop.Port(ifindex), p.info, now)
		}
	}
}

// sameRole reports whether the configuration means the same by both names.
func (d *domain) sameRole(a, b string) bool {
	for _, patterns := range [][]string{d.cfg.RouterPorts, d.cfg.QuerierGuard, d.cfg.RouterGuard} {
		if matches(patterns, a) != matches(patterns, b) {
			return false
		}
	}
	return true
}

// configureTable hands the configuration to the table, with the guarded ports
// that exist now.
func (d *domain) configureTable(now time.Duration) {
	c := d.cfg.snooping()
	for ifindex, p := range d.ports {
		if matches(d.cfg.QuerierGuard, p.name) {
			c.QuerierGuard = append(c.QuerierGuard, snoop.Port(ifindex))
		}
		if matches(d.cfg.RouterGuard, p.name) {
			c.RouterGuard = append(c.RouterGuard, snoop.Port(ifindex))
		}
	}
	slices.Sort(c.QuerierGuard)
	slices.Sort(c.RouterGuard)
	// Can't fail: Validate has seen everything but the ports.
	_ = d.table.Reconfigure(c, now)
}

// policy is the domain as the kernel wants it.
func (d *domain) policy() bpf.Domain {
	flood := make([]uint32, 0, len(d.ports))
	for ifindex := range d.ports {
		flood = append(flood, ifindex)
	}
	slices.Sort(flood)
	messages, streams := 1000, 256
	set(&messages, d.cfg.Limits.MessagesPerSecondPerPort)
	set(&streams, d.cfg.Limits.StreamsPerGroup)
	return bpf.Domain{
		Name:              d.cfg.Name,
		Unregistered:      unregisteredModes[d.cfg.Unregistered],
		Flood:             flood,
		Allow:             d.cfg.allow(),
		MessagesPerSecond: uint32(messages),
		StreamsPerGroup:   uint32(streams),
	}
}

// forwarding is a group as the kernel wants it: the subscribers of each source,
// and the routers, who want everything.
func (d *domain) forwarding(k snoop.GroupKey) (fw bpf.Forwarding, members int, ok bool) {
	fw, _, ok = d.subscribers(k)
	if !ok {
		return fw, 0, false
	}
	routers := toIndexes(d.table.RouterPorts(k.VLAN))
	fw.Any = union(fw.Any, routers)
	for i := range fw.Sources {
		fw.Sources[i].Ports = union(fw.Sources[i].Ports, routers)
	}
	return fw, len(fw.Any), true
}

// subscribers is a group without its routers.
func (d *domain) subscribers(k snoop.GroupKey) (fw bpf.Forwarding, members int, ok bool) {
	f, ok := d.table.Forwarding(k)
	if !ok {
		return fw, 0, false
	}
	fw = bpf.Forwarding{Any: toIndexes(f.Any), Sample: d.cfg.Sample}
	for _, s := range f.Sources {
		fw.Sources = append(fw.Sources, bpf.SourcePorts{Source: s.Source, Ports: toIndexes(s.Ports)})
	}
	return fw, len(fw.Any), true
}

func toIndexes(ports []snoop.Port) []uint32 {
	list := make([]uint32, len(ports))
	for i, p := range ports {
		list[i] = uint32(p)
	}
	return list
}

func union(a, b []uint32) []uint32 {
	if len(b) == 0 {
		return a
	}
	a = append(a, b...)
	slices.Sort(a)
	return slices.Compact(a)
}
