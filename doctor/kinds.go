package doctor

// Kind is something that can be wrong, without a host on which it is. Texts may
// hold placeholders such as {interface}.
type Kind struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Meaning  string   `json:"meaning"`
	Remedy   string   `json:"remedy"`
	Commands []string `json:"commands"`
	// Source is where the behaviour is laid down: an RFC, or a file of the kernel.
	Source string `json:"source"`
}

type kind struct {
	Kind
	well string // what to say if it was looked at and is not so
	look func(*Snapshot) verdict
	// stage orders the looks: those of a later one are only for what no earlier one
	// explains.
	stage int
}

const stages = 3

// Kinds returns all that can be found, the likeliest first among those of the
// same grade.
func Kinds() []Kind {
	list := make([]Kind, len(kinds))
	for i := range kinds {
		list[i] = kinds[i].Kind
	}
	return list
}

// kinds are filled in by init, because the looks use what lists them.
var kinds []kind

func init() {
	for _, part := range [][]kind{linkKinds, membershipKinds, wireKinds, ipKinds, socketKinds, hostKinds, agentKinds} {
		kinds = append(kinds, part...)
	}
}

var linkKinds = []kind{
	{well: "the interface is up", look: lookLinkDown, Kind: Kind{
		ID: "link_down", Title: "{interface} is down",
		Meaning:  "An interface that is down receives nothing, and its memberships are not reported.",
		Remedy:   "set it up",
		Commands: []string{"ip link set {interface} up"},
		Source:   "net/core/dev.c, dev_open",
	}},
	{well: "the interface has a carrier", look: lookNoCarrier, Kind: Kind{
		ID: "no_carrier", Title: "{interface} has no carrier",
		Meaning: "Nothing is connected to the interface, or the other end is down: a cable, a switch port, the peer of a veth pair.",
		Remedy:  "look at the cable and at the other end; of a veth pair, 'ip -d link show {interface}' names it (link-netns, if@)",
		Source:  "RFC 2863, ifOperStatus lowerLayerDown",
	}},
	{well: "sockets may join at the interface", look: lookPortOfMaster, Kind: Kind{
		ID: "port_of_master", Title: "{interface} is a port of {master}",
		Meaning:  "What a port of a bridge or bond receives belongs to the bridge or bond. Sockets that join at the port hear nothing.",
		Remedy:   "join at {master}, by its name or one of its addresses; or take {interface} out of it",
		Commands: []string{"ip link set {interface} nomaster"},
		Source:   "net/bridge/br_input.c, br_handle_frame",
	}},
	{well: "the interface has the flag MULTICAST", look: lookNoMulticastFlag, Kind: Kind{
		ID: "no_multicast_flag", Title: "{interface} does not take multicast",
		Meaning:  "Without the flag MULTICAST, drivers let no group address through, and IPv6 joins nothing.",
		Remedy:   "set the flag",
		Commands: []string{"ip link set {interface} multicast on"},
		Source:   "netdevice(7), IFF_MULTICAST; net/core/dev.c, __dev_set_rx_mode",
	}},
	{well: "IPv6 is on at the interface", look: lookIPv6Disabled, Kind: Kind{
		ID: "ipv6_disabled", Title: "IPv6 is turned off at {interface}",
		Meaning:  "With disable_ipv6 the kernel drops every IPv6 packet that comes in by the interface.",
		Remedy:   "turn it on",
		Commands: []string{"sysctl -w net.ipv6.conf.{conf}.disable_ipv6=0"},
		Source:   "Documentation/networking/ip-sysctl.rst; net/ipv6/ip6_input.c, ip6_rcv_core",
	}},
}

