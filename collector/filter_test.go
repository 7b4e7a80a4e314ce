package collector

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
)

func TestFilter(t *testing.T) {
	group, source := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("192.0.2.1")
	drop := bpf.Event{Kind: bpf.KindDrop, Action: "packet", Reason: "not_allowed", Group: group, Source: source, Interface: "p-pub"}
	loss := bpf.Event{Kind: bpf.KindLoss, Action: "ring", Reason: "full"}
	mapped := bpf.Event{Kind: bpf.KindDrop, Group: netip.AddrFrom16(group.As16())}
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	allow := func(m ...MatchConfig) FilterConfig { return FilterConfig{Allow: m} }
	deny := func(m ...MatchConfig) FilterConfig { return FilterConfig{Deny: m} }
	for _, c := range []struct {
		name   string
		filter FilterConfig
		event  bpf.Event
		passes bool
	}{
		{"nothing to filter", FilterConfig{}, loss, true},
		{"kind", allow(MatchConfig{Kinds: []string{"drop"}}), drop, true},
		{"other kind", allow(MatchConfig{Kinds: []string{"drop"}}), loss, false},
		{"second entry", allow(MatchConfig{Kinds: []string{"drop"}}, MatchConfig{Kinds: []string{"loss"}}), loss, true},
		{"action", allow(MatchConfig{Actions: []string{"copy"}}), drop, false},
		{"reason", allow(MatchConfig{Reasons: []string{"not_allowed"}}), drop, true},
		{"group", allow(MatchConfig{Groups: prefix("239.1.0.0/16")}), drop, true},
		{"group inside IPv6", allow(MatchConfig{Groups: prefix("239.1.0.0/16")}), mapped, true},
		{"other group", allow(MatchConfig{Groups: prefix("239.2.0.0/16")}), drop, false},
		{"no group", allow(MatchConfig{Groups: prefix("224.0.0.0/4")}), loss, false},
		{"source", deny(MatchConfig{Sources: prefix("192.0.2.0/24")}), drop, false},
		{"interface", allow(MatchConfig{Interfaces: []string{"p-*"}}), drop, true},
		{"no interface", allow(MatchConfig{Interfaces: []string{"*"}}), loss, false},
		{"all conditions", allow(MatchConfig{Kinds: []string{"drop"}, Interfaces: []string{"q-*"}}), drop, false},
		{"denied though allowed", FilterConfig{
			Allow: []MatchConfig{{Kinds: []string{"drop"}}}, Deny: []MatchConfig{{Reasons: []string{"not_allowed"}}},
		}, drop, false},
		{"not denied", deny(MatchConfig{Kinds: []string{"loss"}}), drop, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.filter.Validate(); err != nil {
				t.Fatal(err)
			}
			f := newFilter(c.filter)
			if got := f.passes(&c.event); got != c.passes {
				t.Errorf("passes: %t, want %t", got, c.passes)
			}
			if n := testing.AllocsPerRun(10, func() { f.passes(&c.event) }); n > 0 {
				t.Errorf("%v allocations per event", n)
			}
		})
	}
}

func TestFilterErrorsNameTheKey(t *testing.T) {
	for _, c := range []struct {
		match MatchConfig
		want  []string
	}{
		{MatchConfig{}, []string{"deny[0]", "no condition"}},
		{MatchConfig{Kinds: []string{"drops"}}, []string{"deny[0]", "kinds", `"drops"`, "membership"}},
		{MatchConfig{Groups: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, []string{"deny[0]", "groups", "10.0.0.0/8"}},
		{MatchConfig{Interfaces: []string{"["}}, []string{"deny[0]", "interfaces", `"["`}},
	} {
		err := FilterConfig{Deny: []MatchConfig{c.match}}.Validate()
		if err == nil {
			t.Errorf("%+v: no error", c.match)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: error %q lacks %q", c.match, err, part)
			}
		}
	}
}
