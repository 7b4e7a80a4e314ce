package main

import (
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// What becomes of a group that nobody joined is the domain's policy.
func TestUnregisteredGroupsFollowThePolicy(t *testing.T) {
	for _, c := range []struct {
		mode    string
		querier bool // one is known on the segment
		flood   bool
	}{
		{"flood_without_querier", false, true},
		{"flood_without_querier", true, false},
		{"drop", false, false},
		{"flood", true, true},
	} {
		name := c.mode
		if c.querier {
			name += " with querier"
		}
		t.Run(name, func(t *testing.T) {
			n := newNet(t, "pub", "idle1", "idle2", "router")
			a := startAgent(t, n, "unregistered: "+c.mode, "querier: {mode: off, query_response_interval: 100ms}")
			group := addr("239.4.0.1")
			if c.querier {
				sendFrames(t, rawSender(t, n.Host("router")), query(n.Host("router")))
				// Hosts have had the time to answer it: snooping is relied on.
				a.wait("the querier is relied on", func(s series) bool {
					before := watchGroup(t, n.Host("idle1"), addr("239.4.0.9"))
					defer before.Close()
					sendFrames(t, rawSender(t, n.Host("pub")), dataFrames(n.Host("pub"), addr("239.4.0.9"), 1)...)
					quiet(t, n)
					return c.flood || before.Count().Frames == 0
				})
			}
			idle1, idle2 := watchGroup(t, n.Host("idle1"), group), watchGroup(t, n.Host("idle2"), group)
			router := watchGroup(t, n.Host("router"), group)
			sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 300, Rate: 20000})
			quiet(t, n)
			want, toRouter := uint64(0), uint64(0)
			if c.flood {
				want = sent
			}
			if c.flood || c.querier {
				toRouter = sent
			}
			if got1, got2 := idle1.Count().Frames, idle2.Count().Frames; got1 != want || got2 != want {
				t.Errorf("hosts that never joined got %d and %d frames, want %d", got1, got2, want)
			}
			if got := router.Count().Frames; got != toRouter {
				t.Errorf("the router's port got %d frames, want %d", got, toRouter)
			}
			dropped := a.scrape().sum("fanlight_drops_total", `group="239.4.0.1"`, `reason="unregistered"`)
			if wantDropped := sent - toRouter; dropped != float64(wantDropped) {
				t.Errorf("drops counter is %v, want %d", dropped, wantDropped)
			}
		})
	}
}

// query is a general query of the host, as an IGMPv3 querier sends it.
func query(h *lab.Host) []byte {
	m := frame.IGMPv3Query(frame.Query{MaxResp: 1, QRV: 2, QQIC: 125})
	return frame.IGMP{SrcMAC: macOf(h), Src: h.Addr4}.Wrap(m)
}

// Groups outside the allow list reach nobody, joined or not, and have a drop
// reason of their own.
func TestGroupsThatAreNotAllowedAreDropped(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, `allow: ["239.4.1.0/24", "ff15::/16"]`, "unregistered: flood")
	allowed, refused := addr("239.4.1.1"), addr("239.4.2.1")
	sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: allowed})
	no := listen(t, n.Host("sub"), lab.ListenConfig{Group: refused})
	a.joined(allowed, 1)
	a.wait("the join is refused", func(s series) bool {
		return s.sum("fanlight_igmp_errors_total", `interface="p-sub"`, `reason="not_allowed"`) > 0
	})
	wantAll(t, "sub of the allowed group", sub, send(t, n.Host("pub"), lab.SendConfig{Group: allowed, Count: 100}))
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: refused, Count: 100})
	quiet(t, n)
	wantAll(t, "sub of the refused group", no, 0)
	if got := a.scrape().sum("fanlight_drops_total", `group="239.4.2.1"`, `reason="not_allowed"`); got != float64(sent) {
		t.Errorf("not_allowed drops are %v, want %d", got, sent)
	}
}

// A port behind which a router speaks gets every group: those with members and
// those without.
func TestRouterPortsGetEverything(t *testing.T) {
	for name, hello := range map[string]func(h *lab.Host) []byte{"query": query, "PIM hello": pimHello} {
		t.Run(name, func(t *testing.T) {
			n := newNet(t, "pub", "sub", "router", "idle")
			a := startAgent(t, n, "unregistered: drop")
			joined, orphan := addr("239.4.3.1"), addr("239.4.3.2")
			ssm := addr("232.4.3.3")
			sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: joined})
			listen(t, n.Host("sub"), lab.ListenConfig{Group: ssm, Sources: append(noSources, addr("198.51.100.9"))})
			a.joined(joined, 1)
			a.joined(ssm, 1)
			sendFrames(t, rawSender(t, n.Host("router")), hello(n.Host("router")))
			a.waitEvent(`"action":"router_learned"`)
			var watches []*lab.FrameCounter
			for _, g := range append(noSources, joined, orphan, ssm) {
				watches = append(watches, watchGroup(t, n.Host("router"), g))
			}
			idle := watchGroup(t, n.Host("idle"), orphan)
			sent := send(t, n.Host("pub"), lab.SendConfig{Group: joined, Count: 100})
			send(t, n.Host("pub"), lab.SendConfig{Group: orphan, Count: 100})
			send(t, n.Host("pub"), lab.SendConfig{Group: ssm, Count: 100})
			quiet(t, n)
			wantAll(t, "sub", sub, sent)
			for i, w := range watches {
				if got := w.Count().Frames; got != sent {
					t.Errorf("the router got %d frames of group %d, want %d", got, i, sent)
				}
			}
			if got := idle.Count().Frames; got != 0 {
				t.Errorf("%d frames reached a host that never joined", got)
			}
		})
	}
}

// pimHello is a hello with a holdtime of 105 s (RFC 7761 section 4.9.2).
func pimHello(h *lab.Host) []byte {
	pim := []byte{0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105}
	sum := frame.Checksum(pim)
	pim[2], pim[3] = byte(sum>>8), byte(sum)
	all := addr("224.0.0.13")
	ip := frame.IPv4{Src: h.Addr4, Dst: all, TTL: 1, Protocol: 103}.Wrap(pim)
	return frame.Ethernet{Dst: frame.GroupMAC(all), Src: macOf(h)}.Wrap(ip)
}
