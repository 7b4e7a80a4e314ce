package snoop

import (
	"net/netip"
	"time"
)

// QuerierState tells who asks.
type QuerierState uint8

// The states of a querier.
const (
	QuerierNone  QuerierState = QuerierState(querierNone)
	QuerierOther QuerierState = QuerierState(querierOther)
	QuerierSelf  QuerierState = QuerierState(querierSelf)
)

// String returns "none", "other" or "self".
func (s QuerierState) String() string {
	switch s {
	case QuerierOther:
		return "other"
	case QuerierSelf:
		return "self"
	}
	return "none"
}

// Querier is who asks for members in one address family of a VLAN.
type Querier struct {
	State    QuerierState
	Address  netip.Addr // of another querier
	Port     Port       // where that one is
	LastSeen time.Duration
	Version  string // "igmpv1" to "mldv2", empty if there is none
	// Ready says that it asked long enough ago for membership to be complete.
	Ready bool
}

// QuerierState returns the queriers of a VLAN.
func (t *Table) QuerierState(v VLAN) (ipv4, ipv6 Querier) {
	s := t.segments[v]
	if s == nil {
		return ipv4, ipv6
	}
	return t.querier(s.v4), t.querier(s.v6)
}

func (t *Table) querier(f *family) Querier {
	q := Querier{State: QuerierState(f.state), Address: f.addr, Port: f.port, LastSeen: f.lastSeen, Ready: t.ready(f)}
	switch f.state {
	case querierNone:
	case querierSelf:
		q.Version = t.queryProtocol(f.v6).String()
		q.LastSeen = f.queries[0]
	default:
		q.Version = f.protocol.String()
	}
	return q
}

// Snooping reports whether the VLAN's membership is complete enough to decide
// about forwarding: a querier is known, and hosts had the time to answer it.
// Without one, members would age while they still want the group.
func (t *Table) Snooping(v VLAN, v6 bool) bool {
	s := t.segments[v]
	return s != nil && t.ready(s.family(v6))
}

func (t *Table) ready(f *family) bool { return f.readyAt <= t.now || f.assumedUntil > t.now }
