package snoop

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func general(p Protocol, src string) []byte { return queryPacket(p, src, specificQuery{}) }

// generals counts the general queries that were sent, by version and source.
func (t *testTable) generals() (n int) {
	for _, q := range t.queries() {
		if !q.group.IsValid() && q.protocol < MLDv1 {
			n++
		}
	}
	return n
}

func TestStartupQueries(t *testing.T) {
	tt := newTable(t, nil)
	tt.AddPort(1, portInfo(1), 0)
	if got := tt.generals(); got != 1 { // the new port is asked at once
		t.Errorf("at the start: %d queries, want 1", got)
	}
	for _, step := range []struct {
		d    time.Duration
		want int
	}{
		{31*time.Second + 249*time.Millisecond, 0},
		{time.Millisecond, 1}, // the second startup query, after a quarter interval
		{124 * time.Second, 0},
		{time.Second, 1},
		{125 * time.Second, 1},
	} {
		tt.pass(step.d)
		if got := tt.generals(); got != step.want {
			t.Errorf("at %v: %d queries, want %d", tt.now, got, step.want)
		}
	}
}

func TestReadyAfterResponseInterval(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.pass(10*time.Second - 1)
	if tt.Snooping(0, false) || len(tt.TakeDirtyVLANs()) != 0 {
		t.Error("it filters before hosts could answer")
	}
	tt.pass(1)
	if !tt.Snooping(0, false) || !tt.Snooping(0, true) || tt.Snooping(5, false) {
		t.Error("it does not filter after hosts could answer")
	}
	if diff := cmp.Diff([]VLAN{0}, tt.TakeDirtyVLANs()); diff != "" {
		t.Errorf("dirty vlans (-want +got):\n%s", diff)
	}
}

func TestElection(t *testing.T) {
	for _, row := range []struct {
		name  string
		mode  QuerierMode
		hears []string
		state QuerierState
		addr  string
	}{
		{"alone", QuerierOn, nil, QuerierSelf, ""},
		{"higher address", QuerierOn, []string{"192.0.2.200"}, QuerierSelf, ""},
		{"lower address", QuerierOn, []string{"192.0.2.5"}, QuerierOther, "192.0.2.5"},
		{"0.0.0.0 takes no part", QuerierOn, []string{"0.0.0.0"}, QuerierSelf, ""},
		{"lowest of three", QuerierOn, []string{"192.0.2.9", "192.0.2.5", "192.0.2.7"}, QuerierOther, "192.0.2.5"},
		{"our own address", QuerierOn, []string{"192.0.2.101"}, QuerierSelf, ""},
		{"auto yields to the first it hears", QuerierAuto, []string{"192.0.2.200"}, QuerierOther, "192.0.2.200"},
		{"auto listens", QuerierAuto, nil, QuerierNone, ""},
		{"off hears", QuerierOff, []string{"192.0.2.200"}, QuerierOther, "192.0.2.200"},
		{"off and 0.0.0.0", QuerierOff, []string{"0.0.0.0"}, QuerierNone, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, func(c *Config) { c.Querier = row.mode }, 1)
			for _, src := range row.hears {
				tt.hear(1, general(IGMPv3, src))
			}
			got, six := tt.QuerierState(0)
			if got.State != row.state || row.addr != "" && got.Address != addr(row.addr) {
				t.Errorf("querier %v %v, want %v %s", got.State, got.Address, row.state, row.addr)
			}
			if six.State == QuerierOther {
				t.Error("an IGMP query elected an MLD querier")
			}
		})
	}
}

func TestAutoBecomesQuerier(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Querier = QuerierAuto }, 1)
	tt.pass(9 * time.Second)
	if tt.generals() != 0 {
		t.Error("auto did not listen first")
	}
	tt.pass(time.Second)
	if got := tt.generals(); got != 1 {
		t.Errorf("after listening: %d queries, want 1", got)
	}
	tt.pass(10 * time.Second)
	if q, _ := tt.QuerierState(0); q.State != QuerierSelf || !q.Ready {
		t.Errorf("querier %+v", q)
	}
}

