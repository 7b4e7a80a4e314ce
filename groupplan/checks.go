package groupplan

import (
	"net/netip"

	"github.com/fanlight-io/fanlight/groupname"
)

// groupChecks look at one group each.
var groupChecks = []func(*checker, *Group){
	checkMulticast, checkSources, checkBlocks4, checkRegistry, checkBlocks6, checkTTL, checkControlAlias,
}

func checkMulticast(c *checker, g *Group) {
	if !g.Group.IsMulticast() {
		c.say("not-multicast", g, "%v is no group", g.Group)
	}
}

func checkSources(c *checker, g *Group) {
	if !g.Group.IsMulticast() {
		return
	}
	for _, s := range g.Sources {
		if s = s.Unmap(); s.IsMulticast() || s.IsUnspecified() || s.Is4() != g.Group.Is4() {
			c.say("bad-source", g, "%v can't send to %v", s, g.Group)
		}
	}
	switch specific := sourceSpecific(g.Group); {
	case specific && len(g.Sources) == 0 && !g.Observed:
		c.say("ssm-without-source", g, "%v is source-specific, and no source is listed", g.Group)
	case !specific && len(g.Sources) > 0 && !g.Group.IsLinkLocalMulticast():
		c.say("sources-outside-ssm", g, "%v takes packets of any source, not only of those listed", g.Group)
	}
}

// sourceSpecific reports whether the group is of RFC 4607: 232/8, ff3x::/32.
func sourceSpecific(g netip.Addr) bool {
	if g.Is4() {
		return g.As4()[0] == 232
	}
	b := g.As16()
	return b[0] == 0xff && b[1]>>4 == 3 && b[2] == 0 && b[3] == 0
}

func checkBlocks4(c *checker, g *Group) {
	if !g.Group.Is4() || !g.Group.IsMulticast() {
		return
	}
	b := g.Group.As4()
	switch {
	case b[0] == 232 && b[1] == 0 && b[2] == 0:
		c.say("ssm-reserved", g, "%v is in 232.0.0.0/24, which is not for hosts to use", g.Group)
	case b[0] == 233 && b[1] < 252:
		checkGLOP(c, g, uint32(b[1])<<8|uint32(b[2]))
	case b[0] == 234:
		c.say("unicast-prefix", g, "%v belongs to whom %d.%d.%d.0 belongs to", g.Group, b[1], b[2], b[3])
	case b[0] == 239 && b[2] == 255 && (b[1] == 255 || b[1] == 195):
		c.say("scope-relative", g, "%v is one of the last 256 groups of its scope", g.Group)
	case b[0] == 239 && b[1] != 255 && b[1]&^3 != 192:
		c.say("scope-expansion", g, "%v is neither in 239.192.0.0/14 nor in 239.255.0.0/16", g.Group)
	}
}

func checkGLOP(c *checker, g *Group, owner uint32) {
	switch c.plan.ASN {
	case owner:
	case 0:
		c.say("glop", g, "%v belongs to AS %d", g.Group, owner)
	default:
		c.say("glop-of-others", g, "%v belongs to AS %d, and you are AS %d", g.Group, owner, c.plan.ASN)
	}
}

// checkRegistry asks IANA's registry. Blocks have checks of their own.
func checkRegistry(c *checker, g *Group) {
	e, ok := c.names.Lookup(g.Group)
	local := g.Group.Is4() && g.Group.IsLinkLocalMulticast()
	switch {
	case !ok:
	case local && e.Status != groupname.Assigned:
		c.say("link-local", g, "%v is in 224.0.0.0/24, and nothing is assigned to it", g.Group)
	case e.Status == groupname.Unassigned:
		c.say("unassigned", g, "%v is free in the registry, from %v to %v", g.Group, e.First, e.Last)
	case e.Status == groupname.Reserved && !sourceSpecific(g.Group):
		c.say("reserved", g, "%v is in a reserved range, from %v to %v", g.Group, e.First, e.Last)
	case e.Status == groupname.Assigned && !e.Own():
		c.say("known-use", g, "%v is that of: %s", g.Group, e.Name)
	}
}

func checkBlocks6(c *checker, g *Group) {
	if !g.Group.Is6() || !g.Group.IsMulticast() {
		return
	}
	b := g.Group.As16()
	flags, scope := b[1]>>4, b[1]&15
	if p, r, t := flags&2 != 0, flags&4 != 0, flags&1 != 0; p && !t || r && !(p && t) {
		c.say("flags", g, "%v has flags %d", g.Group, flags)
	} else if flags == 3 && !sourceSpecific(g.Group) {
		c.say("unicast-prefix", g, "%v belongs to whom the prefix in it belongs to", g.Group)
	}
	if _, known := c.names.Lookup(g.Group); flags&1 == 0 && !known {
		c.say("well-known-unknown", g, "%v has no flag T, so it stands for something that IANA assigned", g.Group)
	}
	switch scope {
	case 0, 1:
		c.say("scope-node", g, "%v has scope %d", g.Group, scope)
	case 2:
		if _, known := c.names.Lookup(g.Group); !known {
			c.say("link-local", g, "%v has scope 2, the link", g.Group)
		}
	case 6, 7, 9, 10, 11, 12, 13, 15:
		c.say("scope-undefined", g, "%v has scope %x", g.Group, scope)
	}
}

// siteTTL is the widest TTL that fits the scope of an organisation, by the old
// custom of thresholds.
const siteTTL = 63

func checkTTL(c *checker, g *Group) {
	if g.TTL == nil || !g.Group.IsMulticast() {
		return
	}
	scoped := g.Group.Is4() && g.Group.As4()[0] == 239 || g.Group.Is6() && g.Group.As16()[1]&15 < 14
	switch ttl := *g.TTL; {
	case ttl == 0:
		c.say("ttl-zero", g, "packets to %v have TTL 0", g.Group)
	case g.Group.IsLinkLocalMulticast():
	case ttl == 1:
		c.say("ttl-one", g, "packets to %v have TTL 1", g.Group)
	case scoped && ttl > siteTTL:
		c.say("ttl-beyond-scope", g, "packets to %v have TTL %d, and the group is not for everywhere", g.Group, ttl)
	}
}

// checkControlAlias looks for groups that switches flood because their Ethernet
// address is that of a control group.
func checkControlAlias(c *checker, g *Group) {
	if !g.Group.IsMulticast() || g.Group.IsLinkLocalMulticast() {
		return
	}
	if g.Group.Is4() {
		if b := g.Group.As4(); b[1]&0x7f == 0 && b[2] == 0 {
			control := netip.AddrFrom4([4]byte{224, 0, 0, b[3]})
			f := c.say("mac-alias-control", g, "%v and %v have the Ethernet address %s", g.Group, control, macOf(g.Group))
			f.Others = []netip.Addr{control}
		}
		return
	}
	control := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: g.Group.As16()[15]})
	if b := g.Group.As16(); b[12] == 0 && b[13] == 0 && b[14] == 0 {
		if _, taken := c.names.Lookup(control); taken {
			f := c.say("mac-alias-control", g, "%v and %v have the Ethernet address %s", g.Group, control, macOf(g.Group))
			f.Others = []netip.Addr{control}
		}
	}
}
