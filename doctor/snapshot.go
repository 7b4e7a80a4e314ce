package doctor

import (
	"net/netip"
	"time"
)

// Snapshot is all that was gathered, on which the diagnosis works. Counters are
// what they rose by in the window.
type Snapshot struct {
	Question Question
	// Prefix begins commands that must run in the question's namespace.
	Prefix string
	// Link is the interface that should receive.
	Link Link
	// Links are all interfaces of the namespace, Link among them.
	Links []Link
	// DeviceGroups are the link-layer groups that Link's hardware filter passes.
	DeviceGroups []DeviceGroup
	// Memberships are those of all interfaces.
	Memberships []Membership
	// Filters are the source filters of all interfaces.
	Filters []SourceFilter
	// Sysctls are the settings that findings look at, by name without "net.".
	Sysctls map[string]string
	// RouteToGroup and RouteToSource are what the routing table says.
	RouteToGroup  Route
	RouteToSource Route
	// Addresses are all of the host's own.
	Addresses []netip.Addr
	// Wire is what passed on the interfaces.
	Wire Wire
	// Delivered is what got through the IP layer to UDP, per source and port.
	Delivered []Stream
	// Heard are the queries that got through IP.
	Heard []Query
	// Counters are those of SNMP, such as "Udp.NoPorts", "TcpExt.IPReversePathFilter"
	// or "Udp6InErrors".
	Counters map[string]uint64
	// Softnet are the packets that a full backlog dropped.
	SoftnetDropped uint64
	// UDPMemory is in pages: used, and at which all is dropped.
	UDPMemory, UDPMemoryLimit uint64
	// Sockets are the UDP sockets of the namespace that may be meant.
	Sockets []Socket
	// DropRules and DropPolicies are of netfilter.
	DropRules    []DropRule
	DropPolicies []DropPolicy
	// LegacyTables names tables of the old iptables, whose rules are not looked at.
	LegacyTables []string
	// Programs are the BPF programs and filters at the ingress of Link.
	Programs []Program
	// Bridge is what Link is a port of; nil if none.
	Bridge *Bridge
	// Agent is what a running agent says; nil without one.
	Agent *AgentDelta
	// Unchecked tells why a facility could not be looked at.
	Unchecked map[Facility]string
}

// Facility is something to look at that may be missing.
type Facility string

// The facilities.
const (
	FacilityWire      Facility = "the wire"
	FacilityDelivery  Facility = "what reaches UDP"
	FacilityMembers   Facility = "memberships"
	FacilitySockets   Facility = "UDP sockets"
	FacilityOwners    Facility = "socket owners"
	FacilityOptions   Facility = "socket options"
	FacilityFirewall  Facility = "nftables"
	FacilityLegacy    Facility = "iptables-legacy"
	FacilityPrograms  Facility = "BPF programs"
	FacilityBridge    Facility = "the bridge"
	FacilityCounters  Facility = "kernel counters"
	FacilityMemory    Facility = "UDP memory"
	FacilityRoutes    Facility = "routes"
	FacilityAgent     Facility = "the agent"
	FacilityQuerier   Facility = "the querier"
	FacilityInterface Facility = "the interface"
)

// Link is an interface.
type Link struct {
	Index     int
	Name      string
	Kind      string // veth, bridge, vlan, device, ...
	Up        bool   // as configured
	Carrier   bool
	Multicast bool // the MULTICAST flag
	Loopback  bool
	AllMulti  bool // takes every group: PROMISC or ALLMULTI
	Master    int  // index of the bridge or bond that it is a port of; 0: none
	Parent    int  // index of the device that a VLAN lies on; 0: none
	VLAN      uint16
	XDP       string // how a program is attached, as ip(8) calls it: xdpdrv, xdpgeneric, ...; empty: none
	// Received and Missed are what the window added: frames, and those that the
	// hardware had no room for.
	Received, Missed uint64
}

// DeviceGroup is a link-layer address that an interface takes.
type DeviceGroup struct {
	Index int // of the interface
	MAC   [6]byte
}

// Membership is a group that an interface joined.
type Membership struct {
	Index int
	Group netip.Addr
	Users int // sockets, and the kernel itself
	// Version is the IGMP version that is spoken there, 0 for IPv6.
	Version int
}

