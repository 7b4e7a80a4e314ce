package snoop

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func manySources(n int) (list []string) {
	for i := range n {
		list = append(list, netip.AddrFrom4([4]byte{198, 51, byte(100 + i/256), byte(i)}).String())
	}
	return list
}

func TestTableLimits(t *testing.T) {
	nth := func(i int) string { return fmt.Sprintf("239.1.%d.%d", i/256, i%256) }
	for _, row := range []struct {
		name   string
		change func(*Limits)
		fill   func(*testTable) // up to the limit
		over   func(*testTable) // beyond it, on port 1
		reason string
	}{
		{
			"groups", func(l *Limits) { l.Groups = 5 },
			func(tt *testTable) {
				for i := range 5 {
					tt.hear(2, v2Report(h2, nth(i)))
				}
			},
			func(tt *testTable) { tt.hear(1, v2Report(h1, nth(99))) }, "group_limit",
		},
		{
			"groups per port", func(l *Limits) { l.GroupsPerPort = 5 },
			func(tt *testTable) {
				for i := range 5 {
					tt.hear(1, v2Report(h1, nth(i)))
				}
				tt.hear(2, v2Report(h2, nth(100)))
			},
			func(tt *testTable) { tt.hear(1, v2Report(h1, nth(99))) }, "port_group_limit",
		},
		{
			"ports per group", func(l *Limits) { l.PortsPerGroup = 1 },
			func(tt *testTable) { tt.hear(2, v2Report(h2, nth(0))) },
			func(tt *testTable) { tt.hear(1, v2Report(h1, nth(0))) }, "port_limit",
		},
		{
			"sources of a new member", func(l *Limits) { l.SourcesPerGroup = 4 },
			func(tt *testTable) { tt.hear(2, v3Report(h2, rec(allow, nth(0), manySources(4)...))) },
			func(tt *testTable) { tt.hear(1, v3Report(h1, rec(allow, nth(0), manySources(5)...))) }, "source_limit",
		},
		{
			"vlans", func(l *Limits) { l.VLANs = 1 },
			func(tt *testTable) {},
			func(tt *testTable) { tt.hearOn(1, 7<<16, v2Report(h1, nth(0))) }, "vlan_limit",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, func(c *Config) { row.change(&c.Limits) }, 1, 2)
			row.fill(tt)
			tt.drain()
			before := members(tt)
			for range 10 {
				row.over(tt)
			}
			if diff := cmp.Diff(before, members(tt), cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("members (-before +after):\n%s", diff)
			}
			if dirty := tt.TakeDirty(); len(dirty) != 0 {
				t.Errorf("dirty %v", dirty)
			}
			if got := tt.Stats().Ports[1].Errors[row.reason]; got != 10 {
				t.Errorf("%s counted %d times, want 10", row.reason, got)
			}
			if diff := cmp.Diff([]string{"refused:" + row.reason}, tt.actions()); diff != "" {
				t.Errorf("one event a second (-want +got):\n%s", diff)
			}
			tt.pass(time.Second)
			row.over(tt)
			for _, e := range tt.TakeEvents() {
				if e.Action == ActionRefused && e.Suppressed != 9 {
					t.Errorf("suppressed %d, want 9", e.Suppressed)
				}
			}
			checkTable(t, tt.Table)
		})
	}
}

func members(tt *testTable) (list []Member) {
	for m := range tt.Members() {
		list = append(list, m)
	}
	return list
}

// A member that wants too many sources keeps those that it has, and they stay
// alive.
func TestSourceLimitKeepsMember(t *testing.T) {
	s := letters("abcd")
	for _, row := range []struct {
		name        string
		start, over []byte
		want        string
	}{
		{"include", v3Report(h1, rec(allow, g1, s[:2]...)), v3Report(h1, rec(isInclude, g1, s...)), "IN a=GMI b=GMI"},
		{"to include", v3Report(h1, rec(allow, g1, s[:2]...)), v3Report(h1, rec(toInclude, g1, s[1:]...)), "IN a=4m20s b=GMI"},
		{"exclude", v3Report(h1, rec(toExclude, g1, s[:2]...)), v3Report(h1, rec(isExclude, g1, s...)), "EX(GMI) a=0 b=0"},
		{"include to exclude", v3Report(h1, rec(allow, g1, s[:2]...)), v3Report(h1, rec(toExclude, g1, s...)), "IN a=4m20s b=4m20s"},
		{"block", v3Report(h1, rec(toExclude, g1, s[:2]...)), v3Report(h1, rec(block, g1, s[2:]...)), "EX(4m20s) a=0 b=0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, func(c *Config) { c.Limits.SourcesPerGroup = 3; c.FastLeave = false }, 1)
			tt.hear(1, row.start)
			tt.pass(time.Minute)
			tt.drain()
			tt.hear(1, row.over)
			if got := world(tt.find(key(g1), 1), tt.now); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if got := tt.Stats().Ports[1].Errors["source_limit"]; got != 1 {
				t.Errorf("counted %d times", got)
			}
			if d := tt.TakeDirty(); len(d) != 0 {
				t.Errorf("dirty %v", d)
			}
			checkTable(t, tt.Table)
		})
	}
}

// A flood of joins on one port fills its share; other ports still join, and
// all the memory comes back.
func TestFloodOnOnePort(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Limits.Groups, c.Limits.GroupsPerPort = 1000, 750 }, 1, 2)
	tt.hear(2, v2Report(h2, g1))
	for i := range 5000 {
		tt.hear(1, v3Report(fmt.Sprintf("10.0.%d.%d", i/256, i%256), rec(toExclude, fmt.Sprintf("239.1.%d.%d", i/256, i%256))))
	}
	tt.hear(2, v2Report(h2, "233.252.0.2"))
	if diff := cmp.Diff([]Port{2}, append(tt.anyPorts(g1), 0)[:1]); diff != "" || len(tt.anyPorts("233.252.0.2")) != 1 {
		t.Errorf("the other port (-want +got):\n%s", diff)
	}
	checkTable(t, tt.Table)
	s := tt.Stats().Ports[1]
	if s.Received() != 5000 || s.Errors["port_group_limit"] != 4250 {
		t.Errorf("stats %+v", s)
	}
	tt.pass(gmi)
	if s := tt.Stats(); s.Groups+s.Members+s.Hosts+s.Sources != 0 {
		t.Errorf("left over: %+v", s)
	}
	checkTable(t, tt.Table)
}

func TestAllow(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Allow = []netip.Prefix{prefix("239.0.0.0/8"), prefix("ff15::/16")} }, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, "239.1.1.1"), rec(toExclude, g1)))
	tt.hear(1, mldv1Report("fe80::1", "ff15::1"))
	tt.hear(1, mldv1Report("fe80::1", "ff18::1"))
	s := tt.Stats()
	if s.Groups != 2 || s.Ports[1].Records["not_allowed"] != 2 || s.Ports[1].Errors["not_allowed"] != 1 {
		t.Errorf("stats %+v", s)
	}
}

// Every reason has a name, and no two share one.
func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Reasons() {
		if name == "" || seen[name] {
			t.Errorf("reason %q is empty or double", name)
		}
		seen[name] = true
	}
	if len(seen) != int(numReasons)-1 {
		t.Errorf("%d names for %d reasons", len(seen), numReasons-1)
	}
}
