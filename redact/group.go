package redact

import (
	"net/netip"

	"github.com/fanlight-io/fanlight/bpf"
)

// blocks4 and blocks6 are the address blocks that mean something by
// themselves. An address that is redacted to an address stays in its block: a
// group stays a group of its kind, a private address a private one. What is
// not listed here, of IPv6 groups, keepsKind knows.
var (
	blocks4 = prefixes("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"224.0.0.0/4", "224.0.0.0/24", "224.0.1.0/24", "232.0.0.0/8", "233.0.0.0/8", "233.252.0.0/14", "234.0.0.0/8",
		"239.0.0.0/8", "239.192.0.0/14", "239.255.0.0/16", "240.0.0.0/4", "255.255.255.255/32")
	blocks6 = prefixes("::/128", "::1/128", "64:ff9b::/96", "2000::/3", "fc00::/7", "fe80::/10", "fe80::/64", "ff00::/8", "ff02::1:ff00:0/104")
)

type block struct {
	bytes []byte
	bits  int
}

func prefixes(list ...string) []block {
	all := make([]block, len(list))
	for i, s := range list {
		p := netip.MustParsePrefix(s)
		all[i] = block{p.Addr().AsSlice(), p.Bits()}
	}
	return all
}

// keepsKind keeps the bits on the way into a block: a bit may change only if no
// block begins with the bits before it and goes on behind them.
func keepsKind(original []byte, bit int) bool {
	blocks := blocks4
	if len(original) == 16 {
		blocks = blocks6
		if keepsKind6(original, bit) {
			return true
		}
	}
	for _, b := range blocks {
		if b.bits > bit && startsWith(original, b.bytes, bit) {
			return true
		}
	}
	return false
}

// keepsKind6 keeps flags and scope of IPv6 groups (RFC 7346), the lengths that
// groups with an embedded prefix begin with (RFC 3306, RFC 3956), and the
// zeros of source-specific ones (RFC 4607).
func keepsKind6(original []byte, bit int) bool {
	if original[0] != 0xff || bit < 8 {
		return false
	}
	switch {
	case bit < 16:
		return true
	case original[1]&0x20 != 0 && bit < 32:
		return true
	case original[1]>>4 == 3 && bit < 96:
		return startsWith(original[2:], make([]byte, 10), bit-16)
	}
	return false
}

func startsWith(a, b []byte, bits int) bool {
	whole, rest := bits/8, bits%8
	for i := range whole {
		if a[i] != b[i] {
			return false
		}
	}
	return rest == 0 || (a[whole]^b[whole])>>(8-rest) == 0
}

// keepsCast keeps the two bits of an Ethernet address that say whether it is a
// group's, and whether it was given by its maker.
func keepsCast(_ []byte, bit int) bool { return bit == 6 || bit == 7 }

// GroupScope returns how far packets to the group may go (RFC 2365, RFC 7346),
// or "" if the address is no group.
func GroupScope(g netip.Addr) string {
	g = plain(g)
	if !g.IsMulticast() {
		return ""
	}
	if !g.Is4() {
		return scopes6[g.As16()[1]&15]
	}
	b := g.As4()
	switch {
	case b[0] == 224 && b[1] == 0 && b[2] == 0:
		return "link_local"
	case b[0] == 239 && b[1] == 255:
		return "local"
	case b[0] == 239 && b[1]&^3 == 192:
		return "organization_local"
	case b[0] == 239:
		return "admin_scoped"
	}
	return "global"
}

var scopes6 = [16]string{
	0: "reserved", 1: "interface_local", 2: "link_local", 3: "realm_local", 4: "admin_local", 5: "site_local",
	6: "unassigned", 7: "unassigned", 8: "organization_local", 9: "unassigned", 10: "unassigned", 11: "unassigned",
	12: "unassigned", 13: "unassigned", 14: "global", 15: "reserved",
}

// GroupClass returns what kind of group the address is, or "" if it is none.
func GroupClass(g netip.Addr) string {
	g = plain(g)
	switch {
	case !g.IsMulticast():
		return ""
	case g.Is4():
		return groupClass4(g.As4())
	case isSolicitedNode(g):
		return "solicited_node"
	}
	b := g.As16()
	switch flags := b[1] >> 4; {
	case flags == 3 && b[2] == 0 && b[3] == 0:
		return "ssm"
	case flags == 3:
		return "unicast_prefix"
	case flags == 7:
		return "embedded_rp"
	case flags&1 == 0:
		return "well_known"
	}
	return "asm"
}

func groupClass4(b [4]byte) string {
	switch {
	case b[0] == 224 && b[1] == 0 && b[2] == 0:
		return "local_control"
	case b[0] == 224 && b[1] == 0 && b[2] == 1:
		return "internetwork_control"
	case b[0] == 232:
		return "ssm"
	case b[0] == 233 && b[1] < 252:
		return "glop"
	case b[0] == 234:
		return "unicast_prefix"
	}
	return "asm"
}

var solicitedNode = netip.MustParsePrefix("ff02::1:ff00:0/104")

// isSolicitedNode reports whether the group holds the last 24 bits of a host's
// address, as every IPv6 host joins it (RFC 4291, 2.7.1).
func isSolicitedNode(g netip.Addr) bool { return solicitedNode.Contains(g) }

// GroupMAC returns the Ethernet address that packets to the group have
// (RFC 1112, RFC 2464). It holds most of the group, so give it a redacted one.
func GroupMAC(g netip.Addr) (m bpf.MAC, ok bool) {
	g = plain(g)
	if !g.IsMulticast() {
		return m, false
	}
	if g.Is4() {
		b := g.As4()
		return bpf.MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}, true
	}
	b := g.As16()
	return bpf.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}, true
}

// GroupMAC returns the Ethernet address of the record's group as the record
// shows it, or "" if that is not an address.
func (r *Record) GroupMAC() string {
	g, err := netip.ParseAddr(r.text(fieldGroup))
	if err != nil {
		return ""
	}
	m, ok := GroupMAC(g)
	if !ok {
		return ""
	}
	return macText(m)
}
