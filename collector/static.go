package collector

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// Static is what an operator orders of a group: that it is known and never
// flooded, or that ports get it. No host has to report it and no timer ends it.
type Static struct {
	Domain    string
	VLAN      bpf.VLAN
	Group     netip.Addr
	Interface string     // name or glob of the ports that get the group, there or not; "": only the group is known
	Source    netip.Addr // the only one that they want; invalid: all
}

// StaticConfig is a static group of a domain, by configuration.
type StaticConfig struct {
	Group netip.Addr `yaml:"group"`
	// VLAN is an id, or outer and inner id with a dot between them. Default:
	// untagged.
	VLAN string `yaml:"vlan"`
	// Interfaces are names or globs of ports that get the group. Without any the
	// group is known, and not flooded.
	Interfaces []string `yaml:"interfaces"`
	// Sources are the only ones that the ports want. Default: all.
	Sources []netip.Addr `yaml:"sources"`
}

// ErrInvalidStatic: nobody can subscribe to the group or the source, or the
// order contradicts itself.
var ErrInvalidStatic = errors.New("can't be static")

// maxInterfacePattern bounds a glob; a name has 15 bytes at most.
const maxInterfacePattern = 64

// validate returns an error that wraps ErrInvalidStatic and says what to do. It
// shows no address.
func (s Static) validate() error {
	bad := func(text string) error { return fmt.Errorf("%w: %s", ErrInvalidStatic, text) }
	g := s.Group
	switch {
	case !g.IsMulticast() || g.Is4In6() || g.Zone() != "":
		return bad("want a group, such as 239.1.1.1 or ff15::1")
	case everyPortGets(g):
		return bad("the groups of 224.0.0.0/24 and ff02::1 go to every port anyway")
	case g.Is6() && g.As16()[1]&15 <= 1:
		return bad("groups of scope 0 and 1 never leave their host (RFC 4291, 2.7); take one of a wider scope")
	case len(s.Interface) > maxInterfacePattern:
		return bad(fmt.Sprintf("the interface has more than %d bytes", maxInterfacePattern))
	case s.Interface == "" && s.Source.IsValid():
		return bad("a source needs an interface that wants it")
	case s.Interface != "" && !s.Source.IsValid() && sourceSpecific(g):
		return bad("a group of 232.0.0.0/8 or ff3x::/32 needs a source (RFC 4607)")
	}
	if _, err := path.Match(s.Interface, ""); err != nil {
		return bad("the interface is no name or glob")
	}
	if src := s.Source; src.IsValid() && (src.BitLen() != g.BitLen() || src.Is4In6() || src.Zone() != "" || src.IsMulticast() || src.IsUnspecified()) {
		return bad("the source must be the address of a host, IPv4 or IPv6 as the group is")
	}
	return nil
}

func everyPortGets(g netip.Addr) bool {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 24).Contains(g) || g == netip.IPv6LinkLocalAllNodes()
}

// sourceSpecific reports whether the group is of RFC 4607.
func sourceSpecific(g netip.Addr) bool {
	if g.Is4() {
		return g.As4()[0] == 232
	}
	b := g.As16()
	return b[1]>>4 == 3 && b[2] == 0 && b[3] == 0
}