var membershipKinds = []kind{
	{well: "no socket is at the limit of its memberships", look: lookMembershipLimit, Kind: Kind{
		ID: "membership_limit", Title: "a socket has joined all the groups that it may",
		Meaning:  "Each socket may join igmp_max_memberships IPv4 groups (20). The next join fails with ENOBUFS, which programs like to ignore.",
		Remedy:   "raise the limit and restart the program, or let it use more sockets",
		Commands: []string{"sysctl -w net.ipv4.igmp_max_memberships={limit}"},
		Source:   "net/ipv4/igmp.c, __ip_mc_join_group; ip(7)",
	}},
	{well: "no socket is at the limit of its sources", look: lookSourceLimit, Kind: Kind{
		ID: "source_limit", Title: "a socket names all the sources that it may",
		Meaning:  "Each socket may name igmp_max_msf sources of an IPv4 group (10), mld_max_msf of an IPv6 group (64). The next fails with ENOBUFS.",
		Remedy:   "raise the limit and restart the program, or let it join from any source",
		Commands: []string{"sysctl -w {limit}"},
		Source:   "net/ipv4/igmp.c, ip_mc_source; net/ipv6/mcast.c, ip6_mc_source",
	}},
	{well: "a join without an interface has a route", look: lookNoRoute, Kind: Kind{
		ID: "no_route", Title: "there is no route to {group}, so a join fails",
		Meaning:  "A join that names no interface uses the one that the routing table has for the group. Without a route it fails with ENODEV, and nothing is joined.",
		Remedy:   "add a route, or let the program name the interface",
		Commands: []string{"ip route replace {route} dev {interface}{table}"},
		Source:   "net/ipv4/igmp.c, ip_mc_find_dev; net/ipv6/mcast.c, __ipv6_sock_mc_join",
	}},
	{well: "the group is joined", look: lookJoined, Kind: Kind{
		ID: "not_joined", Title: "nothing on this host has joined {group}",
		Meaning: "Without a member the host reports nothing, switches that snoop and routers do not forward the group, and the kernel drops what comes anyway. Being bound to the group is not joining it.",
		Remedy:  "start the program, or look in its log why its join failed (IP_ADD_MEMBERSHIP, MCAST_JOIN_GROUP, IPV6_JOIN_GROUP)",
		Source:  "RFC 1112 section 7.1; net/ipv4/route.c, ip_mc_validate_source",
	}},
	{well: "the group is joined where it is expected", look: lookJoinedElsewhere, Kind: Kind{
		ID: "joined_elsewhere", Title: "{group} is joined at another interface than {interface}",
		Meaning:  "A membership holds for one interface. A join that names none takes the one of the route to the group, which is often that of the default route.",
		Remedy:   "let the program name the interface; or send joins the right way and restart it",
		Commands: []string{"ip route replace {route} dev {interface}{table}"},
		Source:   "net/ipv4/igmp.c, ip_mc_find_dev",
	}},
	{well: "the members take the source", look: lookSourceFilter, Kind: Kind{
		ID: "source_filtered", Title: "the members at {interface} do not take the source {source}",
		Meaning: "Sockets joined from certain sources only (SSM), or exclude this one. The kernel drops others without counting them.",
		Remedy:  "let the program name the source {source} (IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_SOURCE_GROUP), or join from any source",
		Source:  "RFC 4604; net/ipv4/igmp.c, ip_check_mc_rcu; net/ipv6/mcast.c, ipv6_chk_mcast_addr",
	}},
	{well: "reports name their sources", look: lookVersionForced, Kind: Kind{
		ID: "version_forced", Title: "a forced version of IGMP or MLD has no sources in its reports",
		Meaning:  "IGMPv1, IGMPv2 and MLDv1 can't ask for sources. Routers and switches ignore such reports for source-specific groups.",
		Remedy:   "let the kernel speak IGMPv3 and MLDv2",
		Commands: []string{"sysctl -w {sysctl}=0"},
		Source:   "RFC 4604 section 2.2.1; Documentation/networking/ip-sysctl.rst",
	}},
	{well: "no old querier keeps sources out of reports", look: lookOldQuerier, Kind: Kind{
		ID: "old_querier", Title: "a querier of an old version keeps sources out of reports",
		Meaning: "A host that hears an IGMPv1 or IGMPv2 query answers in that version until the querier has been silent for the Older Version Querier Present Timeout. Such reports name no sources.",
		Remedy:  "make the querier speak IGMPv3; this host returns to it when the old queries have been gone for that long, 260 s by default",
		Source:  "RFC 9776 section 7.2.1",
	}},
	{well: "the hardware filter has the group", look: lookMACFilter, Kind: Kind{
		ID: "mac_filter", Title: "the hardware filter of {interface} lacks the group's address",
		Meaning:  "The interface joined the group, and its list of link-layer groups does not have it: a driver error, or somebody removed it.",
		Remedy:   "take all groups until the program is restarted",
		Commands: []string{"ip link set {interface} allmulticast on"},
		Source:   "RFC 1112 section 6.4; net/core/dev_addr_lists.c",
	}},
}

