package groupplan

// Rule is one thing that is looked for.
type Rule struct {
	Name     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy"`
	Source   string   `json:"source"`
}

var rules = []Rule{
	{"not-multicast", Error, "the address is no group",
		"Hosts can't join it, and packets to it go to one host or nowhere.",
		"take a group of 239.192.0.0/14 or ff18::/16, which are an organisation's own", "RFC 1112 section 4; RFC 4291 section 2.7"},
	{"duplicate", Error, "the same stream is planned twice",
		"Two entries for one group, port and source are one stream: receivers get both and can't tell them apart.",
		"give one of them another group", "RFC 1112 section 7"},
	{"bad-source", Error, "the source can't send to the group",
		"A source is the address of one host, of the same family as the group.",
		"write the sender's own address", "RFC 1112 section 7.2; RFC 4291 section 2.7"},
	{"ssm-without-source", Error, "a source-specific group without a source",
		"In 232.0.0.0/8 and ff3x::/32 a receiver names the sources that it wants. Routers and snooping switches ignore joins without one, so nobody gets the group.",
		"list its sources, and let receivers join them by IGMPv3 or MLDv2; or take a group outside the range", "RFC 4607; RFC 4604 section 2.2"},
	{"ssm-reserved", Error, "a source-specific group that is reserved",
		"232.0.0.0/24 is not for use by hosts: 232.0.0.0 is reserved, and the rest is for IANA to give out.",
		"take a group of 232.0.1.0 to 232.255.255.255", "RFC 4607; IANA IPv4 multicast registry"},
	{"reserved", Error, "a group of a reserved range",
		"The range is kept back for what standards may make of it. Equipment may refuse it, and one day it may mean something else.",
		"take a group of 239.192.0.0/14 for use inside your network, or of 232.0.0.0/8 with sources", "RFC 5771; IANA IPv4 multicast registry"},
	{"link-local", Error, "a group of the link-local control block",
		"224.0.0.0/24 and ff02::/16 are for protocols of one link. No router forwards them, whatever the TTL, and switches flood all of 224.0.0.0/24 to every port.",
		"take a group of 239.192.0.0/14 or ff18::/16", "RFC 5771 section 4; RFC 4291 section 2.7; RFC 4541 section 2.1.2"},
	{"mac-alias-control", Error, "the Ethernet address of a group that is flooded",
		"Packets are delivered by Ethernet address on the link. One of a control group is flooded by switches to every port, and given to every host's CPU, whatever hosts joined.",
		"change the group so that its last 23 bits are not those of 224.0.0.x, and of IPv6 its last 32 bits above ff", "RFC 1112 section 6.4; RFC 2464 section 7; RFC 4541 section 2.1.2"},
	{"scope-node", Error, "a group that never leaves its host",
		"Packets to groups of scope 0 must not be sent, and those of scope 1 stay on the interface that they are sent on.",
		"take scope 5 (site) or 8 (organisation), such as ff18::1", "RFC 4291 section 2.7"},
	{"flags", Error, "flags that contradict each other",
		"A group with an embedded prefix (P) must be a temporary one (T), and one with an embedded rendezvous point (R) must have both.",
		"set the second group of four bits to 1, 3 or 7", "RFC 3306 section 4; RFC 3956"},
	{"ttl-zero", Error, "packets that never leave the sender",
		"A TTL or hop limit of 0 keeps packets on the host.",
		"set IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS to as many hops as receivers are away, plus one", "RFC 1112 section 6.1"},
	{"glop-of-others", Error, "a GLOP group of another autonomous system",
		"The middle two octets of a group in 233.0.0.0 to 233.251.255.255 are the number of the autonomous system that it belongs to.",
		"take 233.X.Y.0/24, where X.Y are the two octets of your number", "RFC 3180 section 2"},

	{"mac-alias", Warning, "two groups with one Ethernet address",
		"32 groups of IPv4 share each Ethernet address, and far more of IPv6. Network cards and switches that forward by it deliver both groups to who wants one, so hosts spend CPU on what they never joined.",
		"change one of them so that the last 23 bits differ (IPv6: the last 32)", "RFC 1112 section 6.4; RFC 2464 section 7"},
	{"several-ports", Warning, "one group with several ports",
		"Hosts join groups, not ports: who wants one stream gets all of them, and drops the others late.",
		"give each stream a group of its own", "RFC 1112 section 7"},
	{"unassigned", Warning, "a group that IANA may assign to somebody",
		"The registry lists it as free. Whom it is assigned to next will collide with you wherever the two networks meet.",
		"take a group of 239.192.0.0/14, of 232.0.0.0/8 with sources, or ask IANA for an assignment", "RFC 5771; IANA IPv4 multicast registry"},
	{"scope-relative", Warning, "a group that every scope has for a protocol",
		"The last 256 groups of a scope are for services that are found by their offset from the end, such as SAP, MADCAP and SLP.",
		"take a group below the last 256 of the scope", "RFC 2365; RFC 5771 section 10.1.1"},
	{"scope-undefined", Warning, "an IPv6 scope without a meaning",
		"Scopes 6, 7, 9 to d are free for administrators to define, and f is reserved. A router without your definition has no boundary for them.",
		"take scope 5 (site), 8 (organisation) or e (global), unless you define the scope at each boundary", "RFC 7346; RFC 4291 section 2.7"},
	{"well-known-unknown", Warning, "marked as permanently assigned, but in no registry known here",
		"Without the flag T a group of IPv6 is one that IANA assigned.",
		"set the flag: ff1x instead of ff0x", "RFC 4291 section 2.7"},
	{"ttl-one", Warning, "packets that stop at the first router",
		"With TTL 1, which is what sockets have by default, no router forwards the packet. The group's scope says that it is to go further.",
		"set IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS to the hops between senders and receivers, plus one; nothing if all are in one segment", "RFC 1112 section 6.1; RFC 2365 section 5"},

	{"ttl-beyond-scope", Note, "a TTL that reaches beyond the scope",
		"Only a boundary that routers are configured with keeps a scoped group inside. A small TTL is the second fence if one is forgotten.",
		"configure the boundary at each border router, or lower the TTL to the diameter of the scope", "RFC 2365 section 5"},
	{"sources-outside-ssm", Note, "sources listed for an any-source group",
		"Receivers may ask for sources of any group by IGMPv3, but outside of 232.0.0.0/8 and ff3x::/32 routers learn senders by a rendezvous point or by flooding, and anybody else can send to the group, too.",
		"take a group of 232.0.0.0/8 or ff3x::/32: then only these sources can reach receivers", "RFC 4607; RFC 7761"},
	{"known-use", Note, "a group that is assigned to something, or known for it",
		"Use it if you carry just that. For anything else it collides with the real one.",
		"nothing, if this is that service; else take a group of 239.192.0.0/14", "IANA multicast registries"},
	{"glop", Note, "a GLOP group, without a word whose it is",
		"The middle two octets of a group in 233.0.0.0 to 233.251.255.255 are the number of the autonomous system that it belongs to.",
		"write 'asn: NUMBER' in the plan, and this is checked", "RFC 3180 section 2"},
	{"unicast-prefix", Note, "a group made of a unicast prefix",
		"The octets behind 234, or the prefix in ff3x:, are those of addresses that the group belongs to.",
		"see that they are yours", "RFC 6034; RFC 3306 section 4"},
	{"scope-expansion", Note, "an administratively scoped group outside of the two scopes",
		"239.192.0.0/14 is the organisation's scope and 239.255.0.0/16 the smallest one. The rest of 239.0.0.0/8 is kept for both to grow into, and routers have no boundary for it by default.",
		"prefer 239.192.0.0/14, or see that a boundary covers the group", "RFC 2365"},
	{"shared-port", Note, "several groups with one port",
		"A socket of Linux that is bound to the port alone gets every group that any process of the host joined (IP_MULTICAST_ALL is on by default).",
		"let receivers bind to the group's address, or turn IP_MULTICAST_ALL off; or give each group a port of its own", "ip(7)"},
}

// Rules returns every rule, the worst first.
func Rules() []Rule { return append([]Rule(nil), rules...) }

// RuleNamed returns the rule of that name.
func RuleNamed(name string) (Rule, bool) {
	for _, r := range rules {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}
