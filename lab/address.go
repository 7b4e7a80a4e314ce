package lab

import (
	"fmt"
	"net"
	"net/netip"
)

// The address plan. Host N of a network has
//
//	192.0.2.N/24, or 198.18.x.y/15 from host 254 on (192.0.2.254 is the switch)
//	2001:db8::N/64 and fe80::N/64
//	10.V.V.N/20 and 2001:db8:0:V::N/64 on VLAN V (bits of V, then 12 of N)
//	02:00:5e:00:x:y, and its port 02:00:5e:01:x:y

// switchNumber is the N of the switch itself, when it needs an address.
const switchNumber = 254

// Addresses are those of one interface.
type Addresses struct {
	// V4 and V6 are the global addresses, LinkLocal is the one under fe80::/64.
	V4, V6, LinkLocal netip.Prefix
}

func addressesOf(number int) Addresses {
	v4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(number)}), 24)
	if number >= switchNumber {
		v4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(number >> 8), byte(number)}), 15)
	}
	return Addresses{V4: v4, V6: v6Of(0x2001_0db8, 0, number), LinkLocal: v6Of(0xfe80_0000, 0, number)}
}

func addressesOnVLAN(vlan uint16, number int) Addresses {
	v4 := uint32(10)<<24 | uint32(vlan)<<12 | uint32(number)
	return Addresses{
		V4:        netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(v4 >> 24), byte(v4 >> 16), byte(v4 >> 8), byte(v4)}), 20),
		V6:        v6Of(0x2001_0db8, vlan, number),
		LinkLocal: v6Of(0xfe80_0000, 0, number),
	}
}

func v6Of(top uint32, subnet uint16, number int) netip.Prefix {
	a := [16]byte{byte(top >> 24), byte(top >> 16), byte(top >> 8), byte(top),
		6: byte(subnet >> 8), 7: byte(subnet), 14: byte(number >> 8), 15: byte(number)}
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

func hostMAC(number int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x00, 0x5e, 0x00, byte(number >> 8), byte(number)}
}

func portMAC(number int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x00, 0x5e, 0x01, byte(number >> 8), byte(number)}
}

// vlanInterface names the sub-interface for a stack of tags, outermost first.
func vlanInterface(tags ...uint16) string {
	name := hostInterface
	for _, tag := range tags {
		name += fmt.Sprintf(".%d", tag)
	}
	return name
}
