package bpf

import (
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// newTables reads what an earlier agent left in the maps.
func newTables(m map[string]*ebpf.Map, s Settings) (*Tables, error) {
	t := &Tables{
		maps:     m,
		groups:   map[GroupKey]*groupState{},
		floods:   map[uint32][]uint32{},
		routers:  map[SegmentKey][]uint32{},
		segments: map[SegmentKey]Segment{},
		allow:    map[uint32][]netip.Prefix{},
		ports:    map[uint32]bool{},
	}
	t.pool = newChunkPool(m["chunks"].MaxEntries())
	var err error
	if t.pairs, err = newPairTable(m["pairs"], m["pair_stats"]); err != nil {
		return nil, err
	}
	if err := t.adopt(); err != nil {
		return nil, err
	}
	if err := t.disown(); err != nil {
		return nil, err
	}
	t.pool.freeRest()
	err = forEach(m["ports"], func(ifindex *uint32, _ *wirePort) { t.ports[*ifindex] = true })
	if err != nil {
		return nil, err
	}
	err = forEach(m["streams"], func(_ *wireFlowKey, s *wireStream) {
		t.generation = max(t.generation, s.Generation, s.ToldGeneration)
	})
	if err != nil {
		return nil, err
	}
	return t, t.adoptAllow()
}

func (t *Tables) adopt() error {
	var key wireFlowKey
	var g wireGroup
	it := t.maps["groups"].Iterate()
	for it.Next(&key, &g) {
		list, ports, err := t.walk(g.List)
		if err != nil {
			return err
		}
		k := GroupKey{Domain: key.Domain, VLAN: VLAN(key.Vlan), Group: fromWire(key.Group)}
		st := t.groups[k]
		if st == nil {
			st = &groupState{ports: map[uint32]bool{}, sources: map[netip.Addr][]uint32{}}
			t.groups[k] = st
		}
		for _, port := range ports {
			st.ports[port] = true
		}
		st.generation = max(st.generation, g.Generation)
		t.generation = max(t.generation, g.Generation)
		st.sample = g.Sample
		if source := fromWire(key.Source); source.IsValid() {
			st.sources[source] = list
		} else {
			st.any = list
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	var id uint32
	var dom wireDomain
	for it := t.maps["domains"].Iterate(); it.Next(&id, &dom); {
		list, _, err := t.walk(dom.Flood)
		if err != nil {
			return err
		}
		if list != nil {
			t.floods[id] = list
		}
	}
	var sk wireSegmentKey
	var seg wireSegment
	for it := t.maps["segments"].Iterate(); it.Next(&sk, &seg); {
		list, routers, err := t.walk(seg.Routers)
		if err != nil {
			return err
		}
		k := SegmentKey{sk.Domain, VLAN(sk.Vlan)}
		t.routers[k] = list
		t.segments[k] = Segment{
			QuerierV4: seg.Flags&uint32(wireSegmentFlagsSEGMENT_QUERIER_V4) != 0,
			QuerierV6: seg.Flags&uint32(wireSegmentFlagsSEGMENT_QUERIER_V6) != 0,
			Routers:   routers,
		}
	}
	return nil
}

// disown makes streams forget lists that an earlier agent took out of use but
// died before it announced that.
func (t *Tables) disown() error {
	if err := t.maps["revision"].Lookup(uint32(0), &t.revision); err != nil {
		return fmt.Errorf("read revision: %w", err)
	}
	if err := t.announce(); err != nil {
		return err
	}
	t.pool.grace()
	return nil
}

// adoptAllow clears the allow list: SetDomain writes it anew.
func (t *Tables) adoptAllow() error {
	var keys []wireAllowKey
	var key wireAllowKey
	var v uint32
	it := t.maps["allow"].Iterate()
	for it.Next(&key, &v) {
		keys = append(keys, key)
	}
	for _, k := range keys {
		p, err := prefixOf(k)
		if err != nil {
			continue
		}
		t.allow[k.Domain] = append(t.allow[k.Domain], p)
	}
	return it.Err()
}

// walk marks the chunks of a list as used and returns them and their ports.
func (t *Tables) walk(first uint32) (list, ports []uint32, err error) {
	for at := first; at != 0 && len(list) <= listChunks; {
		var c wireChunk
		if err := t.maps["chunks"].Lookup(at, &c); err != nil {
			return nil, nil, fmt.Errorf("read chunk %d: %w", at, err)
		}
		for _, port := range c.Ifindex {
			if port != 0 {
				ports = append(ports, port)
			}
		}
		t.pool.use(at)
		list = append(list, at)
		at = c.Next
	}
	return list, ports, nil
}
