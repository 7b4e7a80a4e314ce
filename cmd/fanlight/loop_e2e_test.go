package main

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
)

// A cable between two ports of one domain is a loop: copies come in again at its
// other end. They are not copied once more.
func TestCopiesThatComeInAgainAreNotReplicated(t *testing.T) {
	for _, hook := range []string{"tcx", "clsact"} {
		t.Run(hook, func(t *testing.T) {
			n := newNet(t, "pub", "sub")
			sw := n.Switch().Handle()
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "p-loop1"
			cable := netlink.NewVeth(attrs)
			cable.PeerName = "p-loop2"
			if err := sw.LinkAdd(cable); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"p-loop1", "p-loop2"} {
				l, err := sw.LinkByName(name)
				if err == nil {
					err = sw.LinkSetUp(l)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			a := startHook(t, n, hook, "unregistered: flood")
			group := addr("239.5.3.1")
			sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: group, Port: 5000})
			arrived := countAtDevice(t, n.Host("sub"), addr("239.5.3.2"))
			a.joined(group, 1)
			wantAll(t, "sub", sub, send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 500, Rate: 20000}))
			// One that is flooded goes into the cable at both ends.
			sent := send(t, n.Host("pub"), lab.SendConfig{Group: addr("239.5.3.2"), Count: 500, Rate: 20000})
			quiet(t, n)
			if got := arrived.value(); got != sent {
				t.Errorf("%d packets arrived, want %d", got, sent)
			}
			page := a.scrape()
			for _, port := range []string{"p-loop1", "p-loop2"} {
				label := `interface="` + port + `"`
				if got := page.sum("fanlight_packets_seen_total", label, `verdict="passed"`); got < float64(sent) {
					t.Errorf("%s passed %v packets on to the stack, want at least %d", port, got, sent)
				}
			}
		})
	}
}
