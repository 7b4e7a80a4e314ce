package doctor

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
