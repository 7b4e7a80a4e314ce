package snoop

import (
	"net/netip"
	"time"
)

type querierState uint8

const (
	querierNone querierState = iota
	querierOther
	querierSelf
)

// family is the querier's side of one address family on one VLAN.
type family struct {
	timer
	segment *segment
	v6      bool
	timing  timing // in force

	state      querierState
	since      time.Duration // when we became the querier
	readyAt    time.Duration // from when on membership may decide about forwarding
	wasReady   bool          // the owner was told
	graceUntil time.Duration // members don't age before this
	// Until when a restart may rely on what was true before it; 0 if not.
	assumedUntil time.Duration
	v1Until      time.Duration // hosts may believe in a querier of version 1

	// The other querier.
	addr     netip.Addr
	port     Port
	lastSeen time.Duration
	protocol Protocol
	until    time.Duration // when it counts as gone

	nextQuery time.Duration // our own general query
	startup   int           // how many of the startup queries are left
	listening bool          // nextQuery is when we stop to wait for others
	// The latest two general queries that went to every port, ours or another's.
	queries [2]time.Duration
}

func newFamily(s *segment, v6 bool) *family {
	f := &family{segment: s, v6: v6, readyAt: never, queries: [2]time.Duration{-1, -1}}
	f.owner = f
	return f
}

// beginQuerier starts what the mode asks for where no querier is known.
func (t *Table) beginQuerier(f *family) {
	switch t.cfg.Querier {
	case QuerierOn:
		t.becomeQuerier(f)
	case QuerierAuto:
		f.listening = true
		f.nextQuery = t.now + f.timing.response
		t.timers.schedule(&f.timer, f.nextQuery)
	}
}

// becomeQuerier makes us the querier and sends the first startup query.
func (t *Table) becomeQuerier(f *family) {
	f.state, f.since, f.listening = querierSelf, t.now, false
	f.timing = t.cfg.timing()
	f.addr, f.port, f.protocol = netip.Addr{}, 0, t.queryProtocol(f.v6)
	f.lastSeen = t.now
	t.querierEvent(f, ActionElected, "", cause{})
	t.settleReady(f)
	f.startup = f.timing.robustness
	t.generalQuery(f)
}

// settleReady sets from when on the membership counts: one response interval
// after the first querier appeared, and no longer when there is none.
func (t *Table) settleReady(f *family) {
	switch {
	case f.state == querierNone:
		f.readyAt = never
	case f.readyAt == never:
		f.readyAt = t.now + f.timing.response
	}
	t.out.vlans.add(f.segment.vlan)
	f.wasReady = f.readyAt <= t.now
	if !f.wasReady {
		t.timers.schedule(&f.timer, f.readyAt)
	}
}

// generalQuery asks every port and plans the next query.
func (t *Table) generalQuery(f *family) {
	for _, p := range t.sortedPorts() {
		t.transmit(f, p, specificQuery{timing: f.timing})
	}
	f.asked(t.now)
	if f.v1Until > t.now { // hosts take their time for any query
		f.graceUntil = max(f.graceUntil, t.now+igmpv1Response+f.timing.lastMember)
	}
	interval := f.timing.query
	if f.startup > 0 {
		f.startup--
	}
	if f.startup > 0 {
		interval = f.timing.startupQuery()
	}
	f.nextQuery = t.now + interval
	t.timers.schedule(&f.timer, f.nextQuery)
}

func (f *family) asked(now time.Duration) { f.queries = [2]time.Duration{now, f.queries[0]} }

// fire acts on the family's timers.
func (f *family) fire(t *Table, now time.Duration) {
	if !f.wasReady && f.readyAt <= now {
		f.wasReady = true
		t.out.vlans.add(f.segment.vlan)
	}
	if f.assumedUntil != 0 && f.assumedUntil <= now {
		f.assumedUntil = 0
		t.out.vlans.add(f.segment.vlan)
	}
	switch {
	case f.state == querierOther && f.until <= now:
		t.loseQuerier(f, "timeout")
	case f.state == querierNone && f.listening && f.nextQuery <= now:
		t.becomeQuerier(f)
	case f.state == querierSelf && f.nextQuery <= now:
		t.generalQuery(f)
	}
	t.timers.schedule(&f.timer, f.deadline())
}

func (f *family) deadline() time.Duration {
	at := never
	if !f.wasReady {
		at = f.readyAt
	}
	if f.assumedUntil != 0 {
		at = min(at, f.assumedUntil)
	}
	switch {
	case f.state == querierOther:
		at = min(at, f.until)
	case f.state == querierSelf || f.listening:
		at = min(at, f.nextQuery)
	}
	return at
}

