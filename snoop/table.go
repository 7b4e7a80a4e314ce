package snoop

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Table holds the membership, the router ports and the queriers of one segment.
type Table struct {
	cfg      Config
	now      time.Duration // the latest time heard of
	ports    map[Port]*port
	segments map[VLAN]*segment
	groups   map[GroupKey]*group
	timers   timers
	out      outputs
	fill     fill
	foreign  uint64 // packets from ports that were never added

	// Scratch space, so that a refresh allocates nothing.
	list   []netip.Addr
	merged []source
}

// port is a port of the segment and what is counted on it.
type port struct {
	id      Port
	info    PortInfo
	since   time.Duration
	members *member // a list
	groups  int     // its length

	hosts      map[hostID]int // how many groups each tracked host is in
	hostGroups int            // their sum

	counters portCounters
	refusals refusals
}

// segment is one VLAN.
type segment struct {
	timer
	vlan    VLAN
	v4, v6  *family
	routers map[Port]*router
	groups  int
	seen    time.Duration // when a message last came
}

func (s *segment) family(v6 bool) *family {
	if v6 {
		return s.v6
	}
	return s.v4
}

// New returns a table without ports. cfg must be valid.
func New(cfg Config, now time.Duration) *Table {
	t := &Table{
		cfg:      cfg.clone(),
		now:      now,
		ports:    make(map[Port]*port),
		segments: make(map[VLAN]*segment),
		groups:   make(map[GroupKey]*group),
	}
	t.addSegment(0)
	return t
}

// Reconfigure changes the settings; what is in the table stays if the new ones
// permit it. If cfg is not valid, it changes nothing and returns an error.
func (t *Table) Reconfigure(cfg Config, now time.Duration) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("reconfigure membership: %w", err)
	}
	t.Advance(now)
	was := t.cfg.Querier
	t.cfg = cfg.clone()
	for _, g := range t.sortedGroups() {
		if t.allowed(g.key.Group) {
			continue
		}
		for _, m := range slices.Clone(g.members) {
			t.removeMember(m, ActionLeft, "not_allowed", nil)
		}
		t.ClearStatic(g.key, "not_allowed", now)
	}
	for _, s := range t.sortedSegments() {
		for _, f := range []*family{s.v4, s.v6} {
			t.reconfigureQuerier(f, was)
		}
		for _, p := range t.cfg.RouterGuard {
			t.forgetRouter(s, p, "router_guard")
		}
	}
	return nil
}

func (c Config) clone() Config {
	c.Allow = slices.Clone(c.Allow)
	c.RouterGuard = slices.Clone(c.RouterGuard)
	c.QuerierGuard = slices.Clone(c.QuerierGuard)
	return c
}

// AddPort adds a port, or changes what is known of it. A new port is asked at
// once who is behind it.
func (t *Table) AddPort(id Port, info PortInfo, now time.Duration) {
	t.Advance(now)
	p, known := t.ports[id]
	wasRouter := known && p.info.Router
	if !known {
		p = &port{id: id, since: t.now, hosts: make(map[hostID]int)}
		t.ports[id] = p
	}
	p.info = info
	if wasRouter != info.Router {
		t.staticRouter(p, info.Router)
	}
	if known {
		return
	}
	for _, s := range t.sortedSegments() {
		for _, f := range []*family{s.v4, s.v6} {
			t.greet(f, p)
		}
	}
}

// RemovePort drops a port with its members, routers and counters.
func (t *Table) RemovePort(id Port, now time.Duration) {
	t.Advance(now)
	p := t.ports[id]
	if p == nil {
		return
	}
	for p.members != nil {
		t.removeMember(p.members, ActionLeft, "port_gone", nil)
	}
	t.forgetFixed(p)
	if p.info.Router {
		t.staticRouter(p, false)
	}
	for _, s := range t.sortedSegments() {
		t.forgetRouter(s, id, "port_gone")
		for _, f := range []*family{s.v4, s.v6} {
			if f.state == querierOther && f.port == id {
				t.loseQuerier(f, "port_gone")
			}
		}
	}
	delete(t.ports, id)
}

// Advance lets the time pass up to now and fires every timer that is due.
func (t *Table) Advance(now time.Duration) {
	t.now = max(t.now, now)
	for tm := t.timers.due(t.now); tm != nil; tm = t.timers.due(t.now) {
		tm.owner.fire(t, t.now)
	}
}

// Deadline returns when Advance is needed next; ok is false if nothing waits.
// It may be early, never late.
func (t *Table) Deadline() (at time.Duration, ok bool) {
	if len(t.timers.heap) == 0 {
		return 0, false
	}
	return t.timers.heap[0].at, true
}

// addSegment begins to watch a VLAN.
func (t *Table) addSegment(v VLAN) *segment {
	s := &segment{vlan: v, routers: make(map[Port]*router), seen: t.now}
	s.owner = s
	s.v4, s.v6 = newFamily(s, false), newFamily(s, true)
	t.segments[v] = s
	for _, f := range []*family{s.v4, s.v6} {
		f.timing = t.cfg.timing()
		t.beginQuerier(f)
	}
	if v != 0 {
		t.timers.schedule(&s.timer, t.now+t.idle())
	}
	return s
}

// idle is how long a VLAN without members or routers is remembered, and asked.
func (t *Table) idle() time.Duration {
	tm := t.cfg.timing()
	return 2 * tm.membership()
}

// fire ends a VLAN that nobody uses any more.
func (s *segment) fire(t *Table, now time.Duration) {
	quiet := s.groups == 0 && len(s.routers) == 0 && s.v4.state != querierOther && s.v6.state != querierOther
	if until := s.seen + t.idle(); !quiet || until > now {
		t.timers.schedule(&s.timer, max(until, now+t.cfg.QueryInterval))
		return
	}
	t.timers.cancel(&s.v4.timer)
	t.timers.cancel(&s.v6.timer)
	delete(t.segments, s.vlan)
	t.out.vlans.add(s.vlan)
}

// timing returns the intervals in force for the member.
func (t *Table) timing(m *member) *timing {
	return &m.group.segment.family(m.group.v6()).timing
}

func (t *Table) allowed(a netip.Addr) bool {
	if len(t.cfg.Allow) == 0 {
		return true
	}
	return slices.ContainsFunc(t.cfg.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (t *Table) sortedSegments() []*segment {
	all := make([]*segment, 0, len(t.segments))
	for _, s := range t.segments {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *segment) int { return cmp.Compare(a.vlan, b.vlan) })
	return all
}

func (t *Table) sortedGroups() []*group {
	all := make([]*group, 0, len(t.groups))
	for _, g := range t.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int { return a.key.compare(b.key) })
	return all
}

func (t *Table) sortedPorts() []*port {
	all := make([]*port, 0, len(t.ports))
	for _, p := range t.ports {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *port) int { return cmp.Compare(a.id, b.id) })
	return all
}