// orders returns what the configuration means, one for each interface and
// source.
func (c StaticConfig) orders(domain string) ([]Static, error) {
	vlan, err := bpf.ParseVLAN(c.VLAN)
	if err != nil {
		return nil, fmt.Errorf("vlan: %w", err)
	}
	known := Static{Domain: domain, VLAN: vlan, Group: c.Group}
	list := []Static{known}
	for _, iface := range c.Interfaces {
		s := known
		if s.Interface = iface; iface == "" {
			return nil, errors.New("interfaces: one is empty")
		}
		if len(c.Sources) == 0 {
			list = append(list, s)
		}
		for _, s.Source = range c.Sources {
			list = append(list, s)
		}
	}
	if len(c.Interfaces) == 0 && len(c.Sources) > 0 {
		return nil, errors.New("sources: without interfaces nobody wants them")
	}
	for _, s := range list {
		if err := s.validate(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// validateStatic names what is wrong in the configuration's static groups.
func (d DomainConfig) validateStatic() (errs []error) {
	for i, c := range d.Static {
		if _, err := c.orders(d.Name); err != nil {
			errs = append(errs, fmt.Errorf("static[%d]: %w", i, err))
		} else if len(d.Allow) > 0 && !slices.ContainsFunc(d.Allow, func(p netip.Prefix) bool { return p.Contains(c.Group) }) {
			errs = append(errs, fmt.Errorf("static[%d]: the group is none of those that allow lists", i))
		}
	}
	return errs
}

// compare orders by domain, VLAN, group, interface and source.
func (s Static) compare(o Static) int {
	return cmp.Or(cmp.Compare(s.Domain, o.Domain), cmp.Compare(s.VLAN, o.VLAN), s.Group.Compare(o.Group),
		cmp.Compare(s.Interface, o.Interface), s.Source.Compare(o.Source))
}

func (s Static) group() staticGroup {
	return staticGroup{s.Domain, snoop.GroupKey{VLAN: snoop.VLAN(s.VLAN), Group: s.Group}}
}

// staticGroup is a group that somebody ordered.
type staticGroup struct {
	domain string
	key    snoop.GroupKey
}

// staticOrigin says who ordered: a bit each.
type staticOrigin uint8

const (
	byConfig staticOrigin = 1 << iota
	byRequest
)

// staticBook holds every order, whether its ports are there or not. The
// owner guards it.
type staticBook struct {
	groups map[staticGroup]map[Static]staticOrigin
}

func (b *staticBook) add(s Static, by staticOrigin) {
	g := s.group()
	if b.groups == nil {
		b.groups = map[staticGroup]map[Static]staticOrigin{}
	}
	if b.groups[g] == nil {
		b.groups[g] = map[Static]staticOrigin{}
	}
	b.groups[g][s] |= by
}

func (b *staticBook) remove(s Static, by staticOrigin) {
	g := s.group()
	if b.groups[g][s] &^= by; b.groups[g][s] == 0 {
		delete(b.groups[g], s)
	}
	if len(b.groups[g]) == 0 {
		delete(b.groups, g)
	}
}

// configure puts the orders of a valid configuration in place of those of the
// old one.
func (b *staticBook) configure(domains []DomainConfig) {
	for _, s := range b.all(byConfig) {
		b.remove(s, byConfig)
	}
	for _, d := range domains {
		for _, c := range d.Static {
			orders, _ := c.orders(d.Name)
			for _, s := range orders {
				b.add(s, byConfig)
			}
		}
	}
}

// all returns the orders of that origin, sorted.
func (b *staticBook) all(by staticOrigin) (list []Static) {
	for _, orders := range b.groups {
		for s, origin := range orders {
			if origin&by != 0 {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, Static.compare)
	return list
}

// of returns the groups of a domain, sorted.
func (b *staticBook) of(domain string) (keys []snoop.GroupKey) {
	for g := range b.groups {
		if g.domain == domain {
			keys = append(keys, g.key)
		}
	}
	slices.SortFunc(keys, func(x, y snoop.GroupKey) int {
		return cmp.Or(cmp.Compare(x.VLAN, y.VLAN), x.Group.Compare(y.Group))
	})
	return keys
}

// ports returns who gets the group, of the ports that are there: a port that
// several orders name gets what each of them says.
func (b *staticBook) ports(g staticGroup, there map[uint32]*port) (list []snoop.StaticPort) {
	for ifindex, p := range there {
		s := snoop.StaticPort{Port: snoop.Port(ifindex)}
		named, all := false, false
		for order := range b.groups[g] {
			if order.Interface == "" || !matches([]string{order.Interface}, p.name) {
				continue
			}
			named = true
			if all = all || !order.Source.IsValid(); order.Source.IsValid() {
				s.Sources = append(s.Sources, order.Source)
			}
		}
		if all {
			s.Sources = nil
		}
		if named {
			list = append(list, s)
		}
	}
	return list
}

// waiting returns the orders of a domain for ports that are not there, sorted,
// but for those of groups to skip.
func (b *staticBook) waiting(domain string, there map[uint32]*port, skips func(netip.Addr) bool) (list []Static) {
	for g, orders := range b.groups {
		if g.domain != domain || skips(g.key.Group) {
			continue
		}
		for s := range orders {
			if s.Interface != "" && named(s.Interface, there) == 0 {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, Static.compare)
	return list
}

// named returns how many of the ports the name or glob fits.
func named(pattern string, there map[uint32]*port) (n int) {
	for _, p := range there {
		if matches([]string{pattern}, p.name) {
			n++
		}
	}
	return n
}
