package groupplan

import (
	"fmt"
	"net/netip"
	"slices"
)

// planChecks look at all groups together.
var planChecks = []func(*checker){checkDuplicates, checkAliases, checkPorts, checkSharedPorts}

// macOf returns the Ethernet address of packets to the group, RFC 1112 section
// 6.4 and RFC 2464 section 7.
func macOf(g netip.Addr) string {
	if g.Is4() {
		b := g.As4()
		return fmt.Sprintf("01:00:5e:%02x:%02x:%02x", b[1]&0x7f, b[2], b[3])
	}
	b := g.As16()
	return fmt.Sprintf("33:33:%02x:%02x:%02x:%02x", b[12], b[13], b[14], b[15])
}

// perKey collects the groups that have a key in common, in the plan's order of
// keys. A key of false is left out.
func perKey[K comparable](groups []Group, keyOf func(*Group) (K, bool)) [][]*Group {
	index := map[K]int{}
	var lists [][]*Group
	for i := range groups {
		k, ok := keyOf(&groups[i])
		if !ok {
			continue
		}
		at, there := index[k]
		if !there {
			at = len(lists)
			index[k] = at
			lists = append(lists, nil)
		}
		lists[at] = append(lists[at], &groups[i])
	}
	return lists
}

// addresses returns the groups of the list, sorted, each once, but for except.
func addresses(list []*Group, except netip.Addr) (all []netip.Addr) {
	for _, g := range list {
		if g.Group != except {
			all = append(all, g.Group)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// checkDuplicates looks for one stream that is listed twice.
func checkDuplicates(c *checker) {
	type stream struct {
		group   netip.Addr
		segment string
		port    uint16
	}
	for _, list := range perKey(c.plan.Groups, func(g *Group) (stream, bool) {
		return stream{g.Group, g.Segment, g.Port}, true
	}) {
		for i, g := range list {
			for _, first := range list[:i] {
				if overlap(first.Sources, g.Sources) {
					c.say("duplicate", g, "%v%s is planned before already%s", g.Group, portText(g.Port), lineText(first.Line))
					break
				}
			}
		}
	}
}

// overlap reports whether a source is in both lists; an empty one holds all.
func overlap(a, b []netip.Addr) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s netip.Addr) bool { return slices.Contains(b, s) })
}

func portText(port uint16) string {
	if port == 0 {
		return ""
	}
	return fmt.Sprintf(" port %d", port)
}

func lineText(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(", in line %d", line)
}

// checkAliases tells the first of the groups that share an Ethernet address
// about the others.
func checkAliases(c *checker) {
	type place struct{ mac, segment string }
	for _, list := range perKey(c.plan.Groups, func(g *Group) (place, bool) {
		return place{macOf(g.Group), g.Segment}, g.Group.IsMulticast()
	}) {
		first := list[0]
		others := addresses(list, first.Group)
		if len(others) == 0 {
			continue
		}
		f := c.say("mac-alias", first, "%v has the Ethernet address %s together with %v", first.Group, macOf(first.Group), some(others))
		f.Others = others
	}
}

// some lists the first few.
func some(list []netip.Addr) string {
	const few = 4
	text := ""
	for i, a := range list[:min(few, len(list))] {
		if i > 0 {
			text += ", "
		}
		text += a.String()
	}
	if more := len(list) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// checkPorts looks for groups that carry several streams.
func checkPorts(c *checker) {
	type place struct {
		group   netip.Addr
		segment string
	}
	for _, list := range perKey(c.plan.Groups, func(g *Group) (place, bool) {
		return place{g.Group, g.Segment}, g.Port != 0
	}) {
		if ports := portsOf(list); len(ports) > 1 {
			c.say("several-ports", list[0], "%v is planned with %d ports: %s", list[0].Group, len(ports), portList(ports))
		}
	}
}

func portsOf(list []*Group) (ports []uint16) {
	for _, g := range list {
		ports = append(ports, g.Port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func portList(ports []uint16) string {
	text := fmt.Sprint(ports)
	return text[1 : len(text)-1]
}

// checkSharedPorts says once per port that several groups have it.
func checkSharedPorts(c *checker) {
	for _, list := range perKey(c.plan.Groups, func(g *Group) (uint16, bool) { return g.Port, g.Port != 0 }) {
		first := list[0]
		if others := addresses(list, first.Group); len(others) > 0 {
			f := c.say("shared-port", first, "port %d is that of %v, too", first.Port, some(others))
			f.Others = others
		}
	}
}
