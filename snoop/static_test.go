package snoop

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// static makes the ports want the group; sources are those of the first.
func (tt *testTable) static(group string, ports []Port, sources ...string) error {
	var list []StaticPort
	for i, p := range ports {
		s := StaticPort{Port: p}
		for _, text := range sources {
			if i == 0 {
				s.Sources = append(s.Sources, netip.MustParseAddr(text))
			}
		}
		list = append(list, s)
	}
	return tt.SetStatic(key(group), list, "static", tt.now)
}

// forwards writes who gets what: "any" and the lists of sources.
func forwards(tt *testTable, group string) string {
	f, ok := tt.Forwarding(key(group))
	if !ok {
		return "unknown"
	}
	text := "any" + ports(f.Any)
	for _, s := range f.Sources {
		text += " " + s.Source.String() + ports(s.Ports)
	}
	return text
}

func ports(list []Port) (text string) {
	for _, p := range list {
		text += "," + string(rune('0'+p))
	}
	return text
}

// TestStaticAndLearnt: what hosts report and what the operator orders stand
// side by side, and a port gets the union.
func TestStaticAndLearnt(t *testing.T) {
	s := letters("ab")
	for _, row := range []struct {
		name string
		do   func(*testTable) error
		want string
	}{
		{"static alone", func(tt *testTable) error { return tt.static(g1, []Port{3, 1}) }, "any,1,3"},
		{"no port", func(tt *testTable) error { return tt.static(g1, nil) }, "any"},
		{"a port that is not there", func(tt *testTable) error { return tt.static(g1, []Port{1, 9}) }, "any,1"},
		{"a source", func(tt *testTable) error { return tt.static(g1, []Port{1, 2}, s[0]) }, "any,2 " + s[0] + ",1,2"},
		{"joined by another port", func(tt *testTable) error {
			tt.hear(2, v2Report(h2, g1))
			return tt.static(g1, []Port{1})
		}, "any,1,2"},
		{"joined by the same port", func(tt *testTable) error {
			tt.hear(1, v2Report(h1, g1))
			return tt.static(g1, []Port{1})
		}, "any,1"},
		{"left by the same port", func(tt *testTable) error {
			tt.hear(1, v3Report(h1, rec(toExclude, g1)))
			err := tt.static(g1, []Port{1})
			tt.hear(1, v3Report(h1, rec(toInclude, g1)))
			return err
		}, "any,1"},
		{"after all members aged", func(tt *testTable) error {
			tt.hear(1, v2Report(h1, g1))
			err := tt.static(g1, []Port{1})
			tt.pass(10 * gmi)
			return err
		}, "any,1"},
		{"excluded by a host, wanted by the operator", func(tt *testTable) error {
			tt.hear(1, v3Report(h1, rec(toExclude, g1, s[0])))
			return tt.static(g1, []Port{1})
		}, "any,1 " + s[0] + ",1"},
		{"included by a host, another by the operator", func(tt *testTable) error {
			tt.hear(1, v3Report(h1, rec(allow, g1, s[0])))
			return tt.static(g1, []Port{1}, s[1])
		}, "any " + s[0] + ",1 " + s[1] + ",1"},
		{"deleted, with a member left", func(tt *testTable) error {
			tt.hear(2, v2Report(h2, g1))
			err := tt.static(g1, []Port{1})
			tt.ClearStatic(key(g1), "static", tt.now)
			return err
		}, "any,2"},
		{"deleted, with nobody left", func(tt *testTable) error {
			err := tt.static(g1, []Port{1})
			tt.ClearStatic(key(g1), "static", tt.now)
			return err
		}, "unknown"},
		{"port gone", func(tt *testTable) error {
			err := tt.static(g1, []Port{1, 2})
			tt.RemovePort(1, tt.now)
			return err
		}, "any,2"},
		{"no longer allowed", func(tt *testTable) error {
			err := tt.static(g1, []Port{1})
			cfg := tt.cfg.clone()
			cfg.Allow = []netip.Prefix{prefix("239.255.0.0/16")}
			return errors.Join(err, tt.Reconfigure(cfg, tt.now))
		}, "unknown"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, nil, 1, 2, 3)
			if err := row.do(tt); err != nil {
				t.Fatal(err)
			}
			if got := forwards(tt, g1); got != row.want {
				t.Errorf("forwards to %s, want %s", got, row.want)
			}
			checkTable(t, tt.Table)
		})
	}
}