func TestOtherQuerierLost(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.hear(2, v2Report(h2, g1))
	tt.pass(20 * time.Second)
	tt.drain()
	tt.hear(1, general(IGMPv3, "192.0.2.5"))
	if diff := cmp.Diff([]string{"replaced:lower_address", "router_learned:query"}, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	tt.pass(200 * time.Second)
	if tt.generals() != 0 {
		t.Error("it asked while another querier was elected")
	}
	tt.hear(2, v2Report(h2, g1))
	tt.hear(1, general(IGMPv3, "192.0.2.5"))
	tt.drain()
	tt.pass(255*time.Second - 1)
	if q, _ := tt.QuerierState(0); q.State != QuerierOther || len(tt.TakeTransmit()) != 4 { // MLD went on
		t.Errorf("before its time: %+v", q)
	}
	tt.pass(1)
	if diff := cmp.Diff([]string{"router_expired:timeout", "lost:timeout", "elected"}, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := tt.generals(); got != 2 {
		t.Errorf("%d queries after taking over, want one for each port", got)
	}
	if !tt.Snooping(0, false) {
		t.Error("filtering stopped when the querier changed")
	}
	// The member would age now; it gets the time to answer our question.
	tt.pass(10 * time.Second)
	if len(tt.anyPorts(g1)) != 1 {
		t.Error("a member aged before it could answer the new querier")
	}
	tt.pass(2 * time.Second)
	if len(tt.anyPorts(g1)) != 0 {
		t.Error("a silent member stays for ever")
	}
}

func TestOffLosesQuerier(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Querier = QuerierOff }, 1)
	if _, ok := tt.Deadline(); ok {
		t.Error("an idle table has a deadline")
	}
	tt.hear(1, general(IGMPv2, "192.0.2.5"))
	tt.pass(10 * time.Second)
	if !tt.Snooping(0, false) || tt.Snooping(0, true) {
		t.Error("IGMP is not ready, or MLD is")
	}
	tt.pass(300 * time.Second)
	if tt.Snooping(0, false) || len(tt.TakeTransmit()) != 0 {
		t.Error("it filters without a querier, or asks")
	}
}

func TestAdoption(t *testing.T) {
	cfg := DefaultConfig()
	for _, row := range []struct {
		robust   int
		interval time.Duration
		response time.Duration
		want     timing
	}{
		{3, 60 * time.Second, 5 * time.Second, timing{3, 60 * time.Second, 10 * time.Second, time.Second}},
		{0, 0, 0, timing{2, 125 * time.Second, 10 * time.Second, time.Second}},
		{1, time.Second, 0, timing{2, 10 * time.Second, 10 * time.Second, time.Second}},
		{7, 31744 * time.Second, 3174 * time.Second, timing{7, 10 * time.Minute, time.Minute, time.Second}},
	} {
		q := query{protocol: IGMPv3, robustness: row.robust, interval: row.interval, maxResponse: row.response}
		if got := cfg.adopt(&q); got != row.want {
			t.Errorf("%+v: got %+v, want %+v", row, got, row.want)
		}
	}
}

// A querier that claims a short interval takes nothing from standing members.
func TestRogueQuerierShortInterval(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.hear(1, v2Report(h1, g1))
	q := specificQuery{timing: timing{robustness: 1, query: time.Second, response: time.Second}}
	tt.hear(2, queryPacket(IGMPv3, "192.0.2.5", q))
	tt.hear(1, v2Report(h1, g1))
	if got := world(tt.find(key(g1), 1), 0); got != "EX(GMI)" {
		t.Errorf("member: %s", got)
	}
	// A forged query about the group without any time to answer.
	tt.hear(2, queryPacket(IGMPv3, "192.0.2.5", specificQuery{group: addr(g1), timing: timing{robustness: 1}}))
	tt.pass(time.Second)
	if len(tt.anyPorts(g1)) != 1 {
		t.Error("the member had no time to answer")
	}
	tt.hear(1, v2Report(h1, g1))
	tt.pass(10 * time.Second)
	if len(tt.anyPorts(g1)) != 1 {
		t.Error("the member answered and is gone")
	}
}

