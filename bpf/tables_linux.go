package bpf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// GroupKey names a group of one segment. The zero Group stands for what is
// flooded to all ports of the domain.
type GroupKey struct {
	Domain uint32
	VLAN   VLAN
	Group  netip.Addr
}

// Forwarding says who gets a group's packets. Ports are interface indexes.
type Forwarding struct {
	Any     []uint32      // for every source that Sources does not name
	Sources []SourcePorts // complete lists for the sources that it names
	Sample  uint32        // an event for each Sample-th packet; 0: by budget
}

// SourcePorts are the ports that want one source.
type SourcePorts struct {
	Source netip.Addr
	Ports  []uint32
}

// Tables writes the forwarding tables. A change of a group takes effect in one
// update: no packet ever sees half a list. Safe for concurrent use.
type Tables struct {
	mu     sync.Mutex
	maps   map[string]*ebpf.Map
	pool   *chunkPool
	pairs  *pairTable
	groups map[GroupKey]*groupState
	// floods and routers keep the chunks of those lists.
	floods   map[uint32][]uint32
	routers  map[SegmentKey][]uint32
	segments map[SegmentKey]Segment
	allow    map[uint32][]netip.Prefix

	ports      map[uint32]bool // that SetPort made
	generation uint32          // the last that was given out
	revision   uint32          // of the groups table, as the kernel has it
}

// groupState mirrors what the kernel has for a group.
type groupState struct {
	generation uint32
	sample     uint32
	ports      map[uint32]bool         // that any of the lists holds
	any        []uint32                // chunks
	sources    map[netip.Addr][]uint32 // chunks of each (S,G)
}

// SetGroup makes the group's packets go to fw, and returns the generation of
// the change, which replication events carry. Nothing changes on an error.
//
// Returns ErrTableFull if there is no room for the group, a source or a pair.
func (t *Tables) SetGroup(k GroupKey, fw Forwarding) (generation uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.groups[k]
	if st == nil {
		st = &groupState{sources: map[netip.Addr][]uint32{}}
	}
	added, err := t.pairs.ensure(k, fw.ports(), t.pool.grace)
	if err != nil {
		return 0, err
	}
	next, err := t.buildGroup(k, t.nextGeneration(), fw)
	if err != nil {
		return 0, errors.Join(err, t.pairs.undo(k, added))
	}
	if t.groups[k] == nil {
		err = t.startStream(k)
	}
	if err == nil {
		err = t.swap(k, st, next)
	}
	if err = errors.Join(err, t.announce()); err != nil {
		t.retire(next)
		if t.groups[k] != nil {
			t.pool.grace() // packets may have seen some of it
		}
		return 0, errors.Join(err, t.pairs.undo(k, added))
	}
	t.retire(st)
	t.groups[k] = next
	return next.generation, nil
}

// announce makes streams look at the groups table again: what they remember of
// it is of an older revision. Nothing that they remember may be used again
// before (see route.h).
func (t *Tables) announce() error {
	t.revision = max(t.revision+1, 1) // 0: no revision yet
	if err := t.maps["revision"].Put(uint32(0), t.revision); err != nil {
		return fmt.Errorf("announce change: %w", err)
	}
	return nil
}

// nextGeneration returns a number that no list had before: a stream outlives
// its group, and must notice the lists of the next one. 0 is no generation.
func (t *Tables) nextGeneration() uint32 {
	t.generation = max(t.generation+1, 1)
	return t.generation
}

// buildGroup writes the lists of a group, which nothing points to yet.
func (t *Tables) buildGroup(k GroupKey, generation uint32, fw Forwarding) (*groupState, error) {
	next := &groupState{generation: generation, sample: fw.Sample, ports: map[uint32]bool{}, sources: map[netip.Addr][]uint32{}}
	for _, port := range fw.ports() {
		next.ports[port] = true
	}
	var err error
	if next.any, err = t.buildList(k, fw.Any); err != nil {
		return nil, err
	}
	for _, s := range fw.Sources {
		if s.Source.As16() == ([16]byte{}) {
			continue // no sender, and its key would be that of (*,G)
		}
		if next.sources[s.Source], err = t.buildList(k, s.Ports); err != nil {
			t.pool.giveBack(next.chunks()...)
			return nil, err
		}
	}
	return next, nil
}

// entry is the group's entry for a source; the zero one is that of (*,G).
func (st *groupState) entry(source netip.Addr) wireGroup {
	g := wireGroup{List: first(st.sources[source]), Generation: st.generation, Sample: st.sample}
	if !source.IsValid() {
		g.List = first(st.any)
		if len(st.sources) > 0 {
			g.Flags = uint32(wireGroupFlagsGROUP_HAS_SOURCES)
		}
	}
	return g
}