func TestStaticEvents(t *testing.T) {
	tt := newTable(t, nil, 1, 2)
	s := letters("a")
	tt.drain()
	for _, row := range []struct {
		do   func() error
		want []string
	}{
		{func() error { return tt.static(g1, []Port{1}) }, []string{"joined:static"}},
		{func() error { return tt.static(g1, []Port{1}) }, nil}, // again
		{func() error { return tt.static(g1, []Port{1, 2}) }, []string{"joined:static"}},
		{func() error { return tt.static(g1, []Port{1, 2}, s[0]) }, []string{"changed:static"}},
		{func() error { return tt.static(g1, []Port{2}) }, []string{"left:static"}},
		{func() error { tt.ClearStatic(key(g1), "gone", tt.now); return nil }, []string{"left:gone"}},
		{func() error { tt.ClearStatic(key(g1), "gone", tt.now); return nil }, nil},
	} {
		if err := row.do(); err != nil {
			t.Fatal(err)
		}
		dirty := len(tt.TakeDirty()) > 0
		if got := tt.actions(); !cmp.Equal(row.want, got) || dirty != (len(row.want) > 0) {
			t.Errorf("events %v, want %v; forwarding changed: %t", got, row.want, dirty)
		}
	}
}

// TestStaticRefused: nothing changes, and the error names the rule.
func TestStaticRefused(t *testing.T) {
	for _, row := range []struct {
		name, group string
		change      func(*Config)
		ports       []Port
		sources     []string
		want        string
	}{
		{"no group", "10.0.0.1", nil, nil, nil, "bad_group"},
		{"link-local", "224.0.0.5", nil, []Port{1}, nil, "link_local_group"},
		{"all nodes", "ff02::1", nil, []Port{1}, nil, "link_local_group"},
		{"scope of the host", "ff01::5", nil, []Port{1}, nil, "bad_scope"},
		{"not allowed", g1, func(c *Config) { c.Allow = []netip.Prefix{prefix("ff15::/16")} }, nil, nil, "not_allowed"},
		{"ssm without a source", "232.1.1.1", nil, []Port{1}, nil, "ssm_exclude"},
		{"source of the other family", g1, nil, []Port{1}, []string{"2001:db8::1"}, "bad_source"},
		{"group as source", g1, nil, []Port{1}, []string{"239.1.1.1"}, "bad_source"},
		{"too many sources", g1, func(c *Config) { c.Limits.SourcesPerGroup = 2 }, []Port{1}, manySources(3), "source_limit"},
		{"all sources", g1, func(c *Config) { c.Limits.TotalSources = 2 }, []Port{1}, manySources(3), "total_source_limit"},
		{"ports", g1, func(c *Config) { c.Limits.PortsPerGroup = 1 }, []Port{1, 2}, nil, "port_limit"},
		{"members", g1, func(c *Config) { c.Limits.Members = 2 }, []Port{1, 2}, nil, "member_limit"},
		{"groups", g1, func(c *Config) { c.Limits.Groups = 1 }, nil, nil, "group_limit"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, row.change, 1, 2)
			tt.hear(2, v2Report(h2, "239.255.1.1")) // takes a group and a member
			tt.drain()
			err := tt.static(row.group, row.ports, row.sources...)
			if !errors.Is(err, ErrRefused) || !strings.HasSuffix(err.Error(), row.want) {
				t.Errorf("error %v, want %s", err, row.want)
			}
			if tt.StaticGroups() != nil || len(tt.TakeDirty())+len(tt.TakeEvents()) != 0 {
				t.Error("something changed")
			}
			checkTable(t, tt.Table)
		})
	}
}