var wireKinds = []kind{
	{well: "the group does not come by another interface", look: lookElsewhere, Kind: Kind{
		ID: "arrives_elsewhere", Title: "{group} arrives at {other}, not at {interface}",
		Meaning: "The network brings the group to another interface than the one that is looked at.",
		Remedy:  "join at {other}; or connect {interface} to the network of the source",
		Source:  "RFC 1112 section 7.1: a membership holds for one interface",
	}},
	{well: "the group does not come in a VLAN that nobody takes out", look: lookVLAN, Kind: Kind{
		ID: "vlan_tagged", Title: "{group} arrives in VLAN {vlan}",
		Meaning:  "Packets with a VLAN tag belong to the interface of that VLAN. Without one the kernel drops them.",
		Remedy:   "join at {subinterface}, which these make if it is missing; or let the switch send the VLAN untagged",
		Commands: []string{"ip link add link {parent} name {subinterface} type vlan id {vlan}", "ip link set {subinterface} up"},
		Source:   "IEEE 802.1Q; net/8021q/vlan_core.c, vlan_do_receive",
	}},
	{well: "the group comes from the source", look: lookOtherSource, Kind: Kind{
		ID: "other_source", Title: "{group} comes from {other}, not from {source}",
		Meaning: "The group arrives, sent by somebody else.",
		Remedy:  "compare the address of the sender with what the program asks for; ask again with --source {other}",
		Source:  "RFC 4607 section 1: (S,G) and (S',G) are different channels",
	}},
	{well: "the group comes to the port", look: lookOtherPort, Kind: Kind{
		ID: "other_port", Title: "{group} is sent to port {other}, not to {port}",
		Meaning: "The group arrives, for another UDP port.",
		Remedy:  "compare the port of the sender with that of the program; ask again with --port {other}",
		Source:  "RFC 768",
	}},
	{well: "frames are addressed to the group", look: lookMAC, Kind: Kind{
		ID: "wrong_mac", Title: "frames with {group} have another link-layer address",
		Meaning: "Hardware filters and switches go by the link-layer address. One that does not follow from the group does not reach its members.",
		Remedy:  "look at the sender {sender} and at what rewrites frames in between: static ARP entries, load balancers, multicast-to-unicast",
		Source:  "RFC 1112 section 6.4; RFC 2464 section 7",
	}},
	{well: "all fragments come", look: lookFragments, Kind: Kind{
		ID: "fragments_incomplete", Title: "fragments of {group} get lost",
		Meaning:  "A datagram larger than the MTU comes in fragments, and is dropped whole if one is missing: lost in the network, or at a firewall that passes the first ones only.",
		Remedy:   "let the sender send datagrams that fit the MTU; give reassembly more room",
		Commands: []string{"sysctl -w {fragments}=16777216"},
		Source:   "RFC 791 section 3.2; RFC 8200 section 4.5",
	}},
	{well: "packets can pass routers", look: lookTTL, Kind: Kind{
		ID: "ttl_low", Title: "{group} is sent with a TTL that no router lets through",
		Meaning: "The TTL of multicast is 1 unless the sender sets it, and each router takes one. Receivers behind a router get nothing.",
		Remedy:  "set IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS at the sender {sender}",
		Source:  "RFC 1112 section 6.1; ip(7), IP_MULTICAST_TTL",
	}},
	{well: "what is sent here leaves by the interface", look: lookSentElsewhere, Kind: Kind{
		ID: "sent_elsewhere", Title: "this host sends {group} by {other}, not by {interface}",
		Meaning:  "A sender that names no interface (IP_MULTICAST_IF, IPV6_MULTICAST_IF) uses the one of the route to the group, which is often that of the default route.",
		Remedy:   "let the sender name the interface; or send the group the right way",
		Commands: []string{"ip route replace {route} dev {interface}{table}"},
		Source:   "ip(7), IP_MULTICAST_IF; RFC 1112 section 6.1",
	}},
	{well: "what is sent here comes back to its members", look: lookLoopback, Kind: Kind{
		ID: "loopback_off", Title: "a sender on this host keeps {group} from it",
		Meaning: "What a host sends comes back to members on the same host only if the sender leaves IP_MULTICAST_LOOP (IPV6_MULTICAST_LOOP) on.",
		Remedy:  "turn the option on at the sender, or run it on another host",
		Source:  "RFC 1112 section 6.1; ip(7), IP_MULTICAST_LOOP",
	}},
	{well: "a querier is there", look: lookQuerier, Kind: Kind{
		ID: "no_querier", Title: "no querier asks at {interface}",
		Meaning: "Without queries hosts do not repeat their reports, and switches that snoop forget them: the group comes for some minutes after a join, then stops.",
		Remedy:  "turn on the querier of the switch or router; or let this host's bridge or 'fanlight run' ask",
		Source:  "RFC 4541 section 2.1.1; RFC 9776 section 8.4: 260 s",
	}},
	{well: "no XDP program hides the group", look: lookXDP, stage: 1, Kind: Kind{
		ID: "xdp_program", Title: "an XDP program at {interface} may take the group",
		Meaning:  "An XDP program sees packets before everything else, and leaves no trace of what it drops.",
		Remedy:   "look what it counts; take it off for a test, or end the process that holds it ('bpftool link')",
		Commands: []string{"ip link set dev {interface} {xdp} off"},
		Source:   "Documentation/networking/filter.rst; bpf(2)",
	}},
	{well: "the group arrives", look: lookNotArriving, stage: 2, Kind: Kind{
		ID: "not_arriving", Title: "{group} does not arrive at {interface}",
		Meaning: "This host does its part, as far as can be seen: what is missing is upstream. The sender does not send, or with a TTL of 1; a router has no tree for the group; a switch that snoops did not see this host's report.",
		Remedy:  "run 'fanlight doctor --group {group}' on the sender's host; see whether the switch lists the group at this port; look for queries with --for 130s",
		Source:  "RFC 4541; RFC 7761",
	}},
}

