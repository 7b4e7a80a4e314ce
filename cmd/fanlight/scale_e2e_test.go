package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

const (
	crowd       = 200
	crowdGroups = 2000
	crowdJoins  = 10000 // each host joins 50 groups, each group has 5 hosts
)

func crowdGroup(i int) netip.Addr { return netip.AddrFrom4([4]byte{239, 100, byte(i >> 8), byte(i)}) }

// wantedBy returns the groups of a host.
func wantedBy(host int) (groups []netip.Addr) {
	for j := range crowdJoins / crowd {
		groups = append(groups, crowdGroup((host*crowdJoins/crowd+j)%crowdGroups))
	}
	return groups
}

func inCrowd(s series) float64 {
	return s.sum("fanlight_group_members", `group="239.100.`)
}

func TestTenThousandJoins(t *testing.T) {
	names := []string{"pub"}
	for i := range crowd {
		names = append(names, fmt.Sprintf("h%d", i))
	}
	built := time.Now()
	n := labtest.New(t, labtest.Hosts(names...)...)
	t.Logf("network of %d hosts after %v", len(names), time.Since(built))
	cfg, events := agentConfig(t, n, quickQuerier)
	a := startConfig(t, cfg+"keep_idle: 1s\nmetrics: {budget: 30000}\n", events)

	var counters []*lab.FrameCounter
	var crowdOf []*lab.Memberships
	for _, name := range names[1:] {
		c, err := n.Host(name).CountFrames("", isData)
		if err != nil {
			t.Fatal(err)
		}
		m, err := n.Host(name).Memberships("")
		if err != nil {
			t.Fatal(err)
		}
		counters, crowdOf = append(counters, c), append(crowdOf, m)
	}
	tables := a.wait("ports are attached", func(s series) bool {
		return s[`fanlight_table_entries{table="pairs"}`] > crowd
	}).family("fanlight_table_entries")
	before := heap()
	start := time.Now()
	for i, m := range crowdOf {
		for _, g := range wantedBy(i) {
			if err := m.Join(g); err != nil {
				t.Fatal(err)
			}
		}
	}
	asked := time.Since(start)
	a.wait("10,000 members", func(s series) bool { return inCrowd(s) == crowdJoins })
	took := time.Since(start)
	t.Logf("10,000 joins asked for in %v, learnt in %v", asked, took)
	if took > 5*time.Second {
		t.Errorf("10,000 joins took %v, more than 5 s", took)
	}

	sendToEach(t, n, crowdGroups)
	s := a.scrape()
	if got := s.sum("fanlight_port_copies_total", `group="239.100.`); got != crowdJoins {
		t.Errorf("one packet to each group made %v copies, want %d", got, crowdJoins)
	}
	failed := s.sum("fanlight_copy_failures_total", `group="239.100.`)
	var received uint64
	for i, c := range counters {
		got := c.Count().Frames
		received += got
		if got != crowdJoins/crowd && failed == 0 {
			t.Errorf("host %d received %d packets, want %d", i, got, crowdJoins/crowd)
		}
	}
	if float64(received)+failed != crowdJoins {
		t.Errorf("received %d, failed %v, want %d together", received, failed, crowdJoins)
	}

	// Hosts that vanish without a word leave by age.
	start = time.Now()
	for _, name := range names[1:] {
		h := n.Host(name).Namespace().Handle()
		l, err := h.LinkByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.LinkSetDown(l); err != nil {
			t.Fatal(err)
		}
	}
	a.wait("all of them age", func(s series) bool { return inCrowd(s) == 0 })
	t.Logf("all aged after %v", time.Since(start))
	s = a.wait("kernel tables are as before", func(s series) bool {
		for table, was := range tables {
			if s[table] > was+20 { // hosts report groups of their own, too
				return false
			}
		}
		return s.sum("fanlight_port_copies_total", `group="239.100.`) == 0
	})
	t.Logf("tables: %v", s.family("fanlight_table_entries"))
	var grown int64
	for range 8 { // pages take turns with few buffers, which shrink with them; a batch may be on its way
		a.scrape()
		if grown = int64(heap()) - int64(before); grown <= 4<<20 {
			break
		}
	}
	if grown > 4<<20 {
		t.Errorf("%d bytes more are in use than before", grown)
	} else {
		t.Logf("memory in use: %+d bytes", grown)
	}
}

// sendToEach sends one packet to each of so many groups.
func sendToEach(t *testing.T, n *lab.Net, groups int) {
	t.Helper()
	pub := n.Host("pub")
	raw, err := pub.Raw("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range groups {
		f := frame.MulticastUDP(frame.MAC(pub.MAC), netip.AddrPortFrom(pub.Addr4, 4000), netip.AddrPortFrom(crowdGroup(i), 5000), lab.Payload(1, uint64(i), 64))
		if _, err := raw.Write(f); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := n.WaitQuiet(soon(t), 2*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := n.WaitQuiet(soon(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}