// SourceFilter is a source that sockets asked for or refused.
type SourceFilter struct {
	Index             int
	Group, Source     netip.Addr
	Includes, Exclude int // sockets
}

// Route is where the routing table leads.
type Route struct {
	Index int // of the interface
	Found bool
}

// Wire is what was seen on all interfaces of the namespace.
type Wire struct {
	Window  time.Duration
	Streams []Stream
	Queries []Query
	// Reports are those for the group.
	Reports []MembershipReport
	// Fragmented datagrams of the group at the interface, and those that lacked a
	// part for more than a second.
	Fragmented, Incomplete uint64
	// Missed packets were too many to look at.
	Missed uint64
}

// Stream is the packets of the group with all of these in common.
type Stream struct {
	Index    int // of the interface
	VLAN     uint16
	Source   netip.Addr
	Port     uint16 // UDP destination port; 0: not UDP, or a later fragment
	Outgoing bool   // sent here
	Packets  uint64
	// MinTTL is the lowest TTL or hop limit.
	MinTTL uint8
	// Misaddressed had another link-layer destination than the group's, such as MAC.
	Misaddressed uint64
	MAC          [6]byte
	// Foreign were to another station's address.
	Foreign uint64
}

// Query is an IGMP or MLD query.
type Query struct {
	Index    int
	From     netip.Addr
	Version  int
	Outgoing bool
}

// MembershipReport is an IGMP or MLD report for the group.
type MembershipReport struct {
	Index    int
	Outgoing bool
	Leave    bool // or takes it back
}

// Socket is a UDP socket.
type Socket struct {
	IPv6    bool
	V6Only  bool
	Local   netip.AddrPort
	Remote  netip.AddrPort
	Device  int // index of the interface that it is bound to; 0: none
	Inode   uint32
	Queued  uint64 // bytes, at the end of the window
	RecvBuf uint64 // bytes
	Dropped uint64 // in the window
	Owner   Owner
	Options *Options // nil if they could not be read
}

// Owner is a process that holds a socket.
type Owner struct {
	PID     int
	Name    string
	Stopped bool
}

// Options are what only the socket itself tells.
type Options struct {
	// All is IP_MULTICAST_ALL: it gets groups that others joined.
	All bool
	// Joined tells that it joined the group at the interface; Include that it
	// takes Sources only, otherwise it takes all but these.
	Joined  bool
	Include bool
	Sources []netip.Addr
	// JoinedAt are the indexes of all interfaces where it joined the group.
	JoinedAt []int
	// Memberships counts all groups of its family that it joined.
	Memberships int
	// Filter is a BPF program that decides what it gets.
	Filter bool
}

// DropRule is a firewall rule that drops.
type DropRule struct {
	Family, Table, Chain string
	Hook                 string // on the way in or out; empty: only reached from other chains
	Handle               uint64
	Counted              bool
	Packets              uint64
}

// DropPolicy is a chain that drops what no rule of it accepts.
type DropPolicy struct {
	Family, Table, Chain, Hook string
}

// Program is a BPF program or a filter that sees packets before IP does.
type Program struct {
	Hook string // xdp, tcx, tc
	Name string
}

// Bridge is the bridge that the interface is a port of.
type Bridge struct {
	Index    int
	Name     string
	Snooping bool
	// Querier tells whether it knows one, itself included.
	Querier bool
	// Member tells that its table has the group at the port; Entries are all
	// other ports that have it.
	Member  bool
	Entries []string
	// RouterPort gets every group.
	RouterPort bool
}

// AgentView is what a running agent tells about the group; totals are those of
// its datapath.
type AgentView struct {
	// Flags are what a 'fanlight' command needs to ask the same agent, such as
	// " --socket /run/x.sock"; empty for the usual one.
	Flags string
	// Known tells that it saw packets or members of the group.
	Known           bool
	Dropped, Failed uint64 // packets, copies
	Subscribers     []AgentSubscriber
}

// AgentSubscriber is a port that subscribes to the group.
type AgentSubscriber struct {
	Interface string
	Hosts     []string
}

// AgentDelta is what an agent said at the end, and what the window added.
type AgentDelta struct {
	AgentView
	NewDropped, NewFailed uint64
}
