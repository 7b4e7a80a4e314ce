package snoop

import (
	"slices"
)

// Transmit is a frame to be sent: without a VLAN tag, which the sender adds.
type Transmit struct {
	Port  Port
	VLAN  VLAN
	Frame []byte // an Ethernet frame; the receiver may keep it
}

// outputs is what the owner has not taken yet.
type outputs struct {
	groups    keySet[GroupKey]
	members   keySet[MemberKey]
	vlans     keySet[VLAN]
	routers   keySet[VLAN]
	transmits []Transmit
	events    []Event

	// What was handed out last, to be reused.
	sentTransmits []Transmit
	sentEvents    []Event
	routerPorts   []Port
	forwarding    forwardingScratch
}

// keySet is a list without duplicates.
type keySet[K comparable] struct {
	list, taken []K
	in          map[K]struct{}
}

func (s *keySet[K]) add(k K) {
	if _, ok := s.in[k]; ok {
		return
	}
	if s.in == nil {
		s.in = make(map[K]struct{})
	}
	s.in[k] = struct{}{}
	s.list = append(s.list, k)
}

// spare is how many entries an emptied list or map may keep room for.
const spare = 4096

func (s *keySet[K]) take() []K {
	if len(s.in) > spare {
		s.in = nil // maps don't shrink
	}
	clear(s.in)
	s.list, s.taken = recycle(s.taken), s.list
	return s.taken
}

// recycle empties a list that was handed out before.
func recycle[E any](list []E) []E {
	if cap(list) > spare {
		return nil
	}
	clear(list)
	return list[:0]
}

// TakeDirty returns the groups whose forwarding may have changed since the last
// call, each once. Like every slice that the table returns it is valid until
// the next call of any method.
func (t *Table) TakeDirty() []GroupKey { return t.out.groups.take() }

// TakeChangedMembers returns the members whose [Table.Snapshot] changed in more
// than its times, or that are gone.
func (t *Table) TakeChangedMembers() []MemberKey { return t.out.members.take() }

// TakeDirtyVLANs returns the VLANs whose querier or [Table.Snooping] changed.
func (t *Table) TakeDirtyVLANs() []VLAN { return t.out.vlans.take() }

// TakeDirtyRouters returns the VLANs whose router ports changed.
func (t *Table) TakeDirtyRouters() []VLAN { return t.out.routers.take() }

// TakeTransmit returns the frames to be sent.
func (t *Table) TakeTransmit() []Transmit {
	t.out.transmits, t.out.sentTransmits = recycle(t.out.sentTransmits), t.out.transmits
	return t.out.sentTransmits
}

// TakeEvents returns what happened, in order.
func (t *Table) TakeEvents() []Event {
	t.out.events, t.out.sentEvents = recycle(t.out.sentEvents), t.out.events
	return t.out.sentEvents
}

// VLANs returns the VLANs that the table watches, sorted.
func (t *Table) VLANs() []VLAN {
	all := make([]VLAN, 0, len(t.segments))
	for v := range t.segments {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}
