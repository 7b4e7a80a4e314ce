package snoop

import (
	"net/netip"
	"time"
)

// The kinds of events.
const (
	KindMembership = "membership"
	KindQuerier    = "querier"
	KindRouter     = "router"
)

// The actions of events.
const (
	ActionJoined  = "joined"
	ActionLeft    = "left"
	ActionExpired = "expired"
	ActionChanged = "changed"
	ActionRefused = "refused"

	ActionElected  = "elected"  // we became the querier
	ActionHeard    = "heard"    // another one, after none
	ActionReplaced = "replaced" // another one, after us or a third
	ActionLost     = "lost"     // there is none any more, or it was taken from us

	ActionRouterLearned = "router_learned"
	ActionRouterExpired = "router_expired"
)

// Event is something that happened. Fields that a kind does not use are zero.
type Event struct {
	At         time.Duration // when the table noticed
	Port       Port
	VLAN       VLAN
	Kind       string
	Action     string
	Reason     string
	Group      netip.Addr
	Host       netip.Addr // who reported, or the querier's address
	HostMAC    MAC
	Protocol   string       // "igmpv1" to "mldv2"; of a router, how it made itself known
	FilterMode string       // "include" or "exclude"
	Sources    []netip.Addr // the member's list in that mode; the receiver may keep it
	ReceivedAt time.Duration
	Suppressed uint64 // refusals on the port for the same reason since its last event
}

func (t *Table) emit(e Event) {
	e.At = t.now
	t.out.events = append(t.out.events, e)
}

func (t *Table) memberEvent(m *member, action, why string, by cause) {
	t.emit(Event{
		Port: m.port.id, VLAN: m.group.key.VLAN, Kind: KindMembership, Action: action, Reason: why,
		Group: m.group.key.Group, Host: by.host, HostMAC: by.mac, ReceivedAt: by.receivedAt,
		Protocol: m.compat(t.now).String(), FilterMode: m.mode.String(), Sources: m.listed(),
	})
}

// listed returns the sources that the mode is about.
func (m *member) listed() (list []netip.Addr) {
	for i := range m.sources {
		if m.mentions(&m.sources[i]) {
			list = append(list, m.sources[i].addr)
		}
	}
	return list
}

func (t *Table) querierEvent(f *family, action, why string, by cause) {
	e := Event{
		Port: f.port, VLAN: f.segment.vlan, Kind: KindQuerier, Action: action, Reason: why,
		Host: f.addr, HostMAC: by.mac, ReceivedAt: by.receivedAt, Protocol: f.protocol.String(),
	}
	t.emit(e)
}

func (t *Table) routerEvent(v VLAN, p *port, action, why string, by cause, protocol Protocol) {
	e := Event{
		Port: p.id, VLAN: v, Kind: KindRouter, Action: action, Reason: why,
		Host: by.host, HostMAC: by.mac, ReceivedAt: by.receivedAt,
	}
	if protocol != ProtocolOther {
		e.Protocol = protocol.String()
	}
	t.emit(e)
}

// refusals bounds the events about what was refused on a port.
type refusals [numReasons]struct {
	next       time.Duration // when the next event may go out
	suppressed uint64
}

const refusalInterval = time.Second

func (t *Table) refuseGroup(a *arrival, group netip.Addr, why reason) {
	t.refusal(a.port, why, Event{
		VLAN: a.segment.vlan, Group: group, Host: a.host.addr, HostMAC: a.host.mac,
		Protocol: a.message.protocol.String(), ReceivedAt: a.at,
	})
}

// refuse is for what does not get as far as a group.
func (t *Table) refuse(p *port, in Packet, why reason) {
	t.refusal(p, why, Event{VLAN: in.VLAN, HostMAC: in.SrcMAC, ReceivedAt: in.At})
}

func (t *Table) refusal(p *port, why reason, e Event) {
	r := &p.refusals[why]
	if r.next > t.now {
		r.suppressed++
		return
	}
	e.Port, e.Kind, e.Action, e.Reason, e.Suppressed = p.id, KindMembership, ActionRefused, why.String(), r.suppressed
	r.next, r.suppressed = t.now+refusalInterval, 0
	t.emit(e)
}