// chunks returns the chunks of all lists of the group.
func (st *groupState) chunks() []uint32 {
	all := slices.Clone(st.any)
	for _, list := range st.sources {
		all = append(all, list...)
	}
	return all
}

// swap writes the new entries: sources before the flag that makes the kernel
// look for them, and the flag off before sources go. On an error it puts back
// what was there.
func (t *Tables) swap(k GroupKey, old, next *groupState) error {
	m := t.maps["groups"]
	var put []netip.Addr
	undo := func() {
		for _, s := range put {
			if _, had := old.sources[s]; had {
				m.Put(groupEntryKey(k, s), old.entry(s))
			} else {
				m.Delete(groupEntryKey(k, s))
			}
		}
	}
	for s := range next.sources {
		if err := m.Put(groupEntryKey(k, s), next.entry(s)); err != nil {
			undo()
			return fmt.Errorf("add source to group: %w", tableError(err))
		}
		put = append(put, s)
	}
	if err := m.Put(groupEntryKey(k, netip.Addr{}), next.entry(netip.Addr{})); err != nil {
		undo()
		return fmt.Errorf("set group: %w", tableError(err))
	}
	for s := range old.sources {
		if _, keep := next.sources[s]; !keep {
			m.Delete(groupEntryKey(k, s))
		}
	}
	return nil
}

func groupEntryKey(k GroupKey, source netip.Addr) wireFlowKey {
	return wireFlowKey{Source: toWire(source), Group: toWire(k.Group), Domain: k.Domain, Vlan: uint32(k.VLAN)}
}

// startStream makes the (*,G) stream, in which sources are counted for which
// there is no room apart. If there is none for it either, the domain's is used.
func (t *Tables) startStream(k GroupKey) error {
	err := t.maps["streams"].Update(groupEntryKey(k, netip.Addr{}), wireStream{}, ebpf.UpdateNoExist)
	err = tableError(err)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) && !errors.Is(err, ErrTableFull) {
		return fmt.Errorf("start stream of group: %w", err)
	}
	return nil
}

// DeleteGroup takes the group out of the forwarding table. Its counters stay
// until Forget.
func (t *Tables) DeleteGroup(k GroupKey) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deleteGroup(k)
}

func (t *Tables) deleteGroup(k GroupKey) error {
	st := t.groups[k]
	if st == nil {
		return nil
	}
	key := wireFlowKey{Group: toWire(k.Group), Domain: k.Domain, Vlan: uint32(k.VLAN)}
	if err := deleteKey(t.maps["groups"], key); err != nil {
		return fmt.Errorf("delete group: %w", err)
	}
	for s := range st.sources {
		key.Source = toWire(s)
		if err := deleteKey(t.maps["groups"], key); err != nil {
			return fmt.Errorf("delete source of group: %w", err)
		}
	}
	if err := t.announce(); err != nil {
		return err
	}
	t.retire(st)
	delete(t.groups, k)
	return nil
}

// Groups returns the groups in the forwarding table.
func (t *Tables) Groups() []GroupKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.groups))
}

// CountedGroups returns the groups that have counters per port, forwarded or
// not.
func (t *Tables) CountedGroups() []GroupKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.pairs.groups))
}

func (t *Tables) retire(st *groupState) { t.pool.retire(st.chunks()...) }

// buildList writes the ports into fresh chunks, which nothing points to yet,
// from the last to the first. No ports make an empty list.
func (t *Tables) buildList(k GroupKey, ports []uint32) ([]uint32, error) {
	byStats := t.pairs.arrange(k, ports)
	if len(byStats) > listChunks {
		return nil, fmt.Errorf("%d ports for one group: %w", len(ports), ErrTableFull)
	}
	list, err := t.pool.take(len(byStats))
	if err != nil {
		return nil, err
	}
	for i, c := range slices.Backward(byStats) {
		if i+1 < len(list) {
			c.Next = list[i+1]
		}
		if err := t.maps["chunks"].Put(list[i], c); err != nil {
			t.pool.giveBack(list...)
			return nil, fmt.Errorf("write port list: %w", err)
		}
	}
	return list, nil
}

// ports returns every port that fw names, once.
func (fw Forwarding) ports() []uint32 {
	all := slices.Clone(fw.Any)
	for _, s := range fw.Sources {
		all = append(all, s.Ports...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func first(list []uint32) uint32 {
	if len(list) == 0 {
		return 0
	}
	return list[0]
}

// deleteKey deletes; a key that is not there is no error.
func deleteKey(m *ebpf.Map, key any) error {
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}
