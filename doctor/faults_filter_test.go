package doctor_test

import (
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
)

// firewall makes a chain at the input hook of sub, with one rule about the group
// unless that has no expressions.
func (s *scene) firewall(policy nftables.ChainPolicy, then ...expr.Any) {
	s.t.Helper()
	s.chain(nftables.ChainHookInput, policy, then...)
}

func (s *scene) chain(hook *nftables.ChainHook, policy nftables.ChainPolicy, then ...expr.Any) {
	s.t.Helper()
	s.must(s.ns.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		family := nftables.TableFamilyIPv4
		if s.is6() {
			family = nftables.TableFamilyIPv6
		}
		table := c.AddTable(&nftables.Table{Family: family, Name: "filter"})
		chain := c.AddChain(&nftables.Chain{
			Name: "input", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: &policy,
		})
		if len(then) > 0 {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(s.toGroup(), then...)})
		}
		return c.Flush()
	}))
}

// insertRule does what 'nft insert rule' does with these words: FAMILY TABLE CHAIN
// MATCH VALUE accept. So the tests need no nft.
func (s *scene) insertRule(text string) {
	s.t.Helper()
	words := strings.Fields(text)
	if len(words) < 5 || words[len(words)-1] != "accept" {
		s.t.Fatalf("nft insert rule %s: no rule that accepts", text)
	}
	matches := map[string][]expr.Any{
		"ip daddr " + s.group.String():  s.toGroup(),
		"ip6 daddr " + s.group.String(): s.toGroup(),
		"meta l4proto igmp":             ofProtocol(unix.IPPROTO_IGMP),
		"meta l4proto ipv6-icmp":        ofProtocol(unix.IPPROTO_ICMPV6),
	}
	match, known := matches[strings.Join(words[3:len(words)-1], " ")]
	family := map[string]nftables.TableFamily{"ip": nftables.TableFamilyIPv4, "ip6": nftables.TableFamilyIPv6}[words[0]]
	if !known || family == 0 {
		s.t.Fatalf("nft insert rule %s: unknown", text)
	}
	s.must(s.ns.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := &nftables.Table{Family: family, Name: words[1]}
		c.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: words[2], Table: table}, Exprs: append(match, &expr.Verdict{Kind: expr.VerdictAccept})})
		return c.Flush()
	}))
}

func ofProtocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

// toGroup matches the destination.
func (s *scene) toGroup() []expr.Any {
	offset := uint32(16)
	if s.is6() {
		offset = 24
	}
	a := s.group.AsSlice()
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(a))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a},
	}
}

var drop = &expr.Verdict{Kind: expr.VerdictDrop}

var firewallFaults = []fault{
	{want: "firewall_rule", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		s.firewall(nftables.ChainPolicyAccept, &expr.Counter{}, drop)
	}},
	{want: "firewall_suspect", name: "no counter", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		s.firewall(nftables.ChainPolicyAccept, drop)
	}},
	{want: "firewall_suspect", name: "policy", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		s.firewall(nftables.ChainPolicyDrop)
	}},
	{want: "queries_dropped", name: "nothing arrives", families: both, mends: true, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.askQueries(3)
		s.firewall(nftables.ChainPolicyDrop)
	}},
	{want: "queries_dropped", name: "the group still comes", families: both, provoke: func(s *scene) {
		healthy(s)
		s.askQueries(3)
		s.firewall(nftables.ChainPolicyDrop, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
	}},
	{want: "reports_dropped", families: both, provoke: func(s *scene) {
		s.chain(nftables.ChainHookOutput, nftables.ChainPolicyDrop)
		s.listen(lab.ListenConfig{})
	}},
	{name: "healthy, a rule that accepts", families: both, provoke: func(s *scene) {
		healthy(s)
		s.firewall(nftables.ChainPolicyDrop, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
	}},
}

// program loads one that does nothing but return a verdict.
func (s *scene) program(typ ebpf.ProgramType, verdict int32) *ebpf.Program {
	s.t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "swallow", Type: typ, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	})
	s.must(err)
	s.t.Cleanup(func() { p.Close() })
	return p
}

var programFaults = []fault{
	{want: "ingress_program", families: both, provoke: func(s *scene) {
		healthy(s)
		p := s.program(ebpf.SchedCLS, 2) // TC_ACT_SHOT
		s.must(s.ns.Do(func() error {
			l, err := link.AttachTCX(link.TCXOptions{Interface: s.link(s.ns, "eth0").Attrs().Index, Program: p, Attach: ebpf.AttachTCXIngress})
			if err == nil {
				s.t.Cleanup(func() { l.Close() })
			}
			return err
		}))
	}},
	{want: "xdp_program", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		p, eth0 := s.program(ebpf.XDP, 1), s.link(s.ns, "eth0") // XDP_DROP
		s.must(s.ns.Do(func() error { return netlink.LinkSetXdpFdWithFlags(eth0, p.FD(), nl.XDP_FLAGS_SKB_MODE) }))
	}},
}

// hook drops everything at the input hook, where no list of rules shows it.
func (s *scene) hook() {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "hide", Type: ebpf.Netfilter, AttachType: ebpf.AttachNetfilter, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, // NF_DROP
	})
	s.must(err)
	s.t.Cleanup(func() { p.Close() })
	family := link.NetfilterProtoIPv4
	if s.is6() {
		family = link.NetfilterProtoIPv6
	}
	s.must(s.ns.Do(func() error {
		l, err := link.AttachNetfilter(link.NetfilterOptions{Program: p, ProtocolFamily: family, Hook: link.NetfilterInetLocalIn, Priority: -300})
		if err == nil {
			s.t.Cleanup(func() { l.Close() })
		}
		return err
	}))
}