// When another querier asks about a group, its hosts answer or it leaves.
func TestFollowsSpecificQuery(t *testing.T) {
	s := letters("ab")
	sourceQuery := func(suppress bool) []byte {
		return queryPacket(IGMPv3, "192.0.2.5", specificQuery{group: addr(g1), sources: addrs(s[0]), suppress: suppress})
	}
	groupQuery := func(src string, suppress bool) []byte {
		return queryPacket(IGMPv3, src, specificQuery{group: addr(g1), suppress: suppress})
	}
	for _, row := range []struct {
		name  string
		kind  recordType
		port  Port
		query []byte
		want  string
	}{
		{"group", toExclude, 2, groupQuery("192.0.2.5", false), "none"},
		{"group, S flag", toExclude, 2, groupQuery("192.0.2.5", true), "EX(GMI) a=0 b=0"},
		{"group, not the querier", toExclude, 2, groupQuery("192.0.2.77", false), "EX(GMI) a=0 b=0"},
		{"group, another port", toExclude, 3, groupQuery("192.0.2.5", false), "EX(GMI) a=0 b=0"},
		{"sources", allow, 2, sourceQuery(false), "IN b=GMI"},
		{"sources, S flag", allow, 2, sourceQuery(true), "IN a=GMI b=GMI"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, nil, 1, 2, 3)
			tt.hear(2, general(IGMPv3, "192.0.2.5"))
			tt.hear(1, v3Report(h1, rec(row.kind, g1, s...)))
			tt.drain()
			tt.hear(row.port, row.query)
			tt.pass(5 * time.Second)
			if got := world(tt.find(key(g1), 1), 0); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestLeaveWithoutQuerier(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Querier = QuerierOff; c.FastLeave = false }, 1)
	tt.hear(1, v2Report(h1, g1))
	tt.hear(1, v2Leave(h1, g1))
	tt.pass(gmi - 1)
	if len(tt.anyPorts(g1)) != 1 || len(tt.TakeTransmit()) != 0 {
		t.Error("a leave took effect though nobody could object")
	}
	tt.pass(1)
	if len(tt.anyPorts(g1)) != 0 {
		t.Error("the member does not age")
	}
}

func TestQueryVersions(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.IGMPVersion, c.MLDVersion, c.FastLeave = 2, 1, false }, 1)
	tt.hear(1, v3Report(h1, rec(toExclude, g1), rec(allow, "232.1.1.1", letters("a")...)))
	tt.hear(1, v3Report(h1, rec(toInclude, g1), rec(block, "232.1.1.1", letters("a")...)))
	got := tt.queries()
	if len(got) != 1 || got[0].protocol != IGMPv2 || got[0].maxResponse != time.Second {
		t.Errorf("queries %+v", got)
	}
	tt.StartupQueries(tt.now)
	var versions []Protocol
	for _, q := range tt.queries() {
		versions = append(versions, q.protocol)
	}
	if !slices.Equal(versions, []Protocol{IGMPv2, MLDv1}) {
		t.Errorf("general queries %v", versions)
	}
}

func TestStartupQueriesOfNonQuerier(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.Querier = QuerierOff }, 1, 2)
	tt.StartupQueries(tt.now)
	sent := tt.TakeTransmit()
	if len(sent) != 2 {
		t.Fatalf("%d frames, want an IGMP query on each port", len(sent))
	}
	if d, _ := parseIP(sent[0].Frame[ethernetLen:], false); d.src.String() != "0.0.0.0" {
		t.Errorf("proxy query from %v", d.src)
	}
}

