package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// Our queries come from the port's own addresses, also from those that it got,
// or lost, after it was attached.
func TestQueriesComeFromThePortsAddresses(t *testing.T) {
	n := newNet(t, "sub")
	startAgent(t, n, "querier: {mode: on, query_interval: 1s, query_response_interval: 100ms}")
	sub, sw, port := n.Host("sub"), n.Switch().Handle(), portLink(t, n, n.Host("sub"))
	queries := rawSender(t, sub)
	queries.Filter(func(b []byte) bool {
		return len(b) >= 14+24+8 && b[12] == 0x08 && b[13] == 0 && b[23] == frame.ProtocolIGMP && b[14+24] == frame.IGMPQuery
	})
	waitQuery(t, queries, frame.MAC(port.Attrs().HardwareAddr), netip.IPv4Unspecified())

	own := addr("192.0.2.250")
	a := &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := sw.AddrAdd(port, a); err != nil {
		t.Fatal(err)
	}
	waitQuery(t, queries, frame.MAC(port.Attrs().HardwareAddr), own)
	mac := frame.MAC{2, 0xfa, 0, 0, 0, 1}
	if err := sw.LinkSetHardwareAddr(port, mac[:]); err != nil {
		t.Fatal(err)
	}
	waitQuery(t, queries, mac, own)
	if err := sw.AddrDel(port, a); err != nil {
		t.Fatal(err)
	}
	waitQuery(t, queries, mac, netip.IPv4Unspecified())
}

// A query that can't go out is counted at its port.
func TestQueriesThatAreNotSentAreCounted(t *testing.T) {
	n := newNet(t, "sub", "other")
	a := startAgent(t, n, "querier: {mode: on, query_interval: 1s, query_response_interval: 100ms}")
	if err := n.Switch().Handle().LinkSetDown(portLink(t, n, n.Host("sub"))); err != nil {
		t.Fatal(err)
	}
	page := a.wait("queries are not sent", func(s series) bool {
		return s.sum("fanlight_igmp_errors_total", `interface="p-sub"`, `reason="query_not_sent"`) > 1
	})
	if got := page.sum("fanlight_igmp_errors_total", `interface="p-other"`, `reason="query_not_sent"`); got != 0 {
		t.Errorf("%v queries of a port that is up were not sent", got)
	}
}

// A port for which the tables have no room is told.
func TestPortsWithoutRoomAreCounted(t *testing.T) {
	n := newNet(t, "a", "b", "c")
	cfg, events := agentConfig(t, n)
	a := startConfig(t, cfg+"tables: {ports: 2}\n", events)
	if got := a.scrape().sum("fanlight_table_refused_total", `table="ports"`); got != 1 {
		t.Errorf("%v ports were refused, want 1", got)
	}
}

// The page tells who asks, and when nobody does.
func TestWhoAsksIsOnThePage(t *testing.T) {
	n := newNet(t, "sub", "router")
	a := startAgent(t, n, "querier: {mode: off, query_interval: 1s, query_response_interval: 200ms}")
	joinGroup(t, n.Host("sub"), testGroup)
	known := func(protocol string, want float64) func(series) bool {
		return func(s series) bool {
			v, ok := s[`fanlight_querier_known{domain="lab",protocol="`+protocol+`"}`]
			return ok && v == want
		}
	}
	a.wait("nobody asks", known("igmp", 0))
	router := n.Host("router")
	query := frame.IGMPv3Query(frame.Query{MaxResp: 5, QRV: 2, QQIC: 1})
	sendFrames(t, rawSender(t, router), frame.IGMP{SrcMAC: frame.MAC(router.MAC), Src: router.Addr4}.Wrap(query))
	s := a.wait("the router asks", known("igmp", 1))
	who := fmt.Sprintf(`{domain="lab",address="%v"`, router.Addr4)
	if s["fanlight_querier_info"+who+`,state="other"}`] != 1 || s["fanlight_querier_last_seen_timestamp_seconds"+who+"}"] == 0 {
		t.Errorf("got %v, want %s", s.family("fanlight_querier_info"), who)
	}
	if !known("mld", 0)(s) {
		t.Errorf("got %v, want no querier for MLD", s.family("fanlight_querier_known"))
	}
	s = a.wait("it is gone after two intervals", known("igmp", 0))
	if lost := s.sum("fanlight_redaction_failures_total"); lost != 0 {
		t.Errorf("%v series could not be redacted", lost)
	}
}

// waitQuery waits for a query from these addresses.
func waitQuery(t *testing.T, c *lab.RawConn, mac frame.MAC, from netip.Addr) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	last := "none"
	for {
		b, err := c.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("no query from %v, %v; the last was from %s", mac, from, last)
		}
		if err != nil {
			t.Fatal(err)
		}
		src, _ := netip.AddrFromSlice(b[26:30])
		if frame.MAC(b[6:12]) == mac && src == from {
			return
		}
		last = src.String()
	}
}
