package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const window = 5 * time.Second

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// received is a snapshot of a host on which everything is well.
func received() *Snapshot {
	stream := Stream{Index: 2, Source: addr("192.0.2.1"), Port: 5000, Packets: 100, MinTTL: 16}
	return &Snapshot{
		Question:      Question{Group: addr("239.1.1.1"), QueryInterval: defaultQueryInterval, Window: window},
		Link:          Link{Index: 2, Name: "eth0", Kind: "device", Up: true, Carrier: true, Multicast: true},
		Links:         []Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}},
		DeviceGroups:  []DeviceGroup{{2, [6]byte{1, 0, 0x5e, 1, 1, 1}}},
		Memberships:   []Membership{{2, addr("239.1.1.1"), 1, 3}},
		Sysctls:       map[string]string{},
		RouteToGroup:  Route{Index: 2, Found: true},
		RouteToSource: Route{Index: 2, Found: true},
		Wire:          Wire{Window: window, Streams: []Stream{stream}},
		Delivered:     []Stream{stream},
		Counters:      map[string]uint64{},
		Sockets: []Socket{{
			Local: addrPort("0.0.0.0:5000"), Inode: 7, RecvBuf: 212992,
			Owner: Owner{PID: 9, Name: "feed"}, Options: &Options{All: true, Joined: true, Memberships: 1, JoinedAt: []int{2}},
		}},
		UDPMemoryLimit: 1000,
		Unchecked:      map[Facility]string{FacilityQuerier: "short"},
	}
}

func firstID(r Report) string {
	if len(r.Findings) == 0 {
		return ""
	}
	return r.Findings[0].ID
}

// TestDiagnose covers what can't be provoked in a namespace: what belongs to the
// whole machine, or to hardware; and what the order of findings depends on.
func TestDiagnose(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(s *Snapshot)
	}{
		{"well", "", func(*Snapshot) {}},
		{"hardware filter", "mac_filter", func(s *Snapshot) { s.DeviceGroups = nil }},
		{"hardware takes all", "", func(s *Snapshot) { s.DeviceGroups, s.Link.AllMulti = nil, true }},
		{"hardware misses frames", "nic_drops", func(s *Snapshot) { s.Link.Missed = 3 }},
		{"backlog", "softnet_drops", func(s *Snapshot) { s.SoftnetDropped = 3 }},
		{"UDP memory full", "udp_memory", func(s *Snapshot) { s.UDPMemory = 1000 }},
		{"UDP memory errors", "udp_memory", func(s *Snapshot) { s.Counters["Udp.MemErrors"] = 1 }},
		{"stopped reader", "socket_overflow", func(s *Snapshot) { s.Sockets[0].Dropped, s.Sockets[0].Owner.Stopped = 5, true }},
		{"reader not known", "socket_overflow", func(s *Snapshot) { s.Sockets[0].Dropped, s.Sockets[0].Owner, s.Sockets[0].Options = 5, Owner{}, nil }},
		{"cause before suspect", "socket_overflow", func(s *Snapshot) { s.Sockets[0].Dropped, s.Link.Missed = 5, 3 }},
		{"a few still on their way", "", func(s *Snapshot) { s.Delivered[0].Packets = 90 }},
		{"a part is lost", "lost_in_ip", func(s *Snapshot) { s.Delivered[0].Packets = 50 }},
		{"too many to watch", "", func(s *Snapshot) { s.Delivered[0].Packets, s.Wire.Missed = 50, 1 }},
		{"filter that drops nothing here", "", func(s *Snapshot) {
			s.Sysctls["ipv4.conf.all.rp_filter"] = "1"
			s.Counters["TcpExt.IPReversePathFilter"] = 9 // of another stream
		}},
		{"checksum errors of others", "udp_checksum", func(s *Snapshot) { s.Counters["Udp.InCsumErrors"] = 1 }},
		{"VLAN interface elsewhere", "vlan_tagged", func(s *Snapshot) {
			s.Wire.Streams[0].VLAN, s.Delivered = 7, nil
			s.Links = append(s.Links, Link{Index: 4, Name: "eth0.7", Parent: 2, VLAN: 7})
		}},
		{"VLAN interface itself", "", func(s *Snapshot) {
			s.Link.Index, s.Link.Parent, s.Link.VLAN, s.Memberships[0].Index, s.DeviceGroups[0].Index = 4, 2, 7, 4, 4
			tagged := s.Wire.Streams[0]
			tagged.VLAN = 7
			s.Wire.Streams[0].Index, s.Delivered[0].Index = 4, 4
			s.Wire.Streams = append(s.Wire.Streams, tagged)
		}},
		{"no wire, no delivery", "", func(s *Snapshot) {
			s.Wire.Streams, s.Delivered = nil, nil
			s.Unchecked[FacilityWire], s.Unchecked[FacilityDelivery] = "no", "no"
		}},
		{"agent forwards to others", "agent_no_member", func(s *Snapshot) {
			s.Wire.Streams, s.Delivered = nil, nil
			s.Agent = &AgentDelta{AgentView: AgentView{Known: true, Subscribers: []AgentSubscriber{{Interface: "p1", Hosts: []string{"192.0.2.9"}}}}}
		}},
		{"agent hides hosts", "not_arriving", func(s *Snapshot) {
			s.Wire.Streams, s.Delivered = nil, nil
			s.Agent = &AgentDelta{AgentView: AgentView{Known: true, Subscribers: []AgentSubscriber{{Interface: "p1"}}}}
		}},
		{"agent drops", "agent_drops", func(s *Snapshot) {
			s.Wire.Streams, s.Delivered = nil, nil
			s.Agent = &AgentDelta{AgentView: AgentView{Known: true}, NewDropped: 4}
		}},
		{"agent's copies fail", "agent_copies_fail", func(s *Snapshot) { s.Agent = &AgentDelta{AgentView: AgentView{Known: true}, NewFailed: 4} }},
	} {
		s := received()
		c.change(s)
		r := Diagnose(s)
		if got := firstID(r); got != c.want {
			t.Errorf("%s: found %q first, want %q: %+v", c.name, got, c.want, r.Findings)
		}
		for _, f := range r.Findings {
			if text := fmt.Sprint(f.Title, f.Remedy, f.Commands); strings.ContainsAny(text, "{}") {
				t.Errorf("%s: %s has a placeholder left: %s", c.name, f.ID, text)
			}
		}
	}
}