var ipKinds = []kind{
	{well: "the reverse-path filter drops nothing", look: lookReversePath, Kind: Kind{
		ID: "rp_filter", Title: "the reverse-path filter drops the source",
		Meaning:  "In mode 1 the kernel drops packets that come in by another interface than the one that the route to their source uses, in mode 2 those that have no route at all. The larger of the settings for all interfaces and for this one counts.",
		Remedy:   "loosen the filter at both; or give the source a route by {interface}, as with 'ip route add {source} dev {interface}'",
		Commands: []string{"sysctl -w net.ipv4.conf.all.rp_filter={mode} net.ipv4.conf.{conf}.rp_filter={mode}"},
		Source:   "RFC 3704; Documentation/networking/ip-sysctl.rst, rp_filter",
	}},
	{well: "no packet comes from an address of this host", look: lookLocalSource, Kind: Kind{
		ID: "source_local", Title: "the source is an address of this host",
		Meaning:  "The kernel drops packets that come in from one of its own addresses: two hosts have the same one, or a switch returns what was sent.",
		Remedy:   "give one of the two another address; or accept it here",
		Commands: []string{"sysctl -w net.ipv4.conf.{conf}.accept_local=1"},
		Source:   "net/ipv4/fib_frontend.c, __fib_validate_source; Documentation/networking/ip-sysctl.rst, accept_local",
	}},
	{well: "sources are addresses of hosts", look: lookInvalidSource, Kind: Kind{
		ID: "source_invalid", Title: "the source is no address of a host",
		Meaning: "The kernel drops packets from 0.0.0.0, from loopback addresses and from groups, and counts them nowhere.",
		Remedy:  "find the sender by its link-layer address; its IP configuration is broken",
		Source:  "RFC 1112 section 7.2; net/ipv4/route.c, ip_mc_validate_source",
	}},
	{well: "no firewall rule dropped", look: lookDropRule, Kind: Kind{
		ID: "firewall_rule", Title: "a firewall rule drops the group",
		Meaning:  "The counter of a rule that drops rose while packets of the group reached the interface and not UDP.",
		Remedy:   "accept the group ahead of it; 'nft -a list chain {family} {table} {chain}' shows the rule",
		Commands: []string{"nft insert rule {family} {table} {chain} {ip} daddr {group} accept"},
		Source:   "nft(8)",
	}},
	{well: "no firewall chain may have dropped", look: lookFirewall, stage: 1, Kind: Kind{
		ID: "firewall_suspect", Title: "the firewall may drop the group",
		Meaning:  "Packets reach the interface and not UDP, nothing else explains it, and a chain drops by policy or by a rule without a counter.",
		Remedy:   "accept the group ahead of it; 'nft -a list chain {family} {table} {chain}' shows the rules",
		Commands: []string{"nft insert rule {family} {table} {chain} {ip} daddr {group} accept"},
		Source:   "nft(8)",
	}},
	{well: "queries get through", look: lookQueriesDropped, Kind: Kind{
		ID: "queries_dropped", Title: "IGMP or MLD queries do not get through to this host",
		Meaning:  "A host that hears no query does not repeat its reports. Switches and routers forget it after some minutes, and the group stops. Firewalls that drop by default often forget IGMP and MLD.",
		Remedy:   "accept IGMP or MLD",
		Commands: []string{"nft insert rule {family} {table} {chain} meta l4proto {control} accept"},
		Source:   "RFC 9776 section 5.2; RFC 4890 section 4.4.1",
	}},
	{well: "no firewall chain may have dropped reports", look: lookReportsDropped, stage: 1, Kind: Kind{
		ID: "reports_dropped", Title: "the firewall may keep this host's reports from leaving",
		Meaning:  "The host joined the group, nothing arrives, and a chain on the way out drops by policy or by a rule. Without reports nobody knows that the group is wanted here.",
		Remedy:   "accept IGMP or MLD on the way out",
		Commands: []string{"nft insert rule {family} {table} {chain} meta l4proto {control} accept"},
		Source:   "RFC 9776 section 5.1; RFC 4890 section 4.4.1",
	}},
	{well: "no program at the interface may have dropped", look: lookProgram, stage: 1, Kind: Kind{
		ID: "ingress_program", Title: "a program at the ingress of {interface} may take the group",
		Meaning:  "Packets reach the interface and not UDP, nothing else explains it, and a BPF program or filter sees them in between.",
		Remedy:   "look what it counts; take it off for a test",
		Commands: []string{"tc -s filter show dev {interface} ingress", "bpftool net show dev {interface}"},
		Source:   "tc-bpf(8)",
	}},
	{well: "IP loses nothing", look: lookLostInIP, stage: 2, Kind: Kind{
		ID: "lost_in_ip", Title: "IP drops the group at {interface}",
		Meaning:  "Packets reach the interface and not UDP, and nothing that was looked at explains it.",
		Remedy:   "see where the kernel drops them; for rules of the old iptables, see their counters",
		Commands: []string{"perf trace --no-syscalls -e skb:kfree_skb --max-events 20", "iptables-legacy -vnL"},
		Source:   "net/ipv4/ip_input.c; net/ipv6/ip6_input.c",
	}},
}

