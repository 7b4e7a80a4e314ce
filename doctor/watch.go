package doctor

import (
	"bytes"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what a watch keeps, whatever comes.
const (
	maxStreams   = 1024
	maxDatagrams = 1024 // that are being put together
	maxMessages  = 256  // queries, and reports
)

// watch adds up what a capture sees. It is not safe for concurrent use.
type watch struct {
	group     netip.Addr
	index     int // of the interface that should receive
	streams   map[streamKey]*Stream
	datagrams map[datagramKey]*datagram
	wire      Wire
}

type streamKey struct {
	index    int
	vlan     uint16
	source   netip.Addr
	port     uint16
	outgoing bool
}

type datagramKey struct {
	source netip.Addr
	id     uint32
}

// datagram is one that comes in fragments.
type datagram struct {
	got, total int // bytes; total is 0 before the last fragment came
	since      time.Time
}

func newWatch(group netip.Addr, index int) *watch {
	return &watch{group: group, index: index, streams: map[streamKey]*Stream{}, datagrams: map[datagramKey]*datagram{}}
}

// frame is one that a capture saw.
type frame struct {
	index    int
	vlan     uint16
	outgoing bool
	foreign  bool   // to another station
	mac      []byte // link-layer destination; empty if there is none
	ip       []byte
}

func (w *watch) add(f frame, now time.Time) {
	p, ok := parsePacket(f.ip)
	if !ok {
		return
	}
	if p.dst == w.group {
		w.addToStream(f, &p)
		if f.index == w.index && !f.outgoing && p.fragment() {
			w.addFragment(&p, now)
		}
	}
	if p.fragment() {
		return
	}
	w.addQuery(&p, f.index, f.outgoing)
	if about, leave := parseReport(&p, w.group); about && len(w.wire.Reports) < maxMessages {
		w.wire.Reports = append(w.wire.Reports, MembershipReport{Index: f.index, Outgoing: f.outgoing, Leave: leave})
	}
}

func (w *watch) addQuery(p *packet, index int, outgoing bool) {
	if v := parseQuery(p); v > 0 && len(w.wire.Queries) < maxMessages {
		w.wire.Queries = append(w.wire.Queries, Query{Index: index, From: p.src, Version: v, Outgoing: outgoing})
	}
}

// carries reports whether a packet to the group is data, not a report of it:
// IGMPv2 and MLDv1 reports go to the group that they report.
func (p *packet) carries() bool {
	return p.proto != unix.IPPROTO_IGMP && p.proto != unix.IPPROTO_ICMPV6
}

func (w *watch) addToStream(f frame, p *packet) {
	if !p.carries() {
		return
	}
	key := streamKey{f.index, f.vlan, p.src, p.udpPort(), f.outgoing}
	s := w.streams[key]
	if s == nil {
		if len(w.streams) == maxStreams {
			w.wire.Missed++
			return
		}
		s = &Stream{Index: f.index, VLAN: f.vlan, Source: p.src, Port: key.port, Outgoing: f.outgoing, MinTTL: p.ttl}
		w.streams[key] = s
	}
	s.Packets++
	s.MinTTL = min(s.MinTTL, p.ttl)
	if len(f.mac) != 6 {
		return
	}
	if f.foreign {
		s.Foreign++
	}
	if !bytes.Equal(f.mac, groupMAC(w.group)) {
		s.Misaddressed++
		s.MAC = [6]byte(f.mac)
	}
}

// addFragment counts bytes: fragments that overlap are not told apart.
func (w *watch) addFragment(p *packet, now time.Time) {
	key := datagramKey{p.src, p.id}
	d := w.datagrams[key]
	if d == nil {
		if len(w.datagrams) == maxDatagrams {
			return
		}
		d = &datagram{since: now}
		w.datagrams[key] = d
		w.wire.Fragmented++
	}
	d.got += p.length
	if !p.more {
		d.total = p.offset + p.length
	}
	if d.total > 0 && d.got >= d.total {
		delete(w.datagrams, key)
	}
}

// lateFragment is how long after the first one the others are given up.
const lateFragment = 100 * time.Millisecond

// result closes the watch.
func (w *watch) result(now time.Time, window time.Duration) Wire {
	for _, d := range w.datagrams {
		if now.Sub(d.since) > lateFragment {
			w.wire.Incomplete++
		}
	}
	for _, s := range w.streams {
		w.wire.Streams = append(w.wire.Streams, *s)
	}
	w.wire.Streams = sortedStreams(w.wire.Streams)
	w.wire.Window = window.Round(time.Millisecond)
	return w.wire
}
