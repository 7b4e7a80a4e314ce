package doctor

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

func lookLinkDown(s *Snapshot) verdict {
	if s.Link.Up {
		return well
	}
	return found(Cause, s.Link.Name+" is down")
}

func lookNoCarrier(s *Snapshot) verdict {
	if !s.Link.Up || s.Link.Carrier {
		return well
	}
	return found(Cause, s.Link.Name+" is up and has no carrier")
}

func lookNoMulticastFlag(s *Snapshot) verdict {
	if s.Link.Multicast || s.Link.Loopback {
		return well
	}
	return found(Suspect, s.Link.Name+" lacks the flag MULTICAST")
}

func lookIPv6Disabled(s *Snapshot) verdict {
	name := "ipv6.conf." + s.Link.Name + ".disable_ipv6"
	off, known := s.sysctl(name)
	if !s.v6() || !known {
		return unknown
	}
	if off == 0 {
		return well
	}
	return found(Cause, fmt.Sprintf("net.%s = %d", name, off))
}

// lookMACFilter compares the hardware filter with the memberships.
func lookMACFilter(s *Snapshot) verdict {
	if s.lacks(FacilityMembers) || s.Link.Loopback || !s.Link.Up || s.joinedAt(s.Link.Index) == nil {
		return unknown
	}
	if lookIPv6Disabled(s).grade != "" {
		return unknown // its memberships are asleep
	}
	want := groupMAC(s.Question.Group)
	for _, d := range s.DeviceGroups {
		if d.Index == s.Link.Index && bytes.Equal(d.MAC[:], want) {
			return well
		}
	}
	if s.Link.AllMulti {
		return well
	}
	return found(Suspect, fmt.Sprintf("%s joined %s, and %s is not in its list of link-layer groups", s.Link.Name, s.Question.Group, want)).
		where("{mac}", want.String())
}

// takers are the kinds of master that take what their ports receive. A VRF does
// not.
var takers = []string{"bridge", "bond", "team", "openvswitch"}

// lookPortOfMaster: sockets that join on a port of a bridge or bond hear nothing.
func lookPortOfMaster(s *Snapshot) verdict {
	master := s.link(s.Link.Master)
	if !slices.Contains(takers, master.Kind) || s.joinedAt(s.Link.Index) == nil {
		return well
	}
	return found(Cause, fmt.Sprintf("%s joined %s and is a port of %s %s: what arrives belongs to %s",
		s.Link.Name, s.Question.Group, master.Kind, master.Name, master.Name)).where("{master}", master.Name)
}

func lookNICDrops(s *Snapshot) verdict {
	if s.Link.Missed == 0 {
		return well
	}
	return found(Suspect, fmt.Sprintf("%s missed %s of %d", s.Link.Name, plural(s.Link.Missed, "frame"), s.Link.Missed+s.Link.Received))
}

func lookSoftnet(s *Snapshot) verdict {
	if s.SoftnetDropped == 0 {
		return well
	}
	limit := s.Sysctls["core.netdev_max_backlog"]
	seen := fmt.Sprintf("%s of the whole host dropped by full backlogs in %v, perhaps some of this group", plural(s.SoftnetDropped, "packet"), s.Wire.Window)
	if limit != "" {
		seen += "; net.core.netdev_max_backlog = " + limit
	}
	return found(Risk, seen)
}

func lookXDP(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.Link.XDP == "" {
		return well
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	return found(Suspect, fmt.Sprintf("%s has an XDP program, received %s, and shows none of %s",
		s.Link.Name, plural(s.Link.Received, "frame"), s.streamText())).where("{xdp}", s.Link.XDP)
}

// groupMAC is the Ethernet address of a group: RFC 1112 section 6.4, RFC 2464
// section 7.
func groupMAC(group netip.Addr) net.HardwareAddr {
	a := group.AsSlice()
	if group.Is4() {
		return net.HardwareAddr{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	return net.HardwareAddr{0x33, 0x33, a[12], a[13], a[14], a[15]}
}
