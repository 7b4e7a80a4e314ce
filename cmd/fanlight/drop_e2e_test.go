package main

import (
	"testing"

	"github.com/fanlight-io/fanlight/lab"
)

// Invariant 2: what was forwarded looks like a drop to no tool. The kernel's
// own drop tracepoint, which they all read, stays silent.
func TestAForwardIsNeverADrop(t *testing.T) {
	for _, hook := range []string{"tcx", "clsact"} {
		t.Run(hook, func(t *testing.T) {
			n := newNet(t, "pub", "sub1", "sub2")
			a := startHook(t, n, hook, "unregistered: drop")
			group := addr("233.252.0.77")
			var subscribers []*lab.Receiver
			for _, name := range []string{"sub1", "sub2"} {
				subscribers = append(subscribers, listen(t, n.Host(name), lab.ListenConfig{Group: group}))
			}
			a.joined(group, 2)
			drops := countDrops(t, group)
			sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 10000, Rate: 40000})
			for i, r := range subscribers {
				wantAll(t, n.Hosts()[i+1].Name, r, sent)
			}
			quiet(t, n)
			if got := drops.value(); got != 0 {
				t.Errorf("the kernel tells of %d drops while %d packets were forwarded", got, sent)
			}
			page := a.scrape()
			if got := page.sum("fanlight_drops_total") + page.sum("fanlight_packets_seen_total", `verdict="dropped"`); got != 0 {
				t.Errorf("%v packets are counted as dropped", got)
			}
			// The tracepoint does speak of what is dropped.
			dropped := addr("233.252.0.78")
			more := countDrops(t, dropped)
			a.wait("a drop is told", func(series) bool {
				send(t, n.Host("pub"), lab.SendConfig{Group: dropped, Count: 1})
				return more.value() > 0
			})
		})
	}
}
