package snoop

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	g1 = "233.252.0.1"
	h1 = "192.0.2.1"
	h2 = "192.0.2.2"
)

func key(g string) GroupKey { return GroupKey{Group: addr(g)} }

// ports returns who gets a group from any source.
func (t *testTable) anyPorts(g string) []Port {
	f, _ := t.Forwarding(key(g))
	return slices.Clone(f.Any)
}

func TestForwardingUnion(t *testing.T) {
	tt := newTable(t, nil, 1, 2, 3, 4)
	s := letters("abc")
	tt.hear(4, v3Report("192.0.2.4", rec(toExclude, g1, s[0])))   // all but a
	tt.hear(3, v3Report("192.0.2.3", rec(toExclude, g1)))         // all
	tt.hear(2, v3Report("192.0.2.2", rec(allow, g1, s[1])))       // b
	tt.hear(1, v3Report("192.0.2.1", rec(allow, g1, s[2], s[0]))) // a, c
	got, ok := tt.Forwarding(key(g1))
	want := Forwarding{
		Any: []Port{3, 4},
		Sources: []SourcePorts{
			{addr(s[0]), []Port{1, 3}},
			{addr(s[1]), []Port{2, 3, 4}},
			{addr(s[2]), []Port{1, 3, 4}},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" || !ok {
		t.Errorf("ok %v (-want +got):\n%s", ok, diff)
	}
	if diff := cmp.Diff([]GroupKey{key(g1)}, tt.TakeDirty(), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("dirty (-want +got):\n%s", diff)
	}
	if _, ok := tt.Forwarding(key("233.252.0.2")); ok {
		t.Error("a group that nobody wants is known")
	}
}

// On one port the hosts' wishes add up, RFC 4541 section 2.1.2.
func TestUnionOnOnePort(t *testing.T) {
	tt := newTable(t, nil, 1)
	s := letters("ab")
	tt.hear(1, v3Report(h1, rec(toExclude, g1, s...)))
	tt.hear(1, v3Report(h2, rec(allow, g1, s[0])))
	f, _ := tt.Forwarding(key(g1))
	want := []SourcePorts{{addr(s[1]), nil}}
	if diff := cmp.Diff(want, f.Sources, cmp.Comparer(sameAddr), cmp.Comparer(func(a, b []Port) bool { return slices.Equal(a, b) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefreshIsQuiet(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, g1)))
	tt.drain()
	tt.pass(time.Second)
	tt.hear(1, v3Report(h1, rec(isExclude, g1)))
	if d, m, e := tt.TakeDirty(), tt.TakeChangedMembers(), tt.TakeEvents(); len(d)+len(m)+len(e) != 0 {
		t.Errorf("dirty %v, members %v, events %v", d, m, e)
	}
}

func TestAgeing(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.hear(1, v2Report(h1, g1))
	tt.hear(2, v3Report(h2, rec(allow, "232.1.1.1", letters("ab")...)))
	tt.pass(gmi - time.Millisecond)
	tt.drain()
	tt.hear(2, v3Report(h2, rec(isInclude, "232.1.1.1", letters("b")...)))
	tt.pass(time.Millisecond)
	want := []string{"expired:timeout", "changed:timeout"}
	got := tt.actions()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := world(tt.find(key("232.1.1.1"), 2), tt.now-time.Millisecond); got != "IN b=GMI" {
		t.Errorf("source-specific member: %s", got)
	}
	tt.pass(gmi)
	if s := tt.Stats(); s.Groups+s.Members+s.Sources+s.Hosts != 0 {
		t.Errorf("left over: %+v", s)
	}
	checkTable(t, tt.Table)
}

// Exclude mode ends in include mode if a source is still asked for.
func TestExcludeToInclude(t *testing.T) {
	tt := newTable(t, nil, 1)
	s := letters("ab")
	tt.hear(1, v3Report(h1, rec(toExclude, g1, s[1])))
	tt.pass(10 * time.Second)
	tt.hear(1, v3Report(h2, rec(allow, g1, s[0])))
	tt.pass(gmi - 10*time.Second)
	if got := world(tt.find(key(g1), 1), 10*time.Second); got != "IN a=GMI" {
		t.Errorf("after the group timer: %s, want IN a=GMI", got)
	}
	f, _ := tt.Forwarding(key(g1))
	if len(f.Any) != 0 || len(f.Sources) != 1 {
		t.Errorf("forwarding %+v", f)
	}
}

// In exclude mode a source whose timer runs out is no longer wanted.
func TestRequestedToExcluded(t *testing.T) {
	tt := newTable(t, nil, 1)
	s := letters("a")[0]
	tt.hear(1, v3Report(h1, rec(toExclude, g1)))
	tt.hear(1, v3Report(h1, rec(block, g1, s)))
	tt.pass(lmqt)
	f, _ := tt.Forwarding(key(g1))
	if len(f.Sources) != 1 || f.Sources[0].Source != addr(s) || len(f.Sources[0].Ports) != 0 {
		t.Errorf("forwarding %+v, want no port for %s", f, s)
	}
}

func TestLastMemberQueries(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.hear(1, v2Report(h1, g1))
	tt.hear(1, v2Report(h2, g1))
	tt.hear(2, v2Report("192.0.2.3", g1))
	tt.pass(15 * time.Second)
	tt.drain()
	left := tt.now
	tt.hear(1, v2Leave(h1, g1))
	if diff := cmp.Diff([]string{"G"}, asked(tt.queries())); diff != "" {
		t.Errorf("first query (-want +got):\n%s", diff)
	}
	tt.hear(1, v2Leave(h1, g1)) // a flood of leaves asks no more
	if q := tt.queries(); len(q) != 0 {
		t.Errorf("second leave: asked %v", asked(q))
	}
	tt.pass(time.Second)
	if diff := cmp.Diff([]string{"G"}, asked(tt.queries())); diff != "" {
		t.Errorf("second query (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Port{1, 2}, tt.anyPorts(g1)); diff != "" {
		t.Errorf("before the time is over (-want +got):\n%s", diff)
	}
	tt.pass(time.Second)
	if diff := cmp.Diff([]Port{2}, tt.anyPorts(g1)); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	events := tt.TakeEvents()
	if len(events) != 2 { // the host left, then the port
		t.Fatalf("events %+v", events)
	}
	e := events[1]
	if e.Action != ActionLeft || e.Reason != "last_member_query" || e.Host != addr(h1) || e.ReceivedAt != left || e.Port != 1 {
		t.Errorf("event %+v", e)
	}
}

// A host that answers keeps the group; what is repeated carries the S flag.
func TestLastMemberAnswered(t *testing.T) {
	tt := newTable(t, nil, 1)
	s := letters("ab")
	tt.hear(1, v3Report(h1, rec(allow, g1, s...)))
	tt.hear(1, v3Report(h2, rec(allow, g1, s...)))
	tt.drain()
	tt.hear(1, v3Report(h1, rec(block, g1, s...)))
	tt.pass(500 * time.Millisecond)
	tt.hear(1, v3Report(h2, rec(isInclude, g1, s[1])))
	tt.pass(500 * time.Millisecond)
	if diff := cmp.Diff([]string{"G:ab", "G:a", "G:b/S"}, asked(tt.queries())); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	tt.pass(time.Second)
	if got := world(tt.find(key(g1), 1), 500*time.Millisecond); got != "IN b=GMI" {
		t.Errorf("after: %s", got)
	}
}

// Group queries that are repeated after an answer carry the S flag too.
func TestGroupQuerySuppress(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, g1)))
	tt.hear(1, v3Report(h2, rec(toExclude, g1)))
	tt.drain()
	tt.hear(1, v3Report(h1, rec(toInclude, g1)))
	tt.hear(1, v3Report(h2, rec(isExclude, g1)))
	tt.pass(5 * time.Second)
	if diff := cmp.Diff([]string{"G", "G/S"}, asked(tt.queries())); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Port{1}, tt.anyPorts(g1)); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestCompatibility(t *testing.T) {
	type step struct {
		packet []byte
		want   string // the state after it
		mode   Protocol
	}
	s := letters("a")
	for name, steps := range map[string][]step{
		"version 2 ignores source lists and BLOCK": {
			{v2Report(h1, g1), "EX(GMI)", IGMPv2},
			{v3Report(h2, rec(toExclude, g1, s...)), "EX(GMI)", IGMPv2},
			{v3Report(h2, rec(block, g1, s...)), "EX(GMI)", IGMPv2},
			{v3Report(h2, rec(toInclude, g1)), "EX(LMQT)", IGMPv2},
			{v2Report(h1, g1), "EX(GMI)", IGMPv2},
			{v2Leave(h1, g1), "EX(LMQT)", IGMPv2},
		},
		"version 1 ignores leaves too": {
			{v1Report(h1, g1), "EX(GMI)", IGMPv1},
			{v2Leave(h1, g1), "EX(GMI)", IGMPv1},
			{v3Report(h2, rec(toInclude, g1)), "EX(GMI)", IGMPv1},
			{v3Report(h2, rec(block, g1, s...)), "EX(GMI)", IGMPv1},
			{v2Report(h2, g1), "EX(GMI)", IGMPv1},
		},
		"version 3 listens to all": {
			{v3Report(h1, rec(toExclude, g1)), "EX(GMI)", IGMPv3},
			{v3Report(h2, rec(block, g1, s...)), "EX(GMI) a=LMQT", IGMPv3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt := newTable(t, func(c *Config) { c.FastLeave = false }, 1)
			for i, st := range steps {
				tt.hear(1, st.packet)
				m := tt.find(key(g1), 1)
				if got := world(m, tt.now); got != st.want || m.compat(tt.now) != st.mode {
					t.Errorf("step %d: %s in %v, want %s in %v", i, got, m.compat(tt.now), st.want, st.mode)
				}
			}
		})
	}
}