// TestInterfaceWithDots: sysctl(8) takes dots in a name for slashes.
func TestInterfaceWithDots(t *testing.T) {
	s := received()
	s.Link.Name = "eth0.7"
	s.Sysctls["ipv4.conf.eth0.7.rp_filter"] = "1"
	s.Counters["TcpExt.IPReversePathFilter"], s.Delivered = 100, nil
	r := Diagnose(s)
	if want := "sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth0/7.rp_filter=2"; firstID(r) != "rp_filter" || r.Findings[0].Commands[0] != want {
		t.Errorf("%+v", r.Findings)
	}
}

// TestCommandsOfTheHost: what exists once is not set inside a namespace.
func TestCommandsOfTheHost(t *testing.T) {
	s := received()
	s.Prefix = "ip netns exec x "
	s.Sockets[0].Dropped, s.Link.Up = 5, false
	for _, f := range Diagnose(s).Findings {
		inside := strings.HasPrefix(f.Commands[0], s.Prefix)
		if want := f.ID == "link_down"; inside != want {
			t.Errorf("%s: %v", f.ID, f.Commands)
		}
	}
}

// TestKinds: each is told in full, once.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds {
		switch {
		case seen[k.ID]:
			t.Errorf("%s is there twice", k.ID)
		case k.Title == "" || !strings.HasSuffix(k.Meaning, ".") || k.Remedy == "" || k.Source == "" || k.well == "" || k.look == nil:
			t.Errorf("%s is not told in full: %+v", k.ID, k.Kind)
		case strings.ToLower(k.well[:1]) != k.well[:1] && !strings.HasPrefix(k.well, "I") && !strings.HasPrefix(k.well, "UDP"):
			t.Errorf("%s: %q", k.ID, k.well)
		}
		seen[k.ID] = true
	}
	if ids := len(Kinds()); ids != len(seen) || !slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.ID == "rp_filter" }) {
		t.Errorf("%d kinds of %d", ids, len(seen))
	}
}
