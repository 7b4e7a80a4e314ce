package redact_test

import (
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// TestNamesOfGroupsFollowTheGroup: a name gives away what it names, so it leaves
// only with the address in clear, in records, in rows and in labels.
func TestNamesOfGroupsFollowTheGroup(t *testing.T) {
	rule := func(action string, classes ...string) []redact.Rule {
		return []redact.Rule{{Action: action, Classes: classes, Groups: []netip.Prefix{netip.MustParsePrefix("239.1.0.0/16")}}}
	}
	mask := rule("mask", "group")
	for _, c := range []struct {
		name    string
		profile redact.Profile
		rules   []redact.Rule
		group   string
		shown   bool
	}{
		{"reveal", redact.RevealProfile, nil, "239.1.1.1", true},
		{"default", redact.DefaultProfile, nil, "239.1.1.1", true},
		{"siem", redact.SIEMProfile, nil, "239.1.1.1", true},
		{"strict", redact.StrictProfile, nil, "239.1.1.1", false},
		{"solicited-node group", redact.DefaultProfile, nil, "ff02::1:ff00:1", false},
		{"group as a pseudonym", redact.DefaultProfile, rule("pseudonym", "group"), "239.1.1.1", false},
		{"group masked", redact.RevealProfile, mask, "239.1.1.1", false},
		{"another group masked", redact.RevealProfile, mask, "239.2.1.1", true},
		{"name dropped", redact.RevealProfile, rule("drop", "groupname"), "239.1.1.1", false},
		{"name kept, group hidden", redact.StrictProfile, rule("keep", "groupname"), "239.1.1.1", false},
		{"both kept in spite of strict", redact.StrictProfile, rule("keep", "groupname", "group"), "239.1.1.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := redact.NewPolicy(redact.Config{Profile: c.profile, Rules: c.rules, KeyFile: redacttest.KeyFile(t)}, redacttest.Origin)
			if err != nil {
				t.Fatal(err)
			}
			group := netip.MustParseAddr(c.group)
			e := redacttest.Events()[0]
			e.Kind, e.Action, e.Group, e.GroupName = bpf.KindDrop, "packet", group, "feed A"
			got := ""
			for f, v := range p.Apply(nil, []bpf.Event{e})[0].Fields() {
				if f.Name == "group_name" {
					got = v.Text()
				}
			}
			row, ok := p.Row([]redact.Class{redact.Group, redact.GroupName}, redact.Addr(group), redact.Name("feed A"))
			if want := map[bool]string{true: "feed A"}[c.shown]; got != want || !ok || row[1] != want {
				t.Errorf("record %q, row %q (%t); want %q", got, row, ok, want)
			}
		})
	}
}