var socketKinds = []kind{
	{well: "the members listen to the right port", look: lookWrongPort, Kind: Kind{
		ID: "wrong_port", Title: "the member is bound to another port than {port}",
		Meaning: "A socket joined the group, and listens to a port to which nothing is sent.",
		Remedy:  "bind it to port {port}",
		Source:  "RFC 768; udp(7)",
	}},
	{well: "a socket is bound to the port", look: lookNoSocket, Kind: Kind{
		ID: "no_socket", Title: "no socket is bound to port {port}",
		Meaning:  "The packets get through to UDP, and nobody takes them. For multicast the kernel answers nothing and counts them as IgnoredMulti.",
		Remedy:   "start the program; look what it is bound to",
		Commands: []string{"ss -ulpn sport = :{first}"},
		Source:   "RFC 1122 section 4.1.3.1; net/ipv4/udp.c, __udp4_lib_mcast_deliver",
	}},
	{well: "no socket is bound to another address", look: lookBoundElsewhere, Kind: Kind{
		ID: "bound_elsewhere", Title: "the socket is bound to another address than {group}",
		Meaning: "A socket gets only what is sent to the address that it is bound to. One that is bound to an address of the host, or to another group, gets no packet of this group, joined or not.",
		Remedy:  "bind it to {group} or to the unspecified address (0.0.0.0, ::)",
		Source:  "ip(7); net/ipv4/udp.c, __udp_is_mcast_sock",
	}},
	{well: "no socket is bound to another interface", look: lookWrongDevice, Kind: Kind{
		ID: "bound_device", Title: "the socket is bound to another interface than {interface}",
		Meaning: "SO_BINDTODEVICE keeps a socket from packets that come by other interfaces.",
		Remedy:  "bind it to {interface}, or to none",
		Source:  "socket(7), SO_BINDTODEVICE",
	}},
	{well: "no socket is connected to another sender", look: lookWrongPeer, Kind: Kind{
		ID: "connected_elsewhere", Title: "the socket is connected",
		Meaning: "A connected UDP socket gets packets of its peer only, and only those to the address of this host that connecting bound it to. One that is connected to the group gets none, for no packet comes from a group.",
		Remedy:  "don't connect the socket that receives; send with sendto",
		Source:  "connect(2); net/ipv4/udp.c, __udp_is_mcast_sock",
	}},
	{well: "sockets take the source", look: lookSocketFilter, Kind: Kind{
		ID: "socket_filter", Title: "the socket's own filter refuses the source",
		Meaning: "The interface takes the source for the sake of another socket, and this one named others, or excludes it.",
		Remedy:  "let the program name the source too, or join from any",
		Source:  "RFC 3678; net/ipv4/igmp.c, ip_mc_sf_allow",
	}},
	{well: "sockets joined by themselves, or take what others joined", look: lookSocketDeaf, Kind: Kind{
		ID: "socket_not_joined", Title: "the socket did not join {group} itself",
		Meaning: "Somebody else on this host joined the group. A socket that has turned off IP_MULTICAST_ALL (IPV6_MULTICAST_ALL) gets only what it joined itself, at the interface where it did.",
		Remedy:  "let it join at {interface}, or leave IP_MULTICAST_ALL on",
		Source:  "ip(7), IP_MULTICAST_ALL; net/ipv4/igmp.c, ip_mc_sf_allow",
	}},
	{well: "no filter program keeps packets from a socket", look: lookFilterProgram, Kind: Kind{
		ID: "socket_program", Title: "a filter program of the socket drops",
		Meaning: "The socket has a BPF program, and loses datagrams though its buffer has room.",
		Remedy:  "look at the program that the process attaches (SO_ATTACH_FILTER, SO_ATTACH_BPF)",
		Source:  "socket(7), SO_ATTACH_FILTER",
	}},
	{well: "checksums are right", look: lookChecksum, Kind: Kind{
		ID: "udp_checksum", Title: "UDP checksums are wrong",
		Meaning: "The kernel drops datagrams with a wrong checksum, often only when the program reads. Virtual switches that pass on what a sender left to its hardware make them, or the network damages packets.",
		Remedy:  "at a sender that is a virtual machine or a container, compute them in software: 'ethtool -K eth0 tx off' there",
		Source:  "RFC 768; net/ipv4/udp.c, udp_recvmsg",
	}},
	{well: "no socket lost datagrams", look: lookOverflow, Kind: Kind{
		ID: "socket_overflow", Title: "the socket's buffer is full",
		Meaning:  "The program reads more slowly than packets come, or too short a burst is too much for its buffer.",
		Remedy:   "look whether the program runs and keeps up ('top -p {pid}'); let it ask for a larger buffer (SO_RCVBUF), which this allows",
		Commands: []string{"sysctl -w net.core.rmem_max={bytes}"},
		Source:   "socket(7), SO_RCVBUF; net/ipv4/udp.c, __udp_enqueue_schedule_skb",
	}},
	{well: "UDP has memory", look: lookUDPMemory, Kind: Kind{
		ID: "udp_memory", Title: "UDP has used up its memory",
		Meaning:  "All UDP sockets of the host together hold more than the third figure of udp_mem, in pages.",
		Remedy:   "find who does not read ('ss -uamn'); raise the limit",
		Commands: []string{"sysctl -w net.ipv4.udp_mem='{pages}'"},
		Source:   "udp(7), udp_mem",
	}},
}

