package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// family is what a test needs of IPv4 or IPv6.
type family struct {
	name      string
	any, ssm  netip.Addr
	addressOf func(*lab.Host) netip.Addr
}

var families = []family{
	{"IPv4", group4, netip.MustParseAddr("232.1.2.3"), func(h *lab.Host) netip.Addr { return h.Addr4 }},
	{"IPv6", group6, netip.MustParseAddr("ff3e::8000:1"), func(h *lab.Host) netip.Addr { return h.Addr6 }},
}

// Source filters reach the bridge as they were set, and admit what they say.
func TestSourceFilters(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			n := labtest.New(t, labtest.Hosts("one", "two", "only", "but")...)
			b := bridge(t, n, snooping)
			one, two := n.Host("one"), n.Host("two")
			only := listen(t, n.Host("only"), lab.ListenConfig{Group: f.ssm, Sources: []netip.Addr{f.addressOf(one)}})
			but := listen(t, n.Host("but"), lab.ListenConfig{Group: f.ssm, Exclude: []netip.Addr{f.addressOf(one)}})
			waitFilter(t, b, f.ssm, "p-only", true, f.addressOf(one))
			waitFilter(t, b, f.ssm, "p-but", false, f.addressOf(one))

			sendFrom(t, f.ssm, one, 10)
			sendFrom(t, f.ssm, two, 20)
			settle(t, n)
			assertIntact(t, only, 10)
			assertIntact(t, but, 20)

			if err := only.AddSource(f.addressOf(two)); err != nil {
				t.Fatal(err)
			}
			if err := but.Unblock(f.addressOf(one)); err != nil {
				t.Fatal(err)
			}
			waitFilter(t, b, f.ssm, "p-only", true, f.addressOf(one), f.addressOf(two))
			sendFrom(t, f.ssm, one, 1)
			sendFrom(t, f.ssm, two, 1)
			settle(t, n)
			if only.Received() != 12 || but.Received() != 22 {
				t.Errorf("received %d and %d, want 12 and 22", only.Received(), but.Received())
			}

			if err := only.DropSource(f.addressOf(one)); err != nil {
				t.Fatal(err)
			}
			if err := only.DropSource(f.addressOf(two)); err != nil {
				t.Fatal(err)
			}
			waitPorts(t, b, f.ssm, "p-but")
		})
	}
}

func sendFrom(t *testing.T, group netip.Addr, h *lab.Host, count uint64) {
	t.Helper()
	if _, err := h.Send(deadline(t), lab.SendConfig{Group: group, Port: port, Count: count}); err != nil {
		t.Fatal(err)
	}
}

func settle(t *testing.T, n *lab.Net) {
	t.Helper()
	if err := n.WaitQuiet(deadline(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// waitFilter waits until the bridge knows this filter of a port.
func waitFilter(t *testing.T, b *lab.Bridge, group netip.Addr, port string, include bool, sources ...netip.Addr) {
	t.Helper()
	_, err := b.WaitMDB(deadline(t), func(entries []lab.MDBEntry) bool {
		for _, e := range entries {
			if e.Group == group && !e.Source.IsValid() && e.Port == port {
				return e.Include == include && cmp.Equal(sources, e.Sources, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A receiver that leaves and joins again hears what it is a member for.
func TestLeaveAndJoin(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			n := labtest.New(t, labtest.Hosts("pub", "sub")...)
			b := bridge(t, n, snooping)
			r := listen(t, n.Host("sub"), lab.ListenConfig{Group: f.any})
			waitPorts(t, b, f.any, "p-sub")
			if err := r.Leave(); err != nil {
				t.Fatal(err)
			}
			waitPorts(t, b, f.any)
			sendFrom(t, f.any, n.Host("pub"), 5)
			settle(t, n)
			if got := r.Received(); got != 0 {
				t.Errorf("received %d after leaving", got)
			}
			if err := r.Join(); err != nil {
				t.Fatal(err)
			}
			waitPorts(t, b, f.any, "p-sub")
			sendFrom(t, f.any, n.Host("pub"), 5)
			if err := r.Wait(deadline(t), 5); err != nil {
				t.Error(err)
			}
		})
	}
}

// One host joins far more groups than the kernel's default of 20 per socket.
func TestMemberships(t *testing.T) {
	n := labtest.New(t, lab.HostConfig{Name: "many"})
	b := bridge(t, n, snooping)
	m, err := n.Host("many").Memberships("")
	if err != nil {
		t.Fatal(err)
	}
	const count = 200
	base4, base6 := netip.MustParseAddr("239.1.0.0").As4(), netip.MustParseAddr("ff15::").As16()
	for i := range count {
		base4[3], base6[15] = byte(i), byte(i)
		for _, g := range []netip.Addr{netip.AddrFrom4(base4), netip.AddrFrom16(base6)} {
			if err := m.Join(g); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitGroups(t, b, 2*count)
	if err := m.Leave(netip.MustParseAddr("239.1.0.7")); err != nil {
		t.Fatal(err)
	}
	waitGroups(t, b, 2*count-1)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	waitGroups(t, b, 0)
}

// waitGroups waits until the bridge knows that many groups of the test's ranges.
func waitGroups(t *testing.T, b *lab.Bridge, want int) {
	t.Helper()
	ranges := []netip.Prefix{netip.MustParsePrefix("239.1.0.0/24"), netip.MustParsePrefix("ff15::/112")}
	_, err := b.WaitMDB(deadline(t), func(entries []lab.MDBEntry) bool {
		got := 0
		for _, e := range entries {
			if ranges[0].Contains(e.Group) || ranges[1].Contains(e.Group) {
				got++
			}
		}
		return got == want
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Forced versions are what the bridge hears: the host's reports have the type of
// the version.
func TestForcedVersions(t *testing.T) {
	tests := []struct {
		host  lab.HostConfig
		group netip.Addr
		want  byte // type of the message
	}{
		{lab.HostConfig{Name: "igmp1", IGMPVersion: 1}, group4, 0x12},
		{lab.HostConfig{Name: "igmp2", IGMPVersion: 2}, group4, 0x16},
		{lab.HostConfig{Name: "igmp3", IGMPVersion: 3}, group4, 0x22},
		{lab.HostConfig{Name: "mld1", MLDVersion: 1}, group6, 131},
		{lab.HostConfig{Name: "mld2", MLDVersion: 2}, group6, 143},
	}
	for _, tt := range tests {
		t.Run(tt.host.Name, func(t *testing.T) {
			n := labtest.New(t, tt.host)
			h := n.Host(tt.host.Name)
			settle(t, n)
			raw, err := n.Switch().Raw(h.Port)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			listen(t, h, lab.ListenConfig{Group: tt.group})
			message := 14 + 24 // IPv4 with router alert
			if tt.group.Is6() {
				message = 14 + 48 // IPv6 with a hop-by-hop header
			}
			if got := readFrame(t, raw)[message]; got != tt.want {
				t.Errorf("message type = %#x, want %#x", got, tt.want)
			}
		})
	}
}
