package main

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// topKey tells the rows of a view apart, from one answer to the next.
type topKey struct {
	domain, vlan, group string
	port, reason        string // of a loss
}

// topRow is a group, or what a group lost for one reason, between two answers.
type topRow struct {
	topKey
	address              netip.Addr // of the group; invalid if policy shows something else
	sources, subscribers int
	packets, megabits    float64 // per second
	copies               float64 // per second
	fan                  float64 // copies per packet
	lost                 float64 // per second: packets and copies
	totalPackets         uint64
	totalLost            uint64

	packetTrend, fanTrend, lostTrend trend
}

// topTable makes rows of the agent's answers. A row whose key is in no answer any
// more is forgotten, with its trends.
type topTable struct {
	last           topTotals
	groups, losses map[topKey]*topRow
}

// topTotals is one answer by key.
type topTotals struct {
	time   time.Time
	groups map[topKey]topGroup
	losses map[topKey]uint64
}

func totalsOf(a topAnswer) topTotals {
	t := topTotals{a.Time, make(map[topKey]topGroup, len(a.Groups)), map[topKey]uint64{}}
	for _, g := range a.Groups {
		k := topKey{domain: g.Domain, vlan: g.VLAN, group: g.Group}
		t.groups[k] = g
		for _, l := range g.Losses {
			k.port, k.reason = l.Interface, l.Reason
			t.losses[k] += l.Packets
		}
	}
	return t
}

// shortestSpan is how much time there must be between two answers: less makes no
// rate that means something.
const shortestSpan = 0.1 // seconds

// update takes the next answer. After the first one there are totals only.
func (t *topTable) update(a topAnswer) {
	next, last := totalsOf(a), t.last
	first, seconds := last.time.IsZero(), next.time.Sub(last.time).Seconds()
	switch {
	case first:
		seconds = 0
	case seconds >= 0 && seconds < shortestSpan:
		return
	}
	groups := make(map[topKey]*topRow, len(next.groups))
	for k, now := range next.groups {
		row := rowOf(t.groups, k)
		row.count(last.groups[k], now, seconds)
		if !first {
			row.packetTrend.add(row.packets)
			row.fanTrend.add(row.fan)
			row.lostTrend.add(row.lost)
		}
		groups[k] = row
	}
	losses := make(map[topKey]*topRow, len(next.losses))
	for k, now := range next.losses {
		row := rowOf(t.losses, k)
		row.lost, row.totalLost = perSecond(last.losses[k], now, seconds), now
		if !first {
			row.lostTrend.add(row.lost)
		}
		losses[k] = row
	}
	t.last, t.groups, t.losses = next, groups, losses
}

// rowOf returns the row that there was, or a new one.
func rowOf(rows map[topKey]*topRow, k topKey) *topRow {
	if row := rows[k]; row != nil {
		return row
	}
	address, _ := netip.ParseAddr(k.group) // the zero Addr is what a pseudonym gets
	return &topRow{topKey: k, address: address}
}

func (r *topRow) count(then, now topGroup, seconds float64) {
	r.sources, r.subscribers = now.Sources, now.Subscribers
	r.totalPackets, r.totalLost = now.Packets, now.lost()
	r.packets = perSecond(then.Packets, now.Packets, seconds)
	r.megabits = perSecond(then.Bytes, now.Bytes, seconds) * 8 / 1e6
	r.copies = perSecond(then.Copies, now.Copies, seconds)
	r.lost = perSecond(then.lost(), now.lost(), seconds)
	r.fan = 0
	if r.packets > 0 {
		r.fan = r.copies / r.packets
	}
}

func (g *topGroup) lost() (sum uint64) {
	for _, l := range g.Losses {
		sum += l.Packets
	}
	return sum
}

// rows returns those of a view that hold the text, in no order.
func (t *topTable) rows(v topView, text string) []*topRow {
	from := t.groups
	if v == viewDrops {
		from = t.losses
	}
	all := make([]*topRow, 0, len(from))
	for _, row := range from {
		if row.holds(text) {
			all = append(all, row)
		}
	}
	return all
}

// sum adds up all groups.
func (t *topTable) sum() (s topRow) {
	for _, r := range t.groups {
		s.packets += r.packets
		s.megabits += r.megabits
		s.copies += r.copies
		s.lost += r.lost
	}
	return s
}

// severalDomains reports whether a group's name alone says too little.
func (t *topTable) severalDomains() bool {
	first := ""
	for k := range t.groups {
		if first == "" {
			first = k.domain
		}
		if k.domain != first {
			return true
		}
	}
	return false
}

// name is that of the group and its VLAN.
func (k *topKey) name() string {
	if k.vlan == "" {
		return orDash(k.group)
	}
	return orDash(k.group) + " vlan " + k.vlan
}

func (k topKey) ofGroup() topKey { return topKey{domain: k.domain, vlan: k.vlan, group: k.group} }

// holds reports whether a name in the row contains the text; small and capital
// letters are alike.
func (k *topKey) holds(text string) bool {
	if text == "" {
		return true
	}
	text = strings.ToLower(text)
	for _, name := range []string{k.name(), k.domain, k.port, k.reason} {
		if strings.Contains(strings.ToLower(name), text) {
			return true
		}
	}
	return false
}

// compareRowNames is the order of rows that are alike in the column that sorts.
func compareRowNames(a, b *topRow) int {
	return cmp.Or(a.address.Compare(b.address), cmp.Compare(a.group, b.group), cmp.Compare(a.domain, b.domain),
		cmp.Compare(a.vlan, b.vlan), cmp.Compare(a.port, b.port), cmp.Compare(a.reason, b.reason))
}
