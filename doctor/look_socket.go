package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// name tells a socket by its process, or by its number.
func (k *Socket) name() string {
	if k.Owner.PID == 0 {
		return fmt.Sprintf("socket %d", k.Inode)
	}
	return fmt.Sprintf("%s[%d]", k.Owner.Name, k.Owner.PID)
}

// ours reports whether the question is about the socket's process and family.
func (s *Snapshot) ours(k *Socket) bool {
	if s.Question.PID != 0 && k.Owner.PID != s.Question.PID {
		return false
	}
	if s.v6() {
		return k.IPv6
	}
	return !k.IPv6 || !k.V6Only && (k.Local.Addr().IsUnspecified() || k.Local.Addr().Is4In6())
}

// onPort are the sockets that are bound to a port that matters.
func (s *Snapshot) onPort() (list []*Socket) {
	ports := s.ports()
	for i := range s.Sockets {
		if k := &s.Sockets[i]; s.ours(k) && slices.Contains(ports, k.Local.Port()) {
			list = append(list, k)
		}
	}
	return list
}

func (k *Socket) connected() bool { return k.Remote.Port() != 0 }

func (s *Snapshot) boundElsewhere(k *Socket) bool {
	a := k.Local.Addr().Unmap()
	return !a.IsUnspecified() && a != s.Question.Group
}

func (s *Snapshot) wrongDevice(k *Socket) bool {
	return k.Device != 0 && k.Device != s.Link.Index && k.Device != s.Link.Master
}

// wrongPeer: connecting also binds to an address of the host, unless the socket
// was bound before.
func (s *Snapshot) wrongPeer(k *Socket) bool {
	stranger := len(s.sources()) > 0 && !slices.Contains(s.sources(), k.Remote.Addr().Unmap())
	return k.connected() && (stranger || s.boundElsewhere(k))
}

// deaf reports whether the socket's own memberships keep the group from it.
func (s *Snapshot) deaf(k *Socket) bool {
	return k.Options != nil && !k.Options.Joined && !k.Options.All
}

// refusing reports whether the socket's own filter refuses all sources.
func (s *Snapshot) refusing(k *Socket) bool {
	if k.Options == nil || !k.Options.Joined || len(s.sources()) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.sources(), k.Options.admits)
}

// receivers are the sockets that should get the group.
func (s *Snapshot) receivers() (list []*Socket) {
	for _, k := range s.onPort() {
		if !s.boundElsewhere(k) && !s.wrongDevice(k) && !s.wrongPeer(k) && !s.deaf(k) && !s.refusing(k) {
			list = append(list, k)
		}
	}
	return list
}

// lookSocket finds the sockets on the port of which none receives, by one cause.
func (s *Snapshot) lookSocket(wrong func(*Socket) bool, why func(*Socket) verdict) verdict {
	if s.lacks(FacilitySockets) || !s.receives() || len(s.ports()) == 0 {
		return unknown
	}
	receiving := s.receivers()
	for _, k := range s.onPort() {
		if len(receiving) == 0 && wrong(k) {
			return why(k)
		}
	}
	return well
}

// lookNoSocket: nobody is bound to the port.
func lookNoSocket(s *Snapshot) verdict {
	ports := s.ports()
	if s.lacks(FacilitySockets) || !s.receives() || len(ports) == 0 {
		return unknown
	}
	if len(s.onPort()) > 0 || s.joinedOnOtherPort() != nil {
		return well
	}
	whose := "no UDP socket"
	if s.Question.PID != 0 {
		whose = fmt.Sprintf("no UDP socket of process %d", s.Question.PID)
	}
	seen := []string{fmt.Sprintf("%s is bound to port %s", whose, portTexts(ports))}
	for _, name := range []string{"Udp.IgnoredMulti", "Udp6IgnoredMulti", "Udp.NoPorts", "Udp6NoPorts"} {
		if n := s.Counters[name]; n > 0 {
			seen = append(seen, fmt.Sprintf("%s rose by %d", name, n))
		}
	}
	return found(Cause, seen...).where("{port}", portTexts(ports), "{first}", portText(ports[0]))
}

// joinedOnOtherPort is a socket that joined the group, and is bound to a port to
// which nothing is sent.
func (s *Snapshot) joinedOnOtherPort() *Socket {
	for i := range s.Sockets {
		k := &s.Sockets[i]
		if s.ours(k) && k.Options != nil && k.Options.Joined && k.Local.Port() != 0 && !slices.Contains(s.ports(), k.Local.Port()) {
			return k
		}
	}
	return nil
}

func lookWrongPort(s *Snapshot) verdict {
	if s.lacks(FacilitySockets) || s.lacks(FacilityOptions) || !s.receives() || len(s.ports()) == 0 {
		return unknown
	}
	k := s.joinedOnOtherPort()
	if k == nil || len(s.onPort()) > 0 || packets(s.arriving()) == 0 {
		return well
	}
	seen := fmt.Sprintf("%s joined %s and is bound to port %d", k.name(), s.Question.Group, k.Local.Port())
	return found(Cause, seen, "packets go to port "+portTexts(s.ports())).where("{port}", portTexts(s.ports()))
}