func TestCompatibilityEnds(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v2Report(h1, g1))
	for range 10 {
		tt.pass(gmi / 10)
		tt.hear(1, v3Report(h2, rec(isExclude, g1)))
	}
	if got := tt.find(key(g1), 1).compat(tt.now); got != IGMPv3 {
		t.Errorf("after the older host's time: %v", got)
	}
	tt.hear(1, v3Report(h2, rec(block, g1, letters("a")...)))
	if got := len(tt.find(key(g1), 1).sources); got != 1 {
		t.Errorf("BLOCK is still ignored")
	}
	six := newTable(t, nil, 1)
	six.hear(1, mldv1Report("fe80::1", "ff15::1"))
	six.hear(1, mldv2Report("fe80::2", rec(block, "ff15::1", "2001:db8::1")))
	m := six.find(key("ff15::1"), 1)
	if m.compat(six.now) != MLDv1 || len(m.sources) != 0 {
		t.Errorf("MLD: %v with %d sources", m.compat(six.now), len(m.sources))
	}
	six.hear(1, mldv1Done("fe80::1", "ff15::1"))
	six.pass(lmqt)
	if _, ok := six.Forwarding(key("ff15::1")); ok {
		t.Error("MLD: the group outlives its done message")
	}
}

func TestRemovePort(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	for i := range 10 {
		g := fmt.Sprintf("233.252.0.%d", i+1)
		tt.hear(1, v3Report(h1, rec(toExclude, g, letters("ab")...)))
		tt.hear(2, v3Report(h2, rec(toExclude, g)))
	}
	tt.drain()
	tt.RemovePort(1, tt.now)
	if got := tt.actions(); len(got) != 10 || got[0] != "left:port_gone" {
		t.Errorf("events %v", got)
	}
	if got := len(tt.TakeDirty()); got != 10 {
		t.Errorf("%d groups are dirty, want 10", got)
	}
	if diff := cmp.Diff([]Port{2}, tt.anyPorts(g1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkTable(t, tt.Table)
	tt.hear(1, v2Report(h1, g1))
	if s := tt.Stats(); s.Foreign != 1 || len(s.Ports) != 1 {
		t.Errorf("packet from a port that is gone: %+v", s)
	}
}

func TestVLANsAreSeparate(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	a, b := VLAN(100<<16), VLAN(100<<16|7)
	tt.hearOn(1, a, v2Report(h1, g1))
	tt.hearOn(2, b, v2Report(h2, g1))
	tt.hear(1, v2Report(h1, g1))
	for v, want := range map[VLAN][]Port{0: {1}, a: {1}, b: {2}} {
		f, _ := tt.Forwarding(GroupKey{v, addr(g1)})
		if diff := cmp.Diff(want, f.Any); diff != "" {
			t.Errorf("vlan %#x (-want +got):\n%s", v, diff)
		}
	}
	sent := map[VLAN]int{}
	for _, x := range tt.TakeTransmit() {
		sent[x.VLAN]++
	}
	if diff := cmp.Diff(map[VLAN]int{a: 4, b: 4}, sent); diff != "" { // two families, two ports
		t.Errorf("queries by vlan (-want +got):\n%s", diff)
	}
	tt.hearOn(1, a, v2Leave(h1, g1))
	tt.pass(lmqt)
	if _, ok := tt.Forwarding(GroupKey{a, addr(g1)}); ok {
		t.Error("the leave had no effect")
	}
	if got := tt.anyPorts(g1); len(got) != 1 {
		t.Error("a leave in one vlan took a member of another")
	}
	tt.pass(4 * gmi)
	if got := tt.VLANs(); !slices.Equal(got, []VLAN{0}) {
		t.Errorf("vlans after all is silent: %v", got)
	}
	checkTable(t, tt.Table)
}

func TestMembersShown(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, g1, letters("a")...)))
	var got []Member
	for m := range tt.Members() {
		got = append(got, m)
	}
	want := []Member{{
		Group: addr(g1), Port: 1, FilterMode: "exclude", Protocol: "igmpv3", Expires: gmi,
		Sources: []MemberSource{{Address: addr(letters("a")[0]), Excluded: true}},
		Hosts:   []Host{{Address: addr(h1), MAC: MAC{2, 0xff, 192, 0, 2, 1}}},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for g := range tt.Groups() {
		if g.Members != 1 || g.Group != addr(g1) {
			t.Errorf("group %+v", g)
		}
	}
}

func TestEventOfAJoin(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.pass(time.Second)
	tt.drain()
	tt.hear(1, v3Report(h1, rec(allow, "232.1.1.1", letters("a")...)))
	want := []Event{{
		At: time.Second, Port: 1, Kind: "membership", Action: "joined", Reason: "report",
		Group: addr("232.1.1.1"), Host: addr(h1), HostMAC: MAC{2, 0xff, 192, 0, 2, 1}, Protocol: "igmpv3",
		FilterMode: "include", Sources: []netip.Addr{addr(letters("a")[0])}, ReceivedAt: time.Second,
	}}
	if diff := cmp.Diff(want, tt.TakeEvents(), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// MLD has the same state machine; its queries are its own.
func TestMLDLastMember(t *testing.T) {
	const g, a, b = "ff3e::1:1", "2001:db8::a", "2001:db8::b"
	tt := newTable(t, nil, 1)
	tt.hear(1, mldv2Report("fe80::1", rec(allow, g, a, b)))
	tt.hear(1, mldv2Report("fe80::2", rec(allow, g, b)))
	tt.drain()
	tt.hear(1, mldv2Report("fe80::1", rec(block, g, a, b)))
	sent := tt.queries()
	if len(sent) != 1 || sent[0].group != addr(g) || !slices.Equal(sourcesOf(sent[0]), addrs(a, b)) || sent[0].maxResponse != time.Second {
		t.Fatalf("queries %+v", sent)
	}
	tt.hear(1, mldv2Report("fe80::2", rec(isInclude, g, b)))
	tt.pass(lmqt)
	f, _ := tt.Forwarding(key(g))
	want := []SourcePorts{{addr(b), []Port{1}}}
	if diff := cmp.Diff(want, f.Sources, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tt.hear(1, mldv2Report("fe80::2", rec(toExclude, g)))
	if got := tt.Stats().Ports[1].Errors["ssm_exclude"]; got != 1 {
		t.Errorf("exclude in the SSM range counted %d times", got)
	}
}

// A querier that loses the election in the middle of a leave stops asking.
func TestElectionDuringLeave(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.hear(1, v2Report(h1, g1))
	tt.hear(1, v2Leave(h1, g1))
	tt.drain()
	tt.hear(2, general(IGMPv3, "192.0.2.5"))
	tt.pass(1500 * time.Millisecond)
	if q := tt.queries(); len(q) != 0 {
		t.Errorf("asked %v", asked(q))
	}
	tt.pass(500 * time.Millisecond)
	if len(tt.groups) != 0 {
		t.Error("the leave had no effect")
	}
	checkTable(t, tt.Table)
}

// Two thousand groups and two hundred hosts, as a large site starts.
func TestTenThousandJoins(t *testing.T) {
	tt := newTable(t, nil)
	for p := range Port(20) {
		tt.AddPort(p, portInfo(p), 0)
	}
	began := time.Now()
	for i := range 10_000 {
		h := i % 200
		g := netip.AddrFrom4([4]byte{239, 1, byte(i / 5 / 256), byte(i / 5)}).String()
		tt.hear(Port(h%20), v3Report(fmt.Sprintf("192.0.2.%d", h), rec(toExclude, g)))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if s := tt.Stats(); s.Groups != 2000 || s.Members != 10_000 || s.Hosts != 10_000 {
		t.Errorf("stats %+v", s)
	}
	checkTable(t, tt.Table)
}

// Leaves that are repeated neither ask again nor put the end off.
func TestRepeatedBlock(t *testing.T) {
	tt := newTable(t, nil, 1)
	s := letters("ab")
	tt.hear(1, v3Report(h1, rec(allow, g1, s...)))
	tt.hear(1, v3Report(h2, rec(allow, g1, s...)))
	tt.drain()
	for range 4 {
		tt.hear(1, v3Report("192.0.2.66", rec(block, g1, s[0])))
		tt.pass(500 * time.Millisecond)
	}
	if diff := cmp.Diff([]string{"G:a", "G:a"}, asked(tt.queries())); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if got := world(tt.find(key(g1), 1), 0); got != "IN b=GMI" {
		t.Errorf("after the time of a leave: %s", got)
	}
}
