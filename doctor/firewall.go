package doctor

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// familyNames are those that see packets of either IP version on their way in,
// as nft calls them.
var familyNames = map[nftables.TableFamily]string{
	nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
	nftables.TableFamilyINet: "inet", nftables.TableFamilyNetdev: "netdev",
}

// hookNames are the hooks on the way in and out (linux/netfilter.h).
var hookNames = map[nftables.ChainHook]string{
	*nftables.ChainHookPrerouting: "prerouting", *nftables.ChainHookInput: "input", 5: "ingress",
	*nftables.ChainHookOutput: hookOutput, *nftables.ChainHookPostrouting: hookPostrouting,
}

const hookOutput, hookPostrouting, hookEgress = "output", "postrouting", "egress"

// outward reports whether a hook is on the way out.
func outward(hook string) bool {
	return hook == hookOutput || hook == hookPostrouting || hook == hookEgress
}

// readFirewall lists the rules that drop packets of a family on their way in or
// out, with their counters, and the chains that drop by policy. That takes in
// what iptables-nft made.
func readFirewall(v6 bool) (rules []DropRule, policies []DropPolicy, err error) {
	c, err := nftables.New()
	if err != nil {
		return nil, nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, nil, fmt.Errorf("list chains: %w", err)
	}
	for _, chain := range chains {
		family, ok := familyNames[chain.Table.Family]
		if !ok || family == "ip" && v6 || family == "ip6" && !v6 {
			continue
		}
		hook, matters := hookOf(chain)
		if !matters {
			continue
		}
		if chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop {
			policies = append(policies, DropPolicy{family, chain.Table.Name, chain.Name, hook})
		}
		list, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return nil, nil, fmt.Errorf("list rules of %s %s %s: %w", family, chain.Table.Name, chain.Name, err)
		}
		for _, r := range list {
			if d, drops := dropOf(r); drops {
				d.Family, d.Table, d.Chain, d.Hook = family, chain.Table.Name, chain.Name, hook
				rules = append(rules, d)
			}
		}
	}
	return rules, policies, nil
}

// hookOf is empty for a chain that others jump to.
func hookOf(c *nftables.Chain) (name string, matters bool) {
	switch {
	case c.Hooknum == nil:
		return "", true
	case c.Table.Family != nftables.TableFamilyNetdev:
		name, matters = hookNames[*c.Hooknum]
		return name, matters
	case *c.Hooknum == 0:
		return "ingress", true
	}
	return hookEgress, true
}

// dropOf tells whether a rule drops or rejects, and what it counted.
func dropOf(r *nftables.Rule) (d DropRule, drops bool) {
	d.Handle = r.Handle
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			drops = drops || e.Kind == expr.VerdictDrop
		case *expr.Reject:
			drops = true
		case *expr.Counter:
			d.Counted, d.Packets = true, e.Packets
		}
	}
	return d, drops
}

// rulesSince gives each rule what it counted since; the busiest come first.
func rulesSince(before, after []DropRule) []DropRule {
	rules := slices.Clone(after)
	for i := range rules {
		r := &rules[i]
		at := slices.IndexFunc(before, func(b DropRule) bool {
			return b.Handle == r.Handle && b.Family == r.Family && b.Table == r.Table && b.Chain == r.Chain
		})
		if at >= 0 {
			r.Packets = rise(before[at].Packets, r.Packets)
		}
	}
	slices.SortStableFunc(rules, func(a, b DropRule) int {
		switch {
		case a.Packets > b.Packets:
			return -1
		case a.Packets < b.Packets:
			return 1
		}
		return 0
	})
	return rules
}