// TestStaticIsListed: once for what hosts did and once for the operator, in the
// order of ports; groups count a port once.
func TestStaticIsListed(t *testing.T) {
	tt := newTable(t, nil, 1, 2, 3)
	tt.hear(2, v2Report(h2, g1))
	if err := tt.static(g1, []Port{3, 2, 1}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range members(tt) {
		got = append(got, ports([]Port{m.Port})[1:]+" "+m.Protocol+" "+m.FilterMode)
		if (m.Expires == 0) != (m.Protocol == ProtocolStatic) {
			t.Errorf("port %d expires at %v", m.Port, m.Expires)
		}
	}
	want := []string{"1 static exclude", "2 igmpv2 exclude", "2 static exclude", "3 static exclude"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	for g := range tt.Groups() {
		if g.Members != 3 || !g.Static {
			t.Errorf("%d members, static %t", g.Members, g.Static)
		}
	}
	tt.pass(time.Hour)
	if n := len(members(tt)); n != 3 {
		t.Errorf("%d members after an hour, want the static ones", n)
	}
}

// TestStaticLeavesLearntAlone runs two tables through the same reports, leaves
// and time, and orders static subscribers in one of them, at random: what hosts
// reported is the same in both, and forwarding is the union.
func TestStaticLeavesLearntAlone(t *testing.T) {
	const rounds = 3000
	r := rand.New(rand.NewPCG(7, 16))
	plain, mixed := newTable(t, nil, 1, 2, 3), newTable(t, nil, 1, 2, 3)
	groups := []string{"233.252.0.1", "233.252.0.2", "232.1.1.1"}
	sources := letters("abc")
	kinds := []recordType{isInclude, isExclude, toInclude, toExclude, allow, block}
	ordered := map[string]map[Port][]string{}
	learnt := 0
	for round := range rounds {
		group, port := groups[r.IntN(len(groups))], Port(1+r.IntN(3))
		switch r.IntN(4) {
		case 0:
			wait := time.Duration(r.IntN(90)) * time.Second
			plain.pass(wait)
			mixed.pass(wait)
		case 1:
			delete(ordered, group)
			mixed.ClearStatic(key(group), "static", mixed.now)
		case 2:
			want, list := map[Port][]string{}, []StaticPort{}
			for p := range Port(3) {
				if r.IntN(2) == 0 {
					continue
				}
				s := StaticPort{Port: p + 1}
				for _, text := range sources {
					if r.IntN(2) == 0 || group == "232.1.1.1" && text == sources[0] {
						s.Sources = append(s.Sources, netip.MustParseAddr(text))
					}
				}
				for _, a := range s.Sources {
					want[s.Port] = append(want[s.Port], a.String())
				}
				if len(s.Sources) == 0 {
					want[s.Port] = []string{"all"}
				}
				list = append(list, s)
			}
			if err := mixed.SetStatic(key(group), list, "static", mixed.now); err != nil {
				t.Fatal(err)
			}
			ordered[group] = want
		default:
			report := v3Report(h1, rec(kinds[r.IntN(len(kinds))], group, sources[:r.IntN(3)]...))
			plain.hear(port, report)
			mixed.hear(port, report)
		}
		checkTable(t, mixed.Table)
		for _, group := range groups {
			for port := Port(1); port <= 3; port++ {
				was, now := world(plain.find(key(group), port), plain.now), world(mixed.find(key(group), port), mixed.now)
				if was != "none" {
					learnt++
				}
				if was != now {
					t.Fatalf("round %d: port %d of %s is %s, want %s", round, port, group, now, was)
				}
				for _, source := range append(sources, "198.51.100.9") {
					want := wantsLearnt(plain, group, port, source) || slices.Contains(ordered[group][port], source) || slices.Contains(ordered[group][port], "all")
					if got := getsFrom(mixed, group, port, source); got != want {
						t.Fatalf("round %d: port %d gets %s from %s: %t, want %t (ordered %v)", round, port, group, source, got, want, ordered[group])
					}
				}
			}
		}
	}
	if learnt < rounds {
		t.Errorf("only %d learnt members in %d rounds: this test is blind", learnt, rounds)
	}
}

func wantsLearnt(tt *testTable, group string, port Port, source string) bool {
	m := tt.find(key(group), port)
	return m != nil && m.wants(netip.MustParseAddr(source))
}

// getsFrom reports whether forwarding sends the source's packets to the port.
func getsFrom(tt *testTable, group string, port Port, source string) bool {
	f, ok := tt.Forwarding(key(group))
	if !ok {
		return false
	}
	for _, s := range f.Sources {
		if s.Source == netip.MustParseAddr(source) {
			return slices.Contains(s.Ports, port)
		}
	}
	return slices.Contains(f.Any, port)
}
