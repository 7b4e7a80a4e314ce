package groupplan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/groupname"
)

// planned reads "GROUP[ port=N][ ttl=N][ vlan=X][ source=A]" per group.
func planned(t testing.TB, texts ...string) (p Plan) {
	t.Helper()
	for i, text := range texts {
		words := strings.Fields(text)
		g := Group{Group: netip.MustParseAddr(words[0]), Line: i + 1}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			n := 0
			for _, r := range value {
				n = 10*n + int(r-'0')
			}
			switch key {
			case "port":
				g.Port = uint16(n)
			case "ttl":
				g.TTL = &n
			case "vlan":
				g.Segment = value
			case "source":
				g.Sources = append(g.Sources, netip.MustParseAddr(value))
			default:
				t.Fatalf("%q", w)
			}
		}
		p.Groups = append(p.Groups, g)
	}
	return p
}

// found lists the findings as "line rule".
func found(p Plan) (list []string) {
	for _, f := range Check(p, groupname.Builtin()) {
		list = append(list, string(rune('0'+f.Line))+" "+f.Rule)
	}
	slices.Sort(list)
	return list
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name string
		plan []string
		want []string
	}{
		{"good", []string{"239.192.1.1 port=5004 ttl=16", "239.192.1.2 port=5005 ttl=16", "232.1.1.1 port=5006 source=192.0.2.1", "ff18::83:1 port=5007"}, nil},
		{"no group", []string{"192.0.2.1", "2001:db8::1"}, []string{"1 not-multicast", "2 not-multicast"}},
		{"two share an Ethernet address", []string{"239.192.1.1", "239.193.1.1", "239.194.9.9"}, nil},
		{"32 share one", []string{"239.193.1.1", "239.192.1.1", "239.194.1.1", "232.65.1.1 source=192.0.2.1"}, []string{"1 mac-alias"}},
		{"in two VLANs", []string{"239.193.1.1 vlan=1", "232.65.1.1 vlan=2 source=192.0.2.1"}, nil},
		{"IPv6 shares too", []string{"ff18::1:83:7", "ff18::2:83:7"}, []string{"1 mac-alias"}},
		{"of 224.0.0.1", []string{"239.128.0.1", "239.0.0.1", "225.0.0.5"}, []string{
			"1 mac-alias", "1 mac-alias-control", "1 scope-expansion", "2 mac-alias-control", "2 scope-expansion", "3 mac-alias-control", "3 reserved"}},
		{"of all nodes", []string{"ff18::1", "ff18::77"}, []string{"1 mac-alias-control"}},
		{"link-local", []string{"224.0.0.200", "ff12::1234", "224.0.0.5", "ff02::5"}, []string{"1 link-local", "2 link-local", "3 known-use", "4 known-use"}},
		{"registry", []string{"226.1.1.1", "224.3.9.9", "224.0.26.1"}, []string{"1 reserved", "2 unassigned", "3 known-use"}},
		{"ssm", []string{"232.1.1.1", "232.0.0.9 source=192.0.2.1", "ff38::8000:1"}, []string{"1 ssm-without-source", "2 mac-alias-control", "2 ssm-reserved", "3 ssm-without-source"}},
		{"sources", []string{"239.192.1.1 source=192.0.2.1", "232.1.1.1 source=2001:db8::1", "232.1.1.2 source=232.1.1.2"},
			[]string{"1 sources-outside-ssm", "2 bad-source", "3 bad-source"}},
		{"unassigned scopes of 239/8", []string{"239.1.1.1", "239.254.1.1", "239.255.1.1", "239.255.255.9", "239.195.255.9"},
			[]string{"1 scope-expansion", "2 scope-expansion", "4 scope-relative", "5 scope-relative"}},
		{"glop", []string{"233.1.2.3", "234.192.0.2"}, []string{"1 glop", "2 unicast-prefix"}},
		{"ttl", []string{"239.192.1.1 ttl=0", "239.192.1.2 ttl=1", "239.192.1.3 ttl=64", "239.192.1.4 ttl=63", "ff18::83:1 ttl=255", "ff1e::83:2 ttl=255", "224.0.0.5 ttl=1"},
			[]string{"1 ttl-zero", "2 ttl-one", "3 ttl-beyond-scope", "5 ttl-beyond-scope", "7 known-use"}},
		{"the same twice", []string{"239.192.1.1 port=5004", "239.192.1.1 port=5004"}, []string{"2 duplicate"}},
		{"the same of other sources", []string{"232.1.1.1 port=5004 source=192.0.2.1", "232.1.1.1 port=5004 source=192.0.2.2"}, nil},
		{"the same in another VLAN", []string{"239.192.1.1 port=5004 vlan=1", "239.192.1.1 port=5004 vlan=2"}, nil},
		{"ports", []string{"239.192.1.1 port=5004", "239.192.1.1 port=5006"}, []string{"1 several-ports"}},
		{"one port", []string{"239.192.1.1 port=5004", "239.192.1.2 port=5004"}, []string{"1 shared-port"}},
		{"IPv6 scopes", []string{"ff11::8:1", "ff16::8:1", "ff1f::8:1", "ff05::8:1"}, []string{"1 mac-alias", "1 scope-node", "2 scope-undefined", "3 scope-undefined", "4 well-known-unknown"}},
		{"IPv6 flags", []string{"ff28::8:1", "ff58::8:2", "ff38:40:2001:db8::8:3", "ff78::8:4"}, []string{"1 flags", "1 well-known-unknown", "2 flags", "3 unicast-prefix"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := found(planned(t, c.plan...))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGLOPOfOthers(t *testing.T) {
	for asn, want := range map[uint32]string{258: "", 64496: "1 glop-of-others"} {
		p := planned(t, "233.1.2.3")
		p.ASN = asn
		if got := strings.Join(found(p), " "); got != want {
			t.Errorf("AS %d: %s, want %s", asn, got, want)
		}
	}
}

// TestEveryRuleIsComplete: each can be found, explained and told from others.
func TestEveryRuleIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for i, r := range Rules() {
		if r.Name == "" || r.Summary == "" || r.Why == "" || r.Remedy == "" || r.Source == "" || seen[r.Name] {
			t.Errorf("%+v", r)
		}
		if i > 0 && Rules()[i-1].Severity < r.Severity {
			t.Errorf("%s is worse than the rule before it", r.Name)
		}
		seen[r.Name] = true
	}
}

// TestOrderAndOthers: the worst first, and who collides is named once.
func TestOrderAndOthers(t *testing.T) {
	list := Check(planned(t, "239.193.1.1 port=9", "232.65.1.1 source=192.0.2.1", "239.193.1.1 port=10", "239.192.1.9 ttl=0"), groupname.Builtin())
	var order []string
	for _, f := range list {
		order = append(order, f.Severity.String()+" "+f.Rule)
	}
	if diff := cmp.Diff([]string{"error ttl-zero", "warning mac-alias", "warning several-ports"}, order); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	if f := list[1]; len(f.Others) != 1 || f.Others[0] != netip.MustParseAddr("232.65.1.1") || f.Source == "" || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
}

func TestObservedGroupsNeedNoSources(t *testing.T) {
	p := planned(t, "232.1.1.1")
	p.Groups[0].Observed = true
	if got := found(p); got != nil {
		t.Errorf("%v", got)
	}
}

func TestValidate(t *testing.T) {
	n := 256
	err := Plan{Groups: []Group{{}, {Group: netip.MustParseAddr("239.1.1.1"), TTL: &n}}}.Validate()
	for _, want := range []string{"groups[0]: want 'group'", "groups[1].ttl: 256"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	if err := (Plan{}).Validate(); err == nil {
		t.Error("an empty plan is fine")
	}
}
