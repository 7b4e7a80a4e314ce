package bpf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// Domain is what the datapath needs to know of a domain.
type Domain struct {
	Name              string // at most 63 bytes; gives a new agent the same number
	Unregistered      Unregistered
	Flood             []uint32       // all ports
	Allow             []netip.Prefix // groups that may be forwarded unregistered
	MessagesPerSecond uint32         // membership messages per port, 0 = no limit
	StreamsPerGroup   uint32         // sources that are counted apart per group
}

// Unregistered is what happens to groups that nobody joined.
type Unregistered uint32

// What to do with groups that nobody joined.
const (
	FloodWithoutQuerier Unregistered = 0
	DropUnregistered    Unregistered = 1
	FloodUnregistered   Unregistered = 2
)

// Segment is what the datapath needs to know of one VLAN of a domain.
type Segment struct {
	QuerierV4, QuerierV6 bool // snooping can be relied on
	Routers              []uint32
}

// SegmentKey names one VLAN of a domain.
type SegmentKey struct {
	Domain uint32
	VLAN   VLAN
}

// SetDomain writes a domain's policy and its list of all ports.
func (t *Tables) SetDomain(id uint32, d Domain) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := GroupKey{Domain: id}
	if err := errors.Join(t.startTallies(id), t.startStream(k)); err != nil {
		return err
	}
	if _, err := t.pairs.ensure(k, d.Flood, t.pool.grace); err != nil {
		return err
	}
	list, err := t.buildList(k, d.Flood)
	if err != nil {
		return err
	}
	wd := wireDomain{
		Unregistered: uint32(d.Unregistered),
		Flood:        first(list),
		StreamLimit:  d.StreamsPerGroup,
	}
	for i := range min(len(d.Name), len(wd.Name)-1) {
		wd.Name[i] = int8(d.Name[i])
	}
	if d.MessagesPerSecond > 0 {
		wd.MessageIntervalNs = 1e9 / uint64(d.MessagesPerSecond)
		wd.MessageBurstNs = 1e9
	}
	if err := t.setAllow(id, d.Allow); err != nil {
		t.pool.giveBack(list...)
		return err
	}
	if err := t.maps["domains"].Put(id, wd); err != nil {
		t.pool.giveBack(list...)
		return fmt.Errorf("set domain %d: %w", id, err)
	}
	t.pool.retire(t.floods[id]...)
	t.floods[id] = list
	return nil
}

// startTallies makes the entries in which drops and lost copies are counted
// that have no room of their own.
func (t *Tables) startTallies(domain uint32) error {
	for _, r := range DropReasons() {
		err := t.maps["drops"].Update(wireDropKey{Domain: domain, Reason: uint32(r)}, wireTally{}, ebpf.UpdateNoExist)
		if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("start drop counters: %w", tableError(err))
		}
	}
	for _, f := range CopyFailures() {
		err := t.maps["copy_failures"].Update(wireFailureKey{Domain: domain, Reason: uint32(f)}, wireTally{}, ebpf.UpdateNoExist)
		if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("start copy failure counters: %w", tableError(err))
		}
	}
	return nil
}

// setAllow makes the domain's allow list be exactly allow; new prefixes come in
// before old ones go.
func (t *Tables) setAllow(id uint32, allow []netip.Prefix) error {
	m := t.maps["allow"]
	for _, p := range allow {
		if err := m.Put(allowKey(id, p), uint32(1)); err != nil {
			return fmt.Errorf("allow %v: %w", p, tableError(err))
		}
	}
	for _, p := range t.allow[id] {
		if !slices.Contains(allow, p) {
			if err := deleteKey(m, allowKey(id, p)); err != nil {
				return fmt.Errorf("disallow %v: %w", p, err)
			}
		}
	}
	t.allow[id] = slices.Clone(allow)
	return nil
}

func allowKey(id uint32, p netip.Prefix) wireAllowKey {
	bits := 32 + p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return wireAllowKey{Prefixlen: uint32(bits), Domain: id, Group: toWire(p.Masked().Addr())}
}

func prefixOf(k wireAllowKey) (netip.Prefix, error) {
	bits, a := int(k.Prefixlen)-32, fromWire(k.Group)
	if a.Is4() {
		bits -= 96
	}
	return a.Prefix(bits)
}

// SetSegment writes the querier state and the router ports of a VLAN.
func (t *Tables) SetSegment(k SegmentKey, s Segment) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	flood := GroupKey{Domain: k.Domain}
	if _, err := t.pairs.ensure(flood, s.Routers, t.pool.grace); err != nil {
		return err
	}
	list, err := t.buildList(flood, s.Routers)
	if err != nil {
		return err
	}
	ws := wireSegment{Routers: first(list)}
	if s.QuerierV4 {
		ws.Flags |= uint32(wireSegmentFlagsSEGMENT_QUERIER_V4)
	}
	if s.QuerierV6 {
		ws.Flags |= uint32(wireSegmentFlagsSEGMENT_QUERIER_V6)
	}
	if err := t.maps["segments"].Put(wireSegmentKey{Domain: k.Domain, Vlan: uint32(k.VLAN)}, ws); err != nil {
		t.pool.giveBack(list...)
		return fmt.Errorf("set segment: %w", tableError(err))
	}
	t.pool.retire(t.routers[k]...)
	t.routers[k] = list
	t.segments[k] = s
	return nil
}

// DeleteSegment forgets a VLAN.
func (t *Tables) DeleteSegment(k SegmentKey) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deleteSegment(k)
}

// Segments returns the VLANs that the datapath knows.
func (t *Tables) Segments() map[SegmentKey]Segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.segments)
}

func (t *Tables) deleteSegment(k SegmentKey) error {
	if err := deleteKey(t.maps["segments"], wireSegmentKey{Domain: k.Domain, Vlan: uint32(k.VLAN)}); err != nil {
		return fmt.Errorf("delete segment: %w", err)
	}
	t.pool.retire(t.routers[k]...)
	delete(t.routers, k)
	delete(t.segments, k)
	return nil
}

// Domains returns the numbers of the domains that have a name.
func (t *Tables) Domains() (map[string]uint32, error) {
	ids := map[string]uint32{}
	var id uint32
	var d wireDomain
	it := t.maps["domains"].Iterate()
	for it.Next(&id, &d) {
		var name []byte
		for _, c := range d.Name {
			if c == 0 {
				break
			}
			name = append(name, byte(c))
		}
		if len(name) > 0 {
			ids[string(name)] = id
		}
	}
	return ids, it.Err()
}