func TestQuerySource(t *testing.T) {
	tt := newTable(t, nil)
	tt.AddPort(1, PortInfo{MAC: MAC{2, 0, 0, 0, 0, 1}}, 0)
	var from []string
	for _, x := range tt.TakeTransmit() {
		d, _ := parseIP(x.Frame[ethernetLen:], false)
		from = append(from, d.src.String())
	}
	if diff := cmp.Diff([]string{"0.0.0.0", "fe80::ff:fe00:1"}, from); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRouterPorts(t *testing.T) {
	tt := newTable(t, nil, 1, 2, 3, 4)
	tt.AddPort(9, PortInfo{Router: true}, 0)
	tt.hear(1, general(IGMPv3, "192.0.2.200"))
	tt.hear(2, pimHello("192.0.2.7", "224.0.0.13", 105))
	tt.hear(3, pimHello("fe80::7", "ff02::d", 0xffff))
	tt.hear(4, general(IGMPv3, "0.0.0.0")) // a proxy, not a router
	for _, step := range []struct {
		d    time.Duration
		want []Port
	}{
		{104 * time.Second, []Port{1, 2, 3, 9}},
		{time.Second, []Port{1, 3, 9}},
		{150 * time.Second, []Port{3, 9}},
		{1000 * time.Hour, []Port{3, 9}},
	} {
		tt.pass(step.d)
		if diff := cmp.Diff(step.want, tt.RouterPorts(0)); diff != "" {
			t.Errorf("at %v (-want +got):\n%s", tt.now, diff)
		}
	}
	tt.drain()
	tt.hear(3, pimHello("fe80::7", "ff02::d", 0)) // goodbye
	tt.AddPort(9, PortInfo{}, tt.now)
	if got := tt.RouterPorts(0); len(got) != 0 {
		t.Errorf("after goodbye: %v", got)
	}
	if diff := cmp.Diff([]VLAN{0}, tt.TakeDirtyRouters()); diff != "" {
		t.Errorf("dirty (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"router_expired:goodbye", "router_expired:static"}, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRouterDiscovery(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, igmp("192.0.2.7", "224.0.0.106", []byte{igmpMRDAdvertise, 20, 0, 0, 0, 125, 0, 2}))
	tt.pass(59 * time.Second)
	if len(tt.RouterPorts(0)) != 1 {
		t.Error("an advertisement makes no router port")
	}
	tt.hear(1, igmp("192.0.2.7", "224.0.0.106", []byte{igmpMRDTerminate, 0, 0, 0}))
	if len(tt.RouterPorts(0)) != 0 {
		t.Error("a termination has no effect")
	}
	tt.hear(1, mld("fe80::7", "ff02::6a", []byte{mldMRDAdvertise, 20, 0, 0, 0, 125, 0, 2}))
	tt.pass(time.Minute)
	if len(tt.RouterPorts(0)) != 0 {
		t.Error("a silent router stays")
	}
}

func TestGuards(t *testing.T) {
	tt := newTable(t, func(c *Config) { c.RouterGuard, c.QuerierGuard = []Port{1}, []Port{2} }, 1, 2)
	tt.hear(1, general(IGMPv3, "192.0.2.5"))
	tt.hear(1, pimHello("192.0.2.7", "224.0.0.13", 105))
	tt.hear(2, general(IGMPv3, "192.0.2.4"))
	if got := tt.RouterPorts(0); len(got) != 0 {
		t.Errorf("router ports %v", got)
	}
	if q, _ := tt.QuerierState(0); q.Address != addr("192.0.2.5") {
		t.Errorf("querier %+v", q)
	}
	s := tt.Stats()
	if s.Ports[1].Errors["router_guard"] != 1 || s.Ports[1].Flagged["router_guard"] != 1 || s.Ports[2].Errors["querier_guard"] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestReconfigure(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, v2Report(h1, g1))
	tt.hear(1, v2Report(h1, "239.1.1.1"))
	tt.drain()
	bad := DefaultConfig()
	bad.Robustness = 0
	if err := tt.Reconfigure(bad, tt.now); err == nil || tt.cfg.Robustness != 2 {
		t.Errorf("a bad config was taken: %v", err)
	}
	cfg := DefaultConfig()
	cfg.Querier = QuerierOff
	cfg.Allow = append(cfg.Allow, prefix("239.0.0.0/8"))
	if err := tt.Reconfigure(cfg, tt.now); err != nil {
		t.Fatal(err)
	}
	want := []string{"left:not_allowed", "lost:turned_off", "lost:turned_off"}
	if diff := cmp.Diff(want, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	tt.hear(1, v2Report(h1, g1))
	if got := tt.Stats().Ports[1].Errors["not_allowed"]; got != 1 || len(tt.groups) != 1 {
		t.Errorf("not_allowed %d, %d groups", got, len(tt.groups))
	}
	tt.pass(1000 * time.Second)
	if len(tt.TakeTransmit()) != 0 {
		t.Error("it still asks")
	}
	cfg.Querier = QuerierOn
	if err := tt.Reconfigure(cfg, tt.now); err != nil || tt.generals() != 1 {
		t.Errorf("turned on again: %v", err)
	}
}

func TestRemoveRouterPort(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	tt.AddPort(3, PortInfo{Router: true}, 0)
	tt.hear(1, general(IGMPv3, "192.0.2.5"))
	tt.drain()
	tt.RemovePort(1, tt.now)
	tt.RemovePort(3, tt.now)
	want := []string{"router_expired:port_gone", "lost:port_gone", "elected", "router_expired:static"}
	if diff := cmp.Diff(want, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := tt.RouterPorts(0); len(got) != 0 {
		t.Errorf("router ports %v", got)
	}
}

func TestReconfigureGuards(t *testing.T) {
	tt := newTable(t, nil, 1)
	tt.hear(1, general(IGMPv3, "192.0.2.5"))
	tt.drain()
	cfg := DefaultConfig()
	cfg.QuerierGuard, cfg.RouterGuard = []Port{1}, []Port{1}
	if err := tt.Reconfigure(cfg, tt.now); err != nil {
		t.Fatal(err)
	}
	want := []string{"lost:querier_guard", "elected", "router_expired:router_guard"}
	if diff := cmp.Diff(want, tt.actions()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if q, _ := tt.QuerierState(0); q.State.String() != "self" || len(tt.RouterPorts(0)) != 0 {
		t.Errorf("querier %+v, router ports %v", q, tt.RouterPorts(0))
	}
}
