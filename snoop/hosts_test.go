package snoop

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A leave acts at once only where nobody else on the port can want the group.
func TestFastLeave(t *testing.T) {
	join := func(h string) []byte { return v3Report(h, rec(toExclude, g1)) }
	leave := func(h string) []byte { return v3Report(h, rec(toInclude, g1)) }
	for _, row := range []struct {
		name  string
		info  func(*PortInfo)
		off   bool
		wait  time.Duration // after the port came
		sends [][]byte
		fast  bool
	}{
		{name: "only host", wait: 10 * time.Second, sends: [][]byte{join(h1), leave(h1)}, fast: true},
		{name: "turned off", off: true, wait: 10 * time.Second, sends: [][]byte{join(h1), leave(h1)}},
		{name: "before hosts could answer", wait: 9 * time.Second, sends: [][]byte{join(h1), leave(h1)}},
		{name: "two hosts", wait: time.Minute, sends: [][]byte{join(h1), join(h2), leave(h1)}},
		{name: "the second of two", wait: time.Minute, sends: [][]byte{join(h1), join(h2), leave(h1), leave(h2)}, fast: true},
		{name: "stranger", wait: time.Minute, sends: [][]byte{join(h1), leave(h2)}},
		{name: "stranger, version 2", wait: time.Minute, sends: [][]byte{join(h1), v2Leave(h2, g1)}},
		{name: "version 2 hides hosts", wait: time.Minute, sends: [][]byte{v2Report(h1, g1), v2Leave(h1, g1)}},
		{
			name: "version 2, single host", info: func(i *PortInfo) { i.SingleHost = true },
			sends: [][]byte{v2Report(h1, g1), v2Leave(h1, g1)}, fast: true,
		},
		{
			name: "stranger, single host", info: func(i *PortInfo) { i.SingleHost = true }, wait: time.Minute,
			sends: [][]byte{join(h1), leave(h2)},
		},
		{
			name: "the only source", wait: time.Minute,
			sends: [][]byte{v3Report(h1, rec(allow, g1, "198.51.100.1")), v3Report(h1, rec(block, g1, "198.51.100.1"))}, fast: true,
		},
		{
			name: "a stranger blocks", wait: time.Minute,
			sends: [][]byte{v3Report(h1, rec(allow, g1, "198.51.100.1")), v3Report(h2, rec(block, g1, "198.51.100.1"))},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, func(c *Config) { c.FastLeave = !row.off })
			info := portInfo(1)
			if row.info != nil {
				row.info(&info)
			}
			tt.AddPort(1, info, 0)
			tt.pass(row.wait)
			for _, b := range row.sends {
				tt.hear(1, b)
			}
			_, there := tt.Forwarding(key(g1))
			if there == row.fast {
				t.Errorf("still a member: %v, want %v", there, !row.fast)
			}
			checkTable(t, tt.Table)
		})
	}
}

// The forged leave of a stranger is only a question; the answer keeps the
// member, and other ports notice nothing.
func TestForgedLeave(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.pass(time.Minute)
	tt.hear(1, v3Report(h1, rec(toExclude, g1)))
	tt.hear(2, v3Report(h2, rec(toExclude, g1)))
	tt.drain()
	for range 100 {
		tt.hear(1, v2Leave("192.0.2.66", g1))
		tt.hear(1, v3Report("192.0.2.66", rec(toInclude, g1)))
		tt.pass(time.Second)
		tt.hear(1, v3Report(h1, rec(isExclude, g1)))
		if diff := cmp.Diff([]Port{1, 2}, tt.anyPorts(g1)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	for _, e := range tt.TakeEvents() {
		if e.Kind == KindMembership {
			t.Errorf("event %+v", e)
		}
	}
	for _, x := range tt.TakeTransmit() {
		if d, _ := parseIP(x.Frame[ethernetLen:], false); x.Port != 1 && d.dst == addr(g1) {
			t.Error("another port was asked")
		}
	}
}

func TestHostLimits(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Limits.HostsPerPort, c.Limits.HostGroupsPerPort = 3, 4 }, 1, 2)
	tt.pass(time.Minute)
	tt.drain()
	for i := range 10 {
		tt.hear(1, v3Report(fmt.Sprintf("192.0.2.%d", i+1), rec(toExclude, g1)))
	}
	checkTable(t, tt.Table)
	s := tt.Stats()
	if s.Hosts != 3 || s.Ports[1].Records["host_limit"] != 7 || s.Ports[1].Messages[MessageKind{"report", "igmpv3"}] != 10 {
		t.Errorf("stats %+v", s)
	}
	for _, h := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		tt.hear(1, v3Report(h, rec(toInclude, g1)))
	}
	if len(tt.anyPorts(g1)) != 1 {
		t.Error("the leave of the last known host acted at once, others are not known")
	}
	tt.hear(2, v3Report(h1, rec(toExclude, g1)))
	if tt.Stats().Ports[2].Hosts != 1 {
		t.Error("one port's hosts fill another's table")
	}
}

func TestHostsAge(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, g1)))
	tt.hear(1, v3Report(h2, rec(toExclude, g1)))
	for range 4 {
		tt.pass(100 * time.Second)
		tt.hear(1, v3Report(h1, rec(isExclude, g1)))
	}
	tt.hear(1, v3Report(h1, rec(toInclude, g1)))
	if len(tt.groups) != 0 {
		t.Error("a host that was silent for long still makes a leave slow")
	}
	checkTable(t, tt.Table)
}
