package snoop

import (
	"net/netip"
	"slices"
	"time"
)

// arrival is a checked message and where it came from.
type arrival struct {
	port    *port
	segment *segment
	host    hostID
	at      time.Duration // kernel receive time
	message message
}

func (a *arrival) cause() cause {
	return cause{host: a.host.addr, mac: a.host.mac, receivedAt: a.at}
}

// Receive takes one control packet. It counts it exactly once: as a message of
// its type, or as an error with its reason. An owner that is late passes the
// time at which the packet came as now, so that members which reported in time
// don't age before their reports are read.
func (t *Table) Receive(in Packet, now time.Duration) {
	t.Advance(now)
	p := t.ports[in.Port]
	if p == nil {
		t.foreign++
		return
	}
	var m message
	d, why := parseIP(in.IP, in.Truncated)
	if why == accepted {
		m, why = parse(&d)
	}
	if why == accepted {
		why = t.checkHeader(p, &d, &m)
	}
	if why == accepted {
		why = t.handle(p, in, d.src, &m)
	}
	if why != accepted {
		p.counters.errors[why]++
		return
	}
	p.counters.messages[m.protocol][m.kind]++
}

// checkHeader applies the checks that a policy may turn off.
func (t *Table) checkHeader(p *port, d *datagram, m *message) reason {
	if m.kind == messageOther {
		return accepted
	}
	if d.ttl != 1 && t.cfg.TTLCheck.failed(p, badTTL) {
		return badTTL
	}
	if !d.routerAlert && m.protocol != PIMv2 && t.cfg.RouterAlertCheck.failed(p, noRouterAlert) {
		return noRouterAlert
	}
	return accepted
}

// failed applies the policy to a failed check and reports whether it refuses.
func (c Check) failed(p *port, why reason) bool {
	if c == CheckCount {
		p.counters.flagged[why]++
	}
	return c == CheckDrop
}

// handle acts on a good message.
func (t *Table) handle(p *port, in Packet, src netip.Addr, m *message) reason {
	if m.kind == messageOther || m.kind == messageSolicitation {
		return accepted // says nothing about membership or routers
	}
	if why := t.guarded(p, m); why != accepted {
		return why
	}
	s := t.segments[in.VLAN]
	if s == nil {
		if len(t.segments) >= t.cfg.Limits.VLANs {
			t.refuse(p, in, vlanLimit)
			return vlanLimit
		}
		s = t.addSegment(in.VLAN)
	}
	s.seen = t.now
	a := arrival{port: p, segment: s, host: hostID{in.SrcMAC, src}, at: in.At, message: *m}
	switch m.kind {
	case messageReport, messageLeave:
		return t.report(&a)
	case messageQuery:
		t.heardQuery(&a)
	case messageHello:
		t.heardRouter(&a, byHello, m.holdtime)
	case messageAdvertisement:
		t.heardRouter(&a, byAdvertisement, m.holdtime)
	case messageTermination:
		t.heardRouter(&a, byAdvertisement, 0)
	}
	return accepted
}

// guarded applies the guards of the port.
func (t *Table) guarded(p *port, m *message) reason {
	switch m.kind {
	case messageQuery:
		if slices.Contains(t.cfg.QuerierGuard, p.id) {
			return querierGuard
		}
	case messageHello, messageAdvertisement, messageTermination:
		if slices.Contains(t.cfg.RouterGuard, p.id) {
			return routerGuard
		}
	}
	return accepted
}