// heardQuery acts on another router's query.
func (t *Table) heardQuery(a *arrival) {
	q := &a.message.query
	f := a.segment.family(a.message.protocol >= MLDv1)
	src := a.host.addr
	if !src.IsUnspecified() && src != t.queryAddr(f.v6, a.port) {
		t.elect(a, f)
		t.heardRouter(a, byQuery, f.timing.otherQuerier())
	}
	if !q.group.IsValid() {
		f.asked(t.now)
		// Hosts may take as long as that to answer, whatever we believe of it.
		response := q.maxResponse
		if q.protocol == IGMPv1 {
			response = igmpv1Response
			f.v1Until = t.now + v1RouterPresent
		}
		if response > t.cfg.QueryResponseInterval {
			f.graceUntil = max(f.graceUntil, t.now+response+f.timing.lastMember)
		}
		return
	}
	// Only the elected querier, where it is known to be, may shorten a
	// membership: the query of anybody else might reach us alone.
	if f.state == querierOther && f.addr == src && f.port == a.port.id && !q.suppress && q.protocol != IGMPv1 {
		t.lowerTimers(a, f)
	}
}

// elect compares the sender of a query with the querier, RFC 9776 section 6.6.2.
func (t *Table) elect(a *arrival, f *family) {
	src := a.host.addr
	switch f.state {
	case querierSelf:
		if own := t.queryAddr(f.v6, a.port); !own.IsUnspecified() && own.Less(src) {
			return
		}
		t.followQuerier(a, f, ActionReplaced, "lower_address")
	case querierNone:
		t.followQuerier(a, f, ActionHeard, "query")
	case querierOther:
		switch {
		case src == f.addr:
			t.refreshQuerier(a, f)
		case src.Less(f.addr):
			t.followQuerier(a, f, ActionReplaced, "lower_address")
		}
	}
}

func (t *Table) followQuerier(a *arrival, f *family, action, why string) {
	f.state, f.listening = querierOther, false
	f.addr = a.host.addr
	t.placeQuerier(f, a.port.id, a.message.protocol)
	t.refreshQuerier(a, f)
	t.settleReady(f)
	t.querierEvent(f, action, why, a.cause())
}

// refreshQuerier notes that the elected querier lives. A general query shows
// where it is, and with which intervals.
func (t *Table) refreshQuerier(a *arrival, f *family) {
	q := &a.message.query
	if !q.group.IsValid() {
		t.placeQuerier(f, a.port.id, q.protocol)
		f.timing = t.cfg.adopt(q)
	}
	f.lastSeen = t.now
	f.until = t.now + f.timing.otherQuerier()
	t.timers.schedule(&f.timer, f.until)
}

func (t *Table) placeQuerier(f *family, p Port, protocol Protocol) {
	if f.port != p || f.protocol != protocol {
		t.out.vlans.add(f.segment.vlan)
	}
	f.port, f.protocol = p, protocol
}

// loseQuerier ends the other querier's time.
func (t *Table) loseQuerier(f *family, why string) {
	t.querierEvent(f, ActionLost, why, cause{})
	f.state, f.timing = querierNone, t.cfg.timing()
	f.addr, f.port, f.protocol = netip.Addr{}, 0, ProtocolOther
	if t.cfg.Querier == QuerierOff {
		t.settleReady(f)
		return
	}
	// What the lost one asked last may have gone unanswered; nobody ages
	// before our own question can be answered.
	f.graceUntil = max(f.graceUntil, t.now+f.timing.response+f.timing.lastMember)
	t.becomeQuerier(f)
}

// reconfigureQuerier follows a change of the settings.
func (t *Table) reconfigureQuerier(f *family, was QuerierMode) {
	if f.state == querierOther {
		for _, p := range t.cfg.QuerierGuard {
			if f.port == p {
				t.loseQuerier(f, "querier_guard")
				return
			}
		}
		return
	}
	f.timing = t.cfg.timing()
	switch {
	case t.cfg.Querier == QuerierOff && f.state == querierSelf:
		t.querierEvent(f, ActionLost, "turned_off", cause{})
		f.state = querierNone
		f.protocol = ProtocolOther
		t.settleReady(f)
	case t.cfg.Querier == QuerierOff:
		f.listening = false
	case f.state == querierSelf:
		f.nextQuery = min(f.nextQuery, t.now+f.timing.query)
		t.timers.schedule(&f.timer, f.nextQuery)
	case was == QuerierOff, t.cfg.Querier == QuerierOn:
		t.beginQuerier(f)
	}
}

// greet asks a new port who is behind it: RFC 4541 section 2.1.1 rule 4 asks
// for that on a change of the topology.
func (t *Table) greet(f *family, p *port) {
	if f.state == querierSelf {
		t.transmit(f, p, specificQuery{timing: f.timing})
	}
}

// StartupQueries asks every port on every known VLAN now, and where we are the
// querier as often again as after a start. Where we are not, IGMP is asked
// from 0.0.0.0, which takes part in no election; MLD has no such address.
func (t *Table) StartupQueries(now time.Duration) {
	t.Advance(now)
	for _, s := range t.sortedSegments() {
		for _, f := range []*family{s.v4, s.v6} {
			switch {
			case f.state == querierSelf:
				f.startup = f.timing.robustness
				t.generalQuery(f)
			case f.listening:
				t.becomeQuerier(f)
			case !f.v6:
				for _, p := range t.sortedPorts() {
					t.transmit(f, p, specificQuery{timing: f.timing, proxy: true})
				}
				f.asked(t.now)
			}
		}
	}
}
