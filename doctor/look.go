package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// verdict is what one look at a snapshot gives. The zero value means: well.
type verdict struct {
	grade Grade
	seen  []string // evidence, for people
	with  []string // placeholders and their values, in turn
	// unknown: what the look needs was not gathered, or it makes no sense here.
	unknown bool
}

var (
	well    = verdict{}
	unknown = verdict{unknown: true}
)

func found(g Grade, seen ...string) verdict { return verdict{grade: g, seen: seen} }

func (v verdict) where(pairs ...string) verdict {
	v.with = append(v.with, pairs...)
	return v
}

func (s *Snapshot) lacks(f Facility) bool {
	_, lacks := s.Unchecked[f]
	return lacks
}

// wanted reports whether a stream is of the source and port that were asked for.
func (s *Snapshot) wanted(x *Stream) bool {
	return s.ofSource(x.Source) && (s.Question.Port == 0 || x.Port == s.Question.Port || x.Port == 0)
}

func (s *Snapshot) ofSource(a netip.Addr) bool {
	return !s.Question.Source.IsValid() || a == s.Question.Source
}

// arriving are the streams that come in by the interface, as its own.
func (s *Snapshot) arriving() []Stream { return s.passing(false) }

// sent are the streams that go out by the interface.
func (s *Snapshot) sent() []Stream { return s.passing(true) }

func (s *Snapshot) passing(out bool) (list []Stream) {
	for i := range s.Wire.Streams {
		if x := &s.Wire.Streams[i]; x.Index == s.Link.Index && x.Outgoing == out && x.VLAN == 0 && s.wanted(x) {
			list = append(list, *x)
		}
	}
	return list
}

// sentHere are the streams that this host itself sends, by whatever interface.
func (s *Snapshot) sentHere() (list []Stream) {
	for i := range s.Wire.Streams {
		if x := &s.Wire.Streams[i]; x.Outgoing && s.isOwn(x.Source) && s.wanted(x) {
			list = append(list, *x)
		}
	}
	return list
}

// sendsOnly reports whether this host is a sender of the group, and no receiver.
func (s *Snapshot) sendsOnly() bool {
	return len(s.sentHere()) > 0 && !s.lacks(FacilityMembers) && len(s.joined()) == 0 && len(s.arriving()) == 0
}

// receives reports whether the group is meant for this host's own sockets.
func (s *Snapshot) receives() bool { return !s.behindPort() && !s.sendsOnly() }

func (s *Snapshot) isOwn(a netip.Addr) bool { return slices.Contains(s.Addresses, a) }

func packets(list []Stream) (n uint64) {
	for i := range list {
		n += list[i].Packets
	}
	return n
}

func (s *Snapshot) delivered() (n uint64) {
	for i := range s.Delivered {
		if x := &s.Delivered[i]; x.Index == s.Link.Index && s.wanted(x) {
			n += x.Packets
		}
	}
	return n
}

// lostInIP returns how many packets reached the interface and not UDP. A few at
// the end of the window are still on their way, and fragments are counted one by
// one here and together there.
func (s *Snapshot) lostInIP() uint64 {
	if s.lacks(FacilityWire) || s.lacks(FacilityDelivery) {
		return 0
	}
	arrived, delivered := packets(s.arriving()), s.delivered()
	if delivered == 0 {
		return arrived
	}
	slack := 5 + arrived/10
	if s.Wire.Missed > 0 || s.Wire.Fragmented > 0 || arrived <= delivered+slack {
		return 0
	}
	return arrived - delivered
}

// arrivedText is the evidence that the group reaches the interface.
func (s *Snapshot) arrivedText() string {
	return fmt.Sprintf("%s of %s arrived at %s in %v, %d got through IP",
		plural(packets(s.arriving()), "packet"), s.streamText(), s.Link.Name, s.Wire.Window, s.delivered())
}

// streamText names what was asked for.
func (s *Snapshot) streamText() string {
	text := s.Question.Group.String()
	if s.Question.Source.IsValid() {
		text = "(" + s.Question.Source.String() + ", " + text + ")"
	}
	if s.Question.Port != 0 {
		text += " port " + portText(s.Question.Port)
	}
	return text
}

// ports are those that matter: the one asked for, or those that are seen.
func (s *Snapshot) ports() (ports []uint16) {
	if s.Question.Port != 0 {
		return []uint16{s.Question.Port}
	}
	for _, x := range append(s.arriving(), s.Delivered...) {
		if x.Port != 0 && s.ofSource(x.Source) {
			ports = append(ports, x.Port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// sources are the one asked for, or those that arrive.
func (s *Snapshot) sources() (list []netip.Addr) {
	if s.Question.Source.IsValid() {
		return []netip.Addr{s.Question.Source}
	}
	for _, x := range s.arriving() {
		list = append(list, x.Source)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// joinedAt returns the membership at an interface, or nil.
func (s *Snapshot) joinedAt(index int) *Membership {
	for i := range s.Memberships {
		if m := &s.Memberships[i]; m.Index == index && m.Group == s.Question.Group {
			return m
		}
	}
	return nil
}

// allHosts are groups that every host is in and no table shows reliably.
func (s *Snapshot) needsJoin() bool {
	g := s.Question.Group
	return g != netip.AddrFrom4([4]byte{224, 0, 0, 1}) && g != netip.IPv6LinkLocalAllNodes()
}

// behindPort reports whether the group is for somebody behind a port of a bridge
// or of an agent, not for this host's own sockets.
func (s *Snapshot) behindPort() bool {
	return (s.Bridge != nil || s.agentPort()) && s.joinedAt(s.Link.Index) == nil
}

func (s *Snapshot) link(index int) Link {
	for _, l := range s.Links {
		if l.Index == index {
			return l
		}
	}
	return Link{Index: index, Name: "interface " + strconv.Itoa(index)}
}

func (s *Snapshot) v6() bool { return s.Question.Group.Is6() }

// sysctl returns a setting of the interface, and whether it is known.
func (s *Snapshot) sysctl(name string) (value int, known bool) {
	text, known := s.Sysctls[name]
	if !known {
		return 0, false
	}
	value, err := strconv.Atoi(text)
	return value, err == nil
}

// confSysctl is the larger of the setting for all interfaces and for this one,
// which is what the kernel goes by for those that are asked here.
func (s *Snapshot) confSysctl(name string) int {
	all, _ := s.sysctl("ipv4.conf.all." + name)
	own, _ := s.sysctl("ipv4.conf." + s.Link.Name + "." + name)
	return max(all, own)
}

// counter adds the counters of both families that mean the same.
func (s *Snapshot) counter(v4, v6 string) (name string, n uint64) {
	if s.v6() {
		return v6, s.Counters[v6]
	}
	return v4, s.Counters[v4]
}

func (s *Snapshot) counts() Counts {
	c := Counts{Arrived: packets(s.arriving()), Sent: packets(s.sent()), Delivered: s.delivered()}
	for _, k := range s.receivers() {
		c.Sockets++
		c.Dropped += k.Dropped
	}
	return c
}

func portText(p uint16) string { return strconv.Itoa(int(p)) }

func portTexts(ports []uint16) string {
	var texts []string
	for _, p := range ports {
		texts = append(texts, portText(p))
	}
	return strings.Join(texts, ", ")
}

func addrTexts(list []netip.Addr) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
