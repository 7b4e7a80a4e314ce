package snoop

import (
	"slices"
	"time"
)

// How a router became known.
const (
	byQuery = iota
	byHello
	byAdvertisement
	numRouterSigns
)

var routerSigns = [numRouterSigns]string{"query", "pim_hello", "mrd"}

// router is a port of a VLAN behind which a multicast router was heard.
type router struct {
	timer
	segment *segment
	port    Port
	until   [numRouterSigns]time.Duration // by sign; 0 if there was none
}

func (r *router) end() time.Duration { return slices.Max(r.until[:]) }

// heardRouter notes a router; a holdtime of 0 takes the sign back.
func (t *Table) heardRouter(a *arrival, sign int, hold time.Duration) {
	if slices.Contains(t.cfg.RouterGuard, a.port.id) {
		a.port.counters.flagged[routerGuard]++
		return
	}
	s := a.segment
	r := s.routers[a.port.id]
	if r == nil {
		if hold == 0 {
			return
		}
		r = &router{segment: s, port: a.port.id}
		r.owner = r
		s.routers[a.port.id] = r
		t.out.routers.add(s.vlan)
		t.routerEvent(s.vlan, a.port, ActionRouterLearned, routerSigns[sign], a.cause(), a.message.protocol)
	}
	switch hold {
	case 0:
		r.until[sign] = 0
	case never:
		r.until[sign] = never
	default:
		r.until[sign] = t.now + hold
	}
	if r.end() <= t.now {
		t.forgetRouter(s, r.port, "goodbye")
		return
	}
	t.timers.schedule(&r.timer, r.end())
}

// fire ends a router that was not heard any more.
func (r *router) fire(t *Table, now time.Duration) {
	if r.end() > now {
		t.timers.schedule(&r.timer, r.end())
		return
	}
	t.forgetRouter(r.segment, r.port, "timeout")
}

// forgetRouter ends what was learnt; a static router port stays one.
func (t *Table) forgetRouter(s *segment, id Port, why string) {
	r := s.routers[id]
	if r == nil {
		return
	}
	t.timers.cancel(&r.timer)
	delete(s.routers, id)
	t.out.routers.add(s.vlan)
	if p := t.ports[id]; p != nil {
		t.routerEvent(s.vlan, p, ActionRouterExpired, why, cause{}, ProtocolOther)
	}
}

// staticRouter makes the port a router port in every VLAN, or ends that.
func (t *Table) staticRouter(p *port, on bool) {
	action := ActionRouterExpired
	if on {
		action = ActionRouterLearned
	}
	for _, s := range t.sortedSegments() {
		t.out.routers.add(s.vlan)
		t.routerEvent(s.vlan, p, action, "static", cause{}, ProtocolOther)
	}
}

// RouterPorts returns the ports of the VLAN behind which a multicast router
// is, sorted: learnt ones and static ones. It is valid until the next call.
func (t *Table) RouterPorts(v VLAN) []Port {
	ports := t.out.routerPorts[:0]
	for _, p := range t.ports {
		if p.info.Router {
			ports = append(ports, p.id)
		}
	}
	if s := t.segments[v]; s != nil {
		for id := range s.routers {
			if !t.ports[id].info.Router {
				ports = append(ports, id)
			}
		}
	}
	slices.Sort(ports)
	t.out.routerPorts = ports
	return ports
}
