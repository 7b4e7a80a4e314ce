package main

// explainedReason is what people should know of a drop reason.
type explainedReason struct {
	Reason  string `json:"reason"`
	Lost    string `json:"lost"` // packet: on its way in; copy: of one port
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
}

const (
	lostPacket = "packet"
	lostCopy   = "copy"
)

// reasons are all that the datapath counts; a test compares.
var reasons = []explainedReason{
	{"not_allowed", lostPacket, "The group is outside of the domain's allow list. Nobody can join it, and nothing is forwarded.",
		"add its prefix to 'allow' of the domain, if it is meant to be forwarded"},
	{"unregistered", lostPacket, "Nobody joined the group, and policy forbids flooding it. With 'unregistered: flood_without_querier' that begins when a querier is known.",
		"look who should have joined: 'fanlight subscribers list --group G'; hosts that speak neither IGMP nor MLD need a port under router_ports"},
	{"wrong_source", lostPacket, "Hosts joined the group, but none of them for this source (source-specific multicast, or an excluded source).",
		"compare the packet's source with the sources in 'fanlight subscribers list --group G'"},
	{"bad_source", lostPacket, "The source is no address of a host: it is multicast, broadcast or unspecified.",
		"find the sender by the interface in the drop event; its IP configuration is broken, or the packet is forged"},
	{"scope", lostPacket, "The group is ff00::/16 or ff01::/16, which never leave their node (RFC 4291).",
		"let the sender use a group of a wider scope, such as ff05::/16"},
	{"ttl", lostPacket, "The packet's TTL or hop limit is 0, so it must not be forwarded.",
		"raise the TTL of the sender: IP_MULTICAST_TTL is 1 by default, and each router takes one"},
	{"malformed", lostPacket, "The packet's headers contradict themselves: a length, a version or an extension header can't be right.",
		"capture it at the interface in the drop event; a broken sender, driver or tunnel makes such packets"},
	{"bad_checksum", lostPacket, "The checksum of an IGMP or MLD message, or of its IP header, is wrong (RFC 4541, 2.1.1). It is not believed.",
		"if it comes from a virtual machine, turn off its transmit checksum offload: 'ethtool -K eth0 tx off' there"},
	{"control_fragment", lostPacket, "The packet is a fragment of an IGMP message. No host sends those, but attackers do.",
		"find the sender by the interface in the drop event"},
	{"rate_limited", lostPacket, "The port sent more IGMP or MLD messages in a second than its limit.",
		"raise 'limits.messages_per_second_per_port' if the port leads to many hosts; otherwise find who floods"},

	{"no_device", lostCopy, "The port's interface was gone, or could not take packets at all.",
		"nothing, if it was removed: its members are forgotten within a second"},
	{"no_memory", lostCopy, "The kernel had no memory for the copy.",
		"look at 'free' and 'dmesg'; the host is short of memory, or a burst was too large for vm.min_free_kbytes"},
	{"port_down", lostCopy, "The port, or its other end, is down.",
		"'ip link set PORT up', at both ends"},
	{"backlog_full", lostCopy, "The receiving CPU's backlog was full: more copies were made in one go than it takes. It is the commonest loss with many ports.",
		"'sysctl -w net.core.netdev_max_backlog=10000', more than the largest number of ports times the packets of a burst; 'fanlight check --config FILE' tells the figure"},
	{"ring_full", lostCopy, "The ring between the two ends of a veth pair was full: the receiver takes packets more slowly than they come.",
		"give the receiver more CPU; with GRO or XDP on a veth its ring holds 256 packets"},
	{"qdisc_full", lostCopy, "The port's queueing discipline was full, or threw the copy away.",
		"'tc -s qdisc show dev PORT'; raise its limit, or slow the sender down"},
	{"tx_dropped", lostCopy, "The port's driver dropped the copy, and told nobody why.",
		"'ip -s link show PORT' and 'ethtool -S PORT'"},
	{"too_big", lostCopy, "The packet is larger than the port's MTU.",
		"give all ports of the domain the same MTU"},
	{"loop", lostCopy, "Copies of copies were about to be made for ever: ports of the host are connected to each other.",
		"take one of them out of the domain"},
	{"other", lostCopy, "The kernel refused the copy for a reason that has no name here.",
		"'perf trace -e skb:kfree_skb' shows where; please report it"},
}
