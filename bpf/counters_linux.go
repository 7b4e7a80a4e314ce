package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Stream is the running totals of one (S,G). The zero Source stands for sources
// that are not counted apart; the zero Group, too, for those of all groups.
type Stream struct {
	Domain uint32
	VLAN   VLAN
	Source netip.Addr
	Group  netip.Addr

	Packets   uint64
	Bytes     uint64
	Copies    uint64 // handed to ports, lost ones included
	CopyBytes uint64
	Failures  uint64 // copies known lost at once
	FirstNS   uint64 // CLOCK_MONOTONIC
	LastNS    uint64
	FanOut    uint32
	// Untold is the change of the group's lists that the event budget holds
	// back, zero if there is none.
	Untold Change
}

// DropCount is how many packets were dropped for one reason. The zero Group
// stands for groups that had no room in the table.
type DropCount struct {
	Key     GroupKey
	Reason  DropReason
	Packets uint64
	Bytes   uint64
}

// PortCount is what a port saw, by fate: Seen is the sum of Verdicts.
type PortCount struct {
	Seen        uint64
	Verdicts    [wireVerdictVERDICT_COUNT]uint64
	Control     uint64 // membership messages handed to the agent
	ControlLost uint64 // and those lost for want of room in its ring
}

// EventCount is what became of events in the kernel.
type EventCount struct {
	Kind     Kind
	Produced uint64 // lost ones included
	Lost     uint64 // the ring was full
}

// batchSize is how many entries one system call reads.
const batchSize = 1024

// forEach reads a whole hash map in batches. Batches survive concurrent
// changes, an iteration by key would start again or skip.
func forEach[K, V any](m *ebpf.Map, fn func(*K, *V)) error {
	return forEachWith(m, nil, fn)
}

func forEachWith[K, V any](m *ebpf.Map, opts *ebpf.BatchOptions, fn func(*K, *V)) error {
	keys, values := make([]K, batchSize), make([]V, batchSize)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, opts)
		for i := range n {
			fn(&keys[i], &values[i])
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return nil
		case errors.Is(err, unix.ENOSPC) && len(keys) < int(m.MaxEntries()):
			// A bucket holds more entries than a batch has room for.
			keys, values = make([]K, 2*len(keys)), make([]V, 2*len(values))
		case err != nil:
			return fmt.Errorf("read map: %w", err)
		}
	}
}

// EachStream calls fn for every stream, in no order.
func (d *Datapath) EachStream(fn func(Stream)) error {
	return forEach(d.maps["streams"], func(k *wireFlowKey, v *wireStream) {
		s := Stream{
			Domain: k.Domain, VLAN: VLAN(k.Vlan), Source: fromWire(k.Source), Group: fromWire(k.Group),
			Packets: v.Packets, Bytes: v.Bytes, Copies: v.Copies, CopyBytes: v.CopyBytes, Failures: v.Failures,
			FirstNS: v.FirstNs, LastNS: v.LastNs, FanOut: v.Fanout,
		}
		if v.Generation != v.ToldGeneration {
			s.Untold = Change{
				Domain: k.Domain, Generation: v.Generation,
				At: time.Duration(v.ChangedNs), Before: time.Duration(v.BeforeNs),
			}
		}
		fn(s)
	})
}

// EachDrop calls fn for every (group, reason) that has a counter, in no order.
func (d *Datapath) EachDrop(fn func(DropCount)) error {
	return forEach(d.maps["drops"], func(k *wireDropKey, v *wireTally) {
		fn(DropCount{
			Key:    GroupKey{Domain: k.Domain, VLAN: VLAN(k.Vlan), Group: fromWire(k.Group)},
			Reason: DropReason(k.Reason), Packets: v.Packets, Bytes: v.Bytes,
		})
	})
}

// PairCounts appends the counts of all (group, port) pairs to dst.
func (d *Datapath) PairCounts(dst []PairCount) ([]PairCount, error) {
	d.Tables.mu.Lock()
	defer d.Tables.mu.Unlock()
	return d.Tables.pairs.counts(dst)
}

// PairCountsOf appends the counts of the group's pairs to dst.
func (d *Datapath) PairCountsOf(dst []PairCount, k GroupKey) ([]PairCount, error) {
	d.Tables.mu.Lock()
	defer d.Tables.mu.Unlock()
	g := d.Tables.pairs.groups[k]
	if g == nil {
		return dst, nil
	}
	return d.Tables.pairs.groupCounts(dst, k, g)
}

