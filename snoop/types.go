package snoop

import (
	"cmp"
	"net/netip"
	"time"
)

// Port names a port of the segment: an interface index, opaque here.
type Port uint32

// VLAN is a VLAN of the segment: the outer id in the high 16 bits, the inner
// one in the low 16. Untagged is 0.
type VLAN uint32

// MAC is an Ethernet address.
type MAC = [6]byte

// GroupKey identifies a group: the same address in two VLANs is two groups.
type GroupKey struct {
	VLAN  VLAN
	Group netip.Addr
}

func (k GroupKey) compare(o GroupKey) int {
	return cmp.Or(cmp.Compare(k.VLAN, o.VLAN), k.Group.Compare(o.Group))
}

// MemberKey identifies a member: a port that wants a group.
type MemberKey struct {
	GroupKey
	Port Port
}

// Packet is one received control packet.
type Packet struct {
	Port   Port
	VLAN   VLAN
	At     time.Duration // when the kernel received it, monotonic
	SrcMAC MAC
	// IP holds the packet from its IP header on, perhaps with the padding of
	// the frame after it. The table keeps no reference to it.
	IP []byte
	// Truncated says that IP may lack the packet's end.
	Truncated bool
}

// PortInfo describes a port.
type PortInfo struct {
	Name  string
	MAC   MAC        // source of our queries
	Addr4 netip.Addr // source of our IGMP queries; 0.0.0.0 is used if it is not set
	Addr6 netip.Addr // link-local source of our MLD queries; made from MAC if it is not set
	// Router makes it a router port for good.
	Router bool
	// SingleHost promises that one host at most sits behind the port, so that
	// a leave may act at once even where versions 1 and 2 hide other hosts.
	SingleHost bool
}

// never is the deadline of what has none.
const never = time.Duration(1<<63 - 1)
