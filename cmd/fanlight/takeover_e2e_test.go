package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var testGroup = netip.MustParseAddr("239.1.1.1")

func joinGroup(t *testing.T, h *lab.Host, group netip.Addr) *lab.Receiver {
	t.Helper()
	r, err := h.Listen(lab.ListenConfig{Group: group, Port: 5000})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// probe sends n datagrams to the group and waits until the network is quiet.
func probe(t *testing.T, n *lab.Net, from string, group netip.Addr, count uint64) {
	t.Helper()
	if _, err := n.Host(from).Send(soon(t), lab.SendConfig{Group: group, Port: 5000, Count: count, Rate: 5000}); err != nil {
		t.Fatal(err)
	}
	if err := n.WaitQuiet(soon(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

func portIndex(t *testing.T, n *lab.Net, host string) int {
	t.Helper()
	l, err := n.Switch().Handle().LinkByName(n.Host(host).Port)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

func TestAReusedInterfaceIndexInheritsNothing(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub", "gone")...)
	cfg, events := agentConfig(t, n, quickQuerier)
	first := startConfig(t, cfg, events)
	joinGroup(t, n.Host("sub"), testGroup)
	joinGroup(t, n.Host("gone"), testGroup)
	first.waitMembers("239.1.1.1", 2)
	probe(t, n, "pub", testGroup, 100)
	index := portIndex(t, n, "gone")
	first.end()

	if err := n.RemoveHost("gone"); err != nil {
		t.Fatal(err)
	}
	thief := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "p-thief", Index: index}, PeerName: "x-thief"}
	if err := n.Switch().Handle().LinkAdd(thief); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p-thief", "x-thief"} {
		l, err := n.Switch().Handle().LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Switch().Handle().LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	second := startConfig(t, cfg, events)
	heard, err := n.Switch().Raw("x-thief")
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	heard.Filter(func(b []byte) bool { return len(b) > 23 && b[23] == 17 })
	if s := second.scrape(); !members("239.1.1.1", 1)(s) {
		t.Errorf("members: %v", s.family("fanlight_group_members"))
	}
	probe(t, n, "pub", testGroup, 100)
	heard.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := heard.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the new interface got %x, %v", b, err)
	}
	s := second.scrape()
	for text, want := range map[string]float64{
		`fanlight_port_copies_total{domain="lab",group="239.1.1.1",interface="p-sub"}`:   200,
		`fanlight_port_copies_total{domain="lab",group="239.1.1.1",interface="p-thief"}`: 0,
		`fanlight_packets_seen_total{interface="p-thief",verdict="forwarded"}`:           0,
	} {
		if s[text] != want {
			t.Errorf("%s is %v, want %v", text, s[text], want)
		}
	}
}

func TestAnUpgradeReplacesProgramsThroughTheirLinks(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n)
	ids := func() (links []link.ID, programs []uint32) {
		for _, h := range []string{"pub", "sub"} {
			l, err := link.LoadPinnedLink(fmt.Sprintf("/sys/fs/bpf/%s/links/port_%d", n.Name(), portIndex(t, n, h)), nil)
			if err != nil {
				t.Fatal(err)
			}
			info, err := l.Info()
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			links, programs = append(links, info.ID), append(programs, uint32(info.Program))
		}
		return links, programs
	}
	a := startConfig(t, cfg, events)
	links, programs := ids()
	a.end()
	startConfig(t, cfg, events)
	newLinks, newPrograms := ids()
	if diff := cmp.Diff(links, newLinks); diff != "" {
		t.Errorf("links were not kept (-old +new):\n%s", diff)
	}
	if cmp.Equal(programs, newPrograms) {
		t.Error("programs are still those of the first agent")
	}
}

// A change of the hook between two agents must leave exactly one replicating.
func TestTheHookMayChangeAtARestart(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n, quickQuerier)
	r := joinGroup(t, n.Host("sub"), testGroup)
	for i, hook := range []string{"tcx", "clsact", "tcx"} {
		a := startConfig(t, cfg+"hook: "+hook+"\n", events)
		a.waitMembers("239.1.1.1", 1)
		probe(t, n, "pub", testGroup, 100)
		if got, want := r.Received(), uint64(100*(i+1)); got != want {
			t.Errorf("after %s: received %d datagrams, want %d", hook, got, want)
		}
		a.end()
	}
}

func TestASecondAgentOnTheSamePinsIsRefused(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n)
	a := startConfig(t, cfg, events)
	second := launch(t, strings.Replace(cfg, "/api.sock", "/second.sock", 1))
	select {
	case <-second.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the second agent runs")
	}
	if second.err == nil || !strings.Contains(second.output(), "another fanlight is using these pins") {
		t.Errorf("it ended with %v:\n%s", second.err, second.output())
	}
	r := joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	probe(t, n, "pub", testGroup, 10)
	if r.Received() != 10 {
		t.Errorf("the first agent forwarded %d of 10 datagrams afterwards", r.Received())
	}
}

func TestDomainsKeepTheirCountersInAnyOrder(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a1", "a2", "b1", "b2")...)
	base, events := agentConfig(t, n)
	_, rest, _ := strings.Cut(base, "netns:")
	withDomains := func(domains ...string) string {
		cfg := "domains:\n"
		for _, d := range domains {
			name, ports, _ := strings.Cut(d, " ")
			cfg += fmt.Sprintf("  - {name: %s, ports: [%q], %s}\n", name, ports, quickQuerier)
		}
		return cfg + "netns:" + rest
	}
	first := startConfig(t, withDomains("a p-a*", "b p-b*"), events)
	ra, rb := joinGroup(t, n.Host("a2"), testGroup), joinGroup(t, n.Host("b2"), testGroup)
	first.waitMembers("239.1.1.1", 2)
	probe(t, n, "a1", testGroup, 100)
	probe(t, n, "b1", testGroup, 200)
	first.end()

	second := startConfig(t, withDomains("b p-b*", "a p-a*"), events)
	probe(t, n, "a1", testGroup, 1)
	if ra.Received() != 101 || rb.Received() != 200 {
		t.Errorf("received %d and %d datagrams, want 101 and 200", ra.Received(), rb.Received())
	}
	copies := func(s series, domain string) float64 {
		return s[fmt.Sprintf(`fanlight_group_copies_total{domain=%q,group="239.1.1.1"}`, domain)]
	}
	if s := second.scrape(); copies(s, "a") != 101 || copies(s, "b") != 200 {
		t.Errorf("copies: %v", s.family("fanlight_group_copies_total"))
	}
	second.end()

	// The number of a domain that is gone goes to another one, its counts do not.
	startConfig(t, withDomains("b p-b*"), events).end()
	third := startConfig(t, withDomains("c p-a*", "b p-b*"), events)
	if s := third.scrape(); s.sum("fanlight_group_copies_total", `domain="c"`) != 0 || s.sum("fanlight_drops_total", `domain="c"`) != 0 || copies(s, "b") != 200 {
		t.Errorf("copies: %v", s.family("fanlight_group_copies_total"))
	}
	third.waitMembers("239.1.1.1", 2)
}
