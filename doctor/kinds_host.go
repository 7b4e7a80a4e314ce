package doctor

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
