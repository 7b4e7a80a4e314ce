package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pairTable knows where the counters of each (group, port) pair are. A pair
// keeps its place while its port leaves the group and returns, so that its
// count goes on; a place that is given to another pair starts from what stood
// there (its base), because counters that a CPU may be adding to can't be reset.
//
// Stats chunks belong to one group each: a group's chunk of ports and its chunk
// of counters have the same positions.
type pairTable struct {
	pairs *ebpf.Map
	stats *ebpf.Map

	groups map[GroupKey]*groupPairs
	count  int
	free   []uint32 // stats chunks of nobody
	// removed: a pair went since the last grace period, so packets may still
	// be counting where it was; dirty are the chunks that went with it.
	removed bool
	dirty   []uint32
}

type groupPairs struct {
	slots  map[uint32]pairSlot // by ifindex
	chunks []uint32            // stats chunks
	spare  []uint32            // slots in them that no pair has
}

type pairSlot struct {
	slot   uint32
	copies uint64 // base
	bytes  uint64
}

// newPairTable reads the pairs that an earlier agent left.
func newPairTable(pairs, stats *ebpf.Map) (*pairTable, error) {
	t := &pairTable{pairs: pairs, stats: stats, groups: map[GroupKey]*groupPairs{}}
	taken := map[uint32]bool{}
	var key wirePairKey
	var p wirePair
	it := pairs.Iterate()
	for it.Next(&key, &p) {
		k := GroupKey{Domain: key.Domain, VLAN: VLAN(key.Vlan), Group: fromWire(key.Group)}
		g := t.group(k)
		g.slots[key.Ifindex] = pairSlot{slot: p.Slot, copies: p.BaseCopies, bytes: p.BaseBytes}
		t.count++
		if chunk := p.Slot / chunkPorts; !taken[chunk] {
			taken[chunk] = true
			g.chunks = append(g.chunks, chunk)
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read pairs: %w", err)
	}
	for _, g := range t.groups {
		slices.Sort(g.chunks)
		g.findSpare()
	}
	for chunk := stats.MaxEntries() - 1; chunk > 0; chunk-- {
		if !taken[chunk] {
			t.free = append(t.free, chunk)
		}
	}
	return t, nil
}

func (t *pairTable) group(k GroupKey) *groupPairs {
	g := t.groups[k]
	if g == nil {
		g = &groupPairs{slots: map[uint32]pairSlot{}}
		t.groups[k] = g
	}
	return g
}

// findSpare lists the slots of the group's chunks that no pair has, so that the
// lowest is taken first.
func (g *groupPairs) findSpare() {
	used := map[uint32]bool{}
	for _, s := range g.slots {
		used[s.slot] = true
	}
	g.spare = g.spare[:0]
	for _, chunk := range slices.Backward(g.chunks) {
		for pos := uint32(chunkPorts); pos > 0; pos-- {
			if slot := chunk*chunkPorts + pos - 1; !used[slot] {
				g.spare = append(g.spare, slot)
			}
		}
	}
}

// ensure gives every port a place in the group, or none of them, and returns
// those that had none. Returns ErrTableFull.
func (t *pairTable) ensure(k GroupKey, ports []uint32, grace func()) (added []uint32, err error) {
	if len(ports) == 0 {
		return nil, nil
	}
	g := t.group(k)
	for _, port := range ports {
		if _, ok := g.slots[port]; ok {
			continue
		}
		if err := t.add(k, g, port, grace); err != nil {
			return nil, errors.Join(err, t.undo(k, added))
		}
		added = append(added, port)
	}
	return added, nil
}

// undo takes back what ensure added, when no packet has been counted there: so
// places are free again at once.
func (t *pairTable) undo(k GroupKey, added []uint32) error {
	g := t.groups[k]
	if g == nil {
		return nil
	}
	var errs []error
	for _, port := range added {
		if err := deleteKey(t.pairs, pairKey(k, port)); err != nil {
			errs = append(errs, fmt.Errorf("delete pair: %w", err))
			continue
		}
		delete(g.slots, port)
		t.count--
	}
	g.findSpare()
	if len(g.slots) == 0 {
		t.free = append(t.free, g.chunks...)
		delete(t.groups, k)
	}
	return errors.Join(errs...)
}

func (t *pairTable) add(k GroupKey, g *groupPairs, port uint32, grace func()) error {
	if t.removed {
		grace()
		t.free, t.dirty, t.removed = append(t.free, t.dirty...), nil, false
	}
	if len(g.spare) == 0 {
		if err := t.addChunk(g); err != nil {
			return err
		}
	}
	slot := g.spare[len(g.spare)-1]
	copies, bytes, err := t.sum(slot)
	if err != nil {
		return err
	}
	err = t.pairs.Put(pairKey(k, port), wirePair{BaseCopies: copies, BaseBytes: bytes, Slot: slot})
	if err != nil {
		return fmt.Errorf("add pair: %w", tableError(err))
	}
	g.spare = g.spare[:len(g.spare)-1]
	g.slots[port] = pairSlot{slot: slot, copies: copies, bytes: bytes}
	t.count++
	return nil
}

func (t *pairTable) addChunk(g *groupPairs) error {
	if len(g.chunks) >= listChunks {
		return fmt.Errorf("more than %d ports in one group: %w", MaxPortsPerGroup, ErrTableFull)
	}
	if len(t.free) == 0 {
		return fmt.Errorf("pair counters: %w", ErrTableFull)
	}
	g.chunks = append(g.chunks, t.free[len(t.free)-1])
	t.free = t.free[:len(t.free)-1]
	g.findSpare()
	return nil
}

// remove forgets a pair. Its chunk goes back to the pool with its last pair.
func (t *pairTable) remove(k GroupKey, g *groupPairs, port uint32) error {
	if err := deleteKey(t.pairs, pairKey(k, port)); err != nil {
		return fmt.Errorf("delete pair: %w", err)
	}
	delete(g.slots, port)
	t.count--
	t.removed = true
	if len(g.slots) == 0 {
		t.dirty = append(t.dirty, g.chunks...)
		delete(t.groups, k)
		return nil
	}
	t.dropEmptyChunks(g)
	g.findSpare()
	return nil
}

// dropEmptyChunks takes the chunks from the group that no pair is in.
func (t *pairTable) dropEmptyChunks(g *groupPairs) {
	used := map[uint32]bool{}
	for _, s := range g.slots {
		used[s.slot/chunkPorts] = true
	}
	g.chunks = slices.DeleteFunc(g.chunks, func(chunk uint32) bool {
		if !used[chunk] {
			t.dirty = append(t.dirty, chunk)
		}
		return !used[chunk]
	})
}

// dropPort forgets every pair of a port.
func (t *pairTable) dropPort(port uint32) error {
	var errs []error
	for k, g := range t.groups {
		if _, ok := g.slots[port]; ok {
			errs = append(errs, t.remove(k, g, port))
		}
	}
	return errors.Join(errs...)
}

// arrange returns the chunks that a list of these ports consists of.
func (t *pairTable) arrange(k GroupKey, ports []uint32) []wireChunk {
	if len(ports) == 0 {
		return nil
	}
	g := t.groups[k]
	slots := make([]uint32, 0, len(ports))
	at := make(map[uint32]uint32, len(ports))
	for _, port := range ports {
		slot := g.slots[port].slot
		slots = append(slots, slot)
		at[slot] = port
	}
	slices.Sort(slots)
	var list []wireChunk
	for _, slot := range slices.Compact(slots) {
		stats := slot / chunkPorts
		if len(list) == 0 || list[len(list)-1].Stats != stats {
			list = append(list, wireChunk{Stats: stats})
		}
		list[len(list)-1].Ifindex[slot%chunkPorts] = at[slot]
	}
	return list
}

// sum returns what all CPUs counted in a slot, its base not taken off.
func (t *pairTable) sum(slot uint32) (copies, bytes uint64, err error) {
	var perCPU []wirePairStats
	if err := t.stats.Lookup(slot/chunkPorts, &perCPU); err != nil {
		return 0, 0, fmt.Errorf("read pair counters: %w", err)
	}
	for i := range perCPU {
		copies += perCPU[i].Copies[slot%chunkPorts]
		bytes += perCPU[i].Bytes[slot%chunkPorts]
	}
	return copies, bytes, nil
}

// PairCount is what was handed to one port for one group, lost copies included.
type PairCount struct {
	Key    GroupKey
	Port   uint32
	Copies uint64
	Bytes  uint64
}

// counts appends the count of every pair, in the order of groups and ports.
func (t *pairTable) counts(dst []PairCount) ([]PairCount, error) {
	var err error
	for k, g := range t.groups {
		if dst, err = t.groupCounts(dst, k, g); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// groupCounts appends the count of every pair of one group.
func (t *pairTable) groupCounts(dst []PairCount, k GroupKey, g *groupPairs) ([]PairCount, error) {
	var perCPU []wirePairStats
	for _, chunk := range g.chunks {
		if err := t.stats.Lookup(chunk, &perCPU); err != nil {
			return dst, fmt.Errorf("read pair counters: %w", err)
		}
		for port, s := range g.slots {
			if s.slot/chunkPorts != chunk {
				continue
			}
			c := PairCount{Key: k, Port: port, Copies: -s.copies, Bytes: -s.bytes}
			for i := range perCPU {
				c.Copies += perCPU[i].Copies[s.slot%chunkPorts]
				c.Bytes += perCPU[i].Bytes[s.slot%chunkPorts]
			}
			dst = append(dst, c)
		}
	}
	return dst, nil
}

func pairKey(k GroupKey, port uint32) wirePairKey {
	return wirePairKey{Group: toWire(k.Group), Domain: k.Domain, Vlan: uint32(k.VLAN), Ifindex: port}
}

// tableError names a full table; other errors stay as they are.
func tableError(err error) error {
	if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("%w (%w)", ErrTableFull, err)
	}
	return err
}

// Compare orders keys by domain, VLAN and group.
func (k GroupKey) Compare(o GroupKey) int {
	return cmp.Or(cmp.Compare(k.Domain, o.Domain), cmp.Compare(k.VLAN, o.VLAN), k.Group.Compare(o.Group))
}
