package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
)

// The demo's groups: any-source IPv4, any-source IPv6, and source-specific.
var (
	demoGroup4   = netip.MustParseAddr("239.1.1.1")
	demoGroup6   = netip.MustParseAddr("ff15::1:1")
	demoGroupSSM = netip.MustParseAddr("232.1.1.1")

	demoGroups = []netip.Addr{demoGroup4, demoGroupSSM, demoGroup6}
)

const (
	demoPort    = 5000
	demoPayload = 1316 // bytes: seven packets of an MPEG transport stream
)

// demoNetwork is
//
//	publisher ─┐          ┌─ igmpv3 ──▶ 239.1.1.1, 232.1.1.1 from the publisher
//	           ├─ switch ─┼─ igmpv2 ──▶ 239.1.1.1
//	     idle ─┘          └─ mldv2  ──▶ ff15::1:1
//
// and more of the three kinds on the right.
type demoNetwork struct {
	net         *lab.Net
	publisher   *lab.Host
	idle        *lab.Host
	subscribers []subscriber
	receivers   []receiver
	streams     []stream
	overheard   *lab.FrameCounter // frames of the groups at the idle host
}

type subscriber struct {
	host     *lab.Host
	protocol string
}

type receiver struct {
	subscriber
	group netip.Addr
	*lab.Receiver
}

type stream struct {
	group, source netip.Addr
	*lab.Stream
}

// subscriberKinds are dealt out in turn.
var subscriberKinds = []struct {
	name   string
	config lab.HostConfig
}{
	{"igmpv3", lab.HostConfig{IGMPVersion: 3}},
	{"igmpv2", lab.HostConfig{IGMPVersion: 2}},
	{"mldv2", lab.HostConfig{MLDVersion: 2}},
}

func newDemoNetwork(ctx context.Context, name string, subscribers int) (*demoNetwork, error) {
	cfg := lab.Config{Name: name, Hosts: []lab.HostConfig{{Name: "publisher"}}}
	for i := range subscribers {
		kind := subscriberKinds[i%len(subscriberKinds)]
		host := kind.config
		host.Name = kind.name
		if round := i / len(subscriberKinds); round > 0 {
			host.Name = fmt.Sprintf("%s-%d", kind.name, round+1)
		}
		cfg.Hosts = append(cfg.Hosts, host)
	}
	cfg.Hosts = append(cfg.Hosts, lab.HostConfig{Name: "idle"})
	n, err := lab.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &demoNetwork{net: n, publisher: n.Host("publisher"), idle: n.Host("idle")}
	for i, host := range cfg.Hosts[1 : 1+subscribers] {
		d.subscribers = append(d.subscribers, subscriber{n.Host(host.Name), subscriberKinds[i%len(subscriberKinds)].name})
	}
	if d.overheard, err = d.idle.CountFrames("", ofDemoGroups); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return d, nil
}

// members counts the subscribers of the demo's groups. Hosts join others of their
// own accord, such as those of neighbour discovery.
func (d *demoNetwork) members(view collector.View) (n int) {
	for _, g := range view.Groups {
		if slices.Contains(demoGroups, g.Group) {
			n += len(g.Subscribers)
		}
	}
	return n
}

// ofDemoGroups keeps the frames that carry a group of the demo.
func ofDemoGroups(frame []byte) bool {
	for _, group := range demoGroups {
		if bytes.HasPrefix(frame, groupMAC(group)) {
			return true
		}
	}
	return false
}

// groupMAC is the Ethernet address of a group: RFC 1112 section 6.4, RFC 2464
// section 7.
func groupMAC(group netip.Addr) net.HardwareAddr {
	a := group.AsSlice()
	if group.Is4() {
		return net.HardwareAddr{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	return net.HardwareAddr{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// wants returns what a subscriber of a protocol joins.
func (d *demoNetwork) wants(protocol string) []lab.ListenConfig {
	any4 := lab.ListenConfig{Group: demoGroup4, Port: demoPort}
	switch protocol {
	case "mldv2":
		return []lab.ListenConfig{{Group: demoGroup6, Port: demoPort}}
	case "igmpv3":
		return []lab.ListenConfig{any4, {Group: demoGroupSSM, Port: demoPort, Sources: []netip.Addr{d.publisher.Addr4}}}
	default:
		return []lab.ListenConfig{any4}
	}
}

// join makes every subscriber join.
func (d *demoNetwork) join() error {
	for _, s := range d.subscribers {
		for _, cfg := range d.wants(s.protocol) {
			r, err := s.host.Listen(cfg)
			if err != nil {
				return err
			}
			d.receivers = append(d.receivers, receiver{s, cfg.Group, r})
		}
	}
	return nil
}

// send starts the streams, each with so many packets per second.
func (d *demoNetwork) send(rate float64) error {
	for _, group := range demoGroups {
		s, err := d.publisher.Stream(lab.SendConfig{Group: group, Port: demoPort, Rate: rate, Size: demoPayload})
		if err != nil {
			return err
		}
		source := d.publisher.Addr4
		if group.Is6() {
			source = d.publisher.Addr6
		}
		d.streams = append(d.streams, stream{group, source, s})
	}
	return nil
}
