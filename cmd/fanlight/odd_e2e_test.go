package main

import (
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// Packets that are unusual but right go to members as they are, byte for byte.
func TestUnusualPacketsAreForwardedAsTheyAre(t *testing.T) {
	n := newNet(t, "pub", "sub", "idle")
	a := startAgent(t, n)
	pub := n.Host("pub")
	g4, g6 := addr("239.3.0.1"), addr("ff15::3:1")
	ether := func(ip []byte) []byte {
		dst := frame.GroupMAC(g4)
		if ip[0]>>4 == 6 {
			dst = frame.GroupMAC(g6)
		}
		return frame.Ethernet{Dst: dst, Src: macOf(pub)}.Wrap(ip)
	}
	payload := lab.Payload(1, 0, 200)
	udp4 := frame.UDP{SrcPort: 4000, DstPort: 5000}.Wrap(pub.Addr4, g4, payload)
	udp6 := frame.UDP{SrcPort: 4000, DstPort: 5000}.Wrap(pub.Addr6, g6, payload)
	noChecksum := frame.UDP{SrcPort: 4000, DstPort: 5000, NoChecksum: true}.Wrap(pub.Addr4, g4, payload)
	ip4 := frame.IPv4{Src: pub.Addr4, Dst: g4, TTL: 3, Protocol: frame.ProtocolUDP}
	ip6 := frame.IPv6{Src: pub.Addr6, Dst: g6, HopLimit: 3, Next: frame.ProtocolUDP}
	options, wrongChecksum, extended, notUDP, ttl1 := ip4, ip4, ip6, ip4, ip4
	options.Options = make([]byte, 40)
	for i := range options.Options {
		options.Options[i] = 1 // no operation
	}
	wrongChecksum.Corrupt = func(h []byte) { h[10] ^= 0xff }
	extended.Extensions = []frame.Extension{
		{Protocol: frame.ProtocolHopByHop, Data: make([]byte, 30)},
		{Protocol: 60, Data: make([]byte, 14)}, // destination options
		{Protocol: 43, Data: make([]byte, 22)}, // routing
	}
	notUDP.Protocol, ttl1.TTL = 132, 1
	for _, c := range []struct {
		name string
		ip   [][]byte
	}{
		{"no UDP checksum", [][]byte{ip4.Wrap(noChecksum)}},
		{"40 bytes of options", [][]byte{options.Wrap(udp4)}},
		{"three extension headers", [][]byte{extended.Wrap(udp6)}},
		{"not UDP", [][]byte{notUDP.Wrap(payload)}},
		{"no transport at all", [][]byte{ip4.Wrap(nil), ip6.Wrap(nil)}},
		{"TTL 1", [][]byte{ttl1.Wrap(udp4)}},
		{"fragments of 16 bytes", ip4.Fragments(udp4, 16)},
		{"IPv6 fragments behind extensions", extended.Fragments(udp6, 64, 7)},
		// A switch does not check what it does not read; hosts do.
		{"wrong IP checksum", [][]byte{wrongChecksum.Wrap(udp4)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sub, idle := rawSender(t, n.Host("sub")), rawSender(t, n.Host("idle"))
			keep := func(b []byte) bool {
				return [6]byte(b[:6]) == frame.GroupMAC(g4) || [6]byte(b[:6]) == frame.GroupMAC(g6)
			}
			sub.Filter(keep)
			idle.Filter(keep)
			sendFrames(t, sub, sendReport(n.Host("sub"), g4, frame.ModeIsExclude), sendReport(n.Host("sub"), g6, frame.ModeIsExclude))
			a.joined(g4, 1)
			a.joined(g6, 1)
			var frames [][]byte
			for _, ip := range c.ip {
				frames = append(frames, ether(ip))
			}
			sendFrames(t, rawSender(t, pub), frames...)
			quiet(t, n)
			capture{sub, "sub"}.want(t, frames)
			capture{idle, "idle"}.want(t, nil)
		})
	}
}

// A frame to another address than the group's own gets that one.
func TestCopiesGoToTheGroupsOwnMAC(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n)
	group := addr("239.3.0.2")
	sub := captureGroup(t, n.Host("sub"), group)
	sendFrames(t, rawSender(t, n.Host("sub")), sendReport(n.Host("sub"), group, frame.ChangeToExclude))
	a.joined(group, 1)
	want := dataFrames(n.Host("pub"), group, 1)
	sent := append([]byte{}, want[0]...)
	copy(sent, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	sendFrames(t, rawSender(t, n.Host("pub")), sent)
	quiet(t, n)
	sub.want(t, want)
}

// Whoever sends and joins the same group does not get its own packets back.
func TestPublisherThatSubscribesGetsNothingBack(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n)
	group := addr("239.3.0.3")
	own := watchGroup(t, n.Host("pub"), group)
	listen(t, n.Host("pub"), lab.ListenConfig{Group: group})
	sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: group})
	a.joined(group, 2)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 500})
	wantAll(t, "sub", sub, sent)
	quiet(t, n)
	if got := own.Count(); got.Frames != 0 {
		t.Errorf("the publisher got %d frames back", got.Frames)
	}
	page := a.scrape()
	if got := page.sum("fanlight_group_copies_total", `group="239.3.0.3"`); got != float64(sent) {
		t.Errorf("copies counter is %v, want %d", got, sent)
	}
}
