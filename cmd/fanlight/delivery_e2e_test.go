package main

import (
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// pub sends, sub1 and sub2 join what a case says, idle never joins.
func deliveryNet(t *testing.T) *lab.Net {
	return labtest.NewConfig(t, lab.Config{Hosts: labtest.Hosts("pub", "sub1", "sub2", "idle"), MTU: 9000})
}

func TestSubscribersReceiveExactlyWhatIsSent(t *testing.T) {
	n := deliveryNet(t)
	a := startAgent(t, n)
	pub4, pub6 := n.Host("pub").Addr4, n.Host("pub").Addr6
	other4, other6 := addr("198.51.100.1"), addr("2001:db8:ffff::1")
	hopByHop := []byte{0, 0, 5, 2, 0, 0, 1, 0} // router alert
	for _, c := range []struct {
		name  string
		group string
		join  lab.ListenConfig
		send  lab.SendConfig
		none  bool // the members' filters refuse the source
	}{
		{name: "ipv4", group: "239.1.0.1"},
		{name: "ipv6", group: "ff15::1:1"},
		{name: "ipv4 ssm", group: "232.1.0.2", join: lab.ListenConfig{Sources: []netip.Addr{pub4}}},
		{name: "ipv6 ssm", group: "ff3e::8000:2", join: lab.ListenConfig{Sources: []netip.Addr{pub6}}},
		{name: "ipv4 ssm of another source", group: "232.1.0.3", join: lab.ListenConfig{Sources: []netip.Addr{other4}}, none: true},
		{name: "ipv6 ssm of another source", group: "ff3e::8000:3", join: lab.ListenConfig{Sources: []netip.Addr{other6}}, none: true},
		{name: "ipv4 exclude another source", group: "239.1.0.4", join: lab.ListenConfig{Exclude: []netip.Addr{other4}}},
		{name: "ipv4 exclude this source", group: "239.1.0.5", join: lab.ListenConfig{Exclude: []netip.Addr{pub4}}, none: true},
		{name: "ipv6 exclude this source", group: "ff15::1:5", join: lab.ListenConfig{Exclude: []netip.Addr{pub6}}, none: true},
		{name: "ip options", group: "239.1.0.10", send: lab.SendConfig{Options: lab.RouterAlert}},
		{name: "ipv6 extension header", group: "ff15::1:a", send: lab.SendConfig{Options: hopByHop}},
		{name: "fragments", group: "239.1.0.11", send: lab.SendConfig{Size: 20000}},
		{name: "ipv6 fragments", group: "ff15::1:b", send: lab.SendConfig{Size: 20000}},
		{name: "jumbo frames", group: "239.1.0.12", send: lab.SendConfig{Size: 8972}},
		{name: "ipv6 jumbo frames", group: "ff15::1:c", send: lab.SendConfig{Size: 8952}},
		{name: "super-packets", group: "239.1.0.13", send: lab.SendConfig{Size: 1400, Segments: 20}},
		{name: "ipv6 super-packets", group: "ff15::1:d", send: lab.SendConfig{Size: 1400, Segments: 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			group := addr(c.group)
			c.join.Group, c.send.Group = group, group
			idle := watchGroup(t, n.Host("idle"), group)
			defer idle.Close()
			subscribers := map[string]*lab.Receiver{"sub1": nil, "sub2": nil}
			for name := range subscribers {
				subscribers[name] = listen(t, n.Host(name), c.join)
			}
			a.joined(group, 2)
			sub1 := watchGroup(t, n.Host("sub1"), group)
			defer sub1.Close()

			c.send.Count, c.send.Rate = 200, 20000
			sent := send(t, n.Host("pub"), c.send)
			quiet(t, n)
			want := sent
			if c.none {
				want = 0
				if got := sub1.Count(); got.Frames != 0 {
					t.Errorf("%d frames reached a subscriber of another stream", got.Frames)
				}
			}
			for name, r := range subscribers {
				wantAll(t, name, r, want)
			}
			if got := idle.Count(); got.Frames != 0 {
				t.Errorf("%d frames reached a host that never joined", got.Frames)
			}
			s := a.scrape()
			label := `group="` + c.group + `"`
			copies, fragments := s.sum("fanlight_group_copies_total", label), float64(1)
			if c.send.Size == 20000 {
				fragments = 3
			}
			if copies != float64(want)*fragments*2 {
				t.Errorf("copies counter is %v, want %v", copies, float64(want)*fragments*2)
			}
			if failures := s.sum("fanlight_copy_failures_total", label); failures != 0 {
				t.Errorf("%v copies failed", failures)
			}
		})
	}
}

// 100,000 packets: received = copies counter = sent x members.
func TestNothingIsLostOf100000Packets(t *testing.T) {
	n := newNet(t, "pub", "sub1", "sub2", "sub3", "idle")
	a := startAgent(t, n)
	group := addr("239.1.1.1")
	idle := watchGroup(t, n.Host("idle"), group)
	subscribers := map[string]*lab.Receiver{}
	for _, name := range []string{"sub1", "sub2", "sub3"} {
		subscribers[name] = listen(t, n.Host(name), lab.ListenConfig{Group: group})
	}
	a.joined(group, 3)
	quiet(t, n)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 100000, Rate: 40000})
	for name, r := range subscribers {
		wantAll(t, name, r, sent)
	}
	s := a.scrape()
	label := `group="239.1.1.1"`
	for family, want := range map[string]float64{
		"fanlight_group_packets_total":  100000,
		"fanlight_group_copies_total":   300000,
		"fanlight_port_copies_total":    300000,
		"fanlight_source_packets_total": 100000,
		"fanlight_copy_failures_total":  0,
		"fanlight_drops_total":          0,
	} {
		if got := s.sum(family, label); got != want {
			t.Errorf("%s is %v, want %v", family, got, want)
		}
	}
	if got := s.sum("fanlight_packets_seen_total", `interface="p-pub"`, `verdict="forwarded"`); got != 100000 {
		t.Errorf("p-pub forwarded %v packets, want 100000", got)
	}
	if got := idle.Count(); got.Frames != 0 {
		t.Errorf("%d frames reached a host that never joined", got.Frames)
	}
}