// PortCount returns what the port with that index saw. Index 0 counts packets
// of interfaces that are attached but unknown.
func (d *Datapath) PortCount(index uint32) (PortCount, error) {
	var perCPU []wirePortStats
	if err := d.maps["port_stats"].Lookup(index, &perCPU); err != nil {
		return PortCount{}, fmt.Errorf("read counters of port %d: %w", index, err)
	}
	var c PortCount
	for i := range perCPU {
		c.Seen += perCPU[i].Seen
		c.Control += perCPU[i].Control
		c.ControlLost += perCPU[i].ControlLost
		for v := range c.Verdicts {
			c.Verdicts[v] += perCPU[i].Verdicts[v]
		}
	}
	return c, nil
}

// EventCounts returns what became of the kernel's events, by kind.
func (d *Datapath) EventCounts() ([]EventCount, error) {
	var perCPU []wireEventLoss
	if err := d.maps["event_loss"].Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read event counters: %w", err)
	}
	counts := []EventCount{{Kind: KindReplication}, {Kind: KindDrop}}
	for i := range perCPU {
		for c := range counts {
			counts[c].Produced += perCPU[i].Produced[counts[c].Kind]
			counts[c].Lost += perCPU[i].Lost[counts[c].Kind]
		}
	}
	return counts, nil
}

// TableUse is how full a table is.
type TableUse struct {
	Table    string
	Entries  int
	Capacity int
	// Refused is how often something was counted elsewhere for want of room.
	Refused uint64
}

// TableUses returns how full each table is. It walks the tables that the kernel
// fills.
func (d *Datapath) TableUses() ([]TableUse, error) {
	full := [wireTableTABLE_COUNT]uint64{}
	for i := range full {
		var perCPU []uint64
		if err := d.maps["table_full"].Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read table counters: %w", err)
		}
		for _, n := range perCPU {
			full[i] += n
		}
	}
	count := func(n *int) func() { return func() { *n++ } }
	var streams, drops, failures int
	err := errors.Join(
		d.EachStream(func(Stream) { count(&streams)() }),
		d.EachDrop(func(DropCount) { count(&drops)() }),
		forEach(d.maps["copy_failures"], func(*wireFailureKey, *wireTally) { failures++ }),
	)
	t := d.Tables
	t.mu.Lock()
	defer t.mu.Unlock()
	groupEntries := len(t.groups)
	for _, g := range t.groups {
		groupEntries += len(g.sources)
	}
	capacity := func(name string) int { return int(d.maps[name].MaxEntries()) }
	return []TableUse{
		{"groups", groupEntries, capacity("groups"), 0},
		{"pairs", t.pairs.count, capacity("pairs"), 0},
		{"port_lists", capacity("chunks") - 1 - len(t.pool.free) - len(t.pool.retired), capacity("chunks") - 1, 0},
		{"segments", len(t.segments), capacity("segments"), 0},
		{"streams", streams, capacity("streams"), full[wireTableTABLE_STREAMS]},
		{"drops", drops, capacity("drops"), full[wireTableTABLE_DROPS]},
		{"copy_failures", failures, capacity("copy_failures"), full[wireTableTABLE_COPY_FAILURES]},
	}, err
}

// forgetRequest is struct forget_request of forget.bpf.c.
type forgetRequest struct {
	Ethernet [16]byte
	Key      wireFlowKey
	BeforeNS uint64
}

// Forget removes a stream that saw no packet after beforeNS, and adds its
// totals to its group's (*,G) stream, or to the domain's if that is gone.
// Reports whether it was removed.
func (d *Datapath) Forget(s Stream, beforeNS uint64) (bool, error) {
	req := forgetRequest{
		Key: wireFlowKey{
			Source: toWire(s.Source), Group: toWire(s.Group), Domain: s.Domain, Vlan: uint32(s.VLAN),
		},
		BeforeNS: beforeNS,
	}
	packet := unsafe.Slice((*byte)(unsafe.Pointer(&req)), unsafe.Sizeof(req))
	ret, err := d.forget.Run(&ebpf.RunOptions{Data: packet})
	if err != nil {
		return false, fmt.Errorf("forget stream: %w", explain(err))
	}
	return ret == 0, nil
}

// ForgetPairs gives up the counters of a group that is not forwarded any more.
func (t *Tables) ForgetPairs(k GroupKey) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.pairs.groups[k]
	if g == nil || t.groups[k] != nil {
		return nil
	}
	var errs []error
	for port := range g.slots {
		errs = append(errs, t.pairs.remove(k, g, port))
	}
	return errors.Join(errs...)
}