var hostKinds = []kind{
	{well: "the bridge has the group at the port", look: lookBridgeMember, Kind: Kind{
		ID: "bridge_no_member", Title: "{bridge} keeps {group} from the port {interface}",
		Meaning:  "The bridge snoops, and saw no report for the group at this port. Who is behind it has not joined, or its reports do not get here.",
		Remedy:   "let the receiver behind the port join; until then, add the group by hand",
		Commands: []string{"bridge mdb add dev {bridge} port {interface} grp {group} permanent"},
		Source:   "RFC 4541 section 2.1.2; net/bridge/br_multicast.c",
	}},
	{well: "backlogs drop nothing", look: lookSoftnet, Kind: Kind{
		ID: "softnet_drops", Title: "a CPU's backlog is full",
		Meaning:  "A CPU gets packets faster than it works them off, and drops them before IP sees them. Virtual interfaces (veth, loopback) use this queue.",
		Remedy:   "make it longer; spread the load with RPS",
		Commands: []string{"sysctl -w net.core.netdev_max_backlog=10000"},
		Source:   "Documentation/networking/scaling.rst; net/core/dev.c, enqueue_to_backlog",
	}},
	{well: "the hardware misses nothing", look: lookNICDrops, Kind: Kind{
		ID: "nic_drops", Title: "the hardware of {interface} misses frames",
		Meaning:  "Frames come faster than the host takes them off the ring of the network card.",
		Remedy:   "make the ring longer",
		Commands: []string{"ethtool -G {interface} rx 4096", "ethtool -S {interface}"},
		Source:   "Documentation/networking/statistics.rst, rx_missed_errors",
	}},
	{well: "the bridge knows a querier", look: lookBridgeQuerier, Kind: Kind{
		ID: "bridge_no_querier", Title: "{bridge} snoops without a querier",
		Meaning:  "Without a querier a Linux bridge floods every group to every port, for it can't know who wants it.",
		Remedy:   "let the bridge ask",
		Commands: []string{"ip link set dev {bridge} type bridge mcast_querier 1"},
		Source:   "RFC 4541 section 2.1.1; net/bridge/br_multicast.c",
	}},
}