func lookBoundElsewhere(s *Snapshot) verdict {
	unconnected := func(k *Socket) bool { return s.boundElsewhere(k) && !k.connected() }
	return s.lookSocket(unconnected, func(k *Socket) verdict {
		return found(Cause, fmt.Sprintf("%s is bound to %s, and the packets go to %s", k.name(), k.Local, s.Question.Group))
	})
}

func lookWrongDevice(s *Snapshot) verdict {
	return s.lookSocket(s.wrongDevice, func(k *Socket) verdict {
		return found(Cause, fmt.Sprintf("%s is bound to the interface %s, and the packets come by %s", k.name(), s.link(k.Device).Name, s.Link.Name))
	})
}

func lookWrongPeer(s *Snapshot) verdict {
	return s.lookSocket(s.wrongPeer, func(k *Socket) verdict {
		return found(Cause, fmt.Sprintf("%s is connected to %s and so bound to %s; the packets come from %s and go to %s",
			k.name(), k.Remote, k.Local, cmp.Or(addrTexts(s.sources()), "nobody yet"), s.Question.Group))
	})
}

func lookSocketDeaf(s *Snapshot) verdict {
	if s.lacks(FacilityOptions) || s.joinedAt(s.Link.Index) == nil {
		return unknown
	}
	return s.lookSocket(s.deaf, func(k *Socket) verdict {
		return found(Cause, fmt.Sprintf("%s is bound to port %d, did not join %s at %s itself, and has turned off IP_MULTICAST_ALL",
			k.name(), k.Local.Port(), s.Question.Group, s.Link.Name))
	})
}

func lookSocketFilter(s *Snapshot) verdict {
	if s.lacks(FacilityOptions) || lookSourceFilter(s).grade != "" {
		return unknown
	}
	return s.lookSocket(s.refusing, func(k *Socket) verdict {
		mode := "excludes"
		if k.Options.Include {
			mode = "takes only"
		}
		return found(Cause, fmt.Sprintf("%s %s %s, and the packets come from %s", k.name(), mode, addrTexts(k.Options.Sources), addrTexts(s.sources())))
	})
}

// lookOverflow: datagrams for which a socket had no room.
func lookOverflow(s *Snapshot) verdict {
	if s.lacks(FacilitySockets) || len(s.ports()) == 0 {
		return unknown
	}
	name, checksums := s.counter("Udp.InCsumErrors", "Udp6InCsumErrors")
	for _, k := range s.receivers() {
		if k.Dropped == 0 || checksums >= k.Dropped || k.Options != nil && k.Options.Filter {
			continue
		}
		seen := []string{
			fmt.Sprintf("%s lost %s in %v", k.name(), plural(k.Dropped, "datagram"), s.Wire.Window),
			fmt.Sprintf("%d of %d bytes of its buffer are taken", k.Queued, k.RecvBuf),
		}
		switch {
		case k.Owner.Stopped:
			seen = append(seen, k.name()+" is stopped")
		case k.Queued > k.RecvBuf/2:
			seen = append(seen, k.name()+" reads more slowly than they come, or not at all")
		}
		if checksums > 0 {
			seen = append(seen, fmt.Sprintf("%s rose by %d", name, checksums))
		}
		return found(Cause, seen...).where("{bytes}", fmt.Sprint(max(8<<20, 4*k.RecvBuf)), "{pid}", pidText(k.Owner))
	}
	return well
}

// pidText is a word if the process is not known.
func pidText(o Owner) string {
	if o.PID == 0 {
		return "PID"
	}
	return fmt.Sprint(o.PID)
}

func lookFilterProgram(s *Snapshot) verdict {
	if s.lacks(FacilitySockets) || s.lacks(FacilityOptions) || len(s.ports()) == 0 {
		return unknown
	}
	for _, k := range s.receivers() {
		if k.Options == nil || !k.Options.Filter {
			continue
		}
		if k.Dropped == 0 {
			return well
		}
		return found(Cause, fmt.Sprintf("%s has a filter program (SO_ATTACH_FILTER or SO_ATTACH_BPF), and lost %s", k.name(), plural(k.Dropped, "datagram")),
			fmt.Sprintf("%d of %d bytes of its buffer are taken", k.Queued, k.RecvBuf))
	}
	return well
}

func lookChecksum(s *Snapshot) verdict {
	if s.lacks(FacilityCounters) {
		return unknown
	}
	name, n := s.counter("Udp.InCsumErrors", "Udp6InCsumErrors")
	if n == 0 {
		return well
	}
	grade := Suspect // they may be another group's
	if s.counts().Dropped > 0 {
		grade = Cause
	}
	return found(grade, fmt.Sprintf("%s rose by %d while %s arrived", name, n, plural(packets(s.arriving()), "packet")))
}

func lookUDPMemory(s *Snapshot) verdict {
	if s.lacks(FacilityCounters) || s.lacks(FacilityMemory) {
		return unknown
	}
	name, n := s.counter("Udp.MemErrors", "Udp6MemErrors")
	if n == 0 && s.UDPMemory < s.UDPMemoryLimit {
		return well
	}
	return found(Cause, fmt.Sprintf("UDP uses %d of %d pages (net.ipv4.udp_mem)", s.UDPMemory, s.UDPMemoryLimit), fmt.Sprintf("%s rose by %d", name, n)).
		where("{pages}", fmt.Sprintf("%d %d %d", s.UDPMemoryLimit, 2*s.UDPMemoryLimit, 4*s.UDPMemoryLimit))
}
