package main

import (
	"cmp"
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// loss is what a group lost for one reason, in the answer to GET /v1/drops:
// packets that were not forwarded, or copies that did not get through a port.
type loss struct {
	Domain    string     `json:"domain"`
	VLAN      string     `json:"vlan,omitempty"`
	Group     string     `json:"group"`               // empty: of groups that had no room in the tables
	Interface string     `json:"interface,omitempty"` // of a copy: the port
	Lost      string     `json:"lost"`                // packet or copy
	Reason    string     `json:"reason"`
	Meaning   string     `json:"meaning"`
	Remedy    string     `json:"remedy"`
	Packets   uint64     `json:"packets"` // datagrams
	Bytes     uint64     `json:"bytes"`
	LastSeen  *time.Time `json:"last_seen,omitempty"` // of the last event about it
}

var dropOrders = orders[loss]{
	"packets":   func(a, b *loss) int { return cmp.Compare(b.Packets, a.Packets) },
	"bytes":     func(a, b *loss) int { return cmp.Compare(b.Bytes, a.Bytes) },
	"reason":    func(a, b *loss) int { return cmp.Compare(a.Reason, b.Reason) },
	"interface": func(a, b *loss) int { return cmp.Compare(a.Interface, b.Interface) },
}

func (v viewer) drops(w http.ResponseWriter, r *http.Request) {
	list := []loss{}
	q, ok := v.each(w, r, selection.members, func(g *collector.GroupView, _ place) { list = append(list, v.losses(g)...) })
	if !ok {
		return
	}
	if len(list) == 0 {
		q.name = "" // a group that lost nothing has a name, too
	}
	answerList(w, q, list, dropOrders)
}

// losses are those of one group: first of packets, then of copies.
func (v viewer) losses(g *collector.GroupView) (list []loss) {
	for _, d := range g.Drops {
		if l, ok := v.loss(g, "", d.Reason); ok {
			l.Packets, l.Bytes, l.LastSeen = d.Packets, d.Bytes, known(d.LastSeen)
			list = append(list, l)
		}
	}
	for _, f := range g.Failures {
		if l, ok := v.loss(g, f.Interface, f.Reason); ok {
			l.Packets, l.Bytes, l.LastSeen = f.Packets, f.Bytes, known(f.LastSeen)
			list = append(list, l)
		}
	}
	return list
}

// known is a time that may not be.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// loss is what is the same for packets and copies.
func (v viewer) loss(g *collector.GroupView, port, reason string) (l loss, ok bool) {
	texts, ok := v.policy.Row(memberClasses, append(labelsOf(g), redact.Name(port))...)
	if !ok {
		return l, false
	}
	l = loss{Domain: texts[0], VLAN: texts[1], Group: texts[2], Interface: texts[3], Reason: reason}
	if known, err := reasonNamed(reason); err == nil {
		l.Lost, l.Meaning, l.Remedy = known.Lost, known.Meaning, known.Remedy
	}
	return l, true
}