var agentKinds = []kind{
	{well: "the agent knows a subscriber behind the port", look: lookAgentPort, Kind: Kind{
		ID: "agent_port_no_member", Title: "the fanlight agent knows no subscriber behind its port {interface}",
		Meaning:  "The interface is a port of the agent, which forwards to ports that asked. It saw no report for the group there: who is behind it has not joined, or its reports do not get here.",
		Remedy:   "run 'fanlight doctor --group {group}' where the subscriber is; for hosts that speak neither IGMP nor MLD, put the port under router_ports",
		Commands: []string{"fanlight subscribers list --group {group}{agent}"},
		Source:   "RFC 4541 section 2.1.2",
	}},
	{well: "the agent forwards the group to this host", look: lookAgentMember, Kind: Kind{
		ID: "agent_no_member", Title: "the fanlight agent does not know this host as a member",
		Meaning:  "The agent forwards the group to others, and saw no report of this host at its ports, or it expired.",
		Remedy:   "see who it knows; look for reports that get lost: firewalls, old versions, a limit of the agent",
		Commands: []string{"fanlight subscribers list --group {group}{agent}"},
		Source:   "RFC 4541 section 2.1.1",
	}},
	{well: "the agent drops nothing of the group", look: lookAgentDrops, Kind: Kind{
		ID: "agent_drops", Title: "the fanlight agent drops packets of {group}",
		Meaning:  "Its datapath refuses packets of the group. 'fanlight explain' tells what each reason means.",
		Remedy:   "see the reasons in fanlight_drops_total or in the drop events",
		Commands: []string{"fanlight groups list --group {group}{agent}"},
		Source:   "fanlight explain",
	}},
	{well: "the agent's copies succeed", look: lookAgentFailures, Kind: Kind{
		ID: "agent_copies_fail", Title: "copies that the fanlight agent makes of {group} fail",
		Meaning:  "Some of the agent's ports do not take their copies. It may be this one.",
		Remedy:   "see the ports and reasons in fanlight_copy_failures_total",
		Commands: []string{"fanlight groups list --group {group}{agent}"},
		Source:   "fanlight explain",
	}},
}
